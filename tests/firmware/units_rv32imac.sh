#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The units run on an emulated RV32IMAC, from copied headers alone.
#
#   sh units_rv32imac.sh SOURCE_DIR [CC]
set -eu

core=RV32IMAC
compiler="riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -O1"
emulator="qemu-system-riscv32 -M virt -cpu rv32,f=false,d=false -m 64 -bios none"
memory="-Wl,--defsym=__flash=0x80000000 -Wl,--defsym=__flash_size=4M
    -Wl,--defsym=__ram=0x80400000 -Wl,--defsym=__ram_size=60M"

. "$(dirname "$0")/common.sh"
run_units "$@"
