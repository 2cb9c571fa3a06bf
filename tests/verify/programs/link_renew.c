/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rx part was renewed while its first request had been answered but nothing had flowed: the new
 * consumer's first request bears the same number. While the producer answers it, the consumer must
 * not take words of the old answer for the new one's.
 *
 *   FIRST   elements that the first consumer asked for: 8 is granted, 32 was refused
 *   FIRST_LEN  and of which length (16 bytes and more do not fit, either)
 */
#include "round.h"

#include "pair.h"

#ifndef FIRST
#define FIRST 8u
#endif
#define FIRST_LEN 8u
#define LAST      4u
#define LAST_LEN  4u

static MODEL_STATE struct crossvm_chunk tx_chunk;
static MODEL_STATE struct crossvm_chunk old_chunk;
static MODEL_STATE struct crossvm_chunk new_chunk;
static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx old_rx;
static MODEL_STATE struct crossvm_spsc_rx new_rx;

static void *produce(void *unused)
{
    (void)unused;
    int status = pair_tx_link(&tx, &new_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

static void *consume(void *unused)
{
    (void)unused;
    assert(pair_rx_open(&new_rx, &new_chunk, LAST, LAST_LEN) == CROSSVM_OK);
    int status = pair_rx_link(&new_rx, &tx_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

static void prepare(void)
{
    pair_start(&tx_chunk, &old_chunk);
    pair_chunk(&new_chunk, CROSSVM_KIND_SPSC_RX, 3);
    assert(pair_tx_open(&tx, &tx_chunk, 0) == CROSSVM_OK);
    assert(pair_rx_open(&old_rx, &old_chunk, FIRST, FIRST_LEN) == CROSSVM_OK);
    (void)pair_tx_link(&tx, &old_chunk);
    crossvm_i_wipe(&pair_regions[PAIR_OWNER], new_chunk.off, new_chunk.length);
    crossvm_i_chunk_start(&pair_regions[PAIR_OWNER], &new_chunk);
}

static void judge(void)
{
    pair_settles(&tx, &new_rx, &tx_chunk, &new_chunk, LAST, LAST_LEN);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
