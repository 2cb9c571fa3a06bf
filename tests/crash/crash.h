/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/crash/crash.h - a side dies behind each instruction of an operation that changed the shared
 * memory; on each such image all survivors carry on, each from the same beginning.
 *
 * A program here has a world (its private handles, all in one object), a table of operations, and
 * is run by crash_main. What a survivor answers is the outcome that it sees: how much of the
 * operation was committed, 0 none of it. The driver holds the outcomes to these rules:
 *
 *   - before the first instruction it is 0, behind the last one what the operation said itself;
 *   - in between it is all or nothing (in order, of an operation that commits by steps);
 *   - it never goes back from one image to the next;
 *   - all survivors of one image see the same.
 */
#ifndef CROSSVM_TESTS_CRASH_CRASH_H
#define CROSSVM_TESTS_CRASH_CRASH_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <crossvm/crossvm.h>

#include "../check.h"

#if defined(__x86_64__) && defined(__linux__)
#define CRASH_HERE 1
#else
#define CRASH_HERE 0
#endif

enum crash_state {
    CRASH_EMPTY = 1,
    CRASH_FULL = 2,
    CRASH_WRAPPING = 4,
    CRASH_EACH = 7
};

/* What a survivor answers to whom the outcome is not visible. */
#define CRASH_UNSEEN (-1000000)

enum {
    CRASH_SURVIVORS = 6
};

struct crash_survivor {
    const char *name;
    int (*carry_on)(void); /* the outcome that it sees, or CRASH_UNSEEN */
};

struct crash_operation {
    const char *functions; /* the public functions that may die here, blanks between them */
    unsigned states;
    void (*prepare)(enum crash_state state);
    int (*operate)(void); /* the outcome when nobody dies; negative: it did not do what it should */
    struct crash_survivor survivors[CRASH_SURVIVORS];
    bool by_steps; /* commits one thing after the other */
};

#if CRASH_HERE

#include "../support/stepper.h"

/* The world, and the operation that is looked at now. */
static struct {
    void *world;
    void *prepared; /* the world as prepare() left it */
    size_t len;
    struct stepper stepper;
    const struct crash_operation *operation;
    const char *state;
    const char *survivor;
    unsigned n_survivors;
    int outcomes[CRASH_SURVIVORS]; /* of the image before */
    unsigned long n_images;        /* of all operations */
    unsigned long n_survived;
    unsigned long n_violations;
} crash;

static inline void crash_where(void)
{
    if (crash.operation != NULL) {
        printf("  at %s, %s: image %lu, behind instruction %lu: %s\n", crash.operation->functions,
               crash.state, crash.stepper.n_images, crash.stepper.n_steps,
               crash.survivor == NULL ? "the operation itself" : crash.survivor);
        fflush(stdout);
    }
}

/* What the world needs is missing: the program ends, and says where. */
static inline void crash_ends(void)
{
    if (check_n_failed != 0) {
        crash_where();
    }
}

/* A survivor that faults, or hangs. */
static inline void crash_signal(int signal)
{
    printf("violation: signal %d\n", signal);
    crash_where();
    _exit(1);
}

static inline void crash_violated(const char *what, int seen)
{
    crash.n_violations++;
    if (crash.n_violations <= CHECK_PRINTED) {
        printf("violation: %s (%d)\n", what, seen);
        crash_where();
    }
}

static inline void crash_judge_outcome(unsigned survivor, int outcome)
{
    int *before = &crash.outcomes[survivor];
    if (outcome == CRASH_UNSEEN) {
        return;
    }
    if (outcome < 0) {
        crash_violated("less than nothing was committed", outcome);
    }
    if (crash.stepper.n_images == 0 && outcome != 0) {
        crash_violated("an outcome before the first instruction", outcome);
    }
    if (outcome < *before) {
        crash_violated("what was committed is gone", outcome);
    }
    if (*before > 0 && outcome != *before && !crash.operation->by_steps) {
        crash_violated("neither all nor nothing", outcome);
    }
    for (unsigned i = 0; i < survivor; i++) {
        if (crash.outcomes[i] != CRASH_UNSEEN && crash.outcomes[i] != outcome) {
            crash_violated("survivors disagree about what was committed", outcome);
        }
    }
    *before = outcome;
}

/* All survivors, on the image at hand. */
static inline void crash_judge(void)
{
    const unsigned long n_failed = check_n_failed;
    for (unsigned i = 0; i < crash.n_survivors; i++) {
        const struct crash_survivor *survivor = &crash.operation->survivors[i];
        memcpy(crash.world, crash.prepared, crash.len);
        stepper_restore(&crash.stepper);
        crash.survivor = survivor->name;
        int outcome = survivor->carry_on();
        crash.n_survived++;
        if (check_n_failed != n_failed) {
            crash_violated("a check failed", outcome);
        } else {
            crash_judge_outcome(i, outcome);
        }
        crash.survivor = NULL;
    }
    memcpy(crash.world, crash.prepared, crash.len);
}

/* Memory that the operation may change: prepare() says so for each region of the world. */
static inline void crash_memory(const struct crossvm_mapping *mapping)
{
    stepper_add(&crash.stepper, mapping->base, mapping->len);
}

static inline void crash_one(const struct crash_operation *operation, enum crash_state state,
                             const char *name, void (*drop)(void))
{
    crash.operation = operation;
    crash.state = name;
    crash.survivor = "before the first image";
    stepper_init(&crash.stepper);
    memset(crash.world, 0, crash.len);
    operation->prepare(state);
    memcpy(crash.prepared, crash.world, crash.len);
    crash.survivor = NULL;
    crash.n_survivors = 0;
    while (crash.n_survivors < CRASH_SURVIVORS &&
           operation->survivors[crash.n_survivors].carry_on != NULL) {
        crash.outcomes[crash.n_survivors] = CRASH_UNSEEN;
        crash.n_survivors++;
    }
    REQUIRE(crash.n_survivors > 0);
    int answer = stepper_run(&crash.stepper, operation->operate, crash_judge);
    if (answer == STEPPER_FAILED) {
        crash_violated("the operation does not do what it should", answer);
    }
    for (unsigned i = 0; i < crash.n_survivors; i++) {
        if (crash.outcomes[i] != CRASH_UNSEEN && crash.outcomes[i] != answer) {
            crash.survivor = operation->survivors[i].name;
            crash_violated("what was done is not seen whole", crash.outcomes[i]);
        }
    }
    printf("%s, %s: %lu instructions, %lu images, %u survivors, outcome %d\n", operation->functions,
           name, crash.stepper.n_steps, crash.stepper.n_images, crash.n_survivors, answer);
    fflush(stdout);
    crash.n_images += crash.stepper.n_images;
    drop();
    stepper_drop(&crash.stepper);
    crash.operation = NULL;
}

/* Who plants a fault wants to know whether it is seen, not how often. */
static inline bool crash_is_enough(void)
{
#if defined(CRASH_UP_TO_THE_FIRST)
    return crash.n_violations != 0;
#else
    return false;
#endif
}

/* Runs a table of operations. drop: unmaps what prepare() made. The program's exit status. */
static inline int crash_main(const struct crash_operation *operations, size_t n, void *world,
                             size_t world_len, void (*drop)(void))
{
    static const char *const names[] = {"empty", "full", "wrapping"};
    test_guard();
    (void)signal(SIGSEGV, crash_signal);
    (void)signal(SIGBUS, crash_signal);
    (void)signal(SIGALRM, crash_signal);
    (void)atexit(crash_ends);
    crash.world = world;
    crash.len = world_len;
    crash.prepared = malloc(world_len);
    REQUIRE(crash.prepared != NULL);
    for (size_t i = 0; i < n && !crash_is_enough(); i++) {
        for (unsigned k = 0; k < 3; k++) {
            if ((operations[i].states & (1u << k)) != 0) {
                crash_one(&operations[i], (enum crash_state)(1u << k), names[k], drop);
            }
        }
    }
    free(crash.prepared);
    printf("%zu operations, %lu images, %lu survivors, %lu violations\n", n, crash.n_images,
           crash.n_survived, crash.n_violations);
    return crash.n_violations == 0 ? check_done() : 1;
}

#else

/* Instead of the operations and main. */
#define CRASH_NOT_HERE                                       \
    int main(void)                                           \
    {                                                        \
        SKIP("single steps are known of x86-64 Linux only"); \
    }

#endif
#endif
