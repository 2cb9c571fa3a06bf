/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/memfd.c - sealed memory: whoever receives it can read it, and nothing that it tries
 * changes a byte or the length; what is not sealed like that is refused; descriptors travel whole
 * or not at all, and none is left open.
 */
#include <crossvm/backend/memfd.h>

#include "../support/queue.h"

#include <poll.h>
#include <sys/resource.h>

enum {
    LEN = 2 * 4096
};

static const unsigned char pattern = 0x5a;

/* ---- what a consumer may try ----------------------------------------------------------------- */

static void check_bytes(const struct crossvm_memfd *memfd)
{
    const volatile unsigned char *bytes = (const volatile unsigned char *)memfd->mapping.base;
    unsigned long n_wrong = 0;
    for (size_t i = 0; i < LEN; i++) {
        n_wrong += bytes[i] != pattern;
    }
    CHECK_EQ(n_wrong, 0);
}

/* Every system call that would write, through a descriptor that may even be open for writing. */
static void try_to_write(int fd)
{
    const char text[] = "changed";
    CHECK_EQ(write(fd, text, sizeof(text)), -1);
    CHECK_EQ(pwrite(fd, text, sizeof(text), 0), -1);
    CHECK(mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK(mmap(NULL, LEN, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_EQ(ftruncate(fd, 0), -1);
    CHECK_EQ(ftruncate(fd, LEN / 2), -1);
    CHECK_EQ(ftruncate(fd, 2 * LEN), -1);
    CHECK_EQ(fallocate(fd, 0, 0, 2 * LEN), -1);
    CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN), -1);
    CHECK_EQ(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, LEN), -1);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), -1);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, 0), -1);
}

/* The superuser may reopen for writing what nobody else may; the seals hold all the same. */
static void try_to_reopen(int fd)
{
    static const int flags[] = {O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND};
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        int again = open(path, flags[i]);
        if (again >= 0) {
            try_to_write(again);
            REQUIRE(close(again) == 0);
        } else {
            CHECK(errno == EACCES || errno == EPERM);
        }
        struct stat stat;
        CHECK_EQ(fstat(fd, &stat), 0);
        CHECK_EQ(stat.st_size, LEN);
    }
    CHECK_EQ(truncate(path, 0), -1);
}

static void try_everything(const struct crossvm_memfd *memfd)
{
    check_bytes(memfd);
    CHECK_EQ(memfd->mapping.access, CROSSVM_READ_ONLY);
    CHECK_EQ(memfd->mapping.len, LEN);
    CHECK_EQ(mprotect(memfd->mapping.base, LEN, PROT_READ | PROT_WRITE), -1);
    try_to_write(memfd->fd);
    try_to_reopen(memfd->fd);
    /* A private copy may be written: it is nobody else's. */
    unsigned char *private_copy =
        (unsigned char *)mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd->fd, 0);
    REQUIRE(private_copy != MAP_FAILED);
    private_copy[0] = (unsigned char)~pattern;
    REQUIRE(munmap(private_copy, LEN) == 0);
    check_bytes(memfd);
}

/* A store through the mapping is a fault. */
static void store_through_the_mapping(const struct crossvm_memfd *memfd)
{
    pid_t child = test_fork();
    if (child == 0) {
        struct sigaction usual;
        memset(&usual, 0, sizeof(usual));
        usual.sa_handler = SIG_DFL;
        REQUIRE(sigaction(SIGSEGV, &usual, NULL) == 0);
        *(volatile unsigned char *)memfd->mapping.base = 1;
        _exit(0);
    }
    CHECK_EQ(test_wait(child), 128 + SIGSEGV);
}

static void consumer(int socket)
{
    struct crossvm_memfd memfd;
    int fd = -1;
    REQUIRE(crossvm_memfd_receive(socket, &fd, 1) == CROSSVM_OK);
    CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    REQUIRE(crossvm_memfd_open(&memfd, fd) == CROSSVM_OK);
    try_everything(&memfd);
    store_through_the_mapping(&memfd);
    crossvm_memfd_close(&memfd);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    test_child_done();
}

static void create(struct crossvm_memfd *memfd)
{
    REQUIRE(crossvm_memfd_create(memfd, "crossvm-test", LEN) == CROSSVM_OK);
    CHECK_EQ(memfd->mapping.access, CROSSVM_READ_WRITE);
    CHECK_EQ(memfd->mapping.len, LEN);
    unsigned char *bytes = (unsigned char *)memfd->mapping.base;
    for (size_t i = 0; i < LEN; i++) {
        CHECK_EQ(bytes[i], 0);
    }
    memset(bytes, pattern, LEN);
}

static void whoever_receives_it_can_only_read(void)
{
    struct crossvm_memfd memfd;
    int sockets[2];
    create(&memfd);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    pid_t child = test_fork();
    if (child == 0) {
        /* What it inherited by fork is not what it was handed. */
        crossvm_memfd_close(&memfd);
        REQUIRE(close(sockets[0]) == 0);
        consumer(sockets[1]);
    }
    CHECK_EQ(crossvm_memfd_send(sockets[0], &memfd.fd, 1), CROSSVM_OK);
    CHECK_EQ(test_wait(child), 0);
    check_bytes(&memfd);
    REQUIRE(close(sockets[0]) == 0 && close(sockets[1]) == 0);
    crossvm_memfd_close(&memfd);
}

static void an_ordinary_user_cannot_even_reopen_it(void)
{
    struct crossvm_memfd memfd;
    if (geteuid() != 0) {
        printf("  not the superuser: nothing to give up\n");
        return;
    }
    create(&memfd);
    pid_t child = test_fork();
    if (child == 0) {
        char path[64];
        REQUIRE(setgid(65534) == 0 && setuid(65534) == 0);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd.fd);
        CHECK_EQ(open(path, O_RDWR), -1);
        CHECK_EQ(fchmod(memfd.fd, 0666), -1);
        try_to_write(memfd.fd);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
    check_bytes(&memfd);
    crossvm_memfd_close(&memfd);
}

static void the_creator_itself_cannot_map_it_writable_again(void)
{
    struct crossvm_memfd memfd;
    unsigned n_fds = test_n_fds();
    create(&memfd);
    CHECK_EQ(test_n_fds(), n_fds + 1);
    CHECK_EQ(fcntl(memfd.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(memfd.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    try_to_write(memfd.fd);
    try_to_reopen(memfd.fd);
    check_bytes(&memfd);
    /* Its own mapping writes on, and others see it. */
    struct crossvm_memfd reader;
    REQUIRE(crossvm_memfd_open(&reader, dup(memfd.fd)) == CROSSVM_OK);
    *(volatile unsigned char *)memfd.mapping.base = 7;
    CHECK_EQ(*(volatile unsigned char *)reader.mapping.base, 7);
    crossvm_memfd_close(&reader);
    crossvm_memfd_close(&memfd);
    crossvm_memfd_close(&memfd);
    CHECK_EQ(test_n_fds(), n_fds);
}

static void a_reader_outlives_the_creator(void)
{
    struct crossvm_memfd memfd;
    struct crossvm_memfd reader;
    create(&memfd);
    REQUIRE(crossvm_memfd_open(&reader, dup(memfd.fd)) == CROSSVM_OK);
    crossvm_memfd_close(&memfd);
    check_bytes(&reader);
    crossvm_memfd_close(&reader);
}

/* ---- what is not sealed ---------------------------------------------------------------------- */

static void check_refused(int fd, int status)
{
    struct crossvm_memfd memfd;
    CHECK_EQ(crossvm_memfd_open(&memfd, fd), status);
    CHECK_EQ(memfd.fd, -1);
    CHECK(memfd.mapping.base == NULL);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    crossvm_memfd_close(&memfd);
}

static void memory_that_lacks_a_seal_is_refused(void)
{
    static const int seals[] = {F_SEAL_SHRINK, F_SEAL_GROW, CROSSVM_I_SEAL_FUTURE_WRITE,
                                F_SEAL_SEAL};
    unsigned n_fds = test_n_fds();
    for (unsigned missing = 0; missing < 16; missing++) {
        int fd = memfd_create("crossvm-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        REQUIRE(fd >= 0 && ftruncate(fd, LEN) == 0);
        for (unsigned i = 0; i < 4; i++) {
            if ((missing >> i & 1) == 0) {
                REQUIRE(fcntl(fd, F_ADD_SEALS, seals[i]) == 0);
            }
        }
        if (missing == 0) {
            struct crossvm_memfd memfd;
            CHECK_EQ(crossvm_memfd_open(&memfd, fd), CROSSVM_OK);
            crossvm_memfd_close(&memfd);
        } else {
            check_refused(fd, CROSSVM_ROLE);
        }
    }
    CHECK_EQ(test_n_fds(), n_fds);
}

static void what_is_no_memory_is_refused(void)
{
    unsigned n_fds = test_n_fds();
    int fds[2];
    char path[] = "/tmp/crossvm-test-XXXXXX";
    int fd = mkstemp(path);
    REQUIRE(fd >= 0 && unlink(path) == 0 && ftruncate(fd, LEN) == 0);
    struct crossvm_memfd memfd;
    int status = crossvm_memfd_open(&memfd, fd);
    /* A file on a memory file system has seals, others do not. */
    CHECK(status == CROSSVM_SYSTEM || status == CROSSVM_ROLE);
    CHECK_EQ(memfd.fd, -1);
    REQUIRE(pipe(fds) == 0);
    check_refused(fds[0], CROSSVM_SYSTEM);
    check_refused(fds[1], CROSSVM_SYSTEM);
    fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    check_refused(fd, CROSSVM_SYSTEM);
    check_refused(-1, CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
    /* Sealed, but with nothing in it. */
    fd = memfd_create("crossvm-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(fd >= 0 && fcntl(fd, F_ADD_SEALS, CROSSVM_I_MEMFD_SEALS) == 0);
    check_refused(fd, CROSSVM_SYSTEM);
    CHECK_EQ(test_n_fds(), n_fds);
}

/* ---- creating that fails --------------------------------------------------------------------- */

static void check_cannot_create(uint64_t len, int error)
{
    struct crossvm_memfd memfd;
    unsigned n_fds = test_n_fds();
    errno = 0;
    CHECK_EQ(crossvm_memfd_create(&memfd, "crossvm-test", len), CROSSVM_SYSTEM);
    CHECK_EQ(errno, error);
    CHECK_EQ(memfd.fd, -1);
    CHECK(memfd.mapping.base == NULL);
    CHECK_EQ(test_n_fds(), n_fds);
    crossvm_memfd_close(&memfd);
}

static void an_absurd_length_leaves_nothing_behind(void)
{
    check_cannot_create(0, EFBIG);
    check_cannot_create(UINT64_MAX, EFBIG);
    check_cannot_create(UINT64_C(1) << 63, EFBIG);
    check_cannot_create((uint64_t)SIZE_MAX / 2 + 1, EFBIG);
}

/* In a process that may do little, each step of creating fails in turn. */
#define LIMIT(resource, most)                        \
    do {                                             \
        const struct rlimit both = {(most), (most)}; \
        REQUIRE(setrlimit((resource), &both) == 0);  \
    } while (0)

/* Fails with this errno, and the lowest free descriptor is still the lowest free one. */
static void check_step_fails(int error, int lowest)
{
    struct crossvm_memfd memfd;
    CHECK_EQ(crossvm_memfd_create(&memfd, "crossvm-test", LEN), CROSSVM_SYSTEM);
    CHECK_EQ(errno, error);
    CHECK_EQ(memfd.fd, -1);
    CHECK(memfd.mapping.base == NULL);
    int fd = open("/dev/null", O_RDONLY);
    CHECK(lowest < 0 || fd == lowest);
    CHECK(fd < 0 || close(fd) == 0);
}

static void in_a_child(void (*test)(int lowest))
{
    pid_t child = test_fork();
    if (child == 0) {
        int lowest = open("/dev/null", O_RDONLY);
        REQUIRE(lowest >= 0 && close(lowest) == 0);
        test(lowest);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
}

static void no_memory(int lowest)
{
    REQUIRE(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    LIMIT(RLIMIT_FSIZE, 4096);
    check_cannot_create(UINT64_C(1) << 40, EFBIG);
    check_step_fails(EFBIG, lowest);
}

static void no_address_space(int lowest)
{
    LIMIT(RLIMIT_AS, 4096);
    if (mmap(NULL, LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
        printf("  left out: here address space has no limit (user-mode emulation)\n");
        return;
    }
    check_step_fails(ENOMEM, lowest);
}

static void one_descriptor(int lowest)
{
    /* The second, read-only one cannot be opened. */
    LIMIT(RLIMIT_NOFILE, (rlim_t)lowest + 1);
    check_step_fails(EMFILE, lowest);
}

static void no_descriptor(int lowest)
{
    LIMIT(RLIMIT_NOFILE, (rlim_t)lowest);
    check_step_fails(EMFILE, -1);
}

static void a_step_that_fails_leaves_nothing_behind(void)
{
    in_a_child(no_memory);
    in_a_child(no_address_space);
    in_a_child(one_descriptor);
    in_a_child(no_descriptor);
}

static void a_name_that_is_too_long_is_the_systems_refusal(void)
{
    char name[400];
    struct crossvm_memfd memfd;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK_EQ(crossvm_memfd_create(&memfd, name, LEN), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(memfd.fd, -1);
}

/* ---- handing descriptors over ---------------------------------------------------------------- */

static int sockets[2];

static void connect_both(void)
{
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
}

static void close_both(void)
{
    REQUIRE(close(sockets[0]) == 0 && close(sockets[1]) == 0);
}

/* n descriptors with `count` in the message, as a sender that breaks the rules may do it. */
static void send_raw(unsigned char count, uint32_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(64 * sizeof(int))];
    } control;
    struct iovec bytes = {&count, 1};
    struct msghdr message;
    memset(&message, 0, sizeof(message));
    memset(&control, 0, sizeof(control));
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (n != 0) {
        int fds[64];
        REQUIRE(n <= 64);
        for (uint32_t i = 0; i < n; i++) {
            fds[i] = STDOUT_FILENO;
        }
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(header), fds, n * sizeof(int));
    }
    REQUIRE(sendmsg(sockets[0], &message, 0) == 1);
}

static void as_many_descriptors_arrive_as_were_sent(void)
{
    int out[CROSSVM_MEMFD_MAX];
    int in[CROSSVM_MEMFD_MAX];
    unsigned n_fds = test_n_fds();
    connect_both();
    for (uint32_t n = 1; n <= CROSSVM_MEMFD_MAX; n++) {
        for (uint32_t i = 0; i < n; i++) {
            out[i] = memfd_create("crossvm-test", MFD_CLOEXEC);
            REQUIRE(out[i] >= 0 && ftruncate(out[i], 100 + (off_t)i) == 0);
        }
        CHECK_EQ(crossvm_memfd_send(sockets[0], out, n), CROSSVM_OK);
        REQUIRE(crossvm_memfd_receive(sockets[1], in, n) == CROSSVM_OK);
        for (uint32_t i = 0; i < n; i++) {
            struct stat stat;
            CHECK(in[i] != out[i]);
            CHECK_EQ(fstat(in[i], &stat), 0);
            CHECK_EQ(stat.st_size, 100 + i);
            REQUIRE(close(in[i]) == 0 && close(out[i]) == 0);
        }
    }
    close_both();
    CHECK_EQ(test_n_fds(), n_fds);
}

static void a_wrong_number_is_refused_and_what_came_is_closed(void)
{
    static const struct {
        unsigned char count;
        uint32_t sent;
        uint32_t wanted;
    } cases[] = {
        {1, 1, 2},   {2, 2, 1},    {16, 16, 1}, {1, 1, 16},  {0, 0, 1},    {1, 0, 1},
        {2, 1, 2},   {2, 1, 1},    {1, 2, 1},   {1, 2, 2},   {0, 3, 3},    {3, 0, 3},
        {255, 1, 1}, {17, 17, 16}, {20, 20, 4}, {40, 40, 1}, {16, 17, 16}, {16, 40, 16},
    };
    unsigned n_fds = test_n_fds();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int in[CROSSVM_MEMFD_MAX];
        unsigned long failed_before = check_n_failed;
        connect_both();
        send_raw(cases[i].count, cases[i].sent);
        int status = crossvm_memfd_receive(sockets[1], in, cases[i].wanted);
        CHECK_EQ(status, CROSSVM_MISMATCH);
        if (status == CROSSVM_OK) {
            for (uint32_t k = 0; k < cases[i].wanted; k++) {
                REQUIRE(close(in[k]) == 0);
            }
        }
        close_both();
        CHECK_EQ(test_n_fds(), n_fds);
        if (check_n_failed != failed_before) {
            printf("says %u, sends %u, wanted %u\n", cases[i].count, cases[i].sent,
                   cases[i].wanted);
        }
    }
}

/* More than this process may open: the system cuts some off. */
static void check_cut_off(int lowest, unsigned char count, uint32_t wanted)
{
    int in[4];
    connect_both();
    send_raw(count, 4);
    CHECK_EQ(crossvm_memfd_receive(sockets[1], in, wanted), CROSSVM_MISMATCH);
    int fd = open("/dev/null", O_RDONLY);
    CHECK_EQ(fd, lowest + 2);
    CHECK(fd < 0 || close(fd) == 0);
    close_both();
}

static void cut_off(int lowest)
{
    /* Room for the two sockets and two descriptors. */
    LIMIT(RLIMIT_NOFILE, (rlim_t)lowest + 4);
    check_cut_off(lowest, 4, 4);
    check_cut_off(lowest, 2, 2);
}

static void descriptors_that_are_cut_off_are_a_mismatch(void)
{
    in_a_child(cut_off);
}

/* A message without a byte, as a datagram may be, with a descriptor all the same. */
static void a_descriptor_without_a_byte_is_closed(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    const int fd = STDOUT_FILENO;
    int in[1];
    struct msghdr message;
    unsigned n_fds = test_n_fds();
    memset(&message, 0, sizeof(message));
    memset(&control, 0, sizeof(control));
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    REQUIRE(sendmsg(sockets[0], &message, 0) == 0);
    struct pollfd arrived = {sockets[1], POLLIN, 0};
    if (poll(&arrived, 1, 0) == 1) {
        CHECK_EQ(crossvm_memfd_receive(sockets[1], in, 1), CROSSVM_MISMATCH);
    } else {
        printf("  left out: here a message without a byte never arrives (user-mode emulation)\n");
    }
    close_both();
    CHECK_EQ(test_n_fds(), n_fds);
}

static void impossible_numbers_are_invalid(void)
{
    int fds[CROSSVM_MEMFD_MAX + 1] = {0};
    connect_both();
    CHECK_EQ(crossvm_memfd_send(sockets[0], fds, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_memfd_send(sockets[0], fds, CROSSVM_MEMFD_MAX + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_memfd_receive(sockets[1], fds, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_memfd_receive(sockets[1], fds, CROSSVM_MEMFD_MAX + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_memfd_receive(sockets[1], fds, UINT32_MAX), CROSSVM_INVALID);
    close_both();
}

static void a_closed_socket_ends_the_handover(void)
{
    int fd = -1;
    connect_both();
    REQUIRE(close(sockets[0]) == 0);
    CHECK_EQ(crossvm_memfd_receive(sockets[1], &fd, 1), CROSSVM_EMPTY);
    fd = STDOUT_FILENO;
    CHECK_EQ(crossvm_memfd_send(sockets[1], &fd, 1), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EPIPE);
    REQUIRE(close(sockets[1]) == 0);
    CHECK_EQ(crossvm_memfd_receive(-1, &fd, 1), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(crossvm_memfd_send(-1, &fd, 1), CROSSVM_SYSTEM);
}

/* The dead one's last message is still there. */
static void a_death_is_learnt_from_the_socket(void)
{
    int fd = STDIN_FILENO;
    connect_both();
    pid_t child = test_fork();
    if (child == 0) {
        REQUIRE(close(sockets[1]) == 0);
        REQUIRE(crossvm_memfd_send(sockets[0], &fd, 1) == CROSSVM_OK);
        for (;;) {
            (void)pause();
        }
    }
    REQUIRE(close(sockets[0]) == 0);
    REQUIRE(crossvm_memfd_receive(sockets[1], &fd, 1) == CROSSVM_OK);
    REQUIRE(close(fd) == 0);
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), 0);
    REQUIRE(kill(child, SIGKILL) == 0);
    CHECK_EQ(test_wait(child), 128 + SIGKILL);
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), 1);
    REQUIRE(close(sockets[1]) == 0);
}

static void who_has_hung_up_can_still_be_heard(void)
{
    int fd = STDIN_FILENO;
    connect_both();
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), 0);
    REQUIRE(crossvm_memfd_send(sockets[0], &fd, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), 0);
    REQUIRE(close(sockets[0]) == 0);
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), 1);
    CHECK_EQ(crossvm_memfd_receive(sockets[1], &fd, 1), CROSSVM_OK);
    REQUIRE(close(fd) == 0);
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), 1);
    REQUIRE(close(sockets[1]) == 0);
    CHECK_EQ(crossvm_memfd_hung_up(sockets[1]), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(crossvm_memfd_hung_up(-1), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
}

static void a_closed_descriptor_is_not_sent(void)
{
    const int closed = -1;
    connect_both();
    CHECK_EQ(crossvm_memfd_send(sockets[0], &closed, 1), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EBADF);
    close_both();
}

int main(void)
{
    test_guard();
    CASE(whoever_receives_it_can_only_read);
    CASE(an_ordinary_user_cannot_even_reopen_it);
    CASE(the_creator_itself_cannot_map_it_writable_again);
    CASE(a_reader_outlives_the_creator);
    CASE(memory_that_lacks_a_seal_is_refused);
    CASE(what_is_no_memory_is_refused);
    CASE(an_absurd_length_leaves_nothing_behind);
    CASE(a_step_that_fails_leaves_nothing_behind);
    CASE(a_name_that_is_too_long_is_the_systems_refusal);
    CASE(as_many_descriptors_arrive_as_were_sent);
    CASE(a_wrong_number_is_refused_and_what_came_is_closed);
    CASE(descriptors_that_are_cut_off_are_a_mismatch);
    CASE(a_descriptor_without_a_byte_is_closed);
    CASE(impossible_numbers_are_invalid);
    CASE(a_closed_socket_ends_the_handover);
    CASE(a_death_is_learnt_from_the_socket);
    CASE(who_has_hung_up_can_still_be_heard);
    CASE(a_closed_descriptor_is_not_sent);
    return check_done();
}
