/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - the connection between the two programs.
 *
 * Two processes: each side makes a memfd that only it writes and hands it over read-only, with two
 * eventfds as doorbells. The socket over which that happens stays open: it says goodbye, and when
 * it closes without a goodbye the other side is dead.
 *
 * Machines (place.h): each side finds its own memory and the other's, which it can only read, in
 * devices. Who it is rung by, and goodbyes, stand in the progress; silence means death.
 *
 *   A's memory                 B's memory
 *   "machine"   snapshot       -
 *   "progress"  snapshot       "progress"  snapshot
 *   "a-to-b"    tx part        "a-to-b"    rx part
 *   "b-to-a"    rx part        "b-to-a"    tx part
 */
#ifndef DEMO_LINK_H
#define DEMO_LINK_H

#include "demo.h"
#include "machine.h"
#include "options.h"
#include "place.h"
#include "progress.h"

#define LINK_CHUNKS 4u

/* The one element type: a length and data. */
enum element_kind {
    ELEMENT_SIZE = 1, /* the first: the file's size, 8 bytes */
    ELEMENT_DATA = 2,
    ELEMENT_DIGEST = 3 /* the last: SHA-256 of the file */
};

struct element {
    uint32_t kind;
    uint32_t len;
    unsigned char data[4088];
};

#define ELEMENT_TYPE "element;kind:u32:0:1;len:u32:4:1;data:u8:8:4088;4096;" CROSSVM_BYTE_ORDER_NAME

/* A notify that counts what it hears: how many waits a ring ended. */
struct link_ear {
    struct crossvm_notify notify; /* what the pipe uses */
    struct crossvm_notify inner;  /* the backend's */
    uint64_t n_heard;
};

struct demo_link {
    uint32_t self;
    uint32_t peer;
    int socket;              /* between processes */
    bool machines;           /* between machines */
    int bells[N_BELLS];      /* ours, on which we wait */
    int peer_bells[N_BELLS]; /* the peer's, which we ring */
    struct crossvm_memfd memory;
    struct crossvm_memfd peer_memory; /* read-only */
    struct place place;
    struct place peer_place; /* read-only */
    struct place_bell bell;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[LINK_CHUNKS];
    struct crossvm_region peer_region;
    struct crossvm_clock_domain clock;
    struct crossvm_eventfd_route routes[N_BELLS];
    struct crossvm_eventfd doorbells;
    struct link_ear tx_ear; /* one for each thread that rings and waits */
    struct link_ear rx_ear;
    struct crossvm_pipe_tx tx;
    struct crossvm_pipe_rx rx;
    struct crossvm_snapshot_writer progress_writer;
    struct crossvm_snapshot_reader progress_reader;
    char error[512];
};

/* Makes an empty link, which link_close takes. It must stay where it is. */
void link_init(struct demo_link *link, uint32_t self);

/* Meets the other side where the options say and brings everything up, unless *stop is set
 * meanwhile. OK; WRONG or REFUSED with link->error. */
int link_open(struct demo_link *link, const struct options *options, const atomic_int *stop);
void link_close(struct demo_link *link);

/* The machine's state: A's end and B's end. OK; WRONG with link->error. */
int link_machine_writer(struct demo_link *link, struct crossvm_snapshot_writer *writer);
int link_machine_reader(struct demo_link *link, struct crossvm_snapshot_reader *reader);

#endif
