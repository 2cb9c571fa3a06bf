/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's reader and writer over two slots: payload, times, length, `missed` of the newest
 * version, in two attempts.
 *
 *   AGAIN  it is read whole, and the newest version was read before: one that still is the newest is
 *          copied once more from where it was opened, or the read begins anew
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

/* What was read, and closed, is one version, and not one before the last. */
static void judge_read(int status, const struct crossvm_snapshot_info *info, const uint32_t *words,
                       uint64_t *last)
{
    uint64_t version = info->version;
    assert(words[0] == model_word(version, 0) && words[1] == model_word(version, 1));
    assert(info->sampled_ns == version * 3 && info->len == 2 * sizeof(*words));
    assert(version >= *last && status == (version != *last));
    assert(info->missed == (version == *last ? 0 : version - *last - 1));
    *last = version;
}

#if defined(AGAIN)
static void read_one(uint64_t *last)
{
    struct crossvm_snapshot_info info;
    uint32_t words[2];
    int status = crossvm_snapshot_reader_read(&reader, words, sizeof(words), &info);
    assert(status >= 0 || status == CROSSVM_TORN);
    if (status >= 0) {
        judge_read(status, &info, words, last);
    }
}
#else
static void read_one(uint64_t *last)
{
    struct crossvm_snapshot_view view;
    uint32_t words[2];
    int status = crossvm_snapshot_reader_peek(&reader, &view);
    assert(status == CROSSVM_OK || status == CROSSVM_TORN);
    if (status != CROSSVM_OK) {
        return;
    }
    /* Before it is closed, the length may be any that the slot ever had: here only one. */
    assert(crossvm_snapshot_reader_get(&reader, &view, 0, words, sizeof(words)) == CROSSVM_OK);
    status = crossvm_snapshot_reader_done(&reader, &view);
    assert(status >= 0 || status == CROSSVM_TORN);
    if (status >= 0) {
        judge_read(status, &view.info, words, last);
    }
}
#endif

static void *read_some(void *unused)
{
    uint64_t last = START;
    (void)unused;
    for (int i = 0; i < 2; i++) {
        read_one(&last);
    }
    assert(reader.fault.rule == CROSSVM_RULE_NONE);
    return NULL;
}

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
