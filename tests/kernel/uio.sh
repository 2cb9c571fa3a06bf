#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The driver in tools/uio is built against the kernel headers of this machine, without a warning of
# compiler, objtool or modpost (W=1), and says of itself what it has to: the device that it is for,
# and a licence with which UIO's symbols can be had.
#
#   sh uio.sh SOURCE_DIR [CC]; the kernel's headers choose the compiler, whatever CC is
#
# To keep the module, for example to load it in a guest: CROSSVM_KEEP_MODULE=FILE sh uio.sh ...
set -eu

[ $# -ge 1 ] || {
    echo "usage: sh uio.sh SOURCE_DIR [CC]" >&2
    exit 2
}
source=$1
. "$source/tests/kernel/common.sh"

find_headers
module_tree "$source" tools/uio
build_module crossvm_uio_ivshmem

tr '\0' '\n' <"$module/crossvm_uio_ivshmem.ko" >"$work/says"
for line in 'license=GPL' 'depends=uio' 'alias=pci:v00001AF4d00001110sv*sd*bc*sc*i*'; do
    grep -qxF "$line" "$work/says" || {
        echo "the module does not say $line"
        exit 1
    }
done

# The folder's own Makefile, as users call it.
make -C "$module" KDIR="$headers" clean >"$work/log" 2>&1
[ ! -e "$module/crossvm_uio_ivshmem.ko" ] || {
    echo "make clean left the module"
    exit 1
}
make -C "$module" KDIR="$headers" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
keep_module crossvm_uio_ivshmem
echo "built against $headers"
