/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths that programs run, whole. instructions.sh builds this file twice: as it is, and with
 * BY_HAND, where bare builtins of the compiler take the access layer's place; and it compares how
 * many instructions each function has.
 */
#include <crossvm/compiler.h>
#include <crossvm/cpu.h>

#if defined(BY_HAND)

/* What atomic.h gives, and nothing between it and the compiler. */
#define CROSSVM_ATOMIC_H
#define CROSSVM_I_NATIVE_ATOMICS          1
#define CROSSVM_I_HOOK(access, addr, len) ((void)0)

struct __attribute__((may_alias)) crossvm_le32 {
    uint32_t i_bits;
};

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define crossvm_i_swap_le32(value) __builtin_bswap32(value)
#else
#define crossvm_i_swap_le32(value) (value)
#endif

#define HAND_LOAD(word, order) crossvm_i_swap_le32(__atomic_load_n(&(word)->i_bits, order))
#define HAND_STORE(word, value, order) \
    __atomic_store_n(&(word)->i_bits, crossvm_i_swap_le32(value), order)

#define crossvm_load_relaxed(word)               HAND_LOAD(word, __ATOMIC_RELAXED)
#define crossvm_store_relaxed(word, value)       HAND_STORE(word, value, __ATOMIC_RELAXED)
#define CROSSVM_LOAD_ACQUIRE(edge, word)         HAND_LOAD(word, __ATOMIC_ACQUIRE)
#define CROSSVM_STORE_RELEASE(edge, word, value) HAND_STORE(word, value, __ATOMIC_RELEASE)
#define CROSSVM_FENCE_ACQUIRE(edge, addr)        __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define CROSSVM_FENCE_RELEASE(edge, addr)        __atomic_thread_fence(__ATOMIC_RELEASE)
#define CROSSVM_FENCE_SEQ_CST(edge, addr)        __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define crossvm_i_read_once()                    __asm__ volatile("" ::: "memory")

static inline __attribute__((always_inline)) uint64_t crossvm_load_pair(
    const struct crossvm_le32 *lo, const struct crossvm_le32 *hi)
{
    uint64_t low = HAND_LOAD(lo, __ATOMIC_RELAXED);
    uint64_t high = HAND_LOAD(hi, __ATOMIC_RELAXED);
    return low | (high << 32);
}

static inline __attribute__((always_inline)) void crossvm_store_pair(struct crossvm_le32 *lo,
                                                                     struct crossvm_le32 *hi,
                                                                     uint64_t value)
{
    HAND_STORE(lo, (uint32_t)value, __ATOMIC_RELAXED);
    HAND_STORE(hi, (uint32_t)(value >> 32), __ATOMIC_RELAXED);
}

#endif

#include <crossvm/snapshot.h>
#include <crossvm/spsc.h>

struct record {
    uint64_t words[4];
};

CROSSVM_SPSC_TYPE(records, struct record);

int whole_publish(struct crossvm_snapshot_writer *writer, const void *src, uint32_t len);
int whole_read(struct crossvm_snapshot_reader *reader, void *dst, size_t len);
int whole_read_version(struct crossvm_snapshot_reader *reader, uint64_t version, void *dst);
int whole_push(struct crossvm_spsc_tx *tx, const void *element);
int whole_pop(struct crossvm_spsc_rx *rx, void *element);
int whole_push_record(struct records_tx *tx, const struct record *element);
int whole_pop_record(struct records_rx *rx, struct record *element);
int whole_kick(struct crossvm_spsc_tx *tx, uint64_t now_ns, uint64_t *again_ns);
int whole_arm(struct crossvm_spsc_rx *rx, uint32_t want);

int whole_publish(struct crossvm_snapshot_writer *writer, const void *src, uint32_t len)
{
    return crossvm_snapshot_writer_publish(writer, src, len, 1, 2);
}

int whole_read(struct crossvm_snapshot_reader *reader, void *dst, size_t len)
{
    return crossvm_snapshot_reader_read(reader, dst, len, NULL);
}

int whole_read_version(struct crossvm_snapshot_reader *reader, uint64_t version, void *dst)
{
    return crossvm_snapshot_reader_read_version(reader, version, dst, 64, NULL);
}

int whole_push(struct crossvm_spsc_tx *tx, const void *element)
{
    return crossvm_spsc_tx_push(tx, element);
}

int whole_pop(struct crossvm_spsc_rx *rx, void *element)
{
    return crossvm_spsc_rx_pop(rx, element);
}

int whole_push_record(struct records_tx *tx, const struct record *element)
{
    return records_tx_push(tx, element);
}

int whole_pop_record(struct records_rx *rx, struct record *element)
{
    return records_rx_pop(rx, element);
}

int whole_kick(struct crossvm_spsc_tx *tx, uint64_t now_ns, uint64_t *again_ns)
{
    return crossvm_spsc_tx_kick(tx, now_ns, again_ns);
}

int whole_arm(struct crossvm_spsc_rx *rx, uint32_t want)
{
    return crossvm_spsc_rx_arm(rx, want, 0);
}
