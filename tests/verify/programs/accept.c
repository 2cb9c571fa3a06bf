/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look is enough: a producer that finds its request accepted also finds by whom, and is linked.
 * (The loss of that edge, spsc_accept, costs nothing but time: the names would not fit yet.)
 */
#include "round.h"

#include "watch.h"
#include "pair.h"

#define REQUEST 1u

static MODEL_STATE struct crossvm_chunk tx_chunk;
static MODEL_STATE struct crossvm_chunk rx_chunk;
static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx rx;

static void *produce(void *unused)
{
    (void)unused;
    watch_begin();
    int status = pair_tx_link(&tx, &rx_chunk);
    watch_end();
    bool accepted = watch_last(&pair.rx.accepted) == REQUEST;
    assert(status == (accepted ? CROSSVM_OK : CROSSVM_NOT_YET));
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    assert(pair_rx_link(&rx, &tx_chunk) == CROSSVM_OK);
    return NULL;
}

static void prepare(void)
{
    pair_start(&tx_chunk, &rx_chunk);
    assert(pair_tx_open(&tx, &tx_chunk, 0) == CROSSVM_OK);
    assert(pair_rx_open(&rx, &rx_chunk, 2, 4) == CROSSVM_OK);
    assert(pair_tx_link(&tx, &rx_chunk) == CROSSVM_NOT_YET);
    watch_memory(&pair.tx, sizeof(pair) - PAIR_FRONT);
}

static void judge(void)
{
    assert(pair_tx_link(&tx, &rx_chunk) == CROSSVM_OK);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
