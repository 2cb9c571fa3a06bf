/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/memfd.h - a region in anonymous memory that one process writes and the processes
 * it hands it to can only read.
 *
 * Layer 6. Roles: the creator maps read-write and hands a descriptor over a UNIX socket; whoever
 * receives it maps read-only. No shared bytes of its own.
 *
 * A read-only descriptor alone can be reopened writable through /proc. So the memory is sealed once
 * the creator has mapped it: no later mapping, write, truncation or further seal is possible, for
 * anyone, the creator included. A writer that restarts therefore makes a new region and hands it
 * over again; memory that survives its writer is named memory (shm.h).
 */
#ifndef CROSSVM_BACKEND_MEMFD_H
#define CROSSVM_BACKEND_MEMFD_H

#include "posix.h"

#include <stdio.h>
#include <sys/socket.h>

CROSSVM_EXTERN_C_BEGIN

/* No growing, no shrinking, no write through any later descriptor or mapping, no other seal. */
#define CROSSVM_I_MEMFD_SEALS \
    (F_SEAL_SHRINK | F_SEAL_GROW | CROSSVM_I_SEAL_FUTURE_WRITE | F_SEAL_SEAL)
#if defined(F_SEAL_FUTURE_WRITE)
#define CROSSVM_I_SEAL_FUTURE_WRITE F_SEAL_FUTURE_WRITE
#else
#define CROSSVM_I_SEAL_FUTURE_WRITE 0x0010
#endif

#define CROSSVM_MEMFD_MAX 16u /* descriptors in one message, at most */

/* Memory and its descriptor. */
struct crossvm_memfd {
    int fd;                         /* read-only: the one to hand over */
    struct crossvm_mapping mapping; /* read-write at the creator, else read-only */
};

/* A read-only descriptor of the same memory. */
CROSSVM_INLINE int crossvm_i_memfd_read_only(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Creates len bytes of memory (rounded up to pages by the system), all zero, mapped read-write here
 * and writable nowhere else. name: for /proc only. OK; SYSTEM with errno (EINVAL: a kernel older
 * than 5.1 cannot seal future writes). Unless OK nothing is left behind. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_memfd_create(struct crossvm_memfd *memfd,
                                                          const char *name, uint64_t len)
{
    memfd->fd = -1;
    memfd->mapping.base = NULL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return CROSSVM_SYSTEM;
    }
    int status = crossvm_i_posix_allocate(fd, len);
    if (status == CROSSVM_OK && fchmod(fd, S_IRUSR) != 0) {
        status = CROSSVM_SYSTEM;
    }
    if (status == CROSSVM_OK) {
        status = crossvm_i_posix_map(&memfd->mapping, fd, len, CROSSVM_READ_WRITE);
    }
    if (status == CROSSVM_OK && fcntl(fd, F_ADD_SEALS, CROSSVM_I_MEMFD_SEALS) != 0) {
        status = CROSSVM_SYSTEM;
    }
    if (status == CROSSVM_OK) {
        memfd->fd = crossvm_i_memfd_read_only(fd);
        status = memfd->fd < 0 ? CROSSVM_SYSTEM : CROSSVM_OK;
    }
    if (status != CROSSVM_OK) {
        int error = errno;
        crossvm_i_posix_unmap(&memfd->mapping);
        errno = error;
    }
    crossvm_i_posix_close(fd);
    return status;
}

/* Maps memory that was received, read-only. fd: becomes the memfd's own in any case. OK; ROLE it is
 * not sealed as crossvm_memfd_create seals: its giver could shrink it under us, or others could
 * write it; SYSTEM with errno. Unless OK the descriptor is closed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_memfd_open(struct crossvm_memfd *memfd, int fd)
{
    struct stat stat;
    int status = CROSSVM_OK;
    memfd->fd = fd;
    memfd->mapping.base = NULL;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &stat) != 0) {
        status = CROSSVM_SYSTEM;
    } else if ((seals & CROSSVM_I_MEMFD_SEALS) != CROSSVM_I_MEMFD_SEALS) {
        status = CROSSVM_ROLE;
    } else {
        status =
            crossvm_i_posix_map(&memfd->mapping, fd, (uint64_t)stat.st_size, CROSSVM_READ_ONLY);
    }
    if (status != CROSSVM_OK) {
        crossvm_i_posix_close(fd);
        memfd->fd = -1;
    }
    return status;
}

/* Unmaps and closes; the memory lives on while others have it. Safe to call twice. */
CROSSVM_INLINE void crossvm_memfd_close(struct crossvm_memfd *memfd)
{
    crossvm_i_posix_unmap(&memfd->mapping);
    if (memfd->fd >= 0) {
        (void)close(memfd->fd);
        memfd->fd = -1;
    }
}

/* Room for more than is ever sent: what a giver adds must be seen to be closed. */
#define CROSSVM_I_MEMFD_ROOM    256u
#define CROSSVM_I_MEMFD_CONTROL (CMSG_SPACE(CROSSVM_I_MEMFD_ROOM * sizeof(int)))

/* One message with descriptors, as the system wants it. */
struct crossvm_i_memfd_message {
    struct msghdr header;
    struct iovec bytes;
    size_t control[CROSSVM_I_MEMFD_CONTROL / sizeof(size_t)];
    unsigned char count;
};

CROSSVM_INLINE void crossvm_i_memfd_prepare(struct crossvm_i_memfd_message *message, size_t room)
{
    __builtin_memset(message, 0, sizeof(*message));
    message->bytes.iov_base = &message->count;
    message->bytes.iov_len = 1;
    message->header.msg_iov = &message->bytes;
    message->header.msg_iovlen = 1;
    message->header.msg_control = message->control;
    message->header.msg_controllen = room;
}

/* Hands n descriptors (memfds, eventfds) over a UNIX socket. Blocks as the socket does. n: 1 to
 * CROSSVM_MEMFD_MAX. OK; INVALID n; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_memfd_send(int socket, const int *fds, uint32_t n)
{
    struct crossvm_i_memfd_message message;
    if (n == 0 || n > CROSSVM_MEMFD_MAX) {
        return CROSSVM_INVALID;
    }
    crossvm_i_memfd_prepare(&message, CMSG_SPACE(n * sizeof(int)));
    message.count = (unsigned char)n;
    struct cmsghdr *control = CMSG_FIRSTHDR(&message.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(n * sizeof(int));
    __builtin_memcpy(CMSG_DATA(control), fds, n * sizeof(int));
    return sendmsg(socket, &message.header, MSG_NOSIGNAL) == 1 ? CROSSVM_OK : CROSSVM_SYSTEM;
}

/* Takes every descriptor out of a message, however its giver packed them. */
CROSSVM_INLINE uint32_t crossvm_i_memfd_unpack(struct crossvm_i_memfd_message *message,
                                               int received[CROSSVM_I_MEMFD_ROOM])
{
    uint32_t came = 0;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&message->header); control != NULL;
         control = CMSG_NXTHDR(&message->header, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t here = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here && came < CROSSVM_I_MEMFD_ROOM; i++) {
            __builtin_memcpy(&received[came], CMSG_DATA(control) + i * sizeof(int), sizeof(int));
            came++;
        }
    }
    return came;
}

/* Receives exactly n descriptors that the other end sent at once. Blocks as the socket does. n: 1
 * to CROSSVM_MEMFD_MAX.
 * OK; INVALID n; EMPTY the other end has closed; MISMATCH another number of descriptors, or none,
 * or some were lost (also because this process may open no more): what came is closed; SYSTEM with
 * errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_memfd_receive(int socket, int *fds, uint32_t n)
{
    struct crossvm_i_memfd_message message;
    int received[CROSSVM_I_MEMFD_ROOM];
    if (n == 0 || n > CROSSVM_MEMFD_MAX) {
        return CROSSVM_INVALID;
    }
    crossvm_i_memfd_prepare(&message, sizeof(message.control));
    ssize_t len = recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC);
    if (len < 0) {
        return CROSSVM_SYSTEM;
    }
    uint32_t came = crossvm_i_memfd_unpack(&message, received);
    if (len == 1 && came == n && message.count == n &&
        (message.header.msg_flags & MSG_CTRUNC) == 0) {
        __builtin_memcpy(fds, received, n * sizeof(int));
        return CROSSVM_OK;
    }
    for (uint32_t i = 0; i < came; i++) {
        (void)close(received[i]);
    }
    return len == 0 && came == 0 ? CROSSVM_EMPTY : CROSSVM_MISMATCH;
}

/* Whether the process at the other end of a UNIX socket has closed it, or died: what its last
 * messages say can still be received. So a death is learnt for crossvm_peer_confirm, if the socket
 * stays open for as long as the link, and no other process has the other end. Role: anyone. Never
 * blocks. 1 it has; 0 it has not; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_memfd_hung_up(int socket)
{
    const struct timespec now = {0, 0};
    struct pollfd end = {socket, POLLRDHUP, 0};
    if (ppoll(&end, 1, &now, NULL) < 0) {
        return CROSSVM_SYSTEM;
    }
    if (socket < 0 || (end.revents & POLLNVAL) != 0) {
        errno = EBADF;
        return CROSSVM_SYSTEM;
    }
    return end.revents != 0;
}

CROSSVM_EXTERN_C_END

#endif
