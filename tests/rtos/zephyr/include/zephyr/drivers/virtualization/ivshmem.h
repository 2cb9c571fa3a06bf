/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for Zephyr's ivshmem.h: the declarations that this project uses, as the system
 * documents them. tests/rtos/zephyr/model.c is what they do on a host. */
#ifndef STAND_IN_ZEPHYR_ZEPHYR_DRIVERS_VIRTUALIZATION_IVSHMEM_H
#define STAND_IN_ZEPHYR_ZEPHYR_DRIVERS_VIRTUALIZATION_IVSHMEM_H

#include <zephyr/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

size_t ivshmem_get_mem(const struct device *dev, uintptr_t *memmap);
uint32_t ivshmem_get_id(const struct device *dev);
uint16_t ivshmem_get_vectors(const struct device *dev);
int ivshmem_int_peer(const struct device *dev, uint32_t peer_id, uint16_t vector);
int ivshmem_register_handler(const struct device *dev, struct k_poll_signal *signal,
                             uint16_t vector);

#if defined(CONFIG_IVSHMEM_V2)
size_t ivshmem_get_rw_mem_section(const struct device *dev, uintptr_t *memmap);
size_t ivshmem_get_output_mem_section(const struct device *dev, uint32_t peer_id,
                                      uintptr_t *memmap);
uint32_t ivshmem_get_state(const struct device *dev, uint32_t peer_id);
int ivshmem_set_state(const struct device *dev, uint32_t state);
uint32_t ivshmem_get_max_peers(const struct device *dev);
int ivshmem_enable_interrupts(const struct device *dev, bool enable);
#endif

#ifdef __cplusplus
}
#endif

#endif
