/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of a queue of two are about to sleep at once: one element lies in it, the consumer
 * wants two, the producer wants two places. At least one of them rings the other.
 *
 *   PEER_WAITS  each asks whether the other waits, instead of nudging
 *   PUSH        the producer pushes that element while the consumer is arming already
 */
#include "round.h"

#define CAPACITY 2u
#ifndef START
#define START 0xffffffffu
#endif
#include "queue.h"

static MODEL_STATE bool producer_sleeps;
static MODEL_STATE bool consumer_sleeps;
static MODEL_STATE int producer_rings;
static MODEL_STATE int consumer_rings;

static void push_one(void)
{
    uint32_t elem = 1;
    uint64_t again_ns;
    assert(crossvm_spsc_tx_push(&tx, &elem) == CROSSVM_OK);
    producer_rings |= crossvm_spsc_tx_kick(&tx, 0, &again_ns);
}

static void *produce(void *unused)
{
    (void)unused;
#if defined(PUSH)
    push_one();
#endif
    producer_sleeps = crossvm_spsc_tx_arm(&tx, 2) == 0;
#if defined(PEER_WAITS)
    producer_rings |= crossvm_wake_peer_waits(&tx.kick);
#else
    producer_rings |= crossvm_spsc_tx_nudge(&tx);
#endif
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    consumer_sleeps = crossvm_spsc_rx_arm(&rx, 2, 0) == 0;
#if defined(PEER_WAITS)
    consumer_rings |= crossvm_wake_peer_waits(&rx.kick);
#else
    consumer_rings |= crossvm_spsc_rx_nudge(&rx);
#endif
    return NULL;
}

static void prepare(void)
{
    link_both();
    both_awake();
#if !defined(PUSH)
    push_one();
    assert(!producer_rings);
#endif
}

static void judge(void)
{
    assert(producer_sleeps && consumer_sleeps);
    assert(producer_rings || consumer_rings);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
