/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/eventfd.h - doorbells by Linux eventfds: one descriptor a vector.
 *
 * Layer 6. Roles: each side owns its vectors' descriptors and hands copies to those that may ring
 * them (crossvm_memfd_send). No shared bytes: the kernel keeps the count. Whoever holds a copy of a
 * descriptor shares its flags: a hostile peer can make a ring to it block (docs/TRUST.md).
 */
#ifndef CROSSVM_BACKEND_EVENTFD_H
#define CROSSVM_BACKEND_EVENTFD_H

#include "posix.h"

#include "../notify.h"

#include <sys/eventfd.h>
#include <sys/uio.h>

CROSSVM_EXTERN_C_BEGIN

/* Where one vector of one peer is rung. */
struct crossvm_eventfd_route {
    uint32_t peer;   /* as the caller names it */
    uint32_t vector; /* of the peer */
    int fd;          /* a copy of that vector's descriptor */
};

/* All doorbells of one side. The arrays are the caller's and must outlive the notify. */
struct crossvm_eventfd {
    const struct crossvm_eventfd_route *routes; /* whom this side may ring */
    uint32_t n_routes;                          /* their number */
    const int *own;                             /* the descriptor of each own vector */
    uint32_t n_own;                             /* own vectors */
};

/* A descriptor for one own vector. 0 and up; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_eventfd_create(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? CROSSVM_SYSTEM : fd;
}

CROSSVM_INLINE int crossvm_i_eventfd_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct crossvm_eventfd *eventfd = (const struct crossvm_eventfd *)context;
    const uint64_t one = 1;
    for (uint32_t i = 0; i < eventfd->n_routes; i++) {
        const struct crossvm_eventfd_route *route = &eventfd->routes[i];
        if (route->peer != peer || route->vector != vector) {
            continue;
        }
        /* A count at its limit is a ring that was not heard yet: nothing is lost. */
        if (write(route->fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN) {
            return CROSSVM_OK;
        }
        return CROSSVM_SYSTEM;
    }
    return CROSSVM_NOT_FOUND;
}

/* Takes the count without blocking, even if a peer has cleared O_NONBLOCK, which it shares. */
CROSSVM_INLINE ssize_t crossvm_i_eventfd_read(int fd, uint64_t *count)
{
    struct iovec bytes = {count, sizeof(*count)};
    ssize_t len = preadv2(fd, &bytes, 1, -1, RWF_NOWAIT);
    /* Kernels before 5.8 and some sandboxes cannot: there the flag is all there is. */
    if (len < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        return read(fd, count, sizeof(*count));
    }
    return len;
}

CROSSVM_INLINE int crossvm_i_eventfd_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    const struct crossvm_eventfd *eventfd = (const struct crossvm_eventfd *)context;
    if (vector >= eventfd->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    uint64_t count;
    for (;;) {
        if (crossvm_i_eventfd_read(eventfd->own[vector], &count) == (ssize_t)sizeof(count)) {
            return CROSSVM_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return CROSSVM_SYSTEM;
        }
        int status = crossvm_i_posix_poll(eventfd->own[vector], deadline_ns);
        if (status != CROSSVM_OK) {
            /* A signal handler ran: let the caller look around. */
            return status == CROSSVM_SYSTEM && errno == EINTR ? CROSSVM_OK : status;
        }
    }
}

CROSSVM_INLINE int crossvm_i_eventfd_fd(void *context, uint32_t vector)
{
    const struct crossvm_eventfd *eventfd = (const struct crossvm_eventfd *)context;
    return vector < eventfd->n_own ? eventfd->own[vector] : CROSSVM_NOT_FOUND;
}

/* Makes a notify of one side's doorbells; deadlines are times of crossvm_posix_now. A signal that
 * the process handles ends a wait as a false alarm. */
CROSSVM_INLINE void crossvm_notify_eventfd(struct crossvm_notify *notify,
                                           struct crossvm_eventfd *eventfd)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_eventfd_signal,   crossvm_i_eventfd_wait, crossvm_i_eventfd_fd,
        crossvm_i_posix_notify_now, crossvm_i_posix_rest,
    };
    notify->ops = &ops;
    notify->context = eventfd;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
