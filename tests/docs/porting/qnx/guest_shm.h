/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for guest_shm.h of the QNX hypervisor: the declarations that docs/PORTING.md uses, as
 * the system documents them. For compiling only. */
#ifndef STAND_IN_QNX_GUEST_SHM_H
#define STAND_IN_QNX_GUEST_SHM_H

#include <stdint.h>

#define GUEST_SHM_MAX_CLIENTS 16

struct guest_shm_control {
    uint32_t status;
    uint32_t idx;
    uint32_t notify;
    uint32_t detach;
};

#endif
