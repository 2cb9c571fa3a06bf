/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that is killed by SIGKILL at random moments and starts again on the same memory, over and
 * over, while both sides send to each other. The survivor is never established with a life that is
 * over, gets of each life exactly what that had committed, and nothing of one life for another's;
 * the lives together get everything that the survivor sent, in order, without a gap.
 */
#include "../support/lives.h"
#include "../support/peer.h"

enum {
    N_LIVES = 500
};

/* What the killed ones have done: it outlives them. */
struct record {
    volatile uint64_t begun;     /* elements of this life, the one that is being pushed too */
    volatile uint64_t committed; /* those whose push has returned */
    volatile uint64_t seen;      /* the last number of the survivor's that was taken, ever */
};

static struct peer_pair pair;
static struct record *record;

/* ---- the one that is killed ------------------------------------------------------------------- */

/* Numbers of the survivor's: the next one, or again one whose place was not given back yet. Each is
 * noted before its place is given back, so that a kill between the two loses none from the record. */
static void take(void)
{
    struct crossvm_spsc_rx *rx = &pair.sides[1].rx;
    struct crossvm_spsc_rx_span span;
    while (crossvm_spsc_rx_peek(rx, 1, &span) == CROSSVM_OK) {
        uint64_t number;
        memcpy(&number, crossvm_spsc_rx_span_at(&span, 0), sizeof(number));
        CHECK(number <= record->seen + 1);
        CHECK(number + PEER_CAPACITY > record->seen);
        record->seen = number > record->seen ? number : record->seen;
        REQUIRE(crossvm_spsc_rx_release(rx, 1) == CROSSVM_OK);
    }
}

static void send_one(uint64_t life)
{
    struct peer_side *self = &pair.sides[1];
    if (crossvm_peer_ready(&self->peer) != CROSSVM_OK) {
        return;
    }
    record->begun = record->committed + 1;
    int status = peer_send(self, life << 32 | (record->committed + 1));
    if (status == CROSSVM_OK) {
        record->committed = record->committed + 1;
    } else {
        REQUIRE(status == CROSSVM_FULL);
        record->begun = record->committed;
    }
}

static void live(uint64_t life)
{
    struct peer_side *self = &pair.sides[1];
    random_state = life;
    REQUIRE(peer_open(&pair, 1) == CROSSVM_OK);
    REQUIRE(peer_link(&pair, 1, (uint32_t)life) == CROSSVM_OK);
    REQUIRE(self->peer.incarnation == life << 1);
    peer_queues_open(&pair, 1);
    while (!peer_queues_link(&pair, 1)) {
    }
    while (check_n_failed == 0) {
        uint32_t before = self->peer.state;
        int state = crossvm_peer_step(&self->peer, crossvm_posix_now());
        /* The survivor lives and never drops anybody who lives. */
        REQUIRE(state >= 0 && state != CROSSVM_PEER_LOST);
        REQUIRE(before != CROSSVM_PEER_UP || state != CROSSVM_PEER_WAITING);
        send_one(life);
        take();
        dawdle(check_random(&random_state) % 8 == 0);
    }
    test_child_done();
}

/* ---- the survivor ----------------------------------------------------------------------------- */

static uint64_t n_received; /* of the life that is answered */
static uint64_t answered;   /* its number, 0 = none of its elements was seen yet */
static uint64_t previous;   /* the life before the one at work that came so far as to begin */
static uint64_t n_sent;
static unsigned n_up;    /* lives that the survivor was up with */
static unsigned n_ended; /* lives that were drained to their end */
static unsigned n_inside;

static void begin_life(void)
{
    record->begun = 0;
    record->committed = 0;
}

static void receive(uint64_t life)
{
    uint64_t number;
    int status = peer_receive(&pair.sides[0], &number);
    while (status == CROSSVM_OK) {
        CHECK(answered == 0 || number >> 32 == answered);
        CHECK(number >> 32 <= life);
        answered = number >> 32;
        n_received++;
        CHECK_EQ(number & 0xffffffffu, n_received);
        status = peer_receive(&pair.sides[0], &number);
    }
    CHECK(status == CROSSVM_EMPTY || status == CROSSVM_ENDED);
}

static void send_some(void)
{
    while (peer_send(&pair.sides[0], n_sent + 1) == CROSSVM_OK) {
        n_sent++;
    }
}

/* A step of the survivor's. Up it becomes only with the life at work, or with the one before, which
 * was killed between its answer and this step. */
static void survive(uint64_t life)
{
    struct crossvm_peer *peer = &pair.sides[0].peer;
    uint32_t before = peer->state;
    int state = crossvm_peer_step(peer, crossvm_posix_now());
    REQUIRE(state >= 0);
    if (before == CROSSVM_PEER_ANSWERING && state == CROSSVM_PEER_UP) {
        CHECK(peer->echo >> 1 == life || peer->echo >> 1 == previous);
        n_up++;
    }
    receive(life);
    send_some();
}

/* The dead one's successor is there: what the dead one had committed, and then the end. */
static void mourn(uint64_t begun, uint64_t committed, uint64_t life)
{
    struct crossvm_peer *peer = &pair.sides[0].peer;
    uint64_t number;
    receive(life);
    CHECK_EQ(peer->cause, CROSSVM_PEER_CAUSE_RESTARTED);
    CHECK_EQ(peer_receive(&pair.sides[0], &number), CROSSVM_ENDED);
    CHECK(n_received >= committed && n_received <= begun);
    n_inside += committed != begun;
    CHECK_EQ(crossvm_peer_reestablish(peer), CROSSVM_OK);
    n_received = 0;
    answered = 0;
    n_ended++;
}

static pid_t start_life(uint64_t life)
{
    begin_life();
    pid_t child = test_fork();
    if (child == 0) {
        live(life);
    }
    return child;
}

static void lives_that_are_cut_short(void)
{
    struct crossvm_peer *peer = &pair.sides[0].peer;
    uint64_t begun = 0;
    uint64_t committed = 0;
    uint64_t n_lives = N_LIVES * (uint64_t)check_scale();
    for (uint64_t life = 1; life <= n_lives && check_n_failed == 0; life++) {
        pid_t child = start_life(life);
        uint32_t n_rounds = rounds_of_life() % 1000;
        bool mourned = peer->echo == 0;
        while (n_rounds > 0 || !mourned) {
            survive(life);
            if (peer->state == CROSSVM_PEER_LOST) {
                mourn(begun, committed, life);
                mourned = true;
            }
            n_rounds -= n_rounds > 0;
            if (peer->state != CROSSVM_PEER_UP) {
                (void)sched_yield();
            }
        }
        kill_and_wait(child);
        previous = crossvm_load_relaxed(&peer_words(&pair, 1)->incarnation) >> 1;
        begun = record->begun;
        committed = record->committed;
    }
    receive(n_lives);
    CHECK(n_received >= committed && n_received <= begun);
    printf("  %u lives were up, %u were drained to their end, %u were cut inside a push; %" PRIu64
           " numbers were sent to them\n",
           n_up, n_ended, n_inside, n_sent);
    CHECK(n_up > n_lives / 4 && n_sent > n_lives);
    CHECK(record->seen <= n_sent && record->seen + PEER_CAPACITY >= n_sent);
}

int main(void)
{
    test_guard();
    random_state = 7;
    record = (struct record *)lives_record(sizeof(*record));
    peer_make(&pair);
    peer_begin(&pair, 0);
    peer_queues_open(&pair, 0);
    peer_queues_open(&pair, 1);
    (void)peer_queues_link(&pair, 0);
    (void)peer_queues_link(&pair, 1);
    REQUIRE(peer_queues_link(&pair, 0));
    pair.sides[0].peer.silence_ns = 50000000;
    CASE(lives_that_are_cut_short);
    return check_done();
}
