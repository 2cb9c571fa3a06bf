/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/waitset.c - one wait for sources of every kind, whose peers all write anything at any
 * time and ring for nothing: it ends at its deadline at the latest, whatever one of them does.
 */
#include "bell.h"

#include <crossvm/service/waitset.h>

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_waitset_init",           "crossvm_waitset_wait",

    "crossvm_waitset_watch_elements", "crossvm_waitset_watch_room",
    "crossvm_waitset_watch_answers",  "crossvm_waitset_watch_ring",
    "crossvm_waitset_watch_snapshot", "crossvm_waitset_watch_broadcast",
};

enum {
    N = 4,
    LEN = 16,
    OWN = 5,   /* chunks of the waiter's */
    PEERS = 6, /* chunks of the others' */
    SOURCES = 6,
    WAITS = 6, /* of one call, at most */
    /* Shared accesses of one call, at most: looked at twice, armed twice, nudged, disarmed. */
    STEPS_SOURCE = 120,
    STEPS_WAIT = (WAITS + 2) * SOURCES * STEPS_SOURCE
};

static struct fuzz_region a; /* the waiter's, party 1 */
static struct fuzz_region b; /* the others', party 2 */
static struct fuzz_part own[OWN];
static struct fuzz_part peers[PEERS];
static struct fuzz_image image;
static struct {
    struct crossvm_spsc_rx elements;
    struct crossvm_spsc_tx room;
    struct crossvm_exchange_tx answers;
    struct crossvm_mpsc_rx ring;
    struct crossvm_snapshot_reader snapshot;
    struct crossvm_broadcast_reader broadcast;
    struct crossvm_wake_waiter waiter;
    struct crossvm_waitset_snapshot versions;
    struct crossvm_waitset_broadcast numbers;
} all;
static struct crossvm_waitset_source *sources; /* SOURCES, exactly */
static struct crossvm_waitset set;
static struct crossvm_notify notify;
static struct crossvm_pipe_bell bell;
static unsigned char *elem;

/* ---- a state to begin with ------------------------------------------------------------------- */

static void make_regions(void)
{
    static const struct crossvm_chunk_decl decls_a[OWN] = {
        {"e", CROSSVM_KIND_SPSC_RX, 0, 0, 1, 2, 0, 1},
        {"r", CROSSVM_KIND_SPSC_TX, N, LEN, 1, 2, 0, 2},
        {"x", CROSSVM_KIND_EXCHANGE_TX, N, LEN, 1, 2, 0, 3},
        {"m", CROSSVM_KIND_MPSC_RX, 0, 0, 1, 2, 0, 4},
        {"w", CROSSVM_KIND_WAKE, 0, 0, 1, 2, 0, 0},
    };
    static const struct crossvm_chunk_decl decls_b[PEERS] = {
        {"e", CROSSVM_KIND_SPSC_TX, N, LEN, 2, 1, 0, 1},
        {"r", CROSSVM_KIND_SPSC_RX, 0, 0, 2, 1, 0, 2},
        {"x", CROSSVM_KIND_EXCHANGE_RX, N, LEN, 2, 1, 0, 3},
        {"m", CROSSVM_KIND_MPSC_TX, N, LEN, 2, 1, 0, 4},
        {"s", CROSSVM_KIND_SNAPSHOT, 2, LEN, 2, 1, 0, 0},
        {"b", CROSSVM_KIND_BROADCAST, N, LEN, 2, 1, 0, 0},
    };
    const struct crossvm_region_plan plan_a = {decls_a, OWN, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    const struct crossvm_region_plan plan_b = {decls_b, PEERS, 0, 128, 0, 2, {2}, 0, {0, 0, 0}};
    fuzz_region_make(&a, &plan_a, 2);
    fuzz_region_make(&b, &plan_b, 1);
    for (unsigned i = 0; i < OWN; i++) {
        own[i] = fuzz_part_of(&a, &a.table[i]);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        peers[i] = fuzz_part_of(&b, &b.table[i]);
    }
}

static void make_queues(void)
{
    struct crossvm_spsc_tx other_tx;
    struct crossvm_spsc_rx other_rx;
    FUZZ_CHECK(crossvm_spsc_rx_open(&all.elements, &a.owner.region, &a.table[0], N, LEN, 1) == 0);
    FUZZ_CHECK(crossvm_spsc_tx_open(&other_tx, &b.owner.region, &b.table[0], 0, 1) == 0);
    (void)crossvm_spsc_tx_link(&other_tx, &a.reader, &a.table[0]);
    FUZZ_CHECK(crossvm_spsc_rx_link(&all.elements, &b.reader, &b.table[0]) == CROSSVM_OK);

    FUZZ_CHECK(crossvm_spsc_tx_open(&all.room, &a.owner.region, &a.table[1], 0, 1) == 0);
    FUZZ_CHECK(crossvm_spsc_rx_open(&other_rx, &b.owner.region, &b.table[1], N, LEN, 1) == 0);
    (void)crossvm_spsc_tx_link(&all.room, &b.reader, &b.table[1]);
    FUZZ_CHECK(crossvm_spsc_rx_link(&other_rx, &a.reader, &a.table[1]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_link(&all.room, &b.reader, &b.table[1]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_push_n(&all.room, elem, N) == N);
}

static void make_others(void)
{
    struct crossvm_exchange_rx client;
    struct crossvm_snapshot_writer snapshot;
    struct crossvm_broadcast_writer broadcast;
    FUZZ_CHECK(crossvm_exchange_tx_open(&all.answers, &a.owner.region, &a.table[2], 0, 1) == 0);
    FUZZ_CHECK(crossvm_exchange_rx_open(&client, &b.owner.region, &b.table[2], N, LEN, 1) == 0);
    (void)crossvm_exchange_tx_link(&all.answers, &b.reader, &b.table[2]);
    FUZZ_CHECK(crossvm_exchange_rx_link(&client, &a.reader, &a.table[2]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_exchange_tx_link(&all.answers, &b.reader, &b.table[2]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_exchange_tx_push(&all.answers, elem) == CROSSVM_OK);

    FUZZ_CHECK(crossvm_mpsc_rx_open(&all.ring, &a.owner.region, &a.table[3]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_mpsc_rx_link(&all.ring, &b.reader, &b.table[3]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_wake_waiter_open(&all.waiter, &a.owner.region, &a.table[4]) == CROSSVM_OK);

    FUZZ_CHECK(crossvm_snapshot_writer_open(&snapshot, &b.owner.region, &b.table[4]) == 0);
    FUZZ_CHECK(crossvm_snapshot_writer_publish(&snapshot, elem, LEN, 0, 0) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_snapshot_reader_open(&all.snapshot, &b.reader, &b.table[4]) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_snapshot_reader_read(&all.snapshot, elem, LEN, NULL) == 1);
    FUZZ_CHECK(crossvm_broadcast_writer_open(&broadcast, &b.owner.region, &b.table[5]) == 0);
    FUZZ_CHECK(crossvm_broadcast_reader_open(&all.broadcast, &b.reader, &b.table[5],
                                             CROSSVM_BROADCAST_NEWEST) == CROSSVM_OK);
    all.versions.reader = &all.snapshot;
    all.versions.waiter = &all.waiter;
    all.numbers.reader = &all.broadcast;
    all.numbers.waiter = NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elem = (unsigned char *)fuzz_private(N * LEN);
    sources = (struct crossvm_waitset_source *)fuzz_private(SOURCES * sizeof(*sources));
    fuzz_bell_set(&notify);
    bell.notify = &notify;
    make_regions();
    make_queues();
    make_others();
    fuzz_image_add(&image, own[0].writable, (size_t)(own[4].off + own[4].len - own[0].off));
    fuzz_image_add(&image, peers[0].writable, (size_t)(peers[5].off + peers[5].len - peers[0].off));
    fuzz_image_add(&image, &all, sizeof(all));
    fuzz_region_close(&a);
    fuzz_region_close(&b);
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* A source, with its watermark and its longest delay. */
static void watch(unsigned i, uint8_t arg)
{
    struct crossvm_waitset_source *source = &sources[i];
    const struct crossvm_pipe_bell *rings = arg >= 128 ? &bell : NULL;
    uint32_t want = arg % 8u;
    uint64_t delay_ns = arg / 8u % 4u * 70u;
    switch (i) {
    case 0:
        crossvm_waitset_watch_elements(source, &all.elements, rings, want, delay_ns);
        break;
    case 1:
        crossvm_waitset_watch_room(source, &all.room, rings, want);
        break;
    case 2:
        crossvm_waitset_watch_answers(source, &all.answers, rings, want, delay_ns);
        break;
    case 3:
        crossvm_waitset_watch_ring(source, &all.ring, want, delay_ns);
        break;
    case 4:
        crossvm_waitset_watch_snapshot(source, &all.versions, want, delay_ns);
        break;
    default:
        crossvm_waitset_watch_broadcast(source, &all.numbers, want, delay_ns);
        break;
    }
}

static int most_of(unsigned i)
{
    return i < 4 ? N : 0x7fffffff;
}

static void check_sources(int n_ready)
{
    const uint64_t failures =
        FUZZ_S(STALE) | FUZZ_S(CORRUPT) | FUZZ_S(INVALID) | FUZZ_S(NOT_FOUND) | FUZZ_S(SYSTEM);
    int n = 0;
    for (unsigned i = 0; i < set.n_sources; i++) {
        int ready = sources[i].ready;
        FUZZ_CHECK(ready <= most_of(i));
        FUZZ_CHECK(ready >= 0 || (ready >= CROSSVM_SYSTEM && (failures >> -ready & 1) != 0));
        n += ready != 0;
    }
    FUZZ_CHECK(n_ready < 0 || n == n_ready);
}

/* Takes what a source has, so that the next wait finds another state. */
static void take(unsigned i)
{
    uint64_t tried = FUZZ_S(EMPTY) | FUZZ_S(NOT_YET) | FUZZ_S(STALE) | FUZZ_S(CORRUPT);
    if (i == 0) {
        (void)FUZZ_CALL(crossvm_spsc_rx_pop, (&all.elements, elem), 10, tried, 0);
    } else if (i == 2) {
        (void)FUZZ_CALL(crossvm_exchange_tx_take, (&all.answers, elem), 10, tried, 0);
    } else if (i == 3) {
        (void)FUZZ_CALL(crossvm_mpsc_rx_pop, (&all.ring, elem), STEPS_SOURCE, tried, 0);
    }
    fuzz_use(elem, LEN);
}

static void call(uint8_t op, uint8_t arg)
{
    if (op % 4 == 0) {
        watch(arg % SOURCES, op ^ arg);
        return;
    }
    if (op % 4 == 1) {
        take(arg % SOURCES);
        return;
    }
    fuzz_bell.n_waits = 0;
    uint64_t deadline_ns = fuzz_bell.now_ns + (uint64_t)(arg % (WAITS + 1u)) * FUZZ_WAIT_NS;
    int n_ready = FUZZ_CALL(crossvm_waitset_wait, (&set, deadline_ns), STEPS_WAIT,
                            FUZZ_S(TIMEOUT) | FUZZ_S(SYSTEM), SOURCES);
    FUZZ_CHECK(fuzz_bell.n_waits <= WAITS + 1);
    check_sources(n_ready);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    fuzz_image_restore(&image);
    memset(sources, 0, SOURCES * sizeof(*sources));
    fuzz_bell.now_ns = 1000;
    fuzz_bell.broken = first >= 250;
    for (unsigned i = 0; i < OWN; i++) {
        fuzz_keep(fuzz_part_add(&own[i], false), 4, 4);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        fuzz_hot(fuzz_part_add(&peers[i], true), 0, 4);
    }
    for (unsigned i = 0; i < N; i++) {
        fuzz_hot(&peers[3], 128 + i * (8 + LEN), 1);
    }
    fuzz_around(&all.elements.tail);
    fuzz_around(&all.room.head);
    fuzz_around(&all.answers.queue.head);
    fuzz_around(&all.ring.head);
    FUZZ_PLAIN(crossvm_waitset_init, (&set, sources, SOURCES, &notify, 0), 0);
    fuzz_done();
    for (unsigned i = 0; i < SOURCES; i++) {
        watch(i, fuzz_byte());
    }
    for (unsigned i = 0; i < FUZZ_CALLS / 4 && fuzz_more(&op, &arg); i++) {
        call(op, arg);
    }
    return 0;
}
