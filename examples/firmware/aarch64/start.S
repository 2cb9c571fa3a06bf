/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S - from the first instruction to C, and from an exception to C.
 *
 * QEMU starts an ELF file at its entry in EL1, with the MMU and the caches off and all interrupts
 * masked. Until machine_first has put the MMU on, data memory is of Device type: an unaligned access
 * faults, whence -mstrict-align. -mgeneral-regs-only keeps the compiler from vector registers, so
 * that an exception has to save the general ones alone.
 */

    .section .text.start, "ax"
    .global _start
_start:
    /* With a hypervisor of its own (EL2) or a monitor (EL3) this code would have more to set up. */
    mrs     x0, CurrentEL
    cmp     x0, #(1 << 2)
    b.ne    stop

    adrp    x0, stack_end
    add     x0, x0, :lo12:stack_end
    mov     sp, x0
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    isb

    /* The loader clears .bss as well; a firmware that a boot ROM starts has to do it itself. */
    adrp    x0, bss_begin
    add     x0, x0, :lo12:bss_begin
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
clear:
    cmp     x0, x1
    b.hs    cleared
    stp     xzr, xzr, [x0], #16
    b       clear
cleared:
    mov     x29, #0
    mov     x30, #0
    bl      machine_first

stop:
    wfi
    b       stop

/* What a C function may change, and where the exception came from, around a call of one. */
    .macro  SAVE
    sub     sp, sp, #192
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x0, elr_el1
    stp     x30, x0, [sp, #160]
    mrs     x0, spsr_el1
    str     x0, [sp, #176]
    .endm

    .macro  RESTORE
    ldr     x0, [sp, #176]
    msr     spsr_el1, x0
    ldp     x30, x0, [sp, #160]
    msr     elr_el1, x0
    ldp     x18, x29, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #192
    .endm

/* Each entry has room for 32 instructions. Only an interrupt comes back. */
    .macro  FATAL number
    .balign 128
    mov     x0, #\number
    b       fatal
    .endm

    .text
    .balign 2048
vectors:
    FATAL   0
    FATAL   1
    FATAL   2
    FATAL   3
    FATAL   4               /* from EL1 on its own stack: a fault */
    .balign 128             /* an interrupt */
    b       interrupt
    FATAL   6
    FATAL   7
    FATAL   8
    FATAL   9
    FATAL   10
    FATAL   11
    FATAL   12
    FATAL   13
    FATAL   14
    FATAL   15
    .balign 128

interrupt:
    SAVE
    bl      gic_interrupt
    RESTORE
    eret

/* The stack may be what is broken: a fault gets another one. */
fatal:
    adrp    x4, fatal_stack_end
    add     x4, x4, :lo12:fatal_stack_end
    mov     sp, x4
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    bl      machine_fault
    b       stop

    .section .bss.stacks, "aw", %nobits
    .balign 16
    .skip   4096
fatal_stack_end:
    .skip   65536
stack_end:
