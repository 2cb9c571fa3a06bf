/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for Zephyr's kernel.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_ZEPHYR_ZEPHYR_KERNEL_H
#define STAND_IN_ZEPHYR_ZEPHYR_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t k_ticks_t;
typedef struct {
    k_ticks_t ticks;
} k_timeout_t;

#define K_FOREVER  ((k_timeout_t){-1})
#define K_TICKS(t) ((k_timeout_t){(t)})

int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_ns_floor64(uint64_t ticks);
uint64_t k_ns_to_ticks_ceil64(uint64_t ns);

struct k_poll_signal {
    unsigned int signaled;
    int result;
};
struct k_poll_event {
    uint32_t type;
    int mode;
    void *obj;
};
enum k_poll_modes {
    K_POLL_MODE_NOTIFY_ONLY = 0
};
#define K_POLL_TYPE_SIGNAL 1
#define K_POLL_EVENT_INITIALIZER(event_type, mode, object) \
    {                                                      \
        (event_type), (mode), (object)                     \
    }

int k_poll(struct k_poll_event *events, int num_events, k_timeout_t timeout);
void k_poll_signal_init(struct k_poll_signal *sig);
void k_poll_signal_reset(struct k_poll_signal *sig);

#endif
