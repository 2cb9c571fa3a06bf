/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner formats a region anew while a reader copies its header. What is accepted is one format's
 * header with that format's epoch.
 *
 * Of the header the reader copies the two words that differ between the formats, because each word
 * multiplies the executions; and the checksum is none here, because it is made of bytes. (It would
 * find a mixture of two headers, but not an old header beside a new epoch.)
 *
 *   FIRST  the region was never formatted before: its memory is zero
 *   LIST   the reader goes on and lists the directory
 *   MAJOR  the reader copies the format's major number, too (word 1 of a line, as an epoch is)
 */
#include <assert.h>
#include <pthread.h>

#include <crossvm/checksum.h>
#include <crossvm/layout.h>

static inline uint32_t model_crc(uint32_t crc, const void *data, size_t len)
{
    (void)data;
    (void)len;
    return crc;
}
#define crossvm_crc32c model_crc

#define AT_LINK_ID offsetof(struct crossvm_region_shm, link_id_lo)

static inline void model_copy_link_id(void *dst, const void *src)
{
    crossvm_copy_in_strict((unsigned char *)dst + AT_LINK_ID,
                           (const unsigned char *)src + AT_LINK_ID, 8);
#if defined(MAJOR)
    crossvm_copy_in_strict((unsigned char *)dst + 4, (const unsigned char *)src + 4, 4);
#endif
}
#define crossvm_copy_in(dst, src, len) model_copy_link_id((dst), (src))
#include <crossvm/region.h>
#undef crossvm_copy_in

#define LENGTH 768u

static struct __attribute__((aligned(128))) {
    struct crossvm_le32 words[LENGTH / 4];
} memory;

static const struct crossvm_region_plan plan_a = {
    .capacity = 1, .granule = 128, .link_id = 0x100000001ull};
static const struct crossvm_region_plan plan_b = {
    .capacity = 1, .granule = 128, .link_id = 0x200000002ull};
static struct crossvm_mapping mapping;
static struct crossvm_region_owner owner_a;
static struct crossvm_region_owner owner_b;
static struct crossvm_chunk table[1];
static struct crossvm_region reader;
static uint32_t epoch_b;

static void *format(void *unused)
{
    (void)unused;
    assert(crossvm_region_owner_format(&owner_b, &mapping, &plan_b, table, 1) == CROSSVM_OK);
    return NULL;
}

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
        assert(crossvm_i_word(&header.link_id_hi) == format);
        assert(format == (epoch == epoch_b ? 2 : 1));
#if defined(MAJOR)
        assert(crossvm_i_word(&header.format_major) == CROSSVM_FORMAT_MAJOR);
#endif
#if defined(LIST)
        uint32_t total;
        reader.length = LENGTH;
        reader.granule = 128;
        reader.capacity = 1;
        crossvm_i_directory_set(&reader, epoch);
        status = crossvm_region_list(&reader, NULL, 0, &total);
        assert(status == CROSSVM_OK || status == CROSSVM_STALE);
        assert(status == CROSSVM_STALE || total == 0);
#endif
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    mapping.base = &memory;
    mapping.len = LENGTH;
    mapping.access = CROSSVM_READ_WRITE;
    epoch_b = 1;
#if !defined(FIRST)
    assert(crossvm_region_owner_format(&owner_a, &mapping, &plan_a, table, 1) == CROSSVM_OK);
    epoch_b = 2;
#endif
    pthread_create(&threads[0], NULL, format, NULL);
    pthread_create(&threads[1], NULL, attach, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
