/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/moodycamel_cq.cc - moodycamel's ConcurrentQueue, which takes any number of producers
 * and consumers: here with the one producer's token for both sides, its fastest form, and by the
 * calls that never allocate.
 */
#include "../producers.h"
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

// ---- several producers --------------------------------------------------------------------------

/* A token for each side, the fastest form that serves all producers; room for a ring for each of
 * them, which is how it counts. */
struct several_queue {
    typedef queue_8::queue_type queue_type;
    struct producer {
        BENCH_ALIGNED(BENCH_LINE) queue_type::producer_token_t token;
        explicit producer(queue_type &queue) : token(queue)
        {
        }
    };
    queue_type queue;
    struct producer producers[PRODUCERS_MOST];
    BENCH_ALIGNED(BENCH_LINE) queue_type::consumer_token_t consumer;
    explicit several_queue(size_t capacity)
        : queue(capacity, PRODUCERS_MOST, 0), producers{producer(queue), producer(queue),
                                                        producer(queue)},
          consumer(queue)
    {
    }
};

static void *several_prepare(const struct bench_case *self)
{
    return new several_queue(self->capacity);
}

static void several_finish(void *state)
{
    delete static_cast<several_queue *>(state);
}

BENCH_INLINE bool several_from(several_queue *queue, unsigned producer,
                               const struct element_8 *elem)
{
    return queue->queue.try_enqueue(queue->producers[producer].token, *elem);
}

BENCH_INLINE uint32_t several_from_n(several_queue *queue, unsigned producer,
                                     const struct element_8 *elems, uint32_t n)
{
    return queue->queue.try_enqueue_bulk(queue->producers[producer].token, elems, n) ? n : 0;
}

BENCH_INLINE bool several_to(several_queue *queue, struct element_8 *elem)
{
    return queue->queue.try_dequeue(queue->consumer, *elem);
}

BENCH_INLINE uint32_t several_to_n(several_queue *queue, struct element_8 *elems, uint32_t n)
{
    return static_cast<uint32_t>(queue->queue.try_dequeue_bulk(queue->consumer, elems, n));
}

PRODUCERS_ONE(several, several_queue, 1)
PRODUCERS_ONE(several, several_queue, 3)
PRODUCERS_BATCH(several, several_queue, 1)
PRODUCERS_BATCH(several, several_queue, 3)

#define SEVERAL(ROW, P, LOOP, SLOWER) \
    PRODUCERS_CASE(ROW, P, "moodycamel-cq", several, LOOP, several_prepare, several_finish, SLOWER)

static const struct bench_case several_cases[] = {
    SEVERAL("one", 1, one, 8),
    SEVERAL("one", 3, one, 8),
    SEVERAL("batch32", 1, batch, 2),
    SEVERAL("batch32", 3, batch, 4),
};

BENCH_REGISTER(several_cases)
