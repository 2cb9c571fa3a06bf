/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/poll.h - doorbells of several backends behind one wait, on Linux.
 *
 * Layer 6, on posix.h and notify.h. Roles: one waiter. No shared bytes. A bell with a descriptor
 * ends the wait when it rings. One without, as the futex backend's or polling, is looked at every
 * period_ns, and each time the caller looks around, too.
 *
 * It only listens: each peer is rung through its own backend's notify. A bell that fails is told
 * once and stands in `bells`, and is listened to no longer until crossvm_notify_poll.
 */
#ifndef CROSSVM_BACKEND_POLL_H
#define CROSSVM_BACKEND_POLL_H

#include "posix.h"

#include "../notify.h"

#include <poll.h>

CROSSVM_EXTERN_C_BEGIN

/* One bell to listen to. */
struct crossvm_poll_bell {
    struct crossvm_notify *notify; /* of its backend, whose clock is crossvm_posix_now */
    uint32_t vector;               /* of our own */
    int status;                    /* OK, or why it is listened to no longer */
};

/* All of them. The arrays are the caller's and must outlive the notify. */
struct crossvm_poll {
    struct crossvm_poll_bell *bells; /* notify and vector set by the caller */
    struct pollfd *fds;              /* as many, overwritten */
    uint32_t n_bells;                /* their number */
    uint32_t n_without;              /* bells without a descriptor, set by crossvm_notify_poll */
    uint64_t period_ns;              /* these are looked at so often, from 1 */
    bool rung;                       /* the last wait ended by a ring: only then rest */
};

/* Hears every bell without waiting. OK one rang; TIMEOUT none; the status of one that has failed
 * now, and is left out. */
CROSSVM_INLINE int crossvm_i_poll_hear(struct crossvm_poll *poll)
{
    int answer = CROSSVM_TIMEOUT;
    for (uint32_t i = 0; i < poll->n_bells; i++) {
        struct crossvm_poll_bell *bell = &poll->bells[i];
        if (bell->status != CROSSVM_OK) {
            continue;
        }
        int status = crossvm_notify_wait(bell->notify, bell->vector, 0);
        if (status == CROSSVM_TIMEOUT) {
            continue;
        }
        if (status != CROSSVM_OK) {
            poll->n_without -= poll->fds[i].fd < 0 ? 1u : 0u;
            poll->fds[i].fd = -1;
            bell->status = status;
        }
        answer = answer == CROSSVM_TIMEOUT || answer == CROSSVM_OK ? status : answer;
    }
    return answer;
}

CROSSVM_INLINE int crossvm_i_poll_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    (void)peer;
    (void)vector;
    return CROSSVM_NOT_FOUND;
}

CROSSVM_INLINE int crossvm_i_poll_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct crossvm_poll *poll = (struct crossvm_poll *)context;
    (void)vector;
    int heard = crossvm_i_poll_hear(poll);
    uint64_t now_ns = crossvm_posix_now();
    poll->rung = heard != CROSSVM_TIMEOUT;
    if (poll->rung || now_ns >= deadline_ns) {
        return heard;
    }
    uint64_t left_ns = deadline_ns - now_ns;
    if (poll->n_without != 0 && poll->period_ns < left_ns) {
        left_ns = poll->period_ns;
    }
    struct timespec left = crossvm_i_posix_timespec(left_ns);
    if (ppoll(poll->fds, (nfds_t)poll->n_bells, &left, NULL) < 0 && errno != EINTR) {
        return CROSSVM_SYSTEM;
    }
    /* What rang is heard now, or else it would end the next wait, too. Nothing: a false alarm. */
    heard = crossvm_i_poll_hear(poll);
    poll->rung = heard != CROSSVM_TIMEOUT;
    return poll->rung ? heard : CROSSVM_OK;
}

/* A period that is over is no ring: it has been rest enough. */
CROSSVM_INLINE void crossvm_i_poll_rest(void *context, uint64_t until_ns)
{
    const struct crossvm_poll *poll = (const struct crossvm_poll *)context;
    if (poll->rung) {
        crossvm_i_posix_rest(NULL, until_ns);
    }
}

/* Makes a notify that listens to all bells and rings nobody (its signal answers NOT_FOUND);
 * deadlines are times of crossvm_posix_now; its vector does not matter. OK; INVALID no bell, or a
 * period of 0; NOT_FOUND a bell has no such vector. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_notify_poll(struct crossvm_notify *notify,
                                                         struct crossvm_poll *poll)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_poll_signal,      crossvm_i_poll_wait, NULL,
        crossvm_i_posix_notify_now, crossvm_i_poll_rest,
    };
    if (poll->n_bells == 0 || poll->period_ns == 0) {
        return CROSSVM_INVALID;
    }
    poll->n_without = 0;
    poll->rung = false;
    for (uint32_t i = 0; i < poll->n_bells; i++) {
        int fd = crossvm_notify_fd(poll->bells[i].notify, poll->bells[i].vector);
        if (fd < 0 && fd != CROSSVM_UNSUPPORTED) {
            return fd;
        }
        poll->n_without += fd < 0 ? 1u : 0u;
        poll->fds[i].fd = fd < 0 ? -1 : fd;
        poll->fds[i].events = POLLIN;
        poll->fds[i].revents = 0;
        poll->bells[i].status = CROSSVM_OK;
    }
    notify->ops = &ops;
    notify->context = poll;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
    return CROSSVM_OK;
}

CROSSVM_EXTERN_C_END

#endif
