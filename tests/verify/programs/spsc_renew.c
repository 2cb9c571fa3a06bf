/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner renews the tx part while the consumer takes elements from it (the producer has
 * stopped). Shows a limit: elements are copied without an epoch check behind the copy.
 *
 *   ANY_VALUE  what is popped may be the wiped memory
 */
#include "round.h"

#include "queue.h"

static MODEL_STATE struct crossvm_region region;

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&region, 0, sizeof(tx_memory));
    crossvm_store_relaxed(&tx_memory.control.line.epoch, GENERATION + 1);
    return NULL;
}

static void *consume(void *unused)
{
    uint32_t elem;
    (void)unused;
    int status = crossvm_spsc_rx_pop(&rx, &elem);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
#if !defined(ANY_VALUE)
    assert(status != CROSSVM_OK || elem == 77);
#endif
    return NULL;
}

static void prepare(void)
{
    uint32_t elem = 77;
    link_both();
    region.base = (unsigned char *)&tx_memory;
    assert(crossvm_spsc_tx_push(&tx, &elem) == CROSSVM_OK);
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, renew, consume)
