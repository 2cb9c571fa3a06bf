/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/broadcast.c - this library's broadcast.
 */
#include "../broadcast.h"
#include "../own.h"

#include <crossvm/broadcast.h>

struct stream {
    struct broadcast common;
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_broadcast_writer writer;
    struct {
        BENCH_ALIGNED(BENCH_LINE) struct crossvm_broadcast_reader handle;
    } readers[BROADCAST_READERS];
};

static void *stream_prepare(const struct bench_case *self)
{
    const struct crossvm_chunk_decl decl = {
        "stream", CROSSVM_KIND_BROADCAST, self->capacity, self->elem_len, PRODUCER, CONSUMER, 0, 0};
    struct stream *stream = bench_take(sizeof(*stream), BENCH_LINE);
    struct part part;
    if (!broadcast_can(self)) {
        return NULL;
    }
    broadcast_set(&stream->common, self);
    part_make(&part, &decl, CROSSVM_READ_ONLY);
    int status = crossvm_broadcast_writer_open(&stream->writer, &part.owner.region, &part.chunk);
    bench_require(status == CROSSVM_OK, "broadcast_writer_open");
    for (unsigned i = 0; i < stream->common.n_readers; i++) {
        status = crossvm_broadcast_reader_open(&stream->readers[i].handle, &part.reader,
                                               &part.chunk, CROSSVM_BROADCAST_OLDEST);
        bench_require(status == CROSSVM_OK, "broadcast_reader_open");
    }
    return stream;
}

/* What is refused, the readers miss. */
#define STREAM(LEN)                                                                                \
    BENCH_INLINE void stream_publish_##LEN(struct stream *stream,                                  \
                                           const struct element_##LEN *elem)                       \
    {                                                                                              \
        (void)!crossvm_broadcast_writer_publish(&stream->writer, elem, LEN);                       \
    }                                                                                              \
    BENCH_INLINE bool stream_read_##LEN(struct stream *stream, unsigned reader,                    \
                                        struct element_##LEN *elem, uint64_t *number,              \
                                        uint64_t *lost)                                            \
    {                                                                                              \
        struct crossvm_broadcast_info info;                                                        \
        if (crossvm_broadcast_reader_read(&stream->readers[reader].handle, elem, LEN, &info) !=    \
            CROSSVM_OK) {                                                                          \
            return false;                                                                          \
        }                                                                                          \
        *number = info.number - 1;                                                                 \
        *lost = info.lost;                                                                         \
        return true;                                                                               \
    }                                                                                              \
    BENCH_INLINE void stream_publish_n_##LEN(struct stream *stream,                                \
                                             const struct element_##LEN *elems, uint32_t n)        \
    {                                                                                              \
        (void)!crossvm_broadcast_writer_publish_n(&stream->writer, elems, LEN, n);                 \
    }                                                                                              \
    BENCH_INLINE uint32_t stream_read_n_##LEN(struct stream *stream, unsigned reader,              \
                                              struct element_##LEN *elems, uint32_t n)             \
    {                                                                                              \
        int n_read =                                                                               \
            crossvm_broadcast_reader_read_n(&stream->readers[reader].handle, elems, LEN, n, NULL); \
        return n_read < 0 ? 0 : (uint32_t)n_read;                                                  \
    }                                                                                              \
    BROADCAST_ONE(stream, struct stream, LEN)                                                      \
    BROADCAST_BATCH(stream, struct stream, LEN)                                                    \
    BROADCAST_HOP(stream, struct stream, LEN)                                                      \
    BROADCAST_FLAT_OUT(stream, struct stream, LEN)

STREAM(8)
STREAM(64)
STREAM(256)

static const struct bench_case cases[] = {
    BROADCAST_CASES(8, "crossvm", stream),
    BROADCAST_CASES(64, "crossvm", stream),
    BROADCAST_CASES(256, "crossvm", stream),
};

BENCH_REGISTER(cases)
