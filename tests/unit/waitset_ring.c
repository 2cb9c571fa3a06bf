/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/waitset_ring.c - a ring with several writers as a source of a wait for many things:
 * its watermark and delay, and claims that are given up in between, so that less can come than is
 * wanted. In one thread, with a scripted doorbell.
 */
#include "../support/mpsc.h"
#include "../support/script.h"

#if CROSSVM_HAS_CAS

enum {
    CAPACITY = 8
};

static const struct queue_options usual = MPSC_USUAL;
static struct mpsc ring;
static struct crossvm_waitset_source source;
static struct crossvm_waitset set;

static void up(uint32_t want, uint64_t delay_ns)
{
    mpsc_up(&ring, CAPACITY, 8, 0xfffffffcu, usual);
    crossvm_waitset_watch_ring(&source, &ring.rx, want, delay_ns);
    crossvm_waitset_init(&set, &source, 1, &bell_notify, 3);
    memset(&script, 0, sizeof(script));
    script.now_ns = 1000;
}

/* An element of writer 1's or 2's; whether it is to ring. */
static int give(uint32_t writer)
{
    uint64_t again_ns;
    CHECK_EQ(mpsc_push(&ring, writer, 0), CROSSVM_OK);
    return crossvm_mpsc_tx_kick(&ring.tx[writer - 1], 0, &again_ns);
}

/* The first kick of a handle always rings. */
static void first_kicks(void)
{
    uint64_t again_ns;
    CHECK_EQ(crossvm_mpsc_tx_kick(&ring.tx[0], 0, &again_ns), 1);
    CHECK_EQ(crossvm_mpsc_tx_kick(&ring.tx[1], 0, &again_ns), 1);
}

static void what_is_there_is_ready(void)
{
    up(2, 0);
    (void)give(1);
    (void)give(2);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(source.ready, 2);
    CHECK_EQ(script.n_waits, 0);
    mpsc_drop(&ring);
}

/* A full ring is not counted to its end by whoever wants one element. */
static void no_more_are_counted_than_are_wanted(void)
{
    up(2, 0);
    for (int k = 0; k < CAPACITY; k++) {
        (void)give(1);
    }
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(source.ready, 2);
    mpsc_drop(&ring);
}

static void give_three(unsigned n)
{
    CHECK_EQ(n, 1);
    CHECK_EQ(give(1), 0);
    CHECK_EQ(give(2), 0);
    CHECK_EQ(give(1), 1);
    script.alarm = true;
}

static void the_watermark_rings(void)
{
    up(3, 0);
    first_kicks();
    script.sleep = give_three;
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(source.ready, 3);
    CHECK_EQ(give(2), 0);
    mpsc_drop(&ring);
}

static void give_one(unsigned n)
{
    script.alarm = n == 1;
    if (n == 1) {
        CHECK_EQ(give(2), 1);
    }
}

static void one_below_the_watermark_is_ready_after_the_delay(void)
{
    up(3, 20 * MS);
    first_kicks();
    script.sleep = give_one;
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(source.ready, 1);
    CHECK_EQ(script.until_ns, 1000 + 20 * MS);
    mpsc_drop(&ring);
}

/* Claims n places and dies; its death is confirmed. */
static void claim_and_die(uint32_t writer)
{
    void *place;
    CHECK_EQ(crossvm_mpsc_tx_reserve(&ring.tx[writer - 1], &place), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_bury(&ring.tx[0], writer), 1);
}

/* The ring is full but for what can never come: it is ready with all that can. */
static void as_many_as_can_come_are_enough(void)
{
    up(CAPACITY, 0);
    (void)give(1);
    claim_and_die(2);
    for (int k = 0; k < CAPACITY - 2; k++) {
        (void)give(1);
    }
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(source.ready, CAPACITY - 1);
    CHECK_EQ(script.n_waits, 0);
    mpsc_drop(&ring);
}

static void renew(unsigned n)
{
    CHECK_EQ(n, 1);
    REQUIRE(crossvm_region_owner_renew(&ring.a.owner, &ring.tx_chunk) == CROSSVM_OK);
    script.alarm = true;
}

static void a_ring_that_is_renewed_is_told_once(void)
{
    up(1, 0);
    script.sleep = renew;
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(source.ready, CROSSVM_STALE);
    script.sleep = NULL;
    script.alarm = false;
    CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + 5000), CROSSVM_TIMEOUT);
    mpsc_drop(&ring);
}

/* A source that can neither be armed nor has anything: looked at again at once, and then once a
 * rest. */
static unsigned n_arms;

static int nothing_there(void *object, uint32_t want)
{
    (void)object;
    (void)want;
    return 0;
}

static int never_armed(void *object, uint32_t want, uint64_t delay_ns)
{
    (void)object;
    (void)want;
    (void)delay_ns;
    n_arms++;
    return 1;
}

static void a_source_that_is_never_armed_costs_bounded_work(void)
{
    struct crossvm_waitset_ops ops = *source.ops;
    ops.look = nothing_there;
    ops.arm = never_armed;
    up(1, 0);
    crossvm_waitset_watch(&source, &ops, &ring.rx, NULL, 1, 0);
    n_arms = 0;
    CHECK_EQ(crossvm_waitset_wait(&set, 1000 + 50 * (uint64_t)CROSSVM_NOTIFY_REST_NS),
             CROSSVM_TIMEOUT);
    CHECK(n_arms >= 40 && n_arms <= CROSSVM_NOTIFY_VAIN + 51);
    mpsc_drop(&ring);
}

int main(void)
{
    test_guard();
    CASE(what_is_there_is_ready);
    CASE(no_more_are_counted_than_are_wanted);
    CASE(the_watermark_rings);
    CASE(one_below_the_watermark_is_ready_after_the_delay);
    CASE(as_many_as_can_come_are_enough);
    CASE(a_ring_that_is_renewed_is_told_once);
    CASE(a_source_that_is_never_armed_costs_bounded_work);
    return check_done();
}

#else

int main(void)
{
    printf(MPSC_LEFT_OUT);
    return check_done();
}

#endif
