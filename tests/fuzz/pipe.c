/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/pipe.c - waits at a queue whose other side writes anything at any time, and rings for
 * nothing: each ends at its deadline at the latest.
 */
#include "bell.h"
#include "queue.h"

#include <crossvm/service/pipe.h>

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_pipe_tx_kick",
    "crossvm_pipe_tx_wait",
    "crossvm_pipe_rx_kick",
    "crossvm_pipe_rx_wait",
};

enum {
    WAITS = 8, /* of one call, at most */
    /* Shared accesses of one call, at most. */
    STEPS_KICK = 10,
    STEPS_ROUND = 48, /* armed, looked at, nudged, disarmed */
    STEPS_WAIT = 2 * (WAITS + 2) * STEPS_ROUND
};

static struct fuzz_queue queue;
static struct fuzz_image images[2];
static struct crossvm_pipe_tx tx;
static struct crossvm_pipe_rx rx;
static struct crossvm_notify notify;
static struct fuzz_sticky sticky;
static unsigned char *elem;

/* ---- states to begin with -------------------------------------------------------------------- */

static void link_both(void)
{
    FUZZ_CHECK(crossvm_spsc_rx_open(&rx.queue, &queue.b.owner.region, &queue.rx_chunk, CAPACITY, 12,
                                    3) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_open(&tx.queue, &queue.a.owner.region, &queue.tx_chunk, 0, 3) ==
               CROSSVM_OK);
    (void)crossvm_spsc_tx_link(&tx.queue, &queue.b.reader, &queue.rx_chunk);
    FUZZ_CHECK(crossvm_spsc_rx_link(&rx.queue, &queue.a.reader, &queue.tx_chunk) == CROSSVM_OK);
    FUZZ_CHECK(crossvm_spsc_tx_link(&tx.queue, &queue.b.reader, &queue.rx_chunk) == CROSSVM_OK);
}

static void save(struct fuzz_image *image)
{
    fuzz_image_add(image, queue.tx_part.writable, queue.tx_part.len);
    fuzz_image_add(image, queue.rx_part.writable, queue.rx_part.len);
    fuzz_image_add(image, &tx, sizeof(tx));
    fuzz_image_add(image, &rx, sizeof(rx));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    elem = (unsigned char *)fuzz_private(12);
    fuzz_bell_set(&notify);
    tx.bell.notify = &notify;
    rx.bell.notify = &notify;
    fuzz_queue_make(&queue, CROSSVM_KIND_SPSC_TX, CROSSVM_KIND_SPSC_RX, 0);
    link_both();
    save(&images[0]);
    fuzz_queue_index(&queue, 0xfffffffau);
    link_both();
    for (unsigned i = 0; i < CAPACITY; i++) {
        FUZZ_CHECK(crossvm_spsc_tx_push(&tx.queue, elem) == CROSSVM_OK);
    }
    save(&images[1]);
    fuzz_queue_close(&queue);
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

#define BELL   (FUZZ_S(NOT_FOUND) | FUZZ_S(STALE) | FUZZ_S(SYSTEM))
#define WAITED (FUZZ_S(TIMEOUT) | FUZZ_S(INVALID) | FUZZ_S(STALE) | FUZZ_S(CORRUPT) | BELL)

/* A wait took no longer than it may: the deadline, and one wait more. */
static void waited(int status, const struct crossvm_fault *fault, const struct fuzz_part *part,
                   uint64_t deadline_ns)
{
    fuzz_sticky(&sticky, status, fault, part);
    FUZZ_CHECK(fuzz_bell.now_ns < deadline_ns + 2 * FUZZ_WAIT_NS || fuzz_bell.n_waits <= 1);
    FUZZ_CHECK(fuzz_bell.n_waits <= WAITS + 1);
}

static uint64_t deadline(uint8_t arg)
{
    fuzz_bell.n_waits = 0;
    return fuzz_bell.now_ns + (uint64_t)(arg / 32u) * FUZZ_WAIT_NS;
}

static void producer_call(uint8_t op, uint8_t arg)
{
    uint64_t again_ns;
    uint64_t deadline_ns = deadline(arg);
    int status = 0;
    switch (op % 4) {
    case 0:
        (void)FUZZ_CALL(crossvm_spsc_tx_push, (&tx.queue, elem), STEPS_KICK,
                        FUZZ_S(FULL) | FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
        break;
    case 1:
        (void)FUZZ_CALL(crossvm_pipe_tx_kick, (&tx, &again_ns), STEPS_KICK, BELL, 0);
        fuzz_use_number(again_ns);
        break;
    default:
        status = FUZZ_CALL(crossvm_pipe_tx_wait, (&tx, arg % 16u, deadline_ns), STEPS_WAIT, WAITED,
                           CAPACITY);
        waited(status, &tx.queue.fault, &queue.rx_part, deadline_ns);
        break;
    }
    FUZZ_CHECK(tx.queue.state != CROSSVM_OK || tx.queue.tail - tx.queue.head <= CAPACITY);
}

static void consumer_call(uint8_t op, uint8_t arg)
{
    uint64_t deadline_ns = deadline(arg);
    int status = 0;
    switch (op % 4) {
    case 0:
        (void)FUZZ_CALL(crossvm_spsc_rx_pop, (&rx.queue, elem), STEPS_KICK,
                        FUZZ_S(EMPTY) | FUZZ_S(STALE) | FUZZ_S(CORRUPT), 0);
        fuzz_use(elem, 12);
        break;
    case 1:
        (void)FUZZ_CALL(crossvm_pipe_rx_kick, (&rx), STEPS_KICK, BELL, 0);
        break;
    default:
        status =
            FUZZ_CALL(crossvm_pipe_rx_wait, (&rx, arg % 16u, (op / 4u) % 16u * 20u, deadline_ns),
                      STEPS_WAIT, WAITED, CAPACITY);
        waited(status, &rx.queue.fault, &queue.tx_part, deadline_ns);
        break;
    }
    FUZZ_CHECK(rx.queue.state != CROSSVM_OK || rx.queue.tail - rx.queue.head <= CAPACITY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    bool produces = first % 2 == 0;
    fuzz_image_restore(&images[first / 2 % 2]);
    memset(&sticky, 0, sizeof(sticky));
    fuzz_bell.now_ns = 1000;
    fuzz_bell.broken = first >= 240;
    fuzz_part_add(&queue.tx_part, !produces);
    fuzz_part_add(&queue.rx_part, produces);
    const struct fuzz_part *peer = produces ? &queue.rx_part : &queue.tx_part;
    for (unsigned i = 0; i < 3; i++) {
        fuzz_hot(peer, 0, 4);
    }
    if (produces) {
        fuzz_queue_keep_tx(&queue.tx_part);
    } else {
        fuzz_queue_keep_rx(&queue.rx_part);
    }
    fuzz_around(produces ? &tx.queue.tail : &rx.queue.tail);
    fuzz_around(produces ? &tx.queue.head : &rx.queue.head);
    for (unsigned i = 0; i < FUZZ_CALLS / 2 && fuzz_more(&op, &arg); i++) {
        if (produces) {
            producer_call(op, arg);
        } else {
            consumer_call(op, arg);
        }
    }
    return 0;
}
