# Hosts that are network namespaces of this machine, joined by a bridge that lies in one more, and
# how they are parted. Sourced by run.sh; nothing outside of these namespaces is changed.
#
#     n1 n2 n3   servers      10.77.0.1 to 10.77.0.3
#     w1 w2      agents       10.77.0.11, 10.77.0.12
#     c1         submitter    10.77.0.21
#
# shellcheck shell=bash disable=SC2034

declare -A ADDRESS=(
    [n1]=10.77.0.1 [n2]=10.77.0.2 [n3]=10.77.0.3
    [w1]=10.77.0.11 [w2]=10.77.0.12
    [c1]=10.77.0.21
)
HOSTS=(n1 n2 n3 w1 w2 c1)
HUB=hub

# Namespaces are the machine's, so their names are this run's.
ns() { # HOST
    printf 'pool%s-%s' "$$" "$1"
}

# Runs a command on a host, in place of this shell where that was started for it.
on() { # HOST COMMAND...
    local host=$1
    shift
    ip netns exec "$(ns "$host")" "$@"
}

make_network() {
    local host
    ip netns add "$(ns $HUB)"
    on $HUB ip link set lo up
    on $HUB ip link add br0 type bridge
    on $HUB ip link set br0 up
    for host in "${HOSTS[@]}"; do
        ip netns add "$(ns "$host")"
        on "$host" ip link set lo up
        on "$host" ip link add eth0 type veth peer name "$host" netns "$(ns $HUB)"
        on "$host" ip address add "${ADDRESS[$host]}/24" dev eth0
        on "$host" ip link set eth0 up
        on $HUB ip link set "$host" master br0 up
    done
}

# Everything that still runs in them was started there by this run.
remove_network() {
    local host pid
    for host in "${HOSTS[@]}" $HUB; do
        if [ -e "/run/netns/$(ns "$host")" ]; then
            for pid in $(ip netns pids "$(ns "$host")"); do
                kill -KILL "$pid" 2>/dev/null || true
            done
            ip netns delete "$(ns "$host")"
        fi
    done
}

# Parts a host from these others, or from all: what it sends them and they send it is lost, and
# nobody is told.
part() { # HOST [OTHER...]
    local host=$1 other from=()
    shift
    for other in "${@:-${HOSTS[@]}}"; do
        [ "$other" = "$host" ] || from+=("${ADDRESS[$other]}")
    done
    local all
    all=$(IFS=,; printf '%s' "${from[*]}")
    on "$host" nft -f - <<END
table ip parted
delete table ip parted
table ip parted {
    chain in { type filter hook input priority 0; ip saddr { $all } drop; }
    chain out { type filter hook output priority 0; ip daddr { $all } drop; }
}
END
}

heal() { # HOST
    on "$1" nft -f - <<END
table ip parted
delete table ip parted
END
}

# Pulls the plug of a host and puts it in again: unlike in a partition, the host may notice.
unplug() { # HOST
    on "$1" ip link set eth0 down
}

plug() { # HOST
    on "$1" ip link set eth0 up
}

# Whether a server's first word comes through.
reaches() { # HOST SERVER
    on "$1" timeout 1 bash -c 'read -r line <"/dev/tcp/$0/4222" && [[ $line = INFO* ]]' \
        "${ADDRESS[$2]}" 2>/dev/null
}

# A network that is not as it should be would prove nothing.
expect_reach() { # HOST SERVER
    until_true 10 "$1 reaches $2" reaches "$1" "$2"
}

expect_parted() { # HOST SERVER
    ! reaches "$1" "$2" || die "$1 reaches $2, and should not"
}

# One question to a server, asked on a host; prints the answer. No answer is a failure without words.
ask() { # HOST SERVER SUBJECT [PAYLOAD]
    on "$1" timeout 5 bash -s "${ADDRESS[$2]}" "$3" "${4-}" 2>/dev/null <<'END'
exec 3<>"/dev/tcp/$1/4222" || exit 1
printf 'CONNECT {"verbose":false,"name":"netns"}\r\nSUB answer 1\r\n' >&3
printf 'PUB %s answer %s\r\n%s\r\n' "$2" "${#3}" "$3" >&3
while IFS= read -r line <&3; do
    case $line in
        MSG*)
            IFS= read -r answer <&3
            printf '%s\n' "${answer%$'\r'}"
            exit 0 ;;
        -ERR*) exit 1 ;;
        PING*) printf 'PONG\r\n' >&3 ;;
    esac
done
exit 1
END
}

# Which server leads a stream, asked on a host that reaches that server.
leader_of() { # HOST SERVER STREAM
    ask "$1" "$2" "\$JS.API.STREAM.INFO.$3" | sed -n 's/.*"leader": *"\([^"]*\)".*/\1/p'
}
