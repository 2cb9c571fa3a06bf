/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of several writers: a writer that pushes or buries, and the consumer, left at each
 * change. The dead writer is number 1. What each index holds is known, but for the dead one's last
 * element, which is there whole, or is a claim that has to be given up.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/mpsc.h"

enum {
    CAPACITY = 8,
    ELEM_LEN = 20,
    N_NUMBERS = 128,
    DEAD = 1 /* the id of the writer that dies */
};

static struct {
    struct mpsc mpsc;
    uint32_t start;                   /* the first index */
    uint32_t tail;                    /* when the operation begins */
    uint32_t head;                    /* as published then */
    uint32_t numbers[N_NUMBERS];      /* what each index from start on holds, 0 = not known */
    uint32_t which[MPSC_WRITERS + 1]; /* the next number of each writer */
    uint32_t n_dead; /* elements of the dead writer that were committed and taken */
} world;

static const struct queue_options usual = MPSC_USUAL;

static void drop(void)
{
    mpsc_drop(&world.mpsc);
}

/* ---- what everybody does --------------------------------------------------------------------- */

static uint32_t *number_at(uint32_t index)
{
    REQUIRE(index - world.start < N_NUMBERS);
    return &world.numbers[index - world.start];
}

static int push(uint32_t writer)
{
    int status = mpsc_push(&world.mpsc, writer, world.which[writer]);
    if (status == CROSSVM_OK) {
        *number_at(world.mpsc.tx[writer - 1].index) = mpsc_number(writer, world.which[writer]);
        world.which[writer]++;
    }
    return status;
}

/* All that fits, by two writers in turn. */
static uint32_t push_all(uint32_t one, uint32_t two)
{
    uint32_t n = 0;
    int status = push(one);
    while (status == CROSSVM_OK && n <= CAPACITY) {
        n++;
        status = push(n % 2 == 0 ? one : two);
    }
    CHECK_EQ(status, CROSSVM_FULL);
    return n;
}

/* What was popped from an index is what was pushed there; the first unknown one is the dead's. */
static void judge(uint32_t index, const unsigned char *elem)
{
    uint32_t expected = *number_at(index);
    if (expected == 0) {
        CHECK_EQ(world.mpsc.rx.writer, DEAD);
        expected = mpsc_number(DEAD, world.which[DEAD]);
        world.which[DEAD]++;
        world.n_dead++;
    }
    CHECK(queue_is(elem, ELEM_LEN, expected));
    CHECK_EQ(world.mpsc.rx.writer, expected >> 28);
}

static int pop(void)
{
    unsigned char elem[ELEM_LEN];
    int status = crossvm_mpsc_rx_pop(&world.mpsc.rx, elem);
    if (status == CROSSVM_OK) {
        judge(world.mpsc.rx.head - 1, elem);
    }
    return status;
}

/* Pops what is there; EMPTY, or NOT_YET behind it is a claim of the dead writer's. */
static int pop_all(void)
{
    int status = pop();
    for (unsigned i = 0; i <= CAPACITY && status == CROSSVM_OK; i++) {
        status = pop();
    }
    CHECK(status == CROSSVM_EMPTY || (status == CROSSVM_NOT_YET && world.mpsc.rx.writer == DEAD));
    return status;
}

/* Rounds in which nothing is under way any more. */
static void goes_on(uint32_t one, uint32_t two)
{
    uint64_t n_lost = world.mpsc.rx.n_lost;
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(push_all(one, two), CAPACITY);
        CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    }
    CHECK_EQ(world.mpsc.rx.n_lost, n_lost);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

static void remember(void)
{
    crossvm_mpsc_rx_flush(&world.mpsc.rx);
    world.head = world.mpsc.rx.head;
    world.tail = mpsc_tail(&world.mpsc);
}

/* Wrapping: the index passes 2^32 with the next element but one. */
static void linked(enum crash_state state)
{
    world.start = state == CRASH_WRAPPING ? 0xfffffffbu : 13;
    mpsc_up(&world.mpsc, CAPACITY, ELEM_LEN, world.start, usual);
    crash_memory(&world.mpsc.a.writable);
    crash_memory(&world.mpsc.b.writable);
    for (uint32_t writer = 1; writer <= MPSC_WRITERS; writer++) {
        uint64_t again_ns;
        world.which[writer] = 1;
        CHECK_EQ(crossvm_mpsc_tx_kick(&world.mpsc.tx[writer - 1], 0, &again_ns), 1);
    }
    uint32_t n = state == CRASH_FULL ? CAPACITY : state == CRASH_WRAPPING ? 4 : 0;
    for (uint32_t i = 0; i < n; i++) {
        CHECK_EQ(push(1 + i % 2), CROSSVM_OK);
    }
    for (uint32_t i = 0; state == CRASH_WRAPPING && i < 2; i++) {
        CHECK_EQ(pop(), CROSSVM_OK);
    }
    remember();
}

/* For the consumer: its head is the one that passes 2^32. */
static void filled(enum crash_state state)
{
    linked(state);
    for (uint32_t i = 0; state == CRASH_WRAPPING && i < 4; i++) {
        CHECK_EQ(push(1 + i % 2), CROSSVM_OK);
    }
    CHECK(state != CRASH_WRAPPING || pop() == CROSSVM_OK);
    remember();
}

static void without_elements(enum crash_state state)
{
    linked(state);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    remember();
}

/* The next slot is the dead writer's claim, with an element of another one behind it. */
static void claimed(enum crash_state state)
{
    linked(state);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    mpsc_dies_claiming(&world.mpsc, DEAD);
    CHECK_EQ(push(2), CROSSVM_OK);
    for (uint32_t i = 0; state == CRASH_FULL && i < CAPACITY - 2; i++) {
        CHECK_EQ(push(3), CROSSVM_OK);
    }
    remember();
}

static void armed(enum crash_state state)
{
    without_elements(state);
    CHECK_EQ(crossvm_mpsc_rx_arm(&world.mpsc.rx, 2, 0), 0);
}

static void made(enum crash_state state)
{
    (void)state;
    world.start = 0;
    world.which[1] = 1;
    world.which[2] = 1;
    mpsc_make(&world.mpsc, CAPACITY, ELEM_LEN, usual);
    crash_memory(&world.mpsc.a.writable);
    crash_memory(&world.mpsc.b.writable);
    CHECK_EQ(mpsc_tx_open(&world.mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_open(&world.mpsc, 2), CROSSVM_OK);
}

/* ---- who survives a writer ------------------------------------------------------------------- */

/* Another writer pushes behind the dead one's claim, and buries it. */
static int others_bury(void)
{
    int pushed = push(2);
    CHECK(pushed == CROSSVM_OK || pushed == CROSSVM_FULL);
    int status = pop_all();
    CHECK_EQ(crossvm_mpsc_tx_bury(&world.mpsc.tx[1], DEAD), status == CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_mpsc_tx_bury(&world.mpsc.tx[2], DEAD), 0);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, status == CROSSVM_NOT_YET);
    goes_on(2, 3);
    return (int)world.n_dead;
}

static int consumer_skips(void)
{
    int status = pop_all();
    CHECK_EQ(crossvm_mpsc_rx_skip(&world.mpsc.rx, DEAD),
             status == CROSSVM_NOT_YET ? CROSSVM_OK : CROSSVM_INVALID);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, status == CROSSVM_NOT_YET);
    goes_on(2, 3);
    return (int)world.n_dead;
}

/* The dead one's next incarnation gives up what it had claimed, and goes on. */
static int writer_comes_back(void)
{
    mpsc_tx_up(&world.mpsc, DEAD);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK(world.mpsc.rx.n_lost <= 1 && world.mpsc.rx.n_lost + world.n_dead <= 1);
    goes_on(DEAD, 2);
    return (int)world.n_dead;
}

static int all_come_back(void)
{
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(world.mpsc.rx.head, world.head);
    mpsc_tx_up(&world.mpsc, 2);
    mpsc_tx_up(&world.mpsc, DEAD);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    goes_on(DEAD, 2);
    return (int)world.n_dead;
}

#define SURVIVE_WRITER                                                                  \
    {                                                                                   \
        {"the others bury it", others_bury}, {"the consumer skips it", consumer_skips}, \
            {"it comes back", writer_comes_back}, {"all come back", all_come_back},     \
    }

/* ---- who survives one that buries ------------------------------------------------------------ */

/* Whether the claim at the head is given up by now; then it is, and the rest is popped. */
static int third_buries(void)
{
    int n_buried = crossvm_mpsc_tx_bury(&world.mpsc.tx[2], DEAD);
    CHECK(n_buried == 0 || n_buried == 1);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, 1);
    CHECK_EQ(world.n_dead, 0);
    goes_on(3, 4);
    return 1 - n_buried;
}

static int consumer_looks_first(void)
{
    int status = pop();
    int outcome = status == CROSSVM_OK;
    CHECK(outcome || status == CROSSVM_NOT_YET);
    mpsc_tx_up(&world.mpsc, DEAD);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, 1);
    CHECK_EQ(world.n_dead, 0);
    goes_on(DEAD, 3);
    return outcome;
}

static int gravedigger_comes_back(void)
{
    mpsc_tx_up(&world.mpsc, 2);
    int n_buried = crossvm_mpsc_tx_bury(&world.mpsc.tx[1], DEAD);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, 1);
    goes_on(2, 3);
    return 1 - n_buried;
}

#define SURVIVE_GRAVEDIGGER                                                                       \
    {                                                                                             \
        {"a third one buries", third_buries}, {"the consumer looks first", consumer_looks_first}, \
            {"it comes back", gravedigger_comes_back},                                            \
    }

/* ---- who survives the consumer --------------------------------------------------------------- */

/* The writers fill what is free; the consumer comes back at what it had released. */
static int writers_write_on(void)
{
    uint32_t n = push_all(2, 3);
    uint32_t released = n - (CAPACITY - (world.tail - world.head));
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(world.mpsc.rx.head, world.head + released);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.head, world.tail + n);
    goes_on(2, 3);
    return (int)released;
}

static int consumer_comes_back(void)
{
    mpsc_rx_up(&world.mpsc);
    uint32_t released = world.mpsc.rx.head - world.head;
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.head, world.tail);
    goes_on(2, 3);
    return (int)released;
}

#define SURVIVE_CONSUMER                                      \
    {                                                         \
        {"the writers write on", writers_write_on},           \
            {"the consumer comes back", consumer_comes_back}, \
    }

/* With the dead writer's claim at the head, or behind it. */
static int skipping_consumer_comes_back(void)
{
    mpsc_rx_up(&world.mpsc);
    uint32_t passed = world.mpsc.rx.head - world.head;
    if (passed == 0) {
        CHECK_EQ(pop(), CROSSVM_NOT_YET);
        CHECK_EQ(crossvm_mpsc_rx_skip(&world.mpsc.rx, DEAD), CROSSVM_OK);
    }
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.head, world.tail);
    goes_on(2, 3);
    return (int)passed;
}

/* The claim is buried meanwhile: it is lost once, by whomever. */
static int writers_bury_what_is_skipped(void)
{
    int n_buried = crossvm_mpsc_tx_bury(&world.mpsc.tx[1], DEAD);
    CHECK_EQ(n_buried, 1);
    uint32_t n = push_all(2, 3);
    uint32_t passed = n - (CAPACITY - (world.tail - world.head));
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, 1 - passed);
    goes_on(2, 3);
    return (int)passed;
}

/* ---- what dies ------------------------------------------------------------------------------- */

static int pushes(void)
{
    bool full = world.tail - world.head == CAPACITY;
    return push(DEAD) == (full ? CROSSVM_FULL : CROSSVM_OK) ? (int)!full : -1;
}

static int fills_in_place(void)
{
    void *place = NULL;
    int status = crossvm_mpsc_tx_reserve(&world.mpsc.tx[DEAD - 1], &place);
    if (status != CROSSVM_OK) {
        return status == CROSSVM_FULL && world.tail - world.head == CAPACITY ? 0 : -1;
    }
    queue_fill(place, ELEM_LEN, mpsc_number(DEAD, world.which[DEAD]));
    return crossvm_mpsc_tx_commit(&world.mpsc.tx[DEAD - 1]) == CROSSVM_OK ? 1 : -1;
}

static int buries(void)
{
    return crossvm_mpsc_tx_bury(&world.mpsc.tx[1], DEAD);
}

static int opens_behind_a_claim(void)
{
    return mpsc_tx_open(&world.mpsc, DEAD) == CROSSVM_OK ? 1 : -1;
}

static int pops(void)
{
    int status = CROSSVM_OK;
    while (status == CROSSVM_OK && world.mpsc.rx.published == world.head) {
        status = pop();
    }
    return (int)(world.mpsc.rx.published - world.head);
}

/* A look that finds nothing gives back what was held back. */
static int pops_until_there_is_nothing(void)
{
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    bool late = world.mpsc.rx.published != world.tail;
    return late ? -1 : (int)(world.tail - world.head);
}

static int pops_many(void)
{
    unsigned char elems[4 * ELEM_LEN];
    int n = crossvm_mpsc_rx_pop_n(&world.mpsc.rx, elems, 4);
    for (int i = 0; i < n; i++) {
        if (!queue_is(elems + i * ELEM_LEN, ELEM_LEN, *number_at(world.head + (uint32_t)i))) {
            return -1;
        }
    }
    return (int)(world.mpsc.rx.published - world.head);
}

static int releases(void)
{
    const void *elem = NULL;
    for (unsigned i = 0; i < 2; i++) {
        int status = crossvm_mpsc_rx_peek(&world.mpsc.rx, &elem);
        if (status != CROSSVM_OK) {
            return status == CROSSVM_EMPTY && world.tail == world.head ? 0 : -1;
        }
        judge(world.mpsc.rx.head, (const unsigned char *)elem);
        CHECK_EQ(crossvm_mpsc_rx_release(&world.mpsc.rx), CROSSVM_OK);
    }
    return (int)(world.mpsc.rx.published - world.head);
}

static int pops_one_and_flushes(void)
{
    CHECK(pop() == CROSSVM_OK || world.tail == world.head);
    crossvm_mpsc_rx_flush(&world.mpsc.rx);
    return world.tail != world.head;
}

static int pops_one_and_counts(void)
{
    CHECK(pop() == CROSSVM_OK || world.tail == world.head);
    int n = crossvm_mpsc_rx_fill(&world.mpsc.rx);
    return n == (int)(world.tail - world.mpsc.rx.head) ? (int)(world.tail != world.head) : -1;
}

static int skips(void)
{
    return crossvm_mpsc_rx_skip(&world.mpsc.rx, DEAD) == CROSSVM_OK ? 1 : -1;
}

/* A claim that was given up is passed over by whoever pops. */
static void given_up(enum crash_state state)
{
    claimed(state);
    CHECK_EQ(crossvm_mpsc_tx_bury(&world.mpsc.tx[1], DEAD), 1);
}

/* The loss, and the element behind it; published with the second. */
static int passes_over(void)
{
    return pop() == CROSSVM_OK ? (int)(world.mpsc.rx.published - world.head) : -1;
}

/* What a watcher reads of losses, which are counted since the consumer has opened. */
static int watcher_counts(void)
{
    const struct crossvm_mpsc_rx_shm *words = mpsc_rx_words(&world.mpsc);
    return (int)crossvm_load_pair(&words->n_lost_lo, &words->n_lost_hi);
}

static int loses_one(void)
{
    return pop() == CROSSVM_OK ? 1 : -1;
}

static int losing_consumer_comes_back(void)
{
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(watcher_counts(), 0);
    uint32_t passed = world.mpsc.rx.head - world.head;
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.n_lost, passed == 0);
    CHECK_EQ(world.mpsc.rx.head, world.tail);
    goes_on(2, 3);
    return (int)passed;
}

static int consumer_opens_again(void)
{
    return mpsc_rx_open(&world.mpsc) == CROSSVM_OK && mpsc_rx_link(&world.mpsc) == CROSSVM_OK ? 0
                                                                                              : -1;
}

/* ---- waking ---------------------------------------------------------------------------------- */

static int arms(void)
{
    return crossvm_mpsc_rx_arm(&world.mpsc.rx, 2, 1000) == 0 ? 1 : -1;
}

static int disarms(void)
{
    crossvm_mpsc_rx_disarm(&world.mpsc.rx);
    return 1;
}

/* A writer rings for the second element iff the consumer has armed. */
static int writer_rings(void)
{
    uint64_t again_ns;
    CHECK_EQ(push(2), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_kick(&world.mpsc.tx[1], 0, &again_ns), 0);
    CHECK_EQ(push(2), CROSSVM_OK);
    int rings = crossvm_mpsc_tx_kick(&world.mpsc.tx[1], 0, &again_ns);
    CHECK_EQ(push_all(3, 4), CAPACITY - 2);
    return rings;
}

static int writer_rings_not(void)
{
    return 1 - writer_rings();
}

static int armed_consumer_comes_back(void)
{
    uint64_t again_ns;
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(push(2), CROSSVM_OK);
    CHECK_EQ(push(2), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_kick(&world.mpsc.tx[1], 0, &again_ns), 0);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_mpsc_rx_arm(&world.mpsc.rx, 1, 0), 0);
    CHECK_EQ(push(2), CROSSVM_OK);
    CHECK_EQ(crossvm_mpsc_tx_kick(&world.mpsc.tx[1], 0, &again_ns), 1);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    goes_on(2, 3);
    return CRASH_UNSEEN;
}

/* ---- coming up ------------------------------------------------------------------------------- */

static int consumer_links(void)
{
    return mpsc_rx_open(&world.mpsc) == CROSSVM_OK && mpsc_rx_link(&world.mpsc) == CROSSVM_OK ? 1
                                                                                              : -1;
}

/* The writers find the consumer's whole name or none; what they push is there when it is back. */
static int writer_links(void)
{
    int status = mpsc_tx_link(&world.mpsc, 1);
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    if (status == CROSSVM_OK) {
        CHECK_EQ(push(1), CROSSVM_OK);
    }
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(mpsc_tx_link(&world.mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&world.mpsc, 2), CROSSVM_OK);
    CHECK_EQ(pop_all(), CROSSVM_EMPTY);
    CHECK_EQ(world.mpsc.rx.head, status == CROSSVM_OK);
    goes_on(1, 2);
    return status == CROSSVM_OK;
}

static int linking_consumer_comes_back(void)
{
    mpsc_rx_up(&world.mpsc);
    CHECK_EQ(mpsc_tx_link(&world.mpsc, 1), CROSSVM_OK);
    CHECK_EQ(mpsc_tx_link(&world.mpsc, 2), CROSSVM_OK);
    goes_on(1, 2);
    return CRASH_UNSEEN;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct crash_operation operations[] = {
    {"crossvm_mpsc_tx_push", CRASH_EACH, linked, pushes, SURVIVE_WRITER, false},
    {"crossvm_mpsc_tx_reserve crossvm_mpsc_tx_commit", CRASH_EACH, linked, fills_in_place,
     SURVIVE_WRITER, false},
    {"crossvm_mpsc_tx_bury", CRASH_EACH, claimed, buries, SURVIVE_GRAVEDIGGER, false},
    {"crossvm_mpsc_tx_open", CRASH_EACH, claimed, opens_behind_a_claim, SURVIVE_GRAVEDIGGER, false},
    {"crossvm_mpsc_rx_open crossvm_mpsc_rx_link",
     CRASH_EMPTY,
     made,
     consumer_links,
     {{"a writer links", writer_links}, {"the consumer comes back", linking_consumer_comes_back}},
     false},
    {"crossvm_mpsc_rx_open crossvm_mpsc_rx_link", CRASH_EACH, filled, consumer_opens_again,
     SURVIVE_CONSUMER, false},
    {"crossvm_mpsc_rx_pop", CRASH_EACH, filled, pops, SURVIVE_CONSUMER, false},
    {"crossvm_mpsc_rx_pop",
     CRASH_EACH,
     given_up,
     passes_over,
     {{"the consumer comes back", losing_consumer_comes_back}},
     false},
    {"crossvm_mpsc_rx_pop",
     CRASH_EACH,
     given_up,
     loses_one,
     {{"a watcher counts the loss", watcher_counts}},
     false},
    {"crossvm_mpsc_rx_pop", CRASH_EACH, filled, pops_until_there_is_nothing, SURVIVE_CONSUMER,
     true},
    {"crossvm_mpsc_rx_pop_n", CRASH_EACH, filled, pops_many, SURVIVE_CONSUMER, true},
    {"crossvm_mpsc_rx_peek crossvm_mpsc_rx_release", CRASH_EACH, filled, releases, SURVIVE_CONSUMER,
     false},
    {"crossvm_mpsc_rx_flush", CRASH_EACH, filled, pops_one_and_flushes, SURVIVE_CONSUMER, false},
    {"crossvm_mpsc_rx_fill", CRASH_EACH, filled, pops_one_and_counts, SURVIVE_CONSUMER, false},
    {"crossvm_mpsc_rx_skip",
     CRASH_EACH,
     claimed,
     skips,
     {{"the consumer comes back", skipping_consumer_comes_back},
      {"the writers bury the claim", writers_bury_what_is_skipped}},
     false},
    {"crossvm_mpsc_rx_skip",
     CRASH_EACH,
     claimed,
     skips,
     {{"a watcher counts the loss", watcher_counts}},
     false},
    {"crossvm_mpsc_rx_arm",
     CRASH_EACH,
     without_elements,
     arms,
     {{"a writer rings", writer_rings}, {"the consumer comes back", armed_consumer_comes_back}},
     false},
    {"crossvm_mpsc_rx_disarm",
     CRASH_EACH,
     armed,
     disarms,
     {{"a writer rings no more", writer_rings_not},
      {"the consumer comes back", armed_consumer_comes_back}},
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
