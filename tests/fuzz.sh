#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The hostile peer: for each primitive a target of libFuzzer's in which an enemy writes shared bytes
# between any two accesses of the library (tests/fuzz/fuzz.h). One line a target; the last line
# counts them.
#
#   sh tests/fuzz.sh [--fast] [--runs N | --seconds N | --hours N] [TARGET]...
#
#   --runs N, --seconds N, --hours N   how long each target runs (default: --seconds 5)
#   --fast     without sanitizers; pages that fault and the checks of the targets remain
#   TARGET     a source in tests/fuzz without its .c (default: all)
#
# Builds into build/fuzz, where each target's corpus is kept: what a run has found, the next one
# begins with. With an empty corpus the same --runs do the same again.
#
# Environment: CROSSVM_FUZZ_DIR says where to build; CROSSVM_FUZZ_CLANG names the compiler.
set -eu

usage() {
    echo "usage: sh tests/fuzz.sh [--fast] [--runs N | --seconds N | --hours N] [TARGET]..." >&2
    exit 2
}

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/fuzz/common.sh"

limit=""
sanitizers=fuzzer,address,undefined
kind=checked
targets=""
while [ $# -gt 0 ]; do
    case $1 in
    --runs | --seconds | --hours)
        [ -z "$limit" ] || {
            echo "fuzz.sh: $1: expected only one of --runs, --seconds, --hours" >&2
            usage
        }
        case ${2-} in
        '' | *[!0-9]* | 0*)
            echo "fuzz.sh: $1 ${2-}: expected a whole number from 1" >&2
            usage
            ;;
        esac
        case $1 in
        --runs) limit=-runs=$2 ;;
        --seconds) limit=-max_total_time=$2 ;;
        --hours) limit=-max_total_time=$(($2 * 3600)) ;;
        esac
        shift 2
        ;;
    --fast)
        sanitizers=fuzzer
        kind=fast
        shift
        ;;
    *)
        [ -f "$top/tests/fuzz/$1.c" ] || {
            echo "fuzz.sh: $1: expected an option or one of: $(fuzz_targets | tr '\n' ' ')" >&2
            usage
        }
        targets="$targets $1"
        shift
        ;;
    esac
done
[ -n "$limit" ] || limit=-max_total_time=5
[ -n "$targets" ] || targets=$(fuzz_targets)
fuzz_need_clang

build=${CROSSVM_FUZZ_DIR:-$top/build/fuzz}
mkdir -p "$build"
build=$(cd "$build" && pwd)

passed=0
failed=0
for target in $targets; do
    program=$build/$kind-$target
    log=$build/$kind-$target.log
    corpus=$build/corpus/$target
    mkdir -p "$corpus"
    if [ ! -x "$program" ] ||
        [ -n "$(find "$top/include" "$top/tests/fuzz" -newer "$program" -type f)" ]; then
        fuzz_build "$target" "$top/include" "$program" "$sanitizers"
    fi
    result=ok
    fuzz_run "$program" "$limit" -artifact_prefix="$build/$target-" "$corpus" >"$log" 2>&1 ||
        result=FAILED
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    echo "$target: $(fuzz_count "$log") runs, $rate a second, $result"
    if [ $result = ok ]; then
        passed=$((passed + 1))
        continue
    fi
    failed=$((failed + 1))
    fuzz_why "$log"
    input=$(sed -n 's/.*Test unit written to //p' "$log")
    echo "$target: the input is $input; again: $program $input"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
