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
readonly PACKAGE_TEST_NEEDS=("iproute2:command -v ip" "util-linux:command -v unshare")

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
