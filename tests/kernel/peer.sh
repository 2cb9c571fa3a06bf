#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Linux kernel module that talks to a program in another virtual machine (tests/kernel/peer) is
# built against the kernel headers of this machine, without a warning of compiler, objtool or
# modpost (W=1), and without a symbol that the kernel does not export to it.
#
#   sh peer.sh SOURCE_DIR [CC]; the kernel's headers choose the compiler, whatever CC is
#
# To keep the module, for a guest to load: CROSSVM_KEEP_MODULE=FILE sh peer.sh ...
set -eu

[ $# -ge 1 ] || {
    echo "usage: sh peer.sh SOURCE_DIR [CC]" >&2
    exit 2
}
source=$1
. "$source/tests/kernel/common.sh"

find_headers
module_tree "$source" tests/kernel/peer
add_library "$source"
build_module crossvm_peer
keep_module crossvm_peer
echo "built against $headers"
