/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's reader and writer over two slots: payload, times, length, `missed` of the newest
 * version, in two attempts.
 *
 *   START  the newest version before the threads begin
 *   COUNT  versions that the writer publishes
 */
#include "round.h"

#include "model.h"

#ifndef START
#define START 5
#endif
#ifndef COUNT
#define COUNT 2
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

static void *read_some(void *unused)
{
    struct crossvm_snapshot_view view;
    uint32_t words[2];
    uint64_t last = START;
    (void)unused;
    reader.last = START;
    for (int i = 0; i < 2; i++) {
        int status = crossvm_snapshot_reader_peek(&reader, &view);
        assert(status == CROSSVM_OK || status == CROSSVM_TORN);
        if (status != CROSSVM_OK) {
            continue;
        }
        /* Before it is closed, the length may be any that the slot ever had: here only one. */
        assert(crossvm_snapshot_reader_get(&reader, &view, 0, words, sizeof(words)) == CROSSVM_OK);
        status = crossvm_snapshot_reader_done(&reader, &view);
        assert(status >= 0 || status == CROSSVM_TORN);
        if (status >= 0) {
            uint64_t version = view.info.version;
            assert(words[0] == model_word(version, 0) && words[1] == model_word(version, 1));
            assert(view.info.sampled_ns == version * 3 && view.info.len == sizeof(words));
            assert(version >= last && status == (version != last));
            assert(view.info.missed == (version == last ? 0 : version - last - 1));
            last = version;
        }
    }
    assert(reader.fault.rule == CROSSVM_RULE_NONE);
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_slots(&writer.slots, &shm, 1);
    writer.payload_len = 8;
    writer.version = START - 2ull;
    publish(START - 1ull);
    publish(START);
    model_reader(&reader, &shm, 1);
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, write_some, read_some)
