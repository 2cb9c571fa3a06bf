#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every header compiles alone, included twice, without a warning: as C11, C++17 and C++20, with
# every compiler that is here; those that are C++ alone (*.hpp) also without exceptions. Layers 0 to
# 5 also freestanding, where no system header but stdint, stddef and stdbool may be read. The builds
# that the headers offer (other copies, other fences, hooks) are compiled through the umbrella
# header. The backends of real-time systems are compiled against the stand-ins for the systems'
# headers (tests/rtos), with all that can be configured and with none of it.
#
#   sh check_headers.sh SOURCE_DIR [CC]
set -eu

source=$1
include=$source/include
cc=${2:-cc}
. "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual
    -Wcast-align -Wpointer-arith -Wvla -Wformat=2 -Wdouble-promotion -Werror"
c_warnings="-Wstrict-prototypes -Wmissing-prototypes -Wbad-function-cast -Wc++-compat"

# The one that was named, gcc and clang; two names of one program count once.
compilers=""
seen=""
for compiler in "$cc" gcc clang; do
    path=$(command -v "$compiler") || continue
    case $seen in
    *"[$(readlink -f "$path")]"*) continue ;;
    esac
    seen="$seen [$(readlink -f "$path")]"
    compilers="$compilers $compiler"
done

compiled=0
failed=0

# compile WHAT COMMAND...: says what failed, and goes on.
compile() {
    what=$1
    shift
    compiled=$((compiled + 1))
    if ! "$@" >"$work/out" 2>&1; then
        failed=$((failed + 1))
        echo "$what:"
        sed 's/^/    /' "$work/out" | head -n 15
    fi
}

# Which files the compiler read, one a line.
files_read() {
    tr ' ' '\n' <"$work/deps" | sed 's/\\$//' | grep '/' | grep -v "^$work" || true
}

# Only our own headers, and the compiler's three (with the parts that it keeps in files beside).
only_three() {
    files_read | while read -r file; do
        case $file in
        "$include"/crossvm/*) ;;
        */stdint.h | */stdint-gcc.h | */stddef.h | */__stddef_*.h | */stdbool.h) ;;
        *) echo "$file" ;;
        esac
    done
}

# Where a header finds what its system would bring.
system_of() {
    case $1 in
    crossvm/backend/zephyr.h | crossvm/backend/freertos.h)
        echo "-isystem $source/tests/rtos/$(basename "$1" .h)/include"
        ;;
    esac
}

for name in $(cd "$include" && find crossvm -name '*.h' | sort); do
    system=$(system_of "$name")
    printf '#include <%s>\n#include <%s>\nextern int crossvm_nothing;\n' "$name" "$name" \
        >"$work/alone.c"
    cp "$work/alone.c" "$work/alone.cc"
    for compiler in $compilers; do
        # shellcheck disable=SC2086
        compile "$name, $compiler, C11" "$compiler" -std=c11 $warnings $c_warnings -I "$include" \
            $system -fsyntax-only "$work/alone.c"
        # shellcheck disable=SC2086
        [ -z "$system" ] ||
            compile "$name, $compiler, plain" "$compiler" -std=c11 $warnings $c_warnings \
                -DSTAND_IN_PLAIN -I "$include" $system -fsyntax-only "$work/alone.c"
        cxx=$(cxx_of "$compiler")
        if command -v "$cxx" >/dev/null; then
            for std in c++17 c++20; do
                # shellcheck disable=SC2086
                compile "$name, $cxx, $std" "$cxx" -std=$std $warnings -I "$include" \
                    $system -fsyntax-only "$work/alone.cc"
            done
        else
            echo "no $cxx here: $name was not compiled as C++ beside $compiler"
        fi
        case $name in
        crossvm/backend/*) continue ;;
        esac
        # shellcheck disable=SC2086
        compile "$name, $compiler, freestanding" "$compiler" -std=c11 -ffreestanding $warnings \
            $c_warnings -I "$include" -fsyntax-only "$work/alone.c"
        "$compiler" -std=c11 -ffreestanding -I "$include" -M "$work/alone.c" >"$work/deps"
        only_three >"$work/strangers"
        if [ -s "$work/strangers" ]; then
            failed=$((failed + 1))
            echo "$name, $compiler, freestanding: reads a system header:"
            sed 's/^/    /' "$work/strangers"
        fi
    done
done

for name in $(cd "$include" && find crossvm -name '*.hpp' | sort); do
    printf '#include <%s>\n#include <%s>\nextern int crossvm_nothing;\n' "$name" "$name" \
        >"$work/alone.cc"
    for compiler in $compilers; do
        cxx=$(cxx_of "$compiler")
        command -v "$cxx" >/dev/null || continue
        for std in c++17 c++20; do
            for variant in "" "-fno-exceptions -fno-rtti" -ffreestanding; do
                case $name$variant in
                crossvm/backend/*-ffreestanding) continue ;;
                esac
                # shellcheck disable=SC2086
                compile "$name, $cxx, $std $variant" "$cxx" -std=$std $variant $warnings \
                    -I "$include" -fsyntax-only "$work/alone.cc"
            done
        done
    done
done

printf '#include <crossvm/crossvm.h>\nextern int crossvm_nothing;\n' >"$work/variant.c"
for compiler in $compilers; do
    for variant in -DCROSSVM_STRICT_C11 -DCROSSVM_SYSTEM_FENCES -DCROSSVM_HOOKS -DCROSSVM_MODEL \
        "-DCROSSVM_HOOKS -DCROSSVM_SYSTEM_FENCES" -fsanitize=thread -fsanitize=address -O3; do
        # shellcheck disable=SC2086
        compile "crossvm/crossvm.h, $compiler, $variant" "$compiler" -std=c11 $variant $warnings \
            $c_warnings -Wno-error=tsan -Wno-unknown-warning-option -I "$include" \
            -c -o "$work/variant.o" "$work/variant.c"
    done
    case $("$compiler" -dumpmachine) in
    x86_64*)
        # shellcheck disable=SC2086
        compile "crossvm/crossvm.h, $compiler, -mavx2" "$compiler" -std=c11 -mavx2 $warnings \
            $c_warnings -I "$include" -c -o "$work/variant.o" "$work/variant.c"
        ;;
    esac
done

if [ $failed -ne 0 ]; then
    echo "$failed failed"
    exit 1
fi
echo "$compiled compilations without a warning by$compilers"
