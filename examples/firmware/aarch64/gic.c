/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gic.c - interrupts: a GICv2, and its frame for messages (GICv2m), which
 * makes an interrupt of what a PCI device writes to a register.
 *
 * Sources: Arm Generic Interrupt Controller, architecture version 2.0 (IHI 0048); the frame: Arm
 * Server Base System Architecture (DEN 0029), appendix on GICv2m.
 */
#include "board.h"

#define GICD_CTLR       (GIC_DISTRIBUTOR + 0x000u)
#define GICD_ISENABLER  (GIC_DISTRIBUTOR + 0x100u)
#define GICD_ICPENDR    (GIC_DISTRIBUTOR + 0x280u)
#define GICD_IPRIORITYR (GIC_DISTRIBUTOR + 0x400u)
#define GICD_ITARGETSR  (GIC_DISTRIBUTOR + 0x800u)
#define GICD_ICFGR      (GIC_DISTRIBUTOR + 0xc00u)

#define GICC_CTLR (GIC_CPU + 0x00u)
#define GICC_PMR  (GIC_CPU + 0x04u)
#define GICC_IAR  (GIC_CPU + 0x0cu)
#define GICC_EOIR (GIC_CPU + 0x10u)

#define V2M_TYPER    (GIC_MSI_FRAME + 0x08u)
#define V2M_SETSPI   (GIC_MSI_FRAME + 0x40u)
#define V2M_FIRST(t) ((t) >> 16 & 0x3ffu)
#define V2M_COUNT(t) ((t)&0x3ffu)

#define TIMER    27u    /* the virtual timer's own interrupt of each processor */
#define NUMBERS  0x3ffu /* of the acknowledge register */
#define SPURIOUS 1020u  /* and up: nothing is pending any more */

/* One bit of 32, in one of the registers that hold a bit for each interrupt. */
static void set_bit(uintptr_t registers, uint32_t interrupt)
{
    register_write(registers + interrupt / 32 * 4, 1u << interrupt % 32);
}

/* One field of width bits (2 or 8) in such registers; 32-bit accesses alone. */
static void set_field(uintptr_t registers, uint32_t interrupt, uint32_t width, uint32_t value)
{
    const uint32_t in_word = 32 / width;
    const uintptr_t at = registers + interrupt / in_word * 4;
    const uint32_t shift = interrupt % in_word * width;
    const uint32_t mask = ((1u << width) - 1) << shift;
    register_write(at, (register_read(at) & ~mask) | value << shift);
}

void gic_start(void)
{
    register_write(GICC_PMR, 0xf0);
    register_write(GICC_CTLR, 1);
    register_write(GICD_CTLR, 1);
    set_field(GICD_IPRIORITYR, TIMER, 8, 0x80);
    set_bit(GICD_ISENABLER, TIMER);
    __asm__ volatile("dsb sy\n\tmsr daifclr, #2" ::: "memory");
}

bool gic_message(uint32_t number, uint64_t *address, uint32_t *data)
{
    const uint32_t type = register_read(V2M_TYPER);
    const uint32_t interrupt = V2M_FIRST(type) + number;
    if (number >= V2M_COUNT(type)) {
        return false;
    }
    /* A message is an edge. As a level it would be over before anyone looks. */
    set_field(GICD_ICFGR, interrupt, 2, 2);
    set_field(GICD_IPRIORITYR, interrupt, 8, 0x80);
    set_field(GICD_ITARGETSR, interrupt, 8, 1); /* the first processor */
    set_bit(GICD_ICPENDR, interrupt);
    set_bit(GICD_ISENABLER, interrupt);
    *address = V2M_SETSPI;
    *data = interrupt;
    return true;
}

void gic_interrupt(void)
{
    const uint32_t first = V2M_FIRST(register_read(V2M_TYPER));
    for (;;) {
        const uint32_t acknowledged = register_read(GICC_IAR);
        const uint32_t interrupt = acknowledged & NUMBERS;
        if (interrupt >= SPURIOUS) {
            return;
        }
        if (interrupt == TIMER) {
            /* It has done all it is for: a rest is over. */
            __asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb" ::: "memory");
        } else if (interrupt >= first) {
            machine_message(interrupt - first);
        }
        register_write(GICC_EOIR, acknowledged);
    }
}
