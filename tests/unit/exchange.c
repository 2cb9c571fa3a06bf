/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exchange.c - elements that come back, in one thread: every call with exact results,
 * both ways to answer, across the wrap of places and of the 32-bit indices; what is refused, what a
 * restart finds, and who is rung.
 */
#include "../support/exchange.h"

static struct exchange exchange;
static uint64_t random_state;

/* ---- against a model that is three counters -------------------------------------------------- */

static struct {
    uint32_t capacity;
    uint32_t len;
    uint32_t pushed; /* numbers of elements, from 0 */
    uint32_t answered;
    uint32_t taken;
    uint64_t n_refused;
} model;

static uint32_t model_free(void)
{
    return model.capacity - (model.pushed - model.taken);
}

/* Memory of exactly this length, so that an address sanitizer sees a byte too many. */
static unsigned char *exactly(size_t len)
{
    unsigned char *memory = (unsigned char *)malloc(len);
    REQUIRE(memory != NULL);
    memset(memory, 0xee, len);
    return memory;
}

static void do_push(void)
{
    unsigned char *elem = exactly(model.len);
    bool room = model_free() != 0;
    queue_fill(elem, model.len, model.pushed);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, elem), room ? CROSSVM_OK : CROSSVM_FULL);
    model.pushed += room;
    model.n_refused += !room;
    free(elem);
}

/* Reserves n, fills them in place, publishes only some. */
static void do_reserve(uint32_t n, uint32_t n_commit)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    bool room = n <= model_free();
    int status = crossvm_exchange_tx_reserve(&exchange.tx, n, &span);
    CHECK_EQ(status, room ? CROSSVM_OK : CROSSVM_FULL);
    model.n_refused += !room;
    if (status != CROSSVM_OK) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span, i), model.len, model.pushed + i);
    }
    CHECK_EQ(crossvm_exchange_tx_commit(&exchange.tx, n + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_tx_commit(&exchange.tx, n_commit), CROSSVM_OK);
    model.pushed += n_commit;
}

/* The client looks at n elements and answers some of them in place. */
static void do_answer_in_place(uint32_t n, uint32_t n_commit)
{
    struct crossvm_exchange_rx_span span = EXCHANGE_NO_SPAN;
    bool there = n <= model.pushed - model.answered;
    int status = crossvm_exchange_rx_peek(&exchange.rx, n, &span);
    CHECK_EQ(status, there ? CROSSVM_OK : CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        CHECK(queue_is(crossvm_spsc_rx_span_at(&span.elements, i), model.len, model.answered + i));
    }
    for (uint32_t i = 0; i < n_commit; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span.answers, i), model.len,
                   exchange_answer(model.answered + i));
    }
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, n + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, n_commit), CROSSVM_OK);
    model.answered += n_commit;
}

/* The client copies an element, twice, and then its answer. */
static void do_answer(void)
{
    unsigned char *elem = exactly(model.len);
    bool there = model.pushed != model.answered;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(crossvm_exchange_rx_get(&exchange.rx, elem), there ? CROSSVM_OK : CROSSVM_EMPTY);
        CHECK(!there || queue_is(elem, model.len, model.answered));
    }
    queue_fill(elem, model.len, exchange_answer(model.answered));
    CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, elem), there ? CROSSVM_OK : CROSSVM_EMPTY);
    model.answered += there;
    free(elem);
}

static void do_take(void)
{
    unsigned char *answer = exactly(model.len);
    bool there = model.answered != model.taken;
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, answer), there ? CROSSVM_OK : CROSSVM_EMPTY);
    CHECK(!there || queue_is(answer, model.len, exchange_answer(model.taken)));
    model.taken += there;
    free(answer);
}

/* The producer looks at n answers and gives some of their places back. */
static void do_take_in_place(uint32_t n, uint32_t n_release)
{
    struct crossvm_exchange_tx_span span = EXCHANGE_NO_SPAN;
    bool there = n <= model.answered - model.taken;
    int status = crossvm_exchange_tx_peek(&exchange.tx, n, &span);
    CHECK_EQ(status, there ? CROSSVM_OK : CROSSVM_EMPTY);
    if (status != CROSSVM_OK) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = model.taken + i;
        const void *sent = crossvm_spsc_rx_span_at(&span.sent, i);
        const void *answer = crossvm_spsc_rx_span_at(&span.answers, i);
        CHECK(queue_is(answer, model.len, exchange_answer(number)));
        CHECK(exchange.shared ? sent == answer : queue_is(sent, model.len, number));
    }
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, n + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, n_release), CROSSVM_OK);
    model.taken += n_release;
}

static void do_something(void)
{
    uint32_t n = check_random(&random_state) % model.capacity + 1;
    uint32_t some = check_random(&random_state) % (n + 1);
    switch (check_random(&random_state) % 6) {
    case 0:
        do_push();
        break;
    case 1:
        do_reserve(n, some);
        break;
    case 2:
        do_answer();
        break;
    case 3:
        do_answer_in_place(n, some);
        break;
    case 4:
        do_take();
        break;
    default:
        do_take_in_place(n, some);
        break;
    }
}

static void check_counts(uint32_t start)
{
    const struct crossvm_spsc_tx_shm *words = exchange_tx_words(&exchange);
    CHECK_EQ(crossvm_load_relaxed(&words->line.index), start + model.pushed);
    CHECK_EQ(crossvm_load_relaxed(&words->taken), start + model.taken);
    CHECK_EQ(crossvm_load_relaxed(&exchange_rx_words(&exchange)->line.index),
             start + model.answered);
    CHECK_EQ(crossvm_exchange_tx_answered(&exchange.tx), model.answered - model.taken);
    CHECK_EQ(crossvm_exchange_tx_unanswered(&exchange.tx, NULL), model.pushed - model.answered);
    CHECK_EQ(crossvm_spsc_rx_fill(&exchange.rx.queue), model.pushed - model.answered);
    CHECK_EQ(exchange.tx.queue.n_refused, model.n_refused);
}

static void answers_come_back_in_order(void)
{
    static const uint32_t capacities[] = {1, 2, 4, 64};
    static const uint32_t lens[] = {1, 4, 8, 13, 64, 200};
    for (uint32_t i = 0; i < 4 * 6 * EXCHANGE_WAYS; i++) {
        const uint32_t start = 0u - 50u;
        const uint32_t way = i / 24;
        memset(&model, 0, sizeof(model));
        model.capacity = capacities[i % 4];
        model.len = lens[i / 4 % 6];
        exchange_up(&exchange, model.capacity, model.len, start, way);
        for (uint32_t round = 0; round < 2000 / CHECK_SHORTER; round++) {
            do_something();
            check_counts(start);
        }
        exchange_drop(&exchange);
    }
}

/* Answers are copied as the memory that they lie in asks for, elements as theirs. */
static void each_memory_is_copied_in_its_own_way(void)
{
    for (uint32_t way = 0; way < EXCHANGE_WAYS; way++) {
        bool a_device = (way & EXCHANGE_A_UNCACHED) != 0;
        bool b_device = (way & EXCHANGE_B_UNCACHED) != 0;
        bool answers_device = (way & EXCHANGE_SHARED) != 0 ? a_device : b_device;
        exchange_up(&exchange, 4, 4, 0, way);
        CHECK_EQ(exchange.tx.queue.device, a_device);
        CHECK_EQ(exchange.rx.queue.device, a_device);
        CHECK_EQ(exchange.tx.device, answers_device);
        CHECK_EQ(exchange.rx.device, answers_device);
        exchange_drop(&exchange);
    }
}

/* ---- turns ------------------------------------------------------------------------------------ */

static void a_place_is_free_only_when_its_answer_was_taken_back(void)
{
    for (uint32_t shared = 0; shared <= EXCHANGE_SHARED; shared++) {
        uint32_t elem = 1;
        exchange_up(&exchange, 2, 4, 0, shared);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_FULL);
        CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_FULL);
        CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_unanswered(&exchange.tx, NULL), 2);
        exchange_drop(&exchange);
    }
}

static void shared_elements_are_changed_where_they_lie(void)
{
    struct crossvm_exchange_rx_span span = EXCHANGE_NO_SPAN;
    uint32_t value = 41;
    exchange_up(&exchange, 4, 4, 0, EXCHANGE_SHARED);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &value), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_peek(&exchange.rx, 1, &span), CROSSVM_OK);
    uint32_t *element = (uint32_t *)crossvm_spsc_tx_span_at(&span.answers, 0);
    CHECK((const void *)element == crossvm_spsc_rx_span_at(&span.elements, 0));
    *element += 1;
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 1), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &value), CROSSVM_OK);
    CHECK_EQ(value, 42);
    exchange_drop(&exchange);
}

static void counts_outside_are_invalid_and_change_nothing(void)
{
    struct crossvm_spsc_tx_span tx_span;
    struct crossvm_exchange_tx_span answers = EXCHANGE_NO_SPAN;
    struct crossvm_exchange_rx_span rx_span = EXCHANGE_NO_SPAN;
    exchange_up(&exchange, 4, 4, 0, 0);
    static const uint32_t wrong[] = {0, 5, UINT32_MAX};
    for (int i = 0; i < 3; i++) {
        uint32_t n = wrong[i];
        CHECK_EQ(crossvm_exchange_tx_reserve(&exchange.tx, n, &tx_span), CROSSVM_INVALID);
        CHECK_EQ(crossvm_exchange_tx_peek(&exchange.tx, n, &answers), CROSSVM_INVALID);
        CHECK_EQ(crossvm_exchange_rx_peek(&exchange.rx, n, &rx_span), CROSSVM_INVALID);
        CHECK_EQ(crossvm_exchange_tx_arm(&exchange.tx, n, 0), CROSSVM_INVALID);
    }
    CHECK_EQ(crossvm_exchange_tx_commit(&exchange.tx, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 1), CROSSVM_INVALID);
    CHECK_EQ(exchange.tx.queue.n_refused, 0);
    exchange_drop(&exchange);
}

/* What was shown is given back only as far as it is still there. */
static void taking_and_answering_shrink_what_is_shown(void)
{
    struct crossvm_exchange_rx_span work = EXCHANGE_NO_SPAN;
    struct crossvm_exchange_tx_span answers = EXCHANGE_NO_SPAN;
    uint32_t elem = 0;
    exchange_up(&exchange, 4, 4, 0u - 2u, 0);
    for (int i = 0; i < 4; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, &elem) == CROSSVM_OK);
    }
    CHECK_EQ(crossvm_exchange_rx_peek(&exchange.rx, 2, &work), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 2), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 1), CROSSVM_OK);
    /* Two more are answered: what was shown lies behind. */
    CHECK_EQ(crossvm_exchange_rx_peek(&exchange.rx, 1, &work), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 1), CROSSVM_INVALID);

    CHECK_EQ(crossvm_exchange_tx_peek(&exchange.tx, 2, &answers), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 2), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 1), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_peek(&exchange.tx, 1, &answers), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 0), CROSSVM_INVALID);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 1), CROSSVM_INVALID);
    exchange_drop(&exchange);
}

static void unanswered_elements_can_be_seen(void)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    exchange_make(&exchange, 4, 4, 0);
    CHECK_EQ(exchange_tx_open(&exchange), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_unanswered(&exchange.tx, &span), 0);
    exchange_drop(&exchange);
    exchange_up(&exchange, 4, 4, 0u - 2u, 0);
    for (uint32_t i = 10; i < 14; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, &i) == CROSSVM_OK);
    }
    uint32_t answer = 0;
    REQUIRE(crossvm_exchange_rx_answer(&exchange.rx, &answer) == CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_answered(&exchange.tx), 1);
    CHECK_EQ(crossvm_exchange_tx_unanswered(&exchange.tx, &span), 3);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(*(const uint32_t *)crossvm_spsc_rx_span_at(&span, i), 11 + i);
    }
    exchange_drop(&exchange);
}

/* ---- coming up -------------------------------------------------------------------------------- */

static void nothing_flows_before_both_sides_agreed(void)
{
    uint32_t elem = 1;
    exchange_make(&exchange, 4, 4, 0);
    CHECK_EQ(exchange_tx_open(&exchange), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_exchange_tx_answered(&exchange.tx), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 0), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_exchange_tx_arm(&exchange.tx, 1, 0), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_rx_open(&exchange, 4, 4), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_get(&exchange.rx, &elem), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_NOT_YET);
    CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 0), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_rx_link(&exchange), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_rx_link(&exchange), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_OK);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_OK);
    CHECK_EQ(exchange_rx_link(&exchange), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
    exchange_drop(&exchange);
}

static void shared_elements_need_a_writable_mapping(void)
{
    exchange_make(&exchange, 4, 4, EXCHANGE_SHARED);
    exchange.client_a = exchange.a.reader;
    CHECK_EQ(exchange_rx_open(&exchange, 4, 4), CROSSVM_OK);
    CHECK_EQ(exchange_tx_open(&exchange), CROSSVM_OK);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_NOT_YET);
    CHECK_EQ(exchange_rx_link(&exchange), CROSSVM_ROLE);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_NOT_YET);
    exchange_drop(&exchange);
}

/* A client's part without room for answers, or with too little. */
static void answers_need_room_in_the_clients_part(void)
{
    for (uint32_t n = 0; n <= 2; n += 2) {
        const struct crossvm_chunk_decl small = {
            "small", CROSSVM_KIND_EXCHANGE_RX, n, 4 * n, PARTY_B, PARTY_A, 0, 7};
        struct crossvm_region_plan plan = TEST_PLAN(&small, 1, 0, 128, 0, PARTY_B);
        exchange_make(&exchange, 4, 64, 0);
        queue_unmap(&exchange.b);
        test_region_make(&exchange.b, &plan, PARTY_A);
        exchange.rx_chunk = test_find(&exchange.b.reader, "small", CROSSVM_KIND_EXCHANGE_RX);
        memcpy(exchange.tx_chunk.name, exchange.rx_chunk.name, CROSSVM_NAME_LEN);
        CHECK_EQ(exchange_rx_open(&exchange, 4, 64), CROSSVM_OK);
        CHECK_EQ(exchange_tx_open(&exchange), CROSSVM_OK);
        CHECK_EQ(exchange_rx_link(&exchange), CROSSVM_NO_SPACE);
        CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_REFUSED);
        CHECK_EQ(exchange.tx.queue.refusal, CROSSVM_NO_SPACE);
        /* Less fits, if there is room at all. */
        CHECK_EQ(crossvm_spsc_rx_ask(&exchange.rx.queue, 2, 8), CROSSVM_OK);
        CHECK_EQ(exchange_tx_link(&exchange), n == 0 ? CROSSVM_REFUSED : CROSSVM_NOT_YET);
        CHECK_EQ(exchange_rx_link(&exchange), n == 0 ? CROSSVM_NO_SPACE : CROSSVM_OK);
        CHECK_EQ(exchange_tx_link(&exchange), n == 0 ? CROSSVM_REFUSED : CROSSVM_OK);
        test_region_drop(&exchange.b);
        queue_unmap(&exchange.a);
    }
}

static void parts_of_other_kinds_are_refused(void)
{
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    exchange_make(&exchange, 4, 4, 0);
    const struct crossvm_region *a = &exchange.a.owner.region;
    const struct crossvm_region *b = &exchange.b.owner.region;
    CHECK_EQ(crossvm_spsc_tx_open(&tx, a, &exchange.tx_chunk, 0, 1), CROSSVM_TYPE);
    CHECK_EQ(crossvm_spsc_rx_open(&rx, b, &exchange.rx_chunk, 4, 4, 1), CROSSVM_TYPE);
    CHECK_EQ(exchange_rx_open(&exchange, 4, 4), CROSSVM_OK);
    CHECK_EQ(exchange_tx_open(&exchange), CROSSVM_OK);
    struct crossvm_chunk other = exchange.rx_chunk;
    other.kind = CROSSVM_KIND_SPSC_RX;
    CHECK_EQ(crossvm_exchange_tx_link(&exchange.tx, &exchange.b.reader, &other), CROSSVM_TYPE);
    CHECK_EQ(crossvm_exchange_rx_open(&exchange.rx, b, &other, 4, 4, 1), CROSSVM_TYPE);
    other = exchange.tx_chunk;
    other.kind = CROSSVM_KIND_SPSC_TX;
    CHECK_EQ(crossvm_exchange_rx_link(&exchange.rx, &exchange.client_a, &other), CROSSVM_TYPE);
    CHECK_EQ(crossvm_exchange_tx_open(&exchange.tx, a, &other, 0, 1), CROSSVM_TYPE);
    exchange_drop(&exchange);
}

static void the_producer_may_insist_on_its_element_length(void)
{
    exchange_make(&exchange, 4, 8, 0);
    CHECK_EQ(
        crossvm_exchange_tx_open(&exchange.tx, &exchange.a.owner.region, &exchange.tx_chunk, 8, 1),
        CROSSVM_OK);
    CHECK_EQ(exchange_rx_open(&exchange, 4, 4), CROSSVM_OK);
    CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_REFUSED);
    CHECK_EQ(exchange_rx_link(&exchange), CROSSVM_REFUSED);
    CHECK_EQ(exchange.rx.queue.refusal, CROSSVM_TYPE);
    exchange_drop(&exchange);
}

/* ---- restarts --------------------------------------------------------------------------------- */

/* Elements 1 to 4: the first was taken back, two are answered, the fourth is not. */
static void up_with_two_answers(uint32_t way, uint32_t start)
{
    uint32_t elem;
    exchange_up(&exchange, 4, 4, start, way);
    for (uint32_t i = 1; i <= 4; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, &i) == CROSSVM_OK);
    }
    for (uint32_t i = 1; i <= 3; i++) {
        uint32_t answer = 10 * i;
        REQUIRE(crossvm_exchange_rx_answer(&exchange.rx, &answer) == CROSSVM_OK);
    }
    REQUIRE(crossvm_exchange_tx_take(&exchange.tx, &elem) == CROSSVM_OK && elem == 10);
}

static void a_restarted_producer_finds_the_answers_it_did_not_give_back(void)
{
    for (uint32_t shared = 0; shared <= EXCHANGE_SHARED; shared++) {
        struct crossvm_exchange_tx_span span = EXCHANGE_NO_SPAN;
        uint32_t answer;
        up_with_two_answers(shared, 0u - 2u);
        /* Seen, not given back: it comes again. */
        REQUIRE(crossvm_exchange_tx_peek(&exchange.tx, 1, &span) == CROSSVM_OK);
        exchange_tx_resume(&exchange);
        CHECK_EQ(crossvm_exchange_tx_answered(&exchange.tx), 2);
        CHECK_EQ(crossvm_exchange_tx_unanswered(&exchange.tx, NULL), 1);
        for (uint32_t i = 2; i <= 3; i++) {
            CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &answer), CROSSVM_OK);
            CHECK_EQ(answer, 10 * i);
        }
        CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &answer), CROSSVM_EMPTY);
        exchange_drop(&exchange);
    }
}

static void a_restarted_client_finds_what_it_did_not_answer(void)
{
    for (uint32_t shared = 0; shared <= EXCHANGE_SHARED; shared++) {
        uint32_t elem;
        up_with_two_answers(shared, 0u - 2u);
        REQUIRE(crossvm_exchange_rx_get(&exchange.rx, &elem) == CROSSVM_OK && elem == 4);
        exchange_rx_resume(&exchange);
        CHECK_EQ(crossvm_exchange_rx_get(&exchange.rx, &elem), CROSSVM_OK);
        CHECK_EQ(elem, 4);
        elem = 40;
        CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
        for (uint32_t i = 2; i <= 4; i++) {
            CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
            CHECK_EQ(elem, 10 * i);
        }
        exchange_drop(&exchange);
    }
}

static void own_words_that_cannot_be_are_called_corrupt(void)
{
    static const uint32_t start = 0u - 2u;
    /* taken is start + 1, head start + 3, tail start + 4. */
    static const struct {
        uint32_t taken;
        int opens;
        int links;
    } rows[] = {
        {0u - 2u, CROSSVM_OK, CROSSVM_OK},
        {0u - 1u, CROSSVM_OK, CROSSVM_OK},
        {1, CROSSVM_OK, CROSSVM_OK},
        {2, CROSSVM_OK, CROSSVM_CORRUPT},
        {3, CROSSVM_CORRUPT, CROSSVM_CORRUPT},
        {0u - 3u, CROSSVM_CORRUPT, CROSSVM_CORRUPT},
        {0x7fffffffu, CROSSVM_CORRUPT, CROSSVM_CORRUPT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t elem = 0;
        up_with_two_answers(0, start);
        crossvm_store_relaxed(&exchange_tx_words(&exchange)->taken, rows[i].taken);
        CHECK_EQ(exchange_tx_open(&exchange), rows[i].opens);
        CHECK_EQ(exchange_tx_link(&exchange), rows[i].links);
        if (rows[i].links == CROSSVM_CORRUPT) {
            bool own = rows[i].opens == CROSSVM_CORRUPT;
            const struct crossvm_fault *fault = &exchange.tx.queue.fault;
            CHECK_EQ(fault->rule, CROSSVM_RULE_SPSC_INDEX);
            CHECK_EQ(fault->off, own ? exchange.tx_chunk.off + 148 : exchange.rx_chunk.off);
            CHECK_EQ(fault->value, own ? rows[i].taken : start + 3);
            CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_CORRUPT);
            CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_CORRUPT);
        }
        exchange_drop(&exchange);
    }
}

/* The tail has come round to 0, but two elements were never answered: a client with a part of its
 * own, and with less capacity, does not get them. */
static void a_tail_that_came_round_is_no_fresh_start(void)
{
    for (uint32_t shared = 0; shared <= EXCHANGE_SHARED; shared++) {
        uint32_t elem = 7;
        exchange_up(&exchange, 4, 4, 0u - 2u, shared);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_load_relaxed(&exchange_tx_words(&exchange)->line.index), 0);
        REQUIRE(crossvm_region_owner_renew(&exchange.b.owner, &exchange.rx_chunk) == CROSSVM_OK);
        exchange.rx_chunk = test_find(&exchange.b.reader, "exchange", CROSSVM_KIND_EXCHANGE_RX);
        CHECK_EQ(exchange_rx_open(&exchange, 1, 4), CROSSVM_OK);
        CHECK_EQ(exchange_tx_open(&exchange), CROSSVM_OK);
        CHECK_EQ(exchange_tx_link(&exchange), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_tx_unanswered(&exchange.tx, NULL), 0);
        exchange_drop(&exchange);
    }
}

/* How much may still be taken, and answered, when the other side's part is gone: what is in hand. */
static void what_is_in_hand_outlives_a_renewal(void)
{
    uint32_t elem = 0;
    up_with_two_answers(0, 0);
    REQUIRE(crossvm_region_owner_renew(&exchange.b.owner, &exchange.rx_chunk) == CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_STALE);
    exchange_drop(&exchange);
}

static void a_part_that_was_renewed_is_stale(void)
{
    for (uint32_t shared = 0; shared <= EXCHANGE_SHARED; shared++) {
        struct crossvm_spsc_tx_span span;
        uint32_t elem = 0;
        up_with_two_answers(shared, 0);
        struct crossvm_chunk chunk = exchange.rx_chunk;
        REQUIRE(crossvm_region_owner_renew(&exchange.b.owner, &chunk) == CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_tx_answered(&exchange.tx), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_tx_reserve(&exchange.tx, 1, &span), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_tx_release(&exchange.tx, 0), CROSSVM_STALE);
        exchange_drop(&exchange);

        up_with_two_answers(shared, 0);
        chunk = exchange.tx_chunk;
        REQUIRE(crossvm_region_owner_renew(&exchange.a.owner, &chunk) == CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_rx_get(&exchange.rx, &elem), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_STALE);
        CHECK_EQ(crossvm_exchange_rx_commit(&exchange.rx, 0), CROSSVM_STALE);
        exchange_drop(&exchange);
    }
}

/* A full exchange is where a producer notices that its client is gone. */
static void a_full_exchange_looks_whether_the_link_stands(void)
{
    uint32_t elem = 0;
    exchange_up(&exchange, 1, 4, 0, 0);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
    crossvm_store_relaxed(&exchange_rx_words(&exchange)->line.index, 2);
    CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_CORRUPT);
    CHECK_EQ(exchange.tx.queue.fault.value, 2);
    exchange_drop(&exchange);
}

/* ---- waking ----------------------------------------------------------------------------------- */

static void the_producer_is_rung_at_its_watermark_of_answers(void)
{
    uint32_t elem = 0;
    uint64_t again_ns;
    exchange_up(&exchange, 4, 4, 0u - 2u, 0);
    for (int i = 0; i < 4; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, &elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_exchange_rx_kick(&exchange.rx, 0, &again_ns) == 1); /* a fresh one's first */
    CHECK_EQ(crossvm_exchange_tx_arm(&exchange.tx, 3, 5000), 0);
    const struct crossvm_spsc_tx_shm *words = exchange_tx_words(&exchange);
    CHECK_EQ(crossvm_load_pair(&words->line.delay_lo, &words->line.delay_hi), 5000);
    for (int i = 1; i <= 4; i++) {
        CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_exchange_rx_kick(&exchange.rx, 0, &again_ns), i == 3);
    }
    CHECK_EQ(crossvm_exchange_tx_arm(&exchange.tx, 4, 0), 1);
    CHECK_EQ(crossvm_load_relaxed(&words->line.mode), CROSSVM_WAKE_NEVER);
    /* What was taken back does not count. */
    CHECK_EQ(crossvm_exchange_tx_take(&exchange.tx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_tx_arm(&exchange.tx, 4, 0), 0);
    exchange_drop(&exchange);
}

/* Below the watermark, but for longer than the producer wants to wait. */
static void the_producer_is_rung_when_its_longest_delay_is_over(void)
{
    uint32_t elem = 0;
    uint64_t again_ns;
    exchange_up(&exchange, 4, 4, 0, 0);
    for (int i = 0; i < 4; i++) {
        REQUIRE(crossvm_exchange_tx_push(&exchange.tx, &elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_exchange_rx_kick(&exchange.rx, 1000, &again_ns) == 1);
    CHECK_EQ(crossvm_exchange_tx_arm(&exchange.tx, 3, 5000), 0);
    CHECK_EQ(crossvm_exchange_rx_answer(&exchange.rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_exchange_rx_kick(&exchange.rx, 2000, &again_ns), 0);
    CHECK_EQ(again_ns, 7000);
    CHECK_EQ(crossvm_exchange_rx_kick(&exchange.rx, 6999, &again_ns), 0);
    CHECK_EQ(crossvm_exchange_rx_kick(&exchange.rx, 7000, &again_ns), 1);
    const struct crossvm_spsc_rx_shm *words = exchange_rx_words(&exchange);
    CHECK_EQ(crossvm_load_pair(&words->n_sent_lo, &words->n_sent_hi), 2);
    CHECK_EQ(crossvm_load_pair(&words->n_suppressed_lo, &words->n_suppressed_hi), 2);
    crossvm_spsc_rx_peer_polls(&exchange.rx.queue);
    CHECK_EQ(crossvm_exchange_rx_kick(&exchange.rx, 8000, &again_ns), 0);
    exchange_drop(&exchange);
}

static void the_client_is_rung_for_elements(void)
{
    uint32_t elem = 0;
    uint64_t again_ns;
    exchange_up(&exchange, 4, 4, 0, EXCHANGE_SHARED);
    REQUIRE(crossvm_spsc_tx_kick(&exchange.tx.queue, 0, &again_ns) == 1); /* a fresh one's first */
    CHECK_EQ(crossvm_spsc_rx_arm(&exchange.rx.queue, 2, 0), 0);
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(crossvm_exchange_tx_push(&exchange.tx, &elem), CROSSVM_OK);
        CHECK_EQ(crossvm_spsc_tx_kick(&exchange.tx.queue, 0, &again_ns), i == 2);
    }
    exchange_drop(&exchange);
}

int main(void)
{
    random_state = 99;
    test_guard();
    CASE(answers_come_back_in_order);
    CASE(each_memory_is_copied_in_its_own_way);
    CASE(a_place_is_free_only_when_its_answer_was_taken_back);
    CASE(shared_elements_are_changed_where_they_lie);
    CASE(counts_outside_are_invalid_and_change_nothing);
    CASE(taking_and_answering_shrink_what_is_shown);
    CASE(unanswered_elements_can_be_seen);
    CASE(nothing_flows_before_both_sides_agreed);
    CASE(shared_elements_need_a_writable_mapping);
    CASE(answers_need_room_in_the_clients_part);
    CASE(parts_of_other_kinds_are_refused);
    CASE(the_producer_may_insist_on_its_element_length);
    CASE(a_restarted_producer_finds_the_answers_it_did_not_give_back);
    CASE(a_restarted_client_finds_what_it_did_not_answer);
    CASE(own_words_that_cannot_be_are_called_corrupt);
    CASE(a_tail_that_came_round_is_no_fresh_start);
    CASE(what_is_in_hand_outlives_a_renewal);
    CASE(a_part_that_was_renewed_is_stale);
    CASE(a_full_exchange_looks_whether_the_link_stands);
    CASE(the_producer_is_rung_at_its_watermark_of_answers);
    CASE(the_producer_is_rung_when_its_longest_delay_is_over);
    CASE(the_client_is_rung_for_elements);
    return check_done();
}
