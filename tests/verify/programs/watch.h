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
 *   watch_total()            loads of all words
 *
 * Included behind round.h and in front of what is watched.
 *
 *   WATCH_WORDS  of the memory
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
#define WATCH_OPERATION 0x10000u /* what looks are counted below */

/* Each access to what is kept here is an event for the model checker, too: hence a number of an
 * operation and a number of looks in one. */
struct watch_word {
    uint32_t looks; /* of the operation that looked last; of an older one they count as none */
    uint32_t values[WATCH_LOOKS];
};

static MODEL_STATE struct watch_word watch_words[WATCH_WORDS];
static MODEL_STATE uint32_t watch_looks; /* the operation, and its looks at any word */
static MODEL_STATE const unsigned char *watch_base;
static __thread const unsigned char *watch_from; /* NULL: this thread is not being watched */

static inline void watch_memory(const void *base, size_t len)
{
    assert(len == WATCH_WORDS * 4);
    watch_base = (const unsigned char *)base;
}

static inline void watch_begin(void)
{
    watch_looks = (watch_looks / WATCH_OPERATION + 1) * WATCH_OPERATION;
    watch_from = watch_base;
}

static inline void watch_end(void)
{
    watch_from = NULL;
}

static inline size_t watch_off(const void *at, const void *from)
{
    return (size_t)((uintptr_t)at - (uintptr_t)from);
}

static inline const unsigned char *watch_touch(const void *at, size_t len)
{
    const unsigned char *from = watch_from;
    if (from != NULL) {
        size_t off = watch_off(at, from);
        assert(off <= WATCH_WORDS * 4 && len <= WATCH_WORDS * 4 - off);
    }
    return from;
}

/* Of a word's looks, those of the operation; 0 if it did not look at it. */
static inline uint32_t watch_count(uint32_t looks, uint32_t operation)
{
    return looks >= operation ? looks - operation : 0;
}

static inline uint32_t watch_load(const struct crossvm_le32 *word, const unsigned char *from,
                                  uint32_t value)
{
    if (from != NULL) {
        struct watch_word *watched = &watch_words[watch_off(word, from) / 4];
        uint32_t total = watch_looks;
        uint32_t operation = total / WATCH_OPERATION * WATCH_OPERATION;
        uint32_t times = watch_count(watched->looks, operation);
        assert(times < WATCH_LOOKS);
        watched->looks = operation + times + 1;
        watched->values[times] = value;
        watch_looks = total + 1;
    }
    return value;
}

static inline uint32_t watch_operation(void)
{
    return watch_looks / WATCH_OPERATION * WATCH_OPERATION;
}

static inline uint32_t watch_total(void)
{
    return watch_looks % WATCH_OPERATION;
}

static inline const struct watch_word *watch_word_of(const struct crossvm_le32 *word)
{
    return &watch_words[watch_off(word, watch_base) / 4];
}

static inline uint32_t watch_times(const struct crossvm_le32 *word)
{
    return watch_count(watch_word_of(word)->looks, watch_operation());
}

static inline uint32_t watch_look(const struct crossvm_le32 *word, uint32_t which)
{
    const struct watch_word *watched = watch_word_of(word);
    assert(which < watch_count(watched->looks, watch_operation()));
    return watched->values[which];
}

static inline uint32_t watch_first(const struct crossvm_le32 *word)
{
    return watch_look(word, 0);
}

static inline uint32_t watch_last(const struct crossvm_le32 *word)
{
    const struct watch_word *watched = watch_word_of(word);
    uint32_t times = watch_count(watched->looks, watch_operation());
    assert(times > 0);
    return watched->values[times - 1];
}

/* ---- the access layer ------------------------------------------------------------------------ */

static inline uint32_t watch_load_relaxed(const struct crossvm_le32 *word)
{
    const unsigned char *from = watch_touch(word, 4);
    return watch_load(word, from, crossvm_load_relaxed(word));
}

static inline uint32_t watch_load_acquire(const struct crossvm_le32 *word)
{
    const unsigned char *from = watch_touch(word, 4);
    return watch_load(word, from, crossvm_i_load_acquire(word));
}

static inline uint64_t watch_load_pair(const struct crossvm_le32 *lo, const struct crossvm_le32 *hi)
{
    uint64_t low = watch_load_relaxed(lo);
    uint64_t high = watch_load_relaxed(hi);
    return low | high << 32;
}

static inline void watch_store_relaxed(struct crossvm_le32 *word, uint32_t value)
{
    (void)watch_touch(word, 4);
    crossvm_store_relaxed(word, value);
}

static inline void watch_store_release(struct crossvm_le32 *word, uint32_t value)
{
    (void)watch_touch(word, 4);
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
    (void)watch_touch(src, len);
#if defined(CROSSVM_MODEL)
    len = len / 4 * 4;
#endif
    crossvm_copy_in(dst, src, len);
}

static inline void watch_copy_put(void *dst, const void *src, size_t len)
{
    (void)watch_touch(dst, len);
    crossvm_copy_put(dst, src, len);
}

static inline void watch_copy_take(void *dst, const void *src, size_t len)
{
    (void)watch_touch(src, len);
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
