/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot: its writer, left at each change, with two slots and with four. What was the newest
 * complete version stays readable, the next one is whole or is not there.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/snapshot.h"

enum {
    PAYLOAD_LEN = 44
};

static struct {
    struct test_snapshot snap;
    uint64_t version; /* the newest when the operation begins */
    bool carried;     /* the next one has the newest one's contents */
    uint32_t ahead;   /* a later one is begun, which takes another slot away */
} world;

static void drop(void)
{
    test_snapshot_drop(&world.snap);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

/* Empty: nothing published. Full: every slot holds a version. Wrapping: the low words of the next
 * version and of its mark begin anew. */
static void published(enum crash_state state, uint32_t n_slots)
{
    unsigned char payload[PAYLOAD_LEN];
    world.version = state == CRASH_EMPTY ? 0 : state == CRASH_FULL ? 9 : 0xffffffffu;
    test_snapshot_make(&world.snap, n_slots, PAYLOAD_LEN);
    crash_memory(&world.snap.region.writable);
    if (state != CRASH_EMPTY) {
        test_snapshot_restart_at(&world.snap, world.version);
        CHECK_EQ(crossvm_snapshot_reader_read(&world.snap.reader, payload, PAYLOAD_LEN, NULL), 1);
    }
}

static void two_slots(enum crash_state state)
{
    published(state, 2);
}

static void four_slots(enum crash_state state)
{
    published(state, 4);
}

static void begun(enum crash_state state)
{
    two_slots(state);
    CHECK_EQ(crossvm_snapshot_writer_begin(&world.snap.writer, false), CROSSVM_OK);
}

static void begun_with_the_newest(enum crash_state state)
{
    two_slots(state);
    world.carried = state != CRASH_EMPTY;
    CHECK_EQ(crossvm_snapshot_writer_begin(&world.snap.writer, true), CROSSVM_OK);
}

/* ---- who survives ---------------------------------------------------------------------------- */

/* The version is as it was published, with its own times. */
static void is_whole(const struct crossvm_snapshot_info *info, const unsigned char *payload)
{
    bool carried = world.carried && info->version == world.version + 1;
    CHECK_EQ(info->len, PAYLOAD_LEN);
    CHECK(test_payload_ok(payload, PAYLOAD_LEN, carried ? world.version : info->version));
    CHECK_EQ(info->sampled_ns, test_sampled_ns(info->version));
    CHECK_EQ(info->published_ns, test_published_ns(info->version));
}

static void version_is_kept(struct crossvm_snapshot_reader *reader, uint64_t version)
{
    unsigned char payload[PAYLOAD_LEN];
    struct crossvm_snapshot_info info = {0, 0, 0, 0, 0};
    CHECK_EQ(crossvm_snapshot_reader_read_version(reader, version, payload, PAYLOAD_LEN, &info),
             CROSSVM_OK);
    CHECK_EQ(info.version, version);
    is_whole(&info, payload);
}

/* The oldest version, whose slot is the next one's: it is whole, or not there. */
static void oldest_is_whole_or_gone(struct crossvm_snapshot_reader *reader)
{
    unsigned char payload[PAYLOAD_LEN];
    struct crossvm_snapshot_info info = {0, 0, 0, 0, 0};
    uint64_t version = world.version + 1 - world.snap.chunk.n;
    int status = crossvm_snapshot_reader_read_version(reader, version, payload, PAYLOAD_LEN, &info);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
    if (status == CROSSVM_OK) {
        CHECK_EQ(info.version, version);
        is_whole(&info, payload);
    }
}

/* Reads the newest: how many are new since the operation began. seen: the handle has read the one
 * that was the newest then. */
static int read_newest(struct crossvm_snapshot_reader *reader, bool seen)
{
    unsigned char payload[PAYLOAD_LEN];
    struct crossvm_snapshot_info info = {0, 0, 0, 0, 0};
    int status = crossvm_snapshot_reader_read(reader, payload, PAYLOAD_LEN, &info);
    if (status == CROSSVM_NOT_YET) {
        CHECK_EQ(world.version, 0);
        return 0;
    }
    bool next = info.version == world.version + 1;
    CHECK(next || info.version == world.version);
    CHECK_EQ(status, next || !seen);
    is_whole(&info, payload);
    for (uint64_t k = 0; k + 2 + world.ahead <= world.snap.chunk.n && k < world.version; k++) {
        version_is_kept(reader, world.version - k);
    }
    if (world.version != 0) {
        oldest_is_whole_or_gone(reader);
    }
    int status_next = crossvm_snapshot_reader_read_version(reader, world.version + 1, payload,
                                                           PAYLOAD_LEN, &info);
    CHECK_EQ(status_next, next ? CROSSVM_OK : CROSSVM_NOT_FOUND);
    return next;
}

static int reader_reads_on(void)
{
    unsigned char payload[PAYLOAD_LEN];
    int outcome = read_newest(&world.snap.reader, true);
    bool none = world.version + (unsigned)outcome == 0;
    CHECK_EQ(crossvm_snapshot_reader_read(&world.snap.reader, payload, PAYLOAD_LEN, NULL),
             none ? CROSSVM_NOT_YET : 0);
    return outcome;
}

static int reader_begins(void)
{
    struct crossvm_snapshot_reader reader;
    REQUIRE(crossvm_snapshot_reader_open(&reader, &world.snap.region.reader, &world.snap.chunk) ==
            CROSSVM_OK);
    return read_newest(&reader, false);
}

static void publish_next(void)
{
    unsigned char payload[PAYLOAD_LEN];
    struct crossvm_snapshot_info info = {0, 0, 0, 0, 0};
    uint64_t version = crossvm_snapshot_writer_version(&world.snap.writer) + 1;
    CHECK_EQ(test_publish(&world.snap.writer, PAYLOAD_LEN), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&world.snap.reader, payload, PAYLOAD_LEN, &info), 1);
    CHECK_EQ(info.version, version);
    CHECK_EQ(info.missed, 0);
    CHECK(test_payload_ok(payload, PAYLOAD_LEN, version));
}

/* The writer's next incarnation goes on with exactly the next version, twice around the slots; the
 * reader first reads what was left, if told so. */
static int writer_goes_on(bool read_first)
{
    int outcome = read_first ? read_newest(&world.snap.reader, true) : 0;
    REQUIRE(crossvm_snapshot_writer_open(&world.snap.writer, &world.snap.region.owner.region,
                                         &world.snap.chunk) == CROSSVM_OK);
    int resumed = (int)(crossvm_snapshot_writer_version(&world.snap.writer) - world.version);
    if (!read_first) {
        CHECK_EQ(read_newest(&world.snap.reader, true), resumed);
    } else {
        CHECK_EQ(outcome, resumed);
    }
    world.carried = world.carried && resumed == 1;
    for (uint32_t i = 0; i < 2 * world.snap.chunk.n + 1; i++) {
        publish_next();
    }
    return resumed;
}

static int writer_comes_back(void)
{
    return writer_goes_on(false);
}

static int writer_comes_back_later(void)
{
    return writer_goes_on(true);
}

/* The next incarnation dies, too, in the middle of a version, and comes back once more. */
static int writer_dies_again(void)
{
    REQUIRE(crossvm_snapshot_writer_open(&world.snap.writer, &world.snap.region.owner.region,
                                         &world.snap.chunk) == CROSSVM_OK);
    int resumed = (int)(crossvm_snapshot_writer_version(&world.snap.writer) - world.version);
    unsigned char garbage[PAYLOAD_LEN] = {0};
    CHECK_EQ(crossvm_snapshot_writer_begin(&world.snap.writer, false), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_put(&world.snap.writer, 0, garbage, PAYLOAD_LEN), CROSSVM_OK);
    world.ahead = (uint32_t)resumed;
    CHECK_EQ(writer_goes_on(false), resumed);
    return resumed;
}

#define SURVIVE                                                                       \
    {                                                                                 \
        {"the reader reads on", reader_reads_on}, {"a reader begins", reader_begins}, \
            {"the writer comes back", writer_comes_back},                             \
            {"the writer comes back later", writer_comes_back_later},                 \
            {"the writer dies again", writer_dies_again},                             \
    }

/* ---- what dies ------------------------------------------------------------------------------- */

static int opens_and_publishes(void)
{
    if (crossvm_snapshot_writer_open(&world.snap.writer, &world.snap.region.owner.region,
                                     &world.snap.chunk) != CROSSVM_OK) {
        return -1;
    }
    return test_publish(&world.snap.writer, PAYLOAD_LEN) == CROSSVM_OK ? 1 : -1;
}

static int begins(void)
{
    return crossvm_snapshot_writer_begin(&world.snap.writer, false) == CROSSVM_OK ? 0 : -1;
}

static int begins_with_the_newest(void)
{
    return crossvm_snapshot_writer_begin(&world.snap.writer, true) == CROSSVM_OK ? 0 : -1;
}

static int puts_some(void)
{
    unsigned char payload[PAYLOAD_LEN];
    test_payload_fill(payload, PAYLOAD_LEN, world.version + 1);
    return crossvm_snapshot_writer_put(&world.snap.writer, 4, payload + 4, PAYLOAD_LEN - 4) ==
                   CROSSVM_OK
               ? 0
               : -1;
}

/* All in place: what was begun is filled by two puts, or is the newest one's contents. */
static int fills_and_commits(void)
{
    unsigned char payload[PAYLOAD_LEN];
    uint64_t next = world.version + 1;
    test_payload_fill(payload, PAYLOAD_LEN, next);
    if (!world.carried &&
        (crossvm_snapshot_writer_put(&world.snap.writer, 8, payload + 8, PAYLOAD_LEN - 8) !=
             CROSSVM_OK ||
         crossvm_snapshot_writer_put(&world.snap.writer, 0, payload, 8) != CROSSVM_OK)) {
        return -1;
    }
    return crossvm_snapshot_writer_commit(&world.snap.writer, PAYLOAD_LEN, test_sampled_ns(next),
                                          test_published_ns(next)) == CROSSVM_OK
               ? 1
               : -1;
}

static const struct crash_operation operations[] = {
    {"crossvm_snapshot_writer_open crossvm_snapshot_writer_publish", CRASH_EACH, two_slots,
     opens_and_publishes, SURVIVE, false},
    {"crossvm_snapshot_writer_open crossvm_snapshot_writer_publish", CRASH_EACH, four_slots,
     opens_and_publishes, SURVIVE, false},
    {"crossvm_snapshot_writer_begin", CRASH_EACH, two_slots, begins, SURVIVE, false},
    {"crossvm_snapshot_writer_begin", CRASH_EACH, four_slots, begins_with_the_newest, SURVIVE,
     false},
    {"crossvm_snapshot_writer_put", CRASH_EACH, begun, puts_some, SURVIVE, false},
    {"crossvm_snapshot_writer_put crossvm_snapshot_writer_commit", CRASH_EACH, begun,
     fills_and_commits, SURVIVE, false},
    {"crossvm_snapshot_writer_commit", CRASH_EACH, begun_with_the_newest, fills_and_commits,
     SURVIVE, false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
