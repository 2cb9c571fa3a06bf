/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory with delayed stores, doorbells, and the operations of wake.h on them; for wake.pml and
 * pipe.pml. Every inline is the steps of one operation, in the header's order (header.c holds them
 * to it).
 *
 * Memory is weaker than x86's: each side has one pending store for each word, which becomes visible
 * at any later time, in any order; a newer store to the word takes its place. A fence of all orders
 * makes all of the side's visible. Two loads after a fence may come in either order.
 */
#include "rules.h"

/* Sides: 0 the consumer, 1 the producer; in wake.pml the waiter and the publisher. */
#define CONSUMER 0
#define PRODUCER 1

mtype { c_index, c_event, c_mode, p_index, p_event, p_mode }

byte mem[7];   /* what the other side sees */
byte late[7];  /* pending stores */
bool held[7];  /* whether there is one */
bool bell[2];  /* a ring on its way to a side: a doorbell remembers one */
byte kick_old[2];   /* of a kick under way: the index at the kick before it */
byte kick_event[2]; /* and the event that it has loaded */

#define EVENT_WORD(side) (side == CONSUMER -> c_event : p_event)
#define MODE_WORD(side)  (side == CONSUMER -> c_mode : p_mode)

#ifdef TRACE
#define AT_ONCE true
#define SAY1(format, a)    printf(format, a)
#define SAY2(format, a, b) printf(format, a, b)
#else
#define AT_ONCE false
#define SAY1(format, a)    skip
#define SAY2(format, a, b) skip
#endif

inline reveal(word)
{
    if
    :: held[word] ->
        mem[word] = late[word];
        late[word] = 0;
        held[word] = false
    :: else
    fi
}

inline store(word, value)
{
    d_step {
        late[word] = value;
        held[word] = true;
        SAY2("store %e %d\n", word, value);
        if
        :: AT_ONCE -> reveal(word)
        :: else
        fi
    }
}

inline load(word, to)
{
    d_step {
        to = mem[word];
        SAY2("load %e %d\n", word, to);
    }
}

inline fence(side)
{
    d_step {
        SAY1("fence %d\n", side);
        if
        :: side == CONSUMER ->
            reveal(c_index);
            reveal(c_event);
            reveal(c_mode)
        :: else ->
            reveal(p_index);
            reveal(p_event);
            reveal(p_mode)
        fi
    }
}

inline ring(side)
{
    d_step {
        SAY1("ring %d\n", side);
        bell[side] = true;
    }
}

/* The hardware: what is pending becomes visible some time. */
#define DRAIN(side, index, event, mode) \
    proctype drain_##side() { \
end:    do \
        :: d_step { held[index] -> reveal(index) } \
        :: d_step { held[event] -> reveal(event) } \
        :: d_step { held[mode] -> reveal(mode) } \
        od \
    }

DRAIN(CONSUMER, c_index, c_event, c_mode)
DRAIN(PRODUCER, p_index, p_event, p_mode)

/* Only differences of indices count. So every now and then all move back together, which leaves one
 * in MODULUS of the states; the models move their private ones. */
#define MOVE(index, n) index = ((index) + MODULUS - (n)) % MODULUS

inline move_word(word, n)
{
    MOVE(mem[word], n);
    if
    :: held[word] -> MOVE(late[word], n)
    :: else
    fi
}

#define NOTHING_PENDING \
    (!held[c_index] && !held[c_event] && !held[c_mode] && \
     !held[p_index] && !held[p_event] && !held[p_mode])

/* ---- waiter ------------------------------------------------------------------------------- */

inline wake_never(side)
{
    store(MODE_WORD(side), MODE_NEVER)
}

inline wake_always(side)
{
    store(MODE_WORD(side), MODE_ALWAYS);
#ifndef NO_FENCE_WAITER
    fence(side)
#endif
}

inline wake_at(side, event)
{
#ifdef EVENT_OFF_BY_ONE
    store(EVENT_WORD(side), (event + 1) % MODULUS);
#else
    store(EVENT_WORD(side), event);
#endif
    store(MODE_WORD(side), MODE_EVENT);
#ifndef NO_FENCE_WAITER
    fence(side)
#endif
}

/* ---- publisher: `other` is the side that waits --------------------------------------------- */

/* due: whether to ring; by_event: the event said so. */
inline wake_due(side, other, old, index, fresh, delay, due, by_event)
{
    d_step {
        kick_old[side] = old;
        kick_event[side] = old;
        old = index
    };
#ifndef NO_FENCE_KICKER
    fence(side);
#endif
#ifdef IN_ORDER
    load(MODE_WORD(other), mode);
    if
    :: mode == MODE_EVENT -> load(EVENT_WORD(other), kick_event[side])
    :: else
    fi;
#else
    if
    ::  load(MODE_WORD(other), mode);
        if
        :: mode == MODE_EVENT -> load(EVENT_WORD(other), kick_event[side])
        :: else
        fi
    :: load(EVENT_WORD(other), kick_event[side]); load(MODE_WORD(other), mode)
    fi;
#endif
    d_step {
#ifdef OLD_IS_LAST_PUBLISHED
        kick_old[side] = (index + MODULUS - 1) % MODULUS;
#endif
#ifdef OLD_STAYS
        old = kick_old[side];
#endif
        due = fresh || DUE(mode, kick_event[side], kick_old[side], index, CAPACITY);
        by_event = DUE_BY_EVENT(mode, kick_event[side], kick_old[side], index, CAPACITY);
    }
    if
    :: delay && !due && DELAY_COUNTS(mode, kick_event[side], kick_old[side], index, CAPACITY) ->
        due = true
    :: true
    fi;
    d_step {
        fresh = fresh && !due;
        mode = 0;
        kick_old[side] = old;
        kick_event[side] = old
    }
}

inline wake_peer_waits(side, other, answer)
{
    load(MODE_WORD(other), mode);
    d_step {
        answer = PEER_WAITS(mode);
        mode = 0;
    }
}

inline wake_nudge(side, other, due)
{
    load(MODE_WORD(other), mode);
    d_step {
        due = NUDGE_DUE(mode);
        mode = 0;
    }
}
