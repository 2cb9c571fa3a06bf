/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: a writer that dies before any of its shared accesses leaves the newest complete
 * version readable, and one that restarts goes on with exactly the next version, also when it dies
 * again at once.
 */
#include "../support/hook.h"
#include "../support/snapshot.h"

#include <setjmp.h>

enum {
    LEN = 300 /* more than one bounce of a carry */
};

enum how {
    BY_PUBLISH,
    BY_PARTS, /* begin, three puts, commit */
    BY_CARRY,
    N_HOWS
};

static jmp_buf grave;
static unsigned char payload[LEN];

static void die(void *what)
{
    (void)what;
    longjmp(grave, 1);
}

static void write_in_parts(struct crossvm_snapshot_writer *writer, bool carry)
{
    uint64_t version = crossvm_snapshot_writer_version(writer) + 1;
    test_payload_fill(payload, LEN, version);
    REQUIRE(crossvm_snapshot_writer_begin(writer, carry) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_put(writer, 0, payload, 100) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_put(writer, 200, payload + 200, 100) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_put(writer, 100, payload + 100, 100) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_commit(writer, LEN, test_sampled_ns(version),
                                           test_published_ns(version)) == CROSSVM_OK);
}

static void write_next(struct crossvm_snapshot_writer *writer, enum how how)
{
    if (how == BY_PUBLISH) {
        REQUIRE(test_publish(writer, LEN) == CROSSVM_OK);
    } else {
        write_in_parts(writer, how == BY_CARRY);
    }
}

/* A new writer opens the chunk, where it must find `version`, and dies before its at-th access of
 * the next one. True when it died, false when it finished before. */
static bool write_and_die(struct test_snapshot *snap, uint64_t version, enum how how,
                          unsigned long at)
{
    REQUIRE(crossvm_snapshot_writer_open(&snap->writer, &snap->region.owner.region, &snap->chunk) ==
            CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_version(&snap->writer), version);
    if (setjmp(grave) != 0) {
        (void)test_hook_disarm();
        return true;
    }
    test_hook_arm(at, die, NULL);
    write_next(&snap->writer, how);
    (void)test_hook_disarm();
    return false;
}

/* The newest complete version is read at the first attempt, the next one is not there. */
static void expect_newest(struct crossvm_snapshot_reader *reader, uint64_t version)
{
    struct crossvm_snapshot_info info;
    struct crossvm_snapshot_view view;
    if (version == 0) {
        CHECK_EQ(crossvm_snapshot_reader_read(reader, payload, LEN, &info), CROSSVM_NOT_YET);
    } else {
        uint64_t last = reader->last;
        CHECK_EQ(crossvm_snapshot_reader_peek(reader, &view), CROSSVM_OK);
        REQUIRE(crossvm_snapshot_reader_read(reader, payload, LEN, &info) == (last != version));
        CHECK_EQ(info.version, version);
        CHECK_EQ(info.missed, last == 0 || last == version ? 0 : version - last - 1);
        CHECK(info.len == LEN && test_read_ok(&info, payload));
        CHECK_EQ(crossvm_snapshot_reader_read_version(reader, version, payload, LEN, &info),
                 CROSSVM_OK);
    }
    CHECK_EQ(crossvm_snapshot_reader_read_version(reader, version + 1, payload, LEN, &info),
             CROSSVM_NOT_FOUND);
}

static void expect_newest_for_all(const struct test_snapshot *snap,
                                  struct crossvm_snapshot_reader *faithful, uint64_t version)
{
    struct crossvm_snapshot_reader fresh;
    REQUIRE(crossvm_snapshot_reader_open(&fresh, &snap->region.reader, &snap->chunk) == CROSSVM_OK);
    expect_newest(&fresh, version);
    expect_newest(faithful, version);
}

/* Two deaths in a row, then a writer that lives. False when the first one was not needed. */
static bool die_twice(uint32_t n_slots, uint64_t version, enum how how, unsigned long first,
                      unsigned long second)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, n_slots, LEN);
    test_snapshot_restart_at(&snap, version);
    struct crossvm_snapshot_reader faithful = snap.reader;
    expect_newest(&faithful, version);

    bool died = write_and_die(&snap, version, how, first);
    version += died ? 0 : 1;
    expect_newest_for_all(&snap, &faithful, version);

    version += write_and_die(&snap, version, how, second) ? 0 : 1;
    expect_newest_for_all(&snap, &faithful, version);

    REQUIRE(crossvm_snapshot_writer_open(&snap.writer, &snap.region.owner.region, &snap.chunk) ==
            CROSSVM_OK);
    for (uint32_t i = 0; i < 2 * n_slots + 1; i++) {
        write_next(&snap.writer, (enum how)(i % N_HOWS));
        version++;
        CHECK_EQ(crossvm_snapshot_writer_version(&snap.writer), version);
        expect_newest_for_all(&snap, &faithful, version);
    }
    test_snapshot_drop(&snap);
    return died;
}

static unsigned long die_everywhere(uint32_t n_slots, uint64_t version, enum how how)
{
    unsigned long n = 0;
    unsigned long accesses = 1;
    while (die_twice(n_slots, version, how, accesses, 1)) {
        accesses++;
    }
    CHECK(accesses > 8);
    for (unsigned long first = 1; first <= accesses; first++) {
        unsigned long second = 1 + first % CHECK_SHORTER;
        for (; second <= accesses; second += CHECK_SHORTER) {
            (void)die_twice(n_slots, version, how, first, second);
            n++;
        }
    }
    return n;
}

static void a_death_anywhere_harms_nobody(void)
{
    unsigned long n = 0;
    for (uint32_t n_slots = 2; n_slots <= 4; n_slots *= 2) {
        for (uint64_t version = 0; version <= 4; version++) {
            for (int how = 0; how < N_HOWS; how++) {
                n += die_everywhere(n_slots, version, (enum how)how);
            }
        }
    }
    printf("  %lu pairs of deaths\n", n);
}

static void a_death_where_numbers_begin_anew_harms_nobody(void)
{
    unsigned long n = 0;
    for (uint32_t n_slots = 2; n_slots <= 4; n_slots *= 2) {
        for (size_t i = 0; i < TEST_N_VERSION_EDGES; i++) {
            for (uint64_t back = 1; back <= 2; back++) {
                n += die_everywhere(n_slots, test_version_edges[i] - back, BY_PUBLISH);
            }
        }
    }
    printf("  %lu pairs of deaths\n", n);
}

int main(void)
{
    CASE(a_death_anywhere_harms_nobody);
    CASE(a_death_where_numbers_begin_anew_harms_nobody);
    return check_done();
}
