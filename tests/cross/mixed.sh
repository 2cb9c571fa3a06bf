#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every pair of architectures shares memory: big-endian with little-endian, 32-bit with 64-bit. Two
# processes of peer.c, which write and read in both directions.
#
#   sh mixed.sh SOURCE_DIR [CC]
set -eu

source=$1
work=$(mktemp -d)
prefix=crossvm-mixed-$$
trap 'rm -rf "$work" /dev/shm/$prefix-*' EXIT

# shellcheck source-path=SCRIPTDIR
. "$source/tests/cross/common.sh"
build_everywhere "$source/include" "$source/tests/cross/peer.c"

n_pairs=0

# pair NAME NAME: both must end well; when one fails the other is not left waiting.
pair() {
    "$work/$1.run" a "$prefix" >"$work/a.out" 2>&1 &
    a=$!
    "$work/$2.run" b "$prefix" >"$work/b.out" 2>&1 &
    b=$!
    status=0
    wait $a || status=$?
    [ $status -eq 0 ] || kill $b 2>/dev/null || true
    wait $b || status=$?
    rm -f /dev/shm/"$prefix"-*
    n_pairs=$((n_pairs + 1))
    if [ $status -eq 0 ]; then
        echo "$1 and $2: $(tail -n 1 "$work/a.out")"
    else
        echo "$1 and $2: failed"
        sed "s/^/    $1: /" "$work/a.out"
        sed "s/^/    $2: /" "$work/b.out"
        exit 1
    fi
}

for first in $(cat "$work/names"); do
    for second in $(awk -v first="$first" 'behind { print } $0 == first { behind = 1 }' \
        "$work/names"); do
        pair "$first" "$second"
    done
done

echo "$n_pairs pairs"
