/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/freertos.h - doorbells and a clock under FreeRTOS: a binary semaphore for each
 * own vector, given by the board's interrupt handler.
 *
 * Layer 6, on ticks.h and notify.h. Roles: a handle belongs to one task, a vector to one handle;
 * the interrupt handler calls crossvm_freertos_rung alone. No shared bytes. Nothing is allocated.
 *
 * FreeRTOS knows no device: the board says where the memory is (a struct crossvm_mapping), how a
 * peer is rung, and calls crossvm_freertos_rung when it is rung itself. A binary semaphore that was
 * given stays given until it is taken, which a wait does before it returns: so a ring that comes
 * before the wait, or while the caller looks at shared memory, is remembered, and rings run
 * together.
 *
 * FreeRTOSConfig.h: INCLUDE_vTaskDelay 1. With configSUPPORT_STATIC_ALLOCATION 1 the semaphores
 * need no heap (xSemaphoreCreateBinaryStatic). Ticks of 16, 32 or 64 bits.
 */
#ifndef CROSSVM_BACKEND_FREERTOS_H
#define CROSSVM_BACKEND_FREERTOS_H

#include "ticks.h"

#include "../cpu.h"
#include "../notify.h"

#include <FreeRTOS.h>
#include <semphr.h>
#include <task.h>

CROSSVM_EXTERN_C_BEGIN

/* How often a side without vectors looks, ns, where it does not matter: a tick, if that is more. */
#define CROSSVM_FREERTOS_PERIOD_NS 1000000u

/* What the board supplies. All is the caller's to set; rung must outlive the notify. */
struct crossvm_freertos {
    /* Rings a peer's vector: writes the doorbell's register, behind whose barrier it is called. OK;
     * NOT_FOUND no such peer or vector. NULL: there is no doorbell, and whoever is there polls. */
    int (*ring)(void *board, uint32_t peer, uint32_t vector);
    /* The time in ns, never backward; NULL: the kernel's ticks, crossvm_freertos_now. */
    uint64_t (*now)(void *board);
    void *board;             /* what both are called with */
    SemaphoreHandle_t *rung; /* a binary semaphore for each own vector, not given yet */
    uint32_t n_own;          /* their number; 0 = this side polls */
    uint64_t period_ns;      /* who polls looks so often, from 1 */
};

/* ---- time ---------------------------------------------------------------------------------- */

/* Time since the scheduler started in ns, by the kernel's ticks and how often they wrapped. Not
 * from an interrupt handler. Bounded. */
CROSSVM_INLINE uint64_t crossvm_freertos_now(void)
{
    TimeOut_t now;
    const unsigned n_bits = 8u * (unsigned)sizeof(TickType_t);
    vTaskSetTimeOutState(&now);
    /* (In halves: a shift by all 64 bits means nothing.) */
    uint64_t wraps = (uint64_t)(UBaseType_t)now.xOverflowCount;
    uint64_t ticks = wraps << (n_bits / 2) << (n_bits / 2) | now.xTimeOnEntering;
    return crossvm_i_ticks_ns(ticks, (uint64_t)configTICK_RATE_HZ);
}

CROSSVM_INLINE uint64_t crossvm_i_freertos_now(void *context)
{
    const struct crossvm_freertos *freertos = (const struct crossvm_freertos *)context;
    return freertos->now != NULL ? freertos->now(freertos->board) : crossvm_freertos_now();
}

/* A time as the kernel takes it: it comes early when it is far away. */
CROSSVM_INLINE TickType_t crossvm_i_freertos_ticks(uint64_t now_ns, uint64_t until_ns)
{
    const TickType_t most = portMAX_DELAY; /* for ever */
    if (until_ns == CROSSVM_NO_DEADLINE) {
        return most;
    }
    uint64_t ticks = crossvm_i_ticks_until(now_ns, until_ns, (uint64_t)configTICK_RATE_HZ);
    return ticks < most ? (TickType_t)ticks : (TickType_t)(most - 1);
}

/* ---- from the interrupt handler ------------------------------------------------------------ */

/* Remembers a ring of an own vector: what the doorbell's interrupt handler calls once it has
 * acknowledged the device. vector: one that there is not is passed over. woken: as
 * xSemaphoreGiveFromISR has it, set to pdTRUE if a task is to run now: begin with pdFALSE, and
 * let the handler end with the port's yield. Role: interrupt handlers, several at a time if the
 * kernel lets them nest. Bounded. */
CROSSVM_INLINE void crossvm_freertos_rung(const struct crossvm_freertos *freertos, uint32_t vector,
                                          BaseType_t *woken)
{
    if (vector < freertos->n_own) {
        /* One that is given already says no: that ring was not heard yet, and nothing is lost. */
        (void)xSemaphoreGiveFromISR(freertos->rung[vector], woken);
    }
}

/* ---- notify -------------------------------------------------------------------------------- */

CROSSVM_INLINE int crossvm_i_freertos_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct crossvm_freertos *freertos = (const struct crossvm_freertos *)context;
    if (freertos->ring == NULL) {
        return CROSSVM_OK; /* whoever is there polls */
    }
    crossvm_system_barrier();
    return freertos->ring(freertos->board, peer, vector);
}

/* Waits for one own vector until a deadline. */
CROSSVM_INLINE int crossvm_i_freertos_hear(struct crossvm_freertos *freertos, uint32_t vector,
                                           uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = crossvm_i_freertos_now(freertos);
        TickType_t ticks = crossvm_i_freertos_ticks(now_ns, deadline_ns);
        if (xSemaphoreTake(freertos->rung[vector], ticks) == pdTRUE) {
            return CROSSVM_OK;
        }
        if (crossvm_i_freertos_now(freertos) >= deadline_ns) {
            return CROSSVM_TIMEOUT;
        }
    }
}

/* Nobody rings: a period, and then a false alarm. */
CROSSVM_INLINE int crossvm_i_freertos_look_around(struct crossvm_freertos *freertos,
                                                  uint64_t deadline_ns)
{
    uint64_t now_ns = crossvm_i_freertos_now(freertos);
    if (now_ns >= deadline_ns) {
        return CROSSVM_TIMEOUT;
    }
    bool late = freertos->period_ns >= deadline_ns - now_ns;
    uint64_t until_ns = late ? deadline_ns : now_ns + freertos->period_ns;
    vTaskDelay(crossvm_i_freertos_ticks(now_ns, until_ns));
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_freertos_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct crossvm_freertos *freertos = (struct crossvm_freertos *)context;
    if (freertos->n_own == 0) {
        return crossvm_i_freertos_look_around(freertos, deadline_ns);
    }
    if (vector >= freertos->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    return crossvm_i_freertos_hear(freertos, vector, deadline_ns);
}

/* Who polls has slept already. */
CROSSVM_INLINE void crossvm_i_freertos_rest(void *context, uint64_t until_ns)
{
    struct crossvm_freertos *freertos = (struct crossvm_freertos *)context;
    if (freertos->n_own != 0) {
        vTaskDelay(crossvm_i_freertos_ticks(crossvm_i_freertos_now(freertos), until_ns));
    }
}

/* Makes a notify of a board's doorbells; deadlines are times of its clock. It may be used by its
 * task once the scheduler runs. A deadline is met to a tick. OK; INVALID a semaphore is NULL (it
 * could not be made), or a side that polls has a period of 0. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_freertos(struct crossvm_notify *notify,
                                                             struct crossvm_freertos *freertos)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_freertos_signal, crossvm_i_freertos_wait, NULL,
        crossvm_i_freertos_now,    crossvm_i_freertos_rest,
    };
    for (uint32_t i = 0; i < freertos->n_own; i++) {
        if (freertos->rung[i] == NULL) {
            return CROSSVM_INVALID;
        }
    }
    if (freertos->n_own == 0 && freertos->period_ns == 0) {
        return CROSSVM_INVALID;
    }
    notify->ops = &ops;
    notify->context = freertos;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
    return CROSSVM_OK;
}

CROSSVM_EXTERN_C_END

#endif
