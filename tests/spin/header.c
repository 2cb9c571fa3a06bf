/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers' side of the models. With "rules": each condition of rules.h answers what wake.h,
 * spsc.h or pipe.h answers, for all values. With "steps": prints what trace.pml prints, but of the
 * shipped headers: every access to an index, event or mode, every fence, ring and sleep.
 */
#define CROSSVM_HOOKS
#include "../support/queue.h"

#define MODULUS 32u
#include "rules.h"

_Static_assert(MODE_ALWAYS == CROSSVM_WAKE_ALWAYS && MODE_NEVER == CROSSVM_WAKE_NEVER &&
                   MODE_EVENT == CROSSVM_WAKE_EVENT,
               "modes");

enum {
    CAPACITY = 8, /* as in trace.pml */
    CONSUMER = 0,
    PRODUCER = 1,
    DEADLINE = 1000,
    DELAY = 10
};

#define START 0xfffffffcu                   /* the wrap comes soon */
#define APART (0x80000000u / (MODULUS / 2)) /* small numbers are this far apart */

static struct queue queue;
static struct crossvm_pipe_tx tx;
static struct crossvm_pipe_rx rx;
static struct crossvm_spsc_tx tx_as_linked;
static struct crossvm_spsc_rx rx_as_linked;

/* ---- rules -------------------------------------------------------------------------------- */

static struct crossvm_wake_line_shm line;

static void compare_kick(uint32_t mode, uint32_t event, uint32_t old, uint32_t index, uint32_t span)
{
    struct crossvm_wake_publisher publisher;
    uint64_t again_ns;
    crossvm_store_relaxed(&line.event, event * APART);
    crossvm_store_relaxed(&line.mode, mode);
    crossvm_store_pair(&line.delay_lo, &line.delay_hi, 0);
    for (int fresh = 0; fresh < 2; fresh++) {
        crossvm_i_wake_publisher_set(&publisher, &line, old * APART, span * APART);
        publisher.fresh = fresh;
        CHECK_EQ(crossvm_wake_due(&publisher, index * APART, 0, &again_ns),
                 fresh || DUE(mode, event, old, index, span));
        CHECK_EQ(publisher.old, index * APART);
    }
    CHECK_EQ(crossvm_i_wake_passed(event * APART, old * APART, index * APART, span * APART),
             PASSED(event, old, index, span));
    /* A delay that is over rings where it counts. */
    crossvm_store_pair(&line.delay_lo, &line.delay_hi, 5);
    crossvm_i_wake_publisher_set(&publisher, &line, old * APART, span * APART);
    publisher.fresh = false;
    publisher.pending_event = event * APART;
    publisher.pending_ns = 1;
    CHECK_EQ(crossvm_wake_due(&publisher, index * APART, 100, &again_ns),
             DUE(mode, event, old, index, span) || DELAY_COUNTS(mode, event, old, index, span));
}

static void compare_looks(uint32_t mode)
{
    struct crossvm_wake_publisher publisher;
    crossvm_i_wake_publisher_set(&publisher, &line, 0, 1);
    crossvm_store_relaxed(&line.mode, mode);
    CHECK_EQ(crossvm_wake_nudge(&publisher), NUDGE_DUE(mode));
    CHECK_EQ(crossvm_wake_peer_waits(&publisher), PEER_WAITS(mode));
}

static void compare_all(void)
{
    for (uint32_t mode = 0; mode < 4; mode++) {
        compare_looks(mode);
        for (uint32_t event = 0; event < MODULUS; event++) {
            for (uint32_t old = 0; old < MODULUS; old++) {
                for (uint32_t index = 0; index < MODULUS; index++) {
                    for (uint32_t span = 1; span <= MODULUS / 2; span += 5) {
                        compare_kick(mode, event, old, index, span);
                    }
                }
            }
        }
    }
}

/* ---- steps -------------------------------------------------------------------------------- */

static bool listening;
static int side; /* whose call runs */
static const volatile struct crossvm_le32 *stored;

static uint32_t script;
static uint32_t n_sleeps;
static uint64_t now;

static uint32_t small(uint32_t index)
{
    return (index - START) % MODULUS;
}

/* The word's name and value, if the models know it. */
static void say(const char *what, const volatile struct crossvm_le32 *word)
{
    static const char *const names[2][3] = {{"c_index", "c_event", "c_mode"},
                                            {"p_index", "p_event", "p_mode"}};
    for (int i = 0; i < 2; i++) {
        const struct crossvm_wake_line_shm *of =
            i == CONSUMER ? &queue_rx_words(&queue)->line : &queue_tx_words(&queue)->line;
        const struct crossvm_wake_line_shm *seen =
            i == CONSUMER ? &queue.tx.peer->line : &queue.rx.peer->line;
        uint32_t value = word->i_bits;
        if (word == &of->index || word == &seen->index) {
            printf("%s %s %u\n", what, names[i][0], (unsigned)small(value));
        } else if (word == &of->event || word == &seen->event) {
            printf("%s %s %u\n", what, names[i][1], (unsigned)small(value));
        } else if (word == &of->mode || word == &seen->mode) {
            printf("%s %s %u\n", what, names[i][2], (unsigned)value);
        }
    }
}

static void say_stored(void)
{
    if (stored != NULL) {
        say("store", stored);
    }
    stored = NULL;
}

/* A store is said when it is done: at the next step. */
void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    (void)len;
    if (!listening) {
        return;
    }
    say_stored();
    if (access == CROSSVM_ACCESS_STORE) {
        stored = (const volatile struct crossvm_le32 *)addr;
    } else if (access == CROSSVM_ACCESS_LOAD) {
        say("load", (const volatile struct crossvm_le32 *)addr);
    } else if (access == CROSSVM_ACCESS_FENCE) {
        printf("fence %d\n", side);
    }
}

static int bell_signal(void *context, uint32_t peer, uint32_t vector)
{
    (void)context;
    (void)peer;
    (void)vector;
    say_stored();
    printf("ring %d\n", 1 - side);
    return CROSSVM_OK;
}

/* As script_sleep of trace.pml. */
static int bell_wait(void *context, uint32_t vector, uint64_t deadline_ns)
{
    (void)context;
    (void)vector;
    struct crossvm_wake_line_shm *consumer = &queue_rx_words(&queue)->line;
    struct crossvm_wake_line_shm *producer = &queue_tx_words(&queue)->line;
    uint32_t head = rx.queue.head;
    int status = CROSSVM_OK;
    say_stored();
    printf("sleep\n");
    listening = false;
    n_sleeps++;
    uint32_t tail = crossvm_load_relaxed(&producer->index);
    uint32_t released = crossvm_load_relaxed(&consumer->index);
    if (script == 1 && n_sleeps == 1) {
        crossvm_store_relaxed(side == CONSUMER ? &producer->mode : &consumer->mode, MODE_EVENT);
    } else if (script == 2 && side == CONSUMER && tail - head < CAPACITY) {
        crossvm_store_relaxed(&producer->index, tail + 1);
    } else if (script == 2 && side == PRODUCER && released != tail) {
        crossvm_store_relaxed(&consumer->index, released + 1);
    } else {
        bool over = script == 3 && n_sleeps == 1 && deadline_ns < DEADLINE;
        now = over ? deadline_ns : DEADLINE;
        status = CROSSVM_TIMEOUT;
    }
    listening = true;
    return status;
}

static uint64_t bell_now(void *context)
{
    (void)context;
    return now;
}

static const struct crossvm_notify_ops bell_ops = {bell_signal, bell_wait, NULL, bell_now, NULL};
static struct crossvm_notify bell = {&bell_ops, NULL, 0, 0};

/* Both sides stand at index START, and n elements lie in the queue. */
static void begin(uint32_t n, uint32_t mode_of_peer)
{
    struct crossvm_wake_line_shm *consumer = &queue_rx_words(&queue)->line;
    struct crossvm_wake_line_shm *producer = &queue_tx_words(&queue)->line;
    tx.queue = tx_as_linked;
    rx.queue = rx_as_linked;
    tx.queue.tail = START + n;
    tx.queue.n_free = CAPACITY - n;
    tx.queue.kick.old = START + n;
    tx.queue.kick.fresh = false;
    rx.queue.kick.fresh = false;
    crossvm_store_relaxed(&consumer->index, START);
    crossvm_store_relaxed(&producer->index, START + n);
    crossvm_store_relaxed(&consumer->event, START);
    crossvm_store_relaxed(&producer->event, START);
    crossvm_store_relaxed(&consumer->mode, mode_of_peer);
    crossvm_store_relaxed(&producer->mode, mode_of_peer);
    n_sleeps = 0;
    now = 0;
}

static int produce(uint32_t n, uint32_t want)
{
    uint64_t elem = 0;
    uint64_t again_ns;
    if (n < CAPACITY) {
        REQUIRE(crossvm_spsc_tx_push(&tx.queue, &elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_pipe_tx_kick(&tx, &again_ns) == CROSSVM_OK);
    return crossvm_pipe_tx_wait(&tx, want, DEADLINE);
}

static int consume(uint32_t n, uint32_t want, uint64_t delay_ns)
{
    uint64_t elem;
    REQUIRE(crossvm_spsc_rx_fill(&rx.queue) == (int)n);
    if (n > 0) {
        REQUIRE(crossvm_spsc_rx_pop(&rx.queue, &elem) == CROSSVM_OK);
    }
    REQUIRE(crossvm_pipe_rx_kick(&rx) == CROSSVM_OK);
    return crossvm_pipe_rx_wait(&rx, want, delay_ns, DEADLINE);
}

static void steps_of(uint32_t n, uint32_t peer, uint32_t want, int variant)
{
    begin(n, peer);
    printf("of %u, mode %u, script %u, want %u, side %d\n", (unsigned)n, (unsigned)peer,
           (unsigned)script, (unsigned)want, variant);
    side = variant == PRODUCER ? PRODUCER : CONSUMER;
    listening = true;
    int answer = side == PRODUCER ? produce(n, want) : consume(n, want, variant == 2 ? DELAY : 0);
    listening = false;
    say_stored();
    printf("answer %d\n", answer == CROSSVM_TIMEOUT ? 0 : answer);
}

static void all_steps(void)
{
    const struct crossvm_pipe_bell to_peer = {&bell, 0, 0, 0};
    tx.bell = to_peer;
    rx.bell = to_peer;
    tx_as_linked = queue.tx;
    rx_as_linked = queue.rx;
    for (uint32_t n = 0; n <= CAPACITY; n++) {
        for (uint32_t peer = 0; peer < 3; peer++) {
            for (script = 0; script < 4; script++) {
                for (uint32_t want = 1; want <= CAPACITY; want++) {
                    for (int variant = 0; variant < 3; variant++) {
                        steps_of(n, peer, want, variant);
                    }
                }
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct queue_options usual = {CROSSVM_WRITE_BACK, false};
    if (argc != 2 || (strcmp(argv[1], "rules") != 0 && strcmp(argv[1], "steps") != 0)) {
        fprintf(stderr, "usage: header rules|steps\n");
        return 2;
    }
    if (strcmp(argv[1], "rules") == 0) {
        compare_all();
        return check_done();
    }
    queue_up(&queue, CAPACITY, 8, START, usual);
    all_steps();
    queue_drop(&queue);
    return 0;
}
