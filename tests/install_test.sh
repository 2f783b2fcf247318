#!/usr/bin/env bash
# Installs into a prefix, moves the prefix, and builds and runs an example against it.
set -euo pipefail
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved prefix"
cmake -S "$source/examples/own_op" -B "$work/build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$work/moved prefix" "${@:3}" >/dev/null
cmake --build "$work/build" >/dev/null
cd "$work"
build/own_op
"moved prefix/bin/pare" --version
