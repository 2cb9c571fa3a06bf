/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/crash/queue.h - a queue, how it stands when an operation of it begins, and who survives its
 * producer or its consumer. An element's number is its index, so that whoever pops knows what has
 * to come.
 */
#ifndef CROSSVM_TESTS_CRASH_QUEUE_H
#define CROSSVM_TESTS_CRASH_QUEUE_H

#include "crash.h"

#if CRASH_HERE

enum {
    CAPACITY = 8,
    ELEM_MAX = 24,
    WANT = 2
};

static struct {
    struct queue queue;
    uint32_t capacity; /* as the consumer asks for it */
    uint32_t elem_len; /* 24, its own stride, in wrapping queues; else 20 */
    uint32_t head;     /* as published when the operation begins */
    uint32_t tail;
    bool full;
    struct crossvm_spsc_peer producer; /* who was at work when the operation began */
    struct crossvm_spsc_peer consumer;
    struct crossvm_spsc_peer dead; /* as the other side knew the one that died, 0 = starting */
} world;

static const struct queue_options plain = {CROSSVM_WRITE_BACK, false};

static inline void drop(void)
{
    queue_drop(&world.queue);
}

/* ---- what both sides do ---------------------------------------------------------------------- */

static inline int push(void)
{
    unsigned char elem[ELEM_MAX];
    queue_fill(elem, world.elem_len, crossvm_spsc_tx_index(&world.queue.tx));
    return crossvm_spsc_tx_push(&world.queue.tx, elem);
}

/* Pushes until nothing more fits: how many did. */
static inline uint32_t push_all(void)
{
    uint32_t n = 0;
    int status = push();
    while (status == CROSSVM_OK && n <= world.capacity) {
        n++;
        status = push();
    }
    CHECK_EQ(status, CROSSVM_FULL);
    return n;
}

static inline int pop(void)
{
    unsigned char elem[ELEM_MAX];
    uint32_t index = crossvm_spsc_rx_index(&world.queue.rx);
    int status = crossvm_spsc_rx_pop(&world.queue.rx, elem);
    CHECK(status != CROSSVM_OK || queue_is(elem, world.elem_len, index));
    return status;
}

/* Pops until nothing is left: how many there were. */
static inline uint32_t pop_all(void)
{
    uint32_t n = 0;
    int status = pop();
    while (status == CROSSVM_OK && n <= world.capacity) {
        n++;
        status = pop();
    }
    CHECK_EQ(status, CROSSVM_EMPTY);
    return n;
}

/* More than two rounds of the ring, through both ends, beginning with whatever is in it. */
static inline void goes_on(void)
{
    for (unsigned i = 0; i < 3; i++) {
        uint32_t n_queued = world.queue.tx.tail - world.queue.rx.head;
        CHECK_EQ(push_all(), world.capacity - n_queued);
        CHECK_EQ(pop_all(), world.capacity);
    }
}

static inline void producer_starts_again(void)
{
    if (crossvm_spsc_rx_peer(&world.queue.rx, &world.dead) != CROSSVM_OK) {
        world.dead.incarnation = 0;
    }
    REQUIRE(queue_tx_open(&world.queue, 0) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&world.queue) == CROSSVM_OK);
    const struct crossvm_spsc_tx_shm *words = queue_tx_words(&world.queue);
    CHECK_EQ(crossvm_load_pair(&words->n_refused_lo, &words->n_refused_hi), 0);
    CHECK_EQ(crossvm_load_pair(&words->n_sent_lo, &words->n_sent_hi), 0);
    CHECK_EQ(crossvm_load_pair(&words->n_suppressed_lo, &words->n_suppressed_hi), 0);
}

static inline void consumer_starts_again(void)
{
    if (crossvm_spsc_tx_peer(&world.queue.tx, &world.dead) != CROSSVM_OK) {
        world.dead.incarnation = 0;
    }
    REQUIRE(queue_rx_open(&world.queue, world.capacity, world.elem_len) == CROSSVM_OK);
    REQUIRE(queue_rx_link(&world.queue) == CROSSVM_OK);
    const struct crossvm_spsc_rx_shm *words = queue_rx_words(&world.queue);
    CHECK_EQ(crossvm_load_pair(&words->n_sent_lo, &words->n_sent_hi), 0);
    CHECK_EQ(crossvm_load_pair(&words->n_suppressed_lo, &words->n_suppressed_hi), 0);
}

/* A start that was cut short is not seen, or is whole: an incarnation comes with its own base. */
static inline void start_is_whole(int status, const struct crossvm_spsc_peer *now,
                                  const struct crossvm_spsc_peer *before, uint32_t index)
{
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    if (status == CROSSVM_OK) {
        CHECK_EQ(now->base, now->incarnation == before->incarnation ? before->base : index);
    }
}

/* What the other side reads of a start that was finished. */
static inline void producer_is_known(void)
{
    struct crossvm_spsc_peer peer = {0, 0};
    CHECK_EQ(crossvm_spsc_rx_peer(&world.queue.rx, &peer), CROSSVM_OK);
    CHECK_EQ(peer.base, world.queue.tx.tail);
    CHECK(peer.incarnation !=
          (world.dead.incarnation != 0 ? world.dead.incarnation : world.producer.incarnation));
}

static inline void consumer_is_known(void)
{
    struct crossvm_spsc_peer peer = {0, 0};
    CHECK_EQ(crossvm_spsc_tx_peer(&world.queue.tx, &peer), CROSSVM_OK);
    CHECK_EQ(peer.base, world.queue.rx.head);
    CHECK(peer.incarnation !=
          (world.dead.incarnation != 0 ? world.dead.incarnation : world.consumer.incarnation));
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

/* Wrapping: the index passes 2^32 with the next element, and the ring's end with the one after. */
static inline void linked(enum crash_state state)
{
    world.capacity = CAPACITY;
    world.elem_len = state == CRASH_WRAPPING ? ELEM_MAX : 20;
    world.full = state == CRASH_FULL;
    queue_up(&world.queue, world.capacity, world.elem_len,
             state == CRASH_WRAPPING ? 0xfffffffcu : 5, plain);
    crash_memory(&world.queue.a.writable);
    crash_memory(&world.queue.b.writable);
    if (state == CRASH_FULL) {
        CHECK_EQ(push_all(), world.capacity);
    }
    for (unsigned i = 0; state == CRASH_WRAPPING && i < 3; i++) {
        CHECK_EQ(push(), CROSSVM_OK);
    }
    for (unsigned i = 0; state == CRASH_WRAPPING && i < 2; i++) {
        CHECK_EQ(pop(), CROSSVM_OK);
    }
    crossvm_spsc_rx_flush(&world.queue.rx);
    world.head = world.queue.rx.head;
    world.tail = world.queue.tx.tail;
    CHECK_EQ(crossvm_spsc_rx_peer(&world.queue.rx, &world.producer), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_peer(&world.queue.tx, &world.consumer), CROSSVM_OK);
}

/* For the consumer: it has all in hand that there is. */
static inline void looked_at(enum crash_state state)
{
    linked(state);
    CHECK_EQ(crossvm_spsc_rx_fill(&world.queue.rx), world.tail - world.head);
}

/* Both have kicked once: the first kick is unconditional. */
static inline void both_have_kicked(enum crash_state state)
{
    uint64_t again_ns;
    linked(state);
    CHECK_EQ(crossvm_spsc_tx_kick(&world.queue.tx, 0, &again_ns), 1);
    CHECK_EQ(crossvm_spsc_rx_kick(&world.queue.rx), 1);
}

/* Nothing is there, nobody has armed. */
static inline void without_elements(enum crash_state state)
{
    both_have_kicked(state);
    (void)pop_all();
    world.head = world.queue.rx.head;
}

static inline void consumer_is_armed(enum crash_state state)
{
    without_elements(state);
    CHECK_EQ(crossvm_spsc_rx_arm(&world.queue.rx, WANT, 0), 0);
}

static inline void producer_is_armed(enum crash_state state)
{
    both_have_kicked(state);
    (void)push_all();
    world.tail = world.queue.tx.tail;
    CHECK_EQ(crossvm_spsc_tx_arm(&world.queue.tx, WANT), 0);
}

/* Room for WANT is missing, nobody has armed. */
static inline void without_room(enum crash_state state)
{
    both_have_kicked(state);
    (void)push_all();
    world.tail = world.queue.tx.tail;
}

static inline void consumer_kicks(enum crash_state state)
{
    producer_is_armed(state);
    CHECK_EQ(pop(), CROSSVM_OK);
    CHECK_EQ(pop(), CROSSVM_OK);
    crossvm_spsc_rx_flush(&world.queue.rx);
    world.head = world.queue.rx.head;
}

static inline void made(enum crash_state state)
{
    (void)state;
    world.capacity = CAPACITY;
    world.elem_len = 20;
    queue_make(&world.queue, CAPACITY, ELEM_MAX, plain);
    crash_memory(&world.queue.a.writable);
    crash_memory(&world.queue.b.writable);
}

static inline void asked(enum crash_state state)
{
    made(state);
    CHECK_EQ(queue_rx_open(&world.queue, world.capacity, world.elem_len), CROSSVM_OK);
}

static inline void opened(enum crash_state state)
{
    asked(state);
    CHECK_EQ(queue_tx_open(&world.queue, 0), CROSSVM_OK);
}

static inline void granted(enum crash_state state)
{
    opened(state);
    CHECK_EQ(queue_tx_link(&world.queue), CROSSVM_NOT_YET);
}

/* The producer has granted one request, and finds another one. */
static inline void asked_again(enum crash_state state)
{
    granted(state);
    world.capacity = CAPACITY / 2;
    world.elem_len = 12;
    CHECK_EQ(crossvm_spsc_rx_ask(&world.queue.rx, world.capacity, world.elem_len), CROSSVM_OK);
}

/* ---- who survives the producer --------------------------------------------------------------- */

static inline int consumer_reads_on(void)
{
    struct crossvm_spsc_peer peer = {0, 0};
    start_is_whole(crossvm_spsc_rx_peer(&world.queue.rx, &peer), &peer, &world.producer,
                   world.tail);
    uint32_t n = pop_all();
    CHECK_EQ(pop_all(), 0);
    return (int)(n - (world.tail - world.head));
}

/* The dead one's next incarnation goes on where it stopped; the consumer notices nothing else. */
static inline int producer_comes_back(void)
{
    producer_starts_again();
    int outcome = (int)(world.queue.tx.tail - world.tail);
    producer_is_known();
    CHECK_EQ(push_all(), world.capacity - (world.tail - world.head) - (uint32_t)outcome);
    CHECK_EQ(pop_all(), world.capacity);
    goes_on();
    return outcome;
}

/* The consumer takes what is there, and only then the producer comes back. */
static inline int producer_comes_back_later(void)
{
    int outcome = consumer_reads_on();
    producer_starts_again();
    CHECK_EQ(world.queue.tx.tail, world.tail + (uint32_t)outcome);
    producer_is_known();
    goes_on();
    return outcome;
}

/* Whoever comes back with the seed of the last one that was seen is another one all the same. */
static inline int nobody_is_left(void)
{
    world.queue.seed = world.producer.incarnation / 2 - 1;
    producer_starts_again();
    producer_is_known();
    consumer_starts_again();
    consumer_is_known();
    int outcome = (int)(world.queue.tx.tail - world.tail);
    producer_starts_again();
    producer_is_known();
    CHECK_EQ(pop_all(), world.tail - world.head + (uint32_t)outcome);
    goes_on();
    return outcome;
}

#define SURVIVE_PRODUCER                                                  \
    {                                                                     \
        {"the consumer reads on", consumer_reads_on},                     \
            {"the producer comes back", producer_comes_back},             \
            {"the producer comes back later", producer_comes_back_later}, \
            {"both come back", nobody_is_left},                           \
    }

/* ---- who survives the consumer --------------------------------------------------------------- */

/* The producer fills what is free, then the consumer comes back: it begins with what was not
 * released, and misses nothing. */
static inline int producer_writes_on(void)
{
    struct crossvm_spsc_peer peer = {0, 0};
    start_is_whole(crossvm_spsc_tx_peer(&world.queue.tx, &peer), &peer, &world.consumer,
                   world.head);
    uint32_t n = push_all();
    uint32_t released = n - (world.capacity - (world.tail - world.head));
    consumer_starts_again();
    CHECK_EQ(world.queue.rx.head, world.head + released);
    consumer_is_known();
    CHECK_EQ(pop_all(), world.capacity);
    goes_on();
    return (int)released;
}

static inline int consumer_comes_back(void)
{
    consumer_starts_again();
    consumer_is_known();
    uint32_t released = world.queue.rx.head - world.head;
    CHECK_EQ(pop_all(), world.tail - world.head - released);
    goes_on();
    return (int)released;
}

static inline int both_come_back(void)
{
    world.queue.seed = world.consumer.incarnation / 2 - 1;
    consumer_starts_again();
    consumer_is_known();
    producer_starts_again();
    uint32_t released = world.queue.rx.head - world.head;
    CHECK_EQ(push_all(), world.capacity - (world.tail - world.head) + released);
    CHECK_EQ(pop_all(), world.capacity);
    goes_on();
    return (int)released;
}

#define SURVIVE_CONSUMER                                                                          \
    {                                                                                             \
        {"the producer writes on", producer_writes_on},                                           \
            {"the consumer comes back", consumer_comes_back}, {"both come back", both_come_back}, \
    }

#endif
#endif
