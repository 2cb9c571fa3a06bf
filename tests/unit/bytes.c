/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/bytes.c - reads and writes of objects in a chunk: every offset and length against the
 * chunk's bounds, fields by name, roles, and handles on chunks that are gone. (That a field of a
 * wrong type does not compile: tests/build/negative.)
 */
#include "../support/damage.h"

enum {
    LEN = 100 /* in a chunk of 256 bytes: 28 bytes of rounding lie behind the data */
};

struct settings {
    uint8_t mode;
    uint16_t port;
    uint32_t rate;
    uint64_t limit;
    uint8_t name[11];
    int32_t offset;
};

static const struct crossvm_chunk_decl planned[3] = {
    {"before", CROSSVM_KIND_BYTES, 0, 128, PARTY_A, PARTY_B, 0, 0},
    {"data", CROSSVM_KIND_BYTES, 0, LEN, PARTY_A, PARTY_B, 0, 0},
    {"behind", CROSSVM_KIND_BYTES, 0, 128, PARTY_A, PARTY_B, 0, 0},
};

static const struct crossvm_region_plan plan = TEST_PLAN(planned, 3, 0, 128, 0, PARTY_A);

static struct test_region region;
static struct crossvm_chunk chunk;
static struct crossvm_bytes_reader reader;
static struct crossvm_bytes_writer writer;

static void begin_in(uint32_t memory)
{
    test_region_make(&region, &plan, PARTY_B);
    region.read_only.memory = memory;
    region.writable.memory = memory;
    REQUIRE(crossvm_region_attach(&region.reader, &region.read_only, PARTY_B) == CROSSVM_OK);
    region.owner.region.device = memory == CROSSVM_UNCACHED;
    chunk = test_find(&region.reader, "data", CROSSVM_KIND_BYTES);
    REQUIRE(crossvm_bytes_reader_open(&reader, &region.reader, &chunk) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_open(&writer, &region.owner.region, &chunk) == CROSSVM_OK);
}

static void begin(void)
{
    begin_in(CROSSVM_WRITE_BACK);
}

static void end(void)
{
    test_region_drop(&region);
}

/* ---- bounds ------------------------------------------------------------------------------------- */

/* Private memory of exactly the size that is copied, so that a sanitizer sees one byte more. */
static unsigned char *pattern(size_t len, unsigned start)
{
    unsigned char *bytes = (unsigned char *)malloc(len == 0 ? 1 : len);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(start + i * 7 + 1);
    }
    return bytes;
}

/* Writes len bytes at off, and looks at every byte of the mapping. */
static void check_write(const struct damage_image *image, size_t off, size_t len)
{
    unsigned char *want = image->bytes + (size_t)chunk.off + CHUNK_LINE_LEN;
    unsigned char *bytes = pattern(len, (unsigned)(off * 3 + len));
    unsigned char *got = pattern(len, 0);
    CHECK_EQ(crossvm_bytes_writer_write(&writer, off, bytes, len), CROSSVM_OK);
    memcpy(want + off, bytes, len);
    CHECK(damage_same(image));
    CHECK_EQ(crossvm_bytes_reader_read(&reader, off, got, len), CROSSVM_OK);
    CHECK(memcmp(got, bytes, len) == 0);
    free(bytes);
    free(got);
}

static void check_outside(const struct damage_image *image, uint64_t off, size_t len)
{
    unsigned char bytes[4] = {1, 2, 3, 4};
    const unsigned char before[4] = {1, 2, 3, 4};
    CHECK_REFUSED(image, crossvm_bytes_writer_write(&writer, off, bytes, len), CROSSVM_INVALID);
    CHECK_EQ(crossvm_bytes_reader_read(&reader, off, bytes, len), CROSSVM_INVALID);
    CHECK(memcmp(bytes, before, 4) == 0);
}

static void every_offset_and_length_in(uint32_t memory)
{
    struct damage_image image;
    begin_in(memory);
    damage_take(&image, &region.writable);
    for (size_t off = 0; off <= LEN + 1; off++) {
        for (size_t len = 0; len <= LEN + 1; len++) {
            if (off + len <= LEN) {
                check_write(&image, off, len);
            } else {
                check_outside(&image, off, len);
            }
        }
    }
    damage_drop(&image);
    end();
}

static void every_offset_and_length_is_judged(void)
{
    every_offset_and_length_in(CROSSVM_WRITE_BACK);
}

static void every_offset_and_length_is_judged_in_uncached_memory(void)
{
    every_offset_and_length_in(CROSSVM_UNCACHED);
}

/* Sums that would wrap round to something small. */
static void sums_that_overflow_are_outside(void)
{
    static const uint64_t offs[] = {
        LEN + 1,           0x7fffffff,     0x80000000u, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
        (uint64_t)1 << 63, UINT64_MAX - 1, UINT64_MAX};
    struct damage_image image;
    begin();
    damage_take(&image, &region.writable);
    for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        check_outside(&image, offs[i], 0);
        check_outside(&image, offs[i], 1);
        check_outside(&image, offs[i], 2);
        check_outside(&image, offs[i], SIZE_MAX);
        check_outside(&image, 1, (size_t)(0 - (size_t)1 - i));
    }
    check_outside(&image, 0, SIZE_MAX);
    check_outside(&image, LEN, SIZE_MAX);
    damage_drop(&image);
    end();
}

/* ---- fields --------------------------------------------------------------------------------------- */

static void fields_are_written_and_read_by_name(void)
{
    struct settings whole;
    struct settings want = {3, 0x1234, 0xdeadbeef, 0x0102030405060708u, "ten-bytes!", -5};
    struct settings got;
    memset(&got, 0, sizeof(got));
    begin();
    for (uint64_t at = 0; at + sizeof(want) <= LEN; at += 5) {
        CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, mode, &want.mode), 0);
        CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, port, &want.port), 0);
        CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, rate, &want.rate), 0);
        CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, limit, &want.limit), 0);
        CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, name, &want.name), 0);
        CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, offset, &want.offset), 0);

        CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, mode, &got.mode), 0);
        CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, port, &got.port), 0);
        CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, rate, &got.rate), 0);
        CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, limit, &got.limit), 0);
        CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, name, &got.name), 0);
        CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, offset, &got.offset), 0);
        CHECK_EQ(got.mode, want.mode);
        CHECK_EQ(got.port, want.port);
        CHECK_EQ(got.rate, want.rate);
        CHECK(got.limit == want.limit);
        CHECK(memcmp(got.name, want.name, sizeof(got.name)) == 0);
        CHECK_EQ(got.offset, want.offset);

        /* The same object, read whole: each field stands where the compiler has it. */
        CHECK_EQ(crossvm_bytes_reader_read(&reader, at, &whole, sizeof(whole)), CROSSVM_OK);
        CHECK_EQ(whole.rate, want.rate);
        CHECK_EQ(whole.offset, want.offset);
        memset(&got, 0, sizeof(got));
    }
    end();
}

/* An object that reaches over the end: its first fields lie inside, its last ones do not. */
static void a_field_is_judged_for_itself(void)
{
    struct settings object;
    memset(&object, 1, sizeof(object));
    begin();
    const uint64_t at = LEN - offsetof(struct settings, limit);
    CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, rate, &object.rate),
             CROSSVM_OK);
    CHECK_EQ(CROSSVM_BYTES_WRITE_FIELD(&writer, at, struct settings, limit, &object.limit),
             CROSSVM_INVALID);
    CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, rate, &object.rate),
             CROSSVM_OK);
    CHECK_EQ(CROSSVM_BYTES_READ_FIELD(&reader, at, struct settings, limit, &object.limit),
             CROSSVM_INVALID);
    end();
}

/* ---- who, and when no more -------------------------------------------------------------------------- */

static void roles_and_kinds_are_judged_at_open(void)
{
    struct crossvm_bytes_reader any_reader;
    struct crossvm_bytes_writer any_writer;
    struct crossvm_region other;
    begin();
    CHECK_EQ(crossvm_bytes_writer_open(&any_writer, &region.reader, &chunk), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&other, &region.read_only, PARTY_A) == CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_writer_open(&any_writer, &other, &chunk), CROSSVM_ROLE);
    CHECK_EQ(crossvm_bytes_reader_open(&any_reader, &other, &chunk), CROSSVM_OK);
    REQUIRE(crossvm_region_attach(&other, &region.writable, PARTY_B) == CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_writer_open(&any_writer, &other, &chunk), CROSSVM_ROLE);
    REQUIRE(crossvm_region_attach(&other, &region.writable, 3) == CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_reader_open(&any_reader, &other, &chunk), CROSSVM_ROLE);
    struct crossvm_chunk wrong = chunk;
    wrong.kind = CROSSVM_KIND_SNAPSHOT;
    CHECK_EQ(crossvm_bytes_reader_open(&any_reader, &region.reader, &wrong), CROSSVM_TYPE);
    CHECK_EQ(crossvm_bytes_writer_open(&any_writer, &region.owner.region, &wrong), CROSSVM_TYPE);
    end();
}

/* The bounds come first: they are the caller's own mistake, whether the chunk is there or not. */
static void a_stale_chunk_is_neither_read_nor_written(void)
{
    struct damage_image image;
    char bytes[8] = "bytes";
    begin();
    CHECK_EQ(crossvm_bytes_writer_write(&writer, 0, bytes, 8), CROSSVM_OK);
    CHECK_EQ(crossvm_region_owner_renew(&region.owner, &chunk), CROSSVM_OK);
    damage_take(&image, &region.writable);
    CHECK_REFUSED(&image, crossvm_bytes_writer_write(&writer, 0, bytes, 8), CROSSVM_STALE);
    CHECK_EQ(crossvm_bytes_reader_read(&reader, 0, bytes, 8), CROSSVM_STALE);
    CHECK_EQ(crossvm_bytes_reader_read(&reader, 0, bytes, 0), CROSSVM_STALE);
    CHECK_EQ(crossvm_bytes_reader_read(&reader, LEN, bytes, 1), CROSSVM_INVALID);
    CHECK_REFUSED(&image, crossvm_bytes_writer_write(&writer, LEN, bytes, 1), CROSSVM_INVALID);
    damage_drop(&image);

    CHECK_EQ(crossvm_bytes_reader_open(&reader, &region.reader, &chunk), CROSSVM_OK);
    CHECK_EQ(crossvm_bytes_reader_read(&reader, 0, bytes, 8), CROSSVM_OK);
    CHECK(damage_is_zero(bytes, 8));
    end();
}

int main(void)
{
    CASE(every_offset_and_length_is_judged);
    CASE(every_offset_and_length_is_judged_in_uncached_memory);
    CASE(sums_that_overflow_are_outside);
    CASE(fields_are_written_and_read_by_name);
    CASE(a_field_is_judged_for_itself);
    CASE(roles_and_kinds_are_judged_at_open);
    CASE(a_stale_chunk_is_neither_read_nor_written);
    return check_done();
}
