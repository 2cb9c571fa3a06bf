/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for Zephyr's ivshmem.h: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_ZEPHYR_ZEPHYR_DRIVERS_VIRTUALIZATION_IVSHMEM_H
#define STAND_IN_ZEPHYR_ZEPHYR_DRIVERS_VIRTUALIZATION_IVSHMEM_H

#include <zephyr/kernel.h>

struct device;

size_t ivshmem_get_mem(const struct device *dev, uintptr_t *memmap);
int ivshmem_int_peer(const struct device *dev, uint32_t peer_id, uint16_t vector);
int ivshmem_register_handler(const struct device *dev, struct k_poll_signal *signal,
                             uint16_t vector);

#endif
