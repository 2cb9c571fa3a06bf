/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack.c - crossvm-demo-attack: a server, a healthy peer, and one that lies.
 *
 *   healthy peer --state, queue-->          <--state, queue-- attacker
 *                <--state, queue--  server  --state, queue-->
 *
 * Three processes; each contact has a region at each end, which nobody else can write. The server
 * sends back every element that it takes. The attacker behaves, then writes what it should not into
 * all that it can write, a phase in each of its lives; the server says what it noticed, drops it,
 * and lets its next life in. All the time the healthy peer must get all that it is due, in order.
 */
#include "attacker.h"
#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    HEALTHY = 0,
    ATTACKER = 1,
    N_PEERS = 2
};

#define BATCH     16u
#define N_LOOKS   200u /* turns in which an attack must have been noticed */
#define N_SHOWN   6u   /* notices in the picture */
#define GOOD_NS   (200ull * DEMO_MS)
#define GRACE_NS  (60000ull * DEMO_MS) /* what the run may take beyond the seconds asked for */
#define TEXT_LEN  320u
#define SECOND_NS 1000000000ull

/* How a life ended. */
struct ending {
    uint32_t life;
    const struct phase *phase;
    struct notice notice;
    struct client_report report;
    bool expected;
};

/* A peer as the server sees it. */
struct peer {
    const char *name;
    pid_t pid;
    int socket;
    bool here;          /* it was let in */
    bool gone;          /* it said goodbye, or its process is no more */
    bool attacks;       /* it says so */
    uint64_t looks;     /* turns since then */
    uint32_t life;      /* 0 for the first one */
    uint64_t n_taken;   /* elements of lives that are over, */
    uint64_t n_read;    /* versions, */
    uint64_t n_notices; /* and lives that did not end well */
    struct contact contact;
    struct client_report report;
};

struct server {
    struct peer peers[N_PEERS];
    uint64_t started_ns;
    uint64_t end_ns;
    bool ending;   /* everybody was told */
    bool expected; /* all that was noticed so far was to be */
    struct ending endings[N_PHASES];
    uint64_t n_more; /* lives beyond these */
    struct ending shown[N_SHOWN];
    uint64_t n_shown; /* so far; the ring holds the last ones */
    struct picture picture;
};

/* ---- what is shown ------------------------------------------------------------------------- */

static double seconds(const struct server *server)
{
    return (double)(crossvm_posix_now() - server->started_ns) / (double)SECOND_NS;
}

static const char *peer_state(const struct peer *peer)
{
    return peer->here ? crossvm_peer_state_name(peer->contact.life.state) : "OUT";
}

static uint64_t peer_taken(const struct peer *peer)
{
    return peer->n_taken + (peer->here ? peer->contact.state.n_taken : 0);
}

static uint64_t peer_read(const struct peer *peer)
{
    return peer->n_read + (peer->here ? peer->contact.n_read : 0);
}

static void ending_text(const struct ending *ending, bool brief, char *text, size_t len)
{
    char kernel[80] = "";
    char notice[TEXT_LEN];
    if (ending->report.n_tried != 0) {
        (void)snprintf(kernel, sizeof(kernel), "; attempts %u, refused by the kernel %u",
                       (unsigned)ending->report.n_tried, (unsigned)ending->report.n_refused);
    }
    notice_text(&ending->notice, brief, notice, sizeof(notice));
    (void)snprintf(text, len, "%s%s", notice, kernel);
}

static void print_line(const struct server *server)
{
    printf("%5.1f s", seconds(server));
    for (uint32_t i = 0; i < N_PEERS; i++) {
        const struct peer *peer = &server->peers[i];
        printf(" | %s %s elements %" PRIu64 " versions %" PRIu64 " errors %" PRIu64, peer->name,
               peer_state(peer), peer_taken(peer), peer_read(peer), peer->n_notices);
    }
    printf(" | life %u\n", (unsigned)server->peers[ATTACKER].life + 1);
    (void)fflush(stdout);
}

static void draw_picture(struct server *server)
{
    struct picture *picture = &server->picture;
    char text[TEXT_LEN];
    picture_begin(picture);
    picture_line(picture, "crossvm demo   %.1f s   the attacker's life %u", seconds(server),
                 (unsigned)server->peers[ATTACKER].life + 1);
    picture_line(picture, "%s", "");
    for (uint32_t i = 0; i < N_PEERS; i++) {
        const struct peer *peer = &server->peers[i];
        picture_line(
            picture,
            "%-8s  %-9s  %9" PRIu64 " elements  %7" PRIu64 " versions  %5" PRIu64 " errors",
            peer->name, peer_state(peer), peer_taken(peer), peer_read(peer), peer->n_notices);
    }
    picture_line(picture, "%s", "");
    for (uint64_t i = 0; i < N_SHOWN; i++) {
        const struct ending *ending = &server->shown[(server->n_shown + i) % N_SHOWN];
        bool is_one = ending->phase != NULL;
        ending_text(ending, true, text, sizeof(text));
        picture_line(picture, "%s", is_one ? ending->phase->name : "");
        picture_line(picture, "  %s", is_one ? text : "");
    }
    (void)fflush(stdout);
}

static void show(struct server *server)
{
    if (!picture_is_due(&server->picture)) {
        return;
    }
    if (server->picture.terminal) {
        draw_picture(server);
    } else {
        print_line(server);
    }
}

static void show_ending(struct server *server, const struct ending *ending)
{
    char text[TEXT_LEN];
    server->shown[server->n_shown % N_SHOWN] = *ending;
    server->n_shown++;
    if (!server->picture.terminal) {
        ending_text(ending, false, text, sizeof(text));
        printf("        life %u, %s: %s\n", (unsigned)ending->life + 1, ending->phase->name, text);
        (void)fflush(stdout);
    }
}

/* ---- ends of lives ------------------------------------------------------------------------- */

/* Whether the phase was taken as it had to be. */
static bool is_expected(const struct ending *ending)
{
    const struct phase *phase = ending->phase;
    const struct notice *notice = &ending->notice;
    bool none = notice->kind == NOTICE_NONE;
    switch (phase->end) {
    case END_UNHARMED:
        return none && ending->report.n_refused == ending->report.n_tried;
    case END_ANY:
        return true;
    case END_ANY_NOTICE:
        return !none;
    default:
        return notice->kind == phase->kind && notice->fault.rule == phase->rule &&
               strcmp(notice->where, phase->where) == 0;
    }
}

static void note_ending(struct server *server, const struct peer *peer)
{
    struct ending ending = {.life = peer->life, .notice = peer->contact.notice};
    ending.phase = &phases[peer->life < N_PHASES ? peer->life : N_PHASES - 1];
    ending.report = peer->report;
    ending.expected = is_expected(&ending);
    server->expected = server->expected && ending.expected;
    if (peer->life < N_PHASES) {
        server->endings[peer->life] = ending;
    } else {
        server->n_more++;
    }
    show_ending(server, &ending);
}

/* A byte on its socket. Who does not read it is not waited for. */
static void tell(const struct peer *peer, enum client_word word)
{
    unsigned char byte = (unsigned char)word;
    (void)send(peer->socket, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_time(const struct server *server)
{
    return crossvm_posix_now() >= server->end_ns && server->peers[ATTACKER].life + 1 >= N_PHASES;
}

/* Drops the attacker; unless it is time to end, its next life may come. */
static void drop(struct server *server, struct peer *peer)
{
    note_ending(server, peer);
    peer->n_taken += peer->contact.state.n_taken;
    peer->n_read += peer->contact.n_read;
    peer->n_notices += peer->contact.notice.kind != NOTICE_NONE;
    peer->here = false;
    contact_drop(&peer->contact);
    peer->gone = is_time(server);
    if (!peer->gone) {
        peer->life++;
    }
    tell(peer, peer->gone ? WORD_END : WORD_DROPPED);
}

/* ---- turns --------------------------------------------------------------------------------- */

/* Lets in whoever hands memory over. */
static void admit(struct server *server, struct peer *peer)
{
    int fd;
    int status = crossvm_memfd_receive(peer->socket, &fd, 1);
    peer->gone = status == CROSSVM_EMPTY;
    if (status != CROSSVM_OK) {
        return;
    }
    memset(&peer->report, 0, sizeof(peer->report));
    peer->attacks = false;
    peer->looks = 0;
    peer->here = true;
    if (!contact_attach(&peer->contact, fd)) {
        drop(server, peer);
        return;
    }
    contact_publish(&peer->contact);
    peer->gone = crossvm_memfd_send(peer->socket, &peer->contact.memory.fd, 1) != CROSSVM_OK;
}

/* Takes what there is and sends it back. Whether it can go on. */
static bool echo(struct contact *contact)
{
    struct item items[BATCH];
    int room = contact_room(contact);
    if (room < 0) {
        return false;
    }
    int n = contact_take(contact, items, (uint32_t)room < BATCH ? (uint32_t)room : BATCH);
    return n >= 0 && contact_send(contact, items, (uint32_t)n);
}

static bool serve(struct contact *contact)
{
    if (!contact_turn(contact) || (contact->up && !echo(contact))) {
        return false;
    }
    contact_publish(contact);
    return true;
}

/* Whether its process says that it attacks. Whether there is such a process. */
static bool listen_to(struct peer *peer)
{
    bool lives = crossvm_memfd_hung_up(peer->socket) == 0;
    ssize_t len = recv(peer->socket, &peer->report, sizeof(peer->report), MSG_DONTWAIT);
    peer->attacks = peer->attacks || len == (ssize_t)sizeof(peer->report);
    return lives;
}

static void attacker_turn(struct server *server)
{
    struct peer *peer = &server->peers[ATTACKER];
    if (peer->gone) {
        return;
    }
    if (!peer->here) {
        admit(server, peer);
        return;
    }
    peer->gone = !listen_to(peer);
    peer->looks += peer->attacks ? 1 : 0;
    if (!serve(&peer->contact) || peer->looks > N_LOOKS) {
        drop(server, peer);
    }
}

/* What the healthy peer has committed is taken, even when its process is gone already. */
static void healthy_turn(struct server *server)
{
    struct peer *peer = &server->peers[HEALTHY];
    if (!peer->here) {
        admit(server, peer);
        return;
    }
    bool lives = listen_to(peer);
    peer->gone = !serve(&peer->contact);
    if (!lives) {
        peer->gone = peer->gone || !peer->contact.up;
        (void)crossvm_peer_confirm(&peer->contact.life, CROSSVM_PEER_CAUSE_BACKEND);
    }
}

/* Whether it goes on: until the attacker was told to end, and then the healthy peer has ended. */
static bool turn(struct server *server)
{
    attacker_turn(server);
    healthy_turn(server);
    show(server);
    if (!server->ending && server->peers[ATTACKER].gone) {
        tell(&server->peers[HEALTHY], WORD_END);
        server->ending = true;
    }
    rest(TURN_NS);
    return !server->peers[HEALTHY].gone && crossvm_posix_now() < server->end_ns + GRACE_NS;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void print_endings(const struct server *server)
{
    char text[TEXT_LEN];
    printf("\n%-37s what the server noticed\n", "what the attacker wrote");
    for (uint32_t i = 0; i < N_PHASES; i++) {
        const struct ending *ending = &server->endings[i];
        bool took_place = ending->phase != NULL;
        ending_text(ending, false, text, sizeof(text));
        printf("%-37s %s%s\n", phases[i].name, took_place ? text : "(did not take place)",
               took_place && !ending->expected ? " (NOT what it had to)" : "");
    }
    printf("%-37s %" PRIu64 " lives more\n\n", phases[N_PHASES - 1].name, server->n_more);
}

/* Whether the healthy peer got, and gave, all that it was due. */
static bool judge_healthy(const struct peer *peer)
{
    const struct contact *contact = &peer->contact;
    const struct state *theirs = &contact->their_state;
    char text[TEXT_LEN];
    bool right = contact->complete && contact->notice.kind == NOTICE_ENDED &&
                 contact->notice.cause == CROSSVM_PEER_CAUSE_CLOSED &&
                 theirs->n_taken == contact->state.n_taken && theirs->n_wrong == 0;
    printf("healthy peer: %" PRIu64 " elements in order, %" PRIu64 " came back, %s; %" PRIu64
           " versions read\n",
           contact->state.n_taken, theirs->n_taken, right ? "none lost" : "NOT all",
           contact->n_read);
    if (!right) {
        notice_text(&contact->notice, false, text, sizeof(text));
        printf("the server noticed about it: %s\n", text);
    }
    return right;
}

static int judge(const struct server *server)
{
    bool all = server->expected && server->endings[N_PHASES - 1].phase != NULL;
    print_endings(server);
    bool right = judge_healthy(&server->peers[HEALTHY]) && all;
    for (uint32_t i = 0; i < N_PEERS; i++) {
        int status = 0;
        if (!server->peers[i].gone) {
            (void)kill(server->peers[i].pid, SIGKILL);
        }
        must_system(waitpid(server->peers[i].pid, &status, 0) == server->peers[i].pid, "waiting");
        right = right && status == 0;
    }
    printf("result: %s\n", right ? "consistent: nobody was hurt but the liar" : "INCONSISTENT");
    return right ? DEMO_OK : DEMO_WRONG;
}

/* ---- all of them --------------------------------------------------------------------------- */

/* Starts a process before the server has any memory that it could inherit. */
static void start(struct server *server, uint32_t i, uint64_t good_ns)
{
    static const char *const names[N_PEERS] = {"healthy", "attacker"};
    int sockets[2];
    must_system(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0,
                "making a socket");
    must_system(fcntl(sockets[0], F_SETFL, O_NONBLOCK) == 0, "making a socket");
    (void)fflush(stdout);
    pid_t parent = getpid();
    pid_t pid = fork();
    must_system(pid >= 0, "starting a process");
    if (pid == 0) {
        must_system(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent, "starting");
        for (uint32_t k = 0; k < i; k++) {
            (void)close(server->peers[k].socket);
        }
        (void)close(sockets[0]);
        exit(i == HEALTHY ? healthy_run(sockets[1]) : attacker_run(sockets[1], good_ns));
    }
    (void)close(sockets[1]);
    server->peers[i].name = names[i];
    server->peers[i].pid = pid;
    server->peers[i].socket = sockets[0];
}

/* The seconds, 0 for a command line that was refused. */
static uint32_t parse(int argc, char **argv)
{
    uint32_t number = 5;
    for (int i = 1; i < argc; i++) {
        const char *text = strcmp(argv[i], "--seconds") == 0 && i + 1 < argc ? argv[++i] : "";
        size_t len = strlen(text);
        number = (uint32_t)strtoul(text, NULL, 10);
        if (len == 0 || len > 5 || strspn(text, "0123456789") != len || number == 0 ||
            number > 86400) {
            fprintf(stderr,
                    "crossvm-demo-attack: %s: expected --seconds and a whole number from 1 to "
                    "86400\n",
                    argv[i]);
            return 0;
        }
    }
    return number;
}

int main(int argc, char **argv)
{
    static struct server server;
    uint64_t run_ns = parse(argc, argv) * SECOND_NS;
    if (run_ns == 0) {
        return DEMO_REFUSED;
    }
    uint64_t good_ns = run_ns / (2 * N_PHASES);
    printf("a server, a healthy peer, and an attacker that writes over all that it can write\n");
    for (uint32_t i = 0; i < N_PEERS; i++) {
        start(&server, i, good_ns < GOOD_NS ? good_ns : GOOD_NS);
    }
    for (uint32_t i = 0; i < N_PEERS; i++) {
        contact_make(&server.peers[i].contact, PARTY_SERVER, PARTY_HEALTHY + i, 0);
    }
    server.expected = true;
    server.started_ns = crossvm_posix_now();
    server.end_ns = server.started_ns + run_ns;
    picture_open(&server.picture);
    while (turn(&server)) {
    }
    if (server.picture.terminal) {
        draw_picture(&server);
    }
    picture_close(&server.picture);
    return judge(&server);
}
