/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h: two sides that step for ever. Each may die at any access to the shared words, or close,
 * and starts again; each may be told once that the other one has died, though that is not true. What follows a state by a sign is printed from the header
 * (peer_table.c). Silence is left out: it leads to SUSPECT and back, and to nothing else.
 *
 * Shown: a side that becomes up has been answered, by the very life whose number it read, in answer
 * to its own present life (assertions); and when nobody dies any more, both are up for good (live).
 *
 *   DEATHS       deaths and closings, of both sides together
 *   FALSE_NEWS   deaths that are told and not true
 *   SAME_SEED    all starts of a side have one seed: an answer can come so late that it is taken for
 *                one to the next life but one, which bears the same number
 *   NO_...       a rule left out
 */
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef FALSE_NEWS
#define FALSE_NEWS 1
#endif

#ifdef SAME_SEED
#define FIRST 2
#else
#define FIRST (2 * start[me] + 2)
#endif

#define WAITING   0
#define ANSWERING 1
#define UP        2
#define SUSPECT   3
#define LOST      4
#define CLOSED    5

#define SIGN_NONE       0
#define SIGN_OTHER      1
#define SIGN_UNANSWERED 2
#define SIGN_ALIVE      3
#define SIGN_CLOSED     5

#include "peer_table.h"

/* The shared words of each side. */
byte inc[2];
byte echo[2];
byte closed[2];

/* What only the model knows: which start is at work, whose answer an echo is, and to which start. */
byte start[2];
byte author[2];
byte target[2];

byte n_deaths = DEATHS;
byte n_false = FALSE_NEWS;
byte state_of[2];

#define IS_UP(side) (state_of[side] == UP)

ltl meet { <> [] (IS_UP(0) && IS_UP(1)) }

/* Somebody may die in front of any access; closing is a death that is announced. */
#define MORTAL                                          \
    if                                                  \
    :: atomic { n_deaths > 0 -> n_deaths-- }; goto born \
    :: true                                             \
    fi

inline begin_life()
{
    d_step {
        old = inc[me] / 2 * 2;
        its_echo = echo[1 - me];
        my = FIRST;
        do
        :: my == old || my == its_echo -> my = my + 2
        :: else -> break
        od;
        its_echo = 0
    }
    MORTAL;
    inc[me] = old + 1;
    MORTAL;
#ifndef NO_ECHO_RESET
    echo[me] = 0;
    MORTAL;
#endif
    closed[me] = 0;
    MORTAL;
    d_step {
        start[me]++;
        inc[me] = my;
        old = 0;
        answering = 0
    }
}

inline lose()
{
    answering = 0;
    MORTAL;
    d_step {
        echo[me] = 0;
        author[me] = start[me];
        target[me] = 0
    }
}

/* One look at the other side's words. */
inline look()
{
    d_step {
        seen = inc[1 - me];
        seen_start = start[1 - me];
    }
    MORTAL;
    d_step {
        its_echo = echo[1 - me];
        its_author = author[1 - me];
        its_target = target[1 - me];
    }
    MORTAL;
    its_closed = closed[1 - me];
    MORTAL;
    d_step {
        if
        :: seen % 2 == 1 -> seen = 0
        :: else
        fi;
#ifndef NO_SECOND_LOOK
        if
        :: inc[1 - me] != seen -> seen = 0
        :: else
        fi
#endif
    }
}

inline judge()
{
    d_step {
    if
    :: seen != 0 && seen != answering &&
       (answering != 0 || seen != its_closed) -> sign = SIGN_OTHER
    :: else ->
        if
        :: answering != 0 && seen == answering && its_closed == seen -> sign = SIGN_CLOSED
        :: answering != 0 && seen == answering && its_closed != seen && its_echo != my ->
            sign = SIGN_UNANSWERED
        :: else ->
            if
            :: answering != 0 && seen == answering -> sign = SIGN_ALIVE
            :: else -> sign = SIGN_NONE
            fi
        fi
    fi
    }
}

/* What is not used any more makes no states of its own. */
inline forget()
{
    d_step {
        before = 0;
        sign = 0;
        seen = 0;
        seen_start = 0;
        its_echo = 0;
        its_author = 0;
        its_target = 0;
        its_closed = 0
    }
}

/* The state and what is done on the way into it. */
inline act()
{
    d_step {
        before = state;
        follow(state, sign)
    }
    if
    :: before == WAITING && state == ANSWERING ->
        answering = seen;
        MORTAL;
        d_step {
            echo[me] = seen;
            author[me] = start[me];
            target[me] = seen_start;
        }
    :: before == ANSWERING && state == UP ->
        assert(its_author == seen_start && its_target == start[me])
    :: before != LOST && state == LOST ->
        dubious = (sign == SIGN_UNANSWERED);
        lose()
    :: else
    fi;
    forget();
    state_of[me] = state
}

proctype side(byte me)
{
    byte state, my, old, answering, before, sign;
    byte seen, seen_start, its_echo, its_author, its_target, its_closed;
    bool dubious;
born:
    skip;
    d_step {
        state = WAITING;
        state_of[me] = WAITING;
        dubious = false
    }
    forget();
    begin_life();
    do
    :: state == LOST ->
        MORTAL;
#ifndef NO_NEW_LIFE
        if
        :: dubious -> begin_life()
        :: else
        fi;
#endif
        d_step {
            dubious = false;
            state = WAITING;
            state_of[me] = WAITING
        }
    :: state != LOST ->
        look();
        judge();
        act()
    :: atomic { state != LOST && answering != 0 && n_false > 0 -> n_false-- };
        dubious = true;
        lose();
        state = LOST;
        state_of[me] = LOST
    :: atomic { n_deaths > 0 -> n_deaths-- };
        closed[me] = my;
        goto born
    od
}

init {
    atomic {
        run side(0);
        run side(1)
    }
}
