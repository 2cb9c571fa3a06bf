/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/waitset_processes.c - one process that waits for everything at once: three producers,
 * and a writer of a snapshot and a broadcast. One producer is killed in mid-stream. All ring
 * eventfds: then a wait that reaches its deadline, a minute, is a lost wake-up. Or one rings through
 * futexes, which have no descriptor, and somebody rings without end.
 */
#include "../support/broadcast.h"
#include "../support/fanin.h"

#include <crossvm/backend/poll.h>

enum {
    N_PRODUCERS = 3,
    KILLED = 2, /* this one */
    WRITER = 3, /* its queue is there for its doorbells alone */
    N_PEERS = 4,
    N_BELLS = 4,
    N_ELEMENTS = 30000,
    N_VERSIONS = 3000,
    STATE_LEN = 64
};

/* Of each peer: all that ring a descriptor, and several kinds. */
static const enum queue_backend all_eventfd[N_PEERS] = {QUEUE_EVENTFD, QUEUE_EVENTFD, QUEUE_EVENTFD,
                                                        QUEUE_EVENTFD};
static const enum queue_backend mixed[N_PEERS] = {QUEUE_EVENTFD, QUEUE_FUTEX, QUEUE_EVENTFD,
                                                  QUEUE_EVENTFD};
static struct queue_bells theirs[N_PEERS];
static struct queue_bells ours[N_PEERS];
static struct crossvm_pipe_rx pipes[N_PRODUCERS]; /* for their kicks: the queues are elsewhere */
static struct crossvm_poll_bell bells[N_BELLS];
static struct pollfd fds[N_BELLS];
static struct crossvm_poll listener = {bells, fds, N_BELLS, 0, 200000, false};
static struct crossvm_notify listening;
static struct test_snapshot state;
static struct test_broadcast news;
static struct test_region wake_region;
static struct crossvm_wake_waiter wakers[2];
static struct crossvm_waitset_snapshot state_source = {&state.reader, &wakers[0]};
static struct crossvm_waitset_broadcast news_source = {&news.reader, &wakers[1]};
static struct crossvm_waitset_source sources[N_PRODUCERS + 2];
static struct crossvm_waitset set;

static const struct crossvm_chunk_decl wake_decls[2] = {
    {"wake/state", CROSSVM_KIND_WAKE, 0, 0, PARTY_B, PARTY_A, 0, 0},
    {"wake/news", CROSSVM_KIND_WAKE, 0, 0, PARTY_B, PARTY_A, 0, 0},
};

static struct crossvm_chunk wake_chunk(int i)
{
    return test_find(&wake_region.reader, wake_decls[i].name, CROSSVM_KIND_WAKE);
}

static void up(const enum queue_backend *backends)
{
    const struct crossvm_region_plan plan = TEST_PLAN(wake_decls, 2, 0, 0, 0, PARTY_B);
    fanin_up(N_PRODUCERS);
    queue_up(&queues[WRITER], CAPACITY, 8, 0, usual);
    for (int i = 0; i < N_PEERS; i++) {
        queue_bells_make(&queues[i], backends[i], &theirs[i], &ours[i]);
        bells[i].notify = &ours[i].notify;
        bells[i].vector = 0;
    }
    test_snapshot_make(&state, 4, STATE_LEN);
    test_broadcast_make(&news, 64, STATE_LEN);
    test_region_make(&wake_region, &plan, PARTY_A);
    for (int i = 0; i < 2; i++) {
        struct crossvm_chunk chunk = wake_chunk(i);
        REQUIRE(crossvm_wake_waiter_open(&wakers[i], &wake_region.owner.region, &chunk) ==
                CROSSVM_OK);
    }
}

static void down(void)
{
    for (int i = 0; i < N_PEERS; i++) {
        queue_bells_drop(&theirs[i], &ours[i]);
    }
    queue_drop(&queues[WRITER]);
    fanin_down(N_PRODUCERS);
    test_snapshot_drop(&state);
    test_broadcast_drop(&news);
    test_region_drop(&wake_region);
}

/* ---- the peers ------------------------------------------------------------------------------- */

static pid_t start_producer(uint32_t i)
{
    pid_t child = test_fork();
    if (child != 0) {
        return child;
    }
    struct crossvm_pipe_tx pipe = {queues[i].tx, {&theirs[i].notify, PARTY_B, 0, 0}};
    uint64_t random = i;
    for (uint32_t n = 0; n < N_ELEMENTS || i == KILLED;) {
        const struct fanin_element element = {i, n};
        uint64_t again_ns;
        int status = crossvm_spsc_tx_push(&pipe.queue, &element);
        if (status == CROSSVM_FULL) {
            REQUIRE(crossvm_pipe_tx_kick(&pipe, &again_ns) == CROSSVM_OK);
            REQUIRE(crossvm_pipe_tx_wait(&pipe, 1 + n % CAPACITY, queue_deadline()) > 0);
            continue;
        }
        REQUIRE(status == CROSSVM_OK);
        n++;
        if (check_random(&random) % 8 == 0 || n == N_ELEMENTS) {
            REQUIRE(crossvm_pipe_tx_kick(&pipe, &again_ns) == CROSSVM_OK);
        }
    }
    test_child_done();
    return 0;
}

/* A version and an element of the broadcast in turn, each followed by a kick. */
static pid_t start_writer(void)
{
    pid_t child = test_fork();
    if (child != 0) {
        return child;
    }
    struct crossvm_wake_publisher wakes[2];
    for (int i = 0; i < 2; i++) {
        struct crossvm_chunk chunk = wake_chunk(i);
        REQUIRE(crossvm_wake_publisher_open(&wakes[i], &wake_region.reader, &chunk, 0) ==
                CROSSVM_OK);
    }
    struct crossvm_notify *notify = &theirs[WRITER].notify;
    for (uint32_t n = 1; n <= N_VERSIONS; n++) {
        unsigned char payload[STATE_LEN];
        uint64_t again_ns;
        test_payload_fill(payload, STATE_LEN, n);
        REQUIRE(crossvm_snapshot_writer_publish(&state.writer, payload, STATE_LEN, 0, 0) ==
                CROSSVM_OK);
        int due = crossvm_wake_due(&wakes[0], n, 0, &again_ns);
        REQUIRE(crossvm_notify_signal_if(notify, due, PARTY_B, 0) == CROSSVM_OK);
        REQUIRE(test_send(&news.writer, STATE_LEN) == CROSSVM_OK);
        due = crossvm_wake_due(&wakes[1], n, 0, &again_ns);
        REQUIRE(crossvm_notify_signal_if(notify, due, PARTY_B, 0) == CROSSVM_OK);
        if (n % 2 == 0) {
            (void)sched_yield();
        }
    }
    test_child_done();
    return 0;
}

/* Rings as fast as it can, for nothing. */
static pid_t start_storm(void)
{
    pid_t child = test_fork();
    while (child == 0) {
        REQUIRE(crossvm_notify_signal(&theirs[0].notify, PARTY_B, 0) == CROSSVM_OK);
    }
    return child;
}

/* ---- the one that waits ---------------------------------------------------------------------- */

static void set_up(void)
{
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        const struct crossvm_pipe_bell bell = {&ours[i].notify, PARTY_A, 0, 0};
        pipes[i].bell = bell;
        crossvm_waitset_watch_elements(&sources[i], &queues[i].rx, &pipes[i].bell, 1 + 10 * i,
                                       i * 1000000u);
    }
    crossvm_waitset_watch_snapshot(&sources[N_PRODUCERS], &state_source, 1, 0);
    crossvm_waitset_watch_broadcast(&sources[N_PRODUCERS + 1], &news_source, 20, 2000000);
    REQUIRE(crossvm_notify_poll(&listening, &listener) == CROSSVM_OK);
    crossvm_waitset_init(&set, sources, N_PRODUCERS + 2, &listening, 0);
}

/* Rings the producers of whom elements were taken. */
static void kick_the_served(void)
{
    uint32_t i;
    while (crossvm_fanin_served(&fanin, &i) == 1) {
        int due = crossvm_spsc_rx_kick(&queues[i].rx);
        REQUIRE(crossvm_notify_signal_if(pipes[i].bell.notify, due, PARTY_A, 0) == CROSSVM_OK);
    }
}

static uint64_t n_news; /* read, or known to be lost */

static void take_what_is_ready(void)
{
    unsigned char payload[STATE_LEN];
    struct crossvm_broadcast_info info;
    uint32_t from;
    while (fanin_take(FANIN_POP_N, CAPACITY, &from) > 0) {
    }
    kick_the_served();
    if (sources[N_PRODUCERS].ready != 0) {
        struct crossvm_snapshot_info seen;
        int status = crossvm_snapshot_reader_read(&state.reader, payload, STATE_LEN, &seen);
        CHECK(status >= 0 || status == CROSSVM_TORN);
        CHECK(status < 0 || test_payload_ok(payload, STATE_LEN, seen.version));
    }
    while (crossvm_broadcast_reader_read(&news.reader, payload, STATE_LEN, &info) == CROSSVM_OK) {
        CHECK(test_payload_ok(payload, STATE_LEN, info.number));
        n_news += 1 + info.lost;
        CHECK_EQ(info.number, n_news);
    }
}

static bool all_done(void)
{
    return n_taken[0] == N_ELEMENTS && n_taken[1] == N_ELEMENTS && n_taken[KILLED] >= 1000 &&
           state.reader.last == N_VERSIONS && n_news == N_VERSIONS;
}

/* All that the dead one had committed is there, and not one more. */
static void check_what_the_dead_left(void)
{
    uint32_t tail = crossvm_load_relaxed(&queue_tx_words(&queues[KILLED])->line.index);
    uint32_t from;
    while (fanin_take(FANIN_POP_N, CAPACITY, &from) > 0) {
        CHECK_EQ(from, KILLED);
    }
    CHECK_EQ(n_taken[KILLED], tail - 0xfffffff0u);
}

static void run(const enum queue_backend *backends, bool with_storm)
{
    pid_t producers[N_PRODUCERS];
    bool killed = false;
    n_news = 0;
    up(backends);
    set_up();
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        producers[i] = start_producer(i);
    }
    pid_t writer = start_writer();
    pid_t storm = with_storm ? start_storm() : 0;
    while (!all_done()) {
        int n_ready = crossvm_waitset_wait(&set, queue_deadline());
        REQUIRE(n_ready > 0);
        take_what_is_ready();
        if (n_taken[KILLED] >= 1000 && !killed) {
            killed = true;
            REQUIRE(kill(producers[KILLED], SIGKILL) == 0);
            CHECK_EQ(test_wait(producers[KILLED]), 128 + SIGKILL);
        }
    }
    CHECK(killed);
    CHECK_EQ(test_wait(producers[0]), 0);
    CHECK_EQ(test_wait(producers[1]), 0);
    CHECK_EQ(test_wait(writer), 0);
    if (with_storm) {
        REQUIRE(kill(storm, SIGKILL) == 0);
        CHECK_EQ(test_wait(storm), 128 + SIGKILL);
    }
    check_what_the_dead_left();
    printf("%" PRIu32 " of the one that was killed, %" PRIu64 " of %d lost\n", n_taken[KILLED],
           news.reader.n_lost, (int)N_VERSIONS);
    down();
}

static void everything_arrives_behind_one_wait(void)
{
    run(all_eventfd, false);
}

static void everything_arrives_from_several_backends_in_a_storm(void)
{
    run(mixed, true);
}

/* ---- the listener's own answers -------------------------------------------------------------- */

static void a_bell_that_goes_is_left_out_and_the_others_ring(void)
{
    up(mixed);
    REQUIRE(crossvm_notify_poll(&listening, &listener) == CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&listening, 0, 0), CROSSVM_TIMEOUT);
    struct crossvm_chunk bell = test_find(&queues[1].a.reader, "bell", CROSSVM_KIND_DOORBELL);
    REQUIRE(crossvm_region_owner_renew(&queues[1].a.owner, &bell) == CROSSVM_OK);
    /* The producer's part of futexes is another chunk's by now: told, then quiet. */
    CHECK_EQ(crossvm_notify_wait(&listening, 0, 0), CROSSVM_STALE);
    CHECK_EQ(bells[1].status, CROSSVM_STALE);
    CHECK_EQ(listener.n_without, 0);
    CHECK_EQ(crossvm_notify_wait(&listening, 0, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_signal(&theirs[2].notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&listening, 0, queue_deadline()), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&listening, 0, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_signal(&listening, PARTY_B, 0), CROSSVM_NOT_FOUND);
    down();
}

/* With a bell that has no descriptor each sleep is short, and ends as a false alarm. */
static void a_bell_without_a_descriptor_is_looked_at_now_and_then(void)
{
    up(mixed);
    REQUIRE(crossvm_notify_poll(&listening, &listener) == CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&listening, 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    down();
}

/* A ring that ends a sleep is heard with it: it does not end the next one, too. */
static void a_ring_ends_one_wait(void)
{
    struct crossvm_poll only = {bells, fds, 1, 0, 1, false};
    up(mixed);
    REQUIRE(crossvm_notify_poll(&listening, &only) == CROSSVM_OK);
    for (int round = 0; round < 50; round++) {
        pid_t child = test_fork();
        if (child == 0) {
            (void)sched_yield();
            CHECK_EQ(crossvm_notify_signal(&theirs[0].notify, PARTY_B, 0), CROSSVM_OK);
            test_child_done();
        }
        CHECK_EQ(crossvm_notify_wait(&listening, 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
        CHECK_EQ(crossvm_notify_wait(&listening, 0, 0), CROSSVM_TIMEOUT);
        CHECK_EQ(test_wait(child), 0);
    }
    down();
}

static void a_listener_that_cannot_be_is_refused(void)
{
    struct crossvm_poll none = {bells, fds, 0, 0, 1, false};
    struct crossvm_poll never = {bells, fds, 1, 0, 0, false};
    struct crossvm_poll unknown = {bells, fds, 1, 0, 1, false};
    up(mixed);
    CHECK_EQ(crossvm_notify_poll(&listening, &none), CROSSVM_INVALID);
    CHECK_EQ(crossvm_notify_poll(&listening, &never), CROSSVM_INVALID);
    bells[0].vector = QUEUE_VECTORS;
    CHECK_EQ(crossvm_notify_poll(&listening, &unknown), CROSSVM_NOT_FOUND);
    down();
}

int main(void)
{
    test_guard();
    CASE(everything_arrives_behind_one_wait);
    CASE(everything_arrives_from_several_backends_in_a_storm);
    CASE(a_bell_that_goes_is_left_out_and_the_others_ring);
    CASE(a_bell_without_a_descriptor_is_looked_at_now_and_then);
    CASE(a_ring_ends_one_wait);
    CASE(a_listener_that_cannot_be_is_refused);
    return check_done();
}
