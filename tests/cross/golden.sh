#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every architecture makes the golden images of today's format anew: they are the same as each
# other's, byte for byte, and the same as those that are kept in tests/golden.
#
#   sh golden.sh SOURCE_DIR [CC]      compares
#   sh golden.sh SOURCE_DIR --write   makes those that are kept, for a format that is new
set -eu

source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source-path=SCRIPTDIR
. "$source/tests/cross/common.sh"
build_everywhere "$source/include" "$source/tests/cross/golden.c"

number() {
    sed -n "s/^#define CROSSVM_FORMAT_$1 *\([0-9][0-9]*\)u.*/\1/p" \
        "$source/include/crossvm/version.h"
}
format=$(number MAJOR).$(number MINOR)
case $format in
.* | *.)
    echo "golden.sh: version.h: no format version found"
    exit 1
    ;;
esac
kept=$source/tests/golden/$format

for name in $(cat "$work/names"); do
    "$work/$name.run" "$work" "$name"
done

if [ "${2:-}" = --write ]; then
    mkdir -p "$kept"
    for party in a b; do
        cp "$work/native-$party.img" "$kept/$(uname -m)-$party.img"
        for name in i386 s390x powerpc; do
            cp "$work/$name-$party.img" "$kept/$name-$party.img"
        done
    done
    exit 0
fi

n_compared=0
for party in a b; do
    for image in "$kept"/*-"$party".img; do
        for name in $(cat "$work/names"); do
            cmp "$work/$name-$party.img" "$image"
            n_compared=$((n_compared + 1))
        done
    done
done
echo "$n_compared comparisons with images in $format, all bytes equal"
