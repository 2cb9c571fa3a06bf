/* SPDX-License-Identifier: Apache-2.0 */
/* readings.h - what B reads of A's snapshot: every version is checked, its age measured. */
#ifndef DEMO_READINGS_H
#define DEMO_READINGS_H

#include "demo.h"
#include "link.h"
#include "machine.h"

struct readings {
    struct crossvm_snapshot_reader reader;
    struct crossvm_clock_domain producer; /* the clock of the times in A's region */
    struct crossvm_clock_domain own;
    struct machine machine; /* the newest version */
    uint64_t last;          /* its number, 0 = none yet */
    uint64_t first_ns;      /* when the first one was read */
    uint64_t first;
    uint64_t n_read;
    uint64_t n_missed;
    uint64_t n_wrong;
    uint64_t first_wrong; /* the first inconsistent version, and what was wrong with it */
    const char *wrong;
    uint64_t age_ns;   /* of the newest version when it was read, UINT64_MAX = unknown */
    uint64_t n_aged;   /* versions with a known age, */
    uint64_t sum_ns;   /* the sum of their ages, */
    uint64_t worst_ns; /* and the worst of them */
};

/* Opens A's snapshot through the read-only mapping. OK; WRONG with link->error. */
int readings_open(struct readings *readings, struct demo_link *link);

/* Reads the newest version, unless it is the same as last time, and checks it.
 * A status of the snapshot's: zero and positive, and the family AGAIN, are no failure. */
int readings_take(struct readings *readings);

/* Versions published a second, since the first one was read. */
double readings_rate(const struct readings *readings);

#endif
