/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/region.c - attaching to a region of 1, 100 and 10,000 chunks, which judges the whole
 * directory, and finding its last chunk, which judges it again.
 */
#include "../own.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_LEN 20u

struct state {
    struct crossvm_mapping mapping;
    struct crossvm_region region;
    char last[NAME_LEN];
};

static void chunk_name(char name[NAME_LEN], uint32_t i)
{
    (void)snprintf(name, NAME_LEN, "chunk-%05u", (unsigned)i);
}

static void *take(size_t n, size_t len)
{
    void *memory = calloc(n, len);
    bench_require(memory != NULL, "calloc");
    return memory;
}

/* A region of n chunks, made once: formatting it takes longer than a trial. */
static void make(struct state *state, uint32_t n)
{
    struct crossvm_chunk_decl *decls = take(n, sizeof(*decls));
    char(*names)[NAME_LEN] = take(n, sizeof(*names));
    struct crossvm_chunk *table = take(n, sizeof(*table));
    struct crossvm_region_plan plan = {
        .chunks = decls, .n_chunks = n, .granule = CROSSVM_GRANULE_MIN, .owner = PRODUCER};
    struct crossvm_region_owner owner;
    for (uint32_t i = 0; i < n; i++) {
        chunk_name(names[i], i);
        decls[i] = (struct crossvm_chunk_decl){names[i], CROSSVM_KIND_BYTES, 0, 8,
                                               PRODUCER, CROSSVM_ANYONE,     0, 0};
    }
    chunk_name(state->last, n - 1);
    bench_require(crossvm_region_plan_len(&plan, &state->mapping.len) == CROSSVM_OK,
                  "region_plan_len");
    state->mapping.base = aligned_alloc(4096, (state->mapping.len + 4095) / 4096 * 4096);
    bench_require(state->mapping.base != NULL, "aligned_alloc");
    state->mapping.access = CROSSVM_READ_WRITE;
    bench_require(crossvm_region_owner_format(&owner, &state->mapping, &plan, table, n) ==
                      CROSSVM_OK,
                  "region_owner_format");
    state->mapping.access = CROSSVM_READ_ONLY;
    bench_require(crossvm_region_attach(&state->region, &state->mapping, CONSUMER) == CROSSVM_OK,
                  "region_attach");
    free(table);
    free(names);
    free(decls);
}

static void *prepare(const struct bench_case *self)
{
    static struct state states[3];
    struct state *state = &states[self->capacity == 1 ? 0 : self->capacity == 100 ? 1 : 2];
    if (state->mapping.base == NULL) {
        make(state, self->capacity);
    }
    return state;
}

static uint64_t attach(const struct bench_turn *turn)
{
    struct state *state = turn->state;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < turn->n; i++) {
        wrong |= crossvm_region_attach(&state->region, &state->mapping, CONSUMER) != CROSSVM_OK;
    }
    return wrong;
}

static uint64_t find(const struct bench_turn *turn)
{
    struct state *state = turn->state;
    struct crossvm_chunk chunk;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < turn->n; i++) {
        wrong |= crossvm_region_find(&state->region, state->last, CROSSVM_KIND_BYTES, 0, &chunk) !=
                 CROSSVM_OK;
    }
    return wrong;
}

static uint64_t attach_and_find(const struct bench_turn *turn)
{
    struct bench_turn once = *turn;
    uint64_t wrong = 0;
    once.n = 1;
    for (uint64_t i = 0; i < turn->n; i++) {
        wrong |= attach(&once) | find(&once);
    }
    return wrong;
}

#define CASE(ROW, SIDE, CHUNKS, N)                                                                 \
    {                                                                                              \
        .row = "region/" #CHUNKS "/" ROW, .who = "crossvm", .n_sides = 1, .n_ops = N, .n_warm = 1, \
        .capacity = CHUNKS, .prepare = prepare, .side = {                                          \
            SIDE                                                                                   \
        }                                                                                          \
    }
#define CASES(CHUNKS, N)                                              \
    CASE("attach", attach, CHUNKS, N), CASE("find", find, CHUNKS, N), \
        CASE("attach-and-find", attach_and_find, CHUNKS, N)

static const struct bench_case cases[] = {CASES(1, 10000), CASES(100, 200), CASES(10000, 3)};

BENCH_REGISTER(cases)
