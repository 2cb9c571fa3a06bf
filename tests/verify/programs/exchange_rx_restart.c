/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of an exchange that dies in front of its DIE-th store while it answers in the elements,
 * comes back, links again and goes on, beside a producer that takes answers and sends more. What
 * was answered is taken, once and whole; the new incarnation begins with the first element that was
 * not handed back, which may bear half an answer. Elements are plain memory: a place that is
 * touched out of its turn is a race.
 *
 *   DIE       stores that the first incarnation lives to make
 *   PREFILL   elements that were sent when it begins
 *   ANSWERS   that each incarnation tries
 *   TURNS     answers, each followed by an element, that the producer tries beside them
 *   COPYING   they answer by get and answer, else by peek and commit
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
#ifndef ANSWERS
#define ANSWERS 2
#endif
#ifndef TURNS
#define TURNS 2
#endif

enum {
    PRODUCER = 0, /* authors of what a place holds */
    CLIENT = 1
};

static MODEL_STATE struct crossvm_exchange_tx tx;
static MODEL_STATE struct crossvm_exchange_rx first_rx;
static MODEL_STATE struct crossvm_exchange_rx second_rx;

static MODEL_STATE uint32_t next_taken;
static MODEL_STATE uint32_t next_answered;
static MODEL_STATE uint32_t half_answered; /* the element that the dead one may have begun */

static void open_and_link_rx(struct crossvm_exchange_rx *rx, uint32_t seed)
{
    const struct crossvm_region *client = &pair_regions[PAIR_CONSUMER];
    assert(crossvm_exchange_rx_open(rx, client, &rx_chunk, CAPACITY, ELEM_LEN, seed) == CROSSVM_OK);
    assert(crossvm_exchange_rx_link(rx, client, &tx_chunk) == CROSSVM_OK);
}

/* One word of an element that is to be answered. */
static bool may_be(uint32_t word, uint32_t index, uint32_t inverted)
{
    uint32_t sent = (index * 4 + PRODUCER) ^ inverted;
    uint32_t answered = (index * 4 + CLIENT) ^ inverted;
    return word == sent || (index == half_answered && word == answered);
}

static void check_sent(const uint32_t elem[2])
{
    assert(may_be(elem[0], next_answered, 0));
    assert(may_be(elem[1], next_answered, 0xffffffffu));
}

#if defined(COPYING)
static bool answer(struct crossvm_exchange_rx *rx)
{
    uint32_t elem[2];
    int status = crossvm_exchange_rx_get(rx, elem);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return false;
    }
    check_sent(elem);
    used_elem(elem, next_answered, CLIENT);
    assert(crossvm_exchange_rx_answer(rx, elem) == CROSSVM_OK);
    next_answered++;
    return true;
}
#else
static bool answer(struct crossvm_exchange_rx *rx)
{
    struct crossvm_exchange_rx_span span;
    uint32_t elem[2];
    int status = crossvm_exchange_rx_peek(rx, 1, &span);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return false;
    }
    check_sent((const uint32_t *)crossvm_spsc_rx_span_at(&span.elements, 0));
    used_elem(elem, next_answered, CLIENT);
    crossvm_copy_put(crossvm_spsc_tx_span_at(&span.answers, 0), elem, ELEM_LEN);
    assert(crossvm_exchange_rx_commit(rx, 1) == CROSSVM_OK);
    next_answered++;
    return true;
}
#endif

static bool take(void)
{
    uint32_t taken[2];
    int status = crossvm_exchange_tx_take(&tx, taken);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        assert(used_is_elem(taken, next_taken, CLIENT));
        next_taken++;
    }
    return status == CROSSVM_OK;
}

static void *take_and_send(void *unused)
{
    uint32_t elem[2];
    (void)unused;
    for (int i = 0; i < TURNS; i++) {
        (void)take();
        used_elem(elem, crossvm_spsc_tx_index(&tx.queue), PRODUCER);
        int status = crossvm_exchange_tx_push(&tx, elem);
        assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    }
    return NULL;
}

static void *answer_some(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    for (int i = 0; i < ANSWERS; i++) {
        (void)answer(&first_rx);
    }
    model_restarts();
    next_answered = crossvm_load_relaxed(&pair.rx.line.index);
    half_answered = next_answered;
    open_and_link_rx(&second_rx, 2);
    assert(crossvm_spsc_rx_index(&second_rx.queue) == next_answered);
    for (int i = 0; i < ANSWERS; i++) {
        (void)answer(&second_rx);
    }
    return NULL;
}

static void prepare(void)
{
    const struct crossvm_region *producer = &pair_regions[PAIR_PRODUCER];
    used_make();
    used_past();
    crossvm_store_relaxed(&pair.tx.taken, START);
    for (uint32_t i = 0; i < PREFILL; i++) {
        used_elem(&pair.elements[(START + i) % CAPACITY * 2], START + i, PRODUCER);
    }
    crossvm_store_relaxed(&pair.tx.line.index, START + PREFILL);
    assert(crossvm_exchange_tx_open(&tx, producer, &tx_chunk, ELEM_LEN, 1) == CROSSVM_OK);
    assert(crossvm_exchange_tx_link(&tx, producer, &rx_chunk) == CROSSVM_OK);
    open_and_link_rx(&first_rx, 1);
    next_taken = START;
    next_answered = START;
    half_answered = START - 1;
}

static void judge(void)
{
    uint32_t tail = crossvm_spsc_tx_index(&tx.queue);
    for (uint32_t i = 0; i <= CAPACITY && answer(&second_rx); i++) {
    }
    for (uint32_t i = 0; i <= CAPACITY && take(); i++) {
    }
    assert(next_answered == tail && next_taken == tail);
    assert(crossvm_load_relaxed(&pair.rx.line.index) == tail);
}

MODEL_PROGRAM(prepare, judge, answer_some, take_and_send)
