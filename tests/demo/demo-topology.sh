#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-topology.sh - three producers, a fan-in, a broadcast to three readers: everything that was
# sent is taken in order, what each reader read and lost is all that was published, one changed
# byte is noticed, and nothing is left behind.
. "$(dirname "$0")/common.sh"

need_tools timeout
need_compiler

demo --topology --seconds 2
expect_status 0 "a run"
expect_text stdout "result: consistent"
expect_text stdout "elements wrong  0"
for n in 1 2 3; do
    taken=$(sed -n "s/^producer $n  *\([0-9]*\) elements.*/\1/p" "$scratch/stdout")
    [ "${taken:-0}" -gt 1000 ] || fail "producer $n: $taken elements"
done
for reader in fast slow late; do
    expect_text stdout "reader $reader "
    grep "^reader $reader" "$scratch/stdout" | grep -q "together all that was published" ||
        fail "reader $reader: what it read and lost is not what was published"
done
[ "$(grep -c "^ *[0-9.]* s | taken " "$scratch/stdout")" -gt 0 ] || fail "no line of the live view"
expect_clean "a run"

demo --topology --seconds 1 --spoil
expect_status 1 "a changed byte"
expect_text stdout "result: INCONSISTENT"
expect_clean "a changed byte"

for wrong in "--file $0" "--out $scratch/out" --tear; do
    # shellcheck disable=SC2086 # several words on purpose
    demo --topology $wrong
    expect_status 2 "--topology $wrong"
    expect_text stderr "--topology ${wrong%% *}: expected"
done
demo --topology --seconds 0
expect_status 2 "--seconds 0"
expect_clean "what is refused"
finish
