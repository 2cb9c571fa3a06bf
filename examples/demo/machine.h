/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the state of this machine, as one set of values that belong together.
 *
 * The writer samples and seals it; the reader checks every version that it gets.
 */
#ifndef DEMO_MACHINE_H
#define DEMO_MACHINE_H

#include "demo.h"

/* Processor times since boot, all processors together, in ticks of 10 ms. */
struct machine_processor {
    uint64_t user;
    uint64_t nice;
    uint64_t system;
    uint64_t idle;
    uint64_t iowait;
    uint64_t irq;
    uint64_t softirq;
    uint64_t steal;
    uint64_t total; /* the sum of the above */
    uint64_t context_switches;
};

/* Memory now, in KiB. */
struct machine_memory {
    uint64_t free;
    uint64_t buffers;
    uint64_t cached;
    uint64_t other; /* what programs and the kernel hold */
    uint64_t total; /* the sum of the above */
};

/* Traffic of all interfaces since boot. */
struct machine_network {
    uint64_t received_bytes;
    uint64_t received_packets;
    uint64_t sent_bytes;
    uint64_t sent_packets;
};

/* Traffic of all disks since boot, in KiB. */
struct machine_disk {
    uint64_t read;
    uint64_t written;
};

struct machine {
    uint64_t sequence; /* the version that this set is published as */
    struct machine_processor processor;
    struct machine_memory memory;
    struct machine_network network;
    struct machine_disk disk;
    uint32_t checksum; /* CRC-32C of everything above */
    uint32_t reserved;
};

/* Names the layout of struct machine: a reader that was built with another one is refused. */
#define MACHINE_TYPE                                                                               \
    "machine;sequence:u64:0:1;processor:u64:8:10;memory:u64:88:5;network:u64:128:4;disk:u64:160:2" \
    ";checksum:u32:176:2;184;" CROSSVM_BYTE_ORDER_NAME

/* The files that the values come from, kept open. */
struct machine_source {
    int stat;
    int meminfo;
    int network;
    int vmstat;
};

/* Opens /proc. NULL; or the file that cannot be opened, with errno. */
const char *machine_open(struct machine_source *source);
void machine_close(struct machine_source *source);

/* Samples everything anew. NULL; or the file that cannot be read or understood. */
const char *machine_sample(const struct machine_source *source, struct machine *machine);

/* Makes the set complete: its sequence number, and the checksum over it. */
void machine_seal(struct machine *machine, uint64_t sequence);

/* Checks a set that was read as `version`. NULL consistent; or what is wrong with it. */
const char *machine_fault(const struct machine *machine, uint64_t version);

#endif
