/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner formats a region anew while a reader copies its header. What is accepted is one format's
 * header with that format's epoch.
 *
 * For the model checker the reader copies only those two words of the header that differ between
 * the formats, because each word multiplies the executions; and there is no checksum. (It would
 * find a mixture of two headers, but not an old header beside a new epoch.) A stress test copies
 * and judges the whole header.
 *
 *   FIRST  the region was never formatted before: its memory is zero
 *   LIST   the reader goes on and lists the directory
 *   MAJOR  the reader copies the format's major number, too (word 1 of a line, as an epoch is)
 */
#include "round.h"

#include "no_crc.h"

#include <crossvm/layout.h>

#if defined(CROSSVM_MODEL)
#define COPY_FROM offsetof(struct crossvm_region_shm, format_major)
#define AT(field) (offsetof(struct crossvm_region_shm, field) - COPY_FROM)

static inline void model_copy_link_id(void *dst, const void *src, size_t len)
{
    assert(len == sizeof(struct crossvm_region_shm) - COPY_FROM);
    crossvm_copy_in_strict((unsigned char *)dst + AT(link_id_lo),
                           (const unsigned char *)src + AT(link_id_lo), 8);
#if defined(MAJOR)
    crossvm_copy_in_strict(dst, src, 4);
#endif
}
#define crossvm_copy_in(dst, src, len) model_copy_link_id((dst), (src), (len))
#include <crossvm/region.h>
#undef crossvm_copy_in
#else
#include <crossvm/region.h>
#endif

#define LENGTH 768u

static MODEL_STATE struct __attribute__((aligned(128))) {
    struct crossvm_le32 words[LENGTH / 4];
} memory;

static const struct crossvm_region_plan plans[2] = {
    {.capacity = 1, .granule = 128, .link_id = 0x100000001ull},
    {.capacity = 1, .granule = 128, .link_id = 0x200000002ull},
};
static MODEL_STATE struct crossvm_mapping mapping;
static MODEL_STATE struct crossvm_region_owner owners[2];
static MODEL_STATE struct crossvm_chunk table[1];
static MODEL_STATE struct crossvm_region reader;
static MODEL_STATE uint32_t epoch_b;

static void format(unsigned i)
{
    assert(crossvm_region_owner_format(&owners[i], &mapping, &plans[i], table, 1) == CROSSVM_OK);
}

static void *format_anew(void *unused)
{
    (void)unused;
    format(1);
    return NULL;
}

#if defined(LIST)
static void list(uint32_t epoch)
{
    uint32_t total;
    reader.length = LENGTH;
    reader.granule = 128;
    reader.capacity = 1;
    crossvm_i_directory_set(&reader, epoch);
    int status = crossvm_region_list(&reader, NULL, 0, &total);
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
    assert(status == CROSSVM_STALE || total == 0);
}
#endif

static void *attach(void *unused)
{
    struct crossvm_region_shm header;
    uint32_t epoch;
    (void)unused;
    reader.base = (unsigned char *)&memory;
    int status = crossvm_i_header_copy(&reader, &header, &epoch);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_FORMATTED);
    if (status == CROSSVM_OK) {
        uint32_t format = crossvm_i_word(&header.link_id_lo);
        assert(crossvm_i_word(&header.magic) == CROSSVM_MAGIC);
        assert(crossvm_i_word(&header.link_id_hi) == format);
        assert(format == (epoch == epoch_b ? 2 : 1));
#if defined(MAJOR)
        assert(crossvm_i_word(&header.format_major) == CROSSVM_FORMAT_MAJOR);
#endif
#if !defined(CROSSVM_MODEL)
        assert(crossvm_i_header_judge(&reader, &mapping, &header) == CROSSVM_OK);
#endif
#if defined(LIST)
        list(epoch);
#endif
    }
    return NULL;
}

static void prepare(void)
{
    mapping.base = &memory;
    mapping.len = LENGTH;
    mapping.access = CROSSVM_READ_WRITE;
    epoch_b = 1;
#if !defined(FIRST)
    format(0);
    epoch_b = 2;
#endif
}

static void judge(void)
{
}

MODEL_PROGRAM(prepare, judge, format_anew, attach)
