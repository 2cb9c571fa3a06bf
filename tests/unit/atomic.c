/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h: words are little-endian bytes on every host, mutants are chosen by macros, and a build
 * with CROSSVM_HOOKS hears of each shared access before it happens: which ones a publication, a
 * read, a push and a pop consist of, in which order.
 *
 * The same source also passes with CROSSVM_SYSTEM_FENCES: fences add no accesses.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#define CROSSVM_HOOKS

/* What the program defines before it includes the library. */
#define CROSSVM_MUTANT_one_load_acquire  1
#define CROSSVM_MUTANT_zero_load_acquire 0

#include "../support/snapshot.h"

/* ---- the log -------------------------------------------------------------------------------- */

enum {
    LOG_MAX = 64,
    LEN = 40
};

struct entry {
    enum crossvm_access access;
    const volatile void *addr;
    size_t len;
    uint32_t held; /* what the word held when the hook was called */
};

static struct entry entries[LOG_MAX];
static unsigned n_entries;
static bool logging;

void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    if (!logging) {
        return;
    }
    REQUIRE(n_entries < LOG_MAX);
    struct entry *entry = &entries[n_entries];
    entry->access = access;
    entry->addr = addr;
    entry->len = len;
    entry->held = 0;
    if (access == CROSSVM_ACCESS_STORE) {
        entry->held = *(const volatile uint32_t *)addr;
    }
    n_entries++;
}

static void log_begin(void)
{
    n_entries = 0;
    logging = true;
}

static unsigned log_end(void)
{
    logging = false;
    return n_entries;
}

/* ---- words ---------------------------------------------------------------------------------- */

static void words_are_little_endian_bytes(void)
{
    static const unsigned char bytes[8] = {0x44, 0x33, 0x22, 0x11, 0xdd, 0xcc, 0xbb, 0xaa};
    struct crossvm_le32 words[2];
    crossvm_store_relaxed(&words[0], 0x11223344);
    CROSSVM_STORE_RELEASE(some_edge, &words[1], 0xaabbccdd);
    CHECK(memcmp(words, bytes, sizeof(words)) == 0);
    CHECK_EQ(crossvm_load_relaxed(&words[0]), 0x11223344);
    CHECK_EQ(CROSSVM_LOAD_ACQUIRE(some_edge, &words[1]), 0xaabbccdd);
    CHECK_EQ(crossvm_load_pair(&words[0], &words[1]), (long long)0xaabbccdd11223344);

    memset(words, 0, sizeof(words));
    crossvm_store_pair(&words[0], &words[1], 0xaabbccdd11223344);
    CHECK(memcmp(words, bytes, sizeof(words)) == 0);
    crossvm_store_pair(&words[1], &words[0], 0x11223344aabbccdd);
    CHECK(memcmp(words, bytes, sizeof(words)) == 0);
}

static void every_bit_of_a_word_goes_through(void)
{
    struct crossvm_le32 words[2];
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = (uint64_t)1 << bit;
        crossvm_store_pair(&words[0], &words[1], value);
        CHECK(crossvm_load_pair(&words[0], &words[1]) == value);
        crossvm_store_pair(&words[0], &words[1], ~value);
        CHECK(crossvm_load_pair(&words[0], &words[1]) == ~value);
    }
}

static void a_pause_and_a_barrier_return(void)
{
    crossvm_cpu_pause();
    crossvm_system_barrier();
}

/* ---- mutants -------------------------------------------------------------------------------- */

static void a_mutant_is_what_is_defined_as_one(void)
{
    CHECK_EQ(CROSSVM_I_IS_SET(CROSSVM_MUTANT_one_load_acquire), 1);
    CHECK_EQ(CROSSVM_I_IS_SET(CROSSVM_MUTANT_zero_load_acquire), 0);
    CHECK_EQ(CROSSVM_I_IS_SET(CROSSVM_MUTANT_undefined_load_acquire), 0);
}

/* Weakened or not, the value and the hook are the same. */
static void a_mutant_still_loads(void)
{
    struct crossvm_le32 word;
    crossvm_store_relaxed(&word, 5);
    log_begin();
    CHECK_EQ(CROSSVM_LOAD_ACQUIRE(one, &word), 5);
    CHECK_EQ(CROSSVM_LOAD_ACQUIRE(zero, &word), 5);
    CHECK_EQ(log_end(), 2);
}

/* ---- compare and swap ----------------------------------------------------------------------- */

#if CROSSVM_HAS_CAS

static void a_swap_happens_only_if_the_word_is_as_expected(void)
{
    static const unsigned char bytes[4] = {0x88, 0x77, 0x66, 0x55};
    struct crossvm_le32 word;
    crossvm_store_relaxed(&word, 0x11223344);
    log_begin();
    CHECK(!crossvm_cas_relaxed(&word, 0x44332211, 1));
    CHECK(crossvm_cas_relaxed(&word, 0x11223344, 0x55667788));
    CHECK_EQ(log_end(), 2);
    CHECK_EQ(entries[0].access, CROSSVM_ACCESS_CAS);
    CHECK(entries[0].addr == &word && entries[0].len == 4);
    CHECK(memcmp(&word, bytes, sizeof(word)) == 0);
}

#endif

/* ---- hooks ---------------------------------------------------------------------------------- */

static void each_access_is_announced_once_before_it_happens(void)
{
    struct crossvm_le32 words[2];
    unsigned char bytes[16] = {0};
    crossvm_store_pair(&words[0], &words[1], 0);
    log_begin();
    crossvm_store_relaxed(&words[0], 7);
    CROSSVM_STORE_RELEASE(some_edge, &words[0], 8);
    (void)crossvm_load_relaxed(&words[0]);
    (void)CROSSVM_LOAD_ACQUIRE(some_edge, &words[0]);
    CROSSVM_FENCE_ACQUIRE(some_edge, &words[1]);
    CROSSVM_FENCE_RELEASE(some_edge, &words[1]);
    CROSSVM_FENCE_SEQ_CST(some_edge, &words[1]);
    (void)crossvm_load_pair(&words[0], &words[1]);
    crossvm_copy_in(bytes, words, 8);
    crossvm_copy_out(words, bytes, 5);
    crossvm_copy_zero(words, 8);
    CHECK_EQ(log_end(), 12);
    static const struct {
        enum crossvm_access access;
        unsigned word;
        size_t len;
        uint32_t held;
    } want[12] = {
        {CROSSVM_ACCESS_STORE, 0, 4, 0},    {CROSSVM_ACCESS_STORE, 0, 4, 7},
        {CROSSVM_ACCESS_LOAD, 0, 4, 0},     {CROSSVM_ACCESS_LOAD, 0, 4, 0},
        {CROSSVM_ACCESS_FENCE, 1, 0, 0},    {CROSSVM_ACCESS_FENCE, 1, 0, 0},
        {CROSSVM_ACCESS_FENCE, 1, 0, 0},    {CROSSVM_ACCESS_LOAD, 0, 4, 0},
        {CROSSVM_ACCESS_LOAD, 1, 4, 0},     {CROSSVM_ACCESS_COPY_IN, 0, 8, 0},
        {CROSSVM_ACCESS_COPY_OUT, 0, 5, 0}, {CROSSVM_ACCESS_COPY_OUT, 0, 8, 0},
    };
    for (unsigned i = 0; i < 12; i++) {
        CHECK_EQ(entries[i].access, want[i].access);
        CHECK(entries[i].addr == &words[want[i].word]);
        CHECK_EQ(entries[i].len, want[i].len);
        CHECK_EQ(crossvm_i_swap_le32(entries[i].held), want[i].held);
    }
}

/* One access of an operation: kind, and which shared word or bytes. */
struct step {
    enum crossvm_access access;
    const volatile void *addr;
    size_t len;
};

static void expect_steps(const char *what, const struct step *steps, unsigned n)
{
    CHECK_EQ(n_entries, n);
    for (unsigned i = 0; i < n && i < n_entries; i++) {
        if (entries[i].access != steps[i].access || entries[i].addr != steps[i].addr ||
            entries[i].len != steps[i].len) {
            char text[120];
            (void)snprintf(text, sizeof(text), "%s: access %u is kind %d, wanted %d, or elsewhere",
                           what, i, (int)entries[i].access, (int)steps[i].access);
            check_failed(__FILE__, __LINE__, text);
        }
    }
}

#define LOAD(word)                      \
    {                                   \
        CROSSVM_ACCESS_LOAD, &(word), 4 \
    }
#define STORE(word)                      \
    {                                    \
        CROSSVM_ACCESS_STORE, &(word), 4 \
    }
#define FENCE(word)                      \
    {                                    \
        CROSSVM_ACCESS_FENCE, &(word), 0 \
    }
#define COUNT(list) ((unsigned)(sizeof(list) / sizeof((list)[0])))

static void a_publication_is_these_accesses(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 4, LEN);
    for (uint64_t version = 1; version <= 9; version++) {
        struct crossvm_slots_shm *control = test_snapshot_control(&snap);
        struct crossvm_slot_shm *slot = test_snapshot_slot(&snap, version);
        const struct step steps[] = {
            LOAD(control->epoch),
            STORE(slot->mark),
            STORE(slot->hi),
            FENCE(slot->mark),
            {CROSSVM_ACCESS_COPY_OUT, slot + 1, LEN},
            STORE(slot->len),
            STORE(slot->sampled_lo),
            STORE(slot->sampled_hi),
            STORE(slot->published_lo),
            STORE(slot->published_hi),
            STORE(slot->mark),
            STORE(control->latest),
        };
        log_begin();
        CHECK_EQ(test_publish(&snap.writer, LEN), CROSSVM_OK);
        (void)log_end();
        expect_steps("publish", steps, COUNT(steps));
    }
    test_snapshot_drop(&snap);
}

static void a_read_is_these_accesses(void)
{
    struct test_snapshot snap;
    unsigned char payload[LEN];
    test_snapshot_make(&snap, 4, LEN);
    for (uint64_t version = 1; version <= 9; version++) {
        /* The reader's own mapping of the same memory. */
        unsigned char *base = (unsigned char *)snap.region.read_only.base;
        struct crossvm_slots_shm *control =
            (struct crossvm_slots_shm *)(void *)(base + snap.chunk.off);
        struct crossvm_slot_shm *slot =
            (struct crossvm_slot_shm *)(void *)(base + test_snapshot_slot_off(&snap, version));
        const struct step steps[] = {
            LOAD(control->latest), /* something new? Asked by all but the first read. */
            LOAD(control->latest),    LOAD(control->epoch),
            LOAD(slot->hi),           LOAD(slot->mark),
            LOAD(slot->sampled_lo),   LOAD(slot->sampled_hi),
            LOAD(slot->published_lo), LOAD(slot->published_hi),
            LOAD(slot->len),          {CROSSVM_ACCESS_COPY_IN, slot + 1, LEN},
            FENCE(slot->mark),        LOAD(control->epoch),
            LOAD(slot->mark),         LOAD(slot->hi),
        };
        const struct step again[] = {
            LOAD(control->latest), LOAD(slot->len),      {CROSSVM_ACCESS_COPY_IN, slot + 1, LEN},
            FENCE(slot->mark),     LOAD(control->epoch), LOAD(slot->mark),
            LOAD(slot->hi),
        };
        CHECK_EQ(test_publish(&snap.writer, LEN), CROSSVM_OK);
        log_begin();
        CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), 1);
        (void)log_end();
        unsigned skip = version == 1 ? 1 : 0;
        expect_steps("read", steps + skip, COUNT(steps) - skip);
        log_begin();
        CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), 0);
        (void)log_end();
        expect_steps("read again", again, COUNT(again));
    }
    test_snapshot_drop(&snap);
}

/* ---- a queue -------------------------------------------------------------------------------- */

struct queue {
    struct test_region of_producer;
    struct test_region of_consumer;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
};

static void queue_make(struct queue *queue, uint32_t capacity)
{
    const struct crossvm_chunk_decl tx_decl = {
        "queue", CROSSVM_KIND_SPSC_TX, capacity, LEN, PARTY_A, PARTY_B, 0, 1};
    const struct crossvm_chunk_decl rx_decl = {
        "queue", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 1};
    const struct crossvm_region_plan tx_plan = {&tx_decl, 1, 0, 0, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan rx_plan = {&rx_decl, 1, 0, 0, 0, PARTY_B, {2}, 0, {0, 0, 0}};
    test_region_make(&queue->of_producer, &tx_plan, PARTY_B);
    test_region_make(&queue->of_consumer, &rx_plan, PARTY_A);
    struct crossvm_chunk tx_chunk =
        test_find(&queue->of_producer.reader, "queue", CROSSVM_KIND_SPSC_TX);
    struct crossvm_chunk rx_chunk =
        test_find(&queue->of_consumer.reader, "queue", CROSSVM_KIND_SPSC_RX);
    REQUIRE(crossvm_spsc_tx_open(&queue->tx, &queue->of_producer.owner.region, &tx_chunk, LEN, 1) ==
            CROSSVM_OK);
    REQUIRE(crossvm_spsc_rx_open(&queue->rx, &queue->of_consumer.owner.region, &rx_chunk, capacity,
                                 LEN, 1) == CROSSVM_OK);
    for (int i = 0; i < 4 && (queue->tx.state != CROSSVM_OK || queue->rx.state != CROSSVM_OK);
         i++) {
        int tx = crossvm_spsc_tx_link(&queue->tx, &queue->of_consumer.reader, &rx_chunk);
        int rx = crossvm_spsc_rx_link(&queue->rx, &queue->of_producer.reader, &tx_chunk);
        REQUIRE((tx == CROSSVM_OK || tx == CROSSVM_NOT_YET) &&
                (rx == CROSSVM_OK || rx == CROSSVM_NOT_YET));
    }
    REQUIRE(queue->tx.state == CROSSVM_OK && queue->rx.state == CROSSVM_OK);
}

static void queue_drop(struct queue *queue)
{
    test_region_drop(&queue->of_producer);
    test_region_drop(&queue->of_consumer);
}

/* What the slow path puts in front of an operation: loads alone, each word once. */
static void expect_looks_then(const char *what, const struct step *steps, unsigned n)
{
    REQUIRE(n_entries >= n);
    unsigned looks = n_entries - n;
    for (unsigned i = 0; i < looks; i++) {
        CHECK_EQ(entries[i].access, CROSSVM_ACCESS_LOAD);
        for (unsigned k = 0; k < i; k++) {
            CHECK(entries[i].addr != entries[k].addr);
        }
    }
    CHECK(looks <= 3);
    memmove(entries, entries + looks, n * sizeof(entries[0]));
    n_entries = n;
    expect_steps(what, steps, n);
}

enum {
    CAPACITY = 16
};

/* The fast path is bare: a copy and a store. */
static void a_push_is_these_accesses(void)
{
    struct queue queue;
    unsigned char element[LEN] = {0};
    queue_make(&queue, CAPACITY);
    struct crossvm_spsc_tx_shm *own = queue.tx.own;
    unsigned char *elements = (unsigned char *)own + CROSSVM_SPSC_CONTROL_LEN;
    for (size_t i = 0; i < CAPACITY; i++) {
        const struct step steps[] = {
            {CROSSVM_ACCESS_COPY_OUT, elements + i * LEN, LEN},
            STORE(own->line.index),
        };
        log_begin();
        CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, element), CROSSVM_OK);
        (void)log_end();
        if (i == 0) {
            expect_looks_then("first push", steps, COUNT(steps));
        } else {
            expect_steps("push", steps, COUNT(steps));
        }
    }
    const struct step refused[] = {STORE(own->n_refused_lo), STORE(own->n_refused_hi)};
    log_begin();
    CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, element), CROSSVM_FULL);
    (void)log_end();
    expect_looks_then("push into a full queue", refused, COUNT(refused));
    queue_drop(&queue);
}

/* Likewise: a copy, and a store at each quarter of the capacity. */
static void a_pop_is_these_accesses(void)
{
    struct queue queue;
    unsigned char element[LEN] = {0};
    queue_make(&queue, CAPACITY);
    struct crossvm_spsc_rx_shm *own = queue.rx.own;
    const unsigned char *elements = (const unsigned char *)queue.rx.peer + CROSSVM_SPSC_CONTROL_LEN;
    for (size_t i = 0; i < CAPACITY; i++) {
        CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, element), CROSSVM_OK);
    }
    for (size_t i = 0; i < CAPACITY; i++) {
        const struct step steps[] = {
            {CROSSVM_ACCESS_COPY_IN, elements + i * LEN, LEN},
            STORE(own->line.index),
        };
        unsigned n = i % (CAPACITY / 4) == CAPACITY / 4 - 1 ? 2 : 1;
        log_begin();
        CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, element), CROSSVM_OK);
        (void)log_end();
        if (i % (CAPACITY / 4) == 0) {
            expect_looks_then("first pop of a quarter", steps, n);
        } else {
            expect_steps("pop", steps, n);
        }
    }
    log_begin();
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, element), CROSSVM_EMPTY);
    (void)log_end();
    expect_looks_then("pop from an empty queue", NULL, 0);
    queue_drop(&queue);
}

/* ---- a ring with several writers -------------------------------------------------------------- */

#if CROSSVM_HAS_CAS

#define CAS(word)                      \
    {                                  \
        CROSSVM_ACCESS_CAS, &(word), 4 \
    }

/* Both parts in one region of one party: a push and a pop, each word looked at once. */
static void an_element_of_several_writers_is_these_accesses(void)
{
    const struct crossvm_chunk_decl decls[] = {
        {"ring", CROSSVM_KIND_MPSC_TX, 4, LEN, PARTY_A, PARTY_A, 0, 1},
        {"ring", CROSSVM_KIND_MPSC_RX, 0, 0, PARTY_A, PARTY_A, 0, 1}};
    const struct crossvm_region_plan plan = TEST_PLAN(decls, 2, 0, 0, 0, PARTY_A);
    struct test_region region;
    struct crossvm_mpsc_tx tx;
    struct crossvm_mpsc_rx rx;
    unsigned char element[LEN] = {0};
    test_region_make(&region, &plan, PARTY_A);
    const struct crossvm_region *own = &region.owner.region;
    struct crossvm_chunk ring = test_find(&region.reader, "ring", CROSSVM_KIND_MPSC_TX);
    struct crossvm_chunk part = test_find(&region.reader, "ring", CROSSVM_KIND_MPSC_RX);
    REQUIRE(crossvm_mpsc_rx_open(&rx, own, &part) == CROSSVM_OK);
    REQUIRE(crossvm_mpsc_rx_link(&rx, own, &ring) == CROSSVM_OK);
    REQUIRE(crossvm_mpsc_tx_open(&tx, own, &ring, 1) == CROSSVM_OK);
    REQUIRE(crossvm_mpsc_tx_link(&tx, own, &part) == CROSSVM_OK);
    /* The first one has no claim of its own to begin at. */
    REQUIRE(crossvm_mpsc_tx_push(&tx, element) == CROSSVM_OK);
    REQUIRE(crossvm_mpsc_rx_pop(&rx, element) == CROSSVM_OK);
    for (uint32_t i = 1; i < 9; i++) {
        struct crossvm_mpsc_slot_shm *last =
            (struct crossvm_mpsc_slot_shm *)(void *)crossvm_i_mpsc_slot(&tx.ring, i - 1);
        struct crossvm_mpsc_slot_shm *slot =
            (struct crossvm_mpsc_slot_shm *)(void *)crossvm_i_mpsc_slot(&tx.ring, i);
        const struct step push[] = {
            LOAD(tx.peer->line.index),
            LOAD(tx.peer->line.epoch),
            LOAD(tx.own->epoch),
            LOAD(last->claim),
            LOAD(slot->claim),
            LOAD(slot->claim),
            LOAD(tx.peer->line.index),
            CAS(slot->claim),
            {CROSSVM_ACCESS_COPY_OUT, slot + 1, LEN},
            FENCE(slot->claim),
            CAS(slot->claim),
        };
        const struct step pop[] = {
            LOAD(slot->claim),
            {CROSSVM_ACCESS_COPY_IN, slot + 1, LEN},
            STORE(rx.own->line.index),
        };
        log_begin();
        CHECK_EQ(crossvm_mpsc_tx_push(&tx, element), CROSSVM_OK);
        (void)log_end();
        expect_steps("push of several writers", push, COUNT(push));
        log_begin();
        CHECK_EQ(crossvm_mpsc_rx_pop(&rx, element), CROSSVM_OK);
        (void)log_end();
        expect_steps("pop of several writers", pop, COUNT(pop));
    }
    test_region_drop(&region);
}

#endif

int main(void)
{
    CASE(words_are_little_endian_bytes);
    CASE(every_bit_of_a_word_goes_through);
    CASE(a_pause_and_a_barrier_return);
    CASE(a_mutant_is_what_is_defined_as_one);
    CASE(a_mutant_still_loads);
    CASE(each_access_is_announced_once_before_it_happens);
    CASE(a_publication_is_these_accesses);
    CASE(a_read_is_these_accesses);
    CASE(a_push_is_these_accesses);
    CASE(a_pop_is_these_accesses);
#if CROSSVM_HAS_CAS
    CASE(a_swap_happens_only_if_the_word_is_as_expected);
    CASE(an_element_of_several_writers_is_these_accesses);
#endif
    return check_done();
}
