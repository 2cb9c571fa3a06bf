/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer that dies in front of its DIE-th store while it pushes, comes back, links again and
 * pushes more, beside a consumer. The consumer takes exactly the elements whose tail was stored: in
 * order, none twice, none lost, none torn; and `base` tells those of the dead from the new ones.
 * Elements are plain memory: that the new incarnation writes again into a place which the dead had
 * begun to fill is no race.
 *
 *   DIE       stores that the first incarnation lives to make
 *   PREFILL   elements that lie there when it begins
 *   PUSHES    that the first incarnation tries, and AGAIN the second
 *   POPS      that the consumer tries beside them
 *   BATCH     the producer pushes by push_n;  IN_PLACE  by reserve and commit
 *   ASKS      the consumer asks behind each element for the producer's incarnation
 */
#include "round.h"

#include "crash.h"
#include "used.h"

#ifndef PREFILL
#define PREFILL 1
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef AGAIN
#define AGAIN 1
#endif
#ifndef POPS
#define POPS 2
#endif
#define MOST (PREFILL + PUSHES + AGAIN)

enum {
    EARLIER = 0, /* incarnations */
    FIRST = 1,
    SECOND = 2
};

struct taken {
    uint32_t elem[2];
    struct crossvm_spsc_peer peer; /* as asked for behind it */
    bool asked;
};

static MODEL_STATE struct crossvm_spsc_tx first_tx;
static MODEL_STATE struct crossvm_spsc_tx second_tx;
static MODEL_STATE struct crossvm_spsc_rx rx;

static MODEL_STATE struct crossvm_spsc_peer first;
static MODEL_STATE struct crossvm_spsc_peer second;
static MODEL_STATE uint32_t end_of_first; /* the tail that it left */
static MODEL_STATE uint32_t n_by_second;

static MODEL_STATE struct taken taken[MOST + POPS + 1];
static MODEL_STATE uint32_t n_taken;

/* Pushes up to n elements, and says how many. */
#if defined(BATCH)
static uint32_t push(struct crossvm_spsc_tx *tx, uint32_t author, uint32_t n)
{
    uint32_t elems[2 * MOST];
    for (uint32_t i = 0; i < n; i++) {
        used_elem(&elems[2 * i], crossvm_spsc_tx_index(tx) + i, author);
    }
    int pushed = crossvm_spsc_tx_push_n(tx, elems, n);
    assert(pushed == CROSSVM_FULL || (pushed >= 1 && pushed <= (int)n));
    return pushed > 0 ? (uint32_t)pushed : 0;
}
#elif defined(IN_PLACE)
static uint32_t push(struct crossvm_spsc_tx *tx, uint32_t author, uint32_t n)
{
    struct crossvm_spsc_tx_span span;
    uint32_t elem[2];
    int status = crossvm_spsc_tx_reserve(tx, n, &span);
    assert(status == CROSSVM_OK || status == CROSSVM_FULL);
    if (status != CROSSVM_OK) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        used_elem(elem, crossvm_spsc_tx_index(tx) + i, author);
        crossvm_copy_put(crossvm_spsc_tx_span_at(&span, i), elem, ELEM_LEN);
    }
    assert(crossvm_spsc_tx_commit(tx, n) == CROSSVM_OK);
    return n;
}
#else
static uint32_t push(struct crossvm_spsc_tx *tx, uint32_t author, uint32_t n)
{
    uint32_t elem[2];
    uint32_t pushed = 0;
    for (uint32_t i = 0; i < n; i++) {
        used_elem(elem, crossvm_spsc_tx_index(tx), author);
        int status = crossvm_spsc_tx_push(tx, elem);
        assert(status == CROSSVM_OK || status == CROSSVM_FULL);
        pushed += status == CROSSVM_OK;
    }
    return pushed;
}
#endif

/* As the producer's own words say. */
static void note_start(struct crossvm_spsc_peer *peer)
{
    peer->incarnation = crossvm_load_relaxed(&pair.tx.incarnation);
    peer->base = crossvm_load_relaxed(&pair.tx.base);
}

static void *produce(void *unused)
{
    (void)unused;
    model_dies_after(DIE);
    (void)push(&first_tx, FIRST, PUSHES);
    model_restarts();
    end_of_first = crossvm_load_relaxed(&pair.tx.line.index);
    used_tx_open(&second_tx);
    note_start(&second);
    assert(pair_tx_link(&second_tx, &rx_chunk) == CROSSVM_OK);
    n_by_second = push(&second_tx, SECOND, AGAIN);
    return NULL;
}

static bool take(void)
{
    struct taken *next = &taken[n_taken];
    int status = crossvm_spsc_rx_pop(&rx, next->elem);
    assert(status == CROSSVM_OK || status == CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return false;
    }
    n_taken++;
#if defined(ASKS)
    status = crossvm_spsc_rx_peer(&rx, &next->peer);
    assert(status == CROSSVM_OK || status == CROSSVM_NOT_YET);
    next->asked = status == CROSSVM_OK;
#endif
    return true;
}

static void *consume(void *unused)
{
    (void)unused;
    for (int i = 0; i < POPS; i++) {
        (void)take();
    }
    return NULL;
}

static void prepare(void)
{
    used_begin(&first_tx, &rx, PREFILL);
    note_start(&first);
}

/* Whose element it is: what the bases say. */
static uint32_t author_of(uint32_t index)
{
    if (index - START < first.base - START) {
        return EARLIER;
    }
    return index - START < second.base - START ? FIRST : SECOND;
}

/* What the consumer was told of the producer behind an element. */
static void judge_peer(const struct taken *elem, uint32_t author)
{
    const struct crossvm_spsc_peer *peer = &elem->peer;
    if (elem->asked) {
        bool is_first = peer->incarnation == first.incarnation;
        assert(is_first || peer->incarnation == second.incarnation);
        assert(peer->base == (is_first ? first.base : second.base));
        assert(!is_first || author != SECOND);
    }
#if defined(ASKS)
    /* An element of the second incarnation brings its name. */
    assert(author != SECOND || elem->asked);
#endif
}

static void judge(void)
{
    for (uint32_t i = 0; i <= MOST && take(); i++) {
    }
    assert(first.base == START + PREFILL);
    assert(second.incarnation != first.incarnation && second.base == end_of_first);
    assert(end_of_first - first.base <= PUSHES);
    assert(n_taken == end_of_first - START + n_by_second);
    for (uint32_t i = 0; i < n_taken; i++) {
        uint32_t author = author_of(START + i);
        assert(used_is_elem(taken[i].elem, START + i, author));
        judge_peer(&taken[i], author);
    }
}

MODEL_PROGRAM(prepare, judge, produce, consume)
