#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-kill.sh - one of the two programs is killed in the middle of the streams: the other says so
# and ends, the script reports it, nothing is left behind.
. "$(dirname "$0")/common.sh"

need_compiler
make_long_file "$scratch/file"

# $1: the victim, $2: the survivor.
kill_one() {
    sh "$source/examples/run-demo.sh" --seconds 3600 --file "$scratch/file" \
        --out "$scratch/out" >"$scratch/stdout" 2>"$scratch/stderr" &
    started=$!
    wait_for_streams
    kill -KILL "$(programs "$1")" || fail "$1 does not run"
    wait_for no_programs
    wait "$started"
    status=$?
    started=
    expect_status 1 "$1 was killed"
    expect_text stderr "$2: $1 is gone"
    expect_text stderr "run-demo.sh: $1 was killed by signal 9"
    expect_clean "$1 was killed"
    [ -z "$(ls -A "$scratch/out")" ] || fail "a file got its final name before it was verified"
}

no_programs() {
    [ -z "$(programs "")" ]
}

kill_one crossvm-demo-a crossvm-demo-b
kill_one crossvm-demo-b crossvm-demo-a
finish
