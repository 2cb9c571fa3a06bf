/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kernel/peer/driver.c - a kernel module that talks to a program in another virtual machine
 * (tests/system/kernel_peer.c), over two ivshmem-plain devices: one that it writes, one that the
 * other writes. No interrupts: it sleeps a little and looks again.
 *
 *   insmod crossvm_peer.ko own=0000:00:03.0 peer=0000:00:04.0 [seed=1]
 *
 * Both memories are to be zero before either side starts. Loading takes as long as the exchange; it
 * ends with "crossvm: peer: passed" and what was exchanged, or fails with the reason in the log.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vmalloc.h>

#include "agreed.h"

enum {
    TABLE_LEN = 3,
    BAR_MEMORY = 2
};

static char *own;
module_param(own, charp, 0444);
MODULE_PARM_DESC(own, "slot of the ivshmem device that this side writes, like 0000:00:03.0");

static char *peer;
module_param(peer, charp, 0444);
MODULE_PARM_DESC(peer, "slot of the ivshmem device that the other side writes");

static unsigned int seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "for the incarnation of this side, another one at each start");

/* ---- the two devices ------------------------------------------------------------------------- */

struct memory {
    struct pci_dev *device; /* NULL = not there */
    struct crossvm_mapping mapping;
};

/* The device in a slot. name: of the parameter. */
static int device_find(struct memory *memory, const char *name, const char *slot)
{
    unsigned int domain, bus, device, function;
    if (slot == NULL || sscanf(slot, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4) {
        pr_err("crossvm: peer: %s=%s: expected a slot, like 0000:00:03.0\n", name,
               slot == NULL ? "" : slot);
        return -EINVAL;
    }
    memory->device = pci_get_domain_bus_and_slot((int)domain, bus, PCI_DEVFN(device, function));
    if (memory->device == NULL || memory->device->vendor != 0x1af4 ||
        memory->device->device != 0x1110) {
        pr_err("crossvm: peer: %s=%s: expected an ivshmem device\n", name, slot);
        return -ENODEV;
    }
    return 0;
}

/* BAR2 is RAM of the host's, and mapped like RAM. */
static int memory_map(struct memory *memory, uint32_t access)
{
    struct pci_dev *device = memory->device;
    resource_size_t len = pci_resource_len(device, BAR_MEMORY);
    int error = pci_enable_device(device);
    if (error != 0) {
        return error;
    }
    error = pci_request_region(device, BAR_MEMORY, "crossvm_peer");
    if (error != 0) {
        pci_disable_device(device);
        return error;
    }
    memory->mapping.base = memremap(pci_resource_start(device, BAR_MEMORY), len, MEMREMAP_WB);
    memory->mapping.len = len;
    memory->mapping.access = access;
    memory->mapping.memory = CROSSVM_WRITE_BACK;
    if (memory->mapping.base == NULL) {
        pci_release_region(device, BAR_MEMORY);
        pci_disable_device(device);
        return -ENOMEM;
    }
    return 0;
}

static int memory_open(struct memory *memory, const char *name, const char *slot, uint32_t access)
{
    int error = device_find(memory, name, slot);
    if (error == 0) {
        error = memory_map(memory, access);
        if (error != 0) {
            pr_err("crossvm: peer: %s=%s: error %d\n", name, slot, error);
        }
    }
    return error;
}

static void memory_close(struct memory *memory)
{
    if (memory->mapping.base != NULL) {
        memunmap(memory->mapping.base);
        pci_release_region(memory->device, BAR_MEMORY);
        pci_disable_device(memory->device);
    }
    pci_dev_put(memory->device);
}

/* ---- everything that the exchange has, too much for a stack ---------------------------------- */

struct exchange {
    struct memory own;
    struct memory peer;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[TABLE_LEN];
    struct crossvm_chunk chunk;
    struct crossvm_snapshot_writer state;
    struct side side;
    unsigned long end; /* jiffies: from then on it has hung */
    unsigned int n_rests;
};

static int failed(const char *what, int status)
{
    bool in_vain = crossvm_status_family(status) == CROSSVM_FAMILY_AGAIN;
    pr_err("crossvm: peer: %s: %s%s\n", what, crossvm_status_name(status),
           in_vain ? " for too long" : "");
    return -EIO;
}

/* Lets the other side run. False when it has taken too long. */
static bool rest(struct exchange *exchange)
{
    exchange->n_rests++;
    usleep_range(20, 200);
    return time_before(jiffies, exchange->end);
}

/* ---- coming up ------------------------------------------------------------------------------- */

static int own_format(struct exchange *exchange)
{
    static const struct crossvm_chunk_decl chunks[] = {
        {.name = STATE,
         .kind = CROSSVM_KIND_SNAPSHOT,
         .n = 4,
         .len = STATE_LEN,
         .writer = KERNEL,
         .reader = PROGRAM},
        {.name = FROM_KERNEL,
         .kind = CROSSVM_KIND_SPSC_TX,
         .n = CAPACITY,
         .len = sizeof(struct element),
         .writer = KERNEL,
         .reader = PROGRAM},
        {.name = TO_KERNEL, .kind = CROSSVM_KIND_SPSC_RX, .writer = KERNEL, .reader = PROGRAM},
    };
    static const struct crossvm_region_plan plan = {
        .chunks = chunks, .n_chunks = TABLE_LEN, .owner = KERNEL, .region_id = {KERNEL}};
    return crossvm_region_owner_format(&exchange->owner, &exchange->own.mapping, &plan,
                                       exchange->table, TABLE_LEN);
}

static int own_open(struct exchange *exchange)
{
    struct crossvm_region *region = &exchange->owner.region;
    int status = crossvm_region_find(region, STATE, CROSSVM_KIND_SNAPSHOT, 0, &exchange->chunk);
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_writer_open(&exchange->state, region, &exchange->chunk);
    }
    exchange->side.out = FROM_KERNEL;
    exchange->side.in = TO_KERNEL;
    return status == CROSSVM_OK ? side_open(&exchange->side, region, seed) : status;
}

static int other_attach(struct exchange *exchange)
{
    return side_attach(&exchange->side, &exchange->peer.mapping, KERNEL);
}

static int queues_link(struct exchange *exchange)
{
    return side_link(&exchange->side);
}

/* Tries until it succeeds, for the other side may not be so far. */
static int until_there(struct exchange *exchange, const char *what,
                       int (*attempt)(struct exchange *exchange))
{
    int status = attempt(exchange);
    while (is_early(status) && rest(exchange)) {
        status = attempt(exchange);
    }
    return status == CROSSVM_OK ? 0 : failed(what, status);
}

static int come_up(struct exchange *exchange)
{
    int error = until_there(exchange, "own region", own_format);
    if (error == 0) {
        error = until_there(exchange, "own chunks", own_open);
    }
    if (error == 0) {
        error = until_there(exchange, "the peer's region", other_attach);
    }
    if (error == 0) {
        error = until_there(exchange, "queues", queues_link);
    }
    return error;
}

/* ---- the exchange ---------------------------------------------------------------------------- */

static int receive(struct exchange *exchange, struct element *element, uint64_t index)
{
    int status = crossvm_spsc_rx_pop(&exchange->side.rx, element);
    while (status == CROSSVM_EMPTY && rest(exchange)) {
        status = crossvm_spsc_rx_pop(&exchange->side.rx, element);
    }
    if (status != CROSSVM_OK) {
        return failed("an element of the peer's", status);
    }
    if (element->index != index || !bytes_are(element->bytes, sizeof(element->bytes), index, 0)) {
        pr_err("crossvm: peer: element %llu: it says %llu, or other bytes\n", index,
               element->index);
        return -EIO;
    }
    return 0;
}

static int send(struct exchange *exchange, const struct element *element)
{
    int status = crossvm_spsc_tx_push(&exchange->side.tx, element);
    while (status == CROSSVM_FULL && rest(exchange)) {
        status = crossvm_spsc_tx_push(&exchange->side.tx, element);
    }
    return status == CROSSVM_OK ? 0 : failed("an element to the peer", status);
}

static int publish(struct exchange *exchange, uint64_t version)
{
    unsigned char state[STATE_LEN];
    int status;
    bytes_make(state, sizeof(state), version, 0);
    status = crossvm_snapshot_writer_publish(&exchange->state, state, sizeof(state), 0, 0);
    if (status != CROSSVM_OK) {
        return failed("a state", status);
    }
    if (crossvm_snapshot_writer_version(&exchange->state) != version) {
        pr_err("crossvm: peer: state %llu: another version\n", version);
        return -EIO;
    }
    return 0;
}

/* Each element goes back transformed; a version is published with each. */
static int exchange_elements(struct exchange *exchange)
{
    struct element element;
    int error = 0;
    BUILD_BUG_ON(N_VERSIONS != N_ELEMENTS);
    for (uint64_t i = 0; error == 0 && i < N_ELEMENTS; i++) {
        error = publish(exchange, i + 1);
        if (error == 0) {
            error = receive(exchange, &element, i);
        }
        if (error == 0) {
            for (size_t k = 0; k < sizeof(element.bytes); k++) {
                element.bytes[k] ^= TRANSFORM;
            }
            error = send(exchange, &element);
        }
    }
    return error;
}

/* ---- loading --------------------------------------------------------------------------------- */

static int run(struct exchange *exchange)
{
    int error = memory_open(&exchange->own, "own", own, CROSSVM_READ_WRITE);
    if (error == 0) {
        error = memory_open(&exchange->peer, "peer", peer, CROSSVM_READ_ONLY);
    }
    if (error == 0) {
        exchange->end = jiffies + LIMIT_SECONDS * HZ;
        error = come_up(exchange);
    }
    if (error == 0) {
        error = exchange_elements(exchange);
    }
    return error;
}

static int __init crossvm_peer_init(void)
{
    struct exchange *exchange = vzalloc(sizeof(*exchange));
    int error;
    if (exchange == NULL) {
        return -ENOMEM;
    }
    error = run(exchange);
    if (error == 0) {
        pr_info("crossvm: peer: passed: %d elements each way, %d versions, %u rests\n", N_ELEMENTS,
                N_VERSIONS, exchange->n_rests);
    }
    memory_close(&exchange->peer);
    memory_close(&exchange->own);
    vfree(exchange);
    return error;
}

static void __exit crossvm_peer_exit(void)
{
}

module_init(crossvm_peer_init);
module_exit(crossvm_peer_exit);
MODULE_DESCRIPTION("Talks to a program in another virtual machine by crossvm");
MODULE_LICENSE("Apache-2.0");
