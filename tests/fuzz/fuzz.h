/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz.h - an enemy that writes between any two shared accesses of the library, and what
 * has to hold all the same. Each target is a program of libFuzzer's (tests/fuzz.sh builds them).
 *
 * An input is read from both ends. From its front come the honest side's calls, two bytes each.
 * From its back come the enemy's writes, three bytes each and four more for a value of its own: how
 * many accesses it lets pass, which word it takes, what it writes there. So a call more or less
 * does not move the writes to other accesses of other calls than it has to.
 *
 * What every access and every call is held to:
 *
 *   steps     a call takes no more shared accesses than its named constant
 *   place     loads lie in the parts of the test, stores in the honest side's, and there not in
 *             what it has no business to change
 *   answer    a status that is documented for the function, no result above the most there can be
 *   sticky    CORRUPT stays, with one record of the fault, whose place lies in what was judged
 *   use       what comes out is summed up, so that no compiler leaves the reading out
 *
 * Around the parts there are pages that fault, and with the address sanitizer everything else of a
 * region is poisoned. The honest side sees the enemy's memory through a read-only mapping.
 */
#ifndef CROSSVM_TESTS_FUZZ_FUZZ_H
#define CROSSVM_TESTS_FUZZ_FUZZ_H

#define _GNU_SOURCE 1
#define CROSSVM_HOOKS

#include <crossvm/crossvm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#if !defined(ASAN_POISON_MEMORY_REGION)
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
    FUZZ_PARTS = 16,
    FUZZ_KEPT = 32,
    FUZZ_HOT = 128,
    FUZZ_AROUND = 4,
    FUZZ_CALLS = 16 /* of the honest side in a run, at most */
};

/* What runs at each access is not itself under test: nothing is instrumented there. */
#define FUZZ_BARE __attribute__((no_sanitize("address", "undefined", "coverage")))

#define FUZZ_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what is wrong -------------------------------------------------------------------------- */

/* The name of the call that is under way, or was last. */
static const char *fuzz_call = "no call";

static void fuzz_wrong(const char *what, long long value)
{
    fprintf(stderr, "crossvm-fuzz: %s: %s (%lld)\n", fuzz_call, what, value);
    abort();
}

#define FUZZ_CHECK(condition)                            \
    do {                                                 \
        if (!(condition)) {                              \
            fuzz_wrong("does not hold: " #condition, 0); \
        }                                                \
    } while (0)

/* ---- memory --------------------------------------------------------------------------------- */

/* Memory of exactly len bytes, all zero, between two pages that fault; its end is exact. other: a
 * second, read-only view of it, or NULL. */
static inline unsigned char *fuzz_map(size_t len, unsigned char **other)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t whole = (len + page - 1) / page * page;
    int fd = memfd_create("crossvm-fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)whole) == 0);
    unsigned char *views[2] = {NULL, NULL};
    for (unsigned i = 0; i < (other == NULL ? 1u : 2u); i++) {
        unsigned char *around = (unsigned char *)mmap(NULL, whole + 2 * page, PROT_NONE,
                                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        FUZZ_CHECK(around != MAP_FAILED);
        void *view = mmap(around + page, whole, i == 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                          MAP_SHARED | MAP_FIXED, fd, 0);
        FUZZ_CHECK(view != MAP_FAILED);
        ASAN_POISON_MEMORY_REGION(view, whole - len);
        views[i] = (unsigned char *)view + (whole - len);
    }
    close(fd);
    if (other != NULL) {
        *other = views[1];
    }
    return views[0];
}

/* Private memory of the honest side, with an exact end, too. */
static inline void *fuzz_private(size_t len)
{
    return fuzz_map(len, NULL);
}

/* A formatted region, its owner's view and that of everybody else. */
struct fuzz_region {
    struct crossvm_mapping writable;
    struct crossvm_mapping read_only;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[8];
    struct crossvm_region reader;
};

static inline void fuzz_region_make(struct fuzz_region *region,
                                    const struct crossvm_region_plan *plan, uint32_t reader_party)
{
    uint64_t len;
    unsigned char *other;
    FUZZ_CHECK(crossvm_region_plan_len(plan, &len) == CROSSVM_OK);
    region->writable.base = fuzz_map((size_t)len, &other);
    region->writable.len = len;
    region->writable.access = CROSSVM_READ_WRITE;
    region->writable.memory = CROSSVM_WRITE_BACK;
    region->read_only = region->writable;
    region->read_only.base = other;
    region->read_only.access = CROSSVM_READ_ONLY;
    FUZZ_CHECK(crossvm_region_owner_format(&region->owner, &region->writable, plan, region->table,
                                           FUZZ_ELEMENTS(region->table)) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_region_attach(&region->reader, &region->read_only, reader_party) ==
               CROSSVM_OK);
}

/* ---- the parts of a test -------------------------------------------------------------------- */

/* A chunk, or any other shared memory, in both views. */
struct fuzz_part {
    unsigned char *writable;  /* its writer's view */
    unsigned char *read_only; /* everybody else's */
    size_t len;
    uint64_t off; /* in its region */
    bool enemy;   /* the enemy writes it, the honest side only reads it */
};

/* Bytes of the honest side's that no call may change. */
struct fuzz_kept {
    unsigned char *at;
    size_t len;
};

static struct {
    const uint8_t *front; /* where the next call is read */
    const uint8_t *back;  /* behind the enemy's next write */

    struct fuzz_part parts[FUZZ_PARTS];
    unsigned n_parts;
    struct fuzz_kept kept[FUZZ_KEPT];
    unsigned n_kept;
    struct crossvm_le32 *hot[FUZZ_HOT]; /* words that the enemy likes best */
    unsigned n_hot;
    uint32_t n_words;                    /* of all parts of the enemy */
    const uint32_t *around[FUZZ_AROUND]; /* values that it writes something near to */
    unsigned n_around;
    void (*act)(uint32_t which);   /* something that takes more than a word, or NULL */
    void (*watch)(const void *at); /* sees what the next load will find there, or NULL */

    unsigned long most;  /* accesses that the call may take */
    unsigned long seen;  /* that it has taken */
    unsigned long pass;  /* accesses before the next write */
    unsigned long storm; /* accesses at which storm_at is raised */
    struct crossvm_le32 *storm_at;
    uint32_t storm_by;
    unsigned long stores; /* of the call */
    bool calling;

    volatile uint32_t sink;
} fuzz;

/* The calls of a run begin; parts and words are named anew. */
FUZZ_BARE static inline void fuzz_run(const uint8_t *data, size_t len)
{
    fuzz.front = data;
    fuzz.back = data + len;
    fuzz.n_parts = 0;
    fuzz.n_kept = 0;
    fuzz.n_hot = 0;
    fuzz.n_words = 0;
    fuzz.n_around = 0;
    fuzz.act = NULL;
    fuzz.watch = NULL;
    fuzz.pass = 0;
    fuzz.storm = 0;
    fuzz.calling = false;
    fuzz_call = "no call";
}

FUZZ_BARE static inline uint8_t fuzz_byte(void)
{
    return fuzz.front < fuzz.back ? *fuzz.front++ : 0;
}

/* Whether there is another call, and which. */
FUZZ_BARE static inline bool fuzz_more(uint8_t *op, uint8_t *arg)
{
    if (fuzz.front >= fuzz.back) {
        return false;
    }
    *op = fuzz_byte();
    *arg = fuzz_byte();
    return true;
}

FUZZ_BARE static inline const struct fuzz_part *fuzz_part_add(const struct fuzz_part *part,
                                                              bool enemy)
{
    FUZZ_CHECK(fuzz.n_parts < FUZZ_PARTS);
    struct fuzz_part *added = &fuzz.parts[fuzz.n_parts];
    *added = *part;
    added->enemy = enemy;
    fuzz.n_parts++;
    fuzz.n_words += enemy ? (uint32_t)(part->len / 4) : 0;
    return added;
}

/* Bytes of an own part that stay as they are, by their place in it. */
FUZZ_BARE static inline void fuzz_keep(const struct fuzz_part *part, size_t off, size_t len)
{
    FUZZ_CHECK(fuzz.n_kept < FUZZ_KEPT && off + len <= part->len);
    fuzz.kept[fuzz.n_kept].at = part->writable + off;
    fuzz.kept[fuzz.n_kept].len = len;
    fuzz.n_kept++;
}

/* Words of a part of the enemy that it likes best: n of them from off on. */
FUZZ_BARE static inline void fuzz_hot(const struct fuzz_part *part, size_t off, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        FUZZ_CHECK(fuzz.n_hot < FUZZ_HOT && off + 4 * (i + 1) <= part->len);
        fuzz.hot[fuzz.n_hot] = (struct crossvm_le32 *)(void *)(part->writable + off + 4 * i);
        fuzz.n_hot++;
    }
}

/* Own indices and the like, near to which the enemy's values lie; of wider ones the low word. */
FUZZ_BARE static inline void fuzz_around(const void *value)
{
    FUZZ_CHECK(fuzz.n_around < FUZZ_AROUND);
    fuzz.around[fuzz.n_around] = value;
    fuzz.n_around++;
}

/* A part from a chunk of a region. */
static inline struct fuzz_part fuzz_part_of(const struct fuzz_region *region,
                                            const struct crossvm_chunk *chunk)
{
    struct fuzz_part part;
    part.writable = (unsigned char *)region->writable.base + chunk->off;
    part.read_only = (unsigned char *)region->read_only.base + chunk->off;
    part.len = (size_t)chunk->length;
    part.off = chunk->off;
    part.enemy = false;
    return part;
}

/* Of a region only its chunks may be touched from now on; chunks lie behind each other. */
static inline void fuzz_region_close(const struct fuzz_region *region)
{
    ASAN_POISON_MEMORY_REGION(region->writable.base, region->table[0].off);
    ASAN_POISON_MEMORY_REGION(region->read_only.base, region->table[0].off);
}

/* ---- what an access is held to -------------------------------------------------------------- */

FUZZ_BARE static inline bool fuzz_inside(const unsigned char *at, size_t len,
                                         const unsigned char *first, size_t first_len)
{
    uintptr_t off = (uintptr_t)at - (uintptr_t)first;
    return off <= first_len && len <= first_len - off;
}

/* Whether the honest side may read there. */
FUZZ_BARE static inline bool fuzz_readable(const void *at, size_t len)
{
    for (unsigned i = 0; i < fuzz.n_parts; i++) {
        const struct fuzz_part *part = &fuzz.parts[i];
        const unsigned char *first = part->enemy ? part->read_only : part->writable;
        if (fuzz_inside((const unsigned char *)at, len, first, part->len)) {
            return true;
        }
    }
    return false;
}

/* Whether the honest side may write there. */
FUZZ_BARE static inline bool fuzz_writable(const void *at, size_t len)
{
    const unsigned char *first = (const unsigned char *)at;
    bool inside = false;
    for (unsigned i = 0; i < fuzz.n_parts && !inside; i++) {
        const struct fuzz_part *part = &fuzz.parts[i];
        inside = !part->enemy && fuzz_inside(first, len, part->writable, part->len);
    }
    for (unsigned i = 0; i < fuzz.n_kept; i++) {
        const struct fuzz_kept *kept = &fuzz.kept[i];
        inside = inside && (first + len <= kept->at || first >= kept->at + kept->len);
    }
    return inside;
}

/* ---- the enemy ------------------------------------------------------------------------------ */

FUZZ_BARE static inline uint32_t fuzz_near(uint32_t how)
{
    static const uint32_t distances[] = {0,
                                         1,
                                         (uint32_t)-1,
                                         2,
                                         (uint32_t)-2,
                                         3,
                                         4,
                                         7,
                                         8,
                                         9,
                                         15,
                                         16,
                                         17,
                                         (uint32_t)-7,
                                         (uint32_t)-8,
                                         (uint32_t)-9,
                                         0x7fffffffu,
                                         0x80000000u,
                                         0x80000001u};
    uint32_t base = 0;
    if (fuzz.n_around != 0) {
        __builtin_memcpy(&base, fuzz.around[how % fuzz.n_around], sizeof(base));
    }
    return base + distances[how / FUZZ_AROUND % FUZZ_ELEMENTS(distances)];
}

FUZZ_BARE static inline uint32_t fuzz_raw(void)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4 && fuzz.back > fuzz.front; i++) {
        fuzz.back--;
        value = value << 8 | *fuzz.back;
    }
    return value;
}

/* What stands in the word now is old. */
FUZZ_BARE static inline uint32_t fuzz_value(uint8_t how, uint32_t old)
{
    static const uint32_t values[] = {0,          1,          2,          3,           4,
                                      5,          8,          12,         16,          17,
                                      64,         127,        128,        129,         640,
                                      0x1fffffff, 0x3fffffff, 0x40000000, 0x40000001u, 0x7ffffff8,
                                      0x7fffffff, 0x80000000, 0x80000001, 0xfffffff0u, 0xfffffffeu,
                                      0xffffffff, 0xffffffc4, 0xffffffc3, 0xffffffe0u, 0x00010000};
    if (how < 96) {
        return fuzz_near(how);
    }
    if (how < 128) {
        return values[(how - 96u) % FUZZ_ELEMENTS(values)];
    }
    if (how < 160) {
        return old + (how - 144u);
    }
    if (how < 192) {
        return old ^ 1u << (how - 160u);
    }
    return fuzz_raw();
}

/* A word of the enemy's: often one that it likes best. */
FUZZ_BARE static inline struct crossvm_le32 *fuzz_word(uint8_t which)
{
    if (fuzz.n_hot != 0 && which < 192) {
        return fuzz.hot[which % fuzz.n_hot];
    }
    uint32_t word = fuzz.n_words == 0 ? 0 : (which * 37u + fuzz_raw() % 1024u) % fuzz.n_words;
    for (unsigned i = 0; i < fuzz.n_parts; i++) {
        const struct fuzz_part *part = &fuzz.parts[i];
        if (!part->enemy) {
            continue;
        }
        if (word < part->len / 4) {
            return (struct crossvm_le32 *)(void *)(part->writable + (size_t)word * 4);
        }
        word -= (uint32_t)(part->len / 4);
    }
    return NULL;
}

/* The enemy's next write: 00 none, 40 act, 80 and c0 a storm, else the word once. */
FUZZ_BARE static inline void fuzz_write(void)
{
    if (fuzz.back - fuzz.front < 3) {
        fuzz.pass = (unsigned long)-1;
        return;
    }
    fuzz.back -= 3;
    uint8_t when = fuzz.back[2];
    uint8_t which = fuzz.back[1];
    uint8_t how = fuzz.back[0];
    fuzz.pass = when & 0x1fu;
    if ((when & 0xe0u) == 0x40 && fuzz.act != NULL) {
        fuzz.act((uint32_t)which << 8 | how);
        return;
    }
    struct crossvm_le32 *word = fuzz_word(which);
    if (word == NULL) {
        return;
    }
    uint32_t old = crossvm_i_word(word);
    if ((when & 0xe0u) == 0x80) {
        fuzz.storm = fuzz.pass == 31 ? 4096 : (fuzz.pass + 1) * 8;
        fuzz.storm_at = word;
        fuzz.storm_by = how % 4;
        return;
    }
    __atomic_store_n(&word->i_bits, crossvm_i_swap_le32(fuzz_value(how, old)), __ATOMIC_RELAXED);
}

FUZZ_BARE static inline void fuzz_enemy(void)
{
    if (fuzz.storm != 0) {
        fuzz.storm--;
        crossvm_i_set_word(fuzz.storm_at, crossvm_i_word(fuzz.storm_at) + fuzz.storm_by);
        return;
    }
    if (fuzz.pass != 0) {
        fuzz.pass--;
        return;
    }
    fuzz_write();
}

FUZZ_BARE void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    if (!fuzz.calling) {
        return;
    }
    fuzz.seen++;
    if (fuzz.seen > fuzz.most) {
        fuzz_wrong("more shared accesses than a call may take", (long long)fuzz.most);
    }
    const void *at = (const void *)(uintptr_t)addr;
    if (access == CROSSVM_ACCESS_LOAD || access == CROSSVM_ACCESS_COPY_IN) {
        if (!fuzz_readable(at, len)) {
            fuzz_wrong("reads outside the parts", (long long)len);
        }
    } else if (access != CROSSVM_ACCESS_FENCE && !fuzz_writable(at, len)) {
        fuzz_wrong("writes where it may not", (long long)len);
    } else {
        fuzz.stores += access != CROSSVM_ACCESS_FENCE;
    }
    fuzz_enemy();
    if (access == CROSSVM_ACCESS_LOAD && fuzz.watch != NULL) {
        fuzz.watch(at);
    }
}

/* ---- what a call is held to ----------------------------------------------------------------- */

/* A set of statuses. */
#define FUZZ_S(status) (UINT64_C(1) << -(CROSSVM_##status))

FUZZ_BARE static inline void fuzz_begin(const char *name, unsigned long most)
{
    fuzz_call = name;
    fuzz.most = most;
    fuzz.seen = 0;
    fuzz.stores = 0;
    fuzz.calling = true;
}

FUZZ_BARE static inline int fuzz_end(int status, uint64_t answers, long long most)
{
    fuzz.calling = false;
    if (status < 0 && (status < CROSSVM_SYSTEM || (answers >> -status & 1) == 0)) {
        fuzz_wrong("answers what is not documented", status);
    }
    if (status > most) {
        fuzz_wrong("answers more than there can be", status);
    }
    return status;
}

/* A function that answers a status, or a number that is no more than `most`. */
#define FUZZ_ANY 0x7fffffffLL

/* Calls a function that answers a status or a number up to `most`. */
#define FUZZ_CALL(function, arguments, steps, answers, most) \
    (fuzz_begin(#function, (steps)), fuzz_end(function arguments, (answers), (most)))

/* Calls one that answers something else. */
#define FUZZ_PLAIN(function, arguments, steps) (fuzz_begin(#function, (steps)), function arguments)

FUZZ_BARE static inline void fuzz_done(void)
{
    fuzz.calling = false;
}

/* A handle's CORRUPT. */
struct fuzz_sticky {
    bool corrupt;
    struct crossvm_fault fault;
};

/* The last call's status, of one that shows CORRUPT, and the handle's record: once CORRUPT always
 * CORRUPT, by the same fault, which lies in a part. */
static inline void fuzz_sticky(struct fuzz_sticky *sticky, int status,
                               const struct crossvm_fault *fault, const struct fuzz_part *part)
{
    if (sticky->corrupt) {
        if (status != CROSSVM_CORRUPT) {
            fuzz_wrong("has forgotten that it was CORRUPT", status);
        }
        FUZZ_CHECK(memcmp(fault, &sticky->fault, sizeof(*fault)) == 0);
        return;
    }
    if (status != CROSSVM_CORRUPT) {
        FUZZ_CHECK(fault->rule == CROSSVM_RULE_NONE);
        return;
    }
    FUZZ_CHECK(fault->rule > CROSSVM_RULE_NONE && fault->rule < CROSSVM_RULE_COUNT);
    FUZZ_CHECK(fault->off >= part->off && fault->off < part->off + part->len);
    sticky->corrupt = true;
    sticky->fault = *fault;
}

/* ---- using what came out -------------------------------------------------------------------- */

/* May change while it is read: it is the enemy's. */
static inline void fuzz_use(const void *at, size_t len)
{
    const volatile unsigned char *bytes = (const volatile unsigned char *)at;
    uint32_t sum = fuzz.sink;
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + bytes[i];
    }
    fuzz.sink = sum;
}

static inline void fuzz_use_number(uint64_t number)
{
    fuzz.sink = fuzz.sink * 31 + (uint32_t)number + (uint32_t)(number >> 32);
}

/* In place, in the enemy's or the own part: may the honest side look there at all? */
static inline void fuzz_use_shared(const void *at, size_t len)
{
    FUZZ_CHECK(fuzz_readable(at, len));
    fuzz_use(at, len);
}

/* ---- states to begin with ------------------------------------------------------------------- */

/* Bytes to be put back at the beginning of a run, as they were when it was taken. */
struct fuzz_image {
    void *at[8];
    size_t len[8];
    unsigned char *copy[8];
    unsigned n;
};

static inline void fuzz_image_add(struct fuzz_image *image, void *at, size_t len)
{
    FUZZ_CHECK(image->n < FUZZ_ELEMENTS(image->at));
    image->at[image->n] = at;
    image->len[image->n] = len;
    image->copy[image->n] = (unsigned char *)malloc(len);
    FUZZ_CHECK(image->copy[image->n] != NULL);
    memcpy(image->copy[image->n], at, len);
    image->n++;
}

static inline void fuzz_image_restore(const struct fuzz_image *image)
{
    for (unsigned i = 0; i < image->n; i++) {
        memcpy(image->at[i], image->copy[i], image->len[i]);
    }
}

/* At the end of a run: what was to be kept is as it was in the image. */
static inline void fuzz_kept_check(const struct fuzz_image *image)
{
    for (unsigned i = 0; i < fuzz.n_kept; i++) {
        for (unsigned k = 0; k < image->n; k++) {
            const unsigned char *first = (const unsigned char *)image->at[k];
            if (fuzz_inside(fuzz.kept[i].at, fuzz.kept[i].len, first, image->len[k])) {
                FUZZ_CHECK(memcmp(fuzz.kept[i].at, image->copy[k] + (fuzz.kept[i].at - first),
                                  fuzz.kept[i].len) == 0);
            }
        }
    }
}

/* Bytes of a side's own that stand there when it comes back: up to n words of a part have other
 * values, the input's. The part's epoch is its region's owner's, and stays. */
static inline void fuzz_scribble(const struct fuzz_part *part, const uint8_t *offs, unsigned n_offs,
                                 unsigned n)
{
    for (unsigned i = 0; i < n && fuzz.back - fuzz.front >= 2; i++) {
        fuzz.back -= 2;
        unsigned off = offs[fuzz.back[1] % n_offs] * 4u;
        struct crossvm_le32 *word = (struct crossvm_le32 *)(void *)(part->writable + off);
        crossvm_i_set_word(word, fuzz_value(fuzz.back[0], crossvm_i_word(word)));
    }
}

#endif
