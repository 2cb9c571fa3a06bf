/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer of an exchange that dies in front of its DIE-th store while it takes answers and sends
 * elements, comes back, links again and goes on, beside a client that answers in the elements. The
 * new incarnation begins with the first answer that was not given back, and gets every one behind
 * it, in order; the client sees each element that was published, once. Elements are plain memory.
 *
 *   DIE      stores that the first incarnation lives to make
 *   PREFILL  elements that were sent when it begins, of which the first is answered
 *   TURNS    answers, each followed by an element, that each incarnation tries
 *   ANSWERS  that the client tries beside them
 */
#include "round.h"

#define PAIR_TX_KIND CROSSVM_KIND_EXCHANGE_TX_SHARED
#define PAIR_RX_KIND CROSSVM_KIND_EXCHANGE_RX

#include "crash.h"

#include <crossvm/exchange.h>

#include "used.h"

#ifndef PREFILL
#define PREFILL (CAPACITY)
#endif
#ifndef TURNS
#define TURNS 2
#endif
#ifndef ANSWERS
#define ANSWERS 2
#endif

enum {
    PRODUCER = 0, /* authors of what a place holds */
    CLIENT = 1
};

static MODEL_STATE struct crossvm_exchange_tx first_tx;
static MODEL_STATE struct crossvm_exchange_tx second_tx;
static MODEL_STATE struct crossvm_exchange_rx rx;

static MODEL_STATE uint32_t next_taken;
static MODEL_STATE uint32_t next_answered;

static void open_and_link_tx(struct crossvm_exchange_tx *tx, uint32_t seed)
{
    const struct crossvm_region *region = &pair_regions[PAIR_PRODUCER];
    assert(crossvm_exchange_tx_open(tx, region, &tx_chunk, ELEM_LEN, seed) == CROSSVM_OK);
    assert(crossvm_exchange_tx_link(tx, region, &rx_chunk) == CROSSVM_OK);
}

static bool take(struct crossvm_exchange_tx *tx)
{
    uint32_t answer[2];
    int status = crossvm_exchange_tx_take(tx, answer);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        assert(used_is_elem(answer, next_taken, CLIENT));
        next_taken++;
    }
    return status == CROSSVM_OK;
}

static void take_and_send(struct crossvm_exchange_tx *tx)
{
    uint32_t elem[2];
    for (int i = 0; i < TURNS; i++) {
        (void)take(tx);
        used_elem(elem, crossvm_spsc_tx_index(&tx->queue), PRODUCER);
        int status = crossvm_exchange_tx_push(tx, elem);
        assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    }
}

static bool answer(void)
{
    struct crossvm_exchange_rx_span span;
    int status = crossvm_exchange_rx_peek(&rx, 1, &span);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        uint32_t *place = (uint32_t *)crossvm_spsc_tx_span_at(&span.answers, 0);
        assert(used_is_elem(place, next_answered, PRODUCER));
        used_elem(place, next_answered, CLIENT);
        assert(crossvm_exchange_rx_commit(&rx, 1) == CROSSVM_OK);
        next_answered++;
    }
    return status == CROSSVM_OK;
}

static void *produce(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    take_and_send(&first_tx);
    model_restarts();
    next_taken = crossvm_load_relaxed(&pair.tx.taken);
    open_and_link_tx(&second_tx, 2);
    assert(second_tx.queue.taken == next_taken);
    take_and_send(&second_tx);
    return NULL;
}

static void *answer_some(void *unused)
{
    (void)unused;
    for (int i = 0; i < ANSWERS; i++) {
        (void)answer();
    }
    return NULL;
}

static void prepare(void)
{
    const struct crossvm_region *client = &pair_regions[PAIR_CONSUMER];
    used_make();
    used_past();
    crossvm_store_relaxed(&pair.tx.taken, START);
    for (uint32_t i = 0; i < PREFILL; i++) {
        used_elem(&pair.elements[(START + i) % CAPACITY * 2], START + i, PRODUCER);
    }
    crossvm_store_relaxed(&pair.tx.line.index, START + PREFILL);
    open_and_link_tx(&first_tx, 1);
    assert(crossvm_exchange_rx_open(&rx, client, &rx_chunk, CAPACITY, ELEM_LEN, 1) == CROSSVM_OK);
    assert(crossvm_exchange_rx_link(&rx, client, &tx_chunk) == CROSSVM_OK);
    next_taken = START;
    next_answered = START;
    assert(answer());
}

static void judge(void)
{
    uint32_t tail = crossvm_spsc_tx_index(&second_tx.queue);
    for (uint32_t i = 0; i <= CAPACITY && answer(); i++) {
    }
    for (uint32_t i = 0; i <= CAPACITY && take(&second_tx); i++) {
    }
    assert(next_answered == tail && next_taken == tail);
    assert(crossvm_load_relaxed(&pair.tx.line.index) == tail);
    assert(crossvm_load_relaxed(&pair.tx.taken) == tail);
}

MODEL_PROGRAM(prepare, judge, produce, answer_some)
