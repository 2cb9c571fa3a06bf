/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/stddef.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_STDDEF_H
#define STAND_IN_LINUX_KERNEL_LINUX_STDDEF_H

#include <stddef.h>

#endif
