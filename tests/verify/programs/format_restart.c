/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner dies in front of the DIE-th store of a format and formats again. Whoever is attached to
 * the region as it was before finds out; chunks' generations go on.
 */
#include "mortal.h"

#include <assert.h>

#include <crossvm/checksum.h>

static inline uint32_t model_crc(uint32_t crc, const void *data, size_t len)
{
    (void)data;
    (void)len;
    return crc;
}
#define crossvm_crc32c model_crc
#include <crossvm/region.h>

#ifndef DIE
#define DIE 100
#endif
#define LENGTH 768u

static struct __attribute__((aligned(128))) {
    struct crossvm_le32 words[LENGTH / 4];
} memory;

static const struct crossvm_region_plan plan = {.capacity = 1, .granule = 128};
static struct crossvm_mapping mapping;
static struct crossvm_region_owner owners[3];
static struct crossvm_chunk table[1];
static struct crossvm_region reader;

int main(void)
{
    uint32_t total;
    mapping.base = &memory;
    mapping.len = LENGTH;
    mapping.access = CROSSVM_READ_WRITE;
    assert(crossvm_region_owner_format(&owners[0], &mapping, &plan, table, 1) == CROSSVM_OK);
    /* Three chunks were given out, and a reader attached. */
    for (uint32_t i = 0; i < 3; i++) {
        (void)crossvm_i_next_generation(&owners[0]);
    }
    reader.base = (unsigned char *)&memory;
    reader.length = LENGTH;
    reader.granule = 128;
    reader.capacity = 1;
    crossvm_i_directory_set(&reader, owners[0].region.directory.epoch);
    assert(crossvm_region_list(&reader, NULL, 0, &total) == CROSSVM_OK);

    model_dies_after(DIE);
    (void)crossvm_region_owner_format(&owners[1], &mapping, &plan, table, 1);
    model_restarts();
    assert(crossvm_region_owner_format(&owners[2], &mapping, &plan, table, 1) == CROSSVM_OK);

    assert(crossvm_region_list(&reader, NULL, 0, &total) == CROSSVM_STALE);
    assert(owners[2].generation >= 3);
    return 0;
}
