/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broadcast.h: whatever the writer or the owner does at whichever shared access of a reader, the
 * reader gets the next element that is left, whole, and the count of those in front of it, or
 * learns that the chunk is gone. Every call of a reader, with something happening before each of
 * its accesses in turn; and in the end every number was read or lost, once.
 */
#include "../support/hook.h"
#include "../support/broadcast.h"

enum {
    LEN = 24,
    CALL_READ,
    CALL_NEWEST, /* opened there */
    CALL_OLDEST,
    N_CALLS
};

enum {
    NOTHING,
    PUBLISH, /* n elements, one after the other */
    BATCH,   /* n elements */
    PUT,     /* n elements, written and not announced */
    BEGIN,   /* one is begun */
    DIE,     /* n are written; the writer comes back, and gives their numbers to others */
    RENEW,   /* the chunk starts anew */
    REUSE,   /* and a new writer publishes n elements */
    RELEASE, /* the chunk leaves the directory */
    OTHER,   /* and something else comes to lie there */
    N_HAPPENINGS
};

/* How a scene begins: the reader has read everything up to `number`; then `ahead` elements are
 * published, it reads one if there is one, and `more` are published. */
struct beginning {
    uint32_t n_slots;
    uint64_t number;
    uint32_t ahead;
    uint32_t more;
};

struct scene {
    struct test_broadcast cast;
    struct test_tally tally;
    int call;
    int happening;
    uint32_t n;
    uint64_t before; /* the newest number when the call began */
    uint64_t newest; /* the newest number that was announced */
    bool happened;
    bool gone; /* the chunk was released or renewed */
};

/* ---- what happens --------------------------------------------------------------------------- */

static void put_some(struct scene *scene)
{
    uint32_t most = scene->cast.chunk.n / 2;
    for (uint32_t i = 0; i < scene->n && i < most; i++) {
        test_put(&scene->cast.writer, LEN);
    }
}

static void publish_some(struct scene *scene)
{
    test_send_each(&scene->cast.writer, LEN, scene->n);
    scene->newest = crossvm_broadcast_writer_number(&scene->cast.writer);
}

static void renew(struct scene *scene)
{
    struct test_broadcast *cast = &scene->cast;
    REQUIRE(crossvm_region_owner_renew(&cast->region.owner, &cast->chunk) == CROSSVM_OK);
    if (scene->happening == REUSE) {
        test_broadcast_write(cast);
        test_send_each(&cast->writer, LEN, scene->n);
    }
    scene->gone = true;
}

static void release(struct scene *scene)
{
    struct test_broadcast *cast = &scene->cast;
    const struct crossvm_chunk_decl decl = {
        "other", CROSSVM_KIND_BYTES, 0, 1024, PARTY_A, PARTY_B, 0, 0};
    struct crossvm_chunk other;
    REQUIRE(crossvm_region_owner_release(&cast->region.owner, &cast->chunk) == CROSSVM_OK);
    if (scene->happening == OTHER) {
        REQUIRE(crossvm_region_owner_allocate(&cast->region.owner, &decl, &other) == CROSSVM_OK);
        REQUIRE(other.off == cast->chunk.off);
        memset((unsigned char *)cast->region.writable.base + other.off + 128, 0xff, 1024);
    }
    scene->gone = true;
}

static void happen(void *what)
{
    struct scene *scene = (struct scene *)what;
    struct crossvm_broadcast_writer *writer = &scene->cast.writer;
    scene->happened = true;
    switch (scene->happening) {
    case PUBLISH:
        publish_some(scene);
        break;
    case BATCH:
        REQUIRE(test_send_n(writer, LEN, scene->n) == CROSSVM_OK);
        scene->newest = crossvm_broadcast_writer_number(writer);
        break;
    case PUT:
        put_some(scene);
        break;
    case BEGIN:
        (void)crossvm_slots_writer_begin(&writer->slots, writer->number + 1);
        break;
    case DIE:
        put_some(scene);
        test_broadcast_write(&scene->cast);
        publish_some(scene);
        break;
    case RENEW:
    case REUSE:
        renew(scene);
        break;
    case RELEASE:
    case OTHER:
        release(scene);
        break;
    default:
        break;
    }
}

/* ---- what must hold ------------------------------------------------------------------------- */

static void failed(const struct scene *scene, const char *what, int status, unsigned long at)
{
    char text[240];
    (void)snprintf(text, sizeof(text),
                   "%s: call %d, %d with %u happened before access %lu, %u slots, newest was %llu, "
                   "is %llu: %s, rule %s",
                   what, scene->call, scene->happening, (unsigned)scene->n, at,
                   (unsigned)scene->cast.chunk.n, (unsigned long long)scene->before,
                   (unsigned long long)scene->newest, crossvm_status_name(status),
                   crossvm_rule_name(scene->cast.reader.fault.rule));
    check_failed(__FILE__, __LINE__, text);
}

static bool read_ok(const struct scene *scene, int status,
                    const struct crossvm_broadcast_info *info)
{
    if (status == CROSSVM_STALE) {
        return scene->gone;
    }
    if (status == CROSSVM_EMPTY) {
        return scene->tally.last >= scene->before;
    }
    return status == CROSSVM_OK && info->number <= scene->newest;
}

static void call_read(struct scene *scene, unsigned long at)
{
    struct crossvm_broadcast_reader *reader = &scene->cast.reader;
    struct crossvm_broadcast_info info = {0, 0, 0};
    unsigned char elem[TEST_ELEM_MAX];
    test_hook_arm(at, happen, scene);
    int status = crossvm_broadcast_reader_read(reader, elem, sizeof(elem), &info);
    (void)test_hook_disarm();
    if (!read_ok(scene, status, &info)) {
        failed(scene, "read", status, at);
    }
    if (status == CROSSVM_OK) {
        test_tally_read(&scene->tally, reader, &info, elem);
    }
}

/* The oldest number that may be left when `newest` is the newest one. */
static uint64_t oldest(const struct scene *scene, uint64_t newest)
{
    return newest < scene->cast.chunk.n ? 1 : newest - scene->cast.chunk.n + 1;
}

static void call_open(struct scene *scene, unsigned long at)
{
    struct crossvm_broadcast_reader *reader = &scene->cast.reader;
    const struct crossvm_chunk chunk = scene->cast.chunk;
    bool newest = scene->call == CALL_NEWEST;
    uint64_t from = newest ? scene->before : oldest(scene, scene->before);
    test_hook_arm(at, happen, scene);
    int status =
        crossvm_broadcast_reader_open(reader, &scene->cast.region.reader, &chunk,
                                      newest ? CROSSVM_BROADCAST_NEWEST : CROSSVM_BROADCAST_OLDEST);
    (void)test_hook_disarm();
    uint64_t to = newest ? scene->newest : oldest(scene, scene->newest);
    bool ok = status == CROSSVM_OK ? scene->gone || (reader->next >= from && reader->next <= to) ||
                                         (reader->next == 1 && from == 0)
                                   : status == CROSSVM_STALE && scene->gone;
    if (!ok) {
        failed(scene, "open", status, at);
    }
    test_tally_begin(&scene->tally, reader);
}

/* Cleared memory in the same region: much cheaper than a new one. */
static void clear(struct test_broadcast *cast)
{
    struct crossvm_region_owner *owner = &cast->region.owner;
    const struct crossvm_chunk_decl decl = test_broadcast_decl(cast->chunk.n, LEN);
    while (owner->n_chunks != 0) {
        struct crossvm_chunk chunk = owner->table[0];
        REQUIRE(crossvm_region_owner_release(owner, &chunk) == CROSSVM_OK);
    }
    REQUIRE(crossvm_region_owner_allocate(owner, &decl, &cast->chunk) == CROSSVM_OK);
}

static void scene_begin(struct scene *scene, const struct beginning *beginning)
{
    struct test_broadcast *cast = &scene->cast;
    unsigned char elem[TEST_ELEM_MAX];
    struct crossvm_broadcast_info info = {0, 0, 0};
    clear(cast);
    test_broadcast_restart_at(cast, beginning->number);
    test_tally_begin(&scene->tally, &cast->reader);
    (void)test_tally_drain(&scene->tally, &cast->reader);
    test_send_each(&cast->writer, LEN, beginning->ahead);
    if (beginning->ahead != 0) {
        REQUIRE(crossvm_broadcast_reader_read(&cast->reader, elem, sizeof(elem), &info) ==
                CROSSVM_OK);
        test_tally_read(&scene->tally, &cast->reader, &info, elem);
    }
    test_send_each(&cast->writer, LEN, beginning->more);
    scene->before = crossvm_broadcast_writer_number(&cast->writer);
    scene->newest = scene->before;
    scene->happened = false;
    scene->gone = false;
}

/* One call with one happening at one access; false when the call has no such access. */
static bool play(struct scene *scene, const struct beginning *beginning, unsigned long at)
{
    scene_begin(scene, beginning);
    if (scene->call == CALL_READ) {
        call_read(scene, at);
    } else {
        call_open(scene, at);
    }
    if (scene->gone) {
        unsigned char elem[LEN];
        CHECK_EQ(crossvm_broadcast_reader_read(&scene->cast.reader, elem, LEN, NULL),
                 CROSSVM_STALE);
    } else {
        (void)test_tally_drain(&scene->tally, &scene->cast.reader);
        test_tally_exact(&scene->tally, scene->newest);
    }
    return scene->happened;
}

static unsigned long n_scenes;

static void play_at_every_access(int call, int happening, uint32_t n,
                                 const struct beginning *beginning)
{
    struct scene scene;
    unsigned long at = 1;
    memset(&scene, 0, sizeof(scene));
    scene.call = call;
    scene.happening = happening;
    scene.n = n;
    test_broadcast_make(&scene.cast, beginning->n_slots, LEN);
    while (play(&scene, beginning, at)) {
        at++;
    }
    test_broadcast_drop(&scene.cast);
    n_scenes += at;
}

static void play_all(const struct beginning *beginning)
{
    static const uint32_t counts[] = {1, 2, 5, 9};
    for (int call = CALL_READ; call < N_CALLS; call++) {
        for (int happening = NOTHING; happening < N_HAPPENINGS; happening++) {
            size_t n_counts = sizeof(counts) / sizeof(counts[0]);
            bool counted = happening != NOTHING && happening != BEGIN && happening != RENEW &&
                           happening != RELEASE && happening != OTHER;
            for (size_t i = 0; i < (counted ? n_counts : 1); i++) {
                play_at_every_access(call, happening, counts[i], beginning);
            }
        }
    }
}

static void anything_may_happen_at_any_access(void)
{
    static const uint32_t aheads[] = {0, 1, 3, 9};
    static const uint32_t mores[] = {0, 1, 7};
    for (uint32_t n_slots = 2; n_slots <= 8; n_slots *= 2) {
        for (uint64_t number = 0; number <= 20; number += 20) {
            for (size_t i = 0; i < sizeof(aheads) / sizeof(aheads[0]); i++) {
                for (size_t k = 0; k < sizeof(mores) / sizeof(mores[0]); k++) {
                    const struct beginning beginning = {n_slots, number, aheads[i], mores[k]};
                    play_all(&beginning);
                }
            }
        }
    }
    printf("  %lu scenes\n", n_scenes);
}

static void anything_may_happen_where_numbers_begin_anew(void)
{
    for (uint32_t n_slots = 2; n_slots <= 4; n_slots *= 2) {
        for (size_t k = 0; k < TEST_N_VERSION_EDGES; k++) {
            for (uint64_t back = 0; back <= 3; back += 3) {
                const uint64_t number = test_version_edges[k] - back;
                const struct beginning knows = {n_slots, number, 2, 1};
                const struct beginning looks = {n_slots, number, 0, 3};
                play_all(&knows);
                play_all(&looks);
            }
        }
    }
    printf("  %lu scenes\n", n_scenes);
}

/* ---- a writer that is faster than any reader ------------------------------------------------ */

static void publish_one(void *what)
{
    struct scene *scene = (struct scene *)what;
    test_send_each(&scene->cast.writer, LEN, 1);
}

/* One element at each access of the reader: with few slots it can never succeed, and says so within
 * its bounded attempts; with many it loses some and goes on. What it could not get is counted all
 * the same. */
static void a_call_is_bounded_however_fast_the_writer_is(void)
{
    for (uint32_t n_slots = 2; n_slots <= 64; n_slots *= 2) {
        struct scene scene;
        memset(&scene, 0, sizeof(scene));
        test_broadcast_make(&scene.cast, n_slots, LEN);
        test_tally_begin(&scene.tally, &scene.cast.reader);
        test_send_each(&scene.cast.writer, LEN, 3 * n_slots);
        for (unsigned i = 0; i < 50; i++) {
            unsigned char elem[TEST_ELEM_MAX];
            struct crossvm_broadcast_info info = {0, 0, 0};
            test_hook_arm(0, publish_one, &scene);
            int status =
                crossvm_broadcast_reader_read(&scene.cast.reader, elem, sizeof(elem), &info);
            CHECK(test_hook_disarm() <= (unsigned long)CROSSVM_BROADCAST_TRIES * 20);
            if (n_slots <= 4) {
                CHECK_EQ(status, CROSSVM_TORN);
            } else if (n_slots >= 64) {
                CHECK_EQ(status, CROSSVM_OK);
            }
            if (status == CROSSVM_OK) {
                test_tally_read(&scene.tally, &scene.cast.reader, &info, elem);
            }
        }
        (void)test_tally_drain(&scene.tally, &scene.cast.reader);
        test_tally_exact(&scene.tally, crossvm_broadcast_writer_number(&scene.cast.writer));
        test_broadcast_drop(&scene.cast);
    }
}

/* A reader that is not the last in the row does not live at the edge: behind a loss it is half the
 * slots ahead of the writer, and reads that many before the next one. */
static void a_lapped_reader_goes_on_with_room_in_front_of_the_writer(void)
{
    struct scene scene;
    unsigned char elem[TEST_ELEM_MAX];
    struct crossvm_broadcast_info info = {0, 0, 0};
    const uint32_t n_slots = 256;
    memset(&scene, 0, sizeof(scene));
    test_broadcast_make(&scene.cast, n_slots, LEN);
    test_send_each(&scene.cast.writer, LEN, 3 * n_slots);
    test_hook_arm(0, publish_one, &scene);
    int status = crossvm_broadcast_reader_read(&scene.cast.reader, elem, sizeof(elem), &info);
    (void)test_hook_disarm();
    CHECK_EQ(status, CROSSVM_OK);
    uint64_t ahead = crossvm_broadcast_writer_number(&scene.cast.writer) - info.number;
    CHECK(ahead >= n_slots / 2 - 1 && ahead <= n_slots / 2 + 40);
    test_broadcast_drop(&scene.cast);
}

/* ---- how a batch is announced --------------------------------------------------------------- */

struct watch {
    const struct test_broadcast *cast;
    uint32_t latest;
    unsigned n_changes;
};

static void watch_latest(void *what)
{
    struct watch *watch = (struct watch *)what;
    uint32_t latest = crossvm_load_relaxed(&test_broadcast_control(watch->cast)->latest);
    watch->n_changes += latest != watch->latest;
    watch->latest = latest;
}

/* `latest` moves once for half the slots. */
static void a_batch_is_announced_at_once(void)
{
    for (uint32_t n_slots = 2; n_slots <= 64; n_slots *= 2) {
        for (uint32_t n = 1; n <= 2 * n_slots; n++) {
            struct test_broadcast cast;
            struct watch watch = {&cast, 0, 0};
            test_broadcast_make(&cast, n_slots, LEN);
            test_hook_arm(0, watch_latest, &watch);
            REQUIRE(test_send_n(&cast.writer, LEN, n) == CROSSVM_OK);
            (void)test_hook_disarm();
            watch_latest(&watch);
            CHECK_EQ(watch.n_changes, (n + n_slots / 2 - 1) / (n_slots / 2));
            test_broadcast_drop(&cast);
        }
    }
}

int main(void)
{
    CASE(anything_may_happen_at_any_access);
    CASE(anything_may_happen_where_numbers_begin_anew);
    CASE(a_call_is_bounded_however_fast_the_writer_is);
    CASE(a_lapped_reader_goes_on_with_room_in_front_of_the_writer);
    CASE(a_batch_is_announced_at_once);
    return check_done();
}
