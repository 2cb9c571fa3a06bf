/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmu.c - page tables: each address is mapped to itself.
 *
 * Why the MMU at all: without it an aarch64 processor takes every data access for one to a device.
 * Then unaligned accesses fault, there are no exclusive ones (mpsc.h), and the other side, which
 * has the same bytes in its cache, is coherent with this one only by luck. The shared memory of a
 * peer is mapped as the peer has it: Normal, write-back, inner shareable. Registers are Device.
 *
 * 4-KiB pages, 39 bits of address: three levels. Only what is used is mapped: nothing is read ahead
 * of time at addresses where no device answers, and a stray pointer faults. Source: Arm
 * Architecture Reference Manual for A-profile (DDI 0487), D8, "The AArch64 Virtual Memory System
 * Architecture".
 */
#include "board.h"

#define ENTRIES 512u
#define PAGE    0x1000u
#define BLOCK   0x200000u

#define N_TOPS   2u  /* tables of 1 GiB: devices, memory */
#define N_TABLES 16u /* tables of 2 MiB, for what is not whole blocks */

/* Descriptors. */
#define VALID           1u
#define TABLE           3u /* in levels 1 and 2; a page in level 3 */
#define ATTRIBUTES(n)   ((uint64_t)(n) << 2)
#define READ_ONLY       (UINT64_C(2) << 6)
#define INNER_SHAREABLE (UINT64_C(3) << 8)
#define ACCESSED        (UINT64_C(1) << 10)
#define NO_EXECUTE      (UINT64_C(3) << 53) /* in EL1, and in EL0, which nobody uses */
#define NEXT_TABLE      UINT64_C(0x0000fffffffff000)

/* Memory attributes by number, in MAIR_EL1. */
#define NORMAL 0u
#define DEVICE 1u
#define MAIR   (UINT64_C(0xff) | UINT64_C(0x04) << 8) /* write-back, allocating; Device-nGnRE */

/* TCR_EL1: 39 bits; walks of the tables are write-back, inner shareable; no second half. */
#define TCR (25u | 1u << 8 | 1u << 10 | 3u << 12 | 1u << 23)

/* SCTLR_EL1, with the bits that are always one: MMU, both caches, the stack pointer's alignment;
 * what is writable is never executed. Alignment of data is not checked. */
#define SCTLR (0x30d00800u | 1u | 1u << 2 | 1u << 3 | 1u << 12 | 1u << 19)

static uint64_t root[ENTRIES] __attribute__((aligned(4096)));
static uint64_t tops[N_TOPS][ENTRIES] __attribute__((aligned(4096)));
static uint64_t tables[N_TABLES][ENTRIES] __attribute__((aligned(4096)));
static uint32_t n_tables;

static uint64_t attributes(enum mmu_kind kind)
{
    switch (kind) {
    case MMU_CODE:
        return ACCESSED | INNER_SHAREABLE | ATTRIBUTES(NORMAL) | READ_ONLY;
    case MMU_DATA:
        return ACCESSED | INNER_SHAREABLE | ATTRIBUTES(NORMAL) | NO_EXECUTE;
    case MMU_DEVICE:
        break;
    }
    return ACCESSED | ATTRIBUTES(DEVICE) | NO_EXECUTE;
}

/* The entry of a page, with a table made for it if there is none. NULL: no table is left, or the
 * page is part of a block. */
static uint64_t *page_entry(uint64_t *block, uint64_t address)
{
    if (*block == 0) {
        if (n_tables == N_TABLES) {
            return NULL;
        }
        *block = (uint64_t)(uintptr_t)tables[n_tables] | TABLE;
        n_tables++;
    }
    if ((*block & TABLE) != TABLE) {
        return NULL;
    }
    return (uint64_t *)(uintptr_t)(*block & NEXT_TABLE) + address / PAGE % ENTRIES;
}

/* Maps one step at an address: a block where it can be one, else a page. The step; 0 = refused. */
static uint64_t map_step(uint64_t address, uint64_t left, enum mmu_kind kind)
{
    uint64_t *block = &tops[address >> 30][address / BLOCK % ENTRIES];
    const uint64_t whole = address | attributes(kind) | VALID;
    if (address % BLOCK == 0 && left >= BLOCK && (*block == 0 || *block == whole)) {
        *block = whole;
        return BLOCK;
    }
    uint64_t *page = page_entry(block, address);
    const uint64_t part = address | attributes(kind) | TABLE;
    if (page == NULL || (*page != 0 && *page != part)) {
        return 0;
    }
    *page = part;
    return PAGE;
}

bool mmu_map(uint64_t base, uint64_t len, enum mmu_kind kind)
{
    const uint64_t end = (uint64_t)N_TOPS << 30;
    if (base % PAGE != 0 || len % PAGE != 0 || base >= end || len > end - base) {
        return false;
    }
    for (uint64_t done = 0; done < len;) {
        uint64_t step = map_step(base + done, len - done, kind);
        if (step == 0) {
            return false;
        }
        done += step;
    }
    /* The tables' walker sees the entries before the next access. What was invalid is not held in
     * any translation cache, so nothing has to be thrown out of one. */
    __asm__ volatile("dsb ishst\n\tisb" ::: "memory");
    return true;
}

/* What a translation says: PAR_EL1. */
#define FAULTS             1u
#define PAR_ATTRIBUTES(p)  ((p) >> 56)
#define PAR_SHAREABLE(p)   ((p) >> 7 & 3u)
#define IS_WRITE_BACK      0xffu
#define IS_INNER_SHAREABLE 3u

bool mmu_is_write_back(uint64_t address)
{
    uint64_t found;
    __asm__ volatile("at s1e1w, %1\n\t"
                     "isb\n\t"
                     "mrs %0, par_el1"
                     : "=r"(found)
                     : "r"(address)
                     : "memory");
    return (found & FAULTS) == 0 && PAR_ATTRIBUTES(found) == IS_WRITE_BACK &&
           PAR_SHAREABLE(found) == IS_INNER_SHAREABLE;
}

void mmu_start(void)
{
    for (uint32_t i = 0; i < N_TOPS; i++) {
        root[i] = (uint64_t)(uintptr_t)tops[i] | TABLE;
    }
    (void)mmu_map(CODE, CODE_LEN, MMU_CODE);
    (void)mmu_map(DATA, DATA_LEN, MMU_DATA);
    (void)mmu_map(GIC_DISTRIBUTOR, BLOCK, MMU_DEVICE);
    (void)mmu_map(UART, PAGE, MMU_DEVICE);
    (void)mmu_map(PCI_REGISTERS, PCI_REGISTERS_LEN, MMU_DEVICE);
    (void)mmu_map(PCI_ECAM, PCI_ECAM_LEN, MMU_DEVICE);

    /* After a cold start the caches hold nothing of these tables. A loader that ran with its caches
     * on would have to clean and invalidate them first. */
    __asm__ volatile("msr mair_el1, %0\n\t"
                     "msr tcr_el1, %1\n\t"
                     "msr ttbr0_el1, %2\n\t"
                     "dsb sy\n\t"
                     "isb\n\t"
                     "tlbi vmalle1\n\t"
                     "ic iallu\n\t"
                     "dsb sy\n\t"
                     "isb\n\t"
                     "msr sctlr_el1, %3\n\t"
                     "isb"
                     :
                     : "r"(MAIR), "r"((uint64_t)TCR), "r"(root), "r"((uint64_t)SCTLR)
                     : "memory");
}
