/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/chardev.c - the two ends of examples/kernel, for chardev.py:
 *
 *   chardev publish FILE [SOCKET]   on the host: formats a region in the file that is a device's
 *                                   memory, and publishes versions of a snapshot without end;
 *                                   rings all peers at the server's socket behind each
 *   chardev break slots|header FILE on the host: writes what no honest side writes
 *   chardev read                    in the guest: polls and reads /dev/crossvm-snapshot
 *
 * What `read` says leads chardev.py through the test: each line that ends in "..." waits for what
 * chardev.py does next. Exit status 0, or 1 with the reason.
 */
#include <crossvm/backend/ivshmem_client.h>

#include "../../examples/kernel/crossvm_chardev.h"
#include "../kernel/peer/agreed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum {
    LEN = 1 << 20,
    N_READ = 100,     /* versions, by the first opener */
    PERIOD_US = 2000, /* of the producer */
    N_ROUTES = 64,
    LIMIT_MS = 1000 * LIMIT_SECONDS /* only against hanging */
};

#define DEVICE "/dev/crossvm-snapshot"

static _Noreturn void fail(const char *what, long long value)
{
    printf("chardev: failed: %s: %lld (errno %d: %s)\n", what, value, errno, strerror(errno));
    exit(1);
}

static void expect(const char *what, long long found, long long wanted)
{
    if (found != wanted) {
        fail(what, found);
    }
}

static void rest(unsigned us)
{
    const struct timespec nap = {0, (long)us * 1000};
    (void)nanosleep(&nap, NULL);
}

/* ---- the host ------------------------------------------------------------------------------- */

static void map(struct crossvm_mapping *mapping, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || crossvm_i_posix_map(mapping, fd, LEN, CROSSVM_READ_WRITE) != CROSSVM_OK) {
        fail(path, fd);
    }
    (void)close(fd);
}

static void client_open(struct crossvm_ivshmem_client *client, const char *path)
{
    static int own[1];
    static struct crossvm_eventfd_route routes[N_ROUTES];
    const struct crossvm_ivshmem_client_config config = {
        .path = path, .own = own, .n_own = 1, .routes = routes, .n_routes = N_ROUTES};
    expect("server", crossvm_ivshmem_client_open(client, &config, CROSSVM_NO_DEADLINE), CROSSVM_OK);
}

static void ring_all(struct crossvm_ivshmem_client *client)
{
    struct crossvm_ivshmem_change change;
    struct crossvm_notify notify;
    while (crossvm_ivshmem_client_step(client, &change) == CROSSVM_OK) {
        continue;
    }
    crossvm_notify_eventfd(&notify, &client->bells);
    for (uint32_t i = 0; i < client->bells.n_routes; i++) {
        const struct crossvm_eventfd_route *route = &client->bells.routes[i];
        if (route->vector == 0) {
            expect("ring", crossvm_notify_signal(&notify, route->peer, 0), CROSSVM_OK);
        }
    }
}

static void publish(const char *path, const char *socket_path)
{
    static const struct crossvm_chunk_decl chunks[] = {{.name = STATE,
                                                        .kind = CROSSVM_KIND_SNAPSHOT,
                                                        .n = 4,
                                                        .len = STATE_LEN,
                                                        .writer = PROGRAM,
                                                        .reader = CROSSVM_ANYONE}};
    static const struct crossvm_region_plan plan = {
        .chunks = chunks, .n_chunks = 1, .owner = PROGRAM, .region_id = {PROGRAM}};
    static struct crossvm_ivshmem_client client;
    struct crossvm_mapping mapping;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[1];
    struct crossvm_chunk chunk;
    struct crossvm_snapshot_writer writer;
    unsigned char state[STATE_LEN];
    map(&mapping, path);
    if (socket_path != NULL) {
        client_open(&client, socket_path);
    }
    expect("format", crossvm_region_owner_format(&owner, &mapping, &plan, table, 1), CROSSVM_OK);
    expect("find", crossvm_region_find(&owner.region, STATE, CROSSVM_KIND_SNAPSHOT, 0, &chunk),
           CROSSVM_OK);
    expect("open", crossvm_snapshot_writer_open(&writer, &owner.region, &chunk), CROSSVM_OK);
    printf("chardev: publishing\n");
    (void)fflush(stdout);
    for (uint64_t version = 1;; version++) {
        bytes_make(state, sizeof(state), version, 0);
        expect("publish",
               crossvm_snapshot_writer_publish(&writer, state, sizeof(state), version * 1000,
                                               version * 1000 + 1),
               CROSSVM_OK);
        if (socket_path != NULL) {
            ring_all(&client);
        }
        rest(PERIOD_US);
    }
}

/* Slots: rubbish behind the control line, whose index and epoch stay. Header: a byte of it. */
static void damage(const char *what, const char *path)
{
    struct crossvm_mapping mapping;
    struct crossvm_region region;
    struct crossvm_chunk chunk;
    map(&mapping, path);
    unsigned char *base = (unsigned char *)mapping.base;
    expect("attach", crossvm_region_attach(&region, &mapping, PROGRAM), CROSSVM_OK);
    expect("find", crossvm_region_find(&region, STATE, CROSSVM_KIND_SNAPSHOT, 0, &chunk),
           CROSSVM_OK);
    if (strcmp(what, "slots") == 0) {
        memset(base + chunk.off + CROSSVM_LINE, 0xff, (size_t)chunk.length - CROSSVM_LINE);
    } else {
        base[24] ^= 1; /* of the region's length */
    }
}

/* ---- the guest ------------------------------------------------------------------------------ */

struct reading {
    struct crossvm_chardev_record record;
    unsigned char state[STATE_LEN];
};

static void say(const char *text)
{
    printf("chardev: %s\n", text);
    (void)fflush(stdout);
}

/* Opens the device, as soon as it answers anything but `until_not`. The file, or -errno. */
static int open_device(int flags, int until_not)
{
    for (unsigned i = 0; i < LIMIT_MS; i++) {
        int fd = open(DEVICE, O_RDONLY | O_CLOEXEC | flags);
        if (fd >= 0 || errno != until_not) {
            return fd >= 0 ? fd : -errno;
        }
        rest(1000);
    }
    fail("open", -1);
}

/* A version, newer than the last one, all of it its own. */
static void read_one(int fd, uint64_t *last)
{
    struct reading reading;
    ssize_t len = read(fd, &reading, sizeof(reading));
    if (len != (ssize_t)sizeof(reading)) {
        fail("read", (long long)len);
    }
    uint64_t version = reading.record.version;
    if (version <= *last) {
        fail("version", (long long)version);
    }
    expect("missed", (long long)reading.record.missed,
           *last == 0 ? 0 : (long long)(version - *last - 1));
    expect("length", reading.record.len, STATE_LEN);
    expect("reserved", reading.record.reserved, 0);
    expect("sampled", (long long)reading.record.sampled_ns, (long long)(version * 1000));
    expect("published", (long long)reading.record.published_ns, (long long)(version * 1000 + 1));
    expect("bytes", bytes_are(reading.state, sizeof(reading.state), version, 0), true);
    *last = version;
}

/* What poll() says, waited for. */
static short polled(int fd)
{
    struct pollfd waiting = {fd, POLLIN, 0};
    if (poll(&waiting, 1, LIMIT_MS) != 1) {
        fail("poll: nothing new for a minute", waiting.revents);
    }
    return waiting.revents;
}

static void expect_errno(const char *what, long long answer, int error)
{
    if (answer != -1 || errno != error) {
        fail(what, answer);
    }
}

/* Two openers, each with a last version of its own; then answers that are no versions. */
static void read_versions(int a, int b)
{
    unsigned char few[sizeof(struct crossvm_chardev_record) + STATE_LEN - 1];
    uint64_t last_a = 0;
    uint64_t last_b = 0;
    for (unsigned i = 0; i < N_READ; i++) {
        expect("poll", polled(a), POLLIN);
        if (i % 2 == 0) {
            read_one(a, &last_a); /* the newest; and one that it has to wait for */
        }
        read_one(a, &last_a);
        if (i % 10 == 9) {
            read_one(b, &last_b);
        }
    }
    expect("the second opener's version", last_b <= last_a, true);
    expect("poll", polled(a), POLLIN);
    expect_errno("a short read", read(a, few, sizeof(few)), EMSGSIZE);
    expect_errno("a very short read", read(a, few, 8), EMSGSIZE);
    expect_errno("a read to nowhere", syscall(SYS_read, a, NULL, sizeof(struct reading)), EFAULT);
    printf("chardev: passed: version %llu\n", (unsigned long long)last_a);
    (void)fflush(stdout);
}

static long unload(void)
{
    return syscall(SYS_delete_module, "crossvm_chardev", O_NONBLOCK);
}

/* Reads until an error: versions that came before it are none of ours. Nobody rings for it, and
 * bytes that were good once and are bad now are no news: only reading meets them. */
static int error_of_reading(int fd)
{
    struct reading reading;
    const bool waits = (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
    struct pollfd waiting = {fd, POLLIN, 0};
    for (unsigned i = 0; i < LIMIT_MS; i++) {
        if (poll(&waiting, 1, 1) == 0 && waits) {
            continue;
        }
        if (read(fd, &reading, sizeof(reading)) < 0 && errno != EAGAIN) {
            return errno;
        }
    }
    fail("read: no error", 0);
}

/* The producer starts again, then goes mad. */
static void outlive(int a, int b)
{
    struct reading reading;
    uint64_t last = 0;
    say("again...");
    expect("reading of an old region", error_of_reading(a), ESTALE);
    expect("poll of an old region", polled(a), POLLIN | POLLERR);
    expect("reading of an old region", error_of_reading(b), ESTALE);
    (void)close(a);
    a = open_device(O_NONBLOCK, EAGAIN);
    expect("opening again", a >= 0, true);
    expect("poll", polled(a), POLLIN);
    read_one(a, &last);
    say("slots...");
    expect("reading of broken slots", error_of_reading(a), EIO);
    expect("poll of broken slots", polled(a), POLLIN | POLLERR);
    expect_errno("reading on", read(a, &reading, sizeof(reading)), EIO);
    (void)close(a);
    a = open_device(0, EAGAIN);
    expect("opening again", a >= 0, true);
    expect("reading of broken slots", error_of_reading(a), EIO);
    (void)close(a);
    say("header...");
    while ((a = open(DEVICE, O_RDONLY | O_CLOEXEC)) >= 0) {
        (void)close(a);
        rest(1000);
    }
    expect("opening with a broken header", errno, EIO);
    (void)close(b);
}

static void read_device(void)
{
    struct reading reading;
    expect_errno("opening without a region", open(DEVICE, O_RDONLY | O_CLOEXEC), EAGAIN);
    say("publish...");
    int a = open_device(0, EAGAIN);
    int b = open_device(0, EAGAIN);
    expect("opening", a >= 0 && b >= 0, true);
    read_versions(a, b);
    expect_errno("unloading while it is open", unload(), EWOULDBLOCK);
    say("silence...");
    int quiet = open_device(O_NONBLOCK, EAGAIN);
    expect("opening", quiet >= 0, true);
    (void)polled(quiet);
    while (read(quiet, &reading, sizeof(reading)) > 0) {
        rest(10000);
    }
    expect("reading without news", errno, EAGAIN);
    (void)close(quiet);
    outlive(a, b);
    expect("unloading", unload(), 0);
    expect_errno("opening what is gone", open(DEVICE, O_RDONLY | O_CLOEXEC), ENOENT);
    say("gone");
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "publish") == 0) {
        publish(argv[2], argc > 3 ? argv[3] : NULL);
    } else if (argc == 4 && strcmp(argv[1], "break") == 0) {
        damage(argv[2], argv[3]);
    } else if (argc == 2 && strcmp(argv[1], "read") == 0) {
        read_device();
    } else {
        fprintf(stderr, "usage: chardev publish FILE [SOCKET] | break WHAT FILE | read\n");
        return 2;
    }
    return 0;
}
