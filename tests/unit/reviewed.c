/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/reviewed.c - cases that a review by others found. Each says what went wrong once; the
 * mixed answers of a queue have their own program, spsc_answers.c.
 */
#include "../support/queue.h"

#if CHECK_OS
#include <crossvm/backend/memfd.h>
#include <crossvm/backend/shm.h>

#include <sys/socket.h>
#endif

static struct queue queue;
static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};

/* ---- another chunk where a released one was -------------------------------------------------- */

static unsigned char bytes_before[8192];

/* Puts another chunk into a released chunk's place and remembers what is there. */
static struct crossvm_chunk replace(struct test_region *region, struct crossvm_chunk old,
                                    uint32_t kind, uint64_t len)
{
    const struct crossvm_chunk_decl decl = {"other", kind, 0, len, PARTY_A, PARTY_B, 0, 0};
    struct crossvm_chunk chunk;
    REQUIRE(crossvm_region_owner_release(&region->owner, &old) == CROSSVM_OK);
    REQUIRE(crossvm_region_owner_allocate(&region->owner, &decl, &chunk) == CROSSVM_OK);
    REQUIRE(chunk.off == old.off && chunk.length <= sizeof(bytes_before));
    memcpy(bytes_before, (const char *)region->read_only.base + chunk.off, (size_t)chunk.length);
    return chunk;
}

static void check_untouched(const struct test_region *region, const struct crossvm_chunk *chunk)
{
    const char *bytes = (const char *)region->read_only.base + chunk->off;
    CHECK_EQ(memcmp(bytes_before, bytes, (size_t)chunk->length), 0);
}

/* ---- waking ---------------------------------------------------------------------------------- */

/* It once set the mode in a line that had become another waiter's. */
static void a_stale_waiter_stores_nothing(void)
{
    const struct crossvm_chunk_decl decl[] = {
        {"wake", CROSSVM_KIND_WAKE, 0, 0, PARTY_A, PARTY_B, 0, 0}};
    const struct crossvm_region_plan plan = {decl, 1, 4, 4096, 0, PARTY_A, {1}, 0, {0, 0, 0}};
    static struct test_region region;
    struct crossvm_wake_waiter waiter;
    test_region_make(&region, &plan, PARTY_B);
    struct crossvm_chunk chunk = test_find(&region.reader, "wake", CROSSVM_KIND_WAKE);
    REQUIRE(crossvm_wake_waiter_open(&waiter, &region.owner.region, &chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_wake_never(&waiter), CROSSVM_OK);
    struct crossvm_chunk other = replace(&region, chunk, CROSSVM_KIND_WAKE, 0);
    CHECK_EQ(crossvm_wake_always(&waiter), CROSSVM_STALE);
    check_untouched(&region, &other);
    CHECK_EQ(crossvm_wake_at(&waiter, 5, 1000), CROSSVM_STALE);
    check_untouched(&region, &other);
    CHECK_EQ(crossvm_wake_never(&waiter), CROSSVM_STALE);
    check_untouched(&region, &other);
    test_region_drop(&region);
}

/* A linked queue whose producer has rung once, as every fresh handle does. */
static void up_and_rung(uint32_t capacity)
{
    uint64_t again;
    queue_up(&queue, capacity, 8, 0, usual);
    REQUIRE(crossvm_spsc_tx_kick(&queue.tx, 1, &again) == 1);
}

static void push_one(void)
{
    uint64_t value = 0;
    REQUIRE(crossvm_spsc_tx_push(&queue.tx, &value) == CROSSVM_OK);
}

/* A kick without an element once began the delay, and its end rang for nothing. */
static void no_delay_begins_before_something_is_published(void)
{
    uint64_t again;
    up_and_rung(64);
    REQUIRE(crossvm_spsc_rx_arm(&queue.rx, 10, 1000) == 0);
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 5000, &again), 0);
    CHECK_EQ(again, 0);
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 6000, &again), 0);
    push_one();
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 7000, &again), 0);
    CHECK_EQ(again, 8000);
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 8000, &again), 1);
    queue_drop(&queue);
}

/* The delay of a wait that was over once counted for the next wait, which was rung too early. */
static void another_wait_has_a_delay_of_its_own(void)
{
    uint64_t again;
    uint64_t value;
    up_and_rung(64);
    REQUIRE(crossvm_spsc_rx_arm(&queue.rx, 10, 1000) == 0);
    push_one();
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 10000, &again), 0);
    CHECK_EQ(again, 11000);
    crossvm_spsc_rx_disarm(&queue.rx);
    REQUIRE(crossvm_spsc_rx_pop(&queue.rx, &value) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_rx_arm(&queue.rx, 10, 1000) == 0);
    push_one();
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 90000, &again), 0);
    CHECK_EQ(again, 91000);
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 91000, &again), 1);
    queue_drop(&queue);
}

/* The watermark of a full queue once counted as out of reach, and rang an empty queue's waiter. */
static void a_watermark_of_the_whole_queue_is_no_reason_to_ring(void)
{
    uint64_t again;
    uint64_t elems[4] = {0, 0, 0, 0};
    up_and_rung(4);
    REQUIRE(crossvm_spsc_tx_push_n(&queue.tx, elems, 4) == 4);
    REQUIRE(crossvm_spsc_rx_pop_n(&queue.rx, elems, 4) == 4);
    REQUIRE(crossvm_spsc_rx_arm(&queue.rx, 4, 0) == 0);
    CHECK_EQ(crossvm_spsc_tx_kick(&queue.tx, 0, &again), 0);
    queue_drop(&queue);
}

#if CHECK_OS

/* ---- doorbells ------------------------------------------------------------------------------- */

static struct queue_bells bells_a;
static struct queue_bells bells_b;

static struct crossvm_chunk bells_up(void)
{
    queue_make(&queue, 8, 8, usual);
    queue_bells_make(&queue, QUEUE_FUTEX, &bells_a, &bells_b);
    REQUIRE(crossvm_notify_signal(&bells_a.notify, PARTY_B, 0) == CROSSVM_OK);
    REQUIRE(crossvm_notify_wait(&bells_b.notify, 0, queue_deadline()) == CROSSVM_OK);
    return test_find(&queue.a.reader, "bell", CROSSVM_KIND_DOORBELL);
}

/* The first ring through the renewed chunk once had the number of one heard before: it was lost. */
static void a_renewed_doorbell_chunk_is_stale_to_its_waiter(void)
{
    struct crossvm_chunk bell = bells_up();
    struct crossvm_chunk bell_b = test_find(&queue.b.reader, "bell", CROSSVM_KIND_DOORBELL);
    REQUIRE(crossvm_region_owner_renew(&queue.a.owner, &bell) == CROSSVM_OK);
    bell = test_find(&queue.a.reader, "bell", CROSSVM_KIND_DOORBELL);
    REQUIRE(crossvm_futex_open(&bells_a.futex, &queue.a.owner.region, &bell, &queue.b.reader,
                               &bell_b) == CROSSVM_OK);
    CHECK_EQ(crossvm_notify_signal(&bells_a.notify, PARTY_B, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&bells_b.notify, 0, 0), CROSSVM_STALE);
    queue_drop(&queue);
}

/* It once counted its rings into what had become another chunk. */
static void a_stale_ringer_stores_nothing(void)
{
    struct crossvm_chunk other = replace(&queue.a, bells_up(), CROSSVM_KIND_BYTES, 64);
    CHECK_EQ(crossvm_notify_signal(&bells_a.notify, PARTY_B, 0), CROSSVM_STALE);
    check_untouched(&queue.a, &other);
    queue_drop(&queue);
}

#endif

/* ---- queue ----------------------------------------------------------------------------------- */

static void push_numbers(uint64_t first, uint64_t last)
{
    for (uint64_t value = first; value <= last; value++) {
        REQUIRE(crossvm_spsc_tx_push(&queue.tx, &value) == CROSSVM_OK);
    }
}

static void check_pops(uint64_t wanted)
{
    uint64_t value = 0;
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, &value), CROSSVM_OK);
    CHECK_EQ(value, wanted);
}

/* A release once counted from the head that a pop had moved: an element not shown was lost. */
static void what_a_pop_took_cannot_be_released_again(void)
{
    struct crossvm_spsc_rx_span span;
    queue_up(&queue, 8, 8, 0, usual);
    push_numbers(1, 5);
    REQUIRE(crossvm_spsc_rx_peek(&queue.rx, 2, &span) == CROSSVM_OK);
    check_pops(1);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 2), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 1), CROSSVM_OK);
    check_pops(3);
    REQUIRE(crossvm_spsc_rx_peek(&queue.rx, 1, &span) == CROSSVM_OK);
    check_pops(4);
    check_pops(5);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 1), CROSSVM_INVALID);
    queue_drop(&queue);
}

/* A commit once counted from the tail that a push had moved: old contents were published. */
static void what_a_push_took_cannot_be_committed_again(void)
{
    struct crossvm_spsc_tx_span span;
    uint64_t value = 0;
    queue_up(&queue, 8, 8, 0, usual);
    REQUIRE(crossvm_spsc_tx_reserve(&queue.tx, 2, &span) == CROSSVM_OK);
    push_numbers(9, 9);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 2), CROSSVM_INVALID);
    check_pops(9);
    CHECK_EQ(crossvm_spsc_rx_pop(&queue.rx, &value), CROSSVM_EMPTY);
    REQUIRE(crossvm_spsc_tx_reserve(&queue.tx, 1, &span) == CROSSVM_OK);
    push_numbers(10, 11);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 1), CROSSVM_INVALID);
    queue_drop(&queue);
}

/* The link after a failed open once turned the grant of a linked consumer into a refusal. */
static void a_failed_open_leaves_the_grant_alone(void)
{
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    uint32_t granted = crossvm_load_relaxed(&queue_tx_words(&queue)->status);
    CHECK_EQ(queue_tx_open(&queue, 4), CROSSVM_MISMATCH);
    CHECK_EQ(queue_tx_link(&queue), CROSSVM_MISMATCH);
    CHECK_EQ(crossvm_load_relaxed(&queue_tx_words(&queue)->status), granted);
    queue_drop(&queue);
}

/* The words of the chunk's next generation were once reported as the linked consumer's. */
static void the_peer_of_a_renewed_part_is_stale(void)
{
    struct crossvm_spsc_peer peer;
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_OK);
    REQUIRE(crossvm_region_owner_renew(&queue.b.owner, &queue.rx_chunk) == CROSSVM_OK);
    queue.rx_chunk = test_find(&queue.b.reader, "queue", CROSSVM_KIND_SPSC_RX);
    REQUIRE(queue_rx_open(&queue, 8, 8) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_peer(&queue.tx, &peer), CROSSVM_STALE);
    queue_drop(&queue);
}

/* Its counters of rings once went into what had become another chunk. */
static void kicks_of_a_stale_producer_store_nothing(void)
{
    uint64_t again;
    queue_make(&queue, 64, 8, usual);
    queue_link(&queue, 8, 8);
    struct crossvm_chunk other = replace(&queue.a, queue.tx_chunk, CROSSVM_KIND_BYTES, 512);
    for (unsigned i = 0; i < 3; i++) {
        (void)!crossvm_spsc_tx_kick(&queue.tx, 0, &again);
    }
    (void)!crossvm_spsc_tx_nudge(&queue.tx);
    check_untouched(&queue.a, &other);
    queue_drop(&queue);
}

#if CHECK_OS

/* ---- descriptors ----------------------------------------------------------------------------- */

enum {
    MAX_SENT = 20
};

static void socket_pair(int type, int ends[2])
{
    REQUIRE(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
}

static void close_pair(const int ends[2])
{
    REQUIRE(close(ends[0]) == 0);
    REQUIRE(close(ends[1]) == 0);
}

/* Sends n copies of a descriptor with n_bytes (0 or 1) bytes that say `count`. */
static void send_descriptors(int to, int fd, uint32_t n, unsigned char count, size_t n_bytes)
{
    size_t control[CMSG_SPACE(MAX_SENT * sizeof(int)) / sizeof(size_t)] = {0};
    struct iovec bytes = {&count, n_bytes};
    struct msghdr header;
    memset(&header, 0, sizeof(header));
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(n * sizeof(int));
    for (uint32_t i = 0; i < n; i++) {
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof(int));
    }
    REQUIRE(sendmsg(to, &header, 0) == (ssize_t)n_bytes);
}

/* It once passed for the end of the connection, and its descriptors stayed open. */
static void descriptors_without_a_byte_are_closed(void)
{
    int ends[2];
    int fds[CROSSVM_MEMFD_MAX];
    socket_pair(SOCK_SEQPACKET, ends);
    unsigned n_fds = test_n_fds();
    send_descriptors(ends[0], ends[0], 16, 0, 0);
    CHECK_EQ(crossvm_memfd_receive(ends[1], fds, 1), CROSSVM_MISMATCH);
    CHECK_EQ(test_n_fds(), n_fds);
    REQUIRE(shutdown(ends[0], SHUT_WR) == 0);
    CHECK_EQ(crossvm_memfd_receive(ends[1], fds, 1), CROSSVM_EMPTY);
    CHECK_EQ(test_n_fds(), n_fds);
    close_pair(ends);
}

/* The sender's credentials come first; the descriptor behind them once stayed open, unseen. */
static void credentials_do_not_hide_descriptors(void)
{
    int ends[2];
    int on = 1;
    int fd = -1;
    socket_pair(SOCK_STREAM, ends);
    REQUIRE(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    unsigned n_fds = test_n_fds();
    REQUIRE(crossvm_memfd_send(ends[0], &ends[0], 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_memfd_receive(ends[1], &fd, 1), CROSSVM_OK);
    CHECK_EQ(test_n_fds(), n_fds + 1);
    if (fd >= 0) {
        REQUIRE(close(fd) == 0);
    }
    CHECK_EQ(test_n_fds(), n_fds);
    close_pair(ends);
}

/* The first 16 of 20 were once taken for a message of 16. */
static void more_descriptors_than_asked_for_are_a_mismatch(void)
{
    int ends[2];
    int fds[CROSSVM_MEMFD_MAX];
    socket_pair(SOCK_STREAM, ends);
    unsigned n_fds = test_n_fds();
    send_descriptors(ends[0], ends[0], MAX_SENT, CROSSVM_MEMFD_MAX, 1);
    CHECK_EQ(crossvm_memfd_receive(ends[1], fds, CROSSVM_MEMFD_MAX), CROSSVM_MISMATCH);
    CHECK_EQ(test_n_fds(), n_fds);
    close_pair(ends);
}

/* Opening it read-only once waited for a writer for ever. */
static void a_pipe_is_not_named_memory(void)
{
    char name[64];
    char path[96];
    struct crossvm_mapping mapping;
    (void)snprintf(name, sizeof(name), "/crossvm-test-reviewed-%ld", (long)getpid());
    (void)snprintf(path, sizeof(path), "/dev/shm%s", name);
    (void)unlink(path);
    REQUIRE(mkfifo(path, 0600) == 0);
    unsigned n_fds = test_n_fds();
    CHECK_EQ(crossvm_shm_open(&mapping, name, CROSSVM_READ_WRITE), CROSSVM_ROLE);
    CHECK_EQ(crossvm_shm_open(&mapping, name, CROSSVM_READ_ONLY), CROSSVM_ROLE);
    CHECK_EQ(test_n_fds(), n_fds);
    REQUIRE(unlink(path) == 0);
}

#endif

int main(void)
{
    test_guard();
    CASE(a_stale_waiter_stores_nothing);
    CASE(no_delay_begins_before_something_is_published);
    CASE(another_wait_has_a_delay_of_its_own);
    CASE(a_watermark_of_the_whole_queue_is_no_reason_to_ring);
#if CHECK_OS
    CASE(a_renewed_doorbell_chunk_is_stale_to_its_waiter);
    CASE(a_stale_ringer_stores_nothing);
#endif
    CASE(what_a_pop_took_cannot_be_released_again);
    CASE(what_a_push_took_cannot_be_committed_again);
    CASE(a_failed_open_leaves_the_grant_alone);
    CASE(the_peer_of_a_renewed_part_is_stale);
    CASE(kicks_of_a_stale_producer_store_nothing);
#if CHECK_OS
    CASE(descriptors_without_a_byte_are_closed);
    CASE(credentials_do_not_hide_descriptors);
    CASE(more_descriptors_than_asked_for_are_a_mismatch);
    CASE(a_pipe_is_not_named_memory);
#endif
    return check_done();
}
