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
pare="moved prefix/bin/pare"
"$pare" --version
# A file with the op of a plug-in names it, and works with it.
"$pare" prune own_op.pare --sparsity 0.6 --epochs 0 --out pruned.pare --plugin build/libsoftsign.so
if "$pare" eval pruned.pare 2>error.txt; then echo "evaluated without its op" >&2; exit 1; fi
grep -q "'softsign' of the plug-in libsoftsign.so" error.txt
"$pare" eval pruned.pare --plugin build/libsoftsign.so --json | grep -q '"accuracy"'
if "$pare" eval pruned.pare --plugin own_op.pare 2>error.txt; then exit 1; fi
grep -q "cannot be loaded" error.txt
