/* SPDX-License-Identifier: Apache-2.0 */
/*
 * picture.h - a few lines in a terminal that are drawn again and again in the same place, five
 * times a second. Where there is no terminal it is time for a line of text once a second.
 */
#ifndef DEMO_PICTURE_H
#define DEMO_PICTURE_H

#include "demo.h"

struct picture {
    bool terminal;
    unsigned columns;
    unsigned n_lines; /* that stand in the terminal */
    uint64_t next_ns;
};

void picture_open(struct picture *picture);

/* Whether it is time to draw, or for a line; the next time is later. */
bool picture_is_due(struct picture *picture);

/* In a terminal: goes back to the first line; then draws one line after the other, none longer than
 * the terminal is wide. */
void picture_begin(struct picture *picture);
void picture_line(struct picture *picture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Gives the terminal back as it was. */
void picture_close(const struct picture *picture);

#endif
