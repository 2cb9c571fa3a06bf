/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner that dies in front of its DIE-th store while it takes blocks back and lends them, and is
 * followed by another, beside a reader that gives one back. What the reader has stays as it is and
 * no block is lost. Payloads are plain memory: no block is filled while it is read. START: see
 * pool.h.
 *
 *   DIE     stores that the first owner lives to make
 *   RECALL  it takes the second block away instead of lending the first anew
 */
#include "round.h"

#include "mortal.h"

#define MODEL_BLOCKS 2
#include "pool.h"

#ifndef DIE
#define DIE 8
#endif

static MODEL_STATE struct crossvm_pool_owner second_owner;
static MODEL_STATE struct crossvm_pool_id ids[MODEL_BLOCKS];

static void fill_and_lend(struct crossvm_pool_owner *owner, uint32_t value,
                          struct crossvm_pool_id *id)
{
    uint32_t block = 0;
    int status = crossvm_pool_owner_allocate(owner, &block);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    if (status == CROSSVM_OK) {
        uint32_t *payload = (uint32_t *)crossvm_pool_owner_raw(owner, block);
        payload[0] = value;
        assert(crossvm_pool_owner_lend(owner, block, 4, 1, id) == CROSSVM_OK);
    }
}

static void *own(void *unused)
{
    struct crossvm_pool_id id;
    (void)unused;
    model_dies_after(DIE);
    int n_freed = crossvm_pool_owner_collect(&pool_owner);
    assert(n_freed >= 0);
#if defined(RECALL)
    assert(crossvm_pool_owner_recall(&pool_owner, 1, 1) == 1);
#endif
    fill_and_lend(&pool_owner, 30, &id);
    model_restarts();
    model_pool_open_owner(&second_owner);
    assert(model_pool_link(&second_owner) == CROSSVM_OK);
    n_freed = crossvm_pool_owner_collect(&second_owner);
    assert(n_freed >= 0);
    fill_and_lend(&second_owner, 40, &id);
    return NULL;
}

static void look(uint32_t block)
{
    struct crossvm_pool_view view;
    int status = crossvm_pool_reader_find(&pool_reader, &ids[block], &view);
#if defined(RECALL)
    if (block == 1) {
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
        return;
    }
#endif
    assert(status == CROSSVM_OK);
    assert(*(const uint32_t *)view.payload == 10 * (block + 1));
    if (block == 0) {
        assert(crossvm_pool_reader_give_back(&pool_reader, &view) == CROSSVM_OK);
    }
}

static void *use(void *unused)
{
    (void)unused;
    look(0);
    look(1);
    return NULL;
}

static void prepare(void)
{
    model_pool_up();
    fill_and_lend(&pool_owner, 10, &ids[0]);
    fill_and_lend(&pool_owner, 20, &ids[1]);
}

/* Every block is free or lent, and block 1 is where it was. */
static void judge(void)
{
    int n_freed = crossvm_pool_owner_collect(&second_owner);
    assert(n_freed >= 0);
    assert(crossvm_pool_owner_n_free(&second_owner) + crossvm_pool_owner_n_lent(&second_owner, 0) ==
           MODEL_BLOCKS);
#if !defined(RECALL)
    look(1);
    assert(crossvm_pool_owner_n_lent(&second_owner, 0) >= 1);
#endif
}

MODEL_PROGRAM(prepare, judge, own, use)
