/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader opens its part, uses a block and gives it back, while the owner tries to link it: not
 * yet, or well, and never a part of another pool; once it is linked everything comes back.
 */
#include "round.h"

#include "pool.h"

static MODEL_STATE struct crossvm_pool_id lent_id;

static void *link_and_collect(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        int status = model_pool_link(&pool_owner);
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
        int n_freed = crossvm_pool_owner_collect(&pool_owner);
        assert(n_freed >= 0 && (n_freed == 0 || status == CROSSVM_OK));
    }
    return NULL;
}

static void *bind_and_give(void *unused)
{
    struct crossvm_pool_view view;
    (void)unused;
    assert(model_pool_bind(&pool_reader) == CROSSVM_OK);
    assert(crossvm_pool_reader_find(&pool_reader, &lent_id, &view) == CROSSVM_OK);
    assert(crossvm_pool_reader_give_back(&pool_reader, &view) == CROSSVM_OK);
    return NULL;
}

static void prepare(void)
{
    uint32_t block = 0;
    model_pool_make();
    for (unsigned i = 0; i < 4; i++) {
        pool_region.region_id[i] = 9 + i;
    }
    model_pool_open_owner(&pool_owner);
    model_pool_open_reader(&pool_reader);
    assert(crossvm_pool_owner_allocate(&pool_owner, &block) == CROSSVM_OK);
    assert(crossvm_pool_owner_lend(&pool_owner, block, 0, 1, &lent_id) == CROSSVM_OK);
}

static void judge(void)
{
    assert(model_pool_link(&pool_owner) == CROSSVM_OK);
    int n_freed = crossvm_pool_owner_collect(&pool_owner);
    assert(n_freed >= 0);
    assert(crossvm_pool_owner_n_free(&pool_owner) == 1);
}

MODEL_PROGRAM(prepare, judge, link_and_collect, bind_and_give)
