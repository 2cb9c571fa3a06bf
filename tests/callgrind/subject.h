/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/callgrind/subject.h - what the measured operations work on, and the functions of subject.c
 * that bring it there. Handles and buffers have the same alignment in every run.
 */
#ifndef CROSSVM_TESTS_CALLGRIND_SUBJECT_H
#define CROSSVM_TESTS_CALLGRIND_SUBJECT_H

#include <crossvm/crossvm.h>

/* Elements of each size, for the typed queues. */
struct elem_8 {
    uint64_t words[1];
};
struct elem_64 {
    uint64_t words[8];
};
struct elem_256 {
    uint64_t words[32];
};
struct elem_1024 {
    uint64_t words[128];
};

CROSSVM_SPSC_TYPE(queue_8, struct elem_8);
CROSSVM_SPSC_TYPE(queue_64, struct elem_64);
CROSSVM_SPSC_TYPE(queue_256, struct elem_256);
CROSSVM_SPSC_TYPE(queue_1024, struct elem_1024);

#define MANY     32u  /* elements a batch */
#define CAPACITY 256u /* elements of each queue */
#define N_SLOTS  4u   /* of each snapshot */
#define LONG_LEN 4096u
#define N_CHUNKS 100u

/* A handle under the names that operations give it. */
union subject_tx {
    struct crossvm_spsc_tx any;
    struct queue_8_tx q8;
    struct queue_64_tx q64;
    struct queue_256_tx q256;
    struct queue_1024_tx q1024;
};
union subject_rx {
    struct crossvm_spsc_rx any;
    struct queue_8_rx q8;
    struct queue_64_rx q64;
    struct queue_256_rx q256;
    struct queue_1024_rx q1024;
};
union subject_elems {
    unsigned char bytes[MANY * sizeof(struct elem_1024)];
    struct elem_8 e8[MANY];
    struct elem_64 e64[MANY];
    struct elem_256 e256[MANY];
    struct elem_1024 e1024[MANY];
};

struct subject {
    _Alignas(128) union subject_elems in; /* written into shared memory */
    _Alignas(128) union subject_elems out;
    union subject_tx tx;
    union subject_rx rx;
    struct crossvm_exchange_tx exchange_tx;
    struct crossvm_exchange_rx exchange_rx;
    struct crossvm_pipe_tx pipe_tx;
    struct crossvm_pipe_rx pipe_rx;
    struct crossvm_notify notify;
    struct crossvm_polling polling;
    struct crossvm_wake_waiter waiter;
    struct crossvm_wake_publisher publisher;
    struct crossvm_snapshot_writer state_out;
    struct crossvm_snapshot_reader state_in;
    struct crossvm_snapshot_info info;
    struct crossvm_bytes_writer bytes_out;
    struct crossvm_bytes_reader bytes_in;
    struct crossvm_mapping mapping;
    struct crossvm_region region;
    struct crossvm_chunk chunk;
    struct crossvm_chunk chunks[N_CHUNKS];
    uint32_t n_chunks;
    char name[CROSSVM_NAME_LEN]; /* of the chunk to be found */
    struct crossvm_clock_domain clocks[2];
    uint64_t time_ns;
    uint64_t result;
    uint64_t version;
    uint32_t index;
};

/* What stands in front of an operation's calls: once, or before each of them. */
typedef void subject_step(struct subject *s);

/* An operation, and how it is called. */
struct operation {
    const char *name;
    int (*call)(struct subject *s);
    subject_step *prepare; /* once, in front of all calls */
    subject_step *before;  /* in front of each */
    unsigned n;            /* calls */
    int want;              /* the answer of each, so that the path meant is the one taken */
};

/* Puts an operation behind the others. */
void operation_add(const struct operation *operation);

subject_step nothing;

/* A queue from which one element was pushed, so that room is known of. */
subject_step room_8, room_64, room_256, room_1024;
/* One that is full, and of which one element was popped, so that elements are known of. */
subject_step elements_8, elements_64, elements_256, elements_1024;
/* One of which neither side has looked at the other. */
subject_step empty_8, empty_64, empty_256, empty_1024;
subject_step full_8, full_64, full_256, full_1024;
/* The other side's move, when it is not measured. */
subject_step push_one, pop_one;

/* Queues of 64-byte elements whose first kick, which always rings, is over. The waiting side
 * polls; does not want to be rung; sleeps until far more is there; wants every ring. */
subject_step tx_polling, tx_never, tx_event, tx_always;
subject_step rx_polling, rx_never;
subject_step pipe_polling, pipe_never, pipe_rx_never, pipe_elements, pipe_room;

/* An exchange of 64-byte elements: empty; full of elements; full of answers. */
subject_step exchange_empty, exchange_sent, exchange_answered;

/* A WAKE chunk behind its first kick, in the same states. */
subject_step wake_never, wake_event, wake_always;
subject_step next_index;

/* A snapshot with several versions. */
subject_step snapshot_64, snapshot_4096;
subject_step publish_64, publish_4096;

subject_step bytes_chunk;

/* A region of so many chunks, and the name of the last one. */
subject_step region_of_1, region_of_100;

subject_step times;

#endif
