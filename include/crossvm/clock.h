/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/clock.h - whether two clocks can be compared, and how old a time is.
 *
 * Layer 4. No roles, no shared bytes: a region's header says which clock its timestamps come from
 * (struct crossvm_clock_domain, region.h). The library never reads a clock: time is passed in.
 *
 * Timestamps are nanoseconds, 64 bits; 0 means that no time was given.
 */
#ifndef CROSSVM_CLOCK_H
#define CROSSVM_CLOCK_H

#include "region.h"

CROSSVM_EXTERN_C_BEGIN

/* Kinds of clocks. */
enum crossvm_clock_kind {
    CROSSVM_CLOCK_UNKNOWN = 0,   /* comparable with nothing */
    CROSSVM_CLOCK_MONOTONIC = 1, /* one kernel's monotonic clock; id: its boot */
    CROSSVM_CLOCK_COUNTER = 2,   /* a counter that all guests of one host see; id: host and boot */
    CROSSVM_CLOCK_REALTIME = 3,  /* UTC; id: 0, or the grandmaster that sets it */
    CROSSVM_CLOCK_TAI = 4        /* TAI; id likewise (IEEE 1588 domain) */
};

/* Whether times of two domains can be compared: a known kind, the same clock, the same rate. a, b:
 * the domains. */
CROSSVM_INLINE bool crossvm_clock_comparable(const struct crossvm_clock_domain *a,
                                             const struct crossvm_clock_domain *b)
{
    return a->kind != CROSSVM_CLOCK_UNKNOWN && a->kind == b->kind && a->id == b->id &&
           a->rate == b->rate;
}

/* How old a time is. producer, consumer: the clock domains of the two sides. then_ns: the time, of
 * the producer's clock. now_ns: the time now, of the consumer's. Pure. OK and *age_ns; UNKNOWN the
 * clocks cannot be compared, no time was given, or the time lies in the consumer's future: *age_ns
 * is then UINT64_MAX, which no deadline calls fresh. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_clock_age(const struct crossvm_clock_domain *producer,
                                                       uint64_t then_ns,
                                                       const struct crossvm_clock_domain *consumer,
                                                       uint64_t now_ns, uint64_t *age_ns)
{
    if (!crossvm_clock_comparable(producer, consumer) || then_ns == 0 || now_ns < then_ns) {
        *age_ns = UINT64_MAX;
        return CROSSVM_UNKNOWN;
    }
    *age_ns = now_ns - then_ns;
    return CROSSVM_OK;
}

#define CROSSVM_I_DIVIDE_BITS 64u /* of a quotient, one a step */

/* n / d and the remainder. 32-bit targets, and RISC-V without M, would call the compiler's library
 * for it. d: not 0, below 2^63. */
CROSSVM_INLINE uint64_t crossvm_i_divide(uint64_t n, uint64_t d, uint64_t *remainder)
{
#if __SIZEOF_SIZE_T__ == 8 && (!defined(__riscv) || defined(__riscv_div))
    *remainder = n % d;
    return n / d;
#else
    uint64_t quotient = 0;
    uint64_t rest = 0;
    for (unsigned i = 0; i < CROSSVM_I_DIVIDE_BITS; i++) {
        rest = rest << 1 | n >> 63;
        n <<= 1;
        quotient <<= 1;
        if (rest >= d) {
            rest -= d;
            quotient |= 1;
        }
    }
    *remainder = rest;
    return quotient;
#endif
}

/* Nanoseconds in `ticks` of a counter, rounded down; no overflow for rates to 2^34 and results
 * below 2^64. Pure. ticks: of the counter. rate: ticks a second, 0 = they are nanoseconds. */
CROSSVM_INLINE uint64_t crossvm_clock_ns(uint64_t ticks, uint64_t rate)
{
    uint64_t rest;
    uint64_t unused;
    if (rate == 0) {
        return ticks;
    }
    uint64_t seconds = crossvm_i_divide(ticks, rate, &rest);
    uint64_t second = 1000000000u;
    rest = crossvm_i_multiply64(rest, second);
    return crossvm_i_multiply64(seconds, second) + crossvm_i_divide(rest, rate, &unused);
}

CROSSVM_EXTERN_C_END

#endif
