/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/ivshmem_v2.h - a model of connected ivshmem devices, version 2, and of the driver
 * that shows them as UIO devices, for a test without either: written from the specification and
 * the driver (backend/ivshmem_v2.h names both), not from the backend.
 *
 * The first include of a test that uses it: it builds the library with CROSSVM_HOOKS, so that the
 * model learns of each access to registers, and puts itself between the backend and the system
 * calls open, read, close, mmap and opendir.
 *
 * A write to a register acts at the next access or system call: nothing could tell that from at
 * once. What the specification says of the devices, and what the model does:
 *
 *   a doorbell    counts at the target's UIO device if the target's control bit is set, else it is
 *                 lost; so is a vector that there is not, or a target that is not there
 *   one-shot      an interrupt clears the target's control bit
 *   a new state   stands in the table, and rings vector 0 of all others
 *   closing       the driver writes 0 to the state
 *   read-only     the driver refuses to map the table and the outputs of all for writing (EINVAL)
 *
 * What it holds the backend to, at each access: a barrier is the last thing in front of a write to
 * a register, and the first behind a write to Interrupt Control; no write to a register that is
 * only read, or to none.
 */
#ifndef CROSSVM_TESTS_SUPPORT_IVSHMEM_V2_H
#define CROSSVM_TESTS_SUPPORT_IVSHMEM_V2_H

#define CROSSVM_HOOKS

#include "tree.h"

#include <crossvm/crossvm.h>

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

enum {
    V2_ENDS = 3,
    V2_VECTORS = 4,
    V2_MAPS = 5,
    V2_TABLE = 0, /* parts of the memory, in order */
    V2_SHARED = 1,
    V2_OUTPUTS = 2
};

/* A UIO device's map. */
struct v2_map {
    const char *name;
    int fd;
    uint64_t off; /* in fd */
    uint64_t len;
    bool read_only;
};

/* One end: a device, its driver, and whoever has opened it. */
struct v2_end {
    unsigned char *registers; /* as the device sees them */
    unsigned char *mapped;    /* where the program has them; NULL = nowhere */
    struct v2_map maps[V2_MAPS];
    unsigned n_maps;
    uint32_t state;
    bool armed;
    int file;          /* as it was opened; -1 = not */
    uint32_t n_events; /* since the driver took the device */
    uint32_t n_opened;
    uint32_t n_lost; /* interrupts that were not let through */
};

/* All of them. */
static struct {
    struct v2_end ends[V2_ENDS];
    unsigned char *table; /* as the hypervisor sees it */
    uint64_t page;
    uint64_t lens[3];     /* of the memory's parts; of one output */
    struct v2_end *wrote; /* whose register was written, not yet acted on */
    uint32_t wrote_off;
    bool barrier_last;   /* nothing was accessed since the last barrier */
    bool barrier_wanted; /* Interrupt Control was written, and no barrier followed yet */
    int open_error;      /* why devices cannot be opened, 0 = they can */
    bool gone;           /* the driver has lost its devices */
} v2_model;

/* ---- the devices ----------------------------------------------------------------------------- */

static inline uint32_t v2_get(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void v2_set(unsigned char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static inline void v2_interrupt(struct v2_end *end, uint32_t vector)
{
    const uint64_t one = 1;
    if (vector >= V2_VECTORS) {
        return;
    }
    if (!end->armed) {
        end->n_lost++;
        return;
    }
    end->armed = false;
    v2_set(end->registers + 8, 0);
    end->n_events++;
    if (end->file >= 0) {
        REQUIRE(write(end->file, &one, sizeof(one)) == (ssize_t)sizeof(one));
    }
}

static inline void v2_new_state(struct v2_end *end, uint32_t state)
{
    if (state == end->state) {
        return;
    }
    end->state = state;
    v2_set(end->registers + 16, state);
    v2_set(v2_model.table + 4 * (end - v2_model.ends), state);
    for (unsigned i = 0; i < V2_ENDS; i++) {
        if (&v2_model.ends[i] != end) {
            v2_interrupt(&v2_model.ends[i], 0);
        }
    }
}

static inline void v2_written(struct v2_end *end, uint32_t off)
{
    uint32_t value = v2_get(end->registers + off);
    if (off == 8) {
        end->armed = (value & 1) != 0;
        v2_set(end->registers + off, value & 1);
    } else if (off == 12) {
        v2_set(end->registers + off, 0xdeadbeef); /* undefined to read */
        if (value >> 16 < V2_ENDS) {
            v2_interrupt(&v2_model.ends[value >> 16], value & 0xffff);
        }
    } else {
        v2_new_state(end, value);
    }
}

/* Acts on what was written. */
static inline void v2_settle(void)
{
    struct v2_end *end = v2_model.wrote;
    v2_model.wrote = NULL;
    if (end != NULL) {
        v2_written(end, v2_model.wrote_off);
    }
}

/* ---- the program's accesses ------------------------------------------------------------------ */

static inline void v2_barrier(void)
{
    crossvm_system_barrier();
    v2_model.barrier_last = true;
    v2_model.barrier_wanted = false;
}

static inline void v2_register_accessed(struct v2_end *end, bool store, size_t len, uint32_t off)
{
    CHECK_EQ(len, 4);
    CHECK_EQ(off % 4, 0);
    CHECK(off <= 16);
    CHECK(store || off != 12);
    if (store) {
        CHECK(off == 8 || off == 12 || off == 16);
        CHECK(v2_model.barrier_last);
        v2_model.barrier_wanted = off == 8;
        v2_model.wrote = end;
        v2_model.wrote_off = off;
    }
}

void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    const volatile unsigned char *at = (const volatile unsigned char *)addr;
    v2_settle();
    CHECK(!v2_model.barrier_wanted);
    for (unsigned i = 0; i < V2_ENDS; i++) {
        struct v2_end *end = &v2_model.ends[i];
        if (end->mapped != NULL && at >= end->mapped && at < end->mapped + v2_model.page) {
            v2_register_accessed(end, access == CROSSVM_ACCESS_STORE, len,
                                 (uint32_t)(at - end->mapped));
        }
    }
    v2_model.barrier_last = false;
}

/* ---- the driver ------------------------------------------------------------------------------ */

static inline struct v2_end *v2_end_of(int file)
{
    for (unsigned i = 0; i < V2_ENDS; i++) {
        if (file >= 0 && v2_model.ends[i].file == file) {
            return &v2_model.ends[i];
        }
    }
    return NULL;
}

static inline int v2_open(const char *path, int flags)
{
    char room[256];
    unsigned i = V2_ENDS;
    v2_settle();
    if (sscanf(path, "/dev/uio%u", &i) != 1 || i >= V2_ENDS) {
        return open(tree_path(path, room, sizeof(room)), flags);
    }
    struct v2_end *end = &v2_model.ends[i];
    if (v2_model.open_error != 0) {
        errno = v2_model.open_error;
        return -1;
    }
    CHECK((flags & O_ACCMODE) == O_RDWR); /* else its maps cannot be written */
    CHECK((flags & O_NONBLOCK) != 0);
    CHECK((flags & O_CLOEXEC) != 0);
    end->file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    end->n_opened++;
    return end->file;
}

static inline ssize_t v2_read(int file, void *to, size_t len)
{
    struct v2_end *end = v2_end_of(file);
    uint64_t since;
    v2_settle();
    if (end == NULL) {
        return read(file, to, len);
    }
    if (v2_model.gone || len != sizeof(end->n_events)) {
        errno = v2_model.gone ? EIO : EINVAL;
        return -1;
    }
    if (read(file, &since, sizeof(since)) < 0) {
        return -1; /* EAGAIN */
    }
    memcpy(to, &end->n_events, len);
    return (ssize_t)len;
}

static inline int v2_close(int file)
{
    struct v2_end *end = v2_end_of(file);
    v2_settle();
    if (end != NULL) {
        end->file = -1;
        end->mapped = NULL;
        v2_new_state(end, 0);
    }
    return close(file);
}

static inline void *v2_mmap(void *at, size_t len, int prot, int flags, int file, off_t off)
{
    struct v2_end *end = v2_end_of(file);
    v2_settle();
    if (end == NULL) {
        return mmap(at, len, prot, flags, file, off);
    }
    uint64_t number = (uint64_t)off / v2_model.page;
    if ((uint64_t)off % v2_model.page != 0 || number >= end->n_maps ||
        len > end->maps[number].len || (end->maps[number].read_only && (prot & PROT_WRITE) != 0)) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    const struct v2_map *map = &end->maps[number];
    void *base = mmap(at, len, prot, flags, map->fd, (off_t)map->off);
    if (number == 0 && base != MAP_FAILED) {
        end->mapped = (unsigned char *)base;
    }
    return base;
}

static inline DIR *v2_opendir(const char *path)
{
    char room[256];
    return opendir(tree_path(path, room, sizeof(room)));
}

/* ---- making them ----------------------------------------------------------------------------- */

static inline void v2_say(unsigned i, const char *file, const char *text)
{
    char path[128];
    char line[96];
    (void)snprintf(path, sizeof(path), "/sys/class/uio/uio%u/%s", i, file);
    (void)snprintf(line, sizeof(line), "%s\n", text);
    tree_put(path, line);
}

static inline void v2_say_len(unsigned i, unsigned map, uint64_t len)
{
    char file[32];
    char text[32];
    (void)snprintf(file, sizeof(file), "maps/map%u/size", map);
    (void)snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)len);
    v2_say(i, file, text);
}

static inline void v2_add_map(unsigned i, const char *name, int fd, uint64_t off, uint64_t len,
                              bool read_only)
{
    struct v2_end *end = &v2_model.ends[i];
    const struct v2_map map = {name, fd, off, len, read_only};
    char file[32];
    (void)snprintf(file, sizeof(file), "maps/map%u/name", end->n_maps);
    v2_say(i, file, name);
    v2_say_len(i, end->n_maps, len);
    end->maps[end->n_maps] = map;
    end->n_maps++;
}

static inline int v2_memory(uint64_t len)
{
    int fd = memfd_create("crossvm-test-v2", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, (off_t)len) == 0);
    return fd;
}

static inline void v2_make_end(unsigned i, int memory)
{
    struct v2_end *end = &v2_model.ends[i];
    const uint64_t *lens = v2_model.lens;
    char name[64];
    int fd = v2_memory(v2_model.page);
    memset(end, 0, sizeof(*end));
    end->file = -1;
    end->registers = (unsigned char *)mmap(NULL, (size_t)v2_model.page, PROT_READ | PROT_WRITE,
                                           MAP_SHARED, fd, 0);
    REQUIRE((void *)end->registers != MAP_FAILED);
    v2_set(end->registers, i);
    v2_set(end->registers + 4, V2_ENDS);
    (void)snprintf(name, sizeof(name), "uio_ivshmem[0000:00:%02x.0]", 14 + i);
    v2_say(i, "name", name);
    v2_add_map(i, "registers", fd, 0, v2_model.page, false);
    v2_add_map(i, "state_table", memory, 0, lens[V2_TABLE], true);
    if (lens[V2_SHARED] != 0) {
        v2_add_map(i, "rw_section", memory, lens[V2_TABLE], lens[V2_SHARED], false);
    }
    if (lens[V2_OUTPUTS] != 0) {
        uint64_t off = lens[V2_TABLE] + lens[V2_SHARED];
        v2_add_map(i, "input_sections", memory, off, V2_ENDS * lens[V2_OUTPUTS], true);
        v2_add_map(i, "output_section", memory, off + i * lens[V2_OUTPUTS], lens[V2_OUTPUTS],
                   false);
    }
}

/* How long the table is, in pages. */
static uint64_t v2_n_table = 1;

/* Three devices that are connected, each taken by the driver; lengths in pages. */
static inline void v2_make(uint64_t n_shared, uint64_t n_output)
{
    memset(&v2_model, 0, sizeof(v2_model));
    tree_make();
    v2_model.page = (uint64_t)sysconf(_SC_PAGESIZE);
    v2_model.lens[V2_TABLE] = v2_n_table * v2_model.page;
    v2_model.lens[V2_SHARED] = n_shared * v2_model.page;
    v2_model.lens[V2_OUTPUTS] = n_output * v2_model.page;
    int memory = v2_memory((v2_n_table + n_shared + V2_ENDS * n_output) * v2_model.page);
    v2_model.table = (unsigned char *)mmap(NULL, (size_t)v2_model.page, PROT_READ | PROT_WRITE,
                                           MAP_SHARED, memory, 0);
    REQUIRE((void *)v2_model.table != MAP_FAILED);
    for (unsigned i = 0; i < V2_ENDS; i++) {
        v2_make_end(i, memory);
    }
}

/* All of it goes; the ends have been closed. */
static inline void v2_drop(void)
{
    v2_settle();
    REQUIRE(close(v2_model.ends[0].maps[1].fd) == 0);
    for (unsigned i = 0; i < V2_ENDS; i++) {
        CHECK(v2_model.ends[i].file < 0);
        REQUIRE(close(v2_model.ends[i].maps[0].fd) == 0);
        REQUIRE(munmap(v2_model.ends[i].registers, (size_t)v2_model.page) == 0);
    }
    REQUIRE(munmap(v2_model.table, (size_t)v2_model.page) == 0);
    tree_drop();
}

/* ---- from here on the library's system calls are the model's --------------------------------- */

#define open(path, flags)                     v2_open(path, flags)
#define read(file, to, len)                   v2_read(file, to, len)
#define close(file)                           v2_close(file)
#define mmap(at, len, prot, flags, file, off) v2_mmap(at, len, prot, flags, file, off)
#define opendir(path)                         v2_opendir(path)
#define crossvm_system_barrier()              v2_barrier()

#endif
