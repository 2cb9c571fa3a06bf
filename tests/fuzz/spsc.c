/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/spsc.c - a queue whose other side writes anything at any time: a producer beside a
 * hostile consumer, a consumer beside a hostile producer, and each of them when it comes back and
 * finds its own words changed.
 */
#include "queue.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_spsc_tx_open",    "crossvm_spsc_tx_link",       "crossvm_spsc_tx_push",
    "crossvm_spsc_tx_push_n",  "crossvm_spsc_tx_reserve",    "crossvm_spsc_tx_span_at",
    "crossvm_spsc_tx_commit",  "crossvm_spsc_tx_free",       "crossvm_spsc_tx_peer",
    "crossvm_spsc_tx_index",   "crossvm_spsc_tx_kick",       "crossvm_spsc_tx_nudge",
    "crossvm_spsc_tx_arm",     "crossvm_spsc_tx_disarm",     "crossvm_spsc_tx_peer_polls",
    "crossvm_spsc_rx_open",    "crossvm_spsc_rx_ask",        "crossvm_spsc_rx_link",
    "crossvm_spsc_rx_pop",     "crossvm_spsc_rx_pop_n",      "crossvm_spsc_rx_peek",
    "crossvm_spsc_rx_span_at", "crossvm_spsc_rx_release",    "crossvm_spsc_rx_flush",
    "crossvm_spsc_rx_fill",    "crossvm_spsc_rx_peer",       "crossvm_spsc_rx_index",
    "crossvm_spsc_rx_kick",    "crossvm_spsc_rx_nudge",      "crossvm_spsc_rx_arm",
    "crossvm_spsc_rx_disarm",  "crossvm_spsc_rx_peer_polls",
};

/* Shared accesses of one call, at most. */
enum {
    STEPS_ONE = 10,                  /* a look at the peer and one element, or the kick's words */
    STEPS_BATCH = 10 + CAPACITY_MAX, /* the same with a batch */
    STEPS_ARM = 20,                  /* two looks and the own wake words */
    STEPS_LINK = 40,                 /* the names and words of both parts */
    STEPS_OPEN = 48                  /* all own words */
};

#define LINKED (FUZZ_S(NOT_YET) | FUZZ_S(REFUSED) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

enum role {
    PRODUCER,
    CONSUMER,
    PRODUCER_BACK, /* finds its own words changed */
    CONSUMER_BACK,
    ROLES
};

static struct fuzz_queue queue;
static struct fuzz_image images[FUZZ_QUEUE_STATES];
static struct crossvm_spsc_tx tx;
static struct crossvm_spsc_rx rx;
static struct fuzz_sticky sticky;
static uint32_t asked[2];    /* the consumer's capacity and element length, as it remembers them */
static bool over;            /* a handle that was not opened is not used */
static unsigned char *elems; /* as many as a call can ask for, exactly */

/* ---- states to begin with -------------------------------------------------------------------- */

static void link_both(void)
{
    FUZZ_CHECK(crossvm_spsc_tx_link(&tx, &queue.b.reader, &queue.rx_chunk) == CROSSVM_NOT_YET);
    FUZZ_CHECK(crossvm_spsc_rx_link(&rx, &queue.a.reader, &queue.tx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_link(&tx, &queue.b.reader, &queue.rx_chunk) == CROSSVM_OK);
}

static void open_both(uint32_t elem_len)
{
    FUZZ_CHECK(crossvm_spsc_rx_open(&rx, &queue.b.owner.region, &queue.rx_chunk, CAPACITY, elem_len,
                                    3) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_open(&tx, &queue.a.owner.region, &queue.tx_chunk, 0, 3) ==
               CROSSVM_OK);
}

static void half_full(uint32_t elem_len)
{
    fuzz_queue_index(&queue, 0xfffffffcu);
    open_both(elem_len);
    FUZZ_CHECK(crossvm_spsc_rx_link(&rx, &queue.a.reader, &queue.tx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_link(&tx, &queue.b.reader, &queue.rx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_push_n(&tx, elems, CAPACITY / 2) == CAPACITY / 2);
}

static void make_state(enum fuzz_queue_state state)
{
    uint32_t elem_len = state == FUZZ_PLAIN_LEN ? ELEM_MAX : 12;
    memset(queue.tx_part.writable + 8, 0, queue.tx_part.len - 8);
    memset(queue.rx_part.writable + 8, 0, queue.rx_part.len - 8);
    fuzz_queue_index(&queue, 0);
    open_both(elem_len);
    if (state == FUZZ_GRANTED) {
        FUZZ_CHECK(crossvm_spsc_tx_link(&tx, &queue.b.reader, &queue.rx_chunk) == CROSSVM_NOT_YET);
    } else if (state > FUZZ_GRANTED) {
        link_both();
    }
    if (state > FUZZ_EMPTY) {
        half_full(elem_len);
    }
    struct fuzz_image *image = &images[state];
    fuzz_image_add(image, queue.tx_part.writable, queue.tx_part.len);
    fuzz_image_add(image, queue.rx_part.writable, queue.rx_part.len);
    fuzz_image_add(image, &tx, sizeof(tx));
    fuzz_image_add(image, &rx, sizeof(rx));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elems = (unsigned char *)fuzz_private(N_MAX * ROOM);
    fuzz_queue_make(&queue, CROSSVM_KIND_SPSC_TX, CROSSVM_KIND_SPSC_RX, 0);
    for (unsigned state = 0; state < FUZZ_QUEUE_STATES; state++) {
        make_state((enum fuzz_queue_state)state);
    }
    fuzz_queue_close(&queue);
    return 0;
}

/* ---- producer -------------------------------------------------------------------------------- */

static void producer_holds(void)
{
    if (tx.state == CROSSVM_OK) {
        FUZZ_CHECK(tx.tail - tx.head <= tx.capacity);
        FUZZ_CHECK(tx.n_free <= tx.capacity - (tx.tail - tx.head));
        FUZZ_CHECK(tx.mask == tx.capacity - 1 && tx.elem_len <= tx.stride);
        FUZZ_CHECK((uint64_t)tx.stride * tx.capacity <= ROOM);
    } else {
        FUZZ_CHECK(tx.n_free == 0);
    }
}

static void producer_answered(int status)
{
    fuzz_sticky(&sticky, status, &tx.fault, &queue.rx_part);
}

static void producer_in_place(uint32_t n)
{
    struct crossvm_spsc_tx_span span;
    int status = FUZZ_CALL(crossvm_spsc_tx_reserve, (&tx, n, &span), STEPS_ONE,
                           LINKED | FUZZ_S(FULL) | FUZZ_S(INVALID), 0);
    producer_answered(status);
    if (status == CROSSVM_OK) {
        FUZZ_CHECK(span.n_first + span.n_second == n);
        for (uint32_t i = 0; i < n; i++) {
            void *place = crossvm_spsc_tx_span_at(&span, i);
            FUZZ_CHECK(fuzz_writable(place, tx.elem_len));
            memset(place, (int)i, tx.elem_len);
        }
    }
    status =
        FUZZ_CALL(crossvm_spsc_tx_commit, (&tx, n / 2 + 1), STEPS_ONE, LINKED | FUZZ_S(INVALID), 0);
    producer_answered(status);
}

static void producer_restart(uint32_t elem_len)
{
    memset(&sticky, 0, sizeof(sticky));
    int status = FUZZ_CALL(crossvm_spsc_tx_open,
                           (&tx, &queue.a.owner.region, &queue.tx_chunk, elem_len, elem_len),
                           STEPS_OPEN, FUZZ_S(MISMATCH) | FUZZ_S(CORRUPT), 0);
    fuzz_sticky(&sticky, status, &tx.fault, &queue.tx_part);
    over = status == CROSSVM_MISMATCH;
}

static void producer_wakes(uint8_t op, uint32_t arg)
{
    struct crossvm_spsc_peer peer = {0, 0};
    uint64_t again_ns;
    switch (op % 8) {
    case 0:
        (void)FUZZ_CALL(crossvm_spsc_tx_kick, (&tx, arg, &again_ns), STEPS_ONE, 0, 1);
        fuzz_use_number(again_ns);
        break;
    case 1:
        (void)FUZZ_CALL(crossvm_spsc_tx_nudge, (&tx), STEPS_ONE, 0, 1);
        break;
    case 2:
    case 3:
        producer_answered(FUZZ_CALL(crossvm_spsc_tx_arm, (&tx, arg % N_MAX), STEPS_ARM,
                                    LINKED | FUZZ_S(INVALID), 1));
        break;
    case 4:
        (void)FUZZ_CALL(crossvm_spsc_tx_peer, (&tx, &peer), STEPS_ONE,
                        FUZZ_S(NOT_YET) | FUZZ_S(STALE), 0);
        fuzz_use(&peer, sizeof(peer));
        break;
    case 5:
        FUZZ_PLAIN(crossvm_spsc_tx_disarm, (&tx), STEPS_ONE);
        break;
    case 6:
        producer_restart(arg % 4 == 0 ? 12 : 0);
        break;
    default:
        FUZZ_PLAIN(crossvm_spsc_tx_peer_polls, (&tx), 0);
        fuzz_use_number(FUZZ_PLAIN(crossvm_spsc_tx_index, (&tx), 0));
        break;
    }
    fuzz_done();
}

static void producer_call(uint8_t op, uint8_t arg)
{
    uint32_t n = arg % N_MAX;
    int status = 0;
    switch (op % 8) {
    case 0:
    case 1:
        status = FUZZ_CALL(crossvm_spsc_tx_push, (&tx, elems), STEPS_ONE, LINKED | FUZZ_S(FULL), 0);
        producer_answered(status);
        break;
    case 2:
        status = FUZZ_CALL(crossvm_spsc_tx_push_n, (&tx, elems, n + 1), STEPS_BATCH,
                           LINKED | FUZZ_S(FULL), CAPACITY_MAX);
        producer_answered(status);
        break;
    case 3:
        producer_in_place(n);
        break;
    case 4:
        status = FUZZ_CALL(crossvm_spsc_tx_free, (&tx), STEPS_ONE, LINKED, CAPACITY_MAX);
        producer_answered(status);
        break;
    case 5:
        status = FUZZ_CALL(crossvm_spsc_tx_link, (&tx, &queue.b.reader, &queue.rx_chunk),
                           STEPS_LINK, LINKED | FUZZ_S(MISMATCH), 0);
        producer_answered(status);
        break;
    default:
        producer_wakes(op / 8, arg);
        break;
    }
    producer_holds();
}

/* ---- consumer -------------------------------------------------------------------------------- */

static void consumer_holds(void)
{
    if (rx.state == CROSSVM_OK) {
        FUZZ_CHECK(rx.tail - rx.head <= rx.capacity);
        FUZZ_CHECK(rx.n_avail <= rx.tail - rx.head);
        FUZZ_CHECK(rx.head - rx.published <= rx.capacity);
        FUZZ_CHECK(rx.mask == rx.capacity - 1 && rx.elem_len <= rx.stride);
        FUZZ_CHECK((uint64_t)rx.stride * rx.capacity <= ROOM);
    } else {
        FUZZ_CHECK(rx.n_avail == 0);
    }
}

static void consumer_answered(int status)
{
    fuzz_sticky(&sticky, status, &rx.fault, &queue.tx_part);
}

static void consumer_in_place(uint32_t n)
{
    struct crossvm_spsc_rx_span span;
    int status = FUZZ_CALL(crossvm_spsc_rx_peek, (&rx, n, &span), STEPS_ONE,
                           LINKED | FUZZ_S(EMPTY) | FUZZ_S(INVALID), 0);
    consumer_answered(status);
    if (status == CROSSVM_OK) {
        FUZZ_CHECK(span.n_first + span.n_second == n);
        for (uint32_t i = 0; i < n; i++) {
            fuzz_use_shared(crossvm_spsc_rx_span_at(&span, i), rx.elem_len);
        }
    }
    status = FUZZ_CALL(crossvm_spsc_rx_release, (&rx, n / 2 + 1), STEPS_ONE,
                       LINKED | FUZZ_S(INVALID), 0);
    consumer_answered(status);
}

static void consumer_restart(uint32_t arg)
{
    static const uint32_t capacities[] = {CAPACITY, CAPACITY, CAPACITY_MAX, CAPACITY / 2};
    uint32_t elem_len = arg % 8 == 0 ? 8 : asked[1];
    uint32_t capacity = arg % 16 < 12 ? asked[0] : capacities[arg % 4];
    memset(&sticky, 0, sizeof(sticky));
    int status = FUZZ_CALL(crossvm_spsc_rx_open,
                           (&rx, &queue.b.owner.region, &queue.rx_chunk, capacity, elem_len, arg),
                           STEPS_OPEN, FUZZ_S(MISMATCH) | FUZZ_S(CORRUPT), 0);
    fuzz_sticky(&sticky, status, &rx.fault, &queue.rx_part);
    over = status == CROSSVM_MISMATCH;
    asked[0] = capacity;
    asked[1] = elem_len;
}

static void consumer_asks(uint32_t arg)
{
    static const uint32_t lens[] = {12, 16, 8, 1, 0x7ffffff8u};
    uint32_t capacity = 1u << arg % 5;
    uint32_t elem_len = lens[arg / 8 % 5];
    int status = FUZZ_CALL(crossvm_spsc_rx_ask, (&rx, capacity, elem_len), STEPS_LINK,
                           FUZZ_S(INVALID) | FUZZ_S(TOO_LARGE) | FUZZ_S(MISMATCH), 0);
    if (status == CROSSVM_OK) {
        asked[0] = capacity;
        asked[1] = elem_len;
    }
}

static void consumer_wakes(uint8_t op, uint32_t arg)
{
    struct crossvm_spsc_peer peer = {0, 0};
    switch (op % 8) {
    case 0:
        (void)FUZZ_CALL(crossvm_spsc_rx_kick, (&rx), STEPS_ONE, 0, 1);
        break;
    case 1:
        (void)FUZZ_CALL(crossvm_spsc_rx_nudge, (&rx), STEPS_ONE, 0, 1);
        break;
    case 2:
        consumer_answered(FUZZ_CALL(crossvm_spsc_rx_arm, (&rx, arg % N_MAX, arg), STEPS_ARM,
                                    LINKED | FUZZ_S(INVALID), 1));
        break;
    case 3:
        consumer_asks(arg);
        break;
    case 4:
        (void)FUZZ_CALL(crossvm_spsc_rx_peer, (&rx, &peer), STEPS_ONE,
                        FUZZ_S(NOT_YET) | FUZZ_S(STALE), 0);
        fuzz_use(&peer, sizeof(peer));
        break;
    case 5:
        FUZZ_PLAIN(crossvm_spsc_rx_disarm, (&rx), STEPS_ONE);
        break;
    case 6:
        consumer_restart(arg);
        break;
    default:
        FUZZ_PLAIN(crossvm_spsc_rx_flush, (&rx), 1);
        FUZZ_PLAIN(crossvm_spsc_rx_peer_polls, (&rx), 0);
        fuzz_use_number(FUZZ_PLAIN(crossvm_spsc_rx_index, (&rx), 0));
        break;
    }
    fuzz_done();
}

/* Elements are copied to memory that ends where they may end. */
static unsigned char *room_for(uint32_t n)
{
    return elems + N_MAX * ROOM - (size_t)n * rx.elem_len;
}

static void consumer_call(uint8_t op, uint8_t arg)
{
    uint32_t n = arg % N_MAX;
    uint32_t most = n + 1 < CAPACITY_MAX ? n + 1 : CAPACITY_MAX;
    int status = 0;
    switch (op % 8) {
    case 0:
    case 1:
        status = FUZZ_CALL(crossvm_spsc_rx_pop, (&rx, room_for(1)), STEPS_ONE,
                           LINKED | FUZZ_S(EMPTY), 0);
        consumer_answered(status);
        fuzz_use(room_for(1), status == CROSSVM_OK ? rx.elem_len : 0);
        break;
    case 2:
        status = FUZZ_CALL(crossvm_spsc_rx_pop_n, (&rx, room_for(most), n + 1), STEPS_BATCH,
                           LINKED | FUZZ_S(EMPTY), (int)most);
        consumer_answered(status);
        fuzz_use(room_for(most), status > 0 ? (size_t)status * rx.elem_len : 0);
        break;
    case 3:
        consumer_in_place(n);
        break;
    case 4:
        status = FUZZ_CALL(crossvm_spsc_rx_fill, (&rx), STEPS_ONE, LINKED, CAPACITY_MAX);
        consumer_answered(status);
        break;
    case 5:
        status = FUZZ_CALL(crossvm_spsc_rx_link, (&rx, &queue.a.reader, &queue.tx_chunk),
                           STEPS_LINK, LINKED | FUZZ_S(NO_SPACE), 0);
        consumer_answered(status);
        break;
    default:
        consumer_wakes(op / 8, arg);
        break;
    }
    consumer_holds();
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void producer_begin(bool back)
{
    const struct fuzz_part *own = fuzz_part_add(&queue.tx_part, false);
    const struct fuzz_part *peer = fuzz_part_add(&queue.rx_part, true);
    fuzz_queue_hot_rx(peer);
    fuzz_queue_keep_tx(own);
    fuzz_keep(own, 148, 4);
    fuzz_around(&tx.tail);
    fuzz_around(&tx.head);
    fuzz_around(&tx.answered);
    if (back) {
        fuzz_scribble(own, fuzz_queue_own, 12, 3);
        producer_restart(0);
    }
}

static void consumer_begin(bool back)
{
    const struct fuzz_part *own = fuzz_part_add(&queue.rx_part, false);
    const struct fuzz_part *peer = fuzz_part_add(&queue.tx_part, true);
    fuzz_queue_hot_tx(peer);
    fuzz_queue_keep_rx(own);
    fuzz_around(&rx.head);
    fuzz_around(&rx.tail);
    fuzz_around(&rx.request);
    if (back) {
        fuzz_scribble(own, fuzz_queue_own, 12, 3);
        consumer_restart(1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    enum role role = (enum role)(first % ROLES);
    const struct fuzz_image *image = &images[first / ROLES % FUZZ_QUEUE_STATES];
    fuzz_image_restore(image);
    memset(&sticky, 0, sizeof(sticky));
    over = false;
    asked[0] = rx.capacity;
    asked[1] = rx.elem_len;
    bool produces = role == PRODUCER || role == PRODUCER_BACK;
    if (produces) {
        producer_begin(role == PRODUCER_BACK);
    } else {
        consumer_begin(role == CONSUMER_BACK);
    }
    for (unsigned i = 0; i < FUZZ_CALLS && !over && fuzz_more(&op, &arg); i++) {
        if (produces) {
            producer_call(op, arg);
        } else {
            consumer_call(op, arg);
        }
    }
    if (role == PRODUCER || role == CONSUMER) {
        fuzz_kept_check(image);
    }
    return 0;
}
