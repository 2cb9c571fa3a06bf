/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer that dies in front of its DIE-th store while it publishes version START + 1 (contents
 * A), restarts, and publishes that version with contents B, and one more. A reader must see A only
 * if the death came after `latest`, and never a mixture.
 *
 *   DIE     stores that the first incarnation lives to make
 *   OLDER   the reader asks for version START + 1 by its number
 *   MIXED   only a mixture of A and B counts as a failure
 */
#include "round.h"

#include "mortal.h"

#include "model.h"

#ifndef START
#define START 5
#endif
#ifndef DIE
#define DIE 5
#endif
#define OTHER 0x1000u

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_slots writer_slots;
static MODEL_STATE bool published_a;

static void publish(uint64_t version, uint32_t other)
{
    uint32_t words[2];
    words[0] = model_word(version, 0) + other;
    words[1] = model_word(version, 1) + other;
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(&writer_slots, version);
    crossvm_i_slots_copy_out(&writer_slots, crossvm_i_slot_payload(slot), words, sizeof(words));
    crossvm_slots_writer_commit(&writer_slots, slot, version);
}

static void *write_some(void *unused)
{
    struct crossvm_fault fault;
    uint64_t version;
    (void)unused;
    model_dies_after(DIE);
    publish(START + 1ull, 0);
    model_restarts();
    int status =
        crossvm_slots_writer_resume(&writer_slots, (unsigned char *)&shm, &version, &fault);
    assert(status == CROSSVM_OK);
    assert(version == START || version == START + 1ull);
    published_a = version == START + 1ull;
    if (!published_a) {
        publish(START + 1ull, OTHER);
    }
    publish(START + 2ull, OTHER);
    return NULL;
}

static MODEL_STATE uint32_t seen;
static MODEL_STATE bool was_seen;

static void judge_words(uint64_t version, const uint32_t words[2])
{
    uint32_t other = words[0] - model_word(version, 0);
    assert(words[1] - model_word(version, 1) == other);
#if !defined(MIXED)
    assert(version == START ? other == 0 : version == START + 2ull ? other == OTHER : true);
    if (version == START + 1ull) {
        assert(other == 0 || other == OTHER);
        assert(!was_seen || seen == other);
        was_seen = true;
        seen = other;
    }
#endif
}

static void *read_twice(void *unused)
{
    struct crossvm_slots slots;
    struct crossvm_slot_ticket ticket;
    uint32_t words[2];
    (void)unused;
    model_slots(&slots, &shm, 1);
    for (int i = 0; i < 2; i++) {
#if defined(OLDER)
        int status = crossvm_slots_reader_open_version(&slots, START + 1ull, &ticket);
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_FOUND);
#else
        int status = crossvm_slots_reader_open(&slots, &ticket);
        assert(status == CROSSVM_OK || status == CROSSVM_TORN);
#endif
        if (status != CROSSVM_OK) {
            continue;
        }
        crossvm_i_slots_copy_in(&slots, words, ticket.payload, sizeof(words));
        if (crossvm_slots_reader_close(&slots, &ticket) == CROSSVM_OK) {
            judge_words(ticket.version, words);
        }
    }
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, 1);
    model_slots(&writer_slots, &shm, 1);
    publish(START - 1ull, 0);
    publish(START, 0);
}

static void judge(void)
{
    /* Contents A were seen only when they had been published. */
    assert(!was_seen || (seen == 0) == published_a);
}

MODEL_PROGRAM(prepare, judge, write_some, read_twice)
