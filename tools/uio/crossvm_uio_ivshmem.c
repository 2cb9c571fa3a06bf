/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * tools/uio/crossvm_uio_ivshmem.c - a Linux driver that gives programs the vectors of QEMU's
 * ivshmem-doorbell device, each as a UIO device of its own.
 *
 * Why: UIO has one interrupt a device, and the kernel's own uio_pci_generic takes INTx alone, which
 * ivshmem has not. Here a program sleeps in read() or poll() of the vector that it means.
 *
 * Build, with the kernel's headers installed:     make -C tools/uio [KDIR=/path/to/headers]
 * Load, after the kernel's own uio:               modprobe uio; insmod crossvm_uio_ivshmem.ko
 *
 * It takes every PCI device 1af4:1110 that has MSI-X and no driver yet. An ivshmem-plain has none,
 * and is left alone: the files in its folder of /sys serve there (backend/ivshmem_pci.h). To take
 * one device away from it: echo SLOT > /sys/bus/pci/drivers/crossvm_uio_ivshmem/unbind.
 *
 * What appears, for vector K of the device in SLOT (0000:00:04.0, say):
 *
 *   /dev/uioN                            read() of 4 bytes waits for an interrupt since the file
 *                                        was opened or read last, and answers how many there were
 *                                        since the driver took the device; poll() likewise
 *   /sys/bus/pci/devices/SLOT/uio/uioN/
 *     name                               crossvm_ivshmem.K: N is any number, K is the vector
 *     version                            1
 *     maps/map0/{name,offset,size}       registers: BAR0, mmap() at 0
 *     maps/map1/{name,offset,size}       memory: BAR2, mmap() at one page; offset is 0 in each,
 *                                        unless a page is larger than the alignment of a BAR
 *
 * All vectors of a device show the same two maps. Registers are mapped uncached. The memory is
 * RAM of the host, and mapped like RAM: cached, unless the guest's firmware has marked its
 * addresses uncached (MTRR of a PC: those of devices below 4 GiB). UIO by itself maps all of a
 * device uncached: slow, and on arm64 unaligned accesses fault. A program needs no write() to have
 * the next interrupt: one does not mask its vector.
 *
 * The driver claims the BARs. Where the kernel has CONFIG_IO_STRICT_DEVMEM, as Debian's, the files
 * resource* in SLOT cannot be mapped meanwhile (EINVAL).
 *
 * While a program has a /dev/uioN open the module cannot be unloaded. When the device goes away,
 * its read() fails with EIO; what it has mapped stays mapped.
 *
 * Meant for Linux 5.10 to 6.12: interfaces that have long been there, and no declaration between
 * statements, which older kernels refuse. Built and run with 6.1 alone.
 */
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uio_driver.h>

#define DRIVER_NAME "crossvm_uio_ivshmem"

enum {
    VENDOR = 0x1af4,
    DEVICE = 0x1110,
    VECTORS_MOST = 64, /* as many as QEMU gives a device */
    MAP_REGISTERS = 0,
    MAP_MEMORY = 1,
    BAR_REGISTERS = 0,
    BAR_MEMORY = 2
};

struct ivshmem_vector {
    struct uio_info uio;
    char name[24];
};

struct ivshmem {
    struct pci_dev *device;
    unsigned int n_allocated;
    unsigned int n_registered; /* UIO devices that there are */
    struct ivshmem_vector vectors[];
};

/* ---- a vector as a UIO device ---------------------------------------------------------------- */

/* An interrupt of MSI-X is one edge: nothing to ask the device, nothing to quiet. */
static irqreturn_t vector_rung(int irq, struct uio_info *uio)
{
    return IRQ_HANDLED;
}

/* UIO has judged map and length before. */
static int vector_map(struct uio_info *uio, struct vm_area_struct *area)
{
    const struct uio_mem *map = &uio->mem[area->vm_pgoff];
    unsigned long len = area->vm_end - area->vm_start;
    if (area->vm_pgoff == MAP_REGISTERS) {
        area->vm_page_prot = pgprot_noncached(area->vm_page_prot);
    }
    return remap_pfn_range(area, area->vm_start, map->addr >> PAGE_SHIFT, len, area->vm_page_prot);
}

/* UIO takes whole pages alone; `offs` says where in the first one the BAR begins. */
static void map_describe(struct uio_mem *map, const char *name, struct pci_dev *device, int bar)
{
    resource_size_t start = pci_resource_start(device, bar);
    map->name = name;
    map->memtype = UIO_MEM_PHYS;
    /* PAGE_MASK may have 32 bits where an address has more. */
    map->offs = start & (PAGE_SIZE - 1);
    map->addr = start - map->offs;
    map->size = PAGE_ALIGN(map->offs + pci_resource_len(device, bar));
}

static int vector_register(struct ivshmem *ivshmem, unsigned int k)
{
    struct ivshmem_vector *vector = &ivshmem->vectors[k];
    struct uio_info *uio = &vector->uio;
    int irq = pci_irq_vector(ivshmem->device, k);
    if (irq < 0) {
        return irq;
    }
    snprintf(vector->name, sizeof(vector->name), "crossvm_ivshmem.%u", k);
    uio->name = vector->name;
    uio->version = "1";
    uio->irq = irq;
    uio->handler = vector_rung;
    uio->mmap = vector_map;
    map_describe(&uio->mem[MAP_REGISTERS], "registers", ivshmem->device, BAR_REGISTERS);
    map_describe(&uio->mem[MAP_MEMORY], "memory", ivshmem->device, BAR_MEMORY);
    return uio_register_device(&ivshmem->device->dev, uio);
}

static void vectors_unregister(struct ivshmem *ivshmem)
{
    while (ivshmem->n_registered > 0) {
        ivshmem->n_registered--;
        uio_unregister_device(&ivshmem->vectors[ivshmem->n_registered].uio);
    }
}

static int vectors_register(struct ivshmem *ivshmem)
{
    while (ivshmem->n_registered < ivshmem->n_allocated) {
        int error = vector_register(ivshmem, ivshmem->n_registered);
        if (error != 0) {
            vectors_unregister(ivshmem);
            return error;
        }
        ivshmem->n_registered++;
    }
    return 0;
}

/* ---- the device ------------------------------------------------------------------------------ */

static bool has_memory(struct pci_dev *device, int bar)
{
    return (pci_resource_flags(device, bar) & IORESOURCE_MEM) != 0 &&
           pci_resource_len(device, bar) != 0;
}

/* All vectors or none: a peer's ring of one that is missing would be lost without a sign. */
static int interrupts_start(struct ivshmem *ivshmem)
{
    int n = (int)ivshmem->n_allocated;
    int error = pci_alloc_irq_vectors(ivshmem->device, n, n, PCI_IRQ_MSIX);
    if (error < 0) {
        dev_err(&ivshmem->device->dev, "%d vectors: error %d\n", n, error);
        return error;
    }
    /* A vector is a write to memory by the device. */
    pci_set_master(ivshmem->device);
    error = vectors_register(ivshmem);
    if (error != 0) {
        pci_clear_master(ivshmem->device);
        pci_free_irq_vectors(ivshmem->device);
    }
    return error;
}

static int device_start(struct ivshmem *ivshmem)
{
    struct pci_dev *device = ivshmem->device;
    int error = pci_enable_device(device);
    if (error != 0) {
        return error;
    }
    error = pci_request_regions(device, DRIVER_NAME);
    if (error != 0) {
        pci_disable_device(device);
        return error;
    }
    error = interrupts_start(ivshmem);
    if (error != 0) {
        pci_release_regions(device);
        pci_disable_device(device);
    }
    return error;
}

static int ivshmem_probe(struct pci_dev *device, const struct pci_device_id *id)
{
    struct ivshmem *ivshmem;
    int n = pci_msix_vec_count(device);
    int error;
    if (n <= 0 || !has_memory(device, BAR_REGISTERS) || !has_memory(device, BAR_MEMORY)) {
        return -ENODEV;
    }
    n = min_t(int, n, VECTORS_MOST);
    ivshmem = kzalloc(struct_size(ivshmem, vectors, n), GFP_KERNEL);
    if (ivshmem == NULL) {
        return -ENOMEM;
    }
    ivshmem->device = device;
    ivshmem->n_allocated = (unsigned int)n;
    error = device_start(ivshmem);
    if (error != 0) {
        kfree(ivshmem);
        return error;
    }
    pci_set_drvdata(device, ivshmem);
    dev_info(&device->dev, "%d vectors\n", n);
    return 0;
}

/* UIO lets go of a vector's struct uio_info when it is unregistered, even with files open. */
static void ivshmem_remove(struct pci_dev *device)
{
    struct ivshmem *ivshmem = pci_get_drvdata(device);
    vectors_unregister(ivshmem);
    pci_clear_master(device);
    pci_free_irq_vectors(device);
    pci_release_regions(device);
    pci_disable_device(device);
    kfree(ivshmem);
}

static const struct pci_device_id ivshmem_ids[] = {
    {PCI_DEVICE(VENDOR, DEVICE)},
    {0},
};
MODULE_DEVICE_TABLE(pci, ivshmem_ids);

static struct pci_driver ivshmem_driver = {
    .name = DRIVER_NAME,
    .id_table = ivshmem_ids,
    .probe = ivshmem_probe,
    .remove = ivshmem_remove,
};
module_pci_driver(ivshmem_driver);

MODULE_DESCRIPTION("The vectors of ivshmem-doorbell as UIO devices");
MODULE_VERSION("1");
/* UIO's symbols are for modules under the GPL alone. This file may be had under it, and of the
 * kernel's words for licences none names Apache-2.0 beside it ("Dual BSD/GPL" would be untrue). */
MODULE_LICENSE("GPL");
