/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/wake.c - when to ring: the table of the rule, the counters, the longest delay as a
 * hint, arming and nudging a queue, and a snapshot's version as the index.
 */
#include "../support/queue.h"

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

/* ---- a WAKE chunk beside a snapshot ---------------------------------------------------------- */

static struct test_region state_region; /* PARTY_A publishes a snapshot */
static struct test_region wake_region;  /* PARTY_B reads it, and waits */
static struct crossvm_wake_waiter waiter;
static struct crossvm_wake_publisher publisher;

static void wake_make(uint32_t index)
{
    static const struct crossvm_chunk_decl a[] = {
        {"state", CROSSVM_KIND_SNAPSHOT, 4, 64, PARTY_A, CROSSVM_ANYONE, 0, 0},
    };
    static const struct crossvm_chunk_decl b[] = {
        {"state", CROSSVM_KIND_WAKE, 0, 0, PARTY_B, PARTY_A, 0, 0},
    };
    const struct crossvm_region_plan plan_a = {a, 1, 0, 0, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {b, 1, 0, 0, 0, PARTY_B, {2}, 0, {0, 0, 0}};
    test_region_make(&state_region, &plan_a, PARTY_B);
    test_region_make(&wake_region, &plan_b, PARTY_A);
    struct crossvm_chunk chunk = test_find(&wake_region.reader, "state", CROSSVM_KIND_WAKE);
    REQUIRE(crossvm_wake_waiter_open(&waiter, &wake_region.owner.region, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_wake_publisher_open(&publisher, &wake_region.reader, &chunk, index) ==
            CROSSVM_OK);
}

static void wake_drop(void)
{
    test_region_drop(&state_region);
    test_region_drop(&wake_region);
}

/* A publisher of which the first kick is behind it, at this index. */
static void kicked_at(uint32_t index, uint32_t span)
{
    publisher.old = index;
    publisher.span = span;
    publisher.fresh = false;
    publisher.polling = false;
    publisher.pending_ns = 0;
}

static int due(uint32_t index)
{
    uint64_t again_ns = 1;
    int answer = crossvm_wake_due(&publisher, index, 0, &again_ns);
    CHECK_EQ(again_ns, 0);
    return answer;
}

static void write_mode(uint32_t mode)
{
    crossvm_store_relaxed(&waiter.line->mode, mode);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void only_the_declared_parties_open_a_wake_chunk(void)
{
    wake_make(0);
    struct crossvm_chunk chunk = test_find(&wake_region.reader, "state", CROSSVM_KIND_WAKE);
    struct crossvm_chunk state = test_find(&state_region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    CHECK_EQ(crossvm_wake_waiter_open(&waiter, &wake_region.reader, &chunk), CROSSVM_ROLE);
    CHECK_EQ(crossvm_wake_waiter_open(&waiter, &state_region.owner.region, &state), CROSSVM_TYPE);
    CHECK_EQ(crossvm_wake_publisher_open(&publisher, &state_region.reader, &state, 0),
             CROSSVM_TYPE);
    chunk.generation++;
    CHECK_EQ(crossvm_wake_publisher_open(&publisher, &wake_region.reader, &chunk, 0),
             CROSSVM_STALE);
    chunk.generation--;
    chunk.off += 64;
    CHECK_EQ(crossvm_wake_waiter_open(&waiter, &wake_region.owner.region, &chunk), CROSSVM_INVALID);
    wake_drop();
}

static void a_waiter_whose_chunk_is_gone_stores_nothing(void)
{
    wake_make(0);
    struct crossvm_chunk chunk = test_find(&wake_region.reader, "state", CROSSVM_KIND_WAKE);
    CHECK_EQ(crossvm_wake_at(&waiter, 5, 6), CROSSVM_OK);
    CHECK_EQ(crossvm_region_owner_renew(&wake_region.owner, &chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_wake_at(&waiter, 5, 6), CROSSVM_STALE);
    CHECK_EQ(crossvm_wake_never(&waiter), CROSSVM_STALE);
    CHECK_EQ(crossvm_wake_always(&waiter), CROSSVM_STALE);
    CHECK_EQ(crossvm_load_relaxed(&waiter.line->event), 0);
    CHECK_EQ(crossvm_load_relaxed(&waiter.line->mode), 0);
    CHECK_EQ(crossvm_load_relaxed(&waiter.line->delay_lo), 0);
    wake_drop();
}

/* ---- the rule -------------------------------------------------------------------------------- */

struct rule_case {
    const char *what;
    uint32_t event; /* all relative to the index at the last kick */
    uint32_t index;
    uint32_t span;
    int due;
};

#define FAR  0x80000000u
#define BACK ((uint32_t)-1)

static const struct rule_case rule[] = {
    {"nothing published, event is next", 0, 0, FAR, 0},
    {"one published, event is it", 0, 1, FAR, 1},
    {"one published, event is the one after", 1, 1, FAR, 0},
    {"two published, event is the second", 1, 2, FAR, 1},
    {"two published, event is the first", 0, 2, FAR, 1},
    {"many published, event in the middle", 50, 100, FAR, 1},
    {"many published, event the last", 99, 100, FAR, 1},
    {"many published, event just ahead", 100, 100, FAR, 0},
    {"event far ahead", 1000000, 100, FAR, 0},
    {"event just behind", BACK, 0, FAR, 0},
    {"event just behind, one published", BACK, 1, FAR, 0},
    {"event far behind", (uint32_t)-1000, 5, FAR, 0},
    {"event at the horizon behind", FAR, 5, FAR, 0},
    {"event at the horizon ahead", FAR - 1, 5, FAR, 0},
    {"span: event at its last place", 8, 1, 8, 0},
    {"span: event one too far", 9, 1, 8, 1},
    {"span: event much too far", 0x7fffffffu, 1, 8, 1},
    {"span: event much too far, nothing published", 8, 0, 8, 1},
    {"span: event behind is not too far", BACK, 1, 8, 0},
    {"span of one: the next", 0, 1, 1, 1},
    {"span of one: the one after", 1, 1, 1, 0},
    {"span of one: one too far", 2, 1, 1, 1},
};

#define N_RULES (sizeof(rule) / sizeof(rule[0]))

static void an_event_is_rung_when_it_is_passed_and_not_before(void)
{
    /* The same distances around every kind of place on the ring of 32-bit indices. */
    static const uint32_t olds[] = {0, 1, 1000, 0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xffffffffu};
    wake_make(0);
    for (size_t i = 0; i < N_RULES; i++) {
        for (size_t k = 0; k < sizeof(olds) / sizeof(olds[0]); k++) {
            unsigned long failed_before = check_n_failed;
            kicked_at(olds[k], rule[i].span);
            crossvm_wake_at(&waiter, olds[k] + rule[i].event, 0);
            CHECK_EQ(due(olds[k] + rule[i].index), rule[i].due);
            if (check_n_failed != failed_before) {
                printf("%s, after %" PRIu32 "\n", rule[i].what, olds[k]);
            }
        }
    }
    wake_drop();
}

/* However the publications are cut into kicks, the event is rung exactly once, and not early. */
static void an_event_is_rung_once_however_kicks_are_grouped(void)
{
    uint64_t random_state = 31;
    wake_make(0);
    for (int round = 0; round < 20000; round++) {
        uint32_t index = check_random(&random_state) << 1;
        uint32_t event = index + check_random(&random_state) % 64;
        kicked_at(index, FAR);
        crossvm_wake_at(&waiter, event, 0);
        int n_rings = 0;
        while (index - event > FAR || index - event < 40) {
            index += check_random(&random_state) % 9;
            int rung = due(index);
            n_rings += rung;
            CHECK(!rung || index - event - 1 < FAR);
        }
        CHECK_EQ(n_rings, 1);
    }
    wake_drop();
}

static void always_rings_for_whatever_was_published(void)
{
    static const uint32_t modes[] = {CROSSVM_WAKE_ALWAYS, 3, 4, 0x80000000u, 0xffffffffu};
    wake_make(7);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        kicked_at(0xfffffffeu, FAR);
        crossvm_wake_at(&waiter, 1000, 0);
        write_mode(modes[i]);
        CHECK_EQ(due(0xffffffffu), 1);
        CHECK_EQ(due(0), 1);
        CHECK_EQ(due(0), 0);
        CHECK_EQ(due(5), 1);
    }
    wake_drop();
}

static void never_is_never(void)
{
    wake_make(0);
    kicked_at(0, 8);
    crossvm_wake_at(&waiter, 0, 0);
    crossvm_wake_never(&waiter);
    CHECK_EQ(due(1), 0);
    CHECK_EQ(due(100), 0);
    /* What was published meanwhile is old when the waiter arms again. */
    crossvm_wake_at(&waiter, 100, 0);
    CHECK_EQ(due(100), 0);
    CHECK_EQ(due(101), 1);
    crossvm_wake_always(&waiter);
    CHECK_EQ(due(102), 1);
    wake_drop();
}

static void the_first_kick_of_a_fresh_publisher_rings(void)
{
    wake_make(5);
    crossvm_wake_never(&waiter);
    CHECK_EQ(due(5), 1);
    CHECK_EQ(due(6), 0);
    wake_drop();
    wake_make(5);
    crossvm_wake_at(&waiter, 50, 0);
    CHECK_EQ(due(5), 1);
    CHECK_EQ(due(6), 0);
    wake_drop();
}

static void memory_that_nobody_armed_means_always(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    CHECK_EQ(due(1), 1);
    CHECK_EQ(due(2), 1);
    wake_drop();
}

static void polling_makes_kicks_free(void)
{
    wake_make(0);
    publisher.polling = true;
    crossvm_wake_always(&waiter);
    CHECK_EQ(due(1), 0);
    CHECK_EQ(due(2), 0);
    CHECK_EQ(crossvm_wake_nudge(&publisher), 0);
    CHECK_EQ(publisher.n_sent, 0);
    CHECK_EQ(publisher.n_suppressed, 0);
    wake_drop();
}

static void rings_and_suppressed_kicks_are_counted(void)
{
    wake_make(0);
    crossvm_wake_never(&waiter);
    CHECK_EQ(due(0), 1); /* fresh */
    CHECK_EQ(due(1), 0);
    CHECK_EQ(due(2), 0);
    crossvm_wake_always(&waiter);
    CHECK_EQ(due(3), 1);
    CHECK_EQ(publisher.n_sent, 2);
    CHECK_EQ(publisher.n_suppressed, 2);
    /* A nudge that is not due is no kick. */
    crossvm_wake_never(&waiter);
    CHECK_EQ(crossvm_wake_nudge(&publisher), 0);
    CHECK_EQ(publisher.n_sent, 2);
    CHECK_EQ(publisher.n_suppressed, 2);
    crossvm_wake_at(&waiter, 1000, 0);
    CHECK_EQ(crossvm_wake_nudge(&publisher), 1);
    crossvm_wake_always(&waiter);
    CHECK_EQ(crossvm_wake_nudge(&publisher), 1);
    CHECK_EQ(publisher.n_sent, 4);
    wake_drop();
}

static void only_an_armed_event_counts_as_waiting(void)
{
    wake_make(0);
    crossvm_wake_always(&waiter);
    CHECK(!crossvm_wake_peer_waits(&publisher));
    crossvm_wake_never(&waiter);
    CHECK(!crossvm_wake_peer_waits(&publisher));
    crossvm_wake_at(&waiter, 1, 0);
    CHECK(crossvm_wake_peer_waits(&publisher));
    write_mode(77);
    CHECK(!crossvm_wake_peer_waits(&publisher));
    wake_drop();
}

/* ---- the longest delay ----------------------------------------------------------------------- */

/* One kick at a time: what it answers, and when it wants to be called again. */
static void check_kick(uint32_t index, uint64_t now_ns, int want, uint64_t want_again_ns)
{
    uint64_t again_ns = 12345;
    CHECK_EQ(crossvm_wake_due(&publisher, index, now_ns, &again_ns), want);
    CHECK_EQ(again_ns, want_again_ns);
}

static void below_the_watermark_the_delay_runs_from_the_first_kick(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    crossvm_wake_at(&waiter, 100, 50);
    check_kick(1, 1000, 0, 1050);
    check_kick(2, 1049, 0, 1050);
    check_kick(2, 1050, 1, 0);
    /* It begins anew after the ring. */
    check_kick(3, 1060, 0, 1110);
    check_kick(3, 2000, 1, 0);
    /* The watermark itself ends it. */
    check_kick(4, 3000, 0, 3050);
    check_kick(101, 3010, 1, 0);
    /* Behind the event no delay runs. */
    check_kick(102, 9000, 0, 0);
    wake_drop();
}

static void without_a_clock_or_a_delay_there_is_no_hint(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    crossvm_wake_at(&waiter, 100, 50);
    check_kick(1, 0, 0, 0);
    check_kick(2, 0, 0, 0);
    crossvm_wake_at(&waiter, 100, 0);
    check_kick(3, 1000, 0, 0);
    check_kick(4, 1000000, 0, 0);
    wake_drop();
}

/* Nothing new, no delay: the waiter has seen what there is. */
static void the_delay_begins_with_something_new(void)
{
    wake_make(0);
    kicked_at(7, FAR);
    CHECK_EQ(crossvm_wake_at(&waiter, 100, 50), CROSSVM_OK);
    check_kick(7, 1000, 0, 0);
    check_kick(7, 2000, 0, 0);
    check_kick(8, 3000, 0, 3050);
    check_kick(8, 3049, 0, 3050);
    check_kick(8, 3050, 1, 0);
    wake_drop();
}

/* A waiter that armed anew has seen what was pending. */
static void a_new_event_begins_a_new_delay(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    CHECK_EQ(crossvm_wake_at(&waiter, 100, 50), CROSSVM_OK);
    check_kick(1, 1000, 0, 1050);
    CHECK_EQ(crossvm_wake_at(&waiter, 200, 50), CROSSVM_OK);
    check_kick(2, 1040, 0, 1090);
    check_kick(3, 1060, 0, 1090);
    wake_drop();
}

static void never_stops_the_delay(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    crossvm_wake_at(&waiter, 100, 50);
    check_kick(1, 1000, 0, 1050);
    crossvm_wake_never(&waiter);
    check_kick(2, 1040, 0, 0);
    crossvm_wake_at(&waiter, 100, 50);
    check_kick(3, 1060, 0, 1110);
    wake_drop();
}

static void a_clock_that_stands_still_or_goes_back_or_jumps_does_no_harm(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    crossvm_wake_at(&waiter, 100, 50);
    for (uint32_t i = 1; i < 50; i++) {
        check_kick(i, 1000, 0, 1050);
    }
    /* Backward: the delay starts over, it does not last until the old time comes round. */
    check_kick(50, 10, 0, 60);
    check_kick(51, 59, 0, 60);
    check_kick(52, 60, 1, 0);
    /* Forward, as far as can be. */
    check_kick(53, 100, 0, 150);
    check_kick(54, UINT64_MAX, 1, 0);
    check_kick(55, UINT64_MAX, 0, UINT64_MAX);
    check_kick(56, 1, 0, 51);
    wake_drop();
}

static void a_delay_of_any_length_does_no_harm(void)
{
    wake_make(0);
    kicked_at(0, FAR);
    crossvm_wake_at(&waiter, 100, UINT64_MAX);
    check_kick(1, 1000, 0, UINT64_MAX);
    check_kick(2, UINT64_MAX - 1, 0, UINT64_MAX);
    crossvm_wake_at(&waiter, 100, UINT64_C(0x100000000));
    CHECK_EQ(crossvm_load_relaxed(&waiter.line->delay_lo), 0);
    CHECK_EQ(crossvm_load_relaxed(&waiter.line->delay_hi), 1);
    kicked_at(0, FAR);
    check_kick(1, 1000, 0, UINT64_C(0x100000000) + 1000);
    kicked_at(0, FAR);
    crossvm_wake_at(&waiter, 100, 1);
    check_kick(1, 1000, 0, 1001);
    check_kick(1, 1001, 1, 0);
    wake_drop();
}

static void the_first_kick_rings_and_starts_no_delay(void)
{
    wake_make(0);
    crossvm_wake_at(&waiter, 100, 50);
    check_kick(1, 1000, 1, 0);
    check_kick(2, 2000, 0, 2050);
    wake_drop();
}

/* Whatever a hostile waiter writes: the answer is 0 or 1, and later than now or no hint at all. */
static void any_words_of_the_waiter_are_harmless(void)
{
    uint64_t random_state = 99;
    wake_make(0);
    struct crossvm_le32 *words = (struct crossvm_le32 *)waiter.line;
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t again_ns;
        uint64_t now_ns = (uint64_t)check_random(&random_state) << (i % 34);
        uint32_t value = check_random(&random_state) << (i % 2);
        crossvm_store_relaxed(&words[2 + i % 4], i % 3 == 0 ? value % 4 : value);
        int answer = crossvm_wake_due(&publisher, i, now_ns, &again_ns);
        CHECK(answer == 0 || answer == 1);
        CHECK(again_ns == 0 || (again_ns > now_ns && answer == 0));
    }
    CHECK_EQ(publisher.n_sent + publisher.n_suppressed, 200000);
    wake_drop();
}

/* ---- a queue's wake words -------------------------------------------------------------------- */

static struct queue queue;

static void push(uint32_t n)
{
    const uint64_t elem = 5;
    for (uint32_t i = 0; i < n; i++) {
        CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, &elem), CROSSVM_OK);
    }
}

static void pop(uint32_t n)
{
    uint64_t elems[64];
    CHECK_EQ(crossvm_spsc_rx_pop_n(&queue.rx, elems, n), n);
}

static int tx_kick(void)
{
    uint64_t again_ns;
    return crossvm_spsc_tx_kick(&queue.tx, 0, &again_ns);
}

static void check_shared_counts(const struct crossvm_wake_publisher *kick,
                                const struct crossvm_le32 *n_sent_lo)
{
    CHECK_EQ(crossvm_load_pair(&n_sent_lo[0], &n_sent_lo[1]), kick->n_sent);
    CHECK_EQ(crossvm_load_pair(&n_sent_lo[2], &n_sent_lo[3]), kick->n_suppressed);
}

static void a_consumer_is_rung_at_its_watermark(void)
{
    static const uint32_t starts[] = {0, 0xfffffffau};
    for (size_t i = 0; i < 2; i++) {
        queue_up(&queue, 16, 8, starts[i], usual);
        CHECK_EQ(tx_kick(), 1);
        push(1);
        CHECK_EQ(tx_kick(), 0); /* it has not armed: it is awake */
        CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 1, 0), 1);
        CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queue)->line.mode), CROSSVM_WAKE_NEVER);
        CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 5, 0), 0);
        push(3);
        CHECK_EQ(tx_kick(), 0);
        push(1);
        CHECK_EQ(tx_kick(), 1);
        CHECK_EQ(tx_kick(), 0);
        push(1);
        CHECK_EQ(tx_kick(), 0);
        CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 6, 0), 1);
        CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 16, 0), 0);
        push(10);
        CHECK_EQ(tx_kick(), 1);
        CHECK_EQ(queue.tx.kick.n_sent, 3);
        CHECK_EQ(queue.tx.kick.n_suppressed, 4);
        check_shared_counts(&queue.tx.kick, &queue_tx_words(&queue)->n_sent_lo);
        queue_drop(&queue);
    }
}

static void a_producer_is_rung_when_enough_is_free(void)
{
    static const uint32_t starts[] = {0, 0xfffffffau};
    for (size_t i = 0; i < 2; i++) {
        queue_up(&queue, 16, 8, starts[i], usual);
        CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 1);
        CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 16), 1);
        push(16);
        CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 1), 0);
        CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 0);
        pop(4);
        CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 1);
        CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 4), 1);
        CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 12), 0);
        pop(4);
        CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 0);
        pop(4);
        CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 1);
        CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 16), 0);
        crossvm_spsc_tx_disarm(&queue.tx);
        pop(4);
        CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 0);
        CHECK_EQ(queue.rx.kick.n_sent, 3);
        CHECK_EQ(queue.rx.kick.n_suppressed, 3);
        check_shared_counts(&queue.rx.kick, &queue_rx_words(&queue)->n_sent_lo);
        queue_drop(&queue);
    }
}

/* Releases that are held back count for nobody: arming gives them back first. */
static void arming_publishes_what_was_held_back(void)
{
    uint64_t elem;
    queue_up(&queue, 64, 8, 0, usual);
    push(64);
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 64, 0), 0);
    CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queue)->line.index), 2);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), 2);
    queue_drop(&queue);
}

static void a_want_outside_the_capacity_is_invalid(void)
{
    queue_up(&queue, 16, 8, 0, usual);
    CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 0, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 17, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 17), CROSSVM_INVALID);
    CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queue)->line.mode), CROSSVM_WAKE_NEVER);
    CHECK_EQ(crossvm_load_relaxed(&queue_tx_words(&queue)->line.mode), CROSSVM_WAKE_NEVER);
    queue_drop(&queue);
}

static void whoever_is_about_to_sleep_nudges_unless_the_other_polls(void)
{
    queue_up(&queue, 16, 8, 0, usual);
    CHECK_EQ(crossvm_spsc_tx_nudge(&queue.tx), 0); /* never: it is awake */
    CHECK_EQ(crossvm_spsc_rx_nudge(&queue.rx), 0);
    CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 10, 77), 0);
    CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queue)->line.delay_lo), 77);
    CHECK_EQ(crossvm_spsc_tx_nudge(&queue.tx), 1);
    push(8);
    CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, 10), 0);
    CHECK_EQ(crossvm_spsc_rx_nudge(&queue.rx), 1);
    check_shared_counts(&queue.tx.kick, &queue_tx_words(&queue)->n_sent_lo);
    check_shared_counts(&queue.rx.kick, &queue_rx_words(&queue)->n_sent_lo);
    queue.tx.kick.polling = true;
    queue.rx.kick.polling = true;
    CHECK_EQ(crossvm_spsc_tx_nudge(&queue.tx), 0);
    CHECK_EQ(crossvm_spsc_rx_nudge(&queue.rx), 0);
    CHECK_EQ(tx_kick(), 0);
    CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 0);
    queue_drop(&queue);
}

/* Chosen any time after open: also before the queue is up. */
static void polling_chosen_before_the_link_stays_chosen(void)
{
    queue_make(&queue, 16, 8, usual);
    REQUIRE(queue_rx_open(&queue, 16, 8) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    crossvm_spsc_tx_peer_polls(&queue.tx);
    crossvm_spsc_rx_peer_polls(&queue.rx);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    CHECK_EQ(tx_kick(), 0);
    CHECK_EQ(crossvm_spsc_rx_kick(&queue.rx), 0);
    CHECK_EQ(crossvm_spsc_tx_nudge(&queue.tx), 0);
    CHECK_EQ(crossvm_spsc_rx_nudge(&queue.rx), 0);
    queue_drop(&queue);
}

/* A handle that resumes does not know what its predecessor rang for. */
static void the_first_kick_after_a_restart_rings(void)
{
    queue_up(&queue, 16, 8, 0, usual);
    CHECK_EQ(tx_kick(), 1);
    CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, 3, 0), 0);
    push(3);
    /* The producer dies between its pushes and its kick. */
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_OK);
    CHECK_EQ(tx_kick(), 1);
    queue_drop(&queue);
}

/* ---- a snapshot's version as the index ------------------------------------------------------- */

static void a_reader_is_rung_at_a_version(void)
{
    struct crossvm_snapshot_writer writer;
    const char payload[8] = "version";
    wake_make(0);
    struct crossvm_chunk chunk = test_find(&state_region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &state_region.owner.region, &chunk) ==
            CROSSVM_OK);
    kicked_at(0, FAR);
    /* It has seen version 0, and wants to see version 4 or later. */
    crossvm_wake_at(&waiter, 3, 0);
    for (uint64_t version = 1; version <= 10; version++) {
        CHECK_EQ(crossvm_snapshot_writer_publish(&writer, payload, sizeof(payload), 0, 0),
                 CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_writer_version(&writer), version);
        CHECK_EQ(due((uint32_t)crossvm_snapshot_writer_version(&writer)), version == 4);
    }
    wake_drop();
}

int main(void)
{
    CASE(only_the_declared_parties_open_a_wake_chunk);
    CASE(a_waiter_whose_chunk_is_gone_stores_nothing);
    CASE(an_event_is_rung_when_it_is_passed_and_not_before);
    CASE(an_event_is_rung_once_however_kicks_are_grouped);
    CASE(always_rings_for_whatever_was_published);
    CASE(never_is_never);
    CASE(the_first_kick_of_a_fresh_publisher_rings);
    CASE(memory_that_nobody_armed_means_always);
    CASE(polling_makes_kicks_free);
    CASE(rings_and_suppressed_kicks_are_counted);
    CASE(only_an_armed_event_counts_as_waiting);
    CASE(below_the_watermark_the_delay_runs_from_the_first_kick);
    CASE(without_a_clock_or_a_delay_there_is_no_hint);
    CASE(the_delay_begins_with_something_new);
    CASE(a_new_event_begins_a_new_delay);
    CASE(never_stops_the_delay);
    CASE(a_clock_that_stands_still_or_goes_back_or_jumps_does_no_harm);
    CASE(a_delay_of_any_length_does_no_harm);
    CASE(the_first_kick_rings_and_starts_no_delay);
    CASE(any_words_of_the_waiter_are_harmless);
    CASE(a_consumer_is_rung_at_its_watermark);
    CASE(a_producer_is_rung_when_enough_is_free);
    CASE(arming_publishes_what_was_held_back);
    CASE(a_want_outside_the_capacity_is_invalid);
    CASE(whoever_is_about_to_sleep_nudges_unless_the_other_polls);
    CASE(polling_chosen_before_the_link_stays_chosen);
    CASE(the_first_kick_after_a_restart_rings);
    CASE(a_reader_is_rung_at_a_version);
    return check_done();
}
