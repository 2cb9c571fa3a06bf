/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/kernel_peer.c - talks to a kernel module in another virtual machine
 * (tests/kernel/peer/driver.c) by the files that the kernel shows of two ivshmem-plain devices.
 *
 *   kernel_peer OWN_SLOT PEER_SLOT    slots like 0000:00:03.0
 *
 * Sends elements, gets each back transformed, and reads the module's states meanwhile, until the
 * last one. Both memories are to be zero before either side starts. Says "kernel_peer: passed" and
 * what was exchanged, or why not, with exit status 1; 2 for arguments that are none.
 */
#include <crossvm/backend/ivshmem_pci.h>

#include "../kernel/peer/agreed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_LEN = 2
};

struct program {
    struct crossvm_ivshmem_pci own;
    struct crossvm_ivshmem_pci peer;
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[TABLE_LEN];
    struct side side;
    struct crossvm_snapshot_reader state;
    uint64_t end_ns;    /* of crossvm_posix_now: from then on it has hung */
    uint64_t n_sent;    /* elements */
    uint64_t n_back;    /* elements */
    uint64_t n_states;  /* versions that were read */
    uint64_t version;   /* the last one of them */
    uint64_t n_overrun; /* reads that the writer was too fast for */
};

/* ---- failures ------------------------------------------------------------------------------- */

static _Noreturn void fail(const struct program *program, const char *what, int status)
{
    printf("kernel_peer: failed: %s: %s", what, crossvm_status_name(status));
    if (status == CROSSVM_SYSTEM) {
        printf(" (%s)", strerror(errno));
    }
    printf("; %llu sent, %llu back, version %llu\n", (unsigned long long)program->n_sent,
           (unsigned long long)program->n_back, (unsigned long long)program->version);
    exit(1);
}

static void expect_ok(const struct program *program, const char *what, int status)
{
    if (status != CROSSVM_OK) {
        fail(program, what, status);
    }
}

static void expect(const struct program *program, const char *what, bool holds)
{
    if (!holds) {
        fail(program, what, CROSSVM_CORRUPT);
    }
}

/* Lets the other side run. */
static void rest(const struct program *program, const char *what)
{
    const struct timespec nap = {0, 50000};
    if (crossvm_posix_now() >= program->end_ns) {
        fail(program, what, CROSSVM_TIMEOUT);
    }
    (void)nanosleep(&nap, NULL);
}

/* ---- coming up ------------------------------------------------------------------------------ */

static void own_format(struct program *program)
{
    static const struct crossvm_chunk_decl chunks[] = {
        {.name = TO_KERNEL,
         .kind = CROSSVM_KIND_SPSC_TX,
         .n = CAPACITY,
         .len = sizeof(struct element),
         .writer = PROGRAM,
         .reader = KERNEL},
        {.name = FROM_KERNEL, .kind = CROSSVM_KIND_SPSC_RX, .writer = PROGRAM, .reader = KERNEL},
    };
    static const struct crossvm_region_plan plan = {
        .chunks = chunks, .n_chunks = TABLE_LEN, .owner = PROGRAM, .region_id = {PROGRAM}};
    expect_ok(program, "own region",
              crossvm_region_owner_format(&program->owner, &program->own.mapping, &plan,
                                          program->table, TABLE_LEN));
    program->side.out = TO_KERNEL;
    program->side.in = FROM_KERNEL;
    expect_ok(program, "own queues",
              side_open(&program->side, &program->owner.region, (uint32_t)crossvm_posix_now()));
}

static void meet(struct program *program)
{
    struct crossvm_chunk chunk;
    int status;
    while (is_early(status = side_attach(&program->side, &program->peer.mapping, PROGRAM))) {
        rest(program, "the kernel's region");
    }
    expect_ok(program, "the kernel's region", status);
    expect_ok(program, "state",
              crossvm_region_find(&program->side.other, STATE, CROSSVM_KIND_SNAPSHOT, 0, &chunk));
    expect_ok(program, "state",
              crossvm_snapshot_reader_open(&program->state, &program->side.other, &chunk));
    while (is_early(status = side_link(&program->side))) {
        rest(program, "queues");
    }
    expect_ok(program, "queues", status);
}

/* ---- the exchange --------------------------------------------------------------------------- */

static bool send(struct program *program)
{
    struct element element;
    if (program->n_sent == N_ELEMENTS) {
        return false;
    }
    element.index = program->n_sent;
    bytes_make(element.bytes, sizeof(element.bytes), element.index, 0);
    int status = crossvm_spsc_tx_push(&program->side.tx, &element);
    if (status == CROSSVM_FULL) {
        return false;
    }
    expect_ok(program, "an element to the kernel", status);
    program->n_sent++;
    return true;
}

static bool receive(struct program *program)
{
    struct element element;
    int status = crossvm_spsc_rx_pop(&program->side.rx, &element);
    if (status == CROSSVM_EMPTY) {
        return false;
    }
    expect_ok(program, "an element of the kernel's", status);
    expect(program, "number of an element",
           element.index == program->n_back && element.index < program->n_sent);
    expect(program, "bytes of an element",
           bytes_are(element.bytes, sizeof(element.bytes), element.index, TRANSFORM));
    program->n_back++;
    return true;
}

static bool look(struct program *program)
{
    unsigned char state[STATE_LEN];
    struct crossvm_snapshot_info info;
    int status = crossvm_snapshot_reader_read(&program->state, state, sizeof(state), &info);
    if (status == CROSSVM_TORN) {
        program->n_overrun++;
        return true;
    }
    if (status == CROSSVM_NOT_YET || status == 0) {
        return false;
    }
    expect(program, "a state", status == 1);
    expect(program, "version of a state",
           info.version > program->version && info.version <= N_VERSIONS);
    expect(program, "length of a state", info.len == STATE_LEN);
    expect(program, "bytes of a state", bytes_are(state, sizeof(state), info.version, 0));
    program->version = info.version;
    program->n_states++;
    return true;
}

static void exchange(struct program *program)
{
    while (program->n_back < N_ELEMENTS || program->version < N_VERSIONS) {
        bool moved = send(program);
        moved |= receive(program);
        moved |= look(program);
        if (!moved) {
            rest(program, "the exchange");
        }
    }
    expect(program, "an element too many", !receive(program));
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void device_open(struct program *program, struct crossvm_ivshmem_pci *pci, const char *slot,
                        enum crossvm_mapping_access access)
{
    int status = crossvm_ivshmem_pci_open(pci, slot, access);
    if (status == CROSSVM_NOT_FOUND || status == CROSSVM_TYPE) {
        fprintf(stderr, "kernel_peer: %s: expected the slot of an ivshmem device\n", slot);
        exit(2);
    }
    expect_ok(program, slot, status);
}

int main(int argc, char **argv)
{
    static struct program program;
    if (argc != 3) {
        fprintf(stderr, "usage: kernel_peer OWN_SLOT PEER_SLOT (like 0000:00:03.0)\n");
        return 2;
    }
    device_open(&program, &program.own, argv[1], CROSSVM_READ_WRITE);
    device_open(&program, &program.peer, argv[2], CROSSVM_READ_ONLY);
    program.end_ns = crossvm_posix_now() + LIMIT_SECONDS * (uint64_t)1000000000;
    own_format(&program);
    meet(&program);
    exchange(&program);
    printf("kernel_peer: passed: %llu elements, %llu versions, %llu of them read\n",
           (unsigned long long)program.n_back, (unsigned long long)program.version,
           (unsigned long long)program.n_states);
    crossvm_ivshmem_pci_close(&program.peer);
    crossvm_ivshmem_pci_close(&program.own);
    return 0;
}
