/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/rtos/freertos/backend.c - backend/freertos.h against a model of FreeRTOS' API: rings before,
 * during and behind a wait, deadlines to the tick, ticks that wrap, a board that refuses.
 */
#include "model.h"

#include <crossvm/cpu.h>
static unsigned n_barriers;
static inline void count_barrier(void)
{
    n_barriers++;
}
#define crossvm_system_barrier count_barrier
#include <crossvm/backend/freertos.h>

#include "../../check.h"

#include <string.h>

enum {
    A = 0,
    B = 1,
    VECTORS = 2
};

static struct crossvm_freertos ends[2];
static struct crossvm_notify bells[2];
static SemaphoreHandle_t rung[2][VECTORS];
static StaticSemaphore_t room[2][VECTORS];
static unsigned n_woken;
static unsigned n_unordered;
static uint64_t board_ns;

static uint64_t ns_of(uint64_t ticks)
{
    return ticks * 1000000000u / STAND_IN_TICK_RATE;
}

/* The board: a write interrupts the other end, whose handler runs. */
static int board_ring(void *board, uint32_t peer, uint32_t vector)
{
    BaseType_t woken = pdFALSE;
    (void)board;
    if (peer > B) {
        return CROSSVM_NOT_FOUND;
    }
    n_unordered += n_barriers == 0 ? 1u : 0u;
    n_barriers = 0;
    crossvm_freertos_rung(&ends[peer], vector, &woken);
    n_woken += woken == pdTRUE ? 1u : 0u;
    return CROSSVM_OK;
}

static uint64_t board_now(void *board)
{
    (void)board;
    return board_ns;
}

static void up(void)
{
    memset(&model, 0, sizeof(model));
    model.by_hand = true;
    n_woken = 0;
    n_unordered = 0;
    n_barriers = 0;
    for (unsigned end = A; end <= B; end++) {
        memset(&ends[end], 0, sizeof(ends[end]));
        for (unsigned i = 0; i < VECTORS; i++) {
            rung[end][i] = xSemaphoreCreateBinaryStatic(&room[end][i]);
        }
        ends[end].ring = board_ring;
        ends[end].rung = rung[end];
        ends[end].n_own = VECTORS;
        REQUIRE(crossvm_notify_freertos(&bells[end], &ends[end]) == CROSSVM_OK);
    }
}

static int ring(unsigned from, uint32_t peer, uint32_t vector)
{
    return crossvm_notify_signal(&bells[from], peer, vector);
}

static int wait_now(unsigned end, uint32_t vector)
{
    return crossvm_notify_wait(&bells[end], vector, crossvm_freertos_now());
}

static void what_cannot_work_is_refused(void)
{
    up();
    rung[A][1] = NULL;
    CHECK_EQ(crossvm_notify_freertos(&bells[A], &ends[A]), CROSSVM_INVALID);
    ends[A].n_own = 0;
    CHECK_EQ(crossvm_notify_freertos(&bells[A], &ends[A]), CROSSVM_INVALID);
    ends[A].period_ns = CROSSVM_FREERTOS_PERIOD_NS;
    CHECK_EQ(crossvm_notify_freertos(&bells[A], &ends[A]), CROSSVM_OK);
}

static void a_ring_goes_to_its_vector_behind_a_barrier(void)
{
    up();
    CHECK_EQ(ring(A, B, 1), CROSSVM_OK);
    CHECK_EQ(n_woken, 1);
    CHECK_EQ(n_unordered, 0);
    CHECK_EQ(wait_now(A, 1), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(B, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(wait_now(B, 1), CROSSVM_OK);
    CHECK_EQ(ring(A, B, VECTORS), CROSSVM_OK); /* the board rings; nobody is there to hear */
    CHECK_EQ(n_woken, 1);
    CHECK_EQ(ring(A, 7, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_wait(&bells[B], VECTORS, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_fd(&bells[B], 0), CROSSVM_UNSUPPORTED);
}

static void rings_run_together_and_one_behind_the_wait_ends_the_next(void)
{
    up();
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    }
    CHECK_EQ(crossvm_notify_wait(&bells[B], 0, 0), CROSSVM_OK);
    CHECK_EQ(wait_now(B, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    uint64_t before = model.ticks;
    CHECK_EQ(crossvm_notify_wait(&bells[B], 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(model.ticks, before);
}

static void b_rings_a(void)
{
    CHECK_EQ(ring(B, A, 1), CROSSVM_OK);
}

static void a_wait_ends_with_the_ring_or_behind_its_deadline(void)
{
    up();
    model.ticks = 7;
    uint64_t deadline_ns = ns_of(10) + 1;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, deadline_ns), CROSSVM_TIMEOUT);
    CHECK_EQ(model.ticks, 11);
    CHECK(crossvm_notify_now(&bells[A]) >= deadline_ns);
    model.during = b_rings_a;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, ns_of(1000)), CROSSVM_OK);
    CHECK_EQ(model.ticks, 11);
    CHECK_EQ(model.n_forever, 0);
    model.during = b_rings_a;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(model.n_forever, 1);
}

static void a_deadline_that_is_far_away_is_slept_for_in_parts(void)
{
    up();
    model.during = b_rings_a;
    model.after = 2;
    CHECK_EQ(crossvm_notify_wait(&bells[A], 1, CROSSVM_NO_DEADLINE - 1), CROSSVM_OK);
    CHECK_EQ(model.n_forever, 0);
    CHECK_EQ(model.n_takes, 3);
}

static void a_rest_is_deaf_and_ends_at_its_time(void)
{
    up();
    CHECK_EQ(ring(B, A, 0), CROSSVM_OK);
    model.ticks = 3;
    bells[A].ops->rest(bells[A].context, ns_of(9));
    CHECK_EQ(model.ticks, 9);
    CHECK_EQ(wait_now(A, 0), CROSSVM_OK);
}

static void ticks_that_wrap_are_counted(void)
{
    static const uint64_t some[] = {1,
                                    0xffff,
                                    0x10000,
                                    0xffffffffu,
                                    UINT64_C(0x100000000),
                                    UINT64_C(0x100000001),
                                    UINT64_C(0x7fffffff)};
    up();
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        model.ticks = some[i];
        uint64_t seconds = some[i] / STAND_IN_TICK_RATE;
        uint64_t rest = some[i] % STAND_IN_TICK_RATE;
        CHECK_EQ(crossvm_notify_now(&bells[A]), seconds * 1000000000u + ns_of(rest));
    }
}

static void ticks_are_exact_at_any_rate(void)
{
    const uint64_t year = UINT64_C(86400) * 365;
    CHECK_EQ(crossvm_i_ticks_ns(32768 * year * 100 + 1, 32768), year * 100 * 1000000000u + 30517);
    CHECK_EQ(crossvm_i_ticks_until(0, 1, 32768), 1);
    CHECK_EQ(crossvm_i_ticks_until(0, 1000000000u, 32768), 32768);
    CHECK_EQ(crossvm_i_ticks_until(5, 5, 32768), 0);
    CHECK_EQ(crossvm_i_ticks_until(6, 5, 32768), 0);
    CHECK_EQ(crossvm_i_ticks_until(0, UINT64_MAX, 300000000), UINT64_C(60) * 300000000);
}

static void the_boards_clock_is_asked_if_there_is_one(void)
{
    up();
    ends[A].now = board_now;
    board_ns = 5000;
    CHECK_EQ(crossvm_notify_now(&bells[A]), 5000);
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, 4999), CROSSVM_TIMEOUT);
    CHECK_EQ(model.ticks, 0);
}

static void who_has_no_vectors_polls(void)
{
    up();
    ends[A].n_own = 0;
    ends[A].ring = NULL;
    ends[A].period_ns = ns_of(5);
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, ns_of(7)), CROSSVM_OK);
    CHECK_EQ(model.ticks, 5);
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, ns_of(7)), CROSSVM_OK);
    CHECK_EQ(model.ticks, 7);
    CHECK_EQ(crossvm_notify_wait(&bells[A], 0, ns_of(7)), CROSSVM_TIMEOUT);
    CHECK_EQ(model.ticks, 7);
    bells[A].ops->rest(bells[A].context, ns_of(100));
    CHECK_EQ(model.ticks, 7);
    CHECK_EQ(ring(A, B, 0), CROSSVM_OK);
    CHECK_EQ(n_woken, 0);
}

int main(void)
{
    CASE(what_cannot_work_is_refused);
    CASE(a_ring_goes_to_its_vector_behind_a_barrier);
    CASE(rings_run_together_and_one_behind_the_wait_ends_the_next);
    CASE(a_wait_ends_with_the_ring_or_behind_its_deadline);
    CASE(a_deadline_that_is_far_away_is_slept_for_in_parts);
    CASE(a_rest_is_deaf_and_ends_at_its_time);
    CASE(ticks_that_wrap_are_counted);
    CASE(ticks_are_exact_at_any_rate);
    CASE(the_boards_clock_is_asked_if_there_is_one);
    CASE(who_has_no_vectors_polls);
    return check_done();
}
