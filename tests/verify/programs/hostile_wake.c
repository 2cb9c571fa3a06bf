/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile waiter: while the publisher makes two calls, it stores anything into its wake words.
 * Each word is looked at once a call at most. A call answers 0 or 1, and exactly what follows from
 * the values that it looked at where docs/FORMAT.md says so: never to a waiter that polls, always to
 * one that wants every ring, and to one whose event was passed. Each kick counts once, as sent or
 * as suppressed, and no time to call again lies in the past.
 *
 *   RACED, ALSO  words of the line that are raced (hostile.h)
 *   CALL, THEN   the two calls, each of: kick late nudge peer_waits; `late` publishes nothing
 *   FRESH        nothing has been rung before
 *   MODE         what stands there at first
 */
#include "round.h"

#define WATCH_WORDS 32
#include "hostile.h"

#include <crossvm/wake.h>

#ifndef RACED
#define RACED mode
#endif
#ifndef CALL
#define CALL kick
#endif
#ifndef THEN
#define THEN kick
#endif
#ifndef MODE
#define MODE CROSSVM_WAKE_EVENT
#endif
#define START 0xfffffffeu
#define SPAN  4u
#define DELAY 10u

static MODEL_STATE struct crossvm_wake_line_shm line;
static MODEL_STATE struct crossvm_wake_publisher publisher;
static MODEL_STATE uint32_t index_now;
static MODEL_STATE uint64_t now_ns;

static void check_looks(void)
{
    assert(watch_times(&line.RACED) <= 1);
#if defined(ALSO)
    assert(watch_times(&line.ALSO) <= 1);
#endif
}

/* Whether the index came by an event, or never will. */
static bool passed(uint32_t event, uint32_t old)
{
    uint32_t ahead = event - index_now;
    bool by = index_now - event - 1 < index_now - old;
    bool never = (ahead >= SPAN) & (ahead < 0x80000000u);
    return by | never;
}

/* What a kick must answer, or -1 where that is for the delay to say. */
static int judge_kick(uint32_t old, bool fresh)
{
    uint32_t mode = watch_first(&line.mode);
    if (fresh) {
        return 1;
    }
    if (mode != CROSSVM_WAKE_EVENT) {
        return mode != CROSSVM_WAKE_NEVER && index_now != old;
    }
    bool was_passed = passed(watch_first(&line.event), old);
    return watch_times(&line.delay_lo) != 0 && !was_passed ? -1 : was_passed;
}

static void kick(void)
{
    uint32_t old = publisher.old;
    bool fresh = publisher.fresh;
    uint64_t n_sent = publisher.n_sent;
    uint64_t n_suppressed = publisher.n_suppressed;
    uint64_t again_ns;
    now_ns += DELAY;
    watch_begin();
    int due = crossvm_wake_due(&publisher, index_now, now_ns, &again_ns);
    watch_end();
    check_looks();
    int expected = judge_kick(old, fresh);
    assert(due == 0 || due == 1);
    assert(expected < 0 || due == expected);
    assert(again_ns == 0 || (due == 0 && again_ns > now_ns));
    assert(publisher.n_sent == n_sent + (unsigned)due);
    assert(publisher.n_suppressed == n_suppressed + (due == 0));
    assert(publisher.old == index_now && !publisher.fresh == (due == 1 || !fresh));
    assert(publisher.line == &line && publisher.span == SPAN);
}

HOSTILE_CALL(kick)
{
    index_now++;
    kick();
}

HOSTILE_CALL(late)
{
    kick();
}

HOSTILE_CALL(nudge)
{
    uint64_t n_sent = publisher.n_sent;
    watch_begin();
    int due = crossvm_wake_nudge(&publisher);
    watch_end();
    check_looks();
    assert(watch_total() == 1 && due == (watch_first(&line.mode) != CROSSVM_WAKE_NEVER));
    assert(publisher.n_sent == n_sent + (unsigned)due);
}

HOSTILE_CALL(peer_waits)
{
    uint64_t n_sent = publisher.n_sent;
    watch_begin();
    bool waits = crossvm_wake_peer_waits(&publisher);
    watch_end();
    check_looks();
    assert(watch_total() == 1 && waits == (watch_first(&line.mode) == CROSSVM_WAKE_EVENT));
    assert(publisher.n_sent == n_sent);
}

static void *publish(void *unused)
{
    (void)unused;
    HOSTILE_DO(CALL);
    HOSTILE_DO(THEN);
    return NULL;
}

static void *store_anything(void *unused)
{
    (void)unused;
    hostile_stores(&line.RACED, START, SPAN);
#if defined(ALSO)
    hostile_stores(&line.ALSO, START, SPAN);
#endif
    return NULL;
}

static void prepare(void)
{
    index_now = START;
    crossvm_store_relaxed(&line.event, START + 1);
    crossvm_store_relaxed(&line.mode, MODE);
    crossvm_store_pair(&line.delay_lo, &line.delay_hi, DELAY);
    crossvm_i_wake_publisher_set(&publisher, &line, index_now, SPAN);
#if !defined(FRESH)
    publisher.fresh = false;
#endif
    watch_memory(&line, sizeof(line));
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, publish, store_anything)
