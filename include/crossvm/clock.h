/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/clock.h - whether two clocks can be compared, how far apart they are, and how old a time
 * is.
 *
 * Layer 4. No roles, no shared bytes: a region's header says which clock its timestamps come from
 * (struct crossvm_clock_domain, region.h). The library never reads a clock: time is passed in.
 *
 * Timestamps are nanoseconds, 64 bits; 0 means that no time was given.
 *
 * Clocks that differ: peers exchange times (peer.h), and each exchange says for sure between which
 * bounds the difference lies (Cristian 1989; the intersection of such intervals is Marzullo's,
 * 1983).
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

/* ---- two clocks that differ ----------------------------------------------------------------- */

/* Drift between two clocks, at most: 10 %, in parts of 10^9. */
#define CROSSVM_CLOCK_DRIFT_MAX 100000000u

/* How much a peer's clock is ahead of the own one: somewhere in [low, low + width], for sure, as
 * long as the drift between the two stays within the bound that was given. Differences run freely:
 * 64 bits, so that it does not matter where each clock began. */
struct crossvm_clock_offset {
    uint64_t low_ns;      /* peer's time minus own time is at least this */
    uint64_t width_ns;    /* and at most so much more; all bits set = not known */
    uint64_t at_ns;       /* own time for which this holds */
    uint32_t drift_ppb;   /* what may be added on both sides in a second, ns */
    uint32_t n_samples;   /* exchanges that were taken */
    uint32_t n_conflicts; /* exchanges that contradicted what was known: a clock has jumped */
};

/* Nothing is known yet. drift_ppb: how far the two clocks may drift apart, ns in a second, at most
 * CROSSVM_CLOCK_DRIFT_MAX (100,000 is usual for quartz on both sides). Pure. OK; INVALID more. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_clock_offset_init(struct crossvm_clock_offset *offset,
                                                               uint32_t drift_ppb)
{
    if (drift_ppb > CROSSVM_CLOCK_DRIFT_MAX) {
        return CROSSVM_INVALID;
    }
    __builtin_memset(offset, 0, sizeof(*offset));
    offset->width_ns = UINT64_MAX;
    offset->drift_ppb = drift_ppb;
    return CROSSVM_OK;
}

/* What the clocks can have drifted apart in elapsed_ns, rounded up; below 2^61 for any. */
CROSSVM_INLINE uint64_t crossvm_i_clock_drift(const struct crossvm_clock_offset *offset,
                                              uint64_t elapsed_ns)
{
    uint64_t rest;
    uint64_t unused;
    uint64_t second = 1000000000u;
    uint64_t drift = offset->drift_ppb;
    if (drift == 0) {
        return 0;
    }
    uint64_t seconds = crossvm_i_divide(elapsed_ns, second, &rest);
    return crossvm_i_multiply64(seconds, drift) +
           crossvm_i_divide(crossvm_i_multiply64(rest, drift), second, &unused) + 1;
}

/* Widens what is known to another own time; forgets it when the own clock went backward, or when it
 * would be half the circle of 64 bits. */
CROSSVM_INLINE void crossvm_i_clock_carry(struct crossvm_clock_offset *offset, uint64_t now_ns)
{
    if (offset->width_ns == UINT64_MAX) {
        return;
    }
    uint64_t drift = crossvm_i_clock_drift(offset, now_ns - offset->at_ns);
    uint64_t width = offset->width_ns + drift + drift;
    if (now_ns < offset->at_ns || width > UINT64_MAX / 4) {
        offset->width_ns = UINT64_MAX;
        return;
    }
    offset->low_ns -= drift;
    offset->width_ns = width;
    offset->at_ns = now_ns;
}

/* Takes the part that two intervals have in common; whether there is one. */
CROSSVM_INLINE bool crossvm_i_clock_meet(struct crossvm_clock_offset *offset, uint64_t low_ns,
                                         uint64_t width_ns)
{
    uint64_t ahead = low_ns - offset->low_ns;  /* the new one begins so far behind the old one */
    uint64_t behind = offset->low_ns - low_ns; /* or the other way round */
    if (ahead <= offset->width_ns) {
        uint64_t left = offset->width_ns - ahead;
        offset->low_ns = low_ns;
        offset->width_ns = left < width_ns ? left : width_ns;
        return true;
    }
    if (behind <= width_ns) {
        uint64_t left = width_ns - behind;
        offset->width_ns = left < offset->width_ns ? left : offset->width_ns;
        return true;
    }
    return false;
}

/* Takes one exchange of times: the peer's clock showed replied_ns at some instant between the own
 * times asked_ns and heard_ns, whatever the delays were on either way. Each exchange makes the
 * bound tighter, or tells that a clock has jumped: then the newest exchange alone counts. One
 * handle, one thread. Pure. Trust: the peer's time is believed; a peer that lies moves the offset,
 * and with it the age of its own data, as far as it likes. OK; INVALID heard before asked, or later
 * by more than can be counted: nothing is changed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_clock_offset_add(struct crossvm_clock_offset *offset,
                                                              uint64_t asked_ns,
                                                              uint64_t replied_ns,
                                                              uint64_t heard_ns)
{
    uint64_t took = heard_ns - asked_ns;
    if (heard_ns < asked_ns || took > UINT64_MAX / 16) {
        return CROSSVM_INVALID;
    }
    /* When the peer looked at its clock the difference was between replied - heard and replied -
     * asked. Since then it may have drifted; but what it can lose by that is less than the time
     * that has passed, which the lower end has in it already. */
    uint64_t low_ns = replied_ns - heard_ns;
    uint64_t width_ns = took + crossvm_i_clock_drift(offset, took);
    crossvm_i_clock_carry(offset, heard_ns);
    bool known = offset->width_ns != UINT64_MAX;
    if (!known || !crossvm_i_clock_meet(offset, low_ns, width_ns)) {
        offset->n_conflicts += known;
        offset->low_ns = low_ns;
        offset->width_ns = width_ns;
        offset->at_ns = heard_ns;
    }
    offset->n_samples++;
    return CROSSVM_OK;
}

/* The offset at an own time: the peer's clock is ahead by *low_ns to *low_ns + *width_ns, as
 * numbers of 64 bits that run freely (behind is a large number). now_ns: own time, not before the
 * last exchange. Pure. OK; UNKNOWN no exchange yet, too long ago, or the own clock was set back. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_clock_offset_at(
    const struct crossvm_clock_offset *offset, uint64_t now_ns, uint64_t *low_ns,
    uint64_t *width_ns)
{
    struct crossvm_clock_offset then = *offset;
    crossvm_i_clock_carry(&then, now_ns);
    *low_ns = then.low_ns;
    *width_ns = then.width_ns;
    return then.width_ns == UINT64_MAX ? CROSSVM_UNKNOWN : CROSSVM_OK;
}

/* How old a time of the peer's is, by the own clock. then_ns: the peer's. now_ns: own time now.
 * Pure. OK and the least and the greatest age that are possible: call data fresh by the greatest
 * one; UNKNOWN no time was given, the offset is not known, or the time lies in the future for sure:
 * both are then UINT64_MAX, which no deadline calls fresh. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_clock_offset_age(
    const struct crossvm_clock_offset *offset, uint64_t then_ns, uint64_t now_ns,
    uint64_t *least_ns, uint64_t *most_ns)
{
    uint64_t low;
    uint64_t width;
    int status = crossvm_clock_offset_at(offset, now_ns, &low, &width);
    /* Own time was then - offset; so the age is now - then + offset. */
    uint64_t least = now_ns - then_ns + low;
    uint64_t most = least + width;
    *least_ns = UINT64_MAX;
    *most_ns = UINT64_MAX;
    if (status != CROSSVM_OK || then_ns == 0 || most > UINT64_MAX / 4) {
        return CROSSVM_UNKNOWN;
    }
    least = least > most ? 0 : least;
    /* The offset then was not that of now: the sum of drift of drift of ... is below its 9/8. */
    uint64_t drift = crossvm_i_clock_drift(offset, most);
    most += drift + drift / 8 + 1;
    drift = crossvm_i_clock_drift(offset, most);
    *most_ns = most;
    *least_ns = least > drift ? least - drift : 0;
    return CROSSVM_OK;
}

CROSSVM_EXTERN_C_END

#endif
