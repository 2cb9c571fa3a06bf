/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - a PC, as QEMU has it: serial console, interrupts by the local APIC, the time stamp
 * counter as clock, pages. See machine.h.
 *
 * Sources: Intel, Software Developer's Manual, volume 3 (local APIC, interrupts by message, paging);
 * the data sheets of the 16550, 8254 and 8259.
 */
#include "../machine.h"
#include "../say.h"

#define SECOND_NS 1000000000ull

/* ---- ports ----------------------------------------------------------------------------------- */

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

/* ---- console and end ------------------------------------------------------------------------- */

#define SERIAL       0x3f8u
#define SERIAL_STATE (SERIAL + 5u)
#define SERIAL_EMPTY 0x20u

#define DEBUG_EXIT 0xf4u /* -device isa-debug-exit,iobase=0xf4,iosize=4 */

void machine_put(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((in8(SERIAL_STATE) & SERIAL_EMPTY) == 0) {
            crossvm_cpu_pause();
        }
        out8(SERIAL, (uint8_t)*text);
    }
}

_Noreturn void machine_end(void)
{
    out32(DEBUG_EXIT, 0);
    for (;;) {
        __asm__ volatile("cli; hlt" ::: "memory");
    }
}

/* ---- pages ----------------------------------------------------------------------------------- */

#define PRESENT  0x001u
#define WRITABLE 0x002u
#define UNCACHED 0x018u
#define LARGE    0x080u

#define GIB       (1ull << 30)
#define PAGE_LEN  4096u
#define ENTRIES   512u
#define TABLES    4u                    /* for memory above 512 GiB */
#define REGISTERS (GIB * ENTRIES * 255) /* where registers are mapped */

/* The first table, and the first of those below it, which start.S has made. */
extern uint64_t machine_pml4[ENTRIES];
extern uint64_t machine_pdpt[ENTRIES];

static uint64_t tables[TABLES][ENTRIES] __attribute__((aligned(4096)));
static uint32_t n_tables;
static uint64_t registers_pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t registers_pd[ENTRIES] __attribute__((aligned(4096)));
static uint64_t registers_pt[ENTRIES] __attribute__((aligned(4096)));
static uint32_t n_registers; /* pages */

static uint64_t entry_of(const uint64_t *table)
{
    return (uint64_t)(uintptr_t)table | PRESENT | WRITABLE;
}

/* Tables are written before what they map is touched: the compiler sees no connection. */
static void tables_are_written(void)
{
    __asm__ volatile("" ::: "memory");
}

static bool has_gib_pages(void)
{
    uint32_t a = 0x80000001u;
    uint32_t b;
    uint32_t c = 0;
    uint32_t d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (d >> 26 & 1) != 0;
}

/* Memory above 4 GiB is mapped where it is, as ordinary memory, by the GiB. */
static bool map_gib(uint64_t address)
{
    uint64_t *top = &machine_pml4[address / (GIB * ENTRIES) % ENTRIES];
    if (*top == 0) {
        if (n_tables == TABLES) {
            return false;
        }
        *top = entry_of(tables[n_tables++]);
    }
    uint64_t *table = (uint64_t *)(uintptr_t)(*top & ~(uint64_t)(PAGE_LEN - 1));
    uint64_t *entry = &table[address / GIB % ENTRIES];
    if (*entry == 0) {
        *entry = address / GIB * GIB | PRESENT | WRITABLE | LARGE;
    }
    return true;
}

static void *map_memory(uint64_t address, uint64_t len)
{
    uint64_t last = address + (len - 1);
    if (last >= 4 * GIB && (!has_gib_pages() || last >= REGISTERS || len > 64 * GIB)) {
        return NULL;
    }
    for (uint64_t at = address; last >= 4 * GIB && at <= last; at = at / GIB * GIB + GIB) {
        if (at >= 4 * GIB && !map_gib(at)) {
            return NULL;
        }
    }
    tables_are_written();
    return (void *)(uintptr_t)address;
}

/* Registers are mapped page by page, at addresses of their own, uncached. */
static void *map_registers(uint64_t address, uint64_t len)
{
    uint64_t first = address / PAGE_LEN;
    uint64_t n = (address + (len - 1)) / PAGE_LEN - first + 1;
    uintptr_t at = (uintptr_t)(REGISTERS + (uint64_t)n_registers * PAGE_LEN);
    if (n > ENTRIES - n_registers) {
        return NULL;
    }
    machine_pml4[REGISTERS / (GIB * ENTRIES)] = entry_of(registers_pdpt);
    registers_pdpt[0] = entry_of(registers_pd);
    registers_pd[0] = entry_of(registers_pt);
    for (uint64_t i = 0; i < n; i++) {
        registers_pt[n_registers++] = (first + i) * PAGE_LEN | PRESENT | WRITABLE | UNCACHED;
    }
    tables_are_written();
    return (void *)(at + address % PAGE_LEN);
}

static void *map(void *context, uint64_t address, uint64_t len, bool registers)
{
    (void)context;
    return registers ? map_registers(address, len) : map_memory(address, len);
}

/* ---- the local APIC --------------------------------------------------------------------------- */

#define APIC_ADDRESS  0xfee00000u
#define APIC_LEN      0x1000u
#define APIC_ID       0x020u
#define APIC_EOI      0x0b0u
#define APIC_SPURIOUS 0x0f0u
#define APIC_TIMER    0x320u
#define APIC_START    0x380u
#define APIC_LEFT     0x390u
#define APIC_DIVIDE   0x3e0u
#define APIC_BY_1     0xbu
#define APIC_ON       0x100u

static volatile uint32_t *apic;
static uint64_t apic_rate; /* ticks a second */

static uint32_t apic_load(uint32_t off)
{
    return apic[off / 4];
}

static void apic_store(uint32_t off, uint32_t value)
{
    apic[off / 4] = value;
}

/* ---- interrupts ------------------------------------------------------------------------------- */

#define EXCEPTIONS      32u
#define VECTOR_BELLS    0x40u
#define VECTOR_TIMER    0x50u
#define VECTOR_SPURIOUS 0xffu
#define GATES           256u

struct gate {
    uint16_t low;
    uint16_t selector;
    uint16_t attributes;
    uint16_t middle;
    uint32_t high;
    uint32_t zero;
};

/* The entry of each interrupt, in start.S. */
extern const unsigned char machine_entries[GATES][16];

void machine_interrupt(uint64_t vector);

static struct gate gates[GATES];
static struct crossvm_bare *listener;

static void set_gate(uint32_t vector)
{
    struct gate *gate = &gates[vector];
    uintptr_t handler = (uintptr_t)machine_entries[vector];
    gate->low = (uint16_t)handler;
    gate->middle = (uint16_t)(handler >> 16);
    gate->high = (uint32_t)(handler >> 32);
    gate->selector = 8;
    gate->attributes = 0x8e00; /* present, an interrupt gate */
    gate->zero = 0;
}

/* What every interrupt comes to. The timer's wakes the core, and that is all. */
void machine_interrupt(uint64_t vector)
{
    if (vector < EXCEPTIONS) {
        say(machine_put, "firmware: failed: exception %u", (unsigned)vector);
        machine_end();
    }
    if (vector == VECTOR_SPURIOUS) {
        return;
    }
    if (vector >= VECTOR_BELLS && vector < VECTOR_BELLS + MACHINE_VECTORS) {
        crossvm_bare_interrupt(listener, (uint32_t)vector - VECTOR_BELLS);
    }
    apic_store(APIC_EOI, 0);
}

/* The old controllers stay silent: all that is wanted comes by message, or is the core's own. */
static void silence_8259(void)
{
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
}

static void start_interrupts(void)
{
    static struct __attribute__((packed)) {
        uint16_t last;
        uint64_t base;
    } pointer;
    for (uint32_t i = 0; i < GATES; i++) {
        set_gate(i);
    }
    pointer.last = sizeof(gates) - 1;
    pointer.base = (uintptr_t)gates;
    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
    silence_8259();
    apic = (volatile uint32_t *)map_registers(APIC_ADDRESS, APIC_LEN);
    apic_store(APIC_SPURIOUS, APIC_ON | VECTOR_SPURIOUS);
    apic_store(APIC_DIVIDE, APIC_BY_1);
    apic_store(APIC_TIMER, VECTOR_TIMER);
}

int machine_listen(struct crossvm_bare *bare, uint32_t n)
{
    uint32_t core = apic_load(APIC_ID) >> 24;
    int status = CROSSVM_OK;
    listener = bare;
    for (uint32_t i = 0; i < n && status == CROSSVM_OK; i++) {
        status = crossvm_bare_route(bare, i, APIC_ADDRESS | core << 12, VECTOR_BELLS + i);
    }
    return status;
}

/* ---- clock ------------------------------------------------------------------------------------ */

#define PIT_RATE    1193182u /* Hz */
#define PIT_CHANNEL 0x42u
#define PIT_COMMAND 0x43u
#define PIT_GATE    0x61u
#define PIT_TICKS   (PIT_RATE / PIT_PART)
#define PIT_PART    200u /* of a second */
#define PIT_ROUNDS  8u

static uint64_t tsc_rate; /* ticks a second */

static uint64_t tsc(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Two counters are read before and behind a part of a second, which the third one knows. */
static void calibrate_once(uint64_t *tsc_ticks, uint64_t *apic_ticks)
{
    out8(PIT_GATE, (uint8_t)((in8(PIT_GATE) & ~2u) | 1u));
    out8(PIT_COMMAND, 0xb0); /* channel 2, both bytes, one shot */
    out8(PIT_CHANNEL, PIT_TICKS & 0xff);
    out8(PIT_CHANNEL, PIT_TICKS >> 8);
    apic_store(APIC_START, UINT32_MAX);
    uint64_t start = tsc();
    while ((in8(PIT_GATE) & 0x20u) == 0) {
        crossvm_cpu_pause();
    }
    *tsc_ticks = tsc() - start;
    *apic_ticks = UINT32_MAX - apic_load(APIC_LEFT);
    apic_store(APIC_START, 0);
}

/* The shortest counts: who shares a processor is held up now and then, and nothing is ever fast. */
static void calibrate(void)
{
    uint64_t tsc_least = UINT64_MAX;
    uint64_t apic_least = UINT64_MAX;
    for (uint32_t i = 0; i < PIT_ROUNDS; i++) {
        uint64_t tsc_ticks;
        uint64_t apic_ticks;
        calibrate_once(&tsc_ticks, &apic_ticks);
        tsc_least = tsc_ticks < tsc_least ? tsc_ticks : tsc_least;
        apic_least = apic_ticks < apic_least ? apic_ticks : apic_least;
    }
    tsc_rate = tsc_least * PIT_PART;
    apic_rate = apic_least * PIT_PART;
}

/* In two steps, so that a product stays below 2^64. */
static uint64_t now(void *context)
{
    uint64_t ticks = tsc();
    (void)context;
    return ticks / tsc_rate * SECOND_NS + ticks % tsc_rate * SECOND_NS / tsc_rate;
}

/* ---- rest ------------------------------------------------------------------------------------- */

#define REST_NS (SECOND_NS / 10) /* at most, at a time */

static void mask(void *context)
{
    (void)context;
    __asm__ volatile("cli" ::: "memory");
}

static void unmask(void *context)
{
    (void)context;
    __asm__ volatile("sti" ::: "memory");
}

/* Between sti and the instruction behind it no interrupt comes. */
static void rest(void *context, uint64_t until_ns)
{
    uint64_t now_ns = now(context);
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    left_ns = left_ns < REST_NS ? left_ns : REST_NS;
    apic_store(APIC_START, (uint32_t)(left_ns * (apic_rate / 1000) / (SECOND_NS / 1000)) + 1);
    __asm__ volatile("sti; hlt" ::: "memory");
    apic_store(APIC_START, 0);
}

/* ---- start ------------------------------------------------------------------------------------ */

void machine_start(struct machine *machine)
{
    start_interrupts();
    calibrate();
    crossvm_bare_ports(&machine->config);
    /* Firmware before us (SeaBIOS) has given every device its addresses: no windows. */
    machine->low.base = 0;
    machine->low.len = 0;
    machine->high.base = 0;
    machine->high.len = 0;
    machine->bare.map = map;
    machine->bare.now = now;
    machine->bare.mask = mask;
    machine->bare.unmask = unmask;
    machine->bare.rest = rest;
    machine->bare.context = NULL;
    machine->bare.memory = CROSSVM_WRITE_BACK;
    unmask(NULL);
    say(machine_put, "machine: x86-64, clock %u MHz, timer %u MHz", (unsigned)(tsc_rate / 1000000),
        (unsigned)(apic_rate / 1000000));
}
