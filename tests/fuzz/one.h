/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/one.h - one chunk in a small region of party 1, who writes it; party 2 reads it.
 */
#ifndef CROSSVM_TESTS_FUZZ_ONE_H
#define CROSSVM_TESTS_FUZZ_ONE_H

#include "fuzz.h"

struct fuzz_one {
    struct fuzz_region region;
    struct crossvm_chunk chunk;
    struct fuzz_part part;
};

static inline void fuzz_one_make(struct fuzz_one *one, uint32_t kind, uint32_t n, uint64_t len)
{
    const struct crossvm_chunk_decl decl = {"one", kind, n, len, 1, 2, 0, 0};
    const struct crossvm_region_plan plan = {&decl, 1, 0, 128, 0, 1, {1}, 0, {0, 0, 0}};
    fuzz_region_make(&one->region, &plan, 2);
    one->chunk = one->region.table[0];
    one->part = fuzz_part_of(&one->region, &one->chunk);
}

/* Both sides' mappings are said to be uncached, or not: other copies, the same bytes. */
static inline void fuzz_one_device(struct fuzz_one *one, bool device)
{
    one->region.owner.region.device = device;
    one->region.reader.device = device;
}

/* The chunk is the enemy's. */
static inline const struct fuzz_part *fuzz_one_hostile(const struct fuzz_one *one)
{
    return fuzz_part_add(&one->part, true);
}

/* The chunk is the honest side's; the region's owner is the enemy, and the epoch the owner's. */
static inline const struct fuzz_part *fuzz_one_own(const struct fuzz_one *one)
{
    const struct fuzz_part *own = fuzz_part_add(&one->part, false);
    fuzz_keep(own, 4, 4);
    fuzz_hot(own, 4, 1);
    return own;
}

#endif
