/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - the live view in a terminal, lines elsewhere, the summary. */
#include "view.h"

#include <stdio.h>
#include <string.h>

#define RATE_PERIOD_NS (500 * DEMO_MS)

/* ---- numbers for people ------------------------------------------------------------------- */

static double mib(uint64_t bytes)
{
    return (double)bytes / (1024 * 1024);
}

static double ms(uint64_t ns)
{
    return (double)ns / DEMO_MS;
}

/* MB a second. */
static double rate(uint64_t bytes, uint64_t ns)
{
    return ns == 0 ? 0 : (double)bytes * 1000 / (double)ns;
}

/* An empty file is complete once its checksum has arrived. */
static double share(const struct progress_stream *stream)
{
    if (stream->size == 0) {
        return stream->state == STREAM_RUNNING ? 0 : 1;
    }
    return (double)stream->bytes / (double)stream->size;
}

static double mean_age(const struct readings *readings)
{
    return readings->n_aged == 0 ? 0 : ms(readings->sum_ns) / (double)readings->n_aged;
}

static const char *age_text(const struct readings *readings, char *text, size_t len)
{
    if (readings->n_read == 0 || readings->age_ns == UINT64_MAX) {
        return "unknown";
    }
    (void)snprintf(text, len, "%.2f ms", ms(readings->age_ns));
    return text;
}

/* A bar of `len` characters, filled to a share from 0 to 1. Shares come from numbers that the other
 * side says: what is out of range, or no number, is drawn as the nearest end, or as nothing. */
static const char *bar(char *text, size_t len, double filled)
{
    double possible = filled > 0 ? filled : 0; /* for NaN, too */
    size_t n = (size_t)((possible < 1 ? possible : 1) * (double)len + 0.5);
    memset(text, '#', n);
    memset(text + n, '.', len - n);
    text[len] = '\0';
    return text;
}

/* ---- the machine -------------------------------------------------------------------------- */

static void rate_machine(struct view_machine *view, const struct machine *now)
{
    const struct machine *before = &view->before;
    uint64_t now_ns = crossvm_posix_now();
    uint64_t ns = now_ns - view->before_ns;
    if (ns < RATE_PERIOD_NS) {
        return;
    }
    if (before->sequence != 0) {
        uint64_t total = now->processor.total - before->processor.total;
        uint64_t idle = now->processor.idle + now->processor.iowait - before->processor.idle -
                        before->processor.iowait;
        view->processor = total == 0 ? 0 : 100.0 * (double)(total - idle) / (double)total;
        view->network = rate(now->network.received_bytes + now->network.sent_bytes -
                                 before->network.received_bytes - before->network.sent_bytes,
                             ns);
        view->disk = rate(
            (now->disk.read + now->disk.written - before->disk.read - before->disk.written) * 1024,
            ns);
    }
    view->before = *now;
    view->before_ns = now_ns;
}

/* ---- the picture -------------------------------------------------------------------------- */

/* One direction: the receiving end knows how far it is, both ends know whom they rang. */
static void draw_stream(struct picture *picture, const char *name,
                        const struct progress_stream *from, const struct progress_stream *to)
{
    char whole[41];
    char ring[31];
    picture_line(picture, "%s [%s] %3.0f %%  %6.1f of %.1f MiB", name, bar(whole, 40, share(to)),
                 100 * share(to), mib(to->bytes), mib(to->size));
    picture_line(picture, "  ring [%s] %2u of %u elements  %4.0f MB/s%s",
                 bar(ring, 30, (double)to->fill / DEMO_RING), (unsigned)to->fill, DEMO_RING,
                 rate(to->bytes, to->busy_ns), to->state == STREAM_VERIFIED ? "  verified" : "");
    picture_line(picture, "  notifications  %" PRIu64 " sent  %" PRIu64 " suppressed",
                 from->n_rings + to->n_rings, from->n_saved + to->n_saved);
}

static void draw_machine(struct view *view, const struct readings *readings)
{
    struct picture *picture = &view->picture;
    const struct machine_memory *memory = &readings->machine.memory;
    char age[32];
    picture_line(picture,
                 "A publishes the state of this machine, B reads it (%.0f versions a second)",
                 readings_rate(readings));
    /* Memory is counted in KiB, so that a "MiB" of it is a GiB. */
    picture_line(
        picture,
        "  processor %.0f %%   memory %.1f of %.1f GiB   network %.1f MB/s   disk %.1f MB/s",
        view->machine.processor, mib(memory->other), mib(memory->total), view->machine.network,
        view->machine.disk);
    picture_line(picture,
                 "  versions  %" PRIu64 " read  %" PRIu64 " missed  %" PRIu64 " inconsistent",
                 readings->n_read, readings->n_missed, readings->n_wrong);
    if (readings->n_aged == 0) {
        picture_line(picture, "%s",
                     "  age       unknown: the clocks of two machines cannot be compared");
    } else {
        picture_line(picture, "  age       %s now  %.2f ms mean  %.2f ms worst",
                     age_text(readings, age, sizeof(age)), mean_age(readings),
                     ms(readings->worst_ns));
    }
}

static void draw_picture(struct view *view, const struct side *side,
                         const struct readings *readings)
{
    struct picture *picture = &view->picture;
    picture_begin(picture);
    picture_line(picture, "crossvm demo   %.1f s of at least %u s", side_seconds(side),
                 side->options.seconds);
    picture_line(picture, "%s", "");
    draw_machine(view, readings);
    picture_line(picture, "%s", "");
    draw_stream(picture, "A -> B", &side->theirs.sent, &side->mine.received);
    picture_line(picture, "%s", "");
    draw_stream(picture, "B -> A", &side->mine.sent, &side->theirs.received);
    (void)fflush(stdout);
}

/* ---- lines -------------------------------------------------------------------------------- */

static void print_stream(const char *name, const struct progress_stream *from,
                         const struct progress_stream *to)
{
    printf(" | %s %.0f %% %.0f MB/s ring %u of %u notifications %" PRIu64 " suppressed %" PRIu64,
           name, 100 * share(to), rate(to->bytes, to->busy_ns), (unsigned)to->fill, DEMO_RING,
           from->n_rings + to->n_rings, from->n_saved + to->n_saved);
}

static void print_line(const struct side *side, const struct readings *readings)
{
    char age[32];
    printf("%5.1f s | read %" PRIu64 " missed %" PRIu64 " inconsistent %" PRIu64 " age %s",
           side_seconds(side), readings->n_read, readings->n_missed, readings->n_wrong,
           age_text(readings, age, sizeof(age)));
    print_stream("A -> B", &side->theirs.sent, &side->mine.received);
    print_stream("B -> A", &side->mine.sent, &side->theirs.received);
    printf("\n");
    (void)fflush(stdout);
}

/* ---- view --------------------------------------------------------------------------------- */

void view_open(struct view *view)
{
    memset(view, 0, sizeof(*view));
    picture_open(&view->picture);
}

static void draw(struct view *view, const struct side *side, const struct readings *readings)
{
    rate_machine(&view->machine, &readings->machine);
    if (view->picture.terminal) {
        draw_picture(view, side, readings);
    } else {
        print_line(side, readings);
    }
}

void view_draw(struct view *view, const struct side *side, const struct readings *readings)
{
    if (picture_is_due(&view->picture)) {
        draw(view, side, readings);
    }
}

void view_close(struct view *view, const struct side *side, const struct readings *readings)
{
    if (view->picture.terminal) {
        draw(view, side, readings);
    }
    picture_close(&view->picture);
}

/* ---- summary ------------------------------------------------------------------------------ */

static void print_digest(const struct progress_stream *stream)
{
    char text[24];
    int len = 0;
    for (int i = 0; i < 4; i++) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%02x", stream->digest[i]);
    }
    (void)snprintf(text + len, sizeof(text) - (size_t)len, "... %s",
                   stream->state == STREAM_VERIFIED ? "same" : "DIFFERENT");
    printf("%22s", text);
}

void view_summary(const struct side *side, const struct readings *readings)
{
    const struct progress_stream *from[] = {&side->theirs.sent, &side->mine.sent};
    const struct progress_stream *to[] = {&side->mine.received, &side->theirs.received};
    printf("\n%-28s%22s%22s\n", "summary", "A -> B", "B -> A");
    printf("%-28s%18.1f MiB%18.1f MiB\n", "file", mib(to[0]->size), mib(to[1]->size));
    printf("%-28s%17.0f MB/s%17.0f MB/s\n", "rate", rate(to[0]->bytes, to[0]->busy_ns),
           rate(to[1]->bytes, to[1]->busy_ns));
    printf("%-28s%22" PRIu64 "%22" PRIu64 "\n", "notifications sent",
           from[0]->n_rings + to[0]->n_rings, from[1]->n_rings + to[1]->n_rings);
    printf("%-28s%22" PRIu64 "%22" PRIu64 "\n", "notifications suppressed",
           from[0]->n_saved + to[0]->n_saved, from[1]->n_saved + to[1]->n_saved);
    printf("%-28s%22" PRIu64 "%22" PRIu64 "\n", "  heard by the sender", from[0]->n_heard,
           from[1]->n_heard);
    printf("%-28s%22" PRIu64 "%22" PRIu64 "\n", "  heard by the receiver", to[0]->n_heard,
           to[1]->n_heard);
    printf("%-28s", "SHA-256 at both ends");
    print_digest(to[0]);
    print_digest(to[1]);
    printf("\n%-28s%22" PRIu64 "\n", "versions read", readings->n_read);
    printf("%-28s%22" PRIu64 "\n", "versions missed", readings->n_missed);
    printf("%-28s%22" PRIu64 "\n", "versions inconsistent", readings->n_wrong);
    if (readings->n_aged == 0) {
        printf("%-28s%22s\n", "age", "unknown");
    } else {
        printf("%-28s%19.2f ms\n", "age, mean", mean_age(readings));
        printf("%-28s%19.2f ms\n", "age, worst", ms(readings->worst_ns));
    }
    if (side->status == DEMO_OK) {
        printf("result: consistent: every version read, and both files\n");
    } else {
        printf("result: NOT consistent: %s\n", side->reason);
    }
    (void)fflush(stdout);
}
