#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The models of waking and of peers: spin searches each exhaustively and finds nothing; each variant that leaves
# one rule out is found. And the models say what the headers do: rules and steps are compared.
#
# usage: check.sh SOURCE_DIR CC
# 0 all as it should be, 1 not, 77 skipped: no spin, or no compiler that runs here.

set -u
export LC_ALL=C

if [ $# -ne 2 ]; then
    echo "usage: $0 SOURCE_DIR CC" >&2
    exit 2
fi
source_dir=$(cd "$1" && pwd) || exit 2
cc=$2
for tool in spin "$cc"; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: no $tool here"
        exit 77
    fi
done

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
: >"$work/failed"

fail() {
    echo "FAILED: $*"
    echo "$*" >>"$work/failed"
}

# search MODEL HOW DEFINE...: how is safety, or live (with weak fairness). The report goes to ./log.
# A search to the end is worth $optimise; an error is found sooner than a compiler optimises.
search() {
    model=$1
    how=$2
    shift 2
    if [ "$how" = safety ]; then
        build="-DSAFETY -DNOCLAIM"
        options=""
        set -- -DSAFETY "$@"
    else
        build="-DNFAIR=3"
        options="-a -f"
    fi
    # shellcheck disable=SC2086
    spin -a "$@" "$model.pml" >log 2>&1 &&
        "$cc" "$optimise" -w -DMEMLIM=720 $build -o pan pan.c >>log 2>&1 &&
        ./pan $options -m1500000 -n >log 2>&1
}

number() {
    sed -n "s/$1/\\1/p" log | head -n 1
}

# run EXPECTED MODEL HOW DEFINE...: in a folder of its own.
run() (
    expected=$1
    shift
    folder=$(mktemp -d "$work/run-XXXXXX")
    cp "$source_dir"/tests/spin/*.pml "$source_dir"/tests/spin/*.h "$work/peer_table.h" "$folder"
    cd "$folder" || exit 1
    optimise=-O2
    [ "$expected" = holds ] || optimise=-O0
    search "$@"
    states=$(number '^ *\([0-9.e+]*\) states, stored.*')
    errors=$(number '.*errors: \([0-9]*\).*')
    result="$* : ${states:-no} states, ${errors:-no result} errors"
    complete=yes
    grep -Eq 'too small|not completed|error:|out of memory|aborting' log && complete=no
    case $expected in
    holds) [ "$complete" = yes ] && [ "${errors:-1}" = 0 ] && [ "${states:-0}" != 0 ] ;;
    found) [ "${errors:-0}" -ge 1 ] ;;
    esac
    case $? in
    0) echo "$expected: $result" ;;
    *)
        tail -n 30 log
        fail "$expected was expected: $result"
        ;;
    esac
    rm -rf "$folder"
)

# The model of peers goes by the header's own table.
make_table() {
    if ! "$cc" -std=c11 -I"$source_dir/include" -o "$work/table" "$source_dir/tests/spin/peer_table.c" \
        2>"$work/errors" || ! "$work/table" >"$work/peer_table.h"; then
        cat "$work/errors"
        fail "peer_table.c does not compile, or not run"
    fi
}

# What the models and the headers have in common.
compare() {
    if ! "$cc" -std=c11 -O1 -pthread -I"$source_dir/include" -o "$work/header" \
        "$source_dir/tests/spin/header.c" 2>"$work/errors"; then
        cat "$work/errors"
        fail "header.c does not compile"
        return
    fi
    "$work/header" rules || fail "a rule of rules.h is not the header's"
    "$work/header" steps >"$work/by-header"
    (cp "$source_dir"/tests/spin/*.pml "$source_dir"/tests/spin/*.h "$work" && cd "$work" &&
        spin -T trace.pml) | sed 's/^ *//' |
        grep -E '^(of|load|store|fence|ring|sleep|answer)( |$)' >"$work/by-model"
    if ! diff "$work/by-model" "$work/by-header" >"$work/differ"; then
        head -n 20 "$work/differ"
        fail "the models' steps (<) are not the headers' (>)"
    elif [ "$(grep -c '^answer' "$work/by-model")" -lt 2592 ]; then
        fail "too few situations were compared"
    else
        echo "the same: $(wc -l <"$work/by-model") steps in" \
            "$(grep -c '^answer' "$work/by-model") situations"
    fi
}

models() {
    run holds wake safety
    run holds wake safety -DTROUBLE
    run holds wake live
    run holds pipe live
    run holds pipe live -DDELAY
    run holds pipe safety -DANY
    run holds peer safety
    run holds peer safety -DDEATHS=2 -DFALSE_NEWS=0
    run holds peer live -DFALSE_NEWS=0
    run holds peer live -DDEATHS=0 -DFALSE_NEWS=2
}

variants() {
    run holds pipe live -DPATIENT -DLAZY=2
    for rule in NO_FENCE_WAITER NO_FENCE_KICKER NO_LOOK_AGAIN EVENT_OFF_BY_ONE \
        OLD_IS_LAST_PUBLISHED OLD_STAYS; do
        run found wake safety -D$rule
    done
    for rule in NO_FIRST_KICK FORGET_FAILED_RING; do
        run found wake safety -DTROUBLE -D$rule
    done
    for rule in NO_NUDGE NO_EARLY_ANSWER NUDGE_AFTER_LOOK; do
        run found pipe live -D$rule
    done
    for rule in NO_FENCE_WAITER NO_FENCE_KICKER EVENT_OFF_BY_ONE DELAY_WITHOUT_OWN_TIMER; do
        run found pipe live -DDELAY -D$rule
    done
    run found pipe live -DPATIENT -DLAZY=2 -DNO_FLUSH_BEFORE_SLEEP
    for rule in NO_ECHO_RESET NO_SECOND_LOOK SAME_SEED; do
        run found peer safety -DDEATHS=2 -D$rule
    done
    run found peer live -DDEATHS=0 -DFALSE_NEWS=2 -DNO_NEW_LIFE
}

make_table
compare
models >"$work/models.txt" &
variants
wait
cat "$work/models.txt"
if [ -s "$work/failed" ]; then
    echo "$(wc -l <"$work/failed") failed"
    exit 1
fi
