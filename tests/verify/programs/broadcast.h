/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs about broadcast.h share: the handles over a chunk of MODEL_SLOTS slots, as the
 * open functions would set them, elements of two words, and a count of what a reader was given.
 */
#ifndef BROADCAST_H
#define BROADCAST_H

#include "model.h"

#include <crossvm/broadcast.h>

static inline void model_broadcast_writer(struct crossvm_broadcast_writer *writer,
                                          struct model_snapshot *shm, uint64_t number)
{
    model_slots(&writer->slots, shm, 1);
    writer->elem_len = MODEL_PAYLOAD_LEN;
    writer->number = number;
    writer->fault.rule = CROSSVM_RULE_NONE;
}

/* A reader that has read everything up to `number`. */
static inline void model_broadcast_reader(struct crossvm_broadcast_reader *reader,
                                          struct model_snapshot *shm, uint64_t number)
{
    model_slots(&reader->slots, shm, 1);
    reader->base = (const unsigned char *)shm;
    reader->elem_len = MODEL_PAYLOAD_LEN;
    reader->next = number + 1;
    reader->newest = number;
    reader->n_lost = 0;
    reader->fault.rule = CROSSVM_RULE_NONE;
}

/* Publishes n elements as a batch, the first of this number. other: added to each word. */
static inline void model_send(struct crossvm_broadcast_writer *writer, uint64_t number, unsigned n,
                              uint32_t other)
{
    uint32_t words[2 * MODEL_SLOTS];
    for (unsigned i = 0; i < n; i++) {
        words[2 * i] = model_word(number + i, 0) + other;
        words[2 * i + 1] = model_word(number + i, 1) + other;
    }
    int status = crossvm_broadcast_writer_publish_n(writer, words, 8, n);
    assert(status == CROSSVM_OK);
}

struct model_tally {
    uint64_t first; /* the number that the reader began with */
    uint64_t last;  /* the last one that it was given, or told that it lost */
    uint64_t n_read;
    uint64_t n_lost;
};

/* One read. Its number, 0 = none; `other` as it was sent. */
static inline uint64_t model_read(struct crossvm_broadcast_reader *reader,
                                  struct model_tally *tally, uint32_t *other)
{
    struct crossvm_broadcast_info info;
    uint32_t words[2];
    int status = crossvm_broadcast_reader_read(reader, words, sizeof(words), &info);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY || status == CROSSVM_TORN);
    if (status != CROSSVM_OK) {
        return 0;
    }
    *other = words[0] - model_word(info.number, 0);
    assert(words[1] - model_word(info.number, 1) == *other);
    assert(info.len == sizeof(words));
    assert(info.number > tally->last && info.lost == info.number - tally->last - 1);
    tally->n_read++;
    tally->n_lost += info.lost;
    tally->last = info.number;
    assert(reader->n_lost == tally->n_lost && reader->next == tally->last + 1);
    return info.number;
}

/* Nobody writes any more: what is left is read, and every number up to the newest was read or
 * lost, once. */
static inline void model_drain(struct crossvm_broadcast_reader *reader, struct model_tally *tally,
                               uint64_t newest)
{
    uint32_t other;
    while (tally->last != newest) {
        uint64_t number = model_read(reader, tally, &other);
        assert(number != 0 && number <= newest);
    }
    assert(model_read(reader, tally, &other) == 0);
    assert(tally->n_read + tally->n_lost == newest - tally->first + 1);
}

#endif
