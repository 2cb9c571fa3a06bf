/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: blocks that are lent to one reader or to many and come back, every status of every call,
 * ids that are stale or forged, generations around 2^32, and the account at every step.
 */
#include "../support/damage.h"
#include "../support/pool.h"

enum {
    N = 5,
    LEN = 200
};

static struct test_pool pool;

static void collect(int n_freed)
{
    CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), n_freed);
}

/* ---- lending and giving back ---------------------------------------------------------------- */

static void a_block_goes_to_a_reader_and_comes_back(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 1);
    test_pool_account(&pool, N, 0);
    for (uint64_t value = 1; value < 40; value++) {
        uint32_t len = (uint32_t)(value * 5 % (LEN + 1));
        (void)test_pool_lend(&pool, value, len, 1, &id);
        test_pool_account(&pool, N - 1, 1);
        collect(0);
        test_pool_use(&pool, 0, &id, value, len);
        test_pool_account(&pool, N - 1, 1);
        collect(1);
        test_pool_account(&pool, N, 0);
    }
    test_pool_drop(&pool);
}

static void it_is_free_when_the_last_of_many_gave_it_back(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 4);
    for (uint32_t readers = 1; readers < 16; readers++) {
        (void)test_pool_lend(&pool, readers, LEN, readers, &id);
        uint32_t left = readers;
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t r = (i + readers) % 4;
            if ((readers >> r & 1) != 0) {
                test_pool_use(&pool, r, &id, readers, LEN);
                left &= ~(1u << r);
                collect(left == 0);
                test_pool_account(&pool, left == 0 ? N : N - 1, left != 0);
            }
        }
    }
    test_pool_drop(&pool);
}

static void a_block_may_be_given_back_by_several_before_anyone_looks(void)
{
    struct crossvm_pool_id ids[3];
    test_pool_make(&pool, N, LEN, 2);
    for (uint32_t i = 0; i < 3; i++) {
        (void)test_pool_lend(&pool, i, LEN, i + 1, &ids[i]);
    }
    test_pool_use(&pool, 1, &ids[2], 2, LEN);
    test_pool_use(&pool, 0, &ids[2], 2, LEN);
    test_pool_use(&pool, 1, &ids[1], 1, LEN);
    collect(2);
    test_pool_account(&pool, N - 1, 1);
    test_pool_use(&pool, 0, &ids[0], 0, LEN);
    collect(1);
    collect(0);
    test_pool_drop(&pool);
}

static void all_blocks_can_be_lent_and_no_more(void)
{
    struct crossvm_pool_id ids[N];
    uint32_t block = 99;
    bool seen[N] = {false};
    test_pool_make(&pool, N, LEN, 1);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < N; i++) {
            uint32_t number = test_pool_lend(&pool, round * N + i, LEN, 1, &ids[i]);
            REQUIRE(number < N);
            CHECK(round != 0 || !seen[number]);
            seen[number] = true;
        }
        block = 99;
        CHECK_EQ(crossvm_pool_owner_allocate(&pool.owner, &block), CROSSVM_FULL);
        CHECK_EQ(block, 99);
        test_pool_account(&pool, 0, N);
        for (uint32_t i = 0; i < N; i++) {
            test_pool_use(&pool, 0, &ids[i], round * N + i, LEN);
        }
        CHECK_EQ(crossvm_pool_owner_allocate(&pool.owner, &block), CROSSVM_FULL);
        collect(N);
        test_pool_account(&pool, N, 0);
    }
    test_pool_drop(&pool);
}

static void a_pool_may_have_one_block_and_blocks_of_one_byte(void)
{
    struct crossvm_pool_id id;
    uint32_t block;
    test_pool_make(&pool, 1, 1, 1);
    for (uint64_t value = 1; value < 10; value++) {
        CHECK_EQ(test_pool_lend(&pool, value, 1, 1, &id), 0);
        CHECK_EQ(crossvm_pool_owner_allocate(&pool.owner, &block), CROSSVM_FULL);
        test_pool_use(&pool, 0, &id, value, 1);
        collect(1);
    }
    test_pool_drop(&pool);
}

static void blocks_do_not_touch_each_other(void)
{
    struct crossvm_pool_id ids[N];
    test_pool_make(&pool, N, 64, 1);
    for (uint32_t i = 0; i < N; i++) {
        (void)test_pool_lend(&pool, i + 1, 64, 1, &ids[i]);
    }
    for (uint32_t i = 0; i < N; i++) {
        struct crossvm_pool_view view;
        test_pool_expect(&pool, 0, &ids[i], i + 1, 64, &view);
        CHECK_EQ((uintptr_t)view.payload % 64, 0);
    }
    test_pool_drop(&pool);
}

/* ---- what calls refuse ---------------------------------------------------------------------- */

static void lending_judges_what_the_owner_says(void)
{
    struct crossvm_pool_id id;
    uint32_t block = 0;
    test_pool_make(&pool, N, LEN, 2);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, 0, LEN, 1, &id), CROSSVM_INVALID);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN + 1, 1, &id), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, 0, &id), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, 4, &id), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, 0x80000001u, &id), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, N, LEN, 1, &id), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, UINT32_MAX, LEN, 1, &id), CROSSVM_INVALID);
    test_pool_account(&pool, N - 1, 0);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, 3, &id), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, 3, &id), CROSSVM_INVALID);
    test_pool_account(&pool, N - 1, 1);
    test_pool_drop(&pool);
}

static void only_a_block_that_is_being_filled_can_be_written(void)
{
    struct crossvm_pool_id id;
    const unsigned char bytes[LEN] = {1, 2, 3};
    uint32_t block = 0;
    test_pool_make(&pool, N, LEN, 1);
    CHECK(crossvm_pool_owner_raw(&pool.owner, 0) == NULL);
    CHECK(crossvm_pool_owner_raw(&pool.owner, N) == NULL);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, 0, 0, bytes, 1), CROSSVM_INVALID);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, 0, bytes, LEN), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, LEN - 3, bytes, 3), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, LEN, bytes, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, 0, bytes, LEN + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, LEN - 2, bytes, 3), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, LEN + 1, bytes, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, UINT32_MAX, bytes, 2), CROSSVM_INVALID);
    const unsigned char *raw = (const unsigned char *)crossvm_pool_owner_raw(&pool.owner, block);
    REQUIRE(raw != NULL);
    CHECK(memcmp(raw, bytes, LEN - 3) == 0 && memcmp(raw + LEN - 3, bytes, 3) == 0);
    REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, LEN, 1, &id) == CROSSVM_OK);
    CHECK(crossvm_pool_owner_raw(&pool.owner, block) == NULL);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, 0, bytes, 1), CROSSVM_INVALID);
    test_pool_drop(&pool);
}

static void a_copy_needs_room_and_says_how_much(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    unsigned char copy[LEN + 1];
    test_pool_make(&pool, N, LEN, 1);
    for (uint32_t len = 0; len <= LEN; len += 50) {
        (void)test_pool_lend(&pool, len + 1, len, 1, &id);
        memset(copy, 0xee, sizeof(copy));
        CHECK_EQ(crossvm_pool_reader_copy(&pool.side[0].reader, &id, copy, len, &view), CROSSVM_OK);
        CHECK(test_payload_ok(copy, len, len + 1) && copy[len] == 0xee);
        CHECK_EQ(view.len, len);
        if (len != 0) {
            CHECK_EQ(crossvm_pool_reader_copy(&pool.side[0].reader, &id, copy, len - 1, &view),
                     CROSSVM_NO_SPACE);
            CHECK_EQ(view.len, len);
        }
        CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[0].reader, &view), CROSSVM_OK);
    }
    test_pool_drop(&pool);
}

/* ---- ids ------------------------------------------------------------------------------------ */

static void an_id_is_seven_literal_words(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 1);
    uint32_t block = test_pool_lend(&pool, 1, LEN, 1, &id);
    CHECK_EQ(sizeof(id), 28);
    CHECK_EQ(damage_get(&id, 0), 0x00090107);
    CHECK(damage_is_zero((const unsigned char *)&id + 4, 12));
    CHECK_EQ(damage_get(&id, 16), pool.chunk.generation);
    CHECK_EQ(damage_get(&id, 20), test_pool_off(&pool, block) / 64);
    CHECK_EQ(damage_get(&id, 24), 2);
    CHECK_EQ(crossvm_load_relaxed(&test_pool_header(&pool, block)->number), block);
    CHECK_EQ(crossvm_load_relaxed(&test_pool_header(&pool, block)->len), LEN);
    test_pool_drop(&pool);
}

static void a_stale_id_is_refused(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_id next;
    struct crossvm_pool_view view;
    struct crossvm_pool_view old;
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    uint32_t block;
    test_pool_make(&pool, 1, LEN, 2);
    (void)test_pool_lend(&pool, 1, LEN, 3, &id);
    test_pool_expect(&pool, 1, &id, 1, LEN, &old);
    test_pool_use(&pool, 0, &id, 1, LEN);
    /* Reader 1 still has it. */
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    test_pool_expect(&pool, 1, &id, 1, LEN, &view);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, 0, 2), 0);
    collect(1);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_pool_reader_check(&pool.side[1].reader, &old), CROSSVM_TORN);
    REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, LEN, 1, &next) == CROSSVM_OK);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_pool_reader_check(&pool.side[1].reader, &old), CROSSVM_TORN);
    CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[1].reader, &old), CROSSVM_TORN);
    CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[1].reader, &old), CROSSVM_INVALID);
    collect(0);
    CHECK_EQ(test_pool_find(&pool, 0, &next, &view), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_give_back(reader, &view), CROSSVM_OK);
    test_pool_drop(&pool);
}

/* The id with another value in one of its words. */
static int find_with(const struct crossvm_pool_id *id, size_t off, uint32_t value)
{
    struct crossvm_pool_id forged = *id;
    struct crossvm_pool_view view;
    damage_put(&forged, off, value);
    return test_pool_find(&pool, 0, &forged, &view);
}

static void an_id_of_another_region_is_refused(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 1);
    (void)test_pool_lend(&pool, 1, LEN, 1, &id);
    for (size_t off = 0; off < 16; off += 4) {
        for (unsigned bit = 0; bit < 32; bit += 31) {
            CHECK_EQ(find_with(&id, off, damage_get(&id, off) ^ 1u << bit), CROSSVM_INVALID);
        }
    }
    test_pool_drop(&pool);
}

static void an_id_where_no_block_begins_is_refused(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 1);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t block = test_pool_lend(&pool, i, LEN, 1, &id);
        uint64_t mine = test_pool_off(&pool, block) / 64;
        for (uint64_t unit = 0; unit < pool.region.writable.len / 64 + 8; unit++) {
            int status = find_with(&id, 20, (uint32_t)unit);
            bool begins = unit * 64 >= test_pool_off(&pool, 0) &&
                          unit * 64 < test_pool_off(&pool, N) &&
                          (unit * 64 - test_pool_off(&pool, 0)) % (64 + 256) == 0;
            if (unit != mine) {
                CHECK(status == (begins ? CROSSVM_NOT_FOUND : CROSSVM_INVALID) ||
                      (begins && status == CROSSVM_OK));
            } else {
                CHECK_EQ(status, CROSSVM_OK);
            }
        }
        CHECK_EQ(find_with(&id, 20, (uint32_t)mine | 0x80000000u), CROSSVM_INVALID);
        CHECK_EQ(find_with(&id, 20, UINT32_MAX), CROSSVM_INVALID);
    }
    test_pool_drop(&pool);
}

/* Bytes of a payload that look exactly like a block, at a place where none begins. */
static void a_payload_that_looks_like_a_block_is_none(void)
{
    struct crossvm_pool_id id;
    uint32_t block = 0;
    test_pool_make(&pool, N, LEN, 1);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    unsigned char *raw = (unsigned char *)crossvm_pool_owner_raw(&pool.owner, block);
    REQUIRE(raw != NULL);
    for (uint32_t number = 0; number <= N; number++) {
        for (uint32_t at = 0; at + 64 <= LEN; at += 64) {
            damage_put(raw, at, 2);
            damage_put(raw, at + 4, 1);
            damage_put(raw, at + 8, number == N ? UINT32_MAX : number);
        }
        if (number == 0) {
            REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, LEN, 1, &id) == CROSSVM_OK);
        }
        for (uint32_t unit = 1; unit < 5; unit++) {
            CHECK_EQ(find_with(&id, 20, damage_get(&id, 20) + unit), CROSSVM_INVALID);
        }
    }
    test_pool_drop(&pool);
}

#if CHECK_OS

/* All pages of the reader's mapping but the pool's fault. */
static void no_id_makes_a_reader_look_outside_the_pool(void)
{
    struct crossvm_pool_id id;
    test_pool_granule = 4096;
    test_pool_make(&pool, 31, 64, 1);
    test_pool_granule = 128;
    (void)test_pool_lend(&pool, 1, 64, 1, &id);
    unsigned char *base = (unsigned char *)pool.region.read_only.base;
    size_t len = (size_t)pool.region.read_only.len;
    size_t end = (size_t)(pool.chunk.off + pool.chunk.length);
    CHECK_EQ(pool.chunk.length, 4096); /* exactly full */
    CHECK(end < len);
    REQUIRE(mprotect(base, (size_t)pool.chunk.off, PROT_NONE) == 0);
    REQUIRE(mprotect(base + end, len - end, PROT_NONE) == 0);
    for (uint32_t unit = 0; unit < 2 * len / 64; unit++) {
        int status = find_with(&id, 20, unit);
        CHECK_EQ(status == CROSSVM_OK, unit == damage_get(&id, 20));
    }
    for (uint32_t bit = 10; bit < 32; bit++) {
        CHECK_EQ(find_with(&id, 20, damage_get(&id, 20) ^ 1u << bit), CROSSVM_INVALID);
    }
    test_pool_drop(&pool);
}

#endif

static void a_generation_that_is_not_the_blocks_is_refused(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 1);
    CHECK_EQ(crossvm_pool_owner_n_free(&pool.owner), N);
    uint32_t block = test_pool_lend(&pool, 1, LEN, 1, &id);
    CHECK_EQ(find_with(&id, 24, 2), CROSSVM_OK);
    for (uint32_t distance = 1; distance != 0; distance <<= 1) {
        CHECK_EQ(find_with(&id, 24, 2 + distance), CROSSVM_NOT_FOUND);
        CHECK_EQ(find_with(&id, 16, pool.chunk.generation + distance), CROSSVM_NOT_FOUND);
    }
    CHECK_EQ(find_with(&id, 24, 0), CROSSVM_NOT_FOUND);
    /* A block that is nobody's is not found by the word that says so. */
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, 1), 1);
    CHECK_EQ(crossvm_load_relaxed(&test_pool_header(&pool, block)->generation), 3);
    CHECK_EQ(find_with(&id, 24, 3), CROSSVM_NOT_FOUND);
    crossvm_store_relaxed(&test_pool_header(&pool, block)->generation, 0);
    CHECK_EQ(find_with(&id, 24, 0), CROSSVM_NOT_FOUND);
    test_pool_drop(&pool);
}

/* ---- generations ---------------------------------------------------------------------------- */

static void generations_pass_2_to_the_32_and_leave_0_out(void)
{
    struct crossvm_pool_id id;
    const uint32_t expected[] = {0xfffffffcu, 0xfffffffeu, 2, 4};
    test_pool_make_closed(&pool, 1, LEN, 1);
    crossvm_store_relaxed(&test_pool_header(&pool, 0)->generation, 0xfffffffbu);
    test_pool_open_owner(&pool);
    test_pool_open_reader(&pool, 0);
    test_pool_link(&pool);
    for (uint32_t i = 0; i < 4; i++) {
        (void)test_pool_lend(&pool, i, LEN, 1, &id);
        CHECK_EQ(damage_get(&id, 24), expected[i]);
        test_pool_use(&pool, 0, &id, i, LEN);
        collect(1);
        CHECK_EQ(crossvm_load_relaxed(&test_pool_header(&pool, 0)->generation), (expected[i] | 1));
    }
    test_pool_drop(&pool);
}

static void what_was_given_back_long_ago_is_not_given_back_now(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, 1, LEN, 2);
    /* As if 2^31 contents had passed since. */
    crossvm_store_relaxed(test_pool_returned(&pool, 0, 0), 4);
    crossvm_store_relaxed(test_pool_returned(&pool, 1, 0), 2);
    (void)test_pool_lend(&pool, 1, LEN, 3, &id);
    CHECK_EQ(damage_get(&id, 24), 6);
    crossvm_store_relaxed(&test_pool_returns(&pool, 0)->count, 77);
    crossvm_store_relaxed(&test_pool_returns(&pool, 1)->count, 77);
    collect(0);
    test_pool_account(&pool, 0, 1);
    test_pool_use(&pool, 0, &id, 1, LEN);
    test_pool_use(&pool, 1, &id, 1, LEN);
    collect(1);
    test_pool_drop(&pool);
}

/* ---- giving back ---------------------------------------------------------------------------- */

static void giving_back_twice_is_like_once(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    struct crossvm_pool_view again;
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    test_pool_make(&pool, 2, LEN, 2);
    (void)test_pool_lend(&pool, 1, LEN, 3, &id);
    test_pool_expect(&pool, 0, &id, 1, LEN, &view);
    again = view;
    CHECK_EQ(crossvm_pool_reader_give_back(reader, &view), CROSSVM_OK);
    CHECK(view.header == NULL && view.payload == NULL);
    CHECK_EQ(crossvm_pool_reader_check(reader, &view), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_reader_give_back(reader, &view), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_reader_give_back(reader, &again), CROSSVM_OK);
    collect(0);
    test_pool_account(&pool, 1, 1);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    test_pool_open_reader(&pool, 0);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    test_pool_use(&pool, 1, &id, 1, LEN);
    collect(1);
    test_pool_account(&pool, 2, 0);
    test_pool_drop(&pool);
}

static void what_is_not_lent_to_a_reader_it_cannot_end(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, 2, LEN, 2);
    (void)test_pool_lend(&pool, 1, LEN, 2, &id);
    test_pool_use(&pool, 0, &id, 1, LEN);
    collect(0);
    test_pool_account(&pool, 1, 1);
    test_pool_use(&pool, 1, &id, 1, LEN);
    collect(1);
    test_pool_drop(&pool);
}

static void a_reader_without_a_part_of_its_own_can_read(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    struct crossvm_pool_reader reader;
    test_pool_make(&pool, 2, LEN, 1);
    (void)test_pool_lend(&pool, 1, LEN, 1, &id);
    REQUIRE(crossvm_pool_reader_open(&reader, &pool.side[0].region, &pool.chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_find(&reader, &id, &view), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_check(&reader, &view), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_give_back(&reader, &view), CROSSVM_NOT_YET);
    CHECK(view.header != NULL);
    CHECK_EQ(crossvm_pool_reader_give_back_all(&reader), CROSSVM_NOT_YET);
    collect(0);
    test_pool_drop(&pool);
}

static void a_view_of_a_larger_pool_is_none_of_this_one(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    struct damage_image image;
    test_pool_make(&pool, N, LEN, 1);
    (void)test_pool_lend(&pool, 1, LEN, 1, &id);
    test_pool_expect(&pool, 0, &id, 1, LEN, &view);
    view.number = N;
    damage_take(&image, &pool.side[0].own.writable);
    CHECK_REFUSED(&image, crossvm_pool_reader_give_back(&pool.side[0].reader, &view),
                  CROSSVM_INVALID);
    damage_drop(&image);
    test_pool_drop(&pool);
}

static void a_reader_that_knows_nothing_gives_back_all(void)
{
    struct crossvm_pool_id ids[N];
    struct crossvm_pool_view view;
    test_pool_make(&pool, N, LEN, 2);
    (void)test_pool_lend(&pool, 0, LEN, 1, &ids[0]);
    (void)test_pool_lend(&pool, 1, LEN, 3, &ids[1]);
    (void)test_pool_lend(&pool, 2, LEN, 2, &ids[2]);
    test_pool_open_reader(&pool, 0);
    collect(0);
    CHECK_EQ(crossvm_pool_reader_give_back_all(&pool.side[0].reader), CROSSVM_OK);
    CHECK_EQ(test_pool_find(&pool, 0, &ids[1], &view), CROSSVM_NOT_FOUND);
    collect(1);
    test_pool_account(&pool, N - 2, 2);
    CHECK_EQ(crossvm_pool_owner_n_lent(&pool.owner, 0), 0);
    CHECK_EQ(crossvm_pool_owner_n_lent(&pool.owner, 1), 2);
    CHECK_EQ(test_pool_find(&pool, 0, &ids[0], &view), CROSSVM_NOT_FOUND);
    /* What is lent afterwards is not meant. */
    (void)test_pool_lend(&pool, 3, LEN, 1, &ids[3]);
    collect(0);
    test_pool_use(&pool, 0, &ids[3], 3, LEN);
    test_pool_use(&pool, 1, &ids[1], 1, LEN);
    test_pool_use(&pool, 1, &ids[2], 2, LEN);
    collect(3);
    for (uint32_t i = 0; i < N; i++) {
        (void)test_pool_lend(&pool, i, LEN, 1, &ids[i]);
    }
    uint32_t before = crossvm_pool_reader_count(&pool.side[0].reader);
    CHECK_EQ(crossvm_pool_reader_give_back_all(&pool.side[0].reader), CROSSVM_OK);
    /* Who waits for all of them is rung. */
    CHECK(crossvm_pool_reader_count(&pool.side[0].reader) - before >= N);
    collect(N);
    test_pool_account(&pool, N, 0);
    test_pool_drop(&pool);
}

static void the_count_of_blocks_given_back_runs_freely(void)
{
    struct crossvm_pool_id id;
    uint32_t count;
    test_pool_make(&pool, N, LEN, 1);
    crossvm_store_relaxed(&test_pool_returns(&pool, 0)->count, UINT32_MAX - 2);
    REQUIRE(test_pool_try_bind(&pool, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_count(&pool.side[0].reader), UINT32_MAX - 1);
    for (uint32_t i = 0; i < 5; i++) {
        (void)test_pool_lend(&pool, i, LEN, 1, &id);
        test_pool_use(&pool, 0, &id, i, LEN);
        CHECK_EQ(crossvm_pool_reader_count(&pool.side[0].reader), UINT32_MAX + i);
        collect(1);
        CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_OK);
        CHECK_EQ(count, UINT32_MAX + i);
    }
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 1, &count), CROSSVM_INVALID);
    CHECK_EQ(count, 0);
    test_pool_drop(&pool);
}

/* An owner that waits for blocks begins at that count. */
static void the_count_is_the_parts_from_the_link_on(void)
{
    struct crossvm_pool_id id;
    uint32_t count;
    test_pool_make(&pool, N, LEN, 1);
    for (uint32_t i = 0; i < 50; i++) {
        (void)test_pool_lend(&pool, i, LEN, 1, &id);
        test_pool_use(&pool, 0, &id, i, LEN);
        collect(1);
    }
    test_pool_open_owner(&pool);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_NOT_YET);
    test_pool_link(&pool);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_OK);
    CHECK_EQ(count, 51);
    REQUIRE(crossvm_region_owner_renew(&pool.side[0].own.owner, &pool.side[0].returns) ==
            CROSSVM_OK);
    test_pool_open_reader(&pool, 0);
    REQUIRE(test_pool_try_link(&pool, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_OK);
    CHECK_EQ(count, 1);
    test_pool_drop(&pool);
}

/* ---- waiting, also with another thread's acts between any two accesses: pool_interleaved -------- */

static void an_owner_arms_only_behind_a_look(void)
{
    struct test_pool_wake wake;
    test_pool_wake_make(&wake);
    test_pool_make(&pool, N, LEN, 1);
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 1, &wake.waiter, 1, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, 0, 0), CROSSVM_INVALID);
    /* What the reader gave back before it was linked was not looked at yet. */
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, 1, 0), 1);
    collect(0);
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, 1, 0), 0);
    test_pool_open_owner(&pool);
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, 1, 0), CROSSVM_NOT_YET);
    test_pool_link(&pool);
    collect(0);
    REQUIRE(crossvm_region_owner_renew(&wake.region.owner, &wake.chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, 1, 0), CROSSVM_STALE);
    REQUIRE(crossvm_region_owner_renew(&pool.region.owner, &pool.lent) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, 1, 0), CROSSVM_STALE);
    test_region_drop(&wake.region);
    test_pool_drop(&pool);
}

/* ---- taking away ---------------------------------------------------------------------------- */

static void a_block_can_be_taken_from_some_or_all(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    test_pool_make(&pool, N, LEN, 3);
    uint32_t block = test_pool_lend(&pool, 1, LEN, 7, &id);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, 2), 0);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, 2), 0);
    CHECK_EQ(crossvm_pool_owner_lent(&pool.owner, block, &id), 5);
    test_pool_account(&pool, N - 1, 1);
    test_pool_expect(&pool, 0, &id, 1, LEN, &view);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, CROSSVM_POOL_EVERYONE), 1);
    test_pool_account(&pool, N, 0);
    CHECK_EQ(crossvm_pool_reader_check(&pool.side[0].reader, &view), CROSSVM_TORN);
    CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[0].reader, &view), CROSSVM_TORN);
    CHECK_EQ(test_pool_find(&pool, 2, &id, &view), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, CROSSVM_POOL_EVERYONE), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, N, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_lent(&pool.owner, block, &id), 0);
    CHECK_EQ(crossvm_pool_owner_lent(&pool.owner, N, &id), 0);
    collect(0);
    test_pool_account(&pool, N, 0);
    test_pool_drop(&pool);
}

static void a_block_that_was_not_lent_is_free_again(void)
{
    uint32_t block = 0;
    test_pool_make(&pool, 1, LEN, 1);
    for (uint32_t i = 0; i < 3; i++) {
        REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
        test_pool_account(&pool, 0, 0);
        CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, CROSSVM_POOL_EVERYONE), 1);
        test_pool_account(&pool, 1, 0);
    }
    test_pool_drop(&pool);
}

static void what_a_dead_reader_had_comes_back(void)
{
    struct crossvm_pool_id ids[4];
    uint32_t count;
    test_pool_make(&pool, N, LEN, 3);
    (void)test_pool_lend(&pool, 0, LEN, 2, &ids[0]);
    (void)test_pool_lend(&pool, 1, LEN, 7, &ids[1]);
    (void)test_pool_lend(&pool, 2, LEN, 5, &ids[2]);
    (void)test_pool_lend(&pool, 3, LEN, 2, &ids[3]);
    CHECK_EQ(crossvm_pool_owner_forget(&pool.owner, 3), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_forget(&pool.owner, 1), 2);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 1, &count), CROSSVM_NOT_YET);
    test_pool_account(&pool, N - 2, 2);
    CHECK_EQ(crossvm_pool_owner_forget(&pool.owner, 1), 0);
    /* The successor, with the same part. */
    test_pool_open_reader(&pool, 1);
    CHECK_EQ(test_pool_try_link(&pool, 1), CROSSVM_OK);
    struct crossvm_pool_view view;
    CHECK_EQ(test_pool_find(&pool, 1, &ids[0], &view), CROSSVM_NOT_FOUND);
    (void)test_pool_lend(&pool, 9, LEN, 2, &ids[0]);
    test_pool_use(&pool, 1, &ids[0], 9, LEN);
    collect(1);
    test_pool_use(&pool, 0, &ids[1], 1, LEN);
    test_pool_use(&pool, 2, &ids[1], 1, LEN);
    collect(1);
    test_pool_account(&pool, N - 1, 1);
    test_pool_drop(&pool);
}

/* A reader that was never linked: blocks are lent to it, and come back by recall alone. */
static void a_reader_that_is_not_linked_gives_nothing_back(void)
{
    struct crossvm_pool_id id;
    uint32_t count;
    test_pool_make_closed(&pool, N, LEN, 2);
    test_pool_open_owner(&pool);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_NOT_YET);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_NOT_YET);
    (void)test_pool_lend(&pool, 1, LEN, 1, &id);
    test_pool_open_reader(&pool, 0);
    test_pool_use(&pool, 0, &id, 1, LEN);
    collect(0);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_OK);
    collect(1);
    test_pool_account(&pool, N, 0);
    test_pool_drop(&pool);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int try_owner(const struct crossvm_region *region, const struct crossvm_chunk *chunk,
                     const struct crossvm_chunk *lent, uint32_t n_blocks, uint32_t n_readers)
{
    static struct crossvm_pool_link links[CROSSVM_POOL_READERS_MAX];
    const struct crossvm_pool_memory memory = {pool.blocks, n_blocks, links, n_readers};
    return crossvm_pool_owner_open(&pool.owner, region, chunk, &pool.region.owner.region, lent,
                                   &memory);
}

static void opening_the_owners_side_judges_everything(void)
{
    struct crossvm_region read_only;
    struct damage_image image;
    test_pool_make_closed(&pool, N, LEN, 1);
    const struct crossvm_region *region = &pool.region.owner.region;
    struct crossvm_chunk other = pool.lent;
    damage_take(&image, &pool.region.writable);
    CHECK_REFUSED(&image, try_owner(region, &pool.lent, &pool.lent, N, 1), CROSSVM_TYPE);
    CHECK_REFUSED(&image, try_owner(region, &pool.chunk, &pool.chunk, N, 1), CROSSVM_TYPE);
    CHECK_REFUSED(&image, try_owner(region, &pool.chunk, &pool.lent, N - 1, 1), CROSSVM_NO_SPACE);
    CHECK_REFUSED(&image, try_owner(region, &pool.chunk, &pool.lent, N, 0), CROSSVM_INVALID);
    CHECK_REFUSED(&image, try_owner(region, &pool.chunk, &pool.lent, N, 33), CROSSVM_INVALID);
    other.n = N - 1;
    CHECK_REFUSED(&image, try_owner(region, &pool.chunk, &other, N, 1), CROSSVM_NO_SPACE);
    other = pool.chunk;
    other.off += 64;
    CHECK_REFUSED(&image, try_owner(region, &other, &pool.lent, N, 1), CROSSVM_INVALID);
    other = pool.chunk;
    other.generation++;
    CHECK_REFUSED(&image, try_owner(region, &other, &pool.lent, N, 1), CROSSVM_STALE);
    other = pool.lent;
    other.generation++;
    CHECK_REFUSED(&image, try_owner(region, &pool.chunk, &other, N, 1), CROSSVM_STALE);
    REQUIRE(crossvm_region_attach(&read_only, &pool.region.read_only, PARTY_A) == CROSSVM_OK);
    CHECK_REFUSED(&image, try_owner(&read_only, &pool.chunk, &pool.lent, N, 1), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&read_only, &pool.region.writable, PARTY_B) == CROSSVM_OK);
    CHECK_REFUSED(&image, try_owner(&read_only, &pool.chunk, &pool.lent, N, 1), CROSSVM_ROLE);
    damage_drop(&image);
    CHECK_EQ(try_owner(region, &pool.chunk, &pool.lent, N, 32), CROSSVM_OK);
    test_pool_drop(&pool);
}

/* An id's unit has 32 bits: a chunk that claims to end beyond 2^38 bytes is refused. */
static void a_pool_beyond_its_units_is_refused(void)
{
    test_pool_make_closed(&pool, N, LEN, 1);
    struct crossvm_region region = pool.region.owner.region;
    struct crossvm_chunk chunk = pool.chunk;
    region.length = (uint64_t)1 << 39;
    chunk.length = ((uint64_t)1 << 38) - chunk.off;
    CHECK_EQ(try_owner(&region, &chunk, &pool.lent, N, 1), CROSSVM_TOO_LARGE);
    chunk.length -= 128;
    CHECK_EQ(try_owner(&region, &chunk, &pool.lent, N, 1), CROSSVM_OK);
    test_pool_drop(&pool);
}

static void opening_a_readers_side_judges_everything(void)
{
    struct crossvm_pool_reader reader;
    test_pool_make_closed(&pool, N, LEN, 1);
    struct crossvm_chunk other = pool.chunk;
    const struct crossvm_region *own = &pool.side[0].own.owner.region;
    const struct crossvm_chunk *returns = &pool.side[0].returns;
    CHECK_EQ(crossvm_pool_reader_open(&reader, &pool.side[0].region, &pool.lent), CROSSVM_TYPE);
    other.off += 64;
    CHECK_EQ(crossvm_pool_reader_open(&reader, &pool.side[0].region, &other), CROSSVM_INVALID);
    other = pool.chunk;
    other.generation++;
    CHECK_EQ(crossvm_pool_reader_open(&reader, &pool.side[0].region, &other), CROSSVM_STALE);
    other = pool.chunk;
    other.reader = 99;
    CHECK_EQ(crossvm_pool_reader_open(&reader, &pool.side[0].region, &other), CROSSVM_ROLE);
    CHECK_EQ(crossvm_pool_reader_open(&reader, &pool.side[0].region, &pool.chunk), CROSSVM_OK);

    CHECK_EQ(crossvm_pool_reader_bind(&reader, &pool.side[0].region, &pool.lent), CROSSVM_TYPE);
    CHECK_EQ(crossvm_pool_reader_bind(&reader, &pool.side[0].own.reader, returns), CROSSVM_ROLE);
    other = *returns;
    other.n = N - 1;
    CHECK_EQ(crossvm_pool_reader_bind(&reader, own, &other), CROSSVM_NO_SPACE);
    other = *returns;
    other.off += 64;
    CHECK_EQ(crossvm_pool_reader_bind(&reader, own, &other), CROSSVM_INVALID);
    other = *returns;
    other.generation++;
    CHECK_EQ(crossvm_pool_reader_bind(&reader, own, &other), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_reader_bind(&reader, own, returns), CROSSVM_OK);
    test_pool_drop(&pool);
}

static void linking_judges_everything(void)
{
    test_pool_make(&pool, N, LEN, 1);
    struct crossvm_chunk other = pool.side[0].returns;
    const struct crossvm_region *region = &pool.side[0].own.reader;
    CHECK_EQ(crossvm_pool_owner_link(&pool.owner, 1, region, &other), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pool_owner_link(&pool.owner, 0, region, &pool.chunk), CROSSVM_TYPE);
    other.n = N - 1;
    CHECK_EQ(crossvm_pool_owner_link(&pool.owner, 0, region, &other), CROSSVM_NO_SPACE);
    other = pool.side[0].returns;
    other.off += 64;
    CHECK_EQ(crossvm_pool_owner_link(&pool.owner, 0, region, &other), CROSSVM_INVALID);
    other = pool.side[0].returns;
    other.generation++;
    CHECK_EQ(crossvm_pool_owner_link(&pool.owner, 0, region, &other), CROSSVM_STALE);
    other = pool.side[0].returns;
    other.reader = 99;
    CHECK_EQ(crossvm_pool_owner_link(&pool.owner, 0, region, &other), CROSSVM_ROLE);
    crossvm_store_relaxed(&test_pool_returns(&pool, 0)->pool_region[3], 1);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_MISMATCH);
    CHECK_EQ(test_pool_try_bind(&pool, 0), CROSSVM_MISMATCH);
    test_pool_drop(&pool);
}

/* ---- chunks that start anew ----------------------------------------------------------------- */

static int renew(struct crossvm_region_owner *owner, struct crossvm_chunk *chunk)
{
    return crossvm_region_owner_renew(owner, chunk);
}

static void a_renewed_pool_has_new_ids_and_needs_new_tables(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_id second;
    struct crossvm_pool_id next;
    struct crossvm_pool_view view;
    uint32_t block = 0;
    test_pool_make(&pool, N, LEN, 1);
    (void)test_pool_lend(&pool, 1, LEN, 1, &id);
    (void)test_pool_lend(&pool, 2, LEN, 1, &second);
    test_pool_use(&pool, 0, &id, 1, LEN);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    test_pool_expect(&pool, 0, &second, 2, LEN, &view);
    REQUIRE(renew(&pool.region.owner, &pool.chunk) == CROSSVM_OK);

    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    CHECK_EQ(crossvm_pool_reader_check(reader, &view), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_reader_give_back(reader, &view), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_reader_give_back_all(reader), CROSSVM_STALE);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_STALE);
    CHECK_EQ(test_pool_find(&pool, 0, &second, &view), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_owner_allocate(&pool.owner, &block), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, 0, &id, 4), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, 1, 1, &next), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, 1), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_owner_forget(&pool.owner, 0), CROSSVM_STALE);
    collect(CROSSVM_STALE);

    CHECK_EQ(test_pool_try_owner(&pool), CROSSVM_MISMATCH);
    REQUIRE(renew(&pool.region.owner, &pool.lent) == CROSSVM_OK);
    test_pool_open_owner(&pool);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_MISMATCH);
    REQUIRE(crossvm_pool_reader_open(reader, &pool.side[0].region, &pool.chunk) == CROSSVM_OK);
    CHECK_EQ(test_pool_try_bind(&pool, 0), CROSSVM_MISMATCH);
    REQUIRE(renew(&pool.side[0].own.owner, &pool.side[0].returns) == CROSSVM_OK);
    test_pool_open_reader(&pool, 0);
    test_pool_link(&pool);

    /* The same block, with the same generation, in another life of the pool. */
    (void)test_pool_lend(&pool, 2, LEN, 1, &next);
    CHECK_EQ(damage_get(&next, 20), damage_get(&id, 20));
    CHECK_EQ(damage_get(&next, 24), damage_get(&id, 24));
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    test_pool_use(&pool, 0, &next, 2, LEN);
    collect(1);
    test_pool_drop(&pool);
}

static void a_renewed_table_of_the_owners_stops_the_owner(void)
{
    uint32_t block = 0;
    test_pool_make(&pool, N, LEN, 1);
    REQUIRE(renew(&pool.region.owner, &pool.lent) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_allocate(&pool.owner, &block), CROSSVM_STALE);
    collect(CROSSVM_STALE);
    test_pool_drop(&pool);
}

static void a_renewed_part_of_a_reader_is_linked_anew(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    uint32_t count;
    test_pool_make(&pool, N, LEN, 2);
    (void)test_pool_lend(&pool, 1, LEN, 3, &id);
    test_pool_expect(&pool, 0, &id, 1, LEN, &view);
    REQUIRE(renew(&pool.side[0].own.owner, &pool.side[0].returns) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[0].reader, &view), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_reader_give_back_all(&pool.side[0].reader), CROSSVM_STALE);
    test_pool_use(&pool, 1, &id, 1, LEN);
    collect(0);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_STALE);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 1, &count), CROSSVM_OK);
    test_pool_account(&pool, N - 1, 1);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_NOT_YET);
    test_pool_open_reader(&pool, 0);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_OK);
    collect(0);
    test_pool_use(&pool, 0, &id, 1, LEN);
    collect(1);
    test_pool_drop(&pool);
}

/* The count may stand where it stood: another generation is noticed all the same. */
static void a_renewed_part_is_noticed_whatever_its_count(void)
{
    uint32_t count;
    test_pool_make(&pool, N, LEN, 1);
    collect(0);
    REQUIRE(renew(&pool.side[0].own.owner, &pool.side[0].returns) == CROSSVM_OK);
    test_pool_open_reader(&pool, 0);
    collect(0);
    CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count), CROSSVM_STALE);
    test_pool_drop(&pool);
}

/* What was given back before the part was linked is seen, also if the count stands where the old
 * part's stood. */
static void a_part_is_looked_at_when_it_is_linked(void)
{
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 1);
    (void)test_pool_lend(&pool, 1, LEN, 1, &id);
    test_pool_use(&pool, 0, &id, 1, LEN);
    collect(1);
    uint32_t count = crossvm_pool_reader_count(&pool.side[0].reader);
    REQUIRE(renew(&pool.side[0].own.owner, &pool.side[0].returns) == CROSSVM_OK);
    test_pool_open_reader(&pool, 0);
    (void)test_pool_lend(&pool, 2, LEN, 1, &id);
    test_pool_use(&pool, 0, &id, 2, LEN);
    CHECK_EQ(crossvm_pool_reader_count(&pool.side[0].reader), count);
    CHECK_EQ(test_pool_try_link(&pool, 0), CROSSVM_OK);
    collect(1);
    test_pool_drop(&pool);
}

/* ---- all readers, other memory -------------------------------------------------------------- */

static void thirty_two_readers_are_told_apart(void)
{
    struct crossvm_pool_id id;
    uint32_t block = 0;
    test_pool_make_closed(&pool, 2, LEN, 1);
    REQUIRE(try_owner(&pool.region.owner.region, &pool.chunk, &pool.lent, 2, 32) == CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, 1, UINT32_MAX, &id) == CROSSVM_OK);
    for (uint32_t r = 0; r < 32; r++) {
        CHECK_EQ(crossvm_pool_owner_n_lent(&pool.owner, r), 1);
        if (r % 2 == 0) {
            CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, 1u << r), 0);
        } else {
            CHECK_EQ(crossvm_pool_owner_forget(&pool.owner, r), r == 31 ? 1 : 0);
        }
        CHECK_EQ(crossvm_pool_owner_n_lent(&pool.owner, r), 0);
    }
    CHECK_EQ(crossvm_pool_owner_n_lent(&pool.owner, 32), 0);
    CHECK_EQ(crossvm_pool_owner_n_free(&pool.owner), 2);
    test_pool_drop(&pool);
}

static void blocks_in_uncached_memory_are_copied_by_words(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    unsigned char bytes[LEN];
    unsigned char copy[LEN];
    uint32_t block = 0;
    test_pool_make(&pool, N, LEN, 1);
    pool.region.owner.region.device = true;
    pool.side[0].region.device = true;
    test_pool_open_owner(&pool);
    test_pool_open_reader(&pool, 0);
    test_pool_link(&pool);
    test_payload_fill(bytes, LEN, 5);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_put(&pool.owner, block, 0, bytes, LEN), CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, LEN, 1, &id) == CROSSVM_OK);
    CHECK_EQ(crossvm_pool_reader_copy(&pool.side[0].reader, &id, copy, LEN, &view), CROSSVM_OK);
    CHECK(test_payload_ok(copy, LEN, 5));
    test_pool_drop(&pool);
}

/* ---- anything, in any order, against a plain account ---------------------------------------- */

struct loan {
    struct crossvm_pool_id id;
    uint64_t value;
    uint32_t has;  /* bit r: reader r has it, as the owner must come to see it */
    uint32_t held; /* bit r: reader r has not given it back */
    bool open;     /* allocated, not lent */
};

static uint64_t random_state = 20;

static uint32_t some(uint32_t n)
{
    return check_random(&random_state) % n;
}

static void step(struct loan loans[N], uint64_t value)
{
    uint32_t i = some(N);
    uint32_t r = some(3);
    uint32_t block = 0;
    struct loan *loan = &loans[i];
    switch (some(8)) {
    case 0:
    case 1:
        if (crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK) {
            loan = &loans[block];
            CHECK(loan->has == 0 && !loan->open);
            loan->open = true;
            loan->value = value;
            test_payload_fill(crossvm_pool_owner_raw(&pool.owner, block), LEN, value);
        }
        break;
    case 2:
    case 3:
        if (loan->open) {
            loan->has = some(7) + 1;
            loan->held = loan->has;
            loan->open = false;
            CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, i, LEN, loan->has, &loan->id),
                     CROSSVM_OK);
        }
        break;
    case 4:
    case 5:
        if ((loan->held >> r & 1) != 0) {
            test_pool_use(&pool, r, &loan->id, loan->value, LEN);
            loan->held &= ~(1u << r);
        }
        break;
    case 6:
        CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
        for (uint32_t k = 0; k < N; k++) {
            loans[k].has &= loans[k].held;
        }
        break;
    default:
        if (some(4) == 0 && (loan->has != 0 || loan->open)) {
            loan->has &= ~(1u << r);
            loan->held &= loan->has;
            CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, i, 1u << r),
                     loan->open || loan->has == 0);
            loan->open = false;
        }
        break;
    }
}

static void any_order_of_calls_keeps_the_account(void)
{
    struct loan loans[N];
    struct crossvm_pool_id id;
    memset(loans, 0, sizeof(loans));
    test_pool_make(&pool, N, LEN, 3);
    for (uint64_t i = 0; i < 20000 / CHECK_SHORTER && check_n_failed == 0; i++) {
        uint32_t n_lent = 0;
        uint32_t n_open = 0;
        step(loans, i);
        for (uint32_t k = 0; k < N; k++) {
            CHECK_EQ(crossvm_pool_owner_lent(&pool.owner, k, &id), loans[k].has);
            n_lent += loans[k].has != 0;
            n_open += loans[k].open;
        }
        test_pool_account(&pool, N - n_lent - n_open, n_lent);
    }
    test_pool_drop(&pool);
}

int main(void)
{
    CASE(a_block_goes_to_a_reader_and_comes_back);
    CASE(it_is_free_when_the_last_of_many_gave_it_back);
    CASE(a_block_may_be_given_back_by_several_before_anyone_looks);
    CASE(all_blocks_can_be_lent_and_no_more);
    CASE(a_pool_may_have_one_block_and_blocks_of_one_byte);
    CASE(blocks_do_not_touch_each_other);
    CASE(lending_judges_what_the_owner_says);
    CASE(only_a_block_that_is_being_filled_can_be_written);
    CASE(a_copy_needs_room_and_says_how_much);
    CASE(an_id_is_seven_literal_words);
    CASE(a_stale_id_is_refused);
    CASE(an_id_of_another_region_is_refused);
    CASE(an_id_where_no_block_begins_is_refused);
    CASE(a_payload_that_looks_like_a_block_is_none);
#if CHECK_OS
    CASE(no_id_makes_a_reader_look_outside_the_pool);
#endif
    CASE(a_generation_that_is_not_the_blocks_is_refused);
    CASE(generations_pass_2_to_the_32_and_leave_0_out);
    CASE(what_was_given_back_long_ago_is_not_given_back_now);
    CASE(giving_back_twice_is_like_once);
    CASE(what_is_not_lent_to_a_reader_it_cannot_end);
    CASE(a_reader_without_a_part_of_its_own_can_read);
    CASE(a_view_of_a_larger_pool_is_none_of_this_one);
    CASE(a_reader_that_knows_nothing_gives_back_all);
    CASE(the_count_of_blocks_given_back_runs_freely);
    CASE(the_count_is_the_parts_from_the_link_on);
    CASE(an_owner_arms_only_behind_a_look);
    CASE(a_block_can_be_taken_from_some_or_all);
    CASE(a_block_that_was_not_lent_is_free_again);
    CASE(what_a_dead_reader_had_comes_back);
    CASE(a_reader_that_is_not_linked_gives_nothing_back);
    CASE(opening_the_owners_side_judges_everything);
    CASE(a_pool_beyond_its_units_is_refused);
    CASE(opening_a_readers_side_judges_everything);
    CASE(linking_judges_everything);
    CASE(a_renewed_pool_has_new_ids_and_needs_new_tables);
    CASE(a_renewed_table_of_the_owners_stops_the_owner);
    CASE(a_renewed_part_of_a_reader_is_linked_anew);
    CASE(a_renewed_part_is_noticed_whatever_its_count);
    CASE(a_part_is_looked_at_when_it_is_linked);
    CASE(thirty_two_readers_are_told_apart);
    CASE(blocks_in_uncached_memory_are_copied_by_words);
    CASE(any_order_of_calls_keeps_the_account);
    return check_done();
}
