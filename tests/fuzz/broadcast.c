/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/broadcast.c - a reader whose writer writes anything at any time, and a writer that
 * comes back and finds its own words changed, in a region whose owner takes the chunk away whenever
 * it likes.
 */
#include "one.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_broadcast_reader_open",    "crossvm_broadcast_reader_read",
    "crossvm_broadcast_reader_read_n",  "crossvm_broadcast_reader_number",
    "crossvm_broadcast_reader_newer",   "crossvm_broadcast_writer_open",
    "crossvm_broadcast_writer_publish", "crossvm_broadcast_writer_publish_n",
    "crossvm_broadcast_writer_number",
};

enum {
    N = 8,
    LEN = 48,
    SLOT = 64 + 64,
    FIRST = 128,
    BATCH = 12, /* elements of a call, at most */
    /* Shared accesses of one call, at most. */
    STEPS_NEWER = 4,
    STEPS_ATTEMPT =
        18, /* the newest element, that which is wanted, its payload, the closing look */
    STEPS_READ = CROSSVM_BROADCAST_TRIES * STEPS_ATTEMPT,
    STEPS_OPEN = 8 + CROSSVM_BROADCAST_TRIES * STEPS_ATTEMPT,
    STEPS_WRITE = 12,
    STEPS_WRITE_N = BATCH * STEPS_WRITE
};

enum state {
    NOTHING, /* was published */
    A_FEW,
    CARRIED, /* the words of a number are about to carry into the high ones */
    WRAPPED, /* the low word of the number has wrapped around, and the reader was lapped */
    STATES
};

enum role {
    READER,
    WRITER,
    WRITER_BACK,
    ROLES
};

static const uint8_t own_words[] = {0, 32, 33, 34, 64, 65, 96, 97, 128, 129, 160, 161};

static struct fuzz_one one;
static struct fuzz_image images[STATES];
static struct crossvm_broadcast_reader reader;
static struct crossvm_broadcast_writer writer;
static struct fuzz_sticky sticky;
static unsigned char *elems; /* BATCH elements, exactly */
static bool over;            /* a handle that was not opened is not used */

/* ---- states to begin with -------------------------------------------------------------------- */

static void publish(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        FUZZ_CHECK(crossvm_broadcast_writer_publish(&writer, elems, LEN - 4 * (i % 4)) ==
                   CROSSVM_OK);
    }
}

static void make_state(enum state state)
{
    memset(one.part.writable + 8, 0, one.part.len - 8);
    crossvm_i_set_word((struct crossvm_le32 *)(void *)one.part.writable, 0);
    FUZZ_CHECK(crossvm_broadcast_writer_open(&writer, &one.region.owner.region, &one.chunk) ==
               CROSSVM_OK);
    writer.number = state == CARRIED ? 0x7ffffff6u : state == WRAPPED ? 0xfffffff6u : 0;
    publish(state == NOTHING ? 0 : state == A_FEW ? 3 : N);
    FUZZ_CHECK(crossvm_broadcast_reader_open(&reader, &one.region.reader, &one.chunk,
                                             CROSSVM_BROADCAST_OLDEST) == CROSSVM_OK);
    publish(state == WRAPPED ? N + 2 : 0);
    fuzz_image_add(&images[state], one.part.writable, one.part.len);
    fuzz_image_add(&images[state], &reader, sizeof(reader));
    fuzz_image_add(&images[state], &writer, sizeof(writer));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elems = (unsigned char *)fuzz_private(BATCH * LEN);
    fuzz_one_make(&one, CROSSVM_KIND_BROADCAST, N, LEN);
    for (unsigned state = 0; state < STATES; state++) {
        make_state((enum state)state);
    }
    fuzz_region_close(&one.region);
    return 0;
}

/* ---- reader ---------------------------------------------------------------------------------- */

#define READS (FUZZ_S(EMPTY) | FUZZ_S(TORN) | FUZZ_S(NO_SPACE) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void answered(int status)
{
    fuzz_sticky(&sticky, status, &reader.fault, &one.part);
}

/* Elements are copied to memory that ends where they may end. */
static unsigned char *room_for(size_t len)
{
    return elems + BATCH * LEN - len;
}

static void read_one(size_t len)
{
    struct crossvm_broadcast_info info = {0, 0, 0};
    uint64_t next = reader.next;
    uint64_t lost = reader.n_lost;
    int status = FUZZ_CALL(crossvm_broadcast_reader_read, (&reader, room_for(len), len, &info),
                           STEPS_READ, READS, 0);
    answered(status);
    FUZZ_CHECK(status != CROSSVM_NO_SPACE || (info.len > len && info.len <= LEN));
    if (status == CROSSVM_OK) {
        FUZZ_CHECK(info.number == next + info.lost && info.len <= len);
        FUZZ_CHECK(reader.next == info.number + 1 && reader.n_lost == lost + info.lost);
        fuzz_use(room_for(len), info.len);
    } else {
        FUZZ_CHECK(reader.next == next && reader.n_lost == lost);
    }
}

static void read_many(uint32_t n, size_t len)
{
    struct crossvm_broadcast_info infos[BATCH];
    int status = FUZZ_CALL(crossvm_broadcast_reader_read_n,
                           (&reader, room_for(n * len), len, n, n % 2 == 0 ? infos : NULL),
                           n * STEPS_READ, READS, (int)n);
    if (status <= 0) {
        answered(status == 0 && sticky.corrupt ? CROSSVM_CORRUPT : status);
    }
    for (int i = 0; i < status; i++) {
        FUZZ_CHECK(n % 2 != 0 || infos[i].len <= len);
        fuzz_use(room_for(n * len) + (size_t)i * len, len);
    }
    /* What stopped a batch shows at the next call. */
    if (status > 0 && reader.fault.rule != CROSSVM_RULE_NONE) {
        answered(CROSSVM_CORRUPT);
    }
}

static void reader_restart(uint8_t arg)
{
    memset(&sticky, 0, sizeof(sticky));
    int status = FUZZ_CALL(
        crossvm_broadcast_reader_open,
        (&reader, &one.region.reader, &one.chunk, (enum crossvm_broadcast_start)(arg % 2)),
        STEPS_OPEN, FUZZ_S(TORN) | FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
    over = status == CROSSVM_STALE || status == CROSSVM_TORN;
    if (!over) {
        answered(status);
    }
}

static void reader_call(uint8_t op, uint8_t arg)
{
    uint64_t next = reader.next;
    switch (op % 8) {
    case 0:
    case 1:
    case 2:
        read_one(arg % 4 == 0 ? arg % LEN : LEN);
        break;
    case 3:
    case 4:
        read_many(arg % (BATCH + 1u), arg >= 64 ? LEN : arg % LEN);
        break;
    case 5:
        answered(FUZZ_CALL(crossvm_broadcast_reader_newer, (&reader), STEPS_NEWER,
                           FUZZ_S(STALE) | FUZZ_S(CORRUPT), FUZZ_ANY));
        break;
    case 6:
        fuzz_use_number(FUZZ_PLAIN(crossvm_broadcast_reader_number, (&reader), 0));
        fuzz_done();
        break;
    default:
        next = 0;
        reader_restart(arg);
        break;
    }
    FUZZ_CHECK(reader.next >= next);
}

/* ---- writer ---------------------------------------------------------------------------------- */

#define WRITES (FUZZ_S(INVALID) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void writer_restart(void)
{
    memset(&sticky, 0, sizeof(sticky));
    int status =
        FUZZ_CALL(crossvm_broadcast_writer_open, (&writer, &one.region.owner.region, &one.chunk),
                  STEPS_WRITE, FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
    if (status != CROSSVM_STALE) {
        fuzz_sticky(&sticky, status, &writer.fault, &one.part);
    }
    over = status == CROSSVM_STALE;
}

static void writer_call(uint8_t op, uint8_t arg)
{
    uint64_t number = writer.number;
    uint32_t len = arg % 64u;
    uint32_t n = arg % (BATCH + 1u);
    int status = 0;
    switch (op % 4) {
    case 0:
        status = FUZZ_CALL(crossvm_broadcast_writer_publish, (&writer, elems, len), STEPS_WRITE,
                           WRITES, 0);
        FUZZ_CHECK((status == CROSSVM_INVALID) == (len > LEN));
        FUZZ_CHECK(writer.number == number + (status == CROSSVM_OK ? 1u : 0u));
        break;
    case 1:
        status = FUZZ_CALL(crossvm_broadcast_writer_publish_n, (&writer, elems, arg / 4u, n),
                           STEPS_WRITE_N + STEPS_WRITE, WRITES, 0);
        FUZZ_CHECK(status != CROSSVM_OK || writer.number == number + n);
        break;
    case 2:
        fuzz_use_number(FUZZ_PLAIN(crossvm_broadcast_writer_number, (&writer), 0));
        fuzz_done();
        break;
    default:
        writer_restart();
        return;
    }
    FUZZ_CHECK(!sticky.corrupt || status == CROSSVM_CORRUPT || status == CROSSVM_INVALID ||
               op % 4 == 2);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void begin(enum role role)
{
    if (role == READER) {
        const struct fuzz_part *part = fuzz_one_hostile(&one);
        for (unsigned i = 0; i < N; i++) {
            fuzz_hot(part, FIRST + i * SLOT, 3);
        }
        for (unsigned i = 0; i < 4; i++) {
            fuzz_hot(part, 0, 2);
        }
        fuzz_around(&reader.next);
        fuzz_around(&reader.newest);
        return;
    }
    const struct fuzz_part *part = fuzz_one_own(&one);
    fuzz_keep(part, 8, 120);
    for (unsigned i = 0; i < N; i++) {
        fuzz_keep(part, FIRST + i * SLOT + 12, 52);
    }
    fuzz_around(&writer.number);
    if (role == WRITER_BACK) {
        fuzz_scribble(part, own_words, sizeof(own_words), 3);
        writer_restart();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    enum role role = (enum role)(first % ROLES);
    fuzz_image_restore(&images[first / ROLES % STATES]);
    fuzz_one_device(&one, first >= 128);
    reader.slots.device = first >= 128;
    writer.slots.device = first >= 128;
    memset(&sticky, 0, sizeof(sticky));
    over = false;
    begin(role);
    for (unsigned i = 0; i < FUZZ_CALLS && !over && fuzz_more(&op, &arg); i++) {
        if (role == READER) {
            reader_call(op, arg);
        } else {
            writer_call(op, arg);
        }
    }
    return 0;
}
