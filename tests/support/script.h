/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/script.h - a doorbell that is a script: while somebody sleeps on it the script does
 * what a peer would do and says what time it is, in one thread, so that every answer is exact.
 */
#ifndef CROSSVM_TESTS_SUPPORT_SCRIPT_H
#define CROSSVM_TESTS_SUPPORT_SCRIPT_H

#include <crossvm/crossvm.h>

#include "../check.h"

enum {
    MS = 1000000
};

static struct {
    uint64_t now_ns;
    void (*sleep)(unsigned n); /* what happens in the n-th wait, from 1; NULL: nothing */
    unsigned n_waits;
    unsigned n_rests;
    unsigned n_rung; /* rings that the set's sources sent */
    int signal;      /* what a ring answers */
    bool alarm;      /* waits end at once, as if rung */
    uint64_t until_ns;
} script;

static inline int script_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    CHECK_EQ(peer, 5);
    CHECK_EQ(vector, 6);
    script.n_rung++;
    return script.signal;
}

static inline int script_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    (void)context;
    CHECK_EQ(vector, 3);
    script.n_waits++;
    script.until_ns = deadline_ns;
    if (script.sleep != NULL) {
        script.sleep(script.n_waits);
    }
    if (script.alarm) {
        return CROSSVM_OK;
    }
    script.now_ns = deadline_ns;
    return CROSSVM_TIMEOUT;
}

static inline uint64_t script_now(void *context)
{
    (void)context;
    return script.now_ns;
}

static inline void script_rest(void *context, uint64_t until_ns)
{
    (void)context;
    CHECK(until_ns > script.now_ns);
    script.n_rests++;
    script.now_ns = until_ns;
}

static const struct crossvm_notify_ops script_ops = {script_signal, script_wait, NULL, script_now,
                                                     script_rest};
static struct crossvm_notify bell_notify = {&script_ops, NULL, 0, 0};
static const struct crossvm_pipe_bell bell = {&bell_notify, 5, 6, 3};

#endif
