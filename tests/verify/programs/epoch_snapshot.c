/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner wipes a snapshot's chunk and starts it anew under a reader. The reader gets the old
 * generation's version or learns that it is stale; through a handle of the new generation it gets
 * the new contents; it never gets a mixture and never calls anybody corrupt.
 *
 *   START         the old generation's newest version
 *   OTHER_WRITER  the new generation's writer is another party than the owner
 *   ONLY_NEW      the reader has no handle of the old generation
 *   MODEL_WIDE    the payload's words in use begin a line
 */
#include "round.h"

#include "memory.h"
#include "model.h"

#ifndef START
#define START 5
#endif
#define OLD 1u
#define NEW 2u

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct model_snapshot chunk;
} memory;

static MODEL_STATE struct crossvm_region regions[3];
static MODEL_STATE struct crossvm_chunk chunk_new;
static MODEL_STATE struct crossvm_slots old_slots;
static MODEL_STATE struct crossvm_slots new_slots;
static MODEL_STATE struct crossvm_snapshot_reader old_reader;
static MODEL_STATE struct crossvm_snapshot_reader new_reader;

/* Contents tell version and generation. */
static void publish(struct crossvm_slots *slots, uint64_t version)
{
    uint32_t words[2];
    words[0] = model_word(version, 0) + slots->epoch * 0x10000u;
    words[1] = model_word(version, 1) + slots->epoch * 0x10000u;
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(slots, version);
    crossvm_i_slots_copy_out(slots, crossvm_i_slot_payload(slot) + MODEL_USED_OFF, words,
                             sizeof(words));
    crossvm_store_relaxed(&slot->len, MODEL_USED_LEN);
    crossvm_slots_writer_commit(slots, slot, version);
}

static void publish_new(struct crossvm_region *region)
{
    struct crossvm_fault fault;
    uint64_t version;
    if (crossvm_i_chunk_enter(region, &chunk_new, CROSSVM_KIND_SNAPSHOT, CROSSVM_I_WRITER) !=
        CROSSVM_OK) {
        return;
    }
    model_slots(&new_slots, &memory.chunk, NEW);
    int status = crossvm_slots_writer_resume(&new_slots, region->base, &version, &fault);
    assert(status == CROSSVM_OK && version == 0);
    publish(&new_slots, 1);
}

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&regions[MEMORY_OWNER], chunk_new.off, chunk_new.length);
    crossvm_i_chunk_start(&regions[MEMORY_OWNER], &chunk_new);
#if !defined(OTHER_WRITER)
    regions[MEMORY_OWNER].self = MEMORY_WRITER;
    publish_new(&regions[MEMORY_OWNER]);
#endif
    return NULL;
}

#if defined(OTHER_WRITER)
static void *write_new(void *unused)
{
    (void)unused;
    publish_new(&regions[MEMORY_WRITER]);
    return NULL;
}
#endif

static void check(struct crossvm_snapshot_reader *reader, uint64_t newest)
{
    struct crossvm_snapshot_view view;
    uint32_t words[2];
    uint32_t generation = reader->slots.epoch;
    int status = crossvm_snapshot_reader_peek(reader, &view);
    assert(status == CROSSVM_OK || status == CROSSVM_TORN || status == CROSSVM_STALE ||
           (status == CROSSVM_NOT_YET && reader->last == 0));
    if (status != CROSSVM_OK || crossvm_snapshot_reader_get(reader, &view, MODEL_USED_OFF, words,
                                                            sizeof(words)) != CROSSVM_OK) {
        return;
    }
    status = crossvm_snapshot_reader_done(reader, &view);
    assert(status >= 0 || status == CROSSVM_TORN || status == CROSSVM_STALE);
    if (status >= 0) {
        assert(view.info.version == newest);
        assert(words[0] == model_word(newest, 0) + generation * 0x10000u);
        assert(words[1] == model_word(newest, 1) + generation * 0x10000u);
    }
}

static void *read_some(void *unused)
{
    (void)unused;
#if !defined(ONLY_NEW)
    old_reader.last = START;
    check(&old_reader, START);
#endif
    if (crossvm_i_chunk_enter(&regions[MEMORY_READER], &chunk_new, CROSSVM_KIND_SNAPSHOT,
                              CROSSVM_I_READER) == CROSSVM_OK) {
        check(&new_reader, 1);
    }
    return NULL;
}

static void prepare(void)
{
    for (uint32_t party = 0; party < 3; party++) {
        memory_region(&regions[party], &memory, sizeof(memory), party);
    }
    memory_chunk(&chunk_new, CROSSVM_KIND_SNAPSHOT, 2, MODEL_PAYLOAD_LEN, sizeof(memory.chunk),
                 NEW);
    crossvm_store_relaxed(&memory.chunk.control.epoch, OLD);
    model_slots(&old_slots, &memory.chunk, OLD);
    publish(&old_slots, START - 1ull);
    publish(&old_slots, START);
    model_reader(&old_reader, &memory.chunk, OLD);
    model_reader(&new_reader, &memory.chunk, NEW);
}

static void judge(void)
{
}

#if defined(OTHER_WRITER)
MODEL_PROGRAM(prepare, judge, renew, read_some, write_new)
#else
MODEL_PROGRAM(prepare, judge, renew, read_some)
#endif
