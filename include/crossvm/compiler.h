/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/compiler.h - what the library asks of a compiler: integer types, attributes, static
 * asserts, and guards for C++ and for the Linux kernel.
 *
 * Layer 0. No roles, no shared bytes.
 *
 * gcc and clang, C11 and C++17 and later, hosted and freestanding.
 */
#ifndef CROSSVM_COMPILER_H
#define CROSSVM_COMPILER_H

#if defined(__KERNEL__)
#include <linux/limits.h>
#include <linux/stddef.h>
#include <linux/types.h>
/* The kernel knows these two by other names. */
#if !defined(UINT32_MAX)
#define UINT32_MAX U32_MAX
#endif
#if !defined(UINT64_MAX)
#define UINT64_MAX U64_MAX
#endif
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#if !defined(__GNUC__)
#error "crossvm needs the __atomic builtins of gcc or clang; see docs/PORTING.md"
#endif

#if defined(__cplusplus)
#define CROSSVM_EXTERN_C_BEGIN                    extern "C" {
#define CROSSVM_EXTERN_C_END                      }
#define CROSSVM_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#if defined(__KERNEL__)
/* Older kernels warn of declarations between statements. */
#define CROSSVM_EXTERN_C_BEGIN     \
    _Pragma("GCC diagnostic push") \
        _Pragma("GCC diagnostic ignored \"-Wdeclaration-after-statement\"")
#define CROSSVM_EXTERN_C_END _Pragma("GCC diagnostic pop")
#else
#define CROSSVM_EXTERN_C_BEGIN /* in front of a header's declarations */
#define CROSSVM_EXTERN_C_END   /* behind them */
#endif
/* Does not compile unless the condition holds. */
#define CROSSVM_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/* Attributes have underscores, because kernels and firmware have macros of the plain names. */

/* A function in a header; no warning when it is not used. */
#define CROSSVM_INLINE static inline __attribute__((__unused__))
/* One that is inlined even where the compiler would rather not: accesses, fast paths. */
#define CROSSVM_ALWAYS_INLINE static inline __attribute__((__unused__, __always_inline__))
/* One that is kept out of line. Not "cold": gcc would make it small instead of fast. */
#define CROSSVM_NOINLINE static __attribute__((__unused__, __noinline__))
/* Ignoring the answer is a warning. */
#define CROSSVM_NODISCARD __attribute__((__warn_unused_result__))
/* The condition mostly holds. */
#define CROSSVM_LIKELY(cond) __builtin_expect(!!(cond), 1)
/* The condition mostly does not hold. */
#define CROSSVM_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

/* Writers stand this far apart: two 64-byte lines, because processors fetch them in pairs. */
#define CROSSVM_LINE 128u

/* Sanitizers see C accesses only, so assembly gives way to C when one of them is at work. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CROSSVM_I_TSAN 1
#endif
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define CROSSVM_I_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CROSSVM_I_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CROSSVM_I_ASAN 1
#endif

#endif
