/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/pipe.c - a queue with a doorbell: what waits and kicks answer in one thread, where
 * every answer is exact, and a wait that another process or thread ends.
 */
#include "../support/queue.h"

#if CHECK_OS
#include <pthread.h>
#endif

enum {
    CAPACITY = 16
};

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
static const enum queue_backend backends[] = QUEUE_BACKENDS;

static struct queue queue;
static struct queue_bells a;
static struct queue_bells b;
static struct crossvm_pipe_tx tx;
static struct crossvm_pipe_rx rx;

/* Both ends of a pipe, from the queue as it is now. */
static void take_ends(void)
{
    const struct crossvm_pipe_bell bell_a = {&a.notify, PARTY_B, 0, 0};
    const struct crossvm_pipe_bell bell_b = {&b.notify, PARTY_A, 0, 0};
    tx.queue = queue.tx;
    tx.bell = bell_a;
    rx.queue = queue.rx;
    rx.bell = bell_b;
}

static void up(enum queue_backend backend, struct queue_options options)
{
    queue_up(&queue, CAPACITY, 8, 0xfffffff8u, options);
    queue_bells_make(&queue, backend, &a, &b);
    take_ends();
}

static void down(void)
{
    queue_bells_drop(&a, &b);
    queue_drop(&queue);
}

static void for_each_backend(void (*test)(void))
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        unsigned long failed_before = check_n_failed;
        up(backends[i], usual);
        test();
        down();
        if (check_n_failed != failed_before) {
            printf("with %s\n", queue_backend_name(backends[i]));
        }
    }
}

static void push(uint32_t n)
{
    const uint64_t elem = 1;
    for (uint32_t i = 0; i < n; i++) {
        CHECK_EQ(crossvm_spsc_tx_push(&tx.queue, &elem), CROSSVM_OK);
    }
}

static void pop(uint32_t n)
{
    uint64_t elems[CAPACITY];
    CHECK_EQ(crossvm_spsc_rx_pop_n(&rx.queue, elems, n), n);
}

static uint64_t soon(void)
{
    return queue_now() + 1000000;
}

static void check_nobody_waits(void)
{
    CHECK_EQ(crossvm_load_relaxed(&queue_tx_words(&queue)->line.mode), CROSSVM_WAKE_NEVER);
    CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queue)->line.mode), CROSSVM_WAKE_NEVER);
}

/* ---- answers that need nobody else ----------------------------------------------------------- */

static void enough(void)
{
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, 0), CAPACITY);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, CAPACITY, 0), CAPACITY);
    push(5);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, 0), 5);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 5, 0, 0), 5);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 5, 1000, 0), 5);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 11, 0), 11);
    check_nobody_waits();
    CHECK_EQ(a.notify.n_sent + b.notify.n_sent, 0);
}

static void what_is_there_already_is_answered_at_once(void)
{
    for_each_backend(enough);
}

static void at_the_deadline(void)
{
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, soon()), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 1000, soon()), CROSSVM_TIMEOUT);
    push(3);
    /* Fewer than wanted are better than none. */
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 0, 0), 3);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 0, soon()), 3);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 1000, soon()), 3);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 1000, 0), 3);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 14, 0), 13);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 14, soon()), 13);
    push(13);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, soon()), CROSSVM_TIMEOUT);
    check_nobody_waits();
}

static void a_wait_ends_at_the_deadline_with_what_there_is(void)
{
    for_each_backend(at_the_deadline);
}

static void delays(void)
{
    push(3);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 1, CROSSVM_NO_DEADLINE), 3);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, 1000000, CROSSVM_NO_DEADLINE), 3);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, CAPACITY, 1000000, CROSSVM_NO_DEADLINE), 3);
    /* A delay that reaches beyond the deadline, or beyond all time, ends with the deadline. */
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 4, UINT64_MAX, soon()), 3);
    check_nobody_waits();
}

static void the_longest_delay_ends_a_wait_for_a_watermark(void)
{
    for_each_backend(delays);
}

static void wrong_wants(void)
{
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 0, queue_deadline()), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, CAPACITY + 1, queue_deadline()), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 0, 0, queue_deadline()), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, CAPACITY + 1, 0, queue_deadline()), CROSSVM_INVALID);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 0, 5, queue_deadline()), CROSSVM_INVALID);
    /* With a delay, only the first element would be asked for at first: still the caller's error,
     * and at once. */
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, CAPACITY + 1, 5, soon()), CROSSVM_INVALID);
    check_nobody_waits();
}

static void a_want_outside_the_capacity_is_invalid(void)
{
    for_each_backend(wrong_wants);
}

/* ---- kicks ----------------------------------------------------------------------------------- */

static void kick_tx(void)
{
    uint64_t again_ns;
    CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_OK);
}

static void a_kick_rings_whoever_armed(void)
{
    uint64_t again_ns;
    up(QUEUE_BELL, usual);
    kick_tx(); /* the first one always rings */
    CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
    CHECK_EQ(a.notify.n_sent, 1);
    CHECK_EQ(b.notify.n_sent, 1);
    push(1);
    kick_tx();
    CHECK_EQ(a.notify.n_sent, 1);
    CHECK_EQ(a.notify.n_suppressed, 1);
    CHECK_EQ(crossvm_spsc_rx_arm(&rx.queue, 3, 0), 0);
    push(1);
    kick_tx();
    CHECK_EQ(a.notify.n_sent, 1);
    push(1);
    kick_tx();
    CHECK_EQ(a.notify.n_sent, 2);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 3, 0, queue_deadline()), 3);
    /* Below the watermark the producer is told when to come back. */
    CHECK_EQ(crossvm_spsc_rx_arm(&rx.queue, 10, UINT64_C(1000000000000)), 0);
    push(1);
    uint64_t before = queue_now();
    CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_OK);
    CHECK(again_ns >= before + UINT64_C(1000000000000));
    down();
}

static void a_kick_reports_a_doorbell_that_is_not_there(void)
{
    uint64_t again_ns;
    up(QUEUE_BELL, usual);
    tx.bell.peer = 77;
    rx.bell.vector_out = QUEUE_VECTORS;
    CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_NOT_FOUND);
    tx.bell.vector_in = QUEUE_VECTORS;
    rx.bell.vector_in = QUEUE_VECTORS;
    push(CAPACITY);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, queue_deadline()), CROSSVM_NOT_FOUND);
    pop(CAPACITY);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, queue_deadline()), CROSSVM_NOT_FOUND);
    check_nobody_waits();
    down();
}

/* The event was passed at the kick whose ring failed: the next kick has to make up for it. */
static void a_ring_that_failed_is_owed(void)
{
    uint64_t again_ns;
    up(QUEUE_BELL, usual);
    kick_tx();
    CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, queue_deadline()), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&a.notify, 0, queue_deadline()), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_arm(&rx.queue, 1, 0), 0);
    push(CAPACITY);
    tx.bell.peer = 77;
    CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_NOT_FOUND);
    tx.bell.peer = PARTY_B;
    CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_arm(&tx.queue, 1), 0);
    pop(CAPACITY);
    rx.bell.peer = 77;
    CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_NOT_FOUND);
    rx.bell.peer = PARTY_A;
    CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&a.notify, 0, 0), CROSSVM_OK);
    down();
}

static void polling_kicks_ring_nobody(void)
{
    uint64_t again_ns = 1;
    up(QUEUE_POLLING, usual);
    tx.queue.kick.polling = true;
    rx.queue.kick.polling = true;
    push(3);
    CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_OK);
    CHECK_EQ(again_ns, 0);
    CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
    CHECK_EQ(a.notify.n_sent + b.notify.n_sent, 0);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 3, 0, queue_deadline()), 3);
    CHECK_EQ(tx.queue.kick.n_sent + tx.queue.kick.n_suppressed, 0);
    down();
}

/* ---- both wait ------------------------------------------------------------------------------- */

/* The other has armed and wants more than there is: whoever was woken and sees that takes what
 * there is. Here the ring comes first, so that the sleep is short. */
static void others_waiting(void)
{
    push(6);
    CHECK_EQ(crossvm_spsc_tx_arm(&tx.queue, 12), 0);
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 8, 0, queue_deadline()), 6);
    crossvm_spsc_tx_disarm(&tx.queue);
    CHECK_EQ(crossvm_spsc_rx_arm(&rx.queue, 8, 0), 0);
    CHECK_EQ(crossvm_notify_signal(&b.notify, PARTY_A, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 12, queue_deadline()), 10);
    crossvm_spsc_rx_disarm(&rx.queue);
    check_nobody_waits();
}

static void a_wait_takes_what_there_is_when_the_other_waits_too(void)
{
    for_each_backend(others_waiting);
}

/* ---- broken queues --------------------------------------------------------------------------- */

static void a_queue_that_is_not_up_ends_a_wait(void)
{
    queue_make(&queue, CAPACITY, 8, usual);
    queue_bells_make(&queue, QUEUE_BELL, &a, &b);
    REQUIRE(queue_rx_open(&queue, CAPACITY * 1024, 8) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    take_ends();
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, queue_deadline()), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, queue_deadline()), CROSSVM_NOT_YET);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_REFUSED);
    REQUIRE(queue_rx_link(&queue) == CROSSVM_REFUSED);
    take_ends();
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, queue_deadline()), CROSSVM_REFUSED);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 5, queue_deadline()), CROSSVM_REFUSED);
    down();
}

static void stale(void)
{
    CHECK_EQ(crossvm_region_owner_renew(&queue.a.owner, &queue.tx_chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, queue_deadline()), CROSSVM_STALE);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, 1, queue_deadline()), CROSSVM_STALE);
}

static void corrupt(void)
{
    crossvm_store_relaxed(&queue_tx_words(&queue)->line.index, 0x10000u);
    CHECK_EQ(crossvm_pipe_rx_wait(&rx, 1, 0, queue_deadline()), CROSSVM_CORRUPT);
    crossvm_store_relaxed(&queue_rx_words(&queue)->line.index, 0x10000u);
    CHECK_EQ(crossvm_pipe_tx_wait(&tx, CAPACITY, queue_deadline()), CROSSVM_CORRUPT);
}

static void a_broken_queue_ends_a_wait_with_its_status(void)
{
    for_each_backend(stale);
    for_each_backend(corrupt);
}

#if CHECK_OS

/* ---- a wait that another thread ends --------------------------------------------------------- */

static const struct queue_options one_mapping = {CROSSVM_WRITE_BACK, true};

static int waited; /* what the waiter's call answered */

static void *waits_for_elements(void *want)
{
    waited = crossvm_pipe_rx_wait(&rx, *(uint32_t *)want, 0, CROSSVM_NO_DEADLINE);
    return NULL;
}

static void *waits_for_room(void *want)
{
    waited = crossvm_pipe_tx_wait(&tx, *(uint32_t *)want, CROSSVM_NO_DEADLINE);
    return NULL;
}

/* The waiter has armed: it sleeps, or is about to. */
static void until_armed(const struct crossvm_wake_line_shm *line)
{
    while (crossvm_load_relaxed(&line->mode) != CROSSVM_WAKE_EVENT) {
        (void)sched_yield();
    }
}

static void a_sleeping_consumer_is_woken_at_its_watermark(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint32_t want = 5;
        pthread_t thread;
        up(backends[i], one_mapping);
        REQUIRE(pthread_create(&thread, NULL, waits_for_elements, &want) == 0);
        for (uint32_t k = 0; k < want; k++) {
            until_armed(&queue_rx_words(&queue)->line);
            push(1);
            kick_tx();
        }
        REQUIRE(pthread_join(thread, NULL) == 0);
        CHECK_EQ(waited, 5);
        down();
    }
}

static void a_sleeping_producer_is_woken_when_enough_is_free(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint32_t want = 4;
        pthread_t thread;
        up(backends[i], one_mapping);
        push(CAPACITY);
        REQUIRE(pthread_create(&thread, NULL, waits_for_room, &want) == 0);
        until_armed(&queue_tx_words(&queue)->line);
        pop(4);
        CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
        REQUIRE(pthread_join(thread, NULL) == 0);
        CHECK_EQ(waited, 4);
        down();
    }
}

/* The queue breaks while the other sleeps, and one ring makes it look. */
static void a_queue_that_breaks_ends_a_sleep(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint32_t want = 5;
        pthread_t thread;
        up(backends[i], one_mapping);
        REQUIRE(pthread_create(&thread, NULL, waits_for_elements, &want) == 0);
        until_armed(&queue_rx_words(&queue)->line);
        crossvm_store_relaxed(&queue_tx_words(&queue)->line.index, 0x10000u);
        CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
        REQUIRE(pthread_join(thread, NULL) == 0);
        CHECK_EQ(waited, CROSSVM_CORRUPT);
        CHECK_EQ(rx.queue.fault.rule, CROSSVM_RULE_SPSC_INDEX);
        down();
    }
}

/* ---- a stream between two processes ---------------------------------------------------------- */

static void stream(uint32_t n)
{
    pid_t child = test_fork();
    if (child == 0) {
        uint64_t again_ns;
        queue_only_producer(&queue);
        for (uint64_t i = 0; i < n; i++) {
            REQUIRE(crossvm_pipe_tx_wait(&tx, 1, queue_deadline()) > 0);
            CHECK_EQ(crossvm_spsc_tx_push(&tx.queue, &i), CROSSVM_OK);
            CHECK_EQ(crossvm_pipe_tx_kick(&tx, &again_ns), CROSSVM_OK);
        }
        test_child_done();
    }
    uint64_t next = 0;
    int there = 1;
    while (next < n && there > 0) {
        uint64_t elems[CAPACITY];
        there = crossvm_pipe_rx_wait(&rx, 1, 0, queue_deadline());
        CHECK(there > 0);
        int got = crossvm_spsc_rx_pop_n(&rx.queue, elems, CAPACITY);
        CHECK(got >= there);
        for (int i = 0; i < got; i++) {
            CHECK_EQ(elems[i], next);
            next++;
        }
        CHECK_EQ(crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
    }
    CHECK_EQ(test_wait(child), 0);
}

static void a_stream_flows_between_processes(void)
{
    for (size_t i = 0; i < 3; i++) {
        up(backends[i], usual);
        stream((uint32_t)(20000 * check_scale()));
        printf("  %s: %llu rings by the consumer\n", queue_backend_name(backends[i]),
               (unsigned long long)b.notify.n_sent);
        down();
    }
}

#endif

/* ---- storms ---------------------------------------------------------------------------------- */

static struct {
    uint64_t now_ns; /* goes on in rests alone */
    unsigned n_waits;
    unsigned n_rests;
} storm;

static int storm_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    (void)peer;
    (void)vector;
    return CROSSVM_OK;
}

static int storm_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    (void)context;
    (void)vector;
    (void)deadline_ns;
    storm.n_waits++;
    return CROSSVM_OK;
}

static uint64_t storm_now(void *context)
{
    (void)context;
    return storm.now_ns;
}

static void storm_rest(void *context, uint64_t until_ns)
{
    (void)context;
    storm.n_rests++;
    storm.now_ns = until_ns;
}

/* Rings for nothing, without end: so many looks, and one more for each rest, at both ends. */
static void a_storm_of_rings_costs_bounded_work(void)
{
    static const struct crossvm_notify_ops ops = {storm_signal, storm_wait, NULL, storm_now,
                                                  storm_rest};
    const uint64_t deadline_ns = 50 * (uint64_t)CROSSVM_NOTIFY_REST_NS;
    struct crossvm_notify notify = {&ops, NULL, 0, 0};
    up(QUEUE_POLLING, usual);
    for (int end = 0; end < 2; end++) {
        memset(&storm, 0, sizeof(storm));
        rx.bell.notify = &notify;
        tx.bell.notify = &notify;
        CHECK_EQ(end == 0 ? crossvm_pipe_rx_wait(&rx, 1, 0, deadline_ns)
                          : crossvm_pipe_tx_wait(&tx, 1, deadline_ns),
                 CROSSVM_TIMEOUT);
        CHECK_EQ(storm.n_rests, 50);
        CHECK_EQ(storm.n_waits, CROSSVM_NOTIFY_VAIN + 50);
        for (uint64_t n = 0; end == 0 && n < CAPACITY; n++) {
            CHECK_EQ(crossvm_spsc_tx_push(&tx.queue, &n), CROSSVM_OK);
        }
    }
    down();
}

int main(void)
{
    test_guard();
    CASE(what_is_there_already_is_answered_at_once);
    CASE(a_wait_ends_at_the_deadline_with_what_there_is);
    CASE(the_longest_delay_ends_a_wait_for_a_watermark);
    CASE(a_want_outside_the_capacity_is_invalid);
    CASE(a_kick_rings_whoever_armed);
    CASE(a_kick_reports_a_doorbell_that_is_not_there);
    CASE(a_ring_that_failed_is_owed);
    CASE(polling_kicks_ring_nobody);
    CASE(a_wait_takes_what_there_is_when_the_other_waits_too);
    CASE(a_queue_that_is_not_up_ends_a_wait);
    CASE(a_broken_queue_ends_a_wait_with_its_status);
    CASE(a_storm_of_rings_costs_bounded_work);
#if CHECK_OS
    CASE(a_sleeping_consumer_is_woken_at_its_watermark);
    CASE(a_sleeping_producer_is_woken_when_enough_is_free);
    CASE(a_queue_that_breaks_ends_a_sleep);
    CASE(a_stream_flows_between_processes);
#endif
    return check_done();
}
