/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: its owner and a reader, left at each change. Blocks that were lent keep their content
 * until they were given back, what is not lent is free, and the account is right again whoever
 * comes back.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/pool.h"

enum {
    N_BLOCKS = 4,
    N_READERS = 2,
    LEN = 44,
    BOTH = 3 /* readers 0 and 1 */
};

static struct {
    struct test_pool pool;
    struct test_pool_wake wake;
    struct crossvm_wake_publisher ring; /* reader 0 rings the owner by it */
    struct crossvm_pool_id ids[N_BLOCKS];
    uint32_t lent[N_BLOCKS]; /* to whom, as far as the test knows */
    uint32_t had[N_BLOCKS];  /* who had it before anything was given back */
    uint64_t values[N_BLOCKS];
    uint32_t n_lent;  /* blocks, when the operation begins */
    uint32_t block;   /* that the operation is about */
    uint32_t readers; /* and which readers */
    bool maybe_back;  /* reader 0 may have given back what it had, without having said so */
} world;

static void drop(void)
{
    test_pool_drop(&world.pool);
    if (world.wake.region.writable.base != NULL) {
        test_region_drop(&world.wake.region);
    }
}

/* ---- what everybody does --------------------------------------------------------------------- */

static void lend(uint32_t readers)
{
    struct crossvm_pool_id id;
    static uint64_t value = 1;
    value++;
    uint32_t block = test_pool_lend(&world.pool, value, LEN, readers, &id);
    world.ids[block] = id;
    world.lent[block] = readers;
    world.values[block] = value;
}

static uint32_t count_lent(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        n += world.lent[i] != 0;
    }
    return n;
}

/* Each reader finds what it has, whole. */
static void all_is_there(void)
{
    struct crossvm_pool_view view;
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        for (uint32_t r = 0; r < N_READERS; r++) {
            if ((world.lent[i] >> r & 1) != 0) {
                test_pool_expect(&world.pool, r, &world.ids[i], world.values[i], LEN, &view);
            }
        }
    }
}

/* A reader gives back what it has. What reader 0 may have given back already is whole, or gone. */
static void give_all_back(uint32_t r)
{
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        struct crossvm_pool_view view;
        if ((world.lent[i] >> r & 1) == 0) {
            continue;
        }
        int status = test_pool_find(&world.pool, r, &world.ids[i], &view);
        CHECK(status == CROSSVM_OK || (status == CROSSVM_NOT_FOUND && r == 0 && world.maybe_back));
        if (status == CROSSVM_OK) {
            test_pool_use(&world.pool, r, &world.ids[i], world.values[i], LEN);
        }
        world.lent[i] &= ~(1u << r);
    }
}

/* Everything comes back; then rounds in which every block goes to everyone. */
static void goes_on(void)
{
    give_all_back(0);
    give_all_back(1);
    CHECK(crossvm_pool_owner_collect(&world.pool.owner) >= 0);
    test_pool_account(&world.pool, N_BLOCKS, 0);
    for (unsigned round = 0; round < 3 && check_n_failed == 0; round++) {
        uint32_t block = 0;
        for (uint32_t i = 0; i < N_BLOCKS; i++) {
            lend(BOTH);
        }
        CHECK_EQ(crossvm_pool_owner_allocate(&world.pool.owner, &block), CROSSVM_FULL);
        world.maybe_back = false;
        give_all_back(0);
        CHECK_EQ(crossvm_pool_owner_collect(&world.pool.owner), 0);
        give_all_back(1);
        CHECK_EQ(crossvm_pool_owner_collect(&world.pool.owner), N_BLOCKS);
        test_pool_account(&world.pool, N_BLOCKS, 0);
    }
}

static void owner_starts_again(void)
{
    test_pool_open_owner(&world.pool);
    test_pool_link(&world.pool);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

static void watch(void)
{
    crash_memory(&world.pool.region.writable);
    for (uint32_t r = 0; r < N_READERS; r++) {
        crash_memory(&world.pool.side[r].own.writable);
    }
}

static void closed(enum crash_state state)
{
    (void)state;
    test_pool_make_closed(&world.pool, N_BLOCKS, LEN, N_READERS);
    watch();
}

/* Empty: nothing is lent. Full: everything is. Wrapping: the generations and the counts begin anew
 * with the next content, or the next block that comes back; two blocks are lent. */
static void up(enum crash_state state)
{
    closed(state);
    for (uint32_t i = 0; state == CRASH_WRAPPING && i < N_BLOCKS; i++) {
        crossvm_store_relaxed(&test_pool_header(&world.pool, i)->generation,
                              i < 2 ? 0xfffffffdu : 0xffffffffu);
    }
    for (uint32_t r = 0; r < N_READERS; r++) {
        uint32_t count = state == CRASH_WRAPPING ? 0xfffffffeu : 0;
        crossvm_store_relaxed(&test_pool_returns(&world.pool, r)->count, count);
        test_pool_open_reader(&world.pool, r);
    }
    owner_starts_again();
    CHECK_EQ(crossvm_pool_owner_collect(&world.pool.owner), 0);
    if (state != CRASH_EMPTY) {
        lend(BOTH);
        lend(1);
    }
    if (state == CRASH_FULL) {
        lend(2);
        lend(BOTH);
    }
    world.n_lent = count_lent();
    memcpy(world.had, world.lent, sizeof(world.had));
}

/* The id that the next lend makes. */
static void foresee(uint32_t readers, uint64_t value)
{
    struct crossvm_pool_owner *owner = &world.pool.owner;
    uint32_t block = owner->next_free;
    world.block = block;
    world.readers = readers;
    if (block >= N_BLOCKS) {
        return;
    }
    uint32_t generation = owner->blocks[block].generation;
    owner->blocks[block].generation = crossvm_i_pool_next(owner, block, readers);
    crossvm_i_pool_id(owner, block, &world.ids[block]);
    owner->blocks[block].generation = generation;
    world.values[block] = value;
}

static void before_lending(enum crash_state state)
{
    up(state);
    foresee(BOTH, 1000);
}

/* Both readers have given back block 0, and reader 0 has given back all. */
static void before_collecting(enum crash_state state)
{
    up(state);
    give_all_back(0);
    world.block = N_BLOCKS;
    if (state != CRASH_EMPTY) {
        test_pool_use(&world.pool, 1, &world.ids[0], world.values[0], LEN);
        world.lent[0] = 0;
    }
}

static void before_recalling_all(enum crash_state state)
{
    up(state);
    world.block = 0;
    world.readers = BOTH;
}

static void before_recalling_one(enum crash_state state)
{
    up(state);
    world.block = 0;
    world.readers = 1;
}

static void before_giving_back(enum crash_state state)
{
    up(state);
    world.maybe_back = true;
}

/* One block is lent to reader 0, and the owner has collected. */
static void before_arming(enum crash_state state)
{
    up(state);
    test_pool_wake_make(&world.wake);
    crash_memory(&world.wake.region.writable);
    REQUIRE(crossvm_wake_publisher_open(&world.ring, &world.wake.region.reader, &world.wake.chunk,
                                        crossvm_pool_reader_count(&world.pool.side[0].reader)) ==
            CROSSVM_OK);
    uint64_t again_ns;
    CHECK_EQ(crossvm_wake_never(&world.wake.waiter), CROSSVM_OK);
    CHECK_EQ(crossvm_wake_due(&world.ring, crossvm_pool_reader_count(&world.pool.side[0].reader), 0,
                              &again_ns),
             1);
}

static void unbound(enum crash_state state)
{
    closed(state);
    test_pool_open_owner(&world.pool);
    test_pool_open_reader(&world.pool, 1);
    REQUIRE(test_pool_try_link(&world.pool, 1) == CROSSVM_OK);
}

/* ---- who survives an owner that lends -------------------------------------------------------- */

/* Whether the owner, which is back, has lent the block; the readers then find its id. */
static int is_lent(void)
{
    struct crossvm_pool_id id;
    if (world.block >= N_BLOCKS) {
        return 0;
    }
    uint32_t lent = crossvm_pool_owner_lent(&world.pool.owner, world.block, &id);
    CHECK(lent == 0 || lent == world.readers);
    if (lent != 0) {
        CHECK(memcmp(&id, &world.ids[world.block], sizeof(id)) == 0);
    }
    world.lent[world.block] = lent;
    return lent != 0;
}

static int owner_comes_back(void)
{
    owner_starts_again();
    int outcome = is_lent();
    test_pool_account(&world.pool, N_BLOCKS - count_lent(), count_lent());
    all_is_there();
    goes_on();
    return outcome;
}

/* A reader finds the whole content by the id that it will get, or nothing. */
static int readers_read_on(void)
{
    struct crossvm_pool_view view;
    all_is_there();
    int outcome = 0;
    if (world.block < N_BLOCKS) {
        int status = test_pool_find(&world.pool, 1, &world.ids[world.block], &view);
        CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
        outcome = status == CROSSVM_OK;
    }
    if (outcome != 0) {
        CHECK_EQ(view.len, LEN);
        CHECK(test_payload_ok(view.payload, LEN, world.values[world.block]));
    }
    CHECK_EQ(owner_comes_back(), outcome);
    return outcome;
}

static int nobody_is_left(void)
{
    for (uint32_t r = 0; r < N_READERS; r++) {
        test_pool_open_reader(&world.pool, r);
    }
    return owner_comes_back();
}

#define SURVIVE_OWNER                                                                         \
    {                                                                                         \
        {"the readers read on", readers_read_on}, {"the owner comes back", owner_comes_back}, \
            {"everybody comes back", nobody_is_left},                                         \
    }

/* ---- who survives an owner that takes back --------------------------------------------------- */

/* Blocks that are free when the owner is back; the rest of what was given back comes next. */
static int collector_comes_back(void)
{
    owner_starts_again();
    uint32_t n_free = crossvm_pool_owner_n_free(&world.pool.owner);
    uint32_t outcome = n_free - (N_BLOCKS - world.n_lent);
    CHECK_EQ(crossvm_pool_owner_collect(&world.pool.owner), world.n_lent - count_lent() - outcome);
    test_pool_account(&world.pool, N_BLOCKS - count_lent(), count_lent());
    all_is_there();
    goes_on();
    return (int)outcome;
}

static int readers_of_collector_read_on(void)
{
    struct crossvm_pool_view view;
    all_is_there();
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        if ((world.had[i] & 1) != 0) {
            CHECK_EQ(test_pool_find(&world.pool, 0, &world.ids[i], &view), CROSSVM_NOT_FOUND);
        }
    }
    return collector_comes_back();
}

/* Whom a recalled block is lent to when the owner is back: as before, or as it was to be. */
static int recaller_comes_back(void)
{
    struct crossvm_pool_id id;
    uint32_t before = world.lent[world.block];
    owner_starts_again();
    uint32_t lent = crossvm_pool_owner_lent(&world.pool.owner, world.block, &id);
    CHECK(lent == before || lent == (before & ~world.readers));
    world.lent[world.block] = lent;
    test_pool_account(&world.pool, N_BLOCKS - count_lent(), count_lent());
    all_is_there();
    goes_on();
    return lent != before;
}

/* A reader finds the content whole, or not at all, and what it found it may go on reading until the
 * check says that it was taken. */
static int readers_of_recaller_read_on(void)
{
    struct crossvm_pool_view view;
    int status = test_pool_find(&world.pool, 0, &world.ids[world.block], &view);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
    if (status == CROSSVM_OK) {
        CHECK(test_payload_ok(view.payload, LEN, world.values[world.block]));
    }
    return recaller_comes_back();
}

/* Loans of reader 1 that are ended when the owner is back; it forgets the rest. */
static int forgetter_comes_back(void)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        before += world.lent[i] >> 1 & 1;
        world.lent[i] &= 1;
    }
    owner_starts_again();
    uint32_t outcome = before - crossvm_pool_owner_n_lent(&world.pool.owner, 1);
    CHECK(crossvm_pool_owner_forget(&world.pool.owner, 1) >= 0);
    test_pool_account(&world.pool, N_BLOCKS - count_lent(), count_lent());
    all_is_there();
    test_pool_open_reader(&world.pool, 1);
    test_pool_link(&world.pool);
    goes_on();
    return (int)outcome;
}

/* ---- who survives a reader ------------------------------------------------------------------- */

/* The owner takes what it is told was given back: how many loans of reader 0 have ended. The dead
 * one's successor finds the others, or has given them back. */
static int owner_collects(void)
{
    uint32_t before = crossvm_pool_owner_n_lent(&world.pool.owner, 0);
    CHECK(crossvm_pool_owner_collect(&world.pool.owner) >= 0);
    uint32_t after = crossvm_pool_owner_n_lent(&world.pool.owner, 0);
    CHECK(before >= after);
    test_pool_open_reader(&world.pool, 0);
    goes_on();
    return (int)(before - after);
}

static int reader_comes_back(void)
{
    test_pool_open_reader(&world.pool, 0);
    CHECK(crossvm_pool_owner_collect(&world.pool.owner) >= 0);
    goes_on();
    return CRASH_UNSEEN;
}

/* One that does not know what its predecessor had gives back everything. */
static int reader_gives_up_all(void)
{
    test_pool_open_reader(&world.pool, 0);
    CHECK_EQ(crossvm_pool_reader_give_back_all(&world.pool.side[0].reader), CROSSVM_OK);
    CHECK(crossvm_pool_owner_collect(&world.pool.owner) >= 0);
    CHECK_EQ(crossvm_pool_owner_n_lent(&world.pool.owner, 0), 0);
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        world.lent[i] &= ~1u;
    }
    test_pool_account(&world.pool, N_BLOCKS - count_lent(), count_lent());
    all_is_there();
    goes_on();
    return CRASH_UNSEEN;
}

static int owner_forgets(void)
{
    CHECK(crossvm_pool_owner_forget(&world.pool.owner, 0) >= 0);
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        world.lent[i] &= ~1u;
    }
    test_pool_account(&world.pool, N_BLOCKS - count_lent(), count_lent());
    all_is_there();
    test_pool_open_reader(&world.pool, 0);
    test_pool_link(&world.pool);
    goes_on();
    return CRASH_UNSEEN;
}

static int both_come_back(void)
{
    owner_starts_again();
    test_pool_open_reader(&world.pool, 0);
    CHECK(crossvm_pool_owner_collect(&world.pool.owner) >= 0);
    goes_on();
    return CRASH_UNSEEN;
}

#define SURVIVE_READER                                                                        \
    {                                                                                         \
        {"the owner collects", owner_collects}, {"the reader comes back", reader_comes_back}, \
            {"the reader gives up all", reader_gives_up_all},                                 \
            {"the owner forgets it", owner_forgets}, {"both come back", both_come_back},      \
    }

/* The owner finds a part that is bound, or none. */
static int owner_links(void)
{
    int status = test_pool_try_link(&world.pool, 0);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    if (status == CROSSVM_OK) {
        lend(1);
    }
    test_pool_open_reader(&world.pool, 0);
    CHECK_EQ(test_pool_try_link(&world.pool, 0), CROSSVM_OK);
    goes_on();
    return status == CROSSVM_OK;
}

static int binding_reader_comes_back(void)
{
    test_pool_open_reader(&world.pool, 0);
    CHECK_EQ(test_pool_try_link(&world.pool, 0), CROSSVM_OK);
    goes_on();
    return CRASH_UNSEEN;
}

/* The table says for which pool it is, with the whole id of its region; or it does not say it. */
static int table_is_bound(void)
{
    const struct crossvm_pool_words_shm *table =
        (const struct crossvm_pool_words_shm *)(const void *)test_pool_lent_word(&world.pool, 0) -
        1;
    if (crossvm_load_relaxed(&table->pool_epoch) == 0) {
        return 0;
    }
    CHECK_EQ(crossvm_load_relaxed(&table->pool_epoch), world.pool.chunk.generation);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(crossvm_load_relaxed(&table->pool_region[i]),
                 world.pool.region.reader.region_id[i]);
    }
    return 1;
}

/* ---- what dies ------------------------------------------------------------------------------- */

static int lends(void)
{
    unsigned char payload[LEN];
    struct crossvm_pool_id id;
    uint32_t block = 0;
    int status = crossvm_pool_owner_allocate(&world.pool.owner, &block);
    if (status != CROSSVM_OK) {
        return status == CROSSVM_FULL && world.n_lent == N_BLOCKS ? 0 : -1;
    }
    test_payload_fill(payload, LEN, world.values[block]);
    if (crossvm_pool_owner_put(&world.pool.owner, block, 0, payload, LEN) != CROSSVM_OK ||
        crossvm_pool_owner_lend(&world.pool.owner, block, LEN, world.readers, &id) != CROSSVM_OK) {
        return -1;
    }
    return memcmp(&id, &world.ids[block], sizeof(id)) == 0 ? 1 : -1;
}

static int opens(void)
{
    owner_starts_again();
    return 0;
}

static int opens_the_first_time(void)
{
    test_pool_open_owner(&world.pool);
    return 1;
}

static int first_owner_comes_back(void)
{
    for (uint32_t r = 0; r < N_READERS; r++) {
        test_pool_open_reader(&world.pool, r);
    }
    owner_starts_again();
    test_pool_account(&world.pool, N_BLOCKS, 0);
    goes_on();
    return CRASH_UNSEEN;
}

/* With nothing lent the id is not looked for. */
static void lent_stays(enum crash_state state)
{
    up(state);
    world.block = N_BLOCKS;
}

static int collects(void)
{
    return crossvm_pool_owner_collect(&world.pool.owner);
}

static int recalls(void)
{
    int status = crossvm_pool_owner_recall(&world.pool.owner, world.block, world.readers);
    return status == (world.readers == BOTH) ? 1 : -1;
}

static int forgets(void)
{
    uint32_t before = crossvm_pool_owner_n_lent(&world.pool.owner, 1);
    return crossvm_pool_owner_forget(&world.pool.owner, 1) >= 0 ? (int)before : -1;
}

static int gives_back(void)
{
    test_pool_use(&world.pool, 0, &world.ids[0], world.values[0], LEN);
    return 1;
}

static int gives_back_all(void)
{
    uint32_t before = crossvm_pool_owner_n_lent(&world.pool.owner, 0);
    return crossvm_pool_reader_give_back_all(&world.pool.side[0].reader) == CROSSVM_OK ? (int)before
                                                                                       : -1;
}

static int binds(void)
{
    test_pool_open_reader(&world.pool, 0);
    return 1;
}

static int binds_again(void)
{
    test_pool_open_reader(&world.pool, 0);
    return 0;
}

/* ---- waking ---------------------------------------------------------------------------------- */

static int arms(void)
{
    return crossvm_pool_owner_arm(&world.pool.owner, 0, &world.wake.waiter, 2, 0) == 0 ? 1 : -1;
}

static int reader_kicks(void)
{
    uint64_t again_ns;
    return crossvm_wake_due(&world.ring, crossvm_pool_reader_count(&world.pool.side[0].reader), 0,
                            &again_ns);
}

/* Reader 0 rings for the second block that it gives back, iff the owner has armed. */
static int reader_rings(void)
{
    test_pool_use(&world.pool, 0, &world.ids[0], world.values[0], LEN);
    CHECK_EQ(reader_kicks(), 0);
    test_pool_use(&world.pool, 0, &world.ids[1], world.values[1], LEN);
    int rings = reader_kicks();
    world.lent[0] &= ~1u;
    world.lent[1] &= ~1u;
    CHECK(crossvm_pool_owner_collect(&world.pool.owner) >= 1);
    all_is_there();
    goes_on();
    return rings;
}

static int armed_owner_comes_back(void)
{
    owner_starts_again();
    REQUIRE(crossvm_wake_waiter_open(&world.wake.waiter, &world.wake.region.owner.region,
                                     &world.wake.chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_wake_never(&world.wake.waiter), CROSSVM_OK);
    CHECK_EQ(crossvm_pool_owner_collect(&world.pool.owner), 0);
    CHECK_EQ(reader_rings(), 0);
    return CRASH_UNSEEN;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct crash_operation operations[] = {
    {"crossvm_pool_owner_open",
     CRASH_EMPTY,
     closed,
     opens_the_first_time,
     {{"the owner comes back", first_owner_comes_back}, {"the table is looked at", table_is_bound}},
     false},
    {"crossvm_pool_owner_open crossvm_pool_owner_link", CRASH_EACH, lent_stays, opens,
     SURVIVE_OWNER, false},
    {"crossvm_pool_owner_allocate crossvm_pool_owner_put crossvm_pool_owner_lend", CRASH_EACH,
     before_lending, lends, SURVIVE_OWNER, false},
    {"crossvm_pool_owner_collect",
     CRASH_EACH,
     before_collecting,
     collects,
     {{"the owner comes back", collector_comes_back},
      {"the readers read on", readers_of_collector_read_on}},
     true},
    {"crossvm_pool_owner_recall",
     CRASH_FULL | CRASH_WRAPPING,
     before_recalling_all,
     recalls,
     {{"the owner comes back", recaller_comes_back},
      {"the readers read on", readers_of_recaller_read_on}},
     false},
    {"crossvm_pool_owner_recall",
     CRASH_FULL | CRASH_WRAPPING,
     before_recalling_one,
     recalls,
     {{"the owner comes back", recaller_comes_back}},
     false},
    {"crossvm_pool_owner_forget",
     CRASH_EACH,
     up,
     forgets,
     {{"the owner comes back", forgetter_comes_back}},
     true},
    {"crossvm_pool_owner_arm",
     CRASH_FULL | CRASH_WRAPPING,
     before_arming,
     arms,
     {{"the reader rings", reader_rings}, {"the owner comes back", armed_owner_comes_back}},
     false},
    {"crossvm_pool_reader_bind",
     CRASH_EMPTY,
     unbound,
     binds,
     {{"the owner links", owner_links}, {"the reader comes back", binding_reader_comes_back}},
     false},
    {"crossvm_pool_reader_bind", CRASH_EACH, up, binds_again, SURVIVE_READER, false},
    {"crossvm_pool_reader_give_back", CRASH_FULL | CRASH_WRAPPING, before_giving_back, gives_back,
     SURVIVE_READER, false},
    {"crossvm_pool_reader_give_back_all", CRASH_EACH, before_giving_back, gives_back_all,
     SURVIVE_READER, false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
