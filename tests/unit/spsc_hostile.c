/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc_hostile.c - a peer that writes anything at any time into the words that it can
 * write: every control word times interesting values, and random ones between any two accesses of
 * the library. The other side answers within bounded steps, accepts no more elements than the
 * capacity, calls impossible indices by their name, and touches nothing outside: the elements end
 * where the mapping ends, and the next page faults.
 */
#include "../support/enemy.h"

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
static struct queue queue;

/* ---- every call of one side, whatever it answers --------------------------------------------- */

static void any_producer_call(uint32_t which)
{
    static unsigned char elems[(CAPACITY + 2) * ELEM_LEN];
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    struct crossvm_spsc_peer peer = {0, 0};
    uint64_t again_ns;
    uint32_t n = check_random(&random_state) % (CAPACITY + 2) + 1;
    unsigned long before = test_hook.seen;
    switch (which % 9) {
    case 0:
        check_answer(crossvm_spsc_tx_push(&queue.tx, elems), before, 0);
        break;
    case 1:
        check_answer(crossvm_spsc_tx_push_n(&queue.tx, elems, n), before, CAPACITY);
        break;
    case 2:
        if (n <= CAPACITY && crossvm_spsc_tx_reserve(&queue.tx, n, &span) == CROSSVM_OK) {
            memset(crossvm_spsc_tx_span_at(&span, 0), 0x55, ELEM_LEN);
            memset(crossvm_spsc_tx_span_at(&span, n - 1), 0x55, ELEM_LEN);
            check_answer(crossvm_spsc_tx_commit(&queue.tx, n), before, 0);
        }
        break;
    case 3:
        check_answer(crossvm_spsc_tx_free(&queue.tx), before, CAPACITY);
        break;
    case 4:
        check_answer(crossvm_spsc_tx_kick(&queue.tx, n, &again_ns), before, 1);
        break;
    case 5:
        check_answer(crossvm_spsc_tx_nudge(&queue.tx), before, 1);
        break;
    case 6:
        if (n <= CAPACITY) {
            check_answer(crossvm_spsc_tx_arm(&queue.tx, n), before, 1);
        }
        break;
    case 7:
        check_answer(crossvm_spsc_tx_peer(&queue.tx, &peer), before, 0);
        break;
    default:
        check_answer(queue_tx_link(&queue), before, 0);
        break;
    }
    CHECK(queue.tx.state != CROSSVM_OK || queue.tx.tail - queue.tx.head <= CAPACITY);
    CHECK(queue.tx.n_free <= CAPACITY);
}

static void any_consumer_call(uint32_t which)
{
    static unsigned char elems[(CAPACITY + 2) * ELEM_LEN];
    static volatile unsigned char seen;
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    struct crossvm_spsc_peer peer = {0, 0};
    uint32_t n = check_random(&random_state) % (CAPACITY + 2) + 1;
    unsigned long before = test_hook.seen;
    switch (which % 9) {
    case 0:
        check_answer(crossvm_spsc_rx_pop(&queue.rx, elems), before, 0);
        break;
    case 1:
        check_answer(crossvm_spsc_rx_pop_n(&queue.rx, elems, n), before, CAPACITY);
        break;
    case 2:
        if (n <= CAPACITY && crossvm_spsc_rx_peek(&queue.rx, n, &span) == CROSSVM_OK) {
            seen = *(const unsigned char *)crossvm_spsc_rx_span_at(&span, 0);
            seen = ((const unsigned char *)crossvm_spsc_rx_span_at(&span, n - 1))[ELEM_LEN - 1];
            check_answer(crossvm_spsc_rx_release(&queue.rx, n), before, 0);
        }
        break;
    case 3:
        check_answer(crossvm_spsc_rx_fill(&queue.rx), before, CAPACITY);
        break;
    case 4:
        check_answer(crossvm_spsc_rx_kick(&queue.rx), before, 1);
        break;
    case 5:
        check_answer(crossvm_spsc_rx_nudge(&queue.rx), before, 1);
        break;
    case 6:
        if (n <= CAPACITY) {
            check_answer(crossvm_spsc_rx_arm(&queue.rx, n, n), before, 1);
        }
        break;
    case 7:
        check_answer(crossvm_spsc_rx_peer(&queue.rx, &peer), before, 0);
        break;
    default:
        check_answer(queue_rx_link(&queue), before, 0);
        break;
    }
    (void)seen;
    CHECK(queue.rx.state != CROSSVM_OK || queue.rx.tail - queue.rx.head <= CAPACITY);
    CHECK(queue.rx.n_avail <= CAPACITY);
}

/* ---- a linked queue whose peer writes one word ----------------------------------------------- */

static void up_half_full(uint32_t start)
{
    unsigned char elem[ELEM_LEN];
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    CHECK_EQ(queue.a.writable.len - queue.tx_chunk.off, CROSSVM_SPSC_CONTROL_LEN + 64 * 56);
    for (uint32_t i = 0; i < CAPACITY / 2; i++) {
        queue_fill(elem, ELEM_LEN, i);
        REQUIRE(crossvm_spsc_tx_push(&queue.tx, elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_spsc_rx_fill(&queue.rx) == CAPACITY / 2);
    REQUIRE(crossvm_spsc_tx_free(&queue.tx) == CAPACITY / 2);
}

/* What a call that looks at the peer must answer when one word of the peer's has another value. */
static int wanted_answer(uint32_t word, uint32_t value, uint32_t honest, bool index_plausible)
{
    if (word == 0 && !index_plausible) {
        return CROSSVM_CORRUPT;
    }
    if (word == 1 && value != honest) {
        return CROSSVM_STALE;
    }
    return CROSSVM_OK;
}

static void check_fault(const struct crossvm_fault *fault, int status, uint64_t chunk_off,
                        uint32_t value)
{
    bool corrupt = status == CROSSVM_CORRUPT;
    CHECK_EQ(fault->rule, corrupt ? CROSSVM_RULE_SPSC_INDEX : CROSSVM_RULE_NONE);
    CHECK_EQ(fault->off, corrupt ? chunk_off : 0);
    CHECK_EQ(fault->value, corrupt ? value : 0);
}

static void push_all_that_is_accepted(uint32_t at_most)
{
    unsigned char elem[ELEM_LEN] = {0};
    uint32_t n = 0;
    while (n <= at_most && crossvm_spsc_tx_push(&queue.tx, elem) == CROSSVM_OK) {
        n++;
    }
    CHECK(n <= at_most);
}

static void pop_all_that_is_accepted(uint32_t at_most)
{
    unsigned char elem[ELEM_LEN];
    uint32_t n = 0;
    while (n <= at_most && crossvm_spsc_rx_pop(&queue.rx, elem) == CROSSVM_OK) {
        n++;
    }
    CHECK(n <= at_most);
}

static void hostile_consumer_word(uint32_t start, uint32_t word, uint32_t which)
{
    up_half_full(start);
    struct crossvm_le32 *words = (struct crossvm_le32 *)queue_rx_words(&queue);
    uint32_t honest = crossvm_load_relaxed(&words[word]);
    uint32_t value = interesting(which, queue.tx.tail);
    bool plausible = value - queue.tx.head <= queue.tx.tail - queue.tx.head;
    int want = wanted_answer(word, value, honest, plausible);

    crossvm_store_relaxed(&words[word], value);
    int status = crossvm_spsc_tx_free(&queue.tx);
    CHECK_EQ(status < 0 ? status : CROSSVM_OK, want);
    check_fault(&queue.tx.fault, status, queue.rx_chunk.off, value);
    for (uint32_t call = 0; call < 9; call++) {
        any_producer_call(call);
    }
    push_all_that_is_accepted(CAPACITY);
    /* An error stays, whatever the peer does afterwards. */
    crossvm_store_relaxed(&words[word], honest);
    if (want != CROSSVM_OK) {
        CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), want);
        CHECK_EQ(queue_tx_link(&queue), want);
        push_all_that_is_accepted(0);
        check_fault(&queue.tx.fault, want, queue.rx_chunk.off, value);
    }
    queue_drop(&queue);
}

static void hostile_producer_word(uint32_t start, uint32_t word, uint32_t which)
{
    up_half_full(start);
    struct crossvm_le32 *words = (struct crossvm_le32 *)queue_tx_words(&queue);
    uint32_t honest = crossvm_load_relaxed(&words[word]);
    uint32_t value = interesting(which, queue.rx.head);
    bool plausible = value - queue.rx.tail <= CAPACITY - (queue.rx.tail - queue.rx.head);
    int want = wanted_answer(word, value, honest, plausible);

    crossvm_store_relaxed(&words[word], value);
    int status = crossvm_spsc_rx_fill(&queue.rx);
    CHECK_EQ(status < 0 ? status : CROSSVM_OK, want);
    check_fault(&queue.rx.fault, status, queue.tx_chunk.off, value);
    for (uint32_t call = 0; call < 9; call++) {
        any_consumer_call(call);
    }
    pop_all_that_is_accepted(CAPACITY);
    crossvm_store_relaxed(&words[word], honest);
    if (want != CROSSVM_OK) {
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), want);
        CHECK_EQ(queue_rx_link(&queue), want);
        pop_all_that_is_accepted(0);
        check_fault(&queue.rx.fault, want, queue.tx_chunk.off, value);
    }
    queue_drop(&queue);
}

static void every_word_of_a_linked_peer_may_hold_anything(void)
{
    static const uint32_t starts[] = {0, 0xffffffe0u, 0x7fffffe0u};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (uint32_t word = 0; word < N_WORDS; word++) {
            /* Reserved words get one value only: nobody looks at them. */
            uint32_t n_values = word < 8 || (word >= 32 && word < 48) ? N_INTERESTING : 1;
            for (uint32_t which = 0; which < n_values; which++) {
                hostile_consumer_word(starts[i], word, which);
                hostile_producer_word(starts[i], word, which);
            }
        }
    }
}

/* ---- the enemy writes between any two loads -------------------------------------------------- */

static void fuzz_producer(unsigned long n_rounds)
{
    for (unsigned long i = 0; i < n_rounds; i++) {
        /* Some rounds begin before the queue is up. */
        queue_make(&queue, CAPACITY, ELEM_LEN, usual);
        if (i % 4 == 0) {
            REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
            REQUIRE(queue_tx_open(&queue, ELEM_LEN) == CROSSVM_OK);
        } else {
            queue_link(&queue, CAPACITY, ELEM_LEN);
        }
        enemy_base = queue.tx.tail;
        enemy_words = (struct crossvm_le32 *)queue_rx_words(&queue);
        remember_front(&queue.a, &queue.tx_chunk);
        for (uint32_t call = 0; call < 60; call++) {
            any_producer_call(check_random(&random_state));
            enemy_base = queue.tx.tail;
        }
        enemy_words = NULL;
        check_front(&queue.a, &queue.tx_chunk);
        queue_drop(&queue);
    }
}

static void fuzz_consumer(unsigned long n_rounds)
{
    for (unsigned long i = 0; i < n_rounds; i++) {
        queue_make(&queue, CAPACITY, ELEM_LEN, usual);
        if (i % 4 == 0) {
            REQUIRE(queue_rx_open(&queue, CAPACITY, ELEM_LEN) == CROSSVM_OK);
            REQUIRE(queue_tx_open(&queue, ELEM_LEN) == CROSSVM_OK);
            REQUIRE(queue_tx_link(&queue) == CROSSVM_NOT_YET);
        } else {
            queue_link(&queue, CAPACITY, ELEM_LEN);
        }
        enemy_base = queue.rx.head;
        enemy_words = (struct crossvm_le32 *)queue_tx_words(&queue);
        remember_front(&queue.b, &queue.rx_chunk);
        for (uint32_t call = 0; call < 60; call++) {
            any_consumer_call(check_random(&random_state));
            enemy_base = queue.rx.head;
        }
        enemy_words = NULL;
        check_front(&queue.b, &queue.rx_chunk);
        queue_drop(&queue);
    }
}

static void a_peer_that_writes_between_any_two_loads(void)
{
    fuzz_producer(5000 / CHECK_SHORTER * check_scale());
    fuzz_consumer(5000 / CHECK_SHORTER * check_scale());
}

/* A tail or head that is honest each time, but always as far as it may be: the two sides never
 * believe in more elements than there are places. */
static void a_peer_that_is_always_at_the_limit(void)
{
    unsigned char elem[ELEM_LEN] = {0};
    queue_up(&queue, CAPACITY, ELEM_LEN, 0xffffff00u, usual);
    for (uint32_t i = 0; i < 1000; i++) {
        crossvm_store_relaxed(&queue_tx_words(&queue)->line.index, queue.rx.head + CAPACITY);
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), CAPACITY);
        CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, elem), CROSSVM_OK);
    }
    queue_drop(&queue);
    queue_up(&queue, CAPACITY, ELEM_LEN, 0xffffff00u, usual);
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, elem), CROSSVM_OK);
        crossvm_store_relaxed(&queue_rx_words(&queue)->line.index, queue.tx.tail);
        CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CAPACITY);
    }
    queue_drop(&queue);
}

int main(void)
{
    random_state = 4242;
    printf("seed %llu\n", (unsigned long long)random_state);
    test_guard();
    test_hook_arm(0, enemy, NULL);
    CASE(every_word_of_a_linked_peer_may_hold_anything);
    CASE(a_peer_that_writes_between_any_two_loads);
    CASE(a_peer_that_is_always_at_the_limit);
    return check_done();
}
