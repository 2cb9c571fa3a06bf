/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation looks at: includes the access layer and routes every load of a shared word, and
 * every copy from or to shared memory, of what is included after it through a log.
 *
 *   watch_memory(base, len)  what there is: nothing outside is touched by a watched operation
 *   watch_begin(), watch_end()  one operation; only one thread is ever watched
 *   watch_times(word)        how often it loaded the word
 *   watch_look(word, which)  what it found at the which-th time, from 0
 *   watch_first(word), watch_last(word)
 *
 * Included behind round.h and in front of what is watched.
 *
 *   WATCH_WORDS  words that may be watched, at most
 *   WATCH_LOOKS  at one word in one operation, at most
 */
#ifndef WATCH_H
#define WATCH_H

#include <crossvm/copy.h>

#ifndef WATCH_WORDS
#define WATCH_WORDS 288
#endif
#ifndef WATCH_LOOKS
#define WATCH_LOOKS 4
#endif

struct watch_word {
    uint32_t operation; /* that looked at it last: an older one counts as none */
    uint32_t times;
    uint32_t values[WATCH_LOOKS];
};

static MODEL_STATE struct watch_word watch_words[WATCH_WORDS];
static MODEL_STATE const unsigned char *watch_base;
static MODEL_STATE size_t watch_len;
static MODEL_STATE uint32_t watch_operation;
static MODEL_STATE uint32_t watch_total; /* loads of the operation */
static __thread bool watch_on;

static inline void watch_memory(const void *base, size_t len)
{
    assert(len <= WATCH_WORDS * 4);
    watch_base = (const unsigned char *)base;
    watch_len = len;
}

static inline void watch_begin(void)
{
    watch_operation++;
    watch_total = 0;
    watch_on = true;
}

static inline void watch_end(void)
{
    watch_on = false;
}

static inline size_t watch_off(const void *at)
{
    return (size_t)((uintptr_t)at - (uintptr_t)watch_base);
}

static inline void watch_touch(const void *at, size_t len)
{
    if (watch_on) {
        size_t off = watch_off(at);
        size_t room = watch_len;
        assert(off <= room && len <= room - off);
    }
}

static inline uint32_t watch_load(const struct crossvm_le32 *word, uint32_t value)
{
    if (watch_on) {
        struct watch_word *watched = &watch_words[watch_off(word) / 4];
        uint32_t operation = watch_operation;
        uint32_t times = watched->operation == operation ? watched->times : 0;
        assert(times < WATCH_LOOKS);
        watched->operation = operation;
        watched->times = times + 1;
        watched->values[times] = value;
        watch_total++;
    }
    return value;
}

static inline uint32_t watch_times(const struct crossvm_le32 *word)
{
    const struct watch_word *watched = &watch_words[watch_off(word) / 4];
    return watched->operation == watch_operation ? watched->times : 0;
}

static inline uint32_t watch_look(const struct crossvm_le32 *word, uint32_t which)
{
    assert(which < watch_times(word));
    return watch_words[watch_off(word) / 4].values[which];
}

static inline uint32_t watch_first(const struct crossvm_le32 *word)
{
    return watch_look(word, 0);
}

static inline uint32_t watch_last(const struct crossvm_le32 *word)
{
    return watch_look(word, watch_times(word) - 1);
}

/* ---- the access layer ------------------------------------------------------------------------ */

static inline uint32_t watch_load_relaxed(const struct crossvm_le32 *word)
{
    watch_touch(word, 4);
    return watch_load(word, crossvm_load_relaxed(word));
}

static inline uint32_t watch_load_acquire(const struct crossvm_le32 *word)
{
    watch_touch(word, 4);
    return watch_load(word, crossvm_i_load_acquire(word));
}

static inline uint64_t watch_load_pair(const struct crossvm_le32 *lo, const struct crossvm_le32 *hi)
{
    uint64_t low = watch_load_relaxed(lo);
    uint64_t high = watch_load_relaxed(hi);
    return low | high << 32;
}

static inline void watch_store_relaxed(struct crossvm_le32 *word, uint32_t value)
{
    watch_touch(word, 4);
    crossvm_store_relaxed(word, value);
}

static inline void watch_store_release(struct crossvm_le32 *word, uint32_t value)
{
    watch_touch(word, 4);
    crossvm_i_store_release(word, value);
}

static inline void watch_store_pair(struct crossvm_le32 *lo, struct crossvm_le32 *hi,
                                    uint64_t value)
{
    watch_store_relaxed(lo, (uint32_t)value);
    watch_store_relaxed(hi, (uint32_t)(value >> 32));
}

/* The model checker takes no parts of words: there they are left out. */
static inline void watch_copy_in(void *dst, const void *src, size_t len)
{
    watch_touch(src, len);
#if defined(CROSSVM_MODEL)
    len = len / 4 * 4;
#endif
    crossvm_copy_in(dst, src, len);
}

static inline void watch_copy_put(void *dst, const void *src, size_t len)
{
    watch_touch(dst, len);
    crossvm_copy_put(dst, src, len);
}

static inline void watch_copy_take(void *dst, const void *src, size_t len)
{
    watch_touch(src, len);
    crossvm_copy_take(dst, src, len);
}

#define crossvm_load_relaxed(word)           watch_load_relaxed(word)
#define crossvm_i_load_acquire(word)         watch_load_acquire(word)
#define crossvm_load_pair(lo, hi)            watch_load_pair((lo), (hi))
#define crossvm_store_relaxed(word, value)   watch_store_relaxed((word), (value))
#define crossvm_i_store_release(word, value) watch_store_release((word), (value))
#define crossvm_store_pair(lo, hi, value)    watch_store_pair((lo), (hi), (value))
#define crossvm_copy_in(dst, src, len)       watch_copy_in((dst), (src), (len))
#define crossvm_copy_put(dst, src, len)      watch_copy_put((dst), (src), (len))
#define crossvm_copy_take(dst, src, len)     watch_copy_take((dst), (src), (len))

#endif
