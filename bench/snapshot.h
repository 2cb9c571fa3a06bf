/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/snapshot.h - the loops that every way to share a state is measured with, ours and the
 * peers'. A file defines for its own, WHO, as inline functions:
 *
 *   void *WHO_prepare(const struct bench_case *)
 *   bool WHO_read(TYPE *, unsigned reader, unsigned char *dst, size_t len)   false: not consistent
 *   void WHO_write(TYPE *, const unsigned char *src)
 *
 * and then SNAPSHOT_LOOPS(WHO, TYPE), SNAPSHOT_CASES(NAME, WHO). A state's number stands at its
 * begin, in its middle and at its end: a reader that is given pieces of two has a wrong one. The
 * writer's source and the readers' destinations are private and stay in their caches if they fit.
 *
 *   read-idle      one, two or four readers, nobody writes
 *   read-busy      the same, and one writer that publishes without a pause
 *   write          the writer alone
 */
#ifndef CROSSVM_BENCH_SNAPSHOT_H
#define CROSSVM_BENCH_SNAPSHOT_H

#include "bench.h"

#include <string.h>

#define SNAPSHOT_READERS 4u

/* Private memory of every side; in front of each structure that is shared. */
struct snapshot_private {
    unsigned char *src;                   /* the writer's */
    unsigned char *dst[SNAPSHOT_READERS]; /* each reader's */
    size_t len;
};

BENCH_INLINE void snapshot_private_make(struct snapshot_private *own, size_t len)
{
    own->len = len;
    own->src = (unsigned char *)bench_take(len, BENCH_LINE);
    for (unsigned i = 0; i < SNAPSHOT_READERS; i++) {
        own->dst[i] = (unsigned char *)bench_take(len, BENCH_LINE);
    }
}

BENCH_INLINE void snapshot_number(unsigned char *state, uint64_t number, size_t len)
{
    memcpy(state, &number, 8);
    memcpy(state + len / 2, &number, 8);
    memcpy(state + len - 8, &number, 8);
}

/* 0 if the three numbers are one. */
BENCH_INLINE uint64_t snapshot_wrong(const unsigned char *state, size_t len)
{
    uint64_t numbers[3];
    memcpy(&numbers[0], state, 8);
    memcpy(&numbers[1], state + len / 2, 8);
    memcpy(&numbers[2], state + len - 8, 8);
    return (numbers[0] ^ numbers[1]) | (numbers[0] ^ numbers[2]);
}

/* The compiler is told that the state is used. */
#define SNAPSHOT_USED(state) __asm__ volatile("" : : "r"(state) : "memory")

/* TORN: whether what this one reads may be a mixture, which is then no mistake. */
#define SNAPSHOT_LOOPS(WHO, TYPE, TORN)                                   \
    static uint64_t WHO##_reader(const struct bench_turn *turn)           \
    {                                                                     \
        /* In registers, as an application has them. */                   \
        TYPE *state = (TYPE *)turn->state;                                \
        const unsigned side = turn->side;                                 \
        const size_t len = state->own.len;                                \
        unsigned char *dst = state->own.dst[side];                        \
        uint64_t wrong = 0;                                               \
        for (uint64_t left = turn->n; left != 0; left--) {                \
            unsigned tries = 0;                                           \
            while (!WHO##_read(state, side, dst, len)) {                  \
                bench_retry(&tries);                                      \
            }                                                             \
            SNAPSHOT_USED(dst);                                           \
            uint64_t mixture = snapshot_wrong(dst, len);                  \
            SNAPSHOT_USED(mixture);                                       \
            wrong |= (TORN) ? 0 : mixture;                                \
        }                                                                 \
        return wrong;                                                     \
    }                                                                     \
    static uint64_t WHO##_writer(const struct bench_turn *turn)           \
    {                                                                     \
        TYPE *state = (TYPE *)turn->state;                                \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) { \
            snapshot_number(state->own.src, i, state->own.len);           \
            WHO##_write(state, state->own.src);                           \
        }                                                                 \
        return 0;                                                         \
    }                                                                     \
    static uint64_t WHO##_background(const struct bench_turn *turn)       \
    {                                                                     \
        TYPE *state = (TYPE *)turn->state;                                \
        for (uint64_t i = 0; bench_working(turn); i++) {                  \
            snapshot_number(state->own.src, i, state->own.len);           \
            WHO##_write(state, state->own.src);                           \
        }                                                                 \
        return 0;                                                         \
    }

#define SNAPSHOT_CASE(ROW, NAME, WHO, LEN, SIDES, BACKGROUND, N, ...)                \
    {                                                                                \
        .row = "snapshot/" #LEN "B/" ROW, .who = NAME, .n_sides = SIDES,             \
        .n_background = BACKGROUND, .n_ops = N, .n_warm = (N) / 16, .elem_len = LEN, \
        .prepare = WHO##_prepare, .side = {                                          \
            __VA_ARGS__                                                              \
        }                                                                            \
    }

/* N: operations of a trial. */
#define SNAPSHOT_CASES_OF(NAME, WHO, LEN, N)                                                       \
    SNAPSHOT_CASE("read-idle", NAME, WHO, LEN, 1, 0, N, WHO##_reader),                             \
        SNAPSHOT_CASE("read-idle-2", NAME, WHO, LEN, 2, 0, N, WHO##_reader, WHO##_reader),         \
        SNAPSHOT_CASE("read-idle-4", NAME, WHO, LEN, 4, 0, N, WHO##_reader, WHO##_reader,          \
                      WHO##_reader, WHO##_reader),                                                 \
        SNAPSHOT_CASE("read-busy", NAME, WHO, LEN, 2, 1, (N) / 4, WHO##_reader, WHO##_background), \
        SNAPSHOT_CASE("read-busy-2", NAME, WHO, LEN, 3, 1, (N) / 4, WHO##_reader, WHO##_reader,    \
                      WHO##_background),                                                           \
        SNAPSHOT_CASE("read-busy-4", NAME, WHO, LEN, 5, 1, (N) / 4, WHO##_reader, WHO##_reader,    \
                      WHO##_reader, WHO##_reader, WHO##_background),                               \
        SNAPSHOT_CASE("write", NAME, WHO, LEN, 1, 0, N, WHO##_writer)

#define SNAPSHOT_CASES(NAME, WHO)                                                             \
    SNAPSHOT_CASES_OF(NAME, WHO, 64, 160000), SNAPSHOT_CASES_OF(NAME, WHO, 256, 160000),      \
        SNAPSHOT_CASES_OF(NAME, WHO, 4096, 32000), SNAPSHOT_CASES_OF(NAME, WHO, 65536, 1600), \
        SNAPSHOT_CASES_OF(NAME, WHO, 1048576, 64)

#endif
