#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Layers 0 to 5 compile without an operating system for the processors that firmware runs on, and
# need nothing but memcpy and memset there: not the C library, not libatomic, and none of the
# compiler's own helpers for products, quotients, shifts and switches. Each at -O0, -Os and -O2,
# without warnings; clang, too, where it knows the processor.
#
#   sh cores.sh SOURCE_DIR [CC]; the compilers are those of the table below, whatever CC is
set -eu

[ $# -ge 1 ] || {
    echo "usage: sh cores.sh SOURCE_DIR [CC]" >&2
    exit 2
}
include=$1/include
checks=$1/tests/build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$checks/common.sh"

# Name, then the compiler and its flags; behind a bar what else the object may need, and why:
#
# clang multiplies by the length of a struct whenever an array of structs is indexed, and for RV32I
# that is a call of __mulsi3.
#
# The last core stands for 32-bit kernels: no vector registers, arguments in registers.
cores() {
    cat <<'LIST'
Cortex-M0 arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb |
Cortex-M3 arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb |
Cortex-R5 arm-none-eabi-gcc -mcpu=cortex-r5 -marm |
Cortex-A53 aarch64-linux-gnu-gcc -mcpu=cortex-a53 -mno-outline-atomics -mstrict-align |
RV32I riscv64-unknown-elf-gcc -march=rv32i -mabi=ilp32 |
RV32IMAC riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 |
Cortex-M0/clang clang --target=armv6m-none-eabi -mcpu=cortex-m0 -meabi gnu |
Cortex-M3/clang clang --target=armv7m-none-eabi -mcpu=cortex-m3 -meabi gnu |
Cortex-R5/clang clang --target=armv7r-none-eabi -mcpu=cortex-r5 -meabi gnu |
Cortex-A53/clang clang --target=aarch64-none-elf -mcpu=cortex-a53 -mno-outline-atomics |
RV32I/clang clang --target=riscv32 -march=rv32i -mabi=ilp32 | __mulsi3
RV32IMAC/clang clang --target=riscv32 -march=rv32imac -mabi=ilp32 |
i686 i686-linux-gnu-gcc -mno-sse -mno-80387 -mregparm=3 |
LIST
}

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual
    -Wcast-align -Wpointer-arith -Wvla -Werror"

# compile_core NAME ALLOWED COMPILER [FLAG...]
compile_core() {
    name=$1
    allowed=$2
    shift 2
    table_for "$include" "$@" || return 1
    strict=-Wcast-align=strict
    case $1 in
    clang*) strict=-Wcast-align ;;
    esac
    for optimisation in -O0 -Os -O2; do
        # shellcheck disable=SC2086
        "$@" -std=c11 -ffreestanding -fno-pic $optimisation $warnings $strict -I "$include" -c \
            -o "$work/table.o" "$work/table.c" || return 1
        # shellcheck disable=SC2086
        object_is_whole "$name $optimisation" "$work/table.o" $allowed || return 1
    done
    echo "$name: $(wc -l <"$work/names") functions${allowed:+, and $allowed}"
}

compiled=0
failed=0
missing=""
while IFS='|' read -r command allowed; do
    # shellcheck disable=SC2086
    set -- $command
    name=$1
    shift
    command -v "$1" >/dev/null || {
        missing="$missing $1"
        continue
    }
    compiled=$((compiled + 1))
    compile_core "$name" "${allowed# }" "$@" || {
        echo "$name failed"
        failed=$((failed + 1))
    }
done <<LIST
$(cores)
LIST

[ -z "$missing" ] || echo "not here:$missing"
[ $failed -eq 0 ] || exit 1
if [ $compiled -eq 0 ] || [ -n "$missing" ]; then
    echo "skipped: not every compiler is here"
    exit 77
fi
echo "$compiled cores need nothing but memcpy and memset, and what the table says beside them"
