/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands on queues: pipes, fan-in, wait sets. Their calls are several of the queue's, and may
 * be left between those, too: a wait, for example, before it sleeps, while it sleeps, behind it.
 */
#include "queue.h"

#if CRASH_HERE

#include "../support/script.h"

enum {
    NOBODY_NS = 1000 /* how long a wait lasts in which nothing comes */
};

static struct crossvm_pipe_tx producer_end(void)
{
    struct crossvm_pipe_tx pipe;
    pipe.queue = world.queue.tx;
    pipe.bell = bell;
    return pipe;
}

static struct crossvm_pipe_rx consumer_end(void)
{
    struct crossvm_pipe_rx pipe;
    pipe.queue = world.queue.rx;
    pipe.bell = bell;
    return pipe;
}

/* The consumer holds one release back, if there was an element. */
static void pop_one(void)
{
    CHECK(pop() == CROSSVM_OK || world.head == world.tail);
}

/* What a wait for more than there can be answers: what is there, or that nothing came. */
static bool is_all_there_is(int answer)
{
    uint32_t n = world.tail - world.queue.rx.head;
    return answer == (n == 0 ? CROSSVM_TIMEOUT : (int)n);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static int producer_rings_the_bell(void)
{
    uint64_t again_ns;
    CHECK_EQ(push(), CROSSVM_OK);
    CHECK_EQ(push(), CROSSVM_OK);
    struct crossvm_pipe_tx pipe = producer_end();
    return crossvm_pipe_tx_kick(&pipe, &again_ns) == CROSSVM_OK && script.n_rung == 1 ? 2 : -1;
}

static int consumer_rings_the_bell(void)
{
    struct crossvm_pipe_rx pipe = consumer_end();
    return crossvm_pipe_rx_kick(&pipe) == CROSSVM_OK && script.n_rung == 1 ? 0 : -1;
}

/* Arms, nudges, sleeps in vain, disarms. */
static int producer_waits(void)
{
    struct crossvm_pipe_tx pipe = producer_end();
    int answer = crossvm_pipe_tx_wait(&pipe, WANT, NOBODY_NS);
    return answer == CROSSVM_TIMEOUT && script.n_waits != 0 ? 0 : -1;
}

static int consumer_waits(void)
{
    pop_one();
    struct crossvm_pipe_rx pipe = consumer_end();
    int answer = crossvm_pipe_rx_wait(&pipe, world.capacity, NOBODY_NS / 2, NOBODY_NS);
    return is_all_there_is(answer) && script.n_waits != 0 ? (int)(world.head != world.tail) : -1;
}

/* ---- fan-in ---------------------------------------------------------------------------------- */

static struct crossvm_fanin fanin;
static struct crossvm_fanin_input inputs[2];

static void gather(void)
{
    uint32_t place = 0;
    REQUIRE(crossvm_fanin_init(&fanin, inputs, 2, world.elem_len) == CROSSVM_OK);
    REQUIRE(crossvm_fanin_add(&fanin, &world.queue.rx, 1, &place) == CROSSVM_OK);
}

static int gathers_one(void)
{
    unsigned char elem[ELEM_MAX];
    uint32_t from = 0;
    uint32_t index = world.queue.rx.head;
    int status = crossvm_fanin_pop(&fanin, elem, &from);
    CHECK(status != CROSSVM_OK || (from == 0 && queue_is(elem, world.elem_len, index)));
    return status;
}

static int gathers(void)
{
    int status = CROSSVM_OK;
    gather();
    while (status == CROSSVM_OK && world.queue.rx.published == world.head) {
        status = gathers_one();
    }
    return (int)(world.queue.rx.published - world.head);
}

static int gathers_many(void)
{
    unsigned char elems[3 * ELEM_MAX];
    uint32_t from = 0;
    gather();
    int n = crossvm_fanin_pop_n(&fanin, elems, 3, &from);
    for (int i = 0; i < n; i++) {
        CHECK(
            queue_is(elems + (size_t)i * world.elem_len, world.elem_len, world.head + (uint32_t)i));
    }
    return (int)(world.queue.rx.published - world.head);
}

static int gathers_in_place(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t from = 0;
    gather();
    int n = crossvm_fanin_peek(&fanin, 3, &span, &from);
    for (int i = 0; i < n; i++) {
        CHECK(queue_is(crossvm_spsc_rx_span_at(&span, (uint32_t)i), world.elem_len,
                       world.head + (uint32_t)i));
    }
    CHECK(n <= 0 || crossvm_fanin_release(&fanin, (uint32_t)n) == CROSSVM_OK);
    return (int)(world.queue.rx.published - world.head);
}

/* What was held back is published when the input is named, or taken out. */
static int names_the_input(void)
{
    uint32_t place = 0;
    gather();
    bool taken = gathers_one() == CROSSVM_OK;
    return crossvm_fanin_served(&fanin, &place) == (int)taken ? (int)taken : -1;
}

static int removes_the_input(void)
{
    gather();
    bool taken = gathers_one() == CROSSVM_OK;
    return crossvm_fanin_remove(&fanin, 0) == CROSSVM_OK ? (int)taken : -1;
}

/* ---- wait sets ------------------------------------------------------------------------------- */

static int consumer_waits_in_a_set(void)
{
    struct crossvm_waitset set;
    struct crossvm_waitset_source source;
    pop_one();
    crossvm_waitset_watch_elements(&source, &world.queue.rx, &bell, world.capacity, 0);
    crossvm_waitset_init(&set, &source, 1, bell.notify, bell.vector_in);
    int n = crossvm_waitset_wait(&set, NOBODY_NS);
    bool right = n == 1 ? is_all_there_is(source.ready) : is_all_there_is(n);
    return right && script.n_waits != 0 ? (int)(world.head != world.tail) : -1;
}

static int producer_waits_in_a_set(void)
{
    struct crossvm_waitset set;
    struct crossvm_waitset_source source;
    crossvm_waitset_watch_room(&source, &world.queue.tx, &bell, WANT);
    crossvm_waitset_init(&set, &source, 1, bell.notify, bell.vector_in);
    return crossvm_waitset_wait(&set, NOBODY_NS) == CROSSVM_TIMEOUT && script.n_waits != 0 ? 0 : -1;
}

static const struct crash_operation operations[] = {
    {"crossvm_pipe_tx_kick", CRASH_EACH, consumer_is_armed, producer_rings_the_bell,
     SURVIVE_PRODUCER, true},
    {"crossvm_pipe_rx_kick", CRASH_EACH, consumer_kicks, consumer_rings_the_bell, SURVIVE_CONSUMER,
     false},
    {"crossvm_pipe_tx_wait", CRASH_EACH, without_room, producer_waits, SURVIVE_PRODUCER, false},
    {"crossvm_pipe_rx_wait", CRASH_EACH, looked_at, consumer_waits, SURVIVE_CONSUMER, false},
    {"crossvm_fanin_pop", CRASH_EACH, linked, gathers, SURVIVE_CONSUMER, false},
    {"crossvm_fanin_pop_n", CRASH_EACH, linked, gathers_many, SURVIVE_CONSUMER, false},
    {"crossvm_fanin_peek crossvm_fanin_release", CRASH_EACH, linked, gathers_in_place,
     SURVIVE_CONSUMER, false},
    {"crossvm_fanin_served", CRASH_EACH, looked_at, names_the_input, SURVIVE_CONSUMER, false},
    {"crossvm_fanin_remove", CRASH_EACH, looked_at, removes_the_input, SURVIVE_CONSUMER, false},
    {"crossvm_waitset_wait", CRASH_EACH, looked_at, consumer_waits_in_a_set, SURVIVE_CONSUMER,
     false},
    {"crossvm_waitset_wait", CRASH_EACH, without_room, producer_waits_in_a_set, SURVIVE_PRODUCER,
     false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
