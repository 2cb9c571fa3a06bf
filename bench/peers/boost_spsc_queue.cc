/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/boost_spsc_queue.cc - Boost's spsc_queue with its capacity a constant, which is its
 * fastest form. It has no zero-copy for the producer.
 */
#include "../queue.h"

#include <boost/lockfree/spsc_queue.hpp>

#define BOOST(LEN)                                                                           \
    typedef boost::lockfree::spsc_queue<struct element_##LEN,                                \
                                        boost::lockfree::capacity<QUEUE_CAPACITY_##LEN>>     \
        queue_##LEN;                                                                         \
    static void *boost_prepare_##LEN(const struct bench_case *)                              \
    {                                                                                        \
        return new (bench_take(sizeof(queue_##LEN), BENCH_LINE)) queue_##LEN;                \
    }                                                                                        \
    BENCH_INLINE bool boost_push_##LEN(queue_##LEN *queue, const struct element_##LEN *elem) \
    {                                                                                        \
        return queue->push(*elem);                                                           \
    }                                                                                        \
    BENCH_INLINE bool boost_pop_##LEN(queue_##LEN *queue, struct element_##LEN *elem)        \
    {                                                                                        \
        return queue->pop(*elem);                                                            \
    }                                                                                        \
    BENCH_INLINE uint32_t boost_push_n_##LEN(queue_##LEN *queue,                             \
                                             const struct element_##LEN *elems, uint32_t n)  \
    {                                                                                        \
        return static_cast<uint32_t>(queue->push(elems, n));                                 \
    }                                                                                        \
    BENCH_INLINE uint32_t boost_pop_n_##LEN(queue_##LEN *queue, struct element_##LEN *elems, \
                                            uint32_t n)                                      \
    {                                                                                        \
        return static_cast<uint32_t>(queue->pop(elems, n));                                  \
    }                                                                                        \
    QUEUE_ONE(boost, queue_##LEN, LEN)                                                       \
    QUEUE_BATCH(boost, queue_##LEN, LEN)

BOOST(8)
BOOST(64)
BOOST(256)
BOOST(1024)
#define boost_prepare boost_prepare_8
QUEUE_PAIR(boost)
QUEUE_ROUND_TRIP(boost, queue_8, 8)

#define CASES(LEN, SLOWER)                                                                       \
    QUEUE_CASE("one", LEN, false, "boost-spsc_queue", boost, one, boost_prepare_##LEN, NULL,     \
               SLOWER),                                                                          \
        QUEUE_CASE("batch32", LEN, false, "boost-spsc_queue", boost, batch, boost_prepare_##LEN, \
                   NULL, 1)

static const struct bench_case cases[] = {
    CASES(8, 2),
    CASES(64, 2),
    CASES(256, 1),
    CASES(1024, 1),
    QUEUE_ROUND_TRIP_CASE(8, false, "boost-spsc_queue", boost, NULL),
};

BENCH_REGISTER(cases)
