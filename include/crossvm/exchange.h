/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/exchange.h - elements that come back: the producer fills an element, the client answers
 * it, the producer takes the answer, all in order and in place. One ring for both directions.
 *
 * Layer 3, on spsc.h: the same parts, words and handshake; a place is free again only when its
 * answer was taken back. Roles: one producer, one client. Where the client answers depends on the
 * kind of the producer's part:
 *
 *   EXCHANGE_TX         in its own part, at the same place: every byte has one writer, and the
 *                       producer's memory may be read-only for the client. The client's part has
 *                       room for as many elements
 *   EXCHANGE_TX_SHARED  in the element itself, which both write in turn: half the memory, and a
 *                       request need not be copied to be changed; but the client must be able to
 *                       write the producer's part, whatever else it writes there (docs/TRUST.md)
 *
 * Shared bytes: those of a queue's two parts, under other kinds (spsc.h has the tables). In the
 * producer's part, kind EXCHANGE_TX or EXCHANGE_TX_SHARED, the tail counts the elements that were
 * ever sent, and `taken`, at 148, the answers ever taken back; from 512 on lie the elements,
 * capacity x stride bytes, which the client writes in its turn if they are SHARED. In the client's
 * part, kind EXCHANGE_RX, the head counts the elements ever answered; from 512 on lie its answers,
 * capacity x stride bytes, unless the elements are SHARED. All counts run freely.
 *
 * taken <= head <= tail <= taken + capacity, each judged when it was read from the other side, or
 * after a restart. Whose turn a place is: from taken to head the producer's, from head to tail the
 * client's, the others are free and the producer's.
 *
 * Ordering edges: those of spsc.h, of which two carry more here:
 *
 *   spsc_tail  tail, release -> tail, acquire: the index brings the elements
 *   spsc_head  head, release -> head, acquire: the index brings the answers
 *
 * What is published and not answered survives its client: the next one begins with it. A restarted
 * producer may see again answers that it took and did not give back: at least once.
 */
#ifndef CROSSVM_EXCHANGE_H
#define CROSSVM_EXCHANGE_H

#include "spsc.h"

CROSSVM_EXTERN_C_BEGIN

/* The producer's handle. Waking and the peer's incarnation go through `queue`:
 * crossvm_spsc_tx_kick, _nudge, _disarm, _peer, _peer_polls and _index; nothing else of the queue's
 * may be called. */
struct crossvm_exchange_tx {
    struct crossvm_spsc_tx queue; /* the elements on their way */
    const unsigned char *replies; /* where the answers lie */
    uint32_t shown_end;           /* the answers shown end here */
    bool shared;                  /* the client answers in the elements */
    bool device;                  /* the answers lie in an uncached mapping */
};

/* The client's handle. Waking and the peer's incarnation go through `queue`: crossvm_spsc_rx_arm,
 * _nudge, _disarm, _peer, _peer_polls, _index, _fill and _ask; nothing else of the queue's may be
 * called. */
struct crossvm_exchange_rx {
    struct crossvm_spsc_rx queue; /* the elements to be answered */
    unsigned char *replies;       /* where it answers */
    bool device;                  /* and that is in an uncached mapping */
};

/* Elements that were answered. `sent` is what the producer wrote: in SHARED elements the same bytes
 * as the answers. */
struct crossvm_exchange_tx_span {
    struct crossvm_spsc_rx_span sent;    /* the elements */
    struct crossvm_spsc_rx_span answers; /* the answer to each */
};

/* Elements to be answered, and where: with SHARED elements the same bytes. */
struct crossvm_exchange_rx_span {
    struct crossvm_spsc_rx_span elements; /* what was sent */
    struct crossvm_spsc_tx_span answers;  /* the place for the answer to each */
};

/* ---- producer: coming up ------------------------------------------------------------------- */

/* Opens the producer's part, the first time or after a restart. elem_len: the only element length
 * that it grants, 0 = any. seed: as crossvm_spsc_tx_open. Role: the producer, alone. Wait-free.
 * Trust: own old words are judged; a client of SHARED elements could have written them, so insist
 * on elem_len there.
 * OK, then crossvm_exchange_tx_link; TYPE neither an EXCHANGE_TX nor an EXCHANGE_TX_SHARED; all
 * else as crossvm_spsc_tx_open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_open(struct crossvm_exchange_tx *tx,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk,
                                                              uint32_t elem_len, uint32_t seed)
{
    bool shared = chunk->kind == CROSSVM_KIND_EXCHANGE_TX_SHARED;
    uint32_t kind = shared ? CROSSVM_KIND_EXCHANGE_TX_SHARED : CROSSVM_KIND_EXCHANGE_TX;
    struct crossvm_spsc_tx *queue = &tx->queue;
    int status = crossvm_i_spsc_tx_open(queue, region, chunk, kind, elem_len, seed);
    if (status != CROSSVM_OK) {
        return status;
    }
    tx->replies = NULL;
    tx->shared = shared;
    tx->device = region->device;
    tx->shown_end = queue->taken;
    return CROSSVM_OK;
}

/* Both parts name each other: the client's are judged for what a queue does not need of them. */
CROSSVM_INLINE int crossvm_i_exchange_tx_begin(struct crossvm_exchange_tx *tx, uint64_t room)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    const struct crossvm_spsc_rx_shm *peer = queue->peer;
    if (tx->shared) {
        tx->replies = queue->slots;
    } else {
        tx->replies = (const unsigned char *)peer + CROSSVM_SPSC_CONTROL_LEN;
        if (crossvm_i_spsc_geometry(queue->capacity, queue->elem_len, room) != CROSSVM_OK) {
            return crossvm_i_spsc_tx_fault(queue, &peer->capacity, queue->capacity,
                                           CROSSVM_RULE_SPSC_GRANT);
        }
    }
    if (queue->head - tx->queue.taken > queue->tail - tx->queue.taken) {
        return crossvm_i_spsc_tx_fault(queue, &peer->line.index, queue->head,
                                       CROSSVM_RULE_SPSC_INDEX);
    }
    return CROSSVM_OK;
}

/* Brings the exchange up from the producer's side; called again until it answers OK. A request for
 * more than there is room for, in the client's part, too, is refused with NO_SPACE.
 * region: of the client's part. chunk: the client's part. Role: the producer. Wait-free. Trust and
 * statuses as crossvm_spsc_tx_link; CORRUPT also for a head in front of what was taken, and for a
 * part that has become too short for the answers. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_link(struct crossvm_exchange_tx *tx,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    if (queue->state != CROSSVM_NOT_YET && queue->state != CROSSVM_REFUSED) {
        return queue->state;
    }
    uint64_t own_room = crossvm_i_spsc_room(&queue->chunk);
    uint64_t room = crossvm_i_spsc_room(chunk);
    queue->room = tx->shared || own_room < room ? own_room : room;
    tx->device = tx->shared ? queue->device : region->device;
    int status = crossvm_i_spsc_tx_link(queue, region, chunk, CROSSVM_KIND_EXCHANGE_RX);
    return status == CROSSVM_OK ? crossvm_i_exchange_tx_begin(tx, room) : status;
}

/* ---- producer: elements -------------------------------------------------------------------- */

/* Places that are free: their answers were taken back. */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_exchange_tx_free(const struct crossvm_exchange_tx *tx)
{
    return tx->queue.capacity - (tx->queue.tail - tx->queue.taken);
}

/* No place is free: looks whether the link still stands, and counts a refusal. */
CROSSVM_ALWAYS_INLINE int crossvm_i_exchange_tx_full(struct crossvm_exchange_tx *tx)
{
    int status = crossvm_i_spsc_tx_look(&tx->queue, 0);
    return crossvm_i_spsc_tx_refused(&tx->queue, status == CROSSVM_OK ? CROSSVM_FULL : status);
}

/* Reserves n places to be filled in place, as crossvm_spsc_tx_reserve does (aligned accesses in an
 * uncached mapping, here and below). Looks at nothing of the client's as long as places are free.
 * Role: the producer. Wait-free. OK; FULL fewer than n are
 * free: take answers back (counted as refused); INVALID n is 0 or exceeds the capacity; NOT_YET,
 * REFUSED not linked; STALE; CORRUPT with tx->queue.fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_reserve(struct crossvm_exchange_tx *tx,
                                                                 uint32_t n,
                                                                 struct crossvm_spsc_tx_span *span)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    if (queue->state != CROSSVM_OK) {
        return queue->state;
    }
    if (n == 0 || n > queue->capacity) {
        return CROSSVM_INVALID;
    }
    if (crossvm_i_exchange_tx_free(tx) < n) {
        return crossvm_i_exchange_tx_full(tx);
    }
    crossvm_i_spsc_tx_span(queue, n, span);
    queue->reserved_end = queue->tail + n;
    return CROSSVM_OK;
}

/* Publishes the first n of the reserved elements; the others are given back. Rings nobody: see
 * crossvm_spsc_tx_kick. Role: the producer. Wait-free. OK; INVALID more than were reserved (nothing
 * is published); NOT_YET, REFUSED, STALE, CORRUPT as reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_commit(struct crossvm_exchange_tx *tx,
                                                                uint32_t n)
{
    return crossvm_spsc_tx_commit(&tx->queue, n);
}

/* Publishes a copy of one element of the granted length. Role: the producer. Wait-free, bounded by
 * the element's length. OK; FULL, NOT_YET, REFUSED, STALE, CORRUPT as reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_push(struct crossvm_exchange_tx *tx,
                                                              const void *elem)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    if (queue->state != CROSSVM_OK) {
        return queue->state;
    }
    if (crossvm_i_exchange_tx_free(tx) == 0) {
        return crossvm_i_exchange_tx_full(tx);
    }
    crossvm_i_spsc_put_run(queue->device, crossvm_i_spsc_tx_slot(queue, queue->tail, queue->stride),
                           (const unsigned char *)elem, 1, queue->elem_len, queue->stride);
    crossvm_i_spsc_tx_publish(queue, 1);
    return CROSSVM_OK;
}

/* ---- producer: answers --------------------------------------------------------------------- */

/* Answers that are there now: 0 to capacity. The client can only make it more. Role: the producer.
 * Wait-free. NOT_YET, REFUSED, STALE, CORRUPT as reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_answered(struct crossvm_exchange_tx *tx)
{
    int status = crossvm_i_spsc_tx_look(&tx->queue, 0);
    return status == CROSSVM_OK ? (int)(tx->queue.head - tx->queue.taken) : status;
}

/* Elements without an answer, as far as it was seen: 0 to capacity, 0 before the exchange is linked
 * (crossvm_exchange_tx_answered looks). When the client is confirmed dead they can be sent
 * elsewhere. span: NULL, or shows them in place, in order; SHARED ones may bear half an answer.
 * Role: the producer. Wait-free. */
CROSSVM_INLINE uint32_t crossvm_exchange_tx_unanswered(const struct crossvm_exchange_tx *tx,
                                                       struct crossvm_spsc_rx_span *span)
{
    const struct crossvm_spsc_tx *queue = &tx->queue;
    uint32_t n = tx->replies == NULL ? 0 : queue->tail - queue->head;
    if (span != NULL) {
        __builtin_memset(span, 0, sizeof(*span));
    }
    if (span != NULL && n != 0) {
        crossvm_i_spsc_span(span, queue->slots, queue->head, n, queue->capacity, queue->stride);
    }
    return n;
}

/* Whether n answers are there. OK; EMPTY; NOT_YET, REFUSED, STALE, CORRUPT. */
CROSSVM_INLINE int crossvm_i_exchange_tx_there(struct crossvm_exchange_tx *tx, uint32_t n)
{
    const struct crossvm_spsc_tx *queue = &tx->queue;
    if (queue->state == CROSSVM_OK && queue->head - tx->queue.taken >= n) {
        return CROSSVM_OK;
    }
    int answered = crossvm_exchange_tx_answered(tx);
    if (answered < 0) {
        return answered;
    }
    return (uint32_t)answered >= n ? CROSSVM_OK : CROSSVM_EMPTY;
}

/* Shows the n oldest answers in place, in up to two stretches (crossvm_spsc_rx_span_at); they stay
 * the producer's until given back. A client that breaks the rules can change them meanwhile, and
 * what was sent, too, if the elements are SHARED: what must be judged, copy first, or take. In an
 * uncached mapping use aligned accesses. Role: the producer. Wait-free. OK; EMPTY fewer than n are
 * there; INVALID n is 0 or exceeds the
 * capacity; NOT_YET, REFUSED, STALE, CORRUPT as reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_peek(struct crossvm_exchange_tx *tx,
                                                              uint32_t n,
                                                              struct crossvm_exchange_tx_span *span)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    if (queue->state == CROSSVM_OK && (n == 0 || n > queue->capacity)) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_exchange_tx_there(tx, n);
    if (status != CROSSVM_OK) {
        return status;
    }
    crossvm_i_spsc_span(&span->sent, queue->slots, queue->taken, n, queue->capacity, queue->stride);
    crossvm_i_spsc_span(&span->answers, tx->replies, queue->taken, n, queue->capacity,
                        queue->stride);
    tx->shown_end = tx->queue.taken + n;
    return CROSSVM_OK;
}

CROSSVM_INLINE void crossvm_i_exchange_tx_give_back(struct crossvm_exchange_tx *tx, uint32_t n)
{
    crossvm_i_read_once();
    tx->queue.taken += n;
    /* For a restart alone: nobody else reads it. No byte of the places is stored before it. */
    crossvm_store_relaxed(&tx->queue.own->taken, tx->queue.taken);
    crossvm_i_read_once();
}

/* Gives the places of the n oldest answers shown back, to be filled again; the others may be looked
 * at again. Role: the producer. Wait-free. OK; INVALID more than were shown, or some of those were
 * taken since (nothing is given back); NOT_YET, REFUSED, STALE, CORRUPT as reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_release(struct crossvm_exchange_tx *tx,
                                                                 uint32_t n)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    if (queue->state != CROSSVM_OK) {
        return queue->state;
    }
    uint32_t shown = tx->shown_end - tx->queue.taken;
    if (n > shown || shown > queue->head - tx->queue.taken) {
        return CROSSVM_INVALID;
    }
    crossvm_i_exchange_tx_give_back(tx, n);
    return CROSSVM_OK;
}

/* Copies the oldest answer out and gives its place back. dst: elem_len bytes. Role: the producer.
 * Wait-free, bounded by the element's length. Trust: the contents are the client's, copied once:
 * judge the copy. OK; EMPTY; NOT_YET, REFUSED, STALE, CORRUPT as reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_take(struct crossvm_exchange_tx *tx,
                                                              void *dst)
{
    const struct crossvm_spsc_tx *queue = &tx->queue;
    int status = crossvm_i_exchange_tx_there(tx, 1);
    if (status != CROSSVM_OK) {
        return status;
    }
    size_t at = crossvm_i_multiply(queue->stride, tx->queue.taken & queue->mask);
    crossvm_i_spsc_take_run(tx->device, (unsigned char *)dst, tx->replies + at, 1, queue->elem_len,
                            queue->stride);
    crossvm_i_exchange_tx_give_back(tx, 1);
    return CROSSVM_OK;
}

/* Asks to be rung when at least `want` answers are there. want: a watermark, 1 for any. delay_ns:
 * as crossvm_spsc_rx_arm. Role: the producer, about to sleep. 1 they are there already, don't sleep
 * (and nothing is armed); 0 armed: crossvm_spsc_tx_nudge, then sleep; INVALID want is 0 or exceeds
 * the capacity; NOT_YET, REFUSED, STALE, CORRUPT as reserve. Wait-free. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_tx_arm(struct crossvm_exchange_tx *tx,
                                                             uint32_t want, uint64_t delay_ns)
{
    struct crossvm_spsc_tx *queue = &tx->queue;
    int answered = crossvm_exchange_tx_answered(tx);
    if (answered < 0) {
        return answered;
    }
    if (want == 0 || want > queue->capacity) {
        return CROSSVM_INVALID;
    }
    if ((uint32_t)answered < want) {
        (void)crossvm_wake_at(&queue->waiter, tx->queue.taken + want - 1, delay_ns);
        answered = crossvm_exchange_tx_answered(tx);
    }
    if (answered < 0 || (uint32_t)answered >= want) {
        crossvm_spsc_tx_disarm(queue);
        return answered < 0 ? answered : 1;
    }
    return 0;
}

/* ---- client -------------------------------------------------------------------------------- */

/* Opens the client's part, the first time or after a restart, and asks for an exchange. capacity,
 * elem_len, seed: as crossvm_spsc_rx_open. Role: the client, alone. Wait-free. Trust: own old words
 * are judged. OK, then crossvm_exchange_rx_link; TYPE not an EXCHANGE_RX; all else as
 * crossvm_spsc_rx_open. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_open(struct crossvm_exchange_rx *rx,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk,
                                                              uint32_t capacity, uint32_t elem_len,
                                                              uint32_t seed)
{
    rx->replies = NULL;
    rx->device = region->device;
    return crossvm_i_spsc_rx_open(&rx->queue, region, chunk, CROSSVM_KIND_EXCHANGE_RX, capacity,
                                  elem_len, seed);
}

/* Brings the exchange up from the client's side; called again until it answers OK.
 * region: of the producer's part, which SHARED elements need writable. chunk: the producer's part.
 * Role: the client. Wait-free. Trust and statuses as crossvm_spsc_rx_link; TYPE neither an
 * EXCHANGE_TX nor an EXCHANGE_TX_SHARED; ROLE also if the elements are SHARED and the mapping is
 * read-only; NO_SPACE the elements are not SHARED and the client's part has no room for so many
 * answers: declare it with n and len. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_link(struct crossvm_exchange_rx *rx,
                                                              const struct crossvm_region *region,
                                                              const struct crossvm_chunk *chunk)
{
    struct crossvm_spsc_rx *queue = &rx->queue;
    bool shared = chunk->kind == CROSSVM_KIND_EXCHANGE_TX_SHARED;
    uint32_t kind = shared ? CROSSVM_KIND_EXCHANGE_TX_SHARED : CROSSVM_KIND_EXCHANGE_TX;
    if (queue->state != CROSSVM_NOT_YET && queue->state != CROSSVM_REFUSED) {
        return queue->state;
    }
    if (shared && !region->writable) {
        return CROSSVM_ROLE;
    }
    uint64_t room = shared ? UINT64_MAX : crossvm_i_spsc_room(&queue->chunk);
    int status = crossvm_i_spsc_rx_link(queue, region, chunk, kind, room);
    if (status != CROSSVM_OK) {
        return status;
    }
    rx->replies = (unsigned char *)queue->own;
    if (shared) {
        rx->device = region->device;
        rx->replies = (unsigned char *)crossvm_i_control(region, chunk);
    }
    rx->replies += CROSSVM_SPSC_CONTROL_LEN;
    return CROSSVM_OK;
}

/* Whether an element without an answer is there. OK; EMPTY; NOT_YET, REFUSED, STALE, CORRUPT. */
CROSSVM_INLINE int crossvm_i_exchange_rx_there(struct crossvm_exchange_rx *rx)
{
    const struct crossvm_spsc_rx *queue = &rx->queue;
    if (queue->state == CROSSVM_OK && queue->tail != queue->head) {
        return CROSSVM_OK;
    }
    return crossvm_i_spsc_rx_look(&rx->queue, 1);
}

CROSSVM_INLINE void crossvm_i_exchange_rx_hand_back(struct crossvm_exchange_rx *rx, uint32_t n)
{
    crossvm_i_read_once();
    rx->queue.head += n;
    crossvm_i_spsc_rx_publish(&rx->queue);
}

/* Shows the n oldest elements without an answer, in place, and the places for their answers, each
 * in up to two stretches (crossvm_spsc_rx_span_at, crossvm_spsc_tx_span_at); an answer's old bytes
 * are of no meaning, unless the elements are SHARED. A producer that breaks the rules can change
 * the elements meanwhile: what must be judged, copy first, or get. In an uncached mapping use
 * aligned accesses. Role: the client. Wait-free.
 * OK; EMPTY fewer than n are there; INVALID n is 0 or exceeds the capacity; NOT_YET, REFUSED not
 * linked; STALE; CORRUPT with rx->queue.fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_peek(struct crossvm_exchange_rx *rx,
                                                              uint32_t n,
                                                              struct crossvm_exchange_rx_span *span)
{
    struct crossvm_spsc_rx *queue = &rx->queue;
    int status = crossvm_spsc_rx_peek(queue, n, &span->elements);
    if (status != CROSSVM_OK) {
        return status;
    }
    span->answers.first = rx->replies + (span->elements.first - queue->slots);
    span->answers.second = rx->replies;
    span->answers.n_first = span->elements.n_first;
    span->answers.n_second = span->elements.n_second;
    span->answers.stride = span->elements.stride;
    return CROSSVM_OK;
}

/* Hands the n oldest of the elements shown back, with their answers in place; published before the
 * call returns. Rings nobody: see crossvm_exchange_rx_kick. Role: the client. Wait-free. OK;
 * INVALID more than were shown, or some of those were answered since (nothing is handed back);
 * NOT_YET, REFUSED, STALE, CORRUPT as peek. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_commit(struct crossvm_exchange_rx *rx,
                                                                uint32_t n)
{
    struct crossvm_spsc_rx *queue = &rx->queue;
    if (queue->state != CROSSVM_OK) {
        return queue->state;
    }
    uint32_t shown = queue->shown_end - queue->head;
    if (n > shown || shown > queue->tail - queue->head) {
        return CROSSVM_INVALID;
    }
    crossvm_i_exchange_rx_hand_back(rx, n);
    return CROSSVM_OK;
}

/* Copies the oldest element without an answer; it stays the client's until answered. dst: elem_len
 * bytes. Role: the client. Wait-free, bounded by the element's length. Trust: the contents are the
 * producer's, copied once: judge the copy. OK; EMPTY; NOT_YET, REFUSED, STALE, CORRUPT as peek. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_get(struct crossvm_exchange_rx *rx,
                                                             void *dst)
{
    const struct crossvm_spsc_rx *queue = &rx->queue;
    int status = crossvm_i_exchange_rx_there(rx);
    if (status == CROSSVM_OK) {
        crossvm_i_spsc_take_run(queue->device, (unsigned char *)dst,
                                crossvm_i_spsc_rx_slot(queue, queue->head, queue->stride), 1,
                                queue->elem_len, queue->stride);
    }
    return status;
}

/* Answers the oldest element with a copy of elem_len bytes, and hands it back. answer: they are
 * copied from there. Role: the client.
 * Wait-free, bounded by the element's length. OK; EMPTY there is none; NOT_YET, REFUSED, STALE,
 * CORRUPT as peek. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_answer(struct crossvm_exchange_rx *rx,
                                                                const void *answer)
{
    const struct crossvm_spsc_rx *queue = &rx->queue;
    int status = crossvm_i_exchange_rx_there(rx);
    if (status != CROSSVM_OK) {
        return status;
    }
    size_t at = crossvm_i_multiply(queue->stride, queue->head & queue->mask);
    crossvm_i_spsc_put_run(rx->device, rx->replies + at, (const unsigned char *)answer, 1,
                           queue->elem_len, queue->stride);
    crossvm_i_exchange_rx_hand_back(rx, 1);
    return CROSSVM_OK;
}

/* Says whether to ring the producer for the answers: 1 ring, 0 don't. now_ns, again_ns: as
 * crossvm_wake_due. Role: the client, after one or many answers. Wait-free, one full fence; free of
 * cost when polling was chosen. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_exchange_rx_kick(struct crossvm_exchange_rx *rx,
                                                              uint64_t now_ns, uint64_t *again_ns)
{
    struct crossvm_spsc_rx *queue = &rx->queue;
    *again_ns = 0;
    if (queue->state != CROSSVM_OK || queue->kick.polling) {
        return 0;
    }
    int due = crossvm_wake_due(&queue->kick, queue->published, now_ns, again_ns);
    crossvm_i_spsc_rx_count(queue);
    return due;
}

CROSSVM_EXTERN_C_END

#endif
