/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two parts of a queue of CAPACITY elements of one word, and both handles, linked at index
 * START.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <crossvm/spsc.h>

#ifndef CAPACITY
#define CAPACITY 2u
#endif
#ifndef START
#define START 0xfffffffdu
#endif
#define GENERATION 3u

static MODEL_STATE struct __attribute__((aligned(128))) {
    struct crossvm_spsc_tx_shm control;
    uint32_t elements[2 * CAPACITY]; /* stride 8, one word in use */
} tx_memory;
static MODEL_STATE struct crossvm_spsc_rx_shm rx_memory __attribute__((aligned(128)));

static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx rx;

/* Handles as the two open calls leave them, linked by the shipped last steps. */
static inline void link_both(void)
{
    struct crossvm_i_spsc_name name;
    for (unsigned i = 0; i < 4; i++) {
        name.region[i] = 0;
    }
    name.chunk = 1;
    name.generation = GENERATION;
    crossvm_store_relaxed(&tx_memory.control.line.epoch, GENERATION);
    crossvm_store_relaxed(&rx_memory.line.epoch, GENERATION);
    crossvm_store_relaxed(&tx_memory.control.line.index, START);
    crossvm_store_relaxed(&rx_memory.line.index, START);

    tx.own = &tx_memory.control;
    tx.peer = &rx_memory;
    tx.slots = (unsigned char *)tx_memory.elements;
    tx.tail = START;
    tx.capacity = CAPACITY;
    tx.elem_len = 4;
    tx.peer_epoch = GENERATION;
    tx.name.generation = GENERATION;
    tx.waiter.line = &tx_memory.control.line;
    tx.waiter.epoch = GENERATION;
    assert(crossvm_i_spsc_tx_begin(&tx) == CROSSVM_OK);

    rx.own = &rx_memory;
    rx.peer = &tx_memory.control;
    rx.slots = (const unsigned char *)tx_memory.elements;
    rx.head = START;
    rx.published = START;
    rx.capacity = CAPACITY;
    rx.elem_len = 4;
    rx.request = 1;
    rx.peer_epoch = GENERATION;
    rx.name.generation = GENERATION;
    rx.waiter.line = &rx_memory.line;
    rx.waiter.epoch = GENERATION;
    assert(crossvm_i_spsc_rx_begin(&rx, &name) == CROSSVM_OK);
}

/* Neither side waits for a ring, and each knows it of the other: the first kicks are behind us. */
static inline void both_awake(void)
{
    tx.kick.fresh = false;
    rx.kick.fresh = false;
    assert(crossvm_wake_never(&tx.waiter) == CROSSVM_OK);
    assert(crossvm_wake_never(&rx.waiter) == CROSSVM_OK);
}

#endif
