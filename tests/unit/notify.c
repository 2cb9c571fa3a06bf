/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/notify.c - doorbells: signal, wait and descriptor of each backend, several vectors
 * and peers, rings that come before the wait, deadlines, false alarms.
 */
#include "../support/queue.h"

#if CHECK_OS
#include <sys/resource.h>
#endif

enum {
    CAPACITY = 4,
    NOBODY = 99
};

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
static struct queue queue; /* its doorbell chunks; the queue itself is not used */
static struct queue_bells a;
static struct queue_bells b;

static void up(enum queue_backend backend)
{
    queue_make(&queue, CAPACITY, 8, usual);
    queue_bells_make(&queue, backend, &a, &b);
    CHECK_EQ(a.notify.n_sent + a.notify.n_suppressed, 0);
}

static void down(void)
{
    queue_bells_drop(&a, &b);
    queue_drop(&queue);
}

static int wait_now(struct queue_bells *bells, uint32_t vector)
{
    return crossvm_notify_wait(&bells->notify, vector, queue_now());
}

/* ---- what all doorbells have in common ---------------------------------------------------- */

static const enum queue_backend ringing[] = QUEUE_RINGING;

static void for_each_that_rings(void (*test)(void))
{
    for (size_t i = 0; i < sizeof(ringing) / sizeof(ringing[0]); i++) {
        up(ringing[i]);
        test();
        down();
    }
}

static void ring_before_wait(void)
{
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, queue_deadline()), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    /* Even at a deadline that is over: what was rung is rung. */
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, 0), CROSSVM_TIMEOUT);
}

static void a_ring_before_the_wait_is_not_lost(void)
{
    for_each_that_rings(ring_before_wait);
}

static void many_rings(void)
{
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 1), CROSSVM_OK);
    }
    CHECK_EQ(wait_now(&b, 1), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 1), CROSSVM_TIMEOUT);
    CHECK_EQ(a.notify.n_sent, 1000);
}

static void many_rings_are_one_wake_up(void)
{
    for_each_that_rings(many_rings);
}

static void vectors(void)
{
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 1), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(&a, 1), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(&b, 1), CROSSVM_OK);
    /* And the other way round. */
    CHECK_EQ(crossvm_notify_signal(&b.notify, PARTY_A, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(&a, 0), CROSSVM_OK);
}

static void a_ring_is_heard_by_its_vector_alone(void)
{
    for_each_that_rings(vectors);
}

static void unknown_vectors(void)
{
    static const uint32_t wrong[] = {QUEUE_VECTORS, QUEUE_VECTORS + 1, 1000, 0xffffffffu};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, wrong[i]), CROSSVM_NOT_FOUND);
        CHECK_EQ(crossvm_notify_wait(&b.notify, wrong[i], queue_deadline()), CROSSVM_NOT_FOUND);
    }
}

static void a_vector_that_does_not_exist_is_not_found(void)
{
    for_each_that_rings(unknown_vectors);
}

static void counted(void)
{
    CHECK_EQ(crossvm_notify_signal_if(&a.notify, 0, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_signal_if(&a.notify, -5, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_signal_if(&a.notify, 1, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_OK);
    CHECK_EQ(a.notify.n_sent, 1);
    CHECK_EQ(a.notify.n_suppressed, 2);
}

static void rings_and_suppressed_ones_are_counted(void)
{
    for_each_that_rings(counted);
}

static void clock_runs(void)
{
    uint64_t before = crossvm_notify_now(&a.notify);
    CHECK(before != 0);
    CHECK_EQ(crossvm_notify_wait(&a.notify, 0, before + 2000000), CROSSVM_TIMEOUT);
    CHECK(crossvm_notify_now(&a.notify) >= before + 2000000);
}

static void a_wait_ends_at_its_deadline_and_not_before(void)
{
    for_each_that_rings(clock_runs);
}

#if CHECK_OS

/* ---- across processes ------------------------------------------------------------------------ */

static void asleep_in_another_process(void)
{
    pid_t child = test_fork();
    if (child == 0) {
        queue_only_consumer(&queue);
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(crossvm_notify_wait(&b.notify, 0, queue_deadline()), CROSSVM_OK);
            CHECK_EQ(crossvm_notify_signal(&b.notify, PARTY_A, 1), CROSSVM_OK);
        }
        test_child_done();
    }
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
        CHECK_EQ(crossvm_notify_wait(&a.notify, 1, queue_deadline()), CROSSVM_OK);
    }
    CHECK_EQ(test_wait(child), 0);
}

/* The futex sleeps on a page that this process can only read. */
static void a_sleeper_in_another_process_is_woken(void)
{
    for_each_that_rings(asleep_in_another_process);
}

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t n_signals;

static void on_signal(int number)
{
    (void)number;
    n_signals = n_signals + 1;
}

/* The signal comes again and again, so that one of them falls into the sleep. */
static void interrupted(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    pid_t parent = getpid();
    n_signals = 0;
    pid_t child = test_fork();
    if (child == 0) {
        while (kill(parent, SIGUSR1) == 0) {
            (void)usleep(2000);
        }
        _exit(0);
    }
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    REQUIRE(kill(child, SIGKILL) == 0);
    CHECK_EQ(test_wait(child), 128 + SIGKILL);
    /* Checked late: a thread sanitizer runs handlers only at its next system call. */
    CHECK(n_signals > 0);
    /* Nobody rang. */
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
}

static void a_signal_ends_a_wait_as_a_false_alarm(void)
{
    for_each_that_rings(interrupted);
}

/* ---- eventfd --------------------------------------------------------------------------------- */

static void an_eventfd_has_a_descriptor_to_poll(void)
{
    up(QUEUE_EVENTFD);
    int fd = crossvm_notify_fd(&b.notify, 1);
    CHECK_EQ(fd, b.own[1]);
    CHECK_EQ(crossvm_notify_fd(&b.notify, QUEUE_VECTORS), CROSSVM_NOT_FOUND);
    struct pollfd entry = {fd, POLLIN, 0};
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 1), CROSSVM_OK);
    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_EQ(wait_now(&b, 1), CROSSVM_OK);
    CHECK_EQ(poll(&entry, 1, 0), 0);
    down();
}

static void an_eventfd_side_rings_several_peers(void)
{
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = crossvm_eventfd_create();
        REQUIRE(fds[i] >= 0);
    }
    const struct crossvm_eventfd_route routes[] = {{7, 0, fds[0]}, {7, 5, fds[1]}, {8, 0, fds[2]}};
    struct crossvm_eventfd eventfd = {routes, 3, fds, 3};
    struct crossvm_notify notify;
    crossvm_notify_eventfd(&notify, &eventfd);
    CHECK_EQ(crossvm_notify_signal(&notify, 7, 5), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_signal(&notify, 8, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_wait(&notify, 1, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&notify, 2, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_signal(&notify, 8, 5), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_signal(&notify, NOBODY, 0), CROSSVM_NOT_FOUND);
    for (int i = 0; i < 3; i++) {
        REQUIRE(close(fds[i]) == 0);
    }
}

/* A count that cannot grow any more is a ring that was not heard yet. */
static void an_eventfd_at_its_limit_neither_blocks_nor_fails(void)
{
    const uint64_t limit = UINT64_MAX - 1;
    up(QUEUE_EVENTFD);
    REQUIRE(write(b.own[0], &limit, sizeof(limit)) == (ssize_t)sizeof(limit));
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    down();
}

static void a_closed_eventfd_is_the_systems_refusal(void)
{
    const int closed[] = {-1};
    const struct crossvm_eventfd_route routes[] = {{1, 0, -1}};
    struct crossvm_eventfd eventfd = {routes, 1, closed, 1};
    struct crossvm_notify notify;
    crossvm_notify_eventfd(&notify, &eventfd);
    CHECK_EQ(crossvm_notify_signal(&notify, 1, 0), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, queue_deadline()), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
}

static void without_descriptors_there_is_no_eventfd(void)
{
    pid_t child = test_fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
        CHECK_EQ(crossvm_eventfd_create(), CROSSVM_SYSTEM);
        CHECK_EQ(errno, EMFILE);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
}

/* ---- futex ----------------------------------------------------------------------------------- */

static void a_futex_has_no_descriptor(void)
{
    up(QUEUE_FUTEX);
    CHECK_EQ(crossvm_notify_fd(&a.notify, 0), CROSSVM_UNSUPPORTED);
    down();
}

static void only_the_declared_parties_open_doorbells(void)
{
    struct crossvm_futex futex;
    queue_make(&queue, CAPACITY, 8, usual);
    const struct crossvm_region *own = &queue.a.owner.region;
    struct crossvm_chunk out = test_find(&queue.a.reader, "bell", CROSSVM_KIND_DOORBELL);
    struct crossvm_chunk in = test_find(&queue.b.reader, "bell", CROSSVM_KIND_DOORBELL);
    CHECK_EQ(crossvm_futex_open(&futex, &queue.a.reader, &out, &queue.b.reader, &in), CROSSVM_ROLE);
    CHECK_EQ(crossvm_futex_open(&futex, own, &queue.tx_chunk, &queue.b.reader, &in), CROSSVM_TYPE);
    CHECK_EQ(crossvm_futex_open(&futex, own, &out, &queue.b.reader, &queue.rx_chunk), CROSSVM_TYPE);
    struct crossvm_chunk wrong = in;
    wrong.generation++;
    CHECK_EQ(crossvm_futex_open(&futex, own, &out, &queue.b.reader, &wrong), CROSSVM_STALE);
    wrong = in;
    wrong.n = CROSSVM_DOORBELL_MAX + 1;
    CHECK_EQ(crossvm_futex_open(&futex, own, &out, &queue.b.reader, &wrong), CROSSVM_INVALID);
    wrong.n = 1000; /* more lines than the chunk has room for */
    CHECK_EQ(crossvm_futex_open(&futex, own, &out, &queue.b.reader, &wrong), CROSSVM_INVALID);
    queue_drop(&queue);
}

static void a_futex_whose_chunk_is_gone_is_stale(void)
{
    up(QUEUE_FUTEX);
    struct crossvm_chunk bell_a = test_find(&queue.a.reader, "bell", CROSSVM_KIND_DOORBELL);
    CHECK_EQ(crossvm_region_owner_renew(&queue.a.owner, &bell_a), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_STALE);
    CHECK_EQ(crossvm_load_relaxed(&a.futex.out[0].count), 0);
    CHECK_EQ(crossvm_notify_wait(&b.notify, 0, queue_deadline()), CROSSVM_STALE);
    CHECK_EQ(crossvm_notify_signal(&b.notify, PARTY_A, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&a, 0), CROSSVM_OK);
    down();
}

/* A ringer that restarts goes on counting, so that its first ring is a change. */
static void a_futex_ringer_that_restarts_is_still_heard(void)
{
    up(QUEUE_FUTEX);
    struct crossvm_chunk bell_a = test_find(&queue.a.reader, "bell", CROSSVM_KIND_DOORBELL);
    struct crossvm_chunk bell_b = test_find(&queue.b.reader, "bell", CROSSVM_KIND_DOORBELL);
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_OK);
    REQUIRE(crossvm_futex_open(&a.futex, &queue.a.owner.region, &bell_a, &queue.b.reader,
                               &bell_b) == CROSSVM_OK);
    CHECK_EQ(crossvm_notify_signal(&a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(&b, 0), CROSSVM_TIMEOUT);
    down();
}

#endif

/* ---- polling --------------------------------------------------------------------------------- */

static uint64_t fake_ns;
static unsigned n_rests;

static uint64_t fake_now(void *context)
{
    CHECK(context == &fake_ns);
    return fake_ns;
}

static void fake_rest(void *context)
{
    CHECK(context == &fake_ns);
    n_rests++;
    fake_ns += 10;
}

static void polling_rests_and_rings_nobody(void)
{
    struct crossvm_polling polling = {fake_now, fake_rest, &fake_ns};
    struct crossvm_notify notify;
    fake_ns = 100;
    crossvm_notify_polling(&notify, &polling);
    CHECK_EQ(crossvm_notify_now(&notify), 100);
    CHECK_EQ(crossvm_notify_fd(&notify, 0), CROSSVM_UNSUPPORTED);
    CHECK_EQ(crossvm_notify_signal(&notify, NOBODY, NOBODY), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&notify, NOBODY, 100), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_wait(&notify, NOBODY, 99), CROSSVM_TIMEOUT);
    CHECK_EQ(n_rests, 0);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, 101), CROSSVM_OK);
    CHECK_EQ(n_rests, 1);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, 101), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    polling.relax = NULL;
    CHECK_EQ(crossvm_notify_wait(&notify, 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(n_rests, 2);
}

int main(void)
{
    test_guard();
    CASE(a_ring_before_the_wait_is_not_lost);
    CASE(many_rings_are_one_wake_up);
    CASE(a_ring_is_heard_by_its_vector_alone);
    CASE(a_vector_that_does_not_exist_is_not_found);
    CASE(rings_and_suppressed_ones_are_counted);
    CASE(a_wait_ends_at_its_deadline_and_not_before);
#if CHECK_OS
    CASE(a_sleeper_in_another_process_is_woken);
    CASE(a_signal_ends_a_wait_as_a_false_alarm);
    CASE(an_eventfd_has_a_descriptor_to_poll);
    CASE(an_eventfd_side_rings_several_peers);
    CASE(an_eventfd_at_its_limit_neither_blocks_nor_fails);
    CASE(a_closed_eventfd_is_the_systems_refusal);
    CASE(without_descriptors_there_is_no_eventfd);
    CASE(a_futex_has_no_descriptor);
    CASE(only_the_declared_parties_open_doorbells);
    CASE(a_futex_whose_chunk_is_gone_is_stale);
    CASE(a_futex_ringer_that_restarts_is_still_heard);
#endif
    CASE(polling_rests_and_rings_nobody);
    return check_done();
}
