/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc_kill.c - a producer process, then a consumer process, is killed by SIGKILL at
 * random moments, hundreds of times, and started again on the same memory, while the other side
 * lives on. Elements bear their index. Each process can write its own region only.
 */
#include "../support/lives.h"

enum {
    CAPACITY = 64,
    ELEM_LEN = 24,
    BATCH = 8,
    N_KILLS = 500
};

/* The 32-bit wrap comes after some thousand elements. */
static const uint32_t start = 0u - 4096u;
static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

static struct queue queue;

static int link_until_up(int (*link)(struct queue *))
{
    int status = link(&queue);
    while (status == CROSSVM_NOT_YET) {
        (void)sched_yield();
        status = link(&queue);
    }
    return status;
}

/* ---- producers ------------------------------------------------------------------------------- */

/* Pushes for ever, in every way, elements that bear the index at which they are pushed. */
static void push_something(void)
{
    unsigned char elems[BATCH * ELEM_LEN];
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t n = check_random(&random_state) % BATCH + 1;
    for (uint32_t i = 0; i < n; i++) {
        queue_fill(elems + i * ELEM_LEN, ELEM_LEN, queue.tx.tail + i);
    }
    int status;
    switch (check_random(&random_state) % 3) {
    case 0:
        status = crossvm_spsc_tx_push(&queue.tx, elems);
        break;
    case 1:
        status = crossvm_spsc_tx_push_n(&queue.tx, elems, n);
        break;
    default:
        status = crossvm_spsc_tx_reserve(&queue.tx, n, &span);
        for (uint32_t i = 0; status == CROSSVM_OK && i < n; i++) {
            queue_fill(crossvm_spsc_tx_span_at(&span, i), ELEM_LEN, queue.tx.tail + i);
        }
        if (status == CROSSVM_OK) {
            status = crossvm_spsc_tx_commit(&queue.tx, check_random(&random_state) % (n + 1));
        }
        break;
    }
    CHECK(status >= 0 || status == CROSSVM_FULL);
    if (status == CROSSVM_FULL) {
        (void)sched_yield();
    }
}

static void producer_life(uint32_t life)
{
    queue_only_producer(&queue);
    random_state += life;
    REQUIRE(crossvm_spsc_tx_open(&queue.tx, &queue.a.owner.region, &queue.tx_chunk, ELEM_LEN,
                                 life + 1) == CROSSVM_OK);
    REQUIRE(link_until_up(queue_tx_link) == CROSSVM_OK);
    while (check_n_failed == 0) {
        push_something();
        dawdle(life % 2 == 0);
    }
    test_child_done();
}

static uint32_t pop_exactly_the_next(uint32_t next)
{
    unsigned char elem[ELEM_LEN];
    int status = crossvm_spsc_rx_pop(&queue.rx, elem);
    if (status == CROSSVM_EMPTY) {
        (void)sched_yield();
        return next;
    }
    CHECK_EQ(status, CROSSVM_OK);
    CHECK(queue_is(elem, ELEM_LEN, next));
    return next + 1;
}

static void killed_producers_lose_repeat_and_tear_nothing(void)
{
    uint32_t next = start;
    unsigned long n_kills = N_KILLS / CHECK_SHORTER * check_scale();
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    uint32_t life = 0;
    for (; life < n_kills || next - start < 100000 / CHECK_SHORTER; life++) {
        uint32_t rounds = rounds_of_life();
        pid_t child = test_fork();
        if (child == 0) {
            producer_life(life);
        }
        for (uint32_t i = 0; i < rounds && check_n_failed == 0; i++) {
            next = pop_exactly_the_next(next);
            dawdle(life % 2 == 1);
        }
        kill_and_wait(child);
        if (check_n_failed != 0) {
            break;
        }
    }
    /* What the last one committed is there, and nothing else. */
    uint32_t tail = crossvm_load_relaxed(&queue_tx_words(&queue)->line.index);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), tail - next);
    while (next != tail && check_n_failed == 0) {
        next = pop_exactly_the_next(next);
    }
    printf("%u producers killed, %u elements\n", life, next - start);
    queue_drop(&queue);
}

/* ---- consumers ------------------------------------------------------------------------------- */

/* What the consumers of all lives have seen, in memory that outlives them. */
struct record {
    uint32_t next;        /* behind the highest element that was seen */
    uint32_t n_seen_anew; /* elements that a life saw again */
    uint32_t n_lives;     /* lives that came as far as an element */
    uint32_t n_wrong;
};

static struct record *record;

static void note_first_of_life(uint32_t number)
{
    uint32_t again = __atomic_load_n(&record->next, __ATOMIC_RELAXED) - number;
    /* At most what was held back by the lazy head, and what was only looked at. */
    if (again > CAPACITY / 4 + BATCH) {
        __atomic_store_n(&record->n_wrong, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&record->n_seen_anew, record->n_seen_anew + again, __ATOMIC_RELAXED);
    __atomic_store_n(&record->n_lives, record->n_lives + 1, __ATOMIC_RELAXED);
}

static void note_seen(const void *elem, uint32_t number)
{
    if (!queue_is(elem, ELEM_LEN, number)) {
        __atomic_store_n(&record->n_wrong, 1, __ATOMIC_RELAXED);
    }
    if (number == __atomic_load_n(&record->next, __ATOMIC_RELAXED)) {
        __atomic_store_n(&record->next, number + 1, __ATOMIC_RELAXED);
    }
}

/* Looks, notes what it saw, and only then releases. */
static void consumer_life(uint32_t life)
{
    bool first = true;
    queue_only_consumer(&queue);
    random_state += life;
    REQUIRE(crossvm_spsc_rx_open(&queue.rx, &queue.b.owner.region, &queue.rx_chunk, CAPACITY,
                                 ELEM_LEN, life + 1) == CROSSVM_OK);
    REQUIRE(link_until_up(queue_rx_link) == CROSSVM_OK);
    for (;;) {
        struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
        uint32_t n = check_random(&random_state) % BATCH + 1;
        int status = crossvm_spsc_rx_peek(&queue.rx, n, &span);
        if (status == CROSSVM_EMPTY) {
            (void)sched_yield();
            continue;
        }
        REQUIRE(status == CROSSVM_OK);
        if (first) {
            note_first_of_life(queue.rx.head);
            first = false;
        }
        for (uint32_t i = 0; i < n; i++) {
            note_seen(crossvm_spsc_rx_span_at(&span, i), queue.rx.head + i);
        }
        dawdle(life % 2 == 0);
        REQUIRE(crossvm_spsc_rx_release(&queue.rx, n) == CROSSVM_OK);
    }
}

static void killed_consumers_lose_nothing_and_repeat_little(void)
{
    unsigned long n_kills = N_KILLS / CHECK_SHORTER * check_scale();
    record = (struct record *)lives_record(sizeof(*record));
    record->next = start;
    queue_up(&queue, CAPACITY, ELEM_LEN, start, usual);
    uint32_t life = 0;
    for (; life < n_kills || record->next - start < 100000 / CHECK_SHORTER; life++) {
        uint32_t rounds = rounds_of_life();
        pid_t child = test_fork();
        if (child == 0) {
            consumer_life(life);
        }
        for (uint32_t i = 0; i < rounds && check_n_failed == 0; i++) {
            push_something();
            dawdle(life % 2 == 1);
        }
        kill_and_wait(child);
        /* Whatever was released was seen before, and nothing seen is ahead of the tail. */
        uint32_t head = crossvm_load_relaxed(&queue_rx_words(&queue)->line.index);
        CHECK(record->next - head <= CAPACITY);
        CHECK(queue.tx.tail - record->next <= CAPACITY);
        CHECK_EQ(record->n_wrong, 0);
        if (check_n_failed != 0) {
            break;
        }
    }
    printf("%u consumers killed, %u came to an element, %u elements, %u of them again\n", life,
           record->n_lives, record->next - start, record->n_seen_anew);
    REQUIRE(munmap(record, sizeof(*record)) == 0);
    queue_drop(&queue);
}

int main(void)
{
    test_guard();
    random_state = 777;
    printf("seed %llu\n", (unsigned long long)random_state);
    CASE(killed_producers_lose_repeat_and_tear_nothing);
    CASE(killed_consumers_lose_nothing_and_repeat_little);
    return check_done();
}
