/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange that is linked: the producer takes back an answer to each element that it pushed, in
 * order, and the client sees each element once. Elements and answers are plain memory, so that the
 * race detector proves whose turn each place is. CAPACITY, START, SHARED: see exchange.h.
 *
 *   PUSHES      pushes that the producer tries
 *   TAKE_EVERY  of them has an answer taken in front of it, if there is one
 *   ANSWERS     that the client tries
 *   IN_PLACE    by reserve, peek, commit and release, else copied
 */
#include "round.h"

#include "exchange.h"

#ifndef PUSHES
#define PUSHES 3
#endif
#ifndef TAKE_EVERY
#define TAKE_EVERY 1
#endif
#ifndef ANSWERS
#define ANSWERS 3
#endif

static MODEL_STATE uint32_t n_pushed;
static MODEL_STATE uint32_t n_answered;
static MODEL_STATE uint32_t n_taken;

static uint32_t answer_to(uint32_t elem)
{
    return ~elem;
}

static void push_one(void)
{
    uint32_t elem = n_pushed + 1;
#if defined(IN_PLACE)
    struct crossvm_spsc_tx_span span;
    int status = crossvm_exchange_tx_reserve(&exchange_tx, 1, &span);
    if (status == CROSSVM_OK) {
        *(uint32_t *)crossvm_spsc_tx_span_at(&span, 0) = elem;
        assert(crossvm_exchange_tx_commit(&exchange_tx, 1) == CROSSVM_OK);
    }
#else
    int status = crossvm_exchange_tx_push(&exchange_tx, &elem);
#endif
    assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    n_pushed += status == CROSSVM_OK;
}

static bool take_one(void)
{
    uint32_t answer = 0;
#if defined(IN_PLACE)
    struct crossvm_exchange_tx_span span;
    int status = crossvm_exchange_tx_peek(&exchange_tx, 1, &span);
    if (status == CROSSVM_OK) {
        answer = *(const uint32_t *)crossvm_spsc_rx_span_at(&span.answers, 0);
        assert(crossvm_exchange_tx_release(&exchange_tx, 1) == CROSSVM_OK);
    }
#else
    int status = crossvm_exchange_tx_take(&exchange_tx, &answer);
#endif
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        n_taken++;
        assert(answer == answer_to(n_taken));
    }
    return status == CROSSVM_OK;
}

static bool answer_one(void)
{
    uint32_t elem;
#if defined(IN_PLACE)
    struct crossvm_exchange_rx_span span;
    int status = crossvm_exchange_rx_peek(&exchange_rx, 1, &span);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        elem = *(const uint32_t *)crossvm_spsc_rx_span_at(&span.elements, 0);
        assert(elem == n_answered + 1);
        *(uint32_t *)crossvm_spsc_tx_span_at(&span.answers, 0) = answer_to(elem);
        assert(crossvm_exchange_rx_commit(&exchange_rx, 1) == CROSSVM_OK);
        n_answered++;
    }
#else
    int status = crossvm_exchange_rx_get(&exchange_rx, &elem);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        assert(elem == n_answered + 1);
        elem = answer_to(elem);
        assert(crossvm_exchange_rx_answer(&exchange_rx, &elem) == CROSSVM_OK);
        n_answered++;
    }
#endif
    return status == CROSSVM_OK;
}

static void *produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < PUSHES; i++) {
        if (i % TAKE_EVERY == 0) {
            (void)take_one();
        }
        push_one();
    }
    return NULL;
}

static void *answer(void *unused)
{
    (void)unused;
    for (int i = 0; i < ANSWERS; i++) {
        (void)answer_one();
    }
    return NULL;
}

static void judge(void)
{
    for (int i = 0; i < PUSHES + 1 && answer_one(); i++) {
    }
    for (int i = 0; i < PUSHES + 1 && take_one(); i++) {
    }
    assert(n_taken == n_pushed && n_answered == n_pushed);
    assert(crossvm_load_relaxed(&rx_memory.line.index) == START + n_answered);
    assert(crossvm_load_relaxed(&tx_memory.control.taken) == START + n_taken);
}

MODEL_PROGRAM(link_exchange, judge, produce, answer)
