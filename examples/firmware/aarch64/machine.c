/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - QEMU's "virt" machine as machine.h wants it: a PL011 as the console, the generic timer
 * as the clock and the alarm, PCI by ECAM, and the end by PSCI.
 *
 * Sources: Arm PrimeCell UART PL011 (DDI 0183); Arm Architecture Reference Manual for A-profile
 * (DDI 0487), "The Generic Timer in AArch64 state"; Arm Power State Coordination Interface (DEN
 * 0022).
 */
#include "../machine.h"

#include "../say.h"
#include "board.h"

#define UART_DATA    (UART + 0x00u)
#define UART_FLAGS   (UART + 0x18u)
#define UART_LINE    (UART + 0x2cu)
#define UART_CONTROL (UART + 0x30u)
#define UART_FULL    (1u << 5)

#define PSCI_SYSTEM_OFF 0x84000008u

#define SECOND_NS 1000000000u

/* ---- console ------------------------------------------------------------------------------ */

void machine_put(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((register_read(UART_FLAGS) & UART_FULL) != 0) {
            crossvm_cpu_pause();
        }
        register_write(UART_DATA, (unsigned char)*text);
    }
}

/* ---- time --------------------------------------------------------------------------------- */

static uint64_t ticks_a_second;

static uint64_t ticks_now(void)
{
    uint64_t ticks;
    /* Without the barrier the counter may be read earlier than the program says. */
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

/* By seconds and the rest: the product of all would need 128 bits. */
static uint64_t now_ns(void *context)
{
    const uint64_t ticks = ticks_now();
    (void)context;
    return ticks / ticks_a_second * SECOND_NS + ticks % ticks_a_second * SECOND_NS / ticks_a_second;
}

/* When it is until_ns, rounded up; never, if the counter has no such number. */
static uint64_t ticks_at(uint64_t until_ns)
{
    const uint64_t seconds = until_ns / SECOND_NS;
    const uint64_t left = until_ns % SECOND_NS * ticks_a_second;
    if (seconds >= UINT64_MAX / ticks_a_second) {
        return UINT64_MAX;
    }
    return seconds * ticks_a_second + (left + SECOND_NS - 1) / SECOND_NS;
}

/* ---- interrupts --------------------------------------------------------------------------- */

static struct crossvm_bare *listener;

void machine_message(uint32_t number)
{
    if (listener != NULL) {
        crossvm_bare_interrupt(listener, number);
    }
}

static void mask(void *context)
{
    (void)context;
    __asm__ volatile("msr daifset, #2" ::: "memory");
}

static void unmask(void *context)
{
    (void)context;
    __asm__ volatile("msr daifclr, #2\n\tisb" ::: "memory");
}

/* A masked interrupt ends the sleep, too; so it is not lost between the look and the sleep. */
static void rest(void *context, uint64_t until_ns)
{
    __asm__ volatile("msr cntv_cval_el0, %0\n\t"
                     "msr cntv_ctl_el0, %1\n\t"
                     "isb\n\t"
                     "dsb sy\n\t"
                     "wfi"
                     :
                     : "r"(ticks_at(until_ns)), "r"((uint64_t)1)
                     : "memory");
    unmask(context);
}

int machine_listen(struct crossvm_bare *bare, uint32_t n)
{
    listener = bare;
    /* The handler finds it. */
    crossvm_system_barrier();
    for (uint32_t vector = 0; vector < n; vector++) {
        uint64_t address;
        uint32_t data;
        if (vector >= MACHINE_VECTORS || !gic_message(vector, &address, &data)) {
            return CROSSVM_NOT_FOUND;
        }
        const int status = crossvm_bare_route(bare, vector, address, data);
        if (status != CROSSVM_OK) {
            return status;
        }
    }
    return CROSSVM_OK;
}

/* ---- devices ------------------------------------------------------------------------------ */

static bool is_within(uint64_t address, uint64_t len, uint64_t base, uint64_t base_len)
{
    return address >= base && len <= base_len && address - base <= base_len - len;
}

/* A device's memory is mapped when it is known where it is. The library believes what it is told of
 * the memory's type, and an emulator shows no difference: so it is made sure of here. */
static bool map_memory(uint64_t address, uint64_t len)
{
    return is_within(address, len, PCI_MEMORY, PCI_MEMORY_LEN) && mmu_map(address, len, MMU_DATA) &&
           mmu_is_write_back(address) && mmu_is_write_back(address + len - 1);
}

/* Registers are mapped from the start. */
static void *map(void *context, uint64_t address, uint64_t len, bool registers)
{
    (void)context;
    const bool mapped = registers ? is_within(address, len, PCI_REGISTERS, PCI_REGISTERS_LEN)
                                  : map_memory(address, len);
    return mapped ? (void *)(uintptr_t)address : NULL;
}

/* ---- start and end ------------------------------------------------------------------------ */

void machine_start(struct machine *machine)
{
    crossvm_bare_ecam(&machine->config, (void *)(uintptr_t)PCI_ECAM, PCI_ECAM_LEN >> 20);
    machine->low.base = PCI_REGISTERS;
    machine->low.len = PCI_REGISTERS_LEN;
    machine->high.base = PCI_MEMORY;
    machine->high.len = PCI_MEMORY_LEN;
    machine->bare.map = map;
    machine->bare.now = now_ns;
    machine->bare.mask = mask;
    machine->bare.unmask = unmask;
    machine->bare.rest = rest;
    machine->bare.context = NULL;
    machine->bare.memory = CROSSVM_WRITE_BACK;
    gic_start();
    say(machine_put, "machine: aarch64, clock %u kHz", (unsigned)(ticks_a_second / 1000));
}

_Noreturn void machine_end(void)
{
    register uint64_t function __asm__("x0") = PSCI_SYSTEM_OFF;
    __asm__ volatile("hvc #0" : "+r"(function) : : "x1", "x2", "x3", "memory");
    mask(NULL);
    for (;;) {
        __asm__ volatile("wfi");
    }
}

void machine_fault(uint64_t entry, uint64_t syndrome, uint64_t from, uint64_t address)
{
    say(machine_put, "firmware: failed: exception %u, ESR %x, ELR %x:%x, FAR %x:%x",
        (unsigned)entry, (unsigned)syndrome, (unsigned)(from >> 32), (unsigned)from,
        (unsigned)(address >> 32), (unsigned)address);
    machine_end();
}

void machine_first(void)
{
    mmu_start();
    register_write(UART_CONTROL, 0);
    register_write(UART_LINE, 0x70);     /* 8 bits, queues on */
    register_write(UART_CONTROL, 0x301); /* on, both ways */
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(ticks_a_second));
    firmware_main();
    machine_end();
}
