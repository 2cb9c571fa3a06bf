/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/wake.c - a publisher whose waiter writes anything into its wake words at any time, and
 * a waiter in a region whose owner takes the chunk away whenever it likes.
 */
#include "one.h"

/* What is called here (tests/build/check_harness.py). */
static const char *const entries[] = {
    "crossvm_wake_waiter_open", "crossvm_wake_publisher_open",
    "crossvm_wake_never",       "crossvm_wake_always",
    "crossvm_wake_at",          "crossvm_wake_due",
    "crossvm_wake_peer_waits",  "crossvm_wake_nudge",
};

enum {
    /* Shared accesses of one call, at most. */
    STEPS_OPEN = 2,
    STEPS_ARM = 6,
    STEPS_DUE = 5, /* a fence and each word once */
    STEPS_NUDGE = 1
};

static struct fuzz_one one;
static struct fuzz_image image;
static struct crossvm_wake_waiter waiter;
static struct crossvm_wake_publisher publisher;
static uint32_t published; /* the publisher's index */
static uint64_t now_ns;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_use(entries, sizeof(entries));
    fuzz_one_make(&one, CROSSVM_KIND_WAKE, 0, 0);
    FUZZ_CHECK(crossvm_wake_waiter_open(&waiter, &one.region.owner.region, &one.chunk) ==
               CROSSVM_OK);
    FUZZ_CHECK(crossvm_wake_publisher_open(&publisher, &one.region.reader, &one.chunk, 0) ==
               CROSSVM_OK);
    fuzz_image_add(&image, one.part.writable, one.part.len);
    fuzz_image_add(&image, &waiter, sizeof(waiter));
    fuzz_image_add(&image, &publisher, sizeof(publisher));
    fuzz_region_close(&one.region);
    return 0;
}

static void kick(uint8_t arg)
{
    uint64_t again_ns = 1;
    uint64_t n_before = publisher.n_sent + publisher.n_suppressed;
    bool fresh = publisher.fresh;
    published += arg % 16u;
    now_ns += arg % 32u == 31 ? 0 - now_ns / 2 : (uint64_t)arg << (arg % 40u);
    int due =
        FUZZ_CALL(crossvm_wake_due, (&publisher, published, now_ns, &again_ns), STEPS_DUE, 0, 1);
    if (publisher.polling) {
        FUZZ_CHECK(due == 0 && again_ns == 0);
        return;
    }
    FUZZ_CHECK(due == 1 || !fresh);
    FUZZ_CHECK(due == 0 || again_ns == 0);
    FUZZ_CHECK(again_ns == 0 || again_ns >= now_ns);
    FUZZ_CHECK(publisher.n_sent + publisher.n_suppressed == n_before + 1);
    FUZZ_CHECK(publisher.old == published);
}

static void publisher_call(uint8_t op, uint8_t arg)
{
    switch (op % 8) {
    case 0:
        (void)FUZZ_CALL(crossvm_wake_nudge, (&publisher), STEPS_NUDGE, 0, 1);
        break;
    case 1:
        fuzz_use_number(FUZZ_PLAIN(crossvm_wake_peer_waits, (&publisher), STEPS_NUDGE));
        fuzz_done();
        break;
    case 2:
        (void)FUZZ_CALL(crossvm_wake_publisher_open,
                        (&publisher, &one.region.reader, &one.chunk, published), STEPS_OPEN,
                        FUZZ_S(STALE), 0);
        break;
    case 3:
        publisher.polling = arg == 1;
        break;
    default:
        kick(arg);
        break;
    }
}

static void waiter_call(uint8_t op, uint8_t arg)
{
    switch (op % 4) {
    case 0:
        (void)FUZZ_CALL(crossvm_wake_never, (&waiter), STEPS_ARM, FUZZ_S(STALE), 0);
        break;
    case 1:
        (void)FUZZ_CALL(crossvm_wake_always, (&waiter), STEPS_ARM, FUZZ_S(STALE), 0);
        break;
    case 2:
        (void)FUZZ_CALL(crossvm_wake_at, (&waiter, arg, arg), STEPS_ARM, FUZZ_S(STALE), 0);
        break;
    default:
        (void)FUZZ_CALL(crossvm_wake_waiter_open, (&waiter, &one.region.owner.region, &one.chunk),
                        STEPS_OPEN, FUZZ_S(STALE), 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint32_t starts[] = {0, 0xfffffff8u, 0x7ffffff8u, 1};
    uint8_t op;
    uint8_t arg;
    fuzz_run(data, len);
    uint8_t first = fuzz_byte();
    bool publishes = first % 4 != 0;
    fuzz_image_restore(&image);
    published = starts[first / 4 % 4];
    publisher.old = published;
    publisher.span = first / 16 % 2 == 0 ? 8 : 0x80000000u;
    publisher.fresh = first / 32 % 2 == 0;
    now_ns = first / 64 % 2 == 0 ? 0 : UINT64_MAX - 99;
    if (publishes) {
        fuzz_hot(fuzz_one_hostile(&one), 4, 5);
    } else {
        fuzz_keep(fuzz_one_own(&one), 24, 104);
    }
    fuzz_around(&published);
    fuzz_around(&waiter.epoch);
    for (unsigned i = 0; i < FUZZ_CALLS && fuzz_more(&op, &arg); i++) {
        if (publishes) {
            publisher_call(op, arg);
        } else {
            waiter_call(op, arg);
        }
    }
    return 0;
}
