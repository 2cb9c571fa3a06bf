/* SPDX-License-Identifier: Apache-2.0 */
/* demo-a.c - crossvm-demo-a: publishes the state of this machine a thousand times a second. */
#include "side.h"

#include <string.h>

#define PERIOD_NS    DEMO_MS
#define TORN_VERSION 100u

struct publisher {
    struct machine_source source;
    struct crossvm_snapshot_writer writer;
    struct machine machine;
    uint64_t next_ns;
};

static bool open_publisher(struct publisher *publisher, struct side *side)
{
    char text[128];
    int status = link_machine_writer(&side->link, &publisher->writer);
    if (status != DEMO_OK) {
        side_fail(side, status, side->link.error);
        return false;
    }
    const char *path = machine_open(&publisher->source);
    if (path != NULL) {
        (void)snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
        side_fail(side, DEMO_REFUSED, text);
    }
    publisher->next_ns = crossvm_posix_now();
    side->busy = side->options.tear;
    return path == NULL;
}

/* What a reader would see that looks while a set is being overwritten: its first half is new, its
 * second half still that of the version before. */
static void tear(struct machine *machine, const struct machine *before)
{
    const size_t half = sizeof(*machine) / 2;
    memcpy((unsigned char *)machine + half, (const unsigned char *)before + half,
           sizeof(*machine) - half);
}

/* Samples the machine and publishes what it found. */
static void publish(struct publisher *publisher, struct side *side, bool torn)
{
    const struct machine before = publisher->machine;
    struct machine *machine = &publisher->machine;
    char text[128];
    uint64_t sampled_ns = crossvm_posix_now();
    const char *path = machine_sample(&publisher->source, machine);
    if (path != NULL) {
        (void)snprintf(text, sizeof(text), "cannot make sense of %s", path);
        side_fail(side, DEMO_REFUSED, text);
        return;
    }
    machine_seal(machine, crossvm_snapshot_writer_version(&publisher->writer) + 1);
    if (torn) {
        tear(machine, &before);
    }
    int status = crossvm_snapshot_writer_publish(&publisher->writer, machine, sizeof(*machine),
                                                 sampled_ns, crossvm_posix_now());
    if (status != CROSSVM_OK) {
        (void)snprintf(text, sizeof(text), "publishing: %s", crossvm_status_name(status));
        side_fail(side, DEMO_WRONG, text);
    }
}

/* One step of the clock. With --tear the torn version stays the newest until B has read it:
 * otherwise B might happen to miss it. */
static void step(struct publisher *publisher, struct side *side)
{
    const uint64_t version = crossvm_snapshot_writer_version(&publisher->writer);
    if (side->busy && version == TORN_VERSION) {
        side->busy = side->theirs.last_version < TORN_VERSION;
    } else {
        publish(publisher, side, side->busy && version + 1 == TORN_VERSION);
    }
    publisher->next_ns += PERIOD_NS;
    if (publisher->next_ns + 100 * PERIOD_NS < crossvm_posix_now()) {
        /* The processor was elsewhere for long: leave out what was missed. */
        publisher->next_ns = crossvm_posix_now();
    }
}

int main(int argc, char **argv)
{
    static struct side side;
    static struct publisher publisher;
    if (side_open(&side, DEMO_A, argc, argv)) {
        if (open_publisher(&publisher, &side)) {
            while (side_wait(&side, publisher.next_ns)) {
                step(&publisher, &side);
            }
        }
        machine_close(&publisher.source);
    }
    return side_close(&side);
}
