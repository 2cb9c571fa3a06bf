/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue.h - the loops that every queue is measured with, ours and the peers', in C and C++.
 *
 * A file defines, for its queue WHO and each element length LEN, some of these as inline functions,
 * and then the loops around them, so that everything is inlined for everyone:
 *
 *   bool WHO_push_LEN(TYPE *, const struct element_LEN *)    false: full
 *   bool WHO_pop_LEN(TYPE *, struct element_LEN *)           false: empty      QUEUE_ONE
 *   uint32_t WHO_push_n_LEN(TYPE *, const struct element_LEN *, uint32_t n)    how many
 *   uint32_t WHO_pop_n_LEN(TYPE *, struct element_LEN *, uint32_t n)           QUEUE_BATCH
 *   uint32_t WHO_put_LEN(TYPE *, uint64_t number, uint32_t n)                  filled in place
 *   uint32_t WHO_take_LEN(TYPE *, uint64_t number, uint32_t n, uint64_t *wrong) QUEUE_IN_PLACE
 *
 * An element's number stands in the first word of each of its 64-byte lines: little work beside the
 * queue's, and every line is written and looked at. A loss, a double or a change of order is a
 * wrong number at the consumer; copies are of whole elements, because the compiler is told that
 * they are used (QUEUE_USED).
 *
 * A ring holds 4096 elements, of 1024 bytes 2048: 32 KiB, 256 KiB, 1 MiB, 2 MiB, inside L3.
 */
#ifndef CROSSVM_BENCH_QUEUE_H
#define CROSSVM_BENCH_QUEUE_H

#include "bench.h"

#define QUEUE_BATCH_LEN 32u

struct element_8 {
    uint64_t words[1];
};

#define QUEUE_ELEMENT(LEN)         \
    struct element_##LEN {         \
        uint64_t words[(LEN) / 8]; \
    } BENCH_ALIGNED(64)
QUEUE_ELEMENT(64);
QUEUE_ELEMENT(256);
QUEUE_ELEMENT(1024);

#define QUEUE_CAPACITY_8    4096
#define QUEUE_CAPACITY_64   4096
#define QUEUE_CAPACITY_256  4096
#define QUEUE_CAPACITY_1024 2048

/* Operations of a trial, before they are divided by a case's own number: 1 to 3 ms near. */
#define QUEUE_OPS_8    (1u << 20)
#define QUEUE_OPS_64   (1u << 18)
#define QUEUE_OPS_256  (1u << 16)
#define QUEUE_OPS_1024 (24u << 10)

#define QUEUE_LINE_WORDS 8u

BENCH_INLINE void queue_fill(uint64_t *words, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len / sizeof(*words); i += QUEUE_LINE_WORDS) {
        words[i] = number + i;
    }
}

/* 0 if the element is the one expected. */
BENCH_INLINE uint64_t queue_wrong(const uint64_t *words, uint64_t number, size_t len)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < len / sizeof(*words); i += QUEUE_LINE_WORDS) {
        wrong |= words[i] ^ (number + i);
    }
    return wrong;
}

/* n elements in place, len bytes each, stride bytes apart. */
BENCH_INLINE void queue_fill_run(void *first, size_t stride, uint64_t number, uint32_t n,
                                 size_t len)
{
    unsigned char *at = (unsigned char *)first;
    for (uint32_t i = 0; i < n; i++, at += stride) {
        queue_fill((uint64_t *)(void *)at, number + i, len);
    }
}

BENCH_INLINE uint64_t queue_wrong_run(const void *first, size_t stride, uint64_t number, uint32_t n,
                                      size_t len)
{
    const unsigned char *at = (const unsigned char *)first;
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < n; i++, at += stride) {
        wrong |= queue_wrong((const uint64_t *)(const void *)at, number + i, len);
    }
    return wrong;
}

/* The application uses, and may have written, every byte of the object. */
#define QUEUE_USED(object) __asm__ volatile("" : "+m"(object))

/* One at a time, copied; one of 8 bytes may stay in a register. */
#define QUEUE_ONE(WHO, TYPE, LEN)                                          \
    static uint64_t WHO##_one_produce_##LEN(const struct bench_turn *turn) \
    {                                                                      \
        TYPE *queue = (TYPE *)turn->state;                                 \
        struct element_##LEN elem = {{0}};                                 \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {  \
            unsigned tries = 0;                                            \
            queue_fill(elem.words, i, LEN);                                \
            if (LEN > 8) {                                                 \
                QUEUE_USED(elem);                                          \
            }                                                              \
            while (!WHO##_push_##LEN(queue, &elem)) {                      \
                bench_retry(&tries);                                       \
            }                                                              \
        }                                                                  \
        return 0;                                                          \
    }                                                                      \
    static uint64_t WHO##_one_consume_##LEN(const struct bench_turn *turn) \
    {                                                                      \
        TYPE *queue = (TYPE *)turn->state;                                 \
        struct element_##LEN elem = {{0}};                                 \
        uint64_t wrong = 0;                                                \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {  \
            unsigned tries = 0;                                            \
            while (!WHO##_pop_##LEN(queue, &elem)) {                       \
                bench_retry(&tries);                                       \
            }                                                              \
            if (LEN > 8) {                                                 \
                QUEUE_USED(elem);                                          \
            }                                                              \
            wrong |= queue_wrong(elem.words, i, LEN);                      \
        }                                                                  \
        return wrong;                                                      \
    }

/* 32 at a time, copied from and to an array of the application's. It starts a page: where it lies
 * within one decides a tenth of the speed, and differs from stack to stack. */
#define QUEUE_BATCH(WHO, TYPE, LEN)                                            \
    static uint64_t WHO##_batch_produce_##LEN(const struct bench_turn *turn)   \
    {                                                                          \
        TYPE *queue = (TYPE *)turn->state;                                     \
        struct {                                                               \
            struct element_##LEN at[QUEUE_BATCH_LEN];                          \
        } BENCH_ALIGNED(BENCH_PAGE) batch = {{{{0}}}};                         \
        uint64_t end = turn->first + turn->n;                                  \
        for (uint64_t i = turn->first; i != end; i += QUEUE_BATCH_LEN) {       \
            unsigned tries = 0;                                                \
            queue_fill_run(batch.at, LEN, i, QUEUE_BATCH_LEN, LEN);            \
            QUEUE_USED(batch);                                                 \
            for (uint32_t done = 0; done != QUEUE_BATCH_LEN;) {                \
                uint32_t left = QUEUE_BATCH_LEN - done;                        \
                uint32_t n = WHO##_push_n_##LEN(queue, batch.at + done, left); \
                done += n;                                                     \
                if (n == 0) {                                                  \
                    bench_retry(&tries);                                       \
                }                                                              \
            }                                                                  \
        }                                                                      \
        return 0;                                                              \
    }                                                                          \
    static uint64_t WHO##_batch_consume_##LEN(const struct bench_turn *turn)   \
    {                                                                          \
        TYPE *queue = (TYPE *)turn->state;                                     \
        struct {                                                               \
            struct element_##LEN at[QUEUE_BATCH_LEN];                          \
        } BENCH_ALIGNED(BENCH_PAGE) batch = {{{{0}}}};                         \
        uint64_t wrong = 0;                                                    \
        unsigned tries = 0;                                                    \
        for (uint64_t i = turn->first; i != turn->first + turn->n;) {          \
            uint32_t n = WHO##_pop_n_##LEN(queue, batch.at, QUEUE_BATCH_LEN);  \
            if (n == 0) {                                                      \
                bench_retry(&tries);                                           \
                continue;                                                      \
            }                                                                  \
            tries = 0;                                                         \
            QUEUE_USED(batch);                                                 \
            wrong |= queue_wrong_run(batch.at, LEN, i, n, LEN);                \
            i += n;                                                            \
        }                                                                      \
        return wrong;                                                          \
    }

/* At most N at a time, filled and looked at where they lie. LOOP: the loop's name. */
#define QUEUE_IN_PLACE(WHO, TYPE, LEN, LOOP, N)                                 \
    static uint64_t WHO##_##LOOP##_produce_##LEN(const struct bench_turn *turn) \
    {                                                                           \
        TYPE *queue = (TYPE *)turn->state;                                      \
        uint64_t end = turn->first + turn->n;                                   \
        unsigned tries = 0;                                                     \
        for (uint64_t i = turn->first; i != end;) {                             \
            uint32_t most = end - i < (N) ? (uint32_t)(end - i) : (N);          \
            uint32_t n = WHO##_put_##LEN(queue, i, most);                       \
            i += n;                                                             \
            tries = n == 0 ? tries : 0;                                         \
            if (n == 0) {                                                       \
                bench_retry(&tries);                                            \
            }                                                                   \
        }                                                                       \
        return 0;                                                               \
    }                                                                           \
    static uint64_t WHO##_##LOOP##_consume_##LEN(const struct bench_turn *turn) \
    {                                                                           \
        TYPE *queue = (TYPE *)turn->state;                                      \
        uint64_t wrong = 0;                                                     \
        unsigned tries = 0;                                                     \
        for (uint64_t i = turn->first; i != turn->first + turn->n;) {           \
            uint32_t n = WHO##_take_##LEN(queue, i, (N), &wrong);               \
            i += n;                                                             \
            tries = n == 0 ? tries : 0;                                         \
            if (n == 0) {                                                       \
                bench_retry(&tries);                                            \
            }                                                                   \
        }                                                                       \
        return wrong;                                                           \
    }

/* Two queues: side 0 sends, side 1 sends back. The state is a struct queue_pair. */
struct queue_pair {
    void *there;
    void *back;
};

/* What the round trips of one queue have in common. */
#define QUEUE_PAIR(WHO)                                                             \
    static void *WHO##_prepare_pair(const struct bench_case *self)                  \
    {                                                                               \
        struct queue_pair *pair =                                                   \
            (struct queue_pair *)bench_take(sizeof(struct queue_pair), BENCH_LINE); \
        pair->there = WHO##_prepare(self);                                          \
        pair->back = WHO##_prepare(self);                                           \
        return pair;                                                                \
    }

#define QUEUE_ROUND_TRIP(WHO, TYPE, LEN)                                              \
    BENCH_INLINE void WHO##_send_##LEN(TYPE *queue, const struct element_##LEN *elem) \
    {                                                                                 \
        unsigned tries = 0;                                                           \
        while (!WHO##_push_##LEN(queue, elem)) {                                      \
            bench_retry(&tries);                                                      \
        }                                                                             \
    }                                                                                 \
    BENCH_INLINE void WHO##_receive_##LEN(TYPE *queue, struct element_##LEN *elem)    \
    {                                                                                 \
        unsigned tries = 0;                                                           \
        while (!WHO##_pop_##LEN(queue, elem)) {                                       \
            bench_retry(&tries);                                                      \
        }                                                                             \
    }                                                                                 \
    static uint64_t WHO##_round_trip_##LEN(const struct bench_turn *turn)             \
    {                                                                                 \
        const struct queue_pair *pair = (const struct queue_pair *)turn->state;       \
        TYPE *there = (TYPE *)pair->there;                                            \
        TYPE *back = (TYPE *)pair->back;                                              \
        uint64_t wrong = 0;                                                           \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {             \
            struct element_##LEN elem = {{i}};                                        \
            if (turn->side == 0) {                                                    \
                WHO##_send_##LEN(there, &elem);                                       \
                WHO##_receive_##LEN(back, &elem);                                     \
            } else {                                                                  \
                WHO##_receive_##LEN(there, &elem);                                    \
                WHO##_send_##LEN(back, &elem);                                        \
            }                                                                         \
            if (LEN > 8) {                                                            \
                QUEUE_USED(elem);                                                     \
            }                                                                         \
            wrong |= elem.words[0] ^ i;                                               \
        }                                                                             \
        return wrong;                                                                 \
    }

/* ---- rows of a table of cases ---------------------------------------------------------------- */

/* ROW: what follows the length in the row's name. FINISH: NULL, or a function. SLOWER: what the
 * operations of a trial are divided by, so that it stays short; all counts are multiples of 32. */
#define QUEUE_CASE(ROW, LEN, PROCESSES, NAME, WHO, LOOP, PREPARE, FINISH, SLOWER)               \
    {                                                                                           \
        "spsc/" #LEN "B/" ROW, NAME, PROCESSES, 2, 0, QUEUE_OPS_##LEN / (SLOWER),               \
            2 * QUEUE_CAPACITY_##LEN, LEN, QUEUE_CAPACITY_##LEN, PREPARE, FINISH,               \
        {                                                                                       \
            WHO##_##LOOP##_produce_##LEN, WHO##_##LOOP##_consume_##LEN, NULL, NULL, NULL, NULL, \
                NULL, NULL                                                                      \
        }                                                                                       \
    }

#define QUEUE_ROUND_TRIPS 8192u

#define QUEUE_ROUND_TRIP_CASE(LEN, PROCESSES, NAME, WHO, FINISH)                               \
    {                                                                                          \
        "spsc/" #LEN "B/round-trip", NAME, PROCESSES, 2, 0, QUEUE_ROUND_TRIPS,                 \
            QUEUE_ROUND_TRIPS / 8, LEN, QUEUE_CAPACITY_##LEN, WHO##_prepare_pair, FINISH,      \
        {                                                                                      \
            WHO##_round_trip_##LEN, WHO##_round_trip_##LEN, NULL, NULL, NULL, NULL, NULL, NULL \
        }                                                                                      \
    }

#endif
