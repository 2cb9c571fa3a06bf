/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/exchange.h - an exchange between two regions, as queue.h makes a queue: the
 * producer is PARTY_A and owns region a, the client is PARTY_B and owns region b. The parts are the
 * last chunks of their regions, and each mapping ends at a page that faults.
 *
 * A client whose answers lie in its own part has region a read-only; one that answers in SHARED
 * elements writes there.
 */
#ifndef CROSSVM_TESTS_SUPPORT_EXCHANGE_H
#define CROSSVM_TESTS_SUPPORT_EXCHANGE_H

#include "queue.h"

/* How it is made: any of these together; none is the usual. */
enum {
    EXCHANGE_SHARED = 1,
    EXCHANGE_A_UNCACHED = 2, /* the memory of region a, or b */
    EXCHANGE_B_UNCACHED = 4,
    EXCHANGE_WAYS = 8
};

/* What a compiler wants that does not see that a span is set whenever its call succeeds. */
#define EXCHANGE_NO_SPAN        \
    {                           \
        {NULL, NULL, 0, 0, 0},  \
        {                       \
            NULL, NULL, 0, 0, 0 \
        }                       \
    }

struct exchange {
    struct test_region a;
    struct test_region b;
    struct crossvm_region client_a; /* region a as the client has it */
    struct crossvm_chunk tx_chunk;
    struct crossvm_chunk rx_chunk;
    struct crossvm_exchange_tx tx;
    struct crossvm_exchange_rx rx;
    bool shared;
    uint32_t seed; /* of the incarnations */
};

/* Makes both regions, with room for n elements of len bytes. No part is opened. */
static inline void exchange_make(struct exchange *exchange, uint32_t n, uint32_t len, uint32_t way)
{
    const bool shared = (way & EXCHANGE_SHARED) != 0;
    const struct queue_options options_a = {
        (way & EXCHANGE_A_UNCACHED) != 0 ? CROSSVM_UNCACHED : CROSSVM_WRITE_BACK, false};
    const struct queue_options options_b = {
        (way & EXCHANGE_B_UNCACHED) != 0 ? CROSSVM_UNCACHED : CROSSVM_WRITE_BACK, false};
    const uint32_t kind = shared ? CROSSVM_KIND_EXCHANGE_TX_SHARED : CROSSVM_KIND_EXCHANGE_TX;
    const struct crossvm_chunk_decl a = {"exchange", kind, n, len, PARTY_A, PARTY_B, 0, 7};
    const struct crossvm_chunk_decl b = {
        "exchange", CROSSVM_KIND_EXCHANGE_RX, shared ? 0 : n, shared ? 0 : len, PARTY_B, PARTY_A, 0,
        7};
    const struct crossvm_region_plan plan_a = {&a, 1, 0, 0, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {&b, 1, 0, 0, 0, PARTY_B, {2}, 0, {0, 0, 0}};
    queue_region_make(&exchange->a, &plan_a, PARTY_B, options_a);
    queue_region_make(&exchange->b, &plan_b, PARTY_A, options_b);
    exchange->client_a = exchange->a.reader;
    if (shared) {
        REQUIRE(crossvm_region_attach(&exchange->client_a, &exchange->a.writable, PARTY_B) ==
                CROSSVM_OK);
    }
    exchange->tx_chunk = test_find(&exchange->a.reader, "exchange", kind);
    exchange->rx_chunk = test_find(&exchange->b.reader, "exchange", CROSSVM_KIND_EXCHANGE_RX);
    exchange->shared = shared;
    exchange->seed = 0;
}

static inline void exchange_drop(struct exchange *exchange)
{
    queue_unmap(&exchange->a);
    queue_unmap(&exchange->b);
}

/* The calls of each side, with its own regions. */
static inline int exchange_tx_open(struct exchange *exchange)
{
    exchange->seed++;
    return crossvm_exchange_tx_open(&exchange->tx, &exchange->a.owner.region, &exchange->tx_chunk,
                                    0, exchange->seed);
}

static inline int exchange_rx_open(struct exchange *exchange, uint32_t capacity, uint32_t elem_len)
{
    exchange->seed++;
    return crossvm_exchange_rx_open(&exchange->rx, &exchange->b.owner.region, &exchange->rx_chunk,
                                    capacity, elem_len, exchange->seed);
}

static inline int exchange_tx_link(struct exchange *exchange)
{
    return crossvm_exchange_tx_link(&exchange->tx, &exchange->b.reader, &exchange->rx_chunk);
}

static inline int exchange_rx_link(struct exchange *exchange)
{
    return crossvm_exchange_rx_link(&exchange->rx, &exchange->client_a, &exchange->tx_chunk);
}

/* The shared words, as their writers see them. */
static inline struct crossvm_spsc_tx_shm *exchange_tx_words(const struct exchange *exchange)
{
    return (struct crossvm_spsc_tx_shm *)(void *)crossvm_i_control(&exchange->a.owner.region,
                                                                   &exchange->tx_chunk);
}

static inline struct crossvm_spsc_rx_shm *exchange_rx_words(const struct exchange *exchange)
{
    return (struct crossvm_spsc_rx_shm *)(void *)crossvm_i_control(&exchange->b.owner.region,
                                                                   &exchange->rx_chunk);
}

static inline void exchange_link(struct exchange *exchange, uint32_t capacity, uint32_t elem_len)
{
    REQUIRE(exchange_rx_open(exchange, capacity, elem_len) == CROSSVM_OK);
    REQUIRE(exchange_tx_open(exchange) == CROSSVM_OK);
    REQUIRE(exchange_tx_link(exchange) == CROSSVM_NOT_YET);
    REQUIRE(exchange_rx_link(exchange) == CROSSVM_OK);
    REQUIRE(exchange_tx_link(exchange) == CROSSVM_OK);
}

/* The producer, or the client, opens its linked part again, as after a restart. */
static inline void exchange_tx_resume(struct exchange *exchange)
{
    REQUIRE(exchange_tx_open(exchange) == CROSSVM_OK);
    REQUIRE(exchange_tx_link(exchange) == CROSSVM_OK);
}

static inline void exchange_rx_resume(struct exchange *exchange)
{
    uint32_t capacity = exchange->rx.queue.capacity;
    uint32_t elem_len = exchange->rx.queue.elem_len;
    REQUIRE(exchange_rx_open(exchange, capacity, elem_len) == CROSSVM_OK);
    REQUIRE(exchange_rx_link(exchange) == CROSSVM_OK);
}

/* A linked, empty exchange that fits its memory exactly and whose indices begin at `index`. */
static inline void exchange_up(struct exchange *exchange, uint32_t capacity, uint32_t elem_len,
                               uint32_t index, uint32_t way)
{
    exchange_make(exchange, capacity, elem_len, way);
    exchange_link(exchange, capacity, elem_len);
    if (index != 0) {
        crossvm_store_relaxed(&exchange_tx_words(exchange)->line.index, index);
        crossvm_store_relaxed(&exchange_tx_words(exchange)->taken, index);
        crossvm_store_relaxed(&exchange_rx_words(exchange)->line.index, index);
        REQUIRE(exchange_tx_open(exchange) == CROSSVM_OK);
        exchange_rx_resume(exchange);
        REQUIRE(exchange_tx_link(exchange) == CROSSVM_OK);
    }
}

#if CHECK_OS

/* In a forked process: what the other side alone writes can no longer be written here. */
static inline void exchange_only_producer(const struct exchange *exchange)
{
    const struct crossvm_mapping *other = &exchange->b.writable;
    REQUIRE(mprotect(other->base, (size_t)other->len, PROT_NONE) == 0);
}

static inline void exchange_only_client(const struct exchange *exchange)
{
    const struct crossvm_mapping *other = &exchange->a.writable;
    if (!exchange->shared) {
        REQUIRE(mprotect(other->base, (size_t)other->len, PROT_NONE) == 0);
    }
}

#endif

/* The answer to the element of a number. */
static inline uint32_t exchange_answer(uint32_t number)
{
    return number * 2654435761u + 1;
}

#endif
