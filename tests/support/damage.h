/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/damage.h - bytes of a region as a test damages them: an image of a whole mapping
 * to compare with and to go back to, little-endian words at offsets, checksums put right again,
 * and memory between two pages that nobody may touch.
 *
 * Everything here looks at shared bytes with plain accesses: only while no other thread is about.
 */
#ifndef CROSSVM_TESTS_SUPPORT_DAMAGE_H
#define CROSSVM_TESTS_SUPPORT_DAMAGE_H

#include "region.h"

/* ---- the whole mapping, as it was -------------------------------------------------------- */

struct damage_image {
    unsigned char *bytes;
    unsigned char *base;
    size_t len;
};

static inline void damage_take(struct damage_image *image, const struct crossvm_mapping *mapping)
{
    image->base = (unsigned char *)mapping->base;
    image->len = (size_t)mapping->len;
    image->bytes = (unsigned char *)malloc(image->len);
    REQUIRE(image->bytes != NULL);
    memcpy(image->bytes, image->base, image->len);
}

static inline bool damage_same(const struct damage_image *image)
{
    return memcmp(image->bytes, image->base, image->len) == 0;
}

static inline void damage_undo(const struct damage_image *image)
{
    memcpy(image->base, image->bytes, image->len);
}

static inline void damage_drop(struct damage_image *image)
{
    free(image->bytes);
    image->bytes = NULL;
}

/* The call answers this status and changes no byte of the mapping. */
#define CHECK_REFUSED(image, call, status)  \
    do {                                    \
        CHECK_EQ(call, status);             \
        CHECK(damage_same(image) && #call); \
    } while (0)

/* ---- words ------------------------------------------------------------------------------- */

static inline uint32_t damage_get(const void *base, uint64_t off)
{
    const unsigned char *at = (const unsigned char *)base + (size_t)off;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t damage_get_pair(const void *base, uint64_t off)
{
    return (uint64_t)damage_get(base, off + 4) << 32 | damage_get(base, off);
}

static inline void damage_put(void *base, uint64_t off, uint32_t value)
{
    unsigned char *at = (unsigned char *)base + (size_t)off;
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static inline void damage_put_pair(void *base, uint64_t off, uint64_t value)
{
    damage_put(base, off, (uint32_t)value);
    damage_put(base, off + 4, (uint32_t)(value >> 32));
}

static inline bool damage_is_zero(const void *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

/* ---- where things stand, by the documented offsets and not by the library's structs ------- */

enum {
    AT_MAGIC = 0,
    AT_FORMAT_MAJOR = 4,
    AT_FORMAT_MINOR = 8,
    AT_HEADER_LEN = 12,
    AT_ENTRY_LEN = 16,
    AT_INCOMPAT = 20,
    AT_RO_COMPAT = 24,
    AT_COMPAT = 28,
    AT_LENGTH = 32,
    AT_GRANULE = 40,
    AT_CAPACITY = 44,
    AT_OWNER = 72,
    AT_PLAN_HASH = 96,
    AT_RESERVED = 104,
    AT_CHECKSUM = 252,
    AT_LATEST = 256,
    AT_EPOCH = 260,
    AT_COUNTER = 264,
    AT_DIRECTORY = 384,
    SLOT_HEADER_LEN = 64,
    ENTRY_LEN = 128,
    CHUNK_LINE_LEN = 128
};

/* Fields of a slot's header and of an entry. */
enum {
    SLOT_MARK = 0,
    SLOT_HI = 4,
    SLOT_LEN = 8,
    SLOT_CHECK = 12,
    ENTRY_ID = 0,
    ENTRY_GENERATION = 4,
    ENTRY_KIND = 8,
    ENTRY_N = 12,
    ENTRY_OFF = 16,
    ENTRY_LENGTH = 24,
    ENTRY_WRITER = 32,
    ENTRY_READER = 36,
    ENTRY_TYPE_HASH = 40,
    ENTRY_NAME = 48,
    ENTRY_LINK_ID = 96,
    ENTRY_DATA_LEN = 104
};

/* Offset of the directory slot of a version, for a capacity. */
static inline uint64_t damage_slot_off(uint64_t version, uint32_t capacity)
{
    uint64_t stride = SLOT_HEADER_LEN + (uint64_t)capacity * ENTRY_LEN;
    return AT_DIRECTORY + version % 2 * stride;
}

/* Offset of an entry in the newest directory. */
static inline uint64_t damage_entry_off(const void *base, uint32_t index)
{
    uint64_t slot = damage_slot_off(damage_get(base, AT_LATEST), damage_get(base, AT_CAPACITY));
    return slot + SLOT_HEADER_LEN + (uint64_t)index * ENTRY_LEN;
}

/* ---- checksums put right ----------------------------------------------------------------- */

static inline void damage_seal_header(void *base)
{
    damage_put(base, AT_CHECKSUM, crossvm_crc32c(0, base, AT_CHECKSUM));
}

/* The checksum of a directory slot, over as many entries as its len says and there is room for. */
static inline void damage_seal_slot(void *base, uint64_t slot_off, uint32_t capacity)
{
    unsigned char *slot = (unsigned char *)base + (size_t)slot_off;
    uint32_t len = damage_get(slot, SLOT_LEN);
    if (len > capacity * ENTRY_LEN) {
        len = capacity * ENTRY_LEN;
    }
    damage_put(slot, SLOT_CHECK, crossvm_crc32c(0, slot + SLOT_HEADER_LEN, len));
}

/* The checksum of the newest directory. */
static inline void damage_seal_directory(void *base)
{
    uint32_t capacity = damage_get(base, AT_CAPACITY);
    damage_seal_slot(base, damage_slot_off(damage_get(base, AT_LATEST), capacity), capacity);
}

/* ---- memory between two pages that nobody may touch --------------------------------------- */

struct damage_guarded {
    unsigned char *map;
    size_t map_len;
    unsigned char *first; /* the first byte behind the page in front */
    unsigned char *end;   /* the page behind begins here */
};

#if CHECK_OS

static inline void damage_guarded_make(struct damage_guarded *guarded, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (len + page - 1) / page * page;
    guarded->map_len = pages + 2 * page;
    void *map = mmap(NULL, guarded->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED);
    guarded->map = (unsigned char *)map;
    guarded->first = guarded->map + page;
    guarded->end = guarded->first + pages;
    REQUIRE(mprotect(guarded->first, pages, PROT_READ | PROT_WRITE) == 0);
}

static inline void damage_guarded_drop(struct damage_guarded *guarded)
{
    REQUIRE(munmap(guarded->map, guarded->map_len) == 0);
}

#else

/* Without mappings only stores are noticed, at the end: the pages around must be as they were. */
static inline void damage_guarded_make(struct damage_guarded *guarded, size_t len)
{
    size_t pages = (len + TEST_PAGE - 1) / TEST_PAGE * TEST_PAGE;
    guarded->map_len = pages + 2 * TEST_PAGE;
    guarded->map = (unsigned char *)test_pages(guarded->map_len);
    REQUIRE(guarded->map != NULL);
    guarded->first = guarded->map + TEST_PAGE;
    guarded->end = guarded->first + pages;
}

static inline void damage_guarded_drop(struct damage_guarded *guarded)
{
    CHECK(damage_is_zero(guarded->map, TEST_PAGE));
    CHECK(damage_is_zero(guarded->end, TEST_PAGE));
    free(guarded->map);
}

#endif

#endif
