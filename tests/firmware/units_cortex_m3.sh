#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The units run on an emulated Cortex-M3 (Arm's MPS2 board, 16 MiB), from copied headers alone.
#
#   sh units_cortex_m3.sh SOURCE_DIR [CC]
set -eu

core=Cortex-M3
compiler="arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os"
emulator="qemu-system-arm -M mps2-an385"
memory="-Wl,--defsym=__flash=0 -Wl,--defsym=__flash_size=4M
    -Wl,--defsym=__ram=0x21000000 -Wl,--defsym=__ram_size=16M"

. "$(dirname "$0")/common.sh"
run_units "$@"
