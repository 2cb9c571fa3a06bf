/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/types.h, with the compiler's own integer types: the declarations that
 * docs/PORTING.md uses, as the system documents them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_TYPES_H
#define STAND_IN_LINUX_KERNEL_LINUX_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t s64;
typedef uint64_t u64;
typedef uint32_t u32;
typedef s64 ktime_t;
typedef struct {
    int counter;
} atomic_t;

#define __iomem

#endif
