/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/rte_ring.c - DPDK's ring, of one producer and one consumer, with elements in the ring
 * (rte_ring_elem.h), copying and by its zero-copy calls; compiled with DPDK's own flags.
 */
#include "../producers.h"
#include "../queue.h"

#include <sys/types.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

static void *rte_ring_prepare(const struct bench_case *self)
{
    size_t len = sizeof(struct rte_ring) + self->elem_len * self->capacity;
    struct rte_ring *ring = bench_take(len, BENCH_LINE);
    int status = rte_ring_init(ring, "bench", self->capacity, RING_F_SP_ENQ | RING_F_SC_DEQ);
    bench_require(status == 0, "rte_ring_init");
    return ring;
}

BENCH_INLINE uint32_t put(struct rte_ring *ring, uint64_t number, uint32_t n, unsigned len)
{
    struct rte_ring_zc_data zone;
    n = rte_ring_enqueue_zc_burst_elem_start(ring, len, n, &zone, NULL);
    if (n != 0) {
        queue_fill_run(zone.ptr1, len, number, zone.n1, len);
        queue_fill_run(zone.ptr2, len, number + zone.n1, n - zone.n1, len);
        rte_ring_enqueue_zc_elem_finish(ring, n);
    }
    return n;
}

BENCH_INLINE uint32_t take(struct rte_ring *ring, uint64_t number, uint32_t n, uint64_t *wrong,
                           unsigned len)
{
    struct rte_ring_zc_data zone;
    n = rte_ring_dequeue_zc_burst_elem_start(ring, len, n, &zone, NULL);
    if (n != 0) {
        *wrong |= queue_wrong_run(zone.ptr1, len, number, zone.n1, len);
        *wrong |= queue_wrong_run(zone.ptr2, len, number + zone.n1, n - zone.n1, len);
        rte_ring_dequeue_zc_elem_finish(ring, n);
    }
    return n;
}

#define RTE_RING(LEN)                                                                              \
    BENCH_INLINE bool rte_ring_push_##LEN(struct rte_ring *ring, const struct element_##LEN *elem) \
    {                                                                                              \
        return rte_ring_sp_enqueue_elem(ring, (void *)(uintptr_t)elem, LEN) == 0;                  \
    }                                                                                              \
    BENCH_INLINE bool rte_ring_pop_##LEN(struct rte_ring *ring, struct element_##LEN *elem)        \
    {                                                                                              \
        return rte_ring_sc_dequeue_elem(ring, elem, LEN) == 0;                                     \
    }                                                                                              \
    BENCH_INLINE uint32_t rte_ring_push_n_##LEN(struct rte_ring *ring,                             \
                                                const struct element_##LEN *elems, uint32_t n)     \
    {                                                                                              \
        return rte_ring_sp_enqueue_burst_elem(ring, elems, LEN, n, NULL);                          \
    }                                                                                              \
    BENCH_INLINE uint32_t rte_ring_pop_n_##LEN(struct rte_ring *ring, struct element_##LEN *elems, \
                                               uint32_t n)                                         \
    {                                                                                              \
        return rte_ring_sc_dequeue_burst_elem(ring, elems, LEN, n, NULL);                          \
    }                                                                                              \
    BENCH_INLINE uint32_t rte_ring_put_##LEN(struct rte_ring *ring, uint64_t number, uint32_t n)   \
    {                                                                                              \
        return put(ring, number, n, LEN);                                                          \
    }                                                                                              \
    BENCH_INLINE uint32_t rte_ring_take_##LEN(struct rte_ring *ring, uint64_t number, uint32_t n,  \
                                              uint64_t *wrong)                                     \
    {                                                                                              \
        return take(ring, number, n, wrong, LEN);                                                  \
    }                                                                                              \
    QUEUE_ONE(rte_ring, struct rte_ring, LEN)                                                      \
    QUEUE_BATCH(rte_ring, struct rte_ring, LEN)                                                    \
    QUEUE_IN_PLACE(rte_ring, struct rte_ring, LEN, place, 1)                                       \
    QUEUE_IN_PLACE(rte_ring, struct rte_ring, LEN, place32, QUEUE_BATCH_LEN)

RTE_RING(8)
RTE_RING(64)
RTE_RING(256)
RTE_RING(1024)
QUEUE_PAIR(rte_ring)
QUEUE_ROUND_TRIP(rte_ring, struct rte_ring, 8)

#define CASE(ROW, LEN, LOOP, SLOWER) \
    QUEUE_CASE(ROW, LEN, false, "rte_ring", rte_ring, LOOP, rte_ring_prepare, NULL, SLOWER)

#define CASES(LEN, SLOWER)                                         \
    CASE("one", LEN, one, SLOWER), CASE("batch32", LEN, batch, 1), \
        CASE("zero-copy", LEN, place, SLOWER), CASE("zero-copy32", LEN, place32, 1)

static const struct bench_case cases[] = {
    CASES(8, 2),
    CASES(64, 2),
    CASES(256, 1),
    CASES(1024, 1),
    QUEUE_ROUND_TRIP_CASE(8, false, "rte_ring", rte_ring, NULL),
};

BENCH_REGISTER(cases)

/* ---- several producers ----------------------------------------------------------------------- */

/* Its default way for them: inside the call each waits for those in front of it, which is fastest
 * while every one has a CPU of its own. */
static void *several_prepare(const struct bench_case *self)
{
    if (!bench_own_cpus(self)) {
        return NULL;
    }
    size_t len = sizeof(struct rte_ring) + self->elem_len * self->capacity;
    struct rte_ring *ring = bench_take(len, BENCH_LINE);
    bench_require(rte_ring_init(ring, "bench", self->capacity, RING_F_SC_DEQ) == 0,
                  "rte_ring_init");
    return ring;
}

BENCH_INLINE bool several_from(struct rte_ring *ring, unsigned producer,
                               const struct element_8 *elem)
{
    (void)producer;
    return rte_ring_mp_enqueue_elem(ring, (void *)(uintptr_t)elem, 8) == 0;
}

BENCH_INLINE uint32_t several_from_n(struct rte_ring *ring, unsigned producer,
                                     const struct element_8 *elems, uint32_t n)
{
    (void)producer;
    return rte_ring_mp_enqueue_burst_elem(ring, elems, 8, n, NULL);
}

BENCH_INLINE bool several_to(struct rte_ring *ring, struct element_8 *elem)
{
    return rte_ring_pop_8(ring, elem);
}

BENCH_INLINE uint32_t several_to_n(struct rte_ring *ring, struct element_8 *elems, uint32_t n)
{
    return rte_ring_pop_n_8(ring, elems, n);
}

PRODUCERS_ONE(several, struct rte_ring, 1)
PRODUCERS_ONE(several, struct rte_ring, 3)
PRODUCERS_BATCH(several, struct rte_ring, 1)
PRODUCERS_BATCH(several, struct rte_ring, 3)

#define SEVERAL_CASES(P)                                                          \
    PRODUCERS_CASE("one", P, "rte_ring", several, one, several_prepare, NULL, 8), \
        PRODUCERS_CASE("batch32", P, "rte_ring", several, batch, several_prepare, NULL, 2)

static const struct bench_case several_cases[] = {
    SEVERAL_CASES(1),
    SEVERAL_CASES(3),
};

BENCH_REGISTER(several_cases)
