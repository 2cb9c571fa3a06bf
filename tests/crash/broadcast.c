/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broadcast: its writer, left at each change, with two slots and with four. The reader gets, or
 * is told that it lost, every number once and in order.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/broadcast.h"

enum {
    ELEM_LEN = 28, /* of what lies in the slots when the operation begins */
    NEW_LEN = 21   /* of what is published from then on */
};

static struct {
    struct test_broadcast cast;
    struct test_tally tally; /* of the reader, which has nothing left to read at first */
    uint64_t number;         /* the newest when the operation begins */
    uint32_t n;              /* how many the operation publishes */
} world;

static void drop(void)
{
    test_broadcast_drop(&world.cast);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

/* Empty: nothing published. Full: every slot holds an element. Wrapping: low words begin anew. */
static void published(enum crash_state state, uint32_t n_slots)
{
    world.number = state == CRASH_EMPTY ? 0 : state == CRASH_FULL ? 9 : 0xffffffffu;
    test_broadcast_make(&world.cast, n_slots, ELEM_LEN);
    crash_memory(&world.cast.region.writable);
    if (state != CRASH_EMPTY) {
        test_broadcast_restart_at(&world.cast, world.number);
    }
    test_tally_begin(&world.tally, &world.cast.reader);
    CHECK_EQ(test_tally_drain(&world.tally, &world.cast.reader), state == CRASH_EMPTY ? 0 : 1);
    world.n = 1;
}

static void two_slots(enum crash_state state)
{
    published(state, 2);
}

static void four_slots(enum crash_state state)
{
    published(state, 4);
}

static void batch_of_two(enum crash_state state)
{
    four_slots(state);
    world.n = 2;
}

static void batch_of_five(enum crash_state state)
{
    four_slots(state);
    world.n = 5;
}

/* ---- who survives ---------------------------------------------------------------------------- */

/* As test_tally_drain; each element has its length, too. */
static uint64_t drain(struct test_tally *tally, struct crossvm_broadcast_reader *reader)
{
    unsigned char elem[TEST_ELEM_MAX];
    struct crossvm_broadcast_info info = {0, 0, 0};
    uint64_t n = 0;
    int status = crossvm_broadcast_reader_read(reader, elem, sizeof(elem), &info);
    while (status == CROSSVM_OK) {
        test_tally_read(tally, reader, &info, elem);
        CHECK_EQ(info.len, info.number > world.number ? NEW_LEN : ELEM_LEN);
        n++;
        status = crossvm_broadcast_reader_read(reader, elem, sizeof(elem), &info);
    }
    CHECK_EQ(status, CROSSVM_EMPTY);
    return n;
}

/* Reads what is there: how many numbers are new. The last N/2 of them are never lost, one alone is
 * never lost at all. */
static int read_all(void)
{
    uint64_t last = world.tally.last;
    uint64_t n_lost = world.tally.n_lost;
    uint64_t n_read = drain(&world.tally, &world.cast.reader);
    uint64_t n = world.tally.last - last;
    uint64_t n_safe = world.cast.chunk.n / 2;
    CHECK_EQ(n_read + world.tally.n_lost - n_lost, n);
    CHECK(n_read >= (n < n_safe ? n : n_safe));
    return (int)n;
}

static int reader_reads_on(void)
{
    int n = read_all();
    CHECK_EQ(read_all(), 0);
    return n;
}

/* A reader that begins with the oldest one left gets all that lie in slots which nobody has begun
 * to write again. */
static int reader_begins(void)
{
    struct crossvm_broadcast_reader reader;
    struct test_tally tally;
    uint64_t n_kept = world.cast.chunk.n / 2 < world.number ? world.cast.chunk.n / 2 : world.number;
    test_broadcast_read(&world.cast, &reader, CROSSVM_BROADCAST_OLDEST);
    test_tally_begin(&tally, &reader);
    uint64_t n_read = drain(&tally, &reader);
    test_tally_exact(&tally, tally.last);
    CHECK(n_read >= n_kept);
    return (int)(tally.last - world.number);
}

static int writer_goes_on(bool read_first)
{
    int outcome = read_first ? read_all() : 0;
    test_broadcast_write(&world.cast);
    int resumed = (int)(crossvm_broadcast_writer_number(&world.cast.writer) - world.number);
    int left = read_all();
    CHECK_EQ(left, resumed - outcome);
    for (uint32_t i = 0; i < 2 * world.cast.chunk.n + 1; i++) {
        CHECK_EQ(test_send(&world.cast.writer, NEW_LEN), CROSSVM_OK);
        CHECK_EQ(read_all(), 1);
    }
    test_tally_exact(&world.tally, crossvm_broadcast_writer_number(&world.cast.writer));
    return resumed;
}

static int writer_comes_back(void)
{
    return writer_goes_on(false);
}

static int writer_comes_back_later(void)
{
    return writer_goes_on(true);
}

/* The next incarnation dies, too, in the middle of a batch, and comes back once more. */
static int writer_dies_again(void)
{
    test_broadcast_write(&world.cast);
    int resumed = (int)(crossvm_broadcast_writer_number(&world.cast.writer) - world.number);
    test_put(&world.cast.writer, NEW_LEN);
    int again = writer_goes_on(false);
    CHECK_EQ(again, resumed);
    return again;
}

#define SURVIVE                                                                       \
    {                                                                                 \
        {"the reader reads on", reader_reads_on}, {"a reader begins", reader_begins}, \
            {"the writer comes back", writer_comes_back},                             \
            {"the writer comes back later", writer_comes_back_later},                 \
            {"the writer dies again", writer_dies_again},                             \
    }

/* ---- what dies ------------------------------------------------------------------------------- */

static int opens_and_publishes(void)
{
    test_broadcast_write(&world.cast);
    return test_send(&world.cast.writer, NEW_LEN) == CROSSVM_OK ? 1 : -1;
}

static int publishes_many(void)
{
    return test_send_n(&world.cast.writer, NEW_LEN, world.n) == CROSSVM_OK ? (int)world.n : -1;
}

static const struct crash_operation operations[] = {
    {"crossvm_broadcast_writer_open crossvm_broadcast_writer_publish", CRASH_EACH, two_slots,
     opens_and_publishes, SURVIVE, false},
    {"crossvm_broadcast_writer_open crossvm_broadcast_writer_publish", CRASH_EACH, four_slots,
     opens_and_publishes, SURVIVE, false},
    {"crossvm_broadcast_writer_publish_n", CRASH_EACH, batch_of_two, publishes_many, SURVIVE,
     false},
    {"crossvm_broadcast_writer_publish_n", CRASH_EACH, batch_of_five, publishes_many, SURVIVE,
     true},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
