/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology.c - crossvm-demo-topology: three producers feed one hub, and the hub's broadcast goes to
 * three readers. Seven processes, each with memory that only it writes.
 *
 *   producer 1 (weight 1) --queue--.                           .--> reader "fast"
 *   producer 2 (weight 2) --queue--+-- fan-in, hub, broadcast --+--> reader "slow"
 *   producer 3 (weight 4) --queue--'                           '--> reader "late"
 *
 * Producers push as fast as the hub takes. Every element carries a checksum, and a producer's last
 * one says how many there were and a checksum over all of them; the hub passes on what is right.
 * The readers poll, each at its own pace; what each has read and lost must add up to what was
 * published.
 */
#include "demo.h"

#include <crossvm/backend/poll.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    N_PRODUCERS = 3,
    N_READERS = 3,
    N_CHILDREN = N_PRODUCERS + N_READERS,
    HUB = 1,
    FIRST_PRODUCER = 11,
    RING = 1024,
    N_SLOTS = 4096,
    BATCH = 64
};

static const uint32_t weights[N_PRODUCERS] = {1, 2, 4};
static const char *const reader_names[N_READERS] = {"fast", "slow", "late"};

enum item_kind {
    ITEM_DATA = 1,
    ITEM_LAST = 2 /* number: elements before it; data: their checksum */
};

/* An element, in the queues and in the broadcast. */
struct item {
    uint32_t from; /* the producer, 0 to 2 */
    uint32_t kind;
    uint32_t number;
    uint32_t check; /* of the data */
    unsigned char data[48];
};

/* What a reader tells the hub at its end. */
struct report {
    uint64_t n_read;
    uint64_t n_lost;
    uint64_t n_wrong;
    uint64_t first; /* the first number that counts */
    uint64_t last;
};

struct options {
    uint32_t seconds;
    bool spoil;
};

static struct options options = {5, false};

/* A step without which a process cannot go on. */
static int must(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "crossvm-demo-topology: %s: %s%s%s\n", what, crossvm_status_name(status),
                status == CROSSVM_SYSTEM ? ": " : "",
                status == CROSSVM_SYSTEM ? strerror(errno) : "");
        exit(DEMO_REFUSED);
    }
    return status;
}

static void must_system(bool done, const char *what)
{
    (void)must(done ? CROSSVM_OK : CROSSVM_SYSTEM, what);
}

static uint64_t after(uint64_t ns)
{
    return crossvm_posix_now() + ns;
}

/* ---- what both ends of a queue do ------------------------------------------------------------ */

/* Memory of one's own with one region in it. */
static void make_region(const struct crossvm_region_plan *plan, struct crossvm_memfd *memory,
                        struct crossvm_region_owner *owner, struct crossvm_chunk *table)
{
    uint64_t len = 0;
    (void)must(crossvm_region_plan_len(plan, &len), "planning a region");
    (void)must(crossvm_memfd_create(memory, "crossvm-demo-topology", len), "making memory");
    (void)must(crossvm_region_owner_format(owner, &memory->mapping, plan, table, plan->n_chunks),
               "formatting a region");
}

/* Another process's region, which cannot be written here. */
static void attach_region(int fd, uint32_t self, struct crossvm_memfd *memory,
                          struct crossvm_region *region)
{
    (void)must(crossvm_memfd_open(memory, fd), "opening a peer's memory");
    (void)must(crossvm_region_attach(region, &memory->mapping, self), "attaching to a region");
}

static void rest(uint64_t ns)
{
    const struct timespec time = crossvm_i_posix_timespec(ns);
    (void)nanosleep(&time, NULL);
}

static void queue_name(char name[8], uint32_t i)
{
    (void)snprintf(name, 8, "q%u", (unsigned)i);
}

/* ---- a producer ------------------------------------------------------------------------------ */

struct producer {
    uint32_t index;
    struct crossvm_pipe_tx pipe;
    struct crossvm_eventfd doorbells;
    struct crossvm_eventfd_route route;
    struct crossvm_notify notify;
    int bell;
    uint32_t check; /* over all elements so far */
};

static void producer_meet(struct producer *producer, int socket)
{
    static struct crossvm_memfd memory;
    static struct crossvm_memfd hub_memory;
    static struct crossvm_region_owner owner;
    static struct crossvm_region hub;
    char name[8];
    queue_name(name, producer->index);
    uint32_t party = FIRST_PRODUCER + producer->index;
    const struct crossvm_chunk_decl decl = {.name = name,
                                            .kind = CROSSVM_KIND_SPSC_TX,
                                            .n = RING,
                                            .len = sizeof(struct item),
                                            .writer = party,
                                            .reader = HUB};
    const struct crossvm_region_plan plan = {.chunks = &decl, .n_chunks = 1, .owner = party};
    struct crossvm_chunk own;
    struct crossvm_chunk theirs;
    int hub_fds[2];
    make_region(&plan, &memory, &owner, &own);
    producer->bell = must(crossvm_eventfd_create(), "making a doorbell");
    const int fds[2] = {memory.fd, producer->bell};
    (void)must(crossvm_memfd_send(socket, fds, 2), "sending memory to the hub");
    (void)must(crossvm_memfd_receive(socket, hub_fds, 2), "receiving the hub's memory");
    attach_region(hub_fds[0], party, &hub_memory, &hub);
    (void)must(crossvm_region_find(&hub, name, CROSSVM_KIND_SPSC_RX, 0, &theirs),
               "finding the hub's part");
    (void)must(crossvm_spsc_tx_open(&producer->pipe.queue, &owner.region, &own, sizeof(struct item),
                                    (uint32_t)getpid()),
               "opening a queue");
    while (crossvm_spsc_tx_link(&producer->pipe.queue, &hub, &theirs) == CROSSVM_NOT_YET) {
        rest(DEMO_MS);
    }
    (void)must(producer->pipe.queue.state, "linking a queue");
    producer->route.peer = HUB;
    producer->route.vector = producer->index;
    producer->route.fd = hub_fds[1];
    producer->doorbells.routes = &producer->route;
    producer->doorbells.n_routes = 1;
    producer->doorbells.own = &producer->bell;
    producer->doorbells.n_own = 1;
    crossvm_notify_eventfd(&producer->notify, &producer->doorbells);
    producer->pipe.bell.notify = &producer->notify;
    producer->pipe.bell.peer = HUB;
    producer->pipe.bell.vector_out = producer->index;
}

/* Pushes one element, as soon as there is room. */
static void producer_push(struct producer *producer, const struct item *item)
{
    uint64_t again_ns;
    int status;
    while ((status = crossvm_spsc_tx_push(&producer->pipe.queue, item)) == CROSSVM_FULL) {
        (void)must(crossvm_pipe_tx_kick(&producer->pipe, &again_ns), "ringing the hub");
        status = crossvm_pipe_tx_wait(&producer->pipe, RING / 2, after(DEMO_PATIENCE_NS));
        (void)must(status == CROSSVM_TIMEOUT ? CROSSVM_OK : status, "waiting for room");
    }
    (void)must(status, "pushing");
}

static int producer_run(uint32_t index, int socket)
{
    static struct producer producer;
    struct item item = {.from = index, .kind = ITEM_DATA};
    uint64_t again_ns;
    producer.index = index;
    producer_meet(&producer, socket);
    uint64_t end_ns = after(options.seconds * UINT64_C(1000000000));
    for (; item.number % BATCH != 0 || crossvm_posix_now() < end_ns; item.number++) {
        for (uint32_t i = 0; i < sizeof(item.data); i++) {
            item.data[i] = (unsigned char)(item.number * 31 + i * 7 + index);
        }
        item.check = crossvm_crc32c(0, item.data, sizeof(item.data));
        producer.check = crossvm_crc32c(producer.check, item.data, sizeof(item.data));
        if (options.spoil && index == 1 && item.number == 1000) {
            item.data[5] ^= 1;
        }
        producer_push(&producer, &item);
        if (item.number % BATCH == 0) {
            (void)must(crossvm_pipe_tx_kick(&producer.pipe, &again_ns), "ringing the hub");
        }
    }
    item.kind = ITEM_LAST;
    memcpy(item.data, &producer.check, sizeof(producer.check));
    item.check = crossvm_crc32c(0, item.data, sizeof(item.data));
    producer_push(&producer, &item);
    (void)must(crossvm_pipe_tx_kick(&producer.pipe, &again_ns), "ringing the hub");
    return DEMO_OK;
}

/* ---- a reader -------------------------------------------------------------------------------- */

/* Reads until all producers' last elements have come by; what was lost is counted. The broadcast's
 * own last element is ITEM_LAST from nobody, so that it cannot be missed. */
static void reader_follow(struct crossvm_broadcast_reader *reader, bool slow, struct report *report)
{
    struct item item = {.from = 0};
    struct crossvm_broadcast_info info = {0, 0, 0};
    report->first = crossvm_broadcast_reader_number(reader) + 1;
    while (item.from != N_PRODUCERS) {
        int status = crossvm_broadcast_reader_read(reader, &item, sizeof(item), &info);
        if (status == CROSSVM_EMPTY || status == CROSSVM_TORN) {
            rest(DEMO_MS / 2);
            continue;
        }
        (void)must(status, "reading the broadcast");
        bool wrong = item.check != crossvm_crc32c(0, item.data, sizeof(item.data));
        report->n_wrong += wrong || info.len != sizeof(item) ? 1 : 0;
        report->n_read++;
        if (slow && report->n_read % BATCH == 0) {
            rest(2 * DEMO_MS);
        }
    }
    report->n_lost = reader->n_lost;
    report->last = info.number;
}

static int reader_run(uint32_t index, int socket)
{
    static struct crossvm_memfd memory;
    static struct crossvm_region hub;
    static struct crossvm_broadcast_reader reader;
    struct report report = {0, 0, 0, 0, 0};
    struct crossvm_chunk chunk;
    bool late = index == 2;
    int fd;
    (void)must(crossvm_memfd_receive(socket, &fd, 1), "receiving the hub's memory");
    attach_region(fd, 100 + index, &memory, &hub);
    (void)must(crossvm_region_find(&hub, "news", CROSSVM_KIND_BROADCAST, 0, &chunk),
               "finding the broadcast");
    if (late) {
        rest(options.seconds * UINT64_C(500000000));
    }
    int status;
    do {
        status = crossvm_broadcast_reader_open(
            &reader, &hub, &chunk, late ? CROSSVM_BROADCAST_NEWEST : CROSSVM_BROADCAST_OLDEST);
    } while (status == CROSSVM_TORN);
    (void)must(status, "opening the broadcast");
    if (!late) {
        must_system(send(socket, "r", 1, 0) == 1, "telling the hub");
    }
    reader_follow(&reader, index == 1, &report);
    must_system(send(socket, &report, sizeof(report), 0) == (ssize_t)sizeof(report),
                "telling the hub");
    return DEMO_OK;
}

/* ---- the hub --------------------------------------------------------------------------------- */

struct hub {
    struct crossvm_memfd memory;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[N_PRODUCERS + 1];
    struct crossvm_memfd their_memory[N_PRODUCERS];
    struct crossvm_region theirs[N_PRODUCERS];
    struct crossvm_spsc_rx queues[N_PRODUCERS];
    struct crossvm_eventfd doorbells;
    struct crossvm_eventfd_route routes[N_PRODUCERS];
    struct crossvm_notify notify;
    int own[N_PRODUCERS]; /* one for each producer: who may ring one could also take rings away */
    struct crossvm_poll_bell listened[N_PRODUCERS];
    struct pollfd fds[N_PRODUCERS];
    struct crossvm_poll poll;
    struct crossvm_notify all;
    struct crossvm_pipe_bell bells[N_PRODUCERS];
    struct crossvm_waitset_source sources[N_PRODUCERS];
    struct crossvm_waitset set;
    struct crossvm_fanin_input inputs[N_PRODUCERS];
    struct crossvm_fanin fanin;
    struct crossvm_broadcast_writer news;
    uint64_t n_from[N_PRODUCERS];
    uint32_t check[N_PRODUCERS];
    uint64_t n_wrong;
    uint32_t n_ended;
    uint64_t started_ns;
    uint64_t next_line_ns;
};

static void hub_make(struct hub *hub)
{
    static char names[N_PRODUCERS][8];
    static struct crossvm_chunk_decl decls[N_PRODUCERS + 1];
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        queue_name(names[i], i);
        decls[i].name = names[i];
        decls[i].kind = CROSSVM_KIND_SPSC_RX;
        decls[i].writer = HUB;
        decls[i].reader = FIRST_PRODUCER + i;
    }
    decls[N_PRODUCERS].name = "news";
    decls[N_PRODUCERS].kind = CROSSVM_KIND_BROADCAST;
    decls[N_PRODUCERS].n = N_SLOTS;
    decls[N_PRODUCERS].len = sizeof(struct item);
    decls[N_PRODUCERS].writer = HUB;
    decls[N_PRODUCERS].reader = CROSSVM_ANYONE;
    const struct crossvm_region_plan plan = {
        .chunks = decls, .n_chunks = N_PRODUCERS + 1, .owner = HUB};
    make_region(&plan, &hub->memory, &hub->owner, hub->table);
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        hub->own[i] = must(crossvm_eventfd_create(), "making a doorbell");
    }
    (void)must(
        crossvm_broadcast_writer_open(&hub->news, &hub->owner.region, &hub->table[N_PRODUCERS]),
        "opening the broadcast");
    (void)must(crossvm_fanin_init(&hub->fanin, hub->inputs, N_PRODUCERS, sizeof(struct item)),
               "making the fan-in");
}

/* Exchanges memory and doorbells with a producer, and adds its queue. */
static void hub_meet(struct hub *hub, uint32_t i, int socket)
{
    struct crossvm_chunk theirs;
    char name[8];
    int fds[2];
    uint32_t place;
    const int own[2] = {hub->memory.fd, hub->own[i]};
    queue_name(name, i);
    (void)must(crossvm_memfd_receive(socket, fds, 2), "receiving a producer's memory");
    (void)must(crossvm_memfd_send(socket, own, 2), "sending memory to a producer");
    attach_region(fds[0], HUB, &hub->their_memory[i], &hub->theirs[i]);
    (void)must(crossvm_region_find(&hub->theirs[i], name, CROSSVM_KIND_SPSC_TX, 0, &theirs),
               "finding a producer's part");
    (void)must(crossvm_spsc_rx_open(&hub->queues[i], &hub->owner.region, &hub->table[i], RING,
                                    sizeof(struct item), (uint32_t)getpid()),
               "opening a queue");
    while (crossvm_spsc_rx_link(&hub->queues[i], &hub->theirs[i], &theirs) == CROSSVM_NOT_YET) {
        rest(DEMO_MS);
    }
    (void)must(hub->queues[i].state, "linking a queue");
    hub->routes[i].peer = FIRST_PRODUCER + i;
    hub->routes[i].vector = 0;
    hub->routes[i].fd = fds[1];
    hub->bells[i].notify = &hub->notify;
    hub->bells[i].peer = FIRST_PRODUCER + i;
    hub->listened[i].notify = &hub->notify;
    hub->listened[i].vector = i;
    crossvm_waitset_watch_elements(&hub->sources[i], &hub->queues[i], &hub->bells[i], BATCH,
                                   DEMO_DELAY_NS);
    (void)must(crossvm_fanin_add(&hub->fanin, &hub->queues[i], weights[i], &place),
               "adding an input");
}

static void hub_listen(struct hub *hub)
{
    hub->doorbells.routes = hub->routes;
    hub->doorbells.n_routes = N_PRODUCERS;
    hub->doorbells.own = hub->own;
    hub->doorbells.n_own = N_PRODUCERS;
    crossvm_notify_eventfd(&hub->notify, &hub->doorbells);
    hub->poll.bells = hub->listened;
    hub->poll.fds = hub->fds;
    hub->poll.n_bells = N_PRODUCERS;
    hub->poll.period_ns = DEMO_MS;
    (void)must(crossvm_notify_poll(&hub->all, &hub->poll), "listening");
    crossvm_waitset_init(&hub->set, hub->sources, N_PRODUCERS, &hub->all, 0);
    hub->started_ns = crossvm_posix_now();
    hub->next_line_ns = hub->started_ns + 500 * (uint64_t)DEMO_MS;
}

/* Checks an element against its producer's count and its own checksum. */
static bool hub_check(struct hub *hub, const struct item *item, uint32_t from)
{
    bool right = item->from == from && item->number == hub->n_from[from] &&
                 item->check == crossvm_crc32c(0, item->data, sizeof(item->data));
    if (item->kind == ITEM_LAST) {
        uint32_t check;
        memcpy(&check, item->data, sizeof(check));
        right = right && check == hub->check[from];
        hub->n_ended++;
    } else {
        hub->check[from] = crossvm_crc32c(hub->check[from], item->data, sizeof(item->data));
        hub->n_from[from]++;
    }
    hub->n_wrong += right ? 0 : 1;
    return right;
}

/* Takes a batch of one producer's and passes it on. Whether there was one. */
static bool hub_pass_on(struct hub *hub)
{
    struct item items[BATCH];
    uint32_t from;
    int n = crossvm_fanin_pop_n(&hub->fanin, items, BATCH, &from);
    if (n == CROSSVM_EMPTY) {
        return false;
    }
    (void)must(n, "taking elements");
    uint32_t n_right = 0;
    for (int k = 0; k < n; k++) {
        items[n_right] = items[k];
        n_right += hub_check(hub, &items[k], from) ? 1 : 0;
    }
    (void)must(crossvm_broadcast_writer_publish_n(&hub->news, items, sizeof(items[0]), n_right),
               "publishing");
    return true;
}

/* Rings the producers that wait for room. */
static void hub_kick(struct hub *hub)
{
    uint32_t i;
    while (crossvm_fanin_served(&hub->fanin, &i) == 1) {
        int due = crossvm_spsc_rx_kick(&hub->queues[i]);
        (void)must(crossvm_notify_signal_if(&hub->notify, due, hub->bells[i].peer, 0),
                   "ringing a producer");
    }
}

static void hub_show(struct hub *hub)
{
    uint64_t total = hub->n_from[0] + hub->n_from[1] + hub->n_from[2];
    double seconds = (double)(crossvm_posix_now() - hub->started_ns) / 1e9;
    printf("%5.1f s | taken", seconds);
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        printf(" %9" PRIu64 " (%2.0f %%)", hub->n_from[i],
               total == 0 ? 0.0 : 100.0 * (double)hub->n_from[i] / (double)total);
    }
    printf(" | published %" PRIu64 "\n", crossvm_broadcast_writer_number(&hub->news));
    fflush(stdout);
    hub->next_line_ns += 500 * (uint64_t)DEMO_MS;
}

/* Serves the producers until each has sent its last element. */
static void hub_run(struct hub *hub)
{
    uint32_t n_batches = 0;
    while (hub->n_ended < N_PRODUCERS) {
        if (!hub_pass_on(hub)) {
            hub_kick(hub);
            int status = crossvm_waitset_wait(&hub->set, after(DEMO_PATIENCE_NS));
            (void)must(status == CROSSVM_TIMEOUT ? CROSSVM_OK : status, "waiting for elements");
        }
        if (n_batches++ % 8 == 0) {
            hub_kick(hub);
        }
        if (crossvm_posix_now() >= hub->next_line_ns) {
            hub_show(hub);
        }
    }
    hub_kick(hub);
    struct item end = {.from = N_PRODUCERS, .kind = ITEM_LAST};
    end.check = crossvm_crc32c(0, end.data, sizeof(end.data));
    (void)must(crossvm_broadcast_writer_publish(&hub->news, &end, sizeof(end)), "publishing");
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct child {
    pid_t pid;
    int socket; /* the hub's end */
};

static struct child children[N_CHILDREN];

/* Starts a process before the hub has any memory that it could inherit. */
static void start(uint32_t n)
{
    int sockets[2];
    must_system(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0,
                "making a socket");
    fflush(stdout);
    pid_t parent = getpid();
    pid_t pid = fork();
    must_system(pid >= 0, "starting a process");
    if (pid == 0) {
        must_system(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent, "starting");
        for (uint32_t i = 0; i < n; i++) {
            (void)close(children[i].socket);
        }
        (void)close(sockets[0]);
        exit(n < N_PRODUCERS ? producer_run(n, sockets[1])
                             : reader_run(n - N_PRODUCERS, sockets[1]));
    }
    (void)close(sockets[1]);
    children[n].pid = pid;
    children[n].socket = sockets[0];
}

/* One reader's report: whether what it read and lost is all that was published. */
static bool judge_reader(uint32_t i, const struct hub *hub)
{
    struct report report;
    ssize_t len = recv(children[N_PRODUCERS + i].socket, &report, sizeof(report), 0);
    if (len != (ssize_t)sizeof(report)) {
        printf("reader %s    ended without a report\n", reader_names[i]);
        return false;
    }
    uint64_t published = crossvm_broadcast_writer_number(&hub->news);
    bool all =
        report.last == published && report.n_read + report.n_lost == published - report.first + 1;
    printf("reader %s    from %" PRIu64 " on: read %" PRIu64 ", lost %" PRIu64
           ", together %s; inconsistent %" PRIu64 "\n",
           reader_names[i], report.first, report.n_read, report.n_lost,
           all ? "all that was published" : "NOT what was published", report.n_wrong);
    return all && report.n_wrong == 0;
}

/* The ends of all processes, and what the hub itself has seen. */
static int judge(const struct hub *hub)
{
    bool right = hub->n_wrong == 0;
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        printf("producer %u     %" PRIu64 " elements, weight %u\n", (unsigned)(i + 1),
               hub->n_from[i], (unsigned)weights[i]);
    }
    printf("elements wrong  %" PRIu64 "\n", hub->n_wrong);
    for (uint32_t i = 0; i < N_READERS; i++) {
        right = judge_reader(i, hub) && right;
    }
    for (uint32_t i = 0; i < N_CHILDREN; i++) {
        int status;
        must_system(waitpid(children[i].pid, &status, 0) == children[i].pid, "waiting");
        right = right && status == 0;
    }
    printf("result: %s\n", right ? "consistent" : "INCONSISTENT");
    return right ? DEMO_OK : DEMO_WRONG;
}

static int parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--spoil") == 0) {
            options.spoil = true;
            continue;
        }
        const char *text = strcmp(argv[i], "--seconds") == 0 && i + 1 < argc ? argv[++i] : "";
        size_t len = strlen(text);
        options.seconds = (uint32_t)strtoul(text, NULL, 10);
        if (len == 0 || len > 5 || strspn(text, "0123456789") != len || options.seconds == 0 ||
            options.seconds > 86400) {
            fprintf(stderr,
                    "crossvm-demo-topology: %s: expected --spoil, or --seconds and a whole number "
                    "from 1 to 86400\n",
                    argv[i]);
            return DEMO_REFUSED;
        }
    }
    return DEMO_OK;
}

int main(int argc, char **argv)
{
    static struct hub hub;
    char ready;
    if (parse(argc, argv) != DEMO_OK) {
        return DEMO_REFUSED;
    }
    printf("three producers (weights 1, 2, 4) -> fan-in -> broadcast -> three readers\n");
    for (uint32_t n = 0; n < N_CHILDREN; n++) {
        start(n);
    }
    hub_make(&hub);
    for (uint32_t i = 0; i < N_READERS; i++) {
        int socket = children[N_PRODUCERS + i].socket;
        (void)must(crossvm_memfd_send(socket, &hub.memory.fd, 1), "sending memory to a reader");
        must_system(i == 2 || recv(socket, &ready, 1, 0) == 1, "waiting for a reader");
    }
    for (uint32_t i = 0; i < N_PRODUCERS; i++) {
        hub_meet(&hub, i, children[i].socket);
    }
    hub_listen(&hub);
    hub_run(&hub);
    return judge(&hub);
}
