/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/region_cut.c - the owner dies before any one of its shared accesses, in allocate,
 * release, renew, adopt and format: readers go on, the successor finishes what was begun, nothing
 * is given out twice, and no handle on what is gone comes back to life.
 *
 * Each operation runs once and leaves an image of the region before each of its shared accesses.
 */
#include "../support/hook.h"

#include "../support/damage.h"

enum {
    CAPACITY = 5,
    PATTERN = 0x5a,
    MAX_IMAGES = 512
};

static const struct crossvm_chunk_decl planned[3] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, 64, PARTY_A, CROSSVM_ANYONE, 0, 0},
    {"config", CROSSVM_KIND_BYTES, 0, 256, PARTY_A, PARTY_B, 0, 0},
    {"bell", CROSSVM_KIND_DOORBELL, 2, 0, PARTY_A, PARTY_B, 0, 0},
};

static const struct crossvm_region_plan plan = TEST_PLAN(planned, 3, CAPACITY, 128, 768, PARTY_A);

static const struct crossvm_chunk_decl late = {
    "late", CROSSVM_KIND_BYTES, 0, 200, PARTY_A, PARTY_B, 0, 0};
static const struct crossvm_chunk_decl next = {
    "next", CROSSVM_KIND_BYTES, 0, 128, PARTY_A, PARTY_B, 0, 0};

/* ---- the operations ----------------------------------------------------------------------- */

static struct test_region region;
static struct crossvm_chunk config; /* as the owner knows it */
static struct crossvm_chunk extra;

static void nothing(void)
{
}

static int allocate_late(void)
{
    return crossvm_region_owner_allocate(&region.owner, &late, &extra);
}

static void release_state(void)
{
    struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_region_owner_release(&region.owner, &state) == CROSSVM_OK);
}

static int release_config(void)
{
    return crossvm_region_owner_release(&region.owner, &config);
}

static int renew_config(void)
{
    return crossvm_region_owner_renew(&region.owner, &config);
}

/* What an owner leaves that dies in a renew of one chunk and had died in a release of another. */
static void leave_a_renew_half_done(void)
{
    uint32_t old = config.generation;
    release_state();
    damage_put(region.writable.base, region.table[0].off - 384 + 4, 1);
    REQUIRE(crossvm_region_owner_renew(&region.owner, &config) == CROSSVM_OK);
    unsigned char *chunk = (unsigned char *)region.writable.base + (size_t)config.off;
    damage_put(chunk, 4, old);
    memset(chunk + CHUNK_LINE_LEN, PATTERN, 256);
}

static int adopt(void)
{
    return crossvm_region_owner_adopt(&region.owner, &region.writable, &plan, region.table,
                                      TEST_TABLE_LEN);
}

static int format(void)
{
    return crossvm_region_owner_format(&region.owner, &region.writable, &plan, region.table,
                                       TEST_TABLE_LEN);
}

struct operation {
    const char *name;
    void (*prepare)(void);
    int (*run)(void);
};

static const struct operation operations[] = {
    {"allocate at the end", nothing, allocate_late},
    {"allocate in front", release_state, allocate_late},
    {"release", nothing, release_config},
    {"renew", nothing, renew_config},
    {"adopt what is whole", nothing, adopt},
    {"adopt what is half done", leave_a_renew_half_done, adopt},
};

static const struct operation format_operation = {"format", nothing, format};

/* ---- the images --------------------------------------------------------------------------- */

static unsigned char *images[MAX_IMAGES];
static uint32_t n_images;

static void keep_image(void *unused)
{
    (void)unused;
    REQUIRE(n_images < MAX_IMAGES);
    images[n_images] = (unsigned char *)malloc((size_t)region.writable.len);
    REQUIRE(images[n_images] != NULL);
    memcpy(images[n_images], region.writable.base, (size_t)region.writable.len);
    n_images++;
}

static void fill_config(void)
{
    struct crossvm_bytes_writer writer;
    unsigned char bytes[256];
    memset(bytes, PATTERN, sizeof(bytes));
    REQUIRE(crossvm_bytes_writer_open(&writer, &region.owner.region, &config) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_write(&writer, 0, bytes, sizeof(bytes)) == CROSSVM_OK);
}

static void publish_state(void)
{
    struct crossvm_snapshot_writer writer;
    unsigned char bytes[64];
    struct crossvm_chunk state = test_find(&region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    memset(bytes, PATTERN, sizeof(bytes));
    REQUIRE(crossvm_snapshot_writer_open(&writer, &region.owner.region, &state) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_publish(&writer, bytes, 64, 0, 0) == CROSSVM_OK);
}

/* The first image is the region before the operation, the last the region after it. */
static void run_operation(const struct operation *operation)
{
    test_region_make(&region, &plan, PARTY_B);
    config = test_find(&region.reader, "config", CROSSVM_KIND_BYTES);
    fill_config();
    publish_state();
    operation->prepare();
    n_images = 0;
    test_hook_arm(0, keep_image, NULL);
    CHECK_EQ(operation->run(), CROSSVM_OK);
    (void)test_hook_disarm();
    keep_image(NULL);
    printf("  %s: %" PRIu32 " images\n", operation->name, n_images);
}

static void drop_images(void)
{
    for (uint32_t i = 0; i < n_images; i++) {
        free(images[i]);
    }
    test_region_drop(&region);
}

/* ---- a directory, as one reader sees it ----------------------------------------------------- */

struct listing {
    struct crossvm_chunk chunks[CAPACITY];
    uint32_t n;
};

static void list(struct crossvm_region *reader, struct listing *listing)
{
    memset(listing, 0, sizeof(*listing));
    CHECK_EQ(crossvm_region_list(reader, listing->chunks, CAPACITY, &listing->n), CROSSVM_OK);
}

static bool listing_equal(const struct listing *a, const struct listing *b)
{
    return a->n == b->n && memcmp(a->chunks, b->chunks, sizeof(a->chunks)) == 0;
}

static const struct crossvm_chunk *listed(const struct listing *listing, uint32_t id)
{
    for (uint32_t i = 0; i < listing->n; i++) {
        if (listing->chunks[i].id == id) {
            return &listing->chunks[i];
        }
    }
    return NULL;
}

/* ---- another mapping, on which each image is tried ------------------------------------------- */

static struct crossvm_mapping writable, read_only;

/* Handles that were opened before the operation began. */
static struct crossvm_region old_region;
static struct crossvm_bytes_reader old_bytes;
static struct crossvm_snapshot_reader old_snapshot;
static struct crossvm_chunk old_config, old_state;
static bool has_old_bytes, has_old_snapshot;

static void put_image(uint32_t k)
{
    memcpy(writable.base, images[k], (size_t)writable.len);
}

static void open_old_handles(void)
{
    put_image(0);
    REQUIRE(crossvm_region_attach(&old_region, &read_only, PARTY_B) == CROSSVM_OK);
    has_old_bytes =
        crossvm_region_find(&old_region, "config", CROSSVM_KIND_BYTES, 0, &old_config) == 0 &&
        crossvm_bytes_reader_open(&old_bytes, &old_region, &old_config) == CROSSVM_OK;
    has_old_snapshot =
        crossvm_region_find(&old_region, "state", CROSSVM_KIND_SNAPSHOT, 0, &old_state) == 0 &&
        crossvm_snapshot_reader_open(&old_snapshot, &old_region, &old_state) == CROSSVM_OK;
}

static bool all_pattern(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != PATTERN) {
            return false;
        }
    }
    return true;
}

/* The old handles give what was there, or say that they are stale, and nothing else. */
static int read_old_bytes(void)
{
    unsigned char got[256];
    int status = crossvm_bytes_reader_read(&old_bytes, 0, got, sizeof(got));
    CHECK(status == CROSSVM_STALE || (status == CROSSVM_OK && all_pattern(got, sizeof(got))));
    return status;
}

static int read_old_snapshot(void)
{
    unsigned char got[64];
    struct crossvm_snapshot_reader copy = old_snapshot;
    int status = crossvm_snapshot_reader_read(&copy, got, sizeof(got), NULL);
    CHECK(status == CROSSVM_STALE || (status >= 0 && all_pattern(got, sizeof(got))));
    return status;
}

/* ---- after a death in allocate, release, renew, adopt ---------------------------------------- */

/* Before any successor: one of the two directories, and from one image to the next no way back. */
static void check_readers(const struct listing *before, const struct listing *after, bool *is_new)
{
    struct crossvm_region reader;
    struct listing seen;
    REQUIRE(crossvm_region_attach(&reader, &read_only, PARTY_B) == CROSSVM_OK);
    list(&reader, &seen);
    CHECK(listing_equal(&seen, before) || listing_equal(&seen, after));
    if (*is_new) {
        CHECK(listing_equal(&seen, after));
    }
    *is_new = !listing_equal(&seen, before);
    list(&old_region, &seen);
    CHECK(listing_equal(&seen, *is_new ? after : before));
    if (has_old_bytes) {
        (void)read_old_bytes();
    }
    if (has_old_snapshot) {
        (void)read_old_snapshot();
    }
}

/* Every chunk bears its epoch, and free memory none. */
static void check_epochs(const struct listing *listing, uint64_t from)
{
    for (uint64_t at = from; at < writable.len; at += 128) {
        uint32_t epoch = damage_get(writable.base, at + 4);
        uint32_t i = 0;
        while (i < listing->n && (at < listing->chunks[i].off ||
                                  at >= listing->chunks[i].off + listing->chunks[i].length)) {
            i++;
        }
        if (i == listing->n) {
            CHECK_EQ(epoch, 0);
        } else if (at == listing->chunks[i].off) {
            CHECK_EQ(epoch, listing->chunks[i].generation);
        }
    }
}

/* A chunk that kept its generation kept its contents; one that did not begins empty. */
static void check_config(const struct listing *listing)
{
    const struct crossvm_chunk *now = listed(listing, old_config.id);
    const unsigned char *base = (const unsigned char *)writable.base;
    if (now != NULL && now->generation != old_config.generation) {
        CHECK(damage_is_zero(base + now->off + CHUNK_LINE_LEN, (size_t)now->length - 128));
    }
    if (has_old_bytes) {
        bool same = now != NULL && now->generation == old_config.generation;
        CHECK_EQ(read_old_bytes(), same ? CROSSVM_OK : CROSSVM_STALE);
    }
}

static bool epoch_stands_anywhere(const unsigned char *image, uint64_t from, uint32_t epoch)
{
    for (uint64_t at = from; at < writable.len; at += 128) {
        if (damage_get(image, at + 4) == epoch) {
            return true;
        }
    }
    return false;
}

/* The successor's next chunk is empty, and bears a generation that nobody has seen before. */
static void check_next_chunk(struct crossvm_region_owner *successor, const unsigned char *image,
                             uint64_t from)
{
    struct crossvm_chunk chunk;
    const unsigned char *base = (const unsigned char *)writable.base;
    struct listing shown;
    list(&successor->region, &shown);
    CHECK_EQ(crossvm_region_owner_allocate(successor, &next, &chunk), CROSSVM_OK);
    CHECK(damage_is_zero(base + chunk.off + CHUNK_LINE_LEN, (size_t)chunk.length - 128));
    CHECK(!epoch_stands_anywhere(image, from, chunk.generation));
    for (uint32_t i = 0; i < shown.n; i++) {
        CHECK(shown.chunks[i].generation != chunk.generation);
        CHECK(shown.chunks[i].id != chunk.id);
    }
}

static void check_image(uint32_t k, const struct listing *before, const struct listing *after,
                        bool *is_new)
{
    const uint64_t from = AT_DIRECTORY + 2 * (SLOT_HEADER_LEN + (uint64_t)CAPACITY * ENTRY_LEN);
    struct crossvm_region_owner successor;
    struct crossvm_chunk table[CAPACITY];
    struct listing adopted;
    put_image(k);
    check_readers(before, after, is_new);
    REQUIRE(crossvm_region_owner_adopt(&successor, &writable, &plan, table, CAPACITY) ==
            CROSSVM_OK);
    list(&old_region, &adopted);
    CHECK(listing_equal(&adopted, *is_new ? after : before));
    check_epochs(&adopted, from);
    check_config(&adopted);
    if (has_old_snapshot) {
        CHECK_EQ(read_old_snapshot() < 0, listed(&adopted, old_state.id) == NULL);
    }
    check_next_chunk(&successor, images[k], from);
}

static void a_death_anywhere_in(const struct operation *operation)
{
    struct listing before, after;
    struct crossvm_region reader;
    bool is_new = false;
    run_operation(operation);
    test_map(&writable, &read_only, region.writable.len);
    open_old_handles();
    list(&old_region, &before);
    put_image(n_images - 1);
    REQUIRE(crossvm_region_attach(&reader, &read_only, PARTY_B) == CROSSVM_OK);
    list(&reader, &after);
    for (uint32_t k = 0; k < n_images; k++) {
        check_image(k, &before, &after, &is_new);
    }
    CHECK(listing_equal(&before, &after) || is_new);
    test_unmap(&writable, &read_only);
    drop_images();
}

static void a_death_in_any_operation_harms_nobody(void)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        a_death_anywhere_in(&operations[i]);
    }
}

/* ---- after a death in format ------------------------------------------------------------------ */

/* Nobody attaches to a half-made region, and no successor adopts it. */
static void check_half_formatted(void)
{
    struct crossvm_region reader;
    struct crossvm_region_owner successor;
    struct crossvm_chunk table[CAPACITY];
    struct damage_image image;
    damage_take(&image, &writable);
    CHECK_REFUSED(&image, crossvm_region_attach(&reader, &read_only, PARTY_B),
                  CROSSVM_NOT_FORMATTED);
    CHECK_REFUSED(&image, crossvm_region_owner_adopt(&successor, &writable, &plan, table, CAPACITY),
                  CROSSVM_NOT_FORMATTED);
    damage_drop(&image);
}

/* The next format succeeds, and handles from before the first one are still stale. */
static void check_formatted_anew(void)
{
    struct crossvm_region_owner successor;
    struct crossvm_region reader;
    struct crossvm_chunk table[CAPACITY], chunk;
    struct listing fresh;
    CHECK_EQ(crossvm_region_owner_format(&successor, &writable, &plan, table, CAPACITY),
             CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&reader, &read_only, PARTY_B) == CROSSVM_OK);
    list(&reader, &fresh);
    CHECK_EQ(fresh.n, 3);
    const char *name = "config";
    CHECK_EQ(crossvm_region_find(&old_region, name, CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_STALE);
    unsigned char got[256];
    CHECK_EQ(crossvm_bytes_reader_read(&old_bytes, 0, got, sizeof(got)), CROSSVM_STALE);
    struct crossvm_snapshot_reader copy = old_snapshot;
    CHECK_EQ(crossvm_snapshot_reader_read(&copy, got, 64, NULL), CROSSVM_STALE);
}

static bool is_formatted(uint32_t k)
{
    return damage_get(images[k], AT_MAGIC) == 0x4d567243u && damage_get(images[k], AT_EPOCH) != 0;
}

/* The magic goes first and comes last. */
static void check_order_of_format(void)
{
    unsigned char *first = images[0];
    unsigned char *last = images[n_images - 1];
    const size_t len = (size_t)writable.len;
    uint32_t k = 0;
    while (memcmp(images[k], first, len) == 0) {
        k++;
    }
    CHECK_EQ(damage_get(images[k], AT_MAGIC), 0);
    CHECK(memcmp(images[k] + 4, first + 4, len - 4) == 0);
    k = n_images - 1;
    while (memcmp(images[k], last, len) == 0) {
        k--;
    }
    CHECK_EQ(damage_get(images[k], AT_MAGIC), 0);
    CHECK(memcmp(images[k] + 4, last + 4, len - 4) == 0);
}

/* Whoever was attached before sees the old directory, or that it is gone. */
static void check_old_region(const struct listing *before)
{
    struct listing seen;
    memset(&seen, 0, sizeof(seen));
    int status = crossvm_region_list(&old_region, seen.chunks, CAPACITY, &seen.n);
    CHECK(status == CROSSVM_STALE || (status == CROSSVM_OK && listing_equal(&seen, before)));
}

static void a_death_in_format_leaves_nothing_to_attach_to(void)
{
    struct listing before;
    uint32_t n_half = 0;
    run_operation(&format_operation);
    test_map(&writable, &read_only, region.writable.len);
    open_old_handles();
    list(&old_region, &before);
    check_order_of_format();
    for (uint32_t k = 0; k < n_images; k++) {
        put_image(k);
        check_old_region(&before);
        if (!is_formatted(k)) {
            check_half_formatted();
            (void)read_old_bytes();
            (void)read_old_snapshot();
            n_half++;
        }
        put_image(k);
        check_formatted_anew();
    }
    CHECK(is_formatted(0) && is_formatted(n_images - 1) && n_half > 10);
    test_unmap(&writable, &read_only);
    drop_images();
}

/* A shorter region comes behind a format that was cut short: chunks of the region before both may
 * lie behind its end. */
static void a_shorter_format_behind_a_cut_one_leaves_no_handle_alive(void)
{
    const struct crossvm_chunk_decl first[1] = {planned[0]};
    const struct crossvm_region_plan shorter = TEST_PLAN(first, 1, 1, 128, 0, PARTY_A);
    struct crossvm_region_owner successor;
    struct crossvm_chunk table[CAPACITY];
    uint64_t shorter_len;
    uint32_t n_behind = 0;
    run_operation(&format_operation);
    test_map(&writable, &read_only, region.writable.len);
    open_old_handles();
    REQUIRE(crossvm_region_plan_len(&shorter, &shorter_len) == CROSSVM_OK);
    for (uint32_t k = 0; k < n_images; k++) {
        put_image(k);
        CHECK_EQ(crossvm_region_owner_format(&successor, &writable, &shorter, table, CAPACITY),
                 CROSSVM_OK);
        n_behind += old_config.off >= shorter_len;
        CHECK_EQ(read_old_bytes(), CROSSVM_STALE);
        CHECK_EQ(read_old_snapshot(), CROSSVM_STALE);
    }
    CHECK_EQ(n_behind, n_images);
    test_unmap(&writable, &read_only);
    drop_images();
}

int main(void)
{
    CASE(a_death_in_any_operation_harms_nobody);
    CASE(a_death_in_format_leaves_nothing_to_attach_to);
    CASE(a_shorter_format_behind_a_cut_one_leaves_no_handle_alive);
    return check_done();
}
