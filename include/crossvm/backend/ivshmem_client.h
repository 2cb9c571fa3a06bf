/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/ivshmem_client.h - a process of the host as a peer of QEMU's ivshmem devices: the
 * memory and the doorbells that an ivshmem server hands out.
 *
 * Layer 6, on eventfd.h. Roles: one client, used by one thread at a time. No shared bytes of its
 * own. Each peer has an id; each vector of each peer is an eventfd, which the server sends when the
 * peer comes, and which is closed here when it says that the peer went. Source of the protocol:
 * QEMU, docs/specs/ivshmem-spec.rst.
 *
 * The server is believed: it hands out the memory and can replace any descriptor. Messages that do
 * not belong end the connection all the same. A server that ends takes nothing away: memory and
 * doorbells to those who were there stay, and nobody is told who comes and goes.
 */
#ifndef CROSSVM_BACKEND_IVSHMEM_CLIENT_H
#define CROSSVM_BACKEND_IVSHMEM_CLIENT_H

#include "eventfd.h"

#include <sys/socket.h>
#include <sys/un.h>

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_IVSHMEM_IDS          65536u /* a peer's id is less */
#define CROSSVM_IVSHMEM_CLIENT_TRIES 64     /* messages that a step looks at */

/* The caller's memory, and what the client is to be. */
struct crossvm_ivshmem_client_config {
    const char *path;                     /* of the server's socket */
    enum crossvm_mapping_access access;   /* of the memory */
    int *own;                             /* a descriptor for each own vector */
    uint32_t n_own;                       /* own vectors that the server has to have, from 1 */
    struct crossvm_eventfd_route *routes; /* one for each vector of each peer */
    uint32_t n_routes;                    /* how many there is room for */
};

/* A client's handle. */
struct crossvm_ivshmem_client {
    struct crossvm_eventfd bells;         /* for crossvm_notify_eventfd; peers are ids */
    struct crossvm_mapping mapping;       /* the memory */
    uint32_t id;                          /* own id */
    uint32_t n_left_out;                  /* vectors of others that there was no room for */
    int socket;                           /* polls readable when there is something to be learnt */
    struct crossvm_eventfd_route *routes; /* the caller's memory */
    int *own;                             /* the caller's memory */
    uint32_t room;                        /* for routes */
    uint32_t n_wanted;                    /* own vectors */
    uint32_t left_out;                    /* the peer whose vectors were left out last */
    unsigned char bytes[8];               /* of a message that is not whole */
    uint32_t n_bytes;                     /* how many */
    int fd;                               /* that came with it, -1 = none */
};

/* Who came or went. */
struct crossvm_ivshmem_change {
    uint32_t peer;   /* its id */
    uint32_t vector; /* that can be rung now; 0 when it went */
    bool there;      /* it came */
};

/* ---- messages ------------------------------------------------------------------------------ */

CROSSVM_INLINE void crossvm_i_ivshmem_client_drop_fd(struct crossvm_ivshmem_client *client)
{
    if (client->fd >= 0) {
        crossvm_i_posix_close(client->fd);
        client->fd = -1;
    }
}

/* Descriptors were lost: this process may open no more, or the message has more than one. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_cut(const struct crossvm_ivshmem_client *client)
{
    int probe = fcntl(client->socket, F_DUPFD_CLOEXEC, 0);
    if (probe < 0) {
        return CROSSVM_SYSTEM;
    }
    crossvm_i_posix_close(probe);
    return CROSSVM_MISMATCH;
}

/* Takes the descriptor of a piece of a message. Whether it is the message's first, and alone; else
 * what came is closed. */
CROSSVM_INLINE bool crossvm_i_ivshmem_client_take(struct crossvm_ivshmem_client *client,
                                                  struct cmsghdr *rights)
{
    int fds[2]; /* as many as there is room for */
    size_t n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    n = n < 2 ? n : 2;
    __builtin_memcpy(fds, CMSG_DATA(rights), n * sizeof(int));
    if (n == 1 && client->fd < 0) {
        client->fd = fds[0];
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        crossvm_i_posix_close(fds[i]);
    }
    return false;
}

/* Receives into what is there of a message; one descriptor at most comes with it. OK whole; EMPTY
 * not yet; STALE the server has gone; MISMATCH more than one descriptor; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_receive(struct crossvm_ivshmem_client *client)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec iov = {client->bytes + client->n_bytes, sizeof(client->bytes) - client->n_bytes};
    struct msghdr header;
    __builtin_memset(&header, 0, sizeof(header));
    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    header.msg_control = &control;
    header.msg_controllen = sizeof(control);
    ssize_t len = recvmsg(client->socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (len < 0) {
        return errno == EAGAIN || errno == EINTR ? CROSSVM_EMPTY : CROSSVM_SYSTEM;
    }
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    if (rights != NULL && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
        !crossvm_i_ivshmem_client_take(client, rights)) {
        return CROSSVM_MISMATCH;
    }
    if (len == 0) {
        return CROSSVM_STALE;
    }
    if ((header.msg_flags & MSG_CTRUNC) != 0) {
        return crossvm_i_ivshmem_client_cut(client);
    }
    client->n_bytes += (uint32_t)len;
    return client->n_bytes == sizeof(client->bytes) ? CROSSVM_OK : CROSSVM_EMPTY;
}

/* The next message. value: little-endian, signed. fd: the caller's from now on, -1 = none. Statuses
 * as above. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_next(struct crossvm_ivshmem_client *client,
                                                 int64_t *value, int *fd)
{
    uint64_t bits = 0;
    int status = crossvm_i_ivshmem_client_receive(client);
    if (status != CROSSVM_OK) {
        return status;
    }
    for (unsigned i = sizeof(client->bytes); i-- > 0;) {
        bits = bits << 8 | client->bytes[i];
    }
    *value = (int64_t)bits;
    *fd = client->fd;
    client->fd = -1;
    client->n_bytes = 0;
    return CROSSVM_OK;
}

/* ---- who is there -------------------------------------------------------------------------- */

/* A vector of a peer's: they come in order, one behind the other. Behind one that there was no room
 * for the others are left out, too: their numbers would be wrong. Whether there was room for it. */
CROSSVM_INLINE bool crossvm_i_ivshmem_client_enter(struct crossvm_ivshmem_client *client,
                                                   uint32_t peer, int fd,
                                                   struct crossvm_ivshmem_change *change)
{
    uint32_t vector = 0;
    for (uint32_t i = 0; i < client->bells.n_routes; i++) {
        vector += client->routes[i].peer == peer;
    }
    if (client->bells.n_routes == client->room || client->left_out == peer) {
        client->left_out = peer;
        client->n_left_out++;
        crossvm_i_posix_close(fd);
        return false;
    }
    const struct crossvm_eventfd_route route = {peer, vector, fd};
    client->routes[client->bells.n_routes] = route;
    client->bells.n_routes++;
    change->peer = peer;
    change->vector = vector;
    change->there = true;
    return true;
}

CROSSVM_INLINE void crossvm_i_ivshmem_client_leave(struct crossvm_ivshmem_client *client,
                                                   uint32_t peer,
                                                   struct crossvm_ivshmem_change *change)
{
    uint32_t n_left = 0;
    for (uint32_t i = 0; i < client->bells.n_routes; i++) {
        if (client->routes[i].peer == peer) {
            crossvm_i_posix_close(client->routes[i].fd);
        } else {
            client->routes[n_left] = client->routes[i];
            n_left++;
        }
    }
    client->bells.n_routes = n_left;
    client->left_out = client->left_out == peer ? CROSSVM_IVSHMEM_IDS : client->left_out;
    change->peer = peer;
    change->vector = 0;
    change->there = false;
}

/* One message behind the first three. OK a change; NOT_YET none that matters; EMPTY; STALE;
 * MISMATCH; SYSTEM. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_learn(struct crossvm_ivshmem_client *client,
                                                  struct crossvm_ivshmem_change *change)
{
    int64_t value;
    int fd;
    int status = crossvm_i_ivshmem_client_next(client, &value, &fd);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (value < 0 || value >= (int64_t)CROSSVM_IVSHMEM_IDS ||
        (fd < 0 && (uint32_t)value == client->id)) {
        if (fd >= 0) {
            crossvm_i_posix_close(fd);
        }
        return CROSSVM_MISMATCH;
    }
    if (fd < 0) {
        crossvm_i_ivshmem_client_leave(client, (uint32_t)value, change);
        return CROSSVM_OK;
    }
    if ((uint32_t)value != client->id) {
        return crossvm_i_ivshmem_client_enter(client, (uint32_t)value, fd, change)
                   ? CROSSVM_OK
                   : CROSSVM_NOT_YET;
    }
    if (client->bells.n_own == client->n_wanted) {
        crossvm_i_posix_close(fd);
        return CROSSVM_NOT_YET;
    }
    client->own[client->bells.n_own] = fd;
    client->bells.n_own++;
    return CROSSVM_NOT_YET;
}

/* The next message that matters; one who says others without end does not hold the client up. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_look(struct crossvm_ivshmem_client *client,
                                                 struct crossvm_ivshmem_change *change)
{
    for (int i = 0; i < CROSSVM_IVSHMEM_CLIENT_TRIES; i++) {
        int status = crossvm_i_ivshmem_client_learn(client, change);
        if (status != CROSSVM_NOT_YET) {
            return status;
        }
    }
    return CROSSVM_EMPTY;
}

/* Learns who came or went, one change a call. change: what happened, if OK. Role: the client, when
 * its socket polls readable, or now and then. Never blocks, and passes over at most
 * CROSSVM_IVSHMEM_CLIENT_TRIES messages that change nothing. OK; EMPTY nothing; STALE the server
 * has gone: memory and doorbells stay, and nothing is learnt any more; MISMATCH it says what does
 * not belong; SYSTEM with errno. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_client_step(
    struct crossvm_ivshmem_client *client, struct crossvm_ivshmem_change *change)
{
    if (client->socket < 0) {
        return CROSSVM_STALE;
    }
    int status = crossvm_i_ivshmem_client_look(client, change);
    if (status != CROSSVM_OK && status != CROSSVM_EMPTY) {
        crossvm_i_posix_close(client->socket);
        client->socket = -1;
    }
    return status;
}

/* ---- coming up ----------------------------------------------------------------------------- */

/* Waits until the socket is readable, or a signal handler ran. OK; TIMEOUT; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_wait(const struct crossvm_ivshmem_client *client,
                                                 uint64_t deadline_ns)
{
    int status = crossvm_i_posix_poll(client->socket, deadline_ns);
    return status == CROSSVM_SYSTEM && errno == EINTR ? CROSSVM_OK : status;
}

/* The next message, waited for. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_expect(struct crossvm_ivshmem_client *client,
                                                   uint64_t deadline_ns, int64_t *value, int *fd)
{
    int status;
    while ((status = crossvm_i_ivshmem_client_next(client, value, fd)) == CROSSVM_EMPTY) {
        status = crossvm_i_ivshmem_client_wait(client, deadline_ns);
        if (status != CROSSVM_OK) {
            return status;
        }
    }
    return status;
}

/* A message without a descriptor, from least to most. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_number(struct crossvm_ivshmem_client *client,
                                                   uint64_t deadline_ns, int64_t most,
                                                   int64_t *value)
{
    int fd = -1;
    int status = crossvm_i_ivshmem_client_expect(client, deadline_ns, value, &fd);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (fd >= 0) {
        crossvm_i_posix_close(fd);
        return CROSSVM_MISMATCH;
    }
    return *value < 0 || *value > most ? CROSSVM_MISMATCH : CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_ivshmem_client_map(struct crossvm_ivshmem_client *client,
                                                uint64_t deadline_ns,
                                                enum crossvm_mapping_access access)
{
    struct stat stat;
    int64_t value;
    int fd = -1;
    int status = crossvm_i_ivshmem_client_expect(client, deadline_ns, &value, &fd);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (fd < 0 || value != -1) {
        status = CROSSVM_MISMATCH;
    } else if (fstat(fd, &stat) != 0) {
        status = CROSSVM_SYSTEM;
    } else {
        status = crossvm_i_posix_map(&client->mapping, fd, (uint64_t)stat.st_size, access);
    }
    if (fd >= 0) {
        crossvm_i_posix_close(fd);
    }
    return status;
}

/* Version, id, memory, and then vectors until all own ones are there, which come last. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_greet(struct crossvm_ivshmem_client *client,
                                                  uint64_t deadline_ns,
                                                  enum crossvm_mapping_access access)
{
    struct crossvm_ivshmem_change change;
    int64_t version;
    int64_t id = 0;
    int status = crossvm_i_ivshmem_client_number(client, deadline_ns, 0, &version);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_client_number(client, deadline_ns, CROSSVM_IVSHMEM_IDS - 1, &id);
    }
    client->id = (uint32_t)id;
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_client_map(client, deadline_ns, access);
    }
    /* The deadline holds also for a server that never stops telling of others. */
    while (status == CROSSVM_OK && client->bells.n_own < client->n_wanted) {
        status = crossvm_i_ivshmem_client_wait(client, deadline_ns);
        if (status == CROSSVM_OK) {
            status = crossvm_i_ivshmem_client_learn(client, &change);
        }
        if (status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET) {
            status = CROSSVM_OK;
        }
    }
    return status;
}

/* Gives memory, doorbells and connection up. Safe to call twice. */
CROSSVM_INLINE void crossvm_ivshmem_client_close(struct crossvm_ivshmem_client *client)
{
    for (uint32_t i = 0; i < client->bells.n_routes; i++) {
        crossvm_i_posix_close(client->routes[i].fd);
    }
    for (uint32_t i = 0; i < client->bells.n_own; i++) {
        crossvm_i_posix_close(client->own[i]);
    }
    client->bells.n_routes = 0;
    client->bells.n_own = 0;
    crossvm_i_ivshmem_client_drop_fd(client);
    crossvm_i_posix_unmap(&client->mapping);
    if (client->socket >= 0) {
        crossvm_i_posix_close(client->socket);
    }
    client->socket = -1;
}

/* Connects, and waits while too many others want to. OK; TIMEOUT; SYSTEM with errno. */
CROSSVM_INLINE int crossvm_i_ivshmem_client_connect(const struct crossvm_ivshmem_client *client,
                                                    const struct sockaddr_un *address,
                                                    uint64_t deadline_ns)
{
    while (connect(client->socket, (const struct sockaddr *)(const void *)address,
                   sizeof(*address)) != 0) {
        if (errno != EAGAIN && errno != EINTR) {
            return CROSSVM_SYSTEM;
        }
        uint64_t now_ns = crossvm_posix_now();
        if (now_ns >= deadline_ns) {
            return CROSSVM_TIMEOUT;
        }
        crossvm_i_posix_rest(NULL, now_ns + 1000000u);
    }
    return CROSSVM_OK;
}

/* Connects to a server, maps its memory and takes the doorbells of all who are there; then
 * crossvm_notify_eventfd(notify, &client->bells), whose peers are ids. deadline_ns: of
 * crossvm_posix_now. Role: anyone. Blocks until the deadline.
 * OK; INVALID the path is too long, or no own vector is wanted; TIMEOUT the server did not say all,
 * or has fewer vectors; STALE it hung up: it refuses this user, say; MISMATCH it speaks another
 * version or protocol; SYSTEM with errno (ENOENT, ECONNREFUSED: no server; EMFILE). Unless OK
 * nothing is left open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_ivshmem_client_open(
    struct crossvm_ivshmem_client *client, const struct crossvm_ivshmem_client_config *config,
    uint64_t deadline_ns)
{
    struct sockaddr_un address;
    size_t len = __builtin_strlen(config->path);
    __builtin_memset(client, 0, sizeof(*client));
    __builtin_memset(&address, 0, sizeof(address));
    client->socket = -1;
    client->fd = -1;
    if (len == 0 || len >= sizeof(address.sun_path) || config->n_own == 0) {
        return CROSSVM_INVALID;
    }
    address.sun_family = AF_UNIX;
    __builtin_memcpy(address.sun_path, config->path, len);
    client->routes = config->routes;
    client->own = config->own;
    client->room = config->n_routes;
    client->n_wanted = config->n_own;
    client->left_out = CROSSVM_IVSHMEM_IDS;
    client->bells.routes = config->routes;
    client->bells.own = config->own;
    client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->socket < 0) {
        return CROSSVM_SYSTEM;
    }
    int status = crossvm_i_ivshmem_client_connect(client, &address, deadline_ns);
    if (status == CROSSVM_OK) {
        status = crossvm_i_ivshmem_client_greet(client, deadline_ns, config->access);
    }
    if (status != CROSSVM_OK) {
        int error = errno;
        crossvm_ivshmem_client_close(client);
        errno = error;
    }
    return status;
}

CROSSVM_EXTERN_C_END

#endif
