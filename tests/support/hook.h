/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/hook.h - something happens at the k-th shared access of an operation: another
 * party makes progress, or the operation is left for good, as if its program had died there.
 *
 * The first include of a test that uses it: it builds the library with CROSSVM_HOOKS.
 */
#ifndef CROSSVM_TESTS_SUPPORT_HOOK_H
#define CROSSVM_TESTS_SUPPORT_HOOK_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#define CROSSVM_HOOKS

#include <crossvm/atomic.h>

static struct {
    void (*act)(void *what); /* NULL: nothing happens, nothing is counted */
    void *what;
    unsigned long at;   /* before which access it happens, from 1; 0 = before each */
    unsigned long seen; /* accesses since it was armed, those of act not counted */
    bool acting;
} test_hook;

/* Lets act(what) run before the at-th shared access from now on; at 0: before each. */
static inline void test_hook_arm(unsigned long at, void (*act)(void *what), void *what)
{
    test_hook.act = act;
    test_hook.what = what;
    test_hook.at = at;
    test_hook.seen = 0;
    test_hook.acting = false;
}

static inline void test_hook_nothing(void *what)
{
    (void)what;
}

/* Accesses are counted from now on, and nothing else. */
static inline void test_hook_count(void)
{
    test_hook_arm(0, test_hook_nothing, NULL);
}

/* Nothing happens any more; the number of accesses that were seen. */
static inline unsigned long test_hook_disarm(void)
{
    test_hook.act = NULL;
    return test_hook.seen;
}

void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    (void)access;
    (void)addr;
    (void)len;
    if (test_hook.act == NULL || test_hook.acting) {
        return;
    }
    test_hook.seen++;
    if (test_hook.at == 0 || test_hook.seen == test_hook.at) {
        test_hook.acting = true;
        test_hook.act(test_hook.what);
        test_hook.acting = false;
    }
}

#endif
