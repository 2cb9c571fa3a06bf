/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/broadcast.h - a region with one broadcast in it, elements of which every byte is a
 * function of number and place, the words that a writer of a given number leaves behind, and a
 * count of what a reader was given and told that it lost.
 */
#ifndef CROSSVM_TESTS_SUPPORT_BROADCAST_H
#define CROSSVM_TESTS_SUPPORT_BROADCAST_H

#include "snapshot.h"

#define TEST_ELEM_MAX 512u

struct test_broadcast {
    struct test_region region;
    struct crossvm_chunk chunk;
    struct crossvm_broadcast_writer writer;
    struct crossvm_broadcast_reader reader; /* through the read-only mapping */
};

static inline struct crossvm_chunk_decl test_broadcast_decl(uint32_t n_slots, uint32_t elem_len)
{
    const struct crossvm_chunk_decl decl = {
        "stream", CROSSVM_KIND_BROADCAST, n_slots, elem_len, PARTY_A, PARTY_B, 0, 0};
    return decl;
}

static inline void test_broadcast_write(struct test_broadcast *cast)
{
    REQUIRE(crossvm_broadcast_writer_open(&cast->writer, &cast->region.owner.region,
                                          &cast->chunk) == CROSSVM_OK);
}

static inline void test_broadcast_read(const struct test_broadcast *cast,
                                       struct crossvm_broadcast_reader *reader,
                                       enum crossvm_broadcast_start start)
{
    REQUIRE(crossvm_broadcast_reader_open(reader, &cast->region.reader, &cast->chunk, start) ==
            CROSSVM_OK);
}

/* Formats a region with one broadcast, written by PARTY_A and read by PARTY_B; opens both sides. */
static inline void test_broadcast_make(struct test_broadcast *cast, uint32_t n_slots,
                                       uint32_t elem_len)
{
    const struct crossvm_chunk_decl decl = test_broadcast_decl(n_slots, elem_len);
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 0, 0, PARTY_A);
    test_region_make(&cast->region, &plan, PARTY_B);
    cast->chunk = test_find(&cast->region.reader, "stream", CROSSVM_KIND_BROADCAST);
    test_broadcast_write(cast);
    test_broadcast_read(cast, &cast->reader, CROSSVM_BROADCAST_OLDEST);
}

static inline void test_broadcast_drop(struct test_broadcast *cast)
{
    test_region_drop(&cast->region);
}

/* ---- elements ------------------------------------------------------------------------------- */

/* Publishes the writer's next element, of len bytes; the status. */
static inline int test_send(struct crossvm_broadcast_writer *writer, uint32_t len)
{
    unsigned char elem[TEST_ELEM_MAX];
    test_payload_fill(elem, len, crossvm_broadcast_writer_number(writer) + 1);
    return crossvm_broadcast_writer_publish(writer, elem, len);
}

static inline void test_send_each(struct crossvm_broadcast_writer *writer, uint32_t len, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        REQUIRE(test_send(writer, len) == CROSSVM_OK);
    }
}

/* Publishes the writer's next n elements as a batch; the status. */
static inline int test_send_n(struct crossvm_broadcast_writer *writer, uint32_t len, uint32_t n)
{
    unsigned char *elems = (unsigned char *)malloc((size_t)len * n + 1);
    REQUIRE(elems != NULL);
    for (uint32_t i = 0; i < n; i++) {
        test_payload_fill(elems + (size_t)len * i, len,
                          crossvm_broadcast_writer_number(writer) + 1 + i);
    }
    int status = crossvm_broadcast_writer_publish_n(writer, elems, len, n);
    free(elems);
    return status;
}

/* Writes the next element without announcing it, as in the middle of a batch. */
static inline void test_put(struct crossvm_broadcast_writer *writer, uint32_t len)
{
    unsigned char elem[TEST_ELEM_MAX];
    test_payload_fill(elem, len, crossvm_broadcast_writer_number(writer) + 1);
    crossvm_i_broadcast_put(writer, elem, len);
}

/* ---- the shared words ----------------------------------------------------------------------- */

static inline struct crossvm_slots_shm *test_broadcast_control(const struct test_broadcast *cast)
{
    void *at = (unsigned char *)cast->region.writable.base + cast->chunk.off;
    return (struct crossvm_slots_shm *)at;
}

/* Offset of a number's slot from the region's base, as the table in broadcast.h says. */
static inline uint64_t test_broadcast_slot_off(const struct test_broadcast *cast, uint64_t number)
{
    uint64_t stride = 64 + (cast->chunk.len + 63) / 64 * 64;
    return cast->chunk.off + 128 + number % cast->chunk.n * stride;
}

static inline struct crossvm_slot_shm *test_broadcast_slot(const struct test_broadcast *cast,
                                                           uint64_t number)
{
    void *at = (unsigned char *)cast->region.writable.base + test_broadcast_slot_off(cast, number);
    return (struct crossvm_slot_shm *)at;
}

/* Words and elements as a writer has left them whose newest number is `number`, and opens both
 * sides anew: so that tests reach numbers to which nobody can count. */
static inline void test_broadcast_restart_at(struct test_broadcast *cast, uint64_t number)
{
    uint64_t oldest = number < cast->chunk.n ? 1 : number - cast->chunk.n + 1;
    for (uint64_t v = oldest; v <= number; v++) {
        struct crossvm_slot_shm *slot = test_broadcast_slot(cast, v);
        crossvm_store_pair(&slot->mark, &slot->hi, v * 2);
        crossvm_store_relaxed(&slot->len, (uint32_t)cast->chunk.len);
        test_payload_fill(slot + 1, (size_t)cast->chunk.len, v);
    }
    crossvm_store_relaxed(&test_broadcast_control(cast)->latest, (uint32_t)number);
    test_broadcast_write(cast);
    REQUIRE(crossvm_broadcast_writer_number(&cast->writer) == number);
    test_broadcast_read(cast, &cast->reader, CROSSVM_BROADCAST_NEWEST);
}

/* ---- what a reader was given ---------------------------------------------------------------- */

struct test_tally {
    uint64_t first;  /* the number that the reader began with */
    uint64_t last;   /* the last one that it was given or told that it lost */
    uint64_t n_read; /* elements */
    uint64_t n_lost;
};

/* The reader has read nothing yet. */
static inline void test_tally_begin(struct test_tally *tally,
                                    const struct crossvm_broadcast_reader *reader)
{
    tally->first = reader->next;
    tally->last = reader->next - 1;
    tally->n_read = 0;
    tally->n_lost = reader->n_lost;
}

/* An element was read: in order, whole, with exactly those in between lost. */
static inline void test_tally_read(struct test_tally *tally,
                                   const struct crossvm_broadcast_reader *reader,
                                   const struct crossvm_broadcast_info *info, const void *elem)
{
    CHECK(info->number > tally->last);
    CHECK_EQ(info->lost, info->number - tally->last - 1);
    CHECK(test_payload_ok(elem, info->len, info->number));
    tally->n_read++;
    tally->n_lost += info->lost;
    tally->last = info->number;
    CHECK_EQ(reader->n_lost, tally->n_lost);
    CHECK_EQ(crossvm_broadcast_reader_number(reader), tally->last);
}

/* Reads until nothing is left; how many elements there were. */
static inline uint64_t test_tally_drain(struct test_tally *tally,
                                        struct crossvm_broadcast_reader *reader)
{
    unsigned char elem[TEST_ELEM_MAX];
    struct crossvm_broadcast_info info = {0, 0, 0};
    uint64_t n = 0;
    int status = crossvm_broadcast_reader_read(reader, elem, sizeof(elem), &info);
    while (status == CROSSVM_OK) {
        test_tally_read(tally, reader, &info, elem);
        n++;
        status = crossvm_broadcast_reader_read(reader, elem, sizeof(elem), &info);
    }
    CHECK_EQ(status, CROSSVM_EMPTY);
    return n;
}

/* Every number from the first to the newest was read, or was lost, once. */
static inline void test_tally_exact(const struct test_tally *tally, uint64_t newest)
{
    CHECK_EQ(tally->last, newest);
    CHECK_EQ(tally->n_read + tally->n_lost, newest - tally->first + 1);
}

#endif
