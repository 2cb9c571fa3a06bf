/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in front of every program: GenMC takes no memcpy or memset through untyped pointers, so
 * the two builtins that the headers call are given here as loops over 32-bit words.
 */
#ifndef PRELUDE_H
#define PRELUDE_H

#include <stddef.h>
#include <stdint.h>

static inline void model_copy_words(void *dst, const void *src, size_t len)
{
    uint32_t *to = (uint32_t *)dst;
    const uint32_t *from = (const uint32_t *)src;
    for (size_t i = 0; i < len / 4; i++) {
        to[i] = from[i];
    }
}

/* Handles are static here, thus zero already, and have 64-bit fields that must not be cleared by
 * halves. Two local structs that are cleared hold words alone: a queue's name (24 bytes) and a
 * region's header (256). */
static inline void model_clear_words(void *dst, size_t len)
{
    uint32_t *to = (uint32_t *)dst;
    if (len == 24 || len == 256) {
        for (size_t i = 0; i < len / 4; i++) {
            to[i] = 0;
        }
    }
}

#define __builtin_memcpy(dst, src, len)   model_copy_words((dst), (src), (len))
#define __builtin_memset(dst, value, len) model_clear_words((dst), (len))

#endif
