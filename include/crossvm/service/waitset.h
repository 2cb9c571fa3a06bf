/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/service/waitset.h - one wait for many things: elements, room, answers, versions.
 *
 * Layer 5, on pipe.h, exchange.h, mpsc.h, snapshot.h, broadcast.h. Roles: one thread, which has the
 * waiting side's role in each source. No shared bytes of its own.
 *
 * The set waits on one doorbell. Peers that trust each other may all ring the same vector of ours;
 * for others, and for several backends, it is one that listens to many (backend/poll.h). The
 * rings that a source causes go through its own bell. With polling (notify.h) nobody rings.
 *
 * Each source has its own watermark and its own longest delay, kept by the set's deadline, as a
 * pipe keeps it: a delay begins when something is there, and goes on from one wait to the next.
 * What pipe.h says of waits that end early holds here, source by source.
 *
 * A source that fails is ready once, with its status, and is then passed over until it is mended. A
 * doorbell that is rung without end costs what crossvm_notify_wait_again says; each of its rings is
 * four looks at each source.
 */
#ifndef CROSSVM_SERVICE_WAITSET_H
#define CROSSVM_SERVICE_WAITSET_H

#include "../broadcast.h"
#include "../exchange.h"
#include "../mpsc.h"
#include "../notify.h"
#include "../snapshot.h"
#include "pipe.h"

CROSSVM_EXTERN_C_BEGIN

/* What a kind of source can do; a program can have kinds of its own. None may block. How much is
 * there may become less only by the waiter's own doing. */
struct crossvm_waitset_ops {
    /* How much is there, 0 and up; no more than `want` need be counted. Or a status. */
    int (*look)(void *object, uint32_t want);
    /* Asks to be rung when `want` are there, a full fence behind it, and looks again. delay_ns: as
     * crossvm_spsc_rx_arm. 0 armed; 1 not armed, look: they are there, or as many as can come; a
     * status. */
    int (*arm)(void *object, uint32_t want, uint64_t delay_ns);
    /* No more rings. */
    void (*disarm)(void *object);
    /* Whether to ring the peer because we are about to sleep: 1 or 0. */
    int (*nudge)(void *object);
    /* Whether the peer sleeps, or is about to: seen behind the fence of arm. */
    bool (*peer_waits)(void *object);
};

/* One thing to wait for; the array of them is the caller's. */
struct crossvm_waitset_source {
    const struct crossvm_waitset_ops *ops; /* its kind */
    void *object;                          /* what they are called with */
    const struct crossvm_pipe_bell *bell;  /* rings the peer, NULL = it is never rung by a wait */
    uint32_t want;                         /* the watermark, from 1 */
    uint64_t delay_ns;                     /* the longest delay below it, 0 = none */
    int ready;                             /* the last wait's: how much is there, a status, 0 */
    int there;                             /* how much the last look saw, below the watermark */
    int failed;                            /* the status that was told, 0 = none */
    int arm_failed;                        /* the same, of arming it */
    int bell_failed;                       /* the same, of its bell */
    uint64_t until_ns;                     /* its delay ends here, 0 = has not begun */
};

/* The set. */
struct crossvm_waitset {
    struct crossvm_waitset_source *sources; /* each made by one of the calls below */
    uint32_t n_sources;                     /* their number */
    struct crossvm_notify *notify;          /* where the set is rung */
    uint32_t vector;                        /* its own vector */
};

/* A reader that can be rung for new versions or elements: the words that it writes are in a WAKE
 * chunk of its own. */
struct crossvm_waitset_snapshot {
    const struct crossvm_snapshot_reader *reader; /* what it has read counts */
    const struct crossvm_wake_waiter *waiter;     /* NULL = rung for each, or polled */
};

/* The same for a broadcast. */
struct crossvm_waitset_broadcast {
    const struct crossvm_broadcast_reader *reader; /* what it has read or lost counts */
    const struct crossvm_wake_waiter *waiter;      /* NULL = rung for each, or polled */
};

/* ---- kinds of sources ---------------------------------------------------------------------- */

CROSSVM_INLINE int crossvm_i_waitset_rx_look(void *object, uint32_t want)
{
    (void)want;
    return crossvm_spsc_rx_fill((struct crossvm_spsc_rx *)object);
}

CROSSVM_INLINE int crossvm_i_waitset_rx_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    return crossvm_spsc_rx_arm((struct crossvm_spsc_rx *)object, want, delay_ns);
}

CROSSVM_INLINE void crossvm_i_waitset_rx_disarm(void *object)
{
    crossvm_spsc_rx_disarm((struct crossvm_spsc_rx *)object);
}

CROSSVM_INLINE int crossvm_i_waitset_rx_nudge(void *object)
{
    return crossvm_spsc_rx_nudge((struct crossvm_spsc_rx *)object);
}

CROSSVM_INLINE bool crossvm_i_waitset_rx_peer_waits(void *object)
{
    return crossvm_wake_peer_waits(&((struct crossvm_spsc_rx *)object)->kick);
}

CROSSVM_INLINE int crossvm_i_waitset_tx_look(void *object, uint32_t want)
{
    (void)want;
    return crossvm_spsc_tx_free((struct crossvm_spsc_tx *)object);
}

CROSSVM_INLINE int crossvm_i_waitset_tx_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    (void)delay_ns;
    return crossvm_spsc_tx_arm((struct crossvm_spsc_tx *)object, want);
}

CROSSVM_INLINE void crossvm_i_waitset_tx_disarm(void *object)
{
    crossvm_spsc_tx_disarm((struct crossvm_spsc_tx *)object);
}

CROSSVM_INLINE int crossvm_i_waitset_tx_nudge(void *object)
{
    return crossvm_spsc_tx_nudge((struct crossvm_spsc_tx *)object);
}

CROSSVM_INLINE bool crossvm_i_waitset_tx_peer_waits(void *object)
{
    return crossvm_wake_peer_waits(&((struct crossvm_spsc_tx *)object)->kick);
}

CROSSVM_INLINE int crossvm_i_waitset_answers_look(void *object, uint32_t want)
{
    (void)want;
    return crossvm_exchange_tx_answered((struct crossvm_exchange_tx *)object);
}

CROSSVM_INLINE int crossvm_i_waitset_answers_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    return crossvm_exchange_tx_arm((struct crossvm_exchange_tx *)object, want, delay_ns);
}

CROSSVM_INLINE void crossvm_i_waitset_answers_disarm(void *object)
{
    crossvm_spsc_tx_disarm(&((struct crossvm_exchange_tx *)object)->queue);
}

/* A client that was sent nothing owes nothing: two that have nothing would wake each other. */
CROSSVM_INLINE int crossvm_i_waitset_answers_nudge(void *object)
{
    struct crossvm_spsc_tx *queue = &((struct crossvm_exchange_tx *)object)->queue;
    return queue->tail == queue->head ? 0 : crossvm_spsc_tx_nudge(queue);
}

CROSSVM_INLINE bool crossvm_i_waitset_answers_peer_waits(void *object)
{
    return crossvm_wake_peer_waits(&((struct crossvm_exchange_tx *)object)->queue.kick);
}

/* Each element is a slot to be looked at: no more of them than are wanted. */
CROSSVM_INLINE int crossvm_i_waitset_ring_look(void *object, uint32_t want)
{
    uint32_t end;
    return crossvm_i_mpsc_rx_count((struct crossvm_mpsc_rx *)object, want, &end);
}

CROSSVM_INLINE int crossvm_i_waitset_ring_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    return crossvm_mpsc_rx_arm((struct crossvm_mpsc_rx *)object, want, delay_ns);
}

CROSSVM_INLINE void crossvm_i_waitset_ring_disarm(void *object)
{
    crossvm_mpsc_rx_disarm((struct crossvm_mpsc_rx *)object);
}

/* Asks for the want-th number behind `last`. */
CROSSVM_INLINE int crossvm_i_waitset_wake_at(const struct crossvm_wake_waiter *waiter,
                                             uint32_t last, uint32_t want, uint64_t delay_ns)
{
    if (want == 0 || want > 0x7fffffffu) {
        return CROSSVM_INVALID;
    }
    return waiter == NULL ? CROSSVM_OK : crossvm_wake_at(waiter, last + want - 1, delay_ns);
}

CROSSVM_INLINE void crossvm_i_waitset_wake_never(const struct crossvm_wake_waiter *waiter)
{
    if (waiter != NULL) {
        (void)crossvm_wake_never(waiter);
    }
}

CROSSVM_INLINE int crossvm_i_waitset_snapshot_look(void *object, uint32_t want)
{
    (void)want;
    return crossvm_snapshot_reader_newer(((struct crossvm_waitset_snapshot *)object)->reader);
}

CROSSVM_INLINE int crossvm_i_waitset_snapshot_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    const struct crossvm_waitset_snapshot *snapshot = (struct crossvm_waitset_snapshot *)object;
    return crossvm_i_waitset_wake_at(snapshot->waiter, (uint32_t)snapshot->reader->last, want,
                                     delay_ns);
}

CROSSVM_INLINE void crossvm_i_waitset_snapshot_disarm(void *object)
{
    crossvm_i_waitset_wake_never(((struct crossvm_waitset_snapshot *)object)->waiter);
}

CROSSVM_INLINE int crossvm_i_waitset_broadcast_look(void *object, uint32_t want)
{
    (void)want;
    return crossvm_broadcast_reader_newer(((struct crossvm_waitset_broadcast *)object)->reader);
}

CROSSVM_INLINE int crossvm_i_waitset_broadcast_arm(void *object, uint32_t want, uint64_t delay_ns)
{
    const struct crossvm_waitset_broadcast *broadcast = (struct crossvm_waitset_broadcast *)object;
    return crossvm_i_waitset_wake_at(broadcast->waiter,
                                     (uint32_t)crossvm_broadcast_reader_number(broadcast->reader),
                                     want, delay_ns);
}

CROSSVM_INLINE void crossvm_i_waitset_broadcast_disarm(void *object)
{
    crossvm_i_waitset_wake_never(((struct crossvm_waitset_broadcast *)object)->waiter);
}

/* Writers of slots never wait for their readers, and those of a ring poll. */
CROSSVM_INLINE int crossvm_i_waitset_no_nudge(void *object)
{
    (void)object;
    return 0;
}

CROSSVM_INLINE bool crossvm_i_waitset_nobody_waits(void *object)
{
    (void)object;
    return false;
}

/* Makes a source of any kind. bell: NULL, or what rings the peer. want, delay_ns: as in the source.
 * Role: the waiter. */
CROSSVM_INLINE void crossvm_waitset_watch(struct crossvm_waitset_source *source,
                                          const struct crossvm_waitset_ops *ops, void *object,
                                          const struct crossvm_pipe_bell *bell, uint32_t want,
                                          uint64_t delay_ns)
{
    __builtin_memset(source, 0, sizeof(*source));
    source->ops = ops;
    source->object = object;
    source->bell = bell;
    source->want = want;
    source->delay_ns = delay_ns;
}

/* Elements of a queue, or requests of an exchange (its `queue`). want: 1 to the capacity. queue,
 * bell: must outlive the source, as must all that the others below are given. Role: the
 * consumer. */
CROSSVM_INLINE void crossvm_waitset_watch_elements(struct crossvm_waitset_source *source,
                                                   struct crossvm_spsc_rx *queue,
                                                   const struct crossvm_pipe_bell *bell,
                                                   uint32_t want, uint64_t delay_ns)
{
    static const struct crossvm_waitset_ops ops = {
        crossvm_i_waitset_rx_look,  crossvm_i_waitset_rx_arm,        crossvm_i_waitset_rx_disarm,
        crossvm_i_waitset_rx_nudge, crossvm_i_waitset_rx_peer_waits,
    };
    crossvm_waitset_watch(source, &ops, queue, bell, want, delay_ns);
}

/* Free places of a queue. want: 1 to the capacity. Role: the producer. */
CROSSVM_INLINE void crossvm_waitset_watch_room(struct crossvm_waitset_source *source,
                                               struct crossvm_spsc_tx *queue,
                                               const struct crossvm_pipe_bell *bell, uint32_t want)
{
    static const struct crossvm_waitset_ops ops = {
        crossvm_i_waitset_tx_look,  crossvm_i_waitset_tx_arm,        crossvm_i_waitset_tx_disarm,
        crossvm_i_waitset_tx_nudge, crossvm_i_waitset_tx_peer_waits,
    };
    crossvm_waitset_watch(source, &ops, queue, bell, want, 0);
}

/* Answers of an exchange. want: 1 to the capacity. Role: the producer. */
CROSSVM_INLINE void crossvm_waitset_watch_answers(struct crossvm_waitset_source *source,
                                                  struct crossvm_exchange_tx *exchange,
                                                  const struct crossvm_pipe_bell *bell,
                                                  uint32_t want, uint64_t delay_ns)
{
    static const struct crossvm_waitset_ops ops = {
        crossvm_i_waitset_answers_look,       crossvm_i_waitset_answers_arm,
        crossvm_i_waitset_answers_disarm,     crossvm_i_waitset_answers_nudge,
        crossvm_i_waitset_answers_peer_waits,
    };
    crossvm_waitset_watch(source, &ops, exchange, bell, want, delay_ns);
}

/* Elements of a ring with several writers. want: 1 to the capacity; no more are counted. Role: the
 * consumer. */
CROSSVM_INLINE void crossvm_waitset_watch_ring(struct crossvm_waitset_source *source,
                                               struct crossvm_mpsc_rx *ring, uint32_t want,
                                               uint64_t delay_ns)
{
    static const struct crossvm_waitset_ops ops = {
        crossvm_i_waitset_ring_look, crossvm_i_waitset_ring_arm,     crossvm_i_waitset_ring_disarm,
        crossvm_i_waitset_no_nudge,  crossvm_i_waitset_nobody_waits,
    };
    crossvm_waitset_watch(source, &ops, ring, NULL, want, delay_ns);
}

/* Versions that the reader has not read. want: so many new ones. Role: the reader. */
CROSSVM_INLINE void crossvm_waitset_watch_snapshot(struct crossvm_waitset_source *source,
                                                   struct crossvm_waitset_snapshot *snapshot,
                                                   uint32_t want, uint64_t delay_ns)
{
    static const struct crossvm_waitset_ops ops = {
        crossvm_i_waitset_snapshot_look,   crossvm_i_waitset_snapshot_arm,
        crossvm_i_waitset_snapshot_disarm, crossvm_i_waitset_no_nudge,
        crossvm_i_waitset_nobody_waits,
    };
    crossvm_waitset_watch(source, &ops, snapshot, NULL, want, delay_ns);
}

/* Elements of a broadcast that the reader has neither read nor lost. want: so many. Role: the
 * reader. */
CROSSVM_INLINE void crossvm_waitset_watch_broadcast(struct crossvm_waitset_source *source,
                                                    struct crossvm_waitset_broadcast *broadcast,
                                                    uint32_t want, uint64_t delay_ns)
{
    static const struct crossvm_waitset_ops ops = {
        crossvm_i_waitset_broadcast_look,   crossvm_i_waitset_broadcast_arm,
        crossvm_i_waitset_broadcast_disarm, crossvm_i_waitset_no_nudge,
        crossvm_i_waitset_nobody_waits,
    };
    crossvm_waitset_watch(source, &ops, broadcast, NULL, want, delay_ns);
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* A source answered `there`: whether it is ready. stuck: its peer waits for us, too. */
CROSSVM_INLINE bool crossvm_i_waitset_judge(struct crossvm_waitset_source *source, int there,
                                            bool stuck, uint64_t now_ns, uint64_t deadline_ns)
{
    source->there = there > 0 ? there : 0;
    if (there < 0) {
        bool passed_over = there == CROSSVM_NOT_YET || there == CROSSVM_REFUSED;
        source->ready = passed_over || there == source->failed ? 0 : there;
        source->failed = passed_over ? 0 : there;
        return source->ready != 0;
    }
    source->failed = 0;
    if (there > 0 && source->delay_ns != 0 && source->until_ns == 0) {
        source->until_ns = crossvm_i_pipe_until(now_ns, source->delay_ns, CROSSVM_NO_DEADLINE);
    }
    bool over = now_ns >= deadline_ns || (source->until_ns != 0 && now_ns >= source->until_ns);
    bool enough = there > 0 && ((uint32_t)there >= source->want || over || stuck);
    if (there == 0 || enough) {
        source->until_ns = 0;
    }
    source->ready = enough ? there : 0;
    return enough;
}

/* A source cannot be armed: whether that is to be told. */
CROSSVM_INLINE bool crossvm_i_waitset_arm_failed(struct crossvm_waitset_source *source, int status)
{
    bool passed_over = status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED;
    bool told = status == source->failed || status == source->arm_failed;
    source->arm_failed = passed_over ? 0 : status;
    source->ready = passed_over || told ? 0 : status;
    return source->ready != 0;
}

/* Times that a wait arms a source: for the first element, and for the watermark. */
#define CROSSVM_I_WAITSET_ARMS 2u

/* Arms a source and looks once more. 1 it is ready; 0 it is armed; -1 neither: look again. */
CROSSVM_INLINE int crossvm_i_waitset_arm(struct crossvm_waitset_source *source, bool woken,
                                         uint64_t now_ns, uint64_t deadline_ns)
{
    int armed = 0;
    for (unsigned i = 0; i < CROSSVM_I_WAITSET_ARMS; i++) {
        /* With a delay the first of them counts; the watermark is armed once it is there. */
        bool begun = source->delay_ns == 0 || source->until_ns != 0;
        armed = source->ops->arm(source->object, begun ? source->want : 1, source->delay_ns);
        if (armed < 0) {
            return crossvm_i_waitset_arm_failed(source, armed) ? 1 : 0;
        }
        source->arm_failed = 0;
        int there = source->ops->look(source->object, source->want);
        bool stuck = there > 0 &&
                     ((begun && armed == 1) || (woken && source->ops->peer_waits(source->object)));
        if (crossvm_i_waitset_judge(source, there, stuck, now_ns, deadline_ns)) {
            return 1;
        }
        if (begun || source->until_ns == 0) {
            break;
        }
    }
    return armed == 1 ? -1 : 0;
}

/* Rings a peer that may wait for us. A doorbell that fails is the source's failure. */
CROSSVM_INLINE bool crossvm_i_waitset_nudge(struct crossvm_waitset_source *source, bool woken)
{
    bool looked = woken && source->there > 0;
    if (source->bell == NULL || source->failed != 0 || source->arm_failed != 0 || looked) {
        return false;
    }
    int due = source->ops->nudge(source->object);
    int status = due > 0 ? crossvm_i_pipe_ring(source->bell, due) : CROSSVM_OK;
    bool tell = status != CROSSVM_OK && status != source->bell_failed;
    if (due > 0) {
        source->bell_failed = status;
    }
    if (tell) {
        source->ready = status;
    }
    return tell;
}

/* One pass over all sources: how many are ready. */
CROSSVM_INLINE int crossvm_i_waitset_look(struct crossvm_waitset *set, uint64_t now_ns,
                                          uint64_t deadline_ns)
{
    int n_ready = 0;
    for (uint32_t i = 0; i < set->n_sources; i++) {
        struct crossvm_waitset_source *source = &set->sources[i];
        int there = source->ops->look(source->object, source->want);
        n_ready += crossvm_i_waitset_judge(source, there, false, now_ns, deadline_ns) ? 1 : 0;
    }
    return n_ready;
}

CROSSVM_INLINE uint64_t crossvm_i_waitset_sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Another pass, in front of the sleep: how many are ready now. until_ns: set to when the first
 * delay is over, or at once if there is something to look at again. */
CROSSVM_INLINE int crossvm_i_waitset_prepare(struct crossvm_waitset *set, bool woken,
                                             uint32_t n_vain, uint64_t now_ns, uint64_t *until_ns)
{
    uint64_t deadline_ns = *until_ns;
    int n_ready = 0;
    for (uint32_t i = 0; i < set->n_sources; i++) {
        struct crossvm_waitset_source *source = &set->sources[i];
        int armed = crossvm_i_waitset_arm(source, woken, now_ns, deadline_ns);
        n_ready += armed > 0 ? 1 : 0;
        if (armed < 0) {
            uint64_t rest_ns = n_vain < CROSSVM_NOTIFY_VAIN ? 0 : CROSSVM_NOTIFY_REST_NS;
            *until_ns = crossvm_i_waitset_sooner(*until_ns, now_ns + rest_ns);
        }
        if (source->until_ns != 0) {
            *until_ns = crossvm_i_waitset_sooner(*until_ns, source->until_ns);
        }
    }
    for (uint32_t i = 0; i < set->n_sources && n_ready == 0; i++) {
        n_ready += crossvm_i_waitset_nudge(&set->sources[i], woken) ? 1 : 0;
    }
    return n_ready;
}

CROSSVM_INLINE void crossvm_i_waitset_disarm(struct crossvm_waitset *set)
{
    for (uint32_t i = 0; i < set->n_sources; i++) {
        set->sources[i].ops->disarm(set->sources[i].object);
    }
}

/* Grows when a source has got more; less than all watermarks together. */
CROSSVM_INLINE uint64_t crossvm_i_waitset_sum(const struct crossvm_waitset *set)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < set->n_sources; i++) {
        sum += (uint32_t)set->sources[i].there;
    }
    return sum;
}

/* Makes a set. sources: n_sources of them, made by the calls above; they may be made anew between
 * two waits. notify, vector: where the set is rung. Role: the waiter. */
CROSSVM_INLINE void crossvm_waitset_init(struct crossvm_waitset *set,
                                         struct crossvm_waitset_source *sources, uint32_t n_sources,
                                         struct crossvm_notify *notify, uint32_t vector)
{
    set->sources = sources;
    set->n_sources = n_sources;
    set->notify = notify;
    set->vector = vector;
}

/* Waits until a source is ready, or until deadline_ns of the notify's clock (a deadline that has
 * passed: one look). A source is ready with its watermark; below it after its longest delay, at the
 * deadline, or if its peer waits, too; or once with a status when it fails: its own, or its bell's.
 * One that is not linked yet is passed over. The number of sources that are ready, each with how
 * much is there, or the status, in `ready` (0 in the others); TIMEOUT none; NOT_FOUND, STALE,
 * SYSTEM the set's own doorbell. Role: the waiter. Blocks. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_waitset_wait(struct crossvm_waitset *set,
                                                          uint64_t deadline_ns)
{
    uint64_t most = 0;
    uint32_t n_vain = 0;
    bool woken = false;
    for (;;) {
        uint64_t now_ns = crossvm_notify_now(set->notify);
        uint64_t until_ns = deadline_ns;
        int n_ready = crossvm_i_waitset_look(set, now_ns, deadline_ns);
        if (n_ready != 0) {
            return n_ready;
        }
        if (now_ns >= deadline_ns) {
            return CROSSVM_TIMEOUT;
        }
        n_ready = crossvm_i_waitset_prepare(set, woken, n_vain, now_ns, &until_ns);
        int status = CROSSVM_OK;
        /* More than ever before: not in vain. What comes and goes is no such thing. */
        uint64_t sum = crossvm_i_waitset_sum(set);
        n_vain = sum > most ? 0 : n_vain;
        most = sum > most ? sum : most;
        if (n_ready == 0) {
            status = crossvm_notify_wait_again(set->notify, set->vector, until_ns, n_vain);
        }
        crossvm_i_waitset_disarm(set);
        if (n_ready != 0) {
            return n_ready;
        }
        if (status == CROSSVM_TIMEOUT) {
            status = CROSSVM_OK;
        }
        if (status != CROSSVM_OK) {
            return status;
        }
        woken = true;
        n_vain += n_vain < CROSSVM_NOTIFY_VAIN ? 1u : 0u;
    }
}

CROSSVM_EXTERN_C_END

#endif
