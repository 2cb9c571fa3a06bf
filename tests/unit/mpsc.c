/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/mpsc.c - a ring with several writers, step by step: coming up, elements in the order
 * of their claims, full and empty, wraps of the index and of the lap, claims of the dead, a
 * consumer that restarts, and when the consumer is rung.
 */
#include "../support/mpsc.h"

#if CROSSVM_HAS_CAS

static const struct queue_options usual = MPSC_USUAL;
static struct mpsc mpsc;

static int kick(uint32_t writer)
{
    uint64_t again_ns;
    return crossvm_mpsc_tx_kick(&mpsc.tx[writer - 1], 0, &again_ns);
}

/* The first kick of a handle always rings. */
static void kick_all(void)
{
    for (uint32_t writer = 1; writer <= MPSC_WRITERS; writer++) {
        (void)kick(writer);
    }
}

/* ---- coming up ------------------------------------------------------------------------------- */

static void chunks_need_what_the_format_says(void)
{
    uint64_t need = 0;
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 8, 5, &need), CROSSVM_OK);
    CHECK_EQ(need, 128 + 8 * 16);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 1, 8, &need), CROSSVM_OK);
    CHECK_EQ(need, 128 + 16);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 3, 8, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 0, 8, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 0, 0, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 8, 0, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 1u << 30, 8, &need), CROSSVM_OK);
    CHECK(need == 128 + ((uint64_t)16 << 30));
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 1u << 31, 8, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 1, 0x7ffffff0u, &need), CROSSVM_OK);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 1, 0x7ffffff1u, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_TX, 1, UINT64_MAX, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_RX, 0, 0, &need), CROSSVM_OK);
    CHECK_EQ(need, 256);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_RX, 0, 8, &need), CROSSVM_INVALID);
    CHECK_EQ(crossvm_chunk_need(CROSSVM_KIND_MPSC_RX, 8, 8, &need), CROSSVM_INVALID);
}

static void either_part_comes_first_and_nothing_flows_before_the_consumer_is_there(void)
{
    void *place;
    unsigned char elem[8];
    mpsc_make(&mpsc, 4, 8, usual);
    CHECK_EQ(mpsc_tx_open(&mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_NOT_YET);
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_tx_reserve(&mpsc.tx[0], &place), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[0]), CROSSVM_NOT_YET);
    CHECK_EQ(kick(1), 0);
    CHECK_EQ(mpsc_rx_open(&mpsc), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_NOT_YET);
    CHECK_EQ(mpsc.rx.writer, 0);
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 1), CROSSVM_NOT_YET);
    CHECK_EQ(mpsc_rx_link(&mpsc), CROSSVM_OK);
    CHECK_EQ(mpsc_rx_link(&mpsc), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_OK);
    mpsc_tx_up(&mpsc, 2);
    CHECK_EQ(mpsc_push(&mpsc, 2, 0), CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 0);
    mpsc_pops(&mpsc, 2, 0);
    mpsc_drop(&mpsc);
}

static void what_does_not_fit_is_refused(void)
{
    struct crossvm_mpsc_tx tx;
    struct crossvm_mpsc_rx rx;
    mpsc_make(&mpsc, 4, 8, usual);
    const struct crossvm_region *a = &mpsc.a.owner.region;
    const struct crossvm_region *b = &mpsc.b.owner.region;
    CHECK_EQ(crossvm_mpsc_tx_open(&tx, a, &mpsc.tx_chunk, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_tx_open(&tx, a, &mpsc.tx_chunk, 64), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_tx_open(&tx, &mpsc.a.reader, &mpsc.tx_chunk, 1), CROSSVM_ROLE);
    CHECK_EQ(crossvm_mpsc_tx_open(&tx, b, &mpsc.rx_chunk, 1), CROSSVM_TYPE);
    CHECK_EQ(crossvm_mpsc_rx_open(&rx, a, &mpsc.tx_chunk), CROSSVM_TYPE);
    CHECK_EQ(crossvm_mpsc_rx_open(&rx, &mpsc.b.reader, &mpsc.rx_chunk), CROSSVM_ROLE);
    CHECK_EQ(crossvm_mpsc_tx_open(&tx, a, &mpsc.tx_chunk, 63), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_open(&rx, b, &mpsc.rx_chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_link(&tx, a, &mpsc.tx_chunk), CROSSVM_TYPE);
    CHECK_EQ(crossvm_mpsc_rx_link(&rx, b, &mpsc.rx_chunk), CROSSVM_TYPE);
    tx.chunk.link_id++;
    rx.chunk.name[0] = 'R';
    CHECK_EQ(crossvm_mpsc_tx_link(&tx, &mpsc.b.reader, &mpsc.rx_chunk), CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_mpsc_rx_link(&rx, &mpsc.a.reader, &mpsc.tx_chunk), CROSSVM_MISMATCH);
    mpsc_drop(&mpsc);
}

static void device_mappings_are_refused(void)
{
    struct crossvm_region device;
    mpsc_up(&mpsc, 4, 8, 0, usual);
    device = mpsc.a.owner.region;
    device.device = true;
    CHECK_EQ(crossvm_mpsc_tx_open(&mpsc.tx[0], &device, &mpsc.tx_chunk, 1), CROSSVM_MEMORY_TYPE);
    REQUIRE(mpsc_rx_open(&mpsc) == CROSSVM_OK);
    device = mpsc.a.reader;
    device.device = true;
    CHECK_EQ(crossvm_mpsc_rx_link(&mpsc.rx, &device, &mpsc.tx_chunk), CROSSVM_MEMORY_TYPE);
    device = mpsc.b.owner.region;
    device.device = true;
    CHECK_EQ(crossvm_mpsc_rx_open(&mpsc.rx, &device, &mpsc.rx_chunk), CROSSVM_MEMORY_TYPE);
    REQUIRE(mpsc_tx_open(&mpsc, 1) == CROSSVM_OK);
    device = mpsc.b.reader;
    device.device = true;
    CHECK_EQ(crossvm_mpsc_tx_link(&mpsc.tx[0], &device, &mpsc.rx_chunk), CROSSVM_MEMORY_TYPE);
    mpsc_drop(&mpsc);
}

/* ---- elements -------------------------------------------------------------------------------- */

static void the_words_are_those_of_the_format(void)
{
    mpsc_up(&mpsc, 4, 8, 0, usual);
    REQUIRE(mpsc_push(&mpsc, 3, 0) == CROSSVM_OK);
    CHECK_EQ(mpsc_slot_word(&mpsc, 0), 1u << 8 | 3u << 2);
    mpsc_dies_claiming(&mpsc, 2);
    CHECK_EQ(mpsc_slot_word(&mpsc, 1), 1u << 8 | 2u << 2 | 1u);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2), 1);
    CHECK_EQ(mpsc_slot_word(&mpsc, 1), 1u << 8 | 2u << 2 | 2u);
    CHECK_EQ(crossvm_load_relaxed(&mpsc_tx_words(&mpsc)->index), 0);
    const struct crossvm_mpsc_rx_shm *own = mpsc_rx_words(&mpsc);
    CHECK_EQ(crossvm_load_relaxed(&own->peer_chunk), mpsc.tx_chunk.id);
    CHECK_EQ(crossvm_load_relaxed(&own->peer_generation), mpsc.tx_chunk.generation);
    CHECK_EQ(crossvm_load_relaxed(&own->peer_region[0]), 1);
    mpsc_pops(&mpsc, 3, 0);
    unsigned char elem[8];
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    CHECK_EQ(mpsc_head(&mpsc), 2);
    CHECK_EQ(crossvm_load_pair(&own->n_lost_lo, &own->n_lost_hi), 1);
    mpsc_drop(&mpsc);
}

static void a_full_ring_refuses_and_counts(void)
{
    for (uint32_t n = 1; n <= 16; n *= 2) {
        unsigned char elem[12];
        mpsc_up(&mpsc, n, 12, 0, usual);
        CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
        for (uint32_t i = 0; i < n; i++) {
            CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), (int)i);
            CHECK_EQ(mpsc_push(&mpsc, i % MPSC_WRITERS + 1, i), CROSSVM_OK);
        }
        CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), (int)n);
        CHECK_EQ(mpsc_push(&mpsc, 1, 99), CROSSVM_FULL);
        CHECK_EQ(mpsc_push(&mpsc, 1, 99), CROSSVM_FULL);
        CHECK_EQ(mpsc.tx[0].n_refused, 2);
        CHECK_EQ(mpsc_tail(&mpsc), n);
        for (uint32_t i = 0; i < n; i++) {
            mpsc_pops(&mpsc, i % MPSC_WRITERS + 1, i);
        }
        CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
        CHECK_EQ(mpsc_head(&mpsc), n);
        CHECK_EQ(mpsc_push(&mpsc, 1, 99), CROSSVM_OK);
        mpsc_pops(&mpsc, 1, 99);
        mpsc_drop(&mpsc);
    }
}

/* At most a quarter of the capacity is held back; what is held back is no room. */
static void releases_are_held_back_for_a_quarter_at_most(void)
{
    mpsc_up(&mpsc, 16, 8, 0, usual);
    for (uint32_t i = 0; i < 16; i++) {
        REQUIRE(mpsc_push(&mpsc, 1, i) == CROSSVM_OK);
    }
    for (uint32_t i = 0; i < 16; i++) {
        mpsc_pops(&mpsc, 1, i);
        CHECK(i + 1 - mpsc_head(&mpsc) < 4);
        CHECK(i + 1 - mpsc_head(&mpsc) == (i + 1) % 4);
    }
    for (uint32_t i = 0; i < 2; i++) {
        REQUIRE(mpsc_push(&mpsc, 1, i) == CROSSVM_OK);
    }
    mpsc_pops(&mpsc, 1, 0);
    CHECK_EQ(mpsc_head(&mpsc), 16);
    crossvm_mpsc_rx_flush(&mpsc.rx);
    CHECK_EQ(mpsc_head(&mpsc), 17);
    mpsc_drop(&mpsc);
}

/* Pushes and pops at random, a model beside it: a plain array of who pushed what. */
static void run_at(uint32_t n, uint32_t len, uint32_t index)
{
    static uint64_t random_state = 11;
    static uint32_t writers[1024];
    static uint32_t whichs[1024];
    uint32_t first = 0;
    uint32_t last = 0;
    mpsc_up(&mpsc, n, len, index, usual);
    for (uint32_t i = 0; i < 40 * n + 100; i++) {
        uint32_t writer = check_random(&random_state) % MPSC_WRITERS + 1;
        if (check_random(&random_state) % 2 == 0) {
            crossvm_mpsc_rx_flush(&mpsc.rx);
            int status = mpsc_push(&mpsc, writer, i);
            CHECK_EQ(status, last - first < n ? CROSSVM_OK : CROSSVM_FULL);
            if (status == CROSSVM_OK) {
                writers[last % 1024] = writer;
                whichs[last % 1024] = i;
                last++;
            }
        } else if (first != last) {
            mpsc_pops(&mpsc, writers[first % 1024], whichs[first % 1024]);
            first++;
        } else {
            unsigned char elem[MPSC_ELEM_MAX];
            CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
        }
        CHECK_EQ(mpsc_tail(&mpsc), index + last);
    }
    CHECK_EQ(mpsc.rx.head, index + first);
    mpsc_drop(&mpsc);
}

static void indices_and_laps_wrap(void)
{
    static const uint32_t lens[] = {1, 7, 8, 9, 64, 100};
    for (uint32_t n = 1; n <= 64; n *= 2) {
        uint32_t len = lens[n % 6];
        run_at(n, len < 4 ? 4 : len, 0);
        run_at(n, 8, 0u - 3 * n);
        run_at(n, 8, 0u - n);
        run_at(n, 8, 0x7fffffffu);
        run_at(n, 8, (n << 24) - 2 * n); /* the lap's 24 bits come round */
    }
    run_at(256, 4, 0u - 300u);
    run_at(128, 4, 0u - 300u);
    run_at(512, 4, 0u - 700u);
}

static void elements_of_one_byte_go_through(void)
{
    unsigned char elem = 7;
    mpsc_up(&mpsc, 2, 1, 0, usual);
    CHECK_EQ(crossvm_mpsc_tx_push(&mpsc.tx[0], &elem), CROSSVM_OK);
    elem = 0;
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, &elem), CROSSVM_OK);
    CHECK_EQ(elem, 7);
    mpsc_drop(&mpsc);
}

static void the_consumer_waits_for_the_first_claim(void)
{
    unsigned char elem[8] = {0};
    void *place = NULL;
    mpsc_up(&mpsc, 8, 8, 0, usual);
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[1], &place) == CROSSVM_OK);
    CHECK_EQ(mpsc_push(&mpsc, 1, 5), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_NOT_YET);
    CHECK_EQ(mpsc.rx.writer, 2);
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 0);
    CHECK_EQ(mpsc.rx.writer, 2);
    void *again = NULL;
    CHECK_EQ(crossvm_mpsc_tx_reserve(&mpsc.tx[1], &again), CROSSVM_OK);
    CHECK(again == place);
    queue_fill(place, 8, mpsc_number(2, 6));
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[1]), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[1]), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 2);
    mpsc_pops(&mpsc, 2, 6);
    mpsc_pops(&mpsc, 1, 5);
    mpsc_drop(&mpsc);
}

static void elements_are_taken_in_place_and_in_batches(void)
{
    unsigned char elems[6 * 12];
    const void *elem = NULL;
    mpsc_up(&mpsc, 8, 12, 0u - 3u, usual);
    CHECK_EQ(crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, 6), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, 0), 0);
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &elem), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_INVALID);
    for (uint32_t i = 0; i < 8; i++) {
        REQUIRE(mpsc_push(&mpsc, 1 + i % 2, i) == CROSSVM_OK);
    }
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &elem), CROSSVM_OK);
    CHECK(queue_is(elem, 12, mpsc_number(1, 0)));
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &elem), CROSSVM_OK);
    CHECK(queue_is(elem, 12, mpsc_number(1, 0)));
    CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &elem), CROSSVM_OK);
    mpsc_pops(&mpsc, 2, 1);
    CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, 4), 4);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(queue_is(elems + 12 * (size_t)i, 12, mpsc_number(1 + i % 2, 2 + i)));
    }
    CHECK_EQ(crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, 6), 2);
    CHECK_EQ(crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, 6), CROSSVM_EMPTY);
    mpsc_drop(&mpsc);
}

/* ---- the dead -------------------------------------------------------------------------------- */

static void a_claim_of_the_dead_is_passed_over_only_when_it_was_buried(void)
{
    unsigned char elem[8];
    mpsc_up(&mpsc, 8, 8, 0u - 2u, usual);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    mpsc_dies_claiming(&mpsc, 2);
    mpsc_dies_claiming(&mpsc, 3);
    REQUIRE(mpsc_push(&mpsc, 1, 1) == CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_NOT_YET);
        CHECK_EQ(mpsc.rx.writer, 2);
    }
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 64), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 4), 0);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2), 1);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2), 0);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_NOT_YET);
    CHECK_EQ(mpsc.rx.writer, 3);
    CHECK_EQ(mpsc.rx.n_lost, 1);
    mpsc_tx_up(&mpsc, 3); /* its next incarnation */
    CHECK_EQ(mpsc_push(&mpsc, 3, 7), CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 1);
    mpsc_pops(&mpsc, 3, 7);
    CHECK_EQ(mpsc.rx.n_lost, 2);
    CHECK_EQ(mpsc.rx.head, 3);
    mpsc_drop(&mpsc);
}

static void the_consumer_alone_passes_over_the_dead(void)
{
    unsigned char elem[8];
    mpsc_up(&mpsc, 4, 8, 0u - 1u, usual);
    mpsc_dies_claiming(&mpsc, 2);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 2), CROSSVM_OK);
    CHECK_EQ(mpsc_head(&mpsc), 0);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 1), CROSSVM_INVALID);
    mpsc_pops(&mpsc, 1, 0);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 2), CROSSVM_INVALID);
    CHECK_EQ(mpsc.rx.n_lost, 1);
    /* The slot is used again, with the dead one's word in it, buried or not. */
    for (uint32_t i = 0; i < 12; i++) {
        if (i == 2) {
            mpsc_tx_up(&mpsc, 2);
        }
        CHECK_EQ(mpsc_push(&mpsc, 1, i), CROSSVM_OK);
        mpsc_pops(&mpsc, 1, i);
    }
    CHECK_EQ(mpsc.rx.n_lost, 1);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    mpsc_drop(&mpsc);
}

static void a_slot_that_was_skipped_and_never_buried_is_claimed_again(void)
{
    mpsc_up(&mpsc, 2, 8, 0, usual);
    mpsc_dies_claiming(&mpsc, 2);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 2), CROSSVM_OK);
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_EQ(mpsc_push(&mpsc, 1, i), CROSSVM_OK);
        mpsc_pops(&mpsc, 1, i);
    }
    mpsc_drop(&mpsc);
}

static void nobody_passes_over_a_ring_full_of_the_dead_but_all_are_counted(void)
{
    unsigned char elem[8];
    mpsc_up(&mpsc, 4, 8, 0u - 2u, usual);
    for (uint32_t writer = 1; writer <= 4; writer++) {
        mpsc_dies_claiming(&mpsc, writer);
    }
    struct crossvm_mpsc_tx undertaker;
    REQUIRE(crossvm_mpsc_tx_open(&undertaker, &mpsc.a.owner.region, &mpsc.tx_chunk, 63) ==
            CROSSVM_OK);
    REQUIRE(crossvm_mpsc_tx_link(&undertaker, &mpsc.b.reader, &mpsc.rx_chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_push(&undertaker, elem), CROSSVM_FULL);
    for (uint32_t writer = 1; writer <= 4; writer++) {
        CHECK_EQ(crossvm_mpsc_tx_bury(&undertaker, writer), 1);
    }
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    CHECK_EQ(mpsc.rx.n_lost, 4);
    CHECK_EQ(crossvm_mpsc_tx_push(&undertaker, elem), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_OK);
    CHECK_EQ(mpsc.rx.writer, 63);
    mpsc_drop(&mpsc);
}

static void one_who_was_taken_for_dead_learns_it(void)
{
    void *place = NULL;
    mpsc_up(&mpsc, 4, 8, 0, usual);
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[1], &place) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2), 1);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[1]), CROSSVM_STALE);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[1]), CROSSVM_STALE);
    CHECK_EQ(mpsc_push(&mpsc, 2, 0), CROSSVM_STALE);
    CHECK_EQ(mpsc_tx_link(&mpsc, 2), CROSSVM_STALE);
    CHECK_EQ(mpsc_state(&mpsc, 0), MPSC_GIVEN_UP);
    mpsc_tx_up(&mpsc, 2);
    CHECK_EQ(mpsc_push(&mpsc, 2, 1), CROSSVM_OK);
    mpsc_pops(&mpsc, 2, 1);
    CHECK_EQ(mpsc.rx.n_lost, 1);
    mpsc_drop(&mpsc);
}

/* It may say OK, and the element is lost all the same: only who buries is noticed. */
static void one_whose_claim_was_skipped_may_not_learn_it(void)
{
    void *place = NULL;
    mpsc_up(&mpsc, 4, 8, 0, usual);
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[1], &place) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 2), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[1]), CROSSVM_OK);
    CHECK_EQ(mpsc_push(&mpsc, 2, 1), CROSSVM_OK);
    mpsc_pops(&mpsc, 2, 1);
    CHECK_EQ(mpsc.rx.n_lost, 1);
    mpsc_drop(&mpsc);
}

/* Room comes back for what was lost as for what was taken: a quarter late at most. */
static void losses_are_published_as_releases_are(void)
{
    const void *shown;
    mpsc_up(&mpsc, 16, 8, 0, usual);
    for (uint32_t i = 0; i < 13; i++) {
        mpsc_dies_claiming(&mpsc, 2);
        mpsc_tx_up(&mpsc, 2);
    }
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &shown), CROSSVM_OK);
    CHECK_EQ(mpsc_head(&mpsc), 12);
    for (uint32_t i = 0; i < 14; i++) {
        CHECK_EQ(mpsc_push(&mpsc, 3, i), CROSSVM_OK);
    }
    mpsc_drop(&mpsc);
}

/* ---- where the claims end --------------------------------------------------------------------- */

/* Others have pushed n elements since, for each n, and the consumer has left each number of them. */
static void a_writer_finds_the_end_of_the_claims_after_any_pause(void)
{
    for (uint32_t n = 0; n <= 80; n++) {
        mpsc_up(&mpsc, 32, 8, 0u - 9u, usual);
        REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
        for (uint32_t i = 0; i < n; i++) {
            if (mpsc_push(&mpsc, i % 2 + 2, i) == CROSSVM_FULL) {
                uint32_t writer;
                uint32_t which;
                REQUIRE(mpsc_pop(&mpsc, &writer, &which) == CROSSVM_OK);
                crossvm_mpsc_rx_flush(&mpsc.rx);
                REQUIRE(mpsc_push(&mpsc, i % 2 + 2, i) == CROSSVM_OK);
            }
        }
        CHECK_EQ(mpsc_push(&mpsc, 1, 1), n + 1 < 32 ? CROSSVM_OK : CROSSVM_FULL);
        CHECK_EQ(mpsc_tail(&mpsc), 0u - 9u + n + 1 + (n + 1 < 32));
        mpsc_drop(&mpsc);
    }
}

/* 2^32 elements later an old claim may seem to lie in front of the tail. */
static void an_old_claim_in_front_of_the_tail_leaves_no_gap(void)
{
    for (uint32_t ahead = 0; ahead < 8; ahead++) {
        mpsc_up(&mpsc, 8, 8, 0u - 3u, usual);
        REQUIRE(mpsc_push(&mpsc, 2, 0) == CROSSVM_OK);
        REQUIRE(mpsc_push(&mpsc, 2, 1) == CROSSVM_OK);
        mpsc.tx[0].index = 0u - 1u + ahead;
        CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_OK);
        CHECK_EQ(mpsc_tail(&mpsc), 0);
        mpsc_pops(&mpsc, 2, 0);
        mpsc_pops(&mpsc, 2, 1);
        mpsc_pops(&mpsc, 1, 0);
        mpsc_drop(&mpsc);
    }
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void a_consumer_that_restarts_goes_on_at_its_head(void)
{
    mpsc_up(&mpsc, 16, 8, 0u - 5u, usual);
    for (uint32_t i = 0; i < 16; i++) {
        REQUIRE(mpsc_push(&mpsc, 1, i) == CROSSVM_OK);
    }
    for (uint32_t i = 0; i < 7; i++) {
        mpsc_pops(&mpsc, 1, i);
    }
    mpsc_rx_up(&mpsc); /* three releases were held back */
    for (uint32_t i = 4; i < 16; i++) {
        mpsc_pops(&mpsc, 1, i);
    }
    CHECK_EQ(mpsc_push(&mpsc, 1, 16), CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 16);
    mpsc_drop(&mpsc);
}

static void what_was_counted_as_lost_is_not_lost_twice(void)
{
    unsigned char elem[8];
    mpsc_up(&mpsc, 16, 8, 0, usual);
    mpsc_dies_claiming(&mpsc, 2);
    REQUIRE(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2) == 1);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    CHECK_EQ(mpsc.rx.n_lost, 1);
    mpsc_rx_up(&mpsc);
    CHECK_EQ(crossvm_load_relaxed(&mpsc_rx_words(&mpsc)->n_lost_lo), 0);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    CHECK_EQ(mpsc.rx.n_lost, 0);
    mpsc_drop(&mpsc);
}

/* A part made anew, with its new chunk. */
static void renew(struct test_region *region, uint32_t reader_kind, struct crossvm_chunk *chunk)
{
    struct crossvm_chunk ours = *chunk;
    REQUIRE(crossvm_region_owner_renew(&region->owner, &ours) == CROSSVM_OK);
    *chunk = test_find(&region->reader, "ring", reader_kind);
}

static void a_ring_made_anew_is_another_one(void)
{
    unsigned char elem[8];
    mpsc_up(&mpsc, 4, 8, 0, usual);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 0);
    renew(&mpsc.a, CROSSVM_KIND_MPSC_TX, &mpsc.tx_chunk);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_STALE);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_STALE);
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_STALE);
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_STALE);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[1], 1), CROSSVM_STALE);
    CHECK_EQ(mpsc_rx_open(&mpsc), CROSSVM_OK);
    CHECK_EQ(mpsc_rx_link(&mpsc), CROSSVM_STALE);
    CHECK_EQ(mpsc_tx_open(&mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_NOT_YET);
    renew(&mpsc.b, CROSSVM_KIND_MPSC_RX, &mpsc.rx_chunk);
    mpsc_rx_up(&mpsc);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 0);
    mpsc_drop(&mpsc);
}

static void a_consumer_that_took_nothing_takes_a_new_ring(void)
{
    mpsc_up(&mpsc, 4, 8, 0, usual);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    renew(&mpsc.a, CROSSVM_KIND_MPSC_TX, &mpsc.tx_chunk);
    mpsc_rx_up(&mpsc);
    CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_OK); /* the old handle */
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_STALE);
    mpsc_tx_up(&mpsc, 1);
    CHECK_EQ(mpsc_push(&mpsc, 1, 1), CROSSVM_OK);
    mpsc_pops(&mpsc, 1, 1);
    mpsc_drop(&mpsc);
}

static void a_consumers_part_made_anew_needs_a_new_ring(void)
{
    unsigned char elem[8];
    for (uint32_t way = 0; way < 4; way++) {
        /* A ring in use; one whose index came round to 0; one whose hint lags behind the first. */
        mpsc_up(&mpsc, 4, 8, way == 1 ? 0u - 1u : 0, usual);
        if (way != 3) {
            REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
        }
        if (way == 2) {
            crossvm_store_relaxed(&mpsc_tx_words(&mpsc)->index, 0);
        }
        renew(&mpsc.b, CROSSVM_KIND_MPSC_RX, &mpsc.rx_chunk);
        CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_STALE);
        if (way == 3) {
            CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_STALE);
        }
        CHECK_EQ(mpsc_rx_open(&mpsc), CROSSVM_OK);
        CHECK_EQ(mpsc_rx_link(&mpsc), way == 3 ? CROSSVM_OK : CROSSVM_STALE);
        mpsc_drop(&mpsc);
    }
}

/* ---- waking ---------------------------------------------------------------------------------- */

static void a_sleeping_consumer_is_rung_once(void)
{
    mpsc_up(&mpsc, 8, 8, 0u - 2u, usual);
    for (uint32_t writer = 1; writer <= MPSC_WRITERS; writer++) {
        CHECK_EQ(kick(writer), 1); /* the first kick of a handle */
        CHECK_EQ(kick(writer), 0);
    }
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(kick(1), 0); /* nobody is armed */
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), 1);
    mpsc_pops(&mpsc, 1, 0);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), 0);
    REQUIRE(mpsc_push(&mpsc, 2, 1) == CROSSVM_OK);
    CHECK_EQ(kick(2), 1);
    CHECK_EQ(kick(2), 0);
    REQUIRE(mpsc_push(&mpsc, 2, 2) == CROSSVM_OK);
    CHECK_EQ(kick(2), 0);
    crossvm_mpsc_rx_disarm(&mpsc.rx);
    REQUIRE(mpsc_push(&mpsc, 1, 3) == CROSSVM_OK);
    CHECK_EQ(kick(1), 0);
    mpsc_pops(&mpsc, 2, 1);
    mpsc_pops(&mpsc, 2, 2);
    mpsc_pops(&mpsc, 1, 3);
    mpsc_drop(&mpsc);
}

static void a_watermark_is_waited_for(void)
{
    mpsc_up(&mpsc, 8, 8, 0u - 2u, usual);
    kick_all();
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 0, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 9, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 8, 0), 0);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 3, 0), 0);
    for (uint32_t i = 0; i < 3; i++) {
        REQUIRE(mpsc_push(&mpsc, i + 1, i) == CROSSVM_OK);
        CHECK_EQ(kick(i + 1), i == 2);
    }
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 3, 0), 1);
    CHECK_EQ(crossvm_load_relaxed(&mpsc_rx_words(&mpsc)->line.mode), CROSSVM_WAKE_NEVER);
    mpsc_drop(&mpsc);
}

static void who_commits_last_rings_whatever_the_order_of_the_claims(void)
{
    for (uint32_t order = 0; order < 6; order++) {
        static const uint32_t orders[6][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3},
                                              {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
        mpsc_up(&mpsc, 8, 8, 0u - 2u, usual);
        kick_all();
        CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 3, 0), 0);
        for (uint32_t writer = 1; writer <= 3; writer++) {
            mpsc_dies_claiming(&mpsc, writer); /* no death: it comes back to commit */
        }
        int rung = 0;
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t writer = orders[order][i];
            REQUIRE(crossvm_mpsc_tx_commit(&mpsc.tx[writer - 1]) == CROSSVM_OK);
            rung = kick(writer);
        }
        CHECK_EQ(rung, 1);
        CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 3);
        mpsc_drop(&mpsc);
    }
}

static void a_ring_that_the_dead_owed_is_made_good(void)
{
    mpsc_up(&mpsc, 8, 8, 0, usual);
    kick_all();
    /* Committed, and died in front of the kick: anybody who commits later rings once. */
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), 0);
    REQUIRE(mpsc_push(&mpsc, 2, 0) == CROSSVM_OK);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    REQUIRE(mpsc_push(&mpsc, 1, 1) == CROSSVM_OK);
    CHECK_EQ(kick(1), 0);
    CHECK_EQ(kick(3), 1); /* without an element of its own: it found the ring full */
    CHECK_EQ(kick(3), 0);
    mpsc_drop(&mpsc);

    /* A claim that is buried lets the elements behind it through. */
    mpsc_up(&mpsc, 8, 8, 0, usual);
    kick_all();
    mpsc_dies_claiming(&mpsc, 2);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), 0);
    CHECK_EQ(kick(1), 0);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[2], 2), 1);
    CHECK_EQ(kick(3), 1);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), 1);
    mpsc_drop(&mpsc);
}

/* The place of the event was filled and rung for; what is missing is one in front of it, whose
 * writer commits, and dies in front of the kick. */
static void a_ring_that_the_dead_owed_for_an_earlier_place_is_made_good(void)
{
    void *place;
    mpsc_up(&mpsc, 8, 8, 0, usual);
    kick_all();
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 2, 0), 0);
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[1], &place) == CROSSVM_OK);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 2, 0), 0);
    queue_fill(place, 8, mpsc_number(2, 0));
    REQUIRE(crossvm_mpsc_tx_commit(&mpsc.tx[1]) == CROSSVM_OK);
    REQUIRE(mpsc_push(&mpsc, 1, 1) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 2, 0), 1);
    mpsc_drop(&mpsc);
}

static void a_burial_rings_also_for_an_event_that_was_rung_for(void)
{
    mpsc_up(&mpsc, 8, 8, 0, usual);
    kick_all();
    mpsc_dies_claiming(&mpsc, 2);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 2, 0), 0);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 0);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 2, 0), 0);
    CHECK_EQ(kick(1), 0);
    CHECK_EQ(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2), 1);
    CHECK_EQ(kick(1), 1);
    mpsc_drop(&mpsc);
}

static void given_up_claims_are_not_waited_for(void)
{
    unsigned char elem[8];
    mpsc_up(&mpsc, 4, 8, 0, usual);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    mpsc_dies_claiming(&mpsc, 2);
    REQUIRE(mpsc_push(&mpsc, 1, 1) == CROSSVM_OK);
    REQUIRE(crossvm_mpsc_tx_bury(&mpsc.tx[0], 2) == 1);
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 2);
    kick_all();
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 3, 0), 0);
    REQUIRE(mpsc_push(&mpsc, 1, 2) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    /* Four cannot come before some are taken: the ring is full. */
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 4, 0), 1);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 4, 0), 0);
    REQUIRE(mpsc_push(&mpsc, 1, 3) == CROSSVM_OK);
    CHECK_EQ(kick(1), 0);
    REQUIRE(mpsc_push(&mpsc, 1, 4) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    mpsc_drop(&mpsc);
}

static void always_and_never_and_polling_are_kept(void)
{
    mpsc_up(&mpsc, 4, 8, 0, usual);
    kick_all();
    REQUIRE(crossvm_wake_always(&mpsc.rx.waiter) == CROSSVM_OK);
    CHECK_EQ(kick(1), 0);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(kick(1), 1);
    CHECK_EQ(kick(1), 0);
    crossvm_mpsc_rx_disarm(&mpsc.rx);
    REQUIRE(mpsc_push(&mpsc, 1, 1) == CROSSVM_OK);
    CHECK_EQ(kick(1), 0);
    CHECK_EQ(mpsc.tx[0].kick.n_sent, 2);
    mpsc_tx_up(&mpsc, 1);
    crossvm_mpsc_tx_peer_polls(&mpsc.tx[0]);
    CHECK_EQ(kick(1), 0);
    mpsc_drop(&mpsc);
}

static void the_longest_delay_is_a_hint_to_the_writer(void)
{
    uint64_t again_ns = 0;
    mpsc_up(&mpsc, 8, 8, 0, usual);
    kick_all();
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 4, 1000), 0);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_kick(&mpsc.tx[0], 5000, &again_ns), 0);
    CHECK_EQ(again_ns, 6000);
    CHECK_EQ(crossvm_mpsc_tx_kick(&mpsc.tx[0], 5999, &again_ns), 0);
    CHECK_EQ(again_ns, 6000);
    CHECK_EQ(crossvm_mpsc_tx_kick(&mpsc.tx[0], 6000, &again_ns), 1);
    CHECK_EQ(again_ns, 0);
    mpsc_drop(&mpsc);
}

int main(void)
{
    test_guard();
    CASE(chunks_need_what_the_format_says);
    CASE(either_part_comes_first_and_nothing_flows_before_the_consumer_is_there);
    CASE(what_does_not_fit_is_refused);
    CASE(device_mappings_are_refused);
    CASE(the_words_are_those_of_the_format);
    CASE(a_full_ring_refuses_and_counts);
    CASE(releases_are_held_back_for_a_quarter_at_most);
    CASE(indices_and_laps_wrap);
    CASE(elements_of_one_byte_go_through);
    CASE(the_consumer_waits_for_the_first_claim);
    CASE(elements_are_taken_in_place_and_in_batches);
    CASE(a_claim_of_the_dead_is_passed_over_only_when_it_was_buried);
    CASE(the_consumer_alone_passes_over_the_dead);
    CASE(a_slot_that_was_skipped_and_never_buried_is_claimed_again);
    CASE(nobody_passes_over_a_ring_full_of_the_dead_but_all_are_counted);
    CASE(one_who_was_taken_for_dead_learns_it);
    CASE(one_whose_claim_was_skipped_may_not_learn_it);
    CASE(losses_are_published_as_releases_are);
    CASE(a_writer_finds_the_end_of_the_claims_after_any_pause);
    CASE(an_old_claim_in_front_of_the_tail_leaves_no_gap);
    CASE(a_consumer_that_restarts_goes_on_at_its_head);
    CASE(what_was_counted_as_lost_is_not_lost_twice);
    CASE(a_ring_made_anew_is_another_one);
    CASE(a_consumer_that_took_nothing_takes_a_new_ring);
    CASE(a_consumers_part_made_anew_needs_a_new_ring);
    CASE(a_sleeping_consumer_is_rung_once);
    CASE(a_watermark_is_waited_for);
    CASE(who_commits_last_rings_whatever_the_order_of_the_claims);
    CASE(a_ring_that_the_dead_owed_is_made_good);
    CASE(a_ring_that_the_dead_owed_for_an_earlier_place_is_made_good);
    CASE(a_burial_rings_also_for_an_event_that_was_rung_for);
    CASE(given_up_claims_are_not_waited_for);
    CASE(always_and_never_and_polling_are_kept);
    CASE(the_longest_delay_is_a_hint_to_the_writer);
    return check_done();
}

#else

int main(void)
{
    printf(MPSC_LEFT_OUT);
    return check_done();
}

#endif
