/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S - from where a hypervisor enters a PVH kernel (32-bit protected mode without paging; Xen,
 * docs/misc/pvh.pandoc) to C in 64-bit mode, with the first 4 GiB mapped where they are.
 */
#define STACK_LEN 65536
#define PAGE_LEN  4096

#define CR0_PAGING 0x80000000
#define CR4_PAE    0x20
#define EFER       0xc0000080
#define EFER_LONG  0x100

#define PRESENT  0x1
#define WRITABLE 0x2
#define LARGE    0x80

        /* What says where to enter: a note of type 18, XEN_ELFNOTE_PHYS32_ENTRY. */
        .section .note.pvh, "a", @note
        .align 4
        .long 4
        .long 4
        .long 18
        .asciz "Xen"
        .long start

        .section .text.start, "ax"
        .code32
        .globl start
start:
        cli
        cld
        movl $stack_end, %esp

        /* The first 4 GiB in pages of 2 MiB: four tables, one behind the other. */
        movl $machine_pd, %edi
        movl $(PRESENT | WRITABLE | LARGE), %eax
        xorl %edx, %edx
        movl $(4 * 512), %ecx
1:      movl %eax, (%edi)
        movl %edx, 4(%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b

        movl $machine_pdpt, %edi
        movl $(machine_pd + PRESENT + WRITABLE), %eax
        movl $4, %ecx
2:      movl %eax, (%edi)
        addl $PAGE_LEN, %eax
        addl $8, %edi
        loop 2b
        movl $(machine_pdpt + PRESENT + WRITABLE), machine_pml4

        movl %cr4, %eax
        orl $CR4_PAE, %eax
        movl %eax, %cr4
        movl $machine_pml4, %eax
        movl %eax, %cr3
        movl $EFER, %ecx
        rdmsr
        orl $EFER_LONG, %eax
        wrmsr
        movl %cr0, %eax
        orl $CR0_PAGING, %eax
        movl %eax, %cr0
        lgdt gdt_pointer
        ljmp $8, $long_mode

        .code64
long_mode:
        movw $16, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        xorl %eax, %eax
        movw %ax, %fs
        movw %ax, %gs
        movq $stack_end, %rsp
        call firmware_main
        call machine_end
3:      hlt
        jmp 3b

/* Every interrupt has an entry of 16 bytes, which says its number to machine_interrupt. (Exceptions
 * with an error code put one more word on the stack; but they never return.) */
#define ENTRY_LEN 16

        .align ENTRY_LEN
        .globl machine_entries
machine_entries:
        .set number, 0
        .rept 256
        .align ENTRY_LEN
        pushq $number
        jmp entered
        .set number, number + 1
        .endr

entered:
        pushq %rax
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        cld
        movq 72(%rsp), %rdi
        subq $8, %rsp /* the stack is aligned again */
        call machine_interrupt
        addq $8, %rsp
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rax
        addq $8, %rsp
        iretq

        .section .rodata
        .align 8
gdt:
        .quad 0
        .quad 0x00af9a000000ffff /* code, 64 bits */
        .quad 0x00cf92000000ffff /* data */
gdt_pointer:
        .word . - gdt - 1
        .quad gdt

        .bss
        .align PAGE_LEN
        .globl machine_pml4, machine_pdpt
machine_pml4:
        .skip PAGE_LEN
machine_pdpt:
        .skip PAGE_LEN
machine_pd:
        .skip 4 * PAGE_LEN
stack:
        .skip STACK_LEN
stack_end:

        .section .note.GNU-stack, "", @progbits
