/* SPDX-License-Identifier: Apache-2.0 */
/* contact.c - one end of a contact between two parties that do not trust each other. */
#include "contact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINK_ID    0x61746bu
#define SILENCE_NS (50ull * DEMO_MS)
#define STATE_TYPE                                                                         \
    "state;n_turns:u64:0:1;n_taken:u64:8:1;seen:u64:16:1;n_wrong:u32:24:1;check:u32:28:1;" \
    "32;" CROSSVM_BYTE_ORDER_NAME
#define ITEM_TYPE \
    "item;number:u32:0:1;last:u32:4:1;check:u32:8:1;data:u8:12:52;64;" CROSSVM_BYTE_ORDER_NAME

CROSSVM_STATIC_ASSERT(sizeof(struct state) == 32, "STATE_TYPE");
CROSSVM_STATIC_ASSERT(sizeof(struct item) == 64, "ITEM_TYPE");

/* ---- what an end needs of its own ---------------------------------------------------------- */

int must(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "crossvm-demo-attack: %s: %s%s%s\n", what, crossvm_status_name(status),
                status == CROSSVM_SYSTEM ? ": " : "",
                status == CROSSVM_SYSTEM ? strerror(errno) : "");
        exit(DEMO_REFUSED);
    }
    return status;
}

void must_system(bool done, const char *what)
{
    (void)must(done ? CROSSVM_OK : CROSSVM_SYSTEM, what);
}

void rest(uint64_t ns)
{
    const struct timespec time = crossvm_i_posix_timespec(ns);
    (void)nanosleep(&time, NULL);
}

/* ---- notices ------------------------------------------------------------------------------- */

/* Where the other's impossible bytes stand, by what its directory said when all was well. */
static void name_place(struct contact *contact)
{
    struct notice *notice = &contact->notice;
    const char *name = NULL;
    for (uint32_t i = 0; i < contact->n_their_chunks; i++) {
        if (notice->fault.off >= contact->their_chunks[i].off) {
            name = contact->their_chunks[i].name;
        }
    }
    if (name != NULL) {
        (void)snprintf(notice->where, sizeof(notice->where), "chunk %s", name);
    } else {
        (void)snprintf(notice->where, sizeof(notice->where), "%s",
                       notice->fault.off < CROSSVM_HEADER_LEN ? "header" : "directory");
    }
}

/* What a status means for the contact; whether it can go on. fault: that of the handle which has
 * answered, NULL if that cannot be CORRUPT. */
static bool judge(struct contact *contact, int status, const char *what,
                  const struct crossvm_fault *fault)
{
    enum crossvm_family family = crossvm_status_family(status);
    struct notice *notice = &contact->notice;
    if (family == CROSSVM_FAMILY_RESULT || family == CROSSVM_FAMILY_AGAIN) {
        return true;
    }
    notice->status = status;
    notice->what = what;
    notice->kind = NOTICE_OTHER;
    if (status == CROSSVM_CORRUPT && fault != NULL) {
        notice->kind = NOTICE_CORRUPT;
        notice->fault = *fault;
        name_place(contact);
    } else if (status == CROSSVM_ENDED) {
        notice->kind = NOTICE_ENDED;
        notice->cause = contact->life.cause;
    } else if (status == CROSSVM_STALE) {
        notice->kind = NOTICE_STALE;
    }
    return false;
}

/* Proper in form, and not to be believed all the same: copies are judged by who uses them. */
static bool disbelieve(struct contact *contact, const char *what)
{
    contact->notice.kind = NOTICE_WRONG;
    contact->notice.what = what;
    contact->state.n_wrong++;
    return false;
}

void notice_text(const struct notice *notice, bool brief, char *text, size_t len)
{
    char fault[CROSSVM_FAULT_TEXT_LEN];
    switch (notice->kind) {
    case NOTICE_NONE:
        (void)snprintf(text, len, "nothing: it hurts nobody else");
        break;
    case NOTICE_CORRUPT:
        (void)crossvm_fault_text(&notice->fault, fault, sizeof(fault));
        (void)snprintf(text, len, "CORRUPT in %s: %s", notice->where,
                       brief ? strstr(fault, "offset") : fault);
        break;
    case NOTICE_ENDED:
        (void)snprintf(text, len, "ENDED: %s", crossvm_peer_cause_name(notice->cause));
        break;
    case NOTICE_WRONG:
        (void)snprintf(text, len, "WRONG: %s", notice->what);
        break;
    default:
        (void)snprintf(text, len, "%s: %s", crossvm_status_name(notice->status), notice->what);
    }
}

/* ---- the own region ------------------------------------------------------------------------ */

static const char *queue_name(uint32_t sender)
{
    return sender == PARTY_SERVER ? "down" : "up";
}

/* Another one at each start: a life that is known to be over is never answered again. */
static uint32_t seed(const struct contact *contact)
{
    return (uint32_t)getpid() + contact->number;
}

static void make_region(struct contact *contact)
{
    uint32_t life = contact->number;
    uint32_t self = contact->self;
    uint32_t peer = contact->peer;
    uint64_t state = crossvm_type_hash(STATE_TYPE);
    uint64_t item = crossvm_type_hash(ITEM_TYPE);
    const struct crossvm_chunk_decl chunks[N_CHUNKS] = {
        {"life", CROSSVM_KIND_PEER, 0, 0, self, peer, 0, LINK_ID},
        {"state", CROSSVM_KIND_SNAPSHOT, 4, sizeof(struct state), self, peer, state, 0},
        {queue_name(self), CROSSVM_KIND_SPSC_TX, CONTACT_RING, sizeof(struct item), self, peer,
         item, LINK_ID},
        {queue_name(peer), CROSSVM_KIND_SPSC_RX, 0, 0, self, peer, item, LINK_ID}};
    const struct crossvm_region_plan plan = {
        .chunks = chunks,
        .n_chunks = N_CHUNKS,
        .owner = self,
        .region_id = {(uint8_t)self, (uint8_t)peer, 0, 0, (uint8_t)(life >> 24),
                      (uint8_t)(life >> 16), (uint8_t)(life >> 8), (uint8_t)life},
        .link_id = LINK_ID};
    uint64_t len = 0;
    (void)must(crossvm_region_plan_len(&plan, &len), "planning a region");
    (void)must(crossvm_memfd_create(&contact->memory, "crossvm-demo-attack", len), "making memory");
    (void)must(crossvm_region_owner_format(&contact->owner, &contact->memory.mapping, &plan,
                                           contact->table, N_CHUNKS),
               "formatting a region");
}

static void open_queues(struct contact *contact)
{
    const struct crossvm_region *region = &contact->owner.region;
    (void)must(crossvm_spsc_tx_open(&contact->tx, region, &contact->table[CHUNK_TX],
                                    sizeof(struct item), seed(contact)),
               "opening a queue");
    (void)must(crossvm_spsc_rx_open(&contact->rx, region, &contact->table[CHUNK_RX], CONTACT_RING,
                                    sizeof(struct item), seed(contact)),
               "opening a queue");
}

void contact_make(struct contact *contact, uint32_t self, uint32_t peer, uint32_t life)
{
    memset(contact, 0, sizeof(*contact));
    contact->self = self;
    contact->peer = peer;
    contact->their_memory.fd = -1;
    contact->number = life;
    make_region(contact);
    const struct crossvm_region *region = &contact->owner.region;
    (void)must(crossvm_peer_open(&contact->life, region, &contact->table[CHUNK_LIFE], SILENCE_NS),
               "opening the life signs");
    (void)must(
        crossvm_snapshot_writer_open(&contact->state_writer, region, &contact->table[CHUNK_STATE]),
        "opening the state");
    open_queues(contact);
}

void contact_close(struct contact *contact)
{
    crossvm_memfd_close(&contact->their_memory);
    crossvm_memfd_close(&contact->memory);
}

/* ---- the other's region -------------------------------------------------------------------- */

/* A region is complete before it is handed over: what is not there yet is no reason to wait. */
static int at_once(int status)
{
    return crossvm_status_family(status) == CROSSVM_FAMILY_AGAIN ? CROSSVM_MISMATCH : status;
}

static bool attach(struct contact *contact, int fd)
{
    struct crossvm_region *theirs = &contact->theirs;
    contact->n_their_chunks = 0;
    int status = crossvm_memfd_open(&contact->their_memory, fd);
    if (status != CROSSVM_OK) {
        return judge(contact, status, "mapping its memory", NULL);
    }
    status = crossvm_region_attach(theirs, &contact->their_memory.mapping, contact->self);
    if (status == CROSSVM_OK) {
        status =
            crossvm_region_list(theirs, contact->their_chunks, N_CHUNKS, &contact->n_their_chunks);
    }
    if (contact->n_their_chunks > N_CHUNKS) {
        contact->n_their_chunks = N_CHUNKS;
    }
    return judge(contact, at_once(status), "attaching to its region", &theirs->fault);
}

static bool find(struct contact *contact, const char *name, uint32_t kind, const char *type,
                 struct crossvm_chunk *chunk)
{
    uint64_t hash = type == NULL ? 0 : crossvm_type_hash(type);
    int status = crossvm_region_find(&contact->theirs, name, kind, hash, chunk);
    return judge(contact, at_once(status), "looking at its directory", &contact->theirs.fault);
}

static bool open_theirs(struct contact *contact)
{
    struct crossvm_chunk life;
    struct crossvm_chunk state;
    if (!find(contact, "life", CROSSVM_KIND_PEER, NULL, &life) ||
        !find(contact, "state", CROSSVM_KIND_SNAPSHOT, STATE_TYPE, &state) ||
        !find(contact, queue_name(contact->peer), CROSSVM_KIND_SPSC_TX, ITEM_TYPE,
              &contact->their_tx) ||
        !find(contact, queue_name(contact->self), CROSSVM_KIND_SPSC_RX, ITEM_TYPE,
              &contact->their_rx)) {
        return false;
    }
    int status = crossvm_peer_link(&contact->life, &contact->theirs, &life, seed(contact));
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_reader_open(&contact->state_reader, &contact->theirs, &state);
    }
    return judge(contact, status, "opening its life signs and its state", NULL);
}

bool contact_attach(struct contact *contact, int fd)
{
    memset(&contact->notice, 0, sizeof(contact->notice));
    memset(&contact->state, 0, sizeof(contact->state));
    memset(&contact->their_state, 0, sizeof(contact->their_state));
    contact->n_read = 0;
    contact->up = false;
    contact->complete = false;
    return attach(contact, fd) && open_theirs(contact);
}

/* The life is over because we say so, and a next one may begin: the queue's own parts start anew,
 * so that no word of them was ever meant for the dead. The state goes on. */
void contact_drop(struct contact *contact)
{
    (void)crossvm_peer_confirm(&contact->life, CROSSVM_PEER_CAUSE_APPLICATION);
    if (contact->life.state == CROSSVM_PEER_LOST) {
        (void)must(crossvm_peer_reestablish(&contact->life), "beginning a new life");
    }
    (void)must(crossvm_region_owner_renew(&contact->owner, &contact->table[CHUNK_TX]),
               "renewing a queue");
    (void)must(crossvm_region_owner_renew(&contact->owner, &contact->table[CHUNK_RX]),
               "renewing a queue");
    open_queues(contact);
    crossvm_memfd_close(&contact->their_memory);
}

/* ---- turns --------------------------------------------------------------------------------- */

static bool link_queues(struct contact *contact)
{
    int tx = crossvm_spsc_tx_link(&contact->tx, &contact->theirs, &contact->their_rx);
    int rx = crossvm_spsc_rx_link(&contact->rx, &contact->theirs, &contact->their_tx);
    contact->up = tx == CROSSVM_OK && rx == CROSSVM_OK;
    return judge(contact, tx, "linking a queue", &contact->tx.fault) &&
           judge(contact, rx, "linking a queue", &contact->rx.fault);
}

static uint32_t state_check(const struct state *state)
{
    return crossvm_crc32c(0, state, offsetof(struct state, check));
}

static bool read_state(struct contact *contact)
{
    struct state state;
    struct crossvm_snapshot_info info;
    int status = crossvm_snapshot_reader_read(&contact->state_reader, &state, sizeof(state), &info);
    if (status != 1) {
        return judge(contact, status, "reading its state", &contact->state_reader.fault);
    }
    if (info.len != sizeof(state) || state.check != state_check(&state)) {
        return disbelieve(contact, "a state with another checksum");
    }
    contact->their_state = state;
    contact->state.seen = info.version;
    contact->n_read++;
    return true;
}

/* Nothing is opened anew here; a program that does so looks things up all the time. */
static bool look_around(struct contact *contact)
{
    struct crossvm_chunk chunk;
    int status = crossvm_region_find(&contact->theirs, "state", CROSSVM_KIND_SNAPSHOT, 0, &chunk);
    return judge(contact, status, "looking at its directory", &contact->theirs.fault);
}

bool contact_turn(struct contact *contact)
{
    contact->state.n_turns++;
    int status = crossvm_peer_step(&contact->life, crossvm_posix_now());
    if (!judge(contact, status, "looking at its life signs", NULL)) {
        return false;
    }
    bool over = status == CROSSVM_PEER_LOST;
    if (over && !contact->up) {
        return judge(contact, CROSSVM_ENDED, "looking at its life signs", NULL);
    }
    if (!contact->up && crossvm_peer_ready(&contact->life) == CROSSVM_OK && !link_queues(contact)) {
        return false;
    }
    return look_around(contact) && read_state(contact);
}

void contact_publish(struct contact *contact)
{
    contact->state.check = state_check(&contact->state);
    (void)must(crossvm_snapshot_writer_publish(&contact->state_writer, &contact->state,
                                               sizeof(contact->state), 0, crossvm_posix_now()),
               "publishing the state");
}

/* ---- elements ------------------------------------------------------------------------------ */

void item_fill(struct item *item, uint32_t number)
{
    item->number = number;
    item->last = 0;
    for (uint32_t i = 0; i < sizeof(item->data); i++) {
        item->data[i] = (unsigned char)(number * 31 + i * 7);
    }
    item->check = crossvm_crc32c(0, item->data, sizeof(item->data));
}

/* Behind the last one nothing follows, and none is left out. */
static bool is_next(const struct contact *contact, const struct item *item)
{
    struct item wanted;
    item_fill(&wanted, (uint32_t)contact->state.n_taken);
    return !contact->complete && item->last <= 1 && item->number == wanted.number &&
           item->check == wanted.check && memcmp(item->data, wanted.data, sizeof(wanted.data)) == 0;
}

int contact_take(struct contact *contact, struct item *items, uint32_t n)
{
    int taken = crossvm_spsc_rx_pop_n(&contact->rx, items, n);
    taken = crossvm_peer_end(&contact->life, taken);
    if (!judge(contact, taken, "taking its elements", &contact->rx.fault)) {
        return -1;
    }
    for (int i = 0; i < taken; i++) {
        if (!is_next(contact, &items[i])) {
            (void)disbelieve(contact, "an element that is not the next one");
            return -1;
        }
        contact->complete = items[i].last == 1;
        contact->state.n_taken++;
    }
    return taken < 0 ? 0 : taken;
}

/* To one who is no more, everything can be said. */
int contact_room(struct contact *contact)
{
    if (crossvm_peer_ready(&contact->life) == CROSSVM_ENDED) {
        return (int)CONTACT_RING;
    }
    int room = crossvm_spsc_tx_free(&contact->tx);
    if (!judge(contact, room, "looking for room", &contact->tx.fault)) {
        return -1;
    }
    return room < 0 ? 0 : room;
}

bool contact_send(struct contact *contact, const struct item *items, uint32_t n)
{
    if (crossvm_peer_ready(&contact->life) == CROSSVM_ENDED) {
        return true;
    }
    int status = crossvm_spsc_tx_push_n(&contact->tx, items, n);
    return judge(contact, status, "sending", &contact->tx.fault);
}
