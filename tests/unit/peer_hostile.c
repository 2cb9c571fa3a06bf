/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that lie: life signs that change between any two accesses of a step, lives that are shown
 * again, beats without a life behind them, flapping, and times that are not true. Whatever is
 * written, a call answers what its header says, in bounded steps, and stores into the own words
 * alone; nobody is up without an answer to his own life; and what such a peer gains is what
 * docs/TRUST.md says of it.
 */
#include "../support/hook.h"

#include "../support/peer.h"

#include <crossvm/clock.h>

enum {
    N_WORDS = CROSSVM_PEER_LEN / 4,
    MOST_ACCESSES = 32, /* of any call: none has a loop */
    HONEST = 0,         /* the side under test */
    LIAR = 1,
    LIFE = 100, /* a life that the liar shows */
    MILLISECOND = 1000000
};

static struct peer_pair pair;
static uint64_t random_state = 1;

static struct crossvm_peer *honest(void)
{
    return &pair.sides[HONEST].peer;
}

/* Shows a life that answers the honest side's. */
static void show_life(uint32_t incarnation)
{
    struct crossvm_peer_shm *words = peer_words(&pair, LIAR);
    crossvm_store_relaxed(&words->echo, honest()->incarnation);
    crossvm_store_relaxed(&words->incarnation, incarnation);
    crossvm_store_relaxed(&words->beat, crossvm_load_relaxed(&words->beat) + 1);
}

static void begin(void)
{
    peer_make(&pair);
    peer_begin(&pair, HONEST);
}

/* Up with a life that the liar shows. */
static void up_with(uint32_t incarnation)
{
    show_life(incarnation);
    REQUIRE(peer_step(&pair, HONEST) == CROSSVM_PEER_ANSWERING);
    show_life(incarnation);
    REQUIRE(peer_step(&pair, HONEST) == CROSSVM_PEER_UP);
}

/* ---- any word at any access ------------------------------------------------------------------ */

static struct crossvm_le32 *lies; /* the liar's words; NULL: nothing is written */

static uint32_t any_value(void)
{
    const struct crossvm_peer *peer = honest();
    const uint32_t values[] = {0,
                               1,
                               LIFE,
                               LIFE | 1u,
                               0xffffffffu,
                               peer->incarnation,
                               peer->echo,
                               peer->question,
                               peer->peer_beat + 1};
    uint32_t n = sizeof(values) / sizeof(values[0]);
    uint32_t which = check_random(&random_state) % (n + 1);
    return which < n ? values[which] : check_random(&random_state);
}

static void lie(void *unused)
{
    (void)unused;
    if (lies == NULL || check_random(&random_state) % 2 != 0) {
        return;
    }
    /* Mostly the words that somebody reads; the epoch seldom, or nothing else would happen. */
    uint32_t word = check_random(&random_state) % 40;
    word = word < 5 ? word : 32 + word % 6;
    if (word == 1 && check_random(&random_state) % 16 != 0) {
        word = 2;
    }
    crossvm_store_relaxed(&lies[word], any_value());
}

static void check_state(int answer)
{
    CHECK(answer == (int)honest()->state || answer == CROSSVM_STALE);
    CHECK(honest()->state <= CROSSVM_PEER_CLOSED);
    CHECK(honest()->cause < CROSSVM_PEER_CAUSE_COUNT);
    CHECK((honest()->state == CROSSVM_PEER_LOST) == (honest()->cause != 0));
}

static void any_call(void)
{
    struct crossvm_peer_sample sample;
    unsigned long before = test_hook.seen;
    uint32_t old = honest()->state;
    switch (check_random(&random_state) % 12) {
    case 0:
        check_state(crossvm_peer_confirm(honest(), CROSSVM_PEER_CAUSE_APPLICATION));
        break;
    case 1:
    case 2:
        CHECK_EQ(crossvm_peer_reestablish(honest()),
                 old == CROSSVM_PEER_LOST ? CROSSVM_OK : CROSSVM_INVALID);
        break;
    case 3:
        if (crossvm_peer_times(honest(), &sample) == CROSSVM_OK) {
            CHECK(sample.asked_ns < sample.heard_ns);
        }
        break;
    default:
        check_state(peer_step(&pair, HONEST));
        /* Nobody is up who was not answered first, nor let in behind a loss. */
        CHECK(honest()->state != CROSSVM_PEER_UP || old == CROSSVM_PEER_ANSWERING ||
              old == CROSSVM_PEER_UP || old == CROSSVM_PEER_SUSPECT);
        CHECK(old != CROSSVM_PEER_LOST || honest()->state == CROSSVM_PEER_LOST);
    }
    CHECK(test_hook.seen - before <= MOST_ACCESSES);
    CHECK_EQ(crossvm_load_relaxed(&honest()->own->echo), honest()->echo);
    CHECK(honest()->state == old || honest()->state != CROSSVM_PEER_LOST || honest()->echo == 0);
}

/* Nothing but the own words was written, and of these only those that have a meaning. */
static void check_memory(const unsigned char *copy)
{
    const struct crossvm_mapping *mapping = &pair.regions[HONEST].writable;
    const unsigned char *now = (const unsigned char *)mapping->base;
    size_t at = (size_t)((const unsigned char *)honest()->own - now);
    CHECK(memcmp(now, copy, at) == 0);
    CHECK(memcmp(now + at + 20, copy + at + 20, 108) == 0);
    CHECK(memcmp(now + at + 152, copy + at + 152, (size_t)mapping->len - at - 152) == 0);
    CHECK_EQ(crossvm_load_relaxed(&honest()->own->epoch), honest()->own_epoch);
}

static void any_word_may_change_at_any_access(void)
{
    unsigned n_up = 0;
    for (unsigned long i = 0; i < 2000 / CHECK_SHORTER * check_scale(); i++) {
        begin();
        size_t len = (size_t)pair.regions[HONEST].writable.len;
        unsigned char *copy = (unsigned char *)malloc(len);
        REQUIRE(copy != NULL);
        memcpy(copy, pair.regions[HONEST].writable.base, len);
        lies = (struct crossvm_le32 *)(void *)peer_words(&pair, LIAR);
        test_hook_arm(0, lie, NULL);
        for (unsigned k = 0; k < 200; k++) {
            any_call();
            n_up += honest()->state == CROSSVM_PEER_UP;
        }
        (void)test_hook_disarm();
        lies = NULL;
        check_memory(copy);
        free(copy);
        peer_drop(&pair);
    }
    printf("  up behind %u calls\n", n_up);
    CHECK(n_up > 1000 / CHECK_SHORTER);
}

/* ---- lives ----------------------------------------------------------------------------------- */

/* A life that was lost is shown again: its number is as good as any other, behind a loss. */
static void a_lost_life_comes_back_as_a_new_one(void)
{
    begin();
    up_with(LIFE);
    show_life(LIFE + 2);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(honest()), CROSSVM_OK);
    up_with(LIFE + 2);
    show_life(LIFE);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_LOST);
    CHECK_EQ(honest()->cause, CROSSVM_PEER_CAUSE_RESTARTED);
    CHECK_EQ(crossvm_peer_reestablish(honest()), CROSSVM_OK);
    up_with(LIFE);
    peer_drop(&pair);
}

/* An answer to another life than this one, of whatever number, is none. */
static void a_wrong_echo_brings_nobody_up(void)
{
    begin();
    show_life(LIFE);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_ANSWERING);
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t echo = check_random(&random_state);
        echo += echo == honest()->incarnation;
        show_life(LIFE);
        crossvm_store_relaxed(&peer_words(&pair, LIAR)->echo, echo);
        CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_ANSWERING);
    }
    peer_drop(&pair);
}

/* Another life at every look: one loss for each time that the caller lets it in again. */
static void one_that_flaps_is_lost_once_each_time_it_is_let_in(void)
{
    begin();
    uint32_t life = LIFE;
    for (unsigned i = 0; i < 100; i++) {
        life += 2;
        up_with(life);
        for (unsigned k = 0; k < 5; k++) {
            show_life(life + 2 + k % 2 * 2);
            CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_LOST);
        }
        CHECK_EQ(crossvm_peer_ready(honest()), CROSSVM_ENDED);
        CHECK_EQ(crossvm_peer_reestablish(honest()), CROSSVM_OK);
    }
    peer_drop(&pair);
}

/* Whoever can write its beat is alive, whatever else it does not do. */
static void a_beat_alone_is_a_life(void)
{
    begin();
    up_with(LIFE);
    for (unsigned i = 0; i < 1000; i++) {
        struct crossvm_le32 *beat = &peer_words(&pair, LIAR)->beat;
        crossvm_store_relaxed(beat, crossvm_load_relaxed(beat) - 7);
        CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_UP);
    }
    peer_drop(&pair);
}

/* One that begins for ever, or answers and is gone again, ends as silence. */
static void one_that_never_finishes_its_start_is_silent(void)
{
    begin();
    for (unsigned i = 0; i < 50; i++) {
        crossvm_store_relaxed(&peer_words(&pair, LIAR)->incarnation, LIFE | 1u);
        CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_WAITING);
    }
    up_with(LIFE);
    unsigned n_steps = 0;
    int state = CROSSVM_PEER_UP;
    while (state == CROSSVM_PEER_UP && n_steps < 100) {
        struct crossvm_peer_shm *words = peer_words(&pair, LIAR);
        crossvm_store_relaxed(&words->incarnation, LIFE | 1u);
        crossvm_store_relaxed(&words->beat, crossvm_load_relaxed(&words->beat) + 1);
        state = peer_step(&pair, HONEST);
        n_steps++;
    }
    CHECK_EQ(state, CROSSVM_PEER_SUSPECT);
    peer_drop(&pair);
}

/* One that has closed and beats on is lost; one that goes back to a life is let in as another. */
static void one_that_closes_and_goes_on_is_lost(void)
{
    begin();
    up_with(LIFE);
    crossvm_store_relaxed(&peer_words(&pair, LIAR)->closed, LIFE);
    show_life(LIFE);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_reestablish(honest()), CROSSVM_OK);
    for (unsigned i = 0; i < 20; i++) {
        show_life(LIFE);
        CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_WAITING);
    }
    /* Its good-bye taken back, it is let in anew. */
    crossvm_store_relaxed(&peer_words(&pair, LIAR)->closed, 0);
    up_with(LIFE);
    peer_drop(&pair);
}

/* ---- times ----------------------------------------------------------------------------------- */

/* Replies to what the honest side asked last with a time of its choice. */
static void reply_with(uint64_t time_ns)
{
    struct crossvm_peer_shm *words = peer_words(&pair, LIAR);
    crossvm_store_relaxed(&words->asker, honest()->incarnation);
    crossvm_store_pair(&words->time_lo, &words->time_hi, time_ns);
    crossvm_store_relaxed(&words->reply, honest()->question);
}

static void exchange(struct crossvm_clock_offset *offset, uint64_t lie_ns)
{
    struct crossvm_peer_sample sample;
    show_life(LIFE);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_UP);
    reply_with(pair.now_ns + lie_ns);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_UP);
    CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_UP);
    REQUIRE(crossvm_peer_times(honest(), &sample) == CROSSVM_OK);
    CHECK_EQ(crossvm_clock_offset_add(offset, sample.asked_ns, sample.replied_ns, sample.heard_ns),
             CROSSVM_OK);
}

/* The offset follows a lie that grows slowly, without a conflict; one that jumps is one. Data of
 * that peer's are as young as it likes; what was learnt of others stands in other structs. */
static void who_lies_about_its_time_chooses_the_age_of_its_data(void)
{
    struct crossvm_clock_offset offset;
    uint64_t least = 0;
    uint64_t most = 0;
    uint64_t lie_ns = 0; /* how far its clock is said to be ahead */
    begin();
    up_with(LIFE);
    REQUIRE(crossvm_clock_offset_init(&offset, CROSSVM_CLOCK_DRIFT_MAX) == CROSSVM_OK);
    for (unsigned i = 0; i < 50000; i++) {
        exchange(&offset, lie_ns);
        lie_ns -= 30; /* a tenth of the three ticks that an exchange takes */
    }
    CHECK_EQ(offset.n_conflicts, 0);
    /* What was stamped two milliseconds ago is younger than one, for sure. */
    uint64_t later_ns = pair.now_ns + 2 * MILLISECOND;
    REQUIRE(crossvm_clock_offset_age(&offset, pair.now_ns, later_ns, &least, &most) == CROSSVM_OK);
    CHECK(most < MILLISECOND);
    CHECK(least <= most);
    exchange(&offset, lie_ns + 1000 * MILLISECOND);
    CHECK_EQ(offset.n_conflicts, 1);
    peer_drop(&pair);
}

/* A reply without a question, to another one, or to another life, is none. */
static void a_reply_to_nothing_is_none(void)
{
    struct crossvm_peer_sample sample;
    begin();
    up_with(LIFE);
    for (unsigned i = 0; i < 100; i++) {
        show_life(LIFE);
        reply_with(5);
        struct crossvm_peer_shm *words = peer_words(&pair, LIAR);
        if (i % 2 == 0) {
            crossvm_store_relaxed(&words->asker, honest()->incarnation + 2);
        } else {
            crossvm_store_relaxed(&words->reply, honest()->question + 5);
        }
        CHECK_EQ(peer_step(&pair, HONEST), CROSSVM_PEER_UP);
        CHECK_EQ(crossvm_peer_times(honest(), &sample), CROSSVM_EMPTY);
    }
    peer_drop(&pair);
}

int main(void)
{
    test_guard();
    CASE(any_word_may_change_at_any_access);
    CASE(a_lost_life_comes_back_as_a_new_one);
    CASE(a_wrong_echo_brings_nobody_up);
    CASE(one_that_flaps_is_lost_once_each_time_it_is_let_in);
    CASE(a_beat_alone_is_a_life);
    CASE(one_that_never_finishes_its_start_is_silent);
    CASE(one_that_closes_and_goes_on_is_lost);
    CASE(who_lies_about_its_time_chooses_the_age_of_its_data);
    CASE(a_reply_to_nothing_is_none);
    return check_done();
}
