/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/crossvm-ivshmem-server.c - hands one shared memory and doorbells to QEMU's ivshmem-doorbell
 * devices and to host processes (include/crossvm/backend/ivshmem_client.h).
 *
 * Each region has a socket of its own. A peer that connects gets the protocol's version, its id,
 * the memory, and a descriptor for each vector of each peer; from then on it is told who comes and
 * goes. It never says anything itself. Source of the protocol: QEMU, docs/specs/ivshmem-spec.rst.
 *
 * Nobody can stop the server or the others. Sockets do not block; who speaks, or belongs to another
 * user, is disconnected. What waits for one who does not read is of the living alone: the dead are
 * taken out of it again.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64 /* lengths above 2 GiB where a long has 32 bits */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME "crossvm-ivshmem-server"

enum {
    VERSION = 0,       /* of the protocol */
    IDS = 65536,       /* a peer's id has 16 bits */
    VECTORS_MOST = 64, /* as many as QEMU takes */
    REGIONS_MOST = 64,
    USERS_MOST = 16,
    RETRY = 20 /* ms, while the system has no descriptors to send */
};

/* A message that waits for a peer to read. */
struct message {
    int64_t value;
    int fd; /* the memory, or a vector of the peer that value names; -1 = none */
};

struct peer {
    int socket;
    uint16_t id;
    int vectors[VECTORS_MOST];
    struct message *queue; /* what was not sent yet */
    size_t n_queued;
    size_t first; /* of the queue, to be sent next */
    size_t room;  /* in messages */
    bool starved; /* the system would not take its next descriptor */
    bool gone;    /* to be taken out in this round */
};

/* A name that the server gave, and that is taken away again unless another thing has it then. */
struct name {
    const char *path; /* NULL = none was given */
    dev_t dev;
    ino_t ino;
};

struct region {
    const char *path; /* of the socket */
    const char *file; /* of the memory, NULL = it has no name */
    char lock_path[128];
    uint64_t len;
    int listener;
    int memory;
    struct name socket;
    struct name lock;
    struct name made; /* the memory's file, if it was not there */
    bool filled;      /* the memory's file was there, and empty */
    struct peer **peers;
    size_t n_peers;
    uint32_t next_id;
};

static struct {
    unsigned n_vectors;
    size_t most_peers; /* of a region */
    bool reuse_ids;
    bool quiet;
    uid_t users[USERS_MOST];
    size_t n_users;
} settings = {8, 1024, false, false, {0}, 0};

static struct region regions[REGIONS_MOST];
static size_t n_regions;
static int reserve = -1; /* a descriptor that can be given up */
static bool running;     /* peers may have the memory */

static struct pollfd *fds;
static size_t n_fds;
static size_t fds_room;

/* ---- saying -------------------------------------------------------------------------------- */

static void say(const struct region *region, const char *format, ...)
{
    va_list list;
    if (settings.quiet) {
        return;
    }
    va_start(list, format);
    fprintf(stderr, NAME ": %s: ", region->path);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

static void close_regions(void);

/* Nothing is left behind that was not there before. */
static void fail(const char *what, const char *why)
{
    fprintf(stderr, NAME ": %s: %s\n", what, why);
    close_regions();
    exit(1);
}

/* ---- messages ------------------------------------------------------------------------------ */

enum sending {
    SENT,
    FULL,    /* until the peer reads */
    STARVED, /* until others read: too many descriptors are on their way */
    GONE
};

/* Sends one message without blocking. */
static enum sending send_message(int socket, struct message message)
{
    unsigned char bytes[8];
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr header = {0};
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)((uint64_t)message.value >> (8 * i));
    }
    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    if (message.fd >= 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = &control;
        header.msg_controllen = sizeof(control);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &message.fd, sizeof(int));
    }
    ssize_t len = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len == (ssize_t)sizeof(bytes)) {
        return SENT;
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return FULL;
    }
    return len < 0 && errno == ETOOMANYREFS ? STARVED : GONE;
}

static void drop(const struct region *region, struct peer *peer, const char *why)
{
    if (!peer->gone) {
        say(region, "peer %u %s", (unsigned)peer->id, why);
    }
    peer->gone = true;
}

/* Sends what waits, as far as the socket takes it. */
static void flush(const struct region *region, struct peer *peer)
{
    peer->starved = false;
    while (!peer->gone && peer->first < peer->n_queued) {
        enum sending sent = send_message(peer->socket, peer->queue[peer->first]);
        if (sent == GONE) {
            drop(region, peer, "disconnected");
        }
        if (sent != SENT) {
            peer->starved = sent == STARVED;
            return;
        }
        peer->first++;
    }
    peer->first = 0;
    peer->n_queued = 0;
}

/* Makes room for one message more. What was sent goes first: else the queue of one who reads, but
 * never all, would grow for ever. */
static bool make_room(struct peer *peer)
{
    if (peer->n_queued < peer->room) {
        return true;
    }
    if (peer->first > 0) {
        peer->n_queued -= peer->first;
        memmove(peer->queue, peer->queue + peer->first, peer->n_queued * sizeof(*peer->queue));
        peer->first = 0;
        return true;
    }
    size_t room = peer->room == 0 ? 64 : 2 * peer->room;
    struct message *queue = realloc(peer->queue, room * sizeof(*queue));
    if (queue == NULL) {
        return false;
    }
    peer->queue = queue;
    peer->room = room;
    return true;
}

/* Whoever cannot be told everything is told nothing more: it would believe what is not so. */
static void tell(const struct region *region, struct peer *peer, struct message message)
{
    if (peer->gone) {
        return;
    }
    if (!make_room(peer)) {
        drop(region, peer, "is disconnected: no memory for what it has not read");
        return;
    }
    peer->queue[peer->n_queued] = message;
    peer->n_queued++;
}

/* Tells a peer that another one is there, with all of its vectors. */
static void tell_of(const struct region *region, struct peer *peer, const struct peer *other)
{
    for (unsigned i = 0; i < settings.n_vectors; i++) {
        const struct message message = {other->id, other->vectors[i]};
        tell(region, peer, message);
    }
}

/* Takes another one's vectors that were not sent yet out of a peer's queue. The number of them. */
static unsigned withdraw(struct peer *peer, const struct peer *other)
{
    size_t kept = peer->first;
    for (size_t i = peer->first; i < peer->n_queued; i++) {
        const struct message message = peer->queue[i];
        if (message.fd < 0 || message.value != other->id) {
            peer->queue[kept] = message;
            kept++;
        }
    }
    unsigned n = (unsigned)(peer->n_queued - kept);
    peer->n_queued = kept;
    return n;
}

/* Tells a peer that another one went, if it was sent any of it. So no more waits for one who does
 * not read than all vectors of those who are there, and the end of each that it knows. */
static void tell_end(const struct region *region, struct peer *peer, const struct peer *other)
{
    if (withdraw(peer, other) < settings.n_vectors) {
        const struct message message = {other->id, -1};
        tell(region, peer, message);
    }
}

/* ---- peers --------------------------------------------------------------------------------- */

static bool is_taken(const struct region *region, uint32_t id)
{
    for (size_t i = 0; i < region->n_peers; i++) {
        if (region->peers[i]->id == id) {
            return true;
        }
    }
    return false;
}

/* An id that nobody has; one that somebody had only when all were given out, or on request. */
static uint16_t free_id(struct region *region)
{
    uint32_t id = settings.reuse_ids ? 0 : region->next_id;
    while (is_taken(region, id)) {
        id = (id + 1) % IDS;
    }
    region->next_id = (id + 1) % IDS;
    return (uint16_t)id;
}

static bool is_welcome(const struct region *region, int socket, struct ucred *who)
{
    socklen_t len = sizeof(*who);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, who, &len) != 0) {
        return false;
    }
    for (size_t i = 0; i < settings.n_users; i++) {
        if (settings.users[i] == who->uid) {
            return true;
        }
    }
    say(region, "user %lu (process %ld) is refused: see --user", (unsigned long)who->uid,
        (long)who->pid);
    return false;
}

/* The newcomer learns of everybody, and everybody of it; its own vectors come last. */
static void introduce(struct region *region, struct peer *peer)
{
    const struct message version = {VERSION, -1};
    const struct message id = {peer->id, -1};
    const struct message memory = {-1, region->memory};
    tell(region, peer, version);
    tell(region, peer, id);
    tell(region, peer, memory);
    for (size_t i = 0; i < region->n_peers; i++) {
        if (!region->peers[i]->gone) {
            tell_of(region, region->peers[i], peer);
            tell_of(region, peer, region->peers[i]);
        }
    }
    tell_of(region, peer, peer);
}

/* The system counts the descriptors on their way from one user: one who does not read them shall
 * not hold many. With the smallest buffer it is 6 messages. */
static void narrow(int socket)
{
    const int least = 1;
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

static void close_vectors(const int *vectors, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)close(vectors[i]);
    }
}

static bool open_vectors(int *vectors)
{
    for (unsigned i = 0; i < settings.n_vectors; i++) {
        vectors[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (vectors[i] < 0) {
            int error = errno;
            close_vectors(vectors, i);
            errno = error;
            return false;
        }
    }
    return true;
}

/* Room to wait for all peers there are, and n more. */
static bool room_to_wait(size_t n)
{
    n += 1 + n_regions;
    for (size_t i = 0; i < n_regions; i++) {
        n += regions[i].n_peers;
    }
    if (n <= fds_room) {
        return true;
    }
    struct pollfd *more = realloc(fds, n * sizeof(*fds));
    if (more == NULL) {
        return false;
    }
    fds = more;
    fds_room = n;
    return true;
}

static bool room_for_a_peer(struct region *region)
{
    struct peer **peers = realloc(region->peers, (region->n_peers + 1) * sizeof(*peers));
    if (peers == NULL) {
        return false;
    }
    region->peers = peers;
    return room_to_wait(1);
}

/* All that a peer needs, NULL if something is not to be had. */
static struct peer *peer_make(struct region *region, int socket)
{
    struct peer *peer = room_for_a_peer(region) ? calloc(1, sizeof(*peer)) : NULL;
    if (peer == NULL || !open_vectors(peer->vectors)) {
        free(peer);
        return NULL;
    }
    peer->socket = socket;
    peer->id = free_id(region);
    return peer;
}

static void enter(struct region *region, int socket, const struct ucred *who)
{
    bool full = region->n_peers >= settings.most_peers;
    struct peer *peer = full ? NULL : peer_make(region, socket);
    if (peer == NULL) {
        say(region, "process %ld is refused: %s", (long)who->pid,
            full ? "see --peers" : strerror(errno));
        (void)close(socket);
        return;
    }
    narrow(socket);
    say(region, "peer %u connected: process %ld of user %lu", (unsigned)peer->id, (long)who->pid,
        (unsigned long)who->uid);
    introduce(region, peer);
    region->peers[region->n_peers] = peer;
    region->n_peers++;
}

/* With no descriptor left, one that is kept for this lets the newcomer in and out again: else it
 * would stand in front of the door, and the server would turn round and round. */
static void send_away(const struct region *region)
{
    say(region, "somebody is sent away: %s", strerror(errno));
    (void)close(reserve);
    int socket = accept4(region->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
        (void)close(socket);
    }
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void welcome(struct region *region)
{
    struct ucred who = {0, 0, 0};
    int socket = accept4(region->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            send_away(region);
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            say(region, "accept: %s", strerror(errno));
        }
        return;
    }
    if (!is_welcome(region, socket, &who)) {
        (void)close(socket);
        return;
    }
    enter(region, socket, &who);
}

/* A peer has nothing to say: what comes is its end, or it does not speak this protocol. */
static void hear(const struct region *region, struct peer *peer)
{
    char byte;
    ssize_t len = recv(peer->socket, &byte, 1, MSG_DONTWAIT);
    if (len > 0) {
        drop(region, peer, "spoke, which no peer does, and is disconnected");
    } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(region, peer, "disconnected");
    }
}

static void peer_free(struct peer *peer)
{
    close_vectors(peer->vectors, settings.n_vectors);
    (void)close(peer->socket);
    free(peer->queue);
    free(peer);
}

/* Takes one who is gone out, and says so to the others. */
static bool bury_one(struct region *region)
{
    for (size_t i = 0; i < region->n_peers; i++) {
        struct peer *gone = region->peers[i];
        if (!gone->gone) {
            continue;
        }
        region->n_peers--;
        memmove(region->peers + i, region->peers + i + 1,
                (region->n_peers - i) * sizeof(struct peer *));
        for (size_t k = 0; k < region->n_peers; k++) {
            tell_end(region, region->peers[k], gone);
        }
        peer_free(gone);
        return true;
    }
    return false;
}

static void bury(struct region *region)
{
    while (bury_one(region)) {
    }
}

/* ---- regions ------------------------------------------------------------------------------- */

static void name_give(struct name *name, const char *path, const struct stat *stat)
{
    name->path = path;
    name->dev = stat->st_dev;
    name->ino = stat->st_ino;
}

static bool name_stands(const struct name *name)
{
    struct stat stat;
    return name->path != NULL && lstat(name->path, &stat) == 0 && stat.st_dev == name->dev &&
           stat.st_ino == name->ino;
}

static void name_take(const struct name *name)
{
    if (name_stands(name)) {
        (void)unlink(name->path);
    }
}

static void fail_lock(const struct region *region)
{
    char why[160];
    (void)snprintf(why, sizeof(why), "the socket's lock is not to be had: %s", strerror(errno));
    fail(region->lock_path, why);
}

/* The lock beside the socket, if it has its name still when it is locked: the server that held it
 * before takes the name away. Closed when the process ends, however that comes. */
static bool lock_once(struct region *region)
{
    struct stat stat;
    struct name name = {NULL, 0, 0};
    int fd = open(region->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        fail_lock(region);
    }
    if (!S_ISREG(stat.st_mode) || stat.st_size != 0) {
        fail(region->lock_path, "is there, and no lock of a server");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            fail(region->path, "another server is there");
        }
        fail_lock(region);
    }
    name_give(&name, region->lock_path, &stat);
    if (!name_stands(&name)) {
        (void)close(fd);
        return false;
    }
    region->lock = name;
    return true;
}

static void lock(struct region *region)
{
    (void)snprintf(region->lock_path, sizeof(region->lock_path), "%s.lock", region->path);
    while (!lock_once(region)) {
    }
}

/* Whether a program has a socket of that name. It does not notice: a datagram socket connects to no
 * stream. A server of this program is not met here, because it holds the lock. */
static bool is_alive(const struct sockaddr_un *address)
{
    int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return true;
    }
    bool alive = connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                 errno != ECONNREFUSED;
    (void)close(probe);
    return alive;
}

/* Takes a stale socket away; nothing else of that name. */
static void clear_name(const char *path, const struct sockaddr_un *address)
{
    struct stat stat;
    if (lstat(path, &stat) != 0) {
        return;
    }
    if (!S_ISSOCK(stat.st_mode)) {
        fail(path, "is there, and no socket");
    }
    if (is_alive(address)) {
        fail(path, "another program has this socket");
    }
    (void)unlink(path);
}

static void listen_at(struct region *region)
{
    struct sockaddr_un address = {AF_UNIX, {0}};
    struct stat stat;
    memcpy(address.sun_path, region->path, strlen(region->path));
    clear_name(region->path, &address);
    region->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Others than those of --user are refused by their credentials, not by the file's mode. */
    mode_t mask = umask(settings.n_users > 1 ? 0111 : 0177);
    if (region->listener < 0 ||
        bind(region->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        lstat(region->path, &stat) != 0) {
        fail(region->path, strerror(errno));
    }
    (void)umask(mask);
    name_give(&region->socket, region->path, &stat);
    if (listen(region->listener, 64) != 0) {
        fail(region->path, strerror(errno));
    }
}

static void fail_memory(const struct region *region, int error)
{
    fail(region->file == NULL ? "memory" : region->file, strerror(error));
}

/* A file that has the length already keeps its data, so that they survive the server. */
static void open_file(struct region *region)
{
    struct stat stat;
    int fd = open(region->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool made = fd >= 0;
    if (fd < 0 && errno == EEXIST) {
        fd = open(region->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0 || fstat(fd, &stat) != 0) {
        fail_memory(region, errno);
    }
    if (!S_ISREG(stat.st_mode)) {
        fail(region->file, "is there, and no file");
    }
    if (stat.st_size != 0 && (uint64_t)stat.st_size != region->len) {
        fail(region->file, "has another length");
    }
    if (made) {
        name_give(&region->made, region->file, &stat);
    }
    region->filled = !made && stat.st_size == 0;
    region->memory = fd;
}

/* All of it now: a page that cannot be had later would kill whoever touches it. */
static void fill(const struct region *region)
{
    int error;
    do {
        error = posix_fallocate(region->memory, 0, (off_t)region->len);
    } while (error == EINTR);
    if (error != 0) {
        fail_memory(region, error);
    }
}

static void open_memory(struct region *region)
{
    if (region->file != NULL) {
        open_file(region);
        fill(region);
        return;
    }
    region->memory = memfd_create("crossvm-ivshmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (region->memory < 0) {
        fail_memory(region, errno);
    }
    fill(region);
    /* Nobody cuts it short under the others. */
    (void)fcntl(region->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static void open_regions(void)
{
    if (!room_to_wait(0)) {
        fail("memory", strerror(errno));
    }
    /* The locks first: until all are held nothing is touched that may be another server's. */
    for (size_t i = 0; i < n_regions; i++) {
        lock(&regions[i]);
    }
    for (size_t i = 0; i < n_regions; i++) {
        open_memory(&regions[i]);
    }
    for (size_t i = 0; i < n_regions; i++) {
        listen_at(&regions[i]);
    }
    running = true;
}

/* Takes the names away: the lock last, as long as it is held. */
static void close_regions(void)
{
    for (size_t i = 0; i < n_regions; i++) {
        const struct region *region = &regions[i];
        name_take(&region->socket);
        if (!running) {
            name_take(&region->made);
        }
        if (!running && region->filled) {
            (void)ftruncate(region->memory, 0);
        }
        name_take(&region->lock);
    }
}

/* ---- running ------------------------------------------------------------------------------- */

/* There is room: a peer does not come in without. */
static void watch(int fd, short events)
{
    const struct pollfd entry = {fd, events, 0};
    fds[n_fds] = entry;
    n_fds++;
}

/* Answers how long poll may wait: nothing tells when descriptors can be sent again. */
static int watch_all(int signals)
{
    int timeout = -1;
    n_fds = 0;
    watch(signals, POLLIN);
    for (size_t i = 0; i < n_regions; i++) {
        watch(regions[i].listener, POLLIN);
        for (size_t k = 0; k < regions[i].n_peers; k++) {
            const struct peer *peer = regions[i].peers[k];
            const bool waits = peer->n_queued > 0 && !peer->starved;
            watch(peer->socket, waits ? POLLIN | POLLOUT : POLLIN);
            timeout = peer->starved ? RETRY : timeout;
        }
    }
    return timeout;
}

/* One region's sockets, which begin at fds[at]. The number of them. The dead are buried before a
 * newcomer is let in: it may be the same machine again, which wants the place and the id. */
static size_t serve(struct region *region, size_t at)
{
    size_t n = region->n_peers; /* newcomers are not in fds yet */
    for (size_t k = 0; k < n; k++) {
        if ((fds[at + 1 + k].revents & ~POLLOUT) != 0) {
            hear(region, region->peers[k]);
        }
    }
    bury(region);
    if (fds[at].revents != 0) {
        welcome(region);
    }
    for (size_t k = 0; k < region->n_peers; k++) {
        flush(region, region->peers[k]);
    }
    bury(region);
    return 1 + n;
}

static void run(int signals)
{
    for (;;) {
        int timeout = watch_all(signals);
        if (poll(fds, n_fds, timeout) < 0 && errno != EINTR) {
            fail("poll", strerror(errno));
        }
        if (fds[0].revents != 0) {
            return;
        }
        size_t at = 1;
        for (size_t i = 0; i < n_regions; i++) {
            at += serve(&regions[i], at);
        }
    }
}

/* ---- arguments ----------------------------------------------------------------------------- */

static const char help[] =
    "usage: " NAME " [OPTION...] SOCKET=LENGTH[,FILE]...\n"
    "\n"
    "Hands shared memory and doorbells to QEMU's ivshmem-doorbell devices and to host processes. "
    "Each\n"
    "argument is a region: the socket at which it is to be had, its length (with K, M or G: KiB, "
    "MiB or\n"
    "GiB; QEMU takes powers of two), and a file for its contents, which otherwise go with the "
    "server.\n"
    "\n"
    "  -n, --vectors N    vectors of each peer, 1 to 64 (8)\n"
    "  -p, --peers N      peers of a region at one time, 1 to 65536 (1024)\n"
    "  -r, --reuse-ids    a newcomer gets the lowest free id, not one that nobody had before\n"
    "  -u, --user UID     who may connect beside the server's own user; more than once\n"
    "  -q, --quiet        says nothing of who comes and goes\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "It ends at SIGINT or SIGTERM, status 0; 1 if something is not to be had, 2 for bad "
    "arguments.\n";

static void refuse(const char *what, const char *value, const char *expected)
{
    fprintf(stderr, NAME ": %s %s: expected %s\n", what, value, expected);
    fprintf(stderr, "try: " NAME " --help\n");
    exit(2);
}

/* A whole number of digits alone, from least to most. */
static uint64_t number(const char *what, const char *value, uint64_t least, uint64_t most,
                       const char *expected)
{
    uint64_t n = 0;
    for (const char *at = value; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || n > (UINT64_MAX - 9) / 10) {
            refuse(what, value, expected);
        }
        n = 10 * n + (uint64_t)(*at - '0');
    }
    if (*value == '\0' || n < least || n > most) {
        refuse(what, value, expected);
    }
    return n;
}

/* Digits and perhaps a unit, which are cut out of the text behind '='. */
static uint64_t length(const char *region, char *text)
{
    static const char expected[] = "SOCKET=LENGTH[,FILE], a length from 4096 bytes to 1024 G";
    size_t n = strlen(text);
    unsigned shift = 0;
    if (n != 0 && strchr("KMG", text[n - 1]) != NULL) {
        shift = text[n - 1] == 'K' ? 10 : text[n - 1] == 'M' ? 20 : 30;
        text[n - 1] = '\0';
    }
    uint64_t most = (uint64_t)1 << 40;
    uint64_t count = number("region", text, 1, most >> shift, expected);
    if (count << shift < 4096) {
        refuse("region", region, expected);
    }
    return count << shift;
}

static void add_region(char *text)
{
    static const char expected[] = "SOCKET=LENGTH[,FILE]";
    const struct sockaddr_un address = {AF_UNIX, {0}};
    struct region *region = &regions[n_regions];
    char *equals = strchr(text, '=');
    if (n_regions == REGIONS_MOST) {
        refuse("region", text, "64 regions at most");
    }
    if (equals == NULL || equals == text) {
        refuse("region", text, expected);
    }
    *equals = '\0';
    char *comma = strchr(equals + 1, ',');
    if (comma != NULL) {
        *comma = '\0';
        if (comma[1] == '\0') {
            refuse("region", text, expected);
        }
        region->file = comma + 1;
    }
    if (strlen(text) >= sizeof(address.sun_path)) {
        refuse("socket", text, "a path that a socket can have, 107 bytes at most");
    }
    region->path = text;
    region->len = length(text, equals + 1);
    n_regions++;
}

static void add_user(const char *value)
{
    if (settings.n_users == USERS_MOST) {
        refuse("--user", value, "15 users at most");
    }
    settings.users[settings.n_users] =
        (uid_t)number("--user", value, 0, UINT32_MAX - 1, "a user's number");
    settings.n_users++;
}

static void take_option(int option)
{
    switch (option) {
    case 'n':
        settings.n_vectors = (unsigned)number("--vectors", optarg, 1, VECTORS_MOST, "1 to 64");
        break;
    case 'p':
        settings.most_peers = (size_t)number("--peers", optarg, 1, IDS, "1 to 65536");
        break;
    case 'r':
        settings.reuse_ids = true;
        break;
    case 'u':
        add_user(optarg);
        break;
    case 'q':
        settings.quiet = true;
        break;
    case 'h':
        fputs(help, stdout);
        exit(0);
    case 'V':
        puts(NAME " " CROSSVM_SERVER_VERSION);
        exit(0);
    default:
        fprintf(stderr, "try: " NAME " --help\n");
        exit(2);
    }
}

static void take_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"vectors", required_argument, NULL, 'n'}, {"peers", required_argument, NULL, 'p'},
        {"reuse-ids", no_argument, NULL, 'r'},     {"user", required_argument, NULL, 'u'},
        {"quiet", no_argument, NULL, 'q'},         {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0}};
    int option;
    settings.users[0] = geteuid();
    settings.n_users = 1;
    while ((option = getopt_long(argc, argv, "n:p:ru:qhV", options, NULL)) != -1) {
        take_option(option);
    }
    if (optind == argc) {
        refuse("regions", "(none)", "at least one SOCKET=LENGTH[,FILE]");
    }
    for (; optind < argc; optind++) {
        add_region(argv[optind]);
    }
}

/* As many descriptors as the system lets this process have: each peer takes one a vector. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    sigset_t ends;
    take_arguments(argc, argv);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    /* A log that nobody reads any more ends nothing. */
    (void)signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (signals < 0 || reserve < 0) {
        fail("descriptors", strerror(errno));
    }
    raise_limit();
    open_regions();
    for (size_t i = 0; i < n_regions; i++) {
        say(&regions[i], "%llu bytes, %u vectors%s%s", (unsigned long long)regions[i].len,
            settings.n_vectors, regions[i].file == NULL ? "" : ", ",
            regions[i].file == NULL ? "" : regions[i].file);
    }
    run(signals);
    close_regions();
    return 0;
}
