/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/pool.h - a pool in one region and up to four readers, each with a region of its own
 * for what it gives back; contents of which every byte is a function of a value; and the account:
 * each block is free, or being filled, or lent to exactly those readers that were said.
 *
 * The owner is PARTY_A; reader r is PARTY_B + r, and has the pool through the read-only mapping. To
 * each reader leads a queue of ids, which a test may bring up.
 */
#ifndef CROSSVM_TESTS_SUPPORT_POOL_H
#define CROSSVM_TESTS_SUPPORT_POOL_H

#include "queue.h"
#include "snapshot.h"

enum {
    TEST_POOL_READERS = 4,
    TEST_POOL_BLOCKS = 64,
    TEST_POOL_QUEUE = 64 /* elements of a queue of ids */
};

/* Of the owner's region. */
static uint32_t test_pool_granule = 128;

/* What the queue to a reader carries. */
struct test_pool_elem {
    struct crossvm_pool_id id;
    uint32_t value; /* of the content */
};

struct test_pool_side {
    struct test_region own;       /* the reader's region */
    struct crossvm_region region; /* the pool's, as the reader has it */
    struct crossvm_chunk returns; /* the reader's part */
    struct crossvm_pool_reader reader;
    struct crossvm_chunk tx_chunk; /* of the queue of ids: the owner's part */
    struct crossvm_chunk rx_chunk; /* and the reader's */
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
};

struct test_pool {
    struct test_region region; /* the owner's */
    struct crossvm_chunk chunk;
    struct crossvm_chunk lent;
    struct crossvm_pool_block blocks[TEST_POOL_BLOCKS];
    struct crossvm_pool_link links[TEST_POOL_READERS];
    struct crossvm_pool_owner owner;
    struct test_pool_side side[TEST_POOL_READERS];
    uint32_t n_readers;
};

static inline struct crossvm_pool_memory test_pool_memory(struct test_pool *pool)
{
    const struct crossvm_pool_memory memory = {pool->blocks, TEST_POOL_BLOCKS, pool->links,
                                               pool->n_readers};
    return memory;
}

/* ---- coming up ------------------------------------------------------------------------------ */

/* What opening the owner's side answers; its own memory is rubbish before. */
static inline int test_pool_try_owner(struct test_pool *pool)
{
    const struct crossvm_pool_memory memory = test_pool_memory(pool);
    memset(pool->blocks, 0x5a, sizeof(pool->blocks));
    memset(pool->links, 0x5a, sizeof(pool->links));
    memset(&pool->owner, 0x5a, sizeof(pool->owner));
    return crossvm_pool_owner_open(&pool->owner, &pool->region.owner.region, &pool->chunk,
                                   &pool->region.owner.region, &pool->lent, &memory);
}

static inline int test_pool_try_link(struct test_pool *pool, uint32_t r)
{
    return crossvm_pool_owner_link(&pool->owner, r, &pool->side[r].own.reader,
                                   &pool->side[r].returns);
}

static inline void test_pool_open_owner(struct test_pool *pool)
{
    REQUIRE(test_pool_try_owner(pool) == CROSSVM_OK);
}

static inline void test_pool_link(struct test_pool *pool)
{
    for (uint32_t r = 0; r < pool->n_readers; r++) {
        REQUIRE(test_pool_try_link(pool, r) == CROSSVM_OK);
    }
}

static inline int test_pool_try_bind(struct test_pool *pool, uint32_t r)
{
    struct test_pool_side *side = &pool->side[r];
    return crossvm_pool_reader_bind(&side->reader, &side->own.owner.region, &side->returns);
}

static inline void test_pool_open_reader(struct test_pool *pool, uint32_t r)
{
    struct test_pool_side *side = &pool->side[r];
    memset(&side->reader, 0x5a, sizeof(side->reader));
    REQUIRE(crossvm_pool_reader_open(&side->reader, &side->region, &pool->chunk) == CROSSVM_OK);
    REQUIRE(test_pool_try_bind(pool, r) == CROSSVM_OK);
}

static const char *const test_pool_queues[TEST_POOL_READERS] = {"ids-0", "ids-1", "ids-2", "ids-3"};

static inline void test_pool_make_side(struct test_pool *pool, uint32_t r)
{
    struct test_pool_side *side = &pool->side[r];
    const struct crossvm_chunk_decl decls[] = {
        {"pool", CROSSVM_KIND_POOL_RETURNS, pool->chunk.n, 0, PARTY_B + r, PARTY_A, 0, 0},
        {test_pool_queues[r], CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B + r, PARTY_A, 0, 0}};
    const struct crossvm_region_plan plan = TEST_PLAN(decls, 2, 0, 128, 0, PARTY_B + r);
    test_region_make(&side->own, &plan, PARTY_A);
    side->returns = test_find(&side->own.reader, "pool", CROSSVM_KIND_POOL_RETURNS);
    side->rx_chunk = test_find(&side->own.reader, test_pool_queues[r], CROSSVM_KIND_SPSC_RX);
    REQUIRE(crossvm_region_attach(&side->region, &pool->region.read_only, PARTY_B + r) ==
            CROSSVM_OK);
    side->tx_chunk = test_find(&side->region, test_pool_queues[r], CROSSVM_KIND_SPSC_TX);
}

/* Makes all regions. Nothing is opened. */
static inline void test_pool_make_closed(struct test_pool *pool, uint32_t n, uint32_t len,
                                         uint32_t n_readers)
{
    struct crossvm_chunk_decl decls[2 + TEST_POOL_READERS] = {
        {"pool", CROSSVM_KIND_POOL, n, len, PARTY_A, CROSSVM_ANYONE, 0, 0},
        {"pool", CROSSVM_KIND_POOL_LENT, n, 0, PARTY_A, PARTY_A, 0, 0}};
    REQUIRE(n <= TEST_POOL_BLOCKS && n_readers <= TEST_POOL_READERS);
    for (uint32_t r = 0; r < n_readers; r++) {
        const struct crossvm_chunk_decl queue = {test_pool_queues[r],
                                                 CROSSVM_KIND_SPSC_TX,
                                                 TEST_POOL_QUEUE,
                                                 sizeof(struct test_pool_elem),
                                                 PARTY_A,
                                                 PARTY_B + r,
                                                 0,
                                                 0};
        decls[2 + r] = queue;
    }
    const struct crossvm_region_plan plan = {decls,   2 + n_readers, 0, test_pool_granule, 0,
                                             PARTY_A, {7, 1, 9},     0, {0, 0, 0}};
    test_region_make(&pool->region, &plan, PARTY_B);
    pool->chunk = test_find(&pool->region.reader, "pool", CROSSVM_KIND_POOL);
    pool->lent = test_find(&pool->region.reader, "pool", CROSSVM_KIND_POOL_LENT);
    pool->n_readers = n_readers;
    for (uint32_t r = 0; r < n_readers; r++) {
        test_pool_make_side(pool, r);
    }
}

/* Makes all regions and brings everything up. */
static inline void test_pool_make(struct test_pool *pool, uint32_t n, uint32_t len,
                                  uint32_t n_readers)
{
    test_pool_make_closed(pool, n, len, n_readers);
    test_pool_open_owner(pool);
    for (uint32_t r = 0; r < n_readers; r++) {
        test_pool_open_reader(pool, r);
    }
    test_pool_link(pool);
}

/* A WAKE chunk by which the owner waits for reader 0's blocks. */
struct test_pool_wake {
    struct test_region region;
    struct crossvm_chunk chunk;
    struct crossvm_wake_waiter waiter;
};

static inline void test_pool_wake_make(struct test_pool_wake *wake)
{
    const struct crossvm_chunk_decl decl = {"wake",  CROSSVM_KIND_WAKE, 0, 0,
                                            PARTY_A, PARTY_B,           0, 0};
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 0, 0, PARTY_A);
    test_region_make(&wake->region, &plan, PARTY_B);
    wake->chunk = test_find(&wake->region.reader, "wake", CROSSVM_KIND_WAKE);
    REQUIRE(crossvm_wake_waiter_open(&wake->waiter, &wake->region.owner.region, &wake->chunk) ==
            CROSSVM_OK);
}

/* Both sides of each region see the same addresses, so that a thread sanitizer can compare. Before
 * anything is opened. */
static inline void test_pool_one_mapping(struct test_pool *pool)
{
    for (uint32_t r = 0; r < pool->n_readers; r++) {
        struct test_pool_side *side = &pool->side[r];
        REQUIRE(crossvm_region_attach(&side->region, &pool->region.writable, PARTY_B + r) ==
                CROSSVM_OK);
        REQUIRE(crossvm_region_attach(&side->own.reader, &side->own.writable, PARTY_A) ==
                CROSSVM_OK);
    }
}

static inline void test_pool_drop(struct test_pool *pool)
{
    test_region_drop(&pool->region);
    for (uint32_t r = 0; r < pool->n_readers; r++) {
        test_region_drop(&pool->side[r].own);
    }
}

/* ---- the shared words, where the tables in pool.h say -------------------------------------- */

static inline uint64_t test_pool_off(const struct test_pool *pool, uint32_t block)
{
    return pool->chunk.off + 128 + block * (64 + (pool->chunk.len + 63) / 64 * 64);
}

static inline struct crossvm_pool_block_shm *test_pool_header(const struct test_pool *pool,
                                                              uint32_t block)
{
    void *at = (unsigned char *)pool->region.writable.base + test_pool_off(pool, block);
    return (struct crossvm_pool_block_shm *)at;
}

static inline struct crossvm_le32 *test_pool_lent_word(const struct test_pool *pool, uint32_t i)
{
    void *at = (unsigned char *)pool->region.writable.base + pool->lent.off + 128 + i * 4;
    return (struct crossvm_le32 *)at;
}

static inline struct crossvm_pool_words_shm *test_pool_returns(const struct test_pool *pool,
                                                               uint32_t r)
{
    const struct test_pool_side *side = &pool->side[r];
    void *at = (unsigned char *)side->own.writable.base + side->returns.off;
    return (struct crossvm_pool_words_shm *)at;
}

static inline struct crossvm_le32 *test_pool_returned(const struct test_pool *pool, uint32_t r,
                                                      uint32_t i)
{
    void *at = (unsigned char *)test_pool_returns(pool, r) + 128 + i * 4;
    return (struct crossvm_le32 *)at;
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* Allocates a block, fills it for a value and lends it; its number. */
static inline uint32_t test_pool_lend(struct test_pool *pool, uint64_t value, uint32_t len,
                                      uint32_t readers, struct crossvm_pool_id *id)
{
    uint32_t block = UINT32_MAX;
    REQUIRE(crossvm_pool_owner_allocate(&pool->owner, &block) == CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_raw(&pool->owner, block) != NULL);
    test_payload_fill(crossvm_pool_owner_raw(&pool->owner, block), len, value);
    REQUIRE(crossvm_pool_owner_lend(&pool->owner, block, len, readers, id) == CROSSVM_OK);
    return block;
}

/* What a reader finds by an id. */
static inline int test_pool_find(struct test_pool *pool, uint32_t r,
                                 const struct crossvm_pool_id *id, struct crossvm_pool_view *view)
{
    memset(view, 0x5a, sizeof(*view));
    int status = crossvm_pool_reader_find(&pool->side[r].reader, id, view);
    CHECK(status == CROSSVM_OK || (view->header == NULL && view->payload == NULL));
    return status;
}

/* A reader finds a block with this content, whole. */
static inline void test_pool_expect(struct test_pool *pool, uint32_t r,
                                    const struct crossvm_pool_id *id, uint64_t value, uint32_t len,
                                    struct crossvm_pool_view *view)
{
    CHECK_EQ(test_pool_find(pool, r, id, view), CROSSVM_OK);
    CHECK_EQ(view->len, len);
    CHECK(view->payload != NULL && test_payload_ok(view->payload, len, value));
    CHECK_EQ(crossvm_pool_reader_check(&pool->side[r].reader, view), CROSSVM_OK);
}

/* A reader uses a block and gives it back. */
static inline void test_pool_use(struct test_pool *pool, uint32_t r,
                                 const struct crossvm_pool_id *id, uint64_t value, uint32_t len)
{
    struct crossvm_pool_view view;
    test_pool_expect(pool, r, id, value, len, &view);
    CHECK_EQ(crossvm_pool_reader_give_back(&pool->side[r].reader, &view), CROSSVM_OK);
}

/* ---- queues of ids -------------------------------------------------------------------------- */

/* The owner's side of the queue to a reader; the status of linking it. */
static inline int test_pool_open_tx(struct test_pool *pool, uint32_t r, uint32_t seed)
{
    struct test_pool_side *side = &pool->side[r];
    REQUIRE(crossvm_spsc_tx_open(&side->tx, &pool->region.owner.region, &side->tx_chunk,
                                 sizeof(struct test_pool_elem), seed) == CROSSVM_OK);
    return crossvm_spsc_tx_link(&side->tx, &side->own.reader, &side->rx_chunk);
}

static inline int test_pool_open_rx(struct test_pool *pool, uint32_t r, uint32_t seed)
{
    struct test_pool_side *side = &pool->side[r];
    REQUIRE(crossvm_spsc_rx_open(&side->rx, &side->own.owner.region, &side->rx_chunk,
                                 TEST_POOL_QUEUE, sizeof(struct test_pool_elem),
                                 seed) == CROSSVM_OK);
    return crossvm_spsc_rx_link(&side->rx, &side->region, &side->tx_chunk);
}

/* Brings the queue to each reader up. */
static inline void test_pool_queues_up(struct test_pool *pool)
{
    for (uint32_t r = 0; r < pool->n_readers; r++) {
        struct test_pool_side *side = &pool->side[r];
        CHECK_EQ(test_pool_open_rx(pool, r, 1), CROSSVM_NOT_YET);
        CHECK_EQ(test_pool_open_tx(pool, r, 1), CROSSVM_NOT_YET);
        REQUIRE(crossvm_spsc_rx_link(&side->rx, &side->region, &side->tx_chunk) == CROSSVM_OK);
        REQUIRE(crossvm_spsc_tx_link(&side->tx, &side->own.reader, &side->rx_chunk) == CROSSVM_OK);
    }
}

/* ---- the account ---------------------------------------------------------------------------- */

/* So many blocks are free and lent, the rest is being filled; and each reader's count, the table
 * in shared memory, the blocks' words and the list of free blocks agree. */
static inline void test_pool_account(const struct test_pool *pool, uint32_t n_free, uint32_t n_lent)
{
    uint32_t n_lent_seen = 0;
    uint32_t n_of[TEST_POOL_READERS] = {0, 0, 0, 0};
    for (uint32_t i = 0; i < pool->chunk.n; i++) {
        struct crossvm_pool_id id;
        uint32_t lent = crossvm_pool_owner_lent(&pool->owner, i, &id);
        uint32_t generation = crossvm_load_relaxed(&test_pool_header(pool, i)->generation);
        CHECK_EQ(crossvm_load_relaxed(test_pool_lent_word(pool, i)), lent);
        CHECK_EQ(lent != 0, generation % 2 == 0 && generation != 0);
        n_lent_seen += lent != 0;
        for (uint32_t r = 0; r < pool->n_readers; r++) {
            n_of[r] += lent >> r & 1;
        }
    }
    CHECK_EQ(n_lent_seen, n_lent);
    CHECK_EQ(crossvm_pool_owner_n_free(&pool->owner), n_free);
    for (uint32_t r = 0; r < pool->n_readers; r++) {
        CHECK_EQ(crossvm_pool_owner_n_lent(&pool->owner, r), n_of[r]);
    }
    uint32_t n_listed = 0;
    uint32_t block = pool->owner.next_free;
    while (block < pool->chunk.n && n_listed <= n_free) {
        CHECK_EQ(pool->blocks[block].lent, 0);
        block = pool->blocks[block].next;
        n_listed++;
    }
    CHECK_EQ(n_listed, n_free);
}

#endif
