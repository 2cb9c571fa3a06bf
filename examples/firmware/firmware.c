/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware.c - finds the machine's devices and runs the application on them (app.h); without memory
 * it tests the doorbells (bells.h). What is plugged in where says what it is to do:
 *
 *   slot 4   memory of side 0
 *   slot 5   memory of side 1
 *   slot 6   the doorbell of side 0: then this machine is side 0
 *   slot 7   the doorbell of side 1: then it is side 1
 *
 * Its last line is "firmware: end", or "firmware: failed".
 */
#include "app.h"
#include "bells.h"
#include "machine.h"
#include "say.h"

#define SLOT_MEMORY 4u
#define SLOT_BELL   6u
#define DEVICES     8u
#define ROUNDS      20u

static struct machine machine;
static struct crossvm_bare_device devices[DEVICES];
static uint32_t n_devices;
static struct crossvm_bare own;
static struct crossvm_bare peer;
static struct crossvm_bare bell;
static struct crossvm_bare_vector vectors[MACHINE_VECTORS];
static struct crossvm_notify notify;

/* ---- devices --------------------------------------------------------------------------------- */

static void show(const struct crossvm_bare_device *device)
{
    const struct crossvm_bare_bar *memory = &device->bars[2];
    say(machine_put, "device %x:%x.%x: %s, %u KiB at %x:%x, %u vectors",
        (unsigned)(device->slot >> 20), (unsigned)(device->slot >> 15 & 31),
        (unsigned)(device->slot >> 12 & 7), crossvm_status_name(device->status),
        (unsigned)(memory->len >> 10), (unsigned)(memory->address >> 32), (unsigned)memory->address,
        (unsigned)device->n_vectors);
}

/* Lists what is there, with addresses. */
static int find_devices(void)
{
    int status = crossvm_bare_scan(&machine.config, devices, DEVICES, &n_devices);
    n_devices = n_devices < DEVICES ? n_devices : DEVICES;
    for (uint32_t i = 0; i < n_devices && status == CROSSVM_OK; i++) {
        status = crossvm_bare_assign(&machine.config, devices, n_devices, &devices[i], &machine.low,
                                     &machine.high);
        show(&devices[i]);
    }
    return status;
}

static const struct crossvm_bare_device *device_at(uint32_t slot)
{
    return crossvm_bare_find(devices, n_devices, crossvm_bare_slot(0, slot, 0));
}

/* Opens a device. NOT_FOUND: there is none. */
static int open_device(struct crossvm_bare *bare, uint32_t slot, enum crossvm_mapping_access access,
                       uint32_t n_own)
{
    const struct crossvm_bare_device *device = device_at(slot);
    int status = CROSSVM_NOT_FOUND;
    if (device != NULL) {
        n_own = n_own < device->n_vectors ? n_own : device->n_vectors;
        status =
            crossvm_bare_open(bare, &machine.config, device, &machine.bare, access, vectors, n_own);
    }
    if (status != CROSSVM_OK) {
        say(machine_put, "slot %u: %s", (unsigned)slot, crossvm_status_name(status));
    }
    return status;
}

/* ---- what is done with them ------------------------------------------------------------------ */

static int open_bell(uint32_t side)
{
    int status = open_device(&bell, SLOT_BELL + side, CROSSVM_READ_ONLY, MACHINE_VECTORS);
    if (status == CROSSVM_OK) {
        status = machine_listen(&bell, bell.n_own);
        crossvm_notify_bare(&notify, &bell);
        say(machine_put, "id %u", (unsigned)bell.id);
    }
    return status;
}

static int run_application(uint32_t side)
{
    static struct app app;
    int status = open_device(&own, SLOT_MEMORY + side, CROSSVM_READ_WRITE, 0);
    if (status == CROSSVM_OK) {
        status = open_device(&peer, SLOT_MEMORY + 1 - side, CROSSVM_READ_ONLY, 0);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    app.side = side;
    app.own = own.mapping;
    app.peer = peer.mapping;
    app.bell = &notify;
    app.bell_id = bell.id;
    app.has_bell = true;
    app.put = machine_put;
    return app_run(&app);
}

static int test_bells(uint32_t side)
{
    struct bells bells = {&notify, 1 - bell.id, bell.n_own, true, machine_put};
    bool good = side == 0 ? bells_echo(&bells, ROUNDS) : bells_ring(&bells, ROUNDS);
    if (!good) {
        return CROSSVM_CORRUPT;
    }
    say(machine_put, "passed: %u rounds of %u vectors", ROUNDS, (unsigned)bells.n_vectors);
    return CROSSVM_OK;
}

void firmware_main(void)
{
    machine_start(&machine);
    int status = find_devices();
    if (status == CROSSVM_OK) {
        uint32_t side = device_at(SLOT_BELL) != NULL ? 0 : 1;
        status = open_bell(side);
        if (status == CROSSVM_OK) {
            bool has_memory = device_at(SLOT_MEMORY) != NULL;
            status = has_memory ? run_application(side) : test_bells(side);
        }
    }
    say(machine_put, status == CROSSVM_OK ? "firmware: end" : "firmware: failed");
}
