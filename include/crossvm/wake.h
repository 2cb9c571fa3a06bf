/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/wake.h - when to ring: the waiter says in its own memory at which index it wants to be
 * woken, the publisher looks there after it has published. No doorbell here (notify.h rings).
 *
 * Layer 3. Roles: one waiter, one publisher. The index is a queue's tail, a queue's head, or the
 * low word of a snapshot's version or of a broadcast's number: 32 bits that run freely.
 *
 * Shared bytes of a waiter's line, 128 bytes (struct crossvm_wake_line_shm). It is the first line
 * of both parts of a queue and all of a WAKE chunk:
 *
 *   offset  size  writer  name      meaning
 *   0       4     waiter  index     the index that the waiter itself publishes, 0 in a WAKE chunk
 *   4       4     owner   epoch     the chunk's generation
 *   8       4     waiter  event     ring when the index passes this one
 *   12      4     waiter  mode      enum crossvm_wake_mode; an unknown one counts as always
 *   16      8     waiter  delay_lo  the longest delay it wants, ns, two words, 0 = none: a hint
 *   24      104   -       reserved  zero
 *
 * Ordering edges:
 *
 *   wake_kick  publish; fence, all orders; look at mode and event   } one edge with two equal ends:
 *   wake_arm   store mode and event; fence, all orders; look again  } at least one side sees the
 *              other's store. Without either fence both miss, and a waiter sleeps for ever beside
 *              a full queue. Two sides that arm at once have wake_arm at both ends.
 *
 * After Xen's event index (public/io/ring.h) and virtio's used_event.
 */
#ifndef CROSSVM_WAKE_H
#define CROSSVM_WAKE_H

#include "region.h"

CROSSVM_EXTERN_C_BEGIN

/* When a waiter wants to be rung. */
enum crossvm_wake_mode {
    CROSSVM_WAKE_ALWAYS = 0, /* at every kick that published something; memory starts like this */
    CROSSVM_WAKE_NEVER = 1,  /* it polls, or it is awake */
    CROSSVM_WAKE_EVENT = 2   /* when the index passes the event: it sleeps, or is about to */
};

/* A waiter's line. */
struct crossvm_wake_line_shm {
    struct crossvm_le32 index;
    struct crossvm_le32 epoch;
    struct crossvm_le32 event;
    struct crossvm_le32 mode;
    struct crossvm_le32 delay_lo;
    struct crossvm_le32 delay_hi;
    struct crossvm_le32 reserved[26];
};

CROSSVM_I_AT(crossvm_wake_line_shm, index, 0);
CROSSVM_I_AT(crossvm_wake_line_shm, epoch, 4);
CROSSVM_I_AT(crossvm_wake_line_shm, event, 8);
CROSSVM_I_AT(crossvm_wake_line_shm, mode, 12);
CROSSVM_I_AT(crossvm_wake_line_shm, delay_lo, 16);
CROSSVM_I_AT(crossvm_wake_line_shm, reserved, 24);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_wake_line_shm) == CROSSVM_LINE, "bytes");

/* The waiter's handle. */
struct crossvm_wake_waiter {
    struct crossvm_wake_line_shm *line; /* where it writes */
    uint32_t epoch;                     /* what line->epoch must be */
};

/* The publisher's handle. */
struct crossvm_wake_publisher {
    const struct crossvm_wake_line_shm *line; /* the waiter's */
    uint32_t old;                             /* the index at the last kick */
    uint32_t span;          /* an event further ahead than this can never be reached */
    bool fresh;             /* nothing is known of the waiter yet: ring once */
    bool polling;           /* chosen at attach: the waiter polls, and kicks are free */
    uint64_t pending_ns;    /* since when something is published below the watermark, 0 = nothing */
    uint32_t pending_event; /* the watermark that it waits for */
    uint64_t n_sent;        /* kicks that asked for a ring */
    uint64_t n_suppressed;  /* kicks that did not */
};

/* ---- opening ------------------------------------------------------------------------------ */

CROSSVM_INLINE void crossvm_i_wake_publisher_set(struct crossvm_wake_publisher *publisher,
                                                 const struct crossvm_wake_line_shm *line,
                                                 uint32_t index, uint32_t span)
{
    __builtin_memset(publisher, 0, sizeof(*publisher));
    publisher->line = line;
    publisher->old = index;
    publisher->span = span;
    publisher->fresh = true;
}

/* Opens a WAKE chunk as the waiter, who writes it. Role: waiter. Wait-free.
 * OK; TYPE not a WAKE chunk; INVALID no chunk of this region; ROLE; STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_wake_waiter_open(struct crossvm_wake_waiter *waiter,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_WAKE, CROSSVM_I_WRITER);
    if (status == CROSSVM_OK) {
        waiter->line = (struct crossvm_wake_line_shm *)(void *)crossvm_i_control(region, chunk);
        waiter->epoch = chunk->generation;
    }
    return status;
}

/* Opens a WAKE chunk as the publisher. index: its index now. Role: publisher. Wait-free. Statuses
 * as crossvm_wake_waiter_open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_wake_publisher_open(
    struct crossvm_wake_publisher *publisher, const struct crossvm_region *region,
    const struct crossvm_chunk *chunk, uint32_t index)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_WAKE, CROSSVM_I_READER);
    if (status == CROSSVM_OK) {
        crossvm_i_wake_publisher_set(
            publisher,
            (const struct crossvm_wake_line_shm *)(const void *)crossvm_i_control(region, chunk),
            index, 0x80000000u);
    }
    return status;
}

/* ---- waiter ------------------------------------------------------------------------------- */

/* Whether the line is another chunk's by now: then nothing is stored there any more. */
CROSSVM_INLINE bool crossvm_i_wake_stale(const struct crossvm_wake_waiter *waiter)
{
    return crossvm_load_relaxed(&waiter->line->epoch) != waiter->epoch;
}

/* No rings from now on (one that is under way may still arrive). Role: waiter. Wait-free.
 * OK; STALE the chunk is gone, nothing is stored. */
CROSSVM_INLINE int crossvm_wake_never(const struct crossvm_wake_waiter *waiter)
{
    if (crossvm_i_wake_stale(waiter)) {
        return CROSSVM_STALE;
    }
    crossvm_store_relaxed(&waiter->line->mode, CROSSVM_WAKE_NEVER);
    return CROSSVM_OK;
}

/* A ring at every kick. The caller looks at the index once more afterwards, then may sleep.
 * Role: waiter. Wait-free. OK; STALE the chunk is gone, nothing is stored. */
CROSSVM_INLINE int crossvm_wake_always(const struct crossvm_wake_waiter *waiter)
{
    if (crossvm_i_wake_stale(waiter)) {
        return CROSSVM_STALE;
    }
    crossvm_store_relaxed(&waiter->line->mode, CROSSVM_WAKE_ALWAYS);
    CROSSVM_FENCE_SEQ_CST(wake_arm, &waiter->line->mode);
    return CROSSVM_OK;
}

/* A ring when the index passes `event`. The caller looks at the index once more afterwards, then
 * may sleep. event: ring when event + 1 is published; one further ahead is a watermark. delay_ns:
 * tells the publisher the longest delay that is wanted, 0 = none (a hint, the waiter's own timer is
 * what keeps it). Role: waiter. Wait-free. OK; STALE the chunk is gone, nothing is stored. */
CROSSVM_INLINE int crossvm_wake_at(const struct crossvm_wake_waiter *waiter, uint32_t event,
                                   uint64_t delay_ns)
{
    struct crossvm_wake_line_shm *line = waiter->line;
    if (crossvm_i_wake_stale(waiter)) {
        return CROSSVM_STALE;
    }
    crossvm_store_relaxed(&line->event, event);
    crossvm_store_pair(&line->delay_lo, &line->delay_hi, delay_ns);
    crossvm_store_relaxed(&line->mode, CROSSVM_WAKE_EVENT);
    CROSSVM_FENCE_SEQ_CST(wake_arm, &line->mode);
    return CROSSVM_OK;
}

/* ---- publisher ---------------------------------------------------------------------------- */

/* Whether an event is passed by going from old to index, or can never be reached. */
CROSSVM_INLINE bool crossvm_i_wake_passed(uint32_t event, uint32_t old, uint32_t index,
                                          uint32_t span)
{
    if (event - old < index - old) {
        return true;
    }
    /* Behind us: it was passed at an earlier kick. Too far ahead: better now than never. */
    uint32_t ahead = event - index;
    return ahead < 0x80000000u && ahead >= span;
}

/* fresh: something was published since the last kick. */
CROSSVM_INLINE bool crossvm_i_wake_delay_over(struct crossvm_wake_publisher *publisher,
                                              uint32_t event, bool fresh, uint64_t now_ns,
                                              uint64_t *again_ns)
{
    if (publisher->pending_event != event) {
        publisher->pending_event = event;
        publisher->pending_ns = 0;
    }
    if (publisher->pending_ns == 0 && !fresh) {
        return false;
    }
    uint64_t delay = crossvm_load_pair(&publisher->line->delay_lo, &publisher->line->delay_hi);
    if (delay == 0 || now_ns == 0) {
        return false;
    }
    /* A clock that went backward starts the delay anew. */
    if (publisher->pending_ns == 0 || now_ns < publisher->pending_ns) {
        publisher->pending_ns = now_ns;
    }
    if (now_ns - publisher->pending_ns >= delay) {
        return true;
    }
    *again_ns =
        delay > UINT64_MAX - publisher->pending_ns ? UINT64_MAX : publisher->pending_ns + delay;
    return false;
}

CROSSVM_INLINE bool crossvm_i_wake_judge(struct crossvm_wake_publisher *publisher, uint32_t old,
                                         uint32_t index, uint64_t now_ns, uint64_t *again_ns)
{
    uint32_t mode = crossvm_load_relaxed(&publisher->line->mode);
    if (mode == CROSSVM_WAKE_NEVER) {
        publisher->pending_ns = 0;
        return false;
    }
    if (mode != CROSSVM_WAKE_EVENT) {
        return index != old;
    }
    uint32_t event = crossvm_load_relaxed(&publisher->line->event);
    if (crossvm_i_wake_passed(event, old, index, publisher->span)) {
        return true;
    }
    /* Behind the event the waiter has had its ring: no delay is running. */
    if (event - index >= 0x80000000u) {
        publisher->pending_ns = 0;
        return false;
    }
    return crossvm_i_wake_delay_over(publisher, event, index != old, now_ns, again_ns);
}

/* Says whether to ring now that everything up to `index` is published: 1 ring, 0 don't.
 * The first call of a fresh handle answers 1, unless polling was chosen. index: the publisher's
 * now. now_ns: 0 = no clock. again_ns: set to when to call again for the waiter's longest delay, 0
 * = no need. Role: publisher, after publishing. Wait-free: one fence, each of the waiter's words
 * loaded at most once; any value is harmless. At least one call in 2^31 publications. */
CROSSVM_INLINE int crossvm_wake_due(struct crossvm_wake_publisher *publisher, uint32_t index,
                                    uint64_t now_ns, uint64_t *again_ns)
{
    *again_ns = 0;
    if (publisher->polling) {
        return 0;
    }
    uint32_t old = publisher->old;
    publisher->old = index;
    CROSSVM_FENCE_SEQ_CST(wake_kick, &publisher->line->mode);
    bool due = crossvm_i_wake_judge(publisher, old, index, now_ns, again_ns);
    if (due || publisher->fresh) {
        publisher->fresh = false;
        publisher->pending_ns = 0;
        publisher->n_sent++;
        *again_ns = 0;
        return 1;
    }
    publisher->n_suppressed++;
    return 0;
}

/* Whether the waiter sleeps, or is about to, and has not enough yet. Role: publisher, after it has
 * armed a wait of its own, whose fence stands between what it stored and this look. Wait-free: one
 * load. */
CROSSVM_INLINE bool crossvm_wake_peer_waits(const struct crossvm_wake_publisher *publisher)
{
    return crossvm_load_relaxed(&publisher->line->mode) == CROSSVM_WAKE_EVENT;
}

/* Says whether to ring because the caller is about to sleep itself: 1 unless the waiter polls.
 * Otherwise one that wants w elements and one that wants k free places could both sleep for ever
 * when w + k exceeds what the queue holds. Role: publisher, after arming, whose fence stands
 * between what it stored and this look. Wait-free: one load. */
CROSSVM_INLINE int crossvm_wake_nudge(struct crossvm_wake_publisher *publisher)
{
    if (publisher->polling) {
        return 0;
    }
    if (crossvm_load_relaxed(&publisher->line->mode) == CROSSVM_WAKE_NEVER) {
        return 0;
    }
    publisher->n_sent++;
    return 1;
}

CROSSVM_EXTERN_C_END

#endif
