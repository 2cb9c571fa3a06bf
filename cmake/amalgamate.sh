#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Writes the whole library as one header. The same sources give the same bytes, wherever and
# whenever this runs.
#
#   sh cmake/amalgamate.sh [OUTPUT]      default: crossvm.h in the current directory
#
# Layers 0 to 5 are always in effect. The backends need an operating system, so each is in effect
# only for who defines CROSSVM_WITH_<NAME> before including the header (CROSSVM_WITH_MEMFD for
# crossvm/backend/memfd.h): one file serves a firmware and its Linux host. Headers that are C++
# alone likewise, CROSSVM_WITH_CXX being crossvm.hpp's; in C they stay out. Every header keeps its
# guard, so the file may be included again with more of them (backends in C: under -D_GNU_SOURCE).
set -eu
LC_ALL=C
export LC_ALL

case $# in
0) output=crossvm.h ;;
1) output=$1 ;;
*) output= ;;
esac
case $output in
'' | -*)
    echo "amalgamate.sh: ${*:-\"\"}: expected one file to write, or nothing for crossvm.h" >&2
    echo "usage: sh cmake/amalgamate.sh [OUTPUT]" >&2
    exit 2
    ;;
esac
if [ -d "$output" ] || [ ! -d "$(dirname "$output")" ]; then
    echo "amalgamate.sh: $output: expected a file in a directory that exists" >&2
    exit 2
fi

sha256() {
    if command -v sha256sum >/dev/null; then
        sha256sum
    elif command -v shasum >/dev/null; then
        shasum -a 256
    else
        openssl dgst -sha256 -r
    fi | cut -d ' ' -f 1
}

top=$(cd "$(dirname "$0")/../include/crossvm" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# File names in include/ have no blanks.
files=$(cd "$top" && find . -name '*.h' -o -name '*.hpp' | sed 's|^\./||' | sort)
hash=$(cd "$top" && for file in $files; do
    echo "$file"
    cat "$file"
done | sha256)
version=$(sed -n 's/^#define CROSSVM_VERSION_STRING "\([^"]*\)".*/\1/p' "$top/version.h")
[ -n "$hash" ] && [ -n "$version" ] || {
    echo "amalgamate.sh: no hash or no version: is there a sha256sum?" >&2
    exit 1
}

cat >"$work/sort.awk" <<'AWK'
# Reads all headers; writes each once, behind what it includes.

function die(text) {
    print "amalgamate.sh: " text > "/dev/stderr"
    broken = 1
    exit 1
}

# "service/../spsc.h" is spsc.h.
function plain(path) {
    while (sub(/[^\/]+\/\.\.\//, "", path)) {
    }
    return path
}

function is_backend(file) {
    return file ~ /^backend\//
}

function is_cxx(file) {
    return file ~ /\.hpp$/
}

# In effect only on request.
function is_optional(file) {
    return is_backend(file) || is_cxx(file)
}

function macro(file) {
    if (file == "crossvm.hpp") {
        return "CROSSVM_WITH_CXX"
    }
    sub(/^backend\//, "", file)
    sub(/\.hp*$/, "", file)
    return "CROSSVM_WITH_" toupper(file)
}

FNR == 1 {
    files[++n_files] = FILENAME
    dir = FILENAME
    sub(/[^\/]*$/, "", dir)
}

/^[ \t]*#[ \t]*include[ \t]*<crossvm\// {
    die(FILENAME ": includes a header of the library by <>")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, piece, "\"")
    needs[FILENAME, ++n_needs[FILENAME]] = plain(dir piece[2])
    dropped = 1
    next
}

# What an include leaves behind is not two empty lines.
{
    if (!(dropped && $0 == "" && last == "")) {
        text[FILENAME] = text[FILENAME] $0 "\n"
    }
    last = $0
    dropped = 0
}

# Puts a header behind what it includes. state: 1 while under way, 2 when it has its place.
function place(file, i, need) {
    if (state[file] == 1) {
        die(file ": includes itself by a detour")
    }
    if (state[file] == 2) {
        return
    }
    state[file] = 1
    for (i = 1; i <= n_needs[file]; i++) {
        need = needs[file, i]
        if (!(need in text)) {
            die(file ": includes " need ", which is not there")
        }
        if (is_optional(need) && !is_optional(file)) {
            die(file ": includes " need ", which is not always in effect")
        }
        place(need)
    }
    state[file] = 2
    order[++n_order] = file
}

# Every optional header that needs this one, itself included, asks for it.
function mark(file, by, i) {
    if (is_optional(file) && !((file, by) in asked)) {
        asked[file, by] = 1
        for (i = 1; i <= n_needs[file]; i++) {
            mark(needs[file, i], by)
        }
    }
}

# When a header is in effect; without a file: when any backend is.
function condition(file, i, out) {
    out = ""
    for (i = 1; i <= n_files; i++) {
        if (file == "" ? is_backend(files[i]) : (file, files[i]) in asked) {
            out = out (out == "" ? "" : " || \\\n    ") "defined(" macro(files[i]) ")"
        }
    }
    return file != "" && is_cxx(file) ? "defined(__cplusplus) && (" out ")" : out
}

END {
    if (broken) {
        exit 1
    }
    # The umbrella names the layers in their order: good for who reads the file.
    place("crossvm.h")
    for (pass = 0; pass <= 1; pass++) {
        for (i = 1; i <= n_files; i++) {
            if (is_optional(files[i]) == pass) {
                place(files[i])
                mark(files[i], files[i])
            }
        }
    }
    if (condition("") != "") {
        print "\n/* The backends need declarations that C libraries hide in strict modes. */"
        print "#if !defined(_GNU_SOURCE) && \\\n    (" condition("") ")"
        print "#define _GNU_SOURCE 1\n#endif"
    }
    for (i = 1; i <= n_order; i++) {
        file = order[i]
        print ""
        if (is_optional(file)) {
            printf "#if %s\n%s#endif\n", condition(file), text[file]
        } else {
            printf "%s", text[file]
        }
    }
}
AWK

cat >"$work/crossvm.h" <<BANNER
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm $version in one header: lock-free shared-memory primitives between virtual machines.
 *
 * Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0
 *
 * Made by cmake/amalgamate.sh from headers whose names and contents have the SHA-256
 * $hash
 *
 * Layers 0 to 5 are always in effect; a backend is when its CROSSVM_WITH_<NAME> is defined before
 * this file is included (and before any system header): CROSSVM_WITH_MEMFD for backend/memfd.h.
 * CROSSVM_WITH_CXX is for crossvm.hpp.
 */
BANNER
# shellcheck disable=SC2086 # many names on purpose
(cd "$top" && awk -f "$work/sort.awk" $files) >>"$work/crossvm.h"
cp "$work/crossvm.h" "$output"
