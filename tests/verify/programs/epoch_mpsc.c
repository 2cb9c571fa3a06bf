/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of one part of a ring with several writers renews it while the other side makes a call.
 * The call finds the ring full or empty, or says STALE, and calls nobody corrupt. CAPACITY is 1;
 * START: see mpsc.h.
 *
 *   CALL  push, by a writer, to a full ring, or pop, from an empty one
 *   PART  with push: the consumer's part is renewed, not the ring
 */
#include "round.h"

#define CAPACITY 1u
#ifndef START
#define START 4u
#endif

#include "mpsc.h"

#ifndef CALL
#define CALL push
#endif
#define CALL_2(name) call_##name()
#define DO(name)     CALL_2(name)

#define FULL_FOR_push  true
#define FULL_FOR_pop   false
#define FULL_2(name)   FULL_FOR_##name
#define FULL_FOR(name) FULL_2(name)

static MODEL_STATE struct crossvm_region owner_region;
static MODEL_STATE struct crossvm_chunk renewed;

static __attribute__((__unused__)) void call_push(void)
{
    int status = mpsc_push_next(1);
    assert(status == CROSSVM_FULL || status == CROSSVM_STALE);
}

static __attribute__((__unused__)) void call_pop(void)
{
    int status = mpsc_pop_next();
    assert(status == CROSSVM_EMPTY || status == CROSSVM_STALE);
}

static void *use(void *unused)
{
    (void)unused;
    DO(CALL);
    return NULL;
}

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&owner_region, renewed.off, renewed.length);
    crossvm_i_chunk_start(&owner_region, &renewed);
    return NULL;
}

static void prepare(void)
{
    link_all();
    if (FULL_FOR(CALL)) {
        assert(mpsc_push_next(2) == CROSSVM_OK);
    }
    renewed.generation = GENERATION + 1;
#if defined(PART)
    owner_region.base = (unsigned char *)&rx_memory;
    renewed.length = sizeof(rx_memory);
#else
    owner_region.base = (unsigned char *)&ring_memory;
    renewed.length = sizeof(ring_memory);
#endif
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, use, renew)
