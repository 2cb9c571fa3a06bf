/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_v2.h - Jailhouse's ivshmem device, version 2, in a Linux guest through
 * the driver uio_ivshmem: memory that one peer writes and all others read, doorbells, and states
 * that fall to 0 when a peer dies.
 *
 * Layer 6, on ivshmem_pci.h and notify.h. Roles: whoever may open the file /dev/uioN; one process a
 * device, for each close of that file, whoever had it open, sets the state of this end to 0. No
 * shared bytes of its own. No machine with such a device was there to try it on: it was tried on a
 * model that was written from the specification (tests/support/ivshmem_v2.h).
 *
 * Sources: siemens/jailhouse, Documentation/ivshmem-v2-specification.md; the driver of Siemens'
 * kernels, drivers/uio/uio_ivshmem.c (to be found in beagleboard/linux, too).
 *
 * Registers, 32 bits each, little-endian, aligned accesses only:
 *
 *   offset  name               meaning
 *   0       ID                 own id, read; below Maximum Peers
 *   4       Maximum Peers      2 to 65536, read
 *   8       Interrupt Control  bit 0: this end may be interrupted; each interrupt clears it, since
 *                              the driver asks for the one-shot mode
 *   12      Doorbell           vector in the low 16 bits, the peer's id in the high ones, written
 *   16      State              of this end; a change enters the table, and rings vector 0 of all
 *                              others
 *
 * Maps of the UIO device. Their numbers have no gaps: a device without a read-write section, or
 * without outputs, has others; so they are known by their names.
 *
 *   name            access      what
 *   registers       read-write  the page that they lie in, uncached
 *   state_table     read-only   a 32-bit state for each peer; 0 also of one that is not there
 *   rw_section      read-write  every peer writes it (there may be none)
 *   input_sections  read-only   every peer's output, in the order of ids (there may be none)
 *   output_section  read-write  this end's
 *
 * An interrupt while Interrupt Control is 0 is lost, and the device has no pending bits. So a wait
 * that was rung writes 1 there first, and answers then: what is rung for meanwhile stands in memory
 * by then, and the caller looks there anyway. All vectors end in the one count of the one file, so
 * that there is one own vector, 0, whichever was rung.
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_V2_H
#define CROSSVM_BACKEND_IVSHMEM_V2_H

#include "ivshmem_pci.h"

#include "../notify.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_IVSHMEM_V2_PEERS 65536u /* a device has at most so many, itself among them */

/* Registers, bytes from their base. */
#define CROSSVM_IVSHMEM_V2_ID        0u  /* own id */
#define CROSSVM_IVSHMEM_V2_MAX_PEERS 4u  /* how many ids there are */
#define CROSSVM_IVSHMEM_V2_CONTROL   8u  /* 1: may be interrupted, once */
#define CROSSVM_IVSHMEM_V2_DOORBELL  12u /* rings */
#define CROSSVM_IVSHMEM_V2_STATE     16u /* own state */

/* A device of this machine that the driver has taken. */
struct crossvm_ivshmem_v2_device {
    char uio[16];                        /* "uio0": its name among UIO devices */
    char slot[CROSSVM_IVSHMEM_SLOT_LEN]; /* where it is plugged in */
};

/* A device in use. */
struct crossvm_ivshmem_v2 {
    struct crossvm_mapping output;          /* written by this end alone; base NULL = none */
    struct crossvm_mapping inputs;          /* all outputs, read-only; base NULL = none */
    struct crossvm_mapping shared;          /* written by every peer; base NULL = none */
    struct crossvm_mapping table;           /* states, read-only */
    struct crossvm_mapping registers;       /* the page that they lie in */
    struct crossvm_examination examination; /* what the own output was found to be, if there is one,
                                             * else the read-write section */
    uint64_t output_len;                    /* bytes of each output */
    uint32_t id;                            /* own id, which peers ring it by */
    uint32_t n_ids;                         /* ids are below, whether somebody is there or not */
    int file;                               /* the UIO device's; -1 = not open */
};

/* A peer that is watched. The caller sets id, and state to 0, or as it was seen last. */
struct crossvm_ivshmem_v2_watch {
    uint32_t id;    /* of the peer */
    uint32_t state; /* as crossvm_ivshmem_v2_step has told last */
};

/* What a state has become. */
struct crossvm_ivshmem_v2_change {
    uint32_t peer;   /* its id */
    uint32_t before; /* its state when it was looked at last */
    uint32_t now;    /* its state */
    bool died;       /* it had one, and fell to 0 */
};

/* ---- the kernel's files -------------------------------------------------------------------- */

/* The start of a file of a UIO device as a text, empty if there is none. */
CROSSVM_INLINE void crossvm_i_ivshmem_v2_text(const char *uio, const char *file, char *text,
                                              size_t room)
{
    char path[96];
    ssize_t len = 0;
    (void)snprintf(path, sizeof(path), "/sys/class/uio/%.15s/%.40s", uio, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        len = read(fd, text, room - 1);
        crossvm_i_posix_close(fd);
    }
    text[len < 0 ? 0 : len] = '\0';
}

/* Whether a UIO device is the driver's: it is called "uio_ivshmem[SLOT]" then. */
CROSSVM_INLINE bool crossvm_i_ivshmem_v2_is_one(const char *uio,
                                                char slot[CROSSVM_IVSHMEM_SLOT_LEN])
{
    static const char prefix[] = "uio_ivshmem[";
    char text[64];
    const char *at = text + sizeof(prefix) - 1;
    size_t len = 0;
    crossvm_i_ivshmem_v2_text(uio, "name", text, sizeof(text));
    if (__builtin_strncmp(text, prefix, sizeof(prefix) - 1) != 0) {
        return false;
    }
    while (at[len] != ']' && at[len] != '\0' && len < CROSSVM_IVSHMEM_SLOT_LEN) {
        len++;
    }
    if (at[len] != ']' || len == 0 || len == CROSSVM_IVSHMEM_SLOT_LEN) {
        return false;
    }
    __builtin_memset(slot, 0, CROSSVM_IVSHMEM_SLOT_LEN);
    __builtin_memcpy(slot, at, len);
    return true;
}

/* The number of a map. 0 and up; NOT_FOUND. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_map_find(const char *uio, const char *name)
{
    char file[32];
    char text[32];
    char wanted[32];
    (void)snprintf(wanted, sizeof(wanted), "%.20s\n", name);
    for (int i = 0; i < 5; i++) { /* as many as UIO has */
        (void)snprintf(file, sizeof(file), "maps/map%d/name", i);
        crossvm_i_ivshmem_v2_text(uio, file, text, sizeof(text));
        if (__builtin_strcmp(text, wanted) == 0) {
            return i;
        }
    }
    return CROSSVM_NOT_FOUND;
}

/* Maps one of the device's maps, whose number is its offset, in pages. OK; NOT_FOUND there is none
 * of that name; MISMATCH its length is no number of pages; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_map(const struct crossvm_ivshmem_v2 *v2, const char *uio,
                                            const char *name, enum crossvm_mapping_access access,
                                            struct crossvm_mapping *mapping)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    char file[32];
    char text[32];
    const char *at = text;
    int number = crossvm_i_ivshmem_v2_map_find(uio, name);
    if (number < 0) {
        return number;
    }
    (void)snprintf(file, sizeof(file), "maps/map%d/size", number);
    crossvm_i_ivshmem_v2_text(uio, file, text, sizeof(text));
    uint64_t len = crossvm_i_ivshmem_pci_number(&at);
    if (len == 0 || len % page != 0) {
        return CROSSVM_MISMATCH;
    }
    return crossvm_i_posix_map_at(mapping, v2->file, (uint64_t)number * page, len, access);
}

/* The same for a map that may be missing. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_map_if(const struct crossvm_ivshmem_v2 *v2, const char *uio,
                                               const char *name, enum crossvm_mapping_access access,
                                               struct crossvm_mapping *mapping)
{
    int status = crossvm_i_ivshmem_v2_map(v2, uio, name, access, mapping);
    return status == CROSSVM_NOT_FOUND ? CROSSVM_OK : status;
}

/* ---- devices ------------------------------------------------------------------------------- */

/* Lists the devices that the driver has taken, in no order. n: how many there is room for. total:
 * how many there are. Opens none of them: a look does not change a state. Role: anyone. OK; SYSTEM
 * with errno (ENOENT: no UIO). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_v2_list(
    struct crossvm_ivshmem_v2_device *devices, uint32_t n, uint32_t *total)
{
    DIR *folder = opendir("/sys/class/uio");
    struct dirent *entry;
    *total = 0;
    if (folder == NULL) {
        return CROSSVM_SYSTEM;
    }
    while ((entry = readdir(folder)) != NULL) {
        struct crossvm_ivshmem_v2_device device;
        if (entry->d_name[0] == '.' || !crossvm_i_ivshmem_v2_is_one(entry->d_name, device.slot)) {
            continue;
        }
        (void)snprintf(device.uio, sizeof(device.uio), "%.15s", entry->d_name);
        if (*total < n) {
            devices[*total] = device;
        }
        (*total)++;
    }
    (void)closedir(folder);
    return CROSSVM_OK;
}

/* The UIO device of a slot, or of the name that it has itself. OK; NOT_FOUND; TYPE another one. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_find(const char *which, char uio[16])
{
    struct crossvm_ivshmem_v2_device devices[CROSSVM_IVSHMEM_DEVICES];
    uint32_t total;
    char text[64];
    if (__builtin_strncmp(which, "uio", 3) == 0) {
        (void)snprintf(uio, 16, "%.15s", which);
        crossvm_i_ivshmem_v2_text(uio, "name", text, sizeof(text));
        if (text[0] == '\0') {
            return CROSSVM_NOT_FOUND;
        }
        return crossvm_i_ivshmem_v2_is_one(uio, devices[0].slot) ? CROSSVM_OK : CROSSVM_TYPE;
    }
    if (crossvm_ivshmem_v2_list(devices, CROSSVM_IVSHMEM_DEVICES, &total) != CROSSVM_OK) {
        return CROSSVM_NOT_FOUND;
    }
    total = total < CROSSVM_IVSHMEM_DEVICES ? total : CROSSVM_IVSHMEM_DEVICES;
    for (uint32_t i = 0; i < total; i++) {
        if (__builtin_strcmp(devices[i].slot, which) == 0) {
            __builtin_memcpy(uio, devices[i].uio, 16);
            return CROSSVM_OK;
        }
    }
    return CROSSVM_NOT_FOUND;
}

/* A register is a little-endian word like a shared one, accessed in one piece. */
CROSSVM_INLINE struct crossvm_le32 *crossvm_i_ivshmem_v2_register(
    const struct crossvm_ivshmem_v2 *v2, uint32_t off)
{
    return (struct crossvm_le32 *)(void *)((unsigned char *)v2->registers.base + off);
}

/* ---- coming up ----------------------------------------------------------------------------- */

/* What the registers and the lengths of the maps say has to fit. OK; MISMATCH. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_judge(struct crossvm_ivshmem_v2 *v2)
{
    v2->id = crossvm_load_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_ID));
    v2->n_ids =
        crossvm_load_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_MAX_PEERS));
    v2->output_len = v2->output.len;
    bool fits = v2->n_ids >= 2 && v2->n_ids <= CROSSVM_IVSHMEM_V2_PEERS && v2->id < v2->n_ids &&
                v2->table.len >= (uint64_t)v2->n_ids * sizeof(uint32_t) &&
                v2->inputs.len / v2->n_ids == v2->output_len && v2->inputs.len % v2->n_ids == 0;
    return fits ? CROSSVM_OK : CROSSVM_MISMATCH;
}

/* All maps. OK; NOT_FOUND a map is missing that there is always; MISMATCH; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_map_all(struct crossvm_ivshmem_v2 *v2, const char *uio)
{
    int status = crossvm_i_ivshmem_v2_map(v2, uio, "registers", CROSSVM_READ_WRITE, &v2->registers);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_v2_map(v2, uio, "state_table", CROSSVM_READ_ONLY, &v2->table);
    }
    if (status == CROSSVM_OK) {
        status =
            crossvm_i_ivshmem_v2_map_if(v2, uio, "rw_section", CROSSVM_READ_WRITE, &v2->shared);
    }
    if (status == CROSSVM_OK) {
        status =
            crossvm_i_ivshmem_v2_map_if(v2, uio, "input_sections", CROSSVM_READ_ONLY, &v2->inputs);
    }
    if (status == CROSSVM_OK) {
        status =
            crossvm_i_ivshmem_v2_map_if(v2, uio, "output_section", CROSSVM_READ_WRITE, &v2->output);
    }
    return status == CROSSVM_OK ? crossvm_i_ivshmem_v2_judge(v2) : status;
}

/* What the maps of memory are; the last one's findings stay. Statuses of the examination. */
CROSSVM_INLINE int crossvm_i_ivshmem_v2_examine(struct crossvm_ivshmem_v2 *v2)
{
    struct crossvm_mapping *maps[3] = {&v2->inputs, &v2->shared, &v2->output};
    int status = CROSSVM_OK;
    for (unsigned i = 0; i < 3 && status == CROSSVM_OK; i++) {
        if (maps[i]->base != NULL) {
            status = crossvm_mapping_examine(maps[i], CROSSVM_UNCACHED, &v2->examination);
        }
    }
    return status;
}

CROSSVM_INLINE int crossvm_i_ivshmem_v2_open(struct crossvm_ivshmem_v2 *v2, const char *which)
{
    char uio[16];
    char path[32];
    int status = crossvm_i_ivshmem_v2_find(which, uio);
    if (status != CROSSVM_OK) {
        return status;
    }
    (void)snprintf(path, sizeof(path), "/dev/%.15s", uio);
    v2->file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (v2->file < 0) {
        return CROSSVM_SYSTEM;
    }
    status = crossvm_i_ivshmem_v2_map_all(v2, uio);
    if (status == CROSSVM_NOT_FOUND) {
        status = CROSSVM_TYPE;
    }
    return status == CROSSVM_OK ? crossvm_i_ivshmem_v2_examine(v2) : status;
}

/* From now on this end may be interrupted, once. The barriers: what was published before stands in
 * memory, and what is looked at from now on is looked at behind the write. */
CROSSVM_INLINE void crossvm_i_ivshmem_v2_arm(const struct crossvm_ivshmem_v2 *v2)
{
    crossvm_system_barrier();
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_CONTROL), 1);
    crossvm_system_barrier();
}

/* ---- in use -------------------------------------------------------------------------------- */

/* Gives a device up: this end's state falls to 0, which interrupts all others. Safe to call twice.
 * Role: whoever opened it. */
CROSSVM_INLINE void crossvm_ivshmem_v2_close(struct crossvm_ivshmem_v2 *v2)
{
    crossvm_i_posix_unmap(&v2->output);
    crossvm_i_posix_unmap(&v2->inputs);
    crossvm_i_posix_unmap(&v2->shared);
    crossvm_i_posix_unmap(&v2->table);
    crossvm_i_posix_unmap(&v2->registers);
    if (v2->file >= 0) {
        crossvm_i_posix_close(v2->file);
        v2->file = -1;
    }
}

/* Opens a device that the driver has taken, with all its memory and interrupts. which:
 * its slot, like "0000:00:0e.0", or its name among UIO devices, like "uio0". The own state stays 0
 * until crossvm_ivshmem_v2_set_state. Role: anyone; one at a time, which nobody checks: a second
 * one's close would say that the first has died. Takes some milliseconds.
 * OK; NOT_FOUND no such device, or the driver has not taken it; TYPE it is another driver's;
 * MISMATCH its registers and the lengths of its maps do not fit each other, or this kernel's pages;
 * MISALIGNED, NO_SPACE, ROLE as crossvm_mapping_examine; SYSTEM with errno (EACCES; EFBIG; EINVAL
 * the driver refuses the access). Unless OK nothing is left open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_v2_open(struct crossvm_ivshmem_v2 *v2,
                                                             const char *which)
{
    __builtin_memset(v2, 0, sizeof(*v2));
    v2->file = -1;
    int status = crossvm_i_ivshmem_v2_open(v2, which);
    if (status != CROSSVM_OK) {
        int error = errno;
        crossvm_ivshmem_v2_close(v2);
        errno = error;
        return status;
    }
    crossvm_i_ivshmem_v2_arm(v2);
    return CROSSVM_OK;
}

/* The output of a peer, for reading: attach to the region in it. mapping: part of the device's, not
 * to be unmapped; not to be used after close. Role: whoever opened it. Wait-free. OK, also for the
 * own id and for a peer that is not there; NOT_FOUND no such id, or the device has no outputs. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_v2_peer(const struct crossvm_ivshmem_v2 *v2,
                                                             uint32_t peer,
                                                             struct crossvm_mapping *mapping)
{
    if (peer >= v2->n_ids || v2->inputs.base == NULL) {
        return CROSSVM_NOT_FOUND;
    }
    *mapping = v2->inputs;
    mapping->base = (unsigned char *)v2->inputs.base + (size_t)peer * (size_t)v2->output_len;
    mapping->len = v2->output_len;
    return CROSSVM_OK;
}

/* ---- states -------------------------------------------------------------------------------- */

/* Says what state this end is in; a change interrupts all others. state: a number of the caller's,
 * 0 = not there. Who wants a restart noticed takes another number for each life, as an incarnation.
 * What was published before is visible to whoever sees the state. Role: whoever opened it.
 * Wait-free but for the hypervisor. */
CROSSVM_INLINE void crossvm_ivshmem_v2_set_state(const struct crossvm_ivshmem_v2 *v2,
                                                 uint32_t state)
{
    crossvm_system_barrier();
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_STATE), state);
}

/* A peer's state, by the table. state: set if OK; 0 = not there. What is read of the peer's memory
 * afterwards is at least as new. Role: whoever opened it. Wait-free. Trust: it is what the peer
 * says, or the hypervisor, when the peer is gone. OK; NOT_FOUND no such id. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_v2_state(const struct crossvm_ivshmem_v2 *v2,
                                                              uint32_t peer, uint32_t *state)
{
    if (peer >= v2->n_ids) {
        return CROSSVM_NOT_FOUND;
    }
    *state = crossvm_load_relaxed((const struct crossvm_le32 *)v2->table.base + peer);
    crossvm_system_barrier();
    return CROSSVM_OK;
}

/* Learns what has become of the states of watched peers, one change a call; call again until EMPTY.
 * watched: n_watched of the caller's, in any order. change: set if OK. When `died`, drain, and call
 * crossvm_peer_confirm(&peer, CROSSVM_PEER_CAUSE_BACKEND). A peer that died and came back between
 * two calls shows as a change from one number to another, if each life has its own, and else not.
 * Role: whoever opened it, after each wait that was rung, and now and then: state changes ring
 * vector 0. Takes n_watched loads. OK; EMPTY nothing new; NOT_FOUND an id that there is not. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_v2_step(
    const struct crossvm_ivshmem_v2 *v2, struct crossvm_ivshmem_v2_watch *watched,
    uint32_t n_watched, struct crossvm_ivshmem_v2_change *change)
{
    for (uint32_t i = 0; i < n_watched; i++) {
        uint32_t now;
        int status = crossvm_ivshmem_v2_state(v2, watched[i].id, &now);
        if (status != CROSSVM_OK) {
            return status;
        }
        if (now == watched[i].state) {
            continue;
        }
        change->peer = watched[i].id;
        change->before = watched[i].state;
        change->now = now;
        change->died = now == 0;
        watched[i].state = now;
        return CROSSVM_OK;
    }
    return CROSSVM_EMPTY;
}

/* ---- notify -------------------------------------------------------------------------------- */

CROSSVM_INLINE int crossvm_i_ivshmem_v2_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct crossvm_ivshmem_v2 *v2 = (const struct crossvm_ivshmem_v2 *)context;
    if (peer >= v2->n_ids || vector > 0xffff) {
        return CROSSVM_NOT_FOUND;
    }
    crossvm_system_barrier();
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_DOORBELL),
                          peer << 16 | vector);
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_ivshmem_v2_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    const struct crossvm_ivshmem_v2 *v2 = (const struct crossvm_ivshmem_v2 *)context;
    uint32_t count;
    if (vector != 0) {
        return CROSSVM_NOT_FOUND;
    }
    for (;;) {
        /* The count only grows; the kernel remembers which one this file has read. */
        if (read(v2->file, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
            crossvm_i_ivshmem_v2_arm(v2);
            return CROSSVM_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return CROSSVM_SYSTEM;
        }
        int status = crossvm_i_posix_poll(v2->file, deadline_ns);
        if (status != CROSSVM_OK) {
            /* A signal handler ran: let the caller look around. */
            return status == CROSSVM_SYSTEM && errno == EINTR ? CROSSVM_OK : status;
        }
    }
}

CROSSVM_INLINE int crossvm_i_ivshmem_v2_fd(void *context, uint32_t vector)
{
    const struct crossvm_ivshmem_v2 *v2 = (const struct crossvm_ivshmem_v2 *)context;
    return vector == 0 ? v2->file : CROSSVM_NOT_FOUND;
}

/* Makes a notify of a device's doorbells: peers are ids; a ring to one that is not there is lost.
 * There is one own vector, 0, which hears rings of any vector, and changes of states. A descriptor
 * that polled readable is waited for before it is polled again, with deadline 0 if need be: only a
 * wait lets the next interrupt through. Deadlines are times of crossvm_posix_now. A signal that the
 * process handles ends a wait as a false alarm. */
CROSSVM_INLINE void crossvm_notify_ivshmem_v2(struct crossvm_notify *notify,
                                              struct crossvm_ivshmem_v2 *v2)
{
    static const struct crossvm_notify_ops ops = {
        crossvm_i_ivshmem_v2_signal, crossvm_i_ivshmem_v2_wait, crossvm_i_ivshmem_v2_fd,
        crossvm_i_posix_notify_now,  crossvm_i_posix_rest,
    };
    notify->ops = &ops;
    notify->context = v2;
    notify->n_sent = 0;
    notify->n_suppressed = 0;
}

CROSSVM_EXTERN_C_END

#endif
