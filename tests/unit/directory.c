/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/directory.c - chunks are found, listed, allocated, released and renewed at run time:
 * what each call answers, where chunks are placed, that their memory is clear, and that handles on
 * what is gone find out. (directory_threads.c has the same with readers at work.)
 */
#include "../support/damage.h"

enum {
    CAPACITY = 8,
    CHUNKS_OFF = 2560, /* 384 + 2 * (64 + 8 * 128), which is a multiple of 128 */
    UNIT = 256         /* length of a BYTES chunk of 128 bytes */
};

static const struct crossvm_chunk_decl planned[2] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, 64, PARTY_A, CROSSVM_ANYONE, 7, 0},
    {"state", CROSSVM_KIND_BYTES, 0, 100, PARTY_A, PARTY_B, 0, 0},
};

static const struct crossvm_region_plan plan =
    TEST_PLAN(planned, 2, CAPACITY, 128, 6 * UNIT, PARTY_A);

/* No chunk is planned: all of the memory is spare, six units of it. */
static const struct crossvm_region_plan empty_plan =
    TEST_PLAN(NULL, 0, CAPACITY, 128, 6 * UNIT, PARTY_A);

static struct test_region region;

static void begin(const struct crossvm_region_plan *of)
{
    test_region_make(&region, of, PARTY_B);
}

static void end(void)
{
    test_region_drop(&region);
}

static int allocate(const char *name, uint64_t len, struct crossvm_chunk *chunk)
{
    struct crossvm_chunk_decl decl = {name, CROSSVM_KIND_BYTES, 0, len, PARTY_A, PARTY_B, 0, 0};
    return crossvm_region_owner_allocate(&region.owner, &decl, chunk);
}

/* A chunk of so many units. */
static struct crossvm_chunk make(const char *name, uint32_t units)
{
    struct crossvm_chunk chunk;
    REQUIRE(allocate(name, units * UNIT - 128, &chunk) == CROSSVM_OK);
    return chunk;
}

static int release(const struct crossvm_chunk *chunk)
{
    return crossvm_region_owner_release(&region.owner, chunk);
}

static int find(const char *name, uint32_t kind, uint64_t type_hash, struct crossvm_chunk *chunk)
{
    return crossvm_region_find(&region.reader, name, kind, type_hash, chunk);
}

/* What a reader sees, and what the owner has, is the same. */
static void check_listed(uint32_t n_chunks)
{
    struct crossvm_chunk chunks[CAPACITY];
    uint32_t total;
    CHECK_EQ(crossvm_region_list(&region.reader, chunks, CAPACITY, &total), CROSSVM_OK);
    CHECK_EQ(total, n_chunks);
    CHECK_EQ(region.owner.n_chunks, n_chunks);
    CHECK(memcmp(chunks, region.table, n_chunks * sizeof(chunks[0])) == 0);
    for (uint32_t i = 1; i < n_chunks; i++) {
        CHECK(chunks[i - 1].off + chunks[i - 1].length <= chunks[i].off);
    }
}

/* ---- find and list ---------------------------------------------------------------------------- */

static void a_chunk_is_found_by_name_and_kind(void)
{
    struct crossvm_chunk chunk;
    begin(&plan);
    CHECK_EQ(find("state", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(chunk.id, 2);
    CHECK_EQ(chunk.kind, CROSSVM_KIND_BYTES);
    CHECK_EQ(chunk.len, 100);
    CHECK_EQ(chunk.off, CHUNKS_OFF + 384);
    CHECK_EQ(chunk.length, 256);
    CHECK_EQ(chunk.writer, PARTY_A);
    CHECK_EQ(chunk.reader, PARTY_B);
    CHECK(strcmp(chunk.name, "state") == 0);
    CHECK_EQ(find("state", CROSSVM_KIND_SNAPSHOT, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(chunk.id, 1);
    CHECK_EQ(chunk.n, 2);
    CHECK_EQ(chunk.reader, CROSSVM_ANYONE);
    CHECK_EQ(chunk.type_hash, 7);
    end();
}

/* A call that does not answer OK leaves the caller's struct alone. */
static void what_is_not_there_is_not_found(void)
{
    struct crossvm_chunk untouched, chunk;
    memset(&untouched, 0x5a, sizeof(untouched));
    chunk = untouched;
    begin(&plan);
    CHECK_EQ(find("stat", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("state2", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("State", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("state", CROSSVM_KIND_WAKE, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("state", 0, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("state", 1000, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_INVALID);
    CHECK_EQ(find(NULL, CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_INVALID);
    CHECK_EQ(find("sta te", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_INVALID);
    CHECK_EQ(find("state", CROSSVM_KIND_SNAPSHOT, 8, &chunk), CROSSVM_TYPE);
    CHECK(memcmp(&chunk, &untouched, sizeof(chunk)) == 0);
    end();
}

/* Several regions: those of a machine's devices. The second one has no chunk of that name. */
static void a_chunk_is_found_among_regions(void)
{
    static struct test_region other;
    struct crossvm_chunk chunk;
    uint32_t index = 77;
    begin(&plan);
    test_region_make(&other, &empty_plan, PARTY_B);
    struct crossvm_region regions[3] = {other.reader, region.reader, other.reader};
    CHECK_EQ(crossvm_region_find_among(regions, 3, "state", CROSSVM_KIND_BYTES, 0, &index, &chunk),
             CROSSVM_OK);
    CHECK_EQ(index, 1);
    CHECK_EQ(chunk.id, 2);
    index = 77;
    CHECK_EQ(crossvm_region_find_among(regions, 1, "state", CROSSVM_KIND_BYTES, 0, &index, &chunk),
             CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_region_find_among(regions, 0, "state", CROSSVM_KIND_BYTES, 0, &index, &chunk),
             CROSSVM_NOT_FOUND);
    CHECK_EQ(index, 77);
    test_region_drop(&other);
    end();
}

static void what_two_regions_have_is_reported(void)
{
    struct crossvm_chunk chunk;
    uint32_t index = 77;
    begin(&plan);
    struct crossvm_region regions[2] = {region.reader, region.reader};
    CHECK_EQ(crossvm_region_find_among(regions, 2, "state", CROSSVM_KIND_BYTES, 0, &index, &chunk),
             CROSSVM_EXISTS);
    CHECK_EQ(index, 0);
    CHECK_EQ(chunk.id, 2);
    end();
}

static void a_region_that_cannot_be_searched_is_named(void)
{
    struct crossvm_chunk chunk;
    uint32_t index = 77;
    begin(&plan);
    struct crossvm_region regions[2] = {region.reader, region.reader};
    CHECK_EQ(crossvm_region_find_among(regions + 1, 1, "state", CROSSVM_KIND_SNAPSHOT, 8, &index,
                                       &chunk),
             CROSSVM_TYPE);
    CHECK_EQ(index, 0);
    regions[0].directory.epoch++;
    CHECK_EQ(crossvm_region_find_among(regions, 2, "none", CROSSVM_KIND_BYTES, 0, &index, &chunk),
             CROSSVM_STALE);
    CHECK_EQ(index, 0);
    end();
}

static void a_region_that_cannot_be_searched_hides_no_other_ones_chunk(void)
{
    struct crossvm_chunk chunk;
    uint32_t index = 77;
    begin(&plan);
    struct crossvm_region regions[3] = {region.reader, region.reader, region.reader};
    regions[0].directory.epoch++;
    regions[2].directory.epoch++;
    CHECK_EQ(crossvm_region_find_among(regions, 3, "state", CROSSVM_KIND_BYTES, 0, &index, &chunk),
             CROSSVM_OK);
    CHECK_EQ(index, 1);
    CHECK_EQ(chunk.id, 2);
    end();
}

/* 0 on either side means that the type is not checked. */
static void a_type_hash_is_compared_when_both_sides_give_one(void)
{
    struct crossvm_chunk chunk;
    begin(&plan);
    CHECK_EQ(find("state", CROSSVM_KIND_SNAPSHOT, 7, &chunk), CROSSVM_OK);
    CHECK_EQ(find("state", CROSSVM_KIND_SNAPSHOT, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(find("state", CROSSVM_KIND_SNAPSHOT, 8, &chunk), CROSSVM_TYPE);
    CHECK_EQ(find("state", CROSSVM_KIND_SNAPSHOT, 7 | (uint64_t)1 << 32, &chunk), CROSSVM_TYPE);
    CHECK_EQ(find("state", CROSSVM_KIND_BYTES, 8, &chunk), CROSSVM_OK);
    end();
}

static void a_list_may_be_shorter_than_the_directory(void)
{
    struct crossvm_chunk chunks[3];
    uint32_t total;
    begin(&plan);
    for (uint32_t max = 0; max <= 3; max++) {
        memset(chunks, 0xee, sizeof(chunks));
        total = 99;
        CHECK_EQ(crossvm_region_list(&region.reader, max == 0 ? NULL : chunks, max, &total),
                 CROSSVM_OK);
        CHECK_EQ(total, 2);
        for (uint32_t i = 0; i < 3; i++) {
            CHECK_EQ(chunks[i].id, i < max && i < 2 ? i + 1 : 0xeeeeeeeeu);
        }
    }
    end();
    begin(&empty_plan);
    CHECK_EQ(crossvm_region_list(&region.reader, chunks, 3, &total), CROSSVM_OK);
    CHECK_EQ(total, 0);
    end();
}

/* Kinds of a later library: listed, found, and opened by nobody. */
static void an_unknown_kind_is_listed_and_not_opened(void)
{
    struct crossvm_chunk chunk;
    struct crossvm_bytes_reader reader;
    begin(&plan);
    damage_put(region.writable.base, damage_entry_off(region.writable.base, 1) + ENTRY_KIND, 1000);
    damage_seal_directory(region.writable.base);
    CHECK_EQ(find("state", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("state", 1000, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_reader_open(&reader, &region.reader, &chunk), CROSSVM_TYPE);
    end();
}

/* ---- allocate, release, renew: what they answer ------------------------------------------------ */

static void allocated_chunks_are_in_the_directory(void)
{
    struct crossvm_chunk chunk, found;
    begin(&plan);
    const uint32_t counter = damage_get(region.read_only.base, AT_COUNTER);
    CHECK_EQ(allocate("new", 128, &chunk), CROSSVM_OK);
    CHECK_EQ(chunk.id, 3);
    CHECK_EQ(chunk.generation, counter + 1);
    CHECK_EQ(damage_get(region.read_only.base, AT_COUNTER), counter + 1);
    CHECK_EQ(chunk.off, CHUNKS_OFF + 384 + 256);
    CHECK_EQ(chunk.length, 256);
    CHECK_EQ(find("new", CROSSVM_KIND_BYTES, 0, &found), CROSSVM_OK);
    CHECK(memcmp(&chunk, &found, sizeof(chunk)) == 0);
    CHECK_EQ(release(&chunk), CROSSVM_OK);
    CHECK_EQ(find("new", CROSSVM_KIND_BYTES, 0, &found), CROSSVM_NOT_FOUND);
    check_listed(2);
    end();
}

/* Planned chunks are released like any other. */
static void everything_can_be_released(void)
{
    begin(&plan);
    for (uint32_t n = 2; n > 0; n--) {
        struct crossvm_chunk chunk = region.table[0];
        CHECK_EQ(release(&chunk), CROSSVM_OK);
        check_listed(n - 1);
    }
    (void)make("again", 1);
    end();
}

#define N_WRONG 6

static void wrong_chunks(const struct crossvm_chunk *good, struct crossvm_chunk wrong[N_WRONG],
                         int statuses[N_WRONG])
{
    for (int i = 0; i < N_WRONG; i++) {
        wrong[i] = *good;
    }
    wrong[0].id = 77;
    statuses[0] = CROSSVM_NOT_FOUND;
    wrong[1].id = 0;
    statuses[1] = CROSSVM_NOT_FOUND;
    wrong[2].generation++;
    statuses[2] = CROSSVM_STALE;
    wrong[3].generation = 0;
    statuses[3] = CROSSVM_STALE;
    wrong[4].off += 128;
    statuses[4] = CROSSVM_INVALID;
    wrong[5].length += 128;
    statuses[5] = CROSSVM_INVALID;
}

/* Release and renew refuse what they were not given, and change no byte then. */
static void wrong_chunks_are_refused(void)
{
    struct crossvm_chunk wrong[N_WRONG];
    int statuses[N_WRONG];
    struct damage_image image;
    begin(&plan);
    const struct crossvm_chunk good = make("good", 1);
    wrong_chunks(&good, wrong, statuses);
    damage_take(&image, &region.writable);
    for (int i = 0; i < N_WRONG; i++) {
        const struct crossvm_chunk before = wrong[i];
        CHECK_REFUSED(&image, release(&wrong[i]), statuses[i]);
        CHECK_REFUSED(&image, crossvm_region_owner_renew(&region.owner, &wrong[i]), statuses[i]);
        CHECK(memcmp(&before, &wrong[i], sizeof(before)) == 0);
    }
    check_listed(3);
    damage_drop(&image);
    CHECK_EQ(release(&good), CROSSVM_OK);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, release(&good), CROSSVM_NOT_FOUND);
    struct crossvm_chunk gone = good;
    CHECK_REFUSED(&image, crossvm_region_owner_renew(&region.owner, &gone), CROSSVM_NOT_FOUND);
    damage_drop(&image);
    end();
}

/* A handle of before a renew is not the chunk's any more. */
static void an_old_generation_is_stale(void)
{
    struct damage_image image;
    begin(&plan);
    struct crossvm_chunk old = make("renewed", 1);
    struct crossvm_chunk now = old;
    CHECK_EQ(crossvm_region_owner_renew(&region.owner, &now), CROSSVM_OK);
    CHECK_EQ(now.generation, old.generation + 1);
    CHECK_EQ(now.id, old.id);
    CHECK_EQ(now.off, old.off);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, release(&old), CROSSVM_STALE);
    CHECK_REFUSED(&image, crossvm_region_owner_renew(&region.owner, &old), CROSSVM_STALE);
    damage_drop(&image);
    CHECK_EQ(release(&now), CROSSVM_OK);
    end();
}

/* Each with a region that has room for it, so that only the declaration is at fault. */
static void bad_declarations_are_refused(void)
{
    struct damage_image image;
    struct crossvm_chunk chunk, before;
    memset(&before, 5, sizeof(before));
    chunk = before;
    const struct crossvm_chunk_decl good = {"x", CROSSVM_KIND_BYTES, 0, 8, PARTY_A, PARTY_B, 0, 0};
    struct crossvm_chunk_decl bad[8];
    int statuses[8];
    for (int i = 0; i < 8; i++) {
        bad[i] = good;
        statuses[i] = CROSSVM_INVALID;
    }
    bad[0].name = "";
    bad[1].name = NULL;
    bad[2].kind = 0;
    bad[3].kind = 7;
    bad[4].len = 0;
    bad[5].n = 1;
    bad[6].writer = CROSSVM_ANYONE;
    bad[7].len = (uint64_t)SIZE_MAX / 2;
    statuses[7] = CROSSVM_TOO_LARGE;

    begin(&plan);
    const uint32_t counter = damage_get(region.read_only.base, AT_COUNTER);
    damage_take(&image, &region.writable);
    for (int i = 0; i < 8; i++) {
        CHECK_REFUSED(&image, crossvm_region_owner_allocate(&region.owner, &bad[i], &chunk),
                      statuses[i]);
    }
    CHECK(memcmp(&chunk, &before, sizeof(chunk)) == 0);
    CHECK_REFUSED(&image, allocate("state", 8, &chunk), CROSSVM_EXISTS);
    check_listed(2);
    damage_drop(&image);
    CHECK_EQ(crossvm_region_owner_allocate(&region.owner, &good, &chunk), CROSSVM_OK);
    CHECK_EQ(chunk.generation, counter + 1); /* refusals used none up */
    CHECK_EQ(allocate("x", 8, &chunk), CROSSVM_EXISTS);
    end();
}

/* ---- room ------------------------------------------------------------------------------------- */

static void a_full_directory_has_no_space(void)
{
    struct crossvm_region_plan small = empty_plan;
    struct damage_image image;
    struct crossvm_chunk chunk;
    small.capacity = 2;
    begin(&small);
    struct crossvm_chunk first = make("a", 1);
    (void)make("b", 1);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, allocate("c", 8, &chunk), CROSSVM_NO_SPACE);
    damage_drop(&image);
    CHECK_EQ(release(&first), CROSSVM_OK);
    CHECK_EQ(allocate("c", 8, &chunk), CROSSVM_OK);
    end();
}

static void full_memory_has_no_space(void)
{
    struct damage_image image;
    struct crossvm_chunk chunk;
    begin(&empty_plan);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, allocate("seven", 7 * UNIT - 128, &chunk), CROSSVM_NO_SPACE);
    CHECK_REFUSED(&image, allocate("one-byte-more", 6 * UNIT - 127, &chunk), CROSSVM_NO_SPACE);
    CHECK_REFUSED(&image, allocate("huge", SIZE_MAX / 4, &chunk), CROSSVM_NO_SPACE);
    damage_drop(&image);
    (void)make("six", 6);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, allocate("small", 1, &chunk), CROSSVM_NO_SPACE);
    damage_drop(&image);
    end();
}

static void the_first_gap_that_fits_is_taken(void)
{
    begin(&empty_plan);
    const struct crossvm_chunk a = make("a", 1);
    const struct crossvm_chunk b = make("b", 2);
    const struct crossvm_chunk c = make("c", 1);
    const struct crossvm_chunk d = make("d", 1);
    CHECK_EQ(a.off, CHUNKS_OFF);
    CHECK_EQ(b.off, CHUNKS_OFF + UNIT);
    CHECK_EQ(c.off, CHUNKS_OFF + 3 * UNIT);
    CHECK_EQ(d.off, CHUNKS_OFF + 4 * UNIT);
    CHECK_EQ(release(&a), CROSSVM_OK);
    CHECK_EQ(release(&c), CROSSVM_OK);
    /* Gaps: one unit in front, one behind b, one at the end. */
    CHECK_EQ(make("e", 1).off, CHUNKS_OFF);
    CHECK_EQ(make("f", 1).off, CHUNKS_OFF + 3 * UNIT);
    CHECK_EQ(make("g", 1).off, CHUNKS_OFF + 5 * UNIT);
    check_listed(5);
    end();
}

/* Neighbouring gaps are one, whichever is released first. */
static void gaps_merge(void)
{
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        struct crossvm_chunk units[6], chunk;
        const char *names[6] = {"a", "b", "c", "d", "e", "f"};
        begin(&empty_plan);
        for (int k = 0; k < 6; k++) {
            units[k] = make(names[k], 1);
        }
        for (int k = 0; k < 3; k++) {
            CHECK_EQ(allocate("three", 3 * UNIT - 128, &chunk), CROSSVM_NO_SPACE);
            CHECK_EQ(release(&units[1 + orders[i][k]]), CROSSVM_OK);
        }
        CHECK_EQ(allocate("four", 4 * UNIT - 128, &chunk), CROSSVM_NO_SPACE);
        CHECK_EQ(make("three", 3).off, CHUNKS_OFF + UNIT);
        check_listed(4);
        end();
    }
}

/* Random work against a model of units: every answer and every place is the model's. */
static void placement_equals_a_model(void)
{
    struct crossvm_chunk held[6];
    char map[6] = {0}; /* which unit is taken, and by which chunk */
    uint64_t seed = 11;
    bool is_held[6] = {false};
    begin(&empty_plan);
    printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned long round = 0; round < 20000 * check_scale(); round++) {
        uint32_t k = check_random(&seed) % 6;
        char name[2] = {(char)('a' + k), '\0'};
        if (is_held[k]) {
            CHECK_EQ(release(&held[k]), CROSSVM_OK);
            for (int i = 0; i < 6; i++) {
                map[i] = map[i] == name[0] ? '\0' : map[i];
            }
            is_held[k] = false;
            continue;
        }
        uint32_t units = 1 + check_random(&seed) % 3;
        uint32_t at = 0, run = 0;
        while (at < 6 && run < units) {
            run = map[at] == '\0' ? run + 1 : 0;
            at++;
        }
        int want = run == units ? CROSSVM_OK : CROSSVM_NO_SPACE;
        CHECK_EQ(allocate(name, units * UNIT - 128, &held[k]), want);
        if (want == CROSSVM_OK) {
            CHECK_EQ(held[k].off, CHUNKS_OFF + (at - units) * UNIT);
            memset(map + at - units, name[0], units);
            is_held[k] = true;
        }
    }
    uint32_t n_held = 0;
    for (int k = 0; k < 6; k++) {
        n_held += is_held[k];
    }
    check_listed(n_held);
    end();
}

/* ---- memory is clear -------------------------------------------------------------------------- */

static void fill(const struct crossvm_chunk *chunk)
{
    unsigned char *memory = (unsigned char *)region.writable.base + (size_t)chunk->off;
    memset(memory, 0xc3, 4);
    memset(memory + 8, 0xc3, (size_t)chunk->length - 8); /* all but the epoch */
}

static void check_clear(const struct crossvm_chunk *chunk)
{
    const unsigned char *memory = (unsigned char *)region.read_only.base + (size_t)chunk->off;
    CHECK(damage_is_zero(memory, 4));
    CHECK_EQ(damage_get(memory, 4), chunk->generation);
    CHECK(damage_is_zero(memory + 8, (size_t)chunk->length - 8));
}

/* Released full, allocated again in other sizes: not a byte of the old contents. */
static void memory_is_cleared_before_it_is_used_again(void)
{
    begin(&empty_plan);
    struct crossvm_chunk all = make("all", 6);
    fill(&all);
    CHECK_EQ(release(&all), CROSSVM_OK);
    struct crossvm_chunk one = make("one", 1);
    check_clear(&one);
    fill(&one);
    struct crossvm_chunk rest = make("rest", 5);
    check_clear(&rest);
    fill(&rest);
    CHECK_EQ(crossvm_region_owner_renew(&region.owner, &rest), CROSSVM_OK);
    check_clear(&rest);
    CHECK(damage_get(region.read_only.base, one.off + 128) ==
          0xc3c3c3c3u); /* not the neighbour's */
    CHECK_EQ(release(&one), CROSSVM_OK);
    CHECK_EQ(release(&rest), CROSSVM_OK);
    all = make("all", 6);
    check_clear(&all);
    end();
}

/* ---- stale handles ------------------------------------------------------------------------------ */

struct handles {
    struct crossvm_snapshot_reader snapshot;
    struct crossvm_bytes_reader bytes;
    struct crossvm_bytes_writer writer;
};

static void open_handles(struct handles *handles)
{
    struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    struct crossvm_chunk bytes = test_find(&region.reader, "state", CROSSVM_KIND_BYTES);
    const struct crossvm_region *writable = &region.owner.region;
    REQUIRE(crossvm_snapshot_reader_open(&handles->snapshot, &region.reader, &state) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&handles->bytes, &region.reader, &bytes) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_open(&handles->writer, writable, &bytes) == CROSSVM_OK);
}

static void check_handles(struct handles *handles, int snapshot, int bytes)
{
    unsigned char got[100] = {0};
    struct crossvm_snapshot_view view;
    struct crossvm_snapshot_part part = {0, 0, got};
    CHECK_EQ(crossvm_snapshot_reader_read(&handles->snapshot, got, 64, NULL), snapshot);
    CHECK_EQ(crossvm_snapshot_reader_peek(&handles->snapshot, &view), snapshot);
    CHECK_EQ(crossvm_snapshot_reader_read_parts(&handles->snapshot, &part, 1, NULL), snapshot);
    CHECK_EQ(crossvm_bytes_reader_read(&handles->bytes, 0, got, 100), bytes);
    CHECK_EQ(crossvm_bytes_writer_write(&handles->writer, 0, got, 100), bytes);
}

static void handles_find_out_about_a_release(void)
{
    struct handles handles;
    struct damage_image image;
    begin(&plan);
    open_handles(&handles);
    struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    struct crossvm_chunk bytes = test_find(&region.reader, "state", CROSSVM_KIND_BYTES);
    check_handles(&handles, CROSSVM_NOT_YET, CROSSVM_OK);
    CHECK_EQ(release(&state), CROSSVM_OK);
    check_handles(&handles, CROSSVM_STALE, CROSSVM_OK);
    CHECK_EQ(release(&bytes), CROSSVM_OK);
    damage_take(&image, &region.writable);
    check_handles(&handles, CROSSVM_STALE, CROSSVM_STALE);
    CHECK(damage_same(&image));
    CHECK_EQ(crossvm_bytes_reader_open(&handles.bytes, &region.reader, &bytes), CROSSVM_STALE);
    damage_drop(&image);

    /* The memory is another chunk's now, and still not theirs. */
    (void)make("other", 1);
    (void)make("another", 1);
    damage_take(&image, &region.writable);
    check_handles(&handles, CROSSVM_STALE, CROSSVM_STALE);
    CHECK(damage_same(&image));
    damage_drop(&image);
    end();
}

static void handles_find_out_about_a_renew(void)
{
    struct handles handles;
    struct damage_image image;
    begin(&plan);
    for (int i = 0; i < 3; i++) {
        open_handles(&handles);
        struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
        struct crossvm_chunk bytes = test_find(&region.reader, "state", CROSSVM_KIND_BYTES);
        CHECK_EQ(crossvm_region_owner_renew(&region.owner, &state), CROSSVM_OK);
        CHECK_EQ(crossvm_region_owner_renew(&region.owner, &bytes), CROSSVM_OK);
        damage_take(&image, &region.writable);
        check_handles(&handles, CROSSVM_STALE, CROSSVM_STALE);
        CHECK(damage_same(&image));
        damage_drop(&image);
    }
    open_handles(&handles);
    check_handles(&handles, CROSSVM_NOT_YET, CROSSVM_OK);
    end();
}

/* ---- numbers that run out ----------------------------------------------------------------------- */

/* A region whose counter is about to wrap: the format's epoch and the two planned chunks take
 * three numbers, and one is left. */
static void begin_near_the_wrap(void)
{
    begin(&plan);
    damage_put(region.writable.base, AT_COUNTER, UINT32_MAX - 4);
    REQUIRE(crossvm_region_owner_format(&region.owner, &region.writable, &plan, region.table,
                                        TEST_TABLE_LEN) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&region.reader, &region.read_only, PARTY_B) == CROSSVM_OK);
    CHECK_EQ(region.table[1].generation, UINT32_MAX - 1);
}

/* The last generation before the wrap is 2^32 - 1, the next one 1; an adopt in between goes on. */
static void generations_wrap_past_0(void)
{
    const uint32_t want[] = {UINT32_MAX, 1, 2, 3};
    struct crossvm_chunk chunk;
    for (int adopted = 0; adopted < 2; adopted++) {
        begin_near_the_wrap();
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(allocate("chunk", 100, &chunk), CROSSVM_OK);
            CHECK_EQ(chunk.generation, want[i]);
            CHECK_EQ(damage_get(region.read_only.base, AT_COUNTER), want[i]);
            CHECK_EQ(damage_get(region.read_only.base, chunk.off + 4), want[i]);
            if (adopted) {
                REQUIRE(crossvm_region_owner_adopt(&region.owner, &region.writable, &plan,
                                                   region.table, TEST_TABLE_LEN) == CROSSVM_OK);
            }
            CHECK_EQ(release(&chunk), CROSSVM_OK);
        }
        end();
    }
}

static void a_renew_wraps_past_0_too(void)
{
    begin_near_the_wrap();
    struct crossvm_chunk chunk = make("renewed", 1);
    CHECK_EQ(chunk.generation, UINT32_MAX);
    CHECK_EQ(crossvm_region_owner_renew(&region.owner, &chunk), CROSSVM_OK);
    CHECK_EQ(chunk.generation, 1);
    end();
}

/* Ids go up; behind the highest one the lowest that is free is taken. */
static void ids_wrap_past_0(void)
{
    begin(&plan);
    struct crossvm_chunk last = make("last", 1);
    uint64_t entry = damage_entry_off(region.writable.base, 2);
    CHECK_EQ(damage_get(region.writable.base, entry + ENTRY_ID), last.id);
    damage_put(region.writable.base, entry + ENTRY_ID, UINT32_MAX - 1);
    damage_seal_directory(region.writable.base);
    REQUIRE(crossvm_region_owner_adopt(&region.owner, &region.writable, &plan, region.table,
                                       TEST_TABLE_LEN) == CROSSVM_OK);
    CHECK_EQ(make("a", 1).id, UINT32_MAX);
    struct crossvm_chunk three = make("b", 1);
    CHECK_EQ(three.id, 3); /* the plan's chunks have 1 and 2 */
    CHECK_EQ(make("c", 1).id, 4);
    CHECK_EQ(release(&three), CROSSVM_OK);
    CHECK_EQ(make("d", 1).id, 3);
    check_listed(6);
    end();
}

int main(void)
{
    CASE(a_chunk_is_found_by_name_and_kind);
    CASE(what_is_not_there_is_not_found);
    CASE(a_chunk_is_found_among_regions);
    CASE(what_two_regions_have_is_reported);
    CASE(a_region_that_cannot_be_searched_is_named);
    CASE(a_region_that_cannot_be_searched_hides_no_other_ones_chunk);
    CASE(a_type_hash_is_compared_when_both_sides_give_one);
    CASE(a_list_may_be_shorter_than_the_directory);
    CASE(an_unknown_kind_is_listed_and_not_opened);
    CASE(allocated_chunks_are_in_the_directory);
    CASE(everything_can_be_released);
    CASE(wrong_chunks_are_refused);
    CASE(an_old_generation_is_stale);
    CASE(bad_declarations_are_refused);
    CASE(a_full_directory_has_no_space);
    CASE(full_memory_has_no_space);
    CASE(the_first_gap_that_fits_is_taken);
    CASE(gaps_merge);
    CASE(placement_equals_a_model);
    CASE(memory_is_cleared_before_it_is_used_again);
    CASE(handles_find_out_about_a_release);
    CASE(handles_find_out_about_a_renew);
    CASE(generations_wrap_past_0);
    CASE(a_renew_wraps_past_0_too);
    CASE(ids_wrap_past_0);
    return check_done();
}
