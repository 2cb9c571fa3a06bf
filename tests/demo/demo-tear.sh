#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-tear.sh - the demo notices: one torn version, and one changed byte of a file, end the run
# with status 1 and the reason.
. "$(dirname "$0")/common.sh"

need_tools timeout
need_compiler
make_file "$scratch/file" 100000

demo --seconds 1 --file "$scratch/file" --tear
expect_status 1 --tear
expect_text stdout "result: NOT consistent: 1 of "
expect_text stdout "first version 100: its checksum does not match"
expect_text stderr "first version 100: its checksum does not match"
expect_clean --tear

demo --seconds 1 --file "$scratch/file" --spoil --out "$scratch/out"
expect_status 1 --spoil
expect_text stdout "result: NOT consistent: the file from A arrived with another SHA-256"
[ ! -e "$scratch/out/crossvm-demo-from-a" ] || fail "a spoilt file got its final name"
cmp "$scratch/file" "$scratch/out/crossvm-demo-from-b" || fail "the other file did not arrive"
expect_clean --spoil
finish
