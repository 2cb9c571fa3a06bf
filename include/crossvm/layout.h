/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/layout.h - the literal bytes of a region: header, live line, directory entries.
 *
 * Layer 2. Bytes and asserts only; region.h reads and writes them. docs/FORMAT.md is the same in
 * words, with the rule that judges each field.
 *
 * Roles: the region's owner writes all of it; everyone else reads.
 *
 * A region:
 *
 *   offset  bytes               what
 *   0       256                 header, static after format, under a CRC-32C
 *   256     128                 live line: the control line of the directory's two slots
 *   384     2 x slot            the directory (slots.h with N = 2): 64 bytes of slot header, then
 *                               capacity entries of 128 bytes, sorted by offset
 *   ...     to a granule        zero
 *   ...                         chunks, each a multiple of the granule; the first 128 bytes of
 *                               every chunk are its control line: word 0 an index, word 1 its epoch
 *
 * Header, 256 bytes (struct crossvm_region_shm):
 *
 *   offset  size  writer  name          meaning
 *   0       4     owner   magic         "CrVM"; written last at format, cleared first at reformat
 *   4       4     owner   format_major  another major is refused
 *   8       4     owner   format_minor  informative: feature bits govern meaning
 *   12      4     owner   header_len    256
 *   16      4     owner   entry_len     128
 *   20      4     owner   incompat      feature bits: unknown ones refuse attach
 *   24      4     owner   ro_compat     feature bits: unknown ones refuse writing roles
 *   28      4     owner   compat        feature bits: unknown ones are ignored
 *   32      8     owner   length_lo     bytes of the region, two words
 *   40      4     owner   granule       chunk offsets and lengths are multiples of it
 *   44      4     owner   capacity      directory entries that there is room for
 *   48      16    owner   region_id     128 bits, the caller's
 *   64      8     owner   link_id_lo    which communication the region belongs to, two words
 *   72      4     owner   owner         party id of the owner
 *   76      4     owner   clock_kind    clock domain of the timestamps, 0 = not said
 *   80      8     owner   clock_id_lo   which clock of that kind, two words
 *   88      8     owner   clock_rate_lo ticks a second of the counter behind it, two words, 0 = ns
 *   96      8     owner   plan_hash_lo  hash of the plan that the region was formatted by
 *   104     148   -       reserved      zero
 *   252     4     owner   checksum      CRC-32C of bytes 0 to 251
 *
 * Live line, 128 bytes (struct crossvm_slots_shm at offset 256; outside the checksum):
 *
 *   offset  size  writer  name      meaning
 *   256     4     owner   latest    newest version of the directory (low word)
 *   260     4     owner   epoch     region epoch: never 0, another one after each format
 *   264     4     owner   words[0]  generation counter: the last one given to a chunk or an epoch;
 *                                   a format goes on from it
 *
 * Directory entry, 128 bytes (struct crossvm_entry_shm):
 *
 *   offset  size  writer  name         meaning
 *   0       4     owner   id           chunk id, never 0, the chunk's for good
 *   4       4     owner   generation   never 0; another one each time the memory starts anew
 *   8       4     owner   kind         enum crossvm_kind
 *   12      4     owner   n            slots, elements or vectors
 *   16      8     owner   off_lo       from the region's base, two words
 *   24      8     owner   length_lo    bytes, two words
 *   32      4     owner   writer       party that writes the chunk
 *   36      4     owner   reader       party that reads it, CROSSVM_ANYONE = every one
 *   40      8     owner   type_hash_lo type of the payload, two words, 0 = unchecked
 *   48      48    owner   name         [A-Za-z0-9._/-], NUL-terminated, zero-filled
 *   96      8     owner   link_id_lo   the link of a queue's part, two words
 *   104     8     owner   len_lo       payload, element or data bytes, two words
 *   112     16    -       reserved     zero
 */
#ifndef CROSSVM_LAYOUT_H
#define CROSSVM_LAYOUT_H

#include "atomic.h"
#include "slots.h"
#include "version.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_MAGIC      0x4d567243u /* "CrVM" */
#define CROSSVM_HEADER_LEN 256u        /* bytes of a region's header */
#define CROSSVM_ENTRY_LEN  128u        /* bytes of a directory entry */
#define CROSSVM_LIVE_OFF   256u        /* where the live line begins */
#define CROSSVM_DIR_OFF    384u        /* where the directory begins */
#define CROSSVM_DIR_SLOTS  2u          /* slots of the directory */
#define CROSSVM_NAME_LEN   48u         /* bytes of a chunk's name, the NUL included */

#define CROSSVM_GRANULE_MIN     128u        /* one line */
#define CROSSVM_GRANULE_MAX     0x40000000u /* 2^30 */
#define CROSSVM_GRANULE_DEFAULT 4096u       /* a page of most machines */
#define CROSSVM_CAPACITY_MAX    65535u      /* directory entries, at most */
#define CROSSVM_PAYLOAD_MAX     0x7fffffffu /* payload, element and stride: below 2^31 */
#define CROSSVM_ELEMENTS_MAX    0x40000000u /* 2^30 */
#define CROSSVM_ANYONE          0xffffffffu /* every party, as reader */

/* Kinds of chunks. */
enum crossvm_kind {
    CROSSVM_KIND_BYTES = 1,              /* plain memory behind a control line */
    CROSSVM_KIND_SNAPSHOT = 2,           /* snapshot.h */
    CROSSVM_KIND_SPSC_TX = 3,            /* the producer's part of a queue, spsc.h */
    CROSSVM_KIND_SPSC_RX = 4,            /* the consumer's part of a queue, spsc.h */
    CROSSVM_KIND_WAKE = 5,               /* wake words of a reader of slots, wake.h */
    CROSSVM_KIND_DOORBELL = 6,           /* a line for each vector, backend/futex.h */
    CROSSVM_KIND_EXCHANGE_TX = 7,        /* the producer's part of an exchange, exchange.h */
    CROSSVM_KIND_EXCHANGE_TX_SHARED = 8, /* the same; the client answers in its elements */
    CROSSVM_KIND_EXCHANGE_RX = 9,        /* the client's part of an exchange, exchange.h */
    CROSSVM_KIND_BROADCAST = 10,         /* broadcast.h */
    CROSSVM_KIND_MPSC_TX = 11,           /* the ring that several writers share, mpsc.h */
    CROSSVM_KIND_MPSC_RX = 12,           /* its consumer's part, mpsc.h */
    CROSSVM_KIND_POOL = 13,              /* the blocks of a pool, pool.h */
    CROSSVM_KIND_POOL_LENT = 14,         /* what a pool's owner has lent, pool.h */
    CROSSVM_KIND_POOL_RETURNS = 15,      /* what a reader of a pool gave back, pool.h */
    CROSSVM_KIND_PEER = 16               /* one side's life signs, peer.h */
};

/* The header. */
struct crossvm_region_shm {
    struct crossvm_le32 magic;
    struct crossvm_le32 format_major;
    struct crossvm_le32 format_minor;
    struct crossvm_le32 header_len;
    struct crossvm_le32 entry_len;
    struct crossvm_le32 incompat;
    struct crossvm_le32 ro_compat;
    struct crossvm_le32 compat;
    struct crossvm_le32 length_lo;
    struct crossvm_le32 length_hi;
    struct crossvm_le32 granule;
    struct crossvm_le32 capacity;
    struct crossvm_le32 region_id[4];
    struct crossvm_le32 link_id_lo;
    struct crossvm_le32 link_id_hi;
    struct crossvm_le32 owner;
    struct crossvm_le32 clock_kind;
    struct crossvm_le32 clock_id_lo;
    struct crossvm_le32 clock_id_hi;
    struct crossvm_le32 clock_rate_lo;
    struct crossvm_le32 clock_rate_hi;
    struct crossvm_le32 plan_hash_lo;
    struct crossvm_le32 plan_hash_hi;
    struct crossvm_le32 reserved[37];
    struct crossvm_le32 checksum;
};

/* A directory entry. */
struct crossvm_entry_shm {
    struct crossvm_le32 id;
    struct crossvm_le32 generation;
    struct crossvm_le32 kind;
    struct crossvm_le32 n;
    struct crossvm_le32 off_lo;
    struct crossvm_le32 off_hi;
    struct crossvm_le32 length_lo;
    struct crossvm_le32 length_hi;
    struct crossvm_le32 writer;
    struct crossvm_le32 reader;
    struct crossvm_le32 type_hash_lo;
    struct crossvm_le32 type_hash_hi;
    uint8_t name[CROSSVM_NAME_LEN];
    struct crossvm_le32 link_id_lo;
    struct crossvm_le32 link_id_hi;
    struct crossvm_le32 len_lo;
    struct crossvm_le32 len_hi;
    struct crossvm_le32 reserved[4];
};

/* The first 128 bytes of every chunk, whatever its kind. */
struct crossvm_chunk_shm {
    struct crossvm_le32 index; /* latest, tail or head by kind, else zero */
    struct crossvm_le32 epoch; /* the chunk's generation, 0 = nothing lies here */
    struct crossvm_le32 words[30];
};

#define CROSSVM_I_AT(type, field, off) \
    CROSSVM_STATIC_ASSERT(offsetof(struct type, field) == (off), "bytes")

CROSSVM_I_AT(crossvm_region_shm, magic, 0);
CROSSVM_I_AT(crossvm_region_shm, format_major, 4);
CROSSVM_I_AT(crossvm_region_shm, format_minor, 8);
CROSSVM_I_AT(crossvm_region_shm, header_len, 12);
CROSSVM_I_AT(crossvm_region_shm, entry_len, 16);
CROSSVM_I_AT(crossvm_region_shm, incompat, 20);
CROSSVM_I_AT(crossvm_region_shm, ro_compat, 24);
CROSSVM_I_AT(crossvm_region_shm, compat, 28);
CROSSVM_I_AT(crossvm_region_shm, length_lo, 32);
CROSSVM_I_AT(crossvm_region_shm, granule, 40);
CROSSVM_I_AT(crossvm_region_shm, capacity, 44);
CROSSVM_I_AT(crossvm_region_shm, region_id, 48);
CROSSVM_I_AT(crossvm_region_shm, link_id_lo, 64);
CROSSVM_I_AT(crossvm_region_shm, owner, 72);
CROSSVM_I_AT(crossvm_region_shm, clock_kind, 76);
CROSSVM_I_AT(crossvm_region_shm, clock_id_lo, 80);
CROSSVM_I_AT(crossvm_region_shm, clock_rate_lo, 88);
CROSSVM_I_AT(crossvm_region_shm, plan_hash_lo, 96);
CROSSVM_I_AT(crossvm_region_shm, reserved, 104);
CROSSVM_I_AT(crossvm_region_shm, checksum, 252);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_region_shm) == CROSSVM_HEADER_LEN, "bytes");
CROSSVM_STATIC_ASSERT(CROSSVM_LIVE_OFF + sizeof(struct crossvm_slots_shm) == CROSSVM_DIR_OFF,
                      "bytes");

CROSSVM_I_AT(crossvm_entry_shm, id, 0);
CROSSVM_I_AT(crossvm_entry_shm, generation, 4);
CROSSVM_I_AT(crossvm_entry_shm, kind, 8);
CROSSVM_I_AT(crossvm_entry_shm, n, 12);
CROSSVM_I_AT(crossvm_entry_shm, off_lo, 16);
CROSSVM_I_AT(crossvm_entry_shm, length_lo, 24);
CROSSVM_I_AT(crossvm_entry_shm, writer, 32);
CROSSVM_I_AT(crossvm_entry_shm, reader, 36);
CROSSVM_I_AT(crossvm_entry_shm, type_hash_lo, 40);
CROSSVM_I_AT(crossvm_entry_shm, name, 48);
CROSSVM_I_AT(crossvm_entry_shm, link_id_lo, 96);
CROSSVM_I_AT(crossvm_entry_shm, len_lo, 104);
CROSSVM_I_AT(crossvm_entry_shm, reserved, 112);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_entry_shm) == CROSSVM_ENTRY_LEN, "bytes");

CROSSVM_I_AT(crossvm_chunk_shm, index, 0);
CROSSVM_I_AT(crossvm_chunk_shm, epoch, 4);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_chunk_shm) == CROSSVM_LINE, "bytes");

CROSSVM_EXTERN_C_END

#endif
