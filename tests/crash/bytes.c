/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a writer that dies leaves each byte as it was or as it was to be, and no other byte
 * touched. There is no commit: it is all there when the last byte is.
 */
#include "crash.h"

#if CRASH_HERE

#include "../support/region.h"

enum {
    LEN = 72,
    OLD = 0x30, /* what is in each byte, and what is written */
    NEW = 0x6e
};

static struct {
    struct test_region region;
    struct crossvm_chunk chunk;
    struct crossvm_bytes_writer writer;
    struct crossvm_bytes_reader reader;
    uint32_t off; /* what is written */
    uint32_t len;
    unsigned char old; /* the content before */
} world;

static void drop(void)
{
    test_region_drop(&world.region);
}

/* Empty: never written. Full: all of it is written. Wrapping: up to its end, which is no whole
 * word. */
static void opened(enum crash_state state)
{
    static const struct crossvm_chunk_decl decl = {
        "bytes", CROSSVM_KIND_BYTES, 0, LEN - 1, PARTY_A, PARTY_B, 0, 0};
    const struct crossvm_region_plan plan = TEST_PLAN(&decl, 1, 0, 128, 0, PARTY_A);
    unsigned char text[LEN];
    test_region_make(&world.region, &plan, PARTY_B);
    crash_memory(&world.region.writable);
    world.chunk = test_find(&world.region.reader, "bytes", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_bytes_writer_open(&world.writer, &world.region.owner.region, &world.chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_bytes_reader_open(&world.reader, &world.region.reader, &world.chunk) ==
            CROSSVM_OK);
    world.off = state == CRASH_FULL ? 0 : state == CRASH_EMPTY ? 13 : 40;
    world.len = state == CRASH_FULL ? LEN - 1 : state == CRASH_EMPTY ? 27 : LEN - 1 - 40;
    world.old = state == CRASH_EMPTY ? 0 : OLD;
    memset(text, world.old, LEN);
    CHECK_EQ(crossvm_bytes_writer_write(&world.writer, 0, text, LEN - 1), CROSSVM_OK);
}

static int write_new(unsigned char value)
{
    unsigned char text[LEN];
    memset(text, value, LEN);
    return crossvm_bytes_writer_write(&world.writer, world.off, text, world.len);
}

/* Each byte is old or new, outside of what is written old. Whether all are new. */
static int read_all(unsigned char now)
{
    unsigned char text[LEN];
    uint32_t n_new = 0;
    CHECK_EQ(crossvm_bytes_reader_read(&world.reader, 0, text, LEN - 1), CROSSVM_OK);
    for (uint32_t i = 0; i < LEN - 1; i++) {
        bool inside = i - world.off < world.len;
        CHECK(text[i] == world.old || (inside && text[i] == now));
        n_new += text[i] == now;
    }
    return n_new == world.len;
}

static int reader_reads_on(void)
{
    return read_all(NEW);
}

static int writer_comes_back(void)
{
    REQUIRE(crossvm_bytes_writer_open(&world.writer, &world.region.owner.region, &world.chunk) ==
            CROSSVM_OK);
    int outcome = read_all(NEW);
    CHECK_EQ(write_new(NEW + 1), CROSSVM_OK);
    CHECK_EQ(read_all(NEW + 1), 1);
    return outcome;
}

static int writes(void)
{
    return write_new(NEW) == CROSSVM_OK ? 1 : -1;
}

static const struct crash_operation operations[] = {
    {"crossvm_bytes_writer_open crossvm_bytes_writer_write",
     CRASH_EACH,
     opened,
     writes,
     {{"the reader reads on", reader_reads_on}, {"the writer comes back", writer_comes_back}},
     false},
};

int main(void)
{
    return crash_main(operations, sizeof(operations) / sizeof(operations[0]), &world, sizeof(world),
                      drop);
}

#else

CRASH_NOT_HERE

#endif
