# shellcheck shell=bash
#
# The folder in which deploy/run keeps data, with a data directory for each shard in it: its path,
# whether a process uses it, and its removal. docs/FORMATS.md describes a data directory. Sourced
# after lib.sh.

# What a shard calls its files. Whatever else lies in a directory is not ours to remove.
readonly DATA_FILES='^(LOCK|spare|reserve|(cut-[0-9]{20}-)?(log|pass)-[0-9]{20}(\.part|\.[0-9]+)?)$'
readonly LOG_MAGIC=RINGLOG

# default_data_folder PORT : among the user's state, one for each port of a router, so that clusters
# that run side by side don't meet.
default_data_folder() {
  local state=${XDG_STATE_HOME:-}
  # A relative path counts as none there.
  [[ "$state" = /* ]] || state=${HOME:+$HOME/.local/state}
  [ -n "$state" ] ||
    fail "neither XDG_STATE_HOME nor HOME says where data can be kept; --data-dir names a folder"
  printf '%s\n' "$state/ringstore/run-$1"
}

# in_use DIRECTORY : whether a shard runs on it. The shard's own lock shows it; the lock ends with
# the process.
in_use() {
  [ -f "$1/LOCK" ] || return 1
  [ -r "$1/LOCK" ] ||
    fail "$(id -un) may not read $1/LOCK, which belongs to $(stat -c %U "$1/LOCK")"
  ! (exec 3<"$1/LOCK" && flock --nonblock 3)
}

# check_data FOLDER SHARD... : ends the script if a shard could not start with the existing data.
check_data() {
  local folder=$1 shard
  shift
  [ ! -e "$folder" ] || [ -d "$folder" ] || fail "$folder is not a folder; --data-dir names another"
  for shard in "$@"; do
    ! in_use "$folder/$shard" ||
      fail "a shard runs on $folder/$shard; stop it first, or choose another folder (--data-dir)"
  done
}

# foreign_file DIRECTORY : a file in it that doesn't belong to a shard; empty if there is none.
foreign_file() {
  local path
  while IFS= read -r -d '' path; do
    if ! is_data_file "$path"; then
      printf '%s\n' "$path"
      return
    fi
  done < <(find "$1/" -mindepth 1 -maxdepth 1 -print0)
}

# A file that was created just before a crash may have zeros instead of its header, or be shorter.
is_data_file() {
  local begin
  [[ "${1##*/}" =~ $DATA_FILES ]] && [ -f "$1" ] && [ ! -L "$1" ] || return 1
  [[ "${1##*/}" = *-* ]] || return 0
  begin=$(head --bytes "${#LOG_MAGIC}" "$1" | tr --delete '\0')
  [ -z "$begin" ] || [ "$begin" = "$LOG_MAGIC" ]
}

# forgettable FOLDER SHARD... : the data directories that are there, one a line. Ends the script if
# one of these folders is something else, or in use.
forgettable() {
  local folder=$1 shard foreign
  check_data "$@"
  shift
  for shard in "$@"; do
    [ -e "$folder/$shard" ] || continue
    [ -d "$folder/$shard" ] || fail "$folder/$shard is not a folder; nothing was removed"
    foreign=$(foreign_file "$folder/$shard")
    [ -z "$foreign" ] ||
      fail "$folder/$shard is no data directory of Ringstore: $foreign is not its file. Nothing \
was removed"
    [ -z "$(find "$folder/$shard/" -mindepth 1 -print -quit)" ] || printf '%s\n' "$folder/$shard"
  done
}

# forget_data FOLDER SHARD... : removes the shards' data and prints that. All or nothing, and with
# every directory locked, so that no shard starts with it meanwhile.
forget_data() (
  local found directory lock files bytes
  found=$(forgettable "$@") || exit 1
  if [ -z "$found" ]; then
    say "Nothing to forget: there is no data in $1"
    exit
  fi
  while IFS= read -r directory; do
    [ -f "$directory/LOCK" ] ||
      fail "$directory is no data directory of Ringstore: it has no LOCK. Nothing was removed"
    { exec {lock}<"$directory/LOCK" && flock --nonblock "$lock"; } ||
      fail "a shard runs on $directory; nothing was removed"
  done <<<"$found"
  while IFS= read -r directory; do
    files=$(find "$directory/" -mindepth 1 -maxdepth 1 | wc -l)
    bytes=$(du --summarize --human-readable "$directory/" | cut -f 1)
    # The lock's file is the last to go: until then no shard can begin.
    rm -f "$directory"/{log-,pass-}* "$directory"/{spare,reserve} "$directory/LOCK" ||
      fail "$directory could not be emptied"
    rmdir "$directory" 2>/dev/null || true # a link to a folder stays
    say "Removed $directory ($files files, $bytes)"
  done <<<"$found"
)
