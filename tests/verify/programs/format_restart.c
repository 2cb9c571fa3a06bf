/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner dies in front of each store of a format, and formats again. Whoever is attached to the
 * region as it was before finds out; chunks' generations go on.
 *
 *   DIE_EVERY  the deaths: as many as a format has stores, and one that comes behind all of them
 *
 * There is one thread, so what it sees of its own stores is the same in every memory model; and the
 * checker would take hours for all of them. There a format stores less: of what is cleared or
 * copied only the first words. A stress test dies at every store.
 *
 * The checker has no rounds, either: the owner reads the number of its death beside a thread that
 * counts it up, and each number is an execution.
 */
#include "round.h"

#include <crossvm/copy.h>

#define LENGTH 768u

static MODEL_STATE struct __attribute__((aligned(128))) {
    struct crossvm_le32 words[LENGTH / 4];
} model_memory;

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
#define DIE_MORE 234 /* stores that the checker's format has not */

static void choose(void)
{
}
#endif

#include "mortal.h"

#if defined(CROSSVM_MODEL)
/* All but the live line's words that mean nothing. */
static inline void store(struct crossvm_le32 *word, uint32_t value)
{
    if (word < &model_memory.words[67] || word >= &model_memory.words[96]) {
        model_store_relaxed(word, value);
    }
}

/* The first two words of 64 bytes: of a slot's head its marks. */
static inline void clear(void *dst, size_t len)
{
    for (size_t at = 0; at < len; at += 64) {
        model_copy_zero((unsigned char *)dst + at, 8);
    }
}

#undef crossvm_store_relaxed
#undef crossvm_copy_out
#undef crossvm_copy_zero
#define crossvm_store_relaxed(word, value) store((word), (value))
#define crossvm_copy_out(dst, src, len)    model_copy_out((dst), (src), 4)
#define crossvm_copy_zero(dst, len)        clear((dst), (len))
#endif

#include "no_crc.h"

#include <crossvm/region.h>

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

#if defined(CROSSVM_MODEL)
/* What of a format the ones behind it look at. */
static void format_first(void)
{
    struct crossvm_region *region = &owners[0].region;
    region->base = (unsigned char *)&model_memory;
    region->capacity = 1;
    crossvm_i_directory_set(region, 0);
    crossvm_i_directory_set(region, crossvm_i_next_generation(&owners[0]));
    crossvm_store_relaxed(&region->directory.control->epoch, region->directory.epoch);
    crossvm_i_directory_publish(&owners[0]);
    crossvm_store_relaxed(&model_memory.words[0], CROSSVM_MAGIC);
}
#else
static void format_first(void)
{
    format(&owners[0]);
}
#endif

static void prepare(void)
{
    mapping.base = &model_memory;
    mapping.len = LENGTH;
    mapping.access = CROSSVM_READ_WRITE;
    format_first();
    /* Three chunks were given out, and a reader attached. */
    for (uint32_t i = 0; i < 3; i++) {
        (void)crossvm_i_next_generation(&owners[0]);
    }
    reader.base = (unsigned char *)&model_memory;
    reader.length = LENGTH;
    reader.granule = 128;
    reader.capacity = 1;
    crossvm_i_directory_set(&reader, owners[0].region.directory.epoch);
    assert(list() == CROSSVM_OK);
}

static void judge(void)
{
    assert(list() == CROSSVM_STALE);
    assert(owners[2].generation > 4); /* 1 was the first format's, 2 to 4 the chunks' */
}

#if defined(CROSSVM_MODEL)
MODEL_PROGRAM(prepare, judge, format_twice, count_up)
#else
MODEL_PROGRAM(prepare, judge, format_twice)
#endif
