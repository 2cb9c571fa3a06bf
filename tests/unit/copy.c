/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h: every path copies exactly what was asked for, at every length and alignment, touches
 * nothing outside the words that it may touch, and the device paths use aligned words alone.
 *
 * The same source is built for each path: as it is, with CROSSVM_STRICT_C11, with -mavx2, and
 * freestanding.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <crossvm/copy.h>

#include <stdalign.h>
#include <string.h>

#include "../check.h"
#include "../support/access_log.h"

#if CHECK_OS
#include <sys/mman.h>
#include <unistd.h>
#endif

enum {
    LEN_MAX = 4112,
    MARGIN = 64,
    ALIGNMENTS = 16,
    ARENA = LEN_MAX + 2 * MARGIN + ALIGNMENTS
};

struct path {
    const char *name;
    void (*copy)(void *dst, const void *src, size_t len);
};

static const struct path in_paths[] = {
    {"crossvm_copy_in", crossvm_copy_in},
    {"crossvm_copy_in_strict", crossvm_copy_in_strict},
    {"crossvm_copy_in_device", crossvm_copy_in_device},
    {"crossvm_copy_take", crossvm_copy_take},
};

static const struct path out_paths[] = {
    {"crossvm_copy_out", crossvm_copy_out},
    {"crossvm_copy_out_strict", crossvm_copy_out_strict},
    {"crossvm_copy_out_device", crossvm_copy_out_device},
    {"crossvm_copy_put", crossvm_copy_put},
};

enum {
    N_PATHS = sizeof(in_paths) / sizeof(in_paths[0])
};

alignas(64) static unsigned char source[ARENA];
alignas(64) static unsigned char target[ARENA];
alignas(64) static unsigned char before[ARENA];

/* What lies around a copy: each byte another one, so that a moved neighbour shows. */
static void fill(unsigned char *bytes, size_t len, unsigned start)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(start + i * 7 + (i >> 8) * 3);
    }
}

static void failed(const char *name, const char *what, size_t len, size_t dst, size_t src)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "%s: %s, len %zu, dst + %zu, src + %zu", name, what, len,
                   dst, src);
    check_failed(__FILE__, __LINE__, text);
}

static void copy_once(const struct path *path, size_t len, size_t dst_align, size_t src_align)
{
    unsigned char *dst = target + MARGIN + dst_align;
    const unsigned char *src = source + MARGIN + src_align;
    size_t around = MARGIN + dst_align + len + MARGIN;
    memcpy(target, before, around);
    path->copy(dst, src, len);
    if (memcmp(dst, src, len) != 0) {
        failed(path->name, "contents differ", len, dst_align, src_align);
    }
    if (memcmp(target, before, (size_t)(dst - target)) != 0 ||
        memcmp(dst + len, before + (dst - target) + len, MARGIN) != 0) {
        failed(path->name, "a neighbour changed", len, dst_align, src_align);
    }
}

static void copy_at_every_alignment(const struct path *path, size_t len)
{
    for (size_t dst = 0; dst < ALIGNMENTS; dst++) {
        for (size_t src = 0; src < ALIGNMENTS; src++) {
            copy_once(path, len, dst, src);
        }
    }
}

/* Every length; on an emulated core every one of up to two blocks, and some of the others. */
static void copy_every_length(const struct path *path)
{
    for (size_t len = 0; len <= 300; len += len < 130 ? 1 : CHECK_SHORTER) {
        copy_at_every_alignment(path, len);
    }
    for (size_t len = 4096 - 16; len <= LEN_MAX; len += CHECK_OS ? 1 : 3 * CHECK_SHORTER - 1) {
        copy_at_every_alignment(path, len);
    }
}

static void every_length_and_alignment_is_exact(void)
{
    fill(source, sizeof(source), 1);
    fill(before, sizeof(before), 129);
    for (unsigned i = 0; i < N_PATHS; i++) {
        copy_every_length(&in_paths[i]);
        copy_every_length(&out_paths[i]);
    }
}

#if CHECK_OS

/* ---- pages that nothing may go beyond ------------------------------------------------------- */

/* One page between two that nobody may touch. */
static unsigned char *guarded_page(size_t page)
{
    void *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED);
    unsigned char *three = (unsigned char *)map;
    REQUIRE(mprotect(three + page, page, PROT_READ | PROT_WRITE) == 0);
    return three + page;
}

static void copy_flush(const struct path *path, unsigned char *dst, const unsigned char *src,
                       size_t len)
{
    path->copy(dst, src, len);
    if (memcmp(dst, src, len) != 0) {
        failed(path->name, "contents differ at the edge of a page", len, 0, 0);
    }
}

/* Both sides flush with the beginning, then with the end of their page: one byte more would end
 * the program. The shared side of a copy in is mapped read-only. */
static void nothing_beyond_the_page_is_touched(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *a = guarded_page(page);
    unsigned char *b = guarded_page(page);
    fill(a, page, 5);
    REQUIRE(mprotect(a, page, PROT_READ) == 0);
    for (unsigned i = 0; i < N_PATHS; i++) {
        for (size_t len = 0; len <= 300; len++) {
            copy_flush(&in_paths[i], b, a, len);
            copy_flush(&in_paths[i], b + page - len, a + page - len, len);
            copy_flush(&out_paths[i], b, a, len);
            copy_flush(&out_paths[i], b + page - len, a + page - len, len);
        }
    }
    REQUIRE(munmap(a - page, 3 * page) == 0);
    REQUIRE(munmap(b - page, 3 * page) == 0);
}

#endif

/* ---- zero ----------------------------------------------------------------------------------- */

static void zero_clears_exactly_what_it_was_given(void)
{
    static const unsigned char zeros[ARENA] = {0};
    fill(before, sizeof(before), 77);
    for (size_t off = MARGIN; off < MARGIN + 64; off += 8) {
        for (size_t len = 0; len <= 4096; len += len < 256 ? 8 : 960) {
            memcpy(target, before, sizeof(target));
            crossvm_copy_zero(target + off, len);
            CHECK(memcmp(target + off, zeros, len) == 0);
            CHECK(memcmp(target, before, off) == 0);
            CHECK(memcmp(target + off + len, before + off + len, ARENA - off - len) == 0);
        }
    }
}

/* ---- device --------------------------------------------------------------------------------- */

#if ACCESS_LOG

/* Words that [off, off + len) lies in. */
static unsigned n_words(size_t off, size_t len)
{
    return len == 0 ? 0 : (unsigned)((off + len - 1) / 4 - off / 4 + 1);
}

/* Each word is read once, in order, by an access that begins on it. */
static void device_in(unsigned char *shared, size_t page, size_t off, size_t len)
{
    unsigned char copy[64];
    access_log_begin(shared, page);
    crossvm_copy_in_device(copy, shared + off, len);
    access_log_end();
    CHECK_EQ(access_log.n, n_words(off, len));
    for (unsigned i = 0; i < access_log.n && i < ACCESS_LOG_MAX; i++) {
        CHECK_EQ(access_log.off[i], off / 4 * 4 + 4 * (size_t)i);
        CHECK(!access_log.write[i]);
    }
    CHECK(memcmp(copy, shared + off, len) == 0);
}

/* Each word is written once, in order; one that is not covered whole is read before. */
static void device_out(unsigned char *shared, size_t page, size_t off, size_t len)
{
    unsigned char copy[64];
    unsigned seen = 0;
    fill(copy, sizeof(copy), (unsigned)(off * 5 + len));
    access_log_begin(shared, page);
    crossvm_copy_out_device(shared + off, copy, len);
    access_log_end();
    for (size_t word = off / 4 * 4; len != 0 && word < off + len; word += 4) {
        if (word < off || word + 4 > off + len) {
            CHECK_EQ(access_log.off[seen], word);
            CHECK(!access_log.write[seen]);
            seen++;
        }
        CHECK_EQ(access_log.off[seen], word);
        CHECK(access_log.write[seen]);
        seen++;
    }
    CHECK_EQ(access_log.n, seen);
    CHECK(memcmp(copy, shared + off, len) == 0);
}

/* One access a word, each beginning on its word, moves 32 bits; a wider one would reach beyond the
 * page's end, where the last word lies, and end the program. */
static void device_copies_use_aligned_words_alone(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *shared = guarded_page(page);
    fill(shared, page, 3);
    for (size_t len = 0; len <= 24; len++) {
        for (size_t off = 0; off < 8; off++) {
            device_in(shared, page, off, len);
            device_out(shared, page, off, len);
        }
        for (size_t end = 0; end < 8; end++) {
            device_in(shared, page, page - len - end, len);
            device_out(shared, page, page - len - end, len);
        }
    }
    REQUIRE(munmap(shared - page, 3 * page) == 0);
}

#else

static void device_copies_use_aligned_words_alone(void)
{
    printf("  not looked at: accesses can be logged on x86-64 without the thread sanitizer only\n");
}

#endif

int main(void)
{
#if !CROSSVM_I_COPY_FAST
    printf("path: strict, %zu bytes a word\n", CROSSVM_I_UNIT);
#elif defined(CROSSVM_I_AVX2)
    printf("path: fast, %s\n", CROSSVM_I_AVX2 ? "AVX2" : "SSE2");
#elif defined(__x86_64__)
    printf("path: fast, SSE2\n");
#else
    printf("path: fast, LDP and STP\n");
#endif
    CASE(every_length_and_alignment_is_exact);
#if CHECK_OS
    CASE(nothing_beyond_the_page_is_touched);
#endif
    CASE(zero_clears_exactly_what_it_was_given);
    CASE(device_copies_use_aligned_words_alone);
    return check_done();
}
