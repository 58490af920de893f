# shellcheck shell=bash
# Many variables here are used by the scripts that source this file.
# shellcheck disable=SC2034
#
# Functions for the scripts in this directory: messages, preparing the machine, building, and nodes
# as child processes. Sourced, never run; the caller has set -euo pipefail.

# The repository's root, independent of the caller's directory.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT

# The oldest toolchain that Package.swift (tools version 6.2) accepts.
readonly SWIFT_MAJOR=6 SWIFT_MINOR=2

# What a toolchain from swift.org needs of Debian 12.
readonly SWIFT_PACKAGES="binutils-gold gcc git libcurl4-openssl-dev libedit-dev libncurses-dev \
libpython3-dev libsqlite3-dev libstdc++-12-dev libxml2-dev tzdata"

# Swift's own libraries go into the executable, so that it runs on machines without Swift. Run-time
# checks of exclusive access are left to the tests (docs/ARCHITECTURE.md). One set of flags for
# every release build: with others SwiftPM would rebuild everything.
# (With colours on a terminal the compiler's flags would be others, and all would be built again.)
readonly RELEASE_FLAGS=(-c release --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked
  --no-color-diagnostics)

# How long a node may take from its start to its "Server started" line, and from SIGTERM to its end.
# Generous, because other work may use the cores.
readonly START_SECONDS=60 STOP_SECONDS=60

# --- messages ---------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

complain() { printf '%s: %s\n' "$0" "$*" >&2; }

# Prints an error in one sentence and ends the script.
fail() {
  complain "$@"
  exit 1
}

# --- system packages --------------------------------------------------------------------------

# What the build needs, as "Debian package:how to see that it is there". Looking for the thing
# itself instead of asking dpkg lets a system with other package names pass.
readonly BUILD_NEEDS=(
  "pkg-config:command -v pkg-config"
  "libnghttp2-dev:pkg-config --exists libnghttp2"
  "libre2-dev:test -e \"\$(pkg-config --variable=libdir re2)/libre2.a\""
  "libedit-dev:pkg-config --exists libedit"
  "zlib1g-dev:test -e \"\$(pkg-config --variable=libdir zlib)/libz.a\""
)
readonly TEST_NEEDS=(
  "python3-venv:python3 -c 'import ensurepip, venv'" "netcat-openbsd:command -v nc"
  "redis-tools:command -v redis-check-rdb" "openssl:command -v openssl"
  # The examples in Go.
  "golang-go:command -v go" "protobuf-compiler:command -v protoc"
  "protoc-gen-go-1-3:command -v protoc-gen-go"
  "golang-google-grpc-dev:test -d /usr/share/gocode/src/google.golang.org/grpc"
  "golang-google-genproto-dev:test -d /usr/share/gocode/src/google.golang.org/genproto")
readonly DEPLOYMENT_NEEDS=(
  "prometheus:command -v promtool && command -v prometheus" "openssl:command -v openssl")
# What looks at the dashboard.
readonly BROWSER_NEEDS=("chromium:command -v chromium")
# What makes disks fail.
readonly DISK_NEEDS=("strace:command -v strace" "e2fsprogs:command -v mkfs.ext4")
readonly BENCH_NEEDS=(
  "nghttp2-client:command -v h2load" "nghttp2-server:command -v nghttpd"
  "util-linux:command -v taskset")

# The packages of the given needs that this machine lacks, one a line.
missing_packages() {
  local need
  for need in "$@"; do
    bash -c "${need#*:}" >/dev/null 2>&1 || printf '%s\n' "${need%%:*}"
  done
}

# Runs a command as root: as we are, through sudo, or not at all (status 1).
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    return 1
  fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# Whether this user may install packages here.
may_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

# obtain NEED... : installs what is missing. Status 77, for "skipped", if this user may not.
obtain() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  if ! may_install; then
    say "SKIPPED: this needs ${missing[*]}, which this user may not install"
    return 77
  fi
  (ensure_packages "$@")
}

# Installs what is missing of the given needs; a sentence with the packages' names if it can't.
ensure_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  local names="${missing[*]}"
  command -v apt-get >/dev/null ||
    fail "these packages (Debian's names) are needed, and this system has no apt-get: $names"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    fail "these packages are needed, and only root may install them: apt-get install $names"
  say "Installing $names"
  { as_root apt-get update -qq && apt_install "${missing[@]}"; } >/dev/null ||
    fail "apt-get could not install: $names"
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] || fail "installed, but still not found: ${missing[*]}"
}

# --- Swift ------------------------------------------------------------------------------------

# Runs Swift for this package. It leaves directories and locks in the directory for temporary files;
# they get their own directory, beside the build.
run_swift() {
  local folder=$ROOT/.build/tmp
  mkdir -p "$folder"
  find "$folder" -maxdepth 1 -name 'TemporaryDirectory.*' -mmin +60 -exec rm -rf {} +
  TMPDIR=$folder swift "$@"
}

# try_swift ARGUMENT... : its output; an error message after Swift's own output if it fails.
try_swift() {
  local output
  if ! output=$(run_swift "$@" 2>&1); then
    printf '  | %s\n' "${output//$'\n'/$'\n  | '}" >&2
    fail "'swift $*' fails, see above. On Debian 12 a toolchain needs these packages of its \
own: apt-get install $SWIFT_PACKAGES"
  fi
  printf '%s\n' "$output"
}

check_swift() {
  local told found wanted="$SWIFT_MAJOR.$SWIFT_MINOR" advice
  advice="Install a toolchain from https://www.swift.org/install and put it on PATH, then run this \
again. docs/COMPOSE.md builds and runs a cluster in containers, without a toolchain."
  command -v swift >/dev/null ||
    fail "Swift $wanted or newer is needed and 'swift' was not found. $advice On Debian 12 it \
needs these packages of its own: apt-get install $SWIFT_PACKAGES"
  told=$(try_swift --version) || exit 1
  # "6.3" of "Swift version 6.3.1 (...)".
  found=$(sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' <<<"$told" | head -n 1)
  [ -n "$found" ] || fail "'swift --version' names no version: $told"
  local major=${found%%.*} minor=${found#*.}
  [ "$major" -gt "$SWIFT_MAJOR" ] ||
    { [ "$major" -eq "$SWIFT_MAJOR" ] && [ "$minor" -ge "$SWIFT_MINOR" ]; } ||
    fail "Swift $wanted or newer is needed; this is $found. $advice"
  # The builder is another program, with its own needs.
  try_swift build --version >/dev/null || exit 1
}

# A run as root leaves files that other users can't write; SwiftPM would only complain of a lock.
check_build_folders() {
  local folder found
  for folder in "$ROOT/.build" "${HOME:-/nonexistent}/.cache/org.swift.swiftpm" \
    "${HOME:-/nonexistent}/.swiftpm"; do
    [ -d "$folder" ] || continue
    found=$(find "$folder" -maxdepth 2 ! -type l ! -writable -print -quit)
    [ -z "$found" ] ||
      fail "$(id -un) can't write $found, which belongs to $(stat -c %U "$found"), perhaps since a \
run with sudo. Remove the folder: sudo rm -rf $folder"
  done
}

# Prepares the machine for a build: problems that can't be fixed here are checked first.
prepare_build() {
  check_build_folders
  check_swift
  ensure_packages "${BUILD_NEEDS[@]}"
}

# Builds the release executable and leaves its path in RINGSTORE; status 1 if that fails.
build_ringstore() {
  if ! run_swift build --package-path "$ROOT" "${RELEASE_FLAGS[@]}" --product ringstore; then
    complain "the build failed; its messages are above"
    return 1
  fi
  RINGSTORE=$(run_swift build --package-path "$ROOT" "${RELEASE_FLAGS[@]}" --show-bin-path) &&
    RINGSTORE+=/ringstore
  if [ ! -x "$RINGSTORE" ]; then
    complain "the build left no executable at $RINGSTORE"
    return 1
  fi
}

# --- nodes as child processes -----------------------------------------------------------------

# True if something already listens on that port of 127.0.0.1.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

check_port() {
  [[ "$1" =~ ^[0-9]+$ ]] && [ "$1" -ge 1 ] && [ "$1" -le 65535 ] ||
    fail "$2 must be a port from 1 to 65535, not '$1'"
  ! port_taken "$1" || fail "port $1 is taken by another program; set $2 to use another one"
}

# start_process LOG COMMAND... : starts it in its own process group, so that a Ctrl-C at the
# terminal reaches only this script, and the script decides the order of the shutdown. Leaves its
# process id in STARTED_PID, and in STARTED_KEEPER that of the shell which waits for it and ends
# with its status: this script's own shell would print an extra line if a signal ends a child. Our
# own RINGSTORE_* variables are not the nodes' configuration.
start_process() {
  local log=$1
  shift
  : >"$log" # there to be read before the process has begun
  rm -f "$log.pid"
  set -m
  (
    set +m
    exec 2>/dev/null
    env -u RINGSTORE_PORT -u RINGSTORE_SHARD_PORT -u RINGSTORE_LINE_PORT \
      -u RINGSTORE_DATA_DIR -u RINGSTORE_FSYNC "$@" </dev/null >"$log" 2>&1 &
    printf '%s\n' "$!" >"$log.pid"
    wait "$!"
  ) &
  STARTED_KEEPER=$!
  set +m
  until [ -s "$log.pid" ]; do sleep 0.01; done
  STARTED_PID=$(<"$log.pid")
}

alive() { kill -0 "$1" 2>/dev/null; }

# The last lines of a node's log, indented, on stderr.
show_log() {
  sed 's/^/  | /' < <(tail -n "${2:-15}" "$1") >&2
}

# wait_started NAME PID LOG : until the node reports that it accepts calls; its port is then in
# STARTED_PORT. Status 1, with the log shown, if it ends or takes too long.
wait_started() {
  local deadline=$((SECONDS + START_SECONDS))
  while true; do
    STARTED_PORT=$(sed -n 's/^Server started on port \([0-9]*\)$/\1/p' "$3" | head -n 1)
    [ -z "$STARTED_PORT" ] || return 0
    if ! alive "$2"; then
      complain "$1 ended before it accepted calls; its log:"
      break
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      complain "$1 did not accept calls within $START_SECONDS s; its log:"
      break
    fi
    sleep 0.05
  done
  show_log "$3"
  return 1
}

# stop_process NAME PID : SIGTERM, at which a node drains; SIGKILL after the limit.
stop_process() {
  local deadline=$((SECONDS + STOP_SECONDS))
  kill -TERM "$2" 2>/dev/null || return 0
  while alive "$2"; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      complain "$1 did not end within $STOP_SECONDS s of SIGTERM and was killed"
      kill -KILL "$2" 2>/dev/null || true
      break
    fi
    sleep 0.05
  done
}
