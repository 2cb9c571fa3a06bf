/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bells.h - a test of doorbells alone: each vector of one side's is rung by the other one, and rung
 * back, and no other vector rings meanwhile.
 */
#ifndef FIRMWARE_BELLS_H
#define FIRMWARE_BELLS_H

#include <crossvm/notify.h>

/* One side. Of two peers with the ids 0 and 1. */
struct bells {
    struct crossvm_notify *notify;
    uint32_t peer;      /* the other one's id */
    uint32_t n_vectors; /* 2 and up, of each side */
    bool has_just_met;
    void (*put)(const char *text);
};

/* Rings each vector in each round, and waits for the answer; or answers. Whether all was as it
 * should be; if not, what was not has been said. */
bool bells_ring(struct bells *bells, uint32_t n_rounds);
bool bells_echo(struct bells *bells, uint32_t n_rounds);

#endif
