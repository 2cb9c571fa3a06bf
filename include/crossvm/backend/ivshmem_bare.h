/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_bare.h - QEMU's ivshmem device without an operating system: PCI
 * configuration space by ports or ECAM, addresses for BARs, MSI-X, the doorbell. For firmware, boot
 * loaders and RTOSes without a PCI driver of their own; hosted programs can include it, too.
 *
 * Layer 6, on region.h and notify.h; freestanding, as the layers below. Roles: one core, or one
 * thread at a time, for a machine's configuration space; each device in use has one owner, and
 * crossvm_bare_interrupt is for interrupt handlers. No shared bytes of its own.
 *
 * In this order: crossvm_bare_scan lists the devices; crossvm_bare_assign gives one its addresses,
 * or keeps those that it has; crossvm_bare_open maps it; crossvm_bare_route ties a vector to an
 * interrupt of the machine's; crossvm_notify_bare makes the doorbell.
 *
 * What is from where: configuration space, BARs and their sizing, the list of capabilities and
 * MSI-X are PCI's (PCI Local Bus Specification 3.0, 3.2.2.3, 6.1 to 6.3, 6.7, 6.8.2; ECAM: PCI
 * Express Base Specification 3.0, 7.2.2). Which BAR is what, and the registers, are QEMU's (docs/
 * specs/ivshmem-spec.rst): BAR0 registers, BAR1 MSI-X, BAR2 shared memory; registers of 32 bits,
 * little-endian:
 *
 *   offset  name        meaning
 *   8       IVPosition  own id, read; 0 also where there is no server
 *   12      Doorbell    vector in the low 16 bits, the peer's id in the high ones, written
 *
 * All that configuration space says is judged before it is used, but for addresses that firmware
 * has given: those are believed, unless they overlap.
 *
 * Bridges are passed over: every bus that can be addressed is looked at, so devices behind a bridge
 * are found where firmware has numbered its buses. A bridge is not numbered here and its windows
 * are not opened, so behind one a device without addresses gets none.
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_BARE_H
#define CROSSVM_BACKEND_IVSHMEM_BARE_H

#include "../notify.h"
#include "../region.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_BARE_BUSES 256u /* that configuration space can address */
#define CROSSVM_BARE_BARS  3u   /* of an ivshmem device */

/* Configuration space: aligned words of 32 bits. `at`: a function's slot (crossvm_bare_slot) and a
 * register's offset, added. What is not there reads as ones. */
struct crossvm_bare_config {
    uint32_t (*load)(void *context, uint32_t at);              /* reads a register */
    void (*store)(void *context, uint32_t at, uint32_t value); /* writes one */
    void *context;                                             /* what both are called with */
    uint32_t n_buses; /* bus numbers that can be addressed, 1 to CROSSVM_BARE_BUSES, from 0 */
};

/* Addresses of the bus that nobody else uses and that reach it, for BARs without one. */
struct crossvm_bare_window {
    uint64_t base; /* the first one */
    uint64_t len;  /* bytes, 0 = no window */
};

/* Memory of a device, on the bus. */
struct crossvm_bare_bar {
    uint64_t address;  /* 0 = none yet */
    uint64_t len;      /* bytes, a power of two; 0 = there is no such BAR */
    bool wide;         /* its address has 64 bits */
    bool prefetchable; /* what it says of itself */
};

/* A device of this machine. */
struct crossvm_bare_device {
    uint32_t slot;                                   /* where: crossvm_bare_slot */
    int status;                                      /* OK, or why it cannot be used */
    struct crossvm_bare_bar bars[CROSSVM_BARE_BARS]; /* registers, MSI-X, shared memory */
    uint32_t msix_off;                               /* of its capability, 0 = ivshmem-plain */
    uint32_t table_off;                              /* of its vectors, from BAR1's base */
    uint32_t n_vectors;                              /* that it has */
};

/* What the machine does for a device in use. Only `now` has to be there. */
struct crossvm_bare_machine {
    /* Where the program sees an address of the bus: registers for device accesses; the shared
     * memory as `memory` below says. NULL = it cannot. Without this call the two are the same. */
    void *(*map)(void *context, uint64_t address, uint64_t len, bool registers);
    /* ns, never backward. */
    uint64_t (*now)(void *context);
    /* Keeps this core's interrupts out. */
    void (*mask)(void *context);
    /* Lets them in again. */
    void (*unmask)(void *context);
    /* Sleeps until an interrupt, or until now() reaches until_ns; it may end early. Called behind
     * mask; the interrupts are let in only as the core falls asleep (x86: sti, hlt; Arm: wfi, then
     * unmask), or else a ring between the two would be slept over. Returns with them let in. */
    void (*rest)(void *context, uint64_t until_ns);
    void *context;   /* what all are called with */
    uint32_t memory; /* enum crossvm_memory: how the shared memory is mapped */
};

/* One own vector. */
struct crossvm_bare_vector {
    struct crossvm_le32 n_rung; /* the interrupt handler's */
    uint32_t n_heard;           /* the waiter's */
};

/* A device in use. */
struct crossvm_bare {
    struct crossvm_mapping mapping;             /* the shared memory */
    uint32_t id;                                /* own id, which peers ring it by */
    const struct crossvm_bare_config *config;   /* the caller's */
    const struct crossvm_bare_machine *machine; /* the caller's */
    struct crossvm_bare_device device;          /* as it was listed */
    struct crossvm_bare_vector *vectors;        /* the caller's: one for each own vector */
    uint32_t n_own;                             /* their number */
    unsigned char *registers;                   /* BAR0; NULL = not open */
    unsigned char *table;                       /* the vectors' entries; NULL = ivshmem-plain */
    uint32_t command;                           /* as it was found */
};

/* Registers of configuration space, bytes from a function's. */
#define CROSSVM_I_BARE_ID         0x00u /* vendor low, device high */
#define CROSSVM_I_BARE_COMMAND    0x04u /* status in the high half: ones written clear it */
#define CROSSVM_I_BARE_REVISION   0x08u /* in the lowest byte */
#define CROSSVM_I_BARE_HEADER     0x0cu /* its type in the third byte */
#define CROSSVM_I_BARE_BAR        0x10u
#define CROSSVM_I_BARE_CAPABILITY 0x34u /* the first one, in the lowest byte */

#define CROSSVM_I_BARE_IVSHMEM      0x11101af4u
#define CROSSVM_I_BARE_NOBODY       0xffffu     /* a vendor that there is not */
#define CROSSVM_I_BARE_DECODE       0x00000003u /* command: I/O and memory accesses are answered */
#define CROSSVM_I_BARE_MEMORY       0x00000002u /* command: memory accesses are */
#define CROSSVM_I_BARE_MASTER       0x00000004u /* command: it may send interrupts */
#define CROSSVM_I_BARE_COMMANDS     0x0000ffffu /* command without status */
#define CROSSVM_I_BARE_LIST         0x00100000u /* status: there is a list of capabilities */
#define CROSSVM_I_BARE_MULTIPLE     0x00800000u /* header: there is more than one function */
#define CROSSVM_I_BARE_TYPE         0x007f0000u /* header: its type */
#define CROSSVM_I_BARE_IO           0x1u        /* BAR: of I/O space */
#define CROSSVM_I_BARE_WIDTH        0x6u        /* BAR: how wide the address is */
#define CROSSVM_I_BARE_WIDE         0x4u        /* BAR: 64 bits */
#define CROSSVM_I_BARE_PREFETCHABLE 0x8u        /* BAR */
#define CROSSVM_I_BARE_ADDRESS      0xfffffff0u /* BAR */

#define CROSSVM_I_BARE_CAPABILITIES_OFF 0x40u /* they lie from here to the end, at words */
#define CROSSVM_I_BARE_CAPABILITIES     48u   /* so there can be so many */
#define CROSSVM_I_BARE_MSIX             0x11u /* a capability's id */
#define CROSSVM_I_BARE_MSIX_LEN         12u
#define CROSSVM_I_BARE_MSIX_MASKED      0x40000000u /* all vectors */
#define CROSSVM_I_BARE_MSIX_ENABLED     0x80000000u

#define CROSSVM_I_BARE_ENTRY_LEN 16u /* of a vector: address low, address high, data, mask */

/* Registers of the device, bytes from BAR0's base. */
#define CROSSVM_I_BARE_POSITION      8u
#define CROSSVM_I_BARE_DOORBELL      12u
#define CROSSVM_I_BARE_REGISTERS_LEN 16u

/* ---- accesses ------------------------------------------------------------------------------ */

/* All accesses to registers are these two. On aarch64 they are plain loads and stores by assembly:
 * with the forms that also move a pointer, which a compiler may choose, a hypervisor is not told
 * what was accessed (Arm ARM, ESR_ELx.ISV). */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_bare_load(const void *at)
{
#if defined(__aarch64__)
    uint32_t value;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(at) : "memory");
    return crossvm_i_swap_le32(value);
#else
    return crossvm_i_swap_le32(*(const volatile uint32_t *)at);
#endif
}

CROSSVM_ALWAYS_INLINE void crossvm_i_bare_store(void *at, uint32_t value)
{
#if defined(__aarch64__)
    __asm__ volatile("str %w0, [%1]" : : "r"(crossvm_i_swap_le32(value)), "r"(at) : "memory");
#else
    *(volatile uint32_t *)at = crossvm_i_swap_le32(value);
#endif
}

/* ---- configuration space ------------------------------------------------------------------- */

/* Where a function's configuration space begins: as ECAM has it. bus: 0 to 255; device: 0 to 31;
 * function: 0 to 7. Pure. */
CROSSVM_INLINE uint32_t crossvm_bare_slot(uint32_t bus, uint32_t device, uint32_t function)
{
    return bus << 20 | device << 15 | function << 12;
}

CROSSVM_INLINE uint32_t crossvm_i_bare_ecam_load(void *context, uint32_t at)
{
    return crossvm_i_bare_load((const unsigned char *)context + at);
}

CROSSVM_INLINE void crossvm_i_bare_ecam_store(void *context, uint32_t at, uint32_t value)
{
    crossvm_i_bare_store((unsigned char *)context + at, value);
}

/* Configuration space in memory (ECAM: PCI Express). base: where the program sees bus 0, mapped for
 * device accesses. n_buses: 1 to CROSSVM_BARE_BUSES, 1 MiB each. What is not there must read as
 * ones and not fault, as QEMU has it. Role: anyone. */
CROSSVM_INLINE void crossvm_bare_ecam(struct crossvm_bare_config *config, void *base,
                                      uint32_t n_buses)
{
    config->load = crossvm_i_bare_ecam_load;
    config->store = crossvm_i_bare_ecam_store;
    config->context = base;
    config->n_buses = n_buses;
}

#if defined(__x86_64__) || defined(__i386__)

#define CROSSVM_I_BARE_PORT_ADDRESS 0xcf8u
#define CROSSVM_I_BARE_PORT_DATA    0xcfcu

CROSSVM_INLINE void crossvm_i_bare_port_select(uint32_t at)
{
    uint32_t address = 0x80000000u | (at >> 12 & 0xffffu) << 8 | (at & 0xfcu);
    __asm__ volatile("outl %0, %w1" : : "a"(address), "Nd"(CROSSVM_I_BARE_PORT_ADDRESS));
}

CROSSVM_INLINE uint32_t crossvm_i_bare_ports_load(void *context, uint32_t at)
{
    uint32_t value;
    (void)context;
    crossvm_i_bare_port_select(at);
    __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(CROSSVM_I_BARE_PORT_DATA) : "memory");
    return value;
}

CROSSVM_INLINE void crossvm_i_bare_ports_store(void *context, uint32_t at, uint32_t value)
{
    (void)context;
    crossvm_i_bare_port_select(at);
    __asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(CROSSVM_I_BARE_PORT_DATA) : "memory");
}

/* Configuration space by the ports 0xCF8 and 0xCFC of a PC (x86 alone), all buses. An access is two
 * of the ports': nobody else, no interrupt handler either, may use them meanwhile. Role: anyone. */
CROSSVM_INLINE void crossvm_bare_ports(struct crossvm_bare_config *config)
{
    config->load = crossvm_i_bare_ports_load;
    config->store = crossvm_i_bare_ports_store;
    config->context = NULL;
    config->n_buses = CROSSVM_BARE_BUSES;
}

#endif

CROSSVM_INLINE uint32_t crossvm_i_bare_read(const struct crossvm_bare_config *config, uint32_t at)
{
    return config->load(config->context, at);
}

CROSSVM_INLINE void crossvm_i_bare_write(const struct crossvm_bare_config *config, uint32_t at,
                                         uint32_t value)
{
    config->store(config->context, at, value);
}

/* Sets the command register; the status beside it is left alone. What it was. */
CROSSVM_INLINE uint32_t crossvm_i_bare_command(const struct crossvm_bare_config *config,
                                               uint32_t slot, uint32_t clear, uint32_t set)
{
    uint32_t at = slot + CROSSVM_I_BARE_COMMAND;
    uint32_t before = crossvm_i_bare_read(config, at) & CROSSVM_I_BARE_COMMANDS;
    uint32_t after = (before & ~clear) | set;
    if (after != before) {
        crossvm_i_bare_write(config, at, after);
    }
    return before;
}

/* ---- a device's BARs ------------------------------------------------------------------------ */

CROSSVM_INLINE uint32_t crossvm_i_bare_bar_at(uint32_t slot, uint32_t index)
{
    return slot + CROSSVM_I_BARE_BAR + 4 * index;
}

/* What stands in a BAR, in two words if it is wide. */
CROSSVM_INLINE uint64_t crossvm_i_bare_bar_read(const struct crossvm_bare_config *config,
                                                uint32_t at, bool wide)
{
    uint64_t low = crossvm_i_bare_read(config, at);
    return wide ? low | (uint64_t)crossvm_i_bare_read(config, at + 4) << 32 : low;
}

CROSSVM_INLINE void crossvm_i_bare_bar_write(const struct crossvm_bare_config *config, uint32_t at,
                                             bool wide, uint64_t value)
{
    crossvm_i_bare_write(config, at, (uint32_t)value);
    if (wide) {
        crossvm_i_bare_write(config, at + 4, (uint32_t)(value >> 32));
    }
}

/* The last address that a BAR can say. */
CROSSVM_INLINE uint64_t crossvm_i_bare_last(const struct crossvm_bare_bar *bar)
{
    return bar->wide ? UINT64_MAX : UINT32_MAX;
}

/* Its length and its address, by what stands in it and by which ones it keeps. OK; CORRUPT no BAR
 * is like that. */
CROSSVM_INLINE int crossvm_i_bare_bar_judge(struct crossvm_bare_bar *bar, uint64_t value,
                                            uint64_t ones)
{
    const uint64_t address = ~(uint64_t)~CROSSVM_I_BARE_ADDRESS;
    uint64_t mask = (ones & address) | (bar->wide ? 0 : ~(uint64_t)UINT32_MAX);
    if (!bar->wide && value == 0 && ones == 0) {
        return CROSSVM_OK;
    }
    bar->len = 0 - mask;
    bar->address = value & address;
    if (bar->len == 0 || bar->len > crossvm_i_bare_last(bar) || (bar->len & (bar->len - 1)) != 0 ||
        (bar->address & (bar->len - 1)) != 0) {
        return CROSSVM_CORRUPT;
    }
    /* What sizing leaves behind is no address. */
    if (bar->address + (bar->len - 1) == crossvm_i_bare_last(bar)) {
        bar->address = 0;
    }
    return CROSSVM_OK;
}

/* Sizes a BAR: all ones are written, and those that it keeps say how long it is. The device does
 * not answer meanwhile. OK; CORRUPT. */
CROSSVM_INLINE int crossvm_i_bare_bar_size(const struct crossvm_bare_config *config, uint32_t slot,
                                           uint32_t index, struct crossvm_bare_bar *bar)
{
    uint32_t at = crossvm_i_bare_bar_at(slot, index);
    uint32_t low = crossvm_i_bare_read(config, at);
    uint32_t width = low & CROSSVM_I_BARE_WIDTH;
    if ((low & CROSSVM_I_BARE_IO) != 0 || (width != 0 && width != CROSSVM_I_BARE_WIDE)) {
        return CROSSVM_CORRUPT;
    }
    bar->wide = width == CROSSVM_I_BARE_WIDE;
    bar->prefetchable = (low & CROSSVM_I_BARE_PREFETCHABLE) != 0;
    uint64_t value = crossvm_i_bare_bar_read(config, at, bar->wide);
    crossvm_i_bare_bar_write(config, at, bar->wide, UINT64_MAX);
    uint64_t ones = crossvm_i_bare_bar_read(config, at, bar->wide);
    crossvm_i_bare_bar_write(config, at, bar->wide, value);
    return crossvm_i_bare_bar_judge(bar, value, ones);
}

/* Sizes all. OK; CORRUPT. */
CROSSVM_INLINE int crossvm_i_bare_size(const struct crossvm_bare_config *config,
                                       struct crossvm_bare_device *device)
{
    int status = CROSSVM_OK;
    uint32_t before = crossvm_i_bare_command(config, device->slot, CROSSVM_I_BARE_DECODE, 0);
    for (uint32_t i = 0; i < CROSSVM_BARE_BARS && status == CROSSVM_OK; i++) {
        status = crossvm_i_bare_bar_size(config, device->slot, i, &device->bars[i]);
        i += device->bars[i].wide ? 1u : 0u;
    }
    crossvm_i_bare_command(config, device->slot, 0, before & CROSSVM_I_BARE_DECODE);
    if (status != CROSSVM_OK) {
        return status;
    }
    return device->bars[0].len >= CROSSVM_I_BARE_REGISTERS_LEN && device->bars[2].len != 0
               ? CROSSVM_OK
               : CROSSVM_CORRUPT;
}

/* ---- capabilities --------------------------------------------------------------------------- */

/* The offset of MSI-X among the capabilities, 0 = none. OK; CORRUPT the list leaves configuration
 * space, or does not end. */
CROSSVM_INLINE int crossvm_i_bare_find_msix(const struct crossvm_bare_config *config, uint32_t slot,
                                            uint32_t *found)
{
    *found = 0;
    if ((crossvm_i_bare_read(config, slot + CROSSVM_I_BARE_COMMAND) & CROSSVM_I_BARE_LIST) == 0) {
        return CROSSVM_OK;
    }
    uint32_t off = crossvm_i_bare_read(config, slot + CROSSVM_I_BARE_CAPABILITY) & 0xfcu;
    for (uint32_t i = 0; i < CROSSVM_I_BARE_CAPABILITIES && off != 0; i++) {
        if (off < CROSSVM_I_BARE_CAPABILITIES_OFF) {
            return CROSSVM_CORRUPT;
        }
        uint32_t head = crossvm_i_bare_read(config, slot + off);
        if ((head & 0xffu) == CROSSVM_I_BARE_MSIX) {
            *found = off;
            return off + CROSSVM_I_BARE_MSIX_LEN <= 0x100u ? CROSSVM_OK : CROSSVM_CORRUPT;
        }
        off = head >> 8 & 0xfcu;
    }
    return off == 0 ? CROSSVM_OK : CROSSVM_CORRUPT;
}

/* Whether a table lies in BAR1. where: its offset, and the BAR's number in the lowest bits. */
CROSSVM_INLINE bool crossvm_i_bare_holds(const struct crossvm_bare_device *device, uint32_t where,
                                         uint32_t len)
{
    return (where & 7u) == 1 && (uint64_t)(where & ~7u) + len <= device->bars[1].len;
}

/* Where the vectors are: their table and the one of those that are pending, both in BAR1. OK;
 * CORRUPT they are elsewhere. */
CROSSVM_INLINE int crossvm_i_bare_msix(const struct crossvm_bare_config *config,
                                       struct crossvm_bare_device *device)
{
    int status = crossvm_i_bare_find_msix(config, device->slot, &device->msix_off);
    if (status != CROSSVM_OK || device->msix_off == 0) {
        return status;
    }
    uint32_t at = device->slot + device->msix_off;
    uint32_t n = (crossvm_i_bare_read(config, at) >> 16 & 0x7ffu) + 1;
    uint32_t table = crossvm_i_bare_read(config, at + 4);
    uint32_t pending = crossvm_i_bare_read(config, at + 8);
    if (!crossvm_i_bare_holds(device, table, n * CROSSVM_I_BARE_ENTRY_LEN) ||
        !crossvm_i_bare_holds(device, pending, (n + 63) / 64 * 8)) {
        return CROSSVM_CORRUPT;
    }
    device->table_off = table & ~7u;
    device->n_vectors = n;
    return CROSSVM_OK;
}

/* ---- the list of devices -------------------------------------------------------------------- */

/* What a device is. OK; TYPE, UNSUPPORTED, CORRUPT as crossvm_bare_scan says. */
CROSSVM_INLINE int crossvm_i_bare_examine(const struct crossvm_bare_config *config,
                                          struct crossvm_bare_device *device)
{
    uint32_t header = crossvm_i_bare_read(config, device->slot + CROSSVM_I_BARE_HEADER);
    uint32_t revision = crossvm_i_bare_read(config, device->slot + CROSSVM_I_BARE_REVISION) & 0xffu;
    if ((header & CROSSVM_I_BARE_TYPE) != 0) {
        return CROSSVM_TYPE;
    }
    if (revision == 0) {
        return CROSSVM_UNSUPPORTED;
    }
    int status = crossvm_i_bare_size(config, device);
    return status == CROSSVM_OK ? crossvm_i_bare_msix(config, device) : status;
}

/* How many functions may be at a place: 0, 1 or 8. */
CROSSVM_INLINE uint32_t crossvm_i_bare_functions(const struct crossvm_bare_config *config,
                                                 uint32_t slot)
{
    uint32_t id = crossvm_i_bare_read(config, slot + CROSSVM_I_BARE_ID);
    if ((id & CROSSVM_I_BARE_NOBODY) == CROSSVM_I_BARE_NOBODY) {
        return 0;
    }
    uint32_t header = crossvm_i_bare_read(config, slot + CROSSVM_I_BARE_HEADER);
    return (header & CROSSVM_I_BARE_MULTIPLE) != 0 ? 8 : 1;
}

/* Lists the ivshmem devices of this machine, by slot, and judges each. Before any of them is opened
 * or used otherwise: one that is being sized does not answer. All else is left as it was. n: how
 * many there is room for. total: how many there are; those without room are not touched. Role:
 * whoever has the machine's configuration space. At most 65,536 functions are looked at.
 * OK; INVALID config's number of buses. The status of each device: OK; TYPE its header is no
 * device's; UNSUPPORTED revision 0, whose registers mean other things; CORRUPT it cannot be one:
 * BARs of an impossible type or length, a list of capabilities that does not end, vectors
 * elsewhere than in BAR1, no registers or no memory. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bare_scan(const struct crossvm_bare_config *config,
                                                       struct crossvm_bare_device *devices,
                                                       uint32_t n, uint32_t *total)
{
    *total = 0;
    if (config->n_buses == 0 || config->n_buses > CROSSVM_BARE_BUSES) {
        return CROSSVM_INVALID;
    }
    for (uint32_t place = 0; place < config->n_buses * 32; place++) {
        uint32_t first = crossvm_bare_slot(place / 32, place % 32, 0);
        uint32_t n_functions = crossvm_i_bare_functions(config, first);
        for (uint32_t i = 0; i < n_functions; i++) {
            uint32_t slot = first | crossvm_bare_slot(0, 0, i);
            if (crossvm_i_bare_read(config, slot + CROSSVM_I_BARE_ID) != CROSSVM_I_BARE_IVSHMEM) {
                continue;
            }
            if (*total < n) {
                struct crossvm_bare_device *device = &devices[*total];
                __builtin_memset(device, 0, sizeof(*device));
                device->slot = slot;
                device->status = crossvm_i_bare_examine(config, device);
            }
            (*total)++;
        }
    }
    return CROSSVM_OK;
}

/* The device at a slot among n, NULL for none. Pure. */
CROSSVM_INLINE struct crossvm_bare_device *crossvm_bare_find(struct crossvm_bare_device *devices,
                                                             uint32_t n, uint32_t slot)
{
    for (uint32_t i = 0; i < n; i++) {
        if (devices[i].slot == slot) {
            return &devices[i];
        }
    }
    return NULL;
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* The first BAR of a device that has an address and lies in a range, NULL for none. but: this one
 * does not count. */
CROSSVM_INLINE const struct crossvm_bare_bar *crossvm_i_bare_in_the_way(
    const struct crossvm_bare_device *device, const struct crossvm_bare_bar *but, uint64_t address,
    uint64_t len)
{
    for (uint32_t i = 0; i < CROSSVM_BARE_BARS; i++) {
        const struct crossvm_bare_bar *bar = &device->bars[i];
        if (bar != but && device->status == CROSSVM_OK && bar->len != 0 && bar->address != 0 &&
            bar->address <= address + (len - 1) && address <= bar->address + (bar->len - 1)) {
            return bar;
        }
    }
    return NULL;
}

CROSSVM_INLINE const struct crossvm_bare_bar *crossvm_i_bare_among(
    const struct crossvm_bare_device *devices, uint32_t n, const struct crossvm_bare_bar *but,
    uint64_t address, uint64_t len)
{
    const struct crossvm_bare_bar *found = NULL;
    for (uint32_t i = 0; i < n && found == NULL; i++) {
        found = crossvm_i_bare_in_the_way(&devices[i], but, address, len);
    }
    return found;
}

/* The lowest aligned place in a window that no device has. Each step passes over one BAR that is in
 * the way. OK; NO_SPACE. */
CROSSVM_INLINE int crossvm_i_bare_place(const struct crossvm_bare_device *devices, uint32_t n,
                                        const struct crossvm_bare_window *window,
                                        struct crossvm_bare_bar *bar)
{
    uint64_t address = window->base == 0 ? bar->len : window->base;
    while (address <= UINT64_MAX - (bar->len - 1)) {
        address = (address + (bar->len - 1)) & ~(bar->len - 1);
        /* 0 would mean none, and the end of what a BAR can say means that it is being sized. */
        if (address < window->base || address - window->base > window->len ||
            window->len - (address - window->base) < bar->len ||
            address + (bar->len - 1) >= crossvm_i_bare_last(bar)) {
            return CROSSVM_NO_SPACE;
        }
        const struct crossvm_bare_bar *taken =
            crossvm_i_bare_among(devices, n, bar, address, bar->len);
        if (taken == NULL) {
            bar->address = address;
            return CROSSVM_OK;
        }
        address = taken->address + (taken->len - 1) + 1;
    }
    return CROSSVM_NO_SPACE;
}

/* Whether all its addresses are there. */
CROSSVM_INLINE bool crossvm_i_bare_placed(const struct crossvm_bare_device *device)
{
    bool all = true;
    for (uint32_t i = 0; i < CROSSVM_BARE_BARS; i++) {
        all = all && (device->bars[i].len == 0 || device->bars[i].address != 0);
    }
    return all;
}

/* Looks for a place for each BAR that has none; nothing is written. OK; NO_SPACE; EXISTS. */
CROSSVM_INLINE int crossvm_i_bare_plan(const struct crossvm_bare_device *devices, uint32_t n,
                                       struct crossvm_bare_device *device,
                                       const struct crossvm_bare_window *low,
                                       const struct crossvm_bare_window *high)
{
    for (uint32_t i = 0; i < CROSSVM_BARE_BARS; i++) {
        struct crossvm_bare_bar *bar = &device->bars[i];
        if (bar->len == 0) {
            continue;
        }
        if (bar->address != 0) {
            if (crossvm_i_bare_among(devices, n, bar, bar->address, bar->len) != NULL) {
                return CROSSVM_EXISTS;
            }
            continue;
        }
        int status = CROSSVM_NO_SPACE;
        if (bar->wide && bar->prefetchable) {
            status = crossvm_i_bare_place(devices, n, high, bar);
        }
        if (status != CROSSVM_OK) {
            status = crossvm_i_bare_place(devices, n, low, bar);
        }
        if (status != CROSSVM_OK) {
            return status;
        }
    }
    return CROSSVM_OK;
}

/* Writes a device's addresses, and reads them again. OK; CORRUPT it does not keep them. */
CROSSVM_INLINE int crossvm_i_bare_tell(const struct crossvm_bare_config *config,
                                       const struct crossvm_bare_device *device)
{
    const uint64_t address = ~(uint64_t)~CROSSVM_I_BARE_ADDRESS;
    int status = CROSSVM_OK;
    uint32_t before = crossvm_i_bare_command(config, device->slot, CROSSVM_I_BARE_DECODE, 0);
    for (uint32_t i = 0; i < CROSSVM_BARE_BARS; i++) {
        const struct crossvm_bare_bar *bar = &device->bars[i];
        uint32_t at = crossvm_i_bare_bar_at(device->slot, i);
        if (bar->len == 0) {
            continue;
        }
        crossvm_i_bare_bar_write(config, at, bar->wide, bar->address);
        if ((crossvm_i_bare_bar_read(config, at, bar->wide) & address) != bar->address) {
            status = CROSSVM_CORRUPT;
        }
    }
    crossvm_i_bare_command(config, device->slot, 0, before & CROSSVM_I_BARE_DECODE);
    return status;
}

/* Gives a device addresses for those BARs that have none, apart from those of all n devices; what
 * it has stays. Once before it is opened; again it does nothing. device: one of `devices`, all that
 * the scan found. low: below 4 GiB. high: for prefetchable BARs with 64 bits; where it is too small
 * they go into low. The machine routes both to the bus, and no device that is not listed has
 * addresses there. Role: whoever has the machine's configuration space.
 * OK; INVALID low does not end below 4 GiB, or high not below 2^64; the device's status if it is
 * not OK; EXISTS it has an address that another BAR has, too; UNSUPPORTED it has none and is behind
 * a bridge; NO_SPACE a window is too small; CORRUPT it does not keep what is written. Unless OK
 * nothing is changed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bare_assign(const struct crossvm_bare_config *config,
                                                         struct crossvm_bare_device *devices,
                                                         uint32_t n,
                                                         struct crossvm_bare_device *device,
                                                         const struct crossvm_bare_window *low,
                                                         const struct crossvm_bare_window *high)
{
    const uint64_t low_end = (uint64_t)UINT32_MAX + 1;
    const struct crossvm_bare_device before = *device;
    if (low->base > low_end || low->len > low_end - low->base ||
        high->len > UINT64_MAX - high->base) {
        return CROSSVM_INVALID;
    }
    if (device->status != CROSSVM_OK) {
        return device->status;
    }
    bool placed = crossvm_i_bare_placed(device);
    if (!placed && device->slot >= crossvm_bare_slot(1, 0, 0)) {
        return CROSSVM_UNSUPPORTED;
    }
    int status = crossvm_i_bare_plan(devices, n, device, low, high);
    if (status == CROSSVM_OK && !placed) {
        status = crossvm_i_bare_tell(config, device);
        if (status != CROSSVM_OK) {
            (void)crossvm_i_bare_tell(config, &before);
        }
    }
    if (status != CROSSVM_OK) {
        *device = before;
    }
    return status;
}

/* ---- vectors -------------------------------------------------------------------------------- */

/* A word of a vector's entry. */
CROSSVM_INLINE unsigned char *crossvm_i_bare_entry(const struct crossvm_bare *bare, uint32_t vector,
                                                   uint32_t word)
{
    return bare->table + (size_t)vector * CROSSVM_I_BARE_ENTRY_LEN + 4 * word;
}

/* Turns a device's vectors on or off, all at once. */
CROSSVM_INLINE void crossvm_i_bare_vectors(const struct crossvm_bare *bare, uint32_t bits)
{
    uint32_t at = bare->device.slot + bare->device.msix_off;
    uint32_t head = crossvm_i_bare_read(bare->config, at);
    head &= ~(CROSSVM_I_BARE_MSIX_ENABLED | CROSSVM_I_BARE_MSIX_MASKED);
    crossvm_i_bare_write(bare->config, at, head | bits);
}

/* Masks every vector, for what an earlier program left in the table would be sent to its addresses;
 * then lets the device send, if anybody listens. */
CROSSVM_INLINE void crossvm_i_bare_listen(const struct crossvm_bare *bare)
{
    crossvm_i_bare_vectors(bare, CROSSVM_I_BARE_MSIX_MASKED);
    for (uint32_t i = 0; i < bare->device.n_vectors; i++) {
        crossvm_i_bare_store(crossvm_i_bare_entry(bare, i, 3), 1);
    }
    if (bare->n_own != 0) {
        (void)crossvm_i_bare_command(bare->config, bare->device.slot, 0, CROSSVM_I_BARE_MASTER);
        crossvm_i_bare_vectors(bare, CROSSVM_I_BARE_MSIX_ENABLED);
    }
}

/* Ties an own vector to an interrupt: a ring writes `data` to `address`, where the machine's
 * interrupt controller takes it (x86: 0xfee00000 and up; Arm: a frame of the GIC's). Its handler
 * calls crossvm_bare_interrupt. address: a multiple of 4, on the bus. Role: the device's owner.
 * OK; NOT_FOUND no such vector of its own; INVALID the address. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bare_route(struct crossvm_bare *bare, uint32_t vector,
                                                        uint64_t address, uint32_t data)
{
    if (vector >= bare->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    if (address % 4 != 0) {
        return CROSSVM_INVALID;
    }
    crossvm_i_bare_store(crossvm_i_bare_entry(bare, vector, 3), 1);
    crossvm_i_bare_store(crossvm_i_bare_entry(bare, vector, 0), (uint32_t)address);
    crossvm_i_bare_store(crossvm_i_bare_entry(bare, vector, 1), (uint32_t)(address >> 32));
    crossvm_i_bare_store(crossvm_i_bare_entry(bare, vector, 2), data);
    /* The handler finds all that was made ready for it. */
    crossvm_system_barrier();
    crossvm_i_bare_store(crossvm_i_bare_entry(bare, vector, 3), 0);
    return CROSSVM_OK;
}

/* Masks an own vector that was tied to an interrupt, or unmasks it. What rings meanwhile is sent
 * when it is unmasked, once (PCI), if the device remembers it: QEMU's does. Role: the device's
 * owner. OK; NOT_FOUND no such vector of its own. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bare_mask(struct crossvm_bare *bare, uint32_t vector,
                                                       bool masked)
{
    if (vector >= bare->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    crossvm_i_bare_store(crossvm_i_bare_entry(bare, vector, 3), masked ? 1 : 0);
    return CROSSVM_OK;
}

/* Counts an interrupt of an own vector; one that there is not is ignored. For the interrupt's
 * handler: wait-free, touches nothing but that vector's count. Role: one handler at a time for a
 * vector, on any core, while the owner does anything. An RTOS then wakes whom `rest` has put to
 * sleep. */
CROSSVM_INLINE void crossvm_bare_interrupt(struct crossvm_bare *bare, uint32_t vector)
{
    if (vector < bare->n_own) {
        struct crossvm_le32 *n_rung = &bare->vectors[vector].n_rung;
        crossvm_store_relaxed(n_rung, crossvm_load_relaxed(n_rung) + 1);
    }
}

/* ---- in use --------------------------------------------------------------------------------- */

/* A BAR, or a part of one, as the program sees it; NULL = it cannot. */
CROSSVM_INLINE unsigned char *crossvm_i_bare_map(const struct crossvm_bare_machine *machine,
                                                 const struct crossvm_bare_bar *bar, bool registers)
{
    if (machine->map != NULL) {
        return (unsigned char *)machine->map(machine->context, bar->address, bar->len, registers);
    }
    if (bar->address > UINTPTR_MAX || bar->len - 1 > UINTPTR_MAX - bar->address) {
        return NULL;
    }
    return (unsigned char *)(uintptr_t)bar->address;
}

/* Where all parts are. OK; TOO_LARGE; NO_SPACE. */
CROSSVM_INLINE int crossvm_i_bare_map_all(struct crossvm_bare *bare)
{
    const struct crossvm_bare_bar *bars = bare->device.bars;
    if (bars[2].len > SIZE_MAX) {
        return CROSSVM_TOO_LARGE;
    }
    bare->mapping.base = crossvm_i_bare_map(bare->machine, &bars[2], false);
    bare->mapping.len = bars[2].len;
    bare->registers = crossvm_i_bare_map(bare->machine, &bars[0], true);
    if (bare->mapping.base == NULL || bare->registers == NULL) {
        return CROSSVM_NO_SPACE;
    }
    if (bare->device.msix_off != 0) {
        unsigned char *base = crossvm_i_bare_map(bare->machine, &bars[1], true);
        if (base == NULL) {
            return CROSSVM_NO_SPACE;
        }
        bare->table = base + bare->device.table_off;
    }
    return (uintptr_t)bare->mapping.base % CROSSVM_LINE == 0 ? CROSSVM_OK : CROSSVM_MISALIGNED;
}

/* The own id. OK; NOT_YET it has none yet; CORRUPT no id is like that. */
CROSSVM_INLINE int crossvm_i_bare_position(struct crossvm_bare *bare)
{
    bare->id = crossvm_i_bare_load(bare->registers + CROSSVM_I_BARE_POSITION);
    if (bare->id == UINT32_MAX) {
        return CROSSVM_NOT_YET;
    }
    return bare->id <= 0xffffu ? CROSSVM_OK : CROSSVM_CORRUPT;
}

/* Gives a device up: it sends no interrupts any more, and answers accesses as it was found to.
 * Its interrupts may be on their way: their handlers must not use `bare` once this has returned,
 * or find it closed. Role: the device's owner. Safe to call twice. */
CROSSVM_INLINE void crossvm_bare_close(struct crossvm_bare *bare)
{
    if (bare->registers == NULL) {
        return;
    }
    if (bare->table != NULL) {
        crossvm_i_bare_vectors(bare, 0);
    }
    (void)crossvm_i_bare_command(bare->config, bare->device.slot, CROSSVM_I_BARE_COMMANDS,
                                 bare->command & ~CROSSVM_I_BARE_MASTER);
    bare->n_own = 0;
    bare->registers = NULL;
    bare->table = NULL;
    bare->mapping.base = NULL;
    bare->mapping.len = 0;
}

CROSSVM_INLINE int crossvm_i_bare_open(struct crossvm_bare *bare)
{
    int status = crossvm_i_bare_map_all(bare);
    if (status != CROSSVM_OK) {
        bare->registers = NULL;
        return status;
    }
    bare->command =
        crossvm_i_bare_command(bare->config, bare->device.slot, 0, CROSSVM_I_BARE_MEMORY);
    status = crossvm_i_bare_position(bare);
    if (status != CROSSVM_OK) {
        (void)crossvm_i_bare_command(bare->config, bare->device.slot, CROSSVM_I_BARE_COMMANDS,
                                     bare->command);
        bare->registers = NULL;
        return status;
    }
    if (bare->table != NULL) {
        crossvm_i_bare_listen(bare);
    }
    return CROSSVM_OK;
}

/* Opens a device that has its addresses: memory accesses on, the shared memory in `mapping`, its
 * own id, all vectors masked, and, if n_own is not 0, bus mastering and MSI-X on. device: as scan
 * and assign made it, copied. config, machine, vectors: outlive `bare`. access: what the hypervisor
 * allows, which the device does not say; nothing is written into the memory here. vectors: n_own of
 * them, overwritten; 0 for ivshmem-plain, or for who does not listen. Role: one owner a device.
 * Trust: machine->memory is believed.
 * OK; INVALID access, memory, or an address is missing: assign comes first; the device's status if
 * it is not OK; NOT_FOUND it has fewer vectors; TOO_LARGE its memory is longer than size_t says;
 * NO_SPACE the machine cannot map it; MISALIGNED the memory's base is not a multiple of 128;
 * NOT_YET it has no id yet: try again; CORRUPT an impossible one. Unless OK the device is as it
 * was. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_bare_open(
    struct crossvm_bare *bare, const struct crossvm_bare_config *config,
    const struct crossvm_bare_device *device, const struct crossvm_bare_machine *machine,
    enum crossvm_mapping_access access, struct crossvm_bare_vector *vectors, uint32_t n_own)
{
    __builtin_memset(bare, 0, sizeof(*bare));
    if (device->status != CROSSVM_OK) {
        return device->status;
    }
    if ((access != CROSSVM_READ_ONLY && access != CROSSVM_READ_WRITE) ||
        machine->memory > CROSSVM_WRITE_COMBINING || !crossvm_i_bare_placed(device)) {
        return CROSSVM_INVALID;
    }
    if (n_own > device->n_vectors) {
        return CROSSVM_NOT_FOUND;
    }
    bare->config = config;
    bare->device = *device;
    bare->machine = machine;
    bare->mapping.access = (uint32_t)access;
    bare->mapping.memory = machine->memory;
    bare->vectors = vectors;
    bare->n_own = n_own;
    for (uint32_t i = 0; i < n_own; i++) {
        crossvm_store_relaxed(&vectors[i].n_rung, 0);
        vectors[i].n_heard = 0;
    }
    return crossvm_i_bare_open(bare);
}

/* ---- notify --------------------------------------------------------------------------------- */

/* What was stored before it, in memory of any type, is seen before the ring. */
CROSSVM_INLINE int crossvm_i_bare_signal(void *context, uint32_t peer, uint32_t vector)
{
    struct crossvm_bare *bare = (struct crossvm_bare *)context;
    if (bare->table == NULL || peer > 0xffffu || vector > 0xffffu) {
        return CROSSVM_NOT_FOUND;
    }
    crossvm_system_barrier();
    crossvm_i_bare_store(bare->registers + CROSSVM_I_BARE_DOORBELL, peer << 16 | vector);
    return CROSSVM_OK;
}

/* Whether a vector was rung since it was heard last. What is read behind it is no older than the
 * ring, also when another core took the interrupt. */
CROSSVM_INLINE bool crossvm_i_bare_hear(struct crossvm_bare_vector *vector)
{
    uint32_t n_rung = crossvm_load_relaxed(&vector->n_rung);
    bool rung = n_rung != vector->n_heard;
    vector->n_heard = n_rung;
    crossvm_system_barrier();
    return rung;
}

CROSSVM_INLINE uint64_t crossvm_i_bare_now(void *context)
{
    struct crossvm_bare *bare = (struct crossvm_bare *)context;
    return bare->machine->now(bare->machine->context);
}

CROSSVM_INLINE void crossvm_i_bare_interrupts(const struct crossvm_bare *bare, bool in)
{
    const struct crossvm_bare_machine *machine = bare->machine;
    void (*call)(void *context) = in ? machine->unmask : machine->mask;
    if (call != NULL) {
        call(machine->context);
    }
}

/* Sleeps until an interrupt, or until a time; to be called with interrupts kept out, which are let
 * in. Without a machine's way to rest it is a pause. */
CROSSVM_INLINE void crossvm_i_bare_sleep(const struct crossvm_bare *bare, uint64_t until_ns)
{
    if (bare->machine->rest != NULL) {
        bare->machine->rest(bare->machine->context, until_ns);
    } else {
        crossvm_i_bare_interrupts(bare, true);
        crossvm_cpu_pause();
    }
}

/* Looks and falls asleep with interrupts kept out, so that no ring comes between. */
CROSSVM_INLINE int crossvm_i_bare_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct crossvm_bare *bare = (struct crossvm_bare *)context;
    if (vector >= bare->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    for (;;) {
        crossvm_i_bare_interrupts(bare, false);
        bool rung = crossvm_i_bare_hear(&bare->vectors[vector]);
        if (rung || crossvm_i_bare_now(bare) >= deadline_ns) {
            crossvm_i_bare_interrupts(bare, true);
            return rung ? CROSSVM_OK : CROSSVM_TIMEOUT;
        }
        crossvm_i_bare_sleep(bare, deadline_ns);
    }
}

CROSSVM_INLINE void crossvm_i_bare_rest(void *context, uint64_t until_ns)
{
    struct crossvm_bare *bare = (struct crossvm_bare *)context;
    while (crossvm_i_bare_now(bare) < until_ns) {
        crossvm_i_bare_interrupts(bare, false);
        crossvm_i_bare_sleep(bare, until_ns);
    }
}

/* Makes a notify of an open device's doorbells: peers are ids, which nobody checks: a ring to one
 * that is not there is lost; ivshmem-plain rings nobody (NOT_FOUND; its notify is polling, in
 * notify.h). Deadlines are times of the machine's clock. A system barrier stands in front of each
 * ring. */
CROSSVM_INLINE void crossvm_notify_bare(struct crossvm_notify *notify, struct crossvm_bare *bare)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_bare_signal, crossvm_i_bare_wait, NULL, crossvm_i_bare_now, crossvm_i_bare_rest,
    };
    notify->ops = &ops;
    notify->context = bare;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
