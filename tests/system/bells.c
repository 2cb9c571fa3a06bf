/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/bells.c - rings each vector of another machine's device and is rung back at the same
 * one and no other: bells BACKEND WHERE ring|echo PEER ROUNDS.
 */
#include "doorbell.h"

/* Whether a vector was rung; the answer takes the ring. */
static bool is_rung(struct doorbell *bell, uint32_t vector, uint64_t deadline_ns)
{
    int status = crossvm_notify_wait(&bell->notify, vector, deadline_ns);
    if (status != CROSSVM_TIMEOUT) {
        must(status, "wait");
    }
    return status == CROSSVM_OK;
}

/* Nobody may have rung another vector than this one, but for the one before, whose ring may have
 * been sent twice. */
static void check_others(struct doorbell *bell, uint32_t vector)
{
    uint32_t before = (vector + N_VECTORS - 1) % N_VECTORS;
    for (uint32_t other = 0; other < N_VECTORS; other++) {
        if (other != vector && is_rung(bell, other, 0) && other != before) {
            give_up("vector %u rang when %u was expected", (unsigned)other, (unsigned)vector);
        }
    }
}

static void ring_peer(struct doorbell *bell, uint32_t peer, uint32_t vector)
{
    int status = crossvm_notify_signal(&bell->notify, peer, vector);
    /* A host process has no route to who is not there yet. */
    if (status != CROSSVM_NOT_FOUND) {
        must(status, "signal");
    }
}

/* Rings until it is rung back: the other one may not listen yet. How many rings it took. */
static uint32_t ring_once(struct doorbell *bell, uint32_t peer, uint32_t vector)
{
    uint64_t end_ns = crossvm_posix_now() + LIMIT_NS;
    uint32_t n_rings = 0;
    do {
        doorbell_learn(bell);
        ring_peer(bell, peer, vector);
        n_rings++;
        if (is_rung(bell, vector, crossvm_posix_now() + SECOND_NS)) {
            return n_rings;
        }
    } while (crossvm_posix_now() < end_ns);
    give_up("vector %u was not rung back", (unsigned)vector);
}

static void ring(struct doorbell *bell, uint32_t peer, uint32_t n_rounds)
{
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t vector = 0; vector < N_VECTORS; vector++) {
            (void)ring_once(bell, peer, vector);
            check_others(bell, vector);
        }
    }
}

/* Answers each ring at its own vector. A ring that came twice is answered twice at most. */
static void echo(struct doorbell *bell, uint32_t peer, uint32_t n_rounds)
{
    for (uint32_t round = 0; round < n_rounds; round++) {
        for (uint32_t vector = 0; vector < N_VECTORS; vector++) {
            if (!is_rung(bell, vector, crossvm_posix_now() + LIMIT_NS)) {
                give_up("vector %u was not rung", (unsigned)vector);
            }
            doorbell_learn(bell);
            ring_peer(bell, peer, vector);
            check_others(bell, vector);
        }
    }
}

int main(int argc, char **argv)
{
    static struct doorbell bell;
    if (argc != 6) {
        fprintf(stderr, "usage: bells BACKEND WHERE ring|echo PEER ROUNDS\n");
        return 2;
    }
    uint32_t peer = (uint32_t)atoi(argv[4]);
    uint32_t n_rounds = (uint32_t)atoi(argv[5]);
    doorbell_open(&bell, argv[1], argv[2]);
    (strcmp(argv[3], "ring") == 0 ? ring : echo)(&bell, peer, n_rounds);
    printf("passed: %u rounds of %u vectors\n", (unsigned)n_rounds, N_VECTORS);
    return 0;
}
