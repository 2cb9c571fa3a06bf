#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# crossvm within another CMake project, by add_subdirectory and by FetchContent: it builds no tests
# and no examples, and installs nothing unless it is asked to.
#
# usage: subdirectory.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no CMake.
. "$(dirname "$0")/common.sh"
need cmake "$cc" tar

# build PROJECT OPTION...: in a new build tree, until the program is there.
build() {
    project=$1
    shift
    rm -rf "$work/built"
    cmake -S "$project" -B "$work/built" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_INSTALL_PREFIX="$work/prefix" \
        -Werror=dev "$@" && cmake --build "$work/built"
}

# only_the_consumer WHAT: no program or library was built but the project's own.
only_the_consumer() {
    equal "$1: programs" "$(find "$work/built" -type f ! -path '*/CMakeFiles/*' \
        \( -perm -u+x -o -name '*.a' -o -name '*.so' \) -exec basename {} \;)" consumer
    equal "$1: tests" "$(cd "$work/built" && ctest -N 2>/dev/null | tail -n 1)" "Total Tests: 0"
}

copy_project subdirectory "$work/project"
copy_library "$work/project/crossvm"
for language in C CXX; do
    if [ $language = CXX ] && ! command -v "$cxx" >/dev/null; then
        echo "not checked: there is no $cxx"
        continue
    fi
    passes "add_subdirectory, $language: building" build "$work/project" -DLANGUAGE=$language ||
        continue
    says_all_is_well "add_subdirectory, $language" "$work/built/consumer"
    equal "languages" "$(find "$work/built" -name 'CMake*Compiler.cmake' -exec basename {} \;)" \
        "CMake${language}Compiler.cmake"
    only_the_consumer "add_subdirectory, $language"
done
passes "installing the project" cmake --install "$work/built"
equal "what it installs" "$(cd "$work/prefix" && find . -type f)" ./bin/consumer

# A project whose own library passes crossvm on has to install both. What a 64-bit compiler
# installs is as good for a 32-bit one.
passes "CROSSVM_INSTALL: building" build "$work/project" -DLANGUAGE=C -DCROSSVM_INSTALL=ON
passes "CROSSVM_INSTALL: installing" cmake --install "$work/built"
copy_project find_package "$work/finder"
find_it() {
    rm -rf "$work/found"
    cmake -S "$work/finder" -B "$work/found" -DCMAKE_PREFIX_PATH="$work/prefix" -DLANGUAGE=C \
        -DWANTED="$minor_version" -DCMAKE_C_COMPILER="$1" -DCMAKE_C_FLAGS="$flags" &&
        cmake --build "$work/found"
}
passes "CROSSVM_INSTALL: finding" find_it "$cc" &&
    says_all_is_well "CROSSVM_INSTALL" "$work/found/consumer"
if command -v i686-linux-gnu-gcc >/dev/null; then
    passes "CROSSVM_INSTALL: finding by a 32-bit project" find_it i686-linux-gnu-gcc
else
    echo "not checked: there is no i686-linux-gnu-gcc"
fi

# An archive, as a project's releases are, with a directory at its top.
copy_library "$library"
(cd "$work" && tar cf archive.tar crossvm && rm -rf crossvm) || exit 1
copy_project fetch_content "$work/fetching"
passes "FetchContent: building" build "$work/fetching" -DARCHIVE="$work/archive.tar" &&
    says_all_is_well "FetchContent" "$work/built/consumer"
only_the_consumer "FetchContent"

exit $failed
