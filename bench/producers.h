/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/producers.h - the loops that queues of several producers are measured with: elements of 8
 * bytes, P producers (1 or 3), one consumer. A file defines, for its queue WHO, these as inline
 * functions, and then the loops around them:
 *
 *   bool WHO_from(TYPE *, unsigned producer, const struct element_8 *)        false: full
 *   bool WHO_to(TYPE *, struct element_8 *)                                   false: empty
 *   uint32_t WHO_from_n(TYPE *, unsigned producer, const struct element_8 *, uint32_t n)
 *   uint32_t WHO_to_n(TYPE *, struct element_8 *, uint32_t n)                 how many
 *
 * An element is its producer and that one's count, so that the consumer sees a loss, a double, or a
 * change of order among one producer's elements as a wrong word. n_ops and n_warm count the
 * elements of all producers together: the time of a trial is divided by what the consumer took.
 *
 * Everyone has room for 4096 elements, which several lanes share: each of three holds 1024. Three
 * producers and a consumer need four CPUs; with fewer, report.py says that they had none of their
 * own, and gives no verdict. Then peers are left out in which one producer waits for another.
 */
#ifndef CROSSVM_BENCH_PRODUCERS_H
#define CROSSVM_BENCH_PRODUCERS_H

#include "queue.h"

#define PRODUCERS_MOST     3u
#define PRODUCERS_CAPACITY 4096u

/* Elements of one producer in a trial, before they are divided by a case's own number, and
 * before. */
#define PRODUCERS_OPS  (1u << 18)
#define PRODUCERS_WARM (2u * PRODUCERS_CAPACITY)

/* Producers of a case: all sides but the consumer. */
BENCH_INLINE unsigned producers_n(const struct bench_case *self)
{
    return self->n_sides - 1;
}

BENCH_INLINE unsigned producers_of(uint64_t word)
{
    return (unsigned)(word >> 56);
}

BENCH_INLINE uint64_t producers_word(unsigned producer, uint64_t number)
{
    return (uint64_t)producer << 56 | number;
}

/* What comes next of each producer. */
struct producers_next {
    uint64_t word[PRODUCERS_MOST + 1];
};

/* A producer that there is not is never expected: its words are not 0. */
BENCH_INLINE void producers_expect(struct producers_next *next, unsigned n, uint64_t first)
{
    for (unsigned i = 0; i <= PRODUCERS_MOST; i++) {
        next->word[i] = i < n ? producers_word(i, first) : 0;
    }
}

/* 0 if the element is one of those expected. */
BENCH_INLINE uint64_t producers_wrong(struct producers_next *next, uint64_t word)
{
    return word ^ next->word[producers_of(word) & PRODUCERS_MOST]++;
}

/* One at a time. */
#define PRODUCERS_ONE(WHO, TYPE, P)                                                \
    static uint64_t WHO##_one_from_##P(const struct bench_turn *turn)              \
    {                                                                              \
        TYPE *queue = (TYPE *)turn->state;                                         \
        struct element_8 elem = {{producers_word(turn->side, turn->first / (P))}}; \
        for (uint64_t i = 0; i != turn->n / (P); i++) {                            \
            unsigned tries = 0;                                                    \
            while (!WHO##_from(queue, turn->side, &elem)) {                        \
                bench_retry(&tries);                                               \
            }                                                                      \
            elem.words[0]++;                                                       \
        }                                                                          \
        return 0;                                                                  \
    }                                                                              \
    static uint64_t WHO##_one_to_##P(const struct bench_turn *turn)                \
    {                                                                              \
        TYPE *queue = (TYPE *)turn->state;                                         \
        struct producers_next next;                                                \
        struct element_8 elem = {{0}};                                             \
        uint64_t wrong = 0;                                                        \
        producers_expect(&next, (P), turn->first / (P));                           \
        for (uint64_t i = 0; i != turn->n; i++) {                                  \
            unsigned tries = 0;                                                    \
            while (!WHO##_to(queue, &elem)) {                                      \
                bench_retry(&tries);                                               \
            }                                                                      \
            wrong |= producers_wrong(&next, elem.words[0]);                        \
        }                                                                          \
        return wrong;                                                              \
    }

/* 32 at a time, from and to an array that starts a page (queue.h). */
#define PRODUCERS_BATCH(WHO, TYPE, P)                                                \
    static uint64_t WHO##_batch_from_##P(const struct bench_turn *turn)              \
    {                                                                                \
        TYPE *queue = (TYPE *)turn->state;                                           \
        struct {                                                                     \
            struct element_8 at[QUEUE_BATCH_LEN];                                    \
        } BENCH_ALIGNED(BENCH_PAGE) batch = {{{{0}}}};                               \
        uint64_t word = producers_word(turn->side, turn->first / (P));               \
        for (uint64_t i = 0; i != turn->n / (P); i += QUEUE_BATCH_LEN) {             \
            unsigned tries = 0;                                                      \
            queue_fill_run(batch.at, 8, word + i, QUEUE_BATCH_LEN, 8);               \
            QUEUE_USED(batch);                                                       \
            for (uint32_t done = 0; done != QUEUE_BATCH_LEN;) {                      \
                uint32_t left = QUEUE_BATCH_LEN - done;                              \
                uint32_t n = WHO##_from_n(queue, turn->side, batch.at + done, left); \
                done += n;                                                           \
                if (n == 0) {                                                        \
                    bench_retry(&tries);                                             \
                }                                                                    \
            }                                                                        \
        }                                                                            \
        return 0;                                                                    \
    }                                                                                \
    static uint64_t WHO##_batch_to_##P(const struct bench_turn *turn)                \
    {                                                                                \
        TYPE *queue = (TYPE *)turn->state;                                           \
        struct {                                                                     \
            struct element_8 at[QUEUE_BATCH_LEN];                                    \
        } BENCH_ALIGNED(BENCH_PAGE) batch = {{{{0}}}};                               \
        struct producers_next next;                                                  \
        uint64_t wrong = 0;                                                          \
        unsigned tries = 0;                                                          \
        producers_expect(&next, (P), turn->first / (P));                             \
        for (uint64_t i = 0; i != turn->n;) {                                        \
            uint32_t n = WHO##_to_n(queue, batch.at, QUEUE_BATCH_LEN);               \
            if (n == 0) {                                                            \
                bench_retry(&tries);                                                 \
                continue;                                                            \
            }                                                                        \
            tries = 0;                                                               \
            QUEUE_USED(batch);                                                       \
            for (uint32_t k = 0; k < n; k++) {                                       \
                wrong |= producers_wrong(&next, batch.at[k].words[0]);               \
            }                                                                        \
            i += n;                                                                  \
        }                                                                            \
        return wrong;                                                                \
    }

/* ---- rows of a table of cases ---------------------------------------------------------------- */

#define PRODUCERS_SIDES_1(FROM, TO)                  \
    {                                                \
        FROM, TO, NULL, NULL, NULL, NULL, NULL, NULL \
    }
#define PRODUCERS_SIDES_3(FROM, TO)                  \
    {                                                \
        FROM, FROM, FROM, TO, NULL, NULL, NULL, NULL \
    }

/* SLOWER: as in queue.h. */
#define PRODUCERS_CASE(ROW, P, NAME, WHO, LOOP, PREPARE, FINISH, SLOWER)                          \
    {                                                                                             \
        "producers/8B/" #P "p1c/" ROW, NAME, false, (P) + 1, 0, (P) * (PRODUCERS_OPS / (SLOWER)), \
            (P)*PRODUCERS_WARM, 8, PRODUCERS_CAPACITY, PREPARE, FINISH,                           \
            PRODUCERS_SIDES_##P(WHO##_##LOOP##_from_##P, WHO##_##LOOP##_to_##P)                   \
    }

#endif
