/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/checksum.c - CRC-32C and FNV-1a-64 against published vectors, and in pieces.
 */
#include "../check.h"

#include <crossvm/checksum.h>

#include <string.h>

/* The check value of the polynomial's catalogue entry, and the examples of RFC 3720, B.4. */
static void crc32c_gives_the_published_values(void)
{
    static const unsigned char read_command[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    unsigned char bytes[32];
    CHECK_EQ(crossvm_crc32c(0, "123456789", 9), 0xe3069283u);
    CHECK_EQ(crossvm_crc32c(0, "", 0), 0);
    CHECK_EQ(crossvm_crc32c(0, "a", 1), 0xc1d04330u);
    memset(bytes, 0, sizeof(bytes));
    CHECK_EQ(crossvm_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aau);
    memset(bytes, 0xff, sizeof(bytes));
    CHECK_EQ(crossvm_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (unsigned char)i;
    }
    CHECK_EQ(crossvm_crc32c(0, bytes, sizeof(bytes)), 0x46dd794eu);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (unsigned char)(31 - i);
    }
    CHECK_EQ(crossvm_crc32c(0, bytes, sizeof(bytes)), 0x113fdb5cu);
    CHECK_EQ(crossvm_crc32c(0, read_command, sizeof(read_command)), 0xd9963a56u);
}

/* One bit a step, straight from the polynomial: a table with a wrong entry differs somewhere. */
static uint32_t crc32c_by_bits(const unsigned char *bytes, size_t len)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

static void crc32c_equals_the_polynomial_for_every_byte(void)
{
    uint64_t seed = 1;
    unsigned char bytes[300];
    printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned value = 0; value < 256; value++) {
        unsigned char byte = (unsigned char)value;
        CHECK_EQ(crossvm_crc32c(0, &byte, 1), crc32c_by_bits(&byte, 1));
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (unsigned char)check_random(&seed);
        }
        CHECK_EQ(crossvm_crc32c(0, bytes, len), crc32c_by_bits(bytes, len));
    }
}

static void a_checksum_goes_on_where_it_stopped(void)
{
    static const char text[] = "123456789";
    for (size_t cut = 0; cut <= 9; cut++) {
        uint32_t crc = crossvm_crc32c(0, text, cut);
        CHECK_EQ(crossvm_crc32c(crc, text + cut, 9 - cut), 0xe3069283u);
        uint64_t hash = crossvm_fnv1a(CROSSVM_FNV1A_START, text, cut);
        CHECK(crossvm_fnv1a(hash, text + cut, 9 - cut) ==
              crossvm_fnv1a(CROSSVM_FNV1A_START, text, 9));
    }
}

/* From the test vectors that the authors publish with the algorithm. */
static void fnv1a_gives_the_published_values(void)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } vectors[] = {
        {"", 0xcbf29ce484222325u},       {"a", 0xaf63dc4c8601ec8cu},
        {"b", 0xaf63df4c8601f1a5u},      {"f", 0xaf63db4c8601ead9u},
        {"fo", 0x08985907b541d342u},     {"foo", 0xdcb27518fed9d577u},
        {"foob", 0xdd120e790c2512afu},   {"fooba", 0xcac165afa2fef40au},
        {"foobar", 0x85944171f73967e8u},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t len = strlen(vectors[i].text);
        CHECK(crossvm_fnv1a(CROSSVM_FNV1A_START, vectors[i].text, len) == vectors[i].hash);
    }
}

static void a_type_hash_is_the_hash_of_its_description(void)
{
    CHECK(crossvm_type_hash("foobar") == 0x85944171f73967e8u);
    CHECK(crossvm_type_hash("") == CROSSVM_FNV1A_START);
    CHECK(crossvm_type_hash("t;a:u32:0:1;4;le") != crossvm_type_hash("t;a:u32:0:1;4;be"));
    /* Eight bytes whose FNV-1a-64 is 0: a type hash of 0 would mean "unchecked". */
    static const char hashes_to_zero[] = "\xd5\x6b\xb9\x53\x42\x87\x08\x36";
    CHECK(crossvm_fnv1a(CROSSVM_FNV1A_START, hashes_to_zero, 8) == 0);
    CHECK(crossvm_type_hash(hashes_to_zero) == 1);
}

static void the_byte_order_has_its_name(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    CHECK(strcmp(CROSSVM_BYTE_ORDER_NAME, first == 1 ? "le" : "be") == 0);
}

int main(void)
{
    CASE(crc32c_gives_the_published_values);
    CASE(crc32c_equals_the_polynomial_for_every_byte);
    CASE(a_checksum_goes_on_where_it_stopped);
    CASE(fnv1a_gives_the_published_values);
    CASE(a_type_hash_is_the_hash_of_its_description);
    CASE(the_byte_order_has_its_name);
    return check_done();
}
