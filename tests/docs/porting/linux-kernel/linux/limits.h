/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/limits.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_LIMITS_H
#define STAND_IN_LINUX_KERNEL_LINUX_LIMITS_H

#include <stdint.h>

#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX

#endif
