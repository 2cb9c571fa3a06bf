#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-view.sh - in a terminal the demo draws progress bars again and again, and gives the cursor
# back.
. "$(dirname "$0")/common.sh"

need_tools script timeout
need_compiler
make_file "$scratch/file" 3000017
escape=$(printf '\033')

TERM=xterm timeout -k 10 $limit script -qec \
    "sh '$source/examples/run-demo.sh' --seconds 2 --file '$scratch/file'" "$scratch/stdout" \
    >/dev/null 2>"$scratch/stderr" </dev/null
status=$?
expect_status 0 "the demo in a terminal"

expect_text stdout "A -> B [####"
expect_text stdout "B -> A [####"
for word in "versions" "missed" "age" "ring [" "MB/s" "notifications" "suppressed"; do
    expect_text stdout "$word"
done
expect_text stdout "${escape}[?25l"
# The program brings the cursor back, and so does the script, in case the program was killed.
[ "$(grep -o "${escape}\[?25h" "$scratch/stdout" | wc -l)" -eq 2 ] || fail "the cursor's return"
[ "$(grep -c "${escape}\[[0-9]*A" "$scratch/stdout")" -gt 1 ] || fail "it is not redrawn"
last=$(grep -o "${escape}\[?25[lh]" "$scratch/stdout" | tail -n 1)
[ "$last" = "${escape}[?25h" ] || fail "the cursor stays hidden"
expect_text stdout "result: consistent"
expect_clean "the demo in a terminal"
finish
