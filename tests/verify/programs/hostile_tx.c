/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile producer: while the consumer makes two calls, it stores anything into words of the tx
 * part. Each word is looked at once, or as docs/ORDERING.md says; what a call answers, and what the
 * handle holds afterwards, is exactly what follows from the values that it looked at. Once a handle
 * has answered CORRUPT it does so for ever, with the word's place and the value that was found
 * there. Nothing outside the two parts is touched, and of the elements only those that were granted.
 *
 *   RACED, ALSO  words of the tx part that are raced (hostile.h)
 *   CALL, THEN   the two calls, each of: link pop pop_n peek fill arm kick nudge peer
 *   UNLINKED     the consumer has come back and not linked yet
 */
#include "round.h"

#include "hostile.h"
#include "used.h"

#ifndef RACED
#define RACED line.index
#endif
#ifndef CALL
#define CALL pop
#endif
#ifndef THEN
#define THEN pop
#endif
#define WORD(field) ((struct crossvm_le32 *)&pair.tx.field)
#define REQUEST     1u /* what used.h calls it */

static MODEL_STATE struct crossvm_spsc_rx rx;

/* The handle before a call, and the call's answer. */
static MODEL_STATE struct {
    uint32_t head;
    uint32_t tail;
    int state;
} was;

/* How often a call may look at a word; `arm` looks once more when it has armed. */
static uint32_t looks_at(const struct crossvm_le32 *word)
{
    if (word == WORD(line.epoch)) {
        return 3;
    }
    bool twice = word == WORD(grant) || word == WORD(answers) || word == WORD(incarnation);
    return twice ? 2 : 1;
}

static void check_looks(uint32_t times)
{
    assert(watch_times(WORD(RACED)) <= times * looks_at(WORD(RACED)));
#if defined(ALSO)
    assert(watch_times(WORD(ALSO)) <= times * looks_at(WORD(ALSO)));
#endif
}

static void begin(void)
{
    was.head = rx.head;
    was.tail = rx.tail;
    was.state = rx.state;
    watch_begin();
}

/* Of a handle that is not linked nothing is asked, and no word of the peer's. */
static bool ended(int status)
{
    watch_end();
    if (was.state == CROSSVM_OK) {
        return true;
    }
    assert(status == was.state && rx.state == was.state && watch_total() == 0);
    return false;
}

/* Nothing was looked at behind what was found wrong. */
static void check_fault(const struct crossvm_le32 *word, uint32_t rule)
{
    assert(rx.fault.off == (uintptr_t)word - (uintptr_t)&pair);
    assert(rx.fault.value == watch_last(word) && rx.fault.rule == rule);
}

/* ---- elements -------------------------------------------------------------------------------- */

/* What follows from one look at the tail: `known` elements were there before. */
static int judge_tail(uint32_t tail, uint32_t known)
{
    uint32_t ahead = tail - was.head;
    bool possible = (ahead >= known) & (ahead <= CAPACITY);
    return possible ? CROSSVM_OK : CROSSVM_CORRUPT;
}

/* What follows from all looks at the tail: each goes with one at the epoch, and nothing is looked
 * at behind one that was not honest. */
static int judge_tails(uint32_t *tail)
{
    uint32_t n = watch_times(&pair.tx.line.index);
    int status = CROSSVM_OK;
    assert(watch_times(&pair.tx.line.epoch) == n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t found = watch_look(&pair.tx.line.index, i);
        assert(status == CROSSVM_OK);
        status = watch_look(&pair.tx.line.epoch, i) == tx_chunk.generation
                     ? judge_tail(found, *tail - was.head)
                     : CROSSVM_STALE;
        *tail = status == CROSSVM_OK ? found : *tail;
    }
    return status;
}

static void check_handle(void)
{
    assert(rx.capacity == CAPACITY && rx.elem_len == ELEM_LEN);
    assert(rx.n_avail <= (rx.state == CROSSVM_OK ? rx.tail - rx.head : 0));
    if (rx.state == CROSSVM_OK) {
        assert(rx.mask == CAPACITY - 1 && rx.stride == ELEM_LEN);
        assert(rx.slots == (const unsigned char *)pair.elements);
        assert(rx.tail - rx.head <= CAPACITY);
    }
}

/* A call that may have looked for elements: how many there are, or -1 when it had to fail. */
static int looked(int status)
{
    uint32_t tail = was.tail;
    if (!ended(status)) {
        return -1;
    }
    int judged = judge_tails(&tail);
    assert(rx.state == judged && rx.tail == tail);
    check_handle();
    if (judged == CROSSVM_OK) {
        return (int)(tail - was.head);
    }
    assert(status == judged && rx.head == was.head);
    if (judged == CROSSVM_CORRUPT) {
        check_fault(&pair.tx.line.index, CROSSVM_RULE_SPSC_INDEX);
    }
    return -1;
}

static void check_elem(const uint32_t elem[2], uint32_t index)
{
    assert(used_is_elem(elem, index % CAPACITY, 0));
}

HOSTILE_CALL(pop)
{
    uint32_t elem[2];
    begin();
    int status = crossvm_spsc_rx_pop(&rx, elem);
    int n = looked(status);
    check_looks(1);
    if (n >= 0) {
        assert(status == (n > 0 ? CROSSVM_OK : CROSSVM_EMPTY));
        assert(rx.head == was.head + (n > 0));
    }
    if (status == CROSSVM_OK) {
        check_elem(elem, was.head);
    }
}

HOSTILE_CALL(pop_n)
{
    uint32_t elems[2 * (CAPACITY + 1)];
    begin();
    int status = crossvm_spsc_rx_pop_n(&rx, elems, CAPACITY + 1);
    int n = looked(status);
    check_looks(1);
    if (n >= 0) {
        assert(status == (n > 0 ? n : CROSSVM_EMPTY));
        assert(rx.head == was.head + (uint32_t)n);
    }
    for (int i = 0; i < status; i++) {
        check_elem(&elems[2 * i], was.head + (uint32_t)i);
    }
}

HOSTILE_CALL(peek)
{
    struct crossvm_spsc_rx_span span;
    uint32_t elem[2];
    begin();
    int status = crossvm_spsc_rx_peek(&rx, CAPACITY, &span);
    int n = looked(status);
    check_looks(1);
    if (n >= 0) {
        assert(status == (n == (int)CAPACITY ? CROSSVM_OK : CROSSVM_EMPTY));
    }
    if (status != CROSSVM_OK) {
        return;
    }
    assert(span.n_first + span.n_second == CAPACITY);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        crossvm_copy_take(elem, crossvm_spsc_rx_span_at(&span, i), ELEM_LEN);
        check_elem(elem, was.head + i);
    }
    begin();
    assert(crossvm_spsc_rx_release(&rx, CAPACITY) == CROSSVM_OK);
    assert(looked(CROSSVM_OK) == (int)CAPACITY && rx.head == was.head + CAPACITY);
    assert(watch_total() == 0);
}

HOSTILE_CALL(fill)
{
    begin();
    int status = crossvm_spsc_rx_fill(&rx);
    int n = looked(status);
    assert(n < 0 || status == n);
    check_looks(1);
}

/* Looks once more when it has armed. */
HOSTILE_CALL(arm)
{
    begin();
    int status = crossvm_spsc_rx_arm(&rx, 1, 0);
    int n = looked(status);
    assert(n < 0 || status == (n > 0));
    check_looks(2);
}

/* ---- waking and starts ----------------------------------------------------------------------- */

HOSTILE_CALL(kick)
{
    uint64_t n_sent = rx.kick.n_sent;
    uint64_t n_suppressed = rx.kick.n_suppressed;
    begin();
    int due = crossvm_spsc_rx_kick(&rx);
    watch_end();
    check_looks(1);
    check_handle();
    assert((due == 0 || due == 1) && rx.state == was.state);
    assert(rx.kick.n_sent == n_sent + (unsigned)due);
    assert(rx.kick.n_suppressed == n_suppressed + (was.state == CROSSVM_OK && due == 0));
}

HOSTILE_CALL(nudge)
{
    uint64_t n_sent = rx.kick.n_sent;
    begin();
    int due = crossvm_spsc_rx_nudge(&rx);
    watch_end();
    check_looks(1);
    check_handle();
    assert(rx.state == was.state);
    assert(due ==
           (was.state == CROSSVM_OK && watch_first(&pair.tx.line.mode) != CROSSVM_WAKE_NEVER));
    assert(rx.kick.n_sent == n_sent + (unsigned)due);
}

HOSTILE_CALL(peer)
{
    struct crossvm_spsc_peer start = {0, 0};
    begin();
    int status = crossvm_spsc_rx_peer(&rx, &start);
    watch_end();
    uint32_t incarnation = watch_first(&pair.tx.incarnation);
    bool settled = incarnation != 0 && incarnation % 2 == 0;
    int expected =
        settled && watch_last(&pair.tx.incarnation) == incarnation ? CROSSVM_OK : CROSSVM_NOT_YET;
    if (watch_first(&pair.tx.line.epoch) != tx_chunk.generation) {
        expected = CROSSVM_STALE;
    }
    assert(status == expected && rx.state == was.state);
    check_looks(1);
    assert(status != CROSSVM_OK ||
           (start.incarnation == incarnation && start.base == watch_first(&pair.tx.base)));
    check_handle();
}

/* ---- linking --------------------------------------------------------------------------------- */

static bool epochs_honest(void)
{
    for (uint32_t i = 0; i < watch_times(&pair.tx.line.epoch); i++) {
        if (watch_look(&pair.tx.line.epoch, i) != tx_chunk.generation) {
            return false;
        }
    }
    return true;
}

static bool grant_settled(void)
{
    return watch_first(&pair.tx.grant) == REQUEST && watch_last(&pair.tx.grant) == REQUEST &&
           watch_last(&pair.tx.answers) == watch_first(&pair.tx.answers) &&
           watch_first(&pair.tx.peer_chunk) == rx_chunk.id &&
           watch_first(&pair.tx.peer_generation) == rx_chunk.generation &&
           watch_first(&pair.tx.peer_region[0]) == pair_regions[PAIR_CONSUMER].region_id[0];
}

/* What follows from the words that a link looked at, in the order of docs/FORMAT.md. */
static int judge_link(void)
{
    if (!epochs_honest()) {
        return CROSSVM_STALE;
    }
    if (!grant_settled()) {
        return CROSSVM_NOT_YET;
    }
    int refusal = (int)watch_first(&pair.tx.status);
    if (refusal >= CROSSVM_SYSTEM && refusal < 0) {
        assert(rx.refusal == refusal);
        return CROSSVM_REFUSED;
    }
    if (refusal != (int)CROSSVM_SPSC_GRANTED) {
        check_fault(&pair.tx.status, CROSSVM_RULE_SPSC_GRANT);
        return CROSSVM_CORRUPT;
    }
    if (watch_first(&pair.tx.capacity) != CAPACITY || watch_first(&pair.tx.elem_len) != ELEM_LEN) {
        check_fault(&pair.tx.capacity, CROSSVM_RULE_SPSC_GRANT);
        return CROSSVM_CORRUPT;
    }
    if (judge_tail(watch_first(&pair.tx.line.index), 0) != CROSSVM_OK) {
        check_fault(&pair.tx.line.index, CROSSVM_RULE_SPSC_INDEX);
        return CROSSVM_CORRUPT;
    }
    return CROSSVM_OK;
}

HOSTILE_CALL(link)
{
    begin();
    int status = crossvm_spsc_rx_link(&rx, &pair_regions[PAIR_CONSUMER], &tx_chunk);
    watch_end();
    check_looks(1);
    check_handle();
    if (was.state != CROSSVM_NOT_YET && was.state != CROSSVM_REFUSED) {
        assert(status == was.state && watch_total() == 0);
        return;
    }
    assert(status == judge_link() && rx.head == was.head);
    assert(status == rx.state || status == CROSSVM_STALE || status == CROSSVM_NOT_YET);
    assert(status == rx.state || rx.state == was.state);
    if (status == CROSSVM_OK) {
        assert(rx.tail == watch_first(&pair.tx.line.index));
        assert(crossvm_load_relaxed(&pair.rx.accepted) == REQUEST);
    }
}

/* ---- the two calls, and all others when the handle has had enough ---------------------------- */

static void *consume(void *unused)
{
    (void)unused;
    HOSTILE_DO(CALL);
    HOSTILE_DO(THEN);
    return NULL;
}

static void *store_anything(void *unused)
{
    (void)unused;
    hostile_stores(WORD(RACED), START, CAPACITY);
#if defined(ALSO)
    hostile_stores(WORD(ALSO), START, CAPACITY);
#endif
    return NULL;
}

static void prepare(void)
{
    uint32_t elem[2];
    used_make();
    used_past();
    used_rx_open(&rx);
#if !defined(UNLINKED)
    assert(pair_rx_link(&rx, &tx_chunk) == CROSSVM_OK);
#endif
    for (uint32_t i = 0; i < CAPACITY; i++) {
        used_elem(elem, i, 0);
        crossvm_copy_put(&pair.elements[2 * i], elem, ELEM_LEN);
    }
    crossvm_store_relaxed(&pair.tx.line.index, START + 1);
    crossvm_store_relaxed(&pair.tx.line.mode, CROSSVM_WAKE_EVENT);
    watch_memory(&pair.tx, sizeof(pair) - PAIR_FRONT);
}

/* A handle that has had enough says the same for ever. */
static void judge(void)
{
    uint64_t off = rx.fault.off;
    uint64_t value = rx.fault.value;
    uint32_t rule = rx.fault.rule;
    if (rx.state == CROSSVM_CORRUPT || rx.state == CROSSVM_STALE) {
        call_link();
        call_pop();
        call_pop_n();
        call_peek();
        call_fill();
        call_arm();
        call_kick();
        call_nudge();
        assert(rx.fault.off == off && rx.fault.value == value && rx.fault.rule == rule);
    }
    assert((rx.state == CROSSVM_CORRUPT) == (rule != CROSSVM_RULE_NONE));
}

MODEL_PROGRAM(prepare, judge, consume, store_anything)
