/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h: which clocks can be compared, how old a time is, and counter ticks as nanoseconds
 * against exact arithmetic.
 */
#include <crossvm/clock.h>

#include "../check.h"

static const struct crossvm_clock_domain domains[] = {
    {CROSSVM_CLOCK_UNKNOWN, 0, 0},   {CROSSVM_CLOCK_UNKNOWN, 1, 0},
    {CROSSVM_CLOCK_MONOTONIC, 1, 0}, {CROSSVM_CLOCK_MONOTONIC, 2, 0},
    {CROSSVM_CLOCK_COUNTER, 1, 0},   {CROSSVM_CLOCK_COUNTER, 1, 24000000},
    {CROSSVM_CLOCK_REALTIME, 0, 0},  {CROSSVM_CLOCK_REALTIME, (uint64_t)1 << 40, 0},
    {CROSSVM_CLOCK_TAI, 0, 0},       {9, 1, 0},
};

enum {
    N_DOMAINS = sizeof(domains) / sizeof(domains[0])
};

/* The table above holds no clock twice: each is comparable with itself alone, if it is known. */
static void only_the_same_known_clock_is_comparable(void)
{
    for (unsigned i = 0; i < N_DOMAINS; i++) {
        for (unsigned k = 0; k < N_DOMAINS; k++) {
            bool same = i == k && domains[i].kind != CROSSVM_CLOCK_UNKNOWN;
            CHECK_EQ(crossvm_clock_comparable(&domains[i], &domains[k]), same);
        }
    }
}

static void an_age_is_known_or_clearly_unknown(void)
{
    static const struct {
        uint64_t then_ns;
        uint64_t now_ns;
        int status;
        uint64_t age_ns;
    } table[] = {
        {1, 1, CROSSVM_OK, 0},
        {1, 2, CROSSVM_OK, 1},
        {1000, 5000, CROSSVM_OK, 4000},
        {1, UINT64_MAX, CROSSVM_OK, UINT64_MAX - 1},
        {UINT64_MAX, UINT64_MAX, CROSSVM_OK, 0},
        /* not given */
        {0, 0, CROSSVM_UNKNOWN, UINT64_MAX},
        {0, 5000, CROSSVM_UNKNOWN, UINT64_MAX},
        /* a clock that went backward: never fresh */
        {2, 1, CROSSVM_UNKNOWN, UINT64_MAX},
        {1, 0, CROSSVM_UNKNOWN, UINT64_MAX},
        {UINT64_MAX, 1, CROSSVM_UNKNOWN, UINT64_MAX},
    };
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t age = 42;
        CHECK_EQ(
            crossvm_clock_age(&domains[2], table[i].then_ns, &domains[2], table[i].now_ns, &age),
            table[i].status);
        CHECK_EQ(age, table[i].age_ns);
    }
}

static void no_age_between_clocks_that_differ(void)
{
    for (unsigned i = 0; i < N_DOMAINS; i++) {
        for (unsigned k = 0; k < N_DOMAINS; k++) {
            uint64_t age = 42;
            bool same = i == k && domains[i].kind != CROSSVM_CLOCK_UNKNOWN;
            CHECK_EQ(crossvm_clock_age(&domains[i], 10, &domains[k], 30, &age),
                     same ? CROSSVM_OK : CROSSVM_UNKNOWN);
            CHECK_EQ(age, same ? 20 : UINT64_MAX);
        }
    }
}

/* ---- ticks to nanoseconds ------------------------------------------------------------------- */

struct wide {
    uint64_t hi;
    uint64_t lo;
};

static struct wide multiply(uint64_t a, uint64_t b)
{
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
    uint64_t cross = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
    uint64_t middle = (a & UINT32_MAX) * (b >> 32) + (cross & UINT32_MAX);
    struct wide product;
    product.hi = (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);
    product.lo = middle << 32 | (low & UINT32_MAX);
    return product;
}

/* Bit by bit, so that it shares nothing with what it checks. divisor < 2^63. */
static struct wide divide(struct wide number, uint64_t divisor)
{
    struct wide quotient = {0, 0};
    uint64_t rest = 0;
    for (int bit = 127; bit >= 0; bit--) {
        uint64_t next = bit >= 64 ? number.hi >> (bit - 64) : number.lo >> bit;
        rest = rest << 1 | (next & 1);
        quotient.hi = quotient.hi << 1 | quotient.lo >> 63;
        quotient.lo <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient.lo |= 1;
        }
    }
    return quotient;
}

static void the_arithmetic_of_this_test_is_right(void)
{
    struct wide product = multiply(UINT64_MAX, UINT64_MAX);
    CHECK(product.hi == UINT64_MAX - 1 && product.lo == 1);
    struct wide quotient = divide(product, UINT64_MAX / 3);
    CHECK(quotient.hi == 2 && quotient.lo == UINT64_MAX - 2);
}

/* Counts one when the result fits into 64 bits, the documented range. */
static unsigned long check_ns(uint64_t ticks, uint64_t rate)
{
    struct wide exact = divide(multiply(ticks, 1000000000), rate);
    if (exact.hi != 0) {
        return 0;
    }
    if (crossvm_clock_ns(ticks, rate) != exact.lo) {
        char text[120];
        (void)snprintf(text, sizeof(text), "%llu ticks at %llu a second", (unsigned long long)ticks,
                       (unsigned long long)rate);
        check_failed(__FILE__, __LINE__, text);
    }
    return 1;
}

/* 62 random bits, then fewer, so that every magnitude comes up. */
static uint64_t random_number(uint64_t *seed)
{
    uint64_t high = check_random(seed);
    uint64_t low = check_random(seed);
    return (high << 31 | low) >> check_random(seed) % 62;
}

static void ticks_without_a_rate_are_nanoseconds(void)
{
    CHECK_EQ(crossvm_clock_ns(0, 0), 0);
    CHECK_EQ(crossvm_clock_ns(12345, 0), 12345);
    CHECK(crossvm_clock_ns(UINT64_MAX, 0) == UINT64_MAX);
}

static void ticks_are_nanoseconds_exactly_rounded_down(void)
{
    static const uint64_t rates[] = {
        1,
        2,
        3,
        7,
        32768,
        1000000,
        1193182,
        19200000,
        24000000,
        62500000,
        999999999,
        1000000000,
        1000000001,
        2400000000,
        3579545000,
        4294967295,
        4294967296,
        ((uint64_t)1 << 34) - 1,
        (uint64_t)1 << 34,
    };
    unsigned long n = 0;
    uint64_t seed = 20240611;
    printf("  seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint64_t rate = rates[i];
        /* the last tick whose result still fits, and its neighbours */
        struct wide all = multiply(UINT64_MAX, rate);
        struct wide most = divide(all, 1000000000);
        uint64_t last = most.hi != 0 ? UINT64_MAX : most.lo;
        for (uint64_t k = 0; k < 3; k++) {
            n += check_ns(k, rate) + check_ns(last - k, rate) + check_ns(last / 2 + k, rate);
            n += check_ns(rate - 1 + k, rate) + check_ns(rate * 1000 - 1 + k, rate);
        }
        for (unsigned long k = 0; k < 3000 * check_scale(); k++) {
            n += check_ns(random_number(&seed), rate);
        }
    }
    for (unsigned long k = 0; k < 30000 * check_scale(); k++) {
        uint64_t ticks = random_number(&seed);
        uint64_t rate = random_number(&seed) % ((uint64_t)1 << 34) + 1;
        n += check_ns(ticks, rate);
    }
    printf("  %lu conversions\n", n);
    CHECK(n > 10000);
}

int main(void)
{
    CASE(only_the_same_known_clock_is_comparable);
    CASE(an_age_is_known_or_clearly_unknown);
    CASE(no_age_between_clocks_that_differ);
    CASE(the_arithmetic_of_this_test_is_right);
    CASE(ticks_without_a_rate_are_nanoseconds);
    CASE(ticks_are_nanoseconds_exactly_rounded_down);
    return check_done();
}
