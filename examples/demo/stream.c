/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - sending a file through a queue, and receiving one. */
#include "stream.h"

#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

/* ---- what both directions need ------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static int fail(struct stream *stream, const char *format,
                                                      ...)
{
    struct stream_report *report = &stream->report;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(report->error, sizeof(report->error), format, arguments);
    va_end(arguments);
    atomic_store(&report->state, STREAM_FAILED);
    return DEMO_REFUSED;
}

static int stream_init(struct stream *stream)
{
    memset(stream, 0, sizeof(*stream));
    stream->fd = -1;
    stream->next = ELEMENT_SIZE;
    stream->hash = EVP_MD_CTX_new();
    if (stream->hash == NULL || EVP_DigestInit_ex(stream->hash, EVP_sha256(), NULL) != 1) {
        return fail(stream, "libcrypto has no SHA-256");
    }
    return DEMO_OK;
}

static int stream_start(struct stream *stream, void *(*run)(void *), void *argument)
{
    int error = pthread_create(&stream->thread, NULL, run, argument);
    if (error != 0) {
        return fail(stream, "cannot start a thread: %s", strerror(error));
    }
    stream->running = true;
    return DEMO_OK;
}

static void stream_stop(struct stream *stream)
{
    atomic_store(&stream->stop, true);
    if (stream->running) {
        (void)pthread_join(stream->thread, NULL);
        stream->running = false;
    }
    if (stream->fd >= 0) {
        (void)close(stream->fd);
        stream->fd = -1;
    }
    EVP_MD_CTX_free(stream->hash);
    stream->hash = NULL;
}

/* The streams take whatever the clocked work of the other threads leaves: nice is per thread. */
static void give_way(void)
{
    (void)setpriority(PRIO_PROCESS, 0, 10);
}

/* Whether the thread has something left to do. */
static bool goes_on(struct stream *stream)
{
    return atomic_load(&stream->report.state) == STREAM_RUNNING && !atomic_load(&stream->stop);
}

/* The time runs from the first element on. */
static void start_clock(struct stream *stream)
{
    if (stream->started_ns == 0) {
        stream->started_ns = crossvm_posix_now();
    }
}

/* Counts what is worth showing after a batch. */
static void tell(struct stream *stream, const struct link_ear *ear)
{
    struct stream_report *report = &stream->report;
    atomic_store(&report->busy_ns, crossvm_posix_now() - stream->started_ns);
    atomic_store(&report->n_rings, ear->notify.n_sent);
    atomic_store(&report->n_saved, ear->notify.n_suppressed);
    atomic_store(&report->n_heard, ear->n_heard);
}

/* Reports the outcome when there is one: behind everything else. */
static void conclude(struct stream *stream)
{
    if (goes_on(stream) && stream->outcome != STREAM_RUNNING) {
        atomic_store(&stream->report.state, stream->outcome);
    }
}

static bool hash_add(struct stream *stream, const void *data, size_t len)
{
    return EVP_DigestUpdate(stream->hash, data, len) == 1;
}

static bool hash_end(struct stream *stream)
{
    return EVP_DigestFinal_ex(stream->hash, stream->report.digest, NULL) == 1;
}

void stream_progress(const struct stream_report *report, struct progress_stream *progress)
{
    memset(progress, 0, sizeof(*progress));
    progress->state = atomic_load(&report->state);
    progress->size = atomic_load(&report->size);
    progress->bytes = atomic_load(&report->bytes);
    progress->busy_ns = atomic_load(&report->busy_ns);
    progress->fill = atomic_load(&report->fill);
    progress->n_rings = atomic_load(&report->n_rings);
    progress->n_saved = atomic_load(&report->n_saved);
    progress->n_heard = atomic_load(&report->n_heard);
    if (progress->state != STREAM_RUNNING) {
        memcpy(progress->digest, report->digest, sizeof(progress->digest));
    }
}

/* ---- sending ------------------------------------------------------------------------------ */

int stream_sender_open(struct stream_sender *sender, const char *path)
{
    struct stream *stream = &sender->stream;
    struct stat stat_buffer;
    int status = stream_init(stream);
    stream->path = path;
    sender->spoil = false;
    if (status != DEMO_OK) {
        return status;
    }
    /* O_NONBLOCK: opening a named pipe would otherwise wait for its writer. */
    stream->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (stream->fd < 0 || fstat(stream->fd, &stat_buffer) != 0) {
        return fail(stream, "--file %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(stat_buffer.st_mode)) {
        return fail(stream, "--file %s: expected a file, this is a directory", path);
    }
    if (!S_ISREG(stat_buffer.st_mode)) {
        return fail(stream, "--file %s: expected a regular file", path);
    }
    atomic_store(&stream->report.size, (uint64_t)stat_buffer.st_size);
    return DEMO_OK;
}

/* The first element: how much is to come. */
static int put_size(struct stream_sender *sender, struct element *element)
{
    uint64_t size = atomic_load(&sender->stream.report.size);
    element->kind = ELEMENT_SIZE;
    element->len = sizeof(size);
    memcpy(element->data, &size, sizeof(size));
    sender->stream.next = size == 0 ? ELEMENT_DIGEST : ELEMENT_DATA;
    return DEMO_OK;
}

/* The next piece of the file, read straight into the ring. */
static int put_data(struct stream_sender *sender, struct element *element)
{
    struct stream *stream = &sender->stream;
    uint64_t done = atomic_load(&stream->report.bytes);
    uint64_t left = atomic_load(&stream->report.size) - done;
    size_t want = left < sizeof(element->data) ? (size_t)left : sizeof(element->data);
    ssize_t len = read(stream->fd, element->data, want);
    if (len <= 0) {
        return fail(stream, "--file %s: %s", stream->path,
                    len == 0 ? "it became shorter while it was read" : strerror(errno));
    }
    if (!hash_add(stream, element->data, (size_t)len)) {
        return fail(stream, "SHA-256 failed");
    }
    if (sender->spoil) {
        element->data[0] ^= 1;
        sender->spoil = false;
    }
    element->kind = ELEMENT_DATA;
    element->len = (uint32_t)len;
    atomic_store(&stream->report.bytes, done + (uint64_t)len);
    stream->next = left == (uint64_t)len ? ELEMENT_DIGEST : ELEMENT_DATA;
    return DEMO_OK;
}

/* The last element: what the receiver has to arrive at. */
static int put_digest(struct stream_sender *sender, struct element *element)
{
    struct stream *stream = &sender->stream;
    if (!hash_end(stream)) {
        return fail(stream, "SHA-256 failed");
    }
    element->kind = ELEMENT_DIGEST;
    element->len = DIGEST_LEN;
    memcpy(element->data, stream->report.digest, DIGEST_LEN);
    stream->next = 0;
    stream->outcome = STREAM_SENT;
    return DEMO_OK;
}

static int put_next(struct stream_sender *sender, struct element *element)
{
    switch (sender->stream.next) {
    case ELEMENT_SIZE:
        return put_size(sender, element);
    case ELEMENT_DATA:
        return put_data(sender, element);
    default:
        return put_digest(sender, element);
    }
}

/* Fills up to n free places in place, publishes them, and rings the receiver if it wants that. */
static int send_batch(struct stream_sender *sender, uint32_t n)
{
    struct crossvm_pipe_tx *pipe = sender->pipe;
    struct crossvm_spsc_tx_span span;
    uint64_t again_ns; /* not needed: the receiver keeps its longest delay by a timer of its own */
    uint32_t n_put = 0;
    start_clock(&sender->stream);
    int status = crossvm_spsc_tx_reserve(&pipe->queue, n, &span);
    while (status == CROSSVM_OK && n_put < n && sender->stream.next != 0) {
        if (put_next(sender, crossvm_spsc_tx_span_at(&span, n_put)) != DEMO_OK) {
            return DEMO_REFUSED;
        }
        n_put++;
    }
    if (status == CROSSVM_OK) {
        status = crossvm_spsc_tx_commit(&pipe->queue, n_put);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_pipe_tx_kick(pipe, &again_ns);
    }
    if (status != CROSSVM_OK) {
        return fail(&sender->stream, "sending: %s", crossvm_status_name(status));
    }
    tell(&sender->stream, sender->ear);
    return DEMO_OK;
}

/* Fills n free places, batch by batch. */
static void send_batches(struct stream_sender *sender, uint32_t n)
{
    int status = DEMO_OK;
    while (n != 0 && sender->stream.next != 0 && status == DEMO_OK) {
        uint32_t batch = n < DEMO_BATCH ? n : DEMO_BATCH;
        status = send_batch(sender, batch);
        n -= batch;
    }
}

/* The sender's thread: waits for room, fills it, until the file is through. */
static void *send_file(void *argument)
{
    struct stream_sender *sender = argument;
    struct stream *stream = &sender->stream;
    give_way();
    while (goes_on(stream)) {
        uint64_t deadline_ns = crossvm_posix_now() + DEMO_PATIENCE_NS;
        int n_free = crossvm_pipe_tx_wait(sender->pipe, DEMO_WATERMARK, deadline_ns);
        if (n_free > 0) {
            send_batches(sender, (uint32_t)n_free);
        } else if (n_free != CROSSVM_TIMEOUT) {
            (void)fail(stream, "waiting for room: %s", crossvm_status_name(n_free));
        }
        conclude(stream);
    }
    return NULL;
}

int stream_sender_start(struct stream_sender *sender, struct demo_link *link)
{
    sender->pipe = &link->tx;
    sender->ear = &link->tx_ear;
    return stream_start(&sender->stream, send_file, sender);
}

void stream_sender_close(struct stream_sender *sender)
{
    stream_stop(&sender->stream);
}

/* ---- receiving ---------------------------------------------------------------------------- */

int stream_receiver_open(struct stream_receiver *receiver, const char *directory, uint32_t peer)
{
    struct stream *stream = &receiver->stream;
    const char name = peer == DEMO_A ? 'a' : 'b';
    int status = stream_init(stream);
    receiver->temporary[0] = '\0';
    if (status != DEMO_OK) {
        return status;
    }
    (void)snprintf(receiver->final, sizeof(receiver->final), "%s/crossvm-demo-from-%c", directory,
                   name);
    int len = snprintf(receiver->temporary, sizeof(receiver->temporary),
                       "%s/.crossvm-demo-from-%c.%ld", directory, name, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof(receiver->temporary)) {
        receiver->temporary[0] = '\0';
        return fail(stream, "--out: expected a shorter path");
    }
    stream->path = receiver->temporary;
    stream->fd = open(stream->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (stream->fd < 0) {
        receiver->temporary[0] = '\0';
        return fail(stream, "--out %s: expected a directory to write to: %s", directory,
                    strerror(errno));
    }
    return DEMO_OK;
}

static int write_all(struct stream *stream, const unsigned char *data, size_t len)
{
    while (len != 0) {
        ssize_t written = write(stream->fd, data, len);
        if (written < 0 && errno != EINTR) {
            return fail(stream, "%s: %s", stream->path, strerror(errno));
        }
        if (written > 0) {
            data += written;
            len -= (size_t)written;
        }
    }
    return DEMO_OK;
}

static int take_size(struct stream *stream, const struct element *element)
{
    uint64_t size;
    memcpy(&size, element->data, sizeof(size));
    atomic_store(&stream->report.size, size);
    stream->next = size == 0 ? ELEMENT_DIGEST : ELEMENT_DATA;
    return DEMO_OK;
}

static int take_data(struct stream *stream, const struct element *element)
{
    uint64_t done = atomic_load(&stream->report.bytes) + element->len;
    if (write_all(stream, element->data, element->len) != DEMO_OK) {
        return DEMO_REFUSED;
    }
    if (!hash_add(stream, element->data, element->len)) {
        return fail(stream, "SHA-256 failed");
    }
    atomic_store(&stream->report.bytes, done);
    stream->next = done == atomic_load(&stream->report.size) ? ELEMENT_DIGEST : ELEMENT_DATA;
    return DEMO_OK;
}

/* Everything is there: the file gets its name if it is what was sent. */
static int take_digest(struct stream_receiver *receiver, const struct element *element)
{
    struct stream *stream = &receiver->stream;
    stream->next = 0;
    if (!hash_end(stream)) {
        return fail(stream, "SHA-256 failed");
    }
    if (memcmp(stream->report.digest, element->data, DIGEST_LEN) != 0) {
        stream->outcome = STREAM_MISMATCH;
        return DEMO_OK;
    }
    int fd = stream->fd;
    stream->fd = -1;
    if (close(fd) != 0 || rename(receiver->temporary, receiver->final) != 0) {
        return fail(stream, "%s: %s", receiver->final, strerror(errno));
    }
    receiver->temporary[0] = '\0';
    stream->outcome = STREAM_VERIFIED;
    return DEMO_OK;
}

/* Judges an element, which is a private copy: the sender cannot change it any more. */
static bool is_possible(const struct stream *stream, const struct element *element)
{
    uint64_t left = atomic_load(&stream->report.size) - atomic_load(&stream->report.bytes);
    if (element->kind != stream->next) {
        return false;
    }
    switch (element->kind) {
    case ELEMENT_SIZE:
        return element->len == sizeof(uint64_t);
    case ELEMENT_DATA:
        return element->len != 0 && element->len <= sizeof(element->data) && element->len <= left;
    default:
        return element->len == DIGEST_LEN;
    }
}

static int take_next(struct stream_receiver *receiver, const struct element *element)
{
    struct stream *stream = &receiver->stream;
    if (!is_possible(stream, element)) {
        return fail(stream, "receiving: an element that no sender would send");
    }
    switch (element->kind) {
    case ELEMENT_SIZE:
        return take_size(stream, element);
    case ELEMENT_DATA:
        return take_data(stream, element);
    default:
        return take_digest(receiver, element);
    }
}

/* Takes n elements, and rings the sender if it wants that. */
static int receive_batch(struct stream_receiver *receiver, uint32_t n)
{
    struct element element;
    int status = CROSSVM_OK;
    start_clock(&receiver->stream);
    for (uint32_t i = 0; i < n && status == CROSSVM_OK; i++) {
        status = crossvm_spsc_rx_pop(&receiver->pipe->queue, &element);
        if (status == CROSSVM_OK && take_next(receiver, &element) != DEMO_OK) {
            return DEMO_REFUSED;
        }
    }
    if (status == CROSSVM_OK) {
        status = crossvm_pipe_rx_kick(receiver->pipe);
    }
    if (status != CROSSVM_OK) {
        return fail(&receiver->stream, "receiving: %s", crossvm_status_name(status));
    }
    tell(&receiver->stream, receiver->ear);
    return DEMO_OK;
}

/* Takes n elements, batch by batch. */
static void receive_batches(struct stream_receiver *receiver, uint32_t n)
{
    struct stream_report *report = &receiver->stream.report;
    int status = DEMO_OK;
    while (n != 0 && status == DEMO_OK) {
        uint32_t batch = n < DEMO_BATCH ? n : DEMO_BATCH;
        atomic_store(&report->fill, n);
        status = receive_batch(receiver, batch);
        n -= batch;
    }
    atomic_store(&report->fill, n);
}

/* The receiver's thread: waits for elements, by watermark and longest delay, until all are there.
 * The delay matters at the end, when the last few elements stay below the watermark. */
static void *receive_file(void *argument)
{
    struct stream_receiver *receiver = argument;
    struct stream *stream = &receiver->stream;
    give_way();
    while (goes_on(stream)) {
        uint64_t deadline_ns = crossvm_posix_now() + DEMO_PATIENCE_NS;
        int fill = crossvm_pipe_rx_wait(receiver->pipe, DEMO_WATERMARK, DEMO_DELAY_NS, deadline_ns);
        if (fill > 0) {
            receive_batches(receiver, (uint32_t)fill);
        } else if (fill != CROSSVM_TIMEOUT) {
            (void)fail(stream, "waiting for elements: %s", crossvm_status_name(fill));
        }
        conclude(stream);
    }
    return NULL;
}

int stream_receiver_start(struct stream_receiver *receiver, struct demo_link *link)
{
    receiver->pipe = &link->rx;
    receiver->ear = &link->rx_ear;
    return stream_start(&receiver->stream, receive_file, receiver);
}

void stream_receiver_close(struct stream_receiver *receiver)
{
    stream_stop(&receiver->stream);
    if (receiver->temporary[0] != '\0') {
        (void)unlink(receiver->temporary);
    }
}
