/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side.h - what both programs do: command line, signals, link, two streams, telling each other how
 * far they are, and ending together.
 *
 * The end: a side is complete when its time is over, its file is sent and the other's file has
 * arrived. It then says goodbye (one byte over the socket) and goes on until the other has said
 * goodbye, too. A goodbye with another byte means that the sender gives up; a socket that closes
 * without one means that the other side was killed. Between machines the goodbye stands in the
 * progress; progress that is not new for SIDE_SILENCE_NS means that the other side is gone.
 */
#ifndef DEMO_SIDE_H
#define DEMO_SIDE_H

#include "demo.h"
#include "link.h"
#include "options.h"
#include "progress.h"
#include "stream.h"

/* How long the other side may be silent between machines. */
#define SIDE_SILENCE_NS (30000ull * DEMO_MS)

struct side {
    uint32_t self;
    struct options options;
    struct demo_link link;
    struct stream_sender sender;
    struct stream_receiver receiver;
    struct progress mine;   /* published about ten times a second */
    struct progress theirs; /* the other side's, as read last */
    uint64_t started_ns;
    uint64_t next_progress_ns;
    uint64_t heard_ns; /* between machines: when the other side's progress was new */
    uint64_t heard_version;
    bool busy; /* set by the program while it has something left to do */
    bool said_goodbye;
    bool heard_goodbye;
    int status;
    char reason[STREAM_PATH_LEN + 512]; /* of a status other than OK */
};

/* Reads the command line, meets the other side and starts both streams. Whether to go on; if not,
 * side->status says why. */
bool side_open(struct side *side, uint32_t self, int argc, char **argv);

/* Waits until a time, or until something happens that ends the run. Whether to go on. */
bool side_wait(struct side *side, uint64_t until_ns);

/* Ends with a status and a reason, unless there is one already. */
void side_fail(struct side *side, int status, const char *reason);

/* Stops the streams and closes everything; prints the reason of a failure. The exit status. */
int side_close(struct side *side);

/* Since the link came up, in seconds. */
double side_seconds(const struct side *side);

#endif
