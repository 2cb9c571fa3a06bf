/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/ivshmem_client.c - a host process as a peer of ivshmem devices: what an ivshmem server
 * says, whole, in pieces, late, or not at all; what does not belong; rings both ways; descriptors
 * are never left open.
 */
#include <crossvm/backend/ivshmem_client.h>

#include "../support/queue.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
    LEN = 8192,
    VECTORS = 3,
    ROUTES = 8,
    MESSAGES_MOST = 128,
    SOON = 200 /* ms */
};

/* ---- a server that says what it is told to --------------------------------------------------- */

enum {
    NONE = -1,
    MEMORY = -2
};

struct message {
    int64_t value;
    int fd; /* a descriptor, NONE, or MEMORY */
};

static struct {
    char path[64];
    int listener;
    int memory;
    struct message messages[MESSAGES_MOST];
    unsigned n_messages;
    unsigned piece; /* bytes sent at one time */
    bool doubles;   /* the last message has two descriptors at once */
    bool repeats;   /* each piece of the last message has the descriptor */
    bool hangs_up;
} server;

static int bells[ROUTES]; /* the server's and the other peers' copies */

static void say(int64_t value, int fd)
{
    REQUIRE(server.n_messages < MESSAGES_MOST);
    server.messages[server.n_messages].value = value;
    server.messages[server.n_messages].fd = fd;
    server.n_messages++;
}

/* n: how often the descriptor is in it. */
static void send_piece(int socket, unsigned char *bytes, size_t len, int fd, unsigned n)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    const int fds[2] = {fd, fd};
    struct iovec iov = {bytes, len};
    struct msghdr header;
    memset(&header, 0, sizeof(header));
    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, n * sizeof(int));
    }
    REQUIRE(sendmsg(socket, &header, MSG_NOSIGNAL) == (ssize_t)len || errno == EPIPE);
}

/* A descriptor goes with a message's first byte. */
static void send_one(int socket, const struct message *message, bool last)
{
    unsigned char bytes[8];
    int fd = message->fd == MEMORY ? server.memory : message->fd;
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)message->value >> (8 * i));
    }
    for (unsigned i = 0; i < 8; i += server.piece) {
        unsigned left = 8 - i;
        bool with = i == 0 || (last && server.repeats);
        send_piece(socket, bytes + i, left < server.piece ? left : server.piece, with ? fd : -1,
                   last && server.doubles ? 2 : 1);
    }
}

static void serve(void)
{
    char byte;
    int socket = accept(server.listener, NULL, NULL);
    REQUIRE(socket >= 0);
    for (unsigned i = 0; i < server.n_messages; i++) {
        send_one(socket, &server.messages[i], i + 1 == server.n_messages);
    }
    if (!server.hangs_up) {
        REQUIRE(read(socket, &byte, 1) <= 0);
    }
    test_child_done();
}

static void server_make(void)
{
    struct sockaddr_un address;
    memset(&server, 0, sizeof(server));
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    (void)snprintf(server.path, sizeof(server.path), "/tmp/crossvm-client-%ld", (long)getpid());
    memcpy(address.sun_path, server.path, strlen(server.path));
    (void)unlink(server.path);
    server.piece = 8;
    server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(server.listener >= 0);
    REQUIRE(bind(server.listener, (const struct sockaddr *)(const void *)&address,
                 sizeof(address)) == 0);
    REQUIRE(listen(server.listener, 4) == 0);
    server.memory = memfd_create("client", MFD_CLOEXEC);
    REQUIRE(server.memory >= 0 && ftruncate(server.memory, LEN) == 0);
    for (int i = 0; i < ROUTES; i++) {
        bells[i] = crossvm_eventfd_create();
        REQUIRE(bells[i] >= 0);
    }
}

static void server_drop(void)
{
    REQUIRE(close(server.listener) == 0 && close(server.memory) == 0);
    REQUIRE(unlink(server.path) == 0);
    for (int i = 0; i < ROUTES; i++) {
        REQUIRE(close(bells[i]) == 0);
    }
}

/* The first three messages of every server, for peer 5. */
static void say_the_beginning(void)
{
    say(0, NONE);
    say(5, NONE);
    say(-1, MEMORY);
}

static void say_own_vectors(void)
{
    for (int i = 0; i < VECTORS; i++) {
        say(5, bells[i]);
    }
}

/* ---- the client ------------------------------------------------------------------------------ */

static struct crossvm_ivshmem_client client;
static struct crossvm_eventfd_route routes[ROUTES];
static int own[VECTORS];

static struct crossvm_ivshmem_client_config config(uint32_t n_routes)
{
    const struct crossvm_ivshmem_client_config config = {
        server.path, CROSSVM_READ_WRITE, own, VECTORS, routes, n_routes};
    return config;
}

static int open_client(uint32_t n_routes, uint64_t deadline_ns)
{
    const struct crossvm_ivshmem_client_config wanted = config(n_routes);
    return crossvm_ivshmem_client_open(&client, &wanted, deadline_ns);
}

static int n_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    REQUIRE(dir != NULL);
    while (readdir(dir) != NULL) {
        n++;
    }
    REQUIRE(closedir(dir) == 0);
    return n;
}

/* Opens a client while the server says what was said; closes it again unless OK. */
static pid_t open_beside(int want, uint32_t n_routes)
{
    int before = n_descriptors();
    pid_t child = test_fork();
    if (child == 0) {
        serve();
    }
    CHECK_EQ(open_client(n_routes, crossvm_posix_now() + 20000000000u), want);
    if (want != CROSSVM_OK) {
        CHECK_EQ(n_descriptors(), before);
        CHECK(client.mapping.base == NULL);
        CHECK_EQ(test_wait(child), 0);
    }
    return child;
}

/* Whether a peer's copy was rung; how often is not judged: QEMU's user mode on big-endian processors
 * turns the count of descriptors that the program made, and not of those that it received. */
static bool was_rung(int fd)
{
    uint64_t count;
    return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) && count != 0;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void a_client_is_a_peer(void)
{
    for (unsigned piece = 1; piece <= 8; piece++) {
        struct crossvm_ivshmem_change change;
        struct crossvm_notify notify;
        const uint64_t one = 1;
        int before;
        server_make();
        before = n_descriptors();
        server.piece = piece;
        say_the_beginning();
        say(3, bells[3]);
        say(3, bells[4]);
        say(9, bells[5]);
        say_own_vectors();
        pid_t child = open_beside(CROSSVM_OK, ROUTES);
        CHECK_EQ(client.id, 5);
        CHECK_EQ(client.mapping.len, LEN);
        CHECK_EQ(client.mapping.access, CROSSVM_READ_WRITE);
        CHECK_EQ(client.bells.n_routes, 3);
        CHECK_EQ(crossvm_ivshmem_client_step(&client, &change), CROSSVM_EMPTY);

        crossvm_notify_eventfd(&notify, &client.bells);
        CHECK_EQ(crossvm_notify_signal(&notify, 3, 1), CROSSVM_OK);
        CHECK(was_rung(bells[4]));
        CHECK(!was_rung(bells[3]));
        CHECK_EQ(crossvm_notify_signal(&notify, 9, 0), CROSSVM_OK);
        CHECK(was_rung(bells[5]));
        CHECK_EQ(crossvm_notify_signal(&notify, 9, 1), CROSSVM_NOT_FOUND);
        CHECK_EQ(write(bells[2], &one, sizeof(one)), 8);
        CHECK_EQ(crossvm_notify_wait(&notify, 2, CROSSVM_NO_DEADLINE), CROSSVM_OK);
        CHECK_EQ(crossvm_notify_wait(&notify, 1, 0), CROSSVM_TIMEOUT);
        crossvm_ivshmem_client_close(&client);
        crossvm_ivshmem_client_close(&client);
        CHECK_EQ(test_wait(child), 0);
        CHECK_EQ(n_descriptors(), before);
        server_drop();
    }
}

static int step_soon(struct crossvm_ivshmem_change *change)
{
    uint64_t end = crossvm_posix_now() + 20000000000u;
    int status;
    while ((status = crossvm_ivshmem_client_step(&client, change)) == CROSSVM_EMPTY &&
           crossvm_posix_now() < end) {
        (void)sched_yield();
    }
    return status;
}

static void who_comes_and_goes_is_learnt(void)
{
    struct crossvm_ivshmem_change change;
    server_make();
    int before = n_descriptors();
    say_the_beginning();
    say(3, bells[3]);
    say_own_vectors();
    say(8, bells[4]);
    say(8, bells[5]);
    say(3, NONE);
    say(8, bells[6]);
    server.hangs_up = true;
    pid_t child = open_beside(CROSSVM_OK, 3);
    for (uint32_t vector = 0; vector < 2; vector++) {
        REQUIRE(step_soon(&change) == CROSSVM_OK);
        CHECK(change.there && change.peer == 8 && change.vector == vector);
    }
    REQUIRE(step_soon(&change) == CROSSVM_OK);
    CHECK(!change.there && change.peer == 3);
    REQUIRE(step_soon(&change) == CROSSVM_OK);
    CHECK(change.there && change.peer == 8 && change.vector == 2);
    CHECK_EQ(client.bells.n_routes, 3);
    CHECK_EQ(client.n_left_out, 0);
    /* The server ends, and what was handed out stays. */
    CHECK_EQ(step_soon(&change), CROSSVM_STALE);
    CHECK_EQ(crossvm_ivshmem_client_step(&client, &change), CROSSVM_STALE);
    CHECK_EQ(test_wait(child), 0);
    memset(client.mapping.base, 1, LEN);
    struct crossvm_notify notify;
    crossvm_notify_eventfd(&notify, &client.bells);
    CHECK_EQ(crossvm_notify_signal(&notify, 8, 2), CROSSVM_OK);
    CHECK(was_rung(bells[6]));
    crossvm_ivshmem_client_close(&client);
    CHECK_EQ(n_descriptors(), before);
    server_drop();
}

/* A program that this one starts gets none of them. */
static void descriptors_are_not_inherited(void)
{
    server_make();
    say_the_beginning();
    say(3, bells[3]);
    say_own_vectors();
    pid_t child = open_beside(CROSSVM_OK, ROUTES);
    CHECK_EQ(fcntl(client.socket, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(routes[0].fd, F_GETFD), FD_CLOEXEC);
    for (int i = 0; i < VECTORS; i++) {
        CHECK_EQ(fcntl(own[i], F_GETFD), FD_CLOEXEC);
    }
    crossvm_ivshmem_client_close(&client);
    CHECK_EQ(test_wait(child), 0);
    server_drop();
}

/* Behind a vector that was left out no later one of that peer is taken: it would get its number. */
static void vectors_keep_their_numbers(void)
{
    struct crossvm_ivshmem_change change;
    server_make();
    say_the_beginning();
    say(3, bells[3]);
    say_own_vectors();
    say(8, bells[4]);
    say(3, NONE);
    say(8, bells[5]);
    say(8, NONE);
    say(8, bells[6]);
    server.hangs_up = true;
    pid_t child = open_beside(CROSSVM_OK, 1);
    REQUIRE(step_soon(&change) == CROSSVM_OK);
    CHECK(!change.there && change.peer == 3);
    REQUIRE(step_soon(&change) == CROSSVM_OK);
    CHECK(!change.there && change.peer == 8);
    REQUIRE(step_soon(&change) == CROSSVM_OK);
    CHECK(change.there && change.peer == 8 && change.vector == 0);
    CHECK_EQ(client.n_left_out, 2);
    crossvm_ivshmem_client_close(&client);
    CHECK_EQ(test_wait(child), 0);
    server_drop();
}

static void vectors_without_room_are_left_out(void)
{
    server_make();
    int before = n_descriptors();
    say_the_beginning();
    for (int i = 0; i < 4; i++) {
        say(20 + i, bells[3 + i]);
    }
    say_own_vectors();
    pid_t child = open_beside(CROSSVM_OK, 2);
    CHECK_EQ(client.bells.n_routes, 2);
    CHECK_EQ(client.n_left_out, 2);
    crossvm_ivshmem_client_close(&client);
    CHECK_EQ(test_wait(child), 0);
    CHECK_EQ(n_descriptors(), before);
    server_drop();
}

/* What changes nothing is passed over, but not without end. */
static void a_step_is_bounded(void)
{
    struct crossvm_ivshmem_change change;
    server_make();
    say_the_beginning();
    say_own_vectors();
    for (int i = 0; i < CROSSVM_IVSHMEM_CLIENT_TRIES + 1; i++) {
        say(5, bells[0]); /* more vectors of its own than it wants */
    }
    say(8, bells[3]);
    server.hangs_up = true;
    pid_t child = open_beside(CROSSVM_OK, ROUTES);
    CHECK_EQ(test_wait(child), 0);
    int before = n_descriptors();
    CHECK_EQ(crossvm_ivshmem_client_step(&client, &change), CROSSVM_EMPTY);
    CHECK_EQ(crossvm_ivshmem_client_step(&client, &change), CROSSVM_OK);
    CHECK(change.there && change.peer == 8 && change.vector == 0);
    CHECK_EQ(client.bells.n_own, VECTORS);
    CHECK_EQ(n_descriptors(), before + 1);
    CHECK_EQ(crossvm_ivshmem_client_step(&client, &change), CROSSVM_STALE);
    crossvm_ivshmem_client_close(&client);
    server_drop();
}

static void what_does_not_belong_is_refused(void)
{
    static const struct message beginnings[][4] = {
        {{1, NONE}, {5, NONE}, {-1, MEMORY}, {5, 0}},     /* another version */
        {{0, MEMORY}, {5, NONE}, {-1, MEMORY}, {5, 0}},   /* a descriptor with it */
        {{0, NONE}, {65536, NONE}, {-1, MEMORY}, {5, 0}}, /* no id */
        {{0, NONE}, {-1, NONE}, {-1, MEMORY}, {5, 0}},    /* none either */
        {{0, NONE}, {5, MEMORY}, {-1, MEMORY}, {5, 0}},   /* an id with a descriptor */
        {{0, NONE}, {5, NONE}, {-1, NONE}, {5, 0}},       /* no memory */
        {{0, NONE}, {5, NONE}, {0, MEMORY}, {5, 0}},      /* memory under another number */
        {{0, NONE}, {5, NONE}, {-1, MEMORY}, {70000, 0}}, /* a peer that there cannot be */
        {{0, NONE}, {5, NONE}, {-1, MEMORY}, {-1, 0}},    /* memory twice */
        {{0, NONE}, {5, NONE}, {-1, MEMORY}, {5, NONE}},  /* this client went */
    };
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        server_make();
        for (int k = 0; k < 4; k++) {
            int fd = beginnings[i][k].fd == 0 ? bells[0] : beginnings[i][k].fd;
            say(beginnings[i][k].value, fd);
        }
        (void)open_beside(CROSSVM_MISMATCH, ROUTES);
        server_drop();
    }
}

/* With the memory, or with a vector. */
static void two_descriptors_in_one_message_are_refused(void)
{
    for (unsigned i = 0; i < 4; i++) {
        server_make();
        say_the_beginning();
        if (i >= 2) {
            say(5, bells[0]);
        }
        server.doubles = i % 2 == 0;
        server.repeats = i % 2 == 1;
        server.piece = server.repeats ? 4 : 8;
        (void)open_beside(CROSSVM_MISMATCH, ROUTES);
        server_drop();
    }
}

static void a_descriptor_of_half_a_message_is_closed(void)
{
    struct crossvm_ivshmem_change change;
    server_make();
    int before = n_descriptors();
    say_the_beginning();
    say_own_vectors();
    pid_t child = test_fork();
    if (child == 0) {
        unsigned char byte = 8;
        int socket = accept(server.listener, NULL, NULL);
        REQUIRE(socket >= 0);
        for (unsigned i = 0; i < server.n_messages; i++) {
            send_one(socket, &server.messages[i], false);
        }
        send_piece(socket, &byte, 1, bells[4], 1);
        REQUIRE(read(socket, &byte, 1) <= 0);
        test_child_done();
    }
    CHECK_EQ(open_client(ROUTES, crossvm_posix_now() + 20000000000u), CROSSVM_OK);
    while (client.n_bytes == 0) {
        CHECK_EQ(crossvm_ivshmem_client_step(&client, &change), CROSSVM_EMPTY);
    }
    CHECK(client.fd >= 0);
    crossvm_ivshmem_client_close(&client);
    CHECK_EQ(test_wait(child), 0);
    CHECK_EQ(n_descriptors(), before);
    server_drop();
}

/* The process may open no more: its own fault, and errno says so. */
static void too_few_descriptors_are_the_systems_refusal(void)
{
    struct crossvm_ivshmem_change change;
    struct rlimit limit;
    server_make();
    say_the_beginning();
    say_own_vectors();
    say(8, bells[4]);
    server.hangs_up = true;
    pid_t child = open_beside(CROSSVM_OK, ROUTES);
    CHECK_EQ(test_wait(child), 0);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const struct rlimit none = {3, limit.rlim_max}; /* standard input, output and errors */
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int status = crossvm_ivshmem_client_step(&client, &change);
    int error = errno;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK_EQ(status, CROSSVM_SYSTEM);
    CHECK_EQ(error, EMFILE);
    crossvm_ivshmem_client_close(&client);
    server_drop();
}

/* Nobody accepts, and others stand in front. */
static void a_server_that_accepts_nobody_is_not_waited_for_for_ever(void)
{
    struct sockaddr_un address;
    int others[16];
    int n = 0;
    server_make();
    REQUIRE(listen(server.listener, 0) == 0);
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, server.path, strlen(server.path));
    for (; n < 16; n++) {
        others[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        REQUIRE(others[n] >= 0);
        if (connect(others[n], (const struct sockaddr *)(const void *)&address, sizeof(address)) !=
            0) {
            break;
        }
    }
    REQUIRE(n < 16);
    int before = n_descriptors();
    CHECK_EQ(open_client(ROUTES, crossvm_posix_now() + SOON * 1000000u), CROSSVM_TIMEOUT);
    CHECK_EQ(n_descriptors(), before);
    for (int i = 0; i <= n; i++) {
        REQUIRE(close(others[i]) == 0);
    }
    server_drop();
}

static void a_server_that_stops_in_the_middle_is_no_server(void)
{
    for (unsigned n = 0; n < 6; n++) {
        server_make();
        say_the_beginning();
        say_own_vectors();
        server.n_messages = n;
        server.hangs_up = true;
        (void)open_beside(CROSSVM_STALE, ROUTES);
        server_drop();
    }
}

static void one_that_says_too_little_is_not_waited_for_for_ever(void)
{
    server_make();
    say_the_beginning();
    say(5, bells[0]);
    pid_t child = test_fork();
    if (child == 0) {
        serve();
    }
    int before = n_descriptors();
    CHECK_EQ(open_client(ROUTES, crossvm_posix_now() + SOON * 1000000u), CROSSVM_TIMEOUT);
    CHECK_EQ(n_descriptors(), before);
    CHECK_EQ(test_wait(child), 0);
    server_drop();
}

static void without_a_server_there_is_an_error(void)
{
    struct crossvm_ivshmem_client_config wanted;
    char path[200];
    server_make();
    wanted = config(ROUTES);
    wanted.path = "/tmp/crossvm-client-none";
    CHECK_EQ(crossvm_ivshmem_client_open(&client, &wanted, 0), CROSSVM_SYSTEM);
    CHECK_EQ(errno, ENOENT);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    wanted.path = path;
    CHECK_EQ(crossvm_ivshmem_client_open(&client, &wanted, 0), CROSSVM_INVALID);
    path[108] = '\0'; /* as long as the room for it, which has to end in a NUL */
    CHECK_EQ(crossvm_ivshmem_client_open(&client, &wanted, 0), CROSSVM_INVALID);
    path[107] = '\0';
    CHECK_EQ(crossvm_ivshmem_client_open(&client, &wanted, 0), CROSSVM_SYSTEM);
    wanted = config(ROUTES);
    wanted.n_own = 0;
    CHECK_EQ(crossvm_ivshmem_client_open(&client, &wanted, 0), CROSSVM_INVALID);
    crossvm_ivshmem_client_close(&client);
    server_drop();
}

int main(void)
{
    test_guard();
    CASE(a_client_is_a_peer);
    CASE(who_comes_and_goes_is_learnt);
    CASE(descriptors_are_not_inherited);
    CASE(vectors_keep_their_numbers);
    CASE(vectors_without_room_are_left_out);
    CASE(a_step_is_bounded);
    CASE(what_does_not_belong_is_refused);
    CASE(two_descriptors_in_one_message_are_refused);
    CASE(a_descriptor_of_half_a_message_is_closed);
    CASE(too_few_descriptors_are_the_systems_refusal);
    CASE(a_server_that_accepts_nobody_is_not_waited_for_for_ever);
    CASE(a_server_that_stops_in_the_middle_is_no_server);
    CASE(one_that_says_too_little_is_not_waited_for_for_ever);
    CASE(without_a_server_there_is_an_error);
    return check_done();
}
