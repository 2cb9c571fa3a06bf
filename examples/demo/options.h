/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of both programs. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include "demo.h"

struct options {
    const char *socket; /* where two processes meet; between machines NULL */
    const char *own;    /* between machines: this side's memory (place.h) */
    const char *peer;   /* the other side's */
    const char *bell;   /* this side's doorbells */
    const char *file;   /* what this side streams to the other */
    const char *out;    /* directory for what the other side streams */
    uint32_t seconds;   /* the run lasts at least this long */
    bool tear;          /* A: publish one torn version */
    bool spoil;         /* A: change one byte of the file on its way */
    bool help;
};

/* Reads the command line. OK; REFUSED, and the message was printed. */
int options_parse(struct options *options, uint32_t self, int argc, char **argv);

#endif
