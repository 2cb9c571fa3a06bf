/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/ping_pong.h - the raw cost of telling another processor something and hearing back: the
 * limit of every round trip, and what tells a machine's regimes apart.
 */
#ifndef CROSSVM_BENCH_PING_PONG_H
#define CROSSVM_BENCH_PING_PONG_H

#include "bench.h"

/* With two lines each side writes its own; with one both write `there`. */
struct ping_pong {
    BENCH_ALIGNED(BENCH_LINE) uint32_t there;
    BENCH_ALIGNED(BENCH_LINE) uint32_t back;
};

/* Rounds first to first + n - 1. side: 0 serves, 1 answers. */
BENCH_INLINE void ping_pong(struct ping_pong *ping, bool two_lines, unsigned side, uint32_t first,
                            uint32_t n)
{
    uint32_t *back = two_lines ? &ping->back : &ping->there;
    uint32_t *out = side == 0 ? &ping->there : back;
    uint32_t *in = side == 0 ? back : &ping->there;
    for (uint32_t i = first; i != first + n; i++) {
        unsigned tries = 0;
        if (side == 0) {
            __atomic_store_n(out, 2 * i + 1, __ATOMIC_RELEASE);
        }
        while (__atomic_load_n(in, __ATOMIC_ACQUIRE) != 2 * i + 2 - side) {
            bench_retry(&tries);
        }
        if (side == 1) {
            __atomic_store_n(out, 2 * i + 2, __ATOMIC_RELEASE);
        }
    }
}

#endif
