/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/own.h - this library's structures, set up in a trial's memory: regions as two parties have
 * them, and a queue between those.
 */
#ifndef CROSSVM_BENCH_OWN_H
#define CROSSVM_BENCH_OWN_H

#include "bench.h"

#include <crossvm/spsc.h>

enum {
    PRODUCER = 1,
    CONSUMER = 2
};

struct crossvm_queue {
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_spsc_tx tx;
    uint32_t n_pushed; /* the producer's, for a kick now and then */
    uint32_t n_rings;  /* that the kicks asked for */
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_spsc_rx rx;
};

/* ---- a region --------------------------------------------------------------------------------- */

struct part {
    struct crossvm_region_owner owner;
    struct crossvm_region reader; /* as the other party sees it */
    struct crossvm_chunk table;
    struct crossvm_chunk chunk;
};

/* One party's region, with one chunk in it. access: the other party's. */
BENCH_INLINE void part_make(struct part *part, const struct crossvm_chunk_decl *decl,
                            enum crossvm_mapping_access access)
{
    struct crossvm_region_plan plan = {.chunks = decl, .n_chunks = 1, .owner = decl->writer};
    struct crossvm_mapping mapping = {NULL, 0, CROSSVM_READ_WRITE, CROSSVM_WRITE_BACK};
    plan.region_id[0] = (uint8_t)decl->writer;
    bench_require(crossvm_region_plan_len(&plan, &mapping.len) == CROSSVM_OK, "region_plan_len");
    mapping.base = bench_take((size_t)mapping.len, CROSSVM_GRANULE_DEFAULT);
    bench_require(crossvm_region_owner_format(&part->owner, &mapping, &plan, &part->table, 1) ==
                      CROSSVM_OK,
                  "region_owner_format");
    mapping.access = access;
    bench_require(crossvm_region_attach(&part->reader, &mapping, decl->reader) == CROSSVM_OK,
                  "region_attach");
    bench_require(crossvm_region_find(&part->reader, decl->name, decl->kind, 0, &part->chunk) ==
                      CROSSVM_OK,
                  "region_find");
}

BENCH_INLINE void *crossvm_prepare(const struct bench_case *self)
{
    const struct crossvm_chunk_decl tx_decl = {
        "queue", CROSSVM_KIND_SPSC_TX, self->capacity, self->elem_len, PRODUCER, CONSUMER, 0, 7};
    const struct crossvm_chunk_decl rx_decl = {
        "queue", CROSSVM_KIND_SPSC_RX, 0, 0, CONSUMER, PRODUCER, 0, 7};
    struct crossvm_queue *queue = bench_take(sizeof(*queue), BENCH_LINE);
    struct part a;
    struct part b;
    part_make(&a, &tx_decl, CROSSVM_READ_ONLY);
    part_make(&b, &rx_decl, CROSSVM_READ_ONLY);
    int status = crossvm_spsc_rx_open(&queue->rx, &b.owner.region, &b.chunk, self->capacity,
                                      (uint32_t)self->elem_len, 1);
    bench_require(status == CROSSVM_OK, "spsc_rx_open");
    status = crossvm_spsc_tx_open(&queue->tx, &a.owner.region, &a.chunk, 0, 1);
    bench_require(status == CROSSVM_OK, "spsc_tx_open");
    status = crossvm_spsc_tx_link(&queue->tx, &b.reader, &b.chunk);
    bench_require(status == CROSSVM_NOT_YET, "spsc_tx_link");
    bench_require(crossvm_spsc_rx_link(&queue->rx, &a.reader, &a.chunk) == CROSSVM_OK,
                  "spsc_rx_link");
    bench_require(crossvm_spsc_tx_link(&queue->tx, &b.reader, &b.chunk) == CROSSVM_OK,
                  "spsc_tx_link, again");
    return queue;
}

#endif
