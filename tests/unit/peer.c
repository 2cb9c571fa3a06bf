/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers: every row of peer.h's table, and what follows from them: who is up with whom, what of the
 * dead is drained, when silence becomes suspicion and when not, what is released with a peer.
 */
#include "../support/peer.h"

static struct peer_pair pair;

/* ---- the table, row by row -------------------------------------------------------------------- */

enum {
    N_STATES = 6,
    N_SIGNS = 7,
    LIFE = 100,  /* the scripted peer's */
    LATER = 200, /* its next one */
    STAYS = 99   /* the state is as before */
};

/* What the scripted peer, side 1, has to write so that side 0 sees the sign. */
static void sign_none(void)
{
    crossvm_store_relaxed(&peer_words(&pair, 1)->incarnation, LIFE | 1u);
}

static void sign_other(void)
{
    crossvm_store_relaxed(&peer_words(&pair, 1)->echo, 0);
    crossvm_store_relaxed(&peer_words(&pair, 1)->incarnation, LATER);
}

static void sign_unanswered(void)
{
    crossvm_store_relaxed(&peer_words(&pair, 1)->incarnation, LIFE);
    crossvm_store_relaxed(&peer_words(&pair, 1)->echo, pair.sides[0].peer.incarnation + 2);
}

static void sign_alive(void)
{
    struct crossvm_peer_shm *words = peer_words(&pair, 1);
    crossvm_store_relaxed(&words->incarnation, LIFE);
    crossvm_store_relaxed(&words->echo, pair.sides[0].peer.incarnation);
    crossvm_store_relaxed(&words->beat, crossvm_load_relaxed(&words->beat) + 1);
}

/* Nothing is to be seen of the peer, for as many steps as it takes. */
static void sign_silent(void)
{
    struct crossvm_peer *peer = &pair.sides[0].peer;
    sign_none();
    while (peer->state != CROSSVM_PEER_SUSPECT &&
           pair.now_ns + PEER_TICK - peer->moved_ns <= PEER_SILENCE) {
        CHECK(peer_step(&pair, 0) >= 0);
    }
}

static void sign_closed(void)
{
    crossvm_store_relaxed(&peer_words(&pair, 1)->incarnation, LIFE);
    crossvm_store_relaxed(&peer_words(&pair, 1)->closed, LIFE);
}

static void sign_gone(void)
{
    struct crossvm_chunk chunk = test_find(&pair.regions[1].reader, "life", CROSSVM_KIND_PEER);
    REQUIRE(crossvm_region_owner_renew(&pair.regions[1].owner, &chunk) == CROSSVM_OK);
}

static void (*const show[N_SIGNS])(void) = {sign_none,   sign_other,  sign_unanswered, sign_alive,
                                            sign_silent, sign_closed, sign_gone};

/* Brings side 0 into a state, beside the scripted peer. */
static void reach(uint32_t state)
{
    peer_make(&pair);
    peer_begin(&pair, 0);
    if (state >= CROSSVM_PEER_ANSWERING) {
        crossvm_store_relaxed(&peer_words(&pair, 1)->incarnation, LIFE);
        REQUIRE(peer_step(&pair, 0) == CROSSVM_PEER_ANSWERING);
    }
    if (state >= CROSSVM_PEER_UP) {
        sign_alive();
        REQUIRE(peer_step(&pair, 0) == CROSSVM_PEER_UP);
    }
    if (state == CROSSVM_PEER_SUSPECT) {
        sign_silent();
        REQUIRE(peer_step(&pair, 0) == CROSSVM_PEER_SUSPECT);
    }
    if (state == CROSSVM_PEER_LOST) {
        sign_closed();
        REQUIRE(peer_step(&pair, 0) == CROSSVM_PEER_LOST);
    }
    if (state == CROSSVM_PEER_CLOSED) {
        REQUIRE(crossvm_peer_close(&pair.sides[0].peer) == CROSSVM_OK);
    }
}

/* The sign that side 0 would see now. */
static uint32_t sign_now(void)
{
    struct crossvm_peer copy = pair.sides[0].peer;
    struct crossvm_i_peer_look look;
    crossvm_i_peer_look_at(&copy, &look);
    return crossvm_i_peer_sign(&copy, &look, pair.now_ns + PEER_TICK);
}

struct row {
    uint32_t state;
    uint32_t sign;
    uint32_t next;  /* STAYS, or the state */
    uint32_t cause; /* of a loss */
};

static void check_row(const struct row *row)
{
    struct crossvm_peer *peer = &pair.sides[0].peer;
    reach(row->state);
    uint32_t cause = peer->cause;
    show[row->sign]();
    if (row->state != CROSSVM_PEER_CLOSED) {
        CHECK_EQ(sign_now(), row->sign);
    }
    uint32_t before = crossvm_load_relaxed(&peer->own->echo);
    int answer = peer_step(&pair, 0);
    uint32_t next = row->next == STAYS ? row->state : row->next;
    CHECK_EQ(peer->state, next);
    bool anew = row->sign == CROSSVM_PEER_SIGN_GONE && next == CROSSVM_PEER_WAITING;
    CHECK_EQ(answer, anew ? CROSSVM_STALE : (int)next);
    /* What is done on the way: an echo is written, taken back, or left alone. */
    uint32_t echo = before;
    if (row->next == CROSSVM_PEER_ANSWERING) {
        echo = LATER;
    } else if (row->next == CROSSVM_PEER_LOST) {
        echo = 0;
    }
    CHECK_EQ(crossvm_load_relaxed(&peer->own->echo), echo);
    CHECK_EQ(peer->cause, row->next == CROSSVM_PEER_LOST ? row->cause : cause);
    printf("  %s, sign %u: %s\n", crossvm_peer_state_name(row->state), (unsigned)row->sign,
           crossvm_peer_state_name(peer->state));
    peer_drop(&pair);
}

static void every_row_of_the_table(void)
{
    enum {
        W = CROSSVM_PEER_WAITING,
        A = CROSSVM_PEER_ANSWERING,
        U = CROSSVM_PEER_UP,
        S = CROSSVM_PEER_SUSPECT,
        L = CROSSVM_PEER_LOST,
        C = CROSSVM_PEER_CLOSED
    };
    /* By state, then NONE OTHER UNANSWERED ALIVE SILENT CLOSED GONE. Without an echo (WAITING, LOST)
     * no life can be unanswered, alive or closed. */
    static const struct row rows[] = {
        {W, 0, STAYS, 0},
        {W, 1, A, 0},
        {W, 4, STAYS, 0},
        {W, 6, STAYS, 0},

        {A, 0, STAYS, 0},
        {A, 1, L, CROSSVM_PEER_CAUSE_RESTARTED},
        {A, 2, STAYS, 0},
        {A, 3, U, 0},
        {A, 4, STAYS, 0},
        {A, 5, L, CROSSVM_PEER_CAUSE_CLOSED},
        {A, 6, L, CROSSVM_PEER_CAUSE_RENEWED},

        {U, 0, STAYS, 0},
        {U, 1, L, CROSSVM_PEER_CAUSE_RESTARTED},
        {U, 2, L, CROSSVM_PEER_CAUSE_DROPPED},
        {U, 3, STAYS, 0},
        {U, 4, S, 0},
        {U, 5, L, CROSSVM_PEER_CAUSE_CLOSED},
        {U, 6, L, CROSSVM_PEER_CAUSE_RENEWED},

        {S, 1, L, CROSSVM_PEER_CAUSE_RESTARTED},
        {S, 2, L, CROSSVM_PEER_CAUSE_DROPPED},
        {S, 3, U, 0},
        {S, 4, STAYS, 0},
        {S, 5, L, CROSSVM_PEER_CAUSE_CLOSED},
        {S, 6, L, CROSSVM_PEER_CAUSE_RENEWED},

        {L, 0, STAYS, 0},
        {L, 1, STAYS, 0},
        {L, 4, STAYS, 0},
        {L, 6, STAYS, 0},

        {C, 0, STAYS, 0},
        {C, 1, STAYS, 0},
        {C, 2, STAYS, 0},
        {C, 3, STAYS, 0},
        {C, 4, STAYS, 0},
        {C, 5, STAYS, 0},
        {C, 6, STAYS, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i]);
    }
}

/* What no words can bring about stays where it is, too. */
static void rows_that_cannot_be(void)
{
    for (uint32_t sign = CROSSVM_PEER_SIGN_UNANSWERED; sign < N_SIGNS; sign++) {
        CHECK_EQ(crossvm_i_peer_next(CROSSVM_PEER_WAITING, sign), CROSSVM_PEER_WAITING);
        CHECK_EQ(crossvm_i_peer_next(CROSSVM_PEER_LOST, sign), CROSSVM_PEER_LOST);
        CHECK_EQ(crossvm_i_peer_next(CROSSVM_PEER_CLOSED, sign), CROSSVM_PEER_CLOSED);
    }
    CHECK_EQ(crossvm_i_peer_next(CROSSVM_PEER_SUSPECT, CROSSVM_PEER_SIGN_NONE),
             CROSSVM_PEER_SUSPECT);
}

/* ---- attach and establish -------------------------------------------------------------------- */

static void two_sides_come_up_in_either_order(void)
{
    for (uint32_t first = 0; first < 2; first++) {
        peer_make(&pair);
        peer_begin(&pair, first);
        for (unsigned i = 0; i < 5; i++) {
            CHECK_EQ(peer_step(&pair, first), CROSSVM_PEER_WAITING);
            CHECK_EQ(crossvm_peer_ready(&pair.sides[first].peer), CROSSVM_NOT_YET);
        }
        peer_begin(&pair, 1 - first);
        peer_meet(&pair);
        CHECK_EQ(crossvm_peer_ready(&pair.sides[0].peer), CROSSVM_OK);
        CHECK_EQ(pair.sides[0].peer.echo, pair.sides[1].peer.incarnation);
        CHECK_EQ(pair.sides[1].peer.echo, pair.sides[0].peer.incarnation);
        peer_drop(&pair);
    }
}

/* Both sides' words are those of an earlier boot that was up; only one side boots again. */
static void memory_of_an_earlier_boot_is_no_live_peer(void)
{
    peer_up(&pair);
    peer_begin(&pair, 0);
    for (unsigned i = 0; i < 50; i++) {
        int state = peer_step(&pair, 0);
        CHECK(state == CROSSVM_PEER_ANSWERING);
    }
    /* The dead one comes at last: first its old life is lost, then the new one is up. */
    peer_begin(&pair, 1);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    CHECK_EQ(pair.sides[0].peer.cause, CROSSVM_PEER_CAUSE_RESTARTED);
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_ANSWERING);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    peer_meet(&pair);
    peer_drop(&pair);
}

/* The seed repeats, and the old memory answers just the number that it would give. */
static void a_repeated_seed_is_no_repeated_life(void)
{
    peer_up(&pair);
    uint32_t before = pair.sides[0].peer.incarnation;
    CHECK_EQ(crossvm_load_relaxed(&peer_words(&pair, 1)->echo), before);
    REQUIRE(peer_open(&pair, 0) == CROSSVM_OK);
    REQUIRE(peer_link(&pair, 0, before >> 1) == CROSSVM_OK);
    CHECK(pair.sides[0].peer.incarnation != before);

    /* Own memory was cleared meanwhile: only the peer's echo still says which number was. */
    crossvm_store_relaxed(&peer_words(&pair, 0)->incarnation, 0);
    REQUIRE(peer_open(&pair, 0) == CROSSVM_OK);
    REQUIRE(peer_link(&pair, 0, before >> 1) == CROSSVM_OK);
    CHECK(pair.sides[0].peer.incarnation != before);
    CHECK(pair.sides[0].peer.incarnation != 0 && pair.sides[0].peer.incarnation % 2 == 0);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_ANSWERING);

    /* And the other way round: the peer's echo is gone. */
    before = pair.sides[0].peer.incarnation;
    crossvm_store_relaxed(&peer_words(&pair, 1)->echo, 0);
    REQUIRE(peer_open(&pair, 0) == CROSSVM_OK);
    REQUIRE(peer_link(&pair, 0, before >> 1) == CROSSVM_OK);
    CHECK(pair.sides[0].peer.incarnation != before);
    crossvm_store_relaxed(&peer_words(&pair, 1)->echo, LATER);
    REQUIRE(peer_open(&pair, 0) == CROSSVM_OK);
    REQUIRE(peer_link(&pair, 0, 0x80000000u) == CROSSVM_OK);
    CHECK(pair.sides[0].peer.incarnation != 0);
    peer_drop(&pair);
}

/* Own memory still answers the peer that the life before was up with. */
static void a_new_life_has_answered_nobody(void)
{
    peer_up(&pair);
    peer_begin(&pair, 0);
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[1].peer), CROSSVM_OK);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_ANSWERING);
    }
    peer_meet(&pair);
    peer_drop(&pair);
}

/* A good-bye, a life that nobody sees, and one that gets the number of the life that said it. */
static void a_life_is_not_born_closed(void)
{
    peer_up(&pair);
    uint32_t seed = pair.sides[0].peer.incarnation >> 1;
    CHECK_EQ(crossvm_peer_close(&pair.sides[0].peer), CROSSVM_OK);
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[1].peer), CROSSVM_OK);
    for (unsigned life = 0; life < 2; life++) {
        REQUIRE(peer_open(&pair, 0) == CROSSVM_OK);
        REQUIRE(peer_link(&pair, 0, seed) == CROSSVM_OK);
    }
    CHECK_EQ(pair.sides[0].peer.incarnation, seed << 1);
    peer_meet(&pair);
    peer_drop(&pair);
}

/* The peer comes after a long time of waiting, and its beat stands where it stood. */
static void waiting_is_not_held_against_a_peer(void)
{
    peer_make(&pair);
    peer_begin(&pair, 0);
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_WAITING);
    }
    crossvm_store_relaxed(&peer_words(&pair, 1)->incarnation, LIFE);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_ANSWERING);
    crossvm_store_relaxed(&peer_words(&pair, 1)->echo, pair.sides[0].peer.incarnation);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_UP);
    peer_drop(&pair);
}

/* The backend knows of a death. What the dead one left is answered in vain, until its next life. */
static void the_dead_do_not_come_up_again(void)
{
    reach(CROSSVM_PEER_UP);
    CHECK_EQ(crossvm_peer_confirm(&pair.sides[0].peer, CROSSVM_PEER_CAUSE_BACKEND),
             CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_ANSWERING);
    }
    sign_other();
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_ANSWERING);
    peer_drop(&pair);
}

/* It lives, and was away while this side took it for dead, and went on to a life of its own. */
static void a_death_that_was_none_and_was_not_noticed(void)
{
    peer_up(&pair);
    CHECK_EQ(crossvm_peer_confirm(&pair.sides[0].peer, CROSSVM_PEER_CAUSE_BACKEND),
             CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_LOST);
    CHECK_EQ(pair.sides[1].peer.cause, CROSSVM_PEER_CAUSE_RESTARTED);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[1].peer), CROSSVM_OK);
    peer_meet(&pair);
    peer_drop(&pair);
}

static void what_does_not_fit_is_refused(void)
{
    struct crossvm_peer peer;
    peer_make(&pair);
    struct crossvm_region *a = &pair.regions[0].owner.region;
    struct crossvm_region *b = &pair.regions[1].reader;
    struct crossvm_chunk own = test_find(&pair.regions[0].reader, "life", CROSSVM_KIND_PEER);
    struct crossvm_chunk other = test_find(b, "life", CROSSVM_KIND_PEER);
    struct crossvm_chunk queue = test_find(b, "to-a", CROSSVM_KIND_SPSC_TX);
    CHECK_EQ(crossvm_peer_open(&peer, a, &queue, 0), CROSSVM_TYPE);
    CHECK_EQ(crossvm_peer_open(&peer, b, &other, 0), CROSSVM_ROLE);
    CHECK_EQ(crossvm_peer_open(&peer, &pair.regions[0].reader, &own, 0), CROSSVM_ROLE);
    REQUIRE(crossvm_peer_open(&peer, a, &own, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_peer_step(&peer, 1), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_peer_close(&peer), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_peer_confirm(&peer, CROSSVM_PEER_CAUSE_BACKEND), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_peer_link(&peer, b, &queue, 1), CROSSVM_TYPE);
    CHECK_EQ(crossvm_peer_link(&peer, a, &own, 1), CROSSVM_MISMATCH);
    peer.link_id++;
    CHECK_EQ(crossvm_peer_link(&peer, b, &other, 1), CROSSVM_MISMATCH);
    peer.link_id--;
    CHECK_EQ(crossvm_load_relaxed(&peer_words(&pair, 0)->incarnation), 0);
    REQUIRE(crossvm_peer_link(&peer, b, &other, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_peer_confirm(&peer, CROSSVM_PEER_CAUSE_CLOSED), CROSSVM_INVALID);
    CHECK_EQ(crossvm_peer_confirm(&peer, CROSSVM_PEER_CAUSE_BACKEND), CROSSVM_PEER_WAITING);
    CHECK_EQ(crossvm_peer_reestablish(&peer), CROSSVM_INVALID);
    peer_drop(&pair);
}

static void a_chunk_that_was_made_anew_is_linked_anew(void)
{
    peer_up(&pair);
    uint32_t life = pair.sides[0].peer.incarnation;
    sign_gone();
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    CHECK_EQ(pair.sides[0].peer.cause, CROSSVM_PEER_CAUSE_RENEWED);
    CHECK_EQ(peer_link(&pair, 0, 5), CROSSVM_INVALID);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_STALE);
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_STALE);
    REQUIRE(peer_link(&pair, 0, 5) == CROSSVM_OK);
    CHECK_EQ(pair.sides[0].peer.incarnation, life);
    peer_begin(&pair, 1);
    peer_meet(&pair);

    /* The new chunk holds an answer before anybody could give one: it is not believed. */
    sign_gone();
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    crossvm_store_relaxed(&peer_words(&pair, 1)->echo, life);
    REQUIRE(peer_link(&pair, 0, life >> 1) == CROSSVM_OK);
    CHECK(pair.sides[0].peer.incarnation != life);
    peer_drop(&pair);
}

static void own_words_that_are_gone_are_not_written(void)
{
    peer_up(&pair);
    struct crossvm_chunk own = test_find(&pair.regions[0].reader, "life", CROSSVM_KIND_PEER);
    REQUIRE(crossvm_region_owner_renew(&pair.regions[0].owner, &own) == CROSSVM_OK);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_STALE);
    CHECK_EQ(crossvm_peer_close(&pair.sides[0].peer), CROSSVM_STALE);
    CHECK_EQ(crossvm_peer_confirm(&pair.sides[0].peer, CROSSVM_PEER_CAUSE_BACKEND), CROSSVM_STALE);
    CHECK_EQ(crossvm_load_relaxed(&peer_words(&pair, 0)->beat), 0);
    CHECK_EQ(crossvm_load_relaxed(&peer_words(&pair, 0)->closed), 0);
    peer_drop(&pair);
}

/* ---- suspicion ------------------------------------------------------------------------------- */

static void silence_is_suspected_and_a_beat_takes_it_back(void)
{
    peer_up(&pair);
    peer_queues_up(&pair);
    CHECK_EQ(peer_send(&pair.sides[0], 1), CROSSVM_OK);
    unsigned n_steps = 0;
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_UP); /* the last beat that there is */
    while (peer_step(&pair, 0) == CROSSVM_PEER_UP && n_steps < 100) {
        n_steps++;
    }
    CHECK_EQ(n_steps, PEER_SILENCE / PEER_TICK);
    CHECK_EQ(pair.sides[0].peer.state, CROSSVM_PEER_SUSPECT);
    /* Suspicion stops nothing. */
    CHECK_EQ(peer_send(&pair.sides[0], 2), CROSSVM_OK);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_SUSPECT);
    }
    pair.now_ns += 50 * PEER_SILENCE; /* nor does an absence of one's own take it back */
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_SUSPECT);
    /* The suspended side comes back, finds a gap of its own, and blames nobody. */
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_UP);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_UP);
    uint64_t number = 0;
    CHECK_EQ(peer_receive(&pair.sides[1], &number), CROSSVM_OK);
    CHECK_EQ(number, 1);
    CHECK_EQ(peer_receive(&pair.sides[1], &number), CROSSVM_OK);
    CHECK_EQ(number, 2);
    peer_drop(&pair);
}

static void a_clock_that_misbehaves_suspects_nobody(void)
{
    peer_up(&pair);
    struct crossvm_peer *peer = &pair.sides[0].peer;
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(crossvm_peer_step(peer, pair.now_ns), CROSSVM_PEER_UP); /* it stands still */
    }
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(crossvm_peer_step(peer, 0), CROSSVM_PEER_UP); /* there is none */
    }
    uint64_t now_ns = UINT64_MAX - 50 * PEER_SILENCE;
    for (unsigned i = 0; i < 100; i++) {
        now_ns += PEER_SILENCE; /* it wraps, and each step is a gap of its own */
        CHECK_EQ(crossvm_peer_step(peer, now_ns), CROSSVM_PEER_UP);
    }
    for (unsigned i = 0; i < 40; i++) {
        now_ns -= PEER_TICK; /* it goes backward */
        CHECK_EQ(crossvm_peer_step(peer, now_ns), CROSSVM_PEER_UP);
    }
    peer->silence_ns = 0;
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_UP); /* for ever */
    }
    peer_drop(&pair);
}

/* ---- loss: drained, ended, re-established --------------------------------------------------------- */

/* Side 1 has sent 1 to 5 and is lost for a cause; side 0 gets all five, then the end, and what the
 * next life sends only then. */
static void check_drained(uint32_t cause)
{
    struct peer_side *a = &pair.sides[0];
    uint64_t number = 0;
    CHECK_EQ(a->peer.state, CROSSVM_PEER_LOST);
    CHECK_EQ(a->peer.cause, cause);
    CHECK_EQ(peer_send(a, 9), CROSSVM_ENDED);
    CHECK(peer_send(&pair.sides[1], 6) < 0);
    for (uint64_t i = 1; i <= 5; i++) {
        CHECK_EQ(peer_receive(a, &number), CROSSVM_OK);
        CHECK_EQ(number, i);
    }
    CHECK_EQ(peer_receive(a, &number), CROSSVM_ENDED);
    CHECK_EQ(peer_receive(a, &number), CROSSVM_ENDED);
    CHECK_EQ(crossvm_peer_reestablish(&a->peer), CROSSVM_OK);
    CHECK_EQ(peer_receive(a, &number), CROSSVM_EMPTY);
}

static void send_five(void)
{
    peer_up(&pair);
    peer_queues_up(&pair);
    for (uint64_t i = 1; i <= 5; i++) {
        CHECK_EQ(peer_send(&pair.sides[1], i), CROSSVM_OK);
    }
}

static void check_next_life(void)
{
    uint64_t number = 0;
    peer_meet(&pair);
    CHECK_EQ(peer_send(&pair.sides[1], 7), CROSSVM_OK);
    CHECK_EQ(peer_receive(&pair.sides[0], &number), CROSSVM_OK);
    CHECK_EQ(number, 7);
    peer_drop(&pair);
}

static void a_restarted_peer_is_drained_first(void)
{
    send_five();
    peer_begin(&pair, 1);
    peer_queues_open(&pair, 1);
    REQUIRE(peer_queues_link(&pair, 1));
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_ANSWERING);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    check_drained(CROSSVM_PEER_CAUSE_RESTARTED);
    check_next_life();
}

static void a_peer_that_closes_is_drained_first(void)
{
    send_five();
    CHECK_EQ(crossvm_peer_close(&pair.sides[1].peer), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_ready(&pair.sides[1].peer), CROSSVM_ENDED);
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_CLOSED);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    check_drained(CROSSVM_PEER_CAUSE_CLOSED);
    /* A closed life is not answered again, however often it is looked at. */
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_WAITING);
    }
    peer_begin(&pair, 1);
    peer_queues_open(&pair, 1);
    REQUIRE(peer_queues_link(&pair, 1));
    check_next_life();
}

static void a_death_that_the_backend_knows_is_drained_first(void)
{
    send_five();
    CHECK_EQ(crossvm_peer_confirm(&pair.sides[0].peer, CROSSVM_PEER_CAUSE_BACKEND),
             CROSSVM_PEER_LOST);
    /* It was alive all the same, and learns that it was dropped. */
    CHECK_EQ(peer_step(&pair, 1), CROSSVM_PEER_LOST);
    CHECK_EQ(pair.sides[1].peer.cause, CROSSVM_PEER_CAUSE_DROPPED);
    check_drained(CROSSVM_PEER_CAUSE_BACKEND);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[1].peer), CROSSVM_OK);
    check_next_life();
}

/* Each takes the other for dead, and both are wrong. */
static void two_that_drop_each_other_meet_again(void)
{
    peer_up(&pair);
    for (uint32_t side = 0; side < 2; side++) {
        CHECK_EQ(crossvm_peer_confirm(&pair.sides[side].peer, CROSSVM_PEER_CAUSE_APPLICATION),
                 CROSSVM_PEER_LOST);
    }
    for (uint32_t side = 0; side < 2; side++) {
        CHECK_EQ(crossvm_peer_reestablish(&pair.sides[side].peer), CROSSVM_OK);
    }
    peer_meet(&pair);
    peer_drop(&pair);
}

/* A side that answered a life may have been up on its side: its successor is not let in unseen. */
static void a_life_that_was_only_answered_is_lost_too(void)
{
    peer_make(&pair);
    peer_begin(&pair, 0);
    peer_begin(&pair, 1);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_ANSWERING);
    peer_begin(&pair, 1);
    CHECK_EQ(peer_step(&pair, 0), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(&pair.sides[0].peer), CROSSVM_OK);
    peer_meet(&pair);
    peer_drop(&pair);
}

/* ---- what an owner holds for a peer -------------------------------------------------------------- */

static struct crossvm_chunk allocate(const char *name)
{
    const struct crossvm_chunk_decl decl = {name, CROSSVM_KIND_BYTES, 0, 4000, PARTY_B, PARTY_A, 0,
                                            0};
    struct crossvm_chunk chunk;
    REQUIRE(crossvm_region_owner_allocate(&pair.regions[0].owner, &decl, &chunk) == CROSSVM_OK);
    return chunk;
}

static int find(const char *name)
{
    struct crossvm_chunk chunk;
    return crossvm_region_find(&pair.regions[0].reader, name, CROSSVM_KIND_BYTES, 0, &chunk);
}

static void what_was_held_is_released_or_kept(void)
{
    struct crossvm_peer_holding table[3];
    peer_up(&pair);
    struct crossvm_peer *peer = &pair.sides[0].peer;
    struct crossvm_region_owner *owner = &pair.regions[0].owner;
    CHECK_EQ(crossvm_peer_holdings(peer, table, CROSSVM_CAPACITY_MAX + 1), CROSSVM_INVALID);
    REQUIRE(crossvm_peer_holdings(peer, table, 3) == CROSSVM_OK);
    const struct crossvm_chunk scratch = allocate("scratch");
    const struct crossvm_chunk state = allocate("state");
    const struct crossvm_chunk gone = allocate("gone");
    CHECK_EQ(crossvm_peer_hold(peer, &scratch, CROSSVM_PEER_RELEASE), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_hold(peer, &state, CROSSVM_PEER_RELEASE), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_hold(peer, &state, CROSSVM_PEER_KEEP), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_hold(peer, &gone, CROSSVM_PEER_RELEASE), CROSSVM_OK);
    const struct crossvm_chunk more = allocate("more");
    CHECK_EQ(crossvm_peer_hold(peer, &more, CROSSVM_PEER_KEEP), CROSSVM_NO_SPACE);
    CHECK_EQ(crossvm_peer_hold(peer, &scratch, 2), CROSSVM_INVALID);
    REQUIRE(crossvm_region_owner_release(owner, &gone) == CROSSVM_OK);

    /* While it lives, and while it is only suspected, nothing is freed. */
    CHECK_EQ(crossvm_peer_settle(peer, owner), CROSSVM_NOT_YET);
    while (peer_step(&pair, 0) == CROSSVM_PEER_UP) {
    }
    CHECK_EQ(peer->state, CROSSVM_PEER_SUSPECT);
    CHECK_EQ(crossvm_peer_settle(peer, owner), CROSSVM_NOT_YET);
    CHECK_EQ(find("scratch"), CROSSVM_OK);

    CHECK_EQ(crossvm_peer_confirm(peer, CROSSVM_PEER_CAUSE_APPLICATION), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_settle(peer, owner), 1);
    CHECK_EQ(find("scratch"), CROSSVM_NOT_FOUND);
    CHECK_EQ(find("state"), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_settle(peer, owner), 0);
    CHECK_EQ(peer->n_holdings, 1);

    /* The next life finds what was kept, and it is still held for it. */
    CHECK_EQ(crossvm_peer_reestablish(peer), CROSSVM_OK);
    peer_begin(&pair, 1);
    peer_meet(&pair);
    CHECK_EQ(find("state"), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_hold(peer, &state, CROSSVM_PEER_RELEASE), CROSSVM_OK);
    CHECK_EQ(crossvm_peer_confirm(peer, CROSSVM_PEER_CAUSE_APPLICATION), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_settle(peer, owner), 1);
    CHECK_EQ(find("state"), CROSSVM_NOT_FOUND);
    peer_drop(&pair);
}

static void names_are_names(void)
{
    CHECK(strcmp(crossvm_peer_state_name(CROSSVM_PEER_CLOSED), "CLOSED") == 0);
    CHECK(strcmp(crossvm_peer_state_name(CROSSVM_PEER_CLOSED + 1), "?") == 0);
    for (uint32_t cause = 0; cause < CROSSVM_PEER_CAUSE_COUNT; cause++) {
        CHECK(strcmp(crossvm_peer_cause_name(cause), "?") != 0);
    }
    CHECK(strcmp(crossvm_peer_cause_name(CROSSVM_PEER_CAUSE_COUNT), "?") == 0);
}

int main(void)
{
    test_guard();
    CASE(every_row_of_the_table);
    CASE(rows_that_cannot_be);
    CASE(two_sides_come_up_in_either_order);
    CASE(memory_of_an_earlier_boot_is_no_live_peer);
    CASE(a_repeated_seed_is_no_repeated_life);
    CASE(a_new_life_has_answered_nobody);
    CASE(a_life_is_not_born_closed);
    CASE(waiting_is_not_held_against_a_peer);
    CASE(the_dead_do_not_come_up_again);
    CASE(a_death_that_was_none_and_was_not_noticed);
    CASE(what_does_not_fit_is_refused);
    CASE(a_chunk_that_was_made_anew_is_linked_anew);
    CASE(own_words_that_are_gone_are_not_written);
    CASE(silence_is_suspected_and_a_beat_takes_it_back);
    CASE(a_clock_that_misbehaves_suspects_nobody);
    CASE(a_restarted_peer_is_drained_first);
    CASE(a_peer_that_closes_is_drained_first);
    CASE(a_death_that_the_backend_knows_is_drained_first);
    CASE(two_that_drop_each_other_meet_again);
    CASE(a_life_that_was_only_answered_is_lost_too);
    CASE(what_was_held_is_released_or_kept);
    CASE(names_are_names);
    return check_done();
}
