/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer that dies in front of its DIE-th store while it answers, restarts, and answers the
 * same request again, beside the consumer. Nobody is called corrupt, and the queue comes up.
 *
 *   DIE      stores that the first incarnation lives to make while it answers
 *   REFUSES  the first incarnation grants only elements of 8 bytes, the second any
 */
#include "round.h"

/* A name has a region's id in it, of whose four words the checker's copy of the headers stores one. */
#define DIE_MORE 3
#include "mortal.h"

#include "pair.h"

#ifndef DIE
#define DIE 4
#endif
#if defined(REFUSES)
#define FIRST_LEN 8u
#else
#define FIRST_LEN 0u
#endif

static MODEL_STATE struct crossvm_chunk tx_chunk;
static MODEL_STATE struct crossvm_chunk rx_chunk;
static MODEL_STATE struct crossvm_spsc_tx first_tx;
static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx rx;

static void *produce(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    (void)pair_tx_link(&first_tx, &rx_chunk);
    model_restarts();
    assert(pair_tx_open(&tx, &tx_chunk, 0) == CROSSVM_OK);
    int status = pair_tx_link(&tx, &rx_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    int status = pair_rx_link(&rx, &tx_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED);
    return NULL;
}

static void prepare(void)
{
    pair_start(&tx_chunk, &rx_chunk);
    assert(pair_tx_open(&first_tx, &tx_chunk, FIRST_LEN) == CROSSVM_OK);
    assert(pair_rx_open(&rx, &rx_chunk, 4, 4) == CROSSVM_OK);
}

static void judge(void)
{
    pair_settles(&tx, &rx, &tx_chunk, &rx_chunk, 4, 4);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
