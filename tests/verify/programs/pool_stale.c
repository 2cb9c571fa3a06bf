/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner takes a block away from a reader that is looking at it, and fills it with something
 * else; another reader guesses the next id, which nobody gave it. Whoever is told that a copy is
 * good has one content, whole. START: see pool.h.
 */
#include "round.h"

#include "pool.h"

static MODEL_STATE struct crossvm_pool_reader guesser;

static void fill_and_lend(uint32_t generation)
{
    struct crossvm_pool_id id;
    uint32_t words[2];
    uint32_t block = 0;
    words[0] = model_pool_word(generation, 0);
    words[1] = model_pool_word(generation, 1);
    assert(crossvm_pool_owner_allocate(&pool_owner, &block) == CROSSVM_OK);
    assert(crossvm_pool_owner_put(&pool_owner, block, 0, words, 8) == CROSSVM_OK);
    assert(crossvm_pool_owner_lend(&pool_owner, block, 8, 1, &id) == CROSSVM_OK);
    assert(crossvm_i_word(&id.generation) == generation);
}

static void *refill(void *unused)
{
    (void)unused;
    assert(crossvm_pool_owner_recall(&pool_owner, 0, 1) == 1);
    fill_and_lend(4);
    return NULL;
}

static void look(struct crossvm_pool_reader *reader, uint32_t generation)
{
    struct crossvm_pool_id id;
    struct crossvm_pool_view view;
    uint32_t words[2];
    model_pool_id(&id, 0, generation);
    int status = crossvm_pool_reader_copy(reader, &id, words, 8, &view);
    assert(status == CROSSVM_OK || status == CROSSVM_TORN || status == CROSSVM_NOT_FOUND);
    if (status == CROSSVM_OK) {
        assert(view.len == 8);
        assert(words[0] == model_pool_word(generation, 0));
        assert(words[1] == model_pool_word(generation, 1));
    }
}

static void *look_at_the_old(void *unused)
{
    (void)unused;
    look(&pool_reader, 2);
    return NULL;
}

static void *guess_the_new(void *unused)
{
    (void)unused;
    look(&guesser, 4);
    return NULL;
}

static void prepare(void)
{
    model_pool_up();
    model_pool_open_reader(&guesser);
    fill_and_lend(2);
}

static void judge(void)
{
    assert(pool_reader.fault.rule == CROSSVM_RULE_NONE && guesser.fault.rule == CROSSVM_RULE_NONE);
}

MODEL_PROGRAM(prepare, judge, refill, look_at_the_old, guess_the_new)
