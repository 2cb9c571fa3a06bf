/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No lost wake-up: a waiter arms, looks once more and sleeps; a publisher publishes and asks whether
 * to ring. At the end nobody sleeps beside an index that it waits for without a ring on its way.
 * A ring that came before the wait ends the wait at once, and the waiter arms again.
 *
 *   STEPS     indices published, one after the other
 *   WANT      how many the waiter wants from where it stands (a watermark above 1)
 *   ONE_KICK  one kick behind all of them
 *   ALWAYS    the waiter wants a ring at every kick
 *   AGAIN     what the waiter wants the second time, after it had the first (0 = nothing more)
 */
#include "round.h"

#include <stdatomic.h>

#include <crossvm/wake.h>

#ifndef START
#define START 0xfffffffeu
#endif
#ifndef STEPS
#define STEPS 3
#endif
#ifndef WANT
#define WANT 1
#endif
#ifndef AGAIN
#define AGAIN 0
#endif
#define TRIES 3

static MODEL_STATE struct crossvm_le32 index_word; /* the publisher's, in memory of its own */
static MODEL_STATE struct crossvm_wake_line_shm line;
static MODEL_STATE struct crossvm_wake_waiter waiter;
static MODEL_STATE struct crossvm_wake_publisher publisher;

static MODEL_STATE atomic_int n_rings;
static MODEL_STATE int n_heard;
static MODEL_STATE bool sleeps;
static MODEL_STATE uint32_t waits_for; /* it sleeps until the index has come that far */

static void publish(uint32_t index)
{
    crossvm_i_store_release(&index_word, index);
}

static void kick(uint32_t index)
{
    uint64_t again_ns;
    if (crossvm_wake_due(&publisher, index, 0, &again_ns)) {
        atomic_fetch_add_explicit(&n_rings, 1, memory_order_relaxed);
    }
}

static void *publish_some(void *unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= STEPS; i++) {
        publish(START + i);
#if !defined(ONE_KICK)
        kick(START + i);
#endif
    }
#if defined(ONE_KICK)
    kick(START + STEPS);
#endif
    return NULL;
}

/* Waits for an index: 1 it is there; 0 asleep; -1 no try is left. */
static int wait_for(uint32_t index)
{
    for (int i = 0; i < TRIES; i++) {
#if defined(ALWAYS)
        crossvm_wake_always(&waiter);
#else
        crossvm_wake_at(&waiter, index - 1, 0);
#endif
        if (crossvm_i_load_acquire(&index_word) - START >= index - START) {
            crossvm_wake_never(&waiter);
            return 1;
        }
        int rings = atomic_load_explicit(&n_rings, memory_order_relaxed);
        if (rings == n_heard) {
            waits_for = index;
            sleeps = true;
            return 0;
        }
        n_heard = rings;
    }
    return -1;
}

static void *wait_some(void *unused)
{
    (void)unused;
    if (wait_for(START + WANT) == 1 && AGAIN != 0) {
        (void)wait_for(START + WANT + AGAIN);
    }
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&index_word, START);
    waiter.line = &line;
    crossvm_wake_never(&waiter);
    publisher.line = &line;
    publisher.old = START;
    publisher.span = 8;
}

static void judge(void)
{
    uint32_t index = crossvm_load_relaxed(&index_word);
    assert(!(sleeps && index - START >= waits_for - START &&
             atomic_load_explicit(&n_rings, memory_order_relaxed) == n_heard));
}

MODEL_PROGRAM(prepare, judge, publish_some, wait_some)
