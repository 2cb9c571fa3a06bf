/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer sleeps until WANT elements are there; two writers claim, commit and kick in any order.
 * It does not sleep beside what it waits for without a ring on its way. CAPACITY, START: mpsc.h.
 *
 *   WANT    elements that the consumer waits for
 *   CLAIMS  both have claimed already: who commits last is open, who is first in the ring is not
 */
#include "round.h"

#include <stdatomic.h>

#include "mpsc.h"

#ifndef WANT
#define WANT 1
#endif

static MODEL_STATE bool sleeps;
static MODEL_STATE atomic_int n_rings;

static void push_and_kick(uint32_t writer)
{
    uint64_t again_ns;
#if defined(CLAIMS)
    assert(crossvm_mpsc_tx_commit(&writers[writer]) == CROSSVM_OK);
#else
    assert(mpsc_push_next(writer) == CROSSVM_OK);
#endif
    if (crossvm_mpsc_tx_kick(&writers[writer], 0, &again_ns)) {
        atomic_fetch_add_explicit(&n_rings, 1, memory_order_relaxed);
    }
}

static void *write_first(void *unused)
{
    (void)unused;
    push_and_kick(1);
    return NULL;
}

static void *write_second(void *unused)
{
    (void)unused;
    push_and_kick(2);
    return NULL;
}

static void *doze(void *unused)
{
    (void)unused;
    sleeps = crossvm_mpsc_rx_arm(&rx, WANT, 0) == 0;
    return NULL;
}

static void prepare(void)
{
    link_all();
#if defined(CLAIMS)
    for (uint32_t writer = 1; writer <= 2; writer++) {
        void *place;
        assert(crossvm_mpsc_tx_reserve(&writers[writer], &place) == CROSSVM_OK);
    }
#endif
}

static void judge(void)
{
    assert(crossvm_mpsc_rx_fill(&rx) == 2);
    assert(!sleeps || atomic_load_explicit(&n_rings, memory_order_relaxed) != 0);
}

MODEL_PROGRAM(prepare, judge, write_first, write_second, doze)
