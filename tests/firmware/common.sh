# SPDX-License-Identifier: Apache-2.0
#
# What the scripts that run units on an emulated core share: the library's headers copied alone
# into an empty tree, the units of tests/unit linked with picolibc as they are, each run in the
# emulator, and judged by the line that it prints at its end. No CMake, no operating system.
#
# The caller sets core, compiler (with flags), emulator (with flags) and memory (the linker's
# symbols), and calls run_units SOURCE_DIR.

# Units that need what firmware has not: name, then the reason.
left_out() {
    cat <<'LIST'
attach_reformat threads
broadcast_race threads and processes
directory_threads threads and processes
ivshmem_acrn the operating system's files and mappings
ivshmem_client processes and sockets
ivshmem_v2 the operating system's files and mappings
memfd the operating system's memory
pool_kill processes
pool_stress threads
shm the operating system's memory
snapshot_race threads and processes
examine the operating system's clock and files
exchange_kill processes
mpsc_kill processes
peer_kill processes
mpsc_race threads and processes
spsc_kill processes
spsc_stress threads and processes
wake_lost threads and processes
waitset_processes processes
LIST
}

# Time only guards against hanging.
seconds=120

# link_unit UNIT: $work/UNIT.elf
link_unit() {
    # shellcheck disable=SC2086
    $compiler -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align=strict -Werror \
        -I "$work/vendor" -DCROSSVM_UNIT="\"$1\"" -specs=picolibc.specs --oslib=semihost \
        --crt0=hosted -Wl,--wrap=main $memory -Wl,--defsym=__stack_size=256K \
        -o "$work/$1.elf" "$source/tests/firmware/start.c" "$source/tests/unit/$1.c"
}

# run_unit UNIT: links and runs it; 0 when it says that it has passed, and the emulator agrees.
run_unit() {
    link_unit "$1" >"$work/$1.log" 2>&1 || {
        cat "$work/$1.log"
        return 1
    }
    status=0
    # shellcheck disable=SC2086
    timeout $seconds $emulator -display none -monitor none -serial none \
        -semihosting-config enable=on,target=native -kernel "$work/$1.elf" \
        >"$work/$1.log" 2>&1 </dev/null || status=$?
    if [ $status -ne 0 ] || ! grep -qx "passed on firmware: $1" "$work/$1.log"; then
        cat "$work/$1.log"
        echo "$1: the emulator ended with $status"
        return 1
    fi
    # What a unit leaves out on this machine, it says.
    grep '(left out' "$work/$1.log" | sed "s/^ */$1: /" || true
    rm -f "$work/$1.elf"
}

# run_units SOURCE_DIR: every unit that is not left out.
run_units() {
    [ $# -ge 1 ] || {
        echo "usage: sh $0 SOURCE_DIR [CC]" >&2
        exit 2
    }
    source=$1
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for tool in "${compiler%% *}" "${emulator%% *}" timeout; do
        command -v "$tool" >/dev/null || {
            echo "skipped: no $tool here"
            exit 77
        }
    done
    echo 'int main(void) { return 0; }' >"$work/probe.c"
    # shellcheck disable=SC2086
    $compiler -specs=picolibc.specs -o "$work/probe.elf" "$work/probe.c" 2>/dev/null || {
        echo "skipped: no picolibc for ${compiler%% *} here"
        exit 77
    }
    mkdir "$work/vendor"
    cp -R "$source/include/crossvm" "$work/vendor/crossvm"
    chmod -R u+w "$work/vendor"
    left_out | sed 's/ .*//' >"$work/left_out"
    passed=0
    failed=0
    for file in "$source"/tests/unit/*.c; do
        unit=$(basename "$file" .c)
        if grep -qx "$unit" "$work/left_out"; then
            continue
        fi
        if run_unit "$unit"; then
            passed=$((passed + 1))
        else
            echo "$core: $unit failed"
            failed=$((failed + 1))
        fi
    done
    left_out | sed 's/ /: left out, needs /'
    echo "$core: $passed units passed, $failed failed"
    [ $failed -eq 0 ] && [ $passed -ne 0 ]
}
