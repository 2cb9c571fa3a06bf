/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/mpsc.c - several producers that share one ring. It has no batches on the producers'
 * side: 32 at a time are 32 elements, one after the other.
 */
#include "../own.h"
#include "../producers.h"

#include <crossvm/mpsc.h>

struct mpsc_queue {
    struct {
        BENCH_ALIGNED(BENCH_LINE) struct crossvm_mpsc_tx tx;
    } writers[PRODUCERS_MOST];
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_mpsc_rx rx;
};

static void *mpsc_prepare(const struct bench_case *self)
{
    const struct crossvm_chunk_decl tx_decl = {
        "ring", CROSSVM_KIND_MPSC_TX, self->capacity, self->elem_len, PRODUCER, CONSUMER, 0, 7};
    const struct crossvm_chunk_decl rx_decl = {
        "ring", CROSSVM_KIND_MPSC_RX, 0, 0, CONSUMER, PRODUCER, 0, 7};
    struct mpsc_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    struct part a;
    struct part b;
    part_make(&a, &tx_decl, CROSSVM_READ_ONLY);
    part_make(&b, &rx_decl, CROSSVM_READ_ONLY);
    bench_require(crossvm_mpsc_rx_open(&queue->rx, &b.owner.region, &b.chunk) == CROSSVM_OK,
                  "mpsc_rx_open");
    bench_require(crossvm_mpsc_rx_link(&queue->rx, &a.reader, &a.chunk) == CROSSVM_OK,
                  "mpsc_rx_link");
    for (unsigned i = 0; i < producers_n(self); i++) {
        struct crossvm_mpsc_tx *tx = &queue->writers[i].tx;
        bench_require(crossvm_mpsc_tx_open(tx, &a.owner.region, &a.chunk, i + 1) == CROSSVM_OK,
                      "mpsc_tx_open");
        bench_require(crossvm_mpsc_tx_link(tx, &b.reader, &b.chunk) == CROSSVM_OK, "mpsc_tx_link");
    }
    return queue;
}

BENCH_INLINE bool mpsc_from(struct mpsc_queue *queue, unsigned producer,
                            const struct element_8 *elem)
{
    return crossvm_mpsc_tx_push(&queue->writers[producer].tx, elem) == CROSSVM_OK;
}

BENCH_INLINE uint32_t mpsc_from_n(struct mpsc_queue *queue, unsigned producer,
                                  const struct element_8 *elems, uint32_t n)
{
    uint32_t done = 0;
    while (done < n && mpsc_from(queue, producer, elems + done)) {
        done++;
    }
    return done;
}

BENCH_INLINE bool mpsc_to(struct mpsc_queue *queue, struct element_8 *elem)
{
    return crossvm_mpsc_rx_pop(&queue->rx, elem) == CROSSVM_OK;
}

BENCH_INLINE uint32_t mpsc_to_n(struct mpsc_queue *queue, struct element_8 *elems, uint32_t n)
{
    int n_popped = crossvm_mpsc_rx_pop_n(&queue->rx, elems, n);
    return n_popped < 0 ? 0 : (uint32_t)n_popped;
}

PRODUCERS_ONE(mpsc, struct mpsc_queue, 1)
PRODUCERS_ONE(mpsc, struct mpsc_queue, 3)
PRODUCERS_BATCH(mpsc, struct mpsc_queue, 1)
PRODUCERS_BATCH(mpsc, struct mpsc_queue, 3)

#define CASES(P, SLOWER)                                                             \
    PRODUCERS_CASE("one", P, "crossvm-mpsc", mpsc, one, mpsc_prepare, NULL, SLOWER), \
        PRODUCERS_CASE("batch32", P, "crossvm-mpsc", mpsc, batch, mpsc_prepare, NULL, SLOWER)

static const struct bench_case cases[] = {
    CASES(1, 16),
    CASES(3, 8),
};

BENCH_REGISTER(cases)
