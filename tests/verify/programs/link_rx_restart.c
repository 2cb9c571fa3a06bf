/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer that asks again and dies in front of its DIE-th store, restarts and asks for a third
 * geometry, beside a producer. Nobody is called corrupt, and the queue gets what was asked for
 * last.
 *
 *   DIE       stores that the first incarnation lives to make while it asks again
 *   ANSWERED  the first request was answered before the threads begin
 */
#include "mortal.h"
#include "pair.h"

#ifndef DIE
#define DIE 1
#endif
#ifndef TX_LINKS
#define TX_LINKS 1
#endif

static struct crossvm_chunk tx_chunk;
static struct crossvm_chunk rx_chunk;
static struct crossvm_spsc_tx tx;
static struct crossvm_spsc_rx first_rx;
static struct crossvm_spsc_rx rx;

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
    (void)crossvm_spsc_rx_ask(&first_rx, 2, 4);
    model_restarts();
    assert(pair_rx_open(&rx, &rx_chunk, 4, 4) == CROSSVM_OK);
    int status = pair_rx_link(&rx, &tx_chunk);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    pair_format();
    pair_chunk(&tx_chunk, CROSSVM_KIND_SPSC_TX, 1);
    pair_chunk(&rx_chunk, CROSSVM_KIND_SPSC_RX, 2);
    crossvm_i_chunk_start(&pair_regions[PAIR_OWNER], &tx_chunk);
    crossvm_i_chunk_start(&pair_regions[PAIR_OWNER], &rx_chunk);
    assert(pair_tx_open(&tx, &tx_chunk, 0) == CROSSVM_OK);
    assert(pair_rx_open(&first_rx, &rx_chunk, 8, 8) == CROSSVM_OK);
#if defined(ANSWERED)
    (void)pair_tx_link(&tx, &rx_chunk);
#endif
    pthread_create(&threads[0], NULL, produce, NULL);
    pthread_create(&threads[1], NULL, consume, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    pair_settles(&tx, &rx, &tx_chunk, &rx_chunk, 4, 4);
    return 0;
}
