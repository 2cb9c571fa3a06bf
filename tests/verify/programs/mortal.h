/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deaths: includes the access layer and routes every store of what is included after it through a
 * count of the stores that the calling thread still lives to make. A thread that has used them up
 * goes on, but nothing that it stores is ever seen: a crash in front of the k-th store.
 *
 *   model_dies_after(k)   the calling thread makes k more stores
 *   model_restarts()      from here on it is a new incarnation, and immortal
 *   DIE                   the k of a run: every number in turn in a stress test
 *   LIVES                 the run's k is the last: nothing was left out
 *   DIE_MORE              deaths that only a stress test has: for the checker the headers store less
 *
 * Included behind round.h and in front of what dies.
 */
#ifndef MORTAL_H
#define MORTAL_H

#include <crossvm/copy.h>
#include <crossvm/status.h>

#ifndef DIE_MORE
#define DIE_MORE 0
#endif

#if defined(DIE_EVERY) /* a stress test: of so many numbers from 0 the last one lives */
#define DIE        ((int)(model_round() % (DIE_EVERY + DIE_MORE)))
#define DIE_SPARES (DIE == DIE_EVERY + DIE_MORE - 1)
#elif defined(LIVES)
#define DIE_SPARES 1
#else
#define DIE_SPARES 0
#endif

static __thread int model_mortal;
static __thread int model_stores_left;
static __thread int model_died;

static inline void model_dies_after(int n_stores)
{
    model_mortal = 1;
    model_died = 0;
    model_stores_left = n_stores;
}

static inline void model_restarts(void)
{
    assert(!DIE_SPARES || !model_died);
    model_mortal = 0;
}

static inline int model_lives(void)
{
    if (!model_mortal) {
        return 1;
    }
    if (model_stores_left == 0) {
        model_died = 1;
        return 0;
    }
    model_stores_left--;
    return 1;
}

static inline void model_store_relaxed(struct crossvm_le32 *word, uint32_t value)
{
    if (model_lives()) {
        crossvm_store_relaxed(word, value);
    }
}

static inline void model_store_release(struct crossvm_le32 *word, uint32_t value)
{
    if (model_lives()) {
        crossvm_i_store_release(word, value);
    }
}

static inline void model_copy_out(void *dst, const void *src, size_t len)
{
    struct crossvm_le32 *to = (struct crossvm_le32 *)dst;
    const uint32_t *from = (const uint32_t *)src;
    for (size_t i = 0; i < len / 4; i++) {
        model_store_relaxed(&to[i], crossvm_i_swap_le32(from[i])); /* bytes, as they are */
    }
}

static inline void model_copy_zero(void *dst, size_t len)
{
    struct crossvm_le32 *to = (struct crossvm_le32 *)dst;
    for (size_t i = 0; i < len / 4; i++) {
        model_store_relaxed(&to[i], 0);
    }
}

static inline void model_store_pair(struct crossvm_le32 *lo, struct crossvm_le32 *hi,
                                    uint64_t value)
{
    model_store_relaxed(lo, (uint32_t)value);
    model_store_relaxed(hi, (uint32_t)(value >> 32));
}

#define crossvm_store_relaxed(word, value)   model_store_relaxed((word), (value))
#define crossvm_i_store_release(word, value) model_store_release((word), (value))
#define crossvm_copy_out(dst, src, len)      model_copy_out((dst), (src), (len))
#define crossvm_copy_out_strict(d, s, len)   model_copy_out((d), (s), (len))
#define crossvm_copy_zero(dst, len)          model_copy_zero((dst), (len))
#define crossvm_store_pair(lo, hi, value)    model_store_pair((lo), (hi), (value))

#endif
