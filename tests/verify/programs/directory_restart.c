/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner dies in front of its DIE-th store while it changes the directory; its heir adopts the
 * region and goes on, beside a reader. The directory is the one before or the one after, for the
 * heir and for the reader, which never sees an older one than before; nobody is called corrupt. A
 * generation is not given out twice. Afterwards exactly the chunks of the directory have their
 * epoch: those that stayed with their contents, new ones cleared; and a handle on "a" from before is
 * stale iff that chunk is gone.
 *
 *   DIE       stores that the owner lives to make
 *   ALLOCATE  "b" is allocated beside "a"
 *   RELEASE   "a" is released beside "b"
 *   RENEW     "a" is renewed beside "b"
 *   GOES_ON   the heir renews the other chunk while the reader still reads; else it does afterwards
 *   AGAIN     the reader finds and enters twice
 */
#include "round.h"

#if defined(ALLOCATE)
#define DIRECTORY_N 1
#endif
#if defined(RELEASE)
#define DIE_MORE 29 /* all words of an entry */
#else
#define DIE_MORE 118 /* and of a chunk that is cleared */
#endif
#include "mortal.h"

#include "directory.h"

#if defined(AGAIN)
#define TIMES 2
#else
#define TIMES 1
#endif
#define NEWEST (2u + DIRECTORY_N) /* the generation that the owner begins is the k-th */

static const struct directory_state states[] = {
#if defined(ALLOCATE)
#define CHANGED "b"
#define OTHER   0 /* entry of the chunk that the heir renews */
    {1, {{'a', 1, 0, 2}}},
    {2, {{'a', 1, 0, 2}, {'b', 2, 1, NEWEST}}},
#elif defined(RELEASE)
#define CHANGED "a"
#define OTHER   1
    {2, {{'a', 1, 0, 2}, {'b', 2, 1, 3}}},
    {1, {{'b', 2, 1, 3}}},
#else
#define CHANGED "a"
#define OTHER   1
    {2, {{'a', 1, 0, 2}, {'b', 2, 1, 3}}},
    {2, {{'a', 1, 0, NEWEST}, {'b', 2, 1, 3}}},
#endif
};

/* What the reader was told. */
struct answer {
    struct crossvm_chunk chunk;
    int found;
    int opened;
    int read;
    uint32_t words[2];
};

static MODEL_STATE struct crossvm_region_owner heir;
static MODEL_STATE struct crossvm_chunk heir_table[DIRECTORY_CAPACITY];
static MODEL_STATE unsigned adopted;                 /* states[adopted] is what the heir found */
static MODEL_STATE struct directory_state last;      /* and this is what it made of it */
static MODEL_STATE struct crossvm_bytes_reader held; /* "a" from before */
static MODEL_STATE struct answer answers[TIMES];

static void change(void)
{
#if defined(ALLOCATE)
    directory_allocate(&directory_owner, "b", &directory_b);
#elif defined(RELEASE)
    assert(crossvm_region_owner_release(&directory_owner, &directory_a) == CROSSVM_OK);
#else
    assert(crossvm_region_owner_renew(&directory_owner, &directory_a) == CROSSVM_OK);
#endif
}

/* The counter is the first store of all. */
static bool took_generation(void)
{
#if defined(RELEASE)
    return false;
#else
    return DIE > 0;
#endif
}

static void adopt(void)
{
    assert(crossvm_region_owner_adopt(&heir, &directory_mapping, &directory_plan, heir_table,
                                      DIRECTORY_CAPACITY) == CROSSVM_OK);
    if (!directory_lists(heir_table, heir.n_chunks, &states[0])) {
        adopted = 1;
    }
    assert(directory_lists(heir_table, heir.n_chunks, &states[adopted]));
    assert(!DIE_SPARES || adopted == 1);
    assert(heir.generation == DIRECTORY_GENERATION(NEWEST - 1 + took_generation()));
}

/* Renews the chunk that was not touched. */
static void go_on(void)
{
    const struct directory_state *state = &states[adopted];
    uint32_t index = OTHER < state->n ? OTHER : 0;
    struct crossvm_chunk chunk;
    chunk.id = heir_table[index].id;
    chunk.generation = heir_table[index].generation;
    chunk.off = heir_table[index].off;
    chunk.length = heir_table[index].length;
    assert(crossvm_region_owner_renew(&heir, &chunk) == CROSSVM_OK);
    last.n = state->n;
    for (uint32_t i = 0; i < state->n; i++) {
        last.entries[i].name = state->entries[i].name;
        last.entries[i].id = state->entries[i].id;
        last.entries[i].place = state->entries[i].place;
        last.entries[i].k = i == index ? NEWEST + took_generation() : state->entries[i].k;
    }
    assert(directory_lists(heir_table, heir.n_chunks, &last));
}

static void *own(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    change();
    model_restarts();
    adopt();
#if defined(GOES_ON)
    go_on();
#endif
    return NULL;
}

static void enter(struct answer *answer)
{
    struct crossvm_bytes_reader reader;
    answer->opened = crossvm_bytes_reader_open(&reader, &directory_region, &answer->chunk);
    if (answer->opened != CROSSVM_OK) {
        return;
    }
    answer->read = crossvm_bytes_reader_read(&reader, 0, answer->words, sizeof(answer->words));
}

static void *look(void *unused)
{
    (void)unused;
    for (int i = 0; i < TIMES; i++) {
        struct crossvm_chunk *chunk = &answers[i].chunk;
        answers[i].found =
            crossvm_region_find(&directory_region, CHANGED, CROSSVM_KIND_BYTES, 0, chunk);
        if (answers[i].found == CROSSVM_OK) {
            enter(&answers[i]);
        }
    }
    return NULL;
}

static void prepare(void)
{
    directory_prepare();
    assert(crossvm_bytes_reader_open(&held, &directory_region, &directory_a) == CROSSVM_OK);
}

/* ---- judging ------------------------------------------------------------------------------ */

/* The versions that there were, in order: two or three. */
static const struct directory_state *version(unsigned i)
{
    if (i == 0 || i == adopted) {
        return &states[i];
    }
    return i == adopted + 1u ? &last : NULL;
}

static bool is_old(uint32_t generation)
{
    return generation == DIRECTORY_GENERATION(2u) ||
           (DIRECTORY_N > 1 && generation == DIRECTORY_GENERATION(3u));
}

static bool stays(uint32_t generation)
{
    bool found = false;
    for (uint32_t i = 0; i < last.n; i++) {
        found = found || DIRECTORY_GENERATION(last.entries[i].k) == generation;
    }
    return found;
}

static void judge_entered(const struct answer *answer)
{
    uint32_t generation = answer->chunk.generation;
    bool going = !stays(generation);
#if defined(RENEW)
    bool coming = !is_old(generation);
#else
    bool coming = false;
#endif
    assert(answer->opened == CROSSVM_OK || (answer->opened == CROSSVM_STALE && (going || coming)));
    if (answer->opened != CROSSVM_OK) {
        return;
    }
    assert(answer->read == CROSSVM_OK || (answer->read == CROSSVM_STALE && going));
    for (unsigned i = 0; i < 2 && answer->read == CROSSVM_OK; i++) {
        assert(answer->words[i] == (is_old(generation) ? DIRECTORY_WORD(generation, i) : 0));
    }
}

static void judge_answers(void)
{
    unsigned seen = 0;
    for (int i = 0; i < TIMES; i++) {
        const struct answer *answer = &answers[i];
        while (version(seen) != NULL &&
               !directory_finds(answer->found, &answer->chunk, CHANGED[0], version(seen))) {
            seen++;
        }
        assert(version(seen) != NULL);
        if (answer->found == CROSSVM_OK) {
            judge_entered(answer);
        }
    }
}

static void judge_contents(void)
{
    for (uint32_t i = 0; i < last.n; i++) {
        const struct directory_chunk *chunk = &directory_memory.chunks[last.entries[i].place];
        uint32_t generation = DIRECTORY_GENERATION(last.entries[i].k);
        for (unsigned word = 0; word < 2; word++) {
            assert(crossvm_load_relaxed(&chunk->data[word]) ==
                   (is_old(generation) ? DIRECTORY_WORD(generation, word) : 0));
        }
    }
}

static void judge(void)
{
    uint32_t words[2];
#if !defined(GOES_ON)
    go_on();
#endif
    judge_answers();
    directory_judge_epochs(&last);
    judge_contents();
    int status = crossvm_bytes_reader_read(&held, 0, words, sizeof(words));
    if (stays(IMAGE_A)) {
        assert(status == CROSSVM_OK && words[0] == DIRECTORY_WORD(IMAGE_A, 0u));
        assert(words[1] == DIRECTORY_WORD(IMAGE_A, 1u));
    } else {
        assert(status == CROSSVM_STALE);
    }
}

MODEL_PROGRAM(prepare, judge, own, look)
