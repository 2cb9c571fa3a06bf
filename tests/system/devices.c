/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/devices.c - what the library says of devices, right ones and wrong ones.
 *
 *   devices list                   the ivshmem devices of this machine
 *   devices open SLOT read|write   opens, examines, attaches
 *   devices find ID                which device bears a region's id (its first byte)
 *   devices format WHERE ID LEN    formats a region of at least LEN bytes, with a snapshot of "ID"
 *   devices read SLOT              reads that snapshot
 *   devices scribble SLOT          maps a device's file past the library and writes all of it
 *   devices registers SLOT         examines the page of the registers, which are no memory
 *   devices vfio|uio SLOT          opens through a driver that may not be there
 */
#include "system.h"

#define OWNER 1u

static void say(const char *what, int status)
{
    printf("%s: %s\n", what, crossvm_status_name(status));
}

static void say_examination(const struct crossvm_examination *examination)
{
    char text[CROSSVM_EXAMINATION_LEN];
    crossvm_examination_text(examination, text, sizeof(text));
    printf("examined: %s\n", text);
}

static void list(void)
{
    struct crossvm_ivshmem_device devices[8];
    uint32_t total;
    must(crossvm_ivshmem_pci_list(devices, 8, &total), "list");
    printf("%u devices\n", (unsigned)total);
    for (uint32_t i = 0; i < total && i < 8; i++) {
        printf("device %s %u", devices[i].slot, (unsigned)devices[i].len);
        if (devices[i].doorbell) {
            printf(" doorbell, %u vectors", (unsigned)devices[i].n_vectors);
        }
        printf("\n");
    }
}

/* What the kernel says of a mapping: r--s can be read alone, so that a write would be a fault. */
static void say_rights(const void *base)
{
    char line[256];
    char start[32];
    FILE *maps = fopen("/proc/self/maps", "re");
    int len = snprintf(start, sizeof(start), "%" PRIxPTR "-", (uintptr_t)base);
    if (maps == NULL) {
        give_up("/proc/self/maps: %s", strerror(errno));
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        const char *rights = strchr(line, ' ');
        if (strncmp(line, start, (size_t)len) == 0 && rights != NULL) {
            printf("mapped: %.4s\n", rights + 1);
        }
    }
    (void)fclose(maps);
}

static void open_and_attach(const char *slot, enum crossvm_mapping_access access)
{
    struct crossvm_ivshmem_pci pci;
    struct crossvm_region region;
    int status = crossvm_ivshmem_pci_open(&pci, slot, access);
    say("open", status);
    if (status == CROSSVM_OK || status == CROSSVM_ROLE) {
        say_examination(&pci.examination);
    }
    if (status == CROSSVM_OK) {
        say_rights(pci.mapping.base);
        say("attach", crossvm_region_attach(&region, &pci.mapping, OWNER + 1));
    }
    crossvm_ivshmem_pci_close(&pci);
}

static void find(uint32_t id)
{
    struct crossvm_ivshmem_device device = {"none", 0, false, 0, 0, 0};
    const uint32_t region_id[4] = {id, 0, 0, 0};
    int status = crossvm_ivshmem_pci_find(&device, region_id);
    printf("found %s: %s\n", device.slot, crossvm_status_name(status));
}

static struct crossvm_chunk_decl state_decl(uint32_t len)
{
    const struct crossvm_chunk_decl decl = {"state", CROSSVM_KIND_SNAPSHOT, 4, len,
                                            OWNER,   CROSSVM_ANYONE,        0, 0};
    return decl;
}

static void format(const char *where, uint32_t id, uint32_t len)
{
    const struct crossvm_chunk_decl decl = state_decl(len);
    struct crossvm_region_owner owner;
    struct crossvm_snapshot_writer writer;
    struct crossvm_region_plan plan;
    struct crossvm_chunk chunk;
    struct place place;
    memset(&plan, 0, sizeof(plan));
    plan.chunks = &decl;
    plan.n_chunks = 1;
    plan.owner = OWNER;
    plan.region_id[0] = (uint8_t)id;
    must(place_open(&place, where, CROSSVM_READ_WRITE), where);
    int status = crossvm_region_owner_format(&owner, &place.mapping, &plan, &chunk, 1);
    say("format", status);
    if (status == CROSSVM_OK) {
        must(crossvm_snapshot_writer_open(&writer, &owner.region, &chunk), "writer");
        must(crossvm_snapshot_writer_publish(&writer, &id, sizeof(id), 0, 0), "publish");
    }
}

static void read_state(const char *slot)
{
    struct crossvm_ivshmem_pci pci;
    struct crossvm_region region;
    struct crossvm_chunk chunk;
    struct crossvm_snapshot_reader reader;
    uint32_t id = 0;
    must(crossvm_ivshmem_pci_open(&pci, slot, CROSSVM_READ_ONLY), slot);
    must(crossvm_region_attach(&region, &pci.mapping, OWNER + 1), "attach");
    must(crossvm_region_find(&region, "state", CROSSVM_KIND_SNAPSHOT, 0, &chunk), "state");
    must(crossvm_snapshot_reader_open(&reader, &region, &chunk), "reader");
    must(crossvm_snapshot_reader_read(&reader, &id, sizeof(id), NULL), "read");
    printf("read %u\n", (unsigned)id);
}

/* What a hostile program would do, which has the device's file and not this library. */
static void scribble(const char *slot)
{
    char path[128];
    struct stat stat;
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", slot);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        give_up("%s: %s", path, strerror(errno));
    }
    size_t len = (size_t)stat.st_size;
    volatile unsigned char *base =
        (volatile unsigned char *)mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        give_up("%s: mmap: %s", path, strerror(errno));
    }
    for (size_t i = 0; i < len; i++) {
        base[i] = 0xa5;
    }
    size_t n_changed = 0;
    for (size_t i = 0; i < len; i++) {
        n_changed += base[i] == 0xa5;
    }
    printf("scribbled %zu bytes, %zu read as written\n", len, n_changed);
}

static void examine_registers(const char *slot)
{
    struct crossvm_mapping mapping;
    struct crossvm_examination examination;
    char path[128];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", slot);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    mapping.base = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    mapping.len = 4096;
    mapping.access = CROSSVM_READ_ONLY;
    if (fd < 0 || mapping.base == MAP_FAILED) {
        give_up("%s: %s", path, strerror(errno));
    }
    say("examine", crossvm_mapping_examine(&mapping, CROSSVM_UNCACHED, &examination));
    say_examination(&examination);
    say("examine as write-combining",
        crossvm_mapping_examine(&mapping, CROSSVM_WRITE_COMBINING, &examination));
    say_examination(&examination);
}

static void open_driver(const char *driver, const char *slot)
{
    static struct crossvm_ivshmem_vfio vfio;
    static struct crossvm_ivshmem_uio uio;
    int own[1];
    int status = strcmp(driver, "vfio") == 0
                     ? crossvm_ivshmem_vfio_open(&vfio, slot, CROSSVM_READ_ONLY, own, 1)
                     : crossvm_ivshmem_uio_open(&uio, slot, CROSSVM_READ_ONLY, own, 1);
    printf("%s %s: %s\n", driver, slot, crossvm_status_name(status));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *where = argc > 2 ? argv[2] : "";
    if (strcmp(what, "list") == 0) {
        list();
    } else if (strcmp(what, "open") == 0 && argc == 4) {
        open_and_attach(where, argv[3][0] == 'w' ? CROSSVM_READ_WRITE : CROSSVM_READ_ONLY);
    } else if (strcmp(what, "find") == 0 && argc == 3) {
        find((uint32_t)atoi(where));
    } else if (strcmp(what, "format") == 0 && argc == 5) {
        format(where, (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]));
    } else if (strcmp(what, "read") == 0 && argc == 3) {
        read_state(where);
    } else if (strcmp(what, "scribble") == 0 && argc == 3) {
        scribble(where);
    } else if (strcmp(what, "registers") == 0 && argc == 3) {
        examine_registers(where);
    } else if ((strcmp(what, "vfio") == 0 || strcmp(what, "uio") == 0) && argc == 3) {
        open_driver(what, where);
    } else {
        fprintf(stderr, "usage: see the first comment of devices.c\n");
        return 2;
    }
    return 0;
}
