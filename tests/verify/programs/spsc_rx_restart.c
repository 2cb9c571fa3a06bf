/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer that dies in front of its DIE-th store while it takes elements, comes back, links
 * again and goes on, beside a producer. At least once: the new incarnation begins exactly at the
 * first element that the dead one had not given back, and nothing is left out; what it may yet take
 * is not overwritten. Elements are plain memory: a place that is written too early is a race.
 *
 *   DIE       stores that the first incarnation lives to make
 *   PREFILL   elements that lie there before the threads begin
 *   PUSHES    that the producer tries beside the consumers
 *   POPS      that the first incarnation tries, and AGAIN the second
 *   BATCH     they pop by pop_n of 2;  IN_PLACE  by peek and release
 */
#include "round.h"

#include "crash.h"
#include "used.h"

#ifndef PREFILL
#define PREFILL 1
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef POPS
#define POPS 2
#endif
#ifndef AGAIN
#define AGAIN 2
#endif
#define PRODUCER 0u

static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx first_rx;
static MODEL_STATE struct crossvm_spsc_rx second_rx;

static MODEL_STATE uint32_t n_pushed;
static MODEL_STATE uint32_t next; /* the index of the element that is to be taken */

static void push_some(int n)
{
    uint32_t elem[2];
    for (int i = 0; i < n; i++) {
        used_elem(elem, crossvm_spsc_tx_index(&tx), PRODUCER);
        int status = crossvm_spsc_tx_push(&tx, elem);
        assert(status == CROSSVM_OK || status == CROSSVM_FULL);
        n_pushed += status == CROSSVM_OK;
    }
}

/* Takes one element, or in a batch up to two: false when none is there. */
#if defined(BATCH)
static bool take(struct crossvm_spsc_rx *rx)
{
    uint32_t elems[4];
    int n = crossvm_spsc_rx_pop_n(rx, elems, 2);
    assert(n == CROSSVM_EMPTY || n == 1 || n == 2);
    for (int i = 0; i < n; i++) {
        assert(used_is_elem(&elems[2 * i], next, PRODUCER));
        next++;
    }
    return n > 0;
}
#elif defined(IN_PLACE)
static bool take(struct crossvm_spsc_rx *rx)
{
    struct crossvm_spsc_rx_span span;
    uint32_t elem[2];
    int status = crossvm_spsc_rx_peek(rx, 1, &span);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return false;
    }
    crossvm_copy_take(elem, crossvm_spsc_rx_span_at(&span, 0), ELEM_LEN);
    assert(used_is_elem(elem, next, PRODUCER));
    assert(crossvm_spsc_rx_release(rx, 1) == CROSSVM_OK);
    next++;
    return true;
}
#else
static bool take(struct crossvm_spsc_rx *rx)
{
    uint32_t elem[2];
    int status = crossvm_spsc_rx_pop(rx, elem);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return false;
    }
    assert(used_is_elem(elem, next, PRODUCER));
    next++;
    return true;
}
#endif

static void *produce(void *unused)
{
    (void)unused;
    push_some(PUSHES);
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    for (int i = 0; i < POPS; i++) {
        (void)take(&first_rx);
    }
    model_restarts();
    next = crossvm_load_relaxed(&pair.rx.line.index);
    used_rx_open(&second_rx);
    assert(pair_rx_link(&second_rx, &tx_chunk) == CROSSVM_OK);
    assert(crossvm_spsc_rx_index(&second_rx) == next);
    for (int i = 0; i < AGAIN; i++) {
        (void)take(&second_rx);
    }
    return NULL;
}

static void prepare(void)
{
    used_begin(&tx, &first_rx, PREFILL);
    next = START;
    n_pushed = PREFILL;
}

static void judge(void)
{
    for (uint32_t i = 0; i <= n_pushed && take(&second_rx); i++) {
    }
    assert(next == START + n_pushed && next == crossvm_spsc_tx_index(&tx));
    assert(crossvm_load_relaxed(&pair.rx.line.index) == next);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
