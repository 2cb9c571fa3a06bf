/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/mpsc.h - a ring with several writers, brought up between two regions at any index,
 * and what a word of a slot says. Elements bear their writer and a number of its own.
 *
 * The writers are PARTY_A and own region a with the ring; the consumer is PARTY_B and owns region b
 * with its part. Each side reads the other's region through a read-only mapping.
 */
#ifndef CROSSVM_TESTS_SUPPORT_MPSC_H
#define CROSSVM_TESTS_SUPPORT_MPSC_H

#include "queue.h"

/* Units that need writers say so at their end where there can be none. */
#define MPSC_LEFT_OUT "  (left out: this core compares and swaps nothing)\n"

#if CROSSVM_HAS_CAS

enum {
    MPSC_WRITERS = 4, /* with ids from 1 */
    MPSC_ELEM_MAX = 512
};

struct mpsc {
    struct test_region a; /* the writers': the ring */
    struct test_region b; /* the consumer's: its part */
    struct crossvm_chunk tx_chunk;
    struct crossvm_chunk rx_chunk;
    struct crossvm_mpsc_tx tx[MPSC_WRITERS];
    struct crossvm_mpsc_rx rx;
    uint32_t elem_len;
};

/* Makes both regions, with a ring of n elements of len bytes. No part is opened. */
static inline void mpsc_make(struct mpsc *mpsc, uint32_t n, uint32_t len,
                             struct queue_options options)
{
    const struct crossvm_chunk_decl a[] = {
        {"ring", CROSSVM_KIND_MPSC_TX, n, len, PARTY_A, PARTY_B, 0, 7},
    };
    const struct crossvm_chunk_decl b[] = {
        {"ring", CROSSVM_KIND_MPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 7},
    };
    const struct crossvm_region_plan plan_a = {a, 1, 0, 0, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {b, 1, 0, 0, 0, PARTY_B, {2}, 0, {0, 0, 0}};
    queue_region_make(&mpsc->a, &plan_a, PARTY_B, options);
    queue_region_make(&mpsc->b, &plan_b, PARTY_A, options);
    mpsc->tx_chunk = test_find(&mpsc->a.reader, "ring", CROSSVM_KIND_MPSC_TX);
    mpsc->rx_chunk = test_find(&mpsc->b.reader, "ring", CROSSVM_KIND_MPSC_RX);
    mpsc->elem_len = len;
}

static inline void mpsc_drop(struct mpsc *mpsc)
{
    queue_unmap(&mpsc->a);
    queue_unmap(&mpsc->b);
}

/* The calls of each side, with its own regions. */
static inline int mpsc_tx_open(struct mpsc *mpsc, uint32_t writer)
{
    return crossvm_mpsc_tx_open(&mpsc->tx[writer - 1], &mpsc->a.owner.region, &mpsc->tx_chunk,
                                writer);
}

static inline int mpsc_tx_link(struct mpsc *mpsc, uint32_t writer)
{
    return crossvm_mpsc_tx_link(&mpsc->tx[writer - 1], &mpsc->b.reader, &mpsc->rx_chunk);
}

static inline int mpsc_rx_open(struct mpsc *mpsc)
{
    return crossvm_mpsc_rx_open(&mpsc->rx, &mpsc->b.owner.region, &mpsc->rx_chunk);
}

static inline int mpsc_rx_link(struct mpsc *mpsc)
{
    return crossvm_mpsc_rx_link(&mpsc->rx, &mpsc->a.reader, &mpsc->tx_chunk);
}

static inline void mpsc_tx_up(struct mpsc *mpsc, uint32_t writer)
{
    REQUIRE(mpsc_tx_open(mpsc, writer) == CROSSVM_OK);
    REQUIRE(mpsc_tx_link(mpsc, writer) == CROSSVM_OK);
}

static inline void mpsc_rx_up(struct mpsc *mpsc)
{
    REQUIRE(mpsc_rx_open(mpsc) == CROSSVM_OK);
    REQUIRE(mpsc_rx_link(mpsc) == CROSSVM_OK);
}

/* ---- the shared words, as the table in mpsc.h says ------------------------------------------- */

enum {
    MPSC_COMMITTED = 0,
    MPSC_CLAIMED = 1,
    MPSC_GIVEN_UP = 2
};

static inline struct crossvm_chunk_shm *mpsc_tx_words(const struct mpsc *mpsc)
{
    return crossvm_i_control(&mpsc->a.owner.region, &mpsc->tx_chunk);
}

static inline struct crossvm_mpsc_rx_shm *mpsc_rx_words(const struct mpsc *mpsc)
{
    return (struct crossvm_mpsc_rx_shm *)(void *)crossvm_i_control(&mpsc->b.owner.region,
                                                                   &mpsc->rx_chunk);
}

/* The word of a slot in front of the element of an index. */
static inline struct crossvm_le32 *mpsc_slot(const struct mpsc *mpsc, uint32_t index)
{
    size_t stride = 8 + ((size_t)mpsc->tx_chunk.len + 7) / 8 * 8;
    unsigned char *ring = (unsigned char *)(void *)mpsc_tx_words(mpsc);
    return (struct crossvm_le32 *)(void *)(ring + 128 + index % mpsc->tx_chunk.n * stride);
}

static inline uint32_t mpsc_word(const struct mpsc *mpsc, uint32_t index, uint32_t writer,
                                 uint32_t state)
{
    uint64_t n_laps = ((uint64_t)1 << 32) / mpsc->tx_chunk.n;
    uint64_t lap = ((uint64_t)index / mpsc->tx_chunk.n + 1) % n_laps % ((uint64_t)1 << 24);
    return (uint32_t)lap << 8 | writer << 2 | state;
}

static inline uint32_t mpsc_slot_word(const struct mpsc *mpsc, uint32_t index)
{
    return crossvm_load_relaxed(mpsc_slot(mpsc, index));
}

/* The state of an index's slot, which must bear it. */
static inline uint32_t mpsc_state(const struct mpsc *mpsc, uint32_t index)
{
    uint32_t word = mpsc_slot_word(mpsc, index);
    CHECK_EQ(word >> 8, mpsc_word(mpsc, index, 0, 0) >> 8);
    return word & 3u;
}

static inline uint32_t mpsc_head(const struct mpsc *mpsc)
{
    return crossvm_load_relaxed(&mpsc_rx_words(mpsc)->line.index);
}

/* Elements claimed so far: the first index from the head on whose slot does not bear it. */
static inline uint32_t mpsc_tail(const struct mpsc *mpsc)
{
    uint32_t tail = mpsc_head(mpsc);
    uint32_t end = tail + mpsc->tx_chunk.n;
    while (tail != end && mpsc_slot_word(mpsc, tail) >> 8 == mpsc_word(mpsc, tail, 0, 0) >> 8) {
        tail++;
    }
    return tail;
}

/* An empty ring whose index is `index` by now, as if all writers had pushed that many. All handles
 * are open and linked. */
static inline void mpsc_up(struct mpsc *mpsc, uint32_t n, uint32_t len, uint32_t index,
                           struct queue_options options)
{
    mpsc_make(mpsc, n, len, options);
    mpsc_rx_up(mpsc);
    if (index != 0) {
        for (uint32_t t = index - n; t != index; t++) {
            crossvm_store_relaxed(mpsc_slot(mpsc, t), mpsc_word(mpsc, t, 1, MPSC_COMMITTED));
        }
        crossvm_store_relaxed(&mpsc_rx_words(mpsc)->line.index, index);
        mpsc_rx_up(mpsc);
    }
    for (uint32_t writer = 1; writer <= MPSC_WRITERS; writer++) {
        mpsc_tx_up(mpsc, writer);
    }
}

#define MPSC_USUAL                \
    {                             \
        CROSSVM_WRITE_BACK, false \
    }

/* ---- elements -------------------------------------------------------------------------------- */

/* A number that an element bears: its writer's, and which of its. */
static inline uint32_t mpsc_number(uint32_t writer, uint32_t which)
{
    return writer << 28 | (which & 0x0fffffffu);
}

/* Pushes an element of a writer's that bears a number; the status. */
static inline int mpsc_push(struct mpsc *mpsc, uint32_t writer, uint32_t which)
{
    unsigned char elem[MPSC_ELEM_MAX];
    queue_fill(elem, mpsc->elem_len, mpsc_number(writer, which));
    return crossvm_mpsc_tx_push(&mpsc->tx[writer - 1], elem);
}

/* Pops an element, which must be whole and its writer's; the status. */
static inline int mpsc_pop(struct mpsc *mpsc, uint32_t *writer, uint32_t *which)
{
    unsigned char elem[MPSC_ELEM_MAX] = {0};
    int status = crossvm_mpsc_rx_pop(&mpsc->rx, elem);
    if (status == CROSSVM_OK) {
        uint32_t number =
            elem[0] | (uint32_t)elem[1] << 8 | (uint32_t)elem[2] << 16 | (uint32_t)elem[3] << 24;
        CHECK(queue_is(elem, mpsc->elem_len, number));
        *writer = number >> 28;
        *which = number & 0x0fffffffu;
        CHECK_EQ(mpsc->rx.writer, *writer);
    }
    return status;
}

/* The next element is this one of this writer's. */
static inline void mpsc_pops(struct mpsc *mpsc, uint32_t writer, uint32_t which)
{
    uint32_t got_writer = 0;
    uint32_t got_which = 0;
    CHECK_EQ(mpsc_pop(mpsc, &got_writer, &got_which), CROSSVM_OK);
    CHECK_EQ(got_writer, writer);
    CHECK_EQ(got_which, which);
}

/* A writer's program ends right behind its claim. */
static inline void mpsc_dies_claiming(struct mpsc *mpsc, uint32_t writer)
{
    void *place;
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc->tx[writer - 1], &place) == CROSSVM_OK);
    memset(place, 0xee, mpsc->elem_len / 2);
}

#endif
#endif
