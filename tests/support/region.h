/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/region.h - a formatted region in memory of the test's own, mapped twice: once
 * read-write for its owner, once read-only as a consumer VM sees it.
 *
 * Without an operating system both are the same memory, and nothing faults: there a reader that
 * writes is seen only where a test compares the bytes.
 */
#ifndef CROSSVM_TESTS_SUPPORT_REGION_H
#define CROSSVM_TESTS_SUPPORT_REGION_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <crossvm/crossvm.h>

#include <string.h>

#include "../check.h"

#if CHECK_OS
#include <sys/mman.h>
#include <unistd.h>
#endif

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

/* What both views of a memory have in common; the second is read-only. */
static inline void test_views(struct crossvm_mapping *writable, struct crossvm_mapping *read_only,
                              void *rw, void *ro, uint64_t len)
{
    writable->base = rw;
    writable->len = len;
    writable->access = CROSSVM_READ_WRITE;
    writable->memory = CROSSVM_WRITE_BACK;
    *read_only = *writable;
    read_only->base = ro;
    read_only->access = CROSSVM_READ_ONLY;
}

#if CHECK_OS

/* Whether the machine has memory for a region of this length. */
static inline bool test_fits(uint64_t len)
{
    (void)len;
    return true;
}

/* A file of len zeros that is memory alone: some tests make thousands, and a disk would feel it. */
static inline int test_file(uint64_t len)
{
    int fd = memfd_create("crossvm-test", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, (off_t)len) == 0);
    return fd;
}

/* Maps len bytes of new shared memory, all zero, twice. */
static inline void test_map(struct crossvm_mapping *writable, struct crossvm_mapping *read_only,
                            uint64_t len)
{
    int fd = test_file(len);
    void *rw = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *ro = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, fd, 0);
    REQUIRE(rw != MAP_FAILED && ro != MAP_FAILED);
    REQUIRE(close(fd) == 0);
    test_views(writable, read_only, rw, ro, len);
}

static inline void test_unmap(struct crossvm_mapping *writable, struct crossvm_mapping *read_only)
{
    REQUIRE(munmap(writable->base, (size_t)writable->len) == 0);
    REQUIRE(munmap(read_only->base, (size_t)read_only->len) == 0);
}

#else

#define TEST_PAGE 4096u

/* Memory at the beginning of a page, all zero; NULL if there is not so much. */
static inline void *test_pages(uint64_t len)
{
    size_t pages_len = ((size_t)len + TEST_PAGE - 1) / TEST_PAGE * TEST_PAGE;
    void *pages = aligned_alloc(TEST_PAGE, pages_len);
    return pages == NULL ? NULL : memset(pages, 0, pages_len);
}

/* Whether the machine has memory for a region of this length. */
static inline bool test_fits(uint64_t len)
{
    void *pages = test_pages(len);
    free(pages);
    return pages != NULL;
}

static inline void test_map(struct crossvm_mapping *writable, struct crossvm_mapping *read_only,
                            uint64_t len)
{
    void *both = test_pages(len);
    REQUIRE(both != NULL);
    test_views(writable, read_only, both, both, len);
}

static inline void test_unmap(struct crossvm_mapping *writable, struct crossvm_mapping *read_only)
{
    REQUIRE(writable->base == read_only->base);
    free(writable->base);
}

#endif

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
