#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets find faults: planted.sh SOURCE_DIR. Each fault of faults/plant.py is planted into
# a copy of the headers; its target has to find it, from an empty corpus, within a bounded number of
# runs, of which a second has some 100,000.
#
# planted.sh SOURCE_DIR - FAULT... plants only those.
set -eu

most=4000000

top=$1
. "$top/tests/fuzz/common.sh"
fuzz_need_clang

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

faults=$(python3 "$top/tests/fuzz/faults/plant.py" "$top" --list | cut -d ' ' -f 1)
if [ $# -gt 2 ]; then
    shift 2
    faults=$*
fi
missed=0
for fault in $faults; do
    target=$(python3 "$top/tests/fuzz/faults/plant.py" "$top" --list | sed -n "s/^$fault //p")
    rm -rf "$work/include"
    python3 "$top/tests/fuzz/faults/plant.py" "$top" "$fault" "$work/include"
    fuzz_build "$target" "$work/include" "$work/program" fuzzer,address,undefined
    if fuzz_run "$work/program" -runs=$most -artifact_prefix="$work/" >"$work/log" 2>&1; then
        echo "$fault: NOT FOUND by $target in $most runs"
        missed=$((missed + 1))
        continue
    fi
    echo "$fault: found by $target after $(fuzz_count "$work/log") runs: $(fuzz_why "$work/log")"
done
[ $missed -eq 0 ]
