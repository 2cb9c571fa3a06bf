/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/spsc.h - a queue of fixed-size elements from one producer to one consumer, whose count
 * and size the consumer chooses.
 *
 * Layer 3. Roles: one producer, one consumer. The queue is two chunks of one name and link id: its
 * tx part lies in memory that the producer writes, its rx part in memory that the consumer writes;
 * each side needs only to read the other's. Both ways is two queues.
 *
 * Shared bytes of the tx part (kind SPSC_TX, struct crossvm_spsc_tx_shm, then the elements):
 *
 *   offset  size  writer    name            meaning
 *   0       4     producer  line.index      tail: elements ever published, runs freely
 *   4       4     owner     line.epoch      the chunk's generation
 *   8       16    producer  line.event      the producer's wake words (wake.h): it waits for room
 *   128     4     producer  grant           the request that this grant answers, 0 = none
 *   132     4     producer  status          1 = granted, else the status of the refusal
 *   136     4     producer  capacity        elements, a power of two, as granted
 *   140     4     producer  elem_len        bytes of an element, as granted
 *   144     4     producer  answers         grants and refusals so far, runs freely
 *   148     4     producer  taken           exchange.h: answers taken back; else zero
 *   152     4     producer  peer_chunk      id of the rx part that is answered
 *   156     4     producer  peer_generation its generation
 *   160     16    producer  peer_region     its region's id
 *   176     4     producer  base            tail when this incarnation began
 *   180     4     producer  incarnation     even, another one after each start; odd while it starts
 *   256     8     producer  n_refused_lo    pushes refused because the queue was full, two words
 *   264     8     producer  n_sent_lo       kicks that asked for a ring, two words
 *   272     8     producer  n_suppressed_lo kicks that did not, two words (all since it opened)
 *   512     ...   producer  elements        capacity x stride, stride is elem_len rounded up to 8
 *
 * Shared bytes of the rx part (kind SPSC_RX, struct crossvm_spsc_rx_shm):
 *
 *   offset  size  writer    name            meaning
 *   0       4     consumer  line.index      head: elements ever released, runs freely
 *   4       4     owner     line.epoch      the chunk's generation
 *   8       16    consumer  line.event      the consumer's wake words: it waits for elements
 *   128     4     consumer  request         number of the request, 0 = none
 *   132     4     consumer  capacity        elements that it asks for, a power of two
 *   136     4     consumer  elem_len        bytes of an element that it asks for
 *   140     4     consumer  asked           number of the newest request, stored before it
 *   144     4     -         reserved_1      zero
 *   148     4     consumer  accepted        the request whose grant it accepted, 0 = none
 *   152     4     consumer  peer_chunk      id of the tx part that it accepted
 *   156     4     consumer  peer_generation its generation
 *   160     16    consumer  peer_region     its region's id
 *   176     4     consumer  base            head when this incarnation began
 *   180     4     consumer  incarnation     even, another one after each start; odd while it starts
 *   256     8     -         reserved_2      zero
 *   264     8     consumer  n_sent_lo       kicks that asked for a ring, two words
 *   272     8     consumer  n_suppressed_lo kicks that did not, two words (both since it opened)
 *
 * How a queue comes up (either part may come first; nothing flows before the last step):
 *
 *   consumer  crossvm_spsc_rx_open   writes its request
 *   producer  crossvm_spsc_tx_link   judges it; writes a grant that names the rx part, or a refusal
 *   consumer  crossvm_spsc_rx_link   judges the grant; accepts it, naming the tx part
 *   producer  crossvm_spsc_tx_link   sees that both parts name each other
 *
 * Indices are never reset within a generation. A side that restarts goes on at its own word
 * (judged) and publishes base, then a new incarnation: elements before base are its predecessor's.
 * A restarted consumer may see again what it had taken but not released: at least once.
 *
 * Ordering edges (release side -> acquire side):
 *
 *   spsc_tail           tail, release     -> tail, acquire: the index brings the elements
 *   spsc_head           head, release     -> head, acquire: a place is overwritten only after it
 *                                            was read
 *   spsc_request        request, release  -> request, acquire: the number brings the request
 *   spsc_request_words  fence behind 0    -> fence behind the words: no words of two requests
 *   spsc_grant          grant, release    -> grant, acquire: the number brings the grant
 *   spsc_grant_words    fence behind 0    -> fence behind the words: no words of two answers, also
 *                                            when one request is answered twice
 *   spsc_answers        answers, release  -> answers, acquire: a new count brings the grant's 0
 *   spsc_accept         accepted, release -> accepted, acquire: it brings the tx part's name
 *   spsc_incarnation    incarnation, rel. -> incarnation, acquire: it brings the base
 *   spsc_incarnation_words  fence behind odd -> fence behind the base: no base of another one
 *   wake_arm, wake_kick                      wake.h
 *
 * The element copies need no order of their own: between reserve and publish, and between look and
 * release, an element belongs to one side. After Lamport 1983 ("Specifying concurrent program
 * modules"), with cached indices as in FastForward and MCRingBuffer.
 */
#ifndef CROSSVM_SPSC_H
#define CROSSVM_SPSC_H

#include "wake.h"

CROSSVM_EXTERN_C_BEGIN

/* The tx part, in front of the elements. */
struct crossvm_spsc_tx_shm {
    struct crossvm_wake_line_shm line; /* tail, epoch and the producer's wake words */
    struct crossvm_le32 grant;
    struct crossvm_le32 status;
    struct crossvm_le32 capacity;
    struct crossvm_le32 elem_len;
    struct crossvm_le32 answers;
    struct crossvm_le32 taken;
    struct crossvm_le32 peer_chunk;
    struct crossvm_le32 peer_generation;
    struct crossvm_le32 peer_region[4];
    struct crossvm_le32 base;
    struct crossvm_le32 incarnation;
    struct crossvm_le32 reserved_2[18];
    struct crossvm_le32 n_refused_lo;
    struct crossvm_le32 n_refused_hi;
    struct crossvm_le32 n_sent_lo;
    struct crossvm_le32 n_sent_hi;
    struct crossvm_le32 n_suppressed_lo;
    struct crossvm_le32 n_suppressed_hi;
    struct crossvm_le32 reserved_3[58];
};

/* The rx part. */
struct crossvm_spsc_rx_shm {
    struct crossvm_wake_line_shm line; /* head, epoch and the consumer's wake words */
    struct crossvm_le32 request;
    struct crossvm_le32 capacity;
    struct crossvm_le32 elem_len;
    struct crossvm_le32 asked;
    struct crossvm_le32 reserved_1;
    struct crossvm_le32 accepted;
    struct crossvm_le32 peer_chunk;
    struct crossvm_le32 peer_generation;
    struct crossvm_le32 peer_region[4];
    struct crossvm_le32 base;
    struct crossvm_le32 incarnation;
    struct crossvm_le32 reserved_3[18];
    struct crossvm_le32 reserved_2[2];
    struct crossvm_le32 n_sent_lo;
    struct crossvm_le32 n_sent_hi;
    struct crossvm_le32 n_suppressed_lo;
    struct crossvm_le32 n_suppressed_hi;
    struct crossvm_le32 reserved_4[58];
};

CROSSVM_I_AT(crossvm_spsc_tx_shm, line, 0);
CROSSVM_I_AT(crossvm_spsc_tx_shm, grant, 128);
CROSSVM_I_AT(crossvm_spsc_tx_shm, status, 132);
CROSSVM_I_AT(crossvm_spsc_tx_shm, capacity, 136);
CROSSVM_I_AT(crossvm_spsc_tx_shm, elem_len, 140);
CROSSVM_I_AT(crossvm_spsc_tx_shm, answers, 144);
CROSSVM_I_AT(crossvm_spsc_tx_shm, taken, 148);
CROSSVM_I_AT(crossvm_spsc_tx_shm, peer_chunk, 152);
CROSSVM_I_AT(crossvm_spsc_tx_shm, peer_generation, 156);
CROSSVM_I_AT(crossvm_spsc_tx_shm, peer_region, 160);
CROSSVM_I_AT(crossvm_spsc_tx_shm, base, 176);
CROSSVM_I_AT(crossvm_spsc_tx_shm, incarnation, 180);
CROSSVM_I_AT(crossvm_spsc_tx_shm, n_refused_lo, 256);
CROSSVM_I_AT(crossvm_spsc_tx_shm, n_sent_lo, 264);
CROSSVM_I_AT(crossvm_spsc_tx_shm, n_suppressed_lo, 272);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_spsc_tx_shm) == CROSSVM_SPSC_CONTROL_LEN, "bytes");
CROSSVM_I_AT(crossvm_spsc_rx_shm, line, 0);
CROSSVM_I_AT(crossvm_spsc_rx_shm, request, 128);
CROSSVM_I_AT(crossvm_spsc_rx_shm, capacity, 132);
CROSSVM_I_AT(crossvm_spsc_rx_shm, elem_len, 136);
CROSSVM_I_AT(crossvm_spsc_rx_shm, asked, 140);
CROSSVM_I_AT(crossvm_spsc_rx_shm, accepted, 148);
CROSSVM_I_AT(crossvm_spsc_rx_shm, peer_chunk, 152);
CROSSVM_I_AT(crossvm_spsc_rx_shm, peer_generation, 156);
CROSSVM_I_AT(crossvm_spsc_rx_shm, peer_region, 160);
CROSSVM_I_AT(crossvm_spsc_rx_shm, base, 176);
CROSSVM_I_AT(crossvm_spsc_rx_shm, incarnation, 180);
CROSSVM_I_AT(crossvm_spsc_rx_shm, n_sent_lo, 264);
CROSSVM_I_AT(crossvm_spsc_rx_shm, n_suppressed_lo, 272);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_spsc_rx_shm) == CROSSVM_SPSC_CONTROL_LEN, "bytes");

/* The status word of a grant. A refusal has a (negative) enum crossvm_status there instead. */
#define CROSSVM_SPSC_GRANTED 1u

/* A part of a queue, as the other part names it. */
struct crossvm_i_spsc_name {
    uint32_t region[CROSSVM_REGION_ID_WORDS];
    uint32_t chunk;
    uint32_t generation;
};

/* Numbers that an incarnation is not given: 0, and the last one's. */
#define CROSSVM_I_SPSC_NOT_NEXT 2u

/* When and how long a consumer waits before it looks for more. Found by measuring on x86-64, with
 * elements of 8 and 64 bytes (docs/PERFORMANCE.md). */
#define CROSSVM_I_SPSC_FEW    4u
#define CROSSVM_I_SPSC_MANY   64u
#define CROSSVM_I_SPSC_PAUSES 8u

/* The producer's handle. */
struct crossvm_spsc_tx {
    unsigned char *slots; /* the elements */
    uint32_t tail;        /* own index */
    uint32_t mask;        /* between the two counters: gcc would join them into one vector access */
    uint32_t n_free;      /* places known to be free; 0 sends every push to the slow path */
    uint32_t elem_len;    /* bytes of an element, as granted */
    size_t stride;        /* from element to element */
    struct crossvm_spsc_tx_shm *own;           /* this part */
    const struct crossvm_spsc_rx_shm *peer;    /* the consumer's part */
    uint32_t head;                             /* the peer's, as seen last */
    uint32_t capacity;                         /* elements, as granted */
    uint32_t reserved_end;                     /* the reserved places end here */
    uint32_t peer_epoch;                       /* the rx part's when it was linked */
    struct crossvm_wake_waiter waiter;         /* asks for rings when places are free */
    struct crossvm_wake_publisher kick;        /* says when the consumer wants a ring */
    uint64_t n_refused;                        /* pushes that found the queue full */
    int state;                                 /* OK linked; NOT_YET, REFUSED, STALE, CORRUPT */
    int refusal;                               /* why the last request was refused, a status */
    uint32_t answered;                         /* the request that was answered last, 0 = none */
    uint32_t n_answers;                        /* ever, by all incarnations */
    uint32_t taken;                            /* exchange.h: answers ever taken back; else 0 */
    uint32_t wanted_elem_len;                  /* the only one that is granted, 0 = any */
    uint64_t room;                             /* bytes for elements */
    bool device;                               /* the elements lie in an uncached mapping */
    struct crossvm_i_spsc_name name;           /* of this part */
    struct crossvm_i_spsc_name granted_to;     /* the rx part that was answered */
    const struct crossvm_chunk_shm *peer_base; /* start of the peer's region, for the fault's off */
    struct crossvm_chunk chunk;                /* this part */
    struct crossvm_fault fault;                /* why it answers CORRUPT */
};

/* The consumer's handle. */
struct crossvm_spsc_rx {
    const unsigned char *slots;      /* the elements */
    uint32_t head;                   /* own index */
    uint32_t mask;                   /* capacity - 1 */
    uint32_t n_avail;                /* elements in hand; 0 sends every pop to the slow path */
    uint32_t elem_len;               /* bytes of an element, as asked for */
    size_t stride;                   /* from element to element */
    struct crossvm_spsc_rx_shm *own; /* this part */
    const struct crossvm_spsc_tx_shm *peer; /* the producer's part */
    uint32_t tail;                          /* the peer's, as seen last */
    uint32_t published;                     /* head, as published last */
    uint32_t lazy;                          /* at most this many releases are held back */
    uint32_t capacity;                      /* elements, as asked for */
    uint32_t shown_end;                     /* the elements shown end here */
    uint32_t found;                         /* elements that the last look at the tail found */
    uint32_t peer_epoch;                    /* the tx part's when it was linked */
    struct crossvm_wake_waiter waiter;      /* asks for rings when elements are there */
    struct crossvm_wake_publisher kick;     /* says when the producer wants a ring */
    int state;                              /* OK linked; NOT_YET, REFUSED, STALE, CORRUPT */
    int refusal;                            /* why the request was refused, a status */
    uint32_t request;                       /* its number */
    uint32_t asked;                         /* the newest number in use */
    uint32_t only_elem_len;                 /* of a typed queue, 0 = any */
    bool accepted; /* a grant was accepted, by this incarnation or an earlier one */
    bool device;   /* the elements lie in an uncached mapping */
    struct crossvm_i_spsc_name accepted_from;  /* the tx part that was accepted */
    struct crossvm_i_spsc_name name;           /* of this part */
    const struct crossvm_chunk_shm *peer_base; /* start of the peer's region, for the fault's off */
    struct crossvm_chunk chunk;                /* this part */
    struct crossvm_fault fault;                /* why it answers CORRUPT */
};

/* Elements in place, before or behind the wrap. */
struct crossvm_spsc_tx_span {
    unsigned char *first;  /* up to the wrap */
    unsigned char *second; /* from the wrap on */
    uint32_t n_first;      /* elements in first */
    uint32_t n_second;     /* elements in second */
    size_t stride;         /* bytes from element to element */
};

/* Elements in place, before or behind the wrap. */
struct crossvm_spsc_rx_span {
    const unsigned char *first;  /* up to the wrap */
    const unsigned char *second; /* from the wrap on */
    uint32_t n_first;            /* elements in first */
    uint32_t n_second;           /* elements in second */
    size_t stride;               /* bytes from element to element */
};

/* Which start of the peer is at work, and from which index on. */
struct crossvm_spsc_peer {
    uint32_t incarnation; /* another one after each of its starts */
    uint32_t base;        /* its index when it began */
};

/* ---- what both sides share ---------------------------------------------------------------- */

CROSSVM_INLINE void crossvm_i_spsc_name_set(struct crossvm_i_spsc_name *name,
                                            const struct crossvm_region *region,
                                            const struct crossvm_chunk *chunk)
{
    __builtin_memcpy(name->region, region->region_id, sizeof(name->region));
    name->chunk = chunk->id;
    name->generation = chunk->generation;
}

CROSSVM_INLINE bool crossvm_i_spsc_name_equal(const struct crossvm_i_spsc_name *a,
                                              const struct crossvm_i_spsc_name *b)
{
    uint32_t differ = (a->chunk ^ b->chunk) | (a->generation ^ b->generation);
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        differ |= a->region[i] ^ b->region[i];
    }
    return differ == 0;
}

/* The five words by which a part names the other: chunk, generation, region. */
CROSSVM_INLINE void crossvm_i_spsc_name_load(struct crossvm_i_spsc_name *name,
                                             const struct crossvm_le32 *peer_chunk)
{
    name->chunk = crossvm_load_relaxed(peer_chunk);
    name->generation = crossvm_load_relaxed(peer_chunk + 1);
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        name->region[i] = crossvm_load_relaxed(peer_chunk + 2 + i);
    }
}

CROSSVM_INLINE void crossvm_i_spsc_name_store(struct crossvm_le32 *peer_chunk,
                                              const struct crossvm_i_spsc_name *name)
{
    crossvm_store_relaxed(peer_chunk, name->chunk);
    crossvm_store_relaxed(peer_chunk + 1, name->generation);
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        crossvm_store_relaxed(peer_chunk + 2 + i, name->region[i]);
    }
}

/* Begins a new incarnation at an index. seed: boot count, counter, anything; another one each time
 * is best, its low 31 bits count, and 0 or a repetition is changed. Until all is in place the word
 * is odd and still says which number was the last, so that none comes twice in a row whenever its
 * side dies. */
CROSSVM_INLINE void crossvm_i_spsc_start(struct crossvm_le32 *base,
                                         struct crossvm_le32 *incarnation, uint32_t index,
                                         uint32_t seed)
{
    uint32_t old = crossvm_load_relaxed(incarnation) & ~1u;
    uint32_t next = seed << 1;
    for (unsigned i = 0; i < CROSSVM_I_SPSC_NOT_NEXT && (next == 0 || next == old); i++) {
        next += 2;
    }
    crossvm_store_relaxed(incarnation, old | 1u);
    CROSSVM_FENCE_RELEASE(spsc_incarnation_words, incarnation);
    crossvm_store_relaxed(base, index);
    CROSSVM_STORE_RELEASE(spsc_incarnation, incarnation, next);
}

CROSSVM_INLINE int crossvm_i_spsc_peer(const struct crossvm_le32 *base,
                                       const struct crossvm_le32 *incarnation,
                                       struct crossvm_spsc_peer *peer)
{
    peer->incarnation = CROSSVM_LOAD_ACQUIRE(spsc_incarnation, incarnation);
    peer->base = crossvm_load_relaxed(base);
    CROSSVM_FENCE_ACQUIRE(spsc_incarnation_words, incarnation);
    bool starting = peer->incarnation == 0 || (peer->incarnation & 1u) != 0;
    if (starting || crossvm_load_relaxed(incarnation) != peer->incarnation) {
        return CROSSVM_NOT_YET;
    }
    return CROSSVM_OK;
}

/* The limits of the format for a request, and the room that it has to fit into. */
CROSSVM_INLINE int crossvm_i_spsc_geometry(uint32_t capacity, uint32_t elem_len, uint64_t room)
{
    if (capacity == 0 || elem_len == 0 || !crossvm_i_is_power_of_two(capacity)) {
        return CROSSVM_INVALID;
    }
    if (!crossvm_i_geometry_elements(capacity, elem_len)) {
        return CROSSVM_TOO_LARGE;
    }
    return crossvm_i_multiply64(crossvm_i_spsc_stride(elem_len), capacity) > room ? CROSSVM_NO_SPACE
                                                                                  : CROSSVM_OK;
}

CROSSVM_INLINE uint64_t crossvm_i_spsc_room(const struct crossvm_chunk *chunk)
{
    return chunk->length - CROSSVM_SPSC_CONTROL_LEN;
}

/* Whether two chunks are the two parts of one queue. */
CROSSVM_INLINE int crossvm_i_spsc_pair(const struct crossvm_chunk *a, const struct crossvm_chunk *b)
{
    if (!crossvm_i_name_equal(a->name, b->name) || a->link_id != b->link_id) {
        return CROSSVM_MISMATCH;
    }
    if (a->type_hash != 0 && b->type_hash != 0 && a->type_hash != b->type_hash) {
        return CROSSVM_TYPE;
    }
    return CROSSVM_OK;
}

/* ---- producer: coming up ------------------------------------------------------------------- */

/* An exchange's answers that were taken back lie behind what was sent, at most a capacity. */
CROSSVM_INLINE int crossvm_i_spsc_tx_judge_taken(struct crossvm_spsc_tx *tx)
{
    uint64_t off = tx->chunk.off + offsetof(struct crossvm_spsc_tx_shm, taken);
    if (tx->chunk.kind == CROSSVM_KIND_SPSC_TX || tx->tail - tx->taken <= tx->capacity) {
        return CROSSVM_OK;
    }
    return crossvm_i_fault(&tx->fault, off, tx->taken, CROSSVM_RULE_SPSC_INDEX);
}

/* What remains of an earlier incarnation: its grant and its indices, judged like a stranger's. */
CROSSVM_INLINE int crossvm_i_spsc_tx_resume(struct crossvm_spsc_tx *tx)
{
    tx->tail = crossvm_load_relaxed(&tx->own->line.index);
    if (tx->chunk.kind != CROSSVM_KIND_SPSC_TX) {
        tx->taken = crossvm_load_relaxed(&tx->own->taken);
    }
    tx->answered = crossvm_load_relaxed(&tx->own->grant);
    tx->n_answers = crossvm_load_relaxed(&tx->own->answers);
    if (tx->answered == 0) {
        /* A death between grant = 0 and the new grant: nothing had flowed. */
        return tx->tail == 0
                   ? crossvm_i_spsc_tx_judge_taken(tx)
                   : crossvm_i_fault(&tx->fault, tx->chunk.off, tx->tail, CROSSVM_RULE_SPSC_INDEX);
    }
    uint32_t status = crossvm_load_relaxed(&tx->own->status);
    if (status != CROSSVM_SPSC_GRANTED) {
        tx->answered = 0;
        return CROSSVM_OK;
    }
    tx->capacity = crossvm_load_relaxed(&tx->own->capacity);
    tx->elem_len = crossvm_load_relaxed(&tx->own->elem_len);
    if (crossvm_i_spsc_geometry(tx->capacity, tx->elem_len, tx->room) != CROSSVM_OK) {
        uint64_t off = tx->chunk.off + offsetof(struct crossvm_spsc_tx_shm, capacity);
        return crossvm_i_fault(&tx->fault, off, tx->capacity, CROSSVM_RULE_SPSC_GRANT);
    }
    if (tx->wanted_elem_len != 0 && tx->wanted_elem_len != tx->elem_len) {
        return CROSSVM_MISMATCH;
    }
    crossvm_i_spsc_name_load(&tx->granted_to, &tx->own->peer_chunk);
    return crossvm_i_spsc_tx_judge_taken(tx);
}

/* Shows the kicks' counters in shared memory. */
CROSSVM_INLINE void crossvm_i_spsc_tx_count(struct crossvm_spsc_tx *tx)
{
    if (crossvm_i_wake_stale(&tx->waiter)) {
        return;
    }
    crossvm_store_pair(&tx->own->n_sent_lo, &tx->own->n_sent_hi, tx->kick.n_sent);
    crossvm_store_pair(&tx->own->n_suppressed_lo, &tx->own->n_suppressed_hi, tx->kick.n_suppressed);
}

CROSSVM_INLINE int crossvm_i_spsc_tx_open(struct crossvm_spsc_tx *tx,
                                          const struct crossvm_region *region,
                                          const struct crossvm_chunk *chunk, uint32_t kind,
                                          uint32_t elem_len, uint32_t seed)
{
    int status = crossvm_i_chunk_enter(region, chunk, kind, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(tx, 0, sizeof(*tx));
    tx->own = (struct crossvm_spsc_tx_shm *)(void *)crossvm_i_control(region, chunk);
    tx->slots = (unsigned char *)tx->own + CROSSVM_SPSC_CONTROL_LEN;
    tx->chunk = *chunk;
    tx->room = crossvm_i_spsc_room(chunk);
    tx->wanted_elem_len = elem_len;
    tx->device = region->device;
    tx->waiter.line = &tx->own->line;
    tx->waiter.epoch = chunk->generation;
    tx->state = CROSSVM_NOT_YET;
    crossvm_i_spsc_name_set(&tx->name, region, chunk);
    crossvm_i_fault_in(&tx->fault, region);
    status = crossvm_i_spsc_tx_resume(tx);
    if (status != CROSSVM_OK) {
        tx->state = status;
        return status;
    }
    (void)crossvm_wake_never(&tx->waiter);
    crossvm_store_pair(&tx->own->n_refused_lo, &tx->own->n_refused_hi, 0);
    crossvm_i_spsc_tx_count(tx);
    crossvm_i_spsc_start(&tx->own->base, &tx->own->incarnation, tx->tail, seed);
    return CROSSVM_OK;
}

/* Opens the tx part of a queue, the first time or after a restart. elem_len: the only element
 * length that this producer grants, 0 = any. seed: for the incarnation; another one at each start
 * (boot count, counter, random; the low 31 bits count). Role: the producer, alone. Wait-free.
 * Trust: own old words are judged. OK, then crossvm_spsc_tx_link; TYPE not an SPSC_TX; INVALID no
 * chunk of this region; ROLE also for a read-only mapping; STALE; MISMATCH another element length
 * was granted here: renew the chunk; CORRUPT with tx->fault: likewise. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_open(struct crossvm_spsc_tx *tx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk,
                                                          uint32_t elem_len, uint32_t seed)
{
    return crossvm_i_spsc_tx_open(tx, region, chunk, CROSSVM_KIND_SPSC_TX, elem_len, seed);
}

CROSSVM_INLINE int crossvm_i_spsc_tx_fault(struct crossvm_spsc_tx *tx, const void *where,
                                           uint64_t value, uint32_t rule)
{
    uint64_t off = (uint64_t)((const unsigned char *)where - (const unsigned char *)tx->peer_base);
    tx->state = CROSSVM_CORRUPT;
    tx->n_free = 0;
    return crossvm_i_fault(&tx->fault, off, value, rule);
}

CROSSVM_INLINE int crossvm_i_spsc_tx_stale(struct crossvm_spsc_tx *tx)
{
    tx->state = CROSSVM_STALE;
    tx->n_free = 0;
    return CROSSVM_STALE;
}

/* Loads one consistent request: OK; NOT_YET none, or just being written; STALE. */
CROSSVM_INLINE int crossvm_i_spsc_request_load(const struct crossvm_spsc_tx *tx, uint32_t *request,
                                               uint32_t *capacity, uint32_t *elem_len)
{
    *request = CROSSVM_LOAD_ACQUIRE(spsc_request, &tx->peer->request);
    *capacity = crossvm_load_relaxed(&tx->peer->capacity);
    *elem_len = crossvm_load_relaxed(&tx->peer->elem_len);
    CROSSVM_FENCE_ACQUIRE(spsc_request_words, &tx->peer->request);
    if (crossvm_load_relaxed(&tx->peer->line.epoch) != tx->peer_epoch) {
        return CROSSVM_STALE;
    }
    if (*request == 0 || crossvm_load_relaxed(&tx->peer->request) != *request) {
        return CROSSVM_NOT_YET;
    }
    return CROSSVM_OK;
}

/* Writes the answer to a request where both sides can read it. */
CROSSVM_INLINE void crossvm_i_spsc_answer(struct crossvm_spsc_tx *tx, uint32_t request,
                                          uint32_t capacity, uint32_t elem_len, uint32_t answer)
{
    struct crossvm_spsc_tx_shm *own = tx->own;
    crossvm_store_relaxed(&own->grant, 0);
    tx->n_answers++;
    CROSSVM_STORE_RELEASE(spsc_answers, &own->answers, tx->n_answers);
    CROSSVM_FENCE_RELEASE(spsc_grant_words, &own->grant);
    crossvm_store_relaxed(&own->status, answer);
    crossvm_store_relaxed(&own->capacity, capacity);
    crossvm_store_relaxed(&own->elem_len, elem_len);
    crossvm_i_spsc_name_store(&own->peer_chunk, &tx->granted_to);
    CROSSVM_STORE_RELEASE(spsc_grant, &own->grant, request);
    tx->answered = request;
}

/* Judges a request that was not answered yet, and answers it. */
CROSSVM_INLINE int crossvm_i_spsc_tx_judge(struct crossvm_spsc_tx *tx,
                                           const struct crossvm_i_spsc_name *peer, uint32_t request,
                                           uint32_t capacity, uint32_t elem_len)
{
    if (tx->tail != 0 || tx->taken != 0) {
        /* Elements of an earlier pairing, also when the tail has come round to 0 and an exchange's
         * answers have not: indices are not reset within a generation. */
        return crossvm_i_spsc_tx_stale(tx);
    }
    int status = crossvm_i_spsc_geometry(capacity, elem_len, tx->room);
    if (status == CROSSVM_OK && tx->wanted_elem_len != 0 && elem_len != tx->wanted_elem_len) {
        status = CROSSVM_TYPE;
    }
    tx->granted_to = *peer;
    tx->refusal = status;
    if (status != CROSSVM_OK) {
        crossvm_i_spsc_answer(tx, request, 0, 0, (uint32_t)status);
        tx->state = CROSSVM_REFUSED;
        return CROSSVM_REFUSED;
    }
    tx->capacity = capacity;
    tx->elem_len = elem_len;
    crossvm_i_spsc_answer(tx, request, capacity, elem_len, CROSSVM_SPSC_GRANTED);
    return CROSSVM_OK;
}

/* Both parts name each other: takes the consumer's head, and opens the gate. */
CROSSVM_INLINE int crossvm_i_spsc_tx_begin(struct crossvm_spsc_tx *tx)
{
    uint32_t head = CROSSVM_LOAD_ACQUIRE(spsc_head, &tx->peer->line.index);
    if (crossvm_load_relaxed(&tx->peer->line.epoch) != tx->peer_epoch) {
        return crossvm_i_spsc_tx_stale(tx);
    }
    if (tx->tail - head > tx->capacity) {
        return crossvm_i_spsc_tx_fault(tx, &tx->peer->line.index, head, CROSSVM_RULE_SPSC_INDEX);
    }
    tx->head = head;
    tx->mask = tx->capacity - 1;
    tx->stride = (size_t)crossvm_i_spsc_stride(tx->elem_len);
    tx->state = CROSSVM_OK;
    tx->n_free = 0;
    tx->reserved_end = tx->tail;
    bool polling = tx->kick.polling;
    crossvm_i_wake_publisher_set(&tx->kick, &tx->peer->line, tx->tail, tx->capacity);
    tx->kick.polling = polling;
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_spsc_tx_link(struct crossvm_spsc_tx *tx,
                                          const struct crossvm_region *region,
                                          const struct crossvm_chunk *chunk, uint32_t kind)
{
    struct crossvm_i_spsc_name peer;
    struct crossvm_i_spsc_name named;
    uint32_t request;
    uint32_t capacity;
    uint32_t elem_len;
    if (tx->state != CROSSVM_NOT_YET && tx->state != CROSSVM_REFUSED) {
        return tx->state;
    }
    int status = crossvm_i_chunk_enter(region, chunk, kind, CROSSVM_I_READER);
    if (status == CROSSVM_OK) {
        status = crossvm_i_spsc_pair(&tx->chunk, chunk);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    tx->peer = (const struct crossvm_spsc_rx_shm *)(const void *)crossvm_i_control(region, chunk);
    tx->peer_base = (const struct crossvm_chunk_shm *)(const void *)region->base;
    tx->peer_epoch = chunk->generation;
    crossvm_i_fault_in(&tx->fault, region);
    crossvm_i_spsc_name_set(&peer, region, chunk);

    status = crossvm_i_spsc_request_load(tx, &request, &capacity, &elem_len);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (request != tx->answered || !crossvm_i_spsc_name_equal(&peer, &tx->granted_to)) {
        status = crossvm_i_spsc_tx_judge(tx, &peer, request, capacity, elem_len);
    } else if (tx->state == CROSSVM_REFUSED) {
        status = CROSSVM_REFUSED;
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    tx->state = CROSSVM_NOT_YET;
    if (CROSSVM_LOAD_ACQUIRE(spsc_accept, &tx->peer->accepted) != request) {
        return CROSSVM_NOT_YET;
    }
    /* It may have accepted a tx part that is gone: then it has to renew its own. */
    crossvm_i_spsc_name_load(&named, &tx->peer->peer_chunk);
    if (!crossvm_i_spsc_name_equal(&named, &tx->name)) {
        return CROSSVM_NOT_YET;
    }
    return crossvm_i_spsc_tx_begin(tx);
}

/* Brings the queue up from the producer's side; called again until it answers OK (and free to call
 * afterwards). Judges the consumer's request and grants or refuses it in the tx part.
 * region: of the rx part. chunk: the rx part. Role: the producer. Wait-free. Trust: each word of
 * the consumer's is loaded once and judged. OK linked; NOT_YET the consumer has to move; REFUSED
 * tx->refusal says why, a later request of the consumer's is judged anew; MISMATCH another name or
 * link id; TYPE another type hash or kind; INVALID, ROLE the chunk; STALE one of the parts was
 * released or renewed, or elements of an earlier pairing are left (renew the tx part); CORRUPT with
 * tx->fault, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_link(struct crossvm_spsc_tx *tx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk)
{
    return crossvm_i_spsc_tx_link(tx, region, chunk, CROSSVM_KIND_SPSC_RX);
}

/* ---- producer: elements -------------------------------------------------------------------- */

CROSSVM_ALWAYS_INLINE unsigned char *crossvm_i_spsc_tx_slot(const struct crossvm_spsc_tx *tx,
                                                            uint32_t index, size_t stride)
{
    return tx->slots + crossvm_i_multiply(stride, index & tx->mask);
}

CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_tx_publish(struct crossvm_spsc_tx *tx, uint32_t n)
{
    tx->tail += n;
    CROSSVM_STORE_RELEASE(spsc_tail, &tx->own->line.index, tx->tail);
}

/* Free places by what was seen of the peer's head last. */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_spsc_tx_known(const struct crossvm_spsc_tx *tx)
{
    return tx->capacity - (tx->tail - tx->head);
}

/* A device mapping keeps n_free at 0, so that every push takes the slow path: aligned words. */
CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_tx_in_hand(struct crossvm_spsc_tx *tx)
{
    tx->n_free = tx->device ? 0 : crossvm_i_spsc_tx_known(tx);
}

/* Looks for at least `want` free places: the peer's head is read here while the queue is in use. */
CROSSVM_NOINLINE int crossvm_i_spsc_tx_look(struct crossvm_spsc_tx *tx, uint32_t want)
{
    if (tx->state != CROSSVM_OK) {
        return tx->state;
    }
    uint32_t head = CROSSVM_LOAD_ACQUIRE(spsc_head, &tx->peer->line.index);
    /* The index first, the epochs second: another epoch's index is never judged, nor believed. */
    if (crossvm_load_relaxed(&tx->peer->line.epoch) != tx->peer_epoch ||
        crossvm_load_relaxed(&tx->own->line.epoch) != tx->name.generation) {
        return crossvm_i_spsc_tx_stale(tx);
    }
    if (head - tx->head > tx->tail - tx->head) {
        return crossvm_i_spsc_tx_fault(tx, &tx->peer->line.index, head, CROSSVM_RULE_SPSC_INDEX);
    }
    tx->head = head;
    crossvm_i_spsc_tx_in_hand(tx);
    return crossvm_i_spsc_tx_known(tx) >= want ? CROSSVM_OK : CROSSVM_FULL;
}

CROSSVM_INLINE int crossvm_i_spsc_tx_refused(struct crossvm_spsc_tx *tx, int status)
{
    if (status == CROSSVM_FULL) {
        tx->n_refused++;
        crossvm_store_pair(&tx->own->n_refused_lo, &tx->own->n_refused_hi, tx->n_refused);
    }
    return status;
}

CROSSVM_NOINLINE int crossvm_i_spsc_tx_push_slow(struct crossvm_spsc_tx *tx, const void *elem)
{
    int status = crossvm_i_spsc_tx_look(tx, 1);
    if (status != CROSSVM_OK) {
        return crossvm_i_spsc_tx_refused(tx, status);
    }
    unsigned char *slot = crossvm_i_spsc_tx_slot(tx, tx->tail, tx->stride);
    if (tx->device) {
        crossvm_copy_out_device(slot, elem, tx->elem_len);
    } else {
        crossvm_copy_put(slot, elem, tx->elem_len);
    }
    crossvm_i_spsc_tx_publish(tx, 1);
    crossvm_i_spsc_tx_in_hand(tx);
    return CROSSVM_OK;
}

CROSSVM_ALWAYS_INLINE int crossvm_i_spsc_tx_push(struct crossvm_spsc_tx *tx, const void *elem,
                                                 size_t elem_len)
{
    if (CROSSVM_UNLIKELY(tx->n_free == 0)) {
        return crossvm_i_spsc_tx_push_slow(tx, elem);
    }
    size_t stride = (size_t)crossvm_i_spsc_stride(elem_len);
    crossvm_copy_put(crossvm_i_spsc_tx_slot(tx, tx->tail, stride), elem, elem_len);
    tx->n_free--;
    crossvm_i_spsc_tx_publish(tx, 1);
    return CROSSVM_OK;
}

/* Pushes one element of the granted length; it is published before the call returns. Rings nobody:
 * see crossvm_spsc_tx_kick. Role: the producer. Wait-free, bounded by the element's length.
 * OK; FULL (counted as refused); NOT_YET, REFUSED not linked; STALE; CORRUPT with tx->fault. */
CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int crossvm_spsc_tx_push(struct crossvm_spsc_tx *tx,
                                                                 const void *elem)
{
    return crossvm_i_spsc_tx_push(tx, elem, tx->elem_len);
}

CROSSVM_INLINE void crossvm_i_spsc_tx_span(const struct crossvm_spsc_tx *tx, uint32_t n,
                                           struct crossvm_spsc_tx_span *span)
{
    uint32_t at = tx->tail & tx->mask;
    uint32_t before_wrap = tx->capacity - at;
    span->stride = tx->stride;
    span->n_first = n < before_wrap ? n : before_wrap;
    span->n_second = n - span->n_first;
    span->first = tx->slots + crossvm_i_multiply(tx->stride, at);
    span->second = tx->slots;
}

/* Reserves n places to be filled in place: the caller's alone until committed. The elements lie in
 * up to two stretches, each stride bytes apart; crossvm_spsc_tx_span_at finds one by its number.
 * Reserving again gives the same places. In an uncached mapping use aligned accesses.
 * Role: the producer. Wait-free. OK; FULL fewer than n are free (counted as refused); INVALID n is
 * 0 or exceeds the capacity; NOT_YET, REFUSED, STALE, CORRUPT as push. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_reserve(struct crossvm_spsc_tx *tx, uint32_t n,
                                                             struct crossvm_spsc_tx_span *span)
{
    if (tx->state == CROSSVM_OK && (n == 0 || n > tx->capacity)) {
        return CROSSVM_INVALID;
    }
    if (tx->state != CROSSVM_OK || crossvm_i_spsc_tx_known(tx) < n) {
        int status = crossvm_i_spsc_tx_look(tx, n);
        if (status != CROSSVM_OK) {
            return crossvm_i_spsc_tx_refused(tx, status);
        }
    }
    crossvm_i_spsc_tx_span(tx, n, span);
    tx->reserved_end = tx->tail + n;
    return CROSSVM_OK;
}

/* One of the places reserved. i: its number, from 0, below n_first + n_second. Pure. */
CROSSVM_ALWAYS_INLINE void *crossvm_spsc_tx_span_at(const struct crossvm_spsc_tx_span *span,
                                                    uint32_t i)
{
    return i < span->n_first ? span->first + crossvm_i_multiply(span->stride, i)
                             : span->second + crossvm_i_multiply(span->stride, i - span->n_first);
}

/* Publishes the first n of the reserved elements; the others are given back.
 * Role: the producer. Wait-free. OK; INVALID more than were reserved (nothing is published);
 * STALE, CORRUPT as push. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_commit(struct crossvm_spsc_tx *tx, uint32_t n)
{
    if (tx->state != CROSSVM_OK) {
        return tx->state;
    }
    uint32_t reserved = tx->reserved_end - tx->tail;
    if (n > reserved || reserved > crossvm_i_spsc_tx_known(tx)) {
        return CROSSVM_INVALID;
    }
    crossvm_i_spsc_tx_publish(tx, n);
    tx->reserved_end = tx->tail;
    crossvm_i_spsc_tx_in_hand(tx);
    return CROSSVM_OK;
}

CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_put_run(bool device, unsigned char *to,
                                                  const unsigned char *from, uint32_t n,
                                                  size_t elem_len, size_t stride)
{
    if (elem_len == stride && !device) {
        crossvm_copy_put(to, from, crossvm_i_multiply(elem_len, n));
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (CROSSVM_UNLIKELY(device)) {
            crossvm_copy_out_device(to, from, elem_len);
        } else {
            crossvm_copy_put(to, from, elem_len);
        }
        to += stride;
        from += elem_len;
    }
}

CROSSVM_ALWAYS_INLINE int crossvm_i_spsc_tx_push_n(struct crossvm_spsc_tx *tx, const void *elems,
                                                   uint32_t n, size_t elem_len)
{
    const unsigned char *from = (const unsigned char *)elems;
    struct crossvm_spsc_tx_span span;
    if (n == 0) {
        return 0;
    }
    if (tx->n_free < n) {
        int status = crossvm_i_spsc_tx_look(tx, n);
        if (status == CROSSVM_FULL) {
            (void)crossvm_i_spsc_tx_refused(tx, status);
            n = crossvm_i_spsc_tx_known(tx);
        } else if (status != CROSSVM_OK) {
            return status;
        }
        if (n == 0) {
            return CROSSVM_FULL;
        }
    }
    size_t stride = (size_t)crossvm_i_spsc_stride(elem_len);
    crossvm_i_spsc_tx_span(tx, n, &span);
    crossvm_i_spsc_put_run(tx->device, span.first, from, span.n_first, elem_len, stride);
    if (CROSSVM_UNLIKELY(span.n_second != 0)) {
        crossvm_i_spsc_put_run(tx->device, span.second,
                               from + crossvm_i_multiply(elem_len, span.n_first), span.n_second,
                               elem_len, stride);
    }
    crossvm_i_spsc_tx_publish(tx, n);
    crossvm_i_spsc_tx_in_hand(tx);
    return (int)n;
}

/* Pushes up to n elements that lie elem_len bytes apart, published at once: the number pushed, from
 * 1; fewer than n counts as one refused push. n 0 pushes none and answers 0. Role: the producer.
 * Wait-free, bounded by n. FULL; NOT_YET, REFUSED, STALE, CORRUPT as push. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_push_n(struct crossvm_spsc_tx *tx,
                                                            const void *elems, uint32_t n)
{
    return crossvm_i_spsc_tx_push_n(tx, elems, n, tx->elem_len);
}

/* Places that are free now: 0 to capacity. The consumer can only make it more.
 * Role: the producer. Wait-free. NOT_YET, REFUSED, STALE, CORRUPT as push. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_free(struct crossvm_spsc_tx *tx)
{
    int status = crossvm_i_spsc_tx_look(tx, 0);
    return status == CROSSVM_OK ? (int)crossvm_i_spsc_tx_known(tx) : status;
}

/* The consumer's incarnation and the head at which it began. Role: the producer. Wait-free.
 * OK; NOT_YET the consumer has not started, or is just starting, or nothing was linked; STALE its
 * part was released or renewed. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_peer(const struct crossvm_spsc_tx *tx,
                                                          struct crossvm_spsc_peer *peer)
{
    if (tx->peer == NULL) {
        return CROSSVM_NOT_YET;
    }
    int status = crossvm_i_spsc_peer(&tx->peer->base, &tx->peer->incarnation, peer);
    return crossvm_load_relaxed(&tx->peer->line.epoch) != tx->peer_epoch ? CROSSVM_STALE : status;
}

/* The number of the next element to be pushed; a peer's base is such a number. Pure. */
CROSSVM_INLINE uint32_t crossvm_spsc_tx_index(const struct crossvm_spsc_tx *tx)
{
    return tx->tail;
}

/* ---- producer: waking ---------------------------------------------------------------------- */

/* The consumer polls and is never rung: kicks cost nothing from now on. Role: the producer, any
 * time after open. */
CROSSVM_INLINE void crossvm_spsc_tx_peer_polls(struct crossvm_spsc_tx *tx)
{
    tx->kick.polling = true;
}

/* Says whether to ring the consumer for what was published: 1 ring, 0 don't. now_ns, again_ns: as
 * crossvm_wake_due. Role: the producer, after one or many pushes. Wait-free, one full fence; free
 * of cost when polling was chosen. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_kick(struct crossvm_spsc_tx *tx,
                                                          uint64_t now_ns, uint64_t *again_ns)
{
    *again_ns = 0;
    if (tx->state != CROSSVM_OK || tx->kick.polling) {
        return 0;
    }
    int due = crossvm_wake_due(&tx->kick, tx->tail, now_ns, again_ns);
    crossvm_i_spsc_tx_count(tx);
    return due;
}

/* No more rings for free places. Role: the producer, when it is awake. Wait-free. */
CROSSVM_INLINE void crossvm_spsc_tx_disarm(const struct crossvm_spsc_tx *tx)
{
    if (tx->state == CROSSVM_OK) {
        (void)crossvm_wake_never(&tx->waiter);
    }
}

/* Asks to be rung when at least `want` places are free. Role: the producer, about to sleep.
 * 1 they are free already, don't sleep (and nothing is armed); 0 armed: crossvm_spsc_tx_nudge, then
 * sleep; INVALID want is 0 or exceeds the capacity; NOT_YET, REFUSED, STALE, CORRUPT. Wait-free. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_arm(struct crossvm_spsc_tx *tx, uint32_t want)
{
    int n_free = crossvm_spsc_tx_free(tx);
    if (n_free < 0) {
        return n_free;
    }
    if (want == 0 || want > tx->capacity) {
        return CROSSVM_INVALID;
    }
    if ((uint32_t)n_free < want) {
        (void)crossvm_wake_at(&tx->waiter, tx->tail - tx->capacity + want - 1, 0);
        n_free = crossvm_spsc_tx_free(tx);
    }
    if (n_free < 0 || (uint32_t)n_free >= want) {
        crossvm_spsc_tx_disarm(tx);
        return n_free < 0 ? n_free : 1;
    }
    return 0;
}

/* Says whether to ring the consumer because the producer is about to sleep: 1 unless it polls.
 * Role: the producer, after arming. Wait-free. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_tx_nudge(struct crossvm_spsc_tx *tx)
{
    int due = tx->state == CROSSVM_OK ? crossvm_wake_nudge(&tx->kick) : 0;
    if (due) {
        crossvm_i_spsc_tx_count(tx);
    }
    return due;
}

/* ---- consumer: coming up ------------------------------------------------------------------- */

/* Writes the next request where the producer sees it. */
CROSSVM_INLINE void crossvm_i_spsc_ask(struct crossvm_spsc_rx *rx, uint32_t capacity,
                                       uint32_t elem_len)
{
    struct crossvm_spsc_rx_shm *own = rx->own;
    struct crossvm_i_spsc_name nobody;
    __builtin_memset(&nobody, 0, sizeof(nobody));
    rx->asked = rx->asked + 1 == 0 ? 1 : rx->asked + 1;
    rx->request = rx->asked;
    /* Stored first: whoever dies from here on does not use the number for another request. */
    crossvm_store_relaxed(&own->asked, rx->asked);
    crossvm_store_relaxed(&own->request, 0);
    CROSSVM_FENCE_RELEASE(spsc_request_words, &own->request);
    crossvm_store_relaxed(&own->capacity, capacity);
    crossvm_store_relaxed(&own->elem_len, elem_len);
    crossvm_store_relaxed(&own->accepted, 0);
    crossvm_i_spsc_name_store(&own->peer_chunk, &nobody);
    CROSSVM_STORE_RELEASE(spsc_request, &own->request, rx->request);
    rx->capacity = capacity;
    rx->elem_len = elem_len;
    rx->accepted = false;
}

/* What remains of an earlier incarnation: the same request is kept, with its head. */
CROSSVM_INLINE int crossvm_i_spsc_rx_resume(struct crossvm_spsc_rx *rx, uint32_t capacity,
                                            uint32_t elem_len)
{
    rx->request = crossvm_load_relaxed(&rx->own->request);
    rx->asked = crossvm_load_relaxed(&rx->own->asked);
    rx->head = crossvm_load_relaxed(&rx->own->line.index);
    uint32_t accepted = crossvm_load_relaxed(&rx->own->accepted);
    rx->accepted = rx->request != 0 && accepted == rx->request;
    if (!rx->accepted) {
        if (rx->head != 0) {
            return crossvm_i_fault(&rx->fault, rx->chunk.off, rx->head, CROSSVM_RULE_SPSC_INDEX);
        }
        crossvm_i_spsc_ask(rx, capacity, elem_len);
        return CROSSVM_OK;
    }
    if (crossvm_load_relaxed(&rx->own->capacity) != capacity ||
        crossvm_load_relaxed(&rx->own->elem_len) != elem_len) {
        return CROSSVM_MISMATCH;
    }
    crossvm_i_spsc_name_load(&rx->accepted_from, &rx->own->peer_chunk);
    rx->capacity = capacity;
    rx->elem_len = elem_len;
    return CROSSVM_OK;
}

/* Shows the kicks' counters in shared memory. */
CROSSVM_INLINE void crossvm_i_spsc_rx_count(struct crossvm_spsc_rx *rx)
{
    if (crossvm_i_wake_stale(&rx->waiter)) {
        return;
    }
    crossvm_store_pair(&rx->own->n_sent_lo, &rx->own->n_sent_hi, rx->kick.n_sent);
    crossvm_store_pair(&rx->own->n_suppressed_lo, &rx->own->n_suppressed_hi, rx->kick.n_suppressed);
}

CROSSVM_INLINE int crossvm_i_spsc_rx_open(struct crossvm_spsc_rx *rx,
                                          const struct crossvm_region *region,
                                          const struct crossvm_chunk *chunk, uint32_t kind,
                                          uint32_t capacity, uint32_t elem_len, uint32_t seed)
{
    int status = crossvm_i_chunk_enter(region, chunk, kind, CROSSVM_I_WRITER);
    if (status == CROSSVM_OK) {
        status = crossvm_i_spsc_geometry(capacity, elem_len, UINT64_MAX);
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(rx, 0, sizeof(*rx));
    rx->own = (struct crossvm_spsc_rx_shm *)(void *)crossvm_i_control(region, chunk);
    rx->chunk = *chunk;
    rx->waiter.line = &rx->own->line;
    rx->waiter.epoch = chunk->generation;
    rx->state = CROSSVM_NOT_YET;
    crossvm_i_spsc_name_set(&rx->name, region, chunk);
    crossvm_i_fault_in(&rx->fault, region);
    status = crossvm_i_spsc_rx_resume(rx, capacity, elem_len);
    if (status != CROSSVM_OK) {
        rx->state = status;
        return status;
    }
    rx->published = rx->head;
    (void)crossvm_wake_never(&rx->waiter);
    crossvm_i_spsc_rx_count(rx);
    crossvm_i_spsc_start(&rx->own->base, &rx->own->incarnation, rx->head, seed);
    return CROSSVM_OK;
}

/* Opens the rx part of a queue, the first time or after a restart, and asks for a queue. capacity:
 * elements, a power of two, 1 to 2^30. elem_len: bytes of one, 1 to 2^31 - 8. seed: as
 * crossvm_spsc_tx_open. Role: the consumer, alone. Wait-free. Trust: own old words are judged.
 * OK, then crossvm_spsc_rx_link; INVALID, TOO_LARGE the request (nothing is written), INVALID also
 * no chunk of this region; TYPE not an SPSC_RX; ROLE also for a read-only mapping; STALE; MISMATCH
 * a queue of another geometry is in use here: renew the chunk; CORRUPT with rx->fault: likewise. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_open(struct crossvm_spsc_rx *rx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk,
                                                          uint32_t capacity, uint32_t elem_len,
                                                          uint32_t seed)
{
    return crossvm_i_spsc_rx_open(rx, region, chunk, CROSSVM_KIND_SPSC_RX, capacity, elem_len,
                                  seed);
}

/* Asks again, after a refusal or a change of mind, as long as the queue is not linked. capacity,
 * elem_len: as crossvm_spsc_rx_open. Role: the consumer. Wait-free. OK; INVALID, TOO_LARGE the
 * request (nothing is written), INVALID also an element length that is not a typed queue's;
 * MISMATCH the queue is linked: renew the chunk. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_ask(struct crossvm_spsc_rx *rx,
                                                         uint32_t capacity, uint32_t elem_len)
{
    int status = crossvm_i_spsc_geometry(capacity, elem_len, UINT64_MAX);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (rx->only_elem_len != 0 && rx->only_elem_len != elem_len) {
        return CROSSVM_INVALID;
    }
    if (rx->accepted || (rx->state != CROSSVM_NOT_YET && rx->state != CROSSVM_REFUSED)) {
        return CROSSVM_MISMATCH;
    }
    crossvm_i_spsc_ask(rx, capacity, elem_len);
    rx->state = CROSSVM_NOT_YET;
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_spsc_rx_fault(struct crossvm_spsc_rx *rx, const void *where,
                                           uint64_t value, uint32_t rule)
{
    uint64_t off = (uint64_t)((const unsigned char *)where - (const unsigned char *)rx->peer_base);
    rx->state = CROSSVM_CORRUPT;
    rx->n_avail = 0;
    return crossvm_i_fault(&rx->fault, off, value, rule);
}

CROSSVM_INLINE int crossvm_i_spsc_rx_stale(struct crossvm_spsc_rx *rx)
{
    rx->state = CROSSVM_STALE;
    rx->n_avail = 0;
    return CROSSVM_STALE;
}

/* One consistent answer, as the consumer copies it before it judges. */
struct crossvm_i_spsc_grant {
    uint32_t grant;
    uint32_t status;
    uint32_t capacity;
    uint32_t elem_len;
    struct crossvm_i_spsc_name named;
};

CROSSVM_INLINE int crossvm_i_spsc_grant_load(const struct crossvm_spsc_rx *rx,
                                             struct crossvm_i_spsc_grant *grant)
{
    const struct crossvm_spsc_tx_shm *peer = rx->peer;
    uint32_t answers = CROSSVM_LOAD_ACQUIRE(spsc_answers, &peer->answers);
    grant->grant = CROSSVM_LOAD_ACQUIRE(spsc_grant, &peer->grant);
    grant->status = crossvm_load_relaxed(&peer->status);
    grant->capacity = crossvm_load_relaxed(&peer->capacity);
    grant->elem_len = crossvm_load_relaxed(&peer->elem_len);
    crossvm_i_spsc_name_load(&grant->named, &peer->peer_chunk);
    CROSSVM_FENCE_ACQUIRE(spsc_grant_words, &peer->grant);
    if (crossvm_load_relaxed(&peer->line.epoch) != rx->peer_epoch) {
        return CROSSVM_STALE;
    }
    if (grant->grant != rx->request || crossvm_load_relaxed(&peer->grant) != grant->grant ||
        crossvm_load_relaxed(&peer->answers) != answers ||
        !crossvm_i_spsc_name_equal(&grant->named, &rx->name)) {
        return CROSSVM_NOT_YET;
    }
    return CROSSVM_OK;
}

CROSSVM_INLINE int crossvm_i_spsc_rx_judge(struct crossvm_spsc_rx *rx,
                                           const struct crossvm_i_spsc_grant *grant, uint64_t room)
{
    if (grant->status != CROSSVM_SPSC_GRANTED) {
        uint32_t magnitude = 0u - grant->status;
        if (magnitude == 0 || magnitude > (uint32_t)-CROSSVM_SYSTEM) {
            return crossvm_i_spsc_rx_fault(rx, &rx->peer->status, grant->status,
                                           CROSSVM_RULE_SPSC_GRANT);
        }
        rx->refusal = -(int)magnitude;
        rx->state = CROSSVM_REFUSED;
        return CROSSVM_REFUSED;
    }
    if (grant->capacity != rx->capacity || grant->elem_len != rx->elem_len ||
        crossvm_i_spsc_geometry(grant->capacity, grant->elem_len, room) != CROSSVM_OK) {
        return crossvm_i_spsc_rx_fault(rx, &rx->peer->capacity, grant->capacity,
                                       CROSSVM_RULE_SPSC_GRANT);
    }
    return CROSSVM_OK;
}

/* The grant fits: takes the producer's tail, accepts, and opens the gate. */
CROSSVM_INLINE int crossvm_i_spsc_rx_begin(struct crossvm_spsc_rx *rx,
                                           const struct crossvm_i_spsc_name *peer)
{
    uint32_t tail = CROSSVM_LOAD_ACQUIRE(spsc_tail, &rx->peer->line.index);
    if (crossvm_load_relaxed(&rx->peer->line.epoch) != rx->peer_epoch) {
        return crossvm_i_spsc_rx_stale(rx);
    }
    if (tail - rx->head > rx->capacity) {
        return crossvm_i_spsc_rx_fault(rx, &rx->peer->line.index, tail, CROSSVM_RULE_SPSC_INDEX);
    }
    crossvm_i_spsc_name_store(&rx->own->peer_chunk, peer);
    CROSSVM_STORE_RELEASE(spsc_accept, &rx->own->accepted, rx->request);
    rx->accepted = true;
    rx->accepted_from = *peer;
    rx->tail = tail;
    rx->mask = rx->capacity - 1;
    rx->stride = (size_t)crossvm_i_spsc_stride(rx->elem_len);
    rx->lazy = rx->capacity / 4;
    rx->state = CROSSVM_OK;
    rx->n_avail = 0;
    rx->shown_end = rx->head;
    bool polling = rx->kick.polling;
    crossvm_i_wake_publisher_set(&rx->kick, &rx->peer->line, rx->head, rx->capacity);
    rx->kick.polling = polling;
    return CROSSVM_OK;
}

/* answers_room: bytes for an exchange's answers in this part. */
CROSSVM_INLINE int crossvm_i_spsc_rx_link(struct crossvm_spsc_rx *rx,
                                          const struct crossvm_region *region,
                                          const struct crossvm_chunk *chunk, uint32_t kind,
                                          uint64_t answers_room)
{
    struct crossvm_i_spsc_grant grant;
    struct crossvm_i_spsc_name peer;
    if (rx->state != CROSSVM_NOT_YET && rx->state != CROSSVM_REFUSED) {
        return rx->state;
    }
    int status = crossvm_i_chunk_enter(region, chunk, kind, CROSSVM_I_READER);
    if (status == CROSSVM_OK) {
        status = crossvm_i_spsc_pair(&rx->chunk, chunk);
    }
    uint64_t answers_len = crossvm_i_multiply64(crossvm_i_spsc_stride(rx->elem_len), rx->capacity);
    if (status == CROSSVM_OK && answers_len > answers_room) {
        status = CROSSVM_NO_SPACE;
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    rx->peer = (const struct crossvm_spsc_tx_shm *)(const void *)crossvm_i_control(region, chunk);
    rx->peer_base = (const struct crossvm_chunk_shm *)(const void *)region->base;
    rx->peer_epoch = chunk->generation;
    crossvm_i_fault_in(&rx->fault, region);
    rx->slots = (const unsigned char *)rx->peer + CROSSVM_SPSC_CONTROL_LEN;
    rx->device = region->device;
    crossvm_i_spsc_name_set(&peer, region, chunk);
    if (rx->accepted && !crossvm_i_spsc_name_equal(&peer, &rx->accepted_from)) {
        return crossvm_i_spsc_rx_stale(rx);
    }

    status = crossvm_i_spsc_grant_load(rx, &grant);
    if (status == CROSSVM_OK) {
        status = crossvm_i_spsc_rx_judge(rx, &grant, crossvm_i_spsc_room(chunk));
    }
    return status == CROSSVM_OK ? crossvm_i_spsc_rx_begin(rx, &peer) : status;
}

/* Brings the queue up from the consumer's side; called again until it answers OK.
 * region: of the tx part. chunk: the tx part. Role: the consumer. Wait-free. Trust: each word of
 * the producer's is loaded once and judged. OK linked; NOT_YET the producer has to move; REFUSED
 * rx->refusal says why, crossvm_spsc_rx_ask asks for something else; MISMATCH another name or link
 * id; TYPE another type hash or kind; INVALID, ROLE the chunk; STALE one of the parts was released
 * or renewed (renew the rx part, too, when it is the tx part); CORRUPT with rx->fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_link(struct crossvm_spsc_rx *rx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk)
{
    return crossvm_i_spsc_rx_link(rx, region, chunk, CROSSVM_KIND_SPSC_TX, UINT64_MAX);
}

/* ---- consumer: elements -------------------------------------------------------------------- */

CROSSVM_ALWAYS_INLINE const unsigned char *crossvm_i_spsc_rx_slot(const struct crossvm_spsc_rx *rx,
                                                                  uint32_t index, size_t stride)
{
    return rx->slots + crossvm_i_multiply(stride, index & rx->mask);
}

CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_rx_publish(struct crossvm_spsc_rx *rx)
{
    rx->published = rx->head;
    CROSSVM_STORE_RELEASE(spsc_head, &rx->own->line.index, rx->head);
}

/* Publishes releases that were held back. Role: the consumer; called before it stops looking at
 * the queue for a while, and followed by crossvm_spsc_rx_kick. Wait-free. */
CROSSVM_INLINE void crossvm_spsc_rx_flush(struct crossvm_spsc_rx *rx)
{
    if (rx->published != rx->head) {
        crossvm_i_spsc_rx_publish(rx);
    }
}

/* No more elements in hand than may be released late, so that the fast path need not count. A
 * device mapping keeps none in hand, so that every pop takes the slow path: aligned words. */
CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_rx_in_hand(struct crossvm_spsc_rx *rx)
{
    uint32_t known = rx->tail - rx->head;
    uint32_t most = (rx->lazy == 0 ? 1 : rx->lazy) - (rx->head - rx->published);
    rx->n_avail = rx->device ? 0 : known < most ? known : most;
}

/* Each look takes the producer's line away, and holds the producer up. One that has just pushed a
 * few elements is at work: a moment later there are more, and one look finds them all. Fewer may be
 * a message whose answer somebody waits for: no delay. */
CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_rx_pace(const struct crossvm_spsc_rx *rx)
{
    if (rx->found >= CROSSVM_I_SPSC_FEW && rx->found < CROSSVM_I_SPSC_MANY) {
        for (unsigned i = 0; i < CROSSVM_I_SPSC_PAUSES; i++) {
            crossvm_cpu_pause();
        }
    }
}

/* Looks for at least `want` elements: the peer's tail is read here while the queue is in use. */
CROSSVM_NOINLINE int crossvm_i_spsc_rx_look(struct crossvm_spsc_rx *rx, uint32_t want)
{
    if (rx->state != CROSSVM_OK) {
        return rx->state;
    }
    if (crossvm_load_relaxed(&rx->own->line.epoch) != rx->name.generation) {
        return crossvm_i_spsc_rx_stale(rx);
    }
    crossvm_spsc_rx_flush(rx);
    uint32_t known = rx->tail - rx->head;
    if (known < want) {
        crossvm_i_spsc_rx_pace(rx);
        /* The next element is on its way while the index is. */
        if (!rx->device) {
            crossvm_cpu_prefetch(crossvm_i_spsc_rx_slot(rx, rx->tail, rx->stride));
        }
        uint32_t tail = CROSSVM_LOAD_ACQUIRE(spsc_tail, &rx->peer->line.index);
        /* The index first, the epoch second: another epoch's index is never judged. */
        if (crossvm_load_relaxed(&rx->peer->line.epoch) != rx->peer_epoch) {
            return crossvm_i_spsc_rx_stale(rx);
        }
        if (tail - rx->tail > rx->capacity - known) {
            return crossvm_i_spsc_rx_fault(rx, &rx->peer->line.index, tail,
                                           CROSSVM_RULE_SPSC_INDEX);
        }
        rx->found = tail - rx->tail;
        rx->tail = tail;
        known = tail - rx->head;
    }
    crossvm_i_spsc_rx_in_hand(rx);
    return known >= want ? CROSSVM_OK : CROSSVM_EMPTY;
}

/* Gives n places back: published at once when nothing more is known of, else a quarter late. */
CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_rx_take(struct crossvm_spsc_rx *rx, uint32_t n)
{
    rx->head += n;
    if (rx->head == rx->tail || rx->head - rx->published >= rx->lazy) {
        crossvm_i_spsc_rx_publish(rx);
    }
    crossvm_i_spsc_rx_in_hand(rx);
}

CROSSVM_NOINLINE int crossvm_i_spsc_rx_pop_slow(struct crossvm_spsc_rx *rx, void *elem)
{
    int status = crossvm_i_spsc_rx_look(rx, 1);
    if (status != CROSSVM_OK) {
        return status;
    }
    const unsigned char *slot = crossvm_i_spsc_rx_slot(rx, rx->head, rx->stride);
    if (rx->device) {
        crossvm_copy_in_device(elem, slot, rx->elem_len);
    } else {
        crossvm_copy_take(elem, slot, rx->elem_len);
    }
    crossvm_i_spsc_rx_take(rx, 1);
    return CROSSVM_OK;
}

CROSSVM_ALWAYS_INLINE int crossvm_i_spsc_rx_pop(struct crossvm_spsc_rx *rx, void *elem,
                                                size_t elem_len)
{
    if (CROSSVM_UNLIKELY(rx->n_avail == 0)) {
        return crossvm_i_spsc_rx_pop_slow(rx, elem);
    }
    size_t stride = (size_t)crossvm_i_spsc_stride(elem_len);
    crossvm_copy_take(elem, crossvm_i_spsc_rx_slot(rx, rx->head, stride), elem_len);
    rx->head++;
    rx->n_avail--;
    if (rx->n_avail == 0) {
        crossvm_i_spsc_rx_publish(rx);
    }
    return CROSSVM_OK;
}

/* Takes one element of the granted length. Role: the consumer. Wait-free, bounded by the element's
 * length, and by a few pauses of the processor when it looks for more. Trust: the contents are the
 * producer's, copied once: judge the copy.
 * OK; EMPTY; NOT_YET, REFUSED not linked; STALE; CORRUPT with rx->fault. */
CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int crossvm_spsc_rx_pop(struct crossvm_spsc_rx *rx,
                                                                void *elem)
{
    return crossvm_i_spsc_rx_pop(rx, elem, rx->elem_len);
}

/* Where n elements from an index on lie. slots: element 0. */
CROSSVM_INLINE void crossvm_i_spsc_span(struct crossvm_spsc_rx_span *span,
                                        const unsigned char *slots, uint32_t index, uint32_t n,
                                        uint32_t capacity, size_t stride)
{
    uint32_t at = index & (capacity - 1);
    uint32_t before_wrap = capacity - at;
    span->stride = stride;
    span->n_first = n < before_wrap ? n : before_wrap;
    span->n_second = n - span->n_first;
    span->first = slots + crossvm_i_multiply(stride, at);
    span->second = slots;
}

CROSSVM_INLINE void crossvm_i_spsc_rx_span(const struct crossvm_spsc_rx *rx, uint32_t n,
                                           struct crossvm_spsc_rx_span *span)
{
    crossvm_i_spsc_span(span, rx->slots, rx->head, n, rx->capacity, rx->stride);
}

/* Shows the n oldest elements in place, in up to two stretches; they stay the consumer's until
 * released. A producer that breaks the rules can change them meanwhile: what must be judged, copy
 * first, or pop. Role: the consumer. Wait-free. OK; EMPTY fewer than n are there; INVALID n is 0 or
 * exceeds the capacity; NOT_YET, REFUSED, STALE, CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_peek(struct crossvm_spsc_rx *rx, uint32_t n,
                                                          struct crossvm_spsc_rx_span *span)
{
    if (rx->state == CROSSVM_OK && (n == 0 || n > rx->capacity)) {
        return CROSSVM_INVALID;
    }
    if (rx->state != CROSSVM_OK || rx->tail - rx->head < n) {
        int status = crossvm_i_spsc_rx_look(rx, n);
        if (status != CROSSVM_OK) {
            return status;
        }
    }
    crossvm_i_spsc_rx_span(rx, n, span);
    rx->shown_end = rx->head + n;
    return CROSSVM_OK;
}

/* One of the elements shown. i: its number, from 0, below n_first + n_second. Pure. */
CROSSVM_ALWAYS_INLINE const void *crossvm_spsc_rx_span_at(const struct crossvm_spsc_rx_span *span,
                                                          uint32_t i)
{
    return i < span->n_first ? span->first + crossvm_i_multiply(span->stride, i)
                             : span->second + crossvm_i_multiply(span->stride, i - span->n_first);
}

/* Releases the n oldest of the elements shown; the others may be looked at again.
 * Role: the consumer. Wait-free. OK; INVALID more than were shown (nothing is released); STALE,
 * CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_release(struct crossvm_spsc_rx *rx, uint32_t n)
{
    if (rx->state != CROSSVM_OK) {
        return rx->state;
    }
    uint32_t shown = rx->shown_end - rx->head;
    if (n > shown || shown > rx->tail - rx->head) {
        return CROSSVM_INVALID;
    }
    crossvm_i_read_once();
    crossvm_i_spsc_rx_take(rx, n);
    return CROSSVM_OK;
}

CROSSVM_ALWAYS_INLINE void crossvm_i_spsc_take_run(bool device, unsigned char *to,
                                                   const unsigned char *from, uint32_t n,
                                                   size_t elem_len, size_t stride)
{
    if (elem_len == stride && !device) {
        crossvm_copy_take(to, from, crossvm_i_multiply(elem_len, n));
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (CROSSVM_UNLIKELY(device)) {
            crossvm_copy_in_device(to, from, elem_len);
        } else {
            crossvm_copy_take(to, from, elem_len);
        }
        to += elem_len;
        from += stride;
    }
}

CROSSVM_ALWAYS_INLINE int crossvm_i_spsc_rx_pop_n(struct crossvm_spsc_rx *rx, void *elems,
                                                  uint32_t n, size_t elem_len)
{
    unsigned char *to = (unsigned char *)elems;
    struct crossvm_spsc_rx_span span;
    if (n == 0) {
        return 0;
    }
    if (rx->n_avail < n) {
        int status = crossvm_i_spsc_rx_look(rx, n);
        if (status == CROSSVM_EMPTY) {
            n = rx->tail - rx->head;
        } else if (status != CROSSVM_OK) {
            return status;
        }
        if (n == 0) {
            return CROSSVM_EMPTY;
        }
    }
    size_t stride = (size_t)crossvm_i_spsc_stride(elem_len);
    crossvm_i_spsc_rx_span(rx, n, &span);
    crossvm_i_spsc_take_run(rx->device, to, span.first, span.n_first, elem_len, stride);
    if (CROSSVM_UNLIKELY(span.n_second != 0)) {
        crossvm_i_spsc_take_run(rx->device, to + crossvm_i_multiply(elem_len, span.n_first),
                                span.second, span.n_second, elem_len, stride);
    }
    crossvm_i_spsc_rx_take(rx, n);
    return (int)n;
}

/* Takes up to n elements, elem_len bytes apart: the number taken, from 1. n 0 takes none and
 * answers 0. Role: the consumer. Wait-free, bounded by n. Trust: as pop.
 * EMPTY; NOT_YET, REFUSED, STALE, CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_pop_n(struct crossvm_spsc_rx *rx, void *elems,
                                                           uint32_t n)
{
    return crossvm_i_spsc_rx_pop_n(rx, elems, n, rx->elem_len);
}

/* Elements that are there now: 0 to capacity. The producer can only make it more.
 * Role: the consumer. Wait-free. NOT_YET, REFUSED, STALE, CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_fill(struct crossvm_spsc_rx *rx)
{
    int status = crossvm_i_spsc_rx_look(rx, rx->capacity);
    return status == CROSSVM_OK || status == CROSSVM_EMPTY ? (int)(rx->tail - rx->head) : status;
}

/* The producer's incarnation and the tail at which it began: elements before it are those of an
 * earlier incarnation. Role: the consumer. Wait-free. OK; NOT_YET; STALE as crossvm_spsc_tx_peer.
 */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_peer(const struct crossvm_spsc_rx *rx,
                                                          struct crossvm_spsc_peer *peer)
{
    if (rx->peer == NULL) {
        return CROSSVM_NOT_YET;
    }
    int status = crossvm_i_spsc_peer(&rx->peer->base, &rx->peer->incarnation, peer);
    return crossvm_load_relaxed(&rx->peer->line.epoch) != rx->peer_epoch ? CROSSVM_STALE : status;
}

/* The number of the next element to be popped; a peer's base is such a number. Pure. */
CROSSVM_INLINE uint32_t crossvm_spsc_rx_index(const struct crossvm_spsc_rx *rx)
{
    return rx->head;
}

/* ---- consumer: waking ---------------------------------------------------------------------- */

/* The producer polls and is never rung: kicks cost nothing from now on. Role: the consumer, any
 * time after open. */
CROSSVM_INLINE void crossvm_spsc_rx_peer_polls(struct crossvm_spsc_rx *rx)
{
    rx->kick.polling = true;
}

/* Says whether to ring the producer for the places that were released: 1 ring, 0 don't.
 * Role: the consumer, after pops. Wait-free, one full fence; free of cost when polling. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_kick(struct crossvm_spsc_rx *rx)
{
    uint64_t again_ns;
    if (rx->state != CROSSVM_OK || rx->kick.polling) {
        return 0;
    }
    int due = crossvm_wake_due(&rx->kick, rx->published, 0, &again_ns);
    crossvm_i_spsc_rx_count(rx);
    return due;
}

/* No more rings for elements. Role: the consumer, when it is awake. Wait-free. */
CROSSVM_INLINE void crossvm_spsc_rx_disarm(const struct crossvm_spsc_rx *rx)
{
    if (rx->state == CROSSVM_OK) {
        (void)crossvm_wake_never(&rx->waiter);
    }
}

/* Asks to be rung when at least `want` elements are there. want: a watermark, 1 for any. delay_ns:
 * the longest delay that the consumer keeps by its own timer, told to the producer as a hint; 0 =
 * none. Releases that were held back are published first. Role: the consumer, about to sleep.
 * 1 they are there already, don't sleep (and nothing is armed); 0 armed: crossvm_spsc_rx_nudge,
 * then sleep; INVALID want is 0 or exceeds the capacity; NOT_YET, REFUSED, STALE, CORRUPT.
 * Wait-free. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_arm(struct crossvm_spsc_rx *rx, uint32_t want,
                                                         uint64_t delay_ns)
{
    int fill = crossvm_spsc_rx_fill(rx);
    if (fill < 0) {
        return fill;
    }
    if (want == 0 || want > rx->capacity) {
        return CROSSVM_INVALID;
    }
    if ((uint32_t)fill < want) {
        (void)crossvm_wake_at(&rx->waiter, rx->head + want - 1, delay_ns);
        fill = crossvm_spsc_rx_fill(rx);
    }
    if (fill < 0 || (uint32_t)fill >= want) {
        crossvm_spsc_rx_disarm(rx);
        return fill < 0 ? fill : 1;
    }
    return 0;
}

/* Says whether to ring the producer because the consumer is about to sleep: 1 unless it polls.
 * Role: the consumer, after arming. Wait-free. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_spsc_rx_nudge(struct crossvm_spsc_rx *rx)
{
    int due = rx->state == CROSSVM_OK ? crossvm_wake_nudge(&rx->kick) : 0;
    if (due) {
        crossvm_i_spsc_rx_count(rx);
    }
    return due;
}

/* ---- one element type ---------------------------------------------------------------------- */

/* Declares struct NAME_tx and NAME_rx for elements of `type`: the length is a constant, so that
 * copies and addresses fold, and the compiler checks the element's type. The calls mirror those
 * above: NAME_tx_open (grants only this length), _tx_push, _tx_push_n, NAME_rx_open, _rx_pop,
 * _rx_pop_n; everything else goes through the member `queue`. */
#define CROSSVM_SPSC_TYPE(NAME, type)                                                              \
    struct NAME##_tx {                                                                             \
        struct crossvm_spsc_tx queue;                                                              \
    };                                                                                             \
    struct NAME##_rx {                                                                             \
        struct crossvm_spsc_rx queue;                                                              \
    };                                                                                             \
    CROSSVM_NODISCARD CROSSVM_INLINE int NAME##_tx_open(                                           \
        struct NAME##_tx *tx, const struct crossvm_region *region,                                 \
        const struct crossvm_chunk *chunk, uint32_t seed)                                          \
    {                                                                                              \
        return crossvm_spsc_tx_open(&tx->queue, region, chunk, (uint32_t)sizeof(type), seed);      \
    }                                                                                              \
    CROSSVM_NODISCARD CROSSVM_INLINE int NAME##_rx_open(                                           \
        struct NAME##_rx *rx, const struct crossvm_region *region,                                 \
        const struct crossvm_chunk *chunk, uint32_t capacity, uint32_t seed)                       \
    {                                                                                              \
        int status = crossvm_spsc_rx_open(&rx->queue, region, chunk, capacity,                     \
                                          (uint32_t)sizeof(type), seed);                           \
        rx->queue.only_elem_len = (uint32_t)sizeof(type);                                          \
        return status;                                                                             \
    }                                                                                              \
    CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int NAME##_tx_push(struct NAME##_tx *tx,               \
                                                               const type *elem)                   \
    {                                                                                              \
        return crossvm_i_spsc_tx_push(&tx->queue, elem, sizeof(type));                             \
    }                                                                                              \
    CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int NAME##_tx_push_n(struct NAME##_tx *tx,             \
                                                                 const type *elems, uint32_t n)    \
    {                                                                                              \
        return crossvm_i_spsc_tx_push_n(&tx->queue, elems, n, sizeof(type));                       \
    }                                                                                              \
    CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int NAME##_rx_pop(struct NAME##_rx *rx, type *elem)    \
    {                                                                                              \
        return crossvm_i_spsc_rx_pop(&rx->queue, elem, sizeof(type));                              \
    }                                                                                              \
    CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int NAME##_rx_pop_n(struct NAME##_rx *rx, type *elems, \
                                                                uint32_t n)                        \
    {                                                                                              \
        return crossvm_i_spsc_rx_pop_n(&rx->queue, elems, n, sizeof(type));                        \
    }                                                                                              \
    struct NAME##_tx

CROSSVM_EXTERN_C_END

#endif
