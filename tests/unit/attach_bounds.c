/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/attach_bounds.c - every single access of attach, list, find and adopt lies inside the
 * mapping's length, to the byte, whatever header and directory say: at every truncation, and with
 * random but correctly summed nonsense in the fields that lead to addresses.
 */
#define CROSSVM_HOOKS 1

#include "../support/damage.h"

enum {
    CAPACITY = 4,
    ROUNDS = 20000
};

static const struct crossvm_chunk_decl planned[2] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, 64, PARTY_A, CROSSVM_ANYONE, 0, 0},
    {"config", CROSSVM_KIND_BYTES, 0, 100, PARTY_A, PARTY_B, 0, 0},
};

static const struct crossvm_region_plan plan = TEST_PLAN(planned, 2, CAPACITY, 128, 512, PARTY_A);

static struct crossvm_mapping writable, read_only;
static struct damage_image whole;
static struct crossvm_chunk table[CAPACITY];
static struct crossvm_mapping looked_at;
static unsigned long n_accesses;

/* Each access of the library, while a mapping is looked at, lies in it. */
void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    uintptr_t base = (uintptr_t)looked_at.base;
    uintptr_t at = (uintptr_t)addr;
    if (access != CROSSVM_ACCESS_FENCE && looked_at.base != NULL) {
        n_accesses++;
        CHECK(at >= base && at - base <= looked_at.len && len <= looked_at.len - (at - base));
    }
}

static void begin(void)
{
    struct crossvm_region_owner owner;
    uint64_t len;
    REQUIRE(crossvm_region_plan_len(&plan, &len) == CROSSVM_OK);
    test_map(&writable, &read_only, len);
    REQUIRE(crossvm_region_owner_format(&owner, &writable, &plan, table, CAPACITY) == CROSSVM_OK);
    damage_take(&whole, &writable);
    n_accesses = 0;
}

static void end(void)
{
    CHECK(n_accesses != 0);
    damage_drop(&whole);
    test_unmap(&writable, &read_only);
}

/* Everything that follows addresses in the region; opens what is found. */
static int look(const struct crossvm_mapping *mapping)
{
    struct crossvm_region region;
    struct crossvm_region_owner owner;
    struct crossvm_chunk chunks[CAPACITY];
    struct crossvm_bytes_reader reader;
    char byte;
    uint32_t total = 0;
    looked_at = *mapping;
    int status = crossvm_region_attach(&region, mapping, PARTY_A);
    if (status == CROSSVM_OK && crossvm_region_list(&region, chunks, CAPACITY, &total) == 0) {
        for (uint32_t i = 0; i < total && i < CAPACITY; i++) {
            if (crossvm_bytes_reader_open(&reader, &region, &chunks[i]) == CROSSVM_OK) {
                (void)(crossvm_bytes_reader_read(&reader, reader.len - 1, &byte, 1) == CROSSVM_OK);
            }
        }
        (void)(crossvm_region_find(&region, "config", CROSSVM_KIND_BYTES, 0, chunks) == CROSSVM_OK);
    }
    (void)(crossvm_region_owner_adopt(&owner, mapping, &plan, table, CAPACITY) == CROSSVM_OK);
    looked_at.base = NULL;
    return status;
}

static void every_truncation(void)
{
    begin();
    for (uint64_t len = 0; len < whole.len; len++) {
        struct crossvm_mapping shorter = writable;
        shorter.len = len;
        CHECK_EQ(look(&shorter), CROSSVM_NO_SPACE);
        CHECK(damage_same(&whole));
    }
    CHECK_EQ(look(&writable), CROSSVM_OK);
    end();
}

/* A mapping shorter than the file, and a header that knows the truth or lies about it. */
static void every_length_that_the_header_may_claim(void)
{
    begin();
    for (uint64_t length = 0; length <= 2 * whole.len; length += 64) {
        damage_put_pair(writable.base, AT_LENGTH, length);
        damage_seal_header(writable.base);
        for (uint64_t len = AT_DIRECTORY; len <= whole.len; len += 128) {
            struct crossvm_mapping shorter = writable;
            shorter.len = len;
            int status = look(&shorter);
            CHECK(status != CROSSVM_OK || length <= len);
            damage_undo(&whole);
            damage_put_pair(writable.base, AT_LENGTH, length);
            damage_seal_header(writable.base);
        }
    }
    end();
}

/* Small, large, near a power of two, or anything. */
static uint32_t nonsense(uint64_t *seed)
{
    uint32_t word = check_random(seed) << 16 ^ check_random(seed);
    switch (check_random(seed) % 4) {
    case 0:
        return word % 16;
    case 1:
        return (1u << word % 32) - word / 64 % 3 + 1;
    case 2:
        return word % 64 * 128;
    default:
        return word;
    }
}

static void random_nonsense_that_is_summed_correctly(void)
{
    static const uint32_t header_words[] = {AT_LENGTH, AT_LENGTH + 4, AT_GRANULE, AT_CAPACITY,
                                            AT_LATEST, AT_EPOCH,      AT_COUNTER};
    uint64_t seed = 42;
    unsigned long n_ok = 0;
    begin();
    printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned long round = 0; round < ROUNDS * check_scale(); round++) {
        struct crossvm_mapping shorter = writable;
        uint32_t n_damages = 1 + check_random(&seed) % 3;
        for (uint32_t i = 0; i < n_damages; i++) {
            uint64_t at = header_words[check_random(&seed) % 7];
            if (check_random(&seed) % 3 != 0) {
                at = damage_slot_off(1, CAPACITY) + check_random(&seed) % (64 + 3 * 128) / 4 * 4;
            }
            damage_put(writable.base, at, nonsense(&seed));
        }
        damage_seal_slot(writable.base, damage_slot_off(1, CAPACITY), CAPACITY);
        damage_seal_header(writable.base);
        if (check_random(&seed) % 4 == 0) {
            shorter.len = check_random(&seed) % (whole.len + 1);
        }
        n_ok += look(&shorter) == CROSSVM_OK;
        damage_undo(&whole);
    }
    CHECK(n_ok > ROUNDS / 100);
    end();
}

int main(void)
{
    CASE(every_truncation);
    CASE(every_length_that_the_header_may_claim);
    CASE(random_nonsense_that_is_summed_correctly);
    return check_done();
}
