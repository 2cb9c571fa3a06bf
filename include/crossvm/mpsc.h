/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/mpsc.h - a queue of fixed-size elements from several writers that trust each other to one
 * consumer that need not trust them.
 *
 * Layer 3. Roles: writers, each with an id of its own, which all write the ring; one consumer,
 * which only reads it. Both parts bear one name and link id, like those of spsc.h. A writer needs
 * a core that compares and swaps 32 bits (CROSSVM_HAS_CAS); the consumer does not.
 *
 * Shared bytes of the ring (kind MPSC_TX, struct crossvm_chunk_shm, then n slots of 8 + up(len, 8)
 * bytes):
 *
 *   offset        size    writer   name    meaning
 *   0             4       -        index   zero
 *   4             4       owner    epoch   the chunk's generation
 *   8             120     -        words   zero
 *   128           stride  writers  slot 0  8 bytes of slot header, then the element
 *   128 + stride  stride  writers  slot 1  ... n slots
 *
 * Slot header, 8 bytes (struct crossvm_mpsc_slot_shm):
 *
 *   offset  size  writer   name      meaning
 *   0       4     writers  claim     lap << 8 | writer << 2 | state
 *   4       4     -        reserved  zero
 *
 * Shared bytes of the consumer's part (kind MPSC_RX, struct crossvm_mpsc_rx_shm):
 *
 *   offset  size  writer    name            meaning
 *   0       4     consumer  line.index      head: elements ever released or lost, runs freely
 *   4       4     owner     line.epoch      the chunk's generation
 *   8       16    consumer  line.event      the consumer's wake words (wake.h)
 *   128     4     consumer  peer_chunk      id of the ring that it reads, 0 = none yet
 *   132     4     consumer  peer_generation its generation
 *   136     16    consumer  peer_region     its region's id
 *   152     8     consumer  n_lost_lo       claims that were given up, since it opened, two words
 *
 * Element number t lies in slot t mod n. The slot's claim word tells whose it is:
 *
 *   bits 8 to 31  lap     (t / n + 1), the low 24 bits of it, fewer if t / n has fewer
 *   bits 2 to 7   writer  1 to 63
 *   bits 0 and 1  state   0 committed, 1 claimed, 2 given up (3 is impossible)
 *
 * so that memory of zeros is a ring whose slots are free for lap 1.
 *
 *   claim    the first slot behind the head that bears the lap before: CAS to {lap, own id,
 *            claimed}. It is looked for behind the own last claim, or else behind the head, where a
 *            slot in front of it has to bear its lap: so claims have no gaps.
 *   commit   CAS of the slot to {lap, own id, committed}; it fails if the claim was given up
 *   bury     the claims of a writer that is confirmed dead: CAS to {lap, its id, given up}
 *
 * There is no tail: the slots say where it is, and writers share no other line. The consumer goes
 * from slot to slot: committed, it takes the element; given up, it counts a loss; claimed, it
 * waits, for the writer may be slow. A claim is passed over only when its writer's death is
 * confirmed.
 *
 * Ordering edges (release side -> acquire side):
 *
 *   mpsc_slot    fence in front of commit or bury -> slot, acquire: the word brings the element,
 *                and what a dead writer stored
 *   mpsc_head    head, release     -> head, acquire: a slot is claimed only after it was read
 *   chunk_epoch  epoch, then fence -> head, acquire; slot, acquire; fence behind a slot: what was
 *                cleared is never judged (region.h)
 *   mpsc_kick    fence, all orders -> wake_arm: the consumer sees what was committed, or the writer
 *                sees that it wants a ring; and of two writers one sees both elements
 *
 * The claim itself needs no order: whoever claims has loaded the head behind whatever was done to
 * the slot in the lap before. Neither does the ring's name: all of it is there, or it is another
 * one.
 */
#ifndef CROSSVM_MPSC_H
#define CROSSVM_MPSC_H

#include "spsc.h"

CROSSVM_EXTERN_C_BEGIN

/* In front of each element. */
struct crossvm_mpsc_slot_shm {
    struct crossvm_le32 claim;
    struct crossvm_le32 reserved;
};

CROSSVM_I_AT(crossvm_mpsc_slot_shm, claim, 0);
CROSSVM_I_AT(crossvm_mpsc_slot_shm, reserved, 4);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_mpsc_slot_shm) == CROSSVM_MPSC_SLOT_LEN, "bytes");

#define CROSSVM_MPSC_WRITERS 63u /* the highest id of a writer */
#define CROSSVM_MPSC_TRIES   32u /* attempts at a claim, while others claim, before TORN */

/* How long a consumer waits that found nothing behind a few elements (CROSSVM_I_SPSC_FEW). Found by
 * measuring on x86-64, with elements of 8 bytes (docs/PERFORMANCE.md). */
#define CROSSVM_I_MPSC_PAUSES 16u

/* The consumer's part. */
struct crossvm_mpsc_rx_shm {
    struct crossvm_wake_line_shm line; /* head, epoch and the consumer's wake words */
    struct crossvm_le32 peer_chunk;
    struct crossvm_le32 peer_generation;
    struct crossvm_le32 peer_region[4];
    struct crossvm_le32 n_lost_lo;
    struct crossvm_le32 n_lost_hi;
    struct crossvm_le32 reserved[24];
};

CROSSVM_I_AT(crossvm_mpsc_rx_shm, line, 0);
CROSSVM_I_AT(crossvm_mpsc_rx_shm, peer_chunk, 128);
CROSSVM_I_AT(crossvm_mpsc_rx_shm, peer_generation, 132);
CROSSVM_I_AT(crossvm_mpsc_rx_shm, peer_region, 136);
CROSSVM_I_AT(crossvm_mpsc_rx_shm, n_lost_lo, 152);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_mpsc_rx_shm) == CROSSVM_MPSC_RX_LEN, "bytes");

/* What a slot's word says of its element. */
enum crossvm_i_mpsc_state {
    CROSSVM_I_MPSC_COMMITTED = 0, /* it is there */
    CROSSVM_I_MPSC_CLAIMED = 1,   /* its writer is at work, or dead */
    CROSSVM_I_MPSC_GIVEN_UP = 2   /* its writer is dead */
};

/* Where the slots lie. */
struct crossvm_i_mpsc_ring {
    unsigned char *slots; /* slot 0 */
    size_t stride;        /* from slot to slot */
    uint32_t mask;        /* slots - 1 */
    uint32_t shift;       /* slots are 2^shift */
    uint32_t lap_mask;    /* of the bits that a lap has */
    uint32_t elem_len;    /* bytes of an element */
};

/* A writer's handle. */
struct crossvm_mpsc_tx {
    struct crossvm_i_mpsc_ring ring;        /* the slots */
    struct crossvm_chunk_shm *own;          /* the ring's control line */
    const struct crossvm_mpsc_rx_shm *peer; /* the consumer's part */
    uint32_t writer;                        /* own id */
    uint32_t epoch;                         /* the ring's when it was opened */
    uint32_t peer_epoch;                    /* the consumer's part's when it was linked */
    uint32_t index;                         /* of the last claim, or of one that was seen since */
    bool claimed;                           /* there is one, not committed yet */
    bool rung;                              /* rung_event is one */
    uint32_t rung_event;                    /* the event that it rang for last */
    uint32_t n_unkicked;                    /* elements committed since the last kick */
    uint32_t first_unkicked;                /* the index of the first of them */
    struct crossvm_wake_publisher kick;     /* says when the consumer wants a ring */
    uint64_t n_refused;                     /* claims that found the ring full */
    int state;                              /* OK linked; NOT_YET, STALE, CORRUPT */
    struct crossvm_i_spsc_name name;        /* of the ring */
    const struct crossvm_chunk_shm *base;   /* start of the peer's region, for the fault's off */
    struct crossvm_chunk chunk;             /* the ring */
    struct crossvm_fault fault;             /* why it answers CORRUPT */
};

/* The consumer's handle. */
struct crossvm_mpsc_rx {
    struct crossvm_i_mpsc_ring ring;      /* the slots */
    struct crossvm_mpsc_rx_shm *own;      /* this part */
    const struct crossvm_chunk_shm *peer; /* the ring's control line */
    uint32_t head;                        /* own index */
    uint32_t published;                   /* head, as published last */
    uint32_t lazy;                        /* at most this many releases are held back */
    uint32_t peer_epoch;                  /* the ring's when it was linked */
    uint32_t writer;                      /* of what stood at the head last, 0 = nobody */
    uint32_t n_found;                     /* elements taken since it found nothing */
    bool shown;                           /* the element at the head was peeked at */
    uint64_t n_lost;                      /* claims given up, since it opened */
    struct crossvm_wake_waiter waiter;    /* asks for rings when elements are there */
    int state;                            /* OK linked; NOT_YET, STALE, CORRUPT */
    const struct crossvm_chunk_shm *base; /* start of the peer's region, for the fault's off */
    struct crossvm_chunk chunk;           /* this part */
    struct crossvm_fault fault;           /* why it answers CORRUPT */
};

/* ---- what both sides share ---------------------------------------------------------------- */

CROSSVM_INLINE void crossvm_i_mpsc_ring_set(struct crossvm_i_mpsc_ring *ring,
                                            const struct crossvm_region *region,
                                            const struct crossvm_chunk *chunk)
{
    ring->slots = region->base + (size_t)chunk->off + CROSSVM_LINE;
    ring->stride = (size_t)crossvm_i_mpsc_stride(chunk->len);
    ring->mask = chunk->n - 1;
    ring->shift = 0;
    while ((ring->mask >> ring->shift) != 0) {
        ring->shift++;
    }
    /* An index has 32 bits: a lap has no more than are left. */
    ring->lap_mask = UINT32_MAX >> (ring->shift < 8 ? 8 : ring->shift);
    ring->elem_len = (uint32_t)chunk->len;
}

CROSSVM_ALWAYS_INLINE struct crossvm_le32 *crossvm_i_mpsc_slot(
    const struct crossvm_i_mpsc_ring *ring, uint32_t index)
{
    return (struct crossvm_le32 *)(void *)(ring->slots +
                                           crossvm_i_multiply(ring->stride, index & ring->mask));
}

CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_mpsc_word(const struct crossvm_i_mpsc_ring *ring,
                                                   uint32_t index, uint32_t writer, uint32_t state)
{
    uint32_t lap = ((index >> ring->shift) + 1) & ring->lap_mask;
    return lap << 8 | writer << 2 | state;
}

/* How many laps a slot's word is behind the one in which it bears an index: 0, 1 free for it. */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_mpsc_behind(const struct crossvm_i_mpsc_ring *ring,
                                                     uint32_t index, uint32_t word)
{
    return ((index >> ring->shift) + 1 - (word >> 8)) & ring->lap_mask;
}

/* ---- writers ------------------------------------------------------------------------------ */

#if CROSSVM_HAS_CAS

/* Gives up what a writer has claimed. How many claims: 1 at most, unless it broke the rules. */
CROSSVM_INLINE uint32_t crossvm_i_mpsc_bury(const struct crossvm_i_mpsc_ring *ring, uint32_t writer)
{
    uint32_t n_buried = 0;
    for (uint32_t i = 0; i <= ring->mask; i++) {
        struct crossvm_le32 *slot = crossvm_i_mpsc_slot(ring, i);
        uint32_t word = crossvm_load_relaxed(slot);
        if ((word & 0xffu) == (writer << 2 | CROSSVM_I_MPSC_CLAIMED)) {
            CROSSVM_FENCE_RELEASE(mpsc_slot, slot);
            n_buried += crossvm_cas_relaxed(
                slot, word, word - CROSSVM_I_MPSC_CLAIMED + CROSSVM_I_MPSC_GIVEN_UP);
        }
    }
    return n_buried;
}

/* Opens the ring for a writer, the first time or after a restart; a claim that its predecessor of
 * the same id left is given up. writer: its id, 1 to 63, used by nobody else at the same time.
 * Role: a writer, or whoever buries writers. Wait-free, bounded by the capacity. OK, then
 * crossvm_mpsc_tx_link; TYPE not an MPSC_TX; INVALID no chunk of this region, or no such id; ROLE
 * also for a read-only mapping; MEMORY_TYPE it is mapped as a device; STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_open(struct crossvm_mpsc_tx *tx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk,
                                                          uint32_t writer)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_MPSC_TX, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (writer == 0 || writer > CROSSVM_MPSC_WRITERS) {
        return CROSSVM_INVALID;
    }
    if (region->device) {
        return CROSSVM_MEMORY_TYPE;
    }
    __builtin_memset(tx, 0, sizeof(*tx));
    crossvm_i_mpsc_ring_set(&tx->ring, region, chunk);
    tx->own = crossvm_i_control(region, chunk);
    tx->chunk = *chunk;
    tx->writer = writer;
    tx->epoch = chunk->generation;
    tx->state = CROSSVM_NOT_YET;
    crossvm_i_spsc_name_set(&tx->name, region, chunk);
    (void)crossvm_i_mpsc_bury(&tx->ring, writer);
    return CROSSVM_OK;
}

/* Looks for the consumer; called again until it answers OK (and free to call afterwards).
 * region: of the consumer's part. chunk: the consumer's part. Role: a writer. Wait-free. OK linked,
 * and the next kick rings; NOT_YET the consumer has not linked this ring yet; MISMATCH another name
 * or link id; TYPE another type hash or kind; INVALID, ROLE the chunk; MEMORY_TYPE it is mapped as
 * a device; STALE it was released or renewed; CORRUPT, sticky. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_link(struct crossvm_mpsc_tx *tx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk)
{
    struct crossvm_i_spsc_name named;
    if (tx->state != CROSSVM_NOT_YET) {
        return tx->state;
    }
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_MPSC_RX, CROSSVM_I_READER);
    if (status == CROSSVM_OK) {
        status = crossvm_i_spsc_pair(&tx->chunk, chunk);
    }
    if (status == CROSSVM_OK && region->device) {
        status = CROSSVM_MEMORY_TYPE;
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    tx->peer = (const struct crossvm_mpsc_rx_shm *)(const void *)crossvm_i_control(region, chunk);
    tx->base = (const struct crossvm_chunk_shm *)(const void *)region->base;
    tx->peer_epoch = chunk->generation;
    crossvm_i_fault_in(&tx->fault, region);
    crossvm_i_spsc_name_load(&named, &tx->peer->peer_chunk);
    if (crossvm_load_relaxed(&tx->peer->line.epoch) != tx->peer_epoch) {
        return CROSSVM_STALE;
    }
    if (!crossvm_i_spsc_name_equal(&named, &tx->name)) {
        return CROSSVM_NOT_YET;
    }
    bool polling = tx->kick.polling;
    crossvm_i_wake_publisher_set(&tx->kick, &tx->peer->line, 0, 0);
    tx->kick.polling = polling;
    tx->state = CROSSVM_OK;
    return CROSSVM_OK;
}

/* Whether a slot bears the lap of an index, or already the next one. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_mpsc_is_claimed(const struct crossvm_i_mpsc_ring *ring,
                                                     uint32_t index)
{
    uint32_t word = crossvm_load_relaxed(crossvm_i_mpsc_slot(ring, index));
    return ((crossvm_i_mpsc_behind(ring, index, word) + 1) & ring->lap_mask) <= 1;
}

/* The first index from `first` on that is not claimed, end if there is none. Claims have no gaps:
 * the step doubles until it meets a free slot, and is halved from there. */
CROSSVM_ALWAYS_INLINE uint32_t crossvm_i_mpsc_first_free(const struct crossvm_i_mpsc_ring *ring,
                                                         uint32_t first, uint32_t end)
{
    uint32_t step = 1;
    while (first != end) {
        uint32_t left = end - first;
        step = step <= left ? step : (left + 1) / 2;
        if (crossvm_i_mpsc_is_claimed(ring, first + step - 1)) {
            first += step;
            step *= 2;
        } else {
            end = first + step - 1;
        }
    }
    return first;
}

/* There is no room: none either by a head from long ago. But if the head's own slot is free, then
 * somebody slept for 2^32 elements and claimed in front of it: the next attempt begins there. */
CROSSVM_INLINE int crossvm_i_mpsc_tx_full(struct crossvm_mpsc_tx *tx, uint32_t head)
{
    uint32_t word = crossvm_load_relaxed(crossvm_i_mpsc_slot(&tx->ring, head));
    if (crossvm_i_mpsc_behind(&tx->ring, head, word) != 1) {
        return CROSSVM_FULL;
    }
    tx->index = head - 1;
    return CROSSVM_TORN;
}

/* Says why there is nothing to claim. TORN the head moved on meanwhile; FULL; STALE; CORRUPT the
 * head is in front of all claims: the slot in front of it is free. */
CROSSVM_INLINE int crossvm_i_mpsc_tx_refuse(struct crossvm_mpsc_tx *tx, uint32_t head)
{
    const struct crossvm_i_mpsc_ring *ring = &tx->ring;
    const struct crossvm_le32 *where = &tx->peer->line.index;
    const struct crossvm_le32 *slot = crossvm_i_mpsc_slot(ring, head - 1);
    uint32_t behind = crossvm_i_mpsc_behind(ring, head - 1, crossvm_load_relaxed(slot));
    /* The slot first, the epoch second: another epoch's slot is never judged. */
    CROSSVM_FENCE_ACQUIRE(chunk_epoch, slot);
    if (crossvm_load_relaxed(&tx->own->epoch) != tx->epoch) {
        tx->state = CROSSVM_STALE;
        return CROSSVM_STALE;
    }
    if (crossvm_load_relaxed(where) != head) {
        return CROSSVM_TORN;
    }
    if (behind == 0 || behind > ring->lap_mask / 2) {
        return crossvm_i_mpsc_tx_full(tx, head);
    }
    tx->state = CROSSVM_CORRUPT;
    uint64_t off = (uint64_t)((const unsigned char *)where - (const unsigned char *)tx->base);
    return crossvm_i_fault(&tx->fault, off, head, CROSSVM_RULE_MPSC_INDEX);
}

/* Where claims are looked for: behind the own last one, or the head, if the slot in front of it
 * bears its lap; else nowhere. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_mpsc_tx_first(const struct crossvm_mpsc_tx *tx, uint32_t head,
                                                   uint32_t *first)
{
    *first = tx->index + 1;
    if (*first - head <= tx->ring.mask + 1 && crossvm_i_mpsc_is_claimed(&tx->ring, *first - 1)) {
        return true;
    }
    *first = head;
    return crossvm_i_mpsc_is_claimed(&tx->ring, head - 1);
}

/* One attempt at the next claim. OK tx->index; FULL; TORN somebody was faster, or the head moved;
 * STALE; CORRUPT. */
CROSSVM_INLINE int crossvm_i_mpsc_tx_try(struct crossvm_mpsc_tx *tx)
{
    const struct crossvm_i_mpsc_ring *ring = &tx->ring;
    uint32_t first;
    /* The head in front of the slots: what was released is claimed by then. */
    uint32_t head = CROSSVM_LOAD_ACQUIRE(mpsc_head, &tx->peer->line.index);
    if (crossvm_load_relaxed(&tx->peer->line.epoch) != tx->peer_epoch ||
        crossvm_load_relaxed(&tx->own->epoch) != tx->epoch) {
        tx->state = CROSSVM_STALE;
        return CROSSVM_STALE;
    }
    if (!crossvm_i_mpsc_tx_first(tx, head, &first)) {
        return crossvm_i_mpsc_tx_refuse(tx, head);
    }
    uint32_t tail = crossvm_i_mpsc_first_free(ring, first, head + ring->mask + 1);
    if (tail - head > ring->mask) {
        return crossvm_i_mpsc_tx_refuse(tx, head);
    }
    tx->index = tail - 1; /* an attempt that fails is not for nothing */
    struct crossvm_le32 *slot = crossvm_i_mpsc_slot(ring, tail);
    uint32_t word = crossvm_load_relaxed(slot);
    uint32_t claim = crossvm_i_mpsc_word(ring, tail, tx->writer, CROSSVM_I_MPSC_CLAIMED);
    /* Room is what it was before the slots were looked at, unless this writer slept meanwhile. */
    if (crossvm_i_mpsc_behind(ring, tail, word) != 1 ||
        crossvm_load_relaxed(&tx->peer->line.index) != head) {
        return CROSSVM_TORN;
    }
    if (!crossvm_cas_relaxed(slot, word, claim)) {
        return CROSSVM_TORN;
    }
    tx->index = tail;
    return CROSSVM_OK;
}

/* Claims the next slot. */
CROSSVM_NOINLINE int crossvm_i_mpsc_tx_claim(struct crossvm_mpsc_tx *tx)
{
    int status = tx->state == CROSSVM_OK ? CROSSVM_TORN : tx->state;
    for (uint32_t i = 0; i < CROSSVM_MPSC_TRIES && status == CROSSVM_TORN; i++) {
        status = crossvm_i_mpsc_tx_try(tx);
    }
    tx->claimed = status == CROSSVM_OK;
    tx->n_refused += status == CROSSVM_FULL;
    return status;
}

/* Claims the next place, to be filled in place: an element's length, the caller's alone until
 * committed. Reserving again gives the same place. The consumer takes nothing behind it meanwhile:
 * commit soon, and always. What must not be taken is given up by opening again, and counts as
 * lost. Role: a writer. Lock-free: at most CROSSVM_MPSC_TRIES attempts, each of which fails because
 * another writer has claimed or the consumer has released; bounded also if one of them is dead. OK;
 * FULL (counted as refused); TORN the others were faster each time, call again; NOT_YET not linked;
 * STALE; CORRUPT with tx->fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_reserve(struct crossvm_mpsc_tx *tx,
                                                             void **place)
{
    int status = tx->claimed ? tx->state : crossvm_i_mpsc_tx_claim(tx);
    if (status == CROSSVM_OK) {
        *place = (unsigned char *)(void *)crossvm_i_mpsc_slot(&tx->ring, tx->index) +
                 CROSSVM_MPSC_SLOT_LEN;
    }
    return status;
}

/* Publishes the element that was reserved. Rings nobody: see crossvm_mpsc_tx_kick. Role: a writer.
 * Wait-free. OK; INVALID nothing was reserved; STALE the claim was given up, because somebody took
 * this writer for dead (the element is lost, and counted; open again); NOT_YET, CORRUPT as
 * reserve. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_commit(struct crossvm_mpsc_tx *tx)
{
    const struct crossvm_i_mpsc_ring *ring = &tx->ring;
    if (tx->state != CROSSVM_OK) {
        return tx->state;
    }
    if (!tx->claimed) {
        return CROSSVM_INVALID;
    }
    struct crossvm_le32 *slot = crossvm_i_mpsc_slot(ring, tx->index);
    uint32_t claim = crossvm_i_mpsc_word(ring, tx->index, tx->writer, CROSSVM_I_MPSC_CLAIMED);
    tx->claimed = false;
    CROSSVM_FENCE_RELEASE(mpsc_slot, slot);
    if (!crossvm_cas_relaxed(slot, claim,
                             claim - CROSSVM_I_MPSC_CLAIMED + CROSSVM_I_MPSC_COMMITTED)) {
        tx->state = CROSSVM_STALE;
        return CROSSVM_STALE;
    }
    if (tx->n_unkicked == 0) {
        tx->first_unkicked = tx->index;
    }
    tx->n_unkicked++;
    return CROSSVM_OK;
}

/* Pushes one element; it is published before the call returns, and behind it those of other writers
 * that were claimed in front of it, when they are. Rings nobody: see crossvm_mpsc_tx_kick. An
 * element that was reserved and not committed is this one. Role: a writer. Lock-free as reserve,
 * bounded by the element's length. Statuses as reserve, and STALE as commit. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_push(struct crossvm_mpsc_tx *tx,
                                                          const void *elem)
{
    void *place;
    int status = crossvm_mpsc_tx_reserve(tx, &place);
    if (status != CROSSVM_OK) {
        return status;
    }
    crossvm_copy_put(place, elem, tx->ring.elem_len);
    return crossvm_mpsc_tx_commit(tx);
}

/* Gives up what a dead writer had claimed: the consumer passes over it and counts it as lost, once,
 * whoever else gives it up. The next kick rings, because the dead one may have owed a ring, too.
 * writer: its id, not the caller's own; its death is confirmed (docs/TRUST.md), and nobody has
 * opened the ring under its id since. Role: any writer. Wait-free, bounded by the capacity. The
 * number of claims, 0 or 1: no count of losses; INVALID; STALE the ring is gone. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_bury(struct crossvm_mpsc_tx *tx,
                                                          uint32_t writer)
{
    if (writer == 0 || writer > CROSSVM_MPSC_WRITERS || writer == tx->writer) {
        return CROSSVM_INVALID;
    }
    if (crossvm_load_relaxed(&tx->own->epoch) != tx->epoch) {
        tx->state = tx->state == CROSSVM_CORRUPT ? tx->state : CROSSVM_STALE;
        return CROSSVM_STALE;
    }
    tx->kick.fresh = true;
    return (int)crossvm_i_mpsc_bury(&tx->ring, writer);
}

/* ---- writers: waking ----------------------------------------------------------------------- */

/* The consumer polls and is never rung: kicks cost nothing from now on. Role: a writer, any time
 * after open. */
CROSSVM_INLINE void crossvm_mpsc_tx_peer_polls(struct crossvm_mpsc_tx *tx)
{
    tx->kick.polling = true;
}

/* Whether the consumer wants a ring. Elements are committed in any order: it is rung by each writer
 * that sees the event's element committed and has committed one that the consumer waits for; the
 * last of them sees that. A writer that died owed a ring: so everybody else rings once, too. */
CROSSVM_INLINE bool crossvm_i_mpsc_tx_due(struct crossvm_mpsc_tx *tx, uint64_t now_ns,
                                          uint64_t *again_ns)
{
    struct crossvm_wake_publisher *kick = &tx->kick;
    uint32_t mode = crossvm_load_relaxed(&kick->line->mode);
    if (mode == CROSSVM_WAKE_NEVER) {
        kick->pending_ns = 0;
        return false;
    }
    if (mode != CROSSVM_WAKE_EVENT) {
        return tx->n_unkicked != 0;
    }
    uint32_t event = crossvm_load_relaxed(&kick->line->event);
    uint32_t word = crossvm_load_relaxed(crossvm_i_mpsc_slot(&tx->ring, event));
    uint32_t behind = crossvm_i_mpsc_behind(&tx->ring, event, word);
    if (behind == 1 || (behind == 0 && (word & 3u) == CROSSVM_I_MPSC_CLAIMED)) {
        return crossvm_i_wake_delay_over(kick, event, tx->n_unkicked != 0, now_ns, again_ns);
    }
    kick->pending_ns = 0;
    bool waited_for = tx->n_unkicked != 0 && event - tx->first_unkicked < 0x80000000u;
    bool again = tx->rung && tx->rung_event == event;
    tx->rung = true;
    tx->rung_event = event;
    return waited_for || !again;
}

/* Says whether to ring the consumer for what was committed: 1 ring, 0 don't. A writer that finds
 * the ring full kicks as well, and then polls: nobody is rung for room. now_ns, again_ns: as
 * crossvm_wake_due. Role: a writer, after one or many elements. Wait-free, one full fence; free of
 * cost when polling was chosen. Trust: any event is harmless. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_tx_kick(struct crossvm_mpsc_tx *tx,
                                                          uint64_t now_ns, uint64_t *again_ns)
{
    struct crossvm_wake_publisher *kick = &tx->kick;
    *again_ns = 0;
    if (tx->state != CROSSVM_OK || kick->polling) {
        return 0;
    }
    CROSSVM_FENCE_SEQ_CST(mpsc_kick, &kick->line->mode);
    bool due = crossvm_i_mpsc_tx_due(tx, now_ns, again_ns);
    tx->n_unkicked = 0;
    if (due || kick->fresh) {
        kick->fresh = false;
        kick->pending_ns = 0;
        kick->n_sent++;
        *again_ns = 0;
        return 1;
    }
    kick->n_suppressed++;
    return 0;
}

#endif

/* ---- consumer: coming up ------------------------------------------------------------------- */

/* Opens the consumer's part, the first time or after a restart: it goes on at its own head, and may
 * see again what it had taken but not released. Role: the consumer, alone. Wait-free. Trust: its
 * own old head is believed as far as the ring's slots confirm it. OK, then crossvm_mpsc_rx_link;
 * TYPE not an MPSC_RX; INVALID no chunk of this region; ROLE also for a read-only mapping;
 * MEMORY_TYPE it is mapped as a device; STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_open(struct crossvm_mpsc_rx *rx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_MPSC_RX, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (region->device) {
        return CROSSVM_MEMORY_TYPE;
    }
    __builtin_memset(rx, 0, sizeof(*rx));
    rx->own = (struct crossvm_mpsc_rx_shm *)(void *)crossvm_i_control(region, chunk);
    rx->chunk = *chunk;
    rx->waiter.line = &rx->own->line;
    rx->waiter.epoch = chunk->generation;
    rx->head = crossvm_load_relaxed(&rx->own->line.index);
    rx->published = rx->head;
    rx->state = CROSSVM_NOT_YET;
    (void)crossvm_wake_never(&rx->waiter);
    crossvm_store_pair(&rx->own->n_lost_lo, &rx->own->n_lost_hi, 0);
    return CROSSVM_OK;
}

/* Whether a ring was never used. The first claim was that of slot 0, and a writer's id is not 0. */
CROSSVM_INLINE bool crossvm_i_mpsc_rx_unused(const struct crossvm_mpsc_rx *rx)
{
    return crossvm_load_relaxed(crossvm_i_mpsc_slot(&rx->ring, 0)) == 0;
}

CROSSVM_INLINE int crossvm_i_mpsc_rx_stale(struct crossvm_mpsc_rx *rx)
{
    rx->state = CROSSVM_STALE;
    return CROSSVM_STALE;
}

/* Links the ring; capacity and element length are those of its chunk. region: of the ring. chunk:
 * the ring. Role: the consumer. Wait-free. OK linked: the writers can begin; MISMATCH another name
 * or link id; TYPE another type hash or kind; INVALID, ROLE the chunk; MEMORY_TYPE it is mapped as
 * a device; STALE one of the parts was released or renewed, or the ring was another consumer's
 * part's before (renew the part that is not new); CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_link(struct crossvm_mpsc_rx *rx,
                                                          const struct crossvm_region *region,
                                                          const struct crossvm_chunk *chunk)
{
    struct crossvm_i_spsc_name peer;
    struct crossvm_i_spsc_name named;
    if (rx->state != CROSSVM_NOT_YET) {
        return rx->state;
    }
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_MPSC_TX, CROSSVM_I_READER);
    if (status == CROSSVM_OK) {
        status = crossvm_i_spsc_pair(&rx->chunk, chunk);
    }
    if (status == CROSSVM_OK && region->device) {
        status = CROSSVM_MEMORY_TYPE;
    }
    if (status != CROSSVM_OK) {
        return status;
    }
    rx->peer = crossvm_i_control(region, chunk);
    rx->base = (const struct crossvm_chunk_shm *)(const void *)region->base;
    rx->peer_epoch = chunk->generation;
    crossvm_i_fault_in(&rx->fault, region);
    rx->lazy = chunk->n / 4;
    crossvm_i_mpsc_ring_set(&rx->ring, region, chunk);
    crossvm_i_spsc_name_set(&peer, region, chunk);
    crossvm_i_spsc_name_load(&named, &rx->own->peer_chunk);
    if (!crossvm_i_spsc_name_equal(&peer, &named)) {
        /* Another ring than before: both begin, or one of them has to be made anew. */
        if (rx->head != 0 || !crossvm_i_mpsc_rx_unused(rx)) {
            return crossvm_i_mpsc_rx_stale(rx);
        }
        crossvm_i_spsc_name_store(&rx->own->peer_chunk, &peer);
    }
    rx->state = CROSSVM_OK;
    return CROSSVM_OK;
}

/* ---- consumer: elements -------------------------------------------------------------------- */

/* Publishes releases that were held back, at most a quarter of the capacity. Role: the consumer;
 * called when it stops in the middle: a call that finds nothing does it by itself. Wait-free. */
CROSSVM_INLINE void crossvm_mpsc_rx_flush(struct crossvm_mpsc_rx *rx)
{
    if (rx->published != rx->head) {
        rx->published = rx->head;
        CROSSVM_STORE_RELEASE(mpsc_head, &rx->own->line.index, rx->head);
    }
}

/* Answers of the look at one slot, beside statuses. */
#define CROSSVM_I_MPSC_LOST 1

/* Looks at the slot of an index, the head's or one behind it. OK committed; LOST given up; NOT_YET
 * claimed; EMPTY; STALE; CORRUPT. */
CROSSVM_ALWAYS_INLINE int crossvm_i_mpsc_rx_judge(struct crossvm_mpsc_rx *rx, uint32_t index)
{
    const struct crossvm_le32 *slot = crossvm_i_mpsc_slot(&rx->ring, index);
    uint32_t word = CROSSVM_LOAD_ACQUIRE(mpsc_slot, slot);
    uint32_t behind = crossvm_i_mpsc_behind(&rx->ring, index, word);
    uint32_t state = word & 3u;
    rx->writer = behind == 0 ? word >> 2 & CROSSVM_MPSC_WRITERS : 0;
    if (CROSSVM_LIKELY(state == CROSSVM_I_MPSC_COMMITTED && rx->writer != 0)) {
        return CROSSVM_OK;
    }
    /* The word first, the epochs second: another epoch's word is never judged. */
    if (crossvm_load_relaxed(&rx->peer->epoch) != rx->peer_epoch ||
        crossvm_load_relaxed(&rx->own->line.epoch) != rx->chunk.generation) {
        return crossvm_i_mpsc_rx_stale(rx);
    }
    if (behind == 1) {
        return CROSSVM_EMPTY;
    }
    if (state == CROSSVM_I_MPSC_CLAIMED && rx->writer != 0) {
        return CROSSVM_NOT_YET;
    }
    if (state == CROSSVM_I_MPSC_GIVEN_UP && rx->writer != 0) {
        return CROSSVM_I_MPSC_LOST;
    }
    uint64_t off = (uint64_t)((const unsigned char *)slot - (const unsigned char *)rx->base);
    rx->state = CROSSVM_CORRUPT;
    return crossvm_i_fault(&rx->fault, off, word, CROSSVM_RULE_MPSC_SLOT);
}

/* Goes on behind the head, which is published a quarter late. */
CROSSVM_ALWAYS_INLINE void crossvm_i_mpsc_rx_next(struct crossvm_mpsc_rx *rx)
{
    rx->head++;
    rx->shown = false;
    if (rx->head - rx->published >= rx->lazy) {
        crossvm_mpsc_rx_flush(rx);
    }
}

/* The claim at the head is passed over. */
CROSSVM_INLINE void crossvm_i_mpsc_rx_lose(struct crossvm_mpsc_rx *rx)
{
    rx->n_lost++;
    crossvm_store_pair(&rx->own->n_lost_lo, &rx->own->n_lost_hi, rx->n_lost);
    crossvm_i_mpsc_rx_next(rx);
}

/* Each look at a slot takes its line away from the writers. Those that have just pushed a few
 * elements are at work: a moment later there are more. Fewer may be a message whose answer somebody
 * waits for: no delay. */
CROSSVM_INLINE void crossvm_i_mpsc_rx_pace(struct crossvm_mpsc_rx *rx)
{
    if (rx->n_found >= CROSSVM_I_SPSC_FEW) {
        for (unsigned i = 0; i < CROSSVM_I_MPSC_PAUSES; i++) {
            crossvm_cpu_pause();
        }
    }
    rx->n_found = 0;
}

/* Passes over what was given up, one lap at most, and looks at the element behind it. What was
 * released so far is published unless there is one. */
CROSSVM_INLINE int crossvm_i_mpsc_rx_look(struct crossvm_mpsc_rx *rx)
{
    int status = CROSSVM_I_MPSC_LOST;
    if (rx->state != CROSSVM_OK) {
        return rx->state;
    }
    for (uint32_t i = 0; i <= rx->ring.mask && status == CROSSVM_I_MPSC_LOST; i++) {
        status = crossvm_i_mpsc_rx_judge(rx, rx->head);
        if (status == CROSSVM_I_MPSC_LOST) {
            crossvm_i_mpsc_rx_lose(rx);
        }
    }
    if (status == CROSSVM_I_MPSC_LOST) {
        status = CROSSVM_EMPTY;
    }
    if (CROSSVM_UNLIKELY(status == CROSSVM_EMPTY || status == CROSSVM_NOT_YET)) {
        crossvm_mpsc_rx_flush(rx);
    }
    return status;
}

CROSSVM_ALWAYS_INLINE void crossvm_i_mpsc_rx_take(struct crossvm_mpsc_rx *rx)
{
    crossvm_i_read_once();
    rx->n_found++;
    crossvm_i_mpsc_rx_next(rx);
}

/* Takes one element if there is one. */
CROSSVM_INLINE int crossvm_i_mpsc_rx_pop(struct crossvm_mpsc_rx *rx, void *elem)
{
    int status = crossvm_i_mpsc_rx_look(rx);
    if (status == CROSSVM_OK) {
        const unsigned char *slot =
            (const unsigned char *)(const void *)crossvm_i_mpsc_slot(&rx->ring, rx->head);
        crossvm_copy_take(elem, slot + CROSSVM_MPSC_SLOT_LEN, rx->ring.elem_len);
        crossvm_i_mpsc_rx_take(rx);
    }
    return status;
}

/* Takes one element. elem: room for one. Role: the consumer. Wait-free, bounded by the element's
 * length, by a few pauses of the processor when it finds nothing behind a few elements, and, where
 * claims were given up, by the capacity. Trust: the slot's word is loaded once and judged; the
 * contents are the writer's, copied once: judge the copy. OK, rx->writer says whose it was; EMPTY;
 * NOT_YET an element is under way (rx->writer says whose; 0 = not linked); STALE; CORRUPT with
 * rx->fault. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_pop(struct crossvm_mpsc_rx *rx, void *elem)
{
    int status = crossvm_i_mpsc_rx_pop(rx, elem);
    if (status != CROSSVM_OK) {
        crossvm_i_mpsc_rx_pace(rx);
    }
    return status;
}

/* Takes up to n elements, one behind the other: the number taken, from 1. n 0 takes none and
 * answers 0. Role: the consumer. Wait-free, bounded by n and the capacity, and paused as pop if
 * there is none. Trust: as pop. A status as pop when there was none: what stopped a batch shows at
 * the next call. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_pop_n(struct crossvm_mpsc_rx *rx, void *elems,
                                                           uint32_t n)
{
    unsigned char *to = (unsigned char *)elems;
    int n_taken = 0;
    while ((uint32_t)n_taken < n && n_taken < 0x7fffffff) {
        int status = n_taken == 0 ? crossvm_mpsc_rx_pop(rx, to) : crossvm_i_mpsc_rx_pop(rx, to);
        if (status != CROSSVM_OK) {
            return n_taken == 0 ? status : n_taken;
        }
        n_taken++;
        to += rx->ring.elem_len;
    }
    return n_taken;
}

/* Shows the next element in place; it stays the consumer's until released. A writer that breaks the
 * rules can change it meanwhile: what must be judged, copy first, or pop. Role: the consumer.
 * Wait-free, bounded by the capacity, and paused as pop if there is none. Statuses as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_peek(struct crossvm_mpsc_rx *rx,
                                                          const void **elem)
{
    int status = crossvm_i_mpsc_rx_look(rx);
    rx->shown = status == CROSSVM_OK;
    if (status != CROSSVM_OK) {
        crossvm_i_mpsc_rx_pace(rx);
    } else {
        *elem = (const unsigned char *)(const void *)crossvm_i_mpsc_slot(&rx->ring, rx->head) +
                CROSSVM_MPSC_SLOT_LEN;
    }
    return status;
}

/* Releases the element that was shown. Role: the consumer. Wait-free. OK; INVALID none was shown
 * since the last one was taken; NOT_YET, STALE, CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_release(struct crossvm_mpsc_rx *rx)
{
    if (rx->state != CROSSVM_OK) {
        return rx->state;
    }
    if (!rx->shown) {
        return CROSSVM_INVALID;
    }
    crossvm_i_mpsc_rx_take(rx);
    return CROSSVM_OK;
}

/* Passes over a dead writer's claim at the head and counts it as lost: for a consumer that goes on
 * when no writer is left to bury the dead. writer: its id; its death is confirmed, and nobody has
 * opened the ring under its id since (that would have buried it); one that lives may lose its
 * element without learning it. Role: the consumer. Wait-free. OK; INVALID no claim of this writer's
 * stands at the head (nothing is passed over); NOT_YET not linked; STALE, CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_skip(struct crossvm_mpsc_rx *rx,
                                                          uint32_t writer)
{
    int status = crossvm_i_mpsc_rx_look(rx);
    if (rx->state != CROSSVM_OK) {
        return rx->state;
    }
    if (status != CROSSVM_NOT_YET || rx->writer != writer) {
        return CROSSVM_INVALID;
    }
    crossvm_i_mpsc_rx_lose(rx);
    crossvm_mpsc_rx_flush(rx);
    return CROSSVM_OK;
}

/* Counts elements from the head on, up to `want`. end: the first slot that was not looked at, or
 * whose element is under way or not there. */
CROSSVM_INLINE int crossvm_i_mpsc_rx_count(struct crossvm_mpsc_rx *rx, uint32_t want, uint32_t *end)
{
    int status = crossvm_i_mpsc_rx_look(rx);
    uint32_t writer = rx->writer;
    uint32_t n = status == CROSSVM_OK ? 1 : 0;
    *end = rx->head + n;
    while (status >= 0 && n < want && *end - rx->head <= rx->ring.mask) {
        status = crossvm_i_mpsc_rx_judge(rx, *end);
        *end += status >= 0;
        n += status == CROSSVM_OK;
    }
    rx->writer = writer;
    crossvm_mpsc_rx_flush(rx);
    return rx->state == CROSSVM_OK ? (int)n : rx->state;
}

/* Elements that are there now, up to the first one that is under way: 0 to capacity. The writers
 * can only make it more. Role: the consumer. Wait-free, bounded by the capacity. NOT_YET not
 * linked; STALE, CORRUPT as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_fill(struct crossvm_mpsc_rx *rx)
{
    uint32_t end;
    return crossvm_i_mpsc_rx_count(rx, UINT32_MAX, &end);
}

/* ---- consumer: waking ---------------------------------------------------------------------- */

/* No more rings for elements. Role: the consumer, when it is awake. Wait-free. */
CROSSVM_INLINE void crossvm_mpsc_rx_disarm(const struct crossvm_mpsc_rx *rx)
{
    if (rx->state == CROSSVM_OK) {
        (void)crossvm_wake_never(&rx->waiter);
    }
}

/* Asks to be rung when at least `want` elements are there, or as many as can come. want: a
 * watermark, 1 for any. delay_ns: as crossvm_spsc_rx_arm. The ring may come when fewer are there: a
 * claim that is given up takes the place of an element, and elements come in any order. Releases
 * that were held back are published first. Role: the consumer, about to sleep. 1 don't sleep, look:
 * they are there already, or as many as can come (and nothing is armed); 0 armed: sleep; INVALID
 * want is 0 or exceeds the capacity; NOT_YET not linked; STALE, CORRUPT as pop. Wait-free, bounded
 * by want. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_mpsc_rx_arm(struct crossvm_mpsc_rx *rx, uint32_t want,
                                                         uint64_t delay_ns)
{
    uint32_t end;
    uint32_t event = 0;
    int n = crossvm_i_mpsc_rx_count(rx, want, &end);
    if (n < 0) {
        return n;
    }
    if (want == 0 || want > rx->ring.mask + 1) {
        return CROSSVM_INVALID;
    }
    if ((uint32_t)n < want) {
        event = end + want - (uint32_t)n - 1;
        if (event - rx->head > rx->ring.mask) {
            event = rx->head + rx->ring.mask;
        }
        /* Who has filled that place already does not ring again. */
        if (event - end - 1 < 0x80000000u && crossvm_i_mpsc_rx_judge(rx, event) >= 0) {
            event = end;
        }
        if (rx->state != CROSSVM_OK) {
            return rx->state;
        }
        (void)crossvm_wake_at(&rx->waiter, event, delay_ns);
        n = crossvm_i_mpsc_rx_count(rx, want, &end);
    }
    /* Nobody rings any more when the event was passed before it was seen. */
    if (n < 0 || (uint32_t)n >= want || end - event - 1 < 0x80000000u) {
        crossvm_mpsc_rx_disarm(rx);
        return n < 0 ? n : 1;
    }
    return 0;
}

CROSSVM_EXTERN_C_END

#endif
