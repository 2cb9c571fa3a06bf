/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer that laps a reader: the reader gets whole elements in order, and what it did not get is
 * counted, exactly; also behind the last read, when everything up to the newest is accounted for.
 *
 *   MODEL_SLOTS  slots
 *   START        the newest number before the threads begin
 *   BEHIND       elements that the reader has not read then
 *   COUNT        announcements by the writer
 *   BATCH        elements of each
 *   READS        by the reader, beside the writer
 *   LATE         the reader begins beside the writer: where
 */
#include "round.h"

#include "broadcast.h"

#ifndef START
#define START 5
#endif
#ifndef BEHIND
#define BEHIND 1
#endif
#ifndef COUNT
#define COUNT 2
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef READS
#define READS 2
#endif

#define NEWEST (START + (uint64_t)COUNT * BATCH)

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_broadcast_writer writer;
static MODEL_STATE struct crossvm_broadcast_reader reader;
static MODEL_STATE struct model_tally tally;

static void *write_some(void *unused)
{
    (void)unused;
    for (uint64_t number = START + 1ull; number <= NEWEST; number += BATCH) {
        model_send(&writer, number, BATCH, 0);
    }
    return NULL;
}

static void begin_late(void)
{
#if defined(LATE)
    int status = crossvm_i_broadcast_begin(&reader, LATE);
    assert(status == CROSSVM_OK || status == CROSSVM_TORN);
    assert(status != CROSSVM_OK || reader.newest >= START);
    tally.first = reader.next;
    tally.last = reader.next - 1;
#endif
}

static void *read_some(void *unused)
{
    uint32_t other = 0;
    (void)unused;
    begin_late();
    for (int i = 0; i < READS; i++) {
        (void)model_read(&reader, &tally, &other);
        assert(tally.n_read == 0 || other == 0);
    }
    return NULL;
}

static void prepare(void)
{
    uint64_t first = START < MODEL_SLOTS ? 1 : START - MODEL_SLOTS + 1ull;
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_broadcast_writer(&writer, &shm, first - 1);
    for (uint64_t number = first; number <= START; number++) {
        model_send(&writer, number, 1, 0);
    }
#if defined(LATE)
    model_broadcast_reader(&reader, &shm, 0);
#else
    model_broadcast_reader(&reader, &shm, START - (uint64_t)BEHIND);
    tally.first = reader.next;
    tally.last = reader.next - 1;
#endif
}

static void judge(void)
{
    assert(writer.number == NEWEST);
    model_drain(&reader, &tally, NEWEST);
    assert(reader.fault.rule == CROSSVM_RULE_NONE);
}

MODEL_PROGRAM(prepare, judge, write_some, read_some)
