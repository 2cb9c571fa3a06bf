#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Zephyr application with crossvm as a module is built for an emulated Cortex-M3 and run there.
# The toolchain is who has set ZEPHYR_BASE's affair (ZEPHYR_TOOLCHAIN_VARIANT and what it needs).
#
# usage: zephyr.sh SOURCE_DIR [CC]      Status 0, 1, or 77: ZEPHYR_BASE is not set, or no emulator.
. "$(dirname "$0")/common.sh"
[ -n "${ZEPHYR_BASE:-}" ] || skip "ZEPHYR_BASE is not set"
need cmake qemu-system-arm timeout

copy_library "$library"
copy_project zephyr_application "$work/project"
passes "configuring" cmake -S "$work/project" -B "$work/built" -DBOARD=qemu_cortex_m3 \
    -DEXTRA_ZEPHYR_MODULES="$library" &&
    passes "building" cmake --build "$work/built" || exit 1
# The application's main returns, and the emulator goes on: it is stopped when the line is there.
: >"$work/console"
timeout 60 cmake --build "$work/built" --target run </dev/null >"$work/console" 2>&1 &
run=$!
tries=0
until grep -q -e 'all is well' -e 'failed' "$work/console" || [ $tries -ge 60 ]; do
    kill -0 $run 2>/dev/null || break
    sleep 1
    tries=$((tries + 1))
done
kill $run 2>/dev/null
wait $run 2>/dev/null
equal "on the emulated Cortex-M3" "$(tr -d '\r' <"$work/console" | grep '^crossvm ')" \
    "crossvm $version: all is well"

exit $failed
