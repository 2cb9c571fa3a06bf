/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/notify.h - the doorbell that a backend plugs in: signal, wait, and a clock to wait by.
 *
 * Layer 4. Roles: each side has a struct crossvm_notify of its own, used by one thread at a time.
 * No shared bytes. A ring carries nothing: whoever is rung looks at shared memory again, and a ring
 * too many does no harm. A ring that was sent before the wait began ends the wait at once.
 *
 * A backend for a doorbell in device memory calls crossvm_system_barrier (cpu.h) in front of the
 * register write, so that what was published is visible before the ring.
 */
#ifndef CROSSVM_NOTIFY_H
#define CROSSVM_NOTIFY_H

#include "cpu.h"
#include "status.h"

CROSSVM_EXTERN_C_BEGIN

/* A deadline that never comes. */
#define CROSSVM_NO_DEADLINE UINT64_MAX

/* So many rings for nothing in a row are a storm: from then on a wait rests before it listens. */
#define CROSSVM_NOTIFY_VAIN 16u

/* How long it rests, ns: what a storm can delay, and how seldom it can wake its receiver. */
#define CROSSVM_NOTIFY_REST_NS 1000000u

/* What a backend supplies. context is the backend's own. */
struct crossvm_notify_ops {
    /* Rings `vector` of `peer`. Never blocks. OK; NOT_FOUND no such route; STALE its memory is
     * another chunk's by now; SYSTEM with errno. */
    int (*signal)(void *context, uint32_t peer, uint32_t vector);
    /* Waits until own `vector` was rung since the last wait, or until now() reaches deadline_ns.
     * OK rung (or a false alarm); TIMEOUT; NOT_FOUND no such vector; STALE; SYSTEM with errno. */
    int (*wait)(void *context, uint32_t vector, uint64_t deadline_ns);
    /* A descriptor that polls readable when own `vector` was rung; NULL where there is none. */
    int (*fd)(void *context, uint32_t vector);
    /* The clock of the deadlines, ns, never backward. */
    uint64_t (*now)(void *context);
    /* Sleeps until now() reaches until_ns, whatever rings meanwhile (it may end early). NULL:
     * nothing slows a storm of rings down. */
    void (*rest)(void *context, uint64_t until_ns);
};

/* A doorbell in use. */
struct crossvm_notify {
    const struct crossvm_notify_ops *ops; /* the backend's functions */
    void *context;                        /* what they are called with */
    uint64_t n_sent;                      /* rings */
    uint64_t n_suppressed;                /* rings that were not due */
};

/* Rings a vector of a peer. Never blocks. OK; NOT_FOUND; STALE; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_signal(struct crossvm_notify *notify,
                                                           uint32_t peer, uint32_t vector)
{
    notify->n_sent++;
    return notify->ops->signal(notify->context, peer, vector);
}

/* Rings if a kick said so, and counts either way. due: what the kick answered. Never blocks.
 * OK; NOT_FOUND; STALE; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_signal_if(struct crossvm_notify *notify,
                                                              int due, uint32_t peer,
                                                              uint32_t vector)
{
    if (due <= 0) {
        notify->n_suppressed++;
        return CROSSVM_OK;
    }
    return crossvm_notify_signal(notify, peer, vector);
}

/* Waits for own `vector` until deadline_ns. Blocks.
 * OK rung, or a false alarm: look at shared memory; TIMEOUT; NOT_FOUND; STALE; SYSTEM, errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_wait(struct crossvm_notify *notify,
                                                         uint32_t vector, uint64_t deadline_ns)
{
    return notify->ops->wait(notify->context, vector, deadline_ns);
}

/* As crossvm_notify_wait, for a loop that looks at shared memory and waits again. A peer may ring
 * without end; n_vain counts the waits of this loop that ended and nothing was there, and after
 * CROSSVM_NOTIFY_VAIN of them each wait rests first, deaf, for CROSSVM_NOTIFY_REST_NS. So a storm
 * of rings costs its receiver so many looks and one more for each such time, and delays what it
 * waits for by no more. Blocks. Statuses as crossvm_notify_wait. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_wait_again(struct crossvm_notify *notify,
                                                               uint32_t vector,
                                                               uint64_t deadline_ns,
                                                               uint32_t n_vain)
{
    if (n_vain >= CROSSVM_NOTIFY_VAIN && notify->ops->rest != NULL) {
        uint64_t now_ns = notify->ops->now(notify->context);
        uint64_t until_ns = now_ns + CROSSVM_NOTIFY_REST_NS;
        notify->ops->rest(notify->context, until_ns < deadline_ns ? until_ns : deadline_ns);
    }
    return notify->ops->wait(notify->context, vector, deadline_ns);
}

/* A descriptor for poll(), readable when own `vector` was rung. 0 and up; UNSUPPORTED the backend
 * has none; NOT_FOUND no such vector. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_fd(const struct crossvm_notify *notify,
                                                       uint32_t vector)
{
    if (notify->ops->fd == NULL) {
        return CROSSVM_UNSUPPORTED;
    }
    return notify->ops->fd(notify->context, vector);
}

/* The time now, on the clock of the deadlines. */
CROSSVM_INLINE uint64_t crossvm_notify_now(const struct crossvm_notify *notify)
{
    return notify->ops->now(notify->context);
}

/* ---- polling: no doorbell at all ---------------------------------------------------------- */

/* What pure polling needs from its surroundings. */
struct crossvm_polling {
    uint64_t (*now)(void *context); /* ns, never backward */
    void (*relax)(void *context);   /* gives the processor away for a moment; NULL = a pause */
    void *context;                  /* what both are called with */
};

CROSSVM_INLINE int crossvm_i_polling_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    (void)peer;
    (void)vector;
    return CROSSVM_OK;
}

/* Every wait is a short rest and then a false alarm: the caller looks at shared memory again. */
CROSSVM_INLINE int crossvm_i_polling_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    const struct crossvm_polling *polling = (const struct crossvm_polling *)context;
    (void)vector;
    if (polling->now(polling->context) >= deadline_ns) {
        return CROSSVM_TIMEOUT;
    }
    if (polling->relax != NULL) {
        polling->relax(polling->context);
    } else {
        crossvm_cpu_pause();
    }
    return CROSSVM_OK;
}

CROSSVM_INLINE uint64_t crossvm_i_polling_now(void *context)
{
    const struct crossvm_polling *polling = (const struct crossvm_polling *)context;
    return polling->now(polling->context);
}

/* Makes a notify that rings nobody and waits by polling. polling: must outlive the notify. Set
 * `polling` in the kick of the peer's handle, too, so that its kicks are free. */
CROSSVM_INLINE void crossvm_notify_polling(struct crossvm_notify *notify,
                                           struct crossvm_polling *polling)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_polling_signal, crossvm_i_polling_wait, NULL, crossvm_i_polling_now, NULL,
    };
    notify->ops = &ops;
    notify->context = polling;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
