/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/liburcu_rculfqueue.c - liburcu's lock-free RCU queue. Nodes are preallocated for the
 * whole trial, because one may be used again only after a grace period: none has to be waited for.
 * For the same reason the queue's dummy nodes are kept to the trial's end instead of being handed
 * to call_rcu, whose thread would need a processor. The flavour is qsbr, whose read side is free.
 * Elements are copied, or (zero-copy) filled and looked at in their nodes.
 */
#define _LGPL_SOURCE
#include "../queue.h"

#include <stdlib.h>
#include <urcu/urcu-qsbr.h>
#include <urcu/rculfqueue.h>

struct rculfqueue_queue {
    BENCH_ALIGNED(BENCH_LINE) struct cds_lfq_queue_rcu queue;
    BENCH_ALIGNED(BENCH_LINE) uint64_t n_enqueued; /* the producer's */
    BENCH_ALIGNED(BENCH_LINE) unsigned char *nodes;
    uint64_t n_nodes;
};

#define NODE(LEN)                     \
    struct node_##LEN {               \
        struct element_##LEN elem;    \
        struct cds_lfq_node_rcu link; \
    }
NODE(8);
NODE(64);

/* A node that waits for the trial's end. */
struct kept {
    struct rcu_head *head;
    void (*free)(struct rcu_head *head);
};

#define MOST_KEPT 65536u
static struct kept kept[MOST_KEPT];
static uint32_t n_kept;

/* In place of call_rcu. */
static void keep(struct rcu_head *head, void (*free)(struct rcu_head *head))
{
    uint32_t i = __atomic_fetch_add(&n_kept, 1, __ATOMIC_RELAXED);
    bench_require(i < MOST_KEPT, "room for dummy nodes");
    kept[i].head = head;
    kept[i].free = free;
}

static void *rculfqueue_prepare(const struct bench_case *self)
{
    size_t node_len = self->elem_len == 8 ? sizeof(struct node_8) : sizeof(struct node_64);
    struct rculfqueue_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    queue->n_nodes = self->n_ops + self->n_warm;
    queue->nodes = bench_take(node_len * queue->n_nodes, BENCH_LINE);
    cds_lfq_init_rcu(&queue->queue, keep);
    return queue;
}

static void rculfqueue_finish(void *state)
{
    struct rculfqueue_queue *queue = state;
    for (uint32_t i = 0; i < n_kept; i++) {
        kept[i].free(kept[i].head);
    }
    n_kept = 0;
    (void)cds_lfq_destroy_rcu(&queue->queue);
}

BENCH_INLINE void enqueue(struct rculfqueue_queue *queue, struct cds_lfq_node_rcu *link)
{
    cds_lfq_node_init_rcu(link);
    urcu_qsbr_read_lock();
    cds_lfq_enqueue_rcu(&queue->queue, link);
    urcu_qsbr_read_unlock();
}

BENCH_INLINE struct cds_lfq_node_rcu *dequeue(struct rculfqueue_queue *queue)
{
    urcu_qsbr_read_lock();
    struct cds_lfq_node_rcu *link = cds_lfq_dequeue_rcu(&queue->queue);
    urcu_qsbr_read_unlock();
    return link;
}

#define RCULFQUEUE(LEN)                                                                            \
    BENCH_INLINE struct node_##LEN *next_##LEN(struct rculfqueue_queue *queue)                     \
    {                                                                                              \
        return (struct node_##LEN *)(void *)queue->nodes + queue->n_enqueued++;                    \
    }                                                                                              \
    BENCH_INLINE bool rculfqueue_push_##LEN(struct rculfqueue_queue *queue,                        \
                                            const struct element_##LEN *elem)                      \
    {                                                                                              \
        struct node_##LEN *node = next_##LEN(queue);                                               \
        node->elem = *elem;                                                                        \
        enqueue(queue, &node->link);                                                               \
        return true;                                                                               \
    }                                                                                              \
    BENCH_INLINE bool rculfqueue_pop_##LEN(struct rculfqueue_queue *queue,                         \
                                           struct element_##LEN *elem)                             \
    {                                                                                              \
        struct cds_lfq_node_rcu *link = dequeue(queue);                                            \
        if (link != NULL) {                                                                        \
            *elem = caa_container_of(link, struct node_##LEN, link)->elem;                         \
        }                                                                                          \
        return link != NULL;                                                                       \
    }                                                                                              \
    BENCH_INLINE uint32_t rculfqueue_put_##LEN(struct rculfqueue_queue *queue, uint64_t number,    \
                                               uint32_t n)                                         \
    {                                                                                              \
        struct node_##LEN *node = next_##LEN(queue);                                               \
        queue_fill(node->elem.words, number, LEN);                                                 \
        enqueue(queue, &node->link);                                                               \
        return n;                                                                                  \
    }                                                                                              \
    BENCH_INLINE uint32_t rculfqueue_take_##LEN(struct rculfqueue_queue *queue, uint64_t number,   \
                                                uint32_t n, uint64_t *wrong)                       \
    {                                                                                              \
        struct cds_lfq_node_rcu *link = dequeue(queue);                                            \
        if (link == NULL) {                                                                        \
            return 0;                                                                              \
        }                                                                                          \
        *wrong |=                                                                                  \
            queue_wrong(caa_container_of(link, struct node_##LEN, link)->elem.words, number, LEN); \
        return n;                                                                                  \
    }                                                                                              \
    QUEUE_ONE(rculfqueue, struct rculfqueue_queue, LEN)                                            \
    QUEUE_IN_PLACE(rculfqueue, struct rculfqueue_queue, LEN, place, 1)

RCULFQUEUE(8)
RCULFQUEUE(64)
QUEUE_PAIR(rculfqueue)
QUEUE_ROUND_TRIP(rculfqueue, struct rculfqueue_queue, 8)

static void rculfqueue_finish_pair(void *state)
{
    struct queue_pair *pair = state;
    rculfqueue_finish(pair->there);
    rculfqueue_finish(pair->back);
}

#define CASE(ROW, LEN, LOOP, SLOWER)                                                        \
    QUEUE_CASE(ROW, LEN, false, "liburcu-rculfqueue", rculfqueue, LOOP, rculfqueue_prepare, \
               rculfqueue_finish, SLOWER)

static const struct bench_case cases[] = {
    CASE("one", 8, one, 16),
    CASE("one", 64, one, 4),
    CASE("zero-copy", 8, place, 16),
    CASE("zero-copy", 64, place, 4),
    QUEUE_ROUND_TRIP_CASE(8, false, "liburcu-rculfqueue", rculfqueue, rculfqueue_finish_pair),
};

BENCH_REGISTER(cases)
