# SPDX-License-Identifier: Apache-2.0
# common.sh - what the tests of hello and the demo share; they source it. $1 is the source
# directory, $2 the C compiler if it is to be another one than cc. Every test has a directory of
# its own, $scratch, and the demo's temporary files go to $scratch/tmp, so that what it leaves
# behind can be seen. Time limits only guard against hanging.

[ $# -ge 1 ] || {
    echo "usage: sh $0 SOURCE_DIR [CC]" >&2
    exit 1
}
if [ -n "$2" ]; then
    CC=$2
    export CC
fi
source=$(cd "$1" && pwd) || exit 1
limit=120 # seconds, for anything that might hang

scratch=$(mktemp -d "${TMPDIR:-/tmp}/crossvm-test.XXXXXX") || exit 1
TMPDIR=$scratch/tmp
export TMPDIR
mkdir "$scratch/tmp" "$scratch/out"
failed=0

# The demo's processes that still run, or those of one name ($1): their command lines begin with a
# path that nobody else has.
programs() {
    grep -a -l "^$scratch/tmp/crossvm-demo\.[^/]*/${1:-crossvm-demo-}" /proc/[0-9]*/cmdline \
        2>/dev/null | sed 's|^/proc/||; s|/cmdline$||'
}

clean_up() {
    for pid in $(programs "") $started $others; do
        kill -KILL "$pid" 2>/dev/null
    done
    rm -rf "$scratch"
}
started= # a process to wait for
others= # and another one
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "failed: $*"
    failed=1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# Ends the test; what the last demo said is shown if something failed.
finish() {
    if [ $failed -ne 0 ]; then
        for file in "$scratch/stdout" "$scratch/stderr"; do
            [ ! -e "$file" ] || tail -n 20 "$file" | sed "s/^/$(basename "$file"): /"
        done
    fi
    exit $failed
}

need_tools() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || skip "$tool is not installed"
    done
}

# A compiler with libcrypto's headers; the tests never install anything.
need_compiler() {
    for compiler in ${CC:-cc gcc clang}; do
        printf '#include <openssl/evp.h>\n' | "$compiler" -x c -E - >/dev/null 2>&1 && return
    done
    skip "no compiler that finds openssl/evp.h"
}

# Builds one of the two programs as $scratch/NAME, to be run without the script: a or b.
build_program() {
    (
        cd "$source/examples/demo" || exit 1
        own="demo-a.c"
        [ "$1" = a ] || own="demo-b.c readings.c view.c picture.c"
        # shellcheck disable=SC2086 # several words on purpose
        "$compiler" -std=c11 -pthread -I"$source/include" -o "$scratch/crossvm-demo-$1" $own \
            options.c machine.c link.c place.c stream.c side.c -lcrypto
    ) || fail "crossvm-demo-$1 does not compile"
}

# A file whose every part differs from every other: $1 is its name, $2 its length in bytes.
make_file() {
    awk -v n="$2" 'BEGIN { for (i = 0; i < n / 8; i++) printf "%08d", i }' | head -c "$2" >"$1"
}

# Runs the demo to its end: stdout and stderr into $scratch, the status into $status.
demo() {
    timeout -k 10 $limit sh "$source/examples/run-demo.sh" "$@" \
        >"$scratch/stdout" 2>"$scratch/stderr"
    status=$?
}

expect_status() {
    [ "$status" -eq "$1" ] || fail "$2: status $status, expected $1"
}

# $1: stdout or stderr, $2: what it has to contain.
expect_text() {
    grep -F -q -e "$2" "$scratch/$1" || fail "$1 does not say: $2"
}

# No temporary file, no process: $1 says after what.
expect_clean() {
    [ -z "$(ls -A "$scratch/tmp")" ] || fail "$1: left in TMPDIR: $(ls -A "$scratch/tmp")"
    for file in "$scratch"/out/.[!.]*; do
        [ ! -e "$file" ] || fail "$1: left in --out: $file"
    done
    [ -z "$(programs "")" ] || fail "$1: still running: $(programs "")"
}

# Waits until a command succeeds.
wait_for() {
    n=0
    until "$@"; do
        n=$((n + 1))
        if [ $n -ge $((limit * 10)) ]; then
            fail "waited in vain for: $*"
            finish
        fi
        sleep 0.1
    done
}

# Whether the process $started has ended: it is gone, or a zombie until it is waited for.
ended() {
    case $(sed 's/.*) //' "/proc/$started/stat" 2>/dev/null) in
    '' | Z*) return 0 ;;
    *) return 1 ;;
    esac
}

# Both programs have begun to write what they receive.
streams_flow() {
    for side in a b; do
        n_files=0
        for file in "$scratch/out/.crossvm-demo-from-$side".*; do
            [ ! -s "$file" ] || n_files=$((n_files + 1))
        done
        [ $n_files -gt 0 ] || return 1
    done
}

streams_flow_or_ended() {
    streams_flow || ended
}

# Waits until the demo that was started is in the middle of its work.
wait_for_streams() {
    wait_for streams_flow_or_ended
    if ended; then
        fail "the demo ended before anything was interrupted"
        finish
    fi
}

# A file that is streamed for long enough to be interrupted; it takes no room itself.
make_long_file() {
    dd if=/dev/zero of="$1" bs=1 count=0 seek=4G 2>/dev/null
}
