#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Layers 0 to 5 need nothing from outside but memcpy and memset: a program that takes the address
# of every one of their functions is compiled freestanding, and its undefined symbols are counted.
# (tests/firmware/cores.sh does the same for processors without an operating system.)
#
#   sh check_freestanding.sh SOURCE_DIR [CC]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
include=$1/include
cc=${2:-cc}
. "$here/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v nm >/dev/null || {
    echo "skipped: no nm here"
    exit 77
}

failed=0
seen=""
for compiler in "$cc" gcc clang; do
    path=$(command -v "$compiler") || continue
    case $seen in
    *"[$(readlink -f "$path")]"*) continue ;;
    esac
    seen="$seen [$(readlink -f "$path")]"
    table_for "$include" "$compiler"
    for optimisation in -O0 -O2; do
        "$compiler" -std=c11 -ffreestanding -fno-pic $optimisation -I "$include" -c \
            -o "$work/table.o" "$work/table.c"
        object_is_whole "$compiler $optimisation" "$work/table.o" || failed=1
        echo "$compiler $optimisation: $(wc -l <"$work/names") functions"
    done
done
[ $failed -eq 0 ] && echo "nothing is needed but memcpy and memset"
exit $failed
