/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/cross/peer.c - one of two processes that share memory, each of an architecture of its own.
 *
 *   peer a|b PREFIX
 *
 * Both do the same: make a region in named memory (PREFIX-a, PREFIX-b) and map the other's
 * read-only; compare its header and directory with what they would write; read its bytes; bring up
 * a queue each way; let a watermark ring, send through pipes that really sleep, publish and read
 * snapshots, answer the elements of an exchange, read a broadcast, take what two writers push into
 * one ring, and use the blocks of a pool, in each direction. Run by mixed.sh.
 */
#include <crossvm/backend/futex.h>
#include <crossvm/backend/shm.h>
#include <crossvm/service/pipe.h>

#include <errno.h>
#include <sched.h>

#include "../support/sample.h"

enum {
    ELEMENTS = 5000,
    EXCHANGED = 1000,
    EXCHANGE_CAPACITY = 4,
    BROADCASTS = 2000,
    BROADCAST_BATCH = 2,
    BROADCAST_SLOTS = 4, /* as much room as an exchange takes */
    LOGGED = 2000,
    LOG_CAPACITY = 4,
    LENT = 1000,
    BLOCKS = 2,
    BLOCK_LEN = 40,
    VERSIONS = 1000
};

static struct sample_side side;
static struct crossvm_mapping own_mapping;
static struct crossvm_mapping peer_mapping;
static struct crossvm_mapping writable_mapping; /* of the peer's, for elements that both write */
static struct crossvm_region writable_peer;
static struct crossvm_futex futex;
static struct crossvm_notify notify;
static const struct crossvm_pipe_bell tx_bell = {&notify, 0, 0, 1};
static const struct crossvm_pipe_bell rx_bell = {&notify, 0, 1, 0};

static void make_own(const char *name)
{
    uint64_t len;
    sample_plan_make(&side.plan, side.party);
    REQUIRE(crossvm_region_plan_len(&side.plan.plan, &len) == CROSSVM_OK);
    REQUIRE(crossvm_shm_create(&own_mapping, name, len) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_format(&side.own, &own_mapping, &side.plan.plan, side.table,
                                        SAMPLE_TABLE_LEN) == CROSSVM_OK);
    sample_open_own(&side, side.party);
    sample_write_notes(&side);
}

static void attach_to_peer(const char *name)
{
    int status;
    for (;;) {
        status = crossvm_shm_open(&peer_mapping, name, CROSSVM_READ_ONLY);
        if (status != CROSSVM_NOT_YET && !(status == CROSSVM_SYSTEM && errno == ENOENT)) {
            break;
        }
        (void)sched_yield();
    }
    REQUIRE(status == CROSSVM_OK);
    while ((status = crossvm_region_attach(&side.peer, &peer_mapping, side.party)) ==
           CROSSVM_NOT_FORMATTED) {
        (void)sched_yield();
    }
    REQUIRE(status == CROSSVM_OK);
    REQUIRE(crossvm_shm_open(&writable_mapping, name, CROSSVM_READ_WRITE) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&writable_peer, &writable_mapping, side.party) == CROSSVM_OK);
    sample_open_peer(&side);
}

/* The peer's header and directory are, byte for byte, those that this program would write. */
static void the_bytes_are_the_same(void)
{
    static _Alignas(128) unsigned char mine[16384];
    struct sample_plan plan;
    struct crossvm_chunk table[SAMPLE_TABLE_LEN];
    struct crossvm_region_owner owner;
    struct crossvm_mapping mapping = own_mapping;
    mapping.base = mine;
    mapping.len = peer_mapping.len;
    REQUIRE(mapping.len <= sizeof(mine));
    sample_plan_make(&plan, side.peer.owner);
    REQUIRE(crossvm_region_owner_format(&owner, &mapping, &plan.plan, table, SAMPLE_TABLE_LEN) ==
            CROSSVM_OK);
    CHECK(memcmp(mine, peer_mapping.base, (size_t)table[0].off) == 0);
    sample_check_region(&side);
}

static void open_bells(void)
{
    struct crossvm_chunk out = sample_find(&side.own.region, "bell", CROSSVM_KIND_DOORBELL);
    struct crossvm_chunk in = sample_find(&side.peer, "bell", CROSSVM_KIND_DOORBELL);
    REQUIRE(crossvm_futex_open(&futex, &side.own.region, &out, &side.peer, &in) == CROSSVM_OK);
    crossvm_notify_futex(&notify, &futex);
}

/* ---- queues that are waited for -------------------------------------------------------------- */

static struct crossvm_pipe_tx out;
static struct crossvm_pipe_rx in;

/* The pipes take the queues over. */
static void open_pipes(void)
{
    while (!sample_link_step(&side)) {
        (void)sched_yield();
    }
    out.queue = side.tx;
    out.bell = tx_bell;
    in.queue = side.rx;
    in.bell = rx_bell;
}

static void send_elem(const unsigned char *elem)
{
    uint64_t again_ns;
    while (crossvm_spsc_tx_push(&out.queue, elem) == CROSSVM_FULL) {
        REQUIRE(crossvm_pipe_tx_wait(&out, SAMPLE_CAPACITY / 2, CROSSVM_NO_DEADLINE) > 0);
    }
    REQUIRE(crossvm_pipe_tx_kick(&out, &again_ns) == CROSSVM_OK);
}

static void send(uint32_t number)
{
    unsigned char elem[SAMPLE_ELEM_LEN];
    sample_fill(elem, sizeof(elem), number);
    send_elem(elem);
}

static void receive_elem(unsigned char *elem)
{
    int status;
    while ((status = crossvm_spsc_rx_pop(&in.queue, elem)) == CROSSVM_EMPTY) {
        REQUIRE(crossvm_pipe_rx_wait(&in, 1, 0, CROSSVM_NO_DEADLINE) > 0);
    }
    REQUIRE(status == CROSSVM_OK);
    REQUIRE(crossvm_pipe_rx_kick(&in) == CROSSVM_OK);
}

static void receive(uint32_t number)
{
    unsigned char elem[SAMPLE_ELEM_LEN];
    receive_elem(elem);
    check_sample(elem, sizeof(elem), number);
}

/* Both have come as far as this. */
static void meet(uint32_t number)
{
    send(number);
    receive(number);
}

/* ---- in each direction ----------------------------------------------------------------------- */

/* Below the watermark nobody is rung; the element that reaches it rings. */
static void ring_at_the_watermark(void)
{
    unsigned char elem[SAMPLE_ELEM_LEN];
    uint64_t again_ns;
    receive(100); /* the other is armed */
    for (uint32_t i = 0; i < 3; i++) {
        sample_fill(elem, sizeof(elem), 200 + i);
        CHECK_EQ(crossvm_spsc_tx_push(&out.queue, elem), CROSSVM_OK);
        CHECK_EQ(crossvm_spsc_tx_kick(&out.queue, 0, &again_ns), i == 2);
    }
    REQUIRE(crossvm_notify_signal(&notify, 0, 0) == CROSSVM_OK);
}

static void sleep_until_the_watermark(void)
{
    REQUIRE(crossvm_spsc_rx_arm(&in.queue, 3, 0) == 0);
    send(100);
    while (crossvm_spsc_rx_fill(&in.queue) < 3) {
        REQUIRE(crossvm_notify_wait(&notify, 0, CROSSVM_NO_DEADLINE) == CROSSVM_OK);
    }
    crossvm_spsc_rx_disarm(&in.queue);
    for (uint32_t i = 0; i < 3; i++) {
        receive(200 + i);
    }
}

static void send_all(void)
{
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        send(i);
    }
}

static void receive_all(void)
{
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        receive(i);
    }
}

/* As fast as it can, until the reader has seen enough. */
static void publish_until_told(void)
{
    uint32_t version = 0;
    do {
        sample_publish(&side, ++version);
    } while (crossvm_spsc_rx_fill(&in.queue) == 0);
    receive(300);
}

static void read_versions(void)
{
    unsigned char bytes[SAMPLE_STATE_LEN];
    struct crossvm_snapshot_info info;
    unsigned long n_torn = 0;
    uint64_t n_missed = 0;
    uint64_t last = 0;
    for (int n = 0; n < VERSIONS;) {
        int status = crossvm_snapshot_reader_read(&side.state_in, bytes, sizeof(bytes), &info);
        if (status == 1) {
            sample_check_state(bytes, &info);
            CHECK_EQ(info.version, last + 1 + (n == 0 ? info.version - 1 : info.missed));
            last = info.version;
            n_missed += info.missed;
            n++;
        } else {
            REQUIRE(status == 0 || status == CROSSVM_NOT_YET || status == CROSSVM_TORN);
            n_torn += status == CROSSVM_TORN;
            (void)sched_yield();
        }
    }
    printf("%d versions read, %lu missed, %lu tries in vain\n", VERSIONS, (unsigned long)n_missed,
           n_torn);
    send(300);
}

/* ---- what lies in chunks that are allocated for it ------------------------------------------- */

static struct crossvm_chunk part;        /* of one turn: id 0 = none yet */
static struct crossvm_chunk second_part; /* likewise */

/* Both have met since the last turn, so nobody uses its parts any more. */
static void drop_part(struct crossvm_chunk *old)
{
    if (old->id != 0) {
        REQUIRE(crossvm_region_owner_release(&side.own, old) == CROSSVM_OK);
    }
    old->id = 0;
}

static void make_part(struct crossvm_chunk_decl decl)
{
    drop_part(&part);
    drop_part(&second_part);
    REQUIRE(crossvm_region_owner_allocate(&side.own, &decl, &part) == CROSSVM_OK);
}

static void make_second_part(struct crossvm_chunk_decl decl)
{
    REQUIRE(crossvm_region_owner_allocate(&side.own, &decl, &second_part) == CROSSVM_OK);
}

static struct crossvm_chunk find_part(const char *name, uint32_t kind)
{
    struct crossvm_chunk chunk;
    int status;
    while ((status = crossvm_region_find(&side.peer, name, kind, 0, &chunk)) != CROSSVM_OK) {
        REQUIRE(status == CROSSVM_NOT_FOUND || status == CROSSVM_TORN);
        (void)sched_yield();
    }
    return chunk;
}

/* tx_kind: where the answers lie; in the client's part, unless the elements are shared. */
static void send_and_take_back_by(uint32_t tx_kind)
{
    static struct crossvm_exchange_tx tx;
    unsigned char elem[SAMPLE_ELEM_LEN];
    make_part(sample_decl("exchange", tx_kind, EXCHANGE_CAPACITY, SAMPLE_ELEM_LEN, side.party));
    struct crossvm_chunk peer = find_part("exchange", CROSSVM_KIND_EXCHANGE_RX);
    uint32_t n_sent = 0;
    int status;
    REQUIRE(crossvm_exchange_tx_open(&tx, &side.own.region, &part, 0, 1) == CROSSVM_OK);
    while ((status = crossvm_exchange_tx_link(&tx, &side.peer, &peer)) == CROSSVM_NOT_YET) {
        (void)sched_yield();
    }
    REQUIRE(status == CROSSVM_OK);
    for (uint32_t n_taken = 0; n_taken < EXCHANGED;) {
        sample_fill(elem, sizeof(elem), n_sent);
        if (n_sent < EXCHANGED && crossvm_exchange_tx_push(&tx, elem) == CROSSVM_OK) {
            n_sent++;
        }
        if (crossvm_exchange_tx_take(&tx, elem) == CROSSVM_OK) {
            check_sample(elem, sizeof(elem), ~n_taken);
            n_taken++;
        } else {
            (void)sched_yield();
        }
    }
}

static void answer_what_is_sent_by(uint32_t tx_kind)
{
    static struct crossvm_exchange_rx rx;
    unsigned char elem[SAMPLE_ELEM_LEN];
    bool shared = tx_kind == CROSSVM_KIND_EXCHANGE_TX_SHARED;
    struct crossvm_region *region = shared ? &writable_peer : &side.peer;
    struct crossvm_chunk peer;
    int status;
    make_part(sample_decl("exchange", CROSSVM_KIND_EXCHANGE_RX, shared ? 0 : EXCHANGE_CAPACITY,
                          shared ? 0 : SAMPLE_ELEM_LEN, side.party));
    REQUIRE(crossvm_exchange_rx_open(&rx, &side.own.region, &part, EXCHANGE_CAPACITY,
                                     SAMPLE_ELEM_LEN, 1) == CROSSVM_OK);
    peer = find_part("exchange", tx_kind);
    while ((status = crossvm_exchange_rx_link(&rx, region, &peer)) == CROSSVM_NOT_YET) {
        (void)sched_yield();
    }
    REQUIRE(status == CROSSVM_OK);
    for (uint32_t n_answered = 0; n_answered < EXCHANGED;) {
        if (crossvm_exchange_rx_get(&rx, elem) != CROSSVM_OK) {
            (void)sched_yield();
            continue;
        }
        check_sample(elem, sizeof(elem), n_answered);
        sample_fill(elem, sizeof(elem), ~n_answered);
        REQUIRE(crossvm_exchange_rx_answer(&rx, elem) == CROSSVM_OK);
        n_answered++;
    }
}

static void send_and_take_back(void)
{
    send_and_take_back_by(CROSSVM_KIND_EXCHANGE_TX);
}

static void answer_what_is_sent(void)
{
    answer_what_is_sent_by(CROSSVM_KIND_EXCHANGE_TX);
}

static void share_elements(void)
{
    send_and_take_back_by(CROSSVM_KIND_EXCHANGE_TX_SHARED);
}

static void answer_in_place(void)
{
    answer_what_is_sent_by(CROSSVM_KIND_EXCHANGE_TX_SHARED);
}

static void publish_a_broadcast(void)
{
    static struct crossvm_broadcast_writer writer;
    unsigned char elems[BROADCAST_BATCH][SAMPLE_ELEM_LEN];
    make_part(
        sample_decl("news", CROSSVM_KIND_BROADCAST, BROADCAST_SLOTS, SAMPLE_ELEM_LEN, side.party));
    REQUIRE(crossvm_broadcast_writer_open(&writer, &side.own.region, &part) == CROSSVM_OK);
    receive(400); /* the reader is there */
    for (uint32_t n = 0; n < BROADCASTS; n += BROADCAST_BATCH) {
        for (uint32_t i = 0; i < BROADCAST_BATCH; i++) {
            sample_fill(elems[i], SAMPLE_ELEM_LEN, n + i);
        }
        REQUIRE(crossvm_broadcast_writer_publish_n(&writer, elems, SAMPLE_ELEM_LEN,
                                                   BROADCAST_BATCH) == CROSSVM_OK);
        (void)sched_yield();
    }
}

/* Each number once: read, or known to be lost. */
static void read_a_broadcast(void)
{
    static struct crossvm_broadcast_reader reader;
    unsigned char elem[SAMPLE_ELEM_LEN];
    struct crossvm_broadcast_info info = {0, 0, 0};
    struct crossvm_chunk news = find_part("news", CROSSVM_KIND_BROADCAST);
    unsigned long n_read = 0;
    REQUIRE(crossvm_broadcast_reader_open(&reader, &side.peer, &news, CROSSVM_BROADCAST_OLDEST) ==
            CROSSVM_OK);
    send(400);
    while (info.number < BROADCASTS) {
        int status = crossvm_broadcast_reader_read(&reader, elem, sizeof(elem), &info);
        if (status != CROSSVM_OK) {
            REQUIRE(status == CROSSVM_EMPTY || status == CROSSVM_TORN);
            (void)sched_yield();
            continue;
        }
        n_read++;
        CHECK_EQ(info.len, sizeof(elem));
        CHECK_EQ(info.number, n_read + reader.n_lost);
        check_sample(elem, sizeof(elem), (uint32_t)info.number - 1);
    }
    printf("%lu of %d elements read, %lu lost\n", n_read, BROADCASTS, (unsigned long)reader.n_lost);
}

static void push_by_two_writers(void)
{
    static struct crossvm_mpsc_tx tx[2];
    unsigned char elem[SAMPLE_ELEM_LEN];
    make_part(sample_decl("log", CROSSVM_KIND_MPSC_TX, LOG_CAPACITY, SAMPLE_ELEM_LEN, side.party));
    struct crossvm_chunk peer = find_part("log", CROSSVM_KIND_MPSC_RX);
    for (uint32_t i = 0; i < 2; i++) {
        int status;
        REQUIRE(crossvm_mpsc_tx_open(&tx[i], &side.own.region, &part, i + 1) == CROSSVM_OK);
        while ((status = crossvm_mpsc_tx_link(&tx[i], &side.peer, &peer)) == CROSSVM_NOT_YET) {
            (void)sched_yield();
        }
        REQUIRE(status == CROSSVM_OK);
    }
    for (uint32_t n = 0; n < LOGGED; n++) {
        int status;
        sample_fill(elem, sizeof(elem), n);
        while ((status = crossvm_mpsc_tx_push(&tx[n % 2], elem)) == CROSSVM_FULL) {
            (void)sched_yield();
        }
        REQUIRE(status == CROSSVM_OK);
    }
}

static void pop_from_two_writers(void)
{
    static struct crossvm_mpsc_rx rx;
    unsigned char elem[SAMPLE_ELEM_LEN];
    make_part(sample_decl("log", CROSSVM_KIND_MPSC_RX, 0, 0, side.party));
    REQUIRE(crossvm_mpsc_rx_open(&rx, &side.own.region, &part) == CROSSVM_OK);
    struct crossvm_chunk peer = find_part("log", CROSSVM_KIND_MPSC_TX);
    REQUIRE(crossvm_mpsc_rx_link(&rx, &side.peer, &peer) == CROSSVM_OK);
    for (uint32_t n = 0; n < LOGGED;) {
        int status = crossvm_mpsc_rx_pop(&rx, elem);
        if (status != CROSSVM_OK) {
            REQUIRE(status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET);
            (void)sched_yield();
            continue;
        }
        check_sample(elem, sizeof(elem), n);
        CHECK_EQ(rx.writer, n % 2 + 1);
        n++;
    }
}

/* An id takes three elements of the queue. */
static void send_id(const struct crossvm_pool_id *id)
{
    unsigned char elems[3][SAMPLE_ELEM_LEN] = {{0}};
    memcpy(elems, id, sizeof(*id));
    for (int i = 0; i < 3; i++) {
        send_elem(elems[i]);
    }
}

static void receive_id(struct crossvm_pool_id *id)
{
    unsigned char elems[3][SAMPLE_ELEM_LEN];
    for (int i = 0; i < 3; i++) {
        receive_elem(elems[i]);
    }
    memcpy(id, elems, sizeof(*id));
}

/* What number n of the blocks that are lent holds. */
static uint32_t content_len(uint32_t n)
{
    return 4 + n % (BLOCK_LEN - 3);
}

static void lend_one(struct crossvm_pool_owner *owner, uint32_t n)
{
    struct crossvm_pool_id id;
    unsigned char bytes[BLOCK_LEN];
    uint32_t block;
    int status;
    while ((status = crossvm_pool_owner_allocate(owner, &block)) == CROSSVM_FULL) {
        REQUIRE(crossvm_pool_owner_collect(owner) >= 0);
        (void)sched_yield();
    }
    REQUIRE(status == CROSSVM_OK);
    sample_fill(bytes, content_len(n), n);
    REQUIRE(crossvm_pool_owner_put(owner, block, 0, bytes, content_len(n)) == CROSSVM_OK);
    REQUIRE(crossvm_pool_owner_lend(owner, block, content_len(n), 1, &id) == CROSSVM_OK);
    send_id(&id);
}

static void lend_blocks(void)
{
    static struct crossvm_pool_owner owner;
    static struct crossvm_pool_block blocks[BLOCKS];
    static struct crossvm_pool_link link;
    const struct crossvm_pool_memory memory = {blocks, BLOCKS, &link, 1};
    struct crossvm_chunk_decl lent =
        sample_decl("images", CROSSVM_KIND_POOL_LENT, BLOCKS, 0, side.party);
    lent.reader = side.party;
    make_part(sample_decl("images", CROSSVM_KIND_POOL, BLOCKS, BLOCK_LEN, side.party));
    make_second_part(lent);
    REQUIRE(crossvm_pool_owner_open(&owner, &side.own.region, &part, &side.own.region, &second_part,
                                    &memory) == CROSSVM_OK);
    struct crossvm_chunk returns = find_part("images", CROSSVM_KIND_POOL_RETURNS);
    int status;
    while ((status = crossvm_pool_owner_link(&owner, 0, &side.peer, &returns)) == CROSSVM_NOT_YET) {
        (void)sched_yield();
    }
    REQUIRE(status == CROSSVM_OK);
    for (uint32_t n = 0; n < LENT; n++) {
        lend_one(&owner, n);
    }
    while (crossvm_pool_owner_n_free(&owner) < BLOCKS) {
        REQUIRE(crossvm_pool_owner_collect(&owner) >= 0);
        (void)sched_yield();
    }
}

static void use_blocks(void)
{
    static struct crossvm_pool_reader reader;
    make_part(sample_decl("images", CROSSVM_KIND_POOL_RETURNS, BLOCKS, 0, side.party));
    struct crossvm_chunk pool = find_part("images", CROSSVM_KIND_POOL);
    REQUIRE(crossvm_pool_reader_open(&reader, &side.peer, &pool) == CROSSVM_OK);
    REQUIRE(crossvm_pool_reader_bind(&reader, &side.own.region, &part) == CROSSVM_OK);
    for (uint32_t n = 0; n < LENT; n++) {
        struct crossvm_pool_id id;
        struct crossvm_pool_view view;
        receive_id(&id);
        REQUIRE(crossvm_pool_reader_find(&reader, &id, &view) == CROSSVM_OK);
        CHECK_EQ(view.len, content_len(n));
        check_sample(view.payload, view.len, n);
        REQUIRE(crossvm_pool_reader_give_back(&reader, &view) == CROSSVM_OK);
    }
}

static void in_turn(void (*first)(void), void (*second)(void), uint32_t number)
{
    meet(number);
    (side.party == SAMPLE_A ? first : second)();
    meet(number + 1);
    (side.party == SAMPLE_A ? second : first)();
}

static void usage(void)
{
    fprintf(stderr, "usage: peer a|b PREFIX\n");
    exit(2);
}

int main(int argc, char **argv)
{
    char own_name[64];
    char peer_name[64];
    if (argc != 3 || (strcmp(argv[1], "a") != 0 && strcmp(argv[1], "b") != 0)) {
        usage();
    }
    (void)alarm((unsigned)(120u * check_scale())); /* only against hanging */
    side.party = argv[1][0] == 'a' ? SAMPLE_A : SAMPLE_B;
    (void)snprintf(own_name, sizeof(own_name), "/%s-%s", argv[2], argv[1]);
    (void)snprintf(peer_name, sizeof(peer_name), "/%s-%s", argv[2],
                   side.party == SAMPLE_A ? "b" : "a");

    make_own(own_name);
    attach_to_peer(peer_name);
    CASE(the_bytes_are_the_same);
    open_bells();
    open_pipes();
    sample_check_notes(&side); /* written before the queues came up */
    in_turn(ring_at_the_watermark, sleep_until_the_watermark, 1);
    in_turn(send_all, receive_all, 3);
    in_turn(publish_until_told, read_versions, 5);
    in_turn(send_and_take_back, answer_what_is_sent, 7);
    in_turn(share_elements, answer_in_place, 9);
    in_turn(publish_a_broadcast, read_a_broadcast, 11);
    in_turn(push_by_two_writers, pop_from_two_writers, 13);
    in_turn(lend_blocks, use_blocks, 15);
    meet(17);
    printf("%lu rings sent, %lu not needed\n", (unsigned long)notify.n_sent,
           (unsigned long)notify.n_suppressed);
    CHECK(notify.n_sent > 0);
    return check_done();
}
