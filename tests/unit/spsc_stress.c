/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc_stress.c - millions of elements through a queue, across the wrap of its 32-bit
 * indices, in every mode, between two threads and between two processes of which each can write
 * its own region only.
 */
#include "../support/queue.h"

#include <pthread.h>

/* An element says its number in every word, differently. */
struct element {
    uint32_t number;
    uint32_t inverted;
    uint32_t mixed;
};

CROSSVM_SPSC_TYPE(elements, struct element);

enum {
    BATCH = 16
};

enum mode {
    MODE_SINGLE,
    MODE_BATCH,
    MODE_IN_PLACE,
    MODE_TYPED,
    MODE_TYPED_BATCH,
    N_MODES
};

static const char *const mode_names[N_MODES] = {"single", "batch", "in place", "typed",
                                                "typed batch"};

static struct queue queue;
static enum mode mode;
static uint32_t n_elements;
static const struct queue_options two_mappings = {CROSSVM_WRITE_BACK, false};
static const struct queue_options one_mapping = {CROSSVM_WRITE_BACK, true};
static const struct queue_options device = {CROSSVM_UNCACHED, false};

static struct element element_of(uint32_t number)
{
    struct element element = {number, ~number, number * 2654435761u};
    return element;
}

static void check_element(const struct element *element, uint32_t number)
{
    struct element want = element_of(number);
    CHECK(memcmp(element, &want, sizeof(want)) == 0);
}

/* ---- the two sides: each call moves some elements and says how many -------------------------- */

static int produce_in_place(uint32_t number, uint32_t n)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    int status = crossvm_spsc_tx_reserve(&queue.tx, n, &span);
    for (uint32_t i = 0; status == CROSSVM_OK && i < n; i++) {
        *(struct element *)crossvm_spsc_tx_span_at(&span, i) = element_of(number + i);
    }
    return status == CROSSVM_OK ? crossvm_spsc_tx_commit(&queue.tx, n) : status;
}

static int produce(struct elements_tx *typed, uint32_t number, uint32_t n)
{
    struct element batch[BATCH];
    for (uint32_t i = 0; i < n; i++) {
        batch[i] = element_of(number + i);
    }
    switch (mode) {
    case MODE_SINGLE:
        return crossvm_spsc_tx_push(&queue.tx, batch) == CROSSVM_OK ? 1 : CROSSVM_FULL;
    case MODE_BATCH:
        return crossvm_spsc_tx_push_n(&queue.tx, batch, n);
    case MODE_IN_PLACE:
        return produce_in_place(number, n) == CROSSVM_OK ? (int)n : CROSSVM_FULL;
    case MODE_TYPED:
        return elements_tx_push(typed, batch) == CROSSVM_OK ? 1 : CROSSVM_FULL;
    default:
        return elements_tx_push_n(typed, batch, n);
    }
}

static int consume_in_place(uint32_t number, uint32_t n)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    int status = crossvm_spsc_rx_peek(&queue.rx, n, &span);
    for (uint32_t i = 0; status == CROSSVM_OK && i < n; i++) {
        check_element((const struct element *)crossvm_spsc_rx_span_at(&span, i), number + i);
    }
    return status == CROSSVM_OK ? crossvm_spsc_rx_release(&queue.rx, n) : status;
}

static int consume(struct elements_rx *typed, uint32_t number, uint32_t n)
{
    struct element batch[BATCH];
    int got;
    switch (mode) {
    case MODE_SINGLE:
        got = crossvm_spsc_rx_pop(&queue.rx, batch) == CROSSVM_OK ? 1 : CROSSVM_EMPTY;
        break;
    case MODE_BATCH:
        got = crossvm_spsc_rx_pop_n(&queue.rx, batch, n);
        break;
    case MODE_IN_PLACE:
        return consume_in_place(number, n) == CROSSVM_OK ? (int)n : CROSSVM_EMPTY;
    case MODE_TYPED:
        got = elements_rx_pop(typed, batch) == CROSSVM_OK ? 1 : CROSSVM_EMPTY;
        break;
    default:
        got = elements_rx_pop_n(typed, batch, n);
        break;
    }
    for (int i = 0; i < got; i++) {
        check_element(&batch[i], number + (uint32_t)i);
    }
    return got;
}

/* 1 to BATCH, never more than the capacity, never more than what is left. */
static uint32_t next_n(uint64_t *state, uint32_t left)
{
    uint32_t most = queue.rx.capacity < BATCH ? queue.rx.capacity : (uint32_t)BATCH;
    uint32_t n = check_random(state) % most + 1;
    return n < left ? n : left;
}

static void *producer(void *unused)
{
    static struct elements_tx typed;
    uint64_t state = 1;
    (void)unused;
    /* The typed calls work on the same handle. */
    typed.queue = queue.tx;
    for (uint32_t i = 0; i < n_elements && check_n_failed == 0;) {
        int got = produce(&typed, i, next_n(&state, n_elements - i));
        CHECK(got > 0 || got == CROSSVM_FULL);
        if (got > 0) {
            i += (uint32_t)got;
        } else {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void *consumer(void *unused)
{
    static struct elements_rx typed;
    uint64_t state = 2;
    (void)unused;
    typed.queue = queue.rx;
    for (uint32_t i = 0; i < n_elements && check_n_failed == 0;) {
        int got = consume(&typed, i, next_n(&state, n_elements - i));
        CHECK(got > 0 || got == CROSSVM_EMPTY);
        if (got > 0) {
            i += (uint32_t)got;
        } else {
            (void)sched_yield();
        }
    }
    return NULL;
}

/* ---- two threads, two processes -------------------------------------------------------------- */

static void up(uint32_t capacity, uint32_t n, struct queue_options options)
{
    n_elements = n;
    queue_up(&queue, capacity, sizeof(struct element), 0u - n / 2, options);
}

/* Everything arrived, and the indices stand behind the wrap. */
static void down(void)
{
    uint32_t end = n_elements - n_elements / 2;
    CHECK_EQ(crossvm_load_relaxed(&queue_tx_words(&queue)->line.index), end);
    CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queue)->line.index), end);
    queue_drop(&queue);
}

static void between_threads(uint32_t capacity, uint32_t n, struct queue_options options)
{
    pthread_t thread;
    up(capacity, n, options);
    REQUIRE(pthread_create(&thread, NULL, producer, NULL) == 0);
    (void)consumer(NULL);
    REQUIRE(pthread_join(thread, NULL) == 0);
    down();
}

static void between_processes(uint32_t capacity, uint32_t n)
{
    up(capacity, n, two_mappings);
    pid_t producing = test_fork();
    if (producing == 0) {
        queue_only_producer(&queue);
        (void)producer(NULL);
        test_child_done();
    }
    pid_t consuming = test_fork();
    if (consuming == 0) {
        queue_only_consumer(&queue);
        (void)consumer(NULL);
        test_child_done();
    }
    CHECK_EQ(test_wait_both(producing, consuming), 0);
    down();
}

static uint32_t times(uint32_t n)
{
    uint64_t all = (uint64_t)n * check_scale() / CHECK_SHORTER;
    return all > 0xf0000000u ? 0xf0000000u : (uint32_t)all;
}

static void millions_in_every_mode_between_threads(void)
{
    for (int i = 0; i < N_MODES; i++) {
        mode = (enum mode)i;
        between_threads(1024, times(1000000), one_mapping);
        between_threads(64, times(1000000), two_mappings);
        printf("  %s: %u elements\n", mode_names[mode], 2 * times(1000000));
    }
}

static void millions_in_every_mode_between_processes(void)
{
    for (int i = 0; i < N_MODES; i++) {
        mode = (enum mode)i;
        between_processes(1024, times(1000000));
        between_processes(64, times(1000000));
        printf("  %s: %u elements\n", mode_names[mode], 2 * times(1000000));
    }
}

/* Every element waits for the one before. */
static void the_smallest_queues(void)
{
    for (int i = 0; i < N_MODES; i++) {
        mode = (enum mode)i;
        between_threads(1, times(20000), one_mapping);
        between_threads(2, times(20000), one_mapping);
        between_processes(1, times(20000));
        between_processes(4, times(20000));
    }
}

static void device_mappings(void)
{
    static const enum mode modes[] = {MODE_SINGLE, MODE_BATCH, MODE_TYPED, MODE_TYPED_BATCH};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        mode = modes[i];
        between_threads(64, times(200000), device);
    }
}

int main(void)
{
    test_guard();
    CASE(millions_in_every_mode_between_threads);
    CASE(millions_in_every_mode_between_processes);
    CASE(the_smallest_queues);
    CASE(device_mappings);
    return check_done();
}
