/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/spsc.c - this library's queue in every way it can be used, between threads and
 * between processes. Two regions, as two parties have them; both sides see them at one address.
 * "crossvm" is a queue of one type (CROSSVM_SPSC_TYPE), so that the element's length is a constant;
 * "crossvm-untyped" is told the length at run time.
 */
#include "../own.h"
#include "../queue.h"

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
QUEUE_PAIR(crossvm)
QUEUE_ROUND_TRIP(crossvm, struct crossvm_queue, 8)
QUEUE_ROUND_TRIP(crossvm, struct crossvm_queue, 64)
QUEUE_ROUND_TRIP(crossvm, struct crossvm_queue, 256)
QUEUE_ROUND_TRIP(crossvm, struct crossvm_queue, 1024)

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

/* The same loops with other rings: what a ring's size costs. */
#define RING_CASE(LEN, NAME, LOOP, CAPACITY)                                                       \
    {                                                                                              \
        .row = "ring/" #LEN "B/" NAME "/" #CAPACITY, .who = "crossvm", .n_sides = 2,               \
        .n_ops = QUEUE_OPS_##LEN, .n_warm = 2 * (CAPACITY), .elem_len = LEN, .capacity = CAPACITY, \
        .prepare = crossvm_prepare, .side = {                                                      \
            crossvm_##LOOP##_produce_##LEN,                                                        \
            crossvm_##LOOP##_consume_##LEN                                                         \
        }                                                                                          \
    }
#define RING_CASES(CAPACITY)                                                      \
    RING_CASE(8, "one", one, CAPACITY), RING_CASE(8, "batch32", batch, CAPACITY), \
        RING_CASE(64, "one", one, CAPACITY), RING_CASE(64, "batch32", batch, CAPACITY)

static const struct bench_case cases[] = {
    CASES(8, false),
    CASES(64, false),
    CASES(256, false),
    CASES(1024, false),
    QUEUE_ROUND_TRIP_CASE(8, false, "crossvm", crossvm, NULL),
    QUEUE_ROUND_TRIP_CASE(64, false, "crossvm", crossvm, NULL),
    QUEUE_ROUND_TRIP_CASE(256, false, "crossvm", crossvm, NULL),
    QUEUE_ROUND_TRIP_CASE(1024, false, "crossvm", crossvm, NULL),
    RING_CASES(64),
    RING_CASES(256),
    RING_CASES(1024),
    RING_CASES(4096),
    RING_CASES(16384),
    RING_CASES(65536),
    CASES(8, true),
    CASES(64, true),
    CASES(256, true),
    CASES(1024, true),
    QUEUE_ROUND_TRIP_CASE(8, true, "crossvm", crossvm, NULL),
};

BENCH_REGISTER(cases)
