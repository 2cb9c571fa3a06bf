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
 *   fast     assembly for x86-64 and aarch64, behind crossvm_copy_in and _out: SSE2, and AVX2 from
 *            256 bytes on, for which a hosted program asks the processor at run time;
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

/* A model checker is given the plain loop. */
#if defined(CROSSVM_MODEL)
#define CROSSVM_I_UNROLL 0
#else
#define CROSSVM_I_UNROLL 1
#endif

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

/* One whole unit. */
CROSSVM_ALWAYS_INLINE void crossvm_i_unit_in(unsigned char *to, const struct crossvm_i_unit *unit)
{
    CROSSVM_I_UNIT_BITS value = crossvm_i_unit_load(unit);
    __builtin_memcpy(to, &value, CROSSVM_I_UNIT);
}

/* Two loads; on x86-64 one store, of which there is one a cycle. */
CROSSVM_ALWAYS_INLINE void crossvm_i_two_units_in(unsigned char *to,
                                                  const struct crossvm_i_unit *unit)
{
#if defined(__x86_64__) && defined(__SSE2__) && !defined(CROSSVM_MODEL)
    CROSSVM_I_UNIT_BITS value __attribute__((__vector_size__(2 * CROSSVM_I_UNIT))) = {
        crossvm_i_unit_load(unit), crossvm_i_unit_load(unit + 1)};
    __builtin_memcpy(to, &value, sizeof(value));
#else
    crossvm_i_unit_in(to, unit);
    crossvm_i_unit_in(to + CROSSVM_I_UNIT, unit + 1);
#endif
}

CROSSVM_ALWAYS_INLINE void crossvm_i_unit_out(struct crossvm_i_unit *unit,
                                              const unsigned char *from)
{
    CROSSVM_I_UNIT_BITS value;
    __builtin_memcpy(&value, from, CROSSVM_I_UNIT);
    crossvm_i_unit_store(unit, value);
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
    for (; CROSSVM_I_UNROLL && len >= 8 * CROSSVM_I_UNIT; len -= 8 * CROSSVM_I_UNIT) {
        crossvm_i_two_units_in(to, unit);
        crossvm_i_two_units_in(to + 2 * CROSSVM_I_UNIT, unit + 2);
        crossvm_i_two_units_in(to + 4 * CROSSVM_I_UNIT, unit + 4);
        crossvm_i_two_units_in(to + 6 * CROSSVM_I_UNIT, unit + 6);
        unit += 8;
        to += 8 * CROSSVM_I_UNIT;
    }
    for (; len >= CROSSVM_I_UNIT; len -= CROSSVM_I_UNIT) {
        crossvm_i_unit_in(to, unit);
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
    for (; CROSSVM_I_UNROLL && len >= 8 * CROSSVM_I_UNIT; len -= 8 * CROSSVM_I_UNIT) {
        crossvm_i_unit_out(unit, from);
        crossvm_i_unit_out(unit + 1, from + CROSSVM_I_UNIT);
        crossvm_i_unit_out(unit + 2, from + 2 * CROSSVM_I_UNIT);
        crossvm_i_unit_out(unit + 3, from + 3 * CROSSVM_I_UNIT);
        crossvm_i_unit_out(unit + 4, from + 4 * CROSSVM_I_UNIT);
        crossvm_i_unit_out(unit + 5, from + 5 * CROSSVM_I_UNIT);
        crossvm_i_unit_out(unit + 6, from + 6 * CROSSVM_I_UNIT);
        crossvm_i_unit_out(unit + 7, from + 7 * CROSSVM_I_UNIT);
        unit += 8;
        from += 8 * CROSSVM_I_UNIT;
    }
    for (; len >= CROSSVM_I_UNIT; len -= CROSSVM_I_UNIT) {
        crossvm_i_unit_out(unit, from);
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

/* 16 bytes and 64 bytes; any alignment on either side. */
#if defined(__x86_64__)
#if defined(__AVX__)
#define CROSSVM_I_MOVE "vmovdqu "
#else
#define CROSSVM_I_MOVE "movdqu "
#endif
/* clang-format off */
#define CROSSVM_I_MOVE_16 \
    CROSSVM_I_MOVE "(%1), %%xmm0\n\t" \
    CROSSVM_I_MOVE "%%xmm0, (%0)"
#define CROSSVM_I_MOVE_64 \
    CROSSVM_I_MOVE "  (%1), %%xmm0\n\t" \
    CROSSVM_I_MOVE "16(%1), %%xmm1\n\t" \
    CROSSVM_I_MOVE "32(%1), %%xmm2\n\t" \
    CROSSVM_I_MOVE "48(%1), %%xmm3\n\t" \
    CROSSVM_I_MOVE "%%xmm0,   (%0)\n\t" \
    CROSSVM_I_MOVE "%%xmm1, 16(%0)\n\t" \
    CROSSVM_I_MOVE "%%xmm2, 32(%0)\n\t" \
    CROSSVM_I_MOVE "%%xmm3, 48(%0)"
/* clang-format on */

CROSSVM_ALWAYS_INLINE void crossvm_i_copy_16(void *dst, const void *src)
{
    __asm__ volatile(CROSSVM_I_MOVE_16 : : "r"(dst), "r"(src) : "xmm0", "memory");
}

CROSSVM_ALWAYS_INLINE void crossvm_i_copy_64(void *dst, const void *src)
{
    __asm__ volatile(CROSSVM_I_MOVE_64
                     :
                     : "r"(dst), "r"(src)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
}
#else
CROSSVM_ALWAYS_INLINE void crossvm_i_copy_16(void *dst, const void *src)
{
    uint64_t a, b;
    __asm__ volatile("ldp %0, %1, [%3]\n\t"
                     "stp %0, %1, [%2]"
                     : "=&r"(a), "=&r"(b)
                     : "r"(dst), "r"(src)
                     : "memory");
}

CROSSVM_ALWAYS_INLINE void crossvm_i_copy_64(void *dst, const void *src)
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

/* Whether the processor has AVX2: asked at run time where the compiler's flags do not say so, as a
 * distribution's do not. Kernels and freestanding code have no one to ask. */
#if defined(__AVX2__)
#define CROSSVM_I_AVX2 1
#elif defined(__x86_64__) && __STDC_HOSTED__ && !defined(__KERNEL__)
#define CROSSVM_I_AVX2 __builtin_cpu_supports("avx2")
#endif

#if defined(CROSSVM_I_AVX2)
#define CROSSVM_I_WIDE_MIN 256u

/* len bytes, from 128 on, by 128: the last 128 overlap those before. */
CROSSVM_ALWAYS_INLINE void crossvm_i_copy_wide(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;
    size_t left = len - 128;
    /* Code behind us that knows no AVX is slow while upper halves are in use: vzeroupper. */
    __asm__ volatile("1:\n\t"
                     "vmovdqu   (%1), %%ymm0\n\t"
                     "vmovdqu 32(%1), %%ymm1\n\t"
                     "vmovdqu 64(%1), %%ymm2\n\t"
                     "vmovdqu 96(%1), %%ymm3\n\t"
                     "vmovdqu %%ymm0,   (%0)\n\t"
                     "vmovdqu %%ymm1, 32(%0)\n\t"
                     "vmovdqu %%ymm2, 64(%0)\n\t"
                     "vmovdqu %%ymm3, 96(%0)\n\t"
                     "sub $-128, %0\n\t"
                     "sub $-128, %1\n\t"
                     "sub $128, %2\n\t"
                     "ja 1b\n\t"
                     "vmovdqu   (%1,%2), %%ymm0\n\t"
                     "vmovdqu 32(%1,%2), %%ymm1\n\t"
                     "vmovdqu 64(%1,%2), %%ymm2\n\t"
                     "vmovdqu 96(%1,%2), %%ymm3\n\t"
                     "vmovdqu %%ymm0,   (%0,%2)\n\t"
                     "vmovdqu %%ymm1, 32(%0,%2)\n\t"
                     "vmovdqu %%ymm2, 64(%0,%2)\n\t"
                     "vmovdqu %%ymm3, 96(%0,%2)\n\t"
                     "vzeroupper"
                     : "+r"(to), "+r"(from), "+r"(left)
                     :
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15");
}
#endif

/* len bytes, from 16 on. The last step overlaps the one before, so that no few bytes are left. */
CROSSVM_NOINLINE void crossvm_i_copy_any(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;
    if (len >= 64) {
        for (; len > 64; len -= 64) {
            crossvm_i_copy_64(to, from);
            to += 64;
            from += 64;
        }
        crossvm_i_copy_64(to + len - 64, from + len - 64);
        return;
    }
    for (; len > 16; len -= 16) {
        crossvm_i_copy_16(to, from);
        to += 16;
        from += 16;
    }
    crossvm_i_copy_16(to + len - 16, from + len - 16);
}

/* The same, in both directions; the usual lengths cost no call. false: fewer bytes, none copied. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_copy_fast(void *dst, const void *src, size_t len)
{
    if (len >= 64 && len <= 128) {
        crossvm_i_copy_64(dst, src);
        if (CROSSVM_UNLIKELY(len != 64)) {
            crossvm_i_copy_64((unsigned char *)dst + len - 64,
                              (const unsigned char *)src + len - 64);
        }
        return true;
    }
#if defined(CROSSVM_I_AVX2)
    if (CROSSVM_LIKELY(len >= CROSSVM_I_WIDE_MIN && CROSSVM_I_AVX2)) {
        crossvm_i_copy_wide(dst, src, len);
        return true;
    }
#endif
    if (len >= 16) {
        crossvm_i_copy_any(dst, src, len);
        return true;
    }
    return false;
}

#endif

/* ---- memory that may change meanwhile ---------------------------------------------------- */

/* Copies len bytes from shared src to private dst by this build's fastest path.
 * Bounded by len; src may change meanwhile, then dst holds a mixture, and the caller's edges say
 * so. dst is the caller's own: judge dst, never src. */
CROSSVM_INLINE void crossvm_copy_in(void *dst, const void *src, size_t len)
{
#if CROSSVM_I_COPY_FAST
    if (crossvm_i_copy_fast(dst, src, len)) {
        return;
    }
#endif
    if (len != 0) {
        crossvm_copy_in_strict(dst, src, len);
    }
}

/* Copies len bytes from private src to shared dst by this build's fastest path. Bounded by len.
 * Only the one writer of those bytes may call it. */
CROSSVM_INLINE void crossvm_copy_out(void *dst, const void *src, size_t len)
{
#if CROSSVM_I_COPY_FAST
    if (crossvm_i_copy_fast(dst, src, len)) {
        return;
    }
#endif
    if (len != 0) {
        crossvm_copy_out_strict(dst, src, len);
    }
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
