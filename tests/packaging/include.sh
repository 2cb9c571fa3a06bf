#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# include/crossvm copied into an empty tree, without any build system, is the whole library.
#
# usage: include.sh SOURCE_DIR [CC]      Status 0, 1, or 77: no compiler.
. "$(dirname "$0")/common.sh"
need "$cc"

copy_library "$library"
mkdir "$work/tree"
mv "$library/include/crossvm" "$work/tree/crossvm"
rm -rf "$library"
cp "$test_dir/consumer/consumer.c" "$work/tree/consumer.c"
cp "$test_dir/consumer/consumer.c" "$work/tree/consumer.cc"
cd "$work/tree" || exit 1

# shellcheck disable=SC2086 # $flags are several
passes "C11" "$cc" -std=c11 $flags -I. consumer.c -o consumer &&
    says_all_is_well "C11" ./consumer
if command -v "$cxx" >/dev/null; then
    for std in c++17 c++20; do
        # shellcheck disable=SC2086
        passes "$std" "$cxx" -std=$std $flags -I. consumer.cc -o consumer &&
            says_all_is_well "$std" ./consumer
    done
else
    echo "not checked: there is no $cxx"
fi

# The program that "conan create" tries a package with.
# shellcheck disable=SC2086
passes "Conan's test program" "$cc" -std=c11 $flags -I. \
    "$source_dir/cmake/packaging/conan/test_package/test_package.c" -o consumer &&
    equal "Conan's test program" "$(./consumer)" "crossvm $version"

exit $failed
