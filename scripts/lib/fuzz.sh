# How fuzz targets are built and run. To be sourced.

# configure_fuzz SOURCE BUILD [FLAGS]: clang's libFuzzer under the sanitizers; a BUILD that has it stays as it is.
configure_fuzz() {
  local source=$1 build=$2
  shift 2
  ! grep -qs '^PARE_FUZZ:BOOL=ON' "$build/CMakeCache.txt" || return 0
  cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="${CXX:-clang++-19}" \
    -DPARE_FUZZ=ON -DPARE_SANITIZE=address,undefined \
    -DPARE_TESTS=OFF -DPARE_TOOLS=OFF -DPARE_EXAMPLES=OFF "$@" >/dev/null
}

# fuzz TARGET BUILD FOLDER SECONDS: from the seeds and what FOLDER/corpus/TARGET holds; a finding is left as FOLDER/TARGET-*.
fuzz() {
  local corpus=$3/corpus/$1
  mkdir -p "$corpus"
  [ ! -d "tests/fuzz/seeds/$1" ] || cp tests/fuzz/seeds/"$1"/* "$corpus"
  "$2/tests/fuzz/fuzz_$1" "$corpus" -max_total_time="$4" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -artifact_prefix="$3/$1-" -print_final_stats=1 -verbosity=0 </dev/null
}

fuzz_targets() { basename -s .cpp tests/fuzz/fuzz_*.cpp | sed 's/^fuzz_//'; }
