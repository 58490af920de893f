# shellcheck shell=bash
# Some variables here are used by the scripts that source this file. shellcheck disable=SC2034
#
# Functions of the benchmarks: servers on one core, clients on the other, a server's CPU time, and
# loads whose replies are checked. Sourced, never run; the caller has set -euo pipefail.

# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=deploy/venv.sh
. "$ROOT/deploy/venv.sh"

readonly SERVER_CORE=0 CLIENT_CORE=1
readonly SERVICE=/ringstore.v1.KeyStore
readonly SHARD_NAMES=(a b c)
readonly GRPC_HEADERS=(-H "content-type: application/grpc" -H "te: trailers")
readonly COMPILER_NEEDS=("gcc:command -v cc || command -v gcc || command -v clang"
  "libc6-dev:test -e /usr/include/stdio.h")

# Ours are no settings of the nodes.
export -n RINGSTORE_BENCH_BINARY RINGSTORE_BENCH_PORT

# Everything that was started: pids by name, and the ports.
declare -A pid_of=() port_of=()
bench_folder=
# What every node is started with.
node_options=()

# prepare_bench NEED... : builds (or takes RINGSTORE_BENCH_BINARY), makes the Python environment
# and a folder for logs and request bodies, and makes sure that all started processes are stopped.
prepare_bench() {
  prepare_build
  ensure_packages "${TEST_NEEDS[@]}" "$@"
  [ "$(nproc)" -ge 2 ] || fail "server and client need a core each, and there is only one"
  RINGSTORE=${RINGSTORE_BENCH_BINARY:-}
  [ -n "$RINGSTORE" ] || build_ringstore || exit 1
  [ -x "$RINGSTORE" ] || fail "RINGSTORE_BENCH_BINARY names no executable: $RINGSTORE"
  prepare_venv || exit 1
  ulimit -n "$(ulimit -Hn)"
  bench_folder=$(mktemp -d "${TMPDIR:-/tmp}/ringstore-bench.XXXXXX")
  trap stop_servers EXIT
}

# check_number NAME VALUE
check_number() {
  [[ "$2" =~ ^[1-9][0-9]*$ ]] || fail "$1 must be a number above 0, not '$2'"
}

# --- servers ----------------------------------------------------------------------------------

# Routers and proxies are stopped before the servers behind them.
stop_servers() {
  local name
  for name in router nutcracker "${!pid_of[@]}"; do
    stop_server "$name"
  done
  [ -z "$bench_folder" ] || rm -rf "$bench_folder"
}

stop_server() {
  [ -z "${pid_of[$1]:-}" ] || stop_process "$1" "${pid_of[$1]}"
  unset "pid_of[$1]"
}

# start_server NAME ARGUMENT... : a node on the servers' core, on a port that it picks itself.
start_server() {
  local name=$1 log=$bench_folder/$1.log
  shift
  start_process "$log" taskset -c "$SERVER_CORE" "$RINGSTORE" "$@" --host 127.0.0.1 --port 0 \
    --line-port off
  pid_of[$name]=$STARTED_PID
  wait_started "$name" "$STARTED_PID" "$log" || exit 1
  port_of[$name]=$STARTED_PORT
}

# A shard without a router.
start_lone() { start_server lone shard --id lone "${node_options[@]}"; }

# A router (one event loop) and three shards.
start_cluster() {
  local shard list=()
  for shard in "${SHARD_NAMES[@]}"; do
    start_server "shard-$shard" shard --id "$shard" "${node_options[@]}"
    list+=(--shard "$shard=127.0.0.1:${port_of[shard-$shard]}")
  done
  start_server router router --threads 1 "${list[@]}" "${node_options[@]}"
}

# free_port : a port that nothing listens on just now, for servers that can't pick one themselves.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); \
    print(s.getsockname()[1])'
}

# start_listening NAME PORT COMMAND... : another program's server, until it listens.
start_listening() {
  local name=$1 port=$2 deadline=$((SECONDS + START_SECONDS))
  shift 2
  start_process "$bench_folder/$name.log" taskset -c "$SERVER_CORE" "$@"
  pid_of[$name]=$STARTED_PID port_of[$name]=$port
  until port_taken "$port"; do
    if ! alive "$STARTED_PID" || [ "$SECONDS" -ge "$deadline" ]; then
      show_log "$bench_folder/$name.log"
      fail "$name does not listen on port $port; its log is above"
    fi
    sleep 0.05
  done
}

# cpu_ticks NAME... : CPU time that these servers have used, user and system, in clock ticks.
cpu_ticks() {
  local name
  for name in "$@"; do
    cat "/proc/${pid_of[$name]}/stat"
  done | sed 's/^.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

# need_command COMMAND : ends the script if this build doesn't have it.
need_command() {
  "$RINGSTORE" cli HELP | grep -q "^$1 \|^$1\$" ||
    fail "this build has no $1 yet (ringstore cli HELP lists what it has)"
}

# --- clients ----------------------------------------------------------------------------------

# bench_python SCRIPT ARGUMENT... : a script of this folder, with the stubs and the test helpers.
bench_python() {
  local script=$1
  shift
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$VENV/stubs:$ROOT/Tests/RealClients \
    taskset -c "$CLIENT_CORE" "$VENV/bin/python" "$ROOT/deploy/bench/$script" "$@"
}

# bodies FILE ARGUMENT... : what bodies.py writes for these arguments, in a file of the folder.
bodies() {
  local file=$bench_folder/$1
  shift
  bench_python bodies.py "$@" >"$file"
}

# compile_clients NAME... : the C programs of client/, into the folder.
compile_clients() {
  local name compiler
  compiler=$(command -v cc || command -v gcc || command -v clang)
  for name in "$@"; do
    "$compiler" -std=c11 -O2 -o "$bench_folder/$name" \
      "$ROOT/deploy/bench/client/$name.c" "$ROOT/deploy/bench/client/http2.c" ||
      fail "$compiler could not compile client/$name.c"
  done
}

# client NAME ARGUMENT... : runs one of them on the clients' core.
client() {
  local name=$1
  shift
  taskset -c "$CLIENT_CORE" "$bench_folder/$name" "$@"
}

# idly COMMAND... : on the clients' core as well, but only when nothing else needs to run there: a
# load that must not take time from the client whose calls are timed.
idly() { taskset -c "$CLIENT_CORE" chrt --idle 0 "$@"; }

# play TARGET CONNECTIONS DEPTH PASSES BODIES [PREFIX] : client/pipeline.c.
play() {
  local target=$1 connections=$2 depth=$3 passes=$4 file=$5
  shift 5
  client pipeline "127.0.0.1:${port_of[$target]}" "$connections" "$depth" "$passes" \
    "$bench_folder/$file" ${1:+"$bench_folder/$1"}
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

size_of() { stat -c %s "$bench_folder/$1"; }

# check WHAT REPORT CALLS [BYTES] : every call succeeded and, if the size of a reply is known, with
# the expected number of bytes.
check() {
  local good bytes
  good=$(succeeded <"$2") bytes=$(data_bytes <"$2")
  [ "$good" = "$3" ] || fail "$1: $good of $3 calls succeeded"
  [ -z "${4:-}" ] || [ "$bytes" = $(($3 * $4)) ] ||
    fail "$1: $bytes bytes of data where $(($3 * $4)) were due"
}

# router_unary CALLS CONNECTIONS STREAMS CALL : Gets or Sets through the router, a third for each
# shard, from three clients at once, which share the connections; the first has the rest.
router_unary() {
  local shard clients=() share=$(($1 / 3)) third=$(($2 / 3)) connections body size=''
  connections=$(($2 - 2 * third))
  body=$(tr '[:upper:]' '[:lower:]' <<<"$4")
  for shard in "${SHARD_NAMES[@]}"; do
    load "$share" "$connections" "$3" "$bench_folder/$body-router-$shard.bin" \
      "http://127.0.0.1:${port_of[router]}$SERVICE/$4" >"$bench_folder/report-$shard" &
    clients+=($!)
    connections=$third
  done
  wait "${clients[@]}"
  for shard in "${SHARD_NAMES[@]}"; do
    [ "$4" != Get ] || size=$(size_of "reply-router-$shard.bin")
    check "$4 through the router" "$bench_folder/report-$shard" "$share" "$size"
  done
}

# measure SUBJECT CALLS SERVERS... : makes the calls, and prints "SUBJECT SERVERS CALLS TICKS" for
# each group of servers.
measure() {
  local subject=$1 calls=$2 servers before=() ticks
  shift 2
  for servers in "$@"; do
    # shellcheck disable=SC2086 # a group of servers is counted together
    before+=("$(cpu_ticks $servers)")
  done
  "$subject" "$calls" >"$bench_folder/subject.log"
  for servers in "$@"; do
    # shellcheck disable=SC2086
    ticks=$(cpu_ticks $servers)
    printf '%s %s %s %s\n' "$subject" "${servers// /+}" "$calls" $((ticks - before[0]))
    before=("${before[@]:1}")
  done
}

# summarize < MEASURED : the tables.
summarize() { bench_python summarize.py "$(getconf CLK_TCK)"; }
