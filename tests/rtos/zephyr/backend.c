/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/rtos/zephyr/backend.c - backend/zephyr.h against a model of Zephyr's API: what is opened and
 * given back, rings before, during and behind a wait, deadlines to the tick, what the kernel
 * refuses, memory of each kind of device, states.
 */
#include "model.h"

#include <crossvm/cpu.h>
#define crossvm_system_barrier model_barrier
#include <crossvm/backend/zephyr.h>

#include "../../check.h"

enum {
    A = 0,
    B = 1,
    VECTORS = 2
};

static const uint64_t tick_ns = 1000000000u / CONFIG_SYS_CLOCK_TICKS_PER_SEC;

static struct crossvm_zephyr ends[2];
static struct crossvm_notify bells[2];
static struct k_poll_signal signals[2][MODEL_VECTORS + 1];

static int open_end(unsigned end, uint32_t n_own)
{
    return crossvm_zephyr_open(&ends[end], &model.guests[end].device, signals[end], n_own);
}

/* Two guests with doorbells, and the test's own clock. */
static void up(bool v2)
{
    model_start(VECTORS, v2);
    model.by_hand = true;
    for (unsigned end = A; end <= B; end++) {
        REQUIRE(open_end(end, VECTORS) == CROSSVM_OK);
        crossvm_notify_zephyr(&bells[end], &ends[end]);
    }
}

static int ring(unsigned from, uint32_t peer, uint32_t vector)
{
    return crossvm_notify_signal(&bells[from], peer, vector);
}

static int wait_now(unsigned end, uint32_t vector)
{
    return crossvm_notify_wait(&bells[end], vector, crossvm_zephyr_now());
}

static bool nobody_registered(unsigned end)
{
    bool none = true;
    for (unsigned i = 0; i < MODEL_VECTORS; i++) {
        none = none && model.guests[end].signals[i] == NULL;
    }
    return none;
}

/* ---- open and close ------------------------------------------------------------------------- */

static void a_device_that_cannot_ring_is_refused_and_nothing_is_kept(void)
{
    model_start(VECTORS, false);
    model.guests[A].ready = false;
    CHECK_EQ(open_end(A, VECTORS), CROSSVM_NOT_FOUND);
    model_start(VECTORS, false);
    CHECK_EQ(open_end(A, VECTORS + 1), CROSSVM_NOT_FOUND);
    CHECK(nobody_registered(A));
    CHECK_EQ(ends[A].error, -EINVAL);
    model.guests[A].register_answer = -ENOSYS;
    CHECK_EQ(open_end(A, 1), CROSSVM_UNSUPPORTED);
    model.guests[A].register_answer = -EIO;
    CHECK_EQ(open_end(A, 1), CROSSVM_SYSTEM);
    CHECK_EQ(ends[A].error, -EIO);
    model_start(0, false);
    CHECK_EQ(open_end(A, 1), CROSSVM_NOT_FOUND);
    CHECK_EQ(open_end(A, 0), CROSSVM_OK);
}

static void a_ring_during_open_is_remembered(void)
{
    model_start(VECTORS, false);
    model.by_hand = true;
    model.guests[A].rings_at_once = true;
    REQUIRE(open_end(A, VECTORS) == CROSSVM_OK);
    crossvm_notify_zephyr(&bells[A], &ends[A]);
    CHECK_EQ(wait_now(A, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(A, 1), CROSSVM_OK);
    CHECK_EQ(wait_now(A, 1), CROSSVM_TIMEOUT);
}

static void what_was_closed_is_rung_no_more(void)
{
    up(false);
    crossvm_zephyr_close(&ends[B]);
    CHECK(nobody_registered(B));
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    CHECK_EQ(signals[B][0].signaled, 0);
    crossvm_zephyr_close(&ends[B]);
}

/* ---- rings ---------------------------------------------------------------------------------- */

static void a_ring_goes_to_its_peer_and_vector_behind_a_barrier(void)
{
    up(false);
    CHECK_EQ(ring(A, B, 1), CROSSVM_OK);
    CHECK_EQ(wait_now(A, 1), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(B, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(B, 1), CROSSVM_OK);
    CHECK_EQ(ring(B, A, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(A, 0), CROSSVM_OK);
    CHECK_EQ(model.guests[A].n_rung, 1);
    CHECK_EQ(model.guests[A].n_unordered + model.guests[B].n_unordered, 0);
}

static void numbers_that_the_device_would_cut_short_are_refused(void)
{
    up(false);
    CHECK_EQ(ring(A, 0x10000 + B, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(ring(A, B, 0x10000), CROSSVM_NOT_FOUND);
    CHECK_EQ(ring(A, B, VECTORS), CROSSVM_NOT_FOUND);
    CHECK_EQ(model.guests[A].n_rung, 0);
    CHECK_EQ(crossvm_notify_wait(&bells[B], VECTORS, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_fd(&bells[B], 0), CROSSVM_UNSUPPORTED);
}

static void what_the_driver_refuses_is_told(void)
{
    up(false);
    model.guests[A].int_peer_answer = -EINVAL;
    CHECK_EQ(ring(A, B, 0), CROSSVM_NOT_FOUND);
    model.guests[A].int_peer_answer = -ENOSYS;
    CHECK_EQ(ring(A, B, 0), CROSSVM_UNSUPPORTED);
    model.guests[A].int_peer_answer = -EIO;
    CHECK_EQ(ring(A, B, 0), CROSSVM_SYSTEM);
    CHECK_EQ(ends[A].error, -EIO);
    model.poll_answer = -EINTR;
    CHECK_EQ(wait_now(B, 0), CROSSVM_SYSTEM);
    CHECK_EQ(ends[B].error, -EINTR);
}

static void rings_run_together_and_one_behind_the_wait_ends_the_next(void)
{
    up(false);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    }
    CHECK_EQ(crossvm_notify_wait(&bells[B], 0, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(B, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK); /* the caller looks at its memory just now */
    int64_t before = model.slept;
    CHECK_EQ(crossvm_notify_wait(&bells[B], 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(model.slept - before, 0);
}

/* ---- deadlines ------------------------------------------------------------------------------ */

static void b_rings_a(void)
{
    CHECK_EQ(ring(B, A, 1), CROSSVM_OK);
}

static void a_wait_ends_with_the_ring_or_behind_its_deadline(void)
{
    up(false);
    model.ticks = 7;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, 3 * tick_ns), CROSSVM_TIMEOUT);
    CHECK_EQ(model.ticks, 7);
    uint64_t deadline_ns = 10 * tick_ns + 1;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, deadline_ns), CROSSVM_TIMEOUT);
    CHECK_EQ(model.ticks, 11);
    CHECK(crossvm_zephyr_now() >= deadline_ns);
    model.during = b_rings_a;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, 1000 * tick_ns), CROSSVM_OK);
    CHECK_EQ(model.ticks, 11);
    CHECK_EQ(model.n_forever, 0);
    model.during = b_rings_a;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(model.n_forever, 1);
}

static void a_deadline_that_is_far_away_is_slept_for_in_parts(void)
{
    up(false);
    model.during = b_rings_a;
    model.after = 2;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, CROSSVM_NO_DEADLINE - 1), CROSSVM_OK);
    CHECK_EQ(model.n_forever, 0);
    CHECK_EQ(model.n_polls, 3);
    CHECK_EQ(model.ticks, 2 * 60 * (int64_t)CONFIG_SYS_CLOCK_TICKS_PER_SEC);
}

static void a_rest_is_deaf_and_ends_at_its_time(void)
{
    up(false);
    CHECK_EQ(ring(B, A, 0), CROSSVM_OK);
    model.ticks = 3;
    bells[A].ops->rest(bells[A].context, 9 * tick_ns);
    CHECK_EQ(model.ticks, 9);
    CHECK_EQ(wait_now(A, 0), CROSSVM_OK);
}

static void time_does_not_overflow(void)
{
    up(false);
    model.ticks = (int64_t)CONFIG_SYS_CLOCK_TICKS_PER_SEC * 86400 * 365 * 100 + 1;
    CHECK_EQ(crossvm_zephyr_now(), UINT64_C(86400) * 365 * 100 * 1000000000u + tick_ns);
    CHECK_EQ(crossvm_notify_now(&bells[A]), crossvm_zephyr_now());
    CHECK_EQ(crossvm_zephyr_stamp(), crossvm_zephyr_now());
}

/* ---- without doorbells ---------------------------------------------------------------------- */

static void who_has_no_vectors_polls(void)
{
    model_start(0, false);
    model.by_hand = true;
    REQUIRE(open_end(A, 0) == CROSSVM_OK);
    crossvm_notify_zephyr(&bells[A], &ends[A]);
    ends[A].period_ns = 5 * tick_ns;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, 7 * tick_ns), CROSSVM_OK);
    CHECK_EQ(model.ticks, 5);
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, 7 * tick_ns), CROSSVM_OK);
    CHECK_EQ(model.ticks, 7);
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, 7 * tick_ns), CROSSVM_TIMEOUT);
    CHECK_EQ(model.ticks, 7);
    bells[A].ops->rest(bells[A].context, 100 * tick_ns);
    CHECK_EQ(model.ticks, 7);
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    CHECK_EQ(model.guests[A].n_rung + model.n_polls, 0);
}

static void who_polls_rings_others_all_the_same(void)
{
    up(false);
    crossvm_zephyr_close(&ends[A]);
    REQUIRE(open_end(A, 0) == CROSSVM_OK);
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(B, 0), CROSSVM_OK);
}

static void zero_is_an_id_where_there_are_doorbells(void)
{
    uint32_t id = 99;
    model_start(0, false);
    REQUIRE(open_end(A, 0) == CROSSVM_OK);
    CHECK_EQ(crossvm_zephyr_id(&ends[A], &id), CROSSVM_UNSUPPORTED);
    up(false);
    CHECK_EQ(crossvm_zephyr_id(&ends[A], &id), CROSSVM_OK);
    CHECK_EQ(id, 0);
    CHECK_EQ(crossvm_zephyr_id(&ends[B], &id), CROSSVM_OK);
    CHECK_EQ(id, 1);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void a_region_of_one_guest_is_read_by_the_other(void)
{
    static const struct crossvm_chunk_decl chunks[] = {
        {"x", CROSSVM_KIND_BYTES, 0, 64, 1, 2, 0, 0}};
    const struct crossvm_region_plan plan = {chunks, 1, 0, 0, 0, 1, {1}, 0, {0, 0, 0}};
    struct crossvm_region_owner owner;
    struct crossvm_region region;
    struct crossvm_chunk table[1];
    struct crossvm_mapping own;
    struct crossvm_mapping theirs;
    up(false);
    CHECK_EQ(crossvm_zephyr_map(&ends[A], CROSSVM_READ_WRITE, &own), CROSSVM_OK);
    CHECK_EQ(crossvm_zephyr_map(&ends[B], CROSSVM_READ_ONLY, &theirs), CROSSVM_OK);
    CHECK_EQ(own.len, MODEL_MEMORY);
    CHECK_EQ(own.access, CROSSVM_READ_WRITE);
    CHECK_EQ(theirs.access, CROSSVM_READ_ONLY);
    CHECK_EQ(own.memory, CROSSVM_WRITE_BACK);
    CHECK_EQ(crossvm_region_owner_format(&owner, &own, &plan, table, 1), CROSSVM_OK);
    CHECK_EQ(crossvm_region_attach(&region, &theirs, 2), CROSSVM_OK);
    CHECK_EQ(crossvm_zephyr_map_common(&ends[A], &own), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_zephyr_map_output(&ends[A], B, &own), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_zephyr_state_set(&ends[A], 1), CROSSVM_UNSUPPORTED);
    uint32_t state;
    CHECK_EQ(crossvm_zephyr_state_get(&ends[A], B, &state), CROSSVM_NOT_FOUND);
}

static void an_output_section_is_written_by_its_peer_alone(void)
{
    struct crossvm_mapping own;
    struct crossvm_mapping theirs;
    struct crossvm_mapping common;
    up(true);
    CHECK_EQ(crossvm_zephyr_map(&ends[A], CROSSVM_READ_WRITE, &own), CROSSVM_TYPE);
    CHECK_EQ(crossvm_zephyr_map_output(&ends[A], A, &own), CROSSVM_OK);
    CHECK_EQ(own.access, CROSSVM_READ_WRITE);
    CHECK_EQ(own.len, MODEL_SECTION);
    CHECK_EQ(crossvm_zephyr_map_output(&ends[B], A, &theirs), CROSSVM_OK);
    CHECK_EQ(theirs.access, CROSSVM_READ_ONLY);
    CHECK(theirs.base == own.base);
    CHECK_EQ(crossvm_zephyr_map_output(&ends[A], B, &theirs), CROSSVM_OK);
    CHECK_EQ(theirs.access, CROSSVM_READ_ONLY);
    CHECK(theirs.base != own.base);
    CHECK_EQ(crossvm_zephyr_map_output(&ends[A], MODEL_GUESTS, &theirs), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_zephyr_map_common(&ends[A], &common), CROSSVM_OK);
    CHECK(common.base != own.base);
}

/* ---- states --------------------------------------------------------------------------------- */

static void a_state_rings_and_a_reset_takes_it_away(void)
{
    uint32_t state = 99;
    up(true);
    CHECK(model.guests[B].enabled);
    CHECK_EQ(crossvm_zephyr_state_get(&ends[B], A, &state), CROSSVM_OK);
    CHECK_EQ(state, 0);
    CHECK_EQ(crossvm_zephyr_state_set(&ends[A], 3), CROSSVM_OK);
    CHECK_EQ(wait_now(B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_zephyr_state_get(&ends[B], A, &state), CROSSVM_OK);
    CHECK_EQ(state, 3);
    model_reset(A);
    CHECK_EQ(wait_now(B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_zephyr_state_get(&ends[B], A, &state), CROSSVM_OK);
    CHECK_EQ(state, 0);
    CHECK_EQ(crossvm_zephyr_state_get(&ends[B], MODEL_GUESTS, &state), CROSSVM_NOT_FOUND);
    CHECK_EQ(ring(A, MODEL_GUESTS, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(B, 0), CROSSVM_OK);
    crossvm_zephyr_close(&ends[B]);
    CHECK(!model.guests[B].enabled);
}

int main(void)
{
    CASE(a_device_that_cannot_ring_is_refused_and_nothing_is_kept);
    CASE(a_ring_during_open_is_remembered);
    CASE(what_was_closed_is_rung_no_more);
    CASE(a_ring_goes_to_its_peer_and_vector_behind_a_barrier);
    CASE(numbers_that_the_device_would_cut_short_are_refused);
    CASE(what_the_driver_refuses_is_told);
    CASE(rings_run_together_and_one_behind_the_wait_ends_the_next);
    CASE(a_wait_ends_with_the_ring_or_behind_its_deadline);
    CASE(a_deadline_that_is_far_away_is_slept_for_in_parts);
    CASE(a_rest_is_deaf_and_ends_at_its_time);
    CASE(time_does_not_overflow);
    CASE(who_has_no_vectors_polls);
    CASE(who_polls_rings_others_all_the_same);
    CASE(zero_is_an_id_where_there_are_doorbells);
    CASE(a_region_of_one_guest_is_read_by_the_other);
    CASE(an_output_section_is_written_by_its_peer_alone);
    CASE(a_state_rings_and_a_reset_takes_it_away);
    return check_done();
}
