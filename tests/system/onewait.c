/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/onewait.c - one wait for another machine and for a process of this one: a queue over
 * devices with the machine's doorbells, beside a queue over memfds with eventfds. Same calls.
 *
 *   onewait OWN PEER BELL N   takes N elements of each; the machine's come from `stream produce`
 */
#include "stream.h"

#include <crossvm/backend/poll.h>

#include <sys/wait.h>

#define LOCAL  0u
#define REMOTE 1u

static const char *const names[2] = {"the process", "the machine"};

/* ---- the process beside us ----------------------------------------------------------------- */

/* A queue within this machine: the memory and the doorbells of both ends, made before the fork. */
struct local {
    struct crossvm_memfd memory[2]; /* producer's, consumer's: written by their own side */
    struct crossvm_memfd shown[2];  /* the same, as the other side maps them */
    struct crossvm_region_owner owners[2];
    struct crossvm_region seen[2];
    struct crossvm_chunk chunks[2];
    int bells[2];
    struct crossvm_eventfd_route routes[2];
    struct crossvm_eventfd eventfds[2];
    struct crossvm_notify notifies[2];
};

static void make_end(struct local *local, uint32_t end)
{
    const struct crossvm_chunk_decl *decl = end == 0 ? &tx_decl : &rx_decl;
    struct crossvm_region_plan plan;
    uint64_t len = 0;
    memset(&plan, 0, sizeof(plan));
    plan.chunks = decl;
    plan.n_chunks = 1;
    plan.owner = end == 0 ? SELF_PRODUCER : SELF_CONSUMER;
    plan.region_id[0] = (uint8_t)(100 + end);
    must(crossvm_region_plan_len(&plan, &len), "plan");
    must(crossvm_memfd_create(&local->memory[end], "onewait", len), "memfd");
    must(crossvm_region_owner_format(&local->owners[end], &local->memory[end].mapping, &plan,
                                     &local->chunks[end], 1),
         "format");
    must(crossvm_memfd_open(&local->shown[end], dup(local->memory[end].fd)), "memfd");
    must(crossvm_region_attach(&local->seen[end], &local->shown[end].mapping,
                               end == 0 ? SELF_CONSUMER : SELF_PRODUCER),
         "attach");
    local->bells[end] = must(crossvm_eventfd_create(), "eventfd");
}

static void local_make(struct local *local)
{
    for (uint32_t end = 0; end < 2; end++) {
        make_end(local, end);
    }
    for (uint32_t end = 0; end < 2; end++) {
        const struct crossvm_eventfd_route route = {1 - end, 0, local->bells[1 - end]};
        local->routes[end] = route;
        local->eventfds[end].routes = &local->routes[end];
        local->eventfds[end].n_routes = 1;
        local->eventfds[end].own = &local->bells[end];
        local->eventfds[end].n_own = 1;
        crossvm_notify_eventfd(&local->notifies[end], &local->eventfds[end]);
    }
}

static _Noreturn void produce_locally(struct local *local, uint32_t n)
{
    struct crossvm_pipe_tx pipe;
    uint32_t words[WORDS];
    uint64_t again_ns;
    int status;
    must(crossvm_spsc_tx_open(&pipe.queue, &local->owners[0].region, &local->chunks[0], WORDS * 4,
                              1),
         "tx");
    while ((status = crossvm_spsc_tx_link(&pipe.queue, &local->seen[1], &local->chunks[1])) ==
           CROSSVM_NOT_YET) {
        rest_a_moment();
    }
    must(status, "link");
    const struct crossvm_pipe_bell bell = {&local->notifies[0], 1, 0, 0};
    pipe.bell = bell;
    for (uint32_t i = 0; i < n; i++) {
        must(crossvm_pipe_tx_wait(&pipe, 1, limit_ns()), "room");
        fill(words, i);
        must(crossvm_spsc_tx_push(&pipe.queue, words), "push");
        must(crossvm_pipe_tx_kick(&pipe, &again_ns), "kick");
    }
    exit(0);
}

static void consumer_links(struct local *local, struct crossvm_pipe_rx *pipe)
{
    const struct crossvm_pipe_bell bell = {&local->notifies[1], 0, 0, 0};
    int status;
    must(crossvm_spsc_rx_open(&pipe->queue, &local->owners[1].region, &local->chunks[1], CAPACITY,
                              WORDS * 4, 1),
         "rx");
    while ((status = crossvm_spsc_rx_link(&pipe->queue, &local->seen[0], &local->chunks[0])) ==
           CROSSVM_NOT_YET) {
        rest_a_moment();
    }
    must(status, "link");
    pipe->bell = bell;
}

/* ---- one wait ------------------------------------------------------------------------------ */

static void take(struct crossvm_pipe_rx *pipe, uint32_t *taken)
{
    uint32_t words[WORDS];
    int status;
    while ((status = crossvm_spsc_rx_pop(&pipe->queue, words)) == CROSSVM_OK) {
        check(words, *taken);
        ++*taken;
    }
    if (status != CROSSVM_EMPTY) {
        must(status, "pop");
    }
    must(crossvm_pipe_rx_kick(pipe), "kick");
}

static void take_both(struct crossvm_pipe_rx pipes[2], struct crossvm_notify *listening, uint32_t n)
{
    struct crossvm_waitset_source sources[2];
    struct crossvm_waitset set;
    uint32_t taken[2] = {0, 0};
    uint32_t n_waits = 0;
    for (uint32_t i = 0; i < 2; i++) {
        crossvm_waitset_watch_elements(&sources[i], &pipes[i].queue, &pipes[i].bell, 1, 0);
    }
    crossvm_waitset_init(&set, sources, 2, listening, 0);
    while (taken[LOCAL] < n || taken[REMOTE] < n) {
        must(crossvm_waitset_wait(&set, limit_ns()), "wait");
        n_waits++;
        for (uint32_t i = 0; i < 2; i++) {
            if (sources[i].ready != 0) {
                must(sources[i].ready, names[i]);
                take(&pipes[i], &taken[i]);
            }
        }
    }
    printf("took %u of the process and %u of the machine in %u waits\n", (unsigned)taken[LOCAL],
           (unsigned)taken[REMOTE], (unsigned)n_waits);
}

int main(int argc, char **argv)
{
    static struct local local;
    static struct side side;
    static struct place_bell bell;
    static struct crossvm_pipe_rx pipes[2];
    struct crossvm_notify notify;
    struct crossvm_notify listening;
    struct pollfd fds[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 5) {
        fprintf(stderr, "usage: onewait OWN PEER BELL N\n");
        return 2;
    }
    uint32_t n = (uint32_t)strtoul(argv[4], NULL, 10);
    local_make(&local);
    pid_t child = fork();
    if (child == 0) {
        produce_locally(&local, n);
    }
    consumer_links(&local, &pipes[LOCAL]);
    consumer_up(&side, &pipes[REMOTE], &bell, &notify, argv[1], argv[2], argv[3], WORDS * 4);
    struct crossvm_poll_bell bells[2] = {{&local.notifies[1], 0, 0},
                                         {&notify, pipes[REMOTE].bell.vector_in, 0}};
    struct crossvm_poll poll_both = {bells, fds, 2, 0, 1000000, false};
    must(crossvm_notify_poll(&listening, &poll_both), "poll");
    take_both(pipes, &listening, n);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        give_up("the process ended with %d", status);
    }
    return 0;
}
