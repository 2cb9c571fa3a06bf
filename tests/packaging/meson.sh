#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# crossvm in projects that are built by Meson: as a subproject, which installs nothing; and found
# by pkg-config where Meson installed it, also after the tree has moved.
#
# usage: meson.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no Meson, Ninja or pkg-config.
. "$(dirname "$0")/common.sh"
need meson ninja pkg-config "$cc"

export CC="$cc" CXX="$cxx"

# build PROJECT OPTION...: in a new build tree.
build() {
    project=$1
    shift
    rm -rf "$work/built"
    meson setup "$work/built" "$project" --fatal-meson-warnings "$@" && ninja -C "$work/built"
}

copy_project meson_subproject "$work/project"
copy_library "$work/project/subprojects/crossvm"
passes "a subproject: building" build "$work/project" --prefix "$work/prefix" \
    --wrap-mode=nodownload
for program in consumer named; do
    says_all_is_well "a subproject, $program" "$work/built/$program"
done
passes "a subproject: installing" meson install -C "$work/built"
equal "what it installs" "$(cd "$work/prefix" && find . -type f)" ./bin/consumer

copy_library "$library"
passes "building crossvm" build "$library" --prefix "$work/a prefix" -Dpkgconfig.relocatable=true &&
    passes "installing crossvm" meson install -C "$work/built"
passes "the headers are the library's" diff -r "$library/include/crossvm" \
    "$work/a prefix/include/crossvm"
equal "what else is installed" "$(cd "$work/a prefix" && find . -type f ! -path './include/*')" \
    ./share/pkgconfig/crossvm.pc

if ! command -v "$cxx" >/dev/null; then
    echo "not checked: there is no $cxx"
    exit $failed
fi
mv "$work/a prefix" "$work/moved"
export PKG_CONFIG_LIBDIR="$work/moved/share/pkgconfig"
copy_project meson_installed "$work/finder"
# The version in meson.build is not taken from version.h; recipes.py compares the two.
equal "the version" "$(pkg-config --modversion crossvm)" "$(source_version)"
passes "installed: building" build "$work/finder" &&
    says_all_is_well "installed" "$work/built/consumer"
refused "version 99" "found.*but need" build "$work/finder" "-Dwanted=>=99"

exit $failed
