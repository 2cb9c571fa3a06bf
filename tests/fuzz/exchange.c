/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/exchange.c - an exchange whose other side writes anything at any time: a producer
 * beside a hostile client, a client beside a hostile producer, with answers in the client's own
 * part and in SHARED elements, where the client can write all of the producer's part; and each of
 * them when it comes back and finds its own words changed.
 */
#include "queue.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_exchange_tx_open",   "crossvm_exchange_tx_link",       "crossvm_exchange_tx_reserve",
    "crossvm_exchange_tx_commit", "crossvm_exchange_tx_push",       "crossvm_exchange_tx_answered",
    "crossvm_exchange_tx_peek",   "crossvm_exchange_tx_unanswered", "crossvm_exchange_tx_release",
    "crossvm_exchange_tx_take",   "crossvm_exchange_tx_arm",        "crossvm_exchange_rx_open",
    "crossvm_exchange_rx_link",   "crossvm_exchange_rx_peek",       "crossvm_exchange_rx_commit",
    "crossvm_exchange_rx_get",    "crossvm_exchange_rx_answer",     "crossvm_exchange_rx_kick",
};

/* Shared accesses of one call, at most. */
enum {
    STEPS_ONE = 10, /* a look at the peer and one element, or the kick's words */
    STEPS_ARM = 20, /* two looks and the own wake words */
    STEPS_LINK = 40,
    STEPS_OPEN = 48
};

#define LINKED (FUZZ_S(NOT_YET) | FUZZ_S(REFUSED) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

enum role {
    PRODUCER,
    CLIENT,
    PRODUCER_BACK, /* finds its own words changed */
    CLIENT_BACK,
    ROLES
};

/* Both ways of answering, each with its memory, states and handles. */
struct way {
    struct fuzz_queue queue;
    struct crossvm_region client_of_a; /* region a, as a client of SHARED elements has it */
    const struct crossvm_region *to_tx;
    struct fuzz_image images[FUZZ_QUEUE_STATES];
    bool shared;
};

static struct way ways[2];
static struct way *way;
static struct crossvm_exchange_tx tx;
static struct crossvm_exchange_rx rx;
static struct fuzz_sticky sticky;
static bool over; /* a handle that was not opened is not used */
static unsigned char *elem;

/* ---- states to begin with -------------------------------------------------------------------- */

static void open_both(uint32_t elem_len)
{
    FUZZ_CHECK(crossvm_exchange_rx_open(&rx, &way->queue.b.owner.region, &way->queue.rx_chunk,
                                        CAPACITY, elem_len, 3) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_exchange_tx_open(&tx, &way->queue.a.owner.region, &way->queue.tx_chunk,
                                        way->shared ? elem_len : 0, 3) == CROSSVM_OK);
}

static int link_tx(void)
{
    return crossvm_exchange_tx_link(&tx, &way->queue.b.reader, &way->queue.rx_chunk);
}

static int link_rx(void)
{
    return crossvm_exchange_rx_link(&rx, way->to_tx, &way->queue.tx_chunk);
}

/* Three elements are answered, two are not, and the indices are about to wrap around. */
static void half_full(uint32_t elem_len)
{
    fuzz_queue_index(&way->queue, 0xfffffffcu);
    struct crossvm_le32 *taken = (struct crossvm_le32 *)(void *)(way->queue.tx_part.writable + 148);
    crossvm_i_set_word(taken, 0xfffffffcu);
    open_both(elem_len);
    FUZZ_CHECK(link_rx() == CROSSVM_OK);
    FUZZ_CHECK(link_tx() == CROSSVM_OK);
    for (unsigned i = 0; i < 5; i++) {
        FUZZ_CHECK(crossvm_exchange_tx_push(&tx, elem) == CROSSVM_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        FUZZ_CHECK(crossvm_exchange_rx_answer(&rx, elem) == CROSSVM_OK);
    }
    FUZZ_CHECK(crossvm_exchange_tx_answered(&tx) == 3);
}

static void make_state(enum fuzz_queue_state state)
{
    uint32_t elem_len = state == FUZZ_PLAIN_LEN ? ELEM_MAX : 12;
    struct fuzz_queue *queue = &way->queue;
    memset(queue->tx_part.writable + 8, 0, queue->tx_part.len - 8);
    memset(queue->rx_part.writable + 8, 0, queue->rx_part.len - 8);
    fuzz_queue_index(queue, 0);
    open_both(elem_len);
    if (state >= FUZZ_GRANTED) {
        FUZZ_CHECK(link_tx() == CROSSVM_NOT_YET);
    }
    if (state > FUZZ_GRANTED) {
        FUZZ_CHECK(link_rx() == CROSSVM_OK);
        FUZZ_CHECK(link_tx() == CROSSVM_OK);
    }
    if (state > FUZZ_EMPTY) {
        half_full(elem_len);
    }
    struct fuzz_image *image = &way->images[state];
    fuzz_image_add(image, queue->tx_part.writable, queue->tx_part.len);
    fuzz_image_add(image, queue->rx_part.writable, queue->rx_part.len);
    fuzz_image_add(image, &tx, sizeof(tx));
    fuzz_image_add(image, &rx, sizeof(rx));
}

static void make_way(bool shared)
{
    way = &ways[shared];
    way->shared = shared;
    fuzz_queue_make(&way->queue,
                    shared ? CROSSVM_KIND_EXCHANGE_TX_SHARED : CROSSVM_KIND_EXCHANGE_TX,
                    CROSSVM_KIND_EXCHANGE_RX, shared ? 0 : CAPACITY);
    FUZZ_CHECK(crossvm_region_attach(&way->client_of_a, &way->queue.a.writable, 2) == CROSSVM_OK);
    way->to_tx = shared ? &way->client_of_a : &way->queue.a.reader;
    for (unsigned state = 0; state < FUZZ_QUEUE_STATES; state++) {
        make_state((enum fuzz_queue_state)state);
    }
    fuzz_queue_close(&way->queue);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elem = (unsigned char *)fuzz_private(ROOM);
    make_way(false);
    make_way(true);
    return 0;
}

/* ---- producer -------------------------------------------------------------------------------- */

static void producer_holds(void)
{
    const struct crossvm_spsc_tx *queue = &tx.queue;
    if (queue->state == CROSSVM_OK) {
        FUZZ_CHECK(queue->tail - queue->taken <= queue->capacity);
        FUZZ_CHECK(queue->head - queue->taken <= queue->tail - queue->taken);
        FUZZ_CHECK(queue->mask == queue->capacity - 1 && queue->elem_len <= queue->stride);
        FUZZ_CHECK((uint64_t)queue->stride * queue->capacity <= ROOM);
    }
}

static void producer_answered(int status)
{
    fuzz_sticky(&sticky, status, &tx.queue.fault, &way->queue.rx_part);
}

static void use_span(const struct crossvm_spsc_rx_span *span, uint32_t n)
{
    FUZZ_CHECK(span->n_first + span->n_second == n);
    for (uint32_t i = 0; i < n; i++) {
        fuzz_use_shared(crossvm_spsc_rx_span_at(span, i), tx.queue.elem_len);
    }
}

static void fill_span(const struct crossvm_spsc_tx_span *span, uint32_t n, uint32_t elem_len)
{
    FUZZ_CHECK(span->n_first + span->n_second == n);
    for (uint32_t i = 0; i < n; i++) {
        void *place = crossvm_spsc_tx_span_at(span, i);
        FUZZ_CHECK(fuzz_writable(place, elem_len));
        memset(place, (int)i, elem_len);
    }
}

static void producer_sends(uint32_t n)
{
    struct crossvm_spsc_tx_span span;
    int status = FUZZ_CALL(crossvm_exchange_tx_reserve, (&tx, n, &span), STEPS_ONE,
                           LINKED | FUZZ_S(FULL) | FUZZ_S(INVALID), 0);
    producer_answered(status);
    if (status == CROSSVM_OK) {
        fill_span(&span, n, tx.queue.elem_len);
    }
    producer_answered(FUZZ_CALL(crossvm_exchange_tx_commit, (&tx, n / 2 + 1), STEPS_ONE,
                                LINKED | FUZZ_S(INVALID), 0));
}

static void producer_looks(uint32_t n)
{
    struct crossvm_exchange_tx_span span;
    struct crossvm_spsc_rx_span left;
    int status = FUZZ_CALL(crossvm_exchange_tx_peek, (&tx, n, &span), STEPS_ONE,
                           LINKED | FUZZ_S(EMPTY) | FUZZ_S(INVALID), 0);
    producer_answered(status);
    if (status == CROSSVM_OK) {
        use_span(&span.sent, n);
        use_span(&span.answers, n);
    }
    producer_answered(FUZZ_CALL(crossvm_exchange_tx_release, (&tx, n / 2 + 1), STEPS_ONE,
                                LINKED | FUZZ_S(INVALID), 0));
    uint32_t n_left = FUZZ_PLAIN(crossvm_exchange_tx_unanswered, (&tx, &left), 0);
    fuzz_done();
    if (tx.queue.state == CROSSVM_OK) {
        FUZZ_CHECK(n_left <= tx.queue.capacity);
        use_span(&left, n_left);
    }
}

static void producer_restart(bool insists)
{
    memset(&sticky, 0, sizeof(sticky));
    int status = FUZZ_CALL(
        crossvm_exchange_tx_open,
        (&tx, &way->queue.a.owner.region, &way->queue.tx_chunk, insists ? 12 : 0, 9), STEPS_OPEN,
        FUZZ_S(MISMATCH) | FUZZ_S(CORRUPT) | (way->shared ? FUZZ_S(STALE) : 0), 0);
    over = status == CROSSVM_MISMATCH || status == CROSSVM_STALE;
    if (!over) {
        fuzz_sticky(&sticky, status, &tx.queue.fault, &way->queue.tx_part);
    }
    /* Nothing else of the exchange may be called on one that was not opened. */
    over = over || status == CROSSVM_CORRUPT;
}

static void producer_call(uint8_t op, uint8_t arg)
{
    uint64_t again_ns;
    switch (op % 8) {
    case 0:
        producer_answered(
            FUZZ_CALL(crossvm_exchange_tx_push, (&tx, elem), STEPS_ONE, LINKED | FUZZ_S(FULL), 0));
        break;
    case 1:
        producer_sends(arg % N_MAX);
        break;
    case 2:
        producer_answered(
            FUZZ_CALL(crossvm_exchange_tx_take,
                      (&tx, elem + ROOM - (tx.queue.elem_len <= ROOM ? tx.queue.elem_len : 0)),
                      STEPS_ONE, LINKED | FUZZ_S(EMPTY), 0));
        fuzz_use(elem, ROOM);
        break;
    case 3:
        producer_looks(arg % N_MAX);
        break;
    case 4:
        producer_answered(
            FUZZ_CALL(crossvm_exchange_tx_answered, (&tx), STEPS_ONE, LINKED, CAPACITY_MAX));
        break;
    case 5:
        producer_answered(FUZZ_CALL(crossvm_exchange_tx_link,
                                    (&tx, &way->queue.b.reader, &way->queue.rx_chunk), STEPS_LINK,
                                    LINKED, 0));
        break;
    case 6:
        producer_answered(FUZZ_CALL(crossvm_exchange_tx_arm, (&tx, arg % N_MAX, arg), STEPS_ARM,
                                    LINKED | FUZZ_S(INVALID), 1));
        break;
    default:
        (void)FUZZ_CALL(crossvm_spsc_tx_kick, (&tx.queue, arg, &again_ns), STEPS_ONE, 0, 1);
        if (arg % 4 == 0) {
            producer_restart(arg % 8 == 0);
        }
        break;
    }
    producer_holds();
}

/* ---- client ---------------------------------------------------------------------------------- */

static void client_holds(void)
{
    const struct crossvm_spsc_rx *queue = &rx.queue;
    if (queue->state == CROSSVM_OK) {
        FUZZ_CHECK(queue->tail - queue->head <= queue->capacity);
        FUZZ_CHECK(queue->mask == queue->capacity - 1 && queue->elem_len <= queue->stride);
        FUZZ_CHECK((uint64_t)queue->stride * queue->capacity <= ROOM);
    }
}

static void client_answered(int status)
{
    fuzz_sticky(&sticky, status, &rx.queue.fault, &way->queue.tx_part);
}

static void client_in_place(uint32_t n)
{
    struct crossvm_exchange_rx_span span;
    int status = FUZZ_CALL(crossvm_exchange_rx_peek, (&rx, n, &span), STEPS_ONE,
                           LINKED | FUZZ_S(EMPTY) | FUZZ_S(INVALID), 0);
    client_answered(status);
    if (status == CROSSVM_OK) {
        for (uint32_t i = 0; i < n; i++) {
            fuzz_use_shared(crossvm_spsc_rx_span_at(&span.elements, i), rx.queue.elem_len);
        }
        fill_span(&span.answers, n, rx.queue.elem_len);
    }
    client_answered(FUZZ_CALL(crossvm_exchange_rx_commit, (&rx, n / 2 + 1), STEPS_ONE,
                              LINKED | FUZZ_S(INVALID), 0));
}

static void client_restart(void)
{
    memset(&sticky, 0, sizeof(sticky));
    uint32_t elem_len = rx.queue.elem_len == ELEM_MAX ? ELEM_MAX : 12;
    int status =
        FUZZ_CALL(crossvm_exchange_rx_open,
                  (&rx, &way->queue.b.owner.region, &way->queue.rx_chunk, CAPACITY, elem_len, 5),
                  STEPS_OPEN, FUZZ_S(MISMATCH) | FUZZ_S(CORRUPT), 0);
    fuzz_sticky(&sticky, status, &rx.queue.fault, &way->queue.rx_part);
    over = status != CROSSVM_OK;
}

static void client_call(uint8_t op, uint8_t arg)
{
    uint64_t again_ns;
    unsigned char *exact = elem + ROOM - rx.queue.elem_len;
    switch (op % 8) {
    case 0:
        client_answered(
            FUZZ_CALL(crossvm_exchange_rx_get, (&rx, exact), STEPS_ONE, LINKED | FUZZ_S(EMPTY), 0));
        fuzz_use(elem, ROOM);
        break;
    case 1:
    case 2:
        client_answered(FUZZ_CALL(crossvm_exchange_rx_answer, (&rx, exact), STEPS_ONE,
                                  LINKED | FUZZ_S(EMPTY), 0));
        break;
    case 3:
    case 4:
        client_in_place(arg % N_MAX);
        break;
    case 5:
        client_answered(FUZZ_CALL(crossvm_exchange_rx_link, (&rx, way->to_tx, &way->queue.tx_chunk),
                                  STEPS_LINK, LINKED | FUZZ_S(NO_SPACE), 0));
        break;
    case 6:
        (void)FUZZ_CALL(crossvm_exchange_rx_kick, (&rx, arg, &again_ns), STEPS_ONE, 0, 1);
        fuzz_use_number(again_ns);
        break;
    default:
        client_restart();
        break;
    }
    client_holds();
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void producer_begin(bool back)
{
    struct fuzz_queue *queue = &way->queue;
    const struct fuzz_part *own = fuzz_part_add(&queue->tx_part, false);
    const struct fuzz_part *peer = fuzz_part_add(&queue->rx_part, true);
    fuzz_queue_hot_rx(peer);
    fuzz_queue_keep_tx(own);
    if (way->shared) {
        /* The client can write this part, too. */
        const struct fuzz_part *also = fuzz_part_add(&queue->tx_part, true);
        fuzz_hot(also, 0, 2);
        fuzz_hot(also, 128, 6);
    }
    fuzz_around(&tx.queue.tail);
    fuzz_around(&tx.queue.head);
    fuzz_around(&tx.queue.taken);
    fuzz_around(&tx.queue.answered);
    if (back) {
        fuzz_scribble(own, fuzz_queue_own, 12, 3);
        producer_restart(false);
    }
}

static void client_begin(bool back)
{
    struct fuzz_queue *queue = &way->queue;
    const struct fuzz_part *own = fuzz_part_add(&queue->rx_part, false);
    const struct fuzz_part *peer = fuzz_part_add(&queue->tx_part, true);
    fuzz_queue_hot_tx(peer);
    fuzz_queue_keep_rx(own);
    if (way->shared) {
        /* Its answers go into the producer's elements, and nowhere else. */
        const struct fuzz_part *elements = fuzz_part_add(&queue->tx_part, false);
        fuzz_keep(elements, 0, CROSSVM_SPSC_CONTROL_LEN);
    }
    fuzz_around(&rx.queue.head);
    fuzz_around(&rx.queue.tail);
    fuzz_around(&rx.queue.request);
    if (back) {
        fuzz_scribble(own, fuzz_queue_own, 12, 3);
        client_restart();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    enum role role = (enum role)(first % ROLES);
    way = &ways[first / 128];
    fuzz_image_restore(&way->images[first / ROLES % 32 % FUZZ_QUEUE_STATES]);
    memset(&sticky, 0, sizeof(sticky));
    over = false;
    bool produces = role == PRODUCER || role == PRODUCER_BACK;
    if (produces) {
        producer_begin(role == PRODUCER_BACK);
    } else {
        client_begin(role == CLIENT_BACK);
    }
    for (unsigned i = 0; i < FUZZ_CALLS && !over && fuzz_more(&op, &arg); i++) {
        if (produces) {
            producer_call(op, arg);
        } else {
            client_call(op, arg);
        }
    }
    return 0;
}
