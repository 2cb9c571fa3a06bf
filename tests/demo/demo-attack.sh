#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-attack.sh - a server, a healthy peer, and one that writes over all that it can write: the
# server names chunk, offset, value and rule of each attack, the kernel refuses what it has to, and
# the healthy peer gets all that it is due. With a check taken out of the library the run fails.
. "$(dirname "$0")/common.sh"

need_tools timeout
need_compiler

# $1: what the attacker wrote, $2: what the server has to say, a basic regular expression.
noticed() {
    grep -q "^$1  *$2\$" "$scratch/stdout" || fail "$1: the server does not say: $2"
}

region='region 03010000-000000[0-9a-f]*-00000000-00000000'
number='0x[0-9a-f]*'
corrupt() {
    noticed "$1" "CORRUPT in $2: $region, offset $number, value $number: $3"
}

# All that the summary has to say, and what was said when it happened.
judge_endings() {
    region_at_the_door=$region
    region='region 00000000-00000000-00000000-00000000'
    corrupt "its header, before it is let in" header "header checksum"
    noticed "its header, with the right checksum" \
        "CORRUPT in header: $region, offset 0x28, value 0x3: granule"
    region=$region_at_the_door
    corrupt "its directory" directory "directory checksum"
    corrupt "a chunk's length in its directory" directory "entry length in bytes"
    corrupt "its queue's tail" "chunk up" "queue index"
    corrupt "the other queue's head" "chunk down" "queue index"
    noticed "an element that it never sent" "WRONG: an element that is not the next one"
    noticed "its snapshot's marks" \
        "CORRUPT in chunk state: $region, offset $number, value 0x7fffffff: slot mark"
    corrupt "its snapshot's version" "chunk state" "version went backward"
    noticed "its snapshot's length" \
        "CORRUPT in chunk state: $region, offset $number, value 0xffffffff: length in slot"
    noticed "its snapshot's epoch" "STALE: reading its state"
    noticed "its life signs" "ENDED: the peer started again"
    noticed "what was agreed already" "nothing: it hurts nobody else"
    noticed "the server's memory" \
        "nothing: it hurts nobody else; attempts 6, refused by the kernel 6"
    noticed "each byte, put back at once" "..*"
    noticed "everything at random" "[A-Z]*[: ].*"
    grep -q "^ *life 5, its queue's tail: CORRUPT in chunk up: " "$scratch/stdout" ||
        fail "the queue's tail was not named when it happened"
}

# The healthy peer: many elements, all back; it was never called wrong while others were.
judge_healthy() {
    said='^healthy peer: \([0-9]*\) elements in order, \([0-9]*\) came back, none lost; .*'
    sent=$(sed -n "s/$said/\1/p" "$scratch/stdout")
    back=$(sed -n "s/$said/\2/p" "$scratch/stdout")
    [ "${sent:-0}" -gt 1000 ] || fail "the healthy peer: few elements: $sent"
    [ "$sent" = "$back" ] || fail "the healthy peer: $back of $sent came back"
    lines=$(grep -c '^ *[0-9.]* s | healthy [A-Z]* elements ' "$scratch/stdout")
    [ "$lines" -gt 0 ] || fail "no line of the live view"
    [ "$(grep -c '^ *[0-9.]* s | healthy [A-Z]* elements [0-9]* versions [0-9]* errors 0 ' \
        "$scratch/stdout")" -eq "$lines" ] || fail "errors of the healthy peer"
}

demo --attack --seconds 2
expect_status 0 "a run"
expect_text stdout "result: consistent"
judge_endings
judge_healthy
grep -q "$(printf '\033')" "$scratch/stdout" && fail "escape sequences without a terminal"
expect_clean "a run"

# The same with a check of the library's taken out. $1: the header, $2: the condition, $3: what it
# becomes, $4: the attack that is then not noticed as it has to be.
blind() {
    rm -rf "$scratch/include"
    cp -R "$source/include" "$scratch/include" || exit 1
    sed "s/$2/$3/" "$source/include/crossvm/$1" >"$scratch/include/crossvm/$1"
    if cmp -s "$source/include/crossvm/$1" "$scratch/include/crossvm/$1"; then
        fail "$1 does not have the check: $2"
        return
    fi
    build_form || return
    timeout -k 10 $limit "$scratch/blind" --seconds 1 >"$scratch/stdout" 2>"$scratch/stderr"
    status=$?
    expect_status 1 "without $2"
    expect_text stdout "result: INCONSISTENT"
    grep -q "^$4 .*(NOT what it had to)" "$scratch/stdout" || fail "without $2: $4: not named"
}

build_form() {
    (
        cd "$source/examples/demo" || exit 1
        "$compiler" -std=c11 -O2 -pthread -I"$scratch/include" -o "$scratch/blind" attack.c \
            attacker.c client.c contact.c picture.c
    ) || fail "a server without a check does not compile"
}

blind spsc.h 'if (tail - rx->tail > rx->capacity - known)' 'if (0)' "its queue's tail"
blind slots.h 'if (status == CROSSVM_TORN \&\&' 'if (0 \&\&' "its snapshot's marks"
blind region.h 'if (walk->crc != walk->checksum)' 'if (0)' "its directory"
blind backend/memfd.h ' | CROSSVM_I_SEAL_FUTURE_WRITE | F_SEAL_SEAL' ' | F_SEAL_SEAL' \
    "the server's memory"
finish
