/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/posix.h - what the backends of one Linux host share: a clock, mapping a file.
 *
 * Layer 6. Roles: anyone. No shared bytes.
 *
 * The backends need declarations that C libraries hide in strict modes. Include a backend before
 * any system header, or compile with -D_GNU_SOURCE.
 */
#ifndef CROSSVM_BACKEND_POSIX_H
#define CROSSVM_BACKEND_POSIX_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__) && !defined(__USE_GNU)
#error "include crossvm/backend headers before system headers, or compile with -D_GNU_SOURCE"
#endif

#include "../clock.h"
#include "../region.h"

CROSSVM_EXTERN_C_BEGIN

/* CLOCK_MONOTONIC in ns: never backward; it stands still while the machine sleeps. Wait-free. */
CROSSVM_INLINE uint64_t crossvm_posix_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The same as a notify's clock (notify.h). */
CROSSVM_INLINE uint64_t crossvm_i_posix_notify_now(void *context)
{
    (void)context;
    return crossvm_posix_now();
}

/* A deadline as the system takes it; one that never comes is 2^31 - 1 s after boot. */
CROSSVM_INLINE struct timespec crossvm_i_posix_timespec(uint64_t ns)
{
    struct timespec time;
    uint64_t seconds = ns / 1000000000u;
    time.tv_sec = seconds > 0x7fffffffu ? (time_t)0x7fffffff : (time_t)seconds;
    time.tv_nsec = (long)(ns % 1000000000u);
    return time;
}

/* Sleeps until a time of crossvm_posix_now, or until a signal (notify.h). */
CROSSVM_INLINE void crossvm_i_posix_rest(void *context, uint64_t until_ns)
{
    const struct timespec until = crossvm_i_posix_timespec(until_ns);
    (void)context;
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Waits until a descriptor is readable. OK it may be; TIMEOUT; SYSTEM with errno, EINTR if a signal
 * handler ran. */
CROSSVM_INLINE int crossvm_i_posix_poll(int fd, uint64_t deadline_ns)
{
    struct pollfd poll = {fd, POLLIN, 0};
    uint64_t now_ns = crossvm_posix_now();
    if (now_ns >= deadline_ns) {
        return CROSSVM_TIMEOUT;
    }
    struct timespec left = crossvm_i_posix_timespec(deadline_ns - now_ns);
    return ppoll(&poll, 1, &left, NULL) < 0 ? CROSSVM_SYSTEM : CROSSVM_OK;
}

/* The clock domain of crossvm_posix_now: this kernel since this boot, and this time namespace,
 * since namespaces shift the clock. OK; SYSTEM with errno (the
 * domain is then one that compares with nothing). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_posix_clock(struct crossvm_clock_domain *domain)
{
    char id[36];
    domain->kind = CROSSVM_CLOCK_UNKNOWN;
    domain->id = 0;
    domain->rate = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return CROSSVM_SYSTEM;
    }
    ssize_t len = read(fd, id, sizeof(id));
    (void)close(fd);
    if (len != (ssize_t)sizeof(id)) {
        errno = EIO;
        return CROSSVM_SYSTEM;
    }
    struct stat space;
    uint64_t number = stat("/proc/self/ns/time", &space) == 0 ? (uint64_t)space.st_ino : 0;
    unsigned char bytes[8]; /* the same for processes of either byte order on one kernel */
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
    domain->kind = CROSSVM_CLOCK_MONOTONIC;
    domain->id = crossvm_fnv1a(CROSSVM_FNV1A_START, id, sizeof(id));
    domain->id = crossvm_fnv1a(domain->id, bytes, sizeof(bytes));
    return CROSSVM_OK;
}

/* Maps len bytes of a file from an offset. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_posix_map_at(struct crossvm_mapping *mapping, int fd, uint64_t off,
                                          uint64_t len, enum crossvm_mapping_access access)
{
    int prot = access == CROSSVM_READ_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    if (len == 0 || len > SIZE_MAX / 2) {
        errno = EFBIG;
        return CROSSVM_SYSTEM;
    }
    void *base = mmap(NULL, (size_t)len, prot, MAP_SHARED, fd, (off_t)off);
    if (base == MAP_FAILED) {
        return CROSSVM_SYSTEM;
    }
    mapping->base = base;
    mapping->len = len;
    mapping->access = (uint32_t)access;
    mapping->memory = CROSSVM_WRITE_BACK;
    return CROSSVM_OK;
}

/* Maps len bytes of a file from its start. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_posix_map(struct crossvm_mapping *mapping, int fd, uint64_t len,
                                       enum crossvm_mapping_access access)
{
    return crossvm_i_posix_map_at(mapping, fd, 0, len, access);
}

/* Unmaps; handles made from the mapping must not be used afterwards. Safe on an empty one. */
CROSSVM_INLINE void crossvm_i_posix_unmap(struct crossvm_mapping *mapping)
{
    if (mapping->base != NULL) {
        (void)munmap(mapping->base, (size_t)mapping->len);
        mapping->base = NULL;
        mapping->len = 0;
    }
}

/* Gives a new file its length, with memory or disk behind every byte. OK; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_posix_allocate(int fd, uint64_t len)
{
    if (len == 0 || len > SIZE_MAX / 2) {
        errno = EFBIG;
        return CROSSVM_SYSTEM;
    }
    int error;
    do {
        error = posix_fallocate(fd, 0, (off_t)len);
    } while (error == EINTR);
    if (error != 0) {
        errno = error;
        return CROSSVM_SYSTEM;
    }
    return CROSSVM_OK;
}

/* Closes a descriptor without losing the errno that is on its way to the caller. */
CROSSVM_INLINE void crossvm_i_posix_close(int fd)
{
    int error = errno;
    (void)close(fd);
    errno = error;
}

CROSSVM_EXTERN_C_END

#endif
