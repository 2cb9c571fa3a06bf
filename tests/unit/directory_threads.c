/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/directory_threads.c - the owner allocates, renews and releases flat out, while threads
 * and a process with a read-only mapping look: every listing is exactly one of the directories that
 * the owner published, in their order, and a chunk that can be read holds nothing of its
 * predecessor's in the same memory.
 *
 * What the owner does is the same in every run: a first run alone writes down the directories.
 */
#include "../support/damage.h"

#include <pthread.h>
#include <sys/wait.h>

enum {
    CAPACITY = 6,
    N_NAMES = 5,
    N_READERS = 2,
    MAX_WORDS = 112, /* 448 bytes of data in the largest chunk */
    SECONDS = 120    /* only against hanging */
};

static const struct crossvm_region_plan plan = TEST_PLAN(NULL, 0, CAPACITY, 128, 2048, PARTY_A);

static const char *const names[N_NAMES] = {"a", "b", "c", "d", "e"};

struct listing {
    struct crossvm_chunk chunks[CAPACITY];
    uint32_t n;
};

static struct listing *expected; /* after each step of the owner's */
static uint32_t n_steps;

/* ---- the owner -------------------------------------------------------------------------------- */

/* Every word of the chunk becomes its generation: a word of another chunk's is thus recognised. It
 * is done at the end of the chunk's life, so that whoever uses the memory next finds it full. */
static void fill(const struct crossvm_region *region, const struct crossvm_chunk *chunk)
{
    struct crossvm_bytes_writer writer;
    uint32_t words[MAX_WORDS];
    for (uint32_t i = 0; i < MAX_WORDS; i++) {
        words[i] = chunk->generation;
    }
    REQUIRE(crossvm_bytes_writer_open(&writer, region, chunk) == CROSSVM_OK);
    REQUIRE(crossvm_bytes_writer_write(&writer, 0, words, (size_t)chunk->len) == CROSSVM_OK);
}

struct owner_state {
    struct crossvm_chunk held[N_NAMES];
    bool is_held[N_NAMES];
    uint64_t seed;
};

static void release(struct crossvm_region_owner *owner, struct owner_state *state, uint32_t k)
{
    struct crossvm_chunk again = state->held[k];
    fill(&owner->region, &again);
    CHECK_EQ(crossvm_region_owner_release(owner, &state->held[k]), CROSSVM_OK);
    int twice = crossvm_region_owner_release(owner, &again);
    CHECK_EQ(twice, CROSSVM_NOT_FOUND);
    state->is_held[k] = false;
}

/* One step: a chunk that is there is renewed or released, one that is not is allocated. Exactly one
 * directory is published, unless there is no room. */
static void step(struct crossvm_region_owner *owner, struct owner_state *state)
{
    uint32_t k = check_random(&state->seed) % N_NAMES;
    uint32_t choice = check_random(&state->seed) % 4;
    struct crossvm_chunk_decl decl = {names[k], CROSSVM_KIND_BYTES, 0, 64 * (1 + choice * 2),
                                      PARTY_A,  CROSSVM_ANYONE,     0, 0};
    if (state->is_held[k] && choice == 0) {
        fill(&owner->region, &state->held[k]);
        CHECK_EQ(crossvm_region_owner_renew(owner, &state->held[k]), CROSSVM_OK);
    } else if (state->is_held[k]) {
        release(owner, state, k);
    } else {
        int status = crossvm_region_owner_allocate(owner, &decl, &state->held[k]);
        CHECK(status == CROSSVM_OK || status == CROSSVM_NO_SPACE);
        state->is_held[k] = status == CROSSVM_OK;
    }
}

/* The last step: a chunk by which readers know that it is over. */
static void finish(struct crossvm_region_owner *owner, struct owner_state *state)
{
    static const struct crossvm_chunk_decl decl = {"end",   CROSSVM_KIND_WAKE, 0, 0,
                                                   PARTY_A, CROSSVM_ANYONE,    0, 0};
    struct crossvm_chunk chunk;
    for (uint32_t k = 0; k < N_NAMES; k++) {
        if (state->is_held[k]) {
            release(owner, state, k);
        }
    }
    CHECK_EQ(crossvm_region_owner_allocate(owner, &decl, &chunk), CROSSVM_OK);
}

static void write_down(const struct crossvm_region_owner *owner, uint32_t at)
{
    struct listing *listing = &expected[at];
    memset(listing, 0, sizeof(*listing));
    listing->n = owner->n_chunks;
    memcpy(listing->chunks, owner->table, owner->n_chunks * sizeof(listing->chunks[0]));
}

/* All steps on a new region; writes the directories down, or only does the work. */
static void work(struct crossvm_region_owner *owner, bool writing_down)
{
    struct owner_state state;
    memset(&state, 0, sizeof(state));
    state.seed = 3;
    for (uint32_t i = 0; i < n_steps; i++) {
        if (writing_down) {
            write_down(owner, i);
        }
        step(owner, &state);
    }
    if (writing_down) {
        write_down(owner, n_steps);
    }
    finish(owner, &state);
}

static void write_down_what_is_to_come(void)
{
    struct test_region region;
    n_steps = (uint32_t)(10000 * check_scale());
    expected = (struct listing *)calloc(n_steps + 1, sizeof(*expected));
    REQUIRE(expected != NULL);
    test_region_make(&region, &plan, PARTY_B);
    work(&region.owner, true);
    test_region_drop(&region);
}

/* ---- a reader ---------------------------------------------------------------------------------- */

struct reader {
    struct crossvm_region region;
    uint32_t at; /* the step whose directory was seen last */
    unsigned long n_listings;
    unsigned long n_read;
    unsigned long n_stale;
    unsigned long n_wrong;
};

static bool listing_equal(const struct listing *a, const struct listing *b)
{
    return a->n == b->n && memcmp(a->chunks, b->chunks, a->n * sizeof(a->chunks[0])) == 0;
}

static bool is_over(const struct listing *listing)
{
    return listing->n == 1 && listing->chunks[0].kind == CROSSVM_KIND_WAKE;
}

/* The chunk's words are 0 or its generation, or it is another chunk's memory by now. */
static void read_chunk(struct reader *reader, const struct crossvm_chunk *chunk)
{
    struct crossvm_bytes_reader bytes;
    uint32_t words[MAX_WORDS];
    int status = crossvm_bytes_reader_open(&bytes, &reader->region, chunk);
    if (status == CROSSVM_OK) {
        status = crossvm_bytes_reader_read(&bytes, 0, words, (size_t)chunk->len);
    }
    if (status == CROSSVM_STALE) {
        reader->n_stale++;
        return;
    }
    reader->n_wrong += status != CROSSVM_OK;
    reader->n_read++;
    for (uint32_t i = 0; status == CROSSVM_OK && i < chunk->len / 4; i++) {
        reader->n_wrong += words[i] != 0 && words[i] != chunk->generation;
    }
}

/* A listing is the directory of a step that was not passed yet, or one of the last ones, when
 * everything is being released. */
static void judge_listing(struct reader *reader, const struct listing *seen)
{
    uint32_t at = reader->at;
    while (at <= n_steps && !listing_equal(seen, &expected[at])) {
        at++;
    }
    if (at <= n_steps) {
        reader->at = at;
        return;
    }
    /* Releasing: each chunk is one of the last directory's. */
    reader->at = n_steps;
    for (uint32_t i = 0; i < seen->n; i++) {
        bool known = false;
        for (uint32_t k = 0; k < expected[n_steps].n; k++) {
            known |= memcmp(&seen->chunks[i], &expected[n_steps].chunks[k],
                            sizeof(seen->chunks[i])) == 0;
        }
        reader->n_wrong += !known;
    }
}

static void find_chunk(struct reader *reader)
{
    struct crossvm_chunk chunk;
    const char *name = names[reader->n_listings % N_NAMES];
    int status = crossvm_region_find(&reader->region, name, CROSSVM_KIND_BYTES, 0, &chunk);
    if (status == CROSSVM_OK) {
        reader->n_wrong += strcmp(chunk.name, name) != 0;
        read_chunk(reader, &chunk);
    } else if (status != CROSSVM_NOT_FOUND && status != CROSSVM_TORN) {
        reader->n_wrong++;
    }
}

static void look_until_it_is_over(struct reader *reader)
{
    struct listing seen;
    memset(&seen, 0, sizeof(seen));
    while (!is_over(&seen)) {
        int status = crossvm_region_list(&reader->region, seen.chunks, CAPACITY, &seen.n);
        if (status == CROSSVM_TORN) {
            seen.n = 0;
            continue;
        }
        if (status != CROSSVM_OK) {
            reader->n_wrong++;
            return;
        }
        reader->n_listings++;
        if (is_over(&seen)) {
            continue;
        }
        judge_listing(reader, &seen);
        for (uint32_t i = 0; i < seen.n; i++) {
            read_chunk(reader, &seen.chunks[i]);
        }
        find_chunk(reader);
    }
}

static void *reader_thread(void *argument)
{
    look_until_it_is_over((struct reader *)argument);
    return NULL;
}

static void report(const struct reader *reader)
{
    printf("  %lu listings, %lu chunks read, %lu stale\n", reader->n_listings, reader->n_read,
           reader->n_stale);
    CHECK(reader->n_listings > 0);
    CHECK_EQ(reader->n_wrong, 0);
}

/* ---- threads ------------------------------------------------------------------------------------- */

/* The readers look through the owner's own addresses: so a sanitizer sees both sides. */
static void threads_see_only_what_was_published(void)
{
    static struct reader readers[N_READERS];
    pthread_t threads[N_READERS];
    struct test_region region;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_mapping same = region.writable;
    same.access = CROSSVM_READ_ONLY;
    for (int i = 0; i < N_READERS; i++) {
        memset(&readers[i], 0, sizeof(readers[i]));
        REQUIRE(crossvm_region_attach(&readers[i].region, &same, PARTY_B) == CROSSVM_OK);
        REQUIRE(pthread_create(&threads[i], NULL, reader_thread, &readers[i]) == 0);
    }
    work(&region.owner, false);
    for (int i = 0; i < N_READERS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
        report(&readers[i]);
    }
    test_region_drop(&region);
}

/* ---- a process ------------------------------------------------------------------------------------- */

/* The child has no mapping but the read-only one. */
static void child(const struct test_region *region)
{
    static struct reader reader;
    unsigned long failed_before = check_n_failed;
    REQUIRE(munmap(region->writable.base, (size_t)region->writable.len) == 0);
    (void)alarm(SECONDS);
    REQUIRE(crossvm_region_attach(&reader.region, &region->read_only, PARTY_B) == CROSSVM_OK);
    look_until_it_is_over(&reader);
    report(&reader);
    (void)fflush(stdout);
    _exit(check_n_failed == failed_before ? 0 : 1);
}

static void a_process_sees_only_what_was_published(void)
{
    struct test_region region;
    int status;
    test_region_make(&region, &plan, PARTY_B);
    (void)fflush(stdout);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        child(&region);
    }
    work(&region.owner, false);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    test_region_drop(&region);
}

int main(void)
{
    (void)alarm(SECONDS);
    write_down_what_is_to_come();
    CASE(threads_see_only_what_was_published);
    CASE(a_process_sees_only_what_was_published);
    free(expected);
    return check_done();
}
