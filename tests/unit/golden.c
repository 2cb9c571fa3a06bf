/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/golden.c - images of regions that programs of other architectures wrote, at the time
 * when their format was new, are attached to, read, and carried on with by today's code; and
 * refused where docs/FORMAT.md says so. tests/golden/README.md tells what they hold.
 */
#include "../support/damage.h"
#include "../support/sample.h"

static const char *const makers[] = {"x86_64", "i386", "s390x", "powerpc"};

#define N_MAKERS (sizeof(makers) / sizeof(makers[0]))

/* ---- images ---------------------------------------------------------------------------------- */

/* Where the images are: beside this file's directory. */
static void image_path(char *path, size_t len, const char *maker, char party)
{
    const char *slash = strrchr(__FILE__, '/');
    int directory_len = slash == NULL ? 0 : (int)(slash - __FILE__) + 1;
    (void)snprintf(path, len, "%.*s../golden/0.1/%s-%c.img", directory_len, __FILE__, maker, party);
}

/* Fresh shared memory with an image in it. */
static void load(struct test_region *region, const char *maker, char party)
{
    static unsigned char bytes[16384];
    char path[512];
    image_path(path, sizeof(path), maker, party);
    FILE *file = fopen(path, "rb");
    REQUIRE(file != NULL);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    REQUIRE(len > 0 && len < sizeof(bytes));
    REQUIRE(fclose(file) == 0);
    test_map(&region->writable, &region->read_only, len);
    memcpy(region->writable.base, bytes, len);
}

static struct test_region a;
static struct test_region b;

static void load_both(const char *maker)
{
    load(&a, maker, 'a');
    load(&b, maker, 'b');
}

static void drop_both(void)
{
    test_region_drop(&a);
    test_region_drop(&b);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The reader of a party's region, which is mapped read-only. */
static void look_at(struct sample_side *side, uint32_t party, const struct test_region *peer)
{
    side->party = party;
    sample_plan_make(&side->plan, party);
    REQUIRE(crossvm_region_attach(&side->peer, &peer->read_only, party) == CROSSVM_OK);
    sample_open_peer(side);
}

static void everything_is_read(const char *maker)
{
    struct sample_side as_a;
    struct sample_side as_b;
    struct crossvm_snapshot_info info;
    unsigned char state[SAMPLE_STATE_LEN];
    load_both(maker);
    look_at(&as_b, SAMPLE_B, &a);
    look_at(&as_a, SAMPLE_A, &b);
    sample_check_region(&as_b);
    sample_check_region(&as_a);
    sample_check_notes(&as_b);
    sample_check_notes(&as_a);

    CHECK_EQ(crossvm_snapshot_reader_read(&as_b.state_in, state, sizeof(state), &info), 1);
    CHECK_EQ(info.version, 7);
    sample_check_state(state, &info);
    CHECK_EQ(crossvm_snapshot_reader_read_version(&as_b.state_in, 5, state, sizeof(state), &info),
             0);
    CHECK_EQ(info.version, 5);
    sample_check_state(state, &info);
    CHECK_EQ(crossvm_snapshot_reader_read(&as_a.state_in, state, sizeof(state), &info),
             CROSSVM_NOT_YET);
    drop_both();
}

/* ---- carrying on ----------------------------------------------------------------------------- */

static void come_back(struct sample_side *side, uint32_t party, const struct test_region *own,
                      const struct test_region *peer)
{
    look_at(side, party, peer);
    REQUIRE(crossvm_region_owner_adopt(&side->own, &own->writable, &side->plan.plan, side->table,
                                       SAMPLE_TABLE_LEN) == CROSSVM_OK);
    sample_open_own(side, 2);
}

static void both_sides_carry_on(const char *maker)
{
    struct sample_side as_a;
    struct sample_side as_b;
    struct crossvm_snapshot_info info;
    unsigned char state[SAMPLE_STATE_LEN];
    load_both(maker);
    come_back(&as_a, SAMPLE_A, &a, &b);
    come_back(&as_b, SAMPLE_B, &b, &a);
    CHECK(sample_link_step(&as_a));
    CHECK(sample_link_step(&as_b));

    sample_publish(&as_a, 8);
    CHECK_EQ(crossvm_snapshot_reader_read(&as_b.state_in, state, sizeof(state), &info), 1);
    CHECK_EQ(info.version, 8);
    sample_check_state(state, &info);

    CHECK_EQ(sample_push(&as_a, 12), CROSSVM_OK);
    CHECK_EQ(sample_push(&as_a, 13), CROSSVM_FULL);
    for (uint32_t number = 5; number <= 12; number++) {
        CHECK_EQ(sample_pop(&as_b, number), CROSSVM_OK);
    }
    CHECK_EQ(sample_pop(&as_b, 13), CROSSVM_EMPTY);
    CHECK_EQ(sample_push(&as_b, SAMPLE_CAPACITY + 1), CROSSVM_FULL);
    for (uint32_t number = 1; number <= SAMPLE_CAPACITY; number++) {
        CHECK_EQ(sample_pop(&as_a, number), CROSSVM_OK);
    }
    CHECK_EQ(sample_pop(&as_a, SAMPLE_CAPACITY + 1), CROSSVM_EMPTY);
    drop_both();
}

/* ---- refusing -------------------------------------------------------------------------------- */

/* What another version of the format may bring, and what today's code makes of it. */
static const struct {
    const char *what;
    uint64_t off; /* of the header's word */
    uint32_t value;
    int attach;
    int open_for_writing;
} others[] = {
    {"nothing", AT_FORMAT_MAJOR, 0, CROSSVM_OK, CROSSVM_OK},
    {"another major", AT_FORMAT_MAJOR, 1, CROSSVM_OTHER_FORMAT, 0},
    {"a later minor", AT_FORMAT_MINOR, 9, CROSSVM_OK, CROSSVM_OK},
    {"an incompatible feature", AT_INCOMPAT, 1, CROSSVM_FEATURE, 0},
    {"a feature for readers", AT_RO_COMPAT, 1u << 31, CROSSVM_OK, CROSSVM_ROLE},
    {"a compatible feature", AT_COMPAT, 1u << 7, CROSSVM_OK, CROSSVM_OK},
    {"a longer header", AT_HEADER_LEN, 512, CROSSVM_CORRUPT, 0},
    {"longer entries", AT_ENTRY_LEN, 256, CROSSVM_CORRUPT, 0},
    {"reserved bytes in use", AT_RESERVED, 77, CROSSVM_OK, CROSSVM_OK},
};

static void what_another_version_brings_is_judged(const char *maker)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct crossvm_region region;
        struct crossvm_snapshot_writer writer;
        unsigned long n_failed = check_n_failed;
        load(&a, maker, 'a');
        damage_put(a.writable.base, others[i].off, others[i].value);
        damage_seal_header(a.writable.base);
        CHECK_EQ(crossvm_region_attach(&region, &a.writable, SAMPLE_A), others[i].attach);
        if (others[i].attach == CROSSVM_OK) {
            struct crossvm_chunk state = sample_find(&region, "state", CROSSVM_KIND_SNAPSHOT);
            CHECK_EQ(crossvm_snapshot_writer_open(&writer, &region, &state),
                     others[i].open_for_writing);
        }
        if (check_n_failed != n_failed) {
            printf("  %s\n", others[i].what);
        }
        test_region_drop(&a);
    }
}

/* Words of the wrong byte order are no region; a region that is cut short does not fit. */
static void what_is_no_whole_region_is_refused(const char *maker)
{
    struct crossvm_region region;
    load(&a, maker, 'a');
    struct crossvm_mapping shorter = a.read_only;
    shorter.len -= 1;
    CHECK_EQ(crossvm_region_attach(&region, &shorter, SAMPLE_B), CROSSVM_NO_SPACE);
    unsigned char *bytes = (unsigned char *)a.writable.base;
    for (size_t i = 0; i < a.writable.len; i += 4) {
        uint32_t word = damage_get(bytes, i);
        for (size_t j = 0; j < 4; j++) {
            bytes[i + j] = (unsigned char)(word >> (8 * (3 - j)));
        }
    }
    CHECK_EQ(crossvm_region_attach(&region, &a.read_only, SAMPLE_B), CROSSVM_NOT_FORMATTED);
    test_region_drop(&a);
}

/* A chunk of a kind that a later version brings is listed, and can be opened as nothing. */
static void an_unknown_kind_is_listed_and_not_opened(const char *maker)
{
    struct crossvm_region region;
    struct crossvm_chunk chunks[SAMPLE_TABLE_LEN];
    struct crossvm_snapshot_reader reader;
    uint32_t total;
    load(&a, maker, 'a');
    damage_put(a.writable.base, damage_entry_off(a.writable.base, 1) + ENTRY_KIND, 99);
    damage_seal_directory(a.writable.base);
    REQUIRE(crossvm_region_attach(&region, &a.read_only, SAMPLE_B) == CROSSVM_OK);
    REQUIRE(crossvm_region_list(&region, chunks, SAMPLE_TABLE_LEN, &total) == CROSSVM_OK);
    CHECK_EQ(total, SAMPLE_N_CHUNKS);
    CHECK_EQ(chunks[1].kind, 99);
    CHECK_EQ(crossvm_snapshot_reader_open(&reader, &region, &chunks[1]), CROSSVM_TYPE);
    test_region_drop(&a);
}

static void for_every_maker(void (*check)(const char *maker))
{
    for (size_t i = 0; i < N_MAKERS; i++) {
        unsigned long n_failed = check_n_failed;
        check(makers[i]);
        if (check_n_failed != n_failed) {
            printf("  image of %s\n", makers[i]);
        }
    }
}

static void images_are_read(void)
{
    for_every_maker(everything_is_read);
}

static void images_are_carried_on_with(void)
{
    for_every_maker(both_sides_carry_on);
}

static void other_versions_are_refused_where_the_format_says_so(void)
{
    for_every_maker(what_another_version_brings_is_judged);
    for_every_maker(what_is_no_whole_region_is_refused);
    for_every_maker(an_unknown_kind_is_listed_and_not_opened);
}

int main(void)
{
    CASE(images_are_read);
    CASE(images_are_carried_on_with);
    CASE(other_versions_are_refused_where_the_format_says_so);
    return check_done();
}
