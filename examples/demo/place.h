/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - where memory and doorbells are when one of the sides is a machine, or both are: devices
 * in a guest, files and a server's socket on the host.
 */
#ifndef DEMO_PLACE_H
#define DEMO_PLACE_H

#include "demo.h"

#include <crossvm/backend/ivshmem_client.h>
#include <crossvm/backend/ivshmem_pci.h>
#include <crossvm/backend/ivshmem_uio.h>
#include <crossvm/backend/ivshmem_vfio.h>

#define PLACE_ROUTES  64u /* doorbells that a host process can learn of */
#define PLACE_VECTORS 8u  /* of one side, at most */

/* Memory: "pci:SLOT" in a guest, "file:PATH" on the host. */
struct place {
    struct crossvm_mapping mapping;
    struct crossvm_examination examination;
};

/* Doorbells: "vfio:SLOT" or "uio:SLOT" in a guest, "server:SOCKET" on the host, "none" anywhere. */
struct place_bell {
    struct crossvm_ivshmem_vfio vfio;
    struct crossvm_ivshmem_uio uio;
    struct crossvm_ivshmem_client client;
    struct crossvm_eventfd_route routes[PLACE_ROUTES];
    struct crossvm_polling polling;
    int own[PLACE_VECTORS];
    bool is_none;
    uint32_t id; /* by which others ring it */
    void (*hang)(struct place_bell *bell, struct crossvm_notify *notify);
};

/* Maps and examines. A status of the library's; INVALID: where says no such place. */
int place_open(struct place *place, const char *where, enum crossvm_mapping_access access);
void place_close(struct place *place);

/* Opens n own vectors. A status of the library's; INVALID: where says no such place. */
int place_bell_open(struct place_bell *bell, const char *where, uint32_t n);
void place_bell_close(struct place_bell *bell);

/* Whether a peer can be rung, as far as can be known. */
bool place_bell_reaches(struct place_bell *bell, uint32_t peer);

#endif
