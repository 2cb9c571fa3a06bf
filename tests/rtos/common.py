#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one fault into a copy of the headers, for the tests of this folder.

common.py SOURCE_DIR SYSTEM                  names of the faults of a system's backend
common.py SOURCE_DIR SYSTEM FAULT OUT_DIR    copies include/ to OUT_DIR and plants the fault there

A fault is a text of one header that is replaced by another; the text has to stand there exactly
once, else nothing was planted and this fails.
"""
import pathlib
import shutil
import sys

RESET = "            k_poll_signal_reset(&zephyr->rung[vector]);\n"
ZEPHYR = "backend/zephyr.h"
FREERTOS = "backend/freertos.h"
TICKS = "backend/ticks.h"

# name: (header, text, text with the fault)
OF_TICKS = {
    "far-deadline-wraps": (TICKS, "left_ns > CROSSVM_I_TICKS_NAP_NS", "left_ns == 1"),
    "tick-rounded-down": (TICKS, "(left_ns * rate + CROSSVM_I_TICKS_SECOND - 1) /",
                          "(left_ns * rate) /"),
    "past-is-future": (TICKS, "until_ns > now_ns ? until_ns - now_ns : 0", "until_ns - now_ns"),
}
FAULTS = {
    "zephyr": {
        "signal-not-reset": (ZEPHYR, RESET, ""),
        "signal-reset-too-late": (ZEPHYR, "        int error = k_poll(",
                                  RESET[4:] + "        int error = k_poll("),
        "signal-made-behind-its-registration": (
            ZEPHYR,
            "        if (error < 0) {\n            return crossvm_i_zephyr_answer(zephyr, error);",
            "        k_poll_signal_init(&zephyr->rung[i]);\n"
            "        if (error < 0) {\n            return crossvm_i_zephyr_answer(zephyr, error);"),
        "vector-wrong": (ZEPHYR, "ivshmem_int_peer(zephyr->device, peer, (uint16_t)vector)",
                         "ivshmem_int_peer(zephyr->device, peer, 0)"),
        "vectors-share-a-signal": (ZEPHYR, "ivshmem_register_handler(zephyr->device, "
                                   "&zephyr->rung[i], (uint16_t)i)",
                                   "ivshmem_register_handler(zephyr->device, "
                                   "&zephyr->rung[0], (uint16_t)i)"),
        "barrier-missing": (ZEPHYR, "    crossvm_system_barrier();\n    return", "    return"),
        "peer-cut-short": (ZEPHYR, "peer > 0xffff || vector", "vector"),
        "vector-cut-short": (ZEPHYR, "peer > 0xffff || vector > 0xffff", "peer > 0xffff"),
        "zero-is-no-id": (ZEPHYR, "    return has_one ?", "    return has_one && *id != 0 ?"),
        "zero-is-always-an-id": (ZEPHYR, "    return has_one ?", "    return has_one || *id == 0 ?"),
        "refusal-is-no-route": (ZEPHYR, "    if (error == -EINVAL) {", "    if (error != 1) {"),
        "unregistering-forgotten": (
            ZEPHYR, "        (void)ivshmem_register_handler(zephyr->device, NULL, (uint16_t)i);\n",
            ""),
        "not-ready": (ZEPHYR, "    if (!device_is_ready(device)) {", "    if (device == NULL) {"),
        "states-as-memory": (ZEPHYR, "    if (crossvm_i_zephyr_is_v2(zephyr)) {\n"
                             "        return CROSSVM_TYPE;\n    }\n", ""),
        "outputs-writable": (ZEPHYR, "own ? CROSSVM_READ_WRITE : CROSSVM_READ_ONLY",
                             "own ? CROSSVM_READ_WRITE : CROSSVM_READ_WRITE"),
        "empty-is-memory": (ZEPHYR, "    if (len == 0) {", "    if (len == 1) {"),
        "interrupts-not-enabled": (ZEPHYR, "crossvm_i_zephyr_interrupts(zephyr, true)",
                                   "crossvm_i_zephyr_interrupts(zephyr, false)"),
        "peer-unjudged": (ZEPHYR, "    if (peer >= ivshmem_get_max_peers(zephyr->device)) {",
                          "    if (peer == UINT32_MAX) {"),
        "for-ever-is-a-time": (ZEPHYR, "    if (until_ns == CROSSVM_NO_DEADLINE) {",
                               "    if (until_ns == 0) {"),
        "sleep-is-the-deadline": (ZEPHYR, "        if (crossvm_zephyr_now() >= deadline_ns) {",
                                  "        if (crossvm_zephyr_now() >= 1) {"),
        "error-is-a-timeout": (ZEPHYR, "        if (error != -EAGAIN) {", "        if (error == 1) {"),
        "polls-past-the-deadline": (ZEPHYR, "late ? deadline_ns : now_ns", "false ? 0 : now_ns"),
        "poller-rests": (ZEPHYR, "    if (zephyr->n_own != 0) {\n        (void)k_sleep",
                         "    if (zephyr != NULL) {\n        (void)k_sleep"),
        "plain-rings": (ZEPHYR, "        return CROSSVM_OK; /* whoever is there polls */",
                        "        return CROSSVM_NOT_FOUND;"),
        **OF_TICKS,
    },
    "freertos": {
        "barrier-missing": (FREERTOS, "    crossvm_system_barrier();\n", ""),
        "vector-unjudged": (FREERTOS, "    if (vector < freertos->n_own) {\n        /* One",
                            "    if (vector <= freertos->n_own) {\n        /* One"),
        "vector-wrong": (FREERTOS, "xSemaphoreGiveFromISR(freertos->rung[vector], woken)",
                         "xSemaphoreGiveFromISR(freertos->rung[0], woken)"),
        "waits-for-another": (FREERTOS, "xSemaphoreTake(freertos->rung[vector], ticks)",
                              "xSemaphoreTake(freertos->rung[0], ticks)"),
        "ring-taken-before-the-wait": (
            FREERTOS, "        if (xSemaphoreTake(",
            "        (void)xSemaphoreTake(freertos->rung[vector], 0);\n"
            "        if (xSemaphoreTake("),
        "woken-forgotten": (FREERTOS, "(freertos->rung[vector], woken);",
                            "(freertos->rung[vector], &(BaseType_t){0});"),
        "wraps-forgotten": (FREERTOS, "(uint64_t)(UBaseType_t)now.xOverflowCount", "0 * (uint64_t)1"),
        "for-ever-is-a-time": (FREERTOS, "    if (until_ns == CROSSVM_NO_DEADLINE) {",
                               "    if (until_ns == 0) {"),
        "sleep-is-the-deadline": (
            FREERTOS, "        if (crossvm_i_freertos_now(freertos) >= deadline_ns) {\n"
            "            return CROSSVM_TIMEOUT;",
            "        if (crossvm_i_freertos_now(freertos) >= 1) {\n"
            "            return CROSSVM_TIMEOUT;"),
        "boards-clock-ignored": (
            FREERTOS, "    return freertos->now != NULL ? freertos->now(freertos->board) :",
            "    return freertos == NULL ? 0 :"),
        "polls-past-the-deadline": (FREERTOS, "late ? deadline_ns : now_ns", "false ? 0 : now_ns"),
        "poller-rests": (FREERTOS, "    if (freertos->n_own != 0) {\n        vTaskDelay",
                         "    if (freertos != NULL) {\n        vTaskDelay"),
        "no-semaphore": (FREERTOS, "        if (freertos->rung[i] == NULL) {",
                         "        if (freertos == NULL) {"),
        "no-period": (FREERTOS, "freertos->period_ns == 0", "freertos->period_ns == 1"),
        **OF_TICKS,
    },
}


def main():
    if len(sys.argv) not in (3, 5) or sys.argv[2] not in FAULTS:
        sys.exit("usage: common.py SOURCE_DIR SYSTEM [FAULT OUT_DIR]")
    source, faults = pathlib.Path(sys.argv[1]), FAULTS[sys.argv[2]]
    if len(sys.argv) == 3:
        print("\n".join(faults))
        return
    header, text, planted = faults[sys.argv[3]]
    out = pathlib.Path(sys.argv[4])
    shutil.copytree(source / "include", out)
    path = out / "crossvm" / header
    before = path.read_text()
    if before.count(text) != 1:
        sys.exit(f"{sys.argv[3]}: the text stands {before.count(text)} times in {header}")
    path.chmod(0o644)
    path.write_text(before.replace(text, planted))


main()
