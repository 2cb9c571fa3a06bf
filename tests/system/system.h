/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/system.h - what the programs of the system tests share: giving up with a reason, and
 * one side of a link whose memory and doorbells are devices, or files on the host (place.h of the
 * demo). Include it first.
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include "place.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define LIMIT_NS  (120 * SECOND_NS) /* guards against hanging */

#define LINK_CHUNKS 4u

/* Ends the program; the reason is a line of its own. */
__attribute__((format(printf, 1, 2))) static inline _Noreturn void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("failed: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

/* A status that must be no failure. */
static inline int must(int status, const char *what)
{
    if (status == CROSSVM_SYSTEM) {
        give_up("%s: %s: %s", what, crossvm_status_name(status), strerror(errno));
    }
    if (status < 0) {
        give_up("%s: %s", what, crossvm_status_name(status));
    }
    return status;
}

static inline uint64_t limit_ns(void)
{
    return crossvm_posix_now() + LIMIT_NS;
}

static inline void rest_a_moment(void)
{
    const struct timespec moment = {0, 2000000};
    (void)nanosleep(&moment, NULL);
}

/* One side: its own region, and the other side's. */
struct side {
    uint32_t self;
    struct place place;
    struct place peer_place;
    struct crossvm_region_owner owner;
    struct crossvm_region peer;
    struct crossvm_chunk table[LINK_CHUNKS];
};

static inline void side_plan(struct crossvm_region_plan *plan, uint32_t self,
                             const struct crossvm_chunk_decl *chunks, uint32_t n_chunks)
{
    memset(plan, 0, sizeof(*plan));
    plan->chunks = chunks;
    plan->n_chunks = n_chunks;
    plan->owner = self;
    plan->region_id[0] = (uint8_t)self;
}

/* Formats this side's memory. */
static inline void side_format(struct side *side, uint32_t self, const char *own,
                               const struct crossvm_chunk_decl *chunks, uint32_t n_chunks)
{
    struct crossvm_region_plan plan;
    side_plan(&plan, self, chunks, n_chunks);
    side->self = self;
    must(place_open(&side->place, own, CROSSVM_READ_WRITE), own);
    must(crossvm_region_owner_format(&side->owner, &side->place.mapping, &plan, side->table,
                                     LINK_CHUNKS),
         "format");
}

/* Goes on in this side's memory as its last life left it; formats what nobody has formatted yet. */
static inline void side_adopt(struct side *side, uint32_t self, const char *own,
                              const struct crossvm_chunk_decl *chunks, uint32_t n_chunks)
{
    struct crossvm_region_plan plan;
    side_plan(&plan, self, chunks, n_chunks);
    side->self = self;
    must(place_open(&side->place, own, CROSSVM_READ_WRITE), own);
    int status = crossvm_region_owner_adopt(&side->owner, &side->place.mapping, &plan, side->table,
                                            LINK_CHUNKS);
    if (status == CROSSVM_NOT_FORMATTED) {
        status = crossvm_region_owner_format(&side->owner, &side->place.mapping, &plan, side->table,
                                             LINK_CHUNKS);
    }
    must(status, "adopt");
}

/* Attaches to the other side's memory as soon as it is formatted. */
static inline void side_attach(struct side *side, const char *peer)
{
    uint64_t end_ns = limit_ns();
    int status;
    must(place_open(&side->peer_place, peer, CROSSVM_READ_ONLY), peer);
    do {
        rest_a_moment();
        status = crossvm_region_attach(&side->peer, &side->peer_place.mapping, side->self);
    } while (crossvm_status_family(status) == CROSSVM_FAMILY_AGAIN && crossvm_posix_now() < end_ns);
    must(status, "attach");
}

static inline struct crossvm_chunk side_find(struct side *side, const char *name, uint32_t kind)
{
    struct crossvm_chunk chunk;
    must(crossvm_region_find(&side->peer, name, kind, 0, &chunk), name);
    return chunk;
}

/* A notify of this side's doorbells, and its own id on the output. */
static inline void side_listen(struct place_bell *bell, const char *where,
                               struct crossvm_notify *notify)
{
    must(place_bell_open(bell, where, PLACE_VECTORS), where);
    bell->hang(bell, notify);
    printf("id %u\n", (unsigned)bell->id);
}

/* The other one's doorbell: in these tests there are two, with the ids 0 and 1. */
static inline uint32_t side_other(struct place_bell *bell)
{
    uint64_t end_ns = limit_ns();
    while (!place_bell_reaches(bell, 1 - bell->id)) {
        if (crossvm_posix_now() > end_ns) {
            give_up("nobody has the other doorbell");
        }
        rest_a_moment();
    }
    return 1 - bell->id;
}

#endif
