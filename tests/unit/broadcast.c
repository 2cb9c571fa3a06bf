/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broadcast.h: what writer and readers are told, call by call, with the readers on a read-only
 * mapping throughout.
 */
#include "../support/broadcast.h"

enum {
    LEN = 200 /* bytes of an element, not a multiple of anything */
};

static const uint32_t slot_counts[] = {2, 4, 8, 64};

#define N_SLOT_COUNTS (sizeof(slot_counts) / sizeof(slot_counts[0]))

static unsigned char elem[TEST_ELEM_MAX];

/* The next read gives this element, and says how many were lost in front of it. */
static void expect_read(struct crossvm_broadcast_reader *reader, uint64_t number, uint64_t lost)
{
    struct crossvm_broadcast_info info = {0, 0, 0};
    memset(elem, 0, sizeof(elem));
    REQUIRE(crossvm_broadcast_reader_read(reader, elem, sizeof(elem), &info) == CROSSVM_OK);
    CHECK_EQ(info.number, number);
    CHECK_EQ(info.lost, lost);
    CHECK_EQ(crossvm_broadcast_reader_number(reader), number);
    CHECK(test_payload_ok(elem, info.len, number));
}

static void expect_empty(struct crossvm_broadcast_reader *reader)
{
    CHECK_EQ(crossvm_broadcast_reader_read(reader, elem, sizeof(elem), NULL), CROSSVM_EMPTY);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void nothing_is_read_before_something_is_published(void)
{
    struct test_broadcast cast;
    struct crossvm_broadcast_info infos[2];
    test_broadcast_make(&cast, 4, LEN);
    expect_empty(&cast.reader);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elem, LEN, 2, infos), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), 0);
    CHECK_EQ(crossvm_broadcast_reader_number(&cast.reader), 0);
    test_put(&cast.writer, LEN);
    expect_empty(&cast.reader);
    test_broadcast_drop(&cast);
}

static void a_reader_that_keeps_up_gets_every_element_in_order(void)
{
    for (size_t i = 0; i < N_SLOT_COUNTS; i++) {
        struct test_broadcast cast;
        test_broadcast_make(&cast, slot_counts[i], LEN);
        for (uint32_t number = 1; number <= 3 * slot_counts[i] + 1; number++) {
            CHECK_EQ(test_send(&cast.writer, number % (LEN + 1)), CROSSVM_OK);
            CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), number);
            expect_read(&cast.reader, number, 0);
            expect_empty(&cast.reader);
        }
        CHECK_EQ(cast.reader.n_lost, 0);
        test_broadcast_drop(&cast);
    }
}

/* Nobody writes while it reads: what is left is what the slots hold. */
static void a_reader_that_was_lapped_is_told_exactly_how_many_it_lost(void)
{
    for (size_t i = 0; i < N_SLOT_COUNTS; i++) {
        const uint64_t n = slot_counts[i];
        struct test_broadcast cast;
        struct test_tally tally;
        test_broadcast_make(&cast, slot_counts[i], LEN);
        test_tally_begin(&tally, &cast.reader);
        for (uint64_t ahead = 0; ahead <= 3 * n; ahead++) {
            test_send_each(&cast.writer, LEN, ahead);
            CHECK_EQ(test_tally_drain(&tally, &cast.reader), ahead < n ? ahead : n);
            test_tally_exact(&tally, crossvm_broadcast_writer_number(&cast.writer));
        }
        CHECK(tally.n_lost != 0);
        test_broadcast_drop(&cast);
    }
}

/* The writer laps a reader that has read some of what it knew to be there. */
static void what_a_reader_saw_announced_may_be_lost_as_well(void)
{
    for (size_t i = 1; i < N_SLOT_COUNTS; i++) {
        const uint32_t n = slot_counts[i];
        struct test_broadcast cast;
        test_broadcast_make(&cast, n, LEN);
        test_send_each(&cast.writer, LEN, n);
        expect_read(&cast.reader, 1, 0);
        test_send_each(&cast.writer, LEN, n - 1);
        expect_read(&cast.reader, n, n - 2);
        expect_read(&cast.reader, n + 1, 0);
        CHECK_EQ(cast.reader.n_lost, n - 2);
        test_send_each(&cast.writer, LEN, 10 * n);
        expect_read(&cast.reader, 11 * n, 10 * n - 2);
        test_broadcast_drop(&cast);
    }
}

static void readers_know_nothing_of_each_other(void)
{
    struct test_broadcast cast;
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 3);
    struct crossvm_broadcast_reader copy = cast.reader;
    expect_read(&cast.reader, 1, 0);
    expect_read(&cast.reader, 2, 0);
    test_send_each(&cast.writer, LEN, 3);
    expect_read(&copy, 3, 2);
    expect_read(&cast.reader, 3, 0);
    CHECK_EQ(cast.reader.n_lost, 0);
    CHECK_EQ(copy.n_lost, 2);
    test_broadcast_drop(&cast);
}

/* ---- late joiners --------------------------------------------------------------------------- */

static void a_late_reader_begins_with_the_newest_or_the_oldest(void)
{
    for (size_t i = 0; i < N_SLOT_COUNTS; i++) {
        const uint64_t n = slot_counts[i];
        struct test_broadcast cast;
        test_broadcast_make(&cast, slot_counts[i], LEN);
        for (uint64_t newest = 0; newest <= 2 * n + 1; newest++) {
            struct crossvm_broadcast_reader late;
            struct crossvm_broadcast_reader early;
            test_broadcast_read(&cast, &late, CROSSVM_BROADCAST_NEWEST);
            test_broadcast_read(&cast, &early, CROSSVM_BROADCAST_OLDEST);
            if (newest == 0) {
                expect_empty(&late);
                expect_empty(&early);
            }
            test_send_each(&cast.writer, LEN, newest == 0 ? 1 : 0);
            uint64_t oldest = newest < n ? 1 : newest - n + 1;
            expect_read(&late, newest == 0 ? 1 : newest, 0);
            expect_empty(&late);
            expect_read(&early, oldest, 0);
            CHECK_EQ(late.n_lost + early.n_lost, 0);
            test_send_each(&cast.writer, LEN, newest == 0 ? 0 : 1);
        }
        test_broadcast_drop(&cast);
    }
}

/* From the call on everything is read or counted, also what is gone before the first read. */
static void a_late_reader_counts_from_when_it_was_opened(void)
{
    struct test_broadcast cast;
    struct crossvm_broadcast_reader late;
    struct crossvm_broadcast_reader early;
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 10);
    test_broadcast_read(&cast, &late, CROSSVM_BROADCAST_NEWEST);
    test_broadcast_read(&cast, &early, CROSSVM_BROADCAST_OLDEST);
    test_send_each(&cast.writer, LEN, 5);
    expect_read(&late, 12, 2);
    expect_read(&early, 12, 5);
    test_broadcast_drop(&cast);
}

static void a_reader_begins_nowhere_else(void)
{
    struct test_broadcast cast;
    int elsewhere = CROSSVM_BROADCAST_OLDEST + 1;
    test_broadcast_make(&cast, 4, LEN);
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, &cast.region.reader, &cast.chunk,
                                           (enum crossvm_broadcast_start)elsewhere),
             CROSSVM_INVALID);
    test_broadcast_drop(&cast);
}

/* ---- batches -------------------------------------------------------------------------------- */

static void a_batch_is_its_elements_in_order(void)
{
    for (size_t i = 0; i < N_SLOT_COUNTS; i++) {
        const uint32_t n = slot_counts[i];
        struct test_broadcast cast;
        struct test_tally tally;
        test_broadcast_make(&cast, n, LEN);
        test_tally_begin(&tally, &cast.reader);
        for (uint32_t batch = 0; batch <= 3 * n + 1; batch++) {
            uint64_t before = crossvm_broadcast_writer_number(&cast.writer);
            CHECK_EQ(test_send_n(&cast.writer, LEN, batch), CROSSVM_OK);
            CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), before + batch);
            CHECK_EQ(test_tally_drain(&tally, &cast.reader), batch < n ? batch : n);
            test_tally_exact(&tally, before + batch);
        }
        test_broadcast_drop(&cast);
    }
}

static void a_batch_is_read_as_far_as_it_is_there(void)
{
    struct test_broadcast cast;
    struct crossvm_broadcast_info infos[8];
    static unsigned char elems[8 * LEN];
    test_broadcast_make(&cast, 8, LEN);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, LEN, 0, infos), 0);
    CHECK_EQ(test_send_n(&cast.writer, LEN, 5), CROSSVM_OK);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, LEN, 3, infos), 3);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(infos[i].number, 1 + i);
        CHECK_EQ(infos[i].lost, 0);
        CHECK_EQ(infos[i].len, LEN);
        CHECK(test_payload_ok(elems + i * LEN, LEN, 1 + i));
    }
    CHECK_EQ(test_send_n(&cast.writer, 17, 9), CROSSVM_OK);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, LEN, 100, infos), 8);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(infos[i].number, 7 + i);
        CHECK_EQ(infos[i].lost, i == 0 ? 3 : 0);
        CHECK_EQ(infos[i].len, 17);
        CHECK(test_payload_ok(elems + i * LEN, 17, 7 + i));
    }
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, LEN, 8, infos), CROSSVM_EMPTY);
    CHECK_EQ(test_send_n(&cast.writer, 0, 2), CROSSVM_OK);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, 0, 2, NULL), 2);
    test_broadcast_drop(&cast);
}

/* What stops a batch in its middle is answered by the next call. */
static void a_batch_ends_in_front_of_what_does_not_fit(void)
{
    struct test_broadcast cast;
    struct crossvm_broadcast_info infos[4];
    static unsigned char elems[4 * LEN];
    test_broadcast_make(&cast, 8, LEN);
    test_send_each(&cast.writer, 8, 2);
    test_send_each(&cast.writer, 9, 1);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, 8, 4, infos), 2);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, 8, 4, infos), CROSSVM_NO_SPACE);
    CHECK_EQ(infos[0].len, 9);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elems, 9, 4, infos), 1);
    CHECK_EQ(infos[0].number, 3);
    test_broadcast_drop(&cast);
}

/* ---- a write under way ---------------------------------------------------------------------- */

/* Half the slots may be begun and not announced; the other half is there. Of what is gone, and
 * what is stepped over beside it, nothing is counted twice. */
static void what_a_batch_has_begun_is_lost_and_the_newest_half_is_not(void)
{
    for (size_t i = 0; i < N_SLOT_COUNTS; i++) {
        const uint32_t n = slot_counts[i];
        for (uint32_t begun = 1; begun <= n / 2; begun++) {
            struct test_broadcast cast;
            struct test_tally tally;
            test_broadcast_make(&cast, n, LEN);
            test_send_each(&cast.writer, LEN, 2 * n);
            test_broadcast_read(&cast, &cast.reader, CROSSVM_BROADCAST_OLDEST);
            test_tally_begin(&tally, &cast.reader);
            for (uint32_t k = 0; k < begun; k++) {
                test_put(&cast.writer, LEN);
            }
            uint64_t n_read = test_tally_drain(&tally, &cast.reader);
            test_tally_exact(&tally, 2 * n);
            CHECK(tally.n_lost >= begun && n_read >= n / 2);
            CHECK(begun != 1 || tally.n_lost == 1);
            CHECK(tally.n_lost <= 4 * begun + 1);
            test_broadcast_drop(&cast);
        }
    }
}

/* The largest number of slots there is: half of them begun, and still within the attempts. */
static void the_newest_half_is_found_among_many_slots(void)
{
    struct test_broadcast cast;
    const uint32_t n = CROSSVM_SLOTS_MAX;
    if (!test_fits(n * 128 + 65536)) {
        return;
    }
    test_broadcast_make(&cast, n, 8);
    test_send_each(&cast.writer, 8, n);
    for (uint32_t k = 0; k < n / 2; k++) {
        test_put(&cast.writer, 8);
    }
    expect_read(&cast.reader, n / 2 + 1, n / 2);
    test_broadcast_drop(&cast);
}

/* ---- lengths -------------------------------------------------------------------------------- */

static void too_long_an_element_is_refused_and_changes_nothing(void)
{
    struct test_broadcast cast;
    static unsigned char elems[2 * LEN + 2];
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 1);
    CHECK_EQ(crossvm_broadcast_writer_publish(&cast.writer, elems, LEN + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_broadcast_writer_publish(&cast.writer, elems, UINT32_MAX), CROSSVM_INVALID);
    CHECK_EQ(crossvm_broadcast_writer_publish_n(&cast.writer, elems, LEN + 1, 2), CROSSVM_INVALID);
    CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), 1);
    expect_read(&cast.reader, 1, 0);
    expect_empty(&cast.reader);
    test_broadcast_drop(&cast);
}

/* A caller that was told to come with a larger buffer has lost nothing. */
static void an_element_longer_than_the_buffer_comes_next_again(void)
{
    struct test_broadcast cast;
    struct crossvm_broadcast_info info = {0, 0, 0};
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 6);
    for (size_t len = 0; len < LEN; len++) {
        memset(elem, 0xee, LEN + 1);
        CHECK_EQ(crossvm_broadcast_reader_read(&cast.reader, elem, len, &info), CROSSVM_NO_SPACE);
        CHECK_EQ(info.number, 3);
        CHECK_EQ(info.lost, 2);
        CHECK_EQ(info.len, LEN);
        CHECK_EQ(elem[len], 0xee);
        CHECK_EQ(cast.reader.n_lost, 0);
    }
    CHECK_EQ(crossvm_broadcast_reader_read(&cast.reader, elem, 0, NULL), CROSSVM_NO_SPACE);
    expect_read(&cast.reader, 3, 2);
    CHECK_EQ(cast.reader.n_lost, 2);
    test_broadcast_drop(&cast);
}

static void of_nothing_neither_side_needs_a_buffer(void)
{
    struct test_broadcast cast;
    struct crossvm_broadcast_info info = {0, 0, 0};
    test_broadcast_make(&cast, 2, LEN);
    CHECK_EQ(crossvm_broadcast_writer_publish(&cast.writer, NULL, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_broadcast_reader_read(&cast.reader, NULL, 0, &info), CROSSVM_OK);
    CHECK_EQ(info.len, 0);
    CHECK_EQ(info.number, 1);
    test_broadcast_drop(&cast);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void numbers_go_on_across_every_word(void)
{
    for (size_t k = 0; k < TEST_N_VERSION_EDGES; k++) {
        for (size_t i = 0; i < N_SLOT_COUNTS; i++) {
            const uint32_t n = slot_counts[i];
            struct test_broadcast cast;
            struct test_tally tally;
            test_broadcast_make(&cast, n, LEN);
            test_broadcast_restart_at(&cast, test_version_edges[k] - n);
            test_tally_begin(&tally, &cast.reader);
            for (uint32_t step = 1; step <= n + 2; step++) {
                test_send_each(&cast.writer, LEN, step);
                CHECK_EQ(test_send_n(&cast.writer, LEN, n / 2), CROSSVM_OK);
                (void)test_tally_drain(&tally, &cast.reader);
                test_tally_exact(&tally, crossvm_broadcast_writer_number(&cast.writer));
            }
            test_broadcast_drop(&cast);
        }
    }
}

/* The low word of `latest` says nothing of how far away it is: the slots do. */
static void a_reader_may_be_any_distance_behind(void)
{
    static const uint64_t distances[] = {
        (uint64_t)1 << 31,       ((uint64_t)1 << 31) - 1, ((uint64_t)1 << 31) + 1,
        (uint64_t)1 << 32,       ((uint64_t)1 << 32) - 1, ((uint64_t)1 << 32) + 1,
        ((uint64_t)3 << 31) + 2, (uint64_t)1 << 33,       (uint64_t)5 << 32,
        (uint64_t)1 << 61,
    };
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        for (uint64_t last = 0; last <= 9; last++) {
            struct test_broadcast cast;
            struct test_tally tally;
            test_broadcast_make(&cast, 4, LEN);
            test_send_each(&cast.writer, LEN, last);
            test_tally_begin(&tally, &cast.reader);
            (void)test_tally_drain(&tally, &cast.reader);
            struct crossvm_broadcast_reader behind = cast.reader;
            test_broadcast_restart_at(&cast, last + distances[i]);
            CHECK_EQ(test_tally_drain(&tally, &behind), 4);
            test_tally_exact(&tally, last + distances[i]);
            test_broadcast_drop(&cast);
        }
    }
}

/* A reader that knew of elements which it has not read yet, and is overtaken by a whole round of the
 * low word: the mark of its next element is there again, for another number. */
static void the_mark_of_another_number_is_not_taken_for_the_next_ones(void)
{
    static const uint64_t rounds[] = {(uint64_t)1 << 31, (uint64_t)1 << 32, (uint64_t)1 << 33};
    for (size_t i = 0; i < 3; i++) {
        struct test_broadcast cast;
        test_broadcast_make(&cast, 4, LEN);
        test_send_each(&cast.writer, LEN, 4);
        expect_read(&cast.reader, 1, 0);
        struct crossvm_broadcast_reader behind = cast.reader;
        test_broadcast_restart_at(&cast, rounds[i] + 4);
        expect_read(&behind, rounds[i] + 1, rounds[i] - 1);
        CHECK_EQ(behind.n_lost, rounds[i] - 1);
        test_broadcast_drop(&cast);
    }
}

/* ---- a writer that comes back --------------------------------------------------------------- */

static void a_writer_that_comes_back_goes_on_behind_the_newest(void)
{
    struct test_broadcast cast;
    test_broadcast_make(&cast, 4, LEN);
    for (uint64_t number = 0; number < 12; number++) {
        test_broadcast_write(&cast);
        CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), number);
        /* What its predecessor did not announce is not there. */
        test_put(&cast.writer, 7);
        test_put(&cast.writer, 9);
        test_broadcast_write(&cast);
        CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), number);
        test_send_each(&cast.writer, LEN, 1);
        expect_read(&cast.reader, number + 1, 0);
        expect_empty(&cast.reader);
    }
    test_broadcast_drop(&cast);
}

static void a_writer_with_impossible_words_publishes_nothing(void)
{
    struct test_broadcast cast;
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 5);
    crossvm_store_relaxed(&test_broadcast_slot(&cast, 5)->mark, 9);
    CHECK_EQ(crossvm_broadcast_writer_open(&cast.writer, &cast.region.owner.region, &cast.chunk),
             CROSSVM_CORRUPT);
    CHECK_EQ(cast.writer.fault.rule, CROSSVM_RULE_SLOT_MARK);
    CHECK_EQ(cast.writer.fault.value, 9);
    CHECK_EQ(cast.writer.fault.off, test_broadcast_slot_off(&cast, 5));
    CHECK_EQ(crossvm_broadcast_writer_publish(&cast.writer, "x", 1), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_broadcast_writer_publish_n(&cast.writer, "xy", 1, 2), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_load_relaxed(&test_broadcast_control(&cast)->latest), 5);
    test_broadcast_drop(&cast);
}

/* ---- waking --------------------------------------------------------------------------------- */

struct waking {
    struct test_broadcast cast;
    struct test_region own; /* the reader's memory */
    struct crossvm_wake_waiter waiter;
    struct crossvm_wake_publisher publisher;
};

static void waking_make(struct waking *waking)
{
    const struct crossvm_chunk_decl decl = {"wake",  CROSSVM_KIND_WAKE, 0, 0,
                                            PARTY_B, PARTY_A,           0, 0};
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 0, 0, PARTY_B);
    test_broadcast_make(&waking->cast, 8, LEN);
    test_region_make(&waking->own, &plan, PARTY_A);
    struct crossvm_chunk chunk = test_find(&waking->own.reader, "wake", CROSSVM_KIND_WAKE);
    REQUIRE(crossvm_wake_waiter_open(&waking->waiter, &waking->own.owner.region, &chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_wake_publisher_open(
                &waking->publisher, &waking->own.reader, &chunk,
                (uint32_t)crossvm_broadcast_writer_number(&waking->cast.writer)) == CROSSVM_OK);
}

static int kick(struct waking *waking)
{
    uint64_t again_ns;
    return crossvm_wake_due(&waking->publisher,
                            (uint32_t)crossvm_broadcast_writer_number(&waking->cast.writer), 0,
                            &again_ns);
}

/* Arms for the `want`-th element behind the last one, and looks once more. */
static int arm(struct waking *waking, uint32_t want)
{
    uint32_t event = (uint32_t)crossvm_broadcast_reader_number(&waking->cast.reader) + want - 1;
    REQUIRE(crossvm_wake_at(&waking->waiter, event, 0) == CROSSVM_OK);
    return crossvm_broadcast_reader_read(&waking->cast.reader, elem, sizeof(elem), NULL);
}

static void a_reader_with_memory_of_its_own_is_rung_at_its_watermark(void)
{
    struct waking waking;
    waking_make(&waking);
    CHECK_EQ(arm(&waking, 1), CROSSVM_EMPTY);
    CHECK_EQ(kick(&waking), 1); /* a fresh publisher rings once */
    for (uint32_t want = 1; want <= 5; want++) {
        CHECK_EQ(arm(&waking, want), CROSSVM_EMPTY);
        for (uint32_t i = 1; i <= want; i++) {
            test_send_each(&waking.cast.writer, LEN, 1);
            CHECK_EQ(kick(&waking), i == want);
        }
        CHECK_EQ(crossvm_wake_never(&waking.waiter), CROSSVM_OK);
        uint64_t last = crossvm_broadcast_writer_number(&waking.cast.writer);
        for (uint32_t i = 0; i < want; i++) {
            expect_read(&waking.cast.reader, last - want + 1 + i, 0);
        }
        test_send_each(&waking.cast.writer, LEN, 1);
        CHECK_EQ(kick(&waking), 0);
        expect_read(&waking.cast.reader, last + 1, 0);
    }
    /* A batch passes the watermark in the middle; one kick is enough. */
    CHECK_EQ(arm(&waking, 2), CROSSVM_EMPTY);
    CHECK_EQ(test_send_n(&waking.cast.writer, LEN, 3), CROSSVM_OK);
    CHECK_EQ(kick(&waking), 1);
    test_region_drop(&waking.own);
    test_broadcast_drop(&waking.cast);
}

/* ---- chunks that are not what was opened ---------------------------------------------------- */

static void a_renewed_chunk_makes_every_handle_stale(void)
{
    struct test_broadcast cast;
    struct crossvm_chunk old;
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 3);
    struct crossvm_broadcast_reader knows = cast.reader;
    expect_read(&knows, 1, 0);
    old = cast.chunk;
    REQUIRE(crossvm_region_owner_renew(&cast.region.owner, &cast.chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_broadcast_reader_read(&knows, elem, LEN, NULL), CROSSVM_STALE);
    CHECK_EQ(crossvm_broadcast_reader_read(&cast.reader, elem, LEN, NULL), CROSSVM_STALE);
    CHECK_EQ(crossvm_broadcast_reader_read_n(&cast.reader, elem, LEN, 1, NULL), CROSSVM_STALE);
    CHECK_EQ(test_send(&cast.writer, LEN), CROSSVM_STALE);
    CHECK_EQ(test_send_n(&cast.writer, LEN, 9), CROSSVM_STALE);
    CHECK_EQ(crossvm_broadcast_writer_open(&cast.writer, &cast.region.owner.region, &old),
             CROSSVM_STALE);
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, &cast.region.reader, &old,
                                           CROSSVM_BROADCAST_NEWEST),
             CROSSVM_STALE);

    test_broadcast_write(&cast);
    CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), 0);
    test_broadcast_read(&cast, &cast.reader, CROSSVM_BROADCAST_OLDEST);
    expect_empty(&cast.reader);
    test_send_each(&cast.writer, LEN, 1);
    expect_read(&cast.reader, 1, 0);
    CHECK_EQ(crossvm_broadcast_reader_read(&knows, elem, LEN, NULL), CROSSVM_STALE);
    test_broadcast_drop(&cast);
}

static void only_the_right_party_opens_the_right_chunk(void)
{
    struct test_broadcast cast;
    struct crossvm_region stranger;
    struct crossvm_chunk other;
    const enum crossvm_broadcast_start start = CROSSVM_BROADCAST_NEWEST;
    test_broadcast_make(&cast, 4, LEN);
    struct crossvm_region *owner = &cast.region.owner.region;
    REQUIRE(crossvm_region_attach(&stranger, &cast.region.writable, 3) == CROSSVM_OK);

    CHECK_EQ(crossvm_broadcast_writer_open(&cast.writer, &cast.region.reader, &cast.chunk),
             CROSSVM_ROLE);
    CHECK_EQ(crossvm_broadcast_writer_open(&cast.writer, &stranger, &cast.chunk), CROSSVM_ROLE);
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, &stranger, &cast.chunk, start),
             CROSSVM_ROLE);
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, owner, &cast.chunk, start), CROSSVM_OK);

    /* The bytes are those of a snapshot, and what they mean is not. */
    other = cast.chunk;
    other.kind = CROSSVM_KIND_SNAPSHOT;
    CHECK_EQ(crossvm_broadcast_writer_open(&cast.writer, owner, &other), CROSSVM_TYPE);
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, owner, &other, start), CROSSVM_TYPE);
    other = cast.chunk;
    other.n = 3;
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, owner, &other, start), CROSSVM_INVALID);
    other = cast.chunk;
    other.len = 1 << 20;
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, owner, &other, start), CROSSVM_INVALID);
    other = cast.chunk;
    other.off += cast.region.reader.length;
    CHECK_EQ(crossvm_broadcast_writer_open(&cast.writer, owner, &other), CROSSVM_INVALID);
    test_broadcast_drop(&cast);
}

/* ---- device mappings ------------------------------------------------------------------------ */

static void an_uncached_mapping_carries_the_same_stream(void)
{
    struct test_broadcast cast;
    struct test_tally tally;
    struct crossvm_region writing;
    struct crossvm_region reading;
    test_broadcast_make(&cast, 4, LEN);
    struct crossvm_mapping writable = cast.region.writable;
    struct crossvm_mapping read_only = cast.region.read_only;
    writable.memory = CROSSVM_UNCACHED;
    read_only.memory = CROSSVM_UNCACHED;
    REQUIRE(crossvm_region_attach(&writing, &writable, PARTY_A) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&reading, &read_only, PARTY_B) == CROSSVM_OK);
    REQUIRE(crossvm_broadcast_writer_open(&cast.writer, &writing, &cast.chunk) == CROSSVM_OK);
    REQUIRE(crossvm_broadcast_reader_open(&cast.reader, &reading, &cast.chunk,
                                          CROSSVM_BROADCAST_OLDEST) == CROSSVM_OK);
    CHECK(cast.writer.slots.device && cast.reader.slots.device);
    test_tally_begin(&tally, &cast.reader);
    for (uint32_t ahead = 1; ahead <= 10; ahead++) {
        test_send_each(&cast.writer, LEN - ahead, ahead);
        CHECK_EQ(test_tally_drain(&tally, &cast.reader), ahead < 4 ? ahead : 4);
        test_tally_exact(&tally, crossvm_broadcast_writer_number(&cast.writer));
    }
    test_broadcast_drop(&cast);
}

int main(void)
{
    CASE(nothing_is_read_before_something_is_published);
    CASE(a_reader_that_keeps_up_gets_every_element_in_order);
    CASE(a_reader_that_was_lapped_is_told_exactly_how_many_it_lost);
    CASE(what_a_reader_saw_announced_may_be_lost_as_well);
    CASE(readers_know_nothing_of_each_other);
    CASE(a_late_reader_begins_with_the_newest_or_the_oldest);
    CASE(a_late_reader_counts_from_when_it_was_opened);
    CASE(a_reader_begins_nowhere_else);
    CASE(a_batch_is_its_elements_in_order);
    CASE(a_batch_is_read_as_far_as_it_is_there);
    CASE(a_batch_ends_in_front_of_what_does_not_fit);
    CASE(what_a_batch_has_begun_is_lost_and_the_newest_half_is_not);
    CASE(the_newest_half_is_found_among_many_slots);
    CASE(too_long_an_element_is_refused_and_changes_nothing);
    CASE(an_element_longer_than_the_buffer_comes_next_again);
    CASE(of_nothing_neither_side_needs_a_buffer);
    CASE(numbers_go_on_across_every_word);
    CASE(a_reader_may_be_any_distance_behind);
    CASE(the_mark_of_another_number_is_not_taken_for_the_next_ones);
    CASE(a_writer_that_comes_back_goes_on_behind_the_newest);
    CASE(a_writer_with_impossible_words_publishes_nothing);
    CASE(a_reader_with_memory_of_its_own_is_rung_at_its_watermark);
    CASE(a_renewed_chunk_makes_every_handle_stale);
    CASE(only_the_right_party_opens_the_right_chunk);
    CASE(an_uncached_mapping_carries_the_same_stream);
    return check_done();
}
