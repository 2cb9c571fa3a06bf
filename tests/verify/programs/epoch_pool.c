/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that starts anew. PART: a reader's part is wiped under an owner that collects, and another
 * party writes there what would look like blocks given back; no loan ends. Else a pool is wiped
 * under a reader, and another owner lends there: a copy that counts is the old content, whole.
 *
 *   PART  see above
 */
#include "round.h"

#include "pool.h"

#define NEW 9u /* the memory's next generation */

static MODEL_STATE struct crossvm_chunk next_chunk;
static MODEL_STATE struct crossvm_region wiping_region;
static MODEL_STATE struct crossvm_pool_id lent_id;

#if defined(PART)

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&wiping_region, next_chunk.off, next_chunk.length);
    crossvm_i_chunk_start(&wiping_region, &next_chunk);
    if (crossvm_i_chunk_enter(&wiping_region, &next_chunk, CROSSVM_KIND_BYTES, CROSSVM_I_WRITER) ==
        CROSSVM_OK) {
        crossvm_store_relaxed(&returns_memory.words[0], 2);
        crossvm_store_relaxed(&returns_memory.line.count, 50);
    }
    return NULL;
}

static void *look(void *unused)
{
    (void)unused;
    assert(crossvm_pool_owner_collect(&pool_owner) == 0);
    return NULL;
}

static void judge(void)
{
    assert(crossvm_pool_owner_collect(&pool_owner) == 0);
    assert(links[0].state == CROSSVM_STALE);
    assert(crossvm_pool_owner_n_lent(&pool_owner, 0) == 1);
}

#else

static void *renew(void *unused)
{
    struct crossvm_pool_block_shm *header = &pool_memory.block[0].header;
    uint32_t words[2];
    (void)unused;
    words[0] = 77;
    words[1] = 77;
    crossvm_i_wipe(&wiping_region, next_chunk.off, next_chunk.length);
    crossvm_i_chunk_start(&wiping_region, &next_chunk);
    assert(crossvm_i_chunk_enter(&wiping_region, &next_chunk, CROSSVM_KIND_POOL,
                                 CROSSVM_I_WRITER) == CROSSVM_OK);
    crossvm_copy_out(&pool_memory.block[0].payload[0], words, 8);
    crossvm_store_relaxed(&header->len, 4);
    crossvm_i_store_release(&header->generation, 2);
    return NULL;
}

static void *look(void *unused)
{
    struct crossvm_pool_view view;
    uint32_t words[2];
    (void)unused;
    int status = crossvm_pool_reader_copy(&pool_reader, &lent_id, words, 8, &view);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE || status == CROSSVM_TORN);
    if (status == CROSSVM_OK) {
        assert(words[0] == 11 && words[1] == 12 && view.len == 8);
    }
    return NULL;
}

static void judge(void)
{
    struct crossvm_pool_view view;
    assert(crossvm_pool_reader_find(&pool_reader, &lent_id, &view) == CROSSVM_STALE);
    assert(pool_reader.fault.rule == CROSSVM_RULE_NONE);
}

#endif

static void prepare(void)
{
    uint32_t words[2];
    uint32_t block = 0;
    words[0] = 11;
    words[1] = 12;
    model_pool_up();
    assert(crossvm_pool_owner_allocate(&pool_owner, &block) == CROSSVM_OK);
    assert(crossvm_pool_owner_put(&pool_owner, block, 0, words, 8) == CROSSVM_OK);
    assert(crossvm_pool_owner_lend(&pool_owner, block, 8, 1, &lent_id) == CROSSVM_OK);
#if defined(PART)
    memory_region(&wiping_region, &returns_memory, sizeof(returns_memory), MEMORY_WRITER);
    memory_chunk(&next_chunk, CROSSVM_KIND_BYTES, 0, 128, 256, NEW);
#else
    memory_region(&wiping_region, &pool_memory, sizeof(pool_memory), MEMORY_WRITER);
    memory_chunk(&next_chunk, CROSSVM_KIND_POOL, 1, 64, sizeof(pool_memory) - MEMORY_FRONT, NEW);
#endif
}

MODEL_PROGRAM(prepare, judge, renew, look)
