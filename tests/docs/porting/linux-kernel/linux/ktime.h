/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/ktime.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_KTIME_H
#define STAND_IN_LINUX_KERNEL_LINUX_KTIME_H

#include <linux/types.h>

#define KTIME_MAX ((s64)0x7fffffffffffffff)

u64 ktime_get_ns(void);
ktime_t ns_to_ktime(u64 ns);

#endif
