/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/copy.h - copies between private memory and shared memory that may change meanwhile.
 *
 * Layer 1. Roles: "in" reads shared memory, "out" writes it. No shared bytes of its own.
 *
 * Three paths, of one meaning:
 *
 *   strict   relaxed atomic words: free of races under C11, on every target, and the path under
 *            every sanitizer, model checker and hook
 *   fast     assembly for x86-64 (SSE2, AVX2) and aarch64, behind crossvm_copy_in and _out;
 *            CROSSVM_STRICT_C11 takes the strict path instead
 *   device   aligned 32-bit volatile words, for uncached mappings that fault on anything else
 *
 * None of them orders anything: the caller's edges do. Why that holds for the assembly, too:
 *
 *   compiler   the statements are volatile and clobber memory, so neither gcc nor clang moves
 *              them, or another memory access, across them or across an __atomic fence; that is
 *              the compilers' contract for assembly, not C11's
 *   x86-64     vector loads and stores to write-back memory are ordered as scalar ones are (no
 *              non-temporal or string instruction is used): loads stay in order, stores stay in
 *              order, which is all that acquire and release ask
 *   aarch64    LDP and STP are plain accesses: DMB ISHLD (acquire fence), DMB ISH (release
 *              fence), LDAR and STLR order them as they order single loads and stores
 *
 * No path promises that more than one byte is read at one instant; torn contents are found by the
 * marks around them (slots.h). The strict path accesses whole aligned words of the shared side,
 * so it may read up to 7 bytes before and behind what was asked for, within the same words, and
 * when writing it stores those neighbours back: both belong to the one writer's 64-byte line.
 */
#ifndef CROSSVM_COPY_H
#define CROSSVM_COPY_H

#include "atomic.h"

CROSSVM_EXTERN_C_BEGIN

#if !defined(CROSSVM_STRICT_C11) && !defined(CROSSVM_MODEL) && !defined(CROSSVM_HOOKS) && \
    !defined(CROSSVM_I_TSAN) && !defined(CROSSVM_I_ASAN) &&                               \
    ((defined(__x86_64__) && defined(__SSE2__)) || defined(__aarch64__))
#define CROSSVM_I_COPY_FAST 1
#else
#define CROSSVM_I_COPY_FAST 0
#endif

/* The strict path's unit: as wide as this target loads and stores at one instant. It may alias,
 * because the payload has the application's own types. */
#if !defined(CROSSVM_MODEL) && __GCC_ATOMIC_LLONG_LOCK_FREE == 2 && __SIZEOF_SIZE_T__ == 8
#define CROSSVM_I_UNIT_BITS uint64_t
#else
#define CROSSVM_I_UNIT_BITS uint32_t
#endif

struct __attribute__((__may_alias__)) crossvm_i_unit {
    CROSSVM_I_UNIT_BITS bits;
};

#define CROSSVM_I_UNIT sizeof(struct crossvm_i_unit)

CROSSVM_ALWAYS_INLINE CROSSVM_I_UNIT_BITS crossvm_i_unit_load(const struct crossvm_i_unit *unit)
{
#if CROSSVM_I_NATIVE_ATOMICS
    return __atomic_load_n(&unit->bits, __ATOMIC_RELAXED);
#else
    return ((const volatile struct crossvm_i_unit *)unit)->bits;
#endif
}

CROSSVM_ALWAYS_INLINE void crossvm_i_unit_store(struct crossvm_i_unit *unit,
                                                CROSSVM_I_UNIT_BITS value)
{
#if CROSSVM_I_NATIVE_ATOMICS
    __atomic_store_n(&unit->bits, value, __ATOMIC_RELAXED);
#else
    ((volatile struct crossvm_i_unit *)unit)->bits = value;
#endif
}

/* Part of one unit (len is below it), between private memory and a private copy of the unit. */
CROSSVM_ALWAYS_INLINE void crossvm_i_bytes(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;
    for (size_t i = 0; i < CROSSVM_I_UNIT; i++) {
        if (i < len) {
            to[i] = from[i];
        }
    }
}

CROSSVM_ALWAYS_INLINE size_t crossvm_i_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Copies len bytes from shared src to private dst, free of races under C11. Bounded by len. */
CROSSVM_INLINE void crossvm_copy_in_strict(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    size_t skip = (size_t)((uintptr_t)src % CROSSVM_I_UNIT);
    const struct crossvm_i_unit *unit =
        (const struct crossvm_i_unit *)(const void *)((const unsigned char *)src - skip);
    CROSSVM_I_UNIT_BITS value;

    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_IN, src, len);
    if (skip != 0 && len != 0) {
        size_t part = crossvm_i_min(CROSSVM_I_UNIT - skip, len);
        value = crossvm_i_unit_load(unit);
        crossvm_i_bytes(to, (const unsigned char *)&value + skip, part);
        unit++;
        to += part;
        len -= part;
    }
#if !defined(CROSSVM_MODEL)
    for (; len >= 4 * CROSSVM_I_UNIT; len -= 4 * CROSSVM_I_UNIT) {
        CROSSVM_I_UNIT_BITS four[4];
        four[0] = crossvm_i_unit_load(unit);
        four[1] = crossvm_i_unit_load(unit + 1);
        four[2] = crossvm_i_unit_load(unit + 2);
        four[3] = crossvm_i_unit_load(unit + 3);
        __builtin_memcpy(to, four, sizeof(four));
        unit += 4;
        to += sizeof(four);
    }
#endif
    for (; len >= CROSSVM_I_UNIT; len -= CROSSVM_I_UNIT) {
        value = crossvm_i_unit_load(unit);
        __builtin_memcpy(to, &value, CROSSVM_I_UNIT);
        unit++;
        to += CROSSVM_I_UNIT;
    }
    if (len != 0) {
        value = crossvm_i_unit_load(unit);
        crossvm_i_bytes(to, &value, len);
    }
}

/* Copies len bytes from private src to shared dst, free of races under C11. Bounded by len. */
CROSSVM_INLINE void crossvm_copy_out_strict(void *dst, const void *src, size_t len)
{
    const unsigned char *from = (const unsigned char *)src;
    size_t skip = (size_t)((uintptr_t)dst % CROSSVM_I_UNIT);
    struct crossvm_i_unit *unit = (struct crossvm_i_unit *)(void *)((unsigned char *)dst - skip);
    CROSSVM_I_UNIT_BITS value;

    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_OUT, dst, len);
    if (skip != 0 && len != 0) {
        size_t part = crossvm_i_min(CROSSVM_I_UNIT - skip, len);
        value = crossvm_i_unit_load(unit);
        crossvm_i_bytes((unsigned char *)&value + skip, from, part);
        crossvm_i_unit_store(unit, value);
        unit++;
        from += part;
        len -= part;
    }
#if !defined(CROSSVM_MODEL)
    for (; len >= 4 * CROSSVM_I_UNIT; len -= 4 * CROSSVM_I_UNIT) {
        CROSSVM_I_UNIT_BITS four[4];
        __builtin_memcpy(four, from, sizeof(four));
        crossvm_i_unit_store(unit, four[0]);
        crossvm_i_unit_store(unit + 1, four[1]);
        crossvm_i_unit_store(unit + 2, four[2]);
        crossvm_i_unit_store(unit + 3, four[3]);
        unit += 4;
        from += sizeof(four);
    }
#endif
    for (; len >= CROSSVM_I_UNIT; len -= CROSSVM_I_UNIT) {
        __builtin_memcpy(&value, from, CROSSVM_I_UNIT);
        crossvm_i_unit_store(unit, value);
        unit++;
        from += CROSSVM_I_UNIT;
    }
    if (len != 0) {
        value = crossvm_i_unit_load(unit);
        crossvm_i_bytes(&value, from, len);
        crossvm_i_unit_store(unit, value);
    }
}

/* Sets len shared bytes at dst to zero, free of races under C11. Bounded by len. dst, len:
 * multiples of 8. */
CROSSVM_INLINE void crossvm_copy_zero(void *dst, size_t len)
{
    struct crossvm_i_unit *unit = (struct crossvm_i_unit *)dst;
    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_OUT, dst, len);
    for (size_t i = 0; i < len / CROSSVM_I_UNIT; i++) {
        crossvm_i_unit_store(unit + i, 0);
    }
}

/* A word of an uncached mapping; it may alias, as the units do. */
struct __attribute__((__may_alias__)) crossvm_i_device_word {
    uint32_t bits;
};

/* Sets len bytes of an uncached mapping to zero by aligned 32-bit stores alone. Bounded by len.
 * dst, len: multiples of 4. */
CROSSVM_INLINE void crossvm_copy_zero_device(void *dst, size_t len)
{
    volatile struct crossvm_i_device_word *word = (volatile struct crossvm_i_device_word *)dst;
    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_OUT, dst, len);
    for (size_t i = 0; i < len / 4; i++) {
        word[i].bits = 0;
    }
}

/* Copies from an uncached mapping by aligned 32-bit loads alone. Bounded by len. */
CROSSVM_INLINE void crossvm_copy_in_device(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    size_t skip = (size_t)((uintptr_t)src % 4);
    const volatile struct crossvm_i_device_word *word =
        (const volatile struct crossvm_i_device_word *)(const void *)((const unsigned char *)src -
                                                                      skip);

    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_IN, src, len);
    while (len != 0) {
        uint32_t value = word->bits;
        size_t part = crossvm_i_min(4 - skip, len);
        crossvm_i_bytes(to, (const unsigned char *)&value + skip, part);
        skip = 0;
        word++;
        to += part;
        len -= part;
    }
}

/* Copies to an uncached mapping by aligned 32-bit accesses alone. Bounded by len. */
CROSSVM_INLINE void crossvm_copy_out_device(void *dst, const void *src, size_t len)
{
    const unsigned char *from = (const unsigned char *)src;
    size_t skip = (size_t)((uintptr_t)dst % 4);
    volatile struct crossvm_i_device_word *word =
        (volatile struct crossvm_i_device_word *)(void *)((unsigned char *)dst - skip);

    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_OUT, dst, len);
    while (len != 0) {
        size_t part = crossvm_i_min(4 - skip, len);
        uint32_t value = part == 4 ? 0 : word->bits;
        crossvm_i_bytes((unsigned char *)&value + skip, from, part);
        word->bits = value;
        skip = 0;
        word++;
        from += part;
        len -= part;
    }
}

#if CROSSVM_I_COPY_FAST

/* One block of CROSSVM_I_BLOCK bytes, and 16 bytes; any alignment on either side. */
#if defined(__AVX2__)
#define CROSSVM_I_BLOCK 128u
CROSSVM_ALWAYS_INLINE void crossvm_i_block(void *dst, const void *src)
{
    __asm__ volatile("vmovdqu   (%1), %%ymm0\n\t"
                     "vmovdqu 32(%1), %%ymm1\n\t"
                     "vmovdqu 64(%1), %%ymm2\n\t"
                     "vmovdqu 96(%1), %%ymm3\n\t"
                     "vmovdqu %%ymm0,   (%0)\n\t"
                     "vmovdqu %%ymm1, 32(%0)\n\t"
                     "vmovdqu %%ymm2, 64(%0)\n\t"
                     "vmovdqu %%ymm3, 96(%0)"
                     :
                     : "r"(dst), "r"(src)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
}
#elif defined(__x86_64__)
#define CROSSVM_I_BLOCK 64u
CROSSVM_ALWAYS_INLINE void crossvm_i_block(void *dst, const void *src)
{
    __asm__ volatile("movdqu   (%1), %%xmm0\n\t"
                     "movdqu 16(%1), %%xmm1\n\t"
                     "movdqu 32(%1), %%xmm2\n\t"
                     "movdqu 48(%1), %%xmm3\n\t"
                     "movdqu %%xmm0,   (%0)\n\t"
                     "movdqu %%xmm1, 16(%0)\n\t"
                     "movdqu %%xmm2, 32(%0)\n\t"
                     "movdqu %%xmm3, 48(%0)"
                     :
                     : "r"(dst), "r"(src)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
}
#else
#define CROSSVM_I_BLOCK 64u
CROSSVM_ALWAYS_INLINE void crossvm_i_block(void *dst, const void *src)
{
    uint64_t a, b, c, d, e, f, g, h;
    __asm__ volatile("ldp %0, %1, [%9]\n\t"
                     "ldp %2, %3, [%9, #16]\n\t"
                     "ldp %4, %5, [%9, #32]\n\t"
                     "ldp %6, %7, [%9, #48]\n\t"
                     "stp %0, %1, [%8]\n\t"
                     "stp %2, %3, [%8, #16]\n\t"
                     "stp %4, %5, [%8, #32]\n\t"
                     "stp %6, %7, [%8, #48]"
                     : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f), "=&r"(g),
                       "=&r"(h)
                     : "r"(dst), "r"(src)
                     : "memory");
}
#endif

/* Code behind us that knows no AVX is slow while the upper halves of the registers are in use. */
CROSSVM_ALWAYS_INLINE void crossvm_i_blocks_done(void)
{
#if defined(__AVX2__)
    __asm__ volatile("vzeroupper" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

CROSSVM_ALWAYS_INLINE void crossvm_i_sixteen(void *dst, const void *src)
{
#if defined(__AVX__)
    __asm__ volatile("vmovdqu (%1), %%xmm0\n\t"
                     "vmovdqu %%xmm0, (%0)"
                     :
                     : "r"(dst), "r"(src)
                     : "xmm0", "memory");
#elif defined(__x86_64__)
    __asm__ volatile("movdqu (%1), %%xmm0\n\t"
                     "movdqu %%xmm0, (%0)"
                     :
                     : "r"(dst), "r"(src)
                     : "xmm0", "memory");
#else
    uint64_t a, b;
    __asm__ volatile("ldp %0, %1, [%3]\n\t"
                     "stp %0, %1, [%2]"
                     : "=&r"(a), "=&r"(b)
                     : "r"(dst), "r"(src)
                     : "memory");
#endif
}

/* Both directions are the same instructions. Leaves fewer than 16 bytes; says how many. */
CROSSVM_ALWAYS_INLINE size_t crossvm_i_copy_fast(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;
    bool blocks = len >= CROSSVM_I_BLOCK;
    for (; len >= CROSSVM_I_BLOCK; len -= CROSSVM_I_BLOCK) {
        crossvm_i_block(to, from);
        to += CROSSVM_I_BLOCK;
        from += CROSSVM_I_BLOCK;
    }
    if (blocks) {
        crossvm_i_blocks_done();
    }
    for (; len >= 16; len -= 16) {
        crossvm_i_sixteen(to, from);
        to += 16;
        from += 16;
    }
    return len;
}

#endif

/* ---- memory that may change meanwhile ---------------------------------------------------- */

/* Copies len bytes from shared src to private dst by this build's fastest path.
 * Bounded by len; src may change meanwhile, then dst holds a mixture, and the caller's edges say
 * so. Each byte is taken once and dst is the caller's own: judge dst, never src. */
CROSSVM_INLINE void crossvm_copy_in(void *dst, const void *src, size_t len)
{
    if (len == 0) {
        return;
    }
#if CROSSVM_I_COPY_FAST
    size_t left = crossvm_i_copy_fast(dst, src, len);
    dst = (unsigned char *)dst + (len - left);
    src = (const unsigned char *)src + (len - left);
    len = left;
#endif
    crossvm_copy_in_strict(dst, src, len);
}

/* Copies len bytes from private src to shared dst by this build's fastest path. Bounded by len.
 * Only the one writer of those bytes may call it. */
CROSSVM_INLINE void crossvm_copy_out(void *dst, const void *src, size_t len)
{
    if (len == 0) {
        return;
    }
#if CROSSVM_I_COPY_FAST
    size_t left = crossvm_i_copy_fast(dst, src, len);
    dst = (unsigned char *)dst + (len - left);
    src = (const unsigned char *)src + (len - left);
    len = left;
#endif
    crossvm_copy_out_strict(dst, src, len);
}

/* ---- memory that is the caller's alone for the moment ------------------------------------ */

/* Copies len bytes to shared memory that nobody else may look at before it is published: a plain
 * copy, which folds when len is a constant. */
CROSSVM_ALWAYS_INLINE void crossvm_copy_put(void *dst, const void *src, size_t len)
{
    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_OUT, dst, len);
#if defined(CROSSVM_MODEL)
    for (size_t i = 0; i < len / 4; i++) {
        ((uint32_t *)dst)[i] = ((const uint32_t *)src)[i];
    }
#else
    __builtin_memcpy(dst, src, len);
#endif
}

/* Copies len bytes from shared memory that an honest peer leaves alone until it is released. A peer
 * that does not, gets a mixture into dst; src is not read again: judge dst. */
CROSSVM_ALWAYS_INLINE void crossvm_copy_take(void *dst, const void *src, size_t len)
{
    CROSSVM_I_HOOK(CROSSVM_ACCESS_COPY_IN, src, len);
#if defined(CROSSVM_MODEL)
    for (size_t i = 0; i < len / 4; i++) {
        ((uint32_t *)dst)[i] = ((const uint32_t *)src)[i];
    }
#else
    __builtin_memcpy(dst, src, len);
    crossvm_i_read_once();
#endif
}

CROSSVM_EXTERN_C_END

#endif
