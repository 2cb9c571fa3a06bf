/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/pool_kill.c - readers, then owners, of a pool are killed by SIGKILL at random moments
 * and come back, while the other side lives on. Ids travel through a queue. In the end the account
 * is exact: every block is free.
 */
#include "../support/lives.h"
#include "../support/pool.h"

enum {
    N = 12,
    LEN = 200,
    N_KILLS = 40,
    N_ENOUGH = 3000 / CHECK_SHORTER,
    MOST_KEPT = 4
};

static struct test_pool pool;

/* Outlives the killed. */
static struct record {
    uint32_t n_read;  /* contents that a reader found whole */
    uint32_t n_again; /* ids that came again when the owner had the block back already */
    uint32_t value;   /* of the newest content */
    uint32_t ending;  /* the last reader drains the queue and ends */
} * record;

static bool keeps; /* readers keep blocks beyond their elements; else they give back first */

/* ---- steps ------------------------------------------------------------------------------------ */

static void send_something(void)
{
    struct test_pool_elem elem;
    uint32_t block = 0;
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    if (crossvm_pool_owner_allocate(&pool.owner, &block) != CROSSVM_OK) {
        (void)sched_yield();
        return;
    }
    elem.value = ++record->value;
    test_payload_fill(crossvm_pool_owner_raw(&pool.owner, block), LEN, elem.value);
    CHECK_EQ(crossvm_pool_owner_lend(&pool.owner, block, LEN, 1, &elem.id), CROSSVM_OK);
    int status = crossvm_spsc_tx_push(&pool.side[0].tx, &elem);
    CHECK(status == CROSSVM_OK || status == CROSSVM_FULL);
    if (status == CROSSVM_FULL) {
        CHECK_EQ(crossvm_pool_owner_recall(&pool.owner, block, 1), 1);
    }
}

/* Finds the oldest id's block. The status. again: the id may have been seen by a predecessor. */
static int find_next(struct crossvm_spsc_rx_span *span, struct crossvm_pool_view *view, bool again)
{
    struct test_pool_elem elem;
    struct test_pool_side *side = &pool.side[0];
    int status = crossvm_spsc_rx_peek(&side->rx, 1, span);
    if (status != CROSSVM_OK) {
        CHECK_EQ(status, CROSSVM_EMPTY);
        return status;
    }
    memcpy(&elem, crossvm_spsc_rx_span_at(span, 0), sizeof(elem));
    status = crossvm_pool_reader_find(&side->reader, &elem.id, view);
    if (status == CROSSVM_OK) {
        CHECK(test_payload_ok(view->payload, LEN, elem.value));
        CHECK_EQ(crossvm_pool_reader_check(&side->reader, view), CROSSVM_OK);
        record->n_read++;
        return status;
    }
    CHECK_EQ(status, CROSSVM_NOT_FOUND);
    CHECK(again);
    record->n_again++;
    return status;
}

/* Gives back, then releases: whoever dies in between sees the id again. */
static bool read_one(bool again)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    struct crossvm_pool_view view;
    struct test_pool_side *side = &pool.side[0];
    int status = find_next(&span, &view, again);
    if (status == CROSSVM_EMPTY) {
        return false;
    }
    if (status == CROSSVM_OK) {
        CHECK_EQ(crossvm_pool_reader_give_back(&side->reader, &view), CROSSVM_OK);
    }
    CHECK_EQ(crossvm_spsc_rx_release(&side->rx, 1), CROSSVM_OK);
    return true;
}

/* Releases, keeps a few, gives them back later: whoever dies takes them along. */
static bool keep_some(struct crossvm_pool_view *views, uint32_t *n_kept, bool again)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    struct test_pool_side *side = &pool.side[0];
    int status = *n_kept < MOST_KEPT ? find_next(&span, &views[*n_kept], again) : CROSSVM_EMPTY;
    if (status != CROSSVM_EMPTY) {
        CHECK_EQ(crossvm_spsc_rx_release(&side->rx, 1), CROSSVM_OK);
        *n_kept += status == CROSSVM_OK;
    } else if (*n_kept != 0) {
        (*n_kept)--;
        CHECK_EQ(crossvm_pool_reader_give_back(&side->reader, &views[*n_kept]), CROSSVM_OK);
    }
    return status != CROSSVM_EMPTY || *n_kept != 0;
}

/* ---- lives ------------------------------------------------------------------------------------ */

static void reader_life(uint32_t life)
{
    struct crossvm_pool_view views[MOST_KEPT];
    uint32_t n_kept = 0;
    struct test_pool_side *side = &pool.side[0];
    random_state += life;
    test_pool_open_reader(&pool, 0);
    int status = test_pool_open_rx(&pool, 0, life + 1);
    while (status == CROSSVM_NOT_YET) {
        (void)sched_yield();
        status = crossvm_spsc_rx_link(&side->rx, &side->region, &side->tx_chunk);
    }
    REQUIRE(status == CROSSVM_OK);
    /* Whoever gave back sees those ids again of which the release was not published yet, a quarter
     * of the queue at most; of forgotten readers all that was on its way is gone. */
    uint32_t n_seen = 0;
    while (check_n_failed == 0) {
        bool last = __atomic_load_n(&record->ending, __ATOMIC_ACQUIRE) != 0;
        bool some =
            keeps ? keep_some(views, &n_kept, life != 0) : read_one(n_seen <= TEST_POOL_QUEUE / 4);
        n_seen += some;
        if (!some && last) {
            break;
        }
        dawdle(life % 2 == 0);
    }
    test_child_done();
}

static pid_t start_reader(uint32_t life)
{
    pid_t child = test_fork();
    if (child == 0) {
        reader_life(life);
    }
    return child;
}

static void readers_die(void)
{
    unsigned long n_kills = N_KILLS / CHECK_SHORTER * check_scale();
    uint32_t life = 0;
    memset(record, 0, sizeof(*record));
    test_pool_make(&pool, N, LEN, 1);
    test_pool_queues_up(&pool);
    for (; (life < n_kills || record->n_read < N_ENOUGH) && check_n_failed == 0; life++) {
        uint32_t rounds = rounds_of_life();
        pid_t child = start_reader(life);
        for (uint32_t i = 0; i < rounds && check_n_failed == 0; i++) {
            send_something();
            dawdle(life % 2 == 1);
        }
        kill_and_wait(child);
        if (keeps) {
            CHECK(crossvm_pool_owner_forget(&pool.owner, 0) >= 0);
            test_pool_account(&pool, N, 0);
            test_pool_link(&pool);
        }
        uint32_t n_free = crossvm_pool_owner_n_free(&pool.owner);
        test_pool_account(&pool, n_free, N - n_free);
    }
    __atomic_store_n(&record->ending, 1, __ATOMIC_RELEASE);
    CHECK_EQ(test_wait(start_reader(life)), 0);
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    test_pool_account(&pool, N, 0);
    printf("%u readers killed, %u contents read, %u ids came again\n", life, record->n_read,
           record->n_again);
    test_pool_drop(&pool);
}

static void readers_that_give_back_first_lose_and_keep_nothing(void)
{
    keeps = false;
    readers_die();
}

static void what_readers_take_along_comes_back_when_they_are_forgotten(void)
{
    keeps = true;
    readers_die();
}

/* An owner that comes back sends what is lent again: it cannot know of the last one. */
static void send_again(void)
{
    for (uint32_t i = 0; i < N; i++) {
        struct test_pool_elem elem;
        if (crossvm_pool_owner_lent(&pool.owner, i, &elem.id) == 0) {
            continue;
        }
        uint64_t value = 0;
        memcpy(&value, (unsigned char *)(test_pool_header(&pool, i) + 1), sizeof(value));
        elem.value = (uint32_t)value;
        int status = crossvm_spsc_tx_push(&pool.side[0].tx, &elem);
        while (status == CROSSVM_FULL) {
            (void)sched_yield();
            status = crossvm_spsc_tx_push(&pool.side[0].tx, &elem);
        }
        CHECK_EQ(status, CROSSVM_OK);
    }
}

static void owner_opens(uint32_t life)
{
    struct test_pool_side *side = &pool.side[0];
    test_pool_open_owner(&pool);
    test_pool_link(&pool);
    uint32_t n_free = crossvm_pool_owner_n_free(&pool.owner);
    test_pool_account(&pool, n_free, N - n_free);
    int status = test_pool_open_tx(&pool, 0, life + 1);
    while (status == CROSSVM_NOT_YET) {
        (void)sched_yield();
        status = crossvm_spsc_tx_link(&side->tx, &side->own.reader, &side->rx_chunk);
    }
    REQUIRE(status == CROSSVM_OK);
}

static void owner_life(uint32_t life)
{
    random_state += life;
    owner_opens(life);
    send_again();
    while (check_n_failed == 0) {
        send_something();
        dawdle(life % 2 == 0);
    }
    test_child_done();
}

static void killed_owners_leave_blocks_to_their_successors(void)
{
    unsigned long n_kills = N_KILLS / CHECK_SHORTER * check_scale();
    uint32_t life = 0;
    memset(record, 0, sizeof(*record));
    test_pool_make(&pool, N, LEN, 1);
    test_pool_queues_up(&pool);
    for (; (life < n_kills || record->n_read < N_ENOUGH) && check_n_failed == 0; life++) {
        uint32_t rounds = rounds_of_life();
        pid_t child = test_fork();
        if (child == 0) {
            owner_life(life);
        }
        for (uint32_t i = 0; i < rounds && check_n_failed == 0; i++) {
            if (!read_one(true)) {
                (void)sched_yield();
            }
            dawdle(life % 2 == 1);
        }
        kill_and_wait(child);
    }
    owner_opens(life);
    while (read_one(true)) {
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    uint32_t n_free = crossvm_pool_owner_n_free(&pool.owner);
    test_pool_account(&pool, n_free, N - n_free);
    /* Lent, and never sent: by the last owner, in whose midst it died. */
    send_again();
    while (read_one(true)) {
    }
    CHECK(crossvm_pool_owner_collect(&pool.owner) >= 0);
    test_pool_account(&pool, N, 0);
    printf("%u owners killed, %u contents read, %u ids came again, %u were not sent\n", life,
           record->n_read, record->n_again, N - n_free);
    test_pool_drop(&pool);
}

int main(void)
{
    test_guard();
    random_state = 4711;
    record = (struct record *)lives_record(sizeof(*record));
    printf("seed %llu\n", (unsigned long long)random_state);
    CASE(readers_that_give_back_first_lose_and_keep_nothing);
    CASE(what_readers_take_along_comes_back_when_they_are_forgotten);
    CASE(killed_owners_leave_blocks_to_their_successors);
    return check_done();
}
