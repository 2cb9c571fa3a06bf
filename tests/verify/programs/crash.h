/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deaths of a side of a queue: mortal.h, with the stores to elements counted, too. Included behind
 * round.h and in front of what dies.
 */
#ifndef CRASH_H
#define CRASH_H

#include "mortal.h"

static inline void model_copy_put(void *dst, const void *src, size_t len)
{
    uint32_t *to = (uint32_t *)dst;
    const uint32_t *from = (const uint32_t *)src;
    for (size_t i = 0; i < len / 4; i++) {
        if (model_lives()) {
            to[i] = from[i];
        }
    }
}

#define crossvm_copy_put(dst, src, len) model_copy_put((dst), (src), (len))

#endif
