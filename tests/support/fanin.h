/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/fanin.h - a fan-in over several queues, each between two regions of its own, and
 * what its elements must be: the input's number and a count, so that order and origin show.
 */
#ifndef CROSSVM_TESTS_SUPPORT_FANIN_H
#define CROSSVM_TESTS_SUPPORT_FANIN_H

#include <crossvm/fanin.h>

#include "queue.h"

enum {
    N_INPUTS = 8,
    CAPACITY = 64
};

/* An element: whose it is, and the how many-th. */
struct fanin_element {
    uint32_t input;
    uint32_t number;
};

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
static struct queue queues[N_INPUTS];
static struct crossvm_fanin_input inputs[N_INPUTS];
static struct crossvm_fanin fanin;
static uint32_t n_pushed[N_INPUTS]; /* elements that input i was given */
static uint32_t n_taken[N_INPUTS];  /* elements that came from input i */

/* Queues of n inputs, whose indices begin just below the wrap, none of them added. */
static inline void fanin_queues_up(uint32_t n, struct queue_options options)
{
    for (uint32_t i = 0; i < n; i++) {
        queue_up(&queues[i], CAPACITY, sizeof(struct fanin_element), 0xfffffff0u, options);
        n_pushed[i] = 0;
        n_taken[i] = 0;
    }
    REQUIRE(crossvm_fanin_init(&fanin, inputs, N_INPUTS, sizeof(struct fanin_element)) ==
            CROSSVM_OK);
}

static inline void fanin_add(uint32_t i, uint32_t weight)
{
    uint32_t place = N_INPUTS;
    REQUIRE(crossvm_fanin_add(&fanin, &queues[i].rx, weight, &place) == CROSSVM_OK);
    REQUIRE(place == i);
}

/* A fan-in of n inputs of equal weight. */
static inline void fanin_up(uint32_t n)
{
    fanin_queues_up(n, usual);
    for (uint32_t i = 0; i < n; i++) {
        fanin_add(i, 1);
    }
}

static inline void fanin_down(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        queue_drop(&queues[i]);
    }
}

static inline int fanin_push(uint32_t i)
{
    const struct fanin_element element = {i, n_pushed[i]};
    int status = crossvm_spsc_tx_push(&queues[i].tx, &element);
    n_pushed[i] += status == CROSSVM_OK ? 1 : 0;
    return status;
}

/* Pushes up to n elements, as long as there is room. */
static inline void fanin_feed(uint32_t i, uint32_t n)
{
    for (uint32_t k = 0; k < n && fanin_push(i) == CROSSVM_OK; k++) {
    }
}

/* The next element of the input that it is said to be from. */
static inline void fanin_check(const struct fanin_element *element, uint32_t from)
{
    REQUIRE(from < N_INPUTS);
    CHECK_EQ(element->input, from);
    CHECK_EQ(element->number, n_taken[from]);
    n_taken[from]++;
}

/* ---- three ways to take ---------------------------------------------------------------------- */

enum fanin_mode {
    FANIN_POP,
    FANIN_POP_N,
    FANIN_PEEK,
    N_FANIN_MODES
};

/* Takes elements of one input, checks each, and answers how many they were, or a status. */
static inline int fanin_take(enum fanin_mode mode, uint32_t n, uint32_t *from)
{
    struct fanin_element elements[CAPACITY];
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    int n_got;
    if (mode == FANIN_POP) {
        int status = crossvm_fanin_pop(&fanin, &elements[0], from);
        n_got = status == CROSSVM_OK ? 1 : status;
    } else if (mode == FANIN_POP_N) {
        n_got = crossvm_fanin_pop_n(&fanin, elements, n, from);
    } else {
        n_got = crossvm_fanin_peek(&fanin, n, &span, from);
    }
    for (int k = 0; k < n_got; k++) {
        fanin_check(mode == FANIN_PEEK
                        ? (const struct fanin_element *)crossvm_spsc_rx_span_at(&span, (uint32_t)k)
                        : &elements[k],
                    *from);
    }
    if (mode == FANIN_PEEK && n_got > 0) {
        CHECK_EQ(crossvm_fanin_release(&fanin, (uint32_t)n_got), CROSSVM_OK);
    }
    return n_got;
}

#endif
