/* SPDX-License-Identifier: Apache-2.0 */
/*
 * B replies to the question of a life of A's that is over, then to the one of the life that is: the
 * numbers of the questions are equal. What A hears is the reply to its own, whole.
 *
 *   SAME  both questions are of the life that is, and bear two numbers
 */
#include "round.h"

#include "life.h"

#define QUESTION 2u
#if defined(SAME)
#define FIRST_ASKER    LIFE_A
#define FIRST_QUESTION (QUESTION - 1)
#else
#define FIRST_ASKER    (LIFE_A - 2)
#define FIRST_QUESTION QUESTION
#endif

static MODEL_STATE bool heard;

static void *reply(void *unused)
{
    (void)unused;
    b_peer.echo = FIRST_ASKER;
    b_peer.to_reply = FIRST_QUESTION;
    crossvm_i_peer_reply(&b_peer, 0x500000001u);
    b_peer.echo = LIFE_A;
    b_peer.to_reply = QUESTION;
    crossvm_i_peer_reply(&b_peer, 0x700000002u);
    return NULL;
}

static void *hear(void *unused)
{
    (void)unused;
    a_peer.question = QUESTION;
    heard = crossvm_i_peer_hear(&a_peer);
    if (heard) {
        assert(a_peer.sample.replied_ns == 0x700000002u);
    }
    return NULL;
}

static void prepare(void)
{
    life_up();
}

static void judge(void)
{
    assert(crossvm_i_peer_hear(&a_peer));
    assert(a_peer.sample.replied_ns == 0x700000002u);
}

MODEL_PROGRAM(prepare, judge, reply, hear)
