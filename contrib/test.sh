#!/bin/sh
# test.sh [ctest options] - installs what is missing, builds with the sanitizers and without, runs every test.
# The last lines are ctest's summary; the exit status is its.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
"$top/contrib/setup.sh" test
jobs=$(nproc)
build=${POSTERN_BUILD:-$top/build}

configure() { # name, options ...
  name=$1
  shift
  cmake -S "$top" -B "$build/$name" -G Ninja -DPOSTERN_WERROR=ON "$@" >/dev/null
}

# What the other compilers and sanitizers think is a test as well: it must build, and the unit tests must pass.
configure release -DCMAKE_BUILD_TYPE=RelWithDebInfo
ninja -C "$build/release" -j "$jobs" --quiet
configure asan -DCMAKE_BUILD_TYPE=Debug -DPOSTERN_SANITIZE=address,undefined
ninja -C "$build/asan" -j "$jobs" --quiet
configure tsan -DCMAKE_BUILD_TYPE=Debug -DPOSTERN_SANITIZE=thread
ninja -C "$build/tsan" -j "$jobs" --quiet unit_tests
configure clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=clang
ninja -C "$build/clang" -j "$jobs" --quiet

# A test that fails is run once more before it counts: black-box tests wait for real processes, and a loaded machine may be late.
# Runs one build's tests; what it printed is shown only when something failed.
quietly() { # name, ctest options ...
  name=$1
  shift
  if ctest --test-dir "$build/$name" -j "$jobs" --output-on-failure --no-tests=error --repeat until-pass:2 "$@" >"$build/$name.log" 2>&1; then
    grep 'tests passed' "$build/$name.log" | sed "s/^/$name: /"
  else
    tail -n 300 "$build/$name.log"
    return 1
  fi
}

status=0
quietly tsan -L unit || status=1
quietly clang -L unit || status=1
# What takes longest, and all with programs of others, is run with the release below.
quietly asan -LE 'lint|interop|kerberos|docs|crash' -E simulate_and_live || status=1
ctest --test-dir "$build/release" -j "$jobs" --output-on-failure --no-tests=error --repeat until-pass:2 "$@" || status=1
exit $status
