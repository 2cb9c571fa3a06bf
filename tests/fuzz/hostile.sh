#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# All fuzz targets for a minute in all, as part of the ordinary run: hostile.sh SOURCE_DIR.
# CROSSVM_TEST_SCALE makes it so many times longer. Where the tests are built, nothing is left.
set -eu

top=$1
. "$top/tests/fuzz/common.sh"
fuzz_need_clang

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=$(fuzz_targets | wc -l)
seconds=$((60 * ${CROSSVM_TEST_SCALE:-1} / n))
if ! CROSSVM_FUZZ_DIR=$work sh "$top/tests/fuzz.sh" --seconds "$seconds" >"$work/out" 2>&1; then
    cat "$work/out"
    for input in "$work"/*-crash-* "$work"/*-timeout-* "$work"/*-oom-*; do
        [ -f "$input" ] || continue
        echo "$(basename "$input"), as base64:"
        base64 "$input"
    done
    exit 1
fi
cat "$work/out"
