/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fetch/fetch.c - each control word of the other side is loaded at most once an operation.
 * The other side's memory is closed, every access to it is logged by single-stepping, and each word
 * of it, payload too, is counted. fetch.sh builds this with both compilers at three levels.
 *
 * A word may be loaded more than once only if the table says so beside the operation: such a load
 * is compared with the one before it, or is a second look of its own behind a fence, and is never
 * the one that is used in place of one that was judged. (Where an access begins is known, not how
 * wide it is.)
 *
 * What a side reads of its own memory when it comes back is counted in the same way.
 */
#include "../support/access_log.h"
#include "../support/broadcast.h"
#include "../support/exchange.h"
#include "../support/mpsc.h"
#include "../support/peer.h"
#include "../support/pool.h"
#include "../support/queue.h"
#include "../support/snapshot.h"

#include <crossvm/crossvm.h>
#include <crossvm/service/pipe.h>

#if ACCESS_LOG

enum {
    CAPACITY = 8,
    LEN = 40,
    N = 4,
    WORDS = 65536, /* of the longest region here */
    ALLOWED = 16
};

/* ---- counting -------------------------------------------------------------------------------- */

/* Words that may be loaded more than once in the next operation. */
static struct {
    uint64_t off;
    uint64_t len;
    unsigned most;
} allowed[ALLOWED];
static unsigned n_allowed;
static unsigned n_operations;

/* off: from the region's base. why: what the loads behind the first one are for. */
static void allow_range(uint64_t off, uint64_t len, unsigned most, const char *why)
{
    REQUIRE(n_allowed < ALLOWED && why[0] != '\0');
    allowed[n_allowed].off = off;
    allowed[n_allowed].len = len;
    allowed[n_allowed].most = most;
    n_allowed++;
}

static void allow(uint64_t off, unsigned most, const char *why)
{
    allow_range(off, 4, most, why);
}

static unsigned most_of(size_t word)
{
    for (unsigned i = 0; i < n_allowed; i++) {
        if (word * 4 - allowed[i].off < allowed[i].len) {
            return allowed[i].most;
        }
    }
    return 1;
}

static void judge(const char *name, int status, int want)
{
    static unsigned counts[WORDS];
    unsigned n_words = 0;
    unsigned n = access_log.n;
    REQUIRE(n <= ACCESS_LOG_MAX && access_log.len / 4 <= WORDS);
    memset(counts, 0, sizeof(counts));
    for (unsigned i = 0; i < n; i++) {
        size_t word = access_log.off[i] / 4;
        /* Copied byte by byte the four of a word are one load of it. */
        bool goes_on = access_log.off[i] % 4 != 0 && i != 0 && !access_log.write[i - 1] &&
                       access_log.off[i - 1] + 1 == access_log.off[i];
        if (!access_log.write[i] && !goes_on) {
            n_words += counts[word] == 0;
            counts[word]++;
        }
    }
    for (size_t word = 0; word < access_log.len / 4; word++) {
        if (counts[word] > most_of(word)) {
            printf("%s: loads the word at %zu %u times, at most %u\n", name, word * 4, counts[word],
                   most_of(word));
            CHECK(counts[word] <= most_of(word));
        }
    }
    for (unsigned i = 0; i < n_allowed; i++) {
        if (allowed[i].len == 4 && counts[allowed[i].off / 4] == 1) {
            printf("%s: the word at %llu need not be allowed more than one load\n", name,
                   (unsigned long long)allowed[i].off);
            CHECK(counts[allowed[i].off / 4] != 1);
        }
    }
    if (status != want) {
        printf("%s: answered %d, not %d\n", name, status, want);
        REQUIRE(status == want);
    }
    CHECK(n_words != 0); /* else it was not its memory that was looked at */
    printf("  %-40s %3u words\n", name, n_words);
    n_allowed = 0;
    n_operations++;
}

static size_t pages_of(const struct crossvm_region *region)
{
    return queue_pages_len(region->length);
}

/* One operation, and the memory that it is to be watched in. */
#define AUDIT(name, region, expression, want)               \
    do {                                                    \
        access_log_begin((region)->base, pages_of(region)); \
        volatile int audit_status = (int)(expression);      \
        access_log_end();                                   \
        judge(name, audit_status, (want));                  \
    } while (0)

static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
static unsigned char elems[64 * 512];

/* ---- a queue --------------------------------------------------------------------------------- */

static struct queue queue;

static uint64_t tx_off(size_t off)
{
    return queue.tx_chunk.off + off;
}

static uint64_t rx_off(size_t off)
{
    return queue.rx_chunk.off + off;
}

static void queue_at_once(void)
{
    allow(rx_off(4), 3, "epoch: compared at entry and behind the request");
    allow(rx_off(128), 2, "request: compared behind its words");
    AUDIT("crossvm_spsc_tx_link", &queue.b.reader, queue_tx_link(&queue), CROSSVM_NOT_YET);
    allow(tx_off(4), 3, "epoch: compared at entry, behind the grant, and behind the tail");
    allow(tx_off(128), 2, "grant: compared behind its words");
    allow(tx_off(144), 2, "answers: compared behind the grant's words");
    AUDIT("crossvm_spsc_rx_link", &queue.a.reader, queue_rx_link(&queue), CROSSVM_OK);
    allow(rx_off(4), 3, "epoch: compared at entry, behind the request, and behind the head");
    allow(rx_off(128), 2, "request: compared behind its words");
    AUDIT("crossvm_spsc_tx_link", &queue.b.reader, queue_tx_link(&queue), CROSSVM_OK);
}

static void the_producer_of_a_queue(void)
{
    struct crossvm_spsc_tx_span span;
    struct crossvm_spsc_peer peer;
    uint64_t again_ns;
    const struct crossvm_region *b = &queue.b.reader;
    AUDIT("crossvm_spsc_tx_push", b, crossvm_spsc_tx_push(&queue.tx, elems), CROSSVM_OK);
    AUDIT("crossvm_spsc_tx_free", b, crossvm_spsc_tx_free(&queue.tx), CAPACITY - 1);
    AUDIT("crossvm_spsc_tx_push_n", b, crossvm_spsc_tx_push_n(&queue.tx, elems, CAPACITY),
          CAPACITY - 1);
    AUDIT("crossvm_spsc_tx_push", b, crossvm_spsc_tx_push(&queue.tx, elems), CROSSVM_FULL);
    AUDIT("crossvm_spsc_tx_reserve", b, crossvm_spsc_tx_reserve(&queue.tx, 1, &span), CROSSVM_FULL);
    AUDIT("crossvm_spsc_tx_kick", b, crossvm_spsc_tx_kick(&queue.tx, 1, &again_ns), 1);
    AUDIT("crossvm_spsc_tx_nudge", b, crossvm_spsc_tx_nudge(&queue.tx), 0);
    allow(rx_off(0), 2, "head: looked at again behind the fence; each look is judged");
    allow(rx_off(4), 2, "epoch: compared behind each look");
    AUDIT("crossvm_spsc_tx_arm", b, crossvm_spsc_tx_arm(&queue.tx, 1), 0);
    allow(rx_off(180), 2, "incarnation: compared behind the base");
    AUDIT("crossvm_spsc_tx_peer", b, crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_OK);
}

static void the_consumer_of_a_queue(void)
{
    struct crossvm_spsc_rx_span span;
    struct crossvm_spsc_peer peer;
    const struct crossvm_region *a = &queue.a.reader;
    AUDIT("crossvm_spsc_rx_pop", a, crossvm_spsc_rx_pop(&queue.rx, elems), CROSSVM_OK);
    AUDIT("crossvm_spsc_rx_fill", a, crossvm_spsc_rx_fill(&queue.rx), CAPACITY - 1);
    AUDIT("crossvm_spsc_rx_peek", a, crossvm_spsc_rx_peek(&queue.rx, CAPACITY, &span),
          CROSSVM_EMPTY);
    AUDIT("crossvm_spsc_rx_pop_n", a, crossvm_spsc_rx_pop_n(&queue.rx, elems, CAPACITY),
          CAPACITY - 1);
    AUDIT("crossvm_spsc_rx_kick", a, crossvm_spsc_rx_kick(&queue.rx), 1);
    AUDIT("crossvm_spsc_rx_nudge", a, crossvm_spsc_rx_nudge(&queue.rx), 1);
    allow(tx_off(0), 2, "tail: looked at again behind the fence; each look is judged");
    allow(tx_off(4), 2, "epoch: compared behind each look");
    AUDIT("crossvm_spsc_rx_arm", a, crossvm_spsc_rx_arm(&queue.rx, 1, 5), 0);
    allow(tx_off(180), 2, "incarnation: compared behind the base");
    AUDIT("crossvm_spsc_rx_peer", a, crossvm_spsc_rx_peer(&queue.rx, &peer), CROSSVM_OK);
}

static void a_queue_that_comes_back(void)
{
    allow(tx_off(4), 3, "epoch, the owner's: compared at entry, and before each store");
    AUDIT("crossvm_spsc_tx_open", &queue.a.owner.region, queue_tx_open(&queue, LEN), CROSSVM_OK);
    allow(rx_off(4), 3, "epoch, the owner's: compared at entry, and before each store");
    AUDIT("crossvm_spsc_rx_open", &queue.b.owner.region, queue_rx_open(&queue, CAPACITY, LEN),
          CROSSVM_OK);
}

static void a_queue(void)
{
    queue_make(&queue, CAPACITY, LEN, usual);
    REQUIRE(queue_rx_open(&queue, CAPACITY, LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, LEN) == CROSSVM_OK);
    queue_at_once();
    the_producer_of_a_queue();
    the_consumer_of_a_queue();
    a_queue_that_comes_back();
    queue_drop(&queue);
}

/* ---- a fan-in and a pipe --------------------------------------------------------------------- */

static void a_fan_in(void)
{
    struct crossvm_fanin fanin;
    struct crossvm_fanin_input input;
    struct crossvm_spsc_rx_span span;
    uint32_t from;
    queue_up(&queue, CAPACITY, LEN, 0, usual);
    const struct crossvm_region *a = &queue.a.reader;
    REQUIRE(crossvm_fanin_init(&fanin, &input, 1, LEN) == CROSSVM_OK);
    REQUIRE(crossvm_fanin_add(&fanin, &queue.rx, 1, &from) == CROSSVM_OK);
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE(crossvm_spsc_tx_push(&queue.tx, elems) == CROSSVM_OK);
        allow(tx_off(0), 2, "tail: the first load only says whether to look");
        if (i == 0) {
            AUDIT("crossvm_fanin_pop", a, crossvm_fanin_pop(&fanin, elems, &from), CROSSVM_OK);
        } else if (i == 1) {
            AUDIT("crossvm_fanin_pop_n", a, crossvm_fanin_pop_n(&fanin, elems, 4, &from), 1);
        } else {
            AUDIT("crossvm_fanin_peek", a, crossvm_fanin_peek(&fanin, 4, &span, &from), 1);
        }
    }
    queue_drop(&queue);
}

static uint64_t bell_now(void *context)
{
    (void)context;
    return 7;
}

static int bell_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    (void)peer;
    (void)vector;
    return CROSSVM_OK;
}

static void a_pipe(void)
{
    static const struct crossvm_notify_ops ops = {bell_signal, NULL, NULL, bell_now, NULL};
    struct crossvm_notify notify = {&ops, NULL, 0, 0};
    struct crossvm_pipe_tx tx;
    struct crossvm_pipe_rx rx;
    uint64_t again_ns;
    queue_up(&queue, CAPACITY, LEN, 0, usual);
    memset(&tx, 0, sizeof(tx));
    memset(&rx, 0, sizeof(rx));
    tx.queue = queue.tx;
    rx.queue = queue.rx;
    tx.bell.notify = &notify;
    rx.bell.notify = &notify;
    AUDIT("crossvm_pipe_tx_kick", &queue.b.reader, crossvm_pipe_tx_kick(&tx, &again_ns),
          CROSSVM_OK);
    AUDIT("crossvm_pipe_rx_kick", &queue.a.reader, crossvm_pipe_rx_kick(&rx), CROSSVM_OK);
    queue_drop(&queue);
}

/* ---- an exchange ----------------------------------------------------------------------------- */

static struct exchange exchange;

static void exchange_opened(uint32_t way)
{
    exchange_make(&exchange, CAPACITY, LEN, way);
    REQUIRE(exchange_rx_open(&exchange, CAPACITY, LEN) == CROSSVM_OK);
    REQUIRE(exchange_tx_open(&exchange) == CROSSVM_OK);
}

static void allow_tx_link(void)
{
    allow(exchange.rx_chunk.off + 4, 3, "epoch: compared at entry, behind request and head");
    allow(exchange.rx_chunk.off + 128, 2, "request: compared behind its words");
}

static void exchange_links(const struct crossvm_region *to_tx)
{
    uint64_t off = exchange.tx_chunk.off;
    allow_tx_link();
    AUDIT("crossvm_exchange_tx_link", &exchange.b.reader, exchange_tx_link(&exchange),
          CROSSVM_NOT_YET);
    allow(off + 4, 3, "epoch: compared at entry, behind grant and tail");
    allow(off + 128, 2, "grant: compared behind its words");
    allow(off + 144, 2, "answers: compared behind the grant's words");
    AUDIT("crossvm_exchange_rx_link", to_tx, exchange_rx_link(&exchange), CROSSVM_OK);
    allow_tx_link();
    AUDIT("crossvm_exchange_tx_link", &exchange.b.reader, exchange_tx_link(&exchange), CROSSVM_OK);
}

static void an_exchange_the_way(uint32_t way)
{
    struct crossvm_exchange_tx_span sent;
    struct crossvm_exchange_rx_span shown;
    struct crossvm_spsc_tx_span span;
    uint64_t again_ns;
    exchange_opened(way);
    const struct crossvm_region *b = &exchange.b.reader;
    const struct crossvm_region *a = exchange.shared ? &exchange.client_a : &exchange.a.reader;
    uint64_t head = exchange.rx_chunk.off;
    exchange_links(a);
    for (unsigned i = 0; i < CAPACITY; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, elems) == CROSSVM_OK);
    }
    AUDIT("crossvm_exchange_tx_push", b, crossvm_exchange_tx_push(&exchange.tx, elems),
          CROSSVM_FULL);
    AUDIT("crossvm_exchange_tx_reserve", b, crossvm_exchange_tx_reserve(&exchange.tx, 1, &span),
          CROSSVM_FULL);
    AUDIT("crossvm_exchange_tx_answered", b, crossvm_exchange_tx_answered(&exchange.tx), 0);
    AUDIT("crossvm_exchange_tx_peek", b, crossvm_exchange_tx_peek(&exchange.tx, 1, &sent),
          CROSSVM_EMPTY);
    allow(head, 2, "head: looked at again behind the fence; each look is judged");
    allow(head + 4, 2, "epoch: compared behind each look");
    AUDIT("crossvm_exchange_tx_arm", b, crossvm_exchange_tx_arm(&exchange.tx, 1, 0), 0);
    AUDIT("crossvm_exchange_rx_get", a, crossvm_exchange_rx_get(&exchange.rx, elems), CROSSVM_OK);
    REQUIRE(crossvm_exchange_rx_answer(&exchange.rx, elems) == CROSSVM_OK);
    AUDIT("crossvm_exchange_rx_peek", a, crossvm_exchange_rx_peek(&exchange.rx, CAPACITY, &shown),
          CROSSVM_EMPTY);
    AUDIT("crossvm_exchange_rx_kick", a, crossvm_exchange_rx_kick(&exchange.rx, 1, &again_ns), 1);
    AUDIT("crossvm_exchange_tx_take", b, crossvm_exchange_tx_take(&exchange.tx, elems), CROSSVM_OK);
    for (unsigned i = 1; i < CAPACITY; i++) {
        REQUIRE(crossvm_exchange_rx_answer(&exchange.rx, elems) == CROSSVM_OK);
    }
    AUDIT("crossvm_exchange_rx_answer", a, crossvm_exchange_rx_answer(&exchange.rx, elems),
          CROSSVM_EMPTY);
    allow(exchange.tx_chunk.off + 4, 3, "epoch, the owner's: compared at entry, before each store");
    AUDIT("crossvm_exchange_tx_open", &exchange.a.owner.region, exchange_tx_open(&exchange),
          CROSSVM_OK);
    allow(head + 4, 3, "epoch, the owner's: compared at entry, before each store");
    AUDIT("crossvm_exchange_rx_open", &exchange.b.owner.region,
          exchange_rx_open(&exchange, CAPACITY, LEN), CROSSVM_OK);
    exchange_drop(&exchange);
}

static void an_exchange(void)
{
    an_exchange_the_way(0);
    an_exchange_the_way(EXCHANGE_SHARED);
}

/* ---- a ring with several writers ------------------------------------------------------------- */

static struct mpsc mpsc;

static void the_consumer_of_a_ring(void)
{
    const struct crossvm_region *a = &mpsc.a.reader;
    const void *elem;
    uint64_t first = mpsc.tx_chunk.off + CROSSVM_LINE;
    AUDIT("crossvm_mpsc_rx_pop", a, crossvm_mpsc_rx_pop(&mpsc.rx, elems), CROSSVM_OK);
    AUDIT("crossvm_mpsc_rx_peek", a, crossvm_mpsc_rx_peek(&mpsc.rx, &elem), CROSSVM_OK);
    AUDIT("crossvm_mpsc_rx_fill", a, crossvm_mpsc_rx_fill(&mpsc.rx), 2);
    AUDIT("crossvm_mpsc_rx_pop_n", a, crossvm_mpsc_rx_pop_n(&mpsc.rx, elems, CAPACITY), 2);
    AUDIT("crossvm_mpsc_rx_skip", a, crossvm_mpsc_rx_skip(&mpsc.rx, 2), CROSSVM_INVALID);
    uint64_t stride = mpsc.rx.ring.stride;
    allow(first + 3 * stride, 2,
          "the head's slot: looked at again behind the fence; each is judged");
    allow(mpsc.tx_chunk.off + 4, 2, "epoch: compared behind each look");
    AUDIT("crossvm_mpsc_rx_arm", a, crossvm_mpsc_rx_arm(&mpsc.rx, 1, 0), 0);
}

static void the_writers_of_a_ring(void)
{
    const struct crossvm_region *b = &mpsc.b.reader;
    uint64_t head = mpsc.rx_chunk.off;
    void *place;
    uint64_t again_ns;
    allow(head, 2, "head: compared in front of the claim");
    AUDIT("crossvm_mpsc_tx_push", b, crossvm_mpsc_tx_push(&mpsc.tx[1], elems), CROSSVM_OK);
    allow(head, 2, "head: compared in front of the claim");
    AUDIT("crossvm_mpsc_tx_reserve", b, crossvm_mpsc_tx_reserve(&mpsc.tx[1], &place), CROSSVM_OK);
    REQUIRE(crossvm_mpsc_tx_commit(&mpsc.tx[1]) == CROSSVM_OK);
    AUDIT("crossvm_mpsc_tx_kick", b, crossvm_mpsc_tx_kick(&mpsc.tx[1], 1, &again_ns), 1);
}

static void a_ring(void)
{
    mpsc_up(&mpsc, CAPACITY, LEN, 0, usual);
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE(crossvm_mpsc_tx_push(&mpsc.tx[1], elems) == CROSSVM_OK);
    }
    the_consumer_of_a_ring();
    the_writers_of_a_ring();
    allow(mpsc.rx_chunk.off + 4, 2, "epoch: compared at entry and behind the name");
    REQUIRE(mpsc_tx_open(&mpsc, 1) == CROSSVM_OK);
    AUDIT("crossvm_mpsc_tx_link", &mpsc.b.reader, mpsc_tx_link(&mpsc, 1), CROSSVM_OK);
    allow(mpsc.rx_chunk.off + 4, 2, "epoch, the owner's: compared at entry, before the store");
    AUDIT("crossvm_mpsc_rx_open", &mpsc.b.owner.region, mpsc_rx_open(&mpsc), CROSSVM_OK);
    AUDIT("crossvm_mpsc_rx_link", &mpsc.a.reader, mpsc_rx_link(&mpsc), CROSSVM_OK);
    mpsc_drop(&mpsc);
}

/* ---- slots and what stands on them ----------------------------------------------------------- */

/* The words that every read of a slot compares again behind the payload. */
static void allow_slot(uint64_t chunk_off, uint64_t slot_off, unsigned n_epochs)
{
    allow(chunk_off + 4, n_epochs, "epoch: compared in front of and behind the payload");
    allow(slot_off, 2, "mark: compared behind the payload");
    allow(slot_off + 4, 2, "hi: compared behind the payload");
}

static void the_slots(void)
{
    static struct test_snapshot snap;
    static struct crossvm_slot_ticket ticket;
    test_snapshot_make(&snap, N, LEN);
    REQUIRE(test_publish(&snap.writer, LEN) == CROSSVM_OK);
    const struct crossvm_region *region = &snap.region.reader;
    const struct crossvm_slots *slots = &snap.reader.slots;
    AUDIT("crossvm_slots_reader_open", region, crossvm_slots_reader_open(slots, &ticket),
          CROSSVM_OK);
    AUDIT("crossvm_slots_reader_close", region, crossvm_slots_reader_close(slots, &ticket),
          CROSSVM_OK);
    AUDIT("crossvm_slots_reader_open_version", region,
          crossvm_slots_reader_open_version(slots, 1, &ticket), CROSSVM_OK);
    AUDIT("crossvm_slots_reader_newer", region, crossvm_slots_reader_newer(slots, 0), 1);
    struct crossvm_fault fault;
    uint64_t version;
    AUDIT("crossvm_slots_writer_resume", &snap.region.owner.region,
          crossvm_slots_writer_resume(&snap.writer.slots, snap.region.owner.region.base, &version,
                                      &fault),
          CROSSVM_OK);
    test_snapshot_drop(&snap);
}

static void a_snapshot(void)
{
    static struct test_snapshot snap;
    struct crossvm_snapshot_info info;
    static struct crossvm_snapshot_view view;
    const struct crossvm_snapshot_part parts[2] = {{0, 8, elems}, {16, 8, elems + 8}};
    test_snapshot_make(&snap, N, LEN);
    REQUIRE(test_publish(&snap.writer, LEN) == CROSSVM_OK);
    const struct crossvm_region *region = &snap.region.reader;
    uint64_t chunk = snap.chunk.off;
    uint64_t slot = test_snapshot_slot_off(&snap, 1);
    allow_slot(chunk, slot, 2);
    AUDIT("crossvm_snapshot_reader_read", region,
          crossvm_snapshot_reader_read(&snap.reader, elems, LEN, &info), 1);
    AUDIT("crossvm_snapshot_reader_read", region,
          crossvm_snapshot_reader_read(&snap.reader, elems, LEN, &info), 0);
    allow_slot(chunk, slot, 2);
    AUDIT("crossvm_snapshot_reader_read_parts", region,
          crossvm_snapshot_reader_read_parts(&snap.reader, parts, 2, &info), 0);
    allow_slot(chunk, slot, 2);
    AUDIT("crossvm_snapshot_reader_read_version", region,
          crossvm_snapshot_reader_read_version(&snap.reader, 1, elems, LEN, &info), CROSSVM_OK);
    AUDIT("crossvm_snapshot_reader_peek", region, crossvm_snapshot_reader_peek(&snap.reader, &view),
          CROSSVM_OK);
    AUDIT("crossvm_snapshot_reader_get", region,
          crossvm_snapshot_reader_get(&snap.reader, &view, 8, elems, 16), CROSSVM_OK);
    AUDIT("crossvm_snapshot_reader_done", region, crossvm_snapshot_reader_done(&snap.reader, &view),
          0);
    AUDIT("crossvm_snapshot_reader_newer", region, crossvm_snapshot_reader_newer(&snap.reader), 0);
    AUDIT("crossvm_snapshot_reader_open", region,
          crossvm_snapshot_reader_open(&snap.reader, region, &snap.chunk), CROSSVM_OK);
    AUDIT("crossvm_snapshot_writer_open", &snap.region.owner.region,
          crossvm_snapshot_writer_open(&snap.writer, &snap.region.owner.region, &snap.chunk),
          CROSSVM_OK);
    test_snapshot_drop(&snap);
}

static void a_broadcast(void)
{
    static struct test_broadcast cast;
    struct crossvm_broadcast_info info;
    struct crossvm_broadcast_info infos[N];
    test_broadcast_make(&cast, N, LEN);
    const struct crossvm_region *region = &cast.region.reader;
    uint64_t chunk = cast.chunk.off;
    REQUIRE(test_send(&cast.writer, LEN) == CROSSVM_OK);
    AUDIT("crossvm_broadcast_reader_newer", region, crossvm_broadcast_reader_newer(&cast.reader),
          1);
    allow_slot(chunk, test_broadcast_slot_off(&cast, 1), 2);
    AUDIT("crossvm_broadcast_reader_read", region,
          crossvm_broadcast_reader_read(&cast.reader, elems, LEN, &info), CROSSVM_OK);
    REQUIRE(test_send(&cast.writer, LEN) == CROSSVM_OK);
    allow_slot(chunk, test_broadcast_slot_off(&cast, 2), 2);
    AUDIT("crossvm_broadcast_reader_read_n", region,
          crossvm_broadcast_reader_read_n(&cast.reader, elems, LEN, 1, infos), 1);
    allow(chunk + 4, 2, "epoch: compared at entry and behind the index");
    AUDIT(
        "crossvm_broadcast_reader_open", region,
        crossvm_broadcast_reader_open(&cast.reader, region, &cast.chunk, CROSSVM_BROADCAST_OLDEST),
        CROSSVM_OK);
    AUDIT("crossvm_broadcast_writer_open", &cast.region.owner.region,
          crossvm_broadcast_writer_open(&cast.writer, &cast.region.owner.region, &cast.chunk),
          CROSSVM_OK);
    test_broadcast_drop(&cast);
}

/* ---- bytes and wake words -------------------------------------------------------------------- */

static void bytes_and_wake_words(void)
{
    static struct test_region region;
    const struct crossvm_chunk_decl decls[] = {
        {"bytes", CROSSVM_KIND_BYTES, 0, LEN, PARTY_A, PARTY_B, 0, 0},
        {"wake", CROSSVM_KIND_WAKE, 0, 0, PARTY_A, PARTY_B, 0, 0}};
    const struct crossvm_region_plan plan = TEST_PLAN(decls, 2, 0, 0, 0, PARTY_A);
    static struct crossvm_bytes_reader reader;
    static struct crossvm_wake_publisher publisher;
    struct crossvm_wake_waiter waiter;
    uint64_t again_ns;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_chunk bytes = test_find(&region.reader, "bytes", CROSSVM_KIND_BYTES);
    struct crossvm_chunk wake = test_find(&region.reader, "wake", CROSSVM_KIND_WAKE);
    const struct crossvm_region *peer = &region.reader;
    AUDIT("crossvm_bytes_reader_open", peer, crossvm_bytes_reader_open(&reader, peer, &bytes),
          CROSSVM_OK);
    AUDIT("crossvm_bytes_reader_read", peer, crossvm_bytes_reader_read(&reader, 0, elems, LEN),
          CROSSVM_OK);
    AUDIT("crossvm_wake_publisher_open", peer,
          crossvm_wake_publisher_open(&publisher, peer, &wake, 0), CROSSVM_OK);
    REQUIRE(crossvm_wake_waiter_open(&waiter, &region.owner.region, &wake) == CROSSVM_OK);
    REQUIRE(crossvm_wake_at(&waiter, 5, 1000) == CROSSVM_OK);
    publisher.fresh = false;
    AUDIT("crossvm_wake_due", peer, crossvm_wake_due(&publisher, 2, 1, &again_ns), 0);
    AUDIT("crossvm_wake_nudge", peer, crossvm_wake_nudge(&publisher), 1);
    AUDIT("crossvm_wake_peer_waits", peer, crossvm_wake_peer_waits(&publisher), 1);
    test_region_drop(&region);
}

/* ---- a pool ---------------------------------------------------------------------------------- */

static void the_reader_of_a_pool(struct test_pool *pool, const struct crossvm_pool_id *id)
{
    struct test_pool_side *side = &pool->side[0];
    static struct crossvm_pool_view view;
    const struct crossvm_region *region = &side->region;
    uint64_t block = test_pool_off(pool, 0);
    AUDIT("crossvm_pool_reader_find", region, crossvm_pool_reader_find(&side->reader, id, &view),
          CROSSVM_OK);
    AUDIT("crossvm_pool_reader_check", region, crossvm_pool_reader_check(&side->reader, &view),
          CROSSVM_OK);
    allow(pool->chunk.off + 4, 2, "epoch: compared in front of and behind the payload");
    allow(block, 2, "generation: compared behind the payload");
    AUDIT("crossvm_pool_reader_copy", region,
          crossvm_pool_reader_copy(&side->reader, id, elems, LEN, &view), CROSSVM_OK);
    AUDIT("crossvm_pool_reader_give_back", region,
          crossvm_pool_reader_give_back(&side->reader, &view), CROSSVM_OK);
    AUDIT("crossvm_pool_reader_give_back_all", region,
          crossvm_pool_reader_give_back_all(&side->reader), CROSSVM_OK);
    AUDIT("crossvm_pool_reader_open", region,
          crossvm_pool_reader_open(&side->reader, region, &pool->chunk), CROSSVM_OK);
    AUDIT("crossvm_pool_reader_bind", &side->own.owner.region, test_pool_try_bind(pool, 0),
          CROSSVM_OK);
}

static void the_owner_of_a_pool(struct test_pool *pool)
{
    static struct test_pool_wake wake;
    struct test_pool_side *side = &pool->side[0];
    const struct crossvm_region *returns = &side->own.reader;
    struct crossvm_pool_id id;
    uint32_t block;
    test_pool_wake_make(&wake);
    allow(side->returns.off + 4, 2, "epoch: compared at entry, and behind each word");
    AUDIT("crossvm_pool_owner_collect", returns, crossvm_pool_owner_collect(&pool->owner), 1);
    AUDIT("crossvm_pool_owner_arm", returns,
          crossvm_pool_owner_arm(&pool->owner, 0, &wake.waiter, 1, 0), 0);
    REQUIRE(crossvm_pool_owner_allocate(&pool->owner, &block) == CROSSVM_OK);
    AUDIT("crossvm_pool_owner_lend", returns,
          crossvm_pool_owner_lend(&pool->owner, block, LEN, 1, &id), CROSSVM_OK);
    allow(side->returns.off + 4, 2, "epoch: compared at entry and behind the words");
    AUDIT("crossvm_pool_owner_link", returns, test_pool_try_link(pool, 0), CROSSVM_OK);
    AUDIT("crossvm_pool_owner_open", &pool->region.owner.region, test_pool_try_owner(pool),
          CROSSVM_OK);
    test_region_drop(&wake.region);
}

static void a_pool(void)
{
    static struct test_pool pool;
    struct crossvm_pool_id id;
    uint32_t block;
    test_pool_granule = 4096;
    test_pool_make(&pool, N, 256, 1);
    REQUIRE(crossvm_pool_owner_allocate(&pool.owner, &block) == CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_lend(&pool.owner, block, LEN, 1, &id) == CROSSVM_OK);
    /* The id lies where the owner can change it, as in a queue's element. */
    unsigned char *place = (unsigned char *)crossvm_i_pool_block(&pool.owner, 2) + 64;
    memcpy(place, &id, sizeof(id));
    const unsigned char *seen =
        pool.side[0].region.base + (place - (unsigned char *)pool.region.writable.base);
    the_reader_of_a_pool(&pool, (const struct crossvm_pool_id *)(const void *)seen);
    the_owner_of_a_pool(&pool);
    test_pool_drop(&pool);
}

/* ---- a peer ---------------------------------------------------------------------------------- */

/* Side 0 is looked at; the other one answers in between. */
static void a_peer(void)
{
    static struct peer_pair pair;
    peer_make(&pair);
    struct crossvm_peer *self = &pair.sides[0].peer;
    const struct crossvm_region *other = &pair.regions[1].reader;
    struct crossvm_chunk own = test_find(&pair.regions[0].reader, "life", CROSSVM_KIND_PEER);
    struct crossvm_chunk chunk = test_find(&pair.regions[1].reader, "life", CROSSVM_KIND_PEER);
    AUDIT("crossvm_peer_open", &pair.regions[0].owner.region,
          crossvm_peer_open(self, &pair.regions[0].owner.region, &own, PEER_SILENCE), CROSSVM_OK);
    AUDIT("crossvm_peer_link", other, crossvm_peer_link(self, other, &chunk, 5), CROSSVM_OK);
    peer_begin(&pair, 1);
    static const int states[] = {CROSSVM_PEER_ANSWERING, CROSSVM_PEER_UP, CROSSVM_PEER_UP};
    for (unsigned i = 0; i < 3; i++) {
        allow(chunk.off + 8, 2, "incarnation: compared behind the other words");
        AUDIT("crossvm_peer_step", other, peer_step(&pair, 0), states[i]);
        (void)peer_step(&pair, 1);
        (void)peer_step(&pair, 1);
    }
    CHECK(self->heard);
    REQUIRE(crossvm_peer_confirm(self, CROSSVM_PEER_CAUSE_BACKEND) == CROSSVM_PEER_LOST);
    AUDIT("crossvm_peer_reestablish", other, crossvm_peer_reestablish(self), CROSSVM_OK);
    peer_drop(&pair);
}

/* ---- a region -------------------------------------------------------------------------------- */

/* What the two directory slots' words, and the live line's, may be loaded for. */
static void allow_directory(const struct crossvm_region *region, unsigned n_epochs)
{
    uint64_t stride = crossvm_i_slot_stride((uint64_t)region->capacity * CROSSVM_ENTRY_LEN);
    allow(CROSSVM_LIVE_OFF + 4, n_epochs, "epoch: compared around whatever is copied");
    for (unsigned slot = 0; slot < CROSSVM_DIR_SLOTS; slot++) {
        allow(CROSSVM_DIR_OFF + slot * stride, 2, "mark: compared behind the entries");
        allow(CROSSVM_DIR_OFF + slot * stride + 4, 2, "hi: compared behind the entries");
    }
}

static void a_region(void)
{
    static struct test_region region;
    const struct crossvm_chunk_decl decls[] = {
        {"a", CROSSVM_KIND_BYTES, 0, LEN, PARTY_A, PARTY_B, 0, 0},
        {"b", CROSSVM_KIND_BYTES, 0, LEN, PARTY_A, PARTY_B, 0, 0}};
    const struct crossvm_region_plan plan = TEST_PLAN(decls, 2, 0, 128, 0, PARTY_A);
    struct crossvm_chunk chunks[2];
    static struct crossvm_region_owner owner;
    uint32_t n;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_region *reader = &region.reader;
    struct crossvm_region attached = *reader;
    allow_directory(reader, 4);
    AUDIT("crossvm_region_attach", reader,
          crossvm_region_attach(&attached, &region.read_only, PARTY_B), CROSSVM_OK);
    allow_directory(reader, 2);
    AUDIT("crossvm_region_list", reader, crossvm_region_list(reader, chunks, 2, &n), CROSSVM_OK);
    allow_directory(reader, 2);
    AUDIT("crossvm_region_find", reader,
          crossvm_region_find(reader, "a", CROSSVM_KIND_BYTES, 0, chunks), CROSSVM_OK);
    allow_directory(reader, 2);
    AUDIT("crossvm_region_find_among", reader,
          crossvm_region_find_among(reader, 1, "b", CROSSVM_KIND_BYTES, 0, &n, chunks), CROSSVM_OK);
    /* An owner that comes back attaches, then takes the directory over, then its version: three
     * passes, each of which judges what it has loaded itself. */
    owner.table = region.table;
    allow_range(CROSSVM_LIVE_OFF, CROSSVM_LINE, 6, "latest and epoch: once or twice a pass");
    allow_range(CROSSVM_DIR_OFF, region.table[0].off - CROSSVM_DIR_OFF, 5, "once or twice a pass");
    AUDIT("crossvm_region_owner_adopt", &region.owner.region,
          crossvm_region_owner_adopt(&owner, &region.writable, &plan, region.table, TEST_TABLE_LEN),
          CROSSVM_OK);
    AUDIT(
        "crossvm_region_owner_format", &region.owner.region,
        crossvm_region_owner_format(&owner, &region.writable, &plan, region.table, TEST_TABLE_LEN),
        CROSSVM_OK);
    test_region_drop(&region);
}

int main(void)
{
    CASE(a_queue);
    CASE(a_fan_in);
    CASE(a_pipe);
    CASE(an_exchange);
    CASE(a_ring);
    CASE(the_slots);
    CASE(a_snapshot);
    CASE(a_broadcast);
    CASE(bytes_and_wake_words);
    CASE(a_pool);
    CASE(a_peer);
    CASE(a_region);
    printf("%u operations\n", n_operations);
    return check_done();
}

#else

int main(void)
{
    SKIP("accesses are logged on x86-64 Linux, and not under the thread sanitizer");
}

#endif
