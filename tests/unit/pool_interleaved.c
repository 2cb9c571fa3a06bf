/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: whatever the owner does at whichever shared access of a reader, and a reader at whichever
 * access of the owner: what is called good is whole, a loan is never ended by what was said of an
 * earlier one, and everything that was given back comes back.
 */
#include "../support/hook.h"
#include "../support/pool.h"

enum {
    N = 2,
    LEN = 72,
    MOST = 400,
    OLD = 1, /* values of contents */
    NEW = 2
};

enum {
    FIND, /* and look, and check */
    COPY,
    GIVE_BACK,
    GIVE_ALL,
    N_CALLS
};

enum {
    NOTHING,
    RECALL,
    REFILL,      /* the block is taken away and half filled */
    REUSE,       /* and lent to the other reader */
    REUSE_SAME,  /* and lent to the same reader again */
    GIVES_TWICE, /* another incarnation gives the block back, and the owner lends it anew */
    RENEW,       /* the pool's memory starts anew */
    COLLECTS,
    N_HAPPENINGS
};

static struct test_pool pool;
static struct crossvm_pool_id id;
static struct crossvm_pool_id next;
static bool happened;

/* Takes the block from everyone and fills it with something else. */
static void refill(uint32_t readers)
{
    uint32_t block = 99;
    CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, 0, CROSSVM_POOL_EVERYONE), 1);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK && block == 0);
    unsigned char bytes[LEN];
    test_payload_fill(bytes, LEN, NEW);
    REQUIRE(crossvm_pool_owner_put(&pool.owner, 0, 0, bytes, readers == 0 ? LEN / 2 : LEN) ==
            CROSSVM_OK);
    if (readers != 0) {
        REQUIRE(crossvm_pool_owner_lend(&pool.owner, 0, LEN, readers, &next) == CROSSVM_OK);
    }
}

static void act(void *what)
{
    int happening = *(const int *)what;
    happened = true;
    if (happening == RECALL) {
        CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, 0, CROSSVM_POOL_EVERYONE), 1);
    } else if (happening == REFILL) {
        refill(0);
    } else if (happening == REUSE || happening == REUSE_SAME) {
        refill(happening == REUSE ? 2 : 1);
    } else if (happening == GIVES_TWICE) {
        struct crossvm_pool_reader twin = pool.side[0].reader;
        struct crossvm_pool_view view;
        if (crossvm_pool_reader_find(&twin, &id, &view) == CROSSVM_OK) {
            REQUIRE(crossvm_pool_reader_give_back(&twin, &view) == CROSSVM_OK);
        }
    } else if (happening == RENEW) {
        REQUIRE(crossvm_region_owner_renew(&pool.region.owner, &pool.chunk) == CROSSVM_OK);
    } else if (happening == COLLECTS) {
        CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    }
}

static bool harmless(int happening)
{
    return !happened || happening == NOTHING || happening == GIVES_TWICE || happening == COLLECTS;
}

/* What a reader may be told when the owner took its block away during the call. */
static bool taken_away(int status, int happening)
{
    return happening == RENEW ? status == CROSSVM_STALE || status == CROSSVM_TORN
                              : status == CROSSVM_TORN || status == CROSSVM_NOT_FOUND;
}

static void look(int call, int happening)
{
    struct crossvm_pool_view view;
    unsigned char copy[LEN] = {0};
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    int status;
    if (call == COPY) {
        status = crossvm_pool_reader_copy(reader, &id, copy, LEN, &view);
    } else {
        status = crossvm_pool_reader_find(reader, &id, &view);
        if (status == CROSSVM_OK) {
            memcpy(copy, view.payload, LEN);
            status = crossvm_pool_reader_check(reader, &view);
        }
    }
    CHECK(status == CROSSVM_OK ? test_payload_ok(copy, LEN, OLD) : taken_away(status, happening));
    CHECK(status == CROSSVM_OK || !harmless(happening) ||
          (happening == GIVES_TWICE && status == CROSSVM_NOT_FOUND));
    CHECK_EQ(reader->fault.rule, CROSSVM_RULE_NONE);
}

static void give(int call, int happening)
{
    struct crossvm_pool_view view;
    struct crossvm_pool_reader *reader = &pool.side[0].reader;
    int status;
    if (call == GIVE_ALL) {
        status = crossvm_pool_reader_give_back_all(reader);
        CHECK_EQ(status, happened && happening == RENEW ? CROSSVM_STALE : CROSSVM_OK);
        return;
    }
    (void)test_hook_disarm();
    test_pool_expect(&pool, 0, &id, OLD, LEN, &view);
    test_hook_arm(test_hook.at, act, &happening);
    status = crossvm_pool_reader_give_back(reader, &view);
    CHECK(status == CROSSVM_OK || (!harmless(happening) && taken_away(status, happening)));
}

/* One call of a reader with something happening at one of its accesses. Whether it happened. */
static bool play_reader(int call, int happening, unsigned long at)
{
    test_pool_make(&pool, N, LEN, 2);
    REQUIRE(test_pool_lend(&pool, OLD, LEN, 1, &id) == 0);
    happened = false;
    test_hook_arm(at, act, &happening);
    if (call == FIND || call == COPY) {
        look(call, happening);
    } else {
        give(call, happening);
    }
    (void)test_hook_disarm();
    if (happening != RENEW) {
        CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    }
    if (happened && (happening == REUSE || (happening == REUSE_SAME && call != GIVE_ALL))) {
        /* The new loan is as it was. */
        uint32_t r = happening == REUSE ? 1 : 0;
        CHECK_EQ(crossvm_pool_owner_n_lent(&pool.owner, r), 1);
        test_pool_use(&pool, r, &next, NEW, LEN);
        CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), 1);
        test_pool_account(&pool, N, 0);
    }
    if (happening == NOTHING || happening == GIVES_TWICE || happening == COLLECTS) {
        bool gave = call == GIVE_BACK || call == GIVE_ALL || (happened && happening == GIVES_TWICE);
        CHECK_EQ(crossvm_pool_owner_n_free(&pool.owner), gave ? N : N - 1);
    }
    test_pool_drop(&pool);
    return happened;
}

static void whatever_an_owner_does_a_reader_is_not_deceived(void)
{
    for (int call = 0; call < N_CALLS; call++) {
        for (int happening = 0; happening < N_HAPPENINGS; happening++) {
            unsigned long at = 1;
            while (play_reader(call, happening, at) && at < MOST) {
                at++;
            }
            CHECK(at > 2 && at < MOST);
        }
    }
}

/* ---- readers that act while the owner does --------------------------------------------------- */

static struct crossvm_pool_view views[2];

static void give_one(void *which)
{
    const uint32_t *r = (const uint32_t *)which;
    happened = true;
    CHECK_EQ(crossvm_pool_reader_give_back(&pool.side[*r].reader, &views[*r]), CROSSVM_OK);
}

/* Both readers have block 0; one gave it back, the other does while the owner collects. */
static void what_is_given_back_meanwhile_is_not_forgotten(void)
{
    for (uint32_t late = 0; late < 2; late++) {
        happened = true;
        for (unsigned long at = 1; happened && at < MOST; at++) {
            test_pool_make(&pool, N, LEN, 2);
            REQUIRE(test_pool_lend(&pool, OLD, LEN, 3, &id) == 0);
            test_pool_expect(&pool, 0, &id, OLD, LEN, &views[0]);
            test_pool_expect(&pool, 1, &id, OLD, LEN, &views[1]);
            uint32_t early = 1 - late;
            happened = false;
            give_one(&early);
            happened = false;
            test_hook_arm(at, give_one, &late);
            CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
            (void)test_hook_disarm();
            if (happened) {
                CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
                test_pool_account(&pool, N, 0);
            }
            test_pool_drop(&pool);
        }
        CHECK(!happened);
    }
}

static void renew_part(void *unused)
{
    (void)unused;
    happened = true;
    REQUIRE(crossvm_region_owner_renew(&pool.side[0].own.owner, &pool.side[0].returns) ==
            CROSSVM_OK);
}

/* Another chunk's bytes in the place of a reader's part count for nothing. */
static void put_there(void *unused)
{
    struct crossvm_chunk chunk = pool.side[0].returns;
    struct crossvm_region_owner *owner = &pool.side[0].own.owner;
    struct crossvm_bytes_writer writer;
    const struct crossvm_chunk_decl decl = {"other", CROSSVM_KIND_BYTES, 0, 12, PARTY_B, PARTY_A, 0,
                                            0};
    const unsigned char words[12] = {2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0};
    (void)unused;
    happened = true;
    REQUIRE(crossvm_region_owner_release(owner, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_allocate(owner, &decl, &chunk) == CROSSVM_OK);
    REQUIRE(chunk.off == pool.side[0].returns.off);
    REQUIRE(crossvm_bytes_writer_open(&writer, &owner->region, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_write(&writer, 0, words, 12) == CROSSVM_OK);
}

static void a_part_that_goes_away_ends_no_loan(void)
{
    void (*const goes[])(void *) = {renew_part, put_there};
    for (unsigned which = 0; which < 2; which++) {
        happened = true;
        for (unsigned long at = 1; happened && at < MOST; at++) {
            uint32_t count;
            test_pool_make(&pool, N, LEN, 2);
            REQUIRE(test_pool_lend(&pool, OLD, LEN, 1, &id) == 0);
            happened = false;
            test_hook_arm(at, goes[which], NULL);
            CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), 0);
            (void)test_hook_disarm();
            CHECK_EQ(crossvm_pool_owner_collect(&pool.owner), 0);
            CHECK_EQ(crossvm_pool_owner_reader(&pool.owner, 0, &count),
                     happened ? CROSSVM_STALE : CROSSVM_OK);
            test_pool_account(&pool, N - 1, 1);
            test_pool_drop(&pool);
        }
        CHECK(!happened);
    }
}

/* ---- waiting for blocks ------------------------------------------------------------------------ */

static struct test_pool_wake wake;
static struct crossvm_wake_publisher publisher;
static struct crossvm_pool_id ids[N];
static uint32_t n_wanted;
static bool sleeps;
static bool rung;

static void wake_up(void)
{
    test_pool_wake_make(&wake);
    REQUIRE(crossvm_wake_publisher_open(&publisher, &wake.region.reader, &wake.chunk,
                                        crossvm_pool_reader_count(&pool.side[0].reader)) ==
            CROSSVM_OK);
    uint64_t again_ns;
    (void)crossvm_wake_due(&publisher, crossvm_pool_reader_count(&pool.side[0].reader), 0,
                           &again_ns); /* the first kick always rings */
    sleeps = false;
}

static void kick(void)
{
    uint64_t again_ns;
    rung = crossvm_wake_due(&publisher, crossvm_pool_reader_count(&pool.side[0].reader), 0,
                            &again_ns) == 1 ||
           rung;
}

static void lend_all(void)
{
    while (crossvm_pool_owner_n_free(&pool.owner) != 0) {
        struct crossvm_pool_id lent;
        uint32_t block = test_pool_lend(&pool, OLD, LEN, 1, &lent);
        ids[block] = lent;
    }
}

/* The owner uses up what it has, and waits for more: as the manual says. */
static void waits(void *unused)
{
    (void)unused;
    happened = true;
    if (sleeps && !rung) {
        return;
    }
    for (int i = 0; i < 8; i++) {
        int n = crossvm_pool_owner_collect(&pool.owner);
        REQUIRE(n >= 0);
        lend_all();
        int status = crossvm_pool_owner_arm(&pool.owner, 0, &wake.waiter, n_wanted, 0);
        REQUIRE(status == 0 || status == 1);
        sleeps = status == 0;
        rung = false;
        if (sleeps) {
            return;
        }
    }
    CHECK(false); /* nobody gives anything back any more */
}

static void give_by_id(const struct crossvm_pool_id *which)
{
    struct crossvm_pool_view view;
    if (crossvm_pool_reader_find(&pool.side[0].reader, which, &view) == CROSSVM_OK) {
        REQUIRE(crossvm_pool_reader_give_back(&pool.side[0].reader, &view) == CROSSVM_OK);
        kick();
    }
}

static void give_all_at_once(void *unused)
{
    (void)unused;
    REQUIRE(crossvm_pool_reader_give_back_all(&pool.side[0].reader) == CROSSVM_OK);
    kick();
}

static void give_each(void *unused)
{
    (void)unused;
    happened = true;
    for (uint32_t i = 0; i < N; i++) {
        give_by_id(&ids[i]);
    }
}

/* Whoever was interrupted has gone on; then everything comes back, and a sleeper was rung for it. */
static void check_woken(void)
{
    for (int i = 0; i < 4; i++) {
        give_each(NULL);
        CHECK(!sleeps || rung);
        waits(NULL);
        CHECK(sleeps);
    }
    test_region_drop(&wake.region);
    test_pool_drop(&pool);
}

static void an_owner_that_waits_is_rung(void)
{
    void (*const gives[])(void *) = {give_each, give_all_at_once};
    for (unsigned i = 0; i < 2 * 2 * N; i++) {
        happened = true;
        for (unsigned long at = 1; happened && at < MOST; at++) {
            n_wanted = 1 + i / 4;
            test_pool_make(&pool, N, LEN, 1);
            wake_up();
            lend_all();
            happened = false;
            if (i % 2 ==
                0) { /* the owner waits while a reader gives back, or the other way round */
                test_hook_arm(at, waits, NULL);
                gives[i / 2 % 2](NULL);
            } else {
                test_hook_arm(at, gives[i / 2 % 2], NULL);
                waits(NULL);
            }
            happened = test_hook_disarm() >= at;
            waits(NULL);
            check_woken();
        }
    }
}

int main(void)
{
    CASE(whatever_an_owner_does_a_reader_is_not_deceived);
    CASE(what_is_given_back_meanwhile_is_not_forgotten);
    CASE(a_part_that_goes_away_ends_no_loan);
    CASE(an_owner_that_waits_is_rung);
    return check_done();
}
