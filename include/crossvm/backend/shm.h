/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/shm.h - a region in named shared memory that survives its processes.
 *
 * Layer 6. Roles: one creator, one writer at a time, readers in any number; all of one user. No
 * shared bytes of its own.
 *
 * The memory is readable and writable by its owner alone (mode 0600), and memory of another owner
 * or with wider permissions is refused. It cannot be sealed: a process of the same user could map
 * it writable or cut it short. Between processes that do not trust each other use memfd.h.
 */
#ifndef CROSSVM_BACKEND_SHM_H
#define CROSSVM_BACKEND_SHM_H

#include "posix.h"

CROSSVM_EXTERN_C_BEGIN

/* Creates named memory of len bytes, all zero, and maps it read-write. name: one like "/car-state".
 * OK; SYSTEM with errno (EEXIST: the name is taken, ENOSPC: no memory). Unless OK nothing is left
 * behind. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_shm_create(struct crossvm_mapping *mapping,
                                                        const char *name, uint64_t len)
{
    mapping->base = NULL;
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return CROSSVM_SYSTEM;
    }
    int status = crossvm_i_posix_allocate(fd, len);
    if (status == CROSSVM_OK) {
        status = crossvm_i_posix_map(mapping, fd, len, CROSSVM_READ_WRITE);
    }
    if (status != CROSSVM_OK) {
        int error = errno;
        (void)shm_unlink(name);
        errno = error;
    }
    crossvm_i_posix_close(fd);
    return status;
}

/* Maps named memory that exists. access: read-only or, for a writer that restarts, read-write.
 * OK; NOT_YET its creator has not given it a length yet; ROLE it is no memory, belongs to another
 * user, or others may access it; SYSTEM with errno (ENOENT). */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_shm_open(struct crossvm_mapping *mapping,
                                                      const char *name,
                                                      enum crossvm_mapping_access access)
{
    struct stat stat;
    int status;
    mapping->base = NULL;
    /* Something else of that name, a pipe say, must not make us wait. */
    int flags = (access == CROSSVM_READ_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
    int fd = shm_open(name, flags, 0);
    if (fd < 0) {
        return CROSSVM_SYSTEM;
    }
    if (fstat(fd, &stat) != 0) {
        status = CROSSVM_SYSTEM;
    } else if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid() ||
               (stat.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        status = CROSSVM_ROLE;
    } else if (stat.st_size == 0) {
        status = CROSSVM_NOT_YET;
    } else {
        status = crossvm_i_posix_map(mapping, fd, (uint64_t)stat.st_size, access);
    }
    crossvm_i_posix_close(fd);
    return status;
}

/* Unmaps; the memory stays. Safe to call twice. */
CROSSVM_INLINE void crossvm_shm_close(struct crossvm_mapping *mapping)
{
    crossvm_i_posix_unmap(mapping);
}

/* Takes the name away; the memory goes with its last mapping. OK; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_shm_unlink(const char *name)
{
    return shm_unlink(name) == 0 ? CROSSVM_OK : CROSSVM_SYSTEM;
}

CROSSVM_EXTERN_C_END

#endif
