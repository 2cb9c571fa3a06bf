/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions of wake.h, spsc.h and pipe.h, as expressions that are C and Promela alike: the
 * models are built from them, and header.c compares each with what the header answers.
 *
 * Indices count modulo MODULUS, a power of two. MODULUS small numbers, 2^32 / MODULUS apart, are
 * indices of 32 bits that behave alike in every sum and comparison.
 */
#ifndef MODULUS
#define MODULUS 8
#endif

#define MODE_ALWAYS 0
#define MODE_NEVER  1
#define MODE_EVENT  2

/* How far a lies in front of b. */
#define AHEAD(a, b) (((a) + MODULUS - (b)) % MODULUS)

/* Whether an event is passed by going from old to index, or can never be reached. */
#define PASSED(event, old, index, span)         \
    ((AHEAD(event, old) < AHEAD(index, old)) || \
     ((AHEAD(event, index) < (MODULUS / 2)) && (AHEAD(event, index) >= (span))))

/* Whether a kick rings, and whether the event alone decided that. */
#define DUE_BY_EVENT(mode, event, old, index, span) \
    (((mode) == MODE_EVENT) && PASSED(event, old, index, span))
#define DUE(mode, event, old, index, span)                                       \
    (((mode) != MODE_NEVER) && (((mode) == MODE_EVENT) || ((index) != (old))) && \
     (((mode) != MODE_EVENT) || PASSED(event, old, index, span)))

/* Whether a running delay may make a kick ring as well: the event is still ahead. */
#define DELAY_COUNTS(mode, event, old, index, span)                \
    (((mode) == MODE_EVENT) && !PASSED(event, old, index, span) && \
     (AHEAD(event, index) < (MODULUS / 2)))

#define NUDGE_DUE(mode)  ((mode) != MODE_NEVER)
#define PEER_WAITS(mode) ((mode) == MODE_EVENT)

/* The events of one who wants so many elements, and so many free places. */
#define EVENT_OF_ELEMENTS(head, want)       (((head) + (want) + MODULUS - 1) % MODULUS)
#define EVENT_OF_ROOM(tail, capacity, want) (((tail) + (want) + MODULUS - 1 - (capacity)) % MODULUS)

/* Whether the consumer publishes its head after taking an element. */
#define PUBLISHES(head, tail, published, lazy) \
    (((head) == (tail)) || (AHEAD(head, published) >= (lazy)))
