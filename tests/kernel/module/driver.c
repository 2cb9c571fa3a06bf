/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kernel/module/driver.c - a kernel module that uses the library as two drivers do: each
 * side owns a region in vmalloc'ed memory, and sees the other's through a mapping that is read-only
 * for the processor, too. A snapshot, a queue, and a pipe between two threads that sleep.
 *
 * Says "crossvm: passed" and the number of checks when all are well; otherwise loading fails.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include <crossvm/crossvm.h>

enum {
    PRODUCER = 1,
    CONSUMER = 2,
    TABLE_LEN = 4,
    CAPACITY = 16,
    N_STREAM = 20000,
    MAX_PAGES = 64
};

/* In table.c: how many functions of the library this module has in it. */
extern const unsigned int crossvm_n_functions;

/* ---- checks ---------------------------------------------------------------------------------- */

static unsigned int n_checks;
static unsigned int n_failed;

static bool checked(bool holds, int line, const char *what)
{
    n_checks++;
    if (!holds) {
        n_failed++;
        pr_err("crossvm: line %d: failed: %s\n", line, what);
    }
    return holds;
}

#define CHECK(condition) checked((condition), __LINE__, #condition)

/* ---- two regions, each mapped twice ---------------------------------------------------------- */

struct side {
    struct crossvm_mapping own;   /* as its owner maps it */
    struct crossvm_mapping shown; /* as the other side maps it */
    struct crossvm_region_owner owner;
    struct crossvm_region peer; /* the other side's region, attached through its `shown` */
    struct crossvm_chunk table[TABLE_LEN];
};

/* A second mapping of vmalloc'ed memory; a store through it would be a fault. */
static void *map_read_only(void *memory, unsigned long len)
{
    struct page *pages[MAX_PAGES];
    unsigned int n = (unsigned int)(PAGE_ALIGN(len) >> PAGE_SHIFT);
    if (n > MAX_PAGES) {
        return NULL;
    }
    for (unsigned int i = 0; i < n; i++) {
        pages[i] = vmalloc_to_page((char *)memory + i * PAGE_SIZE);
    }
    return vmap(pages, n, VM_MAP, PAGE_KERNEL_RO);
}

static bool side_make(struct side *side, const struct crossvm_region_plan *plan)
{
    uint64_t len;
    if (!CHECK(crossvm_region_plan_len(plan, &len) == CROSSVM_OK)) {
        return false;
    }
    side->own.base = vzalloc((unsigned long)len);
    side->own.len = len;
    side->own.access = CROSSVM_READ_WRITE;
    side->own.memory = CROSSVM_WRITE_BACK;
    if (!CHECK(side->own.base != NULL)) {
        return false;
    }
    side->shown = side->own;
    side->shown.access = CROSSVM_READ_ONLY;
    side->shown.base = map_read_only(side->own.base, (unsigned long)len);
    return CHECK(side->shown.base != NULL) &&
           CHECK(crossvm_region_owner_format(&side->owner, &side->own, plan, side->table,
                                             TABLE_LEN) == CROSSVM_OK);
}

static void side_drop(const struct side *side)
{
    vunmap(side->shown.base);
    vfree(side->own.base);
}

/* ---- doorbells: a flag and a wait queue a side ----------------------------------------------- */

struct bell {
    struct crossvm_notify notify;
    wait_queue_head_t sleepers;
    atomic_t rung; /* a flag, no count: many rings before a wait are one */
    struct bell *other;
};

static int bell_signal(void *context, uint32_t peer, uint32_t vector)
{
    struct bell *bell = context;
    (void)peer;
    if (vector != 0) {
        return CROSSVM_NOT_FOUND;
    }
    atomic_set(&bell->other->rung, 1);
    wake_up(&bell->other->sleepers);
    return CROSSVM_OK;
}

static uint64_t bell_now(void *context)
{
    (void)context;
    return jiffies64_to_nsecs(get_jiffies_64());
}

static int bell_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    struct bell *bell = context;
    uint64_t now_ns = bell_now(context);
    long ticks = 0;
    if (vector != 0) {
        return CROSSVM_NOT_FOUND;
    }
    if (now_ns < deadline_ns) {
        uint64_t left = div_u64(deadline_ns - now_ns, NSEC_PER_SEC / HZ);
        ticks = left < MAX_SCHEDULE_TIMEOUT ? (long)left + 1 : MAX_SCHEDULE_TIMEOUT;
    }
    return wait_event_timeout(bell->sleepers, atomic_xchg(&bell->rung, 0) != 0, ticks) != 0
               ? CROSSVM_OK
               : CROSSVM_TIMEOUT;
}

static void bell_make(struct bell *bell, struct bell *other)
{
    static const struct crossvm_notify_ops ops = {
        .signal = bell_signal,
        .wait = bell_wait,
        .now = bell_now,
    };
    bell->notify.ops = &ops;
    bell->notify.context = bell;
    bell->other = other;
    atomic_set(&bell->rung, 0);
    init_waitqueue_head(&bell->sleepers);
}

/* How long a wait may take before it counts as hung. */
static uint64_t bell_deadline(const struct bell *bell)
{
    return crossvm_notify_now(&bell->notify) + 60ull * NSEC_PER_SEC;
}

/* ---- everything that the test has, too much for a stack -------------------------------------- */

struct test {
    struct side producer;
    struct side consumer;
    struct bell producer_bell;
    struct bell consumer_bell;
    struct crossvm_snapshot_writer writer;
    struct crossvm_snapshot_reader reader;
    struct crossvm_wake_waiter waiter;
    struct crossvm_wake_publisher publisher;
    struct crossvm_pipe_tx tx;
    struct crossvm_pipe_rx rx;
    struct completion stream_done;
    bool stream_ok;
};

static bool regions_come_up(struct test *test)
{
    static const struct crossvm_chunk_decl produced[] = {
        {.name = "state",
         .kind = CROSSVM_KIND_SNAPSHOT,
         .n = 4,
         .len = 200,
         .writer = PRODUCER,
         .reader = CONSUMER},
        {.name = "queue",
         .kind = CROSSVM_KIND_SPSC_TX,
         .n = CAPACITY,
         .len = 8,
         .writer = PRODUCER,
         .reader = CONSUMER},
    };
    static const struct crossvm_chunk_decl consumed[] = {
        {.name = "state", .kind = CROSSVM_KIND_WAKE, .writer = CONSUMER, .reader = PRODUCER},
        {.name = "queue", .kind = CROSSVM_KIND_SPSC_RX, .writer = CONSUMER, .reader = PRODUCER},
    };
    const struct crossvm_region_plan a = {
        .chunks = produced, .n_chunks = 2, .spare_len = 4096, .owner = PRODUCER, .region_id = {1}};
    const struct crossvm_region_plan b = {
        .chunks = consumed, .n_chunks = 2, .owner = CONSUMER, .region_id = {2}};
    return side_make(&test->producer, &a) && side_make(&test->consumer, &b) &&
           CHECK(crossvm_region_attach(&test->consumer.peer, &test->producer.shown, CONSUMER) ==
                 CROSSVM_OK) &&
           CHECK(crossvm_region_attach(&test->producer.peer, &test->consumer.shown, PRODUCER) ==
                 CROSSVM_OK);
}

static bool find(struct crossvm_region *region, const char *name, uint32_t kind,
                 struct crossvm_chunk *chunk)
{
    return CHECK(crossvm_region_find(region, name, kind, 0, chunk) == CROSSVM_OK);
}

/* ---- the directory at run time --------------------------------------------------------------- */

static void chunks_come_and_go(struct test *test)
{
    static const struct crossvm_chunk_decl decl = {
        .name = "config", .kind = CROSSVM_KIND_BYTES, .len = 64, .writer = PRODUCER, .reader = 2};
    static const char text[] = "from a driver";
    struct crossvm_region_owner *owner = &test->producer.owner;
    struct crossvm_bytes_writer writer;
    struct crossvm_bytes_reader reader;
    struct crossvm_chunk chunk;
    char got[sizeof(text)] = "";
    owner->table = test->producer.table;
    CHECK(crossvm_region_owner_allocate(owner, &decl, &chunk) == CROSSVM_NO_SPACE);
    CHECK(crossvm_region_find(&test->consumer.peer, "config", CROSSVM_KIND_BYTES, 0, &chunk) ==
          CROSSVM_NOT_FOUND);
    if (!find(&test->consumer.peer, "state", CROSSVM_KIND_SNAPSHOT, &chunk)) {
        return;
    }
    CHECK(crossvm_region_owner_release(owner, &chunk) == CROSSVM_OK);
    CHECK(crossvm_snapshot_reader_open(&test->reader, &test->consumer.peer, &chunk) ==
          CROSSVM_STALE);
    CHECK(crossvm_region_owner_allocate(owner, &decl, &chunk) == CROSSVM_OK);
    CHECK(crossvm_bytes_writer_open(&writer, &owner->region, &chunk) == CROSSVM_OK);
    CHECK(crossvm_bytes_writer_write(&writer, 3, text, sizeof(text)) == CROSSVM_OK);
    if (find(&test->consumer.peer, "config", CROSSVM_KIND_BYTES, &chunk)) {
        CHECK(crossvm_bytes_reader_open(&reader, &test->consumer.peer, &chunk) == CROSSVM_OK);
        CHECK(crossvm_bytes_writer_open(&writer, &test->consumer.peer, &chunk) == CROSSVM_ROLE);
        CHECK(crossvm_bytes_reader_read(&reader, 3, got, sizeof(got)) == CROSSVM_OK);
        CHECK(strcmp(got, text) == 0);
        CHECK(crossvm_region_owner_release(owner, &chunk) == CROSSVM_OK);
        CHECK(crossvm_bytes_reader_read(&reader, 3, got, sizeof(got)) == CROSSVM_STALE);
    }
}

/* ---- snapshot, with wake words --------------------------------------------------------------- */

static bool snapshot_opens(struct test *test)
{
    struct crossvm_chunk chunk;
    struct crossvm_region *consumer = &test->consumer.owner.region;
    struct crossvm_region *producer = &test->producer.owner.region;
    return find(&test->consumer.peer, "state", CROSSVM_KIND_SNAPSHOT, &chunk) &&
           CHECK(crossvm_snapshot_writer_open(&test->writer, producer, &chunk) == CROSSVM_OK) &&
           CHECK(crossvm_snapshot_reader_open(&test->reader, &test->consumer.peer, &chunk) ==
                 CROSSVM_OK) &&
           find(&test->producer.peer, "state", CROSSVM_KIND_WAKE, &chunk) &&
           CHECK(crossvm_wake_waiter_open(&test->waiter, consumer, &chunk) == CROSSVM_OK) &&
           CHECK(crossvm_wake_publisher_open(&test->publisher, &test->producer.peer, &chunk, 0) ==
                 CROSSVM_OK);
}

static void publish(struct test *test, unsigned char byte, int due)
{
    struct crossvm_snapshot_writer *writer = &test->writer;
    unsigned char payload[200];
    uint64_t again_ns;
    memset(payload, byte, sizeof(payload));
    CHECK(crossvm_snapshot_writer_publish(writer, payload, sizeof(payload), 5, byte) == CROSSVM_OK);
    CHECK(crossvm_wake_due(&test->publisher, (uint32_t)crossvm_snapshot_writer_version(writer), 0,
                           &again_ns) == due);
}

static void snapshots_are_read(struct test *test)
{
    struct crossvm_snapshot_info info;
    unsigned char payload[200];
    if (!snapshot_opens(test)) {
        return;
    }
    CHECK(crossvm_snapshot_reader_read(&test->reader, payload, sizeof(payload), &info) ==
          CROSSVM_NOT_YET);
    publish(test, 1, 1); /* the first kick of a publisher rings */
    CHECK(crossvm_wake_never(&test->waiter) == CROSSVM_OK);
    publish(test, 2, 0);
    CHECK(crossvm_wake_at(&test->waiter, 2, 0) == CROSSVM_OK);
    publish(test, 3, 1);
    publish(test, 4, 0);
    CHECK(crossvm_snapshot_reader_read(&test->reader, payload, sizeof(payload), &info) == 1);
    CHECK(info.version == 4 && info.published_ns == 4 && info.len == 200);
    CHECK(memchr_inv(payload, 4, sizeof(payload)) == NULL);
    CHECK(crossvm_snapshot_reader_read(&test->reader, payload, sizeof(payload), &info) == 0);
    CHECK(crossvm_snapshot_is_stale(&info, 100, 50));
}

/* ---- queue and pipe -------------------------------------------------------------------------- */

static bool queue_comes_up(struct test *test)
{
    struct crossvm_chunk tx_chunk;
    struct crossvm_chunk rx_chunk;
    struct crossvm_spsc_tx *tx = &test->tx.queue;
    struct crossvm_spsc_rx *rx = &test->rx.queue;
    return find(&test->consumer.peer, "queue", CROSSVM_KIND_SPSC_TX, &tx_chunk) &&
           find(&test->producer.peer, "queue", CROSSVM_KIND_SPSC_RX, &rx_chunk) &&
           CHECK(crossvm_spsc_rx_open(rx, &test->consumer.owner.region, &rx_chunk, CAPACITY, 8,
                                      1) == CROSSVM_OK) &&
           CHECK(crossvm_spsc_tx_open(tx, &test->producer.owner.region, &tx_chunk, 0, 2) ==
                 CROSSVM_OK) &&
           CHECK(crossvm_spsc_tx_link(tx, &test->producer.peer, &rx_chunk) == CROSSVM_NOT_YET) &&
           CHECK(crossvm_spsc_rx_link(rx, &test->consumer.peer, &tx_chunk) == CROSSVM_OK) &&
           CHECK(crossvm_spsc_tx_link(tx, &test->producer.peer, &rx_chunk) == CROSSVM_OK);
}

static void elements_flow(struct test *test)
{
    uint64_t elems[CAPACITY];
    struct crossvm_spsc_tx_span room;
    struct crossvm_spsc_rx_span shown;
    for (uint64_t i = 0; i < CAPACITY; i++) {
        CHECK(crossvm_spsc_tx_push(&test->tx.queue, &i) == CROSSVM_OK);
    }
    CHECK(crossvm_spsc_tx_push(&test->tx.queue, elems) == CROSSVM_FULL);
    CHECK(crossvm_spsc_rx_pop_n(&test->rx.queue, elems, CAPACITY) == CAPACITY);
    for (uint64_t i = 0; i < CAPACITY; i++) {
        CHECK(elems[i] == i);
    }
    CHECK(crossvm_spsc_tx_reserve(&test->tx.queue, 3, &room) == CROSSVM_OK);
    memset(crossvm_spsc_tx_span_at(&room, 2), 0x5a, 8);
    CHECK(crossvm_spsc_tx_commit(&test->tx.queue, 3) == CROSSVM_OK);
    CHECK(crossvm_spsc_rx_peek(&test->rx.queue, 3, &shown) == CROSSVM_OK);
    CHECK(memchr_inv(crossvm_spsc_rx_span_at(&shown, 2), 0x5a, 8) == NULL);
    CHECK(crossvm_spsc_rx_release(&test->rx.queue, 3) == CROSSVM_OK);
    CHECK(crossvm_spsc_rx_pop(&test->rx.queue, elems) == CROSSVM_EMPTY);
}

/* The producing thread. It counts no checks of its own, because the other counts at the time. */
static int produce(void *context)
{
    struct test *test = context;
    bool ok = true;
    for (uint64_t i = 0; ok && i < N_STREAM; i++) {
        uint64_t again_ns;
        ok = crossvm_pipe_tx_wait(&test->tx, 1, bell_deadline(&test->producer_bell)) > 0 &&
             crossvm_spsc_tx_push(&test->tx.queue, &i) == CROSSVM_OK &&
             crossvm_pipe_tx_kick(&test->tx, &again_ns) == CROSSVM_OK;
    }
    test->stream_ok = ok;
    complete(&test->stream_done);
    return 0;
}

static void consume(struct test *test)
{
    uint64_t next = 0;
    bool ok = true;
    while (ok && next < N_STREAM) {
        uint64_t elem;
        int status = crossvm_spsc_rx_pop(&test->rx.queue, &elem);
        if (status == CROSSVM_EMPTY) {
            ok = crossvm_pipe_rx_wait(&test->rx, 1, 0, bell_deadline(&test->consumer_bell)) > 0;
            continue;
        }
        ok = status == CROSSVM_OK && elem == next && crossvm_pipe_rx_kick(&test->rx) == CROSSVM_OK;
        next++;
    }
    CHECK(ok && next == N_STREAM);
}

static void a_stream_flows_between_threads(struct test *test)
{
    const struct crossvm_pipe_bell from_producer = {&test->producer_bell.notify, CONSUMER, 0, 0};
    const struct crossvm_pipe_bell from_consumer = {&test->consumer_bell.notify, PRODUCER, 0, 0};
    struct task_struct *thread;
    bell_make(&test->producer_bell, &test->consumer_bell);
    bell_make(&test->consumer_bell, &test->producer_bell);
    test->tx.bell = from_producer;
    test->rx.bell = from_consumer;
    CHECK(crossvm_pipe_rx_wait(&test->rx, 1, 0, 0) == CROSSVM_TIMEOUT);
    init_completion(&test->stream_done);
    thread = kthread_run(produce, test, "crossvm-test");
    if (!CHECK(!IS_ERR(thread))) {
        return;
    }
    consume(test);
    /* The thread ends in any case: its waits have deadlines. */
    wait_for_completion(&test->stream_done);
    CHECK(test->stream_ok);
    pr_info("crossvm: rings: %llu to the consumer, %llu to the producer\n",
            test->producer_bell.notify.n_sent, test->consumer_bell.notify.n_sent);
}

/* ---- loading --------------------------------------------------------------------------------- */

static void run(struct test *test)
{
    if (!regions_come_up(test)) {
        return;
    }
    snapshots_are_read(test);
    if (queue_comes_up(test)) {
        elements_flow(test);
        a_stream_flows_between_threads(test);
    }
    chunks_come_and_go(test);
}

static int __init crossvm_test_init(void)
{
    struct test *test = vzalloc(sizeof(*test));
    if (test == NULL) {
        return -ENOMEM;
    }
    run(test);
    side_drop(&test->producer);
    side_drop(&test->consumer);
    vfree(test);
    if (n_failed != 0) {
        pr_err("crossvm: %u of %u checks failed\n", n_failed, n_checks);
        return -EIO;
    }
    pr_info("crossvm: passed: %u checks, %u functions\n", n_checks, crossvm_n_functions);
    return 0;
}

static void __exit crossvm_test_exit(void)
{
}

module_init(crossvm_test_init);
module_exit(crossvm_test_exit);
MODULE_DESCRIPTION("Uses every layer of crossvm below the backends");
MODULE_LICENSE("Apache-2.0");
