/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exchange_kill.c - a client, then a producer, is killed by SIGKILL at random moments
 * and comes back, while the other side lives on; both ways to answer. Elements bear their index,
 * answers follow from it.
 */
#include "../support/exchange.h"
#include "../support/lives.h"

enum {
    CAPACITY = 16,
    ELEM_LEN = 24,
    BATCH = 6,
    N_KILLS = 150
};

/* The 32-bit wrap comes after some thousand elements. */
static const uint32_t start = 0u - 4096u;

static struct exchange exchange;
static bool clients_die;

/* Behind the newest answer that any producer has looked at: outlives them. */
static uint32_t *seen;

static int link_until_up(int (*link)(struct exchange *))
{
    int status = link(&exchange);
    while (status == CROSSVM_NOT_YET) {
        (void)sched_yield();
        status = link(&exchange);
    }
    return status;
}

/* ---- one step of each side -------------------------------------------------------------------- */

static uint32_t some(uint32_t most)
{
    return check_random(&random_state) % (most + 1);
}

/* Pushes elements that bear the index at which they are pushed; publishes not all it reserved. */
static void push_something(void)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t n = some(BATCH - 1) + 1;
    int status = crossvm_exchange_tx_reserve(&exchange.tx, n, &span);
    for (uint32_t i = 0; status == CROSSVM_OK && i < n; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span, i), ELEM_LEN, exchange.tx.queue.tail + i);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_exchange_tx_commit(&exchange.tx, some(n));
    }
    CHECK(status == CROSSVM_OK || status == CROSSVM_FULL);
}

/* Takes back what is there: exactly the answers to the next elements. */
static void take_something(void)
{
    struct crossvm_exchange_tx_span span = EXCHANGE_NO_SPAN;
    uint32_t n = some(BATCH - 1) + 1;
    int status = crossvm_exchange_tx_peek(&exchange.tx, n, &span);
    CHECK(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    for (uint32_t i = 0; status == CROSSVM_OK && i < n; i++) {
        uint32_t index = exchange.tx.queue.taken + i;
        if ((int32_t)(index + 1 - __atomic_load_n(seen, __ATOMIC_RELAXED)) > 0) {
            __atomic_store_n(seen, index + 1, __ATOMIC_RELAXED);
        }
        CHECK(
            queue_is(crossvm_spsc_rx_span_at(&span.answers, i), ELEM_LEN, exchange_answer(index)));
        CHECK(exchange.shared || queue_is(crossvm_spsc_rx_span_at(&span.sent, i), ELEM_LEN, index));
    }
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, some(n)), CROSSVM_OK);
    } else {
        (void)sched_yield();
    }
}

/* A SHARED element that a dead client had begun to answer is neither: half of it may be an answer.
 * Clients that change elements in place see to that themselves; those that die here go by the
 * index. */
static void answer_something(void)
{
    struct crossvm_exchange_rx_span span = EXCHANGE_NO_SPAN;
    uint32_t n = some(BATCH - 1) + 1;
    uint32_t n_answers = some(n);
    int status = crossvm_exchange_rx_peek(&exchange.rx, n, &span);
    CHECK(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    for (uint32_t i = 0; status == CROSSVM_OK && i < n; i++) {
        uint32_t index = exchange.rx.queue.head + i;
        CHECK((exchange.shared && clients_die) ||
              queue_is(crossvm_spsc_rx_span_at(&span.elements, i), ELEM_LEN, index));
        if (i < n_answers) {
            queue_fill(crossvm_spsc_tx_span_at(&span.answers, i), ELEM_LEN, exchange_answer(index));
        }
    }
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, n_answers), CROSSVM_OK);
    } else {
        (void)sched_yield();
    }
}

/* ---- lives ------------------------------------------------------------------------------------ */

static void client_life(uint32_t life)
{
    exchange_only_client(&exchange);
    random_state += life;
    REQUIRE(crossvm_exchange_rx_open(&exchange.rx, &exchange.b.owner.region, &exchange.rx_chunk,
                                     CAPACITY, ELEM_LEN, life + 1) == CROSSVM_OK);
    REQUIRE(link_until_up(exchange_rx_link) == CROSSVM_OK);
    while (check_n_failed == 0) {
        answer_something();
        dawdle(life % 2 == 0);
    }
    test_child_done();
}

static void producer_life(uint32_t life)
{
    exchange_only_producer(&exchange);
    random_state += life;
    REQUIRE(crossvm_exchange_tx_open(&exchange.tx, &exchange.a.owner.region, &exchange.tx_chunk,
                                     ELEM_LEN, life + 1) == CROSSVM_OK);
    REQUIRE(link_until_up(exchange_tx_link) == CROSSVM_OK);
    while (check_n_failed == 0) {
        take_something();
        push_something();
        dawdle(life % 2 == 0);
    }
    test_child_done();
}

static void survivor_step(void)
{
    if (clients_die) {
        take_something();
        push_something();
    } else {
        answer_something();
    }
}

static void lives(uint32_t way)
{
    unsigned long n_kills = N_KILLS / CHECK_SHORTER * check_scale();
    uint32_t enough = 20000 / CHECK_SHORTER;
    uint32_t life = 0;
    uint32_t index = start;
    *seen = start;
    exchange_up(&exchange, CAPACITY, ELEM_LEN, start, way);
    for (; (life < n_kills || index - start < enough) && check_n_failed == 0; life++) {
        uint32_t rounds = rounds_of_life();
        pid_t child = test_fork();
        if (child == 0) {
            if (clients_die) {
                client_life(life);
            }
            producer_life(life);
        }
        for (uint32_t i = 0; i < rounds && check_n_failed == 0; i++) {
            survivor_step();
            dawdle(life % 2 == 1);
        }
        kill_and_wait(child);
        index = crossvm_load_relaxed(&exchange_tx_words(&exchange)->taken);
        /* No answer is given back that nobody looked at. */
        CHECK(*seen - index <= CAPACITY);
    }
    /* taken <= head <= tail <= taken + capacity, whoever died when. */
    uint32_t tail = crossvm_load_relaxed(&exchange_tx_words(&exchange)->line.index);
    uint32_t head = crossvm_load_relaxed(&exchange_rx_words(&exchange)->line.index);
    CHECK(tail - index <= CAPACITY && head - index <= tail - index);
    printf("%u %s killed, answers %s, %u elements came back\n", life,
           clients_die ? "clients" : "producers", exchange.shared ? "in place" : "of their own",
           index - start);
    exchange_drop(&exchange);
}

static void killed_clients_leave_what_they_did_not_answer(void)
{
    clients_die = true;
    lives(0);
    lives(EXCHANGE_SHARED);
}

static void killed_producers_find_their_answers(void)
{
    clients_die = false;
    lives(0);
    lives(EXCHANGE_SHARED);
}

int main(void)
{
    test_guard();
    random_state = 4711;
    seen = (uint32_t *)lives_record(sizeof(*seen));
    printf("seed %llu\n", (unsigned long long)random_state);
    CASE(killed_clients_leave_what_they_did_not_answer);
    CASE(killed_producers_find_their_answers);
    return check_done();
}
