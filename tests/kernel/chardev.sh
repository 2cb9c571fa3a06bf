#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The character device in examples/kernel is built against the kernel headers of this machine,
# without a warning of compiler, objtool or modpost (W=1), and by its own Makefile as its README
# says; its README and its source name the same errors.
#
#   sh chardev.sh SOURCE_DIR [CC]; the kernel's headers choose the compiler, whatever CC is
#
# To keep the module, for a guest to load: CROSSVM_KEEP_MODULE=FILE sh chardev.sh ...
set -eu

[ $# -ge 1 ] || {
    echo "usage: sh chardev.sh SOURCE_DIR [CC]" >&2
    exit 2
}
source=$1
. "$source/tests/kernel/common.sh"

# The errors that a text has in a list or a table.
errors_of() {
    sed -n -E 's/^( \*   |\| `)(E[A-Z]+).*/\2/p' "$1" | sort
}
[ "$(errors_of "$source/examples/kernel/README.md")" = \
    "$(errors_of "$source/examples/kernel/crossvm_chardev.c")" ] || {
    echo "README.md and crossvm_chardev.c of examples/kernel do not name the same errors"
    exit 1
}

find_headers
module_tree "$source" examples/kernel
add_library "$source"
build_module crossvm_chardev
keep_module crossvm_chardev

# The folder's own Makefile, as users call it, with the headers where they are in the repository.
mkdir -p "$work/top/examples"
cp -R "$source/include" "$work/top/include"
cp -R "$source/examples/kernel" "$work/top/examples/kernel"
chmod -R u+w "$work/top"
make -C "$work/top/examples/kernel" KDIR="$headers" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
[ -e "$work/top/examples/kernel/crossvm_chardev.ko" ] || {
    echo "make left no module"
    exit 1
}
echo "built against $headers"
