/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader that sleeps through 2^31 versions: the same mark stands in the slot again, and only hi
 * is another. Of the versions between, the writer publishes one of the same slot: leaving stores
 * out takes nothing away from what the others order.
 */
#include "round.h"

#include "model.h"

#define V 4ull

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_slots writer_slots;

static void *write_some(void *unused)
{
    (void)unused;
    model_publish(&writer_slots, V + 2);
    model_publish(&writer_slots, V + 0x80000000ull);
    return NULL;
}

static void *read_one(void *unused)
{
    struct crossvm_slots slots;
    struct crossvm_slot_ticket ticket;
    uint32_t words[2];
    (void)unused;
    model_slots(&slots, &shm, 1);
    if (crossvm_slots_reader_open_version(&slots, V, &ticket) == CROSSVM_OK) {
        crossvm_i_slots_copy_in(&slots, words, ticket.payload, sizeof(words));
        if (crossvm_slots_reader_close(&slots, &ticket) == CROSSVM_OK) {
            assert(words[0] == model_word(V, 0) && words[1] == model_word(V, 1));
        }
    }
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_slots(&writer_slots, &shm, 1);
    model_publish(&writer_slots, V);
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, write_some, read_one)
