/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fanin.c - many queues served as one, whose producers all write anything at any time.
 */
#include "fuzz.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_fanin_init",  "crossvm_fanin_add",  "crossvm_fanin_remove",  "crossvm_fanin_pop",
    "crossvm_fanin_pop_n", "crossvm_fanin_peek", "crossvm_fanin_release", "crossvm_fanin_served",
};

enum {
    QUEUES = 3,
    CAPACITY = 4,
    LEN = 16,
    N_MAX = CAPACITY + 2,
    /* Shared accesses of one call, at most. */
    STEPS_QUEUE = 10, /* a look at one queue, and what it held back */
    STEPS_ROUND = QUEUES * STEPS_QUEUE + 4,
    STEPS_POP = STEPS_ROUND + STEPS_QUEUE,
    STEPS_POP_N = STEPS_POP + CAPACITY
};

static struct fuzz_region a; /* the producers' */
static struct fuzz_region b; /* the consumer's */
static struct fuzz_part tx_parts[QUEUES];
static struct fuzz_part rx_parts[QUEUES];
static struct fuzz_image image;
static struct crossvm_fanin fanin;
static struct crossvm_fanin_input *inputs; /* QUEUES, exactly */
static struct crossvm_spsc_rx rx[QUEUES];
static unsigned char *elems;

/* ---- a state to begin with ------------------------------------------------------------------- */

static void make_queue(uint32_t i)
{
    struct crossvm_spsc_tx tx;
    const struct crossvm_chunk *tx_chunk = &a.table[i];
    const struct crossvm_chunk *rx_chunk = &b.table[i];
    tx_parts[i] = fuzz_part_of(&a, tx_chunk);
    rx_parts[i] = fuzz_part_of(&b, rx_chunk);
    FUZZ_CHECK(crossvm_spsc_rx_open(&rx[i], &b.owner.region, rx_chunk, CAPACITY, LEN - 4 * i, 1) ==
               CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_open(&tx, &a.owner.region, tx_chunk, 0, 1) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_link(&tx, &b.reader, rx_chunk) == CROSSVM_NOT_YET);
    FUZZ_CHECK(crossvm_spsc_rx_link(&rx[i], &a.reader, tx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_link(&tx, &b.reader, rx_chunk) == CROSSVM_OK);
    for (uint32_t k = 0; k < i; k++) {
        FUZZ_CHECK(crossvm_spsc_tx_push(&tx, elems) == CROSSVM_OK);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct crossvm_chunk_decl decls_a[] = {
        {"q0", CROSSVM_KIND_SPSC_TX, CAPACITY, LEN, 1, 2, 0, 1},
        {"q1", CROSSVM_KIND_SPSC_TX, CAPACITY, LEN, 1, 2, 0, 2},
        {"q2", CROSSVM_KIND_SPSC_TX, CAPACITY, LEN, 1, 2, 0, 3},
    };
    static const struct crossvm_chunk_decl decls_b[] = {
        {"q0", CROSSVM_KIND_SPSC_RX, 0, 0, 2, 1, 0, 1},
        {"q1", CROSSVM_KIND_SPSC_RX, 0, 0, 2, 1, 0, 2},
        {"q2", CROSSVM_KIND_SPSC_RX, 0, 0, 2, 1, 0, 3},
    };
    const struct crossvm_region_plan plan_a = {decls_a, QUEUES, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {decls_b, QUEUES, 0, 128, 0, 2, {2}, 0, {0, 0, 0}};
    uint32_t place;
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elems = (unsigned char *)fuzz_private(N_MAX * LEN);
    inputs = (struct crossvm_fanin_input *)fuzz_private(QUEUES * sizeof(*inputs));
    fuzz_region_make(&a, &plan_a, 2);
    fuzz_region_make(&b, &plan_b, 1);
    FUZZ_CHECK(crossvm_fanin_init(&fanin, inputs, QUEUES, LEN) == CROSSVM_OK);
    for (uint32_t i = 0; i < QUEUES; i++) {
        make_queue(i);
        FUZZ_CHECK(crossvm_fanin_add(&fanin, &rx[i], i + 1, &place) == CROSSVM_OK);
    }
    fuzz_image_add(&image, tx_parts[0].writable, QUEUES * tx_parts[0].len);
    fuzz_image_add(&image, rx_parts[0].writable, QUEUES * rx_parts[0].len);
    fuzz_image_add(&image, rx, sizeof(rx));
    fuzz_image_add(&image, &fanin, sizeof(fanin));
    fuzz_image_add(&image, inputs, QUEUES * sizeof(*inputs));
    fuzz_region_close(&a);
    fuzz_region_close(&b);
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

#define GIVES (FUZZ_S(EMPTY) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

/* One input's failure is told once, with its record. */
static void answered(int status, uint32_t from)
{
    FUZZ_CHECK(from < QUEUES);
    if (status == CROSSVM_STALE || status == CROSSVM_CORRUPT) {
        FUZZ_CHECK(fanin.inputs[from].queue->state == status && fanin.inputs[from].told);
    }
}

static void pop(void)
{
    uint32_t from = 0;
    unsigned char *room = elems + (N_MAX - 1) * LEN;
    int status = FUZZ_CALL(crossvm_fanin_pop, (&fanin, room, &from), STEPS_POP, GIVES, 0);
    answered(status, from);
    fuzz_use(room, status == CROSSVM_OK ? LEN : 0);
}

static void pop_n(uint32_t n)
{
    uint32_t from = 0;
    unsigned char *room = elems + (size_t)(N_MAX - n) * LEN;
    int most = n < CAPACITY ? (int)n : CAPACITY;
    int status = FUZZ_CALL(crossvm_fanin_pop_n, (&fanin, room, n, &from), STEPS_POP_N, GIVES, most);
    answered(status, from);
    fuzz_use(room, status > 0 ? (size_t)status * fanin.inputs[from].queue->elem_len : 0);
}

static void look(uint32_t n, uint32_t n_release)
{
    struct crossvm_spsc_rx_span span;
    uint32_t from = 0;
    int status = FUZZ_CALL(crossvm_fanin_peek, (&fanin, n, &span, &from), STEPS_POP,
                           GIVES | FUZZ_S(INVALID), CAPACITY);
    answered(status, from);
    for (int i = 0; i < status; i++) {
        fuzz_use_shared(crossvm_spsc_rx_span_at(&span, (uint32_t)i),
                        fanin.inputs[from].queue->elem_len);
    }
    (void)FUZZ_CALL(crossvm_fanin_release, (&fanin, n_release), STEPS_QUEUE,
                    FUZZ_S(INVALID) | FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
}

static void change(uint8_t arg)
{
    uint32_t place = QUEUES;
    if (arg < 128) {
        (void)FUZZ_CALL(crossvm_fanin_remove, (&fanin, arg % 4u), STEPS_QUEUE, FUZZ_S(NOT_FOUND),
                        0);
    } else if (arg < 250) {
        int status = FUZZ_CALL(crossvm_fanin_add, (&fanin, &rx[arg % 3], arg % 5u, &place), 0,
                               FUZZ_S(INVALID) | FUZZ_S(NO_SPACE), 0);
        FUZZ_CHECK(status != CROSSVM_OK || place < QUEUES);
    } else {
        (void)FUZZ_CALL(crossvm_fanin_init, (&fanin, inputs, QUEUES, LEN - arg % 5u), 0, 0, 0);
    }
}

static void holds(void)
{
    for (uint32_t i = 0; i < QUEUES; i++) {
        FUZZ_CHECK(rx[i].state != CROSSVM_OK || rx[i].tail - rx[i].head <= CAPACITY);
        FUZZ_CHECK((rx[i].state == CROSSVM_CORRUPT) == (rx[i].fault.rule != CROSSVM_RULE_NONE));
        if (rx[i].state == CROSSVM_CORRUPT) {
            FUZZ_CHECK(rx[i].fault.off >= tx_parts[i].off);
            FUZZ_CHECK(rx[i].fault.off < tx_parts[i].off + tx_parts[i].len);
        }
    }
    FUZZ_CHECK(fanin.turn < QUEUES && fanin.in_hand <= CAPACITY);
}

static void call(uint8_t op, uint8_t arg)
{
    uint32_t place = QUEUES;
    switch (op % 8) {
    case 0:
    case 1:
    case 2:
        pop();
        break;
    case 3:
        pop_n(arg % (N_MAX + 1u));
        break;
    case 4:
    case 5:
        look(arg % N_MAX, arg / 16u % 6u);
        break;
    case 6:
        if (FUZZ_CALL(crossvm_fanin_served, (&fanin, &place), QUEUES * 2, 0, 1) == 1) {
            FUZZ_CHECK(place < QUEUES);
        }
        break;
    default:
        change(arg);
        break;
    }
    holds();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    fuzz_image_restore(&image);
    for (unsigned i = 0; i < QUEUES; i++) {
        fuzz_hot(fuzz_part_add(&tx_parts[i], true), 0, 2);
        fuzz_hot(&tx_parts[i], 0, 1);
        const struct fuzz_part *own = fuzz_part_add(&rx_parts[i], false);
        fuzz_keep(own, 4, 508); /* the head is all that it stores */
        fuzz_around(&rx[i].tail);
    }
    fuzz_around(&rx[0].head);
    for (unsigned i = 0; i < FUZZ_CALLS && fuzz_more(&op, &arg); i++) {
        call(op, arg);
    }
    fuzz_kept_check(&image);
    return 0;
}
