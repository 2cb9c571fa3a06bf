#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cpack makes libcrossvm-dev_VERSION_all.deb: its description, its files and their rights are right
# (no program is among them), and what it holds is usable where it is unpacked. As root it is really installed, used without
# any path, and purged again; not if there is a libcrossvm-dev on this machine already.
#
# usage: deb.sh SOURCE_DIR [CC]      Status 0, 1, or 77: without CMake, dpkg, pkg-config.
. "$(dirname "$0")/common.sh"
need cmake cpack "$cc" dpkg-deb dpkg pkg-config

name=libcrossvm-dev
lock=/run/lock/crossvm-deb-test
installed=no

make_package() {
    (
        umask 077 # rights come from the package's rules, not from who builds it
        cmake -S "$library" -B "$work/build" -DCROSSVM_BUILD_TESTS=OFF \
            -DCROSSVM_BUILD_EXAMPLES=OFF -DCMAKE_C_COMPILER="$cc" -Werror=dev && cd "$work/build" && cpack
    )
}

field() {
    dpkg-deb -f "$deb" "$1"
}

# The tree that dpkg -x makes is a prefix like any other.
use_unpacked() {
    passes "unpacking" dpkg -x "$deb" "$work/root"
    passes "the headers are the library's" diff -r "$library/include/crossvm" \
        "$work/root/usr/include/crossvm"
    copy_project find_package "$work/project"
    passes "unpacked: configuring" cmake -S "$work/project" -B "$work/built" -DLANGUAGE=C \
        -DWANTED="$version" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$work/root/usr" &&
        passes "unpacked: building" cmake --build "$work/built" &&
        says_all_is_well "unpacked" "$work/built/consumer"
    equal "unpacked: pkg-config" "$(PKG_CONFIG_LIBDIR="$work/root/usr/share/pkgconfig" \
        pkg-config --modversion crossvm 2>&1)" "$version"
    doc=$work/root/usr/share/doc/$name
    equal "the licence" "$(sed -n 's/^License: //p' "$doc/copyright" | sort -u)" Apache-2.0
    equal "the changelog" "$(zcat "$doc/changelog.gz" | head -n 1)" \
        "$name ($version) unstable; urgency=medium"
}

# dpkg_waiting ARGUMENT...: another program may be using dpkg just now.
dpkg_waiting() {
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        dpkg "$@" >"$work/dpkg" 2>&1 && return 0
        grep -q lock "$work/dpkg" || break
        sleep $attempt
    done
    cat "$work/dpkg"
    return 1
}

purge() {
    [ $installed = yes ] || return 0
    passes "purging" dpkg_waiting --purge $name && installed=no
}

# As any program of this machine would find it: no path is named.
use_installed() {
    unset PKG_CONFIG_LIBDIR
    passes "installed: compiling" "$cc" "$test_dir/consumer/consumer.c" -o "$work/plain" &&
        says_all_is_well "installed" "$work/plain"
    equal "installed: pkg-config" "$(pkg-config --modversion crossvm 2>&1)" "$version"
    rm -rf "$work/built"
    passes "installed: configuring" cmake -S "$work/project" -B "$work/built" -DLANGUAGE=C \
        -DWANTED="$version" -DCMAKE_C_COMPILER="$cc" &&
        passes "installed: building" cmake --build "$work/built" &&
        says_all_is_well "installed, found by CMake" "$work/built/consumer"
}

install_and_purge() {
    if [ "$(id -u)" != 0 ]; then
        echo "not installed: only root may"
        return
    fi
    if ! command -v flock >/dev/null; then
        echo "not installed: there is no flock, and two such tests could meet"
        return
    fi
    exec 9>"$lock"
    if ! flock -w 60 9; then
        echo "not installed: another such test is at work"
        return
    fi
    if dpkg -s $name >/dev/null 2>&1 || [ -e /usr/include/crossvm ]; then
        echo "not installed: this machine has a crossvm already"
        return
    fi
    # Also when nobody reads the output any more.
    trap 'trap "" PIPE; purge; rm -rf "$work"' EXIT
    installed=yes
    if passes "installing" dpkg_waiting -i "$deb"; then
        use_installed
    elif grep -q lock "$work/dpkg"; then
        echo "dpkg was in use all the time"
    fi
    purge
    equal "what is left" "$(find /usr/include/crossvm /usr/share/cmake/crossvm \
        /usr/share/doc/$name /usr/share/pkgconfig/crossvm.pc 2>/dev/null)" ""
}

copy_library "$library"
passes "making the package" make_package || exit 1
deb=$work/build/${name}_${version}_all.deb
[ -f "$deb" ] || {
    fail "there is no $deb"
    exit 1
}

for wanted in Package=$name Version="$version" Architecture=all Section=libdevel \
    Priority=optional Depends=; do
    equal "${wanted%%=*}" "$(field "${wanted%%=*}")" "${wanted#*=}"
done
equal "the description's lines" "$(field Description | grep -c -i "primitives between virtual")" 1
equal "the maintainer has an address" "$(field Maintainer | grep -c '^[^<]* <[^@ ]*@[^ >]*>$')" 1
equal "rights and owners" "$(dpkg-deb -c "$deb" | awk '{print $1, $2}' | sort -u | tr '\n' ' ')" \
    "-rw-r--r-- root/root drwxr-xr-x root/root "
use_unpacked
if command -v lintian >/dev/null; then
    passes "lintian" lintian --allow-root --fail-on error,warning "$deb"
else
    echo "not checked: there is no lintian"
fi
install_and_purge

exit $failed
