/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - meeting at a socket, handing memory and doorbells over, bringing the queues up. */
#include "link.h"

#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#define LINK_ID          0x64656d6fu /* "demo" */
#define LINK_TIMEOUT_NS  (30000ull * DEMO_MS)
#define TRIAL_TIMEOUT_NS (5000ull * DEMO_MS)
#define BOOT_TIMEOUT_NS  (120000ull * DEMO_MS) /* the other side may be a machine that boots */

CROSSVM_STATIC_ASSERT(sizeof(struct element) == 4096, "as the plans say");
CROSSVM_STATIC_ASSERT(sizeof(struct progress) == 208, "PROGRESS_TYPE");

/* ---- what can go wrong -------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int fail(struct demo_link *link, int exit_status,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(link->error, sizeof(link->error), format, arguments);
    va_end(arguments);
    return exit_status;
}

/* Judges a status of the library's. */
static int judge(struct demo_link *link, const char *what, int status)
{
    if (status >= 0) {
        return DEMO_OK;
    }
    if (status == CROSSVM_SYSTEM) {
        return fail(link, DEMO_REFUSED, "%s: %s", what, strerror(errno));
    }
    return fail(link, DEMO_WRONG, "%s: %s", what, crossvm_status_name(status));
}

/* ---- meeting ------------------------------------------------------------------------------ */

/* Waits a moment for something to happen at a descriptor (or for nothing at all, -1).
 * Whether it is worth going on. */
static bool rest(int fd, int ms, uint64_t deadline_ns, const atomic_int *stop)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};
    (void)poll(&poll_fd, 1, ms);
    return atomic_load(stop) == 0 && crossvm_posix_now() < deadline_ns;
}

static int listen_and_accept(struct demo_link *link, const struct sockaddr_un *address,
                             const atomic_int *stop)
{
    uint64_t deadline_ns = crossvm_posix_now() + LINK_TIMEOUT_NS;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 ||
        bind(listener, (const struct sockaddr *)address, (socklen_t)sizeof(*address)) != 0) {
        int status = fail(link, DEMO_REFUSED, "%s: %s", address->sun_path, strerror(errno));
        (void)close(listener);
        return status;
    }
    if (listen(listener, 1) == 0) {
        do {
            link->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        } while (link->socket < 0 && rest(listener, 100, deadline_ns, stop));
    }
    (void)unlink(address->sun_path);
    (void)close(listener);
    return link->socket >= 0 ? DEMO_OK : fail(link, DEMO_WRONG, "no crossvm-demo-b came");
}

static int connect_to(struct demo_link *link, const struct sockaddr_un *address,
                      const atomic_int *stop)
{
    uint64_t deadline_ns = crossvm_posix_now() + LINK_TIMEOUT_NS;
    link->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (link->socket < 0) {
        return fail(link, DEMO_REFUSED, "socket: %s", strerror(errno));
    }
    while (connect(link->socket, (const struct sockaddr *)address, (socklen_t)sizeof(*address)) !=
           0) {
        if (!rest(-1, 20, deadline_ns, stop)) {
            return fail(link, DEMO_WRONG, "no crossvm-demo-a listens at %s", address->sun_path);
        }
    }
    return DEMO_OK;
}

static int meet(struct demo_link *link, const char *path, const atomic_int *stop)
{
    struct sockaddr_un address;
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        return fail(link, DEMO_REFUSED, "--socket %s: expected a path of at most %zu bytes", path,
                    sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, len);
    return link->self == DEMO_A ? listen_and_accept(link, &address, stop)
                                : connect_to(link, &address, stop);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* The chunks of a side's region, in the order of its plan; only A has the last one. */
enum {
    CHUNK_PROGRESS = 0,
    CHUNK_TX = 1,
    CHUNK_RX = 2,
    CHUNK_MACHINE = 3
};

static uint32_t declare(uint32_t self, struct crossvm_chunk_decl chunks[LINK_CHUNKS])
{
    const uint32_t peer = self == DEMO_A ? DEMO_B : DEMO_A;
    const uint64_t type = crossvm_type_hash(ELEMENT_TYPE);
    const struct crossvm_chunk_decl progress = {"progress",
                                                CROSSVM_KIND_SNAPSHOT,
                                                4,
                                                sizeof(struct progress),
                                                self,
                                                peer,
                                                crossvm_type_hash(PROGRESS_TYPE),
                                                0};
    const struct crossvm_chunk_decl tx = {self == DEMO_A ? "a-to-b" : "b-to-a",
                                          CROSSVM_KIND_SPSC_TX,
                                          DEMO_RING,
                                          sizeof(struct element),
                                          self,
                                          peer,
                                          type,
                                          LINK_ID};
    const struct crossvm_chunk_decl rx = {self == DEMO_A ? "b-to-a" : "a-to-b",
                                          CROSSVM_KIND_SPSC_RX,
                                          0,
                                          0,
                                          self,
                                          peer,
                                          type,
                                          LINK_ID};
    const struct crossvm_chunk_decl machine = {
        "machine", CROSSVM_KIND_SNAPSHOT,           4, sizeof(struct machine), self,
        peer,      crossvm_type_hash(MACHINE_TYPE), 0};
    chunks[CHUNK_PROGRESS] = progress;
    chunks[CHUNK_TX] = tx;
    chunks[CHUNK_RX] = rx;
    chunks[CHUNK_MACHINE] = machine;
    return self == DEMO_A ? CHUNK_MACHINE + 1 : CHUNK_MACHINE;
}

/* This side's memory: only this process, or this machine, can ever write it. */
static int make_memory(struct demo_link *link, uint64_t len, struct crossvm_mapping **mapping)
{
    if (link->machines) {
        *mapping = &link->place.mapping;
        return CROSSVM_OK;
    }
    *mapping = &link->memory.mapping;
    return crossvm_memfd_create(&link->memory, "crossvm-demo", len);
}

static int make_region(struct demo_link *link)
{
    struct crossvm_mapping *mapping;
    struct crossvm_chunk_decl chunks[LINK_CHUNKS];
    struct crossvm_region_plan plan;
    uint64_t len;
    const uint32_t id[4] = {LINK_ID, link->self, (uint32_t)getpid(), 0};
    memset(&plan, 0, sizeof(plan));
    plan.chunks = chunks;
    plan.n_chunks = declare(link->self, chunks);
    plan.owner = link->self;
    plan.link_id = LINK_ID;
    memcpy(plan.region_id, id, sizeof(id));
    int status = crossvm_posix_clock(&link->clock);
    plan.clock = link->clock;
    if (status == CROSSVM_OK) {
        status = crossvm_region_plan_len(&plan, &len);
    }
    if (status == CROSSVM_OK) {
        status = make_memory(link, len, &mapping);
    }
    if (status == CROSSVM_OK) {
        status =
            crossvm_region_owner_format(&link->owner, mapping, &plan, link->table, LINK_CHUNKS);
    }
    return judge(link, "cannot make shared memory", status);
}

/* Hands memory and doorbells over, and takes the other side's. */
static int exchange(struct demo_link *link)
{
    int fds[1 + N_BELLS];
    for (int i = 0; i < N_BELLS; i++) {
        link->bells[i] = crossvm_eventfd_create();
        if (link->bells[i] < 0) {
            return judge(link, "cannot make a doorbell", link->bells[i]);
        }
        fds[1 + i] = link->bells[i];
    }
    fds[0] = link->memory.fd;
    int status = crossvm_memfd_send(link->socket, fds, 1 + N_BELLS);
    if (status == CROSSVM_OK) {
        status = crossvm_memfd_receive(link->socket, fds, 1 + N_BELLS);
    }
    if (status != CROSSVM_OK) {
        return judge(link, "cannot exchange memory with the other side", status);
    }
    memcpy(link->peer_bells, fds + 1, sizeof(link->peer_bells));
    return judge(link, "cannot map the other side's memory",
                 crossvm_memfd_open(&link->peer_memory, fds[0]));
}

/* ---- queues ------------------------------------------------------------------------------- */

static struct crossvm_pipe_bell bell(struct crossvm_notify *notify, uint32_t peer,
                                     uint32_t vector_out, uint32_t vector_in)
{
    const struct crossvm_pipe_bell made = {notify, peer, vector_out, vector_in};
    return made;
}

static int ear_signal(void *context, uint32_t peer, uint32_t vector)
{
    const struct link_ear *ear = context;
    return ear->inner.ops->signal(ear->inner.context, peer, vector);
}

static int ear_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct link_ear *ear = context;
    int status = ear->inner.ops->wait(ear->inner.context, vector, deadline_ns);
    ear->n_heard += status == CROSSVM_OK;
    return status;
}

static int ear_fd(void *context, uint32_t vector)
{
    const struct link_ear *ear = context;
    return crossvm_notify_fd(&ear->inner, vector);
}

static uint64_t ear_now(void *context)
{
    const struct link_ear *ear = context;
    return crossvm_notify_now(&ear->inner);
}

static void ear_rest(void *context, uint64_t until_ns)
{
    const struct link_ear *ear = context;
    if (ear->inner.ops->rest != NULL) {
        ear->inner.ops->rest(ear->inner.context, until_ns);
    }
}

/* Puts an ear in front of the backend's notify, ear->inner. Polling hears nothing: each of its
 * waits is a false alarm. */
static struct crossvm_notify *listen_with(struct link_ear *ear, bool polls)
{
    static const struct crossvm_notify_ops ops = {ear_signal, ear_wait, ear_fd, ear_now, ear_rest};
    ear->notify = ear->inner;
    if (!polls) {
        ear->notify.ops = &ops;
        ear->notify.context = ear;
    }
    return &ear->notify;
}

/* Connects both pipes, whose ears have their backend's notify. */
static void connect_pipes(struct demo_link *link, uint32_t peer)
{
    struct crossvm_notify *tx = listen_with(&link->tx_ear, link->bell.is_none);
    struct crossvm_notify *rx = listen_with(&link->rx_ear, link->bell.is_none);
    link->tx.bell = bell(tx, peer, BELL_ELEMENTS, BELL_ROOM);
    link->rx.bell = bell(rx, peer, BELL_ROOM, BELL_ELEMENTS);
}

/* Connects the doorbells of processes to the two pipes. */
static void hang_bells(struct demo_link *link)
{
    for (uint32_t i = 0; i < N_BELLS; i++) {
        link->routes[i].peer = link->peer;
        link->routes[i].vector = i;
        link->routes[i].fd = link->peer_bells[i];
    }
    link->doorbells.routes = link->routes;
    link->doorbells.n_routes = N_BELLS;
    link->doorbells.own = link->bells;
    link->doorbells.n_own = N_BELLS;
    crossvm_notify_eventfd(&link->tx_ear.inner, &link->doorbells);
    crossvm_notify_eventfd(&link->rx_ear.inner, &link->doorbells);
    connect_pipes(link, link->peer);
}

/* Opens this side's part of both queues; the consumer asks for the ring that it wants. */
static int open_queues(struct demo_link *link)
{
    const uint32_t seed = (uint32_t)getpid();
    int status = crossvm_spsc_tx_open(&link->tx.queue, &link->owner.region, &link->table[CHUNK_TX],
                                      sizeof(struct element), seed);
    if (status == CROSSVM_OK) {
        status = crossvm_spsc_rx_open(&link->rx.queue, &link->owner.region, &link->table[CHUNK_RX],
                                      DEMO_RING, sizeof(struct element), seed);
    }
    if (status == CROSSVM_OK && link->bell.is_none) {
        crossvm_spsc_tx_peer_polls(&link->tx.queue);
        crossvm_spsc_rx_peer_polls(&link->rx.queue);
    }
    return judge(link, "cannot open the queues", status);
}

/* Whether the other side has closed the socket. */
static bool is_gone(const struct demo_link *link)
{
    char byte;
    return !link->machines && recv(link->socket, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Request, grant, acceptance: both sides call this until both queues answer OK. */
static int link_queues(struct demo_link *link, const atomic_int *stop)
{
    const uint64_t deadline_ns = crossvm_posix_now() + BOOT_TIMEOUT_NS;
    struct crossvm_region *region = &link->peer_region;
    struct crossvm_chunk tx;
    struct crossvm_chunk rx;
    int status =
        crossvm_region_find(region, link->table[CHUNK_RX].name, CROSSVM_KIND_SPSC_TX, 0, &tx);
    if (status == CROSSVM_OK) {
        status =
            crossvm_region_find(region, link->table[CHUNK_TX].name, CROSSVM_KIND_SPSC_RX, 0, &rx);
    }
    if (status != CROSSVM_OK) {
        return judge(link, "cannot find the other side's queues", status);
    }
    do {
        int from = crossvm_spsc_rx_link(&link->rx.queue, region, &tx);
        int to = crossvm_spsc_tx_link(&link->tx.queue, region, &rx);
        status = from == CROSSVM_OK ? to : from;
    } while (status == CROSSVM_NOT_YET && !is_gone(link) && rest(-1, 1, deadline_ns, stop));
    return judge(link, "cannot link the queues", status);
}

/* Each side rings the other once and listens, so that "heard" says of every run whether doorbells
 * arrive: a quick side may otherwise have no reason to ring a slow one. Silence is no failure. */
static int try_bells(struct demo_link *link)
{
    struct crossvm_notify *notify = &link->rx_ear.notify;
    if (link->bell.is_none) {
        return DEMO_OK;
    }
    int status = crossvm_notify_signal(notify, link->rx.bell.peer, BELL_ELEMENTS);
    if (status == CROSSVM_OK) {
        status = crossvm_notify_wait(notify, BELL_ELEMENTS, crossvm_posix_now() + TRIAL_TIMEOUT_NS);
    }
    return status == CROSSVM_TIMEOUT ? DEMO_OK : judge(link, "cannot ring the other side", status);
}

/* ---- snapshots ---------------------------------------------------------------------------- */

static int find_reader(struct demo_link *link, const char *name, const char *type,
                       struct crossvm_snapshot_reader *reader)
{
    struct crossvm_chunk chunk;
    int status = crossvm_region_find(&link->peer_region, name, CROSSVM_KIND_SNAPSHOT,
                                     crossvm_type_hash(type), &chunk);
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_reader_open(reader, &link->peer_region, &chunk);
    }
    return judge(link, name, status);
}

int link_machine_writer(struct demo_link *link, struct crossvm_snapshot_writer *writer)
{
    return judge(
        link, "machine",
        crossvm_snapshot_writer_open(writer, &link->owner.region, &link->table[CHUNK_MACHINE]));
}

int link_machine_reader(struct demo_link *link, struct crossvm_snapshot_reader *reader)
{
    return find_reader(link, "machine", MACHINE_TYPE, reader);
}

static int open_progress(struct demo_link *link)
{
    int status = judge(link, "progress",
                       crossvm_snapshot_writer_open(&link->progress_writer, &link->owner.region,
                                                    &link->table[CHUNK_PROGRESS]));
    return status != DEMO_OK ? status
                             : find_reader(link, "progress", PROGRESS_TYPE, &link->progress_reader);
}

/* ---- machines ----------------------------------------------------------------------------- */

/* Says which place is wrong, and what was found there. */
static int judge_place(struct demo_link *link, const char *option, const char *where,
                       const struct crossvm_examination *examination, int status)
{
    char text[CROSSVM_EXAMINATION_LEN];
    if (status == CROSSVM_INVALID) {
        return fail(link, DEMO_REFUSED, "%s %s: expected one of those that --help names", option,
                    where);
    }
    if (status == CROSSVM_ROLE && examination != NULL) {
        crossvm_examination_text(examination, text, sizeof(text));
        return fail(link, DEMO_REFUSED, "%s %s: %s", option, where, text);
    }
    return judge(link, where, status);
}

static int open_places(struct demo_link *link, const struct options *options)
{
    int status = judge_place(link, "--own", options->own, &link->place.examination,
                             place_open(&link->place, options->own, CROSSVM_READ_WRITE));
    if (status == DEMO_OK) {
        status = judge_place(link, "--peer", options->peer, NULL,
                             place_open(&link->peer_place, options->peer, CROSSVM_READ_ONLY));
    }
    if (status == DEMO_OK) {
        status = judge_place(link, "--bell", options->bell, NULL,
                             place_bell_open(&link->bell, options->bell, N_BELLS));
    }
    return status;
}

/* The other side formats its memory when it comes up. */
static int await_region(struct demo_link *link, uint64_t deadline_ns, const atomic_int *stop)
{
    int status;
    do {
        status = crossvm_region_attach(&link->peer_region, &link->peer_place.mapping, link->self);
    } while (crossvm_status_family(status) == CROSSVM_FAMILY_AGAIN &&
             rest(-1, 10, deadline_ns, stop));
    if (status == CROSSVM_OK && link->peer_region.region_id[1] != link->peer) {
        return fail(link, DEMO_WRONG, "the other side's memory is another side's");
    }
    return judge(link, "the other side's memory", status);
}

/* Says by which id this side is rung, and learns the other's. */
static int exchange_bells(struct demo_link *link, uint64_t deadline_ns, const atomic_int *stop,
                          uint32_t *id)
{
    struct crossvm_snapshot_info info;
    struct progress mine;
    struct progress theirs;
    memset(&mine, 0, sizeof(mine));
    memset(&theirs, 0, sizeof(theirs));
    mine.bell = link->bell.id;
    int status = crossvm_snapshot_writer_publish(&link->progress_writer, &mine, sizeof(mine), 0, 0);
    if (status == CROSSVM_OK) {
        do {
            status = crossvm_snapshot_reader_read(&link->progress_reader, &theirs, sizeof(theirs),
                                                  &info);
        } while (crossvm_status_family(status) == CROSSVM_FAMILY_AGAIN &&
                 rest(-1, 10, deadline_ns, stop));
    }
    if (status >= 0 && info.len != sizeof(theirs)) {
        return fail(link, DEMO_WRONG, "the other side's progress has an impossible length");
    }
    *id = theirs.bell;
    return judge(link, "cannot learn the other side's doorbell", status);
}

/* Connects the doorbells of machines to the two pipes. */
static int hang_machine_bells(struct demo_link *link, uint64_t deadline_ns, const atomic_int *stop)
{
    uint32_t id;
    int status = exchange_bells(link, deadline_ns, stop, &id);
    if (status != DEMO_OK) {
        return status;
    }
    while (!place_bell_reaches(&link->bell, id)) {
        if (!rest(-1, 10, deadline_ns, stop)) {
            return fail(link, DEMO_WRONG, "nobody has the doorbells %u", (unsigned)id);
        }
    }
    link->bell.hang(&link->bell, &link->tx_ear.inner);
    link->bell.hang(&link->bell, &link->rx_ear.inner);
    connect_pipes(link, id);
    return DEMO_OK;
}

/* Two machines, or one and a process of its host. */
static int open_machines(struct demo_link *link, const struct options *options,
                         const atomic_int *stop)
{
    const uint64_t deadline_ns = crossvm_posix_now() + BOOT_TIMEOUT_NS;
    int status = open_places(link, options);
    if (status == DEMO_OK) {
        status = make_region(link);
    }
    if (status == DEMO_OK) {
        status = await_region(link, deadline_ns, stop);
    }
    if (status == DEMO_OK) {
        status = open_progress(link);
    }
    return status == DEMO_OK ? hang_machine_bells(link, deadline_ns, stop) : status;
}

/* ---- all of it ---------------------------------------------------------------------------- */

void link_init(struct demo_link *link, uint32_t self)
{
    memset(link, 0, sizeof(*link));
    link->self = self;
    link->peer = self == DEMO_A ? DEMO_B : DEMO_A;
    link->socket = -1;
    link->memory.fd = -1;
    link->peer_memory.fd = -1;
    memset(link->bells, -1, sizeof(link->bells));
    memset(link->peer_bells, -1, sizeof(link->peer_bells));
}

/* Two processes: through a socket. */
static int open_processes(struct demo_link *link, const char *path, const atomic_int *stop)
{
    int status = meet(link, path, stop);
    if (status == DEMO_OK) {
        status = make_region(link);
    }
    if (status == DEMO_OK) {
        status = exchange(link);
    }
    if (status == DEMO_OK) {
        status = judge(
            link, "the other side's memory",
            crossvm_region_attach(&link->peer_region, &link->peer_memory.mapping, link->self));
    }
    if (status == DEMO_OK) {
        hang_bells(link);
        status = open_progress(link);
    }
    return status;
}

int link_open(struct demo_link *link, const struct options *options, const atomic_int *stop)
{
    link->machines = options->socket == NULL;
    int status = link->machines ? open_machines(link, options, stop)
                                : open_processes(link, options->socket, stop);
    if (status == DEMO_OK) {
        status = open_queues(link);
    }
    if (status == DEMO_OK) {
        status = link_queues(link, stop);
    }
    return status == DEMO_OK ? try_bells(link) : status;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void link_close(struct demo_link *link)
{
    for (int i = 0; i < N_BELLS; i++) {
        close_if_open(link->bells[i]);
        close_if_open(link->peer_bells[i]);
    }
    crossvm_memfd_close(&link->memory);
    crossvm_memfd_close(&link->peer_memory);
    place_bell_close(&link->bell);
    place_close(&link->place);
    place_close(&link->peer_place);
    close_if_open(link->socket);
}
