/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: consistency under a writer that never pauses, in a thread and in a process of its
 * own, and under one that is killed again and again. Every byte of a payload is a function of its
 * version, so that any mixture of two is noticed. Readers use their whole interface on a read-only
 * mapping, several at once.
 *
 * How often a read was torn is counted and printed, never judged: it is a matter of speed.
 */
#include "../support/snapshot.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
    N_READERS = 3,
    GUARD_SECONDS = 300 /* against hanging */
};

/* What a writer and its reader have in common beside the snapshot. */
struct flags {
    uint32_t stop;      /* 1: the writer stops; 2: it has stopped */
    uint32_t n_through; /* readers that have made their attempts */
};

struct race {
    struct test_snapshot snap;
    struct flags *flags; /* in memory that a forked writer shares */
    uint32_t payload_len;
    unsigned long attempts; /* of each reader, that met a new version or were torn */
};

static void pause_ns(long ns)
{
    struct timespec pause = {0, ns};
    (void)nanosleep(&pause, NULL);
}

static void pause_briefly(void)
{
    pause_ns(50000);
}

static void race_make(struct race *race, uint32_t n_slots, uint32_t payload_len)
{
    memset(race, 0, sizeof(*race));
    test_snapshot_make(&race->snap, n_slots, payload_len);
    race->payload_len = payload_len;
    void *flags =
        mmap(NULL, sizeof(*race->flags), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(flags != MAP_FAILED);
    race->flags = (struct flags *)flags;
}

static void race_drop(struct race *race)
{
    REQUIRE(munmap(race->flags, sizeof(*race->flags)) == 0);
    test_snapshot_drop(&race->snap);
}

/* ---- the writer ----------------------------------------------------------------------------- */

/* In place, in two halves that are written backward. */
static int publish_in_place(struct crossvm_snapshot_writer *writer, uint32_t len, bool carry)
{
    static CHECK_THREAD_LOCAL unsigned char payload[TEST_PAYLOAD_MAX];
    uint64_t version = crossvm_snapshot_writer_version(writer) + 1;
    test_payload_fill(payload, len, version);
    int status = crossvm_snapshot_writer_begin(writer, carry);
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_writer_put(writer, len / 2, payload + len / 2, len - len / 2);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_writer_put(writer, 0, payload, len / 2);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_writer_commit(writer, len, test_sampled_ns(version),
                                                test_published_ns(version));
    }
    return status;
}

static int publish_somehow(struct crossvm_snapshot_writer *writer, uint32_t len)
{
    uint64_t version = crossvm_snapshot_writer_version(writer);
    return version % 4 < 2 ? test_publish(writer, len)
                           : publish_in_place(writer, len, version % 4 == 3);
}

/* Publishes without a pause until it is told to stop; 0 when nothing was refused. */
static int write_flat_out(struct race *race)
{
    struct crossvm_snapshot_writer writer;
    if (crossvm_snapshot_writer_open(&writer, &race->snap.region.owner.region, &race->snap.chunk) !=
        CROSSVM_OK) {
        return 1;
    }
    while (__atomic_load_n(&race->flags->stop, __ATOMIC_ACQUIRE) == 0) {
        if (publish_somehow(&writer, race->payload_len) != CROSSVM_OK) {
            return 1;
        }
    }
    return 0;
}

static void *write_in_thread(void *arg)
{
    return write_flat_out((struct race *)arg) == 0 ? NULL : arg;
}

/* A writer in a process of its own, which ends with the test. */
static pid_t write_in_process(struct race *race)
{
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(write_flat_out(race));
    }
    return child;
}

/* ---- readers -------------------------------------------------------------------------------- */

struct tally {
    struct race *race;
    pthread_t thread;
    int mode;
    uint64_t first;
    uint64_t last;
    unsigned long long missed;
    unsigned long n_new;
    unsigned long n_same;
    unsigned long n_torn;
    unsigned long n_older;
    unsigned long n_bad;
};

static int read_in_parts(struct crossvm_snapshot_reader *reader, unsigned char *payload,
                         uint32_t len, struct crossvm_snapshot_info *info)
{
    /* Backward, so that a part is never a prefix of the copy. */
    const struct crossvm_snapshot_part parts[] = {{len / 2, len - len / 2, payload + len / 2},
                                                  {len / 3, len / 2 - len / 3, payload + len / 3},
                                                  {0, len / 3, payload}};
    return crossvm_snapshot_reader_read_parts(reader, parts, 3, info);
}

static int read_in_place(struct crossvm_snapshot_reader *reader, unsigned char *payload,
                         uint32_t len, struct crossvm_snapshot_info *info)
{
    struct crossvm_snapshot_view view;
    int status = crossvm_snapshot_reader_peek(reader, &view);
    if (status != CROSSVM_OK) {
        return status;
    }
    int second =
        crossvm_snapshot_reader_get(reader, &view, len / 2, payload + len / 2, len - len / 2);
    int first = crossvm_snapshot_reader_get(reader, &view, 0, payload, len / 2);
    *info = view.info;
    status = crossvm_snapshot_reader_done(reader, &view);
    return status >= 0 && (first != CROSSVM_OK || second != CROSSVM_OK) ? CROSSVM_INVALID : status;
}

static int read_once(struct tally *tally, struct crossvm_snapshot_reader *reader,
                     unsigned char *payload, struct crossvm_snapshot_info *info)
{
    uint32_t len = tally->race->payload_len;
    switch (tally->mode) {
    case 0:
        return crossvm_snapshot_reader_read(reader, payload, len, info);
    case 1:
        return read_in_parts(reader, payload, len, info);
    default:
        return read_in_place(reader, payload, len, info);
    }
}

static bool content_ok(const struct tally *tally, const struct crossvm_snapshot_info *info,
                       const unsigned char *payload)
{
    return info->len == tally->race->payload_len && test_read_ok(info, payload);
}

/* Versions rise, and what was missed is exactly what lies between them. */
static void count_read(struct tally *tally, int status, const struct crossvm_snapshot_info *info,
                       const unsigned char *payload)
{
    if (status == CROSSVM_TORN) {
        tally->n_torn++;
        return;
    }
    if (status == CROSSVM_NOT_YET && tally->last == 0) {
        return;
    }
    bool ok = status >= 0 && content_ok(tally, info, payload);
    if (ok && status == 1) {
        uint64_t missed = tally->last == 0 ? 0 : info->version - tally->last - 1;
        ok = info->version > tally->last && info->missed == missed;
        tally->n_new++;
        tally->missed += info->missed;
    } else if (ok) {
        ok = info->version == tally->last && info->missed == 0;
        tally->n_same++;
    }
    if (!ok) {
        tally->n_bad++;
        return;
    }
    tally->first = tally->first == 0 ? info->version : tally->first;
    tally->last = info->version;
}

/* A version by its number is that version, or it is gone. */
static void read_older(struct tally *tally, struct crossvm_snapshot_reader *reader,
                       unsigned char *payload)
{
    struct crossvm_snapshot_info info;
    uint64_t version = tally->last < 2 ? tally->last : tally->last - 1;
    int status = crossvm_snapshot_reader_read_version(reader, version, payload,
                                                      tally->race->payload_len, &info);
    if (status == CROSSVM_OK && info.version == version && content_ok(tally, &info, payload)) {
        tally->n_older++;
    } else if (status != CROSSVM_NOT_FOUND) {
        tally->n_bad++;
    }
}

static void *read_many(void *arg)
{
    static CHECK_THREAD_LOCAL unsigned char payload[TEST_PAYLOAD_MAX];
    struct tally *tally = (struct tally *)arg;
    struct race *race = tally->race;
    struct crossvm_snapshot_reader reader;
    struct crossvm_snapshot_info info;
    if (crossvm_snapshot_reader_open(&reader, &race->snap.region.reader, &race->snap.chunk) !=
        CROSSVM_OK) {
        tally->n_bad++;
        return NULL;
    }
    while (crossvm_snapshot_reader_read_parts(&reader, NULL, 0, NULL) == CROSSVM_NOT_YET) {
        pause_briefly();
    }
    reader.last = 0;
    while (tally->n_new + tally->n_torn < race->attempts && tally->n_bad == 0) {
        unsigned long n_same = tally->n_same;
        count_read(tally, read_once(tally, &reader, payload, &info), &info, payload);
        if (tally->n_same != n_same) {
            (void)sched_yield();
        } else if (tally->n_new % 4 == 0) {
            read_older(tally, &reader, payload);
        }
    }
    /* The writer goes on until all readers are through; the newest is read once it has stopped. */
    (void)__atomic_add_fetch(&race->flags->n_through, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&race->flags->stop, __ATOMIC_ACQUIRE) < 2) {
        pause_briefly();
    }
    count_read(tally, read_once(tally, &reader, payload, &info), &info, payload);
    return NULL;
}

static void readers_start(struct race *race, struct tally *tallies)
{
    for (int i = 0; i < N_READERS; i++) {
        memset(&tallies[i], 0, sizeof(tallies[i]));
        tallies[i].race = race;
        tallies[i].mode = i;
        REQUIRE(pthread_create(&tallies[i].thread, NULL, read_many, &tallies[i]) == 0);
    }
}

/* The newest version of all, as a writer that resumes finds it. */
static uint64_t newest(struct race *race)
{
    struct crossvm_snapshot_writer writer;
    REQUIRE(crossvm_snapshot_writer_open(&writer, &race->snap.region.owner.region,
                                         &race->snap.chunk) == CROSSVM_OK);
    return crossvm_snapshot_writer_version(&writer);
}

static void readers_wait(const struct race *race)
{
    while (__atomic_load_n(&race->flags->n_through, __ATOMIC_ACQUIRE) < N_READERS) {
        pause_briefly();
    }
}

static void readers_finish(struct race *race, struct tally *tallies, const char *where)
{
    uint64_t version = newest(race);
    __atomic_store_n(&race->flags->stop, 2, __ATOMIC_RELEASE);
    unsigned long n_new = 0;
    unsigned long n_torn = 0;
    unsigned long n_older = 0;
    for (int i = 0; i < N_READERS; i++) {
        struct tally *tally = &tallies[i];
        REQUIRE(pthread_join(tally->thread, NULL) == 0);
        CHECK_EQ(tally->n_bad, 0);
        CHECK_EQ(tally->last, version);
        CHECK_EQ(tally->missed + tally->n_new, version - tally->first + 1);
        n_new += tally->n_new;
        n_torn += tally->n_torn;
        n_older += tally->n_older;
    }
    printf("  %u slots, %5u bytes, writer in a %s: %llu published, %lu read, %lu older, %lu torn\n",
           race->snap.chunk.n, race->payload_len, where, (unsigned long long)version, n_new,
           n_older, n_torn);
}

static unsigned long attempts_for(uint32_t payload_len)
{
    return (payload_len > 10000 ? 30 : 100) / CHECK_SHORTER * check_scale();
}

static void race_with_a_thread(uint32_t n_slots, uint32_t payload_len)
{
    struct race race;
    struct tally tallies[N_READERS];
    pthread_t writer;
    void *failed;
    race_make(&race, n_slots, payload_len);
    race.attempts = attempts_for(payload_len);
    readers_start(&race, tallies);
    REQUIRE(pthread_create(&writer, NULL, write_in_thread, &race) == 0);
    readers_wait(&race);
    __atomic_store_n(&race.flags->stop, 1, __ATOMIC_RELEASE);
    REQUIRE(pthread_join(writer, &failed) == 0);
    CHECK(failed == NULL);
    readers_finish(&race, tallies, "thread");
    race_drop(&race);
}

static void race_with_a_process(uint32_t n_slots, uint32_t payload_len)
{
    struct race race;
    struct tally tallies[N_READERS];
    int ended;
    race_make(&race, n_slots, payload_len);
    race.attempts = attempts_for(payload_len);
    pid_t writer = write_in_process(&race);
    readers_start(&race, tallies);
    readers_wait(&race);
    __atomic_store_n(&race.flags->stop, 1, __ATOMIC_RELEASE);
    REQUIRE(waitpid(writer, &ended, 0) == writer);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    readers_finish(&race, tallies, "process");
    race_drop(&race);
}

static const uint32_t payload_lens[] = {8, 200, 4096, 65536};

static void every_read_is_one_version_beside_a_writer_in_a_thread(void)
{
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        for (size_t i = 0; i < 4; i++) {
            race_with_a_thread(n_slots, payload_lens[i]);
        }
    }
}

static void every_read_is_one_version_beside_a_writer_in_a_process(void)
{
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        for (size_t i = 0; i < 4; i++) {
            race_with_a_process(n_slots, payload_lens[i]);
        }
    }
}

/* ---- a writer that is killed ---------------------------------------------------------------- */

struct kills {
    unsigned long n;
    unsigned long in_payload; /* a slot was begun and not complete */
    unsigned long unsaid;     /* a slot was complete, and not yet the newest */
    uint64_t versions;
};

static void look_at_what_is_left(const struct race *race, struct kills *kills, uint64_t version)
{
    struct crossvm_slot_shm *next = test_snapshot_slot(&race->snap, version + 1);
    uint32_t mark = crossvm_load_relaxed(&next->mark);
    kills->n++;
    kills->in_payload += mark == (uint32_t)(version + 1) * 2 - 1;
    kills->unsaid += mark == (uint32_t)(version + 1) * 2;
    kills->versions = version;
}

/* Nobody writes: the newest complete version is read at once, and is never older than before. */
static uint64_t expect_readable(struct race *race, struct crossvm_snapshot_reader *reader)
{
    static unsigned char payload[TEST_PAYLOAD_MAX];
    struct crossvm_snapshot_reader fresh;
    struct crossvm_snapshot_view view;
    struct crossvm_snapshot_info info;
    struct tally tally;
    uint64_t last = reader->last;
    memset(&tally, 0, sizeof(tally));
    tally.race = race;
    REQUIRE(crossvm_snapshot_reader_peek(reader, &view) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_read(reader, payload, race->payload_len, &info) >= 0);
    CHECK(info.version >= last);
    CHECK(content_ok(&tally, &info, payload));
    CHECK_EQ(newest(race), info.version);
    REQUIRE(crossvm_snapshot_reader_open(&fresh, &race->snap.region.reader, &race->snap.chunk) ==
            CROSSVM_OK);
    REQUIRE(crossvm_snapshot_reader_read(&fresh, payload, race->payload_len, &info) == 1);
    CHECK_EQ(info.version, reader->last);
    CHECK(content_ok(&tally, &info, payload));
    return info.version;
}

/* Waits until the new writer has published something, then reads a few times beside it. */
static void read_beside(struct race *race, struct crossvm_snapshot_reader *reader,
                        struct tally *tally, uint32_t n_reads)
{
    static unsigned char payload[TEST_PAYLOAD_MAX];
    struct crossvm_snapshot_info info;
    const struct crossvm_le32 *latest = &test_snapshot_control(&race->snap)->latest;
    while (crossvm_load_relaxed(latest) == (uint32_t)tally->last) {
        pause_briefly();
    }
    for (uint32_t i = 0; i < n_reads; i++) {
        int status = read_once(tally, reader, payload, &info);
        count_read(tally, status, &info, payload);
    }
}

static void kill_again_and_again(uint32_t n_slots, uint32_t payload_len, uint64_t *seed)
{
    struct race race;
    struct kills kills = {0, 0, 0, 0};
    struct tally tally;
    memset(&tally, 0, sizeof(tally));
    tally.race = &race;
    race_make(&race, n_slots, payload_len);
    struct crossvm_snapshot_reader reader = race.snap.reader;
    for (unsigned long i = 0; i < 24 / CHECK_SHORTER * check_scale(); i++) {
        int ended;
        pid_t writer = write_in_process(&race);
        tally.mode = (int)(i % 3);
        read_beside(&race, &reader, &tally, check_random(seed) % 20);
        pause_ns((long)(check_random(seed) % 300000));
        REQUIRE(kill(writer, SIGKILL) == 0);
        REQUIRE(waitpid(writer, &ended, 0) == writer);
        CHECK(WIFSIGNALED(ended));
        look_at_what_is_left(&race, &kills, expect_readable(&race, &reader));
        tally.last = reader.last;
    }
    CHECK_EQ(tally.n_bad, 0);
    printf("  %u slots, %5u bytes: %lu kills, %lu with a version begun, %lu with one complete but "
           "not said; %llu published\n",
           n_slots, payload_len, kills.n, kills.in_payload, kills.unsaid,
           (unsigned long long)kills.versions);
    race_drop(&race);
}

static void the_newest_version_survives_every_kill(void)
{
    uint64_t seed = 31337;
    printf("  seed %llu\n", (unsigned long long)seed);
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        for (size_t i = 0; i < 4; i++) {
            kill_again_and_again(n_slots, payload_lens[i], &seed);
        }
    }
}

int main(void)
{
    (void)alarm((unsigned)(GUARD_SECONDS * check_scale()));
    CASE(every_read_is_one_version_beside_a_writer_in_a_thread);
    CASE(every_read_is_one_version_beside_a_writer_in_a_process);
    CASE(the_newest_version_survives_every_kill);
    return check_done();
}
