# shellcheck shell=bash
# What is set here is read by the scripts that source this file, and the folder and the ports are
# set by lib.sh.
# shellcheck disable=SC2034,SC2154
#
# The references from Redis's world: redis-server, redis-benchmark, and nutcracker (twemproxy),
# which is to redis-server what our router is to a shard. Sourced after lib.sh.
#
# Debian's redis-server package starts a service on port 6379 when it is installed; the benchmarks
# start servers of their own and leave that one alone.

readonly REDIS_NEEDS=("redis-server:command -v redis-server"
  "redis-tools:command -v redis-benchmark && command -v redis-cli")
readonly NUTCRACKER_NEEDS=("nutcracker:command -v nutcracker")

# start_redis NAME : without snapshots and log.
start_redis() {
  local port
  port=$(free_port)
  start_listening "$1" "$port" redis-server --port "$port" --bind 127.0.0.1 --save '' \
    --appendonly no --dir "$bench_folder" --loglevel warning
}

# start_nutcracker SERVER... : a proxy in front of these redis-servers.
start_nutcracker() {
  local port stats name
  port=$(free_port) stats=$(free_port)
  {
    printf 'bench:\n  listen: 127.0.0.1:%s\n  redis: true\n' "$port"
    printf '  hash: fnv1a_64\n  distribution: ketama\n  servers:\n'
    for name in "$@"; do
      printf '    - 127.0.0.1:%s:1 %s\n' "${port_of[$name]}" "$name"
    done
  } >"$bench_folder/nutcracker.yaml"
  start_listening nutcracker "$port" nutcracker --conf-file "$bench_folder/nutcracker.yaml" \
    --stats-addr 127.0.0.1 --stats-port "$stats"
}

# fill_redis TARGET ARGUMENT... : what bodies.py writes for these arguments.
fill_redis() {
  local target=$1 said
  shift
  said=$(bench_python bodies.py "$@" --resp |
    taskset -c "$CLIENT_CORE" redis-cli -p "${port_of[$target]}" --pipe) || true
  [[ "$said" == *"errors: 0,"* ]] || fail "$target was not filled: $said"
}

# redis_info TARGET FIELD : a number of INFO.
redis_info() {
  redis-cli -p "${port_of[$1]}" info all | tr -d '\r' | sed -n "s/^$2[:=]\([0-9]*\).*/\1/p"
}

# redis_done COMMAND SERVER... : calls of that command so far; of get, those that found the key.
redis_done() {
  local command=$1 server sum=0 count
  shift
  for server in "$@"; do
    if [ "$command" = get ]; then
      count=$(redis_info "$server" keyspace_hits)
    else
      count=$(redis_info "$server" "cmdstat_$command:calls")
    fi
    sum=$((sum + ${count:-0}))
  done
  printf '%s\n' "$sum"
}

# redis_load COMMAND CALLS CONNECTIONS PIPELINE KEYS VALUE_BYTES TARGET SERVER... : redis-benchmark
# against TARGET; the SERVERs behind it must have done every call.
redis_load() {
  local command=$1 calls=$2 connections=$3 pipeline=$4 keys=$5 bytes=$6 target=$7 before made
  shift 7
  before=$(redis_done "$command" "$@")
  taskset -c "$CLIENT_CORE" redis-benchmark -p "${port_of[$target]}" -t "$command" -n "$calls" \
    -c "$connections" -P "$pipeline" -r "$keys" -d "$bytes" -q >"$bench_folder/redis.log" 2>&1 ||
    fail "redis-benchmark failed: $(tail -n 1 "$bench_folder/redis.log")"
  made=$(($(redis_done "$command" "$@") - before))
  [ "$made" = "$calls" ] || fail "redis-benchmark $command: $made of $calls calls were done"
}
