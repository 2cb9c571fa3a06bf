/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner wipes a BYTES chunk and starts it anew under a reader, and another party writes the new
 * generation. A copy that counts holds no word of another generation than the handle's.
 */
#include "round.h"

#include "memory.h"

#include <crossvm/bytes.h>

#define OLD      1u
#define NEW      2u
#define OLD_WORD 11u
#define NEW_WORD 22u

static MODEL_STATE struct __attribute__((aligned(128))) {
    unsigned char front[MEMORY_FRONT];
    struct crossvm_chunk_shm control;
    struct crossvm_le32 data[32];
} memory;

static MODEL_STATE struct crossvm_region regions[3];
static MODEL_STATE struct crossvm_chunk chunk_old;
static MODEL_STATE struct crossvm_chunk chunk_new;
static MODEL_STATE struct crossvm_bytes_writer old_writer;
static MODEL_STATE struct crossvm_bytes_writer new_writer;
static MODEL_STATE struct crossvm_bytes_reader old_reader;
static MODEL_STATE struct crossvm_bytes_reader new_reader;

static void *renew(void *unused)
{
    (void)unused;
    crossvm_i_wipe(&regions[MEMORY_OWNER], chunk_new.off, chunk_new.length);
    crossvm_i_chunk_start(&regions[MEMORY_OWNER], &chunk_new);
    return NULL;
}

static void *write_new(void *unused)
{
    uint32_t words[2];
    (void)unused;
    words[0] = NEW_WORD;
    words[1] = NEW_WORD;
    if (crossvm_bytes_writer_open(&new_writer, &regions[MEMORY_WRITER], &chunk_new) == CROSSVM_OK) {
        assert(crossvm_bytes_writer_write(&new_writer, 0, words, sizeof(words)) == CROSSVM_OK);
    }
    return NULL;
}

static void *read_some(void *unused)
{
    uint32_t words[2];
    (void)unused;
    int status = crossvm_bytes_reader_read(&old_reader, 0, words, sizeof(words));
    assert(status == CROSSVM_OK || status == CROSSVM_STALE);
    if (status == CROSSVM_OK) {
        assert(words[0] == OLD_WORD && words[1] == OLD_WORD);
    }
    if (crossvm_bytes_reader_open(&new_reader, &regions[MEMORY_READER], &chunk_new) == CROSSVM_OK) {
        status = crossvm_bytes_reader_read(&new_reader, 0, words, sizeof(words));
        assert(status == CROSSVM_OK);
        assert(words[0] == 0 || words[0] == NEW_WORD);
        assert(words[1] == 0 || words[1] == NEW_WORD);
    }
    return NULL;
}

static void prepare(void)
{
    uint32_t words[2];
    words[0] = OLD_WORD;
    words[1] = OLD_WORD;
    for (uint32_t party = 0; party < 3; party++) {
        memory_region(&regions[party], &memory, sizeof(memory), party);
    }
    memory_chunk(&chunk_old, CROSSVM_KIND_BYTES, 0, 128, 256, OLD);
    memory_chunk(&chunk_new, CROSSVM_KIND_BYTES, 0, 128, 256, NEW);
    crossvm_i_chunk_start(&regions[MEMORY_OWNER], &chunk_old);
    assert(crossvm_bytes_writer_open(&old_writer, &regions[MEMORY_WRITER], &chunk_old) ==
           CROSSVM_OK);
    assert(crossvm_bytes_writer_write(&old_writer, 0, words, sizeof(words)) == CROSSVM_OK);
    assert(crossvm_bytes_reader_open(&old_reader, &regions[MEMORY_READER], &chunk_old) ==
           CROSSVM_OK);
}

/* Nothing that the new writer stored was wiped afterwards. */
static void judge(void)
{
    uint32_t words[2];
    if (new_writer.control != NULL) {
        crossvm_copy_in_strict(words, memory.data, sizeof(words));
        assert(words[0] == NEW_WORD && words[1] == NEW_WORD);
    }
}

MODEL_PROGRAM(prepare, judge, renew, write_new, read_some)
