/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app.h - the application: one of two sides, each in memory of its own, that share their state both
 * ways, stream numbered elements both ways, ring each other, and watch each other's life.
 *
 * It knows the library's headers and nothing else, so the same code runs in firmware, in a Linux
 * guest and in a process of the host. It may die at any instruction: what it has received stands in
 * the ledger in its own memory, and its next start goes on from there.
 */
#ifndef FIRMWARE_APP_H
#define FIRMWARE_APP_H

#include <crossvm/crossvm.h>

#define APP_VECTOR   0u /* of a side, by which it is rung */
#define APP_CAPACITY 64u
#define APP_WORDS    14u
#define APP_STATE    64u /* words of the state that is shared */

#define APP_STARTS 64u
#define APP_LIVES  64u
#define APP_RUNS   256u

/* An element says its number and whose it is, and both again in other ways. */
struct app_element {
    uint32_t life;
    uint32_t number;
    uint32_t words[APP_WORDS];
};

/* A start, and where the queues stood when it opened them. */
struct app_start {
    struct crossvm_le32 head;
    struct crossvm_le32 tail;
};

/* A life of this side, and the number of the first element that could be its. */
struct app_life {
    struct crossvm_le32 life;
    struct crossvm_le32 from;
};

/* Elements that were received one behind the other, under the same circumstances. */
struct app_run {
    struct crossvm_le32 start;    /* which start received them, from 1 */
    struct crossvm_le32 answered; /* the peer's life that was answered then */
    struct crossvm_le32 life;     /* the one that they bear */
    struct crossvm_le32 first;
    struct crossvm_le32 next; /* behind the last */
};

/* What a side notes of itself, in its own memory; the other one may read it. */
struct app_ledger {
    struct crossvm_le32 n_starts;
    struct crossvm_le32 n_lives;
    struct crossvm_le32 n_runs;
    struct crossvm_le32 bell;     /* the doorbell's id that this side is rung by, + 1; 0 = none */
    struct crossvm_le32 n_rings;  /* that ended a wait, in all starts */
    struct crossvm_le32 n_sent;   /* rings sent, in all starts */
    struct crossvm_le32 n_states; /* versions of the peer's state that were read, in all starts */
    struct crossvm_le32 reserved;
    struct app_start starts[APP_STARTS];
    struct app_life lives[APP_LIVES];
    struct app_run runs[APP_RUNS];
};

/* The chunks of a side. */
enum {
    APP_LIFE,
    APP_TX,
    APP_RX,
    APP_SNAPSHOT,
    APP_LEDGER,
    APP_CHUNKS
};

/* One side. The first part is the caller's to fill in, all else is zero. */
struct app {
    uint32_t side;               /* 0 or 1 */
    struct crossvm_mapping own;  /* this side's memory, writable */
    struct crossvm_mapping peer; /* the other's */
    struct crossvm_notify *bell; /* this side's; it may poll */
    uint32_t bell_id;            /* by which it is rung */
    bool has_bell;               /* it can be rung at all */
    bool is_last;                /* sends nothing, and ends when all was received */
    void (*put)(const char *text);
    /* Whether the backend has learnt, since it was asked last, that the doorbell of this id is gone;
     * and what it is called with. NULL: this backend learns nothing, as no guest does. */
    bool (*is_gone)(void *context, uint32_t bell_id);
    void *context;

    struct crossvm_region_owner owner;
    struct crossvm_region region; /* the peer's */
    struct crossvm_chunk table[APP_CHUNKS];
    struct crossvm_peer link;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    struct crossvm_snapshot_writer state_out;
    struct crossvm_snapshot_reader state_in;
    struct crossvm_bytes_writer ledger_writer;
    struct crossvm_bytes_reader ledger_reader;
    struct app_ledger *ledger;
    const struct app_ledger *peers_ledger;
    uint32_t n_versions; /* published */
    uint32_t start;      /* this one's number */
    uint32_t over;       /* the peer's life that was answered until it was lost */
    uint32_t n_held;     /* elements that were noted and not released yet */
    uint32_t n_drained;  /* of the one that is lost */
};

/* Comes up and runs. Does not return unless something fails, or it is the last and all was received
 * (OK). What fails is said, with its status. */
int app_run(struct app *app);

/* Attaches to a side's memory without a part in it, to read its ledger. A status of the library's. */
int app_look(struct app *app, const struct crossvm_mapping *mapping,
             const struct app_ledger **ledger);

#endif
