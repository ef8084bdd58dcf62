# The three servers of the namespaces and the stream's leader. Sourced by run.sh.
#
# shellcheck shell=bash

URLS="nats://${ADDRESS[n1]}:4222,nats://${ADDRESS[n2]}:4222,nats://${ADDRESS[n3]}:4222"

start_servers() {
    local host routes
    routes=$(printf '"nats://%s:6222", ' "${ADDRESS[n1]}" "${ADDRESS[n2]}" "${ADDRESS[n3]}")
    for host in n1 n2 n3; do
        rm -rf "${DIR:?}/$host"
        cat >"$DIR/$host.conf" <<END
server_name: $host
listen: "${ADDRESS[$host]}:4222"
log_file: "$DIR/$host.log"
ping_interval: "5s"
jetstream { store_dir: "$DIR/$host", max_memory_store: 64MB, max_file_store: 1GB }
cluster { name: netns, listen: "${ADDRESS[$host]}:6222", routes: [ ${routes%, } ] }
END
        start "$host" "$host" "$NATS_SERVER" --config "$DIR/$host.conf"
    done
    until_true 60 "the servers have a leader" whole
}

# Whether a stream can have three replicas.
whole() {
    local pid
    for pid in "${!RUNNING[@]}"; do
        kill -0 "$pid" 2>/dev/null || die "a server has ended: $(cat "$DIR"/n?.err)"
    done
    local made stream='{"name":"WHOLE","subjects":["whole"],"num_replicas":3,"storage":"memory"}'
    made=$(ask c1 n1 '$JS.API.STREAM.CREATE.WHOLE' "$stream") || return 1
    [[ $made = *'"type":'* && $made != *'"error":'* ]] || return 1
    ask c1 n1 '$JS.API.STREAM.DELETE.WHOLE' >/dev/null
}

# Sets LEADER to who leads the queue.
find_leader() {
    LEADER=$(leader_of c1 n1 "$STREAM") && [ -n "$LEADER" ]
}
