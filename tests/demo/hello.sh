#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hello.sh - the first example compiles by one line, in at most 40 lines, and shows versions and
# ages.
. "$(dirname "$0")/common.sh"

need_tools cc
cp -r "$source/include" "$source/examples" "$scratch"
cd "$scratch" || exit 1

cc -Iinclude examples/hello.c -o hello >"$scratch/stderr" 2>&1 || fail "it does not compile"
[ ! -s "$scratch/stderr" ] || fail "the compiler warns"
[ "$(wc -l <examples/hello.c)" -le 40 ] || fail "it has more than 40 lines"

timeout $limit ./hello >"$scratch/stdout" 2>>"$scratch/stderr"
status=$?
expect_status 0 hello
lines=$(grep -c -E '^version +[0-9]+: +[0-9]+ rpm, [0-9]+\.[0-9]+ ms old$' "$scratch/stdout")
[ "$lines" -gt 0 ] || fail "no line with a version and its age"
[ "$lines" -eq "$(wc -l <"$scratch/stdout")" ] || fail "a line of another kind"

# The value belongs to the version: version n carries 900 + 100 n.
awk '{ version = $2 + 0 } $3 != 900 + 100 * version { exit 1 }' "$scratch/stdout" ||
    fail "a version with another version's value"
awk '{ version = $2 + 0 } version <= last { exit 1 } { last = version }' "$scratch/stdout" ||
    fail "versions do not increase"
finish
