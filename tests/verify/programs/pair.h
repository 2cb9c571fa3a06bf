/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region with the two parts of one queue, and the calls that open and link them, with what an
 * honest peer may answer. PAIR_TX_KIND and PAIR_RX_KIND: of the parts, a queue's unless said.
 */
#ifndef PAIR_H
#define PAIR_H

#include <crossvm/spsc.h>

#ifndef PAIR_TX_KIND
#define PAIR_TX_KIND CROSSVM_KIND_SPSC_TX
#define PAIR_RX_KIND CROSSVM_KIND_SPSC_RX
#endif
#define PAIR_FRONT 768
#define PAIR_ROOM  128 /* 16 elements of up to 8 bytes */

enum {
    PAIR_OWNER = 0, /* the parties */
    PAIR_PRODUCER = 1,
    PAIR_CONSUMER = 2
};

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[PAIR_FRONT];
    struct crossvm_spsc_tx_shm tx;
    uint32_t elements[PAIR_ROOM / 4];
    struct crossvm_spsc_rx_shm rx;
} pair;

static MODEL_STATE struct crossvm_region pair_regions[3];

static inline void pair_chunk(struct crossvm_chunk *chunk, uint32_t kind, uint32_t generation)
{
    bool is_tx = kind == PAIR_TX_KIND;
    chunk->id = is_tx ? 7 : 9;
    chunk->generation = generation;
    chunk->kind = kind;
    chunk->n = is_tx ? 16 : 0;
    chunk->len = is_tx ? 8 : 0;
    chunk->off = is_tx ? PAIR_FRONT : PAIR_FRONT + 512 + PAIR_ROOM;
    chunk->length = is_tx ? 512 + PAIR_ROOM : 512;
    chunk->writer = is_tx ? PAIR_PRODUCER : PAIR_CONSUMER;
    chunk->reader = is_tx ? PAIR_CONSUMER : PAIR_PRODUCER;
    chunk->type_hash = 0;
    chunk->link_id = 5;
    for (unsigned i = 0; i < 1; i++) {
        chunk->name[i] = i == 0 ? 'q' : '\0';
    }
}

/* The region as each party attached to it. */
static inline void pair_format(void)
{
    for (uint32_t party = 0; party < 3; party++) {
        struct crossvm_region *region = &pair_regions[party];
        region->base = (unsigned char *)&pair;
        region->length = sizeof(pair);
        region->self = party;
        region->granule = 128;
        region->capacity = 1;
        region->writable = true;
        for (uint32_t i = 0; i < 4; i++) {
            region->region_id[i] = i + 1;
        }
    }
}

/* Region and both parts, newly made. */
static inline void pair_start(struct crossvm_chunk *tx_chunk, struct crossvm_chunk *rx_chunk)
{
    pair_format();
    pair_chunk(tx_chunk, PAIR_TX_KIND, 1);
    pair_chunk(rx_chunk, PAIR_RX_KIND, 2);
    crossvm_i_chunk_start(&pair_regions[PAIR_OWNER], tx_chunk);
    crossvm_i_chunk_start(&pair_regions[PAIR_OWNER], rx_chunk);
}

static inline int pair_tx_open(struct crossvm_spsc_tx *tx, const struct crossvm_chunk *chunk,
                               uint32_t elem_len)
{
    return crossvm_spsc_tx_open(tx, &pair_regions[PAIR_PRODUCER], chunk, elem_len, 1);
}

static inline int pair_tx_link(struct crossvm_spsc_tx *tx, const struct crossvm_chunk *chunk)
{
    int status = crossvm_spsc_tx_link(tx, &pair_regions[PAIR_PRODUCER], chunk);
    assert(status != CROSSVM_CORRUPT);
    return status;
}

static inline int pair_rx_open(struct crossvm_spsc_rx *rx, const struct crossvm_chunk *chunk,
                               uint32_t capacity, uint32_t elem_len)
{
    return crossvm_spsc_rx_open(rx, &pair_regions[PAIR_CONSUMER], chunk, capacity, elem_len, 1);
}

static inline int pair_rx_link(struct crossvm_spsc_rx *rx, const struct crossvm_chunk *chunk)
{
    int status = crossvm_spsc_rx_link(rx, &pair_regions[PAIR_CONSUMER], chunk);
    assert(status != CROSSVM_CORRUPT);
    return status;
}

/* Nobody else runs any more: a few more calls bring the queue up, with this geometry. */
static inline void pair_settles(struct crossvm_spsc_tx *tx, struct crossvm_spsc_rx *rx,
                                const struct crossvm_chunk *tx_chunk,
                                const struct crossvm_chunk *rx_chunk, uint32_t capacity,
                                uint32_t elem_len)
{
    for (int i = 0; i < 2; i++) {
        (void)pair_tx_link(tx, rx_chunk);
        (void)pair_rx_link(rx, tx_chunk);
    }
    assert(tx->state == CROSSVM_OK && rx->state == CROSSVM_OK);
    assert(tx->capacity == capacity && rx->capacity == capacity);
    assert(tx->elem_len == elem_len && rx->elem_len == elem_len);
}

#endif
