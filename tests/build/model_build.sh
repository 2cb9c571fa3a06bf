#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The build for model checkers: with CROSSVM_MODEL every function of layers 0 to 5 compiles to code
# without assembly, without copies of a length that is not constant, and with shared accesses of 32
# bits alone. And a mutant weakens exactly the side of the edge that it names.
#
# usage: model_build.sh SOURCE_DIR [CC]; another compiler than clang gives way to clang
# 0 yes, 1 no, 77 skipped: no clang.

set -u
export LC_ALL=C

if [ $# -lt 1 ]; then
    echo "usage: $0 SOURCE_DIR [CC]" >&2
    exit 1
fi
source_dir=$1
clang=${2:-clang}

is_clang() {
    "$1" --version 2>/dev/null | grep -q clang
}

is_clang "$clang" || clang=clang
if ! is_clang "$clang"; then
    echo "skipped: no clang"
    exit 77
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# ir NAME FLAG...: compiles standard input to $work/NAME.ll.
ir() {
    name=$1
    shift
    "$clang" -std=c11 -I"$source_dir/include" -S -emit-llvm -x c "$@" \
        -o "$work/$name.ll" - || exit 1
}

status=0

# absent WHAT PATTERN FILE: no line of the file fits the pattern.
absent() {
    if grep -En "$2" "$work/$3.ll" >"$work/found"; then
        echo "$1:"
        sed -n 1,5p "$work/found"
        status=1
    else
        echo "no $1"
    fi
}

# present WHAT PATTERN FILE: the search above would have found it.
present() {
    if ! grep -Eq "$2" "$work/$3.ll"; then
        echo "not found in a plain build, so nothing was shown: $1"
        status=1
    fi
}

assembly='(call|invoke).* asm '
length='@llvm\.mem(cpy|move)[^(]*\([^)]*, i(32|64) %'
wide='(load|store) atomic.* i64|(load|store) volatile.* i64'

# Inline functions that nobody calls are kept: the keyword gives way to an attribute.
keep='-Dinline=__attribute__((used))'
echo '#include <crossvm/crossvm.h>' | ir model -O0 "$keep" -DCROSSVM_MODEL
echo '#include <crossvm/crossvm.h>' | ir plain -O0 "$keep"
absent 'assembly' "$assembly" model
absent 'copy of a length that is not constant' "$length" model
absent 'shared access of 64 bits' "$wide" model
present 'assembly' "$assembly" plain
present 'copy of a length that is not constant' "$length" plain
present 'shared access of 64 bits' "$wide" plain

# orders NAME: the memory orders in a build, in their order of appearance.
orders() {
    grep -Eo '(load|store) atomic.*(monotonic|acquire|release)|fence [a-z_]+' "$work/$1.ll" |
        sed -E 's/^(load|store) atomic.* ([a-z_]+)$/\1 \2/'
}

# One access of each kind on edge `a`, and one on edge `b`; stores keep the fences apart.
cat >"$work/edges.c" <<'EOT'
#include <crossvm/atomic.h>
unsigned edges(struct crossvm_le32 *word);
unsigned edges(struct crossvm_le32 *word)
{
    unsigned value = CROSSVM_LOAD_ACQUIRE(a, word) + CROSSVM_LOAD_ACQUIRE(b, word);
    CROSSVM_STORE_RELEASE(a, word, value);
    CROSSVM_STORE_RELEASE(b, word, value);
    CROSSVM_FENCE_ACQUIRE(a, word);
    crossvm_store_relaxed(word, 1);
    CROSSVM_FENCE_ACQUIRE(b, word);
    crossvm_store_relaxed(word, 2);
    CROSSVM_FENCE_RELEASE(a, word);
    crossvm_store_relaxed(word, 3);
    CROSSVM_FENCE_RELEASE(b, word);
    crossvm_store_relaxed(word, 4);
    CROSSVM_FENCE_SEQ_CST(a, word);
    crossvm_store_relaxed(word, 5);
    CROSSVM_FENCE_SEQ_CST(b, word);
    return value;
}
EOT

# expect MUTANT ORDERS: what is left of both edges when one side of edge `a` is weakened.
expect() {
    # shellcheck disable=SC2086 # no mutant is no argument
    ir edges -O1 $1 <"$work/edges.c"
    orders edges | tr '\n' ';' | sed 's/;$//; s/;/; /g' >"$work/got"
    got=$(cat "$work/got")
    if [ "$got" = "$2" ]; then
        echo "as it should be: ${1:-no mutant}"
    else
        echo "${1:-no mutant}: $got"
        echo "    wanted: $2"
        status=1
    fi
}

# edges LA SR FA FR FS: the list for edge `a` with these orders, `-` for a fence that is gone.
edges() {
    list="load $1; load acquire; store $2; store release"
    for fence in "$3" acquire "$4" release "$5" seq_cst; do
        if [ "$fence" != - ]; then
            list="$list; fence $fence"
        fi
        list="$list; store monotonic"
    done
    echo "${list%; store monotonic}"
}

mutant=-DCROSSVM_MUTANT_a_
whole=$(edges acquire release acquire release seq_cst)
expect '' "$whole"
expect "${mutant}load_acquire=0" "$whole"
expect "${mutant}load_acquire=1" "$(edges monotonic release acquire release seq_cst)"
expect "${mutant}store_release=1" "$(edges acquire monotonic acquire release seq_cst)"
expect "${mutant}fence_acquire=1" "$(edges acquire release - release seq_cst)"
expect "${mutant}fence_release=1" "$(edges acquire release acquire - seq_cst)"
expect "${mutant}fence_seq_cst=1" "$(edges acquire release acquire release -)"
exit $status
