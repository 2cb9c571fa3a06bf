/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/bytes.h - plain objects in a chunk: typed, bounds-checked reads and writes.
 *
 * Layer 3. For configuration, tables and single values that need no version: an aligned 32-bit
 * word that is read and written by itself is never torn, anything larger may be half old and half
 * new. What must be consistent belongs into a snapshot.
 *
 * Roles: one writer; readers in any number, through read-only mappings.
 *
 * Shared bytes of the chunk (kind BYTES):
 *
 *   offset  size  writer  name   meaning
 *   0       4     -       index  zero
 *   4       4     owner   epoch  the chunk's generation
 *   8       120   -       words  zero
 *   128     len   writer  data   the application's own bytes
 *
 * Ordering edges: chunk_ready and chunk_epoch of region.h. Reads and writes of data are unordered.
 */
#ifndef CROSSVM_BYTES_H
#define CROSSVM_BYTES_H

#include "region.h"

CROSSVM_EXTERN_C_BEGIN

/* A reader's handle; copies of it are independent. */
struct crossvm_bytes_reader {
    const struct crossvm_chunk_shm *control; /* the chunk's first line */
    const unsigned char *data;               /* behind it */
    uint64_t len;                            /* bytes of data */
    uint32_t epoch;                          /* what control->epoch must be */
    bool device;                             /* uncached mapping: aligned words only */
};

/* The writer's handle. */
struct crossvm_bytes_writer {
    struct crossvm_chunk_shm *control; /* the chunk's first line */
    unsigned char *data;               /* behind it */
    uint64_t len;                      /* bytes of data */
    uint32_t epoch;                    /* what control->epoch must be */
    bool device;                       /* uncached mapping: aligned words only */
};

/* Opens a BYTES chunk for reading. Role: reader. Wait-free. OK; TYPE not a BYTES chunk; INVALID no
 * chunk of this region; ROLE the rights do not allow it; STALE it was released or renewed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bytes_reader_open(struct crossvm_bytes_reader *reader,
                                                               const struct crossvm_region *region,
                                                               const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_BYTES, CROSSVM_I_READER);
    if (status != CROSSVM_OK) {
        return status;
    }
    reader->control = crossvm_i_control(region, chunk);
    reader->data = region->base + (size_t)chunk->off + CROSSVM_LINE;
    reader->len = chunk->len;
    reader->epoch = chunk->generation;
    reader->device = region->device;
    return CROSSVM_OK;
}

/* Opens a BYTES chunk for writing. Role: the chunk's writer, alone. Wait-free.
 * OK; and as crossvm_bytes_reader_open, ROLE also for a read-only mapping. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bytes_writer_open(struct crossvm_bytes_writer *writer,
                                                               const struct crossvm_region *region,
                                                               const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_BYTES, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    writer->control = crossvm_i_control(region, chunk);
    writer->data = region->base + (size_t)chunk->off + CROSSVM_LINE;
    writer->len = chunk->len;
    writer->epoch = chunk->generation;
    writer->device = region->device;
    return CROSSVM_OK;
}

CROSSVM_ALWAYS_INLINE bool crossvm_i_within(uint64_t off, uint64_t len, uint64_t total)
{
    return off <= total && len <= total - off;
}

/* Copies len bytes at off to dst. Role: reader.
 * Progress: wait-free, bounded by len. Trust: dst holds the writer's bytes, copied once: judge dst.
 * OK; INVALID outside the chunk's data; STALE the chunk is gone, dst is not to be used. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bytes_reader_read(
    const struct crossvm_bytes_reader *reader, uint64_t off, void *dst, size_t len)
{
    if (!crossvm_i_within(off, len, reader->len)) {
        return CROSSVM_INVALID;
    }
    if (reader->device) {
        crossvm_copy_in_device(dst, reader->data + (size_t)off, len);
    } else {
        crossvm_copy_in(dst, reader->data + (size_t)off, len);
    }
    CROSSVM_FENCE_ACQUIRE(chunk_epoch, &reader->control->epoch);
    if (crossvm_load_relaxed(&reader->control->epoch) != reader->epoch) {
        return CROSSVM_STALE;
    }
    return CROSSVM_OK;
}

/* Copies len bytes from src to off. Role: the chunk's writer. Progress: wait-free, bounded by len.
 * OK; INVALID outside the chunk's data; STALE the chunk is gone, nothing is written. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bytes_writer_write(
    const struct crossvm_bytes_writer *writer, uint64_t off, const void *src, size_t len)
{
    if (!crossvm_i_within(off, len, writer->len)) {
        return CROSSVM_INVALID;
    }
    if (crossvm_load_relaxed(&writer->control->epoch) != writer->epoch) {
        return CROSSVM_STALE;
    }
    if (writer->device) {
        crossvm_copy_out_device(writer->data + (size_t)off, src, len);
    } else {
        crossvm_copy_out(writer->data + (size_t)off, src, len);
    }
    return CROSSVM_OK;
}

/* A pointer that must be of a field's own type: the difference to another type does not compile. */
#define CROSSVM_I_FIELD_POINTER(type, field, pointer) \
    ((void)sizeof((pointer) - &((type *)0)->field), (pointer))

/* Reads one field of an object of `type`. off: of the object, from the start of the data. dst: of
 * the field's own type. Statuses as crossvm_bytes_reader_read. */
#define CROSSVM_BYTES_READ_FIELD(reader, off, type, field, dst)          \
    crossvm_bytes_reader_read((reader), (off) + offsetof(type, field),   \
                              CROSSVM_I_FIELD_POINTER(type, field, dst), \
                              sizeof(((type *)0)->field))

/* Writes one field of an object of `type`. off: of the object, from the start of the data. src: of
 * the field's own type. Statuses as crossvm_bytes_writer_write. */
#define CROSSVM_BYTES_WRITE_FIELD(writer, off, type, field, src)          \
    crossvm_bytes_writer_write((writer), (off) + offsetof(type, field),   \
                               CROSSVM_I_FIELD_POINTER(type, field, src), \
                               sizeof(((type *)0)->field))

CROSSVM_EXTERN_C_END

#endif
