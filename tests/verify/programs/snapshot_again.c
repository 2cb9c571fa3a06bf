/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot that is read whole again and again, over two slots: a version that is still the newest
 * one is copied once more from the slot where it was opened, and must be that version, or the read
 * has to begin anew.
 *
 *   START  the newest version before the threads begin
 *   COUNT  versions that the writer publishes
 *   READS  calls of the reader
 */
#include "round.h"

#include "model.h"

#ifndef START
#define START 5
#endif
#ifndef COUNT
#define COUNT 2
#endif
#ifndef READS
#define READS 2
#endif

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_snapshot_writer writer;
static MODEL_STATE struct crossvm_snapshot_reader reader;

static void publish(uint64_t version)
{
    uint32_t words[2];
    words[0] = model_word(version, 0);
    words[1] = model_word(version, 1);
    int status = crossvm_snapshot_writer_publish(&writer, words, sizeof(words), version * 3, 0);
    assert(status == CROSSVM_OK);
}

static void *write_some(void *unused)
{
    (void)unused;
    for (uint64_t version = START + 1ull; version <= START + (uint64_t)COUNT; version++) {
        publish(version);
    }
    return NULL;
}

static void read_one(uint64_t *last)
{
    struct crossvm_snapshot_info info;
    uint32_t words[2];
    int status = crossvm_snapshot_reader_read(&reader, words, sizeof(words), &info);
    assert(status >= 0 || status == CROSSVM_TORN);
    if (status >= 0) {
        assert(words[0] == model_word(info.version, 0) && words[1] == model_word(info.version, 1));
        assert(info.sampled_ns == info.version * 3 && info.len == sizeof(words));
        assert(info.version >= *last && status == (info.version != *last));
        assert(info.missed == (info.version == *last ? 0 : info.version - *last - 1));
        *last = info.version;
    }
}

static void *read_some(void *unused)
{
    uint64_t last = START;
    (void)unused;
    for (int i = 0; i < READS; i++) {
        read_one(&last);
    }
    assert(reader.fault.rule == CROSSVM_RULE_NONE);
    return NULL;
}

/* The reader has read the newest version before the writer goes on. */
static void prepare(void)
{
    uint64_t last = START - 1ull;
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_slots(&writer.slots, &shm, 1);
    writer.payload_len = 8;
    writer.version = START - 2ull;
    publish(START - 1ull);
    publish(START);
    model_reader(&reader, &shm, 1);
    reader.last = last;
    read_one(&last);
    assert(last == START);
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, write_some, read_some)
