/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue: every operation of the producer and of the consumer, left at each change.
 */
#include "queue.h"

#if CRASH_HERE

/* ---- elements -------------------------------------------------------------------------------- */

static int pushes(void)
{
    int status = push();
    return status == (world.full ? CROSSVM_FULL : CROSSVM_OK) ? (int)!world.full : -1;
}

static int pushes_many(void)
{
    unsigned char elems[3 * ELEM_MAX];
    for (uint32_t i = 0; i < 3; i++) {
        queue_fill(elems + (size_t)i * world.elem_len, world.elem_len, world.tail + i);
    }
    int n = crossvm_spsc_tx_push_n(&world.queue.tx, elems, 3);
    return n == CROSSVM_FULL && world.full ? 0 : n;
}

/* Three places are filled, two of them committed. */
static int fills_in_place(void)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    int status = crossvm_spsc_tx_reserve(&world.queue.tx, 3, &span);
    if (status != CROSSVM_OK) {
        return status == CROSSVM_FULL && world.full ? 0 : -1;
    }
    for (uint32_t i = 0; i < 3; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span, i), world.elem_len, world.tail + i);
    }
    return crossvm_spsc_tx_commit(&world.queue.tx, 2) == CROSSVM_OK ? 2 : -1;
}

/* Pops until places are given back. */
static int pops(void)
{
    int status = CROSSVM_OK;
    while (status == CROSSVM_OK && world.queue.rx.published == world.head) {
        status = pop();
    }
    bool late = world.queue.rx.published != world.queue.rx.head;
    return late ? -1 : (int)(world.queue.rx.published - world.head);
}

/* A pop that finds none publishes what was held back. */
static int pops_one_and_looks(void)
{
    CHECK(pop() == CROSSVM_OK || world.head == world.tail);
    return crossvm_spsc_rx_fill(&world.queue.rx) >= 0 ? (int)(world.head != world.tail) : -1;
}

static int pops_one_and_flushes(void)
{
    CHECK(pop() == CROSSVM_OK || world.head == world.tail);
    crossvm_spsc_rx_flush(&world.queue.rx);
    return (int)(world.head != world.tail);
}

static int pops_many(void)
{
    unsigned char elems[3 * ELEM_MAX];
    int n = crossvm_spsc_rx_pop_n(&world.queue.rx, elems, 3);
    for (int i = 0; i < n; i++) {
        if (!queue_is(elems + (size_t)i * world.elem_len, world.elem_len,
                      world.head + (uint32_t)i)) {
            return -1;
        }
    }
    return n == CROSSVM_EMPTY ? 0 : n;
}

/* Looks at what is there, at most three, and releases all of it but one. */
static int releases(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t n = world.tail - world.head < 3 ? world.tail - world.head : 3;
    int status = crossvm_spsc_rx_peek(&world.queue.rx, n == 0 ? 1 : n, &span);
    if (n == 0) {
        return status == CROSSVM_EMPTY ? 0 : -1;
    }
    for (uint32_t i = 0; i < n && status == CROSSVM_OK; i++) {
        if (!queue_is(crossvm_spsc_rx_span_at(&span, i), world.elem_len, world.head + i)) {
            return -1;
        }
    }
    n = n == 1 ? 1 : n - 1;
    return crossvm_spsc_rx_release(&world.queue.rx, n) == CROSSVM_OK ? (int)n : -1;
}

/* ---- waking ---------------------------------------------------------------------------------- */

/* Nothing of the elements changes, whoever dies while waking: outcome 0 of pushes and pops. */
static int producer_kicks(void)
{
    uint64_t again_ns;
    CHECK_EQ(push(), CROSSVM_OK);
    CHECK_EQ(push(), CROSSVM_OK);
    return crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns) == 1 ? 2 : -1;
}

static int producer_nudges(void)
{
    return crossvm_spsc_tx_nudge(&world.queue.tx) == 1 ? 0 : -1;
}

static int producer_arms(void)
{
    return crossvm_spsc_tx_arm(&world.queue.tx, WANT) == 0 ? 1 : -1;
}

static int producer_disarms(void)
{
    crossvm_spsc_tx_disarm(&world.queue.tx);
    return 1;
}

static int consumer_kicks_once(void)
{
    return crossvm_spsc_rx_kick(&world.queue.rx) == 1 ? 0 : -1;
}

static int consumer_nudges(void)
{
    return crossvm_spsc_rx_nudge(&world.queue.rx) == 1 ? 0 : -1;
}

static int consumer_arms(void)
{
    return crossvm_spsc_rx_arm(&world.queue.rx, WANT, 1000) == 0 ? 1 : -1;
}

static int consumer_disarms(void)
{
    crossvm_spsc_rx_disarm(&world.queue.rx);
    return 1;
}

/* The consumer rings for the second place that it frees, iff the producer has armed. */
static int consumer_rings(void)
{
    CHECK_EQ(pop(), CROSSVM_OK);
    crossvm_spsc_rx_flush(&world.queue.rx);
    CHECK_EQ(crossvm_spsc_rx_kick(&world.queue.rx), 0);
    CHECK_EQ(pop(), CROSSVM_OK);
    crossvm_spsc_rx_flush(&world.queue.rx);
    int rings = crossvm_spsc_rx_kick(&world.queue.rx);
    CHECK_EQ(pop_all(), world.capacity - 2);
    return rings;
}

static int consumer_rings_not(void)
{
    return 1 - consumer_rings();
}

static int producer_rings(void)
{
    uint64_t again_ns;
    CHECK_EQ(push(), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns), 0);
    CHECK_EQ(again_ns, 0);
    CHECK_EQ(push(), CROSSVM_OK);
    int rings = crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns);
    CHECK_EQ(push_all(), world.capacity - 2);
    return rings;
}

static int producer_rings_not(void)
{
    return 1 - producer_rings();
}

/* One that comes back is awake: it is not rung before it arms, and then it is. */
static int armed_producer_comes_back(void)
{
    producer_starts_again();
    CHECK_EQ(crossvm_spsc_tx_index(&world.queue.tx), world.tail);
    CHECK_EQ(pop(), CROSSVM_OK);
    crossvm_spsc_rx_flush(&world.queue.rx);
    CHECK_EQ(crossvm_spsc_rx_kick(&world.queue.rx), 0);
    CHECK_EQ(push_all(), 1);
    CHECK_EQ(crossvm_spsc_tx_arm(&world.queue.tx, 1), 0);
    CHECK_EQ(pop(), CROSSVM_OK);
    crossvm_spsc_rx_flush(&world.queue.rx);
    CHECK_EQ(crossvm_spsc_rx_kick(&world.queue.rx), 1);
    goes_on();
    return CRASH_UNSEEN;
}

static int armed_consumer_comes_back(void)
{
    uint64_t again_ns;
    consumer_starts_again();
    CHECK_EQ(crossvm_spsc_rx_index(&world.queue.rx), world.head);
    CHECK_EQ(push_all(), world.capacity);
    CHECK_EQ(crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns), 0);
    CHECK_EQ(pop_all(), world.capacity);
    CHECK_EQ(crossvm_spsc_rx_arm(&world.queue.rx, 1, 0), 0);
    CHECK_EQ(push(), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns), 1);
    goes_on();
    return CRASH_UNSEEN;
}

/* ---- counters -------------------------------------------------------------------------------- */

static uint64_t pair(const struct crossvm_le32 *lo, const struct crossvm_le32 *hi)
{
    return crossvm_load_pair(lo, hi);
}

/* What a watcher reads more than the handles knew when the operation began. */
static int producer_has_counted(void)
{
    const struct crossvm_spsc_tx_shm *words = queue_tx_words(&world.queue);
    const struct crossvm_spsc_tx *tx = &world.queue.tx;
    return (int)(pair(&words->n_refused_lo, &words->n_refused_hi) - tx->n_refused +
                 pair(&words->n_sent_lo, &words->n_sent_hi) - tx->kick.n_sent +
                 pair(&words->n_suppressed_lo, &words->n_suppressed_hi) - tx->kick.n_suppressed);
}

static int consumer_has_counted(void)
{
    const struct crossvm_spsc_rx_shm *words = queue_rx_words(&world.queue);
    const struct crossvm_spsc_rx *rx = &world.queue.rx;
    return (int)(pair(&words->n_sent_lo, &words->n_sent_hi) - rx->kick.n_sent +
                 pair(&words->n_suppressed_lo, &words->n_suppressed_hi) - rx->kick.n_suppressed);
}

static int is_refused(void)
{
    return push() == CROSSVM_FULL ? 1 : -1;
}

static int producer_kicks_in_vain(void)
{
    uint64_t again_ns;
    return crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns) == 0 ? 1 : -1;
}

static int consumer_kicks_in_vain(void)
{
    return crossvm_spsc_rx_kick(&world.queue.rx) == 0 ? 1 : -1;
}

static int producer_nudges_once(void)
{
    return producer_nudges() == 0 ? 1 : -1;
}

static int consumer_nudges_once(void)
{
    return consumer_nudges() == 0 ? 1 : -1;
}

/* ---- coming up ------------------------------------------------------------------------------- */

static int producer_opens_again(void)
{
    return queue_tx_open(&world.queue, 0) == CROSSVM_OK && queue_tx_link(&world.queue) == CROSSVM_OK
               ? 0
               : -1;
}

static int consumer_opens_again(void)
{
    return queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK &&
                   queue_rx_link(&world.queue) == CROSSVM_OK
               ? 0
               : -1;
}

static int producer_opens(void)
{
    return queue_tx_open(&world.queue, 0) == CROSSVM_OK ? 0 : -1;
}

static int producer_grants(void)
{
    return queue_tx_link(&world.queue) == CROSSVM_NOT_YET ? 1 : -1;
}

static int consumer_opens(void)
{
    return queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK ? 1 : -1;
}

static int consumer_accepts(void)
{
    return queue_rx_link(&world.queue) == CROSSVM_OK ? 1 : -1;
}

/* Another geometry, which the memory holds, too. */
static int consumer_asks_again(void)
{
    return crossvm_spsc_rx_ask(&world.queue.rx, world.capacity / 2, world.elem_len * 2) ==
                   CROSSVM_OK
               ? 1
               : -1;
}

/* From here on the queue has to come up whatever was left, and to be one as asked for. */
static void comes_up(void)
{
    int status_tx = CROSSVM_NOT_YET;
    int status_rx = CROSSVM_NOT_YET;
    for (unsigned i = 0; i < 3 && (status_tx != CROSSVM_OK || status_rx != CROSSVM_OK); i++) {
        status_tx = queue_tx_link(&world.queue);
        CHECK(status_tx == CROSSVM_OK || status_tx == CROSSVM_NOT_YET);
        status_rx = queue_rx_link(&world.queue);
        CHECK(status_rx == CROSSVM_OK || status_rx == CROSSVM_NOT_YET);
    }
    CHECK_EQ(status_tx, CROSSVM_OK);
    CHECK_EQ(status_rx, CROSSVM_OK);
    CHECK_EQ(world.queue.tx.capacity, world.capacity);
    CHECK_EQ(world.queue.tx.elem_len, world.elem_len);
    CHECK_EQ(world.queue.rx.capacity, world.capacity);
    if (check_n_failed == 0) {
        goes_on();
    }
}

/* The consumer, which is there, finds a whole grant or none. */
static int consumer_sees_a_grant(void)
{
    int status = queue_rx_link(&world.queue);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    REQUIRE(queue_tx_open(&world.queue, 0) == CROSSVM_OK);
    comes_up();
    return status == CROSSVM_OK;
}

static int granting_producer_comes_back(void)
{
    REQUIRE(queue_tx_open(&world.queue, 0) == CROSSVM_OK);
    comes_up();
    return CRASH_UNSEEN;
}

/* The producer, which is there, finds a whole request or none. */
static int producer_sees_a_request(void)
{
    world.queue.seed++;
    REQUIRE(queue_tx_open(&world.queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&world.queue), CROSSVM_NOT_YET);
    bool seen = world.queue.tx.answered != 0;
    CHECK(!seen || world.queue.tx.capacity == world.capacity);
    CHECK(!seen || world.queue.tx.elem_len == world.elem_len);
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    comes_up();
    return seen;
}

static int asking_consumer_comes_back(void)
{
    world.queue.seed++;
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&world.queue, 0) == CROSSVM_OK);
    comes_up();
    return CRASH_UNSEEN;
}

/* The producer sees that it was accepted, or not yet. */
static int producer_is_accepted(void)
{
    int status = queue_tx_link(&world.queue);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    if (status == CROSSVM_OK) {
        CHECK_EQ(push_all(), world.capacity);
    }
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    comes_up();
    return status == CROSSVM_OK;
}

static int accepting_consumer_comes_back(void)
{
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    comes_up();
    return CRASH_UNSEEN;
}

/* The producer answers the old request or the new one, or none yet; never a mixture. */
static int producer_sees_the_new_request(void)
{
    CHECK_EQ(queue_tx_link(&world.queue), CROSSVM_NOT_YET);
    const struct crossvm_spsc_tx *tx = &world.queue.tx;
    bool seen = tx->capacity == world.capacity / 2;
    if (tx->answered != 0) {
        CHECK_EQ(tx->capacity, seen ? world.capacity / 2 : world.capacity);
        CHECK_EQ(tx->elem_len, seen ? world.elem_len * 2 : world.elem_len);
    }
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    comes_up();
    return seen;
}

/* It comes back with another wish: no number stands for two requests. The producer has answered
 * before, or not. */
static int consumer_wants_something_else(void)
{
    bool opened_before = world.queue.tx.own != NULL;
    if (opened_before) {
        (void)queue_tx_link(&world.queue);
    }
    world.capacity = 2;
    world.elem_len = 12;
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    if (!opened_before) {
        REQUIRE(queue_tx_open(&world.queue, 0) == CROSSVM_OK);
    }
    comes_up();
    return CRASH_UNSEEN;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct crash_operation operations[] = {
    {"crossvm_spsc_tx_open",
     CRASH_EMPTY,
     asked,
     producer_opens,
     {{"the consumer sees a grant", consumer_sees_a_grant},
      {"the producer comes back", granting_producer_comes_back}},
     false},
    {"crossvm_spsc_tx_link",
     CRASH_EMPTY,
     opened,
     producer_grants,
     {{"the consumer sees a grant", consumer_sees_a_grant},
      {"the producer comes back", granting_producer_comes_back}},
     false},
    {"crossvm_spsc_tx_link",
     CRASH_EMPTY,
     asked_again,
     producer_grants,
     {{"the consumer sees a grant", consumer_sees_a_grant},
      {"the producer comes back", granting_producer_comes_back}},
     false},
    {"crossvm_spsc_tx_open crossvm_spsc_tx_link", CRASH_EACH, linked, producer_opens_again,
     SURVIVE_PRODUCER, false},
    {"crossvm_spsc_tx_push", CRASH_EACH, linked, pushes, SURVIVE_PRODUCER, false},
    {"crossvm_spsc_tx_push_n", CRASH_EACH, linked, pushes_many, SURVIVE_PRODUCER, false},
    {"crossvm_spsc_tx_reserve crossvm_spsc_tx_commit", CRASH_EACH, linked, fills_in_place,
     SURVIVE_PRODUCER, false},
    {"crossvm_spsc_tx_kick", CRASH_EACH, consumer_is_armed, producer_kicks, SURVIVE_PRODUCER, true},
    {"crossvm_spsc_tx_nudge", CRASH_EACH, consumer_is_armed, producer_nudges, SURVIVE_PRODUCER,
     false},
    {"crossvm_spsc_tx_arm",
     CRASH_FULL | CRASH_WRAPPING,
     without_room,
     producer_arms,
     {{"the consumer rings", consumer_rings},
      {"the producer comes back", armed_producer_comes_back}},
     false},
    {"crossvm_spsc_tx_disarm",
     CRASH_FULL | CRASH_WRAPPING,
     producer_is_armed,
     producer_disarms,
     {{"the consumer rings no more", consumer_rings_not},
      {"the producer comes back", armed_producer_comes_back}},
     false},
    {"crossvm_spsc_rx_open",
     CRASH_EMPTY,
     made,
     consumer_opens,
     {{"the producer sees a request", producer_sees_a_request},
      {"the consumer comes back", asking_consumer_comes_back},
      {"the consumer wants something else", consumer_wants_something_else}},
     false},
    {"crossvm_spsc_rx_ask",
     CRASH_EMPTY,
     granted,
     consumer_asks_again,
     {{"the producer sees the new request", producer_sees_the_new_request},
      {"the consumer comes back", accepting_consumer_comes_back},
      {"the consumer wants something else", consumer_wants_something_else}},
     false},
    {"crossvm_spsc_rx_ask",
     CRASH_EMPTY,
     opened,
     consumer_asks_again,
     {{"the producer sees the new request", producer_sees_the_new_request},
      {"the consumer comes back", accepting_consumer_comes_back},
      {"the consumer wants something else", consumer_wants_something_else}},
     false},
    {"crossvm_spsc_rx_link",
     CRASH_EMPTY,
     granted,
     consumer_accepts,
     {{"the producer sees the acceptance", producer_is_accepted},
      {"the consumer comes back", accepting_consumer_comes_back}},
     false},
    {"crossvm_spsc_rx_open crossvm_spsc_rx_link", CRASH_EACH, linked, consumer_opens_again,
     SURVIVE_CONSUMER, false},
    {"crossvm_spsc_rx_pop", CRASH_EACH, linked, pops, SURVIVE_CONSUMER, false},
    {"crossvm_spsc_rx_pop crossvm_spsc_rx_fill", CRASH_EACH, looked_at, pops_one_and_looks,
     SURVIVE_CONSUMER, false},
    {"crossvm_spsc_rx_pop crossvm_spsc_rx_flush", CRASH_EACH, looked_at, pops_one_and_flushes,
     SURVIVE_CONSUMER, false},
    {"crossvm_spsc_rx_pop_n", CRASH_EACH, linked, pops_many, SURVIVE_CONSUMER, false},
    {"crossvm_spsc_rx_peek crossvm_spsc_rx_release", CRASH_EACH, linked, releases, SURVIVE_CONSUMER,
     false},
    {"crossvm_spsc_rx_kick", CRASH_EACH, consumer_kicks, consumer_kicks_once, SURVIVE_CONSUMER,
     false},
    {"crossvm_spsc_rx_nudge", CRASH_EACH, producer_is_armed, consumer_nudges, SURVIVE_CONSUMER,
     false},
    {"crossvm_spsc_rx_arm",
     CRASH_EACH,
     without_elements,
     consumer_arms,
     {{"the producer rings", producer_rings},
      {"the consumer comes back", armed_consumer_comes_back}},
     false},
    {"crossvm_spsc_rx_disarm",
     CRASH_EACH,
     consumer_is_armed,
     consumer_disarms,
     {{"the producer rings no more", producer_rings_not},
      {"the consumer comes back", armed_consumer_comes_back}},
     false},
    {"crossvm_spsc_tx_push",
     CRASH_FULL,
     linked,
     is_refused,
     {{"a watcher counts", producer_has_counted}},
     false},
    {"crossvm_spsc_tx_kick",
     CRASH_EMPTY,
     both_have_kicked,
     producer_kicks_in_vain,
     {{"a watcher counts", producer_has_counted}},
     false},
    {"crossvm_spsc_tx_nudge",
     CRASH_EMPTY,
     consumer_is_armed,
     producer_nudges_once,
     {{"a watcher counts", producer_has_counted}},
     false},
    {"crossvm_spsc_rx_kick",
     CRASH_EMPTY,
     both_have_kicked,
     consumer_kicks_in_vain,
     {{"a watcher counts", consumer_has_counted}},
     false},
    {"crossvm_spsc_rx_nudge",
     CRASH_EMPTY,
     producer_is_armed,
     consumer_nudges_once,
     {{"a watcher counts", consumer_has_counted}},
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
