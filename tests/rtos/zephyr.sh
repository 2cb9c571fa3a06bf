#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Zephyr: the backend against a model of Zephyr's API, and planted faults that its test notices.
#
# usage: zephyr.sh SOURCE_DIR [CC]      CC may carry flags. Status 0, 1, or 77: no compiler.
set -u

system=zephyr
. "$(dirname "$0")/common.sh"
begin "$@"

run_backend "backend"
compile_for_cores
run_faults
exit "$failed"
