/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/fault.c - impossible bytes, for each handle that can answer CORRUPT: the record says
 * in which region, where, what and which rule; and it stays, and the handle goes on answering
 * CORRUPT, when the bytes have become right again, until it is opened anew.
 *
 * Three regions with ids of their own: a is PARTY_A's, b is PARTY_B's, c is PARTY_A's for what
 * nobody else reads. The parts of a queue lie in a and b, so that a fault that names the wrong one
 * shows.
 */
#include "../support/region.h"

#include <crossvm/crossvm.h>

enum {
    N = 4,
    LEN = 16,
    SEED = 3,
    OPENING = 1,
    CALL = 2
};

static struct test_region a;
static struct test_region b;
static struct test_region c;

static struct crossvm_snapshot_writer snapshot_writer;
static struct crossvm_snapshot_reader snapshot_reader;
static struct crossvm_broadcast_writer broadcast_writer;
static struct crossvm_broadcast_reader broadcast_reader;
static struct crossvm_spsc_tx tx;
static struct crossvm_spsc_rx rx;
static struct crossvm_spsc_rx lone_rx; /* its producer never comes */
static struct crossvm_exchange_tx exchange_tx;
static struct crossvm_exchange_rx exchange_rx;
static struct crossvm_pool_owner pool_owner;
static struct crossvm_pool_reader pool_reader;
static struct crossvm_pool_block blocks[N];
static struct crossvm_pool_link links[1];
static struct crossvm_pool_id lent_id; /* of block 0 */
static unsigned char elem[LEN];

/* A chunk as its owner has it. */
static struct crossvm_chunk in(struct test_region *region, const char *name, uint32_t kind)
{
    return test_find(&region->owner.region, name, kind);
}

/* A word of a chunk, off bytes from its start, as whoever writes it sees it. */
static struct crossvm_le32 *word_of(struct test_region *region, const char *name, uint32_t kind,
                                    uint64_t off)
{
    struct crossvm_chunk chunk = in(region, name, kind);
    unsigned char *base = (unsigned char *)region->writable.base;
    return (struct crossvm_le32 *)(void *)(base + chunk.off + off);
}

/* ---- opening ----------------------------------------------------------------------------------- */

static int open_snapshot_writer(void)
{
    struct crossvm_chunk chunk = in(&a, "snapshot", CROSSVM_KIND_SNAPSHOT);
    return crossvm_snapshot_writer_open(&snapshot_writer, &a.owner.region, &chunk);
}

static int open_snapshot_reader(void)
{
    struct crossvm_chunk chunk = in(&a, "snapshot", CROSSVM_KIND_SNAPSHOT);
    return crossvm_snapshot_reader_open(&snapshot_reader, &a.reader, &chunk);
}

static int open_broadcast_writer(void)
{
    struct crossvm_chunk chunk = in(&a, "broadcast", CROSSVM_KIND_BROADCAST);
    return crossvm_broadcast_writer_open(&broadcast_writer, &a.owner.region, &chunk);
}

static int open_broadcast_reader(void)
{
    struct crossvm_chunk chunk = in(&a, "broadcast", CROSSVM_KIND_BROADCAST);
    return crossvm_broadcast_reader_open(&broadcast_reader, &a.reader, &chunk,
                                         CROSSVM_BROADCAST_OLDEST);
}

/* A queue's ends are opened and linked in one: NOT_YET the other one has to move. */
static int link_tx(void)
{
    struct crossvm_chunk peer = in(&b, "queue", CROSSVM_KIND_SPSC_RX);
    return crossvm_spsc_tx_link(&tx, &b.reader, &peer);
}

static int open_tx(void)
{
    struct crossvm_chunk own = in(&a, "queue", CROSSVM_KIND_SPSC_TX);
    int status = crossvm_spsc_tx_open(&tx, &a.owner.region, &own, 0, SEED);
    return status == CROSSVM_OK ? link_tx() : status;
}

static int link_rx(void)
{
    struct crossvm_chunk peer = in(&a, "queue", CROSSVM_KIND_SPSC_TX);
    return crossvm_spsc_rx_link(&rx, &a.reader, &peer);
}

static int open_rx(void)
{
    struct crossvm_chunk own = in(&b, "queue", CROSSVM_KIND_SPSC_RX);
    int status = crossvm_spsc_rx_open(&rx, &b.owner.region, &own, N, LEN, SEED);
    return status == CROSSVM_OK ? link_rx() : status;
}

static int open_lone_rx(void)
{
    struct crossvm_chunk own = in(&b, "lone", CROSSVM_KIND_SPSC_RX);
    return crossvm_spsc_rx_open(&lone_rx, &b.owner.region, &own, N, LEN, SEED);
}

static int link_exchange_tx(void)
{
    struct crossvm_chunk peer = in(&b, "exchange", CROSSVM_KIND_EXCHANGE_RX);
    return crossvm_exchange_tx_link(&exchange_tx, &b.reader, &peer);
}

static int open_exchange_tx(void)
{
    struct crossvm_chunk own = in(&a, "exchange", CROSSVM_KIND_EXCHANGE_TX);
    int status = crossvm_exchange_tx_open(&exchange_tx, &a.owner.region, &own, 0, SEED);
    return status == CROSSVM_OK ? link_exchange_tx() : status;
}

static int link_exchange_rx(void)
{
    struct crossvm_chunk peer = in(&a, "exchange", CROSSVM_KIND_EXCHANGE_TX);
    return crossvm_exchange_rx_link(&exchange_rx, &a.reader, &peer);
}

static int open_exchange_rx(void)
{
    struct crossvm_chunk own = in(&b, "exchange", CROSSVM_KIND_EXCHANGE_RX);
    int status = crossvm_exchange_rx_open(&exchange_rx, &b.owner.region, &own, N, LEN, SEED);
    return status == CROSSVM_OK ? link_exchange_rx() : status;
}

static int open_pool_owner(void)
{
    const struct crossvm_pool_memory memory = {blocks, N, links, 1};
    struct crossvm_chunk chunk = in(&a, "pool", CROSSVM_KIND_POOL);
    struct crossvm_chunk lent = in(&c, "pool", CROSSVM_KIND_POOL_LENT);
    return crossvm_pool_owner_open(&pool_owner, &a.owner.region, &chunk, &c.owner.region, &lent,
                                   &memory);
}

static int open_pool_reader(void)
{
    struct crossvm_chunk chunk = in(&a, "pool", CROSSVM_KIND_POOL);
    return crossvm_pool_reader_open(&pool_reader, &a.reader, &chunk);
}

/* ---- two calls of each handle ------------------------------------------------------------------ */

static int snapshot_read(void)
{
    return crossvm_snapshot_reader_read(&snapshot_reader, elem, LEN, NULL);
}

static int snapshot_read_version(void)
{
    return crossvm_snapshot_reader_read_version(&snapshot_reader, 1, elem, LEN, NULL);
}

static int snapshot_newer(void)
{
    return crossvm_snapshot_reader_newer(&snapshot_reader);
}

static int snapshot_publish(void)
{
    return crossvm_snapshot_writer_publish(&snapshot_writer, elem, LEN, 0, 0);
}

static int snapshot_begin(void)
{
    return crossvm_snapshot_writer_begin(&snapshot_writer, true);
}

static int broadcast_read(void)
{
    return crossvm_broadcast_reader_read(&broadcast_reader, elem, LEN, NULL);
}

static int broadcast_newer(void)
{
    return crossvm_broadcast_reader_newer(&broadcast_reader);
}

static int broadcast_publish(void)
{
    return crossvm_broadcast_writer_publish(&broadcast_writer, elem, LEN);
}

static int broadcast_publish_n(void)
{
    return crossvm_broadcast_writer_publish_n(&broadcast_writer, elem, LEN, 1);
}

static int tx_free(void)
{
    return crossvm_spsc_tx_free(&tx);
}

static int tx_push(void)
{
    return crossvm_spsc_tx_push(&tx, elem);
}

static int rx_fill(void)
{
    return crossvm_spsc_rx_fill(&rx);
}

static int rx_pop(void)
{
    return crossvm_spsc_rx_pop(&rx, elem);
}

static int lone_rx_fill(void)
{
    return crossvm_spsc_rx_fill(&lone_rx);
}

static int lone_rx_pop(void)
{
    return crossvm_spsc_rx_pop(&lone_rx, elem);
}

static int exchange_tx_answered(void)
{
    return crossvm_exchange_tx_answered(&exchange_tx);
}

static int exchange_tx_take(void)
{
    return crossvm_exchange_tx_take(&exchange_tx, elem);
}

static int exchange_rx_get(void)
{
    return crossvm_exchange_rx_get(&exchange_rx, elem);
}

static int exchange_rx_answer(void)
{
    return crossvm_exchange_rx_answer(&exchange_rx, elem);
}

static int pool_collect(void)
{
    return crossvm_pool_owner_collect(&pool_owner);
}

static int pool_recall(void)
{
    return crossvm_pool_owner_recall(&pool_owner, 1, 1);
}

static int pool_find(void)
{
    struct crossvm_pool_view view;
    return crossvm_pool_reader_find(&pool_reader, &lent_id, &view);
}

static int pool_copy(void)
{
    struct crossvm_pool_view view;
    return crossvm_pool_reader_copy(&pool_reader, &lent_id, elem, LEN, &view);
}

/* ---- a ring with several writers, where there can be one ------------------------------------- */

#if CROSSVM_HAS_CAS

static struct crossvm_mpsc_tx ring_tx;
static struct crossvm_mpsc_rx ring_rx;

static int open_ring_tx(void)
{
    struct crossvm_chunk own = in(&a, "ring", CROSSVM_KIND_MPSC_TX);
    struct crossvm_chunk peer = in(&b, "ring", CROSSVM_KIND_MPSC_RX);
    int status = crossvm_mpsc_tx_open(&ring_tx, &a.owner.region, &own, 1);
    return status == CROSSVM_OK ? crossvm_mpsc_tx_link(&ring_tx, &b.reader, &peer) : status;
}

static int open_ring_rx(void)
{
    struct crossvm_chunk own = in(&b, "ring", CROSSVM_KIND_MPSC_RX);
    struct crossvm_chunk peer = in(&a, "ring", CROSSVM_KIND_MPSC_TX);
    int status = crossvm_mpsc_rx_open(&ring_rx, &b.owner.region, &own);
    return status == CROSSVM_OK ? crossvm_mpsc_rx_link(&ring_rx, &a.reader, &peer) : status;
}

static int ring_push(void)
{
    return crossvm_mpsc_tx_push(&ring_tx, elem);
}

static int ring_commit(void)
{
    return crossvm_mpsc_tx_commit(&ring_tx);
}

static int ring_pop(void)
{
    return crossvm_mpsc_rx_pop(&ring_rx, elem);
}

static int ring_fill(void)
{
    return crossvm_mpsc_rx_fill(&ring_rx);
}

static void ring_up(void)
{
    REQUIRE(open_ring_rx() == CROSSVM_OK);
    REQUIRE(open_ring_tx() == CROSSVM_OK);
}

#else

static void ring_up(void)
{
}

#endif

/* ---- everything at work ------------------------------------------------------------------------ */

static const struct crossvm_chunk_decl decls_a[] = {
    {"snapshot", CROSSVM_KIND_SNAPSHOT, N, LEN, PARTY_A, PARTY_B, 0, 0},
    {"broadcast", CROSSVM_KIND_BROADCAST, N, LEN, PARTY_A, PARTY_B, 0, 0},
    {"queue", CROSSVM_KIND_SPSC_TX, N, LEN, PARTY_A, PARTY_B, 0, 1},
    {"exchange", CROSSVM_KIND_EXCHANGE_TX, N, LEN, PARTY_A, PARTY_B, 0, 2},
    {"ring", CROSSVM_KIND_MPSC_TX, N, LEN, PARTY_A, PARTY_B, 0, 3},
    {"pool", CROSSVM_KIND_POOL, N, LEN, PARTY_A, PARTY_B, 0, 0}};

static const struct crossvm_chunk_decl decls_b[] = {
    {"queue", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 1},
    {"lone", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 4},
    {"exchange", CROSSVM_KIND_EXCHANGE_RX, N, LEN, PARTY_B, PARTY_A, 0, 2},
    {"ring", CROSSVM_KIND_MPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 3}};

static const struct crossvm_chunk_decl decls_c[] = {
    {"pool", CROSSVM_KIND_POOL_LENT, N, 0, PARTY_A, PARTY_A, 0, 0}};

/* A region whose id is first, first + 1, ... */
static void make_region(struct test_region *region, const struct crossvm_chunk_decl *decls,
                        uint32_t n_chunks, uint32_t owner, uint32_t reader, uint8_t first)
{
    struct crossvm_region_plan plan = TEST_PLAN(decls, n_chunks, 0, 128, 0, owner);
    for (unsigned i = 0; i < sizeof(plan.region_id); i++) {
        plan.region_id[i] = (uint8_t)(first + i);
    }
    test_region_make(region, &plan, reader);
}

/* Whether a fault names the region of make_region's `first`; 0 for no region. */
static bool names(const struct crossvm_fault *fault, uint8_t first)
{
    uint8_t id[16];
    for (unsigned i = 0; i < sizeof(id); i++) {
        id[i] = (uint8_t)(fault->region[i / 4] >> 8 * (i % 4));
        if (id[i] != (first == 0 ? 0 : first + i)) {
            return false;
        }
    }
    return true;
}

static void make(void)
{
    uint32_t block = 0;
    make_region(&a, decls_a, 6, PARTY_A, PARTY_B, 0xa0);
    make_region(&b, decls_b, 4, PARTY_B, PARTY_A, 0xb0);
    make_region(&c, decls_c, 1, PARTY_A, PARTY_A, 0xc0);
    REQUIRE(open_snapshot_writer() == CROSSVM_OK && snapshot_publish() == CROSSVM_OK);
    REQUIRE(open_snapshot_reader() == CROSSVM_OK);
    REQUIRE(open_broadcast_writer() == CROSSVM_OK && broadcast_publish() == CROSSVM_OK);
    REQUIRE(open_broadcast_reader() == CROSSVM_OK);
    REQUIRE(open_rx() == CROSSVM_NOT_YET && open_tx() == CROSSVM_NOT_YET);
    REQUIRE(link_rx() == CROSSVM_OK && link_tx() == CROSSVM_OK);
    REQUIRE(open_lone_rx() == CROSSVM_OK);
    REQUIRE(open_exchange_rx() == CROSSVM_NOT_YET && open_exchange_tx() == CROSSVM_NOT_YET);
    REQUIRE(link_exchange_rx() == CROSSVM_OK && link_exchange_tx() == CROSSVM_OK);
    ring_up();
    REQUIRE(open_pool_owner() == CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_allocate(&pool_owner, &block) == CROSSVM_OK && block == 0);
    REQUIRE(crossvm_pool_owner_lend(&pool_owner, block, LEN, 1, &lent_id) == CROSSVM_OK);
    REQUIRE(open_pool_reader() == CROSSVM_OK);
}

static void drop(void)
{
    test_region_drop(&a);
    test_region_drop(&b);
    test_region_drop(&c);
}

/* ---- each fault -------------------------------------------------------------------------------- */

#define A &a, 0xa0
#define B &b, 0xb0
#define C &c, 0xc0

/* A slot of version 1, in a snapshot or a broadcast: 64 bytes of header, LEN bytes rounded up. */
#define SLOT_1 (128 + 128)

/* One word of one chunk, a value that it cannot have, and who finds it. */
static const struct {
    const char *what;
    struct test_region *region;
    uint8_t first_id; /* of the region */
    const char *name; /* of the chunk */
    uint32_t kind;
    uint32_t off; /* of the word in it */
    uint32_t bad;
    uint32_t rule;
    uint32_t found_by; /* opening the handle, or a call of one that is open, or either */
    const struct crossvm_fault *fault;
    int (*open)(void);
    int (*call)(void);
    int (*other)(void);
} rows[] = {
    {"snapshot reader, mark", A, "snapshot", CROSSVM_KIND_SNAPSHOT, SLOT_1, 77,
     CROSSVM_RULE_SLOT_MARK, CALL, &snapshot_reader.fault, open_snapshot_reader, snapshot_read,
     snapshot_read_version},
    {"snapshot reader that looks for newer ones, mark", A, "snapshot", CROSSVM_KIND_SNAPSHOT,
     SLOT_1, 77, CROSSVM_RULE_SLOT_MARK, CALL, &snapshot_reader.fault, open_snapshot_reader,
     snapshot_read, snapshot_newer},
    {"snapshot reader, length", A, "snapshot", CROSSVM_KIND_SNAPSHOT, SLOT_1 + 8, LEN + 1,
     CROSSVM_RULE_SLOT_LEN, CALL, &snapshot_reader.fault, open_snapshot_reader,
     snapshot_read_version, snapshot_read},
    {"snapshot writer, mark", A, "snapshot", CROSSVM_KIND_SNAPSHOT, SLOT_1, 77,
     CROSSVM_RULE_SLOT_MARK, OPENING, &snapshot_writer.fault, open_snapshot_writer,
     snapshot_publish, snapshot_begin},
    {"snapshot writer, length", A, "snapshot", CROSSVM_KIND_SNAPSHOT, SLOT_1 + 8, LEN + 1,
     CROSSVM_RULE_SLOT_LEN, OPENING, &snapshot_writer.fault, open_snapshot_writer, snapshot_begin,
     snapshot_publish},
    {"broadcast reader, mark", A, "broadcast", CROSSVM_KIND_BROADCAST, SLOT_1, 77,
     CROSSVM_RULE_SLOT_MARK, OPENING | CALL, &broadcast_reader.fault, open_broadcast_reader,
     broadcast_read, broadcast_newer},
    {"broadcast reader, length", A, "broadcast", CROSSVM_KIND_BROADCAST, SLOT_1 + 8, LEN + 1,
     CROSSVM_RULE_SLOT_LEN, CALL, &broadcast_reader.fault, open_broadcast_reader, broadcast_read,
     broadcast_newer},
    {"broadcast writer, mark", A, "broadcast", CROSSVM_KIND_BROADCAST, SLOT_1, 77,
     CROSSVM_RULE_SLOT_MARK, OPENING, &broadcast_writer.fault, open_broadcast_writer,
     broadcast_publish, broadcast_publish_n},
    {"producer, own grant", A, "queue", CROSSVM_KIND_SPSC_TX,
     offsetof(struct crossvm_spsc_tx_shm, capacity), 3, CROSSVM_RULE_SPSC_GRANT, OPENING, &tx.fault,
     open_tx, tx_push, tx_free},
    {"producer, the consumer's head", B, "queue", CROSSVM_KIND_SPSC_RX, 0, N + 1,
     CROSSVM_RULE_SPSC_INDEX, OPENING | CALL, &tx.fault, open_tx, tx_free, tx_push},
    {"consumer, own head", B, "lone", CROSSVM_KIND_SPSC_RX, 0, 1, CROSSVM_RULE_SPSC_INDEX, OPENING,
     &lone_rx.fault, open_lone_rx, lone_rx_pop, lone_rx_fill},
    {"consumer, the producer's tail", A, "queue", CROSSVM_KIND_SPSC_TX, 0, N + 1,
     CROSSVM_RULE_SPSC_INDEX, OPENING | CALL, &rx.fault, open_rx, rx_fill, rx_pop},
    {"consumer, the producer's grant", A, "queue", CROSSVM_KIND_SPSC_TX,
     offsetof(struct crossvm_spsc_tx_shm, capacity), 2 * N, CROSSVM_RULE_SPSC_GRANT, OPENING,
     &rx.fault, open_rx, rx_fill, rx_pop},
    {"exchange's producer, own index", A, "exchange", CROSSVM_KIND_EXCHANGE_TX,
     offsetof(struct crossvm_spsc_tx_shm, taken), 1, CROSSVM_RULE_SPSC_INDEX, OPENING,
     &exchange_tx.queue.fault, open_exchange_tx, exchange_tx_take, exchange_tx_answered},
    {"exchange's producer, the client's head", B, "exchange", CROSSVM_KIND_EXCHANGE_RX, 0, 1,
     CROSSVM_RULE_SPSC_INDEX, OPENING | CALL, &exchange_tx.queue.fault, open_exchange_tx,
     exchange_tx_answered, exchange_tx_take},
    {"exchange's client, the producer's tail", A, "exchange", CROSSVM_KIND_EXCHANGE_TX, 0, N + 1,
     CROSSVM_RULE_SPSC_INDEX, OPENING | CALL, &exchange_rx.queue.fault, open_exchange_rx,
     exchange_rx_get, exchange_rx_answer},
#if CROSSVM_HAS_CAS
    {"ring's writer, the consumer's head", B, "ring", CROSSVM_KIND_MPSC_RX, 0, 1,
     CROSSVM_RULE_MPSC_INDEX, CALL, &ring_tx.fault, open_ring_tx, ring_push, ring_commit},
    {"ring's consumer, a slot", A, "ring", CROSSVM_KIND_MPSC_TX, 128, 0xfffff0ffu,
     CROSSVM_RULE_MPSC_SLOT, CALL, &ring_rx.fault, open_ring_rx, ring_pop, ring_fill},
#endif
    {"pool's owner, own table", C, "pool", CROSSVM_KIND_POOL_LENT, 128 + 4, 2,
     CROSSVM_RULE_POOL_LENT, OPENING, &pool_owner.fault, open_pool_owner, pool_recall,
     pool_collect},
    {"pool's reader, a block's length", A, "pool", CROSSVM_KIND_POOL, 128 + 4, LEN + 1,
     CROSSVM_RULE_POOL_LEN, CALL, &pool_reader.fault, open_pool_reader, pool_find, pool_copy},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void check_record(size_t i, uint64_t off)
{
    CHECK_EQ(rows[i].fault->off, off);
    CHECK_EQ(rows[i].fault->value, rows[i].bad);
    CHECK_EQ(rows[i].fault->rule, rows[i].rule);
    CHECK(names(rows[i].fault, rows[i].first_id));
}

/* The call answers CORRUPT, and the record is what it was. */
static void check_sticks(size_t i, int (*call)(void), uint64_t off)
{
    CHECK_EQ(call(), CROSSVM_CORRUPT);
    check_record(i, off);
}

/* Whatever found it first: an open handle's call, or opening. */
static void check_row(size_t i, bool when_opened)
{
    make();
    struct crossvm_le32 *word = word_of(rows[i].region, rows[i].name, rows[i].kind, rows[i].off);
    uint64_t off =
        (uint64_t)((unsigned char *)(void *)word - (unsigned char *)rows[i].region->writable.base);
    uint32_t good = crossvm_load_relaxed(word);
    CHECK_EQ(rows[i].fault->rule, CROSSVM_RULE_NONE);
    crossvm_store_relaxed(word, rows[i].bad);
    CHECK_EQ(when_opened ? rows[i].open() : rows[i].call(), CROSSVM_CORRUPT);
    check_record(i, off);
    check_sticks(i, rows[i].other, off);
    crossvm_store_relaxed(word, good);
    check_sticks(i, rows[i].call, off);
    check_sticks(i, rows[i].other, off);

    CHECK_EQ(rows[i].open(), CROSSVM_OK);
    CHECK_EQ(rows[i].fault->rule, CROSSVM_RULE_NONE);
    CHECK(rows[i].other() != CROSSVM_CORRUPT);
    CHECK(rows[i].call() != CROSSVM_CORRUPT);
    drop();
}

/* Who does not find it, answers something else. */
static void check_missed(size_t i, bool when_opened)
{
    make();
    crossvm_store_relaxed(word_of(rows[i].region, rows[i].name, rows[i].kind, rows[i].off),
                          rows[i].bad);
    CHECK((when_opened ? rows[i].open() : rows[i].call()) != CROSSVM_CORRUPT);
    CHECK_EQ(rows[i].fault->rule, CROSSVM_RULE_NONE);
    drop();
}

static void each_fault_is_recorded_and_stays_until_the_handle_is_opened_anew(void)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        printf("  %s\n", rows[i].what);
        if ((rows[i].found_by & OPENING) != 0) {
            check_row(i, true);
        } else {
            check_missed(i, true);
        }
        if ((rows[i].found_by & CALL) != 0) {
            check_row(i, false);
        } else {
            check_missed(i, false);
        }
    }
}

/* ---- regions ----------------------------------------------------------------------------------- */

/* A region is judged anew by each call, and its record is the last fault's. */
static void a_region_names_itself_and_is_judged_anew(void)
{
    struct crossvm_chunk chunk;
    uint32_t total;
    make();
    struct crossvm_region region = b.reader;
    CHECK(names(&region.fault, 0xb0));
    CHECK_EQ(region.fault.rule, CROSSVM_RULE_NONE);
    /* len of the directory's slot 1, which holds version 1. */
    const uint64_t off = CROSSVM_DIR_OFF + 64 + 4 * CROSSVM_ENTRY_LEN + 8;
    struct crossvm_le32 *len =
        (struct crossvm_le32 *)(void *)((unsigned char *)b.writable.base + off);
    uint32_t good = crossvm_load_relaxed(len);
    crossvm_store_relaxed(len, good + 1);
    CHECK_EQ(crossvm_region_find(&region, "queue", CROSSVM_KIND_SPSC_RX, 0, &chunk),
             CROSSVM_CORRUPT);
    CHECK_EQ(region.fault.off, off);
    CHECK_EQ(region.fault.value, good + 1);
    CHECK_EQ(region.fault.rule, CROSSVM_RULE_DIRECTORY_COUNT);
    CHECK(names(&region.fault, 0xb0));
    CHECK_EQ(crossvm_region_list(&region, NULL, 0, &total), CROSSVM_CORRUPT);
    crossvm_store_relaxed(len, good);
    CHECK_EQ(crossvm_region_list(&region, NULL, 0, &total), CROSSVM_OK);
    CHECK_EQ(total, 4);
    drop();
}

/* The id of a header that was not believed is not told: it may be anything. */
static void a_header_that_is_not_believed_names_no_region(void)
{
    struct crossvm_region region;
    make();
    struct crossvm_le32 *capacity =
        (struct crossvm_le32 *)(void *)((unsigned char *)b.writable.base + 44);
    crossvm_store_relaxed(capacity, 7);
    CHECK_EQ(crossvm_region_attach(&region, &b.read_only, PARTY_A), CROSSVM_CORRUPT);
    CHECK_EQ(region.fault.rule, CROSSVM_RULE_HEADER_CHECKSUM);
    CHECK(names(&region.fault, 0));
    crossvm_store_relaxed(capacity, 4);
    CHECK_EQ(crossvm_region_attach(&region, &b.read_only, PARTY_A), CROSSVM_OK);
    CHECK(names(&region.fault, 0xb0));
    drop();
}

/* An owner that adopts, too: whatever its plan says of the id. */
static void an_owner_that_adopts_names_its_region(void)
{
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[4];
    make();
    CHECK(names(&b.owner.region.fault, 0xb0));
    struct crossvm_region_plan plan = TEST_PLAN(decls_b, 4, 0, 128, 0, PARTY_B);
    struct crossvm_le32 *counter = crossvm_i_counter(&b.owner.region);
    uint32_t good = crossvm_load_relaxed(counter);
    crossvm_store_relaxed(counter, 1);
    CHECK_EQ(crossvm_region_owner_adopt(&owner, &b.writable, &plan, table, 4), CROSSVM_CORRUPT);
    CHECK_EQ(owner.region.fault.rule, CROSSVM_RULE_OWNER_COUNTER);
    CHECK(names(&owner.region.fault, 0xb0));
    crossvm_store_relaxed(counter, good);
    CHECK_EQ(crossvm_region_owner_adopt(&owner, &b.writable, &plan, table, 4), CROSSVM_OK);
    drop();
}

int main(void)
{
    CASE(each_fault_is_recorded_and_stays_until_the_handle_is_opened_anew);
    CASE(a_region_names_itself_and_is_judged_anew);
    CASE(a_header_that_is_not_believed_names_no_region);
    CASE(an_owner_that_adopts_names_its_region);
    return check_done();
}
