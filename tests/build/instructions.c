/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of functions, layer_X by way of crossvm's access layer and hand_X with the compiler's
 * builtins on a plain word: instructions.sh compares how many instructions they have.
 */
#include <crossvm/slots.h>

/* Words of a host that is little-endian; a big-endian one swaps by hand. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define SWAP(value) __builtin_bswap32(value)
#else
#define SWAP(value) (value)
#endif

#define PAIR(type, name, layer_args, hand_args) \
    type layer_##name layer_args;               \
    type hand_##name hand_args;

/* ---- single accesses ------------------------------------------------------------------------ */

PAIR(uint32_t, load_relaxed, (const struct crossvm_le32 *), (const uint32_t *))

uint32_t layer_load_relaxed(const struct crossvm_le32 *word)
{
    return crossvm_load_relaxed(word);
}

uint32_t hand_load_relaxed(const uint32_t *word)
{
    return SWAP(__atomic_load_n(word, __ATOMIC_RELAXED));
}

PAIR(uint32_t, load_acquire, (const struct crossvm_le32 *), (const uint32_t *))

uint32_t layer_load_acquire(const struct crossvm_le32 *word)
{
    return CROSSVM_LOAD_ACQUIRE(some_edge, word);
}

uint32_t hand_load_acquire(const uint32_t *word)
{
    return SWAP(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

PAIR(void, store_relaxed, (struct crossvm_le32 *, uint32_t), (uint32_t *, uint32_t))

void layer_store_relaxed(struct crossvm_le32 *word, uint32_t value)
{
    crossvm_store_relaxed(word, value);
}

void hand_store_relaxed(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, SWAP(value), __ATOMIC_RELAXED);
}

PAIR(void, store_release, (struct crossvm_le32 *, uint32_t), (uint32_t *, uint32_t))

void layer_store_release(struct crossvm_le32 *word, uint32_t value)
{
    CROSSVM_STORE_RELEASE(some_edge, word, value);
}

void hand_store_release(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, SWAP(value), __ATOMIC_RELEASE);
}

/* ---- fences, each between two accesses that it has to order --------------------------------- */

PAIR(uint32_t, fence_acquire, (const struct crossvm_le32 *), (const uint32_t *))

uint32_t layer_fence_acquire(const struct crossvm_le32 *words)
{
    uint32_t first = crossvm_load_relaxed(words);
    CROSSVM_FENCE_ACQUIRE(some_edge, words);
    return first + crossvm_load_relaxed(words + 1);
}

uint32_t hand_fence_acquire(const uint32_t *words)
{
    uint32_t first = SWAP(__atomic_load_n(words, __ATOMIC_RELAXED));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return first + SWAP(__atomic_load_n(words + 1, __ATOMIC_RELAXED));
}

PAIR(void, fence_release, (struct crossvm_le32 *, uint32_t), (uint32_t *, uint32_t))

void layer_fence_release(struct crossvm_le32 *words, uint32_t value)
{
    crossvm_store_relaxed(words, value);
    CROSSVM_FENCE_RELEASE(some_edge, words);
    crossvm_store_relaxed(words + 1, value);
}

void hand_fence_release(uint32_t *words, uint32_t value)
{
    __atomic_store_n(words, SWAP(value), __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(words + 1, SWAP(value), __ATOMIC_RELAXED);
}

PAIR(uint32_t, fence_seq_cst, (struct crossvm_le32 *, uint32_t), (uint32_t *, uint32_t))

uint32_t layer_fence_seq_cst(struct crossvm_le32 *words, uint32_t value)
{
    crossvm_store_relaxed(words, value);
    CROSSVM_FENCE_SEQ_CST(some_edge, words);
    return crossvm_load_relaxed(words + 1);
}

uint32_t hand_fence_seq_cst(uint32_t *words, uint32_t value)
{
    __atomic_store_n(words, SWAP(value), __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return SWAP(__atomic_load_n(words + 1, __ATOMIC_RELAXED));
}

/* ---- pairs of words ------------------------------------------------------------------------- */

PAIR(uint64_t, load_pair, (const struct crossvm_le32 *), (const uint32_t *))

uint64_t layer_load_pair(const struct crossvm_le32 *words)
{
    return crossvm_load_pair(words, words + 1);
}

uint64_t hand_load_pair(const uint32_t *words)
{
    uint64_t low = SWAP(__atomic_load_n(words, __ATOMIC_RELAXED));
    uint64_t high = SWAP(__atomic_load_n(words + 1, __ATOMIC_RELAXED));
    return low | (high << 32);
}

PAIR(void, store_pair, (struct crossvm_le32 *, uint64_t), (uint32_t *, uint64_t))

void layer_store_pair(struct crossvm_le32 *words, uint64_t value)
{
    crossvm_store_pair(words, words + 1, value);
}

void hand_store_pair(uint32_t *words, uint64_t value)
{
    __atomic_store_n(words, SWAP((uint32_t)value), __ATOMIC_RELAXED);
    __atomic_store_n(words + 1, SWAP((uint32_t)(value >> 32)), __ATOMIC_RELAXED);
}

/* ---- a snapshot of two words, whole --------------------------------------------------------- */

/* The library's own steps of the writer and of the reader. */

PAIR(void, publish, (struct crossvm_slots *, uint64_t, uint32_t, uint32_t),
     (struct crossvm_slots *, uint64_t, uint32_t, uint32_t))

void layer_publish(struct crossvm_slots *slots, uint64_t version, uint32_t a, uint32_t b)
{
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(slots, version);
    crossvm_store_relaxed(&slot->reserved[0], a);
    crossvm_store_relaxed(&slot->reserved[1], b);
    crossvm_slots_writer_commit(slots, slot, version);
}

static uint32_t *hand_slot(const struct crossvm_slots *slots, uint32_t version_lo)
{
    size_t index = version_lo & (slots->n_slots - 1);
    return (uint32_t *)(void *)(slots->first + index * slots->stride);
}

void hand_publish(struct crossvm_slots *slots, uint64_t version, uint32_t a, uint32_t b)
{
    uint32_t *slot = hand_slot(slots, (uint32_t)version);
    uint64_t doubled = version << 1;
    __atomic_store_n(slot, SWAP((uint32_t)doubled - 1), __ATOMIC_RELEASE);
    __atomic_store_n(slot + 1, SWAP((uint32_t)(doubled >> 32)), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(slot + 8, SWAP(a), __ATOMIC_RELAXED);
    __atomic_store_n(slot + 9, SWAP(b), __ATOMIC_RELAXED);
    __atomic_store_n(slot, SWAP((uint32_t)(version << 1)), __ATOMIC_RELEASE);
    __atomic_store_n((uint32_t *)(void *)slots->control, SWAP((uint32_t)version), __ATOMIC_RELEASE);
}

PAIR(int, read, (const struct crossvm_slots *, uint32_t *, uint32_t),
     (const struct crossvm_slots *, uint32_t *, uint32_t))

/* One attempt at a version that is known: nothing but accesses and two comparisons. */
int layer_read(const struct crossvm_slots *slots, uint32_t *out, uint32_t version_lo)
{
    const struct crossvm_slot_shm *slot = crossvm_i_slot(slots, version_lo);
    uint32_t hi = CROSSVM_LOAD_ACQUIRE(slot_hi, &slot->hi);
    uint32_t mark = CROSSVM_LOAD_ACQUIRE(slot_mark, &slot->mark);
    out[0] = crossvm_load_relaxed(&slot->reserved[0]);
    out[1] = crossvm_load_relaxed(&slot->reserved[1]);
    CROSSVM_FENCE_ACQUIRE(slot_open, &slot->mark);
    if (CROSSVM_LOAD_ACQUIRE(slot_recheck, &slot->mark) != mark ||
        crossvm_load_relaxed(&slot->hi) != hi) {
        return CROSSVM_TORN;
    }
    return CROSSVM_OK;
}

int hand_read(const struct crossvm_slots *slots, uint32_t *out, uint32_t version_lo)
{
    const uint32_t *slot = hand_slot(slots, version_lo);
    uint32_t hi = SWAP(__atomic_load_n(slot + 1, __ATOMIC_ACQUIRE));
    uint32_t mark = SWAP(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
    out[0] = SWAP(__atomic_load_n(slot + 8, __ATOMIC_RELAXED));
    out[1] = SWAP(__atomic_load_n(slot + 9, __ATOMIC_RELAXED));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (SWAP(__atomic_load_n(slot, __ATOMIC_ACQUIRE)) != mark ||
        SWAP(__atomic_load_n(slot + 1, __ATOMIC_RELAXED)) != hi) {
        return CROSSVM_TORN;
    }
    return CROSSVM_OK;
}
