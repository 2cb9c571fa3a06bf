/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/region.h - a region of shared memory and the chunks in it: plan, format, adopt, attach,
 * find, list, allocate, release, renew.
 *
 * Layer 2. The bytes are in layout.h.
 *
 * Roles: the region's one owner (struct crossvm_region_owner) formats it and gives chunks out;
 * everyone, the owner too, looks chunks up through a struct crossvm_region, also through a
 * read-only mapping. A chunk is written by the party that its entry names as writer, and read by
 * the party that it names as reader. Which party a program is, it says itself at attach: the
 * check keeps honest programs from mistakes, the mapping's own rights keep the others out.
 *
 * The owner keeps a private table of its chunks in memory that the caller supplies, and publishes
 * it; it never reads the directory back but in adopt, where it judges it like a stranger's.
 *
 * Ordering edges (beside those of slots.h, which carry the directory):
 *
 *   region_magic     magic, release          -> magic, acquire: the magic brings the whole header
 *   region_reformat  word 1 of a line = 0,   -> epoch, acquire, and fence behind the copied header:
 *                    release, and fence         whoever took the next format's epoch finds the
 *                    behind all of those        magic gone, and whoever took bytes of it finds
 *                                               the epoch changed
 *   chunk_ready      epoch, release          -> epoch, acquire: a chunk's generation brings its
 *                                               cleared memory
 *   chunk_wipe       word 1 of a line = 0,   -> fences behind payloads: whoever copied such a word
 *                    release                    as payload finds its chunk's epoch gone
 *   chunk_writer     fence behind the epoch  -> fences behind payloads: whoever copied what the
 *                    that a writer entered by   memory's next writer stored finds its epoch gone
 *   chunk_epoch      fence behind epoch = 0  -> fences behind payloads (slots.h, bytes.h): whoever
 *                                               copied what was cleared finds the epoch gone
 */
#ifndef CROSSVM_REGION_H
#define CROSSVM_REGION_H

#include "checksum.h"
#include "layout.h"

CROSSVM_EXTERN_C_BEGIN

/* Attempts to read the directory while its owner changes it, before a call answers TORN. */
#define CROSSVM_DIRECTORY_TRIES 64u

/* What a mapping allows. */
enum crossvm_mapping_access {
    CROSSVM_READ_ONLY = 0, /* for readers */
    CROSSVM_READ_WRITE = 1 /* for the owner and for writers */
};

/* The memory type of a mapping. What the caller says is believed. */
enum crossvm_memory {
    CROSSVM_WRITE_BACK = 0,     /* ordinary cached memory */
    CROSSVM_UNCACHED = 1,       /* device mapping: aligned words only, and slow */
    CROSSVM_WRITE_COMBINING = 2 /* refused unless the build has CROSSVM_SYSTEM_FENCES */
};

/* Memory that a backend mapped. */
struct crossvm_mapping {
    void *base;      /* a multiple of 128; never written through when access is read-only */
    uint64_t len;    /* bytes that may be accessed from base */
    uint32_t access; /* enum crossvm_mapping_access */
    uint32_t memory; /* enum crossvm_memory */
};

/* Which clock the timestamps in a region come from; clock.h compares two of them. */
struct crossvm_clock_domain {
    uint32_t kind; /* enum crossvm_clock_kind, 0 = not said */
    uint64_t id;   /* which clock of that kind: a boot, a machine, a grandmaster */
    uint64_t rate; /* ticks a second of the counter behind it, 0 = nanoseconds */
};

/* What a chunk is to be. Unused fields are zero. */
struct crossvm_chunk_decl {
    const char *name;   /* 1 to 47 of [A-Za-z0-9._/-] */
    uint32_t kind;      /* enum crossvm_kind */
    uint32_t n;         /* slots, elements to make room for, DOORBELL vectors; else 0 */
    uint64_t len;       /* bytes of a slot's payload, of an element, of BYTES data; else 0 */
    uint32_t writer;    /* party that writes the chunk */
    uint32_t reader;    /* party that reads it, or CROSSVM_ANYONE */
    uint64_t type_hash; /* crossvm_type_hash of the payload, 0 = unchecked */
    uint64_t link_id;   /* of a queue or an exchange: the same on both parts */
};

/* A chunk as the directory has it: private, judged. */
struct crossvm_chunk {
    uint32_t id;                 /* never 0, the chunk's for good */
    uint32_t generation;         /* another one each time its memory starts anew */
    uint32_t kind;               /* enum crossvm_kind, or one that this library does not know */
    uint32_t n;                  /* slots, elements or vectors */
    uint64_t off;                /* from the region's base */
    uint64_t length;             /* bytes, control line included */
    uint64_t len;                /* bytes of payload, element or data */
    uint32_t writer;             /* party that writes it */
    uint32_t reader;             /* party that reads it, or CROSSVM_ANYONE */
    uint64_t type_hash;          /* of the payload, 0 = unchecked */
    uint64_t link_id;            /* the link of a queue's part */
    char name[CROSSVM_NAME_LEN]; /* as declared, NUL-terminated */
};

/* A region as its owner wants it; a constant. */
struct crossvm_region_plan {
    const struct crossvm_chunk_decl *chunks; /* those that format makes, in this order */
    uint32_t n_chunks;                       /* their number */
    uint32_t capacity;                       /* directory entries to make room for; 0 = n_chunks */
    uint32_t granule;                        /* power of two from 128; 0 = 4096 */
    uint64_t spare_len;                      /* bytes for chunks that are allocated at run time */
    uint32_t owner;                          /* the party that formats */
    uint8_t region_id[16];             /* the caller's 128 bits, by which regions are told apart */
    uint64_t link_id;                  /* the communication that the region belongs to */
    struct crossvm_clock_domain clock; /* of the timestamps in the region */
};

/* A region that was attached: geometry judged once and kept. Copies of it are independent. */
struct crossvm_region {
    unsigned char *base; /* where it is mapped */
    uint64_t length;     /* bytes */
    uint32_t self;       /* the party that this program is */
    uint32_t owner;      /* the party that formatted it */
    uint32_t granule;    /* chunks begin and end at multiples of it */
    uint32_t capacity;   /* directory entries that there is room for */
    bool writable;       /* neither the mapping nor a feature bit forbids writing */
    bool device;         /* uncached mapping: aligned words only */
    uint32_t region_id[CROSSVM_REGION_ID_WORDS]; /* as the plan gave it */
    uint64_t link_id;                            /* as the plan gave it */
    uint64_t plan_hash;                          /* of the plan that it was formatted by */
    struct crossvm_clock_domain clock;           /* of its timestamps */
    struct crossvm_slots directory;              /* its two slots */
    struct crossvm_fault fault;                  /* why the last call answered CORRUPT */
};

/* The owner's side of a region. */
struct crossvm_region_owner {
    struct crossvm_region region; /* the region, looked at like anyone else does */
    struct crossvm_chunk *table;  /* the caller's memory, sorted by offset */
    uint32_t n_chunks;            /* chunks in the table */
    uint32_t generation;          /* the last one given out */
    uint64_t version;             /* of the directory */
};

/* ---- geometry ---------------------------------------------------------------------------- */

/* Bytes in front of a queue's elements, and the whole of its consumer's part (spsc.h). */
#define CROSSVM_SPSC_CONTROL_LEN 512u
#define CROSSVM_DOORBELL_MAX     2048u /* vectors of a DOORBELL chunk, at most */
#define CROSSVM_MPSC_RX_LEN      256u  /* the consumer's part of a ring with several writers */
#define CROSSVM_MPSC_SLOT_LEN    8u    /* bytes in front of each element there (mpsc.h) */
#define CROSSVM_PEER_LEN         256u  /* one side's life signs (peer.h) */

CROSSVM_ALWAYS_INLINE bool crossvm_i_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_round_up(uint64_t value, uint64_t granule)
{
    return (value + granule - 1) & ~(granule - 1);
}

/* Bytes from element to element in a queue. */
CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_spsc_stride(uint64_t elem_len)
{
    return crossvm_i_round_up(elem_len, 8);
}

CROSSVM_INLINE bool crossvm_i_geometry_slots(uint32_t n, uint64_t len)
{
    return crossvm_i_is_power_of_two(n) && n >= CROSSVM_SLOTS_MIN && n <= CROSSVM_SLOTS_MAX &&
           len >= 1 && len <= CROSSVM_PAYLOAD_MAX;
}

CROSSVM_INLINE bool crossvm_i_geometry_elements(uint32_t n, uint64_t len)
{
    return crossvm_i_is_power_of_two(n) && n <= CROSSVM_ELEMENTS_MAX && len >= 1 &&
           crossvm_i_spsc_stride(len) <= CROSSVM_PAYLOAD_MAX && len <= CROSSVM_PAYLOAD_MAX;
}

/* Bytes from slot to slot in a ring with several writers. */
CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_mpsc_stride(uint64_t elem_len)
{
    return CROSSVM_MPSC_SLOT_LEN + crossvm_i_round_up(elem_len, 8);
}

/* A kind of which a chunk holds one thing, or nothing but control lines. */
CROSSVM_INLINE bool crossvm_i_need_one(uint32_t kind, uint64_t len, uint64_t *need)
{
    bool is_rx = kind == CROSSVM_KIND_SPSC_RX || kind == CROSSVM_KIND_EXCHANGE_RX;
    *need = is_rx ? CROSSVM_SPSC_CONTROL_LEN : CROSSVM_LINE;
    if (kind == CROSSVM_KIND_MPSC_RX || kind == CROSSVM_KIND_PEER) {
        *need = kind == CROSSVM_KIND_PEER ? CROSSVM_PEER_LEN : CROSSVM_MPSC_RX_LEN;
        return len == 0;
    }
    if (kind == CROSSVM_KIND_BYTES) {
        *need += len;
        return len != 0 && len <= UINT64_MAX / 2;
    }
    return len == 0 && (is_rx || kind == CROSSVM_KIND_WAKE);
}

/* A kind of which a chunk holds n things, each in a slot of its own. */
CROSSVM_INLINE bool crossvm_i_need_slots(uint32_t kind, uint32_t n, uint64_t len, uint64_t *need)
{
    *need = CROSSVM_LINE + crossvm_i_multiply64(crossvm_i_slot_stride(len), n);
    if (kind == CROSSVM_KIND_POOL) {
        return n <= CROSSVM_ELEMENTS_MAX && len >= 1 && len <= CROSSVM_PAYLOAD_MAX;
    }
    return crossvm_i_geometry_slots(n, len);
}

/* A kind of which a chunk holds a ring of n elements. */
CROSSVM_INLINE bool crossvm_i_need_ring(uint32_t kind, uint32_t n, uint64_t len, uint64_t *need)
{
    uint64_t control = CROSSVM_SPSC_CONTROL_LEN;
    uint64_t stride = crossvm_i_spsc_stride(len);
    if (kind == CROSSVM_KIND_MPSC_TX) {
        control = CROSSVM_LINE;
        stride = crossvm_i_mpsc_stride(len);
    }
    *need = control + crossvm_i_multiply64(stride, n);
    return crossvm_i_geometry_elements(n, len) && stride <= CROSSVM_PAYLOAD_MAX;
}

/* A kind of which a chunk holds n things. */
CROSSVM_INLINE bool crossvm_i_need_n(uint32_t kind, uint32_t n, uint64_t len, uint64_t *need)
{
    if (kind == CROSSVM_KIND_SNAPSHOT || kind == CROSSVM_KIND_BROADCAST ||
        kind == CROSSVM_KIND_POOL) {
        return crossvm_i_need_slots(kind, n, len, need);
    }
    if (kind == CROSSVM_KIND_DOORBELL) {
        *need = CROSSVM_LINE + (uint64_t)n * CROSSVM_LINE;
        return n <= CROSSVM_DOORBELL_MAX && len == 0;
    }
    if (kind >= CROSSVM_KIND_POOL_LENT) {
        *need = CROSSVM_LINE + (uint64_t)n * 4;
        return n <= CROSSVM_ELEMENTS_MAX && len == 0 && kind < CROSSVM_KIND_PEER;
    }
    bool is_ring = kind == CROSSVM_KIND_SPSC_TX || kind == CROSSVM_KIND_EXCHANGE_TX ||
                   kind == CROSSVM_KIND_EXCHANGE_TX_SHARED || kind == CROSSVM_KIND_EXCHANGE_RX ||
                   kind == CROSSVM_KIND_MPSC_TX;
    return is_ring && crossvm_i_need_ring(kind, n, len, need);
}

/* Bytes that a chunk needs, before rounding to the granule. kind, n, len: as in struct
 * crossvm_chunk_decl.
 * OK; INVALID n or len outside the kind's limits; UNSUPPORTED unknown kind (need is 128). */
CROSSVM_INLINE int crossvm_chunk_need(uint32_t kind, uint32_t n, uint64_t len, uint64_t *need)
{
    /* Two steps and no switch: Cortex-M0 needs the compiler's library for a table of jumps. */
    *need = CROSSVM_LINE;
    if (kind == 0 || kind > CROSSVM_KIND_PEER) {
        return CROSSVM_UNSUPPORTED;
    }
    bool fits = n == 0 ? crossvm_i_need_one(kind, len, need) : crossvm_i_need_n(kind, n, len, need);
    return fits ? CROSSVM_OK : CROSSVM_INVALID;
}

/* Where the chunks begin. */
CROSSVM_INLINE uint64_t crossvm_i_chunks_off(uint32_t capacity, uint32_t granule)
{
    uint64_t slot = crossvm_i_slot_stride((uint64_t)capacity * CROSSVM_ENTRY_LEN);
    return crossvm_i_round_up(CROSSVM_DIR_OFF + CROSSVM_DIR_SLOTS * slot, granule);
}

CROSSVM_INLINE bool crossvm_i_granule_ok(uint32_t granule)
{
    return crossvm_i_is_power_of_two(granule) && granule >= CROSSVM_GRANULE_MIN &&
           granule <= CROSSVM_GRANULE_MAX;
}

/* ---- names ------------------------------------------------------------------------------- */

/* Eight bytes of a name, the first one lowest. */
CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_name_part(const char *at)
{
    uint64_t part;
    __builtin_memcpy(&part, at, sizeof(part));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    part = __builtin_bswap64(part);
#endif
    return part;
}

/* Eight times the same byte: a constant, because small cores multiply by a library call. */
#define CROSSVM_I_EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Of each byte of a word, the top bit: whether it lies in a range below 128.
 * to_first, to_last: CROSSVM_I_EACH(128 - first), (127 - last). */
CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_name_range(uint64_t part, uint64_t to_first,
                                                    uint64_t to_last)
{
    const uint64_t low = part & CROSSVM_I_EACH(127);
    return (low + to_first) & ~(low + to_last) & ~part & CROSSVM_I_EACH(128);
}

#define CROSSVM_I_NAME_RANGE(part, first, last) \
    crossvm_i_name_range((part), CROSSVM_I_EACH(128 - (first)), CROSSVM_I_EACH(127 - (last)))

/* Judges a 48-byte name: A-Z a-z 0-9 . _ / -, 1 to 47 of them, then zeros to the end. */
CROSSVM_INLINE bool crossvm_i_name_ok(const char name[CROSSVM_NAME_LEN])
{
    uint64_t behind = 0;
    bool ended = false;
    for (size_t i = 0; i < CROSSVM_NAME_LEN; i += 8) {
        uint64_t part = crossvm_i_name_part(name + i);
        if (ended) {
            behind |= part;
            continue;
        }
        uint64_t good = CROSSVM_I_NAME_RANGE(part, '-', '9') |
                        CROSSVM_I_NAME_RANGE(part, 'A', 'Z') |
                        CROSSVM_I_NAME_RANGE(part, '_', '_') | CROSSVM_I_NAME_RANGE(part, 'a', 'z');
        uint64_t bad = ~good & CROSSVM_I_EACH(128);
        /* The lowest bit set stands in the first byte that is no name's. */
        behind |= part & ~(((bad & (~bad + 1)) >> 7) - 1);
        ended = bad != 0;
    }
    return ended && behind == 0 && name[0] != 0;
}

/* Widens a C string to 48 zero-filled bytes. */
CROSSVM_INLINE int crossvm_i_name_set(char name[CROSSVM_NAME_LEN], const char *string)
{
    __builtin_memset(name, 0, CROSSVM_NAME_LEN);
    if (string == NULL) {
        return CROSSVM_INVALID;
    }
    for (size_t i = 0; string[i] != '\0'; i++) {
        if (i == CROSSVM_NAME_LEN - 1) {
            return CROSSVM_INVALID;
        }
        name[i] = string[i];
    }
    return crossvm_i_name_ok(name) ? CROSSVM_OK : CROSSVM_INVALID;
}

CROSSVM_INLINE bool crossvm_i_name_equal(const char a[CROSSVM_NAME_LEN],
                                         const char b[CROSSVM_NAME_LEN])
{
    uint64_t differs = 0;
    for (size_t i = 0; i < CROSSVM_NAME_LEN; i += 8) {
        differs |= crossvm_i_name_part(a + i) ^ crossvm_i_name_part(b + i);
    }
    return differs == 0;
}

/* ---- private words ----------------------------------------------------------------------- */

/* Words of a private copy of shared bytes. */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_word(const struct crossvm_le32 *word)
{
    return crossvm_i_swap_le32(word->i_bits);
}

CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_pair(const struct crossvm_le32 *lo,
                                              const struct crossvm_le32 *hi)
{
    return (uint64_t)crossvm_i_word(hi) << 32 | crossvm_i_word(lo);
}

CROSSVM_ALWAYS_INLINE void crossvm_i_set_word(struct crossvm_le32 *word, uint32_t value)
{
    word->i_bits = crossvm_i_swap_le32(value);
}

CROSSVM_ALWAYS_INLINE void crossvm_i_set_pair(struct crossvm_le32 *lo, struct crossvm_le32 *hi,
                                              uint64_t value)
{
    crossvm_i_set_word(lo, (uint32_t)value);
    crossvm_i_set_word(hi, (uint32_t)(value >> 32));
}

CROSSVM_INLINE int crossvm_i_fault(struct crossvm_fault *fault, uint64_t off, uint64_t value,
                                   uint32_t rule)
{
    fault->off = off;
    fault->value = value;
    fault->rule = rule;
    return CROSSVM_CORRUPT;
}

/* Says in which region a handle's faults will lie: when it is opened, and when it is linked to
 * another's. So a fault's own place stays as short as it was. */
CROSSVM_INLINE void crossvm_i_fault_in(struct crossvm_fault *fault,
                                       const struct crossvm_region *region)
{
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        fault->region[i] = region->region_id[i];
    }
}

CROSSVM_ALWAYS_INLINE struct crossvm_region_shm *crossvm_i_header(
    const struct crossvm_region *region)
{
    return (struct crossvm_region_shm *)(void *)region->base;
}

CROSSVM_ALWAYS_INLINE struct crossvm_chunk_shm *crossvm_i_control(
    const struct crossvm_region *region, const struct crossvm_chunk *chunk)
{
    return (struct crossvm_chunk_shm *)(void *)(region->base + (size_t)chunk->off);
}

/* ---- judging an entry -------------------------------------------------------------------- */

CROSSVM_INLINE void crossvm_i_entry_decode(const struct crossvm_entry_shm *raw,
                                           struct crossvm_chunk *chunk)
{
    chunk->id = crossvm_i_word(&raw->id);
    chunk->generation = crossvm_i_word(&raw->generation);
    chunk->kind = crossvm_i_word(&raw->kind);
    chunk->n = crossvm_i_word(&raw->n);
    chunk->off = crossvm_i_pair(&raw->off_lo, &raw->off_hi);
    chunk->length = crossvm_i_pair(&raw->length_lo, &raw->length_hi);
    chunk->len = crossvm_i_pair(&raw->len_lo, &raw->len_hi);
    chunk->writer = crossvm_i_word(&raw->writer);
    chunk->reader = crossvm_i_word(&raw->reader);
    chunk->type_hash = crossvm_i_pair(&raw->type_hash_lo, &raw->type_hash_hi);
    chunk->link_id = crossvm_i_pair(&raw->link_id_lo, &raw->link_id_hi);
    __builtin_memcpy(chunk->name, raw->name, CROSSVM_NAME_LEN);
}

CROSSVM_INLINE void crossvm_i_entry_encode(struct crossvm_entry_shm *raw,
                                           const struct crossvm_chunk *chunk)
{
    __builtin_memset(raw, 0, sizeof(*raw));
    crossvm_i_set_word(&raw->id, chunk->id);
    crossvm_i_set_word(&raw->generation, chunk->generation);
    crossvm_i_set_word(&raw->kind, chunk->kind);
    crossvm_i_set_word(&raw->n, chunk->n);
    crossvm_i_set_pair(&raw->off_lo, &raw->off_hi, chunk->off);
    crossvm_i_set_pair(&raw->length_lo, &raw->length_hi, chunk->length);
    crossvm_i_set_pair(&raw->len_lo, &raw->len_hi, chunk->len);
    crossvm_i_set_word(&raw->writer, chunk->writer);
    crossvm_i_set_word(&raw->reader, chunk->reader);
    crossvm_i_set_pair(&raw->type_hash_lo, &raw->type_hash_hi, chunk->type_hash);
    crossvm_i_set_pair(&raw->link_id_lo, &raw->link_id_hi, chunk->link_id);
    __builtin_memcpy(raw->name, chunk->name, CROSSVM_NAME_LEN);
}

/* The first rule that an entry breaks, with the field's offset in it and its value.
 * from: where the chunk may begin at the earliest. */
CROSSVM_INLINE uint32_t crossvm_i_entry_judge(const struct crossvm_region *region, uint64_t from,
                                              const struct crossvm_chunk *chunk, uint32_t *field,
                                              uint64_t *value)
{
    uint64_t need;
    *field = offsetof(struct crossvm_entry_shm, id);
    *value = chunk->id;
    if (chunk->id == 0) {
        return CROSSVM_RULE_ENTRY_ID;
    }
    *field = offsetof(struct crossvm_entry_shm, generation);
    *value = chunk->generation;
    if (chunk->generation == 0) {
        return CROSSVM_RULE_ENTRY_GENERATION;
    }
    *field = offsetof(struct crossvm_entry_shm, kind);
    *value = chunk->kind;
    if (chunk->kind == 0) {
        return CROSSVM_RULE_ENTRY_KIND;
    }
    *field = offsetof(struct crossvm_entry_shm, name);
    *value = (unsigned char)chunk->name[0];
    if (!crossvm_i_name_ok(chunk->name)) {
        return CROSSVM_RULE_ENTRY_NAME;
    }
    *field = offsetof(struct crossvm_entry_shm, off_lo);
    *value = chunk->off;
    if ((chunk->off & (region->granule - 1)) != 0 || chunk->off < from ||
        chunk->off > region->length) {
        return CROSSVM_RULE_ENTRY_OFFSET;
    }
    *field = offsetof(struct crossvm_entry_shm, length_lo);
    *value = chunk->length;
    if (chunk->length == 0 || (chunk->length & (region->granule - 1)) != 0 ||
        chunk->length > region->length - chunk->off) {
        return CROSSVM_RULE_ENTRY_LENGTH;
    }
    *field = offsetof(struct crossvm_entry_shm, n);
    *value = chunk->n;
    if (crossvm_chunk_need(chunk->kind, chunk->n, chunk->len, &need) == CROSSVM_INVALID ||
        need > chunk->length) {
        return CROSSVM_RULE_ENTRY_GEOMETRY;
    }
    return CROSSVM_RULE_NONE;
}

/* ---- walking the directory --------------------------------------------------------------- */

/* One pass over the newest directory: entries are judged as they stream, nothing is allocated. */
struct crossvm_i_walk {
    struct crossvm_slot_ticket ticket;
    uint32_t n_entries;
    uint32_t next;
    uint32_t checksum; /* as the slot has it */
    uint32_t crc;      /* over what was copied so far */
    uint64_t end;      /* of the chunk before */
};

/* Something does not fit: an honest owner may be rewriting the slot, else it is a fault. */
CROSSVM_INLINE int crossvm_i_walk_broken(struct crossvm_region *region,
                                         const struct crossvm_i_walk *walk, const void *where,
                                         uint64_t value, uint32_t rule)
{
    int status = crossvm_slots_reader_close(&region->directory, &walk->ticket);
    if (status != CROSSVM_OK) {
        return status;
    }
    uint64_t off = (uint64_t)((const unsigned char *)where - region->base);
    return crossvm_i_fault(&region->fault, off, value, rule);
}

CROSSVM_INLINE int crossvm_i_walk_begin(struct crossvm_region *region, struct crossvm_i_walk *walk)
{
    __builtin_memset(walk, 0, sizeof(*walk));
    int status = crossvm_slots_reader_open(&region->directory, &walk->ticket);
    if (status == CROSSVM_NOT_YET || status == CROSSVM_CORRUPT) {
        const unsigned char *mark = (const unsigned char *)&walk->ticket.slot->mark;
        return crossvm_i_fault(&region->fault, (uint64_t)(mark - region->base), walk->ticket.mark,
                               CROSSVM_RULE_DIRECTORY_SLOT);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    const struct crossvm_slot_shm *slot = walk->ticket.slot;
    uint32_t len = crossvm_load_relaxed(&slot->len);
    if (len % CROSSVM_ENTRY_LEN != 0 || len / CROSSVM_ENTRY_LEN > region->capacity) {
        return crossvm_i_walk_broken(region, walk, &slot->len, len, CROSSVM_RULE_DIRECTORY_COUNT);
    }
    walk->n_entries = len / CROSSVM_ENTRY_LEN;
    walk->checksum = crossvm_load_relaxed(&slot->check);
    walk->end = crossvm_i_chunks_off(region->capacity, region->granule);
    return CROSSVM_OK;
}

/* The next entry: 1 and the chunk, 0 behind the last; TORN, STALE, CORRUPT. */
CROSSVM_INLINE int crossvm_i_walk_next(struct crossvm_region *region, struct crossvm_i_walk *walk,
                                       struct crossvm_chunk *chunk)
{
    if (walk->next == walk->n_entries) {
        return 0;
    }
    struct crossvm_entry_shm raw;
    const unsigned char *entry = walk->ticket.payload + (size_t)walk->next * CROSSVM_ENTRY_LEN;
    crossvm_i_slots_copy_in(&region->directory, &raw, entry, sizeof(raw));
    walk->crc = crossvm_crc32c(walk->crc, &raw, sizeof(raw));
    crossvm_i_entry_decode(&raw, chunk);

    uint32_t field;
    uint64_t value;
    uint32_t rule = crossvm_i_entry_judge(region, walk->end, chunk, &field, &value);
    if (rule != CROSSVM_RULE_NONE) {
        return crossvm_i_walk_broken(region, walk, entry + field, value, rule);
    }
    walk->end = chunk->off + chunk->length;
    walk->next++;
    return 1;
}

/* The entry that the walk gave last repeats the name and kind of an earlier one. */
CROSSVM_INLINE int crossvm_i_walk_twice(struct crossvm_region *region,
                                        const struct crossvm_i_walk *walk,
                                        const struct crossvm_chunk *chunk)
{
    const unsigned char *entry =
        walk->ticket.payload + (size_t)(walk->next - 1) * CROSSVM_ENTRY_LEN;
    return crossvm_i_walk_broken(region, walk, entry, chunk->id, CROSSVM_RULE_ENTRY_TWICE);
}

/* Says whether all that the walk gave belongs to one directory, undamaged. */
CROSSVM_INLINE int crossvm_i_walk_end(struct crossvm_region *region,
                                      const struct crossvm_i_walk *walk)
{
    if (walk->crc != walk->checksum) {
        return crossvm_i_walk_broken(region, walk, &walk->ticket.slot->check, walk->checksum,
                                     CROSSVM_RULE_DIRECTORY_CHECKSUM);
    }
    return crossvm_slots_reader_close(&region->directory, &walk->ticket);
}

/* ---- attach ------------------------------------------------------------------------------ */

CROSSVM_INLINE int crossvm_i_mapping_judge(const struct crossvm_mapping *mapping)
{
    if (mapping->base == NULL || mapping->access > CROSSVM_READ_WRITE ||
        mapping->memory > CROSSVM_WRITE_COMBINING) {
        return CROSSVM_INVALID;
    }
    if ((uintptr_t)mapping->base % CROSSVM_LINE != 0) {
        return CROSSVM_MISALIGNED;
    }
#if !defined(CROSSVM_SYSTEM_FENCES)
    if (mapping->memory == CROSSVM_WRITE_COMBINING) {
        return CROSSVM_MEMORY_TYPE;
    }
#endif
    return mapping->len < CROSSVM_DIR_OFF ? CROSSVM_NO_SPACE : CROSSVM_OK;
}

CROSSVM_INLINE void crossvm_i_directory_set(struct crossvm_region *region, uint32_t epoch)
{
    struct crossvm_slots *directory = &region->directory;
    directory->control = (struct crossvm_slots_shm *)(void *)(region->base + CROSSVM_LIVE_OFF);
    directory->first = region->base + CROSSVM_DIR_OFF;
    directory->stride =
        (size_t)crossvm_i_slot_stride((uint64_t)region->capacity * CROSSVM_ENTRY_LEN);
    directory->n_slots = CROSSVM_DIR_SLOTS;
    directory->epoch = epoch;
    directory->device = region->device;
}

/* Copies the header, all but the magic: a format takes that away before anything else. */
CROSSVM_INLINE void crossvm_i_header_load(const struct crossvm_region *region,
                                          struct crossvm_region_shm *header)
{
    size_t skip = sizeof(header->magic);
    unsigned char *to = (unsigned char *)header + skip;
    const unsigned char *from = region->base + skip;
    crossvm_i_set_word(&header->magic, CROSSVM_MAGIC);
    if (region->device) {
        crossvm_copy_in_device(to, from, sizeof(*header) - skip);
    } else {
        crossvm_copy_in(to, from, sizeof(*header) - skip);
    }
}

/* Copies the header while it is certainly not being reformatted. */
CROSSVM_INLINE int crossvm_i_header_copy(const struct crossvm_region *region,
                                         struct crossvm_region_shm *header, uint32_t *epoch)
{
    const struct crossvm_region_shm *shm = crossvm_i_header(region);
    const struct crossvm_slots_shm *live =
        (const struct crossvm_slots_shm *)(const void *)(region->base + CROSSVM_LIVE_OFF);
    /* The epoch first: one that a format has just stored brings the magic's 0 before it. */
    *epoch = CROSSVM_LOAD_ACQUIRE(region_reformat, &live->epoch);
    if (CROSSVM_LOAD_ACQUIRE(region_magic, &shm->magic) != CROSSVM_MAGIC) {
        return CROSSVM_NOT_FORMATTED;
    }
    crossvm_i_header_load(region, header);
    CROSSVM_FENCE_ACQUIRE(region_reformat, &shm->magic);
    if (*epoch == 0 || crossvm_load_relaxed(&live->epoch) != *epoch) {
        return CROSSVM_NOT_FORMATTED;
    }
    return CROSSVM_OK;
}

#define CROSSVM_I_HEADER_FAULT(region, field, value, rule) \
    crossvm_i_fault(&(region)->fault, offsetof(struct crossvm_region_shm, field), (value), (rule))

/* Judges a private copy of the header and takes its geometry over. */
CROSSVM_INLINE int crossvm_i_header_judge(struct crossvm_region *region,
                                          const struct crossvm_mapping *mapping,
                                          const struct crossvm_region_shm *header)
{
    uint32_t checksum = crossvm_i_word(&header->checksum);
    uint32_t crc = crossvm_crc32c(0, header, offsetof(struct crossvm_region_shm, checksum));
    uint64_t length = crossvm_i_pair(&header->length_lo, &header->length_hi);
    uint32_t granule = crossvm_i_word(&header->granule);
    uint32_t capacity = crossvm_i_word(&header->capacity);

    /* Another major may mean another place of the checksum. */
    if (crossvm_i_word(&header->format_major) != CROSSVM_FORMAT_MAJOR) {
        return CROSSVM_OTHER_FORMAT;
    }
    if (checksum != crc) {
        return CROSSVM_I_HEADER_FAULT(region, checksum, checksum, CROSSVM_RULE_HEADER_CHECKSUM);
    }
    if (crossvm_i_word(&header->incompat) != 0) {
        return CROSSVM_FEATURE;
    }
    if (crossvm_i_word(&header->header_len) != CROSSVM_HEADER_LEN) {
        return CROSSVM_I_HEADER_FAULT(region, header_len, crossvm_i_word(&header->header_len),
                                      CROSSVM_RULE_HEADER_LEN);
    }
    if (crossvm_i_word(&header->entry_len) != CROSSVM_ENTRY_LEN) {
        return CROSSVM_I_HEADER_FAULT(region, entry_len, crossvm_i_word(&header->entry_len),
                                      CROSSVM_RULE_ENTRY_LEN);
    }
    if (!crossvm_i_granule_ok(granule)) {
        return CROSSVM_I_HEADER_FAULT(region, granule, granule, CROSSVM_RULE_GRANULE);
    }
    if (capacity == 0 || capacity > CROSSVM_CAPACITY_MAX) {
        return CROSSVM_I_HEADER_FAULT(region, capacity, capacity, CROSSVM_RULE_CAPACITY);
    }
    if ((length & (granule - 1)) != 0 || length < crossvm_i_chunks_off(capacity, granule)) {
        return CROSSVM_I_HEADER_FAULT(region, length_lo, length, CROSSVM_RULE_REGION_LENGTH);
    }
    if (length > SIZE_MAX / 2) {
        return CROSSVM_TOO_LARGE;
    }
    if (length > mapping->len) {
        return CROSSVM_NO_SPACE;
    }
    region->length = length;
    region->granule = granule;
    region->capacity = capacity;
    return CROSSVM_OK;
}

CROSSVM_INLINE void crossvm_i_header_take(struct crossvm_region *region,
                                          const struct crossvm_region_shm *header)
{
    region->owner = crossvm_i_word(&header->owner);
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        region->region_id[i] = crossvm_i_word(&header->region_id[i]);
    }
    crossvm_i_fault_in(&region->fault, region);
    region->link_id = crossvm_i_pair(&header->link_id_lo, &header->link_id_hi);
    region->plan_hash = crossvm_i_pair(&header->plan_hash_lo, &header->plan_hash_hi);
    region->clock.kind = crossvm_i_word(&header->clock_kind);
    region->clock.id = crossvm_i_pair(&header->clock_id_lo, &header->clock_id_hi);
    region->clock.rate = crossvm_i_pair(&header->clock_rate_lo, &header->clock_rate_hi);
    if (crossvm_i_word(&header->ro_compat) != 0) {
        region->writable = false;
    }
}

/* Lists the region's chunks in the order of their offsets, all of one directory version. Unknown
 * kinds are listed, too. chunks: where they go, the first `max` of them. max: room for so many.
 * total: how many there are. Role, progress and trust: as crossvm_region_find. OK; STALE; TORN;
 * CORRUPT with the fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_list(struct crossvm_region *region,
                                                         struct crossvm_chunk *chunks, uint32_t max,
                                                         uint32_t *total)
{
    int status = CROSSVM_TORN;
    for (uint32_t i = 0; i < CROSSVM_DIRECTORY_TRIES && status == CROSSVM_TORN; i++) {
        struct crossvm_i_walk walk;
        struct crossvm_chunk chunk;
        *total = 0;
        status = crossvm_i_walk_begin(region, &walk);
        while (status == CROSSVM_OK && (status = crossvm_i_walk_next(region, &walk, &chunk)) > 0) {
            status = CROSSVM_OK;
            if (*total < max) {
                chunks[*total] = chunk;
            }
            ++*total;
        }
        if (status == CROSSVM_OK) {
            status = crossvm_i_walk_end(region, &walk);
        }
    }
    return status;
}

/* Attaches to a formatted region as party `self`, and judges header and directory whole.
 * Role: anyone, any number at a time; loads only. The mapping must outlive every handle made from
 * the region. Progress: bounded by CROSSVM_DIRECTORY_TRIES passes over the directory.
 * Trust: every byte is the owner's; nothing is accessed outside the mapping's len, whatever it
 * says. OK; NOT_FORMATTED no region, or being formatted, try again; OTHER_FORMAT; FEATURE; INVALID
 * self or mapping; MISALIGNED, MEMORY_TYPE the mapping; NO_SPACE the mapping is shorter than the
 * region; TOO_LARGE for this machine's size_t; CORRUPT with region->fault; TORN the owner is too
 * busy, try again; STALE reformatted meanwhile, try again. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_attach(struct crossvm_region *region,
                                                           const struct crossvm_mapping *mapping,
                                                           uint32_t self)
{
    struct crossvm_region_shm header;
    uint32_t epoch;
    uint32_t n_chunks;

    __builtin_memset(region, 0, sizeof(*region));
    int status = crossvm_i_mapping_judge(mapping);
    if (status == CROSSVM_OK && self == CROSSVM_ANYONE) {
        status = CROSSVM_INVALID;
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    region->base = (unsigned char *)mapping->base;
    region->self = self;
    region->writable = mapping->access == CROSSVM_READ_WRITE;
    region->device = mapping->memory == CROSSVM_UNCACHED;
    status = crossvm_i_header_copy(region, &header, &epoch);
    if (status == CROSSVM_OK) {
        status = crossvm_i_header_judge(region, mapping, &header);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    crossvm_i_header_take(region, &header);
    crossvm_i_directory_set(region, epoch);
    return crossvm_region_list(region, NULL, 0, &n_chunks);
}

/* ---- looking chunks up ------------------------------------------------------------------- */

CROSSVM_INLINE int crossvm_i_find_once(struct crossvm_region *region,
                                       const char name[CROSSVM_NAME_LEN], uint32_t kind,
                                       struct crossvm_chunk *found, uint32_t *times)
{
    struct crossvm_i_walk walk;
    struct crossvm_chunk chunk;
    int status = crossvm_i_walk_begin(region, &walk);
    *times = 0;
    while (status == CROSSVM_OK) {
        status = crossvm_i_walk_next(region, &walk, &chunk);
        if (status <= 0) {
            break;
        }
        status = CROSSVM_OK;
        if (chunk.kind == kind && crossvm_i_name_equal(chunk.name, name)) {
            *found = chunk;
            ++*times;
            if (*times == 2) {
                return crossvm_i_walk_twice(region, &walk, &chunk);
            }
        }
    }
    return status == CROSSVM_OK ? crossvm_i_walk_end(region, &walk) : status;
}

/* Finds the chunk of a name and kind. type_hash: of the payload; 0, here or in the entry, is not
 * compared.
 * Role: anyone; loads only; one thread a handle, and copies of a handle are independent. Progress:
 * as crossvm_region_attach. Trust: the whole directory is judged again.
 * OK and the chunk; NOT_FOUND; TYPE another type hash; INVALID the name; STALE the region was
 * reformatted: attach anew; TORN; CORRUPT with the fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_find(struct crossvm_region *region,
                                                         const char *name, uint32_t kind,
                                                         uint64_t type_hash,
                                                         struct crossvm_chunk *chunk)
{
    char key[CROSSVM_NAME_LEN];
    struct crossvm_chunk found;
    uint32_t times = 0;
    int status = CROSSVM_TORN;
    __builtin_memset(&found, 0, sizeof(found));
    if (crossvm_i_name_set(key, name) != CROSSVM_OK) {
        return CROSSVM_INVALID;
    }
    for (uint32_t i = 0; i < CROSSVM_DIRECTORY_TRIES && status == CROSSVM_TORN; i++) {
        status = crossvm_i_find_once(region, key, kind, &found, &times);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    if (times == 0) {
        return CROSSVM_NOT_FOUND;
    }
    if (type_hash != 0 && found.type_hash != 0 && found.type_hash != type_hash) {
        return CROSSVM_TYPE;
    }
    *chunk = found;
    return CROSSVM_OK;
}

/* Looks a chunk up in several regions, as those of all devices of a machine. A region that cannot
 * be searched hides only what is in itself. regions: n of them, each attached. n: their number.
 * type_hash: 0 = unchecked. index: which region has it; if EXISTS, the first one; if none has it,
 * the first one that could not be searched. Role, progress and trust: as crossvm_region_find.
 * OK; EXISTS more than one have it; NOT_FOUND none; or if none has it, what the first one that
 * could not be searched answered: INVALID, TYPE, STALE, TORN, CORRUPT as crossvm_region_find. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_find_among(struct crossvm_region *regions,
                                                               uint32_t n, const char *name,
                                                               uint32_t kind, uint64_t type_hash,
                                                               uint32_t *index,
                                                               struct crossvm_chunk *chunk)
{
    struct crossvm_chunk candidate;
    int answer = CROSSVM_NOT_FOUND;
    for (uint32_t i = 0; i < n; i++) {
        int status = crossvm_region_find(&regions[i], name, kind, type_hash, &candidate);
        if (status == CROSSVM_OK && answer == CROSSVM_OK) {
            return CROSSVM_EXISTS;
        }
        if (status == CROSSVM_OK) {
            *chunk = candidate;
        }
        if (status == CROSSVM_OK || (answer == CROSSVM_NOT_FOUND && status != answer)) {
            *index = i;
            answer = status;
        }
    }
    return answer;
}

/* ---- entering a chunk (for the primitives above) ------------------------------------------ */

enum crossvm_i_role {
    CROSSVM_I_READER,
    CROSSVM_I_WRITER
};

CROSSVM_INLINE bool crossvm_i_role_allowed(const struct crossvm_region *region,
                                           const struct crossvm_chunk *chunk,
                                           enum crossvm_i_role role)
{
    if (role == CROSSVM_I_WRITER) {
        return region->writable && chunk->writer == region->self;
    }
    return chunk->reader == CROSSVM_ANYONE || chunk->reader == region->self ||
           chunk->writer == region->self;
}

/* Judges a chunk, the role, and that the memory is still the chunk's.
 * OK; TYPE another kind; INVALID no chunk of this region; ROLE; STALE. */
CROSSVM_INLINE int crossvm_i_chunk_enter(const struct crossvm_region *region,
                                         const struct crossvm_chunk *chunk, uint32_t kind,
                                         enum crossvm_i_role role)
{
    uint32_t field;
    uint64_t value;
    uint64_t from = crossvm_i_chunks_off(region->capacity, region->granule);
    if (chunk->kind != kind) {
        return CROSSVM_TYPE;
    }
    if (crossvm_i_entry_judge(region, from, chunk, &field, &value) != CROSSVM_RULE_NONE) {
        return CROSSVM_INVALID;
    }
    if (!crossvm_i_role_allowed(region, chunk, role)) {
        return CROSSVM_ROLE;
    }
    const struct crossvm_chunk_shm *control = crossvm_i_control(region, chunk);
    if (CROSSVM_LOAD_ACQUIRE(chunk_ready, &control->epoch) != chunk->generation) {
        return CROSSVM_STALE;
    }
    if (role == CROSSVM_I_WRITER) {
        /* What this writer stores without order brings the epoch that it entered by. */
        CROSSVM_FENCE_RELEASE(chunk_writer, &control->epoch);
    }
    return CROSSVM_OK;
}

/* The slots of a chunk that was entered (snapshot.h, broadcast.h). */
CROSSVM_INLINE void crossvm_i_chunk_slots(struct crossvm_slots *slots,
                                          const struct crossvm_region *region,
                                          const struct crossvm_chunk *chunk)
{
    unsigned char *memory = region->base + (size_t)chunk->off;
    slots->control = (struct crossvm_slots_shm *)(void *)memory;
    slots->first = memory + CROSSVM_LINE;
    slots->stride = (size_t)crossvm_i_slot_stride(chunk->len);
    slots->n_slots = chunk->n;
    slots->epoch = chunk->generation;
    slots->device = region->device;
}

/* ---- the owner: plan --------------------------------------------------------------------- */

CROSSVM_INLINE uint32_t crossvm_i_plan_granule(const struct crossvm_region_plan *plan)
{
    return plan->granule == 0 ? CROSSVM_GRANULE_DEFAULT : plan->granule;
}

CROSSVM_INLINE uint32_t crossvm_i_plan_capacity(const struct crossvm_region_plan *plan)
{
    return plan->capacity == 0 ? plan->n_chunks : plan->capacity;
}

/* Turns a declaration into a chunk without a place: id, generation and off are still 0. */
CROSSVM_INLINE int crossvm_i_decl_judge(const struct crossvm_chunk_decl *decl, uint32_t granule,
                                        struct crossvm_chunk *chunk)
{
    uint64_t need;
    __builtin_memset(chunk, 0, sizeof(*chunk));
    if (crossvm_i_name_set(chunk->name, decl->name) != CROSSVM_OK ||
        crossvm_chunk_need(decl->kind, decl->n, decl->len, &need) != CROSSVM_OK ||
        decl->writer == CROSSVM_ANYONE) {
        return CROSSVM_INVALID;
    }
    chunk->kind = decl->kind;
    chunk->n = decl->n;
    chunk->len = decl->len;
    chunk->length = crossvm_i_round_up(need, granule);
    chunk->writer = decl->writer;
    chunk->reader = decl->reader;
    chunk->type_hash = decl->type_hash;
    chunk->link_id = decl->link_id;
    return chunk->length > SIZE_MAX / 2 ? CROSSVM_TOO_LARGE : CROSSVM_OK;
}

/* Bytes that a region of this plan needs, a multiple of its granule. Pure.
 * OK; INVALID granule, capacity, owner or a chunk's declaration; TOO_LARGE for this machine. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_plan_len(const struct crossvm_region_plan *plan,
                                                             uint64_t *len)
{
    uint32_t granule = crossvm_i_plan_granule(plan);
    uint32_t capacity = crossvm_i_plan_capacity(plan);
    if (!crossvm_i_granule_ok(granule) || capacity == 0 || capacity > CROSSVM_CAPACITY_MAX ||
        plan->n_chunks > capacity || plan->owner == CROSSVM_ANYONE) {
        return CROSSVM_INVALID;
    }
    if (plan->spare_len > SIZE_MAX / 2) {
        return CROSSVM_TOO_LARGE;
    }
    uint64_t total = crossvm_i_chunks_off(capacity, granule);
    total += crossvm_i_round_up(plan->spare_len, granule);
    for (uint32_t i = 0; i < plan->n_chunks; i++) {
        struct crossvm_chunk chunk;
        int status = crossvm_i_decl_judge(&plan->chunks[i], granule, &chunk);
        if (status != CROSSVM_OK) {
            return status;
        }
        if (total > SIZE_MAX / 2 || chunk.length > SIZE_MAX / 2 - total) {
            return CROSSVM_TOO_LARGE;
        }
        total += chunk.length;
    }
    if (total > SIZE_MAX / 2) {
        return CROSSVM_TOO_LARGE;
    }
    *len = total;
    return CROSSVM_OK;
}

CROSSVM_INLINE uint64_t crossvm_i_hash_number(uint64_t hash, uint64_t number)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)number;
        number >>= 8;
    }
    return crossvm_fnv1a(hash, bytes, sizeof(bytes));
}

/* What must be equal for an adopt: everything in the plan but the region's id, link and clock. */
CROSSVM_INLINE uint64_t crossvm_i_plan_hash(const struct crossvm_region_plan *plan)
{
    uint32_t granule = crossvm_i_plan_granule(plan);
    uint64_t hash = crossvm_i_hash_number(CROSSVM_FNV1A_START, granule);
    hash = crossvm_i_hash_number(hash, crossvm_i_plan_capacity(plan));
    hash = crossvm_i_hash_number(hash, crossvm_i_round_up(plan->spare_len, granule));
    hash = crossvm_i_hash_number(hash, plan->owner);
    for (uint32_t i = 0; i < plan->n_chunks; i++) {
        struct crossvm_chunk chunk;
        (void)crossvm_i_decl_judge(&plan->chunks[i], granule, &chunk);
        hash = crossvm_fnv1a(hash, chunk.name, CROSSVM_NAME_LEN);
        hash = crossvm_i_hash_number(hash, chunk.kind);
        hash = crossvm_i_hash_number(hash, chunk.n);
        hash = crossvm_i_hash_number(hash, chunk.len);
        hash = crossvm_i_hash_number(hash, (uint64_t)chunk.writer << 32 | chunk.reader);
        hash = crossvm_i_hash_number(hash, chunk.type_hash);
        hash = crossvm_i_hash_number(hash, chunk.link_id);
    }
    return hash;
}

/* ---- the owner: memory ------------------------------------------------------------------- */

/* Takes the epoch away from whatever may lie in [off, off + length): chunks begin on a line. To the
 * chunk in front such a word is payload: hence each is stored behind the ones before it. */
CROSSVM_INLINE void crossvm_i_wipe_epochs(const struct crossvm_region *region, uint64_t off,
                                          uint64_t length)
{
    for (uint64_t at = off; at < off + length; at += CROSSVM_LINE) {
        struct crossvm_chunk_shm *line =
            (struct crossvm_chunk_shm *)(void *)(region->base + (size_t)at);
        CROSSVM_STORE_RELEASE(chunk_wipe, &line->epoch, 0);
    }
}

/* Clears memory that stale readers may still be looking at: first every epoch, then all of it. */
CROSSVM_INLINE void crossvm_i_wipe(const struct crossvm_region *region, uint64_t off,
                                   uint64_t length)
{
    unsigned char *memory = region->base + (size_t)off;
    crossvm_i_wipe_epochs(region, off, length);
    CROSSVM_FENCE_RELEASE(chunk_epoch, memory);
    if (region->device) {
        crossvm_copy_zero_device(memory, (size_t)length);
    } else {
        crossvm_copy_zero(memory, (size_t)length);
    }
}

/* Makes cleared memory a chunk. */
CROSSVM_INLINE void crossvm_i_chunk_start(const struct crossvm_region *region,
                                          const struct crossvm_chunk *chunk)
{
    struct crossvm_chunk_shm *control = crossvm_i_control(region, chunk);
    CROSSVM_STORE_RELEASE(chunk_ready, &control->epoch, chunk->generation);
}

CROSSVM_INLINE struct crossvm_le32 *crossvm_i_counter(const struct crossvm_region *region)
{
    return &region->directory.control->words[0];
}

/* The next generation; the counter is stored first, so that a restart never repeats one. */
CROSSVM_INLINE uint32_t crossvm_i_next_generation(struct crossvm_region_owner *owner)
{
    owner->generation++;
    if (owner->generation == 0) {
        owner->generation = 1;
    }
    crossvm_store_relaxed(crossvm_i_counter(&owner->region), owner->generation);
    return owner->generation;
}

/* Publishes the private table as the next version of the directory. */
CROSSVM_INLINE void crossvm_i_directory_publish(struct crossvm_region_owner *owner)
{
    struct crossvm_slots *directory = &owner->region.directory;
    uint32_t crc = 0;
    owner->version++;
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(directory, owner->version);
    unsigned char *entry = crossvm_i_slot_payload(slot);
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        struct crossvm_entry_shm raw;
        crossvm_i_entry_encode(&raw, &owner->table[i]);
        crc = crossvm_crc32c(crc, &raw, sizeof(raw));
        crossvm_i_slots_copy_out(directory, entry, &raw, sizeof(raw));
        entry += sizeof(raw);
    }
    crossvm_store_relaxed(&slot->len, owner->n_chunks * CROSSVM_ENTRY_LEN);
    crossvm_store_relaxed(&slot->check, crc);
    crossvm_slots_writer_commit(directory, slot, owner->version);
}

/* ---- the owner: format ------------------------------------------------------------------- */

CROSSVM_INLINE void crossvm_i_header_encode(struct crossvm_region_shm *header,
                                            const struct crossvm_region_plan *plan,
                                            const struct crossvm_region *region)
{
    __builtin_memset(header, 0, sizeof(*header));
    crossvm_i_set_word(&header->magic, CROSSVM_MAGIC);
    crossvm_i_set_word(&header->format_major, CROSSVM_FORMAT_MAJOR);
    crossvm_i_set_word(&header->format_minor, CROSSVM_FORMAT_MINOR);
    crossvm_i_set_word(&header->header_len, CROSSVM_HEADER_LEN);
    crossvm_i_set_word(&header->entry_len, CROSSVM_ENTRY_LEN);
    crossvm_i_set_pair(&header->length_lo, &header->length_hi, region->length);
    crossvm_i_set_word(&header->granule, region->granule);
    crossvm_i_set_word(&header->capacity, region->capacity);
    __builtin_memcpy(header->region_id, plan->region_id, sizeof(header->region_id));
    crossvm_i_set_pair(&header->link_id_lo, &header->link_id_hi, plan->link_id);
    crossvm_i_set_word(&header->owner, plan->owner);
    crossvm_i_set_word(&header->clock_kind, plan->clock.kind);
    crossvm_i_set_pair(&header->clock_id_lo, &header->clock_id_hi, plan->clock.id);
    crossvm_i_set_pair(&header->clock_rate_lo, &header->clock_rate_hi, plan->clock.rate);
    crossvm_i_set_pair(&header->plan_hash_lo, &header->plan_hash_hi, crossvm_i_plan_hash(plan));
    uint32_t crc = crossvm_crc32c(0, header, offsetof(struct crossvm_region_shm, checksum));
    crossvm_i_set_word(&header->checksum, crc);
}

CROSSVM_INLINE bool crossvm_i_table_has(const struct crossvm_region_owner *owner,
                                        const char name[CROSSVM_NAME_LEN], uint32_t kind)
{
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        if (owner->table[i].kind == kind && crossvm_i_name_equal(owner->table[i].name, name)) {
            return true;
        }
    }
    return false;
}

CROSSVM_INLINE bool crossvm_i_id_taken(const struct crossvm_region_owner *owner, uint32_t id)
{
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        if (owner->table[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Lays the plan's chunks out in the private table. Shared bytes are not touched. */
CROSSVM_INLINE int crossvm_i_plan_lay_out(struct crossvm_region_owner *owner,
                                          const struct crossvm_region_plan *plan)
{
    uint64_t off = crossvm_i_chunks_off(owner->region.capacity, owner->region.granule);
    owner->n_chunks = 0;
    for (uint32_t i = 0; i < plan->n_chunks; i++) {
        struct crossvm_chunk *chunk = &owner->table[i];
        int status = crossvm_i_decl_judge(&plan->chunks[i], owner->region.granule, chunk);
        if (status != CROSSVM_OK) {
            return status;
        }
        if (crossvm_i_table_has(owner, chunk->name, chunk->kind)) {
            return CROSSVM_EXISTS;
        }
        chunk->id = i + 1;
        chunk->off = off;
        off += chunk->length;
        owner->n_chunks++;
    }
    return CROSSVM_OK;
}

/* What format and adopt have in common: judge everything that is the caller's. */
CROSSVM_INLINE int crossvm_i_owner_open(struct crossvm_region_owner *owner,
                                        const struct crossvm_mapping *mapping,
                                        const struct crossvm_region_plan *plan,
                                        struct crossvm_chunk *table, uint32_t table_len)
{
    uint64_t len;
    __builtin_memset(owner, 0, sizeof(*owner));
    int status = crossvm_i_mapping_judge(mapping);
    if (status == CROSSVM_OK) {
        status = crossvm_region_plan_len(plan, &len);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    if (mapping->access != CROSSVM_READ_WRITE) {
        return CROSSVM_ROLE;
    }
    if (len > mapping->len || table == NULL || table_len < crossvm_i_plan_capacity(plan)) {
        return CROSSVM_NO_SPACE;
    }
    owner->table = table;
    owner->region.base = (unsigned char *)mapping->base;
    owner->region.length = len;
    owner->region.self = plan->owner;
    owner->region.granule = crossvm_i_plan_granule(plan);
    owner->region.capacity = crossvm_i_plan_capacity(plan);
    owner->region.writable = true;
    owner->region.device = mapping->memory == CROSSVM_UNCACHED;
    return CROSSVM_OK;
}

/* Clears everything but the generation counter: even a format that is cut short by a death does not
 * let a later one give out the epochs and generations of an earlier one again. */
CROSSVM_INLINE void crossvm_i_format_wipe(const struct crossvm_region *region)
{
    struct crossvm_slots_shm *live = region->directory.control;
    crossvm_i_wipe(region, 0, CROSSVM_LIVE_OFF);
    crossvm_i_wipe(region, CROSSVM_DIR_OFF, region->length - CROSSVM_DIR_OFF);
    crossvm_store_relaxed(&live->latest, 0);
    for (size_t i = 1; i < sizeof(live->words) / sizeof(live->words[0]); i++) {
        crossvm_store_relaxed(&live->words[i], 0);
    }
}

/* The length of the region that was here, 0 if there was none. Its magic does not matter: a format
 * that was cut short took it away, and left the rest of the header while chunks had epochs. */
CROSSVM_INLINE uint64_t crossvm_i_format_earlier(const struct crossvm_region *region,
                                                 const struct crossvm_mapping *mapping)
{
    struct crossvm_region_shm header;
    struct crossvm_region earlier = *region;
    crossvm_i_header_load(region, &header);
    int status = crossvm_i_header_judge(&earlier, mapping, &header);
    return status == CROSSVM_OK ? earlier.length : 0;
}

/* Formats a region by a plan and destroys what was there; handles of an earlier format become
 * stale. table: the owner's private memory for at least the plan's capacity of chunks, which must
 * outlive the owner. Role: the region's one owner, alone. Progress: bounded by the region's length.
 * A death in between leaves memory that nobody attaches to. Trust: of what was there the length is
 * read and judged, and the generation counter, from which epoch and generations go on; any value
 * of it will do.
 * OK; INVALID, TOO_LARGE the plan; EXISTS a name twice; NO_SPACE the mapping or the table is too
 * small; ROLE read-only mapping; MISALIGNED, MEMORY_TYPE. Unless OK no shared byte is changed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_owner_format(
    struct crossvm_region_owner *owner, const struct crossvm_mapping *mapping,
    const struct crossvm_region_plan *plan, struct crossvm_chunk *table, uint32_t table_len)
{
    struct crossvm_region_shm header;
    int status = crossvm_i_owner_open(owner, mapping, plan, table, table_len);
    if (status == CROSSVM_OK) {
        status = crossvm_i_plan_lay_out(owner, plan);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    struct crossvm_region *region = &owner->region;
    struct crossvm_region_shm *shm = crossvm_i_header(region);
    crossvm_i_directory_set(region, 0);
    owner->generation = crossvm_load_relaxed(crossvm_i_counter(region));

    uint64_t earlier = crossvm_i_format_earlier(region, mapping);
    crossvm_store_relaxed(&shm->magic, 0);
    crossvm_store_relaxed(&region->directory.control->epoch, 0);
    /* No fence: wiping orders its stores behind these two (region_reformat). */
    if (earlier > CROSSVM_DIR_OFF) {
        crossvm_i_wipe_epochs(region, CROSSVM_DIR_OFF, earlier - CROSSVM_DIR_OFF);
    }
    crossvm_i_format_wipe(region);

    crossvm_i_directory_set(region, crossvm_i_next_generation(owner));
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        owner->table[i].generation = crossvm_i_next_generation(owner);
        crossvm_i_chunk_start(region, &owner->table[i]);
    }
    crossvm_store_relaxed(&region->directory.control->epoch, region->directory.epoch);
    crossvm_i_directory_publish(owner);

    crossvm_i_header_encode(&header, plan, region);
    crossvm_i_header_take(region, &header);
    size_t skip = sizeof(header.magic);
    crossvm_i_slots_copy_out(&region->directory, (unsigned char *)shm + skip,
                             (unsigned char *)&header + skip, sizeof(header) - skip);
    CROSSVM_STORE_RELEASE(region_magic, &shm->magic, CROSSVM_MAGIC);
    return CROSSVM_OK;
}

/* ---- the owner: adopt -------------------------------------------------------------------- */

/* Generations only rise: one ahead of the counter was never given out. (Half of the 2^32 count as
 * ahead: a chunk that lived through 2^31 other generations cannot be adopted any more.) */
CROSSVM_INLINE bool crossvm_i_generation_ahead(const struct crossvm_region_owner *owner,
                                               uint32_t generation)
{
    return generation - owner->generation - 1 < UINT32_MAX / 2;
}

/* Takes the directory into the private table, judged like a stranger's. */
CROSSVM_INLINE int crossvm_i_adopt_table(struct crossvm_region_owner *owner)
{
    struct crossvm_region *region = &owner->region;
    struct crossvm_i_walk walk;
    if (crossvm_i_generation_ahead(owner, region->directory.epoch)) {
        return crossvm_i_fault(&region->fault, CROSSVM_LIVE_OFF + 8, owner->generation,
                               CROSSVM_RULE_OWNER_COUNTER);
    }
    int status = crossvm_i_walk_begin(region, &walk);
    owner->n_chunks = 0;
    while (status == CROSSVM_OK) {
        struct crossvm_chunk chunk;
        status = crossvm_i_walk_next(region, &walk, &chunk);
        if (status <= 0) {
            break;
        }
        status = CROSSVM_OK;
        if (crossvm_i_generation_ahead(owner, chunk.generation)) {
            return crossvm_i_fault(&region->fault, CROSSVM_LIVE_OFF + 8, owner->generation,
                                   CROSSVM_RULE_OWNER_COUNTER);
        }
        if (crossvm_i_table_has(owner, chunk.name, chunk.kind) ||
            crossvm_i_id_taken(owner, chunk.id)) {
            return crossvm_i_walk_twice(region, &walk, &chunk);
        }
        owner->table[owner->n_chunks] = chunk;
        owner->n_chunks++;
    }
    return status == CROSSVM_OK ? crossvm_i_walk_end(region, &walk) : status;
}

/* Finishes what a death may have cut short: chunks that were being renewed or released. */
CROSSVM_INLINE void crossvm_i_adopt_finish(struct crossvm_region_owner *owner)
{
    struct crossvm_region *region = &owner->region;
    uint64_t end = crossvm_i_chunks_off(region->capacity, region->granule);
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        const struct crossvm_chunk *chunk = &owner->table[i];
        crossvm_i_wipe_epochs(region, end, chunk->off - end);
        end = chunk->off + chunk->length;
        struct crossvm_chunk_shm *control = crossvm_i_control(region, chunk);
        if (crossvm_load_relaxed(&control->epoch) != chunk->generation) {
            crossvm_i_wipe(region, chunk->off, chunk->length);
            crossvm_i_chunk_start(region, chunk);
        }
    }
    crossvm_i_wipe_epochs(region, end, region->length - end);
}

/* Carries on with a region that an earlier owner formatted by the same plan: chunks, contents and
 * generations stay, chunks allocated at run time too; so do the header's id, link and clock domain,
 * whatever the plan says of them. table: as for crossvm_region_owner_format. Role: the region's one
 * owner, alone, after the earlier one has ended. Progress: bounded by the region's length. Trust:
 * header, directory and counter are judged like a stranger's.
 * OK; MISMATCH another plan; NOT_FORMATTED; CORRUPT with owner->region.fault; and all that attach
 * and format answer. Unless OK no shared byte is changed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_owner_adopt(
    struct crossvm_region_owner *owner, const struct crossvm_mapping *mapping,
    const struct crossvm_region_plan *plan, struct crossvm_chunk *table, uint32_t table_len)
{
    int status = crossvm_i_owner_open(owner, mapping, plan, table, table_len);
    if (status != CROSSVM_OK) {
        return status;
    }
    struct crossvm_region *region = &owner->region;
    uint64_t length = region->length;
    status = crossvm_region_attach(region, mapping, plan->owner);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (!region->writable) {
        return CROSSVM_ROLE;
    }
    if (region->plan_hash != crossvm_i_plan_hash(plan) || region->length != length ||
        region->owner != plan->owner || region->capacity != crossvm_i_plan_capacity(plan)) {
        return CROSSVM_MISMATCH;
    }
    owner->generation = crossvm_load_relaxed(crossvm_i_counter(region));
    status = crossvm_i_adopt_table(owner);
    if (status == CROSSVM_OK) {
        status = crossvm_slots_writer_resume(&region->directory, region->base, &owner->version,
                                             &region->fault);
    }
    if (status == CROSSVM_OK) {
        crossvm_i_adopt_finish(owner);
    }
    return status;
}

/* ---- the owner: at run time -------------------------------------------------------------- */

/* The table's index of a chunk that the caller holds.
 * 0 and up; NOT_FOUND no such id; STALE another generation; INVALID another place or length. */
CROSSVM_INLINE int crossvm_i_table_index(const struct crossvm_region_owner *owner,
                                         const struct crossvm_chunk *chunk)
{
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        const struct crossvm_chunk *ours = &owner->table[i];
        if (ours->id != chunk->id) {
            continue;
        }
        if (ours->generation != chunk->generation) {
            return CROSSVM_STALE;
        }
        if (ours->off != chunk->off || ours->length != chunk->length) {
            return CROSSVM_INVALID;
        }
        return (int)i;
    }
    return CROSSVM_NOT_FOUND;
}

/* An id that no chunk bears: above all others, or after 2^32 chunks the lowest free one. */
CROSSVM_INLINE uint32_t crossvm_i_free_id(const struct crossvm_region_owner *owner)
{
    uint32_t highest = 0;
    for (uint32_t i = 0; i < owner->n_chunks; i++) {
        if (owner->table[i].id > highest) {
            highest = owner->table[i].id;
        }
    }
    if (highest != UINT32_MAX) {
        return highest + 1;
    }
    uint32_t id = 1;
    while (crossvm_i_id_taken(owner, id)) {
        id++;
    }
    return id;
}

/* First fit: where a chunk of this length goes, and its index in the table. */
CROSSVM_INLINE int crossvm_i_place(const struct crossvm_region_owner *owner, uint64_t length,
                                   uint64_t *off, uint32_t *index)
{
    uint64_t end = crossvm_i_chunks_off(owner->region.capacity, owner->region.granule);
    uint32_t i = 0;
    for (; i < owner->n_chunks && owner->table[i].off - end < length; i++) {
        end = owner->table[i].off + owner->table[i].length;
    }
    *off = end;
    *index = i;
    return owner->region.length - end < length ? CROSSVM_NO_SPACE : CROSSVM_OK;
}

/* Allocates a chunk in the spare memory while others read: cleared, and in the directory before
 * the call returns. Role: the owner, one call at a time. Progress: bounded by the chunk's length
 * and the number of chunks. A death in between leaves the directory as it was.
 * OK and the chunk; INVALID, TOO_LARGE the declaration; EXISTS; NO_SPACE memory or directory. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_owner_allocate(
    struct crossvm_region_owner *owner, const struct crossvm_chunk_decl *decl,
    struct crossvm_chunk *chunk)
{
    struct crossvm_chunk made;
    uint32_t index;
    int status = crossvm_i_decl_judge(decl, owner->region.granule, &made);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (crossvm_i_table_has(owner, made.name, made.kind)) {
        return CROSSVM_EXISTS;
    }
    if (owner->n_chunks == owner->region.capacity) {
        return CROSSVM_NO_SPACE;
    }
    status = crossvm_i_place(owner, made.length, &made.off, &index);
    if (status != CROSSVM_OK) {
        return status;
    }
    made.id = crossvm_i_free_id(owner);
    made.generation = crossvm_i_next_generation(owner);
    crossvm_i_wipe(&owner->region, made.off, made.length);
    crossvm_i_chunk_start(&owner->region, &made);
    for (uint32_t i = owner->n_chunks; i > index; i--) {
        owner->table[i] = owner->table[i - 1];
    }
    owner->table[index] = made;
    owner->n_chunks++;
    crossvm_i_directory_publish(owner);
    *chunk = made;
    return CROSSVM_OK;
}

/* Releases a chunk: it leaves the directory, then handles on it become stale. The memory is cleared
 * before it is used again. A chunk that another party writes is released only when that party has
 * stopped. Role: the owner, one call at a time. Progress: bounded by the number of chunks and the
 * chunk's length. OK; NOT_FOUND no such id (released before); STALE another generation; INVALID
 * another place or length than the chunk has. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_owner_release(
    struct crossvm_region_owner *owner, const struct crossvm_chunk *chunk)
{
    int index = crossvm_i_table_index(owner, chunk);
    if (index < 0) {
        return index;
    }
    struct crossvm_chunk gone = owner->table[index];
    owner->n_chunks--;
    for (uint32_t i = (uint32_t)index; i < owner->n_chunks; i++) {
        owner->table[i] = owner->table[i + 1];
    }
    crossvm_i_directory_publish(owner);
    crossvm_i_wipe_epochs(&owner->region, gone.off, CROSSVM_LINE);
    return CROSSVM_OK;
}

/* Starts a chunk anew in its place: cleared, with another generation; handles on it become stale.
 * This is the way out when a chunk's words have become implausible. chunk: is brought up to date.
 * Role, progress, statuses as crossvm_region_owner_release. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_region_owner_renew(struct crossvm_region_owner *owner,
                                                                struct crossvm_chunk *chunk)
{
    int index = crossvm_i_table_index(owner, chunk);
    if (index < 0) {
        return index;
    }
    struct crossvm_chunk *ours = &owner->table[index];
    ours->generation = crossvm_i_next_generation(owner);
    crossvm_i_directory_publish(owner);
    crossvm_i_wipe(&owner->region, ours->off, ours->length);
    crossvm_i_chunk_start(&owner->region, ours);
    *chunk = *ours;
    return CROSSVM_OK;
}

CROSSVM_EXTERN_C_END

#endif
