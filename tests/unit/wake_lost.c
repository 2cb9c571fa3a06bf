/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/wake_lost.c - no wake-up is lost for real: ping-pong with a sleep in every round,
 * bursts below a watermark that are followed by silence, and two sides that fall asleep at once
 * and want together more than the queue holds; over eventfd and over futex, between threads and
 * between processes.
 *
 * A lost wake-up shows as a wait that reaches its deadline, a minute away. Before that, without
 * any sleep: an arm and a kick at the same moment, again and again, of which at least one must see
 * the other.
 */
#include "../support/queue.h"

#include <pthread.h>

static const struct queue_options one_mapping = {CROSSVM_WRITE_BACK, true};
static const struct queue_options two_mappings = {CROSSVM_WRITE_BACK, false};

/* ping flows from side a to side b, pong back. The doorbells are ping's: vector 0 for ping, in
 * both directions, vector 1 for pong. */
static struct queue ping;
static struct queue pong;
static struct queue_bells bells_a;
static struct queue_bells bells_b;
static uint32_t n_rounds;

static uint32_t times(uint32_t n)
{
    return (uint32_t)(n * check_scale() / CHECK_SHORTER);
}

/* A short, random rest, so that the two sides meet at ever other moments. */
static void dawdle(uint64_t *random_state)
{
    uint32_t n = check_random(random_state) % 32;
    for (uint32_t i = 0; i < n; i++) {
        crossvm_cpu_pause();
    }
}

static struct crossvm_pipe_bell bell(struct queue_bells *own, uint32_t peer, uint32_t vector)
{
    struct crossvm_pipe_bell bell = {&own->notify, peer, vector, vector};
    return bell;
}

static void up(uint32_t capacity, enum queue_backend backend, struct queue_options options)
{
    queue_up(&ping, capacity, sizeof(uint32_t), 0xffffff00u, options);
    queue_up(&pong, capacity, sizeof(uint32_t), 0xffffff00u, options);
    queue_bells_make(&ping, backend, &bells_a, &bells_b);
}

static void down(void)
{
    queue_bells_drop(&bells_a, &bells_b);
    queue_drop(&ping);
    queue_drop(&pong);
}

static void in_threads(void *(*a)(void *), void *(*b)(void *))
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, b, NULL) == 0);
    (void)a(NULL);
    REQUIRE(pthread_join(thread, NULL) == 0);
}

static void in_processes(void *(*a)(void *), void *(*b)(void *))
{
    pid_t child_a = test_fork();
    if (child_a == 0) {
        queue_only_producer(&ping);
        queue_only_consumer(&pong);
        (void)a(NULL);
        test_child_done();
    }
    pid_t child_b = test_fork();
    if (child_b == 0) {
        queue_only_consumer(&ping);
        queue_only_producer(&pong);
        (void)b(NULL);
        test_child_done();
    }
    CHECK_EQ(test_wait_both(child_a, child_b), 0);
}

/* ---- an arm and a kick at the same moment ---------------------------------------------------- */

/* Where each side stands; the other spins until it stands there, too. */
static uint32_t meeting_a __attribute__((aligned(128)));
static uint32_t meeting_b __attribute__((aligned(128)));

static void meet(uint32_t *own, const uint32_t *other)
{
    uint32_t n = __atomic_load_n(own, __ATOMIC_RELAXED) + 1;
    __atomic_store_n(own, n, __ATOMIC_SEQ_CST);
    for (uint32_t spins = 1; __atomic_load_n(other, __ATOMIC_SEQ_CST) < n; spins++) {
        if (spins % 1024 == 0) {
            (void)sched_yield();
        } else {
            crossvm_cpu_pause();
        }
    }
}

static int b_armed;  /* what side b's arm answered: written before a meeting, read after it */
static int b_kicked; /* what side b's kick answered */
static uint32_t n_seen;
static uint32_t n_rung;

/* Counts who saw whom; neither must not happen. */
static void judge(int arm_answer, int kick_answer)
{
    CHECK(arm_answer == 1 || kick_answer == 1);
    n_seen += arm_answer == 1;
    n_rung += kick_answer == 1;
}

static void *pushes_and_kicks(void *unused)
{
    const uint32_t number = 1;
    uint64_t again_ns;
    (void)unused;
    for (uint32_t i = 0; i < n_rounds; i++) {
        meet(&meeting_a, &meeting_b);
        int pushed = crossvm_spsc_tx_push(&ping.tx, &number);
        int kicked = crossvm_spsc_tx_kick(&ping.tx, 0, &again_ns);
        meet(&meeting_a, &meeting_b);
        CHECK_EQ(pushed, CROSSVM_OK);
        judge(b_armed, kicked);
    }
    return NULL;
}

static void *arms_for_an_element(void *unused)
{
    uint32_t number;
    (void)unused;
    for (uint32_t i = 0; i < n_rounds; i++) {
        meet(&meeting_b, &meeting_a);
        b_armed = crossvm_spsc_rx_arm(&ping.rx, 1, 0);
        meet(&meeting_b, &meeting_a);
        crossvm_spsc_rx_disarm(&ping.rx);
        (void)!crossvm_spsc_rx_pop(&ping.rx, &number);
    }
    return NULL;
}

static void *arms_for_room(void *unused)
{
    const uint32_t number = 1;
    (void)unused;
    for (uint32_t i = 0; i < n_rounds; i++) {
        (void)!crossvm_spsc_tx_push(&ping.tx, &number);
        meet(&meeting_a, &meeting_b);
        int answer = crossvm_spsc_tx_arm(&ping.tx, 1);
        meet(&meeting_a, &meeting_b);
        crossvm_spsc_tx_disarm(&ping.tx);
        judge(answer, b_kicked);
    }
    return NULL;
}

static void *pops_and_kicks(void *unused)
{
    uint32_t number;
    (void)unused;
    for (uint32_t i = 0; i < n_rounds; i++) {
        meet(&meeting_b, &meeting_a);
        int popped = crossvm_spsc_rx_pop(&ping.rx, &number);
        b_kicked = crossvm_spsc_rx_kick(&ping.rx);
        meet(&meeting_b, &meeting_a);
        CHECK_EQ(popped, CROSSVM_OK);
    }
    return NULL;
}

static void collide(void *(*a)(void *), void *(*b)(void *))
{
    n_rounds = times(30000);
    n_seen = 0;
    n_rung = 0;
    meeting_a = 0;
    meeting_b = 0;
    up(1, QUEUE_POLLING, one_mapping);
    in_threads(a, b);
    down();
    printf("  %u rounds: the waiter saw it in %u, was rung in %u\n", n_rounds, n_seen, n_rung);
}

static void an_arm_and_a_kick_at_once_do_not_miss_each_other(void)
{
    collide(pushes_and_kicks, arms_for_an_element);
    collide(arms_for_room, pops_and_kicks);
}

/* ---- ping-pong ------------------------------------------------------------------------------- */

/* Publishes and kicks with nothing in between, not even a look at a clock. */
static bool send_number(struct crossvm_pipe_tx *out, uint32_t number)
{
    uint64_t again_ns;
    CHECK_EQ(crossvm_spsc_tx_push(&out->queue, &number), CROSSVM_OK);
    int due = crossvm_spsc_tx_kick(&out->queue, 0, &again_ns);
    CHECK_EQ(crossvm_notify_signal_if(out->bell.notify, due, out->bell.peer, out->bell.vector_out),
             CROSSVM_OK);
    return check_n_failed == 0;
}

/* Looks for a random while before it waits: a wait that begins at once is long asleep when the
 * answer comes, but one that begins just when it comes is what loses wake-ups. */
static void look_for_a_while(struct crossvm_spsc_rx *queue, uint64_t *random_state)
{
    uint32_t n = check_random(random_state) % 64;
    for (uint32_t i = 0; i < n && crossvm_spsc_rx_fill(queue) == 0; i++) {
        crossvm_cpu_pause();
    }
}

static bool await_number(struct crossvm_pipe_rx *in, uint32_t number)
{
    uint32_t got = 0;
    CHECK_EQ(crossvm_pipe_rx_wait(in, 1, 0, queue_deadline()), 1);
    CHECK_EQ(crossvm_spsc_rx_pop(&in->queue, &got), CROSSVM_OK);
    CHECK_EQ(got, number);
    return check_n_failed == 0;
}

static void *side_a(void *unused)
{
    struct crossvm_pipe_tx out = {ping.tx, bell(&bells_a, PARTY_B, 0)};
    struct crossvm_pipe_rx in = {pong.rx, bell(&bells_a, PARTY_B, 1)};
    uint64_t random_state = 3;
    (void)unused;
    for (uint32_t i = 0; i < n_rounds; i++) {
        dawdle(&random_state);
        bool sent = send_number(&out, i);
        look_for_a_while(&in.queue, &random_state);
        if (!sent || !await_number(&in, i)) {
            printf("side a gave up in round %u\n", i);
            break;
        }
    }
    return NULL;
}

static void *side_b(void *unused)
{
    struct crossvm_pipe_rx in = {ping.rx, bell(&bells_b, PARTY_A, 0)};
    struct crossvm_pipe_tx out = {pong.tx, bell(&bells_b, PARTY_A, 1)};
    uint64_t random_state = 4;
    (void)unused;
    for (uint32_t i = 0; i < n_rounds; i++) {
        look_for_a_while(&in.queue, &random_state);
        if (!await_number(&in, i)) {
            printf("side b gave up in round %u\n", i);
            break;
        }
        dawdle(&random_state);
        if (!send_number(&out, i)) {
            break;
        }
    }
    return NULL;
}

static void ping_pong_between_threads(void)
{
    n_rounds = times(200000);
    up(4, QUEUE_EVENTFD, one_mapping);
    in_threads(side_a, side_b);
    down();
    up(4, QUEUE_FUTEX, one_mapping);
    in_threads(side_a, side_b);
    down();
}

static void ping_pong_between_processes(void)
{
    n_rounds = times(100000);
    up(4, QUEUE_EVENTFD, two_mappings);
    in_processes(side_a, side_b);
    down();
    up(4, QUEUE_FUTEX, two_mappings);
    in_processes(side_a, side_b);
    down();
}

/* ---- below the watermark, then silence ------------------------------------------------------- */

enum {
    BURST_CAPACITY = 16
};

/* A burst of fewer elements than the consumer's watermark; the next comes only when pong says that
 * this one was seen. */
static uint32_t burst_of(uint32_t round)
{
    return round % (BURST_CAPACITY - 1) + 1;
}

static void *bursts(void *unused)
{
    struct crossvm_pipe_tx out = {ping.tx, bell(&bells_a, PARTY_B, 0)};
    struct crossvm_pipe_rx in = {pong.rx, bell(&bells_a, PARTY_B, 1)};
    (void)unused;
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t i = 0; i < burst_of(round); i++) {
            if (!send_number(&out, round)) {
                return NULL;
            }
        }
        if (!await_number(&in, round)) {
            return NULL;
        }
    }
    return NULL;
}

/* The deadline never comes: only the longest delay can end the wait. */
static void *watermark(void *unused)
{
    struct crossvm_pipe_rx in = {ping.rx, bell(&bells_b, PARTY_A, 0)};
    struct crossvm_pipe_tx out = {pong.tx, bell(&bells_b, PARTY_A, 1)};
    uint32_t got[BURST_CAPACITY];
    (void)unused;
    for (uint32_t round = 0; round < n_rounds; round++) {
        uint32_t seen = 0;
        while (seen < burst_of(round) && check_n_failed == 0) {
            uint32_t want = burst_of(round) - seen + 1;
            int n = crossvm_pipe_rx_wait(&in, want, 100000, CROSSVM_NO_DEADLINE);
            CHECK(n > 0 && (uint32_t)n < want);
            CHECK_EQ(crossvm_spsc_rx_pop_n(&in.queue, got, BURST_CAPACITY), n);
            seen += n > 0 ? (uint32_t)n : 0;
        }
        CHECK_EQ(seen, burst_of(round));
        CHECK_EQ(got[0], round);
        if (check_n_failed != 0 || !send_number(&out, round)) {
            return NULL;
        }
    }
    return NULL;
}

static void a_burst_below_the_watermark_followed_by_silence_is_seen(void)
{
    n_rounds = times(1000);
    up(BURST_CAPACITY, QUEUE_EVENTFD, one_mapping);
    in_threads(bursts, watermark);
    down();
    up(BURST_CAPACITY, QUEUE_FUTEX, one_mapping);
    in_threads(bursts, watermark);
    down();
    up(BURST_CAPACITY, QUEUE_FUTEX, two_mappings);
    in_processes(bursts, watermark);
    down();
}

/* ---- both about to sleep --------------------------------------------------------------------- */

enum {
    SMALL = 8
};

/* More than half of the queue, so that the two wants exceed what it holds plus one. */
static uint32_t large_want(uint64_t *random_state)
{
    return SMALL / 2 + 1 + check_random(random_state) % (SMALL / 2);
}

/* At least one, not always all: what is left makes the other's want come short. */
static int a_part_of(int n, uint64_t *random_state)
{
    return n <= 1 ? 1 : 1 + (int)(check_random(random_state) % (uint32_t)n);
}

static void *greedy_producer(void *unused)
{
    struct crossvm_pipe_tx out = {ping.tx, bell(&bells_a, PARTY_B, 0)};
    uint64_t random_state = 5;
    uint64_t again_ns;
    uint32_t sent = 0;
    (void)unused;
    while (sent < n_rounds && check_n_failed == 0) {
        int n_free = crossvm_pipe_tx_wait(&out, large_want(&random_state), queue_deadline());
        CHECK(n_free > 0);
        int n = a_part_of(n_free, &random_state);
        for (int i = 0; i < n && sent < n_rounds; i++) {
            CHECK_EQ(crossvm_spsc_tx_push(&out.queue, &sent), CROSSVM_OK);
            sent++;
        }
        dawdle(&random_state);
        CHECK_EQ(crossvm_pipe_tx_kick(&out, &again_ns), CROSSVM_OK);
    }
    return NULL;
}

static void *greedy_consumer(void *unused)
{
    struct crossvm_pipe_rx in = {ping.rx, bell(&bells_b, PARTY_A, 0)};
    uint64_t random_state = 6;
    uint32_t got[SMALL];
    uint32_t seen = 0;
    (void)unused;
    while (seen < n_rounds && check_n_failed == 0) {
        uint32_t left = n_rounds - seen;
        uint32_t want = large_want(&random_state);
        int n = crossvm_pipe_rx_wait(&in, want < left ? want : left, 0, queue_deadline());
        CHECK(n > 0);
        n = crossvm_spsc_rx_pop_n(&in.queue, got, (uint32_t)a_part_of(n, &random_state));
        for (int i = 0; i < n; i++) {
            CHECK_EQ(got[i], seen);
            seen++;
        }
        dawdle(&random_state);
        CHECK_EQ(crossvm_pipe_rx_kick(&in), CROSSVM_OK);
    }
    return NULL;
}

static void two_sides_that_want_too_much_do_not_both_sleep(void)
{
    n_rounds = times(200000);
    up(SMALL, QUEUE_EVENTFD, one_mapping);
    in_threads(greedy_producer, greedy_consumer);
    down();
    up(SMALL, QUEUE_FUTEX, one_mapping);
    in_threads(greedy_producer, greedy_consumer);
    down();
    up(SMALL, QUEUE_POLLING, one_mapping);
    in_threads(greedy_producer, greedy_consumer);
    down();
    up(SMALL, QUEUE_FUTEX, two_mappings);
    in_processes(greedy_producer, greedy_consumer);
    down();
}

int main(void)
{
    test_guard();
    CASE(an_arm_and_a_kick_at_once_do_not_miss_each_other);
    CASE(ping_pong_between_threads);
    CASE(ping_pong_between_processes);
    CASE(a_burst_below_the_watermark_followed_by_silence_is_seen);
    CASE(two_sides_that_want_too_much_do_not_both_sleep);
    return check_done();
}
