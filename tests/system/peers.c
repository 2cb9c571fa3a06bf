/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/peers.c - one of two sides that watch each other's life, with a queue of numbered
 * elements each way. It may die at any instruction; its next start goes on in the same memory.
 *
 *   peers run SIDE OWN PEER BELL     sends and receives until it is killed; SIDE is 0 or 1
 *   peers drain SIDE OWN PEER BELL   sends nothing, receives what there is, says good-bye
 *   peers look SIDE OWN              says what stands in a side's memory, and changes nothing
 *   peers present BELL               says whom the doorbells' server knows
 *
 * An element bears the life that sends it, and as its number the queue's index. What a side
 * receives it notes in its own memory before it releases the places: so the note survives the side,
 * and says of each element how often it was received, by whom, and from whom.
 */
#include "stream.h"

#define LINK       9u
#define SILENCE_NS SECOND_NS
#define BATCH      16u
#define VECTORS    1u

#define STARTS_MOST 100u
#define LIVES_MOST  100u
#define RUNS_MOST   500u

/* ---- what both sides agree on ---------------------------------------------------------------- */

struct element {
    uint32_t life;
    uint32_t life_again; /* in another way */
    uint32_t words[WORDS];
};

/* A start of the program, and where the queues stood when it opened them. */
struct start_note {
    struct crossvm_le32 head;
    struct crossvm_le32 tail;
};

/* A life of this side, and the number of the first element that could be its. */
struct life_note {
    struct crossvm_le32 life;
    struct crossvm_le32 from;
};

/* Elements that were received one behind the other, under the same circumstances. */
struct run_note {
    struct crossvm_le32 start;    /* which start received them, from 1 */
    struct crossvm_le32 answered; /* the peer's life that was answered then */
    struct crossvm_le32 life;     /* the one that they bear */
    struct crossvm_le32 first;
    struct crossvm_le32 next; /* behind the last */
};

struct notes {
    struct crossvm_le32 n_starts;
    struct crossvm_le32 n_lives;
    struct crossvm_le32 n_runs;
    struct crossvm_le32 bell; /* this start's doorbells, 0 = none, else the id + 1 */
    struct start_note starts[STARTS_MOST];
    struct life_note lives[LIVES_MOST];
    struct run_note runs[RUNS_MOST];
};

enum {
    LIFE,
    TX,
    RX,
    NOTES,
    N_CHUNKS
};

static const char *const to[2] = {"to-b", "to-a"};

static void declare(uint32_t number, struct crossvm_chunk_decl chunks[N_CHUNKS])
{
    const uint32_t self = number + 1;
    const uint32_t other = 2 - number;
    const struct crossvm_chunk_decl decls[N_CHUNKS] = {
        {"life", CROSSVM_KIND_PEER, 0, 0, self, other, 0, LINK},
        {to[number], CROSSVM_KIND_SPSC_TX, CAPACITY, sizeof(struct element), self, other, 0, LINK},
        {to[1 - number], CROSSVM_KIND_SPSC_RX, 0, 0, self, other, 0, LINK},
        {"notes", CROSSVM_KIND_BYTES, 0, sizeof(struct notes), self, other, 0, 0}};
    memcpy(chunks, decls, sizeof(decls));
}

/* ---- one end ------------------------------------------------------------------------------- */

struct end {
    struct side side;
    struct place_bell bell;
    struct crossvm_peer peer;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    struct crossvm_spsc_rx_span span; /* elements that are being received */
    struct crossvm_bytes_writer writer;
    struct crossvm_bytes_reader reader;
    struct notes *notes;
    const struct notes *peer_notes;
    uint32_t start;
    bool sends;
    uint32_t n_held;    /* elements that were received and not released yet */
    uint32_t n_drained; /* elements of the one that is lost, received since */
    uint32_t over;      /* the life that was answered before the state changed */
};

/* A note is whole before it counts. */
static void count_note(struct crossvm_le32 *n, uint32_t most)
{
    uint32_t next = crossvm_load_relaxed(n) + 1;
    if (next > most) {
        give_up("no room for more notes");
    }
    atomic_thread_fence(memory_order_release);
    crossvm_store_relaxed(n, next);
}

static void note_start(struct end *end)
{
    uint32_t n = crossvm_load_relaxed(&end->notes->n_starts);
    struct start_note *note = &end->notes->starts[n];
    crossvm_store_relaxed(&note->head, crossvm_spsc_rx_index(&end->rx));
    crossvm_store_relaxed(&note->tail, crossvm_spsc_tx_index(&end->tx));
    count_note(&end->notes->n_starts, STARTS_MOST - 1);
    end->start = n + 1;
}

static void note_life(struct end *end)
{
    uint32_t n = crossvm_load_relaxed(&end->notes->n_lives);
    struct life_note *note = &end->notes->lives[n];
    crossvm_store_relaxed(&note->life, end->peer.incarnation);
    crossvm_store_relaxed(&note->from, crossvm_spsc_tx_index(&end->tx));
    count_note(&end->notes->n_lives, LIVES_MOST - 1);
}

/* The peer's life that is answered, or was until it was lost. */
static uint32_t answered(const struct end *end)
{
    return end->peer.state == CROSSVM_PEER_LOST ? end->over : end->peer.echo;
}

/* Whether an element goes on where the run ended. */
static bool goes_on(const struct end *end, const struct run_note *run, uint32_t life,
                    uint32_t number)
{
    return crossvm_load_relaxed(&run->start) == end->start &&
           crossvm_load_relaxed(&run->answered) == answered(end) &&
           crossvm_load_relaxed(&run->life) == life && crossvm_load_relaxed(&run->next) == number;
}

static void note_element(struct end *end, uint32_t life, uint32_t number)
{
    uint32_t n = crossvm_load_relaxed(&end->notes->n_runs);
    struct run_note *run = end->notes->runs + n;
    if (n > 0 && goes_on(end, run - 1, life, number)) {
        crossvm_store_relaxed(&(run - 1)->next, number + 1);
        return;
    }
    crossvm_store_relaxed(&run->start, end->start);
    crossvm_store_relaxed(&run->answered, answered(end));
    crossvm_store_relaxed(&run->life, life);
    crossvm_store_relaxed(&run->first, number);
    crossvm_store_relaxed(&run->next, number + 1);
    count_note(&end->notes->n_runs, RUNS_MOST - 1);
}

/* ---- coming up ----------------------------------------------------------------------------- */

static const struct notes *peer_notes(struct end *end)
{
    struct crossvm_chunk chunk = side_find(&end->side, "notes", CROSSVM_KIND_BYTES);
    must(crossvm_bytes_reader_open(&end->reader, &end->side.peer, &chunk), "the peer's notes");
    return (const struct notes *)(const void *)end->reader.data;
}

static struct notes *own_notes(struct end *end)
{
    must(crossvm_bytes_writer_open(&end->writer, &end->side.owner.region, &end->side.table[NOTES]),
         "own notes");
    return (struct notes *)(void *)end->writer.data;
}

/* A seed that no start has used; lives begun on the way by re-establishing have room between. */
static uint32_t next_seed(const struct end *end)
{
    return (crossvm_load_relaxed(&end->notes->n_starts) + 1) * 1000 + end->side.self * 100;
}

static void open_own(struct end *end)
{
    struct crossvm_region *region = &end->side.owner.region;
    struct crossvm_chunk *table = end->side.table;
    uint32_t seed = next_seed(end);
    must(crossvm_spsc_tx_open(&end->tx, region, &table[TX], sizeof(struct element), seed), "tx");
    must(crossvm_spsc_rx_open(&end->rx, region, &table[RX], CAPACITY, sizeof(struct element), seed),
         "rx");
    must(crossvm_peer_open(&end->peer, region, &table[LIFE], SILENCE_NS), "life");
}

static void link_queues(struct end *end)
{
    struct side *side = &end->side;
    struct crossvm_chunk rx = side_find(side, side->table[TX].name, CROSSVM_KIND_SPSC_RX);
    struct crossvm_chunk tx = side_find(side, side->table[RX].name, CROSSVM_KIND_SPSC_TX);
    uint64_t end_ns = limit_ns();
    int to_peer;
    int from_peer;
    do {
        to_peer = crossvm_spsc_tx_link(&end->tx, &side->peer, &rx);
        from_peer = crossvm_spsc_rx_link(&end->rx, &side->peer, &tx);
        rest_a_moment();
    } while ((to_peer == CROSSVM_NOT_YET || from_peer == CROSSVM_NOT_YET) &&
             crossvm_posix_now() < end_ns);
    must(to_peer, "link tx");
    must(from_peer, "link rx");
}

/* Who wants to know by the backend when this side dies, finds its id before its life. */
static void show_bell(struct end *end, const char *where)
{
    must(place_bell_open(&end->bell, where, VECTORS), where);
    crossvm_store_relaxed(&end->notes->bell, end->bell.is_none ? 0 : end->bell.id + 1);
}

static void come_up(struct end *end, uint32_t number, const char *own, const char *peer,
                    const char *where)
{
    struct crossvm_chunk_decl chunks[N_CHUNKS];
    declare(number, chunks);
    side_adopt(&end->side, number + 1, own, chunks, N_CHUNKS);
    end->notes = own_notes(end);
    open_own(end);
    uint32_t seed = next_seed(end);
    note_start(end);
    show_bell(end, where);
    side_attach(&end->side, peer);
    end->peer_notes = peer_notes(end);
    link_queues(end);
    struct crossvm_chunk life = side_find(&end->side, "life", CROSSVM_KIND_PEER);
    must(crossvm_peer_link(&end->peer, &end->side.peer, &life, seed), "link life");
    note_life(end);
    printf("start %u life %u\n", (unsigned)end->start, (unsigned)end->peer.incarnation);
}

/* ---- a turn -------------------------------------------------------------------------------- */

static void say_state(const struct end *end)
{
    printf("%s %u with %u: %s\n", crossvm_peer_state_name(end->peer.state),
           (unsigned)end->peer.incarnation, (unsigned)answered(end),
           crossvm_peer_cause_name(end->peer.cause));
}

/* A process of the host learns from the server who went. */
static void ask_backend(struct end *end)
{
    struct crossvm_ivshmem_change change;
    while (end->bell.client.routes != NULL &&
           crossvm_ivshmem_client_step(&end->bell.client, &change) == CROSSVM_OK) {
        if (!change.there && change.peer + 1 == crossvm_load_relaxed(&end->peer_notes->bell)) {
            must(crossvm_peer_confirm(&end->peer, CROSSVM_PEER_CAUSE_BACKEND), "confirm");
        }
    }
}

static void step(struct end *end)
{
    uint32_t before = end->peer.state;
    uint32_t echo = end->peer.echo;
    ask_backend(end);
    must(crossvm_peer_step(&end->peer, crossvm_posix_now()), "step");
    if (end->peer.state != before) {
        end->over = echo;
        say_state(end);
    }
}

/* n elements that are there. */
static void note_some(struct end *end, uint32_t n)
{
    must(crossvm_spsc_rx_peek(&end->rx, n, &end->span), "peek");
    for (uint32_t i = 0; i < n; i++) {
        struct element element;
        memcpy(&element, crossvm_spsc_rx_span_at(&end->span, i), sizeof(element));
        check(element.words, element.words[0]);
        if (element.life_again != ~element.life) {
            give_up("element %u bears two lives", (unsigned)element.words[0]);
        }
        note_element(end, element.life, element.words[0]);
    }
    end->n_held = n;
}

static void release_held(struct end *end)
{
    must(crossvm_spsc_rx_release(&end->rx, end->n_held), "release");
    end->n_held = 0;
}

/* The number received, or ENDED, or EMPTY. Only one that was answered is listened to. The newest
 * are released when others have come, or none can: so most deaths find elements that were received
 * and not released. */
static int receive(struct end *end)
{
    if (crossvm_peer_ready(&end->peer) == CROSSVM_NOT_YET) {
        return CROSSVM_EMPTY;
    }
    uint32_t n = (uint32_t)must(crossvm_spsc_rx_fill(&end->rx), "fill") - end->n_held;
    int status = crossvm_peer_end(&end->peer, n == 0 ? CROSSVM_EMPTY : CROSSVM_OK);
    if (status == CROSSVM_EMPTY) {
        return status;
    }
    release_held(end);
    if (status == CROSSVM_ENDED) {
        return status;
    }
    n = n < BATCH ? n : BATCH;
    note_some(end, n);
    end->n_drained += end->peer.state == CROSSVM_PEER_LOST ? n : 0;
    return (int)n;
}

/* The number sent. */
static uint32_t send_some(struct end *end)
{
    uint32_t n = 0;
    if (!end->sends || crossvm_peer_ready(&end->peer) != CROSSVM_OK) {
        return 0;
    }
    for (; n < BATCH; n++) {
        struct element element;
        element.life = end->peer.incarnation;
        element.life_again = ~element.life;
        fill(element.words, crossvm_spsc_tx_index(&end->tx));
        int status = crossvm_spsc_tx_push(&end->tx, &element);
        if (status == CROSSVM_FULL) {
            break;
        }
        must(status, "push");
    }
    return n;
}

/* All that the lost one had committed was received. */
static void let_go(struct end *end)
{
    uint32_t life = end->peer.incarnation;
    printf("ended %u at %u: %u drained\n", (unsigned)end->over,
           (unsigned)crossvm_spsc_rx_index(&end->rx), (unsigned)end->n_drained);
    end->n_drained = 0;
    must(crossvm_peer_reestablish(&end->peer), "re-establish");
    if (end->peer.incarnation != life) {
        note_life(end);
    }
    say_state(end);
}

static void run(struct end *end)
{
    const struct timespec moment = {0, 200000};
    end->sends = true;
    for (;;) {
        step(end);
        int received = receive(end);
        if (received == CROSSVM_ENDED) {
            let_go(end);
        }
        if (send_some(end) == 0 && received < 0) {
            (void)nanosleep(&moment, NULL);
        }
    }
}

/* The peer's last life sends nothing either: what is there when it is up is all there will be. It
 * may have closed by then; or it was its predecessor that was answered, and has ended. */
static void drain(struct end *end)
{
    uint64_t end_ns = limit_ns();
    bool all = false;
    while (!all) {
        step(end);
        bool up = crossvm_peer_ready(&end->peer) == CROSSVM_OK;
        int received = receive(end);
        all = up && received == CROSSVM_EMPTY;
        if (received == CROSSVM_ENDED) {
            all = end->peer.cause == CROSSVM_PEER_CAUSE_CLOSED;
            let_go(end);
        }
        if (crossvm_posix_now() > end_ns) {
            give_up("nobody comes");
        }
    }
    release_held(end);
    must(crossvm_peer_close(&end->peer), "close");
    printf("drained\n");
}

/* ---- what stands in memory ------------------------------------------------------------------- */

static void look_at_notes(const struct notes *notes)
{
    printf("bell %u\n", (unsigned)crossvm_load_relaxed(&notes->bell));
    for (uint32_t i = 0; i < crossvm_load_relaxed(&notes->n_starts); i++) {
        printf("start %u %u\n", (unsigned)crossvm_load_relaxed(&notes->starts[i].head),
               (unsigned)crossvm_load_relaxed(&notes->starts[i].tail));
    }
    for (uint32_t i = 0; i < crossvm_load_relaxed(&notes->n_lives); i++) {
        printf("life %u %u\n", (unsigned)crossvm_load_relaxed(&notes->lives[i].life),
               (unsigned)crossvm_load_relaxed(&notes->lives[i].from));
    }
    for (uint32_t i = 0; i < crossvm_load_relaxed(&notes->n_runs); i++) {
        const struct run_note *run = &notes->runs[i];
        printf("run %u %u %u %u %u\n", (unsigned)crossvm_load_relaxed(&run->start),
               (unsigned)crossvm_load_relaxed(&run->answered),
               (unsigned)crossvm_load_relaxed(&run->life),
               (unsigned)crossvm_load_relaxed(&run->first),
               (unsigned)crossvm_load_relaxed(&run->next));
    }
}

static const void *look_for(struct side *side, const char *name, uint32_t kind)
{
    struct crossvm_chunk chunk = side_find(side, name, kind);
    return side->peer.base + (size_t)chunk.off;
}

/* As a stranger who only reads: who opens a part of a queue would begin a life in it. */
static void look(uint32_t number, const char *own)
{
    static struct side side;
    side.self = 2 - number;
    side_attach(&side, own);
    const struct crossvm_peer_shm *life = look_for(&side, "life", CROSSVM_KIND_PEER);
    const struct crossvm_spsc_tx_shm *tx = look_for(&side, to[number], CROSSVM_KIND_SPSC_TX);
    const struct crossvm_spsc_rx_shm *rx = look_for(&side, to[1 - number], CROSSVM_KIND_SPSC_RX);
    const unsigned char *notes = look_for(&side, "notes", CROSSVM_KIND_BYTES);
    printf("incarnation %u\n", (unsigned)crossvm_load_relaxed(&life->incarnation));
    printf("echo %u\n", (unsigned)crossvm_load_relaxed(&life->echo));
    printf("beat %u\n", (unsigned)crossvm_load_relaxed(&life->beat));
    printf("tail %u\n", (unsigned)crossvm_load_relaxed(&tx->line.index));
    printf("head %u\n", (unsigned)crossvm_load_relaxed(&rx->line.index));
    look_at_notes((const struct notes *)(const void *)(notes + CROSSVM_LINE));
}

static void present(const char *where)
{
    static struct place_bell bell;
    must(place_bell_open(&bell, where, VECTORS), where);
    for (uint32_t i = 0; i < bell.client.bells.n_routes; i++) {
        if (bell.routes[i].vector == 0) {
            printf("present %u\n", (unsigned)bell.routes[i].peer);
        }
    }
}

int main(int argc, char **argv)
{
    static struct end end;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "present") == 0) {
        present(argv[2]);
        return 0;
    }
    uint32_t number = argc > 2 && strcmp(argv[2], "1") == 0 ? 1 : 0;
    if (argc == 4 && strcmp(argv[1], "look") == 0) {
        look(number, argv[3]);
        return 0;
    }
    if (argc != 6 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "drain") != 0)) {
        fprintf(stderr, "usage: peers run|drain SIDE OWN PEER BELL, peers look SIDE OWN, or "
                        "peers present BELL\n");
        return 2;
    }
    come_up(&end, number, argv[3], argv[4], argv[5]);
    (argv[1][0] == 'r' ? run : drain)(&end);
    return 0;
}
