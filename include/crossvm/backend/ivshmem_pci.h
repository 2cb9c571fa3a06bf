/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_pci.h - QEMU's ivshmem device in a Linux guest, by the files that the
 * kernel shows of it: no driver, no interrupts. ACRN's has the same registers.
 *
 * Layer 6, on examine.h. Roles: whoever may open the device's files (root, usually). A notify for
 * it is polling (notify.h).
 *
 * Registers of the device (BAR0), 32 bits each, little-endian (QEMU, docs/specs/ivshmem-spec.rst):
 *
 *   offset  name        meaning
 *   8       IVPosition  own id, read; 0 also where there is no server
 *   12      Doorbell    vector in the low 16 bits, the peer's id in the high ones, written
 *
 * On ACRN IVPosition is the VM's id, of which 0 is one: there it is this machine's if the device
 * has vectors, and means nothing if it has none.
 *
 * The shared memory is BAR2. There are vectors if the device has the capability MSI-X: ACRN's
 * device model gives a device a BAR1 and no interrupts. Devices look alike: they are told apart by
 * their slots, which the hypervisor's configuration says, or by the region in their memory. The
 * device does not say whether its memory may be written: the access is the caller's to say. A
 * mapping for reading is never written; one for writing is tried (examine.h).
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_PCI_H
#define CROSSVM_BACKEND_IVSHMEM_PCI_H

#include "examine.h"

#include <dirent.h>

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_IVSHMEM_SLOT_LEN 16u /* room for "0000:00:03.0" and more */
#define CROSSVM_IVSHMEM_DEVICES  64u /* that are looked at in one machine */

#define CROSSVM_IVSHMEM_ACRN 0x8086u /* the subsystem vendor of ACRN's devices with a region id */

/* A device of this machine. */
struct crossvm_ivshmem_device {
    char slot[CROSSVM_IVSHMEM_SLOT_LEN]; /* where it is plugged in */
    uint64_t len;                        /* bytes of its memory */
    bool doorbell;                       /* it has vectors (ivshmem-doorbell) */
    uint32_t n_vectors;                  /* how many; 0 = none, or unknown to who is not root */
    uint32_t subsystem_vendor;           /* of PCI: 0x1af4 QEMU's, 0x8086 ACRN's */
    uint32_t subsystem_id;               /* ACRN: the region's id in its configuration */
};

/* A device in use. */
struct crossvm_ivshmem_pci {
    struct crossvm_mapping mapping;         /* the shared memory */
    struct crossvm_examination examination; /* what it was found to be */
};

/* Registers, bytes from BAR0's base. */
#define CROSSVM_IVSHMEM_POSITION 8u  /* own id */
#define CROSSVM_IVSHMEM_DOORBELL 12u /* rings */

/* ---- the kernel's files -------------------------------------------------------------------- */

#define CROSSVM_I_IVSHMEM_FILE 64u /* room for a file's name below a device's folder */

/* Opens a file of a device's. 0 and up; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_open_file(const char *slot, const char *name, int flags)
{
    char path[64 + CROSSVM_IVSHMEM_SLOT_LEN + CROSSVM_I_IVSHMEM_FILE];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/%.63s", slot, name);
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? CROSSVM_SYSTEM : fd;
}

/* The start of a file as a text, empty if there is none. */
CROSSVM_INLINE void crossvm_i_ivshmem_pci_text(const char *slot, const char *name, char *text,
                                               size_t room)
{
    ssize_t len = 0;
    int fd = crossvm_i_ivshmem_pci_open_file(slot, name, O_RDONLY);
    if (fd >= 0) {
        len = read(fd, text, room - 1);
        crossvm_i_posix_close(fd);
    }
    text[len < 0 ? 0 : len] = '\0';
}

/* The hexadecimal number at a text, which then begins behind it and the blank that follows. */
CROSSVM_INLINE uint64_t crossvm_i_ivshmem_pci_number(const char **text)
{
    const char *at = *text;
    uint64_t number = 0;
    if (at[0] == '0' && at[1] == 'x') {
        at += 2;
    }
    for (; (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f'); at++) {
        unsigned digit = *at <= '9' ? (unsigned)(*at - '0') : (unsigned)(*at - 'a') + 10;
        number = number << 4 | digit;
    }
    *text = *at == ' ' || *at == '\n' ? at + 1 : at;
    return number;
}

/* Whether a file holds this number alone. */
CROSSVM_INLINE bool crossvm_i_ivshmem_pci_says(const char *slot, const char *name, uint64_t number)
{
    char text[32];
    const char *at = text;
    crossvm_i_ivshmem_pci_text(slot, name, text, sizeof(text));
    return text[0] != '\0' && crossvm_i_ivshmem_pci_number(&at) == number;
}

/* How long a device's BAR is, 0 for none: the kernel has a line "start end flags" for each. */
CROSSVM_INLINE uint64_t crossvm_i_ivshmem_pci_bar(const char *slot, unsigned bar)
{
    char text[1024];
    const char *at = text;
    crossvm_i_ivshmem_pci_text(slot, "resource", text, sizeof(text));
    for (unsigned i = 0; *at != '\0'; i++) {
        uint64_t start = crossvm_i_ivshmem_pci_number(&at);
        uint64_t end = crossvm_i_ivshmem_pci_number(&at);
        (void)crossvm_i_ivshmem_pci_number(&at);
        if (i == bar) {
            return end > start ? end - start + 1 : 0;
        }
    }
    return 0;
}

/* The number that a file holds alone, 0 if there is none. */
CROSSVM_INLINE uint32_t crossvm_i_ivshmem_pci_value(const char *slot, const char *name)
{
    char text[32];
    const char *at = text;
    crossvm_i_ivshmem_pci_text(slot, name, text, sizeof(text));
    return (uint32_t)crossvm_i_ivshmem_pci_number(&at);
}

/* How many vectors the capability MSI-X (id 11h) says, 0 without it. Who is not root is shown the
 * first 64 bytes alone, which no capability lies in: NOT_FOUND. Each capability takes 4 bytes at
 * least, so that a list that is longer than 48 is a circle. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_vectors(const char *slot)
{
    unsigned char config[256];
    ssize_t len = 0;
    int fd = crossvm_i_ivshmem_pci_open_file(slot, "config", O_RDONLY);
    if (fd >= 0) {
        len = read(fd, config, sizeof(config));
        crossvm_i_posix_close(fd);
    }
    if (len != (ssize_t)sizeof(config)) {
        return CROSSVM_NOT_FOUND;
    }
    unsigned at = (config[6] & 0x10) != 0 ? config[0x34] & 0xfcu : 0;
    for (unsigned i = 0; i < 48 && at >= 64; i++) {
        if (config[at] == 0x11) {
            return ((config[at + 2] | config[at + 3] << 8) & 0x7ff) + 1;
        }
        at = config[at + 1] & 0xfcu;
    }
    return 0;
}

/* ---- devices ------------------------------------------------------------------------------- */

CROSSVM_INLINE bool crossvm_i_ivshmem_pci_is_one(const char *slot)
{
    return __builtin_strlen(slot) < CROSSVM_IVSHMEM_SLOT_LEN && slot[0] != '.' &&
           crossvm_i_ivshmem_pci_says(slot, "vendor", 0x1af4) &&
           crossvm_i_ivshmem_pci_says(slot, "device", 0x1110);
}

/* Puts a device among the others, by its slot; what has no room is left out. */
CROSSVM_INLINE void crossvm_i_ivshmem_pci_enter(struct crossvm_ivshmem_device *devices, uint32_t n,
                                                uint32_t n_before, const char *slot)
{
    uint32_t i = n_before < n ? n_before : n;
    while (i > 0 && __builtin_strcmp(devices[i - 1].slot, slot) > 0) {
        if (i < n) {
            devices[i] = devices[i - 1];
        }
        i--;
    }
    if (i < n) {
        __builtin_memset(&devices[i], 0, sizeof(devices[i]));
        __builtin_memcpy(devices[i].slot, slot, __builtin_strlen(slot));
        devices[i].len = crossvm_i_ivshmem_pci_bar(slot, 2);
        int n_vectors = crossvm_i_ivshmem_pci_vectors(slot);
        devices[i].doorbell = crossvm_i_ivshmem_pci_bar(slot, 1) != 0 && n_vectors != 0;
        devices[i].n_vectors = devices[i].doorbell && n_vectors > 0 ? (uint32_t)n_vectors : 0;
        devices[i].subsystem_vendor = crossvm_i_ivshmem_pci_value(slot, "subsystem_vendor");
        devices[i].subsystem_id = crossvm_i_ivshmem_pci_value(slot, "subsystem_device");
    }
}

/* Lists the ivshmem devices of this machine, by slot. n: how many there is room for. total: how
 * many there are. Role: anyone. OK; SYSTEM with errno (ENOENT: no PCI). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_pci_list(
    struct crossvm_ivshmem_device *devices, uint32_t n, uint32_t *total)
{
    DIR *folder = opendir("/sys/bus/pci/devices");
    struct dirent *entry;
    *total = 0;
    if (folder == NULL) {
        return CROSSVM_SYSTEM;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (crossvm_i_ivshmem_pci_is_one(entry->d_name)) {
            crossvm_i_ivshmem_pci_enter(devices, n, *total, entry->d_name);
            (*total)++;
        }
    }
    (void)closedir(folder);
    return CROSSVM_OK;
}

/* Lets the device answer accesses to its memory. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_enable(const char *slot)
{
    int fd = crossvm_i_ivshmem_pci_open_file(slot, "enable", O_WRONLY);
    if (fd < 0) {
        return CROSSVM_SYSTEM;
    }
    ssize_t len = crossvm_i_ivshmem_pci_says(slot, "enable", 0) ? write(fd, "1", 1) : 1;
    crossvm_i_posix_close(fd);
    return len == 1 ? CROSSVM_OK : CROSSVM_SYSTEM;
}

/* Maps the memory: through the file for write-combining where there is one, for on some hosts the
 * other one is uncached (docs/MANUAL.md). OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_map(struct crossvm_mapping *mapping, const char *slot,
                                             enum crossvm_mapping_access access,
                                             enum crossvm_memory *asked)
{
    int flags = access == CROSSVM_READ_WRITE ? O_RDWR : O_RDONLY;
    int fd = crossvm_i_ivshmem_pci_open_file(slot, "resource2_wc", flags);
    *asked = fd < 0 ? CROSSVM_UNCACHED : CROSSVM_WRITE_COMBINING;
    if (fd < 0) {
        fd = crossvm_i_ivshmem_pci_open_file(slot, "resource2", flags);
    }
    if (fd < 0) {
        return CROSSVM_SYSTEM;
    }
    int status = crossvm_i_posix_map(mapping, fd, crossvm_i_ivshmem_pci_bar(slot, 2), access);
    crossvm_i_posix_close(fd);
    return status;
}

/* ---- in use -------------------------------------------------------------------------------- */

/* Gives a device up. Safe to call twice. */
CROSSVM_INLINE void crossvm_ivshmem_pci_close(struct crossvm_ivshmem_pci *pci)
{
    crossvm_i_posix_unmap(&pci->mapping);
}

/* What is plugged in at a slot. OK; NOT_FOUND nothing; TYPE another device. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_judge(const char *slot)
{
    char text[32];
    crossvm_i_ivshmem_pci_text(slot, "vendor", text, sizeof(text));
    if (text[0] == '\0') {
        return CROSSVM_NOT_FOUND;
    }
    return crossvm_i_ivshmem_pci_is_one(slot) ? CROSSVM_OK : CROSSVM_TYPE;
}

/* Maps a device's memory and examines it. slot: as the list says it. access: what the hypervisor
 * allows, which the device does not say. Role: anyone. Takes about a millisecond.
 * OK; NOT_FOUND no device is there; TYPE it is no ivshmem device; NO_SPACE its memory is too short
 * for a region; MISALIGNED, ROLE as crossvm_mapping_examine; SYSTEM with errno (EACCES: not root;
 * EBUSY, EPERM, EINVAL: a driver has taken it). Unless OK nothing is mapped; the examination
 * stays. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_pci_open(struct crossvm_ivshmem_pci *pci,
                                                              const char *slot,
                                                              enum crossvm_mapping_access access)
{
    enum crossvm_memory asked = CROSSVM_UNCACHED;
    __builtin_memset(pci, 0, sizeof(*pci));
    int status = crossvm_i_ivshmem_pci_judge(slot);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_pci_enable(slot);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_pci_map(&pci->mapping, slot, access, &asked);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_mapping_examine(&pci->mapping, asked, &pci->examination);
    }
    if (status != CROSSVM_OK) {
        int error = errno;
        crossvm_ivshmem_pci_close(pci);
        errno = error;
    }
    return status;
}

/* Whether the region in a device's memory is the one that bears an id. A device that cannot be
 * looked at, or has no region, is another one. */
CROSSVM_INLINE bool crossvm_i_ivshmem_pci_bears(const struct crossvm_ivshmem_device *device,
                                                const void *region_id)
{
    struct crossvm_ivshmem_pci pci;
    struct crossvm_region region;
    bool bears = false;
    if (crossvm_ivshmem_pci_open(&pci, device->slot, CROSSVM_READ_ONLY) != CROSSVM_OK) {
        return false;
    }
    if (crossvm_region_attach(&region, &pci.mapping, 0) == CROSSVM_OK) {
        bears = __builtin_memcmp(region.region_id, region_id, sizeof(region.region_id)) == 0;
    }
    crossvm_ivshmem_pci_close(&pci);
    return bears;
}

/* The one device that has a key. OK; NOT_FOUND; EXISTS more than one, then the first; SYSTEM. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_pick(
    struct crossvm_ivshmem_device *device,
    bool (*has)(const struct crossvm_ivshmem_device *device, const void *key), const void *key)
{
    struct crossvm_ivshmem_device devices[CROSSVM_IVSHMEM_DEVICES];
    uint32_t total;
    uint32_t n_found = 0;
    int status = crossvm_ivshmem_pci_list(devices, CROSSVM_IVSHMEM_DEVICES, &total);
    if (status != CROSSVM_OK) {
        return status;
    }
    total = total < CROSSVM_IVSHMEM_DEVICES ? total : CROSSVM_IVSHMEM_DEVICES;
    for (uint32_t i = 0; i < total; i++) {
        if (!has(&devices[i], key)) {
            continue;
        }
        if (n_found == 0) {
            *device = devices[i];
        }
        n_found++;
    }
    if (n_found == 0) {
        return CROSSVM_NOT_FOUND;
    }
    return n_found == 1 ? CROSSVM_OK : CROSSVM_EXISTS;
}

/* Finds the device whose memory has the region with this id, among CROSSVM_IVSHMEM_DEVICES. One
 * that crossvm_ivshmem_pci_open or crossvm_region_attach refuses is passed over.
 * device: set if OK or EXISTS, then the first one. region_id: 4 words, as struct crossvm_region
 * has them.
 * Role: anyone. Takes about a millisecond a device. Trust: an id says who claims to be it; which
 * slot a peer has is the hypervisor's to say. OK; NOT_FOUND; EXISTS more than one bear it; SYSTEM
 * with errno (ENOENT: no PCI). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_pci_find(struct crossvm_ivshmem_device *device,
                                                              const uint32_t *region_id)
{
    return crossvm_i_ivshmem_pci_pick(device, crossvm_i_ivshmem_pci_bears, region_id);
}

CROSSVM_INLINE bool crossvm_i_ivshmem_pci_is_acrn(const struct crossvm_ivshmem_device *device,
                                                  const void *region)
{
    return device->subsystem_vendor == CROSSVM_IVSHMEM_ACRN &&
           device->subsystem_id == *(const uint32_t *)region;
}

/* Finds the device of a shared region of ACRN's by the id that its configuration gives the region:
 * before anything is formatted in it, and wherever it is plugged in. Among CROSSVM_IVSHMEM_DEVICES.
 * device: set if OK or EXISTS, then the first one. region: up to 0xffff; not the id of a region of
 * this library's. Role: anyone. Nothing is opened but the kernel's files about the device. Trust:
 * the hypervisor's word. OK; NOT_FOUND; EXISTS more than one have it; SYSTEM with errno (ENOENT: no
 * PCI). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_pci_find_acrn(
    struct crossvm_ivshmem_device *device, uint32_t region)
{
    return crossvm_i_ivshmem_pci_pick(device, crossvm_i_ivshmem_pci_is_acrn, &region);
}

CROSSVM_EXTERN_C_END

#endif
