/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two peers that are up: A with its life LIFE_A, B with LIFE_B. Their words and handles begin as open
 * and link leave them, and come up by steps.
 */
#ifndef LIFE_H
#define LIFE_H

#include <crossvm/peer.h>

#define LIFE_A 10u
#define LIFE_B 20u

static MODEL_STATE __attribute__((aligned(128))) struct crossvm_peer_shm a_words;
static MODEL_STATE __attribute__((aligned(128))) struct crossvm_peer_shm b_words;
static MODEL_STATE struct crossvm_peer a_peer;
static MODEL_STATE struct crossvm_peer b_peer;

static inline void life_open(struct crossvm_peer *peer, struct crossvm_peer_shm *own,
                             const struct crossvm_peer_shm *other)
{
    peer->own = own;
    peer->peer = other;
}

static inline int life_step(struct crossvm_peer *peer)
{
    return crossvm_peer_step(peer, 0);
}

static inline void life_up(void)
{
    life_open(&a_peer, &a_words, &b_words);
    life_open(&b_peer, &b_words, &a_words);
    crossvm_i_peer_start(&a_peer, LIFE_A / 2);
    crossvm_i_peer_start(&b_peer, LIFE_B / 2);
    assert(life_step(&a_peer) == CROSSVM_PEER_ANSWERING);
    assert(life_step(&b_peer) == CROSSVM_PEER_ANSWERING);
    assert(life_step(&a_peer) == CROSSVM_PEER_UP);
    assert(life_step(&b_peer) == CROSSVM_PEER_UP);
}

#endif
