/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/region.c - header and directory of an owner that writes anything at any time, with
 * checksums that fit and such that do not; mappings that end too early; and an owner that comes
 * back and finds its region changed, also while it looks.
 */
#include "fuzz.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_region_attach",         "crossvm_region_list",
    "crossvm_region_find",           "crossvm_region_find_among",
    "crossvm_region_owner_format",   "crossvm_region_owner_adopt",
    "crossvm_region_owner_allocate", "crossvm_region_owner_release",
    "crossvm_region_owner_renew",    "crossvm_chunk_need",
    "crossvm_region_plan_len",
};

enum {
    CAPACITY = 4,
    LEN_MAX = 4096,
    /* No directory of the region's length has room for more entries. */
    ENTRIES_MAX = LEN_MAX / 2 / CROSSVM_ENTRY_LEN,
    /* Shared accesses of one call, at most. */
    STEPS_WALK = 14 + ENTRIES_MAX,
    STEPS_DIRECTORY = CROSSVM_DIRECTORY_TRIES * STEPS_WALK,
    STEPS_ATTACH = 8 + STEPS_DIRECTORY,
    STEPS_CHANGE = 64 + 3 * LEN_MAX / CROSSVM_LINE, /* memory is cleared line by line */
    STEPS_ADOPT = STEPS_ATTACH + STEPS_WALK + STEPS_CHANGE
};

enum role {
    READER,
    READER_AGAIN, /* the owner has changed something before it attaches */
    OWNER,
    OWNER_BACK,
    ROLES
};

static const struct crossvm_chunk_decl decls[] = {
    {"a", CROSSVM_KIND_BYTES, 0, 64, 1, 2, 0, 0},
    {"b", CROSSVM_KIND_SNAPSHOT, 2, 16, 1, CROSSVM_ANYONE, 77, 0},
    {"c", CROSSVM_KIND_SPSC_RX, 0, 0, 1, 2, 0, 7},
};
static const struct crossvm_chunk_decl twice[] = {
    {"a", CROSSVM_KIND_BYTES, 0, 64, 1, 2, 0, 0},
    {"a", CROSSVM_KIND_BYTES, 0, 64, 1, 2, 0, 0},
};
static const struct crossvm_region_plan plans[] = {
    {decls, 3, CAPACITY, 128, 256, 1, {1}, 0, {0, 0, 0}},
    {twice, 2, CAPACITY, 128, 0, 1, {1}, 0, {0, 0, 0}},
    {decls, 3, CAPACITY, 128, 1 << 20, 1, {1}, 0, {0, 0, 0}},
    {decls, 2, CAPACITY, 256, 0, 1, {2}, 0, {0, 0, 0}},
};

static struct fuzz_region whole;
static struct fuzz_part part; /* all of it */
static struct fuzz_image image;
static struct crossvm_region region; /* the reader's */
static struct crossvm_region_owner owner;
static struct crossvm_chunk *table; /* CAPACITY, exactly */
static struct crossvm_chunk held;   /* a chunk that the owner gave out */
static bool attached;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    fuzz_region_make(&whole, &plans[0], 2);
    FUZZ_CHECK(whole.writable.len <= LEN_MAX);
    part.writable = (unsigned char *)whole.writable.base;
    part.read_only = (unsigned char *)whole.read_only.base;
    part.len = (size_t)whole.writable.len;
    table = (struct crossvm_chunk *)fuzz_private(CAPACITY * sizeof(*table));
    memcpy(table, whole.table, CAPACITY * sizeof(*table));
    region = whole.reader;
    owner = whole.owner;
    owner.table = table;
    held = table[1];
    fuzz_image_add(&image, part.writable, part.len);
    fuzz_image_add(&image, &region, sizeof(region));
    fuzz_image_add(&image, &owner, sizeof(owner));
    fuzz_image_add(&image, table, CAPACITY * sizeof(*table));
    fuzz_image_add(&image, &held, sizeof(held));
    return 0;
}

/* ---- checksums that fit ---------------------------------------------------------------------- */

static struct crossvm_le32 *word_at(size_t off)
{
    return (struct crossvm_le32 *)(void *)(part.writable + off);
}

/* The enemy makes the header's checksum fit what stands there now, or a directory slot's. */
static void fit(uint32_t which)
{
    if (which % 2 == 0) {
        uint32_t crc = crossvm_crc32c(0, part.writable, 252);
        crossvm_i_set_word(word_at(252), crc);
        return;
    }
    size_t stride = 64 + CAPACITY * CROSSVM_ENTRY_LEN;
    size_t slot = CROSSVM_DIR_OFF + which / 2 % 2 * stride;
    uint32_t len = crossvm_i_word(word_at(slot + 8));
    if (len <= part.len - slot - 64) {
        uint32_t crc = crossvm_crc32c(0, part.writable + slot + 64, len);
        crossvm_i_set_word(word_at(slot + 12), crc);
    }
}

/* Before anything is called: words of header and directory change, and the checksums fit. */
static void change_before(void)
{
    static const uint8_t header[] = {0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 18, 24, 64, 65, 66};
    fuzz_scribble(&part, header, sizeof(header), 2);
    uint32_t entry = (CROSSVM_DIR_OFF + 64) / 4 + (uint32_t)fuzz_byte() % (ENTRIES_MAX * 32u);
    if (entry < part.len / 4) {
        crossvm_i_set_word(word_at(entry * 4), fuzz_value(fuzz_byte(), 0));
    }
    uint8_t which = fuzz_byte();
    if (which % 4 != 0) {
        fit(0);
        fit(1);
        fit(3);
    }
}

/* ---- what was judged ------------------------------------------------------------------------- */

static void check_region(const struct crossvm_region *judged, uint64_t mapped)
{
    FUZZ_CHECK(judged->length <= mapped && judged->capacity >= 1);
    FUZZ_CHECK(judged->capacity <= CROSSVM_CAPACITY_MAX && judged->capacity <= ENTRIES_MAX);
    FUZZ_CHECK(judged->granule >= CROSSVM_GRANULE_MIN && judged->granule <= CROSSVM_GRANULE_MAX);
    FUZZ_CHECK((judged->granule & (judged->granule - 1)) == 0);
    FUZZ_CHECK((judged->length & (judged->granule - 1)) == 0);
    fuzz_use(judged, sizeof(*judged));
}

static void check_chunk(const struct crossvm_region *judged, const struct crossvm_chunk *chunk)
{
    uint64_t need;
    FUZZ_CHECK(chunk->id != 0 && chunk->generation != 0 && chunk->kind != 0);
    FUZZ_CHECK(chunk->off >= CROSSVM_DIR_OFF && chunk->off < judged->length);
    FUZZ_CHECK(chunk->length != 0 && chunk->length <= judged->length - chunk->off);
    FUZZ_CHECK(((chunk->off | chunk->length) & (judged->granule - 1)) == 0);
    FUZZ_CHECK(strnlen(chunk->name, CROSSVM_NAME_LEN) < CROSSVM_NAME_LEN && chunk->name[0] != 0);
    int status = FUZZ_CALL(crossvm_chunk_need, (chunk->kind, chunk->n, chunk->len, &need), 0,
                           FUZZ_S(UNSUPPORTED), 0);
    FUZZ_CHECK(status == CROSSVM_UNSUPPORTED || need <= chunk->length);
    fuzz_use(chunk, sizeof(*chunk));
}

static void check_fault(int status, const struct crossvm_fault *fault)
{
    if (status == CROSSVM_CORRUPT) {
        FUZZ_CHECK(fault->rule > CROSSVM_RULE_NONE && fault->rule < CROSSVM_RULE_COUNT);
        FUZZ_CHECK(fault->off < fuzz.parts[0].len);
    }
}

/* ---- reader ---------------------------------------------------------------------------------- */

#define ATTACHES                                                                         \
    (FUZZ_S(NOT_FORMATTED) | FUZZ_S(OTHER_FORMAT) | FUZZ_S(FEATURE) | FUZZ_S(NO_SPACE) | \
     FUZZ_S(TOO_LARGE) | FUZZ_S(CORRUPT) | FUZZ_S(TORN) | FUZZ_S(STALE))
#define LOOKS (FUZZ_S(TORN) | FUZZ_S(STALE) | FUZZ_S(CORRUPT))

/* A mapping that ends early, lies askew, or is none. */
static void attach(uint8_t arg)
{
    struct crossvm_mapping mapping = whole.read_only;
    uint64_t wrong = 0;
    if (arg >= 250) {
        mapping.access = arg == 250 ? 2 : CROSSVM_READ_ONLY;
        mapping.memory = arg == 251 ? 3 : arg == 252 ? CROSSVM_WRITE_COMBINING : 0;
        mapping.base = arg == 253 ? part.read_only + 64 : arg == 254 ? NULL : mapping.base;
        wrong = FUZZ_S(INVALID) | FUZZ_S(MISALIGNED) | FUZZ_S(MEMORY_TYPE);
    } else if (arg >= 192) {
        mapping.len = (uint64_t)(arg - 192) * 52;
    } else {
        mapping.memory = arg >= 128 ? CROSSVM_UNCACHED : CROSSVM_WRITE_BACK;
    }
    fuzz.parts[0].len = mapping.len > part.len ? part.len : (size_t)mapping.len;
    uint32_t self = arg == 255 ? CROSSVM_ANYONE : 2;
    int status = FUZZ_CALL(crossvm_region_attach, (&region, &mapping, self), STEPS_ATTACH,
                           wrong != 0 ? wrong : ATTACHES, wrong != 0 ? -1 : 0);
    check_fault(status, &region.fault);
    attached = status == CROSSVM_OK;
    if (attached) {
        check_region(&region, fuzz.parts[0].len);
    }
}

static void list(struct crossvm_region *from, uint32_t max)
{
    struct crossvm_chunk *chunks = table + (CAPACITY - max);
    uint32_t total = 0;
    int status =
        FUZZ_CALL(crossvm_region_list, (from, chunks, max, &total), STEPS_DIRECTORY, LOOKS, 0);
    check_fault(status, &from->fault);
    if (status == CROSSVM_OK) {
        FUZZ_CHECK(total <= from->capacity);
        uint64_t end = 0;
        for (uint32_t i = 0; i < total && i < max; i++) {
            check_chunk(from, &chunks[i]);
            FUZZ_CHECK(chunks[i].off >= end);
            end = chunks[i].off + chunks[i].length;
        }
    }
}

static const char *name_of(uint8_t arg)
{
    static const char *const names[] = {"a", "b", "c", "none", "", "a b", "a", "b"};
    return names[arg % 8];
}

static void find(struct crossvm_region *from, uint8_t arg)
{
    static const uint32_t kinds[] = {CROSSVM_KIND_BYTES, CROSSVM_KIND_SNAPSHOT,
                                     CROSSVM_KIND_SPSC_RX, 0x10000};
    struct crossvm_chunk chunk;
    uint32_t kind = arg < 192 ? decls[arg % 8u % 3u].kind : kinds[arg / 8 % 4];
    int status =
        FUZZ_CALL(crossvm_region_find, (from, name_of(arg), kind, arg % 16u / 15u, &chunk),
                  STEPS_DIRECTORY, LOOKS | FUZZ_S(NOT_FOUND) | FUZZ_S(TYPE) | FUZZ_S(INVALID), 0);
    check_fault(status, &from->fault);
    if (status == CROSSVM_OK) {
        check_chunk(from, &chunk);
        FUZZ_CHECK(chunk.kind == kind && strcmp(chunk.name, name_of(arg)) == 0);
    }
}

static void find_among(uint8_t arg)
{
    struct crossvm_region both[2] = {region, region};
    struct crossvm_chunk chunk;
    uint32_t index = 0;
    uint32_t n = arg / 128u + 1;
    uint32_t kind = decls[arg % 3].kind;
    int status = FUZZ_CALL(
        crossvm_region_find_among, (both, n, name_of(arg % 3), kind, 0, &index, &chunk),
        2 * STEPS_DIRECTORY, LOOKS | FUZZ_S(NOT_FOUND) | FUZZ_S(EXISTS) | FUZZ_S(TYPE), 0);
    FUZZ_CHECK(index < n);
    check_fault(status, &both[index].fault);
    if (status == CROSSVM_OK) {
        check_chunk(&both[index], &chunk);
    }
}

static void reader_call(uint8_t op, uint8_t arg)
{
    if (op % 4 == 0 || !attached) {
        attach(arg);
    } else if (op % 4 == 1) {
        list(&region, arg % (CAPACITY + 1u));
    } else if (op % 4 == 2) {
        find(&region, arg);
    } else {
        find_among(arg);
    }
}

/* ---- owner ----------------------------------------------------------------------------------- */

static void owner_holds(void)
{
    uint64_t end = CROSSVM_DIR_OFF;
    FUZZ_CHECK(owner.n_chunks <= CAPACITY && owner.region.length <= part.len);
    for (uint32_t i = 0; i < owner.n_chunks; i++) {
        check_chunk(&owner.region, &owner.table[i]);
        FUZZ_CHECK(owner.table[i].off >= end);
        end = owner.table[i].off + owner.table[i].length;
    }
}

static void owner_begin(bool adopt, uint8_t arg)
{
    struct crossvm_mapping mapping = whole.writable;
    const struct crossvm_region_plan *plan = &plans[arg % 8 < 4 ? arg % 4 : 0];
    uint64_t len;
    int status = FUZZ_CALL(crossvm_region_plan_len, (plan, &len), 0, 0, 0);
    mapping.memory = arg >= 128 ? CROSSVM_UNCACHED : CROSSVM_WRITE_BACK;
    if (arg % 64 == 63) {
        mapping.access = CROSSVM_READ_ONLY;
    }
    if (adopt) {
        status = FUZZ_CALL(crossvm_region_owner_adopt, (&owner, &mapping, plan, table, CAPACITY),
                           STEPS_ADOPT, ATTACHES | FUZZ_S(MISMATCH) | FUZZ_S(ROLE), 0);
        check_fault(status, &owner.region.fault);
    } else {
        status = FUZZ_CALL(crossvm_region_owner_format, (&owner, &mapping, plan, table, CAPACITY),
                           STEPS_CHANGE + STEPS_CHANGE,
                           FUZZ_S(EXISTS) | FUZZ_S(NO_SPACE) | FUZZ_S(ROLE), 0);
        FUZZ_CHECK((status == CROSSVM_EXISTS) == (plan == &plans[1] && arg % 64 != 63));
    }
    FUZZ_CHECK(status == CROSSVM_OK || fuzz.stores == 0);
    attached = status == CROSSVM_OK;
    if (attached) {
        check_region(&owner.region, part.len);
        held = owner.n_chunks == 0 ? held : owner.table[arg % owner.n_chunks];
    }
}

static void owner_allocate(uint8_t arg)
{
    static const struct crossvm_chunk_decl more[] = {
        {"d", CROSSVM_KIND_BYTES, 0, 1, 1, 2, 0, 0},
        {"e", CROSSVM_KIND_SNAPSHOT, 2, 16, 1, 2, 0, 0},
        {"a", CROSSVM_KIND_BYTES, 0, 1, 1, 2, 0, 0},
        {"f", CROSSVM_KIND_BYTES, 0, 4000, 1, 2, 0, 0},
        {"", CROSSVM_KIND_BYTES, 0, 1, 1, 2, 0, 0},
        {"g", CROSSVM_KIND_BYTES, 0, UINT64_MAX / 2, 1, 2, 0, 0},
    };
    int status =
        FUZZ_CALL(crossvm_region_owner_allocate, (&owner, &more[arg % 6], &held), STEPS_CHANGE,
                  FUZZ_S(EXISTS) | FUZZ_S(NO_SPACE) | FUZZ_S(INVALID) | FUZZ_S(TOO_LARGE), 0);
    FUZZ_CHECK(status == CROSSVM_OK || fuzz.stores == 0);
}

static void owner_call(uint8_t op, uint8_t arg)
{
    uint64_t gone = FUZZ_S(NOT_FOUND) | FUZZ_S(STALE) | FUZZ_S(INVALID);
    if (op % 8 < 2 || !attached) {
        owner_begin(op % 2 == 0, arg);
    } else if (op % 8 < 4) {
        owner_allocate(arg);
    } else if (op % 8 == 4) {
        (void)FUZZ_CALL(crossvm_region_owner_release, (&owner, &held), STEPS_CHANGE, gone, 0);
    } else if (op % 8 == 5) {
        (void)FUZZ_CALL(crossvm_region_owner_renew, (&owner, &held), STEPS_CHANGE, gone, 0);
    } else if (op % 8 == 6 && owner.n_chunks != 0) {
        held = owner.table[arg % owner.n_chunks];
    } else {
        find(&owner.region, arg);
    }
    if (attached) {
        owner_holds();
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void hot_words(const struct fuzz_part *hostile)
{
    fuzz_hot(hostile, 0, 12);
    fuzz_hot(hostile, 252, 4); /* the checksum, and the live line */
    size_t stride = 64 + CAPACITY * CROSSVM_ENTRY_LEN;
    for (unsigned slot = 0; slot < 2; slot++) {
        size_t off = CROSSVM_DIR_OFF + slot * stride;
        fuzz_hot(hostile, off, 4);
        fuzz_hot(hostile, off + 64, 14);
        fuzz_hot(hostile, off + 64 + 96, 4);
        fuzz_hot(hostile, off + 64 + CROSSVM_ENTRY_LEN, 13);
    }
    fuzz.act = fit;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    enum role role = (enum role)(first % ROLES);
    fuzz_image_restore(&image);
    bool owns = role == OWNER || role == OWNER_BACK;
    const struct fuzz_part *hostile = fuzz_part_add(&part, true);
    hot_words(hostile);
    if (owns) {
        fuzz_part_add(&part, false);
    }
    fuzz_around(&region.length);
    fuzz_around(&owner.version);
    fuzz_around(&owner.generation);
    attached = role != READER_AGAIN && role != OWNER_BACK;
    if (!attached) {
        change_before();
    }
    for (unsigned i = 0; i < FUZZ_CALLS / 4 && fuzz_more(&op, &arg); i++) {
        if (owns) {
            owner_call(op, arg);
        } else {
            reader_call(op, arg);
        }
    }
    return 0;
}
