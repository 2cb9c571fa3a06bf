/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer that dies in front of its DIE-th store while it publishes a batch of two (contents A),
 * restarts, and publishes elements with contents B, one by one, from the first number that was not
 * announced. A reader must see A only where the death came after `latest`, never a mixture, and
 * never one number twice.
 *
 *   START   the newest number before the threads begin
 *   BEHIND  elements that the reader has not read then
 *   DIE     stores that the first incarnation lives to make
 */
#include "round.h"

#include "mortal.h"

#define MODEL_SLOTS 4
#include "broadcast.h"

#ifndef START
#define START 5
#endif
#ifndef BEHIND
#define BEHIND 3
#endif
#ifndef DIE
#define DIE 13
#endif
#define OTHER 0x1000u

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_broadcast_writer writer;
static MODEL_STATE struct crossvm_broadcast_reader reader;
static MODEL_STATE struct model_tally tally;
static MODEL_STATE uint64_t newest_a; /* the last number with contents A */

static void *write_some(void *unused)
{
    struct crossvm_fault fault;
    uint64_t number;
    (void)unused;
    model_dies_after(DIE);
    model_send(&writer, START + 1ull, 2, 0);
    model_restarts();
    int status = crossvm_slots_writer_resume(&writer.slots, (unsigned char *)&shm, &number, &fault);
    assert(status == CROSSVM_OK);
    assert(number == START || number == START + 2ull);
    newest_a = number;
    writer.number = number;
    model_send(&writer, number + 1, 1, OTHER);
    if (number == START) {
        model_send(&writer, number + 2, 1, OTHER);
    }
    return NULL;
}

static MODEL_STATE uint64_t seen; /* the number that was read beside the writer, 0 = none */
static MODEL_STATE uint32_t contents;

static void *read_one(void *unused)
{
    (void)unused;
    seen = model_read(&reader, &tally, &contents);
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_broadcast_writer(&writer, &shm, START - 4ull);
    for (uint64_t number = START - 3ull; number <= START; number++) {
        model_send(&writer, number, 1, 0);
    }
    model_broadcast_reader(&reader, &shm, START - (uint64_t)BEHIND);
    tally.first = reader.next;
    tally.last = reader.next - 1;
}

static void judge(void)
{
    assert(seen == 0 || contents == (seen <= newest_a ? 0 : OTHER));
    model_drain(&reader, &tally, writer.number);
    assert(reader.fault.rule == CROSSVM_RULE_NONE);
}

MODEL_PROGRAM(prepare, judge, write_some, read_one)
