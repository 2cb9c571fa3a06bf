/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for sys/neutrino.h of QNX: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_QNX_SYS_NEUTRINO_H
#define STAND_IN_QNX_SYS_NEUTRINO_H

#include <stdint.h>
#include <time.h>

struct sigevent {
    int sigev_notify;
};

#define SIGEV_INTR_INIT(event) ((event)->sigev_notify = 6)
#define _NTO_TIMEOUT_INTR      (1 << 9)

int TimerTimeout(clockid_t id, int flags, const struct sigevent *notify, const uint64_t *ntime,
                 uint64_t *otime);
int InterruptAttachEvent(int intr, const struct sigevent *event, unsigned flags);
int InterruptWait(int flags, const uint64_t *timeout);
int InterruptUnmask(int intr, int id);

#endif
