/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/interrupt.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_INTERRUPT_H
#define STAND_IN_LINUX_KERNEL_LINUX_INTERRUPT_H

typedef enum irqreturn {
    IRQ_NONE = 0,
    IRQ_HANDLED = 1
} irqreturn_t;

#endif
