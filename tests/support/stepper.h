/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/stepper.h - an operation is executed in a child process, one instruction after the
 * other, and after each that changed the shared memory the caller is asked what it makes of it.
 * What the caller does to the memory then is undone before the child goes on.
 *
 * x86-64 Linux only. Where processes cannot be traced, the program ends as skipped.
 */
#ifndef CROSSVM_TESTS_SUPPORT_STEPPER_H
#define CROSSVM_TESTS_SUPPORT_STEPPER_H

#include "queue.h"

#include <sys/ptrace.h>

enum {
    STEPPER_PIECES = 4,
    STEPPER_FAILED = 255 /* the operation did not answer as it should */
};

/* Guards against hanging alone: the longest operation here takes a tenth of this. */
#define STEPPER_MOST_STEPS 3000000ul

struct stepper {
    unsigned char *base[STEPPER_PIECES]; /* the shared memory */
    size_t len[STEPPER_PIECES];
    unsigned n_pieces;
    unsigned char *image;  /* the memory as the last instruction left it, piece after piece */
    unsigned long n_steps; /* instructions since the operation began, and a few around it */
    unsigned long n_images;
};

static inline void stepper_init(struct stepper *stepper)
{
    memset(stepper, 0, sizeof(*stepper));
}

/* A piece of shared memory that is looked at. */
static inline void stepper_add(struct stepper *stepper, void *base, uint64_t len)
{
    REQUIRE(stepper->n_pieces < STEPPER_PIECES);
    stepper->base[stepper->n_pieces] = (unsigned char *)base;
    stepper->len[stepper->n_pieces] = (size_t)len;
    stepper->n_pieces++;
}

static inline void stepper_drop(struct stepper *stepper)
{
    free(stepper->image);
    stepper->image = NULL;
}

/* The memory is the image again. */
static inline void stepper_restore(const struct stepper *stepper)
{
    const unsigned char *from = stepper->image;
    for (unsigned i = 0; i < stepper->n_pieces; i++) {
        memcpy(stepper->base[i], from, stepper->len[i]);
        from += stepper->len[i];
    }
}

/* Takes the memory as the image; whether it is another one. */
static inline bool stepper_take(struct stepper *stepper)
{
    unsigned char *to = stepper->image;
    bool changed = false;
    for (unsigned i = 0; i < stepper->n_pieces; i++) {
        if (memcmp(to, stepper->base[i], stepper->len[i]) != 0) {
            memcpy(to, stepper->base[i], stepper->len[i]);
            changed = true;
        }
        to += stepper->len[i];
    }
    return changed;
}

static inline void stepper_image(struct stepper *stepper, void (*judge)(void))
{
    judge();
    stepper_restore(stepper);
    stepper->n_images++;
}

/* The child: a stop before the operation and one behind it are the marks for the parent. */
static inline void stepper_child(int (*operate)(void))
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        printf("skipped: nothing can be traced here: %s\n", strerror(errno));
        fflush(stdout);
        _exit(CHECK_SKIPPED);
    }
    (void)raise(SIGSTOP);
    int answer = operate();
    (void)raise(SIGSTOP);
    _exit(answer < 0 || answer > STEPPER_FAILED ? STEPPER_FAILED : answer);
}

/* Executes operate() instruction by instruction. judge() is called for the memory as it was before,
 * and after each instruction that changed it. What operate() answered, 0 to 254, or
 * STEPPER_FAILED. */
static inline int stepper_run(struct stepper *stepper, int (*operate)(void), void (*judge)(void))
{
    int status = 0;
    size_t len = 0;
    for (unsigned i = 0; i < stepper->n_pieces; i++) {
        len += stepper->len[i];
    }
    stepper->image = (unsigned char *)malloc(len);
    REQUIRE(stepper->image != NULL);
    (void)stepper_take(stepper);
    pid_t child = test_fork();
    if (child == 0) {
        stepper_child(operate);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHECK_SKIPPED) {
        exit(CHECK_SKIPPED);
    }
    REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    stepper_image(stepper, judge);
    do {
        REQUIRE(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
        REQUIRE(waitpid(child, &status, 0) == child);
        stepper->n_steps++;
        if (stepper_take(stepper)) {
            stepper_image(stepper, judge);
        }
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP &&
             stepper->n_steps < STEPPER_MOST_STEPS);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, &status, 0);
        return STEPPER_FAILED;
    }
    REQUIRE(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
    return test_wait(child);
}

#endif
