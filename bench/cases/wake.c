/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/wake.c - what a wake-up costs the side that needs none: arming and disarming on an
 * empty queue, and a kick that nobody has asked for. One side alone, so every line is its own. The
 * limit is one full fence.
 */
#include "../own.h"

/* The first kick rings whatever the other side asked for: it is over. */
static void *prepare(const struct bench_case *self)
{
    struct crossvm_queue *queue = crossvm_prepare(self);
    uint64_t again_ns;
    bench_require(crossvm_spsc_tx_kick(&queue->tx, 0, &again_ns) == 1, "the first kick");
    return queue;
}

static uint64_t fence(const struct bench_turn *turn)
{
    for (uint64_t i = 0; i < turn->n; i++) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return 0;
}

static uint64_t arm(const struct bench_turn *turn)
{
    struct crossvm_queue *queue = turn->state;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < turn->n; i++) {
        wrong |= crossvm_spsc_rx_arm(&queue->rx, 1, 0) != 0;
        crossvm_spsc_rx_disarm(&queue->rx);
    }
    return wrong;
}

static uint64_t suppressed(const struct bench_turn *turn)
{
    struct crossvm_queue *queue = turn->state;
    uint64_t again_ns;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < turn->n; i++) {
        wrong |= crossvm_spsc_tx_kick(&queue->tx, 0, &again_ns) != 0;
    }
    return wrong;
}

#define CASE(ROW, NAME, SIDE)                                                           \
    {                                                                                   \
        .row = "wake/" ROW, .who = NAME, .n_sides = 1, .n_ops = 100000, .n_warm = 1000, \
        .elem_len = 8, .capacity = 4096, .prepare = prepare, .side = {                  \
            SIDE                                                                        \
        }                                                                               \
    }

static const struct bench_case cases[] = {
    CASE("arm", "crossvm", arm),
    CASE("suppressed", "crossvm", suppressed),
    CASE("arm", "fence", fence),
    CASE("suppressed", "fence", fence),
};

BENCH_REGISTER(cases)
