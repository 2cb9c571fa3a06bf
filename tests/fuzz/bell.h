/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/bell.h - a doorbell without an operating system: a wait is a moment in which the enemy
 * writes, and time goes on. It ends with a false alarm, at the deadline, or by the system's
 * refusal.
 */
#ifndef CROSSVM_TESTS_FUZZ_BELL_H
#define CROSSVM_TESTS_FUZZ_BELL_H

#include "fuzz.h"

enum {
    FUZZ_WAIT_NS = 50 /* how long each wait takes, so that there are not many before a deadline */
};

static struct {
    uint64_t now_ns;
    unsigned n_waits;
    bool broken; /* rings and waits fail */
} fuzz_bell;

static inline int fuzz_bell_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    fuzz_use_number(peer + vector);
    return fuzz_bell.broken ? CROSSVM_NOT_FOUND : CROSSVM_OK;
}

static inline int fuzz_bell_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    (void)context;
    (void)vector;
    fuzz_bell.n_waits++;
    fuzz_bell.now_ns += FUZZ_WAIT_NS;
    for (unsigned i = 0; i < 4; i++) {
        fuzz_enemy();
    }
    if (fuzz_bell.broken) {
        return CROSSVM_SYSTEM;
    }
    return fuzz_bell.now_ns >= deadline_ns ? CROSSVM_TIMEOUT : CROSSVM_OK;
}

static inline uint64_t fuzz_bell_now(void *context)
{
    (void)context;
    return fuzz_bell.now_ns;
}

static inline void fuzz_bell_rest(void *context, uint64_t until_ns)
{
    (void)context;
    fuzz_bell.now_ns = until_ns > fuzz_bell.now_ns ? until_ns : fuzz_bell.now_ns;
}

static inline void fuzz_bell_set(struct crossvm_notify *notify)
{
    static const struct crossvm_notify_ops ops = {
        fuzz_bell_signal, fuzz_bell_wait, NULL, fuzz_bell_now, fuzz_bell_rest,
    };
    memset(notify, 0, sizeof(*notify));
    notify->ops = &ops;
}

#endif
