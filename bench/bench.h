/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench.h - what a benchmark is: a case, measured in short trials.
 *
 * A case is a struct below, registered by BENCH_REGISTER in its own file; every C file in cases/ is
 * compiled in. It has one side or several, each on a CPU of its own; side 0 is the main thread, the
 * others are threads that live as long as the program, or processes forked at its start.
 *
 * A trial: prepare (side 0 alone); then, with a barrier before each step, a raw two-line ping-pong
 * of sides 0 and 1; n_warm operations, not measured; n_ops operations, measured; the ping-pong
 * again; then finish. The time goes from the first side's start to the last one's end. Trials of
 * all cases are shuffled by Google Benchmark (shim.cc), and judged by report.py, which knows cases
 * by the name row/place/who.
 *
 * To add cases: write the functions, a table of struct bench_case, BENCH_REGISTER(table); and, if
 * there is a goal for the row, a line in report.py.
 */
#ifndef CROSSVM_BENCH_H
#define CROSSVM_BENCH_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define BENCH_INLINE         static inline __attribute__((always_inline))
#define BENCH_MAX_SIDES      8u
#define BENCH_LINE           128u /* writers stand this far apart */
#define BENCH_PAGE           4096u
#define BENCH_ALIGNED(bytes) __attribute__((aligned(bytes)))

/* What one side does in one step. */
struct bench_turn {
    void *state;               /* what prepare answered */
    unsigned side;             /* which of the case's sides this is */
    uint64_t first;            /* number of the first operation */
    uint64_t n;                /* operations to do */
    const uint32_t *n_working; /* sides in front of the background that are not through */
    uint64_t *n_lost;          /* where a side that may lose elements adds those it lost */
};

/* Does a turn. Answers 0 if everything received was right, else anything. */
typedef uint64_t bench_side(const struct bench_turn *turn);

struct bench_case {
    const char *row;       /* what is measured; cases of one row are compared */
    const char *who;       /* whose: crossvm, or a peer's name */
    bool processes;        /* sides from 1 on are processes, else threads */
    unsigned n_sides;      /* 1 to BENCH_MAX_SIDES */
    unsigned n_background; /* the last so many sides run until the others are through */
    uint64_t n_ops;        /* operations of a side in a trial: the time is divided by it */
    uint64_t n_warm;       /* operations before */
    size_t elem_len;       /* bytes of what is moved */
    uint32_t capacity;     /* of what holds it */
    void *(*prepare)(const struct bench_case *self); /* NULL: too few CPUs for it */
    void (*finish)(void *state);                     /* may be NULL */
    bench_side *side[BENCH_MAX_SIDES];
};

/* Registers a table of cases before main; a constant expression, so that C++ has it by then. */
#define BENCH_REGISTER(table)                                             \
    __attribute__((constructor)) static void bench_register_##table(void) \
    {                                                                     \
        bench_add(table, (unsigned)(sizeof(table) / sizeof((table)[0]))); \
    }

void bench_add(const struct bench_case *cases, unsigned n);

/* ---- for cases ------------------------------------------------------------------------------- */

/* Memory that all sides share at one address, also processes; all zero, gone with the trial. */
void *bench_take(size_t len, size_t align);

/* Ends the program with a message: what a case cannot do without failed. */
void bench_require(bool condition, const char *what);

/* Whether each side has a CPU of its own. Where one waits inside a call for another one that is not
 * running, a trial would take minutes without. */
bool bench_own_cpus(const struct bench_case *self);

/* Whether the sides in front are still at work: a background side goes on. */
BENCH_INLINE bool bench_working(const struct bench_turn *turn)
{
    return __atomic_load_n(turn->n_working, __ATOMIC_ACQUIRE) != 0;
}

/* After a try that failed. No pause: it would cost a round trip, and every queue waits alike. One
 * that waits much longer than for a ring to be emptied (about 0.1 ms) lets others run. tries: 0
 * before the first. */
BENCH_INLINE void bench_retry(unsigned *tries)
{
    if (++*tries % 65536 == 0) {
        (void)sched_yield();
    }
}

/* ---- for the shim ---------------------------------------------------------------------------- */

struct bench_result {
    double seconds;
    double ping_before_ns; /* of a two-line ping-pong, there and back */
    double ping_after_ns;
    uint64_t n_switches; /* involuntary context switches of all sides while it was measured */
    uint64_t n_lost;     /* elements that all sides lost meanwhile, where that may be */
    bool pinned;         /* each side had a CPU of its own */
    const char *error;   /* NULL, or what went wrong */
};

/* The i-th case, NULL behind the last. */
const struct bench_case *bench_case_at(unsigned i);

/* row/place/who; good until the next call. */
const char *bench_name(const struct bench_case *self);

/* CROSSVM_BENCH_SECONDS in the environment: so long trials are begun. */
void bench_start(void);

/* False: the time is up. */
bool bench_trial(const struct bench_case *self, struct bench_result *result);

/* Ends the workers: how many trials went wrong. */
unsigned bench_stop(void);

#if defined(__cplusplus)
}
#endif

#endif
