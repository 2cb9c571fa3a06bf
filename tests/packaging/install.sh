#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An installed crossvm is found by CMake: in a C project and in a C++ one, after the tree has moved,
# in any directories, and only by who asks for a version that it can be. Tools are installed apart.
#
# usage: install.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no CMake.
. "$(dirname "$0")/common.sh"
need cmake "$cc"

# install_library LIBRARY BUILD OPTION...: without any compiler, as headers need none.
install_library() {
    from=$1
    in=$2
    shift 2
    passes "configuring without a compiler" env CC=/nonexistent CXX=/nonexistent \
        cmake -S "$from" -B "$in" -DCROSSVM_BUILD_TESTS=OFF -DCROSSVM_BUILD_EXAMPLES=OFF \
        -DCROSSVM_BUILD_TOOLS=OFF "$@" &&
        passes "building" cmake --build "$in" && passes "installing" cmake --install "$in"
}

# configure PREFIX LANGUAGE WANTED: the project beside a prefix, in a new build tree.
configure() {
    rm -rf "$work/built"
    cmake -S "$work/project" -B "$work/built" -DCMAKE_PREFIX_PATH="$1" -DLANGUAGE="$2" \
        -DWANTED="$3" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -Werror=dev
}

# consume PREFIX LANGUAGE WHAT
consume() {
    passes "$3: configuring" configure "$1" "$2" "$minor_version" &&
        passes "$3: building" cmake --build "$work/built" &&
        says_all_is_well "$3" "$work/built/consumer"
}

# Exactly the headers, unchanged, and the four files that tell of them.
same_headers() {
    passes "the headers are the library's" diff -r "$library/include/crossvm" "$1/crossvm"
}

# files_in PREFIX: all files but the headers.
files_in() {
    (cd "$1" && find . -type f ! -path './include/crossvm/*' | sort | tr '\n' ' ')
}

# install_component COMPONENT: into a prefix of its own.
install_component() {
    passes "installing $1 alone" cmake --install "$work/all" --component "$1" \
        --prefix "$work/one/$1"
}

copy_library "$library"
copy_project find_package "$work/project"
prefix="$work/a prefix"
install_library "$library" "$work/build" -DCMAKE_INSTALL_PREFIX="$prefix" || exit 1
same_headers "$prefix/include"
beside_headers="./share/cmake/crossvm/crossvmConfig.cmake \
./share/cmake/crossvm/crossvmConfigVersion.cmake ./share/cmake/crossvm/crossvmTargets.cmake \
./share/pkgconfig/crossvm.pc "
equal "what else is installed" "$(files_in "$prefix")" "$beside_headers"
if grep -rF "$work" "$prefix"; then
    fail "an installed file names a directory of the build"
fi

consume "$prefix" C "a C project"
if command -v "$cxx" >/dev/null; then
    consume "$prefix" CXX "a C++ project"
else
    echo "not checked: there is no $cxx"
fi

# Versions: before 1.0 the minor version has to be the same.
next_minor=${minor_version%.*}.$((${minor_version#*.} + 1))
for wanted in "$minor_version" "$version" "$version;EXACT"; do
    passes "asking for $wanted" configure "$prefix" C "$wanted"
done
last_minor=
case $minor_version in
0.*) last_minor=0.$((${minor_version#*.} - 1)) ;;
esac
for wanted in 99 "$next_minor" $last_minor "$minor_version.$((patch + 1))" \
    "$minor_version.1;EXACT"; do
    refused "asking for $wanted" "version: $version" configure "$prefix" C "$wanted"
done
refused "a component that there is none of" "crossvm_FOUND to FALSE" \
    configure "$prefix" C "$version;COMPONENTS;nonsense"
equal "the version that a project sees" \
    "$(configure "$prefix" C "" 2>&1 | sed -n 's/^-- found //p')" "crossvm $version"

# From 1.0 on a newer minor version will do.
copy_library "$work/later" 1.4.2
install_library "$work/later" "$work/later-build" -DCMAKE_INSTALL_PREFIX="$work/later-prefix"
for wanted in 1 1.2 1.4.1; do
    passes "asking 1.4.2 for $wanted" configure "$work/later-prefix" C "$wanted"
done
for wanted in 0.1 1.5 2; do
    refused "asking 1.4.2 for $wanted" "version: 1.4.2" configure "$work/later-prefix" C "$wanted"
done

# The tree moves.
mv "$prefix" "$work/moved"
consume "$work/moved" C "after the tree has moved"

# Another prefix at the time of installing, and a staging directory.
passes "cmake --install --prefix" cmake --install "$work/build" --prefix "$work/late"
consume "$work/late" C "a prefix said late"
passes "DESTDIR" env DESTDIR="$work/stage" cmake --install "$work/build"
consume "$work/stage$prefix" C "a staging directory"

# Directories elsewhere: absolute, deep.
install_library "$library" "$work/elsewhere" -DCMAKE_INSTALL_PREFIX="$work/other" \
    -DCMAKE_INSTALL_INCLUDEDIR="$work/headers/here" -DCMAKE_INSTALL_DATADIR=a/b/share
same_headers "$work/headers/here"
consume "$work/other/a/b" C "headers elsewhere"
install_library "$library" "$work/root" -DCMAKE_INSTALL_PREFIX="$work/third" \
    -DCMAKE_INSTALL_DATAROOTDIR=data
consume "$work/third/data/cmake" C "another data root"

# With the tools, which take a compiler, and are a component of their own.
passes "the tools: configuring" cmake -S "$library" -B "$work/all" -DCMAKE_C_COMPILER="$cc" \
    -DCROSSVM_BUILD_TESTS=OFF -DCROSSVM_BUILD_EXAMPLES=OFF -Werror=dev &&
    passes "the tools: building" cmake --build "$work/all"
install_component crossvm
equal "what is installed without the tools" "$(files_in "$work/one/crossvm")" "$beside_headers"
install_component crossvm-tools
equal "what the tools are" "$(files_in "$work/one/crossvm-tools")" \
    "./bin/crossvm-ivshmem-server ./share/man/man1/crossvm-ivshmem-server.1 "
equal "their version" "$("$work/one/crossvm-tools/bin/crossvm-ivshmem-server" --version)" \
    "crossvm-ivshmem-server $version"

exit $failed
