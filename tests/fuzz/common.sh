# SPDX-License-Identifier: Apache-2.0
#
# What fuzz.sh and the scripts of this folder share. Sourced with `top` set to the source tree.
#
# Environment: CROSSVM_FUZZ_CLANG names the compiler (default: clang).

clang=${CROSSVM_FUZZ_CLANG:-clang}

# The targets, by the names of their sources.
fuzz_targets() {
    for source in "$top"/tests/fuzz/*.c; do
        basename "$source" .c
    done
}

# Ends the script as skipped unless there are clang and its fuzzer's runtime.
fuzz_need_clang() {
    if ! command -v "$clang" >/dev/null; then
        echo "skipped: no $clang here: the fuzz targets are built by clang"
        exit 77
    fi
    probe=$(mktemp -d)
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *at, unsigned long len);
int LLVMFuzzerTestOneInput(const unsigned char *at, unsigned long len)
{
    return (void)at, len == 77;
}' >"$probe/probe.c"
    if ! "$clang" -fsanitize=fuzzer,address,undefined "$probe/probe.c" -o "$probe/probe" \
        2>"$probe/why" || ! "$probe/probe" -runs=1 >>"$probe/why" 2>&1; then
        echo "skipped: $clang has no runtime for -fsanitize=fuzzer,address,undefined here:"
        head -n 3 "$probe/why"
        rm -r "$probe"
        exit 77
    fi
    rm -r "$probe"
}

# Builds a target: TARGET INCLUDE_DIR PROGRAM SANITIZERS. Comparisons are not traced: the values
# that matter are in the targets, and without it runs are a third faster.
fuzz_build() {
    "$clang" -std=gnu11 -O2 -g1 -Wall -Wextra -Wno-unused-function -Werror \
        -fsanitize="$4" -fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp \
        -I"$2" "$top/tests/fuzz/$1.c" -o "$3"
}

# Runs a program of libFuzzer's: PROGRAM ARGUMENT... The seed is always the same.
fuzz_run() {
    program=$1
    shift
    ASAN_OPTIONS=quarantine_size_mb=1:malloc_context_size=0:detect_stack_use_after_return=0 \
        "$program" -seed=1 -max_len=96 -len_control=0 -reduce_inputs=0 -detect_leaks=0 -timeout=60 \
        -print_final_stats=1 "$@"
}

# How many runs a log tells of.
fuzz_count() {
    sed -n 's/^stat::number_of_executed_units: *//p' "$1"
}

# What a log says was wrong, in one line.
fuzz_why() {
    grep -a -m 1 -e 'crossvm-fuzz: ' -e 'ERROR: ' -e 'runtime error: ' "$1" || tail -n 1 "$1"
}
