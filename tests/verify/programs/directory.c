/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner changes the directory while a reader finds, lists and enters chunks through its own
 * handle. What the reader is told is exactly one version of the directory, never an older one than
 * before; nobody is called corrupt. A chunk that it enters holds what its generation's writer
 * stored, or nothing yet, never the predecessor's contents; and it is stale only if a later version
 * has it no more, or while it is being renewed. In the end exactly the chunks of the last version
 * have their epochs.
 *
 *   ALLOCATE  "b" is allocated beside "a"
 *   RELEASE   "a" is released beside "b", which moves to the entry of "a"
 *   REUSE     "a" was released; "c" is allocated in its place, beside "b"
 *   RENEW     "a" is renewed beside "b"
 *   TWICE     "a" is released, then "b" renewed: the slot of the first version is written again
 *   FIND      the name that the reader finds; it enters what it found
 *   AGAIN     it does so twice
 *   LIST      it lists the directory (with FIND: afterwards)
 */
#include "round.h"

#if defined(ALLOCATE)
#define DIRECTORY_N 1
#endif

#include "directory.h"

#if !defined(FIND)
#define FIND  a
#define TIMES 0
#elif defined(AGAIN)
#define TIMES 2
#else
#define TIMES 1
#endif

#define QUOTED(text)    #text
#define QUOTE_OF(macro) QUOTED(macro)
#define N_STATES        (sizeof(states) / sizeof(states[0]))

#define A_BEFORE     \
    {                \
        'a', 1, 0, 2 \
    }
#define B_BEFORE     \
    {                \
        'b', 2, 1, 3 \
    }
#define NEWEST (2u + DIRECTORY_N) /* the generation that the owner begins is the k-th */

/* The versions of the directory that the reader may see. */
static const struct directory_state states[] = {
#if defined(ALLOCATE)
    {1, {A_BEFORE}},
    {2, {A_BEFORE, {'b', 2, 1, NEWEST}}},
#elif defined(RELEASE)
    {2, {A_BEFORE, B_BEFORE}},
    {1, {B_BEFORE}},
#elif defined(REUSE)
    {1, {B_BEFORE}},
    {2, {{'c', 3, 0, NEWEST}, B_BEFORE}},
#elif defined(RENEW)
    {2, {A_BEFORE, B_BEFORE}},
    {2, {{'a', 1, 0, NEWEST}, B_BEFORE}},
#else
    {2, {A_BEFORE, B_BEFORE}},
    {1, {B_BEFORE}},
    {1, {{'b', 2, 1, NEWEST}}},
#endif
};

static MODEL_STATE unsigned seen; /* the reader has seen no older version than this */

static void *own(void *unused)
{
    struct crossvm_region_owner *owner = &directory_owner;
    (void)unused;
#if defined(ALLOCATE)
    directory_allocate(owner, "b", &directory_b);
    directory_fill(owner, &directory_b);
#elif defined(REUSE)
    directory_allocate(owner, "c", &directory_a);
    directory_fill(owner, &directory_a);
#elif defined(RENEW)
    assert(crossvm_region_owner_renew(owner, &directory_a) == CROSSVM_OK);
    directory_fill(owner, &directory_a);
#else
    assert(crossvm_region_owner_release(owner, &directory_a) == CROSSVM_OK);
#endif
#if defined(TWICE)
    assert(crossvm_region_owner_renew(owner, &directory_b) == CROSSVM_OK);
    directory_fill(owner, &directory_b);
#endif
    return NULL;
}

/* The last version still has the chunk. */
static bool stays(const struct crossvm_chunk *chunk)
{
    const struct directory_state *last = &states[N_STATES - 1];
    bool found = false;
    for (uint32_t i = 0; i < last->n; i++) {
        found = found || directory_is(chunk, &last->entries[i]);
    }
    return found;
}

static void enter(const struct crossvm_chunk *chunk)
{
    struct crossvm_bytes_reader reader;
    uint32_t words[2];
    bool is_new = chunk->generation == DIRECTORY_GENERATION(NEWEST);
    int status = crossvm_bytes_reader_open(&reader, &directory_region, chunk);
#if defined(RENEW) || defined(TWICE)
    assert(status == CROSSVM_OK || (status == CROSSVM_STALE && (is_new || !stays(chunk))));
#else
    assert(status == CROSSVM_OK || (status == CROSSVM_STALE && !stays(chunk)));
#endif
    if (status != CROSSVM_OK) {
        return;
    }
    status = crossvm_bytes_reader_read(&reader, 0, words, sizeof(words));
    assert(status == CROSSVM_OK || (status == CROSSVM_STALE && !stays(chunk)));
    for (unsigned i = 0; i < 2 && status == CROSSVM_OK; i++) {
        assert(words[i] == DIRECTORY_WORD(chunk->generation, i) || (is_new && words[i] == 0));
    }
}

static void find(const char *name)
{
    struct crossvm_chunk chunk;
    int status = crossvm_region_find(&directory_region, name, CROSSVM_KIND_BYTES, 0, &chunk);
    while (seen < N_STATES && !directory_finds(status, &chunk, name[0], &states[seen])) {
        seen++;
    }
    assert(seen < N_STATES);
    if (status == CROSSVM_OK) {
        enter(&chunk);
    }
}

static inline void list(void)
{
    struct crossvm_chunk chunks[DIRECTORY_CAPACITY];
    uint32_t n;
    assert(crossvm_region_list(&directory_region, chunks, DIRECTORY_CAPACITY, &n) == CROSSVM_OK);
    while (seen < N_STATES && !directory_lists(chunks, n, &states[seen])) {
        seen++;
    }
    assert(seen < N_STATES);
}

static void *look(void *unused)
{
    (void)unused;
    for (int i = 0; i < TIMES; i++) {
        find(QUOTE_OF(FIND));
    }
#if defined(LIST)
    list();
#endif
    return NULL;
}

static void prepare(void)
{
    directory_prepare();
#if defined(REUSE)
    assert(crossvm_region_owner_release(&directory_owner, &directory_a) == CROSSVM_OK);
#endif
}

static void judge(void)
{
    directory_judge_epochs(&states[N_STATES - 1]);
#if !defined(CROSSVM_MODEL)
    seen = N_STATES - 1;
    list();
#endif
}

MODEL_PROGRAM(prepare, judge, own, look)
