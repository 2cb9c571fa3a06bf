/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer that asks again and dies in front of its DIE-th store, restarts and asks for a third
 * geometry, beside a producer. Nobody is called corrupt, and the queue gets what was asked for
 * last.
 *
 *   DIE       stores that the first incarnation lives to make while it asks again
 *   ANSWERED  the first request was answered before the threads begin
 */
#include "round.h"

/* A name has a region's id in it, of whose four words the checker's copy of the headers stores one. */
#define DIE_MORE 3
#include "mortal.h"

#include "pair.h"

#ifndef DIE
#define DIE 1
#endif
#ifndef TX_LINKS
#define TX_LINKS 1
#endif

static MODEL_STATE struct crossvm_chunk tx_chunk;
static MODEL_STATE struct crossvm_chunk rx_chunk;
static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx first_rx;
static MODEL_STATE struct crossvm_spsc_rx rx;

static void *produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < TX_LINKS; i++) {
        int status = pair_tx_link(&tx, &rx_chunk);
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    }
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    assert(crossvm_spsc_rx_ask(&first_rx, 2, 4) == CROSSVM_OK);
    model_restarts();
    assert(pair_rx_open(&rx, &rx_chunk, 4, 4) == CROSSVM_OK);
    int status = pair_rx_link(&rx, &tx_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

static void prepare(void)
{
    pair_start(&tx_chunk, &rx_chunk);
    assert(pair_tx_open(&tx, &tx_chunk, 0) == CROSSVM_OK);
    assert(pair_rx_open(&first_rx, &rx_chunk, 8, 8) == CROSSVM_OK);
#if defined(ANSWERED)
    (void)pair_tx_link(&tx, &rx_chunk);
#endif
}

static void judge(void)
{
    pair_settles(&tx, &rx, &tx_chunk, &rx_chunk, 4, 4);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
