/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/firmware.c - the application of examples/firmware on Linux, in a guest or on the
 * host: the other side of a firmware's.
 *
 *   firmware run SIDE OWN PEER BELL     sends and receives until it is killed; SIDE is 0 or 1
 *   firmware drain SIDE OWN PEER BELL   sends nothing, receives what there is, says good-bye
 *   firmware look SIDE OWN              says what stands in a side's ledger, and changes nothing
 *
 * OWN, PEER and BELL: as place.h says.
 */
#include "system.h"

#include "app.h"

static struct place_bell bell;

static void put(const char *text)
{
    (void)fputs(text, stdout);
}

/* Whoever starts again has another id, which the server says first, too. */
static bool is_gone(void *context, uint32_t bell_id)
{
    struct crossvm_ivshmem_client *client = (struct crossvm_ivshmem_client *)context;
    struct crossvm_ivshmem_change change;
    bool gone = false;
    while (crossvm_ivshmem_client_step(client, &change) == CROSSVM_OK) {
        gone = gone || (!change.there && change.peer == bell_id);
    }
    return gone;
}

static int run(struct app *app, const char *own, const char *peer, const char *where)
{
    static struct place own_place;
    static struct place peer_place;
    static struct crossvm_notify notify;
    must(place_open(&own_place, own, CROSSVM_READ_WRITE), own);
    must(place_open(&peer_place, peer, CROSSVM_READ_ONLY), peer);
    must(place_bell_open(&bell, where, 1), where);
    bell.hang(&bell, &notify);
    app->own = own_place.mapping;
    app->peer = peer_place.mapping;
    app->bell = &notify;
    app->bell_id = bell.id;
    app->has_bell = !bell.is_none;
    if (bell.client.routes != NULL) {
        app->is_gone = is_gone;
        app->context = &bell.client;
    }
    return app_run(app) == CROSSVM_OK ? 0 : 1;
}

/* ---- what stands in a ledger ----------------------------------------------------------------- */

static void show(const char *name, const struct crossvm_le32 *first, uint32_t n_words)
{
    printf("%s", name);
    for (uint32_t i = 0; i < n_words; i++) {
        printf(" %u", (unsigned)crossvm_load_relaxed(&first[i]));
    }
    printf("\n");
}

static void show_ledger(const struct app_ledger *ledger)
{
    show("bell", &ledger->bell, 1);
    show("rings", &ledger->n_rings, 1);
    show("sent", &ledger->n_sent, 1);
    show("states", &ledger->n_states, 1);
    for (uint32_t i = 0; i < crossvm_load_relaxed(&ledger->n_starts); i++) {
        show("start", &ledger->starts[i].head, 2);
    }
    for (uint32_t i = 0; i < crossvm_load_relaxed(&ledger->n_lives); i++) {
        show("life", &ledger->lives[i].life, 2);
    }
    for (uint32_t i = 0; i < crossvm_load_relaxed(&ledger->n_runs); i++) {
        show("run", &ledger->runs[i].start, 5);
    }
}

static const void *look_for(struct app *app, const char *name, uint32_t kind)
{
    struct crossvm_chunk chunk;
    memset(&chunk, 0, sizeof(chunk));
    must(crossvm_region_find(&app->region, name, kind, 0, &chunk), name);
    return app->region.base + (size_t)chunk.off;
}

static void look(struct app *app, const char *own)
{
    static struct place place;
    const struct app_ledger *ledger;
    must(place_open(&place, own, CROSSVM_READ_ONLY), own);
    must(app_look(app, &place.mapping, &ledger), "look");
    const char *const to[2] = {"to-b", "to-a"};
    const struct crossvm_peer_shm *life = look_for(app, "life", CROSSVM_KIND_PEER);
    const struct crossvm_spsc_tx_shm *tx = look_for(app, to[app->side], CROSSVM_KIND_SPSC_TX);
    const struct crossvm_spsc_rx_shm *rx = look_for(app, to[1 - app->side], CROSSVM_KIND_SPSC_RX);
    show("beat", &life->beat, 1);
    show("tail", &tx->line.index, 1);
    show("head", &rx->line.index, 1);
    show_ledger(ledger);
}

int main(int argc, char **argv)
{
    static struct app app;
    setvbuf(stdout, NULL, _IOLBF, 0);
    app.side = argc > 2 && strcmp(argv[2], "1") == 0 ? 1 : 0;
    app.put = put;
    if (argc == 6 && (strcmp(argv[1], "run") == 0 || strcmp(argv[1], "drain") == 0)) {
        app.is_last = argv[1][0] == 'd';
        return run(&app, argv[3], argv[4], argv[5]);
    }
    if (argc == 4 && strcmp(argv[1], "look") == 0) {
        look(&app, argv[3]);
        return 0;
    }
    fprintf(stderr, "usage: firmware run|drain SIDE OWN PEER BELL, or look SIDE OWN\n");
    return 2;
}
