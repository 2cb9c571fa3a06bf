/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/service/e2e.h - end-to-end protection of a payload: AUTOSAR's E2E profile 4.
 *
 * Layer 5. Roles: one sender, any number of receivers, each with a handle of its own. No shared
 * bytes of its own: it works on the application's private bytes, before they are published and
 * after they were copied out, so that everything in between may fail: this library, memory, a VM.
 *
 * A header of 12 bytes lies in the payload, at an offset that both sides configure. Big-endian:
 *
 *      0  length       16 bits   of the whole payload, this header included
 *      2  counter      16 bits   of the sender, one more each time, 0 behind 65535
 *      4  data id      32 bits   of the stream
 *      8  CRC-32P4     32 bits   of the payload in its order, without these four bytes
 *
 * Bit by bit as AUTOSAR's "E2E Protocol Specification" (PRS_E2EProtocol) has it, and so are the
 * receiver's states and how it comes to them:
 *
 *      state             check answers       the payload is
 *      OK                0                   the next one
 *      OK_SOME_LOST      how many            the next but those that were lost
 *      NO_NEW_DATA       EMPTY               not there
 *      REPEATED          EMPTY               the last one once more
 *      WRONG_SEQUENCE    TORN                behind too many lost ones, or older: not to be used
 *      ERROR             CORRUPT             broken, or another stream's: not to be used
 *
 * Two things are stricter than there. max_delta ends at half of the counter's circle, so that a
 * payload that is older by less than the other half is never taken for a newer one. And a length
 * outside the configured range is ERROR, because it is the peer that chose the length.
 *
 * Up to 4096 bytes the CRC notices any 1 to 5 wrong bits, wherever they are, and any burst of up to
 * 32 bits (a byte's lowest bit first) that lies wholly in front of the CRC, wholly behind it, or in
 * it. A burst across an end of the CRC is no burst to it: there a long one can pass, as one in 2^32
 * of all other errors does. Insertion and masquerade are noticed by the data id; repetition, loss
 * and another order by the counter, if they are by less than 65536 - max_delta payloads. Silence is
 * not noticed: deadlines are the application's.
 *
 * It protects against faults, not against attackers: whoever can write the memory can compute all
 * of this. For those there is mac.h.
 */
#ifndef CROSSVM_SERVICE_E2E_H
#define CROSSVM_SERVICE_E2E_H

#include "../status.h"

CROSSVM_EXTERN_C_BEGIN

#define CROSSVM_E2E_HEADER_LEN 12u    /* bytes in the payload */
#define CROSSVM_E2E_MAX_LEN    4096u  /* bytes of payload that the profile is made for */
#define CROSSVM_E2E_MAX_DELTA  32767u /* half of the counter's circle */

/* What a stream is. The same on both sides; it has to outlive the handles. */
struct crossvm_e2e_config {
    uint32_t data_id;    /* of this stream alone, among all that could come here by mistake */
    uint16_t header_off; /* where in the payload the header lies, bytes; AUTOSAR counts bits */
    uint16_t min_len;    /* of the payload in bytes, from header_off + CROSSVM_E2E_HEADER_LEN */
    uint16_t max_len;    /* of the payload in bytes, from min_len to CROSSVM_E2E_MAX_LEN */
    uint16_t max_delta;  /* the counter's largest step that is good: 1 = none may be lost, up to
                            CROSSVM_E2E_MAX_DELTA */
};

/* What the receiver last found; AUTOSAR's numbers, for a state machine as it describes. */
enum crossvm_e2e_state {
    CROSSVM_E2E_OK = 0x00,             /* intact, and the next one */
    CROSSVM_E2E_NO_NEW_DATA = 0x01,    /* there was nothing to check */
    CROSSVM_E2E_ERROR = 0x07,          /* CRC, data id or length is wrong; or not checked yet */
    CROSSVM_E2E_REPEATED = 0x08,       /* intact, and the last one once more */
    CROSSVM_E2E_OK_SOME_LOST = 0x20,   /* intact, and not more were lost than max_delta allows */
    CROSSVM_E2E_WRONG_SEQUENCE = 0x40, /* intact, but more were lost, or it is an older one */
};

/* The sender's end. */
struct crossvm_e2e_tx {
    const struct crossvm_e2e_config *config; /* the stream */
    uint32_t counter;                        /* the next payload's */
};

/* A receiver's end. */
struct crossvm_e2e_rx {
    const struct crossvm_e2e_config *config; /* the stream */
    uint32_t counter;                        /* of the last payload that was intact */
    enum crossvm_e2e_state state;            /* what the last check found */
};

/* Continues a CRC-32P4 over len private bytes: polynomial 0xF4ACFB13 reflected, start and final
 * inversion 0xFFFFFFFF. Bounded by len. crc: of what came before, 0 at first. */
CROSSVM_INLINE uint32_t crossvm_e2e_crc(uint32_t crc, const void *data, size_t len)
{
    /* Four bits a step, as in checksum.h. */
    static const uint32_t table[16] = {
        0x00000000u, 0x2b2c2beeu, 0x565857dcu, 0x7d747c32u, 0xacb0afb8u, 0x879c8456u,
        0xfae8f864u, 0xd1c4d38au, 0xc8df352fu, 0xe3f31ec1u, 0x9e8762f3u, 0xb5ab491du,
        0x646f9a97u, 0x4f43b179u, 0x3237cd4bu, 0x191be6a5u,
    };
    const unsigned char *bytes = (const unsigned char *)data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

CROSSVM_INLINE uint32_t crossvm_i_e2e_get16(const unsigned char *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

CROSSVM_INLINE uint32_t crossvm_i_e2e_get32(const unsigned char *at)
{
    return crossvm_i_e2e_get16(at) << 16 | crossvm_i_e2e_get16(at + 2);
}

CROSSVM_INLINE void crossvm_i_e2e_put16(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)(value >> 8 & 0xff);
    at[1] = (unsigned char)(value & 0xff);
}

CROSSVM_INLINE void crossvm_i_e2e_put32(unsigned char *at, uint32_t value)
{
    crossvm_i_e2e_put16(at, value >> 16);
    crossvm_i_e2e_put16(at + 2, value);
}

/* The CRC of a payload: all but its own four bytes. */
CROSSVM_INLINE uint32_t crossvm_i_e2e_payload_crc(const unsigned char *payload, size_t len,
                                                  size_t header_off)
{
    size_t behind = header_off + CROSSVM_E2E_HEADER_LEN;
    uint32_t crc = crossvm_e2e_crc(0, payload, header_off + 8);
    return crossvm_e2e_crc(crc, payload + behind, len - behind);
}

CROSSVM_INLINE bool crossvm_i_e2e_config_ok(const struct crossvm_e2e_config *config)
{
    return config->min_len >= config->header_off + CROSSVM_E2E_HEADER_LEN &&
           config->max_len >= config->min_len && config->max_len <= CROSSVM_E2E_MAX_LEN &&
           config->max_delta >= 1 && config->max_delta <= CROSSVM_E2E_MAX_DELTA;
}

CROSSVM_INLINE bool crossvm_i_e2e_len_ok(const struct crossvm_e2e_config *config, size_t len)
{
    return len >= config->min_len && len <= config->max_len;
}

/* ---- sender -------------------------------------------------------------------------------- */

/* Makes the sender's end. counter: the first payload's, of which the low 16 bits count: 0 for a new
 * stream; for a sender that comes back what its predecessor would have used next, or its receivers
 * find a wrong sequence once. When every version or element is protected,
 * crossvm_snapshot_writer_version or crossvm_spsc_tx_index says it. Role: the sender. Wait-free.
 * OK; INVALID config. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_e2e_tx_init(struct crossvm_e2e_tx *tx,
                                                         const struct crossvm_e2e_config *config,
                                                         uint32_t counter)
{
    tx->config = config;
    tx->counter = counter & 0xffff;
    return crossvm_i_e2e_config_ok(config) ? CROSSVM_OK : CROSSVM_INVALID;
}

/* Writes the header into a payload, and counts. data: len private bytes, complete but for the
 * header, of which nothing may change before it is published; a slot or an element is not private,
 * because what fails there would be protected as it is. Role: the sender. Bounded by len. OK;
 * INVALID len is outside the configured range, and nothing was written or counted. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_e2e_tx_protect(struct crossvm_e2e_tx *tx, void *data,
                                                            size_t len)
{
    const struct crossvm_e2e_config *config = tx->config;
    unsigned char *payload = (unsigned char *)data;
    if (!crossvm_i_e2e_len_ok(config, len)) {
        return CROSSVM_INVALID;
    }
    unsigned char *header = payload + config->header_off;
    crossvm_i_e2e_put16(header, (uint32_t)len);
    crossvm_i_e2e_put16(header + 2, tx->counter);
    crossvm_i_e2e_put32(header + 4, config->data_id);
    crossvm_i_e2e_put32(header + 8, crossvm_i_e2e_payload_crc(payload, len, config->header_off));
    tx->counter = (tx->counter + 1) & 0xffff;
    return CROSSVM_OK;
}

/* ---- receiver ------------------------------------------------------------------------------ */

/* Makes a receiver's end; its state is ERROR until something was checked. counter: the one that the
 * first payload should have, of which the low 16 bits count: 0 for a receiver that is there from
 * the beginning. One that comes later finds a wrong sequence once, and is in step from then on.
 * Role: the receiver. Wait-free. OK; INVALID config. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_e2e_rx_init(struct crossvm_e2e_rx *rx,
                                                         const struct crossvm_e2e_config *config,
                                                         uint32_t counter)
{
    rx->config = config;
    rx->counter = (counter - 1) & 0xffff;
    rx->state = CROSSVM_E2E_ERROR;
    return crossvm_i_e2e_config_ok(config) ? CROSSVM_OK : CROSSVM_INVALID;
}

CROSSVM_INLINE bool crossvm_i_e2e_intact(const struct crossvm_e2e_config *config,
                                         const unsigned char *payload, size_t len)
{
    if (!crossvm_i_e2e_len_ok(config, len)) {
        return false;
    }
    const unsigned char *header = payload + config->header_off;
    return crossvm_i_e2e_get32(header + 8) ==
               crossvm_i_e2e_payload_crc(payload, len, config->header_off) &&
           crossvm_i_e2e_get32(header + 4) == config->data_id && crossvm_i_e2e_get16(header) == len;
}

/* The state of an intact payload whose counter is so many steps behind the last one's. */
CROSSVM_INLINE enum crossvm_e2e_state crossvm_i_e2e_step(uint32_t delta, uint32_t max_delta)
{
    if (delta == 0) {
        return CROSSVM_E2E_REPEATED;
    }
    if (delta > max_delta) {
        return CROSSVM_E2E_WRONG_SEQUENCE;
    }
    return delta == 1 ? CROSSVM_E2E_OK : CROSSVM_E2E_OK_SOME_LOST;
}

/* Judges a payload, and sets the handle's state. data: len private bytes, copied out, not seen in
 * place; NULL if there is nothing new. What was judged as a failure must not be used. Role: the
 * receiver. Bounded by len. Trust: every byte and len may be anything.
 *
 * 0 it is intact and the next one, or, up to max_delta - 1, how many were lost in front of it;
 * EMPTY there is nothing, or the last one once more; TORN more were lost, or it is an older one:
 * the next is judged from here; CORRUPT it is not intact, or not of this stream: the next is judged
 * as if this had not come. Nothing is sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_e2e_rx_check(struct crossvm_e2e_rx *rx,
                                                          const void *data, size_t len)
{
    const struct crossvm_e2e_config *config = rx->config;
    const unsigned char *payload = (const unsigned char *)data;
    if (payload == NULL) {
        rx->state = CROSSVM_E2E_NO_NEW_DATA;
        return CROSSVM_EMPTY;
    }
    if (!crossvm_i_e2e_intact(config, payload, len)) {
        rx->state = CROSSVM_E2E_ERROR;
        return CROSSVM_CORRUPT;
    }
    uint32_t counter = crossvm_i_e2e_get16(payload + config->header_off + 2);
    uint32_t delta = (counter - rx->counter) & 0xffff;
    rx->counter = counter;
    rx->state = crossvm_i_e2e_step(delta, config->max_delta);
    if (rx->state == CROSSVM_E2E_REPEATED) {
        return CROSSVM_EMPTY;
    }
    if (rx->state == CROSSVM_E2E_WRONG_SEQUENCE) {
        return CROSSVM_TORN;
    }
    return (int)(delta - 1);
}

CROSSVM_EXTERN_C_END

#endif
