/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/examine.h - what a mapping of a device's memory really is: whether it takes
 * writes, how fast it is to read (and so whether it is cached), how it is aligned.
 *
 * Layer 6, on posix.h. Roles: whoever made the mapping, before anything else uses it.
 *
 * What was asked for is not what one gets. A guest asks for an uncached mapping of a device's
 * memory, and most hypervisors give it ordinary cached memory all the same; some do as asked. So
 * loads are timed: cached ones cost what loads of the program's own memory cost. Memory that the
 * hypervisor keeps read-only drops writes without a sign, so that a mapping that is to be written
 * is tried: in the last word of a region's live line (layout.h), at offset 380, which is nobody's,
 * and where what was found is put back.
 */
#ifndef CROSSVM_BACKEND_EXAMINE_H
#define CROSSVM_BACKEND_EXAMINE_H

#include "posix.h"

#include "../atomic.h"
#include "../cpu.h"

#include <stdio.h>

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_EXAMINATION_LEN 256u /* room for what crossvm_examination_text says */

#define CROSSVM_EXAMINE_OFF (CROSSVM_LIVE_OFF + 124u) /* the word that is tried */

/* Loads are those of a device if they take so many times as long as others, and so long. */
#define CROSSVM_EXAMINE_TIMES 8u
#define CROSSVM_EXAMINE_PS    20000u /* 20 ns */

#define CROSSVM_I_EXAMINE_LOADS  256u /* that are timed at once */
#define CROSSVM_I_EXAMINE_ROUNDS 64u  /* of which the fastest counts */
#define CROSSVM_I_EXAMINE_TRIES  8u   /* another process may try the same word */

/* What was found. */
struct crossvm_examination {
    uint64_t load_ps;  /* a load of the mapping, ps */
    uint64_t own_ps;   /* a load of the program's own memory, ps */
    uint32_t access;   /* enum crossvm_mapping_access, as asked */
    uint32_t memory;   /* enum crossvm_memory, as measured */
    bool drops_writes; /* it is to be written, and cannot be */
    bool misaligned;   /* its base is not a multiple of 128 */
};

/* The fastest of several rounds: nothing makes loads faster than they are. Each load's address
 * depends on what the last one gave, so that they do not overlap. */
CROSSVM_INLINE uint64_t crossvm_i_examine_load_ps(const struct crossvm_le32 *word)
{
    const volatile uint32_t none = 0; /* which the compiler does not know */
    const uint32_t mask = none;
    uint64_t best_ns = UINT64_MAX;
    for (unsigned round = 0; round < CROSSVM_I_EXAMINE_ROUNDS; round++) {
        uint64_t start_ns = crossvm_posix_now();
        uint32_t off = 0;
        for (unsigned i = 0; i < CROSSVM_I_EXAMINE_LOADS; i++) {
            off = crossvm_load_relaxed(&word[off]) & mask; /* 0, whatever the word is */
        }
        uint64_t ns = crossvm_posix_now() - start_ns;
        best_ns = ns < best_ns ? ns : best_ns;
    }
    return best_ns * 1000u / CROSSVM_I_EXAMINE_LOADS;
}

/* Which type loads of that speed are: a slow one is what the mapping asked for, and so is one that
 * the clock is too coarse to time. */
CROSSVM_INLINE uint32_t crossvm_i_examine_judge(uint64_t load_ps, uint64_t own_ps, uint32_t asked)
{
    bool slow = load_ps > CROSSVM_EXAMINE_PS && load_ps / CROSSVM_EXAMINE_TIMES > own_ps;
    if (own_ps == 0) {
        return asked;
    }
    if (!slow) {
        return CROSSVM_WRITE_BACK;
    }
    return asked == CROSSVM_WRITE_COMBINING ? CROSSVM_WRITE_COMBINING : CROSSVM_UNCACHED;
}

/* Whether writes are lost. What is written is what nobody else would write, or guess: whoever does
 * write the word cannot make it seem that our writes arrive. */
CROSSVM_INLINE bool crossvm_i_examine_drops(struct crossvm_le32 *word)
{
    for (uint32_t i = 0; i < CROSSVM_I_EXAMINE_TRIES; i++) {
        uint64_t now_ns = crossvm_posix_now() ^ (uint64_t)(uintptr_t)&now_ns;
        uint32_t written = (uint32_t)crossvm_fnv1a(CROSSVM_FNV1A_START, &now_ns, sizeof(now_ns));
        uint32_t before = crossvm_load_relaxed(word);
        if (written == before) {
            continue;
        }
        crossvm_store_relaxed(word, written);
        crossvm_system_barrier();
        uint32_t after = crossvm_load_relaxed(word);
        crossvm_store_relaxed(word, before);
        crossvm_system_barrier();
        if (after == written) {
            return false;
        }
    }
    return true;
}

/* Examines a mapping, and sets its memory type to what was measured. asked: what it is if the
 * hypervisor does as asked. A mapping for reading is not written. Role: whoever made the mapping.
 * Takes about a millisecond. OK; NO_SPACE it is shorter than a region's header; MISALIGNED; ROLE it
 * is to be written, and drops what is written: the hypervisor keeps it read-only. The examination
 * is whole but for NO_SPACE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mapping_examine(
    struct crossvm_mapping *mapping, enum crossvm_memory asked,
    struct crossvm_examination *examination)
{
    struct crossvm_le32 own = {0};
    __builtin_memset(examination, 0, sizeof(*examination));
    if (mapping->len < CROSSVM_EXAMINE_OFF + sizeof(uint32_t)) {
        return CROSSVM_NO_SPACE;
    }
    unsigned char *base = (unsigned char *)mapping->base;
    examination->access = mapping->access;
    examination->misaligned = (uintptr_t)base % CROSSVM_LINE != 0;
    examination->own_ps = crossvm_i_examine_load_ps(&own);
    examination->load_ps = crossvm_i_examine_load_ps((struct crossvm_le32 *)(void *)base);
    examination->memory =
        crossvm_i_examine_judge(examination->load_ps, examination->own_ps, (uint32_t)asked);
    mapping->memory = examination->memory;
    if (examination->misaligned) {
        return CROSSVM_MISALIGNED;
    }
    if (mapping->access == CROSSVM_READ_WRITE) {
        examination->drops_writes =
            crossvm_i_examine_drops((struct crossvm_le32 *)(void *)(base + CROSSVM_EXAMINE_OFF));
    }
    return examination->drops_writes ? CROSSVM_ROLE : CROSSVM_OK;
}

/* What a type means for whoever uses the mapping. */
CROSSVM_INLINE const char *crossvm_i_examine_memory_text(uint32_t memory)
{
    if (memory == CROSSVM_WRITE_BACK) {
        return "write-back, as the library wants it";
    }
    if (memory == CROSSVM_UNCACHED) {
        return "uncached: it works, and each access is slow";
    }
    return "write-combining: needs a build with CROSSVM_SYSTEM_FENCES";
}

/* Says in a line what was found. text: room for len bytes, CROSSVM_EXAMINATION_LEN is enough. Role:
 * anyone. */
CROSSVM_INLINE void crossvm_examination_text(const struct crossvm_examination *examination,
                                             char *text, size_t len)
{
    const char *access = "read-only";
    if (examination->access == CROSSVM_READ_WRITE) {
        access = examination->drops_writes ? "to be written, but the hypervisor drops writes"
                                           : "writable";
    }
    (void)snprintf(
        text, len, "%s; %s (%u.%u ns a load, own memory %u.%u ns)%s", access,
        crossvm_i_examine_memory_text(examination->memory), (unsigned)(examination->load_ps / 1000),
        (unsigned)(examination->load_ps % 1000 / 100), (unsigned)(examination->own_ps / 1000),
        (unsigned)(examination->own_ps % 1000 / 100),
        examination->misaligned ? "; its base is not a multiple of 128" : "");
}

CROSSVM_EXTERN_C_END

#endif
