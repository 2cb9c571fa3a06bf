# SPDX-License-Identifier: Apache-2.0
#
# What the packaging tests share; each sources it with its own arguments: SOURCE_DIR [CC].
#
# A test works on a copy of the library whose version has another patch number. An outside
# project's program prints that number, so it was built from this very copy, and the version that
# CMake, pkg-config or dpkg tell can only come from version.h.
set -u

test_dir=$(cd "$(dirname "$0")" && pwd)
source_dir=$(cd "${1:?usage: $(basename "$0") SOURCE_DIR [CC]}" && pwd) || exit 2
cc=${2:-${CC:-cc}}
patch=73
flags="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM PIPE
failed=0

# Nothing that is installed on this machine may stand in for the copy, and no package of the tests
# may be seen elsewhere.
unset CMAKE_PREFIX_PATH crossvm_DIR crossvm_ROOT PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR CPATH
unset C_INCLUDE_PATH CPLUS_INCLUDE_PATH DESTDIR
export PKG_CONFIG_LIBDIR="$work/nowhere" CMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "failed: $*"
    failed=1
}

# need TOOL...: without one of them there is no test.
need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || skip "there is no $tool"
    done
}

# passes WHAT COMMAND...: the command succeeds; its output is shown if not.
passes() {
    what=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        echo "$what: ok"
    else
        fail "$what"
        tail -n 40 "$work/output"
        return 1
    fi
}

# refused WHAT PATTERN COMMAND...: the command fails, and says why.
refused() {
    what=$1
    pattern=$2
    shift 2
    if "$@" >"$work/output" 2>&1; then
        fail "$what is not refused"
    elif ! grep -q "$pattern" "$work/output"; then
        fail "$what is refused for another reason"
        tail -n 40 "$work/output"
    else
        echo "$what: refused"
    fi
}

# equal WHAT GOT WANTED
equal() {
    if [ "$2" = "$3" ]; then
        echo "$1: $2"
    else
        fail "$1: got \"$2\", wanted \"$3\""
    fi
}

# says_all_is_well WHAT PROGRAM [VERSION]: the consumer's program runs with the copy's version.
says_all_is_well() {
    equal "$1" "$("$2" 2>&1)" "crossvm ${3:-$version}: all is well"
}

# The C++ compiler beside the C compiler: gcc-12 has g++-12, cc has c++.
case $cc in
*clang*) cxx=$(echo "$cc" | sed 's/clang\([^/]*\)$/clang++\1/') ;;
*gcc*) cxx=$(echo "$cc" | sed 's/gcc\([^/]*\)$/g++\1/') ;;
*) cxx=$(echo "$cc" | sed 's/cc$/c++/') ;;
esac

# What the library's own version.h says.
source_version() {
    sed -n 's/^#define CROSSVM_VERSION_STRING "\([^"]*\)".*/\1/p' \
        "$source_dir/include/crossvm/version.h"
}

# copy_library DIR [VERSION]: what another project would have of this repository, writable.
copy_library() {
    mkdir -p "$1"
    for part in CMakeLists.txt CHANGELOG.md LICENSE README.md cmake include meson.build tools zephyr; do
        cp -R "$source_dir/$part" "$1" || exit 1
    done
    chmod -R u+w "$1"
    as=${2:-$version}
    minor=${as#*.}
    sed -e "s/^\(#define CROSSVM_VERSION_STRING\).*/\1 \"$as\"/" \
        -e "s/^\(#define CROSSVM_VERSION_MAJOR\).*/\1 ${as%%.*}/" \
        -e "s/^\(#define CROSSVM_VERSION_MINOR\).*/\1 ${minor%.*}/" \
        -e "s/^\(#define CROSSVM_VERSION_PATCH\).*/\1 ${as##*.}/" \
        "$source_dir/include/crossvm/version.h" >"$1/include/crossvm/version.h"
}

# copy_project NAME DIR: an outside project, with the program that all of them build, as C and C++.
copy_project() {
    mkdir -p "$2"
    cp -R "$test_dir/$1/." "$2"
    cp "$test_dir/consumer/consumer.c" "$2"
    cp "$test_dir/consumer/consumer.c" "$2/consumer.cc"
    chmod -R u+w "$2"
}

minor_version=$(source_version | sed 's/\.[0-9]*$//')
version=$minor_version.$patch
library="$work/crossvm"
