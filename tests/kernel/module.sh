#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Linux kernel module that uses layers 0 to 5 as drivers do (tests/kernel/module) is built against
# the kernel headers of this machine, with every function of the library in it: without a warning of
# compiler, objtool or modpost (W=1), and without a symbol that the kernel does not export.
#
#   sh module.sh SOURCE_DIR [CC]; the kernel's headers choose the compiler, whatever CC is
#
# To keep the module, for example to load it in a guest: CROSSVM_KEEP_MODULE=FILE sh module.sh ...
set -eu

[ $# -ge 1 ] || {
    echo "usage: sh module.sh SOURCE_DIR [CC]" >&2
    exit 2
}
source=$1
checks=$1/tests/build
. "$source/tests/kernel/common.sh"
. "$checks/common.sh"

find_headers
[ "$(uname -m)" = x86_64 ] || skip "what a kernel adds to an object is known here for x86-64 only"

# The module's tree: its sources, the headers copied alone, and the table of all functions. The
# kernel has no vector registers, so its build has no fast copies.
module_tree "$source" tests/kernel/module
add_library "$source"
table_for "$module/include" gcc -mgeneral-regs-only
{
    cat "$work/table.c"
    echo 'extern const unsigned int crossvm_n_functions;'
    echo "const unsigned int crossvm_n_functions = $(wc -l <"$work/names");"
} >"$module/table.c"

build_module crossvm_test

# What the kernel's own build adds to any object, and strlen, which gcc makes of a loop because a
# kernel is not built freestanding; beside them nothing but memcpy and memset.
object_is_whole "$headers" "$module/table.o" strlen __fentry__ __x86_return_thunk __stack_chk_fail \
    __x86_indirect_thunk_rax __x86_indirect_thunk_rdx __x86_indirect_thunk_rcx

# No header from outside the kernel.
if tr ' ' '\n' <"$module/.table.o.cmd" | grep -E '^/usr/(include|lib)/.*\.h$'; then
    echo "a header from outside the kernel was read"
    exit 1
fi
keep_module crossvm_test
echo "built against $headers, $(wc -l <"$work/names") functions"
