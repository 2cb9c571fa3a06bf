/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/cpu.h - what C cannot say to a processor: a pause, a prefetch, and the system-wide
 * barrier; and products on processors that cannot multiply.
 *
 * Layer 1. No roles, no shared bytes.
 *
 * C11 fences order accesses to write-back memory among processors. They do not order accesses to
 * write-combining or device memory. crossvm_system_barrier does; a backend calls it before each
 * doorbell register write, and a build with CROSSVM_SYSTEM_FENCES uses it in every fence.
 */
#ifndef CROSSVM_CPU_H
#define CROSSVM_CPU_H

#include "compiler.h"

CROSSVM_EXTERN_C_BEGIN

/* Tells the processor that this is a spin loop. Wait-free, any role. */
CROSSVM_ALWAYS_INLINE void crossvm_cpu_pause(void)
{
#if defined(CROSSVM_MODEL)
    /* Model checkers take no assembly, and a pause has no meaning there. */
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7)
    __asm__ volatile("yield" ::: "memory");
#elif defined(__riscv)
    /* The pause hint by its encoding: assemblers without Zihintpause know no name for it. */
    __asm__ volatile(".4byte 0x0100000f" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* Tells the processor that a line will be read soon; nothing is read. at: any address in it, mapped
 * or not. Wait-free, any role. */
CROSSVM_ALWAYS_INLINE void crossvm_cpu_prefetch(const void *at)
{
#if defined(CROSSVM_MODEL)
    (void)at;
#else
    __builtin_prefetch(at);
#endif
}

/* Orders every earlier access of this processor before every later one, whatever the memory's
 * type and whoever watches (also devices and write-combining mappings). Wait-free, any role. */
CROSSVM_ALWAYS_INLINE void crossvm_system_barrier(void)
{
#if defined(CROSSVM_MODEL)
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#elif defined(__x86_64__) || (defined(__i386__) && defined(__SSE2__))
    __asm__ volatile("mfence" ::: "memory");
#elif defined(__i386__)
    __asm__ volatile("lock; addl $0,(%%esp)" ::: "memory", "cc");
#elif defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7)
    __asm__ volatile("dsb sy" ::: "memory");
#elif defined(__ARM_ARCH_6M__)
    __asm__ volatile("dsb" ::: "memory");
#elif defined(__riscv)
    __asm__ volatile("fence iorw, iorw" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* ---- products ---------------------------------------------------------------------------- */

/* Where the processor has no multiplier (RISC-V without M), or none with a result of 64 bits
 * (Thumb-1: Cortex-M0 and M23), the compiler would call its own library, which nobody has to have.
 * There a product is a sum, in as many steps as b has bits: b is the constant, or the smaller. */
#if defined(__riscv) && !defined(__riscv_mul) && !defined(__riscv_zmmul)
#define CROSSVM_I_MULTIPLY   0
#define CROSSVM_I_MULTIPLY64 0
#elif defined(__thumb__) && !defined(__thumb2__)
#define CROSSVM_I_MULTIPLY   1
#define CROSSVM_I_MULTIPLY64 0
#else
#define CROSSVM_I_MULTIPLY   1
#define CROSSVM_I_MULTIPLY64 1
#endif

#define CROSSVM_I_SUM_UP(product, a, b)          \
    do {                                         \
        for (; (b) != 0; (a) <<= 1, (b) >>= 1) { \
            if (((b)&1) != 0) {                  \
                (product) += (a);                \
            }                                    \
        }                                        \
    } while (0)

CROSSVM_ALWAYS_INLINE size_t crossvm_i_multiply(size_t a, size_t b)
{
#if CROSSVM_I_MULTIPLY
    return a * b;
#else
    size_t product = 0;
    CROSSVM_I_SUM_UP(product, a, b);
    return product;
#endif
}

CROSSVM_ALWAYS_INLINE uint64_t crossvm_i_multiply64(uint64_t a, uint64_t b)
{
#if CROSSVM_I_MULTIPLY64
    return a * b;
#else
    uint64_t product = 0;
    CROSSVM_I_SUM_UP(product, a, b);
    return product;
#endif
}

CROSSVM_EXTERN_C_END

#endif
