/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/pool.c - large payloads: filled in a block of a pool, found by the id that a queue
 * brings, looked at in place and given back ("crossvm"); copied into a queue's elements and out of
 * them ("crossvm-copied"); and filled and looked at in a queue's elements ("crossvm-in-place"),
 * which can be neither kept for longer than their turn nor lent to several. One word of each line
 * is written and looked at (queue.h). Everyone has room for 1 MiB of payloads.
 */
#include "../own.h"
#include "../queue.h"

#include <crossvm/pool.h>

#define MEMORY_LEN 1048576u

/* ---- by a pool ------------------------------------------------------------------------------- */

#define BLOCKS_MOST (MEMORY_LEN / 4096)

CROSSVM_SPSC_TYPE(ids, struct crossvm_pool_id);

struct pool {
    struct crossvm_queue *queue; /* of ids */
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_pool_owner owner;
    struct crossvm_pool_block blocks[BLOCKS_MOST];
    struct crossvm_pool_link link;
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_pool_reader reader;
};

static void *pool_prepare(const struct bench_case *self)
{
    uint32_t n = self->capacity;
    const struct crossvm_chunk_decl pool_decl = {"blocks", CROSSVM_KIND_POOL, n, self->elem_len,
                                                 PRODUCER, CONSUMER,          0, 0};
    const struct crossvm_chunk_decl lent_decl = {
        "lent", CROSSVM_KIND_POOL_LENT, n, 0, PRODUCER, PRODUCER, 0, 0};
    const struct crossvm_chunk_decl returns_decl = {
        "returns", CROSSVM_KIND_POOL_RETURNS, n, 0, CONSUMER, PRODUCER, 0, 0};
    struct pool *pool = bench_take(sizeof(*pool), BENCH_LINE);
    const struct crossvm_pool_memory memory = {pool->blocks, BLOCKS_MOST, &pool->link, 1};
    struct bench_case of_ids = *self;
    struct part blocks;
    struct part lent;
    struct part returns;
    of_ids.elem_len = sizeof(struct crossvm_pool_id);
    pool->queue = crossvm_prepare(&of_ids);
    part_make(&blocks, &pool_decl, CROSSVM_READ_ONLY);
    part_make(&lent, &lent_decl, CROSSVM_READ_ONLY);
    part_make(&returns, &returns_decl, CROSSVM_READ_ONLY);
    int status = crossvm_pool_reader_open(&pool->reader, &blocks.reader, &blocks.chunk);
    bench_require(status == CROSSVM_OK, "pool_reader_open");
    status = crossvm_pool_reader_bind(&pool->reader, &returns.owner.region, &returns.chunk);
    bench_require(status == CROSSVM_OK, "pool_reader_bind");
    status = crossvm_pool_owner_open(&pool->owner, &blocks.owner.region, &blocks.chunk,
                                     &lent.owner.region, &lent.chunk, &memory);
    bench_require(status == CROSSVM_OK, "pool_owner_open");
    status = crossvm_pool_owner_link(&pool->owner, 0, &returns.reader, &returns.chunk);
    bench_require(status == CROSSVM_OK, "pool_owner_link");
    return pool;
}

/* There are as many places for ids as blocks, but the queue may release them later. */
BENCH_INLINE bool pool_send(struct pool *pool, uint64_t number, size_t len)
{
    struct crossvm_pool_id id;
    uint32_t block;
    unsigned tries = 0;
    if (crossvm_pool_owner_allocate(&pool->owner, &block) != CROSSVM_OK) {
        (void)!crossvm_pool_owner_collect(&pool->owner);
        return false;
    }
    queue_fill_run(crossvm_pool_owner_raw(&pool->owner, block), len, number, 1, len);
    if (crossvm_pool_owner_lend(&pool->owner, block, (uint32_t)len, 1, &id) != CROSSVM_OK) {
        return false;
    }
    while (ids_tx_push((struct ids_tx *)&pool->queue->tx, &id) != CROSSVM_OK) {
        bench_retry(&tries);
    }
    return true;
}

BENCH_INLINE bool pool_receive(struct pool *pool, uint64_t number, uint64_t *wrong, size_t len)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    if (ids_rx_pop((struct ids_rx *)&pool->queue->rx, &id) != CROSSVM_OK) {
        return false;
    }
    if (crossvm_pool_reader_find(&pool->reader, &id, &view) != CROSSVM_OK || view.len != len) {
        *wrong |= 1;
        return true;
    }
    *wrong |= queue_wrong_run(view.payload, len, number, 1, len);
    *wrong |= crossvm_pool_reader_give_back(&pool->reader, &view) != CROSSVM_OK;
    return true;
}

/* ---- by a queue ------------------------------------------------------------------------------ */

struct payloads {
    struct crossvm_queue *queue;
    BENCH_ALIGNED(BENCH_LINE) void *from; /* the producer's, private */
    BENCH_ALIGNED(BENCH_LINE) void *to;   /* the consumer's */
};

static void *payloads_prepare(const struct bench_case *self)
{
    struct payloads *payloads = bench_take(sizeof(*payloads), BENCH_LINE);
    payloads->queue = crossvm_prepare(self);
    payloads->from = bench_take(self->elem_len, BENCH_PAGE);
    payloads->to = bench_take(self->elem_len, BENCH_PAGE);
    return payloads;
}

#define copied_prepare   payloads_prepare
#define in_place_prepare payloads_prepare

/* A payload is made once, and waits for its place. */
BENCH_INLINE bool copied_send(struct payloads *payloads, uint64_t number, size_t len)
{
    unsigned tries = 0;
    queue_fill_run(payloads->from, len, number, 1, len);
    while (crossvm_spsc_tx_push(&payloads->queue->tx, payloads->from) != CROSSVM_OK) {
        bench_retry(&tries);
    }
    return true;
}

BENCH_INLINE bool copied_receive(struct payloads *payloads, uint64_t number, uint64_t *wrong,
                                 size_t len)
{
    if (crossvm_spsc_rx_pop(&payloads->queue->rx, payloads->to) != CROSSVM_OK) {
        return false;
    }
    *wrong |= queue_wrong_run(payloads->to, len, number, 1, len);
    return true;
}

BENCH_INLINE bool in_place_send(struct payloads *payloads, uint64_t number, size_t len)
{
    struct crossvm_spsc_tx_span span;
    if (crossvm_spsc_tx_reserve(&payloads->queue->tx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    queue_fill_run(span.first, len, number, 1, len);
    return crossvm_spsc_tx_commit(&payloads->queue->tx, 1) == CROSSVM_OK;
}

BENCH_INLINE bool in_place_receive(struct payloads *payloads, uint64_t number, uint64_t *wrong,
                                   size_t len)
{
    struct crossvm_spsc_rx_span span;
    if (crossvm_spsc_rx_peek(&payloads->queue->rx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    *wrong |= queue_wrong_run(span.first, len, number, 1, len);
    return crossvm_spsc_rx_release(&payloads->queue->rx, 1) == CROSSVM_OK;
}

/* ---- loops and cases ------------------------------------------------------------------------- */

#define LOOPS(WHO, TYPE, LEN)                                             \
    static uint64_t WHO##_produce_##LEN(const struct bench_turn *turn)    \
    {                                                                     \
        TYPE *state = turn->state;                                        \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) { \
            unsigned tries = 0;                                           \
            while (!WHO##_send(state, i, LEN)) {                          \
                bench_retry(&tries);                                      \
            }                                                             \
        }                                                                 \
        return 0;                                                         \
    }                                                                     \
    static uint64_t WHO##_consume_##LEN(const struct bench_turn *turn)    \
    {                                                                     \
        TYPE *state = turn->state;                                        \
        uint64_t wrong = 0;                                               \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) { \
            unsigned tries = 0;                                           \
            while (!WHO##_receive(state, i, &wrong, LEN)) {               \
                bench_retry(&tries);                                      \
            }                                                             \
        }                                                                 \
        return wrong;                                                     \
    }

LOOPS(pool, struct pool, 4096)
LOOPS(pool, struct pool, 65536)
LOOPS(copied, struct payloads, 4096)
LOOPS(copied, struct payloads, 65536)
LOOPS(in_place, struct payloads, 4096)
LOOPS(in_place, struct payloads, 65536)

#define CASE(LEN, NAME, WHO, N_OPS)                                                        \
    {                                                                                      \
        .row = "pool/" #LEN "B/one", .who = NAME, .n_sides = 2, .n_ops = N_OPS,            \
        .n_warm = 2 * MEMORY_LEN / (LEN), .elem_len = LEN, .capacity = MEMORY_LEN / (LEN), \
        .prepare = WHO##_prepare, .side = {                                                \
            WHO##_produce_##LEN,                                                           \
            WHO##_consume_##LEN                                                            \
        }                                                                                  \
    }

#define CASES(LEN, N_OPS)                                                          \
    CASE(LEN, "crossvm", pool, N_OPS), CASE(LEN, "crossvm-copied", copied, N_OPS), \
        CASE(LEN, "crossvm-in-place", in_place, N_OPS)

static const struct bench_case cases[] = {
    CASES(4096, 4096),
    CASES(65536, 512),
};

BENCH_REGISTER(cases)
