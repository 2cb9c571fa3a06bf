#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Layers 0 to 5 need nothing from outside but memcpy and memset: a program that takes the address
# of every one of their functions is compiled freestanding, and its undefined symbols are counted.
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

cat >"$work/start.c" <<'START'
#include <crossvm/crossvm.h>
struct element {
    uint32_t words[5];
};
CROSSVM_SPSC_TYPE(crossvm_typed, struct element);
START

failed=0
seen=""
for compiler in "$cc" gcc clang; do
    path=$(command -v "$compiler") || continue
    case $seen in
    *"[$(readlink -f "$path")]"*) continue ;;
    esac
    seen="$seen [$(readlink -f "$path")]"
    names_of "$compiler" -std=c11 -ffreestanding -I "$include" "$work/start.c" >"$work/names"
    write_table "$work/start.c" crossvm_every_function <"$work/names" >"$work/table.c"
    for optimisation in -O0 -O2; do
        "$compiler" -std=c11 -ffreestanding -fno-pic $optimisation -I "$include" -c \
            -o "$work/table.o" "$work/table.c"
        nm "$work/table.o" >"$work/symbols"
        # Without the functions in it the object proves nothing.
        sed -n 's/.* [tT] //p' "$work/symbols" | sort -u >"$work/defined"
        comm -23 "$work/names" "$work/defined" >"$work/dropped"
        if [ -s "$work/dropped" ] || [ ! -s "$work/names" ]; then
            echo "$compiler $optimisation: not in the object:"
            sed 's/^/    /' "$work/dropped"
            failed=1
        fi
        if sed -n 's/^ *U //p' "$work/symbols" | grep -vx -e memcpy -e memset >"$work/needed"; then
            echo "$compiler $optimisation needs from outside:"
            sed 's/^/    /' "$work/needed"
            failed=1
        fi
        echo "$compiler $optimisation: $(wc -l <"$work/names") functions"
    done
done
[ $failed -eq 0 ] && echo "nothing is needed but memcpy and memset"
exit $failed
