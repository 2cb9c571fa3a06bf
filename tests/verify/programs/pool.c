/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner lends contents one after the other, and a reader that finds their ids in a queue uses
 * and gives them back. Payloads are plain memory, so that the race detector proves that a block is
 * filled only when nobody reads it. In the end everything that was given back is free.
 * MODEL_BLOCKS, START: see pool.h.
 *
 *   SENDS  contents that the owner tries to lend
 *   USES   looks of the reader into the queue
 *   ALL    the reader gives everything back by one call behind each use
 */
#include "round.h"

#include "pool.h"

#ifndef SENDS
#define SENDS 2
#endif
#ifndef USES
#define USES 2
#endif

/* A queue of so many places, to which nothing is done twice. */
static MODEL_STATE struct crossvm_le32 queue_tail;
static MODEL_STATE uint32_t queue_block[SENDS];
static MODEL_STATE uint32_t queue_generation[SENDS];

static MODEL_STATE uint32_t n_sent;
static MODEL_STATE uint32_t n_used;

static void send_one(void)
{
    struct crossvm_pool_id id;
    uint32_t block = 0;
    int status = crossvm_pool_owner_allocate(&pool_owner, &block);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    if (status != CROSSVM_OK) {
        return;
    }
    uint32_t *payload = (uint32_t *)crossvm_pool_owner_raw(&pool_owner, block);
    payload[0] = model_pool_word(n_sent, 0);
    payload[1] = model_pool_word(n_sent, 1);
    assert(crossvm_pool_owner_lend(&pool_owner, block, 8, 1, &id) == CROSSVM_OK);
    queue_block[n_sent] = block;
    queue_generation[n_sent] = crossvm_i_word(&id.generation);
    n_sent++;
    crossvm_i_store_release(&queue_tail, n_sent);
}

static void *lend(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < SENDS; i++) {
        int n_freed = crossvm_pool_owner_collect(&pool_owner);
        assert(n_freed >= 0);
        send_one();
    }
    return NULL;
}

static bool use_one(void)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    if (crossvm_i_load_acquire(&queue_tail) == n_used) {
        return false;
    }
    model_pool_id(&id, queue_block[n_used], queue_generation[n_used]);
    assert(crossvm_pool_reader_find(&pool_reader, &id, &view) == CROSSVM_OK);
    const uint32_t *payload = (const uint32_t *)view.payload;
    assert(payload[0] == model_pool_word(n_used, 0) && payload[1] == model_pool_word(n_used, 1));
    assert(view.len == 8);
#if defined(ALL)
    assert(crossvm_pool_reader_give_back_all(&pool_reader) == CROSSVM_OK);
#else
    assert(crossvm_pool_reader_give_back(&pool_reader, &view) == CROSSVM_OK);
#endif
    n_used++;
    return true;
}

static void *use(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < USES; i++) {
        (void)use_one();
    }
    return NULL;
}

static void judge(void)
{
    int n_freed = crossvm_pool_owner_collect(&pool_owner);
    assert(n_freed >= 0);
    assert(crossvm_pool_owner_n_free(&pool_owner) == MODEL_BLOCKS - (n_sent - n_used));
    assert(crossvm_pool_owner_n_lent(&pool_owner, 0) == n_sent - n_used);
}

MODEL_PROGRAM(model_pool_up, judge, lend, use)
