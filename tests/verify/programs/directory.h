/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region with a directory of two entries, its owner, and what may be found in it: chunks "a",
 * "b", "c" of eight bytes of data, whose words tell the generation.
 *
 * A stress test formats it and allocates "a" and "b" by the shipped calls. For the model checker
 * each access is an event in each execution, and each word that changes under a reader multiplies
 * the executions; so there
 *
 *   - the memory and the handles begin as those calls leave them (which the stress test compares);
 *   - of an entry the three words are copied in which versions of the directory differ here: id,
 *     generation, offset; the other words are those of every chunk in this file;
 *   - the checksum is made of two of the three words; that of the header and the plan's hash are
 *     made of none, and of the header the words in use are copied;
 *   - of a line that is cleared the first two words are.
 *
 *   DIRECTORY_WHOLE  all words of an entry but the name are copied, and the checksum is none
 *   DIRECTORY_N  chunks that are there before the threads begin: "a", or "a" and "b"
 *   START        the directory's version then; the next one wraps a word
 *   COUNTER      the generation counter before the format; the fourth generation wraps it
 */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <crossvm/checksum.h>
#include <crossvm/copy.h>

#ifndef DIRECTORY_N
#define DIRECTORY_N 2
#endif
#ifndef START
#define START 0x7fffffffull
#endif
#ifndef COUNTER
#define COUNTER 0xfffffffcu
#endif
#define DIRECTORY_CAPACITY 2u
#define DIRECTORY_GRANULE  128u
#define DIRECTORY_FRONT    1024u /* where the chunks begin */
#define DIRECTORY_CHUNK    256u  /* a chunk's length */
#define DIRECTORY_LENGTH   (DIRECTORY_FRONT + DIRECTORY_CAPACITY * DIRECTORY_CHUNK)

/* The k-th generation of the region, which is never 0. The first one is the region's epoch, the
 * next ones are "a" and "b". */
#define DIRECTORY_GENERATION(k) (COUNTER + (k) + (COUNTER + (k) < (k) ? 1u : 0u))
/* What the chunk of a generation holds, word by word. */
#define DIRECTORY_WORD(generation, i) ((generation)*2u + (i) + 100u)

/* ---- the accesses of the model checker --------------------------------------------------- */

#if defined(CROSSVM_MODEL)
#define DIRECTORY_ENTRY_LEN  128u
#define DIRECTORY_HEADER_LEN 256u

/* The words of an entry that are no name. */
static inline bool directory_is_word(size_t i)
{
    return i < 12 || (i >= 24 && i < 28);
}

static inline void directory_entry_in(uint32_t *to, const struct crossvm_le32 *from)
{
    for (size_t i = 0; i < 28; i++) {
        if (directory_is_word(i)) {
#if defined(DIRECTORY_WHOLE)
            to[i] = crossvm_load_relaxed(&from[i]);
#else
            to[i] = 0;
#endif
        }
    }
#if !defined(DIRECTORY_WHOLE)
    to[0] = crossvm_load_relaxed(&from[0]); /* id */
    to[1] = crossvm_load_relaxed(&from[1]); /* generation */
    to[4] = crossvm_load_relaxed(&from[4]); /* offset */
    to[2] = 1;                              /* kind: BYTES */
    to[6] = DIRECTORY_CHUNK;                /* length */
    to[9] = 0xffffffffu;                    /* reader: anyone */
    to[26] = 8;                             /* len */
#endif
    ((unsigned char *)&to[12])[0] = (unsigned char)(to[0] == 0 ? 'a' : 'a' - 1 + to[0]);
}

static inline void directory_copy_in(void *dst, const void *src, size_t len)
{
    if (len == DIRECTORY_ENTRY_LEN) {
        directory_entry_in((uint32_t *)dst, (const struct crossvm_le32 *)src);
        return;
    }
    for (size_t i = 0; i < len / 4; i++) {
        if (len != DIRECTORY_HEADER_LEN || i < 25 || i == 62) {
            ((uint32_t *)dst)[i] = crossvm_load_relaxed((const struct crossvm_le32 *)src + i);
        }
    }
}

static inline void directory_copy_out(void *dst, const void *src, size_t len)
{
    struct crossvm_le32 *to = (struct crossvm_le32 *)dst;
    const uint32_t *from = (const uint32_t *)src;
    for (size_t i = 0; i < len / 4; i++) {
        if (len != DIRECTORY_ENTRY_LEN || i < 2 || i == 4) {
            crossvm_store_relaxed(&to[i], from[i]);
        }
    }
}

static inline void directory_copy_zero(void *dst, size_t len)
{
    for (size_t at = 0; at < len; at += CROSSVM_LINE) {
        struct crossvm_le32 *line = (struct crossvm_le32 *)(void *)((unsigned char *)dst + at);
        crossvm_store_relaxed(&line[0], 0);
        crossvm_store_relaxed(&line[1], 0);
    }
}

#if defined(DIRECTORY_WHOLE)
#define DIRECTORY_CRC(crc, id, generation) (crc)
#else
#define DIRECTORY_CRC(crc, id, generation) ((crc)*7u + (id)*3u + (generation))
#endif

static inline uint32_t directory_crc(uint32_t crc, const void *data, size_t len)
{
    const uint32_t *words = (const uint32_t *)data;
    return len == DIRECTORY_ENTRY_LEN ? DIRECTORY_CRC(crc, words[0], words[1]) : crc;
}

static inline uint64_t directory_hash(uint64_t hash, const void *data, size_t len)
{
    (void)data;
    (void)len;
    return hash;
}

#define DIRECTORY_PLAN_HASH CROSSVM_FNV1A_START

#undef crossvm_copy_in
#undef crossvm_copy_out
#undef crossvm_copy_zero
#define crossvm_copy_in(dst, src, len)  directory_copy_in((dst), (src), (len))
#define crossvm_copy_out(dst, src, len) directory_copy_out((dst), (src), (len))
#define crossvm_copy_zero(dst, len)     directory_copy_zero((dst), (len))
#define crossvm_crc32c(crc, data, len)  directory_crc((crc), (data), (len))
#define crossvm_fnv1a(hash, data, len)  directory_hash((hash), (data), (len))
#else
#define DIRECTORY_CRC(crc, id, generation) 0u /* is not compared */
#define DIRECTORY_PLAN_HASH                0u
#endif

#include <crossvm/bytes.h>

enum {
    DIRECTORY_OWNER = 0, /* the parties */
    DIRECTORY_READER = 1
};

/* ---- memory and handles as the shipped calls leave them ----------------------------------- */

struct directory_slot {
    struct crossvm_slot_shm head;
    struct crossvm_entry_shm entries[DIRECTORY_CAPACITY];
};

struct directory_chunk {
    struct crossvm_chunk_shm control;
    struct crossvm_le32 data[32];
};

struct __attribute__((aligned(128))) directory_memory {
    struct crossvm_region_shm header;
    struct crossvm_slots_shm live;
    struct directory_slot slots[CROSSVM_DIR_SLOTS];
    struct directory_chunk chunks[DIRECTORY_CAPACITY];
};

#define IMAGE_A DIRECTORY_GENERATION(2u)
#define IMAGE_B DIRECTORY_GENERATION(3u)

#define IMAGE_ENTRY(id_, generation_, off)                                                       \
    {                                                                                            \
        .id = {id_}, .generation = {generation_}, .kind = {CROSSVM_KIND_BYTES}, .off_lo = {off}, \
        .length_lo = {DIRECTORY_CHUNK}, .reader = {CROSSVM_ANYONE}, .len_lo = {                  \
            8                                                                                    \
        }                                                                                        \
    }
#define IMAGE_ENTRY_A IMAGE_ENTRY(1, IMAGE_A, DIRECTORY_FRONT)
#define IMAGE_ENTRY_B IMAGE_ENTRY(2, IMAGE_B, DIRECTORY_FRONT + DIRECTORY_CHUNK)
#define IMAGE_CRC_A   DIRECTORY_CRC(0u, 1u, IMAGE_A)
#define IMAGE_CRC_A_B DIRECTORY_CRC(IMAGE_CRC_A, 2u, IMAGE_B)

#define IMAGE_SLOT(version, n, crc, ...)               \
    {                                                  \
        .head = {.mark = {(uint32_t)((version) << 1)}, \
                 .hi = {(uint32_t)((version) >> 31)},  \
                 .len = {(n)*CROSSVM_ENTRY_LEN},       \
                 .check = {crc}},                      \
        .entries = {                                   \
            __VA_ARGS__                                \
        }                                              \
    }
#define IMAGE_CHUNK(generation)                       \
    {                                                 \
        .control = {.epoch = {generation}}, .data = { \
            {DIRECTORY_WORD(generation, 0u)},         \
            {DIRECTORY_WORD(generation, 1u)}          \
        }                                             \
    }

#if DIRECTORY_N == 1
#define IMAGE_OLDER  IMAGE_SLOT(START - 1, 0u, 0u, {.id = {0}})
#define IMAGE_NEWEST IMAGE_SLOT(START, 1u, IMAGE_CRC_A, IMAGE_ENTRY_A)
#define IMAGE_CHUNKS IMAGE_CHUNK(IMAGE_A)
#else
#define IMAGE_OLDER  IMAGE_SLOT(START - 1, 1u, IMAGE_CRC_A, IMAGE_ENTRY_A)
#define IMAGE_NEWEST IMAGE_SLOT(START, 2u, IMAGE_CRC_A_B, IMAGE_ENTRY_A, IMAGE_ENTRY_B)
#define IMAGE_CHUNKS IMAGE_CHUNK(IMAGE_A), IMAGE_CHUNK(IMAGE_B)
#endif

#define IMAGE_MEMORY                                                                         \
    {                                                                                        \
        .header = {.magic = {CROSSVM_MAGIC},                                                 \
                   .format_major = {CROSSVM_FORMAT_MAJOR},                                   \
                   .header_len = {CROSSVM_HEADER_LEN},                                       \
                   .entry_len = {CROSSVM_ENTRY_LEN},                                         \
                   .length_lo = {DIRECTORY_LENGTH},                                          \
                   .granule = {DIRECTORY_GRANULE},                                           \
                   .capacity = {DIRECTORY_CAPACITY},                                         \
                   .plan_hash_lo = {(uint32_t)DIRECTORY_PLAN_HASH},                          \
                   .plan_hash_hi = {(uint32_t)(DIRECTORY_PLAN_HASH >> 16 >> 16)}},           \
        .live = {.latest = {(uint32_t)START},                                                \
                 .epoch = {DIRECTORY_GENERATION(1u)},                                        \
                 .words = {{DIRECTORY_GENERATION(1u + DIRECTORY_N)}}},                       \
        .slots[(START - 1) & 1] = IMAGE_OLDER, .slots[START & 1] = IMAGE_NEWEST, .chunks = { \
            IMAGE_CHUNKS                                                                     \
        }                                                                                    \
    }

#define IMAGE_HANDLE(id_, generation_, off_, name_)                                               \
    {                                                                                             \
        .id = (id_), .generation = (generation_), .kind = CROSSVM_KIND_BYTES, .off = (off_),      \
        .length = DIRECTORY_CHUNK, .len = 8, .writer = DIRECTORY_OWNER, .reader = CROSSVM_ANYONE, \
        .name = name_                                                                             \
    }
#define IMAGE_HANDLE_A IMAGE_HANDLE(1, IMAGE_A, DIRECTORY_FRONT, "a")
#define IMAGE_HANDLE_B IMAGE_HANDLE(2, IMAGE_B, DIRECTORY_FRONT + DIRECTORY_CHUNK, "b")

/* The region as a party has it. */
#define IMAGE_REGION(party)                                                                      \
    {                                                                                            \
        .base = (unsigned char *)&directory_memory, .length = DIRECTORY_LENGTH, .self = (party), \
        .granule = DIRECTORY_GRANULE, .capacity = DIRECTORY_CAPACITY, .writable = true,          \
        .directory = {                                                                           \
            .control = &directory_memory.live,                                                   \
            .first = (unsigned char *)&directory_memory.slots,                                   \
            .stride = sizeof(struct directory_slot),                                             \
            .n_slots = CROSSVM_DIR_SLOTS,                                                        \
            .epoch = DIRECTORY_GENERATION(1u)                                                    \
        }                                                                                        \
    }

#if defined(CROSSVM_MODEL)
#define BEGINS_AS(...) = __VA_ARGS__
#else
#define BEGINS_AS(...)
#endif

static MODEL_STATE struct directory_memory directory_memory BEGINS_AS(IMAGE_MEMORY);
static MODEL_STATE struct crossvm_chunk directory_a BEGINS_AS(IMAGE_HANDLE_A);
static MODEL_STATE struct crossvm_chunk directory_b BEGINS_AS(IMAGE_HANDLE_B);
static MODEL_STATE struct crossvm_chunk directory_table[DIRECTORY_CAPACITY] BEGINS_AS(
    {IMAGE_HANDLE_A, IMAGE_HANDLE_B});
static MODEL_STATE struct crossvm_region directory_region BEGINS_AS(IMAGE_REGION(DIRECTORY_READER));
static MODEL_STATE struct crossvm_region_owner directory_owner
    BEGINS_AS({.region = IMAGE_REGION(DIRECTORY_OWNER),
               .table = directory_table,
               .n_chunks = DIRECTORY_N,
               .generation = DIRECTORY_GENERATION(1u + DIRECTORY_N),
               .version = START});

static struct crossvm_mapping directory_mapping = {
    .base = &directory_memory,
    .len = DIRECTORY_LENGTH,
    .access = CROSSVM_READ_WRITE,
};

static const struct crossvm_region_plan directory_plan = {
    .capacity = DIRECTORY_CAPACITY,
    .granule = DIRECTORY_GRANULE,
    .spare_len = (uint64_t)DIRECTORY_CAPACITY * DIRECTORY_CHUNK,
    .owner = DIRECTORY_OWNER,
};

/* The owner writes its chunk. */
static inline void directory_fill(const struct crossvm_region_owner *owner,
                                  const struct crossvm_chunk *chunk)
{
    struct crossvm_bytes_writer writer;
    uint32_t words[2];
    words[0] = DIRECTORY_WORD(chunk->generation, 0u);
    words[1] = DIRECTORY_WORD(chunk->generation, 1u);
    assert(crossvm_bytes_writer_open(&writer, &owner->region, chunk) == CROSSVM_OK);
    assert(crossvm_bytes_writer_write(&writer, 0, words, sizeof(words)) == CROSSVM_OK);
}

static inline void directory_allocate(struct crossvm_region_owner *owner, const char *name,
                                      struct crossvm_chunk *chunk)
{
    struct crossvm_chunk_decl decl;
    decl.name = name;
    decl.kind = CROSSVM_KIND_BYTES;
    decl.n = 0;
    decl.len = 8;
    decl.writer = DIRECTORY_OWNER;
    decl.reader = CROSSVM_ANYONE;
    decl.type_hash = 0;
    decl.link_id = 0;
    assert(crossvm_region_owner_allocate(owner, &decl, chunk) == CROSSVM_OK);
}

#if defined(CROSSVM_MODEL)
static inline void directory_prepare(void)
{
}
#else
static inline void directory_compare(void)
{
    static const struct directory_memory memory = IMAGE_MEMORY;
    static const struct crossvm_region region = IMAGE_REGION(DIRECTORY_READER);
    const struct crossvm_le32 *wanted = (const struct crossvm_le32 *)(const void *)&memory;
    const struct crossvm_le32 *got = (const struct crossvm_le32 *)(const void *)&directory_memory;
    for (size_t i = 0; i < sizeof(memory) / 4; i++) {
        assert(wanted[i].i_bits == 0 || wanted[i].i_bits == crossvm_i_word(&got[i]));
    }
    assert(directory_region.length == region.length);
    assert(directory_region.directory.control == region.directory.control);
    assert(directory_region.directory.first == region.directory.first);
    assert(directory_region.directory.stride == region.directory.stride);
    assert(directory_region.directory.n_slots == region.directory.n_slots);
    assert(directory_region.directory.epoch == region.directory.epoch);
    assert(directory_owner.version == START);
    assert(directory_owner.generation == DIRECTORY_GENERATION(1u + DIRECTORY_N));
}

static inline void directory_prepare(void)
{
    crossvm_store_relaxed(&directory_memory.live.words[0], COUNTER);
    assert(crossvm_region_owner_format(&directory_owner, &directory_mapping, &directory_plan,
                                       directory_table, DIRECTORY_CAPACITY) == CROSSVM_OK);
    directory_owner.version = START - DIRECTORY_N - 1;
    crossvm_i_directory_publish(&directory_owner);
    directory_allocate(&directory_owner, "a", &directory_a);
    directory_fill(&directory_owner, &directory_a);
#if DIRECTORY_N > 1
    directory_allocate(&directory_owner, "b", &directory_b);
    directory_fill(&directory_owner, &directory_b);
#endif
    assert(crossvm_region_attach(&directory_region, &directory_mapping, DIRECTORY_READER) ==
           CROSSVM_OK);
    directory_compare();
}
#endif

/* ---- what may be found -------------------------------------------------------------------- */

/* A chunk's name, id, place and generation (the k-th), as a version of the directory has it. */
struct directory_entry {
    char name;
    uint32_t id;
    uint32_t place;
    uint32_t k;
};

/* A version of the directory. */
struct directory_state {
    uint32_t n;
    struct directory_entry entries[DIRECTORY_CAPACITY];
};

static inline bool directory_is(const struct crossvm_chunk *chunk,
                                const struct directory_entry *entry)
{
    return chunk->id == entry->id && chunk->generation == DIRECTORY_GENERATION(entry->k) &&
           chunk->off == DIRECTORY_FRONT + (uint64_t)entry->place * DIRECTORY_CHUNK &&
           chunk->length == DIRECTORY_CHUNK && chunk->kind == CROSSVM_KIND_BYTES &&
           chunk->len == 8 && chunk->name[0] == entry->name;
}

static inline bool directory_lists(const struct crossvm_chunk *chunks, uint32_t n,
                                   const struct directory_state *state)
{
    bool same = n == state->n;
    for (uint32_t i = 0; i < state->n && same; i++) {
        same = directory_is(&chunks[i], &state->entries[i]);
    }
    return same;
}

/* What find says of a name, in this version. */
static inline bool directory_finds(int status, const struct crossvm_chunk *chunk, char name,
                                   const struct directory_state *state)
{
    for (uint32_t i = 0; i < state->n; i++) {
        if (state->entries[i].name == name) {
            return status == CROSSVM_OK && directory_is(chunk, &state->entries[i]);
        }
    }
    return status == CROSSVM_NOT_FOUND;
}

/* Nobody runs any more: exactly the chunks of this version have their epochs. */
static inline void directory_judge_epochs(const struct directory_state *state)
{
    for (uint32_t place = 0; place < DIRECTORY_CAPACITY; place++) {
        uint32_t generation = 0;
        for (uint32_t i = 0; i < state->n; i++) {
            if (state->entries[i].place == place) {
                generation = DIRECTORY_GENERATION(state->entries[i].k);
            }
        }
        assert(crossvm_load_relaxed(&directory_memory.chunks[place].control.epoch) == generation);
    }
}

#endif
