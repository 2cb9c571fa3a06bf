/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/examine.c - what a mapping is found to be: memory, and what it says of itself;
 * the judgement of speeds; writes that are dropped. (tests/system/devices.py has real devices.)
 */
#include <crossvm/backend/posix.h>

/* Whether stores arrive: of the examination alone, which is included behind this. */
static bool arrives = true;

static inline void store(struct crossvm_le32 *word, uint32_t value)
{
    if (arrives) {
        crossvm_store_relaxed(word, value);
    }
}

#define crossvm_store_relaxed store
#include <crossvm/backend/examine.h>
#undef crossvm_store_relaxed

#include "../support/region.h"

#include <signal.h>
#include <sys/wait.h>

static struct test_region region;

static const struct crossvm_chunk_decl decl = {"state", CROSSVM_KIND_SNAPSHOT, 4, 64,
                                               PARTY_A, CROSSVM_ANYONE,        0, 0};
static const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 1, 4096, 0, PARTY_A);

static void check_text(const struct crossvm_examination *examination, const char *wanted)
{
    char text[CROSSVM_EXAMINATION_LEN];
    crossvm_examination_text(examination, text, sizeof(text));
    CHECK(strstr(text, wanted) != NULL);
}

static void memory_is_write_back_whatever_was_asked(void)
{
    struct crossvm_examination examination;
    test_region_make(&region, &plan, PARTY_B);
    region.read_only.memory = CROSSVM_UNCACHED;
    region.writable.memory = CROSSVM_WRITE_COMBINING;
    CHECK_EQ(crossvm_mapping_examine(&region.read_only, CROSSVM_UNCACHED, &examination),
             CROSSVM_OK);
    CHECK_EQ(examination.memory, CROSSVM_WRITE_BACK);
    CHECK_EQ(region.read_only.memory, CROSSVM_WRITE_BACK);
    check_text(&examination, "read-only; write-back");
    CHECK_EQ(crossvm_mapping_examine(&region.writable, CROSSVM_WRITE_COMBINING, &examination),
             CROSSVM_OK);
    CHECK_EQ(region.writable.memory, CROSSVM_WRITE_BACK);
    CHECK(!examination.drops_writes);
    check_text(&examination, "writable; write-back");
    test_region_drop(&region);
}

/* The region is in use, and stays as it was. */
static void an_examination_leaves_no_trace(void)
{
    static unsigned char before[65536];
    struct crossvm_examination examination;
    struct crossvm_region attached;
    test_region_make(&region, &plan, PARTY_B);
    size_t len = (size_t)region.writable.len;
    REQUIRE(len <= sizeof(before));
    memcpy(before, region.writable.base, len);
    CHECK_EQ(crossvm_mapping_examine(&region.writable, CROSSVM_WRITE_BACK, &examination),
             CROSSVM_OK);
    CHECK(memcmp(before, region.writable.base, len) == 0);
    CHECK_EQ(crossvm_region_attach(&attached, &region.writable, PARTY_B), CROSSVM_OK);
    test_region_drop(&region);
}

static void writes_that_are_dropped_are_noticed(void)
{
    struct crossvm_examination examination;
    test_region_make(&region, &plan, PARTY_B);
    arrives = false;
    CHECK_EQ(crossvm_mapping_examine(&region.writable, CROSSVM_WRITE_BACK, &examination),
             CROSSVM_ROLE);
    CHECK(examination.drops_writes);
    check_text(&examination, "the hypervisor drops writes");
    CHECK_EQ(crossvm_mapping_examine(&region.read_only, CROSSVM_WRITE_BACK, &examination),
             CROSSVM_OK);
    arrives = true;
    CHECK_EQ(crossvm_mapping_examine(&region.writable, CROSSVM_WRITE_BACK, &examination),
             CROSSVM_OK);
    test_region_drop(&region);
}

/* The memory's own writer writes the word all the time. */
static void nobody_makes_dropped_writes_seem_to_arrive(void)
{
    struct crossvm_examination examination;
    test_region_make(&region, &plan, PARTY_B);
    unsigned char *base = (unsigned char *)region.writable.base;
    struct crossvm_le32 *word = (struct crossvm_le32 *)(void *)(base + CROSSVM_EXAMINE_OFF);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (uint32_t i = 0;; i++) {
            crossvm_store_relaxed(word, i);
        }
    }
    arrives = false;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(crossvm_mapping_examine(&region.writable, CROSSVM_WRITE_BACK, &examination),
                 CROSSVM_ROLE);
    }
    arrives = true;
    REQUIRE(kill(child, SIGKILL) == 0);
    REQUIRE(waitpid(child, NULL, 0) == child);
    test_region_drop(&region);
}

/* A mapping for reading faults if it is written. */
static void a_mapping_for_reading_is_not_written(void)
{
    struct crossvm_examination examination;
    test_region_make(&region, &plan, PARTY_B);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(crossvm_mapping_examine(&region.read_only, CROSSVM_WRITE_BACK, &examination),
                 CROSSVM_OK);
    }
    test_region_drop(&region);
}

static void speeds_are_judged(void)
{
    static const struct {
        uint64_t load_ps;
        uint64_t own_ps;
        uint32_t asked;
        uint32_t found;
    } cases[] = {
        {500, 400, CROSSVM_UNCACHED, CROSSVM_WRITE_BACK},
        {500, 400, CROSSVM_WRITE_COMBINING, CROSSVM_WRITE_BACK},
        {90000, 400, CROSSVM_UNCACHED, CROSSVM_UNCACHED},
        {90000, 400, CROSSVM_WRITE_COMBINING, CROSSVM_WRITE_COMBINING},
        {90000, 400, CROSSVM_WRITE_BACK, CROSSVM_UNCACHED},
        {20000, 400, CROSSVM_UNCACHED, CROSSVM_WRITE_BACK},   /* not slow enough */
        {20001, 400, CROSSVM_UNCACHED, CROSSVM_UNCACHED},     /* just slow enough */
        {90000, 11300, CROSSVM_UNCACHED, CROSSVM_WRITE_BACK}, /* all loads are slow here */
        {0, 0, CROSSVM_UNCACHED, CROSSVM_UNCACHED},           /* not measured: what was asked for */
        {0, 0, CROSSVM_WRITE_BACK, CROSSVM_WRITE_BACK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(crossvm_i_examine_judge(cases[i].load_ps, cases[i].own_ps, cases[i].asked),
                 cases[i].found);
    }
}

static void what_is_found_is_said(void)
{
    struct crossvm_examination examination = {123456,           1500, CROSSVM_READ_WRITE,
                                              CROSSVM_UNCACHED, true, true};
    char text[CROSSVM_EXAMINATION_LEN];
    crossvm_examination_text(&examination, text, sizeof(text));
    CHECK(strcmp(text, "to be written, but the hypervisor drops writes; uncached: it works, and "
                       "each access is slow (123.4 ns a load, own memory 1.5 ns); its base is not "
                       "a multiple of 128") == 0);
    examination.memory = CROSSVM_WRITE_COMBINING;
    examination.load_ps = UINT64_MAX;
    examination.own_ps = UINT64_MAX;
    crossvm_examination_text(&examination, text, sizeof(text));
    CHECK(strlen(text) + 1 < sizeof(text));
    check_text(&examination, "CROSSVM_SYSTEM_FENCES");
}

static void short_and_misaligned_mappings_are_refused(void)
{
    struct crossvm_examination examination;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_mapping mapping = region.writable;
    mapping.len = 383;
    CHECK_EQ(crossvm_mapping_examine(&mapping, CROSSVM_WRITE_BACK, &examination), CROSSVM_NO_SPACE);
    mapping.len = 384;
    CHECK_EQ(crossvm_mapping_examine(&mapping, CROSSVM_WRITE_BACK, &examination), CROSSVM_OK);
    mapping.base = (unsigned char *)mapping.base + 64;
    CHECK_EQ(crossvm_mapping_examine(&mapping, CROSSVM_WRITE_BACK, &examination),
             CROSSVM_MISALIGNED);
    CHECK(examination.misaligned);
    check_text(&examination, "128");
    test_region_drop(&region);
}

int main(void)
{
    CASE(memory_is_write_back_whatever_was_asked);
    CASE(an_examination_leaves_no_trace);
    CASE(writes_that_are_dropped_are_noticed);
    CASE(nobody_makes_dropped_writes_seem_to_arrive);
    CASE(a_mapping_for_reading_is_not_written);
    CASE(speeds_are_judged);
    CASE(what_is_found_is_said);
    CASE(short_and_misaligned_mappings_are_refused);
    return check_done();
}
