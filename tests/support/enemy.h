/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/enemy.h - a peer that writes anything at any time into the control words that it
 * can write, for tests of what stands on a queue's parts: interesting values, and random ones
 * between any two accesses of the library. It builds the library with hooks: the first include.
 */
#ifndef CROSSVM_TESTS_SUPPORT_ENEMY_H
#define CROSSVM_TESTS_SUPPORT_ENEMY_H

#include "hook.h"

#include "queue.h"

enum {
    CAPACITY = 64,
    ELEM_LEN = 56, /* 512 bytes of control and 64 elements of 56 are one granule exactly */
    N_WORDS = CROSSVM_SPSC_CONTROL_LEN / 4
};

static uint64_t random_state;

/* ---- the enemy, in front of every shared access ---------------------------------------------- */

static struct crossvm_le32 *enemy_words; /* NULL: nobody interferes */
static uint32_t enemy_base;              /* interesting values lie around it */

static inline uint32_t interesting(uint32_t which, uint32_t around)
{
    static const uint32_t distances[] = {0,
                                         1,
                                         (uint32_t)-1,
                                         CAPACITY - 1,
                                         CAPACITY,
                                         CAPACITY + 1,
                                         (uint32_t)-CAPACITY,
                                         (uint32_t)-CAPACITY - 1,
                                         0x7fffffffu,
                                         0x80000000u,
                                         0x80000001u};
    static const uint32_t values[] = {0, 1, 2, 63, 64, 65, 0x7fffffffu, 0x80000000u, 0xffffffffu};
    uint32_t n_distances = sizeof(distances) / sizeof(distances[0]);
    uint32_t n_values = sizeof(values) / sizeof(values[0]);
    which %= n_distances + n_values + 1;
    if (which < n_distances) {
        return around + distances[which];
    }
    if (which < n_distances + n_values) {
        return values[which - n_distances];
    }
    return check_random(&random_state);
}

#define N_INTERESTING 21u

/* Runs before every shared access of the other side. */
static inline void enemy(void *unused)
{
    (void)unused;
    if (enemy_words == NULL || check_random(&random_state) % 3 != 0) {
        return;
    }
    uint32_t word =
        check_random(&random_state) % 4 == 0 ? 0 : check_random(&random_state) % N_WORDS;
    crossvm_store_relaxed(&enemy_words[word], interesting(check_random(&random_state), enemy_base));
}

/* No call of the library may take more shared accesses than this: no loop that a peer controls.
 * The longest is a batch of all elements. */
static inline void check_bounded(unsigned long before)
{
    CHECK(test_hook.seen - before <= 64 + 2 * CAPACITY);
}

/* ---- what lies in front of a part in its own region must stay as it is ----------------------- */

static unsigned char *front_copy;

static inline void remember_front(const struct test_region *region,
                                  const struct crossvm_chunk *chunk)
{
    front_copy = (unsigned char *)malloc((size_t)chunk->off);
    REQUIRE(front_copy != NULL);
    memcpy(front_copy, region->writable.base, (size_t)chunk->off);
}

static inline void check_front(const struct test_region *region, const struct crossvm_chunk *chunk)
{
    CHECK(memcmp(front_copy, region->writable.base, (size_t)chunk->off) == 0);
    free(front_copy);
}

/* ---- what a call may answer ------------------------------------------------------------------ */

static inline bool may_answer(int status)
{
    return status >= 0 || status == CROSSVM_FULL || status == CROSSVM_EMPTY ||
           status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED || status == CROSSVM_STALE ||
           status == CROSSVM_CORRUPT;
}

static inline void check_answer(int status, unsigned long before, int most)
{
    check_bounded(before);
    CHECK(may_answer(status));
    CHECK(status <= most);
}

#endif
