# SPDX-License-Identifier: Apache-2.0
#
# tests/cross/common.sh - the architectures that Debian has compilers and emulators for, and how a
# program for one of them is built and run. Read with `.`; $work is a directory of the caller's.

# Name, compiler, emulator; the first is this machine.
architectures() {
    cat <<'LIST'
native cc env
aarch64 aarch64-linux-gnu-gcc qemu-aarch64
armhf arm-linux-gnueabihf-gcc qemu-arm
i386 i686-linux-gnu-gcc qemu-i386
powerpc powerpc-linux-gnu-gcc qemu-ppc
ppc64el powerpc64le-linux-gnu-gcc qemu-ppc64le
riscv64 riscv64-linux-gnu-gcc qemu-riscv64
s390x s390x-linux-gnu-gcc qemu-s390x
LIST
}

# links COMPILER: it is there, and a C library for it.
links() {
    echo '#include <stdio.h>
int main(void) { return puts("") < 0; }' >"$work/probe.c"
    "$1" -static -o "$work/probe" "$work/probe.c" 2>/dev/null
}

# build_everywhere INCLUDE SOURCE: $work/NAME.run is then a command that runs the program as NAME.
# Says which architectures have no tools here.
build_everywhere() {
    architectures >"$work/architectures"
    : >"$work/names"
    while read -r name compiler emulator; do
        if ! links "$compiler" || ! command -v "$emulator" >/dev/null; then
            echo "left out: $name, no $compiler with a C library, or no $emulator here"
            continue
        fi
        "$compiler" -static -std=c11 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \
            -I "$1" -o "$work/$name" "$2"
        printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$emulator" "$work/$name" >"$work/$name.run"
        chmod +x "$work/$name.run"
        echo "$name" >>"$work/names"
    done <"$work/architectures"
    if [ "$(wc -l <"$work/names")" -lt 2 ]; then
        echo "skipped: no other architecture's compiler and emulator here"
        exit 77
    fi
}
