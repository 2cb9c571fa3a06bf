/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/snapshot.h - a region with one snapshot in it, payloads of which every byte is a
 * function of version and place, and the words that a writer of a given version leaves behind.
 */
#ifndef CROSSVM_TESTS_SUPPORT_SNAPSHOT_H
#define CROSSVM_TESTS_SUPPORT_SNAPSHOT_H

#include "region.h"

#define TEST_PAYLOAD_MAX 65536u

struct test_snapshot {
    struct test_region region;
    struct crossvm_chunk chunk;
    struct crossvm_snapshot_writer writer;
    struct crossvm_snapshot_reader reader; /* through the read-only mapping */
};

static inline struct crossvm_chunk_decl test_snapshot_decl(uint32_t n_slots, uint32_t payload_len)
{
    const struct crossvm_chunk_decl decl = {
        "state", CROSSVM_KIND_SNAPSHOT, n_slots, payload_len, PARTY_A, PARTY_B, 0, 0};
    return decl;
}

/* Formats a region with one snapshot, written by PARTY_A and read by PARTY_B; opens both sides. */
static inline void test_snapshot_make(struct test_snapshot *snap, uint32_t n_slots,
                                      uint32_t payload_len)
{
    const struct crossvm_chunk_decl decl = test_snapshot_decl(n_slots, payload_len);
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 0, 0, PARTY_A);
    test_region_make(&snap->region, &plan, PARTY_B);
    snap->chunk = test_find(&snap->region.reader, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&snap->writer, &snap->region.owner.region, &snap->chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_open(&snap->reader, &snap->region.reader, &snap->chunk) ==
            CROSSVM_OK);
}

static inline void test_snapshot_drop(struct test_snapshot *snap)
{
    test_region_drop(&snap->region);
}

/* ---- payloads ------------------------------------------------------------------------------- */

/* Eight bytes of a version's payload; the first eight are the version itself. */
static inline uint64_t test_payload_word(uint64_t version, size_t index)
{
    uint64_t mixed = (version + index) * 0x9e3779b97f4a7c15u;
    return index == 0 ? version : mixed ^ (version << 17) ^ (mixed >> 29);
}

static inline void test_payload_fill(void *payload, size_t len, uint64_t version)
{
    unsigned char *to = (unsigned char *)payload;
    for (size_t off = 0; off < len; off += 8) {
        uint64_t word = test_payload_word(version, off / 8);
        memcpy(to + off, &word, len - off < 8 ? len - off : 8);
    }
}

/* Whether every byte is the version's own: any mixture of two versions is noticed. */
static inline bool test_payload_ok(const void *payload, size_t len, uint64_t version)
{
    const unsigned char *from = (const unsigned char *)payload;
    for (size_t off = 0; off < len; off += 8) {
        uint64_t word = test_payload_word(version, off / 8);
        if (memcmp(from + off, &word, len - off < 8 ? len - off : 8) != 0) {
            return false;
        }
    }
    return true;
}

static inline uint64_t test_sampled_ns(uint64_t version)
{
    return (version << 33) + version * 3 + 1;
}

static inline uint64_t test_published_ns(uint64_t version)
{
    return test_sampled_ns(version) + 1000000007;
}

/* Publishes the writer's next version, of len bytes; the status. */
static inline int test_publish(struct crossvm_snapshot_writer *writer, uint32_t len)
{
    static CHECK_THREAD_LOCAL unsigned char payload[TEST_PAYLOAD_MAX];
    uint64_t version = crossvm_snapshot_writer_version(writer) + 1;
    test_payload_fill(payload, len, version);
    return crossvm_snapshot_writer_publish(writer, payload, len, test_sampled_ns(version),
                                           test_published_ns(version));
}

/* Whether what a read gave is one version as test_publish makes it. */
static inline bool test_read_ok(const struct crossvm_snapshot_info *info, const void *payload)
{
    return info->sampled_ns == test_sampled_ns(info->version) &&
           info->published_ns == test_published_ns(info->version) &&
           test_payload_ok(payload, info->len, info->version);
}

/* ---- the shared words ----------------------------------------------------------------------- */

static inline struct crossvm_slots_shm *test_snapshot_control(const struct test_snapshot *snap)
{
    void *at = (unsigned char *)snap->region.writable.base + snap->chunk.off;
    return (struct crossvm_slots_shm *)at;
}

/* Offset of a version's slot from the region's base, as the table in snapshot.h says. */
static inline uint64_t test_snapshot_slot_off(const struct test_snapshot *snap, uint64_t version)
{
    uint64_t stride = 64 + (snap->chunk.len + 63) / 64 * 64;
    return snap->chunk.off + 128 + version % snap->chunk.n * stride;
}

static inline struct crossvm_slot_shm *test_snapshot_slot(const struct test_snapshot *snap,
                                                          uint64_t version)
{
    void *at = (unsigned char *)snap->region.writable.base + test_snapshot_slot_off(snap, version);
    return (struct crossvm_slot_shm *)at;
}

/* Words and payloads as a writer has left them whose newest version is `version`: so that tests
 * reach versions to which nobody can count. */
static inline void test_snapshot_leave(struct test_snapshot *snap, uint64_t version)
{
    uint64_t oldest = version < snap->chunk.n ? 1 : version - snap->chunk.n + 1;
    for (uint64_t v = oldest; v <= version; v++) {
        struct crossvm_slot_shm *slot = test_snapshot_slot(snap, v);
        crossvm_store_pair(&slot->mark, &slot->hi, v * 2);
        crossvm_store_relaxed(&slot->len, (uint32_t)snap->chunk.len);
        crossvm_store_pair(&slot->sampled_lo, &slot->sampled_hi, test_sampled_ns(v));
        crossvm_store_pair(&slot->published_lo, &slot->published_hi, test_published_ns(v));
        test_payload_fill(slot + 1, (size_t)snap->chunk.len, v);
    }
    crossvm_store_relaxed(&test_snapshot_control(snap)->latest, (uint32_t)version);
}

/* Leaves `version` behind and opens both sides anew, as after a restart. */
static inline void test_snapshot_restart_at(struct test_snapshot *snap, uint64_t version)
{
    test_snapshot_leave(snap, version);
    REQUIRE(crossvm_snapshot_writer_open(&snap->writer, &snap->region.owner.region, &snap->chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_version(&snap->writer) == version);
    REQUIRE(crossvm_snapshot_reader_open(&snap->reader, &snap->region.reader, &snap->chunk) ==
            CROSSVM_OK);
}

/* Versions around which a low or high word, or the mark, begins anew. */
static const uint64_t test_version_edges[] = {
    (uint64_t)1 << 31, (uint64_t)1 << 32, (uint64_t)3 << 31,       (uint64_t)1 << 33,
    (uint64_t)5 << 31, (uint64_t)1 << 40, ((uint64_t)1 << 62) + 1,
};

#define TEST_N_VERSION_EDGES (sizeof(test_version_edges) / sizeof(test_version_edges[0]))

#endif
