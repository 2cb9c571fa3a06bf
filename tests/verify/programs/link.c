/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both parts of a queue come up at once, and the consumer asks a second time: after a refusal, or
 * because it has changed its mind. No answer is made of words of two requests, no grant of words of
 * two answers, nobody is called corrupt, and in the end the queue has the geometry that was asked
 * for last.
 *
 *   FIRST     elements that the consumer asks for at first: 32 is refused, 8 is granted
 *   LAST, LAST_LEN  what it asks for at last; 16 of 8 and 8 of 16 fit, and 16 of 16 do not
 *   ANSWERED  the first request was answered before the threads begin
 *   TX_LINKS  calls of the producer's
 *   BEFORE    calls of the consumer's before it asks again (unless it is linked by then)
 *   AFTER     calls of the consumer's after it has asked again
 */
#include "round.h"

#include "pair.h"

#ifndef FIRST
#define FIRST 32u
#endif
#ifndef TX_LINKS
#define TX_LINKS 1
#endif
#ifndef BEFORE
#define BEFORE 0
#endif
#ifndef AFTER
#define AFTER 1
#endif
#define FIRST_LEN 8u
#ifndef LAST
#define LAST     4u
#define LAST_LEN 4u
#endif

static MODEL_STATE struct crossvm_chunk tx_chunk;
static MODEL_STATE struct crossvm_chunk rx_chunk;
static MODEL_STATE struct crossvm_spsc_tx tx;
static MODEL_STATE struct crossvm_spsc_rx rx;

static void *produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < TX_LINKS; i++) {
        int status = pair_tx_link(&tx, &rx_chunk);
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED);
        if (status == CROSSVM_OK) {
            assert((tx.capacity == LAST && tx.elem_len == LAST_LEN) ||
                   (FIRST != 32 && tx.capacity == FIRST && tx.elem_len == FIRST_LEN));
        } else if (status == CROSSVM_REFUSED) {
            assert(FIRST == 32 && tx.refusal == CROSSVM_NO_SPACE);
        }
    }
    return NULL;
}

static void *consume(void *unused)
{
    int status = CROSSVM_NOT_YET;
    (void)unused;
    for (int i = 0; i < BEFORE && status != CROSSVM_OK; i++) {
        status = pair_rx_link(&rx, &tx_chunk);
        assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET ||
               (status == CROSSVM_REFUSED && FIRST == 32 && rx.refusal == CROSSVM_NO_SPACE));
    }
    if (status != CROSSVM_OK) {
        assert(crossvm_spsc_rx_ask(&rx, LAST, LAST_LEN) == CROSSVM_OK);
        for (int i = 0; i < AFTER; i++) {
            status = pair_rx_link(&rx, &tx_chunk);
            assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
        }
    }
    return NULL;
}

static void prepare(void)
{
    pair_start(&tx_chunk, &rx_chunk);
    assert(pair_tx_open(&tx, &tx_chunk, 0) == CROSSVM_OK);
    assert(pair_rx_open(&rx, &rx_chunk, FIRST, FIRST_LEN) == CROSSVM_OK);
#if defined(ANSWERED)
    (void)pair_tx_link(&tx, &rx_chunk);
#endif
}

static void judge(void)
{
    pair_settles(&tx, &rx, &tx_chunk, &rx_chunk, rx.capacity, rx.elem_len);
}

MODEL_PROGRAM(prepare, judge, produce, consume)
