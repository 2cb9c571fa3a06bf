/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer of an exchange sleeps until WANT answers are there; the client gives WORK and kicks
 * behind each. It does not sleep beside what it waits for without a ring on its way. CAPACITY,
 * START, SHARED: see exchange.h.
 */
#include "round.h"

#include "exchange.h"

#ifndef WANT
#define WANT 1
#endif
#ifndef WORK
#define WORK 2
#endif

static MODEL_STATE bool sleeps;
static MODEL_STATE int rings;

static void *answer(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < WORK; i++) {
        uint64_t again_ns;
        assert(crossvm_exchange_rx_answer(&exchange_rx, &i) == CROSSVM_OK);
        rings |= crossvm_exchange_rx_kick(&exchange_rx, 0, &again_ns);
    }
    return NULL;
}

static void *doze(void *unused)
{
    (void)unused;
    sleeps = crossvm_exchange_tx_arm(&exchange_tx, WANT, 0) == 0;
    return NULL;
}

static void prepare(void)
{
    link_exchange();
    both_awake();
    for (uint32_t i = 0; i < CAPACITY; i++) {
        assert(crossvm_exchange_tx_push(&exchange_tx, &i) == CROSSVM_OK);
    }
}

static void judge(void)
{
    assert(!(sleeps && WORK >= WANT && !rings));
}

MODEL_PROGRAM(prepare, judge, answer, doze)
