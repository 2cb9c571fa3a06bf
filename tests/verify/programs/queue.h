/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two parts of a queue of CAPACITY elements of one word, and both handles, linked at index
 * START. A program whose handles are parts of others names them QUEUE_TX and QUEUE_RX.
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

#ifndef QUEUE_TX
static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx rx;
#define QUEUE_TX tx
#define QUEUE_RX rx
#endif

/* Handles as the two open calls leave them, linked by the shipped last steps. */
static inline void link_both(void)
{
    struct crossvm_spsc_tx *producer = &QUEUE_TX;
    struct crossvm_spsc_rx *consumer = &QUEUE_RX;
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

    producer->own = &tx_memory.control;
    producer->peer = &rx_memory;
    producer->slots = (unsigned char *)tx_memory.elements;
    producer->tail = START;
    producer->capacity = CAPACITY;
    producer->elem_len = 4;
    producer->peer_epoch = GENERATION;
    producer->name.generation = GENERATION;
    producer->waiter.line = &tx_memory.control.line;
    producer->waiter.epoch = GENERATION;
    assert(crossvm_i_spsc_tx_begin(producer) == CROSSVM_OK);

    consumer->own = &rx_memory;
    consumer->peer = &tx_memory.control;
    consumer->slots = (const unsigned char *)tx_memory.elements;
    consumer->head = START;
    consumer->published = START;
    consumer->capacity = CAPACITY;
    consumer->elem_len = 4;
    consumer->request = 1;
    consumer->peer_epoch = GENERATION;
    consumer->name.generation = GENERATION;
    consumer->waiter.line = &rx_memory.line;
    consumer->waiter.epoch = GENERATION;
    assert(crossvm_i_spsc_rx_begin(consumer, &name) == CROSSVM_OK);
}

/* Neither side waits for a ring, and each knows it of the other: the first kicks are behind us. */
static inline void both_awake(void)
{
    QUEUE_TX.kick.fresh = false;
    QUEUE_RX.kick.fresh = false;
    assert(crossvm_wake_never(&QUEUE_TX.waiter) == CROSSVM_OK);
    assert(crossvm_wake_never(&QUEUE_RX.waiter) == CROSSVM_OK);
}

#endif
