/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for Zephyr's kernel.h, with what it brings of device.h and devicetree.h: the
 * declarations that this project uses, as the system documents them. tests/rtos/zephyr/model.c is
 * what they do on a host. */
#ifndef STAND_IN_ZEPHYR_ZEPHYR_KERNEL_H
#define STAND_IN_ZEPHYR_ZEPHYR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __STDC_HOSTED__
#include <errno.h>
#else
#define EAGAIN 11
#define EINVAL 22
#define ENOSYS 88
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What Kconfig would say: all of it, or with STAND_IN_PLAIN as little as there can be. */
#if !defined(CONFIG_SYS_CLOCK_TICKS_PER_SEC)
#define CONFIG_SYS_CLOCK_TICKS_PER_SEC 10000
#endif
#if !defined(STAND_IN_PLAIN)
#define CONFIG_POLL                          1
#define CONFIG_IVSHMEM_V2                    1
#define CONFIG_TIMEOUT_64BIT                 1
#define CONFIG_TIMER_HAS_64BIT_CYCLE_COUNTER 1
#endif

/* ---- devices ------------------------------------------------------------------------------- */

struct device {
    const char *name;
    void *data;
};

bool device_is_ready(const struct device *dev);

/* ---- time ---------------------------------------------------------------------------------- */

#if defined(CONFIG_TIMEOUT_64BIT)
typedef int64_t k_ticks_t;
#else
typedef uint32_t k_ticks_t;
#endif
typedef struct {
    k_ticks_t ticks;
} k_timeout_t;

#define K_TICKS_FOREVER ((k_ticks_t)-1)
#if defined(__cplusplus)
#define K_TICKS(t) (k_timeout_t{(t)})
#else
#define K_TICKS(t) ((k_timeout_t){.ticks = (t)})
#endif
#define K_FOREVER  K_TICKS(K_TICKS_FOREVER)
#define K_MSEC(ms) K_TICKS((k_ticks_t)((ms) * (CONFIG_SYS_CLOCK_TICKS_PER_SEC) / 1000))

int64_t k_uptime_ticks(void);
uint64_t k_cycle_get_64(void);
uint32_t k_cycle_get_32(void);
unsigned int sys_clock_hw_cycles_per_sec(void);
int32_t k_sleep(k_timeout_t timeout);

/* ---- poll ---------------------------------------------------------------------------------- */

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

void k_poll_event_init(struct k_poll_event *event, uint32_t type, int mode, void *obj);
int k_poll(struct k_poll_event *events, int num_events, k_timeout_t timeout);
void k_poll_signal_init(struct k_poll_signal *sig);
void k_poll_signal_reset(struct k_poll_signal *sig);
int k_poll_signal_raise(struct k_poll_signal *sig, int result);

#ifdef __cplusplus
}
#endif

#endif
