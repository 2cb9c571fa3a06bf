#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Compiles and runs the examples of the documents: every ```c or ```cpp block with a main() in
# docs/MANUAL.md and README.md, as C11 and C++17. If the next block is a ```text block of the same
# section, the program has to print exactly that. README.md's first example has to be
# examples/hello.c, byte for byte. tools/crossvm-ivshmem-server is on the programs' PATH.
#
# usage: manual.sh SOURCE_DIR [CC]      CC may carry flags. Status 0, 1, or 77: no compiler.
set -u

source_dir=${1:?usage: manual.sh SOURCE_DIR [CC]}
cc=${2:-${CC:-cc}}
guard_seconds=60

# The compiler's name without its flags.
if ! command -v "${cc%% *}" >/dev/null 2>&1; then
    echo "skipped: no compiler ${cc%% *}"
    exit 77
fi

# The C++ compiler beside it, with the same flags.
. "$(dirname "$0")/../build/common.sh"
cxx=$(cxx_of "${cc%% *}")
has_cxx=no
command -v "$cxx" >/dev/null 2>&1 && has_cxx=yes
cxx=$cxx${cc#"${cc%% *}"}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
. "$source_dir/tests/docs/common.sh"

# For the example that starts it.
mkdir "$work/bin"
# shellcheck disable=SC2086
$cc -std=c11 -DCROSSVM_SERVER_VERSION='"test"' -o "$work/bin/crossvm-ivshmem-server" \
    "$source_dir/tools/crossvm-ivshmem-server.c" || fail "crossvm-ivshmem-server does not compile"
PATH=$work/bin:$PATH

# run EXAMPLE.c or EXAMPLE.cpp: compiles, runs, compares.
run() {
    example=${1%.*}
    name=$(basename "$example")
    case $1 in
    *.cpp) compiler="$cxx -std=c++17" ;;
    *) compiler="$cc -std=c11" ;;
    esac
    # $compiler is split into words on purpose: it may carry flags.
    # shellcheck disable=SC2086
    if ! $compiler -Wall -Wextra -Werror -pthread -I"$source_dir/include" "$1" -o "$example.out" \
        2>"$example.log"; then
        cat "$example.log"
        fail "$name does not compile"
        return
    fi
    timeout "$guard_seconds" "$example.out" >"$example.printed" 2>&1
    status=$?
    if [ "$status" -ne 0 ]; then
        cat "$example.printed"
        fail "$name ended with status $status"
    elif [ -f "$example.text" ] && ! diff "$example.text" "$example.printed"; then
        fail "$name printed something else (< the document, > the program)"
    else
        echo "$name: ok"
    fi
}

extract "$source_dir/docs/MANUAL.md" "$work/manual" "$a_program"
if [ -f "$source_dir/README.md" ]; then
    extract "$source_dir/README.md" "$work/readme" "$a_program"
    hello=$(find "$work" -name 'readme.*.c' | sort | head -n 1)
    if [ -z "$hello" ]; then
        fail "README.md has no example"
    elif ! cmp "$source_dir/examples/hello.c" "$hello"; then
        fail "README.md's first example is not examples/hello.c"
    fi
else
    echo "not checked: there is no README.md yet"
fi

count=0
for program in "$work"/*.c "$work"/*.cpp; do
    if [ "${program%.cpp}" != "$program" ] && [ $has_cxx = no ]; then
        echo "$(basename "$program"): not checked: there is no C++ compiler beside ${cc%% *}"
    elif [ -f "$program" ]; then
        run "$program"
        count=$((count + 1))
    fi
done
if [ "$count" -eq 0 ]; then
    fail "no example was found"
fi
echo "$count examples"
exit "$failed"
