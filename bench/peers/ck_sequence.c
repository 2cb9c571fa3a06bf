/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/ck_sequence.c - Concurrency Kit's sequence lock around one buffer that is copied by
 * memcpy. A reader that finds the writer at work TRIES times goes without: that counts as a read,
 * so its figure under a busy writer is better than it is.
 */
#include "../snapshot.h"

#include <ck_sequence.h>

#define TRIES 64u

struct ck_state {
    struct snapshot_private own;
    BENCH_ALIGNED(BENCH_LINE) struct ck_sequence sequence;
    unsigned char *shared;
};

BENCH_INLINE bool ck_read(struct ck_state *state, unsigned reader, unsigned char *dst)
{
    (void)reader;
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned version = ck_sequence_read_begin(&state->sequence);
        memcpy(dst, state->shared, state->own.len);
        SNAPSHOT_USED(dst);
        if (!ck_sequence_read_retry(&state->sequence, version)) {
            return true;
        }
    }
    snapshot_number(dst, 0, state->own.len);
    return true;
}

BENCH_INLINE void ck_write(struct ck_state *state, const unsigned char *src)
{
    ck_sequence_write_begin(&state->sequence);
    memcpy(state->shared, src, state->own.len);
    ck_sequence_write_end(&state->sequence);
}

static void *ck_prepare(const struct bench_case *self)
{
    struct ck_state *state = bench_take(sizeof(*state), BENCH_LINE);
    state->shared = bench_take(self->elem_len, BENCH_LINE);
    snapshot_private_make(&state->own, self->elem_len);
    ck_sequence_init(&state->sequence);
    return state;
}

SNAPSHOT_LOOPS(ck, struct ck_state, false)

static const struct bench_case cases[] = {SNAPSHOT_CASES("ck_sequence", ck)};

BENCH_REGISTER(cases)
