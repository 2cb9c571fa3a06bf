/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/pool.h - blocks for payloads larger than an element: the owner fills one and sends its
 * id through any queue, readers use it in place and give it back through memory of their own.
 *
 * Layer 3. Roles: one owner, which alone writes the blocks; up to 32 readers, known to the owner by
 * their numbers, through read-only mappings. A block is lent to one reader or to several at once,
 * and is free again when each of them has given it back or it was taken from them.
 *
 * Shared bytes of the pool (kind POOL): a control line of which only the epoch is used, then n
 * blocks, each of 64 bytes (struct crossvm_pool_block_shm) and the payload, len bytes rounded up to
 * 64:
 *
 *   offset  size  writer  name         meaning
 *   0       4     owner   generation   even: the block's content is this; odd or 0: nobody's
 *   4       4     owner   len          bytes of payload in use
 *   8       4     owner   number       the block's, from 0
 *
 * Shared bytes of the owner's table (kind POOL_LENT, read by the owner alone, after a restart) and
 * of a reader's (kind POOL_RETURNS): a line (struct crossvm_pool_words_shm), then a word for each
 * block:
 *
 *   offset  size  writer  name         meaning
 *   0       4     reader  count        blocks ever given back, or more; runs freely; in the
 *                                      owner's zero
 *   4       4     owner   epoch        the chunk's generation
 *   8       4     both    pool_epoch   generation of the pool that the table is for, 0 = none yet
 *   12      16    both    pool_region  id of its region
 *   128     ...   both    words        the owner's: bit r: reader r has the block; a reader's: the
 *                                      generation of the block that it gave back last
 *
 * The epoch's writer is the owner of the region. An id as it travels (struct crossvm_pool_id, 28
 * bytes):
 *
 *   offset  size  name        meaning
 *   0       16    region      id of the pool's region
 *   16      4     epoch       the pool's generation
 *   20      4     unit        where the block begins, in 64 bytes from the region's base
 *   24      4     generation  the block's: another one each time that it is lent
 *
 * Ordering edges (release side -> acquire side):
 *
 *   pool_publish  generation, release      -> generation, acquire: it brings length and payload
 *   pool_reuse    fence behind odd         -> fence behind the payload: whoever read a byte of the
 *                                             block's next content finds the generation changed
 *   pool_return   returned word, release   -> returned word, acquire: a block is filled again only
 *                                             after it was read
 *   pool_count    count, release           -> count, acquire: it brings the words returned before
 *   pool_bind     pool_epoch, release      -> pool_epoch, acquire: it brings the pool's region id
 *
 * A reader says which content it gave back, not that it gave something back: so saying it twice is
 * nothing, there is no index that could be wrong, and giving back cannot fail. Whatever stands in a
 * reader's words, the reader's own loans are all that it can end.
 */
#ifndef CROSSVM_POOL_H
#define CROSSVM_POOL_H

#include "wake.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_POOL_READERS_MAX 32u         /* readers of a pool, at most */
#define CROSSVM_POOL_EVERYONE    0xffffffffu /* every reader, for crossvm_pool_owner_recall */

/* In front of a block's payload. */
struct crossvm_pool_block_shm {
    struct crossvm_le32 generation;
    struct crossvm_le32 len;
    struct crossvm_le32 number;
    struct crossvm_le32 reserved[13];
};

/* In front of the words of a table. */
struct crossvm_pool_words_shm {
    struct crossvm_le32 count;
    struct crossvm_le32 epoch;
    struct crossvm_le32 pool_epoch;
    struct crossvm_le32 pool_region[4];
    struct crossvm_le32 reserved[25];
};

/* A block's content, as one names it to others: what a queue's element carries. */
struct crossvm_pool_id {
    struct crossvm_le32 region[4];  /* id of the region */
    struct crossvm_le32 epoch;      /* generation of the pool's chunk */
    struct crossvm_le32 unit;       /* where the block begins, in 64 bytes */
    struct crossvm_le32 generation; /* of the block */
};

CROSSVM_I_AT(crossvm_pool_block_shm, generation, 0);
CROSSVM_I_AT(crossvm_pool_block_shm, len, 4);
CROSSVM_I_AT(crossvm_pool_block_shm, number, 8);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_pool_block_shm) == 64, "bytes");
CROSSVM_I_AT(crossvm_pool_words_shm, count, 0);
CROSSVM_I_AT(crossvm_pool_words_shm, epoch, 4);
CROSSVM_I_AT(crossvm_pool_words_shm, pool_epoch, 8);
CROSSVM_I_AT(crossvm_pool_words_shm, pool_region, 12);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_pool_words_shm) == CROSSVM_LINE, "bytes");
CROSSVM_I_AT(crossvm_pool_id, region, 0);
CROSSVM_I_AT(crossvm_pool_id, epoch, 16);
CROSSVM_I_AT(crossvm_pool_id, unit, 20);
CROSSVM_I_AT(crossvm_pool_id, generation, 24);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_pool_id) == 28, "bytes");

/* What the owner remembers of a block. */
struct crossvm_pool_block {
    uint32_t generation; /* as it was stored last */
    uint32_t lent;       /* bit r: reader r has it */
    uint32_t next;       /* the next free block, or that it is not free */
};

/* What the owner remembers of a reader. */
struct crossvm_pool_link {
    const struct crossvm_pool_words_shm *returns; /* its part, NULL = not linked */
    uint32_t epoch;                               /* of that chunk */
    uint32_t count;                               /* as it was seen last */
    uint32_t n_lent;                              /* blocks that it has */
    bool fresh;                                   /* its words were not looked at yet */
    int state;                                    /* OK linked; NOT_YET; STALE its part is gone */
};

/* The caller's memory for an owner. */
struct crossvm_pool_memory {
    struct crossvm_pool_block *blocks; /* one for each block of the pool */
    uint32_t n_blocks;                 /* how many there is room for */
    struct crossvm_pool_link *links;   /* one for each reader */
    uint32_t n_readers;                /* 1 to CROSSVM_POOL_READERS_MAX */
};

/* The owner's handle. */
struct crossvm_pool_owner {
    struct crossvm_chunk_shm *control;           /* the pool */
    unsigned char *first;                        /* block 0 */
    size_t stride;                               /* bytes from block to block */
    uint32_t n_blocks;                           /* of the pool */
    uint32_t block_len;                          /* bytes of payload */
    uint32_t epoch;                              /* the pool's generation */
    uint32_t first_unit;                         /* where block 0 begins, in 64 bytes */
    uint32_t region_id[CROSSVM_REGION_ID_WORDS]; /* of the pool's region */
    bool device;                                 /* uncached mapping: aligned words only */
    struct crossvm_pool_words_shm *own;          /* the table of what is lent */
    uint32_t own_epoch;                          /* its generation */
    struct crossvm_pool_block *blocks;           /* the caller's memory */
    struct crossvm_pool_link *links;             /* the caller's memory */
    uint32_t n_readers;                          /* links in use */
    uint32_t n_free;                             /* blocks in the list of free ones */
    uint32_t next_free;                          /* where the list begins */
    struct crossvm_fault fault;                  /* why it answers CORRUPT */
};

/* A reader's handle. */
struct crossvm_pool_reader {
    const struct crossvm_chunk_shm *control;     /* the pool */
    const unsigned char *base;                   /* of its region */
    uint64_t first_off;                          /* where block 0 begins */
    uint64_t blocks_len;                         /* bytes of all blocks */
    size_t stride;                               /* bytes from block to block */
    uint32_t n_blocks;                           /* of the pool */
    uint32_t block_len;                          /* bytes of payload */
    uint32_t epoch;                              /* the pool's generation */
    uint32_t region_id[CROSSVM_REGION_ID_WORDS]; /* of the pool's region */
    bool device;                                 /* uncached mapping: aligned words only */
    struct crossvm_pool_words_shm *own;          /* where it gives back, NULL = not bound */
    uint32_t own_epoch;                          /* that chunk's generation */
    uint32_t count;                              /* blocks ever given back */
    struct crossvm_fault fault;                  /* why it answers CORRUPT */
};

/* A block that was found by its id. */
struct crossvm_pool_view {
    const void *payload;                         /* in place */
    uint32_t len;                                /* bytes of it, at most the pool's len */
    uint32_t generation;                         /* of the block then */
    uint32_t number;                             /* of the block */
    const struct crossvm_pool_block_shm *header; /* of the block; NULL = no block */
};

/* What stands for the next free block. */
#define CROSSVM_I_POOL_LAST  0xffffffffu /* there is none behind it */
#define CROSSVM_I_POOL_TAKEN 0xfffffffeu /* it is not free */

/* ---- what both sides share ---------------------------------------------------------------- */

/* Whether a generation stands for content: even and not 0. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_pool_is_content(uint32_t generation)
{
    return generation != 0 && (generation & 1) == 0;
}

/* Word i behind the line of a table. */
CROSSVM_ALWAYS_INLINE const struct crossvm_le32 *crossvm_i_pool_word(
    const struct crossvm_pool_words_shm *table, uint32_t i)
{
    return (const struct crossvm_le32 *)(const void *)(table + 1) + i;
}

/* The same, for its writer. */
CROSSVM_ALWAYS_INLINE struct crossvm_le32 *crossvm_i_pool_own_word(
    struct crossvm_pool_words_shm *table, uint32_t i)
{
    return (struct crossvm_le32 *)(void *)(table + 1) + i;
}

/* Whether a table is for this pool. OK; NOT_YET for none; MISMATCH for another. */
CROSSVM_ALWAYS_INLINE int crossvm_i_pool_bound(const struct crossvm_pool_words_shm *table,
                                               const uint32_t region_id[CROSSVM_REGION_ID_WORDS],
                                               uint32_t epoch)
{
    uint32_t bound = CROSSVM_LOAD_ACQUIRE(pool_bind, &table->pool_epoch);
    uint32_t differ = bound ^ epoch;
    if (bound == 0) {
        return CROSSVM_NOT_YET;
    }
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        differ |= crossvm_load_relaxed(&table->pool_region[i]) ^ region_id[i];
    }
    if (differ != 0) {
        return CROSSVM_MISMATCH;
    }
    return CROSSVM_OK;
}

/* Says for which pool a table is: once in the life of its chunk. */
CROSSVM_INLINE void crossvm_i_pool_bind(struct crossvm_pool_words_shm *table,
                                        const uint32_t region_id[CROSSVM_REGION_ID_WORDS],
                                        uint32_t epoch)
{
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        crossvm_store_relaxed(&table->pool_region[i], region_id[i]);
    }
    CROSSVM_STORE_RELEASE(pool_bind, &table->pool_epoch, epoch);
}

/* ---- reader ------------------------------------------------------------------------------- */

/* Opens a pool for reading; to give blocks back, crossvm_pool_reader_bind next. Role: a reader, for
 * itself. Wait-free. OK; TYPE not a POOL; INVALID no chunk of this region; ROLE the rights do not
 * allow it; STALE it was released or renewed: find it again. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_open(struct crossvm_pool_reader *reader,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_POOL, CROSSVM_I_READER);
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(reader, 0, sizeof(*reader));
    reader->control = crossvm_i_control(region, chunk);
    reader->base = region->base;
    reader->first_off = chunk->off + CROSSVM_LINE;
    reader->stride = (size_t)crossvm_i_slot_stride(chunk->len);
    reader->blocks_len = crossvm_i_multiply64(reader->stride, chunk->n);
    reader->n_blocks = chunk->n;
    reader->block_len = (uint32_t)chunk->len;
    reader->epoch = chunk->generation;
    reader->device = region->device;
    crossvm_i_fault_in(&reader->fault, region);
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        reader->region_id[i] = region->region_id[i];
    }
    return CROSSVM_OK;
}

CROSSVM_INLINE void crossvm_i_pool_counted(struct crossvm_pool_reader *reader)
{
    reader->count++;
    CROSSVM_STORE_RELEASE(pool_count, &reader->own->count, reader->count);
}

/* Opens the reader's own part, the first time or after a restart. region: that part's, which may be
 * another than the pool's. Role: the reader, alone. Wait-free. Trust: own old words are believed:
 * each says only which content was given back.
 * OK; TYPE not a POOL_RETURNS; INVALID no chunk of this region; ROLE also for a read-only mapping;
 * NO_SPACE fewer words than the pool has blocks; MISMATCH it was for another pool, or another
 * generation of this one: renew it; STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_bind(struct crossvm_pool_reader *reader,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_POOL_RETURNS, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (chunk->n < reader->n_blocks) {
        return CROSSVM_NO_SPACE;
    }
    struct crossvm_pool_words_shm *own =
        (struct crossvm_pool_words_shm *)(void *)crossvm_i_control(region, chunk);
    status = crossvm_i_pool_bound(own, reader->region_id, reader->epoch);
    if (status == CROSSVM_NOT_YET) {
        crossvm_i_pool_bind(own, reader->region_id, reader->epoch);
        status = CROSSVM_OK;
    }
    if (status == CROSSVM_OK) {
        reader->own = own;
        reader->own_epoch = chunk->generation;
        reader->count = crossvm_load_relaxed(&own->count);
        /* A death between a word and its count: the owner looks once more. */
        crossvm_i_pool_counted(reader);
    }
    return status;
}

/* Says whether everything read of a block since it was found belongs to its id. OK; INVALID;
 * STALE; TORN. */
CROSSVM_ALWAYS_INLINE int crossvm_i_pool_check(const struct crossvm_pool_reader *reader,
                                               const struct crossvm_pool_view *view)
{
    if (view->header == NULL) {
        return CROSSVM_INVALID;
    }
    /* One fence is the acquire side of two edges: pool_reuse and chunk_epoch. */
    CROSSVM_FENCE_ACQUIRE(pool_reuse, &view->header->generation);
    if (crossvm_load_relaxed(&reader->control->epoch) != reader->epoch) {
        return CROSSVM_STALE;
    }
    return crossvm_load_relaxed(&view->header->generation) == view->generation ? CROSSVM_OK
                                                                               : CROSSVM_TORN;
}

/* The block that begins at a unit, as an id says it: in the pool, whatever is there. */
CROSSVM_INLINE const struct crossvm_pool_block_shm *crossvm_i_pool_at(
    const struct crossvm_pool_reader *reader, uint32_t unit)
{
    uint64_t off = (uint64_t)unit << 6;
    /* What lies in front of the first block is far behind the last one. */
    if (off - reader->first_off >= reader->blocks_len) {
        return NULL;
    }
    return (const struct crossvm_pool_block_shm *)(const void *)(reader->base + (size_t)off);
}

/* Judges what was found at a unit. OK; INVALID; NOT_FOUND; STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_pool_judge(struct crossvm_pool_reader *reader,
                                        const struct crossvm_pool_id *id,
                                        struct crossvm_pool_view *view)
{
    uint64_t off = (uint64_t)((const unsigned char *)view->header - reader->base);
    uint32_t epoch = crossvm_load_relaxed(&id->epoch);
    uint32_t wanted = crossvm_load_relaxed(&id->generation);
    view->generation = CROSSVM_LOAD_ACQUIRE(pool_publish, &view->header->generation);
    view->len = crossvm_load_relaxed(&view->header->len);
    view->number = crossvm_load_relaxed(&view->header->number);
    /* A block knows its number, and a number its place: no division, and bytes of a payload that
     * look like a block are none. No number beyond the blocks has a place in them. */
    bool begins = crossvm_i_multiply64(reader->stride, view->number) == off - reader->first_off;
    if (begins && view->generation == wanted && epoch == reader->epoch &&
        crossvm_i_pool_is_content(wanted) && view->len <= reader->block_len) {
        /* What was found may be another chunk's by now. */
        return crossvm_load_relaxed(&reader->control->epoch) == reader->epoch ? CROSSVM_OK
                                                                              : CROSSVM_STALE;
    }
    int status = crossvm_i_pool_check(reader, view);
    if (status == CROSSVM_STALE || !begins) {
        return status == CROSSVM_STALE ? status : CROSSVM_INVALID;
    }
    if (status == CROSSVM_TORN || view->generation != wanted || epoch != reader->epoch ||
        !crossvm_i_pool_is_content(wanted)) {
        return CROSSVM_NOT_FOUND;
    }
    off += offsetof(struct crossvm_pool_block_shm, len);
    return crossvm_i_fault(&reader->fault, off, view->len, CROSSVM_RULE_POOL_LEN);
}

/* Whether this reader, or one before it, has given back what was found: then the id comes a second
 * time, and the block may be filled anew at any moment. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_pool_gave_back(const struct crossvm_pool_reader *reader,
                                                    const struct crossvm_pool_view *view)
{
    return reader->own != NULL &&
           crossvm_load_relaxed(crossvm_i_pool_word(reader->own, view->number)) == view->generation;
}

/* Finds a block by its id: view says where its payload lies. id: each of its words is loaded once,
 * so that it may lie in an element in place. What is read is good if crossvm_pool_reader_check or
 * _give_back says so afterwards; a block is not filled again before it was given back, unless it
 * was taken away. A plain pointer is the contract path: an owner that breaks the rules can write
 * there meanwhile; crossvm_pool_reader_copy is the strict one. Role: the reader. Wait-free.
 * Trust: everything in an id is judged. view is no block unless OK.
 * OK; INVALID not an id of this pool: another region, or no block begins there; NOT_FOUND the block
 * has other content by now, or never had this, or this reader has given it back; STALE the pool is
 * gone; CORRUPT with reader->fault, sticky: a length beyond the block. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_find(struct crossvm_pool_reader *reader,
                                                              const struct crossvm_pool_id *id,
                                                              struct crossvm_pool_view *view)
{
    uint32_t differ = 0;
    __builtin_memset(view, 0, sizeof(*view));
    if (reader->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        differ |= crossvm_load_relaxed(&id->region[i]) ^ reader->region_id[i];
    }
    view->header = crossvm_i_pool_at(reader, crossvm_load_relaxed(&id->unit));
    if (differ != 0 || view->header == NULL) {
        view->header = NULL;
        return CROSSVM_INVALID;
    }
    view->payload = view->header + 1;
    int status = crossvm_i_pool_judge(reader, id, view);
    if (status == CROSSVM_OK && crossvm_i_pool_gave_back(reader, view)) {
        status = CROSSVM_NOT_FOUND;
    }
    if (status != CROSSVM_OK) {
        __builtin_memset(view, 0, sizeof(*view));
    }
    return status;
}

/* Says whether everything read since the block was found is of the id's content. Role: the reader.
 * Wait-free. OK; INVALID view is no block, or was given back; TORN the block was taken away
 * meanwhile; STALE the pool is gone. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_check(
    const struct crossvm_pool_reader *reader, const struct crossvm_pool_view *view)
{
    return crossvm_i_pool_check(reader, view);
}

/* Finds a block and copies its content, checked; it is still to be given back. dst_len: room, in
 * bytes. Role: the reader. Wait-free, bounded by the block's length. Trust: length and generation
 * are judged; the bytes are the owner's: judge the copy.
 * OK; NO_SPACE the content is longer than dst_len: view says its length; TORN it was taken away
 * meanwhile; INVALID, NOT_FOUND, STALE, CORRUPT as crossvm_pool_reader_find. Unless OK dst is not
 * to be used. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_copy(struct crossvm_pool_reader *reader,
                                                              const struct crossvm_pool_id *id,
                                                              void *dst, size_t dst_len,
                                                              struct crossvm_pool_view *view)
{
    int status = crossvm_pool_reader_find(reader, id, view);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (view->len > dst_len) {
        return CROSSVM_NO_SPACE;
    }
    if (reader->device) {
        crossvm_copy_in_device(dst, view->payload, view->len);
    } else {
        crossvm_copy_in(dst, view->payload, view->len);
    }
    return crossvm_i_pool_check(reader, view);
}

/* Says that this content of a block was given back. */
CROSSVM_INLINE void crossvm_i_pool_return(struct crossvm_pool_reader *reader, uint32_t number,
                                          uint32_t generation)
{
    CROSSVM_STORE_RELEASE(pool_return, crossvm_i_pool_own_word(reader->own, number), generation);
}

/* Whether anything may be given back. OK; NOT_YET; STALE. */
CROSSVM_ALWAYS_INLINE int crossvm_i_pool_may_return(const struct crossvm_pool_reader *reader)
{
    if (reader->own == NULL) {
        return CROSSVM_NOT_YET;
    }
    return crossvm_load_relaxed(&reader->own->epoch) == reader->own_epoch ? CROSSVM_OK
                                                                          : CROSSVM_STALE;
}

/* Gives a block back; nothing of it may be read any more, and view is no block any more. Giving the
 * same content back twice, also by two incarnations, is like once. Role: the reader. Wait-free.
 * OK, and everything that was read since the block was found is of the id's content; TORN it was
 * taken away meanwhile, so there is nothing to give back; INVALID view is no block of this pool, or
 * was given back; NOT_YET the reader has no part of its own (nothing is given back); STALE the pool
 * or the reader's part is gone. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_give_back(
    struct crossvm_pool_reader *reader, struct crossvm_pool_view *view)
{
    int status = crossvm_i_pool_may_return(reader);
    if (status != CROSSVM_OK) {
        return status;
    }
    status = view->number < reader->n_blocks ? crossvm_i_pool_check(reader, view) : CROSSVM_INVALID;
    if (status == CROSSVM_OK) {
        crossvm_i_pool_return(reader, view->number, view->generation);
        crossvm_i_pool_counted(reader);
    }
    view->header = NULL;
    view->payload = NULL;
    return status;
}

/* Gives back whatever is lent to this reader now: for one that came back and does not know what its
 * predecessor had. An id that is still on its way is given back with the rest: it is not found any
 * more. Role: the reader, when it uses no block. Wait-free,
 * bounded by the number of blocks. OK; NOT_YET the reader has no part of its own; STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_reader_give_back_all(
    struct crossvm_pool_reader *reader)
{
    const unsigned char *at = reader->base + (size_t)reader->first_off;
    int status = crossvm_i_pool_may_return(reader);
    if (status != CROSSVM_OK) {
        return status;
    }
    for (uint32_t i = 0; i < reader->n_blocks; i++) {
        const struct crossvm_pool_block_shm *header =
            (const struct crossvm_pool_block_shm *)(const void *)at;
        uint32_t generation = crossvm_load_relaxed(&header->generation);
        if (crossvm_i_pool_is_content(generation)) {
            crossvm_i_pool_return(reader, i, generation);
            /* Who waits for so many is to be rung; one too many is a ring too early. */
            reader->count++;
        }
        at += reader->stride;
    }
    crossvm_i_pool_counted(reader);
    return crossvm_load_relaxed(&reader->control->epoch) == reader->epoch ? CROSSVM_OK
                                                                          : CROSSVM_STALE;
}

/* Blocks that this reader's part says were given back, ever, or more; runs freely: the index for
 * wake.h, if the owner wants to be rung for them. Role: the reader. */
CROSSVM_INLINE uint32_t crossvm_pool_reader_count(const struct crossvm_pool_reader *reader)
{
    return reader->count;
}

/* ---- owner: coming up ---------------------------------------------------------------------- */

CROSSVM_INLINE struct crossvm_pool_block_shm *crossvm_i_pool_block(
    const struct crossvm_pool_owner *owner, uint32_t block)
{
    return (struct crossvm_pool_block_shm *)(void *)(owner->first +
                                                     crossvm_i_multiply(owner->stride, block));
}

/* Makes a block free: its content is nobody's from now on. */
CROSSVM_INLINE void crossvm_i_pool_retire(struct crossvm_pool_owner *owner, uint32_t block)
{
    struct crossvm_pool_block *ours = &owner->blocks[block];
    ours->generation |= 1;
    crossvm_store_relaxed(&crossvm_i_pool_block(owner, block)->generation, ours->generation);
    ours->next = owner->next_free;
    owner->next_free = block;
    owner->n_free++;
}

/* Judges the table of what is lent, as an earlier incarnation left it. OK; CORRUPT. */
CROSSVM_INLINE int crossvm_i_pool_resume_judge(struct crossvm_pool_owner *owner, uint64_t off)
{
    uint32_t known = 0xffffffffu >> (CROSSVM_POOL_READERS_MAX - owner->n_readers);
    for (uint32_t i = 0; i < owner->n_blocks; i++) {
        uint32_t lent = crossvm_load_relaxed(crossvm_i_pool_word(owner->own, i));
        owner->blocks[i].lent = lent;
        if ((lent & ~known) != 0) {
            off += CROSSVM_LINE + (uint64_t)i * 4;
            return crossvm_i_fault(&owner->fault, off, lent, CROSSVM_RULE_POOL_LENT);
        }
    }
    return CROSSVM_OK;
}

/* Takes up what an earlier incarnation left, block by block, the first one last: it is the first to
 * be given out. */
CROSSVM_INLINE void crossvm_i_pool_resume(struct crossvm_pool_owner *owner)
{
    for (uint32_t i = owner->n_blocks; i-- != 0;) {
        struct crossvm_pool_block_shm *shm = crossvm_i_pool_block(owner, i);
        struct crossvm_pool_block *ours = &owner->blocks[i];
        ours->generation = crossvm_load_relaxed(&shm->generation);
        ours->next = CROSSVM_I_POOL_TAKEN;
        crossvm_store_relaxed(&shm->number, i);
        if (ours->lent != 0 && crossvm_i_pool_is_content(ours->generation)) {
            for (uint32_t r = 0; r < owner->n_readers; r++) {
                owner->links[r].n_lent += ours->lent >> r & 1;
            }
            continue;
        }
        /* Also lent without content: a death before the id was given out. */
        ours->lent = 0;
        crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, i), 0);
        crossvm_i_pool_retire(owner, i);
    }
}

CROSSVM_INLINE void crossvm_i_pool_owner_set(struct crossvm_pool_owner *owner,
                                             const struct crossvm_region *region,
                                             const struct crossvm_chunk *chunk,
                                             const struct crossvm_pool_memory *memory)
{
    __builtin_memset(owner, 0, sizeof(*owner));
    owner->control = crossvm_i_control(region, chunk);
    owner->first = (unsigned char *)owner->control + CROSSVM_LINE;
    owner->stride = (size_t)crossvm_i_slot_stride(chunk->len);
    owner->n_blocks = chunk->n;
    owner->block_len = (uint32_t)chunk->len;
    owner->epoch = chunk->generation;
    owner->first_unit = (uint32_t)((chunk->off + CROSSVM_LINE) >> 6);
    owner->device = region->device;
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        owner->region_id[i] = region->region_id[i];
    }
    owner->blocks = memory->blocks;
    owner->links = memory->links;
    owner->n_readers = memory->n_readers;
    owner->next_free = CROSSVM_I_POOL_LAST;
    for (uint32_t r = 0; r < memory->n_readers; r++) {
        memory->links[r].returns = NULL;
        memory->links[r].epoch = 0;
        memory->links[r].count = 0;
        memory->links[r].n_lent = 0;
        memory->links[r].fresh = false;
        memory->links[r].state = CROSSVM_NOT_YET;
    }
}

/* Opens a pool for its owner, the first time or after a restart: blocks that were lent stay lent,
 * all others are free. Then crossvm_pool_owner_link for each reader. own_region, own_chunk: the
 * POOL_LENT, read by nobody else. memory: the caller's, for as long as the handle is used; blocks
 * and links need not be set. Role: the pool's owner, alone. Progress: bounded by the number of
 * blocks. Trust: own old words are judged.
 * OK; TYPE not a POOL, or not a POOL_LENT; INVALID no chunk of its region, or n_readers out of
 * range; ROLE also for a read-only mapping; STALE; NO_SPACE fewer words, or less memory, than there
 * are blocks; TOO_LARGE the pool ends beyond 2^38 bytes of its region; MISMATCH the table is for
 * another pool: renew it; CORRUPT with owner->fault: lent to a reader that there is not. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_open(
    struct crossvm_pool_owner *owner, const struct crossvm_region *region,
    const struct crossvm_chunk *chunk, const struct crossvm_region *own_region,
    const struct crossvm_chunk *own_chunk, const struct crossvm_pool_memory *memory)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_POOL, CROSSVM_I_WRITER);
    if (status == CROSSVM_OK) {
        status =
            crossvm_i_chunk_enter(own_region, own_chunk, CROSSVM_KIND_POOL_LENT, CROSSVM_I_WRITER);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    if (memory->n_readers == 0 || memory->n_readers > CROSSVM_POOL_READERS_MAX) {
        return CROSSVM_INVALID;
    }
    if (own_chunk->n < chunk->n || memory->n_blocks < chunk->n) {
        return CROSSVM_NO_SPACE;
    }
    if ((chunk->off + chunk->length) >> 6 > UINT32_MAX) {
        return CROSSVM_TOO_LARGE;
    }
    crossvm_i_pool_owner_set(owner, region, chunk, memory);
    owner->own = (struct crossvm_pool_words_shm *)(void *)crossvm_i_control(own_region, own_chunk);
    owner->own_epoch = own_chunk->generation;
    crossvm_i_fault_in(&owner->fault, own_region);
    int bound = crossvm_i_pool_bound(owner->own, owner->region_id, owner->epoch);
    status = bound == CROSSVM_MISMATCH ? bound : crossvm_i_pool_resume_judge(owner, own_chunk->off);
    if (status == CROSSVM_OK) {
        crossvm_i_pool_resume(owner);
        crossvm_i_pool_bind(owner->own, owner->region_id, owner->epoch);
    }
    return status;
}

/* Looks for a reader's part, from which its blocks come back; called again until it answers OK, and
 * when the part was renewed. reader: the reader's number, 0 to n_readers - 1, the same after a
 * restart. region, chunk: the reader's part, and where it lies. Role: the owner. Wait-free. Trust:
 * the part is judged here, its words by crossvm_pool_owner_collect.
 * OK; NOT_YET the reader has not opened its part; TYPE not a POOL_RETURNS; INVALID no such reader,
 * or no chunk of this region; ROLE; NO_SPACE it has fewer words than the pool has blocks; MISMATCH
 * it is for another pool: the reader has to renew it, or is doing so; STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_link(struct crossvm_pool_owner *owner,
                                                             uint32_t reader,
                                                             const struct crossvm_region *region,
                                                             const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_POOL_RETURNS, CROSSVM_I_READER);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (reader >= owner->n_readers) {
        return CROSSVM_INVALID;
    }
    if (chunk->n < owner->n_blocks) {
        return CROSSVM_NO_SPACE;
    }
    const struct crossvm_pool_words_shm *returns =
        (const struct crossvm_pool_words_shm *)(const void *)crossvm_i_control(region, chunk);
    status = crossvm_i_pool_bound(returns, owner->region_id, owner->epoch);
    uint32_t count = crossvm_load_relaxed(&returns->count);
    if (crossvm_load_relaxed(&returns->epoch) != chunk->generation) {
        return CROSSVM_STALE;
    }
    if (status == CROSSVM_OK) {
        struct crossvm_pool_link *link = &owner->links[reader];
        link->returns = returns;
        link->epoch = chunk->generation;
        link->count = count;
        link->fresh = true;
        link->state = CROSSVM_OK;
    }
    return status;
}

/* Whether anything may be written. OK; STALE; CORRUPT. */
CROSSVM_ALWAYS_INLINE int crossvm_i_pool_ready(const struct crossvm_pool_owner *owner)
{
    if (owner->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    if (crossvm_load_relaxed(&owner->control->epoch) != owner->epoch) {
        return CROSSVM_STALE;
    }
    if (crossvm_load_relaxed(&owner->own->epoch) != owner->own_epoch) {
        return CROSSVM_STALE;
    }
    return CROSSVM_OK;
}

/* ---- owner: filling and lending ------------------------------------------------------------ */

/* Takes a free block, to be filled and lent. block: its number. Role: the owner. Wait-free, the
 * same few steps always. OK; FULL none is free: crossvm_pool_owner_collect, then again; STALE a
 * chunk is gone; CORRUPT open answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_allocate(struct crossvm_pool_owner *owner,
                                                                 uint32_t *block)
{
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (owner->n_free == 0) {
        return CROSSVM_FULL;
    }
    *block = owner->next_free;
    owner->next_free = owner->blocks[*block].next;
    owner->blocks[*block].next = CROSSVM_I_POOL_TAKEN;
    owner->n_free--;
    CROSSVM_FENCE_RELEASE(pool_reuse, &crossvm_i_pool_block(owner, *block)->generation);
    return CROSSVM_OK;
}

/* Whether the owner is filling a block: allocated, and not lent. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_pool_is_open(const struct crossvm_pool_owner *owner,
                                                  uint32_t block)
{
    return block < owner->n_blocks && owner->blocks[block].next == CROSSVM_I_POOL_TAKEN &&
           owner->blocks[block].lent == 0;
}

/* Where a block's payload lies, to be written in place, to the end of the block. It is the
 * contract path: a reader from which the block was taken away may still be looking at it; see
 * crossvm_pool_owner_put. Its old bytes are of no meaning. Role: the owner, between allocate and
 * lend. Pure. NULL no block that was allocated and not lent. */
CROSSVM_INLINE void *crossvm_pool_owner_raw(const struct crossvm_pool_owner *owner, uint32_t block)
{
    return crossvm_i_pool_is_open(owner, block) ? crossvm_i_pool_block(owner, block) + 1 : NULL;
}

/* Copies len bytes into a block, from byte off on: the strict path. Role: the owner, between
 * allocate and lend. Wait-free, bounded by len. OK; INVALID no block that was allocated and not
 * lent, or beyond its end; STALE a chunk is gone; CORRUPT open answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_put(struct crossvm_pool_owner *owner,
                                                            uint32_t block, uint32_t off,
                                                            const void *src, uint32_t len)
{
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (!crossvm_i_pool_is_open(owner, block) || off > owner->block_len ||
        len > owner->block_len - off) {
        return CROSSVM_INVALID;
    }
    unsigned char *to = (unsigned char *)(crossvm_i_pool_block(owner, block) + 1) + off;
    if (owner->device) {
        crossvm_copy_out_device(to, src, len);
    } else {
        crossvm_copy_out(to, src, len);
    }
    return CROSSVM_OK;
}

/* Whether one of these readers' words bears a generation from long ago. */
CROSSVM_INLINE bool crossvm_i_pool_is_taken(const struct crossvm_pool_owner *owner, uint32_t block,
                                            uint32_t readers, uint32_t generation)
{
    bool taken = false;
    for (uint32_t r = 0; r < owner->n_readers; r++) {
        const struct crossvm_pool_link *link = &owner->links[r];
        if ((readers >> r & 1) != 0 && link->state == CROSSVM_OK) {
            taken = taken ||
                    crossvm_load_relaxed(crossvm_i_pool_word(link->returns, block)) == generation;
        }
    }
    return taken;
}

/* The generation of a block's next content: one that none of its readers seems to have given back
 * already, 2^31 contents ago. A reader that plays with its words ends its own loan at worst. */
CROSSVM_INLINE uint32_t crossvm_i_pool_next(const struct crossvm_pool_owner *owner, uint32_t block,
                                            uint32_t readers)
{
    uint32_t generation = owner->blocks[block].generation;
    for (uint32_t i = 0; i <= owner->n_readers; i++) {
        generation = (generation | 1) + 1;
        if (generation == 0) {
            generation = 2;
        }
        if (!crossvm_i_pool_is_taken(owner, block, readers, generation)) {
            break;
        }
    }
    return generation;
}

CROSSVM_INLINE void crossvm_i_pool_id(const struct crossvm_pool_owner *owner, uint32_t block,
                                      struct crossvm_pool_id *id)
{
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        crossvm_i_set_word(&id->region[i], owner->region_id[i]);
    }
    crossvm_i_set_word(&id->epoch, owner->epoch);
    crossvm_i_set_word(&id->unit,
                       owner->first_unit + (uint32_t)crossvm_i_multiply(owner->stride >> 6, block));
    crossvm_i_set_word(&id->generation, owner->blocks[block].generation);
}

/* Lends a block that was filled, and says the id to be sent to these readers. len: bytes in use, 0
 * to the pool's len. readers: bit r for reader r; linked or not. One that does not get the id, say
 * because its queue is full, must not keep the block: crossvm_pool_owner_recall. Role: the owner.
 * Wait-free, bounded by the square of the readers. OK; INVALID no block that was allocated and not
 * lent, len beyond it, no reader, or one that there is not; STALE a chunk is gone; CORRUPT open
 * answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_lend(struct crossvm_pool_owner *owner,
                                                             uint32_t block, uint32_t len,
                                                             uint32_t readers,
                                                             struct crossvm_pool_id *id)
{
    uint32_t known = 0xffffffffu >> (CROSSVM_POOL_READERS_MAX - owner->n_readers);
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (!crossvm_i_pool_is_open(owner, block) || len > owner->block_len || readers == 0 ||
        (readers & ~known) != 0) {
        return CROSSVM_INVALID;
    }
    struct crossvm_pool_block_shm *shm = crossvm_i_pool_block(owner, block);
    struct crossvm_pool_block *ours = &owner->blocks[block];
    ours->generation = crossvm_i_pool_next(owner, block, readers);
    ours->lent = readers;
    for (uint32_t r = 0; r < owner->n_readers; r++) {
        owner->links[r].n_lent += readers >> r & 1;
    }
    crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, block), readers);
    crossvm_store_relaxed(&shm->len, len);
    CROSSVM_STORE_RELEASE(pool_publish, &shm->generation, ours->generation);
    crossvm_i_pool_id(owner, block, id);
    return CROSSVM_OK;
}

/* ---- owner: getting back ------------------------------------------------------------------- */

/* Ends the loan of a block to these readers. Whether it became free. */
CROSSVM_INLINE bool crossvm_i_pool_end(struct crossvm_pool_owner *owner, uint32_t block,
                                       uint32_t readers)
{
    struct crossvm_pool_block *ours = &owner->blocks[block];
    uint32_t ended = ours->lent & readers;
    for (uint32_t r = 0; r < owner->n_readers; r++) {
        owner->links[r].n_lent -= ended >> r & 1;
    }
    ours->lent &= ~ended;
    crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, block), ours->lent);
    if (ours->lent == 0) {
        crossvm_i_pool_retire(owner, block);
    }
    return ours->lent == 0;
}

/* Takes what one reader gave back. The blocks that became free. */
CROSSVM_INLINE uint32_t crossvm_i_pool_collect_from(struct crossvm_pool_owner *owner, uint32_t r)
{
    struct crossvm_pool_link *link = &owner->links[r];
    uint32_t n_freed = 0;
    if (link->state != CROSSVM_OK) {
        return 0;
    }
    uint32_t count = CROSSVM_LOAD_ACQUIRE(pool_count, &link->returns->count);
    if (crossvm_load_relaxed(&link->returns->epoch) != link->epoch) {
        link->state = CROSSVM_STALE;
        return 0;
    }
    if (!link->fresh && count == link->count) {
        return 0;
    }
    link->fresh = false;
    link->count = count;
    for (uint32_t i = 0, left = link->n_lent; left != 0; i++) {
        const struct crossvm_le32 *word = crossvm_i_pool_word(link->returns, i);
        if ((owner->blocks[i].lent >> r & 1) == 0) {
            continue;
        }
        left--;
        if (CROSSVM_LOAD_ACQUIRE(pool_return, word) != owner->blocks[i].generation) {
            continue;
        }
        /* The word may be another chunk's by now: one load is the acquire side of two edges,
         * pool_return and chunk_writer. */
        if (crossvm_load_relaxed(&link->returns->epoch) != link->epoch) {
            link->state = CROSSVM_STALE;
            break;
        }
        n_freed += crossvm_i_pool_end(owner, i, 1u << r) ? 1u : 0u;
    }
    return n_freed;
}

/* Takes back what readers have given back. Role: the owner. Progress: a load for each reader that
 * gave nothing back, else bounded by the number of blocks for each. Trust: a reader's words can end
 * its own loans, and nothing else. The number of blocks that became free, from 0; STALE a chunk of
 * the owner's is gone; CORRUPT open answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_collect(struct crossvm_pool_owner *owner)
{
    uint32_t n_freed = 0;
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    for (uint32_t r = 0; r < owner->n_readers; r++) {
        n_freed += crossvm_i_pool_collect_from(owner, r);
    }
    return (int)n_freed;
}

/* Takes a block away: from readers that never got its id, or that need not have it any more; one
 * that is looking at it learns that by crossvm_pool_reader_check. A block that was allocated and
 * not lent is simply free again. readers: bit r for reader r, or CROSSVM_POOL_EVERYONE; those that
 * do not have it do not matter. Role: the owner. Wait-free. 1 the block is free now; 0 others have
 * it still; INVALID the block is free, or there is none; STALE a chunk is gone; CORRUPT open
 * answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_recall(struct crossvm_pool_owner *owner,
                                                               uint32_t block, uint32_t readers)
{
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (block >= owner->n_blocks || owner->blocks[block].next != CROSSVM_I_POOL_TAKEN) {
        return CROSSVM_INVALID;
    }
    return crossvm_i_pool_end(owner, block, readers) ? 1 : 0;
}

/* Takes back everything that a reader has, whether it had its id or not, because its death is
 * confirmed; never because it is silent. Its successor is linked anew. reader: its number. Role:
 * the owner. Progress: bounded by the number of blocks. The number of blocks that became free, from
 * 0; INVALID no such reader; STALE a chunk is gone; CORRUPT open answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_forget(struct crossvm_pool_owner *owner,
                                                               uint32_t reader)
{
    int n_freed = 0;
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (reader >= owner->n_readers) {
        return CROSSVM_INVALID;
    }
    owner->links[reader].state = CROSSVM_NOT_YET;
    for (uint32_t i = 0; owner->links[reader].n_lent != 0; i++) {
        if ((owner->blocks[i].lent >> reader & 1) != 0) {
            n_freed += crossvm_i_pool_end(owner, i, 1u << reader) ? 1 : 0;
        }
    }
    return n_freed;
}

/* ---- owner: knowing ------------------------------------------------------------------------ */

/* Who has a block: bit r for reader r, 0 = nobody. id: as it was lent; left alone for 0. An owner
 * that came back may send the id again, if it cannot know whether it was sent. Role: the owner.
 * Pure. */
CROSSVM_INLINE uint32_t crossvm_pool_owner_lent(const struct crossvm_pool_owner *owner,
                                                uint32_t block, struct crossvm_pool_id *id)
{
    if (block >= owner->n_blocks || owner->blocks[block].lent == 0) {
        return 0;
    }
    crossvm_i_pool_id(owner, block, id);
    return owner->blocks[block].lent;
}

/* Blocks that can be allocated. Role: the owner. Pure. */
CROSSVM_INLINE uint32_t crossvm_pool_owner_n_free(const struct crossvm_pool_owner *owner)
{
    return owner->n_free;
}

/* Blocks that a reader has, 0 for none or no such reader. reader: its number. Role: the owner.
 * Pure. */
CROSSVM_INLINE uint32_t crossvm_pool_owner_n_lent(const struct crossvm_pool_owner *owner,
                                                  uint32_t reader)
{
    return reader < owner->n_readers ? owner->links[reader].n_lent : 0;
}

/* Asks to be rung when a reader has given back `want` blocks more than were collected; the reader
 * kicks with crossvm_pool_reader_count behind what it gives back. Call crossvm_pool_owner_collect
 * in front of it, and again when it answers 1 or the ring came, which may be early: a count may run
 * ahead of the blocks. waiter: of a WAKE chunk of the owner's. reader: its number. want: from 1; 1
 * where several readers are waited for. delay_ns: as crossvm_wake_at. Role: the owner, about to
 * sleep. Wait-free, one full fence. Trust: any count is harmless.
 * 1 don't sleep, collect: something came meanwhile, and nothing is armed; 0 armed: sleep; INVALID
 * no such reader, or want is 0; NOT_YET it is not linked; STALE its part is gone, or a chunk of the
 * owner's, or the waiter's; CORRUPT open answered so. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_arm(
    const struct crossvm_pool_owner *owner, uint32_t reader,
    const struct crossvm_wake_waiter *waiter, uint32_t want, uint64_t delay_ns)
{
    int status = crossvm_i_pool_ready(owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (reader >= owner->n_readers || want == 0) {
        return CROSSVM_INVALID;
    }
    const struct crossvm_pool_link *link = &owner->links[reader];
    if (link->state != CROSSVM_OK) {
        return link->state;
    }
    status = crossvm_wake_at(waiter, link->count + want - 1, delay_ns);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (link->fresh || crossvm_load_relaxed(&link->returns->count) != link->count) {
        status = crossvm_wake_never(waiter);
        return status == CROSSVM_OK ? 1 : status;
    }
    return 0;
}

/* How it stands with a reader's part, as it was seen last. count: its count of blocks given back.
 * reader: its number. Role: the owner. Pure. OK; NOT_YET not linked; STALE its part is gone: what
 * it has stays lent until it is linked anew or forgotten; INVALID no such reader. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_pool_owner_reader(
    const struct crossvm_pool_owner *owner, uint32_t reader, uint32_t *count)
{
    *count = 0;
    if (reader >= owner->n_readers) {
        return CROSSVM_INVALID;
    }
    *count = owner->links[reader].count;
    return owner->links[reader].state;
}

CROSSVM_EXTERN_C_END

#endif
