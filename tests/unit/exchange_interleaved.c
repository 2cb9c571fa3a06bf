/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exchange_interleaved.c - a producer that goes to sleep until answers are there, beside
 * a client that answers: all of one side's calls between any two shared accesses of the other's.
 * Either the producer sees the answers or it is rung.
 */
#include "../support/hook.h"

#include "../support/exchange.h"

static struct exchange exchange;
static uint32_t want;
static int armed;
static int rung;

static void answer_and_kick(void *unused)
{
    uint32_t answer = 1;
    uint64_t again_ns;
    (void)unused;
    for (uint32_t i = 0; i < want; i++) {
        REQUIRE(crossvm_exchange_rx_answer(&exchange.rx, &answer) == CROSSVM_OK);
    }
    rung = crossvm_exchange_rx_kick(&exchange.rx, 0, &again_ns);
}

static void arm(void *unused)
{
    (void)unused;
    armed = crossvm_exchange_tx_arm(&exchange.tx, want, 0);
}

/* All places are sent; the first kicks, which always ring, are behind both. */
static void up(uint32_t way)
{
    uint32_t elem = 0;
    uint64_t again_ns;
    exchange_up(&exchange, 4, 4, 0u - 1u, way);
    for (int i = 0; i < 4; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, &elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_exchange_rx_kick(&exchange.rx, 0, &again_ns) == 1);
    armed = 0;
    rung = 0;
}

/* One side's calls in front of each access of the other's in turn, and at last behind all. */
static unsigned every_place(uint32_t way, void (*first)(void *), void (*second)(void *))
{
    unsigned n = 0;
    for (unsigned long at = 1;; at++) {
        up(way);
        test_hook_arm(at, second, NULL);
        first(NULL);
        bool behind = test_hook_disarm() < at;
        if (behind) {
            second(NULL);
        }
        CHECK(armed == 1 || rung == 1);
        n++;
        exchange_drop(&exchange);
        if (behind) {
            return n;
        }
    }
}

static void no_answer_is_slept_through(void)
{
    for (uint32_t way = 0; way <= EXCHANGE_SHARED; way++) {
        for (want = 1; want <= 3; want += 2) {
            CHECK(every_place(way, arm, answer_and_kick) > 4);
            CHECK(every_place(way, answer_and_kick, arm) > 4);
        }
    }
}

int main(void)
{
    test_guard();
    CASE(no_answer_is_slept_through);
    return check_done();
}
