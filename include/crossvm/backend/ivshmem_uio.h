/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_uio.h - QEMU's ivshmem device in a Linux guest through the project's UIO
 * driver (tools/uio): memory and interrupts, without an IOMMU, and without being root if the files
 * /dev/uioN may be opened.
 *
 * Layer 6, on ivshmem_pci.h and notify.h. Roles: whoever may open the files. No shared
 * bytes of its own; registers and memory: ivshmem_pci.h.
 *
 * The driver makes one UIO device for each vector, called "crossvm_ivshmem.K", below the PCI
 * device. Its file counts the vector's interrupts and polls readable; its map 0 is the page of the
 * registers, map 1 the memory. Whoever may open it can also write what else lies in that page, were
 * it another device's registers. Source: Linux, Documentation/driver-api/uio-howto.rst.
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_UIO_H
#define CROSSVM_BACKEND_IVSHMEM_UIO_H

#include "ivshmem_pci.h"

#include "../notify.h"

CROSSVM_EXTERN_C_BEGIN

/* A device in use. */
struct crossvm_ivshmem_uio {
    struct crossvm_mapping mapping;         /* the shared memory */
    struct crossvm_examination examination; /* what it was found to be */
    struct crossvm_mapping registers;       /* the page that they lie in */
    uint32_t registers_off;                 /* in that page */
    uint32_t id;                            /* own id, which peers ring it by */
    int *own;                               /* the caller's: the file of each own vector */
    uint32_t n_own;                         /* their number */
};

/* ---- the kernel's files -------------------------------------------------------------------- */

/* Whether a UIO device of this slot is the one of a vector. */
CROSSVM_INLINE bool crossvm_i_ivshmem_uio_is(const char *slot, const char *uio, uint32_t vector)
{
    char file[CROSSVM_I_IVSHMEM_FILE];
    char text[64];
    char wanted[32];
    (void)snprintf(file, sizeof(file), "uio/%.15s/name", uio);
    (void)snprintf(wanted, sizeof(wanted), "crossvm_ivshmem.%u\n", (unsigned)vector);
    crossvm_i_ivshmem_pci_text(slot, file, text, sizeof(text));
    return __builtin_strcmp(text, wanted) == 0;
}

/* The UIO device of a vector, as "uioN". OK; NOT_FOUND. */
CROSSVM_INLINE int crossvm_i_ivshmem_uio_find(const char *slot, uint32_t vector, char uio[16])
{
    char path[64];
    struct dirent *entry;
    int status = CROSSVM_NOT_FOUND;
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/uio", slot);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return status;
    }
    while (status != CROSSVM_OK && (entry = readdir(folder)) != NULL) {
        if (crossvm_i_ivshmem_uio_is(slot, entry->d_name, vector)) {
            (void)snprintf(uio, 16, "%.15s", entry->d_name);
            status = CROSSVM_OK;
        }
    }
    (void)closedir(folder);
    return status;
}

/* A number that the kernel says of a map. */
CROSSVM_INLINE uint64_t crossvm_i_ivshmem_uio_map_says(const char *slot, const char *uio,
                                                       unsigned map, const char *what)
{
    char file[CROSSVM_I_IVSHMEM_FILE];
    char text[32];
    const char *at = text;
    (void)snprintf(file, sizeof(file), "uio/%.15s/maps/map%u/%.10s", uio, map, what);
    crossvm_i_ivshmem_pci_text(slot, file, text, sizeof(text));
    return crossvm_i_ivshmem_pci_number(&at);
}

/* ---- the device ---------------------------------------------------------------------------- */

/* Opens the file of each own vector. OK; NOT_FOUND the driver has fewer; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_uio_listen(struct crossvm_ivshmem_uio *uio, const char *slot,
                                                uint32_t n_own)
{
    char name[16];
    char path[32];
    for (uint32_t i = 0; i < n_own; i++) {
        int status = crossvm_i_ivshmem_uio_find(slot, i, name);
        if (status != CROSSVM_OK) {
            return status;
        }
        (void)snprintf(path, sizeof(path), "/dev/%s", name);
        int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
            return CROSSVM_SYSTEM;
        }
        uio->own[i] = fd;
        uio->n_own++;
    }
    return CROSSVM_OK;
}

/* Registers and memory, through the first vector's file. A map's number is its offset, in pages. */
CROSSVM_INLINE int crossvm_i_ivshmem_uio_map(struct crossvm_ivshmem_uio *uio, const char *slot,
                                             enum crossvm_mapping_access access)
{
    char name[16];
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int status = crossvm_i_ivshmem_uio_find(slot, 0, name);
    if (status == CROSSVM_OK) {
        status = crossvm_i_posix_map(&uio->registers, uio->own[0], page, CROSSVM_READ_WRITE);
    }
    if (status == CROSSVM_OK) {
        uint64_t off = crossvm_i_ivshmem_uio_map_says(slot, name, 0, "offset");
        uint64_t len = crossvm_i_ivshmem_uio_map_says(slot, name, 1, "size");
        uio->registers_off = (uint32_t)(off % page);
        status = crossvm_i_posix_map_at(&uio->mapping, uio->own[0], page, len, access);
    }
    return status;
}

/* A register is a little-endian word like a shared one, accessed in one piece. */
CROSSVM_INLINE struct crossvm_le32 *crossvm_i_ivshmem_uio_register(
    const struct crossvm_ivshmem_uio *uio, uint32_t off)
{
    unsigned char *base = (unsigned char *)uio->registers.base;
    return (struct crossvm_le32 *)(void *)(base + uio->registers_off + off);
}

/* ---- in use -------------------------------------------------------------------------------- */

/* Gives a device up. Safe to call twice. */
CROSSVM_INLINE void crossvm_ivshmem_uio_close(struct crossvm_ivshmem_uio *uio)
{
    crossvm_i_posix_unmap(&uio->mapping);
    crossvm_i_posix_unmap(&uio->registers);
    for (uint32_t i = 0; i < uio->n_own; i++) {
        crossvm_i_posix_close(uio->own[i]);
    }
    uio->n_own = 0;
}

/* Opens a device that the UIO driver has taken, with its memory and n_own vectors. n_own: from 1.
 * Role: anyone; each file hears every ring, so that several can listen. Takes about a millisecond.
 * OK; INVALID n_own; NOT_FOUND no device is there, the driver has not taken it, or it has fewer
 * vectors; TYPE it is no ivshmem device; MISALIGNED, NO_SPACE, ROLE as crossvm_mapping_examine;
 * SYSTEM with errno (EACCES). Unless OK nothing is left open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_uio_open(struct crossvm_ivshmem_uio *uio,
                                                              const char *slot,
                                                              enum crossvm_mapping_access access,
                                                              int *own, uint32_t n_own)
{
    __builtin_memset(uio, 0, sizeof(*uio));
    uio->own = own;
    if (n_own == 0) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_ivshmem_pci_judge(slot);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_uio_listen(uio, slot, n_own);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_uio_map(uio, slot, access);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_mapping_examine(&uio->mapping, CROSSVM_UNCACHED, &uio->examination);
    }
    if (status != CROSSVM_OK) {
        crossvm_ivshmem_uio_close(uio);
        return status;
    }
    uio->id = 0xffffu &
              crossvm_load_relaxed(crossvm_i_ivshmem_uio_register(uio, CROSSVM_IVSHMEM_POSITION));
    return CROSSVM_OK;
}

/* ---- notify -------------------------------------------------------------------------------- */

CROSSVM_INLINE int crossvm_i_ivshmem_uio_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct crossvm_ivshmem_uio *uio = (const struct crossvm_ivshmem_uio *)context;
    if (peer > 0xffff || vector > 0xffff) {
        return CROSSVM_NOT_FOUND;
    }
    crossvm_system_barrier();
    crossvm_store_relaxed(crossvm_i_ivshmem_uio_register(uio, CROSSVM_IVSHMEM_DOORBELL),
                          peer << 16 | vector);
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_ivshmem_uio_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    const struct crossvm_ivshmem_uio *uio = (const struct crossvm_ivshmem_uio *)context;
    uint32_t count;
    if (vector >= uio->n_own) {
        return CROSSVM_NOT_FOUND;
    }
    for (;;) {
        /* The count only grows; the kernel remembers which one this file has read. */
        if (read(uio->own[vector], &count, sizeof(count)) == (ssize_t)sizeof(count)) {
            return CROSSVM_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return CROSSVM_SYSTEM;
        }
        int status = crossvm_i_posix_poll(uio->own[vector], deadline_ns);
        if (status != CROSSVM_OK) {
            /* A signal handler ran: let the caller look around. */
            return status == CROSSVM_SYSTEM && errno == EINTR ? CROSSVM_OK : status;
        }
    }
}

CROSSVM_INLINE int crossvm_i_ivshmem_uio_fd(void *context, uint32_t vector)
{
    const struct crossvm_ivshmem_uio *uio = (const struct crossvm_ivshmem_uio *)context;
    return vector < uio->n_own ? uio->own[vector] : CROSSVM_NOT_FOUND;
}

/* Makes a notify of a device's doorbells: peers are ids, which nobody checks: a ring to one that is
 * not there is lost. Deadlines are times of crossvm_posix_now. A signal that the process handles
 * ends a wait as a false alarm. */
CROSSVM_INLINE void crossvm_notify_ivshmem_uio(struct crossvm_notify *notify,
                                               struct crossvm_ivshmem_uio *uio)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_ivshmem_uio_signal, crossvm_i_ivshmem_uio_wait, crossvm_i_ivshmem_uio_fd,
        crossvm_i_posix_notify_now,   crossvm_i_posix_rest,
    };
    notify->ops = &ops;
    notify->context = uio;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
