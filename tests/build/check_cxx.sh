#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What a C++ program needs of the headers beyond that they compile: every function that C has, also
# the backends', can be called; `using namespace` beside the standard headers, in either order,
# makes nothing ambiguous; the macros expand to C++17; two files that share inline functions and
# templates link into one program, also without exceptions and type information; and no C function
# of ours is visible to the linker, so that files built with different options never share one. What
# a typed handle has to refuse does not compile.
#
#   sh check_cxx.sh SOURCE_DIR [CC]
set -eu

include=$1/include
cc=${2:-cc}
. "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"

# An RTOS's backends link with the RTOS alone: tests/rtos.
{
    (cd "$include" && find crossvm/backend -name '*.h' ! -name zephyr.h ! -name freertos.h | sort)
    echo crossvm/crossvm.h
} | sed 's/.*/#include <&>/' >"$work/all.c"
(cd "$include" && find crossvm -name '*.hpp' | sort) | sed 's/.*/#include <&>/' >"$work/cxx.h"
cat >"$work/std.h" <<'STD'
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>
STD

# What both files have: inline functions and templates that call the library, and all the macros
# that a program uses with arguments of its own.
cat >"$work/shared.hpp" <<'SHARED'
using namespace std;
using namespace crossvm;

namespace application
{
template <class T> struct pair_of {
    T first, second;
};
using element = pair_of<uint32_t>;
CROSSVM_SPSC_TYPE(elements, element);

inline uint32_t checksum(const string &text)
{
    return crossvm_crc32c(0, text.data(), text.size());
}

template <class T> const char *name_of(T status)
{
    return crossvm_status_name(status);
}

inline int no_queue(elements_tx &tx, spsc_tx<element> &typed)
{
    element elem = {1, 2};
    tx.queue.n_free = 0;
    tx.queue.state = CROSSVM_NOT_YET;
    static_cast<crossvm_spsc_tx &>(typed) = tx.queue;
    return elements_tx_push(&tx, &elem) == typed.push(elem) ? typed.push_n(&elem, 1) : 0;
}

inline int no_bytes(const crossvm_bytes_reader &reader, const crossvm_bytes_writer &writer)
{
    element elem = {1, 2};
    int status = CROSSVM_BYTES_READ_FIELD(&reader, 0, element, second, &elem.second);
    int other = CROSSVM_BYTES_WRITE_FIELD(&writer, 0, element, first, &elem.first);
    return status == other ? status : 0;
}
} // namespace application
SHARED

# Both files answer the same, by the same functions.
cat >"$work/answers.hpp" <<'ANSWERS'
using namespace application;
string ANSWERS()
{
    vector<string> words;
    elements_tx tx = {};
    spsc_tx<element> typed = {};
    crossvm_bytes_reader reader = {};
    crossvm_bytes_writer writer = {};
    thread other([&words] { words.push_back(to_string(application::checksum("123456789"))); });
    other.join();
    words.push_back(name_of(no_queue(tx, typed)));
    words.push_back(name_of(no_bytes(reader, writer)));
    auto empty = make_unique<memfd>();
    memfd moved = std::move(*empty);
    words.push_back(to_string(moved.fd));
    return words[0] + " " + words[1] + " " + words[2] + " " + words[3];
}
ANSWERS
expected="3808858755 NOT_YET INVALID -1"

cat "$work/all.c" "$work/cxx.h" "$work/std.h" "$work/shared.hpp" >"$work/one.start"
cat "$work/std.h" "$work/cxx.h" "$work/all.c" "$work/shared.hpp" >"$work/two.start"
cat >"$work/main.cpp" <<'MAIN'
#include <cstdio>
#include <string>
std::string answers_one();
std::string answers_two();
int main()
{
    std::puts(answers_one().c_str());
    return answers_one() == answers_two() ? 0 : 1;
}
MAIN

failed=0
complain() {
    failed=$((failed + 1))
    echo "$1"
    [ ! -s "$work/out" ] || head -n 15 "$work/out" | sed 's/^/    /'
    : >"$work/out"
}

# build COMMAND...: the two files with their tables of all that C has, linked and run.
build() {
    objects=""
    for file in one two; do
        {
            write_table "$work/$file.start" "table_of_$file" <"$work/names"
            sed "s/ANSWERS/answers_$file/" "$work/answers.hpp"
        } >"$work/$file.cpp"
        # shellcheck disable=SC2086
        if ! "$@" $warnings -c -o "$work/$file.o" "$work/$file.cpp" 2>"$work/out"; then
            complain "$*: does not compile:"
            return
        fi
        # Globals and weak symbols: nothing of the C headers may be among them.
        nm -C "$work/$file.o" | sed -n 's/.* [A-TV-Zuvw] \(crossvm_[a-z0-9_]*\)$/\1/p' >"$work/out"
        [ ! -s "$work/out" ] || complain "$*: the linker sees"
        objects="$objects $work/$file.o"
    done
    # shellcheck disable=SC2086
    if ! "$@" -o "$work/program" "$work/main.cpp" $objects -pthread 2>"$work/out"; then
        complain "$*: does not link:"
    elif ! "$work/program" >"$work/out" || [ "$(cat "$work/out")" != "$expected" ]; then
        complain "$*: expected $expected, got"
    else
        echo "$*: $(wc -l <"$work/names") functions"
    fi
}

# refused FRAGMENT STATEMENT...: does not compile, and the compiler says FRAGMENT.
refused() {
    fragment=$1
    shift
    {
        cat "$work/two.start"
        printf 'struct other { uint32_t a; };\n'
        printf 'int never(spsc_tx<application::element> &tx)\n{\n    %s\n    return 0;\n}\n' "$*"
    } >"$work/refused.cpp"
    # shellcheck disable=SC2086
    if "$cxx" -std=c++17 $warnings -I "$include" -fsyntax-only "$work/refused.cpp" \
        2>"$work/out"; then
        complain "$cxx: compiles, but must not: $*"
    elif ! grep -qF -e "$fragment" "$work/out"; then
        complain "$cxx: $*: fails, but without: $fragment"
    fi
}

refuse_all() {
    refused "only trivially copyable types" 'snapshot_writer<std::string> out; (void)out;'
    refused "only trivially copyable types" 'spsc_rx<vector<int>> rx; (void)rx;'
    refused "a pointer means nothing" 'pipe_tx<char *> pipe; (void)pipe;'
    refused "push" 'return tx.push(other{1});'
    refused "ignoring return value" 'tx.push({1, 2});'
    refused "deleted" 'memfd one; memfd two(one);'
}

built=0
seen=""
for compiler in "$cc" gcc clang; do
    path=$(command -v "$compiler") || continue
    case $seen in
    *"[$(readlink -f "$path")]"*) continue ;;
    esac
    seen="$seen [$(readlink -f "$path")]"
    cxx=$(cxx_of "$compiler")
    command -v "$cxx" >/dev/null || {
        echo "no $cxx here"
        continue
    }
    names_of "$compiler" -std=c11 -I "$include" "$work/all.c" >"$work/names"
    [ -s "$work/names" ] || complain "$compiler: no functions were found"
    refuse_all
    for std in c++17 c++20; do
        build "$cxx" -std=$std -I "$include"
        build "$cxx" -std=$std -O2 -fno-exceptions -fno-rtti -I "$include"
        built=$((built + 1))
    done
done

if [ $built -eq 0 ]; then
    echo "skipped: there is no C++ compiler"
    exit 77
fi
[ $failed -eq 0 ] || {
    echo "$failed failed"
    exit 1
}
