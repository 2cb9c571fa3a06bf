/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs about pool.h share: a pool of MODEL_BLOCKS blocks, the owner's table and a
 * reader's part, each in a region of its own; contents of two words, and ids that go from thread to
 * thread by their generation alone.
 *
 *   MODEL_BLOCKS  blocks of the pool
 *   START         the generation before the first content, as an earlier owner left it
 */
#ifndef POOL_H
#define POOL_H

#include "memory.h"

#include <crossvm/pool.h>

#ifndef MODEL_BLOCKS
#define MODEL_BLOCKS 1
#endif
#ifndef START
#define START 0
#endif

enum {
    POOL_EPOCH = 3, /* generations of the chunks */
    LENT_EPOCH = 5,
    RETURNS_EPOCH = 7
};

struct model_block {
    struct crossvm_pool_block_shm header;
    struct crossvm_le32 payload[16];
};

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct crossvm_chunk_shm control;
    struct model_block block[MODEL_BLOCKS];
} pool_memory;

struct model_table {
    unsigned char front[MEMORY_FRONT];
    struct crossvm_pool_words_shm line;
    struct crossvm_le32 words[32]; /* a line: what follows the first ones is not used */
};

static MODEL_STATE struct model_table __attribute__((aligned(128))) lent_memory;
static MODEL_STATE struct model_table __attribute__((aligned(128))) returns_memory;

static MODEL_STATE struct crossvm_region pool_region;    /* as the owner has it */
static MODEL_STATE struct crossvm_region lent_region;    /* as the owner has it */
static MODEL_STATE struct crossvm_region returns_region; /* as the reader has it */
static MODEL_STATE struct crossvm_chunk pool_chunk;
static MODEL_STATE struct crossvm_chunk lent_chunk;
static MODEL_STATE struct crossvm_chunk returns_chunk;

static MODEL_STATE struct crossvm_pool_block blocks[MODEL_BLOCKS];
static MODEL_STATE struct crossvm_pool_link links[1];
static MODEL_STATE struct crossvm_pool_owner pool_owner;
static MODEL_STATE struct crossvm_pool_reader pool_reader;

static inline void model_pool_table(struct model_table *table, struct crossvm_region *region,
                                    struct crossvm_chunk *chunk, uint32_t kind, uint32_t epoch)
{
    memory_region(region, table, sizeof(*table), MEMORY_WRITER);
    memory_chunk(chunk, kind, MODEL_BLOCKS, 0, 256, epoch);
    crossvm_store_relaxed(&table->line.epoch, epoch);
}

static inline void model_pool_open_owner(struct crossvm_pool_owner *owner)
{
    struct crossvm_pool_memory memory;
    memory.blocks = blocks;
    memory.n_blocks = MODEL_BLOCKS;
    memory.links = links;
    memory.n_readers = 1;
    int status = crossvm_pool_owner_open(owner, &pool_region, &pool_chunk, &lent_region,
                                         &lent_chunk, &memory);
    assert(status == CROSSVM_OK);
}

static inline void model_pool_open_reader(struct crossvm_pool_reader *reader)
{
    assert(crossvm_pool_reader_open(reader, &pool_region, &pool_chunk) == CROSSVM_OK);
}

static inline int model_pool_bind(struct crossvm_pool_reader *reader)
{
    return crossvm_pool_reader_bind(reader, &returns_region, &returns_chunk);
}

static inline int model_pool_link(struct crossvm_pool_owner *owner)
{
    return crossvm_pool_owner_link(owner, 0, &returns_region, &returns_chunk);
}

/* The chunks are there, and nobody has opened them. */
static inline void model_pool_make(void)
{
    memory_region(&pool_region, &pool_memory, sizeof(pool_memory), MEMORY_WRITER);
    memory_chunk(&pool_chunk, CROSSVM_KIND_POOL, MODEL_BLOCKS, 64,
                 sizeof(pool_memory) - MEMORY_FRONT, POOL_EPOCH);
    crossvm_store_relaxed(&pool_memory.control.epoch, POOL_EPOCH);
    for (unsigned i = 0; i < MODEL_BLOCKS; i++) {
        crossvm_store_relaxed(&pool_memory.block[i].header.generation, START);
    }
    model_pool_table(&lent_memory, &lent_region, &lent_chunk, CROSSVM_KIND_POOL_LENT, LENT_EPOCH);
    model_pool_table(&returns_memory, &returns_region, &returns_chunk, CROSSVM_KIND_POOL_RETURNS,
                     RETURNS_EPOCH);
}

/* Everything is up. */
static inline void model_pool_up(void)
{
    model_pool_make();
    model_pool_open_owner(&pool_owner);
    model_pool_open_reader(&pool_reader);
    assert(model_pool_bind(&pool_reader) == CROSSVM_OK);
    assert(model_pool_link(&pool_owner) == CROSSVM_OK);
}

/* The id of a block's content. */
static inline void model_pool_id(struct crossvm_pool_id *id, uint32_t block, uint32_t generation)
{
    for (unsigned i = 0; i < 4; i++) {
        crossvm_i_set_word(&id->region[i], 0);
    }
    crossvm_i_set_word(&id->epoch, POOL_EPOCH);
    crossvm_i_set_word(&id->unit, (MEMORY_FRONT + CROSSVM_LINE) / 64 + 2 * block);
    crossvm_i_set_word(&id->generation, generation);
}

/* What a content holds: two words. */
static inline uint32_t model_pool_word(uint32_t generation, unsigned i)
{
    return generation * 4 + i + 1;
}

#endif
