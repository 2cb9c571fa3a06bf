/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/callgrind/measured.h - what an operation's own function looks like.
 *
 * A file of operations/ is compiled once for each of its operations, named by OPERATION: the others
 * are then unused and vanish, so that the compiler inlines as it would for a program with one call
 * of that kind, and no operation's figure depends on which others are measured.
 */
#ifndef CROSSVM_TESTS_CALLGRIND_MEASURED_H
#define CROSSVM_TESTS_CALLGRIND_MEASURED_H

#include "subject.h"

/* Copies by CROSSVM_STRICT_C11 are operations of their own. */
#if defined(CROSSVM_STRICT_C11)
#define MEASURED_PREFIX "strict_"
#else
#define MEASURED_PREFIX ""
#endif

/* Callgrind counts inside of functions whose names end in _measured. */
#define MEASURED(name, prepare, before, n, want)                                   \
    static __attribute__((__unused__)) int name##_measured(struct subject *s);     \
    static __attribute__((__unused__)) const struct operation name##_operation = { \
        MEASURED_PREFIX #name, name##_measured, prepare, before, n, want};         \
    static __attribute__((__noinline__, __unused__)) int name##_measured(struct subject *s)

/* One that is also measured with CROSSVM_STRICT_C11. */
#define MEASURED_COPY(name, prepare, before, n, want) MEASURED(name, prepare, before, n, want)

/* What an operation grows by when the comparison itself is tried. */
#if defined(PLANTED)
#define PLANT(s)                                \
    for (unsigned i = 0; i < 16; i++) {         \
        *(volatile uint64_t *)&(s)->result = i; \
    }
#else
#define PLANT(s) (void)(s)
#endif

#define MEASURED_SELECT_2(operation) operation##_operation
#define MEASURED_SELECT(operation)   MEASURED_SELECT_2(operation)

static const struct operation MEASURED_SELECT(OPERATION);

static __attribute__((__constructor__)) void measured_enter(void)
{
    operation_add(&MEASURED_SELECT(OPERATION));
}

#endif
