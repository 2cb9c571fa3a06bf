/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/moodycamel_cq.cc - moodycamel's ConcurrentQueue, which takes any number of producers
 * and consumers: here with the one producer's token for both sides, its fastest form, and by the
 * calls that never allocate.
 */
#include "../queue.h"

#include <concurrentqueue/concurrentqueue.h>

/* Room in the block index for a whole ring: calls that never allocate never let it grow. */
struct cq_traits : public moodycamel::ConcurrentQueueDefaultTraits {
    static const size_t EXPLICIT_INITIAL_INDEX_SIZE = 256;
};

template <typename Element> struct cq_queue {
    typedef moodycamel::ConcurrentQueue<Element, cq_traits> queue_type;
    queue_type queue;
    typename queue_type::producer_token_t token;
    explicit cq_queue(size_t capacity) : queue(capacity, 1, 0), token(queue)
    {
    }
};

#define CQ(LEN)                                                                                  \
    typedef cq_queue<struct element_##LEN> queue_##LEN;                                          \
    static void *cq_prepare_##LEN(const struct bench_case *self)                                 \
    {                                                                                            \
        return new queue_##LEN(self->capacity);                                                  \
    }                                                                                            \
    static void cq_finish_##LEN(void *state)                                                     \
    {                                                                                            \
        delete static_cast<queue_##LEN *>(state);                                                \
    }                                                                                            \
    BENCH_INLINE bool cq_push_##LEN(queue_##LEN *queue, const struct element_##LEN *elem)        \
    {                                                                                            \
        return queue->queue.try_enqueue(queue->token, *elem);                                    \
    }                                                                                            \
    BENCH_INLINE bool cq_pop_##LEN(queue_##LEN *queue, struct element_##LEN *elem)               \
    {                                                                                            \
        return queue->queue.try_dequeue_from_producer(queue->token, *elem);                      \
    }                                                                                            \
    BENCH_INLINE uint32_t cq_push_n_##LEN(queue_##LEN *queue, const struct element_##LEN *elems, \
                                          uint32_t n)                                            \
    {                                                                                            \
        return queue->queue.try_enqueue_bulk(queue->token, elems, n) ? n : 0;                    \
    }                                                                                            \
    BENCH_INLINE uint32_t cq_pop_n_##LEN(queue_##LEN *queue, struct element_##LEN *elems,        \
                                         uint32_t n)                                             \
    {                                                                                            \
        return static_cast<uint32_t>(                                                            \
            queue->queue.try_dequeue_bulk_from_producer(queue->token, elems, n));                \
    }                                                                                            \
    QUEUE_ONE(cq, queue_##LEN, LEN)                                                              \
    QUEUE_BATCH(cq, queue_##LEN, LEN)

CQ(8)
CQ(64)
CQ(256)
CQ(1024)
#define cq_prepare cq_prepare_8
QUEUE_PAIR(cq)
QUEUE_ROUND_TRIP(cq, queue_8, 8)

static void cq_finish_pair(void *state)
{
    struct queue_pair *pair = static_cast<struct queue_pair *>(state);
    cq_finish_8(pair->there);
    cq_finish_8(pair->back);
}

#define CASES(LEN, SLOWER)                                                                     \
    QUEUE_CASE("one", LEN, false, "moodycamel-cq", cq, one, cq_prepare_##LEN, cq_finish_##LEN, \
               SLOWER),                                                                        \
        QUEUE_CASE("batch32", LEN, false, "moodycamel-cq", cq, batch, cq_prepare_##LEN,        \
                   cq_finish_##LEN, 1)

static const struct bench_case cases[] = {
    CASES(8, 4),
    CASES(64, 4),
    CASES(256, 1),
    CASES(1024, 1),
    QUEUE_ROUND_TRIP_CASE(8, false, "moodycamel-cq", cq, cq_finish_pair),
};

BENCH_REGISTER(cases)
