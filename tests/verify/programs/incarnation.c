/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A side starts again and again; the peer that asks for its incarnation gets the base of that very
 * incarnation or is told to ask again.
 *
 *   DIE   stores that the second start lives to make
 *   SAME  every start is given the same seed: a death in between must not hide a start. (Numbers
 *         alternate then. Who looks, while two starts that live go by, can take the base of the
 *         one for the other's: so the third start comes only behind a death.)
 */
#include "round.h"

#include "mortal.h"

#include "pair.h"

#ifndef DIE
#define DIE 3
#endif
#if defined(SAME)
#define SEED(start) 10u
#else
#define SEED(start) (10u * (start))
#endif

static MODEL_STATE struct crossvm_le32 base;
static MODEL_STATE struct crossvm_le32 incarnation;
static MODEL_STATE uint32_t numbers[4]; /* of the starts 1 to 3, 0 = it died or was not made */
static MODEL_STATE struct crossvm_spsc_peer seen;
static MODEL_STATE int status; /* of the question that it answers */

static void start(uint32_t which)
{
    crossvm_i_spsc_start(&base, &incarnation, which * 100, SEED(which));
}

static void *start_again(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    start(2);
    model_restarts();
    numbers[2] = model_died ? 0 : crossvm_load_relaxed(&incarnation);
#if defined(SAME)
    if (!model_died) {
        return NULL;
    }
#endif
    start(3);
    numbers[3] = crossvm_load_relaxed(&incarnation);
    return NULL;
}

static void *ask(void *unused)
{
    (void)unused;
    status = crossvm_i_spsc_peer(&base, &incarnation, &seen);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

static void prepare(void)
{
    start(1);
    numbers[1] = crossvm_load_relaxed(&incarnation);
}

static void judge(void)
{
    assert(numbers[1] != numbers[2] && numbers[2] != numbers[3] && numbers[3] != numbers[1]);
    if (status == CROSSVM_OK) {
        uint32_t which = seen.base / 100;
        assert(which >= 1 && which <= 3 && numbers[which] == seen.incarnation);
    }
}

MODEL_PROGRAM(prepare, judge, start_again, ask)
