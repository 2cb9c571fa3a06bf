/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/moodycamel_rwq.cc - moodycamel's ReaderWriterQueue, by the calls that never allocate;
 * zero-copy is try_emplace, with a constructor that fills, and peek. It has no batches. Its blocks
 * come from malloc: the operations before the measured ones touch them all.
 */
#include "../queue.h"

#include <readerwriterqueue/readerwriterqueue.h>

#define RWQ(LEN)                                                                           \
    struct built_##LEN {                                                                   \
        struct element_##LEN elem;                                                         \
        built_##LEN() = default;                                                           \
        explicit built_##LEN(uint64_t number)                                              \
        {                                                                                  \
            queue_fill(elem.words, number, LEN);                                           \
        }                                                                                  \
        explicit built_##LEN(const struct element_##LEN &from) : elem(from)                \
        {                                                                                  \
        }                                                                                  \
    };                                                                                     \
    typedef moodycamel::ReaderWriterQueue<built_##LEN> queue_##LEN;                        \
    static void *rwq_prepare_##LEN(const struct bench_case *)                              \
    {                                                                                      \
        return new queue_##LEN(QUEUE_CAPACITY_##LEN);                                      \
    }                                                                                      \
    static void rwq_finish_##LEN(void *state)                                              \
    {                                                                                      \
        delete static_cast<queue_##LEN *>(state);                                          \
    }                                                                                      \
    BENCH_INLINE bool rwq_push_##LEN(queue_##LEN *queue, const struct element_##LEN *elem) \
    {                                                                                      \
        return queue->try_emplace(*elem);                                                  \
    }                                                                                      \
    BENCH_INLINE bool rwq_pop_##LEN(queue_##LEN *queue, struct element_##LEN *elem)        \
    {                                                                                      \
        return queue->try_dequeue(*reinterpret_cast<built_##LEN *>(elem));                 \
    }                                                                                      \
    BENCH_INLINE uint32_t rwq_put_##LEN(queue_##LEN *queue, uint64_t number, uint32_t n)   \
    {                                                                                      \
        return queue->try_emplace(number) ? n : 0;                                         \
    }                                                                                      \
    BENCH_INLINE uint32_t rwq_take_##LEN(queue_##LEN *queue, uint64_t number, uint32_t n,  \
                                         uint64_t *wrong)                                  \
    {                                                                                      \
        const built_##LEN *front = queue->peek();                                          \
        if (front == nullptr) {                                                            \
            return 0;                                                                      \
        }                                                                                  \
        *wrong |= queue_wrong(front->elem.words, number, LEN);                             \
        return queue->pop() ? n : 0;                                                       \
    }                                                                                      \
    QUEUE_ONE(rwq, queue_##LEN, LEN)                                                       \
    QUEUE_IN_PLACE(rwq, queue_##LEN, LEN, place, 1)

RWQ(8)
RWQ(64)
RWQ(256)
RWQ(1024)
#define rwq_prepare rwq_prepare_8
QUEUE_PAIR(rwq)
QUEUE_ROUND_TRIP(rwq, queue_8, 8)

static void rwq_finish_pair(void *state)
{
    struct queue_pair *pair = static_cast<struct queue_pair *>(state);
    rwq_finish_8(pair->there);
    rwq_finish_8(pair->back);
}

#define CASES(LEN, SLOWER)                                                                         \
    QUEUE_CASE("one", LEN, false, "moodycamel-rwq", rwq, one, rwq_prepare_##LEN, rwq_finish_##LEN, \
               SLOWER),                                                                            \
        QUEUE_CASE("zero-copy", LEN, false, "moodycamel-rwq", rwq, place, rwq_prepare_##LEN,       \
                   rwq_finish_##LEN, SLOWER)

static const struct bench_case cases[] = {
    CASES(8, 1),
    CASES(64, 2),
    CASES(256, 1),
    CASES(1024, 1),
    QUEUE_ROUND_TRIP_CASE(8, false, "moodycamel-rwq", rwq, rwq_finish_pair),
};

BENCH_REGISTER(cases)
