/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broadcast.h: a writer in a process of its own, killed again and again at any moment, beside
 * readers in threads that are sometimes faster and sometimes lapped. Every element is whole, and in
 * the end every number was read or lost, once, by each reader.
 */
#include "../support/broadcast.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
    N_READERS = 3,
    N_KILLS = 12,
    GUARD_SECONDS = 600
};

struct race {
    struct test_broadcast cast;
    uint32_t elem_len;
};

struct runner {
    struct race *race;
    struct crossvm_broadcast_reader reader;
    struct test_tally tally;
    uint64_t dice;
    unsigned long n_calls;
    unsigned long n_torn;
};

static void pause_ns(long ns)
{
    const struct timespec time = {0, ns};
    (void)nanosleep(&time, NULL);
}

/* ---- the writer ----------------------------------------------------------------------------- */

static void write_for_ever(struct race *race, uint64_t dice)
{
    struct crossvm_broadcast_writer *writer = &race->cast.writer;
    test_broadcast_write(&race->cast);
    for (;;) {
        uint32_t thrown = check_random(&dice);
        int status = thrown % 2 == 0
                         ? test_send(writer, race->elem_len)
                         : test_send_n(writer, race->elem_len, thrown / 2 % race->cast.chunk.n);
        if (status != CROSSVM_OK) {
            _exit(1);
        }
        if (thrown % 16 == 0) {
            (void)sched_yield();
        }
    }
}

static pid_t write_in_process(struct race *race, uint64_t dice)
{
    pid_t writer = fork();
    REQUIRE(writer >= 0);
    if (writer == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_for_ever(race, dice);
    }
    return writer;
}

static void end(pid_t writer)
{
    int ended;
    REQUIRE(kill(writer, SIGKILL) == 0);
    REQUIRE(waitpid(writer, &ended, 0) == writer);
    CHECK(WIFSIGNALED(ended));
}

/* ---- the readers ---------------------------------------------------------------------------- */

static void read_one(struct runner *runner)
{
    unsigned char elem[TEST_ELEM_MAX];
    struct crossvm_broadcast_info info = {0, 0, 0};
    int status = crossvm_broadcast_reader_read(&runner->reader, elem, sizeof(elem), &info);
    if (status == CROSSVM_OK) {
        CHECK_EQ(info.len, runner->race->elem_len);
        test_tally_read(&runner->tally, &runner->reader, &info, elem);
    } else if (status == CROSSVM_TORN) {
        runner->n_torn++;
    } else {
        CHECK_EQ(status, CROSSVM_EMPTY);
        (void)sched_yield();
    }
}

static void *read_some(void *what)
{
    struct runner *runner = (struct runner *)what;
    for (unsigned long i = 0; i < runner->n_calls; i++) {
        read_one(runner);
        if (check_random(&runner->dice) % 512 == 0) {
            pause_ns((long)(check_random(&runner->dice) % 200000));
        }
    }
    return NULL;
}

static void read_beside(struct runner *runners)
{
    pthread_t threads[N_READERS];
    for (unsigned i = 0; i < N_READERS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, read_some, &runners[i]) == 0);
    }
    for (unsigned i = 0; i < N_READERS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
}

/* ---- the race ------------------------------------------------------------------------------- */

static void begin(struct runner *runners, struct race *race, uint32_t seed)
{
    for (unsigned i = 0; i < N_READERS; i++) {
        memset(&runners[i], 0, sizeof(runners[i]));
        runners[i].race = race;
        runners[i].dice = seed + i;
        runners[i].n_calls = 3000;
        test_broadcast_read(&race->cast, &runners[i].reader,
                            i == 0 ? CROSSVM_BROADCAST_NEWEST : CROSSVM_BROADCAST_OLDEST);
        test_tally_begin(&runners[i].tally, &runners[i].reader);
    }
}

/* Nobody writes: what the next writer finds is what every reader comes to. */
static uint64_t expect_exact(struct race *race, struct runner *runners)
{
    test_broadcast_write(&race->cast);
    uint64_t newest = crossvm_broadcast_writer_number(&race->cast.writer);
    for (unsigned i = 0; i < N_READERS; i++) {
        (void)test_tally_drain(&runners[i].tally, &runners[i].reader);
        test_tally_exact(&runners[i].tally, newest);
    }
    return newest;
}

static void kill_again_and_again(uint32_t n_slots, uint32_t elem_len)
{
    struct race race;
    struct runner runners[N_READERS];
    uint64_t newest = 0;
    race.elem_len = elem_len;
    test_broadcast_make(&race.cast, n_slots, elem_len);
    begin(runners, &race, n_slots + elem_len);
    for (unsigned long i = 0; i < N_KILLS / CHECK_SHORTER * check_scale(); i++) {
        pid_t writer = write_in_process(&race, i * 7919 + n_slots);
        read_beside(runners);
        end(writer);
        newest = expect_exact(&race, runners);
    }
    printf("  %u slots, %3u bytes: %llu published", (unsigned)n_slots, (unsigned)elem_len,
           (unsigned long long)newest);
    for (unsigned i = 0; i < N_READERS; i++) {
        printf("; %llu read, %llu lost, %lu torn", (unsigned long long)runners[i].tally.n_read,
               (unsigned long long)runners[i].tally.n_lost, runners[i].n_torn);
    }
    printf("\n");
    test_broadcast_drop(&race.cast);
}

static void every_number_is_read_or_lost_once_whoever_is_killed(void)
{
    static const uint32_t slot_counts[] = {2, 4, 16, 1024};
    static const uint32_t elem_lens[] = {8, 100, 500};
    for (size_t i = 0; i < sizeof(slot_counts) / sizeof(slot_counts[0]); i++) {
        for (size_t k = 0; k < sizeof(elem_lens) / sizeof(elem_lens[0]); k++) {
            kill_again_and_again(slot_counts[i], elem_lens[k]);
        }
    }
}

int main(void)
{
    (void)alarm((unsigned)(GUARD_SECONDS * check_scale()));
    CASE(every_number_is_read_or_lost_once_whoever_is_killed);
    return check_done();
}
