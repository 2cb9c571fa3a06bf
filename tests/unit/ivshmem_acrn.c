/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/ivshmem_acrn.c - ivshmem devices of ACRN, of both flavours, beside QEMU's: which have
 * vectors, how many, and which region is which. Against a model of the kernel's files: no machine
 * of ACRN's is here. What it models stands in ACRN's hypervisor/dm/vpci/ivshmem.c (1af4:1110, BARs
 * 0 to 2, MSI-X with 8 vectors) and devicemodel/hw/pci/ivshmem.c (the same BARs, no MSI-X); the
 * region's id as subsystem id of vendor 8086, in its issue 8566.
 */
#include "../support/tree.h"

#include <crossvm/crossvm.h>

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>

/* The library looks for the kernel's files in the test's folder. */
static int acrn_open(const char *path, int flags)
{
    char room[256];
    return open(tree_path(path, room, sizeof(room)), flags);
}

static DIR *acrn_opendir(const char *path)
{
    char room[256];
    return opendir(tree_path(path, room, sizeof(room)));
}

#define open(path, flags) acrn_open(path, flags)
#define opendir(path)     acrn_opendir(path)

#include <crossvm/backend/ivshmem_pci.h>

#include "../support/region.h"

enum {
    N_REGIONS = 8,
    N_VECTORS = 8,
    LEN = 2 << 20, /* ACRN's least */
    MSIX = 0x11,
    VENDOR = 0x09
};

/* What a device is made of. */
struct made {
    const char *slot;
    bool has_bar1;
    unsigned n_vectors; /* 0 = no MSI-X */
    unsigned subsystem_vendor;
    unsigned subsystem_id;
};

static void put(const char *slot, const char *file, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", slot, file);
    tree_put(path, text);
}

static void put_number(const char *slot, const char *file, unsigned number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "0x%04x\n", number);
    put(slot, file, text);
}

static void put_config(const char *slot, const unsigned char *config, size_t len)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", slot);
    tree_put_bytes(path, config, len);
}

/* MSI-X stands behind another capability, as it may. */
static void config_make(unsigned char config[256], unsigned n_vectors)
{
    memset(config, 0, 256);
    if (n_vectors != 0) {
        config[6] = 0x10;
        config[0x34] = 0x50;
        config[0x50] = VENDOR;
        config[0x51] = 0x40;
        config[0x40] = MSIX;
        config[0x42] = (unsigned char)(n_vectors - 1);
        config[0x43] = 0x80; /* enabled: not part of the number */
    }
}

static void device_make(const struct made *made)
{
    unsigned char config[256];
    char resource[256];
    put_number(made->slot, "vendor", 0x1af4);
    put_number(made->slot, "device", 0x1110);
    put_number(made->slot, "subsystem_vendor", made->subsystem_vendor);
    put_number(made->slot, "subsystem_device", made->subsystem_id);
    put(made->slot, "enable", "1\n");
    (void)snprintf(resource, sizeof(resource),
                   "0x00000000c0000000 0x00000000c00000ff 0x0000000000040200\n"
                   "%s"
                   "0x0000004000000000 0x00000040001fffff 0x000000000014220c\n",
                   made->has_bar1 ? "0x00000000c0001000 0x00000000c0001fff 0x0000000000040200\n"
                                  : "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
    put(made->slot, "resource", resource);
    put(made->slot, "resource2", "");
    config_make(config, made->n_vectors);
    put_config(made->slot, config, sizeof(config));
    char path[192];
    char room[256];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", made->slot);
    REQUIRE(truncate(tree_path(path, room, sizeof(room)), LEN) == 0);
}

static const struct made qemu_plain = {"0000:00:03.0", false, 0, 0x1af4, 0x1100};
static const struct made qemu_doorbell = {"0000:00:04.0", true, 4, 0x1af4, 0x1100};
static const struct made acrn_model = {"0000:00:05.0", true, 0, 0, 0};
static const struct made acrn_hypervisor = {"0000:00:06.0", true, N_VECTORS, 0x8086, 1};

static void device_of(const char *slot, struct crossvm_ivshmem_device *device)
{
    struct crossvm_ivshmem_device devices[16];
    uint32_t total;
    REQUIRE(crossvm_ivshmem_pci_list(devices, 16, &total) == CROSSVM_OK);
    uint32_t at = 0;
    while (at < total && at < 16 && strcmp(devices[at].slot, slot) != 0) {
        at++;
    }
    REQUIRE(at < total && at < 16);
    *device = devices[at];
}

static void check_doorbell(const char *slot, bool doorbell, uint32_t n_vectors)
{
    struct crossvm_ivshmem_device device;
    device_of(slot, &device);
    CHECK_EQ(device.doorbell, doorbell);
    CHECK_EQ(device.n_vectors, n_vectors);
    CHECK_EQ(device.len, LEN);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

/* The device model's has the BAR for vectors, and none. */
static void vectors_are_known_by_the_capability(void)
{
    device_make(&qemu_plain);
    device_make(&qemu_doorbell);
    device_make(&acrn_model);
    device_make(&acrn_hypervisor);
    check_doorbell(qemu_plain.slot, false, 0);
    check_doorbell(qemu_doorbell.slot, true, 4);
    check_doorbell(acrn_model.slot, false, 0);
    check_doorbell(acrn_hypervisor.slot, true, N_VECTORS);
}

/* Who is not root is shown 64 bytes: then the BAR is all that there is to go by. */
static void without_the_capability_the_bar_is_believed(void)
{
    unsigned char config[256];
    config_make(config, N_VECTORS);
    device_make(&acrn_hypervisor);
    put_config(acrn_hypervisor.slot, config, 64);
    check_doorbell(acrn_hypervisor.slot, true, 0);
    device_make(&qemu_plain);
    put_config(qemu_plain.slot, config, 64);
    check_doorbell(qemu_plain.slot, false, 0);
}

static void check_list(unsigned status, unsigned first, unsigned next, bool doorbell)
{
    unsigned char config[256];
    config_make(config, N_VECTORS);
    config[6] = (unsigned char)status;
    config[0x34] = (unsigned char)first;
    config[0x51] = (unsigned char)next;
    put_config(acrn_hypervisor.slot, config, sizeof(config));
    check_doorbell(acrn_hypervisor.slot, doorbell, doorbell ? N_VECTORS : 0);
}

/* Nothing outside the 256 bytes is looked at, and a circle ends. */
static void a_list_of_capabilities_is_judged(void)
{
    device_make(&acrn_hypervisor);
    check_list(0x10, 0x50, 0x40, true);
    check_list(0x10, 0x53, 0x43, true); /* the lowest bits are reserved */
    check_list(0, 0x50, 0x40, false);
    check_list(0x10, 0, 0x40, false);
    check_list(0x10, 0x50, 0, false);
    check_list(0x10, 0x50, 0x50, false);
    check_list(0x10, 0x3c, 0x40, false);
    check_list(0x10, 0x50, 0xfc, false);
    check_list(0x10, 0xff, 0x40, false);
}

/* ---- regions --------------------------------------------------------------------------------- */

static void regions_make(void)
{
    for (unsigned i = 0; i < N_REGIONS; i++) {
        char at[16];
        struct made made = acrn_hypervisor;
        (void)snprintf(at, sizeof(at), "0000:00:%02x.0", 0x10 + (i * 5) % N_REGIONS);
        made.slot = at;
        made.subsystem_id = 0x100 + i;
        device_make(&made);
    }
}

static void each_region_is_found_by_its_id(void)
{
    struct crossvm_ivshmem_device device;
    regions_make();
    device_make(&qemu_plain);
    for (unsigned i = 0; i < N_REGIONS; i++) {
        char at[16];
        (void)snprintf(at, sizeof(at), "0000:00:%02x.0", 0x10 + (i * 5) % N_REGIONS);
        REQUIRE(crossvm_ivshmem_pci_find_acrn(&device, 0x100 + i) == CROSSVM_OK);
        CHECK(strcmp(device.slot, at) == 0);
        CHECK_EQ(device.subsystem_vendor, CROSSVM_IVSHMEM_ACRN);
        CHECK_EQ(device.subsystem_id, 0x100 + i);
        CHECK_EQ(device.n_vectors, N_VECTORS);
    }
    CHECK_EQ(crossvm_ivshmem_pci_find_acrn(&device, 0x100 + N_REGIONS), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_ivshmem_pci_find_acrn(&device, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_ivshmem_pci_find_acrn(&device, 0x10100), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_ivshmem_pci_find_acrn(&device, qemu_plain.subsystem_id), CROSSVM_NOT_FOUND);
}

/* Two that say the same: the first by slot, and that there are two. */
static void twins_are_told(void)
{
    struct crossvm_ivshmem_device device;
    struct made other = acrn_hypervisor;
    device_make(&acrn_hypervisor);
    other.slot = "0000:00:02.0";
    device_make(&other);
    CHECK_EQ(crossvm_ivshmem_pci_find_acrn(&device, 1), CROSSVM_EXISTS);
    CHECK(strcmp(device.slot, other.slot) == 0);
}

static void without_pci_there_is_nothing(void)
{
    struct crossvm_ivshmem_device device;
    CHECK_EQ(crossvm_ivshmem_pci_find_acrn(&device, 1), CROSSVM_SYSTEM);
    CHECK_EQ(errno, ENOENT);
}

/* Both ends of a region of the device model's: the second machine sees what the first publishes. */
static void a_snapshot_through_a_device_without_interrupts(void)
{
    static const struct crossvm_chunk_decl chunks[] = {
        {"state", CROSSVM_KIND_SNAPSHOT, 4, 8, PARTY_A, PARTY_B, 0, 0}};
    const struct crossvm_region_plan plan = TEST_PLAN(chunks, 1, 4, 0, 0, PARTY_A);
    struct crossvm_ivshmem_pci ends[2];
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[4];
    struct crossvm_region region;
    struct crossvm_snapshot_writer writer;
    struct crossvm_snapshot_reader reader;
    struct crossvm_snapshot_info info;
    device_make(&acrn_model);
    REQUIRE(crossvm_ivshmem_pci_open(&ends[0], acrn_model.slot, CROSSVM_READ_WRITE) == CROSSVM_OK);
    REQUIRE(crossvm_ivshmem_pci_open(&ends[1], acrn_model.slot, CROSSVM_READ_ONLY) == CROSSVM_OK);
    CHECK_EQ(ends[0].mapping.len, LEN);
    REQUIRE(crossvm_region_owner_format(&owner, &ends[0].mapping, &plan, table, 4) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&region, &ends[1].mapping, PARTY_B) == CROSSVM_OK);
    struct crossvm_chunk chunk = test_find(&region, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &owner.region, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&reader, &region, &chunk) == CROSSVM_OK);
    for (uint64_t i = 1; i < 100; i++) {
        uint64_t seen = 0;
        REQUIRE(crossvm_snapshot_writer_publish(&writer, &i, sizeof(i), 0, 0) == CROSSVM_OK);
        REQUIRE(crossvm_snapshot_reader_read(&reader, &seen, sizeof(seen), &info) == 1);
        CHECK_EQ(seen, i);
    }
    crossvm_ivshmem_pci_close(&ends[0]);
    crossvm_ivshmem_pci_close(&ends[1]);
}

#define CASE_IN_TREE(function) \
    do {                       \
        tree_make();           \
        CASE(function);        \
        tree_drop();           \
    } while (0)

int main(void)
{
    CASE_IN_TREE(vectors_are_known_by_the_capability);
    CASE_IN_TREE(without_the_capability_the_bar_is_believed);
    CASE_IN_TREE(a_list_of_capabilities_is_judged);
    CASE_IN_TREE(each_region_is_found_by_its_id);
    CASE_IN_TREE(twins_are_told);
    CASE_IN_TREE(without_pci_there_is_nothing);
    CASE_IN_TREE(a_snapshot_through_a_device_without_interrupts);
    return check_done();
}
