/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ringer publishes an index, without order, and rings; a waiter that heard a ring sees the index
 * that was published before it. No ring is slept through.
 *
 * For the model checker the system's calls are replaced: a futex that is a flag under a lock, and a
 * clock that reaches the deadline when the waiter sleeps and nobody wakes it. Then it must have
 * heard all rings. In a stress test the system's futex keeps a deadline that must never come.
 *
 *   RINGS  rings of the ringer
 */
#include "round.h"

#ifndef RINGS
#define RINGS 2u
#endif
#define DEADLINE    1000u
#define FIRST_COUNT 0xffffffffu /* of rings: the next one wraps */

#if defined(CROSSVM_MODEL)
#include <linux/futex.h>

#include <crossvm/region.h>

/* What futex.h takes from the system, and from posix.h, which is not included. */
#define CROSSVM_BACKEND_POSIX_H
#define EINTR                        4
#define EAGAIN                       11
#define ETIMEDOUT                    110
#define errno                        system_errno
#define crossvm_posix_now()          system_now
#define crossvm_i_posix_timespec(ns) system_time(ns)
#define crossvm_i_posix_notify_now   system_clock
#define crossvm_i_posix_rest         NULL
#define syscall(number, word, op, value, ...) \
    ((op) == FUTEX_WAKE ? system_wake() : system_wait((word), (value)))

struct timespec {
    uint64_t tv_sec;
};

static pthread_mutex_t system_lock = PTHREAD_MUTEX_INITIALIZER;
static bool system_asleep; /* a thread sleeps on the word */
static __thread int system_errno;
static __thread uint64_t system_now;

static inline struct timespec system_time(uint64_t ns)
{
    struct timespec time;
    time.tv_sec = ns;
    return time;
}

static inline uint64_t system_clock(void *context)
{
    (void)context;
    return system_now;
}

static inline long system_wait(const uint32_t *word, uint32_t value)
{
    pthread_mutex_lock(&system_lock);
    bool same = __atomic_load_n(word, __ATOMIC_RELAXED) == value;
    system_asleep = same;
    pthread_mutex_unlock(&system_lock);
    if (!same) {
        system_errno = EAGAIN;
        return -1;
    }
    pthread_mutex_lock(&system_lock);
    bool woken = !system_asleep;
    pthread_mutex_unlock(&system_lock);
    if (!woken) {
        system_now = DEADLINE;
        system_errno = ETIMEDOUT;
        return -1;
    }
    return 0;
}

static inline long system_wake(void)
{
    pthread_mutex_lock(&system_lock);
    system_asleep = false;
    pthread_mutex_unlock(&system_lock);
    return 0;
}
#endif

#include <crossvm/backend/futex.h>

#include "memory.h"

enum {
    TO_WAITER = 0, /* the two DOORBELL chunks */
    TO_RINGER = 1
};

struct bell {
    struct crossvm_chunk_shm control;
    struct crossvm_doorbell_shm vector;
};

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct bell bells[2];
} memory;
static MODEL_STATE struct crossvm_le32 published; /* what the ring is about */
static MODEL_STATE struct crossvm_region regions[3];
static MODEL_STATE struct crossvm_chunk chunks[2];
static MODEL_STATE struct crossvm_futex ringer;
static MODEL_STATE struct crossvm_futex waiter;
static MODEL_STATE struct crossvm_notify rings;
static MODEL_STATE struct crossvm_notify waits;

static void *ring(void *unused)
{
    (void)unused;
    for (uint32_t index = 1; index <= RINGS; index++) {
        crossvm_store_relaxed(&published, index);
        assert(crossvm_notify_signal(&rings, 0, 0) == CROSSVM_OK);
    }
    return NULL;
}

static uint64_t deadline(void)
{
#if defined(CROSSVM_MODEL)
    return DEADLINE;
#else
    return crossvm_posix_now() + 20000000000u;
#endif
}

static void *hear(void *unused)
{
    uint32_t index = 0;
    (void)unused;
    while (index < RINGS) {
        int status = crossvm_notify_wait(&waits, 0, deadline());
#if defined(CROSSVM_MODEL)
        if (status == CROSSVM_TIMEOUT) {
            break;
        }
#endif
        assert(status == CROSSVM_OK);
        uint32_t heard = waiter.heard[0] - FIRST_COUNT;
        uint32_t before = index;
        index = crossvm_load_relaxed(&published);
        assert(heard >= 1 && heard <= RINGS && index >= heard && index >= before);
    }
    return NULL;
}

static void prepare(void)
{
    for (uint32_t party = 0; party < 3; party++) {
        memory_region(&regions[party], &memory, sizeof(memory), party);
    }
    for (uint32_t i = 0; i < 2; i++) {
        memory_chunk(&chunks[i], CROSSVM_KIND_DOORBELL, 1, 0, sizeof(struct bell), i + 1);
        chunks[i].id = i + 1;
        chunks[i].off = MEMORY_FRONT + i * sizeof(struct bell);
        chunks[i].writer = i == TO_WAITER ? MEMORY_WRITER : MEMORY_READER;
        crossvm_i_chunk_start(&regions[MEMORY_OWNER], &chunks[i]);
    }
    crossvm_store_relaxed(&memory.bells[TO_WAITER].vector.count, FIRST_COUNT);
    assert(crossvm_futex_open(&ringer, &regions[MEMORY_WRITER], &chunks[TO_WAITER],
                              &regions[MEMORY_WRITER], &chunks[TO_RINGER]) == CROSSVM_OK);
    assert(crossvm_futex_open(&waiter, &regions[MEMORY_READER], &chunks[TO_RINGER],
                              &regions[MEMORY_READER], &chunks[TO_WAITER]) == CROSSVM_OK);
    crossvm_notify_futex(&rings, &ringer);
    crossvm_notify_futex(&waits, &waiter);
    /* The rings of before count as one. */
    assert(crossvm_notify_wait(&waits, 0, deadline()) == CROSSVM_OK);
    assert(waiter.heard[0] == FIRST_COUNT);
}

static void judge(void)
{
#if defined(CROSSVM_MODEL)
    assert(!system_asleep || waiter.heard[0] == FIRST_COUNT + RINGS);
#endif
}

MODEL_PROGRAM(prepare, judge, ring, hear)
