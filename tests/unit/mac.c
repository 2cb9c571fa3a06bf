/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service/mac.h with a real code, SipHash-2-4, written from its paper: what the function sees, where
 * the tag goes, which changes are noticed, and together with service/e2e.h.
 */
#include "../support/queue.h"

enum {
    LEN = 64,
    TAG = 8
};

/* ---- SipHash-2-4 (Aumasson, Bernstein, 2012) ------------------------------------------------ */

static uint64_t little_endian(const unsigned char *at)
{
    uint64_t word = 0;
    for (unsigned i = 8; i-- != 0;) {
        word = word << 8 | at[i];
    }
    return word;
}

static uint64_t rotated(uint64_t word, unsigned n)
{
    return word << n | word >> (64 - n);
}

static void sip_rounds(uint64_t v[4], unsigned n)
{
    while (n-- != 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] = rotated(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[2] = rotated(v[2], 32);
    }
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

static uint64_t siphash(const unsigned char key[16], const unsigned char *bytes, size_t len)
{
    uint64_t k0 = little_endian(key);
    uint64_t k1 = little_endian(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    unsigned char last[8] = {0, 0, 0, 0, 0, 0, 0, (unsigned char)len};
    size_t whole = len & ~(size_t)7;
    for (size_t at = 0; at < whole; at += 8) {
        sip_word(v, little_endian(bytes + at));
    }
    memcpy(last, bytes + whole, len - whole);
    sip_word(v, little_endian(last));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The paper's example, appendix A: the bytes from 0 on under the key of the bytes from 0 on. */
static void siphash_gives_the_published_value(void)
{
    unsigned char bytes[16];
    for (unsigned i = 0; i < 16; i++) {
        bytes[i] = (unsigned char)i;
    }
    CHECK(siphash(bytes, bytes, 15) == 0xa129ca6149be45e5u);
}

/* ---- a program's function ------------------------------------------------------------------- */

/* A key, and what the function was called with. */
struct key {
    unsigned char bytes[16];
    uint32_t tag_len;
    int status; /* what it is to answer */
    const void *data;
    size_t n_data;
    unsigned n_calls;
};

static int by_siphash(void *context, const void *data, size_t n_data, unsigned char *tag)
{
    struct key *key = (struct key *)context;
    uint64_t hash = siphash(key->bytes, (const unsigned char *)data, n_data);
    key->data = data;
    key->n_data = n_data;
    key->n_calls++;
    for (uint32_t i = 0; i < key->tag_len; i++) {
        tag[i] = (unsigned char)(hash >> (i % 8 * 8) & 0xff);
    }
    return key->status;
}

static struct key key_of(unsigned char first, uint32_t tag_len)
{
    struct key key;
    memset(&key, 0, sizeof(key));
    key.tag_len = tag_len;
    for (unsigned i = 0; i < 16; i++) {
        key.bytes[i] = (unsigned char)(first + i);
    }
    return key;
}

static struct crossvm_mac mac_of(struct key *key)
{
    const struct crossvm_mac mac = {by_siphash, key, key->tag_len};
    return mac;
}

static void fill(unsigned char *bytes, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)check_random(&seed);
    }
}

/* ---- cases ---------------------------------------------------------------------------------- */

/* The published value, as it stands behind the published message. */
static void the_tag_stands_behind_what_it_covers(void)
{
    static const unsigned char tag[TAG] = {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1};
    struct key key = key_of(0, TAG);
    struct crossvm_mac mac = mac_of(&key);
    unsigned char bytes[15 + TAG + 1];
    memset(bytes, 0x55, sizeof(bytes));
    for (unsigned i = 0; i < 15; i++) {
        bytes[i] = (unsigned char)i;
    }
    CHECK_EQ(crossvm_mac_seal(&mac, bytes, 15 + TAG), CROSSVM_OK);
    CHECK(memcmp(bytes + 15, tag, TAG) == 0);
    CHECK_EQ(bytes[14], 14);
    CHECK_EQ(bytes[15 + TAG], 0x55);
    CHECK(key.data == bytes && key.n_data == 15 && key.n_calls == 1);
    CHECK_EQ(crossvm_mac_check(&mac, bytes, 15 + TAG), CROSSVM_OK);
    CHECK(key.data == bytes && key.n_data == 15 && key.n_calls == 2);
}

static void every_changed_bit_is_noticed(void)
{
    static const uint32_t tag_lens[] = {1, 7, TAG, 16, CROSSVM_MAC_MAX_LEN};
    for (size_t i = 0; i < sizeof(tag_lens) / sizeof(tag_lens[0]); i++) {
        struct key key = key_of(1, tag_lens[i]);
        struct crossvm_mac mac = mac_of(&key);
        unsigned char bytes[LEN + CROSSVM_MAC_MAX_LEN];
        size_t len = LEN + tag_lens[i];
        unsigned n_passed = 0;
        fill(bytes, len, 1);
        CHECK_EQ(crossvm_mac_seal(&mac, bytes, len), CROSSVM_OK);
        for (size_t bit = 0; bit < len * 8; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            int status = crossvm_mac_check(&mac, bytes, len);
            CHECK(status == CROSSVM_OK || status == CROSSVM_CORRUPT);
            CHECK(bit < LEN * 8 || status == CROSSVM_CORRUPT);
            n_passed += status == CROSSVM_OK;
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        /* A tag of one byte is guessed once in 256 times. */
        CHECK(n_passed == 0 || (tag_lens[i] == 1 && n_passed < 20));
        CHECK_EQ(crossvm_mac_check(&mac, bytes, len), CROSSVM_OK);
    }
}

static void another_key_or_length_is_noticed(void)
{
    struct key key = key_of(1, TAG);
    struct key other = key_of(2, TAG);
    struct crossvm_mac mac = mac_of(&key);
    struct crossvm_mac other_mac = mac_of(&other);
    unsigned char bytes[2 * LEN];
    fill(bytes, sizeof(bytes), 1);
    CHECK_EQ(crossvm_mac_seal(&mac, bytes, LEN), CROSSVM_OK);
    CHECK_EQ(crossvm_mac_check(&other_mac, bytes, LEN), CROSSVM_CORRUPT);
    for (size_t len = TAG + 1; len <= sizeof(bytes); len++) {
        CHECK_EQ(crossvm_mac_check(&mac, bytes, len), len == LEN ? CROSSVM_OK : CROSSVM_CORRUPT);
    }
}

/* Lengths that leave nothing to cover, tags that are none: nothing is computed or written. */
static void lengths_outside_the_range_are_refused(void)
{
    unsigned char bytes[LEN + CROSSVM_MAC_MAX_LEN + 1], before[sizeof(bytes)];
    fill(bytes, sizeof(bytes), 1);
    memcpy(before, bytes, sizeof(bytes));
    struct key key = key_of(1, TAG);
    struct crossvm_mac mac = mac_of(&key);
    for (size_t len = 0; len <= TAG; len++) {
        CHECK_EQ(crossvm_mac_seal(&mac, bytes, len), CROSSVM_INVALID);
        CHECK_EQ(crossvm_mac_check(&mac, bytes, len), CROSSVM_INVALID);
    }
    static const uint32_t tag_lens[] = {0, CROSSVM_MAC_MAX_LEN + 1, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        mac.len = tag_lens[i];
        CHECK_EQ(crossvm_mac_seal(&mac, bytes, sizeof(bytes)), CROSSVM_INVALID);
        CHECK_EQ(crossvm_mac_check(&mac, bytes, sizeof(bytes)), CROSSVM_INVALID);
    }
    CHECK_EQ(key.n_calls, 0);
    CHECK(memcmp(before, bytes, sizeof(bytes)) == 0);
    mac.len = TAG;
    CHECK_EQ(crossvm_mac_seal(&mac, bytes, TAG + 1), CROSSVM_OK);
    CHECK_EQ(crossvm_mac_check(&mac, bytes, TAG + 1), CROSSVM_OK);
}

/* A function that fails is never taken for one that agrees, even if the tag is right. */
static void a_function_that_fails_fails_the_call(void)
{
    struct key key = key_of(1, TAG);
    struct crossvm_mac mac = mac_of(&key);
    unsigned char bytes[LEN];
    fill(bytes, LEN, 1);
    CHECK_EQ(crossvm_mac_seal(&mac, bytes, LEN), CROSSVM_OK);
    key.status = CROSSVM_SYSTEM;
    CHECK_EQ(crossvm_mac_seal(&mac, bytes, LEN), CROSSVM_SYSTEM);
    CHECK_EQ(crossvm_mac_check(&mac, bytes, LEN), CROSSVM_SYSTEM);
    key.status = 1;
    CHECK_EQ(crossvm_mac_seal(&mac, bytes, LEN), CROSSVM_INVALID);
    CHECK_EQ(crossvm_mac_check(&mac, bytes, LEN), CROSSVM_INVALID);
    key.status = 0;
    CHECK_EQ(crossvm_mac_check(&mac, bytes, LEN), CROSSVM_OK);
}

/* ---- with end-to-end protection, through a queue -------------------------------------------- */

enum {
    PROTECTED = LEN - TAG
};

static const struct crossvm_e2e_config stream = {0xc0ffee, 0, PROTECTED, PROTECTED, 1};

struct ends {
    struct key key;
    struct crossvm_mac mac;
    struct crossvm_e2e_tx tx;
    struct crossvm_e2e_rx rx;
};

static void ends_make(struct ends *ends)
{
    ends->key = key_of(1, TAG);
    ends->mac = mac_of(&ends->key);
    REQUIRE(crossvm_e2e_tx_init(&ends->tx, &stream, 0) == CROSSVM_OK);
    REQUIRE(crossvm_e2e_rx_init(&ends->rx, &stream, 0) == CROSSVM_OK);
}

static void send_sealed(struct queue *queue, struct ends *ends, uint64_t seed)
{
    unsigned char elem[LEN];
    fill(elem, LEN, seed);
    REQUIRE(crossvm_e2e_tx_protect(&ends->tx, elem, PROTECTED) == CROSSVM_OK);
    REQUIRE(crossvm_mac_seal(&ends->mac, elem, LEN) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_push(&queue->tx, elem) == CROSSVM_OK);
}

/* What a receiver answers that judges the tag first. */
static int receive_sealed(struct queue *queue, struct ends *ends, unsigned char elem[LEN])
{
    REQUIRE(crossvm_spsc_rx_pop(&queue->rx, elem) == CROSSVM_OK);
    int status = crossvm_mac_check(&ends->mac, elem, LEN);
    return status < 0 ? status : crossvm_e2e_rx_check(&ends->rx, elem, PROTECTED);
}

/* Whoever can write the memory can make the CRC and the counter right, but not the tag. */
static void a_forged_element_is_noticed_and_moves_no_counter(void)
{
    const struct queue_options usual = {0, false};
    struct queue queue;
    struct ends ends;
    struct crossvm_e2e_tx forger;
    unsigned char elem[LEN], kept[LEN];
    ends_make(&ends);
    queue_up(&queue, 4, LEN, 0, usual);
    send_sealed(&queue, &ends, 1);
    CHECK_EQ(receive_sealed(&queue, &ends, kept), 0);
    memcpy(elem, kept, LEN);
    elem[20] ^= 1;
    REQUIRE(crossvm_e2e_tx_init(&forger, &stream, 1) == CROSSVM_OK);
    REQUIRE(crossvm_e2e_tx_protect(&forger, elem, PROTECTED) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_push(&queue.tx, elem) == CROSSVM_OK);
    CHECK_EQ(receive_sealed(&queue, &ends, elem), CROSSVM_CORRUPT);
    /* What was authentic once is so again: that is for the counter. */
    REQUIRE(crossvm_spsc_tx_push(&queue.tx, kept) == CROSSVM_OK);
    CHECK_EQ(receive_sealed(&queue, &ends, elem), CROSSVM_EMPTY);
    send_sealed(&queue, &ends, 2);
    CHECK_EQ(receive_sealed(&queue, &ends, elem), 0);
    queue_drop(&queue);
}

int main(void)
{
    test_guard();
    CASE(siphash_gives_the_published_value);
    CASE(the_tag_stands_behind_what_it_covers);
    CASE(every_changed_bit_is_noticed);
    CASE(another_key_or_length_is_noticed);
    CASE(lengths_outside_the_range_are_refused);
    CASE(a_function_that_fails_fails_the_call);
    CASE(a_forged_element_is_noticed_and_moves_no_counter);
    return check_done();
}
