/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waking: a waiter that dies while it arms or disarms is rung as before or as it wanted, and the
 * publisher knows when; a publisher stores nothing.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/region.h"

enum {
    WANT = 3,
    DELAY_NS = 1000,
    NOW_NS = 5000
};

static struct {
    struct test_region region;
    struct crossvm_chunk chunk;
    struct crossvm_wake_waiter waiter;
    struct crossvm_wake_publisher publisher; /* has kicked once */
    uint32_t index;                          /* what is published */
} world;

static void drop(void)
{
    test_region_drop(&world.region);
}

/* Whether the publisher has to ring for n more. */
static int rings(uint32_t n)
{
    uint64_t again_ns;
    world.index += n;
    return crossvm_wake_due(&world.publisher, world.index, 0, &again_ns);
}

static void open_waiter(void)
{
    REQUIRE(crossvm_wake_waiter_open(&world.waiter, &world.region.owner.region, &world.chunk) ==
            CROSSVM_OK);
}

/* ---- how it stands when the operation begins ------------------------------------------------- */

/* Empty, full: from a low index on, from a high one. Wrapping: the index begins anew before the
 * event comes. */
static void awake(enum crash_state state)
{
    static const struct crossvm_chunk_decl decl = {"wake",  CROSSVM_KIND_WAKE, 0, 0,
                                                   PARTY_A, PARTY_B,           0, 0};
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 128, 0, PARTY_A);
    test_region_make(&world.region, &plan, PARTY_B);
    crash_memory(&world.region.writable);
    world.chunk = test_find(&world.region.reader, "wake", CROSSVM_KIND_WAKE);
    world.index = state == CRASH_EMPTY ? 0 : state == CRASH_FULL ? 0x7ffffffeu : 0xfffffffeu;
    open_waiter();
    REQUIRE(crossvm_wake_publisher_open(&world.publisher, &world.region.reader, &world.chunk,
                                        world.index) == CROSSVM_OK);
    CHECK_EQ(crossvm_wake_never(&world.waiter), CROSSVM_OK);
    CHECK_EQ(rings(0), 1);
}

static void rung_always(enum crash_state state)
{
    awake(state);
    CHECK_EQ(crossvm_wake_always(&world.waiter), CROSSVM_OK);
}

static void armed(enum crash_state state)
{
    awake(state);
    CHECK_EQ(crossvm_wake_at(&world.waiter, world.index + WANT - 1, DELAY_NS), CROSSVM_OK);
}

/* ---- who survives ---------------------------------------------------------------------------- */

/* Rings for the third, if it was asked to; and knows of the longest delay then, not before. */
static int publisher_rings_at(void)
{
    uint64_t again_ns = 0;
    world.index++;
    CHECK_EQ(crossvm_wake_due(&world.publisher, world.index, NOW_NS, &again_ns), 0);
    CHECK_EQ(rings(1), 0);
    int rung = rings(1);
    CHECK_EQ(again_ns, rung != 0 ? NOW_NS + DELAY_NS : 0);
    CHECK_EQ(rings(1), 0);
    return rung;
}

/* Rings for each, or for none. */
static int publisher_rings_always(void)
{
    int rung = rings(1);
    CHECK_EQ(rings(2), rung);
    CHECK_EQ(rings(0), 0);
    return rung;
}

static int publisher_rings_no_more(void)
{
    int rung = rings(WANT);
    return 1 - rung;
}

/* The waiter comes back, and asks for something else. */
static int waiter_comes_back(void)
{
    open_waiter();
    CHECK_EQ(crossvm_wake_never(&world.waiter), CROSSVM_OK);
    CHECK_EQ(rings(WANT), 0);
    CHECK_EQ(crossvm_wake_at(&world.waiter, world.index + 1, 0), CROSSVM_OK);
    CHECK_EQ(rings(1), 0);
    CHECK_EQ(rings(1), 1);
    CHECK_EQ(crossvm_wake_always(&world.waiter), CROSSVM_OK);
    CHECK_EQ(rings(1), 1);
    return CRASH_UNSEEN;
}

/* ---- what dies ------------------------------------------------------------------------------- */

static int arms(void)
{
    return crossvm_wake_at(&world.waiter, world.index + WANT - 1, DELAY_NS) == CROSSVM_OK ? 1 : -1;
}

static int wants_each(void)
{
    return crossvm_wake_always(&world.waiter) == CROSSVM_OK ? 1 : -1;
}

static int wants_none(void)
{
    return crossvm_wake_never(&world.waiter) == CROSSVM_OK ? 1 : -1;
}

static const struct crash_operation operations[] = {
    {"crossvm_wake_at",
     CRASH_EACH,
     awake,
     arms,
     {{"the publisher rings", publisher_rings_at}, {"the waiter comes back", waiter_comes_back}},
     false},
    {"crossvm_wake_always",
     CRASH_EACH,
     awake,
     wants_each,
     {{"the publisher rings", publisher_rings_always},
      {"the waiter comes back", waiter_comes_back}},
     false},
    {"crossvm_wake_never",
     CRASH_EACH,
     armed,
     wants_none,
     {{"the publisher rings no more", publisher_rings_no_more},
      {"the waiter comes back", waiter_comes_back}},
     false},
    {"crossvm_wake_never",
     CRASH_EACH,
     rung_always,
     wants_none,
     {{"the publisher rings no more", publisher_rings_no_more},
      {"the waiter comes back", waiter_comes_back}},
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
