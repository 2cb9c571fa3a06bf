/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: what writer and reader are told, call by call, with the reader on a read-only
 * mapping throughout.
 */
#include "../support/snapshot.h"

enum {
    LEN = 200 /* bytes of payload, not a multiple of anything */
};

static const uint32_t slot_counts[] = {2, 4, 8};

static unsigned char payload[TEST_PAYLOAD_MAX];

static void publish_n(struct test_snapshot *snap, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(test_publish(&snap->writer, (uint32_t)snap->chunk.len), CROSSVM_OK);
    }
}

/* The next read gives this version, new or not, and says how many were missed. */
static void expect_read(struct crossvm_snapshot_reader *reader, int is_new, uint64_t version,
                        uint64_t missed)
{
    struct crossvm_snapshot_info info;
    REQUIRE(crossvm_snapshot_reader_read(reader, payload, sizeof(payload), &info) == is_new);
    CHECK_EQ(info.version, version);
    CHECK_EQ(info.missed, missed);
    CHECK(test_read_ok(&info, payload));
}

/* ---- reading -------------------------------------------------------------------------------- */

static void nothing_is_read_before_something_is_published(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    struct crossvm_snapshot_view view;
    test_snapshot_make(&snap, 4, LEN);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, &info), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, NULL, 0, NULL), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_snapshot_reader_peek(&snap.reader, &view), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_snapshot_reader_read_version(&snap.reader, 0, payload, LEN, &info),
             CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_snapshot_reader_read_version(&snap.reader, 1, payload, LEN, &info),
             CROSSVM_NOT_FOUND);
    REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, true) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, &info), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 0);
    test_snapshot_drop(&snap);
}

static void versions_count_from_one_and_missed_ones_are_counted(void)
{
    for (size_t i = 0; i < 3; i++) {
        struct test_snapshot snap;
        test_snapshot_make(&snap, slot_counts[i], LEN);
        publish_n(&snap, 1);
        expect_read(&snap.reader, 1, 1, 0);
        expect_read(&snap.reader, 0, 1, 0);
        publish_n(&snap, 1);
        expect_read(&snap.reader, 1, 2, 0);
        publish_n(&snap, 5);
        expect_read(&snap.reader, 1, 7, 4);
        expect_read(&snap.reader, 0, 7, 0);
        publish_n(&snap, 100);
        expect_read(&snap.reader, 1, 107, 99);
        CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 107);
        test_snapshot_drop(&snap);
    }
}

/* A version that was read is copied again from where it was opened; what moves the reader on, or
 * does not count as a read, is not mistaken for it. */
static void a_version_that_was_read_is_read_again_and_no_other(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_view view;
    struct crossvm_snapshot_info info;
    test_snapshot_make(&snap, 4, LEN);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, SIZE_MAX, &info), CROSSVM_NOT_YET);
    CHECK_EQ(test_publish(&snap.writer, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, SIZE_MAX, &info), 1);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, 0, &info), 0);
    CHECK_EQ(info.len, 0);
    publish_n(&snap, 1);
    expect_read(&snap.reader, 1, 2, 0);
    memset(payload, 0, sizeof(payload));
    expect_read(&snap.reader, 0, 2, 0);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, SIZE_MAX, &info), 0);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN - 1, &info), CROSSVM_NO_SPACE);
    CHECK_EQ(info.len, LEN);
    expect_read(&snap.reader, 0, 2, 0);
    publish_n(&snap, 1);
    REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), 1);
    expect_read(&snap.reader, 0, 3, 0);
    CHECK_EQ(test_publish(&snap.writer, 50), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, 49, &info), CROSSVM_NO_SPACE);
    expect_read(&snap.reader, 1, 4, 0);
    expect_read(&snap.reader, 0, 4, 0);
    test_snapshot_drop(&snap);
}

static void the_first_read_of_a_late_reader_has_missed_nothing(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_reader late;
    struct crossvm_snapshot_reader copy;
    test_snapshot_make(&snap, 4, LEN);
    publish_n(&snap, 50);
    REQUIRE(crossvm_snapshot_reader_open(&late, &snap.region.reader, &snap.chunk) == CROSSVM_OK);
    expect_read(&late, 1, 50, 0);
    /* Handles know nothing of each other, copies neither. */
    copy = late;
    publish_n(&snap, 2);
    expect_read(&copy, 1, 52, 1);
    publish_n(&snap, 1);
    expect_read(&late, 1, 53, 2);
    expect_read(&copy, 1, 53, 0);
    expect_read(&snap.reader, 1, 53, 0);
    test_snapshot_drop(&snap);
}

static void times_are_the_writers_and_may_be_absent(void)
{
    static const uint64_t times[][2] = {
        {0, 0}, {1, 0}, {0, 1}, {UINT64_MAX, UINT64_MAX}, {0x100000000u, 0xffffffffu}, {7, 3},
    };
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    test_snapshot_make(&snap, 2, LEN);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        REQUIRE(crossvm_snapshot_writer_publish(&snap.writer, "x", 1, times[i][0], times[i][1]) ==
                CROSSVM_OK);
        REQUIRE(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, &info) == 1);
        CHECK(info.sampled_ns == times[i][0]);
        CHECK(info.published_ns == times[i][1]);
        CHECK_EQ(info.len, 1);
    }
    test_snapshot_drop(&snap);
}

static void every_length_up_to_the_slots_is_published(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    test_snapshot_make(&snap, 2, LEN);
    for (uint32_t len = 0; len <= LEN; len++) {
        CHECK_EQ(test_publish(&snap.writer, len), CROSSVM_OK);
        memset(payload, 0xee, LEN + 1);
        REQUIRE(crossvm_snapshot_reader_read(&snap.reader, payload, sizeof(payload), &info) == 1);
        CHECK_EQ(info.len, len);
        CHECK(test_read_ok(&info, payload));
        CHECK_EQ(payload[len], 0xee);
    }
    /* Of nothing neither side needs a buffer. */
    CHECK_EQ(crossvm_snapshot_writer_publish(&snap.writer, NULL, 0, 1, 2), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, NULL, 0, &info), 1);
    CHECK_EQ(info.len, 0);
    test_snapshot_drop(&snap);
}

static void too_long_a_payload_is_refused_and_changes_nothing(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 2, LEN);
    publish_n(&snap, 3);
    CHECK_EQ(crossvm_snapshot_writer_publish(&snap.writer, payload, LEN + 1, 0, 0),
             CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_publish(&snap.writer, payload, UINT32_MAX, 0, 0),
             CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 3);
    expect_read(&snap.reader, 1, 3, 0);
    publish_n(&snap, 1);
    expect_read(&snap.reader, 1, 4, 0);
    test_snapshot_drop(&snap);
}

static void a_version_longer_than_the_buffer_says_how_long_it_is(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    test_snapshot_make(&snap, 2, LEN);
    publish_n(&snap, 1);
    for (size_t len = 0; len < LEN; len++) {
        memset(&info, 0, sizeof(info));
        memset(payload, 0xee, LEN + 1);
        CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, len, &info), CROSSVM_NO_SPACE);
        CHECK_EQ(info.len, LEN);
        CHECK_EQ(info.version, 1);
        CHECK_EQ(payload[len], 0xee);
        CHECK_EQ(crossvm_snapshot_reader_read_version(&snap.reader, 1, payload, len, &info),
                 CROSSVM_NO_SPACE);
        CHECK_EQ(info.len, LEN);
        CHECK_EQ(payload[len], 0xee);
    }
    CHECK(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL) >= 0);
    CHECK(test_payload_ok(payload, LEN, 1));
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, 3, NULL), CROSSVM_NO_SPACE);
    test_snapshot_drop(&snap);
}

/* A caller that was told to come with a larger buffer, or other parts, has missed nothing. */
static void what_could_not_be_taken_does_not_count_as_read(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    const struct crossvm_snapshot_part outside = {LEN, 1, payload};
    test_snapshot_make(&snap, 4, LEN);
    publish_n(&snap, 1);
    expect_read(&snap.reader, 1, 1, 0);
    publish_n(&snap, 3);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN - 1, &info), CROSSVM_NO_SPACE);
    CHECK_EQ(info.missed, 2);
    CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, &outside, 1, NULL), CROSSVM_INVALID);
    expect_read(&snap.reader, 1, 4, 2);
    test_snapshot_drop(&snap);
}

/* ---- parts and in place --------------------------------------------------------------------- */

static void parts_are_fields_of_one_version(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    unsigned char whole[LEN];
    unsigned char a[8];
    unsigned char b[13];
    unsigned char c[60];
    const struct crossvm_snapshot_part parts[] = {
        {0, sizeof(a), a}, {37, sizeof(b), b}, {LEN - sizeof(c), sizeof(c), c}, {LEN, 0, a}};
    test_snapshot_make(&snap, 4, LEN);
    for (uint64_t version = 1; version <= 10; version++) {
        publish_n(&snap, 1);
        test_payload_fill(whole, LEN, version);
        CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, parts, 4, &info), 1);
        CHECK_EQ(info.version, version);
        CHECK_EQ(info.len, LEN);
        CHECK_EQ(info.sampled_ns, test_sampled_ns(version));
        CHECK(memcmp(a, whole, sizeof(a)) == 0);
        CHECK(memcmp(b, whole + 37, sizeof(b)) == 0);
        CHECK(memcmp(c, whole + LEN - sizeof(c), sizeof(c)) == 0);
        CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, parts, 4, NULL), 0);
    }
    publish_n(&snap, 4);
    CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, NULL, 0, &info), 1);
    CHECK_EQ(info.missed, 3);
    test_snapshot_drop(&snap);
}

static void a_part_outside_the_version_is_refused(void)
{
    static const uint32_t outside[][2] = {
        {0, 101}, {1, 100}, {100, 1}, {101, 0}, {99, 2}, {UINT32_MAX, 1}, {1, UINT32_MAX}, {LEN, 0},
    };
    struct test_snapshot snap;
    struct crossvm_snapshot_view view;
    test_snapshot_make(&snap, 4, LEN);
    CHECK_EQ(test_publish(&snap.writer, 100), CROSSVM_OK);
    memset(payload, 0xee, LEN + 1);
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        const struct crossvm_snapshot_part part = {outside[i][0], outside[i][1], payload};
        CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, &part, 1, NULL), CROSSVM_INVALID);
        REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_reader_get(&snap.reader, &view, part.off, payload, part.len),
                 CROSSVM_INVALID);
        CHECK_EQ(payload[0], 0xee);
    }
    REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_get(&snap.reader, &view, 0, payload, SIZE_MAX),
             CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_reader_get(&snap.reader, &view, 1, payload, SIZE_MAX),
             CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_reader_get(&snap.reader, &view, 0, payload, 100), CROSSVM_OK);
    CHECK(test_payload_ok(payload, 100, 1));
    test_snapshot_drop(&snap);
}

static void a_peek_is_one_version_until_its_slot_is_begun(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint32_t n = slot_counts[i];
        struct test_snapshot snap;
        struct crossvm_snapshot_view view;
        test_snapshot_make(&snap, n, LEN);
        publish_n(&snap, 5);
        REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
        publish_n(&snap, n - 1);
        CHECK_EQ(view.info.version, 5);
        CHECK_EQ(crossvm_snapshot_reader_get(&snap.reader, &view, 0, payload, LEN), CROSSVM_OK);
        CHECK(test_payload_ok(payload, LEN, 5));
        CHECK(test_payload_ok(crossvm_snapshot_reader_raw(&view), LEN, 5));
        CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), 1);

        REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
        CHECK_EQ(view.info.missed, n - 2);
        CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), 1);
        REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), 0);

        publish_n(&snap, n - 1);
        REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, false) == CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), CROSSVM_TORN);
        test_snapshot_drop(&snap);
    }
}

/* A view that is finished late, after a newer version was read, does not take the handle back. */
static void an_older_view_does_not_take_the_reader_back(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_view view;
    test_snapshot_make(&snap, 4, LEN);
    publish_n(&snap, 2);
    REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
    publish_n(&snap, 1);
    expect_read(&snap.reader, 1, 3, 0);
    CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), 0);
    expect_read(&snap.reader, 0, 3, 0);
    publish_n(&snap, 1);
    expect_read(&snap.reader, 1, 4, 0);
    test_snapshot_drop(&snap);
}

/* ---- older versions ------------------------------------------------------------------------- */

/* Exactly the versions from..to can be read by number; nothing is said of what was missed. */
static void expect_versions(struct test_snapshot *snap, uint64_t from, uint64_t to)
{
    uint64_t low = to > 40 ? to - 40 : 0;
    for (uint64_t version = low; version <= to + 20; version++) {
        struct crossvm_snapshot_info info;
        int status =
            crossvm_snapshot_reader_read_version(&snap->reader, version, payload, LEN, &info);
        if (version < from || version > to) {
            CHECK_EQ(status, CROSSVM_NOT_FOUND);
            continue;
        }
        REQUIRE(status == CROSSVM_OK);
        CHECK_EQ(info.version, version);
        CHECK_EQ(info.missed, 0);
        CHECK(test_read_ok(&info, payload));
        /* The same low word, another version. */
        CHECK_EQ(crossvm_snapshot_reader_read_version(&snap->reader, version + ((uint64_t)1 << 32),
                                                      payload, LEN, &info),
                 CROSSVM_NOT_FOUND);
        CHECK_EQ(crossvm_snapshot_reader_read_version(&snap->reader, version + ((uint64_t)1 << 63),
                                                      payload, LEN, &info),
                 CROSSVM_NOT_FOUND);
    }
}

static void older_versions_last_as_long_as_their_slots(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint64_t n = slot_counts[i];
        struct test_snapshot snap;
        test_snapshot_make(&snap, slot_counts[i], LEN);
        for (uint64_t newest = 1; newest <= 3 * n; newest++) {
            uint64_t oldest = newest < n ? 1 : newest - n + 1;
            publish_n(&snap, 1);
            expect_versions(&snap, oldest, newest);
            /* The slot of the oldest one is taken away when the next version is begun. */
            REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, false) == CROSSVM_OK);
            expect_versions(&snap, newest < n ? 1 : oldest + 1, newest);
        }
        /* The number that the handle has read last is not touched by all this. */
        expect_read(&snap.reader, 1, 3 * n, 0);
        expect_versions(&snap, 2 * n + 2, 3 * n);
        expect_read(&snap.reader, 0, 3 * n, 0);
        test_snapshot_drop(&snap);
    }
}

/* ---- writing in place ----------------------------------------------------------------------- */

static void a_version_written_in_place_appears_at_its_commit(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    test_snapshot_make(&snap, 4, LEN);
    publish_n(&snap, 1);
    test_payload_fill(payload, LEN, 2);
    REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, false) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, 100, payload + 100, 100), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, 0, payload, 100), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, LEN, payload, 0), CROSSVM_OK);
    expect_read(&snap.reader, 1, 1, 0);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 1);
    CHECK_EQ(
        crossvm_snapshot_writer_commit(&snap.writer, LEN, test_sampled_ns(2), test_published_ns(2)),
        CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 2);
    expect_read(&snap.reader, 1, 2, 0);

    REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, false) == CROSSVM_OK);
    test_payload_fill(crossvm_snapshot_writer_raw(&snap.writer), LEN, 3);
    CHECK_EQ(crossvm_snapshot_writer_commit(&snap.writer, 50, 0, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, &info), 1);
    CHECK_EQ(info.len, 50);
    CHECK(test_payload_ok(payload, 50, 3));
    test_snapshot_drop(&snap);
}

static void carry_begins_with_the_newest_version(void)
{
    for (size_t i = 0; i < 3; i++) {
        struct test_snapshot snap;
        unsigned char expected[1000];
        struct crossvm_snapshot_info info;
        test_snapshot_make(&snap, slot_counts[i], sizeof(expected));
        /* Nothing to carry yet: cleared memory. */
        REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, true) == CROSSVM_OK);
        memset(expected, 0, sizeof(expected));
        CHECK(memcmp(crossvm_snapshot_writer_raw(&snap.writer), expected, sizeof(expected)) == 0);
        publish_n(&snap, 9);
        for (uint32_t field = 0; field < 12; field++) {
            test_payload_fill(expected, sizeof(expected), 9);
            memset(expected, 0x77, field * 3);
            REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, true) == CROSSVM_OK);
            memset(payload, 0x77, 3);
            if (field != 0) {
                CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, (field - 1) * 3, payload, 3),
                         CROSSVM_OK);
            }
            CHECK_EQ(crossvm_snapshot_writer_commit(&snap.writer, sizeof(expected), 1, 2),
                     CROSSVM_OK);
            REQUIRE(crossvm_snapshot_reader_read(&snap.reader, payload, sizeof(payload), &info) ==
                    1);
            CHECK_EQ(info.version, 10 + field);
            CHECK(memcmp(payload, expected, sizeof(expected)) == 0);
        }
        test_snapshot_drop(&snap);
    }
}

static void carry_works_after_a_restart(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 4, LEN);
    publish_n(&snap, 5);
    REQUIRE(crossvm_snapshot_writer_open(&snap.writer, &snap.region.owner.region, &snap.chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, true) == CROSSVM_OK);
    CHECK(test_payload_ok(crossvm_snapshot_writer_raw(&snap.writer), LEN, 5));
    test_snapshot_drop(&snap);
}

/* Without carry the slot still holds the version that is N older; beginning again starts over. */
static void without_carry_the_slots_old_content_is_there(void)
{
    for (size_t i = 0; i < 3; i++) {
        struct test_snapshot snap;
        test_snapshot_make(&snap, slot_counts[i], LEN);
        publish_n(&snap, 20);
        REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, false) == CROSSVM_OK);
        CHECK(test_payload_ok(crossvm_snapshot_writer_raw(&snap.writer), LEN, 21 - slot_counts[i]));
        REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, true) == CROSSVM_OK);
        CHECK(test_payload_ok(crossvm_snapshot_writer_raw(&snap.writer), LEN, 20));
        expect_read(&snap.reader, 1, 20, 0);
        publish_n(&snap, 1);
        expect_read(&snap.reader, 1, 21, 0);
        test_snapshot_drop(&snap);
    }
}

static void nothing_is_written_that_was_not_begun_or_lies_outside(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 2, LEN);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, 0, payload, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_commit(&snap.writer, 0, 0, 0), CROSSVM_INVALID);
    CHECK(crossvm_snapshot_writer_raw(&snap.writer) == NULL);
    REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, false) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, LEN, payload, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, LEN + 1, payload, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, 0, payload, LEN + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, 1, payload, SIZE_MAX), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, UINT32_MAX, payload, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_commit(&snap.writer, LEN + 1, 0, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 0);
    CHECK_EQ(crossvm_snapshot_writer_commit(&snap.writer, LEN, 0, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_put(&snap.writer, 0, payload, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_commit(&snap.writer, 0, 0, 0), CROSSVM_INVALID);
    CHECK(crossvm_snapshot_writer_raw(&snap.writer) == NULL);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 1);
    test_snapshot_drop(&snap);
}

/* ---- age ------------------------------------------------------------------------------------ */

static void stale_is_what_is_older_than_its_deadline_or_has_no_time(void)
{
    static const struct {
        uint64_t sampled_ns;
        uint64_t published_ns;
        uint64_t now_ns;
        uint64_t max_age_ns;
        bool stale;
    } table[] = {
        /* the exact limit */
        {1000, 0, 1000, 0, false},
        {1000, 0, 1001, 0, true},
        {1000, 0, 1500, 500, false},
        {1000, 0, 1501, 500, true},
        {1000, 0, 1499, 500, false},
        /* the time of sampling counts, the time of publication stands in for it */
        {1000, 1400, 1501, 500, true},
        {1000, 900, 1500, 500, false},
        {0, 1000, 1500, 500, false},
        {0, 1000, 1501, 500, true},
        /* not given: never fresh */
        {0, 0, 0, UINT64_MAX, true},
        {0, 0, 1000, UINT64_MAX, true},
        /* in the future: never fresh */
        {1000, 0, 999, UINT64_MAX, true},
        {1000, 500, 999, UINT64_MAX, true},
        {0, 1000, 999, UINT64_MAX, true},
        /* the ends of the range */
        {1, 0, UINT64_MAX, UINT64_MAX - 1, false},
        {1, 0, UINT64_MAX, UINT64_MAX - 2, true},
        {UINT64_MAX, 0, UINT64_MAX, 0, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct crossvm_snapshot_info info = {0, table[i].sampled_ns, table[i].published_ns, 0, 0};
        CHECK_EQ(crossvm_snapshot_is_stale(&info, table[i].now_ns, table[i].max_age_ns),
                 table[i].stale);
    }
}

/* ---- numbers that begin anew ---------------------------------------------------------------- */

static void versions_go_on_across_every_word(void)
{
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < TEST_N_VERSION_EDGES; k++) {
            uint64_t n = slot_counts[i];
            uint64_t first = test_version_edges[k] - n - 1;
            struct test_snapshot snap;
            test_snapshot_make(&snap, slot_counts[i], LEN);
            test_snapshot_restart_at(&snap, first);
            expect_read(&snap.reader, 1, first, 0);
            expect_versions(&snap, first - n + 1, first);
            for (uint64_t version = first + 1; version <= first + 2 * n + 2; version++) {
                publish_n(&snap, 1);
                expect_read(&snap.reader, 1, version, 0);
                expect_versions(&snap, version - n + 1, version);
            }
            test_snapshot_drop(&snap);
        }
    }
}

static void missed_versions_are_counted_across_every_word(void)
{
    for (size_t k = 0; k < TEST_N_VERSION_EDGES; k++) {
        uint64_t edge = test_version_edges[k];
        struct test_snapshot snap;
        test_snapshot_make(&snap, 4, LEN);
        test_snapshot_restart_at(&snap, edge - 1);
        struct crossvm_snapshot_reader early = snap.reader;
        expect_read(&snap.reader, 1, edge - 1, 0);
        publish_n(&snap, 10);
        expect_read(&snap.reader, 1, edge + 9, 9);
        /* A reader that saw the very first version. */
        early.last = 1;
        expect_read(&early, 1, edge + 9, edge + 7);
        test_snapshot_drop(&snap);
    }
}

/* ---- chunks that are not what was opened ---------------------------------------------------- */

static void a_renewed_chunk_makes_every_handle_stale(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_view view;
    struct crossvm_chunk old;
    test_snapshot_make(&snap, 4, LEN);
    publish_n(&snap, 3);
    REQUIRE(crossvm_snapshot_reader_peek(&snap.reader, &view) == CROSSVM_OK);
    old = snap.chunk;
    REQUIRE(crossvm_region_owner_renew(&snap.region.owner, &snap.chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_done(&snap.reader, &view), CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_reader_peek(&snap.reader, &view), CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_reader_read_parts(&snap.reader, NULL, 0, NULL), CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_reader_read_version(&snap.reader, 3, payload, LEN, NULL),
             CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_writer_begin(&snap.writer, true), CROSSVM_STALE);
    CHECK_EQ(test_publish(&snap.writer, LEN), CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_writer_open(&snap.writer, &snap.region.owner.region, &old),
             CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_reader_open(&snap.reader, &snap.region.reader, &old), CROSSVM_STALE);

    REQUIRE(crossvm_snapshot_reader_open(&snap.reader, &snap.region.reader, &snap.chunk) ==
            CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), CROSSVM_NOT_YET);
    REQUIRE(crossvm_snapshot_writer_open(&snap.writer, &snap.region.owner.region, &snap.chunk) ==
            CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), 0);
    publish_n(&snap, 1);
    expect_read(&snap.reader, 1, 1, 0);
    test_snapshot_drop(&snap);
}

static void only_the_right_party_opens_the_right_chunk(void)
{
    struct test_snapshot snap;
    struct crossvm_region stranger;
    struct crossvm_chunk other;
    test_snapshot_make(&snap, 4, LEN);
    struct crossvm_region *owner = &snap.region.owner.region;
    REQUIRE(crossvm_region_attach(&stranger, &snap.region.writable, 3) == CROSSVM_OK);

    /* The reader's mapping is read-only, the stranger is no party of the chunk. */
    CHECK_EQ(crossvm_snapshot_writer_open(&snap.writer, &snap.region.reader, &snap.chunk),
             CROSSVM_ROLE);
    CHECK_EQ(crossvm_snapshot_writer_open(&snap.writer, &stranger, &snap.chunk), CROSSVM_ROLE);
    CHECK_EQ(crossvm_snapshot_reader_open(&snap.reader, &stranger, &snap.chunk), CROSSVM_ROLE);
    CHECK_EQ(crossvm_snapshot_reader_open(&snap.reader, owner, &snap.chunk), CROSSVM_OK);

    other = snap.chunk;
    other.kind = CROSSVM_KIND_BYTES;
    CHECK_EQ(crossvm_snapshot_writer_open(&snap.writer, owner, &other), CROSSVM_TYPE);
    CHECK_EQ(crossvm_snapshot_reader_open(&snap.reader, owner, &other), CROSSVM_TYPE);
    other = snap.chunk;
    other.n = 3;
    CHECK_EQ(crossvm_snapshot_reader_open(&snap.reader, owner, &other), CROSSVM_INVALID);
    other = snap.chunk;
    other.len = 1 << 20;
    CHECK_EQ(crossvm_snapshot_reader_open(&snap.reader, owner, &other), CROSSVM_INVALID);
    other = snap.chunk;
    other.off += snap.region.reader.length;
    CHECK_EQ(crossvm_snapshot_writer_open(&snap.writer, owner, &other), CROSSVM_INVALID);
    test_snapshot_drop(&snap);
}

/* ---- device mappings ------------------------------------------------------------------------ */

static void an_uncached_mapping_carries_the_same_snapshot(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 4, LEN);
    struct crossvm_mapping writable = snap.region.writable;
    struct crossvm_mapping read_only = snap.region.read_only;
    struct crossvm_region writing;
    struct crossvm_region reading;
    writable.memory = CROSSVM_UNCACHED;
    read_only.memory = CROSSVM_UNCACHED;
    REQUIRE(crossvm_region_attach(&writing, &writable, PARTY_A) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&reading, &read_only, PARTY_B) == CROSSVM_OK);
    struct crossvm_snapshot_reader cached = snap.reader;
    REQUIRE(crossvm_snapshot_writer_open(&snap.writer, &writing, &snap.chunk) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&snap.reader, &reading, &snap.chunk) == CROSSVM_OK);
    for (uint64_t version = 1; version <= 10; version++) {
        publish_n(&snap, 1);
        expect_read(&snap.reader, 1, version, 0);
        expect_read(&snap.reader, 0, version, 0);
        /* Copying again is the cached mapping's way: its instructions are not for this one. */
        CHECK_EQ(snap.reader.again_len, 0);
        expect_read(&cached, 1, version, 0);
    }
    REQUIRE(crossvm_snapshot_writer_begin(&snap.writer, true) == CROSSVM_OK);
    CHECK(test_payload_ok(crossvm_snapshot_writer_raw(&snap.writer), LEN, 10));
    expect_versions(&snap, 8, 10);
    test_snapshot_drop(&snap);
}

int main(void)
{
    CASE(nothing_is_read_before_something_is_published);
    CASE(versions_count_from_one_and_missed_ones_are_counted);
    CASE(a_version_that_was_read_is_read_again_and_no_other);
    CASE(the_first_read_of_a_late_reader_has_missed_nothing);
    CASE(times_are_the_writers_and_may_be_absent);
    CASE(every_length_up_to_the_slots_is_published);
    CASE(too_long_a_payload_is_refused_and_changes_nothing);
    CASE(a_version_longer_than_the_buffer_says_how_long_it_is);
    CASE(what_could_not_be_taken_does_not_count_as_read);
    CASE(parts_are_fields_of_one_version);
    CASE(a_part_outside_the_version_is_refused);
    CASE(a_peek_is_one_version_until_its_slot_is_begun);
    CASE(an_older_view_does_not_take_the_reader_back);
    CASE(older_versions_last_as_long_as_their_slots);
    CASE(a_version_written_in_place_appears_at_its_commit);
    CASE(carry_begins_with_the_newest_version);
    CASE(carry_works_after_a_restart);
    CASE(without_carry_the_slots_old_content_is_there);
    CASE(nothing_is_written_that_was_not_begun_or_lies_outside);
    CASE(stale_is_what_is_older_than_its_deadline_or_has_no_time);
    CASE(versions_go_on_across_every_word);
    CASE(missed_versions_are_counted_across_every_word);
    CASE(a_renewed_chunk_makes_every_handle_stale);
    CASE(only_the_right_party_opens_the_right_chunk);
    CASE(an_uncached_mapping_carries_the_same_snapshot);
    return check_done();
}
