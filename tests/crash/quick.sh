#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every operation is left at each change of the shared memory, and all survivors carry on from each
# such image; with one compiler at -O2. tests/crash/crash.h says what is held.
#
#   sh quick.sh SOURCE_DIR [CC]
set -eu

source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source-path=SCRIPTDIR
. "$source/tests/crash/common.sh"
can_step
each=yes
images "${2:-cc}" -O2
