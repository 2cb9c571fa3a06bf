/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/checksum.h - CRC-32C over what was copied, FNV-1a-64 over names of types and plans.
 *
 * Layer 1. No roles, no shared bytes. Neither protects against an attacker: they find mistakes.
 *
 * CRC-32C: polynomial 0x1EDC6F41 reflected, start and final inversion 0xFFFFFFFF (RFC 3720, B.4).
 * FNV-1a-64: offset basis and prime as published by Fowler, Noll and Vo.
 */
#ifndef CROSSVM_CHECKSUM_H
#define CROSSVM_CHECKSUM_H

#include "cpu.h"

CROSSVM_EXTERN_C_BEGIN

#if defined(__x86_64__) && !defined(__KERNEL__) && !defined(CROSSVM_STRICT_C11) && \
    !defined(CROSSVM_MODEL) && (defined(__SSE4_2__) || __STDC_HOSTED__ == 1)
#define CROSSVM_I_CRC_CPU 1

/* Whether this processor computes CRC-32C. Only known at run time in a distribution's builds. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_crc_cpu(void)
{
#if defined(__SSE4_2__)
    return true;
#else
    return __builtin_cpu_supports("sse4.2") != 0;
#endif
}

/* By the processor's instruction, eight bytes a step; inverted before and after by the caller. */
CROSSVM_INLINE uint32_t crossvm_i_crc_by_cpu(uint32_t crc, const unsigned char *bytes, size_t len)
{
    uint64_t wide = crc;
    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t word;
        __builtin_memcpy(&word, bytes, 8);
        __asm__("crc32q %1, %0" : "+r"(wide) : "rm"(word));
    }
    crc = (uint32_t)wide;
    for (; len != 0; len--, bytes++) {
        __asm__("crc32b %1, %0" : "+r"(crc) : "qm"(*bytes));
    }
    return crc;
}
#else
#define CROSSVM_I_CRC_CPU 0
#endif

/* Four bits a step: 64 bytes of table suit a microcontroller. */
CROSSVM_INLINE uint32_t crossvm_i_crc_by_table(uint32_t crc, const unsigned char *bytes, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u,
        0x61c69362u, 0x7198540du, 0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u,
        0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
    };
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* Continues a CRC-32C over len private bytes. Bounded by len. crc: of what came before, 0 at
 * first. */
CROSSVM_INLINE uint32_t crossvm_crc32c(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)data;
#if CROSSVM_I_CRC_CPU
    if (crossvm_i_crc_cpu()) {
        return ~crossvm_i_crc_by_cpu(~crc, bytes, len);
    }
#endif
    return ~crossvm_i_crc_by_table(~crc, bytes, len);
}

#define CROSSVM_FNV1A_START 0xcbf29ce484222325u /* the offset basis */

/* Continues an FNV-1a-64 over len private bytes. hash: of what came before, CROSSVM_FNV1A_START at
 * first. */
CROSSVM_INLINE uint64_t crossvm_fnv1a(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)data;
    for (size_t i = 0; i < len; i++) {
        hash = crossvm_i_multiply64(hash ^ bytes[i], 0x100000001b3u);
    }
    return hash;
}

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define CROSSVM_BYTE_ORDER_NAME "be"
#else
#define CROSSVM_BYTE_ORDER_NAME "le" /* of this target: le or be */
#endif

/* The type hash of a description `name;field:type:offset:count;...;len;le|be`. Never 0, which
 * means "unchecked". description: a C string that ends with CROSSVM_BYTE_ORDER_NAME. */
CROSSVM_INLINE uint64_t crossvm_type_hash(const char *description)
{
    size_t len = 0;
    while (description[len] != '\0') {
        len++;
    }
    uint64_t hash = crossvm_fnv1a(CROSSVM_FNV1A_START, description, len);
    return hash == 0 ? 1 : hash;
}

CROSSVM_EXTERN_C_END

#endif
