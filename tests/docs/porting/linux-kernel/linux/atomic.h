/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/atomic.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_ATOMIC_H
#define STAND_IN_LINUX_KERNEL_LINUX_ATOMIC_H

#include <linux/types.h>

void atomic_set(atomic_t *v, int i);
int atomic_xchg(atomic_t *v, int i);

#endif
