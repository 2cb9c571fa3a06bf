/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for linux/wait.h: the declarations that docs/PORTING.md uses, as the system documents
 * them. For compiling only. */
#ifndef STAND_IN_LINUX_KERNEL_LINUX_WAIT_H
#define STAND_IN_LINUX_KERNEL_LINUX_WAIT_H

#include <linux/types.h>

typedef struct wait_queue_head {
    int unused;
} wait_queue_head_t;

#define ETIME 62

void wake_up(wait_queue_head_t *head);
long stand_in_sleep(wait_queue_head_t *head, ktime_t timeout);

#define wait_event_interruptible_hrtimeout(head, condition, timeout) \
    ((condition) ? 0 : stand_in_sleep(&(head), (timeout)))

#endif
