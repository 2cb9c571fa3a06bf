#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-signal.sh - Ctrl-C (SIGINT to everything in the terminal), SIGTERM to the script alone:
# nothing is left behind, neither files nor processes.
. "$(dirname "$0")/common.sh"

need_tools setsid
env --default-signal=INT true 2>/dev/null || skip "env has no --default-signal"
need_compiler
make_long_file "$scratch/file"

# A process group of its own, with SIGINT as in an interactive shell: a shell's background job would
# ignore it.
start() {
    setsid env --default-signal=INT sh "$source/examples/run-demo.sh" --seconds 3600 \
        --file "$scratch/file" --out "$scratch/out" >"$scratch/stdout" 2>"$scratch/stderr" &
    started=$!
}

# $1: what was done, $2: the status of a script that ends by it.
expect_end() {
    wait_for ended
    wait "$started"
    status=$?
    started=
    expect_status "$2" "$1"
    expect_clean "$1"
    [ -z "$(ls -A "$scratch/out")" ] || fail "$1: left in --out: $(ls -A "$scratch/out")"
}

something_in_tmp() {
    [ -n "$(ls -A "$scratch/tmp")" ]
}

start
wait_for_streams
kill -INT "-$started"
expect_end "Ctrl-C while files are streamed" 130

start
wait_for something_in_tmp
kill -INT "-$started"
expect_end "Ctrl-C while the demo is built" 130

start
wait_for_streams
kill -TERM "$started"
expect_end "SIGTERM to the script" 143

# Each program cleans up by itself, too, and the other one hears of it: no script around them.
build_program a
build_program b
"$scratch/crossvm-demo-a" --socket "$scratch/tmp/socket" --file "$scratch/file" \
    --out "$scratch/out" >"$scratch/stdout-a" 2>"$scratch/stderr-a" &
program_a=$!
others=$program_a
"$scratch/crossvm-demo-b" --socket "$scratch/tmp/socket" --file "$scratch/file" \
    --out "$scratch/out" >"$scratch/stdout" 2>"$scratch/stderr" &
started="$!"
wait_for_streams
kill -INT "$program_a"
wait_for ended
wait "$started"
status=$?
expect_status 1 "crossvm-demo-b after SIGINT to the other"
expect_text stderr "crossvm-demo-b: crossvm-demo-a gave up"
started=$program_a
wait_for ended
wait "$program_a"
status=$?
started=
expect_status 1 "crossvm-demo-a after SIGINT"
expect_text stderr-a "crossvm-demo-a: stopped by signal 2"
expect_clean "SIGINT to one program alone"
finish
