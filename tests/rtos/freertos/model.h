/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/rtos/freertos/model.h - what the stand-ins of FreeRTOS' headers do on a host: binary
 * semaphores over threads, ticks that wrap at their width and are counted.
 *
 * Time is the host's, or with model.by_hand the test's own: a sleep then takes no time but moves the
 * clock to its end, so that nothing depends on the machine.
 */
#ifndef CROSSVM_TESTS_RTOS_FREERTOS_MODEL_H
#define CROSSVM_TESTS_RTOS_FREERTOS_MODEL_H

#include <FreeRTOS.h>
#include <semphr.h>
#include <task.h>

#include <stdbool.h>

struct model {
    bool by_hand;         /* the clock is the test's */
    uint64_t ticks;       /* this clock */
    unsigned n_takes;     /* calls of xSemaphoreTake, by hand */
    unsigned n_forever;   /* those without an end */
    void (*during)(void); /* by hand: happens once, in the next take that would sleep */
    unsigned after;       /* such takes that pass first */
};

extern struct model model;

#endif
