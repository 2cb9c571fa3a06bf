/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consumer.c - the program of an outside project: it formats a region in a buffer, publishes and
 * reads a snapshot, pushes and pops a queue, checks every value, and prints the version. It is C11
 * and C++17, and needs nothing but printf, so that every way into a build can be tried with it.
 */
#include <crossvm/crossvm.h>

#include <stdio.h>

/* A line of its own is all the alignment that a region wants. */
static unsigned char memory[16384] __attribute__((aligned(128)));

static const struct crossvm_chunk_decl decls[] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 4, sizeof(uint32_t), 1, 2, 0, 0},
    {"stream", CROSSVM_KIND_SPSC_TX, 4, sizeof(uint32_t), 1, 2, 0, 7},
    {"stream", CROSSVM_KIND_SPSC_RX, 0, 0, 2, 1, 0, 7},
};

static struct crossvm_chunk parts[3];
static struct crossvm_region_owner owner;
static struct crossvm_region reader;
static int n_failed;

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("failed: %s\n", what);
        n_failed++;
    }
}

static void make_region(void)
{
    struct crossvm_mapping mapping;
    struct crossvm_region_plan plan;
    __builtin_memset(&mapping, 0, sizeof(mapping));
    __builtin_memset(&plan, 0, sizeof(plan));
    mapping.base = memory;
    mapping.len = sizeof(memory);
    mapping.access = CROSSVM_READ_WRITE;
    mapping.memory = CROSSVM_WRITE_BACK;
    plan.chunks = decls;
    plan.n_chunks = 3;
    plan.granule = 128;
    plan.owner = 1;
    check(crossvm_region_owner_format(&owner, &mapping, &plan, parts, 3) == CROSSVM_OK, "format");
    check(crossvm_region_attach(&reader, &mapping, 2) == CROSSVM_OK, "attach");
}

static void use_snapshot(void)
{
    struct crossvm_snapshot_writer out;
    struct crossvm_snapshot_reader in;
    struct crossvm_snapshot_info info;
    uint32_t sent;
    uint32_t got = 0;
    __builtin_memset(&info, 0, sizeof(info));
    check(crossvm_snapshot_writer_open(&out, &owner.region, &parts[0]) == CROSSVM_OK, "writer");
    check(crossvm_snapshot_reader_open(&in, &reader, &parts[0]) == CROSSVM_OK, "reader");
    for (sent = 100; sent < 110; sent++) {
        check(crossvm_snapshot_writer_publish(&out, &sent, sizeof(sent), 5, 0) == CROSSVM_OK,
              "publish");
        check(crossvm_snapshot_reader_read(&in, &got, sizeof(got), &info) == 1, "a new version");
        check(got == sent && info.sampled_ns == 5, "the snapshot's value and time");
    }
    check(info.version == 10, "the tenth version");
}

static void use_queue(void)
{
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
    int tx_status = CROSSVM_NOT_YET;
    int rx_status = CROSSVM_NOT_YET;
    int round;
    uint32_t value;
    uint32_t got = 0;
    check(crossvm_spsc_tx_open(&tx, &owner.region, &parts[1], sizeof(value), 1) == CROSSVM_OK,
          "tx");
    check(crossvm_spsc_rx_open(&rx, &reader, &parts[2], 4, sizeof(value), 1) == CROSSVM_OK, "rx");
    for (round = 0; round < 8 && (tx_status != CROSSVM_OK || rx_status != CROSSVM_OK); round++) {
        tx_status = crossvm_spsc_tx_link(&tx, &owner.region, &parts[2]);
        rx_status = crossvm_spsc_rx_link(&rx, &reader, &parts[1]);
    }
    check(tx_status == CROSSVM_OK && rx_status == CROSSVM_OK, "link");
    for (value = 0; value < 4; value++) {
        check(crossvm_spsc_tx_push(&tx, &value) == CROSSVM_OK, "push");
    }
    check(crossvm_spsc_tx_push(&tx, &value) == CROSSVM_FULL, "the queue is full");
    for (value = 0; value < 4; value++) {
        check(crossvm_spsc_rx_pop(&rx, &got) == CROSSVM_OK, "pop");
        check(got == value, "the element's value");
    }
    check(crossvm_spsc_rx_pop(&rx, &got) == CROSSVM_EMPTY, "the queue is empty");
}

int main(void)
{
    make_region();
    use_snapshot();
    use_queue();
    if (n_failed == 0) {
        printf("crossvm %s: all is well\n", CROSSVM_VERSION_STRING);
    }
    return n_failed == 0 ? 0 : 1;
}
