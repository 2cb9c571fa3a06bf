/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of CAPACITY elements of one word, two writers' handles and the consumer's, linked at index
 * START. Elements are plain memory: the race detector proves whose they are.
 */
#ifndef MPSC_H
#define MPSC_H

#include <crossvm/mpsc.h>

#ifndef CAPACITY
#define CAPACITY 2u
#endif
#ifndef START
#define START 0xffffffffu
#endif
#define GENERATION 3u
#define WRITERS    3u

static MODEL_STATE struct __attribute__((aligned(128))) {
    struct crossvm_chunk_shm control;
    uint32_t slots[4 * CAPACITY]; /* a word, 0, the element, padding */
} ring_memory;
static MODEL_STATE struct crossvm_mpsc_rx_shm rx_memory __attribute__((aligned(128)));

static MODEL_STATE struct crossvm_mpsc_tx writers[WRITERS + 1]; /* by id, from 1 */
static MODEL_STATE struct crossvm_mpsc_rx rx;

static inline void mpsc_ring(struct crossvm_i_mpsc_ring *ring)
{
    ring->slots = (unsigned char *)ring_memory.slots;
    ring->stride = 16;
    ring->mask = CAPACITY - 1;
    ring->shift = CAPACITY == 1 ? 0 : CAPACITY == 2 ? 1 : 2;
    ring->lap_mask = 0xffffffu;
    ring->elem_len = 4;
}

static inline struct crossvm_le32 *mpsc_slot(uint32_t index)
{
    return (struct crossvm_le32 *)&ring_memory.slots[index % CAPACITY * 4];
}

static inline void mpsc_writer(uint32_t writer)
{
    struct crossvm_mpsc_tx *tx = &writers[writer];
    mpsc_ring(&tx->ring);
    tx->own = &ring_memory.control;
    tx->peer = &rx_memory;
    tx->writer = writer;
    tx->epoch = GENERATION;
    tx->peer_epoch = GENERATION;
    tx->kick.line = &rx_memory.line;
    tx->state = CROSSVM_OK;
}

/* All handles as their open and link calls leave them; nobody owes a first ring. */
static inline void link_all(void)
{
    crossvm_store_relaxed(&ring_memory.control.epoch, GENERATION);
    crossvm_store_relaxed(&rx_memory.line.epoch, GENERATION);
    crossvm_store_relaxed(&rx_memory.line.index, START);
    for (uint32_t writer = 1; writer <= WRITERS; writer++) {
        mpsc_writer(writer);
    }
    mpsc_ring(&rx.ring);
    rx.own = &rx_memory;
    rx.peer = &ring_memory.control;
    rx.head = START;
    rx.published = START;
    rx.lazy = CAPACITY / 4;
    rx.peer_epoch = GENERATION;
    rx.chunk.generation = GENERATION;
    rx.waiter.line = &rx_memory.line;
    rx.waiter.epoch = GENERATION;
    rx.state = CROSSVM_OK;
    for (uint32_t i = 0; i < CAPACITY; i++) {
        uint32_t index = START - CAPACITY + i;
        crossvm_store_relaxed(mpsc_slot(index),
                              crossvm_i_mpsc_word(&rx.ring, index, 1, CROSSVM_I_MPSC_COMMITTED));
    }
    assert(crossvm_wake_never(&rx.waiter) == CROSSVM_OK);
}

/* ---- who pushed and popped what -------------------------------------------------------------- */

static MODEL_STATE uint32_t n_pushed[WRITERS + 1]; /* by each writer */
static MODEL_STATE uint32_t n_popped[WRITERS + 1]; /* of each writer's */

/* A writer's elements are counted from 1. */
static inline int mpsc_push_next(uint32_t writer)
{
    uint32_t elem = writer << 8 | (n_pushed[writer] + 1);
    int status = crossvm_mpsc_tx_push(&writers[writer], &elem);
    n_pushed[writer] += status == CROSSVM_OK;
    return status;
}

/* In each writer's order. */
static inline int mpsc_pop_next(void)
{
    uint32_t elem = 0;
    int status = crossvm_mpsc_rx_pop(&rx, &elem);
    if (status == CROSSVM_OK) {
        assert(elem >> 8 == rx.writer);
        n_popped[rx.writer]++;
        assert((elem & 0xffu) == n_popped[rx.writer]);
    }
    return status;
}

/* Everything is taken that is there. */
static inline void mpsc_drain(void)
{
    for (uint32_t i = 0; i < 2 * CAPACITY + 1 && mpsc_pop_next() == CROSSVM_OK; i++) {
    }
}

/* Each claim was delivered or lost, each element was delivered once. */
static inline void mpsc_judge(uint32_t n_lost)
{
    uint32_t n = 0;
    mpsc_drain();
    for (uint32_t writer = 1; writer <= WRITERS; writer++) {
        assert(n_popped[writer] == n_pushed[writer]);
        n += n_popped[writer];
    }
    assert(rx.n_lost == n_lost);
    assert(rx.head == START + n + n_lost);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        uint32_t word = crossvm_load_relaxed(mpsc_slot(rx.head + i));
        assert(crossvm_i_mpsc_behind(&rx.ring, rx.head + i, word) == 1);
    }
}

#endif
