/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/queue.h - a queue between two regions, brought up as far as a test wants it, and
 * what tests with a second process need: fork, wait, a guard against hanging.
 *
 * The producer is PARTY_A and owns region a with the tx part; the consumer is PARTY_B and owns
 * region b with the rx part. Each side reads the other's region through a read-only mapping. The
 * parts are the last chunks of their regions, and each mapping ends at a page that faults.
 *
 * Without an operating system there is one process and one mapping, and instead of the kernel's
 * doorbells one in plain memory, as an interrupt handler's flag would be.
 */
#ifndef CROSSVM_TESTS_SUPPORT_QUEUE_H
#define CROSSVM_TESTS_SUPPORT_QUEUE_H

#include "region.h"

#if CHECK_OS
#include <crossvm/backend/eventfd.h>
#include <crossvm/backend/futex.h>

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#endif

#if CHECK_OS

/* ---- processes ------------------------------------------------------------------------------- */

/* Ends a program that hangs. Nothing else in a test depends on time. */
static inline void test_guard(void)
{
    (void)alarm((unsigned)(300u * check_scale()));
}

/* Forks; the child counts its own failures, has a guard, and ends with its parent. */
static inline pid_t test_fork(void)
{
    fflush(stdout);
    pid_t parent = getpid();
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        check_n_failed = 0;
        REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        REQUIRE(getppid() == parent);
        test_guard();
    }
    return child;
}

/* The end of a child: its failed checks become its exit status. */
static inline void test_child_done(void)
{
    int status = check_done();
    fflush(stdout);
    _exit(status);
}

/* Waits for a child: its exit status, or 128 and the signal that ended it. */
static inline int test_wait(pid_t child)
{
    int status;
    pid_t ended;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    REQUIRE(ended == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits for two children that work with each other: 0 if both ended well. When one fails the other
 * is killed, because it would wait for ever. */
static inline int test_wait_both(pid_t one, pid_t two)
{
    int status;
    pid_t first;
    do {
        first = waitpid(-1, &status, 0);
    } while (first < 0 && errno == EINTR);
    REQUIRE(first == one || first == two);
    pid_t other = first == one ? two : one;
    if (status != 0) {
        REQUIRE(kill(other, SIGKILL) == 0);
    }
    return test_wait(other) == 0 && status == 0 ? 0 : 1;
}

/* How many descriptors this process has open. */
static inline unsigned test_n_fds(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    REQUIRE(dir != NULL);
    while (readdir(dir) != NULL) {
        n++;
    }
    REQUIRE(closedir(dir) == 0);
    return n;
}

/* ---- regions with guard pages ---------------------------------------------------------------- */

static inline size_t queue_pages_len(uint64_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((size_t)len + page - 1) / page * page;
}

/* Maps a file between two pages that fault. */
static inline void *queue_map_view(int fd, uint64_t len, int prot)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages_len = queue_pages_len(len);
    void *around = mmap(NULL, pages_len + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(around != MAP_FAILED);
    void *base = mmap((char *)around + page, pages_len, prot, MAP_SHARED | MAP_FIXED, fd, 0);
    REQUIRE(base != MAP_FAILED);
    return base;
}

static inline void queue_unmap_view(void *base, uint64_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    REQUIRE(munmap((char *)base - page, queue_pages_len(len) + 2 * page) == 0);
}

#endif

/* How a queue's memory is to be mapped; all zero is the usual. */
struct queue_options {
    uint32_t memory; /* enum crossvm_memory */
    bool
        one_mapping; /* both sides see the same addresses, so that a thread sanitizer can compare */
};

#if CHECK_OS

static inline void queue_map(struct test_region *region, uint64_t len, bool one_mapping)
{
    int fd = test_file(queue_pages_len(len));
    void *rw = queue_map_view(fd, len, PROT_READ | PROT_WRITE);
    void *ro = one_mapping ? rw : queue_map_view(fd, len, PROT_READ);
    REQUIRE(close(fd) == 0);
    test_views(&region->writable, &region->read_only, rw, ro, len);
}

static inline void queue_unmap(struct test_region *region)
{
    if (region->read_only.base != region->writable.base) {
        queue_unmap_view(region->read_only.base, region->read_only.len);
    }
    queue_unmap_view(region->writable.base, region->writable.len);
}

#else

/* Whoever starts the emulator guards it against hanging. */
static inline void test_guard(void)
{
}

static inline void queue_map(struct test_region *region, uint64_t len, bool one_mapping)
{
    (void)one_mapping;
    test_map(&region->writable, &region->read_only, len);
}

static inline void queue_unmap(struct test_region *region)
{
    test_unmap(&region->writable, &region->read_only);
}

#endif

static inline void queue_region_make(struct test_region *region,
                                     const struct crossvm_region_plan *plan, uint32_t reader_party,
                                     struct queue_options options)
{
    uint64_t len;
    REQUIRE(crossvm_region_plan_len(plan, &len) == CROSSVM_OK);
    queue_map(region, len, options.one_mapping);
    region->writable.memory = options.memory;
    region->read_only.memory = options.memory;
    REQUIRE(crossvm_region_owner_format(&region->owner, &region->writable, plan, region->table,
                                        TEST_TABLE_LEN) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&region->reader, &region->read_only, reader_party) == CROSSVM_OK);
}

/* ---- the queue ------------------------------------------------------------------------------- */

#define QUEUE_VECTORS 2u

struct queue {
    struct test_region a; /* the producer's: a doorbell chunk, the tx part */
    struct test_region b; /* the consumer's: a doorbell chunk, the rx part */
    struct crossvm_chunk tx_chunk;
    struct crossvm_chunk rx_chunk;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    uint32_t seed; /* of the incarnations */
};

/* Makes both regions, with room for n elements of len bytes. No part is opened. */
static inline void queue_make(struct queue *queue, uint32_t n, uint32_t len,
                              struct queue_options options)
{
    const struct crossvm_chunk_decl a[] = {
        {"bell", CROSSVM_KIND_DOORBELL, QUEUE_VECTORS, 0, PARTY_A, PARTY_B, 0, 0},
        {"queue", CROSSVM_KIND_SPSC_TX, n, len, PARTY_A, PARTY_B, 0, 7},
    };
    const struct crossvm_chunk_decl b[] = {
        {"bell", CROSSVM_KIND_DOORBELL, QUEUE_VECTORS, 0, PARTY_B, PARTY_A, 0, 0},
        {"queue", CROSSVM_KIND_SPSC_RX, 0, 0, PARTY_B, PARTY_A, 0, 7},
    };
    const struct crossvm_region_plan plan_a = {a, 2, 0, 0, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {b, 2, 0, 0, 0, PARTY_B, {2}, 0, {0, 0, 0}};
    queue_region_make(&queue->a, &plan_a, PARTY_B, options);
    queue_region_make(&queue->b, &plan_b, PARTY_A, options);
    queue->tx_chunk = test_find(&queue->a.reader, "queue", CROSSVM_KIND_SPSC_TX);
    queue->rx_chunk = test_find(&queue->b.reader, "queue", CROSSVM_KIND_SPSC_RX);
    queue->seed = 0;
}

static inline void queue_drop(struct queue *queue)
{
    queue_unmap(&queue->a);
    queue_unmap(&queue->b);
}

/* The calls of each side, with its own regions. */
static inline int queue_tx_open(struct queue *queue, uint32_t elem_len)
{
    queue->seed++;
    return crossvm_spsc_tx_open(&queue->tx, &queue->a.owner.region, &queue->tx_chunk, elem_len,
                                queue->seed);
}

static inline int queue_rx_open(struct queue *queue, uint32_t capacity, uint32_t elem_len)
{
    queue->seed++;
    return crossvm_spsc_rx_open(&queue->rx, &queue->b.owner.region, &queue->rx_chunk, capacity,
                                elem_len, queue->seed);
}

static inline int queue_tx_link(struct queue *queue)
{
    return crossvm_spsc_tx_link(&queue->tx, &queue->b.reader, &queue->rx_chunk);
}

static inline int queue_rx_link(struct queue *queue)
{
    return crossvm_spsc_rx_link(&queue->rx, &queue->a.reader, &queue->tx_chunk);
}

/* The shared words, as their writers see them: tests that play a hostile side write here. */
static inline struct crossvm_spsc_tx_shm *queue_tx_words(const struct queue *queue)
{
    return (struct crossvm_spsc_tx_shm *)(void *)crossvm_i_control(&queue->a.owner.region,
                                                                   &queue->tx_chunk);
}

static inline struct crossvm_spsc_rx_shm *queue_rx_words(const struct queue *queue)
{
    return (struct crossvm_spsc_rx_shm *)(void *)crossvm_i_control(&queue->b.owner.region,
                                                                   &queue->rx_chunk);
}

/* Brings up a queue whose parts were made. */
static inline void queue_link(struct queue *queue, uint32_t capacity, uint32_t elem_len)
{
    REQUIRE(queue_rx_open(queue, capacity, elem_len) == CROSSVM_OK);
    REQUIRE(queue_tx_open(queue, 0) == CROSSVM_OK);
    REQUIRE(queue_tx_link(queue) == CROSSVM_NOT_YET);
    REQUIRE(queue_rx_link(queue) == CROSSVM_OK);
    REQUIRE(queue_tx_link(queue) == CROSSVM_OK);
}

/* Both sides open the linked parts again, as after a restart. */
static inline void queue_resume(struct queue *queue)
{
    uint32_t capacity = queue->rx.capacity;
    uint32_t elem_len = queue->rx.elem_len;
    REQUIRE(queue_tx_open(queue, 0) == CROSSVM_OK);
    REQUIRE(queue_rx_open(queue, capacity, elem_len) == CROSSVM_OK);
    REQUIRE(queue_tx_link(queue) == CROSSVM_OK);
    REQUIRE(queue_rx_link(queue) == CROSSVM_OK);
}

/* A linked, empty queue that fits its memory exactly and whose indices begin at `index`. */
static inline void queue_up(struct queue *queue, uint32_t capacity, uint32_t elem_len,
                            uint32_t index, struct queue_options options)
{
    queue_make(queue, capacity, elem_len, options);
    queue_link(queue, capacity, elem_len);
    if (index != 0) {
        crossvm_store_relaxed(&queue_tx_words(queue)->line.index, index);
        crossvm_store_relaxed(&queue_rx_words(queue)->line.index, index);
        queue_resume(queue);
    }
}

#if CHECK_OS

/* In a forked process: what the other side writes can no longer be written here. */
static inline void queue_only_producer(const struct queue *queue)
{
    const struct crossvm_mapping *other = &queue->b.writable;
    REQUIRE(mprotect(other->base, (size_t)other->len, PROT_NONE) == 0);
}

static inline void queue_only_consumer(const struct queue *queue)
{
    const struct crossvm_mapping *other = &queue->a.writable;
    REQUIRE(mprotect(other->base, (size_t)other->len, PROT_NONE) == 0);
}

/* ---- doorbells ------------------------------------------------------------------------------- */

enum queue_backend {
    QUEUE_POLLING,
    QUEUE_EVENTFD,
    QUEUE_FUTEX
};

/* One for cases that need any doorbell that rings; all of them; all that ring. */
#define QUEUE_BELL QUEUE_EVENTFD
#define QUEUE_BACKENDS                            \
    {                                             \
        QUEUE_POLLING, QUEUE_EVENTFD, QUEUE_FUTEX \
    }
#define QUEUE_RINGING              \
    {                              \
        QUEUE_EVENTFD, QUEUE_FUTEX \
    }

static inline const char *queue_backend_name(enum queue_backend backend)
{
    static const char *const names[] = {"polling", "eventfd", "futex"};
    return names[backend];
}

/* One side's doorbells, with QUEUE_VECTORS vectors each way. */
struct queue_bells {
    struct crossvm_notify notify;
    struct crossvm_polling polling;
    struct crossvm_eventfd eventfd;
    struct crossvm_eventfd_route routes[QUEUE_VECTORS];
    int own[QUEUE_VECTORS];
    struct crossvm_futex futex;
};

static inline void queue_relax(void *context)
{
    (void)context;
    (void)sched_yield();
}

static inline void queue_bells_eventfd(struct queue_bells *bells, uint32_t peer,
                                       const struct queue_bells *other)
{
    for (uint32_t i = 0; i < QUEUE_VECTORS; i++) {
        bells->routes[i].peer = peer;
        bells->routes[i].vector = i;
        bells->routes[i].fd = other->own[i];
    }
    bells->eventfd.routes = bells->routes;
    bells->eventfd.n_routes = QUEUE_VECTORS;
    bells->eventfd.own = bells->own;
    bells->eventfd.n_own = QUEUE_VECTORS;
    crossvm_notify_eventfd(&bells->notify, &bells->eventfd);
}

/* The producer's side, PARTY_A, and the consumer's, PARTY_B, can ring each other. */
static inline void queue_bells_make(struct queue *queue, enum queue_backend backend,
                                    struct queue_bells *a, struct queue_bells *b)
{
    struct crossvm_chunk bell_a = test_find(&queue->a.reader, "bell", CROSSVM_KIND_DOORBELL);
    struct crossvm_chunk bell_b = test_find(&queue->b.reader, "bell", CROSSVM_KIND_DOORBELL);
    for (uint32_t i = 0; i < QUEUE_VECTORS; i++) {
        a->own[i] = backend == QUEUE_EVENTFD ? crossvm_eventfd_create() : -1;
        b->own[i] = backend == QUEUE_EVENTFD ? crossvm_eventfd_create() : -1;
    }
    a->polling.now = crossvm_i_posix_notify_now;
    a->polling.relax = queue_relax;
    a->polling.context = NULL;
    b->polling = a->polling;
    if (backend == QUEUE_EVENTFD) {
        queue_bells_eventfd(a, PARTY_B, b);
        queue_bells_eventfd(b, PARTY_A, a);
    } else if (backend == QUEUE_FUTEX) {
        REQUIRE(crossvm_futex_open(&a->futex, &queue->a.owner.region, &bell_a, &queue->b.reader,
                                   &bell_b) == CROSSVM_OK);
        REQUIRE(crossvm_futex_open(&b->futex, &queue->b.owner.region, &bell_b, &queue->a.reader,
                                   &bell_a) == CROSSVM_OK);
        crossvm_notify_futex(&a->notify, &a->futex);
        crossvm_notify_futex(&b->notify, &b->futex);
    } else {
        crossvm_notify_polling(&a->notify, &a->polling);
        crossvm_notify_polling(&b->notify, &b->polling);
    }
}

static inline void queue_bells_drop(struct queue_bells *a, struct queue_bells *b)
{
    for (uint32_t i = 0; i < QUEUE_VECTORS; i++) {
        if (a->own[i] >= 0) {
            REQUIRE(close(a->own[i]) == 0 && close(b->own[i]) == 0);
        }
    }
}

/* The clock of the doorbells. */
static inline uint64_t queue_now(void)
{
    return crossvm_posix_now();
}

#else

/* ---- a doorbell in plain memory -------------------------------------------------------------- */

enum queue_backend {
    QUEUE_POLLING,
    QUEUE_MEMORY
};

#define QUEUE_BELL QUEUE_MEMORY
#define QUEUE_BACKENDS              \
    {                               \
        QUEUE_POLLING, QUEUE_MEMORY \
    }
#define QUEUE_RINGING \
    {                 \
        QUEUE_MEMORY  \
    }

static inline const char *queue_backend_name(enum queue_backend backend)
{
    static const char *const names[] = {"polling", "memory"};
    return names[backend];
}

struct queue_bells {
    struct crossvm_notify notify;
    struct crossvm_polling polling;
    uint32_t peer; /* whom it can ring */
    struct queue_bells *other;
    bool rung[QUEUE_VECTORS];
};

/* A clock that goes on whenever somebody looks at it. */
static inline uint64_t queue_now(void)
{
    static uint64_t now_ns;
    now_ns += 1000;
    return now_ns;
}

static inline uint64_t queue_bell_now(void *context)
{
    (void)context;
    return queue_now();
}

static inline int queue_bell_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct queue_bells *bells = (const struct queue_bells *)context;
    if (peer != bells->peer || vector >= QUEUE_VECTORS) {
        return CROSSVM_NOT_FOUND;
    }
    bells->other->rung[vector] = true;
    return CROSSVM_OK;
}

/* Nobody else runs here: what is not rung by now will not be. */
static inline int queue_bell_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct queue_bells *bells = (struct queue_bells *)context;
    if (vector >= QUEUE_VECTORS) {
        return CROSSVM_NOT_FOUND;
    }
    while (!bells->rung[vector]) {
        if (queue_now() >= deadline_ns) {
            return CROSSVM_TIMEOUT;
        }
    }
    bells->rung[vector] = false;
    return CROSSVM_OK;
}

static inline void queue_bell_make(struct queue_bells *bells, uint32_t peer,
                                   struct queue_bells *other, enum queue_backend backend)
{
    static const struct crossvm_notify_ops ops = {queue_bell_signal, queue_bell_wait, NULL,
                                                  queue_bell_now, NULL};
    memset(bells, 0, sizeof(*bells));
    bells->peer = peer;
    bells->other = other;
    bells->polling.now = queue_bell_now;
    bells->notify.ops = &ops;
    bells->notify.context = bells;
    if (backend == QUEUE_POLLING) {
        crossvm_notify_polling(&bells->notify, &bells->polling);
    }
}

static inline void queue_bells_make(struct queue *queue, enum queue_backend backend,
                                    struct queue_bells *a, struct queue_bells *b)
{
    (void)queue;
    queue_bell_make(a, PARTY_B, b, backend);
    queue_bell_make(b, PARTY_A, a, backend);
}

static inline void queue_bells_drop(struct queue_bells *a, struct queue_bells *b)
{
    (void)a;
    (void)b;
}

#endif

/* How long a wait may take before a test calls it hung. */
static inline uint64_t queue_deadline(void)
{
    return queue_now() + UINT64_C(60000000000);
}

/* ---- elements whose contents follow from a number -------------------------------------------- */

static inline unsigned char queue_byte(uint32_t number, uint32_t at)
{
    /* The first four bytes are the number itself, the others mix it with their place. */
    if (at < 4) {
        return (unsigned char)(number >> (8 * at));
    }
    return (unsigned char)((number * 2654435761u >> 13) + at * 7u + (at >> 8));
}

static inline void queue_fill(void *elem, uint32_t len, uint32_t number)
{
    for (uint32_t at = 0; at < len; at++) {
        ((unsigned char *)elem)[at] = queue_byte(number, at);
    }
}

static inline bool queue_is(const void *elem, uint32_t len, uint32_t number)
{
    for (uint32_t at = 0; at < len; at++) {
        if (((const unsigned char *)elem)[at] != queue_byte(number, at)) {
            return false;
        }
    }
    return true;
}

#endif
