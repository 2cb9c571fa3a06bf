/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of queues and pipes. The numbers in a name are bytes of an element, or elements. */
#include "../measured.h"

/* ---- fast paths of typed queues ------------------------------------------------------------- */

MEASURED(spsc_push_8, room_8, nothing, MANY, CROSSVM_OK)
{
    return queue_8_tx_push(&s->tx.q8, s->in.e8);
}

MEASURED(spsc_push_64, room_64, nothing, MANY, CROSSVM_OK)
{
    PLANT(s);
    return queue_64_tx_push(&s->tx.q64, s->in.e64);
}

MEASURED(spsc_push_256, room_256, nothing, MANY, CROSSVM_OK)
{
    return queue_256_tx_push(&s->tx.q256, s->in.e256);
}

MEASURED(spsc_push_1024, room_1024, nothing, MANY, CROSSVM_OK)
{
    return queue_1024_tx_push(&s->tx.q1024, s->in.e1024);
}

MEASURED(spsc_pop_8, elements_8, nothing, MANY, CROSSVM_OK)
{
    return queue_8_rx_pop(&s->rx.q8, s->out.e8);
}

MEASURED(spsc_pop_64, elements_64, nothing, MANY, CROSSVM_OK)
{
    return queue_64_rx_pop(&s->rx.q64, s->out.e64);
}

MEASURED(spsc_pop_256, elements_256, nothing, MANY, CROSSVM_OK)
{
    return queue_256_rx_pop(&s->rx.q256, s->out.e256);
}

MEASURED(spsc_pop_1024, elements_1024, nothing, MANY, CROSSVM_OK)
{
    return queue_1024_rx_pop(&s->rx.q1024, s->out.e1024);
}

/* The length is known at run time alone. */
MEASURED(spsc_push_any_64, room_64, nothing, MANY, CROSSVM_OK)
{
    return crossvm_spsc_tx_push(&s->tx.any, s->in.bytes);
}

MEASURED(spsc_pop_any_64, elements_64, nothing, MANY, CROSSVM_OK)
{
    return crossvm_spsc_rx_pop(&s->rx.any, s->out.bytes);
}

/* ---- a whole ring: what the slow paths add on average --------------------------------------- */

MEASURED(spsc_push_64_ring, empty_64, nothing, CAPACITY, CROSSVM_OK)
{
    return queue_64_tx_push(&s->tx.q64, s->in.e64);
}

MEASURED(spsc_pop_64_ring, full_64, nothing, CAPACITY, CROSSVM_OK)
{
    return queue_64_rx_pop(&s->rx.q64, s->out.e64);
}

/* ---- slow paths ----------------------------------------------------------------------------- */

MEASURED(spsc_push_8_freed, full_8, pop_one, MANY, CROSSVM_OK)
{
    return queue_8_tx_push(&s->tx.q8, s->in.e8);
}

MEASURED(spsc_push_8_full, full_8, nothing, MANY, CROSSVM_FULL)
{
    return queue_8_tx_push(&s->tx.q8, s->in.e8);
}

MEASURED(spsc_pop_8_first, empty_8, push_one, MANY, CROSSVM_OK)
{
    return queue_8_rx_pop(&s->rx.q8, s->out.e8);
}

MEASURED(spsc_pop_8_empty, empty_8, nothing, MANY, CROSSVM_EMPTY)
{
    return queue_8_rx_pop(&s->rx.q8, s->out.e8);
}

MEASURED(spsc_tx_free, room_64, nothing, MANY, CAPACITY - 1)
{
    return crossvm_spsc_tx_free(&s->tx.any);
}

MEASURED(spsc_rx_fill, elements_64, nothing, MANY, CAPACITY - 1)
{
    return crossvm_spsc_rx_fill(&s->rx.any);
}

/* ---- batches: a call moves MANY, a ring's worth in all -------------------------------------- */

MEASURED(spsc_push_n_32_8, empty_8, nothing, CAPACITY / MANY, MANY)
{
    return queue_8_tx_push_n(&s->tx.q8, s->in.e8, MANY);
}

MEASURED(spsc_push_n_32_64, empty_64, nothing, CAPACITY / MANY, MANY)
{
    return queue_64_tx_push_n(&s->tx.q64, s->in.e64, MANY);
}

MEASURED(spsc_push_n_32_256, empty_256, nothing, CAPACITY / MANY, MANY)
{
    return queue_256_tx_push_n(&s->tx.q256, s->in.e256, MANY);
}

MEASURED(spsc_push_n_32_1024, empty_1024, nothing, CAPACITY / MANY, MANY)
{
    return queue_1024_tx_push_n(&s->tx.q1024, s->in.e1024, MANY);
}

MEASURED(spsc_pop_n_32_8, full_8, nothing, CAPACITY / MANY, MANY)
{
    return queue_8_rx_pop_n(&s->rx.q8, s->out.e8, MANY);
}

MEASURED(spsc_pop_n_32_64, full_64, nothing, CAPACITY / MANY, MANY)
{
    return queue_64_rx_pop_n(&s->rx.q64, s->out.e64, MANY);
}

MEASURED(spsc_pop_n_32_256, full_256, nothing, CAPACITY / MANY, MANY)
{
    return queue_256_rx_pop_n(&s->rx.q256, s->out.e256, MANY);
}

MEASURED(spsc_pop_n_32_1024, full_1024, nothing, CAPACITY / MANY, MANY)
{
    return queue_1024_rx_pop_n(&s->rx.q1024, s->out.e1024, MANY);
}

/* ---- in place: the first word of each element is written or read ---------------------------- */

MEASURED(spsc_reserve_commit_1, room_64, nothing, MANY, CROSSVM_OK)
{
    struct crossvm_spsc_tx_span span;
    int status = crossvm_spsc_tx_reserve(&s->tx.any, 1, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    ((struct elem_64 *)crossvm_spsc_tx_span_at(&span, 0))->words[0] = s->time_ns;
    return crossvm_spsc_tx_commit(&s->tx.any, 1);
}

MEASURED(spsc_reserve_commit_32, empty_64, nothing, CAPACITY / MANY, CROSSVM_OK)
{
    struct crossvm_spsc_tx_span span;
    int status = crossvm_spsc_tx_reserve(&s->tx.any, MANY, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    for (uint32_t i = 0; i < MANY; i++) {
        ((struct elem_64 *)crossvm_spsc_tx_span_at(&span, i))->words[0] = s->time_ns;
    }
    return crossvm_spsc_tx_commit(&s->tx.any, MANY);
}

MEASURED(spsc_peek_release_1, elements_64, nothing, MANY, CROSSVM_OK)
{
    struct crossvm_spsc_rx_span span;
    int status = crossvm_spsc_rx_peek(&s->rx.any, 1, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    s->result = ((const struct elem_64 *)crossvm_spsc_rx_span_at(&span, 0))->words[0];
    return crossvm_spsc_rx_release(&s->rx.any, 1);
}

MEASURED(spsc_peek_release_32, full_64, nothing, CAPACITY / MANY, CROSSVM_OK)
{
    struct crossvm_spsc_rx_span span;
    int status = crossvm_spsc_rx_peek(&s->rx.any, MANY, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    for (uint32_t i = 0; i < MANY; i++) {
        s->result += ((const struct elem_64 *)crossvm_spsc_rx_span_at(&span, i))->words[0];
    }
    return crossvm_spsc_rx_release(&s->rx.any, MANY);
}

/* ---- an exchange: every call in place, and the copies of 64 bytes --------------------------- */

MEASURED(exchange_reserve_commit_1, exchange_empty, nothing, MANY, CROSSVM_OK)
{
    struct crossvm_spsc_tx_span span;
    int status = crossvm_exchange_tx_reserve(&s->exchange_tx, 1, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    ((struct elem_64 *)crossvm_spsc_tx_span_at(&span, 0))->words[0] = s->time_ns;
    return crossvm_exchange_tx_commit(&s->exchange_tx, 1);
}

MEASURED(exchange_peek_commit_1, exchange_sent, nothing, MANY, CROSSVM_OK)
{
    struct crossvm_exchange_rx_span span;
    int status = crossvm_exchange_rx_peek(&s->exchange_rx, 1, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    s->result = ((const struct elem_64 *)crossvm_spsc_rx_span_at(&span.elements, 0))->words[0];
    ((struct elem_64 *)crossvm_spsc_tx_span_at(&span.answers, 0))->words[0] = s->result;
    return crossvm_exchange_rx_commit(&s->exchange_rx, 1);
}

MEASURED(exchange_peek_release_1, exchange_answered, nothing, MANY, CROSSVM_OK)
{
    struct crossvm_exchange_tx_span span;
    int status = crossvm_exchange_tx_peek(&s->exchange_tx, 1, &span);
    if (status != CROSSVM_OK) {
        return status;
    }
    s->result = ((const struct elem_64 *)crossvm_spsc_rx_span_at(&span.answers, 0))->words[0];
    return crossvm_exchange_tx_release(&s->exchange_tx, 1);
}

MEASURED(exchange_push, exchange_empty, nothing, MANY, CROSSVM_OK)
{
    return crossvm_exchange_tx_push(&s->exchange_tx, s->in.e64);
}

MEASURED(exchange_get, exchange_sent, nothing, MANY, CROSSVM_OK)
{
    return crossvm_exchange_rx_get(&s->exchange_rx, s->out.e64);
}

MEASURED(exchange_answer, exchange_sent, nothing, MANY, CROSSVM_OK)
{
    return crossvm_exchange_rx_answer(&s->exchange_rx, s->in.e64);
}

MEASURED(exchange_take, exchange_answered, nothing, MANY, CROSSVM_OK)
{
    return crossvm_exchange_tx_take(&s->exchange_tx, s->out.e64);
}

/* ---- waking --------------------------------------------------------------------------------- */

MEASURED(spsc_tx_kick_polling, tx_polling, push_one, MANY, 0)
{
    return crossvm_spsc_tx_kick(&s->tx.any, 0, &s->result);
}

MEASURED(spsc_tx_kick_never, tx_never, push_one, MANY, 0)
{
    return crossvm_spsc_tx_kick(&s->tx.any, 0, &s->result);
}

MEASURED(spsc_tx_kick_event, tx_event, push_one, MANY, 0)
{
    return crossvm_spsc_tx_kick(&s->tx.any, 0, &s->result);
}

MEASURED(spsc_tx_kick_rings, tx_always, push_one, MANY, 1)
{
    return crossvm_spsc_tx_kick(&s->tx.any, 0, &s->result);
}

MEASURED(spsc_rx_kick_polling, rx_polling, pop_one, MANY, 0)
{
    return crossvm_spsc_rx_kick(&s->rx.any);
}

MEASURED(spsc_rx_kick_never, rx_never, pop_one, MANY, 0)
{
    return crossvm_spsc_rx_kick(&s->rx.any);
}

MEASURED(spsc_tx_arm_sleeps, full_64, nothing, MANY, 0)
{
    return crossvm_spsc_tx_arm(&s->tx.any, 1);
}

MEASURED(spsc_tx_arm_room, room_64, nothing, MANY, 1)
{
    return crossvm_spsc_tx_arm(&s->tx.any, 1);
}

MEASURED(spsc_rx_arm_sleeps, empty_64, nothing, MANY, 0)
{
    return crossvm_spsc_rx_arm(&s->rx.any, 1, 0);
}

MEASURED(spsc_rx_arm_elements, elements_64, nothing, MANY, 1)
{
    return crossvm_spsc_rx_arm(&s->rx.any, 1, 0);
}

MEASURED(spsc_rx_disarm, empty_64, nothing, MANY, CROSSVM_OK)
{
    crossvm_spsc_rx_disarm(&s->rx.any);
    return CROSSVM_OK;
}

MEASURED(spsc_tx_nudge, tx_event, nothing, MANY, 1)
{
    return crossvm_spsc_tx_nudge(&s->tx.any);
}

/* ---- pipes ---------------------------------------------------------------------------------- */

MEASURED(pipe_tx_kick_polling, pipe_polling, nothing, MANY, CROSSVM_OK)
{
    return crossvm_pipe_tx_kick(&s->pipe_tx, &s->result);
}

MEASURED(pipe_tx_kick_never, pipe_never, nothing, MANY, CROSSVM_OK)
{
    return crossvm_pipe_tx_kick(&s->pipe_tx, &s->result);
}

MEASURED(pipe_rx_kick_never, pipe_rx_never, nothing, MANY, CROSSVM_OK)
{
    return crossvm_pipe_rx_kick(&s->pipe_rx);
}

MEASURED(pipe_tx_wait_room, pipe_room, nothing, MANY, CAPACITY - 1)
{
    return crossvm_pipe_tx_wait(&s->pipe_tx, 1, CROSSVM_NO_DEADLINE);
}

MEASURED(pipe_rx_wait_elements, pipe_elements, nothing, MANY, CAPACITY - 1)
{
    return crossvm_pipe_rx_wait(&s->pipe_rx, 1, 0, CROSSVM_NO_DEADLINE);
}

MEASURED(notify_signal_if_not_due, pipe_room, nothing, MANY, CROSSVM_OK)
{
    return crossvm_notify_signal_if(&s->notify, 0, 1, 0);
}
