# SPDX-License-Identifier: Apache-2.0
# What the tests that build kernel modules share: a folder to work in, the kernel's headers, a build
# without a warning.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() {
    echo "skipped: $1"
    exit 77
}

# The kernel's headers, in $headers (CROSSVM_KERNEL_HEADERS, or the first that are found), and the
# tools to build with; or the test is skipped.
find_headers() {
    headers=""
    # What a directory to build modules against has in it.
    for directory in ${CROSSVM_KERNEL_HEADERS:-} /lib/modules/*/build /usr/src/linux-headers-*; do
        if [ -e "$directory/Makefile" ] && [ -e "$directory/Module.symvers" ] &&
            [ -e "$directory/include/generated/autoconf.h" ]; then
            headers=$directory
            break
        fi
    done
    [ -n "$headers" ] || skip "no kernel headers here"
    for tool in make gcc nm; do
        command -v $tool >/dev/null || skip "no $tool here"
    done
}

# module_tree SOURCE_DIR FOLDER: $module is a copy of a module's sources, to be built in.
module_tree() {
    module=$work/module
    mkdir "$module"
    cp "$1/$2"/* "$module"
}

# add_library SOURCE_DIR: the library's headers alone, beside the sources in $module.
add_library() {
    mkdir "$module/include"
    cp -R "$1/include/crossvm" "$module/include/crossvm"
    chmod -R u+w "$module"
}

# build_module NAME: builds $module/NAME.ko, without a warning of compiler, objtool or modpost
# (W=1), and without a symbol that the kernel does not export. Ends the test if that fails.
build_module() {
    status=0
    make -C "$headers" M="$module" W=1 modules >"$work/log" 2>&1 || status=$?
    if [ $status -ne 0 ] || grep -iE 'warning|undefined' "$work/log" ||
        [ ! -e "$module/$1.ko" ]; then
        cat "$work/log"
        echo "the module does not build as it should: make ended with $status"
        exit 1
    fi
}

# keep_module NAME: for a guest to load, if the caller named a file for it.
keep_module() {
    [ -z "${CROSSVM_KEEP_MODULE:-}" ] || cp "$module/$1.ko" "$CROSSVM_KEEP_MODULE"
}
