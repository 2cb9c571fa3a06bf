/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue that is linked: what the producer pushed is what the consumer takes, all of it and in
 * order. Elements are plain memory here, so that the race detector proves that each belongs to one
 * side at a time.
 *
 *   CAPACITY  of the queue; 8 and more hold releases back
 *   START     the first index
 *   PREFILL   elements pushed before the threads begin
 *   PUSHES    pushes that the producer tries, POPS that the consumer tries
 *   BATCH     by push_n and pop_n of 2;  IN_PLACE  by reserve/commit and peek/release of 1 or 2
 */
#include "round.h"

#ifndef CAPACITY
#define CAPACITY 2u
#endif
#ifndef START
#define START 0xfffffffdu
#endif
#ifndef PREFILL
#define PREFILL 0
#endif
#ifndef PUSHES
#define PUSHES 4
#endif
#ifndef POPS
#define POPS 4
#endif
#define MOST (PREFILL + 2 * PUSHES)

#include "queue.h"

static MODEL_STATE uint32_t n_pushed;
static MODEL_STATE uint32_t n_taken;

static void push_some(void)
{
    uint32_t elems[2];
    elems[0] = n_pushed + 1;
    elems[1] = n_pushed + 2;
#if defined(BATCH)
    int n = crossvm_spsc_tx_push_n(&tx, elems, 2);
    assert(n == CROSSVM_FULL || n == 1 || n == 2);
    n_pushed += n > 0 ? (uint32_t)n : 0;
#elif defined(IN_PLACE)
    struct crossvm_spsc_tx_span span;
    uint32_t n = n_pushed % 2 + 1;
    int status = crossvm_spsc_tx_reserve(&tx, n, &span);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    if (status == CROSSVM_OK) {
        for (uint32_t i = 0; i < n; i++) {
            *(uint32_t *)crossvm_spsc_tx_span_at(&span, i) = elems[i];
        }
        assert(crossvm_spsc_tx_commit(&tx, n) == CROSSVM_OK);
        n_pushed += n;
    }
#else
    int status = crossvm_spsc_tx_push(&tx, &elems[0]);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    n_pushed += status == CROSSVM_OK;
#endif
}

static bool take_some(void)
{
    uint32_t elems[2];
#if defined(BATCH)
    int n = crossvm_spsc_rx_pop_n(&rx, elems, 2);
    assert(n == CROSSVM_EMPTY || n == 1 || n == 2);
    for (int i = 0; i < n; i++) {
        assert(elems[i] == n_taken + 1);
        n_taken++;
    }
    return n > 0;
#elif defined(IN_PLACE)
    struct crossvm_spsc_rx_span span;
    uint32_t n = 2;
    int status = crossvm_spsc_rx_peek(&rx, n, &span);
    if (status == CROSSVM_EMPTY) {
        n = 1;
        status = crossvm_spsc_rx_peek(&rx, n, &span);
    }
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    (void)elems;
    if (status != CROSSVM_OK) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        assert(*(const uint32_t *)crossvm_spsc_rx_span_at(&span, i) == n_taken + 1 + i);
    }
    /* One of two at a time, so that a shown element is released later. */
    assert(crossvm_spsc_rx_release(&rx, 1) == CROSSVM_OK);
    n_taken++;
    return true;
#else
    int status = crossvm_spsc_rx_pop(&rx, &elems[0]);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status == CROSSVM_OK) {
        assert(elems[0] == n_taken + 1);
        n_taken++;
    }
    return status == CROSSVM_OK;
#endif
}

static void *produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < PUSHES; i++) {
        push_some();
    }
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    for (int i = 0; i < POPS; i++) {
        (void)take_some();
    }
    return NULL;
}

static void prepare(void)
{
    link_both();
    for (int i = 0; i < PREFILL; i++) {
        push_some();
    }
}

static void judge(void)
{
    for (int i = 0; i < MOST + 1 && take_some(); i++) {
    }
    assert(n_taken == n_pushed);
    assert(crossvm_load_relaxed(&rx_memory.line.index) == START + n_taken);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
