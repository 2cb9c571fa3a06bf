/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader that goes by the marks alone, without `latest`: it knows which version comes next, and
 * looks whether the slot holds it. A mark is a proof by itself: it brings the payload.
 *
 *   START  the newest version before the threads begin
 *   COUNT  versions that the writer publishes
 */
#include "round.h"

#include "model.h"

#ifndef START
#define START 0x7ffffffeull
#endif
#ifndef COUNT
#define COUNT 2
#endif

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_slots writer_slots;

static void *write_some(void *unused)
{
    (void)unused;
    for (uint64_t version = START + 1ull; version <= START + (uint64_t)COUNT; version++) {
        model_publish(&writer_slots, version);
    }
    return NULL;
}

static void *read_next(void *unused)
{
    struct crossvm_slots slots;
    struct crossvm_slot_ticket ticket;
    uint32_t words[2];
    (void)unused;
    model_slots(&slots, &shm, 1);
    for (uint64_t version = START + 1ull; version <= START + (uint64_t)COUNT; version++) {
        crossvm_i_slots_look(&slots, (uint32_t)version, &ticket);
        int status = crossvm_i_slots_judge(&ticket, (uint32_t)version);
        assert(status == CROSSVM_OK || status == CROSSVM_TORN);
        if (status != CROSSVM_OK) {
            continue;
        }
        assert(ticket.version == version);
        crossvm_i_slots_copy_in(&slots, words, ticket.payload, sizeof(words));
        status = crossvm_slots_reader_close(&slots, &ticket);
        assert(status == CROSSVM_OK || status == CROSSVM_TORN);
        if (status == CROSSVM_OK) {
            assert(words[0] == model_word(version, 0) && words[1] == model_word(version, 1));
        }
    }
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_slots(&writer_slots, &shm, 1);
    model_publish(&writer_slots, START - 1ull);
    model_publish(&writer_slots, START);
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, write_some, read_next)
