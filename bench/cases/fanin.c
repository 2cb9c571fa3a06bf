/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/fanin.c - several producers, each with a queue of its own (a lane), and a fan-in that
 * serves them as one. The producers' queues are of one type; the fan-in is told lengths at run
 * time.
 */
#include "../own.h"
#include "../producers.h"

#include <crossvm/fanin.h>

CROSSVM_SPSC_TYPE(lane, struct element_8);

struct fanin_queue {
    struct crossvm_queue *lanes[PRODUCERS_MOST];
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_fanin fanin;
    struct crossvm_fanin_input inputs[PRODUCERS_MOST];
};

static void *fanin_prepare(const struct bench_case *self)
{
    struct fanin_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    unsigned n = producers_n(self);
    struct bench_case lane = *self;
    uint32_t place;
    lane.capacity = n == 1 ? self->capacity : self->capacity / 4;
    bench_require(crossvm_fanin_init(&queue->fanin, queue->inputs, n, 8) == CROSSVM_OK,
                  "fanin_init");
    for (unsigned i = 0; i < n; i++) {
        queue->lanes[i] = crossvm_prepare(&lane);
        int status = crossvm_fanin_add(&queue->fanin, &queue->lanes[i]->rx, 1, &place);
        bench_require(status == CROSSVM_OK, "fanin_add");
    }
    return queue;
}

BENCH_INLINE bool fanin_from(struct fanin_queue *queue, unsigned producer,
                             const struct element_8 *elem)
{
    struct lane_tx *tx = (struct lane_tx *)&queue->lanes[producer]->tx;
    return lane_tx_push(tx, elem) == CROSSVM_OK;
}

BENCH_INLINE uint32_t fanin_from_n(struct fanin_queue *queue, unsigned producer,
                                   const struct element_8 *elems, uint32_t n)
{
    struct lane_tx *tx = (struct lane_tx *)&queue->lanes[producer]->tx;
    int n_pushed = lane_tx_push_n(tx, elems, n);
    return n_pushed < 0 ? 0 : (uint32_t)n_pushed;
}

BENCH_INLINE bool fanin_to(struct fanin_queue *queue, struct element_8 *elem)
{
    uint32_t from;
    return crossvm_fanin_pop(&queue->fanin, elem, &from) == CROSSVM_OK;
}

BENCH_INLINE uint32_t fanin_to_n(struct fanin_queue *queue, struct element_8 *elems, uint32_t n)
{
    uint32_t from;
    int n_popped = crossvm_fanin_pop_n(&queue->fanin, elems, n, &from);
    return n_popped < 0 ? 0 : (uint32_t)n_popped;
}

PRODUCERS_ONE(fanin, struct fanin_queue, 1)
PRODUCERS_ONE(fanin, struct fanin_queue, 3)
PRODUCERS_BATCH(fanin, struct fanin_queue, 1)
PRODUCERS_BATCH(fanin, struct fanin_queue, 3)

#define CASES(P, SLOWER)                                                                \
    PRODUCERS_CASE("one", P, "crossvm-fanin", fanin, one, fanin_prepare, NULL, SLOWER), \
        PRODUCERS_CASE("batch32", P, "crossvm-fanin", fanin, batch, fanin_prepare, NULL, SLOWER)

static const struct bench_case cases[] = {
    CASES(1, 1),
    CASES(3, 4),
};

BENCH_REGISTER(cases)
