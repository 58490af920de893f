# shellcheck shell=bash
# The Python environment of the real-client tests: packages at fixed versions and stubs generated
# from our protos, in .build-venv (never committed). Sourced after lib.sh.

readonly VENV=$ROOT/.build-venv
readonly REQUIREMENTS=$ROOT/Tests/RealClients/requirements.txt
readonly PROTOS=$ROOT/Sources/RingstoreAPI/Protos
readonly INTEROP_PROTOS=$ROOT/Tests/Interop/Protos

# A checksum of the environment's inputs; another sum means that it must be made again.
venv_sum() {
  { python3 --version && cat "$REQUIREMENTS" &&
    find "$PROTOS" "$INTEROP_PROTOS" -name '*.proto' | LC_ALL=C sort | xargs cat; } |
    sha256sum | cut -d ' ' -f 1
}

# Our own protos and those of the interop tests: Google's others are part of the packages, and a
# second copy would conflict with them.
generate_stubs() {
  local protos
  mapfile -t protos < <(cd "$PROTOS" && find ringstore legacy -name '*.proto' | LC_ALL=C sort)
  mkdir -p "$VENV/stubs"
  (cd "$PROTOS" && "$VENV/bin/python" -m grpc_tools.protoc -I . --python_out="$VENV/stubs" \
    --grpc_python_out="$VENV/stubs" "${protos[@]}")
  mapfile -t protos < <(cd "$INTEROP_PROTOS" && find . -name '*.proto' | LC_ALL=C sort)
  (cd "$INTEROP_PROTOS" && "$VENV/bin/python" -m grpc_tools.protoc -I . \
    --python_out="$VENV/stubs" --grpc_python_out="$VENV/stubs" "${protos[@]#./}")
}

# Makes the environment, or keeps the existing one if nothing has changed since.
prepare_venv() {
  local sum
  sum=$(venv_sum)
  [ "$(cat "$VENV/made-of" 2>/dev/null)" != "$sum" ] || return 0
  rm -rf "$VENV"
  python3 -m venv "$VENV" &&
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement "$REQUIREMENTS" &&
    generate_stubs &&
    printf '%s\n' "$sum" >"$VENV/made-of"
}
