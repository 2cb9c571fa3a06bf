/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/rtos/zephyr/model.h - what the stand-ins of Zephyr's headers do on a host: guests with an
 * ivshmem device each, a kernel's clock, k_poll.
 *
 * Written from Zephyr's documentation and from what its driver does (drivers/virtualization/
 * virt_ivshmem.c): it judges vectors by the number of own ones, and on ivshmem-v2 also the peer; a
 * ring to a vector that nobody has registered is lost; a register of 32 bits takes the peer's id in
 * its high half; where an answer is 0 bytes the address is not touched.
 *
 * Time is the host's, or with model.by_hand the test's own: a sleep or a poll then takes no time
 * but moves the clock to its end, so that nothing depends on the machine.
 */
#ifndef CROSSVM_TESTS_RTOS_ZEPHYR_MODEL_H
#define CROSSVM_TESTS_RTOS_ZEPHYR_MODEL_H

#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/kernel.h>

enum {
    MODEL_GUESTS = 3,
    MODEL_VECTORS = 4,
    MODEL_MEMORY = 1 << 20, /* of an ivshmem-plain or -doorbell */
    MODEL_SECTION = 1 << 16 /* each section of an ivshmem-v2 */
};

/* One guest's device, and what happened at it. */
struct model_guest {
    struct device device;
    bool ready;
    bool v2;
    uint32_t id;
    uint16_t n_vectors;
    struct k_poll_signal *signals[MODEL_VECTORS];
    bool enabled;         /* an ivshmem-v2's interrupts */
    int int_peer_answer;  /* instead of an answer of the device's own, unless 0 */
    int register_answer;  /* likewise */
    bool rings_at_once;   /* each vector is rung as soon as it is registered */
    unsigned n_rung;      /* rings that this guest has sent, and that went out */
    unsigned n_unordered; /* those that no barrier stood in front of */
};

struct model {
    struct model_guest guests[MODEL_GUESTS];
    uint32_t states[MODEL_GUESTS];
    uint32_t lose;        /* every so manieth ring is lost, 0 = none */
    bool by_hand;         /* the clock is the test's */
    int64_t ticks;        /* this clock */
    int64_t slept;        /* ticks that were slept and polled by it */
    unsigned n_polls;     /* calls of k_poll */
    unsigned n_forever;   /* those without an end */
    int poll_answer;      /* instead of one of k_poll's own, unless 0 */
    void (*during)(void); /* by hand: happens once, in the next k_poll that would sleep */
    unsigned after;       /* such polls that pass first */
};

extern struct model model;

/* All as after a cold start: guests with `n_vectors` vectors each and ids from 0. */
void model_start(uint16_t n_vectors, bool v2);

/* The barrier in front of a doorbell; the tests put it in the place of the library's. */
void model_barrier(void);

/* An ivshmem-v2's hypervisor resets a guest. */
void model_reset(uint32_t guest);

#endif
