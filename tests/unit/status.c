/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/status.c - every status has a name and a family of its own kind, every rule a name,
 * every fault a text. Also the library's and the format's version.
 */
#include "../check.h"

#include <crossvm/status.h>
#include <crossvm/version.h>

#include <limits.h>
#include <string.h>

#define ROW(status, family)                                \
    {                                                      \
        CROSSVM_##status, #status, CROSSVM_FAMILY_##family \
    }

/* In the order of their numbers, from 0 downward. */
static const struct {
    int status;
    const char *name;
    enum crossvm_family family;
} statuses[] = {
    ROW(OK, RESULT),          ROW(EMPTY, AGAIN),     ROW(FULL, AGAIN),
    ROW(TORN, AGAIN),         ROW(NOT_YET, AGAIN),   ROW(NOT_FORMATTED, AGAIN),
    ROW(TIMEOUT, AGAIN),      ROW(INVALID, CALLER),  ROW(TOO_LARGE, CALLER),
    ROW(NO_SPACE, CALLER),    ROW(EXISTS, CALLER),   ROW(NOT_FOUND, CALLER),
    ROW(ROLE, CALLER),        ROW(TYPE, CALLER),     ROW(MISALIGNED, CALLER),
    ROW(MEMORY_TYPE, CALLER), ROW(MISMATCH, CALLER), ROW(OTHER_FORMAT, CALLER),
    ROW(FEATURE, CALLER),     ROW(REFUSED, CALLER),  ROW(UNKNOWN, CALLER),
    ROW(UNSUPPORTED, CALLER), ROW(STALE, STALE),     ROW(ENDED, STALE),
    ROW(CORRUPT, PEER),       ROW(SYSTEM, SYSTEM),
};

#define N_STATUSES (sizeof(statuses) / sizeof(statuses[0]))

static void every_status_has_its_name_and_family(void)
{
    for (size_t i = 0; i < N_STATUSES; i++) {
        CHECK(strcmp(crossvm_status_name(statuses[i].status), statuses[i].name) == 0);
        CHECK_EQ(crossvm_status_family(statuses[i].status), statuses[i].family);
        CHECK(i == 0 || statuses[i].status < statuses[i - 1].status);
    }
}

/* Numbers that are no status have no name; walking them all finds any status missing above. */
static void nothing_else_has_a_name(void)
{
    size_t n_named = 0;
    for (int status = 0; status >= -1000; status--) {
        n_named += strcmp(crossvm_status_name(status), "?") != 0;
    }
    CHECK_EQ(n_named, N_STATUSES);
    CHECK(strcmp(crossvm_status_name(INT_MIN), "?") == 0);
}

static void results_are_no_failures(void)
{
    CHECK(strcmp(crossvm_status_name(1), "OK") == 0);
    CHECK(strcmp(crossvm_status_name(INT_MAX), "OK") == 0);
    CHECK_EQ(crossvm_status_family(1), CROSSVM_FAMILY_RESULT);
    CHECK_EQ(crossvm_status_family(INT_MAX), CROSSVM_FAMILY_RESULT);
    CHECK_EQ(crossvm_status_family(INT_MIN), CROSSVM_FAMILY_SYSTEM);
}

static void every_rule_has_a_name_of_its_own(void)
{
    for (uint32_t rule = 0; rule < CROSSVM_RULE_COUNT; rule++) {
        const char *name = crossvm_rule_name(rule);
        CHECK(strlen(name) > 0 && strcmp(name, "?") != 0);
        for (uint32_t other = 0; other < rule; other++) {
            CHECK(strcmp(name, crossvm_rule_name(other)) != 0);
        }
    }
    CHECK(strcmp(crossvm_rule_name(CROSSVM_RULE_NONE), "none") == 0);
    CHECK(strcmp(crossvm_rule_name(CROSSVM_RULE_COUNT), "?") == 0);
    CHECK(strcmp(crossvm_rule_name(UINT32_MAX), "?") == 0);
}

/* A fault whose bytes all differ, so that one in the wrong place shows. */
static const struct crossvm_fault sample = {
    0x1080, 0x5, CROSSVM_RULE_SPSC_INDEX, {0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c}};

#define SAMPLE "region 00010203-04050607-08090a0b-0c0d0e0f, offset 0x1080, value 0x5: queue index"

static void a_fault_is_a_line_of_text(void)
{
    char text[CROSSVM_FAULT_TEXT_LEN];
    CHECK_EQ(crossvm_fault_text(&sample, text, sizeof(text)), strlen(SAMPLE));
    CHECK(strcmp(text, SAMPLE) == 0);
}

/* Its two numbers against the C library's. */
static void numbers_have_no_zeros_in_front(void)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        char text[CROSSVM_FAULT_TEXT_LEN];
        char want[256];
        struct crossvm_fault fault = sample;
        fault.off = (uint64_t)1 << bit;
        fault.value = fault.off - 1;
        (void)snprintf(want, sizeof(want), "0c0d0e0f, offset 0x%" PRIx64 ", value 0x%" PRIx64 ": ",
                       fault.off, fault.value);
        CHECK(crossvm_fault_text(&fault, text, sizeof(text)) < sizeof(text));
        CHECK(strstr(text, want) != NULL);
    }
}

/* Whatever room there is: as much as fits, NUL-terminated, and nothing behind it. */
static void a_text_is_cut_where_there_is_no_more_room(void)
{
    char text[sizeof(SAMPLE) + 8];
    for (size_t len = 1; len <= sizeof(text); len++) {
        size_t kept = len < sizeof(SAMPLE) ? len - 1 : sizeof(SAMPLE) - 1;
        memset(text, '#', sizeof(text));
        CHECK_EQ(crossvm_fault_text(&sample, text, len), strlen(SAMPLE));
        CHECK(memcmp(text, SAMPLE, kept) == 0);
        CHECK_EQ(text[kept], '\0');
        for (size_t i = kept + 1; i < sizeof(text); i++) {
            CHECK_EQ(text[i], '#');
        }
    }
    memset(text, '#', sizeof(text));
    CHECK_EQ(crossvm_fault_text(&sample, text, 0), strlen(SAMPLE));
    CHECK_EQ(text[0], '#');
    CHECK_EQ(crossvm_fault_text(&sample, NULL, 0), strlen(SAMPLE));
}

static void every_text_fits_into_its_constant(void)
{
    for (uint32_t rule = 0; rule <= CROSSVM_RULE_COUNT; rule++) {
        char text[CROSSVM_FAULT_TEXT_LEN];
        const struct crossvm_fault fault = {
            UINT64_MAX, UINT64_MAX, rule, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}};
        size_t len = crossvm_fault_text(&fault, text, sizeof(text));
        CHECK(len < sizeof(text));
        CHECK_EQ(strlen(text), len);
        CHECK(strstr(text, crossvm_rule_name(rule)) ==
              text + len - strlen(crossvm_rule_name(rule)));
        CHECK(strstr(text, ", offset 0xffffffffffffffff, value 0xffffffffffffffff: ") != NULL);
    }
}

static void the_version_string_says_the_version(void)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%d.%d.%d", CROSSVM_VERSION_MAJOR, CROSSVM_VERSION_MINOR,
                   CROSSVM_VERSION_PATCH);
    CHECK(strcmp(text, CROSSVM_VERSION_STRING) == 0);
    CHECK_EQ(CROSSVM_FORMAT_MAJOR, 0);
    CHECK_EQ(CROSSVM_FORMAT_MINOR, 1);
}

int main(void)
{
    CASE(every_status_has_its_name_and_family);
    CASE(nothing_else_has_a_name);
    CASE(results_are_no_failures);
    CASE(every_rule_has_a_name_of_its_own);
    CASE(a_fault_is_a_line_of_text);
    CASE(numbers_have_no_zeros_in_front);
    CASE(a_text_is_cut_where_there_is_no_more_room);
    CASE(every_text_fits_into_its_constant);
    CASE(the_version_string_says_the_version);
    return check_done();
}
