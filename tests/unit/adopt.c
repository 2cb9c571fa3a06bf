/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/adopt.c - a restarted owner carries on with its region: contents, chunks and
 * generations stay, another plan is refused, damage is found, and what the earlier owner left half
 * done is finished. (attach.c has adopt on every damaged byte, region_steps.c on every cut.)
 */
#include "../support/damage.h"

enum {
    N_CHUNKS = 3,
    CAPACITY = 6
};

static const struct crossvm_chunk_decl planned[N_CHUNKS] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, 64, PARTY_A, CROSSVM_ANYONE, 7, 0},
    {"config", CROSSVM_KIND_BYTES, 0, 100, PARTY_A, PARTY_B, 0, 0},
    {"log", CROSSVM_KIND_SPSC_TX, 2, 8, PARTY_A, PARTY_B, 0, 5},
};

static const struct crossvm_chunk_decl late = {
    "late", CROSSVM_KIND_BYTES, 0, 128, PARTY_A, PARTY_B, 0, 0};
static const struct crossvm_chunk_decl later = {
    "later", CROSSVM_KIND_BYTES, 0, 128, PARTY_A, PARTY_B, 0, 0};

static struct crossvm_region_plan the_plan(void)
{
    struct crossvm_region_plan plan = TEST_PLAN(planned, N_CHUNKS, CAPACITY, 128, 1024, PARTY_A);
    return plan;
}

static struct crossvm_region_plan plan;
static struct test_region region;
static struct crossvm_region_owner successor;
static struct crossvm_chunk table[CAPACITY];

static void begin(void)
{
    plan = the_plan();
    test_region_make(&region, &plan, PARTY_B);
}

static void end(void)
{
    test_region_drop(&region);
}

static int adopt(void)
{
    return crossvm_region_owner_adopt(&successor, &region.writable, &plan, table, CAPACITY);
}

static void fill(const struct crossvm_chunk *chunk, int byte)
{
    struct crossvm_bytes_writer writer;
    unsigned char bytes[128];
    memset(bytes, byte, sizeof(bytes));
    REQUIRE(crossvm_bytes_writer_open(&writer, &region.owner.region, chunk) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_write(&writer, 0, bytes, (size_t)chunk->len) == CROSSVM_OK);
}

static unsigned char *control(const struct crossvm_chunk *chunk)
{
    return (unsigned char *)region.writable.base + (size_t)chunk->off;
}

/* The chunk's bytes behind its control line. */
static unsigned char *data(const struct crossvm_chunk *chunk)
{
    return control(chunk) + CHUNK_LINE_LEN;
}

/* ---- carrying on -------------------------------------------------------------------------- */

/* An adopt on a region that was left whole changes not a byte, so that readers notice nothing. */
static void adopt_carries_on_without_changing_a_byte(void)
{
    struct damage_image image;
    struct crossvm_chunk before[CAPACITY], after[CAPACITY], chunk;
    struct crossvm_bytes_reader reader;
    unsigned char got[128], want[128];
    uint32_t n_before, n_after;
    begin();
    REQUIRE(crossvm_region_owner_allocate(&region.owner, &late, &chunk) == CROSSVM_OK);
    fill(&chunk, 0x5a);
    REQUIRE(crossvm_bytes_reader_open(&reader, &region.reader, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_region_list(&region.reader, before, CAPACITY, &n_before) == CROSSVM_OK);
    damage_take(&image, &region.writable);

    CHECK_REFUSED(&image, adopt(), CROSSVM_OK);
    CHECK_EQ(crossvm_region_list(&successor.region, after, CAPACITY, &n_after), CROSSVM_OK);
    CHECK_EQ(n_after, n_before);
    CHECK(memcmp(before, after, n_before * sizeof(before[0])) == 0);
    CHECK_EQ(successor.n_chunks, N_CHUNKS + 1);
    CHECK(memcmp(before, table, n_before * sizeof(before[0])) == 0);

    memset(want, 0x5a, sizeof(want));
    CHECK_EQ(crossvm_bytes_reader_read(&reader, 0, got, sizeof(got)), CROSSVM_OK);
    CHECK(memcmp(got, want, sizeof(got)) == 0);
    CHECK_EQ(crossvm_region_list(&region.reader, after, CAPACITY, &n_after), CROSSVM_OK);
    damage_drop(&image);
    end();
}

/* The successor gives out what its predecessor would have given out next. */
static void generations_ids_and_versions_go_on(void)
{
    struct crossvm_chunk first, second;
    begin();
    REQUIRE(crossvm_region_owner_allocate(&region.owner, &late, &first) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_release(&region.owner, &first) == CROSSVM_OK);
    uint32_t latest = damage_get(region.read_only.base, AT_LATEST);
    REQUIRE(adopt() == CROSSVM_OK);
    CHECK_EQ(crossvm_region_owner_allocate(&successor, &later, &second), CROSSVM_OK);
    CHECK_EQ(second.generation, first.generation + 1);
    CHECK_EQ(second.id, N_CHUNKS + 1);
    CHECK_EQ(damage_get(region.read_only.base, AT_LATEST), latest + 1);
    CHECK_EQ(damage_get(region.read_only.base, AT_COUNTER), second.generation);
    CHECK_EQ(test_find(&region.reader, "later", CROSSVM_KIND_BYTES).generation, second.generation);

    /* What the predecessor handed out can be given back to the successor. */
    first = test_find(&region.reader, "config", CROSSVM_KIND_BYTES);
    CHECK_EQ(crossvm_region_owner_release(&successor, &first), CROSSVM_OK);
    CHECK_EQ(crossvm_region_owner_release(&successor, &first), CROSSVM_NOT_FOUND);
    end();
}

static void a_snapshot_goes_on_behind_an_adopt(void)
{
    struct crossvm_snapshot_writer writer;
    struct crossvm_snapshot_reader reader;
    struct crossvm_snapshot_info info;
    char text[64] = "version";
    begin();
    struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_reader_open(&reader, &region.reader, &state) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &region.owner.region, &state) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_publish(&writer, text, 64, 0, 0) == CROSSVM_OK);
    REQUIRE(adopt() == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&reader, text, 64, &info), 1);
    CHECK_EQ(info.version, 1);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &successor.region, &state) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_publish(&writer, text, 64, 0, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&reader, text, 64, &info), 1);
    CHECK_EQ(info.version, 2);
    end();
}

/* ---- another plan ------------------------------------------------------------------------- */

typedef void alter_fn(struct crossvm_region_plan *other, struct crossvm_chunk_decl *decls);

#define ALTER(name, statement)                                                            \
    static void name(struct crossvm_region_plan *other, struct crossvm_chunk_decl *decls) \
    {                                                                                     \
        (void)other;                                                                      \
        (void)decls;                                                                      \
        statement;                                                                        \
    }

ALTER(same, )
ALTER(other_region_id, other->region_id[15] = 1)
ALTER(other_link, other->link_id = 1)
ALTER(other_clock, other->clock.kind = 3)
ALTER(same_spare, other->spare_len = 1024 - 127)

ALTER(other_capacity, other->capacity = CAPACITY - 1)
ALTER(default_capacity, other->capacity = 0)
ALTER(other_granule, other->granule = 256)
ALTER(other_spare, other->spare_len = 1024 - 128)
ALTER(no_spare, other->spare_len = 0)
ALTER(other_owner, other->owner = PARTY_B)
ALTER(fewer_chunks, other->n_chunks = N_CHUNKS - 1)
ALTER(other_name, decls[1].name = "confiG")
ALTER(longer_name, decls[1].name = "config2")
ALTER(other_kind, decls[1].kind = 1000)
ALTER(other_n, decls[0].n = 4)
ALTER(other_n_of_a_queue, decls[2].n = 1)
ALTER(other_len, decls[1].len = 99)
ALTER(other_writer, decls[1].writer = PARTY_B)
ALTER(other_reader, decls[1].reader = CROSSVM_ANYONE)
ALTER(other_type_hash, decls[0].type_hash = 8)
ALTER(other_type_hash_above, decls[0].type_hash |= (uint64_t)1 << 63)
ALTER(other_chunk_link, decls[2].link_id = 6)
ALTER(other_chunk_link_above, decls[2].link_id |= (uint64_t)1 << 63)
ALTER(other_order, decls[0] = planned[1]; decls[1] = planned[0])

static const struct {
    const char *what;
    alter_fn *alter;
    int status;
} alterations[] = {
    {"same", same, CROSSVM_OK},
    {"region id", other_region_id, CROSSVM_OK},
    {"link id", other_link, CROSSVM_OK},
    {"clock", other_clock, CROSSVM_OK},
    {"spare that rounds to the same", same_spare, CROSSVM_OK},
    {"capacity", other_capacity, CROSSVM_MISMATCH},
    {"capacity 0", default_capacity, CROSSVM_MISMATCH},
    {"granule", other_granule, CROSSVM_MISMATCH},
    {"spare", other_spare, CROSSVM_MISMATCH},
    {"no spare", no_spare, CROSSVM_MISMATCH},
    {"owner", other_owner, CROSSVM_MISMATCH},
    {"fewer chunks", fewer_chunks, CROSSVM_MISMATCH},
    {"name", other_name, CROSSVM_MISMATCH},
    {"longer name", longer_name, CROSSVM_MISMATCH},
    {"kind, which is unknown", other_kind, CROSSVM_INVALID},
    {"n", other_n, CROSSVM_MISMATCH},
    {"n of a queue", other_n_of_a_queue, CROSSVM_MISMATCH},
    {"len", other_len, CROSSVM_MISMATCH},
    {"writer", other_writer, CROSSVM_MISMATCH},
    {"reader", other_reader, CROSSVM_MISMATCH},
    {"type hash", other_type_hash, CROSSVM_MISMATCH},
    {"type hash, above", other_type_hash_above, CROSSVM_MISMATCH},
    {"link id of a chunk", other_chunk_link, CROSSVM_MISMATCH},
    {"link id of a chunk, above", other_chunk_link_above, CROSSVM_MISMATCH},
    {"order", other_order, CROSSVM_MISMATCH},
};

/* The mapping is longer than the region, so that a longer plan is refused for being another one
 * and not for want of room. */
static void another_plan_is_refused_by_every_field(void)
{
    struct crossvm_mapping writable, read_only;
    struct crossvm_region_owner owner;
    struct damage_image image;
    const struct crossvm_region_plan good = the_plan();
    test_map(&writable, &read_only, 65536);
    REQUIRE(crossvm_region_owner_format(&owner, &writable, &good, table, CAPACITY) == CROSSVM_OK);
    damage_take(&image, &writable);
    for (size_t i = 0; i < sizeof(alterations) / sizeof(alterations[0]); i++) {
        struct crossvm_region_plan other = good;
        struct crossvm_chunk_decl decls[N_CHUNKS];
        memcpy(decls, planned, sizeof(decls));
        other.chunks = decls;
        alterations[i].alter(&other, decls);
        int status = crossvm_region_owner_adopt(&owner, &writable, &other, table, CAPACITY);
        if (status != alterations[i].status) {
            printf("%s:\n", alterations[i].what);
        }
        CHECK_REFUSED(&image, status, alterations[i].status);
    }
    damage_drop(&image);
    test_unmap(&writable, &read_only);
}

/* Of what may differ, the region keeps its own. */
static void the_regions_id_link_and_clock_stay(void)
{
    begin();
    plan.region_id[0] = 9;
    plan.link_id = 9;
    plan.clock.kind = 2;
    REQUIRE(adopt() == CROSSVM_OK);
    CHECK_EQ(successor.region.region_id[0], 0);
    CHECK_EQ(successor.region.link_id, 0);
    CHECK_EQ(successor.region.clock.kind, 0);
    end();
}

/* Another kind that needs as many bytes: only the hash tells. */
static void another_kind_is_another_plan(void)
{
    static const struct crossvm_chunk_decl wake = {"x", CROSSVM_KIND_WAKE, 0, 0, PARTY_A, 0, 0, 0};
    static const struct crossvm_chunk_decl rx = {"x", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_A, 0, 0, 0};
    struct crossvm_region_plan one = TEST_PLAN(&wake, 1, 0, 0, 0, PARTY_A);
    struct crossvm_region_plan two = TEST_PLAN(&rx, 1, 0, 0, 0, PARTY_A);
    struct test_region made;
    test_region_make(&made, &one, PARTY_B);
    CHECK_EQ(crossvm_region_owner_adopt(&successor, &made.writable, &two, table, CAPACITY),
             CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_region_owner_adopt(&successor, &made.writable, &one, table, CAPACITY),
             CROSSVM_OK);
    test_region_drop(&made);
}

/* Another granule that comes to the same length and the same places. */
static void another_granule_is_another_plan(void)
{
    static const struct crossvm_chunk_decl whole = {"x", CROSSVM_KIND_BYTES, 0, 896, PARTY_A, 0, 0,
                                                    0};
    struct crossvm_region_plan one = TEST_PLAN(&whole, 1, 0, 128, 1024, PARTY_A);
    struct crossvm_region_plan two = one;
    struct test_region made;
    uint64_t len, same = 0;
    two.granule = 256;
    test_region_make(&made, &one, PARTY_B);
    len = made.writable.len;
    CHECK_EQ(crossvm_region_plan_len(&two, &same), CROSSVM_OK);
    CHECK_EQ(len, same);
    CHECK_EQ(crossvm_region_owner_adopt(&successor, &made.writable, &two, table, CAPACITY),
             CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_region_owner_adopt(&successor, &made.writable, &one, table, CAPACITY),
             CROSSVM_OK);
    test_region_drop(&made);
}

/* Another capacity that comes to the same length. */
static void another_capacity_is_another_plan(void)
{
    struct crossvm_region_plan one = TEST_PLAN(NULL, 0, 1, 4096, 0, PARTY_A);
    struct crossvm_region_plan two = one;
    struct test_region made;
    two.capacity = 2;
    test_region_make(&made, &one, PARTY_B);
    CHECK_EQ(crossvm_region_owner_adopt(&successor, &made.writable, &two, table, CAPACITY),
             CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_region_owner_adopt(&successor, &made.writable, &one, table, CAPACITY),
             CROSSVM_OK);
    test_region_drop(&made);
}

/* ---- what adopt refuses beside ------------------------------------------------------------ */

static void what_cannot_be_adopted_is_left_alone(void)
{
    struct damage_image image;
    struct crossvm_mapping mapping;
    begin();
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image,
                  crossvm_region_owner_adopt(&successor, &region.read_only, &plan, table, CAPACITY),
                  CROSSVM_ROLE);
    mapping = region.writable;
    mapping.len--;
    CHECK_REFUSED(&image, crossvm_region_owner_adopt(&successor, &mapping, &plan, table, CAPACITY),
                  CROSSVM_NO_SPACE);
    plan.owner = CROSSVM_ANYONE;
    CHECK_REFUSED(&image, adopt(), CROSSVM_INVALID);
    plan = the_plan();
    CHECK_REFUSED(&image, adopt(), CROSSVM_OK);
    damage_drop(&image);

    memset(region.writable.base, 0, (size_t)region.writable.len);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, adopt(), CROSSVM_NOT_FORMATTED);
    damage_drop(&image);
    end();
}

/* ---- the directory is judged like a stranger's --------------------------------------------- */

/* Two entries of one name and kind: attach and list take them, find and adopt do not. */
static void one_name_twice_is_corrupt(void)
{
    struct damage_image image;
    struct crossvm_region reader;
    struct crossvm_chunk chunk;
    uint32_t total;
    begin();
    REQUIRE(crossvm_region_owner_allocate(&region.owner, &late, &chunk) == CROSSVM_OK);
    unsigned char *base = (unsigned char *)region.writable.base;
    uint64_t entry = damage_entry_off(base, N_CHUNKS);
    memset(base + entry + ENTRY_NAME, 0, 48);
    memcpy(base + entry + ENTRY_NAME, "config", 6);
    damage_seal_directory(base);
    damage_take(&image, &region.writable);

    CHECK_REFUSED(&image, adopt(), CROSSVM_CORRUPT);
    CHECK_EQ(successor.region.fault.rule, CROSSVM_RULE_ENTRY_TWICE);
    CHECK_EQ(crossvm_region_attach(&reader, &region.read_only, PARTY_B), CROSSVM_OK);
    CHECK_EQ(crossvm_region_list(&reader, NULL, 0, &total), CROSSVM_OK);
    CHECK_EQ(total, N_CHUNKS + 1);
    CHECK_EQ(crossvm_region_find(&reader, "state", CROSSVM_KIND_SNAPSHOT, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_region_find(&reader, "config", CROSSVM_KIND_BYTES, 0, &chunk),
             CROSSVM_CORRUPT);
    CHECK_EQ(reader.fault.rule, CROSSVM_RULE_ENTRY_TWICE);
    CHECK_EQ(reader.fault.off, entry);

    /* Of another kind it is another chunk. */
    damage_put(base, entry + ENTRY_KIND, 1000);
    damage_seal_directory(base);
    CHECK_EQ(crossvm_region_find(&reader, "config", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(adopt(), CROSSVM_OK);
    damage_drop(&image);
    end();
}

/* Where the two calls find the same fault, they say the same of it. */
static void adopt_and_find_say_where_the_second_name_stands(void)
{
    struct crossvm_region reader;
    struct crossvm_chunk chunk;
    begin();
    REQUIRE(crossvm_region_owner_allocate(&region.owner, &late, &chunk) == CROSSVM_OK);
    unsigned char *base = (unsigned char *)region.writable.base;
    uint64_t entry = damage_entry_off(base, N_CHUNKS);
    memset(base + entry + ENTRY_NAME, 0, 48);
    memcpy(base + entry + ENTRY_NAME, "config", 6);
    damage_seal_directory(base);
    REQUIRE(crossvm_region_attach(&reader, &region.read_only, PARTY_B) == CROSSVM_OK);
    CHECK_EQ(crossvm_region_find(&reader, "config", CROSSVM_KIND_BYTES, 0, &chunk),
             CROSSVM_CORRUPT);
    CHECK_EQ(adopt(), CROSSVM_CORRUPT);
    CHECK_EQ(successor.region.fault.off, reader.fault.off);
    CHECK_EQ(successor.region.fault.value, reader.fault.value);
    end();
}

/* A counter behind a chunk's generation would give that generation out a second time. */
static void a_counter_that_fell_back_is_corrupt(void)
{
    struct damage_image image;
    begin();
    uint32_t counter = damage_get(region.writable.base, AT_COUNTER);
    for (uint32_t back = 1; back <= counter; back++) {
        damage_put(region.writable.base, AT_COUNTER, counter - back);
        damage_take(&image, &region.writable);
        CHECK_REFUSED(&image, adopt(), CROSSVM_CORRUPT);
        CHECK_EQ(successor.region.fault.rule, CROSSVM_RULE_OWNER_COUNTER);
        CHECK_EQ(successor.region.fault.off, AT_COUNTER);
        CHECK_EQ(successor.region.fault.value, counter - back);
        damage_drop(&image);
    }
    damage_put(region.writable.base, AT_COUNTER, counter + 1000);
    CHECK_EQ(adopt(), CROSSVM_OK);
    CHECK_EQ(successor.generation, counter + 1000);
    end();
}

/* One counter numbers chunks and formats: behind the region's epoch, too, it would repeat. */
static void a_counter_behind_the_regions_epoch_is_corrupt(void)
{
    struct crossvm_region_plan empty = TEST_PLAN(NULL, 0, CAPACITY, 128, 0, PARTY_A);
    struct damage_image image;
    struct test_region made;
    test_region_make(&made, &empty, PARTY_B);
    uint32_t epoch = damage_get(made.writable.base, AT_EPOCH);
    CHECK_EQ(damage_get(made.writable.base, AT_COUNTER), epoch);
    damage_put(made.writable.base, AT_COUNTER, epoch - 1);
    damage_take(&image, &made.writable);
    CHECK_REFUSED(&image,
                  crossvm_region_owner_adopt(&successor, &made.writable, &empty, table, CAPACITY),
                  CROSSVM_CORRUPT);
    CHECK_EQ(successor.region.fault.rule, CROSSVM_RULE_OWNER_COUNTER);
    damage_drop(&image);
    test_region_drop(&made);
}

/* ---- half-done work of the predecessor ----------------------------------------------------- */

/* Died between the directory of a renew and the end of its clearing: the chunk is started anew. */
static void a_cut_renew_is_finished(void)
{
    struct crossvm_chunk config;
    struct crossvm_bytes_reader reader;
    for (int cut = 0; cut < 3; cut++) {
        begin();
        config = test_find(&region.reader, "config", CROSSVM_KIND_BYTES);
        REQUIRE(crossvm_bytes_reader_open(&reader, &region.reader, &config) == CROSSVM_OK);
        const uint32_t old = config.generation;
        REQUIRE(crossvm_region_owner_renew(&region.owner, &config) == CROSSVM_OK);
        /* The old contents, under the old epoch, or under none; or cleared, and not started. */
        memset(data(&config), cut == 2 ? 0 : 0x77, 100);
        damage_put(control(&config), 4, cut == 0 ? old : 0);

        REQUIRE(adopt() == CROSSVM_OK);
        CHECK_EQ(damage_get(control(&config), 4), config.generation);
        CHECK(damage_is_zero(data(&config), 128));
        char got[4];
        CHECK_EQ(crossvm_bytes_reader_read(&reader, 0, got, 4), CROSSVM_STALE);
        config = test_find(&region.reader, "config", CROSSVM_KIND_BYTES);
        CHECK_EQ(crossvm_bytes_reader_open(&reader, &region.reader, &config), CROSSVM_OK);
        end();
    }
}

/* Died between the directory of a release and the end of the chunk's epoch. */
static void a_cut_release_is_finished(void)
{
    const char *names[] = {"state", "config", "late"}; /* first, middle, last */
    const uint32_t kinds[] = {CROSSVM_KIND_SNAPSHOT, CROSSVM_KIND_BYTES, CROSSVM_KIND_BYTES};
    for (size_t i = 0; i < 3; i++) {
        struct crossvm_chunk chunk;
        begin();
        REQUIRE(crossvm_region_owner_allocate(&region.owner, &late, &chunk) == CROSSVM_OK);
        chunk = test_find(&region.reader, names[i], kinds[i]);
        REQUIRE(crossvm_region_owner_release(&region.owner, &chunk) == CROSSVM_OK);
        damage_put(control(&chunk), 4, chunk.generation);
        CHECK_EQ(crossvm_i_chunk_enter(&region.reader, &chunk, chunk.kind, CROSSVM_I_READER),
                 CROSSVM_OK);
        REQUIRE(adopt() == CROSSVM_OK);
        CHECK_EQ(damage_get(control(&chunk), 4), 0);
        CHECK_EQ(crossvm_i_chunk_enter(&region.reader, &chunk, chunk.kind, CROSSVM_I_READER),
                 CROSSVM_STALE);
        end();
    }
}

/* An epoch anywhere in free memory would make a handle of long ago valid again. */
static void no_epoch_is_left_in_free_memory(void)
{
    begin();
    const struct crossvm_chunk *last = &region.table[N_CHUNKS - 1];
    unsigned char *base = (unsigned char *)region.writable.base;
    for (uint64_t at = last->off + last->length; at < region.writable.len; at += 128) {
        damage_put(base, at + 4, 0xdeadbeef);
    }
    REQUIRE(adopt() == CROSSVM_OK);
    for (uint64_t at = last->off + last->length; at < region.writable.len; at += 128) {
        CHECK_EQ(damage_get(base, at + 4), 0);
    }
    end();
}

/* A successor dies like its predecessor: the next one sees the same. */
static void adopt_can_be_repeated(void)
{
    begin();
    const uint32_t counter = damage_get(region.read_only.base, AT_COUNTER);
    for (uint32_t i = 0; i < 5; i++) {
        struct crossvm_chunk chunk;
        REQUIRE(adopt() == CROSSVM_OK);
        CHECK_EQ(successor.n_chunks, N_CHUNKS);
        CHECK_EQ(crossvm_region_owner_allocate(&successor, &late, &chunk), CROSSVM_OK);
        CHECK_EQ(chunk.generation, counter + 1 + i);
        CHECK_EQ(crossvm_region_owner_release(&successor, &chunk), CROSSVM_OK);
    }
    end();
}

/* ---- the directory's version goes over 2^32 ------------------------------------------------- */

static void the_directory_goes_on_past_version_2_to_the_32(void)
{
    const uint64_t version = UINT32_MAX - 1; /* even, as the version that lies there */
    struct crossvm_chunk chunk;
    uint32_t total;
    begin();
    unsigned char *base = (unsigned char *)region.writable.base;
    REQUIRE(crossvm_region_owner_allocate(&region.owner, &late, &chunk) == CROSSVM_OK);
    uint64_t slot = damage_slot_off(2, CAPACITY);
    damage_put_pair(base, slot + SLOT_MARK, 2 * version);
    damage_put(base, AT_LATEST, (uint32_t)version);
    REQUIRE(adopt() == CROSSVM_OK);
    for (uint32_t i = 1; i <= 5; i++) {
        CHECK_EQ(crossvm_region_owner_release(&successor, &chunk), CROSSVM_OK);
        CHECK_EQ(crossvm_region_list(&region.reader, NULL, 0, &total), CROSSVM_OK);
        CHECK_EQ(total, N_CHUNKS);
        CHECK_EQ(crossvm_region_owner_allocate(&successor, &late, &chunk), CROSSVM_OK);
        CHECK_EQ(crossvm_region_list(&region.reader, NULL, 0, &total), CROSSVM_OK);
        CHECK_EQ(total, N_CHUNKS + 1);
        CHECK_EQ(damage_get(base, AT_LATEST), (uint32_t)(version + 2 * i));
        CHECK_EQ(damage_get_pair(base, damage_slot_off(version + 2 * i, CAPACITY)),
                 2 * (version + 2 * i));
        REQUIRE(adopt() == CROSSVM_OK);
        CHECK_EQ(successor.version, version + 2 * i);
    }
    end();
}

int main(void)
{
    CASE(adopt_carries_on_without_changing_a_byte);
    CASE(generations_ids_and_versions_go_on);
    CASE(a_snapshot_goes_on_behind_an_adopt);
    CASE(another_plan_is_refused_by_every_field);
    CASE(the_regions_id_link_and_clock_stay);
    CASE(another_kind_is_another_plan);
    CASE(another_granule_is_another_plan);
    CASE(another_capacity_is_another_plan);
    CASE(what_cannot_be_adopted_is_left_alone);
    CASE(one_name_twice_is_corrupt);
    CASE(adopt_and_find_say_where_the_second_name_stands);
    CASE(a_counter_that_fell_back_is_corrupt);
    CASE(a_counter_behind_the_regions_epoch_is_corrupt);
    CASE(a_cut_renew_is_finished);
    CASE(a_cut_release_is_finished);
    CASE(no_epoch_is_left_in_free_memory);
    CASE(adopt_can_be_repeated);
    CASE(the_directory_goes_on_past_version_2_to_the_32);
    return check_done();
}
