/* SPDX-License-Identifier: Apache-2.0 */
/* readings.c - reading A's snapshot, checking every version, measuring its age. */
#include "readings.h"

#include <string.h>

int readings_open(struct readings *readings, struct demo_link *link)
{
    memset(readings, 0, sizeof(*readings));
    readings->producer = link->peer_region.clock;
    readings->own = link->clock;
    return link_machine_reader(link, &readings->reader);
}

static void note_wrong(struct readings *readings, uint64_t version, const char *wrong)
{
    if (readings->n_wrong == 0) {
        readings->first_wrong = version;
        readings->wrong = wrong;
    }
    readings->n_wrong++;
}

/* Consistent in itself, and newer than the one before. */
static void check(struct readings *readings, const struct crossvm_snapshot_info *info)
{
    const char *wrong = machine_fault(&readings->machine, info->version);
    if (info->len != sizeof(readings->machine)) {
        wrong = "it has another length";
    } else if (info->version <= readings->last) {
        wrong = "its version went backward";
    }
    if (wrong != NULL) {
        note_wrong(readings, info->version, wrong);
    }
}

static void measure_age(struct readings *readings, const struct crossvm_snapshot_info *info)
{
    int status = crossvm_clock_age(&readings->producer, info->sampled_ns, &readings->own,
                                   crossvm_posix_now(), &readings->age_ns);
    if (status == CROSSVM_OK) {
        readings->n_aged++;
        readings->sum_ns += readings->age_ns;
        if (readings->age_ns > readings->worst_ns) {
            readings->worst_ns = readings->age_ns;
        }
    }
}

int readings_take(struct readings *readings)
{
    struct machine machine;
    struct crossvm_snapshot_info info;
    int status = crossvm_snapshot_reader_read(&readings->reader, &machine, sizeof(machine), &info);
    if (status != 1) {
        return status;
    }
    readings->machine = machine;
    measure_age(readings, &info);
    check(readings, &info);
    if (readings->n_read == 0) {
        readings->first = info.version;
        readings->first_ns = crossvm_posix_now();
    }
    readings->n_read++;
    readings->n_missed += info.missed;
    readings->last = info.version;
    return status;
}

double readings_rate(const struct readings *readings)
{
    double seconds = (double)(crossvm_posix_now() - readings->first_ns) / 1e9;
    return readings->n_read < 2 || seconds <= 0
               ? 0
               : (double)(readings->last - readings->first) / seconds;
}
