#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The firmware of examples/firmware builds with each compiler that is here, for each architecture
# that lies there, and includes nothing but the library's headers and the compiler's own.
#
#   sh firmware_example.sh SOURCE_DIR [CC]
set -eu

source=$1
cc=${2:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
n_built=0
seen=""

# try ARCH COMPILER PROCESSOR: a compiler for another processor is not tried.
try() {
    [ -d "$source/examples/firmware/$1" ] || return 0
    case $("$2" -dumpmachine) in
    $3-*) ;;
    *) return 0 ;;
    esac
    rm -f "$work/firmware.elf"
    if ! sh "$source/examples/firmware/build.sh" "$1" "$work/firmware.elf" "$2"; then
        failed=1
        return 0
    fi
    if [ -n "$(nm -u "$work/firmware.elf")" ]; then
        echo "$1, $2: something is undefined"
        failed=1
    fi
    echo "$1, $2: $(wc -c <"$work/firmware.elf") bytes"
    n_built=$((n_built + 1))
}

for compiler in "$cc" gcc clang x86_64-linux-gnu-gcc aarch64-linux-gnu-gcc; do
    path=$(command -v "$compiler") || continue
    case $seen in
    *"[$(readlink -f "$path")]"*) continue ;;
    esac
    seen="$seen [$(readlink -f "$path")]"
    try x86_64 "$compiler" x86_64
    try aarch64 "$compiler" aarch64
done

if grep -rn '^ *# *include *<' "$source/examples/firmware" |
    grep -v '<crossvm/' | grep -vE '<(stdarg|stdbool|stddef|stdint)\.h>'; then
    echo "these are neither the library's headers nor the compiler's own"
    failed=1
fi
[ $failed -eq 0 ] || exit 1
[ $n_built -gt 0 ] || {
    echo "skipped: no compiler for a firmware's processor here"
    exit 77
}
