/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/stream.c - numbered elements from one machine to another, until one of them is gone.
 *
 *   stream produce OWN PEER BELL N   pushes N elements, or until nobody takes them any more
 *   stream consume OWN PEER BELL N   takes N elements, or until nobody pushes any more
 *   stream misfit OWN PEER BELL N    a consumer that asks for elements of another length
 *   stream tail OWN                  says how many elements a producer has committed in its memory
 *   stream head OWN                  says how many elements a consumer has released in its memory
 *
 * Each side says what it saw. A silence of SILENCE_NS counts as the other's end.
 */
#include "stream.h"

#define SILENCE_NS (20 * SECOND_NS)
#define SAY_EVERY  10000u

static void produce(const char *own, const char *peer, const char *where, uint32_t n)
{
    static struct side side;
    static struct place_bell bell;
    struct crossvm_notify notify;
    struct crossvm_pipe_tx pipe;
    uint32_t words[WORDS];
    uint64_t again_ns;
    int status;
    side_listen(&bell, where, &notify);
    side_format(&side, SELF_PRODUCER, own, &tx_decl, 1);
    must(crossvm_spsc_tx_open(&pipe.queue, &side.owner.region, &side.table[0], WORDS * 4, 1), "tx");
    side_attach(&side, peer);
    struct crossvm_chunk rx = side_find(&side, "stream", CROSSVM_KIND_SPSC_RX);
    while ((status = crossvm_spsc_tx_link(&pipe.queue, &side.peer, &rx)) == CROSSVM_NOT_YET) {
        rest_a_moment();
    }
    must(status, "link");
    hang(&pipe.bell, &bell, &notify, 1, 0);
    for (uint32_t i = 0; i < n; i++) {
        status = crossvm_pipe_tx_wait(&pipe, 1, crossvm_posix_now() + SILENCE_NS);
        if (status == CROSSVM_TIMEOUT) {
            printf("nobody takes: %u pushed\n", (unsigned)i);
            return;
        }
        must(status, "room");
        fill(words, i);
        must(crossvm_spsc_tx_push(&pipe.queue, words), "push");
        must(crossvm_pipe_tx_kick(&pipe, &again_ns), "kick");
    }
    printf("pushed %u\n", (unsigned)n);
}

static void consume(const char *own, const char *peer, const char *where, uint32_t n)
{
    static struct side side;
    static struct place_bell bell;
    struct crossvm_notify notify;
    struct crossvm_pipe_rx pipe;
    uint32_t words[WORDS];
    uint32_t taken = 0;
    consumer_up(&side, &pipe, &bell, &notify, own, peer, where, WORDS * 4);
    while (taken < n) {
        int status = crossvm_spsc_rx_pop(&pipe.queue, words);
        if (status == CROSSVM_EMPTY) {
            status = crossvm_pipe_rx_wait(&pipe, 1, 0, crossvm_posix_now() + SILENCE_NS);
            if (status == CROSSVM_TIMEOUT) {
                printf("nobody pushes: %u taken, all as they were pushed\n", (unsigned)taken);
                return;
            }
            must(status, "elements");
            continue;
        }
        must(status, "pop");
        check(words, taken);
        taken++;
        must(crossvm_pipe_rx_kick(&pipe), "kick");
        if (taken % SAY_EVERY == 0) {
            printf("taken %u\n", (unsigned)taken);
            (void)fflush(stdout);
        }
    }
    printf("took %u, all as they were pushed\n", (unsigned)taken);
}

/* Looks at what a dead producer left behind, as its next incarnation would. */
static void say_tail(const char *own)
{
    struct place place;
    struct crossvm_region region;
    struct crossvm_chunk chunk;
    struct crossvm_spsc_tx tx;
    must(place_open(&place, own, CROSSVM_READ_WRITE), own);
    must(crossvm_region_attach(&region, &place.mapping, SELF_PRODUCER), "attach");
    must(crossvm_region_find(&region, "stream", CROSSVM_KIND_SPSC_TX, 0, &chunk), "stream");
    must(crossvm_spsc_tx_open(&tx, &region, &chunk, WORDS * 4, 2), "tx");
    printf("tail %u\n", (unsigned)crossvm_spsc_tx_index(&tx));
}

static void say_head(const char *own)
{
    struct place place;
    struct crossvm_region region;
    struct crossvm_chunk chunk;
    struct crossvm_spsc_rx rx;
    must(place_open(&place, own, CROSSVM_READ_WRITE), own);
    must(crossvm_region_attach(&region, &place.mapping, SELF_CONSUMER), "attach");
    must(crossvm_region_find(&region, "stream", CROSSVM_KIND_SPSC_RX, 0, &chunk), "stream");
    must(crossvm_spsc_rx_open(&rx, &region, &chunk, CAPACITY, WORDS * 4, 2), "rx");
    printf("head %u\n", (unsigned)crossvm_spsc_rx_index(&rx));
}

/* Asks for half an element, and says what comes of it. */
static void misfit(const char *own, const char *peer, const char *where)
{
    static struct side side;
    static struct place_bell bell;
    static struct crossvm_notify notify;
    static struct crossvm_pipe_rx pipe;
    consumer_up(&side, &pipe, &bell, &notify, own, peer, where, WORDS * 2);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && (strcmp(argv[1], "tail") == 0 || strcmp(argv[1], "head") == 0)) {
        (argv[1][0] == 't' ? say_tail : say_head)(argv[2]);
        return 0;
    }
    if (argc != 6) {
        fprintf(stderr,
                "usage: stream produce|consume|misfit OWN PEER BELL N, or stream tail|head OWN\n");
        return 2;
    }
    uint32_t n = (uint32_t)strtoul(argv[5], NULL, 10);
    if (strcmp(argv[1], "misfit") == 0) {
        misfit(argv[2], argv[3], argv[4]);
        return 0;
    }
    (strcmp(argv[1], "produce") == 0 ? produce : consume)(argv[2], argv[3], argv[4], n);
    return 0;
}
