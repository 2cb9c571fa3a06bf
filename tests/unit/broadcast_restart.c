/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broadcast.h: a writer that dies before any of its shared accesses takes nothing away that it had
 * announced in the newest half of its slots, and one that restarts goes on with exactly the next
 * number, also when it dies again at once.
 */
#include "../support/hook.h"
#include "../support/broadcast.h"

#include <setjmp.h>

enum {
    LEN = 100
};

enum how {
    BY_ONE,
    BY_BATCH, /* as many as are announced at once */
    BY_MORE,  /* three announcements */
    N_HOWS
};

static jmp_buf grave;

static void die(void *what)
{
    (void)what;
    longjmp(grave, 1);
}

static uint32_t how_many(const struct test_broadcast *cast, enum how how)
{
    return how == BY_ONE ? 1 : cast->chunk.n / 2 * (how == BY_BATCH ? 1 : 3);
}

static void write_next(struct test_broadcast *cast, enum how how)
{
    static unsigned char elems[3 * 4 * LEN];
    uint32_t n = how_many(cast, how);
    REQUIRE((size_t)n * LEN <= sizeof(elems));
    for (uint32_t i = 0; i < n; i++) {
        test_payload_fill(elems + (size_t)i * LEN, LEN,
                          crossvm_broadcast_writer_number(&cast->writer) + 1 + i);
    }
    REQUIRE(how == BY_ONE
                ? crossvm_broadcast_writer_publish(&cast->writer, elems, LEN) == CROSSVM_OK
                : crossvm_broadcast_writer_publish_n(&cast->writer, elems, LEN, n) == CROSSVM_OK);
}

/* A new writer opens the chunk, where it must find what was announced, and dies before its at-th
 * access of what comes next. True when it died, false when it finished before. */
static bool write_and_die(struct test_broadcast *cast, uint64_t number, enum how how,
                          unsigned long at)
{
    test_broadcast_write(cast);
    CHECK_EQ(crossvm_broadcast_writer_number(&cast->writer), number);
    if (setjmp(grave) != 0) {
        (void)test_hook_disarm();
        return true;
    }
    test_hook_arm(at, die, NULL);
    write_next(cast, how);
    (void)test_hook_disarm();
    return false;
}

/* What is announced: a death leaves it at the end of some part of a batch. */
static uint64_t announced(const struct test_broadcast *cast, uint64_t before, enum how how)
{
    uint32_t latest = crossvm_load_relaxed(&test_broadcast_control(cast)->latest);
    uint64_t newest = before + (latest - (uint32_t)before);
    CHECK(newest - before <= how_many(cast, how));
    return newest;
}

/* Who comes now finds at least the newest half; who was there knows of everything. */
static void expect_what_is_left(const struct test_broadcast *cast,
                                struct crossvm_broadcast_reader *faithful, struct test_tally *tally,
                                uint64_t newest)
{
    struct crossvm_broadcast_reader late;
    struct test_tally of_late;
    test_broadcast_read(cast, &late, CROSSVM_BROADCAST_OLDEST);
    test_tally_begin(&of_late, &late);
    uint64_t n_read = test_tally_drain(&of_late, &late);
    uint64_t n_there = newest < cast->chunk.n / 2 ? newest : cast->chunk.n / 2;
    CHECK(n_read >= n_there);
    if (newest != 0) {
        test_tally_exact(&of_late, newest);
    }
    (void)test_tally_drain(tally, faithful);
    test_tally_exact(tally, newest);
}

/* Two deaths in a row, then a writer that lives. False when the first one was not needed. */
static bool die_twice(uint32_t n_slots, uint64_t number, enum how how, unsigned long first,
                      unsigned long second)
{
    struct test_broadcast cast;
    struct test_tally tally;
    test_broadcast_make(&cast, n_slots, LEN);
    test_broadcast_restart_at(&cast, number);
    struct crossvm_broadcast_reader faithful = cast.reader;
    test_tally_begin(&tally, &faithful);
    if (number != 0) {
        expect_what_is_left(&cast, &faithful, &tally, number);
    }

    bool died = write_and_die(&cast, number, how, first);
    number = announced(&cast, number, how);
    expect_what_is_left(&cast, &faithful, &tally, number);

    (void)write_and_die(&cast, number, how, second);
    number = announced(&cast, number, how);
    expect_what_is_left(&cast, &faithful, &tally, number);

    test_broadcast_write(&cast);
    for (uint32_t i = 0; i < 2 * n_slots + 1; i++) {
        write_next(&cast, (enum how)(i % N_HOWS));
        number += how_many(&cast, (enum how)(i % N_HOWS));
        CHECK_EQ(crossvm_broadcast_writer_number(&cast.writer), number);
        expect_what_is_left(&cast, &faithful, &tally, number);
    }
    test_broadcast_drop(&cast);
    return died;
}

static unsigned long die_everywhere(uint32_t n_slots, uint64_t number, enum how how)
{
    unsigned long n = 0;
    unsigned long accesses = 1;
    while (die_twice(n_slots, number, how, accesses, 1)) {
        accesses++;
    }
    CHECK(accesses > 6);
    for (unsigned long first = 1; first <= accesses; first += 1 + accesses / 40) {
        unsigned long step = (1 + accesses / 40) * CHECK_SHORTER;
        for (unsigned long second = 1 + first % CHECK_SHORTER; second <= accesses; second += step) {
            (void)die_twice(n_slots, number, how, first, second);
            n++;
        }
    }
    return n;
}

static void a_death_anywhere_harms_nobody(void)
{
    unsigned long n = 0;
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        for (uint64_t number = 0; number <= 10; number += 5) {
            for (int how = 0; how < N_HOWS; how++) {
                n += die_everywhere(n_slots, number, (enum how)how);
            }
        }
    }
    printf("  %lu pairs of deaths\n", n);
}

static void a_death_where_numbers_begin_anew_harms_nobody(void)
{
    unsigned long n = 0;
    for (uint32_t n_slots = 2; n_slots <= 4; n_slots *= 2) {
        for (size_t i = 0; i < TEST_N_VERSION_EDGES; i++) {
            n += die_everywhere(n_slots, test_version_edges[i] - 1, BY_BATCH);
        }
    }
    printf("  %lu pairs of deaths\n", n);
}

int main(void)
{
    CASE(a_death_anywhere_harms_nobody);
    CASE(a_death_where_numbers_begin_anew_harms_nobody);
    return check_done();
}
