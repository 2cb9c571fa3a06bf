/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/peer.h - two sides that watch each other's life, each with a region of its own, and
 * a queue of numbers each way.
 *
 * Side 0 is PARTY_A and owns regions[0], side 1 is PARTY_B and owns regions[1]. Each side reads the
 * other's region through a read-only mapping.
 */
#ifndef CROSSVM_TESTS_SUPPORT_PEER_H
#define CROSSVM_TESTS_SUPPORT_PEER_H

#include "queue.h"

#include <crossvm/peer.h>

enum {
    PEER_LINK = 7,
    PEER_CAPACITY = 64,  /* elements of each queue */
    PEER_SILENCE = 1000, /* ns until a silent peer is suspected */
    PEER_TICK = 100      /* ns from step to step */
};

struct peer_side {
    struct crossvm_peer peer;
    struct crossvm_spsc_tx tx; /* to the other side */
    struct crossvm_spsc_rx rx; /* from the other side */
};

struct peer_pair {
    struct test_region regions[2];
    struct peer_side sides[2];
    uint64_t now_ns;
    uint32_t seed; /* of the last life */
};

/* What a side plans its region by: at its format, and when its next life adopts it. */
struct peer_plan {
    struct crossvm_chunk_decl chunks[3];
    struct crossvm_region_plan plan;
};

static inline void peer_plan_make(struct peer_plan *made, uint32_t side)
{
    static const char *const to[2] = {"to-b", "to-a"};
    uint32_t self = side == 0 ? PARTY_A : PARTY_B;
    uint32_t other = side == 0 ? PARTY_B : PARTY_A;
    const struct peer_plan plan = {
        {
            {"life", CROSSVM_KIND_PEER, 0, 0, self, other, 0, PEER_LINK},
            {to[side], CROSSVM_KIND_SPSC_TX, PEER_CAPACITY, 8, self, other, 0, PEER_LINK},
            {to[1 - side], CROSSVM_KIND_SPSC_RX, 0, 0, self, other, 0, PEER_LINK},
        },
        {NULL, 3, 8, 0, 65536, self, {(uint8_t)(side + 1)}, 0, {0, 0, 0}}};
    *made = plan;
    made->plan.chunks = made->chunks;
}

static inline void peer_region_make(struct test_region *region, uint32_t side)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    struct peer_plan made;
    peer_plan_make(&made, side);
    queue_region_make(region, &made.plan, side == 0 ? PARTY_B : PARTY_A, usual);
}

/* Formats both regions. Nobody lives yet. */
static inline void peer_make(struct peer_pair *pair)
{
    memset(pair->sides, 0, sizeof(pair->sides));
    peer_region_make(&pair->regions[0], 0);
    peer_region_make(&pair->regions[1], 1);
    pair->now_ns = PEER_TICK;
    pair->seed = 0;
}

static inline void peer_drop(struct peer_pair *pair)
{
    queue_unmap(&pair->regions[0]);
    queue_unmap(&pair->regions[1]);
}

/* The shared words of a side, as their writer sees them. */
static inline struct crossvm_peer_shm *peer_words(struct peer_pair *pair, uint32_t side)
{
    struct crossvm_chunk chunk = test_find(&pair->regions[side].reader, "life", CROSSVM_KIND_PEER);
    return (struct crossvm_peer_shm *)(void *)crossvm_i_control(&pair->regions[side].owner.region,
                                                                &chunk);
}

static inline int peer_open(struct peer_pair *pair, uint32_t side)
{
    struct crossvm_chunk own = test_find(&pair->regions[side].reader, "life", CROSSVM_KIND_PEER);
    return crossvm_peer_open(&pair->sides[side].peer, &pair->regions[side].owner.region, &own,
                             PEER_SILENCE);
}

static inline int peer_link(struct peer_pair *pair, uint32_t side, uint32_t seed)
{
    struct crossvm_region *region = &pair->regions[1 - side].reader;
    struct crossvm_chunk other = test_find(region, "life", CROSSVM_KIND_PEER);
    return crossvm_peer_link(&pair->sides[side].peer, region, &other, seed);
}

/* A side's life begins, the first time or again: whatever it knew before is forgotten. */
static inline void peer_begin(struct peer_pair *pair, uint32_t side)
{
    memset(&pair->sides[side], 0, sizeof(pair->sides[side]));
    REQUIRE(peer_open(pair, side) == CROSSVM_OK);
    pair->seed++;
    REQUIRE(peer_link(pair, side, pair->seed) == CROSSVM_OK);
}

/* Time passes, and a side takes a step. */
static inline int peer_step(struct peer_pair *pair, uint32_t side)
{
    pair->now_ns += PEER_TICK;
    return crossvm_peer_step(&pair->sides[side].peer, pair->now_ns);
}

/* Both sides step in turn, until both are up; it takes no more than three steps each. */
static inline void peer_meet(struct peer_pair *pair)
{
    int a = -1;
    int b = -1;
    for (unsigned i = 0; i < 3; i++) {
        a = peer_step(pair, 0);
        b = peer_step(pair, 1);
    }
    CHECK_EQ(a, CROSSVM_PEER_UP);
    CHECK_EQ(b, CROSSVM_PEER_UP);
}

/* Two sides that are up. */
static inline void peer_up(struct peer_pair *pair)
{
    peer_make(pair);
    peer_begin(pair, 0);
    peer_begin(pair, 1);
    peer_meet(pair);
}

/* ---- queues each way ------------------------------------------------------------------------- */

static inline void peer_queues_open(struct peer_pair *pair, uint32_t side)
{
    struct peer_side *self = &pair->sides[side];
    const struct crossvm_region *region = &pair->regions[side].owner.region;
    uint32_t seed = self->peer.incarnation;
    struct crossvm_chunk tx =
        test_find(&pair->regions[side].reader, side == 0 ? "to-b" : "to-a", CROSSVM_KIND_SPSC_TX);
    struct crossvm_chunk rx =
        test_find(&pair->regions[side].reader, side == 0 ? "to-a" : "to-b", CROSSVM_KIND_SPSC_RX);
    REQUIRE(crossvm_spsc_tx_open(&self->tx, region, &tx, 8, seed) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_rx_open(&self->rx, region, &rx, PEER_CAPACITY, 8, seed) == CROSSVM_OK);
}

/* Tries to link a side's queues; whether both are. */
static inline bool peer_queues_link(struct peer_pair *pair, uint32_t side)
{
    struct peer_side *self = &pair->sides[side];
    struct crossvm_region *region = &pair->regions[1 - side].reader;
    struct crossvm_chunk rx = test_find(region, side == 0 ? "to-b" : "to-a", CROSSVM_KIND_SPSC_RX);
    struct crossvm_chunk tx = test_find(region, side == 0 ? "to-a" : "to-b", CROSSVM_KIND_SPSC_TX);
    int to = crossvm_spsc_tx_link(&self->tx, region, &rx);
    int from = crossvm_spsc_rx_link(&self->rx, region, &tx);
    REQUIRE(to == CROSSVM_OK || to == CROSSVM_NOT_YET);
    REQUIRE(from == CROSSVM_OK || from == CROSSVM_NOT_YET);
    return to == CROSSVM_OK && from == CROSSVM_OK;
}

/* Both sides' queues come up. */
static inline void peer_queues_up(struct peer_pair *pair)
{
    peer_queues_open(pair, 0);
    peer_queues_open(pair, 1);
    (void)peer_queues_link(pair, 0);
    (void)peer_queues_link(pair, 1);
    REQUIRE(peer_queues_link(pair, 0));
    REQUIRE(peer_queues_link(pair, 1));
}

/* Sends a number if there is somebody to send to; the status. */
static inline int peer_send(struct peer_side *side, uint64_t number)
{
    int status = crossvm_peer_ready(&side->peer);
    return status == CROSSVM_OK ? crossvm_spsc_tx_push(&side->tx, &number) : status;
}

/* Receives a number; the status, ENDED behind the last one of a peer that is lost. */
static inline int peer_receive(struct peer_side *side, uint64_t *number)
{
    return crossvm_peer_end(&side->peer, crossvm_spsc_rx_pop(&side->rx, number));
}

#endif
