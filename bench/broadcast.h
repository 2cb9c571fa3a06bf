/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/broadcast.h - the loops that broadcasts are measured with. A file defines, for its
 * broadcast WHO and each element length LEN, some of these as inline functions, and then the loops
 * around them; TYPE begins with a struct broadcast:
 *
 *   void WHO_publish_LEN(TYPE *, const struct element_LEN *)                   the next one
 *   bool WHO_read_LEN(TYPE *, unsigned reader, struct element_LEN *, uint64_t *number,
 *                     uint64_t *lost)                                          false: nothing new
 *   void WHO_publish_n_LEN(TYPE *, const struct element_LEN *, uint32_t n)
 *   uint32_t WHO_read_n_LEN(TYPE *, unsigned reader, struct element_LEN *, uint32_t n)  how many
 *
 * Elements are numbered from 0, and carry their numbers as those of queues do (queue.h).
 *
 * A writer that never waits is as fast as it loses elements. So there are three questions, each
 * with the same loops for everyone:
 *
 *   one, batch32   without loss. Each reader says now and then, in a line of its own beside the
 *                  broadcast, how many elements it has, and the writer stays within a quarter of
 *                  the slots of the slowest. The time is that of an element which every reader has;
 *                  a loss is a failure.
 *   hop            latency: the writer publishes the next element when the reader has said that it
 *                  has this one. The time is there and back, of which the way back is one line.
 *   flat-out       the writer waits for nobody. The time is that of an element which a reader gets;
 *                  how many it lost meanwhile is counted, and stands beside the time: neither of
 *                  the two says anything without the other.
 *
 * -3 behind a row's name: three readers, which need four CPUs together with the writer; with fewer,
 * report.py says that they had none of their own, and flat-out is left out.
 *
 * Readers are the first sides, the writer is the last one.
 */
#ifndef CROSSVM_BENCH_BROADCAST_H
#define CROSSVM_BENCH_BROADCAST_H

#include "queue.h"

#define BROADCAST_READERS 3u

/* How far each reader is: beside the broadcast, and the same for everyone. */
struct broadcast_seen {
    BENCH_ALIGNED(BENCH_LINE) uint64_t n;
};

struct broadcast {
    struct broadcast_seen seen[BROADCAST_READERS];
    BENCH_ALIGNED(BENCH_LINE) uint64_t n_published; /* the writer's, as the rest */
    uint64_t n_slowest;                             /* elements that all readers have, seen last */
    uint32_t capacity;
    unsigned n_readers;
};

/* A writer that waits for nobody, and takes its reader's CPU, leaves it an element in a while. */
BENCH_INLINE bool broadcast_can(const struct bench_case *self)
{
    return self->n_background == 0 || bench_own_cpus(self);
}

BENCH_INLINE void broadcast_set(struct broadcast *self, const struct bench_case *of)
{
    self->capacity = of->capacity;
    self->n_readers = of->n_sides - 1;
}

/* The writer: waits until every reader has all but the newest `most` elements. */
BENCH_INLINE void broadcast_wait(struct broadcast *self, uint64_t most)
{
    unsigned tries = 0;
    while (self->n_published - self->n_slowest > most) {
        uint64_t slowest = UINT64_MAX;
        for (unsigned i = 0; i < self->n_readers; i++) {
            uint64_t n = __atomic_load_n(&self->seen[i].n, __ATOMIC_ACQUIRE);
            slowest = n < slowest ? n : slowest;
        }
        self->n_slowest = slowest;
        bench_retry(&tries);
    }
}

/* A reader has n elements. */
BENCH_INLINE void broadcast_say(struct broadcast *self, unsigned reader, uint64_t n)
{
    __atomic_store_n(&self->seen[reader].n, n, __ATOMIC_RELEASE);
}

/* Where a reader says it: an eighth of the slots, so that the writer seldom waits. */
BENCH_INLINE bool broadcast_may_say(const struct broadcast *self, uint64_t n_before, uint64_t n)
{
    return (n_before ^ n) >= self->capacity / 8;
}

#define BROADCAST_ONE(WHO, TYPE, LEN)                                            \
    static uint64_t WHO##_one_publish_##LEN(const struct bench_turn *turn)       \
    {                                                                            \
        TYPE *self = (TYPE *)turn->state;                                        \
        struct broadcast *common = (struct broadcast *)turn->state;              \
        struct element_##LEN elem = {{0}};                                       \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {        \
            queue_fill(elem.words, i, LEN);                                      \
            if (LEN > 8) {                                                       \
                QUEUE_USED(elem);                                                \
            }                                                                    \
            broadcast_wait(common, common->capacity / 4 - 1);                    \
            WHO##_publish_##LEN(self, &elem);                                    \
            common->n_published++;                                               \
        }                                                                        \
        return 0;                                                                \
    }                                                                            \
    static uint64_t WHO##_one_read_##LEN(const struct bench_turn *turn)          \
    {                                                                            \
        TYPE *self = (TYPE *)turn->state;                                        \
        struct broadcast *common = (struct broadcast *)turn->state;              \
        struct element_##LEN elem = {{0}};                                       \
        uint64_t wrong = 0;                                                      \
        uint64_t number;                                                         \
        uint64_t lost;                                                           \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {        \
            unsigned tries = 0;                                                  \
            while (!WHO##_read_##LEN(self, turn->side, &elem, &number, &lost)) { \
                bench_retry(&tries);                                             \
            }                                                                    \
            if (LEN > 8) {                                                       \
                QUEUE_USED(elem);                                                \
            }                                                                    \
            wrong |= queue_wrong(elem.words, i, LEN) | (number ^ i) | lost;      \
            if (broadcast_may_say(common, i, i + 1)) {                           \
                broadcast_say(common, turn->side, i + 1);                        \
            }                                                                    \
        }                                                                        \
        broadcast_say(common, turn->side, turn->first + turn->n);                \
        return wrong;                                                            \
    }

/* 32 at a time, from and to an array that starts a page (queue.h). */
#define BROADCAST_BATCH(WHO, TYPE, LEN)                                                   \
    static uint64_t WHO##_batch_publish_##LEN(const struct bench_turn *turn)              \
    {                                                                                     \
        TYPE *self = (TYPE *)turn->state;                                                 \
        struct broadcast *common = (struct broadcast *)turn->state;                       \
        struct {                                                                          \
            struct element_##LEN at[QUEUE_BATCH_LEN];                                     \
        } BENCH_ALIGNED(BENCH_PAGE) batch = {{{{0}}}};                                    \
        uint64_t end = turn->first + turn->n;                                             \
        for (uint64_t i = turn->first; i != end; i += QUEUE_BATCH_LEN) {                  \
            queue_fill_run(batch.at, LEN, i, QUEUE_BATCH_LEN, LEN);                       \
            QUEUE_USED(batch);                                                            \
            broadcast_wait(common, common->capacity / 4 - QUEUE_BATCH_LEN);               \
            WHO##_publish_n_##LEN(self, batch.at, QUEUE_BATCH_LEN);                       \
            common->n_published += QUEUE_BATCH_LEN;                                       \
        }                                                                                 \
        return 0;                                                                         \
    }                                                                                     \
    static uint64_t WHO##_batch_read_##LEN(const struct bench_turn *turn)                 \
    {                                                                                     \
        TYPE *self = (TYPE *)turn->state;                                                 \
        struct broadcast *common = (struct broadcast *)turn->state;                       \
        struct {                                                                          \
            struct element_##LEN at[QUEUE_BATCH_LEN];                                     \
        } BENCH_ALIGNED(BENCH_PAGE) batch = {{{{0}}}};                                    \
        uint64_t wrong = 0;                                                               \
        unsigned tries = 0;                                                               \
        for (uint64_t i = turn->first; i != turn->first + turn->n;) {                     \
            uint32_t n = WHO##_read_n_##LEN(self, turn->side, batch.at, QUEUE_BATCH_LEN); \
            if (n == 0) {                                                                 \
                bench_retry(&tries);                                                      \
                continue;                                                                 \
            }                                                                             \
            tries = 0;                                                                    \
            QUEUE_USED(batch);                                                            \
            wrong |= queue_wrong_run(batch.at, LEN, i, n, LEN);                           \
            if (broadcast_may_say(common, i, i + n)) {                                    \
                broadcast_say(common, turn->side, i + n);                                 \
            }                                                                             \
            i += n;                                                                       \
        }                                                                                 \
        broadcast_say(common, turn->side, turn->first + turn->n);                         \
        return wrong;                                                                     \
    }

#define BROADCAST_HOP(WHO, TYPE, LEN)                                            \
    static uint64_t WHO##_hop_publish_##LEN(const struct bench_turn *turn)       \
    {                                                                            \
        TYPE *self = (TYPE *)turn->state;                                        \
        struct broadcast *common = (struct broadcast *)turn->state;              \
        struct element_##LEN elem = {{0}};                                       \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {        \
            queue_fill(elem.words, i, LEN);                                      \
            if (LEN > 8) {                                                       \
                QUEUE_USED(elem);                                                \
            }                                                                    \
            WHO##_publish_##LEN(self, &elem);                                    \
            common->n_published++;                                               \
            broadcast_wait(common, 0);                                           \
        }                                                                        \
        return 0;                                                                \
    }                                                                            \
    static uint64_t WHO##_hop_read_##LEN(const struct bench_turn *turn)          \
    {                                                                            \
        TYPE *self = (TYPE *)turn->state;                                        \
        struct broadcast *common = (struct broadcast *)turn->state;              \
        struct element_##LEN elem = {{0}};                                       \
        uint64_t wrong = 0;                                                      \
        uint64_t number;                                                         \
        uint64_t lost;                                                           \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) {        \
            unsigned tries = 0;                                                  \
            while (!WHO##_read_##LEN(self, turn->side, &elem, &number, &lost)) { \
                bench_retry(&tries);                                             \
            }                                                                    \
            if (LEN > 8) {                                                       \
                QUEUE_USED(elem);                                                \
            }                                                                    \
            broadcast_say(common, turn->side, i + 1);                            \
            wrong |= queue_wrong(elem.words, i, LEN) | (number ^ i) | lost;      \
        }                                                                        \
        return wrong;                                                            \
    }

/* What was lost in front of a turn's first element was lost while nobody read. */
#define BROADCAST_FLAT_OUT(WHO, TYPE, LEN)                                       \
    static uint64_t WHO##_flat_out_publish_##LEN(const struct bench_turn *turn)  \
    {                                                                            \
        TYPE *self = (TYPE *)turn->state;                                        \
        struct broadcast *common = (struct broadcast *)turn->state;              \
        struct element_##LEN elem = {{0}};                                       \
        while (bench_working(turn)) {                                            \
            queue_fill(elem.words, common->n_published, LEN);                    \
            if (LEN > 8) {                                                       \
                QUEUE_USED(elem);                                                \
            }                                                                    \
            WHO##_publish_##LEN(self, &elem);                                    \
            common->n_published++;                                               \
        }                                                                        \
        return 0;                                                                \
    }                                                                            \
    static uint64_t WHO##_flat_out_read_##LEN(const struct bench_turn *turn)     \
    {                                                                            \
        TYPE *self = (TYPE *)turn->state;                                        \
        struct element_##LEN elem = {{0}};                                       \
        uint64_t wrong = 0;                                                      \
        uint64_t n_lost = 0;                                                     \
        uint64_t next = 0;                                                       \
        for (uint64_t i = 0; i != turn->n; i++) {                                \
            unsigned tries = 0;                                                  \
            uint64_t number;                                                     \
            uint64_t lost;                                                       \
            while (!WHO##_read_##LEN(self, turn->side, &elem, &number, &lost)) { \
                bench_retry(&tries);                                             \
            }                                                                    \
            if (LEN > 8) {                                                       \
                QUEUE_USED(elem);                                                \
            }                                                                    \
            wrong |= queue_wrong(elem.words, number, LEN);                       \
            if (i != 0) {                                                        \
                wrong |= (number - lost) ^ next;                                 \
                n_lost += lost;                                                  \
            }                                                                    \
            next = number + 1;                                                   \
        }                                                                        \
        *turn->n_lost += n_lost;                                                 \
        return wrong;                                                            \
    }

/* ---- rows of a table of cases ---------------------------------------------------------------- */

#define BROADCAST_SIDES_1(READ, PUBLISH)                  \
    {                                                     \
        READ, PUBLISH, NULL, NULL, NULL, NULL, NULL, NULL \
    }
#define BROADCAST_SIDES_3(READ, PUBLISH)                  \
    {                                                     \
        READ, READ, READ, PUBLISH, NULL, NULL, NULL, NULL \
    }

/* Operations of a trial: 1 to 5 ms near. */
#define BROADCAST_OPS_8   (1u << 16)
#define BROADCAST_OPS_64  (1u << 16)
#define BROADCAST_OPS_256 (1u << 15)
#define BROADCAST_HOPS    8192u

#define BROADCAST_CAPACITY 4096u

/* R: readers. BACKGROUND: 1 if the writer goes on for as long as they read, else 0. */
#define BROADCAST_CASE(ROW, LEN, R, NAME, WHO, LOOP, BACKGROUND, N_OPS)                  \
    {                                                                                    \
        "broadcast/" #LEN "B/" ROW, NAME, false, (R) + 1, BACKGROUND, N_OPS,             \
            2 * BROADCAST_CAPACITY, LEN, BROADCAST_CAPACITY, WHO##_prepare, NULL,        \
            BROADCAST_SIDES_##R(WHO##_##LOOP##_read_##LEN, WHO##_##LOOP##_publish_##LEN) \
    }

#define BROADCAST_HOP_CASE(LEN, NAME, WHO) \
    BROADCAST_CASE("hop", LEN, 1, NAME, WHO, hop, 0, BROADCAST_HOPS)

#define BROADCAST_FLAT_OUT_CASES(LEN, NAME, WHO)                                     \
    BROADCAST_CASE("flat-out", LEN, 1, NAME, WHO, flat_out, 1, BROADCAST_OPS_##LEN), \
        BROADCAST_CASE("flat-out-3", LEN, 3, NAME, WHO, flat_out, 1, BROADCAST_OPS_##LEN)

#define BROADCAST_CASES(LEN, NAME, WHO)                                                \
    BROADCAST_CASE("one", LEN, 1, NAME, WHO, one, 0, BROADCAST_OPS_##LEN),             \
        BROADCAST_CASE("one-3", LEN, 3, NAME, WHO, one, 0, BROADCAST_OPS_##LEN),       \
        BROADCAST_CASE("batch32", LEN, 1, NAME, WHO, batch, 0, BROADCAST_OPS_##LEN),   \
        BROADCAST_CASE("batch32-3", LEN, 3, NAME, WHO, batch, 0, BROADCAST_OPS_##LEN), \
        BROADCAST_HOP_CASE(LEN, NAME, WHO), BROADCAST_FLAT_OUT_CASES(LEN, NAME, WHO)

#endif
