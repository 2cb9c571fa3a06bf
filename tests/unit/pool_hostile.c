/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: a reader that writes anything at any time into its words can end its own loans alone; an
 * owner that writes anything into its blocks, and ids that change while they are looked at, make a
 * reader look nowhere but into the pool; what an owner finds in its own table is judged.
 */
#include "../support/hook.h"
#include "../support/damage.h"
#include "../support/pool.h"

enum {
    N = 6,
    LEN = 200,
    ROUNDS = 30000 / CHECK_SHORTER
};

static struct test_pool pool;
static uint64_t random_state = 4;

static uint32_t some(uint32_t n)
{
    return check_random(&random_state) % n;
}

static uint32_t interesting(uint32_t around)
{
    static const uint32_t values[] = {
        0, 1, 2, 3, 4, N - 1, N, LEN, LEN + 1, 0x7fffffff, 0x80000000u, 0xfffffffeu, 0xffffffffu};
    uint32_t which = some(20);
    if (which < sizeof(values) / sizeof(values[0])) {
        return values[which];
    }
    return which < 18 ? around + some(7) - 3 : check_random(&random_state);
}

/* ---- hostile readers -------------------------------------------------------------------------- */

/* Reader 0 writes anywhere into its part, often what stands in the pool. */
static void scribble_returns(void *unused)
{
    uint32_t word = some(3) == 0 ? some(32) : 32 + some(N);
    uint32_t block = some(N);
    (void)unused;
    if (some(3) == 0) {
        return;
    }
    uint32_t around = crossvm_load_relaxed(&test_pool_header(&pool, block)->generation);
    struct crossvm_le32 *words = &test_pool_returns(&pool, 0)->count;
    /* Not the epoch: that is its region's owner's. */
    if (word != 1) {
        crossvm_store_relaxed(words + word, some(2) == 0 ? around : interesting(around));
    }
}

struct held {
    struct crossvm_pool_id id;
    uint64_t value;
    bool by_other; /* reader 1 has it */
};

static void one_round(struct held held[N], uint64_t value)
{
    struct crossvm_pool_id id;
    uint32_t block = 0;
    uint32_t readers = some(3) + 1;
    if (crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK) {
        test_payload_fill(crossvm_pool_owner_raw(&pool.owner, block), LEN, value);
        CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, readers, &id), CROSSVM_OK);
        CHECK(!held[block].by_other);
        held[block].id = id;
        held[block].value = value;
        held[block].by_other = readers != 1;
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    if (some(50) == 0) {
        CHECK(crossvm_pool_owner_forget(&pool.owner, 0) >= 0);
    }
    int status = test_pool_try_link(&pool, 0);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_MISMATCH);
}

static void a_hostile_reader_ends_its_own_loans_alone(void)
{
    struct held held[N];
    memset(held, 0, sizeof(held));
    test_pool_make(&pool, N, LEN, 2);
    for (uint64_t i = 1; i < ROUNDS && check_n_failed == 0; i++) {
        test_hook_arm(0, scribble_returns, NULL);
        one_round(held, i);
        unsigned long seen = test_hook_disarm();
        CHECK(seen < 300);
        for (uint32_t k = 0; k < N; k++) {
            struct crossvm_pool_view view;
            if (held[k].by_other) {
                CHECK_EQ(test_pool_find(&pool, 1, &held[k].id, &view), CROSSVM_OK);
                CHECK(test_payload_ok(view.payload, LEN, held[k].value));
            }
            if (held[k].by_other && some(5) == 0) {
                CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[1].reader, &view), CROSSVM_OK);
                held[k].by_other = false;
            }
        }
        uint32_t n_free = crossvm_pool_owner_n_free(&pool.owner);
        test_pool_account(&pool, n_free, N - n_free);
    }
    CHECK(crossvm_pool_owner_forget(&pool.owner, 0) >= 0);
    for (uint32_t k = 0; k < N; k++) {
        if (held[k].by_other) {
            test_pool_use(&pool, 1, &held[k].id, held[k].value, LEN);
        }
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    test_pool_account(&pool, N, 0);
    test_pool_drop(&pool);
}

/* ---- hostile owners --------------------------------------------------------------------------- */

static struct crossvm_pool_id shared_id; /* in an element, in place */

/* The owner writes anywhere into its chunk, most often into a block's header or into the id. */
static void scribble_pool(void *unused)
{
    uint32_t choice = some(6);
    uint32_t block = some(N);
    (void)unused;
    if (choice < 2) {
        uint32_t words[7];
        memcpy(words, &shared_id, sizeof(words));
        uint32_t word = some(20) == 0 ? some(4) : 4 + some(3);
        words[word] = interesting(word == 5 ? (uint32_t)(test_pool_off(&pool, block) / 64) : 2);
        memcpy(&shared_id, words, sizeof(words));
    } else if (choice < 5) {
        crossvm_store_relaxed(&test_pool_header(&pool, block)->generation + some(3),
                              interesting(block));
    } else {
        uint32_t word = some((uint32_t)(pool.chunk.length / 4));
        void *at = (unsigned char *)pool.region.writable.base + pool.chunk.off + word * 4;
        if (some(100) == 0 || word != 1) {
            crossvm_store_relaxed((struct crossvm_le32 *)at, interesting(block));
        }
    }
}

static void right_again(void)
{
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    void *control = (unsigned char *)pool.region.writable.base + pool.chunk.off;
    crossvm_store_relaxed((struct crossvm_le32 *)control + 1, pool.chunk.generation);
    reader->fault.rule = CROSSVM_RULE_NONE;
    for (uint32_t i = 0; i < N; i++) {
        struct crossvm_pool_block_shm *header = test_pool_header(&pool, i);
        crossvm_store_relaxed(test_pool_returned(&pool, 0, i), 0);
        crossvm_store_relaxed(&header->number, some(9) == 0 ? interesting(i) : i);
        crossvm_store_relaxed(&header->generation, some(3) == 0 ? interesting(2) : 2);
        crossvm_store_relaxed(&header->len, some(9) == 0 ? interesting(LEN) : (uint32_t)LEN);
    }
    for (unsigned i = 0; i < 4; i++) {
        crossvm_store_relaxed(&shared_id.region[i], reader->region_id[i]);
    }
    crossvm_store_relaxed(&shared_id.epoch, reader->epoch);
    crossvm_store_relaxed(&shared_id.unit, (uint32_t)(test_pool_off(&pool, some(N)) / 64));
    crossvm_store_relaxed(&shared_id.generation, 2);
}

static bool may_answer(int status)
{
    return status == CROSSVM_OK || status == CROSSVM_INVALID || status == CROSSVM_NOT_FOUND ||
           status == CROSSVM_TORN || status == CROSSVM_STALE || status == CROSSVM_CORRUPT ||
           status == CROSSVM_NO_SPACE;
}

/* A view lies in a block's payload, whole. */
static void check_view(const struct crossvm_pool_view *view)
{
    uint64_t off = (uint64_t)((const unsigned char *)view->payload -
                              (const unsigned char *)pool.region.read_only.base);
    CHECK(view->number < N && view->len <= LEN);
    CHECK_EQ(off, test_pool_off(&pool, view->number) + 64);
    CHECK((const unsigned char *)view->header + 64 == (const unsigned char *)view->payload);
}

static void a_hostile_owner_makes_a_reader_look_into_the_pool_alone(void)
{
    unsigned long n_ok = 0;
    unsigned long n_corrupt = 0;
    test_pool_make(&pool, N, LEN, 1);
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    for (uint64_t i = 1; i < ROUNDS && check_n_failed == 0; i++) {
        struct crossvm_pool_view view;
        unsigned char copy[LEN + 8];
        right_again();
        memset(copy + LEN, 0xee, 8);
        test_hook_arm(some(2) == 0 ? 0 : some(20), scribble_pool, NULL);
        int status = i % 2 == 0 ? crossvm_pool_reader_find(reader, &shared_id, &view)
                                : crossvm_pool_reader_copy(reader, &shared_id, copy, LEN, &view);
        CHECK(may_answer(status));
        CHECK(damage_get(copy, LEN) == 0xeeeeeeeeu && damage_get(copy, LEN + 4) == 0xeeeeeeeeu);
        if (status == CROSSVM_OK) {
            n_ok++;
            check_view(&view);
            CHECK(may_answer(crossvm_pool_reader_check(reader, &view)));
            CHECK(may_answer(crossvm_pool_reader_give_back(reader, &view)));
        }
        CHECK(may_answer(crossvm_pool_reader_give_back_all(reader)));
        unsigned long seen = test_hook_disarm();
        CHECK(seen < 100);
        if (status == CROSSVM_CORRUPT) {
            n_corrupt++;
            CHECK_EQ(reader->fault.rule, CROSSVM_RULE_POOL_LEN);
            CHECK(reader->fault.value > LEN);
            CHECK_EQ((reader->fault.off - pool.chunk.off - 128) % (64 + 256), 4);
        }
    }
    CHECK(n_ok > 100 && n_corrupt > 10);
    test_pool_drop(&pool);
}

static void a_length_beyond_the_block_is_the_owners_fault_for_good(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    test_pool_make(&pool, N, LEN, 1);
    uint32_t block = test_pool_lend(&pool, 1, LEN, 1, &id);
    struct crossvm_pool_block_shm *header = test_pool_header(&pool, block);
    for (uint32_t len = LEN + 1; len != 0; len = len < 0x80000000u ? len * 2 : 0) {
        crossvm_store_relaxed(&header->len, len);
        CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_CORRUPT);
        CHECK_EQ(reader->fault.off, test_pool_off(&pool, block) + 4);
        CHECK_EQ(reader->fault.value, len);
        CHECK_EQ(reader->fault.rule, CROSSVM_RULE_POOL_LEN);
        crossvm_store_relaxed(&header->len, LEN);
        CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_CORRUPT);
        test_pool_open_reader(&pool, 0);
        CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_OK);
    }
    /* Beside another generation it says nothing. */
    crossvm_store_relaxed(&header->len, LEN + 1);
    crossvm_store_relaxed(&header->generation, 4);
    CHECK_EQ(test_pool_find(&pool, 0, &id, &view), CROSSVM_NOT_FOUND);
    test_pool_drop(&pool);
}

static void drop_generation(void *header)
{
    crossvm_store_relaxed(&((struct crossvm_pool_block_shm *)header)->generation, 3);
}

static void a_length_that_changes_with_the_content_is_no_fault(void)
{
    struct crossvm_pool_id id;
    unsigned n_corrupt = 0;
    test_pool_make(&pool, N, LEN, 1);
    uint32_t block = test_pool_lend(&pool, 1, LEN, 1, &id);
    struct crossvm_pool_block_shm *header = test_pool_header(&pool, block);
    for (unsigned long at = 1; at < 30; at++) {
        struct crossvm_pool_view view;
        test_pool_open_reader(&pool, 0);
        crossvm_store_relaxed(&header->len, LEN + 1);
        crossvm_store_relaxed(&header->generation, 2);
        test_hook_arm(at, drop_generation, header);
        int status = crossvm_pool_reader_find(&pool.side[0].reader, &id, &view);
        unsigned long seen = test_hook_disarm();
        CHECK_EQ(status, at <= seen ? CROSSVM_NOT_FOUND : CROSSVM_CORRUPT);
        n_corrupt += status == CROSSVM_CORRUPT;
    }
    CHECK(n_corrupt > 5);
    test_pool_drop(&pool);
}

/* ---- the owner's own table -------------------------------------------------------------------- */

static void a_table_that_names_readers_that_there_are_not_is_refused(void)
{
    struct damage_image image;
    uint32_t block = 0;
    struct crossvm_pool_id id;
    test_pool_make(&pool, N, LEN, 3);
    (void)test_pool_lend(&pool, 1, LEN, 7, &id);
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t bit = 0; bit < 32; bit++) {
            uint32_t before = crossvm_load_relaxed(test_pool_lent_word(&pool, i));
            crossvm_store_relaxed(test_pool_lent_word(&pool, i), before | 1u << bit);
            if (bit < 3) {
                crossvm_store_relaxed(test_pool_lent_word(&pool, i), before);
                continue;
            }
            damage_take(&image, &pool.region.writable);
            CHECK_REFUSED(&image, test_pool_try_owner(&pool), CROSSVM_CORRUPT);
            damage_drop(&image);
            CHECK_EQ(pool.owner.fault.rule, CROSSVM_RULE_POOL_LENT);
            CHECK_EQ(pool.owner.fault.off, pool.lent.off + 128 + i * 4);
            CHECK_EQ(pool.owner.fault.value, before | 1u << bit);
            CHECK_EQ(crossvm_pool_owner_allocate(&pool.owner, &block), CROSSVM_CORRUPT);
            CHECK_EQ(crossvm_pool_owner_put(&pool.owner, 0, 0, &id, 1), CROSSVM_CORRUPT);
            CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, 0, 1, 1, &id), CROSSVM_CORRUPT);
            CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), CROSSVM_CORRUPT);
            CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, 0, 1), CROSSVM_CORRUPT);
            CHECK_EQ(crossvm_pool_owner_forget(&pool.owner, 0), CROSSVM_CORRUPT);
            crossvm_store_relaxed(test_pool_lent_word(&pool, i), before);
        }
    }
    test_pool_open_owner(&pool);
    test_pool_account(&pool, N - 1, 1);
    test_pool_drop(&pool);
}

/* Whatever generations stand there, and whatever is lent among the readers there are: the account
 * is right, and every block can be used. */
static void any_generations_can_be_resumed(void)
{
    test_pool_make(&pool, N, LEN, 3);
    for (uint32_t round = 0; round < 300; round++) {
        struct crossvm_pool_id id;
        for (uint32_t i = 0; i < N; i++) {
            crossvm_store_relaxed(test_pool_lent_word(&pool, i), some(8));
            crossvm_store_relaxed(&test_pool_header(&pool, i)->generation, interesting(2));
            crossvm_store_relaxed(&test_pool_header(&pool, i)->number, interesting(i));
        }
        test_pool_open_owner(&pool);
        test_pool_link(&pool);
        uint32_t n_free = crossvm_pool_owner_n_free(&pool.owner);
        test_pool_account(&pool, n_free, N - n_free);
        for (uint32_t r = 0; r < 3; r++) {
            CHECK(crossvm_pool_owner_forget(&pool.owner, r) >= 0);
        }
        test_pool_account(&pool, N, 0);
        test_pool_link(&pool);
        for (uint32_t i = 0; i < N; i++) {
            (void)test_pool_lend(&pool, i, LEN, 1, &id);
            test_pool_use(&pool, 0, &id, i, LEN);
        }
        CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), N);
    }
    test_pool_drop(&pool);
}

int main(void)
{
    CASE(a_hostile_reader_ends_its_own_loans_alone);
    CASE(a_hostile_owner_makes_a_reader_look_into_the_pool_alone);
    CASE(a_length_beyond_the_block_is_the_owners_fault_for_good);
    CASE(a_length_that_changes_with_the_content_is_no_fault);
    CASE(a_table_that_names_readers_that_there_are_not_is_refused);
    CASE(any_generations_can_be_resumed);
    return check_done();
}
