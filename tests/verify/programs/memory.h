/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region of which only one chunk exists: what stands in front of it is never touched. The chunk
 * is entered, wiped and started by the shipped functions.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <crossvm/region.h>

/* Where chunks begin in a region of one entry and granule 128. */
#define MEMORY_FRONT 768

enum {
    MEMORY_OWNER = 0, /* the parties */
    MEMORY_WRITER = 1,
    MEMORY_READER = 2
};

static inline void memory_region(struct crossvm_region *region, void *base, uint64_t length,
                                 uint32_t self)
{
    region->base = (unsigned char *)base;
    region->length = length;
    region->self = self;
    region->granule = 128;
    region->capacity = 1;
    region->writable = true;
    region->device = false;
}

static inline void memory_chunk(struct crossvm_chunk *chunk, uint32_t kind, uint32_t n,
                                uint64_t len, uint64_t length, uint32_t generation)
{
    chunk->id = 1;
    chunk->generation = generation;
    chunk->kind = kind;
    chunk->n = n;
    chunk->off = MEMORY_FRONT;
    chunk->length = length;
    chunk->len = len;
    chunk->writer = MEMORY_WRITER;
    chunk->reader = CROSSVM_ANYONE;
    chunk->type_hash = 0;
    chunk->link_id = 0;
    for (unsigned i = 0; i < 1; i++) {
        chunk->name[i] = i == 0 ? 'x' : '\0';
    }
}

#endif
