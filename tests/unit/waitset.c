/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/waitset.c - one wait for many things, in one thread: the doorbell is a script. While
 * the set sleeps the script does what a peer would do and says what time it is, so that every
 * answer, every ring and every rest is exact.
 */
#include "../support/broadcast.h"
#include "../support/exchange.h"
#include "../support/script.h"

enum {
    CAPACITY = 16
};

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

/* ---- what the set waits for ------------------------------------------------------------------ */

enum {
    N_SOURCES = 7
};

static struct queue queue;             /* we are its consumer */
static struct queue outgoing;          /* we are its producer */
static struct exchange served;         /* we are its client */
static struct exchange asking;         /* we are its producer */
static struct test_snapshot state;     /* we read it */
static struct test_broadcast news;     /* we read it */
static struct test_region wake_region; /* our words for both */
static struct crossvm_chunk wake_chunks[2];
static struct crossvm_wake_waiter wakers[2];
static struct crossvm_wake_publisher wakes[2];
static struct crossvm_waitset_snapshot snapshot_source;
static struct crossvm_waitset_broadcast broadcast_source;
static struct crossvm_waitset_source sources[N_SOURCES];
static struct crossvm_waitset set;

static void wakes_up(void)
{
    static const struct crossvm_chunk_decl decls[2] = {
        {"wake/state", CROSSVM_KIND_WAKE, 0, 0, PARTY_B, PARTY_A, 0, 0},
        {"wake/news", CROSSVM_KIND_WAKE, 0, 0, PARTY_B, PARTY_A, 0, 0},
    };
    const struct crossvm_region_plan plan = TEST_PLAN(decls, 2, 0, 0, 0, PARTY_B);
    test_region_make(&wake_region, &plan, PARTY_A);
    for (int i = 0; i < 2; i++) {
        wake_chunks[i] = test_find(&wake_region.reader, decls[i].name, CROSSVM_KIND_WAKE);
        REQUIRE(crossvm_wake_waiter_open(&wakers[i], &wake_region.owner.region, &wake_chunks[i]) ==
                CROSSVM_OK);
        REQUIRE(crossvm_wake_publisher_open(&wakes[i], &wake_region.reader, &wake_chunks[i], 0) ==
                CROSSVM_OK);
    }
    snapshot_source.reader = &state.reader;
    snapshot_source.waiter = &wakers[0];
    broadcast_source.reader = &news.reader;
    broadcast_source.waiter = &wakers[1];
}

static void up(uint32_t want, uint64_t delay_ns)
{
    queue_up(&queue, CAPACITY, 8, 0xfffffff8u, usual);
    queue_up(&outgoing, CAPACITY, 8, 0, usual);
    exchange_make(&served, CAPACITY, 8, 0);
    exchange_link(&served, CAPACITY, 8);
    exchange_make(&asking, CAPACITY, 8, 0);
    exchange_link(&asking, CAPACITY, 8);
    test_snapshot_make(&state, 4, 64);
    test_broadcast_make(&news, 8, 64);
    wakes_up();
    crossvm_waitset_watch_elements(&sources[0], &queue.rx, &bell, want, delay_ns);
    crossvm_waitset_watch_room(&sources[1], &outgoing.tx, &bell, want);
    crossvm_waitset_watch_elements(&sources[2], &served.rx.queue, &bell, want, delay_ns);
    crossvm_waitset_watch_answers(&sources[3], &asking.tx, &bell, want, delay_ns);
    crossvm_waitset_watch_snapshot(&sources[4], &snapshot_source, want, delay_ns);
    crossvm_waitset_watch_broadcast(&sources[5], &broadcast_source, want, delay_ns);
    memset(&script, 0, sizeof(script));
    script.now_ns = 1000;
    crossvm_waitset_init(&set, sources, 6, &bell_notify, 3);
    /* No room, so that nothing is ready yet. */
    for (uint32_t i = 0; i < CAPACITY; i++) {
        REQUIRE(crossvm_spsc_tx_push(&outgoing.tx, "elements") == CROSSVM_OK);
    }
}

static void down(void)
{
    queue_drop(&queue);
    queue_drop(&outgoing);
    exchange_drop(&served);
    exchange_drop(&asking);
    test_snapshot_drop(&state);
    test_broadcast_drop(&news);
    test_region_drop(&wake_region);
}

/* ---- what the peers do ----------------------------------------------------------------------- */

static int kick_queue(struct crossvm_spsc_tx *tx)
{
    uint64_t again_ns;
    return crossvm_spsc_tx_kick(tx, 0, &again_ns);
}

/* One more of what source i waits for; whether its peer is told to ring us for it. */
static int give(uint32_t i)
{
    unsigned char eight[8] = {0};
    uint64_t again_ns;
    switch (i) {
    case 0:
        REQUIRE(crossvm_spsc_tx_push(&queue.tx, eight) == CROSSVM_OK);
        return kick_queue(&queue.tx);
    case 1:
        REQUIRE(crossvm_spsc_rx_pop(&outgoing.rx, eight) == CROSSVM_OK);
        crossvm_spsc_rx_flush(&outgoing.rx);
        return crossvm_spsc_rx_kick(&outgoing.rx);
    case 2:
        REQUIRE(crossvm_exchange_tx_push(&served.tx, eight) == CROSSVM_OK);
        return kick_queue(&served.tx.queue);
    case 3:
        REQUIRE(crossvm_exchange_tx_push(&asking.tx, eight) == CROSSVM_OK);
        REQUIRE(crossvm_exchange_rx_get(&asking.rx, eight) == CROSSVM_OK);
        REQUIRE(crossvm_exchange_rx_answer(&asking.rx, eight) == CROSSVM_OK);
        return crossvm_exchange_rx_kick(&asking.rx, 0, &again_ns);
    case 4:
        REQUIRE(crossvm_snapshot_writer_publish(&state.writer, eight, 8, 0, 0) == CROSSVM_OK);
        return crossvm_wake_due(&wakes[0], (uint32_t)state.writer.version, 0, &again_ns);
    default:
        REQUIRE(crossvm_broadcast_writer_publish(&news.writer, eight, 8) == CROSSVM_OK);
        return crossvm_wake_due(&wakes[1], (uint32_t)news.writer.number, 0, &again_ns);
    }
}

/* The first kick of a handle always rings: from here on a ring means that somebody wants it. */
static void first_kicks(void)
{
    uint64_t again_ns;
    CHECK_EQ(kick_queue(&queue.tx), 1);
    CHECK_EQ(crossvm_spsc_rx_kick(&outgoing.rx), 1);
    CHECK_EQ(kick_queue(&served.tx.queue), 1);
    CHECK_EQ(crossvm_exchange_rx_kick(&asking.rx, 0, &again_ns), 1);
    CHECK_EQ(crossvm_wake_due(&wakes[0], 0, 0, &again_ns), 1);
    CHECK_EQ(crossvm_wake_due(&wakes[1], 0, 0, &again_ns), 1);
    CHECK_EQ(crossvm_wake_never(&wakers[0]), CROSSVM_OK);
    CHECK_EQ(crossvm_wake_never(&wakers[1]), CROSSVM_OK);
}

static void check_ready(uint32_t one, int how_much)
{
    for (uint32_t i = 0; i < set.n_sources; i++) {
        CHECK_EQ(sources[i].ready, i == one ? how_much : 0);
    }
}

/* ---- the cases ------------------------------------------------------------------------------- */

static void what_is_there_already_is_ready_without_a_sleep(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        up(2, 0);
        first_kicks();
        CHECK_EQ(give(i), 0);
        CHECK_EQ(give(i), 0);
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
        check_ready(i, 2);
        CHECK_EQ(script.n_waits, 0);
        CHECK_EQ(give(5 - i), 0);
        CHECK_EQ(give(5 - i), 0);
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 2);
        CHECK_EQ(sources[i].ready, 2);
        CHECK_EQ(sources[5 - i].ready, 2);
        down();
    }
}

static void nothing_until_the_deadline_is_a_timeout(void)
{
    up(1, 0);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
    CHECK_EQ(script.n_waits, 1);
    CHECK_EQ(script.until_ns, 5000);
    check_ready(9, 0);
    CHECK_EQ(crossvm_waitset_wait(&set, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(script.n_waits, 1);
    crossvm_waitset_init(&set, sources, 0, &bell_notify, 3);
    CHECK_EQ(crossvm_waitset_wait(&set, 6000), CROSSVM_TIMEOUT);
    down();
}

static uint32_t given_source;
static int rings[4];

/* The watermark is 3: only the third rings. */
static void give_three(unsigned n)
{
    CHECK_EQ(n, 1);
    for (int k = 0; k < 3; k++) {
        rings[k] = give(given_source);
    }
    script.alarm = true;
}

static void the_watermark_of_each_source_rings_and_the_others_do_not(void)
{
    for (given_source = 0; given_source < 6; given_source++) {
        up(3, 0);
        first_kicks();
        script.sleep = give_three;
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
        CHECK_EQ(rings[0] + rings[1], 0);
        CHECK_EQ(rings[2], 1);
        check_ready(given_source, 3);
        /* Awake: no more rings. */
        CHECK_EQ(give(given_source), 0);
        down();
    }
}

/* In the first sleep one comes, and the delay begins; the second sleep ends with the delay. */
static void give_one(unsigned n)
{
    script.alarm = n == 1;
    if (n == 1) {
        script.now_ns += 10 * MS;
        rings[0] = give(given_source);
    }
}

static void one_below_the_watermark_is_ready_after_the_longest_delay(void)
{
    for (given_source = 0; given_source < 6; given_source++) {
        if (given_source == 1) {
            continue; /* room has no delay */
        }
        up(3, 20 * MS);
        first_kicks();
        script.sleep = give_one;
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
        CHECK_EQ(rings[0], 1);
        CHECK_EQ(script.n_waits, 2);
        CHECK_EQ(script.until_ns, 1000 + 30 * MS);
        check_ready(given_source, 1);
        down();
    }
}

static void give_two_with_time(unsigned n)
{
    script.alarm = true;
    CHECK(n <= 2);
    if (n == 1) {
        rings[0] = give(0);
    } else {
        /* Armed for the watermark now: the second does not ring, the third does. */
        rings[1] = give(0);
        rings[2] = give(0);
    }
}

static void with_a_delay_the_watermark_is_armed_behind_the_first(void)
{
    up(3, 20 * MS);
    first_kicks();
    script.sleep = give_two_with_time;
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(rings[0], 1);
    CHECK_EQ(rings[1], 0);
    CHECK_EQ(rings[2], 1);
    check_ready(0, 3);
    down();
}

/* Others that are ready all the time do not put a delay off. */
static void a_delay_goes_on_from_one_wait_to_the_next(void)
{
    up(3, 20 * MS);
    sources[4].want = 1;
    (void)give(0);
    for (int k = 0; k < 4; k++) {
        unsigned char out[64];
        (void)give(4);
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
        check_ready(4, 1);
        CHECK_EQ(crossvm_snapshot_reader_read(&state.reader, out, sizeof(out), NULL), 1);
        script.now_ns += 5 * MS;
    }
    (void)give(4);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 2);
    CHECK_EQ(sources[0].ready, 1);
    CHECK_EQ(script.n_waits, 0);
    /* Ready, and taken: the next one begins a delay of its own. */
    unsigned char out[8];
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, out), CROSSVM_OK);
    CHECK_EQ(crossvm_snapshot_reader_read(&state.reader, out, sizeof(out), NULL), 1);
    (void)give(0);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(script.until_ns, 1000 + 40 * MS);
    down();
}

/* What began a delay was taken before it was over: the next one begins a delay of its own. */
static void a_delay_ends_with_what_began_it(void)
{
    unsigned char out[8];
    up(3, 20 * MS);
    sources[4].want = 1;
    (void)give(0);
    (void)give(4);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, out), CROSSVM_OK);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    CHECK_EQ(crossvm_snapshot_reader_read(&state.reader, out, sizeof(out), NULL), 1);
    script.now_ns += 10 * MS;
    (void)give(0);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    check_ready(0, 1);
    CHECK_EQ(script.until_ns, 1000 + 30 * MS);
    down();
}

static void a_delay_without_end_and_one_behind_the_deadline_do_no_harm(void)
{
    up(3, UINT64_MAX);
    (void)give(0);
    CHECK_EQ(crossvm_waitset_wait(&set, 50 * MS), 1);
    check_ready(0, 1);
    CHECK_EQ(script.now_ns, 50 * MS);
    down();
}

/* ---- two that wait for each other ------------------------------------------------------------ */

/* The producer fills the queue but for one place, wants room for all, and sleeps, too. */
static void producer_waits_too(unsigned n)
{
    script.alarm = true;
    if (n == 1) {
        for (uint32_t k = 0; k < CAPACITY - 1; k++) {
            CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, "elements"), CROSSVM_OK);
        }
        CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, CAPACITY), 0);
        CHECK_EQ(crossvm_spsc_tx_nudge(&queue.tx), 1);
    }
    CHECK_EQ(n, 1);
}

static void whoever_sees_that_its_peer_waits_takes_what_there_is(void)
{
    up(CAPACITY, 0);
    script.sleep = producer_waits_too;
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    check_ready(0, CAPACITY - 1);
    down();
}

static void a_peer_that_may_wait_is_nudged_before_the_sleep(void)
{
    up(CAPACITY, 0);
    for (uint32_t k = 0; k < CAPACITY - 1; k++) {
        CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, "elements"), CROSSVM_OK);
    }
    CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, CAPACITY), 0);
    CHECK_EQ(crossvm_waitset_wait(&set, 2000), 1);
    CHECK_EQ(script.n_rung, 1);
    check_ready(0, CAPACITY - 1);
    sources[0].bell = NULL;
    script.now_ns = 1000;
    CHECK_EQ(crossvm_waitset_wait(&set, 2000), 1);
    CHECK_EQ(script.n_rung, 1);
    down();
}

/* Rung for nothing, then for one of five, then left alone. */
static void alarm_then_give_one(unsigned n)
{
    script.alarm = n <= 2;
    if (n == 2) {
        (void)give(0);
    }
}

/* Whoever looked, and saw the other awake, does not nudge: the other looks later. */
static void a_peer_is_nudged_again_only_while_nothing_is_there(void)
{
    up(5, 0);
    CHECK_EQ(crossvm_wake_always(&queue.tx.waiter), CROSSVM_OK);
    script.sleep = alarm_then_give_one;
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
    check_ready(0, 1);
    CHECK_EQ(script.n_waits, 3);
    CHECK_EQ(script.n_rung, 2);
    down();
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Makes source i fail: its chunk is renewed, or its index impossible. */
static int break_source(uint32_t i)
{
    switch (i) {
    case 0:
        crossvm_store_relaxed(&queue_tx_words(&queue)->line.index, 0x40000000u);
        return CROSSVM_CORRUPT;
    case 1:
        crossvm_store_relaxed(&queue_rx_words(&outgoing)->line.index, 0x40000000u);
        return CROSSVM_CORRUPT;
    case 2:
        REQUIRE(crossvm_region_owner_renew(&served.a.owner, &served.tx_chunk) == CROSSVM_OK);
        return CROSSVM_STALE;
    case 3:
        REQUIRE(crossvm_region_owner_renew(&asking.b.owner, &asking.rx_chunk) == CROSSVM_OK);
        return CROSSVM_STALE;
    case 4:
        REQUIRE(crossvm_region_owner_renew(&state.region.owner, &state.chunk) == CROSSVM_OK);
        return CROSSVM_STALE;
    default:
        REQUIRE(crossvm_region_owner_renew(&news.region.owner, &news.chunk) == CROSSVM_OK);
        return CROSSVM_STALE;
    }
}

static void a_source_that_fails_is_ready_once_with_its_status(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        up(1, 0);
        int status = break_source(i);
        CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
        check_ready(i, status);
        CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
        check_ready(9, 0);
        (void)give(5 - i);
        CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
        check_ready(5 - i, 1);
        down();
    }
}

static uint32_t broken_source;

static void break_while_asleep(unsigned n)
{
    (void)n;
    (void)break_source(broken_source);
    script.alarm = true;
}

static void a_source_that_fails_while_the_set_sleeps_is_told_too(void)
{
    for (broken_source = 0; broken_source < 6; broken_source++) {
        up(1, 0);
        script.sleep = break_while_asleep;
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
        CHECK(sources[broken_source].ready < 0);
        down();
    }
}

/* A snapshot or broadcast that was found corrupt by reading it. */
static void a_corrupt_reader_is_told(void)
{
    up(1, 0);
    state.reader.fault.rule = CROSSVM_RULE_SLOT_MARK;
    news.reader.fault.rule = CROSSVM_RULE_SLOT_MARK;
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 2);
    CHECK_EQ(sources[4].ready, CROSSVM_CORRUPT);
    CHECK_EQ(sources[5].ready, CROSSVM_CORRUPT);
    down();
}

/* A version that cannot be: behind the reader's. It is ready, and the read says what it is. */
static void a_version_that_goes_backward_is_there_to_be_judged(void)
{
    unsigned char out[64];
    up(2, 0);
    (void)give(4);
    (void)give(4);
    CHECK_EQ(crossvm_snapshot_reader_read(&state.reader, out, sizeof(out), NULL), 1);
    struct crossvm_slots_shm *words = (struct crossvm_slots_shm *)(void *)crossvm_i_control(
        &state.region.owner.region, &state.chunk);
    crossvm_store_relaxed(&words->latest, 1);
    CHECK_EQ(crossvm_snapshot_reader_newer(&state.reader), 0x7fffffff);
    CHECK_EQ(crossvm_snapshot_reader_read(&state.reader, out, sizeof(out), NULL), CROSSVM_CORRUPT);
    crossvm_store_relaxed(&words->latest, 0x80000001u);
    CHECK_EQ(crossvm_slots_reader_newer(&state.reader.slots, 2), 0x7fffffff);
    down();
}

static void a_source_that_was_mended_counts_again(void)
{
    up(1, 0);
    uint32_t tail = crossvm_load_relaxed(&queue_tx_words(&queue)->line.index);
    for (int life = 0; life < 2; life++) {
        CHECK_EQ(break_source(0), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
        CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
        crossvm_store_relaxed(&queue_tx_words(&queue)->line.index, tail);
        queue_resume(&queue);
        CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
    }
    (void)give(0);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
    check_ready(0, 1);
    down();
}

static void a_queue_that_is_not_linked_is_passed_over(void)
{
    struct queue late;
    up(1, 0);
    queue_make(&late, CAPACITY, 8, usual);
    REQUIRE(queue_rx_open(&late, CAPACITY, 8) == CROSSVM_OK);
    crossvm_waitset_watch_elements(&sources[6], &late.rx, &bell, 1, 0);
    crossvm_waitset_init(&set, sources, 7, &bell_notify, 3);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
    queue_link(&late, CAPACITY, 8);
    REQUIRE(crossvm_spsc_tx_push(&late.tx, "elements") == CROSSVM_OK);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
    check_ready(6, 1);
    queue_drop(&late);
    down();
}

/* The words of a reader can go, too, and come again. */
static void words_that_are_gone_are_told_once(void)
{
    up(1, 0);
    for (int life = 0; life < 2; life++) {
        REQUIRE(crossvm_region_owner_renew(&wake_region.owner, &wake_chunks[0]) == CROSSVM_OK);
        CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + 5000), 1);
        check_ready(4, CROSSVM_STALE);
        CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + 5000), CROSSVM_TIMEOUT);
        REQUIRE(crossvm_wake_waiter_open(&wakers[0], &wake_region.owner.region, &wake_chunks[0]) ==
                CROSSVM_OK);
        CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + 5000), CROSSVM_TIMEOUT);
    }
    down();
}

/* Who has nothing outstanding does not wake a client that has nothing to do, or both would wake
 * each other for ever. */
static void two_idle_ends_of_an_exchange_let_each_other_sleep(void)
{
    up(1, 0);
    CHECK_EQ(crossvm_wake_always(&asking.rx.queue.waiter), CROSSVM_OK);
    script.alarm = true;
    CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + CROSSVM_NOTIFY_REST_NS), CROSSVM_TIMEOUT);
    CHECK_EQ(script.n_rung, 0);
    REQUIRE(crossvm_exchange_tx_push(&asking.tx, "elements") == CROSSVM_OK);
    script.alarm = false;
    CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + 5000), CROSSVM_TIMEOUT);
    CHECK_EQ(script.n_rung, 1);
    down();
}

static void a_want_that_cannot_be_is_told(void)
{
    up(1, 0);
    sources[0].want = 0;
    sources[1].want = CAPACITY + 1;
    sources[4].want = 0;
    sources[5].want = 0x80000000u;
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 4);
    CHECK_EQ(sources[5].ready, CROSSVM_INVALID);
    CHECK_EQ(sources[0].ready, CROSSVM_INVALID);
    CHECK_EQ(sources[1].ready, CROSSVM_INVALID);
    CHECK_EQ(sources[4].ready, CROSSVM_INVALID);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
    CHECK_EQ(script.n_waits, 1);
    down();
}

/* A peer's doorbell that fails is that source's failure; the wait goes on without it. */
static void a_bell_that_fails_is_told_once(void)
{
    up(1, 0);
    CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, CAPACITY), 1);
    CHECK_EQ(crossvm_wake_always(&queue.tx.waiter), CROSSVM_OK);
    script.signal = CROSSVM_NOT_FOUND;
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
    check_ready(0, CROSSVM_NOT_FOUND);
    CHECK_EQ(script.n_waits, 0);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
    script.signal = CROSSVM_OK;
    CHECK_EQ(crossvm_waitset_wait(&set, 6000), CROSSVM_TIMEOUT);
    script.signal = CROSSVM_NOT_FOUND;
    CHECK_EQ(crossvm_waitset_wait(&set, 7000), 1);
    check_ready(0, CROSSVM_NOT_FOUND);
    (void)give(5);
    CHECK_EQ(crossvm_waitset_wait(&set, 7000), 1);
    check_ready(5, 1);
    down();
}

static int failing_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    (void)context;
    (void)vector;
    (void)deadline_ns;
    return CROSSVM_SYSTEM;
}

static void the_sets_own_doorbell_that_fails_is_answered_and_nothing_stays_armed(void)
{
    static const struct crossvm_notify_ops ops = {script_signal, failing_wait, NULL, script_now,
                                                  NULL};
    struct crossvm_notify notify = {&ops, NULL, 0, 0};
    up(1, 0);
    first_kicks();
    crossvm_waitset_init(&set, sources, 6, &notify, 3);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_SYSTEM);
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_EQ(give(i), 0);
    }
    down();
}

/* ---- a kind of one's own --------------------------------------------------------------------- */

static struct {
    int looks[4]; /* what the looks see, one after the other */
    unsigned n_looks;
    uint32_t armed[4];
    unsigned n_armed;
    unsigned n_disarmed;
    unsigned n_nudges;
} own;

static int own_look(void *object, uint32_t want)
{
    (void)object;
    CHECK_EQ(want, 3);
    unsigned n = own.n_looks < 3 ? own.n_looks : 3;
    own.n_looks++;
    return own.looks[n];
}

static int own_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    (void)object;
    CHECK_EQ(delay_ns, 20 * MS);
    own.armed[own.n_armed % 4] = want;
    own.n_armed++;
    return 0;
}

static void own_disarm(void *object)
{
    (void)object;
    own.n_disarmed++;
}

static int own_nudge(void *object)
{
    (void)object;
    own.n_nudges++;
    return 0;
}

static bool own_peer_waits(void *object)
{
    (void)object;
    return false;
}

static const struct crossvm_waitset_ops own_ops = {own_look, own_arm, own_disarm, own_nudge,
                                                   own_peer_waits};

static void own_up(int first, int second, int third)
{
    up(1, 0);
    memset(&own, 0, sizeof(own));
    own.looks[0] = first;
    own.looks[1] = second;
    own.looks[2] = third;
    own.looks[3] = third;
    crossvm_waitset_watch(&sources[0], &own_ops, NULL, &bell, 3, 20 * MS);
}

/* The first one comes just before the set is armed for it: then it arms the watermark, too. */
static void one_that_comes_while_the_set_arms_begins_its_delay(void)
{
    own_up(0, 1, 1);
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    check_ready(0, 1);
    CHECK_EQ(own.n_armed, 2);
    CHECK_EQ(own.armed[0], 1);
    CHECK_EQ(own.armed[1], 3);
    CHECK_EQ(own.n_disarmed, 1);
    CHECK_EQ(own.n_nudges, 1);
    CHECK_EQ(script.until_ns, 1000 + 20 * MS);
    down();
}

static void a_source_that_has_failed_nudges_nobody(void)
{
    own_up(CROSSVM_STALE, CROSSVM_STALE, CROSSVM_STALE);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), 1);
    CHECK_EQ(crossvm_waitset_wait(&set, 5000), CROSSVM_TIMEOUT);
    CHECK_EQ(own.n_nudges, 0);
    down();
}

/* ---- storms ---------------------------------------------------------------------------------- */

/* Rings that never end cost so many looks, and one more for each rest. */
static void a_storm_of_rings_costs_bounded_work(void)
{
    /* The last rest would end behind the deadline. */
    const uint64_t deadline_ns = 1000 + 100 * (uint64_t)CROSSVM_NOTIFY_REST_NS - 5;
    up(1, 0);
    script.alarm = true;
    CHECK_EQ(crossvm_waitset_wait(&set, deadline_ns), CROSSVM_TIMEOUT);
    CHECK_EQ(script.n_rests, 100);
    CHECK_EQ(script.n_waits, CROSSVM_NOTIFY_VAIN + 100);
    CHECK_EQ(script.now_ns, deadline_ns);
    down();
}

static uint32_t n_given;

/* Every ring brings one that was asked for: no storm. */
static void give_and_take(unsigned n)
{
    script.alarm = n <= 40;
    script.now_ns += 1;
    if (n <= 40) {
        unsigned char out[8];
        n_given++;
        (void)give(0);
        if (n_given % 10 == 0) {
            REQUIRE(crossvm_spsc_rx_pop_n(&queue.rx, out, 1) == 1);
        }
    }
}

static void rings_that_bring_something_are_no_storm(void)
{
    up(CAPACITY, 0);
    n_given = 0;
    sources[0].delay_ns = 1000 * (uint64_t)MS;
    script.sleep = give_and_take;
    CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns + 500 * (uint64_t)MS), 1);
    CHECK(script.n_waits >= 15);
    CHECK_EQ(script.n_rests, 0);
    down();
}

/* A hostile writer's version comes and goes, below the watermark, and rings each time. */
static void come_and_go(unsigned n)
{
    struct crossvm_slots_shm *words = (struct crossvm_slots_shm *)(void *)crossvm_i_control(
        &state.region.owner.region, &state.chunk);
    crossvm_store_relaxed(&words->latest, n % 3);
}

static void what_comes_and_goes_is_a_storm_all_the_same(void)
{
    const uint64_t long_ns = 10000 * (uint64_t)MS;
    for (uint64_t delay_ns = 0; delay_ns <= long_ns; delay_ns += long_ns) {
        up(1, 0);
        sources[4].want = 20;
        sources[4].delay_ns = delay_ns;
        script.alarm = true;
        script.sleep = come_and_go;
        int n_ready = crossvm_waitset_wait(&set, 1000 + 100 * (uint64_t)CROSSVM_NOTIFY_REST_NS);
        CHECK(n_ready == CROSSVM_TIMEOUT || n_ready == 1);
        CHECK(script.n_waits <= 4 * CROSSVM_NOTIFY_VAIN + 100);
        down();
    }
}

static void give_in_a_storm(unsigned n)
{
    if (n == CROSSVM_NOTIFY_VAIN + 3) {
        (void)give(2);
    }
}

static void what_comes_in_a_storm_is_seen_after_the_next_rest(void)
{
    up(1, 0);
    script.alarm = true;
    script.sleep = give_in_a_storm;
    CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
    check_ready(2, 1);
    CHECK_EQ(script.n_waits, CROSSVM_NOTIFY_VAIN + 3);
    down();
}

/* ---- polling alone --------------------------------------------------------------------------- */

static unsigned n_relaxed;

static void relax_and_give(void *context)
{
    (void)context;
    n_relaxed++;
    script.now_ns += 10;
    if (n_relaxed == 100) {
        (void)give(given_source);
    }
}

/* Nobody rings, nobody rests, and each source is seen all the same. */
static void polling_alone_sees_the_same(void)
{
    struct crossvm_polling polling = {script_now, relax_and_give, NULL};
    struct crossvm_notify notify;
    for (given_source = 0; given_source < 6; given_source++) {
        up(1, 0);
        n_relaxed = 0;
        crossvm_notify_polling(&notify, &polling);
        for (uint32_t i = 0; i < 6; i++) {
            sources[i].bell = NULL;
        }
        snapshot_source.waiter = NULL;
        broadcast_source.waiter = NULL;
        crossvm_waitset_init(&set, sources, 6, &notify, 0);
        CHECK_EQ(crossvm_waitset_wait(&set, CROSSVM_NO_DEADLINE), 1);
        check_ready(given_source, 1);
        CHECK_EQ(n_relaxed, 100);
        CHECK_EQ(crossvm_waitset_wait(&set, script.now_ns), 1);
        down();
    }
}

int main(void)
{
    test_guard();
    CASE(what_is_there_already_is_ready_without_a_sleep);
    CASE(nothing_until_the_deadline_is_a_timeout);
    CASE(the_watermark_of_each_source_rings_and_the_others_do_not);
    CASE(one_below_the_watermark_is_ready_after_the_longest_delay);
    CASE(with_a_delay_the_watermark_is_armed_behind_the_first);
    CASE(a_delay_goes_on_from_one_wait_to_the_next);
    CASE(a_delay_ends_with_what_began_it);
    CASE(a_delay_without_end_and_one_behind_the_deadline_do_no_harm);
    CASE(whoever_sees_that_its_peer_waits_takes_what_there_is);
    CASE(a_peer_that_may_wait_is_nudged_before_the_sleep);
    CASE(a_peer_is_nudged_again_only_while_nothing_is_there);
    CASE(a_source_that_fails_is_ready_once_with_its_status);
    CASE(a_source_that_fails_while_the_set_sleeps_is_told_too);
    CASE(a_corrupt_reader_is_told);
    CASE(a_version_that_goes_backward_is_there_to_be_judged);
    CASE(a_source_that_was_mended_counts_again);
    CASE(a_queue_that_is_not_linked_is_passed_over);
    CASE(words_that_are_gone_are_told_once);
    CASE(two_idle_ends_of_an_exchange_let_each_other_sleep);
    CASE(a_want_that_cannot_be_is_told);
    CASE(a_bell_that_fails_is_told_once);
    CASE(the_sets_own_doorbell_that_fails_is_answered_and_nothing_stays_armed);
    CASE(one_that_comes_while_the_set_arms_begins_its_delay);
    CASE(a_source_that_has_failed_nudges_nobody);
    CASE(a_storm_of_rings_costs_bounded_work);
    CASE(rings_that_bring_something_are_no_storm);
    CASE(what_comes_and_goes_is_a_storm_all_the_same);
    CASE(what_comes_in_a_storm_is_seen_after_the_next_rest);
    CASE(polling_alone_sees_the_same);
    return check_done();
}
