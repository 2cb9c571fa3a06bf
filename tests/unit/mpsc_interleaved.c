/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/mpsc_interleaved.c - others act between any two shared accesses of a writer, of one
 * who buries, and of the consumer; and a writer is left for good at any of its accesses. Whatever
 * meets, each element is delivered once and in its writer's order, or its claim is counted as lost.
 */
#include "../support/hook.h"

#include "../support/mpsc.h"

#if CROSSVM_HAS_CAS

#include <setjmp.h>

static const struct queue_options usual = MPSC_USUAL;
static struct mpsc mpsc;

static uint32_t capacity;
static uint32_t first_index;
static uint32_t n_done[MPSC_WRITERS + 1]; /* pushes of a writer that were answered OK */
static uint32_t seen[MPSC_WRITERS + 1];   /* the number behind its last one that was delivered */
static uint32_t n_delivered;
static bool was_full; /* at some moment, so that a push may say so */

/* Numbers go on from 1, whether the push is answered or not. */
static uint32_t next[MPSC_WRITERS + 1];

static int push(uint32_t writer)
{
    next[writer]++;
    int status = mpsc_push(&mpsc, writer, next[writer]);
    n_done[writer] += status == CROSSVM_OK;
    return status;
}

static int pop(void)
{
    uint32_t writer = 0;
    uint32_t which = 0;
    int status = mpsc_pop(&mpsc, &writer, &which);
    if (status == CROSSVM_OK) {
        CHECK(which >= seen[writer]);
        seen[writer] = which + 1;
        n_delivered++;
    }
    return status;
}

static void look_at_the_room(void)
{
    was_full = was_full || mpsc_tail(&mpsc) - mpsc_head(&mpsc) == capacity;
}

static void up(uint32_t n, uint32_t index, uint32_t n_before)
{
    capacity = n;
    first_index = index;
    n_delivered = 0;
    memset(n_done, 0, sizeof(n_done));
    memset(seen, 0, sizeof(seen));
    memset(next, 0, sizeof(next));
    mpsc_up(&mpsc, n, 8, index, usual);
    for (uint32_t i = 0; i < n_before; i++) {
        REQUIRE(push(3) == CROSSVM_OK);
    }
    was_full = false;
    look_at_the_room();
}

/* Everything is taken, and every claim is accounted for. */
static void down(uint32_t most_lost)
{
    while (pop() == CROSSVM_OK) {
    }
    CHECK_EQ(pop(), CROSSVM_EMPTY);
    CHECK_EQ(push(4), CROSSVM_OK);
    CHECK_EQ(pop(), CROSSVM_OK);
    uint32_t n_pushed = n_done[1] + n_done[2] + n_done[3] + n_done[4];
    CHECK_EQ(mpsc_tail(&mpsc) - first_index, n_delivered + mpsc.rx.n_lost);
    CHECK(mpsc.rx.n_lost <= most_lost);
    /* Who died may have committed, and not said so. */
    CHECK(n_delivered >= n_pushed && n_delivered <= n_pushed + most_lost);
    mpsc_drop(&mpsc);
}

/* ---- what may happen in between --------------------------------------------------------------- */

static int push_beside(void)
{
    look_at_the_room();
    int status = push(2);
    look_at_the_room();
    CHECK(status == CROSSVM_OK || (status == CROSSVM_FULL && was_full));
    return status;
}

static void other_pushes(void *unused)
{
    (void)unused;
    (void)push_beside();
}

static void other_fills(void *unused)
{
    (void)unused;
    while (push_beside() == CROSSVM_OK) {
    }
}

static void consumer_pops(void *unused)
{
    (void)unused;
    (void)pop();
    (void)pop();
}

static void laps_go_by(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < 3 * capacity; i++) {
        (void)push_beside();
        (void)pop();
    }
}

static void other_opens(void *unused)
{
    (void)unused;
    mpsc_tx_up(&mpsc, 2);
    (void)push_beside();
}

/* Those of writers first: the consumer is one, and does not interrupt itself. */
enum {
    N_WRITERS_ACTS = 3,
    N_ACTS = 5
};
static void (*const acts[N_ACTS])(void *) = {other_pushes, other_fills, other_opens, consumer_pops,
                                             laps_go_by};

static const uint32_t capacities[] = {1, 2, 4};
static const uint32_t indices[] = {0, 0u - 1u, (4u << 24) - 2u};

/* ---- cases ----------------------------------------------------------------------------------- */

static void push_one(void)
{
    int status = push(1);
    CHECK(status == CROSSVM_OK || (status == CROSSVM_FULL && was_full));
}

static void pop_one(void)
{
    (void)pop();
}

/* One call with an act in front of each access in turn. */
static void every_place(void (*call)(void), unsigned n_acts)
{
    for (unsigned i = 0; i < 3 * 3 * 3 * n_acts; i++) {
        uint32_t n = capacities[i / n_acts % 3];
        for (unsigned long at = 1;; at++) {
            up(n, indices[i / n_acts / 3 % 3], i / n_acts / 9 * n / 2);
            test_hook_arm(at, acts[i % n_acts], NULL);
            call();
            bool behind = test_hook_disarm() < at;
            down(0);
            if (behind) {
                CHECK(at > 1);
                break;
            }
        }
    }
}

static void others_act_while_one_pushes(void)
{
    every_place(push_one, N_ACTS);
}

static void others_act_while_the_consumer_pops(void)
{
    every_place(pop_one, N_WRITERS_ACTS);
}

/* It looks at a place, doubles its steps and halves them: not at each of a thousand claims. */
static void a_writer_that_has_just_opened_searches_in_few_steps(void)
{
    mpsc_up(&mpsc, 1024, 8, 0, usual);
    for (uint32_t i = 0; i < 1000; i++) {
        REQUIRE(mpsc_push(&mpsc, 2, i) == CROSSVM_OK);
    }
    mpsc_tx_up(&mpsc, 1);
    test_hook_count();
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_OK);
    CHECK(test_hook_disarm() <= 40);
    CHECK_EQ(mpsc_tail(&mpsc), 1001);
    mpsc_drop(&mpsc);
}

/* Others push now and then, as often as would meet each attempt: it gets on all the same. */
static uint32_t n_accesses;

static void now_and_then(void *every)
{
    n_accesses++;
    if (n_accesses % *(const uint32_t *)every == 0) {
        (void)mpsc_push(&mpsc, 2, n_accesses);
    }
}

static void one_that_is_far_behind_catches_up(void)
{
    for (uint32_t every = 12; every <= 60; every++) {
        mpsc_up(&mpsc, 16384, 8, 0, usual);
        for (uint32_t i = 0; i < 10000; i++) {
            REQUIRE(mpsc_push(&mpsc, 2, i) == CROSSVM_OK);
        }
        n_accesses = 0;
        test_hook_arm(0, now_and_then, &every);
        CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_OK);
        (void)test_hook_disarm();
        mpsc_drop(&mpsc);
    }
}

/* An act in front of each access: who is overtaken every time says so in bounded steps. */
static void one_who_is_always_overtaken_gives_up(void)
{
    up(4, 0u - 9u, 0);
    test_hook_arm(0, laps_go_by, NULL);
    int status = push(1);
    unsigned long n = test_hook_disarm();
    CHECK_EQ(status, CROSSVM_TORN);
    CHECK(n <= 8 * CROSSVM_MPSC_TRIES);
    CHECK_EQ(mpsc.tx[0].n_refused, 0);
    CHECK_EQ(push(1), CROSSVM_OK);
    down(0);
}

/* So many elements go by at once, as for a machine that was stopped, and so many are there then. */
static uint32_t age;
static uint32_t n_there;

static void an_age_goes_by(void *unused)
{
    (void)unused;
    uint32_t index = mpsc_tail(&mpsc) + age - n_there;
    for (uint32_t t = index - capacity; t != index; t++) {
        crossvm_store_relaxed(mpsc_slot(&mpsc, t), mpsc_word(&mpsc, t, 3, MPSC_COMMITTED));
    }
    crossvm_store_relaxed(&mpsc_rx_words(&mpsc)->line.index, index);
    mpsc_rx_up(&mpsc);
    first_index = index - n_delivered;
    for (uint32_t i = 0; i < n_there; i++) {
        REQUIRE(push(3) == CROSSVM_OK);
    }
    look_at_the_room();
}

static void sleep_at(unsigned long at)
{
    up(4, 3, 0);
    test_hook_arm(at, an_age_goes_by, NULL);
    push_one();
    CHECK(test_hook_disarm() > at);
    down(0);
}

static void one_who_sleeps_for_an_age_finds_no_fault(void)
{
    static const uint32_t ages[] = {0x90000000u, 1u << 26, 0, 1u << 31};
    for (uint32_t i = 0; i < 4 * 17 * 5; i++) {
        age = ages[i % 4] + i / 4 % 17 - 8;
        n_there = i / 68;
        for (unsigned long at = 1; at <= 8; at++) {
            sleep_at(at);
        }
    }
}

/* Somebody slept for 2^32 elements, and has claimed in front of the tail. */
static void a_gap_is_filled_when_the_ring_is_full(void)
{
    up(8, 5, 2);
    mpsc.tx[2].index = mpsc_tail(&mpsc) + 1;
    crossvm_store_relaxed(mpsc_slot(&mpsc, mpsc.tx[2].index),
                          mpsc_word(&mpsc, mpsc.tx[2].index, 3, MPSC_CLAIMED));
    mpsc.tx[2].claimed = true;
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQ(push(3), CROSSVM_OK);
    }
    CHECK_EQ(push(3), CROSSVM_FULL);
    CHECK_EQ(pop(), CROSSVM_OK);
    CHECK_EQ(pop(), CROSSVM_OK);
    CHECK_EQ(pop(), CROSSVM_EMPTY); /* in front of the gap */
    CHECK_EQ(push(3), CROSSVM_OK);
    CHECK_EQ(push(3), CROSSVM_OK);
    memset(seen, 0, sizeof(seen));
    CHECK_EQ(push(3), CROSSVM_OK); /* into the gap */
    CHECK_EQ(pop(), CROSSVM_OK);
    memset(seen, 0, sizeof(seen));
    down(0);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static jmp_buf grave;

static void die(void *unused)
{
    (void)unused;
    test_hook.act = NULL;
    test_hook.acting = false;
    longjmp(grave, 1);
}

static bool dies_pushing(unsigned long at)
{
    if (setjmp(grave) == 0) {
        test_hook_arm(at, die, NULL);
        (void)push(1);
        (void)test_hook_disarm();
        return false;
    }
    return true;
}

enum burial {
    BURIED_BY_A_WRITER,
    SKIPPED_BY_THE_CONSUMER,
    BURIED_BY_ITS_NEXT_INCARNATION,
    BURIED_LATE,
    N_BURIALS
};

static void bury(enum burial burial)
{
    if (burial == BURIED_BY_A_WRITER || burial == BURIED_LATE) {
        CHECK(crossvm_mpsc_tx_bury(&mpsc.tx[1], 1) >= 0);
    } else if (burial == SKIPPED_BY_THE_CONSUMER) {
        while (pop() == CROSSVM_OK) {
        }
        if (pop() == CROSSVM_NOT_YET) {
            CHECK_EQ(mpsc.rx.writer, 1);
            CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 1), CROSSVM_OK);
        }
    } else {
        mpsc_tx_up(&mpsc, 1);
        CHECK_EQ(push(1), CROSSVM_OK);
    }
}

static void a_death_at_any_access_harms_nobody(void)
{
    for (unsigned i = 0; i < 3 * N_BURIALS; i++) {
        for (unsigned long at = 1;; at++) {
            up(4, indices[i % 3], 1);
            bool died = dies_pushing(at);
            /* Others go on at once, as far as there is room. */
            CHECK_EQ(push(2), CROSSVM_OK);
            if (i / 3 == BURIED_LATE) {
                other_fills(NULL);
                consumer_pops(NULL);
            }
            bury((enum burial)(i / 3));
            CHECK(!died || mpsc.rx.n_lost <= 1);
            down(1);
            if (!died) {
                CHECK(at > 8);
                break;
            }
        }
    }
}

/* The consumer passes over the dead one's claim while somebody buries it: one loss. */
static void skip_it(void)
{
    int status = crossvm_mpsc_rx_skip(&mpsc.rx, 1);
    CHECK(status == CROSSVM_OK || status == CROSSVM_INVALID);
}

static void skip(void *unused)
{
    (void)unused;
    skip_it();
    laps_go_by(NULL);
}

static void bury_it(void *unused)
{
    (void)unused;
    CHECK(crossvm_mpsc_tx_bury(&mpsc.tx[2], 1) >= 0);
    other_pushes(NULL);
}

static void a_loss_is_counted_once_whoever_passes_over_it(void)
{
    for (unsigned way = 0; way < 2; way++) {
        for (unsigned long at = 1;; at++) {
            up(2, 0u - 2u, 0);
            mpsc_dies_claiming(&mpsc, 1);
            test_hook_arm(at, way == 0 ? skip : bury_it, NULL);
            if (way == 0) {
                CHECK(crossvm_mpsc_tx_bury(&mpsc.tx[2], 1) >= 0);
            } else {
                skip_it();
            }
            bool behind = test_hook_disarm() < at;
            while (pop() == CROSSVM_OK) {
            }
            CHECK_EQ(mpsc.rx.n_lost, 1);
            down(1);
            if (behind) {
                break;
            }
        }
    }
}

/* Taken for dead by mistake at any access of its own: it learns it, and nothing is doubled. */
static void one_who_is_buried_alive_loses_one_element(void)
{
    for (unsigned long at = 1;; at++) {
        up(4, 0u - 1u, 1);
        test_hook_arm(at, bury_it, NULL);
        int status = push(1);
        bool behind = test_hook_disarm() < at;
        CHECK(status == CROSSVM_OK || status == CROSSVM_STALE);
        if (status == CROSSVM_STALE) {
            mpsc_tx_up(&mpsc, 1);
        }
        while (pop() == CROSSVM_OK) {
        }
        CHECK_EQ(mpsc.rx.n_lost, status == CROSSVM_STALE);
        down(1);
        if (behind) {
            break;
        }
    }
}

/* ---- waking ---------------------------------------------------------------------------------- */

static uint32_t want;
static int armed;
static bool rung;

static void kick(uint32_t writer)
{
    uint64_t again_ns;
    rung = crossvm_mpsc_tx_kick(&mpsc.tx[writer - 1], 0, &again_ns) == 1 || rung;
}

static void push_and_kick_both(void *unused)
{
    void *place;
    (void)unused;
    /* Claims in one order, commits in the other. */
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[0], &place) == CROSSVM_OK);
    REQUIRE(push(2) == CROSSVM_OK);
    kick(2);
    queue_fill(place, 8, mpsc_number(1, ++next[1]));
    REQUIRE(crossvm_mpsc_tx_commit(&mpsc.tx[0]) == CROSSVM_OK);
    n_done[1]++;
    kick(1);
}

static void arm(void *unused)
{
    (void)unused;
    rung = false; /* what rang before wakes nobody who did not sleep */
    armed = crossvm_mpsc_rx_arm(&mpsc.rx, want, 0);
}

/* How many elements are there, and whether the consumer sleeps beside them without a ring. */
static void check_awake(void)
{
    CHECK(armed == 1 || rung || (uint32_t)crossvm_mpsc_rx_fill(&mpsc.rx) < want);
}

static void no_element_is_slept_through(void)
{
    for (want = 1; want <= 2; want++) {
        for (unsigned way = 0; way < 2; way++) {
            for (unsigned long at = 1;; at++) {
                up(4, 0u - 1u, 0);
                for (uint32_t writer = 1; writer <= MPSC_WRITERS; writer++) {
                    kick(writer);
                }
                armed = 0;
                test_hook_arm(at, way == 0 ? arm : push_and_kick_both, NULL);
                if (way == 0) {
                    push_and_kick_both(NULL);
                } else {
                    arm(NULL);
                }
                bool behind = test_hook_disarm() < at;
                if (behind && way == 0) {
                    arm(NULL);
                } else if (behind) {
                    push_and_kick_both(NULL);
                }
                check_awake();
                down(0);
                if (behind) {
                    break;
                }
            }
        }
    }
}

/* Two writers' commits and kicks in any order beside a consumer that is armed. */
static uint32_t second;

static void commit_and_kick(void *unused)
{
    (void)unused;
    REQUIRE(crossvm_mpsc_tx_commit(&mpsc.tx[second - 1]) == CROSSVM_OK);
    n_done[second]++;
    kick(second);
}

static void the_last_of_two_commits_rings(void)
{
    for (second = 1; second <= 2; second++) {
        for (unsigned long at = 1;; at++) {
            void *place = NULL;
            up(4, 0u - 1u, 0);
            for (uint32_t writer = 1; writer <= MPSC_WRITERS; writer++) {
                kick(writer);
            }
            want = 2;
            arm(NULL);
            for (uint32_t writer = 1; writer <= 2; writer++) {
                REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[writer - 1], &place) == CROSSVM_OK);
                queue_fill(place, 8, mpsc_number(writer, ++next[writer]));
            }
            test_hook_arm(at, commit_and_kick, NULL);
            REQUIRE(crossvm_mpsc_tx_commit(&mpsc.tx[2 - second]) == CROSSVM_OK);
            n_done[3 - second]++;
            kick(3 - second);
            bool behind = test_hook_disarm() < at;
            if (behind) {
                commit_and_kick(NULL);
            }
            CHECK(armed == 0 && rung);
            down(0);
            if (behind) {
                break;
            }
        }
    }
}

int main(void)
{
    test_guard();
    CASE(others_act_while_one_pushes);
    CASE(others_act_while_the_consumer_pops);
    CASE(a_writer_that_has_just_opened_searches_in_few_steps);
    CASE(one_that_is_far_behind_catches_up);
    CASE(one_who_is_always_overtaken_gives_up);
    CASE(one_who_sleeps_for_an_age_finds_no_fault);
    CASE(a_gap_is_filled_when_the_ring_is_full);
    CASE(a_death_at_any_access_harms_nobody);
    CASE(a_loss_is_counted_once_whoever_passes_over_it);
    CASE(one_who_is_buried_alive_loses_one_element);
    CASE(no_element_is_slept_through);
    CASE(the_last_of_two_commits_rings);
    return check_done();
}

#else

int main(void)
{
    printf(MPSC_LEFT_OUT);
    return check_done();
}

#endif
