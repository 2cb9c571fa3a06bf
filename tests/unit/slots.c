/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h: the protocol on raw memory, step by step: which words are written, what a reader is told
 * at every moment, where the numbers begin anew, and how a writer resumes.
 */
#include <crossvm/slots.h>

#include <stdalign.h>
#include <string.h>

#include "../check.h"

enum {
    PAYLOAD_LEN = 100,
    STRIDE = 64 + 128,
    N_MAX = 16,
    EPOCH = 7
};

alignas(128) static unsigned char memory[128 + N_MAX * STRIDE];

static struct crossvm_slots slots_of(uint32_t n_slots)
{
    struct crossvm_slots slots;
    memset(memory, 0, sizeof(memory));
    memset(&slots, 0, sizeof(slots));
    slots.control = (struct crossvm_slots_shm *)(void *)memory;
    slots.first = memory + 128;
    slots.stride = (size_t)crossvm_i_slot_stride(PAYLOAD_LEN);
    slots.n_slots = n_slots;
    slots.epoch = EPOCH;
    crossvm_store_relaxed(&slots.control->epoch, EPOCH);
    return slots;
}

/* A word of the shared bytes, read as the format says: little-endian. */
static uint32_t word_at(size_t off)
{
    return (uint32_t)memory[off] | (uint32_t)memory[off + 1] << 8 |
           (uint32_t)memory[off + 2] << 16 | (uint32_t)memory[off + 3] << 24;
}

static size_t slot_off(const struct crossvm_slots *slots, uint64_t version)
{
    return 128 + (size_t)(version % slots->n_slots) * STRIDE;
}

static struct crossvm_slot_shm *begin(struct crossvm_slots *slots, uint64_t version)
{
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(slots, version);
    crossvm_i_slots_copy_out(slots, crossvm_i_slot_payload(slot), &version, sizeof(version));
    return slot;
}

static void publish(struct crossvm_slots *slots, uint64_t version)
{
    struct crossvm_slot_shm *slot = begin(slots, version);
    crossvm_slots_writer_commit(slots, slot, version);
}

/* The words of a newest version, as its writer left them. */
static void leave(struct crossvm_slots *slots, uint64_t version)
{
    struct crossvm_slot_shm *slot = crossvm_i_slot(slots, (uint32_t)version);
    crossvm_store_relaxed(&slot->mark, (uint32_t)(version << 1));
    crossvm_store_relaxed(&slot->hi, (uint32_t)(version >> 31));
    crossvm_store_relaxed(&slots->control->latest, (uint32_t)version);
}

static uint64_t payload(const struct crossvm_slots *slots, const struct crossvm_slot_ticket *ticket)
{
    uint64_t value;
    crossvm_i_slots_copy_in(slots, &value, ticket->payload, sizeof(value));
    return value;
}

static void check_reads(const struct crossvm_slots *slots, uint64_t version)
{
    struct crossvm_slot_ticket ticket;
    REQUIRE(crossvm_slots_reader_open(slots, &ticket) == CROSSVM_OK);
    CHECK_EQ(ticket.version, version);
    CHECK_EQ(payload(slots, &ticket), version);
    CHECK_EQ(crossvm_slots_reader_close(slots, &ticket), CROSSVM_OK);
}

/* ---- words ---------------------------------------------------------------------------------- */

static void stride_is_a_header_and_whole_lines(void)
{
    CHECK_EQ(crossvm_i_slot_stride(1), 128);
    CHECK_EQ(crossvm_i_slot_stride(64), 128);
    CHECK_EQ(crossvm_i_slot_stride(65), 192);
    CHECK_EQ(crossvm_i_slot_stride(0x7fffffff), 0x80000040);
}

static void cleared_memory_holds_nothing_yet(void)
{
    for (uint32_t n = 2; n <= N_MAX; n *= 2) {
        struct crossvm_slots slots = slots_of(n);
        struct crossvm_slot_ticket ticket;
        CHECK_EQ(crossvm_slots_reader_open(&slots, &ticket), CROSSVM_NOT_YET);
        (void)begin(&slots, 1);
        CHECK_EQ(crossvm_slots_reader_open(&slots, &ticket), CROSSVM_NOT_YET);
    }
}

static void each_step_writes_the_documented_words(void)
{
    for (uint32_t n = 2; n <= N_MAX; n *= 2) {
        struct crossvm_slots slots = slots_of(n);
        for (uint32_t v = 1; v <= 3 * n; v++) {
            size_t off = slot_off(&slots, v);
            struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(&slots, v);
            CHECK_EQ((unsigned char *)slot - memory, off);
            CHECK_EQ(word_at(off), 2 * v - 1);
            CHECK_EQ(word_at(0), v - 1);
            crossvm_slots_writer_commit(&slots, slot, v);
            CHECK_EQ(word_at(off), 2 * v);
            CHECK_EQ(word_at(off + 4), 0);
            CHECK_EQ(word_at(0), v);
            CHECK_EQ(word_at(4), EPOCH);
        }
    }
}

static void numbers_go_on_across_every_word(void)
{
    static const uint64_t edges[] = {
        (uint64_t)1 << 31, (uint64_t)1 << 32, (uint64_t)3 << 31,
        (uint64_t)1 << 33, (uint64_t)1 << 47, ((uint64_t)1 << 63) - 1000,
    };
    for (uint32_t n = 2; n <= N_MAX; n *= 2) {
        for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
            struct crossvm_slots slots = slots_of(n);
            leave(&slots, edges[i] - n - 1);
            for (uint64_t v = edges[i] - n; v <= edges[i] + n; v++) {
                publish(&slots, v);
                check_reads(&slots, v);
                CHECK_EQ(word_at(slot_off(&slots, v)), (uint32_t)(v * 2));
                CHECK_EQ(word_at(slot_off(&slots, v) + 4), (uint32_t)(v >> 31));
                CHECK_EQ(word_at(0), (uint32_t)v);
            }
        }
    }
}

/* ---- what a reader is told ------------------------------------------------------------------ */

static void a_ticket_lasts_until_its_slot_is_begun(void)
{
    for (uint32_t n = 2; n <= N_MAX; n *= 2) {
        struct crossvm_slots slots = slots_of(n);
        struct crossvm_slot_ticket ticket;
        for (uint64_t v = 1; v <= 5; v++) {
            publish(&slots, v);
        }
        REQUIRE(crossvm_slots_reader_open(&slots, &ticket) == CROSSVM_OK);
        for (uint64_t v = 6; v < 5 + n; v++) {
            publish(&slots, v);
            CHECK_EQ(crossvm_slots_reader_close(&slots, &ticket), CROSSVM_OK);
        }
        struct crossvm_slot_shm *slot = begin(&slots, 5 + n);
        CHECK_EQ(crossvm_slots_reader_close(&slots, &ticket), CROSSVM_TORN);
        crossvm_slots_writer_commit(&slots, slot, 5 + n);
        CHECK_EQ(crossvm_slots_reader_close(&slots, &ticket), CROSSVM_TORN);
    }
}

/* A slot that comes round with the same low mark, 2^31 versions later, differs in its high word. */
static void a_ticket_compares_the_high_word_too(void)
{
    struct crossvm_slots slots = slots_of(4);
    struct crossvm_slot_ticket ticket;
    uint64_t version = 6;
    leave(&slots, version);
    REQUIRE(crossvm_slots_reader_open(&slots, &ticket) == CROSSVM_OK);
    leave(&slots, version + ((uint64_t)1 << 31));
    CHECK_EQ(crossvm_slots_reader_close(&slots, &ticket), CROSSVM_TORN);
}

/* With N slots the newest N versions are there, and one fewer while the next is being written. */
static void exactly_the_newest_versions_can_be_opened(void)
{
    for (uint32_t n = 2; n <= N_MAX; n *= 2) {
        struct crossvm_slots slots = slots_of(n);
        struct crossvm_slot_ticket ticket;
        uint64_t newest = 3 * (uint64_t)n + 1;
        for (uint64_t v = 1; v <= newest; v++) {
            publish(&slots, v);
        }
        for (uint64_t v = 0; v <= newest + n; v++) {
            bool there = v <= newest && v + n > newest;
            int status = crossvm_slots_reader_open_version(&slots, v, &ticket);
            CHECK_EQ(status, there ? CROSSVM_OK : CROSSVM_NOT_FOUND);
            if (status == CROSSVM_OK) {
                CHECK_EQ(payload(&slots, &ticket), v);
            }
        }
        (void)begin(&slots, newest + 1);
        CHECK_EQ(crossvm_slots_reader_open_version(&slots, newest + 1 - n, &ticket),
                 CROSSVM_NOT_FOUND);
        CHECK_EQ(crossvm_slots_reader_open_version(&slots, newest + 2 - n, &ticket), CROSSVM_OK);
        check_reads(&slots, newest);
    }
}

static void another_epoch_is_stale_before_anything_else(void)
{
    struct crossvm_slots slots = slots_of(2);
    struct crossvm_slot_ticket ticket;
    publish(&slots, 1);
    REQUIRE(crossvm_slots_reader_open(&slots, &ticket) == CROSSVM_OK);
    crossvm_store_relaxed(&slots.control->epoch, 0);
    CHECK_EQ(crossvm_slots_reader_close(&slots, &ticket), CROSSVM_STALE);
    CHECK_EQ(crossvm_slots_reader_open_version(&slots, 1, &ticket), CROSSVM_STALE);
    CHECK_EQ(crossvm_slots_reader_open(&slots, &ticket), CROSSVM_STALE);
    crossvm_store_relaxed(&slots.control->latest, 12345);
    CHECK_EQ(crossvm_slots_reader_open(&slots, &ticket), CROSSVM_STALE);
}

static void a_newest_version_without_its_mark_is_corrupt(void)
{
    struct crossvm_slots slots = slots_of(4);
    struct crossvm_slot_ticket ticket;
    publish(&slots, 1);
    publish(&slots, 2);
    crossvm_store_relaxed(&slots.control->latest, 3);
    CHECK_EQ(crossvm_slots_reader_open(&slots, &ticket), CROSSVM_CORRUPT);
    CHECK_EQ((const unsigned char *)ticket.slot - memory, slot_off(&slots, 3));
    CHECK_EQ(ticket.mark, 0);
}

/* ---- resume --------------------------------------------------------------------------------- */

static void a_writer_resumes_at_the_newest_complete_version(void)
{
    for (uint32_t n = 2; n <= N_MAX; n *= 2) {
        struct crossvm_slots slots = slots_of(n);
        struct crossvm_fault fault = {0, 0, 0, {0}};
        uint64_t version = 99;
        CHECK_EQ(crossvm_slots_writer_resume(&slots, memory, &version, &fault), CROSSVM_OK);
        CHECK_EQ(version, 0);
        for (uint64_t v = 1; v <= 2 * (uint64_t)n; v++) {
            struct crossvm_slot_shm *slot = begin(&slots, v);
            CHECK_EQ(crossvm_slots_writer_resume(&slots, memory, &version, &fault), CROSSVM_OK);
            CHECK_EQ(version, v - 1);
            /* Complete, but the index was not written any more. */
            crossvm_store_relaxed(&slot->mark, (uint32_t)(v * 2));
            CHECK_EQ(crossvm_slots_writer_resume(&slots, memory, &version, &fault), CROSSVM_OK);
            CHECK_EQ(version, v - 1);
            publish(&slots, v);
            CHECK_EQ(crossvm_slots_writer_resume(&slots, memory, &version, &fault), CROSSVM_OK);
            CHECK_EQ(version, v);
        }
        CHECK_EQ(fault.rule, CROSSVM_RULE_NONE);
    }
}

static void a_writer_does_not_resume_at_implausible_words(void)
{
    struct crossvm_slots slots = slots_of(4);
    struct crossvm_fault fault = {0, 0, 0, {0}};
    uint64_t version;
    publish(&slots, 1);
    crossvm_store_relaxed(&slots.control->latest, 2);
    CHECK_EQ(crossvm_slots_writer_resume(&slots, memory, &version, &fault), CROSSVM_CORRUPT);
    CHECK_EQ(fault.rule, CROSSVM_RULE_SLOT_MARK);
    CHECK_EQ(fault.off, slot_off(&slots, 2));
    CHECK_EQ(fault.value, 0);
}

/* ---- device --------------------------------------------------------------------------------- */

static void device_memory_takes_the_same_bytes(void)
{
    struct crossvm_slots slots = slots_of(4);
    slots.device = true;
    for (uint64_t v = 1; v <= 9; v++) {
        publish(&slots, v);
        check_reads(&slots, v);
    }
}

int main(void)
{
    CASE(stride_is_a_header_and_whole_lines);
    CASE(cleared_memory_holds_nothing_yet);
    CASE(each_step_writes_the_documented_words);
    CASE(numbers_go_on_across_every_word);
    CASE(a_ticket_lasts_until_its_slot_is_begun);
    CASE(a_ticket_compares_the_high_word_too);
    CASE(exactly_the_newest_versions_can_be_opened);
    CASE(another_epoch_is_stale_before_anything_else);
    CASE(a_newest_version_without_its_mark_is_corrupt);
    CASE(a_writer_resumes_at_the_newest_complete_version);
    CASE(a_writer_does_not_resume_at_implausible_words);
    CASE(device_memory_takes_the_same_bytes);
    return check_done();
}
