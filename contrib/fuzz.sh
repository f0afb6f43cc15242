#!/bin/sh
# fuzz.sh [SECONDS [TARGET ...]] - builds the fuzz targets with ASan and UBSan and runs each for SECONDS (600), two at a time on two
# cores. What is found is left in build/fuzz/found/; a target that found something fails the script. Interesting inputs are kept in
# build/fuzz/corpus/; minimised ones belong into tests/fuzz/corpus/.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-600}
[ $# -eq 0 ] || shift
"$top/contrib/setup.sh" test
build=${POSTERN_BUILD:-$top/build}/fuzz
cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=clang \
  -DPOSTERN_SANITIZE=address,undefined -DPOSTERN_FUZZ=ON -DPOSTERN_WERROR=ON >/dev/null
if [ $# -eq 0 ]; then
  for source in "$top"/tests/fuzz/fuzz_*.c; do
    set -- "$@" "$(basename "$source" .c)"
  done
fi
(cd "$build" && ninja --quiet "$@")
mkdir -p "$build/found"

one() { # target
  corpus=$build/corpus/$1
  seeds=$top/tests/fuzz/corpus/$1
  dictionary=$top/tests/fuzz/$1.dict
  mkdir -p "$corpus"
  with=
  [ ! -f "$dictionary" ] || with=-dict=$dictionary
  if "$build/tests/$1" ${with:+"$with"} -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/found/$1-" \
    "$corpus" "$seeds" >"$build/$1.log" 2>&1; then
    echo "clean $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$1.log") runs in $seconds s"
  else
    echo "FOUND $1: see $build/$1.log"
    return 1
  fi
}

status=0
running=
for target in "$@"; do
  one "$target" &
  running="$running $!"
  if [ "$(echo "$running" | wc -w)" -ge "$(nproc)" ]; then
    for pid in $running; do wait "$pid" || status=1; done
    running=
  fi
done
for pid in $running; do wait "$pid" || status=1; done
exit $status
