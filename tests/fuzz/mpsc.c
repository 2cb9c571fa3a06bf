/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/mpsc.c - a consumer whose writers write anything into the ring at any time; writers
 * whose consumer does so in its part, while other writers claim, die and are buried; and a consumer
 * that comes back and finds its own words changed.
 */
#include "fuzz.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_mpsc_tx_open",   "crossvm_mpsc_tx_link",       "crossvm_mpsc_tx_reserve",
    "crossvm_mpsc_tx_commit", "crossvm_mpsc_tx_push",       "crossvm_mpsc_tx_bury",
    "crossvm_mpsc_tx_kick",   "crossvm_mpsc_tx_peer_polls", "crossvm_mpsc_rx_open",
    "crossvm_mpsc_rx_link",   "crossvm_mpsc_rx_flush",      "crossvm_mpsc_rx_pop",
    "crossvm_mpsc_rx_pop_n",  "crossvm_mpsc_rx_peek",       "crossvm_mpsc_rx_release",
    "crossvm_mpsc_rx_skip",   "crossvm_mpsc_rx_fill",       "crossvm_mpsc_rx_disarm",
    "crossvm_mpsc_rx_arm",
};

enum {
    N = 8,
    LEN = 12,
    STRIDE = 24,
    FIRST = 128, /* the first slot, in the ring's part */
    N_MAX = N + 2,
    SELF = 1, /* the writers' ids */
    OTHER = 2,
    /* Shared accesses of one call, at most. */
    STEPS_SLOT = 3,                        /* a slot's word and both epochs */
    STEPS_LOOK = N * (STEPS_SLOT + 3) + 3, /* what was given up is passed over, one lap at most */
    STEPS_BATCH = N_MAX * STEPS_LOOK,
    STEPS_FILL = STEPS_LOOK + N * STEPS_SLOT + 1,
    STEPS_ARM = 2 * STEPS_FILL + 12,
    STEPS_TRY = 24, /* the head, the epochs, the slots by halves, the claim */
    STEPS_CLAIM = CROSSVM_MPSC_TRIES * STEPS_TRY + 4,
    STEPS_BURY = 3 * N + 4,
    STEPS_KICK = 8,
    STEPS_LINK = 24
};

enum state {
    OPENED,  /* both parts are, nothing is linked */
    EMPTY,   /* linked, at 0 */
    HALF,    /* linked, half full, and the laps are about to wrap around */
    CLAIMED, /* the same, and another writer's claim stands at the head */
    STATES
};

enum role {
    CONSUMER,
    WRITER,
    CONSUMER_BACK,
    ROLES
};

static struct fuzz_region a;
static struct fuzz_region b;
static struct crossvm_chunk tx_chunk;
static struct crossvm_chunk rx_chunk;
static struct fuzz_part ring;
static struct fuzz_part rx_part;
static struct fuzz_image images[STATES];
static struct crossvm_mpsc_tx tx;
static struct crossvm_mpsc_rx rx;
static struct fuzz_sticky sticky;
static uint32_t near[3]; /* words that a slot could bear now */
static unsigned char *elems;
static bool over; /* a handle that was not opened is not used */

/* ---- states to begin with -------------------------------------------------------------------- */

static struct crossvm_le32 *slot_at(uint32_t index)
{
    return (struct crossvm_le32 *)(void *)(ring.writable + FIRST + (size_t)(index % N) * STRIDE);
}

static void open_both(void)
{
    FUZZ_CHECK(crossvm_mpsc_rx_open(&rx, &b.owner.region, &rx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_mpsc_tx_open(&tx, &a.owner.region, &tx_chunk, SELF) == CROSSVM_OK);
}

static void link_both(void)
{
    FUZZ_CHECK(crossvm_mpsc_rx_link(&rx, &a.reader, &tx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_mpsc_tx_link(&tx, &b.reader, &rx_chunk) == CROSSVM_OK);
}

/* As if so many elements had gone through. */
static void start_at(uint32_t index)
{
    crossvm_i_set_word((struct crossvm_le32 *)(void *)rx_part.writable, index);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t before = index - N + i;
        crossvm_i_set_word(slot_at(before), crossvm_i_mpsc_word(&rx.ring, before, SELF, 0));
    }
    open_both();
    link_both();
}

static void make_state(enum state state)
{
    memset(ring.writable + 8, 0, ring.len - 8);
    memset(rx_part.writable + 8, 0, rx_part.len - 8);
    crossvm_i_set_word((struct crossvm_le32 *)(void *)rx_part.writable, 0);
    open_both();
    if (state != OPENED) {
        link_both();
    }
    if (state >= HALF) {
        start_at(0xfffffffcu);
        for (unsigned i = 0; i < N / 2; i++) {
            FUZZ_CHECK(crossvm_mpsc_tx_push(&tx, elems) == CROSSVM_OK);
        }
    }
    if (state == CLAIMED) {
        uint32_t word = crossvm_i_mpsc_word(&rx.ring, rx.head, OTHER, CROSSVM_I_MPSC_CLAIMED);
        crossvm_i_set_word(slot_at(rx.head), word);
    }
    fuzz_image_add(&images[state], ring.writable, ring.len);
    fuzz_image_add(&images[state], rx_part.writable, rx_part.len);
    fuzz_image_add(&images[state], &tx, sizeof(tx));
    fuzz_image_add(&images[state], &rx, sizeof(rx));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct crossvm_chunk_decl decl_a = {"ring", CROSSVM_KIND_MPSC_TX, N, LEN, 1, 2, 0,
                                                     7};
    static const struct crossvm_chunk_decl decl_b = {"ring", CROSSVM_KIND_MPSC_RX, 0, 0, 2, 1, 0,
                                                     7};
    const struct crossvm_region_plan plan_a = {&decl_a, 1, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {&decl_b, 1, 0, 128, 0, 2, {2}, 0, {0, 0, 0}};
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elems = (unsigned char *)fuzz_private(N_MAX * LEN);
    fuzz_region_make(&a, &plan_a, 2);
    fuzz_region_make(&b, &plan_b, 1);
    tx_chunk = a.table[0];
    rx_chunk = b.table[0];
    ring = fuzz_part_of(&a, &tx_chunk);
    rx_part = fuzz_part_of(&b, &rx_chunk);
    for (unsigned state = 0; state < STATES; state++) {
        make_state((enum state)state);
    }
    fuzz_region_close(&a);
    fuzz_region_close(&b);
    return 0;
}

/* ---- consumer -------------------------------------------------------------------------------- */

#define LINKED (FUZZ_S(NOT_YET) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void consumer_answered(int status)
{
    fuzz_sticky(&sticky, status, &rx.fault, &ring);
}

static void consumer_pops(uint32_t n)
{
    unsigned char *room = elems + (size_t)(N_MAX - n) * LEN;
    int status = FUZZ_CALL(crossvm_mpsc_rx_pop_n, (&rx, room, n), n * STEPS_LOOK,
                           LINKED | FUZZ_S(EMPTY), (int)n);
    if (n != 0 && (status < 0 || sticky.corrupt)) {
        consumer_answered(status);
    } else if (rx.fault.rule != CROSSVM_RULE_NONE) {
        /* What stopped a batch shows at the next call. */
        consumer_answered(CROSSVM_CORRUPT);
    }
    fuzz_use(room, status > 0 ? (size_t)status * LEN : 0);
}

static void consumer_looks(uint8_t arg)
{
    const void *elem = NULL;
    int status =
        FUZZ_CALL(crossvm_mpsc_rx_peek, (&rx, &elem), STEPS_LOOK, LINKED | FUZZ_S(EMPTY), 0);
    consumer_answered(status);
    if (status == CROSSVM_OK) {
        fuzz_use_shared(elem, LEN);
    }
    if (arg % 2 == 0) {
        status = FUZZ_CALL(crossvm_mpsc_rx_release, (&rx), STEPS_SLOT, LINKED | FUZZ_S(INVALID), 0);
        consumer_answered(status);
    }
}

static void consumer_restart(void)
{
    memset(&sticky, 0, sizeof(sticky));
    int status = FUZZ_CALL(crossvm_mpsc_rx_open, (&rx, &b.owner.region, &rx_chunk), STEPS_LINK,
                           FUZZ_S(STALE), 0);
    over = status != CROSSVM_OK;
    if (over) {
        return;
    }
    consumer_answered(
        FUZZ_CALL(crossvm_mpsc_rx_link, (&rx, &a.reader, &tx_chunk), STEPS_LINK, LINKED, 0));
}

static void consumer_call(uint8_t op, uint8_t arg)
{
    int status = 0;
    switch (op % 12) {
    case 0:
    case 1:
    case 2:
        status = FUZZ_CALL(crossvm_mpsc_rx_pop, (&rx, elems + (N_MAX - 1) * LEN), STEPS_LOOK,
                           LINKED | FUZZ_S(EMPTY), 0);
        consumer_answered(status);
        fuzz_use(elems, status == CROSSVM_OK ? N_MAX * LEN : 0);
        break;
    case 3:
        consumer_pops(arg % (N_MAX + 1u));
        break;
    case 4:
    case 5:
        consumer_looks(arg);
        break;
    case 6:
        consumer_answered(FUZZ_CALL(crossvm_mpsc_rx_skip, (&rx, arg % 4u), STEPS_LOOK,
                                    LINKED | FUZZ_S(INVALID), 0));
        break;
    case 7:
        consumer_answered(FUZZ_CALL(crossvm_mpsc_rx_fill, (&rx), STEPS_FILL, LINKED, N));
        break;
    case 8:
        consumer_answered(FUZZ_CALL(crossvm_mpsc_rx_arm, (&rx, arg % N_MAX, arg), STEPS_ARM,
                                    LINKED | FUZZ_S(INVALID), 1));
        break;
    case 9:
        FUZZ_PLAIN(crossvm_mpsc_rx_flush, (&rx), 1);
        FUZZ_PLAIN(crossvm_mpsc_rx_disarm, (&rx), STEPS_SLOT);
        fuzz_done();
        break;
    case 10:
        consumer_answered(
            FUZZ_CALL(crossvm_mpsc_rx_link, (&rx, &a.reader, &tx_chunk), STEPS_LINK, LINKED, 0));
        break;
    default:
        consumer_restart();
        break;
    }
    if (over) {
        return;
    }
    FUZZ_CHECK(rx.state != CROSSVM_OK || rx.head - rx.published <= N);
    if (rx.state == CROSSVM_OK) {
        near[0] = crossvm_i_mpsc_word(&rx.ring, rx.head, OTHER, 0);
        near[1] = crossvm_i_mpsc_word(&rx.ring, rx.head + N, SELF, 0);
        near[2] = crossvm_i_mpsc_word(&rx.ring, rx.head, SELF, CROSSVM_I_MPSC_GIVEN_UP);
    }
}

/* ---- writer ---------------------------------------------------------------------------------- */

static void writer_answered(int status)
{
    fuzz_sticky(&sticky, status, &tx.fault, &rx_part);
}

/* Another writer claims, commits, or dies, at a place where it may, or nearby. */
static void other_writer(uint32_t which)
{
    uint32_t index = tx.index + which % 4;
    uint32_t word = crossvm_i_mpsc_word(&tx.ring, index, OTHER, which / 4 % 3);
    crossvm_i_set_word(slot_at(index), word);
}

static void writer_in_place(uint8_t arg)
{
    void *place = NULL;
    int status = FUZZ_CALL(crossvm_mpsc_tx_reserve, (&tx, &place), STEPS_CLAIM,
                           LINKED | FUZZ_S(FULL) | FUZZ_S(TORN), 0);
    writer_answered(status);
    if (status == CROSSVM_OK) {
        FUZZ_CHECK(fuzz_writable(place, LEN));
        memset(place, arg, LEN);
    }
    if (arg % 4 != 0) {
        writer_answered(
            FUZZ_CALL(crossvm_mpsc_tx_commit, (&tx), STEPS_SLOT, LINKED | FUZZ_S(INVALID), 0));
    }
}

static void writer_call(uint8_t op, uint8_t arg)
{
    uint64_t again_ns;
    int status = 0;
    switch (op % 8) {
    case 0:
    case 1:
    case 2:
        writer_answered(FUZZ_CALL(crossvm_mpsc_tx_push, (&tx, elems + (N_MAX - 1) * LEN),
                                  STEPS_CLAIM + STEPS_SLOT, LINKED | FUZZ_S(FULL) | FUZZ_S(TORN),
                                  0));
        break;
    case 3:
        writer_in_place(arg);
        break;
    case 4:
        status = FUZZ_CALL(crossvm_mpsc_tx_bury, (&tx, arg % 80u), STEPS_BURY,
                           FUZZ_S(INVALID) | FUZZ_S(STALE), N);
        /* Then it is STALE, whatever it was. */
        over = status == CROSSVM_STALE;
        break;
    case 5:
        (void)FUZZ_CALL(crossvm_mpsc_tx_kick, (&tx, arg, &again_ns), STEPS_KICK, 0, 1);
        fuzz_use_number(again_ns);
        break;
    case 6:
        writer_answered(
            FUZZ_CALL(crossvm_mpsc_tx_link, (&tx, &b.reader, &rx_chunk), STEPS_LINK, LINKED, 0));
        break;
    default:
        if (arg % 16 == 0) {
            FUZZ_PLAIN(crossvm_mpsc_tx_peer_polls, (&tx), 0);
            fuzz_done();
        } else if (FUZZ_CALL(crossvm_mpsc_tx_open, (&tx, &a.owner.region, &tx_chunk, SELF),
                             STEPS_BURY, FUZZ_S(STALE), 0) == CROSSVM_OK) {
            memset(&sticky, 0, sizeof(sticky));
        }
        break;
    }
    near[0] = tx.index;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void consumer_begin(bool back)
{
    static const uint8_t own_words[] = {0, 32, 33, 34, 35, 36, 37};
    const struct fuzz_part *own = fuzz_part_add(&rx_part, false);
    const struct fuzz_part *peer = fuzz_part_add(&ring, true);
    for (unsigned i = 0; i < N; i++) {
        fuzz_hot(peer, FIRST + i * STRIDE, 1);
    }
    fuzz_hot(peer, 4, 1);
    fuzz_hot(own, 4, 1); /* its region's owner's */
    fuzz_keep(own, 4, 4);
    fuzz_keep(own, 24, 104);
    fuzz_keep(own, 160, 96);
    fuzz_around(&near[0]);
    fuzz_around(&near[1]);
    fuzz_around(&near[2]);
    if (back) {
        fuzz_scribble(own, own_words, sizeof(own_words), 3);
        consumer_restart();
    }
}

static void writer_begin(void)
{
    const struct fuzz_part *own = fuzz_part_add(&ring, false);
    const struct fuzz_part *peer = fuzz_part_add(&rx_part, true);
    fuzz_hot(peer, 0, 5);
    fuzz_hot(peer, 128, 6);
    fuzz_hot(peer, 0, 1);
    fuzz_hot(own, 4, 1); /* its region's owner's */
    fuzz_keep(own, 0, FIRST);
    for (unsigned i = 0; i < N; i++) {
        fuzz_keep(own, FIRST + i * STRIDE + 4, 4);
        fuzz_keep(own, FIRST + i * STRIDE + 8 + LEN, 4);
    }
    fuzz_around(&near[0]);
    fuzz_around(&tx.index);
    fuzz.act = other_writer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    enum role role = (enum role)(first % ROLES);
    fuzz_image_restore(&images[first / ROLES % STATES]);
    memset(&sticky, 0, sizeof(sticky));
    memset(near, 0, sizeof(near));
    over = false;
    if (role == WRITER) {
        writer_begin();
    } else {
        consumer_begin(role == CONSUMER_BACK);
    }
    for (unsigned i = 0; i < FUZZ_CALLS / 2 && !over && fuzz_more(&op, &arg); i++) {
        if (role == WRITER) {
            writer_call(op, arg);
        } else {
            consumer_call(op, arg);
        }
    }
    return 0;
}
