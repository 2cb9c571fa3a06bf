/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner wipes a PEER chunk and starts it anew under a side that looks at it, and another party
 * writes signs of life there. A look that counts shows none of them.
 */
#include "round.h"

#include "memory.h"

#include <crossvm/peer.h>

#define OLD  1u
#define NEW  2u
#define LIFE 20u
#define BEAT 7u

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct crossvm_peer_shm words;
} memory;

static MODEL_STATE struct crossvm_region regions[3];
static MODEL_STATE struct crossvm_chunk chunk_old;
static MODEL_STATE struct crossvm_chunk chunk_new;
static MODEL_STATE struct crossvm_peer peer;

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&regions[MEMORY_OWNER], chunk_new.off, chunk_new.length);
    crossvm_i_chunk_start(&regions[MEMORY_OWNER], &chunk_new);
    return NULL;
}

static void *write_new(void *unused)
{
    (void)unused;
    if (crossvm_i_chunk_enter(&regions[MEMORY_WRITER], &chunk_new, CROSSVM_KIND_PEER,
                              CROSSVM_I_WRITER) == CROSSVM_OK) {
        crossvm_store_relaxed(&memory.words.closed, LIFE);
    }
    return NULL;
}

static void *look(void *unused)
{
    struct crossvm_i_peer_look seen;
    (void)unused;
    crossvm_i_peer_look_at(&peer, &seen);
    if (!seen.gone && seen.incarnation != 0) {
        assert(seen.incarnation == LIFE && seen.closed == 0 && seen.beat == BEAT);
    }
    return NULL;
}

static void prepare(void)
{
    for (uint32_t party = 0; party < 3; party++) {
        memory_region(&regions[party], &memory, sizeof(memory), party);
    }
    memory_chunk(&chunk_old, CROSSVM_KIND_PEER, 0, 0, 256, OLD);
    memory_chunk(&chunk_new, CROSSVM_KIND_PEER, 0, 0, 256, NEW);
    crossvm_i_chunk_start(&regions[MEMORY_OWNER], &chunk_old);
    crossvm_store_relaxed(&memory.words.incarnation, LIFE);
    crossvm_store_relaxed(&memory.words.beat, BEAT);
    peer.peer = &memory.words;
    peer.peer_epoch = OLD;
}

static void judge(void)
{
    assert(crossvm_load_relaxed(&memory.words.epoch) == NEW);
}

MODEL_PROGRAM(prepare, judge, renew, write_new, look)
