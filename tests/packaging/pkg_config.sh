#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An installed crossvm is found by pkg-config: in its place, after the tree has moved, in a sysroot,
# and with any directories.
#
# usage: pkg_config.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no CMake or no pkg-config.
. "$(dirname "$0")/common.sh"
need cmake "$cc" pkg-config

copy_library "$library"

# install_library STAGE PREFIX OPTION...: everything goes below the directory STAGE.
install_library() {
    stage=$1
    prefix=$2
    shift 2
    rm -rf "$work/build"
    passes "configuring $*" cmake -S "$library" -B "$work/build" -DCMAKE_INSTALL_PREFIX="$prefix" \
        -DCROSSVM_BUILD_TESTS=OFF -DCROSSVM_BUILD_EXAMPLES=OFF -DCROSSVM_BUILD_TOOLS=OFF "$@" &&
        passes "installing" env DESTDIR="$stage" cmake --install "$work/build" || exit 1
}

# consume WHAT DIRECTORY: the .pc file there gives all that the program needs.
consume() {
    export PKG_CONFIG_LIBDIR="$2"
    equal "$1: version" "$(pkg-config --modversion crossvm)" "$version"
    equal "$1: libraries" "$(pkg-config --libs crossvm)" ""
    rm -f "$work/consumer"
    # A shell reads the flags again: a space in a path comes with a backslash.
    passes "$1: compiling" sh -c "\"$cc\" -std=c11 $flags $(pkg-config --cflags crossvm) \
        \"$test_dir/consumer/consumer.c\" -o \"$work/consumer\"" &&
        says_all_is_well "$1" "$work/consumer"
}

# directory WHAT DIRECTORY WANTED: which headers the .pc file there names.
directory() {
    include=$(PKG_CONFIG_LIBDIR="$2" pkg-config --cflags-only-I crossvm | sed 's/^-I//; s/ *$//')
    equal "$1: directory" "$(realpath -m "$include")" "$3"
}

install_library "$work/one" "/a prefix"
consume "in its place" "$work/one/a prefix/share/pkgconfig"
mv "$work/one/a prefix" "$work/moved"
consume "after the tree has moved" "$work/moved/share/pkgconfig"
refused "a version that it cannot be" "99" pkg-config --print-errors "crossvm >= 99"

# Staged for /usr, then used as a sysroot; not relocatable, as pkg-config 0.29 wants it there.
for relocatable in ON OFF; do
    sysroot="$work/sysroot-$relocatable"
    install_library "$sysroot" /usr -DCROSSVM_PKGCONFIG_RELOCATABLE=$relocatable
    export PKG_CONFIG_SYSROOT_DIR="$sysroot"
    consume "a sysroot, relocatable $relocatable" "$sysroot/usr/share/pkgconfig"
    unset PKG_CONFIG_SYSROOT_DIR
done
equal "the prefix that is not relocatable" \
    "$(sed -n 's/^prefix=//p' "$sysroot/usr/share/pkgconfig/crossvm.pc")" /usr

# Other directories: deep, absolute, both.
install_library "$work/deep" /opt/x -DCMAKE_INSTALL_DATADIR=a/b/share \
    -DCMAKE_INSTALL_INCLUDEDIR=c/include
consume "deep directories" "$work/deep/opt/x/a/b/share/pkgconfig"
install_library "" "$work/here" -DCMAKE_INSTALL_INCLUDEDIR="$work/the headers"
consume "absolute headers" "$work/here/share/pkgconfig"
directory "absolute headers" "$work/here/share/pkgconfig" "$work/the\\ headers"
install_library "" "$work/there you are" -DCMAKE_INSTALL_DATADIR="$work/data"
consume "absolute data" "$work/data/pkgconfig"
directory "absolute data" "$work/data/pkgconfig" "$work/there\\ you\\ are/include"

exit $failed
