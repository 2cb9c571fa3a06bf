/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program of this folder is made of: static state, `prepare`, the threads, and `judge`,
 * which is called when they have ended.
 *
 *   MODEL_STATE                             in front of everything static that a round changes
 *   MODEL_PROGRAM(prepare, judge, t1, ...)  makes main of them
 *
 * For the model checker (CROSSVM_MODEL) main is one round, and every execution of it is explored.
 * Otherwise the same source is a stress test: round after round the state is cleared and the
 * threads start together, each after a delay of its own. With MODEL_STEPS they are also held up at
 * any shared access, so that steps mix that would seldom meet. Include this file first.
 *
 *   MODEL_ROUNDS  rounds of a stress test, times CROSSVM_TEST_SCALE
 */
#ifndef ROUND_H
#define ROUND_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#undef NDEBUG /* the programs' asserts are what they are for, and do their work in them */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef void *model_thread(void *unused);

#if defined(CROSSVM_MODEL)

#define MODEL_STATE

#define MODEL_PROGRAM(prepare, judge, ...)                                    \
    int main(void)                                                            \
    {                                                                         \
        static model_thread *const threads[] = {__VA_ARGS__};                 \
        pthread_t ids[sizeof(threads) / sizeof(threads[0])];                  \
        prepare();                                                            \
        for (unsigned i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) { \
            pthread_create(&ids[i], NULL, threads[i], NULL);                  \
        }                                                                     \
        for (unsigned i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) { \
            pthread_join(ids[i], NULL);                                       \
        }                                                                     \
        judge();                                                              \
        return 0;                                                             \
    }

#else

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "check.h"

#if defined(MODEL_STEPS)
#define CROSSVM_HOOKS
#endif
#include <crossvm/atomic.h>

#ifndef MODEL_ROUNDS
#define MODEL_ROUNDS 50000
#endif
#define MODEL_MOST_THREADS 4

/* All state of a program lies in one section, which is cleared before each round. */
#define MODEL_STATE        __attribute__((section("model_state")))
extern unsigned char __start_model_state[];
extern unsigned char __stop_model_state[];

static struct {
    model_thread *const *threads;
    unsigned n_threads;
    unsigned long round;
    atomic_ulong started; /* rounds */
    atomic_uint ended;    /* threads of this round, the main one left out */
} model;

static _Thread_local uint64_t model_dice;

static inline unsigned long model_round(void)
{
    return model.round;
}

static inline void model_pause(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        crossvm_cpu_pause();
    }
}

/* Waits a little more idly each time: there may be fewer processors than threads. */
static inline void model_wait(unsigned *times)
{
    (*times)++;
    if (*times < 200) {
        crossvm_cpu_pause();
    } else {
        (void)sched_yield();
    }
}

#if defined(MODEL_STEPS)
void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    uint32_t thrown = check_random(&model_dice);
    (void)access;
    (void)addr;
    (void)len;
    if (thrown % 512 == 0) {
        (void)sched_yield();
    } else if (thrown % 8 == 0) {
        model_pause(thrown / 8 % 32);
    }
}
#endif

static inline void model_run(unsigned which)
{
    model_pause(check_random(&model_dice) % 16);
    (void)model.threads[which](NULL);
}

static void *model_helper(void *which)
{
    model_dice = (uintptr_t)which;
    for (unsigned long round = 1;; round++) {
        for (unsigned times = 0; atomic_load(&model.started) < round; model_wait(&times)) {
        }
        if (model.n_threads == 0) {
            return NULL;
        }
        model_run((unsigned)(uintptr_t)which);
        (void)atomic_fetch_add(&model.ended, 1);
    }
}

static inline void model_rounds(void (*prepare)(void), void (*judge)(void))
{
    unsigned long n_rounds = MODEL_ROUNDS * check_scale();
    unsigned n_helpers = model.n_threads - 1;
    for (model.round = 0; model.round < n_rounds; model.round++) {
        memset(__start_model_state, 0, (size_t)(__stop_model_state - __start_model_state));
        prepare();
        atomic_store(&model.ended, 0);
        (void)atomic_fetch_add(&model.started, 1);
        model_run(0);
        for (unsigned times = 0; atomic_load(&model.ended) < n_helpers; model_wait(&times)) {
        }
        judge();
    }
    printf("%lu rounds\n", n_rounds);
}

static inline int model_main(model_thread *const *threads, unsigned n_threads,
                             void (*prepare)(void), void (*judge)(void))
{
    pthread_t helpers[MODEL_MOST_THREADS];
    model.threads = threads;
    model.n_threads = n_threads;
    REQUIRE(n_threads >= 1 && n_threads <= MODEL_MOST_THREADS);
    for (uintptr_t i = 1; i < n_threads; i++) {
        REQUIRE(pthread_create(&helpers[i], NULL, model_helper, (void *)i) == 0);
    }
    model_rounds(prepare, judge);
    model.n_threads = 0;
    (void)atomic_fetch_add(&model.started, 1);
    for (unsigned i = 1; i < n_threads; i++) {
        REQUIRE(pthread_join(helpers[i], NULL) == 0);
    }
    return 0;
}

#define MODEL_PROGRAM(prepare, judge, ...)                                                    \
    int main(void)                                                                            \
    {                                                                                         \
        static model_thread *const threads[] = {__VA_ARGS__};                                 \
        return model_main(threads, sizeof(threads) / sizeof(threads[0]), (prepare), (judge)); \
    }

#endif

#endif
