/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: every control word with every kind of wrong value. The reader accepts no payload but
 * the one that the words name, never goes back, and says which rule was broken, where and by what;
 * the writer does not resume on words that it cannot have written.
 *
 * The rules are written down a second time here, from the table in docs/FORMAT.md.
 */
#include "../support/snapshot.h"

enum {
    LEN = 40
};

/* The words that are judged, as a case has them. */
struct words {
    uint32_t latest;
    uint32_t epoch;
    uint32_t mark; /* these three: of the slot that latest names */
    uint32_t hi;
    uint32_t len;
};

struct verdict {
    int status;
    uint64_t version; /* when it can be read */
    struct crossvm_fault fault;
};

static unsigned char payload[LEN];
static unsigned long n_cases;

/* ---- the rules, a second time --------------------------------------------------------------- */

static struct verdict broken(uint64_t off, uint64_t value, uint32_t rule)
{
    struct verdict verdict = {CROSSVM_CORRUPT, 0, {off, value, rule, {0}}};
    return verdict;
}

/* What mark, hi and latest say together: OK with the version, NOT_YET, CORRUPT. */
static struct verdict judge_version(const struct test_snapshot *snap, const struct words *words)
{
    struct verdict verdict = {CROSSVM_OK, 0, {0, 0, 0, {0}}};
    if (words->epoch != snap->chunk.generation) {
        verdict.status = CROSSVM_STALE;
        return verdict;
    }
    verdict.version = ((uint64_t)words->hi << 32 | words->mark) / 2;
    if (words->mark % 2 != 0 || (uint32_t)verdict.version != words->latest) {
        return broken(test_snapshot_slot_off(snap, words->latest), words->mark,
                      CROSSVM_RULE_SLOT_MARK);
    }
    if (verdict.version == 0) {
        verdict.status = CROSSVM_NOT_YET;
    }
    return verdict;
}

static struct verdict judge_reader(const struct test_snapshot *snap, const struct words *words,
                                   uint64_t last)
{
    uint64_t off = test_snapshot_slot_off(snap, words->latest);
    struct verdict verdict = judge_version(snap, words);
    if (verdict.status != CROSSVM_OK && verdict.status != CROSSVM_NOT_YET) {
        return verdict;
    }
    if (verdict.version < last) {
        return broken(off, words->mark, CROSSVM_RULE_SLOT_BACKWARD);
    }
    if (verdict.status == CROSSVM_OK && words->len > LEN) {
        return broken(off + 8, words->len, CROSSVM_RULE_SLOT_LEN);
    }
    return verdict;
}

static struct verdict judge_writer(const struct test_snapshot *snap, const struct words *words)
{
    struct verdict verdict = judge_version(snap, words);
    if (verdict.status == CROSSVM_NOT_YET) {
        verdict.status = CROSSVM_OK;
    } else if (verdict.status == CROSSVM_OK && words->len > LEN) {
        return broken(test_snapshot_slot_off(snap, words->latest) + 8, words->len,
                      CROSSVM_RULE_SLOT_LEN);
    }
    return verdict;
}

/* ---- putting words there -------------------------------------------------------------------- */

static struct words load_words(const struct test_snapshot *snap)
{
    struct crossvm_slots_shm *control = test_snapshot_control(snap);
    struct words words;
    words.latest = crossvm_load_relaxed(&control->latest);
    words.epoch = crossvm_load_relaxed(&control->epoch);
    struct crossvm_slot_shm *slot = test_snapshot_slot(snap, words.latest);
    words.mark = crossvm_load_relaxed(&slot->mark);
    words.hi = crossvm_load_relaxed(&slot->hi);
    words.len = crossvm_load_relaxed(&slot->len);
    return words;
}

static void store_words(const struct test_snapshot *snap, const struct words *words)
{
    struct crossvm_slots_shm *control = test_snapshot_control(snap);
    struct crossvm_slot_shm *slot = test_snapshot_slot(snap, words->latest);
    crossvm_store_relaxed(&control->latest, words->latest);
    crossvm_store_relaxed(&control->epoch, words->epoch);
    crossvm_store_relaxed(&slot->mark, words->mark);
    crossvm_store_relaxed(&slot->hi, words->hi);
    crossvm_store_relaxed(&slot->len, words->len);
}

/* Which version's payload lies in the slot that latest names. */
static uint64_t version_in_slot(const struct test_snapshot *snap, uint64_t newest, uint32_t latest)
{
    uint64_t version = newest;
    while (version > 0 && version % snap->chunk.n != latest % snap->chunk.n) {
        version--;
    }
    return version;
}

/* ---- what must hold ------------------------------------------------------------------------- */

static void failed(const char *who, const struct words *words, int got, const struct verdict *want,
                   const struct crossvm_fault *fault)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "%s: latest %" PRIx32 " epoch %" PRIx32 " mark %" PRIx32 " hi %" PRIx32
                   " len %" PRIx32 ": %s, wanted %s; rule %s off %llx "
                   "value %llx, wanted rule %s off %llx",
                   who, words->latest, words->epoch, words->mark, words->hi, words->len,
                   crossvm_status_name(got), crossvm_status_name(want->status),
                   crossvm_rule_name(fault->rule), (unsigned long long)fault->off,
                   (unsigned long long)fault->value, crossvm_rule_name(want->fault.rule),
                   (unsigned long long)want->fault.off);
    check_failed(__FILE__, __LINE__, text);
}

static bool same(const struct crossvm_fault *a, const struct crossvm_fault *b)
{
    return a->off == b->off && a->value == b->value && a->rule == b->rule;
}

/* A reader that has read `last` before, 0 = none. */
static void expect_reader(const struct test_snapshot *snap, const struct words *words,
                          uint64_t newest, uint64_t last)
{
    struct crossvm_snapshot_reader reader = snap->reader;
    struct crossvm_snapshot_info info;
    struct verdict want = judge_reader(snap, words, last);
    reader.last = last;
    int got = crossvm_snapshot_reader_read(&reader, payload, sizeof(payload), &info);
    n_cases++;
    if (want.status != CROSSVM_OK) {
        if (got != want.status || !same(&reader.fault, &want.fault)) {
            failed("reader", words, got, &want, &reader.fault);
        }
        return;
    }
    /* Nothing but what the words name: that number, and the bytes of that slot. */
    if (got != (want.version != last) || info.version != want.version || info.len != words->len ||
        !test_payload_ok(payload, info.len, version_in_slot(snap, newest, words->latest))) {
        failed("reader", words, got, &want, &reader.fault);
    }
}

static void expect_writer(const struct test_snapshot *snap, const struct words *words)
{
    struct crossvm_snapshot_writer writer;
    struct verdict want = judge_writer(snap, words);
    memset(&writer, 0, sizeof(writer));
    int got = crossvm_snapshot_writer_open(&writer, &snap->region.owner.region, &snap->chunk);
    if (got == CROSSVM_CORRUPT) {
        CHECK_EQ(crossvm_snapshot_writer_publish(&writer, "x", 1, 0, 0), CROSSVM_CORRUPT);
    }
    n_cases++;
    if (got != want.status || !same(&writer.fault, &want.fault) ||
        (got == CROSSVM_OK && writer.version != want.version)) {
        failed("writer", words, got, &want, &writer.fault);
    }
}

/* All parties look at these words; then the honest ones are put back. */
static void try_words(const struct test_snapshot *snap, const struct words *words, uint64_t newest)
{
    struct words there;
    crossvm_store_relaxed(&test_snapshot_control(snap)->latest, words->latest);
    there = load_words(snap);
    store_words(snap, words);
    expect_reader(snap, words, newest, 0);
    expect_reader(snap, words, newest, newest);
    expect_reader(snap, words, newest, newest < 2 ? newest : newest - 1);
    expect_writer(snap, words);
    there.epoch = snap->chunk.generation;
    store_words(snap, &there);
    crossvm_store_relaxed(&test_snapshot_control(snap)->latest, (uint32_t)newest);
}

/* ---- which values --------------------------------------------------------------------------- */

enum {
    LATEST,
    EPOCH,
    MARK,
    HI,
    LENGTH,
    N_WORDS
};

static uint32_t *word_of(struct words *words, int which)
{
    uint32_t *const all[N_WORDS] = {&words->latest, &words->epoch, &words->mark, &words->hi,
                                    &words->len};
    return all[which];
}

enum {
    N_INTERESTING = 40
};

static unsigned interesting(uint32_t *values, uint64_t version, uint32_t n_slots)
{
    const uint32_t v = (uint32_t)version;
    const uint32_t hi = (uint32_t)(version >> 31);
    const uint32_t all[] = {
        0,
        1,
        2,
        3,
        LEN - 1,
        LEN,
        LEN + 1,
        LEN + 64,
        v,
        v - 1,
        v + 1,
        v - n_slots,
        v + n_slots,
        2 * v,
        2 * v - 1,
        2 * v + 1,
        2 * v - 2,
        2 * v + 2,
        2 * (v - n_slots),
        2 * (v + n_slots),
        2 * (v + n_slots) - 1,
        hi,
        hi - 1,
        hi + 1,
        hi ^ 1,
        hi + 2,
        hi - 2,
        0x7fffffff,
        0x80000000,
        0x80000001,
        0xfffffffe,
        0xffffffff,
        v ^ 0x80000000,
        (2 * v) ^ 0x80000000,
    };
    unsigned n = (unsigned)(sizeof(all) / sizeof(all[0]));
    REQUIRE(n <= N_INTERESTING);
    memcpy(values, all, sizeof(all));
    return n;
}

/* The slot that another `latest` names keeps its own words. */
static struct words words_at(const struct test_snapshot *snap, uint32_t latest, uint64_t newest)
{
    struct crossvm_le32 *word = &test_snapshot_control(snap)->latest;
    crossvm_store_relaxed(word, latest);
    struct words words = load_words(snap);
    crossvm_store_relaxed(word, (uint32_t)newest);
    return words;
}

static void each_word_alone(const struct test_snapshot *snap, uint64_t newest, uint64_t *seed)
{
    uint32_t values[N_INTERESTING + 100];
    unsigned n = interesting(values, newest, snap->chunk.n);
    for (unsigned i = 0; i < 100; i++) {
        values[n] = check_random(seed) << 1 ^ check_random(seed);
        n++;
    }
    for (int which = 0; which < N_WORDS; which++) {
        for (unsigned i = 0; i < n; i++) {
            uint32_t latest = which == LATEST ? values[i] : (uint32_t)newest;
            struct words words = words_at(snap, latest, newest);
            *word_of(&words, which) = values[i];
            try_words(snap, &words, newest);
        }
    }
}

/* Any words at all, most of them plausible ones: so that every rule is met behind every other. */
static void all_words_together(const struct test_snapshot *snap, uint64_t newest, uint64_t *seed)
{
    uint32_t values[N_INTERESTING];
    unsigned n = interesting(values, newest, snap->chunk.n);
    for (unsigned long i = 0; i < 2000 * check_scale(); i++) {
        uint32_t other = values[check_random(seed) % n];
        uint32_t latest = check_random(seed) % 2 == 0 ? (uint32_t)newest : other;
        struct words words = words_at(snap, latest, newest);
        for (int which = EPOCH; which < N_WORDS; which++) {
            if (check_random(seed) % 3 == 0) {
                *word_of(&words, which) = values[check_random(seed) % n];
            }
        }
        if (check_random(seed) % 3 == 0) {
            words.mark = words.latest * 2;
        }
        if (check_random(seed) % 3 == 0) {
            words.hi = (words.hi & ~(uint32_t)1) | words.latest >> 31;
        }
        try_words(snap, &words, newest);
    }
}

static void try_around(uint32_t n_slots, uint64_t newest, uint64_t *seed)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, n_slots, LEN);
    for (uint32_t i = 0; i < n_slots; i++) {
        test_payload_fill(test_snapshot_slot(&snap, i) + 1, LEN, 0);
    }
    test_snapshot_restart_at(&snap, newest);
    each_word_alone(&snap, newest, seed);
    all_words_together(&snap, newest, seed);
    test_snapshot_drop(&snap);
}

static void wrong_words_are_told_apart_from_right_ones(void)
{
    static const uint64_t small[] = {1, 2, 3, 9};
    uint64_t seed = 4711;
    printf("  seed %llu\n", (unsigned long long)seed);
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        for (size_t i = 0; i < 4; i++) {
            try_around(n_slots, small[i], &seed);
        }
        for (size_t i = 0; i < TEST_N_VERSION_EDGES; i++) {
            for (uint64_t back = 0; back < 3; back++) {
                try_around(n_slots, test_version_edges[i] - back, &seed);
            }
        }
    }
    printf("  %lu judgements\n", n_cases);
}

/* ---- sticky --------------------------------------------------------------------------------- */

static void expect_corrupt_for_good(struct crossvm_snapshot_reader *reader,
                                    const struct crossvm_fault *fault)
{
    struct crossvm_snapshot_view view;
    CHECK_EQ(crossvm_snapshot_reader_read(reader, payload, LEN, NULL), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_snapshot_reader_read_parts(reader, NULL, 0, NULL), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_snapshot_reader_peek(reader, &view), CROSSVM_CORRUPT);
    CHECK_EQ(crossvm_snapshot_reader_read_version(reader, 5, payload, LEN, NULL), CROSSVM_CORRUPT);
    CHECK(same(&reader->fault, fault));
}

/* The words are mended at once, but the handle has seen what it has seen; a new one has not. */
static void a_fault_stays_on_the_handle(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 4, LEN);
    test_snapshot_restart_at(&snap, 5);
    const struct words honest = load_words(&snap);
    for (int which = 0; which < 4; which++) {
        struct crossvm_snapshot_reader reader = snap.reader;
        struct words words = honest;
        REQUIRE(crossvm_snapshot_reader_read(&reader, payload, LEN, NULL) == 1);
        if (which == 0) {
            words.mark = 11;
        } else if (which == 1) {
            words.len = LEN + 1;
        } else if (which == 2) {
            words = words_at(&snap, 4, 5); /* back to the version before */
        } else {
            memset(&words, 0, sizeof(words)); /* nothing published */
            words.epoch = honest.epoch;
        }
        struct words there = words_at(&snap, words.latest, 5);
        store_words(&snap, &words);
        struct verdict want = judge_reader(&snap, &words, 5);
        CHECK_EQ(want.status, CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_snapshot_reader_read(&reader, payload, LEN, NULL), CROSSVM_CORRUPT);
        CHECK(same(&reader.fault, &want.fault));
        store_words(&snap, &there);
        store_words(&snap, &honest);
        expect_corrupt_for_good(&reader, &want.fault);
        reader = snap.reader;
        CHECK_EQ(crossvm_snapshot_reader_read(&reader, payload, LEN, NULL), 1);
    }
    test_snapshot_drop(&snap);
}

/* Also when it was found by looking at a version in place. */
static void a_version_that_was_read_is_not_read_again_behind_a_fault(void)
{
    struct test_snapshot snap;
    struct crossvm_snapshot_view view;
    test_snapshot_make(&snap, 4, LEN);
    test_snapshot_restart_at(&snap, 5);
    const struct words honest = load_words(&snap);
    struct words words = honest;
    words.mark = 11;
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), 1);
    store_words(&snap, &words);
    CHECK_EQ(crossvm_snapshot_reader_peek(&snap.reader, &view), CROSSVM_CORRUPT);
    store_words(&snap, &honest);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), CROSSVM_CORRUPT);
    test_snapshot_drop(&snap);
}

static void a_given_version_with_too_much_length_is_corrupt(void)
{
    struct test_snapshot snap;
    test_snapshot_make(&snap, 4, LEN);
    test_snapshot_restart_at(&snap, 5);
    crossvm_store_relaxed(&test_snapshot_slot(&snap, 4)->len, LEN + 1);
    struct crossvm_snapshot_reader reader = snap.reader;
    CHECK_EQ(crossvm_snapshot_reader_read_version(&reader, 4, payload, LEN, NULL), CROSSVM_CORRUPT);
    CHECK_EQ(reader.fault.rule, CROSSVM_RULE_SLOT_LEN);
    CHECK_EQ(reader.fault.off, test_snapshot_slot_off(&snap, 4) + 8);
    CHECK_EQ(reader.fault.value, LEN + 1);
    CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), 1);
    test_snapshot_drop(&snap);
}

/* No word but the newest slot's matters to who reads the newest. */
static void words_of_other_slots_do_not_matter(void)
{
    struct test_snapshot snap;
    uint64_t seed = 99;
    test_snapshot_make(&snap, 4, LEN);
    test_snapshot_restart_at(&snap, 5);
    for (unsigned i = 0; i < 1000; i++) {
        struct crossvm_slot_shm *slot = test_snapshot_slot(&snap, 2 + i % 3);
        crossvm_store_relaxed(&slot->mark, check_random(&seed));
        crossvm_store_relaxed(&slot->hi, check_random(&seed));
        crossvm_store_relaxed(&slot->len, check_random(&seed));
        CHECK_EQ(crossvm_snapshot_reader_read(&snap.reader, payload, LEN, NULL), i == 0);
        CHECK(test_payload_ok(payload, LEN, 5));
    }
    test_snapshot_drop(&snap);
}

int main(void)
{
    CASE(wrong_words_are_told_apart_from_right_ones);
    CASE(a_fault_stays_on_the_handle);
    CASE(a_version_that_was_read_is_not_read_again_behind_a_fault);
    CASE(a_given_version_with_too_much_length_is_corrupt);
    CASE(words_of_other_slots_do_not_matter);
    return check_done();
}
