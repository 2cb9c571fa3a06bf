/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/mpsc_kill.c - writers are killed by SIGKILL, at random moments among others that go
 * on, and behind each single instruction of a push. A death is confirmed by waitpid, and the dead
 * one is buried by a writer, passed over by the consumer, or buried by its next incarnation: all
 * that was pushed is delivered, once and in order, and what was claimed is delivered or counted.
 */
#include "../support/mpsc.h"

#include "../support/lives.h"

#if CROSSVM_HAS_CAS

#include <sys/ptrace.h>

enum {
    CAPACITY = 8,
    ELEM_LEN = 24,
    N_WRITERS = 3,
    N_KILLS = 60,
    UNDERTAKER = 4 /* the id of whoever buries */
};

static const struct queue_options usual = MPSC_USUAL;

/* The 32-bit wrap comes after some thousand elements. */
static const uint32_t start = 0u - 4096u;

static struct mpsc mpsc;

/* What each writer has begun and done: outlives it. */
struct record {
    uint32_t begun;
    uint32_t done;
    uint32_t n_done;
};

static struct record *record;

static uint32_t delivered[N_WRITERS + 1]; /* the last number of each writer's */
static uint32_t n_delivered;

/* ---- writers --------------------------------------------------------------------------------- */

static void note(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* An element is begun once, and pushed until it is in. */
static int push_next(uint32_t writer)
{
    uint32_t which = record[writer].begun + 1;
    note(&record[writer].begun, which);
    int status = mpsc_push(&mpsc, writer, which);
    while (status == CROSSVM_FULL || status == CROSSVM_TORN) {
        (void)sched_yield();
        status = mpsc_push(&mpsc, writer, which);
    }
    if (status == CROSSVM_OK) {
        note(&record[writer].done, which);
        note(&record[writer].n_done, record[writer].n_done + 1);
    }
    return status;
}

/* The same in place, and slowly: most deaths come behind a claim. */
static int push_next_slowly(uint32_t writer)
{
    void *place = NULL;
    uint32_t which = record[writer].begun + 1;
    int status = crossvm_mpsc_tx_reserve(&mpsc.tx[writer - 1], &place);
    if (status != CROSSVM_OK) {
        (void)sched_yield();
        return status;
    }
    note(&record[writer].begun, which);
    queue_fill(place, ELEM_LEN / 2, 0);
    for (uint32_t i = check_random(&random_state) % 64; i != 0; i--) {
        (void)sched_yield();
    }
    queue_fill(place, ELEM_LEN, mpsc_number(writer, which));
    CHECK_EQ(crossvm_mpsc_tx_commit(&mpsc.tx[writer - 1]), CROSSVM_OK);
    note(&record[writer].done, which);
    note(&record[writer].n_done, record[writer].n_done + 1);
    return CROSSVM_OK;
}

static void only_writer(void)
{
    const struct crossvm_mapping *other = &mpsc.b.writable;
    REQUIRE(mprotect(other->base, (size_t)other->len, PROT_NONE) == 0);
}

static void life(uint32_t writer)
{
    only_writer();
    random_state += record[writer].begun;
    mpsc_tx_up(&mpsc, writer);
    while (check_n_failed == 0) {
        int status = writer == 1 ? push_next_slowly(writer) : push_next(writer);
        CHECK(status == CROSSVM_OK || (writer == 1 && status == CROSSVM_FULL));
        dawdle(writer == 2);
    }
    test_child_done();
}

static pid_t begin_life(uint32_t writer)
{
    pid_t child = test_fork();
    if (child == 0) {
        life(writer);
    }
    return child;
}

/* ---- the consumer, who lives ------------------------------------------------------------------ */

/* Numbers grow, and none is missing that was done when the consumer came by it. */
static int pop_and_judge(void)
{
    uint32_t writer = 0;
    uint32_t which = 0;
    int status = mpsc_pop(&mpsc, &writer, &which);
    if (status != CROSSVM_OK) {
        CHECK(status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET);
        return status;
    }
    REQUIRE(writer >= 1 && writer <= N_WRITERS);
    CHECK(which > delivered[writer]);
    n_delivered++;
    delivered[writer] = which;
    return status;
}

static void pop_some(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds && check_n_failed == 0; i++) {
        if (pop_and_judge() != CROSSVM_OK) {
            (void)sched_yield();
        }
        dawdle(i % 256 == 0);
    }
}

/* Until nothing of a dead writer's can be left: a ring's worth of elements, or all there is. */
static void bury(uint32_t way, uint32_t writer)
{
    if (way == 0) {
        CHECK(crossvm_mpsc_tx_bury(&mpsc.tx[UNDERTAKER - 1], writer) <= 1);
        return;
    }
    uint32_t last = mpsc_tail(&mpsc) + 1;
    while (way == 1 && (int32_t)(last - mpsc.rx.head) > 0) {
        int status = pop_and_judge();
        if (status == CROSSVM_NOT_YET && mpsc.rx.writer == writer) {
            CHECK_EQ(crossvm_mpsc_rx_skip(&mpsc.rx, writer), CROSSVM_OK);
        } else if (status == CROSSVM_EMPTY) {
            return;
        }
    }
}

static void check_accounts(void)
{
    uint32_t n_claimed = mpsc_tail(&mpsc) - start;
    uint32_t n_done = 0;
    uint32_t n_begun = 0;
    CHECK_EQ(n_claimed, n_delivered + (uint32_t)mpsc.rx.n_lost);
    for (uint32_t writer = 1; writer <= N_WRITERS; writer++) {
        CHECK(delivered[writer] >= record[writer].done);
        CHECK(delivered[writer] <= record[writer].begun);
        n_done += record[writer].n_done;
        n_begun += record[writer].begun;
    }
    /* Nothing is missing but what was cut short. */
    CHECK(n_delivered >= n_done && n_delivered <= n_begun);
}

static void begin(void)
{
    memset(record, 0, sizeof(*record) * (N_WRITERS + 1));
    memset(delivered, 0, sizeof(delivered));
    n_delivered = 0;
    mpsc_up(&mpsc, CAPACITY, ELEM_LEN, start, usual);
}

static void lives(uint32_t way)
{
    static uint32_t gaps[N_WRITERS + 1]; /* begun and never done, by writer */
    pid_t children[N_WRITERS + 1] = {0};
    unsigned long n_kills = N_KILLS / CHECK_SHORTER * check_scale();
    begin();
    memset(gaps, 0, sizeof(gaps));
    for (uint32_t writer = 1; writer <= N_WRITERS; writer++) {
        children[writer] = begin_life(writer);
    }
    for (uint32_t i = 0; i < n_kills && check_n_failed == 0; i++) {
        uint32_t writer = 1 + check_random(&random_state) % N_WRITERS;
        pop_some(rounds_of_life());
        kill_and_wait(children[writer]);
        gaps[writer] += record[writer].begun != record[writer].done;
        bury(way, writer);
        children[writer] = begin_life(writer);
    }
    for (uint32_t writer = 1; writer <= N_WRITERS; writer++) {
        kill_and_wait(children[writer]);
        CHECK(crossvm_mpsc_tx_bury(&mpsc.tx[UNDERTAKER - 1], writer) <= 1);
    }
    while (pop_and_judge() == CROSSVM_OK) {
    }
    CHECK_EQ(pop_and_judge(), CROSSVM_EMPTY);
    check_accounts();
    printf("%u elements delivered, %llu claims lost, %u pushes cut short\n", n_delivered,
           (unsigned long long)mpsc.rx.n_lost, gaps[1] + gaps[2] + gaps[3]);
    mpsc_drop(&mpsc);
}

static void killed_writers_are_buried_by_another(void)
{
    lives(0);
}

static void killed_writers_are_passed_over_by_the_consumer(void)
{
    lives(1);
}

static void killed_writers_are_buried_by_their_next_incarnation(void)
{
    lives(2);
}

/* ---- every instruction ------------------------------------------------------------------------ */

/* A writer that is killed behind its n-th instruction; whether there were so many. */
static bool dies_behind(unsigned long n)
{
    int status = 0;
    unsigned char elem[ELEM_LEN];
    queue_fill(elem, ELEM_LEN, mpsc_number(1, 1));
    record[1].begun = 1;
    pid_t child = test_fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(3);
        }
        (void)raise(SIGSTOP);
        _exit(crossvm_mpsc_tx_push(&mpsc.tx[0], elem) == CROSSVM_OK ? 0 : 1);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    for (unsigned long i = 0; i < n && WIFSTOPPED(status); i++) {
        REQUIRE(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
        REQUIRE(waitpid(child, &status, 0) == child);
    }
    if (!WIFSTOPPED(status)) {
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return false;
    }
    kill_and_wait(child);
    return true;
}

static bool can_trace(void)
{
    int status = 0;
    pid_t child = test_fork();
    if (child == 0) {
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 3);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void a_death_behind_any_instruction_harms_nobody(void)
{
#if defined(CROSSVM_I_ASAN) || defined(CROSSVM_I_TSAN)
    const unsigned long stride = 37;
#else
    const unsigned long stride = 1;
#endif
    unsigned long n = 0;
    unsigned n_lost = 0;
    unsigned n_behind = 0; /* deaths behind the commit: a few are enough */
    if (!can_trace()) {
        printf("  (left out: nothing can be traced here)\n");
        return;
    }
    for (bool died = true; died && n_behind < 50 && check_n_failed == 0; n += stride) {
        begin();
        mpsc_tx_up(&mpsc, 1);
        died = dies_behind(n);
        n_behind += mpsc_slot_word(&mpsc, start) == mpsc_word(&mpsc, start, 1, MPSC_COMMITTED);
        CHECK_EQ(push_next(2), CROSSVM_OK);
        CHECK_EQ(push_next(3), CROSSVM_OK);
        int status = pop_and_judge();
        CHECK(status == CROSSVM_OK || mpsc.rx.writer == 1);
        bury((uint32_t)(n / stride % 3), 1);
        if (n / stride % 3 == 2) {
            mpsc_tx_up(&mpsc, 1);
            CHECK_EQ(push_next(1), CROSSVM_OK);
        }
        while (pop_and_judge() == CROSSVM_OK) {
        }
        check_accounts();
        n_lost += (unsigned)mpsc.rx.n_lost;
        mpsc_drop(&mpsc);
    }
    printf("%lu deaths, %u claims lost\n", n / stride, n_lost);
    CHECK(n_lost != 0);
}

int main(void)
{
    test_guard();
    random_state = 4711;
    record = (struct record *)lives_record(sizeof(*record) * (N_WRITERS + 1));
    printf("seed %llu\n", (unsigned long long)random_state);
    CASE(a_death_behind_any_instruction_harms_nobody);
    CASE(killed_writers_are_buried_by_another);
    CASE(killed_writers_are_passed_over_by_the_consumer);
    CASE(killed_writers_are_buried_by_their_next_incarnation);
    return check_done();
}

#else

int main(void)
{
    printf(MPSC_LEFT_OUT);
    return check_done();
}

#endif
