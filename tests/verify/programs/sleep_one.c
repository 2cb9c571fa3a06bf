/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side of a queue sleeps, the other works and kicks. Nobody sleeps beside what it waits for
 * without a ring on its way.
 *
 *   WANT      elements (places) that the sleeper wants
 *   PRODUCER  the producer sleeps beside a full queue, and the consumer takes WORK elements;
 *             otherwise the consumer sleeps beside an empty one, and WORK are pushed
 */
#include "round.h"

#ifndef CAPACITY
#define CAPACITY 2u
#endif
#ifndef START
#define START 0xffffffffu
#endif
#ifndef WANT
#define WANT 1
#endif
#ifndef WORK
#define WORK 2
#endif
#include "queue.h"

static MODEL_STATE bool sleeps;
static MODEL_STATE int rings;

static void push_one(void)
{
    uint32_t elem = 1;
    uint64_t again_ns;
    assert(crossvm_spsc_tx_push(&tx, &elem) == CROSSVM_OK);
    rings |= crossvm_spsc_tx_kick(&tx, 0, &again_ns);
}

#if defined(PRODUCER)
static void take_one(void)
{
    uint32_t elem;
    assert(crossvm_spsc_rx_pop(&rx, &elem) == CROSSVM_OK);
    rings |= crossvm_spsc_rx_kick(&rx);
}
#endif

static void *work(void *unused)
{
    (void)unused;
    for (int i = 0; i < WORK; i++) {
#if defined(PRODUCER)
        take_one();
#else
        push_one();
#endif
    }
    return NULL;
}

static void *doze(void *unused)
{
    (void)unused;
#if defined(PRODUCER)
    sleeps = crossvm_spsc_tx_arm(&tx, WANT) == 0;
#else
    sleeps = crossvm_spsc_rx_arm(&rx, WANT, 0) == 0;
#endif
    return NULL;
}

static void prepare(void)
{
    link_both();
    both_awake();
#if defined(PRODUCER)
    for (uint32_t i = 0; i < CAPACITY; i++) {
        push_one();
    }
    rings = 0;
#endif
}

static void judge(void)
{
    /* A consumer that holds releases back has published fewer than it took. */
    uint32_t done = rx.published - START;
#if !defined(PRODUCER)
    done = tx.tail - START;
#endif
    assert(!(sleeps && done >= WANT && !rings));
}

MODEL_PROGRAM(prepare, judge, work, doze)
