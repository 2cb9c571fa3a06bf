# SPDX-License-Identifier: Apache-2.0
#
# tests/crash/common.sh - how the programs of this folder are built and run. Read with `.`; $work is
# a directory of the caller's, $source the sources.

can_step() {
    if [ "$(uname -m)-$(uname -s)" != x86_64-Linux ]; then
        echo "skipped: single steps are known of x86-64 Linux only"
        exit 77
    fi
}

programs() {
    for program in "$source"/tests/crash/*.c; do
        basename "$program" .c
    done
}

# build INCLUDE OUTPUT PROGRAM COMPILER [FLAG...]: all symbols are bound at the start, because the
# loader would bind them in the middle of what is stepped through.
build() {
    headers=$1
    output=$2
    program=$3
    shift 3
    "$@" -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wmissing-field-initializers \
        -Werror -I "$headers" -I "$source/tests" "$source/tests/crash/$program.c" -o "$output" \
        -Wl,-z,now -lpthread
}

# images COMPILER FLAG: every program, on every image; what each operation gave, if $each is yes,
# else a line for each program.
images() {
    for program in $(programs); do
        build "$source/include" "$work/$program" "$program" "$1" "$2"
        status=0
        "$work/$program" >"$work/output" || status=$?
        if [ $status -ne 0 ] || [ "${each:-no}" = yes ]; then
            echo "$program, $1 $2:"
            cat "$work/output"
        else
            echo "$program, $1 $2: $(tail -n 1 "$work/output")"
        fi
        [ $status -eq 0 ] || exit $status
    done
}
