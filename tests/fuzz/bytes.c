/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/bytes.c - a reader of plain bytes whose writer writes anything at any time, and a
 * writer in a region whose owner takes the chunk away whenever it likes.
 */
#include "one.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_bytes_reader_open",
    "crossvm_bytes_reader_read",
    "crossvm_bytes_writer_open",
    "crossvm_bytes_writer_write",
};

enum {
    LEN = 120,
    CONTROL = 128,
    /* Shared accesses of one call, at most. */
    STEPS_ONE = 4
};

static struct fuzz_one one;
static struct fuzz_image image;
static struct crossvm_bytes_reader reader;
static struct crossvm_bytes_writer writer;
static unsigned char *copy; /* LEN bytes, exactly */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    copy = (unsigned char *)fuzz_private(LEN);
    fuzz_one_make(&one, CROSSVM_KIND_BYTES, 0, LEN);
    FUZZ_CHECK(crossvm_bytes_writer_open(&writer, &one.region.owner.region, &one.chunk) ==
               CROSSVM_OK);
    FUZZ_CHECK(crossvm_bytes_reader_open(&reader, &one.region.reader, &one.chunk) == CROSSVM_OK);
    fuzz_image_add(&image, one.part.writable, one.part.len);
    fuzz_image_add(&image, &reader, sizeof(reader));
    fuzz_image_add(&image, &writer, sizeof(writer));
    fuzz_region_close(&one.region);
    return 0;
}

/* Offsets and lengths in and around the data, and such as wrap around. */
static void place(uint8_t arg, uint64_t *off, size_t *len)
{
    *off = arg / 2u;
    *len = fuzz_byte() % (LEN + 8u);
    if (arg == 255) {
        *off = UINT64_MAX - 3;
    } else if (arg == 253) {
        *off = UINT64_C(1) << 32;
    } else if (arg == 251) {
        *len = SIZE_MAX - 7;
    }
}

static void reader_call(uint8_t op, uint8_t arg)
{
    uint64_t off;
    size_t len;
    if (op % 4 == 3) {
        (void)FUZZ_CALL(crossvm_bytes_reader_open, (&reader, &one.region.reader, &one.chunk),
                        STEPS_ONE, FUZZ_S(STALE), 0);
        return;
    }
    place(arg, &off, &len);
    bool fits = off <= LEN && len <= LEN - off;
    int status =
        FUZZ_CALL(crossvm_bytes_reader_read, (&reader, off, fits ? copy + LEN - len : copy, len),
                  STEPS_ONE, FUZZ_S(INVALID) | FUZZ_S(STALE), 0);
    FUZZ_CHECK(fits == (status != CROSSVM_INVALID));
    fuzz_use(copy, status == CROSSVM_OK ? LEN : 0);
}

static void writer_call(uint8_t op, uint8_t arg)
{
    uint64_t off;
    size_t len;
    if (op % 4 == 3) {
        (void)FUZZ_CALL(crossvm_bytes_writer_open, (&writer, &one.region.owner.region, &one.chunk),
                        STEPS_ONE, FUZZ_S(STALE), 0);
        return;
    }
    place(arg, &off, &len);
    bool fits = off <= LEN && len <= LEN - off;
    int status =
        FUZZ_CALL(crossvm_bytes_writer_write, (&writer, off, fits ? copy + LEN - len : copy, len),
                  STEPS_ONE, FUZZ_S(INVALID) | FUZZ_S(STALE), 0);
    FUZZ_CHECK(fits == (status != CROSSVM_INVALID));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    bool reads = first % 2 == 0;
    fuzz_image_restore(&image);
    fuzz_one_device(&one, first >= 128);
    reader.device = first >= 128;
    writer.device = first >= 128;
    if (reads) {
        fuzz_hot(fuzz_one_hostile(&one), 4, 1);
    } else {
        const struct fuzz_part *own = fuzz_one_own(&one);
        fuzz_keep(own, 0, CONTROL);
        fuzz_keep(own, CONTROL + LEN, own->len - CONTROL - LEN);
    }
    fuzz_around(&reader.epoch);
    for (unsigned i = 0; i < FUZZ_CALLS && fuzz_more(&op, &arg); i++) {
        if (reads) {
            reader_call(op, arg);
        } else {
            writer_call(op, arg);
        }
    }
    return 0;
}
