/* SPDX-License-Identifier: Apache-2.0 */
/* attacker.h - the peer that behaves for a while in each of its lives, and then attacks. */
#ifndef DEMO_ATTACKER_H
#define DEMO_ATTACKER_H

#include "client.h"

struct attack {
    struct client client;
    struct client_report report;
    uint64_t random; /* never 0 */
};

/* How the server is to take a phase. */
enum phase_end {
    END_NOTICE = 0,     /* it notices what the phase says */
    END_ANY_NOTICE = 1, /* it notices something */
    END_UNHARMED = 2,   /* there is nothing to notice */
    END_ANY = 3         /* either */
};

/* What the attacker does in one of its lives. */
struct phase {
    const char *name;
    void (*scribble)(struct attack *attack); /* again and again */
    bool at_the_door;                        /* before its region is handed over */
    enum phase_end end;
    enum notice_kind kind; /* for END_NOTICE: this, */
    uint32_t rule;         /* if CORRUPT this rule, */
    const char *where;     /* in this chunk */
};

/* One a life; the last one in every life after that, too. */
#define N_PHASES 16u
extern const struct phase phases[N_PHASES];

/* Attacks until the server says that it is enough. good_ns: how long it behaves in a life. An exit
 * status. */
int attacker_run(int socket, uint64_t good_ns);

#endif
