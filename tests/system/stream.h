/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/stream.h - a queue of numbered elements between two machines: what both ends agree
 * on, and how the consumer's end comes up. Include it first.
 */
#ifndef STREAM_H
#define STREAM_H

#include "system.h"

#define SELF_PRODUCER 1u
#define SELF_CONSUMER 2u
#define CAPACITY      64u
#define WORDS         16u

/* An element says its own number in every word, each in another way. */
static inline void fill(uint32_t words[WORDS], uint32_t number)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        words[i] = number * (2 * i + 1);
    }
}

static inline void check(const uint32_t words[WORDS], uint32_t number)
{
    uint32_t expected[WORDS];
    fill(expected, number);
    if (memcmp(words, expected, sizeof(expected)) != 0) {
        give_up("element %u is not what was pushed", (unsigned)number);
    }
}

/* ---- one end ------------------------------------------------------------------------------- */

static const struct crossvm_chunk_decl tx_decl = {
    "stream", CROSSVM_KIND_SPSC_TX, CAPACITY, WORDS * 4, SELF_PRODUCER, SELF_CONSUMER, 0, 0};
static const struct crossvm_chunk_decl rx_decl = {"stream",      CROSSVM_KIND_SPSC_RX, 0, 0,
                                                  SELF_CONSUMER, SELF_PRODUCER,        0, 0};

static inline void hang(struct crossvm_pipe_bell *pipe, struct place_bell *bell,
                        struct crossvm_notify *notify, uint32_t out, uint32_t in)
{
    pipe->notify = notify;
    pipe->peer = side_other(bell);
    pipe->vector_out = out;
    pipe->vector_in = in;
}

/* The consumer's end: its memory, the producer's, doorbells, and the queue linked. */
static inline void consumer_up(struct side *side, struct crossvm_pipe_rx *pipe,
                               struct place_bell *bell, struct crossvm_notify *notify,
                               const char *own, const char *peer, const char *where,
                               uint32_t elem_len)
{
    int status;
    side_listen(bell, where, notify);
    side_format(side, SELF_CONSUMER, own, &rx_decl, 1);
    must(crossvm_spsc_rx_open(&pipe->queue, &side->owner.region, &side->table[0], CAPACITY,
                              elem_len, 1),
         "rx");
    side_attach(side, peer);
    struct crossvm_chunk tx = side_find(side, "stream", CROSSVM_KIND_SPSC_TX);
    while ((status = crossvm_spsc_rx_link(&pipe->queue, &side->peer, &tx)) == CROSSVM_NOT_YET) {
        rest_a_moment();
    }
    must(status, "link");
    hang(&pipe->bell, bell, notify, 0, 1);
}

#endif
