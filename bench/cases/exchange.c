/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/exchange.c - a request and its answer, both filled and looked at where they lie: by
 * an exchange ("crossvm"), by one whose elements both sides write ("crossvm-shared"), and by two
 * queues ("crossvm-two-queues"). One at a time is latency; with 32 in flight the producer sends
 * whenever fewer are on their way, one by one. The time is that of one request with its answer.
 */
#include "../own.h"
#include "../queue.h"

#include <crossvm/exchange.h>

#define IN_FLIGHT 32u
#define ANSWER    ((uint64_t)1 << 32) /* what an answer's numbers are above the request's */

/* Requests of a trial: one at a time, and 32 in flight. */
#define ROUND_TRIPS   8192u
#define OPS_IN_FLIGHT 32768u

/* ---- an exchange ----------------------------------------------------------------------------- */

struct exchange {
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_exchange_tx tx;
    BENCH_ALIGNED(BENCH_LINE) struct crossvm_exchange_rx rx;
};

static void *prepare(const struct bench_case *self, bool shared)
{
    const struct crossvm_chunk_decl tx_decl = {"calls",
                                               shared ? CROSSVM_KIND_EXCHANGE_TX_SHARED
                                                      : CROSSVM_KIND_EXCHANGE_TX,
                                               self->capacity,
                                               self->elem_len,
                                               PRODUCER,
                                               CONSUMER,
                                               0,
                                               7};
    const struct crossvm_chunk_decl rx_decl = {"calls",
                                               CROSSVM_KIND_EXCHANGE_RX,
                                               shared ? 0 : self->capacity,
                                               shared ? 0 : self->elem_len,
                                               CONSUMER,
                                               PRODUCER,
                                               0,
                                               7};
    struct exchange *exchange = bench_take(sizeof(*exchange), BENCH_LINE);
    struct crossvm_exchange_tx *tx = &exchange->tx;
    struct crossvm_exchange_rx *rx = &exchange->rx;
    struct part a;
    struct part b;
    part_make(&a, &tx_decl, shared ? CROSSVM_READ_WRITE : CROSSVM_READ_ONLY);
    part_make(&b, &rx_decl, CROSSVM_READ_ONLY);
    int status = crossvm_exchange_rx_open(rx, &b.owner.region, &b.chunk, self->capacity,
                                          (uint32_t)self->elem_len, 1);
    bench_require(status == CROSSVM_OK, "exchange_rx_open");
    status = crossvm_exchange_tx_open(tx, &a.owner.region, &a.chunk, (uint32_t)self->elem_len, 1);
    bench_require(status == CROSSVM_OK, "exchange_tx_open");
    status = crossvm_exchange_tx_link(tx, &b.reader, &b.chunk);
    bench_require(status == CROSSVM_NOT_YET, "exchange_tx_link");
    bench_require(crossvm_exchange_rx_link(rx, &a.reader, &a.chunk) == CROSSVM_OK,
                  "exchange_rx_link");
    bench_require(crossvm_exchange_tx_link(tx, &b.reader, &b.chunk) == CROSSVM_OK,
                  "exchange_tx_link, again");
    return exchange;
}

static void *exchange_prepare(const struct bench_case *self)
{
    return prepare(self, false);
}

static void *shared_prepare(const struct bench_case *self)
{
    return prepare(self, true);
}

BENCH_INLINE bool exchange_send(struct exchange *exchange, uint64_t number, size_t len)
{
    struct crossvm_spsc_tx_span span;
    if (crossvm_exchange_tx_reserve(&exchange->tx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    queue_fill_run(span.first, len, number, 1, len);
    return crossvm_exchange_tx_commit(&exchange->tx, 1) == CROSSVM_OK;
}

BENCH_INLINE bool exchange_receive(struct exchange *exchange, uint64_t number, uint64_t *wrong,
                                   size_t len)
{
    struct crossvm_exchange_tx_span span;
    if (crossvm_exchange_tx_peek(&exchange->tx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    *wrong |= queue_wrong_run(span.answers.first, len, number + ANSWER, 1, len);
    return crossvm_exchange_tx_release(&exchange->tx, 1) == CROSSVM_OK;
}

BENCH_INLINE bool exchange_answer(struct exchange *exchange, uint64_t number, uint64_t *wrong,
                                  size_t len)
{
    struct crossvm_exchange_rx_span span;
    if (crossvm_exchange_rx_peek(&exchange->rx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    *wrong |= queue_wrong_run(span.elements.first, len, number, 1, len);
    queue_fill_run(span.answers.first, len, number + ANSWER, 1, len);
    return crossvm_exchange_rx_commit(&exchange->rx, 1) == CROSSVM_OK;
}

/* ---- two queues ------------------------------------------------------------------------------ */

struct two_queues {
    struct crossvm_queue *there;
    struct crossvm_queue *back;
};

static void *two_queues_prepare(const struct bench_case *self)
{
    struct two_queues *queues = bench_take(sizeof(*queues), BENCH_LINE);
    queues->there = crossvm_prepare(self);
    queues->back = crossvm_prepare(self);
    return queues;
}

BENCH_INLINE bool queue_send(struct crossvm_queue *queue, uint64_t number, size_t len)
{
    struct crossvm_spsc_tx_span span;
    if (crossvm_spsc_tx_reserve(&queue->tx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    queue_fill_run(span.first, len, number, 1, len);
    return crossvm_spsc_tx_commit(&queue->tx, 1) == CROSSVM_OK;
}

BENCH_INLINE bool queue_receive(struct crossvm_queue *queue, uint64_t number, uint64_t *wrong,
                                size_t len)
{
    struct crossvm_spsc_rx_span span;
    if (crossvm_spsc_rx_peek(&queue->rx, 1, &span) != CROSSVM_OK) {
        return false;
    }
    *wrong |= queue_wrong_run(span.first, len, number, 1, len);
    return crossvm_spsc_rx_release(&queue->rx, 1) == CROSSVM_OK;
}

BENCH_INLINE bool two_queues_send(struct two_queues *queues, uint64_t number, size_t len)
{
    return queue_send(queues->there, number, len);
}

BENCH_INLINE bool two_queues_receive(struct two_queues *queues, uint64_t number, uint64_t *wrong,
                                     size_t len)
{
    return queue_receive(queues->back, number + ANSWER, wrong, len);
}

/* No more answers are on their way than the queue back has room for. */
BENCH_INLINE bool two_queues_answer(struct two_queues *queues, uint64_t number, uint64_t *wrong,
                                    size_t len)
{
    return queue_receive(queues->there, number, wrong, len) &&
           queue_send(queues->back, number + ANSWER, len);
}

/* ---- loops ----------------------------------------------------------------------------------- */

/* Side 0 sends, never more than MOST without an answer; side 1 answers. */
#define CALL(WHO, TYPE, LEN, LOOP, MOST)                                            \
    static uint64_t WHO##_##LOOP##_call_##LEN(const struct bench_turn *turn)        \
    {                                                                               \
        TYPE *state = turn->state;                                                  \
        uint64_t end = turn->first + turn->n;                                       \
        uint64_t sent = turn->first;                                                \
        uint64_t wrong = 0;                                                         \
        unsigned tries = 0;                                                         \
        for (uint64_t i = turn->first; i != end;) {                                 \
            bool moved = false;                                                     \
            if (sent != end && sent - i < (MOST) && WHO##_send(state, sent, LEN)) { \
                sent++;                                                             \
                moved = true;                                                       \
            }                                                                       \
            if ((sent == end || sent - i == (MOST) || !moved) &&                    \
                WHO##_receive(state, i, &wrong, LEN)) {                             \
                i++;                                                                \
                moved = true;                                                       \
            }                                                                       \
            tries = moved ? 0 : tries;                                              \
            if (!moved) {                                                           \
                bench_retry(&tries);                                                \
            }                                                                       \
        }                                                                           \
        return wrong;                                                               \
    }

#define ANSWERS(WHO, TYPE, LEN)                                           \
    static uint64_t WHO##_answer_##LEN(const struct bench_turn *turn)     \
    {                                                                     \
        TYPE *state = turn->state;                                        \
        uint64_t wrong = 0;                                               \
        for (uint64_t i = turn->first; i != turn->first + turn->n; i++) { \
            unsigned tries = 0;                                           \
            while (!WHO##_answer(state, i, &wrong, LEN)) {                \
                bench_retry(&tries);                                      \
            }                                                             \
        }                                                                 \
        return wrong;                                                     \
    }

#define LOOPS(LEN)                                              \
    CALL(exchange, struct exchange, LEN, one, 1)                \
    CALL(exchange, struct exchange, LEN, flight, IN_FLIGHT)     \
    ANSWERS(exchange, struct exchange, LEN)                     \
    CALL(two_queues, struct two_queues, LEN, one, 1)            \
    CALL(two_queues, struct two_queues, LEN, flight, IN_FLIGHT) \
    ANSWERS(two_queues, struct two_queues, LEN)

LOOPS(8)
LOOPS(64)
LOOPS(1024)

/* ---- the cases ------------------------------------------------------------------------------- */

#define CASE(ROW, LEN, NAME, WHO, LOOP, PREPARE, N_OPS)                                  \
    {                                                                                    \
        .row = "exchange/" #LEN "B/" ROW, .who = NAME, .n_sides = 2, .n_ops = N_OPS,     \
        .n_warm = 2048, .elem_len = LEN, .capacity = 1024, .prepare = PREPARE, .side = { \
            WHO##_##LOOP##_call_##LEN,                                                   \
            WHO##_answer_##LEN                                                           \
        }                                                                                \
    }

#define ROWS(LEN, NAME, WHO, PREPARE)                              \
    CASE("round-trip", LEN, NAME, WHO, one, PREPARE, ROUND_TRIPS), \
        CASE("in-flight32", LEN, NAME, WHO, flight, PREPARE, OPS_IN_FLIGHT)

#define CASES(LEN)                                             \
    ROWS(LEN, "crossvm", exchange, exchange_prepare),          \
        ROWS(LEN, "crossvm-shared", exchange, shared_prepare), \
        ROWS(LEN, "crossvm-two-queues", two_queues, two_queues_prepare)

static const struct bench_case cases[] = {
    CASES(8),
    CASES(64),
    CASES(1024),
};

BENCH_REGISTER(cases)
