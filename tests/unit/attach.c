/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/attach.c - attach and adopt on damaged bytes: every byte of header, live line and
 * directory takes every value, once with the checksums left as they were and once recomputed, and
 * what comes out is what one table says.
 *
 * The region ends exactly where a page begins that nobody may touch: an access behind it faults.
 */
#include "../support/damage.h"

enum {
    CAPACITY = 4,
    GRANULE = 128,
    N_PLANNED = 3,
    SPARE_LEN = 512,
    CHUNKS_OFF = 1536, /* 384 + 2 * (64 + 4 * 128), a multiple of the granule already */
    REGION_LEN = 3072
};

static const struct crossvm_chunk_decl planned[N_PLANNED] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 2, 64, PARTY_A, CROSSVM_ANYONE, 7, 0},
    {"a-name-of-47-characters/which-is-the-longest.xx", CROSSVM_KIND_BYTES, 0, 100, PARTY_A,
     PARTY_B, 0, 0},
    {"bell", CROSSVM_KIND_DOORBELL, 2, 0, PARTY_A, PARTY_B, 0, 0},
};

static const struct crossvm_chunk_decl added = {"late",  CROSSVM_KIND_WAKE, 0, 0,
                                                PARTY_A, PARTY_B,           0, 0};

/* What the table needs to know of each entry: where it lies, and which n and len suit it. */
static const struct entry_facts {
    uint64_t off;
    uint64_t length;
    uint64_t need; /* bytes of which length is the multiple */
    uint32_t kind;
    uint32_t min_n, max_n;
    uint64_t min_len, max_len;
    uint32_t name_len;
} entries[CAPACITY] = {
    {1536, 384, 384, CROSSVM_KIND_SNAPSHOT, 2, 2, 1, 64, 5},
    {1920, 256, 228, CROSSVM_KIND_BYTES, 0, 0, 1, 128, 47},
    {2176, 384, 384, CROSSVM_KIND_DOORBELL, 1, 2, 0, 0, 4},
    {2560, 128, 128, CROSSVM_KIND_WAKE, 0, 0, 0, 0, 4},
};

static struct crossvm_region_plan the_plan(void)
{
    struct crossvm_region_plan plan = {planned, N_PLANNED,           CAPACITY,
                                       GRANULE, SPARE_LEN,           PARTY_A,
                                       {0},     0x1122334455667788u, {0, 0, 0}};
    for (unsigned i = 0; i < 16; i++) {
        plan.region_id[i] = (uint8_t)(0x20 + i);
    }
    plan.clock.kind = 1;
    plan.clock.id = 0x99;
    return plan;
}

/* ---- the region under damage ------------------------------------------------------------- */

static struct crossvm_region_plan plan;
static struct damage_guarded memory;
static struct crossvm_mapping mapping;
static struct damage_image whole;
static struct crossvm_chunk table[CAPACITY];
static uint32_t n_entries; /* in the newest directory */
static uint64_t slot_off;  /* where that directory lies */
static uint32_t version;

/* Directory version 1 (slot 1, three entries) or 2 (slot 0, four entries, and an older one). */
static void begin(uint32_t directory_version)
{
    struct crossvm_region_owner owner;
    struct crossvm_chunk chunk;
    plan = the_plan();
    damage_guarded_make(&memory, REGION_LEN);
    mapping.base = memory.end - REGION_LEN;
    mapping.len = REGION_LEN;
    mapping.access = CROSSVM_READ_WRITE;
    REQUIRE(crossvm_region_owner_format(&owner, &mapping, &plan, table, CAPACITY) == CROSSVM_OK);
    if (directory_version == 2) {
        REQUIRE(crossvm_region_owner_allocate(&owner, &added, &chunk) == CROSSVM_OK);
    }
    n_entries = owner.n_chunks;
    version = directory_version;
    slot_off = damage_slot_off(version, CAPACITY);
    damage_take(&whole, &mapping);
    for (uint32_t i = 0; i < n_entries; i++) {
        REQUIRE(damage_get_pair(mapping.base, damage_entry_off(mapping.base, i) + ENTRY_OFF) ==
                entries[i].off);
        REQUIRE(damage_get_pair(mapping.base, damage_entry_off(mapping.base, i) + ENTRY_LENGTH) ==
                entries[i].length);
    }
}

static void end(void)
{
    damage_drop(&whole);
    damage_guarded_drop(&memory);
}

/* ---- what a damaged field should come to -------------------------------------------------- */

/* A status, for CORRUPT also the rule and where the fault stands. */
struct outcome {
    int status;
    uint32_t rule;
    uint64_t fault_off;
};

static const struct outcome fine = {CROSSVM_OK, CROSSVM_RULE_NONE, 0};

/* One field with a new value: of the header, the live line, a slot's header or an entry. */
struct damaged {
    uint64_t off;   /* of the field, from the region's base */
    uint64_t value; /* the field's new one, of up to 8 bytes */
    uint32_t entry; /* for fields of an entry: which */
    uint32_t byte;  /* for names: which byte of the field */
};

typedef struct outcome judge_fn(const struct damaged *damaged);

static struct outcome broken(uint32_t rule, uint64_t fault_off)
{
    struct outcome outcome = {CROSSVM_CORRUPT, rule, fault_off};
    return outcome;
}

static uint64_t entry_at(uint32_t index)
{
    return slot_off + SLOT_HEADER_LEN + (uint64_t)index * ENTRY_LEN;
}

static struct outcome judge_length(const struct damaged *damaged)
{
    struct outcome outcome = fine;
    const struct entry_facts *last = &entries[n_entries - 1];
    if (damaged->value % GRANULE != 0 || damaged->value < CHUNKS_OFF) {
        return broken(CROSSVM_RULE_REGION_LENGTH, AT_LENGTH);
    }
    if (damaged->value > SIZE_MAX / 2) {
        outcome.status = CROSSVM_TOO_LARGE;
    } else if (damaged->value > REGION_LEN) {
        outcome.status = CROSSVM_NO_SPACE;
    } else if (damaged->value < last->off + last->length) {
        for (uint32_t i = 0; i < n_entries; i++) {
            if (entries[i].off > damaged->value) {
                return broken(CROSSVM_RULE_ENTRY_OFFSET, entry_at(i) + ENTRY_OFF);
            }
            if (entries[i].off + entries[i].length > damaged->value) {
                return broken(CROSSVM_RULE_ENTRY_LENGTH, entry_at(i) + ENTRY_LENGTH);
            }
        }
    }
    return outcome;
}

/* Another capacity moves slot 1 and the chunks' beginning. */
static struct outcome judge_capacity(const struct damaged *damaged)
{
    uint64_t chunks_off = AT_DIRECTORY + 2 * (SLOT_HEADER_LEN + damaged->value * ENTRY_LEN);
    uint64_t slot = damage_slot_off(version, (uint32_t)damaged->value);
    if (damaged->value == 0 || damaged->value > 65535) {
        return broken(CROSSVM_RULE_CAPACITY, AT_CAPACITY);
    }
    if (chunks_off > REGION_LEN) {
        return broken(CROSSVM_RULE_REGION_LENGTH, AT_LENGTH);
    }
    if (damage_get(mapping.base, slot + SLOT_MARK) != 2 * version ||
        damage_get(mapping.base, slot + SLOT_HI) != 0) {
        return broken(CROSSVM_RULE_DIRECTORY_SLOT, slot);
    }
    if (damaged->value < n_entries) {
        return broken(CROSSVM_RULE_DIRECTORY_COUNT, slot + SLOT_LEN);
    }
    return chunks_off > CHUNKS_OFF ? broken(CROSSVM_RULE_ENTRY_OFFSET, entry_at(0) + ENTRY_OFF)
                                   : fine;
}

/* An older directory is whole, too; any other version's slot bears another mark. */
static struct outcome judge_latest(const struct damaged *damaged)
{
    uint64_t slot = damage_slot_off(damaged->value, CAPACITY);
    return damaged->value >= 1 && damaged->value <= version
               ? fine
               : broken(CROSSVM_RULE_DIRECTORY_SLOT, slot);
}

static struct outcome judge_epoch(const struct damaged *damaged)
{
    struct outcome outcome = {damaged->value == 0 ? CROSSVM_NOT_FORMATTED : CROSSVM_OK,
                              CROSSVM_RULE_NONE, 0};
    return outcome;
}

/* The upper half of twice the version: its lowest bit is the version's bit 31. */
static struct outcome judge_hi(const struct damaged *damaged)
{
    return damaged->value % 2 == 0 ? fine : broken(CROSSVM_RULE_DIRECTORY_SLOT, slot_off);
}

static struct outcome judge_slot_len(const struct damaged *damaged)
{
    if (damaged->value % ENTRY_LEN != 0 || damaged->value / ENTRY_LEN > CAPACITY) {
        return broken(CROSSVM_RULE_DIRECTORY_COUNT, slot_off + SLOT_LEN);
    }
    return damaged->value / ENTRY_LEN > n_entries
               ? broken(CROSSVM_RULE_ENTRY_ID, entry_at(n_entries) + ENTRY_ID)
               : fine;
}

static struct outcome judge_id(const struct damaged *damaged)
{
    return damaged->value == 0 ? broken(CROSSVM_RULE_ENTRY_ID, damaged->off) : fine;
}

static struct outcome judge_generation(const struct damaged *damaged)
{
    return damaged->value == 0 ? broken(CROSSVM_RULE_ENTRY_GENERATION, damaged->off) : fine;
}

/* Whether n, len and length of an entry of one kind fit another as well. */
static bool fits_too(uint32_t kind, uint64_t other)
{
    if (kind == CROSSVM_KIND_SNAPSHOT) {
        return other == CROSSVM_KIND_BROADCAST || other == CROSSVM_KIND_MPSC_TX ||
               other == CROSSVM_KIND_POOL;
    }
    return kind == CROSSVM_KIND_DOORBELL &&
           (other == CROSSVM_KIND_POOL_LENT || other == CROSSVM_KIND_POOL_RETURNS);
}

/* Kinds that this library does not know are listed; of those it knows few fit n, len and length. */
static struct outcome judge_kind(const struct damaged *damaged)
{
    if (damaged->value == 0) {
        return broken(CROSSVM_RULE_ENTRY_KIND, damaged->off);
    }
    uint32_t kind = entries[damaged->entry].kind;
    bool known = damaged->value <= CROSSVM_KIND_PEER;
    if (known && damaged->value != kind && !fits_too(kind, damaged->value)) {
        return broken(CROSSVM_RULE_ENTRY_GEOMETRY, entry_at(damaged->entry) + ENTRY_N);
    }
    return fine;
}

static struct outcome judge_n(const struct damaged *damaged)
{
    const struct entry_facts *entry = &entries[damaged->entry];
    return damaged->value >= entry->min_n && damaged->value <= entry->max_n
               ? fine
               : broken(CROSSVM_RULE_ENTRY_GEOMETRY, damaged->off);
}

static struct outcome judge_data_len(const struct damaged *damaged)
{
    const struct entry_facts *entry = &entries[damaged->entry];
    return damaged->value >= entry->min_len && damaged->value <= entry->max_len
               ? fine
               : broken(CROSSVM_RULE_ENTRY_GEOMETRY, entry_at(damaged->entry) + ENTRY_N);
}

static struct outcome judge_next(const struct damaged *damaged, uint64_t behind)
{
    uint32_t next = damaged->entry + 1;
    return next < n_entries && entries[next].off < behind
               ? broken(CROSSVM_RULE_ENTRY_OFFSET, entry_at(next) + ENTRY_OFF)
               : fine;
}

static struct outcome judge_off(const struct damaged *damaged)
{
    uint32_t i = damaged->entry;
    uint64_t from = i == 0 ? (uint64_t)CHUNKS_OFF : entries[i - 1].off + entries[i - 1].length;
    if (damaged->value % GRANULE != 0 || damaged->value < from || damaged->value > REGION_LEN) {
        return broken(CROSSVM_RULE_ENTRY_OFFSET, damaged->off);
    }
    if (damaged->value + entries[i].length > REGION_LEN) {
        return broken(CROSSVM_RULE_ENTRY_LENGTH, entry_at(i) + ENTRY_LENGTH);
    }
    return judge_next(damaged, damaged->value + entries[i].length);
}

static struct outcome judge_entry_length(const struct damaged *damaged)
{
    const struct entry_facts *entry = &entries[damaged->entry];
    if (damaged->value == 0 || damaged->value % GRANULE != 0 ||
        damaged->value > REGION_LEN - entry->off) {
        return broken(CROSSVM_RULE_ENTRY_LENGTH, damaged->off);
    }
    if (damaged->value < entry->need) {
        return broken(CROSSVM_RULE_ENTRY_GEOMETRY, entry_at(damaged->entry) + ENTRY_N);
    }
    return judge_next(damaged, entry->off + damaged->value);
}

static bool is_name_character(unsigned byte)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._/-";
    return byte != 0 && strchr(allowed, (int)byte) != NULL;
}

static struct outcome judge_name(const struct damaged *damaged)
{
    uint32_t len = entries[damaged->entry].name_len;
    unsigned byte = ((const unsigned char *)mapping.base)[damaged->off + damaged->byte];
    bool ok = damaged->byte < len ? is_name_character(byte) : byte == 0;
    if (byte == 0 && damaged->byte > 0 && damaged->byte == len - 1) {
        ok = true; /* a shorter name */
    }
    if (damaged->byte == len && len < 47 && is_name_character(byte)) {
        ok = true; /* a longer name */
    }
    return ok ? fine : broken(CROSSVM_RULE_ENTRY_NAME, damaged->off);
}

/* ---- the table ---------------------------------------------------------------------------- */

/* What adopt makes of a field that attach does not mind. */
enum adopt {
    ADOPT_SAME,     /* it does not mind, either */
    ADOPT_MISMATCH, /* another plan */
    ADOPT_ROLE,
    ADOPT_COUNTER, /* OWNER_COUNTER if now a generation is ahead of the counter */
    ADOPT_ANYTHING /* ids may now be twice: only that nothing faults */
};

struct field {
    const char *name;
    uint32_t off;
    uint32_t len;
    /* What every other value comes to with the checksums right, if there is no judge. */
    int status;
    uint32_t rule;
    judge_fn *judge;
    bool judged_first; /* before the checksum is */
    enum adopt adopt;
};

#define RULE(rule)    CROSSVM_CORRUPT, CROSSVM_RULE_##rule, NULL
#define STATUS(value) CROSSVM_##value, CROSSVM_RULE_NONE, NULL
#define JUDGE(judge)  CROSSVM_OK, CROSSVM_RULE_NONE, judge

static const struct field header_fields[] = {
    {"magic", 0, 4, STATUS(NOT_FORMATTED), true, ADOPT_SAME},
    {"format_major", 4, 4, STATUS(OTHER_FORMAT), true, ADOPT_SAME},
    {"format_minor", 8, 4, STATUS(OK), false, ADOPT_SAME},
    {"header_len", 12, 4, RULE(HEADER_LEN), false, ADOPT_SAME},
    {"entry_len", 16, 4, RULE(ENTRY_LEN), false, ADOPT_SAME},
    {"incompat", 20, 4, STATUS(FEATURE), false, ADOPT_SAME},
    {"ro_compat", 24, 4, STATUS(OK), false, ADOPT_ROLE},
    {"compat", 28, 4, STATUS(OK), false, ADOPT_SAME},
    {"length", 32, 8, JUDGE(judge_length), false, ADOPT_MISMATCH},
    {"granule", 40, 4, RULE(GRANULE), false, ADOPT_SAME}, /* no other power with one byte changed */
    {"capacity", 44, 4, JUDGE(judge_capacity), false, ADOPT_MISMATCH},
    {"region_id", 48, 16, STATUS(OK), false, ADOPT_SAME},
    {"link_id", 64, 8, STATUS(OK), false, ADOPT_SAME},
    {"owner", 72, 4, STATUS(OK), false, ADOPT_MISMATCH},
    {"clock_kind", 76, 4, STATUS(OK), false, ADOPT_SAME},
    {"clock_id", 80, 8, STATUS(OK), false, ADOPT_SAME},
    {"clock_rate", 88, 8, STATUS(OK), false, ADOPT_SAME},
    {"plan_hash", 96, 8, STATUS(OK), false, ADOPT_MISMATCH},
    {"reserved", 104, 148, STATUS(OK), false, ADOPT_SAME},
    {"checksum", 252, 4, RULE(HEADER_CHECKSUM), true, ADOPT_SAME},
};

/* Outside every checksum. */
static const struct field live_fields[] = {
    {"latest", 256, 4, JUDGE(judge_latest), true, ADOPT_SAME},
    {"epoch", 260, 4, JUDGE(judge_epoch), true, ADOPT_COUNTER},
    {"counter", 264, 4, STATUS(OK), true, ADOPT_COUNTER},
    {"words 1 to 29", 268, 116, STATUS(OK), true, ADOPT_SAME},
};

/* From the newest slot on; the slot's header is outside the checksum, but for its own words. */
static const struct field slot_fields[] = {
    {"mark", 0, 4, RULE(DIRECTORY_SLOT), true, ADOPT_SAME},
    {"hi", 4, 4, JUDGE(judge_hi), true, ADOPT_SAME},
    {"len", 8, 4, JUDGE(judge_slot_len), false, ADOPT_SAME},
    {"check", 12, 4, RULE(DIRECTORY_CHECKSUM), true, ADOPT_SAME},
    {"sampled", 16, 8, STATUS(OK), true, ADOPT_SAME},
    {"published", 24, 8, STATUS(OK), true, ADOPT_SAME},
    {"reserved", 32, 32, STATUS(OK), true, ADOPT_SAME},
};

/* From an entry of the newest directory on. */
static const struct field entry_fields[] = {
    {"id", 0, 4, JUDGE(judge_id), false, ADOPT_ANYTHING},
    {"generation", 4, 4, JUDGE(judge_generation), false, ADOPT_COUNTER},
    {"kind", 8, 4, JUDGE(judge_kind), false, ADOPT_SAME},
    {"n", 12, 4, JUDGE(judge_n), false, ADOPT_SAME},
    {"off", 16, 8, JUDGE(judge_off), false, ADOPT_SAME},
    {"length", 24, 8, JUDGE(judge_entry_length), false, ADOPT_SAME},
    {"writer", 32, 4, STATUS(OK), false, ADOPT_SAME},
    {"reader", 36, 4, STATUS(OK), false, ADOPT_SAME},
    {"type_hash", 40, 8, STATUS(OK), false, ADOPT_SAME},
    {"name", 48, 48, JUDGE(judge_name), false, ADOPT_SAME},
    {"link_id", 96, 8, STATUS(OK), false, ADOPT_SAME},
    {"len", 104, 8, JUDGE(judge_data_len), false, ADOPT_SAME},
    {"reserved", 112, 16, STATUS(OK), false, ADOPT_SAME},
};

#define N_FIELDS(fields) (sizeof(fields) / sizeof((fields)[0]))

/* ---- doing the damage --------------------------------------------------------------------- */

enum checksums {
    LEFT,
    RECOMPUTED
};

enum part {
    PART_HEADER,
    PART_LIVE,
    PART_SLOT,
    PART_ENTRY
};

struct attempt {
    const struct field *field;
    enum part part;
    enum checksums checksums;
    struct damaged damaged;
    unsigned byte_value;
};

static void failed(const struct attempt *attempt, const char *call, int got, uint32_t rule,
                   const struct outcome *want)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "%s, v%" PRIu32 ", entry %" PRIu32 ", field %s, byte %" PRIu32
                   " = 0x%02x, checksums %s: %s (%s), "
                   "wanted %s (%s, at %llu)",
                   call, version, attempt->damaged.entry, attempt->field->name,
                   attempt->damaged.byte, attempt->byte_value,
                   attempt->checksums == LEFT ? "left" : "recomputed", crossvm_status_name(got),
                   crossvm_rule_name(rule), crossvm_status_name(want->status),
                   crossvm_rule_name(want->rule), (unsigned long long)want->fault_off);
    check_failed(__FILE__, __LINE__, text);
}

/* The field's outcome with right checksums. */
static struct outcome own_outcome(const struct attempt *attempt)
{
    const struct field *field = attempt->field;
    if (field->judge != NULL) {
        return field->judge(&attempt->damaged);
    }
    struct outcome outcome = {field->status, field->rule, attempt->damaged.off};
    if (field->rule == CROSSVM_RULE_DIRECTORY_SLOT) {
        outcome.fault_off = slot_off;
    }
    return outcome;
}

static struct outcome wanted(const struct attempt *attempt)
{
    struct outcome own = own_outcome(attempt);
    if (attempt->checksums == RECOMPUTED || attempt->field->judged_first) {
        return own;
    }
    if (attempt->part == PART_HEADER) {
        return broken(CROSSVM_RULE_HEADER_CHECKSUM, AT_CHECKSUM);
    }
    /* Entries are judged as they stream, before the sum over them is known. */
    return own.status == CROSSVM_OK ? broken(CROSSVM_RULE_DIRECTORY_CHECKSUM, slot_off + SLOT_CHECK)
                                    : own;
}

/* The value is the field's, where the fault stands in the damaged field itself. */
static bool as_wanted(const struct attempt *attempt, int status, const struct crossvm_fault *fault,
                      const struct outcome *want)
{
    if (status != want->status) {
        return false;
    }
    if (status != CROSSVM_CORRUPT) {
        return true;
    }
    bool value_ok = fault->off != attempt->damaged.off || want->rule == CROSSVM_RULE_ENTRY_NAME ||
                    fault->value == attempt->damaged.value;
    return fault->rule == want->rule && fault->off == want->fault_off && value_ok;
}

/* Generations only rise: one that lies less than half the way round ahead was never given out. */
static bool counter_is_behind(void)
{
    uint32_t counter = damage_get(mapping.base, AT_COUNTER);
    uint32_t epoch = damage_get(mapping.base, AT_EPOCH);
    if (epoch - counter - 1 < UINT32_MAX / 2) {
        return true;
    }
    for (uint32_t i = 0; i < n_entries; i++) {
        uint32_t generation = damage_get(mapping.base, entry_at(i) + ENTRY_GENERATION);
        if (generation - counter - 1 < UINT32_MAX / 2) {
            return true;
        }
    }
    return false;
}

static struct outcome wanted_of_adopt(const struct attempt *attempt, struct outcome want)
{
    if (want.status != CROSSVM_OK) {
        return want;
    }
    switch (attempt->field->adopt) {
    case ADOPT_MISMATCH:
        want.status = CROSSVM_MISMATCH;
        break;
    case ADOPT_ROLE:
        want.status = CROSSVM_ROLE;
        break;
    case ADOPT_COUNTER:
        if (counter_is_behind()) {
            want = broken(CROSSVM_RULE_OWNER_COUNTER, AT_COUNTER);
        }
        break;
    default:
        break;
    }
    return want;
}

/* Adopts what is there; afterwards the mapping holds the damaged bytes again. */
static void try_adopt(const struct attempt *attempt, const struct outcome *want_attach)
{
    struct crossvm_region_owner owner;
    unsigned char before[REGION_LEN];
    struct outcome want = wanted_of_adopt(attempt, *want_attach);
    memcpy(before, mapping.base, REGION_LEN);
    int status = crossvm_region_owner_adopt(&owner, &mapping, &plan, table, CAPACITY);
    if (attempt->field->adopt != ADOPT_ANYTHING &&
        !as_wanted(attempt, status, &owner.region.fault, &want)) {
        failed(attempt, "adopt", status, owner.region.fault.rule, &want);
    }
    if (status != CROSSVM_OK && memcmp(before, mapping.base, REGION_LEN) != 0) {
        failed(attempt, "adopt changed a byte", status, owner.region.fault.rule, &want);
    }
    memcpy(mapping.base, before, REGION_LEN);
}

static void seal(const struct attempt *attempt)
{
    if (attempt->part == PART_HEADER) {
        damage_seal_header(mapping.base);
    } else {
        damage_seal_slot(mapping.base, slot_off, CAPACITY);
    }
}

static uint64_t field_value(const struct field *field, uint64_t off)
{
    return field->len == 8 ? damage_get_pair(mapping.base, off) : damage_get(mapping.base, off);
}

/* One byte takes one value. */
static void try_value(struct attempt *attempt, unsigned value, bool adopt)
{
    unsigned char *bytes = (unsigned char *)mapping.base;
    struct damaged *damaged = &attempt->damaged;
    struct crossvm_region region;
    uint64_t at = damaged->off + damaged->byte;
    if (bytes[at] == value) {
        return;
    }
    attempt->byte_value = value;
    bytes[at] = (unsigned char)value;
    damaged->value = field_value(attempt->field, damaged->off);
    if (attempt->checksums == RECOMPUTED) {
        seal(attempt);
    }
    struct outcome want = wanted(attempt);
    int status = crossvm_region_attach(&region, &mapping, PARTY_B);
    if (!as_wanted(attempt, status, &region.fault, &want)) {
        failed(attempt, "attach", status, region.fault.rule, &want);
    }
    if (adopt) {
        try_adopt(attempt, &want);
    }
    bytes[at] = whole.bytes[at];
    memcpy(bytes + AT_CHECKSUM, whole.bytes + AT_CHECKSUM, 4);
    memcpy(bytes + slot_off + SLOT_CHECK, whole.bytes + slot_off + SLOT_CHECK, 4);
}

/* In an ordinary run the second layout of the directory is tried with a third of the values. */
static bool is_tried(uint32_t byte, unsigned value)
{
    unsigned every = (version == 1 || check_scale() > 1 ? 1 : 3) * CHECK_SHORTER;
    return (value + byte) % every == 0 || value == 0;
}

/* Every byte of a field takes every value; adopt is tried on every eleventh, which with the
 * bytes' different starts covers all residues. */
static void try_field(const struct field *field, enum part part, uint64_t from, uint32_t entry)
{
    for (int checksums = LEFT; checksums <= RECOMPUTED; checksums++) {
        struct attempt attempt;
        memset(&attempt, 0, sizeof(attempt));
        attempt.field = field;
        attempt.part = part;
        attempt.checksums = (enum checksums)checksums;
        attempt.damaged.entry = entry;
        attempt.damaged.off = from + field->off;
        if (checksums == RECOMPUTED && (field->rule == CROSSVM_RULE_HEADER_CHECKSUM ||
                                        field->rule == CROSSVM_RULE_DIRECTORY_CHECKSUM)) {
            continue; /* it would be put right again */
        }
        for (uint32_t byte = 0; byte < field->len; byte++) {
            attempt.damaged.byte = byte;
            for (unsigned value = 0; value < 256; value++) {
                bool adopt = check_scale() > 1 || (value + byte) % 11 == 0 || value == 0;
                if (is_tried(byte, value)) {
                    try_value(&attempt, value, adopt);
                }
            }
        }
    }
    CHECK(damage_same(&whole));
}

/* The tables leave no byte out: each field begins where the one before ends. */
static void check_table(const struct field *fields, size_t n_fields, uint32_t from, uint32_t to)
{
    uint32_t at = from;
    for (size_t i = 0; i < n_fields; i++) {
        CHECK_EQ(fields[i].off, at);
        at = fields[i].off + fields[i].len;
    }
    CHECK_EQ(at, to);
}

static void the_table_covers_every_byte(void)
{
    check_table(header_fields, N_FIELDS(header_fields), 0, 256);
    check_table(live_fields, N_FIELDS(live_fields), 256, 384);
    check_table(slot_fields, N_FIELDS(slot_fields), 0, 64);
    check_table(entry_fields, N_FIELDS(entry_fields), 0, 128);
}

static void every_byte_with_every_value(uint32_t directory_version)
{
    begin(directory_version);
    for (size_t i = 0; i < N_FIELDS(header_fields); i++) {
        try_field(&header_fields[i], PART_HEADER, 0, 0);
    }
    for (size_t i = 0; i < N_FIELDS(live_fields); i++) {
        try_field(&live_fields[i], PART_LIVE, 0, 0);
    }
    for (size_t i = 0; i < N_FIELDS(slot_fields); i++) {
        try_field(&slot_fields[i], PART_SLOT, slot_off, 0);
    }
    for (uint32_t entry = 0; entry < n_entries; entry++) {
        for (size_t i = 0; i < N_FIELDS(entry_fields); i++) {
            try_field(&entry_fields[i], PART_ENTRY, entry_at(entry), entry);
        }
    }
    end();
}

static void every_byte_is_judged_by_the_table_in_slot_1(void)
{
    every_byte_with_every_value(1);
}

static void every_byte_is_judged_by_the_table_in_slot_0(void)
{
    every_byte_with_every_value(2);
}

/* The slot that is not the newest, and entries behind the last one, may hold anything. */
static void bytes_that_are_not_in_use_are_not_judged(void)
{
    struct crossvm_region region;
    begin(1);
    unsigned char *bytes = (unsigned char *)mapping.base;
    for (unsigned value = 1; value < 256; value++) {
        memset(bytes + damage_slot_off(0, CAPACITY), (int)value,
               SLOT_HEADER_LEN + (size_t)CAPACITY * ENTRY_LEN);
        memset(bytes + entry_at(n_entries), (int)value, ENTRY_LEN * (CAPACITY - n_entries));
        memset(bytes + CHUNKS_OFF, (int)value, REGION_LEN - CHUNKS_OFF);
        CHECK_EQ(crossvm_region_attach(&region, &mapping, PARTY_B), CROSSVM_OK);
    }
    end();
}

/* ---- the fault says what was read --------------------------------------------------------- */

static void a_fault_says_where_and_what(void)
{
    static const struct {
        uint32_t off;
        uint64_t value;
        uint32_t rule;
    } header[] = {
        {AT_HEADER_LEN, 257, CROSSVM_RULE_HEADER_LEN},
        {AT_ENTRY_LEN, 64, CROSSVM_RULE_ENTRY_LEN},
        {AT_GRANULE, 64, CROSSVM_RULE_GRANULE},
        {AT_GRANULE, 0x80000000u, CROSSVM_RULE_GRANULE},
        {AT_CAPACITY, 65536, CROSSVM_RULE_CAPACITY},
        {AT_LENGTH, CHUNKS_OFF - GRANULE, CROSSVM_RULE_REGION_LENGTH},
    };
    struct crossvm_region region;
    begin(1);
    for (size_t i = 0; i < N_FIELDS(header); i++) {
        damage_put(mapping.base, header[i].off, (uint32_t)header[i].value);
        damage_seal_header(mapping.base);
        CHECK_EQ(crossvm_region_attach(&region, &mapping, PARTY_B), CROSSVM_CORRUPT);
        CHECK_EQ(region.fault.off, header[i].off);
        CHECK_EQ(region.fault.value, header[i].value);
        CHECK_EQ(region.fault.rule, header[i].rule);
        damage_undo(&whole);
    }
    damage_put_pair(mapping.base, entry_at(1) + ENTRY_OFF, 0x123456789abcdefu);
    CHECK_EQ(crossvm_region_attach(&region, &mapping, PARTY_B), CROSSVM_CORRUPT);
    CHECK_EQ(region.fault.off, entry_at(1) + ENTRY_OFF);
    CHECK_EQ(region.fault.value, 0x123456789abcdef);
    end();
}

/* ---- truncation --------------------------------------------------------------------------- */

/* Copies the region so that exactly len bytes lie before the page that nobody may touch, as near
 * as the base's alignment allows. */
static int attach_truncated(size_t len)
{
    struct crossvm_region region;
    size_t room = (len + 127) / 128 * 128;
    unsigned char *base = memory.end - room;
    memcpy(base, whole.bytes, len);
    memset(base + len, 0xff, room - len);
    struct crossvm_mapping part = {base, len, CROSSVM_READ_ONLY, CROSSVM_WRITE_BACK};
    int status = crossvm_region_attach(&region, &part, PARTY_B);
    return status;
}

static void every_truncation_is_refused(void)
{
    begin(2);
    for (size_t len = 0; len < REGION_LEN; len++) {
        CHECK_EQ(attach_truncated(len), CROSSVM_NO_SPACE);
    }
    CHECK_EQ(attach_truncated(REGION_LEN), CROSSVM_OK);
    end();
}

/* A region may also begin right behind a page that nobody may touch, and need not fill its
 * mapping. */
static void nothing_in_front_or_behind_is_touched(void)
{
    struct crossvm_region region;
    begin(2);
    memcpy(memory.first, whole.bytes, REGION_LEN);
    struct crossvm_mapping front = {memory.first, (uint64_t)(memory.end - memory.first),
                                    CROSSVM_READ_ONLY, CROSSVM_WRITE_BACK};
    CHECK_EQ(crossvm_region_attach(&region, &front, PARTY_B), CROSSVM_OK);
    CHECK_EQ(region.length, REGION_LEN);
    end();
}

/* ---- the mapping -------------------------------------------------------------------------- */

static void every_misalignment_is_refused(void)
{
    struct crossvm_region region;
    struct crossvm_region_owner owner;
    struct damage_guarded wide;
    begin(1);
    damage_guarded_make(&wide, REGION_LEN + 128);
    for (size_t shift = 0; shift <= 128; shift++) {
        struct crossvm_mapping shifted = mapping;
        int want = shift % 128 == 0 ? CROSSVM_OK : CROSSVM_MISALIGNED;
        shifted.base = wide.first + shift;
        memcpy(shifted.base, whole.bytes, REGION_LEN);
        CHECK_EQ(crossvm_region_attach(&region, &shifted, PARTY_B), want);
        CHECK_EQ(crossvm_region_owner_adopt(&owner, &shifted, &plan, table, CAPACITY), want);
        CHECK_EQ(crossvm_region_owner_format(&owner, &shifted, &plan, table, CAPACITY), want);
        CHECK(want == CROSSVM_OK || memcmp(shifted.base, whole.bytes, REGION_LEN) == 0);
    }
    damage_guarded_drop(&wide);
    end();
}

/* All three that take a mapping answer this, and change nothing. */
static void check_mapping_refused(const struct crossvm_mapping *bad, int want)
{
    struct crossvm_region region;
    struct crossvm_region_owner owner;
    CHECK_EQ(crossvm_region_attach(&region, bad, PARTY_B), want);
    CHECK_EQ(crossvm_region_owner_adopt(&owner, bad, &plan, table, CAPACITY), want);
    CHECK_EQ(crossvm_region_owner_format(&owner, bad, &plan, table, CAPACITY), want);
    CHECK(damage_same(&whole));
}

static void a_mapping_struct_that_says_nonsense_is_refused(void)
{
    begin(1);
    struct crossvm_mapping bad = mapping;
    bad.base = NULL;
    check_mapping_refused(&bad, CROSSVM_INVALID);
    for (uint32_t value = 2; value != 0; value <<= 1) {
        bad = mapping;
        bad.access = value;
        check_mapping_refused(&bad, CROSSVM_INVALID);
        bad.access = UINT32_MAX - value;
        check_mapping_refused(&bad, CROSSVM_INVALID);
    }
    for (uint32_t value = 4; value != 0; value <<= 1) {
        bad = mapping;
        bad.memory = value - 1;
        check_mapping_refused(&bad, CROSSVM_INVALID);
        bad.memory = value;
        check_mapping_refused(&bad, CROSSVM_INVALID);
    }
    bad = mapping;
    bad.len = 0;
    check_mapping_refused(&bad, CROSSVM_NO_SPACE);
    bad.len = AT_DIRECTORY - 1;
    check_mapping_refused(&bad, CROSSVM_NO_SPACE);
    end();
}

static void write_combining_memory_needs_system_fences(void)
{
#if defined(CROSSVM_SYSTEM_FENCES)
    const int want = CROSSVM_OK;
#else
    const int want = CROSSVM_MEMORY_TYPE;
#endif
    struct crossvm_region region;
    begin(1);
    struct crossvm_mapping combining = mapping;
    combining.memory = CROSSVM_WRITE_COMBINING;
    CHECK_EQ(crossvm_region_attach(&region, &combining, PARTY_B), want);
    if (want != CROSSVM_OK) {
        check_mapping_refused(&combining, want);
    }
    end();
}

static void nobody_attaches_as_anyone(void)
{
    struct crossvm_region region;
    begin(1);
    CHECK_EQ(crossvm_region_attach(&region, &mapping, CROSSVM_ANYONE), CROSSVM_INVALID);
    CHECK_EQ(crossvm_region_attach(&region, &mapping, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_region_attach(&region, &mapping, CROSSVM_ANYONE - 1), CROSSVM_OK);
    end();
}

/* ---- what attach tells -------------------------------------------------------------------- */

static void attach_takes_the_header_over(void)
{
    struct crossvm_region region;
    begin(1);
    damage_put_pair(mapping.base, 88, 0x0102030405060708u); /* clock_rate */
    damage_put_pair(mapping.base, 96, 0x1112131415161718u); /* plan_hash */
    damage_seal_header(mapping.base);
    REQUIRE(crossvm_region_attach(&region, &mapping, PARTY_B) == CROSSVM_OK);
    CHECK(region.base == mapping.base);
    CHECK_EQ(region.length, REGION_LEN);
    CHECK_EQ(region.self, PARTY_B);
    CHECK_EQ(region.owner, PARTY_A);
    CHECK_EQ(region.granule, GRANULE);
    CHECK_EQ(region.capacity, CAPACITY);
    CHECK(region.writable && !region.device);
    CHECK_EQ(region.region_id[0], 0x23222120);
    CHECK_EQ(region.region_id[3], 0x2f2e2d2c);
    CHECK(region.link_id == 0x1122334455667788u);
    CHECK(region.plan_hash == 0x1112131415161718u);
    CHECK_EQ(region.clock.kind, 1);
    CHECK_EQ(region.clock.id, 0x99);
    CHECK(region.clock.rate == 0x0102030405060708u);
    end();
}

/* Unknown ro_compat bits: everything can be read, nothing opened for writing. */
static void unknown_ro_compat_bits_refuse_writing_roles(void)
{
    struct crossvm_region region;
    struct crossvm_snapshot_reader reader;
    struct crossvm_snapshot_writer writer;
    struct crossvm_chunk chunk;
    begin(1);
    for (unsigned bit = 0; bit < 32; bit++) {
        damage_put(mapping.base, AT_RO_COMPAT, 1u << bit);
        damage_seal_header(mapping.base);
        REQUIRE(crossvm_region_attach(&region, &mapping, PARTY_A) == CROSSVM_OK);
        chunk = test_find(&region, "state", CROSSVM_KIND_SNAPSHOT);
        CHECK_EQ(crossvm_snapshot_reader_open(&reader, &region, &chunk), CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_writer_open(&writer, &region, &chunk), CROSSVM_ROLE);
    }
    end();
}

int main(void)
{
    CASE(the_table_covers_every_byte);
    CASE(every_byte_is_judged_by_the_table_in_slot_1);
    CASE(every_byte_is_judged_by_the_table_in_slot_0);
    CASE(bytes_that_are_not_in_use_are_not_judged);
    CASE(a_fault_says_where_and_what);
    CASE(every_truncation_is_refused);
    CASE(nothing_in_front_or_behind_is_touched);
    CASE(every_misalignment_is_refused);
    CASE(a_mapping_struct_that_says_nonsense_is_refused);
    CASE(write_combining_memory_needs_system_fences);
    CASE(nobody_attaches_as_anyone);
    CASE(attach_takes_the_header_over);
    CASE(unknown_ro_compat_bits_refuse_writing_roles);
    return check_done();
}
