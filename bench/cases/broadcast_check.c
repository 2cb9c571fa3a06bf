/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/broadcast_check.c - "copy-and-check": a broadcast as Aeron's works, written here from
 * its idea. One buffer of records and three counters in a line of their own, all of the writer's:
 * the intent goes first, then the record is written, then the tail follows. A reader copies a
 * record and then looks whether the intent has lapped it; if so, what it copied is nothing, and it
 * goes on at the latest record. It judges nothing else: it trusts the writer and its own buffer.
 * Lengths are fixed here, so counters count records.
 */
#include "../broadcast.h"

#include <string.h>

#define HEADER_LEN 8u /* length and type, as a user of messages has them */

struct check_line {
    BENCH_ALIGNED(BENCH_LINE) uint64_t intent; /* records that are written, or may be by now */
    uint64_t tail;                             /* records that are there */
};

struct check_reader {
    BENCH_ALIGNED(BENCH_LINE) uint64_t next;
};

struct check {
    struct broadcast common;
    struct check_line line;
    struct check_reader readers[BROADCAST_READERS];
    BENCH_ALIGNED(BENCH_LINE) unsigned char *records;
    size_t stride;
    uint64_t mask;
};

static void *check_prepare(const struct bench_case *self)
{
    if (!broadcast_can(self)) {
        return NULL;
    }
    struct check *check = bench_take(sizeof(*check), BENCH_LINE);
    broadcast_set(&check->common, self);
    check->stride = self->elem_len + HEADER_LEN;
    check->mask = self->capacity - 1;
    check->records = bench_take(check->stride * self->capacity, BENCH_LINE);
    return check;
}

/* Where a record lies. len: the compiler's constant. */
BENCH_INLINE unsigned char *check_at(const struct check *check, uint64_t number, size_t len)
{
    return check->records + (number & check->mask) * (len + HEADER_LEN);
}

BENCH_INLINE void check_publish(struct check *check, const void *elems, size_t len, uint32_t n)
{
    static const uint32_t type = 1;
    const unsigned char *from = elems;
    uint32_t header[2] = {(uint32_t)len, type};
    uint64_t tail = check->line.tail;
    __atomic_store_n(&check->line.intent, tail + n, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (uint32_t i = 0; i < n; i++, from += len) {
        unsigned char *record = check_at(check, tail + i, len);
        memcpy(record, header, HEADER_LEN);
        memcpy(record + HEADER_LEN, from, len);
    }
    __atomic_store_n(&check->line.tail, tail + n, __ATOMIC_RELEASE);
}

/* Copies up to n records that are there, one behind the other: how many. */
BENCH_INLINE uint32_t check_read(struct check *check, unsigned index, void *elems, size_t len,
                                 uint32_t n, uint64_t *lost)
{
    struct check_reader *reader = &check->readers[index];
    unsigned char *to = elems;
    uint64_t tail = __atomic_load_n(&check->line.tail, __ATOMIC_ACQUIRE);
    uint64_t first = reader->next;
    if (tail == first) {
        return 0;
    }
    if (__atomic_load_n(&check->line.intent, __ATOMIC_ACQUIRE) - first > check->mask + 1) {
        first = tail - 1;
    }
    n = tail - first < n ? (uint32_t)(tail - first) : n;
    for (uint32_t i = 0; i < n; i++, to += len) {
        memcpy(to, check_at(check, first + i, len) + HEADER_LEN, len);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&check->line.intent, __ATOMIC_RELAXED) - first > check->mask + 1) {
        return 0;
    }
    *lost = first - reader->next;
    reader->next = first + n;
    return n;
}

#define CHECK(LEN)                                                                               \
    BENCH_INLINE void check_publish_##LEN(struct check *check, const struct element_##LEN *elem) \
    {                                                                                            \
        check_publish(check, elem, LEN, 1);                                                      \
    }                                                                                            \
    BENCH_INLINE bool check_read_##LEN(struct check *check, unsigned reader,                     \
                                       struct element_##LEN *elem, uint64_t *number,             \
                                       uint64_t *lost)                                           \
    {                                                                                            \
        if (check_read(check, reader, elem, LEN, 1, lost) == 0) {                                \
            return false;                                                                        \
        }                                                                                        \
        *number = check->readers[reader].next - 1;                                               \
        return true;                                                                             \
    }                                                                                            \
    BENCH_INLINE void check_publish_n_##LEN(struct check *check,                                 \
                                            const struct element_##LEN *elems, uint32_t n)       \
    {                                                                                            \
        check_publish(check, elems, LEN, n);                                                     \
    }                                                                                            \
    BENCH_INLINE uint32_t check_read_n_##LEN(struct check *check, unsigned reader,               \
                                             struct element_##LEN *elems, uint32_t n)            \
    {                                                                                            \
        uint64_t lost;                                                                           \
        return check_read(check, reader, elems, LEN, n, &lost);                                  \
    }                                                                                            \
    BROADCAST_ONE(check, struct check, LEN)                                                      \
    BROADCAST_BATCH(check, struct check, LEN)                                                    \
    BROADCAST_HOP(check, struct check, LEN)                                                      \
    BROADCAST_FLAT_OUT(check, struct check, LEN)

CHECK(8)
CHECK(64)
CHECK(256)

static const struct bench_case cases[] = {
    BROADCAST_CASES(8, "copy-and-check", check),
    BROADCAST_CASES(64, "copy-and-check", check),
    BROADCAST_CASES(256, "copy-and-check", check),
};

BENCH_REGISTER(cases)
