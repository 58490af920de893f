# shellcheck shell=bash
# The list is read by the scripts that source this file.
# shellcheck disable=SC2034
#
# What making and trying the Debian package needs of the system. Sourced after lib.sh.

# "Debian package:how to see that it is there".
readonly PACKAGE_NEEDS=(
  "dpkg-dev:command -v dpkg-buildpackage"
  "debhelper:command -v dh"
  "lintian:command -v lintian")
readonly PACKAGE_TEST_NEEDS=(
  "iproute2:command -v ip" "util-linux:command -v unshare" "openssl:command -v openssl")

# How often remove_control_group looks whether all has ended, ten times a second.
readonly CONTROL_GROUP_TRIES=100

# Why this machine can't have another Debian in a folder; nothing if it can.
root_impossible() {
  if ! command -v dpkg >/dev/null; then
    say "this isn't Debian, and so makes no package of it"
  elif [ "$(id -u)" -ne 0 ]; then
    say "only root can install a package, even into a folder"
  elif ! unshare --mount --pid --net --fork true 2>/dev/null; then
    say "this root may neither mount nor make networks"
  fi
}

# Makes a control group of version 2 inside this process's own, for a Debian that is booted, and
# leaves its folder in CONTROL_GROUP. Leaves that empty, and the reason in NO_CONTROL_GROUP, where
# there can be none.
CONTROL_GROUP='' NO_CONTROL_GROUP=''
make_control_group() {
  local mounted own
  mounted=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET || true)
  own=$(sed -n 's/^0:://p' /proc/self/cgroup)
  if [ -z "$mounted" ]; then
    NO_CONTROL_GROUP="this system has no control groups of version 2"
  elif ! mkdir "$mounted$own/ringstore-test-$$" 2>/dev/null; then
    NO_CONTROL_GROUP="this root may not make a control group"
  else
    CONTROL_GROUP=$mounted$own/ringstore-test-$$
  fi
}

# Ends what runs in it, and removes it.
remove_control_group() {
  [ -n "$CONTROL_GROUP" ] || return 0
  local left=$CONTROL_GROUP_TRIES
  # Linux has this since 5.14. Before, all has ended already unless a test was killed.
  [ ! -e "$CONTROL_GROUP/cgroup.kill" ] || echo 1 >"$CONTROL_GROUP/cgroup.kill"
  until grep -q '^populated 0$' "$CONTROL_GROUP/cgroup.events" || [ $((left -= 1)) -eq 0 ]; do
    sleep 0.1
  done
  find "$CONTROL_GROUP" -depth -type d -exec rmdir {} +
  CONTROL_GROUP=
}
