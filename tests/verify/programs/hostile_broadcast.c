/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile writer: while the reader of a broadcast makes two calls, it stores anything into words
 * of the control line or of a slot's header. Each word is looked at so often an attempt as
 * docs/ORDERING.md says; numbers go forward, and what lies between two of them is lost, exactly;
 * once a handle has answered CORRUPT it does so for ever, with a word's place and a value that was
 * found there. Nothing outside the chunk is touched, and no more is copied than both the slot and
 * the reader have room for.
 *
 *   RACED, ALSO  words of the chunk that are raced (hostile.h); `last_one` and `older_one` are the
 *                slots of the newest element and of the one before
 *   START        the newest number
 *   BEHIND       elements that the reader has not read
 *   KNOWS        the reader knows that they are there
 */
#include "round.h"

#define MODEL_SLOTS 4
#define WATCH_WORDS 160
#define WATCH_LOOKS 64 /* four in each of 16 attempts */
#include "hostile.h"

#include "broadcast.h"

#ifndef START
#define START 0x80000001ull
#endif
#ifndef RACED
#define RACED control.latest
#endif
#ifndef BEHIND
#define BEHIND 2
#endif
#define last_one  slot[START % MODEL_SLOTS].head
#define older_one slot[(START + 3) % MODEL_SLOTS].head
#define EPOCH     1u
#define USED      2u /* words of an element */
#define UNTOUCHED 0x55555555u

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_broadcast_writer writer;
static MODEL_STATE struct crossvm_broadcast_reader reader;

/* How often an attempt may look at a word: the newest slot, and then the one that comes next. */
static uint32_t looks_at(const struct crossvm_le32 *word)
{
    size_t off = watch_off(word, &shm);
    if (off < sizeof(shm.control)) {
        return word == &shm.control.latest ? 3 : word == &shm.control.epoch ? 4 : 0;
    }
    size_t in_slot = (off - sizeof(shm.control)) % MODEL_STRIDE;
    return in_slot < offsetof(struct crossvm_slot_shm, len)     ? 4
           : in_slot < offsetof(struct crossvm_slot_shm, check) ? 1
                                                                : 0;
}

static void check_looks(void)
{
    assert(watch_times(&shm.RACED) <= CROSSVM_BROADCAST_TRIES * looks_at(&shm.RACED));
#if defined(ALSO)
    assert(watch_times(&shm.ALSO) <= CROSSVM_BROADCAST_TRIES * looks_at(&shm.ALSO));
#endif
}

/* The elements are not raced: what was copied is what lies in the number's slot, and what lies
 * behind the first len bytes has not been touched. */
static void check_element(const uint32_t *words, uint64_t number, uint32_t len)
{
    uint64_t there = START - (START - number) % MODEL_SLOTS;
    for (uint32_t i = 0; i < USED; i++) {
        assert(i >= len / 4 || words[i] == model_word(there, i));
        assert(i < (len + 3) / 4 || words[i] == UNTOUCHED);
    }
}

static bool was_found(const struct crossvm_le32 *word, uint32_t value)
{
    for (uint32_t i = 0; i < watch_times(word); i++) {
        if (watch_look(word, i) == value) {
            return true;
        }
    }
    return false;
}

/* The place is a mark, or a length, and that value was found there. */
static void check_fault(void)
{
    uint32_t rule = reader.fault.rule;
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        const struct crossvm_slot_shm *slot = &shm.slot[i].head;
        const struct crossvm_le32 *word = rule == CROSSVM_RULE_SLOT_LEN ? &slot->len : &slot->mark;
        if (reader.fault.off == watch_off(word, &shm)) {
            assert(was_found(word, (uint32_t)reader.fault.value));
            return;
        }
    }
    assert(false);
}

static void check_status(int status, uint64_t next, uint64_t n_lost,
                         const struct crossvm_broadcast_info *info)
{
    if (status == CROSSVM_OK) {
        assert(info->number >= next && info->lost == info->number - next && info->len <= 4 * USED);
        assert(reader.next == info->number + 1 && reader.n_lost == n_lost + info->lost);
        return;
    }
    assert(reader.next == next && reader.n_lost == n_lost);
    assert(status == CROSSVM_EMPTY || status == CROSSVM_TORN || status == CROSSVM_STALE ||
           status == CROSSVM_NO_SPACE || status == CROSSVM_CORRUPT);
    assert(status != CROSSVM_NO_SPACE || (info->len > 4 * USED && info->len <= MODEL_PAYLOAD_LEN));
}

static void read_one(void)
{
    struct crossvm_broadcast_info info;
    uint32_t words[USED + 1] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    uint64_t next = reader.next;
    uint64_t known = reader.newest;
    uint64_t n_lost = reader.n_lost;
    bool had_enough = reader.fault.rule != CROSSVM_RULE_NONE;
    watch_begin();
    int status = crossvm_broadcast_reader_read(&reader, words, 4 * USED, &info);
    watch_end();
    check_looks();
    assert(!had_enough || (status == CROSSVM_CORRUPT && watch_total() == 0));
    assert((status == CROSSVM_CORRUPT) == (reader.fault.rule != CROSSVM_RULE_NONE));
    check_status(status, next, n_lost, &info);
    if (status == CROSSVM_OK) {
        check_element(words, info.number, info.len);
    } else if (status == CROSSVM_CORRUPT && !had_enough) {
        check_fault();
    }
    assert(words[USED] == UNTOUCHED && reader.newest >= known);
    assert(reader.elem_len == MODEL_PAYLOAD_LEN && reader.slots.n_slots == MODEL_SLOTS);
    assert(reader.slots.stride == MODEL_STRIDE && reader.slots.epoch == EPOCH);
}

static void *read_twice(void *unused)
{
    (void)unused;
    read_one();
    read_one();
    return NULL;
}

static void *store_anything(void *unused)
{
    (void)unused;
    hostile_stores(&shm.RACED, (uint32_t)START, MODEL_SLOTS);
#if defined(ALSO)
    hostile_stores(&shm.ALSO, (uint32_t)START, MODEL_SLOTS);
#endif
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, EPOCH);
    model_broadcast_writer(&writer, &shm, START - 4);
    for (uint64_t number = START - 3; number <= START; number++) {
        model_send(&writer, number, 1, 0);
    }
    model_broadcast_reader(&reader, &shm, START - BEHIND);
#if defined(KNOWS)
    reader.newest = START;
#endif
    watch_memory(&shm, sizeof(shm));
}

static void judge(void)
{
    if (reader.fault.rule != CROSSVM_RULE_NONE) {
        read_one();
    }
}

MODEL_PROGRAM(prepare, judge, read_twice, store_anything)
