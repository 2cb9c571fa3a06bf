/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h: both ends of a queue sleep. The producer waits for room, pushes some, kicks, for ever;
 * the consumer waits for elements, takes some, kicks, and publishes its head up to LAZY late.
 * Builds:
 *
 *   (none)   each wants CAPACITY: they insist, and only early answers let them go on
 *   ANY      each wants another number each time
 *   PATIENT  no wait ends early; both together want CAPACITY + 1, which must do
 *   DELAY    the consumer has a longest delay; the producer may stop for good behind a kick
 *   LATE     waits may reach their deadline, too
 *
 * Shown: whoever waits goes on (proceed; with DELAY: in_time), so both never sleep for ever; a wait
 * that is not at its deadline never answers none; indices keep their relations.
 */
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef LAZY
#define LAZY 1
#endif
#ifndef MODULUS
#define MODULUS 4
#endif
#define IN_ORDER
#include "waking.pml"
#ifdef PATIENT
#define NO_EARLY_ANSWER
#endif

/* The consumer's handle. */
byte c_head, c_tail, c_published, c_old;
bool c_fresh;
/* The producer's. */
byte p_tail, p_head, p_old;
bool p_fresh;

#ifdef DELAY
bool with_delay = true; /* the consumer's wait has a longest delay */
#else
bool with_delay;
#endif
bool c_waiting;
bool pushed, popped; /* for a moment */

#define C_FILL AHEAD(c_tail, c_head)
#define P_FREE (CAPACITY - AHEAD(p_tail, p_head))

#ifdef DELAY
ltl in_time { [] ((c_waiting && p_tail != c_head) -> <> !c_waiting) }
#else
ltl proceed { ([] <> pushed) && ([] <> popped) }
#endif

/* ---- spsc.h ------------------------------------------------------------------------------- */

inline rx_publish()
{
    atomic {
        store(c_index, c_head);
        c_published = c_head
    }
}

inline rx_fill()
{
#ifndef NO_FLUSH_BEFORE_SLEEP
    if
    :: c_published != c_head -> rx_publish()
    :: else
    fi;
#endif
    if
    :: C_FILL < CAPACITY -> load(p_index, c_tail); assert(C_FILL <= CAPACITY)
    :: else
    fi
}

inline tx_free()
{
    load(c_index, p_head);
    assert(P_FREE >= 0 && P_FREE <= CAPACITY)
}

inline rx_take()
{
    c_head = (c_head + 1) % MODULUS;
    if
    :: PUBLISHES(c_head, c_tail, c_published, LAZY) -> rx_publish()
    :: else
    fi
}

inline tx_push(n)
{
    p_tail = (p_tail + n) % MODULUS;
    store(p_index, p_tail)
}

inline rx_arm(target)
{
    rx_fill();
    if
    :: C_FILL < target ->
        wake_at(CONSUMER, EVENT_OF_ELEMENTS(c_head, target));
#ifndef NO_LOOK_AGAIN
        rx_fill()
#endif
    :: else
    fi;
    if
    :: C_FILL >= target -> wake_never(CONSUMER)
    :: else
    fi
}

inline tx_arm(target, armed)
{
    tx_free();
    if
    :: P_FREE < target ->
        wake_at(PRODUCER, EVENT_OF_ROOM(p_tail, CAPACITY, target));
#ifndef NO_LOOK_AGAIN
        tx_free()
#endif
    :: else
    fi;
    if
    :: P_FREE >= target -> wake_never(PRODUCER); armed = false
    :: else -> armed = true
    fi
}

/* ---- pipe.h ------------------------------------------------------------------------------- */

/* The clock: may have passed the deadline, or the end of the delay. Tests of the order decide. */
#if defined TRACE
#define TIME_PASSES skip
#elif defined LATE
#define TIME_PASSES if :: too_late = true; over = true :: over = over || timed :: true fi
#else
#define TIME_PASSES if :: timed -> over = true :: true fi
#endif

inline rx_kick()
{
    wake_due(CONSUMER, PRODUCER, c_old, c_published, c_fresh, false, due, by_event);
    if
    :: due -> ring(PRODUCER)
    :: else
    fi;
    due = false;
    by_event = false
}

inline tx_kick()
{
    wake_due(PRODUCER, CONSUMER, p_old, p_tail, p_fresh, with_delay, due, by_event);
    if
    :: due -> ring(CONSUMER)
    :: else
    fi;
    due = false;
    by_event = false
}

/* Nudges the other, and sleeps until rung, or until a timer of its own. */
inline pipe_sleep(side, other)
{
#ifndef NO_NUDGE
    if
#ifdef NUDGE_AFTER_LOOK
    :: true ->
#else
    :: !looked ->
#endif
        wake_nudge(side, other, due);
        if
        :: due -> ring(other)
        :: else
        fi;
        due = false
    :: else
    fi;
#endif
#ifdef TRACE
    script_sleep(side, other)
#else
#ifdef DELAY
end_asleep:
#endif
    if
    :: atomic { bell[side] -> bell[side] = false }
#ifndef DELAY_WITHOUT_OWN_TIMER
    :: timed -> over = true
#endif
#ifdef LATE
    :: too_late = true; over = true
#endif
    fi
#endif
}

inline tx_wait(want, answer)
{
    do
    ::  tx_arm(want, armed);
        if
        :: !armed -> tx_free(); answer = P_FREE; break
        :: else
        fi;
        tx_free();
        stuck = false;
            looked = false;
#ifndef NO_EARLY_ANSWER
        if
        :: woken && P_FREE > 0 -> looked = true; wake_peer_waits(PRODUCER, CONSUMER, stuck)
        :: else
        fi;
#endif
        TIME_PASSES;
        if
        :: !stuck && !too_late -> pipe_sleep(PRODUCER, CONSUMER)
        :: else -> done = true; answer = P_FREE
        fi;
        wake_never(PRODUCER);
        if
        :: done -> break
        :: else
        fi;
        woken = true
    od
}

inline rx_wait(want, answer)
{
    do
    ::  if
        :: with_delay && !timed && want > 1 -> target = 1
        :: else -> target = want
        fi;
        rx_arm(target);
        rx_fill();
        TIME_PASSES;
        if
        :: C_FILL >= want -> wake_never(CONSUMER); answer = C_FILL; break
        :: else
        fi;
        if
        :: with_delay && C_FILL > 0 && !timed && !too_late -> timed = true
        :: else ->
            stuck = false;
            looked = false;
#ifndef NO_EARLY_ANSWER
            if
            :: woken && C_FILL > 0 -> looked = true; wake_peer_waits(CONSUMER, PRODUCER, stuck)
            :: else
            fi;
#endif
            if
            :: !stuck && !over -> pipe_sleep(CONSUMER, PRODUCER)
            :: else -> done = true; answer = C_FILL
            fi;
            wake_never(CONSUMER);
            if
            :: done -> break
            :: else
            fi;
            woken = true
        fi
    od
}

#define PRIVATE \
    byte mode, want, answer, target; \
    bool due, by_event, armed, stuck, looked, done, woken; \
    bool timed;    /* the delay has begun */ \
    bool too_late; /* the deadline has come */ \
    bool over      /* it, or the end of the delay */

#define FORGET \
    d_step { want = 0; answer = 0; target = 0; armed = false; stuck = false; looked = false; \
             done = false; woken = false; timed = false; too_late = false; over = false }

#ifndef TRACE

inline move_all(n)
{
    d_step {
        move_word(c_index, n);
        move_word(c_event, n);
        move_word(p_index, n);
        move_word(p_event, n);
        MOVE(kick_old[CONSUMER], n);
        MOVE(kick_old[PRODUCER], n);
        MOVE(kick_event[CONSUMER], n);
        MOVE(kick_event[PRODUCER], n);
        MOVE(c_tail, n);
        MOVE(c_published, n);
        MOVE(c_old, n);
        MOVE(p_tail, n);
        MOVE(p_head, n);
        MOVE(p_old, n);
        MOVE(c_head, n)
    }
}

byte c_most, p_most; /* that each side wants */

#ifdef ANY
#define CHOOSE(most) select(want : 1 .. most)
#else
#define CHOOSE(most) want = most
#endif

proctype producer()
{
    PRIVATE;
    do
    ::  CHOOSE(p_most);
        tx_wait(want, answer);
        atomic {
            assert(answer > 0 || too_late);
            do
            :: answer > 0 ->
                tx_push(1);
                answer--;
                pushed = true
            :: pushed || answer == 0 -> break
            od;
            p_head = p_tail; /* it is loaded again before it is used */
            FORGET
        };
        tx_kick();
        pushed = false;
#ifdef DELAY
        if
        :: break
        :: true
        fi
#endif
    od
}

proctype consumer()
{
    PRIVATE;
    do
    ::  CHOOSE(c_most);
        c_waiting = true;
        rx_wait(want, answer);
        atomic {
            c_waiting = false;
            assert(answer > 0 || too_late);
            do
            :: answer > 0 ->
                rx_take();
                answer--;
                popped = true
            :: popped || answer == 0 -> break
            od;
            c_tail = c_head; /* it is loaded again before it is used */
            move_all(c_head);
            FORGET
        };
        rx_kick();
        popped = false
    od
}

init {
    atomic {
        c_fresh = true;
        p_fresh = true;
#ifdef PATIENT
        select(c_most : 1 .. CAPACITY);
        p_most = CAPACITY + 1 - c_most;
#else
        c_most = CAPACITY;
        p_most = CAPACITY;
#endif
        run producer();
        run consumer();
        run drain_CONSUMER();
        run drain_PRODUCER()
    }
}
#endif
