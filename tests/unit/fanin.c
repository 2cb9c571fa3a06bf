/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/fanin.c - many queues served as one: order, shares, what an idle and a broken input
 * cost, and every answer.
 */
#include "../support/hook.h"

#include "../support/fanin.h"

static const char *const mode_names[N_FANIN_MODES] = {"pop", "pop_n", "peek"};

/* ---- order and shares ------------------------------------------------------------------------ */

static void elements_of_each_input_come_in_order_and_say_whose_they_are(void)
{
    for (int mode = 0; mode < N_FANIN_MODES; mode++) {
        uint64_t state = 1;
        fanin_up(N_INPUTS);
        for (uint32_t round = 0; round < 20000 / CHECK_SHORTER; round++) {
            uint32_t from;
            fanin_feed(check_random(&state) % N_INPUTS, check_random(&state) % 20);
            (void)fanin_take((enum fanin_mode)mode, check_random(&state) % CAPACITY + 1, &from);
        }
        uint32_t from;
        while (fanin_take((enum fanin_mode)mode, CAPACITY, &from) > 0) {
        }
        for (uint32_t i = 0; i < N_INPUTS; i++) {
            CHECK(n_taken[i] > 100 / CHECK_SHORTER);
            CHECK_EQ(n_taken[i], n_pushed[i]);
        }
        fanin_down(N_INPUTS);
    }
}

enum {
    N_SERVED = 40000,
    WINDOW = 10000
};

static unsigned char served[N_SERVED];

/* Whoever is `backlogged` always has elements; the others get some now and then. */
static void serve(enum fanin_mode mode, uint32_t batch, unsigned backlogged)
{
    uint64_t state = 7;
    uint32_t n = 0;
    while (n < N_SERVED) {
        uint32_t from;
        for (uint32_t i = 0; i < N_INPUTS; i++) {
            bool always = (backlogged >> i & 1) != 0;
            fanin_feed(i, always ? CAPACITY : check_random(&state) % 40 == 0 ? 5 : 0);
        }
        int n_got = fanin_take(mode, batch, &from);
        REQUIRE(n_got > 0);
        for (int k = 0; k < n_got && n < N_SERVED; k++) {
            served[n] = (unsigned char)from;
            n++;
        }
    }
}

/* The fewest elements of an input in any 10,000 in a row. */
static uint32_t fewest_in_a_window(uint32_t input)
{
    uint32_t in_window = 0;
    uint32_t fewest = WINDOW;
    for (uint32_t n = 0; n < N_SERVED; n++) {
        in_window += served[n] == input ? 1 : 0;
        if (n >= WINDOW) {
            in_window -= served[n - WINDOW] == input ? 1 : 0;
        }
        if (n + 1 >= WINDOW && in_window < fewest) {
            fewest = in_window;
        }
    }
    return fewest;
}

struct shares {
    uint32_t weights[N_INPUTS];
    unsigned backlogged;
};

static const struct shares all_shares[] = {
    {{1, 1, 1, 1, 1, 1, 1, 1}, 0xff},
    {{1, 2, 3, 4, 5, 6, 7, 8}, 0xff},
    {{100, 1, 1, 1, 1, 1, 1, 1}, 0xff},
    {{1, 1, 1, 1, 1, 1, 1, 1}, 0x0f},
    {{5, 1, 9, 2, 1, 1, 30, 1}, 0x47},
    {{993, 1, 1, 1, 1, 1, 1, 1}, 0x81},
    {{125, 125, 125, 125, 125, 125, 125, 125}, 0xff},
    {{90, 90, 90, 90, 90, 90, 90, 1}, 0xff},
};

static void check_shares(const struct shares *shares, enum fanin_mode mode, uint32_t batch)
{
    uint32_t weights = 0;
    fanin_queues_up(N_INPUTS, usual);
    for (uint32_t i = 0; i < N_INPUTS; i++) {
        fanin_add(i, shares->weights[i]);
        weights += shares->weights[i];
    }
    serve(mode, batch, shares->backlogged);
    for (uint32_t i = 0; i < N_INPUTS; i++) {
        if ((shares->backlogged >> i & 1) == 0) {
            continue;
        }
        /* 0.9 of its share of all, and the idle ones' shares on top of it are a gift. */
        uint32_t share = WINDOW * shares->weights[i] / weights;
        uint32_t fewest = fewest_in_a_window(i);
        CHECK(fewest * 10 >= share * 9);
        if (fewest * 10 < share * 9) {
            printf("input %" PRIu32 " by %s got %" PRIu32 " of %" PRIu32 "\n", i, mode_names[mode],
                   fewest, share);
        }
    }
    fanin_down(N_INPUTS);
}

/* Each queue that has elements whenever it is looked at gets at least 0.9 of its weighted share of
 * any 10,000 elements in a row. */
static void backlogged_inputs_get_their_weighted_share_of_any_10000(void)
{
    for (size_t k = 0; k < sizeof(all_shares) / sizeof(all_shares[0]); k++) {
        for (int mode = 0; mode < N_FANIN_MODES; mode++) {
            check_shares(&all_shares[k], (enum fanin_mode)mode, k % 2 == 0 ? 1 : CAPACITY);
        }
    }
}

static void a_turn_ends_when_its_share_is_used_up(void)
{
    uint32_t from = N_INPUTS;
    fanin_queues_up(2, usual);
    fanin_add(0, 1);
    fanin_add(1, 999);
    fanin_feed(0, 10);
    fanin_feed(1, 30);
    /* 1000 in a round leave one element a turn for a weight of 1. */
    CHECK_EQ(fanin_take(FANIN_PEEK, CAPACITY, &from), 1);
    CHECK_EQ(from, 0);
    CHECK_EQ(fanin_take(FANIN_POP_N, CAPACITY, &from), 30);
    CHECK_EQ(from, 1);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    CHECK_EQ(from, 0);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    CHECK_EQ(from, 0);
    fanin_down(2);
}

/* ---- what an input costs --------------------------------------------------------------------- */

static void nothing(void *unused)
{
    (void)unused;
}

/* Shared accesses of one pop. */
static unsigned long cost_of_a_pop(int wanted)
{
    struct fanin_element element;
    uint32_t from;
    test_hook_arm(0, nothing, NULL);
    int status = crossvm_fanin_pop(&fanin, &element, &from);
    unsigned long cost = test_hook_disarm();
    CHECK_EQ(status, wanted);
    return cost;
}

/* Beside one that has elements: the others cost one load each. */
static void an_idle_input_costs_one_shared_load_a_round(void)
{
    unsigned long alone = 0;
    for (uint32_t n = 1; n <= N_INPUTS; n++) {
        fanin_up(n);
        fanin_feed(n - 1, 1);
        unsigned long cost = cost_of_a_pop(CROSSVM_OK);
        alone = n == 1 ? cost : alone;
        CHECK_EQ(cost, alone + n - 1);
        fanin_down(n);
    }
}

/* When nobody has anything, one in turn has its parts looked at, too. */
static void a_round_without_elements_costs_two_loads_more(void)
{
    for (uint32_t n = 1; n <= N_INPUTS; n++) {
        unsigned long cost = 0;
        fanin_up(n);
        for (uint32_t i = 0; i < N_INPUTS; i++) {
            unsigned long once = cost_of_a_pop(CROSSVM_EMPTY);
            CHECK(once == n || once == n + 2);
            cost += once;
        }
        CHECK_EQ(cost, N_INPUTS * n + 2 * n);
        fanin_down(n);
    }
}

static void break_input(uint32_t i)
{
    crossvm_store_relaxed(&queue_tx_words(&queues[i])->line.index, 0x40000000u);
}

static void a_broken_input_is_told_once_costs_nothing_and_harms_nobody(void)
{
    struct fanin_element element;
    uint32_t from = N_INPUTS;
    fanin_up(4);
    break_input(1);
    fanin_feed(2, 3);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_CORRUPT);
    CHECK_EQ(from, 1);
    CHECK_EQ(queues[1].rx.fault.rule, CROSSVM_RULE_SPSC_INDEX);
    for (int k = 0; k < 3; k++) {
        CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
        CHECK_EQ(from, 2);
    }
    unsigned long cost = cost_of_a_pop(CROSSVM_EMPTY);
    CHECK(cost == 3 || cost == 5);
    fanin_down(4);
}

/* What was in hand when the input broke is given back: it is not trusted any more. */
static void an_input_that_breaks_in_its_turn_is_told_too(void)
{
    struct fanin_element element;
    uint32_t from = N_INPUTS;
    fanin_up(2);
    fanin_feed(0, 1);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    break_input(0);
    fanin_feed(1, 1);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_CORRUPT);
    CHECK_EQ(from, 0);
    CHECK_EQ(fanin_take(FANIN_PEEK, 5, &from), 1);
    CHECK_EQ(from, 1);
    fanin_down(2);
}

static void renew_tx(struct queue *queue)
{
    REQUIRE(crossvm_region_owner_renew(&queue->a.owner, &queue->tx_chunk) == CROSSVM_OK);
}

static void a_renewed_chunk_is_told_as_stale(void)
{
    for (int mode = 0; mode < N_FANIN_MODES; mode++) {
        uint32_t from = N_INPUTS;
        fanin_up(2);
        fanin_feed(0, 1);
        fanin_feed(1, 1);
        renew_tx(&queues[0]);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_STALE);
        CHECK_EQ(from, 0);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), 1);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_EMPTY);
        fanin_down(2);
    }
}

/* The consumer's own part can go, too, with elements in hand. */
static void an_own_part_that_is_gone_is_told_as_stale(void)
{
    for (int mode = 0; mode < N_FANIN_MODES; mode++) {
        uint32_t from = N_INPUTS;
        fanin_up(2);
        fanin_feed(0, CAPACITY);
        fanin_feed(1, 1);
        REQUIRE(crossvm_region_owner_renew(&queues[0].b.owner, &queues[0].rx_chunk) == CROSSVM_OK);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_STALE);
        CHECK_EQ(from, 0);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), 1);
        CHECK_EQ(from, 1);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_EMPTY);
        fanin_down(2);
    }
}

/* What is in hand may be taken before the queue looks at its own part again; then it is told, and
 * nothing more is stored there. */
static void a_part_that_goes_in_mid_turn_is_told_once_and_left_alone(void)
{
    for (int mode = 0; mode < N_FANIN_MODES; mode++) {
        uint32_t from = N_INPUTS;
        uint32_t place = N_INPUTS;
        int n_got;
        fanin_up(2);
        fanin_feed(0, CAPACITY);
        fanin_feed(1, 1);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), 1);
        REQUIRE(crossvm_region_owner_renew(&queues[0].b.owner, &queues[0].rx_chunk) == CROSSVM_OK);
        uint32_t n_empty = 0;
        do {
            n_got = fanin_take((enum fanin_mode)mode, 20, &from);
            n_empty += n_got == CROSSVM_EMPTY ? 1 : 0;
        } while (n_got > 0 || (n_got == CROSSVM_EMPTY && n_empty < N_INPUTS));
        CHECK_EQ(n_got, CROSSVM_STALE);
        CHECK_EQ(from, 0);
        crossvm_store_relaxed(&queue_rx_words(&queues[0])->line.index, 77);
        while (fanin_take((enum fanin_mode)mode, 1, &from) > 0) {
            CHECK_EQ(from, 1);
        }
        CHECK_EQ(n_taken[1], 1);
        CHECK_EQ(crossvm_fanin_served(&fanin, &place), 1);
        CHECK_EQ(place, 1);
        CHECK_EQ(crossvm_fanin_served(&fanin, &place), 0);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_EMPTY);
        CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queues[0])->line.index), 77);
        fanin_down(2);
    }
}

/* A producer that renews its part before it has ever sent anything waits for us to see it. */
static void a_part_that_is_renewed_unused_is_told(void)
{
    struct fanin_element element;
    uint32_t from = N_INPUTS;
    int n_told = 0;
    fanin_queues_up(1, usual);
    queue_up(&queues[1], CAPACITY, sizeof(struct fanin_element), 0, usual);
    fanin_add(0, 1);
    fanin_add(1, 1);
    renew_tx(&queues[1]);
    for (uint32_t i = 0; i < 3 * N_INPUTS; i++) {
        int status = crossvm_fanin_pop(&fanin, &element, &from);
        CHECK(status == CROSSVM_EMPTY || (status == CROSSVM_STALE && from == 1));
        n_told += status == CROSSVM_STALE ? 1 : 0;
    }
    CHECK_EQ(n_told, 1);
    fanin_down(2);
}

/* The handle of an input in its turn is opened anew, for longer elements: nothing is taken that has
 * no room, and the turn is the next one's. */
static void an_input_that_is_opened_anew_in_its_turn_begins_anew(void)
{
    for (int mode = 0; mode < N_FANIN_MODES; mode++) {
        uint32_t from = N_INPUTS;
        fanin_queues_up(1, usual);
        queue_make(&queues[1], CAPACITY, 64, usual);
        queue_link(&queues[1], CAPACITY, sizeof(struct fanin_element));
        n_pushed[1] = 0;
        n_taken[1] = 0;
        fanin_add(0, 1);
        fanin_add(1, 1);
        fanin_feed(1, 30);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), 1);
        CHECK_EQ(from, 1);
        REQUIRE(crossvm_region_owner_renew(&queues[1].a.owner, &queues[1].tx_chunk) == CROSSVM_OK);
        REQUIRE(crossvm_region_owner_renew(&queues[1].b.owner, &queues[1].rx_chunk) == CROSSVM_OK);
        REQUIRE(queue_rx_open(&queues[1], CAPACITY, 64) == CROSSVM_OK);
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 9, &from), CROSSVM_EMPTY);
        queue_link(&queues[1], CAPACITY, 64);
        unsigned char longer[64] = {0};
        for (int k = 0; k < 30; k++) {
            REQUIRE(crossvm_spsc_tx_push(&queues[1].tx, longer) == CROSSVM_OK);
        }
        fanin_feed(0, 2);
        for (uint32_t n_mismatch = 0; n_taken[0] < 2;) {
            int n_got = fanin_take((enum fanin_mode)mode, 9, &from);
            CHECK(n_got > 0 ? from == 0 : n_got == CROSSVM_MISMATCH && from == 1);
            n_mismatch += n_got == CROSSVM_MISMATCH ? 1 : 0;
            REQUIRE(n_mismatch <= 1);
        }
        fanin_down(2);
    }
}

/* Nothing is stored into an own part that is another chunk's by now. */
static void what_was_held_back_is_not_published_into_a_renewed_part(void)
{
    uint32_t from = N_INPUTS;
    fanin_up(1);
    fanin_feed(0, CAPACITY);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    REQUIRE(crossvm_region_owner_renew(&queues[0].b.owner, &queues[0].rx_chunk) == CROSSVM_OK);
    crossvm_store_relaxed(&queue_rx_words(&queues[0])->line.index, 77);
    CHECK_EQ(crossvm_fanin_remove(&fanin, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_load_relaxed(&queue_rx_words(&queues[0])->line.index), 77);
    fanin_down(1);
}

/* It was passed over as long as it was not linked; that it cannot be is told. */
static void an_input_that_fails_as_it_is_linked_is_told(void)
{
    struct fanin_element element;
    uint32_t from = N_INPUTS;
    fanin_queues_up(0, usual);
    queue_make(&queues[0], CAPACITY, sizeof(element), usual);
    REQUIRE(queue_rx_open(&queues[0], CAPACITY, sizeof(element)) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queues[0], 0) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queues[0]) == CROSSVM_NOT_YET);
    fanin_add(0, 1);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
    break_input(0);
    CHECK_EQ(queue_rx_link(&queues[0]), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_CORRUPT);
    CHECK_EQ(from, 0);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
    fanin_down(1);
}

/* Left out, because its elements are too long, and renewed then: nothing more is told, and nobody
 * has anything. */
static void an_input_that_is_left_out_and_renewed_is_told_no_more(void)
{
    for (int mode = 0; mode < N_FANIN_MODES; mode++) {
        uint32_t from = N_INPUTS;
        fanin_queues_up(1, usual);
        REQUIRE(crossvm_fanin_init(&fanin, inputs, 1, 64) == CROSSVM_OK);
        fanin_add(0, 1);
        fanin.elem_len = 4;
        CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_MISMATCH);
        renew_tx(&queues[0]);
        for (int k = 0; k < 3; k++) {
            CHECK_EQ(fanin_take((enum fanin_mode)mode, 1, &from), CROSSVM_EMPTY);
        }
        fanin_down(1);
    }
}

/* Mended, and broken again before anybody looked: told again. */
static void a_second_failure_is_told_again(void)
{
    struct fanin_element element;
    uint32_t from = N_INPUTS;
    fanin_up(1);
    break_input(0);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_CORRUPT);
    crossvm_store_relaxed(&queue_tx_words(&queues[0])->line.index, 0xfffffff0u);
    REQUIRE(queue_rx_open(&queues[0], CAPACITY, sizeof(element)) == CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
    REQUIRE(queue_rx_link(&queues[0]) == CROSSVM_OK);
    break_input(0);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_CORRUPT);
    fanin_down(1);
}

/* The same handle, opened and linked again, is served again, and a second failure is told, too. */
static void an_input_that_was_mended_is_served_again(void)
{
    struct fanin_element element;
    uint32_t from = N_INPUTS;
    fanin_up(2);
    fanin_feed(0, 1);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    uint32_t tail = crossvm_load_relaxed(&queue_tx_words(&queues[0])->line.index);
    for (int life = 0; life < 3; life++) {
        break_input(0);
        CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
        crossvm_store_relaxed(&queue_tx_words(&queues[0])->line.index, tail);
        queue_resume(&queues[0]);
        CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
    }
    fanin_feed(0, 2);
    CHECK_EQ(fanin_take(FANIN_POP_N, 8, &from), 2);
    CHECK_EQ(from, 0);
    fanin_down(2);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static void a_queue_that_is_not_linked_yet_is_passed_over_without_a_look(void)
{
    uint32_t from = N_INPUTS;
    fanin_queues_up(1, usual);
    queue_make(&queues[1], CAPACITY, sizeof(struct fanin_element), usual);
    REQUIRE(queue_rx_open(&queues[1], CAPACITY, sizeof(struct fanin_element)) == CROSSVM_OK);
    fanin_add(0, 1);
    fanin_add(1, 1);
    unsigned long cost = cost_of_a_pop(CROSSVM_EMPTY);
    CHECK(cost == 1 || cost == 3);
    queue_link(&queues[1], CAPACITY, sizeof(struct fanin_element));
    fanin_feed(1, 1);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    CHECK_EQ(from, 1);
    fanin_down(2);
}

static void places_are_taken_and_given_back(void)
{
    struct fanin_element element;
    uint32_t place = 77;
    uint32_t from = N_INPUTS;
    fanin_up(N_INPUTS - 1);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[3].rx, 1, &place), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_remove(&fanin, N_INPUTS - 1), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_fanin_remove(&fanin, N_INPUTS), CROSSVM_NOT_FOUND);
    fanin_feed(3, 5);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    CHECK_EQ(from, 3);
    CHECK_EQ(crossvm_fanin_remove(&fanin, 3), CROSSVM_OK);
    /* It was its turn: nothing more comes of it, and what was taken is published. */
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_spsc_tx_free(&queues[3].tx), CAPACITY - 4);
    CHECK_EQ(crossvm_fanin_release(&fanin, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[3].rx, 1, &place), CROSSVM_OK);
    CHECK_EQ(place, 3);
    CHECK_EQ(fanin_take(FANIN_POP_N, 9, &from), 4);
    CHECK_EQ(from, 3);
    fanin_down(N_INPUTS - 1);
}

/* Neither what was shown of an input that was taken out nor what was left of its turn is the next
 * one's in its place. */
static void the_next_one_in_a_place_begins_anew(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t place = 77;
    uint32_t from = N_INPUTS;
    fanin_queues_up(3, usual);
    fanin_add(0, 998);
    fanin_add(1, 1);
    fanin_feed(0, 3);
    fanin_feed(1, 3);
    fanin_feed(2, 3);
    CHECK_EQ(crossvm_fanin_peek(&fanin, 3, &span, &from), 3);
    CHECK_EQ(from, 0);
    CHECK_EQ(crossvm_fanin_remove(&fanin, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_release(&fanin, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[2].rx, 999, &place), CROSSVM_OK);
    CHECK_EQ(place, 0);
    CHECK_EQ(crossvm_fanin_peek(&fanin, 3, &span, &from), 1);
    CHECK_EQ(from, 1);
    fanin_down(3);
}

static void what_cannot_be_added_is_refused(void)
{
    static struct crossvm_spsc_rx other;
    struct fanin_element element;
    uint32_t place = 77;
    uint32_t from = N_INPUTS;
    fanin_queues_up(2, usual);
    CHECK_EQ(crossvm_fanin_init(&fanin, inputs, 0, 8), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_init(&fanin, inputs, CROSSVM_FANIN_ROUND + 1, 8), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_init(&fanin, inputs, 2, 0), CROSSVM_INVALID);
    REQUIRE(crossvm_fanin_init(&fanin, inputs, 2, 8) == CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_pop(&fanin, &element, &from), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[0].rx, 0, &place), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[0].rx, 1001, &place), CROSSVM_NO_SPACE);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[0].rx, 1000, &place), CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[1].rx, 1, &place), CROSSVM_NO_SPACE);
    CHECK_EQ(crossvm_fanin_remove(&fanin, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[0].rx, 1, &place), CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_add(&fanin, &queues[1].rx, 1, &place), CROSSVM_OK);
    CHECK_EQ(place, 1);
    CHECK_EQ(crossvm_fanin_add(&fanin, &other, 1, &place), CROSSVM_NO_SPACE);
    other.elem_len = 9;
    CHECK_EQ(crossvm_fanin_add(&fanin, &other, 1, &place), CROSSVM_INVALID);
    CHECK_EQ(place, 1);
    fanin_down(2);
}

static void nothing_is_taken_or_released_that_was_not_asked_for(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    struct fanin_element elements[CAPACITY];
    uint32_t from = N_INPUTS;
    fanin_up(2);
    fanin_feed(1, 6);
    CHECK_EQ(crossvm_fanin_pop_n(&fanin, elements, 0, &from), 0);
    CHECK_EQ(crossvm_fanin_peek(&fanin, 0, &span, &from), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_release(&fanin, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_peek(&fanin, 4, &span, &from), 4);
    CHECK_EQ(from, 1);
    CHECK_EQ(crossvm_fanin_release(&fanin, 5), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_release(&fanin, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_release(&fanin, 3), CROSSVM_OK);
    CHECK_EQ(crossvm_fanin_release(&fanin, 2), CROSSVM_INVALID);
    CHECK_EQ(crossvm_fanin_release(&fanin, 1), CROSSVM_OK);
    n_taken[1] = 4;
    CHECK_EQ(crossvm_fanin_peek(&fanin, 9, &span, &from), 2);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    /* One of those shown was taken since. */
    CHECK_EQ(crossvm_fanin_release(&fanin, 1), CROSSVM_INVALID);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    fanin_down(2);
}

/* Places that the queue would give back late are given back when its turn is over: its producer
 * may wait for them while the others are served. */
static void places_are_free_when_the_turn_is_over(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t from = N_INPUTS;
    fanin_queues_up(2, usual);
    fanin_add(0, 1);
    fanin_add(1, 999);
    fanin_feed(0, CAPACITY);
    fanin_feed(1, 1);
    CHECK_EQ(fanin_push(0), CROSSVM_FULL);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    CHECK_EQ(from, 0);
    CHECK_EQ(fanin_push(0), CROSSVM_FULL);
    CHECK_EQ(crossvm_fanin_peek(&fanin, 1, &span, &from), 1);
    CHECK_EQ(from, 1);
    CHECK_EQ(fanin_push(0), CROSSVM_OK);
    fanin_down(2);
}

static void inputs_that_were_served_are_named_once_and_give_their_places_back(void)
{
    uint32_t place = 77;
    uint32_t from = N_INPUTS;
    fanin_up(4);
    CHECK_EQ(crossvm_fanin_served(&fanin, &place), 0);
    fanin_feed(1, CAPACITY);
    fanin_feed(3, 1);
    CHECK_EQ(fanin_take(FANIN_PEEK, CAPACITY, &from), 32);
    CHECK_EQ(fanin_take(FANIN_PEEK, CAPACITY, &from), 1);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), 1);
    CHECK_EQ(from, 1);
    CHECK_EQ(crossvm_spsc_tx_free(&queues[1].tx), 32);
    CHECK_EQ(crossvm_fanin_served(&fanin, &place), 1);
    CHECK_EQ(place, 1);
    CHECK_EQ(crossvm_spsc_tx_free(&queues[1].tx), 33);
    CHECK_EQ(crossvm_spsc_rx_kick(&queues[place].rx), 1);
    CHECK_EQ(crossvm_fanin_served(&fanin, &place), 1);
    CHECK_EQ(place, 3);
    CHECK_EQ(crossvm_fanin_served(&fanin, &place), 0);
    break_input(3);
    CHECK_EQ(fanin_take(FANIN_POP_N, CAPACITY, &from), 31);
    CHECK_EQ(fanin_take(FANIN_POP, 1, &from), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_fanin_served(&fanin, &place), 1);
    CHECK_EQ(place, 1);
    CHECK_EQ(crossvm_fanin_served(&fanin, &place), 0);
    fanin_down(4);
}

/* Elements of different lengths; a queue that asks anew for longer ones is left out. */
static void inputs_have_lengths_of_their_own_up_to_the_fan_ins(void)
{
    unsigned char element[8];
    uint32_t place = N_INPUTS;
    uint32_t from = N_INPUTS;
    fanin_queues_up(1, usual);
    for (uint32_t i = 1; i < 3; i++) {
        queue_make(&queues[i], CAPACITY, 16, usual);
        REQUIRE(queue_rx_open(&queues[i], CAPACITY, 3) == CROSSVM_OK);
        REQUIRE(crossvm_fanin_add(&fanin, &queues[i].rx, 1, &place) == CROSSVM_OK);
    }
    queue_link(&queues[1], CAPACITY, 3);
    queue_link(&queues[2], CAPACITY, 9);
    CHECK_EQ(crossvm_spsc_tx_push(&queues[1].tx, "abc"), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_push(&queues[2].tx, "too long!"), CROSSVM_OK);
    memset(element, '-', sizeof(element));
    CHECK_EQ(crossvm_fanin_pop(&fanin, element, &from), CROSSVM_OK);
    CHECK(memcmp(element, "abc-----", sizeof(element)) == 0);
    CHECK_EQ(crossvm_fanin_pop(&fanin, element, &from), CROSSVM_MISMATCH);
    CHECK_EQ(from, 1);
    CHECK_EQ(crossvm_fanin_pop(&fanin, element, &from), CROSSVM_EMPTY);
    fanin_down(3);
}

static void uncached_inputs_carry_the_same(void)
{
    const struct queue_options device = {CROSSVM_UNCACHED, false};
    uint32_t from;
    fanin_queues_up(2, device);
    fanin_add(0, 1);
    fanin_add(1, 3);
    for (uint32_t round = 0; round < 300; round++) {
        fanin_feed(0, 2);
        fanin_feed(1, 3);
        (void)fanin_take((enum fanin_mode)(round % N_FANIN_MODES), 4, &from);
    }
    while (fanin_take(FANIN_POP, 1, &from) > 0) {
    }
    CHECK_EQ(n_taken[0], n_pushed[0]);
    CHECK_EQ(n_taken[1], n_pushed[1]);
    fanin_down(2);
}

/* ---- a hostile input ------------------------------------------------------------------------- */

static uint64_t enemy_state = 1;

/* The producer of input 0 writes anything into its part. */
static void enemy(void *unused)
{
    struct crossvm_le32 *words = (struct crossvm_le32 *)(void *)queue_tx_words(&queues[0]);
    (void)unused;
    uint32_t word = check_random(&enemy_state) % 4 == 0
                        ? check_random(&enemy_state) % (CROSSVM_SPSC_CONTROL_LEN / 4)
                        : 0;
    uint32_t value = check_random(&enemy_state) % 2 == 0
                         ? queues[0].rx.head + check_random(&enemy_state) % (CAPACITY + 2)
                         : check_random(&enemy_state);
    crossvm_store_relaxed(&words[word], value);
}

static void a_hostile_input_harms_nobody(void)
{
    for (uint32_t life = 0; life < 2000 / CHECK_SHORTER; life++) {
        unsigned long told = 0;
        fanin_up(3);
        test_hook_arm(0, enemy, NULL);
        for (uint32_t round = 0; round < 40; round++) {
            struct fanin_element elements[CAPACITY];
            uint32_t from = N_INPUTS;
            test_hook.acting = true;
            fanin_feed(1, 1);
            fanin_feed(2, 2);
            test_hook.acting = false;
            unsigned long before = test_hook.seen;
            int n = crossvm_fanin_pop_n(&fanin, elements, 1 + life % 8, &from);
            CHECK(test_hook.seen - before <= 3 * 8);
            told += n < 0 && n != CROSSVM_EMPTY ? 1 : 0;
            CHECK(n <= 8 && (n > 0 || from == 0));
            for (int k = 0; k < n && from != 0; k++) {
                fanin_check(&elements[k], from);
            }
        }
        (void)test_hook_disarm();
        CHECK(told <= 1);
        uint32_t from;
        while (fanin_take(FANIN_POP, 1, &from) != CROSSVM_EMPTY && from != 0) {
        }
        CHECK(n_taken[1] > 30 / 8 && n_taken[2] > 30 / 8);
        fanin_down(3);
    }
}

int main(void)
{
    test_guard();
    CASE(elements_of_each_input_come_in_order_and_say_whose_they_are);
    CASE(backlogged_inputs_get_their_weighted_share_of_any_10000);
    CASE(a_turn_ends_when_its_share_is_used_up);
    CASE(an_idle_input_costs_one_shared_load_a_round);
    CASE(a_round_without_elements_costs_two_loads_more);
    CASE(a_broken_input_is_told_once_costs_nothing_and_harms_nobody);
    CASE(an_input_that_breaks_in_its_turn_is_told_too);
    CASE(a_renewed_chunk_is_told_as_stale);
    CASE(an_own_part_that_is_gone_is_told_as_stale);
    CASE(a_part_that_goes_in_mid_turn_is_told_once_and_left_alone);
    CASE(a_part_that_is_renewed_unused_is_told);
    CASE(an_input_that_is_opened_anew_in_its_turn_begins_anew);
    CASE(what_was_held_back_is_not_published_into_a_renewed_part);
    CASE(an_input_that_fails_as_it_is_linked_is_told);
    CASE(an_input_that_is_left_out_and_renewed_is_told_no_more);
    CASE(a_second_failure_is_told_again);
    CASE(an_input_that_was_mended_is_served_again);
    CASE(a_queue_that_is_not_linked_yet_is_passed_over_without_a_look);
    CASE(places_are_taken_and_given_back);
    CASE(the_next_one_in_a_place_begins_anew);
    CASE(what_cannot_be_added_is_refused);
    CASE(nothing_is_taken_or_released_that_was_not_asked_for);
    CASE(places_are_free_when_the_turn_is_over);
    CASE(inputs_that_were_served_are_named_once_and_give_their_places_back);
    CASE(inputs_have_lengths_of_their_own_up_to_the_fan_ins);
    CASE(uncached_inputs_carry_the_same);
    CASE(a_hostile_input_harms_nobody);
    return check_done();
}
