/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: an owner and three readers, each a thread; blocks go to one reader or to several, through
 * a queue of ids each. Readers keep blocks for a while, in any order: no block changes while one of
 * them has it. Contents are written and read by plain accesses, so that a thread sanitizer proves
 * that nothing but the pool and the queues orders them.
 */
#include "../support/pool.h"

#include <pthread.h>

enum {
    N = 16,
    LEN = 200,
    N_READERS = 3,
    MOST_KEPT = 5,
    N_SENT = 40000
};

static struct test_pool pool;
static unsigned long n_sent;
static bool ended; /* no more ids will come */

static bool push_to(uint32_t r, const struct test_pool_elem *elem)
{
    int status = crossvm_spsc_tx_push(&pool.side[r].tx, elem);
    CHECK(status == CROSSVM_OK || status == CROSSVM_FULL);
    return status == CROSSVM_OK;
}

static void *own(void *unused)
{
    uint64_t dice = 1;
    (void)unused;
    for (uint32_t value = 1; value <= n_sent && check_n_failed == 0;) {
        struct test_pool_elem elem;
        uint32_t block = 0;
        uint32_t readers = check_random(&dice) % 7 + 1;
        if (crossvm_pool_owner_allocate(&pool.owner, &block) != CROSSVM_OK) {
            if (crossvm_pool_owner_collect(&pool.owner) == 0) {
                (void)sched_yield();
            }
            continue;
        }
        elem.value = value;
        test_payload_fill(crossvm_pool_owner_raw(&pool.owner, block), LEN, value);
        CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, readers, &elem.id), CROSSVM_OK);
        for (uint32_t r = 0; r < N_READERS; r++) {
            if ((readers >> r & 1) != 0 && !push_to(r, &elem)) {
                CHECK(crossvm_pool_owner_recall(&pool.owner, block, 1u << r) >= 0);
            }
        }
        value++;
    }
    __atomic_store_n(&ended, true, __ATOMIC_RELEASE);
    return NULL;
}

struct kept {
    struct crossvm_pool_view views[MOST_KEPT];
    uint32_t values[MOST_KEPT];
    uint32_t n;
};

/* Gives one of those that are kept back, unchanged. */
static void give_one(struct crossvm_pool_reader *reader, struct kept *kept, uint32_t which)
{
    which %= kept->n;
    CHECK(test_payload_ok(kept->views[which].payload, LEN, kept->values[which]));
    CHECK_EQ(crossvm_pool_reader_give_back(reader, &kept->views[which]), CROSSVM_OK);
    kept->n--;
    kept->views[which] = kept->views[kept->n];
    kept->values[which] = kept->values[kept->n];
}

static void *read_all(void *which)
{
    const uint32_t *r = (const uint32_t *)which;
    struct test_pool_side *side = &pool.side[*r];
    struct kept kept;
    uint64_t dice = *r;
    kept.n = 0;
    while (check_n_failed == 0) {
        struct test_pool_elem elem;
        bool last = __atomic_load_n(&ended, __ATOMIC_ACQUIRE);
        int status = crossvm_spsc_rx_pop(&side->rx, &elem);
        if (status == CROSSVM_OK) {
            CHECK_EQ(crossvm_pool_reader_find(&side->reader, &elem.id, &kept.views[kept.n]),
                     CROSSVM_OK);
            CHECK_EQ(kept.views[kept.n].len, LEN);
            kept.values[kept.n] = elem.value;
            kept.n++;
        } else {
            CHECK_EQ(status, CROSSVM_EMPTY);
            if (last && kept.n == 0) {
                break;
            }
            (void)sched_yield();
        }
        if (kept.n == MOST_KEPT || (kept.n != 0 && (last || check_random(&dice) % 2 == 0))) {
            give_one(&side->reader, &kept, check_random(&dice));
        }
    }
    return NULL;
}

static void no_block_changes_while_a_reader_has_it(void)
{
    static const uint32_t numbers[N_READERS] = {0, 1, 2};
    pthread_t threads[N_READERS + 1];
    n_sent = N_SENT / CHECK_SHORTER * check_scale();
    test_pool_make_closed(&pool, N, LEN, N_READERS);
    test_pool_one_mapping(&pool);
    test_pool_open_owner(&pool);
    for (uint32_t r = 0; r < N_READERS; r++) {
        test_pool_open_reader(&pool, r);
    }
    test_pool_link(&pool);
    test_pool_queues_up(&pool);
    REQUIRE(pthread_create(&threads[N_READERS], NULL, own, NULL) == 0);
    for (uint32_t r = 0; r < N_READERS; r++) {
        void *number = (void *)(uintptr_t)&numbers[r];
        REQUIRE(pthread_create(&threads[r], NULL, read_all, number) == 0);
    }
    for (uint32_t i = 0; i <= N_READERS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    test_pool_account(&pool, N, 0);
    printf("%lu blocks sent\n", n_sent);
    test_pool_drop(&pool);
}

int main(void)
{
    test_guard();
    CASE(no_block_changes_while_a_reader_has_it);
    return check_done();
}
