/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/region.h - a formatted region in memory of the test's own, mapped twice: once
 * read-write for its owner, once read-only as a consumer VM sees it.
 */
#ifndef CROSSVM_TESTS_SUPPORT_REGION_H
#define CROSSVM_TESTS_SUPPORT_REGION_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <crossvm/crossvm.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../check.h"

/* The parties of the tests: 1 owns and writes, 2 reads or owns the other region. */
enum {
    PARTY_A = 1,
    PARTY_B = 2,
    TEST_TABLE_LEN = 64
};

/* A plan without ids and clock, where C11 and C++17 want a constant. */
#define TEST_PLAN(chunks, n_chunks, capacity, granule, spare_len, owner)           \
    {                                                                              \
        (chunks), (n_chunks), (capacity), (granule), (spare_len), (owner), {0}, 0, \
        {                                                                          \
            0, 0, 0                                                                \
        }                                                                          \
    }

struct test_region {
    struct crossvm_mapping writable;
    struct crossvm_mapping read_only;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[TEST_TABLE_LEN];
    struct crossvm_region reader; /* attached through the read-only mapping, as PARTY_B */
};

/* Maps len bytes of new shared memory, all zero, twice. */
static inline void test_map(struct crossvm_mapping *writable, struct crossvm_mapping *read_only,
                            uint64_t len)
{
    char path[] = "/tmp/crossvm-test-XXXXXX";
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    REQUIRE(unlink(path) == 0);
    REQUIRE(ftruncate(fd, (off_t)len) == 0);
    void *rw = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *ro = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, fd, 0);
    REQUIRE(rw != MAP_FAILED && ro != MAP_FAILED);
    REQUIRE(close(fd) == 0);
    writable->base = rw;
    writable->len = len;
    writable->access = CROSSVM_READ_WRITE;
    writable->memory = CROSSVM_WRITE_BACK;
    *read_only = *writable;
    read_only->base = ro;
    read_only->access = CROSSVM_READ_ONLY;
}

static inline void test_unmap(struct crossvm_mapping *writable, struct crossvm_mapping *read_only)
{
    REQUIRE(munmap(writable->base, (size_t)writable->len) == 0);
    REQUIRE(munmap(read_only->base, (size_t)read_only->len) == 0);
}

/* Formats a region by a plan in new memory and attaches to it read-only as `reader_party`. */
static inline void test_region_make(struct test_region *region,
                                    const struct crossvm_region_plan *plan, uint32_t reader_party)
{
    uint64_t len;
    REQUIRE(crossvm_region_plan_len(plan, &len) == CROSSVM_OK);
    test_map(&region->writable, &region->read_only, len);
    REQUIRE(crossvm_region_owner_format(&region->owner, &region->writable, plan, region->table,
                                        TEST_TABLE_LEN) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&region->reader, &region->read_only, reader_party) == CROSSVM_OK);
}

static inline void test_region_drop(struct test_region *region)
{
    test_unmap(&region->writable, &region->read_only);
}

/* The chunk of a name and kind, which must be there. */
static inline struct crossvm_chunk test_find(struct crossvm_region *region, const char *name,
                                             uint32_t kind)
{
    struct crossvm_chunk chunk;
    REQUIRE(crossvm_region_find(region, name, kind, 0, &chunk) == CROSSVM_OK);
    return chunk;
}

#endif
