/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/mpsc_race.c - several writers at once, as threads and as processes, across the wrap of
 * the index: each writer's elements come in its order, none is lost and none comes twice; and a
 * consumer that sleeps is woken. A lost wake-up shows as a wait that reaches its deadline.
 */
#include "../support/mpsc.h"

#if CROSSVM_HAS_CAS

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum {
    N_WRITERS = 3,
    ELEM_LEN = 20
};

static const struct queue_options one_mapping = {CROSSVM_WRITE_BACK, true};
static const struct queue_options two_mappings = {CROSSVM_WRITE_BACK, false};

static struct mpsc mpsc;
static uint32_t n_each;
static bool sleeps;
static uint32_t watermark;
static int bell;

static uint32_t times(uint32_t n)
{
    return (uint32_t)(n * check_scale() / CHECK_SHORTER);
}

/* ---- writers --------------------------------------------------------------------------------- */

static void kick(uint32_t writer)
{
    uint64_t again_ns;
    if (crossvm_mpsc_tx_kick(&mpsc.tx[writer - 1], 0, &again_ns) == 1) {
        REQUIRE(eventfd_write(bell, 1) == 0);
    }
}

static int push(uint32_t writer, uint32_t which)
{
    void *place = NULL;
    if (which % 3 != 0) {
        return mpsc_push(&mpsc, writer, which);
    }
    int status = crossvm_mpsc_tx_reserve(&mpsc.tx[writer - 1], &place);
    if (status == CROSSVM_OK) {
        queue_fill(place, ELEM_LEN, mpsc_number(writer, which));
        status = crossvm_mpsc_tx_commit(&mpsc.tx[writer - 1]);
    }
    return status;
}

static void write_all(uint32_t writer)
{
    for (uint32_t which = 0; which < n_each; which++) {
        int status = push(writer, which);
        while (status == CROSSVM_FULL || status == CROSSVM_TORN) {
            kick(writer);
            (void)sched_yield();
            status = push(writer, which);
        }
        CHECK_EQ(status, CROSSVM_OK);
        if (sleeps || which % 8 == 0) {
            kick(writer);
        }
    }
    kick(writer);
}

static void *write_in_thread(void *writer)
{
    write_all((uint32_t)(uintptr_t)writer);
    return NULL;
}

/* ---- the consumer ---------------------------------------------------------------------------- */

static void sleep_until_rung(uint32_t n_left)
{
    eventfd_t rings;
    struct pollfd wait = {bell, POLLIN, 0};
    uint32_t want = n_left < watermark ? n_left : watermark;
    int armed = crossvm_mpsc_rx_arm(&mpsc.rx, want, 0);
    REQUIRE(armed >= 0);
    if (armed == 0) {
        REQUIRE(poll(&wait, 1, 120000) == 1);
        REQUIRE(eventfd_read(bell, &rings) == 0);
        crossvm_mpsc_rx_disarm(&mpsc.rx);
    }
}

static void read_all(void)
{
    uint32_t next[N_WRITERS + 1] = {0};
    for (uint32_t n = 0; n < N_WRITERS * n_each && check_n_failed == 0;) {
        uint32_t writer = 0;
        uint32_t which = 0;
        int status = mpsc_pop(&mpsc, &writer, &which);
        if (status == CROSSVM_OK) {
            REQUIRE(writer >= 1 && writer <= N_WRITERS);
            CHECK_EQ(which, next[writer]);
            next[writer] = which + 1;
            n++;
            continue;
        }
        CHECK(status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET);
        if (sleeps) {
            sleep_until_rung(N_WRITERS * n_each - n);
        } else {
            (void)sched_yield();
        }
    }
    CHECK_EQ(crossvm_mpsc_rx_fill(&mpsc.rx), 0);
    CHECK_EQ(mpsc.rx.n_lost, 0);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void up(uint32_t capacity, struct queue_options options)
{
    mpsc_up(&mpsc, capacity, ELEM_LEN, 0u - 1000u, options);
    bell = eventfd(0, EFD_NONBLOCK);
    REQUIRE(bell >= 0);
}

static void down(void)
{
    REQUIRE(close(bell) == 0);
    mpsc_drop(&mpsc);
}

static void in_threads(uint32_t capacity)
{
    pthread_t threads[N_WRITERS];
    up(capacity, one_mapping);
    for (uintptr_t i = 0; i < N_WRITERS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, write_in_thread, (void *)(i + 1)) == 0);
    }
    read_all();
    for (uint32_t i = 0; i < N_WRITERS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    down();
}

static void in_processes(uint32_t capacity)
{
    pid_t children[N_WRITERS];
    up(capacity, two_mappings);
    for (uint32_t i = 0; i < N_WRITERS; i++) {
        children[i] = test_fork();
        if (children[i] == 0) {
            const struct crossvm_mapping *other = &mpsc.b.writable;
            REQUIRE(mprotect(other->base, (size_t)other->len, PROT_NONE) == 0);
            write_all(i + 1);
            test_child_done();
        }
    }
    REQUIRE(mprotect(mpsc.a.writable.base, (size_t)mpsc.a.writable.len, PROT_READ) == 0);
    read_all();
    for (uint32_t i = 0; i < N_WRITERS; i++) {
        CHECK_EQ(test_wait(children[i]), 0);
    }
    down();
}

static void each_writers_elements_come_once_and_in_order(void)
{
    sleeps = false;
    n_each = times(30000);
    for (uint32_t capacity = 1; capacity <= 64; capacity *= 8) {
        in_threads(capacity);
        in_processes(capacity);
    }
}

static void a_sleeping_consumer_misses_nothing(void)
{
    sleeps = true;
    n_each = times(5000);
    for (watermark = 1; watermark <= 5; watermark += 2) {
        in_threads(8);
        in_processes(8);
    }
    watermark = 1;
    in_threads(1);
}

int main(void)
{
    test_guard();
    CASE(each_writers_elements_come_once_and_in_order);
    CASE(a_sleeping_consumer_misses_nothing);
    return check_done();
}

#else

int main(void)
{
    printf(MPSC_LEFT_OUT);
    return check_done();
}

#endif
