/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile owner stores anything into words of header, live line, directory or a chunk's control
 * line, while an honest party attaches, or finds or lists and enters. It is answered by documented
 * statuses alone. What it is given as good lies within the region, aligned and in order, and is what
 * it looked at, once; a fault lies within the region, too, with the value that was found there; and
 * nothing outside of the region is touched.
 *
 *   RACED, ALSO  the words, as fields of struct directory_memory, or as one of the names below; RACED
 *                alone gets all values, two get fewer
 *   MORE         one more value for each
 *   ATTACH       the party attaches first (for the model checker: and that is all)
 *   LIST         it lists instead of finding "a"
 *
 * A stress test mends the checksums after each store: else nothing behind them would be tried.
 */
#include "round.h"

#define WATCH_WORDS 384 /* all of the region */
#define WATCH_LOOKS 16
#include "watch.h"

#define DIRECTORY_WHOLE
#include "directory.h"

#define HEAD  slots[START & 1].head /* of the newest version: its slot, its two entries */
#define A     slots[START & 1].entries[0]
#define B     slots[START & 1].entries[1]
#define CHUNK chunks[0].control /* of "a" */

#ifndef RACED
#define RACED A.off_lo
#endif
#if defined(ATTACH)
#define ATTACHES true
#else
#define ATTACHES false
#endif
#if defined(LIST)
#define LISTS true
#else
#define LISTS false
#endif
#if defined(CROSSVM_MODEL)
#define ENDS true /* behind an attach */
#else
#define ENDS false
#endif
#define WORD(field) ((struct crossvm_le32 *)&directory_memory.field)

static MODEL_STATE struct crossvm_region attached;

/* ---- the hostile owner -------------------------------------------------------------------- */

/* The entries' checksum, and the header's, as they ought to be for what is there now. */
static void mend(void)
{
#if !defined(CROSSVM_MODEL)
    uint32_t words[64];
    uint32_t n = crossvm_load_relaxed(WORD(HEAD.len)) / CROSSVM_ENTRY_LEN;
    const struct crossvm_le32 *entry = WORD(A.id);
    uint32_t crc = 0;
    for (uint32_t i = 0; i < n && i < DIRECTORY_CAPACITY; i++, entry += 32) {
        for (size_t at = 0; at < 32; at++) {
            words[at] = crossvm_i_swap_le32(crossvm_load_relaxed(&entry[at]));
        }
        crc = crossvm_crc32c(crc, words, CROSSVM_ENTRY_LEN);
    }
    crossvm_store_relaxed(WORD(HEAD.check), crc);
    for (size_t at = 0; at < 63; at++) {
        words[at] = crossvm_i_swap_le32(crossvm_load_relaxed(WORD(header) + at));
    }
    crossvm_store_relaxed(WORD(header.checksum), crossvm_crc32c(0, words, 63 * 4));
#endif
}

static void lie(struct crossvm_le32 *word, uint32_t value)
{
    crossvm_store_relaxed(word, value);
    mend();
}

static void race(struct crossvm_le32 *word)
{
    uint32_t honest = crossvm_load_relaxed(word);
    lie(word, 0);
    lie(word, 0xffffffffu);
#if !defined(ALSO)
    lie(word, 1);
    lie(word, DIRECTORY_LENGTH + 1);
#endif
    lie(word, DIRECTORY_FRONT + DIRECTORY_CHUNK);
#if defined(MORE)
    lie(word, MORE);
#endif
    lie(word, honest);
}

static void *own(void *unused)
{
    (void)unused;
    race(WORD(RACED));
#if defined(ALSO)
    race(WORD(ALSO));
#endif
    return NULL;
}

/* ---- the honest party --------------------------------------------------------------------- */

static void judge_fault(const struct crossvm_region *region, int status)
{
    const struct crossvm_fault *fault = &region->fault;
    if (status != CROSSVM_CORRUPT) {
        return;
    }
    assert(fault->rule > CROSSVM_RULE_NONE && fault->rule < CROSSVM_RULE_COUNT);
    assert(fault->off < DIRECTORY_LENGTH && fault->off % 4 == 0);
#if defined(CROSSVM_MODEL)
    if (fault->rule != CROSSVM_RULE_ENTRY_NAME) {
        assert((uint32_t)fault->value == watch_last(WORD(header) + fault->off / 4));
    }
#endif
}

/* The checker sees single words of a copy, a stress test does not. */
static void judge_header_looks(const struct crossvm_region *region)
{
#if defined(CROSSVM_MODEL)
    for (size_t i = 0; i < 26; i++) {
        assert(watch_times(WORD(header) + i) == 1);
    }
    assert(region->length == (watch_first(WORD(header.length_lo)) |
                              (uint64_t)watch_first(WORD(header.length_hi)) << 32));
    assert(region->granule == watch_first(WORD(header.granule)));
    assert(region->capacity == watch_first(WORD(header.capacity)));
    assert(region->directory.epoch == watch_first(WORD(live.epoch)));
    assert(region->writable == (watch_first(WORD(header.ro_compat)) == 0));
#else
    (void)region;
#endif
}

/* Words of an entry are looked at equally often: once a pass. */
static void judge_entry_looks(const struct crossvm_le32 *entry)
{
#if defined(CROSSVM_MODEL)
    for (size_t i = 0; i < 28; i++) {
        assert(!directory_is_word(i) || watch_times(&entry[i]) == watch_times(entry));
    }
#else
    (void)entry;
#endif
}

/* So are a slot's; and behind an impossible length, no entry is looked at. */
static void judge_slot_looks(const struct crossvm_region *region, int status)
{
#if defined(CROSSVM_MODEL)
    const struct crossvm_le32 *len = WORD(HEAD.len);
    assert(watch_times(len) <= watch_times(WORD(live.latest)));
    assert(watch_times(WORD(HEAD.check)) <= watch_times(len));
    if (watch_times(len) != 0 && status != CROSSVM_STALE && status != CROSSVM_TORN) {
        bool possible = watch_last(len) % 128 == 0 && watch_last(len) / 128 <= region->capacity;
        assert(possible || region->fault.rule == CROSSVM_RULE_DIRECTORY_COUNT ||
               region->fault.rule == CROSSVM_RULE_DIRECTORY_SLOT);
        assert(possible || watch_times(len) != 1 || watch_times(WORD(A.id)) == 0);
    }
#else
    (void)region;
    (void)status;
#endif
}

static bool fits(uint64_t off, uint64_t length, uint64_t total)
{
    return off <= total && length <= total - off;
}

static void judge_geometry(const struct crossvm_region *region)
{
    uint64_t granule = region->granule;
    assert(region->length <= DIRECTORY_LENGTH && region->length % granule == 0);
    assert(granule >= 128 && (granule & (granule - 1)) == 0);
    assert(region->capacity >= 1);
    assert(fits(384 + 2 * (64 + 128 * (uint64_t)region->capacity), 0, region->length));
}

static bool attach(void)
{
    watch_begin();
    int status = crossvm_region_attach(&attached, &directory_mapping, DIRECTORY_READER);
    watch_end();
    judge_fault(&attached, status);
    if (status == CROSSVM_OK) {
        judge_header_looks(&attached);
        judge_geometry(&attached);
        return true;
    }
    assert(status == CROSSVM_NOT_FORMATTED || status == CROSSVM_OTHER_FORMAT ||
           status == CROSSVM_FEATURE || status == CROSSVM_NO_SPACE || status == CROSSVM_TOO_LARGE ||
           status == CROSSVM_CORRUPT || status == CROSSVM_TORN || status == CROSSVM_STALE);
    return false;
}

/* from: the end of the chunk in front, or of the directory. */
static void judge_chunk(const struct crossvm_region *region, uint64_t from,
                        const struct crossvm_chunk *chunk)
{
    uint64_t mask = region->granule - 1;
    assert(chunk->id != 0 && chunk->generation != 0 && chunk->kind != 0);
    assert((chunk->off & mask) == 0 && (chunk->length & mask) == 0);
    assert(chunk->off >= from && chunk->length >= 128);
    assert(fits(chunk->off, chunk->length, region->length));
    if (chunk->kind == CROSSVM_KIND_BYTES) {
        assert(chunk->len >= 1 && fits(128, chunk->len, chunk->length));
    }
}

static uint64_t directory_end(const struct crossvm_region *region)
{
    uint64_t mask = region->granule - 1;
    return (384 + 2 * (64 + 128 * (uint64_t)region->capacity) + mask) & ~mask;
}

static void judge_status(const struct crossvm_region *region, int status)
{
    assert(status == CROSSVM_OK || status == CROSSVM_STALE || status == CROSSVM_TORN ||
           status == CROSSVM_CORRUPT);
    judge_fault(region, status);
    judge_slot_looks(region, status);
    judge_entry_looks(WORD(A.id));
    judge_entry_looks(WORD(B.id));
}

static bool is_allowed(const struct crossvm_chunk *chunk)
{
    return chunk->reader == CROSSVM_ANYONE || chunk->reader == DIRECTORY_READER ||
           chunk->writer == DIRECTORY_READER;
}

static void read_all(const struct crossvm_bytes_reader *reader)
{
    uint32_t words[2];
    watch_begin();
    int status = crossvm_bytes_reader_read(reader, 0, words, sizeof(words));
    watch_end();
    assert(status == CROSSVM_OK || status == CROSSVM_STALE ||
           (status == CROSSVM_INVALID && reader->len < 8));
#if !defined(CROSSVM_MODEL)
    unsigned char byte;
    status = crossvm_bytes_reader_read(reader, reader->len - 1, &byte, 1);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
#endif
    status = crossvm_bytes_reader_read(reader, reader->len - 1, words, 2);
    assert(status == CROSSVM_INVALID);
}

static void enter(const struct crossvm_region *region, const struct crossvm_chunk *chunk)
{
    struct crossvm_bytes_reader reader;
    watch_begin();
    int status = crossvm_bytes_reader_open(&reader, region, chunk);
    watch_end();
    assert(status == CROSSVM_OK || status == CROSSVM_STALE ||
           (status == CROSSVM_ROLE && !is_allowed(chunk)) ||
           (status == CROSSVM_TYPE && chunk->kind != CROSSVM_KIND_BYTES));
    if (status == CROSSVM_OK) {
        assert(is_allowed(chunk) && chunk->kind == CROSSVM_KIND_BYTES);
        read_all(&reader);
    }
}

static void list(struct crossvm_region *region)
{
    struct crossvm_chunk chunks[DIRECTORY_CAPACITY];
    uint32_t total;
    watch_begin();
    int status = crossvm_region_list(region, chunks, DIRECTORY_CAPACITY, &total);
    watch_end();
    judge_status(region, status);
    if (status != CROSSVM_OK) {
        return;
    }
    assert(total <= region->capacity);
    uint64_t end = directory_end(region);
    for (uint32_t i = 0; i < total && i < DIRECTORY_CAPACITY; i++) {
        judge_chunk(region, end, &chunks[i]);
        end = chunks[i].off + chunks[i].length;
        enter(region, &chunks[i]);
    }
}

static void find(struct crossvm_region *region)
{
    struct crossvm_chunk chunk;
    watch_begin();
    int status = crossvm_region_find(region, "a", CROSSVM_KIND_BYTES, 0, &chunk);
    watch_end();
    judge_status(region, status == CROSSVM_NOT_FOUND ? CROSSVM_OK : status);
    if (status == CROSSVM_OK) {
        assert(chunk.kind == CROSSVM_KIND_BYTES && chunk.name[0] == 'a');
        judge_chunk(region, directory_end(region), &chunk);
        enter(region, &chunk);
    }
}

static void *use(void *unused)
{
    struct crossvm_region *region = ATTACHES ? &attached : &directory_region;
    (void)unused;
    if (ATTACHES && (!attach() || ENDS)) {
        return NULL;
    }
    if (LISTS) {
        list(region);
    } else {
        find(region);
    }
    return NULL;
}

static void prepare(void)
{
    directory_prepare();
    watch_memory(&directory_memory, sizeof(directory_memory));
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, own, use)
