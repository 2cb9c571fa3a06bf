/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc_restart.c - a side of a queue dies and comes back: incarnations and their bases,
 * implausible words of one's own, and a death before each single shared access of each operation.
 *
 * The deaths are made by the hook in front of every shared access: it leaves the operation by
 * longjmp, and nothing but shared memory remains of that side. Elements bear their index, so that a
 * lost, repeated or torn one is seen.
 */
#include "../support/hook.h"

#include "../support/queue.h"

#include <setjmp.h>

#if CHECK_OS
#include <crossvm/backend/shm.h>
#endif

enum {
    CAPACITY = 8,
    ELEM_LEN = 12
};

/* The last element before the 32-bit wrap is the fourth. */
static const uint32_t start = 0xfffffffcu;
static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

static struct queue queue;

/* ---- deaths ---------------------------------------------------------------------------------- */

static jmp_buf death;

static void die(void *unused)
{
    (void)unused;
    (void)test_hook_disarm();
    longjmp(death, 1);
}

/* One operation with all that belongs to it. */
struct scene {
    const char *name;
    void (*before)(void);
    void (*operation)(void);
    void (*after)(bool finished);
};

static bool dies(void (*operation)(void), unsigned long before_access)
{
    if (setjmp(death) != 0) {
        return true;
    }
    test_hook_arm(before_access, die, NULL);
    operation();
    (void)test_hook_disarm();
    return false;
}

/* Plays a scene with a death before its first access, its second, ... until it ends alive. */
static void play(const struct scene *scene)
{
    unsigned long failed_before = check_n_failed;
    for (unsigned long n = 1;; n++) {
        scene->before();
        bool died = dies(scene->operation, n);
        scene->after(!died);
        queue_drop(&queue);
        if (check_n_failed != failed_before) {
            printf("%s, death before access %lu\n", scene->name, n);
            return;
        }
        if (!died) {
            printf("  %s: %lu deaths\n", scene->name, n - 1);
            CHECK(n > 1);
            return;
        }
    }
}

static void play_all(const struct scene *scenes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        play(&scenes[i]);
    }
}

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* ---- numbered elements ----------------------------------------------------------------------- */

/* Pushes n elements or as many as fit. */
static uint32_t push_numbered(uint32_t n)
{
    unsigned char elem[ELEM_LEN];
    for (uint32_t i = 0; i < n; i++) {
        queue_fill(elem, ELEM_LEN, queue.tx.tail);
        int status = crossvm_spsc_tx_push(&queue.tx, elem);
        if (status != CROSSVM_OK) {
            CHECK_EQ(status, CROSSVM_FULL);
            return i;
        }
    }
    return n;
}

/* Pops everything that is there: from `first` up to the producer's tail, each once and in order. */
static void drain_from(uint32_t first)
{
    unsigned char elem[ELEM_LEN];
    uint32_t tail = crossvm_load_relaxed(&queue_tx_words(&queue)->line.index);
    CHECK(tail - first <= CAPACITY);
    for (uint32_t number = first; number != tail; number++) {
        int status = crossvm_spsc_rx_pop(&queue.rx, elem);
        CHECK_EQ(status, CROSSVM_OK);
        CHECK(queue_is(elem, ELEM_LEN, number));
        if (status != CROSSVM_OK) {
            return;
        }
    }
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, elem), CROSSVM_EMPTY);
}

/* Links until both sides are up; nothing but "not yet" may come in between. */
static void come_up(void)
{
    int tx_status = CROSSVM_NOT_YET;
    int rx_status = CROSSVM_NOT_YET;
    for (int i = 0; i < 4 && (tx_status != CROSSVM_OK || rx_status != CROSSVM_OK); i++) {
        tx_status = queue_tx_link(&queue);
        rx_status = queue_rx_link(&queue);
        CHECK(tx_status == CROSSVM_OK || tx_status == CROSSVM_NOT_YET);
        CHECK(rx_status == CROSSVM_OK || rx_status == CROSSVM_NOT_YET);
    }
    CHECK_EQ(tx_status, CROSSVM_OK);
    CHECK_EQ(rx_status, CROSSVM_OK);
}

static void comes_up_and_flows(void)
{
    come_up();
    if (queue.tx.state == CROSSVM_OK && queue.rx.state == CROSSVM_OK) {
        uint32_t first = queue.tx.tail;
        CHECK_EQ(push_numbered(3), 3);
        drain_from(first);
    }
}

/* ---- the consumer dies while the queue comes up ---------------------------------------------- */

static void made(void)
{
    queue_make(&queue, CAPACITY, ELEM_LEN, usual);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
}

static void first_rx_open(void)
{
    CHECK_EQ(queue_rx_open(&queue, CAPACITY, ELEM_LEN), CROSSVM_OK);
}

static void consumer_again(bool finished)
{
    (void)finished;
    (void)queue_tx_link(&queue);
    CHECK_EQ(queue_rx_open(&queue, CAPACITY, ELEM_LEN), CROSSVM_OK);
    comes_up_and_flows();
}

static void asked_for_half(void)
{
    made();
    REQUIRE(queue_rx_open(&queue, CAPACITY / 2, ELEM_LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_NOT_YET);
}

static void asked_for_too_much(void)
{
    made();
    REQUIRE(queue_rx_open(&queue, CAPACITY * 1024, ELEM_LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_REFUSED);
    REQUIRE(queue_rx_link(&queue) == CROSSVM_REFUSED);
}

static void ask_again(void)
{
    CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, CAPACITY, ELEM_LEN), CROSSVM_OK);
}

static void reopen_with_another_request(void)
{
    CHECK_EQ(queue_rx_open(&queue, CAPACITY, ELEM_LEN), CROSSVM_OK);
}

static void granted(void)
{
    made();
    REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_NOT_YET);
}

static void rx_link_now(void)
{
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
}

/* The queue was linked or it was not: another geometry is refused or granted, never mixed up. */
static void another_geometry_afterwards(bool finished)
{
    (void)queue_tx_link(&queue);
    int status = queue_rx_open(&queue, CAPACITY / 2, ELEM_LEN);
    CHECK(status == CROSSVM_MISMATCH || (status == CROSSVM_OK && !finished));
    if (status == CROSSVM_OK) {
        comes_up_and_flows();
    }
}

static void a_consumer_dies_while_the_queue_comes_up(void)
{
    static const struct scene scenes[] = {
        {"first open", made, first_rx_open, consumer_again},
        {"ask after a grant", asked_for_half, ask_again, consumer_again},
        {"ask after a refusal", asked_for_too_much, ask_again, consumer_again},
        {"open anew after a grant", asked_for_half, reopen_with_another_request, consumer_again},
        {"open anew after a refusal", asked_for_too_much, reopen_with_another_request,
         consumer_again},
        {"link", granted, rx_link_now, consumer_again},
        {"link, then another geometry", granted, rx_link_now, another_geometry_afterwards},
    };
    play_all(scenes, N_OF(scenes));
}

/* ---- the producer dies while the queue comes up ---------------------------------------------- */

static void asked(void)
{
    queue_make(&queue, CAPACITY, ELEM_LEN, usual);
    REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
}

static void first_tx_open(void)
{
    CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_OK);
}

static void asked_and_open(void)
{
    asked();
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
}

static void tx_link_now(void)
{
    (void)queue_tx_link(&queue);
}

static void accepted(void)
{
    asked_and_open();
    REQUIRE(queue_tx_link(&queue) == CROSSVM_NOT_YET);
    REQUIRE(queue_rx_link(&queue) == CROSSVM_OK);
}

static void producer_again(bool finished)
{
    (void)finished;
    (void)queue_rx_link(&queue);
    CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_OK);
    comes_up_and_flows();
}

static void asked_too_much_and_open(void)
{
    queue_make(&queue, CAPACITY, ELEM_LEN, usual);
    REQUIRE(queue_rx_open(&queue, CAPACITY * 1024, ELEM_LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
}

static void producer_again_refuses(bool finished)
{
    int seen = queue_rx_link(&queue);
    CHECK(seen == CROSSVM_NOT_YET || seen == CROSSVM_REFUSED);
    CHECK(!finished || seen == CROSSVM_REFUSED);
    CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_REFUSED);
    CHECK_EQ(queue.rx.refusal, CROSSVM_NO_SPACE);
    ask_again();
    comes_up_and_flows();
}

static void a_producer_dies_while_the_queue_comes_up(void)
{
    static const struct scene scenes[] = {
        {"first open", asked, first_tx_open, producer_again},
        {"grant", asked_and_open, tx_link_now, producer_again},
        {"last step of the link", accepted, tx_link_now, producer_again},
        {"refusal", asked_too_much_and_open, tx_link_now, producer_again_refuses},
    };
    play_all(scenes, N_OF(scenes));
}

/* ---- nobody dies, but the other side looks in the middle ------------------------------------- */

static void tx_looks(void *unused)
{
    (void)unused;
    int status = queue_tx_link(&queue);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED);
}

static void rx_looks(void *unused)
{
    (void)unused;
    int status = queue_rx_link(&queue);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED);
}

/* Lets the other side look before the first access, the second, ... of an operation. */
static void interleave(const char *name, void (*before)(void), void (*operation)(void),
                       void (*other)(void *unused))
{
    unsigned long failed_before = check_n_failed;
    unsigned long n_seen = 1;
    for (unsigned long n = 1; n <= n_seen; n++) {
        before();
        test_hook_arm(n, other, NULL);
        operation();
        n_seen = test_hook_disarm();
        comes_up_and_flows();
        CHECK_EQ(queue.tx.capacity, CAPACITY);
        queue_drop(&queue);
        if (check_n_failed != failed_before) {
            printf("%s, a look before access %lu\n", name, n);
            return;
        }
    }
    printf("  %s: %lu looks\n", name, n_seen);
}

static void asked_for_half_unanswered(void)
{
    made();
    REQUIRE(queue_rx_open(&queue, CAPACITY / 2, ELEM_LEN) == CROSSVM_OK);
}

static void a_look_in_the_middle_sees_one_request_or_the_other(void)
{
    interleave("ask, nothing answered", asked_for_half_unanswered, ask_again, tx_looks);
    interleave("ask after a grant", asked_for_half, ask_again, tx_looks);
    interleave("ask after a refusal", asked_for_too_much, ask_again, tx_looks);
    interleave("grant", asked_and_open, tx_link_now, rx_looks);
    interleave("acceptance", granted, rx_link_now, tx_looks);
}

/* ---- a side dies while elements flow --------------------------------------------------------- */

static uint32_t n_in_hand;   /* elements that the operation under death is about */
static uint32_t first_taken; /* the first element that it takes or pushes */
static uint32_t head_before; /* the published head when it began */

/* Five of eight places are in use, three elements are behind; the wrap is in the middle. */
static void half_full(void)
{
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    unsigned char elem[ELEM_LEN];
    CHECK_EQ(push_numbered(CAPACITY), CAPACITY);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, elem), CROSSVM_OK);
    }
    /* The producer's count of free places is fresh, so that every push may succeed. */
    CHECK(crossvm_spsc_tx_free(&queue.tx) >= 2);
    head_before = crossvm_load_relaxed(&queue_rx_words(&queue)->line.index);
}

static void before_pop(void)
{
    half_full();
    n_in_hand = 1;
    first_taken = start + 3;
}

static void pop_one(void)
{
    unsigned char elem[ELEM_LEN];
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, elem), CROSSVM_OK);
}

static void before_pop_many(void)
{
    half_full();
    n_in_hand = 5;
    first_taken = start + 3;
}

static void pop_many(void)
{
    unsigned char elems[CAPACITY * ELEM_LEN];
    CHECK_EQ(crossvm_spsc_rx_pop_n(&queue.rx, elems, CAPACITY), 5);
}

static void peek_and_release(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    CHECK_EQ(crossvm_spsc_rx_peek(&queue.rx, 5, &span), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 2), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 3), CROSSVM_OK);
}

static void rx_arms_and_kicks(void)
{
    CHECK(crossvm_spsc_rx_kick(&queue.rx) >= 0);
    CHECK_EQ(crossvm_spsc_rx_arm(&queue.rx, CAPACITY, 5), 0);
    CHECK(crossvm_spsc_rx_nudge(&queue.rx) >= 0);
    crossvm_spsc_rx_disarm(&queue.rx);
}

static void rx_reopens(void)
{
    CHECK_EQ(queue_rx_open(&queue, CAPACITY, ELEM_LEN), CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
}

/* The survivor goes on; the next consumer sees what was not released, at least once, in order. */
static void consumer_lost_nothing(bool finished)
{
    struct crossvm_spsc_peer peer = {0, 0};
    (void)finished;
    (void)push_numbered(1);
    uint32_t head = crossvm_load_relaxed(&queue_rx_words(&queue)->line.index);
    CHECK(head - head_before <= first_taken + n_in_hand - head_before);
    CHECK_EQ(queue_rx_open(&queue, CAPACITY, ELEM_LEN), CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_OK);
    CHECK_EQ(peer.base, head);
    CHECK(crossvm_spsc_tx_free(&queue.tx) >= 0);
    drain_from(head);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CAPACITY);
    CHECK_EQ(push_numbered(CAPACITY), CAPACITY);
    drain_from(queue.tx.tail - CAPACITY);
}

static void a_consumer_dies_while_elements_flow(void)
{
    static const struct scene scenes[] = {
        {"pop", before_pop, pop_one, consumer_lost_nothing},
        {"pop of many", before_pop_many, pop_many, consumer_lost_nothing},
        {"peek and release", before_pop_many, peek_and_release, consumer_lost_nothing},
        {"arm, kick, nudge", before_pop, rx_arms_and_kicks, consumer_lost_nothing},
        {"open and link anew", before_pop, rx_reopens, consumer_lost_nothing},
    };
    play_all(scenes, N_OF(scenes));
}

static void before_push(void)
{
    half_full();
    n_in_hand = 1;
    first_taken = queue.tx.tail;
}

static void push_one(void)
{
    CHECK_EQ(push_numbered(1), 1);
}

static void before_push_many(void)
{
    half_full();
    n_in_hand = 2;
    first_taken = queue.tx.tail;
}

static void push_two(void)
{
    unsigned char elems[2 * ELEM_LEN];
    queue_fill(elems, ELEM_LEN, queue.tx.tail);
    queue_fill(elems + ELEM_LEN, ELEM_LEN, queue.tx.tail + 1);
    CHECK_EQ(crossvm_spsc_tx_push_n(&queue.tx, elems, 2), 2);
}

static void reserve_and_commit(void)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    CHECK_EQ(crossvm_spsc_tx_reserve(&queue.tx, 2, &span), CROSSVM_OK);
    queue_fill(crossvm_spsc_tx_span_at(&span, 0), ELEM_LEN, queue.tx.tail);
    queue_fill(crossvm_spsc_tx_span_at(&span, 1), ELEM_LEN, queue.tx.tail + 1);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 2), CROSSVM_OK);
}

static void before_tx_arms(void)
{
    before_push();
    n_in_hand = 0;
}

static void tx_arms_and_kicks(void)
{
    uint64_t again_ns;
    CHECK(crossvm_spsc_tx_kick(&queue.tx, 5, &again_ns) >= 0);
    CHECK_EQ(crossvm_spsc_tx_arm(&queue.tx, CAPACITY), 0);
    CHECK(crossvm_spsc_tx_nudge(&queue.tx) >= 0);
    crossvm_spsc_tx_disarm(&queue.tx);
}

static void tx_reopens(void)
{
    CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
}

/* What was committed is there exactly once; the next producer goes on behind it. */
static void producer_lost_nothing(bool finished)
{
    struct crossvm_spsc_peer peer = {0, 0};
    uint32_t tail = crossvm_load_relaxed(&queue_tx_words(&queue)->line.index);
    CHECK(tail == first_taken + n_in_hand || (tail == first_taken && !finished));
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), tail - (start + 3));
    pop_one();
    CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_OK);
    CHECK_EQ(peer.base, tail);
    (void)push_numbered(CAPACITY);
    drain_from(start + 4);
    CHECK_EQ(push_numbered(CAPACITY), CAPACITY);
    drain_from(queue.tx.tail - CAPACITY);
}

static void a_producer_dies_while_elements_flow(void)
{
    static const struct scene scenes[] = {
        {"push", before_push, push_one, producer_lost_nothing},
        {"push of many", before_push_many, push_two, producer_lost_nothing},
        {"reserve and commit", before_push_many, reserve_and_commit, producer_lost_nothing},
        {"arm, kick, nudge", before_tx_arms, tx_arms_and_kicks, producer_lost_nothing},
        {"open and link anew", before_tx_arms, tx_reopens, producer_lost_nothing},
    };
    play_all(scenes, N_OF(scenes));
}

/* ---- incarnations ---------------------------------------------------------------------------- */

static void an_incarnation_is_never_0_nor_the_one_before(void)
{
    static const uint32_t seeds[] = {0, 0, 1, 1, 2, 0xffffffffu, 0xffffffffu, 0, 0};
    struct crossvm_spsc_peer peer = {0, 0};
    uint32_t tx_before = 0;
    uint32_t rx_before = 0;
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    for (size_t i = 0; i < N_OF(seeds); i++) {
        REQUIRE(crossvm_spsc_tx_open(&queue.tx, &queue.a.owner.region, &queue.tx_chunk, 0,
                                     seeds[i]) == CROSSVM_OK);
        REQUIRE(crossvm_spsc_rx_open(&queue.rx, &queue.b.owner.region, &queue.rx_chunk, CAPACITY,
                                     ELEM_LEN, seeds[i]) == CROSSVM_OK);
        CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_NOT_YET);
        CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_NOT_YET);
        come_up();
        CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_OK);
        CHECK(peer.incarnation != 0 && peer.incarnation != rx_before);
        rx_before = peer.incarnation;
        CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_OK);
        CHECK(peer.incarnation != 0 && peer.incarnation != tx_before);
        tx_before = peer.incarnation;
    }
    /* A seed of its own decides alone. */
    REQUIRE(crossvm_spsc_tx_open(&queue.tx, &queue.a.owner.region, &queue.tx_chunk, 0, 4711) ==
            CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_OK);
    CHECK_EQ(peer.incarnation, 2 * 4711);
    queue_drop(&queue);
}

static void the_base_separates_the_deads_elements_from_the_new_ones(void)
{
    struct crossvm_spsc_peer before;
    struct crossvm_spsc_peer after;
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &before), CROSSVM_OK);
    CHECK_EQ(before.base, start);
    CHECK_EQ(push_numbered(5), 5);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    /* The consumer goes on without linking again, and can tell old from new. */
    CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &after), CROSSVM_OK);
    CHECK(after.incarnation != before.incarnation);
    CHECK_EQ(after.base, start + 5);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    CHECK_EQ(push_numbered(2), 2);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 7);
    drain_from(start);
    /* While one is just starting, the other is told to wait. */
    for (uint32_t starting = 0; starting < 6; starting += 1 + starting % 2) {
        crossvm_store_relaxed(&queue_tx_words(&queue)->incarnation, starting);
        CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &after), CROSSVM_NOT_YET);
        crossvm_store_relaxed(&queue_rx_words(&queue)->incarnation, starting);
        CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &after), CROSSVM_NOT_YET);
    }
    queue_drop(&queue);
}

static struct crossvm_spsc_peer first_producer;

static void producer_with_the_same_seed(void)
{
    REQUIRE(crossvm_spsc_tx_open(&queue.tx, &queue.a.owner.region, &queue.tx_chunk, 0, 7) ==
            CROSSVM_OK);
}

static void first_producer_is_seen(void)
{
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    producer_with_the_same_seed();
    REQUIRE(crossvm_spsc_rx_peer(&queue.rx, &first_producer) == CROSSVM_OK);
}

/* The third start must not look like the first one, whatever the second came to. */
static void the_next_is_another_one(bool second_lived)
{
    struct crossvm_spsc_peer peer = {0, 0};
    if (!second_lived) {
        producer_with_the_same_seed();
    }
    CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_OK);
    CHECK(peer.incarnation != first_producer.incarnation);
}

static void a_start_that_dies_does_not_hide_the_next(void)
{
    static const struct scene scene = {"start", first_producer_is_seen, producer_with_the_same_seed,
                                       the_next_is_another_one};
    play(&scene);
}

static void a_consumer_sees_again_what_it_had_not_released(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    CHECK_EQ(push_numbered(6), 6);
    /* Looked at, two of them released, and those only held back by the lazy head. */
    CHECK_EQ(crossvm_spsc_rx_peek(&queue.rx, 4, &span), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 1), CROSSVM_OK);
    crossvm_spsc_rx_flush(&queue.rx);
    REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 5);
    drain_from(start + 1);
    queue_drop(&queue);
}

/* ---- words of one's own that cannot be ------------------------------------------------------- */

static void an_implausible_tx_part_is_not_resumed(void)
{
    struct crossvm_spsc_tx_shm *words;
    made();
    words = queue_tx_words(&queue);
    crossvm_store_relaxed(&words->line.index, 5);
    CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_CORRUPT);
    CHECK_EQ(queue.tx.fault.rule, CROSSVM_RULE_SPSC_INDEX);
    CHECK_EQ(queue.tx.fault.value, 5);
    CHECK_EQ(queue.tx.fault.off, queue.tx_chunk.off);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_CORRUPT);
    CHECK_EQ(push_numbered(0), 0);
    queue_drop(&queue);

    static const uint32_t capacities[] = {0, 3, 1024, 0x80000000u, 0xffffffffu};
    for (size_t i = 0; i < N_OF(capacities); i++) {
        queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
        words = queue_tx_words(&queue);
        crossvm_store_relaxed(&words->capacity, capacities[i]);
        CHECK_EQ(queue_tx_open(&queue, 0), CROSSVM_CORRUPT);
        CHECK_EQ(queue.tx.fault.rule, CROSSVM_RULE_SPSC_GRANT);
        CHECK_EQ(queue.tx.fault.value, capacities[i]);
        CHECK_EQ(queue.tx.fault.off,
                 queue.tx_chunk.off + offsetof(struct crossvm_spsc_tx_shm, capacity));
        /* The way out: a new generation on both sides. */
        CHECK_EQ(crossvm_region_owner_renew(&queue.a.owner, &queue.tx_chunk), CROSSVM_OK);
        CHECK_EQ(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk), CROSSVM_OK);
        REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
        REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
        comes_up_and_flows();
        queue_drop(&queue);
    }
}

static void an_implausible_rx_part_is_not_resumed(void)
{
    made();
    crossvm_store_relaxed(&queue_rx_words(&queue)->line.index, 5);
    CHECK_EQ(queue_rx_open(&queue, CAPACITY, ELEM_LEN), CROSSVM_CORRUPT);
    CHECK_EQ(queue.rx.fault.rule, CROSSVM_RULE_SPSC_INDEX);
    CHECK_EQ(queue.rx.fault.value, 5);
    CHECK_EQ(queue.rx.fault.off, queue.rx_chunk.off);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk), CROSSVM_OK);
    REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    comes_up_and_flows();
    queue_drop(&queue);
}

/* Indices further apart than the capacity: whoever links sees it. */
static void indices_too_far_apart_do_not_link(void)
{
    static const uint32_t distances[] = {CAPACITY + 1, 0x80000000u, 0xffffffffu};
    for (size_t i = 0; i < N_OF(distances); i++) {
        uint32_t head = start - distances[i];
        queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
        crossvm_store_relaxed(&queue_rx_words(&queue)->line.index, head);
        REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
        REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
        CHECK_EQ(queue_tx_link(&queue), CROSSVM_CORRUPT);
        CHECK_EQ(queue.tx.fault.rule, CROSSVM_RULE_SPSC_INDEX);
        CHECK_EQ(queue.tx.fault.value, head);
        CHECK_EQ(queue.tx.fault.off, queue.rx_chunk.off);
        CHECK_EQ(queue_rx_link(&queue), CROSSVM_CORRUPT);
        CHECK_EQ(queue.rx.fault.rule, CROSSVM_RULE_SPSC_INDEX);
        CHECK_EQ(queue.rx.fault.value, start);
        CHECK_EQ(queue.rx.fault.off, queue.tx_chunk.off);
        queue_drop(&queue);
    }
}

#if CHECK_OS

/* ---- a new process on named memory ----------------------------------------------------------- */

static const struct crossvm_chunk_decl named_chunk[] = {
    {"queue", CROSSVM_KIND_SPSC_TX, CAPACITY, ELEM_LEN, PARTY_A, PARTY_B, 0, 7},
};
static const struct crossvm_region_plan named_plan = {named_chunk, 1,   0, 0,        0,
                                                      PARTY_A,     {9}, 0, {0, 0, 0}};

/* One life of a producer process: takes over the region by its name, pushes, and ends without a
 * word. */
static void producer_life(const char *name, uint32_t n)
{
    struct crossvm_mapping mapping;
    static struct crossvm_region_owner owner;
    static struct crossvm_chunk table[4];
    REQUIRE(crossvm_shm_open(&mapping, name, CROSSVM_READ_WRITE) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_adopt(&owner, &mapping, &named_plan, table, 4) == CROSSVM_OK);
    queue.tx_chunk = test_find(&owner.region, "queue", CROSSVM_KIND_SPSC_TX);
    REQUIRE(crossvm_spsc_tx_open(&queue.tx, &owner.region, &queue.tx_chunk, 0,
                                 (uint32_t)getpid()) == CROSSVM_OK);
    int status = queue_tx_link(&queue);
    CHECK(status == CROSSVM_OK || (n == 0 && status == CROSSVM_NOT_YET));
    CHECK_EQ(push_numbered(n), n);
}

static void run_producer_life(const char *name, uint32_t n)
{
    pid_t child = test_fork();
    if (child == 0) {
        producer_life(name, n);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
}

static void a_new_process_adopts_the_region_and_goes_on(void)
{
    char name[64];
    struct crossvm_mapping writable;
    struct crossvm_mapping read_only;
    struct crossvm_region reader;
    static struct crossvm_region_owner owner;
    static struct crossvm_chunk table[4];
    uint64_t len;
    (void)snprintf(name, sizeof(name), "/crossvm-test-restart-%ld", (long)getpid());
    queue_make(&queue, CAPACITY, ELEM_LEN, usual);
    REQUIRE(crossvm_region_plan_len(&named_plan, &len) == CROSSVM_OK);
    REQUIRE(crossvm_shm_create(&writable, name, len) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_format(&owner, &writable, &named_plan, table, 4) == CROSSVM_OK);
    crossvm_shm_close(&writable);
    REQUIRE(crossvm_shm_open(&read_only, name, CROSSVM_READ_ONLY) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&reader, &read_only, PARTY_B) == CROSSVM_OK);
    struct crossvm_chunk tx_chunk = test_find(&reader, "queue", CROSSVM_KIND_SPSC_TX);

    REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    run_producer_life(name, 0);
    REQUIRE(crossvm_spsc_rx_link(&queue.rx, &reader, &tx_chunk) == CROSSVM_OK);
    unsigned char elem[ELEM_LEN];
    uint32_t next = 0;
    for (uint32_t life = 0; life < 20; life++) {
        struct crossvm_spsc_peer peer = {0, 0};
        uint32_t n = life % (CAPACITY + 1);
        run_producer_life(name, n);
        CHECK_EQ(crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_OK);
        CHECK_EQ(peer.base, next);
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), n);
        for (uint32_t i = 0; i < n; i++) {
            CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, elem), CROSSVM_OK);
            CHECK(queue_is(elem, ELEM_LEN, next));
            next++;
        }
    }
    CHECK_EQ(crossvm_shm_unlink(name), CROSSVM_OK);
    crossvm_shm_close(&read_only);
    queue_drop(&queue);
}

#endif

int main(void)
{
    test_guard();
    CASE(an_incarnation_is_never_0_nor_the_one_before);
    CASE(a_start_that_dies_does_not_hide_the_next);
    CASE(the_base_separates_the_deads_elements_from_the_new_ones);
    CASE(a_consumer_sees_again_what_it_had_not_released);
    CASE(an_implausible_tx_part_is_not_resumed);
    CASE(an_implausible_rx_part_is_not_resumed);
    CASE(indices_too_far_apart_do_not_link);
#if CHECK_OS
    CASE(a_new_process_adopts_the_region_and_goes_on);
#endif
    CASE(a_consumer_dies_while_the_queue_comes_up);
    CASE(a_producer_dies_while_the_queue_comes_up);
    CASE(a_look_in_the_middle_sees_one_request_or_the_other);
    CASE(a_consumer_dies_while_elements_flow);
    CASE(a_producer_dies_while_elements_flow);
    return check_done();
}
