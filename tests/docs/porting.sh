#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the examples of docs/PORTING.md without an operating system: the one for bare metal with
# arm-none-eabi-gcc, where it may need nothing but memcpy and memset; the one under each system's
# name against the stand-ins for its headers, in tests/docs/porting or, where they have a model that
# runs, in tests/rtos. And each test that the document
# names has its source, and the markers between which the footprint is written stand there.
#
# usage: porting.sh SOURCE_DIR [CC]      CC may carry flags. Status 0, 1, or 77: no compiler.
set -u

source_dir=${1:?usage: porting.sh SOURCE_DIR [CC]}
cc=${2:-${CC:-cc}}
document=$source_dir/docs/PORTING.md
stand_ins=$source_dir/tests/docs/porting
flags="-std=c11 -ffreestanding -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"

if ! command -v "${cc%% *}" >/dev/null 2>&1; then
    echo "skipped: no compiler ${cc%% *}"
    exit 77
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
. "$source_dir/tests/docs/common.sh"

# compile NAME COMPILER [FLAG...] FILE
compile() {
    name=$1
    shift
    # shellcheck disable=SC2086
    if "$@" $flags -I "$source_dir/include" -c -o "$work/out.o" 2>"$work/log"; then
        return 0
    fi
    cat "$work/log"
    fail "$name does not compile"
    return 1
}

# For Cortex-M, plain and with system-wide fences.
bare_metal() {
    if ! command -v arm-none-eabi-gcc >/dev/null 2>&1; then
        echo "bare metal: not compiled, there is no arm-none-eabi-gcc"
        return
    fi
    for fences in -DPLAIN -DCROSSVM_SYSTEM_FENCES; do
        for cpu in cortex-m0 cortex-m3 cortex-m33; do
            compile "bare metal, $cpu" arm-none-eabi-gcc -mcpu=$cpu -mthumb $fences "$1" || continue
            # Multiplying and indexing on a Cortex-M0 may take the compiler's own library.
            needs=$(arm-none-eabi-nm -u "$work/out.o" | grep -vw -e memcpy -e memset)
            if [ -n "$needs" ] && [ $cpu != cortex-m0 ]; then
                fail "bare metal, $cpu: needs $needs"
            fi
        done
    done
    echo "bare metal: ok"
}

# Where a system's stand-ins are.
headers_of() {
    if [ -d "$source_dir/tests/rtos/$1/include" ]; then
        echo "$source_dir/tests/rtos/$1/include"
    else
        echo "$stand_ins/$1"
    fi
}

# One that belongs to a system: its stand-ins come before the compiler's own headers.
system() {
    define=-DPORTING
    [ "$1" != linux-kernel ] || define=-D__KERNEL__
    # $cc is split into words on purpose: it may carry flags.
    # shellcheck disable=SC2086
    compile "$1" $cc $define -I "$(headers_of "$1")" "$2" && echo "$1: ok"
}

extract "$document" "$work/example" "crossvm"
seen=" "
for example in "$work"/example.*.c; do
    [ -f "$example" ] || continue
    name=$(tr 'A-Z ' 'a-z-' <"${example%.c}.heading")
    seen="$seen$name "
    if [ "$name" = bare-metal ]; then
        bare_metal "$example"
    elif [ -d "$(headers_of "$name")" ]; then
        system "$name" "$example"
    else
        fail "there are no stand-ins for $name"
    fi
done
for name in bare-metal zephyr freertos $(ls "$stand_ins"); do
    case $seen in
    *" $name "*) ;;
    *) fail "$document has no example for $name" ;;
    esac
done

# Names of tests are those that CTest has: folder or path, then the source's name.
pattern='`\(unit\|build\|docs\|strict\|fences\)-[a-z_]*`'
for test in $(grep -o "$pattern" "$document" | tr -d '\`'); do
    folder=${test%%-*}
    case $folder in
    strict | fences) folder=unit ;;
    esac
    ls "$source_dir/tests/$folder/${test#*-}".* >/dev/null 2>&1 || fail "there is no test $test"
done
for marker in begin end; do
    [ "$(grep -c -x -e "<!-- footprint: $marker -->" "$document")" = 1 ] ||
        fail "$document: expected one line <!-- footprint: $marker -->"
done
exit "$failed"
