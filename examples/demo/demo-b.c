/* SPDX-License-Identifier: Apache-2.0 */
/* demo-b.c - crossvm-demo-b: reads the machine's state, checks every version, shows everything. */
#include "readings.h"
#include "side.h"
#include "view.h"

#include <string.h>

/* Twice as often as A publishes, so that hardly a version is missed. */
#define PERIOD_NS (DEMO_MS / 2)

/* Reads until the run is over. */
static void run(struct side *side, struct readings *readings, struct view *view)
{
    char text[128];
    uint64_t next_ns = crossvm_posix_now();
    while (side_wait(side, next_ns)) {
        int status = readings_take(readings);
        if (status < 0 && crossvm_status_family(status) != CROSSVM_FAMILY_AGAIN) {
            (void)snprintf(text, sizeof(text), "reading: %s", crossvm_status_name(status));
            side_fail(side, DEMO_WRONG, text);
        }
        side->mine.last_version = readings->last;
        view_draw(view, side, readings);
        next_ns += PERIOD_NS;
        if (next_ns < crossvm_posix_now()) {
            next_ns = crossvm_posix_now();
        }
    }
}

/* What B alone can say about the whole run. */
static void judge(struct side *side, const struct readings *readings)
{
    char text[256];
    if (readings->n_wrong != 0) {
        (void)snprintf(text, sizeof(text),
                       "%" PRIu64 " of %" PRIu64 " versions inconsistent, first version %" PRIu64
                       ": %s",
                       readings->n_wrong, readings->n_read, readings->first_wrong, readings->wrong);
        side_fail(side, DEMO_WRONG, text);
    }
    if (readings->n_read == 0) {
        side_fail(side, DEMO_WRONG, "no version was read");
    }
    if (side->mine.received.state == STREAM_MISMATCH) {
        side_fail(side, DEMO_WRONG, "the file from A arrived with another SHA-256");
    }
    if (side->theirs.received.state == STREAM_MISMATCH) {
        side_fail(side, DEMO_WRONG, "the file from B arrived with another SHA-256");
    }
}

int main(int argc, char **argv)
{
    static struct side side;
    static struct readings readings;
    static struct view view;
    if (side_open(&side, DEMO_B, argc, argv)) {
        if (readings_open(&readings, &side.link) != DEMO_OK) {
            side_fail(&side, DEMO_WRONG, side.link.error);
        } else {
            view_open(&view);
            run(&side, &readings, &view);
            view_close(&view, &side, &readings);
            if (side.status == DEMO_OK) {
                judge(&side, &readings);
                view_summary(&side, &readings);
            }
        }
    }
    return side_close(&side);
}
