#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang_format.sh SOURCE_DIR - every C and C++ file is as clang-format leaves it.
# Versions of clang-format differ in details, so only the project's own version decides.
set -u
version=14
cd "${1:?usage: clang_format.sh SOURCE_DIR}" || exit 1
tool=$(command -v clang-format-$version || command -v clang-format) || {
    echo "skipped: there is no clang-format"
    exit 77
}
"$tool" --version | grep -q "version $version\." || {
    echo "skipped: $("$tool" --version) is not version $version"
    exit 77
}
files=$(find include tests examples bench tools -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cc')
# shellcheck disable=SC2086 # many names on purpose
"$tool" --dry-run -Werror $files || exit 1
echo "$(echo "$files" | wc -l) files"
