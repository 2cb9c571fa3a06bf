#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The one header of cmake/amalgamate.sh passes the unit suite: every program of tests/unit, C and
# C++, is built with it and, unless it races or kills processes for long, run. The programs name the
# library's headers one by one, so each name is
# a file that only forwards to the one header; the compiler lists every file that it reads, and none
# may be a header of the library's.
#
# usage: amalgamate_units.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no compiler.
. "$(dirname "$0")/common.sh"
need "$cc" awk

mkdir "$work/single" "$work/forward"
sh "$source_dir/cmake/amalgamate.sh" "$work/single/crossvm.h" || exit 1
# A copy, so that no path beside a program leads back to the library.
cp -R "$source_dir/tests" "$work/tests" || exit 1
chmod -R u+w "$work/tests"

for header in $(cd "$source_dir/include" && find crossvm -type f); do
    mkdir -p "$work/forward/$(dirname "$header")"
    {
        name=$(basename "$header")
        case $header in
        crossvm/crossvm.hpp) macro=CROSSVM_WITH_CXX ;;
        crossvm/backend/*)
            macro=CROSSVM_WITH_$(echo "${name%%.*}" | tr '[:lower:]' '[:upper:]')
            ;;
        *) macro= ;;
        esac
        [ -z "$macro" ] || printf '#if !defined(%s)\n#define %s 1\n#endif\n' "$macro" "$macro"
        echo "#include \"$work/single/crossvm.h\""
    } >"$work/forward/$header"
done

# strangers DEPENDENCIES: files read from this repository, or from a crossvm that is elsewhere.
strangers() {
    tr ' ' '\n' <"$1" | grep / | grep -v "^$work/" | grep -e "^$source_dir/" -e crossvm
}

# build_and_run FILE COMPILER STANDARD: one program of the suite.
build_and_run() {
    # shellcheck disable=SC2086 # $flags are several
    if ! "$2" -std="$3" -O0 $flags -pthread -I "$work/forward" -I "$work/tests" -MD -MF \
        "$work/deps" "$work/tests/unit/$1" -o "$work/program" >"$work/output" 2>&1; then
        fail "$1 does not compile"
        head -n 20 "$work/output"
        return
    fi
    if ! grep -q "$work/single/crossvm.h" "$work/deps" || strangers "$work/deps"; then
        fail "$1 was not built with the one header alone"
    fi
    case $1 in
    *_kill.c | *_race.c | *_stress.c | wake_lost.c | waitset_processes.c)
        built=$((built + 1)) # they take long, and would do the same
        return
        ;;
    esac
    "$work/program" >"$work/output" 2>&1
    status=$?
    case $status in
    0) passed=$((passed + 1)) ;;
    77)
        skipped=$((skipped + 1))
        echo "$1: $(grep skipped "$work/output")"
        ;;
    *)
        fail "$1 ended with status $status"
        tail -n 20 "$work/output"
        ;;
    esac
}

passed=0
skipped=0
built=0
for source in "$work"/tests/unit/*.c; do
    build_and_run "$(basename "$source")" "$cc" c11
done
for source in "$work"/tests/unit/*.cpp; do
    if command -v "$cxx" >/dev/null; then
        build_and_run "$(basename "$source")" "$cxx" c++17
    fi
done
echo "$passed programs passed, $skipped skipped, $built were built alone"
[ "$passed" -gt 0 ] || failed=1
exit $failed
