/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kernel/peer/agreed.h - what the kernel module beside it and tests/system/kernel_peer.c have
 * agreed on: parties, names, what stands in elements and states, and how the queues come up.
 *
 * The kernel's region has the snapshot "state", and of two queues the parts that the kernel writes;
 * the program's region has the other two parts.
 */
#ifndef CROSSVM_TESTS_KERNEL_PEER_AGREED_H
#define CROSSVM_TESTS_KERNEL_PEER_AGREED_H

#include <crossvm/crossvm.h>

enum {
    KERNEL = 1,
    PROGRAM = 2,
    CAPACITY = 16,
    STATE_LEN = 200,
    N_ELEMENTS = 1000, /* each way */
    N_VERSIONS = 1000,
    TRANSFORM = 0x5a, /* of bytes that come back */
    LIMIT_SECONDS = 60
};

#define STATE       "state"
#define TO_KERNEL   "to-kernel"
#define FROM_KERNEL "from-kernel"

struct element {
    uint64_t index;
    unsigned char bytes[56];
};

/* Byte i of what belongs to a number: neighbours differ in either. */
static inline unsigned char byte_of(uint64_t number, size_t i)
{
    return (unsigned char)(number * 31 + (number >> 8) + i * 7);
}

static inline void bytes_make(unsigned char *bytes, size_t len, uint64_t number, unsigned char mask)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(byte_of(number, i) ^ mask);
    }
}

static inline bool bytes_are(const unsigned char *bytes, size_t len, uint64_t number,
                             unsigned char mask)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != (unsigned char)(byte_of(number, i) ^ mask)) {
            return false;
        }
    }
    return true;
}

/* A side's ends of the two queues, and the other side's parts of them. */
struct side {
    const char *out; /* name of the queue that it sends by */
    const char *in;  /* name of the queue that it takes from */
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    struct crossvm_region other;
    struct crossvm_chunk other_rx; /* of `out` */
    struct crossvm_chunk other_tx; /* of `in` */
};

/* Opens this side's parts, in its own region. Statuses of find and open. */
static inline int side_open(struct side *side, struct crossvm_region *own, uint32_t seed)
{
    struct crossvm_chunk *chunk = &side->other_tx; /* a place for it, until the other is there */
    int status = crossvm_region_find(own, side->out, CROSSVM_KIND_SPSC_TX, 0, chunk);
    if (status == CROSSVM_OK) {
        status = crossvm_spsc_tx_open(&side->tx, own, chunk, sizeof(struct element), seed);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_region_find(own, side->in, CROSSVM_KIND_SPSC_RX, 0, chunk);
    }
    if (status == CROSSVM_OK) {
        status =
            crossvm_spsc_rx_open(&side->rx, own, chunk, CAPACITY, sizeof(struct element), seed);
    }
    return status;
}

/* Looks for the other side's region and its parts. Statuses of attach and find. */
static inline int side_attach(struct side *side, const struct crossvm_mapping *mapping,
                              uint32_t self)
{
    int status = crossvm_region_attach(&side->other, mapping, self);
    if (status == CROSSVM_OK) {
        status =
            crossvm_region_find(&side->other, side->out, CROSSVM_KIND_SPSC_RX, 0, &side->other_rx);
    }
    if (status == CROSSVM_OK) {
        status =
            crossvm_region_find(&side->other, side->in, CROSSVM_KIND_SPSC_TX, 0, &side->other_tx);
    }
    return status;
}

/* Of what attach and link can answer: the other side is not so far, try again. */
static inline bool is_early(int status)
{
    return status == CROSSVM_NOT_FORMATTED || status == CROSSVM_NOT_YET || status == CROSSVM_TORN;
}

/* Brings both queues up. OK when both are; statuses of the links. */
static inline int side_link(struct side *side)
{
    int tx = crossvm_spsc_tx_link(&side->tx, &side->other, &side->other_rx);
    int rx;
    if (tx != CROSSVM_OK && !is_early(tx)) {
        return tx;
    }
    rx = crossvm_spsc_rx_link(&side->rx, &side->other, &side->other_tx);
    return rx == CROSSVM_OK ? tx : rx;
}

#endif
