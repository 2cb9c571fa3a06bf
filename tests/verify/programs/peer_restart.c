/* SPDX-License-Identifier: Apache-2.0 */
/*
 * B ends, beside an A that goes on: A learns why, by then sees everything that B had committed, and
 * is up with B's next life only once that has answered it.
 *
 *   DIE    stores that B's second life lives to make while it starts; then comes a third
 *   CLOSE  B closes instead of dying
 */
#include "round.h"

#include "mortal.h"

#include "life.h"

#ifndef DIE
#define DIE 5
#endif
#define STEPS 3 /* of A: it loses, answers, is up */

static MODEL_STATE struct crossvm_le32 committed; /* by B's first life, last */
static MODEL_STATE struct crossvm_le32 prepared;  /* by a later life, before it answers */

static void *end_and_come_back(void *unused)
{
    (void)unused;
    crossvm_store_relaxed(&committed, 1);
#if defined(CLOSE)
    assert(crossvm_peer_close(&b_peer) == CROSSVM_OK);
#else
    struct crossvm_peer *peer = &b_peer;
    model_dies_after(DIE);
    peer->state = CROSSVM_PEER_WAITING;
    crossvm_i_peer_start(peer, 15);
    model_restarts();
    if (model_died) {
        crossvm_i_peer_start(peer, 16);
    }
    crossvm_store_relaxed(&prepared, peer->incarnation);
    assert(life_step(peer) == CROSSVM_PEER_ANSWERING);
#endif
    return NULL;
}

static void *go_on(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < STEPS; i++) {
        int state = life_step(&a_peer);
        if (state == CROSSVM_PEER_LOST) {
#if defined(CLOSE)
            assert(a_peer.cause == CROSSVM_PEER_CAUSE_CLOSED);
#else
            assert(a_peer.cause == CROSSVM_PEER_CAUSE_RESTARTED);
#endif
            assert(crossvm_load_relaxed(&committed) == 1);
            assert(crossvm_peer_reestablish(&a_peer) == CROSSVM_OK);
        } else if (state == CROSSVM_PEER_UP && a_peer.echo != LIFE_B) {
            assert(crossvm_load_relaxed(&prepared) == a_peer.echo);
        }
        assert(state != CROSSVM_PEER_SUSPECT && state != CROSSVM_PEER_CLOSED);
    }
    return NULL;
}

static void prepare(void)
{
    life_up();
}

static void judge(void)
{
    assert(a_peer.incarnation == LIFE_A);
    assert(a_peer.echo == 0 || a_peer.echo == LIFE_B || a_peer.echo == b_peer.incarnation ||
           a_peer.echo == 30);
}

MODEL_PROGRAM(prepare, judge, end_and_come_back, go_on)
