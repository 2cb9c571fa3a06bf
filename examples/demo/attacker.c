/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacker.c - a peer that behaves for a while in each of its lives, and then writes what it
 * should not into the memory that it can write: its own.
 */
#include "attacker.h"

#include <stdio.h>
#include <string.h>

#define RANDOM_LEN 256u /* bytes between two rests */

/* ---- where to write ------------------------------------------------------------------------ */

static unsigned char *base(const struct attack *attack)
{
    return (unsigned char *)attack->client.contact.memory.mapping.base;
}

static struct crossvm_le32 *word_at(const struct attack *attack, uint64_t off)
{
    return (struct crossvm_le32 *)(void *)(base(attack) + off);
}

/* The beginning of one of its chunks. */
static uint64_t chunk_off(const struct attack *attack, uint32_t chunk)
{
    return attack->client.contact.table[chunk].off;
}

static void write_at(const struct attack *attack, uint64_t off, uint32_t value)
{
    crossvm_store_relaxed(word_at(attack, off), value);
}

/* A field of one of its chunks, whose first word is at off. */
static void write_in(const struct attack *attack, uint32_t chunk, uint64_t off, uint32_t value)
{
    write_at(attack, chunk_off(attack, chunk) + off, value);
}

/* The same field in all slots of its state. */
static void write_in_slots(const struct attack *attack, uint64_t off, uint32_t value)
{
    const struct crossvm_slots *slots = &attack->client.contact.state_writer.slots;
    for (uint32_t i = 0; i < slots->n_slots; i++) {
        write_in(attack, CHUNK_STATE, CROSSVM_LINE + i * slots->stride + off, value);
    }
}

/* Xorshift (Marsaglia 2003). */
static uint32_t random_word(struct attack *attack)
{
    attack->random ^= attack->random << 13;
    attack->random ^= attack->random >> 7;
    attack->random ^= attack->random << 17;
    return (uint32_t)(attack->random >> 16);
}

/* ---- header and directory ------------------------------------------------------------------ */

static void scribble_header(struct attack *attack)
{
    write_at(attack, offsetof(struct crossvm_region_shm, owner), PARTY_SERVER);
}

/* A checksum keeps out nobody who can compute it. */
static void scribble_header_right(struct attack *attack)
{
    uint64_t off = offsetof(struct crossvm_region_shm, checksum);
    write_at(attack, offsetof(struct crossvm_region_shm, granule), 3);
    write_at(attack, off, crossvm_crc32c(0, base(attack), (size_t)off));
}

/* A field of the newest directory's second entry. */
static void write_in_entry(const struct attack *attack, uint64_t off, uint32_t value)
{
    const struct crossvm_region_owner *owner = &attack->client.contact.owner;
    uint64_t slot =
        CROSSVM_DIR_OFF + owner->version % CROSSVM_DIR_SLOTS * owner->region.directory.stride;
    write_at(attack, slot + sizeof(struct crossvm_slot_shm) + CROSSVM_ENTRY_LEN + off, value);
}

static void scribble_directory(struct attack *attack)
{
    write_in_entry(attack, offsetof(struct crossvm_entry_shm, writer), PARTY_HEALTHY);
}

static void scribble_entry(struct attack *attack)
{
    write_in_entry(attack, offsetof(struct crossvm_entry_shm, length_hi), 0xffffffffu);
}

/* ---- queues -------------------------------------------------------------------------------- */

static void scribble_tail(struct attack *attack)
{
    write_in(attack, CHUNK_TX, offsetof(struct crossvm_chunk_shm, index),
             attack->client.contact.tx.tail + CONTACT_RING + 1);
}

static void scribble_head(struct attack *attack)
{
    write_in(attack, CHUNK_RX, offsetof(struct crossvm_chunk_shm, index),
             attack->client.contact.rx.head + 1);
}

/* Possible, but there is none. */
static void scribble_elements(struct attack *attack)
{
    write_in(attack, CHUNK_TX, offsetof(struct crossvm_chunk_shm, index),
             attack->client.contact.tx.tail + 1);
}

/* ---- state --------------------------------------------------------------------------------- */

static void scribble_marks(struct attack *attack)
{
    write_in_slots(attack, offsetof(struct crossvm_slot_shm, mark), 0x7fffffffu);
}

static void scribble_version(struct attack *attack)
{
    write_in(attack, CHUNK_STATE, offsetof(struct crossvm_slots_shm, latest),
             (uint32_t)attack->client.contact.state_writer.version - 1);
}

static void scribble_length(struct attack *attack)
{
    write_in_slots(attack, offsetof(struct crossvm_slot_shm, len), 0xffffffffu);
}

static void scribble_epoch(struct attack *attack)
{
    write_in(attack, CHUNK_STATE, offsetof(struct crossvm_chunk_shm, epoch), 0xdeadbeefu);
}

/* ---- life signs, agreements ---------------------------------------------------------------- */

/* All words but the epoch: another life, which answers nobody, has closed, and asks for times. */
static void scribble_life(struct attack *attack)
{
    for (uint64_t off = offsetof(struct crossvm_peer_shm, incarnation);
         off < sizeof(struct crossvm_peer_shm); off += 4) {
        write_in(attack, CHUNK_LIFE, off, 0xfffffffeu);
    }
}

/* What was looked at once, and is never looked at again: the header, and behind the indices all
 * that was asked and granted for the queues. */
static void scribble_agreed(struct attack *attack)
{
    for (uint64_t off = 0; off < CROSSVM_HEADER_LEN; off += 4) {
        write_at(attack, off, random_word(attack));
    }
    for (uint64_t off = CROSSVM_LINE; off < CROSSVM_SPSC_CONTROL_LEN; off += 4) {
        write_in(attack, CHUNK_TX, off, random_word(attack));
        write_in(attack, CHUNK_RX, off, random_word(attack));
    }
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* Each byte gets each of these for a moment. */
static void scribble_bytes(struct attack *attack)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
    volatile unsigned char *bytes = base(attack);
    for (uint64_t off = 0; off < attack->client.contact.memory.mapping.len; off++) {
        unsigned char old = bytes[off];
        for (size_t i = 0; i < sizeof(values); i++) {
            bytes[off] = values[i];
        }
        bytes[off] = old;
    }
}

/* Words here and there, from one of its chunks on, and slowly: so another thing is noticed first in
 * every life. */
static void scribble_random(struct attack *attack)
{
    uint64_t len = attack->client.contact.memory.mapping.len;
    uint64_t first = chunk_off(attack, random_word(attack) % N_CHUNKS);
    for (uint64_t off = 0; off < len; off += 4) {
        if (random_word(attack) % 2 == 0) {
            write_at(attack, (first + off) % len, random_word(attack));
        }
        if (off % RANDOM_LEN == 0) {
            rest(TURN_NS);
        }
    }
}

/* ---- the server's memory ------------------------------------------------------------------- */

static void tried(struct attack *attack, bool refused)
{
    attack->report.n_tried++;
    attack->report.n_refused += refused ? 1 : 0;
}

/* A descriptor that can be written, though the one that was handed over cannot: through /proc. */
static bool refuses_reopened(int fd, size_t len)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reopened = open(path, O_RDWR | O_CLOEXEC);
    if (reopened < 0) {
        return true;
    }
    bool refused = mmap(NULL, len, PROT_WRITE, MAP_SHARED, reopened, 0) == MAP_FAILED &&
                   pwrite(reopened, "x", 1, 0) < 0 && ftruncate(reopened, 0) != 0;
    (void)close(reopened);
    return refused;
}

/* Tries whatever might make the server's memory writable, once a life. */
static void scribble_server(struct attack *attack)
{
    const struct crossvm_memfd *server = &attack->client.contact.their_memory;
    void *memory = server->mapping.base;
    size_t len = (size_t)server->mapping.len;
    if (attack->report.n_tried != 0) {
        return;
    }
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    tried(attack, mprotect(memory, len, PROT_READ | PROT_WRITE) != 0);
    tried(attack, mmap(NULL, len, PROT_WRITE, MAP_SHARED, server->fd, 0) == MAP_FAILED);
    tried(attack, pwrite(server->fd, "x", 1, 0) < 0);
    tried(attack, ftruncate(server->fd, 0) != 0);
    tried(attack, refuses_reopened(server->fd, len));
    tried(attack, read(zero, memory, len) < 0); /* the kernel is to write for it */
    (void)close(zero);
}

/* ---- lives --------------------------------------------------------------------------------- */

const struct phase phases[N_PHASES] = {
    {"its header, before it is let in", scribble_header, true, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_HEADER_CHECKSUM, "header"},
    {"its header, with the right checksum", scribble_header_right, true, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_GRANULE, "header"},
    {"its directory", scribble_directory, false, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_DIRECTORY_CHECKSUM, "directory"},
    {"a chunk's length in its directory", scribble_entry, false, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_ENTRY_LENGTH, "directory"},
    {"its queue's tail", scribble_tail, false, END_NOTICE, NOTICE_CORRUPT, CROSSVM_RULE_SPSC_INDEX,
     "chunk up"},
    {"the other queue's head", scribble_head, false, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_SPSC_INDEX, "chunk down"},
    {"an element that it never sent", scribble_elements, false, END_NOTICE, NOTICE_WRONG, 0, ""},
    {"its snapshot's marks", scribble_marks, false, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_SLOT_MARK, "chunk state"},
    {"its snapshot's version", scribble_version, false, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_SLOT_BACKWARD, "chunk state"},
    {"its snapshot's length", scribble_length, false, END_NOTICE, NOTICE_CORRUPT,
     CROSSVM_RULE_SLOT_LEN, "chunk state"},
    {"its snapshot's epoch", scribble_epoch, false, END_NOTICE, NOTICE_STALE, 0, ""},
    {"its life signs", scribble_life, false, END_NOTICE, NOTICE_ENDED, 0, ""},
    {"what was agreed already", scribble_agreed, false, END_UNHARMED, NOTICE_NONE, 0, ""},
    {"the server's memory", scribble_server, false, END_UNHARMED, NOTICE_NONE, 0, ""},
    {"each byte, put back at once", scribble_bytes, false, END_ANY, NOTICE_NONE, 0, ""},
    {"everything at random", scribble_random, false, END_ANY_NOTICE, NOTICE_NONE, 0, ""},
};

/* Whether the server knows all that was sent, so that from here on only the attack is new. */
static bool is_known(const struct client *client)
{
    const struct contact *contact = &client->contact;
    return client->mode == CLIENT_QUIET && contact->state.n_taken == client->n_sent &&
           contact->their_state.n_taken == client->n_sent &&
           contact->their_state.seen == contact->state_writer.version;
}

/* Behaves for good_ns, then falls silent until all is known. What the server said, if anything. */
static enum client_word behave(struct client *client, uint64_t good_ns)
{
    uint64_t end_ns = crossvm_posix_now() + good_ns;
    enum client_word word = WORD_NONE;
    while (word == WORD_NONE && !is_known(client)) {
        bool enough = crossvm_posix_now() >= end_ns && client->n_sent != 0;
        client->mode = enough ? CLIENT_QUIET : CLIENT_BUSY;
        (void)client_turn(client);
        rest(TURN_NS);
        word = client_hear(client);
    }
    return word;
}

/* Attacks until the server has had enough of it. Its word. */
static enum client_word attack_on(struct attack *attack, const struct phase *phase)
{
    enum client_word word = WORD_NONE;
    phase->scribble(attack);
    must_system(send(attack->client.socket, &attack->report, sizeof(attack->report),
                     MSG_NOSIGNAL) == (ssize_t)sizeof(attack->report),
                "telling of an attack");
    while (word == WORD_NONE) {
        phase->scribble(attack);
        rest(TURN_NS);
        word = client_hear(&attack->client);
    }
    return word;
}

static enum client_word live(struct attack *attack, const struct phase *phase, uint64_t good_ns)
{
    enum client_word word = WORD_NONE;
    if (phase->at_the_door) {
        phase->scribble(attack);
    }
    if (!client_meet(&attack->client)) {
        return WORD_DROPPED;
    }
    if (!phase->at_the_door) {
        word = behave(&attack->client, good_ns);
    }
    return word == WORD_NONE ? attack_on(attack, phase) : word;
}

int attacker_run(int socket, uint64_t good_ns)
{
    static struct attack attack;
    enum client_word word = WORD_DROPPED;
    for (uint32_t life = 0; word == WORD_DROPPED; life++) {
        memset(&attack, 0, sizeof(attack));
        attack.client.socket = socket;
        attack.random = (life + 1) * UINT64_C(0x9e3779b97f4a7c15); /* the same in every run */
        contact_make(&attack.client.contact, PARTY_ATTACKER, PARTY_SERVER, life);
        word = live(&attack, &phases[life < N_PHASES ? life : N_PHASES - 1], good_ns);
        contact_close(&attack.client.contact);
    }
    return DEMO_OK;
}
