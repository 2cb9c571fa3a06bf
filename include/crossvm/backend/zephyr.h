/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/zephyr.h - ivshmem devices of a Zephyr guest, by Zephyr's own driver: memory,
 * doorbells, a clock; the sections and states of ivshmem-v2.
 *
 * Layer 6, on ticks.h, notify.h and region.h. Roles: a handle belongs to one thread, and a vector
 * to one handle, because the driver knows one signal for each. No shared bytes. Nothing here is for
 * interrupt handlers.
 *
 * The driver raises a vector's k_poll_signal from its interrupt. It stays raised until it is reset,
 * which a wait does before it returns: so a ring that comes before the wait, or while the caller
 * looks at shared memory, is remembered, and rings run together.
 *
 * What the driver (drivers/virtualization/virt_ivshmem.c) does not say, and what follows:
 *
 *   - it writes the doorbell without a barrier: signal has one in front of it;
 *   - it judges the vector of a peer's by the number of own ones: a vector that this side has not
 *     cannot be rung;
 *   - id 0 is an id where there are vectors, and says that there is none on ivshmem-plain;
 *   - ivshmem_get_mem answers the table of states on ivshmem-v2, which is no region's place;
 *   - it maps the memory write-back, and whatever it maps it can write: CROSSVM_READ_ONLY binds
 *     only who asked for it, unless the hypervisor says the same.
 *
 * Kconfig: IVSHMEM; IVSHMEM_DOORBELL and POLL to be rung; IVSHMEM_V2.
 */
#ifndef CROSSVM_BACKEND_ZEPHYR_H
#define CROSSVM_BACKEND_ZEPHYR_H

#include "ticks.h"

#include "../notify.h"
#include "../region.h"

#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/kernel.h>

CROSSVM_EXTERN_C_BEGIN

/* How often a side without vectors looks, ns, unless the caller sets another period. */
#define CROSSVM_ZEPHYR_PERIOD_NS 1000000u

/* A device in use. */
struct crossvm_zephyr {
    const struct device *device; /* the driver's */
    struct k_poll_signal *rung;  /* the caller's: one for each own vector */
    uint32_t n_own;              /* their number; 0 = this side polls */
    uint32_t n_vectors;          /* that the device has; 0 = nobody can be rung through it */
    uint64_t period_ns;          /* who polls looks so often, from 1; the caller may change it */
    int error;                   /* the kernel's last refusal, a negative errno; 0 = none yet */
};

/* ---- time ---------------------------------------------------------------------------------- */

/* Time since boot in ns, by the kernel's ticks: never backward. Wait-free. */
CROSSVM_INLINE uint64_t crossvm_zephyr_now(void)
{
    return crossvm_i_ticks_ns((uint64_t)k_uptime_ticks(), CONFIG_SYS_CLOCK_TICKS_PER_SEC);
}

#if defined(CONFIG_TIMER_HAS_64BIT_CYCLE_COUNTER)
/* A finer time for samples, of another clock than crossvm_zephyr_now: the cycle counter in ns.
 * Wait-free. */
CROSSVM_INLINE uint64_t crossvm_zephyr_stamp(void)
{
    return crossvm_i_ticks_ns(k_cycle_get_64(), (uint64_t)sys_clock_hw_cycles_per_sec());
}
#endif

/* A time as the kernel takes it: it comes early when it is far away. */
CROSSVM_INLINE k_timeout_t crossvm_i_zephyr_timeout(uint64_t until_ns)
{
    if (until_ns == CROSSVM_NO_DEADLINE) {
        return K_FOREVER;
    }
    uint64_t ticks =
        crossvm_i_ticks_until(crossvm_zephyr_now(), until_ns, CONFIG_SYS_CLOCK_TICKS_PER_SEC);
    return K_TICKS((k_ticks_t)ticks);
}

/* ---- the device ---------------------------------------------------------------------------- */

/* What the kernel's answer means. OK; NOT_FOUND, UNSUPPORTED, SYSTEM with `error`. */
CROSSVM_INLINE int crossvm_i_zephyr_answer(struct crossvm_zephyr *zephyr, int error)
{
    if (error >= 0) {
        return CROSSVM_OK;
    }
    zephyr->error = error;
    if (error == -EINVAL) {
        return CROSSVM_NOT_FOUND;
    }
    return error == -ENOSYS ? CROSSVM_UNSUPPORTED : CROSSVM_SYSTEM;
}

/* Whether the device is an ivshmem-v2. */
CROSSVM_INLINE bool crossvm_i_zephyr_is_v2(const struct crossvm_zephyr *zephyr)
{
#if defined(CONFIG_IVSHMEM_V2)
    return ivshmem_get_max_peers(zephyr->device) != 0;
#else
    (void)zephyr;
    return false;
#endif
}

/* Lets an ivshmem-v2 interrupt, or not; others always do. */
CROSSVM_INLINE int crossvm_i_zephyr_interrupts(struct crossvm_zephyr *zephyr, bool on)
{
#if defined(CONFIG_IVSHMEM_V2)
    if (crossvm_i_zephyr_is_v2(zephyr)) {
        return crossvm_i_zephyr_answer(zephyr, ivshmem_enable_interrupts(zephyr->device, on));
    }
#else
    (void)zephyr;
    (void)on;
#endif
    return CROSSVM_OK;
}

/* Takes n_own vectors. The signal is made first: a ring may come at once. */
CROSSVM_INLINE int crossvm_i_zephyr_listen(struct crossvm_zephyr *zephyr, uint32_t n_own)
{
#if defined(CONFIG_POLL)
    for (uint32_t i = 0; i < n_own; i++) {
        k_poll_signal_init(&zephyr->rung[i]);
        int error = ivshmem_register_handler(zephyr->device, &zephyr->rung[i], (uint16_t)i);
        if (error < 0) {
            return crossvm_i_zephyr_answer(zephyr, error);
        }
        zephyr->n_own++;
    }
    return n_own == 0 ? CROSSVM_OK : crossvm_i_zephyr_interrupts(zephyr, true);
#else
    (void)zephyr;
    return n_own == 0 ? CROSSVM_OK : CROSSVM_UNSUPPORTED;
#endif
}

/* Gives a device up: its signals are the caller's again. Safe to call twice. */
CROSSVM_INLINE void crossvm_zephyr_close(struct crossvm_zephyr *zephyr)
{
    if (zephyr->n_own != 0) {
        (void)crossvm_i_zephyr_interrupts(zephyr, false);
    }
    for (uint32_t i = 0; i < zephyr->n_own; i++) {
        (void)ivshmem_register_handler(zephyr->device, NULL, (uint16_t)i);
    }
    zephyr->n_own = 0;
}

/* Opens a device and takes its vectors 0 to n_own - 1. device: the driver's, from the devicetree.
 * rung: n_own signals, which must outlive the handle. n_own: 0 = this side is rung by nobody, and
 * its waits poll. Role: the thread that will wait. Does not block. OK; NOT_FOUND the device is not
 * ready, or has fewer vectors (ivshmem-plain has none); UNSUPPORTED Zephyr was built without
 * IVSHMEM_DOORBELL or POLL; SYSTEM with `error`. Unless OK nothing is taken. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_open(struct crossvm_zephyr *zephyr,
                                                         const struct device *device,
                                                         struct k_poll_signal *rung, uint32_t n_own)
{
    __builtin_memset(zephyr, 0, sizeof(*zephyr));
    zephyr->device = device;
    zephyr->rung = rung;
    zephyr->period_ns = CROSSVM_ZEPHYR_PERIOD_NS;
    if (!device_is_ready(device)) {
        return CROSSVM_NOT_FOUND;
    }
    zephyr->n_vectors = ivshmem_get_vectors(device);
    int status = crossvm_i_zephyr_listen(zephyr, n_own);
    if (status != CROSSVM_OK) {
        crossvm_zephyr_close(zephyr);
    }
    return status;
}

/* Own id, by which peers ring this side: publish it in a chunk of the own region. id: where it
 * goes. Role: anyone. Wait-free. OK, and 0 may be one; UNSUPPORTED the device has none:
 * ivshmem-plain. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_id(const struct crossvm_zephyr *zephyr,
                                                       uint32_t *id)
{
    *id = ivshmem_get_id(zephyr->device);
    bool has_one = zephyr->n_vectors != 0 || crossvm_i_zephyr_is_v2(zephyr);
    return has_one ? CROSSVM_OK : CROSSVM_UNSUPPORTED;
}

/* ---- memory -------------------------------------------------------------------------------- */

/* What the driver mapped. OK; NOT_FOUND nothing. */
CROSSVM_INLINE int crossvm_i_zephyr_mapping(struct crossvm_mapping *mapping, size_t len,
                                            uintptr_t base, enum crossvm_mapping_access access)
{
    __builtin_memset(mapping, 0, sizeof(*mapping));
    if (len == 0) {
        return CROSSVM_NOT_FOUND; /* and then the base was not set */
    }
    mapping->base = (void *)base;
    mapping->len = len;
    mapping->access = access;
    mapping->memory = CROSSVM_WRITE_BACK;
    return CROSSVM_OK;
}

/* The memory of an ivshmem-plain or ivshmem-doorbell. access: what the hypervisor allows, which the
 * device does not say. Role: anyone. Wait-free. OK; NOT_FOUND it has none; TYPE it is an
 * ivshmem-v2: take its sections. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_map(const struct crossvm_zephyr *zephyr,
                                                        enum crossvm_mapping_access access,
                                                        struct crossvm_mapping *mapping)
{
    uintptr_t base = 0;
    if (crossvm_i_zephyr_is_v2(zephyr)) {
        return CROSSVM_TYPE;
    }
    size_t len = ivshmem_get_mem(zephyr->device, &base);
    return crossvm_i_zephyr_mapping(mapping, len, base, access);
}

#if defined(CONFIG_IVSHMEM_V2)

/* The section of an ivshmem-v2 that all peers write: a region in it has an owner like any other, so
 * one peer formats it. Role: anyone. Wait-free. OK; NOT_FOUND it is empty, or the device is no
 * ivshmem-v2. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_map_common(const struct crossvm_zephyr *zephyr,
                                                               struct crossvm_mapping *mapping)
{
    uintptr_t base = 0;
    size_t len = ivshmem_get_rw_mem_section(zephyr->device, &base);
    return crossvm_i_zephyr_mapping(mapping, len, base, CROSSVM_READ_WRITE);
}

/* The section of an ivshmem-v2 that one peer writes and all read: the place of that peer's region.
 * peer: its id; the own one's may be written. Role: anyone. Wait-free. OK; NOT_FOUND no such peer
 * or section, or the device is no ivshmem-v2. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_map_output(const struct crossvm_zephyr *zephyr,
                                                               uint32_t peer,
                                                               struct crossvm_mapping *mapping)
{
    uintptr_t base = 0;
    size_t len = ivshmem_get_output_mem_section(zephyr->device, peer, &base);
    bool own = peer == ivshmem_get_id(zephyr->device);
    return crossvm_i_zephyr_mapping(mapping, len, base,
                                    own ? CROSSVM_READ_WRITE : CROSSVM_READ_ONLY);
}

/* Says what state this side is in, and rings vector 0 of every peer by that. state: the
 * application's; 0 is what a dead peer's is, so use others, and set one only when the own region
 * stands. Role: the handle's thread. Wait-free. OK; UNSUPPORTED the device is no ivshmem-v2; SYSTEM
 * with `error`. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_state_set(struct crossvm_zephyr *zephyr,
                                                              uint32_t state)
{
    crossvm_system_barrier();
    int status = crossvm_i_zephyr_answer(zephyr, ivshmem_set_state(zephyr->device, state));
    return status == CROSSVM_NOT_FOUND ? CROSSVM_SYSTEM : status;
}

/* The state of a peer: 0 when it has not set one, or the hypervisor has reset it: a death that is
 * confirmed (crossvm_peer_confirm with CROSSVM_PEER_CAUSE_BACKEND). A peer that died and is back
 * between two looks shows only by its incarnation (peer.h). state: where it goes. Role:
 * anyone. Wait-free. Trust: other states are what the peer says. OK and *state; NOT_FOUND no such
 * peer, or no ivshmem-v2. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_zephyr_state_get(const struct crossvm_zephyr *zephyr,
                                                              uint32_t peer, uint32_t *state)
{
    *state = 0;
    if (peer >= ivshmem_get_max_peers(zephyr->device)) {
        return CROSSVM_NOT_FOUND;
    }
    *state = ivshmem_get_state(zephyr->device, peer);
    return CROSSVM_OK;
}

#endif

/* ---- notify -------------------------------------------------------------------------------- */

CROSSVM_INLINE uint64_t crossvm_i_zephyr_now(void *context)
{
    (void)context;
    return crossvm_zephyr_now();
}

CROSSVM_INLINE int crossvm_i_zephyr_signal(void *context, uint32_t peer, uint32_t vector)
{
    struct crossvm_zephyr *zephyr = (struct crossvm_zephyr *)context;
    if (zephyr->n_vectors == 0) {
        return CROSSVM_OK; /* whoever is there polls */
    }
    if (peer > 0xffff || vector > 0xffff) {
        return CROSSVM_NOT_FOUND; /* the register has no room for it */
    }
    crossvm_system_barrier();
    return crossvm_i_zephyr_answer(zephyr,
                                   ivshmem_int_peer(zephyr->device, peer, (uint16_t)vector));
}

/* Waits for one own vector until a deadline. */
CROSSVM_INLINE int crossvm_i_zephyr_hear(struct crossvm_zephyr *zephyr, uint32_t vector,
                                         uint64_t deadline_ns)
{
#if defined(CONFIG_POLL)
    struct k_poll_event event;
    for (;;) {
        k_poll_event_init(&event, K_POLL_TYPE_SIGNAL, K_POLL_MODE_NOTIFY_ONLY,
                          &zephyr->rung[vector]);
        int error = k_poll(&event, 1, crossvm_i_zephyr_timeout(deadline_ns));
        if (error == 0) {
            /* Before the caller looks: what is rung from here on is another wake-up. */
            k_poll_signal_reset(&zephyr->rung[vector]);
            return CROSSVM_OK;
        }
        if (error != -EAGAIN) {
            zephyr->error = error;
            return CROSSVM_SYSTEM;
        }
        if (crossvm_zephyr_now() >= deadline_ns) {
            return CROSSVM_TIMEOUT;
        }
    }
#else
    (void)zephyr;
    (void)vector;
    (void)deadline_ns;
    return CROSSVM_NOT_FOUND; /* open has taken no vector */
#endif
}

/* Nobody rings: a period, and then a false alarm. */
CROSSVM_INLINE int crossvm_i_zephyr_look_around(const struct crossvm_zephyr *zephyr,
                                                uint64_t deadline_ns)
{
    uint64_t now_ns = crossvm_zephyr_now();
    if (now_ns >= deadline_ns) {
        return CROSSVM_TIMEOUT;
    }
    bool late = zephyr->period_ns >= deadline_ns - now_ns;
    (void)k_sleep(crossvm_i_zephyr_timeout(late ? deadline_ns : now_ns + zephyr->period_ns));
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_zephyr_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct crossvm_zephyr *zephyr = (struct crossvm_zephyr *)context;
    if (zephyr->n_own == 0) {
        return crossvm_i_zephyr_look_around(zephyr, deadline_ns);
    }
    if (vector >= zephyr->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    return crossvm_i_zephyr_hear(zephyr, vector, deadline_ns);
}

/* Who polls has slept already. */
CROSSVM_INLINE void crossvm_i_zephyr_rest(void *context, uint64_t until_ns)
{
    const struct crossvm_zephyr *zephyr = (const struct crossvm_zephyr *)context;
    if (zephyr->n_own != 0) {
        (void)k_sleep(crossvm_i_zephyr_timeout(until_ns));
    }
}

/* Makes a notify of a device's doorbells; deadlines are times of crossvm_zephyr_now. Peers are ids:
 * on ivshmem-plain and -doorbell nobody checks them, and a ring to one that is not there is lost. A
 * handle without vectors of its own rings others and polls itself. On ivshmem-plain signals are OK
 * and ring nobody. What the kernel refuses is SYSTEM, with `error` in the handle instead of
 * errno. */
CROSSVM_INLINE void crossvm_notify_zephyr(struct crossvm_notify *notify,
                                          struct crossvm_zephyr *zephyr)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_zephyr_signal, crossvm_i_zephyr_wait, NULL,
        crossvm_i_zephyr_now,    crossvm_i_zephyr_rest,
    };
    notify->ops = &ops;
    notify->context = zephyr;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
