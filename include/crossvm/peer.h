/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/peer.h - whether the other side lives: attach, establish, suspect, confirmed loss,
 * re-establish, close, with loads and stores alone.
 *
 * Layer 3. Roles: two sides, each with a PEER chunk in memory that it writes and the other reads.
 * Each start of a side is a life, and bears an incarnation: a number that is compared for equality
 * only. A side answers a life by writing its incarnation into `echo`. The link is up when each
 * answers the other; so what was left in memory by an earlier boot is never a live peer, because
 * it does not answer.
 *
 * Shared bytes (kind PEER, struct crossvm_peer_shm, 256 bytes):
 *
 *   offset  size  writer    name         meaning
 *   0       4     side      beat         counts the side's steps, runs freely
 *   4       4     owner     epoch        the chunk's generation
 *   8       4     side      incarnation  its life: even, never 0; odd while it starts
 *   12      4     side      echo         the other's life that it answers, 0 = none
 *   16      4     side      closed       the life of its own that it has closed
 *   20      108   -         reserved_1   zero
 *   128     4     side      question     asks the other for its time, counted; 0 = none yet
 *   132     4     side      reply        the other's question that is replied to, 0 = none
 *   136     4     side      asker        the life that asked it
 *   140     4     -         reserved_2   zero
 *   144     8     side      time_lo      the side's time then, ns, two words
 *   152     104   -         reserved_3   zero
 *
 * What a step does, by the own state and the sign of the peer (empty: the state stays):
 *
 *   own state  NONE  OTHER      UNANSWERED  ALIVE  SILENT   CLOSED     GONE
 *   WAITING          ANSWERING
 *   ANSWERING        LOST                   UP              LOST       LOST
 *   UP               LOST       LOST               SUSPECT  LOST       LOST
 *   SUSPECT          LOST       LOST        UP              LOST       LOST
 *   LOST
 *   CLOSED
 *
 *   NONE        no life is to be seen: none yet, one that is starting, one that has closed
 *   OTHER       a life that this side does not answer
 *   UNANSWERED  the life that this side answers does not answer this one
 *   ALIVE       it does
 *   SILENT      it does, or nothing is to be seen, and its beat has stood still for too long
 *   CLOSED      it has closed
 *   GONE        the peer's chunk is another one's by now
 *
 *   Entering ANSWERING writes the echo. Entering LOST takes it back and notes the cause. LOST is
 *   left by crossvm_peer_reestablish alone, once the caller has drained what the dead had
 *   committed; it leads to WAITING. crossvm_peer_confirm leads to LOST, crossvm_peer_close to
 *   CLOSED. A life that was answered is always lost before another one is answered: it may have
 *   been up on its side.
 *
 * Silence is only suspicion: SUSPECT changes nothing but the state, and is taken back at the next
 * beat. Time that this side itself was away is not held against the peer.
 *
 * Ordering edges (release side -> acquire side):
 *
 *   peer_incarnation  incarnation, rel. -> fence behind the words: a life brings its echo = 0 (to
 *                                          the next look, the first that asks for it), and what
 *                                          its predecessor had committed
 *   peer_words        fence behind odd  -> fence behind the words: no words of two lives
 *   peer_echo         echo, release     -> fence behind the words: an answer brings what its side
 *                                          had done before it answered
 *   peer_closed       closed, release   -> fence behind the words: the end brings the last elements
 *   peer_reply        reply, release    -> reply, acquire: it brings its time
 *   peer_asker        asker, release    -> asker, acquire: it brings its time, when two lives ask
 *                                          by one number
 *
 * The handshake is that of sessions (Zephyr's icmsg; NVIDIA Tegra's IVC has it with three states),
 * with a fresh number for each start instead of a zero that means established. The exchange of
 * times is Cristian's (1989, "Probabilistic clock synchronization").
 */
#ifndef CROSSVM_PEER_H
#define CROSSVM_PEER_H

#include "region.h"

CROSSVM_EXTERN_C_BEGIN

/* One side's life signs. */
struct crossvm_peer_shm {
    struct crossvm_le32 beat;
    struct crossvm_le32 epoch;
    struct crossvm_le32 incarnation;
    struct crossvm_le32 echo;
    struct crossvm_le32 closed;
    struct crossvm_le32 reserved_1[27];
    struct crossvm_le32 question;
    struct crossvm_le32 reply;
    struct crossvm_le32 asker;
    struct crossvm_le32 reserved_2;
    struct crossvm_le32 time_lo;
    struct crossvm_le32 time_hi;
    struct crossvm_le32 reserved_3[26];
};

CROSSVM_I_AT(crossvm_peer_shm, beat, 0);
CROSSVM_I_AT(crossvm_peer_shm, epoch, 4);
CROSSVM_I_AT(crossvm_peer_shm, incarnation, 8);
CROSSVM_I_AT(crossvm_peer_shm, echo, 12);
CROSSVM_I_AT(crossvm_peer_shm, closed, 16);
CROSSVM_I_AT(crossvm_peer_shm, question, 128);
CROSSVM_I_AT(crossvm_peer_shm, reply, 132);
CROSSVM_I_AT(crossvm_peer_shm, asker, 136);
CROSSVM_I_AT(crossvm_peer_shm, time_lo, 144);
CROSSVM_STATIC_ASSERT(sizeof(struct crossvm_peer_shm) == CROSSVM_PEER_LEN, "bytes");

/* What this side knows of the link. */
enum crossvm_peer_state {
    CROSSVM_PEER_WAITING = 0,   /* for a life of the peer's */
    CROSSVM_PEER_ANSWERING = 1, /* it answers one, and is not answered yet */
    CROSSVM_PEER_UP = 2,        /* each answers the other */
    CROSSVM_PEER_SUSPECT = 3,   /* the same, but the peer has been silent for too long */
    CROSSVM_PEER_LOST = 4,      /* the life that was answered is over: drain, then re-establish */
    CROSSVM_PEER_CLOSED = 5     /* this side has closed */
};

/* What a look at the peer's words shows. */
enum crossvm_peer_sign {
    CROSSVM_PEER_SIGN_NONE = 0,       /* no life, or one that is starting or has closed */
    CROSSVM_PEER_SIGN_OTHER = 1,      /* a life that this side does not answer */
    CROSSVM_PEER_SIGN_UNANSWERED = 2, /* the one that it answers, which does not answer it */
    CROSSVM_PEER_SIGN_ALIVE = 3,      /* the one that it answers, which answers it */
    CROSSVM_PEER_SIGN_SILENT = 4,     /* nothing new for too long */
    CROSSVM_PEER_SIGN_CLOSED = 5,     /* the one that it answers has closed */
    CROSSVM_PEER_SIGN_GONE = 6        /* the chunk is another one's by now */
};

/* Why a life is over. */
enum crossvm_peer_cause {
    CROSSVM_PEER_CAUSE_NONE = 0,        /* it is not */
    CROSSVM_PEER_CAUSE_RESTARTED = 1,   /* the peer has started again */
    CROSSVM_PEER_CAUSE_CLOSED = 2,      /* the peer has closed */
    CROSSVM_PEER_CAUSE_DROPPED = 3,     /* the peer takes this side for dead */
    CROSSVM_PEER_CAUSE_RENEWED = 4,     /* the peer's chunk was renewed, or its region formatted */
    CROSSVM_PEER_CAUSE_BACKEND = 5,     /* the backend says so (crossvm_peer_confirm) */
    CROSSVM_PEER_CAUSE_APPLICATION = 6, /* the application says so (crossvm_peer_confirm) */
    CROSSVM_PEER_CAUSE_COUNT            /* how many there are; not a cause */
};

/* What becomes of a chunk that was allocated on behalf of a peer when the peer is lost. */
enum crossvm_peer_policy {
    CROSSVM_PEER_RELEASE = 0, /* it is released */
    CROSSVM_PEER_KEEP = 1     /* it stays for the peer's next life */
};

/* A chunk that is held for a peer. */
struct crossvm_peer_holding {
    struct crossvm_chunk chunk; /* as the owner allocated it */
    uint32_t policy;            /* enum crossvm_peer_policy */
};

/* One exchange of times with the peer: what crossvm_clock_offset_add (clock.h) takes. */
struct crossvm_peer_sample {
    uint64_t asked_ns;   /* own time, before the peer could see the question */
    uint64_t replied_ns; /* the peer's time between the two */
    uint64_t heard_ns;   /* own time, after the reply was there */
};

/* One side's handle. */
struct crossvm_peer {
    struct crossvm_peer_shm *own;          /* this side's words */
    const struct crossvm_peer_shm *peer;   /* the other's; NULL before link */
    uint32_t own_epoch;                    /* what own->epoch must be */
    uint32_t peer_epoch;                   /* what peer->epoch must be */
    uint32_t writer;                       /* the party that this side is */
    uint64_t link_id;                      /* which both chunks bear */
    uint32_t state;                        /* enum crossvm_peer_state */
    uint32_t cause;                        /* why it was lost, enum crossvm_peer_cause */
    uint32_t incarnation;                  /* this life; 0 = not linked yet */
    uint32_t echo;                         /* the peer's life that is answered, 0 = none */
    uint32_t beat;                         /* own steps */
    uint32_t peer_beat;                    /* the peer's, as seen last */
    uint64_t silence_ns;                   /* suspicion after this, 0 = never */
    uint64_t moved_ns;                     /* own time when the peer's beat moved */
    uint64_t stepped_ns;                   /* own time of the last step, 0 = none */
    uint32_t question;                     /* own, asked last */
    bool asking;                           /* it has no reply yet */
    bool heard;                            /* it has: the next step knows by when */
    bool sampled;                          /* a sample can be fetched */
    uint32_t to_reply;                     /* the peer's question that the next step replies to */
    uint32_t replied;                      /* the one that was replied to last */
    struct crossvm_peer_sample sample;     /* being made, or ready */
    struct crossvm_peer_holding *holdings; /* the caller's memory */
    uint32_t n_holdings;                   /* in use */
    uint32_t room;                         /* there is room for so many */
};

/* ---- names ---------------------------------------------------------------------------------- */

/* The name of a state, "?" for none of ours. */
CROSSVM_INLINE const char *crossvm_peer_state_name(uint32_t state)
{
    static const char *const names[] = {"WAITING", "ANSWERING", "UP", "SUSPECT", "LOST", "CLOSED"};
    return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* Why a life is over, in a few words; "?" for no cause of ours. */
CROSSVM_INLINE const char *crossvm_peer_cause_name(uint32_t cause)
{
    static const char *const names[] = {"none",
                                        "the peer started again",
                                        "the peer closed",
                                        "the peer takes us for dead",
                                        "the peer's chunk was made anew",
                                        "the backend says so",
                                        "the application says so"};
    return cause < CROSSVM_PEER_CAUSE_COUNT ? names[cause] : "?";
}

/* ---- lives ---------------------------------------------------------------------------------- */

CROSSVM_INLINE bool crossvm_i_peer_own_stale(const struct crossvm_peer *peer)
{
    return crossvm_load_relaxed(&peer->own->epoch) != peer->own_epoch;
}

/* Forgets what was asked and heard: times of two lives are never put together. */
CROSSVM_INLINE void crossvm_i_peer_forget_times(struct crossvm_peer *peer)
{
    peer->asking = false;
    peer->heard = false;
    peer->sampled = false;
    peer->to_reply = 0;
    peer->replied = 0;
}

/* Numbers that the next incarnation must not be. */
#define CROSSVM_I_PEER_NOT_NEXT 3u

/* Begins a life. Until all is in place the word is odd and still says which number was the last, so
 * that none comes twice in a row whenever its side dies. */
CROSSVM_INLINE void crossvm_i_peer_start(struct crossvm_peer *peer, uint32_t seed)
{
    struct crossvm_peer_shm *own = peer->own;
    uint32_t old = crossvm_load_relaxed(&own->incarnation) & ~1u;
    uint32_t answered = crossvm_load_relaxed(&peer->peer->echo);
    uint32_t next = seed << 1;
    for (unsigned i = 0; i < CROSSVM_I_PEER_NOT_NEXT; i++) {
        if (next == 0 || next == old || next == answered) {
            next += 2;
        }
    }
    crossvm_store_relaxed(&own->incarnation, old | 1u);
    CROSSVM_FENCE_RELEASE(peer_words, &own->incarnation);
    crossvm_store_relaxed(&own->echo, 0);
    crossvm_store_relaxed(&own->closed, 0);
    crossvm_store_relaxed(&own->question, 0);
    CROSSVM_STORE_RELEASE(peer_incarnation, &own->incarnation, next);
    peer->incarnation = next;
    peer->echo = 0;
    peer->question = 0;
    crossvm_i_peer_forget_times(peer);
}

/* Answers a life of the peer's, or with 0 none any more. */
CROSSVM_INLINE void crossvm_i_peer_answer(struct crossvm_peer *peer, uint32_t incarnation)
{
    peer->echo = incarnation;
    CROSSVM_STORE_RELEASE(peer_echo, &peer->own->echo, incarnation);
}

CROSSVM_INLINE void crossvm_i_peer_lose(struct crossvm_peer *peer, uint32_t cause)
{
    peer->state = CROSSVM_PEER_LOST;
    peer->cause = cause;
    crossvm_i_peer_forget_times(peer);
    crossvm_i_peer_answer(peer, 0);
}

/* Opens this side's PEER chunk, the first time or after a restart; nothing is written before
 * crossvm_peer_link. silence_ns: how long the peer's beat may stand still before it is suspected,
 * 0 = for ever; step at least four times in it. Role: this side, alone. Wait-free.
 * OK; TYPE not a PEER chunk; INVALID no chunk of this region; ROLE also for a read-only mapping;
 * STALE. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_open(struct crossvm_peer *peer,
                                                       const struct crossvm_region *region,
                                                       const struct crossvm_chunk *chunk,
                                                       uint64_t silence_ns)
{
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_PEER, CROSSVM_I_WRITER);
    if (status != CROSSVM_OK) {
        return status;
    }
    __builtin_memset(peer, 0, sizeof(*peer));
    peer->own = (struct crossvm_peer_shm *)(void *)crossvm_i_control(region, chunk);
    peer->own_epoch = chunk->generation;
    peer->writer = chunk->writer;
    peer->link_id = chunk->link_id;
    peer->silence_ns = silence_ns;
    peer->beat = crossvm_load_relaxed(&peer->own->beat);
    return CROSSVM_OK;
}

/* Attaches to the peer's PEER chunk and begins this side's life; again after a step answered STALE
 * because the peer's chunk was made anew. region, chunk: the peer's. seed: for the incarnation;
 * another one at each start (boot count, counter, random; the low 31 bits count, and 0 or a
 * repetition is changed). Role: this side. Wait-free. Trust: any words of the peer's will do.
 * OK, then step; MISMATCH another link id, or a chunk of this side's; INVALID the state is not
 * WAITING, or no chunk of this region; TYPE; ROLE; STALE one of the chunks is gone. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_link(struct crossvm_peer *peer,
                                                       const struct crossvm_region *region,
                                                       const struct crossvm_chunk *chunk,
                                                       uint32_t seed)
{
    if (peer->state != CROSSVM_PEER_WAITING) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_i_chunk_enter(region, chunk, CROSSVM_KIND_PEER, CROSSVM_I_READER);
    if (status != CROSSVM_OK) {
        return status;
    }
    if (chunk->link_id != peer->link_id || chunk->writer == peer->writer) {
        return CROSSVM_MISMATCH;
    }
    if (crossvm_i_peer_own_stale(peer)) {
        return CROSSVM_STALE;
    }
    peer->peer = (const struct crossvm_peer_shm *)(const void *)crossvm_i_control(region, chunk);
    peer->peer_epoch = chunk->generation;
    /* An answer that was there before this life could be seen is none. */
    if (peer->incarnation == 0 || crossvm_load_relaxed(&peer->peer->echo) == peer->incarnation) {
        crossvm_i_peer_start(peer, seed);
    }
    return CROSSVM_OK;
}

/* ---- what the peer's words show ------------------------------------------------------------- */

/* One consistent look at the peer's words. */
struct crossvm_i_peer_look {
    uint32_t incarnation; /* 0 = none, or it changed meanwhile */
    uint32_t echo;
    uint32_t closed;
    uint32_t beat;
    bool gone; /* the chunk is another one's */
};

CROSSVM_INLINE void crossvm_i_peer_look_at(const struct crossvm_peer *peer,
                                           struct crossvm_i_peer_look *look)
{
    const struct crossvm_peer_shm *words = peer->peer;
    look->incarnation = crossvm_load_relaxed(&words->incarnation);
    look->echo = crossvm_load_relaxed(&words->echo);
    look->closed = crossvm_load_relaxed(&words->closed);
    look->beat = crossvm_load_relaxed(&words->beat);
    CROSSVM_FENCE_ACQUIRE(peer_words, &words->incarnation);
    look->gone = crossvm_load_relaxed(&words->epoch) != peer->peer_epoch;
    bool starting = (look->incarnation & 1u) != 0;
    if (starting || crossvm_load_relaxed(&words->incarnation) != look->incarnation) {
        look->incarnation = 0;
    }
}

/* Whether a life that is not answered may be. */
CROSSVM_INLINE bool crossvm_i_peer_is_other(const struct crossvm_peer *peer,
                                            const struct crossvm_i_peer_look *look)
{
    if (look->incarnation == 0 || look->incarnation == peer->echo) {
        return false;
    }
    return peer->echo != 0 || look->closed != look->incarnation;
}

/* The peer has given a sign of life, or cannot be blamed: its silence counts from now. */
CROSSVM_INLINE void crossvm_i_peer_moved(struct crossvm_peer *peer, uint32_t beat, uint64_t now_ns)
{
    peer->peer_beat = beat;
    peer->moved_ns = now_ns;
}

/* Whether the beat has stood still for too long. A gap between own steps that is long itself, or a
 * clock that goes backward, says nothing about the peer. Only a beat takes suspicion back. */
CROSSVM_INLINE bool crossvm_i_peer_is_silent(struct crossvm_peer *peer,
                                             const struct crossvm_i_peer_look *look,
                                             uint64_t now_ns)
{
    if (look->incarnation == peer->echo && look->beat != peer->peer_beat) {
        crossvm_i_peer_moved(peer, look->beat, now_ns);
        return false;
    }
    if (peer->state == CROSSVM_PEER_SUSPECT) {
        return true;
    }
    if (now_ns == 0 || peer->silence_ns == 0) {
        return false;
    }
    /* Backward is a very long gap. */
    if (now_ns - peer->stepped_ns > peer->silence_ns / 2) {
        peer->moved_ns = now_ns;
    }
    return now_ns - peer->moved_ns > peer->silence_ns;
}

/* The sign that the words are. */
CROSSVM_INLINE uint32_t crossvm_i_peer_sign(struct crossvm_peer *peer,
                                            const struct crossvm_i_peer_look *look, uint64_t now_ns)
{
    if (look->gone) {
        return CROSSVM_PEER_SIGN_GONE;
    }
    if (crossvm_i_peer_is_other(peer, look)) {
        return CROSSVM_PEER_SIGN_OTHER;
    }
    bool answered = look->incarnation != 0 && look->incarnation == peer->echo;
    if (answered && look->closed == look->incarnation) {
        return CROSSVM_PEER_SIGN_CLOSED;
    }
    if (answered && look->echo != peer->incarnation) {
        return CROSSVM_PEER_SIGN_UNANSWERED;
    }
    if (crossvm_i_peer_is_silent(peer, look, now_ns)) {
        return CROSSVM_PEER_SIGN_SILENT;
    }
    return answered ? CROSSVM_PEER_SIGN_ALIVE : CROSSVM_PEER_SIGN_NONE;
}

/* The table at the top of this file: the next state. Rows and columns in the order of the enums. */
CROSSVM_INLINE uint32_t crossvm_i_peer_next(uint32_t state, uint32_t sign)
{
    enum {
        W = CROSSVM_PEER_WAITING,
        A = CROSSVM_PEER_ANSWERING,
        U = CROSSVM_PEER_UP,
        S = CROSSVM_PEER_SUSPECT,
        L = CROSSVM_PEER_LOST,
        C = CROSSVM_PEER_CLOSED
    };
    static const uint8_t next[6][8] = {
        {W, A, W, W, W, W, W, W}, {A, L, A, U, A, L, L, A}, {U, L, L, U, S, L, L, U},
        {S, L, L, U, S, L, L, S}, {L, L, L, L, L, L, L, L}, {C, C, C, C, C, C, C, C},
    };
    return next[state][sign];
}

/* Why a sign means the end of a life. */
CROSSVM_INLINE uint32_t crossvm_i_peer_cause(uint32_t sign)
{
    if (sign == CROSSVM_PEER_SIGN_OTHER) {
        return CROSSVM_PEER_CAUSE_RESTARTED;
    }
    if (sign == CROSSVM_PEER_SIGN_CLOSED) {
        return CROSSVM_PEER_CAUSE_CLOSED;
    }
    return sign == CROSSVM_PEER_SIGN_GONE ? CROSSVM_PEER_CAUSE_RENEWED : CROSSVM_PEER_CAUSE_DROPPED;
}

/* ---- the exchange of times ------------------------------------------------------------------ */

/* Says what the time is, to the question that an earlier step has seen: so the time is later than
 * the question, and earlier than the reply. */
CROSSVM_INLINE void crossvm_i_peer_reply(struct crossvm_peer *peer, uint64_t now_ns)
{
    struct crossvm_peer_shm *own = peer->own;
    crossvm_store_pair(&own->time_lo, &own->time_hi, now_ns);
    CROSSVM_STORE_RELEASE(peer_asker, &own->asker, peer->echo);
    CROSSVM_STORE_RELEASE(peer_reply, &own->reply, peer->to_reply);
    peer->replied = peer->to_reply;
    peer->to_reply = 0;
}

/* Whether the peer has replied to the question of this life; then the peer's time is kept. It
 * stands still: the next reply follows the next question. */
CROSSVM_INLINE bool crossvm_i_peer_hear(struct crossvm_peer *peer)
{
    const struct crossvm_peer_shm *words = peer->peer;
    uint32_t reply = CROSSVM_LOAD_ACQUIRE(peer_reply, &words->reply);
    uint32_t asker = CROSSVM_LOAD_ACQUIRE(peer_asker, &words->asker);
    if (reply != peer->question || asker != peer->incarnation) {
        return false;
    }
    peer->sample.replied_ns = crossvm_load_pair(&words->time_lo, &words->time_hi);
    return true;
}

/* One question is on its way at any time. What this step loads gets its time from the next step,
 * whose time was taken after it; what it stores bears this step's. */
CROSSVM_INLINE void crossvm_i_peer_times(struct crossvm_peer *peer, uint64_t now_ns)
{
    if (peer->to_reply != 0) {
        crossvm_i_peer_reply(peer, now_ns);
    }
    if (peer->heard) {
        peer->sample.heard_ns = now_ns;
        peer->heard = false;
        peer->sampled = true;
    }
    if (!peer->asking && !peer->sampled) {
        peer->question = peer->question + 1 == 0 ? 1 : peer->question + 1;
        peer->sample.asked_ns = now_ns;
        peer->asking = true;
        crossvm_store_relaxed(&peer->own->question, peer->question);
    }
    if (peer->asking && crossvm_i_peer_hear(peer)) {
        peer->asking = false;
        peer->heard = true;
    }
    uint32_t question = crossvm_load_relaxed(&peer->peer->question);
    peer->to_reply = question == peer->replied ? 0 : question;
}

/* ---- the step ------------------------------------------------------------------------------- */

/* Shows a sign of life, looks at the peer's, and goes on by the table above. Call it from time to
 * time, and before anything that depends on the state. now_ns: this side's time, monotonic; 0 = not
 * given, and then nobody is suspected and no times are exchanged. Role: this side. Wait-free.
 * Trust: any words of the peer's lead to a state of the table; none is used otherwise. The state
 * (enum crossvm_peer_state, LOST with peer->cause); STALE this side's chunk is gone (nothing is
 * stored any more), or the peer's: find it and link again; NOT_YET not linked yet. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_step(struct crossvm_peer *peer, uint64_t now_ns)
{
    struct crossvm_i_peer_look look;
    if (crossvm_i_peer_own_stale(peer)) {
        return CROSSVM_STALE;
    }
    if (peer->peer == NULL) {
        return CROSSVM_NOT_YET;
    }
    if (peer->state == CROSSVM_PEER_CLOSED) {
        return CROSSVM_PEER_CLOSED;
    }
    crossvm_store_relaxed(&peer->own->beat, ++peer->beat);
    crossvm_i_peer_look_at(peer, &look);
    uint32_t sign = crossvm_i_peer_sign(peer, &look, now_ns);
    uint32_t next = crossvm_i_peer_next(peer->state, sign);
    if (next == CROSSVM_PEER_LOST && peer->state != CROSSVM_PEER_LOST) {
        crossvm_i_peer_lose(peer, crossvm_i_peer_cause(sign));
    } else if (next == CROSSVM_PEER_ANSWERING && peer->state == CROSSVM_PEER_WAITING) {
        crossvm_i_peer_answer(peer, look.incarnation);
        crossvm_i_peer_moved(peer, look.beat, now_ns);
    }
    peer->state = next;
    bool up = next == CROSSVM_PEER_UP || next == CROSSVM_PEER_SUSPECT;
    if (up && now_ns != 0) {
        crossvm_i_peer_times(peer, now_ns);
    }
    peer->stepped_ns = now_ns;
    return look.gone && next == CROSSVM_PEER_WAITING ? CROSSVM_STALE : (int)next;
}

/* ---- loss, end, close ----------------------------------------------------------------------- */

/* Confirms that the life that is answered is over: the backend knows, or the application has
 * decided. cause: CROSSVM_PEER_CAUSE_BACKEND or _APPLICATION. Should it live all the same, it
 * learns that it was dropped. Role: this side. Wait-free. The state: LOST, or WAITING if nobody was
 * answered; INVALID another cause; STALE this side's chunk is gone; NOT_YET not linked yet. */
CROSSVM_INLINE int crossvm_peer_confirm(struct crossvm_peer *peer, uint32_t cause)
{
    if (cause != CROSSVM_PEER_CAUSE_BACKEND && cause != CROSSVM_PEER_CAUSE_APPLICATION) {
        return CROSSVM_INVALID;
    }
    if (crossvm_i_peer_own_stale(peer)) {
        return CROSSVM_STALE;
    }
    if (peer->peer == NULL) {
        return CROSSVM_NOT_YET;
    }
    if (peer->state != CROSSVM_PEER_CLOSED && peer->echo != 0) {
        crossvm_i_peer_lose(peer, cause);
    }
    return (int)peer->state;
}

/* Ends mourning: the next life of the peer's will be answered. To be called when what the dead had
 * committed was drained, and what was held for it was settled. Where the peer may live on and take
 * this side for dead, or was only declared dead, this side begins a new life of its own. Role: this
 * side. Wait-free. OK; INVALID the state is not LOST; STALE this side's chunk is gone. */
CROSSVM_INLINE int crossvm_peer_reestablish(struct crossvm_peer *peer)
{
    if (peer->state != CROSSVM_PEER_LOST) {
        return CROSSVM_INVALID;
    }
    if (crossvm_i_peer_own_stale(peer)) {
        return CROSSVM_STALE;
    }
    bool may_live = peer->cause == CROSSVM_PEER_CAUSE_DROPPED ||
                    peer->cause == CROSSVM_PEER_CAUSE_BACKEND ||
                    peer->cause == CROSSVM_PEER_CAUSE_APPLICATION;
    if (may_live) {
        crossvm_i_peer_start(peer, (peer->incarnation >> 1) + 1);
    }
    peer->cause = CROSSVM_PEER_CAUSE_NONE;
    peer->state = CROSSVM_PEER_WAITING;
    return CROSSVM_OK;
}

/* Says good-bye: the peer drains what was committed, then learns of the end. Open again to come
 * back. Role: this side, behind its last commit. Wait-free.
 * OK; STALE this side's chunk is gone; NOT_YET not linked yet: nobody could know of this life. */
CROSSVM_INLINE int crossvm_peer_close(struct crossvm_peer *peer)
{
    if (crossvm_i_peer_own_stale(peer)) {
        return CROSSVM_STALE;
    }
    if (peer->peer == NULL) {
        return CROSSVM_NOT_YET;
    }
    peer->state = CROSSVM_PEER_CLOSED;
    CROSSVM_STORE_RELEASE(peer_closed, &peer->own->closed, peer->incarnation);
    return CROSSVM_OK;
}

/* Whether there is somebody to send to, as the last step saw it. Send only then: so nothing of one
 * life is taken for another's. Role: this side. Wait-free. OK up, or only suspected; NOT_YET not up
 * yet; ENDED lost, or closed by this side. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_ready(const struct crossvm_peer *peer)
{
    if (peer->state == CROSSVM_PEER_LOST || peer->state == CROSSVM_PEER_CLOSED) {
        return CROSSVM_ENDED;
    }
    return peer->state < CROSSVM_PEER_UP ? CROSSVM_NOT_YET : CROSSVM_OK;
}

/* What a read means for the stream as a whole: "nothing there" becomes the end, when the writer was
 * lost before the read. status: of a read behind the last step, from a queue, broadcast or exchange
 * of this peer's. Pure. ENDED if the state is LOST and the status EMPTY; else the status. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_end(const struct crossvm_peer *peer, int status)
{
    bool lost = peer->state == CROSSVM_PEER_LOST;
    return lost && status == CROSSVM_EMPTY ? CROSSVM_ENDED : status;
}

/* Fetches the newest exchange of times, once; the next question is asked only then. Role: this
 * side. Wait-free. Trust: sample->replied_ns is what the peer says. OK; EMPTY none since the last
 * one. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_times(struct crossvm_peer *peer,
                                                        struct crossvm_peer_sample *sample)
{
    if (!peer->sampled) {
        return CROSSVM_EMPTY;
    }
    peer->sampled = false;
    *sample = peer->sample;
    return CROSSVM_OK;
}

/* ---- what an owner holds for a peer --------------------------------------------------------- */

/* Gives the handle room to remember what is held for the peer. table: the caller's, as long as the
 * handle. room: holdings in it, at most as many as a region has chunks. Role: this side. Pure.
 * OK; INVALID more room than CROSSVM_CAPACITY_MAX. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_holdings(struct crossvm_peer *peer,
                                                           struct crossvm_peer_holding *table,
                                                           uint32_t room)
{
    if (room > CROSSVM_CAPACITY_MAX) {
        return CROSSVM_INVALID;
    }
    peer->holdings = table;
    peer->n_holdings = 0;
    peer->room = room;
    return CROSSVM_OK;
}

/* Notes that a chunk was allocated on behalf of the peer, and what becomes of it when the peer is
 * lost. Role: the region's owner. Bounded by the number of holdings. OK (again for the same chunk:
 * the new policy); INVALID no such policy; NO_SPACE no room for it. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_peer_hold(struct crossvm_peer *peer,
                                                       const struct crossvm_chunk *chunk,
                                                       uint32_t policy)
{
    uint32_t i = 0;
    if (policy != CROSSVM_PEER_RELEASE && policy != CROSSVM_PEER_KEEP) {
        return CROSSVM_INVALID;
    }
    while (i < peer->n_holdings && peer->holdings[i].chunk.id != chunk->id) {
        i++;
    }
    if (i == peer->room) {
        return CROSSVM_NO_SPACE;
    }
    peer->n_holdings += i == peer->n_holdings;
    peer->holdings[i].chunk = *chunk;
    peer->holdings[i].policy = policy;
    return CROSSVM_OK;
}

/* Releases what was held for the lost peer to be released; the rest stays held for its next life.
 * owner: of the chunks. Role: the region's owner, behind the loss and before re-establishing; the
 * peer must have stopped writing into them (crossvm_region_owner_release): a life can be over while
 * its machine runs on. Bounded by the number of holdings. How many were released (one that is gone
 * already is not counted); NOT_YET nobody is lost: suspicion frees nothing; INVALID a chunk of
 * another place or length: it and what stands behind it are still held. */
CROSSVM_INLINE int crossvm_peer_settle(struct crossvm_peer *peer,
                                       struct crossvm_region_owner *owner)
{
    int n_released = 0;
    uint32_t i = 0;
    if (peer->state != CROSSVM_PEER_LOST) {
        return CROSSVM_NOT_YET;
    }
    while (i < peer->n_holdings) {
        struct crossvm_peer_holding *holding = &peer->holdings[i];
        if (holding->policy == CROSSVM_PEER_KEEP) {
            i++;
            continue;
        }
        int status = crossvm_region_owner_release(owner, &holding->chunk);
        if (status != CROSSVM_OK && status != CROSSVM_NOT_FOUND && status != CROSSVM_STALE) {
            return status;
        }
        n_released += status == CROSSVM_OK;
        peer->n_holdings--;
        *holding = peer->holdings[peer->n_holdings];
    }
    return n_released;
}

CROSSVM_EXTERN_C_END

#endif
