# shellcheck shell=bash
# The lists of packages are read by the script that sources this file.
# shellcheck disable=SC2034
#
# A container engine for a test, and a base image made without a registry. Sourced after lib.sh.

# "Debian package:how to see that it is there".
readonly CLIENT_NEEDS=(
  "docker.io:command -v docker"
  "docker-compose:command -v docker-compose || docker compose version")
readonly ENGINE_NEEDS=(
  "docker.io:command -v dockerd"
  "iptables:command -v iptables"
  "iproute2:command -v ip")
readonly BASE_NEEDS=("debootstrap:command -v debootstrap")

readonly SUITE=bookworm
# Change this together with the base's contents, or an older one is used again.
readonly BASE_RECIPE=1

readonly ENGINE_START_SECONDS=60
# The engine of ours, if one was started.
ENGINE_PID=

# --- the engine -------------------------------------------------------------------------------

# True if an engine replies at DOCKER_HOST or Docker's default address.
engine_runs() { docker version >/dev/null 2>&1; }

# Why this machine can't run an engine; empty if it can. Bits of CapEff: 12 is CAP_NET_ADMIN, 21
# CAP_SYS_ADMIN.
engine_impossible() {
  if [ "$(id -u)" -ne 0 ]; then
    say "no container engine responds, and only root may start one"
    return
  fi
  local held
  held=$((16#$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)))
  if ((!(held >> 12 & 1) || !(held >> 21 & 1))); then
    say "no container engine responds, and this root may neither mount nor make networks"
  elif [ ! -d /sys/fs/cgroup ] || ! grep -q cgroup /proc/mounts; then
    say "no container engine responds, and this system has no control groups"
  fi
}

# start_engine FOLDER : a separate engine in a separate network, which ends with it: its bridges and
# packet filters never affect this machine's. Sets DOCKER_HOST and ENGINE_PID.
start_engine() {
  local folder=$1 deadline=$((SECONDS + ENGINE_START_SECONDS))
  export DOCKER_HOST=unix://$folder/engine.sock
  # `exec` all the way: the process that is started here becomes the engine.
  start_process "$folder/engine.log" unshare --net --mount \
    sh -c 'ip link set lo up; exec "$@"' sh \
    dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/engine.pid" \
    --host "$DOCKER_HOST"
  ENGINE_PID=$STARTED_PID
  until engine_runs; do
    if ! alive "$ENGINE_PID" || [ "$SECONDS" -ge "$deadline" ]; then
      complain "the container engine did not start; its log:"
      show_log "$folder/engine.log" 40
      return 1
    fi
    sleep 0.2
  done
}

# Runs a command where the published ports are.
beside_engine() {
  if [ -n "$ENGINE_PID" ]; then
    nsenter --net --target "$ENGINE_PID" "$@"
  else
    "$@"
  fi
}

# --- the base image ---------------------------------------------------------------------------

# The program's system packages, from the Dockerfile: "a,b,c".
runtime_packages() {
  sed -n 's/^ARG LIBRARIES="\(.*\)"$/\1/p' "$ROOT/deploy/docker/Dockerfile" | tr ' ' ','
}

# base_archive FOLDER [PACKAGE...] : the path of a minimal Debian with the program's libraries, and
# these packages, as an archive. Made once and kept among the user's caches, because it takes a
# while.
base_archive() {
  local folder=$1 packages cache name archive
  shift
  packages=$(IFS=, && printf '%s' "$(runtime_packages)${*:+,$*}")
  cache=${XDG_CACHE_HOME:-${HOME:-/var/cache}/.cache}/ringstore
  name=$(printf '%s' "$SUITE $packages $BASE_RECIPE $(dpkg --print-architecture)" |
    sha256sum | cut -c 1-16)
  archive=$cache/base-$name.tar
  if [ ! -f "$archive" ]; then
    mkdir -p "$cache"
    make_base "$folder/base" "$packages" >&2 || return "$?"
    # Renamed when it is complete, so that no process finds a partial one.
    tar --create --file "$archive.$$" --directory "$folder/base" . &&
      mv "$archive.$$" "$archive" || return 1
    rm -rf "$folder/base"
  fi
  printf '%s\n' "$archive"
}

# make_base FOLDER PACKAGES : without the files that the official slim image leaves out.
make_base() {
  obtain "${BASE_NEEDS[@]}" || return "$?"
  if ! debootstrap --variant=minbase --include="$2" "$SUITE" "$1" \
    >"$1.log" 2>&1; then
    complain "debootstrap failed; the end of its log:"
    show_log "$1.log"
    return 1
  fi
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/* \
    "$1"/usr/share/{doc,man,locale,info,lintian}
}
