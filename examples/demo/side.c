/* SPDX-License-Identifier: Apache-2.0 */
/* side.c - what both programs do, from the command line to the common end. */
#include "side.h"

#include <signal.h>
#include <string.h>

#define PROGRESS_PERIOD_NS (100 * DEMO_MS)
#define SECOND_NS          (1000 * DEMO_MS)

static const char *own_name(const struct side *side)
{
    return side->self == DEMO_A ? "crossvm-demo-a" : "crossvm-demo-b";
}

static const char *peer_name(const struct side *side)
{
    return side->self == DEMO_A ? "crossvm-demo-b" : "crossvm-demo-a";
}

/* ---- signals ------------------------------------------------------------------------------ */

/* The signal that asked the program to end, 0 = none. */
static atomic_int caught;

static void catch_signal(int number)
{
    atomic_store(&caught, number);
}

/* Without SA_RESTART: a signal ends whatever is waiting. */
static void catch_signals(void)
{
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = catch_signal;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* ---- opening ------------------------------------------------------------------------------ */

void side_fail(struct side *side, int status, const char *reason)
{
    if (side->status == DEMO_OK) {
        side->status = status;
        (void)snprintf(side->reason, sizeof(side->reason), "%s", reason);
    }
}

static bool open_files(struct side *side)
{
    if (stream_sender_open(&side->sender, side->options.file) != DEMO_OK) {
        side_fail(side, DEMO_REFUSED, side->sender.stream.report.error);
    } else if (stream_receiver_open(&side->receiver, side->options.out, side->link.peer) !=
               DEMO_OK) {
        side_fail(side, DEMO_REFUSED, side->receiver.stream.report.error);
    }
    side->sender.spoil = side->options.spoil;
    return side->status == DEMO_OK;
}

static bool start_streams(struct side *side)
{
    if (stream_sender_start(&side->sender, &side->link) != DEMO_OK) {
        side_fail(side, DEMO_REFUSED, side->sender.stream.report.error);
    } else if (stream_receiver_start(&side->receiver, &side->link) != DEMO_OK) {
        side_fail(side, DEMO_REFUSED, side->receiver.stream.report.error);
    }
    return side->status == DEMO_OK;
}

bool side_open(struct side *side, uint32_t self, int argc, char **argv)
{
    memset(side, 0, sizeof(*side));
    side->self = self;
    side->sender.stream.fd = -1;
    side->receiver.stream.fd = -1;
    link_init(&side->link, self);
    side->status = options_parse(&side->options, self, argc, argv);
    if (side->status != DEMO_OK || side->options.help) {
        return false;
    }
    catch_signals();
    if (!open_files(side)) {
        return false;
    }
    int status = link_open(&side->link, &side->options, &caught);
    if (status != DEMO_OK) {
        side_fail(side, status, side->link.error);
        return false;
    }
    side->started_ns = crossvm_posix_now();
    side->heard_ns = side->started_ns;
    side->mine.bell = side->link.bell.id;
    return start_streams(side);
}

/* ---- telling each other ------------------------------------------------------------------- */

/* What the other side's progress means between machines. */
static void hear_progress(struct side *side, uint64_t version, uint64_t now_ns)
{
    char text[128];
    if (version != side->heard_version) {
        side->heard_version = version;
        side->heard_ns = now_ns;
    }
    if (side->theirs.goodbye == 1 + DEMO_OK) {
        side->heard_goodbye = true;
    } else if (side->theirs.goodbye != 0) {
        (void)snprintf(text, sizeof(text), "%s gave up", peer_name(side));
        side_fail(side, DEMO_WRONG, text);
    } else if (now_ns - side->heard_ns > SIDE_SILENCE_NS) {
        (void)snprintf(text, sizeof(text), "%s is gone: it has been silent for %u s",
                       peer_name(side), (unsigned)(SIDE_SILENCE_NS / SECOND_NS));
        side_fail(side, DEMO_WRONG, text);
    }
}

static void exchange_progress(struct side *side)
{
    struct crossvm_snapshot_info info;
    struct progress theirs;
    uint64_t now_ns = crossvm_posix_now();
    memset(&theirs, 0, sizeof(theirs));
    stream_progress(&side->sender.stream.report, &side->mine.sent);
    stream_progress(&side->receiver.stream.report, &side->mine.received);
    int status = crossvm_snapshot_writer_publish(&side->link.progress_writer, &side->mine,
                                                 sizeof(side->mine), now_ns, now_ns);
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_reader_read(&side->link.progress_reader, &theirs, sizeof(theirs),
                                              &info);
    }
    if (status >= 0 && info.len != sizeof(theirs)) {
        side_fail(side, DEMO_WRONG, "the other side's progress has an impossible length");
    } else if (status >= 0) {
        side->theirs = theirs;
        if (side->link.machines) {
            hear_progress(side, info.version, now_ns);
        }
    } else if (crossvm_status_family(status) != CROSSVM_FAMILY_AGAIN) {
        side_fail(side, DEMO_WRONG, "cannot read the other side's progress");
    }
    side->next_progress_ns = now_ns + PROGRESS_PERIOD_NS;
}

/* Everything that this side has to do is done. */
static bool is_complete(const struct side *side)
{
    uint32_t received = side->mine.received.state;
    return !side->busy && side->mine.sent.state == STREAM_SENT &&
           (received == STREAM_VERIFIED || received == STREAM_MISMATCH) &&
           side_seconds(side) >= side->options.seconds;
}

static void say_goodbye(struct side *side, int status)
{
    char byte = (char)status;
    if (!side->said_goodbye && side->link.socket >= 0) {
        (void)send(side->link.socket, &byte, sizeof(byte), MSG_NOSIGNAL);
    }
    if (!side->said_goodbye && side->link.machines && side->started_ns != 0) {
        side->mine.goodbye = 1 + (uint32_t)status;
        exchange_progress(side);
    }
    side->said_goodbye = true;
}

/* The socket has something to tell. */
static void hear(struct side *side)
{
    char byte;
    char text[128];
    ssize_t len = recv(side->link.socket, &byte, sizeof(byte), MSG_DONTWAIT);
    if (len < 0 && errno == ECONNRESET) {
        /* It closed without hearing us out; what it said before is behind the error. */
        len = recv(side->link.socket, &byte, sizeof(byte), MSG_DONTWAIT);
    }
    if (len == 1 && byte == DEMO_OK) {
        side->heard_goodbye = true;
        exchange_progress(side);
    } else if (len == 1) {
        (void)snprintf(text, sizeof(text), "%s gave up", peer_name(side));
        side_fail(side, byte, text);
    } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)snprintf(text, sizeof(text),
                       "%s is gone: its socket closed without a goodbye, so it was killed",
                       peer_name(side));
        side_fail(side, DEMO_WRONG, text);
    }
}

/* ---- running ------------------------------------------------------------------------------ */

double side_seconds(const struct side *side)
{
    return (double)(crossvm_posix_now() - side->started_ns) / SECOND_NS;
}

/* Looks for what ends a run early. */
static void look_around(struct side *side)
{
    char text[64];
    int number = atomic_load(&caught);
    if (number != 0) {
        (void)snprintf(text, sizeof(text), "stopped by signal %d", number);
        side_fail(side, DEMO_WRONG, text);
    }
    if (side->mine.sent.state == STREAM_FAILED) {
        side_fail(side, DEMO_REFUSED, side->sender.stream.report.error);
    }
    if (side->mine.received.state == STREAM_FAILED) {
        side_fail(side, DEMO_REFUSED, side->receiver.stream.report.error);
    }
}

/* Sleeps until a time; whether the socket woke us. After the other's goodbye it only sleeps. */
static bool sleep_until(const struct side *side, uint64_t until_ns)
{
    struct pollfd poll_fd = {side->heard_goodbye ? -1 : side->link.socket, POLLIN, 0};
    uint64_t now_ns = crossvm_posix_now();
    uint64_t left_ns = now_ns < until_ns ? until_ns - now_ns : 0;
    struct timespec left = {(time_t)(left_ns / SECOND_NS), (long)(left_ns % SECOND_NS)};
    return ppoll(&poll_fd, 1, &left, NULL) == 1;
}

bool side_wait(struct side *side, uint64_t until_ns)
{
    if (sleep_until(side, until_ns)) {
        hear(side);
    }
    if (crossvm_posix_now() >= side->next_progress_ns) {
        exchange_progress(side);
    }
    look_around(side);
    if (side->status == DEMO_OK && is_complete(side)) {
        say_goodbye(side, DEMO_OK);
    }
    return side->status == DEMO_OK && !(side->said_goodbye && side->heard_goodbye);
}

int side_close(struct side *side)
{
    stream_sender_close(&side->sender);
    stream_receiver_close(&side->receiver);
    if (side->mine.received.state == STREAM_MISMATCH) {
        side_fail(side, DEMO_WRONG, "the file that arrived has another SHA-256 than the one sent");
    }
    say_goodbye(side, side->status);
    link_close(&side->link);
    if (side->reason[0] != '\0') {
        fprintf(stderr, "%s: %s\n", own_name(side), side->reason);
    }
    return side->status;
}
