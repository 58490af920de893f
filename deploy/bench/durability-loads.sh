# shellcheck shell=bash
# What is not set here is set by durability and by the scripts that it sources before this one,
# which also say that pid_of goes by names.
# shellcheck disable=SC2154,SC2004
#
# The loads of durability, each with its check and its output: one line for a subject in a round. A
# server whose name begins with redis is a redis-server, any other a shard. Sourced.

readonly VALUE_BYTES=64 SET_KEYS=10000 PASS_CALLS=16000
# Sets that fit between two passes of few keys: there are 64 MiB of log between them at least.
readonly STRETCH=320000 UNARY_STRETCH=100000
readonly UNARY_CLIENTS=256 WRITERS=64
# Gets a second of the probe, on so many connections.
readonly RATE=2000 PROBES=4 PROBE_SECONDS_MAX=3600 PROBE_DATABASE=15
# The sync that is made once a second is done.
readonly SYNCED_SECONDS=1.2

now_micros() { printf '%s\n' "${EPOCHREALTIME//[.,]/}"; }

# --- Sets -------------------------------------------------------------------------------------

# prepare_sets KEYS SHARD... : bodies of Sets of random keys of this number.
prepare_sets() {
  local keys=$1 server
  shift
  bodies set.prefix prefix set --value "$VALUE_BYTES"
  bodies set-100.bin set --count "$PASS_CALLS" --among "$keys" --batch 100
  bodies light.bin set --count "$PASS_CALLS" --among "$keys" --batch 10
  prepare_overwrites "$keys"
  for server in "$@"; do
    bench_python prepare.py "$bench_folder" "$server=127.0.0.1:${port_of[$server]}"
  done
}

# pipeline_sets SERVER CALLS
pipeline_sets() {
  if [[ "$1" = redis* ]]; then
    redis_load set "$2" 16 100 "$SET_KEYS" "$VALUE_BYTES" "$1" "$1"
  else
    play "$1" 16 1 $(($2 / PASS_CALLS)) set-100.bin set.prefix >"$bench_folder/subject.log"
  fi
}

# unary_sets SERVER CALLS [CLIENTS] : each client has one call at a time.
unary_sets() {
  local server=$1 calls=$2 clients=${3:-$UNARY_CLIENTS}
  if [[ "$server" = redis* ]]; then
    redis_load set "$calls" "$clients" 1 "$SET_KEYS" "$VALUE_BYTES" "$server" "$server"
  else
    load "$calls" "$clients" 1 "$bench_folder/set-$server.bin" \
      "http://127.0.0.1:${port_of[$server]}$SERVICE/Set" >"$bench_folder/report"
    check "Set on $server" "$bench_folder/report" "$calls"
  fi
}

warm_up() { pipeline_sets "$1" "$STRETCH"; }

# measure_sets pipeline|unary SERVER CALLS : a line for summarize.py, in nanoseconds. The shard with
# a data directory begins each stretch right after a pass, and no other pass happens during it.
measure_sets() {
  local kind=$1 server=$2 calls=$3 stretch=$STRETCH made before nanos=0 pass
  if [ "$kind" = unary ]; then
    calls=$((calls / 10)) stretch=$UNARY_STRETCH
  fi
  for ((made = 0; made < calls; made += stretch)); do
    [ "$server" != everysec ] || make_pass "$server"
    pass=$(newest_pass "$server")
    before=$(cpu_nanos "$server")
    "${kind}_sets" "$server" "$stretch"
    sleep "$SYNCED_SECONDS"
    nanos=$((nanos + $(cpu_nanos "$server") - before))
    if makes_pass "$server" || [ "$(newest_pass "$server")" != "$pass" ]; then
      fail "a pass began among the Sets that were to be measured without one"
    fi
  done
  printf '%s_%s_set %s %s %s\n' "$server" "$kind" "$server" "$made" "$nanos"
}

# measure_rate CLIENTS SERVER : "CLIENTS SERVER CALLS MICROS", of as many calls as take about so
# many seconds as were asked for.
measure_rate() {
  local clients=$1 server=$2 calls=$(($1 * 100)) begin
  begin=$(now_micros)
  unary_sets "$server" "$calls" "$clients"
  calls=$((calls * seconds * 1000000 / ($(now_micros) - begin) + clients))
  begin=$(now_micros)
  unary_sets "$server" "$calls" "$clients"
  printf '%s %s %s %s\n' "$clients" "$server" "$calls" $(($(now_micros) - begin))
}

# synced_sets SHARD : many clients' Sets for the seconds that were asked for, from a process that
# leaves the core to the probe.
synced_sets() {
  idly h2load -t 1 -c "$WRITERS" -m 1 -D "$seconds" "${GRPC_HEADERS[@]}" \
    -d "$bench_folder/set-$1.bin" "http://127.0.0.1:${port_of[$1]}$SERVICE/Set" \
    >"$bench_folder/report"
  grep -q '^requests: .* [1-9][0-9]* succeeded, 0 failed, 0 errored, 0 timeout' \
    "$bench_folder/report" || fail "Sets beside the probe failed: $(grep '^requests' \
    "$bench_folder/report")"
}

# light_sets SHARD : some, from a client with ten in progress.
light_sets() {
  idly "$bench_folder/pipeline" "127.0.0.1:${port_of[$1]}" 1 1 1 "$bench_folder/light.bin" \
    "$bench_folder/set.prefix" >"$bench_folder/subject.log"
}

light_sets_for() {
  local end=$((SECONDS + $2))
  while [ "$SECONDS" -lt "$end" ]; do light_sets "$1"; done
}

# --- the probe --------------------------------------------------------------------------------

prepare_probe() {
  bench_python prepare.py --database "$PROBE_DATABASE" "$bench_folder" \
    "$1=127.0.0.1:${port_of[$1]}"
}

# begin_probe SHARD NAME : Gets at fixed times, until end_probe; their times are then in probe_file.
begin_probe() {
  probe_file=$bench_folder/$2.probe
  start_process "$probe_file" taskset -c "$CLIENT_CORE" "$bench_folder/probe" \
    "127.0.0.1:${port_of[$1]}" "$PROBES" "$RATE" "$PROBE_SECONDS_MAX" \
    "$bench_folder/get-$1.bin" "$bench_folder/reply-$1.bin"
  pid_of[probe]=$STARTED_PID
  sleep 0.5
}

end_probe() {
  alive "${pid_of[probe]}" || fail "the probe ended: $(tail -n 1 "$probe_file")"
  stop_server probe
  tail -n 1 "$probe_file" | grep -q '^[0-9]' || fail "the probe: $(tail -n 1 "$probe_file")"
}

# passes_for SHARD SECONDS [LOAD] : passes from their starts to their ends, at least one, with the
# load at the same time.
passes_for() {
  local end=$((SECONDS + $2))
  while true; do
    begin_pass "$1"
    while makes_pass "$1"; do "${3:-pause}" "$1"; done
    [ "$SECONDS" -lt "$end" ] || return 0
  done
}
pause() { sleep 0.02; }

# measure_bgsave REDIS [writes] : "SUBJECT SAMPLES FORK_MICROS COW_BYTES MICROS".
measure_bgsave() {
  local subject=bgsave${2:++writes} begin samples
  samples=$bench_folder/$subject-$((++bgsaves)).watch
  watch_server "$1" "$samples"
  sleep 0.5
  begin=$(now_micros)
  redis-cli -p "${port_of[$1]}" bgsave >"$bench_folder/redis.log"
  while [ "$(redis_info "$1" rdb_bgsave_in_progress)" = 1 ]; do
    if [ -n "${2:-}" ]; then
      idly redis-benchmark -p "${port_of[$1]}" -t set -n 5000 -c 1 -P 10 -r "$keys" \
        -d "$VALUE_BYTES" -q >"$bench_folder/redis.log"
    else
      sleep 0.02
    fi
  done
  begin=$(($(now_micros) - begin))
  stop_server watch
  printf '%s %s %s %s %s\n' "$subject" "$samples" "$(redis_info "$1" latest_fork_usec)" \
    "$(redis_info "$1" rdb_last_cow_size)" "$begin"
}
bgsaves=0

# --- recovery ---------------------------------------------------------------------------------

# keep_state NAME STATE : a copy of a server's directory, once nothing is on its way there.
keep_state() {
  sleep "$SYNCED_SECONDS"
  mkdir -p "$data_root/states"
  cp -r "$data_root/$1" "$data_root/states/$2"
}

# What the starts begin on: directories as a killed process leaves them.
prepare_starts() {
  start_kept filled everysec
  fill_keys filled "$keys"
  make_pass filled
  keep_state filled behind-pass
  write_until_pass filled
  makes_pass filled || fail "with so few keys a pass ends at once: more --keys are needed"
  kill_server filled
  keep_state filled longest-log
  rm -rf "${data_root:?}/filled"

  start_kept_redis redis_filled --appendonly no
  fill_keys redis_filled "$keys"
  redis-cli -p "${port_of[redis_filled]}" save >"$bench_folder/redis.log"
  kill_server redis_filled
  keep_state redis_filled rdb
  rm -rf "${data_root:?}/redis_filled"

  start_kept_redis redis_filled --appendonly yes --appendfsync everysec
  fill_keys redis_filled "$keys"
  redis-cli -p "${port_of[redis_filled]}" bgrewriteaof >"$bench_folder/redis.log"
  await_info redis_filled aof_rewrite_in_progress 0
  keep_state redis_filled aof-rewritten
  # A rewrite begins, by default, when the log is twice as long as after the last one.
  while [ "$(redis_info redis_filled aof_current_size)" -lt \
    $((2 * $(redis_info redis_filled aof_base_size))) ]; do
    redis_load set $(((keys / 1000 + 1) * 100)) 4 100 "$keys" "$VALUE_BYTES" \
      redis_filled redis_filled
  done
  keep_state redis_filled aof-longest
  kill_server redis_filled
  rm -rf "${data_root:?}/redis_filled"
}

# await_info REDIS FIELD VALUE
await_info() {
  sleep 0.2
  until [ "$(redis_info "$1" "$2")" = "$3" ]; do sleep 0.05; done
}

# measure_start STATE shard|redis : "STATE MICROS", from the start of the process until it has
# loaded a copy of that state.
measure_start() {
  local state=$1 kind=$2 name=redis_filled port command=() words=$REDIS_LOADED begin count
  [ "$kind" = redis ] || name=filled
  cp -r "$data_root/states/$state" "$data_root/$name"
  sync --file-system "$data_root/$name"
  [ "$cold" = no ] || bench_python disk.py evict "$data_root/$name"
  if [ "$kind" = shard ]; then
    words=$LOADED
    command=("$RINGSTORE" shard --id filled --data-dir "$data_root/filled" --fsync everysec
      --host 127.0.0.1 --port 0 --line-port off)
  else
    port=$(free_port)
    redis_command redis_filled "$port" --appendonly "$([ "$state" = rdb ] && echo no || echo yes)"
    port_of[redis_filled]=$port
  fi
  begin=$(now_micros)
  start_process "$bench_folder/$name.log" taskset -c "$SERVER_CORE" "${command[@]}"
  pid_of[$name]=$STARTED_PID
  await_words "$name" "$words"
  begin=$(($(now_micros) - begin))
  if [ "$kind" = shard ]; then
    count=$(sed -n "s/.*$LOADED.* keys=\"\{0,1\}\([0-9]*\).*/\1/p" "$bench_folder/$name.log")
  else
    count=$(redis-cli -p "$port" dbsize)
  fi
  [ "$count" = "$keys" ] || fail "$state: $count of $keys keys were loaded"
  kill_server "$name"
  rm -rf "${data_root:?}/$name"
  printf '%s %s\n' "$state" "$begin"
}

# --- steady overwrite -------------------------------------------------------------------------

# overwrite_for_cycles SHARD CYCLES : overwrites from behind one pass to behind the CYCLESth next,
# with a line "chunk SETS NANOS DURING" for each piece, DURING being 1 while a pass was in progress;
# then "shard SETS WRITTEN LIVE SAMPLES". Leaves the number of Sets in steady_sets.
overwrite_for_cycles() {
  local name=$1 cycles=$2 before pass written during
  make_pass "$name"
  pass=$(newest_pass "$name") written=$(written_bytes "$name") steady_sets=0
  watch_server "$name" "$bench_folder/steady.watch"
  while [ "$cycles" -gt 0 ]; do
    during=0
    ! makes_pass "$name" || during=1
    before=$(cpu_nanos "$name")
    overwrite "$name"
    before=$(($(cpu_nanos "$name") - before))
    ! makes_pass "$name" || during=1
    steady_sets=$((steady_sets + overwrites))
    if [ "$(newest_pass "$name")" != "$pass" ]; then
      pass=$(newest_pass "$name") cycles=$((cycles - 1)) during=1
    fi
    printf 'chunk %s %s %s\n' "$overwrites" "$before" "$during"
  done >"$bench_folder/steady.measured"
  stop_server watch
  printf 'shard %s %s %s %s\n' "$steady_sets" $(($(written_bytes "$name") - written)) \
    "$(stat -c %s "$pass")" "$bench_folder/steady.watch" >>"$bench_folder/steady.measured"
}

# overwrite_redis REDIS SETS : "redis SETS WRITTEN LIVE SAMPLES NANOS".
overwrite_redis() {
  local name=$1 sets=$2 before written
  redis-cli -p "${port_of[$name]}" bgrewriteaof >"$bench_folder/redis.log"
  await_info "$name" aof_rewrite_in_progress 0
  before=$(cpu_with_children "$name") written=$(written_bytes "$name")
  watch_server "$name" "$bench_folder/steady-redis.watch"
  redis_load set "$sets" 4 100 "$keys" "$VALUE_BYTES" "$name" "$name"
  await_info "$name" aof_rewrite_in_progress 0
  stop_server watch
  printf 'redis %s %s %s %s %s\n' "$sets" $(($(written_bytes "$name") - written)) \
    "$(redis_info "$name" aof_base_size)" "$bench_folder/steady-redis.watch" \
    $(($(cpu_with_children "$name") - before)) >>"$bench_folder/steady.measured"
}
