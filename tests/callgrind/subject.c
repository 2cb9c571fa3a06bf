/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the subject of an operation to where its calls begin. Nothing here is counted. */
#include "../support/exchange.h"
#include "../support/snapshot.h"

#include "subject.h"

void nothing(struct subject *s)
{
    (void)s;
}

/* ---- queues --------------------------------------------------------------------------------- */

/* Regions and mappings are left to the end of the process. */
static void empty(struct subject *s, uint32_t elem_len)
{
    static struct queue queue;
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    queue_up(&queue, CAPACITY, elem_len, 0, usual);
    s->tx.any = queue.tx;
    s->rx.any = queue.rx;
}

void push_one(struct subject *s)
{
    REQUIRE(crossvm_spsc_tx_push(&s->tx.any, &s->in) == CROSSVM_OK);
}

void pop_one(struct subject *s)
{
    REQUIRE(crossvm_spsc_rx_pop(&s->rx.any, &s->out) == CROSSVM_OK);
    crossvm_spsc_rx_flush(&s->rx.any);
}

static void room(struct subject *s, uint32_t elem_len)
{
    empty(s, elem_len);
    push_one(s);
}

static void full(struct subject *s, uint32_t elem_len)
{
    empty(s, elem_len);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        push_one(s);
    }
}

static void elements(struct subject *s, uint32_t elem_len)
{
    full(s, elem_len);
    pop_one(s);
}

/* The four of them for each size. */
#define QUEUES(len)                        \
    void empty_##len(struct subject *s)    \
    {                                      \
        empty(s, len);                     \
    }                                      \
    void room_##len(struct subject *s)     \
    {                                      \
        room(s, len);                      \
    }                                      \
    void full_##len(struct subject *s)     \
    {                                      \
        full(s, len);                      \
    }                                      \
    void elements_##len(struct subject *s) \
    {                                      \
        elements(s, len);                  \
    }

QUEUES(8)
QUEUES(64)
QUEUES(256)
QUEUES(1024)

/* ---- kicks ---------------------------------------------------------------------------------- */

/* The consumer waits for more than the measured pushes bring. */
#define WATERMARK 200u

void tx_never(struct subject *s)
{
    uint64_t again_ns;
    empty_64(s);
    push_one(s);
    REQUIRE(crossvm_spsc_tx_kick(&s->tx.any, 0, &again_ns) == 1);
}

void tx_polling(struct subject *s)
{
    tx_never(s);
    crossvm_spsc_tx_peer_polls(&s->tx.any);
}

void tx_event(struct subject *s)
{
    tx_never(s);
    REQUIRE(crossvm_spsc_rx_arm(&s->rx.any, WATERMARK, 0) == 0);
}

void tx_always(struct subject *s)
{
    tx_never(s);
    REQUIRE(crossvm_wake_always(&s->rx.any.waiter) == CROSSVM_OK);
}

void rx_never(struct subject *s)
{
    elements_64(s);
    REQUIRE(crossvm_spsc_rx_kick(&s->rx.any) == 1);
}

void rx_polling(struct subject *s)
{
    rx_never(s);
    crossvm_spsc_rx_peer_polls(&s->rx.any);
}

/* ---- exchange ------------------------------------------------------------------------------- */

void exchange_empty(struct subject *s)
{
    static struct exchange exchange;
    exchange_up(&exchange, CAPACITY, 64, 0, 0);
    s->exchange_tx = exchange.tx;
    s->exchange_rx = exchange.rx;
}

void exchange_sent(struct subject *s)
{
    exchange_empty(s);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        REQUIRE(crossvm_exchange_tx_push(&s->exchange_tx, &s->in) == CROSSVM_OK);
    }
}

void exchange_answered(struct subject *s)
{
    exchange_sent(s);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        REQUIRE(crossvm_exchange_rx_answer(&s->exchange_rx, &s->in) == CROSSVM_OK);
    }
}

/* ---- pipes ---------------------------------------------------------------------------------- */

static uint64_t still(void *context)
{
    (void)context;
    return 1000;
}

static void pipes(struct subject *s)
{
    const struct crossvm_pipe_bell bell = {&s->notify, PARTY_B, 0, 0};
    s->polling.now = still;
    crossvm_notify_polling(&s->notify, &s->polling);
    s->pipe_tx.queue = s->tx.any;
    s->pipe_tx.bell = bell;
    s->pipe_rx.queue = s->rx.any;
    s->pipe_rx.bell = bell;
}

void pipe_polling(struct subject *s)
{
    tx_polling(s);
    pipes(s);
}

void pipe_never(struct subject *s)
{
    tx_never(s);
    pipes(s);
}

void pipe_rx_never(struct subject *s)
{
    rx_never(s);
    pipes(s);
}

void pipe_elements(struct subject *s)
{
    elements_64(s);
    pipes(s);
}

void pipe_room(struct subject *s)
{
    room_64(s);
    pipes(s);
}

/* ---- wake ----------------------------------------------------------------------------------- */

void wake_never(struct subject *s)
{
    static struct test_region region;
    const struct crossvm_chunk_decl decl = {"wake",  CROSSVM_KIND_WAKE, 0, 0,
                                            PARTY_A, PARTY_B,           0, 0};
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 0, 0, PARTY_A);
    uint64_t again_ns;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_chunk chunk = test_find(&region.reader, "wake", CROSSVM_KIND_WAKE);
    REQUIRE(crossvm_wake_waiter_open(&s->waiter, &region.owner.region, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_wake_publisher_open(&s->publisher, &region.reader, &chunk, 0) == CROSSVM_OK);
    REQUIRE(crossvm_wake_never(&s->waiter) == CROSSVM_OK);
    REQUIRE(crossvm_wake_due(&s->publisher, 0, 0, &again_ns) == 1);
}

void wake_event(struct subject *s)
{
    wake_never(s);
    REQUIRE(crossvm_wake_at(&s->waiter, WATERMARK, 0) == CROSSVM_OK);
}

void wake_always(struct subject *s)
{
    wake_never(s);
    REQUIRE(crossvm_wake_always(&s->waiter) == CROSSVM_OK);
}

void next_index(struct subject *s)
{
    s->index++;
}

/* ---- snapshots and bytes -------------------------------------------------------------------- */

/* The version before the newest one can be read, too. */
static void publish(struct subject *s, uint32_t len)
{
    s->version = crossvm_snapshot_writer_version(&s->state_out);
    REQUIRE(crossvm_snapshot_writer_publish(&s->state_out, &s->in, len, 1, 2) == CROSSVM_OK);
}

static void snapshot(struct subject *s, uint32_t len)
{
    static struct test_snapshot made;
    test_snapshot_make(&made, N_SLOTS, len);
    s->state_out = made.writer;
    s->state_in = made.reader;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        publish(s, len);
    }
    REQUIRE(crossvm_snapshot_reader_read(&s->state_in, &s->out, sizeof(s->out), &s->info) == 1);
}

void publish_64(struct subject *s)
{
    publish(s, 64);
}

void publish_4096(struct subject *s)
{
    publish(s, LONG_LEN);
}

void snapshot_64(struct subject *s)
{
    snapshot(s, 64);
}

void snapshot_4096(struct subject *s)
{
    snapshot(s, LONG_LEN);
}

void bytes_chunk(struct subject *s)
{
    static struct test_region region;
    const struct crossvm_chunk_decl decl = {
        "bytes", CROSSVM_KIND_BYTES, 0, 2 * LONG_LEN, PARTY_A, PARTY_B, 0, 0};
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 0, 0, PARTY_A);
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_chunk chunk = test_find(&region.reader, "bytes", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_bytes_writer_open(&s->bytes_out, &region.owner.region, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&s->bytes_in, &region.reader, &chunk) == CROSSVM_OK);
}

/* ---- regions -------------------------------------------------------------------------------- */

static void region_of(struct subject *s, uint32_t n_chunks)
{
    static char names[N_CHUNKS][CROSSVM_NAME_LEN];
    static struct crossvm_chunk_decl decls[N_CHUNKS];
    static struct crossvm_chunk table[N_CHUNKS];
    struct crossvm_region_owner owner;
    struct crossvm_mapping writable;
    uint64_t len;
    for (uint32_t i = 0; i < n_chunks; i++) {
        const struct crossvm_chunk_decl decl = {
            names[i], CROSSVM_KIND_BYTES, 0, 128, PARTY_A, PARTY_B, 0, 0};
        (void)snprintf(names[i], sizeof(names[i]), "sensors/axis-%02u", (unsigned)i);
        decls[i] = decl;
    }
    const struct crossvm_region_plan plan = TEST_PLAN(decls, n_chunks, 0, 0, 0, PARTY_A);
    REQUIRE(crossvm_region_plan_len(&plan, &len) == CROSSVM_OK);
    test_map(&writable, &s->mapping, len);
    REQUIRE(crossvm_region_owner_format(&owner, &writable, &plan, table, N_CHUNKS) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&s->region, &s->mapping, PARTY_B) == CROSSVM_OK);
    memcpy(s->name, names[n_chunks - 1], sizeof(s->name));
}

void region_of_1(struct subject *s)
{
    region_of(s, 1);
}

void region_of_100(struct subject *s)
{
    region_of(s, N_CHUNKS);
}

void times(struct subject *s)
{
    s->clocks[0].kind = CROSSVM_CLOCK_COUNTER;
    s->clocks[0].id = 7;
    s->clocks[0].rate = 2400000000u;
    s->clocks[1] = s->clocks[0];
    s->time_ns = 123456789012345u;
}
