/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/vm/pair.c - one end of the comparison between two guests (bench/vm.py): the same messages
 * by two queues of this library's that are polled, by the same with doorbells, by TCP and by a
 * virtio port.
 *
 *   pair lead   ADDRESS OWN PEER BELLS TRIALS MILLISECONDS
 *   pair follow ADDRESS OWN PEER BELLS
 *
 * ADDRESS is where the lead listens; OWN, PEER and BELLS are slots of ivshmem devices: the memory
 * that this end writes, the one that it reads, and the doorbells (vfio-pci). The lead chooses, and
 * measures on its own clock; the other end does as it is told. So many TRIALS of each case run in
 * an order of chance, each about so many MILLISECONDS.
 *
 * A round trip is a message of 64 bytes, there and back. A stream is messages of 4 KiB, and an
 * answer when the last one has been judged, which says how many came. Each message has a number and
 * a checksum, over the number and over 32 bytes that lie elsewhere in the next message; whoever
 * receives it judges both. Each trial begins with a few round trips that do not count.
 *
 * What it says, among else: "clock NAME", "size WAY KIND MESSAGES", "begin NS",
 * "trial WAY round-trip NS", "trial WAY stream BYTES-A-SECOND", "end NS", "passed"; or
 * "failed: WHY".
 */
#include <crossvm/backend/ivshmem_pci.h>
#include <crossvm/backend/ivshmem_vfio.h>
#include <crossvm/crossvm.h>

#include <arpa/inet.h>
#include <glob.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

enum way {
    WAY_POLLING = 0,
    WAY_DOORBELL = 1,
    WAY_TCP = 2,
    WAY_SERIAL = 3,
    N_WAYS = 4
};

enum kind {
    ROUND_TRIP = 0,
    STREAM = 1,
    N_KINDS = 2
};

/* The queues of each of this library's ways. */
enum {
    PING = 0, /* from the lead */
    PONG = 1, /* to the lead */
    DATA = 2, /* from the lead: streams */
    N_QUEUES = 3
};

enum {
    LEAD = 1, /* parties */
    FOLLOW = 2,
    SHORT = 64, /* bytes of a message */
    LONG = 4096,
    SAMPLE_WORDS = 4, /* of 8 bytes, that differ from message to message */
    RING = 64,        /* elements of each queue */
    AT_ONCE = 16,     /* with doorbells, long ones that are worth waking up for */
    N_CASES = N_WAYS * N_KINDS,
    SIZINGS = 3,    /* tries to find out how many messages a trial takes */
    SIZE_LEAST = 4, /* messages of a trial */
    WARM_UP = 8,    /* round trips in front of each trial */
    LIMIT_S = 60,   /* for each trial: guards against hanging */
    PORT = 7000,
    N_CHUNKS = 2 * N_QUEUES,
    N_VECTORS = 2 * N_QUEUES
};

#define SECOND_NS     1000000000ull
#define ODD           0x9e3779b97f4a7c15u /* without a pattern */
#define LIMIT_NS      (LIMIT_S * SECOND_NS)
#define MESSAGES_MOST 1048576u /* of a trial */

static const char *const way_names[N_WAYS] = {"polling", "doorbell", "tcp", "serial"};
static const char *const kind_names[N_KINDS] = {"round-trip", "stream"};

struct message {
    uint64_t number;   /* counts those of the same length from the same end by the same way */
    uint32_t left;     /* how many of this kind the trial still has, with this one */
    uint32_t checksum; /* of both, and of the sample */
    unsigned char data[LONG - 16];
};

/* One end of a queue. */
struct queue {
    bool sends; /* tx is in use, else rx */
    struct crossvm_pipe_tx tx;
    struct crossvm_pipe_rx rx;
};

struct pair {
    uint32_t self; /* LEAD or FOLLOW */
    struct crossvm_ivshmem_pci own;
    struct crossvm_ivshmem_pci peer;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[N_CHUNKS];
    struct crossvm_region peer_region;
    struct queue queues[N_CHUNKS]; /* polling, then with doorbells */
    struct crossvm_ivshmem_vfio bells;
    struct crossvm_notify notify;
    int vectors[N_VECTORS];
    int control; /* sockets: orders, and messages */
    int tcp;
    int serial;
    uint64_t deadline_ns;       /* of what is being done */
    uint64_t n_sent[N_WAYS][2]; /* short and long messages */
    uint64_t n_received[N_WAYS][2];
    uint32_t chance; /* state of the order's generator */
};

/* What the lead has done next. */
struct order {
    uint32_t way; /* N_WAYS: nothing more */
    uint32_t kind;
};

/* ---- cases ---------------------------------------------------------------------------------- */

/* Each way has a case for each kind. */
static enum way way_of(uint32_t which)
{
    return (enum way)(which / N_KINDS);
}

static enum kind kind_of(uint32_t which)
{
    return (enum kind)(which % N_KINDS);
}

/* ---- what can go wrong --------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static _Noreturn void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("failed: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

/* A status of the library's that must be no failure. */
static int must(int status, const char *what)
{
    if (status < 0) {
        give_up("%s: %s%s%s", what, crossvm_status_name(status),
                status == CROSSVM_SYSTEM ? ": " : "",
                status == CROSSVM_SYSTEM ? strerror(errno) : "");
    }
    return status;
}

/* An answer of the system's that must be no failure. */
static int must_do(int answer, const char *what)
{
    if (answer < 0) {
        give_up("%s: %s", what, strerror(errno));
    }
    return answer;
}

/* Sockets and the port block without a limit of their own: the alarm is it. */
static void on_alarm(int number)
{
    static const char text[] = "failed: a trial, or bringing up, took too long\n";
    (void)number;
    (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

static void set_limit(struct pair *pair)
{
    pair->deadline_ns = crossvm_posix_now() + LIMIT_NS;
    (void)alarm(LIMIT_S + 1);
}

/* A look at something that is not there yet: both ends may share a processor, so it is given away
 * now and then. */
static void spin(const struct pair *pair, uint32_t *n_spins)
{
    crossvm_cpu_pause();
    (*n_spins)++;
    if (*n_spins % 64 == 0) {
        (void)sched_yield();
    }
    if (*n_spins % 65536 == 0 && crossvm_posix_now() > pair->deadline_ns) {
        give_up("polled for %d s in vain", LIMIT_S);
    }
}

/* Sleeps a moment while something comes up. */
static void rest(const struct pair *pair, const char *what)
{
    if (crossvm_posix_now() > pair->deadline_ns) {
        give_up("%s: not there after %d s", what, LIMIT_S);
    }
    (void)poll(NULL, 0, 5);
}

/* ---- messages ------------------------------------------------------------------------------ */

/* Where the sample of a message lies: somewhere else in the next one. */
static unsigned char *sample_of(struct message *message, uint32_t len)
{
    size_t n_places = (len - offsetof(struct message, data) - sizeof(uint64_t) * SAMPLE_WORDS) /
                          sizeof(uint64_t) +
                      1;
    return message->data + sizeof(uint64_t) * (message->number % n_places);
}

/* By the words, for it must cost little beside what is measured. */
static uint32_t checksum(struct message *message, uint32_t len)
{
    uint64_t words[SAMPLE_WORDS];
    uint64_t sum = message->number ^ (uint64_t)message->left << 32;
    memcpy(words, sample_of(message, len), sizeof(words));
    for (uint32_t i = 0; i < SAMPLE_WORDS; i++) {
        sum = (sum ^ words[i]) * ODD;
    }
    return (uint32_t)(sum >> 32);
}

static void fill(struct message *message, uint32_t len, uint64_t number, uint32_t left)
{
    uint64_t words[SAMPLE_WORDS];
    for (uint32_t i = 0; i < SAMPLE_WORDS; i++) {
        words[i] = (number + i) * ODD;
    }
    message->number = number;
    message->left = left;
    memcpy(sample_of(message, len), words, sizeof(words));
    message->checksum = checksum(message, len);
}

static void judge(struct message *message, uint32_t len, uint64_t number, enum way way)
{
    if (message->number != number) {
        give_up("%s: message %llu of %u bytes came for %llu", way_names[way],
                (unsigned long long)message->number, (unsigned)len, (unsigned long long)number);
    }
    if (message->checksum != checksum(message, len)) {
        give_up("%s: message %llu of %u bytes is not what was sent", way_names[way],
                (unsigned long long)number, (unsigned)len);
    }
}

/* ---- ways: descriptors --------------------------------------------------------------------- */

static void write_all(int fd, const void *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n <= 0) {
            give_up("write: %s", n < 0 ? strerror(errno) : "nothing was taken");
        }
        at += n;
        len -= (size_t)n;
    }
}

static void read_all(int fd, void *bytes, size_t len)
{
    unsigned char *at = (unsigned char *)bytes;
    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n <= 0) {
            give_up("read: %s", n < 0 ? strerror(errno) : "the other end is gone");
        }
        at += n;
        len -= (size_t)n;
    }
}

/* ---- ways: this library's ------------------------------------------------------------------ */

static void push_polling(const struct pair *pair, struct crossvm_spsc_tx *tx, const void *bytes)
{
    uint32_t n_spins = 0;
    int status;
    while ((status = crossvm_spsc_tx_push(tx, bytes)) == CROSSVM_FULL) {
        spin(pair, &n_spins);
    }
    must(status, "push");
}

static void pop_polling(const struct pair *pair, struct crossvm_spsc_rx *rx, void *bytes)
{
    uint32_t n_spins = 0;
    int status;
    while ((status = crossvm_spsc_rx_pop(rx, bytes)) == CROSSVM_EMPTY) {
        spin(pair, &n_spins);
    }
    must(status, "pop");
}

static void push_ringing(const struct pair *pair, struct crossvm_pipe_tx *pipe, const void *bytes)
{
    uint64_t again_ns;
    int status;
    while ((status = crossvm_spsc_tx_push(&pipe->queue, bytes)) == CROSSVM_FULL) {
        must(crossvm_pipe_tx_wait(pipe, RING / 2, pair->deadline_ns), "wait for room");
    }
    must(status, "push");
    must(crossvm_pipe_tx_kick(pipe, &again_ns), "ring");
}

/* left: how many will come for certain. */
static void pop_ringing(const struct pair *pair, struct crossvm_pipe_rx *pipe, void *bytes,
                        uint32_t left)
{
    uint32_t want = left < AT_ONCE ? left : AT_ONCE;
    int status;
    while ((status = crossvm_spsc_rx_pop(&pipe->queue, bytes)) == CROSSVM_EMPTY) {
        must(crossvm_pipe_rx_wait(pipe, want, 0, pair->deadline_ns), "wait for messages");
    }
    must(status, "pop");
    must(crossvm_pipe_rx_kick(pipe), "ring");
}

/* ---- ways ---------------------------------------------------------------------------------- */

static struct queue *queue_of(struct pair *pair, enum way way, uint32_t len, uint32_t sender)
{
    uint32_t queue = len == LONG ? DATA : sender == LEAD ? PING : PONG;
    return &pair->queues[(uint32_t)way * N_QUEUES + queue];
}

static void send_message(struct pair *pair, enum way way, uint32_t len, uint32_t left)
{
    static struct message message;
    uint64_t *n_sent = &pair->n_sent[way][len == LONG];
    fill(&message, len, *n_sent, left);
    (*n_sent)++;
    if (way == WAY_TCP || way == WAY_SERIAL) {
        write_all(way == WAY_TCP ? pair->tcp : pair->serial, &message, len);
        return;
    }
    struct crossvm_pipe_tx *pipe = &queue_of(pair, way, len, pair->self)->tx;
    if (way == WAY_POLLING) {
        push_polling(pair, &pipe->queue, &message);
    } else {
        push_ringing(pair, pipe, &message);
    }
}

/* left: how many will come for certain. Answers how many are left with this one. */
static uint32_t receive_message(struct pair *pair, enum way way, uint32_t len, uint32_t left)
{
    static struct message message;
    uint64_t *n_received = &pair->n_received[way][len == LONG];
    if (way == WAY_TCP || way == WAY_SERIAL) {
        read_all(way == WAY_TCP ? pair->tcp : pair->serial, &message, len);
    } else {
        uint32_t sender = LEAD + FOLLOW - pair->self;
        struct crossvm_pipe_rx *pipe = &queue_of(pair, way, len, sender)->rx;
        if (way == WAY_POLLING) {
            pop_polling(pair, &pipe->queue, &message);
        } else {
            pop_ringing(pair, pipe, &message, left);
        }
    }
    judge(&message, len, *n_received, way);
    (*n_received)++;
    return message.left;
}

/* ---- trials -------------------------------------------------------------------------------- */

static void make_round_trips(struct pair *pair, enum way way, uint32_t n, uint32_t n_left)
{
    for (uint32_t i = 0; i < n; i++) {
        send_message(pair, way, SHORT, n_left - i);
        (void)receive_message(pair, way, SHORT, 1);
    }
}

/* The answer to a stream says how many messages have come. */
static void make_stream(struct pair *pair, enum way way, uint32_t n)
{
    for (uint32_t left = n; left > 0; left--) {
        send_message(pair, way, LONG, left);
    }
    uint32_t n_seen = receive_message(pair, way, SHORT, 1);
    if (n_seen != (uint32_t)pair->n_sent[way][1]) {
        give_up("%s: %u messages came of %u", way_names[way], (unsigned)n_seen,
                (unsigned)pair->n_sent[way][1]);
    }
}

/* How long n round trips or messages took. */
static uint64_t run_trial(struct pair *pair, enum way way, enum kind kind, uint32_t n)
{
    const struct order order = {way, kind};
    set_limit(pair);
    write_all(pair->control, &order, sizeof(order));
    make_round_trips(pair, way, WARM_UP, WARM_UP + (kind == ROUND_TRIP ? n : 0));
    uint64_t start_ns = crossvm_posix_now();
    if (kind == ROUND_TRIP) {
        make_round_trips(pair, way, n, n);
    } else {
        make_stream(pair, way, n);
    }
    return crossvm_posix_now() - start_ns;
}

/* So many that a trial takes about as long as it should, or fewer: what disturbs, and what an
 * emulator has to translate first, makes messages seem slow. The largest answer is the best. */
static uint32_t size_trial(struct pair *pair, enum way way, enum kind kind, uint64_t trial_ns)
{
    uint32_t n = SIZE_LEAST;
    uint64_t ns = run_trial(pair, way, kind, n);
    while (ns < trial_ns / 2 && n < MESSAGES_MOST) {
        n *= 2;
        ns = run_trial(pair, way, kind, n);
    }
    uint64_t sized = n * trial_ns / (ns + 1);
    return sized < SIZE_LEAST      ? SIZE_LEAST
           : sized > MESSAGES_MOST ? MESSAGES_MOST
                                   : (uint32_t)sized;
}

static void say_sizes(const uint32_t *sizes)
{
    for (uint32_t i = 0; i < N_CASES; i++) {
        printf("size %s %s %u\n", way_names[way_of(i)], kind_names[kind_of(i)], (unsigned)sizes[i]);
    }
}

static void say_trial(uint32_t which, uint32_t n, uint64_t ns)
{
    double figure =
        kind_of(which) == ROUND_TRIP ? (double)ns / n : (double)n * LONG * 1e9 / (double)ns;
    printf("trial %s %s %.1f\n", way_names[way_of(which)], kind_names[kind_of(which)], figure);
    /* What the console still has to say would disturb the next trial. */
    (void)fflush(stdout);
    (void)tcdrain(STDOUT_FILENO);
}

/* xorshift: the order of trials need not be more than mixed. */
static uint32_t next_chance(struct pair *pair, uint32_t n)
{
    pair->chance ^= pair->chance << 13;
    pair->chance ^= pair->chance >> 17;
    pair->chance ^= pair->chance << 5;
    return pair->chance % n;
}

static void shuffle(struct pair *pair, uint32_t *cases, uint32_t n)
{
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t other = next_chance(pair, i + 1);
        uint32_t held = cases[i];
        cases[i] = cases[other];
        cases[other] = held;
    }
}

static void lead(struct pair *pair, uint32_t n_trials, uint32_t trial_ms)
{
    uint32_t sizes[N_CASES];
    uint32_t cases[N_CASES];
    memset(sizes, 0, sizeof(sizes));
    for (uint32_t i = 0; i < SIZINGS * N_CASES; i++) {
        uint32_t which = i % N_CASES;
        uint32_t n = size_trial(pair, way_of(which), kind_of(which), trial_ms * 1000000ull);
        cases[which] = which;
        sizes[which] = n > sizes[which] ? n : sizes[which];
    }
    say_sizes(sizes);
    printf("begin %llu\n", (unsigned long long)crossvm_posix_now());
    for (uint32_t trial = 0; trial < n_trials; trial++) {
        shuffle(pair, cases, N_CASES);
        for (uint32_t i = 0; i < N_CASES; i++) {
            uint32_t n = sizes[cases[i]];
            say_trial(cases[i], n, run_trial(pair, way_of(cases[i]), kind_of(cases[i]), n));
        }
    }
    printf("end %llu\n", (unsigned long long)crossvm_posix_now());
    const struct order none = {N_WAYS, 0};
    write_all(pair->control, &none, sizeof(none));
}

static void obey(struct pair *pair, const struct order *order)
{
    enum way way = (enum way)order->way;
    uint32_t left;
    do {
        left = receive_message(pair, way, SHORT, 1);
        send_message(pair, way, SHORT, left);
    } while (left > 1);
    if (order->kind == ROUND_TRIP) {
        return;
    }
    left = 2;
    do {
        left = receive_message(pair, way, LONG, left - 1);
    } while (left > 1);
    send_message(pair, way, SHORT, (uint32_t)pair->n_received[way][1]);
}

static void follow(struct pair *pair)
{
    for (;;) {
        struct order order;
        set_limit(pair);
        read_all(pair->control, &order, sizeof(order));
        if (order.way >= N_WAYS) {
            return;
        }
        obey(pair, &order);
    }
}

/* ---- coming up: descriptors ---------------------------------------------------------------- */

static void send_at_once(int fd)
{
    const int on = 1;
    must_do(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
}

static int connect_once(const struct sockaddr_in *address)
{
    int fd = must_do(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        (void)close(fd);
        return -1;
    }
    send_at_once(fd);
    return fd;
}

static int connect_to(const struct pair *pair, const struct sockaddr_in *address)
{
    int fd = connect_once(address);
    while (fd < 0) {
        rest(pair, "the lead's sockets");
        fd = connect_once(address);
    }
    return fd;
}

static int accept_one(int listener)
{
    int fd = must_do(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
    send_at_once(fd);
    return fd;
}

static void open_sockets(struct pair *pair, const struct sockaddr_in *address)
{
    if (pair->self == FOLLOW) {
        pair->control = connect_to(pair, address);
        pair->tcp = connect_to(pair, address);
        return;
    }
    const int on = 1;
    int listener = must_do(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    must_do(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
    must_do(bind(listener, (const struct sockaddr *)address, sizeof(*address)), "bind");
    must_do(listen(listener, 2), "listen");
    pair->control = accept_one(listener);
    pair->tcp = accept_one(listener);
    (void)close(listener);
}

/* The one port, when the hypervisor has told of it, and that the other end is connected. */
static void open_serial(struct pair *pair)
{
    glob_t found;
    while (glob("/dev/vport*p1", 0, NULL, &found) != 0) {
        rest(pair, "/dev/vport*p1");
    }
    pair->serial = must_do(open(found.gl_pathv[0], O_RDWR | O_CLOEXEC), found.gl_pathv[0]);
    globfree(&found);
    struct pollfd state = {pair->serial, POLLIN, 0};
    while (poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0) {
        rest(pair, "the virtio port's other end");
    }
}

/* Both ends are here; each tells the other one a number. */
static uint32_t meet(struct pair *pair, uint32_t number)
{
    uint32_t peers;
    write_all(pair->control, &number, sizeof(number));
    read_all(pair->control, &peers, sizeof(peers));
    return peers;
}

/* ---- coming up: queues --------------------------------------------------------------------- */

static void declare(const struct pair *pair, uint32_t i, struct crossvm_chunk_decl *chunk)
{
    static const char *const names[N_CHUNKS] = {
        "polling/ping",  "polling/pong",  "polling/data",
        "doorbell/ping", "doorbell/pong", "doorbell/data",
    };
    bool sends = pair->queues[i].sends;
    memset(chunk, 0, sizeof(*chunk));
    chunk->name = names[i];
    chunk->kind = sends ? CROSSVM_KIND_SPSC_TX : CROSSVM_KIND_SPSC_RX;
    chunk->n = sends ? RING : 0;
    chunk->len = sends ? (i % N_QUEUES == DATA ? LONG : SHORT) : 0;
    chunk->writer = pair->self;
    chunk->reader = LEAD + FOLLOW - pair->self;
    chunk->link_id = i + 1;
}

static void open_memory(struct pair *pair, const char *own, const char *peer)
{
    struct crossvm_chunk_decl chunks[N_CHUNKS];
    struct crossvm_region_plan plan;
    char text[200];
    must(crossvm_ivshmem_pci_open(&pair->own, own, CROSSVM_READ_WRITE), own);
    must(crossvm_ivshmem_pci_open(&pair->peer, peer, CROSSVM_READ_ONLY), peer);
    crossvm_examination_text(&pair->own.examination, text, sizeof(text));
    printf("memory: %s\n", text);
    for (uint32_t i = 0; i < N_CHUNKS; i++) {
        pair->queues[i].sends = (i % N_QUEUES == PONG) == (pair->self == FOLLOW);
        declare(pair, i, &chunks[i]);
    }
    memset(&plan, 0, sizeof(plan));
    plan.chunks = chunks;
    plan.n_chunks = N_CHUNKS;
    plan.owner = pair->self;
    plan.region_id[0] = (uint8_t)pair->self;
    must(
        crossvm_region_owner_format(&pair->owner, &pair->own.mapping, &plan, pair->table, N_CHUNKS),
        "format");
}

/* Two vectors for each queue: who takes from it waits on the first, who fills it on the second. */
static void hang_bell(struct pair *pair, uint32_t i, uint32_t peer)
{
    struct queue *queue = &pair->queues[i];
    uint32_t vector = 2 * (i % N_QUEUES);
    const struct crossvm_pipe_bell tx = {&pair->notify, peer, vector, vector + 1};
    const struct crossvm_pipe_bell rx = {&pair->notify, peer, vector + 1, vector};
    queue->tx.bell = tx;
    queue->rx.bell = rx;
}

static void open_queue(struct pair *pair, uint32_t i)
{
    struct queue *queue = &pair->queues[i];
    uint32_t len = i % N_QUEUES == DATA ? LONG : SHORT;
    struct crossvm_region *region = &pair->owner.region;
    bool polling = i / N_QUEUES == WAY_POLLING;
    if (queue->sends) {
        must(crossvm_spsc_tx_open(&queue->tx.queue, region, &pair->table[i], len, pair->self),
             "open a queue");
        if (polling) {
            crossvm_spsc_tx_peer_polls(&queue->tx.queue);
        }
    } else {
        must(crossvm_spsc_rx_open(&queue->rx.queue, region, &pair->table[i], RING, len, pair->self),
             "open a queue");
        if (polling) {
            crossvm_spsc_rx_peer_polls(&queue->rx.queue);
        }
    }
}

static void link_queue(struct pair *pair, uint32_t i)
{
    struct queue *queue = &pair->queues[i];
    struct crossvm_region *region = &pair->peer_region;
    struct crossvm_chunk chunk;
    uint32_t kind = queue->sends ? CROSSVM_KIND_SPSC_RX : CROSSVM_KIND_SPSC_TX;
    int status;
    must(crossvm_region_find(region, pair->table[i].name, kind, 0, &chunk), pair->table[i].name);
    for (;;) {
        status = queue->sends ? crossvm_spsc_tx_link(&queue->tx.queue, region, &chunk)
                              : crossvm_spsc_rx_link(&queue->rx.queue, region, &chunk);
        if (status != CROSSVM_NOT_YET) {
            break;
        }
        rest(pair, "the other end of a queue");
    }
    must(status, pair->table[i].name);
}

static void open_pair(struct pair *pair, char **arguments)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons(PORT);
    if (inet_pton(AF_INET, arguments[0], &address.sin_addr) != 1) {
        fprintf(stderr, "pair: %s: expected an IPv4 address\n", arguments[0]);
        exit(2);
    }
    set_limit(pair);
    open_memory(pair, arguments[1], arguments[2]);
    must(crossvm_ivshmem_vfio_open(&pair->bells, arguments[3], CROSSVM_READ_ONLY, pair->vectors,
                                   N_VECTORS),
         arguments[3]);
    crossvm_notify_ivshmem_vfio(&pair->notify, &pair->bells);
    open_sockets(pair, &address);
    uint32_t peer = meet(pair, pair->bells.id);
    open_serial(pair);
    must(crossvm_region_attach(&pair->peer_region, &pair->peer.mapping, pair->self), "attach");
    for (uint32_t i = 0; i < N_CHUNKS; i++) {
        open_queue(pair, i);
        hang_bell(pair, i, peer);
    }
    for (uint32_t i = 0; i < N_CHUNKS; i++) {
        link_queue(pair, i);
    }
    (void)meet(pair, 0);
}

/* ---- the program --------------------------------------------------------------------------- */

static void say_clock(void)
{
    char name[64] = "unknown";
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file != NULL) {
        (void)!fscanf(file, "%63s", name);
        (void)fclose(file);
    }
    printf("clock %s\n", name);
}

static uint32_t number_of(const char *text)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number == 0 ||
        number > 1000000) {
        fprintf(stderr, "pair: %s: expected a whole number from 1 to 1000000\n", text);
        exit(2);
    }
    return (uint32_t)number;
}

int main(int argc, char **argv)
{
    static struct pair pair;
    bool leads = argc == 8 && strcmp(argv[1], "lead") == 0;
    if (!leads && (argc != 6 || strcmp(argv[1], "follow") != 0)) {
        fprintf(stderr, "usage: pair lead ADDRESS OWN PEER BELLS TRIALS MILLISECONDS\n"
                        "       pair follow ADDRESS OWN PEER BELLS\n");
        return 2;
    }
    uint32_t n_trials = leads ? number_of(argv[6]) : 1;
    uint32_t trial_ms = leads ? number_of(argv[7]) : 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGALRM, on_alarm);
    (void)signal(SIGPIPE, SIG_IGN);
    pair.self = leads ? LEAD : FOLLOW;
    pair.chance = 0x9e3779b9u;
    say_clock();
    open_pair(&pair, argv + 2);
    if (leads) {
        lead(&pair, n_trials, trial_ms);
    } else {
        follow(&pair);
    }
    printf("passed\n");
    return 0;
}
