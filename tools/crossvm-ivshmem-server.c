/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/crossvm-ivshmem-server.c - hands one shared memory and doorbells to QEMU's ivshmem-doorbell
 * devices and to host processes (include/crossvm/backend/ivshmem_client.h).
 *
 * Each region has a socket of its own. A peer that connects gets the protocol's version, its id,
 * the memory, and a descriptor for each vector of each peer; from then on it is told who comes and
 * goes. It never says anything itself. Source of the protocol: QEMU, docs/specs/ivshmem-spec.rst.
 *
 * Nobody can stop the server or the others: sockets do not block, and whoever lets messages pile
 * up, speaks, or belongs to another user is disconnected.
 */
#define _GNU_SOURCE 1

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

/* A peer's vectors. They outlive it in messages that others have not read yet. */
struct bells {
    unsigned n_users;
    int fds[VECTORS_MOST];
};

/* A message that waits for a peer to read. */
struct message {
    int64_t value;
    int fd;              /* -1 = none */
    struct bells *bells; /* whose one it is, NULL = nobody's */
};

struct peer {
    int socket;
    uint16_t id;
    struct bells *bells;
    struct message *queue; /* what was not sent yet */
    size_t n_queued;
    size_t first; /* of the queue, to be sent next */
    size_t room;  /* in messages */
    bool starved; /* the system would not take its next descriptor */
    bool gone;    /* to be taken out at the end of the round */
};

struct region {
    const char *path; /* of the socket */
    const char *file; /* of the memory, NULL = it has no name */
    uint64_t len;
    int listener;
    dev_t dev; /* of the socket's name, so that no other one is removed */
    ino_t ino;
    int memory;
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

static void *grow(void *old, size_t n, size_t each)
{
    void *memory = realloc(old, n * each);
    if (memory == NULL) {
        fail("memory", strerror(errno));
    }
    return memory;
}

/* ---- messages ------------------------------------------------------------------------------ */

static struct bells *bells_make(void)
{
    struct bells *bells = grow(NULL, 1, sizeof(*bells));
    bells->n_users = 1;
    for (unsigned i = 0; i < settings.n_vectors; i++) {
        bells->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (bells->fds[i] < 0) {
            while (i-- > 0) {
                (void)close(bells->fds[i]);
            }
            free(bells);
            return NULL;
        }
    }
    return bells;
}

static void bells_drop(struct bells *bells)
{
    if (bells == NULL || --bells->n_users > 0) {
        return;
    }
    for (unsigned i = 0; i < settings.n_vectors; i++) {
        (void)close(bells->fds[i]);
    }
    free(bells);
}

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
        bells_drop(peer->queue[peer->first].bells);
        peer->first++;
    }
    peer->first = 0;
    peer->n_queued = 0;
}

/* Everything that a peer can ever have to be told: more than that is one who does not read. */
static size_t most_queued(void)
{
    return 8 + 4 * (settings.most_peers + 1) * (settings.n_vectors + 1);
}

static void tell(const struct region *region, struct peer *peer, struct message message)
{
    if (peer->gone) {
        return;
    }
    if (peer->n_queued - peer->first >= most_queued()) {
        drop(region, peer, "does not read and is disconnected");
        return;
    }
    if (peer->n_queued == peer->room) {
        peer->room = peer->room == 0 ? 64 : 2 * peer->room;
        peer->queue = grow(peer->queue, peer->room, sizeof(*peer->queue));
    }
    if (message.bells != NULL) {
        message.bells->n_users++;
    }
    peer->queue[peer->n_queued] = message;
    peer->n_queued++;
}

/* Tells a peer that another one is there, with all of its vectors. */
static void tell_of(const struct region *region, struct peer *peer, const struct peer *other)
{
    for (unsigned i = 0; i < settings.n_vectors; i++) {
        const struct message message = {other->id, other->bells->fds[i], other->bells};
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
    const struct message version = {VERSION, -1, NULL};
    const struct message id = {peer->id, -1, NULL};
    const struct message memory = {-1, region->memory, NULL};
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

/* The system counts the descriptors on their way from one user: one who does not read them shall not
 * hold many. With the smallest buffer it is 6 messages. */
static void narrow(int socket)
{
    const int least = 1;
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

static void enter(struct region *region, int socket, const struct ucred *who)
{
    struct bells *bells = region->n_peers < settings.most_peers ? bells_make() : NULL;
    if (bells == NULL) {
        say(region, "process %ld is refused: %s", (long)who->pid,
            region->n_peers < settings.most_peers ? strerror(errno) : "see --peers");
        (void)close(socket);
        return;
    }
    struct peer *peer = grow(NULL, 1, sizeof(*peer));
    memset(peer, 0, sizeof(*peer));
    narrow(socket);
    peer->socket = socket;
    peer->id = free_id(region);
    peer->bells = bells;
    introduce(region, peer);
    region->peers = grow(region->peers, region->n_peers + 1, sizeof(struct peer *));
    region->peers[region->n_peers] = peer;
    region->n_peers++;
    say(region, "peer %u connected: process %ld of user %lu", (unsigned)peer->id, (long)who->pid,
        (unsigned long)who->uid);
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
    for (size_t i = peer->first; i < peer->n_queued; i++) {
        bells_drop(peer->queue[i].bells);
    }
    bells_drop(peer->bells);
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
        const struct message message = {gone->id, -1, NULL};
        for (size_t k = 0; k < region->n_peers; k++) {
            tell(region, region->peers[k], message);
        }
        peer_free(gone);
        return true;
    }
    return false;
}

/* ---- regions ------------------------------------------------------------------------------- */

/* Whether somebody answers behind a socket's name; a name that nobody answers to is stale. */
static bool is_alive(const struct sockaddr_un *address)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
        fail(path, "another server answers there");
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
        listen(region->listener, 64) != 0 || lstat(region->path, &stat) != 0) {
        fail(region->path, strerror(errno));
    }
    (void)umask(mask);
    region->dev = stat.st_dev;
    region->ino = stat.st_ino;
}

/* The memory: a new one, or a file that has the length already, so that data survive the server. */
static void open_memory(struct region *region)
{
    struct stat stat;
    int fd = region->file == NULL
                 ? memfd_create("crossvm-ivshmem", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                 : open(region->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        fail(region->file == NULL ? "memory" : region->file, strerror(errno));
    }
    if (!S_ISREG(stat.st_mode)) {
        fail(region->file, "is there, and no file");
    }
    if (stat.st_size != 0 && (uint64_t)stat.st_size != region->len) {
        fail(region->file, "has another length");
    }
    /* All of it now: a page that cannot be had later would kill whoever touches it. */
    int error = posix_fallocate(fd, 0, (off_t)region->len);
    if (error != 0) {
        fail(region->file == NULL ? "memory" : region->file, strerror(error));
    }
    if (region->file == NULL) {
        /* Nobody cuts it short under the others. */
        (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    }
    region->memory = fd;
}

/* Takes the sockets' names away. One that is another's by now stays. */
static void close_regions(void)
{
    struct stat stat;
    for (size_t i = 0; i < n_regions; i++) {
        const struct region *region = &regions[i];
        if (region->ino != 0 && lstat(region->path, &stat) == 0 && stat.st_dev == region->dev &&
            stat.st_ino == region->ino) {
            (void)unlink(region->path);
        }
    }
}

/* ---- running ------------------------------------------------------------------------------- */

static struct pollfd *fds;
static size_t n_fds;

static void watch(int fd, short events)
{
    static size_t room;
    if (n_fds == room) {
        room = room == 0 ? 64 : 2 * room;
        fds = grow(fds, room, sizeof(*fds));
    }
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

/* One region's sockets, which begin at fds[at]. The number of them. */
static size_t serve(struct region *region, size_t at)
{
    size_t n = region->n_peers; /* newcomers are not in fds yet */
    for (size_t k = 0; k < n; k++) {
        if ((fds[at + 1 + k].revents & ~POLLOUT) != 0) {
            hear(region, region->peers[k]);
        }
    }
    if (fds[at].revents != 0) {
        welcome(region);
    }
    return 1 + n;
}

/* Deaths first, so that nobody is told of a newcomer before that of one whose id it took. */
static void finish_round(struct region *region)
{
    while (bury_one(region)) {
    }
    for (size_t k = 0; k < region->n_peers; k++) {
        flush(region, region->peers[k]);
    }
    while (bury_one(region)) {
    }
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
            finish_round(&regions[i]);
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
    int signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (signals < 0 || reserve < 0) {
        fail("descriptors", strerror(errno));
    }
    raise_limit();
    for (size_t i = 0; i < n_regions; i++) {
        open_memory(&regions[i]);
        listen_at(&regions[i]);
        say(&regions[i], "%llu bytes, %u vectors%s%s", (unsigned long long)regions[i].len,
            settings.n_vectors, regions[i].file == NULL ? "" : ", ",
            regions[i].file == NULL ? "" : regions[i].file);
    }
    run(signals);
    close_regions();
    return 0;
}
