/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - what B shows: in a terminal a picture that is redrawn five times a second, elsewhere a
 * line a second; at the end a summary.
 */
#ifndef DEMO_VIEW_H
#define DEMO_VIEW_H

#include "picture.h"
#include "readings.h"
#include "side.h"

/* Rates of the machine itself, from two of its states. */
struct view_machine {
    struct machine before;
    uint64_t before_ns;
    double processor; /* busy, in percent */
    double network;   /* MB a second, both ways */
    double disk;      /* likewise */
};

struct view {
    struct picture picture;
    struct view_machine machine;
};

void view_open(struct view *view);

/* Draws if it is time. */
void view_draw(struct view *view, const struct side *side, const struct readings *readings);

/* Draws once more and gives the terminal back as it was. */
void view_close(struct view *view, const struct side *side, const struct readings *readings);

/* The table at the end, and the verdict. */
void view_summary(const struct side *side, const struct readings *readings);

#endif
