/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/lives.h - a process that is killed by SIGKILL at random moments and started again
 * on the same memory, hundreds of times, while the other side lives on. How long a life lasts is
 * counted in rounds of the survivor, not in time.
 */
#ifndef CROSSVM_TESTS_SUPPORT_LIVES_H
#define CROSSVM_TESTS_SUPPORT_LIVES_H

#include "queue.h"

static uint64_t random_state;

/* The survivor's rounds until it kills: most lives are short, some are long. */
static inline uint32_t rounds_of_life(void)
{
    uint32_t most = check_random(&random_state) % 4 == 0 ? 4000 : 200;
    return check_random(&random_state) % most;
}

/* A side that dawdles leaves the queue full or empty for the other: in some lives the one that is
 * to be killed does, in some the survivor. */
static inline void dawdle(bool really)
{
    uint32_t n = really ? check_random(&random_state) % 300 : 0;
    for (uint32_t i = 0; i < n; i++) {
        crossvm_cpu_pause();
    }
}

static inline void kill_and_wait(pid_t child)
{
    REQUIRE(kill(child, SIGKILL) == 0);
    CHECK_EQ(test_wait(child), 128 + SIGKILL);
}

/* Memory for what the killed processes have seen: it outlives them. */
static inline void *lives_record(size_t len)
{
    void *record = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(record != MAP_FAILED);
    return record;
}

#endif
