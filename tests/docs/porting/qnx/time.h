/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for time.h of QNX: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_QNX_TIME_H
#define STAND_IN_QNX_TIME_H

#include <stdint.h>

typedef int clockid_t;
typedef int64_t time_t;
struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

#define CLOCK_MONOTONIC 2

int clock_gettime(clockid_t clock_id, struct timespec *tp);

#endif
