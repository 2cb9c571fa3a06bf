/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/runner.c - the sides of a trial, the barrier between its steps, its clock, and the memory
 * that all sides share. Sides sleep between trials, so that nothing burns meanwhile.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include "ping_pong.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_TABLES    64u
#define N_KINDS     2u /* threads, processes */
#define ARENA_LEN   ((size_t)64 << 20)
#define ARENA_PAGES 8192u /* a trial's memory begins at one of the first so many */
#define ARENA_STEP  185u  /* pages from trial to trial; odd, so each is one's first page once */
#define BRACKETS    2u    /* a ping-pong before, one after */
#define PARTS       8u    /* of a ping-pong: the median one counts */
#define ROUNDS      250u  /* of a part; all together take 0.2 ms near, 1 ms far */
#define TRIAL_GUARD 60u   /* seconds after which a trial hangs */

enum {
    STEP_WARM,
    STEP_MEASURED,
    N_STEPS
};

struct word {
    BENCH_ALIGNED(BENCH_LINE) uint32_t value;
};

/* What one side says of a trial. */
struct record {
    BENCH_ALIGNED(BENCH_LINE) uint64_t start_ns;
    uint64_t end_ns;
    uint64_t n_switches;
    uint64_t n_lost;
    uint64_t wrong;
    double ping_ns[BRACKETS]; /* side 0's */
    bool pinned;
};

/* In the shared memory, in front of the arena. */
struct control {
    struct word arrived;                         /* at barriers, ever */
    struct word trial[N_KINDS][BENCH_MAX_SIDES]; /* a new one is there: futex words */
    struct word n_working[N_STEPS];              /* bench_turn.n_working */
    struct ping_pong ping;
    struct record record[BENCH_MAX_SIDES];
    const struct bench_case *now; /* NULL: the program ends */
    void *state;
    uint32_t arrived_before; /* `arrived` when the trial began */
    uint32_t n_parties;      /* sides at the barrier: the case's, and 1 for the ping-pong */
    uint32_t round;          /* of the ping-pong when the trial began */
};

static struct {
    const struct bench_case *cases;
    unsigned n;
} tables[N_TABLES];

static unsigned n_tables;
static unsigned n_failed;
static struct control *control;
static unsigned char *arena;
static size_t arena_used;
static uint32_t arena_page; /* the first one of this trial */
static cpu_set_t allowed;
static pthread_t threads[BENCH_MAX_SIDES];
static pid_t processes[BENCH_MAX_SIDES];
static unsigned n_started[N_KINDS]; /* sides that are there, side 0 included */
static uint64_t last_start_ns;      /* no trial begins later */

/* ---- cases ----------------------------------------------------------------------------------- */

void bench_require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "crossvm-bench: %s failed\n", what);
        exit(1);
    }
}

void bench_add(const struct bench_case *cases, unsigned n)
{
    bench_require(n_tables < N_TABLES, "room for one more table of cases");
    tables[n_tables].cases = cases;
    tables[n_tables].n = n;
    n_tables++;
}

const struct bench_case *bench_case_at(unsigned i)
{
    for (unsigned t = 0; t < n_tables; t++) {
        if (i < tables[t].n) {
            return &tables[t].cases[i];
        }
        i -= tables[t].n;
    }
    return NULL;
}

const char *bench_name(const struct bench_case *self)
{
    static char name[128];
    const char *place = self->processes ? "processes" : "threads";
    (void)snprintf(name, sizeof(name), "%s/%s/%s", self->row, place, self->who);
    return name;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t round_up(size_t value, size_t align)
{
    return (value + align - 1) / align * align;
}

void *bench_take(size_t len, size_t align)
{
    size_t at = round_up(arena_used, align);
    bench_require(at + len <= ARENA_LEN, "room in the arena");
    arena_used = at + len;
    return memset(arena + at, 0, len);
}

bool bench_own_cpus(const struct bench_case *self)
{
    return self->n_sides <= (unsigned)CPU_COUNT(&allowed);
}

static void map_memory(void)
{
    size_t control_len = round_up(sizeof(struct control), BENCH_PAGE);
    size_t len = control_len + ARENA_LEN;
    int fd = memfd_create("crossvm-bench", MFD_CLOEXEC);
    bench_require(fd >= 0 && ftruncate(fd, (off_t)len) == 0, "memfd_create");
    void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    bench_require(base != MAP_FAILED, "mmap");
    control = base;
    arena = (unsigned char *)base + control_len;
    (void)close(fd);
}

/* ---- one side of a trial --------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t switches(void)
{
    struct rusage usage;
    bench_require(getrusage(RUSAGE_THREAD, &usage) == 0, "getrusage");
    return (uint64_t)usage.ru_nivcsw;
}

/* Side i gets the i-th CPU that this program may use; false where it has none of its own. */
static bool pin(unsigned side)
{
    unsigned nth = side % (unsigned)CPU_COUNT(&allowed);
    cpu_set_t one;
    unsigned cpu = 0;
    while (!CPU_ISSET(cpu, &allowed) || nth-- != 0) {
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0 && side < (unsigned)CPU_COUNT(&allowed);
}

/* A barrier. The count only grows: one that is still on its way out is never in anyone's way. */
static void meet(uint32_t *target)
{
    unsigned tries = 0;
    *target += control->n_parties;
    (void)__atomic_add_fetch(&control->arrived.value, 1, __ATOMIC_ACQ_REL);
    while ((int32_t)(__atomic_load_n(&control->arrived.value, __ATOMIC_ACQUIRE) - *target) < 0) {
        bench_retry(&tries);
    }
}

static void sort(uint64_t *values, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        for (unsigned k = i; k > 0 && values[k - 1] > values[k]; k--) {
            uint64_t value = values[k];
            values[k] = values[k - 1];
            values[k - 1] = value;
        }
    }
}

/* The trial's bracket: what a round trip costs just now. */
static void bracket(unsigned side, unsigned which)
{
    uint64_t part_ns[PARTS];
    uint32_t round = control->round + which * PARTS * ROUNDS;
    for (unsigned i = 0; i < PARTS; i++, round += ROUNDS) {
        uint64_t start_ns = now_ns();
        ping_pong(&control->ping, true, side, round, ROUNDS);
        part_ns[i] = now_ns() - start_ns;
    }
    sort(part_ns, PARTS);
    control->record[side].ping_ns[which] = (double)part_ns[PARTS / 2] / ROUNDS;
}

static void take_turn(const struct bench_case *self, unsigned side, unsigned step)
{
    struct record *record = &control->record[side];
    struct bench_turn turn = {
        control->state, side, 0, self->n_warm, &control->n_working[step].value, &record->n_lost};
    record->n_lost = 0;
    if (step == STEP_MEASURED) {
        turn.first = self->n_warm;
        turn.n = self->n_ops;
    }
    uint64_t n_switches = switches();
    uint64_t start_ns = now_ns();
    uint64_t wrong = turn.n == 0 ? 0 : self->side[side](&turn);
    record->end_ns = now_ns();
    record->start_ns = start_ns;
    record->n_switches = switches() - n_switches;
    record->wrong |= wrong;
    if (side < self->n_sides - self->n_background) {
        (void)__atomic_sub_fetch(&control->n_working[step].value, 1, __ATOMIC_ACQ_REL);
    }
}

static void run_side(unsigned side)
{
    const struct bench_case *self = control->now;
    uint32_t target = control->arrived_before;
    for (unsigned step = 0; step < N_STEPS; step++) {
        meet(&target);
        if (side < BRACKETS && step == STEP_WARM) {
            bracket(side, 0);
        }
        meet(&target);
        if (side < self->n_sides) {
            take_turn(self, side, step);
        }
    }
    meet(&target);
    if (side < BRACKETS) {
        bracket(side, 1);
    }
    meet(&target);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* The word may lie in memory shared with a process: no private futex. */
static void futex(uint32_t *word, int what, uint32_t value)
{
    (void)syscall(SYS_futex, word, what, value, NULL, NULL, 0);
}

static void work(unsigned kind, unsigned side)
{
    uint32_t *word = &control->trial[kind][side].value;
    uint32_t seen = 0;
    control->record[side].pinned = pin(side);
    for (;;) {
        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen) {
            futex(word, FUTEX_WAIT, seen);
        }
        seen++;
        if (control->now == NULL) {
            return;
        }
        run_side(side);
    }
}

static void *thread_main(void *side)
{
    work(0, (unsigned)(uintptr_t)side);
    return NULL;
}

static void start_process(unsigned side)
{
    pid_t parent = getpid();
    (void)fflush(NULL);
    pid_t child = fork();
    bench_require(child >= 0, "fork");
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
            work(1, side);
        }
        _exit(0);
    }
    processes[side] = child;
}

static void start_sides(unsigned kind, unsigned n)
{
    for (; n_started[kind] < n; n_started[kind]++) {
        unsigned side = n_started[kind];
        if (kind == 1) {
            start_process(side);
        } else {
            void *arg = (void *)(uintptr_t)side;
            bench_require(pthread_create(&threads[side], NULL, thread_main, arg) == 0, "a thread");
        }
    }
}

static void wake_side(unsigned kind, unsigned side)
{
    uint32_t *word = &control->trial[kind][side].value;
    (void)__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
    futex(word, FUTEX_WAKE, INT_MAX);
}

static unsigned parties(const struct bench_case *self)
{
    return self->n_sides < BRACKETS ? BRACKETS : self->n_sides;
}

/* ---- a trial --------------------------------------------------------------------------------- */

static const char *guarded; /* the name of the case that runs */

static void hangs(int signal)
{
    static const char text[] = ": hangs (an element was lost, or a process died)\n";
    (void)signal;
    (void)!write(STDERR_FILENO, guarded, strlen(guarded));
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

static uint64_t time_is_up_ns(void)
{
    const char *text = getenv("CROSSVM_BENCH_SECONDS");
    return text == NULL ? UINT64_MAX : now_ns() + strtoull(text, NULL, 10) * 1000000000u;
}

void bench_start(void)
{
    unsigned n_sides[N_KINDS] = {1, 1};
    const struct bench_case *self;
    for (unsigned i = 0; (self = bench_case_at(i)) != NULL; i++) {
        unsigned n = parties(self);
        unsigned *most = &n_sides[self->processes ? 1 : 0];
        bench_require(n <= BENCH_MAX_SIDES && self->n_background < self->n_sides, bench_name(self));
        *most = n > *most ? n : *most;
    }
    bench_require(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
    last_start_ns = time_is_up_ns();
    map_memory();
    n_started[0] = 1;
    n_started[1] = 1;
    /* Processes first: a child of a program with threads would inherit their locks. */
    start_sides(1, n_sides[1]);
    start_sides(0, n_sides[0]);
    control->record[0].pinned = pin(0);
    (void)signal(SIGALRM, hangs);
}

static void prepare(const struct bench_case *self)
{
    for (unsigned i = 0; i < BENCH_MAX_SIDES; i++) {
        control->record[i].wrong = 0;
        control->record[i].n_switches = 0;
    }
    for (unsigned step = 0; step < N_STEPS; step++) {
        control->n_working[step].value = self->n_sides - self->n_background;
    }
    /* Which pages a queue lies on decides up to half of some figures, and would be the same for a
     * whole run: so each trial gets others. */
    arena_page = (arena_page + ARENA_STEP) % ARENA_PAGES;
    arena_used = (size_t)arena_page * BENCH_PAGE;
    control->now = self;
    control->state = self->prepare(self);
    control->n_parties = parties(self);
    control->arrived_before = control->arrived.value;
    control->round += BRACKETS * PARTS * ROUNDS;
}

static void collect(const struct bench_case *self, struct bench_result *result)
{
    const struct record *record = control->record;
    uint64_t start_ns = UINT64_MAX;
    uint64_t end_ns = 0;
    *result =
        (struct bench_result){0, record[0].ping_ns[0], record[0].ping_ns[1], 0, 0, true, NULL};
    for (unsigned i = 0; i < self->n_sides; i++) {
        result->n_switches += record[i].n_switches;
        result->n_lost += record[i].n_lost;
        result->pinned = result->pinned && record[i].pinned;
        if (record[i].wrong != 0) {
            result->error = "what was received is not what was sent";
            n_failed++;
        }
        if (i < self->n_sides - self->n_background) {
            start_ns = record[i].start_ns < start_ns ? record[i].start_ns : start_ns;
            end_ns = record[i].end_ns > end_ns ? record[i].end_ns : end_ns;
        }
    }
    result->seconds = (double)(end_ns - start_ns) / 1e9;
}

bool bench_trial(const struct bench_case *self, struct bench_result *result)
{
    if (now_ns() > last_start_ns) {
        return false;
    }
    guarded = bench_name(self);
    (void)alarm(TRIAL_GUARD);
    prepare(self);
    if (control->state == NULL) {
        (void)alarm(0);
        *result = (struct bench_result){.error = "too few CPUs"};
        return true;
    }
    for (unsigned side = 1; side < control->n_parties; side++) {
        wake_side(self->processes ? 1 : 0, side);
    }
    run_side(0);
    collect(self, result);
    if (self->finish != NULL) {
        self->finish(control->state);
    }
    (void)alarm(0);
    return true;
}

unsigned bench_stop(void)
{
    control->now = NULL;
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        for (unsigned side = 1; side < n_started[kind]; side++) {
            wake_side(kind, side);
        }
    }
    for (unsigned side = 1; side < n_started[0]; side++) {
        bench_require(pthread_join(threads[side], NULL) == 0, "pthread_join");
    }
    for (unsigned side = 1; side < n_started[1]; side++) {
        bench_require(waitpid(processes[side], NULL, 0) == processes[side], "waitpid");
    }
    return n_failed;
}
