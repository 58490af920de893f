# shellcheck shell=bash
# The directory, the ports and the executable are set by lib.sh, and the variables here are used by
# the script that sources this file.
# shellcheck disable=SC2034,SC2154
#
# Servers that keep data, on one disk: shards and redis-servers, a pass of a shard's data from its
# start to its end, and the size of a server's directory and memory meanwhile. Sourced after lib.sh
# and redis.sh.

# Where every server has its directory.
data_root=
# Sets on random existing keys: they make a shard begin a pass.
readonly OVERWRITES=overwrite.bin

# prepare_disk [FOLDER] : a directory on a real disk, and the disk's kind. Before prepare_bench.
prepare_disk() {
  local folder=${1:-${TMPDIR:-/tmp}} kind
  [ -d "$folder" ] || fail "$folder is no folder"
  kind=$(stat --file-system --format %T "$folder")
  [[ ! "$kind" =~ ^(tmpfs|ramfs)$ ]] ||
    fail "$folder is in memory ($kind), which is no disk; --dir names a folder on one"
  # All that the benchmark makes goes there, and goes with it.
  export TMPDIR=$folder
}

# tell_disk : the disk, its file system and what a sync costs there, in one line.
tell_disk() {
  local place
  data_root=$bench_folder/data
  mkdir -p "$data_root"
  place=$(df --output=source,fstype "$data_root" | awk 'END { print $1 " (" $2 ")" }')
  say "Data on $place, $(bench_python disk.py syncs "$data_root")."
  ! "$RINGSTORE" admin --help | grep -qw snapshot || passes_by=asking
  say "Passes begin by $passes_by."
}

# slow_syncs MICROS : every sync of every program started from now on takes that much longer.
slow_syncs() {
  local compiler library=$bench_folder/slow_sync.so
  compiler=$(command -v cc || command -v gcc || command -v clang)
  "$compiler" -std=c11 -O2 -shared -fPIC -o "$library" "$ROOT/deploy/bench/client/slow_sync.c" ||
    fail "$compiler could not compile client/slow_sync.c"
  export LD_PRELOAD=$library SLOW_SYNC_MICROS=$1
  say "Each sync is followed by a pause of $1 us."
}

# --- servers ----------------------------------------------------------------------------------

# start_kept NAME FSYNC : a shard without a router that keeps data; it has loaded its data.
start_kept() {
  start_server "$1" shard --id "$1" --data-dir "$data_root/$1" --fsync "$2" "${node_options[@]}"
  await_words "$1" "$LOADED"
}
readonly LOADED="the data is loaded" REDIS_LOADED="Ready to accept connections"

# redis_command NAME PORT OPTION... : redis-server with a directory of its own, in `command`. It
# makes snapshots and rewrites its log only on request, unless the options say otherwise.
redis_command() {
  local name=$1 port=$2
  shift 2
  mkdir -p "$data_root/$name"
  command=(redis-server --port "$port" --bind 127.0.0.1 --dir "$data_root/$name" --save ''
    --loglevel notice --auto-aof-rewrite-percentage 0 "$@")
}

# start_kept_redis NAME OPTION...
start_kept_redis() {
  local name=$1 port command=()
  shift
  port=$(free_port)
  redis_command "$name" "$port" "$@"
  start_listening "$name" "$port" "${command[@]}"
  await_words "$name" "$REDIS_LOADED"
}

# await_words NAME WORDS : until the server's log has them.
await_words() {
  until grep -q "$2" "$bench_folder/$1.log"; do
    if ! alive "${pid_of[$1]}"; then
      show_log "$bench_folder/$1.log"
      fail "$1 ended; its log is above"
    fi
    sleep 0.01
  done
}

# kill_server NAME : SIGKILL, so that nothing is written at the end.
kill_server() {
  kill -KILL "${pid_of[$1]}"
  while alive "${pid_of[$1]}"; do sleep 0.01; done
  unset "pid_of[$1]"
}

# cpu_nanos NAME : CPU time that all threads of this server have used, those that have ended too.
cpu_nanos() { bench_python disk.py cpu "${pid_of[$1]}"; }

# cpu_with_children NAME : the same of a redis-server with those of its children that have ended.
cpu_with_children() {
  sed 's/^.*) //' "/proc/${pid_of[$1]}/stat" |
    awk -v second="$(getconf CLK_TCK)" '{ printf "%.0f\n", ($12 + $13 + $14 + $15) / second * 1e9 }'
}

# written_bytes NAME : bytes that the server and its ended children wrote to the disk.
written_bytes() { sed -n 's/^write_bytes: //p' "/proc/${pid_of[$1]}/io"; }

# --- contents ---------------------------------------------------------------------------------

# The bodies of ten million keys would need a gigabyte at once.
readonly FILE_KEYS=1000000

# fill_keys NAME KEYS : 16 + 64 bytes each. A name that begins with redis is a redis-server.
fill_keys() {
  local name=$1 count=$2 first some
  for ((first = 0; first < count; first += FILE_KEYS)); do
    some=$((count - first < FILE_KEYS ? count - first : FILE_KEYS))
    if [[ "$name" = redis* ]]; then
      fill_redis "$name" set --count "$some" --first "$first" --value "$VALUE_BYTES"
    else
      bodies fill.bin set --count "$some" --first "$first" --value "$VALUE_BYTES"
      play "$name" 4 1 1 fill.bin set.prefix >"$bench_folder/subject.log"
    fi
  done
  rm -f "$bench_folder/fill.bin"
}

# fill_list NAME ELEMENTS : one list, of elements of 10 bytes.
fill_list() {
  if [[ "$1" = redis* ]]; then
    fill_redis "$1" push --count "$2" --element 10
  else
    bodies list.bin push --count "$2" --element 10 --batch 1
    play "$1" 1 1 1 list.bin >"$bench_folder/subject.log"
    rm -f "$bench_folder/list.bin"
  fi
}

# prepare_overwrites KEYS : bodies that overwrite random keys of this number. Sending them once is
# short compared with a pass, so that the start of a pass is noticed in time.
prepare_overwrites() {
  overwrites=$(($1 / 50 < 20000 ? 20000 : $1 / 50 / 100 * 100))
  bodies "$OVERWRITES" set --count "$overwrites" --among "$1" --value "$VALUE_BYTES" --batch 100
}

# From a process that leaves the core to others.
overwrite() {
  idly "$bench_folder/pipeline" "127.0.0.1:${port_of[$1]}" 4 1 1 "$bench_folder/$OVERWRITES" \
    "$bench_folder/set.prefix" >"$bench_folder/subject.log"
}

# --- passes -----------------------------------------------------------------------------------

# The path of the newest complete one; empty if there is none.
newest_pass() {
  [ ! -d "$data_root/$1" ] ||
    find "$data_root/$1" -name 'pass-*' ! -name '*.part' | sort | tail -n 1
}

# Whether one is in progress.
makes_pass() { compgen -G "$data_root/$1/pass-*.part" >/dev/null; }

# write_until_pass NAME : until its pace has a pass begin (Sources/Log/PassPacing.swift).
write_until_pass() {
  local before
  before=$(newest_pass "$1")
  until makes_pass "$1" || [ "$(newest_pass "$1")" != "$before" ]; do overwrite "$1"; done
}

# begin_pass NAME : returns when a pass has begun, or has ended already. A requested pass runs as
# fast as the disk allows; builds without such requests begin it by writing.
begin_pass() {
  local before asking
  if [ "$passes_by" = writing ]; then
    write_until_pass "$1"
    return
  fi
  before=$(newest_pass "$1")
  "$RINGSTORE" admin snapshot --server "127.0.0.1:${port_of[$1]}" >"$bench_folder/asked.log" 2>&1 &
  asking=$!
  until makes_pass "$1" || [ "$(newest_pass "$1")" != "$before" ]; do
    if ! alive "$asking"; then
      wait "$asking" || fail "no pass was made: $(tail -n 1 "$bench_folder/asked.log")"
      break
    fi
    sleep 0.005
  done
}
passes_by=writing

# make_pass NAME : a whole one. It goes faster while something is written, so something is.
make_pass() {
  begin_pass "$1"
  while makes_pass "$1"; do overwrite "$1"; done
}

# --- watching ---------------------------------------------------------------------------------

# watch_server NAME FILE : samples of its memory and its directory, until stop_server watch.
watch_server() {
  PYTHONDONTWRITEBYTECODE=1 start_process "$2" taskset -c "$CLIENT_CORE" chrt --idle 0 \
    "$VENV/bin/python" "$ROOT/deploy/bench/disk.py" watch "${pid_of[$1]}" "$data_root/$1"
  pid_of[watch]=$STARTED_PID
}
