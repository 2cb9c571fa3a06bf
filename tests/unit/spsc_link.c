/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc_link.c - how a queue comes up: requests, grants, refusals and who can read them
 * where, roles, and parts that are renewed.
 */
#include "../support/queue.h"

enum {
    PARTY_C = 3
};

static struct queue queue;
static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

/* ---- nothing is written ---------------------------------------------------------------------- */

static unsigned char *copy_of(const struct test_region *region)
{
    unsigned char *copy = (unsigned char *)malloc((size_t)region->writable.len);
    REQUIRE(copy != NULL);
    memcpy(copy, region->writable.base, (size_t)region->writable.len);
    return copy;
}

static void check_unchanged(const struct test_region *region, unsigned char *copy)
{
    CHECK(memcmp(copy, region->writable.base, (size_t)region->writable.len) == 0);
    free(copy);
}

/* ---- what both sides answer ------------------------------------------------------------------ */

/* Every call of a producer whose queue is not up. */
static void check_tx_answers(struct crossvm_spsc_tx *tx, int status)
{
    unsigned char elems[256] = {0};
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    CHECK_EQ(crossvm_spsc_tx_push(tx, elems), status);
    CHECK_EQ(crossvm_spsc_tx_push_n(tx, elems, 2), status);
    CHECK_EQ(crossvm_spsc_tx_reserve(tx, 1, &span), status);
    CHECK_EQ(crossvm_spsc_tx_commit(tx, 0), status);
    CHECK_EQ(crossvm_spsc_tx_free(tx), status);
    CHECK_EQ(crossvm_spsc_tx_arm(tx, 1), status);
    CHECK_EQ(crossvm_spsc_tx_nudge(tx), 0);
    uint64_t again_ns = 1;
    CHECK_EQ(crossvm_spsc_tx_kick(tx, 1, &again_ns), 0);
    CHECK_EQ(again_ns, 0);
    CHECK_EQ(crossvm_spsc_tx_push_n(tx, elems, 0), 0);
}

static void check_rx_answers(struct crossvm_spsc_rx *rx, int status)
{
    unsigned char elems[256];
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    CHECK_EQ(crossvm_spsc_rx_pop(rx, elems), status);
    CHECK_EQ(crossvm_spsc_rx_pop_n(rx, elems, 2), status);
    CHECK_EQ(crossvm_spsc_rx_peek(rx, 1, &span), status);
    CHECK_EQ(crossvm_spsc_rx_release(rx, 0), status);
    CHECK_EQ(crossvm_spsc_rx_fill(rx), status);
    CHECK_EQ(crossvm_spsc_rx_arm(rx, 1, 0), status);
    CHECK_EQ(crossvm_spsc_rx_nudge(rx), 0);
    CHECK_EQ(crossvm_spsc_rx_kick(rx), 0);
    CHECK_EQ(crossvm_spsc_rx_pop_n(rx, elems, 0), 0);
}

/* One element goes through. */
static void check_flows(void)
{
    unsigned char out[64];
    unsigned char in[64];
    uint32_t len = queue.tx.elem_len;
    REQUIRE(len <= sizeof(out));
    queue_fill(out, len, 4711);
    CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, out), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, in), CROSSVM_OK);
    CHECK(queue_is(in, len, 4711));
}

/* ---- coming up ------------------------------------------------------------------------------- */

static void the_consumer_may_come_first(void)
{
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_rx_open(&queue, 32, 8) == CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_NOT_YET);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue.tx.capacity, 32);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), 32);
    check_flows();
    /* Linking once more is free and changes nothing. */
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
    queue_drop(&queue);
}

static void the_producer_may_come_first(void)
{
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    REQUIRE(queue_rx_open(&queue, 64, 8) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
    queue_drop(&queue);
}

static void nothing_flows_before_both_parts_name_each_other(void)
{
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    check_rx_answers(&queue.rx, CROSSVM_NOT_YET);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    check_tx_answers(&queue.tx, CROSSVM_NOT_YET);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    check_tx_answers(&queue.tx, CROSSVM_NOT_YET);
    check_rx_answers(&queue.rx, CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    check_tx_answers(&queue.tx, CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 0);
    CHECK_EQ(crossvm_load_relaxed(&queue_tx_words(&queue)->line.index), 0);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
    queue_drop(&queue);
}

/* The words of a part that comes up, as the format has them. */
static void both_parts_name_each_other_in_shared_memory(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 16, 8);
    const struct crossvm_spsc_tx_shm *tx = queue_tx_words(&queue);
    const struct crossvm_spsc_rx_shm *rx = queue_rx_words(&queue);
    CHECK(crossvm_load_relaxed(&rx->request) != 0);
    CHECK_EQ(crossvm_load_relaxed(&rx->capacity), 16);
    CHECK_EQ(crossvm_load_relaxed(&rx->elem_len), 8);
    CHECK_EQ(crossvm_load_relaxed(&rx->accepted), crossvm_load_relaxed(&rx->request));
    CHECK_EQ(crossvm_load_relaxed(&rx->peer_chunk), queue.tx_chunk.id);
    CHECK_EQ(crossvm_load_relaxed(&rx->peer_generation), queue.tx_chunk.generation);
    CHECK_EQ(crossvm_load_relaxed(&tx->grant), crossvm_load_relaxed(&rx->request));
    CHECK_EQ(crossvm_load_relaxed(&tx->status), CROSSVM_SPSC_GRANTED);
    CHECK_EQ(crossvm_load_relaxed(&tx->capacity), 16);
    CHECK_EQ(crossvm_load_relaxed(&tx->elem_len), 8);
    CHECK_EQ(crossvm_load_relaxed(&tx->peer_chunk), queue.rx_chunk.id);
    CHECK_EQ(crossvm_load_relaxed(&tx->peer_generation), queue.rx_chunk.generation);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(crossvm_load_relaxed(&rx->peer_region[i]), queue.a.reader.region_id[i]);
        CHECK_EQ(crossvm_load_relaxed(&tx->peer_region[i]), queue.b.reader.region_id[i]);
    }
    CHECK_EQ(crossvm_load_relaxed(&tx->line.mode), CROSSVM_WAKE_NEVER);
    CHECK_EQ(crossvm_load_relaxed(&rx->line.mode), CROSSVM_WAKE_NEVER);
    queue_drop(&queue);
}

/* ---- impossible by itself -------------------------------------------------------------------- */

struct ask {
    uint32_t capacity;
    uint32_t elem_len;
    int status;
};

/* What no producer can grant: the consumer's own call refuses it. */
static const struct ask impossible[] = {
    {0, 8, CROSSVM_INVALID},
    {3, 8, CROSSVM_INVALID},
    {0xffffffffu, 8, CROSSVM_INVALID},
    {0x40000001u, 8, CROSSVM_INVALID},
    {8, 0, CROSSVM_INVALID},
    {0, 0, CROSSVM_INVALID},
    {0x80000000u, 8, CROSSVM_TOO_LARGE},
    {8, 0x7ffffff9u, CROSSVM_TOO_LARGE},
    {8, 0x7fffffffu, CROSSVM_TOO_LARGE},
    {8, 0x80000000u, CROSSVM_TOO_LARGE},
    {8, 0xffffffffu, CROSSVM_TOO_LARGE},
    {0x80000000u, 0xffffffffu, CROSSVM_TOO_LARGE},
};

/* What another producer might grant: the room here, 64 x 8 bytes in a chunk of two granules at
 * most, is not enough. The products exceed 32 bits, or come out small in 32 bits. */
static const struct ask too_big_here[] = {
    {0x40000000u, 8, CROSSVM_NO_SPACE}, {0x40000000u, 0x7ffffff8u, CROSSVM_NO_SPACE},
    {0x40000000u, 4, CROSSVM_NO_SPACE}, {0x20000000u, 16, CROSSVM_NO_SPACE},
    {1, 0x7ffffff8u, CROSSVM_NO_SPACE}, {2, 0x7ffffff8u, CROSSVM_NO_SPACE},
    {4, 0x40000000u, CROSSVM_NO_SPACE}, {65536, 65536, CROSSVM_NO_SPACE},
    {512, 8, CROSSVM_NO_SPACE},         {1, 3585, CROSSVM_NO_SPACE},
};

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

static void an_impossible_request_is_refused_before_a_byte_is_written(void)
{
    queue_make(&queue, 64, 8, usual);
    for (size_t i = 0; i < N_OF(impossible); i++) {
        unsigned char *before = copy_of(&queue.b);
        CHECK_EQ(queue_rx_open(&queue, impossible[i].capacity, impossible[i].elem_len),
                 impossible[i].status);
        check_unchanged(&queue.b, before);
    }
    REQUIRE(queue_rx_open(&queue, 64, 8) == CROSSVM_OK);
    for (size_t i = 0; i < N_OF(impossible); i++) {
        unsigned char *before = copy_of(&queue.b);
        CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, impossible[i].capacity, impossible[i].elem_len),
                 impossible[i].status);
        check_unchanged(&queue.b, before);
    }
    /* And the earlier request still stands. */
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
    queue_drop(&queue);
}

/* ---- refused by the producer ----------------------------------------------------------------- */

/* Nothing in the tx part but its answer changes: no element, no tail. */
static void check_only_answered(const unsigned char *before)
{
    const unsigned char *now = (const unsigned char *)queue_tx_words(&queue);
    const unsigned char *then = before + queue.tx_chunk.off;
    CHECK(memcmp(now, then, offsetof(struct crossvm_spsc_tx_shm, grant)) == 0);
    CHECK(memcmp(now + offsetof(struct crossvm_spsc_tx_shm, base),
                 then + offsetof(struct crossvm_spsc_tx_shm, base),
                 (size_t)queue.tx_chunk.length - offsetof(struct crossvm_spsc_tx_shm, base)) == 0);
}

/* The producer has refused: everybody can read why, and nothing is half made. */
static void check_refused(int reason)
{
    const struct crossvm_spsc_tx_shm *words = queue_tx_words(&queue);
    CHECK_EQ(queue.tx.refusal, reason);
    CHECK_EQ((int32_t)crossvm_load_relaxed(&words->status), reason);
    CHECK_EQ(crossvm_load_relaxed(&words->capacity), 0);
    CHECK_EQ(crossvm_load_relaxed(&words->elem_len), 0);
    CHECK_EQ(crossvm_load_relaxed(&words->grant),
             crossvm_load_relaxed(&queue_rx_words(&queue)->request));
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    CHECK_EQ(queue.tx.refusal, reason);
    check_tx_answers(&queue.tx, CROSSVM_REFUSED);
}

static void check_consumer_reads_refusal(int reason)
{
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_REFUSED);
    CHECK_EQ(queue.rx.refusal, reason);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_REFUSED);
    check_rx_answers(&queue.rx, CROSSVM_REFUSED);
    /* Through the read-only mapping, as the consumer has it. */
    const struct crossvm_spsc_tx_shm *words =
        (const struct crossvm_spsc_tx_shm *)(const void *)crossvm_i_control(&queue.a.reader,
                                                                            &queue.tx_chunk);
    CHECK_EQ((int32_t)crossvm_load_relaxed(&words->status), reason);
}

static void a_request_that_does_not_fit_is_refused_and_may_be_followed_by_another(void)
{
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_rx_open(&queue, too_big_here[0].capacity, too_big_here[0].elem_len) ==
            CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    for (size_t i = 0; i < N_OF(too_big_here); i++) {
        unsigned char *before = copy_of(&queue.a);
        CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, too_big_here[i].capacity, too_big_here[i].elem_len),
                 CROSSVM_OK);
        CHECK_EQ(queue_rx_link(&queue), CROSSVM_NOT_YET);
        CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
        check_only_answered(before);
        free(before);
        check_refused(too_big_here[i].status);
        check_consumer_reads_refusal(too_big_here[i].status);
    }
    /* The largest that does fit. */
    CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, 256, 8), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
    CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, 64, 8), CROSSVM_MISMATCH);
    queue_drop(&queue);
}

/* A consumer that breaks the rules writes its request itself. */
static void write_request(uint32_t request, uint32_t capacity, uint32_t elem_len)
{
    struct crossvm_spsc_rx_shm *words = queue_rx_words(&queue);
    crossvm_store_relaxed(&words->request, request);
    crossvm_store_relaxed(&words->capacity, capacity);
    crossvm_store_relaxed(&words->elem_len, elem_len);
}

static void try_hostile_request(uint32_t request, const struct ask *ask)
{
    unsigned char *before = copy_of(&queue.a);
    write_request(request, ask->capacity, ask->elem_len);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    check_only_answered(before);
    check_refused(ask->status);
    free(before);
}

static void a_hostile_consumers_request_is_judged_by_the_producer(void)
{
    uint32_t request = 77;
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    for (size_t i = 0; i < N_OF(impossible); i++) {
        try_hostile_request(request, &impossible[i]);
        request += 0x01010101u;
    }
    for (size_t i = 0; i < N_OF(too_big_here); i++) {
        try_hostile_request(request, &too_big_here[i]);
        request += 0x01010101u;
    }
    /* An acceptance of something that was refused opens nothing. */
    request = crossvm_load_relaxed(&queue_tx_words(&queue)->grant);
    crossvm_store_relaxed(&queue_rx_words(&queue)->accepted, request);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    check_tx_answers(&queue.tx, CROSSVM_REFUSED);
    queue_drop(&queue);
}

static void an_acceptance_of_another_part_opens_nothing(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    struct crossvm_spsc_rx_shm *words = queue_rx_words(&queue);
    struct crossvm_le32 *names[6] = {&words->peer_chunk,     &words->peer_generation,
                                     &words->peer_region[0], &words->peer_region[1],
                                     &words->peer_region[2], &words->peer_region[3]};
    for (unsigned i = 0; i < 6; i++) {
        uint32_t honest = crossvm_load_relaxed(names[i]);
        crossvm_store_relaxed(names[i], honest + 1);
        REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
        CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
        check_tx_answers(&queue.tx, CROSSVM_NOT_YET);
        crossvm_store_relaxed(names[i], honest);
        CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    }
    queue_drop(&queue);
}

static void a_grant_to_another_part_opens_nothing(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    struct crossvm_spsc_tx_shm *words = queue_tx_words(&queue);
    struct crossvm_le32 *names[6] = {&words->peer_chunk,     &words->peer_generation,
                                     &words->peer_region[0], &words->peer_region[1],
                                     &words->peer_region[2], &words->peer_region[3]};
    for (unsigned i = 0; i < 6; i++) {
        uint32_t honest = crossvm_load_relaxed(names[i]);
        crossvm_store_relaxed(names[i], honest + 1);
        REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
        CHECK_EQ(queue_rx_link(&queue), CROSSVM_NOT_YET);
        check_rx_answers(&queue.rx, CROSSVM_NOT_YET);
        crossvm_store_relaxed(names[i], honest);
        CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    }
    queue_drop(&queue);
}

static void a_producer_of_one_type_grants_only_its_length(void)
{
    queue_make(&queue, 64, 16, usual);
    REQUIRE(queue_tx_open(&queue, 12) == CROSSVM_OK);
    REQUIRE(queue_rx_open(&queue, 8, 16) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    check_refused(CROSSVM_TYPE);
    check_consumer_reads_refusal(CROSSVM_TYPE);
    /* Another mistake comes before the length. */
    CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, 0x40000000u, 16), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    check_refused(CROSSVM_NO_SPACE);
    CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, 8, 12), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
    queue_drop(&queue);
}

static void a_consumer_may_change_its_mind_before_the_queue_is_up(void)
{
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_rx_open(&queue, 64, 8) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    /* The grant of the first request is there, and is no longer wanted. */
    CHECK_EQ(crossvm_spsc_rx_ask(&queue.rx, 16, 4), CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue.tx.capacity, 16);
    CHECK_EQ(queue.tx.elem_len, 4);
    check_flows();
    queue_drop(&queue);
}

static void another_geometry_at_a_restart_is_refused(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    unsigned char *before_a = copy_of(&queue.a);
    CHECK_EQ(queue_tx_open(&queue, 16), CROSSVM_MISMATCH);
    check_tx_answers(&queue.tx, CROSSVM_MISMATCH);
    check_unchanged(&queue.a, before_a);
    CHECK_EQ(queue_tx_open(&queue, 8), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    unsigned char *before = copy_of(&queue.b);
    CHECK_EQ(queue_rx_open(&queue, 16, 8), CROSSVM_MISMATCH);
    check_rx_answers(&queue.rx, CROSSVM_MISMATCH);
    CHECK_EQ(queue_rx_open(&queue, 8, 4), CROSSVM_MISMATCH);
    check_unchanged(&queue.b, before);
    CHECK_EQ(queue_rx_open(&queue, 8, 8), CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    check_flows();
    queue_drop(&queue);
}

/* A producer that breaks the rules: every word of its answer that cannot be. */
static void check_grant_fault(const struct crossvm_le32 *word, uint32_t value, size_t off)
{
    struct crossvm_spsc_tx_shm *words = queue_tx_words(&queue);
    struct crossvm_le32 *mine = (struct crossvm_le32 *)(uintptr_t)word;
    uint32_t honest = crossvm_load_relaxed(word);
    crossvm_store_relaxed(mine, value);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    crossvm_store_relaxed(&words->grant, crossvm_load_relaxed(&queue_rx_words(&queue)->request));
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_CORRUPT);
    CHECK_EQ(queue.rx.fault.rule, CROSSVM_RULE_SPSC_GRANT);
    CHECK_EQ(queue.rx.fault.value, value);
    CHECK_EQ(queue.rx.fault.off, queue.tx_chunk.off + off);
    crossvm_store_relaxed(mine, honest);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_CORRUPT);
    check_rx_answers(&queue.rx, CROSSVM_CORRUPT);
}

static void a_hostile_producers_grant_is_judged_by_the_consumer(void)
{
    static const uint32_t statuses[] = {0, 2, 3, 0x7fffffffu, 0x80000000u, (uint32_t)-61};
    static const uint32_t numbers[] = {0, 1, 7, 9, 16, 4, 0x80000000u, 0xffffffffu};
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    struct crossvm_spsc_tx_shm *words = queue_tx_words(&queue);
    for (size_t i = 0; i < N_OF(statuses); i++) {
        check_grant_fault(&words->status, statuses[i],
                          offsetof(struct crossvm_spsc_tx_shm, status));
    }
    for (size_t i = 0; i < N_OF(numbers); i++) {
        check_grant_fault(&words->capacity, numbers[i],
                          offsetof(struct crossvm_spsc_tx_shm, capacity));
    }
    /* A length that was not asked for: the fault names the granted geometry's first word. */
    crossvm_store_relaxed(&words->elem_len, 16);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    crossvm_store_relaxed(&words->grant, crossvm_load_relaxed(&queue_rx_words(&queue)->request));
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_CORRUPT);
    CHECK_EQ(queue.rx.fault.rule, CROSSVM_RULE_SPSC_GRANT);
    queue_drop(&queue);
}

/* It grants what its own chunk cannot hold. */
static void a_grant_larger_than_the_chunk_is_impossible(void)
{
    queue_make(&queue, 64, 8, usual);
    REQUIRE(queue_rx_open(&queue, 1024, 64) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_REFUSED);
    struct crossvm_spsc_tx_shm *words = queue_tx_words(&queue);
    crossvm_store_relaxed(&words->status, CROSSVM_SPSC_GRANTED);
    crossvm_store_relaxed(&words->capacity, 1024);
    crossvm_store_relaxed(&words->elem_len, 64);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_CORRUPT);
    CHECK_EQ(queue.rx.fault.rule, CROSSVM_RULE_SPSC_GRANT);
    check_rx_answers(&queue.rx, CROSSVM_CORRUPT);
    queue_drop(&queue);
}

/* ---- parts that do not belong together ------------------------------------------------------- */

static void parts_of_different_queues_do_not_link(void)
{
    const struct crossvm_chunk_decl a[] = {
        {"q", CROSSVM_KIND_SPSC_TX, 64, 8, PARTY_A, PARTY_B, 0, 7},
        {"typed", CROSSVM_KIND_SPSC_TX, 64, 8, PARTY_A, PARTY_B, 1111, 7},
    };
    const struct crossvm_chunk_decl b[] = {
        {"q", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 8},
        {"other", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 7},
        {"typed", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 2222, 7},
    };
    const struct crossvm_region_plan plan_a = {a, 2, 0, 0, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {b, 3, 0, 0, 0, PARTY_B, {2}, 0, {0, 0, 0}};
    static struct test_region ra;
    static struct test_region rb;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    test_region_make(&ra, &plan_a, PARTY_B);
    test_region_make(&rb, &plan_b, PARTY_A);
    struct crossvm_chunk q_tx = test_find(&ra.reader, "q", CROSSVM_KIND_SPSC_TX);
    struct crossvm_chunk typed_tx = test_find(&ra.reader, "typed", CROSSVM_KIND_SPSC_TX);
    struct crossvm_chunk q_rx = test_find(&rb.reader, "q", CROSSVM_KIND_SPSC_RX);
    struct crossvm_chunk other_rx = test_find(&rb.reader, "other", CROSSVM_KIND_SPSC_RX);
    struct crossvm_chunk typed_rx = test_find(&rb.reader, "typed", CROSSVM_KIND_SPSC_RX);

    REQUIRE(crossvm_spsc_tx_open(&tx, &ra.owner.region, &q_tx, 0, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_link(&tx, &rb.reader, &q_rx), CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_spsc_tx_link(&tx, &rb.reader, &other_rx), CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_spsc_tx_link(&tx, &ra.owner.region, &typed_tx), CROSSVM_TYPE);
    REQUIRE(crossvm_spsc_tx_open(&tx, &ra.owner.region, &typed_tx, 0, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_link(&tx, &rb.reader, &typed_rx), CROSSVM_TYPE);
    CHECK_EQ(crossvm_load_relaxed(&tx.own->grant), 0);

    REQUIRE(crossvm_spsc_rx_open(&rx, &rb.owner.region, &q_rx, 8, 8, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_link(&rx, &ra.reader, &q_tx), CROSSVM_MISMATCH);
    REQUIRE(crossvm_spsc_rx_open(&rx, &rb.owner.region, &other_rx, 8, 8, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_link(&rx, &ra.reader, &q_tx), CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_spsc_rx_link(&rx, &rb.owner.region, &q_rx), CROSSVM_TYPE);
    REQUIRE(crossvm_spsc_rx_open(&rx, &rb.owner.region, &typed_rx, 8, 8, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_link(&rx, &ra.reader, &typed_tx), CROSSVM_TYPE);
    CHECK_EQ(crossvm_load_relaxed(&rx.own->accepted), 0);
    /* A type hash of 0 on either side is not compared. */
    struct crossvm_chunk unchecked = typed_tx;
    unchecked.type_hash = 0;
    CHECK_EQ(crossvm_spsc_rx_link(&rx, &ra.reader, &unchecked), CROSSVM_NOT_YET);
    test_region_drop(&ra);
    test_region_drop(&rb);
}

static void only_the_declared_parties_get_a_part(void)
{
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    struct crossvm_region other;
    queue_make(&queue, 64, 8, usual);
    const struct crossvm_region *a = &queue.a.owner.region;
    const struct crossvm_region *b = &queue.b.owner.region;
    unsigned char *before_a = copy_of(&queue.a);
    unsigned char *before_b = copy_of(&queue.b);

    /* The writing role needs the writing party and a mapping that can be written. */
    CHECK_EQ(crossvm_spsc_tx_open(&tx, &queue.a.reader, &queue.tx_chunk, 0, 1), CROSSVM_ROLE);
    CHECK_EQ(crossvm_spsc_rx_open(&rx, &queue.b.reader, &queue.rx_chunk, 8, 8, 1), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&other, &queue.a.read_only, PARTY_A) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_open(&tx, &other, &queue.tx_chunk, 0, 1), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&other, &queue.a.writable, PARTY_B) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_open(&tx, &other, &queue.tx_chunk, 0, 1), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&other, &queue.b.writable, PARTY_A) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_open(&rx, &other, &queue.rx_chunk, 8, 8, 1), CROSSVM_ROLE);

    /* Another kind, another region's chunk, a place outside. */
    CHECK_EQ(crossvm_spsc_tx_open(&tx, b, &queue.rx_chunk, 0, 1), CROSSVM_TYPE);
    CHECK_EQ(crossvm_spsc_rx_open(&rx, a, &queue.tx_chunk, 8, 8, 1), CROSSVM_TYPE);
    struct crossvm_chunk wrong = queue.tx_chunk;
    wrong.off = queue.a.writable.len;
    CHECK_EQ(crossvm_spsc_tx_open(&tx, a, &wrong, 0, 1), CROSSVM_INVALID);
    wrong = queue.tx_chunk;
    wrong.length += CROSSVM_GRANULE_DEFAULT;
    CHECK_EQ(crossvm_spsc_tx_open(&tx, a, &wrong, 0, 1), CROSSVM_INVALID);
    wrong = queue.rx_chunk;
    wrong.off += 128;
    CHECK_EQ(crossvm_spsc_rx_open(&rx, b, &wrong, 8, 8, 1), CROSSVM_INVALID);
    wrong = queue.rx_chunk;
    wrong.generation++;
    CHECK_EQ(crossvm_spsc_rx_open(&rx, b, &wrong, 8, 8, 1), CROSSVM_STALE);
    check_unchanged(&queue.a, before_a);
    check_unchanged(&queue.b, before_b);

    /* Linking needs only to read, and that is a right, too. */
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&other, &queue.b.read_only, PARTY_C) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_link(&queue.tx, &other, &queue.rx_chunk), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&other, &queue.a.read_only, PARTY_C) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_link(&queue.rx, &other, &queue.tx_chunk), CROSSVM_ROLE);
    wrong = queue.rx_chunk;
    wrong.generation++;
    CHECK_EQ(crossvm_spsc_tx_link(&queue.tx, &queue.b.reader, &wrong), CROSSVM_STALE);
    wrong = queue.tx_chunk;
    wrong.off = 0;
    CHECK_EQ(crossvm_spsc_rx_link(&queue.rx, &queue.a.reader, &wrong), CROSSVM_INVALID);
    queue_drop(&queue);
}

/* ---- parts that are renewed ------------------------------------------------------------------ */

static void both_go_up_again(void)
{
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_OK);
    check_flows();
}

static void a_renewed_tx_part_makes_both_handles_stale(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    check_flows();
    CHECK_EQ(crossvm_region_owner_renew(&queue.a.owner, &queue.tx_chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), CROSSVM_STALE);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CROSSVM_STALE);
    check_rx_answers(&queue.rx, CROSSVM_STALE);
    unsigned char *before = copy_of(&queue.a);
    check_tx_answers(&queue.tx, CROSSVM_STALE);
    crossvm_spsc_tx_disarm(&queue.tx);
    check_unchanged(&queue.a, before);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_STALE);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_STALE);

    /* The consumer's part still bears the acceptance of the part that is gone. */
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_NOT_YET);
    check_tx_answers(&queue.tx, CROSSVM_NOT_YET);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_STALE);
    CHECK_EQ(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk), CROSSVM_OK);
    both_go_up_again();
    queue_drop(&queue);
}

static void a_renewed_rx_part_makes_both_handles_stale(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    check_flows();
    CHECK_EQ(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CROSSVM_STALE);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), CROSSVM_STALE);
    struct crossvm_spsc_peer peer = {0, 0};
    CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_STALE);
    unsigned char *before = copy_of(&queue.b);
    check_rx_answers(&queue.rx, CROSSVM_STALE);
    crossvm_spsc_rx_disarm(&queue.rx);
    crossvm_spsc_rx_flush(&queue.rx);
    /* A stale handle stores nothing where another one may be at work. */
    check_unchanged(&queue.b, before);
    check_tx_answers(&queue.tx, CROSSVM_STALE);

    /* Elements have flowed: the producer's index is not 0 and never goes back. */
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_STALE);
    CHECK_EQ(queue_rx_link(&queue), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_region_owner_renew(&queue.a.owner, &queue.tx_chunk), CROSSVM_OK);
    both_go_up_again();
    queue_drop(&queue);
}

static void an_unused_tx_part_serves_a_renewed_rx_part(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 16, 8);
    CHECK_EQ(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CROSSVM_STALE);
    both_go_up_again();
    queue_drop(&queue);
}

static void a_released_part_is_stale(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    CHECK_EQ(crossvm_region_owner_release(&queue.b.owner, &queue.rx_chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CROSSVM_STALE);
    CHECK_EQ(crossvm_region_owner_release(&queue.a.owner, &queue.tx_chunk), CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_STALE);
    queue_drop(&queue);
}

/* An epoch that changes while a request or a grant is being read. */
static void stale_comes_before_any_judgement(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    crossvm_store_relaxed(&queue_rx_words(&queue)->line.index, 0x80000000u);
    crossvm_store_relaxed(&queue_rx_words(&queue)->line.epoch, queue.rx_chunk.generation + 1);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), CROSSVM_STALE);
    crossvm_store_relaxed(&queue_tx_words(&queue)->line.index, 0x80000000u);
    crossvm_store_relaxed(&queue_tx_words(&queue)->line.epoch, 0);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), CROSSVM_STALE);
    CHECK_EQ(queue.tx.fault.rule, CROSSVM_RULE_NONE);
    CHECK_EQ(queue.rx.fault.rule, CROSSVM_RULE_NONE);
    queue_drop(&queue);
}

int main(void)
{
    CASE(the_consumer_may_come_first);
    CASE(the_producer_may_come_first);
    CASE(nothing_flows_before_both_parts_name_each_other);
    CASE(both_parts_name_each_other_in_shared_memory);
    CASE(an_impossible_request_is_refused_before_a_byte_is_written);
    CASE(a_request_that_does_not_fit_is_refused_and_may_be_followed_by_another);
    CASE(a_hostile_consumers_request_is_judged_by_the_producer);
    CASE(an_acceptance_of_another_part_opens_nothing);
    CASE(a_grant_to_another_part_opens_nothing);
    CASE(a_producer_of_one_type_grants_only_its_length);
    CASE(a_consumer_may_change_its_mind_before_the_queue_is_up);
    CASE(another_geometry_at_a_restart_is_refused);
    CASE(a_hostile_producers_grant_is_judged_by_the_consumer);
    CASE(a_grant_larger_than_the_chunk_is_impossible);
    CASE(parts_of_different_queues_do_not_link);
    CASE(only_the_declared_parties_get_a_part);
    CASE(a_renewed_tx_part_makes_both_handles_stale);
    CASE(a_renewed_rx_part_makes_both_handles_stale);
    CASE(an_unused_tx_part_serves_a_renewed_rx_part);
    CASE(a_released_part_is_stale);
    CASE(stale_comes_before_any_judgement);
    return check_done();
}
