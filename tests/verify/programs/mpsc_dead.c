/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer dies behind its claim, with half an element in its place. When its death is confirmed,
 * its claim is given up; then another writer fills the same place. Nobody touches it together with
 * the dead one, the loss is counted once, and what was pushed arrives. CAPACITY, START: see mpsc.h.
 *
 *   BURIES    another writer gives the claim up
 *   SKIPS     the consumer passes over it; with BURIES both
 *   MISTAKEN  nobody is dead: the writer goes on, and finds out, or was in time
 */
#include "round.h"

#include <stdatomic.h>

#ifndef CAPACITY
#define CAPACITY 1u
#endif

#include "mpsc.h"

#if !defined(MISTAKEN)
static MODEL_STATE atomic_int dead;
#endif
static MODEL_STATE bool claimed;
static MODEL_STATE bool in_time;

static void *claim_and_die(void *unused)
{
    void *place;
    (void)unused;
    int status = crossvm_mpsc_tx_reserve(&writers[1], &place);
    if (status != CROSSVM_OK) {
        return NULL;
    }
    claimed = true;
#if defined(MISTAKEN)
    in_time = crossvm_mpsc_tx_commit(&writers[1]) == CROSSVM_OK;
#else
    *(uint32_t *)place = 0xffffffffu;
    atomic_store_explicit(&dead, 1, memory_order_release);
#endif
    return NULL;
}

static bool is_dead(void)
{
#if defined(MISTAKEN)
    return true;
#else
    return atomic_load_explicit(&dead, memory_order_acquire) == 1;
#endif
}

static void *bury(void *unused)
{
    (void)unused;
#if defined(BURIES)
    if (is_dead()) {
        assert(crossvm_mpsc_tx_bury(&writers[3], 1) <= 1);
    }
#endif
    return NULL;
}

static void *read_some(void *unused)
{
    uint32_t elem;
    (void)unused;
    int status = crossvm_mpsc_rx_pop(&rx, &elem);
#if defined(SKIPS)
    if (status == CROSSVM_NOT_YET && rx.writer == 1 && is_dead()) {
        status = crossvm_mpsc_rx_skip(&rx, 1);
        assert(status == CROSSVM_OK || status == CROSSVM_INVALID);
    }
#endif
    (void)status;
    return NULL;
}

static void *write_one(void *unused)
{
    (void)unused;
    int status = mpsc_push_next(2);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL || status == CROSSVM_TORN);
    return NULL;
}

static void prepare(void)
{
    link_all();
}

static void judge(void)
{
    uint32_t elem;
    assert(crossvm_mpsc_tx_bury(&writers[3], 1) <= 1);
    for (uint32_t i = 0; i <= CAPACITY && crossvm_mpsc_rx_pop(&rx, &elem) == CROSSVM_OK; i++) {
    }
    assert(rx.head - START == n_pushed[2] + claimed);
    assert(rx.n_lost == (claimed && !in_time));
}

MODEL_PROGRAM(prepare, judge, claim_and_die, bury, read_some, write_one)
