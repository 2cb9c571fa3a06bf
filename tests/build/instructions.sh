#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The access layer costs nothing: in a plain build what goes by way of it has as many instructions
# as the same written with the compiler's builtins. Looked at are the pairs of instructions.c, and
# the library's own paths (instructions_whole.c) built with and without the layer.
#
# usage: instructions.sh SOURCE_DIR CC [FLAG...]; without flags also with gcc and clang, if present
# 0 all equal, 1 a function differs, 77 skipped: no compiler whose code can be listed.

set -u
export LC_ALL=C

if [ $# -lt 2 ]; then
    echo "usage: $0 SOURCE_DIR CC [FLAG...]" >&2
    exit 1
fi
source_dir=$1
cc=$2
shift 2

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# can_list TOOL: whether it disassembles this compiler's code.
can_list() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -d "$work/object" 2>/dev/null | grep -q '<probe>:'
}

# find_objdump FLAG...: the compiler knows the objdump of its target, if there is one.
find_objdump() {
    echo 'int probe(void); int probe(void) { return 1; }' >"$work/probe.c"
    "$cc" "$@" -c "$work/probe.c" -o "$work/object" || return 1
    objdump=$("$cc" "$@" -print-prog-name=objdump 2>/dev/null)
    can_list "${objdump:=objdump}" || objdump=llvm-objdump
    can_list "$objdump"
}

# count FILE FLAG...: a line for each function: name, number of instructions, their names sorted.
# Padding is no instruction; a part that the compiler split off belongs to its function.
count() {
    file=$1
    shift
    if ! "$cc" -std=c11 -ffunction-sections -I"$source_dir/include" "$@" \
        -c "$source_dir/tests/build/$file" -o "$work/object"; then
        echo "$file does not compile with: $*" >&2
        return 1
    fi
    if ! "$objdump" -d --no-show-raw-insn "$work/object" >"$work/listing"; then
        return 1
    fi
    awk '
        /^[0-9a-f]+ <.*>:$/ {
            name = $2
            gsub(/[<>:]/, "", name)
            sub(/\..*$/, "", name)
            next
        }
        /^ *[0-9a-f]+: *\t/ {
            split($0, field, "\t")
            if (name != "" && field[2] !~ /^(nop|data16|cs nop|xchg +%ax,%ax)/) {
                split(field[2], word, " ")
                print name, word[1]
            }
        }' "$work/listing" | sort | awk '
        {
            n[$1]++
            row[$1] = row[$1] "," $2
        }
        END {
            for (name in n) {
                print name, n[name], row[name]
            }
        }' | sort
}

# pairs LEAST NAMES: joins the two counts; 1 when a function differs, is missing, or there are fewer
# than LEAST. With NAMES 1 the instructions' names count, too: a locked one is one as well.
pairs() {
    join -a 1 -a 2 -e - -o 0,1.2,2.2,1.3,2.3 "$work/layer" "$work/hand" |
        awk -v level="$level" -v least="$1" -v names="$2" '
        {
            equal = $2 == $3 && (!names || $4 == $5)
            differ += !equal
            printf "%-4s %-30s %5s %5s%s\n", level, $1, $2, $3, equal ? "" : "  differs"
        }
        END { exit differ > 0 || NR < least }'
}

# compare FLAG...: both files at one level.
compare() {
    count instructions.c "$level" "$@" >"$work/all" || return 1
    sed -n 's/^layer_//p' "$work/all" >"$work/layer"
    sed -n 's/^hand_//p' "$work/all" >"$work/hand"
    result=0
    pairs 11 1 || result=1
    count instructions_whole.c "$level" "$@" >"$work/layer" || return 1
    count instructions_whole.c "$level" -DBY_HAND "$@" >"$work/hand" || return 1
    pairs 9 0 || result=1
    return $result
}

# check FLAG...: one compiler. The comparison itself must be able to fail, too: system-wide fences
# cost instructions.
check() {
    echo "$cc $*"
    echo "     function                       layer  hand"
    for level in -O2 -O3 -Os; do
        compare "$@" || status=1
    done
    level=-O2
    compare "$@" -DCROSSVM_SYSTEM_FENCES >"$work/fenced"
    told=$(grep -c differs "$work/fenced")
    echo "with CROSSVM_SYSTEM_FENCES, to see the comparison fail: $told functions differ"
    if [ "$told" -eq 0 ]; then
        status=1
    fi
}

status=77
compilers=$cc
if [ $# -eq 0 ]; then
    compilers="$cc gcc clang"
fi
seen=
for cc in $compilers; do
    path=$(command -v "$cc") || continue
    path=$(readlink -f "$path")
    case " $seen " in *" $path "*) continue ;; esac
    seen="$seen $path"
    if ! find_objdump "$@"; then
        echo "no objdump for $cc $*"
        continue
    fi
    if [ $status -eq 77 ]; then
        status=0
    fi
    check "$@"
done
if [ $status -eq 77 ]; then
    echo "skipped: no compiler whose code can be listed"
fi
exit $status
