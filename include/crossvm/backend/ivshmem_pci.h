/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_pci.h - QEMU's ivshmem device in a Linux guest, by the files that the
 * kernel shows of it: no driver, no interrupts. ACRN's has the same registers.
 *
 * Layer 6, on posix.h and notify.h. Roles: whoever may open the device's files (root, usually).
 *
 * Registers of the device (BAR0), 32 bits each, little-endian (QEMU, docs/specs/ivshmem-spec.rst):
 *
 *   offset  name        meaning
 *   8       IVPosition  own id, read; 0 also where there is no server
 *   12      Doorbell    vector in the low 16 bits, the peer's id in the high ones, written
 *
 * The shared memory is BAR2. Nobody can tell from the device whether it may be written: a write to
 * memory that the hypervisor keeps read-only is lost without a sign. So the access is what the
 * caller says, and a mapping for reading is never written.
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_PCI_H
#define CROSSVM_BACKEND_IVSHMEM_PCI_H

#include "posix.h"

#include "../notify.h"

#include <dirent.h>

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_IVSHMEM_SLOT_LEN 16u /* room for "0000:00:03.0" and more */

/* A device of this machine. */
struct crossvm_ivshmem_device {
    char slot[CROSSVM_IVSHMEM_SLOT_LEN]; /* where it is plugged in */
    uint64_t len;                        /* bytes of its memory */
    bool doorbell;                       /* it has vectors (ivshmem-doorbell) */
};

/* A device in use. */
struct crossvm_ivshmem_pci {
    struct crossvm_mapping mapping; /* the shared memory */
    volatile uint32_t *registers;   /* BAR0; NULL = could not be mapped */
};

/* ---- the kernel's files -------------------------------------------------------------------- */

/* Opens a file of a device's. 0 and up; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_pci_open_file(const char *slot, const char *name, int flags)
{
    static const char folder[] = "/sys/bus/pci/devices/";
    char path[sizeof(folder) + CROSSVM_IVSHMEM_SLOT_LEN + 32];
    size_t slot_len = __builtin_strlen(slot);
    size_t name_len = __builtin_strlen(name);
    char *at = path;
    if (slot_len >= CROSSVM_IVSHMEM_SLOT_LEN || name_len > 30) {
        errno = ENAMETOOLONG;
        return CROSSVM_SYSTEM;
    }
    __builtin_memcpy(at, folder, sizeof(folder) - 1);
    at += sizeof(folder) - 1;
    __builtin_memcpy(at, slot, slot_len);
    at += slot_len;
    *at++ = '/';
    __builtin_memcpy(at, name, name_len + 1);
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
        devices[i].doorbell = crossvm_i_ivshmem_pci_bar(slot, 1) != 0;
    }
}

/* Lists the ivshmem devices of this machine, by slot. devices: room for n; total: how many there
 * are. Role: anyone. OK; SYSTEM with errno (ENOENT: no PCI). */
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
                                             enum crossvm_mapping_access access)
{
    int flags = access == CROSSVM_READ_WRITE ? O_RDWR : O_RDONLY;
    int fd = crossvm_i_ivshmem_pci_open_file(slot, "resource2_wc", flags);
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

CROSSVM_INLINE void crossvm_i_ivshmem_pci_map_registers(struct crossvm_ivshmem_pci *pci,
                                                        const char *slot)
{
    int fd = crossvm_i_ivshmem_pci_open_file(slot, "resource0", O_RDWR);
    if (fd < 0) {
        return;
    }
    void *base = mmap(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    crossvm_i_posix_close(fd);
    pci->registers = base == MAP_FAILED ? NULL : (volatile uint32_t *)base;
}

/* Gives a device up. Safe to call twice. */
CROSSVM_INLINE void crossvm_ivshmem_pci_close(struct crossvm_ivshmem_pci *pci)
{
    crossvm_i_posix_unmap(&pci->mapping);
    if (pci->registers != NULL) {
        (void)munmap((void *)(uintptr_t)pci->registers, 256);
        pci->registers = NULL;
    }
}

/* Maps a device's memory, and its registers if they may be had. slot: as the list says it. access:
 * what the hypervisor allows, which the device does not say. Role: anyone. OK; INVALID no ivshmem
 * device is there; SYSTEM with errno (EACCES: not root). Unless OK nothing is mapped. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_pci_open(struct crossvm_ivshmem_pci *pci,
                                                              const char *slot,
                                                              enum crossvm_mapping_access access)
{
    __builtin_memset(pci, 0, sizeof(*pci));
    if (!crossvm_i_ivshmem_pci_is_one(slot)) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_ivshmem_pci_enable(slot);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_pci_map(&pci->mapping, slot, access);
    }
    if (status == CROSSVM_OK) {
        crossvm_i_ivshmem_pci_map_registers(pci, slot);
    }
    return status;
}

/* The device's own id, which peers ring it by; 0 also without a server or registers. */
CROSSVM_INLINE uint32_t crossvm_ivshmem_pci_id(const struct crossvm_ivshmem_pci *pci)
{
    return pci->registers == NULL ? 0 : pci->registers[2];
}

CROSSVM_EXTERN_C_END

#endif
