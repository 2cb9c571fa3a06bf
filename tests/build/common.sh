# SPDX-License-Identifier: Apache-2.0
# What the checks that compile share: the C++ compiler beside a C compiler; a table with the address
# of every function of the library; and what an object with such a table may need. A script of
# another folder sets `checks` to this one.

# The C++ compiler beside a C compiler: gcc-12 has g++-12, cc has c++.
cxx_of() {
    case $1 in
    *clang*) echo "$1" | sed 's/clang/clang++/' ;;
    *gcc*) echo "$1" | sed 's/gcc/g++/' ;;
    *) echo "$1" | sed 's/cc$/c++/' ;;
    esac
}

# names_of COMPILER ARGUMENT... FILE: the functions of the library that this build of FILE has.
names_of() {
    all=$(mktemp)
    "$@" -E -P >"$all"
    python3 "${checks:-$(dirname "$0")}/common.py" functions "$all" | sort -u
    rm "$all"
}

# write_table FILE TABLE <NAMES: FILE, and then a table of the functions in NAMES, so that none is
# dropped as unused.
write_table() {
    cat "$1"
    echo "extern void (*const $2[])(void);"
    echo "void (*const $2[])(void) = {"
    sed 's/.*/    (void (*)(void))&,/'
    echo '};'
}

# table_for INCLUDE_DIR COMPILER [FLAG...]: $work/table.c has every function of layers 0 to 5 that
# this build has, freestanding; $work/names lists them.
table_for() {
    headers_in=$1
    shift
    cat >"$work/start.c" <<'START'
#include <crossvm/crossvm.h>
struct element {
    uint32_t words[5];
};
CROSSVM_SPSC_TYPE(crossvm_typed, struct element);
START
    names_of "$@" -std=c11 -ffreestanding -I "$headers_in" "$work/start.c" >"$work/names"
    write_table "$work/start.c" crossvm_every_function <"$work/names" >"$work/table.c"
}

# object_is_whole WHAT OBJECT [SYMBOL...]: the object has every function of $work/names, and needs
# nothing but memcpy, memset and the symbols named. Says what is wrong, and answers 1.
object_is_whole() {
    what=$1
    nm "$2" >"$work/symbols"
    shift 2
    printf '%s\n' memcpy memset "$@" >"$work/allowed"
    whole=0
    # Without the functions in it the object proves nothing.
    sed -n 's/.* [tT] //p' "$work/symbols" | sort -u >"$work/defined"
    comm -23 "$work/names" "$work/defined" >"$work/dropped"
    if [ -s "$work/dropped" ] || [ ! -s "$work/names" ]; then
        echo "$what: not in the object:"
        sed 's/^/    /' "$work/dropped"
        whole=1
    fi
    if sed -n 's/^ *U //p' "$work/symbols" | grep -vxF -f "$work/allowed" >"$work/needed"; then
        echo "$what needs from outside:"
        sed 's/^/    /' "$work/needed"
        whole=1
    fi
    return $whole
}
