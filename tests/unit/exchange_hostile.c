/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exchange_hostile.c - the other side of an exchange writes anything at any time: every
 * control word times interesting values, and random ones between any two accesses of the library.
 * What spsc_hostile.c shows of a queue's calls is shown here of the exchange's own.
 */
#include "../support/enemy.h"

#include "../support/exchange.h"

static struct exchange exchange;

/* ---- every call of one side, whatever it answers --------------------------------------------- */

static void any_producer_call(uint32_t which)
{
    static unsigned char elem[ELEM_LEN];
    static volatile unsigned char seen;
    struct crossvm_spsc_tx_span places = {NULL, NULL, 0, 0, 0};
    struct crossvm_exchange_tx_span span = EXCHANGE_NO_SPAN;
    uint32_t n = check_random(&random_state) % (CAPACITY + 2) + 1;
    unsigned long before = test_hook.seen;
    switch (which % 7) {
    case 0:
        check_answer(crossvm_exchange_tx_push(&exchange.tx, elem), before, 0);
        break;
    case 1:
        if (n <= CAPACITY && crossvm_exchange_tx_reserve(&exchange.tx, n, &places) == CROSSVM_OK) {
            memset(crossvm_spsc_tx_span_at(&places, 0), 0x55, ELEM_LEN);
            memset(crossvm_spsc_tx_span_at(&places, n - 1), 0x55, ELEM_LEN);
            check_answer(crossvm_exchange_tx_commit(&exchange.tx, n), before, 0);
        }
        break;
    case 2:
        if (n <= CAPACITY && crossvm_exchange_tx_peek(&exchange.tx, n, &span) == CROSSVM_OK) {
            seen = *(const unsigned char *)crossvm_spsc_rx_span_at(&span.answers, 0);
            seen = ((const unsigned char *)crossvm_spsc_rx_span_at(&span.answers,
                                                                   n - 1))[ELEM_LEN - 1];
            check_answer(crossvm_exchange_tx_release(&exchange.tx, n), before, 0);
        }
        break;
    case 3:
        check_answer(crossvm_exchange_tx_take(&exchange.tx, elem), before, 0);
        break;
    case 4:
        check_answer(crossvm_exchange_tx_answered(&exchange.tx), before, CAPACITY);
        break;
    case 5:
        if (n <= exchange.tx.queue.capacity) {
            check_answer(crossvm_exchange_tx_arm(&exchange.tx, n, n), before, 1);
        }
        break;
    default:
        check_answer(exchange_tx_link(&exchange), before, 0);
        break;
    }
    (void)seen;
    const struct crossvm_spsc_tx *queue = &exchange.tx.queue;
    CHECK(queue->state != CROSSVM_OK || queue->tail - queue->taken <= queue->capacity);
    CHECK(queue->state != CROSSVM_OK || queue->head - queue->taken <= queue->tail - queue->taken);
}

static void any_client_call(uint32_t which)
{
    static unsigned char elem[ELEM_LEN];
    static volatile unsigned char seen;
    struct crossvm_exchange_rx_span span = EXCHANGE_NO_SPAN;
    uint32_t n = check_random(&random_state) % CAPACITY + 1;
    unsigned long before = test_hook.seen;
    switch (which % 4) {
    case 0:
        check_answer(crossvm_exchange_rx_get(&exchange.rx, elem), before, 0);
        break;
    case 1:
        check_answer(crossvm_exchange_rx_answer(&exchange.rx, elem), before, 0);
        break;
    case 2:
        if (crossvm_exchange_rx_peek(&exchange.rx, n, &span) == CROSSVM_OK) {
            seen = *(const unsigned char *)crossvm_spsc_rx_span_at(&span.elements, 0);
            memset(crossvm_spsc_tx_span_at(&span.answers, 0), 0x55, ELEM_LEN);
            memset(crossvm_spsc_tx_span_at(&span.answers, n - 1), 0x55, ELEM_LEN);
            check_answer(crossvm_exchange_rx_commit(&exchange.rx, n), before, 0);
        }
        break;
    default:
        check_answer(exchange_rx_link(&exchange), before, 0);
        break;
    }
    (void)seen;
    const struct crossvm_spsc_rx *queue = &exchange.rx.queue;
    CHECK(queue->state != CROSSVM_OK || queue->tail - queue->head <= CAPACITY);
}

/* ---- one word of a linked peer --------------------------------------------------------------- */

/* Half of the elements are answered, none is taken back. */
static void up_half_answered(uint32_t start, uint32_t way)
{
    unsigned char elem[ELEM_LEN] = {0};
    exchange_up(&exchange, CAPACITY, ELEM_LEN, start, way);
    CHECK_EQ(exchange.a.writable.len - exchange.tx_chunk.off, CROSSVM_SPSC_CONTROL_LEN + 64 * 56);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, elem) == CROSSVM_OK);
    }
    for (uint32_t i = 0; i < CAPACITY / 2; i++) {
        REQUIRE(crossvm_exchange_rx_answer(&exchange.rx, elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_exchange_tx_answered(&exchange.tx) == CAPACITY / 2);
}

static void hostile_client_word(uint32_t start, uint32_t way, uint32_t word, uint32_t which)
{
    up_half_answered(start, way);
    struct crossvm_le32 *words = (struct crossvm_le32 *)exchange_rx_words(&exchange);
    const struct crossvm_spsc_tx *queue = &exchange.tx.queue;
    uint32_t honest = crossvm_load_relaxed(&words[word]);
    uint32_t value = interesting(which, queue->tail);
    bool plausible = value - queue->head <= queue->tail - queue->head;
    int want = word == 0 && !plausible ? CROSSVM_CORRUPT : CROSSVM_OK;
    want = word == 1 && value != honest ? CROSSVM_STALE : want;

    crossvm_store_relaxed(&words[word], value);
    int status = crossvm_exchange_tx_answered(&exchange.tx);
    CHECK_EQ(status < 0 ? status : CROSSVM_OK, want);
    CHECK(want != CROSSVM_OK || status <= CAPACITY);
    CHECK_EQ(queue->fault.rule,
             want == CROSSVM_CORRUPT ? CROSSVM_RULE_SPSC_INDEX : CROSSVM_RULE_NONE);
    for (uint32_t call = 0; call < 14; call++) {
        any_producer_call(call);
    }
    /* An error stays, whatever the client does afterwards. */
    crossvm_store_relaxed(&words[word], honest);
    if (want != CROSSVM_OK) {
        unsigned char elem[ELEM_LEN] = {0};
        CHECK_EQ(crossvm_exchange_tx_answered(&exchange.tx), want);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, elem), want);
        CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, elem), want);
        CHECK_EQ(exchange_tx_link(&exchange), want);
    }
    exchange_drop(&exchange);
}

static void every_word_of_a_linked_client_may_hold_anything(void)
{
    static const uint32_t starts[] = {0, 0xffffffe0u, 0x7fffffe0u};
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t word = 0; word < N_WORDS; word++) {
            bool used = word < 8 || (word >= 32 && word < 48);
            for (uint32_t which = 0; which < (used ? N_INTERESTING : 1); which++) {
                hostile_client_word(starts[i / 2], i % 2, word, which);
            }
        }
    }
}

/* ---- the enemy writes between any two loads -------------------------------------------------- */

/* Some rounds begin before the exchange is up. */
static void begin(uint32_t way, bool linked)
{
    exchange_make(&exchange, CAPACITY, ELEM_LEN, way);
    if (linked) {
        exchange_link(&exchange, CAPACITY, ELEM_LEN);
    } else {
        REQUIRE(exchange_rx_open(&exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK);
        REQUIRE(exchange_tx_open(&exchange) == CROSSVM_OK);
        REQUIRE(exchange_tx_link(&exchange) == CROSSVM_NOT_YET);
    }
}

static void fuzz_producer(unsigned long n_rounds)
{
    for (unsigned long i = 0; i < n_rounds; i++) {
        begin((uint32_t)i % 2, i % 8 >= 2);
        enemy_base = exchange.tx.queue.tail;
        enemy_words = (struct crossvm_le32 *)exchange_rx_words(&exchange);
        if (i % 4 == 3) {
            /* A client of SHARED elements reaches these, too. */
            enemy_words = (struct crossvm_le32 *)exchange_tx_words(&exchange);
        }
        remember_front(&exchange.a, &exchange.tx_chunk);
        for (uint32_t call = 0; call < 60; call++) {
            any_producer_call(check_random(&random_state));
            enemy_base = exchange.tx.queue.tail;
        }
        enemy_words = NULL;
        check_front(&exchange.a, &exchange.tx_chunk);
        exchange_drop(&exchange);
    }
}

static void fuzz_client(unsigned long n_rounds)
{
    for (unsigned long i = 0; i < n_rounds; i++) {
        begin((uint32_t)i % 2, i % 8 >= 2);
        enemy_base = exchange.rx.queue.head;
        enemy_words = (struct crossvm_le32 *)exchange_tx_words(&exchange);
        remember_front(&exchange.b, &exchange.rx_chunk);
        for (uint32_t call = 0; call < 60; call++) {
            any_client_call(check_random(&random_state));
            enemy_base = exchange.rx.queue.head;
        }
        enemy_words = NULL;
        check_front(&exchange.b, &exchange.rx_chunk);
        exchange_drop(&exchange);
    }
}

static void a_peer_that_writes_between_any_two_loads(void)
{
    fuzz_producer(2000 / CHECK_SHORTER * check_scale());
    fuzz_client(2000 / CHECK_SHORTER * check_scale());
}

/* ---- parts that are too small ----------------------------------------------------------------- */

/* After a restart the same chunk, by the peer's own word, is shorter: nothing is read behind it. */
static void a_clients_part_that_shrank_is_refused(void)
{
    exchange_up(&exchange, 2 * CAPACITY, ELEM_LEN, 0, 0);
    struct crossvm_chunk shrunk = exchange.rx_chunk;
    CHECK_EQ(shrunk.length, 8192);
    shrunk.n = 0;
    shrunk.len = 0;
    shrunk.length = 4096;
    REQUIRE(exchange_tx_open(&exchange) == CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_link(&exchange.tx, &exchange.b.reader, &shrunk), CROSSVM_CORRUPT);
    CHECK_EQ(exchange.tx.queue.fault.rule, CROSSVM_RULE_SPSC_GRANT);
    CHECK_EQ(exchange.tx.queue.fault.value, 2 * CAPACITY);
    exchange_drop(&exchange);
}

/* A client of SHARED elements can write the producer's own words, too, from which a restarted
 * producer goes on. */
static void a_restarted_producer_whose_own_words_were_written(void)
{
    unsigned n_opened = 0;
    unsigned n_linked = 0;
    for (unsigned i = 0; i < 20000 / CHECK_SHORTER; i++) {
        up_half_answered(0, EXCHANGE_SHARED);
        struct crossvm_le32 *words = (struct crossvm_le32 *)exchange_tx_words(&exchange);
        for (uint32_t n = check_random(&random_state) % 3 + 1; n != 0; n--) {
            static const uint32_t of_interest[] = {0, 32, 33, 34, 35, 36, 37, 38, 44, 45};
            uint32_t word = of_interest[check_random(&random_state) % 10];
            crossvm_store_relaxed(&words[word], interesting(check_random(&random_state), CAPACITY));
        }
        /* And asks for less, in the same part or in a new one. */
        if (check_random(&random_state) % 2 == 0) {
            REQUIRE(crossvm_region_owner_renew(&exchange.b.owner, &exchange.rx_chunk) ==
                    CROSSVM_OK);
            exchange.rx_chunk = test_find(&exchange.b.reader, "exchange", CROSSVM_KIND_EXCHANGE_RX);
            REQUIRE(exchange_rx_open(&exchange, 1u << check_random(&random_state) % 7, ELEM_LEN) ==
                    CROSSVM_OK);
        }
        /* It insists on its element length: what stands there was the client's to change. */
        int status = crossvm_exchange_tx_open(&exchange.tx, &exchange.a.owner.region,
                                              &exchange.tx_chunk, ELEM_LEN, 2);
        CHECK(status == CROSSVM_OK || status == CROSSVM_CORRUPT || status == CROSSVM_MISMATCH);
        n_opened += status == CROSSVM_OK;
        n_linked += status == CROSSVM_OK && exchange_tx_link(&exchange) == CROSSVM_OK;
        (void)exchange_rx_link(&exchange);
        n_linked += status == CROSSVM_OK && exchange_tx_link(&exchange) == CROSSVM_OK;
        for (uint32_t call = 0; status == CROSSVM_OK && call < 14; call++) {
            any_producer_call(check_random(&random_state));
        }
        exchange_drop(&exchange);
    }
    CHECK(n_opened != 0);
    CHECK(n_linked != 0);
}

int main(void)
{
    random_state = 4343;
    printf("seed %llu\n", (unsigned long long)random_state);
    test_guard();
    test_hook_arm(0, enemy, NULL);
    CASE(every_word_of_a_linked_client_may_hold_anything);
    CASE(a_peer_that_writes_between_any_two_loads);
    CASE(a_clients_part_that_shrank_is_refused);
    CASE(a_restarted_producer_whose_own_words_were_written);
    return check_done();
}
