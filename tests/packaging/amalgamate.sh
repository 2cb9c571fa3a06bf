#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cmake/amalgamate.sh writes the same bytes wherever it runs, other bytes for other sources, and a
# header that compiles without a warning as C11, C++17 and C++20, by gcc and clang, with and without
# each of its options, included again, and freestanding; and that a program works with.
#
# usage: amalgamate.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no compiler.
. "$(dirname "$0")/common.sh"
need "$cc" awk

warnings="$flags -Wsign-conversion -Wundef -Wcast-qual -Wcast-align -Wpointer-arith -Wvla
    -Wformat=2 -Wdouble-promotion"
single="$work/single"

amalgamate() {
    sh "$1/cmake/amalgamate.sh" "$2"
}

hash_of() {
    grep -o '[0-9a-f]\{64\}' "$1"
}

# ---- the same sources, the same bytes ------------------------------------------------------------

copy_library "$library"
copy_library "$work/elsewhere"
find "$work/elsewhere/include" -exec touch -d 2001-01-01 {} +
mkdir "$single"
passes "writing" amalgamate "$library" "$single/crossvm.h" || exit 1
passes "writing elsewhere" env LC_ALL=en_US.UTF-8 TZ=Asia/Tokyo sh -c \
    "cd / && umask 077 && sh '$work/elsewhere/cmake/amalgamate.sh' '$work/again.h'"
passes "the same bytes" cmp "$single/crossvm.h" "$work/again.h"
passes "writing to the current directory" sh -c \
    "cd '$work/elsewhere' && sh cmake/amalgamate.sh && cmp crossvm.h '$single/crossvm.h'"
equal "the version is said" "$(sed -n '3s/:.*//p' "$single/crossvm.h")" \
    " * crossvm $version in one header"
equal "hashes" "$(hash_of "$single/crossvm.h" | wc -l)" 1

echo "/* another line */" >>"$work/elsewhere/include/crossvm/bytes.h"
passes "writing other sources" amalgamate "$work/elsewhere" "$work/again.h"
if [ "$(hash_of "$work/again.h")" = "$(hash_of "$single/crossvm.h")" ]; then
    fail "other sources have the same hash"
fi

# ---- everything is in it -------------------------------------------------------------------------

# Every line of every header, in its order, but for includes of the library's own and empty lines.
lines_of() {
    grep -v '^#include "' "$1" | grep -v '^$'
}
for header in $(cd "$library/include" && find crossvm -type f | sort); do
    lines_of "$library/include/$header" >"$work/lines"
    first=$(grep -nF " * $header - " "$single/crossvm.h" | cut -d : -f 1)
    case $first in
    '' | *[!0-9]*)
        fail "$header is not there, or not once"
        continue
        ;;
    esac
    # Its title is in its third line.
    tail -n "+$((first - 2))" "$single/crossvm.h" | lines_of - | head -n "$(wc -l <"$work/lines")" |
        cmp -s - "$work/lines" || fail "$header is not there as it is"
done
if grep -n '^#include "' "$single/crossvm.h"; then
    fail "an include of the library's own is left"
fi

# ---- it refuses what it cannot do ----------------------------------------------------------------

refused "two arguments" "expected one file" sh "$library/cmake/amalgamate.sh" a b
refused "an option" "expected one file" sh "$library/cmake/amalgamate.sh" --output
refused "a directory" "expected a file" sh "$library/cmake/amalgamate.sh" "$work"
sh "$library/cmake/amalgamate.sh" --output >/dev/null 2>&1
equal "the status of a bad argument" $? 2
for bad in '"nowhere.h"' '"clock.h"' '"backend/shm.h"' '<crossvm/spsc.h>'; do
    # clock.h: region.h is below it, and would then include itself by a detour.
    cp "$library/include/crossvm/region.h" "$work/region.h"
    echo "#include $bad" >>"$library/include/crossvm/region.h"
    refused "an include of $bad in region.h" region.h amalgamate "$library" "$work/again.h"
    cp "$work/region.h" "$library/include/crossvm/region.h"
done

# ---- it compiles ---------------------------------------------------------------------------------

options="CROSSVM_WITH_CXX $(cd "$library/include/crossvm/backend" && for file in *; do
    echo "CROSSVM_WITH_$(echo "${file%%.*}" | tr '[:lower:]' '[:upper:]')"
done)"

# In place of the headers of RTOSes.
rtos=$(cd "$test_dir/../rtos" && pwd)
stand_ins="-isystem $rtos/zephyr/include -isystem $rtos/freertos/include"

# program MACROS: defines them and includes the header twice.
program() {
    for macro in $1; do
        echo "#define $macro 1"
    done
    echo '#include <crossvm.h>'
    echo '#include <crossvm.h>'
    echo 'int main(void) { return CROSSVM_VERSION_MAJOR == 1000; }'
}

compile() {
    program "$2" >"$work/use.c"
    cp "$work/use.c" "$work/use.cc"
    for compiler in $compilers; do
        # shellcheck disable=SC2086
        passes "$1, $compiler" "$compiler" -std=c11 $3 $warnings $stand_ins -Wstrict-prototypes \
            -I "$single" -c "$work/use.c" -o "$work/use.o" >>"$work/log" || failed=1
    done
    for compiler in $cxx_compilers; do
        for std in c++17 c++20; do
            # shellcheck disable=SC2086
            passes "$1, $compiler, $std" "$compiler" -std=$std $3 $warnings $stand_ins \
                -I "$single" -c "$work/use.cc" -o "$work/use.o" >>"$work/log" || failed=1
        done
    done
}

compilers=
cxx_compilers=
for compiler in gcc clang; do
    command -v $compiler >/dev/null && compilers="$compilers $compiler"
done
for compiler in g++ clang++; do
    command -v $compiler >/dev/null && cxx_compilers="$cxx_compilers $compiler"
done
[ -n "$compilers" ] || compilers=$cc
: >"$work/log"
compile "layers 0 to 5" "" ""
compile "freestanding" "" -ffreestanding
compile "all of it" "$options" ""
for option in $options; do
    compile "$option" "$option" ""
done
grep -v ': ok$' "$work/log"
echo "compiled $(wc -l <"$work/log") times by$compilers$cxx_compilers"

# Without a backend, nothing is read but what every C compiler brings itself.
program "" >"$work/use.c"
equal "what is read without a backend" "$("$cc" -std=c11 -ffreestanding -I "$single" -M \
    "$work/use.c" | tr ' ' '\n' | grep / | grep -v "^$work/" |
    grep -v -e '/stdint\(-gcc\)\?\.h$' -e '/stddef\.h$' -e '/__stddef_.*\.h$' -e '/stdbool\.h$')" ""

# ---- it works ------------------------------------------------------------------------------------

mkdir "$work/project"
cp "$test_dir/consumer/consumer.c" "$work/project"
mkdir "$work/project/crossvm"
cp "$single/crossvm.h" "$work/project/crossvm"
# shellcheck disable=SC2086
passes "building the consumer" "$cc" -std=c11 -O2 $flags -I "$work/project" \
    "$work/project/consumer.c" -o "$work/consumer" && says_all_is_well "one header" "$work/consumer"

exit $failed
