/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/snapshot.c - slots.h and snapshot.h: a reader whose writer writes anything at any
 * time, and a writer that comes back and finds its own words changed, in a region whose owner takes
 * the chunk away whenever it likes.
 */
#include "one.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_slots_reader_open",
    "crossvm_slots_reader_open_version",
    "crossvm_slots_reader_newer",
    "crossvm_slots_reader_close",
    "crossvm_slots_writer_begin",
    "crossvm_slots_writer_commit",
    "crossvm_slots_writer_resume",
    "crossvm_snapshot_reader_open",
    "crossvm_snapshot_reader_peek",
    "crossvm_snapshot_reader_get",
    "crossvm_snapshot_reader_raw",
    "crossvm_snapshot_reader_done",
    "crossvm_snapshot_reader_read_parts",
    "crossvm_snapshot_reader_read",
    "crossvm_snapshot_reader_read_version",
    "crossvm_snapshot_reader_newer",
    "crossvm_snapshot_is_stale",
    "crossvm_snapshot_writer_open",
    "crossvm_snapshot_writer_begin",
    "crossvm_snapshot_writer_put",
    "crossvm_snapshot_writer_raw",
    "crossvm_snapshot_writer_commit",
    "crossvm_snapshot_writer_publish",
    "crossvm_snapshot_writer_version",
};

enum {
    N = 4,
    LEN = 48,
    SLOT = 64 + 64,
    FIRST = 128,
    /* Shared accesses of one call, at most. */
    STEPS_SLOT = 8,     /* marks, epochs and the like of one slot */
    STEPS_PEEK = 16,    /* the same, and what stands beside the payload */
    STEPS_ATTEMPT = 20, /* the same, the payload and the closing look */
    STEPS_READ = 6 + CROSSVM_SNAPSHOT_TRIES * STEPS_ATTEMPT,
    STEPS_WRITE = 16
};

enum state {
    NOTHING, /* was published */
    FIRST_ONE,
    CARRIED, /* the words of a version are about to carry into the high ones */
    WRAPPED, /* the low word of the version has wrapped around */
    STATES
};

enum role {
    READER,
    SLOTS_READER,
    WRITER,
    WRITER_BACK,
    ROLES
};

/* Words that a restarted writer takes from its memory, in words from the chunk's beginning. */
static const uint8_t own_words[] = {0, 32, 33, 34, 64, 65, 66, 96, 97, 98, 128, 129, 130};

static struct fuzz_one one;
static struct fuzz_image images[STATES];
static struct crossvm_snapshot_reader reader;
static struct crossvm_snapshot_writer writer;
static struct crossvm_snapshot_view view;
static struct crossvm_slot_ticket ticket;
static struct fuzz_sticky sticky;
static unsigned char *payload; /* of exactly LEN bytes */
static bool open_view;         /* view is one */
static bool open_ticket;       /* ticket is one */
static bool over;              /* a handle that was not opened is not used */

/* ---- states to begin with -------------------------------------------------------------------- */

static void publish(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        memset(payload, (int)i, LEN);
        FUZZ_CHECK(crossvm_snapshot_writer_publish(&writer, payload, LEN - 4 * (i % 4), 5, 6) ==
                   CROSSVM_OK);
    }
}

static void make_state(enum state state)
{
    memset(one.part.writable + 8, 0, one.part.len - 8);
    crossvm_i_set_word((struct crossvm_le32 *)(void *)one.part.writable, 0);
    FUZZ_CHECK(crossvm_snapshot_writer_open(&writer, &one.region.owner.region, &one.chunk) ==
               CROSSVM_OK);
    FUZZ_CHECK(crossvm_snapshot_reader_open(&reader, &one.region.reader, &one.chunk) == CROSSVM_OK);
    writer.version = state == CARRIED ? 0x7ffffffbu : state == WRAPPED ? 0xfffffffdu : 0;
    publish(state == NOTHING ? 0 : state == FIRST_ONE ? 1 : N);
    if (state > FIRST_ONE) {
        FUZZ_CHECK(crossvm_snapshot_reader_read(&reader, payload, LEN, NULL) == 1);
        publish(state == CARRIED ? 0 : 1);
    }
    fuzz_image_add(&images[state], one.part.writable, one.part.len);
    fuzz_image_add(&images[state], &reader, sizeof(reader));
    fuzz_image_add(&images[state], &writer, sizeof(writer));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    payload = (unsigned char *)fuzz_private(LEN);
    fuzz_one_make(&one, CROSSVM_KIND_SNAPSHOT, N, LEN);
    for (unsigned state = 0; state < STATES; state++) {
        make_state((enum state)state);
    }
    fuzz_region_close(&one.region);
    return 0;
}

/* ---- reader ---------------------------------------------------------------------------------- */

#define READS (FUZZ_S(NOT_YET) | FUZZ_S(TORN) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void answered(int status)
{
    fuzz_sticky(&sticky, status, &reader.fault, &one.part);
}

static void check_info(const struct crossvm_snapshot_info *info)
{
    FUZZ_CHECK(info->version != 0 && info->len <= LEN);
    fuzz_use(info, sizeof(*info));
    fuzz_use_number(crossvm_snapshot_is_stale(info, info->published_ns, 7));
}

static void read_whole(size_t len)
{
    struct crossvm_snapshot_info info;
    memset(&info, 0, sizeof(info));
    int status = FUZZ_CALL(crossvm_snapshot_reader_read, (&reader, payload + LEN - len, len, &info),
                           STEPS_READ, READS | FUZZ_S(NO_SPACE), 1);
    answered(status == CROSSVM_NO_SPACE ? 0 : status);
    FUZZ_CHECK(status != CROSSVM_NO_SPACE || (info.len > len && info.len <= LEN));
    if (status >= 0) {
        check_info(&info);
        FUZZ_CHECK(info.version == reader.last && info.len <= len);
        fuzz_use(payload + LEN - len, info.len);
    }
}

static void read_parts(uint8_t arg)
{
    struct crossvm_snapshot_info info;
    const struct crossvm_snapshot_part parts[2] = {
        {arg % 64u, 4, payload},
        {arg / 8u, arg % 41u, payload + 8},
    };
    int status = FUZZ_CALL(crossvm_snapshot_reader_read_parts, (&reader, parts, 2, &info),
                           STEPS_READ, READS | FUZZ_S(INVALID), 1);
    answered(status);
    if (status >= 0) {
        check_info(&info);
        fuzz_use(payload, LEN);
    }
}

static void read_version(uint8_t arg)
{
    struct crossvm_snapshot_info info;
    uint64_t version = reader.last + arg % 8u - 4u;
    size_t len = arg >= 128 ? LEN : LEN / 2;
    int status = FUZZ_CALL(
        crossvm_snapshot_reader_read_version, (&reader, version, payload + LEN - len, len, &info),
        STEPS_ATTEMPT, FUZZ_S(NOT_FOUND) | FUZZ_S(NO_SPACE) | FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
    answered(status);
    if (status == CROSSVM_OK) {
        check_info(&info);
        FUZZ_CHECK(info.version == version && info.len <= len);
        fuzz_use(payload + LEN - len, info.len);
    }
}

static void look_in_place(uint8_t arg)
{
    size_t len = arg % 64u;
    if (!open_view) {
        return;
    }
    FUZZ_CHECK(view.info.len <= LEN);
    fuzz_use_shared(FUZZ_PLAIN(crossvm_snapshot_reader_raw, (&view), 0), view.info.len);
    fuzz_done();
    uint32_t off = arg / 4u;
    unsigned char *dst = len > LEN ? payload : payload + LEN - len;
    int status = FUZZ_CALL(crossvm_snapshot_reader_get, (&reader, &view, off, dst, len), 1,
                           FUZZ_S(INVALID), 0);
    FUZZ_CHECK((status == CROSSVM_OK) == (off + len <= view.info.len));
    fuzz_use(payload, LEN);
}

static void reader_call(uint8_t op, uint8_t arg)
{
    uint64_t last = reader.last;
    int status = 0;
    switch (op % 8) {
    case 0:
        read_whole(arg % 4 == 0 ? arg % LEN : LEN);
        break;
    case 1:
        read_parts(arg);
        break;
    case 2:
        read_version(arg);
        break;
    case 3:
        status = FUZZ_CALL(crossvm_snapshot_reader_peek, (&reader, &view), STEPS_PEEK, READS, 0);
        answered(status);
        open_view = status == CROSSVM_OK;
        break;
    case 4:
        look_in_place(arg);
        break;
    case 5:
        if (open_view) {
            (void)FUZZ_CALL(crossvm_snapshot_reader_done, (&reader, &view), STEPS_SLOT,
                            FUZZ_S(TORN) | FUZZ_S(STALE), 1);
        }
        break;
    case 6:
        answered(FUZZ_CALL(crossvm_snapshot_reader_newer, (&reader), STEPS_SLOT,
                           FUZZ_S(STALE) | FUZZ_S(CORRUPT), FUZZ_ANY));
        break;
    default:
        status = FUZZ_CALL(crossvm_snapshot_reader_open, (&reader, &one.region.reader, &one.chunk),
                           STEPS_SLOT, FUZZ_S(STALE), 0);
        if (status == CROSSVM_OK) {
            memset(&sticky, 0, sizeof(sticky));
            last = 0;
            open_view = false;
        }
        break;
    }
    FUZZ_CHECK(reader.last >= last);
}

/* ---- the protocol on raw memory -------------------------------------------------------------- */

static void slots_call(uint8_t op, uint8_t arg)
{
    const struct crossvm_slots *slots = &reader.slots;
    int status = 0;
    switch (op % 4) {
    case 0:
        status = FUZZ_CALL(crossvm_slots_reader_open, (slots, &ticket), STEPS_SLOT, READS, 0);
        open_ticket = status == CROSSVM_OK;
        break;
    case 1:
        status = FUZZ_CALL(crossvm_slots_reader_open_version,
                           (slots, (uint64_t)arg << 26 | arg % 8u, &ticket), STEPS_SLOT,
                           FUZZ_S(NOT_FOUND) | FUZZ_S(STALE), 0);
        open_ticket = status == CROSSVM_OK;
        break;
    case 2:
        (void)FUZZ_CALL(crossvm_slots_reader_newer, (slots, arg), STEPS_SLOT, FUZZ_S(STALE),
                        FUZZ_ANY);
        break;
    default:
        if (open_ticket) {
            FUZZ_CHECK(ticket.version != 0);
            fuzz_use_shared(ticket.payload, LEN);
            (void)FUZZ_CALL(crossvm_slots_reader_close, (slots, &ticket), STEPS_SLOT,
                            FUZZ_S(TORN) | FUZZ_S(STALE), 0);
        }
        break;
    }
}

/* ---- writer ---------------------------------------------------------------------------------- */

#define WRITES (FUZZ_S(INVALID) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

static void writer_restart(void)
{
    memset(&sticky, 0, sizeof(sticky));
    int status =
        FUZZ_CALL(crossvm_snapshot_writer_open, (&writer, &one.region.owner.region, &one.chunk),
                  STEPS_WRITE, FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
    if (status == CROSSVM_CORRUPT) {
        fuzz_sticky(&sticky, status, &writer.fault, &one.part);
    }
    over = status == CROSSVM_STALE;
    FUZZ_CHECK(status != CROSSVM_OK || writer.len <= LEN);
}

/* Two versions of the slots' own calls, as a user of slots.h alone makes them. */
static void writer_slots(void)
{
    struct crossvm_fault fault = {0, 0, 0, {0}};
    uint64_t version = 0;
    int status = FUZZ_CALL(crossvm_slots_writer_resume,
                           (&writer.slots, one.part.writable - one.part.off, &version, &fault),
                           STEPS_SLOT, FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
    FUZZ_CHECK(status != CROSSVM_CORRUPT ||
               (fault.off >= one.part.off && fault.off < one.part.off + one.part.len));
    if (status == CROSSVM_OK) {
        struct crossvm_slot_shm *slot =
            FUZZ_PLAIN(crossvm_slots_writer_begin, (&writer.slots, version + 1), STEPS_SLOT);
        FUZZ_PLAIN(crossvm_slots_writer_commit, (&writer.slots, slot, version + 1), STEPS_SLOT);
        fuzz_done();
        writer.version = version + 1;
        writer.pending = NULL;
    }
}

static void writer_in_place(uint8_t arg)
{
    uint32_t len = arg % 64u;
    (void)FUZZ_CALL(crossvm_snapshot_writer_put, (&writer, arg / 4u, payload, len % (LEN + 1)), 1,
                    FUZZ_S(INVALID), 0);
    void *raw = FUZZ_PLAIN(crossvm_snapshot_writer_raw, (&writer), 0);
    fuzz_done();
    if (raw != NULL) {
        FUZZ_CHECK(fuzz_writable(raw, LEN));
        memset(raw, arg, LEN);
    }
    (void)FUZZ_CALL(crossvm_snapshot_writer_commit, (&writer, len, 1, 2), STEPS_WRITE, WRITES, 0);
}

static void writer_call(uint8_t op, uint8_t arg)
{
    uint64_t version = writer.version;
    int status = 0;
    switch (op % 6) {
    case 0:
    case 1:
        status = FUZZ_CALL(crossvm_snapshot_writer_publish, (&writer, payload, arg % 64u, arg, 1),
                           STEPS_WRITE, WRITES, 0);
        FUZZ_CHECK(!sticky.corrupt || status == CROSSVM_CORRUPT || status == CROSSVM_INVALID);
        FUZZ_CHECK(writer.version == version + (status == CROSSVM_OK ? 1u : 0u));
        break;
    case 2:
        status = FUZZ_CALL(crossvm_snapshot_writer_begin, (&writer, arg % 2 == 0), STEPS_WRITE,
                           FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
        FUZZ_CHECK(!sticky.corrupt || status == CROSSVM_CORRUPT);
        break;
    case 3:
        writer_in_place(arg);
        break;
    case 4:
        if (writer.fault.rule == CROSSVM_RULE_NONE) {
            writer_slots();
        }
        break;
    default:
        writer_restart();
        fuzz_use_number(FUZZ_PLAIN(crossvm_snapshot_writer_version, (&writer), 0));
        fuzz_done();
        break;
    }
    FUZZ_CHECK(over || writer.len <= LEN || writer.fault.rule != CROSSVM_RULE_NONE);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void begin(enum role role)
{
    if (role == READER || role == SLOTS_READER) {
        const struct fuzz_part *part = fuzz_one_hostile(&one);
        fuzz_hot(part, 0, 2);
        for (unsigned i = 0; i < N; i++) {
            fuzz_hot(part, FIRST + i * SLOT, 3);
        }
        fuzz_hot(part, 0, 1);
        fuzz_around(&reader.last);
        fuzz_around(&ticket.mark);
        fuzz_around(&view.ticket.mark);
        fuzz_around(&reader.again.ticket.mark);
        return;
    }
    const struct fuzz_part *part = fuzz_one_own(&one);
    fuzz_keep(part, 8, 120);
    for (unsigned i = 0; i < N; i++) {
        fuzz_keep(part, FIRST + i * SLOT + 32, 32);
    }
    fuzz_around(&writer.version);
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
    memset(&view, 0, sizeof(view));
    memset(&ticket, 0, sizeof(ticket));
    open_view = false;
    open_ticket = false;
    over = false;
    begin(role);
    for (unsigned i = 0; i < FUZZ_CALLS && !over && fuzz_more(&op, &arg); i++) {
        if (role == READER) {
            reader_call(op, arg);
        } else if (role == SLOTS_READER) {
            slots_call(op, arg);
        } else {
            writer_call(op, arg);
        }
    }
    return 0;
}
