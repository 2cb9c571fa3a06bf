/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two writers and a consumer: each writer's elements arrive in its order, each once, and claims
 * leave no gap. CAPACITY, START: see mpsc.h.
 *
 *   PREFILL  elements that were there before, of a third writer
 *   PUSHES   by the first writer; the second pushes one
 *   POPS     that the consumer tries beside them
 */
#include "round.h"

#include "mpsc.h"

#ifndef PREFILL
#define PREFILL 0
#endif
#ifndef PUSHES
#define PUSHES 1
#endif
#ifndef POPS
#define POPS 1
#endif

static void push(uint32_t writer)
{
    int status = mpsc_push_next(writer);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL || status == CROSSVM_TORN);
}

static void *write_some(void *unused)
{
    (void)unused;
    for (int i = 0; i < PUSHES; i++) {
        push(1);
    }
    return NULL;
}

static void *write_one(void *unused)
{
    (void)unused;
    push(2);
    return NULL;
}

static void *read_some(void *unused)
{
    (void)unused;
    for (int i = 0; i < POPS; i++) {
        int status = mpsc_pop_next();
        assert(status == CROSSVM_OK || status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET);
    }
    return NULL;
}

static void prepare(void)
{
    link_all();
    for (int i = 0; i < PREFILL; i++) {
        assert(mpsc_push_next(3) == CROSSVM_OK);
    }
}

static void judge(void)
{
    mpsc_judge(0);
}

MODEL_PROGRAM(prepare, judge, write_some, write_one, read_some)
