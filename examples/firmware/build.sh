#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh ARCH OUT.elf [CC] - the firmware for x86_64 or aarch64, with gcc or clang; nothing but the
# library's headers, the compiler's own, and what lies here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
arch=${1:?usage: build.sh ARCH OUT.elf [CC]}
out=${2:?usage: build.sh ARCH OUT.elf [CC]}
case $arch in
x86_64)
    cc=${3:-cc}
    flags="-mgeneral-regs-only -mno-red-zone -mcmodel=small -fno-pie"
    ;;
aarch64)
    cc=${3:-aarch64-linux-gnu-gcc}
    flags="-mgeneral-regs-only -mstrict-align -mno-outline-atomics -fno-pie"
    ;;
*)
    echo "build.sh: $arch: expected x86_64 or aarch64" >&2
    exit 2
    ;;
esac
# shellcheck disable=SC2086 # the flags are many
"$cc" -std=c11 -O2 -g -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables $flags \
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I"$here/../../include" \
    -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-T,"$here/$arch/link.ld" \
    -o "$out" "$here/$arch"/*.S "$here/$arch"/*.c "$here"/firmware.c "$here"/app.c "$here"/bells.c \
    "$here"/memory.c
