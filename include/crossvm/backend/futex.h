/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/futex.h - doorbells by words in shared memory that Linux lets one sleep on.
 *
 * Layer 6, between processes of one kernel. Roles: the ringer writes a DOORBELL chunk of its own,
 * with one line for each vector of the peer; the peer sleeps on it through a read-only mapping.
 *
 * Shared bytes of the chunk (kind DOORBELL, n vectors):
 *
 *   offset            size  writer  name      meaning
 *   0                 4     -       index     zero
 *   4                 4     owner   epoch     the chunk's generation
 *   128 + 128*vector  4     ringer  count     rings so far, runs freely
 *   132 + 128*vector  124   -       reserved  zero
 *
 * Ordering edge:
 *
 *   doorbell_count  count, release -> count, acquire: who sees the ring sees what was published
 *                   before it
 */
#ifndef CROSSVM_BACKEND_FUTEX_H
#define CROSSVM_BACKEND_FUTEX_H

#include "posix.h"

#include "../notify.h"

#include <linux/futex.h>
#include <sys/syscall.h>

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_FUTEX_VECTORS 8u /* vectors in each direction, at most */

/* The line of one vector. */
struct crossvm_doorbell_shm {
    struct crossvm_le32 count; /* rings so far, runs freely */
    struct crossvm_le32 reserved[31];
};

CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_doorbell_shm) == CROSSVM_LINE, "bytes");

/* One side's doorbells with one peer. */
struct crossvm_futex {
    struct crossvm_doorbell_shm *out;      /* the peer's vectors, which we ring */
    const struct crossvm_doorbell_shm *in; /* own vectors, on which we sleep */
    const struct crossvm_le32 *out_epoch;  /* of the chunk that we write */
    const struct crossvm_le32 *in_epoch;   /* of the peer's chunk */
    uint32_t out_generation;               /* what *out_epoch must be */
    uint32_t in_generation;                /* what *in_epoch must be */
    uint32_t n_out;                        /* vectors to ring */
    uint32_t n_in;                         /* vectors to wait for */
    uint32_t rung[CROSSVM_FUTEX_VECTORS];  /* own counts, by vector */
    uint32_t heard[CROSSVM_FUTEX_VECTORS]; /* the peer's counts as they were at the last wait */
};

/* Opens both directions. out, out_region: a DOORBELL chunk that this side writes, and its region.
 * in, in_region: the one that the peer writes, and its region. Vectors beyond 8 are not used. OK;
 * TYPE, INVALID, ROLE, STALE as crossvm_bytes_reader_open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_futex_open(struct crossvm_futex *futex,
                                                        const struct crossvm_region *out_region,
                                                        const struct crossvm_chunk *out,
                                                        const struct crossvm_region *in_region,
                                                        const struct crossvm_chunk *in)
{
    __builtin_memset(futex, 0, sizeof(*futex));
    int status = crossvm_i_chunk_enter(out_region, out, CROSSVM_KIND_DOORBELL, CROSSVM_I_WRITER);
    if (status == CROSSVM_OK) {
        status = crossvm_i_chunk_enter(in_region, in, CROSSVM_KIND_DOORBELL, CROSSVM_I_READER);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    futex->out = (struct crossvm_doorbell_shm *)(void *)(crossvm_i_control(out_region, out) + 1);
    futex->in =
        (const struct crossvm_doorbell_shm *)(const void *)(crossvm_i_control(in_region, in) + 1);
    futex->out_epoch = &crossvm_i_control(out_region, out)->epoch;
    futex->in_epoch = &crossvm_i_control(in_region, in)->epoch;
    futex->out_generation = out->generation;
    futex->in_generation = in->generation;
    futex->n_out = out->n < CROSSVM_FUTEX_VECTORS ? out->n : CROSSVM_FUTEX_VECTORS;
    futex->n_in = in->n < CROSSVM_FUTEX_VECTORS ? in->n : CROSSVM_FUTEX_VECTORS;
    for (uint32_t i = 0; i < futex->n_out; i++) {
        futex->rung[i] = crossvm_load_relaxed(&futex->out[i].count);
    }
    return CROSSVM_OK;
}

/* The system call takes a timespec of the kernel's, which 32-bit systems have in two widths. */
CROSSVM_INLINE long crossvm_i_futex_call(const struct crossvm_le32 *word, int operation,
                                         uint32_t value, const struct timespec *timeout)
{
#if defined(SYS_futex_time64) && __SIZEOF_LONG__ == 4
    if (sizeof(timeout->tv_sec) == 8) {
        return syscall(SYS_futex_time64, &word->i_bits, operation, value, timeout, NULL,
                       FUTEX_BITSET_MATCH_ANY);
    }
#endif
    return syscall(SYS_futex, &word->i_bits, operation, value, timeout, NULL,
                   FUTEX_BITSET_MATCH_ANY);
}

/* There is one peer; its number does not matter. */
CROSSVM_INLINE int crossvm_i_futex_signal(void *context, uint32_t peer, uint32_t vector)
{
    struct crossvm_futex *futex = (struct crossvm_futex *)context;
    (void)peer;
    if (vector >= futex->n_out) {
        return CROSSVM_NOT_FOUND;
    }
    if (crossvm_load_relaxed(futex->out_epoch) != futex->out_generation) {
        return CROSSVM_STALE;
    }
    futex->rung[vector]++;
    CROSSVM_STORE_RELEASE(doorbell_count, &futex->out[vector].count, futex->rung[vector]);
    if (crossvm_i_futex_call(&futex->out[vector].count, FUTEX_WAKE, 0x7fffffff, NULL) < 0) {
        return CROSSVM_SYSTEM;
    }
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_futex_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct crossvm_futex *futex = (struct crossvm_futex *)context;
    if (vector >= futex->n_in) {
        return CROSSVM_NOT_FOUND;
    }
    const struct crossvm_le32 *word = &futex->in[vector].count;
    struct timespec until = crossvm_i_posix_timespec(deadline_ns);
    for (;;) {
        uint32_t count = CROSSVM_LOAD_ACQUIRE(doorbell_count, word);
        if (crossvm_load_relaxed(futex->in_epoch) != futex->in_generation) {
            return CROSSVM_STALE;
        }
        if (count != futex->heard[vector]) {
            futex->heard[vector] = count;
            return CROSSVM_OK;
        }
        if (crossvm_posix_now() >= deadline_ns) {
            return CROSSVM_TIMEOUT;
        }
        /* Absolute time, CLOCK_MONOTONIC; sleeps only while the word is still what was seen. */
        if (crossvm_i_futex_call(word, FUTEX_WAIT_BITSET, crossvm_i_swap_le32(count), &until) < 0) {
            if (errno == EINTR) {
                return CROSSVM_OK;
            }
            if (errno != EAGAIN && errno != ETIMEDOUT) {
                return CROSSVM_SYSTEM;
            }
        }
    }
}

/* Makes a notify of the doorbells; deadlines are times of crossvm_posix_now. There is no descriptor
 * to poll. A signal that the process handles ends a wait as a false alarm. */
CROSSVM_INLINE void crossvm_notify_futex(struct crossvm_notify *notify, struct crossvm_futex *futex)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_futex_signal,     crossvm_i_futex_wait, NULL,
        crossvm_i_posix_notify_now, crossvm_i_posix_rest,
    };
    notify->ops = &ops;
    notify->context = futex;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
