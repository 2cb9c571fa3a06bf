/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/check.h - what every test program uses: checks that say what was seen, cases, skips.
 *
 * A test program is a list of cases; main returns check_done(). A failed check prints where and
 * what, and the program goes on, so that one run shows every failure.
 */
#ifndef CROSSVM_TESTS_CHECK_H
#define CROSSVM_TESTS_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Whether there are processes, threads, mappings and descriptors. Firmware (tests/firmware) has
 * none: cases that are about them are left out there. */
#if defined(__unix__)
#define CHECK_OS 1
#else
#define CHECK_OS 0
#endif

/* Emulated cores are slow: the longest loops are this many times shorter there. The build says so
 * of emulated programs of an operating system; with 1 a loop has its full length. */
#if !defined(CHECK_SHORTER)
#if CHECK_OS
#define CHECK_SHORTER 1u
#else
#define CHECK_SHORTER 8u
#endif
#endif

#define CHECK_SKIPPED 77

/* Only the first failures are printed: a broken loop would otherwise print millions. */
#define CHECK_PRINTED 20

static unsigned long check_n_failed;

static inline void check_failed(const char *file, int line, const char *what)
{
    check_n_failed++;
    if (check_n_failed <= CHECK_PRINTED) {
        printf("%s:%d: failed: %s\n", file, line, what);
        fflush(stdout);
    }
}

static inline void check_equal(const char *file, int line, const char *what, long long got,
                               long long want)
{
    char text[256];
    if (got == want) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%s: got %lld, wanted %lld", what, got, want);
    check_failed(file, line, text);
}

/* The condition holds. */
#define CHECK(condition)                                  \
    do {                                                  \
        if (!(condition)) {                               \
            check_failed(__FILE__, __LINE__, #condition); \
        }                                                 \
    } while (0)

/* Two whole numbers are equal; both are printed if not. */
#define CHECK_EQ(got, want) \
    check_equal(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

/* What the rest of the case needs: without it the program ends at once. */
#define REQUIRE(condition)                                \
    do {                                                  \
        if (!(condition)) {                               \
            check_failed(__FILE__, __LINE__, #condition); \
            exit(1);                                      \
        }                                                 \
    } while (0)

/* Ends the program as skipped, with the reason. */
#define SKIP(reason)                       \
    do {                                   \
        printf("skipped: %s\n", (reason)); \
        exit(CHECK_SKIPPED);               \
    } while (0)

/* Runs one case and says its name. */
#define CASE(function)             \
    do {                           \
        printf("%s\n", #function); \
        fflush(stdout);            \
        function();                \
    } while (0)

/* How many times longer than usual loops should run. */
static inline unsigned long check_scale(void)
{
    const char *text = getenv("CROSSVM_TEST_SCALE");
    unsigned long scale = text == NULL ? 1 : strtoul(text, NULL, 10);
    return scale == 0 ? 1 : scale;
}

/* One object for each thread, in C11 and in C++. */
#if defined(__cplusplus)
#define CHECK_THREAD_LOCAL thread_local
#else
#define CHECK_THREAD_LOCAL _Thread_local
#endif

/* A small generator with a fixed start: the same numbers in every run. */
static inline uint32_t check_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static inline int check_done(void)
{
    if (check_n_failed != 0) {
        printf("%lu checks failed\n", check_n_failed);
    }
    return check_n_failed == 0 ? 0 : 1;
}

#endif
