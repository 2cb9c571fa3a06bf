/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/limits.c - the limits of the format, each at, below and above: capacity, granule,
 * names, slots, payloads, elements, vectors, lengths beyond this machine's, parties.
 */
#include "../support/damage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what a chunk needs ------------------------------------------------------------------------ */

#define OK          CROSSVM_OK
#define INVALID     CROSSVM_INVALID
#define UNSUPPORTED CROSSVM_UNSUPPORTED
#define TWO_TO(n)   ((uint64_t)1 << (n))

static const struct {
    uint32_t kind;
    uint32_t n;
    uint64_t len;
    int status;
    uint64_t need;
} needs[] = {
    /* Plain bytes behind one line. */
    {CROSSVM_KIND_BYTES, 0, 0, INVALID, 0},
    {CROSSVM_KIND_BYTES, 0, 1, OK, 129},
    {CROSSVM_KIND_BYTES, 0, TWO_TO(40), OK, TWO_TO(40) + 128},
    {CROSSVM_KIND_BYTES, 0, TWO_TO(63) - 1, OK, TWO_TO(63) + 127},
    {CROSSVM_KIND_BYTES, 0, TWO_TO(63), INVALID, 0},
    {CROSSVM_KIND_BYTES, 0, UINT64_MAX, INVALID, 0},
    {CROSSVM_KIND_BYTES, 1, 1, INVALID, 0},

    /* Slots: powers of two from 2 to 65536. */
    {CROSSVM_KIND_SNAPSHOT, 0, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 1, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 2, 64, OK, 128 + 2 * 128},
    {CROSSVM_KIND_SNAPSHOT, 3, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 4, 64, OK, 128 + 4 * 128},
    {CROSSVM_KIND_SNAPSHOT, 32768, 64, OK, 128 + 32768 * 128},
    {CROSSVM_KIND_SNAPSHOT, 65535, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 65536, 64, OK, 128 + 65536 * 128},
    {CROSSVM_KIND_SNAPSHOT, 65537, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 131072, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 0x80000000u, 64, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, UINT32_MAX, 64, INVALID, 0},

    /* Payloads: 1 to 2^31 - 1, in slots of a multiple of 64. */
    {CROSSVM_KIND_SNAPSHOT, 2, 0, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 2, 1, OK, 128 + 2 * 128},
    {CROSSVM_KIND_SNAPSHOT, 2, 65, OK, 128 + 2 * 192},
    {CROSSVM_KIND_SNAPSHOT, 2, TWO_TO(31) - 1, OK, 128 + 2 * (64 + TWO_TO(31))},
    {CROSSVM_KIND_SNAPSHOT, 2, TWO_TO(31), INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 2, TWO_TO(32) + 1, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 2, UINT64_MAX, INVALID, 0},
    {CROSSVM_KIND_SNAPSHOT, 65536, TWO_TO(31) - 1, OK, 128 + 65536 * (64 + TWO_TO(31))},

    /* Slots of a broadcast: the same. */
    {CROSSVM_KIND_BROADCAST, 0, 64, INVALID, 0},
    {CROSSVM_KIND_BROADCAST, 1, 64, INVALID, 0},
    {CROSSVM_KIND_BROADCAST, 2, 1, OK, 128 + 2 * 128},
    {CROSSVM_KIND_BROADCAST, 3, 64, INVALID, 0},
    {CROSSVM_KIND_BROADCAST, 65536, TWO_TO(31) - 1, OK, 128 + 65536 * (64 + TWO_TO(31))},
    {CROSSVM_KIND_BROADCAST, 131072, 64, INVALID, 0},
    {CROSSVM_KIND_BROADCAST, 2, 0, INVALID, 0},
    {CROSSVM_KIND_BROADCAST, 2, TWO_TO(31), INVALID, 0},
    {CROSSVM_KIND_BROADCAST, 2, UINT64_MAX, INVALID, 0},

    /* Blocks of a pool: any number from 1 to 2^30, of any length. */
    {CROSSVM_KIND_POOL, 0, 64, INVALID, 0},
    {CROSSVM_KIND_POOL, 1, 1, OK, 128 + 128},
    {CROSSVM_KIND_POOL, 3, 65, OK, 128 + 3 * 192},
    {CROSSVM_KIND_POOL, 1, 0, INVALID, 0},
    {CROSSVM_KIND_POOL, 1, TWO_TO(31), INVALID, 0},
    {CROSSVM_KIND_POOL, 1, UINT64_MAX, INVALID, 0},
    {CROSSVM_KIND_POOL, 0x40000000, TWO_TO(31) - 1, OK, 128 + TWO_TO(30) * (64 + TWO_TO(31))},
    {CROSSVM_KIND_POOL, 0x40000001, 64, INVALID, 0},
    {CROSSVM_KIND_POOL, UINT32_MAX, 64, INVALID, 0},

    /* A word for each of them. */
    {CROSSVM_KIND_POOL_LENT, 0, 0, INVALID, 0},
    {CROSSVM_KIND_POOL_LENT, 1, 0, OK, 132},
    {CROSSVM_KIND_POOL_LENT, 1, 1, INVALID, 0},
    {CROSSVM_KIND_POOL_LENT, 0x40000000, 0, OK, 128 + TWO_TO(32)},
    {CROSSVM_KIND_POOL_LENT, 0x40000001, 0, INVALID, 0},
    {CROSSVM_KIND_POOL_RETURNS, 0, 0, INVALID, 0},
    {CROSSVM_KIND_POOL_RETURNS, 3, 0, OK, 140},
    {CROSSVM_KIND_POOL_RETURNS, 3, 4, INVALID, 0},
    {CROSSVM_KIND_POOL_RETURNS, UINT32_MAX, 0, INVALID, 0},

    /* Elements: a power of two from 1 to 2^30. */
    {CROSSVM_KIND_SPSC_TX, 0, 8, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, 8, OK, 512 + 8},
    {CROSSVM_KIND_SPSC_TX, 2, 8, OK, 512 + 16},
    {CROSSVM_KIND_SPSC_TX, 3, 8, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 0x3fffffff, 8, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 0x40000000, 8, OK, 512 + TWO_TO(33)},
    {CROSSVM_KIND_SPSC_TX, 0x40000001, 8, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 0x80000000u, 8, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, UINT32_MAX, 8, INVALID, 0},

    /* An element: at least 1 byte, and from element to element less than 2^31. */
    {CROSSVM_KIND_SPSC_TX, 1, 0, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, 1, OK, 512 + 8},
    {CROSSVM_KIND_SPSC_TX, 4, 9, OK, 512 + 64},
    {CROSSVM_KIND_SPSC_TX, 1, TWO_TO(31) - 9, OK, 512 + TWO_TO(31) - 8},
    {CROSSVM_KIND_SPSC_TX, 1, TWO_TO(31) - 8, OK, 512 + TWO_TO(31) - 8},
    {CROSSVM_KIND_SPSC_TX, 1, TWO_TO(31) - 7, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, TWO_TO(31) - 1, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, TWO_TO(31), INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, TWO_TO(32) + 8, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, UINT64_MAX - 7, INVALID, 0},
    {CROSSVM_KIND_SPSC_TX, 1, UINT64_MAX, INVALID, 0},

    /* The largest product of all: it must not be cut to 32 bits. */
    {CROSSVM_KIND_SPSC_TX, 0x40000000, TWO_TO(31) - 8, OK, 512 + TWO_TO(30) * (TWO_TO(31) - 8)},

    /* An exchange: as a queue's producer's part; the client's has room for answers, or none. */
    {CROSSVM_KIND_EXCHANGE_TX, 0, 0, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_TX, 0, 8, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_TX, 4, 9, OK, 512 + 64},
    {CROSSVM_KIND_EXCHANGE_TX, 3, 8, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_TX, 1, 0, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_TX_SHARED, 0, 0, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_TX_SHARED, 4, 9, OK, 512 + 64},
    {CROSSVM_KIND_EXCHANGE_TX_SHARED, 1, TWO_TO(31) - 7, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_RX, 0, 0, OK, 512},
    {CROSSVM_KIND_EXCHANGE_RX, 0, 1, INVALID, 0},
    {CROSSVM_KIND_EXCHANGE_RX, 4, 9, OK, 512 + 64},
    {CROSSVM_KIND_EXCHANGE_RX, 0x40000000, TWO_TO(31) - 8, OK, 512 + TWO_TO(30) * (TWO_TO(31) - 8)},
    {CROSSVM_KIND_EXCHANGE_RX, 1, 0, INVALID, 0},

    /* Slots of a ring with several writers: likewise, with 8 bytes in front of each element. */
    {CROSSVM_KIND_MPSC_TX, 0, 0, INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 0, 8, INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 1, 0, INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 1, 1, OK, 128 + 16},
    {CROSSVM_KIND_MPSC_TX, 3, 8, INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 4, 9, OK, 128 + 4 * 24},
    {CROSSVM_KIND_MPSC_TX, 0x40000000, 8, OK, 128 + TWO_TO(34)},
    {CROSSVM_KIND_MPSC_TX, 0x80000000u, 8, INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 1, TWO_TO(31) - 16, OK, 128 + TWO_TO(31) - 8},
    {CROSSVM_KIND_MPSC_TX, 1, TWO_TO(31) - 15, INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 1, TWO_TO(32), INVALID, 0},
    {CROSSVM_KIND_MPSC_TX, 1, UINT64_MAX, INVALID, 0},

    /* Parts without a geometry of their own. */
    {CROSSVM_KIND_MPSC_RX, 0, 0, OK, 256},
    {CROSSVM_KIND_MPSC_RX, 1, 0, INVALID, 0},
    {CROSSVM_KIND_MPSC_RX, 0, 1, INVALID, 0},
    {CROSSVM_KIND_SPSC_RX, 0, 0, OK, 512},
    {CROSSVM_KIND_SPSC_RX, 1, 0, INVALID, 0},
    {CROSSVM_KIND_SPSC_RX, 0, 1, INVALID, 0},
    {CROSSVM_KIND_WAKE, 0, 0, OK, 128},
    {CROSSVM_KIND_WAKE, 1, 0, INVALID, 0},
    {CROSSVM_KIND_WAKE, 0, 1, INVALID, 0},
    {CROSSVM_KIND_PEER, 0, 0, OK, 256},
    {CROSSVM_KIND_PEER, 1, 0, INVALID, 0},
    {CROSSVM_KIND_PEER, 0, 1, INVALID, 0},
    {CROSSVM_KIND_PEER, 8, 8, INVALID, 0},

    /* Vectors: 1 to 2048, a line each. */
    {CROSSVM_KIND_DOORBELL, 0, 0, INVALID, 0},
    {CROSSVM_KIND_DOORBELL, 1, 0, OK, 128 + 128},
    {CROSSVM_KIND_DOORBELL, 2047, 0, OK, 128 + 2047 * 128},
    {CROSSVM_KIND_DOORBELL, 2048, 0, OK, 128 + 2048 * 128},
    {CROSSVM_KIND_DOORBELL, 2049, 0, INVALID, 0},
    {CROSSVM_KIND_DOORBELL, UINT32_MAX, 0, INVALID, 0},
    {CROSSVM_KIND_DOORBELL, 1, 1, INVALID, 0},

    /* Kinds of a later library need their line, whatever the rest says. */
    {0, 0, 0, UNSUPPORTED, 128},
    {17, 0, 0, UNSUPPORTED, 128},
    {UINT32_MAX, UINT32_MAX, UINT64_MAX, UNSUPPORTED, 128},
};

#undef OK
#undef INVALID
#undef UNSUPPORTED

static struct crossvm_region_plan plan_of(const struct crossvm_chunk_decl *decls, uint32_t n)
{
    struct crossvm_region_plan plan = TEST_PLAN(decls, n, 0, 128, 0, PARTY_A);
    return plan;
}

/* What the plan of one such chunk answers: kinds unknown are invalid there, and what exceeds this
 * machine's addresses is too large. */
static int plan_status(int status, uint64_t need)
{
    if (status != CROSSVM_OK) {
        return CROSSVM_INVALID;
    }
    return need + 1024 > SIZE_MAX / 2 ? CROSSVM_TOO_LARGE : CROSSVM_OK;
}

static void a_chunk_needs_what_its_geometry_says(void)
{
    for (size_t i = 0; i < COUNT(needs); i++) {
        struct crossvm_chunk_decl decl = {
            "x", needs[i].kind, needs[i].n, needs[i].len, PARTY_A, 0, 0, 0};
        struct crossvm_region_plan plan = plan_of(&decl, 1);
        unsigned long failed_before = check_n_failed;
        uint64_t need = 0, len = 0;
        CHECK_EQ(crossvm_chunk_need(decl.kind, decl.n, decl.len, &need), needs[i].status);
        if (needs[i].status != CROSSVM_INVALID) {
            CHECK(need == needs[i].need);
        }
        int want = plan_status(needs[i].status, needs[i].need);
        CHECK_EQ(crossvm_region_plan_len(&plan, &len), want);
        if (want == CROSSVM_OK) {
            CHECK(len == 768 + (needs[i].need + 127) / 128 * 128);
        }
        if (check_n_failed != failed_before) {
            printf("  (row %zu)\n", i);
        }
    }
}

/* ---- capacity and granule ----------------------------------------------------------------------- */

static void a_capacity_is_1_to_65535(void)
{
    static const struct {
        uint32_t capacity;
        int status;
        uint64_t len;
    } rows[] = {
        {0, CROSSVM_INVALID, 0}, /* of no chunks */
        {1, CROSSVM_OK, 384 + 2 * (64 + 128)},
        {65534, CROSSVM_OK, 384 + 2 * (64 + 65534 * 128)},
        {65535, CROSSVM_OK, 384 + 2 * (64 + 65535 * 128)},
        {65536, CROSSVM_INVALID, 0},
        {UINT32_MAX, CROSSVM_INVALID, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct crossvm_region_plan plan = plan_of(NULL, 0);
        uint64_t len = 0;
        plan.capacity = rows[i].capacity;
        CHECK_EQ(crossvm_region_plan_len(&plan, &len), rows[i].status);
        if (rows[i].status == CROSSVM_OK) {
            CHECK_EQ(len, (rows[i].len + 127) / 128 * 128);
        }
    }
}

/* As many chunks as declared fit into a capacity of 0; one fewer does not do. */
static void a_capacity_holds_the_planned_chunks(void)
{
    static const struct crossvm_chunk_decl decls[2] = {
        {"a", CROSSVM_KIND_WAKE, 0, 0, PARTY_A, 0, 0, 0},
        {"b", CROSSVM_KIND_WAKE, 0, 0, PARTY_A, 0, 0, 0},
    };
    struct crossvm_region_plan plan = plan_of(decls, 2);
    uint64_t len = 0, same = 1;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    plan.capacity = 2;
    CHECK_EQ(crossvm_region_plan_len(&plan, &same), CROSSVM_OK);
    CHECK_EQ(len, same);
    plan.capacity = 1;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_INVALID);
}

static void a_granule_is_a_power_of_two_from_128_to_2_to_the_30(void)
{
    struct crossvm_region_plan plan = plan_of(NULL, 0);
    uint64_t len = 0;
    plan.capacity = 1; /* chunks begin at 768, whatever the granule up to 256 */
    for (unsigned bit = 0; bit < 32; bit++) {
        plan.granule = 1u << bit;
        int want = bit >= 7 && bit <= 30 ? CROSSVM_OK : CROSSVM_INVALID;
        CHECK_EQ(crossvm_region_plan_len(&plan, &len), want);
        if (want == CROSSVM_OK) {
            CHECK_EQ(len, plan.granule <= 768
                              ? (768 + plan.granule - 1) / plan.granule * plan.granule
                              : plan.granule);
        }
    }
    static const uint32_t odd[] = {1,    127,        129,        192,        384,       4095,
                                   4097, 0x3fffffff, 0x40000001, 0x60000000, UINT32_MAX};
    for (size_t i = 0; i < COUNT(odd); i++) {
        plan.granule = odd[i];
        CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_INVALID);
    }
}

/* A region of the largest capacity is formatted, attached to and used. */
static void the_largest_capacity_works(void)
{
    static struct crossvm_chunk table[65535];
    static const struct crossvm_chunk_decl decl = {
        "x", CROSSVM_KIND_BYTES, 0, 8, PARTY_A, PARTY_B, 0, 0};
    struct crossvm_region_plan plan = plan_of(&decl, 1);
    struct crossvm_mapping writable, read_only;
    struct crossvm_region_owner owner;
    struct crossvm_region reader;
    struct crossvm_chunk chunk;
    uint64_t len = 0;
    plan.capacity = 65535;
    plan.spare_len = 256;
    REQUIRE(crossvm_region_plan_len(&plan, &len) == CROSSVM_OK);
    if (!test_fits(len)) {
        printf("  (left out: no memory for %llu bytes)\n", (unsigned long long)len);
        return;
    }
    test_map(&writable, &read_only, len);
    CHECK_EQ(crossvm_region_owner_format(&owner, &writable, &plan, table, 65534), CROSSVM_NO_SPACE);
    REQUIRE(crossvm_region_owner_format(&owner, &writable, &plan, table, 65535) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&reader, &read_only, PARTY_B) == CROSSVM_OK);
    CHECK_EQ(crossvm_region_find(&reader, "x", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_OK);
    CHECK_EQ(chunk.off, len - 512);
    CHECK_EQ(crossvm_region_owner_release(&owner, &chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_region_owner_allocate(&owner, &decl, &chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_region_find(&reader, "x", CROSSVM_KIND_BYTES, 0, &chunk), CROSSVM_OK);
    test_unmap(&writable, &read_only);
}

#if CHECK_OS

static void *sparse_map(size_t len)
{
    void *base =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

static void sparse_unmap(void *base, size_t len)
{
    REQUIRE(munmap(base, len) == 0);
}

#else

static void *sparse_map(size_t len)
{
    (void)len;
    return NULL;
}

static void sparse_unmap(void *base, size_t len)
{
    (void)base;
    (void)len;
}

#endif

/* Attach to a region whose granule is 2^30, made by hand: nobody wants to clear that much memory.
 * Of the sparse gigabyte only the first pages are touched. */
static void the_largest_granule_is_attached_to(void)
{
    const size_t len = (size_t)1 << 30;
    struct test_region small;
    struct crossvm_region region;
    struct crossvm_region_plan plan = plan_of(NULL, 0);
    uint32_t total;
    plan.capacity = 1;
    test_region_make(&small, &plan, PARTY_B);
    struct crossvm_mapping large = small.writable;
    large.len = len;
    large.base = sparse_map(len);
    if (large.base == NULL) {
        printf("  (left out: no gigabyte of addresses)\n");
        test_region_drop(&small);
        return;
    }
    memcpy(large.base, small.writable.base, 768);
    damage_put_pair(large.base, AT_LENGTH, len);
    damage_put(large.base, AT_GRANULE, 0x40000000);
    damage_seal_header(large.base);
    CHECK_EQ(crossvm_region_attach(&region, &large, PARTY_B), CROSSVM_OK);
    CHECK_EQ(region.length, len);
    CHECK_EQ(region.granule, 0x40000000);
    CHECK_EQ(crossvm_region_list(&region, NULL, 0, &total), CROSSVM_OK);
    large.len = len - 1;
    CHECK_EQ(crossvm_region_attach(&region, &large, PARTY_B), CROSSVM_NO_SPACE);
    sparse_unmap(large.base, len);
    test_region_drop(&small);
}

/* ---- large geometries that are used ------------------------------------------------------------- */

static void the_most_slots_and_vectors_work(void)
{
    static const struct crossvm_chunk_decl decls[3] = {
        {"slots", CROSSVM_KIND_SNAPSHOT, 65536, 1, PARTY_A, PARTY_B, 0, 0},
        {"bell", CROSSVM_KIND_DOORBELL, 2048, 0, PARTY_A, PARTY_B, 0, 0},
        {"one", CROSSVM_KIND_SPSC_TX, 1, 1, PARTY_A, PARTY_B, 0, 0},
    };
    struct crossvm_region_plan plan = plan_of(decls, 3);
    struct test_region region;
    struct crossvm_snapshot_writer writer;
    struct crossvm_snapshot_reader reader;
    struct crossvm_spsc_tx tx;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_chunk chunk = test_find(&region.reader, "slots", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &region.owner.region, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&reader, &region.reader, &chunk) == CROSSVM_OK);
    for (uint32_t i = 1; i <= 65536 + 2; i++) {
        unsigned char byte = (unsigned char)i;
        unsigned char got = 0;
        CHECK_EQ(crossvm_snapshot_writer_publish(&writer, &byte, 1, 0, 0), CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_reader_read(&reader, &got, 1, NULL), 1);
        CHECK_EQ(got, byte);
    }
    (void)test_find(&region.reader, "bell", CROSSVM_KIND_DOORBELL);
    chunk = test_find(&region.reader, "one", CROSSVM_KIND_SPSC_TX);
    CHECK_EQ(crossvm_spsc_tx_open(&tx, &region.owner.region, &chunk, 0, 1), CROSSVM_OK);
    test_region_drop(&region);
}

/* ---- lengths beyond this machine's ---------------------------------------------------------------- */

static void a_region_longer_than_half_the_addresses_is_too_large(void)
{
    const uint64_t most = SIZE_MAX / 2;
    struct crossvm_chunk_decl decls[3] = {
        {"a", CROSSVM_KIND_BYTES, 0, most / 2, PARTY_A, 0, 0, 0},
        {"b", CROSSVM_KIND_BYTES, 0, most / 2, PARTY_A, 0, 0, 0},
        {"c", CROSSVM_KIND_BYTES, 0, most / 2, PARTY_A, 0, 0, 0},
    };
    struct crossvm_region_plan plan = plan_of(decls, 1);
    uint64_t len = 0;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    plan.n_chunks = 2;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
    plan.n_chunks = 3;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
    plan.n_chunks = 1;
    plan.spare_len = most / 2;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
}

/* Spare memory counts like any other, also when no chunk stands behind it. */
static void spare_memory_alone_can_be_too_large(void)
{
    const uint64_t most = SIZE_MAX / 2;
    struct crossvm_region_plan plan = plan_of(NULL, 0);
    uint64_t len = 0;
    plan.capacity = 1;
    plan.spare_len = most - 767 - 128;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    plan.spare_len = most;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
    plan.spare_len = most - 127;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
    plan.spare_len = most + 1;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
    plan.spare_len = UINT64_MAX;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_TOO_LARGE);
}

/* A header may claim any length: beyond this machine's it is refused before it is compared. */
static void a_header_beyond_this_machine_is_too_large(void)
{
    struct test_region made;
    struct crossvm_region region;
    struct crossvm_region_plan plan = plan_of(NULL, 0);
    plan.capacity = 1;
    test_region_make(&made, &plan, PARTY_B);
    damage_put_pair(made.writable.base, AT_LENGTH, (uint64_t)SIZE_MAX / 2 + 1);
    damage_seal_header(made.writable.base);
    CHECK_EQ(crossvm_region_attach(&region, &made.read_only, PARTY_B), CROSSVM_TOO_LARGE);
    damage_put_pair(made.writable.base, AT_LENGTH, (uint64_t)SIZE_MAX / 2 + 1 - 128);
    damage_seal_header(made.writable.base);
    CHECK_EQ(crossvm_region_attach(&region, &made.read_only, PARTY_B), CROSSVM_NO_SPACE);
    test_region_drop(&made);
}

/* ---- names ------------------------------------------------------------------------------------------ */

/* The same name in a plan, in a look-up and in a directory entry. */
static void check_name(const char *name, bool good)
{
    struct crossvm_chunk_decl decl = {name, CROSSVM_KIND_WAKE, 0, 0, PARTY_A, 0, 0, 0};
    struct crossvm_region_plan plan = plan_of(&decl, 1);
    struct test_region made;
    struct crossvm_chunk chunk;
    uint64_t len = 0;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), good ? CROSSVM_OK : CROSSVM_INVALID);
    decl.name = good ? name : "x";
    test_region_make(&made, &plan, PARTY_B);
    CHECK_EQ(crossvm_region_find(&made.reader, name, CROSSVM_KIND_WAKE, 0, &chunk),
             good ? CROSSVM_OK : CROSSVM_INVALID);
    if (good) {
        CHECK(strcmp(chunk.name, name) == 0);
        CHECK(damage_is_zero(chunk.name + strlen(name), 48 - strlen(name)));
    }
    test_region_drop(&made);
}

static void a_name_has_1_to_47_characters(void)
{
    static char text[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    for (size_t len = 0; len <= 60; len++) {
        char name[64] = {0};
        memcpy(name, text, len);
        check_name(name, len >= 1 && len <= 47);
    }
}

static void a_name_has_only_certain_characters(void)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._/-";
    size_t n_good = 0;
    for (unsigned value = 1; value < 256; value++) {
        bool good = strchr(allowed, (int)value) != NULL;
        char alone[2] = {(char)value, '\0'};
        char first[3] = {(char)value, 'x', '\0'};
        char last[3] = {'x', (char)value, '\0'};
        n_good += good;
        check_name(alone, good);
        check_name(first, good);
        check_name(last, good);
    }
    CHECK_EQ(n_good, 66);
}

/* ---- parties ----------------------------------------------------------------------------------------- */

/* "Anyone" may read, and do nothing else. */
static void anyone_is_no_party(void)
{
    struct crossvm_chunk_decl decl = {"x", CROSSVM_KIND_BYTES, 0, 8, PARTY_A, CROSSVM_ANYONE, 0, 0};
    struct crossvm_region_plan plan = plan_of(&decl, 1);
    struct test_region made;
    struct crossvm_region region;
    struct crossvm_bytes_writer writer;
    struct crossvm_chunk chunk;
    uint64_t len = 0;
    test_region_make(&made, &plan, PARTY_B);
    CHECK_EQ(crossvm_region_attach(&region, &made.writable, CROSSVM_ANYONE), CROSSVM_INVALID);

    /* An entry that names anyone as writer is nobody's to write. */
    damage_put(made.writable.base, damage_entry_off(made.writable.base, 0) + ENTRY_WRITER,
               CROSSVM_ANYONE);
    damage_seal_directory(made.writable.base);
    REQUIRE(crossvm_region_attach(&region, &made.writable, PARTY_A) == CROSSVM_OK);
    chunk = test_find(&region, "x", CROSSVM_KIND_BYTES);
    CHECK_EQ(crossvm_bytes_writer_open(&writer, &region, &chunk), CROSSVM_ROLE);
    test_region_drop(&made);

    decl.writer = CROSSVM_ANYONE;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_INVALID);
    decl.writer = CROSSVM_ANYONE - 1;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    plan.owner = CROSSVM_ANYONE;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_INVALID);
    plan.owner = CROSSVM_ANYONE - 1;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
    plan.owner = 0;
    decl.writer = 0;
    CHECK_EQ(crossvm_region_plan_len(&plan, &len), CROSSVM_OK);
}

int main(void)
{
    CASE(a_chunk_needs_what_its_geometry_says);
    CASE(a_capacity_is_1_to_65535);
    CASE(a_capacity_holds_the_planned_chunks);
    CASE(a_granule_is_a_power_of_two_from_128_to_2_to_the_30);
    CASE(the_largest_capacity_works);
    CASE(the_largest_granule_is_attached_to);
    CASE(the_most_slots_and_vectors_work);
    CASE(a_region_longer_than_half_the_addresses_is_too_large);
    CASE(spare_memory_alone_can_be_too_large);
    CASE(a_header_beyond_this_machine_is_too_large);
    CASE(a_name_has_1_to_47_characters);
    CASE(a_name_has_only_certain_characters);
    CASE(anyone_is_no_party);
    return check_done();
}
