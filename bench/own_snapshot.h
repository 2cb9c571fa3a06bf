/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/own_snapshot.h - this library's snapshot, of four slots. Included by one file a path of
 * copy.h, which says OWN_NAME.
 */
#include "own.h"
#include "snapshot.h"

#include <crossvm/snapshot.h>

#define OWN_SLOTS 4u

struct own_snapshot {
    struct snapshot_private own;
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_snapshot_writer writer;
    struct {
        BENCH_ALIGNED(BENCH_LINE) struct crossvm_snapshot_reader handle;
    } readers[SNAPSHOT_READERS];
};

BENCH_INLINE bool own_read(struct own_snapshot *state, unsigned reader, unsigned char *dst,
                           size_t len)
{
    return crossvm_snapshot_reader_read(&state->readers[reader].handle, dst, len, NULL) >= 0;
}

BENCH_INLINE void own_write(struct own_snapshot *state, const unsigned char *src)
{
    int status =
        crossvm_snapshot_writer_publish(&state->writer, src, (uint32_t)state->own.len, 0, 0);
    bench_require(status == CROSSVM_OK, "snapshot_writer_publish");
}

static void *own_prepare(const struct bench_case *self)
{
    const struct crossvm_chunk_decl decl = {
        "state", CROSSVM_KIND_SNAPSHOT, OWN_SLOTS, self->elem_len, PRODUCER, CONSUMER, 0, 0};
    struct own_snapshot *state = bench_take(sizeof(*state), BENCH_LINE);
    struct part part;
    part_make(&part, &decl, CROSSVM_READ_ONLY);
    snapshot_private_make(&state->own, self->elem_len);
    bench_require(crossvm_snapshot_writer_open(&state->writer, &part.owner.region, &part.chunk) ==
                      CROSSVM_OK,
                  "snapshot_writer_open");
    for (unsigned i = 0; i < SNAPSHOT_READERS; i++) {
        bench_require(crossvm_snapshot_reader_open(&state->readers[i].handle, &part.reader,
                                                   &part.chunk) == CROSSVM_OK,
                      "snapshot_reader_open");
    }
    own_write(state, state->own.src);
    return state;
}

SNAPSHOT_LOOPS(own, struct own_snapshot, false)

static const struct bench_case cases[] = {SNAPSHOT_CASES(OWN_NAME, own)};

BENCH_REGISTER(cases)
