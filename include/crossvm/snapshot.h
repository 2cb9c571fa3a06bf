/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/snapshot.h - the latest value of a state, consistent, with its times.
 *
 * Layer 3. Roles: one writer, which never waits; readers in any number through read-only mappings,
 * each with a private handle and nothing of its own in shared memory.
 *
 * Shared bytes of the chunk (kind SNAPSHOT; the first two rows and the slots are slots.h):
 *
 *   offset        size    writer  name       meaning
 *   0             4       writer  latest     low word of the newest version
 *   4             4       owner   epoch      the chunk's generation
 *   8             120     -       words      zero
 *   128           stride  writer  slot 0     64 bytes of slot header, then the payload
 *   128 + stride  stride  writer  slot 1     ... n slots
 *
 * In a slot's header: len is the payload's length, sampled and published are the writer's times in
 * ns of the region's clock domain, 0 = not given; check is zero.
 *
 * Ordering edges: those of slots.h (slot_*, chunk_epoch).
 *
 * A version is complete or it is not there: a writer that dies in the middle leaves the newest
 * complete version readable, and one that restarts goes on from it. With two slots (a double
 * buffer) a reader that is slower than one publication period has to try again; with four it
 * hardly ever has to.
 */
#ifndef CROSSVM_SNAPSHOT_H
#define CROSSVM_SNAPSHOT_H

#include "region.h"

CROSSVM_EXTERN_C_BEGIN

/* Attempts to read one version while the writer goes on, before a call answers TORN. */
#define CROSSVM_SNAPSHOT_TRIES 16u

/* What a reader learns beside the payload. */
struct crossvm_snapshot_info {
    uint64_t version;      /* 1 for the first one published */
    uint64_t sampled_ns;   /* when the state was taken, 0 = not given */
    uint64_t published_ns; /* when it was published, 0 = not given */
    uint64_t missed;       /* versions between this handle's last read and this one */
    uint32_t len;          /* bytes of payload */
};

/* One field of a partial read. */
struct crossvm_snapshot_part {
    uint32_t off; /* from the payload's start */
    uint32_t len; /* bytes */
    void *dst;    /* where they go */
};

/* A version that is being read in place. */
struct crossvm_snapshot_view {
    struct crossvm_slot_ticket ticket; /* the slot as it was at the peek */
    struct crossvm_snapshot_info info; /* of the version */
};

/* A reader's handle; copies of it are independent. */
struct crossvm_snapshot_reader {
    struct crossvm_slots slots; /* where they lie */
    const unsigned char *base;  /* of the region */
    uint32_t payload_len;       /* room in a slot */
    uint64_t last;              /* the version that was read last, 0 = none */
    size_t again_len;           /* its length, 0 = it is not to be copied again without a look */
    struct crossvm_snapshot_view again; /* as it was opened */
    struct crossvm_fault fault;         /* why it answers CORRUPT */
};

/* The writer's handle. */
struct crossvm_snapshot_writer {
    struct crossvm_slots slots;       /* where they lie */
    uint32_t payload_len;             /* room in a slot */
    uint32_t len;                     /* of the newest version */
    uint64_t version;                 /* the newest one, 0 = none */
    struct crossvm_slot_shm *pending; /* the slot between begin and commit */
    struct crossvm_fault fault;       /* why it answers CORRUPT */
};

/* ---- reader ------------------------------------------------------------------------------- */

/* Opens a SNAPSHOT chunk for reading. Role: reader, any number. Wait-free.
 * OK; TYPE not a SNAPSHOT; INVALID no chunk of this region; ROLE the rights do not allow it; STALE
 * it was released or renewed: find it again. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_open(
    struct crossvm_snapshot_reader *reader, const struct crossvm_region *region,
    const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_SNAPSHOT, CROSSVM_I_READER);
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(reader, 0, sizeof(*reader));
    crossvm_i_chunk_slots(&reader->slots, region, chunk);
    crossvm_i_fault_in(&reader->fault, region);
    reader->base = region->base;
    reader->payload_len = (uint32_t)chunk->len;
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_snapshot_fault(struct crossvm_snapshot_reader *reader,
                                            const void *where, uint64_t value, uint32_t rule)
{
    uint64_t off = (uint64_t)((const unsigned char *)where - reader->base);
    reader->again_len = 0;
    return crossvm_i_fault(&reader->fault, off, value, rule);
}

/* Loads what stands beside the payload of an opened version, and judges it. */
CROSSVM_INLINE int crossvm_i_snapshot_describe(struct crossvm_snapshot_reader *reader,
                                               struct crossvm_snapshot_view *view)
{
    const struct crossvm_slot_shm *slot = view->ticket.slot;
    struct crossvm_snapshot_info *info = &view->info;
    info->version = view->ticket.version;
    info->sampled_ns = crossvm_load_pair(&slot->sampled_lo, &slot->sampled_hi);
    info->published_ns = crossvm_load_pair(&slot->published_lo, &slot->published_hi);
    info->len = crossvm_load_relaxed(&slot->len);
    info->missed = 0;
    if (reader->last != 0 && info->version > reader->last) {
        info->missed = info->version - reader->last - 1;
    }
    if (info->len > reader->payload_len) {
        int status = crossvm_slots_reader_close(&reader->slots, &view->ticket);
        if (status == CROSSVM_OK) {
            status = crossvm_i_snapshot_fault(reader, &slot->len, info->len, CROSSVM_RULE_SLOT_LEN);
        }
        return status;
    }
    return CROSSVM_OK;
}

/* An older version than the last one: a chunk that was renewed meanwhile, else impossible. */
CROSSVM_INLINE int crossvm_i_snapshot_backward(struct crossvm_snapshot_reader *reader,
                                               const struct crossvm_snapshot_view *view)
{
    int status = crossvm_slots_reader_close(&reader->slots, &view->ticket);
    if (status != CROSSVM_OK) {
        return status;
    }
    return crossvm_i_snapshot_fault(reader, &view->ticket.slot->mark, view->ticket.mark,
                                    CROSSVM_RULE_SLOT_BACKWARD);
}

/* Opens the newest version to read it in place: crossvm_snapshot_reader_get takes from it, and
 * nothing taken may be used before crossvm_snapshot_reader_done has answered 0 or 1. Role: reader.
 * Wait-free, one attempt. Trust: version, length and marks are judged; contents are not.
 * OK and the view; NOT_YET; TORN try again; STALE the chunk is gone; CORRUPT with reader->fault,
 * and from then on always. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_peek(
    struct crossvm_snapshot_reader *reader, struct crossvm_snapshot_view *view)
{
    if (reader->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    int status = crossvm_slots_reader_open(&reader->slots, &view->ticket);
    if (status == CROSSVM_CORRUPT) {
        return crossvm_i_snapshot_fault(reader, &view->ticket.slot->mark, view->ticket.mark,
                                        CROSSVM_RULE_SLOT_MARK);
    }
    if (status == CROSSVM_NOT_YET && reader->last != 0) {
        return crossvm_i_snapshot_fault(reader, &view->ticket.slot->mark, view->ticket.mark,
                                        CROSSVM_RULE_SLOT_BACKWARD);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    if (view->ticket.version < reader->last) {
        return crossvm_i_snapshot_backward(reader, view);
    }
    return crossvm_i_snapshot_describe(reader, view);
}

/* Copies len bytes at off of the version that is being read in place. Role: reader. Wait-free,
 * bounded by len. OK; INVALID outside the version's payload (or the slot is being rewritten: only
 * done decides). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_get(
    const struct crossvm_snapshot_reader *reader, const struct crossvm_snapshot_view *view,
    uint32_t off, void *dst, size_t len)
{
    if (off > view->info.len || len > view->info.len - off) {
        return CROSSVM_INVALID;
    }
    crossvm_i_slots_copy_in(&reader->slots, dst, view->ticket.payload + off, len);
    return CROSSVM_OK;
}

/* The payload in place: the contract path. Loads through it are races under C11 whenever the
 * writer comes round to the slot; they are harmless where the compiler takes each byte once, and
 * only with crossvm_snapshot_reader_done behind them. Everything under it can change at any
 * moment: prefer crossvm_snapshot_reader_get. */
CROSSVM_INLINE const void *crossvm_snapshot_reader_raw(const struct crossvm_snapshot_view *view)
{
    return view->ticket.payload;
}

/* Says whether everything taken since the peek belongs to that one version. Role: reader.
 * Wait-free. 1 yes, a newer version than this handle has read; 0 yes, one that is not newer;
 * TORN overwritten meanwhile, peek again; STALE the chunk is gone. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_done(
    struct crossvm_snapshot_reader *reader, const struct crossvm_snapshot_view *view)
{
    crossvm_i_read_once();
    int status = crossvm_slots_reader_close(&reader->slots, &view->ticket);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (view->info.version <= reader->last) {
        return 0;
    }
    reader->last = view->info.version;
    reader->again_len = 0;
    return 1;
}

/* Copies several fields of one version, consistent with each other. Role: reader.
 * Progress: at most CROSSVM_SNAPSHOT_TRIES attempts, each bounded by the parts' lengths.
 * Trust: what is in the parts is the writer's; judge it. info: may be NULL.
 * 1 a new version; 0 the same as last time; NOT_YET nothing published; INVALID a part lies outside
 * the payload; TORN the writer was faster each time; STALE; CORRUPT with reader->fault, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_read_parts(
    struct crossvm_snapshot_reader *reader, const struct crossvm_snapshot_part *parts,
    size_t n_parts, struct crossvm_snapshot_info *info)
{
    struct crossvm_snapshot_view view;
    uint64_t last = reader->last;
    int status = CROSSVM_TORN;
    for (uint32_t i = 0; i < CROSSVM_SNAPSHOT_TRIES && status == CROSSVM_TORN; i++) {
        status = crossvm_snapshot_reader_peek(reader, &view);
        bool outside = false;
        for (size_t k = 0; status == CROSSVM_OK && k < n_parts; k++) {
            outside |= crossvm_snapshot_reader_get(reader, &view, parts[k].off, parts[k].dst,
                                                   parts[k].len) != CROSSVM_OK;
        }
        if (status == CROSSVM_OK) {
            status = crossvm_snapshot_reader_done(reader, &view);
        }
        if (status >= 0 && outside) {
            reader->last = last;
            return CROSSVM_INVALID;
        }
    }
    if (status >= 0 && info != NULL) {
        *info = view.info;
    }
    return status;
}

/* The version after the last one is on its way while `latest` is. */
CROSSVM_INLINE void crossvm_i_snapshot_expect(const struct crossvm_snapshot_reader *reader)
{
    const struct crossvm_slot_shm *next =
        crossvm_i_slot(&reader->slots, (uint32_t)reader->last + 1);
    if (!reader->slots.device) {
        crossvm_cpu_prefetch(next);
        crossvm_cpu_prefetch(next + 1);
    }
}

/* Every case of crossvm_snapshot_reader_read. What it opens stays open for the next call. */
CROSSVM_NOINLINE int crossvm_i_snapshot_read(struct crossvm_snapshot_reader *reader, void *dst,
                                             size_t dst_len, struct crossvm_snapshot_info *info)
{
    struct crossvm_snapshot_view *view = &reader->again;
    uint64_t last = reader->last;
    int status = CROSSVM_TORN;
    reader->again_len = 0;
    for (uint32_t i = 0; i < CROSSVM_SNAPSHOT_TRIES && status == CROSSVM_TORN; i++) {
        crossvm_i_snapshot_expect(reader);
        status = crossvm_snapshot_reader_peek(reader, view);
        if (status == CROSSVM_OK) {
            size_t len = crossvm_i_min(view->info.len, dst_len);
            crossvm_i_slots_copy_in(&reader->slots, dst, view->ticket.payload, len);
            status = crossvm_snapshot_reader_done(reader, view);
        }
    }
    if (status < 0) {
        return status;
    }
    if (info != NULL) {
        *info = view->info;
    }
    if (view->info.len > dst_len) {
        reader->last = last;
        return CROSSVM_NO_SPACE;
    }
    view->info.missed = 0;
    reader->again_len = reader->slots.device ? 0 : view->info.len;
    return status;
}

/* Copies the newest version whole, at most dst_len bytes of it: info->len says how many there are.
 * Role, progress, trust, statuses as crossvm_snapshot_reader_read_parts, with one attempt more
 * where nothing looks new at first; and NO_SPACE the version is longer than dst_len: info says its
 * length, dst is not to be used, and it does not count as read. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_read(
    struct crossvm_snapshot_reader *reader, void *dst, size_t dst_len,
    struct crossvm_snapshot_info *info)
{
    /* Copies of the handle's own stay in registers, whatever the payload's copy may overwrite. */
    const struct crossvm_slots slots = reader->slots;
    const struct crossvm_slot_ticket ticket = reader->again.ticket;
    const size_t len = reader->again_len;
    /* Nothing new: the version is still open, and only has to be closed again behind the copy. */
    if (len - 1 < dst_len &&
        crossvm_load_relaxed(&slots.control->latest) == (uint32_t)reader->last &&
        crossvm_load_relaxed(&ticket.slot->len) == len) {
        crossvm_copy_in(dst, ticket.payload, len);
        if (crossvm_slots_reader_close(&slots, &ticket) == CROSSVM_OK) {
            if (info != NULL) {
                *info = reader->again.info;
            }
            return 0;
        }
    }
    return crossvm_i_snapshot_read(reader, dst, dst_len, info);
}

/* Copies one given version, as long as its slot still holds it: of its slots the writer takes the
 * oldest one away when it begins the next version. version: its number. Role: reader. Progress:
 * wait-free, one attempt. info->missed is 0. OK; NOT_FOUND not published yet, or overwritten (also
 * while copying); NO_SPACE longer than dst_len; STALE; CORRUPT with reader->fault, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_read_version(
    struct crossvm_snapshot_reader *reader, uint64_t version, void *dst, size_t dst_len,
    struct crossvm_snapshot_info *info)
{
    struct crossvm_snapshot_view view;
    if (reader->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    int status = crossvm_slots_reader_open_version(&reader->slots, version, &view.ticket);
    if (status == CROSSVM_OK) {
        status = crossvm_i_snapshot_describe(reader, &view);
    }
    if (status == CROSSVM_OK) {
        size_t len = crossvm_i_min(view.info.len, dst_len);
        crossvm_i_slots_copy_in(&reader->slots, dst, view.ticket.payload, len);
        status = crossvm_slots_reader_close(&reader->slots, &view.ticket);
    }
    if (status == CROSSVM_OK) {
        view.info.missed = 0;
        if (info != NULL) {
            *info = view.info;
        }
        return view.info.len > dst_len ? CROSSVM_NO_SPACE : CROSSVM_OK;
    }
    return status == CROSSVM_TORN ? CROSSVM_NOT_FOUND : status;
}

/* Whether what was read is older than max_age_ns. now_ns: the time now, of the same clock (clock.h
 * says whether it is). max_age_ns: from when on it is stale. A time that was not given, or that
 * lies in the future, is never fresh. Pure. */
CROSSVM_INLINE bool crossvm_snapshot_is_stale(const struct crossvm_snapshot_info *info,
                                              uint64_t now_ns, uint64_t max_age_ns)
{
    uint64_t taken = info->sampled_ns != 0 ? info->sampled_ns : info->published_ns;
    return taken == 0 || now_ns < taken || now_ns - taken > max_age_ns;
}

/* How many versions are newer than the one that was read last: 0 to 2^31 - 1. Role: the reader.
 * Wait-free. STALE the chunk is gone; CORRUPT, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_reader_newer(
    const struct crossvm_snapshot_reader *reader)
{
    if (reader->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    return crossvm_slots_reader_newer(&reader->slots, reader->last);
}

/* ---- writer ------------------------------------------------------------------------------- */

/* Opens a SNAPSHOT chunk for writing, the first time or after a restart: versions go on from the
 * newest complete one. Role: the chunk's writer, alone. Wait-free. Trust: the writer's own old
 * words are judged like a stranger's. OK; TYPE; INVALID; ROLE also for a read-only mapping; STALE;
 * CORRUPT with writer->fault: the owner has to renew the chunk. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_writer_open(
    struct crossvm_snapshot_writer *writer, const struct crossvm_region *region,
    const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_SNAPSHOT, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(writer, 0, sizeof(*writer));
    crossvm_i_chunk_slots(&writer->slots, region, chunk);
    writer->payload_len = (uint32_t)chunk->len;
    crossvm_i_fault_in(&writer->fault, region);
    status =
        crossvm_slots_writer_resume(&writer->slots, region->base, &writer->version, &writer->fault);
    if (status != CROSSVM_OK || writer->version == 0) {
        return status;
    }
    const struct crossvm_slot_shm *newest =
        crossvm_i_slot(&writer->slots, (uint32_t)writer->version);
    uint32_t len = crossvm_load_relaxed(&newest->len);
    if (len > writer->payload_len) {
        CROSSVM_FENCE_ACQUIRE(chunk_epoch, &newest->len);
        if (crossvm_load_relaxed(&writer->slots.control->epoch) != writer->slots.epoch) {
            return CROSSVM_STALE;
        }
        return crossvm_i_fault(&writer->fault,
                               (uint64_t)((const unsigned char *)&newest->len - region->base), len,
                               CROSSVM_RULE_SLOT_LEN);
    }
    writer->len = len;
    return CROSSVM_OK;
}

/* Copies the newest version into the slot that is being written. */
CROSSVM_INLINE void crossvm_i_snapshot_carry(struct crossvm_snapshot_writer *writer,
                                             struct crossvm_slot_shm *to)
{
    unsigned char bounce[256];
    struct crossvm_slot_shm *from = crossvm_i_slot(&writer->slots, (uint32_t)writer->version);
    uint32_t left = writer->version == 0 ? 0 : writer->len;
    for (uint32_t off = 0; left != 0;) {
        uint32_t part = left < sizeof(bounce) ? left : (uint32_t)sizeof(bounce);
        crossvm_i_slots_copy_in(&writer->slots, bounce, crossvm_i_slot_payload(from) + off, part);
        crossvm_i_slots_copy_out(&writer->slots, crossvm_i_slot_payload(to) + off, bounce, part);
        off += part;
        left -= part;
    }
}

/* Begins the next version in place. Beginning again starts the same version over. carry: copies the
 * newest version into it first; otherwise it holds whatever an older version left there. Role: the
 * writer. Wait-free, bounded by the payload's length.
 * OK; STALE the chunk is gone; CORRUPT open answered so; nothing is written then. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_writer_begin(
    struct crossvm_snapshot_writer *writer, bool carry)
{
    if (writer->fault.rule != CROSSVM_RULE_NONE) {
        return CROSSVM_CORRUPT;
    }
    if (crossvm_load_relaxed(&writer->slots.control->epoch) != writer->slots.epoch) {
        return CROSSVM_STALE;
    }
    writer->pending = crossvm_slots_writer_begin(&writer->slots, writer->version + 1);
    if (carry) {
        crossvm_i_snapshot_carry(writer, writer->pending);
    }
    return CROSSVM_OK;
}

/* Copies len bytes from src to off of the version that was begun. Role: the writer. Wait-free.
 * OK; INVALID nothing begun, or outside the slot's payload. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_writer_put(
    struct crossvm_snapshot_writer *writer, uint32_t off, const void *src, size_t len)
{
    if (writer->pending == NULL || off > writer->payload_len || len > writer->payload_len - off) {
        return CROSSVM_INVALID;
    }
    crossvm_i_slots_copy_out(&writer->slots, crossvm_i_slot_payload(writer->pending) + off, src,
                             len);
    return CROSSVM_OK;
}

/* The payload of the version that was begun, in place: the contract path. Stores through it are
 * races under C11 with readers that still look at the slot's old version; those readers throw away
 * what they saw. NULL when nothing is begun. Role: the writer. */
CROSSVM_INLINE void *crossvm_snapshot_writer_raw(struct crossvm_snapshot_writer *writer)
{
    return writer->pending == NULL ? NULL : crossvm_i_slot_payload(writer->pending);
}

/* Publishes the version that was begun, len bytes of it. sampled_ns, published_ns: times of the
 * region's clock domain, 0 = not given. Role: the writer. Wait-free.
 * OK; INVALID nothing begun, or len exceeds the slot's payload. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_writer_commit(
    struct crossvm_snapshot_writer *writer, uint32_t len, uint64_t sampled_ns,
    uint64_t published_ns)
{
    struct crossvm_slot_shm *slot = writer->pending;
    if (slot == NULL || len > writer->payload_len) {
        return CROSSVM_INVALID;
    }
    crossvm_store_relaxed(&slot->len, len);
    crossvm_store_pair(&slot->sampled_lo, &slot->sampled_hi, sampled_ns);
    crossvm_store_pair(&slot->published_lo, &slot->published_hi, published_ns);
    writer->version++;
    writer->len = len;
    writer->pending = NULL;
    crossvm_slots_writer_commit(&writer->slots, slot, writer->version);
    return CROSSVM_OK;
}

/* Publishes len bytes of src as the next version. sampled_ns, published_ns: as
 * crossvm_snapshot_writer_commit. Role: the writer. Wait-free, bounded by len.
 * OK; INVALID len exceeds the slot's payload; STALE the chunk is gone; CORRUPT open answered so.
 * Unless OK nothing is published. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_snapshot_writer_publish(
    struct crossvm_snapshot_writer *writer, const void *src, uint32_t len, uint64_t sampled_ns,
    uint64_t published_ns)
{
    if (len > writer->payload_len) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_snapshot_writer_begin(writer, false);
    if (status != CROSSVM_OK) {
        return status;
    }
    crossvm_i_slots_copy_out(&writer->slots, crossvm_i_slot_payload(writer->pending), src, len);
    return crossvm_snapshot_writer_commit(writer, len, sampled_ns, published_ns);
}

/* The newest version that this writer has published, 0 = none. Its low word is the index for
 * wake.h. Role: the writer. */
CROSSVM_INLINE uint64_t
crossvm_snapshot_writer_version(const struct crossvm_snapshot_writer *writer)
{
    return writer->version;
}

CROSSVM_EXTERN_C_END

#endif
