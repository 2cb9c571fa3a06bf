/* SPDX-License-Identifier: Apache-2.0 */
/*
 * N slots with N = 2: a writer publishes, a reader makes two attempts. What is read is exactly the
 * version's payload, versions never go back, and an honest writer is never called corrupt.
 *
 *   START   the newest version before the threads begin (0 = nothing was published)
 *   COUNT   versions that the writer publishes
 *   OLDER   the reader asks for given versions instead of the newest
 *   ALLOW_CORRUPT  an honest writer may be called corrupt: shows what an edge is for
 */
#include "round.h"

#include "model.h"

#ifndef START
#define START 5
#endif
#ifndef COUNT
#define COUNT 3
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

/* Copies an opened version and closes it; true when the copy counts. */
static bool take(const struct crossvm_slots *slots, const struct crossvm_slot_ticket *ticket)
{
    uint32_t words[2];
    crossvm_i_slots_copy_in(slots, words, ticket->payload, sizeof(words));
    int status = crossvm_slots_reader_close(slots, ticket);
    assert(status == CROSSVM_OK || status == CROSSVM_TORN);
    if (status == CROSSVM_OK) {
        assert(words[0] == model_word(ticket->version, 0));
        assert(words[1] == model_word(ticket->version, 1));
    }
    return status == CROSSVM_OK;
}

#if !defined(OLDER)
static void *read_twice(void *unused)
{
    struct crossvm_slots slots;
    struct crossvm_slot_ticket ticket;
    uint64_t last = START;
    (void)unused;
    model_slots(&slots, &shm, 1);
    for (int i = 0; i < 2; i++) {
        int status = crossvm_slots_reader_open(&slots, &ticket);
#if defined(ALLOW_CORRUPT)
        if (status == CROSSVM_CORRUPT) {
            continue;
        }
#endif
        assert(status == CROSSVM_OK || status == CROSSVM_TORN ||
               (status == CROSSVM_NOT_YET && last == 0));
        if (status == CROSSVM_OK && take(&slots, &ticket)) {
            assert(ticket.version >= last && ticket.version <= START + (uint64_t)COUNT);
            last = ticket.version;
        }
    }
    return NULL;
}
#else
static void *read_twice(void *unused)
{
    struct crossvm_slots slots;
    struct crossvm_slot_ticket ticket;
    (void)unused;
    model_slots(&slots, &shm, 1);
    for (uint64_t version = START + 1ull; version <= START + 2ull; version++) {
        int status = crossvm_slots_reader_open_version(&slots, version, &ticket);
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
        if (status == CROSSVM_OK) {
            assert(ticket.version == version);
            (void)take(&slots, &ticket);
        }
    }
    return NULL;
}
#endif

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_slots(&writer_slots, &shm, 1);
    if (START > 0) {
        model_publish(&writer_slots, START - 1ull);
        model_publish(&writer_slots, START);
    }
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, write_some, read_twice)
