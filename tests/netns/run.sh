#!/usr/bin/env bash
# The cluster backend when the network breaks: three servers, two agents and a submitter, each on a
# host of its own (a network namespace), of which some are parted for a while during a map.
#
#     tests/netns/run.sh [SCENARIO...]      all of them unless named
#
#     minority    n3 and w2 are parted from the rest, but not from each other
#     submitter   the submitter's link is down
#     agent       w2's link is down
#     leader      the server that leads the queue is parted from everybody
#
# Then comes a table: the last line of each submitter, `outcomes N wrong N lost N twice N`, and how
# long after the end of the fault it was there. Exit code 1: something was not as it has to be, which
# is every task with an outcome, none wrong, none that ran twice, and none lost but those that a
# parted agent had begun.
#
# Needs root, and the programs ip, nft and timeout. What can be said by variables:
#
#     NATS_SERVER   the server's program (`nats-server`)
#     PROGRAM       `target/release/cluster_program`
#     AGENT         the command on w1 and w2 (`$PROGRAM agent`); finds the servers in POOL_WORKER
#     SUBMITTER     the command on c1 (`$PROGRAM map $TASKS $MS`); finds the servers in POOL_NATS
#     TASKS, MS     how many tasks, each of so many milliseconds (2400, 100)
#     FAULT         seconds that a fault lasts (30)
#     LIMIT         seconds after which a map is given up (300)
#     STREAM        the queue (`PT_pool_T`)
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

say() {
    printf '%6d s  %s\n' "$SECONDS" "$*" >&2
}

NATS_SERVER=${NATS_SERVER:-nats-server}
PROGRAM=${PROGRAM:-$HERE/../../target/release/cluster_program}
TASKS=${TASKS:-2400}
MS=${MS:-100}
AGENT=${AGENT:-$PROGRAM agent}
SUBMITTER=${SUBMITTER:-$PROGRAM map $TASKS $MS}
FAULT=${FAULT:-30}
LIMIT=${LIMIT:-300}
STREAM=${STREAM:-PT_pool_T}
# How long a map runs before the fault.
WARM=5
SCENARIOS=(minority submitter agent leader)

[ "$(id -u)" = 0 ] || die "network namespaces need root"
for needed in ip nft timeout; do
    command -v "$needed" >/dev/null || die "there is no $needed (packages iproute2, nftables)"
done
NATS_SERVER=$(PATH=$PATH:/usr/sbin command -v "$NATS_SERVER") ||
    die "there is no nats-server: .ci/nats gets some, and NATS_SERVER names one"
for command in "$AGENT" "$SUBMITTER"; do
    command -v "${command%% *}" >/dev/null || die "there is no ${command%% *}: see PROGRAM"
done

# shellcheck source=tests/netns/net.sh
. "$HERE/net.sh"

DIR=$(mktemp -d)
# What was started and not yet waited for: process to name.
declare -A RUNNING=()

# Starts a command on a host; its output goes to NAME.out. STARTED is its process.
start() { # HOST NAME COMMAND...
    local host=$1 name=$2
    shift 2
    # `ip` becomes the command, so this is its process.
    ip netns exec "$(ns "$host")" "$@" </dev/null >"$DIR/$name.out" 2>"$DIR/$name.err" &
    STARTED=$!
    RUNNING[$STARTED]=$name
}

# Ends what was started, and waits for it.
end_all() {
    local pid
    for pid in "${!RUNNING[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    for pid in "${!RUNNING[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    RUNNING=()
}

# Sleeps such that a signal ends this at once.
pause() { # SECONDS
    sleep "$1" &
    RUNNING[$!]=pause
    wait "$!"
    unset "RUNNING[$!]"
}

until_true() { # SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || die "waited in vain until $what; see $DIR"
        sleep 0.2
    done
}

# What is there to read stays only when something went wrong.
leave() {
    local code=$?
    end_all
    remove_network
    if [ "$code" = 0 ]; then
        rm -rf "$DIR"
    else
        say "the logs are in $DIR"
    fi
}

# shellcheck source=tests/netns/servers.sh
. "$HERE/servers.sh"

break_minority() {
    part n3 n1 n2 w1 c1
    part w2 n1 n2 w1 c1
    expect_parted c1 n3
    expect_parted w2 n1
    expect_reach w2 n3
}
mend_minority() {
    heal n3
    heal w2
    expect_reach c1 n3
    expect_reach w2 n1
}
break_submitter() {
    unplug c1
    expect_parted c1 n1
}
mend_submitter() {
    plug c1
    expect_reach c1 n1
}
break_agent() {
    unplug w2
    expect_parted w2 n1
    expect_reach w1 n1
}
mend_agent() {
    plug w2
    expect_reach w2 n1
}
break_leader() {
    until_true 30 "the queue has a leader" find_leader
    say "$LEADER leads the queue"
    part "$LEADER"
    expect_parted c1 "$LEADER"
}
mend_leader() {
    heal "$LEADER"
    expect_reach c1 "$LEADER"
}

# Adds a line to the table.
FAILED=0
judge() { # SCENARIO LINE TIME
    local verdict=ok may_lose=0 line=$2
    case $1 in minority | agent) may_lose=1 ;; esac
    if [[ $line =~ ^outcomes\ ([0-9]+)\ wrong\ ([0-9]+)\ lost\ ([0-9]+)\ twice\ ([0-9]+)$ ]]; then
        local -a is=("${BASH_REMATCH[@]}")
        [ "${is[1]}" = "$TASKS" ] || verdict="NOT ALL"
        [ "${is[2]}" = 0 ] || verdict="WRONG"
        [ "${is[3]}" = 0 ] || [ $may_lose = 1 ] || verdict="LOST"
        [ "${is[4]}" = 0 ] || verdict="TWICE"
    else
        verdict="NO OUTCOME"
    fi
    [ "$verdict" = ok ] || FAILED=1
    printf '%-10s %-10s %12s  %s\n' "$1" "$verdict" "$3" "${line:-(nothing)}" >>"$DIR/table"
}

scenario() { # NAME
    local name=$1 submitter healed last took code=0
    say "--- $name"
    start_servers
    start w1 "$name.w1" env POOL_WORKER="$URLS" POOL_NATS_REPLICAS=3 bash -c "exec $AGENT"
    start w2 "$name.w2" env POOL_WORKER="$URLS" POOL_NATS_REPLICAS=3 bash -c "exec $AGENT"
    start c1 "$name.c1" env POOL_NATS="$URLS" POOL_NATS_REPLICAS=3 \
        timeout --foreground "$LIMIT" bash -c "exec $SUBMITTER"
    submitter=$STARTED
    pause "$WARM"
    say "the network breaks"
    "break_$name"
    pause "$FAULT"
    kill -0 "$submitter" 2>/dev/null || say "the map is over already: more TASKS would tell more"
    healed=${EPOCHREALTIME/./}
    "mend_$name"
    say "the network is whole"
    wait "$submitter" || code=$?
    unset "RUNNING[$submitter]"
    took=$(((${EPOCHREALTIME/./} - healed) / 1000))
    [ "$code" != 124 ] || say "the map did not end within $LIMIT s"
    last=$(tail -n 1 "$DIR/$name.c1.out")
    say "$last (exit code $code)"
    judge "$name" "$last" "$took ms"
    end_all
}

[ $# -gt 0 ] || set -- "${SCENARIOS[@]}"
for name; do
    declare -F "break_$name" >/dev/null || die "no scenario $name, only ${SCENARIOS[*]}"
done
trap leave EXIT
trap 'exit 130' INT TERM
make_network
for name; do
    scenario "$name"
done
printf '\n%-10s %-10s %12s  %s\n' scenario verdict "after heal" "last line"
cat "$DIR/table"
exit $FAILED
