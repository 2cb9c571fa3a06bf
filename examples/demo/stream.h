/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - one file to the other side and one from it, each by a thread of its own.
 *
 * The elements of a stream are the file's size, its data, and its SHA-256. What arrives is written
 * under a temporary name and gets its own name only when the checksum matches.
 */
#ifndef DEMO_STREAM_H
#define DEMO_STREAM_H

#include "demo.h"
#include "link.h"
#include "progress.h"

#include <openssl/evp.h>
#include <pthread.h>

#define STREAM_PATH_LEN 4096u

/* What a thread tells the rest of its program; the thread writes, others read. */
struct stream_report {
    _Atomic uint64_t size;
    _Atomic uint64_t bytes;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t fill;
    _Atomic uint64_t n_rings;
    _Atomic uint64_t n_saved;
    _Atomic uint64_t n_heard;
    _Atomic uint32_t state; /* set last: it brings digest and error */
    unsigned char digest[DIGEST_LEN];
    char error[STREAM_PATH_LEN + 256];
};

/* What both directions need. */
struct stream {
    const char *path;
    int fd;
    EVP_MD_CTX *hash;
    uint64_t started_ns;
    uint32_t next;    /* the kind of the element that is due, 0 = none */
    uint32_t outcome; /* what to report when the batch is through, enum stream_state */
    atomic_bool stop;
    pthread_t thread;
    bool running;
    struct stream_report report;
};

struct stream_sender {
    struct stream stream;
    struct crossvm_pipe_tx *pipe;
    const struct link_ear *ear;
    bool spoil; /* change one byte behind the hash's back */
};

struct stream_receiver {
    struct stream stream;
    struct crossvm_pipe_rx *pipe;
    const struct link_ear *ear;
    char temporary[STREAM_PATH_LEN]; /* empty while there is no such file */
    char final[STREAM_PATH_LEN];
};

/* Opens the file to send. OK; REFUSED with report.error. */
int stream_sender_open(struct stream_sender *sender, const char *path);

/* Opens a file with a temporary name for what comes from `peer`. OK; REFUSED with report.error. */
int stream_receiver_open(struct stream_receiver *receiver, const char *directory, uint32_t peer);

/* Starts the thread on a link that is up. OK; REFUSED with report.error. */
int stream_sender_start(struct stream_sender *sender, struct demo_link *link);
int stream_receiver_start(struct stream_receiver *receiver, struct demo_link *link);

/* Stops the thread if it still runs, and closes the file; a temporary one is removed. */
void stream_sender_close(struct stream_sender *sender);
void stream_receiver_close(struct stream_receiver *receiver);

/* A copy of a report. */
void stream_progress(const struct stream_report *report, struct progress_stream *progress);

#endif
