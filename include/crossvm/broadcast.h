/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/broadcast.h - a stream from one writer to any number of readers, each of which learns
 * exactly how many elements it lost.
 *
 * Layer 3. Roles: one writer, which never waits; readers in any number through read-only mappings,
 * each at its own pace, with a private handle and nothing of its own in shared memory.
 *
 * Shared bytes of the chunk (kind BROADCAST; the first two rows and the slots are slots.h):
 *
 *   offset        size    writer  name       meaning
 *   0             4       writer  latest     low word of the newest element's number
 *   4             4       owner   epoch      the chunk's generation
 *   8             120     -       words      zero
 *   128           stride  writer  slot 0     64 bytes of slot header, then the element
 *   128 + stride  stride  writer  slot 1     ... n slots
 *
 * Element number v, from 1, is version v of slots.h, in slot v mod n. In a slot's header: len is
 * the element's length; check and times are zero.
 *
 * Ordering edges: those of slots.h (slot_*, chunk_epoch). A batch is several marks, then `latest`
 * once: what slot_latest brings is the marks of all of them.
 *
 * The writer announces at most n/2 elements at once. So whatever it is writing, and wherever it
 * died, the newest n/2 elements are whole: no slot of theirs is begun again before `latest` has
 * moved on. Another mark there, under the same `latest`, is proof of a faulty writer; in the older
 * half only the marks of a write that is under way are possible.
 *
 * A number is counted once: a reader's handle knows the number that comes next, and all below it
 * were read or lost. What a slot holds is known by all 64 bits of its number, so that a reader
 * counts right however far behind it is.
 */
#ifndef CROSSVM_BROADCAST_H
#define CROSSVM_BROADCAST_H

#include "region.h"

CROSSVM_EXTERN_C_BEGIN

/* Attempts to read one element while the writer goes on, before a call answers TORN. */
#define CROSSVM_BROADCAST_TRIES 16u

/* Where a reader begins. */
enum crossvm_broadcast_start {
    CROSSVM_BROADCAST_NEWEST = 0, /* with the newest element there is, or the first one to come */
    CROSSVM_BROADCAST_OLDEST = 1  /* with the oldest one that may be left */
};

/* What a reader learns beside the element. */
struct crossvm_broadcast_info {
    uint64_t number; /* 1 for the first one published */
    uint64_t lost;   /* elements in front of it that this handle did not get */
    uint32_t len;    /* bytes of the element */
};

/* A reader's handle; copies of it are independent. */
struct crossvm_broadcast_reader {
    struct crossvm_slots slots; /* where they lie */
    const unsigned char *base;  /* of the region */
    uint32_t elem_len;          /* room in a slot */
    uint64_t next;              /* the number that comes next: all below are read or lost */
    uint64_t newest;            /* the newest number that is known, 0 = none */
    uint64_t n_lost;            /* elements lost since it was opened */
    struct crossvm_fault fault; /* why it answers CORRUPT */
};

/* The writer's handle. */
struct crossvm_broadcast_writer {
    struct crossvm_slots slots; /* where they lie */
    uint32_t elem_len;          /* room in a slot */
    uint64_t number;            /* of the newest element, 0 = none */
    struct crossvm_fault fault; /* why it answers CORRUPT */
};

/* ---- reader ------------------------------------------------------------------------------- */

CROSSVM_INLINE int crossvm_i_broadcast_fault(struct crossvm_broadcast_reader *reader,
                                             const void *where, uint64_t value, uint32_t rule)
{
    uint64_t off = (uint64_t)((const unsigned char *)where - reader->base);
    return crossvm_i_fault(&reader->fault, off, value, rule);
}

/* Looks for the newest element. OK and reader->newest, 0 = none; TORN; STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_broadcast_look(struct crossvm_broadcast_reader *reader,
                                            struct crossvm_slot_ticket *ticket)
{
    int status = crossvm_slots_reader_open(&reader->slots, ticket);
    if (status == CROSSVM_CORRUPT) {
        return crossvm_i_broadcast_fault(reader, &ticket->slot->mark, ticket->mark,
                                         CROSSVM_RULE_SLOT_MARK);
    }
    if (status != CROSSVM_OK && status != CROSSVM_NOT_YET) {
        return status;
    }
    if (ticket->version < reader->newest) {
        /* A chunk that was renewed meanwhile, else impossible. */
        status = crossvm_slots_reader_close(&reader->slots, ticket);
        return status != CROSSVM_OK
                   ? status
                   : crossvm_i_broadcast_fault(reader, &ticket->slot->mark, ticket->mark,
                                               CROSSVM_RULE_SLOT_BACKWARD);
    }
    reader->newest = ticket->version;
    return CROSSVM_OK;
}

/* Says why the slot of a published number bears another mark, right after `latest` was looked at.
 * TORN a later element took the slot, or is about to; STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_broadcast_taken(struct crossvm_broadcast_reader *reader,
                                             const struct crossvm_slot_ticket *ticket,
                                             uint64_t number)
{
    const struct crossvm_slots *slots = &reader->slots;
    uint32_t next_mark = (uint32_t)(number + slots->n_slots) << 1;
    if (crossvm_load_relaxed(&slots->control->epoch) != slots->epoch) {
        return CROSSVM_STALE;
    }
    if (crossvm_load_relaxed(&slots->control->latest) != (uint32_t)reader->newest) {
        return CROSSVM_TORN;
    }
    /* Nothing was announced since (slot_begin): only the older half can have been begun again. */
    if (reader->newest - number >= slots->n_slots / 2 && next_mark - ticket->mark <= 1) {
        return CROSSVM_TORN;
    }
    return crossvm_i_broadcast_fault(reader, &ticket->slot->mark, ticket->mark,
                                     CROSSVM_RULE_SLOT_MARK);
}

/* How many of the newest elements to hope for, when the oldest of n_kept was gone. A writer that
 * moves on is half the slots away at most; one that stands still began a batch, or died in one, and
 * nothing but that batch is stepped over: 1, 5, 21 ... elements, until it is. */
CROSSVM_INLINE uint32_t crossvm_i_broadcast_keep(uint32_t n_slots, uint32_t n_kept, bool moved)
{
    uint32_t gone = 4 * (n_slots - n_kept) + 1;
    return moved || gone > n_slots / 2 ? n_slots / 2 : n_slots - gone;
}

/* What one call knows while it looks for an element that is still there. */
struct crossvm_i_broadcast_search {
    struct crossvm_slot_ticket ticket; /* the element's slot */
    uint64_t number;                   /* the element's */
    uint32_t n_kept;                   /* of the newest elements, so many may be left */
    bool behind;                       /* the number that comes next is not there, or not yet */
    bool looked;                       /* an attempt with a fresh `latest` failed */
};

/* Opens the oldest element that is left and comes next or later: one attempt. OK; EMPTY nothing was
 * published since; TORN; STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_broadcast_open(struct crossvm_broadcast_reader *reader,
                                            struct crossvm_i_broadcast_search *search)
{
    struct crossvm_slot_ticket *ticket = &search->ticket;
    search->number = reader->next;
    if (search->behind) {
        uint64_t before = reader->newest;
        int status = crossvm_i_broadcast_look(reader, ticket);
        if (status != CROSSVM_OK) {
            return status;
        }
        if (reader->newest < reader->next) {
            return CROSSVM_EMPTY;
        }
        if (search->looked) {
            search->n_kept = crossvm_i_broadcast_keep(reader->slots.n_slots, search->n_kept,
                                                      reader->newest != before);
        }
        search->looked = true;
        if (reader->newest - reader->next >= search->n_kept) {
            search->number = reader->newest - search->n_kept + 1;
        }
        if (search->number == reader->newest) {
            return CROSSVM_OK;
        }
    }
    crossvm_i_slots_look(&reader->slots, (uint32_t)search->number, ticket);
    if (crossvm_i_slots_judge(ticket, (uint32_t)search->number) == CROSSVM_OK &&
        ticket->version == search->number) {
        return CROSSVM_OK;
    }
    return search->behind ? crossvm_i_broadcast_taken(reader, ticket, search->number)
                          : CROSSVM_TORN;
}

/* Copies what was opened, at most dst_len bytes of it. OK; TORN; STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_broadcast_copy(struct crossvm_broadcast_reader *reader,
                                            const struct crossvm_slot_ticket *ticket, void *dst,
                                            size_t dst_len, uint32_t *len)
{
    *len = crossvm_load_relaxed(&ticket->slot->len);
    if (*len <= reader->elem_len) {
        crossvm_i_slots_copy_in(&reader->slots, dst, ticket->payload, crossvm_i_min(*len, dst_len));
    }
    int status = crossvm_slots_reader_close(&reader->slots, ticket);
    if (status == CROSSVM_OK && *len > reader->elem_len) {
        return crossvm_i_broadcast_fault(reader, &ticket->slot->len, *len, CROSSVM_RULE_SLOT_LEN);
    }
    return status;
}

/* Looks where the reader begins. OK; TORN; STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_broadcast_begin(struct crossvm_broadcast_reader *reader,
                                             enum crossvm_broadcast_start start)
{
    struct crossvm_slot_ticket ticket;
    int status = CROSSVM_TORN;
    for (uint32_t i = 0; i < CROSSVM_BROADCAST_TRIES && status == CROSSVM_TORN; i++) {
        status = crossvm_i_broadcast_look(reader, &ticket);
    }
    uint64_t n_back = start == CROSSVM_BROADCAST_OLDEST ? reader->slots.n_slots : 1;
    reader->next = reader->newest < n_back ? 1 : reader->newest - n_back + 1;
    return status;
}

/* Opens a BROADCAST chunk for reading. start: an enum crossvm_broadcast_start, seen from now: what
 * is published behind this call is read or counted as lost. With OLDEST that goes for the n - 1
 * elements in front of the newest one, too: one of them that is gone when it is read counts as
 * lost. Role: reader, any number. Progress: at most CROSSVM_BROADCAST_TRIES looks.
 * OK; TYPE not a BROADCAST; INVALID no chunk of this region, or no such start; ROLE the rights do
 * not allow it; TORN the writer was faster each time, open again; STALE it was released or renewed:
 * find it again; CORRUPT with reader->fault, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_reader_open(
    struct crossvm_broadcast_reader *reader, const struct crossvm_region *region,
    const struct crossvm_chunk *chunk, enum crossvm_broadcast_start start)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_BROADCAST, CROSSVM_I_READER);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (start != CROSSVM_BROADCAST_NEWEST && start != CROSSVM_BROADCAST_OLDEST) {
        return CROSSVM_INVALID;
    }
    __builtin_memset(reader, 0, sizeof(*reader));
    crossvm_i_chunk_slots(&reader->slots, region, chunk);
    crossvm_i_fault_in(&reader->fault, region);
    reader->base = region->base;
    reader->elem_len = (uint32_t)chunk->len;
    return crossvm_i_broadcast_begin(reader, start);
}

/* All of crossvm_broadcast_reader_read: too much to stand in each place that calls it. */
CROSSVM_NOINLINE int crossvm_i_broadcast_read(struct crossvm_broadcast_reader *reader, void *dst,
                                              size_t dst_len, struct crossvm_broadcast_info *info)
{
    struct crossvm_i_broadcast_search search;
    uint32_t len = 0;
    int status = CROSSVM_TORN;
    if (reader->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    search.n_kept = reader->slots.n_slots;
    search.behind = reader->next > reader->newest;
    search.looked = false;
    for (uint32_t i = 0; i < CROSSVM_BROADCAST_TRIES && status == CROSSVM_TORN; i++) {
        status = crossvm_i_broadcast_open(reader, &search);
        if (status == CROSSVM_OK) {
            status = crossvm_i_broadcast_copy(reader, &search.ticket, dst, dst_len, &len);
        }
        search.behind = true;
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    uint64_t lost = search.number - reader->next;
    if (info != NULL) {
        info->number = search.number;
        info->lost = lost;
        info->len = len;
    }
    if (len > dst_len) {
        return CROSSVM_NO_SPACE;
    }
    reader->n_lost += lost;
    reader->next = search.number + 1;
    return CROSSVM_OK;
}

/* Copies the next element that is left, at most dst_len bytes of it. Role: reader.
 * Progress: at most CROSSVM_BROADCAST_TRIES attempts, each bounded by the element's length.
 * Trust: number and length are judged; what is in the element is the writer's, judge it. info: may
 * be NULL. Unless OK nothing counts as read or lost; numbers that were skipped over are counted
 * with the element behind them, in info->lost and reader->n_lost.
 * OK; EMPTY nothing was published since; TORN the writer was faster each time, call again; NO_SPACE
 * the element is longer than dst_len: info says its length, dst is not to be used, and it comes
 * next again; STALE the chunk is gone; CORRUPT with reader->fault, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_reader_read(
    struct crossvm_broadcast_reader *reader, void *dst, size_t dst_len,
    struct crossvm_broadcast_info *info)
{
    return crossvm_i_broadcast_read(reader, dst, dst_len, info);
}

/* Copies up to n elements, as many as are left. dst: room for n of them, one behind the other.
 * elem_len: bytes of room for each. infos: one for each element, or NULL. Role: reader. Progress
 * and trust: as crossvm_broadcast_reader_read, for each element.
 * The number of elements, 0 only for n = 0; a status as crossvm_broadcast_reader_read answers it
 * when there was none: what stopped a batch behind its first element shows at the next call. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_reader_read_n(
    struct crossvm_broadcast_reader *reader, void *dst, size_t elem_len, uint32_t n,
    struct crossvm_broadcast_info *infos)
{
    unsigned char *to = (unsigned char *)dst;
    int n_read = 0;
    while ((uint32_t)n_read < n && n_read < 0x7fffffff) {
        int status = crossvm_broadcast_reader_read(reader, to, elem_len,
                                                   infos == NULL ? NULL : infos + n_read);
        if (status != CROSSVM_OK) {
            return n_read == 0 ? status : n_read;
        }
        n_read++;
        to += elem_len;
    }
    return n_read;
}

/* The last number that this handle has read or counted as lost. Its low word is the event for
 * wake.h that rings for the next element. Role: the reader. */
CROSSVM_INLINE uint64_t
crossvm_broadcast_reader_number(const struct crossvm_broadcast_reader *reader)
{
    return reader->next - 1;
}

/* How many elements were published that this handle has neither read nor lost: 0 to 2^31 - 1; some
 * may be overwritten before they are read. Role: the reader. Wait-free. STALE; CORRUPT, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_reader_newer(
    const struct crossvm_broadcast_reader *reader)
{
    if (reader->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    return crossvm_slots_reader_newer(&reader->slots, crossvm_broadcast_reader_number(reader));
}

/* ---- writer ------------------------------------------------------------------------------- */

/* Opens a BROADCAST chunk for writing, the first time or after a restart: numbers go on behind the
 * newest element that was announced. Role: the chunk's writer, alone. Wait-free. Trust: the
 * writer's own old words are judged like a stranger's. OK; TYPE; INVALID; ROLE also for a read-only
 * mapping; STALE; CORRUPT with writer->fault: the owner has to renew the chunk. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_writer_open(
    struct crossvm_broadcast_writer *writer, const struct crossvm_region *region,
    const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_BROADCAST, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(writer, 0, sizeof(*writer));
    crossvm_i_chunk_slots(&writer->slots, region, chunk);
    writer->elem_len = (uint32_t)chunk->len;
    crossvm_i_fault_in(&writer->fault, region);
    return crossvm_slots_writer_resume(&writer->slots, region->base, &writer->number,
                                       &writer->fault);
}

/* Whether anything may be written. OK; CORRUPT open answered so; STALE. */
CROSSVM_INLINE int crossvm_i_broadcast_ready(const struct crossvm_broadcast_writer *writer)
{
    if (writer->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    return crossvm_load_relaxed(&writer->slots.control->epoch) != writer->slots.epoch
               ? CROSSVM_STALE
               : CROSSVM_OK;
}

/* Writes the next element; nobody reads it before it is announced. */
CROSSVM_INLINE void crossvm_i_broadcast_put(struct crossvm_broadcast_writer *writer,
                                            const void *elem, uint32_t len)
{
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(&writer->slots, writer->number + 1);
    crossvm_i_slots_copy_out(&writer->slots, crossvm_i_slot_payload(slot), elem, len);
    crossvm_store_relaxed(&slot->len, len);
    writer->number++;
    crossvm_i_slots_complete(slot, writer->number);
}

/* Publishes len bytes of elem as the next element. Role: the writer. Wait-free, bounded by len.
 * OK; INVALID len exceeds the slot's room; STALE the chunk is gone; CORRUPT open answered so.
 * Unless OK nothing is published. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_writer_publish(
    struct crossvm_broadcast_writer *writer, const void *elem, uint32_t len)
{
    if (len > writer->elem_len) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_broadcast_ready(writer);
    if (status == CROSSVM_OK) {
        crossvm_i_broadcast_put(writer, elem, len);
        crossvm_i_slots_announce(&writer->slots, writer->number);
    }
    return status;
}

/* Publishes n elements of elem_len bytes each, one behind the other, half as many at once as there
 * are slots: so n may exceed the slots, and then takes the first of them away again, as single
 * publications would. elem_len: bytes of each. Role: the writer. Wait-free, bounded by n and
 * elem_len. OK, and 0 elements are nothing; INVALID elem_len exceeds the slot's room, nothing is
 * published; CORRUPT open answered so, nothing is published; STALE the chunk is gone, and what was
 * published of the batch with it. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_broadcast_writer_publish_n(
    struct crossvm_broadcast_writer *writer, const void *elems, uint32_t elem_len, uint32_t n)
{
    const unsigned char *from = (const unsigned char *)elems;
    if (elem_len > writer->elem_len) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_broadcast_ready(writer);
    for (uint32_t left = n; left != 0 && status == CROSSVM_OK;) {
        crossvm_i_broadcast_put(writer, from, elem_len);
        from += elem_len;
        left--;
        if (left == 0 || ((n - left) & (writer->slots.n_slots / 2 - 1)) == 0) {
            crossvm_i_slots_announce(&writer->slots, writer->number);
            status = left != 0 ? crossvm_i_broadcast_ready(writer) : status;
        }
    }
    return status;
}

/* The number of the newest element that this writer has published, 0 = none. Its low word is the
 * index for wake.h. Role: the writer. */
CROSSVM_INLINE uint64_t
crossvm_broadcast_writer_number(const struct crossvm_broadcast_writer *writer)
{
    return writer->number;
}

CROSSVM_EXTERN_C_END

#endif
