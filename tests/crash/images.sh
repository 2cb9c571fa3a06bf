#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What quick.sh does, with gcc and with clang, not optimised, for speed, and for size: compilers
# store in other orders and at other widths.
#
#   sh images.sh SOURCE_DIR [CC]
set -eu

source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source-path=SCRIPTDIR
. "$source/tests/crash/common.sh"
can_step
n=0
for compiler in gcc clang; do
    if ! command -v "$compiler" >/dev/null; then
        echo "left out: no $compiler here"
        continue
    fi
    for level in -O0 -O2 -Os; do
        images "$compiler" "$level"
        n=$((n + 1))
    done
done
if [ $n -eq 0 ]; then
    echo "skipped: neither gcc nor clang here"
    exit 77
fi
echo "$n builds, every image survived"
