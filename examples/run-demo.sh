#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-demo.sh - builds the demo and runs it: two programs, one shared machine state, two streams.
#
# Everything happens in a temporary directory that is gone at the end. Exit status: 0 every version
# read was consistent and both files arrived intact; 1 something was not; 2 it could not run.

usage() {
    cat <<'END'
usage: sh examples/run-demo.sh [--seconds N] [--file F] [--out DIR] [--tear] [--spoil]
       sh examples/run-demo.sh --vm [--host] [--backend vfio|uio|none] [--seconds N] [--file F]
                               [--tear] [--spoil]
       sh examples/run-demo.sh --topology [--seconds N] [--spoil]
       sh examples/run-demo.sh --attack [--seconds N]

  --seconds N  run at least this long, a whole number from 1 to 86400 (default: 5)
  --file F     stream this file in both directions (default: two files of random data)
  --out DIR    keep what arrived in DIR (default: it is removed at the end)
  --tear       publish one torn version on purpose: the run must end with status 1
  --spoil      change one byte of a file on its way: likewise
  --vm         the same between two virtual machines (QEMU, Linux, ivshmem): each step and each
               command line is shown; what the command lines name is left in build/vm
  --host       with --vm: the second side is a process of the host
  --backend B  with --vm: how a machine is notified, vfio (default), uio, or none: both sides poll
  --topology   something else: three producers feed a fan-in, and what comes of it is broadcast to
               three readers, one of them slow and one late; with --spoil one byte of an element
               is changed on its way
  --attack     something else: a server, a healthy peer, and one that scribbles over every byte that
               it can write; the server names offset, value and rule, drops it, lets it in again,
               and all the time serves the healthy one

Two programs run: crossvm-demo-a publishes the state of this machine a thousand times a second,
crossvm-demo-b reads it from memory that it cannot write, and each streams a file to the other.
Environment: CC (compiler), TMPDIR (where the temporary directory goes), CROSSVM_VM_DIR (instead of
build/vm), CROSSVM_GUEST_KERNEL (an unpacked kernel package instead of Debian's, for --vm).
END
}

say() {
    echo "run-demo.sh: $*" >&2
}

refuse() {
    say "$*"
    exit 2
}

# ---- the command line ---------------------------------------------------------------------------

seconds=5
file=
out=
extra=
form=
vm=
host=
backend=

need_value() {
    [ "$1" -ge 2 ] || refuse "$2: expected a value behind it"
}

check_seconds() {
    case $seconds in
    '' | *[!0-9]* | ??????*) ;;
    *) [ "$seconds" -ge 1 ] && [ "$seconds" -le 86400 ] && return ;;
    esac
    refuse "--seconds $seconds: expected a whole number from 1 to 86400"
}

check_file() {
    [ -e "$file" ] || refuse "--file $file: there is no such file"
    [ ! -d "$file" ] || refuse "--file $file: expected a file, this is a directory"
    [ -f "$file" ] || refuse "--file $file: expected a regular file"
    [ -r "$file" ] || refuse "--file $file: permission denied"
}

check_out() {
    [ -d "$out" ] || refuse "--out $out: expected a directory"
    [ -w "$out" ] || refuse "--out $out: expected a directory that can be written to"
}

# The forms of one program: nothing is streamed.
choose_form() {
    [ -z "$form" ] || [ "$form" = "$1" ] || refuse "$form $1: expected one of the two"
    form=$1
}

check_form() {
    [ -z "$has_file" ] || refuse "$form --file: expected no file, none is streamed"
    [ -z "$has_out" ] || refuse "$form --out: expected no directory, nothing is kept"
    case $form$extra in
    --topology*--tear*) refuse "--topology --tear: expected --spoil, or nothing" ;;
    --attack\ *) refuse "--attack$extra: expected nothing beside it but --seconds" ;;
    esac
}

check_vm() {
    [ -z "$form" ] || refuse "--vm $form: expected one of the two"
    [ -z "$has_out" ] || refuse "--vm --out: expected no directory: what arrives stays in a machine"
    [ -n "$has_backend" ] || backend=vfio
    case $backend in
    vfio | uio | none) ;;
    *) refuse "--backend $backend: expected vfio, uio or none" ;;
    esac
}

check_no_vm() {
    [ -z "$host" ] || refuse "--host: expected --vm beside it"
    [ -z "$has_backend" ] || refuse "--backend: expected --vm beside it"
}

parse() {
    has_file=
    has_out=
    has_backend=
    while [ $# -gt 0 ]; do
        case $1 in
        --help)
            usage
            exit 0
            ;;
        --seconds) need_value $# "$1" && seconds=$2 && shift ;;
        --file) need_value $# "$1" && file=$2 && has_file=1 && shift ;;
        --out) need_value $# "$1" && out=$2 && has_out=1 && shift ;;
        --tear | --spoil) extra="$extra $1" ;;
        --topology | --attack) choose_form "$1" ;;
        --vm) vm=1 ;;
        --host) host=--host ;;
        --backend) need_value $# "$1" && backend=$2 && has_backend=1 && shift ;;
        *) refuse "$1: unknown option; --help lists what there is" ;;
        esac
        shift
    done
    check_seconds
    [ -z "$has_file" ] || check_file
    [ -z "$has_out" ] || check_out
    if [ -n "$vm" ]; then
        check_vm
    else
        check_no_vm
    fi
    [ -z "$form" ] || check_form
}

# ---- what is needed -----------------------------------------------------------------------------

# The compiler, and whether it finds the C library and libcrypto (SHA-256).
find_compiler() {
    for compiler in ${CC:-cc gcc clang}; do
        command -v "$compiler" >/dev/null 2>&1 && return
    done
    compiler=
}

has_libcrypto() {
    printf '#include <stdio.h>\n#include <openssl/evp.h>\n' |
        "$compiler" -x c -E - >/dev/null 2>&1
}

# The headers of the kernel that Debian has now, for a driver of its own. Whether they are those of
# the machines' kernel, demo.py sees.
has_headers() {
    [ -n "$CROSSVM_GUEST_KERNEL" ] || ls -d /usr/src/linux-headers-*-cloud-amd64 >/dev/null 2>&1
}

lack() {
    missing="$missing${missing:+, }$1"
}

need() {
    command -v "$1" >/dev/null 2>&1 || lack "$1"
}

# What is needed and not here, for a message; whether that is nothing.
can_build() {
    missing=
    find_compiler
    if [ -z "$compiler" ]; then
        lack "a C compiler"
    elif ! has_libcrypto; then
        lack "the headers of the C library and of libcrypto"
    fi
    if [ -n "$vm" ]; then
        need qemu-system-x86_64
        need python3
    fi
    if [ "$backend" = uio ]; then
        need make
        has_headers || lack "the headers of the machines' kernel"
    fi
    [ -z "$missing" ]
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    say "installing $*"
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update -qq >/dev/null 2>&1
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

prepare() {
    packages="gcc libc6-dev libssl-dev"
    [ -z "$vm" ] || packages="$packages qemu-system-x86 python3"
    [ "$backend" != uio ] || packages="$packages make linux-headers-cloud-amd64"
    can_build && return
    [ -z "$CC" ] || [ -n "$compiler" ] || refuse "CC=$CC: there is no such compiler"
    if [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086 # several words on purpose
        install_packages $packages && can_build && return
        refuse "apt-get could not install: $packages; missing: $missing"
    fi
    refuse "please install $missing (on Debian: $packages)"
}

# ---- cleaning up --------------------------------------------------------------------------------

work=
pid_a=
pid_b=
running= # those of them that were not waited for

# A program that was killed could not remove what it was writing.
clean_up() {
    trap '' HUP INT TERM PIPE
    for pid in $running; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    [ -z "$pid_b" ] || rm -f "$out/.crossvm-demo-from-a.$pid_b"
    [ -z "$pid_a" ] || rm -f "$out/.crossvm-demo-from-b.$pid_a"
    [ -z "$work" ] || rm -rf "$work"
    [ ! -t 1 ] || printf '\033[?25h' # the cursor, if the view could not bring it back
}

stop() {
    clean_up
    trap - EXIT
    exit "$1"
}

catch_signals() {
    trap clean_up EXIT
    trap 'stop 129' HUP
    trap 'stop 130' INT
    trap 'stop 141' PIPE
    trap 'stop 143' TERM
}

# ---- building and running -----------------------------------------------------------------------

# What the form takes, and nothing else.
build() {
    case $form in
    --topology) link crossvm-demo-topology topology ;;
    --attack) link crossvm-demo-attack attack attacker client contact picture ;;
    *)
        link crossvm-demo-a demo-a options machine link place stream side
        link crossvm-demo-b demo-b options machine link place stream side readings view picture
        link make-data make-data
        ;;
    esac
}

# Compiles a source, once.
compile() {
    source=$root/examples/demo/$1.c
    [ -e "$work/$1.o" ] ||
        "$compiler" -std=c11 -O2 -pthread -I"$root/include" -c "$source" -o "$work/$1.o" ||
        refuse "$source: the compiler says why it cannot be compiled"
}

link() {
    program=$work/$1
    shift
    for name in "$@"; do
        compile "$name"
        shift
        set -- "$@" "$work/$name.o"
    done
    "$compiler" -pthread -o "$program" "$@" -lcrypto ||
        refuse "$program: the compiler says why it cannot be linked"
}

# Two different files; smaller ones where a large one would not fit four times.
make_files() {
    mib=256
    free=$(df -Pk "$work" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge 4194304 ] || mib=64
    "$work/make-data" "$work/file-a" $mib 1 || exit 2
    "$work/make-data" "$work/file-b" $mib 2 || exit 2
}

# Says how a program ended if not by itself.
report() {
    [ "$2" -le 128 ] || say "$1 was killed by signal $(($2 - 128))"
}

run() {
    # shellcheck disable=SC2086 # words or nothing
    "$work/crossvm-demo-a" --socket "$work/socket" --file "$file_a" --out "$out" \
        --seconds "$seconds" $extra 2>"$work/errors-a" &
    pid_a=$!
    running=$pid_a
    "$work/crossvm-demo-b" --socket "$work/socket" --file "$file_b" --out "$out" \
        --seconds "$seconds" 2>"$work/errors-b" &
    pid_b=$!
    running="$pid_a $pid_b"
    wait "$pid_b"
    status_b=$?
    running=$pid_a
    wait "$pid_a"
    status_a=$?
    running=
    cat "$work/errors-a" "$work/errors-b" >&2
    report crossvm-demo-a $status_a
    report crossvm-demo-b $status_b
}

# One program, which starts the others itself: $1 is its name.
run_form() {
    # shellcheck disable=SC2086 # words or nothing
    "$work/$1" --seconds "$seconds" $extra &
    pid_a=$!
    running=$pid_a
    wait "$pid_a"
    status_a=$?
    running=
    report "$1" $status_a
    status_b=0
}

# Machines: one program builds and starts everything.
run_vm() {
    set -- --folder "${CROSSVM_VM_DIR:-$root/build/vm}" --compiler "$compiler" --seconds "$seconds" \
        --backend "$backend"
    [ -z "$file" ] || set -- "$@" --file "$file"
    # shellcheck disable=SC2086 # words or nothing
    python3 -B "$root/examples/vm/demo.py" "$@" $host $extra &
    pid_a=$!
    running=$pid_a
    wait "$pid_a"
    status=$?
    running=
    report demo.py $status
    [ $status -le 128 ] || status=1
    return $status
}

# The worse of two statuses: 2 before 1 before 0; a death counts as 1.
verdict() {
    if [ $status_a -eq 2 ] || [ $status_b -eq 2 ]; then
        return 2
    fi
    [ $status_a -eq 0 ] && [ $status_b -eq 0 ]
}

parse "$@"
root=$(cd "$(dirname "$0")/.." && pwd) || exit 2
prepare
catch_signals
if [ -n "$vm" ]; then
    run_vm
    exit
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/crossvm-demo.XXXXXX") ||
    refuse "TMPDIR: expected a directory that can be written to"
if [ -z "$out" ]; then
    out=$work/out
    mkdir "$out" || exit 2
fi
build
if [ -n "$form" ]; then
    run_form "crossvm-demo-${form#--}"
    verdict
    exit
fi
file_a=$file
file_b=$file
if [ -z "$file" ]; then
    make_files
    file_a=$work/file-a
    file_b=$work/file-b
fi
run
verdict
