/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/sample.h - two regions with a chunk of every kind, whose contents everybody knows:
 * made by programs of one architecture, read by those of another.
 *
 * Party A and party B own one region each, of the same shape. Contents are bytes, so that they are
 * the same whoever writes them. Needs no operating system.
 */
#ifndef CROSSVM_TESTS_SUPPORT_SAMPLE_H
#define CROSSVM_TESTS_SUPPORT_SAMPLE_H

#include <crossvm/crossvm.h>

#include <string.h>

#include "../check.h"

enum {
    SAMPLE_A = 1,
    SAMPLE_B = 2,
    SAMPLE_N_CHUNKS = 6,
    SAMPLE_TABLE_LEN = 16,
    SAMPLE_CAPACITY = 8,
    SAMPLE_ELEM_LEN = 12,
    SAMPLE_STATE_LEN = 40,
    SAMPLE_NOTES_LEN = 100,
    SAMPLE_VECTORS = 2
};

static const char sample_type[] = "sample;bytes:u8:0:40;40;le";
static const uint64_t sample_link = 0x0123456789abcdefu;

/* What a party's region is to hold. The queue that it fills and the one that it empties bear the
 * name of the direction. */
struct sample_plan {
    struct crossvm_chunk_decl chunks[SAMPLE_N_CHUNKS];
    struct crossvm_region_plan plan;
};

static inline struct crossvm_chunk_decl sample_decl(const char *name, uint32_t kind, uint32_t n,
                                                    uint64_t len, uint32_t party)
{
    struct crossvm_chunk_decl decl;
    memset(&decl, 0, sizeof(decl));
    decl.name = name;
    decl.kind = kind;
    decl.n = n;
    decl.len = len;
    decl.writer = party;
    decl.reader = party == SAMPLE_A ? SAMPLE_B : SAMPLE_A;
    return decl;
}

static inline void sample_plan_make(struct sample_plan *sample, uint32_t party)
{
    const char *out = party == SAMPLE_A ? "a/to-b" : "b/to-a";
    const char *in = party == SAMPLE_A ? "b/to-a" : "a/to-b";
    struct crossvm_chunk_decl *chunks = sample->chunks;
    struct crossvm_region_plan *plan = &sample->plan;
    chunks[0] = sample_decl("notes", CROSSVM_KIND_BYTES, 0, SAMPLE_NOTES_LEN, party);
    chunks[0].reader = CROSSVM_ANYONE;
    chunks[1] = sample_decl("state", CROSSVM_KIND_SNAPSHOT, 4, SAMPLE_STATE_LEN, party);
    chunks[1].type_hash = crossvm_type_hash(sample_type);
    chunks[2] = sample_decl(out, CROSSVM_KIND_SPSC_TX, SAMPLE_CAPACITY, SAMPLE_ELEM_LEN, party);
    chunks[2].link_id = party;
    chunks[3] = sample_decl(in, CROSSVM_KIND_SPSC_RX, 0, 0, party);
    chunks[3].link_id = party == SAMPLE_A ? SAMPLE_B : SAMPLE_A;
    chunks[4] = sample_decl("state/wake", CROSSVM_KIND_WAKE, 0, 0, party);
    chunks[5] = sample_decl("bell", CROSSVM_KIND_DOORBELL, SAMPLE_VECTORS, 0, party);

    memset(plan, 0, sizeof(*plan));
    plan->chunks = chunks;
    plan->n_chunks = SAMPLE_N_CHUNKS;
    plan->capacity = SAMPLE_N_CHUNKS + 2;
    plan->granule = 128;
    plan->spare_len = 1024;
    plan->owner = party;
    for (unsigned i = 0; i < sizeof(plan->region_id); i++) {
        plan->region_id[i] = (uint8_t)(16 * party + i);
    }
    plan->link_id = sample_link;
    plan->clock.kind = CROSSVM_CLOCK_TAI;
    plan->clock.id = 0x1122334455667788u;
    plan->clock.rate = 0x0000000240c84000u; /* more than 32 bits */
}

/* ---- contents -------------------------------------------------------------------------------- */

/* What number `which` of something looks like: its low word first, the rest follows from it. */
static inline void sample_fill(unsigned char *bytes, size_t len, uint32_t which)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(i < 4 ? which >> (8 * i) : which * 31u + 7u * i);
    }
}

/* Whether these are the bytes of some number; *which is then it. */
static inline bool sample_is_whole(const unsigned char *bytes, size_t len, uint32_t *which)
{
    unsigned char want[SAMPLE_NOTES_LEN];
    *which = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
             (uint32_t)bytes[3] << 24;
    sample_fill(want, len, *which);
    return memcmp(bytes, want, len) == 0;
}

static inline void check_sample(const unsigned char *bytes, size_t len, uint32_t which)
{
    uint32_t found;
    CHECK(sample_is_whole(bytes, len, &found));
    CHECK_EQ(found, which);
}

/* The times that belong to a version. They need more than 32 bits. */
static inline uint64_t sample_time(uint64_t version)
{
    return 0x0000001234567890u + version * 1000000u;
}

/* ---- one party and what it sees -------------------------------------------------------------- */

struct sample_side {
    uint32_t party;
    struct sample_plan plan;
    struct crossvm_region_owner own;
    struct crossvm_chunk table[SAMPLE_TABLE_LEN];
    struct crossvm_region peer; /* the other's region, read-only */
    struct crossvm_bytes_writer notes_out;
    struct crossvm_snapshot_writer state_out;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    struct crossvm_bytes_reader notes_in;
    struct crossvm_snapshot_reader state_in;
};

static inline struct crossvm_chunk sample_find(struct crossvm_region *region, const char *name,
                                               uint32_t kind)
{
    struct crossvm_chunk chunk;
    REQUIRE(crossvm_region_find(region, name, kind, 0, &chunk) == CROSSVM_OK);
    return chunk;
}

static inline const char *sample_out_name(const struct sample_side *side)
{
    return side->plan.chunks[2].name;
}

static inline const char *sample_in_name(const struct sample_side *side)
{
    return side->plan.chunks[3].name;
}

/* Opens everything that the party writes in its own region. */
static inline void sample_open_own(struct sample_side *side, uint32_t seed)
{
    struct crossvm_region *region = &side->own.region;
    struct crossvm_chunk notes = sample_find(region, "notes", CROSSVM_KIND_BYTES);
    struct crossvm_chunk state = sample_find(region, "state", CROSSVM_KIND_SNAPSHOT);
    struct crossvm_chunk tx = sample_find(region, sample_out_name(side), CROSSVM_KIND_SPSC_TX);
    struct crossvm_chunk rx = sample_find(region, sample_in_name(side), CROSSVM_KIND_SPSC_RX);
    REQUIRE(crossvm_bytes_writer_open(&side->notes_out, region, &notes) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_open(&side->state_out, region, &state) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_open(&side->tx, region, &tx, SAMPLE_ELEM_LEN, seed) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_rx_open(&side->rx, region, &rx, SAMPLE_CAPACITY, SAMPLE_ELEM_LEN, seed) ==
            CROSSVM_OK);
}

/* Opens what the party reads in the other's region, which it has attached to. */
static inline void sample_open_peer(struct sample_side *side)
{
    struct crossvm_chunk notes = sample_find(&side->peer, "notes", CROSSVM_KIND_BYTES);
    struct crossvm_chunk state;
    REQUIRE(crossvm_region_find(&side->peer, "state", CROSSVM_KIND_SNAPSHOT,
                                crossvm_type_hash(sample_type), &state) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&side->notes_in, &side->peer, &notes) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&side->state_in, &side->peer, &state) == CROSSVM_OK);
}

/* One step of bringing both queues up: whether they are. */
static inline bool sample_link_step(struct sample_side *side)
{
    struct crossvm_chunk rx = sample_find(&side->peer, sample_out_name(side), CROSSVM_KIND_SPSC_RX);
    struct crossvm_chunk tx = sample_find(&side->peer, sample_in_name(side), CROSSVM_KIND_SPSC_TX);
    int out = crossvm_spsc_tx_link(&side->tx, &side->peer, &rx);
    int in = crossvm_spsc_rx_link(&side->rx, &side->peer, &tx);
    REQUIRE(out == CROSSVM_OK || out == CROSSVM_NOT_YET);
    REQUIRE(in == CROSSVM_OK || in == CROSSVM_NOT_YET);
    return out == CROSSVM_OK && in == CROSSVM_OK;
}

static inline void sample_write_notes(struct sample_side *side)
{
    unsigned char bytes[SAMPLE_NOTES_LEN];
    sample_fill(bytes, sizeof(bytes), side->party);
    CHECK_EQ(crossvm_bytes_writer_write(&side->notes_out, 0, bytes, sizeof(bytes)), CROSSVM_OK);
}

static inline void sample_check_notes(const struct sample_side *side)
{
    unsigned char bytes[SAMPLE_NOTES_LEN];
    CHECK_EQ(crossvm_bytes_reader_read(&side->notes_in, 0, bytes, sizeof(bytes)), CROSSVM_OK);
    check_sample(bytes, sizeof(bytes), side->party == SAMPLE_A ? SAMPLE_B : SAMPLE_A);
}

static inline void sample_publish(struct sample_side *side, uint32_t version)
{
    unsigned char bytes[SAMPLE_STATE_LEN];
    sample_fill(bytes, sizeof(bytes), version);
    CHECK_EQ(crossvm_snapshot_writer_publish(&side->state_out, bytes, sizeof(bytes),
                                             sample_time(version), sample_time(version) + 1),
             CROSSVM_OK);
}

static inline void sample_check_state(const unsigned char *bytes,
                                      const struct crossvm_snapshot_info *info)
{
    CHECK_EQ(info->len, SAMPLE_STATE_LEN);
    CHECK_EQ(info->sampled_ns, sample_time(info->version));
    CHECK_EQ(info->published_ns, sample_time(info->version) + 1);
    check_sample(bytes, SAMPLE_STATE_LEN, (uint32_t)info->version);
}

/* Every field of the header and of the directory is what the other party's plan says. */
static inline void sample_check_region(struct sample_side *side)
{
    struct crossvm_chunk chunks[SAMPLE_TABLE_LEN];
    struct sample_plan want;
    uint32_t total;
    sample_plan_make(&want, side->party == SAMPLE_A ? SAMPLE_B : SAMPLE_A);
    CHECK_EQ(side->peer.owner, want.plan.owner);
    CHECK_EQ(side->peer.granule, want.plan.granule);
    CHECK_EQ(side->peer.capacity, want.plan.capacity);
    CHECK_EQ(side->peer.link_id, want.plan.link_id);
    CHECK(crossvm_clock_comparable(&side->peer.clock, &want.plan.clock));
    REQUIRE(crossvm_region_list(&side->peer, chunks, SAMPLE_TABLE_LEN, &total) == CROSSVM_OK);
    REQUIRE(total == SAMPLE_N_CHUNKS);
    for (uint32_t i = 0; i < total; i++) {
        CHECK_EQ(chunks[i].id, i + 1);
        CHECK_EQ(chunks[i].kind, want.chunks[i].kind);
        CHECK_EQ(chunks[i].n, want.chunks[i].n);
        CHECK_EQ(chunks[i].len, want.chunks[i].len);
        CHECK_EQ(chunks[i].writer, want.chunks[i].writer);
        CHECK_EQ(chunks[i].reader, want.chunks[i].reader);
        CHECK_EQ(chunks[i].type_hash, want.chunks[i].type_hash);
        CHECK_EQ(chunks[i].link_id, want.chunks[i].link_id);
        CHECK(strcmp(chunks[i].name, want.chunks[i].name) == 0);
    }
}

static inline int sample_push(struct sample_side *side, uint32_t number)
{
    unsigned char elem[SAMPLE_ELEM_LEN];
    sample_fill(elem, sizeof(elem), number);
    return crossvm_spsc_tx_push(&side->tx, elem);
}

/* Pops one element, which must be number `number`. */
static inline int sample_pop(struct sample_side *side, uint32_t number)
{
    unsigned char elem[SAMPLE_ELEM_LEN];
    int status = crossvm_spsc_rx_pop(&side->rx, elem);
    if (status == CROSSVM_OK) {
        check_sample(elem, sizeof(elem), number);
    }
    return status;
}

#endif
