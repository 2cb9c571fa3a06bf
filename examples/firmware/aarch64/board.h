/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - what the files of this machine know of each other, and where
 * its devices are. Source of the addresses: QEMU, hw/arm/virt.c; they are the board's promise as
 * long as highmem=off is given. A firmware that reads the device tree needs none of them.
 */
#ifndef FIRMWARE_AARCH64_BOARD_H
#define FIRMWARE_AARCH64_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GIC_DISTRIBUTOR 0x08000000u
#define GIC_CPU         0x08010000u
#define GIC_MSI_FRAME   0x08020000u
#define UART            0x09000000u

/* The window for memory of PCI devices is one; this program keeps registers and shared memory apart
 * in it, because they are mapped with different attributes. */
#define PCI_REGISTERS     0x10000000u
#define PCI_REGISTERS_LEN 0x01000000u
#define PCI_MEMORY        0x20000000u
#define PCI_MEMORY_LEN    0x10000000u
#define PCI_ECAM          0x3f000000u
#define PCI_ECAM_LEN      0x01000000u

#define CODE     0x40200000u
#define CODE_LEN 0x00200000u
#define DATA     0x40400000u
#define DATA_LEN 0x00400000u

/* ---- registers ---------------------------------------------------------------------------- */

/* By assembly: a compiler may choose a form that also moves a pointer, and then a hypervisor is not
 * told what was accessed (Arm ARM, ESR_ELx.ISV). */
static inline uint32_t register_read(uintptr_t address)
{
    uint32_t value;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void register_write(uintptr_t address, uint32_t value)
{
    __asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
}

/* ---- mmu.c -------------------------------------------------------------------------------- */

/* What a range of addresses is. */
enum mmu_kind {
    MMU_CODE,  /* Normal, write-back; read-only, executable */
    MMU_DATA,  /* Normal, write-back, inner shareable */
    MMU_DEVICE /* Device-nGnRE */
};

/* Puts the MMU and the caches on, over code, data and devices. */
void mmu_start(void);

/* Maps more, each address to itself; again is as once. base, len: multiples of 4096, in the first
 * 2 GiB. false: they are not, something of it is mapped as another kind, or no table is left. */
bool mmu_map(uint64_t base, uint64_t len, enum mmu_kind kind);

/* Whether a store to an address goes to write-back, inner shareable memory. The processor is asked,
 * not the tables: it would say no, too, if the MMU were off. */
bool mmu_is_write_back(uint64_t address);

/* ---- gic.c -------------------------------------------------------------------------------- */

/* Lets interrupts through, from the timer and those that gic_message gave away. */
void gic_start(void);

/* What a device has to write where, to raise an interrupt of its own. number: from 0; its handler
 * is told it. false: the frame has no such interrupt. */
bool gic_message(uint32_t number, uint64_t *address, uint32_t *data);

/* The exception entry calls it. */
void gic_interrupt(void);

/* ---- machine.c ---------------------------------------------------------------------------- */

/* Called with a message's number, in an interrupt. */
void machine_message(uint32_t number);

/* A fault: says where, and ends. entry: of the vectors, from 0; syndrome, from, address: ESR_EL1,
 * ELR_EL1, FAR_EL1. */
void machine_fault(uint64_t entry, uint64_t syndrome, uint64_t from, uint64_t address);

/* The first C function: with a stack, and the MMU off. */
void machine_first(void);

#endif
