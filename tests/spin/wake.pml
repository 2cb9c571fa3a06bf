/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake.h: one waiter, one publisher. The waiter goes round for ever: it wants any number of
 * elements up to CAPACITY, polls or asks to be rung at every kick or at an event, looks once more,
 * sleeps; then takes some. The publisher publishes one or several, kicks, may stop for good behind
 * any kick. One ring of a run may fail, and one publisher may die, at any place; its successor
 * opens a handle and kicks.
 *
 * Shown: nobody sleeps for ever beside what it waits for (lost; awake), indices keep their
 * relations, an event causes at most two rings (one that was on its way when it was armed).
 */
#ifndef CAPACITY
#define CAPACITY 2
#endif
#include "waking.pml"

byte head;            /* how much the waiter has taken */
byte index;           /* how much the publisher has published */
byte old;             /* and had at its last kick */
byte want;
bool waiting;         /* for `want` elements */
bool asleep;
bool owes;            /* the publisher has to kick */
bool armed;           /* it waits for an event */
byte n_rings;         /* that this event caused */
#ifdef TROUBLE
bool failures = true; /* one ring may fail */
bool deaths = true;   /* one publisher may die */
#else
bool failures;
bool deaths;
#endif

#ifdef NO_FIRST_KICK
#define FIRST_KICK false
#else
#define FIRST_KICK true
#endif

#define ENOUGH (AHEAD(index, head) >= want)

ltl awake { [] ((waiting && ENOUGH) -> <> !waiting) }

proctype waiter()
{
    byte seen;
    do
    ::  select(want : 1 .. CAPACITY);
        waiting = true;
        if
        :: /* polls */
            wake_never(CONSUMER);
            do
            :: load(p_index, seen);
                if
                :: AHEAD(seen, head) >= want -> break
                :: else
                fi
            od
        :: /* sleeps */
            do
            ::  if
                :: atomic { armed = false; n_rings = 0; wake_always(CONSUMER) }
                :: atomic { armed = true; n_rings = 0;
                            wake_at(CONSUMER, EVENT_OF_ELEMENTS(head, want)) }
                fi;
#ifndef NO_LOOK_AGAIN
                load(p_index, seen);
                if
                :: AHEAD(seen, head) >= want -> break
                :: else
                fi;
#endif
                asleep = true;
end_asleep:     atomic { bell[CONSUMER] -> bell[CONSUMER] = false; asleep = false };
#ifdef NO_LOOK_AGAIN
                load(p_index, seen);
                if
                :: AHEAD(seen, head) >= want -> break
                :: else
                fi;
#endif
            od;
            wake_never(CONSUMER)
        fi;
        atomic {
            waiting = false;
            armed = false;
            n_rings = 0;
            assert(AHEAD(seen, head) <= CAPACITY);
            do
            :: head != seen -> head = (head + 1) % MODULUS
            :: break
            od;
            move_word(c_event, head);
            move_word(p_index, head);
            MOVE(kick_old[PRODUCER], head);
            MOVE(kick_event[PRODUCER], head);
            MOVE(index, head);
            MOVE(old, head);
            head = 0;
            want = 0;
            seen = 0
        }
    od
}

proctype publisher()
{
    byte mode;
    bool due, by_event;
    bool fresh = FIRST_KICK;
    byte n; /* published since the last kick */
    do
    :: AHEAD(index, head) < CAPACITY && n < CAPACITY ->
        atomic {
            index = (index + 1) % MODULUS;
            n++;
            owes = true;
            store(p_index, index)
        }
    :: owes ->
        wake_due(PRODUCER, CONSUMER, old, index, fresh, false, due, by_event);
        atomic {
            n = 0;
            if
            :: due ->
                n_rings = n_rings + (by_event && armed);
                assert(n_rings <= 2);
                if
                :: ring(CONSUMER); owes = false
                :: failures ->
                    failures = false;
#ifdef FORGET_FAILED_RING
                    owes = false
#else
                    fresh = true /* and it kicks again */
#endif
                fi
            :: else -> owes = false
            fi;
            due = false;
            by_event = false
        }
    :: deaths -> /* the system orders what it has stored before all that its successor does */
        atomic {
            deaths = false;
            fence(PRODUCER);
            old = index;
            fresh = FIRST_KICK;
            n = 0;
            owes = true
        }
    :: !owes -> break
    od
}

/* Asleep beside enough, and nothing is going to happen. */
proctype lost()
{
end:
    atomic {
        asleep && !bell[CONSUMER] && !owes && NOTHING_PENDING && ENOUGH -> assert(false)
    }
}

init {
    atomic {
        run waiter();
        run publisher();
        run drain_CONSUMER();
        run drain_PRODUCER();
#ifdef SAFETY
        run lost()
#endif
    }
}
