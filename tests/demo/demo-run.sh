#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-run.sh - a short run of the demo: consistent, both files arrive as they were sent, nothing
# is left behind; an empty file and files at the edges of an element arrive, too.
. "$(dirname "$0")/common.sh"

need_tools timeout
need_compiler

# $1: bytes of the file, $2: seconds.
run_with() {
    rm -f "$scratch"/out/*
    make_file "$scratch/file" "$1"
    demo --seconds "$2" --file "$scratch/file" --out "$scratch/out"
    expect_status 0 "a file of $1 bytes"
    expect_text stdout "result: consistent"
    for side in a b; do
        cmp "$scratch/file" "$scratch/out/crossvm-demo-from-$side" ||
            fail "what arrived from $side is not what was sent"
    done
    expect_clean "a file of $1 bytes"
}

# The number behind a line of the summary.
summary() {
    sed -n "s/^$1 *\([0-9]*\)$/\1/p" "$scratch/stdout"
}

run_with 3000017 2
[ "$(summary 'versions read')" -gt 0 ] || fail "no version was read"
[ "$(summary 'versions inconsistent')" -eq 0 ] || fail "an inconsistent version"
[ "$(grep -c '^ *[0-9.]* s | read ' "$scratch/stdout")" -gt 0 ] || fail "no line of the live view"
grep -q "$(printf '\033')" "$scratch/stdout" && fail "escape sequences without a terminal"

run_with 0 1
run_with 4088 1

# Relative paths are taken from where the user is.
cd "$scratch" || exit 1
rm -f out/*
make_file file 4089
demo --seconds 1 --file file --out out
expect_status 0 "relative paths"
cmp file out/crossvm-demo-from-a || fail "what arrived is not what was sent"
expect_clean "relative paths"
finish
