#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The units run on an emulated Cortex-M0, which knows no exclusives, no unaligned access and no
# product of 64 bits: a micro:bit that was given more memory than it has.
#
#   sh units_cortex_m0.sh SOURCE_DIR [CC]
set -eu

core=Cortex-M0
compiler="arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb -O1"
emulator="qemu-system-arm -M microbit -global nrf51-soc.flash-size=4194304
    -global nrf51-soc.sram-size=67108864"
memory="-Wl,--defsym=__flash=0 -Wl,--defsym=__flash_size=4M
    -Wl,--defsym=__ram=0x20000000 -Wl,--defsym=__ram_size=64M"

. "$(dirname "$0")/common.sh"
run_units "$@"
