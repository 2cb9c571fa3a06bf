/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/fanin.h - many queues served as one, each with its share.
 *
 * Layer 3, on spsc.h. This is how many producers that do not trust each other feed one consumer:
 * each has a queue of its own, and none can touch another's. Roles: the consumer of all the queues,
 * one thread. No shared bytes of its own.
 *
 * The inputs are served in turns, weighted round robin: in its turn an input gives at most
 * weight x batch elements, then the next one has its turn; an input without elements is passed
 * over. A round is at most CROSSVM_FANIN_ROUND elements, so that whatever the others do, an input
 * that has elements whenever it is looked at gets its weighted share of any CROSSVM_FANIN_ROUND
 * elements in a row, but for what is still to come of its turn. That takes a queue that holds a
 * whole turn, weight x batch, and what comes while it is refilled; and weights that stay.
 *
 * What an input costs in a round when it gives nothing: one load of its producer's tail if it is
 * empty; none once it has failed, and its failure is told once. Neither harms the others. When
 * nobody has anything, one input in turn is looked at more closely, by two loads more: whether one
 * of its parts was renewed, which a tail does not show.
 *
 * Ordering edges: those of spsc.h. The look for elements is first one without order, which only
 * says whether to look; what is taken was then seen through spsc_tail.
 *
 * After deficit round robin (Shreedhar and Varghese 1995), counting elements.
 */
#ifndef CROSSVM_FANIN_H
#define CROSSVM_FANIN_H

#include "spsc.h"

CROSSVM_EXTERN_C_BEGIN

/* Elements of a round, at most, and so the sum of all weights, at most. */
#define CROSSVM_FANIN_ROUND 1000u

/* Elements that one unit of weight gives in a turn, at most. */
#define CROSSVM_FANIN_BATCH 32u

/* A place for an input. The array of them is the caller's and must outlive the fan-in. */
struct crossvm_fanin_input {
    struct crossvm_spsc_rx *queue; /* NULL = the place is free */
    uint32_t weight;               /* its share, beside the others' */
    bool told;                     /* that it failed was answered */
    bool served;                   /* elements were taken since crossvm_fanin_served named it */
};

/* The consumer's handle. */
struct crossvm_fanin {
    struct crossvm_fanin_input *inputs; /* the places */
    uint32_t n_places;                  /* their number */
    uint32_t turn;                      /* whose turn it is: a place */
    uint32_t in_hand;                   /* elements known to be there for this turn */
    uint32_t credit;                    /* elements that its turn may still give beyond these */
    uint32_t weights;                   /* the sum of all */
    uint32_t batch;                     /* elements a unit of weight in a turn */
    uint32_t shown;                     /* elements that the last peek showed */
    uint32_t closely;                   /* the place that was looked at more closely last */
    uint32_t elem_len;                  /* room for an element, at the caller's */
};

/* ---- inputs -------------------------------------------------------------------------------- */

/* Long turns cost less, short ones are needed when there are many. No division: small cores have
 * none. */
CROSSVM_INLINE void crossvm_i_fanin_weigh(struct crossvm_fanin *fanin)
{
    fanin->batch = CROSSVM_FANIN_BATCH;
    while (crossvm_i_multiply(fanin->batch, fanin->weights) > CROSSVM_FANIN_ROUND) {
        fanin->batch--;
    }
}

/* Makes a fan-in without inputs. inputs: n_places places, overwritten. elem_len: the longest
 * element that any input may have. Role: the consumer. OK; INVALID no place, more than
 * CROSSVM_FANIN_ROUND, or an element length of 0. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_init(struct crossvm_fanin *fanin,
                                                        struct crossvm_fanin_input *inputs,
                                                        uint32_t n_places, uint32_t elem_len)
{
    if (n_places == 0 || n_places > CROSSVM_FANIN_ROUND || elem_len == 0) {
        return CROSSVM_INVALID;
    }
    __builtin_memset(fanin, 0, sizeof(*fanin));
    for (uint32_t i = 0; i < n_places; i++) {
        __builtin_memset(&inputs[i], 0, sizeof(inputs[i]));
    }
    fanin->inputs = inputs;
    fanin->n_places = n_places;
    fanin->turn = n_places - 1; /* the first one is next */
    fanin->elem_len = elem_len;
    crossvm_i_fanin_weigh(fanin);
    return CROSSVM_OK;
}

/* Adds a queue; linked or not yet, its elements count from when it is. From now on elements are
 * taken through the fan-in alone; linking, arming and kicks stay with the queue's own calls.
 * weight: from 1; all together at most CROSSVM_FANIN_ROUND. place: set to the input's number.
 * Role: the consumer. Bounded by the places. OK; INVALID the weight, a queue that is an input
 * already, or one whose elements are longer than the fan-in's; NO_SPACE no place is free, or the
 * weights are too much together. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_add(struct crossvm_fanin *fanin,
                                                       struct crossvm_spsc_rx *queue,
                                                       uint32_t weight, uint32_t *place)
{
    uint32_t free_place = fanin->n_places;
    if (weight == 0 || queue->elem_len > fanin->elem_len) {
        return CROSSVM_INVALID;
    }
    for (uint32_t i = fanin->n_places; i-- != 0;) {
        if (fanin->inputs[i].queue == queue) {
            return CROSSVM_INVALID;
        }
        free_place = fanin->inputs[i].queue == NULL ? i : free_place;
    }
    if (free_place == fanin->n_places || weight > CROSSVM_FANIN_ROUND - fanin->weights) {
        return CROSSVM_NO_SPACE;
    }
    __builtin_memset(&fanin->inputs[free_place], 0, sizeof(fanin->inputs[free_place]));
    fanin->inputs[free_place].queue = queue;
    fanin->inputs[free_place].weight = weight;
    fanin->weights += weight;
    crossvm_i_fanin_weigh(fanin);
    *place = free_place;
    return CROSSVM_OK;
}

/* Publishes what an input held back, unless its own part is another chunk's by now. */
CROSSVM_INLINE void crossvm_i_fanin_flush(struct crossvm_spsc_rx *queue)
{
    if (queue->state == CROSSVM_OK &&
        crossvm_load_relaxed(&queue->own->line.epoch) == queue->name.generation) {
        crossvm_spsc_rx_flush(queue);
    }
}

/* Takes an input out; its queue stays as it is, with what it held back published. Role: the
 * consumer. Wait-free. OK; NOT_FOUND no input has this place. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_remove(struct crossvm_fanin *fanin,
                                                          uint32_t place)
{
    if (place >= fanin->n_places || fanin->inputs[place].queue == NULL) {
        return CROSSVM_NOT_FOUND;
    }
    struct crossvm_fanin_input *input = &fanin->inputs[place];
    crossvm_i_fanin_flush(input->queue);
    if (fanin->turn == place) {
        fanin->in_hand = 0;
        fanin->credit = 0;
        fanin->shown = 0;
    }
    input->queue = NULL;
    fanin->weights -= input->weight;
    crossvm_i_fanin_weigh(fanin);
    return CROSSVM_OK;
}

/* ---- turns --------------------------------------------------------------------------------- */

/* An input answers a failure: to be told unless it was told already. 0 or the status. */
CROSSVM_INLINE int crossvm_i_fanin_failed(struct crossvm_fanin_input *input, int status)
{
    bool waits = status == CROSSVM_NOT_YET || status == CROSSVM_REFUSED;
    bool told = input->told;
    input->told = !waits;
    return waits || told ? 0 : status;
}

/* Elements that the input whose turn it is has, no more than its turn may still give. 0 = none, or
 * a failure that was told. */
CROSSVM_INLINE int crossvm_i_fanin_there(const struct crossvm_fanin *fanin)
{
    struct crossvm_fanin_input *input = &fanin->inputs[fanin->turn];
    struct crossvm_spsc_rx *queue = input->queue;
    if (queue == NULL) {
        return 0;
    }
    if (queue->state != CROSSVM_OK || queue->elem_len > fanin->elem_len) {
        int status = queue->state != CROSSVM_OK ? queue->state : CROSSVM_MISMATCH;
        return crossvm_i_fanin_failed(input, status);
    }
    input->told = false;
    if (queue->tail == queue->head) {
        if (crossvm_load_relaxed(&queue->peer->line.index) == queue->tail) {
            return 0;
        }
        /* No pause for more to come: meanwhile others can be served. */
        queue->found = 0;
        int status = crossvm_i_spsc_rx_look(queue, 1);
        if (status != CROSSVM_OK) {
            return status == CROSSVM_EMPTY ? 0 : crossvm_i_fanin_failed(input, status);
        }
    }
    uint32_t n = queue->tail - queue->head;
    return (int)(n < fanin->credit ? n : fanin->credit);
}

/* Ends the turn: what the input held back is published, so that its producer has room. */
CROSSVM_INLINE void crossvm_i_fanin_pass_on(struct crossvm_fanin *fanin)
{
    struct crossvm_spsc_rx *queue = fanin->inputs[fanin->turn].queue;
    if (queue != NULL && queue->published != queue->head) {
        crossvm_i_fanin_flush(queue);
    }
    fanin->turn = fanin->turn + 1 == fanin->n_places ? 0 : fanin->turn + 1;
    fanin->credit = (uint32_t)crossvm_i_multiply(fanin->inputs[fanin->turn].weight, fanin->batch);
}

/* Nobody has anything: looks at the parts of one input. EMPTY, or STALE, and it is its turn. */
CROSSVM_INLINE int crossvm_i_fanin_look_closely(struct crossvm_fanin *fanin)
{
    fanin->closely = fanin->closely + 1 < fanin->n_places ? fanin->closely + 1 : 0;
    struct crossvm_fanin_input *input = &fanin->inputs[fanin->closely];
    struct crossvm_spsc_rx *queue = input->queue;
    if (queue == NULL || queue->state != CROSSVM_OK) {
        return CROSSVM_EMPTY;
    }
    if (crossvm_load_relaxed(&queue->own->line.epoch) == queue->name.generation &&
        crossvm_load_relaxed(&queue->peer->line.epoch) == queue->peer_epoch) {
        return CROSSVM_EMPTY;
    }
    fanin->turn = fanin->closely;
    fanin->credit = 0;
    int status = crossvm_i_fanin_failed(input, crossvm_i_spsc_rx_stale(queue));
    return status == 0 ? CROSSVM_EMPTY : status;
}

/* Finds an input with elements, in at most one round: their number, now in hand; EMPTY; or a
 * failure of the input whose turn it is. */
CROSSVM_NOINLINE int crossvm_i_fanin_next(struct crossvm_fanin *fanin)
{
    if (fanin->credit == 0) {
        crossvm_i_fanin_pass_on(fanin);
    }
    for (uint32_t i = 0; i < fanin->n_places; i++) {
        int n = crossvm_i_fanin_there(fanin);
        if (n > 0) {
            fanin->in_hand = (uint32_t)n;
            fanin->credit -= (uint32_t)n;
        }
        if (n != 0) {
            return n;
        }
        crossvm_i_fanin_pass_on(fanin);
    }
    return crossvm_i_fanin_look_closely(fanin);
}

/* Whether what is in hand is still there: the queue's handle may have been opened anew since. */
CROSSVM_ALWAYS_INLINE bool crossvm_i_fanin_holds(const struct crossvm_fanin *fanin)
{
    const struct crossvm_spsc_rx *queue = fanin->inputs[fanin->turn].queue;
    return fanin->in_hand != 0 && queue->state == CROSSVM_OK &&
           queue->elem_len <= fanin->elem_len && queue->tail - queue->head >= fanin->in_hand;
}

/* Elements in hand, looked for if there are none. 1 and more; EMPTY; a failure. */
CROSSVM_ALWAYS_INLINE int crossvm_i_fanin_in_hand(struct crossvm_fanin *fanin, uint32_t *from)
{
    int n = (int)fanin->in_hand;
    if (CROSSVM_UNLIKELY(!crossvm_i_fanin_holds(fanin))) {
        fanin->in_hand = 0;
        fanin->shown = 0;
        n = crossvm_i_fanin_next(fanin);
    }
    *from = fanin->turn;
    return n;
}

/* n elements of the input whose turn it is were taken, or the taking failed. */
CROSSVM_ALWAYS_INLINE int crossvm_i_fanin_took(struct crossvm_fanin *fanin, uint32_t n, int status)
{
    if (CROSSVM_UNLIKELY(status < 0)) {
        fanin->in_hand = 0;
        fanin->inputs[fanin->turn].told = true;
        return status;
    }
    fanin->in_hand -= n;
    fanin->shown = 0;
    fanin->inputs[fanin->turn].served = true;
    return status;
}

/* ---- elements ------------------------------------------------------------------------------ */

/* Takes one element of the input whose turn it is. elem: room for the fan-in's elem_len; the
 * input's own length is copied. from: set to the input's number, also with a failure. Role: the
 * consumer. Bounded by one round and the element's length. Trust: as crossvm_spsc_rx_pop; one input
 * cannot harm another. OK; EMPTY no input has any; STALE, CORRUPT, MISMATCH (longer elements than
 * the fan-in's) the input is left out from now on, this is told once, the others go on: call
 * again. */
CROSSVM_NODISCARD CROSSVM_ALWAYS_INLINE int crossvm_fanin_pop(struct crossvm_fanin *fanin,
                                                              void *elem, uint32_t *from)
{
    int n = crossvm_i_fanin_in_hand(fanin, from);
    if (CROSSVM_UNLIKELY(n < 0)) {
        return n;
    }
    struct crossvm_spsc_rx *queue = fanin->inputs[fanin->turn].queue;
    return crossvm_i_fanin_took(fanin, 1, crossvm_i_spsc_rx_pop(queue, elem, queue->elem_len));
}

/* Takes up to n elements of one input, as far apart as that input's elements are long. elems: room
 * for n of the fan-in's elem_len. Role: the consumer. Bounded by one round and n. Trust: as pop.
 * The number taken, from 1, and 0 only for n = 0; EMPTY, STALE, CORRUPT, MISMATCH as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_pop_n(struct crossvm_fanin *fanin, void *elems,
                                                         uint32_t n, uint32_t *from)
{
    if (n == 0) {
        return 0;
    }
    int there = crossvm_i_fanin_in_hand(fanin, from);
    if (there < 0) {
        return there;
    }
    uint32_t n_taken = n < (uint32_t)there ? n : (uint32_t)there;
    struct crossvm_spsc_rx *queue = fanin->inputs[fanin->turn].queue;
    return crossvm_i_fanin_took(fanin, n_taken, crossvm_spsc_rx_pop_n(queue, elems, n_taken));
}

/* Shows up to n elements of one input in place (crossvm_spsc_rx_span_at); they stay the consumer's
 * until released. Role: the consumer. Bounded by one round. Trust: as crossvm_spsc_rx_peek.
 * The number shown, from 1; INVALID n is 0; EMPTY, STALE, CORRUPT, MISMATCH as pop. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_peek(struct crossvm_fanin *fanin, uint32_t n,
                                                        struct crossvm_spsc_rx_span *span,
                                                        uint32_t *from)
{
    if (n == 0) {
        return CROSSVM_INVALID;
    }
    int there = crossvm_i_fanin_in_hand(fanin, from);
    if (there < 0) {
        return there;
    }
    uint32_t n_shown = n < (uint32_t)there ? n : (uint32_t)there;
    int status = crossvm_spsc_rx_peek(fanin->inputs[fanin->turn].queue, n_shown, span);
    if (status != CROSSVM_OK) {
        return crossvm_i_fanin_took(fanin, 0, status);
    }
    fanin->shown = n_shown;
    return (int)n_shown;
}

/* Releases the n oldest of the elements that the last peek showed; the others may be looked at
 * again. Role: the consumer. Wait-free. OK; INVALID more than were shown and not taken since
 * (nothing is released); STALE, CORRUPT the input that was shown. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_release(struct crossvm_fanin *fanin, uint32_t n)
{
    if (n > fanin->shown) {
        return CROSSVM_INVALID;
    }
    if (n == 0) {
        return CROSSVM_OK;
    }
    uint32_t left = fanin->shown - n;
    int status = crossvm_spsc_rx_release(fanin->inputs[fanin->turn].queue, n);
    status = crossvm_i_fanin_took(fanin, n, status);
    fanin->shown = status == CROSSVM_OK ? left : 0;
    return status;
}

/* Names the inputs, one a call, of which elements were taken since they were last named, so that
 * their producers can be kicked (crossvm_pipe_rx_kick, crossvm_spsc_rx_kick); what was held back is
 * published first. Not needed for producers that poll. place: set to the input's number. Role: the
 * consumer, before it sleeps, or now and then. Bounded by the places. 1 there is one; 0 no more. */
CROSSVM_NODISCARD CROSSVM_INLINE int crossvm_fanin_served(struct crossvm_fanin *fanin,
                                                          uint32_t *place)
{
    for (uint32_t i = 0; i < fanin->n_places; i++) {
        struct crossvm_fanin_input *input = &fanin->inputs[i];
        if (!input->served || input->queue == NULL) {
            continue;
        }
        input->served = false;
        if (input->queue->state == CROSSVM_OK) {
            crossvm_i_fanin_flush(input->queue);
            *place = i;
            return 1;
        }
    }
    return 0;
}

CROSSVM_EXTERN_C_END

#endif
