# SPDX-License-Identifier: Apache-2.0
# What the checks that compile share: the C++ compiler beside a C compiler; and, for the scripts of
# this folder, a table with the address of every function of the library.

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
    python3 "$(dirname "$0")/common.py" functions "$all" | sort -u
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
