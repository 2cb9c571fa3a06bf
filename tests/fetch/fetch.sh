#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The single-fetch audit, built by gcc and by clang at three levels: fetch.sh SOURCE_DIR [CC].
# Prints the table of operations once, and one line a build. Then double fetches are planted into
# copies of the headers (tests/fuzz/faults/plant.py), which every build has to notice.
set -eu

top=$1
cc=${2:-cc}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # COMPILER LEVEL INCLUDE_DIR
    "$1" -std=c11 "$2" -g1 -I"$3" -I"$top/tests" "$top/tests/fetch/fetch.c" -o "$work/fetch" \
        -lpthread
}

compilers=""
for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null; then
        compilers="$compilers $compiler"
    else
        echo "(no $compiler here)"
    fi
done
[ -n "$compilers" ] || compilers=$cc

status=0
shown=no
for compiler in $compilers; do
    for level in -O0 -O2 -Os; do
        build "$compiler" "$level" "$top/include"
        result=0
        "$work/fetch" >"$work/out" || result=$?
        if [ $result -eq 77 ]; then
            cat "$work/out"
            exit 77
        fi
        if [ $result -ne 0 ] || [ $shown = no ]; then
            cat "$work/out"
            shown=yes
        fi
        [ $result -eq 0 ] || status=1
        echo "$compiler $level: $(tail -n 1 "$work/out")"
    done
done

for fault in spsc-tail-loaded-twice pool-number-loaded-twice; do
    rm -rf "$work/include"
    python3 "$top/tests/fuzz/faults/plant.py" "$top" "$fault" "$work/include"
    for compiler in $compilers; do
        for level in -O0 -O2 -Os; do
            build "$compiler" "$level" "$work/include"
            if "$work/fetch" >"$work/out"; then
                echo "$fault: NOT FOUND in $compiler $level"
                status=1
            elif ! grep -q ': loads the word at ' "$work/out"; then
                cat "$work/out"
                echo "$fault: $compiler $level fails in another way"
                status=1
            fi
        done
    done
    [ $status -ne 0 ] || echo "$fault: found, $(grep -m 1 ': loads the word at ' "$work/out")"
done
exit $status
