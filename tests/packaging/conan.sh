#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The Conan recipe makes a package, its test_package passes, and an outside project finds it.
# Conan keeps everything in a home of the test's own.
#
# usage: conan.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no Conan 2.
. "$(dirname "$0")/common.sh"
need conan cmake "$cc"
export CONAN_HOME="$work/home" CC="$cc" CXX="$cxx"
cd "$work" || exit 1 # conan writes presets into the current directory
conan --version 2>&1 | grep -q 'version 2\.' || skip "$(conan --version 2>&1) is not Conan 2"

copy_library "$library"
copy_project find_package "$work/project"
passes "a profile" conan profile detect || exit 1
passes "conan create" conan create "$library/cmake/packaging/conan" --no-remote || exit 1
equal "the package" "$(conan list 'crossvm/*' 2>/dev/null | grep -o 'crossvm/[0-9.]*')" \
    "crossvm/$version"

passes "conan install" conan install --no-remote --requires="crossvm/$version" -g CMakeDeps \
    -g CMakeToolchain --output-folder="$work/found" || exit 1
passes "configuring" cmake -S "$work/project" -B "$work/built" -DLANGUAGE=C -DWANTED="$version" \
    -DCMAKE_TOOLCHAIN_FILE="$work/found/conan_toolchain.cmake" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER="$cc" &&
    passes "building" cmake --build "$work/built" &&
    says_all_is_well "conan" "$work/built/consumer"

exit $failed
