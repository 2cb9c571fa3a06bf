/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/service/pipe.h - a queue with a doorbell: wait for elements, wait for room.
 *
 * Layer 5, on spsc.h and notify.h. Roles: one producer, one consumer. No shared bytes of its own.
 *
 * How a wait ends early. A consumer that wants w elements and a producer that wants k free places
 * could both sleep for ever when w + k exceeds what the queue holds plus one. So whoever is about
 * to sleep publishes what it held back, arms, and then nudges the other; and whoever wakes and sees
 * that the other is waiting, too, takes what there is. A wait may thus answer fewer than wanted,
 * but never none; and it has slept once before it does, so that two that insist do not spin. Who
 * looked, and saw nobody wait, does not nudge: the other looks later, and sees us. (Two that nudge
 * after a look can wake each other for ever, each looking just while the other is awake.)
 *
 * The longest delay is the consumer's own timer: with a delay it first waits for any element at
 * all, and from then on for its watermark until the delay is over. A burst below the watermark that
 * is followed by silence is thus seen in time, whatever the producer does.
 *
 * A peer that rings without end makes a wait rest between its looks (crossvm_notify_wait_again).
 */
#ifndef CROSSVM_SERVICE_PIPE_H
#define CROSSVM_SERVICE_PIPE_H

#include "../notify.h"
#include "../spsc.h"

CROSSVM_EXTERN_C_BEGIN

/* Whom to ring, and where to be rung. */
struct crossvm_pipe_bell {
    struct crossvm_notify *notify; /* the backend's, set up */
    uint32_t peer;                 /* as the backend names it */
    uint32_t vector_out;           /* of the peer's */
    uint32_t vector_in;            /* of our own */
};

/* The producer's end: bring the queue up with crossvm_spsc_tx_*, then set the bell. */
struct crossvm_pipe_tx {
    struct crossvm_spsc_tx queue;  /* to be opened and linked by crossvm_spsc_tx_* */
    struct crossvm_pipe_bell bell; /* to be set by the caller */
};

/* The consumer's end. */
struct crossvm_pipe_rx {
    struct crossvm_spsc_rx queue;  /* to be opened and linked by crossvm_spsc_rx_* */
    struct crossvm_pipe_bell bell; /* to be set by the caller */
};

CROSSVM_INLINE int crossvm_i_pipe_ring(const struct crossvm_pipe_bell *bell, int due)
{
    return crossvm_notify_signal_if(bell->notify, due, bell->peer, bell->vector_out);
}

/* Rings the consumer if it wants to be rung for what was pushed. again_ns: when to call again for
 * the consumer's longest delay, 0 = no need. Role: the producer. Never blocks. OK; NOT_FOUND,
 * STALE, SYSTEM the doorbell. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pipe_tx_kick(struct crossvm_pipe_tx *pipe,
                                                          uint64_t *again_ns)
{
    uint64_t now_ns = pipe->queue.kick.polling ? 0 : crossvm_notify_now(pipe->bell.notify);
    int due = crossvm_spsc_tx_kick(&pipe->queue, now_ns, again_ns);
    int status = crossvm_i_pipe_ring(&pipe->bell, due);
    /* A ring that failed is still owed: the next kick rings whatever the event says. */
    pipe->queue.kick.fresh |= status != CROSSVM_OK;
    return status;
}

/* Rings the producer if it wants to be rung for what was popped. Role: the consumer. Never blocks.
 * OK; NOT_FOUND, STALE, SYSTEM the doorbell. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pipe_rx_kick(struct crossvm_pipe_rx *pipe)
{
    int status = crossvm_i_pipe_ring(&pipe->bell, crossvm_spsc_rx_kick(&pipe->queue));
    pipe->queue.kick.fresh |= status != CROSSVM_OK;
    return status;
}

/* Armed, and not enough there: nudges the peer and sleeps once. n_woken: sleeps before this one. */
CROSSVM_INLINE int crossvm_i_pipe_sleep(const struct crossvm_pipe_bell *bell, int nudge,
                                        uint64_t deadline_ns, uint32_t n_woken)
{
    int status = nudge ? crossvm_i_pipe_ring(bell, nudge) : CROSSVM_OK;
    if (status == CROSSVM_OK) {
        status = crossvm_notify_wait_again(bell->notify, bell->vector_in, deadline_ns, n_woken);
    }
    return status == CROSSVM_TIMEOUT ? CROSSVM_OK : status;
}

/* Waits until `want` places are free, or until deadline_ns of the notify's clock. want: 1 to the
 * capacity. The number of free places, fewer than want only if the consumer waits, too, or at the
 * deadline; TIMEOUT none until the deadline; INVALID want; NOT_YET, REFUSED, STALE, CORRUPT the
 * queue; NOT_FOUND, STALE, SYSTEM the doorbell. Role: the producer. Blocks. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pipe_tx_wait(struct crossvm_pipe_tx *pipe,
                                                          uint32_t want, uint64_t deadline_ns)
{
    struct crossvm_spsc_tx *queue = &pipe->queue;
    uint32_t n_woken = 0;
    for (;;) {
        int armed = crossvm_spsc_tx_arm(queue, want);
        if (armed != 0) {
            return armed < 0 ? armed : crossvm_spsc_tx_free(queue);
        }
        int n_free = crossvm_spsc_tx_free(queue);
        bool looks = n_woken != 0 && n_free > 0;
        bool stuck = looks && crossvm_wake_peer_waits(&queue->kick);
        int status = CROSSVM_OK;
        if (n_free >= 0 && !stuck && crossvm_notify_now(pipe->bell.notify) < deadline_ns) {
            int nudge = looks ? 0 : crossvm_spsc_tx_nudge(queue);
            status = crossvm_i_pipe_sleep(&pipe->bell, nudge, deadline_ns, n_woken);
        } else {
            status = n_free == 0 ? CROSSVM_TIMEOUT : n_free;
        }
        crossvm_spsc_tx_disarm(queue);
        if (status != CROSSVM_OK) {
            return status;
        }
        n_woken += n_woken < CROSSVM_NOTIFY_VAIN ? 1u : 0u;
    }
}

/* When a consumer that has an element and a longest delay gives its watermark up. */
CROSSVM_INLINE uint64_t crossvm_i_pipe_until(uint64_t now_ns, uint64_t delay_ns,
                                             uint64_t deadline_ns)
{
    if (delay_ns > deadline_ns - now_ns) {
        return deadline_ns;
    }
    return now_ns + delay_ns;
}

/* Waits until `want` elements are there, or until delay_ns after the first one, or until
 * deadline_ns of the notify's clock. want: a watermark, 1 to the capacity. delay_ns: 0 = no such
 * limit. The number of elements, fewer than want only after the delay, at the deadline, or if the
 * producer waits, too; TIMEOUT none until the deadline; INVALID want; NOT_YET, REFUSED, STALE,
 * CORRUPT the queue; NOT_FOUND, STALE, SYSTEM the doorbell. Role: the consumer. Blocks. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pipe_rx_wait(struct crossvm_pipe_rx *pipe,
                                                          uint32_t want, uint64_t delay_ns,
                                                          uint64_t deadline_ns)
{
    struct crossvm_spsc_rx *queue = &pipe->queue;
    uint64_t until_ns = deadline_ns;
    bool counting = false; /* the delay has begun */
    uint32_t n_woken = 0;
    if (queue->state == CROSSVM_OK && want > queue->capacity) {
        return CROSSVM_INVALID;
    }
    for (;;) {
        /* With a delay the first element counts; the watermark is armed once it is there. */
        uint32_t target = delay_ns != 0 && !counting && want > 1 ? 1 : want;
        int armed = crossvm_spsc_rx_arm(queue, target, delay_ns);
        int fill = armed < 0 ? armed : crossvm_spsc_rx_fill(queue);
        uint64_t now_ns = crossvm_notify_now(pipe->bell.notify);
        if (fill < 0 || (uint32_t)fill >= want) {
            crossvm_spsc_rx_disarm(queue);
            return fill;
        }
        if (delay_ns != 0 && fill > 0 && !counting && now_ns < deadline_ns) {
            counting = true;
            until_ns = crossvm_i_pipe_until(now_ns, delay_ns, deadline_ns);
            continue;
        }
        bool looks = n_woken != 0 && fill > 0;
        bool stuck = looks && crossvm_wake_peer_waits(&queue->kick);
        int status = CROSSVM_OK;
        if (!stuck && now_ns < until_ns) {
            int nudge = looks ? 0 : crossvm_spsc_rx_nudge(queue);
            status = crossvm_i_pipe_sleep(&pipe->bell, nudge, until_ns, n_woken);
        } else {
            status = fill == 0 ? CROSSVM_TIMEOUT : fill;
        }
        crossvm_spsc_rx_disarm(queue);
        if (status != CROSSVM_OK) {
            return status;
        }
        n_woken += n_woken < CROSSVM_NOTIFY_VAIN ? 1u : 0u;
    }
}

CROSSVM_EXTERN_C_END

#endif
