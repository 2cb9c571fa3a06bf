/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app.c - one of two sides; see app.h.
 *
 * Payload is of 32-bit words in the byte order of both machines, which is little-endian here.
 */
#include "app.h"

#include "say.h"

#define LINK       11u
#define SILENCE_NS 1000000000u /* then a side is suspected */
#define STEP_NS    2000000u    /* between two signs of life, if nobody rings */
#define BATCH      16u
#define SLOTS      4u

static const char *const to[2] = {"to-b", "to-a"};

/* Goes on if a call has not failed; else its caller gives up, too. */
#define TRY(app, call)                             \
    do {                                           \
        int try_status = (call);                   \
        if (try_status < 0) {                      \
            return failed(app, #call, try_status); \
        }                                          \
    } while (0)

static int failed(const struct app *app, const char *what, int status)
{
    say(app->put, "failed: %s: %s", what, crossvm_status_name(status));
    return status;
}

/* Whether a failure was said before. */
static bool is_wrong(int status)
{
    return crossvm_status_family(status) > CROSSVM_FAMILY_AGAIN;
}

static void add(struct crossvm_le32 *word, uint32_t n)
{
    crossvm_store_relaxed(word, crossvm_load_relaxed(word) + n);
}

/* ---- the ledger ------------------------------------------------------------------------------ */

/* A note is whole before it counts. */
static int count_note(struct app *app, struct crossvm_le32 *n, uint32_t most)
{
    uint32_t next = crossvm_load_relaxed(n) + 1;
    if (next > most) {
        return failed(app, "another note", CROSSVM_NO_SPACE);
    }
    CROSSVM_STORE_RELEASE(app_note, n, next);
    return CROSSVM_OK;
}

static int note_start(struct app *app)
{
    uint32_t n = crossvm_load_relaxed(&app->ledger->n_starts);
    if (n < APP_STARTS) {
        struct app_start *note = &app->ledger->starts[n];
        crossvm_store_relaxed(&note->head, crossvm_spsc_rx_index(&app->rx));
        crossvm_store_relaxed(&note->tail, crossvm_spsc_tx_index(&app->tx));
    }
    app->start = n + 1;
    return count_note(app, &app->ledger->n_starts, APP_STARTS);
}

static int note_life(struct app *app)
{
    uint32_t n = crossvm_load_relaxed(&app->ledger->n_lives);
    if (n < APP_LIVES) {
        struct app_life *note = &app->ledger->lives[n];
        crossvm_store_relaxed(&note->life, app->link.incarnation);
        crossvm_store_relaxed(&note->from, crossvm_spsc_tx_index(&app->tx));
    }
    return count_note(app, &app->ledger->n_lives, APP_LIVES);
}

/* The peer's life that is answered, or was until it was lost. */
static uint32_t answered(const struct app *app)
{
    return app->link.state == CROSSVM_PEER_LOST ? app->over : app->link.echo;
}

/* Whether an element goes on where a run ended. */
static bool goes_on(const struct app *app, const struct app_run *run,
                    const struct app_element *element)
{
    return crossvm_load_relaxed(&run->start) == app->start &&
           crossvm_load_relaxed(&run->answered) == answered(app) &&
           crossvm_load_relaxed(&run->life) == element->life &&
           crossvm_load_relaxed(&run->next) == element->number;
}

static int note_element(struct app *app, const struct app_element *element)
{
    uint32_t n = crossvm_load_relaxed(&app->ledger->n_runs);
    if (n > 0 && n <= APP_RUNS && goes_on(app, &app->ledger->runs[n - 1], element)) {
        crossvm_store_relaxed(&app->ledger->runs[n - 1].next, element->number + 1);
        return CROSSVM_OK;
    }
    if (n < APP_RUNS) {
        struct app_run *run = &app->ledger->runs[n];
        crossvm_store_relaxed(&run->start, app->start);
        crossvm_store_relaxed(&run->answered, answered(app));
        crossvm_store_relaxed(&run->life, element->life);
        crossvm_store_relaxed(&run->first, element->number);
        crossvm_store_relaxed(&run->next, element->number + 1);
    }
    return count_note(app, &app->ledger->n_runs, APP_RUNS);
}

/* ---- rings ----------------------------------------------------------------------------------- */

/* Rings the other side, if it has a doorbell. It may have died and come back with another one. */
static void ring(struct app *app, int due)
{
    uint32_t bell = crossvm_load_relaxed(&app->peers_ledger->bell);
    if (due <= 0 || bell == 0 || !app->has_bell) {
        return;
    }
    if (crossvm_notify_signal(app->bell, bell - 1, APP_VECTOR) == CROSSVM_OK) {
        add(&app->ledger->n_sent, 1);
    }
}

/* Waits for a ring, or for the next step. */
static void wait(struct app *app)
{
    uint64_t until_ns = crossvm_notify_now(app->bell) + STEP_NS;
    int status = crossvm_notify_wait(app->bell, APP_VECTOR, until_ns);
    if (status == CROSSVM_OK && app->has_bell && app->ledger != NULL) {
        add(&app->ledger->n_rings, 1);
    }
}

/* ---- coming up ------------------------------------------------------------------------------- */

/* Memory that an earlier life has left is gone on with. */
static int open_own_memory(struct app *app)
{
    const uint32_t self = app->side + 1;
    const uint32_t other = 2 - app->side;
    const struct crossvm_chunk_decl decls[APP_CHUNKS] = {
        {"life", CROSSVM_KIND_PEER, 0, 0, self, other, 0, LINK},
        {to[app->side], CROSSVM_KIND_SPSC_TX, APP_CAPACITY, sizeof(struct app_element), self, other,
         0, LINK},
        {to[1 - app->side], CROSSVM_KIND_SPSC_RX, 0, 0, self, other, 0, LINK},
        {"state", CROSSVM_KIND_SNAPSHOT, SLOTS, 4 * APP_STATE, self, CROSSVM_ANYONE, 0, 0},
        {"ledger", CROSSVM_KIND_BYTES, 0, sizeof(struct app_ledger), self, CROSSVM_ANYONE, 0, 0}};
    struct crossvm_region_plan plan = {.chunks = decls, .n_chunks = APP_CHUNKS, .owner = self};
    plan.region_id[0] = (uint8_t)self;
    int status = crossvm_region_owner_adopt(&app->owner, &app->own, &plan, app->table, APP_CHUNKS);
    if (status == CROSSVM_NOT_FORMATTED) {
        status = crossvm_region_owner_format(&app->owner, &app->own, &plan, app->table, APP_CHUNKS);
    }
    return status;
}

/* Numbers that no start has used; lives that begin on the way have room between. */
static uint32_t next_seed(const struct app *app)
{
    return (crossvm_load_relaxed(&app->ledger->n_starts) + 1) * 1000 + (app->side + 1) * 100;
}

static int open_own_parts(struct app *app)
{
    const struct crossvm_region *region = &app->owner.region;
    const struct crossvm_chunk *table = app->table;
    TRY(app, crossvm_bytes_writer_open(&app->ledger_writer, region, &table[APP_LEDGER]));
    app->ledger = (struct app_ledger *)(void *)app->ledger_writer.data;
    uint32_t seed = next_seed(app);
    uint32_t len = sizeof(struct app_element);
    TRY(app, crossvm_spsc_tx_open(&app->tx, region, &table[APP_TX], len, seed));
    TRY(app, crossvm_spsc_rx_open(&app->rx, region, &table[APP_RX], APP_CAPACITY, len, seed));
    TRY(app, crossvm_snapshot_writer_open(&app->state_out, region, &table[APP_SNAPSHOT]));
    TRY(app, crossvm_peer_open(&app->link, region, &table[APP_LIFE], SILENCE_NS));
    crossvm_store_relaxed(&app->ledger->bell, app->has_bell ? app->bell_id + 1 : 0);
    return note_start(app);
}

static int find(struct app *app, const char *name, uint32_t kind, struct crossvm_chunk *chunk)
{
    return crossvm_region_find(&app->region, name, kind, 0, chunk);
}

static int attach(struct app *app)
{
    struct crossvm_chunk chunk;
    int status;
    while ((status = crossvm_region_attach(&app->region, &app->peer, app->side + 1)) < 0 &&
           !is_wrong(status)) {
        wait(app);
    }
    TRY(app, status);
    TRY(app, find(app, "ledger", CROSSVM_KIND_BYTES, &chunk));
    TRY(app, crossvm_bytes_reader_open(&app->ledger_reader, &app->region, &chunk));
    app->peers_ledger = (const struct app_ledger *)(const void *)app->ledger_reader.data;
    TRY(app, find(app, "state", CROSSVM_KIND_SNAPSHOT, &chunk));
    return crossvm_snapshot_reader_open(&app->state_in, &app->region, &chunk);
}

static int link_queues(struct app *app)
{
    struct crossvm_chunk rx;
    struct crossvm_chunk tx;
    int to_peer;
    int from_peer;
    TRY(app, find(app, to[app->side], CROSSVM_KIND_SPSC_RX, &rx));
    TRY(app, find(app, to[1 - app->side], CROSSVM_KIND_SPSC_TX, &tx));
    for (;;) {
        to_peer = crossvm_spsc_tx_link(&app->tx, &app->region, &rx);
        from_peer = crossvm_spsc_rx_link(&app->rx, &app->region, &tx);
        if (to_peer != CROSSVM_NOT_YET && from_peer != CROSSVM_NOT_YET) {
            return to_peer < 0 ? to_peer : from_peer;
        }
        wait(app);
    }
}

static int come_up(struct app *app)
{
    struct crossvm_chunk life;
    TRY(app, open_own_memory(app));
    TRY(app, open_own_parts(app));
    uint32_t seed = crossvm_load_relaxed(&app->ledger->n_starts) * 1000 + (app->side + 1) * 100;
    TRY(app, attach(app));
    TRY(app, link_queues(app));
    TRY(app, find(app, "life", CROSSVM_KIND_PEER, &life));
    TRY(app, crossvm_peer_link(&app->link, &app->region, &life, seed));
    TRY(app, note_life(app));
    say(app->put, "start %u life %u", (unsigned)app->start, (unsigned)app->link.incarnation);
    return CROSSVM_OK;
}

/* ---- the state that is shared --------------------------------------------------------------- */

/* Each word is the version, in a way of its own. */
static int publish_state(struct app *app)
{
    uint32_t words[APP_STATE];
    uint32_t version = (uint32_t)crossvm_snapshot_writer_version(&app->state_out) + 1;
    uint64_t now_ns = crossvm_notify_now(app->bell);
    for (uint32_t i = 0; i < APP_STATE; i++) {
        words[i] = version * (2 * i + 1);
    }
    return crossvm_snapshot_writer_publish(&app->state_out, words, sizeof(words), now_ns, now_ns);
}

static int read_state(struct app *app)
{
    struct crossvm_snapshot_info info;
    uint32_t words[APP_STATE];
    int status = crossvm_snapshot_reader_read(&app->state_in, words, sizeof(words), &info);
    if (status <= 0) {
        return is_wrong(status) ? status : CROSSVM_OK;
    }
    for (uint32_t i = 0; i < APP_STATE; i++) {
        if (words[i] != (uint32_t)info.version * (2 * i + 1)) {
            return failed(app, "a state of two versions", CROSSVM_TORN);
        }
    }
    add(&app->ledger->n_states, 1);
    return CROSSVM_OK;
}

/* ---- elements -------------------------------------------------------------------------------- */

static void fill(struct app_element *element, uint32_t life, uint32_t number)
{
    element->life = life;
    element->number = number;
    for (uint32_t i = 0; i < APP_WORDS; i++) {
        element->words[i] = (number ^ ~life) * (2 * i + 1);
    }
}

static bool is_whole(const struct app_element *element)
{
    bool whole = true;
    for (uint32_t i = 0; i < APP_WORDS; i++) {
        whole = whole && element->words[i] == (element->number ^ ~element->life) * (2 * i + 1);
    }
    return whole;
}

/* The number sent, or a failure. Only to one that is there. */
static int send_some(struct app *app)
{
    int n = 0;
    uint64_t again_ns;
    if (app->is_last || crossvm_peer_ready(&app->link) != CROSSVM_OK) {
        return 0;
    }
    while (n < (int)BATCH) {
        struct app_element element;
        fill(&element, app->link.incarnation, crossvm_spsc_tx_index(&app->tx));
        int status = crossvm_spsc_tx_push(&app->tx, &element);
        if (status == CROSSVM_FULL) {
            break;
        }
        TRY(app, status);
        n++;
    }
    ring(app, crossvm_spsc_tx_kick(&app->tx, crossvm_notify_now(app->bell), &again_ns));
    return n;
}

/* n elements that are there. */
static int note_some(struct app *app, uint32_t n)
{
    struct crossvm_spsc_rx_span span = {0};
    TRY(app, crossvm_spsc_rx_peek(&app->rx, n, &span));
    for (uint32_t i = 0; i < n; i++) {
        struct app_element element;
        __builtin_memcpy(&element, crossvm_spsc_rx_span_at(&span, i), sizeof(element));
        if (!is_whole(&element)) {
            return failed(app, "an element that was not sent so", CROSSVM_CORRUPT);
        }
        TRY(app, note_element(app, &element));
    }
    app->n_held = n;
    return CROSSVM_OK;
}

static int release_held(struct app *app)
{
    TRY(app, crossvm_spsc_rx_release(&app->rx, app->n_held));
    app->n_held = 0;
    ring(app, crossvm_spsc_rx_kick(&app->rx));
    return CROSSVM_OK;
}

/* The number received, or EMPTY, or ENDED, or a failure. Only one that was answered is listened to.
 * The newest are released when others have come, or none can: so most deaths find elements that
 * were noted and not released. */
static int receive_some(struct app *app)
{
    if (crossvm_peer_ready(&app->link) == CROSSVM_NOT_YET) {
        return CROSSVM_EMPTY;
    }
    int fill_status = crossvm_spsc_rx_fill(&app->rx);
    TRY(app, fill_status);
    uint32_t n = (uint32_t)fill_status - app->n_held;
    int status = crossvm_peer_end(&app->link, n == 0 ? CROSSVM_EMPTY : CROSSVM_OK);
    TRY(app, release_held(app));
    if (status != CROSSVM_OK) {
        return status;
    }
    n = n < BATCH ? n : BATCH;
    TRY(app, note_some(app, n));
    app->n_drained += app->link.state == CROSSVM_PEER_LOST ? n : 0;
    return (int)n;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

static void say_state(const struct app *app)
{
    say(app->put, "%s %u with %u: %s", crossvm_peer_state_name(app->link.state),
        (unsigned)app->link.incarnation, (unsigned)answered(app),
        crossvm_peer_cause_name(app->link.cause));
}

/* A process of the host learns from the server who went. */
static int ask_backend(struct app *app)
{
    uint32_t bell = crossvm_load_relaxed(&app->peers_ledger->bell);
    if (app->is_gone != NULL && app->is_gone(app->context, bell - 1) && bell != 0) {
        TRY(app, crossvm_peer_confirm(&app->link, CROSSVM_PEER_CAUSE_BACKEND));
    }
    return CROSSVM_OK;
}

static int step(struct app *app)
{
    uint32_t before = app->link.state;
    uint32_t echo = app->link.echo;
    TRY(app, ask_backend(app));
    TRY(app, crossvm_peer_step(&app->link, crossvm_notify_now(app->bell)));
    if (app->link.state != before) {
        app->over = echo;
        say_state(app);
    }
    return CROSSVM_OK;
}

/* All that the lost one had committed was received. */
static int let_go(struct app *app)
{
    uint32_t life = app->link.incarnation;
    say(app->put, "ended %u at %u: %u drained", (unsigned)app->over,
        (unsigned)crossvm_spsc_rx_index(&app->rx), (unsigned)app->n_drained);
    app->n_drained = 0;
    TRY(app, crossvm_peer_reestablish(&app->link));
    if (app->link.incarnation != life) {
        TRY(app, note_life(app));
    }
    say_state(app);
    return CROSSVM_OK;
}

/* Nothing to do: sleeps until elements or places come, or until the next step. Who is not up yet is
 * not rung: it looks by itself. */
static int rest(struct app *app)
{
    int armed_rx = crossvm_spsc_rx_arm(&app->rx, 1, 0);
    int armed_tx = app->is_last ? 0 : crossvm_spsc_tx_arm(&app->tx, 1);
    TRY(app, armed_rx);
    TRY(app, armed_tx);
    bool up = crossvm_peer_ready(&app->link) == CROSSVM_OK;
    if (!up || (armed_rx == 0 && armed_tx == 0)) {
        ring(app, up ? crossvm_spsc_rx_nudge(&app->rx) | crossvm_spsc_tx_nudge(&app->tx) : 0);
        wait(app);
    }
    crossvm_spsc_rx_disarm(&app->rx);
    crossvm_spsc_tx_disarm(&app->tx);
    return CROSSVM_OK;
}

/* Of a side that is the last: whether all was received. The peer's last start sends nothing either,
 * so what is there when it is up is all there will be. It may have closed by then. */
static bool has_all(const struct app *app, int received)
{
    return app->is_last &&
           ((received == CROSSVM_EMPTY && crossvm_peer_ready(&app->link) == CROSSVM_OK) ||
            (received == CROSSVM_ENDED && app->link.cause == CROSSVM_PEER_CAUSE_CLOSED));
}

int app_run(struct app *app)
{
    TRY(app, come_up(app));
    for (;;) {
        TRY(app, step(app));
        TRY(app, publish_state(app));
        TRY(app, read_state(app));
        int received = receive_some(app);
        if (is_wrong(received) && received != CROSSVM_ENDED) {
            return received;
        }
        if (has_all(app, received)) {
            TRY(app, crossvm_peer_close(&app->link));
            say(app->put, "drained");
            return CROSSVM_OK;
        }
        if (received == CROSSVM_ENDED) {
            TRY(app, let_go(app));
        }
        int sent = send_some(app);
        TRY(app, sent);
        if (sent == 0 && received < 0) {
            TRY(app, rest(app));
        }
    }
}

int app_look(struct app *app, const struct crossvm_mapping *mapping,
             const struct app_ledger **ledger)
{
    struct crossvm_chunk chunk;
    TRY(app, crossvm_region_attach(&app->region, mapping, 2 - app->side));
    TRY(app, find(app, "ledger", CROSSVM_KIND_BYTES, &chunk));
    TRY(app, crossvm_bytes_reader_open(&app->ledger_reader, &app->region, &chunk));
    *ledger = (const struct app_ledger *)(const void *)app->ledger_reader.data;
    return CROSSVM_OK;
}
