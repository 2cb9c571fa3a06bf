/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bells.c - see bells.h. The other side may be this program or tests/system/bells.c.
 */
#include "bells.h"

#include "say.h"

/* The vectors of the meeting. */
#define MEET 0u
#define MET  1u

#define SECOND_NS 1000000000ull
#define LIMIT_NS  (120 * SECOND_NS) /* guards against hanging */

/* Whether a vector was rung; the answer takes the ring. */
static bool is_rung(struct bells *bells, uint32_t vector, uint64_t wait_ns)
{
    uint64_t deadline_ns = wait_ns == 0 ? 0 : crossvm_notify_now(bells->notify) + wait_ns;
    return crossvm_notify_wait(bells->notify, vector, deadline_ns) == CROSSVM_OK;
}

static bool ring_peer(struct bells *bells, uint32_t vector)
{
    int status = crossvm_notify_signal(bells->notify, bells->peer, vector);
    if (status != CROSSVM_OK) {
        say(bells->put, "failed: vector %u: %s", (unsigned)vector, crossvm_status_name(status));
    }
    return status == CROSSVM_OK;
}

/* This vector is rung, and no other one. Of the meeting a ring may be left over. */
static bool expect(struct bells *bells, uint32_t vector)
{
    if (!is_rung(bells, vector, LIMIT_NS)) {
        say(bells->put, "failed: vector %u was not rung", (unsigned)vector);
        return false;
    }
    for (uint32_t other = 0; other < bells->n_vectors; other++) {
        bool left_over = bells->has_just_met && other == MEET;
        if (other != vector && is_rung(bells, other, 0) && !left_over) {
            say(bells->put, "failed: vector %u rang when %u was expected", (unsigned)other,
                (unsigned)vector);
            return false;
        }
    }
    return true;
}

/* Rings at MEET until it is rung back, for the other one may not listen yet; then once at MET, whose
 * answer says that from now on every ring counts. */
static bool meet(struct bells *bells)
{
    uint64_t end_ns = crossvm_notify_now(bells->notify) + LIMIT_NS;
    do {
        if (crossvm_notify_now(bells->notify) > end_ns || !ring_peer(bells, MEET)) {
            say(bells->put, "failed: nobody listens");
            return false;
        }
    } while (!is_rung(bells, MEET, SECOND_NS / 2));
    return ring_peer(bells, MET) && expect(bells, MET);
}

static bool be_met(struct bells *bells)
{
    uint64_t end_ns = crossvm_notify_now(bells->notify) + LIMIT_NS;
    while (!is_rung(bells, MET, 0)) {
        if (crossvm_notify_now(bells->notify) > end_ns) {
            say(bells->put, "failed: nobody rings");
            return false;
        }
        if (is_rung(bells, MEET, SECOND_NS / 100)) {
            (void)ring_peer(bells, MEET);
        }
    }
    return ring_peer(bells, MET);
}

bool bells_ring(struct bells *bells, uint32_t n_rounds)
{
    bells->has_just_met = true;
    bool good = meet(bells);
    for (uint32_t i = 0; good && i < n_rounds * bells->n_vectors; i++) {
        uint32_t vector = i % bells->n_vectors;
        bells->has_just_met = i < bells->n_vectors;
        good = ring_peer(bells, vector) && expect(bells, vector);
    }
    return good;
}

bool bells_echo(struct bells *bells, uint32_t n_rounds)
{
    bells->has_just_met = true;
    bool good = be_met(bells);
    for (uint32_t i = 0; good && i < n_rounds * bells->n_vectors; i++) {
        uint32_t vector = i % bells->n_vectors;
        bells->has_just_met = i < bells->n_vectors;
        good = expect(bells, vector) && ring_peer(bells, vector);
    }
    return good;
}
