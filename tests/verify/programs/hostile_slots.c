/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile writer: while the reader of a snapshot of two slots makes two calls, it stores anything
 * into words of the control line or of a slot's header. Each word is looked at once an attempt, or
 * as docs/ORDERING.md says; what a call answers, and what the handle holds afterwards, is exactly
 * what follows from the values that it looked at. Once a handle has answered CORRUPT it does so for
 * ever, with the word's place and the value that was found there. Nothing outside the chunk is
 * touched, and no more is copied than both the slot and the reader have room for.
 *
 *   RACED, ALSO  words of the chunk that are raced (hostile.h); `newest` and `older` are the slots
 *   CALL, THEN   the two calls, each of: in_place read read_version read_older
 *   START        the newest version
 */
#include "round.h"

#define WATCH_WORDS 96
#define WATCH_LOOKS 48 /* three in each of 16 attempts */
#include "hostile.h"
#include "model.h"

#ifndef START
#define START 0x80000001ull
#endif
#ifndef RACED
#define RACED control.latest
#endif
#ifndef CALL
#define CALL in_place
#endif
#ifndef THEN
#define THEN in_place
#endif
#define newest    slot[START % 2].head
#define older     slot[(START + 1) % 2].head
#define N_SLOTS   2u
#define EPOCH     1u
#define USED      2u /* words of a payload */
#define UNTOUCHED 0x55555555u

static MODEL_STATE struct model_snapshot shm;
static MODEL_STATE struct crossvm_slots writer_slots;
static MODEL_STATE struct crossvm_snapshot_reader reader;
static MODEL_STATE struct crossvm_snapshot_info info;

/* ---- what follows from what was looked at ---------------------------------------------------- */

static const struct crossvm_slot_shm *slot_of(uint32_t version_lo)
{
    return &shm.slot[version_lo % N_SLOTS].head;
}

static uint64_t off_of(const void *word)
{
    return (uintptr_t)word - (uintptr_t)&shm;
}

static int faulty(const struct crossvm_le32 *word, uint32_t value, uint32_t rule)
{
    assert(reader.fault.off == off_of(word) && reader.fault.value == value);
    assert(reader.fault.rule == rule);
    return CROSSVM_CORRUPT;
}

static bool epochs_honest(void)
{
    for (uint32_t i = 0; i < watch_times(&shm.control.epoch); i++) {
        if (watch_look(&shm.control.epoch, i) != EPOCH) {
            return false;
        }
    }
    return true;
}

static uint64_t version_found(const struct crossvm_slot_shm *slot)
{
    return (uint64_t)watch_first(&slot->hi) << 31 | watch_first(&slot->mark) >> 1;
}

static bool mark_fits(const struct crossvm_slot_shm *slot, uint32_t version_lo)
{
    bool mark = watch_first(&slot->mark) == version_lo * 2;
    bool hi = watch_first(&slot->hi) % 2 == version_lo >> 31;
    return mark & hi;
}

/* The second looks, at mark and hi. mark, hi: what was found first. */
static bool still_there(const struct crossvm_slot_shm *slot, uint32_t mark, uint32_t hi)
{
    return watch_last(&slot->mark) == mark && watch_last(&slot->hi) == hi;
}

/* An opened version of which `len` bytes are said to be there. */
static int judge_len(const struct crossvm_slot_shm *slot)
{
    uint32_t len = watch_first(&slot->len);
    assert(info.len == len);
    if (len <= MODEL_PAYLOAD_LEN) {
        return CROSSVM_OK;
    }
    if (!still_there(slot, watch_first(&slot->mark), watch_first(&slot->hi))) {
        return CROSSVM_TORN;
    }
    return faulty(&slot->len, len, CROSSVM_RULE_SLOT_LEN);
}

static int judge_peek(uint64_t last)
{
    uint32_t latest = watch_first(&shm.control.latest);
    const struct crossvm_slot_shm *slot = slot_of(latest);
    if (!epochs_honest()) {
        return CROSSVM_STALE;
    }
    uint32_t mark = watch_first(&slot->mark);
    if (!mark_fits(slot, latest)) {
        return watch_last(&shm.control.latest) != latest
                   ? CROSSVM_TORN
                   : faulty(&slot->mark, mark, CROSSVM_RULE_SLOT_MARK);
    }
    uint64_t version = version_found(slot);
    if (version == 0) {
        return last == 0 ? CROSSVM_NOT_YET : faulty(&slot->mark, mark, CROSSVM_RULE_SLOT_BACKWARD);
    }
    if (version >= last) {
        return judge_len(slot);
    }
    return still_there(slot, mark, watch_first(&slot->hi))
               ? faulty(&slot->mark, mark, CROSSVM_RULE_SLOT_BACKWARD)
               : CROSSVM_TORN;
}

/* How often an attempt may look at a word. */
static uint32_t looks_at(const struct crossvm_le32 *word)
{
    if (word == &shm.control.epoch) {
        return 3;
    }
    bool twice = word == &shm.control.latest || word == &shm.newest.mark ||
                 word == &shm.older.mark || word == &shm.newest.hi || word == &shm.older.hi;
    return twice ? 2 : word == &shm.newest.check || word == &shm.older.check ? 0 : 1;
}

static void check_looks(uint32_t attempts)
{
    assert(watch_times(&shm.RACED) <= attempts * looks_at(&shm.RACED));
#if defined(ALSO)
    assert(watch_times(&shm.ALSO) <= attempts * looks_at(&shm.ALSO));
#endif
}

/* The payload's words are not raced: what was copied is what lies in the version's slot, and what
 * lies behind the first len bytes has not been touched. */
static void check_payload(const uint32_t *words, uint32_t version_lo, uint32_t len)
{
    uint64_t version = (START - version_lo) % N_SLOTS == 0 ? START : START - 1;
    for (uint32_t i = 0; i < USED; i++) {
        assert(i >= len / 4 || words[i] == model_word(version, i));
        assert(i < (len + 3) / 4 || words[i] == UNTOUCHED);
    }
    assert(words[USED] == UNTOUCHED);
}

static void check_handle(uint64_t last)
{
    assert(reader.payload_len == MODEL_PAYLOAD_LEN && reader.slots.n_slots == N_SLOTS);
    assert(reader.slots.stride == MODEL_STRIDE && reader.slots.epoch == EPOCH);
    assert(reader.slots.first == (unsigned char *)&shm.slot[0] && reader.last >= last);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static MODEL_STATE struct crossvm_snapshot_view view;

static void check_taken(const struct crossvm_slot_ticket *ticket, uint64_t last, int status)
{
    int expected = view.info.version > last ? 1 : 0;
    if (!epochs_honest()) {
        expected = CROSSVM_STALE;
    } else if (!still_there(slot_of((uint32_t)ticket->version), ticket->mark, ticket->hi)) {
        expected = CROSSVM_TORN;
    }
    assert(status == expected);
    assert(reader.last == (status == 1 ? view.info.version : last));
}

HOSTILE_CALL(in_place)
{
    uint32_t words[USED + 1] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    uint64_t last = reader.last;
    bool had_enough = reader.fault.rule != CROSSVM_RULE_NONE;
    watch_begin();
    int status = crossvm_snapshot_reader_peek(&reader, &view);
    watch_end();
    check_looks(1);
    check_handle(last);
    if (had_enough) {
        assert(status == CROSSVM_CORRUPT && watch_total() == 0);
        return;
    }
    info.len = view.info.len;
    assert(status == judge_peek(last) && reader.last == last);
    if (status != CROSSVM_OK) {
        return;
    }
    uint32_t len = view.info.len < 4 * USED ? view.info.len : 4 * USED;
    watch_begin();
    assert(crossvm_snapshot_reader_get(&reader, &view, 0, words, len) == CROSSVM_OK);
    assert(crossvm_snapshot_reader_get(&reader, &view, view.info.len, words, 1) == CROSSVM_INVALID);
    assert(watch_total() == 0);
    check_payload(words, (uint32_t)view.info.version, len);
    watch_begin();
    status = crossvm_snapshot_reader_done(&reader, &view);
    watch_end();
    check_looks(1);
    check_taken(&view.ticket, last, status);
}

/* Of an attempt after the first nothing but its result is checked. */
HOSTILE_CALL(read)
{
    uint32_t words[USED + 1] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    uint64_t last = reader.last;
    bool had_enough = reader.fault.rule != CROSSVM_RULE_NONE;
    watch_begin();
    int status = crossvm_snapshot_reader_read(&reader, words, 4 * USED, &info);
    watch_end();
    check_looks(CROSSVM_SNAPSHOT_TRIES);
    check_handle(last);
    assert(!had_enough || (status == CROSSVM_CORRUPT && watch_total() == 0));
    assert((status == CROSSVM_CORRUPT) == (reader.fault.rule != CROSSVM_RULE_NONE));
    if (status == 1 || status == 0) {
        assert(info.len <= 4 * USED && reader.last == info.version);
        assert(status == (info.version > last) && info.version >= last);
        check_payload(words, (uint32_t)info.version, info.len);
    } else if (status == CROSSVM_NO_SPACE) {
        assert(info.len > 4 * USED && info.len <= MODEL_PAYLOAD_LEN && reader.last == last);
    } else {
        assert(status == CROSSVM_TORN || status == CROSSVM_STALE || status == CROSSVM_CORRUPT ||
               (status == CROSSVM_NOT_YET && last == 0));
    }
    assert(words[USED] == UNTOUCHED);
}

static int judge_version(uint64_t version)
{
    uint32_t latest = watch_first(&shm.control.latest);
    const struct crossvm_slot_shm *slot = slot_of((uint32_t)version);
    if (!epochs_honest()) {
        return CROSSVM_STALE;
    }
    if (latest - (uint32_t)version >= N_SLOTS || !mark_fits(slot, (uint32_t)version) ||
        version_found(slot) != version) {
        return CROSSVM_NOT_FOUND;
    }
    uint32_t len = watch_first(&slot->len);
    if (!still_there(slot, watch_first(&slot->mark), watch_first(&slot->hi))) {
        return CROSSVM_NOT_FOUND;
    }
    if (len > MODEL_PAYLOAD_LEN) {
        return faulty(&slot->len, len, CROSSVM_RULE_SLOT_LEN);
    }
    assert(info.len == len && info.version == version && info.missed == 0);
    return len > 4 * USED ? CROSSVM_NO_SPACE : CROSSVM_OK;
}

static void read_given(uint64_t version)
{
    uint32_t words[USED + 1] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    uint64_t last = reader.last;
    bool had_enough = reader.fault.rule != CROSSVM_RULE_NONE;
    watch_begin();
    int status = crossvm_snapshot_reader_read_version(&reader, version, words, 4 * USED, &info);
    watch_end();
    check_looks(1);
    check_handle(last);
    if (had_enough) {
        assert(status == CROSSVM_CORRUPT && watch_total() == 0);
        return;
    }
    assert(status == judge_version(version) && reader.last == last);
    if (status == CROSSVM_OK) {
        check_payload(words, (uint32_t)version, info.len);
    }
    assert(words[USED] == UNTOUCHED);
}

HOSTILE_CALL(read_version)
{
    read_given(START);
}

HOSTILE_CALL(read_older)
{
    read_given(START - 1);
}

/* ---- the two calls, and all others when the handle has had enough ---------------------------- */

static void *read_twice(void *unused)
{
    (void)unused;
    HOSTILE_DO(CALL);
    HOSTILE_DO(THEN);
    return NULL;
}

static void *store_anything(void *unused)
{
    (void)unused;
    hostile_stores(&shm.RACED, (uint32_t)START, N_SLOTS);
#if defined(ALSO)
    hostile_stores(&shm.ALSO, (uint32_t)START, N_SLOTS);
#endif
    return NULL;
}

static void prepare(void)
{
    crossvm_store_relaxed(&shm.control.epoch, EPOCH);
    model_slots(&writer_slots, &shm, EPOCH);
    model_publish(&writer_slots, START - 1);
    model_publish(&writer_slots, START);
    crossvm_store_relaxed(&shm.newest.len, 4 * USED);
    crossvm_store_relaxed(&shm.older.len, 4 * USED);
    model_reader(&reader, &shm, EPOCH);
    reader.last = START - 1;
    watch_memory(&shm, sizeof(shm));
}

/* A handle that has had enough says the same for ever. */
static void judge(void)
{
    uint64_t off = reader.fault.off;
    uint64_t value = reader.fault.value;
    uint32_t rule = reader.fault.rule;
    if (rule != CROSSVM_RULE_NONE) {
        call_in_place();
        call_read();
        call_read_version();
        assert(reader.fault.off == off && reader.fault.value == value);
        assert(reader.fault.rule == rule);
    }
}

MODEL_PROGRAM(prepare, judge, read_twice, store_anything)
