#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing (as root also a package of the library itself, which is taken away
# again), builds everything with gcc, with clang and its sanitizers, and for other architectures,
# and runs all tests as one suite. The last line counts them.
#
#   sh tests/run.sh            the ordinary run
#   sh tests/run.sh --quick    a few minutes: the two plain builds; no sanitizers, no other
#                              architectures, no packaging
#
# Environment: CROSSVM_TEST_SCALE=N makes the long loops N times longer; CROSSVM_BUILD_DIR says
# where to build (default: build/tests).
set -eu

usage() {
    echo "usage: sh tests/run.sh [--quick]" >&2
    exit 2
}

quick=no
case $# in
0) ;;
1)
    [ "$1" = --quick ] || {
        echo "run.sh: $1: expected --quick or nothing" >&2
        usage
    }
    quick=yes
    ;;
*) usage ;;
esac
case ${CROSSVM_TEST_SCALE:-1} in
'' | *[!0-9]* | 0*)
    echo "run.sh: CROSSVM_TEST_SCALE=$CROSSVM_TEST_SCALE: expected a whole number from 1" >&2
    exit 2
    ;;
esac

top=$(cd "$(dirname "$0")/.." && pwd)
build=${CROSSVM_BUILD_DIR:-$top/build/tests}
mkdir -p "$build"
build=$(cd "$build" && pwd)

. "$top/tests/packages.sh"

quick_packages() {
    cat <<'LIST'
gcc command -v gcc
g++ command -v g++
libc6-dev test -e /usr/include/stdio.h
clang command -v clang && command -v clang++
cmake command -v cmake
ninja-build command -v ninja
make command -v make
binutils command -v objdump
python3 python3 -c pass
clang-format command -v clang-format
libssl-dev test -e /usr/include/openssl/evp.h
bsdutils command -v script
LIST
}

# What only the ordinary run takes.
full_packages() {
    kernel=cloud-amd64
    [ "$(uname -m)" = x86_64 ] || kernel=$(uname -m | sed 's/aarch64/arm64/')
    cat <<LIST
libclang-rt-dev echo 'int main(void) {}' | clang -fsanitize=address -o /dev/null -xc -
valgrind command -v valgrind && test -e /usr/include/valgrind/callgrind.h
qemu-user command -v qemu-s390x
gcc-aarch64-linux-gnu command -v aarch64-linux-gnu-gcc
gcc-arm-linux-gnueabihf command -v arm-linux-gnueabihf-gcc
gcc-i686-linux-gnu command -v i686-linux-gnu-gcc
gcc-powerpc-linux-gnu command -v powerpc-linux-gnu-gcc
gcc-powerpc64le-linux-gnu command -v powerpc64le-linux-gnu-gcc
gcc-riscv64-linux-gnu command -v riscv64-linux-gnu-gcc
gcc-s390x-linux-gnu command -v s390x-linux-gnu-gcc
libc6-dev-arm64-cross test -e /usr/aarch64-linux-gnu/include/stdio.h
libc6-dev-armhf-cross test -e /usr/arm-linux-gnueabihf/include/stdio.h
libc6-dev-i386-cross test -e /usr/i686-linux-gnu/include/stdio.h
libc6-dev-powerpc-cross test -e /usr/powerpc-linux-gnu/include/stdio.h
libc6-dev-ppc64el-cross test -e /usr/powerpc64le-linux-gnu/include/stdio.h
libc6-dev-riscv64-cross test -e /usr/riscv64-linux-gnu/include/stdio.h
libc6-dev-s390x-cross test -e /usr/s390x-linux-gnu/include/stdio.h
gcc-arm-none-eabi command -v arm-none-eabi-gcc
gcc-riscv64-unknown-elf command -v riscv64-unknown-elf-gcc
picolibc-arm-none-eabi arm-none-eabi-gcc -specs=picolibc.specs -E -xc /dev/null
picolibc-riscv64-unknown-elf riscv64-unknown-elf-gcc -specs=picolibc.specs -E -xc /dev/null
qemu-system-arm command -v qemu-system-arm
qemu-system-misc command -v qemu-system-riscv32
linux-headers-$kernel ls -d /usr/src/linux-headers-*-$kernel
qemu-system-x86 command -v qemu-system-x86_64
pkg-config command -v pkg-config
meson command -v meson
doxygen command -v doxygen
spin command -v spin
LIST
}

install quick_packages || exit 2
[ $quick = yes ] || install full_packages || echo "run.sh: what needs them is skipped" >&2

# Ninja starts a compiler for a fraction of what it costs make.
generator="Unix Makefiles"
command -v ninja >/dev/null && generator=Ninja

# One build tree: NAME FLAGS CMAKE_ARGUMENT...
trees=""
build_tree() {
    name=$1
    flags=$2
    shift 2
    echo "== building $name"
    grep -qsx "CMAKE_GENERATOR:INTERNAL=$generator" "$build/$name/CMakeCache.txt" ||
        rm -rf "$build/$name/CMakeCache.txt" "$build/$name/CMakeFiles"
    cmake -G "$generator" -S "$top" -B "$build/$name" -DCMAKE_BUILD_TYPE=Tests \
        -DCMAKE_C_FLAGS_TESTS="$flags" -DCMAKE_CXX_FLAGS_TESTS="$flags" \
        -DCROSSVM_TEST_PREFIX="$name/" -DCROSSVM_BUILD_TESTS=ON "$@" >"$build/$name.log" 2>&1 &&
        cmake --build "$build/$name" -j "$(nproc)" >>"$build/$name.log" 2>&1 || {
        cat "$build/$name.log"
        echo "run.sh: the build of $name failed" >&2
        echo "0 passed, 1 failed"
        exit 1
    }
    trees="$trees $name"
}

# Another architecture: NAME TRIPLET EMULATOR [LEFT_OUT]. What this processor runs itself (i386 on
# x86-64) is not emulated. Without its tools one skipped test stands for it.
build_cross() {
    printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$build/probe.c"
    emulator=$(command -v "$3") || emulator=none
    if ! "$2-gcc" -static -o "$build/probe" "$build/probe.c" 2>/dev/null; then
        emulator=none
    elif "$build/probe" >/dev/null 2>&1; then
        emulator=
    fi
    if [ "$emulator" = none ]; then
        why="skipped: no $2-gcc with a C library, or no $3 here"
        echo "add_test(\"$1/all\" sh -c \"echo $why; exit 77\")" >>"$suite"
        echo "set_tests_properties(\"$1/all\" PROPERTIES SKIP_RETURN_CODE 77)" >>"$suite"
        return 0
    fi
    build_tree "$1" -O1 -DCMAKE_TOOLCHAIN_FILE="$top/cmake/toolchains/debian-cross.cmake" \
        -DCROSSVM_CROSS="$2" -DCMAKE_CROSSCOMPILING_EMULATOR="$emulator" \
        -DCROSSVM_CHECK_SOURCES=OFF -DCROSSVM_BUILD_EXAMPLES=OFF -DCROSSVM_LEAVE_OUT="${4:-}"
}

# All trees are one suite.
suite=$build/CTestTestfile.cmake
: >"$suite"
build_tree gcc -O2 -DCMAKE_C_COMPILER=gcc
# Optimised C++ is gcc's part.
build_tree clang -O2 -DCMAKE_C_COMPILER=clang -DCROSSVM_CHECK_SOURCES=OFF \
    -DCMAKE_CXX_FLAGS_TESTS=-O0 \
    -DCROSSVM_LEAVE_OUT=stress # the sanitizers' trees have them by clang
if [ $quick = no ]; then
    for sanitize in address thread; do
        build_tree clang-$sanitize "-O0 -g1" -DCMAKE_C_COMPILER=clang -DCROSSVM_CHECK_SOURCES=OFF \
            -DCROSSVM_SANITIZE=$sanitize
    done
    # Emulated races take long: one big-endian processor and one of 32 bits are enough.
    build_cross s390x s390x-linux-gnu qemu-s390x
    build_cross aarch64 aarch64-linux-gnu qemu-aarch64 'races;paths'
    build_cross armhf arm-linux-gnueabihf qemu-arm 'races;paths'
    build_cross riscv64 riscv64-linux-gnu qemu-riscv64 'races;paths'
    build_cross ppc64el powerpc64le-linux-gnu qemu-ppc64le 'races;paths'
    build_cross powerpc powerpc-linux-gnu qemu-ppc 'races;paths'
    build_cross i386 i686-linux-gnu qemu-i386
fi
for tree in $trees; do
    echo "subdirs($tree)" >>"$suite"
done

status=0
without=none
[ $quick = no ] || without=full
# Some wait more than they work: one more at once than there are processors.
(cd "$build" && ctest -j "$(($(nproc) + 1))" -LE "^$without\$" --output-on-failure \
    --output-junit "$build/results.xml") || status=$?

total=$(tr '\n\t' '  ' <"$build/results.xml" | sed 's/.*<testsuite \([^>]*\)>.*/\1/')
number() {
    echo "$total" | sed "s/.* *$1=\"\([0-9]*\)\".*/\1/"
}
tests=$(number tests)
failures=$(number failures)
skipped=$(number skipped)
echo "$((tests - failures - skipped)) passed, $failures failed, $skipped skipped"
[ "$failures" -eq 0 ] || status=1
exit $status
