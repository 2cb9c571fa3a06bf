/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile consumer: while the producer makes two calls, it stores anything into words of the rx
 * part. Each word is looked at once, or as docs/ORDERING.md says; what a call answers, what the
 * handle holds afterwards and what it has written into its own part is exactly what follows from
 * the values that it looked at. Once a handle has answered CORRUPT it does so for ever, with the
 * word's place and the value that was found there. Nothing outside the two parts is touched, and of
 * the elements only those that were granted.
 *
 *   RACED, ALSO  words of the rx part that are raced (hostile.h)
 *   CALL, THEN   the two calls, each of: link push push_n reserve free arm kick nudge peer
 *   UNLINKED     the producer has come back and not linked yet; its part has been in use
 *   NEW          nothing has been linked yet: the request is the first one
 */
#include "round.h"

#include "hostile.h"
#include "used.h"

#ifndef RACED
#define RACED line.index
#endif
#ifndef CALL
#define CALL push
#endif
#ifndef THEN
#define THEN push
#endif
#if defined(NEW)
#define INDEX 0u
#else
#define INDEX START
#endif
#define WORD(field) ((struct crossvm_le32 *)&pair.rx.field)
#define N_PLACES    (PAIR_ROOM / ELEM_LEN)

static MODEL_STATE struct crossvm_spsc_tx tx;

/* The handle before a call. */
static MODEL_STATE struct {
    uint32_t head;
    uint32_t tail;
    uint32_t answered;
    uint32_t n_answers;
    int state;
} was;

/* How often a call may look at a word; `arm` looks once more when it has armed. */
static uint32_t looks_at(const struct crossvm_le32 *word)
{
    if (word == WORD(line.epoch)) {
        return 3;
    }
    bool twice = word == WORD(request) || word == WORD(incarnation);
    return twice ? 2 : word == WORD(asked) ? 0 : 1;
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
    was.head = tx.head;
    was.tail = tx.tail;
    was.answered = tx.answered;
    was.n_answers = tx.n_answers;
    was.state = tx.state;
    watch_begin();
}

/* Of a handle that is not linked nothing is asked, and no word of the peer's. */
static bool ended(int status)
{
    watch_end();
    if (was.state == CROSSVM_OK) {
        return true;
    }
    assert(status == was.state && tx.state == was.state && watch_total() == 0);
    return false;
}

/* Nothing was looked at behind what was found wrong. */
static void check_fault(const struct crossvm_le32 *word, uint32_t rule)
{
    assert(tx.fault.off == (uintptr_t)word - (uintptr_t)&pair);
    assert(tx.fault.value == watch_last(word) && tx.fault.rule == rule);
}

/* ---- elements -------------------------------------------------------------------------------- */

/* What follows from one look at the head: `used` places were not known to be free before. */
static int judge_head(uint32_t head, uint32_t used)
{
    return was.tail - head <= used ? CROSSVM_OK : CROSSVM_CORRUPT;
}

/* What follows from all looks at the head: each goes with one at the epoch, and nothing is looked
 * at behind one that was not honest. */
static int judge_heads(uint32_t *head)
{
    uint32_t n = watch_times(&pair.rx.line.index);
    int status = CROSSVM_OK;
    assert(watch_times(&pair.rx.line.epoch) == n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t found = watch_look(&pair.rx.line.index, i);
        assert(status == CROSSVM_OK);
        status = watch_look(&pair.rx.line.epoch, i) == rx_chunk.generation
                     ? judge_head(found, was.tail - *head)
                     : CROSSVM_STALE;
        *head = status == CROSSVM_OK ? found : *head;
    }
    return status;
}

static void check_handle(void)
{
    assert(tx.n_free <= (tx.state == CROSSVM_OK ? tx.capacity - (tx.tail - tx.head) : 0));
    if (tx.state == CROSSVM_OK) {
        assert(tx.capacity - 1 < N_PLACES && (tx.capacity & (tx.capacity - 1)) == 0);
        assert(tx.mask == tx.capacity - 1 && tx.stride == ELEM_LEN && tx.elem_len == ELEM_LEN);
        assert(tx.slots == (const unsigned char *)pair.elements);
        assert(tx.tail - tx.head <= tx.capacity);
    }
}

/* A call that may have looked for places: how many there are, or -1 when it had to fail. */
static int looked(int status)
{
    uint32_t head = was.head;
    if (!ended(status)) {
        return -1;
    }
    int judged = judge_heads(&head);
    assert(tx.state == judged && tx.head == head);
    check_handle();
    if (judged == CROSSVM_OK) {
        return (int)(tx.capacity - (was.tail - head));
    }
    assert(status == judged && tx.tail == was.tail);
    if (judged == CROSSVM_CORRUPT) {
        check_fault(&pair.rx.line.index, CROSSVM_RULE_SPSC_INDEX);
    }
    return -1;
}

/* The next n elements lie where they belong, and they are announced. */
static void check_elems(uint32_t n)
{
    assert(tx.tail == was.tail + n);
    assert(crossvm_load_relaxed(&pair.tx.line.index) == tx.tail);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = was.tail + i;
        assert(used_is_elem(&pair.elements[2 * (index % tx.capacity)], index, 1));
    }
}

HOSTILE_CALL(push)
{
    uint32_t elem[2];
    used_elem(elem, tx.tail, 1);
    begin();
    int status = crossvm_spsc_tx_push(&tx, elem);
    int n = looked(status);
    check_looks(1);
    if (n >= 0) {
        assert(status == (n > 0 ? CROSSVM_OK : CROSSVM_FULL));
        check_elems(n > 0);
    }
}

HOSTILE_CALL(push_n)
{
    uint32_t elems[2 * (CAPACITY + 1)];
    for (uint32_t i = 0; i <= CAPACITY; i++) {
        used_elem(&elems[2 * i], tx.tail + i, 1);
    }
    begin();
    int status = crossvm_spsc_tx_push_n(&tx, elems, CAPACITY + 1);
    int n = looked(status);
    check_looks(1);
    if (n >= 0) {
        assert(status == (n > 0 ? n : CROSSVM_FULL));
        check_elems((uint32_t)n);
    }
}

HOSTILE_CALL(reserve)
{
    struct crossvm_spsc_tx_span span;
    uint32_t elem[2];
    begin();
    int status = crossvm_spsc_tx_reserve(&tx, CAPACITY, &span);
    int n = looked(status);
    check_looks(1);
    if (n >= 0) {
        assert(status == (n >= (int)CAPACITY ? CROSSVM_OK : CROSSVM_FULL));
    }
    if (status != CROSSVM_OK) {
        return;
    }
    assert(span.n_first + span.n_second == CAPACITY);
    begin();
    for (uint32_t i = 0; i < CAPACITY; i++) {
        used_elem(elem, tx.tail + i, 1);
        crossvm_copy_put(crossvm_spsc_tx_span_at(&span, i), elem, ELEM_LEN);
    }
    assert(crossvm_spsc_tx_commit(&tx, CAPACITY) == CROSSVM_OK);
    assert(looked(CROSSVM_OK) >= (int)CAPACITY && watch_total() == 0);
    check_elems(CAPACITY);
}

HOSTILE_CALL(free)
{
    begin();
    int status = crossvm_spsc_tx_free(&tx);
    int n = looked(status);
    assert(n < 0 || status == n);
    check_looks(1);
}

/* Looks once more when it has armed. */
HOSTILE_CALL(arm)
{
    begin();
    int status = crossvm_spsc_tx_arm(&tx, 1);
    int n = looked(status);
    assert(n < 0 || status == (n > 0));
    check_looks(2);
}

/* ---- waking and starts ----------------------------------------------------------------------- */

HOSTILE_CALL(kick)
{
    uint64_t again_ns;
    uint64_t n_sent = tx.kick.n_sent;
    uint64_t n_suppressed = tx.kick.n_suppressed;
    begin();
    int due = crossvm_spsc_tx_kick(&tx, 1000, &again_ns);
    watch_end();
    check_looks(1);
    check_handle();
    assert(tx.state == was.state);
    assert(due == 0 || due == 1);
    assert(again_ns == 0 || (due == 0 && again_ns > 1000));
    assert(tx.kick.n_sent == n_sent + (unsigned)due);
    assert(tx.kick.n_suppressed == n_suppressed + (was.state == CROSSVM_OK && due == 0));
}

HOSTILE_CALL(nudge)
{
    uint64_t n_sent = tx.kick.n_sent;
    begin();
    int due = crossvm_spsc_tx_nudge(&tx);
    watch_end();
    check_looks(1);
    check_handle();
    assert(tx.state == was.state);
    assert(due ==
           (was.state == CROSSVM_OK && watch_first(&pair.rx.line.mode) != CROSSVM_WAKE_NEVER));
    assert(tx.kick.n_sent == n_sent + (unsigned)due);
}

HOSTILE_CALL(peer)
{
    struct crossvm_spsc_peer start = {0, 0};
    begin();
    int status = crossvm_spsc_tx_peer(&tx, &start);
    watch_end();
    uint32_t incarnation = watch_first(&pair.rx.incarnation);
    bool settled = incarnation != 0 && incarnation % 2 == 0;
    int expected =
        settled && watch_last(&pair.rx.incarnation) == incarnation ? CROSSVM_OK : CROSSVM_NOT_YET;
    if (watch_first(&pair.rx.line.epoch) != rx_chunk.generation) {
        expected = CROSSVM_STALE;
    }
    assert(status == expected && tx.state == was.state);
    check_looks(1);
    assert(status != CROSSVM_OK ||
           (start.incarnation == incarnation && start.base == watch_first(&pair.rx.base)));
    check_handle();
}

/* ---- linking --------------------------------------------------------------------------------- */

static bool epochs_honest(void)
{
    for (uint32_t i = 0; i < watch_times(&pair.rx.line.epoch); i++) {
        if (watch_look(&pair.rx.line.epoch, i) != rx_chunk.generation) {
            return false;
        }
    }
    return true;
}

/* The answer of a producer that wants elements of ELEM_LEN bytes. */
static int judge_request(uint32_t capacity, uint32_t elem_len)
{
    bool is_power = capacity != 0 && (capacity & (capacity - 1)) == 0;
    if (!is_power || elem_len == 0) {
        return CROSSVM_INVALID;
    }
    if (capacity > 0x40000000u || elem_len > 0x7ffffff8u) {
        return CROSSVM_TOO_LARGE;
    }
    if ((uint64_t)capacity * ((elem_len + 7) & ~7u) > PAIR_ROOM) {
        return CROSSVM_NO_SPACE;
    }
    return elem_len == ELEM_LEN ? CROSSVM_OK : CROSSVM_TYPE;
}

/* The producer's own words, and what its handle says of them. */
static void check_answer(uint32_t request, uint32_t answer, uint32_t capacity, uint32_t elem_len)
{
    assert(tx.answered == request && tx.n_answers == was.n_answers + 1);
    assert(crossvm_load_relaxed(&pair.tx.grant) == request);
    assert(crossvm_load_relaxed(&pair.tx.answers) == tx.n_answers);
    assert(crossvm_load_relaxed(&pair.tx.status) == answer);
    assert(crossvm_load_relaxed(&pair.tx.capacity) == capacity);
    assert(crossvm_load_relaxed(&pair.tx.elem_len) == elem_len);
}

/* A request was found that was not answered yet. */
static int judge_new_request(uint32_t request)
{
    uint32_t capacity = watch_first(&pair.rx.capacity);
    uint32_t elem_len = watch_first(&pair.rx.elem_len);
    if (was.tail != 0) {
        return CROSSVM_STALE;
    }
    int answer = judge_request(capacity, elem_len);
    if (answer != CROSSVM_OK) {
        assert(tx.refusal == answer);
        check_answer(request, (uint32_t)answer, 0, 0);
        return CROSSVM_REFUSED;
    }
    check_answer(request, CROSSVM_SPSC_GRANTED, capacity, elem_len);
    assert(tx.capacity == capacity && tx.elem_len == elem_len);
    return CROSSVM_OK;
}

static bool names_me(void)
{
    return watch_first(&pair.rx.peer_chunk) == tx_chunk.id &&
           watch_first(&pair.rx.peer_generation) == tx_chunk.generation &&
           watch_first(&pair.rx.peer_region[0]) == pair_regions[PAIR_PRODUCER].region_id[0];
}

/* What follows from the words that a link looked at, in the order of docs/FORMAT.md. */
static int judge_link(void)
{
    if (!epochs_honest()) {
        return CROSSVM_STALE;
    }
    uint32_t request = watch_first(&pair.rx.request);
    if (request == 0 || watch_last(&pair.rx.request) != request) {
        return CROSSVM_NOT_YET;
    }
    if (request != was.answered) {
        int status = judge_new_request(request);
        if (status != CROSSVM_OK) {
            return status;
        }
    } else if (was.state == CROSSVM_REFUSED) {
        return CROSSVM_REFUSED;
    }
    if (watch_first(&pair.rx.accepted) != request || !names_me()) {
        return CROSSVM_NOT_YET;
    }
    if (judge_head(watch_first(&pair.rx.line.index), tx.capacity) != CROSSVM_OK) {
        check_fault(&pair.rx.line.index, CROSSVM_RULE_SPSC_INDEX);
        return CROSSVM_CORRUPT;
    }
    return CROSSVM_OK;
}

HOSTILE_CALL(link)
{
    begin();
    int status = crossvm_spsc_tx_link(&tx, &pair_regions[PAIR_PRODUCER], &rx_chunk);
    watch_end();
    check_looks(1);
    check_handle();
    if (was.state != CROSSVM_NOT_YET && was.state != CROSSVM_REFUSED) {
        assert(status == was.state && watch_total() == 0);
        return;
    }
    assert(status == judge_link() && tx.tail == was.tail);
    assert(status == tx.state || status == CROSSVM_STALE || status == CROSSVM_NOT_YET);
    assert(status != CROSSVM_OK || tx.head == watch_first(&pair.rx.line.index));
}

/* ---- the two calls, and all others when the handle has had enough ---------------------------- */

static void *produce(void *unused)
{
    (void)unused;
    HOSTILE_DO(CALL);
    HOSTILE_DO(THEN);
    return NULL;
}

static void *store_anything(void *unused)
{
    (void)unused;
    hostile_stores(WORD(RACED), INDEX, CAPACITY);
#if defined(ALSO)
    hostile_stores(WORD(ALSO), INDEX, CAPACITY);
#endif
    return NULL;
}

static void prepare(void)
{
    used_make();
    used_past();
#if defined(NEW)
    crossvm_store_relaxed(&pair.tx.line.index, 0);
    crossvm_store_relaxed(&pair.rx.line.index, 0);
    crossvm_store_relaxed(&pair.tx.grant, 0);
#endif
    used_tx_open(&tx);
#if !defined(NEW) && !defined(UNLINKED)
    assert(pair_tx_link(&tx, &rx_chunk) == CROSSVM_OK);
#endif
    crossvm_store_relaxed(&pair.rx.line.mode, CROSSVM_WAKE_EVENT);
    crossvm_store_relaxed(&pair.rx.line.event, INDEX + CAPACITY - 1);
    watch_memory(&pair.tx, sizeof(pair) - PAIR_FRONT);
}

/* A handle that has had enough says the same for ever. */
static void judge(void)
{
    uint64_t off = tx.fault.off;
    uint64_t value = tx.fault.value;
    uint32_t rule = tx.fault.rule;
    if (tx.state == CROSSVM_CORRUPT || tx.state == CROSSVM_STALE) {
        call_link();
        call_push();
        call_push_n();
        call_reserve();
        call_free();
        call_arm();
        call_kick();
        call_nudge();
        assert(tx.fault.off == off && tx.fault.value == value && tx.fault.rule == rule);
    }
    assert((tx.state == CROSSVM_CORRUPT) == (rule != CROSSVM_RULE_NONE));
}

MODEL_PROGRAM(prepare, judge, produce, store_anything)
