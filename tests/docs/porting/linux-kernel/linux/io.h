/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/io.h: the declarations that docs/PORTING.md uses, as the system documents
 * them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_IO_H
#define STAND_IN_LINUX_KERNEL_LINUX_IO_H

#include <linux/types.h>

void iowrite32(u32 value, void __iomem *addr);

#endif
