/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: an owner that dies before any of its shared accesses, also twice in a row, leaves to its
 * successor what readers have, and no block is lost or given out while a reader has it. A reader
 * that dies before any of its accesses, and sees ids again that it did not release, loses nothing
 * and keeps nothing.
 */
#include "../support/hook.h"
#include "../support/pool.h"

#include <setjmp.h>

enum {
    N = 4,
    LEN = 72,
    MOST = 400 /* accesses of any call here */
};

enum {
    LEND,
    COLLECT,
    RECALL,
    FORGET,
    OPEN,
    N_CALLS
};

static struct test_pool pool;
static jmp_buf grave;

/* Block 0 is lent to both and reader 0 gave it back, 1 to both, 2 to reader 1 who gave it back. */
static struct crossvm_pool_id ids[3];

static void die(void *what)
{
    (void)what;
    longjmp(grave, 1);
}

static void set_the_scene(void)
{
    test_pool_make(&pool, N, LEN, 2);
    for (uint32_t i = 0; i < 3; i++) {
        REQUIRE(test_pool_lend(&pool, i, LEN, i == 2 ? 2 : 3, &ids[i]) == i);
    }
    test_pool_use(&pool, 0, &ids[0], 0, LEN);
    test_pool_use(&pool, 1, &ids[2], 2, LEN);
}

static void owner_call(int call)
{
    static unsigned char bytes[LEN];
    struct crossvm_pool_id id;
    uint32_t block = 0;
    switch (call) {
    case LEND:
        REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
        REQUIRE(crossvm_pool_owner_put(&pool.owner, block, 0, bytes, LEN) == CROSSVM_OK);
        REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, LEN, 3, &id) == CROSSVM_OK);
        break;
    case COLLECT:
        REQUIRE(crossvm_pool_owner_collect(&pool.owner) >= 0);
        break;
    case RECALL:
        REQUIRE(crossvm_pool_owner_recall(&pool.owner, 1, CROSSVM_POOL_EVERYONE) >= 0);
        break;
    case FORGET:
        REQUIRE(crossvm_pool_owner_forget(&pool.owner, 1) >= 0);
        break;
    default:
        test_pool_open_owner(&pool);
        test_pool_link(&pool);
        break;
    }
}

/* The owner dies before its at-th access. False when it finished before. */
static bool call_and_die(int call, unsigned long at)
{
    if (setjmp(grave) != 0) {
        (void)test_hook_disarm();
        return true;
    }
    test_hook_arm(at, die, NULL);
    owner_call(call);
    (void)test_hook_disarm();
    return false;
}

/* What a reader has and was not to be taken from it is there, whole. */
static void expect_what_readers_have(int call)
{
    struct crossvm_pool_view view;
    if (call != FORGET) {
        test_pool_expect(&pool, 1, &ids[0], 0, LEN, &view);
    }
    if (call != RECALL) {
        test_pool_expect(&pool, 0, &ids[1], 1, LEN, &view);
    }
}

/* The successor: nothing is being filled, and all of it comes back in the end. */
static void take_over(int call)
{
    struct crossvm_pool_view view;
    struct crossvm_pool_id id;
    test_pool_open_owner(&pool);
    test_pool_link(&pool);
    uint32_t n_free = crossvm_pool_owner_n_free(&pool.owner);
    test_pool_account(&pool, n_free, N - n_free);
    expect_what_readers_have(call);
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    n_free = crossvm_pool_owner_n_free(&pool.owner);
    CHECK(n_free >= 1 && (call == RECALL || call == FORGET || n_free <= 2));
    test_pool_account(&pool, n_free, N - n_free);
    expect_what_readers_have(call);
    for (uint32_t i = 0; i < N; i++) {
        /* Those of which nobody was told are sent again. */
        uint32_t lent = crossvm_pool_owner_lent(&pool.owner, i, &id);
        for (uint32_t r = 0; r < 2; r++) {
            if ((lent >> r & 1) != 0) {
                CHECK_EQ(test_pool_find(&pool, r, &id, &view), CROSSVM_OK);
                CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[r].reader, &view), CROSSVM_OK);
            }
        }
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    test_pool_account(&pool, N, 0);
}

static void an_owner_dies_anywhere_and_its_successor_goes_on(void)
{
    for (int call = 0; call < N_CALLS; call++) {
        bool died = true;
        for (unsigned long at = 1; died && at < MOST; at++) {
            set_the_scene();
            died = call_and_die(call, at);
            take_over(call);
            test_pool_drop(&pool);
        }
        CHECK(!died);
    }
}

static void a_successor_dies_anywhere_while_it_takes_over(void)
{
    for (int call = 0; call < N_CALLS; call++) {
        bool first = true;
        for (unsigned long at = 1; first && at < MOST; at++) {
            bool second = true;
            for (unsigned long then = 1; second && then < MOST; then++) {
                set_the_scene();
                first = call_and_die(call, at);
                second = call_and_die(OPEN, then);
                take_over(call);
                test_pool_drop(&pool);
            }
            CHECK(!second);
        }
    }
}

static void the_first_owner_of_a_pool_may_die_while_it_opens_it(void)
{
    bool died = true;
    for (unsigned long at = 1; died && at < MOST; at++) {
        struct crossvm_pool_id id;
        test_pool_make_closed(&pool, N, LEN, 1);
        test_pool_open_reader(&pool, 0);
        died = call_and_die(OPEN, at);
        test_pool_open_owner(&pool);
        test_pool_link(&pool);
        test_pool_account(&pool, N, 0);
        (void)test_pool_lend(&pool, 1, LEN, 1, &id);
        test_pool_use(&pool, 0, &id, 1, LEN);
        CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), 1);
        test_pool_drop(&pool);
    }
    CHECK(!died);
}

/* ---- readers -------------------------------------------------------------------------------- */

enum {
    USE,
    GIVE_ALL,
    BIND,
    N_READER_CALLS
};

static void reader_call(int call, const struct crossvm_pool_id *id)
{
    struct crossvm_pool_view view;
    unsigned char copy[LEN];
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    if (call == BIND) {
        test_pool_open_reader(&pool, 0);
        return;
    }
    if (call == GIVE_ALL) {
        REQUIRE(crossvm_pool_reader_give_back_all(reader) == CROSSVM_OK);
        return;
    }
    REQUIRE(crossvm_pool_reader_copy(reader, id, copy, LEN, &view) == CROSSVM_OK);
    REQUIRE(crossvm_pool_reader_give_back(reader, &view) == CROSSVM_OK);
}

static bool reader_dies(int call, unsigned long at, const struct crossvm_pool_id *id)
{
    if (setjmp(grave) != 0) {
        (void)test_hook_disarm();
        return true;
    }
    test_hook_arm(at, die, NULL);
    reader_call(call, id);
    (void)test_hook_disarm();
    return false;
}

/* The id was not released, so the successor sees it again: it still has the block, or learns that
 * it was given back. looks: the owner collects before. */
static bool die_and_see_again(int call, unsigned long at, bool looks)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    test_pool_make(&pool, N, LEN, 1);
    CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), 0);
    (void)test_pool_lend(&pool, 5, LEN, 1, &id);
    bool died = reader_dies(call, at, &id);
    if (looks) {
        CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    }
    test_pool_open_reader(&pool, 0);
    int status = test_pool_find(&pool, 0, &id, &view);
    bool gave_back = crossvm_load_relaxed(test_pool_returned(&pool, 0, 0)) == 2;
    CHECK_EQ(status, gave_back ? CROSSVM_NOT_FOUND : CROSSVM_OK);
    CHECK(gave_back || crossvm_pool_owner_n_lent(&pool.owner, 0) == 1);
    if (status == CROSSVM_OK) {
        CHECK(test_payload_ok(view.payload, LEN, 5));
        CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[0].reader, &view), CROSSVM_OK);
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    test_pool_account(&pool, N, 0);
    test_pool_drop(&pool);
    return died;
}

static void a_reader_that_dies_and_sees_its_ids_again_loses_nothing(void)
{
    for (int call = 0; call < N_READER_CALLS; call++) {
        bool died = true;
        for (unsigned long at = 1; died && at < MOST; at++) {
            died = die_and_see_again(call, at, false);
            (void)die_and_see_again(call, at, true);
        }
        CHECK(!died);
    }
}

/* Between word and count: the successor's coming up makes the owner look. */
static void what_a_dead_reader_gave_back_last_is_seen_when_it_comes_back(void)
{
    struct crossvm_pool_id id;
    bool died = true;
    for (unsigned long at = 1; died && at < MOST; at++) {
        test_pool_make(&pool, N, LEN, 1);
        (void)test_pool_lend(&pool, 5, LEN, 1, &id);
        CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), 0);
        died = reader_dies(USE, at, &id);
        bool returned = crossvm_load_relaxed(test_pool_returned(&pool, 0, 0)) == 2;
        test_pool_open_reader(&pool, 0);
        CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), returned ? 1 : 0);
        test_pool_drop(&pool);
    }
    CHECK(!died);
}

int main(void)
{
    CASE(an_owner_dies_anywhere_and_its_successor_goes_on);
    CASE(a_successor_dies_anywhere_while_it_takes_over);
    CASE(the_first_owner_of_a_pool_may_die_while_it_opens_it);
    CASE(a_reader_that_dies_and_sees_its_ids_again_loses_nothing);
    CASE(what_a_dead_reader_gave_back_last_is_seen_when_it_comes_back);
    return check_done();
}
