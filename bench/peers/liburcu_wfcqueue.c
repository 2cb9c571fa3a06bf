/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/liburcu_wfcqueue.c - liburcu's wait-free queue of nodes. It bounds nothing and copies
 * nothing: nodes are preallocated here, as many as our rings have elements, and the consumer gives
 * them back by a count, at most a quarter late, which is the least that such a user has to add. The
 * element is copied into its node and out of it, or (zero-copy) filled and looked at there. 32 at a
 * time are chained in a queue of the producer's own and spliced; the consumer splices what there
 * is, and walks it.
 */
#define _LGPL_SOURCE
#include "../producers.h"
#include "../queue.h"

#include <urcu/wfcqueue.h>

/* The shared queue, and one side's own. */
struct wfcqueue {
    BENCH_ALIGNED(BENCH_LINE) struct __cds_wfcq_head head;
    BENCH_ALIGNED(BENCH_LINE) struct cds_wfcq_tail tail;
};

struct wfcqueue_queue {
    struct wfcqueue shared;
    BENCH_ALIGNED(BENCH_LINE) uint64_t n_given; /* nodes given back, ever */
    /* the producer's */
    struct wfcqueue chain;
    uint64_t n_enqueued;
    uint64_t n_back; /* n_given, as seen last */
    /* the consumer's */
    struct wfcqueue spliced;
    struct cds_wfcq_node *next; /* in spliced, NULL: nothing is left there */
    uint64_t n_taken;
    /* nobody's */
    BENCH_ALIGNED(BENCH_LINE) unsigned char *nodes;
    uint32_t capacity;
};

#define NODE(LEN)                  \
    struct node_##LEN {            \
        struct element_##LEN elem; \
        struct cds_wfcq_node link; \
    }
NODE(8);
NODE(64);
NODE(256);
NODE(1024);

static void *node_alloc(const struct bench_case *self)
{
    size_t align = self->elem_len < 64 ? sizeof(struct node_8) : 64;
    size_t len = (self->elem_len + sizeof(struct cds_wfcq_node) + align - 1) / align * align;
    return bench_take(len * self->capacity, BENCH_LINE);
}

static void *wfcqueue_prepare(const struct bench_case *self)
{
    struct wfcqueue_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    queue->nodes = node_alloc(self);
    queue->capacity = self->capacity;
    __cds_wfcq_init(&queue->shared.head, &queue->shared.tail);
    __cds_wfcq_init(&queue->chain.head, &queue->chain.tail);
    __cds_wfcq_init(&queue->spliced.head, &queue->spliced.tail);
    return queue;
}

/* The producer: whether n nodes are free. */
BENCH_INLINE bool nodes_free(struct wfcqueue_queue *queue, uint32_t n)
{
    if (queue->n_enqueued + n - queue->n_back > queue->capacity) {
        queue->n_back = __atomic_load_n(&queue->n_given, __ATOMIC_ACQUIRE);
    }
    return queue->n_enqueued + n - queue->n_back <= queue->capacity;
}

BENCH_INLINE void give_back(struct wfcqueue_queue *queue)
{
    __atomic_store_n(&queue->n_given, queue->n_taken, __ATOMIC_RELEASE);
}

/* The consumer has looked at another node. */
BENCH_INLINE void taken(struct wfcqueue_queue *queue)
{
    if (++queue->n_taken % (queue->capacity / 4) == 0) {
        give_back(queue);
    }
}

BENCH_INLINE struct cds_wfcq_node *dequeue(struct wfcqueue_queue *queue)
{
    struct cds_wfcq_node *node =
        __cds_wfcq_dequeue_nonblocking(&queue->shared.head, &queue->shared.tail);
    return node == CDS_WFCQ_WOULDBLOCK ? NULL : node;
}

/* The next node of what was spliced; its successor may be on its way. NULL: nothing is there. */
BENCH_INLINE struct cds_wfcq_node *walk(struct wfcqueue_queue *queue)
{
    struct wfcqueue *own = &queue->spliced;
    if (queue->next == NULL) {
        __cds_wfcq_init(&own->head, &own->tail);
        if (__cds_wfcq_splice_nonblocking(&own->head, &own->tail, &queue->shared.head,
                                          &queue->shared.tail) != CDS_WFCQ_RET_DEST_EMPTY) {
            return NULL;
        }
        queue->next = __cds_wfcq_first_nonblocking(&own->head, &own->tail);
    }
    struct cds_wfcq_node *node = queue->next;
    struct cds_wfcq_node *next = __cds_wfcq_next_nonblocking(&own->head, &own->tail, node);
    if (next == CDS_WFCQ_WOULDBLOCK) {
        return NULL;
    }
    queue->next = next;
    return node;
}

/* elems: NULL to fill, or to look at, the elements in place. n 1: without a chain. */
#define WFCQUEUE(LEN)                                                                              \
    BENCH_INLINE struct node_##LEN *next_free_##LEN(struct wfcqueue_queue *queue)                  \
    {                                                                                              \
        struct node_##LEN *nodes = (struct node_##LEN *)(void *)queue->nodes;                      \
        struct node_##LEN *node = &nodes[queue->n_enqueued++ & (queue->capacity - 1)];             \
        cds_wfcq_node_init(&node->link);                                                           \
        return node;                                                                               \
    }                                                                                              \
    BENCH_INLINE uint32_t send_##LEN(struct wfcqueue_queue *queue,                                 \
                                     const struct element_##LEN *elems, uint64_t number,           \
                                     uint32_t n)                                                   \
    {                                                                                              \
        struct wfcqueue *to = n == 1 ? &queue->shared : &queue->chain;                             \
        if (!nodes_free(queue, n)) {                                                               \
            return 0;                                                                              \
        }                                                                                          \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            struct node_##LEN *node = next_free_##LEN(queue);                                      \
            if (elems != NULL) {                                                                   \
                node->elem = elems[i];                                                             \
            } else {                                                                               \
                queue_fill(node->elem.words, number + i, LEN);                                     \
            }                                                                                      \
            (void)cds_wfcq_enqueue(&to->head, &to->tail, &node->link);                             \
        }                                                                                          \
        if (n != 1) {                                                                              \
            (void)__cds_wfcq_splice_nonblocking(&queue->shared.head, &queue->shared.tail,          \
                                                &queue->chain.head, &queue->chain.tail);           \
        }                                                                                          \
        return n;                                                                                  \
    }                                                                                              \
    BENCH_INLINE uint32_t receive_##LEN(struct wfcqueue_queue *queue, struct element_##LEN *elems, \
                                        uint64_t number, uint32_t n, uint64_t *wrong)              \
    {                                                                                              \
        uint32_t done = 0;                                                                         \
        for (; done < n; done++) {                                                                 \
            struct cds_wfcq_node *link = n == 1 ? dequeue(queue) : walk(queue);                    \
            if (link == NULL) {                                                                    \
                give_back(queue);                                                                  \
                break;                                                                             \
            }                                                                                      \
            struct node_##LEN *node = caa_container_of(link, struct node_##LEN, link);             \
            if (elems != NULL) {                                                                   \
                elems[done] = node->elem;                                                          \
            } else {                                                                               \
                *wrong |= queue_wrong(node->elem.words, number + done, LEN);                       \
            }                                                                                      \
            taken(queue);                                                                          \
        }                                                                                          \
        return done;                                                                               \
    }                                                                                              \
    BENCH_INLINE bool wfcqueue_push_##LEN(struct wfcqueue_queue *queue,                            \
                                          const struct element_##LEN *elem)                        \
    {                                                                                              \
        return send_##LEN(queue, elem, 0, 1) == 1;                                                 \
    }                                                                                              \
    BENCH_INLINE bool wfcqueue_pop_##LEN(struct wfcqueue_queue *queue, struct element_##LEN *elem) \
    {                                                                                              \
        return receive_##LEN(queue, elem, 0, 1, NULL) == 1;                                        \
    }                                                                                              \
    BENCH_INLINE uint32_t wfcqueue_push_n_##LEN(struct wfcqueue_queue *queue,                      \
                                                const struct element_##LEN *elems, uint32_t n)     \
    {                                                                                              \
        return send_##LEN(queue, elems, 0, n);                                                     \
    }                                                                                              \
    BENCH_INLINE uint32_t wfcqueue_pop_n_##LEN(struct wfcqueue_queue *queue,                       \
                                               struct element_##LEN *elems, uint32_t n)            \
    {                                                                                              \
        return receive_##LEN(queue, elems, 0, n, NULL);                                            \
    }                                                                                              \
    BENCH_INLINE uint32_t wfcqueue_put_##LEN(struct wfcqueue_queue *queue, uint64_t number,        \
                                             uint32_t n)                                           \
    {                                                                                              \
        return send_##LEN(queue, NULL, number, n);                                                 \
    }                                                                                              \
    BENCH_INLINE uint32_t wfcqueue_take_##LEN(struct wfcqueue_queue *queue, uint64_t number,       \
                                              uint32_t n, uint64_t *wrong)                         \
    {                                                                                              \
        return receive_##LEN(queue, NULL, number, n, wrong);                                       \
    }                                                                                              \
    QUEUE_ONE(wfcqueue, struct wfcqueue_queue, LEN)                                                \
    QUEUE_BATCH(wfcqueue, struct wfcqueue_queue, LEN)                                              \
    QUEUE_IN_PLACE(wfcqueue, struct wfcqueue_queue, LEN, place, 1)                                 \
    QUEUE_IN_PLACE(wfcqueue, struct wfcqueue_queue, LEN, place32, QUEUE_BATCH_LEN)

WFCQUEUE(8)
WFCQUEUE(64)
WFCQUEUE(256)
WFCQUEUE(1024)
QUEUE_PAIR(wfcqueue)
QUEUE_ROUND_TRIP(wfcqueue, struct wfcqueue_queue, 8)

#define CASE(ROW, LEN, LOOP, SLOWER) \
    QUEUE_CASE(ROW, LEN, false, "liburcu-wfcqueue", wfcqueue, LOOP, wfcqueue_prepare, NULL, SLOWER)

#define CASES(LEN, SLOWER)                                              \
    CASE("one", LEN, one, SLOWER), CASE("batch32", LEN, batch, SLOWER), \
        CASE("zero-copy", LEN, place, SLOWER), CASE("zero-copy32", LEN, place32, SLOWER)

static const struct bench_case cases[] = {
    CASES(8, 8),
    CASES(64, 2),
    CASES(256, 1),
    CASES(1024, 1),
    QUEUE_ROUND_TRIP_CASE(8, false, "liburcu-wfcqueue", wfcqueue, NULL),
};

BENCH_REGISTER(cases)

/* ---- several producers ----------------------------------------------------------------------- */

/* Each has nodes of its own, and a count of those given back. */
struct several_producer {
    BENCH_ALIGNED(BENCH_LINE) uint64_t n_given; /* the consumer's */
    BENCH_ALIGNED(BENCH_LINE) uint64_t n_enqueued;
    uint64_t n_back; /* n_given, as seen last */
    struct node_8 *nodes;
    uint32_t mask;
    struct wfcqueue chain;
};

struct several_queue {
    struct wfcqueue_queue base; /* the shared queue, and the consumer's own */
    struct several_producer producers[PRODUCERS_MOST + 1];
    BENCH_ALIGNED(BENCH_LINE) uint64_t n_taken[PRODUCERS_MOST + 1]; /* the consumer's */
    uint32_t quarter;                                               /* of a producer's nodes */
    unsigned n_producers;
};

static void *several_prepare(const struct bench_case *self)
{
    struct several_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    struct bench_case part = *self;
    queue->n_producers = producers_n(self);
    part.capacity = queue->n_producers == 1 ? self->capacity : self->capacity / 4;
    queue->quarter = part.capacity / 4;
    __cds_wfcq_init(&queue->base.shared.head, &queue->base.shared.tail);
    __cds_wfcq_init(&queue->base.spliced.head, &queue->base.spliced.tail);
    for (unsigned i = 0; i < queue->n_producers; i++) {
        struct several_producer *producer = &queue->producers[i];
        producer->nodes = node_alloc(&part);
        producer->mask = part.capacity - 1;
        __cds_wfcq_init(&producer->chain.head, &producer->chain.tail);
    }
    return queue;
}

BENCH_INLINE uint32_t several_send(struct several_queue *queue, unsigned index,
                                   const struct element_8 *elems, uint32_t n)
{
    struct several_producer *producer = &queue->producers[index];
    struct wfcqueue *to = n == 1 ? &queue->base.shared : &producer->chain;
    if (producer->n_enqueued + n - producer->n_back > producer->mask + 1u) {
        producer->n_back = __atomic_load_n(&producer->n_given, __ATOMIC_ACQUIRE);
    }
    if (producer->n_enqueued + n - producer->n_back > producer->mask + 1u) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct node_8 *node = &producer->nodes[producer->n_enqueued++ & producer->mask];
        cds_wfcq_node_init(&node->link);
        node->elem = elems[i];
        (void)cds_wfcq_enqueue(&to->head, &to->tail, &node->link);
    }
    if (n != 1) {
        (void)__cds_wfcq_splice_nonblocking(&queue->base.shared.head, &queue->base.shared.tail,
                                            &to->head, &to->tail);
    }
    return n;
}

BENCH_INLINE void several_give_back(struct several_queue *queue, unsigned index)
{
    uint64_t *n_given = &queue->producers[index].n_given;
    if (__atomic_load_n(n_given, __ATOMIC_RELAXED) != queue->n_taken[index]) {
        __atomic_store_n(n_given, queue->n_taken[index], __ATOMIC_RELEASE);
    }
}

BENCH_INLINE uint32_t several_receive(struct several_queue *queue, struct element_8 *elems,
                                      uint32_t n)
{
    uint32_t done = 0;
    for (; done < n; done++) {
        struct cds_wfcq_node *link = n == 1 ? dequeue(&queue->base) : walk(&queue->base);
        if (link == NULL) {
            for (unsigned i = 0; i < queue->n_producers; i++) {
                several_give_back(queue, i);
            }
            break;
        }
        elems[done] = caa_container_of(link, struct node_8, link)->elem;
        unsigned index = producers_of(elems[done].words[0]) & PRODUCERS_MOST;
        if (++queue->n_taken[index] % queue->quarter == 0) {
            several_give_back(queue, index);
        }
    }
    return done;
}

BENCH_INLINE bool several_from(struct several_queue *queue, unsigned producer,
                               const struct element_8 *elem)
{
    return several_send(queue, producer, elem, 1) == 1;
}

BENCH_INLINE uint32_t several_from_n(struct several_queue *queue, unsigned producer,
                                     const struct element_8 *elems, uint32_t n)
{
    return several_send(queue, producer, elems, n);
}

BENCH_INLINE bool several_to(struct several_queue *queue, struct element_8 *elem)
{
    return several_receive(queue, elem, 1) == 1;
}

BENCH_INLINE uint32_t several_to_n(struct several_queue *queue, struct element_8 *elems, uint32_t n)
{
    return several_receive(queue, elems, n);
}

PRODUCERS_ONE(several, struct several_queue, 1)
PRODUCERS_ONE(several, struct several_queue, 3)
PRODUCERS_BATCH(several, struct several_queue, 1)
PRODUCERS_BATCH(several, struct several_queue, 3)

#define SEVERAL_CASES(P)                                                                  \
    PRODUCERS_CASE("one", P, "liburcu-wfcqueue", several, one, several_prepare, NULL, 8), \
        PRODUCERS_CASE("batch32", P, "liburcu-wfcqueue", several, batch, several_prepare, NULL, 4)

static const struct bench_case several_cases[] = {
    SEVERAL_CASES(1),
    SEVERAL_CASES(3),
};

BENCH_REGISTER(several_cases)
