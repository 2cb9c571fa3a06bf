/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spsc.c - elements through a linked queue, in one thread: every call against a model
 * that is a plain array, with exact results, across the wrap of slots and of the 32-bit indices.
 */
#include "../support/queue.h"

#define MODEL_MAX 1024u

/* What must be in the queue: numbers in an array, moved up when the first ones leave. */
struct model {
    uint32_t numbers[MODEL_MAX];
    uint32_t n;
    uint32_t capacity;
    uint32_t next; /* number of the next element */
    uint64_t n_refused;
    uint32_t pushed; /* ever */
    uint32_t popped; /* ever */
    uint32_t start;  /* index of the first element */
};

static struct queue queue;
static struct model model;
static uint64_t random_state;

static void model_push(void)
{
    model.numbers[model.n] = model.next;
    model.n++;
    model.next++;
    model.pushed++;
}

static void model_pop(uint32_t n)
{
    model.n -= n;
    model.popped += n;
    memmove(model.numbers, model.numbers + n, model.n * sizeof(model.numbers[0]));
}

/* Releases that the consumer has not published yet. */
static uint32_t held_back(void)
{
    uint32_t head = crossvm_load_relaxed(&queue_rx_words(&queue)->line.index);
    return model.start + model.popped - head;
}

/* Free places that the producer can know of. */
static uint32_t model_free(void)
{
    return model.capacity - model.n - held_back();
}

static void check_words(void)
{
    struct crossvm_spsc_tx_shm *words = queue_tx_words(&queue);
    CHECK_EQ(crossvm_load_relaxed(&words->line.index), model.start + model.pushed);
    CHECK(held_back() <= model.capacity / 4);
    CHECK(model.n != 0 || held_back() == 0);
    CHECK_EQ(queue.tx.n_refused, model.n_refused);
    if (model.n_refused != 0) {
        CHECK_EQ(crossvm_load_pair(&words->n_refused_lo, &words->n_refused_hi), model.n_refused);
    }
}

/* Memory of exactly this length, so that an address sanitizer sees a byte too many. */
static unsigned char *exactly(size_t len)
{
    unsigned char *memory = (unsigned char *)malloc(len == 0 ? 1 : len);
    REQUIRE(memory != NULL);
    memset(memory, 0xee, len);
    return memory;
}

static void do_push(uint32_t len)
{
    unsigned char *elem = exactly(len);
    bool room = model_free() != 0;
    queue_fill(elem, len, model.next);
    CHECK_EQ(crossvm_spsc_tx_push(&queue.tx, elem), room ? CROSSVM_OK : CROSSVM_FULL);
    if (room) {
        model_push();
    } else {
        model.n_refused++;
    }
    free(elem);
}

static void do_push_n(uint32_t len, uint32_t n)
{
    unsigned char *elems = exactly((size_t)n * len);
    uint32_t room = model_free();
    uint32_t want = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++) {
        queue_fill(elems + (size_t)i * len, len, model.next + i);
    }
    int got = crossvm_spsc_tx_push_n(&queue.tx, elems, n);
    CHECK_EQ(got, n != 0 && want == 0 ? CROSSVM_FULL : (int)want);
    model.n_refused += want < n;
    for (uint32_t i = 0; i < want; i++) {
        model_push();
    }
    free(elems);
}

/* Reserves n, fills them in place, commits only some. */
static void do_reserve(uint32_t len, uint32_t n, uint32_t n_commit)
{
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    uint32_t room = model_free();
    if (n == 0 || n > model.capacity) {
        CHECK_EQ(crossvm_spsc_tx_reserve(&queue.tx, n, &span), CROSSVM_INVALID);
        return;
    }
    int status = crossvm_spsc_tx_reserve(&queue.tx, n, &span);
    CHECK_EQ(status, n <= room ? CROSSVM_OK : CROSSVM_FULL);
    if (status != CROSSVM_OK) {
        model.n_refused++;
        return;
    }
    CHECK_EQ(span.n_first + span.n_second, n);
    CHECK_EQ(span.stride, (len + 7) / 8 * 8);
    for (uint32_t i = 0; i < n; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&span, i), len, model.next + i);
    }
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, n + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, n_commit), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 1), CROSSVM_INVALID);
    for (uint32_t i = 0; i < n_commit; i++) {
        model_push();
    }
}

static void do_pop(uint32_t len)
{
    unsigned char *elem = exactly(len);
    int status = crossvm_spsc_rx_pop(&queue.rx, elem);
    CHECK_EQ(status, model.n != 0 ? CROSSVM_OK : CROSSVM_EMPTY);
    if (status == CROSSVM_OK && model.n != 0) {
        CHECK(queue_is(elem, len, model.numbers[0]));
        model_pop(1);
    }
    free(elem);
}

static void do_pop_n(uint32_t len, uint32_t n)
{
    unsigned char *elems = exactly((size_t)n * len);
    uint32_t want = n < model.n ? n : model.n;
    int got = crossvm_spsc_rx_pop_n(&queue.rx, elems, n);
    CHECK_EQ(got, n != 0 && want == 0 ? CROSSVM_EMPTY : (int)want);
    for (uint32_t i = 0; i < want; i++) {
        CHECK(queue_is(elems + (size_t)i * len, len, model.numbers[i]));
    }
    model_pop(want);
    free(elems);
}

/* Looks at n in place, releases only some. */
static void do_peek(uint32_t len, uint32_t n, uint32_t n_release)
{
    struct crossvm_spsc_rx_span span = {NULL, NULL, 0, 0, 0};
    if (n == 0 || n > model.capacity) {
        CHECK_EQ(crossvm_spsc_rx_peek(&queue.rx, n, &span), CROSSVM_INVALID);
        return;
    }
    int status = crossvm_spsc_rx_peek(&queue.rx, n, &span);
    CHECK_EQ(status, n <= model.n ? CROSSVM_OK : CROSSVM_EMPTY);
    if (status != CROSSVM_OK || n > model.n) {
        return;
    }
    CHECK_EQ(span.n_first + span.n_second, n);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(queue_is(crossvm_spsc_rx_span_at(&span, i), len, model.numbers[i]));
    }
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, n + 1), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, n_release), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, n - n_release + 1), CROSSVM_INVALID);
    model_pop(n_release);
}

static void one_random_call(uint32_t len)
{
    uint32_t n = check_random(&random_state) %
                 (check_random(&random_state) % 4 == 0 ? model.capacity + 2 : 6);
    uint32_t some = n == 0 ? 0 : check_random(&random_state) % (n + 1);
    switch (check_random(&random_state) % 9) {
    case 0:
        do_push(len);
        break;
    case 1:
        do_push_n(len, n);
        break;
    case 2:
        do_reserve(len, n, some);
        break;
    case 3:
        do_pop(len);
        break;
    case 4:
        do_pop_n(len, n);
        break;
    case 5:
        do_peek(len, n, some);
        break;
    case 6:
        CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), model_free());
        break;
    case 7:
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), model.n);
        break;
    default:
        crossvm_spsc_rx_flush(&queue.rx);
        CHECK_EQ(held_back(), 0);
        break;
    }
}

static void begin(uint32_t capacity, uint32_t len, uint32_t start, struct queue_options options)
{
    memset(&model, 0, sizeof(model));
    model.capacity = capacity;
    model.start = start;
    queue_up(&queue, capacity, len, start, options);
}

static void play(uint32_t capacity, uint32_t len, uint32_t start, struct queue_options options)
{
    bool large = (uint64_t)capacity * len > 60000;
    unsigned long n_calls = (large ? 400u : 10000u / CHECK_SHORTER) * check_scale();
    unsigned long failed_before = check_n_failed;
    begin(capacity, len, start, options);
    for (unsigned long i = 0; i < n_calls; i++) {
        one_random_call(len);
        check_words();
    }
    CHECK(model.pushed > capacity);
    queue_drop(&queue);
    if (check_n_failed != failed_before) {
        printf("with capacity %" PRIu32 ", elements of %" PRIu32 " bytes, indices from %" PRIu32
               "\n",
               capacity, len, start);
    }
}

static const uint32_t lens[] = {1, 2, 3, 7, 8, 12, 63, 64, 65, 256, 4000};
static const uint32_t capacities[] = {1, 2, 4, 64, 1024};
#define N_LENS       (sizeof(lens) / sizeof(lens[0]))
#define N_CAPACITIES (sizeof(capacities) / sizeof(capacities[0]))

static void every_length_and_capacity_behaves_as_a_plain_array(void)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    for (size_t i = 0; i < N_LENS * N_CAPACITIES; i++) {
        uint32_t capacity = capacities[i / N_LENS];
        play(capacity, lens[i % N_LENS], 0, usual);
        play(capacity, lens[i % N_LENS], 0u - capacity - 16u, usual);
    }
}

static void device_mappings_behave_the_same(void)
{
    const struct queue_options device = {CROSSVM_UNCACHED, false};
    for (size_t i = 0; i < N_LENS * N_CAPACITIES; i++) {
        play(capacities[i / N_LENS], lens[i % N_LENS], 0xfffffff0u, device);
    }
}

static void a_device_mapping_never_leaves_the_slow_path(void)
{
    const struct queue_options device = {CROSSVM_UNCACHED, false};
    begin(64, 7, 0, device);
    for (uint32_t i = 0; i < 40; i++) {
        do_push(7);
        CHECK_EQ(queue.tx.n_free, 0);
    }
    do_push_n(7, 10);
    CHECK_EQ(queue.tx.n_free, 0);
    for (uint32_t i = 0; i < 20; i++) {
        do_pop(7);
        CHECK_EQ(queue.rx.n_avail, 0);
    }
    do_pop_n(7, 10);
    CHECK_EQ(queue.rx.n_avail, 0);
    queue_drop(&queue);
}

static void a_full_queue_refuses_and_counts(void)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    struct crossvm_spsc_tx_span span = {NULL, NULL, 0, 0, 0};
    begin(4, 8, 0, usual);
    do_push_n(8, 9);
    CHECK_EQ(model.n, 4);
    do_push(8);
    do_push_n(8, 2);
    CHECK_EQ(crossvm_spsc_tx_reserve(&queue.tx, 1, &span), CROSSVM_FULL);
    model.n_refused++;
    CHECK_EQ(queue.tx.n_refused, 4);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), 0);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 4);
    check_words();
    do_pop(8);
    do_push(8);
    do_push(8);
    check_words();
    queue_drop(&queue);
}

/* The whole of a queue in place, with the wrap at every possible point. */
static void reserve_and_peek_cross_the_wrap_anywhere(void)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    struct crossvm_spsc_tx_span out = {NULL, NULL, 0, 0, 0};
    struct crossvm_spsc_rx_span in = {NULL, NULL, 0, 0, 0};
    begin(8, 12, 0xfffffffau, usual);
    for (uint32_t at = 0; at < 20; at++) {
        uint32_t before_wrap = 8 - ((model.start + model.pushed) & 7);
        REQUIRE(crossvm_spsc_tx_reserve(&queue.tx, 8, &out) == CROSSVM_OK);
        CHECK_EQ(out.n_first, before_wrap);
        CHECK_EQ(out.n_second, 8 - before_wrap);
        CHECK(out.second == queue.tx.slots);
        do_reserve(12, 8, 8);
        REQUIRE(crossvm_spsc_rx_peek(&queue.rx, 8, &in) == CROSSVM_OK);
        CHECK_EQ(in.n_first, before_wrap);
        CHECK_EQ(in.n_second, 8 - before_wrap);
        do_peek(12, 8, 8);
        do_push(12);
        do_pop(12);
        check_words();
    }
    queue_drop(&queue);
}

static void what_is_reserved_but_not_committed_is_not_seen(void)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    struct crossvm_spsc_tx_span first = {NULL, NULL, 0, 0, 0};
    struct crossvm_spsc_tx_span again = {NULL, NULL, 0, 0, 0};
    begin(8, 8, 0, usual);
    CHECK_EQ(crossvm_spsc_tx_reserve(&queue.tx, 5, &first), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 0);
    CHECK_EQ(crossvm_spsc_tx_reserve(&queue.tx, 3, &again), CROSSVM_OK);
    CHECK(first.first == again.first);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 5), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 0);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 0), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 0);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), 8);
    queue_drop(&queue);
}

/* A handle that resumes at any index has reserved nothing and shown nothing. */
static void nothing_is_reserved_or_shown_before_it_was_asked_for(void)
{
    static const uint32_t starts[] = {0, 1, 8, 0x80000000u, 0xfffffff0u, 0xfffffff8u, 0xffffffffu};
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        unsigned long failed_before = check_n_failed;
        begin(16, 8, starts[i], usual);
        CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 1), CROSSVM_INVALID);
        CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 16), CROSSVM_INVALID);
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 0);
        do_push_n(8, 12);
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 12);
        CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 1), CROSSVM_INVALID);
        CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 12), CROSSVM_INVALID);
        CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 12);
        do_pop_n(8, 12);
        queue_drop(&queue);
        if (check_n_failed != failed_before) {
            printf("with indices from %" PRIu32 "\n", starts[i]);
        }
    }
}

/* A push takes the first of the reserved places, a pop the first of the elements shown. */
static void push_and_pop_shrink_what_is_reserved_and_shown(void)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    struct crossvm_spsc_tx_span out = {NULL, NULL, 0, 0, 0};
    struct crossvm_spsc_rx_span in = {NULL, NULL, 0, 0, 0};
    begin(8, 8, 0xfffffffdu, usual);
    CHECK_EQ(crossvm_spsc_tx_reserve(&queue.tx, 4, &out), CROSSVM_OK);
    for (uint32_t i = 0; i < 4; i++) {
        queue_fill(crossvm_spsc_tx_span_at(&out, i), 8, model.next + i);
    }
    do_push(8);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 4), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_fill(&queue.rx), 1);
    CHECK_EQ(crossvm_spsc_tx_commit(&queue.tx, 3), CROSSVM_OK);
    for (uint32_t i = 0; i < 3; i++) {
        model_push();
    }
    CHECK_EQ(crossvm_spsc_rx_peek(&queue.rx, 4, &in), CROSSVM_OK);
    do_pop(8);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 4), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_release(&queue.rx, 2), CROSSVM_OK);
    model_pop(2);
    do_pop(8);
    do_pop(8);
    check_words();
    queue_drop(&queue);
}

static void releases_are_held_back_for_a_quarter_at_most(void)
{
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    uint32_t most = 0;
    begin(64, 8, 0xffffffe0u, usual);
    do_push_n(8, 64);
    for (uint32_t i = 0; i < 64; i++) {
        do_pop(8);
        most = held_back() > most ? held_back() : most;
        check_words();
    }
    printf("held back at most %" PRIu32 " of 64\n", most);
    CHECK(most <= 16);
    CHECK_EQ(held_back(), 0);
    /* One element alone is given back at once. */
    do_push(8);
    do_pop(8);
    CHECK_EQ(held_back(), 0);
    /* And what is held back comes with a flush. */
    do_push_n(8, 64);
    do_pop_n(8, 5);
    crossvm_spsc_rx_flush(&queue.rx);
    CHECK_EQ(held_back(), 0);
    CHECK_EQ(crossvm_spsc_tx_free(&queue.tx), 5);
    queue_drop(&queue);
}

/* ---- one element type ------------------------------------------------------------------------ */

struct triple {
    uint32_t word[3];
};

CROSSVM_SPSC_TYPE(triples, struct triple);

static void a_typed_queue_is_the_same_queue(void)
{
    static struct triples_tx tx;
    static struct triples_rx rx;
    struct triple out[8];
    struct triple in[8];
    uint32_t pushed = 0;
    uint32_t popped = 0;
    const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    queue_make(&queue, 8, sizeof(struct triple), usual);
    REQUIRE(triples_rx_open(&rx, &queue.b.owner.region, &queue.rx_chunk, 8, 1) == CROSSVM_OK);
    REQUIRE(triples_tx_open(&tx, &queue.a.owner.region, &queue.tx_chunk, 1) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_link(&tx.queue, &queue.b.reader, &queue.rx_chunk), CROSSVM_NOT_YET);
    CHECK_EQ(triples_tx_push(&tx, &out[0]), CROSSVM_NOT_YET);
    CHECK_EQ(triples_rx_pop(&rx, &in[0]), CROSSVM_NOT_YET);
    CHECK_EQ(triples_tx_push_n(&tx, out, 1), CROSSVM_NOT_YET);
    CHECK_EQ(triples_rx_pop_n(&rx, in, 1), CROSSVM_NOT_YET);
    REQUIRE(crossvm_spsc_rx_link(&rx.queue, &queue.a.reader, &queue.tx_chunk) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_link(&tx.queue, &queue.b.reader, &queue.rx_chunk) == CROSSVM_OK);
    for (uint32_t round = 0; round < 1000; round++) {
        uint32_t n = round % 8 + 1;
        for (uint32_t i = 0; i < n; i++) {
            queue_fill(&out[i], sizeof(out[i]), pushed + i);
        }
        if (round % 2 == 0) {
            CHECK_EQ(triples_tx_push_n(&tx, out, n), n);
        } else {
            for (uint32_t i = 0; i < n; i++) {
                CHECK_EQ(triples_tx_push(&tx, &out[i]), CROSSVM_OK);
            }
        }
        pushed += n;
        if (round % 3 == 0) {
            CHECK_EQ(triples_rx_pop_n(&rx, in, 8), n);
        } else {
            for (uint32_t i = 0; i < n; i++) {
                CHECK_EQ(triples_rx_pop(&rx, &in[i]), CROSSVM_OK);
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            CHECK(queue_is(&in[i], sizeof(in[i]), popped + i));
        }
        popped += n;
        CHECK_EQ(triples_rx_pop(&rx, &in[0]), CROSSVM_EMPTY);
        CHECK_EQ(triples_rx_pop_n(&rx, in, 3), CROSSVM_EMPTY);
    }
    /* The untyped calls see the same elements. */
    CHECK_EQ(triples_tx_push(&tx, &out[0]), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_pop(&rx.queue, &in[0]), CROSSVM_OK);
    CHECK(memcmp(&in[0], &out[0], sizeof(in[0])) == 0);
    queue_drop(&queue);
}

int main(void)
{
    random_state = 20240611;
    printf("seed %llu\n", (unsigned long long)random_state);
    CASE(every_length_and_capacity_behaves_as_a_plain_array);
    CASE(device_mappings_behave_the_same);
    CASE(a_device_mapping_never_leaves_the_slow_path);
    CASE(a_full_queue_refuses_and_counts);
    CASE(reserve_and_peek_cross_the_wrap_anywhere);
    CASE(what_is_reserved_but_not_committed_is_not_seen);
    CASE(nothing_is_reserved_or_shown_before_it_was_asked_for);
    CASE(push_and_pop_shrink_what_is_reserved_and_shown);
    CASE(releases_are_held_back_for_a_quarter_at_most);
    CASE(a_typed_queue_is_the_same_queue);
    return check_done();
}
