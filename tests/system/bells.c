/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/bells.c - rings each vector of another machine's device and is rung back at the same
 * one and no other: bells BELL ring|echo ROUNDS. BELL: as place.h says.
 */
#include "system.h"

/* The vectors of the meeting. */
#define MEET 0u
#define MET  1u

/* Doorbells, and whom they ring: of two peers, with the ids 0 and 1, the other one. */
struct bells {
    struct place_bell bell;
    struct crossvm_notify notify;
    uint32_t peer;
};

/* Whether a vector was rung; the answer takes the ring. */
static bool is_rung(struct bells *bells, uint32_t vector, uint64_t deadline_ns)
{
    int status = crossvm_notify_wait(&bells->notify, vector, deadline_ns);
    if (status != CROSSVM_TIMEOUT) {
        must(status, "wait");
    }
    return status == CROSSVM_OK;
}

/* Nobody may have rung another vector than this one. Of the meeting a ring of MEET may be left. */
static void check_others(struct bells *bells, uint32_t vector, bool has_just_met)
{
    for (uint32_t other = 0; other < PLACE_VECTORS; other++) {
        bool left_over = has_just_met && other == MEET;
        if (other != vector && is_rung(bells, other, 0) && !left_over) {
            give_up("vector %u rang when %u was expected", (unsigned)other, (unsigned)vector);
        }
    }
}

static void ring_peer(struct bells *bells, uint32_t vector)
{
    must(crossvm_notify_signal(&bells->notify, bells->peer, vector), "signal");
}

static void expect(struct bells *bells, uint32_t vector)
{
    if (!is_rung(bells, vector, limit_ns())) {
        give_up("vector %u was not rung", (unsigned)vector);
    }
}

/* Rings at MEET again and again, for the other one may not listen yet, until it is rung back; then
 * once at MET, whose answer says that from now on every ring counts. */
static void meet(struct bells *bells)
{
    uint64_t end_ns = limit_ns();
    (void)side_other(&bells->bell);
    do {
        if (crossvm_posix_now() > end_ns) {
            give_up("nobody listens");
        }
        ring_peer(bells, MEET);
    } while (!is_rung(bells, MEET, crossvm_posix_now() + SECOND_NS));
    ring_peer(bells, MET);
    expect(bells, MET);
    (void)is_rung(bells, MEET, 0);
}

static void be_met(struct bells *bells)
{
    uint64_t end_ns = limit_ns();
    (void)side_other(&bells->bell);
    while (!is_rung(bells, MET, 0)) {
        if (crossvm_posix_now() > end_ns) {
            give_up("nobody rings");
        }
        if (is_rung(bells, MEET, crossvm_posix_now() + SECOND_NS / 100)) {
            ring_peer(bells, MEET);
        }
    }
    ring_peer(bells, MET);
}

/* Each ring is sent once: one that is lost is a failure. */
static void ring(struct bells *bells, uint32_t n_rounds)
{
    meet(bells);
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t vector = 0; vector < PLACE_VECTORS; vector++) {
            ring_peer(bells, vector);
            expect(bells, vector);
            check_others(bells, vector, round == 0);
        }
    }
}

/* Answers each ring at its own vector. */
static void echo(struct bells *bells, uint32_t n_rounds)
{
    be_met(bells);
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t vector = 0; vector < PLACE_VECTORS; vector++) {
            expect(bells, vector);
            check_others(bells, vector, round == 0); /* the next ring follows the answer */
            ring_peer(bells, vector);
        }
    }
}

int main(int argc, char **argv)
{
    static struct bells bells;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 4) {
        fprintf(stderr, "usage: bells BELL ring|echo ROUNDS\n");
        return 2;
    }
    uint32_t n_rounds = (uint32_t)atoi(argv[3]);
    side_listen(&bells.bell, argv[1], &bells.notify);
    bells.peer = 1 - bells.bell.id;
    (strcmp(argv[2], "ring") == 0 ? ring : echo)(&bells, n_rounds);
    printf("passed: %u rounds of %u vectors\n", (unsigned)n_rounds, PLACE_VECTORS);
    return 0;
}
