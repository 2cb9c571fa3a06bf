/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broadcast.h: words that no honest writer leaves. Each is judged as docs/FORMAT.md says it, which
 * is written down here once more; and a writer that changes any word between any two of a reader's
 * accesses gets it neither out of bounds, nor back, nor into an endless loop.
 */
#include "../support/hook.h"
#include "../support/broadcast.h"
#include "../support/damage.h"

enum {
    LEN = 40,
    CANARY = 0xee
};

static unsigned long n_judged;

/* ---- what must be answered ------------------------------------------------------------------ */

struct verdict {
    int status;
    uint64_t number;
    struct crossvm_fault fault;
};

static uint32_t word_at(const struct test_broadcast *cast, uint64_t off)
{
    return damage_get(cast->region.writable.base, off);
}

static struct verdict answer(int status, uint64_t number)
{
    struct verdict verdict;
    memset(&verdict, 0, sizeof(verdict));
    verdict.status = status;
    verdict.number = number;
    return verdict;
}

static struct verdict broken(const struct test_broadcast *cast, uint64_t off, uint32_t rule)
{
    struct verdict verdict = answer(CROSSVM_CORRUPT, 0);
    verdict.fault.off = off;
    verdict.fault.value = word_at(cast, off);
    verdict.fault.rule = rule;
    return verdict;
}

static bool holds(const struct test_broadcast *cast, uint64_t number)
{
    uint64_t slot = test_broadcast_slot_off(cast, number);
    return number != 0 && damage_get_pair(cast->region.writable.base, slot) == number * 2;
}

static struct verdict judge_element(const struct test_broadcast *cast, uint64_t number)
{
    uint64_t len_off = test_broadcast_slot_off(cast, number) + SLOT_LEN;
    return word_at(cast, len_off) > LEN ? broken(cast, len_off, CROSSVM_RULE_SLOT_LEN)
                                        : answer(CROSSVM_OK, number);
}

/* Whether a write that is under way can have left this mark in the slot of `number`. */
static bool may_be_taken(const struct test_broadcast *cast, uint64_t number, uint64_t newest)
{
    uint32_t mark = word_at(cast, test_broadcast_slot_off(cast, number));
    uint32_t next = (uint32_t)((number + cast->chunk.n) * 2);
    return newest - number >= cast->chunk.n / 2 && (mark == next || mark == next - 1);
}

/* From the newest element on: nothing moves while the reader looks. */
static struct verdict judge_from(const struct test_broadcast *cast, uint64_t next, uint64_t newest)
{
    const uint64_t n = cast->chunk.n;
    uint64_t skipped = 0;
    for (;;) {
        uint64_t kept = skipped > n / 2 ? n / 2 : n - skipped;
        uint64_t number = newest - next >= kept ? newest - kept + 1 : next;
        if (number == newest || holds(cast, number)) {
            return judge_element(cast, number);
        }
        if (!may_be_taken(cast, number, newest)) {
            return broken(cast, test_broadcast_slot_off(cast, number), CROSSVM_RULE_SLOT_MARK);
        }
        skipped = 4 * skipped + 1;
    }
}

/* What a reader must say that read everything below `next`, and knows of elements up to `known`. */
static struct verdict judge(const struct test_broadcast *cast, uint64_t next, uint64_t known)
{
    uint32_t latest = word_at(cast, cast->chunk.off);
    uint64_t slot = test_broadcast_slot_off(cast, latest);
    uint32_t mark = word_at(cast, slot + SLOT_MARK);
    uint32_t hi = word_at(cast, slot + SLOT_HI);
    uint64_t newest = (uint64_t)hi << 31 | mark >> 1;
    if (word_at(cast, cast->chunk.off + 4) != cast->chunk.generation) {
        return answer(CROSSVM_STALE, 0);
    }
    if (next <= known && holds(cast, next)) {
        return judge_element(cast, next);
    }
    if (mark != (uint32_t)(latest * 2u) || (hi & 1) != latest >> 31) {
        return broken(cast, slot, CROSSVM_RULE_SLOT_MARK);
    }
    if (newest < known) {
        return broken(cast, slot, CROSSVM_RULE_SLOT_BACKWARD);
    }
    return newest < next ? answer(CROSSVM_EMPTY, 0) : judge_from(cast, next, newest);
}

static bool same(const struct crossvm_fault *a, const struct crossvm_fault *b)
{
    return a->off == b->off && a->value == b->value && a->rule == b->rule;
}

static void failed(const struct verdict *want, int got, const struct crossvm_broadcast_info *info,
                   const struct crossvm_fault *fault)
{
    char text[240];
    (void)snprintf(text, sizeof(text),
                   "%s number %llu rule %s off %llx value %llx, wanted %s number %llu rule %s off "
                   "%llx",
                   crossvm_status_name(got), (unsigned long long)info->number,
                   crossvm_rule_name(fault->rule), (unsigned long long)fault->off,
                   (unsigned long long)fault->value, crossvm_status_name(want->status),
                   (unsigned long long)want->number, crossvm_rule_name(want->fault.rule),
                   (unsigned long long)want->fault.off);
    check_failed(__FILE__, __LINE__, text);
}

/* A copy of the reader looks once, and if it found fault once more. */
static void expect_judged(const struct test_broadcast *cast,
                          const struct crossvm_broadcast_reader *from)
{
    struct crossvm_broadcast_reader reader = *from;
    struct crossvm_broadcast_info info = {0, 0, 0};
    unsigned char elem[LEN];
    struct verdict want = judge(cast, reader.next, reader.newest);
    int got = crossvm_broadcast_reader_read(&reader, elem, LEN, &info);
    n_judged++;
    if (got != want.status || !same(&reader.fault, &want.fault) ||
        (got == CROSSVM_OK &&
         (info.number != want.number || info.lost != want.number - from->next))) {
        failed(&want, got, &info, &reader.fault);
        return;
    }
    if (got == CROSSVM_OK) {
        CHECK(memcmp(elem, test_broadcast_slot(cast, info.number) + 1, info.len) == 0);
        CHECK_EQ(reader.n_lost, from->n_lost + info.lost);
    } else {
        CHECK(reader.next == from->next && reader.n_lost == from->n_lost);
    }
    if (got == CROSSVM_CORRUPT) {
        CHECK_EQ(crossvm_broadcast_reader_read(&reader, elem, LEN, &info), CROSSVM_CORRUPT);
        CHECK_EQ(crossvm_broadcast_reader_read_n(&reader, elem, LEN, 1, NULL), CROSSVM_CORRUPT);
        CHECK(same(&reader.fault, &want.fault));
    }
}

/* ---- which words, which values -------------------------------------------------------------- */

/* The offset of one of the chunk's control words: latest, epoch, or one of a slot's first three. */
static uint64_t any_word(const struct test_broadcast *cast, uint64_t *dice)
{
    uint32_t which = check_random(dice) % 16;
    if (which == 0) {
        return cast->chunk.off + 4;
    }
    if (which < 5) {
        return cast->chunk.off;
    }
    return test_broadcast_slot_off(cast, check_random(dice)) + check_random(dice) % 3 * 4;
}

/* A value that might mean something around this number. */
static uint32_t any_value(const struct test_broadcast *cast, uint64_t newest, uint64_t *dice)
{
    const uint32_t n = cast->chunk.n;
    uint32_t near = (uint32_t)newest + check_random(dice) % (4 * n) - 2 * n;
    const uint32_t values[] = {
        near,
        near * 2,
        near * 2 - 1,
        near ^ 0x80000000u,
        (near ^ 0x80000000u) * 2,
        (uint32_t)(newest >> 31),
        (uint32_t)(newest >> 31) + 1,
        (uint32_t)(newest >> 31) - 1,
        (uint32_t)(newest >> 31) + 2,
        0,
        1,
        LEN,
        LEN + 1,
        UINT32_MAX,
        cast->chunk.generation,
        check_random(dice) << 1,
    };
    return values[check_random(dice) % (sizeof(values) / sizeof(values[0]))];
}

/* A reader that is so far behind, and knows of so much. */
static struct crossvm_broadcast_reader reader_behind(const struct test_broadcast *cast,
                                                     uint64_t newest, uint64_t *dice)
{
    struct crossvm_broadcast_reader reader = cast->reader;
    uint64_t behind = check_random(dice) % (2 * cast->chunk.n + 2);
    reader.next = behind > newest ? 1 : newest + 1 - behind;
    reader.newest = reader.next - 1 + check_random(dice) % (newest + 2 - reader.next);
    reader.n_lost = check_random(dice) % 3;
    return reader;
}

/* Some words are changed, and changed back. */
static void change_some(const struct test_broadcast *cast, uint64_t newest, uint64_t *dice)
{
    uint64_t offs[4];
    uint32_t old[4];
    uint32_t n = 1 + check_random(dice) % 4;
    void *base = cast->region.writable.base;
    for (uint32_t i = 0; i < n; i++) {
        offs[i] = any_word(cast, dice);
        old[i] = damage_get(base, offs[i]);
        damage_put(base, offs[i], any_value(cast, newest, dice));
    }
    struct crossvm_broadcast_reader reader = reader_behind(cast, newest, dice);
    expect_judged(cast, &reader);
    for (uint32_t i = n; i != 0; i--) {
        damage_put(base, offs[i - 1], old[i - 1]);
    }
}

static void try_around(uint32_t n_slots, uint64_t newest, uint64_t *dice)
{
    struct test_broadcast cast;
    test_broadcast_make(&cast, n_slots, LEN);
    test_broadcast_restart_at(&cast, newest);
    for (uint32_t begun = 0; begun <= n_slots / 2; begun++) {
        for (unsigned long i = 0; i < 400 / CHECK_SHORTER * check_scale(); i++) {
            change_some(&cast, newest, dice);
        }
        test_put(&cast.writer, LEN);
    }
    test_broadcast_drop(&cast);
}

static void wrong_words_are_told_apart_from_right_ones(void)
{
    uint64_t dice = 4711;
    for (uint32_t n_slots = 2; n_slots <= 16; n_slots *= 2) {
        for (uint64_t newest = 0; newest <= 20; newest += 4) {
            try_around(n_slots, newest, &dice);
        }
        for (size_t i = 0; i < TEST_N_VERSION_EDGES; i++) {
            for (uint64_t back = 0; back < 3; back++) {
                try_around(n_slots, test_version_edges[i] - back, &dice);
            }
        }
    }
    printf("  %lu judgements\n", n_judged);
}

/* ---- by name -------------------------------------------------------------------------------- */

/* `latest` names an older element, whose slot is in order. */
static void a_writer_that_goes_back_is_found_out(void)
{
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        struct test_broadcast cast;
        struct test_tally tally;
        unsigned char elem[LEN];
        test_broadcast_make(&cast, n_slots, LEN);
        test_tally_begin(&tally, &cast.reader);
        test_send_each(&cast.writer, LEN, 9);
        (void)test_tally_drain(&tally, &cast.reader);
        struct crossvm_broadcast_reader reader = cast.reader;
        crossvm_store_relaxed(&test_broadcast_control(&cast)->latest, 8);
        CHECK_EQ(crossvm_broadcast_reader_read(&reader, elem, LEN, NULL), CROSSVM_CORRUPT);
        CHECK_EQ(reader.fault.rule, CROSSVM_RULE_SLOT_BACKWARD);
        /* Mended, but the handle has seen what it has seen; another one has not. */
        crossvm_store_relaxed(&test_broadcast_control(&cast)->latest, 9);
        test_send_each(&cast.writer, LEN, 1);
        CHECK_EQ(crossvm_broadcast_reader_read(&reader, elem, LEN, NULL), CROSSVM_CORRUPT);
        CHECK_EQ(test_tally_drain(&tally, &cast.reader), 1);
        test_broadcast_drop(&cast);
    }
}

/* Any number of elements ahead is only loss, however absurd. */
static void a_writer_that_jumps_ahead_only_makes_readers_lose(void)
{
    static const uint64_t jumps[] = {5, 1000, 0xffffffffu, (uint64_t)1 << 40,
                                     ((uint64_t)1 << 63) - 20};
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        struct test_broadcast cast;
        struct test_tally tally;
        unsigned char elem[LEN];
        struct crossvm_broadcast_info info;
        test_broadcast_make(&cast, 4, LEN);
        test_tally_begin(&tally, &cast.reader);
        test_send_each(&cast.writer, LEN, 9);
        (void)test_tally_drain(&tally, &cast.reader);
        uint64_t number = 9 + jumps[i];
        struct crossvm_slot_shm *slot = test_broadcast_slot(&cast, number);
        crossvm_store_pair(&slot->mark, &slot->hi, number * 2);
        crossvm_store_relaxed(&test_broadcast_control(&cast)->latest, (uint32_t)number);
        /* Nothing but the newest slot is in order. */
        CHECK_EQ(crossvm_broadcast_reader_read(&cast.reader, elem, LEN, &info), CROSSVM_CORRUPT);
        for (uint64_t v = number - 3; v <= number; v++) {
            slot = test_broadcast_slot(&cast, v);
            crossvm_store_pair(&slot->mark, &slot->hi, v * 2);
            crossvm_store_relaxed(&slot->len, LEN);
            test_payload_fill(slot + 1, LEN, v);
        }
        cast.reader.fault.rule = CROSSVM_RULE_NONE;
        CHECK_EQ(test_tally_drain(&tally, &cast.reader), 4);
        test_tally_exact(&tally, number);
        test_broadcast_drop(&cast);
    }
}

static void a_reader_of_impossible_words_is_not_opened(void)
{
    struct test_broadcast cast;
    test_broadcast_make(&cast, 4, LEN);
    test_send_each(&cast.writer, LEN, 9);
    crossvm_store_relaxed(&test_broadcast_slot(&cast, 9)->mark, 17);
    CHECK_EQ(crossvm_broadcast_reader_open(&cast.reader, &cast.region.reader, &cast.chunk,
                                           CROSSVM_BROADCAST_NEWEST),
             CROSSVM_CORRUPT);
    CHECK_EQ(cast.reader.fault.rule, CROSSVM_RULE_SLOT_MARK);
    CHECK_EQ(crossvm_broadcast_reader_read(&cast.reader, NULL, 0, NULL), CROSSVM_CORRUPT);
    test_broadcast_drop(&cast);
}

/* ---- words that change between two looks ---------------------------------------------------- */

struct attack {
    struct test_broadcast cast;
    uint64_t newest;
    uint64_t dice;
    bool forward; /* also plausible progress, so that much is read */
};

static void strike(void *what)
{
    struct attack *attack = (struct attack *)what;
    void *base = attack->cast.region.writable.base;
    if (check_random(&attack->dice) % 4 != 0) {
        return;
    }
    if (attack->forward && check_random(&attack->dice) % 4 != 0) {
        (void)test_send(&attack->cast.writer, LEN); /* STALE behind a strike at the epoch */
        attack->newest = crossvm_broadcast_writer_number(&attack->cast.writer);
        return;
    }
    uint64_t off = any_word(&attack->cast, &attack->dice);
    damage_put(base, off, any_value(&attack->cast, attack->newest, &attack->dice));
}

static void expect_sane(struct attack *attack, struct crossvm_broadcast_reader *reader)
{
    unsigned char elem[LEN + 1];
    struct crossvm_broadcast_info info = {0, 0, 0};
    const uint64_t next = reader->next;
    const uint64_t n_lost = reader->n_lost;
    const size_t room = check_random(&attack->dice) % 8 == 0 ? LEN / 2 : LEN;
    memset(elem, CANARY, sizeof(elem));
    test_hook_arm(0, strike, attack);
    int status = crossvm_broadcast_reader_read(reader, elem, room, &info);
    unsigned long accesses = test_hook_disarm();
    CHECK(accesses <= (unsigned long)CROSSVM_BROADCAST_TRIES * 30);
    CHECK_EQ(elem[room], CANARY);
    if (status == CROSSVM_OK) {
        CHECK(info.len <= room && info.number >= next && info.lost == info.number - next);
        CHECK(reader->next == info.number + 1 && reader->n_lost == n_lost + info.lost);
        return;
    }
    CHECK(reader->next == next && reader->n_lost == n_lost);
    CHECK(status == CROSSVM_EMPTY || status == CROSSVM_TORN || status == CROSSVM_STALE ||
          status == CROSSVM_NO_SPACE || status == CROSSVM_CORRUPT);
    if (status == CROSSVM_CORRUPT) {
        uint64_t off = reader->fault.off;
        CHECK(off >= attack->cast.chunk.off &&
              off < attack->cast.chunk.off + attack->cast.chunk.length);
        CHECK(reader->fault.rule == CROSSVM_RULE_SLOT_MARK ||
              reader->fault.rule == CROSSVM_RULE_SLOT_BACKWARD ||
              reader->fault.rule == CROSSVM_RULE_SLOT_LEN);
    }
}

static void any_word_may_change_at_any_access(void)
{
    struct attack attack;
    memset(&attack, 0, sizeof(attack));
    attack.dice = 99;
    for (unsigned long i = 0; i < 4000 / CHECK_SHORTER * check_scale(); i++) {
        uint32_t n_slots = 2u << check_random(&attack.dice) % 4;
        attack.newest = i % 2 == 0 ? i % 40 : test_version_edges[i % TEST_N_VERSION_EDGES];
        attack.forward = i % 3 != 0;
        test_broadcast_make(&attack.cast, n_slots, LEN);
        test_broadcast_restart_at(&attack.cast, attack.newest);
        struct crossvm_broadcast_reader reader =
            reader_behind(&attack.cast, attack.newest, &attack.dice);
        for (unsigned k = 0; k < 20; k++) {
            expect_sane(&attack, &reader);
        }
        test_broadcast_drop(&attack.cast);
    }
}

int main(void)
{
    CASE(wrong_words_are_told_apart_from_right_ones);
    CASE(a_writer_that_goes_back_is_found_out);
    CASE(a_writer_that_jumps_ahead_only_makes_readers_lose);
    CASE(a_reader_of_impossible_words_is_not_opened);
    CASE(any_word_may_change_at_any_access);
    return check_done();
}
