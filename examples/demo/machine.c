/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - sampling /proc into one set of values, sealing it and checking it. */
#include "machine.h"

#include <stdio.h>
#include <string.h>

CROSSVM_STATIC_ASSERT(offsetof(struct machine, processor) == 8, "MACHINE_TYPE");
CROSSVM_STATIC_ASSERT(offsetof(struct machine, memory) == 88, "MACHINE_TYPE");
CROSSVM_STATIC_ASSERT(offsetof(struct machine, network) == 128, "MACHINE_TYPE");
CROSSVM_STATIC_ASSERT(offsetof(struct machine, disk) == 160, "MACHINE_TYPE");
CROSSVM_STATIC_ASSERT(offsetof(struct machine, checksum) == 176, "MACHINE_TYPE");
CROSSVM_STATIC_ASSERT(sizeof(struct machine) == 184, "MACHINE_TYPE");

static const char stat_path[] = "/proc/stat";
static const char meminfo_path[] = "/proc/meminfo";
static const char network_path[] = "/proc/net/dev";
static const char vmstat_path[] = "/proc/vmstat";

const char *machine_open(struct machine_source *source)
{
    source->stat = open(stat_path, O_RDONLY | O_CLOEXEC);
    source->meminfo = open(meminfo_path, O_RDONLY | O_CLOEXEC);
    source->network = open(network_path, O_RDONLY | O_CLOEXEC);
    source->vmstat = open(vmstat_path, O_RDONLY | O_CLOEXEC);
    if (source->stat < 0) {
        return stat_path;
    }
    if (source->meminfo < 0) {
        return meminfo_path;
    }
    if (source->network < 0) {
        return network_path;
    }
    return source->vmstat < 0 ? vmstat_path : NULL;
}

void machine_close(struct machine_source *source)
{
    const int fds[] = {source->stat, source->meminfo, source->network, source->vmstat};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

/* The text of a file of /proc, which is made anew at each read from its start. */
static const char *read_text(int fd)
{
    static char text[65536];
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

/* The next number of a line; 0 where there is none. */
static uint64_t next_number(const char **text)
{
    uint64_t number = 0;
    *text += strspn(*text, " \t");
    for (; **text >= '0' && **text <= '9'; ++*text) {
        number = number * 10 + (uint64_t)(**text - '0');
    }
    return number;
}

/* Finds the line that begins with a name and takes its first number. */
static bool find_number(const char *text, const char *name, uint64_t *number)
{
    size_t len = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0) {
            line += len;
            *number = next_number(&line);
            return true;
        }
    }
    return false;
}

static bool sample_processor(int fd, struct machine_processor *processor)
{
    const char *text = read_text(fd);
    const char *at = text + 3;
    if (strncmp(text, "cpu ", 4) != 0) {
        return false;
    }
    processor->user = next_number(&at);
    processor->nice = next_number(&at);
    processor->system = next_number(&at);
    processor->idle = next_number(&at);
    processor->iowait = next_number(&at);
    processor->irq = next_number(&at);
    processor->softirq = next_number(&at);
    processor->steal = next_number(&at);
    processor->total = processor->user + processor->nice + processor->system + processor->idle +
                       processor->iowait + processor->irq + processor->softirq + processor->steal;
    return find_number(text, "ctxt ", &processor->context_switches);
}

static bool sample_memory(int fd, struct machine_memory *memory)
{
    const char *text = read_text(fd);
    if (!find_number(text, "MemTotal:", &memory->total) ||
        !find_number(text, "MemFree:", &memory->free) ||
        !find_number(text, "Buffers:", &memory->buffers) ||
        !find_number(text, "Cached:", &memory->cached)) {
        return false;
    }
    memory->other = memory->total - memory->free - memory->buffers - memory->cached;
    return true;
}

/* A line is "name: bytes packets ..." with 8 numbers of what was received, then 8 of what was
 * sent; the first two lines are headings without a colon. */
static bool sample_network(int fd, struct machine_network *network)
{
    memset(network, 0, sizeof(*network));
    for (const char *at = strchr(read_text(fd), ':'); at != NULL; at = strchr(at, ':')) {
        at++;
        network->received_bytes += next_number(&at);
        network->received_packets += next_number(&at);
        for (int i = 0; i < 6; i++) {
            (void)next_number(&at);
        }
        network->sent_bytes += next_number(&at);
        network->sent_packets += next_number(&at);
    }
    return true;
}

static bool sample_disk(int fd, struct machine_disk *disk)
{
    const char *text = read_text(fd);
    return find_number(text, "pgpgin ", &disk->read) &&
           find_number(text, "pgpgout ", &disk->written);
}

const char *machine_sample(const struct machine_source *source, struct machine *machine)
{
    machine->reserved = 0;
    if (!sample_processor(source->stat, &machine->processor)) {
        return stat_path;
    }
    if (!sample_memory(source->meminfo, &machine->memory)) {
        return meminfo_path;
    }
    if (!sample_network(source->network, &machine->network)) {
        return network_path;
    }
    return sample_disk(source->vmstat, &machine->disk) ? NULL : vmstat_path;
}

static uint32_t checksum(const struct machine *machine)
{
    return crossvm_crc32c(0, machine, offsetof(struct machine, checksum));
}

void machine_seal(struct machine *machine, uint64_t sequence)
{
    machine->sequence = sequence;
    machine->checksum = checksum(machine);
}

const char *machine_fault(const struct machine *machine, uint64_t version)
{
    const struct machine_processor *processor = &machine->processor;
    const struct machine_memory *memory = &machine->memory;
    if (machine->checksum != checksum(machine)) {
        return "its checksum does not match";
    }
    if (machine->sequence != version) {
        return "its sequence number is that of another version";
    }
    if (processor->total != processor->user + processor->nice + processor->system +
                                processor->idle + processor->iowait + processor->irq +
                                processor->softirq + processor->steal) {
        return "its processor times do not add up";
    }
    if (memory->total != memory->free + memory->buffers + memory->cached + memory->other) {
        return "its memory does not add up";
    }
    return NULL;
}
