/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A side starts again and again; the peer that asks for its incarnation gets the base of that very
 * incarnation or is told to ask again.
 *
 *   DIE   the second start dies in front of its DIE-th store (3 = it lives)
 *   SAME  every start is given the same seed: a death in between must not hide a start
 */
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

static struct crossvm_le32 base;
static struct crossvm_le32 incarnation;
static uint32_t numbers[4]; /* of the starts 1 to 3, 0 = it died */

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
    numbers[2] = DIE == 3 ? crossvm_load_relaxed(&incarnation) : 0;
    start(3);
    numbers[3] = crossvm_load_relaxed(&incarnation);
    return NULL;
}

static struct crossvm_spsc_peer seen;
static int status;

static void *ask(void *unused)
{
    (void)unused;
    status = crossvm_i_spsc_peer(&base, &incarnation, &seen);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    start(1);
    numbers[1] = crossvm_load_relaxed(&incarnation);
    pthread_create(&threads[0], NULL, start_again, NULL);
    pthread_create(&threads[1], NULL, ask, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert(numbers[3] != numbers[1]);
    if (status == CROSSVM_OK) {
        uint32_t which = seen.base / 100;
        assert(which >= 1 && which <= 3 && numbers[which] == seen.incarnation);
    }
    return 0;
}
