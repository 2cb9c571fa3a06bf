/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life signs of a side, left at each change. The other side goes on beside the image: it is up
 * with no life that has not answered it, and takes no words of two lives for those of one. The next
 * life of the side that died opens on the image, and both come up.
 *
 * Side 0 dies, side 1 survives. Each life of side 0 has a clock of its own, so that a time says
 * whose it is.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/peer.h"

enum {
    N_SENT = 3,
    N_SENT_LAST = 2, /* in the operation that closes */
    ROUNDS = 8,      /* of steps until both are up, at most */
    HELD_LEN = 64
};

/* How far the clock of one life of side 0 is ahead of that of the life before. */
#define AHEAD_NS UINT64_C(0x700000000)

static struct {
    struct peer_pair pair;
    struct crossvm_peer_holding table[2];
    uint32_t seed;      /* of the life that the operation begins */
    bool begins;        /* the operation begins a life, which has answered nobody */
    bool is_dead;       /* side 0, and has not come back yet */
    bool has_queues;    /* which side 1 drains */
    uint32_t before[2]; /* lives that are up with each other when the operation begins, or 0 */
    uint32_t left;      /* side 0's incarnation in the image */
    uint32_t left_echo;
    uint64_t ahead_ns;      /* side 0's clock, before side 1's */
    uint64_t left_ahead_ns; /* that of the life that died */
    unsigned n_samples;     /* that side 1 has fetched */
    int only;               /* the one cause for which side 1 may lose the dead, or 0 */
    unsigned n_received;
} world;

static void drop(void)
{
    peer_drop(&world.pair);
}

/* ---- what holds at each step ----------------------------------------------------------------- */

static struct crossvm_peer *side(unsigned i)
{
    return &world.pair.sides[i].peer;
}

static bool is_up(unsigned i)
{
    return crossvm_peer_ready(side(i)) == CROSSVM_OK;
}

/* Whoever is up is answered by the life that it answers. */
static void is_up_with_right(unsigned i)
{
    const struct crossvm_peer *self = side(i);
    const struct crossvm_peer *other = side(1 - i);
    if (!is_up(i)) {
        return;
    }
    CHECK(self->echo != 0 && self->echo % 2 == 0);
    if (i == 0 || (!world.is_dead && self->echo == other->incarnation)) {
        CHECK_EQ(self->echo, other->incarnation);
        CHECK(other->echo == self->incarnation || other->state == CROSSVM_PEER_LOST);
        return;
    }
    bool were_up = self->echo == world.before[0] && self->incarnation == world.before[1];
    bool answered = self->echo == world.left && self->incarnation == world.left_echo;
    CHECK(were_up || (answered && !world.begins));
}

/* What a side takes for the other's time was that life's, and between the two of its own. */
static void sample_is_right(unsigned i)
{
    struct crossvm_peer_sample sample = {0, 0, 0};
    if (crossvm_peer_times(side(i), &sample) != CROSSVM_OK) {
        return;
    }
    bool lives = !world.is_dead && side(1)->echo == side(0)->incarnation;
    uint64_t ahead_ns = lives || i == 0 ? world.ahead_ns : world.left_ahead_ns;
    uint64_t replied_ns = i == 0 ? sample.replied_ns + ahead_ns : sample.replied_ns - ahead_ns;
    CHECK(sample.asked_ns <= replied_ns);
    CHECK(replied_ns <= sample.heard_ns);
    world.n_samples += i;
}

static int step(unsigned i)
{
    world.pair.now_ns += PEER_TICK;
    int status = crossvm_peer_step(side(i), world.pair.now_ns + (i == 0 ? world.ahead_ns : 0));
    is_up_with_right(i);
    sample_is_right(i);
    return status;
}

/* Side 1 takes all that the other has committed, in order. The last status. */
static int drains(void)
{
    uint64_t number = 0;
    int status = peer_receive(&world.pair.sides[1], &number);
    while (status == CROSSVM_OK) {
        CHECK_EQ(number, world.n_received);
        world.n_received++;
        status = peer_receive(&world.pair.sides[1], &number);
    }
    return status;
}

/* One step of a side that lives on: what is lost is drained and mourned, what was made anew is
 * linked anew. */
static void lives(unsigned i)
{
    int status = step(i);
    if (status == CROSSVM_PEER_LOST) {
        CHECK(i == 0 || world.only == 0 || side(1)->cause == (uint32_t)world.only);
        if (i == 1 && world.has_queues) {
            CHECK_EQ(drains(), CROSSVM_ENDED);
        }
        CHECK_EQ(crossvm_peer_reestablish(side(i)), CROSSVM_OK);
    } else if (status == CROSSVM_STALE) {
        world.pair.seed++;
        CHECK_EQ(peer_link(&world.pair, i, world.pair.seed), CROSSVM_OK);
    }
}

static void meets(void)
{
    for (unsigned n = 0; n < ROUNDS && !(is_up(0) && is_up(1)); n++) {
        lives(0);
        lives(1);
    }
    CHECK(is_up(0) && is_up(1));
    CHECK_EQ(side(0)->echo, side(1)->incarnation);
    CHECK_EQ(side(1)->echo, side(0)->incarnation);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

/* A life of side i: whatever it knew before is forgotten. */
static void begins(unsigned i)
{
    world.ahead_ns += i == 0 ? AHEAD_NS : 0;
    peer_begin(&world.pair, i);
}

/* Wrapping: beats, questions and the low words of the times do so soon. */
static void made(enum crash_state state)
{
    peer_make(&world.pair);
    crash_memory(&world.pair.regions[0].writable);
    crash_memory(&world.pair.regions[1].writable);
    if (state == CRASH_WRAPPING) {
        crossvm_store_relaxed(&peer_words(&world.pair, 0)->beat, UINT32_MAX);
        crossvm_store_relaxed(&peer_words(&world.pair, 1)->beat, UINT32_MAX);
    }
}

static void questions_wrap(enum crash_state state)
{
    if (state == CRASH_WRAPPING) {
        side(0)->question = UINT32_MAX;
        side(1)->question = UINT32_MAX;
        world.pair.now_ns = UINT32_MAX - 5 * PEER_TICK;
    }
}

static void are_up(void)
{
    world.before[0] = side(0)->incarnation;
    world.before[1] = side(1)->incarnation;
}

/* Empty: just so. Full: they have asked each other for a while. Wrapping: as above. */
static void up(enum crash_state state)
{
    made(state);
    begins(0);
    begins(1);
    questions_wrap(state);
    meets();
    for (unsigned n = 0; state == CRASH_FULL && n < 20; n++) {
        (void)step(0);
        (void)step(1);
    }
    are_up();
}

/* Side 0 has opened, and knows nothing of a life before. */
static void opened_again(void)
{
    memset(side(0), 0, sizeof(*side(0)));
    REQUIRE(peer_open(&world.pair, 0) == CROSSVM_OK);
    world.begins = true;
    world.left_ahead_ns = world.ahead_ns;
    world.only = world.before[0] == 0 ? 0 : CROSSVM_PEER_CAUSE_RESTARTED;
}

/* The first life. Empty: side 1 waits. Full: nobody does. Wrapping: the highest incarnation. */
static void to_be_linked(enum crash_state state)
{
    made(state);
    world.seed = state == CRASH_WRAPPING ? 0x7fffffffu : 5;
    if (state != CRASH_FULL) {
        begins(1);
        CHECK_EQ(step(1), CROSSVM_PEER_WAITING);
    }
    opened_again();
}

/* The next life, with the seed of the last one, or with the highest. */
static void to_be_linked_again(enum crash_state state)
{
    up(state);
    world.seed = state == CRASH_WRAPPING ? 0x7fffffffu : world.before[0] >> 1;
    opened_again();
}

/* The next life; the last one has closed, and side 1 has seen it, or not (empty). */
static void to_be_linked_after_a_close(enum crash_state state)
{
    up(state);
    CHECK_EQ(crossvm_peer_close(side(0)), CROSSVM_OK);
    world.seed = world.before[0] >> 1;
    if (state != CRASH_EMPTY) {
        CHECK_EQ(step(1), CROSSVM_PEER_LOST);
        CHECK_EQ(crossvm_peer_reestablish(side(1)), CROSSVM_OK);
    }
    opened_again();
    world.only = 0;
}

/* Side 1's chunk was made anew, and its new life has answered before side 0 sees it. */
static void to_be_linked_to_another_chunk(enum crash_state state)
{
    up(state);
    struct crossvm_chunk chunk =
        test_find(&world.pair.regions[1].reader, "life", CROSSVM_KIND_PEER);
    REQUIRE(crossvm_region_owner_renew(&world.pair.regions[1].owner, &chunk) == CROSSVM_OK);
    CHECK_EQ(step(0), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(side(0)), CROSSVM_OK);
    begins(1);
    CHECK_EQ(step(1), CROSSVM_PEER_ANSWERING);
    world.seed = world.before[0] >> 1;
    world.begins = true;
    world.before[0] = 0;
}

/* Side 1 has a life, which side 0 is about to answer. Full: side 1 was up with the life before. */
static void to_answer(enum crash_state state)
{
    if (state == CRASH_FULL) {
        up(state);
        begins(0);
        lives(1);
    } else {
        made(state);
        begins(0);
        begins(1);
    }
    if (state != CRASH_EMPTY) {
        CHECK_EQ(step(1), CROSSVM_PEER_ANSWERING);
    }
}

/* Each has answered the other, and side 0 does not know yet. */
static void to_come_up(enum crash_state state)
{
    to_answer(state);
    questions_wrap(state);
    CHECK_EQ(step(0), CROSSVM_PEER_ANSWERING);
    (void)step(1);
    (void)step(1);
    CHECK_EQ(side(1)->state, CROSSVM_PEER_UP);
    are_up();
}

/* Side 1 has asked, and side 0 has seen it. Wrapping: the low word of the time has become small
 * since the last reply. */
static void to_reply(enum crash_state state)
{
    up(state);
    if (state == CRASH_WRAPPING) {
        CHECK(world.pair.now_ns < UINT32_MAX);
        world.pair.now_ns = UINT32_MAX - 4 * PEER_TICK;
    }
    for (unsigned n = 0; n < 4 && side(0)->to_reply == 0; n++) {
        (void)step(1);
        (void)step(0);
    }
    REQUIRE(side(0)->to_reply != 0);
    world.n_samples = 0;
    (void)step(1);
    world.pair.now_ns += state == CRASH_WRAPPING ? 3 * PEER_TICK : 0;
}

/* Side 1 has been silent for all but too long. */
static void to_suspect(enum crash_state state)
{
    up(state);
    for (unsigned n = 0; n < PEER_SILENCE / PEER_TICK + 1; n++) {
        CHECK_EQ(step(0), CROSSVM_PEER_UP);
    }
}

/* Each suspects the other; side 1 has beaten again. */
static void to_trust_again(enum crash_state state)
{
    to_suspect(state);
    CHECK_EQ(step(0), CROSSVM_PEER_SUSPECT);
    for (unsigned n = 0; n < 2 * PEER_SILENCE / PEER_TICK; n++) {
        (void)step(1);
    }
    CHECK_EQ(side(1)->state, CROSSVM_PEER_SUSPECT);
}

static void restarted(enum crash_state state)
{
    up(state);
    begins(1);
    if (state != CRASH_EMPTY) {
        CHECK_EQ(step(1), CROSSVM_PEER_ANSWERING);
    }
}

static void closed(enum crash_state state)
{
    up(state);
    CHECK_EQ(crossvm_peer_close(side(1)), CROSSVM_OK);
}

/* Side 1 takes side 0 for dead. */
static void dropped(enum crash_state state)
{
    up(state);
    CHECK_EQ(crossvm_peer_confirm(side(1), CROSSVM_PEER_CAUSE_BACKEND), CROSSVM_PEER_LOST);
}

static void renewed(enum crash_state state)
{
    up(state);
    struct crossvm_chunk chunk =
        test_find(&world.pair.regions[1].reader, "life", CROSSVM_KIND_PEER);
    REQUIRE(crossvm_region_owner_renew(&world.pair.regions[1].owner, &chunk) == CROSSVM_OK);
    if (state != CRASH_EMPTY) {
        begins(1);
    }
}

/* Side 0 begins anew because the other may live on. Empty: side 1 has not noticed anything; full:
 * it has lost side 0; wrapping: it answers the life that was, and is about to be over. */
static void to_mourn(enum crash_state state)
{
    up(state);
    CHECK_EQ(crossvm_peer_confirm(side(0), CROSSVM_PEER_CAUSE_APPLICATION), CROSSVM_PEER_LOST);
    if (state != CRASH_EMPTY) {
        CHECK_EQ(step(1), CROSSVM_PEER_LOST);
    }
    if (state == CRASH_WRAPPING) {
        CHECK_EQ(crossvm_peer_reestablish(side(1)), CROSSVM_OK);
        CHECK_EQ(step(1), CROSSVM_PEER_ANSWERING);
    }
    world.begins = true;
}

/* Side 0 keeps its life, because the one that it was up with is over. */
static void to_mourn_the_dead(enum crash_state state)
{
    restarted(state);
    CHECK_EQ(step(0), CROSSVM_PEER_LOST);
}

static void sends(uint64_t from, uint64_t n)
{
    for (uint64_t i = from; i < from + n; i++) {
        CHECK_EQ(peer_send(&world.pair.sides[0], i), CROSSVM_OK);
    }
}

/* Empty: nothing was sent. Full: some of it is drained already. */
static void to_close(enum crash_state state)
{
    up(state);
    peer_queues_up(&world.pair);
    world.has_queues = true;
    if (state != CRASH_EMPTY) {
        sends(0, N_SENT);
    }
    if (state == CRASH_FULL) {
        CHECK_EQ(drains(), CROSSVM_EMPTY);
        CHECK_EQ(world.n_received, N_SENT);
    }
}

static struct crossvm_chunk allocate(const char *name)
{
    struct crossvm_chunk chunk;
    const struct crossvm_chunk_decl decl = {
        name, CROSSVM_KIND_BYTES, 0, HELD_LEN, PARTY_A, PARTY_B, 0, 0};
    REQUIRE(crossvm_region_owner_allocate(&world.pair.regions[0].owner, &decl, &chunk) ==
            CROSSVM_OK);
    return chunk;
}

/* One chunk is held to be released, another one to be kept. */
static void to_settle(enum crash_state state)
{
    up(state);
    struct crossvm_chunk scratch = allocate("scratch");
    struct crossvm_chunk kept = allocate("kept");
    REQUIRE(crossvm_peer_holdings(side(0), world.table, 2) == CROSSVM_OK);
    CHECK_EQ(crossvm_peer_hold(side(0), &kept, CROSSVM_PEER_KEEP), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_hold(side(0), &scratch, CROSSVM_PEER_RELEASE), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_confirm(side(0), CROSSVM_PEER_CAUSE_BACKEND), CROSSVM_PEER_LOST);
}

/* ---- what side 0 does ------------------------------------------------------------------------ */

static int links(void)
{
    return peer_link(&world.pair, 0, world.seed) == CROSSVM_OK ? 1 : -1;
}

static int steps_into(int state)
{
    world.pair.now_ns += PEER_TICK;
    uint64_t now_ns = world.pair.now_ns + world.ahead_ns;
    return crossvm_peer_step(side(0), now_ns) == state ? 1 : -1;
}

static int answers(void)
{
    return steps_into(CROSSVM_PEER_ANSWERING);
}

static int comes_up(void)
{
    return steps_into(CROSSVM_PEER_UP);
}

/* No time is given. */
static int comes_up_without_a_clock(void)
{
    return crossvm_peer_step(side(0), 0) == CROSSVM_PEER_UP ? 1 : -1;
}

static int suspects(void)
{
    return steps_into(CROSSVM_PEER_SUSPECT);
}

static int loses(uint32_t cause)
{
    return steps_into(CROSSVM_PEER_LOST) == 1 && side(0)->cause == cause ? 1 : -1;
}

static int loses_one_that_restarted(void)
{
    return loses(CROSSVM_PEER_CAUSE_RESTARTED);
}

static int loses_one_that_closed(void)
{
    return loses(CROSSVM_PEER_CAUSE_CLOSED);
}

static int loses_one_that_dropped_it(void)
{
    return loses(CROSSVM_PEER_CAUSE_DROPPED);
}

static int loses_one_that_was_renewed(void)
{
    return loses(CROSSVM_PEER_CAUSE_RENEWED);
}

static int hears_from_the_backend(void)
{
    int status = crossvm_peer_confirm(side(0), CROSSVM_PEER_CAUSE_BACKEND);
    return status == CROSSVM_PEER_LOST ? 1 : -1;
}

static int hears_from_the_application(void)
{
    int status = crossvm_peer_confirm(side(0), CROSSVM_PEER_CAUSE_APPLICATION);
    return status == CROSSVM_PEER_LOST ? 1 : -1;
}

static int begins_anew(void)
{
    return crossvm_peer_reestablish(side(0)) == CROSSVM_OK ? 1 : -1;
}

/* Nothing of its own changes. */
static int goes_on_as_it_was(void)
{
    return crossvm_peer_reestablish(side(0)) == CROSSVM_OK ? 0 : -1;
}

/* Says its last words, then good-bye. */
static int sends_and_closes(void)
{
    sends(world.pair.sides[0].tx.tail, N_SENT_LAST);
    return crossvm_peer_close(side(0)) == CROSSVM_OK ? N_SENT_LAST + 1 : -1;
}

static int settles(void)
{
    return crossvm_peer_settle(side(0), &world.pair.regions[0].owner) == 1 ? 1 : -1;
}

/* ---- who survives ---------------------------------------------------------------------------- */

/* Side 0 is dead: what it left. */
static void is_left(void)
{
    const struct crossvm_peer_shm *words = peer_words(&world.pair, 0);
    world.is_dead = true;
    world.left = crossvm_load_relaxed(&words->incarnation);
    world.left_echo = crossvm_load_relaxed(&words->echo);
    if (world.left_ahead_ns == 0) {
        world.left_ahead_ns = world.ahead_ns;
    }
}

/* Side 1 has to begin a life itself, if its own is over. */
static void survivor_lives(void)
{
    if (side(1)->own == NULL || side(1)->state == CROSSVM_PEER_CLOSED ||
        crossvm_i_peer_own_stale(side(1))) {
        begins(1);
    }
}

/* Whether the operation has begun a life. A number that comes again then, with another one in
 * between, is the caller's to avoid. */
static bool has_begun(void)
{
    return world.left % 2 == 0 && world.left != world.before[0];
}

/* The next life of side 0 is another one than those that could be seen, and both come up and
 * exchange their times. */
static void next_life(uint32_t seed)
{
    world.is_dead = false;
    world.only = 0;
    world.ahead_ns += AHEAD_NS;
    memset(side(0), 0, sizeof(*side(0)));
    REQUIRE(peer_open(&world.pair, 0) == CROSSVM_OK);
    REQUIRE(peer_link(&world.pair, 0, seed) == CROSSVM_OK);
    CHECK(side(0)->incarnation != (world.left & ~1u));
    CHECK(has_begun() || side(0)->incarnation != world.before[0]);
    CHECK(world.before[0] == 0 || side(0)->incarnation != side(1)->echo);
    meets();
    world.n_samples = 0;
    for (unsigned n = 0; n < ROUNDS; n++) {
        CHECK_EQ(step(0), CROSSVM_PEER_UP);
        CHECK_EQ(step(1), CROSSVM_PEER_UP);
    }
    CHECK(world.n_samples != 0);
}

/* Both queues flow again, with nothing of the dead's in between. */
static void next_life_sends(void)
{
    peer_queues_open(&world.pair, 0);
    REQUIRE(peer_queues_link(&world.pair, 0));
    (void)drains();
    uint32_t n = world.n_received;
    sends(n, N_SENT);
    CHECK_EQ(drains(), CROSSVM_EMPTY);
    CHECK_EQ(world.n_received, n + N_SENT);
}

/* For as long as it takes to see all that the dead has left, and to suspect it. */
static void waits(void)
{
    for (unsigned n = 0; n < 3 * PEER_SILENCE / PEER_TICK; n++) {
        lives(1);
    }
    CHECK(side(1)->state != CROSSVM_PEER_UP);
}

/* With the seed of the life that died. */
static int comes_back_with_the_seed(void)
{
    is_left();
    survivor_lives();
    uint32_t seed = world.seed == 0 ? world.left >> 1 : world.seed;
    next_life(seed);
    return CRASH_UNSEEN;
}

/* With that of the life before. */
static int comes_back_with_an_old_seed(void)
{
    is_left();
    survivor_lives();
    next_life(has_begun() ? 78 : world.before[0] >> 1);
    return CRASH_UNSEEN;
}

/* Side 1 goes on, and then there is a next life. */
static void other_side_goes_on(void)
{
    waits();
    next_life(77);
}

/* Whether side 1 answers a life that was not there before. */
static int other_side_sees_a_life(void)
{
    is_left();
    survivor_lives();
    uint32_t old = world.before[0];
    for (unsigned n = 0; n < 4; n++) {
        lives(1);
    }
    bool seen = side(1)->echo != 0 && side(1)->echo != old;
    other_side_goes_on();
    return seen;
}

/* Of a side whose own life may not have been the one before: it looks at the word that it reads. */
static int other_side_sees_another_life(void)
{
    uint32_t old = side(0)->incarnation;
    is_left();
    for (unsigned n = 0; n < 4; n++) {
        lives(1);
    }
    bool seen = side(1)->echo != 0 && side(1)->echo != old;
    other_side_goes_on();
    return seen;
}

static int other_side_is_answered(void)
{
    is_left();
    for (unsigned n = 0; n < 3; n++) {
        lives(1);
    }
    bool seen = is_up(1);
    other_side_goes_on();
    return seen;
}

static int other_side_is_asked(void)
{
    is_left();
    uint32_t question = side(0)->question + 1 == 0 ? 1 : side(0)->question + 1;
    lives(1);
    lives(1);
    bool seen = crossvm_load_relaxed(&side(1)->own->reply) == question;
    other_side_goes_on();
    return seen;
}

static int other_side_has_its_reply(void)
{
    is_left();
    for (unsigned n = 0; n < 3; n++) {
        lives(1);
    }
    int seen = (int)world.n_samples;
    other_side_goes_on();
    return seen;
}

static int other_side_trusts_again(void)
{
    is_left();
    bool seen = step(1) == CROSSVM_PEER_UP;
    other_side_goes_on();
    return seen;
}

static int other_side_is_dropped(void)
{
    is_left();
    bool seen = step(1) == CROSSVM_PEER_LOST;
    CHECK(!seen || side(1)->cause == CROSSVM_PEER_CAUSE_DROPPED);
    if (seen) {
        CHECK_EQ(crossvm_peer_reestablish(side(1)), CROSSVM_OK);
    }
    other_side_goes_on();
    return seen;
}

static int other_side_goes_on_unseeing(void)
{
    is_left();
    survivor_lives();
    if (side(1)->state == CROSSVM_PEER_LOST) {
        CHECK_EQ(crossvm_peer_reestablish(side(1)), CROSSVM_OK);
    }
    other_side_goes_on();
    return CRASH_UNSEEN;
}

/* Whoever reads the words. */
static int watcher_counts_beats(void)
{
    uint32_t beat = crossvm_load_relaxed(&peer_words(&world.pair, 0)->beat);
    return (int)(beat - side(0)->beat);
}

static int watcher_sees_no_answer(void)
{
    return crossvm_load_relaxed(&peer_words(&world.pair, 0)->echo) == 0;
}

/* The last elements, then the end; or only elements, as far as they were committed. */
static int other_side_drains(void)
{
    is_left();
    unsigned n_before = world.n_received;
    unsigned n_there = (unsigned)(world.pair.sides[0].tx.tail - n_before);
    bool over = step(1) == CROSSVM_PEER_LOST;
    CHECK(!over || side(1)->cause == CROSSVM_PEER_CAUSE_CLOSED);
    CHECK_EQ(drains(), over ? CROSSVM_ENDED : CROSSVM_EMPTY);
    unsigned n = world.n_received - n_before - n_there;
    CHECK(!over || n == N_SENT_LAST);
    if (over) {
        CHECK_EQ(crossvm_peer_reestablish(side(1)), CROSSVM_OK);
    }
    other_side_goes_on();
    next_life_sends();
    return (int)(n + over);
}

static int closer_comes_back(void)
{
    (void)comes_back_with_an_old_seed();
    next_life_sends();
    return CRASH_UNSEEN;
}

static int find(const char *name)
{
    struct crossvm_chunk chunk;
    return crossvm_region_find(&world.pair.regions[0].reader, name, CROSSVM_KIND_BYTES, 0, &chunk);
}

static int other_side_finds(void)
{
    is_left();
    int status = find("scratch");
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
    CHECK_EQ(find("kept"), CROSSVM_OK);
    other_side_goes_on();
    return status == CROSSVM_NOT_FOUND;
}

/* The next life adopts the region; what it finds it holds again, and settles at the next loss. */
static int settler_comes_back(void)
{
    struct peer_plan made_by;
    struct test_region *region = &world.pair.regions[0];
    is_left();
    peer_plan_make(&made_by, 0);
    REQUIRE(crossvm_region_owner_adopt(&region->owner, &region->writable, &made_by.plan,
                                       region->table, TEST_TABLE_LEN) == CROSSVM_OK);
    next_life(world.before[0] >> 1);
    struct crossvm_chunk chunk;
    int status =
        crossvm_region_find(&region->owner.region, "scratch", CROSSVM_KIND_BYTES, 0, &chunk);
    REQUIRE(crossvm_peer_holdings(side(0), world.table, 2) == CROSSVM_OK);
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_peer_hold(side(0), &chunk, CROSSVM_PEER_RELEASE), CROSSVM_OK);
    }
    CHECK_EQ(crossvm_peer_confirm(side(0), CROSSVM_PEER_CAUSE_BACKEND), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_settle(side(0), &region->owner), status == CROSSVM_OK);
    CHECK_EQ(find("scratch"), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("kept"), CROSSVM_OK);
    return status == CROSSVM_NOT_FOUND;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct crash_operation operations[] = {
    {"crossvm_peer_link",
     CRASH_EACH,
     to_be_linked,
     links,
     {{"the other side goes on", other_side_sees_a_life},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_link",
     CRASH_EACH,
     to_be_linked_again,
     links,
     {{"the other side goes on", other_side_sees_a_life},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_link",
     CRASH_EACH,
     to_be_linked_after_a_close,
     links,
     {{"the other side goes on", other_side_sees_a_life},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_link",
     CRASH_EACH,
     to_be_linked_to_another_chunk,
     links,
     {{"the other side goes on", other_side_sees_another_life},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     to_answer,
     answers,
     {{"the other side goes on", other_side_is_answered},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     to_come_up,
     comes_up,
     {{"the other side goes on", other_side_is_asked},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     to_come_up,
     comes_up_without_a_clock,
     {{"a watcher", watcher_counts_beats},
      {"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     to_reply,
     comes_up,
     {{"the other side goes on", other_side_has_its_reply},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     to_suspect,
     suspects,
     {{"a watcher", watcher_counts_beats},
      {"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     to_trust_again,
     comes_up,
     {{"the other side goes on", other_side_trusts_again},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     restarted,
     loses_one_that_restarted,
     {{"a watcher", watcher_sees_no_answer},
      {"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     closed,
     loses_one_that_closed,
     {{"a watcher", watcher_sees_no_answer},
      {"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     dropped,
     loses_one_that_dropped_it,
     {{"a watcher", watcher_sees_no_answer},
      {"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_step",
     CRASH_EACH,
     renewed,
     loses_one_that_was_renewed,
     {{"a watcher", watcher_sees_no_answer},
      {"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_confirm",
     CRASH_EACH,
     up,
     hears_from_the_backend,
     {{"the other side goes on", other_side_is_dropped},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_confirm",
     CRASH_EACH,
     up,
     hears_from_the_application,
     {{"the other side goes on", other_side_is_dropped},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_reestablish",
     CRASH_EACH,
     to_mourn,
     begins_anew,
     {{"the other side goes on", other_side_sees_another_life},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_reestablish",
     CRASH_EACH,
     to_mourn_the_dead,
     goes_on_as_it_was,
     {{"the other side goes on", other_side_goes_on_unseeing},
      {"it comes back", comes_back_with_the_seed},
      {"it comes back, an old seed", comes_back_with_an_old_seed}},
     false},
    {"crossvm_peer_close",
     CRASH_EACH,
     to_close,
     sends_and_closes,
     {{"the other side drains", other_side_drains}, {"it comes back", closer_comes_back}},
     true},
    {"crossvm_peer_settle",
     CRASH_EACH,
     to_settle,
     settles,
     {{"the other side finds", other_side_finds}, {"it comes back", settler_comes_back}},
     false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
