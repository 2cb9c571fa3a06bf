/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the model-checking programs share: memory for a few slots and the handles over it, with
 * fields set as the open functions would set them.
 *
 * The programs are compiled with -DCROSSVM_MODEL (32-bit words only, no assembly).
 */
#ifndef MODEL_H
#define MODEL_H

#include <crossvm/snapshot.h>

/* A chunk of MODEL_SLOTS slots, of two unless the program says otherwise. Two words of the payload are in use: the first two, or with MODEL_WIDE the
 * two at offset 64, which begin a 128-byte line of the chunk. */
#if defined(MODEL_WIDE)
#define MODEL_PAYLOAD_LEN 192
#define MODEL_USED_OFF    64
#else
#define MODEL_PAYLOAD_LEN 64
#define MODEL_USED_OFF    0
#endif
#define MODEL_USED_LEN (MODEL_USED_OFF + 8)

struct model_slot {
    struct crossvm_slot_shm head;
    struct crossvm_le32 payload[MODEL_PAYLOAD_LEN / 4];
};

#ifndef MODEL_SLOTS
#define MODEL_SLOTS 2
#endif

struct model_snapshot {
    struct crossvm_slots_shm control;
    struct model_slot slot[MODEL_SLOTS];
};

#define MODEL_STRIDE sizeof(struct model_slot)

static inline void model_slots(struct crossvm_slots *slots, struct model_snapshot *shm,
                               uint32_t epoch)
{
    slots->control = &shm->control;
    slots->first = (unsigned char *)&shm->slot[0];
    slots->stride = MODEL_STRIDE;
    slots->n_slots = MODEL_SLOTS;
    slots->epoch = epoch;
    slots->device = false;
}

static inline void model_reader(struct crossvm_snapshot_reader *reader, struct model_snapshot *shm,
                                uint32_t epoch)
{
    model_slots(&reader->slots, shm, epoch);
    reader->base = (const unsigned char *)shm;
    reader->payload_len = MODEL_PAYLOAD_LEN;
    reader->last = 0;
    reader->again_len = 0;
    reader->fault.off = 0;
    reader->fault.value = 0;
    reader->fault.rule = CROSSVM_RULE_NONE;
}

/* What version v holds: two words, of all its bits. */
static inline uint32_t model_word(uint64_t version, unsigned i)
{
    return ((uint32_t)version ^ (uint32_t)(version >> 32) << 8) * 2 + i;
}

/* Publishes one version on the slots' level: two payload words. */
static inline void model_publish(struct crossvm_slots *slots, uint64_t version)
{
    uint32_t words[2];
    words[0] = model_word(version, 0);
    words[1] = model_word(version, 1);
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(slots, version);
    crossvm_i_slots_copy_out(slots, crossvm_i_slot_payload(slot), words, sizeof(words));
    crossvm_slots_writer_commit(slots, slot, version);
}

#endif
