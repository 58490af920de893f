# shellcheck shell=bash
# Some of what is set here is read by the scripts that source this file.
# shellcheck disable=SC2034
#
# What the benchmarks share: servers on one core, clients on the other, a server's CPU time, and
# h2load's own counts. Sourced, never run; the caller has set -euo pipefail.

# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=deploy/venv.sh
. "$ROOT/deploy/venv.sh"

readonly SERVER_CORE=0 CLIENT_CORE=1
readonly SERVICE=/ringstore.v1.KeyStore
readonly SHARD_NAMES=(a b c)
readonly GRPC_HEADERS=(-H "content-type: application/grpc" -H "te: trailers")

# Everything that was started: pids by name, and the logs.
declare -A pid_of=() port_of=()
bench_folder=

# Builds, makes the Python environment and a folder for logs and request bodies, and sees to it
# that nothing that was started stays behind.
prepare_bench() {
  prepare_build
  ensure_packages "${BENCH_NEEDS[@]}" "${TEST_NEEDS[@]}"
  [ "$(nproc)" -ge 2 ] || fail "server and client need a core each, and there is only one"
  build_ringstore || exit 1
  prepare_venv || exit 1
  ulimit -n "$(ulimit -Hn)"
  bench_folder=$(mktemp -d "${TMPDIR:-/tmp}/ringstore-bench.XXXXXX")
  trap stop_servers EXIT
}

stop_servers() {
  local name
  for name in router shard-a shard-b shard-c lone nghttpd; do
    [ -z "${pid_of[$name]:-}" ] || stop_process "$name" "${pid_of[$name]}"
  done
  [ -z "$bench_folder" ] || rm -rf "$bench_folder"
}

# start_server NAME ARGUMENT... : a node on the servers' core, on a port that it picks itself.
start_server() {
  local name=$1 log=$bench_folder/$1.log
  shift
  start_process "$log" taskset -c "$SERVER_CORE" "$RINGSTORE" "$@" --port 0
  pid_of[$name]=$STARTED_PID
  wait_started "$name" "$STARTED_PID" "$log" || exit 1
  port_of[$name]=$STARTED_PORT
}

# A router (one event loop) and three shards.
start_cluster() {
  local shard list=()
  for shard in "${SHARD_NAMES[@]}"; do
    start_server "shard-$shard" shard --id "$shard" --host 127.0.0.1
    list+=(--shard "$shard=127.0.0.1:${port_of[shard-$shard]}")
  done
  start_server router router --host 127.0.0.1 --threads 1 "${list[@]}"
}

# bench_python SCRIPT ARGUMENT... : a script of this folder, with the stubs and the test helpers.
bench_python() {
  local script=$1
  shift
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$VENV/stubs:$ROOT/Tests/RealClients \
    taskset -c "$CLIENT_CORE" "$VENV/bin/python" "$ROOT/deploy/bench/$script" "$@"
}

# cpu_ticks NAME... : CPU time that these servers have used, user and system, in clock ticks.
cpu_ticks() {
  local name
  for name in "$@"; do
    cat "/proc/${pid_of[$name]}/stat"
  done | sed 's/^.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

# load CALLS CONNECTIONS STREAMS BODY URL : one h2load run on the clients' core; prints its report.
# An empty BODY makes GETs of it.
load() {
  local calls=$1 connections=$2 streams=$3 body=$4 url=$5 post=()
  [ -z "$body" ] || post=("${GRPC_HEADERS[@]}" -d "$body")
  taskset -c "$CLIENT_CORE" h2load -t 1 -n "$calls" -c "$connections" -m "$streams" \
    "${post[@]}" "$url"
}

# succeeded < REPORT : how many calls h2load saw end well, which is HTTP 200 and no more.
succeeded() { sed -n 's/^requests: .* \([0-9]*\) succeeded, .*/\1/p'; }

# data_bytes < REPORT : bytes in DATA frames, exact.
data_bytes() { sed -n 's/^traffic: .*(\([0-9]*\)) data$/\1/p'; }
