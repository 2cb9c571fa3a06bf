/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner renews one side's part of a queue while the other side makes a call. The call answers
 * what the old part said, or STALE, or NOT_YET where it links or asks for the peer's incarnation. It
 * mixes no words of the part with cleared ones: nobody is called corrupt or refused, the geometry is
 * what was asked for, indices and incarnation are those of before.
 *
 *   CALL  of the side whose part stays: push pop tx_link rx_link tx_peer rx_peer
 *   NEW   the two were never linked; else they have come back, and for all calls but tx_link and
 *         rx_link they have linked again
 */
#include "round.h"

#include "used.h"

#ifndef CALL
#define CALL pop
#endif
#define CALL_2(name) call_##name()
#define DO(name)     CALL_2(name)

static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx rx;
static MODEL_STATE struct crossvm_chunk renewed;
static MODEL_STATE uint32_t incarnation; /* of either side */

static __attribute__((__unused__)) void call_push(void)
{
    uint32_t elem[2];
    used_elem(elem, START, 1);
    int status = crossvm_spsc_tx_push(&tx, elem);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
}

static __attribute__((__unused__)) void call_pop(void)
{
    uint32_t elem[2];
    int status = crossvm_spsc_rx_pop(&rx, elem);
    assert(status == CROSSVM_EMPTY || status == CROSSVM_STALE);
}

static __attribute__((__unused__)) void call_tx_link(void)
{
    int status = pair_tx_link(&tx, &rx_chunk);
#if defined(NEW)
    assert(status == CROSSVM_NOT_YET || status == CROSSVM_STALE);
#else
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_STALE);
#endif
    assert(status != CROSSVM_OK || tx.head == START);
    assert(tx.answered == 0 || (tx.capacity == CAPACITY && tx.elem_len == ELEM_LEN));
}

static __attribute__((__unused__)) void call_rx_link(void)
{
    int status = pair_rx_link(&rx, &tx_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_STALE);
    assert(rx.capacity == CAPACITY && rx.elem_len == ELEM_LEN);
    assert(status != CROSSVM_OK || rx.tail == START);
}

static __attribute__((__unused__)) void judge_peer(int status, const struct crossvm_spsc_peer *peer)
{
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_STALE);
    assert(status != CROSSVM_OK || (peer->incarnation == incarnation && peer->base == START));
}

static __attribute__((__unused__)) void call_tx_peer(void)
{
    struct crossvm_spsc_peer peer;
    judge_peer(crossvm_spsc_tx_peer(&tx, &peer), &peer);
}

static __attribute__((__unused__)) void call_rx_peer(void)
{
    struct crossvm_spsc_peer peer;
    judge_peer(crossvm_spsc_rx_peer(&rx, &peer), &peer);
}

/* Which part is whose call's peer, and whether the two are linked before. */
#define PEER_OF_push       rx_chunk
#define PEER_OF_pop        tx_chunk
#define PEER_OF_tx_link    rx_chunk
#define PEER_OF_rx_link    tx_chunk
#define PEER_OF_tx_peer    rx_chunk
#define PEER_OF_rx_peer    tx_chunk
#define LINKED_FOR_tx_peer true
#define LINKED_FOR_rx_peer true
#define LINKED_FOR_push    true
#define LINKED_FOR_pop     true
#define LINKED_FOR_tx_link false
#define LINKED_FOR_rx_link false
#define PEER_2(name)       PEER_OF_##name
#define PEER_OF(name)      PEER_2(name)
#define LINKED_2(name)     LINKED_FOR_##name
#define LINKED_FOR(name)   LINKED_2(name)

static void *use(void *unused)
{
    (void)unused;
    DO(CALL);
    return NULL;
}

static void *renew(void *unused)
{
    const struct crossvm_region *owner = &pair_regions[PAIR_OWNER];
    (void)unused;
    crossvm_i_wipe(owner, renewed.off, renewed.length);
    crossvm_i_chunk_start(owner, &renewed);
    return NULL;
}

static void prepare(void)
{
    used_make();
#if !defined(NEW)
    used_past();
#endif
    used_tx_open(&tx);
    used_rx_open(&rx);
    if (LINKED_FOR(CALL)) {
        assert(pair_tx_link(&tx, &rx_chunk) == CROSSVM_OK);
        assert(pair_rx_link(&rx, &tx_chunk) == CROSSVM_OK);
    }
    incarnation = crossvm_load_relaxed(&pair.tx.incarnation);
    assert(incarnation != 0 && crossvm_load_relaxed(&pair.rx.incarnation) == incarnation);
    renewed.off = PEER_OF(CALL).off;
    renewed.length = PEER_OF(CALL).length;
    renewed.generation = PEER_OF(CALL).generation + 2;
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, use, renew)
