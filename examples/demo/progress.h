/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - how far a side is: a second snapshot, which each side publishes for the other, so
 * that both know when everything has arrived and one of them can show all of it.
 */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include "demo.h"

#define DIGEST_LEN 32u /* SHA-256 */

enum stream_state {
    STREAM_RUNNING = 0,
    STREAM_SENT = 1,     /* sender: everything is in the ring */
    STREAM_VERIFIED = 2, /* receiver: the checksum matches, the file has its name */
    STREAM_MISMATCH = 3, /* receiver: the checksum does not match */
    STREAM_FAILED = 4
};

/* One end of a stream. */
struct progress_stream {
    uint64_t size; /* of the file */
    uint64_t bytes;
    uint64_t busy_ns; /* from the first element to the last */
    uint64_t fill;    /* receiver: elements in the ring, as seen last */
    uint64_t n_rings; /* notifications that this end sent */
    uint64_t n_saved; /* and that it suppressed */
    uint64_t n_heard; /* waits of this end that a notification ended; 0 for one that polls */
    uint32_t state;   /* enum stream_state */
    uint32_t reserved;
    unsigned char digest[DIGEST_LEN];
};

struct progress {
    struct progress_stream sent;
    struct progress_stream received;
    uint64_t last_version; /* B: the newest version of the machine's state that it has read */
    uint32_t bell;         /* between machines: by which id this side is rung */
    uint32_t goodbye;      /* between machines: 0 not yet, else the exit status plus 1 */
};

#define PROGRESS_TYPE                                                       \
    "progress;sent:stream:0:1;received:stream:96:1;last_version:u64:192:1;" \
    "bell:u32:200:1;goodbye:u32:204:1;208;" CROSSVM_BYTE_ORDER_NAME

#endif
