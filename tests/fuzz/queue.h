/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/queue.h - a queue or an exchange between two small regions, in the states that a run
 * can begin with. The producer is party 1 and owns region a, the consumer is party 2 and owns b.
 */
#ifndef CROSSVM_TESTS_FUZZ_QUEUE_H
#define CROSSVM_TESTS_FUZZ_QUEUE_H

#include "fuzz.h"

enum {
    CAPACITY = 8,
    ELEM_MAX = 16,
    ROOM = CAPACITY * ELEM_MAX, /* bytes for elements */
    CAPACITY_MAX = ROOM / 8,    /* elements that a grant can be for at most */
    N_MAX = CAPACITY_MAX + 2    /* elements that a call asks for, at most */
};

/* Words of a part that a restarted side takes from it, in words from its beginning. */
static const uint8_t fuzz_queue_own[] = {0, 32, 33, 34, 35, 36, 37, 38, 39, 40, 44, 45};

/* How a queue stands. */
enum fuzz_queue_state {
    FUZZ_ASKED,     /* both parts are open, the consumer has asked */
    FUZZ_GRANTED,   /* the producer has granted it */
    FUZZ_EMPTY,     /* linked, both indices 0 */
    FUZZ_HALF,      /* linked, half full, the indices about to wrap around */
    FUZZ_PLAIN_LEN, /* as half, and elements are as long as their stride */
    FUZZ_QUEUE_STATES
};

/* The two regions. */
struct fuzz_queue {
    struct fuzz_region a;
    struct fuzz_region b;
    struct crossvm_chunk tx_chunk;
    struct crossvm_chunk rx_chunk;
    struct fuzz_part tx_part;
    struct fuzz_part rx_part;
};

static inline void fuzz_queue_make(struct fuzz_queue *queue, uint32_t tx_kind, uint32_t rx_kind,
                                   uint32_t rx_n)
{
    const struct crossvm_chunk_decl a[] = {
        {"queue", tx_kind, CAPACITY, ELEM_MAX, 1, 2, 0, 7},
    };
    const struct crossvm_chunk_decl b[] = {
        {"queue", rx_kind, rx_n, rx_n == 0 ? 0 : ELEM_MAX, 2, 1, 0, 7},
    };
    const struct crossvm_region_plan plan_a = {a, 1, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {b, 1, 0, 128, 0, 2, {2}, 0, {0, 0, 0}};
    fuzz_region_make(&queue->a, &plan_a, 2);
    fuzz_region_make(&queue->b, &plan_b, 1);
    queue->tx_chunk = queue->a.table[0];
    queue->rx_chunk = queue->b.table[0];
    queue->tx_part = fuzz_part_of(&queue->a, &queue->tx_chunk);
    queue->rx_part = fuzz_part_of(&queue->b, &queue->rx_chunk);
}

static inline void fuzz_queue_close(const struct fuzz_queue *queue)
{
    fuzz_region_close(&queue->a);
    fuzz_region_close(&queue->b);
}

static inline void fuzz_queue_index(const struct fuzz_queue *queue, uint32_t index)
{
    crossvm_i_set_word((struct crossvm_le32 *)(void *)queue->tx_part.writable, index);
    crossvm_i_set_word((struct crossvm_le32 *)(void *)queue->rx_part.writable, index);
}

/* The words of the consumer's part that the producer looks at. */
static inline void fuzz_queue_hot_rx(const struct fuzz_part *part)
{
    fuzz_hot(part, 0, 6);    /* head, epoch, wake words */
    fuzz_hot(part, 0, 1);    /* the head is what it is about */
    fuzz_hot(part, 128, 14); /* request, accepted, names, base, incarnation */
}

/* The words of the producer's part that the consumer looks at. */
static inline void fuzz_queue_hot_tx(const struct fuzz_part *part)
{
    fuzz_hot(part, 0, 6);
    fuzz_hot(part, 0, 1);
    fuzz_hot(part, 128, 14);
}

/* What a producer never stores: the epoch, reserved words. */
static inline void fuzz_queue_keep_tx(const struct fuzz_part *part)
{
    fuzz_keep(part, 4, 4);
    fuzz_keep(part, 24, 104);
    fuzz_keep(part, 184, 72);
    fuzz_keep(part, 280, 232);
}

/* The same of a consumer. */
static inline void fuzz_queue_keep_rx(const struct fuzz_part *part)
{
    fuzz_keep(part, 4, 4);
    fuzz_keep(part, 24, 104);
    fuzz_keep(part, 144, 4);
    fuzz_keep(part, 184, 80);
    fuzz_keep(part, 280, 232);
}

#endif
