#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Programs that must not compile: tests/build/negative/*.c. Each says near its top which words the
# compiler's message must contain:
#
#   /* expect: FRAGMENT */         from every compiler
#   /* expect gcc: FRAGMENT */     from gcc (expect clang: likewise)
#
# and each compiles when CROSSVM_NEGATIVE_CONTROL is defined, at every optimisation level: so it
# fails for its own reason, and what is right is never warned of.
#
#   sh check_negative.sh SOURCE_DIR [CC]
set -eu

source=$1
cc=${2:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags="-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"

# What a program expects of a compiler: its own line first, else the common one.
expected() {
    kind=$1
    file=$2
    head -n 8 "$file" >"$work/head"
    sed -n "s|^/\* expect $kind: \(.*\) \*/\$|\1|p" "$work/head" >"$work/lines"
    [ -s "$work/lines" ] || sed -n 's|^/\* expect: \(.*\) \*/$|\1|p' "$work/head" >"$work/lines"
    head -n 1 "$work/lines"
}

kind_of() {
    if "$1" --version | grep -q clang; then
        echo clang
    else
        echo gcc
    fi
}

# compile COMPILER ARGUMENT...
compile() {
    compiler=$1
    shift
    # shellcheck disable=SC2086
    "$compiler" $flags -I "$source/include" -c -o "$work/out.o" "$@" >"$work/messages" 2>&1
}

control_compiles() {
    for level in -O0 -O1 -O2 -O3 -Os; do
        compile "$1" $level -DCROSSVM_NEGATIVE_CONTROL "$2" || return 1
    done
}

tried=0
failed=0
complain() {
    failed=$((failed + 1))
    echo "$1"
    grep -e error: -e warning: "$work/messages" | head -n 3 | sed 's/^/    /'
}

try() {
    compiler=$1
    file=$2
    name=$(basename "$file")
    tried=$((tried + 1))
    : >"$work/messages"
    fragment=$(expected "$(kind_of "$compiler")" "$file")
    if [ -z "$fragment" ]; then
        complain "$name: says nowhere what to expect of $(kind_of "$compiler")"
    elif ! control_compiles "$compiler" "$file"; then
        complain "$name, $compiler: the control does not compile ($level)"
    elif compile "$compiler" -O1 "$file"; then
        complain "$name, $compiler: compiles, but must not"
    elif ! grep -qF -e "$fragment" "$work/messages"; then
        complain "$name, $compiler: fails, but without: $fragment"
    fi
}

seen=""
for compiler in "$cc" gcc clang; do
    path=$(command -v "$compiler") || continue
    case $seen in
    *"[$(readlink -f "$path")]"*) continue ;;
    esac
    seen="$seen [$(readlink -f "$path")]"
    for file in "$source"/tests/build/negative/*.c; do
        [ -e "$file" ] && try "$compiler" "$file"
    done
done

if [ $tried -eq 0 ]; then
    echo "no program in tests/build/negative was tried"
    exit 1
fi
if [ $failed -ne 0 ]; then
    echo "$failed of $tried failed"
    exit 1
fi
echo "$tried compilations were refused for their reason, and their controls were not"
