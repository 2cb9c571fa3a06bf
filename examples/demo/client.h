/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - what both of the server's peers do when they behave: send elements, check that each
 * comes back, publish a state, read the server's.
 */
#ifndef DEMO_CLIENT_H
#define DEMO_CLIENT_H

#include "contact.h"

/* What the server says on a client's socket, a byte, beside handing memory over. */
enum client_word {
    WORD_NONE = 0,
    WORD_DROPPED = 'd', /* your life is over, you may come back */
    WORD_END = 'e'      /* come to an end */
};

/* What the attacker says: that its attack begins, and how the kernel answered. */
struct client_report {
    uint32_t n_tried;
    uint32_t n_refused;
};

enum client_mode {
    CLIENT_BUSY = 0,   /* sends elements and states */
    CLIENT_ENDING = 1, /* sends one element more, the last */
    CLIENT_QUIET = 2   /* sends nothing */
};

struct client {
    struct contact contact;
    int socket;
    enum client_mode mode;
    uint64_t n_sent; /* elements */
    uint64_t publish_ns;
};

/* What the server has said meanwhile; ends the program if the server is gone. */
enum client_word client_hear(const struct client *client);

/* Hands the region over. Whether the server has let it in. */
bool client_meet(struct client *client);

/* A turn of good behaviour. Whether it can go on. */
bool client_turn(struct client *client);

/* The healthy peer, to its end. An exit status. */
int healthy_run(int socket);

#endif
