/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peers/ck_sequence.c - Concurrency Kit's sequence lock around one buffer that is copied by
 * memcpy. ck_sequence_read_begin waits for as long as the writer is at work, for ever if that never
 * pauses; so its loop is here, with a bound. A reader that was disturbed TRIES times goes without,
 * which counts as a read: its figure under a busy writer is better than it is.
 */
#include "../snapshot.h"

#include <ck_sequence.h>

#define TRIES 16u
#define WAITS 1024u /* pauses of a try */

struct ck_state {
    struct snapshot_private own;
    BENCH_ALIGNED(BENCH_LINE) struct ck_sequence sequence;
    unsigned char *shared;
};

/* An even sequence, or an odd one if the writer was always at work. */
BENCH_INLINE unsigned ck_read_begin(const struct ck_sequence *sequence)
{
    unsigned version = ck_pr_load_uint(&sequence->sequence);
    for (unsigned i = 0; i < WAITS && (version & 1) != 0; i++) {
        ck_pr_stall();
        version = ck_pr_load_uint(&sequence->sequence);
    }
    ck_pr_fence_load();
    return version;
}

BENCH_INLINE bool ck_read(struct ck_state *state, unsigned reader, unsigned char *dst, size_t len)
{
    (void)reader;
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned version = ck_read_begin(&state->sequence);
        if ((version & 1) != 0) {
            continue;
        }
        memcpy(dst, state->shared, len);
        SNAPSHOT_USED(dst);
        if (!ck_sequence_read_retry(&state->sequence, version)) {
            return true;
        }
    }
    snapshot_number(dst, 0, len);
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
