/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/service/mac.h - an application's message authentication code at a payload's end.
 *
 * Layer 5. Roles: whoever has the key. No shared bytes of its own: like e2e.h it works on private
 * bytes, before they are published and after they were copied out.
 *
 * The library has no cryptography. The program brings the function (HMAC, CMAC, SipHash, a security
 * module) and keeps the key; here are the places where one easily goes wrong: what is covered, and
 * how tags are compared.
 *
 * A tag says who made the bytes, not when. Against replay something in front of the tag has to
 * count, be judged behind the check, and never come again under the same key: e2e.h's counter
 * comes again after 65536, so use a number of 64 bits. And a key for each stream and direction, or
 * a number of the stream in front of the tag, or what was said elsewhere is authentic here, too.
 */
#ifndef CROSSVM_SERVICE_MAC_H
#define CROSSVM_SERVICE_MAC_H

#include "../status.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_MAC_MAX_LEN 64u /* bytes of the longest tag: HMAC-SHA-512 */

/* How a tag is made; the same on both sides. */
struct crossvm_mac {
    /* Writes the tag of n_data bytes at data: exactly len bytes at tag; a longer one is cut. 0 when
     * it is made; anything else is a failure, negative as a status. */
    int (*compute)(void *context, const void *data, size_t n_data, unsigned char *tag);
    void *context; /* what it is called with: the key */
    uint32_t len;  /* of the tag in bytes, 1 to CROSSVM_MAC_MAX_LEN; below 8 it can be guessed */
};

CROSSVM_INLINE bool crossvm_i_mac_ok(const struct crossvm_mac *mac, size_t len)
{
    return mac->len >= 1 && mac->len <= CROSSVM_MAC_MAX_LEN && len > mac->len;
}

CROSSVM_INLINE int crossvm_i_mac_compute(const struct crossvm_mac *mac, const void *data,
                                         size_t len, unsigned char *tag)
{
    int status = mac->compute(mac->context, data, len - mac->len, tag);
    return status > 0 ? CROSSVM_INVALID : status;
}

/* Writes the tag over the last mac->len of len private bytes; it covers all in front of it. With
 * e2e.h protect first, without the tag's bytes. Role: the sender. As bounded as mac->compute. OK;
 * INVALID mac->len, or len leaves nothing in front of the tag, or mac->compute answered a positive
 * number; mac->compute's own statuses. When it is not OK, nothing may be published. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mac_seal(const struct crossvm_mac *mac, void *data,
                                                      size_t len)
{
    if (!crossvm_i_mac_ok(mac, len)) {
        return CROSSVM_INVALID;
    }
    return crossvm_i_mac_compute(mac, data, len, (unsigned char *)data + (len - mac->len));
}

/* Whether the last mac->len of len private bytes, copied out, are the tag of all in front of them.
 * How long it takes does not say where they differ. With e2e.h check this first: a forged payload
 * then moves no counter. Role: the receiver. As bounded as mac->compute. Trust: every byte and len
 * may be anything. OK; CORRUPT they are not; INVALID mac->len, or len leaves nothing in front of
 * the tag, or mac->compute answered a positive number; mac->compute's own statuses. When it is not
 * OK, nothing of it may be used. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mac_check(const struct crossvm_mac *mac,
                                                       const void *data, size_t len)
{
    unsigned char tag[CROSSVM_MAC_MAX_LEN];
    if (!crossvm_i_mac_ok(mac, len)) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_mac_compute(mac, data, len, tag);
    if (status != CROSSVM_OK) {
        return status;
    }
    const unsigned char *received = (const unsigned char *)data + (len - mac->len);
    /* volatile: no compiler may stop at the first difference. */
    volatile uint32_t differs = 0;
    for (uint32_t i = 0; i < mac->len; i++) {
        differs = differs | (uint32_t)(tag[i] ^ received[i]);
    }
    return differs == 0 ? CROSSVM_OK : CROSSVM_CORRUPT;
}

CROSSVM_EXTERN_C_END

#endif
