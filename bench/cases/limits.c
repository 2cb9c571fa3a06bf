/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/limits.c - what no library can beat: the raw round trip between two processors, with
 * one line and with two, and memcpy inside one processor.
 */
#include "../ping_pong.h"

#include <string.h>

/* ---- ping-pong ------------------------------------------------------------------------------- */

#define ROUNDS 8192u

static void *ping_pong_prepare(const struct bench_case *self)
{
    (void)self;
    return bench_take(sizeof(struct ping_pong), BENCH_LINE);
}

static uint64_t one_line(const struct bench_turn *turn)
{
    ping_pong(turn->state, false, turn->side, (uint32_t)turn->first, (uint32_t)turn->n);
    return 0;
}

static uint64_t two_lines(const struct bench_turn *turn)
{
    ping_pong(turn->state, true, turn->side, (uint32_t)turn->first, (uint32_t)turn->n);
    return 0;
}

/* ---- memcpy ---------------------------------------------------------------------------------- */

struct buffers {
    unsigned char *from;
    unsigned char *to;
    size_t len; /* not known to the compiler: the C library's memcpy */
};

static void *memcpy_prepare(const struct bench_case *self)
{
    struct buffers *buffers = bench_take(sizeof(*buffers), BENCH_LINE);
    buffers->from = bench_take(self->elem_len, BENCH_LINE);
    buffers->to = bench_take(self->elem_len, BENCH_LINE);
    buffers->len = self->elem_len;
    return buffers;
}

static uint64_t memcpy_copy(const struct bench_turn *turn)
{
    struct buffers *buffers = turn->state;
    memset(buffers->from, (int)(turn->n % 251), buffers->len);
    for (uint64_t i = 0; i < turn->n; i++) {
        memcpy(buffers->to, buffers->from, buffers->len);
        __asm__ volatile("" : : "r"(buffers->to) : "memory");
    }
    return memcmp(buffers->to, buffers->from, buffers->len) != 0;
}

/* ---- the cases ------------------------------------------------------------------------------- */

#define PING_PONG(NAME, PROCESSES, SIDE)                                               \
    {                                                                                  \
        .row = "limit/ping-pong", .who = NAME, .processes = PROCESSES, .n_sides = 2,   \
        .n_ops = ROUNDS, .n_warm = ROUNDS / 8, .prepare = ping_pong_prepare, .side = { \
            SIDE,                                                                      \
            SIDE                                                                       \
        }                                                                              \
    }

/* About 3 ms each. */
#define MEMCPY(LEN, N)                                                              \
    {                                                                               \
        .row = "limit/memcpy-" #LEN "B", .who = "memcpy", .n_sides = 1, .n_ops = N, \
        .n_warm = (N) / 16, .elem_len = LEN, .prepare = memcpy_prepare, .side = {   \
            memcpy_copy                                                             \
        }                                                                           \
    }

static const struct bench_case cases[] = {
    PING_PONG("one-line", false, one_line),
    PING_PONG("two-lines", false, two_lines),
    PING_PONG("one-line", true, one_line),
    PING_PONG("two-lines", true, two_lines),
    MEMCPY(64, 1000000),
    MEMCPY(256, 800000),
    MEMCPY(1024, 300000),
    MEMCPY(4096, 80000),
    MEMCPY(65536, 3000),
    MEMCPY(1048576, 160),
};

BENCH_REGISTER(cases)
