#!/usr/bin/env bash
# The titles of some thousand pages, once by worker processes of this machine, and once by two agents
# of a cluster on it, one of which is killed half-way. Both have to say the same.
#
#   examples/cluster.sh [PAGES]
#
# Needs nats-server in the PATH, or its path in NATS_SERVER. Exit code: 0 if the titles are the same,
# 1 if not or if something went wrong.
set -euo pipefail
cd "$(dirname "$0")/.."

pages=${1:-3000}
seats=4
server=${NATS_SERVER:-nats-server}
if ! command -v "$server" >/dev/null; then
    echo "cluster.sh: no $server: install nats-server, or say where it is in NATS_SERVER" >&2
    exit 1
fi
# What the shell has of a cluster is not meant for this one.
unset "${!POOL_@}"

echo "building titles with the feature cluster"
cargo build --quiet --release -p pool-examples --features cluster --example titles
titles=${CARGO_TARGET_DIR:-target}/release/examples/titles

folder=$(mktemp -d)
started=()
clean_up() {
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Says what went wrong, and the last of what a program has said.
fail() {
    echo "✗ $1" >&2
    tail -qn 10 "${@:2}" >&2
    exit 1
}

# Waits until a file has a line like this.
until_said() {
    local file=$1 line=$2 end=$((SECONDS + 120))
    until grep -qs -- "$line" "$file"; do
        if ((SECONDS > end)); then
            fail "after two minutes there is no '$line' in what was said:" "$file"
        fi
        sleep 0.05
    done
}

# The server chooses a free port and writes which.
"$server" -a 127.0.0.1 -p -1 --ports_file_dir "$folder" -js -sd "$folder/store" \
    >"$folder/server.log" 2>&1 &
started+=($!)
until_said "$folder/server.log" "Server is ready"
nats=$(grep -oh 'nats://127[^"]*' "$folder"/*.ports | head -n 1)
echo "server     $nats"

agents=()
for agent in 1 2; do
    POOL_WORKER=$nats POOL_WORKERS=$seats "$titles" 2>"$folder/agent$agent.log" &
    agents+=($!)
    started+=($!)
    until_said "$folder/agent$agent.log" "takes tasks"
    echo "agent $agent    process ${agents[-1]}, $seats seats"
done

# What was found is before the first empty line, how long it took at the end of the table.
found() { sed '/^$/,$d' "$1"; }
row() { grep "^$1 " "$2" | tail -n 1; }

"$titles" --backend processes --workers $((2 * seats)) --pages "$pages" >"$folder/processes" \
    || fail "titles has failed on worker processes:" "$folder/processes"

"$titles" --backend cluster --nats "$nats" --pages "$pages" --progress \
    >"$folder/cluster" 2>"$folder/progress" &
submitter=$!
started+=($submitter)
until_said "$folder/progress" " [5-9][0-9] %"
kill -KILL "${agents[0]}"
# The shell would tell of it otherwise.
{ wait "${agents[0]}" || true; } 2>/dev/null
echo "killed     agent 1, half-way"
wait "$submitter" || fail "titles has failed on the cluster:" "$folder"/{progress,cluster}

echo
grep "^backend " "$folder/processes"
row processes "$folder/processes"
row cluster "$folder/cluster"
echo
if diff <(found "$folder/processes") <(found "$folder/cluster"); then
    echo "✓ the same $(found "$folder/cluster" | wc -l) titles"
else
    echo "✗ the titles differ"
    exit 1
fi
