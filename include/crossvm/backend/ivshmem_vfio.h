/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_vfio.h - QEMU's ivshmem device in a Linux guest through VFIO: memory, and
 * interrupts as eventfds. For a guest with an IOMMU (QEMU: -device intel-iommu,intremap=on).
 *
 * Layer 6, on eventfd.h and ivshmem_pci.h. Roles: whoever may open the device's VFIO group. The
 * device must be bound to the kernel's driver vfio-pci (docs/MANUAL.md says how). Registers and
 * memory: ivshmem_pci.h. No shared bytes of its own; the registers are read and written through the
 * device's descriptor, for their page may be shared with another device's.
 *
 * VFIO hands devices out with bus mastering off, and the hypervisor then drops every interrupt
 * without a sign: opening turns it on. Source: Linux, Documentation/driver-api/vfio.rst.
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_VFIO_H
#define CROSSVM_BACKEND_IVSHMEM_VFIO_H

#include "eventfd.h"
#include "ivshmem_pci.h"

#include <linux/vfio.h>
#include <sys/ioctl.h>

CROSSVM_EXTERN_C_BEGIN

CROSSVM_STATIC_ASSERT(sizeof(off_t) == 8, "VFIO's offsets: compile with -D_FILE_OFFSET_BITS=64");
CROSSVM_STATIC_ASSERT(sizeof(struct vfio_irq_set) == 20, "five words, then data");

#define CROSSVM_IVSHMEM_VECTORS 64u /* that a device can have */

/* A device in use. */
struct crossvm_ivshmem_vfio {
    struct crossvm_mapping mapping;         /* the shared memory */
    struct crossvm_examination examination; /* what it was found to be */
    struct crossvm_eventfd bells;           /* own vectors; no routes */
    uint32_t id;                            /* own id, which peers ring it by */
    int *own;                               /* the caller's: a descriptor for each own vector */
    uint64_t registers_off;                 /* of BAR0, in the descriptor */
    int container;                          /* VFIO's; -1 = not open */
    int group;                              /* the IOMMU group's; -1 = not open */
    int device;                             /* the device's; -1 = not open */
};

/* ---- the group ----------------------------------------------------------------------------- */

/* The path of the device's group: its number is the last part of what a link says. OK; NOT_FOUND
 * there is none: no IOMMU. */
CROSSVM_INLINE int crossvm_i_ivshmem_vfio_path(const char *slot, char *path, size_t room)
{
    char link[64];
    char target[256];
    (void)snprintf(link, sizeof(link), "/sys/bus/pci/devices/%.15s/iommu_group", slot);
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len <= 0) {
        return CROSSVM_NOT_FOUND;
    }
    target[len] = '\0';
    while (len > 0 && target[len - 1] != '/') {
        len--;
    }
    (void)snprintf(path, room, "/dev/vfio/%.15s", target + len);
    return CROSSVM_OK;
}

/* Joins the group to a container of its own, with an IOMMU. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_vfio_join(struct crossvm_ivshmem_vfio *vfio, const char *path)
{
    struct vfio_group_status group = {sizeof(group), 0};
    vfio->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    vfio->group = open(path, O_RDWR | O_CLOEXEC);
    if (vfio->container < 0 || vfio->group < 0 ||
        ioctl(vfio->group, VFIO_GROUP_GET_STATUS, &group) < 0) {
        return CROSSVM_SYSTEM;
    }
    if ((group.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
        errno = EBUSY;
        return CROSSVM_SYSTEM;
    }
    if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container) < 0 ||
        ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0) {
        return CROSSVM_SYSTEM;
    }
    return CROSSVM_OK;
}

/* ---- the device ---------------------------------------------------------------------------- */

/* Where a part of the device lies in its descriptor. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_vfio_part(const struct crossvm_ivshmem_vfio *vfio,
                                               uint32_t index, struct vfio_region_info *part)
{
    __builtin_memset(part, 0, sizeof(*part));
    part->argsz = sizeof(*part);
    part->index = index;
    return ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, part) < 0 ? CROSSVM_SYSTEM : CROSSVM_OK;
}

/* Bits 1 and 2 of the command register: memory, and bus mastering. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_vfio_master(const struct crossvm_ivshmem_vfio *vfio)
{
    struct vfio_region_info config;
    unsigned char command[2];
    int status = crossvm_i_ivshmem_vfio_part(vfio, VFIO_PCI_CONFIG_REGION_INDEX, &config);
    if (status != CROSSVM_OK) {
        return status;
    }
    off_t off = (off_t)config.offset + 4;
    if (pread(vfio->device, command, sizeof(command), off) != (ssize_t)sizeof(command)) {
        return CROSSVM_SYSTEM;
    }
    command[0] |= 6;
    return pwrite(vfio->device, command, sizeof(command), off) == (ssize_t)sizeof(command)
               ? CROSSVM_OK
               : CROSSVM_SYSTEM;
}

/* Memory and the own id. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_vfio_map(struct crossvm_ivshmem_vfio *vfio,
                                              enum crossvm_mapping_access access)
{
    struct vfio_region_info part;
    unsigned char id[4];
    int status = crossvm_i_ivshmem_vfio_part(vfio, VFIO_PCI_BAR0_REGION_INDEX, &part);
    if (status != CROSSVM_OK) {
        return status;
    }
    vfio->registers_off = part.offset;
    if (pread(vfio->device, id, sizeof(id), (off_t)part.offset + CROSSVM_IVSHMEM_POSITION) !=
        (ssize_t)sizeof(id)) {
        return CROSSVM_SYSTEM;
    }
    vfio->id = id[0] | (uint32_t)id[1] << 8;
    status = crossvm_i_ivshmem_vfio_part(vfio, VFIO_PCI_BAR2_REGION_INDEX, &part);
    if (status != CROSSVM_OK) {
        return status;
    }
    return crossvm_i_posix_map_at(&vfio->mapping, vfio->device, part.offset, part.size, access);
}

/* An eventfd for each own vector. OK; NOT_FOUND the device has fewer; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_vfio_listen(struct crossvm_ivshmem_vfio *vfio, uint32_t n_own)
{
    /* A struct vfio_irq_set, which ends in the descriptors. */
    uint32_t request[5 + CROSSVM_IVSHMEM_VECTORS];
    struct vfio_irq_info irqs = {sizeof(irqs), 0, VFIO_PCI_MSIX_IRQ_INDEX, 0};
    if (ioctl(vfio->device, VFIO_DEVICE_GET_IRQ_INFO, &irqs) < 0) {
        return CROSSVM_SYSTEM;
    }
    if (irqs.count < n_own) {
        return CROSSVM_NOT_FOUND;
    }
    for (uint32_t i = 0; i < n_own; i++) {
        int fd = crossvm_eventfd_create();
        if (fd < 0) {
            return fd;
        }
        vfio->own[i] = fd;
        request[5 + i] = (uint32_t)fd;
        vfio->bells.n_own++;
    }
    request[0] = (uint32_t)(sizeof(request[0]) * (5 + n_own));
    request[1] = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    request[2] = VFIO_PCI_MSIX_IRQ_INDEX;
    request[3] = 0;
    request[4] = n_own;
    return ioctl(vfio->device, VFIO_DEVICE_SET_IRQS, request) < 0 ? CROSSVM_SYSTEM : CROSSVM_OK;
}

/* ---- in use -------------------------------------------------------------------------------- */

/* Gives a device up, and its interrupts. Safe to call twice. */
CROSSVM_INLINE void crossvm_ivshmem_vfio_close(struct crossvm_ivshmem_vfio *vfio)
{
    int *fds[3] = {&vfio->device, &vfio->group, &vfio->container};
    crossvm_i_posix_unmap(&vfio->mapping);
    for (unsigned i = 0; i < 3; i++) {
        if (*fds[i] >= 0) {
            crossvm_i_posix_close(*fds[i]);
            *fds[i] = -1;
        }
    }
    for (uint32_t i = 0; i < vfio->bells.n_own; i++) {
        crossvm_i_posix_close(vfio->own[i]);
    }
    vfio->bells.n_own = 0;
}

CROSSVM_INLINE int crossvm_i_ivshmem_vfio_open(struct crossvm_ivshmem_vfio *vfio, const char *slot,
                                               enum crossvm_mapping_access access, uint32_t n_own)
{
    char path[32];
    int status = crossvm_i_ivshmem_pci_judge(slot);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_vfio_path(slot, path, sizeof(path));
    }
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_vfio_join(vfio, path);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, slot);
    status = vfio->device < 0 ? CROSSVM_SYSTEM : crossvm_i_ivshmem_vfio_master(vfio);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_vfio_map(vfio, access);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_mapping_examine(&vfio->mapping, CROSSVM_UNCACHED, &vfio->examination);
    }
    return status == CROSSVM_OK ? crossvm_i_ivshmem_vfio_listen(vfio, n_own) : status;
}

/* Opens a device that is bound to vfio-pci, with its memory and n_own vectors. n_own: 1 to
 * CROSSVM_IVSHMEM_VECTORS. Role: anyone; one at a time, for a group can be opened once. Takes about
 * a millisecond. OK; INVALID n_own; NOT_FOUND no device is there, it is in no IOMMU group, or it
 * has fewer vectors; TYPE it is no ivshmem device; MISALIGNED, NO_SPACE, ROLE as
 * crossvm_mapping_examine; SYSTEM with errno (ENOENT: not bound to vfio-pci, or its modules are not
 * loaded; EBUSY: others of the group are in use otherwise, or it is open already). Unless OK
 * nothing is left open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_vfio_open(struct crossvm_ivshmem_vfio *vfio,
                                                               const char *slot,
                                                               enum crossvm_mapping_access access,
                                                               int *own, uint32_t n_own)
{
    __builtin_memset(vfio, 0, sizeof(*vfio));
    vfio->container = -1;
    vfio->group = -1;
    vfio->device = -1;
    vfio->own = own;
    vfio->bells.own = own;
    if (n_own == 0 || n_own > CROSSVM_IVSHMEM_VECTORS) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_ivshmem_vfio_open(vfio, slot, access, n_own);
    if (status != CROSSVM_OK) {
        crossvm_ivshmem_vfio_close(vfio);
    }
    return status;
}

/* ---- notify -------------------------------------------------------------------------------- */

/* What is written to ring, little-endian. Both are below 2^16. */
CROSSVM_INLINE void crossvm_i_ivshmem_vfio_bytes(unsigned char bytes[4], uint32_t peer,
                                                 uint32_t vector)
{
    bytes[0] = (unsigned char)vector;
    bytes[1] = (unsigned char)(vector >> 8);
    bytes[2] = (unsigned char)peer;
    bytes[3] = (unsigned char)(peer >> 8);
}

CROSSVM_INLINE int crossvm_i_ivshmem_vfio_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct crossvm_ivshmem_vfio *vfio = (const struct crossvm_ivshmem_vfio *)context;
    unsigned char bytes[4];
    if (peer > 0xffff || vector > 0xffff) {
        return CROSSVM_NOT_FOUND;
    }
    crossvm_i_ivshmem_vfio_bytes(bytes, peer, vector);
    crossvm_system_barrier();
    return pwrite(vfio->device, bytes, sizeof(bytes),
                  (off_t)vfio->registers_off + CROSSVM_IVSHMEM_DOORBELL) == (ssize_t)sizeof(bytes)
               ? CROSSVM_OK
               : CROSSVM_SYSTEM;
}

CROSSVM_INLINE int crossvm_i_ivshmem_vfio_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct crossvm_ivshmem_vfio *vfio = (struct crossvm_ivshmem_vfio *)context;
    return crossvm_i_eventfd_wait(&vfio->bells, vector, deadline_ns);
}

CROSSVM_INLINE int crossvm_i_ivshmem_vfio_fd(void *context, uint32_t vector)
{
    struct crossvm_ivshmem_vfio *vfio = (struct crossvm_ivshmem_vfio *)context;
    return crossvm_i_eventfd_fd(&vfio->bells, vector);
}

/* Makes a notify of a device's doorbells: peers are ids, which nobody checks: a ring to one that is
 * not there is lost. Deadlines are times of crossvm_posix_now. A signal that the process handles
 * ends a wait as a false alarm. */
CROSSVM_INLINE void crossvm_notify_ivshmem_vfio(struct crossvm_notify *notify,
                                                struct crossvm_ivshmem_vfio *vfio)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_ivshmem_vfio_signal, crossvm_i_ivshmem_vfio_wait, crossvm_i_ivshmem_vfio_fd,
        crossvm_i_posix_notify_now,    crossvm_i_posix_rest,
    };
    notify->ops = &ops;
    notify->context = vfio;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
