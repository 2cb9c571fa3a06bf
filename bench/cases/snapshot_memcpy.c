/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/snapshot_memcpy.c - what a snapshot is measured against: memcpy of the same bytes
 * from one buffer, which a busy writer overwrites meanwhile. It promises nothing.
 */
#include "../snapshot.h"

struct raw {
    struct snapshot_private own;
    unsigned char *shared;
};

BENCH_INLINE bool raw_read(struct raw *state, unsigned reader, unsigned char *dst, size_t len)
{
    (void)reader;
    memcpy(dst, state->shared, len);
    return true;
}

BENCH_INLINE void raw_write(struct raw *state, const unsigned char *src)
{
    memcpy(state->shared, src, state->own.len);
    SNAPSHOT_USED(state->shared);
}

static void *raw_prepare(const struct bench_case *self)
{
    struct raw *state = bench_take(sizeof(*state), BENCH_LINE);
    state->shared = bench_take(self->elem_len, BENCH_LINE);
    snapshot_private_make(&state->own, self->elem_len);
    return state;
}

SNAPSHOT_LOOPS(raw, struct raw, true)

static const struct bench_case cases[] = {SNAPSHOT_CASES("memcpy", raw)};

BENCH_REGISTER(cases)
