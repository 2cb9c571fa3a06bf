/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - what the firmware asks of the machine that it runs on. x86_64/ and aarch64/ supply it,
 * with the code that comes first; everything else here knows no architecture.
 */
#ifndef FIRMWARE_MACHINE_H
#define FIRMWARE_MACHINE_H

#include <crossvm/backend/ivshmem_bare.h>

#define MACHINE_VECTORS 8u /* of a doorbell device, at most */

/* What machine_start fills in. */
struct machine {
    struct crossvm_bare_config config; /* how PCI's configuration space is reached */
    struct crossvm_bare_window low;    /* for devices without addresses, below 4 GiB */
    struct crossvm_bare_window high;   /* the same for 64-bit prefetchable BARs; len 0 = none */
    struct crossvm_bare_machine bare;  /* how devices are mapped, the clock, interrupts, rest */
};

/* Makes the machine ready, interrupts included, and says what it is. Called once, first of all. */
void machine_start(struct machine *machine);

/* Writes a text to the serial console. */
void machine_put(const char *text);

/* Ties the vectors 0 to n - 1 of an open device to interrupts of this machine: their handlers call
 * crossvm_bare_interrupt, and crossvm_bare_route tells the device what to send. n: at most
 * MACHINE_VECTORS. For one device. A status of the library's. */
int machine_listen(struct crossvm_bare *bare, uint32_t n);

/* Turns the machine off. Where that fails it stands still for ever. */
_Noreturn void machine_end(void);

/* What the machine's own code calls when there is a stack and C can run. Returns when all is done;
 * then comes machine_end. */
void firmware_main(void);

#endif
