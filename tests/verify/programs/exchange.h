/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange that is linked at index START.
 *
 *   CAPACITY  of the exchange
 *   START     the first index
 *   SHARED    the client answers in the elements, else in memory of its own
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <crossvm/exchange.h>

static MODEL_STATE struct crossvm_exchange_tx exchange_tx;
static MODEL_STATE struct crossvm_exchange_rx exchange_rx;

/* queue.h links the queue that an exchange is made of. */
#define QUEUE_TX exchange_tx.queue
#define QUEUE_RX exchange_rx.queue
#include "queue.h"

#if !defined(SHARED)
static MODEL_STATE uint32_t replies[2 * CAPACITY];
#endif

static inline void link_exchange(void)
{
    link_both();
    crossvm_store_relaxed(&tx_memory.control.taken, START);
    exchange_tx.queue.taken = START;
    exchange_tx.shown_end = START;
#if defined(SHARED)
    exchange_tx.shared = true;
    exchange_tx.replies = (const unsigned char *)tx_memory.elements;
    exchange_rx.replies = (unsigned char *)tx_memory.elements;
#else
    exchange_tx.replies = (const unsigned char *)replies;
    exchange_rx.replies = (unsigned char *)replies;
#endif
}

#endif
