/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/bells.c - rings each vector of another machine's device and is rung back at the same
 * one and no other: bells BELL ring|echo ROUNDS. BELL: as place.h says.
 */
#include "system.h"

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

/* Nobody may have rung another vector than this one, but for the one before, whose ring may have
 * been sent twice. */
static void check_others(struct bells *bells, uint32_t vector)
{
    uint32_t before = (vector + PLACE_VECTORS - 1) % PLACE_VECTORS;
    for (uint32_t other = 0; other < PLACE_VECTORS; other++) {
        if (other != vector && is_rung(bells, other, 0) && other != before) {
            give_up("vector %u rang when %u was expected", (unsigned)other, (unsigned)vector);
        }
    }
}

static void ring_peer(struct bells *bells, uint32_t vector)
{
    int status = crossvm_notify_signal(&bells->notify, bells->peer, vector);
    /* A host process has no route to who is not there yet. */
    if (status != CROSSVM_NOT_FOUND) {
        must(status, "signal");
    }
}

/* Rings until it is rung back: the other one may not listen yet. How many rings it took. */
static uint32_t ring_once(struct bells *bells, uint32_t vector)
{
    uint64_t end_ns = crossvm_posix_now() + LIMIT_NS;
    uint32_t n_rings = 0;
    do {
        (void)place_bell_reaches(&bells->bell, bells->peer);
        ring_peer(bells, vector);
        n_rings++;
        if (is_rung(bells, vector, crossvm_posix_now() + SECOND_NS)) {
            return n_rings;
        }
    } while (crossvm_posix_now() < end_ns);
    give_up("vector %u was not rung back", (unsigned)vector);
}

static void ring(struct bells *bells, uint32_t n_rounds)
{
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t vector = 0; vector < PLACE_VECTORS; vector++) {
            (void)ring_once(bells, vector);
            check_others(bells, vector);
        }
    }
}

/* Answers each ring at its own vector. A ring that came twice is answered twice at most. */
static void echo(struct bells *bells, uint32_t n_rounds)
{
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t vector = 0; vector < PLACE_VECTORS; vector++) {
            if (!is_rung(bells, vector, crossvm_posix_now() + LIMIT_NS)) {
                give_up("vector %u was not rung", (unsigned)vector);
            }
            check_others(bells, vector); /* before the answer, which the next ring follows */
            (void)place_bell_reaches(&bells->bell, bells->peer);
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
