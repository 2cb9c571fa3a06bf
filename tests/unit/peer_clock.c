/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two clocks that differ, and the bound for their difference that peers find over the link: the
 * true difference lies inside it in every run, whatever the offset, the drift and the delays, also
 * when the delays of the two ways differ; and so do the ages of what the other one stamps.
 *
 * The world is simulated: true time, two clocks that run at speeds that change, and memory whose
 * contents reach the other side late.
 */
#include "../support/peer.h"

#include <crossvm/clock.h>

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
    uint64_t high = check_random(&random_state);
    return ((high << 31) ^ check_random(&random_state)) % n;
}

/* Up to a limit; often nothing or all of it, because bounds are broken at their ends. */
static uint64_t random_delay(uint64_t most)
{
    uint64_t kind = random_below(4);
    if (kind < 2) {
        return 0;
    }
    return kind == 2 ? most : random_below(most + 1);
}

/* ---- a clock ---------------------------------------------------------------------------------- */

enum {
    SPEED_PPB = 5000000,   /* a clock is at most so much too fast or too slow: 0.5 % */
    DRIFT_PPB = 10100000,  /* so two of them drift apart by at most this, by the own one */
    MICROSECOND = 1000,    /* ns */
    MILLISECOND = 1000000, /* ns */
    N_WAYS = 4
};

struct clock {
    uint64_t ns;   /* what it shows */
    uint64_t rest; /* and a fraction of it, in parts of 10^9 */
    int64_t ppb;   /* how fast it is now */
};

static void clock_run(struct clock *clock, uint64_t elapsed_ns)
{
    uint64_t parts = clock->rest + elapsed_ns * (uint64_t)(1000000000 + clock->ppb);
    clock->ns += parts / 1000000000u;
    clock->rest = parts % 1000000000u;
    if (random_below(64) == 0) {
        clock->ppb = (int64_t)random_delay(2 * SPEED_PPB) - SPEED_PPB;
    }
}

/* ---- the world -------------------------------------------------------------------------------- */

struct way {
    uint64_t gap_ns[2];   /* between the steps of a side, at most */
    uint64_t late_ns[2];  /* how late what the other side wrote is seen by a side, at most */
    uint64_t apart_ns[2]; /* between reading the clock and the step, at most */
};

static struct peer_pair pair;
static struct clock clocks[2];
static struct crossvm_clock_offset offsets[2];
static struct crossvm_peer_shm views[2]; /* what a side sees of the other */
static uint64_t next_step[2];
static uint64_t next_view[2];
static uint64_t true_ns;
static unsigned n_samples;
static uint64_t widest_ns; /* of what was known in the end */

static void pass(uint64_t ns)
{
    /* In pieces, so that speeds change on the way and no product overflows. */
    while (ns != 0) {
        uint64_t piece = ns < 10 * MILLISECOND ? ns : 10 * MILLISECOND;
        clock_run(&clocks[0], piece);
        clock_run(&clocks[1], piece);
        true_ns += piece;
        ns -= piece;
    }
}

static uint64_t ahead(uint32_t side)
{
    return clocks[1 - side].ns - clocks[side].ns;
}

static void check_inside(uint32_t side)
{
    uint64_t low;
    uint64_t width;
    if (crossvm_clock_offset_at(&offsets[side], clocks[side].ns, &low, &width) == CROSSVM_OK) {
        CHECK(ahead(side) - low <= width);
    }
}

static void look(uint32_t side)
{
    views[side] = *peer_words(&pair, 1 - side);
}

static void take_sample(uint32_t side)
{
    struct crossvm_peer_sample sample;
    if (crossvm_peer_times(&pair.sides[side].peer, &sample) != CROSSVM_OK) {
        return;
    }
    int status = crossvm_clock_offset_add(&offsets[side], sample.asked_ns, sample.replied_ns,
                                          sample.heard_ns);
    /* An own clock that has wrapped meanwhile tells nothing. */
    CHECK_EQ(status, sample.heard_ns < sample.asked_ns ? CROSSVM_INVALID : CROSSVM_OK);
    n_samples++;
}

static void step_with(uint32_t side, uint64_t now_ns)
{
    CHECK(crossvm_peer_step(&pair.sides[side].peer, now_ns) >= 0);
    take_sample(side);
}

/* A step with a time that may be old already when it is used: what is seen in it can be newer. */
static void step(uint32_t side, const struct way *way)
{
    uint64_t now_ns = clocks[side].ns;
    pass(random_delay(way->apart_ns[side]));
    if (way->apart_ns[side] != 0) {
        step_with(1 - side, clocks[1 - side].ns);
        look(side);
    }
    step_with(side, now_ns);
}

static void world_begin(uint64_t a_ns, uint64_t b_ns, uint32_t drift_ppb)
{
    peer_make(&pair);
    peer_begin(&pair, 0);
    peer_begin(&pair, 1);
    clocks[0].ns = a_ns;
    clocks[1].ns = b_ns;
    for (uint32_t side = 0; side < 2; side++) {
        look(side);
        pair.sides[side].peer.peer = &views[side];
        REQUIRE(crossvm_clock_offset_init(&offsets[side], drift_ppb) == CROSSVM_OK);
        next_step[side] = 0;
        next_view[side] = 0;
    }
    true_ns = 0;
    n_samples = 0;
}

/* The next thing happens: a side steps, or sees what the other one wrote. */
static void world_go_on(const struct way *way)
{
    for (uint32_t side = 0; side < 2; side++) {
        if (true_ns >= next_view[side]) {
            look(side);
            next_view[side] = true_ns + random_delay(way->late_ns[side]);
        }
        if (true_ns >= next_step[side]) {
            step(side, way);
            next_step[side] = true_ns + random_delay(way->gap_ns[side]);
        }
        check_inside(side);
    }
    pass(random_delay(50 * MICROSECOND));
}

static void run(const struct way *way, unsigned n_rounds)
{
    static const uint64_t starts[][2] = {
        {5, 5},
        {1, 3600000000000u},
        {3600000000000u, 1},
        {UINT64_MAX - 1000, 77},              /* the own clock wraps */
        {77, UINT64_MAX - 1000},              /* the other one does */
        {1, UINT64_C(0x8000000000000000)},    /* half the circle apart */
        {1700000000000000000u, 42000000000u}, /* a calendar and an uptime */
    };
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        world_begin(starts[i][0], starts[i][1], DRIFT_PPB);
        for (unsigned round = 0; round < n_rounds || n_samples < 8; round++) {
            world_go_on(way);
        }
        CHECK(n_samples >= 8);
        for (uint32_t side = 0; side < 2; side++) {
            uint64_t low;
            uint64_t width;
            CHECK_EQ(offsets[side].n_conflicts, 0);
            CHECK_EQ(crossvm_clock_offset_at(&offsets[side], clocks[side].ns, &low, &width),
                     CROSSVM_OK);
            widest_ns = width > widest_ns ? width : widest_ns;
        }
        peer_drop(&pair);
    }
}

static const struct way ways[N_WAYS] = {
    {{MILLISECOND, MILLISECOND}, {0, 0}, {0, 0}},
    {{MILLISECOND, 30 * MILLISECOND}, {10 * MICROSECOND, 20 * MILLISECOND}, {0, 5 * MILLISECOND}},
    {{30 * MILLISECOND, 10 * MICROSECOND}, {20 * MILLISECOND, 0}, {MILLISECOND, 0}},
    {{100 * MILLISECOND, 100 * MILLISECOND}, {MICROSECOND, 200 * MILLISECOND}, {0, 0}},
};

static void the_true_offset_lies_inside_the_bound(void)
{
    for (size_t i = 0; i < N_WAYS; i++) {
        widest_ns = 0;
        run(&ways[i], (unsigned)(100000u * check_scale() / CHECK_SHORTER));
        printf("  way %zu: known to %" PRIu64 " us at most in the end\n", i, widest_ns / 1000);
        /* No exchange takes longer than a second here: a bound that says more says nothing. */
        CHECK(widest_ns < 1000u * MILLISECOND);
    }
}

/* Steps in pairs: the second one's time stands right behind what the first one saw. */
static void exchange_tightly(void)
{
    static const struct way none = {{0, 0}, {0, 0}, {0, 0}};
    for (uint32_t i = 0; i < 4; i++) {
        look(i / 2);
        step(i / 2, &none);
        pass(500);
    }
}

static void two_steps_in_a_row_make_the_bound_tight(void)
{
    world_begin(1000, 987654321000u, DRIFT_PPB);
    for (unsigned i = 0; i < 200; i++) {
        exchange_tightly();
    }
    uint64_t low;
    uint64_t width = 0;
    REQUIRE(crossvm_clock_offset_at(&offsets[0], clocks[0].ns, &low, &width) == CROSSVM_OK);
    CHECK(ahead(0) - low <= width);
    CHECK(width <= 10 * MICROSECOND);
    peer_drop(&pair);
}

/* Side 0 begins another life, and knows nothing of the other's clock. */
static void begin_again(void)
{
    peer_begin(&pair, 0);
    pair.sides[0].peer.peer = &views[0];
    REQUIRE(crossvm_clock_offset_init(&offsets[0], DRIFT_PPB) == CROSSVM_OK);
}

/* The life before has left its question, and the other side is up before this life asks its own. */
static void a_question_of_an_earlier_life_is_none(void)
{
    static const struct way none = {{0, 0}, {0, 0}, {0, 0}};
    world_begin(1000, 5000000000u, DRIFT_PPB);
    for (unsigned i = 0; i < 4; i++) {
        exchange_tightly();
    }
    crossvm_store_relaxed(&peer_words(&pair, 0)->question, 1);
    begin_again();
    look(0);
    step(0, &none);
    for (unsigned i = 0; i < 6; i++) {
        look(1);
        step(1, &none);
        (void)crossvm_peer_reestablish(&pair.sides[1].peer);
    }
    CHECK_EQ(pair.sides[1].peer.state, CROSSVM_PEER_UP);
    pass(10u * MILLISECOND);
    for (unsigned i = 0; i < 4; i++) {
        exchange_tightly();
        check_inside(0);
    }
    CHECK_EQ(pair.sides[0].peer.state, CROSSVM_PEER_UP);
    peer_drop(&pair);
}

/* A question of this life bears the number of one that the life before had a reply to. */
static void a_reply_to_an_earlier_life_is_none(void)
{
    world_begin(1000, 5000000000u, DRIFT_PPB);
    while (n_samples < 2) {
        exchange_tightly();
    }
    REQUIRE(pair.sides[0].peer.question <= 3);
    crossvm_store_relaxed(&peer_words(&pair, 1)->reply, 1);
    pass(10u * MILLISECOND);
    begin_again();
    for (unsigned i = 0; i < 8; i++) {
        exchange_tightly();
        check_inside(0);
        (void)crossvm_peer_reestablish(&pair.sides[1].peer);
    }
    CHECK_EQ(pair.sides[0].peer.state, CROSSVM_PEER_UP);
    peer_drop(&pair);
}

/* ---- ages ------------------------------------------------------------------------------------- */

static void check_age(uint64_t stamp, uint64_t age)
{
    uint64_t least;
    uint64_t most;
    uint64_t now_ns = clocks[0].ns;
    if (crossvm_clock_offset_age(&offsets[0], stamp, now_ns, &least, &most) == CROSSVM_OK) {
        CHECK(least <= age && age <= most);
    } else {
        /* Own time went through 0 and is behind the last exchange: nothing is known. */
        CHECK(now_ns < offsets[0].at_ns);
    }
    CHECK_EQ(crossvm_clock_offset_age(&offsets[0], 0, now_ns, &least, &most), CROSSVM_UNKNOWN);
    uint64_t future = stamp + 3600000000000u;
    CHECK_EQ(crossvm_clock_offset_age(&offsets[0], future, now_ns, &least, &most), CROSSVM_UNKNOWN);
    CHECK(most == UINT64_MAX);
}

static void ages_lie_inside_their_bounds(void)
{
    uint64_t least;
    uint64_t most;
    world_begin(UINT64_MAX - 200u * MILLISECOND, 900000000000u, DRIFT_PPB);
    CHECK_EQ(crossvm_clock_offset_age(&offsets[0], 5, 5, &least, &most), CROSSVM_UNKNOWN);
    CHECK(most == UINT64_MAX && least == UINT64_MAX);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t stamp = clocks[1].ns;
        uint64_t began = clocks[0].ns;
        pass(random_delay(200u * MILLISECOND));
        for (unsigned k = 0; k < 4; k++) {
            exchange_tightly();
        }
        check_age(stamp, clocks[0].ns - began);
    }
    peer_drop(&pair);
}

/* ---- clocks that jump, and peers that lie ---------------------------------------------------- */

static void a_jump_is_noticed_and_forgotten(void)
{
    world_begin(50, 60, DRIFT_PPB);
    for (unsigned i = 0; i < 20000; i++) {
        world_go_on(&ways[0]);
    }
    clocks[1].ns += 5000000000u;
    unsigned before = n_samples;
    while (offsets[0].n_conflicts == 0 && n_samples < before + 20) {
        exchange_tightly();
    }
    CHECK_EQ(offsets[0].n_conflicts, 1);
    check_inside(0);
    peer_drop(&pair);
}

static void odd_times_are_refused_or_believed_but_harmless(void)
{
    struct crossvm_clock_offset offset;
    uint64_t least;
    uint64_t most;
    CHECK_EQ(crossvm_clock_offset_init(&offset, CROSSVM_CLOCK_DRIFT_MAX + 1), CROSSVM_INVALID);
    REQUIRE(crossvm_clock_offset_init(&offset, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_clock_offset_at(&offset, 5, &least, &most), CROSSVM_UNKNOWN);
    CHECK_EQ(crossvm_clock_offset_add(&offset, 100, 5, 99), CROSSVM_INVALID);
    CHECK_EQ(crossvm_clock_offset_add(&offset, 0, 5, UINT64_MAX), CROSSVM_INVALID);
    CHECK_EQ(offset.n_samples, 0);
    CHECK_EQ(crossvm_clock_offset_add(&offset, 100, 1100, 110), CROSSVM_OK);
    CHECK_EQ(crossvm_clock_offset_at(&offset, 110, &least, &most), CROSSVM_OK);
    CHECK_EQ(least, 990);
    CHECK_EQ(most, 10);
    /* Without drift nothing widens, and a second exchange makes it tighter from either side. */
    CHECK_EQ(crossvm_clock_offset_add(&offset, 200, 1199, 208), CROSSVM_OK);
    CHECK_EQ(crossvm_clock_offset_at(&offset, 1000000, &least, &most), CROSSVM_OK);
    CHECK_EQ(least, 991);
    CHECK_EQ(most, 8);
    CHECK_EQ(crossvm_clock_offset_add(&offset, 1000000, 1000995, 1000010), CROSSVM_OK);
    CHECK_EQ(crossvm_clock_offset_at(&offset, 1000010, &least, &most), CROSSVM_OK);
    CHECK_EQ(least, 991);
    CHECK_EQ(most, 4);
    /* The own clock went backward: what was known of it is void. */
    CHECK_EQ(crossvm_clock_offset_at(&offset, 5, &least, &most), CROSSVM_UNKNOWN);
    CHECK_EQ(crossvm_clock_offset_add(&offset, 10, 5000, 12), CROSSVM_OK);
    CHECK_EQ(offset.n_conflicts, 0);
    CHECK_EQ(crossvm_clock_offset_age(&offset, 4000, 100, &least, &most), CROSSVM_OK);
    CHECK(least <= most);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t asked = random_below(UINT64_MAX);
        uint64_t heard =
            random_below(4) == 0 ? asked + random_below(1000) : random_below(UINT64_MAX);
        int added = crossvm_clock_offset_add(&offset, asked, random_below(UINT64_MAX), heard);
        CHECK(added == CROSSVM_OK || added == CROSSVM_INVALID);
        int status =
            crossvm_clock_offset_age(&offset, random_below(UINT64_MAX), heard, &least, &most);
        CHECK(status == CROSSVM_UNKNOWN ? most == UINT64_MAX : least <= most);
    }
}

int main(void)
{
    test_guard();
    CASE(the_true_offset_lies_inside_the_bound);
    CASE(two_steps_in_a_row_make_the_bound_tight);
    CASE(a_question_of_an_earlier_life_is_none);
    CASE(a_reply_to_an_earlier_life_is_none);
    CASE(ages_lie_inside_their_bounds);
    CASE(a_jump_is_noticed_and_forgotten);
    CASE(odd_times_are_refused_or_believed_but_harmless);
    return check_done();
}
