/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/broadcast_line.c - "one-line", the limit: the writer stores a number and the element
 * into one cache line, and readers poll it. It keeps nothing, so there is no row without loss but
 * hop, and it holds 8 bytes.
 */
#include "../broadcast.h"

struct line {
    struct broadcast common;
    BENCH_ALIGNED(BENCH_LINE) uint64_t stamp; /* 2 (number + 1), odd while it is written */
    uint64_t word;
    struct {
        BENCH_ALIGNED(BENCH_LINE) uint64_t next;
    } readers[BROADCAST_READERS];
};

static void *line_prepare(const struct bench_case *self)
{
    if (!broadcast_can(self)) {
        return NULL;
    }
    struct line *line = bench_take(sizeof(*line), BENCH_LINE);
    broadcast_set(&line->common, self);
    return line;
}

BENCH_INLINE void line_publish_8(struct line *line, const struct element_8 *elem)
{
    uint64_t stamp = line->stamp;
    __atomic_store_n(&line->stamp, stamp + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&line->word, elem->words[0], __ATOMIC_RELAXED);
    __atomic_store_n(&line->stamp, stamp + 2, __ATOMIC_RELEASE);
}

BENCH_INLINE bool line_read_8(struct line *line, unsigned reader, struct element_8 *elem,
                              uint64_t *number, uint64_t *lost)
{
    uint64_t *next = &line->readers[reader].next;
    uint64_t stamp = __atomic_load_n(&line->stamp, __ATOMIC_ACQUIRE);
    if (stamp % 2 != 0 || stamp / 2 == *next) {
        return false;
    }
    elem->words[0] = __atomic_load_n(&line->word, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&line->stamp, __ATOMIC_RELAXED) != stamp) {
        return false;
    }
    *number = stamp / 2 - 1;
    *lost = *number - *next;
    *next = stamp / 2;
    return true;
}

BROADCAST_HOP(line, struct line, 8)
BROADCAST_FLAT_OUT(line, struct line, 8)

static const struct bench_case cases[] = {
    BROADCAST_HOP_CASE(8, "one-line", line),
    BROADCAST_FLAT_OUT_CASES(8, "one-line", line),
};

BENCH_REGISTER(cases)
