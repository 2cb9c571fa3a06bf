/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service/e2e.h: the published values bit by bit; every error that is promised to be noticed,
 * exhaustively; every step of the counter; and payloads that went through shared memory.
 */
#include "../support/broadcast.h"
#include "../support/queue.h"

enum {
    LEN = 64,
    BITS = LEN * 8,
    HEADER = 12, /* bytes */
    CRC_AT = 8   /* of the header */
};

#define DATA_ID 0x0a0b0c0du /* of the published examples */

/* ---- payloads ------------------------------------------------------------------------------- */

static struct crossvm_e2e_config config_of(uint32_t header_off, uint32_t max_delta)
{
    const struct crossvm_e2e_config config = {DATA_ID, (uint16_t)header_off,
                                              (uint16_t)(header_off + HEADER), CROSSVM_E2E_MAX_LEN,
                                              (uint16_t)max_delta};
    return config;
}

static void fill(unsigned char *payload, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        payload[i] = (unsigned char)check_random(&seed);
    }
}

static void flip(unsigned char *payload, size_t bit)
{
    payload[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

/* A protected payload of random bytes, whose counter is this. */
static void protect(const struct crossvm_e2e_config *config, uint32_t counter,
                    unsigned char *payload, size_t len)
{
    struct crossvm_e2e_tx tx;
    fill(payload, len, counter + 1);
    REQUIRE(crossvm_e2e_tx_init(&tx, config, counter) == CROSSVM_OK);
    REQUIRE(crossvm_e2e_tx_protect(&tx, payload, len) == CROSSVM_OK);
}

/* A receiver that waits for this counter. */
static struct crossvm_e2e_rx receiver(const struct crossvm_e2e_config *config, uint32_t counter)
{
    struct crossvm_e2e_rx rx;
    REQUIRE(crossvm_e2e_rx_init(&rx, config, counter) == CROSSVM_OK);
    return rx;
}

static void expect(struct crossvm_e2e_rx *rx, const void *payload, size_t len, int status,
                   enum crossvm_e2e_state state)
{
    CHECK_EQ(crossvm_e2e_rx_check(rx, payload, len), status);
    CHECK_EQ(rx->state, state);
}

/* What a new receiver says that waits for this counter. */
static void expect_new(const struct crossvm_e2e_config *config, uint32_t counter,
                       const unsigned char *payload, size_t len, int status)
{
    struct crossvm_e2e_rx rx = receiver(config, counter);
    CHECK_EQ(crossvm_e2e_rx_check(&rx, payload, len), status);
}

/* ---- what is published ---------------------------------------------------------------------- */

/* The check value of the polynomial's catalogue entry, and the examples of AUTOSAR's
 * "Specification of CRC Routines". */
static void the_crc_gives_the_published_values(void)
{
    static const struct {
        unsigned char bytes[9];
        size_t len;
        uint32_t crc;
    } examples[] = {
        {{'1', '2', '3', '4', '5', '6', '7', '8', '9'}, 9, 0x1697d06au},
        {{0x00, 0x00, 0x00, 0x00}, 4, 0x6fb32240u},
        {{0xf2, 0x01, 0x83}, 3, 0x4f721a25u},
        {{0x0f, 0xaa, 0x00, 0x55}, 4, 0x20662df8u},
        {{0x00, 0xff, 0x55, 0x11}, 4, 0x9bd7996eu},
        {{0x33, 0x22, 0x55, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}, 9, 0xa65a343du},
        {{0x92, 0x6b, 0x55}, 3, 0xee688a78u},
        {{0xff, 0xff, 0xff, 0xff}, 4, 0xffffffffu},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const unsigned char *bytes = examples[i].bytes;
        size_t len = examples[i].len;
        CHECK_EQ(crossvm_e2e_crc(0, bytes, len), examples[i].crc);
        for (size_t cut = 0; cut <= len; cut++) {
            uint32_t crc = crossvm_e2e_crc(0, bytes, cut);
            CHECK_EQ(crossvm_e2e_crc(crc, bytes + cut, len - cut), examples[i].crc);
        }
    }
}

/* One bit a step, straight from the polynomial: a table with a wrong entry differs somewhere. */
static uint32_t crc_by_bits(const unsigned char *bytes, size_t len)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint32_t out = (crc >> 31 ^ bytes[i] >> bit) & 1;
            crc = crc << 1 ^ (0xf4acfb13u & (0u - out));
        }
    }
    uint32_t reflected = 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        reflected |= (crc >> bit & 1) << (31 - bit);
    }
    return ~reflected;
}

static void the_crc_equals_the_polynomial_for_every_byte(void)
{
    unsigned char bytes[300];
    for (unsigned value = 0; value < 256; value++) {
        bytes[0] = (unsigned char)value;
        CHECK_EQ(crossvm_e2e_crc(0, bytes, 1), crc_by_bits(bytes, 1));
    }
    fill(bytes, sizeof(bytes), 1);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        CHECK_EQ(crossvm_e2e_crc(0, bytes, len), crc_by_bits(bytes, len));
    }
}

/* The examples of the protocol specification: all zero, counter 0, header in front and at bit 64. */
static void payloads_are_the_published_ones(void)
{
    static const unsigned char in_front[16] = {
        0x00, 0x10, 0x00, 0x00, 0x0a, 0x0b, 0x0c, 0x0d,
        0x86, 0x2b, 0x05, 0x56, 0x00, 0x00, 0x00, 0x00,
    };
    static const unsigned char at_bit_64[24] = {
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x18, 0x00, 0x00,
        0x0a, 0x0b, 0x0c, 0x0d, 0x69, 0xd7, 0x50, 0x2e, 0x00, 0x00, 0x00, 0x00,
    };
    for (uint32_t header_off = 0; header_off <= 8; header_off += 8) {
        const unsigned char *published = header_off == 0 ? in_front : at_bit_64;
        size_t len = header_off == 0 ? sizeof(in_front) : sizeof(at_bit_64);
        struct crossvm_e2e_config config = config_of(header_off, 1);
        struct crossvm_e2e_tx tx;
        unsigned char payload[24];
        memset(payload, 0, sizeof(payload));
        REQUIRE(crossvm_e2e_tx_init(&tx, &config, 0) == CROSSVM_OK);
        CHECK_EQ(crossvm_e2e_tx_protect(&tx, payload, len), CROSSVM_OK);
        CHECK(memcmp(payload, published, len) == 0);
        expect_new(&config, 0, published, len, CROSSVM_OK);
    }
}

/* Every field is where it belongs, highest byte first, and nothing else is touched. */
static void the_header_is_written_field_by_field(void)
{
    static const uint32_t offsets[] = {0, 1, 8, LEN - HEADER};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        uint32_t off = offsets[i];
        struct crossvm_e2e_config config = config_of(off, 1);
        unsigned char before[LEN], payload[LEN];
        fill(before, LEN, 0x1235);
        config.data_id = 0x89abcdefu;
        protect(&config, 0x1234, payload, LEN);
        static const unsigned char fields[CRC_AT] = {0x00, LEN, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef};
        CHECK(memcmp(payload + off, fields, CRC_AT) == 0);
        CHECK(memcmp(payload, before, off) == 0);
        CHECK(memcmp(payload + off + HEADER, before + off + HEADER, LEN - off - HEADER) == 0);
        expect_new(&config, 0x1234, payload, LEN, CROSSVM_OK);
    }
}

/* ---- wrong bits ----------------------------------------------------------------------------- */

/* Every payload with one and with two wrong bits, in the header or elsewhere. */
static void every_error_of_one_or_two_bits_is_noticed(void)
{
    struct crossvm_e2e_config config = config_of(8, 1);
    unsigned char payload[LEN];
    protect(&config, 7, payload, LEN);
    for (size_t one = 0; one < BITS; one++) {
        flip(payload, one);
        expect_new(&config, 7, payload, LEN, CROSSVM_CORRUPT);
        for (size_t two = one + 1; two < BITS; two++) {
            flip(payload, two);
            expect_new(&config, 7, payload, LEN, CROSSVM_CORRUPT);
            flip(payload, two);
        }
        flip(payload, one);
    }
    expect_new(&config, 7, payload, LEN, CROSSVM_OK);
}

/* What a wrong bit changes in the difference of the two CRCs. It is the same whatever the payload
 * is, and that of several wrong bits is the sum: so an error passes exactly if the sum is 0. */
static void syndromes_of(const struct crossvm_e2e_config *config, uint32_t syndromes[BITS])
{
    unsigned char payload[LEN];
    protect(config, 7, payload, LEN);
    for (size_t bit = 0; bit < BITS; bit++) {
        const unsigned char *at = payload + config->header_off + CRC_AT;
        flip(payload, bit);
        syndromes[bit] =
            ((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]) ^
            crossvm_i_e2e_payload_crc(payload, LEN, config->header_off);
        flip(payload, bit);
    }
}

#if CHECK_OS
static int compare_words(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t two = *(const uint32_t *)b;
    return (one > two) - (one < two);
}

/* No sum of up to four syndromes is 0: none of one or two equals another, and none is 0. And each
 * has an odd number of ones, so no odd number of them has the sum 0. */
static void every_error_of_up_to_five_bits_is_noticed(void)
{
    enum {
        N = 1 + BITS + BITS * (BITS - 1) / 2
    };
    static const uint32_t offsets[] = {0, 8, 27, LEN - HEADER};
    static uint32_t sums[N];
    uint32_t syndromes[BITS];
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct crossvm_e2e_config config = config_of(offsets[i], 1);
        size_t n = 0;
        syndromes_of(&config, syndromes);
        sums[n++] = 0;
        for (size_t one = 0; one < BITS; one++) {
            CHECK(__builtin_parity(syndromes[one]) == 1);
            sums[n++] = syndromes[one];
            for (size_t two = one + 1; two < BITS; two++) {
                sums[n++] = syndromes[one] ^ syndromes[two];
            }
        }
        REQUIRE(n == N);
        qsort(sums, N, sizeof(sums[0]), compare_words);
        for (size_t at = 1; at < N; at++) {
            CHECK(sums[at] != sums[at - 1]);
        }
    }
}
#endif

/* Whether no sum of some of these 32 words is 0. */
static bool independent(const uint32_t *words)
{
    uint32_t pivots[32] = {0};
    for (unsigned i = 0; i < 32; i++) {
        uint32_t word = words[i];
        unsigned bit = 32;
        while (bit-- != 0 && word != 0) {
            if ((word >> bit & 1) != 0 && pivots[bit] == 0) {
                pivots[bit] = word;
                break;
            }
            if ((word >> bit & 1) != 0) {
                word ^= pivots[bit];
            }
        }
        if (word == 0) {
            return false;
        }
    }
    return true;
}

/* All 2^32 - 1 errors within any 32 bits that are no neighbours of the CRC's other side. */
static void every_burst_up_to_32_bits_is_noticed(void)
{
    uint32_t syndromes[BITS];
    unsigned n_passed = 0;
    for (uint32_t header_off = 0; header_off <= LEN - HEADER; header_off++) {
        struct crossvm_e2e_config config = config_of(header_off, 1);
        size_t crc_bit = (header_off + CRC_AT) * 8;
        syndromes_of(&config, syndromes);
        for (size_t bit = 0; bit <= BITS - 32; bit++) {
            bool whole = bit + 32 <= crc_bit || bit == crc_bit || bit >= crc_bit + 32;
            bool noticed = independent(syndromes + bit);
            CHECK(noticed || !whole);
            n_passed += !noticed;
        }
    }
    /* If none passed, the header's words about bursts across the CRC's ends were wrong. */
    CHECK(n_passed != 0);
}

/* The same by check itself: random contents for every four bytes, and for all. */
static void rubbish_is_noticed(void)
{
    struct crossvm_e2e_config config = config_of(8, 1);
    unsigned char payload[LEN], damaged[LEN];
    protect(&config, 7, payload, LEN);
    for (size_t at = 0; at <= LEN - 4; at++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            memcpy(damaged, payload, LEN);
            fill(damaged + at, 4, seed);
            expect_new(&config, 7, damaged, LEN,
                       memcmp(damaged, payload, LEN) == 0 ? CROSSVM_OK : CROSSVM_CORRUPT);
        }
    }
    for (uint64_t seed = 0; seed < 1000; seed++) {
        fill(damaged, LEN, seed);
        expect_new(&config, 7, damaged, LEN, CROSSVM_CORRUPT);
    }
    memset(damaged, 0, LEN);
    expect_new(&config, 0, damaged, LEN, CROSSVM_CORRUPT);
    memset(damaged, 0xff, LEN);
    expect_new(&config, 0xffff, damaged, LEN, CROSSVM_CORRUPT);
}

/* ---- the fields ----------------------------------------------------------------------------- */

/* Puts the right CRC under a header that was changed: what a checksum alone would not notice. */
static void sign(unsigned char *payload, size_t len)
{
    uint32_t crc = crossvm_i_e2e_payload_crc(payload, len, 0);
    for (unsigned i = 0; i < 4; i++) {
        payload[CRC_AT + i] = (unsigned char)(crc >> (24 - 8 * i));
    }
}

static void a_payload_of_another_stream_is_noticed(void)
{
    struct crossvm_e2e_config config = config_of(0, 1);
    struct crossvm_e2e_config other = config;
    unsigned char payload[LEN];
    for (unsigned bit = 0; bit < 32; bit++) {
        other.data_id = config.data_id ^ 1u << bit;
        protect(&other, 7, payload, LEN);
        expect_new(&other, 7, payload, LEN, CROSSVM_OK);
        expect_new(&config, 7, payload, LEN, CROSSVM_CORRUPT);
    }
    /* The same stream with its header elsewhere. */
    other = config_of(8, 1);
    protect(&other, 7, payload, LEN);
    expect_new(&config, 7, payload, LEN, CROSSVM_CORRUPT);
}

static void a_wrong_length_is_noticed(void)
{
    struct crossvm_e2e_config config = config_of(0, 1);
    unsigned char payload[2 * LEN];
    memset(payload, 0, sizeof(payload));
    protect(&config, 7, payload, LEN);
    for (size_t len = 0; len <= sizeof(payload); len++) {
        expect_new(&config, 7, payload, len, len == LEN ? CROSSVM_OK : CROSSVM_CORRUPT);
    }
    /* Also with the right CRC: only the length is wrong. */
    for (size_t len = HEADER; len <= sizeof(payload); len++) {
        protect(&config, 7, payload, LEN);
        sign(payload, len);
        expect_new(&config, 7, payload, len, len == LEN ? CROSSVM_OK : CROSSVM_CORRUPT);
        protect(&config, 7, payload, len);
        expect_new(&config, 7, payload, len, CROSSVM_OK);
        payload[0] ^= 1;
        sign(payload, len);
        expect_new(&config, 7, payload, len, CROSSVM_CORRUPT);
    }
}

static void a_length_outside_the_range_is_refused(void)
{
    struct crossvm_e2e_config wide = config_of(4, 1);
    struct crossvm_e2e_config narrow = wide;
    static unsigned char payload[CROSSVM_E2E_MAX_LEN + 1], before[sizeof(payload)];
    narrow.min_len = 40;
    narrow.max_len = 50;
    for (size_t len = 16; len <= LEN; len++) {
        struct crossvm_e2e_tx tx;
        bool fits = len >= 40 && len <= 50;
        protect(&wide, 7, payload, len);
        expect_new(&narrow, 7, payload, len, fits ? CROSSVM_OK : CROSSVM_CORRUPT);
        fill(payload, len, len);
        memcpy(before, payload, len);
        REQUIRE(crossvm_e2e_tx_init(&tx, &narrow, 7) == CROSSVM_OK);
        CHECK_EQ(crossvm_e2e_tx_protect(&tx, payload, len), fits ? CROSSVM_OK : CROSSVM_INVALID);
        CHECK_EQ(tx.counter, fits ? 8 : 7);
        CHECK((memcmp(before, payload, len) == 0) == !fits);
    }
    protect(&wide, 7, payload, CROSSVM_E2E_MAX_LEN);
    expect_new(&wide, 7, payload, CROSSVM_E2E_MAX_LEN, CROSSVM_OK);
    expect_new(&wide, 7, payload, CROSSVM_E2E_MAX_LEN + 1, CROSSVM_CORRUPT);
}

/* A length of the peer's is never an address. It is the address sanitizer that sees what is read. */
static void no_byte_beyond_the_length_is_read(void)
{
    struct crossvm_e2e_config config = config_of(8, 1);
    for (size_t len = 1; len <= LEN; len++) {
        unsigned char *payload = (unsigned char *)malloc(len);
        REQUIRE(payload != NULL);
        memset(payload, 0xff, len);
        expect_new(&config, 0, payload, len, CROSSVM_CORRUPT);
        free(payload);
    }
}

/* ---- the counter ---------------------------------------------------------------------------- */

/* Every step that the counter can make, judged as the specification has it. */
static void every_step_of_the_counter_has_its_state(void)
{
    static const uint32_t max_deltas[] = {1, 2, 100, CROSSVM_E2E_MAX_DELTA};
    static const uint32_t starts[] = {0, 0xffff, 0x7fff, 0x8000};
    for (size_t i = 0; i < sizeof(max_deltas) / sizeof(max_deltas[0]); i++) {
        struct crossvm_e2e_config config = config_of(0, max_deltas[i]);
        for (uint32_t delta = 0; delta < 0x10000; delta += delta < 300 ? 1 : CHECK_SHORTER) {
            unsigned char payload[HEADER];
            struct crossvm_e2e_rx rx = receiver(&config, starts[i] + 1);
            uint32_t counter = (starts[i] + delta) & 0xffff;
            bool good = delta >= 1 && delta <= max_deltas[i];
            protect(&config, counter, payload, HEADER);
            if (good) {
                expect(&rx, payload, HEADER, (int)delta - 1,
                       delta == 1 ? CROSSVM_E2E_OK : CROSSVM_E2E_OK_SOME_LOST);
            } else if (delta == 0) {
                expect(&rx, payload, HEADER, CROSSVM_EMPTY, CROSSVM_E2E_REPEATED);
            } else {
                expect(&rx, payload, HEADER, CROSSVM_TORN, CROSSVM_E2E_WRONG_SEQUENCE);
            }
            /* Whatever it was, it is the last one now. */
            expect(&rx, payload, HEADER, CROSSVM_EMPTY, CROSSVM_E2E_REPEATED);
        }
    }
}

/* More than a round of the counter, without a gap and with its wrap. */
static void the_counter_goes_round(void)
{
    struct crossvm_e2e_config config = config_of(0, 1);
    struct crossvm_e2e_rx rx = receiver(&config, 0);
    struct crossvm_e2e_tx tx;
    unsigned char payload[HEADER];
    memset(payload, 0, sizeof(payload));
    REQUIRE(crossvm_e2e_tx_init(&tx, &config, 0) == CROSSVM_OK);
    for (uint32_t n = 0; n < 0x10000 + 10; n++) {
        CHECK_EQ(crossvm_e2e_tx_protect(&tx, payload, HEADER), CROSSVM_OK);
        CHECK_EQ((uint32_t)payload[2] << 8 | payload[3], n & 0xffff);
        CHECK_EQ(tx.counter, (n + 1) & 0xffff);
        expect(&rx, payload, HEADER, 0, CROSSVM_E2E_OK);
    }
}

/* Payloads 0 to 9 of one stream, and the tenth that was inserted by another. */
struct stream {
    struct crossvm_e2e_config config;
    unsigned char payloads[10][LEN];
};

static void stream_make(struct stream *stream, uint32_t max_delta)
{
    stream->config = config_of(8, max_delta);
    for (uint32_t n = 0; n < 10; n++) {
        protect(&stream->config, n, stream->payloads[n], LEN);
    }
}

static void loss_repetition_and_another_order_are_noticed(void)
{
    /* Which payloads arrive, and what is said of each; -1 as a number ends the list. */
    static const struct {
        uint32_t max_delta;
        struct {
            int number;
            int status;
        } arrive[8];
    } cases[] = {
        {1, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {-1, 0}}},
        {1, {{0, 0}, {0, CROSSVM_EMPTY}, {0, CROSSVM_EMPTY}, {1, 0}, {-1, 0}}},
        {1, {{0, 0}, {2, CROSSVM_TORN}, {3, 0}, {-1, 0}}},
        {1, {{0, 0}, {2, CROSSVM_TORN}, {1, CROSSVM_TORN}, {3, CROSSVM_TORN}, {4, 0}, {-1, 0}}},
        {3, {{0, 0}, {2, 1}, {5, 2}, {9, CROSSVM_TORN}, {-1, 0}}},
        {3, {{0, 0}, {2, 1}, {1, CROSSVM_TORN}, {2, 0}, {3, 0}, {-1, 0}}},
        {3, {{0, 0}, {1, 0}, {2, 0}, {0, CROSSVM_TORN}, {1, 0}, {-1, 0}}}, /* a replay */
        {1, {{1, CROSSVM_TORN}, {2, 0}, {-1, 0}}},                         /* the first was lost */
        {2, {{1, 1}, {2, 0}, {-1, 0}}},
        {1, {{7, CROSSVM_TORN}, {8, 0}, {9, 0}, {0, CROSSVM_TORN}, {-1, 0}}}, /* started again */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stream stream;
        stream_make(&stream, cases[i].max_delta);
        struct crossvm_e2e_rx rx = receiver(&stream.config, 0);
        for (size_t at = 0; cases[i].arrive[at].number >= 0; at++) {
            CHECK_EQ(crossvm_e2e_rx_check(&rx, stream.payloads[cases[i].arrive[at].number], LEN),
                     cases[i].arrive[at].status);
        }
    }
}

/* What is not intact moves nothing: the next one is judged as if it had not come. */
static void an_inserted_or_broken_payload_moves_no_counter(void)
{
    struct stream stream, other;
    unsigned char broken[LEN];
    stream_make(&stream, 1);
    stream_make(&other, 1);
    other.config.data_id++;
    protect(&other.config, 1, other.payloads[1], LEN);
    memcpy(broken, stream.payloads[1], LEN);
    flip(broken, 77);
    struct crossvm_e2e_rx rx = receiver(&stream.config, 0);
    expect(&rx, stream.payloads[0], LEN, 0, CROSSVM_E2E_OK);
    expect(&rx, other.payloads[1], LEN, CROSSVM_CORRUPT, CROSSVM_E2E_ERROR);
    expect(&rx, stream.payloads[1], LEN, 0, CROSSVM_E2E_OK);
    expect(&rx, broken, LEN, CROSSVM_CORRUPT, CROSSVM_E2E_ERROR);
    expect(&rx, broken, 0, CROSSVM_CORRUPT, CROSSVM_E2E_ERROR);
    expect(&rx, NULL, 0, CROSSVM_EMPTY, CROSSVM_E2E_NO_NEW_DATA);
    expect(&rx, NULL, LEN, CROSSVM_EMPTY, CROSSVM_E2E_NO_NEW_DATA);
    expect(&rx, stream.payloads[1], LEN, CROSSVM_EMPTY, CROSSVM_E2E_REPEATED);
    expect(&rx, stream.payloads[2], LEN, 0, CROSSVM_E2E_OK);
    /* The broken one counts as lost. */
    expect(&rx, broken, LEN, CROSSVM_CORRUPT, CROSSVM_E2E_ERROR);
    expect(&rx, stream.payloads[4], LEN, CROSSVM_TORN, CROSSVM_E2E_WRONG_SEQUENCE);
}

/* ---- configurations ------------------------------------------------------------------------- */

static void both_ends_begin_as_specified(void)
{
    struct crossvm_e2e_config config = config_of(0, 1);
    struct crossvm_e2e_tx tx;
    struct crossvm_e2e_rx rx;
    CHECK_EQ(crossvm_e2e_tx_init(&tx, &config, 0), CROSSVM_OK);
    CHECK_EQ(tx.counter, 0);
    CHECK_EQ(crossvm_e2e_rx_init(&rx, &config, 0), CROSSVM_OK);
    CHECK_EQ(rx.counter, 0xffff);
    CHECK_EQ(rx.state, CROSSVM_E2E_ERROR);
    CHECK_EQ(crossvm_e2e_tx_init(&tx, &config, 0xfff12345u), CROSSVM_OK);
    CHECK_EQ(tx.counter, 0x2345);
    CHECK_EQ(crossvm_e2e_rx_init(&rx, &config, 0xfff12345u), CROSSVM_OK);
    CHECK_EQ(rx.counter, 0x2344);
    CHECK_EQ(CROSSVM_E2E_OK, 0x00);
    CHECK_EQ(CROSSVM_E2E_NO_NEW_DATA, 0x01);
    CHECK_EQ(CROSSVM_E2E_ERROR, 0x07);
    CHECK_EQ(CROSSVM_E2E_REPEATED, 0x08);
    CHECK_EQ(CROSSVM_E2E_OK_SOME_LOST, 0x20);
    CHECK_EQ(CROSSVM_E2E_WRONG_SEQUENCE, 0x40);
}

static void configurations_are_judged(void)
{
    /* header_off, min_len, max_len, max_delta, status */
    static const struct {
        struct crossvm_e2e_config config;
        int status;
    } cases[] = {
        {{1, 0, 12, 12, 1}, CROSSVM_OK},           {{1, 4084, 4096, 4096, 32767}, CROSSVM_OK},
        {{1, 0, 11, 12, 1}, CROSSVM_INVALID},      {{1, 1, 12, 100, 1}, CROSSVM_INVALID},
        {{1, 65535, 12, 100, 1}, CROSSVM_INVALID}, {{1, 65524, 0, 100, 1}, CROSSVM_INVALID},
        {{1, 0, 13, 12, 1}, CROSSVM_INVALID},      {{1, 0, 12, 4097, 1}, CROSSVM_INVALID},
        {{1, 0, 12, 100, 0}, CROSSVM_INVALID},     {{1, 0, 12, 100, 32768}, CROSSVM_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct crossvm_e2e_tx tx;
        struct crossvm_e2e_rx rx;
        CHECK_EQ(crossvm_e2e_tx_init(&tx, &cases[i].config, 0), cases[i].status);
        CHECK_EQ(crossvm_e2e_rx_init(&rx, &cases[i].config, 0), cases[i].status);
    }
}

/* ---- through shared memory ------------------------------------------------------------------ */

/* Publishes the next version, protected. */
static void publish_protected(struct test_snapshot *snap, struct crossvm_e2e_tx *tx, uint64_t seed)
{
    unsigned char payload[LEN];
    fill(payload, LEN, seed);
    REQUIRE(crossvm_e2e_tx_protect(tx, payload, LEN) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_publish(&snap->writer, payload, LEN, 0, 0) == CROSSVM_OK);
}

/* Reads the newest version, and checks what was copied out; missed: what the snapshot says. */
static void expect_snapshot(struct test_snapshot *snap, struct crossvm_e2e_rx *rx, int status,
                            uint64_t missed)
{
    unsigned char payload[LEN];
    struct crossvm_snapshot_info info;
    REQUIRE(crossvm_snapshot_reader_read(&snap->reader, payload, LEN, &info) >= 0);
    CHECK_EQ(crossvm_e2e_rx_check(rx, payload, info.len), status);
    CHECK_EQ(info.missed, missed);
}

static void a_snapshot_carries_it(void)
{
    struct crossvm_e2e_config config = config_of(0, 4);
    struct crossvm_e2e_rx rx = receiver(&config, 0);
    struct test_snapshot snap;
    struct crossvm_e2e_tx tx;
    test_snapshot_make(&snap, 4, LEN);
    REQUIRE(crossvm_e2e_tx_init(&tx, &config,
                                (uint32_t)crossvm_snapshot_writer_version(&snap.writer)) ==
            CROSSVM_OK);
    publish_protected(&snap, &tx, 1);
    expect_snapshot(&snap, &rx, 0, 0);
    expect_snapshot(&snap, &rx, CROSSVM_EMPTY, 0);
    /* What the reader missed, the counter says, too. */
    publish_protected(&snap, &tx, 2);
    publish_protected(&snap, &tx, 3);
    expect_snapshot(&snap, &rx, 1, 1);
    for (uint64_t seed = 4; seed <= 8; seed++) {
        publish_protected(&snap, &tx, seed);
    }
    expect_snapshot(&snap, &rx, CROSSVM_TORN, 4);
    /* A bit that changes in memory. */
    publish_protected(&snap, &tx, 9);
    unsigned char *at = (unsigned char *)(test_snapshot_slot(&snap, 9) + 1);
    flip(at, 300);
    expect_snapshot(&snap, &rx, CROSSVM_CORRUPT, 0);
    /* A writer that comes back goes on at its version: nobody notices. */
    REQUIRE(crossvm_snapshot_writer_open(&snap.writer, &snap.region.owner.region, &snap.chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_e2e_tx_init(&tx, &config,
                                (uint32_t)crossvm_snapshot_writer_version(&snap.writer)) ==
            CROSSVM_OK);
    publish_protected(&snap, &tx, 10);
    expect_snapshot(&snap, &rx, 1, 0);
    test_snapshot_drop(&snap);
}

/* What a lapped reader lost, the counter says, too. */
static void a_broadcast_carries_it(void)
{
    struct crossvm_e2e_config config = config_of(0, 10);
    struct crossvm_e2e_rx rx = receiver(&config, 0);
    struct crossvm_e2e_tx tx;
    struct test_broadcast cast;
    test_broadcast_make(&cast, 4, LEN);
    REQUIRE(crossvm_e2e_tx_init(&tx, &config,
                                (uint32_t)crossvm_broadcast_writer_number(&cast.writer)) ==
            CROSSVM_OK);
    for (uint64_t n = 1; n <= 9; n++) {
        unsigned char elem[LEN];
        struct crossvm_broadcast_info info;
        fill(elem, LEN, n);
        REQUIRE(crossvm_e2e_tx_protect(&tx, elem, LEN) == CROSSVM_OK);
        REQUIRE(crossvm_broadcast_writer_publish(&cast.writer, elem, LEN) == CROSSVM_OK);
        if (n == 1 || n == 9) {
            REQUIRE(crossvm_broadcast_reader_read(&cast.reader, elem, LEN, &info) == CROSSVM_OK);
            CHECK_EQ(crossvm_e2e_rx_check(&rx, elem, LEN), (int)info.lost);
            CHECK((info.lost != 0) == (n == 9));
        }
    }
    test_broadcast_drop(&cast);
}

/* Pushes the next element, protected. */
static void push_protected(struct queue *queue, struct crossvm_e2e_tx *tx, uint64_t seed)
{
    unsigned char elem[LEN];
    fill(elem, LEN, seed);
    REQUIRE(crossvm_e2e_tx_protect(tx, elem, LEN) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_push(&queue->tx, elem) == CROSSVM_OK);
}

static void expect_element(struct queue *queue, struct crossvm_e2e_rx *rx, int status)
{
    unsigned char elem[LEN];
    REQUIRE(crossvm_spsc_rx_pop(&queue->rx, elem) == CROSSVM_OK);
    CHECK_EQ(crossvm_e2e_rx_check(rx, elem, LEN), status);
}

/* A queue loses nothing: one step is all that is good. Its indices begin shortly before they wrap,
 * and so does the counter. */
static void a_queue_carries_it(void)
{
    const struct queue_options usual = {0, false};
    struct crossvm_e2e_config config = config_of(0, 1);
    struct queue queue;
    struct crossvm_e2e_tx tx;
    struct crossvm_e2e_rx rx;
    queue_up(&queue, 8, LEN, 0xfffffffau, usual);
    REQUIRE(crossvm_e2e_tx_init(&tx, &config, crossvm_spsc_tx_index(&queue.tx)) == CROSSVM_OK);
    REQUIRE(crossvm_e2e_rx_init(&rx, &config, crossvm_spsc_rx_index(&queue.rx)) == CROSSVM_OK);
    for (uint64_t seed = 0; seed < 8; seed++) {
        push_protected(&queue, &tx, seed);
    }
    for (unsigned n = 0; n < 8; n++) {
        expect_element(&queue, &rx, 0);
    }
    /* Both come back: they go on at their indices, and nothing is said to be lost. */
    queue_resume(&queue);
    REQUIRE(crossvm_e2e_tx_init(&tx, &config, crossvm_spsc_tx_index(&queue.tx)) == CROSSVM_OK);
    REQUIRE(crossvm_e2e_rx_init(&rx, &config, crossvm_spsc_rx_index(&queue.rx)) == CROSSVM_OK);
    push_protected(&queue, &tx, 8);
    expect_element(&queue, &rx, 0);
    /* An element that is dropped between the two ends, and one that comes twice. */
    unsigned char elem[LEN];
    push_protected(&queue, &tx, 9);
    REQUIRE(crossvm_spsc_rx_pop(&queue.rx, elem) == CROSSVM_OK);
    push_protected(&queue, &tx, 10);
    expect_element(&queue, &rx, CROSSVM_TORN);
    REQUIRE(crossvm_spsc_tx_push(&queue.tx, elem) == CROSSVM_OK);
    expect_element(&queue, &rx, CROSSVM_TORN);
    REQUIRE(crossvm_spsc_tx_push(&queue.tx, elem) == CROSSVM_OK);
    expect_element(&queue, &rx, CROSSVM_EMPTY);
    queue_drop(&queue);
}

/* A bit that changes in the queue's memory, wherever in the element. */
static void an_element_that_changed_in_memory_is_noticed(void)
{
    const struct queue_options usual = {0, false};
    struct crossvm_e2e_config config = config_of(0, 1);
    struct queue queue;
    struct crossvm_e2e_tx tx;
    queue_up(&queue, 1, LEN, 0, usual);
    REQUIRE(crossvm_e2e_tx_init(&tx, &config, 0) == CROSSVM_OK);
    unsigned char *slot = (unsigned char *)(queue_tx_words(&queue) + 1);
    for (size_t bit = 0; bit < BITS; bit++) {
        struct crossvm_e2e_rx rx = receiver(&config, tx.counter);
        push_protected(&queue, &tx, bit);
        flip(slot, bit);
        expect_element(&queue, &rx, CROSSVM_CORRUPT);
    }
    queue_drop(&queue);
}

int main(void)
{
    test_guard();
    CASE(the_crc_gives_the_published_values);
    CASE(the_crc_equals_the_polynomial_for_every_byte);
    CASE(payloads_are_the_published_ones);
    CASE(the_header_is_written_field_by_field);
    CASE(every_error_of_one_or_two_bits_is_noticed);
#if CHECK_OS
    CASE(every_error_of_up_to_five_bits_is_noticed);
#endif
    CASE(every_burst_up_to_32_bits_is_noticed);
    CASE(rubbish_is_noticed);
    CASE(a_payload_of_another_stream_is_noticed);
    CASE(a_wrong_length_is_noticed);
    CASE(a_length_outside_the_range_is_refused);
    CASE(no_byte_beyond_the_length_is_read);
    CASE(every_step_of_the_counter_has_its_state);
    CASE(the_counter_goes_round);
    CASE(loss_repetition_and_another_order_are_noticed);
    CASE(an_inserted_or_broken_payload_moves_no_counter);
    CASE(both_ends_begin_as_specified);
    CASE(configurations_are_judged);
    CASE(a_snapshot_carries_it);
    CASE(a_broadcast_carries_it);
    CASE(a_queue_carries_it);
    CASE(an_element_that_changed_in_memory_is_noticed);
    return check_done();
}
