/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue that has been in use: it was linked by earlier incarnations of both sides, which carried
 * START elements and have ended. The next ones find all that in their own words.
 *
 *   CAPACITY  of the queue; 8 and more hold releases back
 *   START     the first index
 *
 * An element is two words, of its index and of whoever wrote it.
 */
#ifndef USED_H
#define USED_H

#include "pair.h"

#ifndef CAPACITY
#define CAPACITY 2u
#endif
#ifndef START
#define START 0xfffffffeu
#endif
#define ELEM_LEN 8u

static MODEL_STATE struct crossvm_chunk tx_chunk;
static MODEL_STATE struct crossvm_chunk rx_chunk;

static inline void used_elem(uint32_t elem[2], uint32_t index, uint32_t author)
{
    elem[0] = index * 4 + author;
    elem[1] = ~elem[0];
}

static inline bool used_is_elem(const uint32_t elem[2], uint32_t index, uint32_t author)
{
    return elem[0] == index * 4 + author && elem[1] == ~elem[0];
}

static inline void used_tx_open(struct crossvm_spsc_tx *tx)
{
    assert(pair_tx_open(tx, &tx_chunk, ELEM_LEN) == CROSSVM_OK);
}

static inline void used_rx_open(struct crossvm_spsc_rx *rx)
{
    assert(pair_rx_open(rx, &rx_chunk, CAPACITY, ELEM_LEN) == CROSSVM_OK);
}

static inline void used_name(struct crossvm_le32 *peer_chunk, const struct crossvm_chunk *chunk)
{
    struct crossvm_i_spsc_name name;
    crossvm_i_spsc_name_set(&name, &pair_regions[PAIR_OWNER], chunk);
    crossvm_i_spsc_name_store(peer_chunk, &name);
}

/* Two parts that were never linked. */
static inline void used_make(void)
{
    pair_start(&tx_chunk, &rx_chunk);
}

/* What the earlier incarnations left: request 1 was granted and accepted. */
static inline void used_past(void)
{
    crossvm_store_relaxed(&pair.rx.request, 1);
    crossvm_store_relaxed(&pair.rx.asked, 1);
    crossvm_store_relaxed(&pair.rx.capacity, CAPACITY);
    crossvm_store_relaxed(&pair.rx.elem_len, ELEM_LEN);
    crossvm_store_relaxed(&pair.rx.accepted, 1);
    used_name(&pair.rx.peer_chunk, &tx_chunk);
    crossvm_store_relaxed(&pair.rx.line.index, START);
    crossvm_store_relaxed(&pair.tx.grant, 1);
    crossvm_store_relaxed(&pair.tx.answers, 1);
    crossvm_store_relaxed(&pair.tx.status, CROSSVM_SPSC_GRANTED);
    crossvm_store_relaxed(&pair.tx.capacity, CAPACITY);
    crossvm_store_relaxed(&pair.tx.elem_len, ELEM_LEN);
    used_name(&pair.tx.peer_chunk, &rx_chunk);
    crossvm_store_relaxed(&pair.tx.line.index, START);
}

#if defined(CROSSVM_MODEL)
/* What used_begin needs of a handle, as the two calls that open and link leave it. (They would
 * multiply what each execution consists of. A stress test makes the calls.) */
static inline void used_tx_set(struct crossvm_spsc_tx *tx)
{
    tx->own = &pair.tx;
    tx->peer = &pair.rx;
    tx->slots = (unsigned char *)pair.elements;
    tx->tail = crossvm_load_relaxed(&pair.tx.line.index);
    tx->capacity = CAPACITY;
    tx->elem_len = ELEM_LEN;
    tx->peer_epoch = rx_chunk.generation;
    tx->name.generation = tx_chunk.generation;
    tx->waiter.line = &pair.tx.line;
    tx->waiter.epoch = tx_chunk.generation;
}

static inline void used_rx_set(struct crossvm_spsc_rx *rx)
{
    rx->own = &pair.rx;
    rx->peer = &pair.tx;
    rx->slots = (const unsigned char *)pair.elements;
    rx->head = START;
    rx->published = START;
    rx->capacity = CAPACITY;
    rx->elem_len = ELEM_LEN;
    rx->request = 1;
    rx->peer_epoch = tx_chunk.generation;
    rx->name.generation = rx_chunk.generation;
    rx->waiter.line = &pair.rx.line;
    rx->waiter.epoch = rx_chunk.generation;
}

static inline void used_link(struct crossvm_spsc_tx *tx, struct crossvm_spsc_rx *rx)
{
    struct crossvm_i_spsc_name name;
    used_tx_set(tx);
    used_rx_set(rx);
    crossvm_i_spsc_name_set(&name, &pair_regions[PAIR_OWNER], &tx_chunk);
    assert(crossvm_i_spsc_tx_begin(tx) == CROSSVM_OK);
    assert(crossvm_i_spsc_rx_begin(rx, &name) == CROSSVM_OK);
    crossvm_i_spsc_start(&pair.tx.base, &pair.tx.incarnation, tx->tail, 1);
}
#else
static inline void used_link(struct crossvm_spsc_tx *tx, struct crossvm_spsc_rx *rx)
{
    used_tx_open(tx);
    used_rx_open(rx);
    assert(pair_tx_link(tx, &rx_chunk) == CROSSVM_OK);
    assert(pair_rx_link(rx, &tx_chunk) == CROSSVM_OK);
}
#endif

/* Both sides have come back and linked again. The earlier producer, author 0, has left n elements
 * behind. */
static inline void used_begin(struct crossvm_spsc_tx *tx, struct crossvm_spsc_rx *rx, uint32_t n)
{
    used_make();
    used_past();
    for (uint32_t i = 0; i < n; i++) {
        used_elem(&pair.elements[(START + i) % CAPACITY * 2], START + i, 0);
    }
    crossvm_store_relaxed(&pair.tx.line.index, START + n);
    used_link(tx, rx);
}

#endif
