#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The vcpkg port is installed as an overlay, and an outside project finds it by vcpkg's toolchain
# file. Nothing is left in VCPKG_ROOT but tools that vcpkg downloads.
#
# usage: vcpkg.sh SOURCE_DIR [CC]      Status 0, 1, or 77: VCPKG_ROOT is not set.
. "$(dirname "$0")/common.sh"
[ -n "${VCPKG_ROOT:-}" ] || skip "VCPKG_ROOT is not set"
[ -x "$VCPKG_ROOT/vcpkg" ] || skip "there is no $VCPKG_ROOT/vcpkg"
need cmake "$cc"
export CC="$cc" CXX="$cxx" VCPKG_DISABLE_METRICS=1

copy_library "$library"
copy_project find_package "$work/project"
cd "$work" || exit 1
passes "vcpkg install" "$VCPKG_ROOT/vcpkg" install crossvm --classic --no-binarycaching \
    --overlay-ports="$library/cmake/packaging/vcpkg" --x-install-root="$work/installed" \
    --x-buildtrees-root="$work/buildtrees" --x-packages-root="$work/packages" || exit 1
# What vcpkg's checks of a package find wanting is in its output.
if grep -i -A3 warning "$work/output"; then
    fail "vcpkg warns"
fi
passes "the headers are the library's" diff -r "$library/include/crossvm" \
    "$(echo "$work"/installed/*/include/crossvm)"

passes "configuring" cmake -S "$work/project" -B "$work/built" -DLANGUAGE=C -DWANTED="$version" \
    -DCMAKE_TOOLCHAIN_FILE="$VCPKG_ROOT/scripts/buildsystems/vcpkg.cmake" \
    -DVCPKG_INSTALLED_DIR="$work/installed" -DVCPKG_MANIFEST_MODE=OFF &&
    passes "building" cmake --build "$work/built" &&
    says_all_is_well "vcpkg" "$work/built/consumer"

exit $failed
