#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# FreeRTOS: the backend against a model of FreeRTOS' API, with ticks of each width, and planted
# faults that its test notices.
#
# usage: freertos.sh SOURCE_DIR [CC]      CC may carry flags. Status 0, 1, or 77: no compiler.
set -u

system=freertos
. "$(dirname "$0")/common.sh"
begin "$@"

for bits in 16 32 64; do
    run_backend "backend, ticks of $bits bits" -DSTAND_IN_TICK_BITS=$bits
done
compile_for_cores
run_faults
exit "$failed"
