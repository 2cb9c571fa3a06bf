/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange: every operation of the producer and of the client, left at each change, with the
 * answers in the client's part and in the elements themselves. An element's number is its index.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/exchange.h"

enum {
    CAPACITY = 8,
    ELEM_LEN = 20
};

static struct {
    struct exchange exchange;
    uint32_t taken; /* when the operation begins */
    uint32_t head;
    uint32_t tail;
    bool half_answers; /* SHARED elements of a dead client may bear some bytes of an answer */
} world;

static void drop(void)
{
    exchange_drop(&world.exchange);
}

/* ---- what both sides do ---------------------------------------------------------------------- */

static int push(void)
{
    unsigned char elem[ELEM_LEN];
    queue_fill(elem, ELEM_LEN, crossvm_spsc_tx_index(&world.exchange.tx.queue));
    return crossvm_exchange_tx_push(&world.exchange.tx, elem);
}

static uint32_t push_all(void)
{
    uint32_t n = 0;
    int status = push();
    while (status == CROSSVM_OK && n <= CAPACITY) {
        n++;
        status = push();
    }
    CHECK_EQ(status, CROSSVM_FULL);
    return n;
}

/* What was sent is there; where a client may have died while it answered, mixed with its answer. */
static void is_sent(const unsigned char *elem, uint32_t index)
{
    unsigned char sent[ELEM_LEN];
    unsigned char answer[ELEM_LEN];
    queue_fill(sent, ELEM_LEN, index);
    queue_fill(answer, ELEM_LEN, exchange_answer(index));
    for (uint32_t i = 0; i < ELEM_LEN; i++) {
        CHECK(elem[i] == sent[i] || (world.half_answers && elem[i] == answer[i]));
    }
}

static int serve(void)
{
    unsigned char elem[ELEM_LEN];
    uint32_t index = crossvm_spsc_rx_index(&world.exchange.rx.queue);
    int status = crossvm_exchange_rx_get(&world.exchange.rx, elem);
    if (status == CROSSVM_OK) {
        is_sent(elem, index);
        queue_fill(elem, ELEM_LEN, exchange_answer(index));
        status = crossvm_exchange_rx_answer(&world.exchange.rx, elem);
    }
    return status;
}

static uint32_t serve_all(void)
{
    uint32_t n = 0;
    int status = serve();
    while (status == CROSSVM_OK && n <= CAPACITY) {
        n++;
        status = serve();
    }
    CHECK_EQ(status, CROSSVM_EMPTY);
    return n;
}

static int take(void)
{
    unsigned char answer[ELEM_LEN];
    uint32_t index = world.exchange.tx.queue.taken;
    int status = crossvm_exchange_tx_take(&world.exchange.tx, answer);
    CHECK(status != CROSSVM_OK || queue_is(answer, ELEM_LEN, exchange_answer(index)));
    return status;
}

static uint32_t take_all(void)
{
    uint32_t n = 0;
    int status = take();
    while (status == CROSSVM_OK && n <= CAPACITY) {
        n++;
        status = take();
    }
    CHECK_EQ(status, CROSSVM_EMPTY);
    return n;
}

/* Whatever is under way comes to its end, then three rounds more. */
static void goes_on(void)
{
    (void)serve_all();
    world.half_answers = false;
    (void)take_all();
    CHECK_EQ(world.exchange.tx.queue.taken, world.exchange.tx.queue.tail);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(push_all(), CAPACITY);
        CHECK_EQ(serve_all(), CAPACITY);
        CHECK_EQ(take_all(), CAPACITY);
    }
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

static void linked(enum crash_state state, uint32_t way, const uint32_t wrapping[3])
{
    static const uint32_t full[3] = {CAPACITY, 3, 0};
    static const uint32_t empty[3] = {0, 0, 0};
    const uint32_t *n = state == CRASH_FULL ? full : state == CRASH_EMPTY ? empty : wrapping;
    exchange_up(&world.exchange, CAPACITY, ELEM_LEN, state == CRASH_WRAPPING ? 0xfffffffcu : 5,
                way);
    crash_memory(&world.exchange.a.writable);
    crash_memory(&world.exchange.b.writable);
    for (uint32_t i = 0; i < n[0]; i++) {
        CHECK_EQ(push(), CROSSVM_OK);
    }
    for (uint32_t i = 0; i < n[1]; i++) {
        CHECK_EQ(serve(), CROSSVM_OK);
    }
    for (uint32_t i = 0; i < n[2]; i++) {
        CHECK_EQ(take(), CROSSVM_OK);
    }
    world.taken = world.exchange.tx.queue.taken;
    world.head = world.exchange.rx.queue.head;
    world.tail = world.exchange.tx.queue.tail;
}

/* Wrapping: the tail, the head, what was taken is the one that passes 2^32 next. */
static const uint32_t tail_wraps[3] = {3, 2, 1};
static const uint32_t head_wraps[3] = {5, 3, 1};
static const uint32_t taken_wraps[3] = {6, 5, 3};

static void sending(enum crash_state state)
{
    linked(state, 0, tail_wraps);
}

static void sending_shared(enum crash_state state)
{
    linked(state, EXCHANGE_SHARED, tail_wraps);
}

static void taking(enum crash_state state)
{
    linked(state, 0, taken_wraps);
}

static void taking_shared(enum crash_state state)
{
    linked(state, EXCHANGE_SHARED, taken_wraps);
}

static void serving(enum crash_state state)
{
    linked(state, 0, head_wraps);
}

static void serving_shared(enum crash_state state)
{
    linked(state, EXCHANGE_SHARED, head_wraps);
    world.half_answers = true;
}

/* Three are sent, none is answered, everybody has kicked once. */
static void waiting(enum crash_state state)
{
    uint64_t again_ns;
    static const uint32_t nothing_taken[3] = {3, 3, 3};
    linked(state, 0, nothing_taken);
    (void)serve_all();
    (void)take_all();
    CHECK_EQ(crossvm_spsc_tx_kick(&world.exchange.tx.queue, 0, &again_ns), 1);
    CHECK_EQ(crossvm_exchange_rx_kick(&world.exchange.rx, 0, &again_ns), 1);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(push(), CROSSVM_OK);
    }
    world.taken = world.exchange.tx.queue.taken;
    world.head = world.exchange.rx.queue.head;
    world.tail = world.exchange.tx.queue.tail;
}

/* The producer sleeps for two answers, which are there by now. */
static void to_be_rung(enum crash_state state)
{
    waiting(state);
    CHECK_EQ(crossvm_exchange_tx_arm(&world.exchange.tx, 2, 0), 0);
    CHECK_EQ(serve(), CROSSVM_OK);
    CHECK_EQ(serve(), CROSSVM_OK);
    world.head = world.exchange.rx.queue.head;
}

static void made(enum crash_state state)
{
    exchange_make(&world.exchange, CAPACITY, ELEM_LEN,
                  state == CRASH_FULL ? EXCHANGE_SHARED : 0); /* both kinds, nothing in them */
    crash_memory(&world.exchange.a.writable);
    crash_memory(&world.exchange.b.writable);
}

static void asked(enum crash_state state)
{
    made(state);
    CHECK_EQ(exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN), CROSSVM_OK);
}

static void granted(enum crash_state state)
{
    asked(state);
    CHECK_EQ(exchange_tx_open(&world.exchange), CROSSVM_OK);
    CHECK_EQ(exchange_tx_link(&world.exchange), CROSSVM_NOT_YET);
}

/* ---- who survives the producer --------------------------------------------------------------- */

/* The outcome of pushes and of takes, of which an operation does one. */
static int of_producer(void)
{
    const struct crossvm_spsc_tx *queue = &world.exchange.tx.queue;
    return (int)(queue->tail - world.tail + queue->taken - world.taken);
}

/* The client answers what is there; the producer comes back and takes every answer that its
 * predecessor had not. */
static int client_serves_on(void)
{
    uint32_t n = serve_all();
    exchange_tx_resume(&world.exchange);
    CHECK_EQ(world.exchange.tx.queue.tail - world.head, n);
    int outcome = of_producer();
    uint32_t left = world.exchange.tx.queue.tail - world.exchange.tx.queue.taken;
    CHECK_EQ(take_all(), left);
    goes_on();
    return outcome;
}

static int producer_comes_back(void)
{
    exchange_tx_resume(&world.exchange);
    int outcome = of_producer();
    uint32_t answered = world.head - world.exchange.tx.queue.taken;
    CHECK_EQ(take_all(), answered);
    uint32_t room = CAPACITY - (world.exchange.tx.queue.tail - world.exchange.tx.queue.taken);
    CHECK_EQ(push_all(), room);
    goes_on();
    return outcome;
}

static int both_come_back(void)
{
    exchange_tx_resume(&world.exchange);
    exchange_rx_resume(&world.exchange);
    exchange_tx_resume(&world.exchange);
    int outcome = of_producer();
    CHECK_EQ(world.exchange.rx.queue.head, world.head);
    goes_on();
    return outcome;
}

#define SURVIVE_PRODUCER                                                                          \
    {                                                                                             \
        {"the client serves on", client_serves_on},                                               \
            {"the producer comes back", producer_comes_back}, {"both come back", both_come_back}, \
    }

/* ---- who survives the client ----------------------------------------------------------------- */

/* The producer takes the answers that are there, and finds the others when the client is back. */
static int producer_takes_on(void)
{
    uint32_t n = take_all();
    uint32_t answered = n - (world.head - world.taken);
    CHECK_EQ(crossvm_exchange_tx_unanswered(&world.exchange.tx, NULL),
             world.tail - world.head - answered);
    exchange_rx_resume(&world.exchange);
    CHECK_EQ(world.exchange.rx.queue.head, world.head + answered);
    CHECK_EQ(serve_all(), world.tail - world.head - answered);
    goes_on();
    return (int)answered;
}

static int client_comes_back(void)
{
    exchange_rx_resume(&world.exchange);
    uint32_t answered = world.exchange.rx.queue.head - world.head;
    CHECK_EQ(serve_all(), world.tail - world.head - answered);
    CHECK_EQ(take_all(), world.tail - world.taken);
    goes_on();
    return (int)answered;
}

static int both_come_back_for_the_client(void)
{
    exchange_rx_resume(&world.exchange);
    exchange_tx_resume(&world.exchange);
    uint32_t answered = world.exchange.rx.queue.head - world.head;
    CHECK_EQ(crossvm_exchange_tx_answered(&world.exchange.tx), world.head - world.taken + answered);
    goes_on();
    return (int)answered;
}

#define SURVIVE_CLIENT                                         \
    {                                                          \
        {"the producer takes on", producer_takes_on},          \
            {"the client comes back", client_comes_back},      \
            {"both come back", both_come_back_for_the_client}, \
    }

/* ---- what dies ------------------------------------------------------------------------------- */

static int pushes(void)
{
    bool full = world.tail - world.taken == CAPACITY;
    return push() == (full ? CROSSVM_FULL : CROSSVM_OK) ? (int)!full : -1;
}

static int fills_in_place(void)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    bool full = world.tail - world.taken == CAPACITY;
    int status = crossvm_exchange_tx_reserve(&world.exchange.tx, 3, &span);
    if (status != CROSSVM_OK) {
        return status == CROSSVM_FULL && full ? 0 : -1;
    }
    for (uint32_t i = 0; i < 3; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span, i), ELEM_LEN, world.tail + i);
    }
    return crossvm_exchange_tx_commit(&world.exchange.tx, 2) == CROSSVM_OK ? 2 : -1;
}

static int takes(void)
{
    bool none = world.head == world.taken;
    return take() == (none ? CROSSVM_EMPTY : CROSSVM_OK) ? (int)!none : -1;
}

static int releases(void)
{
    struct crossvm_exchange_tx_span span = EXCHANGE_NO_SPAN;
    int status = crossvm_exchange_tx_peek(&world.exchange.tx, 2, &span);
    if (status != CROSSVM_OK) {
        return status == CROSSVM_EMPTY && world.head == world.taken ? 0 : -1;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (!queue_is(crossvm_spsc_rx_span_at(&span.answers, i), ELEM_LEN,
                      exchange_answer(world.taken + i))) {
            return -1;
        }
    }
    return crossvm_exchange_tx_release(&world.exchange.tx, 2) == CROSSVM_OK ? 2 : -1;
}

static int answers(void)
{
    bool none = world.tail == world.head;
    return serve() == (none ? CROSSVM_EMPTY : CROSSVM_OK) ? (int)!none : -1;
}

static int answers_in_place(void)
{
    struct crossvm_exchange_rx_span span = {{NULL, NULL, 0, 0, 0}, {NULL, NULL, 0, 0, 0}};
    int status = crossvm_exchange_rx_peek(&world.exchange.rx, 2, &span);
    if (status != CROSSVM_OK) {
        return status == CROSSVM_EMPTY && world.tail == world.head ? 0 : -1;
    }
    for (uint32_t i = 0; i < 2; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span.answers, i), ELEM_LEN,
                   exchange_answer(world.head + i));
    }
    return crossvm_exchange_rx_commit(&world.exchange.rx, 2) == CROSSVM_OK ? 2 : -1;
}

static int producer_opens_again(void)
{
    return exchange_tx_open(&world.exchange) == CROSSVM_OK &&
                   exchange_tx_link(&world.exchange) == CROSSVM_OK
               ? 0
               : -1;
}

static int client_opens_again(void)
{
    return exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK &&
                   exchange_rx_link(&world.exchange) == CROSSVM_OK
               ? 0
               : -1;
}

/* ---- waking ---------------------------------------------------------------------------------- */

static int arms(void)
{
    return crossvm_exchange_tx_arm(&world.exchange.tx, 2, 0) == 0 ? 1 : -1;
}

/* The client rings for the second answer iff the producer has armed. */
static int client_rings(void)
{
    uint64_t again_ns;
    CHECK_EQ(serve(), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_kick(&world.exchange.rx, 0, &again_ns), 0);
    CHECK_EQ(serve(), CROSSVM_OK);
    int rings = crossvm_exchange_rx_kick(&world.exchange.rx, 0, &again_ns);
    CHECK_EQ(serve_all(), 1);
    return rings;
}

static int armed_producer_comes_back(void)
{
    uint64_t again_ns;
    exchange_tx_resume(&world.exchange);
    CHECK_EQ(serve_all(), 3);
    CHECK_EQ(crossvm_exchange_rx_kick(&world.exchange.rx, 0, &again_ns), 0);
    CHECK_EQ(take_all(), 3);
    goes_on();
    return CRASH_UNSEEN;
}

static int kicks(void)
{
    uint64_t again_ns;
    return crossvm_exchange_rx_kick(&world.exchange.rx, 0, &again_ns) == 1 ? 0 : -1;
}

/* What a watcher reads more than the client's handle knew when the operation began. */
static int watcher_counts(void)
{
    const struct crossvm_spsc_rx_shm *words = exchange_rx_words(&world.exchange);
    const struct crossvm_wake_publisher *kick = &world.exchange.rx.queue.kick;
    return (int)(crossvm_load_pair(&words->n_sent_lo, &words->n_sent_hi) - kick->n_sent +
                 crossvm_load_pair(&words->n_suppressed_lo, &words->n_suppressed_hi) -
                 kick->n_suppressed);
}

static int kicks_once(void)
{
    return kicks() == 0 ? 1 : -1;
}

/* ---- coming up ------------------------------------------------------------------------------- */

static int producer_grants(void)
{
    return exchange_tx_open(&world.exchange) == CROSSVM_OK &&
                   exchange_tx_link(&world.exchange) == CROSSVM_NOT_YET
               ? 1
               : -1;
}

static int client_opens(void)
{
    return exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK ? 1 : -1;
}

static int client_accepts(void)
{
    return exchange_rx_link(&world.exchange) == CROSSVM_OK ? 1 : -1;
}

static void comes_up(void)
{
    int status_tx = CROSSVM_NOT_YET;
    int status_rx = CROSSVM_NOT_YET;
    for (unsigned i = 0; i < 3 && (status_tx != CROSSVM_OK || status_rx != CROSSVM_OK); i++) {
        status_tx = exchange_tx_link(&world.exchange);
        CHECK(status_tx == CROSSVM_OK || status_tx == CROSSVM_NOT_YET);
        status_rx = exchange_rx_link(&world.exchange);
        CHECK(status_rx == CROSSVM_OK || status_rx == CROSSVM_NOT_YET);
    }
    CHECK_EQ(status_tx, CROSSVM_OK);
    CHECK_EQ(status_rx, CROSSVM_OK);
    if (check_n_failed == 0) {
        goes_on();
    }
}

static int client_sees_a_grant(void)
{
    int status = exchange_rx_link(&world.exchange);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    REQUIRE(exchange_tx_open(&world.exchange) == CROSSVM_OK);
    comes_up();
    return status == CROSSVM_OK;
}

static int granting_producer_comes_back(void)
{
    REQUIRE(exchange_tx_open(&world.exchange) == CROSSVM_OK);
    comes_up();
    return CRASH_UNSEEN;
}

static int producer_sees_a_request(void)
{
    REQUIRE(exchange_tx_open(&world.exchange) == CROSSVM_OK);
    CHECK_EQ(exchange_tx_link(&world.exchange), CROSSVM_NOT_YET);
    bool seen = world.exchange.tx.queue.answered != 0;
    CHECK(!seen || world.exchange.tx.queue.capacity == CAPACITY);
    REQUIRE(exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    comes_up();
    return seen;
}

static int asking_client_comes_back(void)
{
    REQUIRE(exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    REQUIRE(exchange_tx_open(&world.exchange) == CROSSVM_OK);
    comes_up();
    return CRASH_UNSEEN;
}

static int producer_is_accepted(void)
{
    int status = exchange_tx_link(&world.exchange);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    if (status == CROSSVM_OK) {
        CHECK_EQ(push_all(), CAPACITY);
    }
    REQUIRE(exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    comes_up();
    return status == CROSSVM_OK;
}

static int accepting_client_comes_back(void)
{
    REQUIRE(exchange_rx_open(&world.exchange, CAPACITY, ELEM_LEN) == CROSSVM_OK);
    comes_up();
    return CRASH_UNSEEN;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct crash_operation operations[] = {
    {"crossvm_exchange_tx_open crossvm_exchange_tx_link",
     CRASH_EMPTY | CRASH_FULL,
     asked,
     producer_grants,
     {{"the client sees a grant", client_sees_a_grant},
      {"the producer comes back", granting_producer_comes_back}},
     false},
    {"crossvm_exchange_tx_open crossvm_exchange_tx_link", CRASH_EACH, sending, producer_opens_again,
     SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_push", CRASH_EACH, sending, pushes, SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_push", CRASH_EACH, sending_shared, pushes, SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_reserve crossvm_exchange_tx_commit", CRASH_EACH, sending, fills_in_place,
     SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_take", CRASH_EACH, taking, takes, SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_take", CRASH_EACH, taking_shared, takes, SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_peek crossvm_exchange_tx_release", CRASH_EACH, taking, releases,
     SURVIVE_PRODUCER, false},
    {"crossvm_exchange_tx_arm",
     CRASH_EMPTY | CRASH_WRAPPING,
     waiting,
     arms,
     {{"the client rings", client_rings}, {"the producer comes back", armed_producer_comes_back}},
     false},
    {"crossvm_exchange_rx_open",
     CRASH_EMPTY | CRASH_FULL,
     made,
     client_opens,
     {{"the producer sees a request", producer_sees_a_request},
      {"the client comes back", asking_client_comes_back}},
     false},
    {"crossvm_exchange_rx_link",
     CRASH_EMPTY | CRASH_FULL,
     granted,
     client_accepts,
     {{"the producer sees the acceptance", producer_is_accepted},
      {"the client comes back", accepting_client_comes_back}},
     false},
    {"crossvm_exchange_rx_open crossvm_exchange_rx_link", CRASH_EACH, serving, client_opens_again,
     SURVIVE_CLIENT, false},
    {"crossvm_exchange_rx_get crossvm_exchange_rx_answer", CRASH_EACH, serving, answers,
     SURVIVE_CLIENT, false},
    {"crossvm_exchange_rx_get crossvm_exchange_rx_answer", CRASH_EACH, serving_shared, answers,
     SURVIVE_CLIENT, false},
    {"crossvm_exchange_rx_peek crossvm_exchange_rx_commit", CRASH_EACH, serving, answers_in_place,
     SURVIVE_CLIENT, false},
    {"crossvm_exchange_rx_peek crossvm_exchange_rx_commit", CRASH_EACH, serving_shared,
     answers_in_place, SURVIVE_CLIENT, false},
    {"crossvm_exchange_rx_kick", CRASH_EMPTY | CRASH_WRAPPING, to_be_rung, kicks, SURVIVE_CLIENT,
     false},
    {"crossvm_exchange_rx_kick",
     CRASH_EMPTY,
     to_be_rung,
     kicks_once,
     {{"a watcher counts", watcher_counts}},
     false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
