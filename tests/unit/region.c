/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/region.c - a region is planned and formatted: its length, its bytes, what a format
 * refuses, what it carries over from the format before, and who may open what in which role.
 */
#include "../support/damage.h"

enum {
    N_CHUNKS = 4,
    TABLE_LEN = 8
};

static const struct crossvm_chunk_decl four_chunks[N_CHUNKS] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 4, 100, PARTY_A, CROSSVM_ANYONE, 0x0102030405060708u, 0},
    {"config", CROSSVM_KIND_BYTES, 0, 40, PARTY_A, PARTY_B, 0, 0},
    {"log", CROSSVM_KIND_SPSC_TX, 8, 12, PARTY_A, PARTY_B, 0, 0x1112131415161718u},
    {"log", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 0x1112131415161718u},
};

static struct crossvm_region_plan four_chunks_plan(void)
{
    struct crossvm_region_plan plan = TEST_PLAN(four_chunks, N_CHUNKS, 0, 128, 0, PARTY_A);
    return plan;
}

/* ---- the plan's length ---------------------------------------------------------------------- */

static void a_plan_is_as_long_as_its_parts(void)
{
    struct crossvm_region_plan plan = four_chunks_plan();
    uint64_t len;
    /* 384 + 2 slots of 64 + 4 * 128 are 1536, 12 granules; then 128 + 4 * (64 + 128) = 896,
     * 168 as 256, 512 + 8 * 16 = 640, and 512. */
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    CHECK_EQ(len, 1536 + 896 + 256 + 640 + 512);
    plan.spare_len = 1;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    CHECK_EQ(len, 1536 + 896 + 256 + 640 + 512 + 128);
    plan.capacity = 6;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    CHECK_EQ(len, 2048 + 896 + 256 + 640 + 512 + 128);
}

static void a_granule_of_0_is_4096(void)
{
    struct crossvm_region_plan plan = four_chunks_plan();
    uint64_t len;
    plan.granule = 0;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    CHECK_EQ(len, 5 * 4096);
    plan.granule = 4096;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    CHECK_EQ(len, 5 * 4096);
}

/* ---- the bytes of a format ------------------------------------------------------------------ */

static struct crossvm_chunk table[TABLE_LEN];

/* Maps what a plan needs, full of old bytes. */
static void map_full(struct crossvm_mapping *writable, struct crossvm_mapping *read_only,
                     const struct crossvm_region_plan *plan)
{
    uint64_t len;
    REQUIRE(crossvm_region_plan_len(plan, &len) == CROSSVM_OK);
    test_map(writable, read_only, len);
    memset(writable->base, 0xa5, (size_t)len);
}

static void check_words(const void *base, uint64_t off, const uint32_t *words, size_t n_words)
{
    for (size_t i = 0; i < n_words; i++) {
        if (damage_get(base, off + 4 * i) != words[i]) {
            printf("at offset %llu:\n", (unsigned long long)(off + 4 * i));
            CHECK_EQ(damage_get(base, off + 4 * i), words[i]);
        }
    }
}

static void check_header(const unsigned char *base)
{
    static const uint32_t words[24] = {
        0x4d567243, 0,          1,       256, 128,        0,          0,          0,
        3840,       0,          128,     4,   0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
        0x25262728, 0x21222324, PARTY_A, 3,   0x35363738, 0x31323334, 0x45464748, 0x41424344,
    };
    check_words(base, 0, words, 24);
    CHECK(damage_get_pair(base, 96) != 0);
    CHECK(damage_is_zero(base + 104, 148));
    CHECK_EQ(damage_get(base, 252), crossvm_crc32c(0, base, 252));
}

static void check_entry(const unsigned char *base, uint32_t index, const uint32_t *words,
                        const char *name, uint64_t link_id, uint64_t len)
{
    const unsigned char *entry = base + damage_slot_off(1, N_CHUNKS) + 64 + index * 128u;
    char full_name[48] = {0};
    check_words(entry, 0, words, 12);
    memcpy(full_name, name, strlen(name));
    CHECK(memcmp(entry + 48, full_name, 48) == 0);
    CHECK(damage_get_pair(entry, 96) == link_id);
    CHECK(damage_get_pair(entry, 104) == len);
    CHECK(damage_is_zero(entry + 112, 16));
}

/* Words 0 to 11 of the entries: id, generation, kind, n, off, length, writer, reader, type hash. */
static void check_directory(const unsigned char *base, uint32_t generation)
{
    const uint32_t entries[N_CHUNKS][12] = {
        {1, generation + 1, 2, 4, 1536, 0, 896, 0, 1, 0xffffffff, 0x05060708, 0x01020304},
        {2, generation + 2, 1, 0, 2432, 0, 256, 0, 1, 2, 0, 0},
        {3, generation + 3, 3, 8, 2688, 0, 640, 0, 1, 2, 0, 0},
        {4, generation + 4, 4, 0, 3328, 0, 512, 0, 2, 1, 0, 0},
    };
    const uint64_t slot = damage_slot_off(1, N_CHUNKS);
    check_entry(base, 0, entries[0], "state", 0, 100);
    check_entry(base, 1, entries[1], "config", 0, 40);
    check_entry(base, 2, entries[2], "log", 0x1112131415161718u, 12);
    check_entry(base, 3, entries[3], "log", 0x1112131415161718u, 0);
    const uint32_t slot_words[4] = {2, 0, N_CHUNKS * 128,
                                    crossvm_crc32c(0, base + slot + 64, N_CHUNKS * 128)};
    check_words(base, slot, slot_words, 4);
    CHECK(damage_is_zero(base + slot + 16, 48));
    CHECK(damage_is_zero(base + damage_slot_off(0, N_CHUNKS), 64 + N_CHUNKS * 128));
}

static void a_format_writes_the_documented_bytes(void)
{
    struct crossvm_region_plan plan = four_chunks_plan();
    struct crossvm_mapping writable, read_only;
    struct crossvm_region_owner owner;
    for (unsigned i = 0; i < 16; i++) {
        plan.region_id[i] = (uint8_t)i;
    }
    plan.link_id = 0x2122232425262728u;
    plan.clock.kind = 3;
    plan.clock.id = 0x3132333435363738u;
    plan.clock.rate = 0x4142434445464748u;
    map_full(&writable, &read_only, &plan);
    CHECK_EQ(crossvm_region_owner_format(&owner, &writable, &plan, table, TABLE_LEN), CROSSVM_OK);

    const unsigned char *base = (const unsigned char *)read_only.base;
    const uint32_t old = 0xa5a5a5a5u;
    /* The format's epoch takes a number of the counter's, then each chunk one. */
    const uint32_t live[3] = {1, old + 1, old + 1 + N_CHUNKS};
    check_header(base);
    check_words(base, 256, live, 3);
    CHECK(damage_is_zero(base + 268, 116));
    check_directory(base, old + 1);
    for (uint32_t i = 0; i < N_CHUNKS; i++) {
        const unsigned char *chunk = base + table[i].off;
        CHECK_EQ(damage_get(chunk, 4), old + 2 + i);
        CHECK(damage_is_zero(chunk, 4));
        CHECK(damage_is_zero(chunk + 8, (size_t)table[i].length - 8));
    }
    CHECK_EQ(read_only.len, 3840);
    test_unmap(&writable, &read_only);
}

/* A mapping may be longer than the plan: what lies behind the region is not the format's. */
static void a_format_keeps_off_what_lies_behind_the_region(void)
{
    struct crossvm_region_plan plan = four_chunks_plan();
    struct crossvm_mapping writable, read_only;
    struct crossvm_region_owner owner;
    test_map(&writable, &read_only, 8192);
    memset(writable.base, 0xa5, 8192);
    CHECK_EQ(crossvm_region_owner_format(&owner, &writable, &plan, table, TABLE_LEN), CROSSVM_OK);
    CHECK_EQ(owner.region.length, 3840);
    CHECK_EQ(damage_get(read_only.base, 3840), 0xa5a5a5a5u);
    CHECK(memcmp((char *)read_only.base + 3840, (char *)read_only.base + 3841, 8192 - 3841) == 0);
    test_unmap(&writable, &read_only);
}

/* ---- what a format refuses ------------------------------------------------------------------ */

struct refusal {
    const char *why;
    void (*spoil)(struct crossvm_region_plan *plan, struct crossvm_chunk_decl *decls,
                  struct crossvm_mapping *mapping);
    int status;
};

#define SPOIL(name)                                                                      \
    static void name(struct crossvm_region_plan *plan, struct crossvm_chunk_decl *decls, \
                     struct crossvm_mapping *mapping)

SPOIL(no_capacity)
{
    (void)decls, (void)mapping;
    plan->n_chunks = 0;
}

SPOIL(capacity_below_chunks)
{
    (void)decls, (void)mapping;
    plan->capacity = N_CHUNKS - 1;
}

SPOIL(owned_by_anyone)
{
    (void)decls, (void)mapping;
    plan->owner = CROSSVM_ANYONE;
}

SPOIL(odd_granule)
{
    (void)decls, (void)mapping;
    plan->granule = 192;
}

SPOIL(written_by_anyone)
{
    (void)plan, (void)mapping;
    decls[1].writer = CROSSVM_ANYONE;
}

SPOIL(nameless)
{
    (void)plan, (void)mapping;
    decls[3].name = NULL;
}

SPOIL(bad_geometry)
{
    (void)plan, (void)mapping;
    decls[0].n = 3;
}

SPOIL(kind_0)
{
    (void)plan, (void)mapping;
    decls[0].kind = 0;
}

SPOIL(unknown_kind)
{
    (void)plan, (void)mapping;
    decls[0].kind = 1000;
}

SPOIL(name_twice)
{
    (void)plan, (void)mapping;
    decls[0] = decls[1];
}

SPOIL(too_large)
{
    (void)plan, (void)mapping;
    decls[1].len = (uint64_t)SIZE_MAX / 2;
}

SPOIL(too_much_spare)
{
    (void)decls, (void)mapping;
    plan->spare_len = UINT64_MAX;
}

SPOIL(short_mapping)
{
    (void)plan, (void)decls;
    mapping->len--;
}

SPOIL(read_only_mapping)
{
    (void)plan, (void)decls;
    mapping->access = CROSSVM_READ_ONLY;
}

static const struct refusal refusals[] = {
    {"no capacity", no_capacity, CROSSVM_INVALID},
    {"capacity below chunks", capacity_below_chunks, CROSSVM_INVALID},
    {"owned by anyone", owned_by_anyone, CROSSVM_INVALID},
    {"odd granule", odd_granule, CROSSVM_INVALID},
    {"written by anyone", written_by_anyone, CROSSVM_INVALID},
    {"nameless", nameless, CROSSVM_INVALID},
    {"bad geometry", bad_geometry, CROSSVM_INVALID},
    {"kind 0", kind_0, CROSSVM_INVALID},
    {"unknown kind", unknown_kind, CROSSVM_INVALID},
    {"name twice", name_twice, CROSSVM_EXISTS},
    {"too large", too_large, CROSSVM_TOO_LARGE},
    {"too much spare", too_much_spare, CROSSVM_TOO_LARGE},
    {"short mapping", short_mapping, CROSSVM_NO_SPACE},
    {"read-only mapping", read_only_mapping, CROSSVM_ROLE},
};

/* On a region that is in use, so that every byte that is touched shows. */
static void a_refused_format_changes_nothing(void)
{
    struct crossvm_region_owner owner;
    struct test_region region;
    struct damage_image image;
    struct crossvm_region_plan good = four_chunks_plan();
    test_region_make(&region, &good, PARTY_B);
    damage_take(&image, &region.writable);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct crossvm_chunk_decl decls[N_CHUNKS];
        struct crossvm_region_plan plan = good;
        struct crossvm_mapping mapping = region.writable;
        memcpy(decls, four_chunks, sizeof(decls));
        plan.chunks = decls;
        refusals[i].spoil(&plan, decls, &mapping);
        int status = crossvm_region_owner_format(&owner, &mapping, &plan, table, TABLE_LEN);
        if (status != refusals[i].status) {
            printf("%s:\n", refusals[i].why);
        }
        CHECK_REFUSED(&image, status, refusals[i].status);
    }
    damage_drop(&image);
    test_region_drop(&region);
}

static void a_table_shorter_than_the_capacity_is_refused(void)
{
    struct crossvm_region_owner owner;
    struct test_region region;
    struct damage_image image;
    struct crossvm_region_plan plan = four_chunks_plan();
    plan.capacity = 6;
    test_region_make(&region, &plan, PARTY_B);
    damage_take(&image, &region.writable);
    for (uint32_t len = 0; len < 6; len++) {
        CHECK_REFUSED(&image,
                      crossvm_region_owner_format(&owner, &region.writable, &plan, table, len),
                      CROSSVM_NO_SPACE);
        CHECK_REFUSED(&image,
                      crossvm_region_owner_adopt(&owner, &region.writable, &plan, table, len),
                      CROSSVM_NO_SPACE);
    }
    CHECK_REFUSED(&image, crossvm_region_owner_format(&owner, &region.writable, &plan, NULL, 6),
                  CROSSVM_NO_SPACE);
    CHECK_REFUSED(&image, crossvm_region_owner_adopt(&owner, &region.writable, &plan, NULL, 6),
                  CROSSVM_NO_SPACE);
    CHECK_EQ(crossvm_region_owner_format(&owner, &region.writable, &plan, table, 6), CROSSVM_OK);
    damage_drop(&image);
    test_region_drop(&region);
}

/* ---- the next format ------------------------------------------------------------------------ */

/* A reader of each kind of handle, opened on the format that is about to end. */
struct old_handles {
    struct crossvm_region region;
    struct crossvm_snapshot_reader snapshot;
    struct crossvm_bytes_reader bytes;
    struct crossvm_bytes_writer bytes_writer;
    struct crossvm_chunk config;
};

static void open_handles(struct old_handles *old, struct test_region *region)
{
    struct crossvm_chunk state = test_find(&region->reader, "state", CROSSVM_KIND_SNAPSHOT);
    old->region = region->reader;
    old->config = test_find(&region->reader, "config", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_snapshot_reader_open(&old->snapshot, &region->reader, &state) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&old->bytes, &region->reader, &old->config) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_open(&old->bytes_writer, &region->owner.region, &old->config) ==
            CROSSVM_OK);
}

static void check_handles_stale(struct old_handles *old, struct test_region *region)
{
    struct damage_image image;
    struct crossvm_chunk chunk;
    uint32_t total;
    char bytes[100] = {0};
    damage_take(&image, &region->writable);
    CHECK_EQ(crossvm_region_find(&old->region, "config", CROSSVM_KIND_BYTES, 0, &chunk),
             CROSSVM_STALE);
    CHECK_EQ(crossvm_region_list(&old->region, NULL, 0, &total), CROSSVM_STALE);
    CHECK_EQ(crossvm_snapshot_reader_read(&old->snapshot, bytes, sizeof(bytes), NULL),
             CROSSVM_STALE);
    CHECK_EQ(crossvm_bytes_reader_read(&old->bytes, 0, bytes, 8), CROSSVM_STALE);
    CHECK_REFUSED(&image, crossvm_bytes_writer_write(&old->bytes_writer, 0, bytes, 8),
                  CROSSVM_STALE);
    CHECK_EQ(crossvm_bytes_reader_open(&old->bytes, &old->region, &old->config), CROSSVM_STALE);
    damage_drop(&image);
}

static void handles_of_an_earlier_format_find_out(void)
{
    struct test_region region;
    struct old_handles old;
    struct crossvm_region_plan plan = four_chunks_plan();
    test_region_make(&region, &plan, PARTY_B);
    open_handles(&old, &region);
    for (int i = 0; i < 3; i++) {
        uint32_t counter = damage_get(region.read_only.base, AT_COUNTER);
        REQUIRE(crossvm_region_owner_format(&region.owner, &region.writable, &plan, region.table,
                                            TEST_TABLE_LEN) == CROSSVM_OK);
        CHECK_EQ(damage_get(region.read_only.base, AT_EPOCH), counter + 1);
        CHECK_EQ(damage_get(region.read_only.base, AT_COUNTER), counter + 1 + N_CHUNKS);
        check_handles_stale(&old, &region);
        CHECK_EQ(crossvm_region_attach(&region.reader, &region.read_only, PARTY_B), CROSSVM_OK);
    }
    test_region_drop(&region);
}

/* Also when the new region is shorter, and the old chunk lay where it does not reach any more. */
static void handles_behind_a_shorter_format_find_out_too(void)
{
    struct test_region region;
    struct old_handles old;
    struct crossvm_region_plan plan = four_chunks_plan();
    test_region_make(&region, &plan, PARTY_B);
    open_handles(&old, &region);
    plan.n_chunks = 1;
    REQUIRE(crossvm_region_owner_format(&region.owner, &region.writable, &plan, region.table,
                                        TEST_TABLE_LEN) == CROSSVM_OK);
    CHECK(region.owner.region.length <= old.config.off);
    check_handles_stale(&old, &region);
    test_region_drop(&region);
}

/* Neither the region's epoch nor a generation is ever 0: the one counter behind both skips it. */
static void epoch_and_generations_wrap_past_0(void)
{
    const uint32_t numbers[] = {UINT32_MAX - 2, UINT32_MAX - 1, UINT32_MAX, 1, 2, 3, 4, 5, 6, 7};
    struct test_region region;
    struct crossvm_region_plan plan = four_chunks_plan();
    for (uint32_t i = 0; i < 5; i++) {
        test_region_make(&region, &plan, PARTY_B);
        damage_put(region.writable.base, AT_COUNTER, numbers[i]);
        REQUIRE(crossvm_region_owner_format(&region.owner, &region.writable, &plan, region.table,
                                            TEST_TABLE_LEN) == CROSSVM_OK);
        CHECK_EQ(damage_get(region.read_only.base, AT_EPOCH), numbers[i + 1]);
        for (uint32_t k = 0; k < N_CHUNKS; k++) {
            CHECK_EQ(region.table[k].generation, numbers[i + 2 + k]);
        }
        CHECK_EQ(damage_get(region.read_only.base, AT_COUNTER), numbers[i + 1 + N_CHUNKS]);
        CHECK_EQ(crossvm_region_attach(&region.reader, &region.read_only, PARTY_B), CROSSVM_OK);
        test_region_drop(&region);
    }
}

/* ---- roles ---------------------------------------------------------------------------------- */

/* What opening each chunk of the plan as reader and as writer answers. */
struct rights {
    uint32_t party;
    bool writable;
    int read[N_CHUNKS];
    int write[N_CHUNKS];
};

#define OK   CROSSVM_OK
#define ROLE CROSSVM_ROLE

/* Chunks 0 to 2 are A's to write, 0 anyone's to read, 1 and 2 B's; chunk 3 is B's, A reads it. */
static const struct rights rights[] = {
    {PARTY_A, true, {OK, OK, OK, OK}, {OK, OK, OK, ROLE}},
    {PARTY_A, false, {OK, OK, OK, OK}, {ROLE, ROLE, ROLE, ROLE}},
    {PARTY_B, true, {OK, OK, OK, OK}, {ROLE, ROLE, ROLE, OK}},
    {PARTY_B, false, {OK, OK, OK, OK}, {ROLE, ROLE, ROLE, ROLE}},
    {3, true, {OK, ROLE, ROLE, ROLE}, {ROLE, ROLE, ROLE, ROLE}},
    {3, false, {OK, ROLE, ROLE, ROLE}, {ROLE, ROLE, ROLE, ROLE}},
};

#undef OK
#undef ROLE

static int open_as_reader(const struct crossvm_region *region, const struct crossvm_chunk *chunk)
{
    struct crossvm_snapshot_reader snapshot;
    struct crossvm_bytes_reader bytes;
    switch (chunk->kind) {
    case CROSSVM_KIND_SNAPSHOT:
        return crossvm_snapshot_reader_open(&snapshot, region, chunk);
    case CROSSVM_KIND_BYTES:
        return crossvm_bytes_reader_open(&bytes, region, chunk);
    default: /* a queue's part is not opened by the other side, but linked with: same entrance */
        return crossvm_i_chunk_enter(region, chunk, chunk->kind, CROSSVM_I_READER);
    }
}

static int open_as_writer(const struct crossvm_region *region, const struct crossvm_chunk *chunk)
{
    struct crossvm_snapshot_writer snapshot;
    struct crossvm_bytes_writer bytes;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    switch (chunk->kind) {
    case CROSSVM_KIND_SNAPSHOT:
        return crossvm_snapshot_writer_open(&snapshot, region, chunk);
    case CROSSVM_KIND_BYTES:
        return crossvm_bytes_writer_open(&bytes, region, chunk);
    case CROSSVM_KIND_SPSC_TX:
        return crossvm_spsc_tx_open(&tx, region, chunk, 0, 1);
    default:
        return crossvm_spsc_rx_open(&rx, region, chunk, 8, 12, 1);
    }
}

static void roles_are_given_by_mapping_and_rights(void)
{
    struct test_region made;
    struct crossvm_region_plan plan = four_chunks_plan();
    test_region_make(&made, &plan, PARTY_B);
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        struct crossvm_region region;
        struct crossvm_chunk chunks[N_CHUNKS];
        uint32_t total;
        const struct crossvm_mapping *mapping =
            rights[i].writable ? &made.writable : &made.read_only;
        REQUIRE(crossvm_region_attach(&region, mapping, rights[i].party) == CROSSVM_OK);
        REQUIRE(crossvm_region_list(&region, chunks, N_CHUNKS, &total) == CROSSVM_OK);
        for (uint32_t k = 0; k < N_CHUNKS; k++) {
            CHECK_EQ(open_as_reader(&region, &chunks[k]), rights[i].read[k]);
            CHECK_EQ(open_as_writer(&region, &chunks[k]), rights[i].write[k]);
        }
    }
    test_region_drop(&made);
}

/* A chunk struct that was not taken from this region's directory, or was tampered with. */
static void a_chunk_that_does_not_fit_the_region_is_refused(void)
{
    struct test_region made;
    struct crossvm_bytes_reader reader;
    struct crossvm_region_plan plan = four_chunks_plan();
    test_region_make(&made, &plan, PARTY_B);
    const struct crossvm_chunk good = test_find(&made.reader, "config", CROSSVM_KIND_BYTES);
    struct crossvm_chunk bad = good;
    const uint64_t offs[] = {0,    1408,       good.off + 1,     good.off + 64,
                             3840, 3840 + 128, UINT64_MAX - 127, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        bad = good;
        bad.off = offs[i];
        CHECK_EQ(crossvm_bytes_reader_open(&reader, &made.reader, &bad), CROSSVM_INVALID);
    }
    const uint64_t lengths[] = {0, 128, 255, 3840, UINT64_MAX - 127};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        bad = good;
        bad.length = lengths[i];
        CHECK_EQ(crossvm_bytes_reader_open(&reader, &made.reader, &bad), CROSSVM_INVALID);
    }
    bad = good;
    bad.len = 129;
    CHECK_EQ(crossvm_bytes_reader_open(&reader, &made.reader, &bad), CROSSVM_INVALID);
    bad = good;
    bad.kind = CROSSVM_KIND_WAKE;
    CHECK_EQ(crossvm_bytes_reader_open(&reader, &made.reader, &bad), CROSSVM_TYPE);
    bad = good;
    bad.generation++;
    CHECK_EQ(crossvm_bytes_reader_open(&reader, &made.reader, &bad), CROSSVM_STALE);
    CHECK_EQ(crossvm_bytes_reader_open(&reader, &made.reader, &good), CROSSVM_OK);
    test_region_drop(&made);
}

/* ---- uncached memory ------------------------------------------------------------------------ */

/* The device paths of every copy: format, attach, allocate, snapshot and bytes, at odd lengths. */
static void uncached_memory_works(void)
{
    static const struct crossvm_chunk_decl late = {
        "late", CROSSVM_KIND_BYTES, 0, 21, PARTY_A, PARTY_B, 0, 0};
    struct crossvm_region_plan plan = four_chunks_plan();
    struct crossvm_mapping writable, read_only;
    struct crossvm_region_owner owner;
    struct crossvm_region reader;
    struct crossvm_bytes_writer writer;
    struct crossvm_bytes_reader bytes;
    struct crossvm_snapshot_writer publisher;
    struct crossvm_snapshot_reader snapshot;
    struct crossvm_chunk chunk;
    const char text[] = "twenty-one characters";
    char got[21];
    plan.spare_len = 256;
    plan.capacity = 5;
    map_full(&writable, &read_only, &plan);
    writable.memory = CROSSVM_UNCACHED;
    read_only.memory = CROSSVM_UNCACHED;
    REQUIRE(crossvm_region_owner_format(&owner, &writable, &plan, table, TABLE_LEN) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_allocate(&owner, &late, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&reader, &read_only, PARTY_B) == CROSSVM_OK);
    CHECK(reader.device && owner.region.device);

    REQUIRE(crossvm_bytes_writer_open(&writer, &owner.region, &chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_writer_write(&writer, 0, text, sizeof(got)), CROSSVM_OK);
    chunk = test_find(&reader, "late", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_bytes_reader_open(&bytes, &reader, &chunk) == CROSSVM_OK);
    for (size_t off = 0; off < sizeof(got); off++) {
        memset(got, 0, sizeof(got));
        CHECK_EQ(crossvm_bytes_reader_read(&bytes, off, got, sizeof(got) - off), CROSSVM_OK);
        CHECK(memcmp(got, text + off, sizeof(got) - off) == 0);
    }

    chunk = test_find(&reader, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&publisher, &owner.region, &chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_writer_publish(&publisher, text, sizeof(got), 1, 2), CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&snapshot, &reader, &chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&snapshot, got, sizeof(got), NULL), 1);
    CHECK(memcmp(got, text, sizeof(got)) == 0);
    test_unmap(&writable, &read_only);
}

int main(void)
{
    CASE(a_plan_is_as_long_as_its_parts);
    CASE(a_granule_of_0_is_4096);
    CASE(a_format_writes_the_documented_bytes);
    CASE(a_format_keeps_off_what_lies_behind_the_region);
    CASE(a_refused_format_changes_nothing);
    CASE(a_table_shorter_than_the_capacity_is_refused);
    CASE(handles_of_an_earlier_format_find_out);
    CASE(handles_behind_a_shorter_format_find_out_too);
    CASE(epoch_and_generations_wrap_past_0);
    CASE(roles_are_given_by_mapping_and_rights);
    CASE(a_chunk_that_does_not_fit_the_region_is_refused);
    CASE(uncached_memory_works);
    return check_done();
}
