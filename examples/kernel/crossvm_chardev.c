/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * examples/kernel/crossvm_chardev.c - a snapshot of another virtual machine as a character device:
 * read() gives its newest version, whole and consistent, poll() says when there is a newer one.
 *
 *   insmod crossvm_chardev.ko slot=0000:00:05.0 name=state [bell=0000:00:06.0] [period_ms=10]
 *
 * slot: the ivshmem device with the other machine's region, which this module only reads. bell: an
 * ivshmem-doorbell whose vector 0 the producer rings when it has published; without one, and beside
 * it, the module looks every period_ms while somebody has the file open.
 *
 * /dev/crossvm-snapshot, one struct crossvm_chardev_record and the payload a read():
 *
 *   open   looks for region and snapshot; each opener has a last version of its own
 *   read   waits for a version that this opener has not read; EAGAIN with O_NONBLOCK
 *   poll   readable when there is one; POLLERR too when a read has met impossible bytes, or what
 *          was opened is history
 *
 * The other machine may write anything at any time. What errno says then:
 *
 *   EAGAIN    nothing new, or the writer is too busy; at open: no region yet
 *   ENOENT    no snapshot of that name
 *   EMSGSIZE  the version is longer than what was asked for; it does not count as read
 *   EFBIG     the snapshot may be longer than max_len
 *   ESTALE    the producer made its region or this chunk anew: open again
 *   EIO       impossible bytes; for this opener from then on always
 *   EPROTO    a region of another format, of other features, or for others
 *
 * Meant for Linux 5.18 to 6.12; built and run with 6.1 alone. README.md in this folder says more.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <crossvm/crossvm.h>

#include "crossvm_chardev.h"

enum {
    VENDOR = 0x1af4,
    DEVICE = 0x1110,
    BAR_MEMORY = 2
};

static char *slot;
module_param(slot, charp, 0444);
MODULE_PARM_DESC(slot, "ivshmem device with the other machine's region, like 0000:00:05.0");

static char *name = "state";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "of the snapshot");

static char *bell;
module_param(bell, charp, 0444);
MODULE_PARM_DESC(bell, "ivshmem-doorbell device that the producer rings, or nothing");

static unsigned int period_ms = 10;
module_param(period_ms, uint, 0444);
MODULE_PARM_DESC(period_ms, "how often to look for a newer version, from 1");

static unsigned int party;
module_param(party, uint, 0444);
MODULE_PARM_DESC(party, "who this machine is in the other one's plan, 0 = nobody in particular");

static unsigned int max_len = 65536;
module_param(max_len, uint, 0444);
MODULE_PARM_DESC(max_len,
                 "longest payload; the other machine says how long it is, and could say anything");

/* ---- what there is --------------------------------------------------------------------------- */

/* One open file. */
struct opener {
    struct list_head all;   /* in `openers` */
    wait_queue_head_t wait; /* for something to read */
    struct mutex lock;      /* of all below */
    struct crossvm_region region;
    struct crossvm_snapshot_reader reader;
    size_t room;             /* for payload */
    unsigned char payload[]; /* a private copy: what is judged is what is handed over */
};

static struct pci_dev *memory_device;
static struct pci_dev *bell_device;
static struct crossvm_mapping mapping;
static LIST_HEAD(openers);
static DEFINE_MUTEX(openers_lock);

static void look(struct work_struct *work);
static DECLARE_DELAYED_WORK(looking, look);

/* What a status is to a program. */
static int error_of(int status)
{
    switch (status) {
    case CROSSVM_NOT_FOUND:
        return -ENOENT;
    case CROSSVM_NO_SPACE:
        return -EMSGSIZE;
    case CROSSVM_STALE:
        return -ESTALE;
    case CROSSVM_CORRUPT:
        return -EIO;
    default:
        return crossvm_status_family(status) == CROSSVM_FAMILY_AGAIN ? -EAGAIN : -EPROTO;
    }
}

/* ---- looking --------------------------------------------------------------------------------- */

/* Above 0: so many newer versions. Below: a status that no waiting mends. */
static int news_of(struct opener *opener)
{
    int news;
    mutex_lock(&opener->lock);
    news = crossvm_snapshot_reader_newer(&opener->reader);
    mutex_unlock(&opener->lock);
    return news;
}

/* Wakes those who have something to read, and looks again in a while. Who is reading just now needs
 * no waking, and may be held up by its program's memory: it is not waited for. */
static void look(struct work_struct *work)
{
    struct opener *opener;
    mutex_lock(&openers_lock);
    list_for_each_entry(opener, &openers, all)
    {
        if (mutex_trylock(&opener->lock)) {
            bool news = crossvm_snapshot_reader_newer(&opener->reader) != 0;
            mutex_unlock(&opener->lock);
            if (news) {
                wake_up_interruptible(&opener->wait);
            }
        }
    }
    if (!list_empty(&openers)) {
        mod_delayed_work(system_wq, &looking, max(1UL, msecs_to_jiffies(period_ms)));
    }
    mutex_unlock(&openers_lock);
}

/* The producer has rung. MSI-X is an edge: nothing to ask the device, nothing to quiet. A storm of
 * rings makes one look after another, not one each. */
static irqreturn_t rung(int irq, void *cookie)
{
    mod_delayed_work(system_wq, &looking, 0);
    return IRQ_HANDLED;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Finds region and snapshot. 0; an error. */
static int opener_find(struct opener *opener, struct crossvm_chunk *chunk)
{
    int status = crossvm_region_attach(&opener->region, &mapping, party);
    if (status == CROSSVM_NO_SPACE) {
        return -EPROTO; /* the device is shorter than the region */
    }
    if (status == CROSSVM_OK) {
        status = crossvm_region_find(&opener->region, name, CROSSVM_KIND_SNAPSHOT, 0, chunk);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_reader_open(&opener->reader, &opener->region, chunk);
    }
    return status == CROSSVM_OK ? 0 : error_of(status);
}

static int chardev_open(struct inode *inode, struct file *file)
{
    struct crossvm_chunk chunk;
    struct opener *opener = kvzalloc(struct_size(opener, payload, max_len), GFP_KERNEL);
    int error;
    if (opener == NULL) {
        return -ENOMEM;
    }
    opener->room = max_len;
    mutex_init(&opener->lock);
    init_waitqueue_head(&opener->wait);
    error = opener_find(opener, &chunk);
    if (error == 0 && chunk.len > opener->room) {
        error = -EFBIG;
    }
    if (error != 0) {
        kvfree(opener);
        return error;
    }
    file->private_data = opener;
    mutex_lock(&openers_lock);
    list_add(&opener->all, &openers);
    mutex_unlock(&openers_lock);
    mod_delayed_work(system_wq, &looking, 0);
    return nonseekable_open(inode, file);
}

static int chardev_release(struct inode *inode, struct file *file)
{
    struct opener *opener = file->private_data;
    mutex_lock(&openers_lock);
    list_del(&opener->all);
    mutex_unlock(&openers_lock);
    mutex_destroy(&opener->lock);
    kvfree(opener);
    return 0;
}

static ssize_t hand_over(const struct opener *opener, const struct crossvm_snapshot_info *info,
                         char __user *to)
{
    const struct crossvm_chardev_record record = {
        .version = info->version,
        .sampled_ns = info->sampled_ns,
        .published_ns = info->published_ns,
        .missed = info->missed,
        .len = info->len,
    };
    if (copy_to_user(to, &record, sizeof(record)) != 0 ||
        copy_to_user(to + sizeof(record), opener->payload, info->len) != 0) {
        return -EFAULT;
    }
    return (ssize_t)(sizeof(record) + info->len);
}

/* One attempt. The bytes handed over; 0 nothing new; an error. */
static ssize_t read_once(struct opener *opener, char __user *to, size_t room)
{
    struct crossvm_snapshot_info info;
    ssize_t answer = 0;
    int status;
    if (mutex_lock_interruptible(&opener->lock) != 0) {
        return -ERESTARTSYS;
    }
    status = crossvm_snapshot_reader_read(&opener->reader, opener->payload, min(room, opener->room),
                                          &info);
    if (status == 1) {
        answer = hand_over(opener, &info, to);
    } else if (status < 0 && crossvm_status_family(status) != CROSSVM_FAMILY_AGAIN) {
        answer = error_of(status);
    }
    mutex_unlock(&opener->lock);
    return answer;
}

/* Waits for news; each wait can be ended by a signal. News that the last attempt did not get (a
 * writer that is always faster, or says so) are waited for by the clock. */
static int read_wait(struct opener *opener)
{
    if (news_of(opener) > 0) {
        schedule_timeout_interruptible(1);
    } else if (wait_event_interruptible(opener->wait, news_of(opener) != 0) != 0) {
        return -ERESTARTSYS;
    }
    return signal_pending(current) ? -ERESTARTSYS : 0;
}

static ssize_t chardev_read(struct file *file, char __user *to, size_t room, loff_t *off)
{
    struct opener *opener = file->private_data;
    ssize_t answer;
    if (room < sizeof(struct crossvm_chardev_record)) {
        return -EMSGSIZE;
    }
    for (;;) {
        answer = read_once(opener, to, room - sizeof(struct crossvm_chardev_record));
        if (answer != 0) {
            return answer;
        }
        if ((file->f_flags & O_NONBLOCK) != 0) {
            return -EAGAIN;
        }
        answer = read_wait(opener);
        if (answer != 0) {
            return answer;
        }
    }
}

static __poll_t chardev_poll(struct file *file, poll_table *table)
{
    struct opener *opener = file->private_data;
    int news;
    poll_wait(file, &opener->wait, table);
    news = news_of(opener);
    if (news < 0) {
        return EPOLLIN | EPOLLRDNORM | EPOLLERR;
    }
    return news > 0 ? EPOLLIN | EPOLLRDNORM : 0;
}

/* `owner`: as long as a file is open, the module stays. */
static const struct file_operations chardev_operations = {
    .owner = THIS_MODULE,
    .open = chardev_open,
    .release = chardev_release,
    .read = chardev_read,
    .poll = chardev_poll,
};

static struct miscdevice chardev = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "crossvm-snapshot",
    .fops = &chardev_operations,
    .mode = 0444,
};

/* ---- the devices ----------------------------------------------------------------------------- */

static int device_find(struct pci_dev **device, const char *parameter, const char *where)
{
    unsigned int domain, bus, number, function;
    if (where == NULL || sscanf(where, "%x:%x:%x.%x", &domain, &bus, &number, &function) != 4) {
        pr_err("crossvm: %s=%s: expected a slot, like 0000:00:05.0\n", parameter,
               where == NULL ? "" : where);
        return -EINVAL;
    }
    *device = pci_get_domain_bus_and_slot((int)domain, bus, PCI_DEVFN(number, function));
    if (*device == NULL || (*device)->vendor != VENDOR || (*device)->device != DEVICE) {
        pr_err("crossvm: %s=%s: expected an ivshmem device\n", parameter, where);
        pci_dev_put(*device);
        *device = NULL;
        return -ENODEV;
    }
    return pci_enable_device(*device);
}

static void device_drop(struct pci_dev **device)
{
    if (*device != NULL) {
        pci_disable_device(*device);
        pci_dev_put(*device);
        *device = NULL;
    }
}

/* BAR2 is RAM of the host's, and mapped like RAM. What keeps it from being written is the library,
 * which writes to no mapping for reading, and the hypervisor, if it was told to (readonly=on). */
static int memory_map(void)
{
    resource_size_t len = pci_resource_len(memory_device, BAR_MEMORY);
    int error = pci_request_region(memory_device, BAR_MEMORY, "crossvm_chardev");
    if (error != 0) {
        return error;
    }
    mapping.base = memremap(pci_resource_start(memory_device, BAR_MEMORY), len, MEMREMAP_WB);
    mapping.len = len;
    mapping.access = CROSSVM_READ_ONLY;
    mapping.memory = CROSSVM_WRITE_BACK;
    if (mapping.base == NULL) {
        pci_release_region(memory_device, BAR_MEMORY);
        return -ENOMEM;
    }
    return 0;
}

static void memory_unmap(void)
{
    memunmap(mapping.base);
    pci_release_region(memory_device, BAR_MEMORY);
}

/* Vector 0 of the doorbell device. A vector is a write to memory by the device: it has to master
 * the bus. */
static int bell_listen(void)
{
    int error = pci_alloc_irq_vectors(bell_device, 1, 1, PCI_IRQ_MSIX);
    if (error < 0) {
        return error;
    }
    pci_set_master(bell_device);
    error = request_irq(pci_irq_vector(bell_device, 0), rung, 0, "crossvm_chardev", &chardev);
    if (error != 0) {
        pci_clear_master(bell_device);
        pci_free_irq_vectors(bell_device);
    }
    return error;
}

static void bell_ignore(void)
{
    free_irq(pci_irq_vector(bell_device, 0), &chardev);
    pci_clear_master(bell_device);
    pci_free_irq_vectors(bell_device);
}

/* ---- loading --------------------------------------------------------------------------------- */

static int devices_open(void)
{
    int error = device_find(&memory_device, "slot", slot);
    if (error == 0 && bell != NULL) {
        error = device_find(&bell_device, "bell", bell);
    }
    if (error == 0) {
        error = memory_map();
    }
    if (error == 0 && bell != NULL) {
        error = bell_listen();
        if (error != 0) {
            memory_unmap();
        }
    }
    return error;
}

static void devices_close(void)
{
    if (bell != NULL) {
        bell_ignore();
    }
    cancel_delayed_work_sync(&looking);
    memory_unmap();
}

static int __init crossvm_chardev_init(void)
{
    int error = period_ms == 0 || max_len == 0 || max_len > INT_MAX / 2 ? -EINVAL : 0;
    if (error == 0) {
        error = devices_open();
        if (error == 0) {
            error = misc_register(&chardev);
            if (error != 0) {
                devices_close();
            }
        }
    }
    if (error != 0) {
        device_drop(&bell_device);
        device_drop(&memory_device);
    }
    return error;
}

/* Nobody has the file open, and nobody can any more. */
static void __exit crossvm_chardev_exit(void)
{
    misc_deregister(&chardev);
    devices_close();
    device_drop(&bell_device);
    device_drop(&memory_device);
}

module_init(crossvm_chardev_init);
module_exit(crossvm_chardev_exit);
MODULE_DESCRIPTION("A snapshot of another virtual machine as a character device");
/* The kernel's words for licences have none for Apache-2.0 beside the GPL. */
MODULE_LICENSE("GPL");
