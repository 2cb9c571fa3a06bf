/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo.h - what all files of the demo share: the two parties, the sizes, the exit statuses.
 * Every source includes it first, because the backends must come before system headers.
 */
#ifndef DEMO_H
#define DEMO_H

#include <crossvm/backend/eventfd.h>
#include <crossvm/backend/memfd.h>
#include <crossvm/crossvm.h>

#include <inttypes.h>
#include <stdatomic.h>

/* The parties: A publishes the machine's state, B reads it; both stream a file. */
enum {
    DEMO_A = 1,
    DEMO_B = 2
};

/* Exit statuses. */
enum {
    DEMO_OK = 0,
    DEMO_WRONG = 1,  /* something inconsistent was seen, or the other side is gone */
    DEMO_REFUSED = 2 /* an argument, a file or the system stands in the way */
};

/* Each side's own doorbells. */
enum {
    BELL_ROOM = 0,     /* rung when there is room in the ring that this side fills */
    BELL_ELEMENTS = 1, /* rung when there are elements in the ring that this side empties */
    N_BELLS = 2
};

#define DEMO_MS 1000000u /* a millisecond in ns */

/* The streams: elements of 4 KiB in rings of 64, watermarks at a quarter. Each side publishes small
 * batches, so that the other can go on early; the watermark keeps it from being rung for each. */
#define DEMO_RING        64u
#define DEMO_WATERMARK   16u
#define DEMO_BATCH       4u
#define DEMO_DELAY_NS    (2 * DEMO_MS)
#define DEMO_PATIENCE_NS (100 * DEMO_MS) /* how long a wait goes on before it looks around */

#endif
