#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-errors.sh - wrong arguments, missing tools and a full disk: a message that names what is
# wrong and what was expected, status 2, nothing left behind.
. "$(dirname "$0")/common.sh"

need_tools timeout
need_compiler
make_file "$scratch/file" 3000017
mkfifo "$scratch/fifo"

# $1: what the message has to contain; the rest: the arguments.
refused() {
    text=$1
    shift
    demo "$@"
    expect_status 2 "$*"
    expect_text stderr "$text"
    [ ! -s "$scratch/stdout" ] || fail "$*: says something on stdout"
    expect_clean "$*"
}

seconds_expected="expected a whole number from 1 to 86400"
for value in x 0 -1 +1 1.5 5x ' 5' '' 86401 99999999999999999999; do
    refused "--seconds $value: $seconds_expected" --seconds "$value"
done
refused "--seconds: expected a value behind it" --seconds
refused "--file: expected a value behind it" --file
refused "--out: expected a value behind it" --out
refused "--file $scratch/none: there is no such file" --file "$scratch/none"
refused "--file $scratch: expected a file, this is a directory" --file "$scratch"
refused "--file $scratch/fifo: expected a regular file" --file "$scratch/fifo"
refused "--file : there is no such file" --file ''
refused "--out $scratch/none: expected a directory" --out "$scratch/none"
refused "--out $scratch/file: expected a directory" --out "$scratch/file"
refused "--host: expected --vm beside it" --host
refused "--backend: expected --vm beside it" --backend uio
refused "--backend ivshmem: expected vfio, uio or none" --vm --backend ivshmem
refused "--backend : expected vfio, uio or none" --vm --backend ''
refused "--backend: expected --vm beside it" --backend ''
refused "--vm --topology: expected one of the two" --vm --topology
refused "--vm --attack: expected one of the two" --vm --attack
refused "--topology --attack: expected one of the two" --topology --attack
refused "--attack --file: expected no file, none is streamed" --attack --file "$scratch/file"
refused "--attack --out: expected no directory, nothing is kept" --attack --out "$scratch/out"
refused "--attack --spoil: expected nothing beside it but --seconds" --attack --spoil
refused "--attack --tear: expected nothing beside it but --seconds" --attack --tear
refused "--seconds 0: $seconds_expected" --attack --seconds 0
refused "--vm --out: expected no directory" --vm --out "$scratch/out"
refused "--bogus: unknown option; --help lists what there is" --bogus
refused "something: unknown option" something

# An unreadable file; root can read everything, so that somebody else has to try.
make_file "$scratch/secret" 10
chmod 000 "$scratch/secret"
if [ "$(id -u)" -ne 0 ]; then
    refused "--file $scratch/secret: permission denied" --file "$scratch/secret"
elif setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
    cp "$source/examples/run-demo.sh" "$scratch"
    chmod 755 "$scratch"
    setpriv --reuid=65534 --clear-groups timeout $limit sh "$scratch/run-demo.sh" \
        --file "$scratch/secret" >"$scratch/stdout" 2>"$scratch/stderr"
    status=$?
    expect_status 2 "an unreadable file"
    expect_text stderr "--file $scratch/secret: permission denied"
    expect_clean "an unreadable file"
else
    echo "not tested: an unreadable file (root can read everything)"
fi

demo --help
expect_status 0 --help
expect_text stdout "--seconds N"
expect_clean --help

# The two programs judge their own command lines, too.
programs_refuse() {
    build_program a
    head -c 1048576 /dev/zero >"$scratch/memory"
    own="--own file:$scratch/memory"
    peer="--peer file:$scratch/memory"
    while IFS='|' read -r arguments text; do
        # shellcheck disable=SC2086 # several words on purpose
        (cd "$scratch/out" && timeout $limit "$scratch/crossvm-demo-a" $arguments) \
            >"$scratch/stdout" 2>"$scratch/stderr"
        status=$?
        expect_status 2 "crossvm-demo-a $arguments"
        expect_text stderr "$text"
        expect_clean "crossvm-demo-a $arguments"
    done <<END
--seconds 0|--seconds 0: $seconds_expected
--seconds 5x|--seconds 5x: $seconds_expected
--seconds|--seconds: expected a value behind it
--bogus|--bogus: expected one of the options that --help lists
--file x|--socket: expected this option
--socket x|--file: expected this option
--socket x --file $scratch|--file $scratch: expected a file, this is a directory
--socket x --file $scratch/none|--file $scratch/none: No such file or directory
--socket x --file $scratch/file --out $scratch/none|--out $scratch/none: expected a directory
--socket $scratch/none/x --file $scratch/file|$scratch/none/x: No such file or directory
$own --file x|--own: expected all of --own, --peer and --bell
$own $peer --file x|--own: expected all of --own, --peer and --bell
$own --bell none --file x|--own: expected all of --own, --peer and --bell
--socket x $own --file x|--socket: expected no --own, --peer or --bell beside it
--socket x --bell none --file x|--socket: expected no --own, --peer or --bell beside it
--own x $peer --bell none --file $scratch/file|--own x: expected one of those that --help names
$own --peer x --bell none --file $scratch/file|--peer x: expected one of those that --help names
$own $peer --bell x --file $scratch/file|--bell x: expected one of those that --help names
--own file:$scratch/none $peer --bell none --file $scratch/file|file:$scratch/none: No such file or directory
END
}
programs_refuse

# Without a compiler, and without apt-get, it says what to install.
mkdir "$scratch/bin"
for tool in sh id mktemp rm dirname cat mkdir df awk; do
    ln -s "$(command -v $tool)" "$scratch/bin/$tool"
done
CC='' PATH=$scratch/bin "$(command -v timeout)" $limit "$(command -v sh)" \
    "$source/examples/run-demo.sh" >"$scratch/stdout" 2>"$scratch/stderr"
status=$?
expect_status 2 "no compiler"
expect_text stderr "please install a C compiler"
expect_text stderr "gcc libc6-dev libssl-dev"
expect_clean "no compiler"
# For machines it names each tool that is not there.
CC='' PATH=$scratch/bin "$(command -v timeout)" $limit "$(command -v sh)" \
    "$source/examples/run-demo.sh" --vm --backend uio >"$scratch/stdout" 2>"$scratch/stderr"
status=$?
expect_status 2 "no tools for machines"
expect_text stderr "please install a C compiler, qemu-system-x86_64, python3, make"
expect_clean "no tools for machines"

# What stands in the way of machines is found without one: a path too long for a socket, or with a
# =, and a compiler that fails.
refuse_machines() {
    mkdir -p "$scratch/tools" "$scratch/kernel/boot"
    : >"$scratch/kernel/boot/vmlinuz-0"
    printf '#!/bin/sh\nexit 1\n' >"$scratch/tools/qemu-system-x86_64"
    # shellcheck disable=SC2016 # expanded by the inner shell
    printf '#!/bin/sh\ncase "$*" in\n*-static*) echo "no libc.a" >&2 && exit 1 ;;\nesac\nexec %s "$@"\n' \
        "$compiler" >"$scratch/tools/half"
    chmod +x "$scratch/tools/half" "$scratch/tools/qemu-system-x86_64"
    (
        PATH=$scratch/tools:$PATH
        CROSSVM_GUEST_KERNEL=$scratch/kernel
        CROSSVM_VM_DIR=$scratch/$(printf '%0120d' 0)
        export PATH CROSSVM_GUEST_KERNEL CROSSVM_VM_DIR
        refused "0/doorbells: expected a shorter path" --vm
        CROSSVM_VM_DIR=$scratch/a=b
        refused "a=b/doorbells: expected a path without =" --vm
        CROSSVM_VM_DIR=$scratch/vm
        CC=half
        export CC
        demo --vm
        expect_status 2 "a compiler that fails"
        expect_text stderr "no libc.a"
        [ $failed -eq 0 ]
    ) || failed=1
}
if [ "$(uname -m)" = x86_64 ] && command -v python3 >/dev/null; then
    refuse_machines
else
    echo "not tested: what stands in the way of machines (no x86-64, or no python3)"
fi
(
    CC=no-such-compiler
    export CC
    refused "CC=no-such-compiler: there is no such compiler" --seconds 1
    exit $failed
) || failed=1

# A full disk: a file system of 256 KiB that only this part of the test sees.
run_on_full_disk() {
    mkdir "$scratch/full"
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout -k 10 $limit unshare "$1" sh -c '
        mount -t tmpfs -o size=256k none "$2/full" || exit 77
        sh "$1/examples/run-demo.sh" --seconds 1 --file "$2/file" --out "$2/full"
        status=$?
        ls -A "$2/full" >"$2/left"
        exit $status' sh "$source" "$scratch" >"$scratch/stdout" 2>"$scratch/stderr"
    status=$?
}
if unshare -rm true 2>/dev/null; then
    run_on_full_disk -rm
elif unshare -m true 2>/dev/null; then
    run_on_full_disk -m
else
    status=77
fi
if [ $status -eq 77 ]; then
    echo "not tested: a full disk (no file system can be mounted here)"
else
    expect_status 2 "a full disk"
    expect_text stderr "No space left on device"
    expect_text stderr "$scratch/full"
    [ ! -s "$scratch/left" ] || fail "a full disk: left behind: $(cat "$scratch/left")"
    expect_clean "a full disk"
fi
finish
