#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# BitBake understands the Yocto recipe: with sources of one's own it is a recipe for this version,
# without any it is left out, and says what it wants. It is parsed only: building it would build a
# cross compiler first. The build directory's own configuration is not touched.
#
# usage: yocto.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no bitbake, or no build directory.
. "$(dirname "$0")/common.sh"
need bitbake
[ -n "${BUILDDIR:-}" ] || skip "BUILDDIR is not set: oe-init-build-env was not sourced"

copy_library "$library"
recipe="$library/cmake/packaging/yocto/crossvm_$(source_version).bb"
echo "TMPDIR = \"$work/tmp\"" >"$work/nothing.conf"
cat >"$work/sources.conf" <<CONF
TMPDIR = "$work/tmp"
INHERIT += "externalsrc"
EXTERNALSRC:pn-crossvm = "$library"
CONF
cd "$BUILDDIR" || exit 1

refused "a recipe without sources" "say where its sources are" \
    bitbake -R "$work/nothing.conf" -b "$recipe" -c listtasks
passes "a recipe with sources" bitbake -R "$work/sources.conf" -b "$recipe" -e || exit 1
value() {
    sed -n "s/^$1=\"\(.*\)\"$/\1/p" "$work/output" | sed 's/^ *//; s/ *$//'
}
equal "PV" "$(value PV)" "$(source_version)"
equal "S" "$(value S)" "$library"
equal "LICENSE" "$(value LICENSE)" Apache-2.0
equal "RDEPENDS:crossvm-dev" "$(value 'RDEPENDS:crossvm-dev')" ""

exit $failed
