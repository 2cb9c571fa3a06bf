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
trap 'exit 1' HUP INT TERM

# shellcheck source-path=SCRIPTDIR
. "$source/tests/cross/common.sh"
build_everywhere "$source/include" "$source/tests/cross/peer.c"

n_pairs=0

# party NAME a|b OTHER: runs one of a pair; when it fails the other is not left waiting.
party() {
    # shellcheck disable=SC2016
    sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$work/$2.pid" "$work/$1.run" "$2" "$prefix" \
        >"$work/$2.out" 2>&1 || {
        touch "$work/failed"
        kill "$(cat "$work/$3.pid")" 2>/dev/null || true
    }
}

# pair NAME NAME: both must end well.
pair() {
    party "$1" a b &
    party "$2" b a &
    wait
    rm -f /dev/shm/"$prefix"-*
    n_pairs=$((n_pairs + 1))
    if [ ! -e "$work/failed" ]; then
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
