/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/slots.h - N slots, one writer that never waits, any number of read-only readers.
 *
 * Layer 1. The protocol on raw memory, on which the directory (region.h), the snapshot
 * (snapshot.h) and the broadcast (broadcast.h) stand. Version v lives in slot v mod N; N is a power
 * of two, 2 to 65536. While the writer fills slot v+1 the newest complete version v lies in another
 * slot, untouched.
 *
 * Roles: one writer; readers in any number, through read-only mappings, without a word of theirs.
 *
 * Shared bytes of the control line, 128 bytes (struct crossvm_slots_shm):
 *
 *   offset  size  writer  name       meaning
 *   0       4     writer  latest     lo(v) of the newest complete version v, 0 at first
 *   4       4     owner   epoch      generation of what lies here, 0 = nothing
 *   8       120   writer  words      the user's own words (snapshot.h, region.h)
 *
 * and of a slot's first 64 bytes (struct crossvm_slot_shm), in front of the payload:
 *
 *   offset  size  writer  name          meaning
 *   0       4     writer  mark          lo(2v) when the slot holds version v, lo(2v)-1 before
 *   4       4     writer  hi            hi(2v)
 *   8       4     writer  len           bytes of payload in use
 *   12      4     writer  check         the user's own word
 *   16      8     writer  sampled_lo    the user's own time, two words
 *   24      8     writer  published_lo  the user's own time, two words
 *   32      32    -       reserved      zero
 *
 * The epoch's writer is the region's owner, who writes it while nobody uses the chunk.
 *
 * Ordering edges (release side -> acquire side; docs/ORDERING.md shows what breaks without each):
 *
 *   slot_begin    odd mark, release        -> mark, acquire: an unfinished mark of v+N brings a
 *                                             `latest` above v, so that a reader can tell a
 *                                             slot that is being rewritten from a broken one
 *   slot_hi       hi, release              -> hi, acquire: a reader that sees version v+N's hi
 *                                             also sees that the slot is marked as unfinished
 *   slot_open     fence behind mark and hi -> fence behind the payload: a reader that copied one
 *                                             byte of v+N finds the mark changed
 *   slot_mark     mark, release            -> mark, acquire: the mark of v brings the payload of v
 *   slot_recheck  mark, release            -> mark, acquire, second time: brings the hi of the
 *                                             version that this mark belongs to
 *   slot_latest   latest, release          -> latest, acquire: latest v brings the mark of v
 *   chunk_epoch   fence behind epoch = 0   -> fence behind the payload: a reader that copied what
 *                                             the owner cleared finds the epoch gone
 *
 * Why the mark carries the version: a reader that takes an old `latest`, then any complete mark,
 * could return v+N now and v+N-1 next time. It must find exactly the mark of the version that it
 * set out to read.
 *
 * After the N-slot and sequence-lock protocols of the literature (Lamport 1977, "Concurrent
 * reading and writing"; Boehm 2012, "Can seqlocks get along with programming language memory
 * models?", whose fence placement the reader follows).
 */
#ifndef CROSSVM_SLOTS_H
#define CROSSVM_SLOTS_H

#include "copy.h"
#include "status.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_SLOTS_MIN 2u     /* a double buffer */
#define CROSSVM_SLOTS_MAX 65536u /* 2^16 */

/* The control line. */
struct crossvm_slots_shm {
    struct crossvm_le32 latest;
    struct crossvm_le32 epoch;
    struct crossvm_le32 words[30];
};

/* A slot's header; the payload follows. */
struct crossvm_slot_shm {
    struct crossvm_le32 mark;
    struct crossvm_le32 hi;
    struct crossvm_le32 len;
    struct crossvm_le32 check;
    struct crossvm_le32 sampled_lo;
    struct crossvm_le32 sampled_hi;
    struct crossvm_le32 published_lo;
    struct crossvm_le32 published_hi;
    struct crossvm_le32 reserved[8];
};

CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slots_shm, latest) == 0, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slots_shm, epoch) == 4, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slots_shm, words) == 8, "bytes");
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_slots_shm) == CROSSVM_LINE, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, mark) == 0, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, hi) == 4, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, len) == 8, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, check) == 12, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, sampled_lo) == 16, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, published_lo) == 24, "bytes");
CROSSVM_STATIC_ASSERT(offsetof(struct crossvm_slot_shm, reserved) == 32, "bytes");
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_slot_shm) == 64, "bytes");

/* Where the slots lie, judged once and kept privately. */
struct crossvm_slots {
    struct crossvm_slots_shm *control; /* a reader only loads through it */
    unsigned char *first;              /* slot 0 */
    size_t stride;                     /* bytes from slot to slot, a multiple of 64 */
    uint32_t n_slots;                  /* a power of two */
    uint32_t epoch;                    /* what control->epoch must be */
    bool device;                       /* uncached mapping: aligned words only */
};

/* One attempt to read: what the slot held when it was opened. */
struct crossvm_slot_ticket {
    const struct crossvm_slot_shm *slot; /* the slot's header */
    const unsigned char *payload;        /* behind it */
    uint64_t version;                    /* that was opened */
    uint32_t mark;                       /* as it was at the opening */
    uint32_t hi;                         /* as it was at the opening */
};

/* Bytes from slot to slot for payloads of up to payload_len bytes. */
CROSSVM_INLINE uint64_t crossvm_i_slot_stride(uint64_t payload_len)
{
    return sizeof(struct crossvm_slot_shm) + ((payload_len + 63) & ~(uint64_t)63);
}

CROSSVM_INLINE struct crossvm_slot_shm *crossvm_i_slot(const struct crossvm_slots *slots,
                                                       uint32_t version_lo)
{
    size_t index = version_lo & (slots->n_slots - 1);
    return (struct crossvm_slot_shm *)(void *)(slots->first +
                                               crossvm_i_multiply(slots->stride, index));
}

CROSSVM_INLINE unsigned char *crossvm_i_slot_payload(struct crossvm_slot_shm *slot)
{
    return (unsigned char *)slot + sizeof(*slot);
}

CROSSVM_INLINE void crossvm_i_slots_copy_in(const struct crossvm_slots *slots, void *dst,
                                            const void *src, size_t len)
{
    if (CROSSVM_UNLIKELY(slots->device)) {
        crossvm_copy_in_device(dst, src, len);
    } else {
        crossvm_copy_in(dst, src, len);
    }
}

CROSSVM_INLINE void crossvm_i_slots_copy_out(const struct crossvm_slots *slots, void *dst,
                                             const void *src, size_t len)
{
    if (CROSSVM_UNLIKELY(slots->device)) {
        crossvm_copy_out_device(dst, src, len);
    } else {
        crossvm_copy_out(dst, src, len);
    }
}

/* ---- reader ------------------------------------------------------------------------------ */

/* Judges a slot's two words against the low word of the version that was asked for. */
CROSSVM_INLINE int crossvm_i_slots_judge(struct crossvm_slot_ticket *ticket, uint32_t version_lo)
{
    if (ticket->mark != version_lo << 1 || (ticket->hi & 1) != version_lo >> 31) {
        return CROSSVM_TORN;
    }
    ticket->version = (uint64_t)ticket->hi << 31 | ticket->mark >> 1;
    return ticket->version == 0 ? CROSSVM_NOT_YET : CROSSVM_OK;
}

CROSSVM_INLINE void crossvm_i_slots_look(const struct crossvm_slots *slots, uint32_t version_lo,
                                         struct crossvm_slot_ticket *ticket)
{
    struct crossvm_slot_shm *slot = crossvm_i_slot(slots, version_lo);
    ticket->slot = slot;
    ticket->payload = crossvm_i_slot_payload(slot);
    /* hi before mark: a mark of this version then vouches for the hi. */
    ticket->hi = CROSSVM_LOAD_ACQUIRE(slot_hi, &slot->hi);
    /* One load is the acquire side of two edges: slot_begin and slot_mark. */
    ticket->mark = CROSSVM_LOAD_ACQUIRE(slot_mark, &slot->mark);
}

/* Opens the newest version for reading: afterwards the payload may be copied, and is valid iff
 * crossvm_slots_reader_close then says so. Role: reader. Wait-free, no loop.
 * Trust: the words are judged here; the payload's bytes and len are the caller's to judge.
 * OK; NOT_YET nothing published; TORN being overwritten, try again; STALE another epoch; CORRUPT
 * the newest version's slot bears another mark (ticket->mark and ->slot say what and where). */
CROSSVM_INLINE int crossvm_slots_reader_open(const struct crossvm_slots *slots,
                                             struct crossvm_slot_ticket *ticket)
{
    uint32_t latest = CROSSVM_LOAD_ACQUIRE(slot_latest, &slots->control->latest);
    /* The index first, the epoch second: an index of another epoch is thus never believed. */
    if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
        return CROSSVM_STALE;
    }
    crossvm_i_slots_look(slots, latest, ticket);
    int status = crossvm_i_slots_judge(ticket, latest);
    if (CROSSVM_LIKELY(status == CROSSVM_OK)) {
        return CROSSVM_OK;
    }
    /* What looks odd may have been cleared meanwhile: then the epoch is gone, too (chunk_epoch). */
    if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
        return CROSSVM_STALE;
    }
    /* Another mark is honest only if `latest` has moved on, and slot_begin shows us that. */
    if (status == CROSSVM_TORN && crossvm_load_relaxed(&slots->control->latest) == latest) {
        return CROSSVM_CORRUPT;
    }
    return status;
}

/* As crossvm_slots_reader_open, for one given version while its slot still holds it. A version is
 * published when `latest` says so, not when its mark is complete: a writer that dies in between
 * gives the number to something else when it comes back.
 * OK; NOT_FOUND not published yet, or overwritten; STALE another epoch. */
CROSSVM_INLINE int crossvm_slots_reader_open_version(const struct crossvm_slots *slots,
                                                     uint64_t version,
                                                     struct crossvm_slot_ticket *ticket)
{
    uint32_t latest = CROSSVM_LOAD_ACQUIRE(slot_latest, &slots->control->latest);
    if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
        return CROSSVM_STALE;
    }
    if (latest - (uint32_t)version >= slots->n_slots) {
        return CROSSVM_NOT_FOUND;
    }
    crossvm_i_slots_look(slots, (uint32_t)version, ticket);
    if (crossvm_i_slots_judge(ticket, (uint32_t)version) != CROSSVM_OK ||
        ticket->version != version) {
        /* Overwritten, or cleared (chunk_epoch)? */
        return crossvm_load_relaxed(&slots->control->epoch) != slots->epoch ? CROSSVM_STALE
                                                                            : CROSSVM_NOT_FOUND;
    }
    return CROSSVM_OK;
}

/* How many versions newer than `last` are announced: 0 to 2^31 - 1. A hint without order, for
 * whoever may wait: what is more, or looks impossible, is 2^31 - 1, and is judged when it is read.
 * Role: reader. Wait-free. STALE another epoch. */
CROSSVM_INLINE int crossvm_slots_reader_newer(const struct crossvm_slots *slots, uint64_t last)
{
    uint32_t n = crossvm_load_relaxed(&slots->control->latest) - (uint32_t)last;
    if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
        return CROSSVM_STALE;
    }
    return n <= 0x7fffffffu ? (int)n : 0x7fffffff;
}

/* Says whether everything copied since the ticket was opened belongs to its version.
 * Role: reader. Wait-free, no loop. OK; TORN overwritten meanwhile; STALE another epoch. */
CROSSVM_INLINE int crossvm_slots_reader_close(const struct crossvm_slots *slots,
                                              const struct crossvm_slot_ticket *ticket)
{
    /* One fence is the acquire side of two edges: slot_open and chunk_epoch. */
    CROSSVM_FENCE_ACQUIRE(slot_open, &ticket->slot->mark);
    if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
        return CROSSVM_STALE;
    }
    if (CROSSVM_LOAD_ACQUIRE(slot_recheck, &ticket->slot->mark) != ticket->mark ||
        crossvm_load_relaxed(&ticket->slot->hi) != ticket->hi) {
        return CROSSVM_TORN;
    }
    return CROSSVM_OK;
}

/* ---- writer ------------------------------------------------------------------------------ */

/* Marks the slot of `version` as unfinished; its payload may be written afterwards.
 * version: the newest complete one plus 1. Role: the one writer. Wait-free. */
CROSSVM_INLINE struct crossvm_slot_shm *crossvm_slots_writer_begin(struct crossvm_slots *slots,
                                                                   uint64_t version)
{
    struct crossvm_slot_shm *slot = crossvm_i_slot(slots, (uint32_t)version);
    uint64_t doubled = version << 1;
    CROSSVM_STORE_RELEASE(slot_begin, &slot->mark, (uint32_t)doubled - 1);
    CROSSVM_STORE_RELEASE(slot_hi, &slot->hi, (uint32_t)(doubled >> 32));
    CROSSVM_FENCE_RELEASE(slot_open, &slot->mark);
    return slot;
}

/* Marks the slot of `version`, which was begun and filled, as complete. Nobody may read it yet. */
CROSSVM_INLINE void crossvm_i_slots_complete(struct crossvm_slot_shm *slot, uint64_t version)
{
    /* Two release sides of one store: slot_mark brings the payload, slot_recheck the hi. */
    CROSSVM_STORE_RELEASE(slot_mark, &slot->mark, (uint32_t)(version << 1));
}

/* Makes `version` the newest, and with it all that were completed before it: at most N/2 at once,
 * so that the newest one's slot is never begun again while `latest` names it. */
CROSSVM_INLINE void crossvm_i_slots_announce(struct crossvm_slots *slots, uint64_t version)
{
    CROSSVM_STORE_RELEASE(slot_latest, &slots->control->latest, (uint32_t)version);
}

/* Makes `version`, whose slot was begun and filled, the newest. Role: the one writer. Wait-free. */
CROSSVM_INLINE void crossvm_slots_writer_commit(struct crossvm_slots *slots,
                                                struct crossvm_slot_shm *slot, uint64_t version)
{
    crossvm_i_slots_complete(slot, version);
    crossvm_i_slots_announce(slots, version);
}

/* Reads back the newest complete version after a restart: the writer goes on with exactly the next
 * one. (Skipping one, with two slots, and dying again would destroy the newest.)
 * base: of the region, for the fault's offset; the fault names the region already. Role: the one
 * writer, before it writes. Trust: its own old words are judged like a stranger's. OK and the
 * version, 0 at first; STALE; CORRUPT with the fault. */
CROSSVM_INLINE int crossvm_slots_writer_resume(const struct crossvm_slots *slots,
                                               const unsigned char *base, uint64_t *version,
                                               struct crossvm_fault *fault)
{
    struct crossvm_slot_ticket ticket;
    /* What the writer itself stored needs no order; the 0 of one that is cleared does. */
    uint32_t latest = CROSSVM_LOAD_ACQUIRE(chunk_epoch, &slots->control->latest);
    crossvm_i_slots_look(slots, latest, &ticket);
    if (crossvm_i_slots_judge(&ticket, latest) == CROSSVM_TORN) {
        /* Cleared under us by the owner? */
        if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
            return CROSSVM_STALE;
        }
        fault->off = (uint64_t)((const unsigned char *)&ticket.slot->mark - base);
        fault->value = ticket.mark;
        fault->rule = CROSSVM_RULE_SLOT_MARK;
        return CROSSVM_CORRUPT;
    }
    *version = ticket.version;
    return CROSSVM_OK;
}

CROSSVM_EXTERN_C_END

#endif
