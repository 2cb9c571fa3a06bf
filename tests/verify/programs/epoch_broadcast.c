/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner wipes a broadcast's chunk and starts it anew under a reader, and a new writer publishes
 * there. The reader gets what the old generation held, in order, or learns that it is stale; it
 * never gets a mixture, a new element, or nothing, and never calls anybody corrupt.
 *
 *   START  the old generation's newest number; the reader has not read it and the one before
 *   KNOWS  the reader knows that they are there
 *   LATE   it is opened beside the owner instead: where
 */
#include "round.h"

#include "memory.h"

#include "broadcast.h"

#ifndef START
#define START 5
#endif
#define OLD 1u
#define NEW 2u

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct model_snapshot chunk;
} memory;

static MODEL_STATE struct crossvm_region owner;
static MODEL_STATE struct crossvm_chunk chunk_new;
static MODEL_STATE struct crossvm_broadcast_writer writer;
static MODEL_STATE struct crossvm_broadcast_reader reader;

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&owner, chunk_new.off, chunk_new.length);
    crossvm_i_chunk_start(&owner, &chunk_new);
    int status =
        crossvm_i_chunk_enter(&owner, &chunk_new, CROSSVM_KIND_BROADCAST, CROSSVM_I_WRITER);
    assert(status == CROSSVM_OK);
    model_broadcast_writer(&writer, &memory.chunk, 0);
    writer.slots.epoch = NEW;
    model_send(&writer, 1, 1, 0);
    return NULL;
}

static void *read_some(void *unused)
{
    (void)unused;
#if defined(LATE)
    int status = crossvm_i_broadcast_begin(&reader, LATE);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
    if (status == CROSSVM_STALE) {
        return NULL;
    }
#endif
    for (uint64_t number = reader.next; number <= START; number++) {
        struct crossvm_broadcast_info info;
        uint32_t words[2];
        int read = crossvm_broadcast_reader_read(&reader, words, sizeof(words), &info);
        assert(read == CROSSVM_OK || read == CROSSVM_STALE);
        if (read == CROSSVM_STALE) {
            break;
        }
        assert(info.number == number && info.lost == 0 && info.len == sizeof(words));
        assert(words[0] == model_word(number, 0) + 0x1000u);
        assert(words[1] == model_word(number, 1) + 0x1000u);
    }
    assert(reader.fault.rule == CROSSVM_RULE_NONE);
    return NULL;
}

static void prepare(void)
{
    memory_region(&owner, &memory, sizeof(memory), MEMORY_WRITER);
    memory_chunk(&chunk_new, CROSSVM_KIND_BROADCAST, MODEL_SLOTS, MODEL_PAYLOAD_LEN,
                 sizeof(memory.chunk), NEW);
    crossvm_store_relaxed(&memory.chunk.control.epoch, OLD);
    model_broadcast_writer(&writer, &memory.chunk, START - 2ull);
    model_send(&writer, START - 1ull, 1, 0x1000u);
    model_send(&writer, START, 1, 0x1000u);
#if defined(LATE)
    model_broadcast_reader(&reader, &memory.chunk, 0);
#else
    model_broadcast_reader(&reader, &memory.chunk, START - 2ull);
#endif
#if defined(KNOWS)
    reader.newest = START;
#endif
}

static void judge(void)
{
    assert(crossvm_broadcast_reader_read(&reader, NULL, 0, NULL) == CROSSVM_STALE);
}

MODEL_PROGRAM(prepare, judge, renew, read_some)
