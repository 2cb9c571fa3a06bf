/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ticks.h - what the backends of systems that count ticks share: ticks and time.
 *
 * Layer 6. Roles: anyone. No shared bytes. Pure, and without overflow for rates to 3 * 10^8.
 */
#ifndef CROSSVM_BACKEND_TICKS_H
#define CROSSVM_BACKEND_TICKS_H

#include "../compiler.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_I_TICKS_SECOND UINT64_C(1000000000)

/* No sleep is longer: what a system can count in one, and no overflow of nanoseconds times rate. */
#define CROSSVM_I_TICKS_NAP_NS (60 * CROSSVM_I_TICKS_SECOND)

/* Nanoseconds in `ticks`, rounded down. rate: ticks a second. */
CROSSVM_INLINE uint64_t crossvm_i_ticks_ns(uint64_t ticks, uint64_t rate)
{
    return ticks / rate * CROSSVM_I_TICKS_SECOND + ticks % rate * CROSSVM_I_TICKS_SECOND / rate;
}

/* How many ticks to sleep: those until a time, rounded up, or those of the longest sleep; 0 when it
 * is over. rate: ticks a second. */
CROSSVM_INLINE uint64_t crossvm_i_ticks_until(uint64_t now_ns, uint64_t until_ns, uint64_t rate)
{
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    if (left_ns > CROSSVM_I_TICKS_NAP_NS) {
        left_ns = CROSSVM_I_TICKS_NAP_NS;
    }
    return (left_ns * rate + CROSSVM_I_TICKS_SECOND - 1) / CROSSVM_I_TICKS_SECOND;
}

CROSSVM_EXTERN_C_END

#endif
