/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The region's owner: format, adopt, allocate, release, renew, left at each change. Whoever holds a
 * handle reads what is its own or is told that it is stale; the directory is the old one or the new
 * one; the next owner goes on.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/snapshot.h"

enum {
    CAPACITY = 4,
    SPARE_LEN = 512,
    LEN = 24,       /* of the snapshot's payload */
    BYTES_LEN = 72, /* of other chunks */
    VERSION = 5,    /* the newest one in the snapshot */
    ID_OLD = 1,     /* of the region, before it is formatted anew */
    ID_NEW = 2
};

static struct {
    struct test_region region;
    bool shorter;               /* the new plan is: then "more" lies behind its end */
    bool formatted;             /* before the operation: then the handles below are open */
    struct crossvm_chunk state; /* a snapshot */
    struct crossvm_chunk more;  /* bytes */
    struct crossvm_snapshot_reader reader; /* has read the newest version */
    struct crossvm_bytes_reader bytes;
} world;

static const struct crossvm_chunk_decl decls[] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, LEN, PARTY_A, PARTY_B, 0, 0},
    {"more", CROSSVM_KIND_BYTES, 0, BYTES_LEN, PARTY_A, PARTY_B, 0, 0},
};
static const struct crossvm_chunk_decl extra = {
    "extra", CROSSVM_KIND_BYTES, 0, BYTES_LEN, PARTY_A, PARTY_B, 0, 0};
static const struct crossvm_chunk_decl filler = {
    "filler", CROSSVM_KIND_BYTES, 0, SPARE_LEN - 128, PARTY_A, PARTY_B, 0, 0};

static void drop(void)
{
    test_region_drop(&world.region);
}

static struct crossvm_region_plan plan_of(uint8_t id)
{
    struct crossvm_region_plan plan = TEST_PLAN(decls, 2, CAPACITY, 128, SPARE_LEN, PARTY_A);
    plan.region_id[0] = id;
    if (world.shorter && id == ID_NEW) {
        plan.n_chunks = 1;
        plan.spare_len = 0;
    }
    return plan;
}

/* ---- what everybody does --------------------------------------------------------------------- */

static int format(uint8_t id)
{
    const struct crossvm_region_plan plan = plan_of(id);
    return crossvm_region_owner_format(&world.region.owner, &world.region.writable, &plan,
                                       world.region.table, TEST_TABLE_LEN);
}

static int adopt(void)
{
    const struct crossvm_region_plan plan = plan_of(ID_NEW);
    return crossvm_region_owner_adopt(&world.region.owner, &world.region.writable, &plan,
                                      world.region.table, TEST_TABLE_LEN);
}

static void write_bytes(const struct crossvm_chunk *chunk, unsigned char value)
{
    unsigned char text[BYTES_LEN];
    struct crossvm_bytes_writer writer;
    memset(text, value, sizeof(text));
    REQUIRE(crossvm_bytes_writer_open(&writer, &world.region.owner.region, chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_writer_write(&writer, 0, text, sizeof(text)), CROSSVM_OK);
}

static void is_filled(const struct crossvm_bytes_reader *bytes, unsigned char value, bool may_stale)
{
    unsigned char text[BYTES_LEN];
    int status = crossvm_bytes_reader_read(bytes, 0, text, sizeof(text));
    CHECK(status == CROSSVM_OK || (may_stale && status == CROSSVM_STALE));
    for (uint32_t i = 0; i < BYTES_LEN && status == CROSSVM_OK; i++) {
        CHECK_EQ(text[i], value);
    }
}

/* The newest version is this one, whole; or the handle is stale, if it may. Whether it was read. */
static bool is_version(struct crossvm_snapshot_reader *reader, uint64_t version, bool may_stale)
{
    unsigned char payload[LEN];
    struct crossvm_snapshot_info info = {0, 0, 0, 0, 0};
    int status = crossvm_snapshot_reader_read(reader, payload, LEN, &info);
    CHECK(status >= 0 || (may_stale && status == CROSSVM_STALE));
    if (status >= 0) {
        CHECK_EQ(info.version, version);
        CHECK(test_read_ok(&info, payload));
    }
    return status >= 0;
}

static void is_stale(struct crossvm_snapshot_reader *reader)
{
    unsigned char payload[LEN];
    CHECK_EQ(crossvm_snapshot_reader_read(reader, payload, LEN, NULL), CROSSVM_STALE);
}

/* Nothing from before a format is believed any more. */
static void all_are_stale(void)
{
    unsigned char text[BYTES_LEN];
    struct crossvm_chunk chunk;
    if (world.formatted) {
        is_stale(&world.reader);
        CHECK_EQ(crossvm_bytes_reader_read(&world.bytes, 0, text, BYTES_LEN), CROSSVM_STALE);
        CHECK_EQ(crossvm_region_find(&world.region.reader, "more", CROSSVM_KIND_BYTES, 0, &chunk),
                 CROSSVM_STALE);
    }
}

static int find(struct crossvm_region *region, const char *name, uint32_t kind,
                struct crossvm_chunk *chunk)
{
    memset(chunk, 0, sizeof(*chunk));
    return crossvm_region_find(region, name, kind, 0, chunk);
}

/* Whether a chunk that was found can be opened; it may not, if its start is still to come. Then
 * there is nothing in it. */
static bool opens_empty(struct crossvm_region *region, const struct crossvm_chunk *state,
                        bool may_stale)
{
    struct crossvm_snapshot_reader reader;
    unsigned char payload[LEN];
    memset(&reader, 0, sizeof(reader));
    int status = crossvm_snapshot_reader_open(&reader, region, state);
    CHECK(status == CROSSVM_OK || (status == CROSSVM_STALE && may_stale));
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_snapshot_reader_read(&reader, payload, LEN, NULL), CROSSVM_NOT_YET);
    }
    return status == CROSSVM_OK;
}

/* What handles from before see, which nobody has told anything. */
static void handles_are_right(void)
{
    struct crossvm_chunk chunk;
    if (world.formatted) {
        (void)is_version(&world.reader, VERSION, true);
        is_filled(&world.bytes, 0x6d, true);
        int status = find(&world.region.reader, "more", CROSSVM_KIND_BYTES, &chunk);
        CHECK(status == CROSSVM_STALE ||
              (status == CROSSVM_OK && chunk.generation == world.more.generation));
    }
}

/* With an owner at work everything can be made, used, made anew and taken away. */
static void goes_on(void)
{
    struct crossvm_region *owner = &world.region.owner.region;
    struct crossvm_region stranger;
    struct crossvm_chunk state;
    struct crossvm_chunk chunk;
    struct crossvm_snapshot_writer writer;
    struct crossvm_snapshot_reader reader;
    memset(&reader, 0, sizeof(reader));
    REQUIRE(crossvm_region_attach(&stranger, &world.region.read_only, PARTY_B) == CROSSVM_OK);
    int status = find(&stranger, "state", CROSSVM_KIND_SNAPSHOT, &state);
    if (status == CROSSVM_NOT_FOUND) {
        status = crossvm_region_owner_allocate(&world.region.owner, &decls[0], &state);
    }
    REQUIRE(status == CROSSVM_OK);
    CHECK_EQ(crossvm_region_owner_renew(&world.region.owner, &state), CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&reader, &stranger, &state) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_open(&writer, owner, &state) == CROSSVM_OK);
    for (uint64_t version = 1; version <= VERSION + 1; version++) {
        CHECK_EQ(test_publish(&writer, LEN), CROSSVM_OK);
        (void)is_version(&reader, version, false);
    }
    if (world.formatted) {
        is_stale(&world.reader);
    }
    if (find(&stranger, "filler", CROSSVM_KIND_BYTES, &chunk) == CROSSVM_OK) {
        CHECK_EQ(crossvm_region_owner_release(&world.region.owner, &chunk), CROSSVM_OK);
    }
    if (find(&stranger, "extra", CROSSVM_KIND_BYTES, &chunk) == CROSSVM_OK) {
        CHECK_EQ(crossvm_region_owner_release(&world.region.owner, &chunk), CROSSVM_OK);
    }
    if (!world.shorter) {
        CHECK_EQ(crossvm_region_owner_allocate(&world.region.owner, &filler, &chunk), CROSSVM_OK);
        CHECK_EQ(find(&stranger, "filler", CROSSVM_KIND_BYTES, &chunk), CROSSVM_OK);
    }
    CHECK_EQ(crossvm_region_owner_release(&world.region.owner, &state), CROSSVM_OK);
    is_stale(&reader);
    CHECK_EQ(find(&stranger, "state", CROSSVM_KIND_SNAPSHOT, &state), CROSSVM_NOT_FOUND);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

static void mapped(void)
{
    const struct crossvm_region_plan plan = plan_of(ID_OLD);
    uint64_t len = 0;
    REQUIRE(crossvm_region_plan_len(&plan, &len) == CROSSVM_OK);
    test_map(&world.region.writable, &world.region.read_only, len);
    crash_memory(&world.region.writable);
}

/* A region with a snapshot and bytes; what is spare was used before. Full: nothing is spare.
 * Wrapping: the next generation is the first one again. */
static void formatted(enum crash_state state)
{
    struct crossvm_snapshot_writer writer;
    struct crossvm_chunk chunk;
    mapped();
    if (state == CRASH_WRAPPING) {
        struct crossvm_le32 *counter =
            &((struct crossvm_slots_shm *)(void *)((unsigned char *)world.region.writable.base +
                                                   CROSSVM_LIVE_OFF))
                 ->words[0];
        crossvm_store_relaxed(counter, 0xfffffffbu);
    }
    REQUIRE(format(ID_OLD) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&world.region.reader, &world.region.read_only, PARTY_B) ==
            CROSSVM_OK);
    REQUIRE(crossvm_region_owner_allocate(&world.region.owner, &extra, &chunk) == CROSSVM_OK);
    write_bytes(&chunk, 0x65);
    REQUIRE(crossvm_region_owner_release(&world.region.owner, &chunk) == CROSSVM_OK);
    world.state = test_find(&world.region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    world.more = test_find(&world.region.reader, "more", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &world.region.owner.region, &world.state) ==
            CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&world.reader, &world.region.reader, &world.state) ==
            CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&world.bytes, &world.region.reader, &world.more) ==
            CROSSVM_OK);
    for (unsigned i = 0; i < VERSION; i++) {
        CHECK_EQ(test_publish(&writer, LEN), CROSSVM_OK);
    }
    CHECK(is_version(&world.reader, VERSION, false));
    write_bytes(&world.more, 0x6d);
    world.formatted = true;
    if (state == CRASH_FULL) {
        CHECK_EQ(crossvm_region_owner_allocate(&world.region.owner, &filler, &chunk), CROSSVM_OK);
    }
    CHECK(state != CRASH_WRAPPING || world.region.owner.generation == UINT32_MAX);
}

static void to_be_formatted(enum crash_state state)
{
    if (state == CRASH_EMPTY) {
        mapped();
    } else {
        formatted(state);
    }
}

/* Empty: a format of the longer plan has died when all was done but the magic. */
static void to_be_shorter(enum crash_state state)
{
    formatted(state);
    world.shorter = true;
    if (state == CRASH_EMPTY) {
        struct crossvm_le32 *magic = (struct crossvm_le32 *)world.region.writable.base;
        crossvm_store_relaxed(magic, 0);
    }
}

/* An owner has died in renew, when the directory had the new generation, and nothing else. */
static void to_be_adopted(enum crash_state state)
{
    struct crossvm_chunk chunk;
    formatted(state);
    unsigned char *memory = (unsigned char *)world.region.writable.base + world.state.off;
    void *kept = malloc((size_t)world.state.length);
    REQUIRE(kept != NULL);
    memcpy(kept, memory, (size_t)world.state.length);
    chunk = world.state;
    CHECK_EQ(crossvm_region_owner_renew(&world.region.owner, &chunk), CROSSVM_OK);
    memcpy(memory, kept, (size_t)world.state.length);
    free(kept);
    CHECK(is_version(&world.reader, VERSION, false));
}

/* ---- who survives a format ------------------------------------------------------------------- */

/* Whoever comes now finds the old region, or the new one, or none. */
static int newcomers_attach(void)
{
    struct crossvm_region stranger;
    struct crossvm_chunk state;
    handles_are_right();
    int status = crossvm_region_attach(&stranger, &world.region.read_only, PARTY_B);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FORMATTED);
    if (status != CROSSVM_OK) {
        return 0;
    }
    bool is_new = stranger.region_id[0] == ID_NEW;
    CHECK(is_new || (stranger.region_id[0] == ID_OLD && world.formatted));
    status = find(&stranger, "state", CROSSVM_KIND_SNAPSHOT, &state);
    if (!is_new) {
        CHECK_EQ(status, CROSSVM_OK);
        CHECK_EQ(state.generation, world.state.generation);
        return 0;
    }
    CHECK_EQ(status, CROSSVM_OK);
    CHECK(!world.formatted || state.generation != world.state.generation);
    CHECK(opens_empty(&stranger, &state, false));
    return 1;
}

/* The next owner adopts what is whole, else it formats. */
static int formatter_comes_back(void)
{
    int status = adopt();
    int outcome = status == CROSSVM_OK && world.region.owner.region.region_id[0] == ID_NEW;
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FORMATTED ||
          (status == CROSSVM_MISMATCH && world.shorter));
    if (outcome == 0) {
        CHECK(status != CROSSVM_OK || is_version(&world.reader, VERSION, false));
        REQUIRE(format(ID_NEW) == CROSSVM_OK);
    }
    all_are_stale();
    CHECK_EQ(newcomers_attach(), 1);
    goes_on();
    return outcome;
}

static int formatter_formats_again(void)
{
    REQUIRE(format(ID_NEW) == CROSSVM_OK);
    all_are_stale();
    CHECK_EQ(newcomers_attach(), 1);
    goes_on();
    return CRASH_UNSEEN;
}

/* ---- who survives the others ----------------------------------------------------------------- */

/* A reader looks for "extra": it is there, cleared, or not; all else is as it was. */
static int readers_of_allocator_read_on(void)
{
    struct crossvm_chunk chunk;
    struct crossvm_bytes_reader bytes;
    CHECK(is_version(&world.reader, VERSION, false));
    is_filled(&world.bytes, 0x6d, false);
    int status = find(&world.region.reader, "extra", CROSSVM_KIND_BYTES, &chunk);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_bytes_reader_open(&bytes, &world.region.reader, &chunk), CROSSVM_OK);
        is_filled(&bytes, 0, false);
    }
    return status == CROSSVM_OK;
}

static int allocator_comes_back(void)
{
    REQUIRE(adopt() == CROSSVM_OK);
    int outcome = readers_of_allocator_read_on();
    goes_on();
    return outcome;
}

static int readers_of_releaser_read_on(void)
{
    struct crossvm_chunk chunk;
    is_filled(&world.bytes, 0x6d, false);
    int status = find(&world.region.reader, "state", CROSSVM_KIND_SNAPSHOT, &chunk);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
    CHECK(is_version(&world.reader, VERSION, status != CROSSVM_OK) || status != CROSSVM_OK);
    return status == CROSSVM_NOT_FOUND;
}

/* An owner that comes back finishes what was begun. */
static int releaser_comes_back(void)
{
    REQUIRE(adopt() == CROSSVM_OK);
    int outcome = readers_of_releaser_read_on();
    if (outcome != 0) {
        is_stale(&world.reader);
    }
    goes_on();
    return outcome;
}

/* The same of the last chunk, behind which nothing lies that an owner looks at. */
static int readers_of_the_last_read_on(void)
{
    unsigned char text[BYTES_LEN];
    struct crossvm_chunk chunk;
    (void)is_version(&world.reader, VERSION, false);
    int status = find(&world.region.reader, "more", CROSSVM_KIND_BYTES, &chunk);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
    is_filled(&world.bytes, 0x6d, status != CROSSVM_OK);
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_bytes_reader_read(&world.bytes, 0, text, BYTES_LEN), CROSSVM_OK);
    }
    return status == CROSSVM_NOT_FOUND;
}

static int releaser_of_the_last_comes_back(void)
{
    unsigned char text[BYTES_LEN];
    REQUIRE(adopt() == CROSSVM_OK);
    int outcome = readers_of_the_last_read_on();
    CHECK_EQ(crossvm_bytes_reader_read(&world.bytes, 0, text, BYTES_LEN),
             outcome != 0 ? CROSSVM_STALE : CROSSVM_OK);
    goes_on();
    return outcome;
}

/* A reader finds the old generation and its content; or the new one, empty, as soon as it opens. */
static int readers_of_renewer_read_on(void)
{
    struct crossvm_chunk chunk;
    is_filled(&world.bytes, 0x6d, false);
    CHECK_EQ(find(&world.region.reader, "state", CROSSVM_KIND_SNAPSHOT, &chunk), CROSSVM_OK);
    int outcome = chunk.generation != world.state.generation;
    CHECK(is_version(&world.reader, VERSION, outcome != 0) || outcome != 0);
    if (outcome != 0) {
        (void)opens_empty(&world.region.reader, &chunk, true);
    }
    return outcome;
}

static int renewer_comes_back(void)
{
    struct crossvm_chunk chunk;
    REQUIRE(adopt() == CROSSVM_OK);
    int outcome = readers_of_renewer_read_on();
    CHECK_EQ(find(&world.region.reader, "state", CROSSVM_KIND_SNAPSHOT, &chunk), CROSSVM_OK);
    if (outcome != 0) {
        is_stale(&world.reader);
        CHECK(opens_empty(&world.region.reader, &chunk, false));
    }
    goes_on();
    return outcome;
}

/* What was cut short is finished when the new generation can be opened. */
static int readers_of_adopter_read_on(void)
{
    struct crossvm_chunk chunk;
    CHECK_EQ(readers_of_renewer_read_on(), 1);
    CHECK_EQ(find(&world.region.reader, "state", CROSSVM_KIND_SNAPSHOT, &chunk), CROSSVM_OK);
    return opens_empty(&world.region.reader, &chunk, true);
}

static int adopter_comes_back(void)
{
    CHECK_EQ(renewer_comes_back(), 1);
    return CRASH_UNSEEN;
}

/* ---- what dies ------------------------------------------------------------------------------- */

static int formats(void)
{
    return format(ID_NEW) == CROSSVM_OK ? 1 : -1;
}

static int adopts(void)
{
    return adopt() == CROSSVM_OK ? 1 : -1;
}

static int allocates(void)
{
    struct crossvm_chunk chunk;
    int status = crossvm_region_owner_allocate(&world.region.owner, &extra, &chunk);
    bool full = world.region.owner.n_chunks == 3 && status == CROSSVM_NO_SPACE;
    return status == CROSSVM_OK || full ? (int)!full : -1;
}

static int releases(void)
{
    return crossvm_region_owner_release(&world.region.owner, &world.state) == CROSSVM_OK ? 1 : -1;
}

static int releases_the_last(void)
{
    return crossvm_region_owner_release(&world.region.owner, &world.more) == CROSSVM_OK ? 1 : -1;
}

static int renews(void)
{
    struct crossvm_chunk chunk = world.state;
    return crossvm_region_owner_renew(&world.region.owner, &chunk) == CROSSVM_OK ? 1 : -1;
}

static const struct crash_operation operations[] = {
    {"crossvm_region_owner_format",
     CRASH_EACH,
     to_be_formatted,
     formats,
     {{"newcomers attach", newcomers_attach},
      {"the owner comes back", formatter_comes_back},
      {"the owner formats again", formatter_formats_again}},
     false},
    {"crossvm_region_owner_format",
     CRASH_EACH,
     to_be_shorter,
     formats,
     {{"newcomers attach", newcomers_attach},
      {"the owner comes back", formatter_comes_back},
      {"the owner formats again", formatter_formats_again}},
     false},
    {"crossvm_region_owner_adopt",
     CRASH_EACH,
     to_be_adopted,
     adopts,
     {{"the readers read on", readers_of_adopter_read_on},
      {"the owner comes back", adopter_comes_back}},
     false},
    {"crossvm_region_owner_allocate",
     CRASH_EACH,
     formatted,
     allocates,
     {{"the readers read on", readers_of_allocator_read_on},
      {"the owner comes back", allocator_comes_back}},
     false},
    {"crossvm_region_owner_release",
     CRASH_EACH,
     formatted,
     releases,
     {{"the readers read on", readers_of_releaser_read_on},
      {"the owner comes back", releaser_comes_back}},
     false},
    {"crossvm_region_owner_release",
     CRASH_EMPTY | CRASH_WRAPPING,
     formatted,
     releases_the_last,
     {{"the readers read on", readers_of_the_last_read_on},
      {"the owner comes back", releaser_of_the_last_comes_back}},
     false},
    {"crossvm_region_owner_renew",
     CRASH_EACH,
     formatted,
     renews,
     {{"the readers read on", readers_of_renewer_read_on},
      {"the owner comes back", renewer_comes_back}},
     false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
