/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/atomic.h - every access to a shared control word, and every fence.
 *
 * Layer 1. No roles; the shared bytes are single words:
 *
 *   offset  size  writer        name      meaning
 *   0       4     the word's    i_bits    32 bits, little-endian, 4-byte aligned
 *
 * This is the only file that names the compiler's memory orders. A shared word has a type of its
 * own, so that arithmetic on a word that was not loaded does not compile.
 *
 * Every ordered access names its edge: an edge is one release side and one acquire side, and both
 * bear the same label (docs/ORDERING.md lists them all, with what goes wrong without each). The
 * labels cost nothing; they let a build weaken one side of one edge, to show that a check notices:
 *
 *   -DCROSSVM_MUTANT_<edge>_<what>=1   what: load_acquire, store_release, fence_acquire,
 *                                      fence_release, fence_seq_cst
 *
 * Builds of the same header (none changes a byte of the format):
 *
 *   plain                  nothing but the compiler's builtins
 *   CROSSVM_HOOKS          crossvm_hook is called before each shared access (the program has it)
 *   CROSSVM_MODEL          for model checkers: no assembly, 32-bit words only
 *   CROSSVM_SYSTEM_FENCES  fences also order write-combining and device memory
 *   thread sanitizer       fences also tell the sanitizer which address they are about
 */
#ifndef CROSSVM_ATOMIC_H
#define CROSSVM_ATOMIC_H

#include "compiler.h"
#include "cpu.h"

CROSSVM_EXTERN_C_BEGIN

/* A shared word. Never touch i_bits: load and store it with the calls below. It may lie in memory
 * that the program also knows as bytes. */
struct __attribute__((__may_alias__)) crossvm_le32 {
    uint32_t i_bits;
};

CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_le32) == 4, "a shared word is four bytes");

/* ---- the hook -------------------------------------------------------------------------- */

/* What a hook is called for. */
enum crossvm_access {
    CROSSVM_ACCESS_LOAD = 1,     /* a control word is about to be loaded */
    CROSSVM_ACCESS_STORE = 2,    /* a control word is about to be stored */
    CROSSVM_ACCESS_FENCE = 3,    /* a fence is about to be executed */
    CROSSVM_ACCESS_COPY_IN = 4,  /* len bytes of payload are about to be read */
    CROSSVM_ACCESS_COPY_OUT = 5, /* len bytes of payload are about to be written */
    CROSSVM_ACCESS_CAS = 6       /* a control word is about to be compared and swapped */
};

#if defined(CROSSVM_HOOKS)
/* Supplied by the program that is built with CROSSVM_HOOKS: called before each shared access. */
void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len);
#define CROSSVM_I_HOOK(access, addr, len) crossvm_hook((access), (addr), (len))
#else
#define CROSSVM_I_HOOK(access, addr, len) ((void)0)
#endif

/* ---- mutants: 1 when the macro is defined as 1, 0 when it is not defined ------------------ */

#define CROSSVM_I_PROBE_1                    0,
#define CROSSVM_I_SECOND(first, second, ...) second
#define CROSSVM_I_IS_SET_3(probe)            CROSSVM_I_SECOND(probe 1, 0, 0)
#define CROSSVM_I_IS_SET_2(value)            CROSSVM_I_IS_SET_3(CROSSVM_I_PROBE_##value)
#define CROSSVM_I_IS_SET(macro)              CROSSVM_I_IS_SET_2(macro)

/* ---- raw words --------------------------------------------------------------------------- */

/* A core without its own 32-bit atomics would call libatomic. There an aligned volatile access
 * is one instruction, and an explicit fence beside it orders it. */
#if defined(CROSSVM_MODEL) || __GCC_ATOMIC_INT_LOCK_FREE == 2
#define CROSSVM_I_NATIVE_ATOMICS 1
#else
#define CROSSVM_I_NATIVE_ATOMICS 0
#endif

/* Whether the core compares and swaps 32 bits by itself. The few calls that need it (mpsc.h, the
 * writers' side) are left out where it does not. */
#define CROSSVM_HAS_CAS CROSSVM_I_NATIVE_ATOMICS

CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_swap_le32(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

CROSSVM_ALWAYS_INLINE void crossvm_i_fence_acquire(void)
{
#if defined(CROSSVM_SYSTEM_FENCES)
    crossvm_system_barrier();
#endif
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

CROSSVM_ALWAYS_INLINE void crossvm_i_fence_release(void)
{
#if defined(CROSSVM_SYSTEM_FENCES)
    crossvm_system_barrier();
#endif
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

CROSSVM_ALWAYS_INLINE void crossvm_i_fence_seq_cst(void)
{
#if defined(CROSSVM_SYSTEM_FENCES)
    crossvm_system_barrier();
#endif
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_load_acquire(const struct crossvm_le32 *word)
{
    CROSSVM_I_HOOK(CROSSVM_ACCESS_LOAD, word, 4);
#if CROSSVM_I_NATIVE_ATOMICS && !defined(CROSSVM_SYSTEM_FENCES)
    return crossvm_i_swap_le32(__atomic_load_n(&word->i_bits, __ATOMIC_ACQUIRE));
#else
    uint32_t value = ((const volatile struct crossvm_le32 *)word)->i_bits;
    crossvm_i_fence_acquire();
    return crossvm_i_swap_le32(value);
#endif
}

CROSSVM_ALWAYS_INLINE void crossvm_i_store_release(struct crossvm_le32 *word, uint32_t value)
{
    CROSSVM_I_HOOK(CROSSVM_ACCESS_STORE, word, 4);
#if CROSSVM_I_NATIVE_ATOMICS && !defined(CROSSVM_SYSTEM_FENCES)
    __atomic_store_n(&word->i_bits, crossvm_i_swap_le32(value), __ATOMIC_RELEASE);
#else
    crossvm_i_fence_release();
    ((volatile struct crossvm_le32 *)word)->i_bits = crossvm_i_swap_le32(value);
#endif
}

/* ---- what the library uses --------------------------------------------------------------- */

/* Loads a shared word without ordering. Wait-free. The value is the peer's: judge it. */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_load_relaxed(const struct crossvm_le32 *word)
{
    CROSSVM_I_HOOK(CROSSVM_ACCESS_LOAD, word, 4);
#if CROSSVM_I_NATIVE_ATOMICS
    return crossvm_i_swap_le32(__atomic_load_n(&word->i_bits, __ATOMIC_RELAXED));
#else
    return crossvm_i_swap_le32(((const volatile struct crossvm_le32 *)word)->i_bits);
#endif
}

/* Stores a shared word without ordering. Wait-free. Only the word's one writer may call it. */
CROSSVM_ALWAYS_INLINE void crossvm_store_relaxed(struct crossvm_le32 *word, uint32_t value)
{
    CROSSVM_I_HOOK(CROSSVM_ACCESS_STORE, word, 4);
#if CROSSVM_I_NATIVE_ATOMICS
    __atomic_store_n(&word->i_bits, crossvm_i_swap_le32(value), __ATOMIC_RELAXED);
#else
    ((volatile struct crossvm_le32 *)word)->i_bits = crossvm_i_swap_le32(value);
#endif
}

#if CROSSVM_HAS_CAS
/* Stores a value if the word still holds what it should; whether it did. expected: that. No
 * ordering: a fence stands in front. For words that several write, in memory that is not mapped as
 * a device. It fails only if the word held something else. Wait-free where the core has the
 * instruction, else lock-free. */
CROSSVM_ALWAYS_INLINE bool crossvm_cas_relaxed(struct crossvm_le32 *word, uint32_t expected,
                                               uint32_t value)
{
    uint32_t held = crossvm_i_swap_le32(expected);
    CROSSVM_I_HOOK(CROSSVM_ACCESS_CAS, word, 4);
    return __atomic_compare_exchange_n(&word->i_bits, &held, crossvm_i_swap_le32(value), false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
#endif

/* Loads a word; what stood before the edge's release is visible afterwards. Wait-free. */
#define CROSSVM_LOAD_ACQUIRE(edge, word)                                                 \
    (CROSSVM_I_IS_SET(CROSSVM_MUTANT_##edge##_load_acquire) ? crossvm_load_relaxed(word) \
                                                            : crossvm_i_load_acquire(word))

/* Stores a word after everything before it. Wait-free. */
#define CROSSVM_STORE_RELEASE(edge, word, value)             \
    (CROSSVM_I_IS_SET(CROSSVM_MUTANT_##edge##_store_release) \
         ? crossvm_store_relaxed(word, value)                \
         : crossvm_i_store_release(word, value))

/* Thread sanitizer does not know fences: it is told the address that the edge is about. (The
 * kernel's own sanitizer has no such calls.) */
#if defined(CROSSVM_I_TSAN) && !defined(__KERNEL__)
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define CROSSVM_I_TSAN_ACQUIRE(addr) __tsan_acquire((void *)(uintptr_t)(addr))
#define CROSSVM_I_TSAN_RELEASE(addr) __tsan_release((void *)(uintptr_t)(addr))
#else
#define CROSSVM_I_TSAN_ACQUIRE(addr) ((void)0)
#define CROSSVM_I_TSAN_RELEASE(addr) ((void)0)
#endif

/* Loads before the fence are ordered before every access after it. addr: the edge's word. */
#define CROSSVM_FENCE_ACQUIRE(edge, addr)                               \
    do {                                                                \
        CROSSVM_I_HOOK(CROSSVM_ACCESS_FENCE, (addr), 0);                \
        if (!CROSSVM_I_IS_SET(CROSSVM_MUTANT_##edge##_fence_acquire)) { \
            crossvm_i_fence_acquire();                                  \
            CROSSVM_I_TSAN_ACQUIRE(addr);                               \
        }                                                               \
    } while (0)

/* Every access before the fence is ordered before stores after it. addr: the edge's word. */
#define CROSSVM_FENCE_RELEASE(edge, addr)                               \
    do {                                                                \
        CROSSVM_I_HOOK(CROSSVM_ACCESS_FENCE, (addr), 0);                \
        if (!CROSSVM_I_IS_SET(CROSSVM_MUTANT_##edge##_fence_release)) { \
            CROSSVM_I_TSAN_RELEASE(addr);                               \
            crossvm_i_fence_release();                                  \
        }                                                               \
    } while (0)

/* Also orders stores before the fence before loads after it: the heart of every wake-up. */
#define CROSSVM_FENCE_SEQ_CST(edge, addr)                               \
    do {                                                                \
        CROSSVM_I_HOOK(CROSSVM_ACCESS_FENCE, (addr), 0);                \
        if (!CROSSVM_I_IS_SET(CROSSVM_MUTANT_##edge##_fence_seq_cst)) { \
            crossvm_i_fence_seq_cst();                                  \
        }                                                               \
    } while (0)

/* What was read from shared memory before this point is not read again by the compiler. */
CROSSVM_ALWAYS_INLINE void crossvm_i_read_once(void)
{
#if !defined(CROSSVM_MODEL)
    __asm__ volatile("" ::: "memory");
#endif
}

/* ---- 64-bit values: two words ------------------------------------------------------------ */

/* Two shared words as one number, not loaded at one instant. Wait-free. */
CROSSVM_ALWAYS_INLINE uint64_t crossvm_load_pair(const struct crossvm_le32 *lo,
                                                 const struct crossvm_le32 *hi)
{
    uint64_t low = crossvm_load_relaxed(lo);
    uint64_t high = crossvm_load_relaxed(hi);
    return low | (high << 32);
}

/* Stores a number as two shared words, not at one instant. Wait-free. */
CROSSVM_ALWAYS_INLINE void crossvm_store_pair(struct crossvm_le32 *lo, struct crossvm_le32 *hi,
                                              uint64_t value)
{
    crossvm_store_relaxed(lo, (uint32_t)value);
    crossvm_store_relaxed(hi, (uint32_t)(value >> 32));
}

CROSSVM_EXTERN_C_END

#endif
