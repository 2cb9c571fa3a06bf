# SPDX-License-Identifier: Apache-2.0
#
# What the tests of backends for real-time systems share: a backend's test is built against the
# stand-ins for the system's headers and the model of what they declare, and run; then each fault of
# common.py is planted into a copy of the headers, and the same test has to notice it.
#
# The caller sets system, and calls begin SOURCE_DIR [CC], run_backend, compile_for_cores and
# run_faults.

flags="-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
seconds=60 # only guards against hanging

begin() {
    source=${1:?usage: $system.sh SOURCE_DIR [CC]}
    cc=${2:-${CC:-cc}}
    folder=$source/tests/rtos/$system
    failed=0
    if ! command -v "${cc%% *}" >/dev/null 2>&1; then
        echo "skipped: no compiler ${cc%% *}"
        exit 77
    fi
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
}

# build INCLUDE OUTPUT SOURCE... [FLAG...]: a program of the host's.
build() {
    include=$1
    output=$2
    shift 2
    # shellcheck disable=SC2086
    $cc $flags -I "$include" -isystem "$folder/include" -o "$output" "$@" -pthread \
        >"$work/log" 2>&1
}

# run WHAT PROGRAM: it has to pass.
run() {
    if timeout $seconds "$2" >"$work/log" 2>&1; then
        echo "$1: ok"
    else
        cat "$work/log"
        echo "failed: $1"
        failed=1
    fi
}

# run_backend WHAT [FLAG...]: the backend's test.
run_backend() {
    what=$1
    shift
    if build "$source/include" "$work/program" "$folder/backend.c" "$folder/model.c" "$@"; then
        run "$what" "$work/program"
    else
        cat "$work/log"
        echo "failed: $what does not compile"
        failed=1
    fi
}

# Each fault is noticed: by a check that fails, or because the test does not come to its end.
run_faults() {
    if ! command -v python3 >/dev/null 2>&1; then
        echo "not planted: faults, there is no python3"
        return
    fi
    seconds=10
    n_noticed=0
    for fault in $(python3 "$source/tests/rtos/common.py" "$source" "$system"); do
        rm -rf "$work/planted"
        if ! python3 "$source/tests/rtos/common.py" "$source" "$system" "$fault" "$work/planted" ||
            ! build "$work/planted" "$work/program" "$folder/backend.c" "$folder/model.c" \
                -Wno-error; then
            cat "$work/log"
            echo "failed: $fault was not planted"
            failed=1
        elif timeout $seconds "$work/program" >"$work/log" 2>&1; then
            echo "failed: $fault was not noticed"
            failed=1
        else
            n_noticed=$((n_noticed + 1))
        fi
    done
    echo "$n_noticed planted faults noticed"
}

# compile_for_cores: the backend alone, freestanding, with all that can be configured and with none.
compile_for_cores() {
    if ! command -v arm-none-eabi-gcc >/dev/null 2>&1; then
        echo "not compiled for a core, there is no arm-none-eabi-gcc"
        return
    fi
    printf '#include <crossvm/backend/%s.h>\nextern int crossvm_nothing;\n' "$system" \
        >"$work/core.c"
    for cpu in cortex-m0 cortex-m33; do
        for variant in -DSTAND_IN_ALL -DSTAND_IN_PLAIN; do
            arm-none-eabi-gcc -std=c11 -ffreestanding -Os -mcpu=$cpu -mthumb $variant -Wall \
                -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I "$source/include" \
                -isystem "$folder/include" -c -o "$work/core.o" "$work/core.c" >"$work/log" 2>&1 || {
                cat "$work/log"
                echo "failed: for $cpu, $variant"
                failed=1
            }
        done
    done
    [ "$failed" -ne 0 ] || echo "compiled for cores"
}
