/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/mpsc_hostile.c - writers that store anything into the ring, and a consumer that stores
 * anything into its part, also between any two accesses of the other side: each call answers within
 * bounded steps, touches nothing outside, and says what was wrong.
 */
#include "../support/hook.h"

#include "../support/mpsc.h"

#if CROSSVM_HAS_CAS

enum {
    CAPACITY = 8,
    LAPS = 1 << 24, /* until a slot's word comes again */
    ELEM_LEN = 16,
    /* The control line and eight slots of 24 bytes: the ring's memory ends close to a page's end. */
    N_RING_WORDS = (128 + CAPACITY * 24) / 4,
    N_PART_WORDS = 256 / 4
};

static const struct queue_options usual = MPSC_USUAL;
static const uint32_t start = 0u - 3u;
static struct mpsc mpsc;
static uint64_t random_state = 99;

/* ---- single words ------------------------------------------------------------------------------ */

static void check_fault(const struct crossvm_fault *fault, uint64_t off, uint32_t value,
                        uint32_t rule)
{
    CHECK_EQ(fault->off, off);
    CHECK_EQ(fault->value, value);
    CHECK_EQ(fault->rule, rule);
}

/* What the consumer answers to one word at its head. */
static void look_at(uint32_t word, int want)
{
    unsigned char elem[ELEM_LEN];
    const void *shown;
    uint64_t off = (uint64_t)((unsigned char *)mpsc_slot(&mpsc, mpsc.rx.head) -
                              (unsigned char *)mpsc.a.writable.base);
    crossvm_store_relaxed(mpsc_slot(&mpsc, mpsc.rx.head), word);
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &shown), want);
    if (want == CROSSVM_CORRUPT) {
        check_fault(&mpsc.rx.fault, off, word, CROSSVM_RULE_MPSC_SLOT);
        CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, 1), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_mpsc_rx_pop_n(&mpsc.rx, elem, 1), CROSSVM_CORRUPT);
        CHECK_EQ(mpsc_rx_link(&mpsc), CROSSVM_CORRUPT);
    }
    mpsc_rx_up(&mpsc);
}

static void a_slot_says_what_can_be_or_is_impossible(void)
{
    mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
    uint32_t lap = mpsc_word(&mpsc, start, 0, 0);
    look_at(lap | 1u << 2 | MPSC_COMMITTED, CROSSVM_OK);
    look_at(lap | 63u << 2 | MPSC_COMMITTED, CROSSVM_OK);
    look_at(lap | 1u << 2 | MPSC_CLAIMED, CROSSVM_NOT_YET);
    look_at(lap | 1u << 2 | 3u, CROSSVM_CORRUPT);
    look_at(lap | MPSC_COMMITTED, CROSSVM_CORRUPT); /* nobody's */
    look_at(lap | MPSC_CLAIMED, CROSSVM_CORRUPT);
    look_at(lap | MPSC_GIVEN_UP, CROSSVM_CORRUPT);
    look_at(lap | 1u << 2 | MPSC_GIVEN_UP, CROSSVM_EMPTY);
    look_at(lap - 0x100u, CROSSVM_EMPTY); /* the lap before, whatever it says else */
    look_at(lap - 0x100u + 0xffu, CROSSVM_EMPTY);
    look_at(lap + 0x100u + 4u, CROSSVM_CORRUPT);
    look_at(lap - 0x200u + 4u, CROSSVM_CORRUPT);
    look_at(lap ^ 0x80000004u, CROSSVM_CORRUPT);
    look_at(0xfffffeffu, CROSSVM_CORRUPT);
    mpsc_drop(&mpsc);
}

static void a_slot_behind_the_head_is_judged_as_well(void)
{
    mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    crossvm_store_relaxed(mpsc_slot(&mpsc, start + 1), 0xfffff0ffu);
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), CROSSVM_CORRUPT);
    CHECK_EQ(mpsc.rx.fault.value, 0xfffff0ffu);
    mpsc_drop(&mpsc);
}

/* What a writer answers to one head, the tail being start + 4. */
static void push_at(uint32_t head, int want)
{
    crossvm_store_relaxed(&mpsc_rx_words(&mpsc)->line.index, head);
    CHECK_EQ(mpsc_push(&mpsc, 1, 0), want);
    if (want == CROSSVM_CORRUPT) {
        check_fault(&mpsc.tx[0].fault, mpsc.rx_chunk.off, head, CROSSVM_RULE_MPSC_INDEX);
        CHECK_EQ(mpsc_push(&mpsc, 1, 0), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[0]), CROSSVM_CORRUPT);
        CHECK_EQ(mpsc_tx_link(&mpsc, 1), CROSSVM_CORRUPT);
    }
    uint32_t lap = mpsc_slot_word(&mpsc, start + 4) >> 8;
    CHECK_EQ(lap == mpsc_word(&mpsc, start + 4, 0, 0) >> 8, want == CROSSVM_OK);
}

static void a_head_lies_among_the_claims_or_is_impossible(void)
{
    static const struct {
        uint32_t head; /* from the tail */
        int want;
    } heads[] = {
        {0, CROSSVM_OK},
        {0u - 1u, CROSSVM_OK},
        {0u - CAPACITY + 1u, CROSSVM_OK},
        {0u - CAPACITY, CROSSVM_FULL},
        {0u - CAPACITY - 1u, CROSSVM_FULL}, /* too old is no room */
        {0u - 2u * CAPACITY, CROSSVM_FULL},
        {0u - (uint32_t)LAPS / 2 * CAPACITY + 1u, CROSSVM_FULL},
        {1, CROSSVM_CORRUPT},
        {2, CROSSVM_CORRUPT},
        {CAPACITY, CROSSVM_CORRUPT},
        {2u * CAPACITY, CROSSVM_CORRUPT},
        {(uint32_t)LAPS / 2 * CAPACITY - CAPACITY - 3u, CROSSVM_CORRUPT},
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
        for (uint32_t k = 0; k < 4; k++) {
            REQUIRE(mpsc_push(&mpsc, 1, k) == CROSSVM_OK);
        }
        push_at(start + 4 + heads[i].head, heads[i].want);
        mpsc_drop(&mpsc);
    }
}

/* Whatever the consumer looks at next was given up, a thousand times. */
static void give_up_again(void *unused)
{
    (void)unused;
    if (test_hook.seen <= 1000) {
        crossvm_store_relaxed(mpsc_slot(&mpsc, mpsc.rx.head),
                              mpsc_word(&mpsc, mpsc.rx.head, 1, MPSC_GIVEN_UP));
    }
}

static void a_ring_that_never_stops_giving_up_costs_one_lap_a_call(void)
{
    mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
    unsigned char elem[ELEM_LEN];
    for (uint32_t i = 0; i < CAPACITY; i++) {
        crossvm_store_relaxed(mpsc_slot(&mpsc, start + i),
                              mpsc_word(&mpsc, start + i, 1, MPSC_GIVEN_UP));
    }
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    CHECK_EQ(mpsc.rx.n_lost, CAPACITY);
    test_hook_arm(0, give_up_again, NULL);
    CHECK_EQ(crossvm_mpsc_rx_pop(&mpsc.rx, elem), CROSSVM_EMPTY);
    CHECK(test_hook_disarm() <= 6 * CAPACITY);
    CHECK_EQ(mpsc.rx.n_lost, 2 * CAPACITY);
    mpsc_drop(&mpsc);
}

static void what_was_shown_and_then_given_up_is_not_released(void)
{
    const void *shown;
    mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
    REQUIRE(mpsc_push(&mpsc, 1, 0) == CROSSVM_OK);
    REQUIRE(mpsc_push(&mpsc, 1, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_rx_peek(&mpsc.rx, &shown), CROSSVM_OK);
    crossvm_store_relaxed(mpsc_slot(&mpsc, start), mpsc_word(&mpsc, start, 1, MPSC_GIVEN_UP));
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 1);
    CHECK_EQ(crossvm_mpsc_rx_release(&mpsc.rx), CROSSVM_INVALID);
    mpsc_pops(&mpsc, 1, 1);
    CHECK_EQ(mpsc.rx.n_lost, 1);
    mpsc_drop(&mpsc);
}

/* The head moves over a living writer's claim: its place is another's then, and each is told. */
static void a_consumer_that_passes_over_the_living_takes_their_places(void)
{
    void *place = NULL;
    void *second = NULL;
    mpsc_up(&mpsc, 1, ELEM_LEN, start, usual);
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[0], &place) == CROSSVM_OK);
    crossvm_store_relaxed(&mpsc_rx_words(&mpsc)->line.index, start + 1);
    REQUIRE(crossvm_mpsc_tx_reserve(&mpsc.tx[1], &second) == CROSSVM_OK);
    CHECK(place == second);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[0]), CROSSVM_STALE);
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[1]), CROSSVM_OK);
    mpsc_drop(&mpsc);
}

/* The place of the event is looked at, too: then nothing is armed. */
static void an_impossible_place_that_is_waited_for_arms_nothing(void)
{
    mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
    crossvm_store_relaxed(mpsc_slot(&mpsc, start + 1), 0xfffff0ffu);
    CHECK_EQ(crossvm_mpsc_rx_arm(&mpsc.rx, 2, 0), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_load_relaxed(&mpsc_rx_words(&mpsc)->line.mode), CROSSVM_WAKE_NEVER);
    mpsc_drop(&mpsc);
}

/* Laps that cannot be, in one slot after the other. */
static void slots_of_nonsense_end_in_a_bounded_number_of_tries(void)
{
    static const uint32_t laps[] = {2, 3, LAPS / 2, 0u - 1u, 0u - 2u, 0u - 3u};
    for (uint32_t i = 0; i < 6 * CAPACITY; i++) {
        mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
        crossvm_store_relaxed(mpsc_slot(&mpsc, start + i % CAPACITY),
                              mpsc_word(&mpsc, start + i, 1, 0) + (laps[i / CAPACITY] << 8));
        test_hook_count();
        int status = mpsc_push(&mpsc, 1, 0);
        CHECK(test_hook_disarm() <= 20 * CROSSVM_MPSC_TRIES);
        CHECK(status == CROSSVM_OK || status == CROSSVM_FULL || status == CROSSVM_TORN ||
              status == CROSSVM_CORRUPT);
        mpsc_drop(&mpsc);
    }
}

/* ---- anything at any time ---------------------------------------------------------------------- */

static struct crossvm_le32 *enemy_words;
static uint32_t n_enemy_words;

static uint32_t some_word(void)
{
    uint32_t index = mpsc.rx.head + check_random(&random_state) % 3;
    switch (check_random(&random_state) % 6) {
    case 0:
        return check_random(&random_state) << 1;
    case 1:
        return index + check_random(&random_state) % 20 - 10;
    case 2:
        return check_random(&random_state) % 4;
    case 3:
        return mpsc_word(&mpsc, index, 1, 3);
    default:
        return mpsc_word(&mpsc, index, check_random(&random_state) % 64,
                         check_random(&random_state) % 3);
    }
}

static void enemy(void *unused)
{
    (void)unused;
    if (check_random(&random_state) % 3 == 0) {
        uint32_t at = check_random(&random_state) % n_enemy_words;
        if (enemy_words == (void *)mpsc_rx_words(&mpsc) && at == 1) {
            return; /* an epoch that is gone ends it too soon */
        }
        crossvm_store_relaxed(&enemy_words[at], some_word());
    }
}

static void check_answer(int status, unsigned long steps)
{
    CHECK(steps <= 16 * CROSSVM_MPSC_TRIES);
    CHECK(status >= 0 || status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET ||
          status == CROSSVM_FULL || status == CROSSVM_TORN || status == CROSSVM_STALE ||
          status == CROSSVM_CORRUPT || status == CROSSVM_INVALID);
    CHECK(status <= CAPACITY);
}

static int consumer_call(uint32_t which)
{
    unsigned char elems[4 * ELEM_LEN];
    const void *shown;
    switch (which) {
    case 0:
        return crossvm_mpsc_rx_pop(&mpsc.rx, elems);
    case 1:
        return crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, 4);
    case 2:
        return crossvm_mpsc_rx_peek(&mpsc.rx, &shown);
    case 3:
        return crossvm_mpsc_rx_release(&mpsc.rx);
    case 4:
        return crossvm_mpsc_rx_fill(&mpsc.rx);
    case 5:
        return crossvm_mpsc_rx_skip(&mpsc.rx, 1);
    case 6:
        return mpsc_rx_link(&mpsc);
    default:
        return crossvm_mpsc_rx_arm(&mpsc.rx, which % CAPACITY + 1, which);
    }
}

static int writer_call(uint32_t which)
{
    uint64_t again_ns;
    void *place;
    switch (which) {
    case 0:
        return mpsc_push(&mpsc, 1, which);
    case 1:
        return crossvm_mpsc_tx_reserve(&mpsc.tx[0], &place);
    case 2:
        return crossvm_mpsc_tx_commit(&mpsc.tx[0]);
    case 3:
        return crossvm_mpsc_tx_bury(&mpsc.tx[0], 2);
    case 4:
        return mpsc_tx_link(&mpsc, 1);
    default:
        return crossvm_mpsc_tx_kick(&mpsc.tx[0], which, &again_ns);
    }
}

static void rounds(int (*call)(uint32_t which), uint32_t n_calls, bool of_consumer)
{
    unsigned long n_corrupt = 0;
    for (unsigned long round = 0; round < 4000 * check_scale() / CHECK_SHORTER; round++) {
        mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
        enemy_words = of_consumer ? (struct crossvm_le32 *)(void *)mpsc_tx_words(&mpsc)
                                  : (struct crossvm_le32 *)(void *)mpsc_rx_words(&mpsc);
        n_enemy_words = of_consumer ? N_RING_WORDS : N_PART_WORDS;
        for (uint32_t i = 0; i < 30; i++) {
            test_hook_arm(0, enemy, NULL);
            int status = call(check_random(&random_state) % n_calls);
            check_answer(status, test_hook_disarm());
            n_corrupt += status == CROSSVM_CORRUPT;
        }
        /* In front of the ring, and of the part, nothing has changed. */
        CHECK_EQ(
            crossvm_region_find(&mpsc.a.reader, "ring", CROSSVM_KIND_MPSC_TX, 0, &mpsc.tx_chunk),
            CROSSVM_OK);
        CHECK_EQ(
            crossvm_region_find(&mpsc.b.reader, "ring", CROSSVM_KIND_MPSC_RX, 0, &mpsc.rx_chunk),
            CROSSVM_OK);
        mpsc_drop(&mpsc);
    }
    printf("  %lu times CORRUPT\n", n_corrupt);
    CHECK(n_corrupt != 0);
}

static void a_consumer_survives_any_ring(void)
{
    rounds(consumer_call, 9, true);
}

static void a_writer_survives_any_consumer(void)
{
    rounds(writer_call, 6, false);
}

int main(void)
{
    test_guard();
    CASE(a_slot_says_what_can_be_or_is_impossible);
    CASE(a_slot_behind_the_head_is_judged_as_well);
    CASE(a_head_lies_among_the_claims_or_is_impossible);
    CASE(a_ring_that_never_stops_giving_up_costs_one_lap_a_call);
    CASE(what_was_shown_and_then_given_up_is_not_released);
    CASE(a_consumer_that_passes_over_the_living_takes_their_places);
    CASE(an_impossible_place_that_is_waited_for_arms_nothing);
    CASE(slots_of_nonsense_end_in_a_bounded_number_of_tries);
    CASE(a_consumer_survives_any_ring);
    CASE(a_writer_survives_any_consumer);
    return check_done();
}

#else

int main(void)
{
    printf(MPSC_LEFT_OUT);
    return check_done();
}

#endif
