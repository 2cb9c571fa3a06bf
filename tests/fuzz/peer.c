/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/peer.c - a side whose peer writes anything into its life signs at any time: it is
 * believed only what it shows in one look, and may say any time that it likes. The own region's
 * owner takes the own chunk away when it likes; a side that comes back finds other words there than
 * it left.
 */
#include "fuzz.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_peer_open",         "crossvm_peer_link",        "crossvm_peer_step",
    "crossvm_peer_confirm",      "crossvm_peer_reestablish", "crossvm_peer_close",
    "crossvm_peer_ready",        "crossvm_peer_end",         "crossvm_peer_times",
    "crossvm_peer_holdings",     "crossvm_peer_hold",        "crossvm_peer_settle",
    "crossvm_clock_offset_init", "crossvm_clock_offset_add", "crossvm_clock_offset_at",
    "crossvm_clock_offset_age",
};

enum {
    SILENCE = 1000,
    HELD = 2,
    /* Shared accesses of one call, at most. */
    STEPS_OPEN = 3,
    STEPS_START = 8, /* the old number and the echo, then a fence and each word once */
    STEPS_LINK = STEPS_START + 4,
    STEPS_LOOK = 7,
    STEPS_TIMES = 12, /* a reply, a question, and a reply that is heard */
    STEPS_STEP = STEPS_LOOK + STEPS_TIMES + 3,
    STEPS_SETTLE = 128
};

enum state {
    OPENED, /* not linked */
    WAITING,
    ANSWERING,
    UP,
    UP_LATE, /* the next question, beat and tick wrap around */
    SUSPECT,
    LOST,
    STATES
};

static struct fuzz_region a;
static struct fuzz_region b;
static struct fuzz_region store; /* of what is held for the peer */
static struct fuzz_part own_part;
static struct fuzz_part peer_part;
static struct fuzz_part store_part;
static struct fuzz_image images[STATES];
static struct crossvm_peer peer;
static struct crossvm_peer_holding *table;
static struct crossvm_clock_offset offset;
static struct crossvm_peer_shm *own;   /* as the owner of that region sees it */
static struct crossvm_peer_shm *enemy; /* as the enemy writes it */
static uint64_t now_ns;

/* What the call under way has loaded; the echo between the two looks at the incarnation. */
static struct {
    uint32_t incarnation[2];
    unsigned n_incarnations;
    uint32_t echo;
    uint32_t closed;
    uint32_t epoch;
    uint32_t reply;
    unsigned n_replies;
    uint32_t asker;
    unsigned n_askers;
    uint32_t time_lo;
} loaded;

static uint64_t heard_ns; /* the last time that was the reply to a question of this life */
static bool heard;
static bool over; /* a handle that was not opened is not used */

/* ---- the enemy ------------------------------------------------------------------------------- */

/* The first of each that a step loads counts: reply, asker, then the time, its low word first. */
FUZZ_BARE static void watch_reply(const struct crossvm_peer_shm *words, const void *at,
                                  uint32_t value)
{
    if (at == &words->reply) {
        loaded.reply = loaded.n_replies++ == 0 ? value : loaded.reply;
    } else if (at == &words->asker) {
        loaded.asker = loaded.n_askers++ == 0 ? value : loaded.asker;
    } else if (at == &words->time_lo) {
        loaded.time_lo = value;
    } else if (at == &words->time_hi && loaded.reply == peer.question &&
               loaded.asker == peer.incarnation) {
        heard_ns = (uint64_t)value << 32 | loaded.time_lo;
        heard = true;
    }
}

/* Notes what the enemy has let the next load find. */
FUZZ_BARE static void watch(const void *at)
{
    const struct crossvm_peer_shm *words = peer.peer;
    if (words == NULL || (uintptr_t)at - (uintptr_t)words >= sizeof(*words)) {
        return;
    }
    uint32_t value = crossvm_i_word((const struct crossvm_le32 *)at);
    if (at == &words->incarnation) {
        loaded.incarnation[loaded.n_incarnations++ % 2] = value;
    } else if (at == &words->echo) {
        loaded.echo = loaded.n_incarnations == 1 ? value : loaded.echo;
    } else if (at == &words->closed) {
        loaded.closed = value;
    } else if (at == &words->epoch) {
        loaded.epoch = value;
    } else {
        watch_reply(words, at, value);
    }
}

/* What an honest peer would do, all of it at once. */
FUZZ_BARE static void act(uint32_t which)
{
    uint32_t beat = crossvm_i_word(&enemy->beat);
    uint32_t incarnation = crossvm_i_word(&enemy->incarnation);
    crossvm_i_set_word(&enemy->beat, beat + 1);
    switch (which % 8) {
    case 0:
        crossvm_i_set_word(&enemy->echo, 0);
        crossvm_i_set_word(&enemy->incarnation, (incarnation & ~1u) + 2);
        break;
    case 1:
        crossvm_i_set_word(&enemy->incarnation, incarnation | 1u);
        break;
    case 2:
        crossvm_i_set_word(&enemy->closed, incarnation);
        break;
    case 3:
        crossvm_i_set_word(&enemy->question, crossvm_i_word(&enemy->question) + 1);
        break;
    case 4:
        crossvm_i_set_word(&enemy->reply, crossvm_i_word(&own->question));
        crossvm_i_set_word(&enemy->asker, crossvm_i_word(&own->incarnation));
        crossvm_i_set_word(&enemy->time_lo, (uint32_t)now_ns + which / 8);
        break;
    case 5:
        crossvm_i_set_word(&enemy->echo, 0);
        break;
    default:
        crossvm_i_set_word(&enemy->echo, crossvm_i_word(&own->incarnation));
        break;
    }
}

/* ---- states to begin with -------------------------------------------------------------------- */

static int open_own(void)
{
    return crossvm_peer_open(&peer, &a.owner.region, &a.table[0], SILENCE);
}

static int tick(void)
{
    now_ns += SILENCE / 10;
    return crossvm_peer_step(&peer, now_ns);
}

static void come_up(void)
{
    crossvm_i_set_word(&enemy->incarnation, 8);
    FUZZ_CHECK(tick() == CROSSVM_PEER_ANSWERING);
}

/* Questions, beats and times begin where they soon wrap around. */
static void be_late(void)
{
    peer.question = UINT32_MAX - 1;
    peer.beat = UINT32_MAX - 1;
    peer.asking = false;
    now_ns = UINT64_MAX - 2 * SILENCE;
    peer.stepped_ns = now_ns;
    peer.moved_ns = now_ns;
}

static void make_state(enum state state)
{
    memset(own_part.writable + 8, 0, own_part.len - 8);
    memset(peer_part.writable + 8, 0, peer_part.len - 8);
    now_ns = SILENCE;
    FUZZ_CHECK(open_own() == CROSSVM_OK);
    FUZZ_CHECK(crossvm_clock_offset_init(&offset, 100000) == CROSSVM_OK);
    if (state != OPENED) {
        FUZZ_CHECK(crossvm_peer_link(&peer, &b.reader, &b.table[0], 5) == CROSSVM_OK);
    }
    if (state >= ANSWERING) {
        come_up();
    }
    if (state >= UP) {
        crossvm_i_set_word(&enemy->echo, peer.incarnation);
        FUZZ_CHECK(tick() == CROSSVM_PEER_UP);
    }
    if (state == UP_LATE) {
        be_late();
    }
    for (int now = CROSSVM_PEER_UP; state == SUSPECT && now != CROSSVM_PEER_SUSPECT;) {
        now = tick();
    }
    if (state == LOST) {
        crossvm_i_set_word(&enemy->echo, 0);
        FUZZ_CHECK(tick() == CROSSVM_PEER_LOST);
    }
    struct fuzz_image *image = &images[state];
    fuzz_image_add(image, own_part.writable, own_part.len);
    fuzz_image_add(image, peer_part.writable, peer_part.len);
    fuzz_image_add(image, store.writable.base, (size_t)store.writable.len);
    fuzz_image_add(image, &store.owner, sizeof(store.owner));
    fuzz_image_add(image, store.table, sizeof(store.table));
    fuzz_image_add(image, &peer, sizeof(peer));
    fuzz_image_add(image, &offset, sizeof(offset));
    fuzz_image_add(image, &now_ns, sizeof(now_ns));
}

static void make_regions(void)
{
    static const struct crossvm_chunk_decl decl_a = {"life", CROSSVM_KIND_PEER, 0, 0, 1, 2, 0, 7};
    static const struct crossvm_chunk_decl decl_b = {"life", CROSSVM_KIND_PEER, 0, 0, 2, 1, 0, 7};
    static const struct crossvm_chunk_decl held[HELD] = {
        {"one", CROSSVM_KIND_BYTES, 0, 64, 1, 2, 0, 0},
        {"two", CROSSVM_KIND_BYTES, 0, 64, 1, 2, 0, 0},
    };
    const struct crossvm_region_plan plan_a = {&decl_a, 1, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {&decl_b, 1, 0, 128, 0, 2, {2}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_held = {held, HELD, 0, 128, 0, 1, {3}, 0, {0, 0, 0}};
    fuzz_region_make(&a, &plan_a, 2);
    fuzz_region_make(&b, &plan_b, 1);
    fuzz_region_make(&store, &plan_held, 2);
    own_part = fuzz_part_of(&a, &a.table[0]);
    peer_part = fuzz_part_of(&b, &b.table[0]);
    own = (struct crossvm_peer_shm *)(void *)own_part.writable;
    enemy = (struct crossvm_peer_shm *)(void *)peer_part.writable;
    store_part.writable = (unsigned char *)store.writable.base;
    store_part.read_only = (unsigned char *)store.read_only.base;
    store_part.len = (size_t)store.writable.len;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    make_regions();
    table = (struct crossvm_peer_holding *)fuzz_private(HELD * sizeof(*table));
    for (unsigned state = 0; state < STATES; state++) {
        make_state((enum state)state);
    }
    fuzz_region_close(&a);
    fuzz_region_close(&b);
    return 0;
}

/* ---- what holds behind each call ------------------------------------------------------------- */

/* The handle is in a state of the table, and its own words say the same. */
static void state_is_right(void)
{
    bool answers = peer.state == CROSSVM_PEER_ANSWERING || peer.state == CROSSVM_PEER_UP ||
                   peer.state == CROSSVM_PEER_SUSPECT;
    FUZZ_CHECK(peer.state <= CROSSVM_PEER_CLOSED);
    FUZZ_CHECK(peer.cause < CROSSVM_PEER_CAUSE_COUNT);
    FUZZ_CHECK((peer.state == CROSSVM_PEER_LOST) <= (peer.cause != CROSSVM_PEER_CAUSE_NONE));
    FUZZ_CHECK(peer.state == CROSSVM_PEER_CLOSED || (peer.echo != 0) == answers);
    FUZZ_CHECK(peer.incarnation % 2 == 0 && peer.echo % 2 == 0);
    if (peer.peer != NULL) {
        FUZZ_CHECK(peer.incarnation != 0);
        FUZZ_CHECK(crossvm_i_word(&own->incarnation) == peer.incarnation);
        FUZZ_CHECK(crossvm_i_word(&own->echo) == peer.echo);
    }
    int ready = FUZZ_CALL(crossvm_peer_ready, (&peer), 0, FUZZ_S(NOT_YET) | FUZZ_S(ENDED), 0);
    FUZZ_CHECK((ready == CROSSVM_OK) ==
               (peer.state == CROSSVM_PEER_UP || peer.state == CROSSVM_PEER_SUSPECT));
}

/* Whether what the step has loaded is a life that this side answers, and that answers it. */
static bool is_alive(void)
{
    return loaded.n_incarnations == 2 && loaded.incarnation[0] == loaded.incarnation[1] &&
           loaded.incarnation[0] == peer.echo && loaded.echo == peer.incarnation &&
           loaded.closed != loaded.incarnation[0] && loaded.epoch == peer.peer_epoch;
}

/* What a step may make of what it has loaded: UP is entered by an answer alone, ANSWERING by a life
 * that was seen whole. */
static void step_is_right(uint32_t before)
{
    bool whole = loaded.n_incarnations == 2 && loaded.incarnation[0] == loaded.incarnation[1];
    FUZZ_CHECK(loaded.n_incarnations <= 2);
    if (peer.state == CROSSVM_PEER_UP && before != CROSSVM_PEER_UP) {
        FUZZ_CHECK(before == CROSSVM_PEER_ANSWERING || before == CROSSVM_PEER_SUSPECT);
        FUZZ_CHECK(is_alive());
    }
    if (peer.state == CROSSVM_PEER_SUSPECT && before != CROSSVM_PEER_SUSPECT) {
        FUZZ_CHECK(before == CROSSVM_PEER_UP);
    }
    if (peer.state == CROSSVM_PEER_ANSWERING && before == CROSSVM_PEER_WAITING) {
        FUZZ_CHECK(whole && loaded.incarnation[0] == peer.echo);
    }
    if (peer.state == CROSSVM_PEER_WAITING || peer.state == CROSSVM_PEER_ANSWERING) {
        FUZZ_CHECK(before == peer.state || before == CROSSVM_PEER_WAITING);
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void times(void);

/* Time goes on, stands still, jumps, goes backward, is not given. */
static uint64_t next_ns(uint8_t arg)
{
    static const uint64_t jumps[] = {0, 1, SILENCE, UINT64_C(1) << 32, UINT64_C(1) << 63};
    if (arg >= 248) {
        return 0;
    }
    if (arg >= 232) {
        now_ns -= jumps[arg % FUZZ_ELEMENTS(jumps)];
    } else if (arg >= 216) {
        now_ns += jumps[arg % FUZZ_ELEMENTS(jumps)];
    } else {
        now_ns += arg;
    }
    return now_ns;
}

static void step(uint8_t arg)
{
    uint32_t before = peer.state;
    uint64_t at_ns = next_ns(arg);
    bool linked = peer.peer != NULL;
    memset(&loaded, 0, sizeof(loaded));
    int status = FUZZ_CALL(crossvm_peer_step, (&peer, at_ns), STEPS_STEP,
                           FUZZ_S(STALE) | FUZZ_S(NOT_YET), CROSSVM_PEER_CLOSED);
    FUZZ_CHECK(status < 0 || (uint32_t)status == peer.state);
    FUZZ_CHECK(status != CROSSVM_NOT_YET || !linked);
    FUZZ_CHECK(status != CROSSVM_STALE || before == peer.state);
    step_is_right(before);
    if (arg % 2 == 1) {
        times();
    }
}

/* What is taken for the peer's time is what it said to this question of this life. */
static void times(void)
{
    struct crossvm_peer_sample sample = {0, 0, 0};
    uint32_t n_before = offset.n_samples;
    if (FUZZ_CALL(crossvm_peer_times, (&peer, &sample), 0, FUZZ_S(EMPTY), 0) != CROSSVM_OK) {
        return;
    }
    FUZZ_CHECK(heard && sample.replied_ns == heard_ns);
    FUZZ_CHECK(sample.asked_ns != 0 && sample.heard_ns != 0);
    int status = FUZZ_CALL(crossvm_clock_offset_add,
                           (&offset, sample.asked_ns, sample.replied_ns, sample.heard_ns), 0,
                           FUZZ_S(INVALID), 0);
    FUZZ_CHECK(status == CROSSVM_OK || sample.heard_ns < sample.asked_ns ||
               sample.heard_ns - sample.asked_ns > UINT64_MAX / 16);
    FUZZ_CHECK(offset.n_samples == n_before + (status == CROSSVM_OK));
}

/* Any time of the peer's, at any own time. */
static void age(uint8_t arg)
{
    uint64_t then_ns = (uint64_t)fuzz_raw() << (arg % 64u);
    uint64_t at_ns = now_ns + ((uint64_t)fuzz_raw() << (arg / 4u)) - arg;
    uint64_t low = 0;
    uint64_t width = 0;
    uint64_t least = 0;
    uint64_t most = 0;
    int known =
        FUZZ_CALL(crossvm_clock_offset_at, (&offset, at_ns, &low, &width), 0, FUZZ_S(UNKNOWN), 0);
    FUZZ_CHECK((known == CROSSVM_OK) == (width != UINT64_MAX));
    FUZZ_CHECK(known != CROSSVM_OK || width <= UINT64_MAX / 4);
    int status = FUZZ_CALL(crossvm_clock_offset_age, (&offset, then_ns, at_ns, &least, &most), 0,
                           FUZZ_S(UNKNOWN), 0);
    FUZZ_CHECK(least <= most);
    FUZZ_CHECK((status == CROSSVM_OK) == (most != UINT64_MAX));
    FUZZ_CHECK(status != CROSSVM_OK || (known == CROSSVM_OK && then_ns != 0));
    FUZZ_CHECK(status != CROSSVM_OK || most - least >= width || least == 0);
}

/* A life ends and the next one begins, with other words than it left. */
static void start_again(uint8_t arg)
{
    static const uint8_t words[] = {0, 2, 3, 4, 32, 33, 34, 36, 37};
    fuzz_scribble(&own_part, words, FUZZ_ELEMENTS(words), arg % 4u);
    uint32_t left = crossvm_i_word(&own->incarnation);
    memset(&peer, 0, sizeof(peer));
    heard = false;
    if (FUZZ_CALL(crossvm_peer_open, (&peer, &a.owner.region, &a.table[0], SILENCE), STEPS_OPEN,
                  FUZZ_S(STALE), 0) != CROSSVM_OK) {
        over = true;
        return;
    }
    int status = FUZZ_CALL(crossvm_peer_link, (&peer, &b.reader, &b.table[0], arg / 4u), STEPS_LINK,
                           FUZZ_S(STALE), 0);
    FUZZ_CHECK(status == CROSSVM_STALE || peer.incarnation != (left & ~1u));
}

static void link_again(uint8_t arg)
{
    uint32_t before = peer.state;
    uint32_t incarnation = peer.incarnation;
    int status = FUZZ_CALL(crossvm_peer_link, (&peer, &b.reader, &b.table[0], arg), STEPS_LINK,
                           FUZZ_S(STALE) | FUZZ_S(INVALID), 0);
    FUZZ_CHECK((status == CROSSVM_INVALID) == (before != CROSSVM_PEER_WAITING));
    FUZZ_CHECK(status == CROSSVM_OK || peer.incarnation == incarnation);
    FUZZ_CHECK(status != CROSSVM_OK || peer.peer_epoch == b.table[0].generation);
}

static void confirm(uint8_t arg)
{
    uint32_t before = peer.state;
    int status = FUZZ_CALL(crossvm_peer_confirm, (&peer, arg % 8u), 2,
                           FUZZ_S(INVALID) | FUZZ_S(STALE) | FUZZ_S(NOT_YET), CROSSVM_PEER_CLOSED);
    bool may = arg % 8u == CROSSVM_PEER_CAUSE_BACKEND || arg % 8u == CROSSVM_PEER_CAUSE_APPLICATION;
    FUZZ_CHECK((status == CROSSVM_INVALID) == !may);
    FUZZ_CHECK(status >= 0 || peer.state == before);
    FUZZ_CHECK(status < 0 || status == CROSSVM_PEER_LOST || (uint32_t)status == before);
}

static void reestablish(void)
{
    uint32_t before = peer.state;
    uint32_t incarnation = peer.incarnation;
    uint32_t cause = peer.cause;
    int status = FUZZ_CALL(crossvm_peer_reestablish, (&peer), STEPS_START + 1,
                           FUZZ_S(INVALID) | FUZZ_S(STALE), 0);
    FUZZ_CHECK((status == CROSSVM_INVALID) == (before != CROSSVM_PEER_LOST));
    bool anew = status == CROSSVM_OK &&
                (cause == CROSSVM_PEER_CAUSE_DROPPED || cause == CROSSVM_PEER_CAUSE_BACKEND ||
                 cause == CROSSVM_PEER_CAUSE_APPLICATION);
    FUZZ_CHECK(anew == (peer.incarnation != incarnation));
    heard = heard && !anew;
}

static void hold_and_settle(uint8_t arg)
{
    uint32_t before = peer.state;
    const struct crossvm_chunk *chunk = &store.table[arg % HELD];
    if (arg % 4 != 0 || fuzz.n_parts < 3) {
        int status = FUZZ_CALL(crossvm_peer_hold, (&peer, chunk, arg / 4 % 3u), 0,
                               FUZZ_S(INVALID) | FUZZ_S(NO_SPACE), 0);
        FUZZ_CHECK((status == CROSSVM_INVALID) == (arg / 4 % 3u > CROSSVM_PEER_KEEP));
        return;
    }
    int status =
        FUZZ_CALL(crossvm_peer_settle, (&peer, &store.owner), STEPS_SETTLE, FUZZ_S(NOT_YET), HELD);
    FUZZ_CHECK((status == CROSSVM_NOT_YET) == (before != CROSSVM_PEER_LOST));
    for (uint32_t i = 0; status >= 0 && i < peer.n_holdings; i++) {
        FUZZ_CHECK(peer.holdings[i].policy == CROSSVM_PEER_KEEP);
    }
}

static void call(uint8_t op, uint8_t arg)
{
    switch (op % 16) {
    case 0:
        start_again(arg);
        break;
    case 1:
        link_again(arg);
        break;
    case 2:
        confirm(arg);
        break;
    case 3:
        if (FUZZ_CALL(crossvm_peer_close, (&peer), 2, FUZZ_S(STALE) | FUZZ_S(NOT_YET), 0) ==
            CROSSVM_OK) {
            FUZZ_CHECK(crossvm_i_word(&own->closed) == peer.incarnation);
        }
        break;
    case 4:
    case 5:
        reestablish();
        break;
    case 6:
        hold_and_settle(arg);
        break;
    case 7:
        age(arg);
        break;
    case 8:
        FUZZ_CHECK((FUZZ_CALL(crossvm_peer_end, (&peer, CROSSVM_EMPTY), 0,
                              FUZZ_S(EMPTY) | FUZZ_S(ENDED), 0) == CROSSVM_ENDED) ==
                   (peer.state == CROSSVM_PEER_LOST));
        break;
    default:
        step(arg);
        break;
    }
    if (!over) {
        state_is_right();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    fuzz_image_restore(&images[first % STATES]);
    heard = false;
    over = false;
    const struct fuzz_part *mine = fuzz_part_add(&own_part, false);
    const struct fuzz_part *theirs = fuzz_part_add(&peer_part, true);
    if (first >= 128) {
        (void)fuzz_part_add(&store_part, false);
        FUZZ_CHECK(crossvm_peer_holdings(&peer, table, HELD) == CROSSVM_OK);
    }
    fuzz_keep(mine, 4, 4);
    fuzz_keep(mine, 20, 108);
    fuzz_keep(mine, 140, 4);
    fuzz_keep(mine, 152, mine->len - 152);
    fuzz_hot(theirs, 0, 5);
    fuzz_hot(theirs, 128, 3);
    fuzz_hot(theirs, 144, 2);
    fuzz_hot(mine, 4, 1);
    fuzz_around(&peer.incarnation);
    fuzz_around(&peer.echo);
    fuzz_around(&peer.question);
    fuzz_around(&peer.peer_epoch);
    fuzz.act = act;
    fuzz.watch = watch;
    for (unsigned i = 0; i < FUZZ_CALLS && !over && fuzz_more(&op, &arg); i++) {
        call(op, arg);
    }
    return 0;
}
