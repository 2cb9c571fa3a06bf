/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner clears a snapshot's chunk, and gives its memory to a BYTES chunk, while a reader or a
 * writer of the snapshot, which has come back, makes a call. A reader gets what was there, or STALE,
 * or TORN behind a copy: no cleared or new byte. Nobody is called corrupt, no version absent.
 *
 *   CALL   read, read_version, writer_open; again: a ticket that was opened before is still open
 *   START  the snapshot's newest version
 *   MODEL_WIDE  the payload's words in use begin a line
 *   WRITES the owner writes the new chunk, too: where the newest slot's length and payload were
 *   OTHER  another party does that
 */
#include "round.h"

#include "memory.h"
#include "model.h"
#include <crossvm/bytes.h>

#ifndef CALL
#define CALL read
#endif
#ifndef START
#define START 5
#endif
#define CALL_2(name) call_##name()
#define DO(name)     CALL_2(name)
#define OLD          1u
#define NEW          2u
#define DATA_LEN     (sizeof(struct model_snapshot) - CROSSVM_LINE)

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct model_snapshot chunk;
} memory;

static MODEL_STATE struct crossvm_region regions[3];
static MODEL_STATE struct crossvm_chunk chunk_old;
static MODEL_STATE struct crossvm_chunk chunk_new;
static MODEL_STATE struct crossvm_slots slots;
static MODEL_STATE struct crossvm_slot_ticket open_ticket;
static MODEL_STATE struct crossvm_snapshot_writer old_writer;
static MODEL_STATE struct crossvm_bytes_writer new_writer;

static __attribute__((__unused__)) void write_word(uint64_t off)
{
    uint32_t word = 0xffffffffu;
    off += (START & 1) * (uint64_t)MODEL_STRIDE;
    assert(crossvm_bytes_writer_write(&new_writer, off, &word, sizeof(word)) == CROSSVM_OK);
}

static __attribute__((__unused__)) void *write_new(void *unused)
{
    (void)unused;
    int status = crossvm_bytes_writer_open(&new_writer, &regions[chunk_new.writer], &chunk_new);
    assert(status == CROSSVM_OK || (status == CROSSVM_STALE && chunk_new.writer != MEMORY_OWNER));
    if (status == CROSSVM_OK) {
        write_word(offsetof(struct crossvm_slot_shm, len));
        write_word(sizeof(struct crossvm_slot_shm) + MODEL_USED_OFF);
    }
    return NULL;
}

static void *reuse(void *unused)
{
    const struct crossvm_region *region = &regions[MEMORY_OWNER];
    (void)unused;
    crossvm_i_wipe(region, chunk_new.off, chunk_new.length);
    crossvm_i_chunk_start(region, &chunk_new);
#if defined(WRITES)
    (void)write_new(NULL);
#endif
    return NULL;
}

static void take(int status, const struct crossvm_slot_ticket *ticket)
{
    uint32_t words[2];
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
    if (status != CROSSVM_OK) {
        return;
    }
    assert(ticket->version == START);
    crossvm_i_slots_copy_in(&slots, words, ticket->payload + MODEL_USED_OFF, sizeof(words));
    status = crossvm_slots_reader_close(&slots, ticket);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE || status == CROSSVM_TORN);
    for (unsigned i = 0; i < 2 && status == CROSSVM_OK; i++) {
        assert(words[i] == model_word(START, i));
    }
}

static __attribute__((__unused__)) void call_read(void)
{
    struct crossvm_slot_ticket ticket;
    take(crossvm_slots_reader_open(&slots, &ticket), &ticket);
}

static __attribute__((__unused__)) void call_read_version(void)
{
    struct crossvm_slot_ticket ticket;
    take(crossvm_slots_reader_open_version(&slots, START, &ticket), &ticket);
}

static __attribute__((__unused__)) void call_again(void)
{
    take(CROSSVM_OK, &open_ticket);
}

/* Version and length may be the 0 of cleared memory. With the version comes that the chunk is gone:
 * what is written then is refused. */
static __attribute__((__unused__)) void call_writer_open(void)
{
    int status = crossvm_snapshot_writer_open(&old_writer, &regions[MEMORY_WRITER], &chunk_old);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
    if (status == CROSSVM_OK && old_writer.version == 0) {
        assert(crossvm_snapshot_writer_begin(&old_writer, false) == CROSSVM_STALE);
    } else if (status == CROSSVM_OK) {
        assert(old_writer.version == START);
        assert(old_writer.len == MODEL_USED_LEN || old_writer.len == 0);
    }
}

static void *call(void *unused)
{
    (void)unused;
    DO(CALL);
    return NULL;
}

static void publish(uint64_t version)
{
    uint32_t words[2];
    words[0] = model_word(version, 0);
    words[1] = model_word(version, 1);
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(&slots, version);
    crossvm_i_slots_copy_out(&slots, crossvm_i_slot_payload(slot) + MODEL_USED_OFF, words,
                             sizeof(words));
    crossvm_store_relaxed(&slot->len, MODEL_USED_LEN);
    crossvm_slots_writer_commit(&slots, slot, version);
}

static void prepare(void)
{
    for (uint32_t party = 0; party < 3; party++) {
        memory_region(&regions[party], &memory, sizeof(memory), party);
    }
    memory_chunk(&chunk_old, CROSSVM_KIND_SNAPSHOT, 2, MODEL_PAYLOAD_LEN, sizeof(memory.chunk),
                 OLD);
    memory_chunk(&chunk_new, CROSSVM_KIND_BYTES, 0, DATA_LEN, sizeof(memory.chunk), NEW);
#if !defined(OTHER)
    chunk_new.writer = MEMORY_OWNER;
#endif
    crossvm_store_relaxed(&memory.chunk.control.epoch, OLD);
    model_slots(&slots, &memory.chunk, OLD);
    for (uint64_t version = START - 1ull; version <= START; version++) {
        publish(version);
    }
    assert(crossvm_slots_reader_open(&slots, &open_ticket) == CROSSVM_OK);
}

static void judge(void)
{
}

#if defined(OTHER)
MODEL_PROGRAM(prepare, judge, reuse, call, write_new)
#else
MODEL_PROGRAM(prepare, judge, reuse, call)
#endif
