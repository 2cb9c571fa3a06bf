/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contact.h - one end of a contact between two parties that do not trust each other: life signs, a
 * state and a queue each way. Each end has a region that only it writes and the other maps
 * read-only; nothing of the other's is believed before it was judged.
 *
 *   chunk    in the server's region   in a client's region
 *   "life"   life signs               life signs
 *   "state"  snapshot                 snapshot
 *   "up"     rx part                  tx part
 *   "down"   tx part                  rx part
 */
#ifndef DEMO_CONTACT_H
#define DEMO_CONTACT_H

#include "demo.h"

#define CONTACT_RING 64u
#define TURN_NS      (DEMO_MS / 20) /* from turn to turn, at least */

enum {
    PARTY_SERVER = 1,
    PARTY_HEALTHY = 2,
    PARTY_ATTACKER = 3
};

/* The chunks of an end's region, in the order of its plan. */
enum {
    CHUNK_LIFE = 0,
    CHUNK_STATE = 1,
    CHUNK_TX = 2,
    CHUNK_RX = 3,
    N_CHUNKS = 4
};

/* What goes through the queues. */
struct item {
    uint32_t number; /* 0, 1, 2, ... */
    uint32_t last;   /* 1 = none follows */
    uint32_t check;  /* of the data, which follow from the number */
    unsigned char data[52];
};

/* What an end tells about itself. */
struct state {
    uint64_t n_turns; /* that the end has had */
    uint64_t n_taken; /* elements, in order */
    uint64_t seen;    /* the newest version of the other's state that it has read */
    uint32_t n_wrong; /* elements and states that were not what they had to be */
    uint32_t check;   /* of the rest */
};

/* Why a contact ends. */
enum notice_kind {
    NOTICE_NONE = 0,    /* it does not */
    NOTICE_CORRUPT = 1, /* impossible bytes: fault */
    NOTICE_STALE = 2,   /* what was opened is no longer there */
    NOTICE_ENDED = 3,   /* the other's life is over: cause */
    NOTICE_WRONG = 4,   /* contents that the application does not believe */
    NOTICE_OTHER = 5    /* another status */
};

struct notice {
    enum notice_kind kind;
    int status;
    const char *what;                 /* in a few words */
    char where[CROSSVM_NAME_LEN + 8]; /* CORRUPT: "header", "directory" or "chunk NAME" */
    struct crossvm_fault fault;
    uint32_t cause;
};

struct contact {
    uint32_t self;
    uint32_t peer;
    uint32_t number;             /* which life of self's it is */
    struct crossvm_memfd memory; /* own */
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[N_CHUNKS];
    struct crossvm_memfd their_memory; /* read-only */
    struct crossvm_region theirs;
    struct crossvm_chunk their_chunks[N_CHUNKS]; /* in the order of their offsets */
    uint32_t n_their_chunks;
    struct crossvm_chunk their_tx;
    struct crossvm_chunk their_rx;
    struct crossvm_peer life;
    struct crossvm_snapshot_writer state_writer;
    struct crossvm_snapshot_reader state_reader;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    bool up;            /* both queues are linked */
    bool complete;      /* the last element was taken */
    struct state state; /* own */
    struct state their_state;
    uint64_t n_read; /* versions of it */
    struct notice notice;
};

/* A step of one's own without which a program cannot go on; never one that the other end can make
 * fail. Returns the status. */
int must(int status, const char *what);
void must_system(bool done, const char *what);
void rest(uint64_t ns);

/* Makes this end and its region. life: which one of this party's it is. It must stay where it is.
 */
void contact_make(struct contact *contact, uint32_t self, uint32_t peer, uint32_t life);

/* Attaches to the other's region, whose descriptor it takes over. Whether it can go on: else, here
 * and in what follows, contact->notice says why. */
bool contact_attach(struct contact *contact, int fd);

/* Shows signs of life and looks for the other's, brings the queues up, looks at the directory and
 * reads the state. Whether it can go on. */
bool contact_turn(struct contact *contact);

/* Takes up to n elements and judges them. How many; -1 it cannot go on. */
int contact_take(struct contact *contact, struct item *items, uint32_t n);

/* Elements that there is room for; -1 it cannot go on. */
int contact_room(struct contact *contact);

/* Sends n elements, for which there is room. Whether it can go on. */
bool contact_send(struct contact *contact, const struct item *items, uint32_t n);

/* Publishes the own state. */
void contact_publish(struct contact *contact);

/* Ends the other's life: from now on nothing of it is looked at. Its next one can be let in. */
void contact_drop(struct contact *contact);

void contact_close(struct contact *contact);

void item_fill(struct item *item, uint32_t number);

/* A notice in words; its end is missing where len bytes are too few. brief: without the region. */
void notice_text(const struct notice *notice, bool brief, char *text, size_t len);

#endif
