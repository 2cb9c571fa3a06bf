/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner dies in front of each store of a format, and formats again. Whoever is attached to the
 * region as it was before finds out; chunks' generations go on.
 *
 *   DIE_EVERY  the deaths: as many as a format has stores, and one that comes behind all of them
 *
 * The checker has no rounds: the owner reads the number of its death beside a thread that counts it
 * up, and each number is an execution. There the first two words of 64 bytes stand for all that is
 * cleared in them (a slot's marks are such words); a stress test clears, and dies at, each word.
 */
#include "round.h"

#include <crossvm/copy.h>

#if defined(CROSSVM_MODEL)
static struct crossvm_le32 number;
static unsigned long chosen;

static unsigned long model_round(void)
{
    return chosen;
}

static void *count_up(void *unused)
{
    (void)unused;
    for (uint32_t k = 1; k < DIE_EVERY; k++) {
        crossvm_store_relaxed(&number, k);
    }
    return NULL;
}

static void choose(void)
{
    chosen = crossvm_load_relaxed(&number);
}
#else
#define DIE_MORE 140 /* 14 of 16 words in 10 x 64 bytes */

static void choose(void)
{
}
#endif

#include "mortal.h"

#if defined(CROSSVM_MODEL)
static inline void clear(void *dst, size_t len)
{
    for (size_t at = 0; at < len; at += 64) {
        model_copy_zero((unsigned char *)dst + at, 8);
    }
}

#undef crossvm_copy_zero
#define crossvm_copy_zero(dst, len) clear((dst), (len))
#endif

#include "no_crc.h"

#include <crossvm/region.h>

#define LENGTH 768u

static MODEL_STATE struct __attribute__((aligned(128))) {
    struct crossvm_le32 words[LENGTH / 4];
} memory;

static const struct crossvm_region_plan plan = {.capacity = 1, .granule = 128};
static MODEL_STATE struct crossvm_mapping mapping;
static MODEL_STATE struct crossvm_region_owner owners[3];
static MODEL_STATE struct crossvm_chunk table[1];
static MODEL_STATE struct crossvm_region reader;

static void format(struct crossvm_region_owner *owner)
{
    assert(crossvm_region_owner_format(owner, &mapping, &plan, table, 1) == CROSSVM_OK);
}

static int list(void)
{
    uint32_t total;
    return crossvm_region_list(&reader, NULL, 0, &total);
}

static void *format_twice(void *unused)
{
    (void)unused;
    choose();
    model_dies_after(DIE);
    format(&owners[1]);
    model_restarts();
    int status = list();
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
    format(&owners[2]);
    return NULL;
}

static void prepare(void)
{
    mapping.base = &memory;
    mapping.len = LENGTH;
    mapping.access = CROSSVM_READ_WRITE;
    format(&owners[0]);
    /* Three chunks were given out, and a reader attached. */
    for (uint32_t i = 0; i < 3; i++) {
        (void)crossvm_i_next_generation(&owners[0]);
    }
    reader.base = (unsigned char *)&memory;
    reader.length = LENGTH;
    reader.granule = 128;
    reader.capacity = 1;
    crossvm_i_directory_set(&reader, owners[0].region.directory.epoch);
    assert(list() == CROSSVM_OK);
}

static void judge(void)
{
    assert(list() == CROSSVM_STALE);
    assert(owners[2].generation >= 3);
}

#if defined(CROSSVM_MODEL)
MODEL_PROGRAM(prepare, judge, format_twice, count_up)
#else
MODEL_PROGRAM(prepare, judge, format_twice)
#endif
