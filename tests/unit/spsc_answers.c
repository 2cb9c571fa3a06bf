/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc_answers.c - a producer answers one request number a second time while the
 * consumer reads the answer: found by a review by others. A consumer that read the number of one
 * answer with the words of the other once called the honest producer corrupt.
 *
 * Every state of the producer's part during its second answer is recorded. Then the consumer links
 * again and again: it begins with the first answer, and at every pair of its shared accesses sees
 * the second answer partly and then wholly written.
 */
#include "../support/hook.h"

#include "../support/queue.h"

enum {
    MAX_STATES = 200,
    LEN = 8
};

static struct queue queue;
static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

static struct crossvm_spsc_tx_shm states[MAX_STATES];
static unsigned n_states;

/* What the consumer's side is before each try. */
static struct crossvm_spsc_rx rx_before;
static struct crossvm_spsc_rx_shm rx_words_before;

/* When the consumer sees which state. */
static struct {
    unsigned long seen;
    unsigned long partly_at;
    unsigned long wholly_at;
    unsigned partly;
} plan;

static void record(void *what)
{
    (void)what;
    REQUIRE(n_states < MAX_STATES);
    states[n_states] = *queue_tx_words(&queue);
    n_states++;
}

/* The producer's second answer, its states one by one. */
static void record_the_answer(void)
{
    rx_before = queue.rx;
    rx_words_before = *queue_rx_words(&queue);
    n_states = 0;
    test_hook_arm(0, record, NULL);
    int status = queue_tx_link(&queue);
    (void)test_hook_disarm();
    CHECK_EQ(status, CROSSVM_NOT_YET);
    record(NULL);
}

static void progress(void *what)
{
    (void)what;
    plan.seen++;
    if (plan.seen == plan.partly_at) {
        *queue_tx_words(&queue) = states[plan.partly];
    } else if (plan.seen == plan.wholly_at) {
        *queue_tx_words(&queue) = states[n_states - 1];
    }
}

/* Returns how many accesses the consumer made. */
static unsigned long link_beside_the_answer(uint32_t capacity)
{
    queue.rx = rx_before;
    *queue_rx_words(&queue) = rx_words_before;
    *queue_tx_words(&queue) = states[0];
    plan.seen = 0;
    test_hook_arm(0, progress, NULL);
    int status = queue_rx_link(&queue);
    unsigned long n = test_hook_disarm();
    CHECK(status == CROSSVM_OK || status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED);
    *queue_tx_words(&queue) = states[n_states - 1];
    if (status != CROSSVM_CORRUPT) {
        CHECK_EQ(queue_rx_link(&queue), CROSSVM_OK);
        CHECK_EQ(queue.rx.capacity, capacity);
    }
    return n;
}

static void link_at_every_moment(uint32_t capacity)
{
    unsigned long n = 1;
    record_the_answer();
    for (plan.partly = 0; plan.partly < n_states; plan.partly++) {
        for (plan.partly_at = 1; plan.partly_at <= n; plan.partly_at++) {
            plan.wholly_at = plan.partly_at;
            do {
                plan.wholly_at++;
                unsigned long made = link_beside_the_answer(capacity);
                n = made > n ? made : n;
            } while (plan.wholly_at <= n);
        }
    }
}

/* The first program of the producer wants other elements; the second takes any. */
static void a_grant_after_a_refusal_is_not_mixed_with_it(void)
{
    queue_make(&queue, 64, LEN, usual);
    REQUIRE(queue_rx_open(&queue, 16, LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, LEN / 2) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_REFUSED);
    REQUIRE(queue_tx_open(&queue, LEN) == CROSSVM_OK);
    link_at_every_moment(16);
    queue_drop(&queue);
}

/* The renewed rx part counts its requests from the beginning. */
static void a_grant_for_a_renewed_part_is_not_mixed_with_the_old_one(void)
{
    queue_make(&queue, 64, LEN, usual);
    REQUIRE(queue_rx_open(&queue, 8, LEN) == CROSSVM_OK);
    REQUIRE(queue_tx_open(&queue, 0) == CROSSVM_OK);
    REQUIRE(queue_tx_link(&queue) == CROSSVM_NOT_YET);
    REQUIRE(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk) == CROSSVM_OK);
    queue.rx_chunk = test_find(&queue.b.reader, "queue", CROSSVM_KIND_SPSC_RX);
    REQUIRE(queue_rx_open(&queue, 16, LEN) == CROSSVM_OK);
    link_at_every_moment(16);
    queue_drop(&queue);
}

int main(void)
{
    test_guard();
    CASE(a_grant_after_a_refusal_is_not_mixed_with_it);
    CASE(a_grant_for_a_renewed_part_is_not_mixed_with_the_old_one);
    return check_done();
}
