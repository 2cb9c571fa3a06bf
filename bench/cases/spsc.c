/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/spsc.c - this library's queue in every way it can be used, between threads and
 * between processes. Two regions, as two parties have them; both sides see them at one address.
 * "crossvm" is a queue of one type (CROSSVM_SPSC_TYPE), so that the element's length is a constant;
 * "crossvm-untyped" is told the length at run time.
 */
#include <crossvm/spsc.h>

#include "../queue.h"

enum {
    PRODUCER = 1,
    CONSUMER = 2
};

struct crossvm_queue {
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_spsc_tx tx;
    uint32_t n_pushed; /* the producer's, for a kick now and then */
    uint32_t n_rings;  /* that the kicks asked for */
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_spsc_rx rx;
};

/* ---- bringing it up -------------------------------------------------------------------------- */

struct part {
    struct crossvm_region_owner owner;
    struct crossvm_region reader; /* as the other party sees it */
    struct crossvm_chunk table;
    struct crossvm_chunk chunk;
};

/* One party's region, with its part of the queue in it. */
static void part_make(struct part *part, const struct crossvm_chunk_decl *decl)
{
    struct crossvm_region_plan plan = {.chunks = decl, .n_chunks = 1, .owner = decl->writer};
    struct crossvm_mapping mapping = {NULL, 0, CROSSVM_READ_WRITE, CROSSVM_WRITE_BACK};
    plan.region_id[0] = (uint8_t)decl->writer;
    bench_require(crossvm_region_plan_len(&plan, &mapping.len) == CROSSVM_OK, "region_plan_len");
    mapping.base = bench_take((size_t)mapping.len, CROSSVM_GRANULE_DEFAULT);
    bench_require(crossvm_region_owner_format(&part->owner, &mapping, &plan, &part->table, 1) ==
                      CROSSVM_OK,
                  "region_owner_format");
    mapping.access = CROSSVM_READ_ONLY;
    bench_require(crossvm_region_attach(&part->reader, &mapping, decl->reader) == CROSSVM_OK,
                  "region_attach");
    bench_require(crossvm_region_find(&part->reader, decl->name, decl->kind, 0, &part->chunk) ==
                      CROSSVM_OK,
                  "region_find");
}

static void *crossvm_prepare(const struct bench_case *self)
{
    const struct crossvm_chunk_decl tx_decl = {
        "queue", CROSSVM_KIND_SPSC_TX, self->capacity, self->elem_len, PRODUCER, CONSUMER, 0, 7};
    const struct crossvm_chunk_decl rx_decl = {
        "queue", CROSSVM_KIND_SPSC_RX, 0, 0, CONSUMER, PRODUCER, 0, 7};
    struct crossvm_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    struct part a;
    struct part b;
    part_make(&a, &tx_decl);
    part_make(&b, &rx_decl);
    int status = crossvm_spsc_rx_open(&queue->rx, &b.owner.region, &b.chunk, self->capacity,
                                      (uint32_t)self->elem_len, 1);
    bench_require(status == CROSSVM_OK, "spsc_rx_open");
    status = crossvm_spsc_tx_open(&queue->tx, &a.owner.region, &a.chunk, 0, 1);
    bench_require(status == CROSSVM_OK, "spsc_tx_open");
    status = crossvm_spsc_tx_link(&queue->tx, &b.reader, &b.chunk);
    bench_require(status == CROSSVM_NOT_YET, "spsc_tx_link");
    bench_require(crossvm_spsc_rx_link(&queue->rx, &a.reader, &a.chunk) == CROSSVM_OK,
                  "spsc_rx_link");
    bench_require(crossvm_spsc_tx_link(&queue->tx, &b.reader, &b.chunk) == CROSSVM_OK,
                  "spsc_tx_link, again");
    return queue;
}

/* The consumer has asked for a ring, which it has had by the time that is measured, and polls: each
 * kick pays its fence and its look at all the words. */
static void *crossvm_prepare_armed(const struct bench_case *self)
{
    struct crossvm_queue *queue = crossvm_prepare(self);
    bench_require(crossvm_spsc_rx_arm(&queue->rx, 1, 0) == 0, "spsc_rx_arm");
    return queue;
}

/* ---- the operations -------------------------------------------------------------------------- */

BENCH_INLINE uint32_t n_moved(int answer)
{
    return answer < 0 ? 0 : (uint32_t)answer;
}

BENCH_INLINE void kick(struct crossvm_queue *queue)
{
    uint64_t again_ns;
    queue->n_rings += crossvm_spsc_tx_kick(&queue->tx, 0, &again_ns) == 1;
}

BENCH_INLINE uint32_t put(struct crossvm_queue *queue, uint64_t number, uint32_t n, size_t len)
{
    struct crossvm_spsc_tx_span span;
    if (crossvm_spsc_tx_reserve(&queue->tx, n, &span) != CROSSVM_OK) {
        return 0;
    }
    queue_fill_run(span.first, span.stride, number, span.n_first, len);
    queue_fill_run(span.second, span.stride, number + span.n_first, span.n_second, len);
    return crossvm_spsc_tx_commit(&queue->tx, n) == CROSSVM_OK ? n : 0;
}

BENCH_INLINE uint32_t take(struct crossvm_queue *queue, uint64_t number, uint32_t n,
                           uint64_t *wrong, size_t len)
{
    struct crossvm_spsc_rx_span span;
    if (crossvm_spsc_rx_peek(&queue->rx, n, &span) != CROSSVM_OK) {
        return 0;
    }
    *wrong |= queue_wrong_run(span.first, span.stride, number, span.n_first, len);
    *wrong |= queue_wrong_run(span.second, span.stride, number + span.n_first, span.n_second, len);
    return crossvm_spsc_rx_release(&queue->rx, n) == CROSSVM_OK ? n : 0;
}

#define CROSSVM_TYPED(LEN)                                                                        \
    CROSSVM_SPSC_TYPE(typed_##LEN, struct element_##LEN);                                         \
    BENCH_INLINE bool crossvm_push_##LEN(struct crossvm_queue *queue,                             \
                                         const struct element_##LEN *elem)                        \
    {                                                                                             \
        return typed_##LEN##_tx_push((struct typed_##LEN##_tx *)&queue->tx, elem) == CROSSVM_OK;  \
    }                                                                                             \
    BENCH_INLINE bool crossvm_pop_##LEN(struct crossvm_queue *queue, struct element_##LEN *elem)  \
    {                                                                                             \
        return typed_##LEN##_rx_pop((struct typed_##LEN##_rx *)&queue->rx, elem) == CROSSVM_OK;   \
    }                                                                                             \
    BENCH_INLINE uint32_t crossvm_push_n_##LEN(struct crossvm_queue *queue,                       \
                                               const struct element_##LEN *elems, uint32_t n)     \
    {                                                                                             \
        return n_moved(typed_##LEN##_tx_push_n((struct typed_##LEN##_tx *)&queue->tx, elems, n)); \
    }                                                                                             \
    BENCH_INLINE uint32_t crossvm_pop_n_##LEN(struct crossvm_queue *queue,                        \
                                              struct element_##LEN *elems, uint32_t n)            \
    {                                                                                             \
        return n_moved(typed_##LEN##_rx_pop_n((struct typed_##LEN##_rx *)&queue->rx, elems, n));  \
    }                                                                                             \
    QUEUE_ONE(crossvm, struct crossvm_queue, LEN)                                                 \
    QUEUE_BATCH(crossvm, struct crossvm_queue, LEN)

#define CROSSVM_UNTYPED(LEN)                                                                     \
    BENCH_INLINE bool untyped_push_##LEN(struct crossvm_queue *queue,                            \
                                         const struct element_##LEN *elem)                       \
    {                                                                                            \
        return crossvm_spsc_tx_push(&queue->tx, elem) == CROSSVM_OK;                             \
    }                                                                                            \
    BENCH_INLINE bool untyped_pop_##LEN(struct crossvm_queue *queue, struct element_##LEN *elem) \
    {                                                                                            \
        return crossvm_spsc_rx_pop(&queue->rx, elem) == CROSSVM_OK;                              \
    }                                                                                            \
    BENCH_INLINE uint32_t untyped_push_n_##LEN(struct crossvm_queue *queue,                      \
                                               const struct element_##LEN *elems, uint32_t n)    \
    {                                                                                            \
        return n_moved(crossvm_spsc_tx_push_n(&queue->tx, elems, n));                            \
    }                                                                                            \
    BENCH_INLINE uint32_t untyped_pop_n_##LEN(struct crossvm_queue *queue,                       \
                                              struct element_##LEN *elems, uint32_t n)           \
    {                                                                                            \
        return n_moved(crossvm_spsc_rx_pop_n(&queue->rx, elems, n));                             \
    }                                                                                            \
    QUEUE_ONE(untyped, struct crossvm_queue, LEN)                                                \
    QUEUE_BATCH(untyped, struct crossvm_queue, LEN)

#define CROSSVM_ZERO_COPY(LEN)                                                             \
    BENCH_INLINE uint32_t crossvm_put_##LEN(struct crossvm_queue *queue, uint64_t number,  \
                                            uint32_t n)                                    \
    {                                                                                      \
        return put(queue, number, n, LEN);                                                 \
    }                                                                                      \
    BENCH_INLINE uint32_t crossvm_take_##LEN(struct crossvm_queue *queue, uint64_t number, \
                                             uint32_t n, uint64_t *wrong)                  \
    {                                                                                      \
        return take(queue, number, n, wrong, LEN);                                         \
    }                                                                                      \
    QUEUE_IN_PLACE(crossvm, struct crossvm_queue, LEN, place, 1)                           \
    QUEUE_IN_PLACE(crossvm, struct crossvm_queue, LEN, place32, QUEUE_BATCH_LEN)

/* One at a time, with a kick behind each, and behind each 32nd. */
#define CROSSVM_KICK(LEN)                                                                       \
    BENCH_INLINE bool kick_push_##LEN(struct crossvm_queue *queue,                              \
                                      const struct element_##LEN *elem)                         \
    {                                                                                           \
        bool pushed = crossvm_push_##LEN(queue, elem);                                          \
        if (pushed) {                                                                           \
            kick(queue);                                                                        \
        }                                                                                       \
        return pushed;                                                                          \
    }                                                                                           \
    BENCH_INLINE bool kick32_push_##LEN(struct crossvm_queue *queue,                            \
                                        const struct element_##LEN *elem)                       \
    {                                                                                           \
        bool pushed = crossvm_push_##LEN(queue, elem);                                          \
        if (pushed && ++queue->n_pushed % 32 == 0) {                                            \
            kick(queue);                                                                        \
        }                                                                                       \
        return pushed;                                                                          \
    }                                                                                           \
    BENCH_INLINE bool kick_pop_##LEN(struct crossvm_queue *queue, struct element_##LEN *elem)   \
    {                                                                                           \
        return crossvm_pop_##LEN(queue, elem);                                                  \
    }                                                                                           \
    BENCH_INLINE bool kick32_pop_##LEN(struct crossvm_queue *queue, struct element_##LEN *elem) \
    {                                                                                           \
        return crossvm_pop_##LEN(queue, elem);                                                  \
    }                                                                                           \
    QUEUE_ONE(kick, struct crossvm_queue, LEN)                                                  \
    QUEUE_ONE(kick32, struct crossvm_queue, LEN)

#define CROSSVM_LOOPS(LEN) \
    CROSSVM_TYPED(LEN)     \
    CROSSVM_UNTYPED(LEN)   \
    CROSSVM_ZERO_COPY(LEN) \
    CROSSVM_KICK(LEN)

CROSSVM_LOOPS(8)
CROSSVM_LOOPS(64)
CROSSVM_LOOPS(256)
CROSSVM_LOOPS(1024)
QUEUE_ROUND_TRIP(crossvm, struct crossvm_queue)

/* ---- the cases ------------------------------------------------------------------------------- */

#define CASE(ROW, LEN, PROCESSES, NAME, WHO, LOOP, PREPARE, SLOWER) \
    QUEUE_CASE(ROW, LEN, PROCESSES, NAME, WHO, LOOP, PREPARE, NULL, SLOWER)

#define CASES(LEN, P)                                                                   \
    CASE("one", LEN, P, "crossvm", crossvm, one, crossvm_prepare, 1),                   \
        CASE("one", LEN, P, "crossvm-untyped", untyped, one, crossvm_prepare, 1),       \
        CASE("batch32", LEN, P, "crossvm", crossvm, batch, crossvm_prepare, 1),         \
        CASE("batch32", LEN, P, "crossvm-untyped", untyped, batch, crossvm_prepare, 1), \
        CASE("zero-copy", LEN, P, "crossvm", crossvm, place, crossvm_prepare, 1),       \
        CASE("zero-copy32", LEN, P, "crossvm", crossvm, place32, crossvm_prepare, 1),   \
        CASE("kick", LEN, P, "crossvm", kick, one, crossvm_prepare_armed, 4),           \
        CASE("kick32", LEN, P, "crossvm", kick32, one, crossvm_prepare_armed, 1)

static const struct bench_case cases[] = {
    CASES(8, false),
    CASES(64, false),
    CASES(256, false),
    CASES(1024, false),
    QUEUE_ROUND_TRIP_CASE(false, "crossvm", crossvm, NULL),
    CASES(8, true),
    CASES(64, true),
    CASES(256, true),
    CASES(1024, true),
    QUEUE_ROUND_TRIP_CASE(true, "crossvm", crossvm, NULL),
};

BENCH_REGISTER(cases)
