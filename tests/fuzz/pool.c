/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/pool.c - a reader whose pool and ids change at any time, an owner whose readers write
 * anything into what they gave back, and each of them when it comes back and finds its own words
 * changed.
 */
#include "fuzz.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_pool_reader_open",
    "crossvm_pool_reader_bind",
    "crossvm_pool_reader_find",
    "crossvm_pool_reader_check",
    "crossvm_pool_reader_copy",
    "crossvm_pool_reader_give_back",
    "crossvm_pool_reader_give_back_all",
    "crossvm_pool_reader_count",
    "crossvm_pool_owner_open",
    "crossvm_pool_owner_link",
    "crossvm_pool_owner_allocate",
    "crossvm_pool_owner_raw",
    "crossvm_pool_owner_put",
    "crossvm_pool_owner_lend",
    "crossvm_pool_owner_collect",
    "crossvm_pool_owner_recall",
    "crossvm_pool_owner_forget",
    "crossvm_pool_owner_lent",
    "crossvm_pool_owner_n_free",
    "crossvm_pool_owner_n_lent",
    "crossvm_pool_owner_arm",
    "crossvm_pool_owner_reader",
};

enum {
    N = 4,
    LEN = 48,
    BLOCK = 64 + 64,
    FIRST = 128, /* the first block, and the first word of a table */
    READERS = 2,
    IDS = 4,
    /* Shared accesses of one call, at most. */
    STEPS_CHECK = 4,
    STEPS_FIND = 18, /* an id, a block's header, the own word */
    STEPS_COPY = STEPS_FIND + 1 + STEPS_CHECK,
    STEPS_ALL = 2 * N + 6,
    STEPS_READY = 4,
    STEPS_LEND = 12 + READERS * (READERS + 1),
    STEPS_COLLECT = STEPS_READY + READERS * (3 + 5 * N),
    STEPS_LINK = 12,
    STEPS_OPEN = 20 + 5 * N,
    STEPS_ARM = 12
};

enum role {
    READER,
    OWNER,
    READER_BACK,
    OWNER_BACK,
    ROLES
};

static struct fuzz_region a;          /* the owner's */
static struct fuzz_region b[READERS]; /* the readers' */
static struct crossvm_chunk pool_chunk;
static struct crossvm_chunk lent_chunk;
static struct crossvm_chunk wake_chunk;
static struct fuzz_part pool;
static struct fuzz_part lent;
static struct fuzz_part wake;
static struct fuzz_part returns[READERS];
static struct fuzz_part ids; /* as they come in a queue's elements, in place */
static struct fuzz_image image;

static struct crossvm_pool_reader reader;
static struct crossvm_pool_owner owner;
static struct crossvm_pool_block *blocks; /* N, exactly */
static struct crossvm_pool_link *links;   /* READERS, exactly */
static struct crossvm_wake_waiter waiter;
static struct crossvm_pool_view view;
static struct fuzz_sticky sticky;
static unsigned char *payload;  /* LEN bytes, exactly */
static uint32_t generations[2]; /* of blocks that are lent */
static uint32_t block;          /* one that was allocated */
static bool over;               /* a handle that was not opened is not used */

/* ---- a state to begin with ------------------------------------------------------------------- */

static struct crossvm_pool_memory memory(void)
{
    const struct crossvm_pool_memory all = {blocks, N, links, READERS};
    return all;
}

static void make_regions(void)
{
    static const struct crossvm_chunk_decl decls[] = {
        {"pool", CROSSVM_KIND_POOL, N, LEN, 1, CROSSVM_ANYONE, 0, 0},
        {"pool", CROSSVM_KIND_POOL_LENT, N, 0, 1, 1, 0, 0},
        {"wake", CROSSVM_KIND_WAKE, 0, 0, 1, CROSSVM_ANYONE, 0, 0},
    };
    const struct crossvm_region_plan plan = {decls, 3, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    fuzz_region_make(&a, &plan, 2);
    pool_chunk = a.table[0];
    lent_chunk = a.table[1];
    wake_chunk = a.table[2];
    pool = fuzz_part_of(&a, &pool_chunk);
    lent = fuzz_part_of(&a, &lent_chunk);
    wake = fuzz_part_of(&a, &wake_chunk);
    for (unsigned r = 0; r < READERS; r++) {
        const struct crossvm_chunk_decl decl = {
            "pool", CROSSVM_KIND_POOL_RETURNS, N, 0, 2 + r, 1, 0, 0};
        const struct crossvm_region_plan other = {&decl, 1, 0, 128, 0, 2 + r, {9}, 0, {0, 0, 0}};
        fuzz_region_make(&b[r], &other, 1);
        returns[r] = fuzz_part_of(&b[r], &b[r].table[0]);
    }
    ids.len = IDS * sizeof(struct crossvm_pool_id);
    ids.writable = fuzz_map(ids.len, &ids.read_only);
}

static void open_reader(unsigned r)
{
    FUZZ_CHECK(crossvm_pool_reader_open(&reader, &a.reader, &pool_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_pool_reader_bind(&reader, &b[r].owner.region, &b[r].table[0]) == CROSSVM_OK);
}

/* One block is free, one being filled, one lent to reader 0, one to both. */
static void make_state(void)
{
    const struct crossvm_pool_memory all = memory();
    struct crossvm_pool_id *id = (struct crossvm_pool_id *)(void *)ids.writable;
    FUZZ_CHECK(crossvm_pool_owner_open(&owner, &a.owner.region, &pool_chunk, &a.owner.region,
                                       &lent_chunk, &all) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_wake_waiter_open(&waiter, &a.owner.region, &wake_chunk) == CROSSVM_OK);
    for (unsigned r = READERS; r-- != 0;) {
        open_reader(r);
        FUZZ_CHECK(crossvm_pool_owner_link(&owner, r, &b[r].reader, &b[r].table[0]) == CROSSVM_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        FUZZ_CHECK(crossvm_pool_owner_allocate(&owner, &block) == CROSSVM_OK);
        if (i < 2) {
            FUZZ_CHECK(crossvm_pool_owner_lend(&owner, block, LEN - 4 * i, i == 0 ? 1 : 3,
                                               &id[i]) == CROSSVM_OK);
            generations[i] = owner.blocks[block].generation;
        }
    }
    memcpy(&id[2], &id[0], sizeof(id[0]));
    memcpy(&id[3], &id[1], sizeof(id[1]));
    fuzz_image_add(&image, pool.writable, pool.len + lent.len + wake.len);
    for (unsigned r = 0; r < READERS; r++) {
        fuzz_image_add(&image, returns[r].writable, returns[r].len);
    }
    fuzz_image_add(&image, ids.writable, ids.len);
    fuzz_image_add(&image, &reader, sizeof(reader));
    fuzz_image_add(&image, &owner, sizeof(owner));
    fuzz_image_add(&image, blocks, N * sizeof(*blocks));
    fuzz_image_add(&image, links, READERS * sizeof(*links));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    blocks = (struct crossvm_pool_block *)fuzz_private(N * sizeof(*blocks));
    links = (struct crossvm_pool_link *)fuzz_private(READERS * sizeof(*links));
    payload = (unsigned char *)fuzz_private(LEN);
    make_regions();
    make_state();
    fuzz_region_close(&a);
    for (unsigned r = 0; r < READERS; r++) {
        fuzz_region_close(&b[r]);
    }
    return 0;
}

/* ---- reader ---------------------------------------------------------------------------------- */

#define FINDS (FUZZ_S(INVALID) | FUZZ_S(NOT_FOUND) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void reader_answered(int status)
{
    fuzz_sticky(&sticky, status, &reader.fault, &pool);
}

static void check_view(int status)
{
    if (status == CROSSVM_OK || status == CROSSVM_NO_SPACE) {
        FUZZ_CHECK(view.len <= LEN && view.number < N);
        fuzz_use_shared(view.payload, view.len);
    }
}

/* In place, where it can change while it is looked at, or a copy. */
static const struct crossvm_pool_id *an_id(uint8_t arg)
{
    static struct crossvm_pool_id copy;
    size_t off = arg % IDS * sizeof(copy);
    if (arg % 8 < 4) {
        return (const struct crossvm_pool_id *)(const void *)(ids.read_only + off);
    }
    memcpy(&copy, ids.read_only + off, sizeof(copy));
    return &copy;
}

static void reader_restart(void)
{
    uint64_t answers = FUZZ_S(STALE);
    int status = FUZZ_CALL(crossvm_pool_reader_open, (&reader, &a.reader, &pool_chunk), STEPS_LINK,
                           answers, 0);
    over = status != CROSSVM_OK;
    if (over) {
        return;
    }
    memset(&sticky, 0, sizeof(sticky));
    (void)FUZZ_CALL(crossvm_pool_reader_bind, (&reader, &b[0].owner.region, &b[0].table[0]),
                    STEPS_LINK + 8, answers | FUZZ_S(MISMATCH), 0);
}

/* A copied id is private memory: its words are no shared accesses to be judged by their place. */
static void with_private_id(const struct crossvm_pool_id *id)
{
    struct fuzz_part *last = &fuzz.parts[fuzz.n_parts - 1];
    last->writable = (unsigned char *)(uintptr_t)id;
    last->read_only = last->writable;
}

static void reader_call(uint8_t op, uint8_t arg)
{
    const struct crossvm_pool_id *id = an_id(arg);
    size_t len = arg >= 128 ? LEN : LEN / 2;
    int status = 0;
    with_private_id(id);
    switch (op % 8) {
    case 0:
    case 1:
        status = FUZZ_CALL(crossvm_pool_reader_find, (&reader, id, &view), STEPS_FIND, FINDS, 0);
        reader_answered(status);
        check_view(status);
        break;
    case 2:
        status = FUZZ_CALL(crossvm_pool_reader_copy, (&reader, id, payload + LEN - len, len, &view),
                           STEPS_COPY, FINDS | FUZZ_S(NO_SPACE) | FUZZ_S(TORN), 0);
        FUZZ_CHECK(status != CROSSVM_OK || view.len <= len);
        reader_answered(status);
        check_view(status);
        fuzz_use(payload, LEN);
        break;
    case 3:
        (void)FUZZ_CALL(crossvm_pool_reader_check, (&reader, &view), STEPS_CHECK,
                        FUZZ_S(INVALID) | FUZZ_S(TORN) | FUZZ_S(STALE), 0);
        break;
    case 4:
    case 5:
        (void)FUZZ_CALL(crossvm_pool_reader_give_back, (&reader, &view), STEPS_CHECK + 4,
                        FUZZ_S(INVALID) | FUZZ_S(TORN) | FUZZ_S(STALE) | FUZZ_S(NOT_YET), 0);
        break;
    case 6:
        (void)FUZZ_CALL(crossvm_pool_reader_give_back_all, (&reader), STEPS_ALL,
                        FUZZ_S(STALE) | FUZZ_S(NOT_YET), 0);
        fuzz_use_number(FUZZ_PLAIN(crossvm_pool_reader_count, (&reader), 0));
        fuzz_done();
        break;
    default:
        reader_restart();
        break;
    }
}

/* ---- owner ----------------------------------------------------------------------------------- */

#define OWNS (FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void owner_answered(int status)
{
    if (sticky.corrupt || status == CROSSVM_CORRUPT) {
        fuzz_sticky(&sticky, status, &owner.fault, &lent);
    }
}

/* Every block is free, being filled or lent, and the counts say the same. */
static void owner_holds(void)
{
    uint32_t n_free = 0;
    uint32_t n_lent[READERS] = {0, 0};
    if (owner.fault.rule != CROSSVM_RULE_NONE) {
        return;
    }
    for (uint32_t at = owner.next_free; at != CROSSVM_I_POOL_LAST; at = owner.blocks[at].next) {
        FUZZ_CHECK(at < N && n_free < N && owner.blocks[at].lent == 0);
        n_free++;
    }
    FUZZ_CHECK(n_free == FUZZ_PLAIN(crossvm_pool_owner_n_free, (&owner), 0));
    for (uint32_t i = 0; i < N; i++) {
        struct crossvm_pool_id id;
        uint32_t who = FUZZ_PLAIN(crossvm_pool_owner_lent, (&owner, i, &id), 0);
        FUZZ_CHECK(who >> READERS == 0);
        for (uint32_t r = 0; r < READERS; r++) {
            n_lent[r] += who >> r & 1;
        }
    }
    for (uint32_t r = 0; r < READERS; r++) {
        uint32_t count;
        FUZZ_CHECK(n_lent[r] == FUZZ_PLAIN(crossvm_pool_owner_n_lent, (&owner, r), 0));
        (void)FUZZ_CALL(crossvm_pool_owner_reader, (&owner, r, &count), 0,
                        FUZZ_S(NOT_YET) | FUZZ_S(STALE), 0);
        fuzz_use_number(count);
    }
    fuzz_done();
}

static void owner_restart(void)
{
    const struct crossvm_pool_memory all = memory();
    memset(&sticky, 0, sizeof(sticky));
    int status =
        FUZZ_CALL(crossvm_pool_owner_open,
                  (&owner, &a.owner.region, &pool_chunk, &a.owner.region, &lent_chunk, &all),
                  STEPS_OPEN, OWNS | FUZZ_S(MISMATCH), 0);
    over = status == CROSSVM_STALE || status == CROSSVM_MISMATCH;
    if (!over) {
        owner_answered(status);
    }
}

static void owner_fills(uint8_t arg)
{
    struct crossvm_pool_id id;
    uint32_t len = arg % 64u;
    uint32_t at = arg == 255 ? UINT32_MAX : arg == 254 ? N : block;
    owner_answered(FUZZ_CALL(crossvm_pool_owner_put,
                             (&owner, at, arg / 4u, payload, len <= LEN ? len : LEN),
                             STEPS_READY + 1, OWNS | FUZZ_S(INVALID), 0));
    void *raw = FUZZ_PLAIN(crossvm_pool_owner_raw, (&owner, at), 0);
    fuzz_done();
    if (raw != NULL) {
        FUZZ_CHECK(fuzz_writable(raw, LEN));
        memset(raw, arg, LEN);
    }
    int status = FUZZ_CALL(crossvm_pool_owner_lend, (&owner, at, len, arg / 8u % 8u, &id),
                           STEPS_LEND, OWNS | FUZZ_S(INVALID), 0);
    owner_answered(status);
    if (status == CROSSVM_OK) {
        generations[arg % 2] = crossvm_i_word(&id.generation);
    }
}

static void owner_call(uint8_t op, uint8_t arg)
{
    uint32_t r = arg % (READERS + 1u);
    switch (op % 10) {
    case 0:
        owner_answered(FUZZ_CALL(crossvm_pool_owner_allocate, (&owner, &block), STEPS_READY,
                                 OWNS | FUZZ_S(FULL), 0));
        break;
    case 1:
        owner_fills(arg);
        break;
    case 2:
    case 3:
    case 4:
        owner_answered(FUZZ_CALL(crossvm_pool_owner_collect, (&owner), STEPS_COLLECT, OWNS, N));
        break;
    case 5:
        owner_answered(
            FUZZ_CALL(crossvm_pool_owner_recall,
                      (&owner, arg % (N + 1u), arg >= 128 ? CROSSVM_POOL_EVERYONE : arg / 16u),
                      STEPS_READY + 4, OWNS | FUZZ_S(INVALID), 1));
        break;
    case 6:
        owner_answered(FUZZ_CALL(crossvm_pool_owner_forget, (&owner, r), STEPS_READY + 3 * N,
                                 OWNS | FUZZ_S(INVALID), N));
        break;
    case 7:
        if (r < READERS) {
            (void)FUZZ_CALL(crossvm_pool_owner_link, (&owner, r, &b[r].reader, &b[r].table[0]),
                            STEPS_LINK, FUZZ_S(NOT_YET) | FUZZ_S(MISMATCH) | FUZZ_S(STALE), 0);
        }
        break;
    case 8:
        owner_answered(FUZZ_CALL(crossvm_pool_owner_arm, (&owner, r, &waiter, arg / 4u, arg),
                                 STEPS_ARM, OWNS | FUZZ_S(INVALID) | FUZZ_S(NOT_YET), 1));
        break;
    default:
        owner_restart();
        break;
    }
    if (!over) {
        owner_holds();
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void reader_begin(bool back)
{
    static const uint8_t own_words[] = {0, 2, 3, 4, 5, 6, 32, 33, 34, 35};
    const struct fuzz_part *peer = fuzz_part_add(&pool, true);
    for (unsigned i = 0; i < N; i++) {
        fuzz_hot(peer, FIRST + i * BLOCK, 3);
    }
    fuzz_hot(peer, 4, 1);
    fuzz_hot(fuzz_part_add(&ids, true), 0, 14);
    const struct fuzz_part *own = fuzz_part_add(&returns[0], false);
    fuzz_hot(own, 4, 1); /* its region's owner's */
    fuzz_keep(own, 4, 4);
    fuzz_keep(own, 28, 100);
    fuzz_keep(own, FIRST + 4 * N, own->len - FIRST - 4 * N);
    fuzz_around(&generations[0]);
    fuzz_around(&generations[1]);
    fuzz_around(&view.generation);
    if (back) {
        fuzz_scribble(own, own_words, sizeof(own_words), 3);
        reader_restart();
    }
    struct fuzz_part id = ids;
    id.len = sizeof(struct crossvm_pool_id);
    fuzz_part_add(&id, true);
    fuzz.n_words -= (uint32_t)(id.len / 4); /* the last part; the enemy does not get there */
}

static void owner_begin(bool back)
{
    static const uint8_t own_words[] = {2, 3, 4, 5, 6, 32, 33, 34, 35};
    static const uint8_t block_words[] = {32, 33, 34, 64, 65, 66, 96, 97, 98, 128, 129, 130};
    const struct fuzz_part *blocks_part = fuzz_part_add(&pool, false);
    const struct fuzz_part *own = fuzz_part_add(&lent, false);
    const struct fuzz_part *line = fuzz_part_add(&wake, false);
    for (unsigned r = 0; r < READERS; r++) {
        const struct fuzz_part *peer = fuzz_part_add(&returns[r], true);
        fuzz_hot(peer, 0, 7);
        fuzz_hot(peer, FIRST, N);
        fuzz_hot(peer, FIRST, N);
    }
    fuzz_hot(blocks_part, 4, 1); /* these three are their region's owner's */
    fuzz_hot(own, 4, 1);
    fuzz_hot(line, 4, 1);
    fuzz_keep(blocks_part, 0, FIRST);
    for (unsigned i = 0; i < N; i++) {
        fuzz_keep(blocks_part, FIRST + i * BLOCK + 12, 52);
        fuzz_keep(blocks_part, FIRST + i * BLOCK + 64 + LEN, BLOCK - 64 - LEN);
    }
    fuzz_keep(own, 0, 8);
    fuzz_keep(own, 28, 100);
    fuzz_keep(line, 0, 8);
    fuzz_keep(line, 24, 104);
    fuzz_around(&generations[0]);
    fuzz_around(&generations[1]);
    fuzz_around(&links[0].count);
    if (back) {
        fuzz_scribble(own, own_words, sizeof(own_words), 2);
        fuzz_scribble(blocks_part, block_words, sizeof(block_words), 2);
        owner_restart();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    enum role role = (enum role)(first % ROLES);
    fuzz_image_restore(&image);
    memset(&sticky, 0, sizeof(sticky));
    memset(&view, 0, sizeof(view));
    block = 0;
    over = false;
    bool reads = role == READER || role == READER_BACK;
    reader.device = first >= 128;
    owner.device = first >= 128;
    if (reads) {
        reader_begin(role == READER_BACK);
    } else {
        owner_begin(role == OWNER_BACK);
    }
    for (unsigned i = 0; i < FUZZ_CALLS && !over && fuzz_more(&op, &arg); i++) {
        if (reads) {
            reader_call(op, arg);
        } else {
            owner_call(op, arg);
        }
    }
    return 0;
}
