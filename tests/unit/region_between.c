/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/region_between.c - the owner acts between any two shared accesses of a reader that
 * attaches, lists, finds or reads: the reader gets what was there before or after, or an answer
 * that says to try again or to find anew, but never a mixture and never "corrupt".
 *
 * Each pair of operations is repeated with the owner's work before the 1st, 2nd, ... access of the
 * reader, until the reader is done before its turn comes.
 */
#include "../support/hook.h"

#include "../support/damage.h"

enum {
    CAPACITY = 5,
    PATTERN = 0x5a,
    MAX_LISTINGS = 4
};

static const struct crossvm_chunk_decl planned[3] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, 64, PARTY_A, CROSSVM_ANYONE, 0, 0},
    {"config", CROSSVM_KIND_BYTES, 0, 256, PARTY_A, PARTY_B, 0, 0},
    {"bell", CROSSVM_KIND_DOORBELL, 2, 0, PARTY_A, PARTY_B, 0, 0},
};

static const struct crossvm_region_plan plan = TEST_PLAN(planned, 3, CAPACITY, 128, 768, PARTY_A);

/* Another geometry in the same memory: capacity, granule and places differ. */
static const struct crossvm_region_plan other_plan =
    TEST_PLAN(planned + 1, 1, 2, 256, 512, PARTY_A);

static const struct crossvm_chunk_decl late = {
    "late", CROSSVM_KIND_BYTES, 0, 200, PARTY_A, PARTY_B, 0, 0};

struct listing {
    struct crossvm_chunk chunks[CAPACITY];
    uint32_t n;
};

static struct test_region region;
static struct crossvm_chunk config, extra;
static struct crossvm_bytes_reader bytes;
static struct crossvm_snapshot_reader snapshot;
static struct listing listings[MAX_LISTINGS]; /* all that a reader may see */
static uint32_t n_listings;
static bool reformatted;
static const struct crossvm_region_plan *made_by; /* the newest format */

static bool listing_equal(const struct listing *a, const struct listing *b)
{
    return a->n == b->n && memcmp(a->chunks, b->chunks, a->n * sizeof(a->chunks[0])) == 0;
}

/* The owner's own table is what a reader may see from now on, too. */
static void note_listing(void)
{
    REQUIRE(n_listings < MAX_LISTINGS);
    struct listing *listing = &listings[n_listings++];
    memset(listing, 0, sizeof(*listing));
    listing->n = region.owner.n_chunks;
    memcpy(listing->chunks, region.owner.table, listing->n * sizeof(listing->chunks[0]));
}

/* Which of them it is; n_listings for none. */
static uint32_t which(const struct listing *seen)
{
    uint32_t i = 0;
    while (i < n_listings && !listing_equal(seen, &listings[i])) {
        i++;
    }
    return i;
}

static void begin(void)
{
    struct crossvm_bytes_writer writer;
    struct crossvm_snapshot_writer publisher;
    unsigned char pattern[256];
    reformatted = false;
    made_by = &plan;
    n_listings = 0;
    test_region_make(&region, &plan, PARTY_B);
    memset(pattern, PATTERN, sizeof(pattern));
    config = test_find(&region.reader, "config", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_bytes_writer_open(&writer, &region.owner.region, &config) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_write(&writer, 0, pattern, 256) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&bytes, &region.reader, &config) == CROSSVM_OK);
    struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&publisher, &region.owner.region, &state) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_publish(&publisher, pattern, 64, 0, 0) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&snapshot, &region.reader, &state) == CROSSVM_OK);
    note_listing();
}

/* ---- what the owner does -------------------------------------------------------------------- */

static void allocate(void)
{
    CHECK_EQ(crossvm_region_owner_allocate(&region.owner, &late, &extra), CROSSVM_OK);
    note_listing();
}

static void release(void)
{
    CHECK_EQ(crossvm_region_owner_release(&region.owner, &config), CROSSVM_OK);
    note_listing();
}

static void renew(void)
{
    CHECK_EQ(crossvm_region_owner_renew(&region.owner, &config), CROSSVM_OK);
    note_listing();
}

/* Two versions of the directory: the slot that the reader looks at is rewritten. */
static void renew_and_release(void)
{
    renew();
    release();
}

/* The released memory is used again, for a chunk of another size. */
static void release_and_allocate(void)
{
    release();
    allocate();
}

static void format_the_same(void)
{
    CHECK_EQ(crossvm_region_owner_format(&region.owner, &region.writable, &plan, region.table,
                                         TEST_TABLE_LEN),
             CROSSVM_OK);
    reformatted = true;
    note_listing();
}

static void format_another(void)
{
    CHECK_EQ(crossvm_region_owner_format(&region.owner, &region.writable, &other_plan, region.table,
                                         TEST_TABLE_LEN),
             CROSSVM_OK);
    reformatted = true;
    made_by = &other_plan;
    note_listing();
}

/* ---- what the reader does -------------------------------------------------------------------- */

static void list(void)
{
    struct listing seen;
    memset(&seen, 0, sizeof(seen));
    int status = crossvm_region_list(&region.reader, seen.chunks, CAPACITY, &seen.n);
    CHECK(status == CROSSVM_OK || (reformatted && status == CROSSVM_STALE));
    if (status == CROSSVM_OK) {
        CHECK(which(&seen) < n_listings);
    }
}

static void check_geometry(const struct crossvm_region *reader,
                           const struct crossvm_region_plan *of)
{
    uint64_t len;
    REQUIRE(crossvm_region_plan_len(of, &len) == CROSSVM_OK);
    CHECK_EQ(reader->length, len);
    CHECK_EQ(reader->granule, of->granule);
    CHECK_EQ(reader->capacity, of->capacity);
}

/* An attach that succeeds belongs to one format: what is then listed is that format's. */
static void attach(void)
{
    struct crossvm_region reader;
    struct listing seen;
    memset(&seen, 0, sizeof(seen));
    int status = crossvm_region_attach(&reader, &region.read_only, PARTY_B);
    CHECK(status == CROSSVM_OK ||
          (reformatted && (status == CROSSVM_STALE || status == CROSSVM_NOT_FORMATTED)));
    if (status != CROSSVM_OK) {
        return;
    }
    status = crossvm_region_list(&reader, seen.chunks, CAPACITY, &seen.n);
    CHECK(status == CROSSVM_OK || (reformatted && status == CROSSVM_STALE));
    if (status == CROSSVM_OK) {
        uint32_t i = which(&seen);
        CHECK(i < n_listings);
        check_geometry(&reader, i == 0 ? &plan : made_by);
    }
}

static void find(void)
{
    struct crossvm_chunk found;
    int status = crossvm_region_find(&region.reader, "config", CROSSVM_KIND_BYTES, 0, &found);
    if (status == CROSSVM_NOT_FOUND) {
        CHECK(n_listings > 1);
    } else if (status == CROSSVM_STALE) {
        CHECK(reformatted);
    } else {
        REQUIRE(status == CROSSVM_OK);
        bool known = false;
        for (uint32_t i = 0; i < n_listings; i++) {
            for (uint32_t k = 0; k < listings[i].n; k++) {
                known |= memcmp(&found, &listings[i].chunks[k], sizeof(found)) == 0;
            }
        }
        CHECK(known);
    }
}

static bool all_pattern(const unsigned char *got, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (got[i] != PATTERN) {
            return false;
        }
    }
    return true;
}

static void read_bytes(void)
{
    unsigned char got[256];
    int status = crossvm_bytes_reader_read(&bytes, 0, got, sizeof(got));
    CHECK(status == CROSSVM_STALE || status == CROSSVM_OK);
    CHECK(status != CROSSVM_OK || all_pattern(got, sizeof(got)));
    CHECK(status != CROSSVM_STALE || n_listings > 1);
}

static void read_snapshot(void)
{
    unsigned char got[64];
    int status = crossvm_snapshot_reader_read(&snapshot, got, sizeof(got), NULL);
    CHECK(status == 1 || (reformatted && status == CROSSVM_STALE));
    CHECK(status != 1 || all_pattern(got, sizeof(got)));
}

/* ---- every pair, at every step ---------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} owner_work[] =
    {
        {"allocate", allocate},
        {"release", release},
        {"renew", renew},
        {"renew and release", renew_and_release},
        {"release and allocate", release_and_allocate},
        {"format the same", format_the_same},
        {"format another", format_another},
},
  reader_work[] = {
      {"attach", attach},
      {"list", list},
      {"find", find},
      {"read bytes", read_bytes},
      {"read a snapshot", read_snapshot},
};

static void do_work(void *of_owner)
{
    owner_work[*(const size_t *)of_owner].run();
}

static void every_step(size_t of_reader, size_t of_owner)
{
    unsigned long step = 0;
    bool reached = true;
    while (reached) {
        unsigned long failed_before = check_n_failed;
        begin();
        test_hook_arm(++step, do_work, &of_owner);
        reader_work[of_reader].run();
        reached = test_hook_disarm() >= step;
        if (check_n_failed != failed_before && check_n_failed <= CHECK_PRINTED) {
            printf("  (%s, with %s before access %lu)\n", reader_work[of_reader].name,
                   owner_work[of_owner].name, step);
        }
        test_region_drop(&region);
    }
    CHECK(step > 3);
}

static void the_owner_acts_between_any_two_accesses(void)
{
    for (size_t i = 0; i < sizeof(reader_work) / sizeof(reader_work[0]); i++) {
        for (size_t k = 0; k < sizeof(owner_work) / sizeof(owner_work[0]); k++) {
            every_step(i, k);
        }
    }
}

/* ---- a directory that changes faster than it is read ------------------------------------------ */

static void renew_always(void *unused)
{
    (void)unused;
    REQUIRE(crossvm_region_owner_renew(&region.owner, &config) == CROSSVM_OK);
}

/* TORN after a bounded number of passes, not an endless loop. */
static void a_reader_that_is_always_overtaken_gives_up(void)
{
    struct crossvm_region reader;
    struct crossvm_chunk chunk;
    uint32_t total;
    begin();
    test_hook_arm(0, renew_always, NULL);
    CHECK_EQ(crossvm_region_list(&region.reader, NULL, 0, &total), CROSSVM_TORN);
    CHECK_EQ(crossvm_region_find(&region.reader, "config", CROSSVM_KIND_BYTES, 0, &chunk),
             CROSSVM_TORN);
    CHECK_EQ(crossvm_region_attach(&reader, &region.read_only, PARTY_B), CROSSVM_TORN);
    (void)test_hook_disarm();
    CHECK_EQ(crossvm_region_list(&region.reader, NULL, 0, &total), CROSSVM_OK);
    test_region_drop(&region);
}

int main(void)
{
    CASE(the_owner_acts_between_any_two_accesses);
    CASE(a_reader_that_is_always_overtaken_gives_up);
    return check_done();
}
