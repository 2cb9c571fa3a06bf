/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/ck_ring.c - Concurrency Kit's ring, of one producer and one consumer, with elements
 * in the ring (CK_RING_PROTOTYPE). It has no batches. Its zero-copy is the producer's only: the
 * consumer copies. ck_ring.h does not compile as C++; here it needs not.
 */
#include "../producers.h"
#include "../queue.h"

#include <ck_ring.h>

struct ck_ring_queue {
    BENCH_ALIGNED(BENCH_LINE) struct ck_ring ring;
    void *slots;
};

static void *ck_ring_prepare(const struct bench_case *self)
{
    struct ck_ring_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    queue->slots = bench_take(self->elem_len * self->capacity, BENCH_LINE);
    ck_ring_init(&queue->ring, self->capacity);
    return queue;
}

#define CK_RING(LEN)                                                                             \
    CK_RING_PROTOTYPE(of_##LEN, element_##LEN)                                                   \
    BENCH_INLINE bool ck_ring_push_##LEN(struct ck_ring_queue *queue,                            \
                                         const struct element_##LEN *elem)                       \
    {                                                                                            \
        return ck_ring_enqueue_spsc_of_##LEN(&queue->ring, queue->slots,                         \
                                             (struct element_##LEN *)(uintptr_t)elem);           \
    }                                                                                            \
    BENCH_INLINE bool ck_ring_pop_##LEN(struct ck_ring_queue *queue, struct element_##LEN *elem) \
    {                                                                                            \
        return ck_ring_dequeue_spsc_of_##LEN(&queue->ring, queue->slots, elem);                  \
    }                                                                                            \
    BENCH_INLINE uint32_t ck_ring_put_##LEN(struct ck_ring_queue *queue, uint64_t number,        \
                                            uint32_t n)                                          \
    {                                                                                            \
        struct element_##LEN *elem =                                                             \
            ck_ring_enqueue_reserve_spsc_of_##LEN(&queue->ring, queue->slots);                   \
        if (elem == NULL) {                                                                      \
            return 0;                                                                            \
        }                                                                                        \
        queue_fill(elem->words, number, LEN);                                                    \
        ck_ring_enqueue_commit_spsc(&queue->ring);                                               \
        return n;                                                                                \
    }                                                                                            \
    BENCH_INLINE uint32_t ck_ring_take_##LEN(struct ck_ring_queue *queue, uint64_t number,       \
                                             uint32_t n, uint64_t *wrong)                        \
    {                                                                                            \
        struct element_##LEN elem;                                                               \
        if (!ck_ring_pop_##LEN(queue, &elem)) {                                                  \
            return 0;                                                                            \
        }                                                                                        \
        QUEUE_USED(elem);                                                                        \
        *wrong |= queue_wrong(elem.words, number, LEN);                                          \
        return n;                                                                                \
    }                                                                                            \
    QUEUE_ONE(ck_ring, struct ck_ring_queue, LEN)                                                \
    QUEUE_IN_PLACE(ck_ring, struct ck_ring_queue, LEN, place, 1)

CK_RING(8)
CK_RING(64)
CK_RING(256)
CK_RING(1024)
QUEUE_PAIR(ck_ring)
QUEUE_ROUND_TRIP(ck_ring, struct ck_ring_queue, 8)

#define CASES(LEN, SLOWER)                                                                    \
    QUEUE_CASE("one", LEN, false, "ck_ring", ck_ring, one, ck_ring_prepare, NULL, SLOWER),    \
        QUEUE_CASE("zero-copy", LEN, false, "ck_ring", ck_ring, place, ck_ring_prepare, NULL, \
                   SLOWER)

static const struct bench_case cases[] = {
    CASES(8, 2),
    CASES(64, 2),
    CASES(256, 1),
    CASES(1024, 1),
    QUEUE_ROUND_TRIP_CASE(8, false, "ck_ring", ck_ring, NULL),
};

BENCH_REGISTER(cases)

/* ---- several producers ----------------------------------------------------------------------- */

/* Inside the call each producer waits for those in front of it. */
static void *several_prepare(const struct bench_case *self)
{
    return bench_own_cpus(self) ? ck_ring_prepare(self) : NULL;
}

BENCH_INLINE bool several_from(struct ck_ring_queue *queue, unsigned producer,
                               const struct element_8 *elem)
{
    (void)producer;
    return ck_ring_enqueue_mpsc_of_8(&queue->ring, queue->slots,
                                     (struct element_8 *)(uintptr_t)elem);
}

BENCH_INLINE bool several_to(struct ck_ring_queue *queue, struct element_8 *elem)
{
    return ck_ring_dequeue_mpsc_of_8(&queue->ring, queue->slots, elem);
}

PRODUCERS_ONE(several, struct ck_ring_queue, 1)
PRODUCERS_ONE(several, struct ck_ring_queue, 3)

static const struct bench_case several_cases[] = {
    PRODUCERS_CASE("one", 1, "ck_ring", several, one, several_prepare, NULL, 8),
    PRODUCERS_CASE("one", 3, "ck_ring", several, one, several_prepare, NULL, 8),
};

BENCH_REGISTER(several_cases)
