/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: whatever the writer or the owner does at whichever shared access of a reader, the
 * reader gets one whole version, is told to try again, or learns that the chunk is gone. Every
 * reading call, with something happening before each of its accesses in turn.
 */
#include "../support/hook.h"
#include "../support/snapshot.h"

enum {
    LEN = 24,
    CALL_READ,
    CALL_PARTS,
    CALL_PEEK,
    CALL_VERSION, /* read_version of the newest, and of its neighbours */
    CALL_OLDER,
    CALL_NEXT,
    N_CALLS
};

struct scene {
    struct test_snapshot snap;
    int call;
    int happening;
    uint64_t before;  /* newest version when the reader's call began */
    uint64_t last;    /* what the reader had read before */
    uint64_t version; /* the version that read_version asks for */
    unsigned n;       /* how many versions are published meanwhile */
    bool happened;
    bool gone; /* the chunk was released or renewed */
};

/* ---- what happens --------------------------------------------------------------------------- */

enum {
    NOTHING,
    PUBLISH, /* n versions; a version that was begun before is finished first */
    BEGIN,
    FILL_HALF,
    MARK,    /* complete, but the writer dies before it says so */
    RENEW,   /* the chunk starts anew */
    REUSE,   /* and a new writer publishes n versions */
    RELEASE, /* the chunk leaves the directory */
    OTHER,   /* and something else comes to lie there */
    N_HAPPENINGS
};

static void finish(struct crossvm_snapshot_writer *writer)
{
    unsigned char payload[LEN];
    uint64_t version = crossvm_snapshot_writer_version(writer) + 1;
    test_payload_fill(payload, LEN, version);
    REQUIRE(crossvm_snapshot_writer_put(writer, 0, payload, LEN) == CROSSVM_OK);
    REQUIRE(crossvm_snapshot_writer_commit(writer, LEN, test_sampled_ns(version),
                                           test_published_ns(version)) == CROSSVM_OK);
}

static void publish_n(struct crossvm_snapshot_writer *writer, unsigned n)
{
    if (n != 0 && crossvm_snapshot_writer_raw(writer) != NULL) {
        finish(writer);
        n--;
    }
    for (; n != 0; n--) {
        REQUIRE(test_publish(writer, LEN) == CROSSVM_OK);
    }
}

static void begin_next(struct scene *scene, int how_far)
{
    struct crossvm_snapshot_writer *writer = &scene->snap.writer;
    uint64_t next = crossvm_snapshot_writer_version(writer) + 1;
    unsigned char payload[LEN];
    test_payload_fill(payload, LEN, next);
    REQUIRE(crossvm_snapshot_writer_begin(writer, false) == CROSSVM_OK);
    if (how_far != BEGIN) {
        REQUIRE(crossvm_snapshot_writer_put(writer, 0, payload,
                                            how_far == FILL_HALF ? LEN / 2 : LEN) == CROSSVM_OK);
    }
    if (how_far == MARK) {
        crossvm_store_relaxed(&test_snapshot_slot(&scene->snap, next)->mark, (uint32_t)(next * 2));
    }
}

static void renew(struct scene *scene)
{
    struct test_snapshot *snap = &scene->snap;
    REQUIRE(crossvm_region_owner_renew(&snap->region.owner, &snap->chunk) == CROSSVM_OK);
    if (scene->happening == REUSE) {
        struct crossvm_snapshot_writer writer;
        REQUIRE(crossvm_snapshot_writer_open(&writer, &snap->region.owner.region, &snap->chunk) ==
                CROSSVM_OK);
        publish_n(&writer, scene->n);
    }
    scene->gone = true;
}

static void release(struct scene *scene)
{
    struct crossvm_region_owner *owner = &scene->snap.region.owner;
    const struct crossvm_chunk_decl decl = {
        "other", CROSSVM_KIND_BYTES, 0, 1024, PARTY_A, PARTY_B, 0, 0};
    struct crossvm_chunk other;
    REQUIRE(crossvm_region_owner_release(owner, &scene->snap.chunk) == CROSSVM_OK);
    if (scene->happening == OTHER) {
        REQUIRE(crossvm_region_owner_allocate(owner, &decl, &other) == CROSSVM_OK);
        REQUIRE(other.off == scene->snap.chunk.off);
        memset((unsigned char *)scene->snap.region.writable.base + other.off + 128, 0xff, 1024);
    }
    scene->gone = true;
}

static void happen(void *what)
{
    struct scene *scene = (struct scene *)what;
    scene->happened = true;
    switch (scene->happening) {
    case PUBLISH:
        publish_n(&scene->snap.writer, scene->n);
        break;
    case BEGIN:
    case FILL_HALF:
    case MARK:
        begin_next(scene, scene->happening);
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

/* ---- what the reader does ------------------------------------------------------------------- */

static int read_parts(struct crossvm_snapshot_reader *reader, unsigned char *payload,
                      struct crossvm_snapshot_info *info)
{
    const struct crossvm_snapshot_part parts[] = {
        {0, 8, payload}, {8, 8, payload + 8}, {16, LEN - 16, payload + 16}};
    return crossvm_snapshot_reader_read_parts(reader, parts, 3, info);
}

/* While the slot is being rewritten a view's length can be too short: then done must say so. */
static int read_in_place(struct crossvm_snapshot_reader *reader, unsigned char *payload,
                         struct crossvm_snapshot_info *info)
{
    struct crossvm_snapshot_view view;
    int status = crossvm_snapshot_reader_peek(reader, &view);
    if (status != CROSSVM_OK) {
        return status;
    }
    int second = crossvm_snapshot_reader_get(reader, &view, LEN / 2, payload + LEN / 2, LEN / 2);
    int first = crossvm_snapshot_reader_get(reader, &view, 0, payload, LEN / 2);
    *info = view.info;
    status = crossvm_snapshot_reader_done(reader, &view);
    CHECK(status < 0 || (first == CROSSVM_OK && second == CROSSVM_OK));
    return status;
}

static int read_by(struct scene *scene, unsigned char *payload, struct crossvm_snapshot_info *info)
{
    struct crossvm_snapshot_reader *reader = &scene->snap.reader;
    switch (scene->call) {
    case CALL_READ:
        return crossvm_snapshot_reader_read(reader, payload, LEN, info);
    case CALL_PARTS:
        return read_parts(reader, payload, info);
    case CALL_PEEK:
        return read_in_place(reader, payload, info);
    default:
        return crossvm_snapshot_reader_read_version(reader, scene->version, payload, LEN, info);
    }
}

/* ---- what must hold ------------------------------------------------------------------------- */

static bool newest_ok(const struct scene *scene, int status,
                      const struct crossvm_snapshot_info *info)
{
    uint64_t now = crossvm_snapshot_writer_version(&scene->snap.writer);
    if (status == CROSSVM_NOT_YET) {
        return scene->before == 0;
    }
    if (status == CROSSVM_TORN) {
        return scene->call == CALL_PEEK && scene->happened;
    }
    uint64_t missed =
        scene->last == 0 || info->version == scene->last ? 0 : info->version - scene->last - 1;
    return info->version >= scene->before && info->version <= now && info->missed == missed &&
           status == (info->version != scene->last);
}

static bool numbered_ok(const struct scene *scene, int status,
                        const struct crossvm_snapshot_info *info)
{
    uint64_t now = crossvm_snapshot_writer_version(&scene->snap.writer);
    uint64_t n = scene->snap.chunk.n;
    if (status == CROSSVM_NOT_FOUND) {
        /* Not while it is there from beginning to end, and its slot was not touched. */
        return scene->version > scene->before || scene->version + n <= now + 1 ||
               scene->version == 0 || scene->gone;
    }
    return status == CROSSVM_OK && info->version == scene->version && info->missed == 0 &&
           info->version <= now;
}

static void judge(const struct scene *scene, int status, const struct crossvm_snapshot_info *info,
                  const unsigned char *payload, unsigned long at)
{
    bool ok;
    if (status == CROSSVM_STALE) {
        ok = scene->gone;
    } else if (scene->call < CALL_VERSION) {
        ok = newest_ok(scene, status, info);
    } else {
        ok = numbered_ok(scene, status, info);
    }
    if (ok && status >= 0) {
        ok = info->len == LEN && test_read_ok(info, payload);
    }
    if (!ok) {
        char text[240];
        (void)snprintf(
            text, sizeof(text),
            "call %d, %d happened before access %lu, %" PRIu32 " slots, newest was %llu, "
            "published %u: %s, version %llu, rule %s",
            scene->call, scene->happening, at, scene->snap.chunk.n,
            (unsigned long long)scene->before, scene->n, crossvm_status_name(status),
            (unsigned long long)info->version, crossvm_rule_name(scene->snap.reader.fault.rule));
        check_failed(__FILE__, __LINE__, text);
    }
}

/* How a scene begins. */
struct beginning {
    uint32_t n_slots;
    uint64_t version;
    bool begun; /* the next version was begun before */
};

/* Cleared memory in the same region: much cheaper than a new one. */
static void clear(struct test_snapshot *snap)
{
    struct crossvm_region_owner *owner = &snap->region.owner;
    const struct crossvm_chunk_decl decl = test_snapshot_decl(snap->chunk.n, LEN);
    while (owner->n_chunks != 0) {
        struct crossvm_chunk chunk = owner->table[0];
        REQUIRE(crossvm_region_owner_release(owner, &chunk) == CROSSVM_OK);
    }
    REQUIRE(crossvm_region_owner_allocate(owner, &decl, &snap->chunk) == CROSSVM_OK);
}

static void scene_begin(struct scene *scene, const struct beginning *beginning)
{
    unsigned char payload[LEN];
    clear(&scene->snap);
    test_snapshot_restart_at(&scene->snap, beginning->version);
    scene->before = beginning->version;
    scene->happened = false;
    scene->gone = false;
    if (beginning->version != 0) {
        REQUIRE(crossvm_snapshot_reader_read(&scene->snap.reader, payload, LEN, NULL) == 1);
    }
    scene->last = beginning->version;
    if (beginning->begun) {
        begin_next(scene, FILL_HALF);
    }
    scene->version = scene->before;
    if (scene->call == CALL_OLDER) {
        scene->version = scene->before < 2 ? 0 : scene->before - 1;
    } else if (scene->call == CALL_NEXT) {
        scene->version = scene->before + 1;
    }
}

/* One call with one happening at one access; false when the call has no such access. */
static bool play(struct scene *scene, const struct beginning *beginning, unsigned long at)
{
    unsigned char payload[LEN];
    struct crossvm_snapshot_info info;
    memset(&info, 0, sizeof(info));
    memset(payload, 0, sizeof(payload));
    scene_begin(scene, beginning);
    test_hook_arm(at, happen, scene);
    int status = read_by(scene, payload, &info);
    (void)test_hook_disarm();
    judge(scene, status, &info, payload, at);
    if (scene->gone) {
        CHECK_EQ(read_by(scene, payload, &info), CROSSVM_STALE);
    }
    return scene->happened;
}

static unsigned long n_scenes;

static void play_at_every_access(int call, int happening, unsigned n,
                                 const struct beginning *beginning)
{
    struct scene scene;
    unsigned long at = 1;
    memset(&scene, 0, sizeof(scene));
    scene.call = call;
    scene.happening = happening;
    scene.n = n;
    test_snapshot_make(&scene.snap, beginning->n_slots, LEN);
    while (play(&scene, beginning, at)) {
        at++;
    }
    test_snapshot_drop(&scene.snap);
    n_scenes += at;
}

static void play_all(const struct beginning *beginning)
{
    static const unsigned counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 17};
    for (int call = CALL_READ; call < N_CALLS; call++) {
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            play_at_every_access(call, PUBLISH, counts[i], beginning);
        }
        for (int happening = BEGIN; happening < N_HAPPENINGS; happening++) {
            play_at_every_access(call, happening, 1, beginning);
        }
    }
}

static void anything_may_happen_at_any_access(void)
{
    static const uint32_t slot_counts[] = {2, 4, 8};
    for (size_t i = 0; i < 3; i++) {
        struct beginning beginning = {slot_counts[i], 0, false};
        for (uint64_t version = 0; version <= 3; version++) {
            beginning.version = version;
            play_all(&beginning);
        }
        for (int begun = 0; begun < 2; begun++) {
            beginning.begun = begun != 0;
            beginning.version = 20;
            play_all(&beginning);
        }
    }
    printf("  %lu scenes\n", n_scenes);
}

static void anything_may_happen_where_numbers_begin_anew(void)
{
    for (uint32_t n_slots = 2; n_slots <= 4; n_slots *= 2) {
        for (size_t k = 0; k < TEST_N_VERSION_EDGES; k++) {
            struct beginning beginning = {n_slots, 0, false};
            for (uint64_t back = 0; back <= 2; back++) {
                beginning.version = test_version_edges[k] - back;
                play_all(&beginning);
            }
        }
    }
    printf("  %lu scenes\n", n_scenes);
}

/* ---- a writer that is faster than any reader ------------------------------------------------ */

static void publish_one(void *what)
{
    struct scene *scene = (struct scene *)what;
    publish_n(&scene->snap.writer, 1);
}

/* One version at each access of the reader: with few slots it can never succeed, and says so
 * within its bounded attempts; with many it does not notice. */
static void a_call_is_bounded_however_fast_the_writer_is(void)
{
    for (uint32_t n_slots = 2; n_slots <= 64; n_slots *= 2) {
        for (int call = CALL_READ; call <= CALL_PEEK; call++) {
            struct scene scene;
            unsigned char payload[LEN];
            struct crossvm_snapshot_info info;
            const struct beginning beginning = {n_slots, 1, false};
            memset(&scene, 0, sizeof(scene));
            scene.call = call;
            test_snapshot_make(&scene.snap, n_slots, LEN);
            scene_begin(&scene, &beginning);
            test_hook_arm(0, publish_one, &scene);
            int status = read_by(&scene, payload, &info);
            unsigned long accesses = test_hook_disarm();
            if (n_slots <= 8) {
                CHECK_EQ(status, CROSSVM_TORN);
            } else if (n_slots >= 32) {
                CHECK_EQ(status, 1);
            }
            CHECK(status < 0 || test_read_ok(&info, payload));
            CHECK(accesses <= (unsigned long)CROSSVM_SNAPSHOT_TRIES * 20);
            /* When the writer pauses the next read succeeds. */
            CHECK_EQ(crossvm_snapshot_reader_read(&scene.snap.reader, payload, LEN, &info), 1);
            CHECK_EQ(info.version, crossvm_snapshot_writer_version(&scene.snap.writer));
            test_snapshot_drop(&scene.snap);
        }
    }
}

int main(void)
{
    CASE(anything_may_happen_at_any_access);
    CASE(anything_may_happen_where_numbers_begin_anew);
    CASE(a_call_is_bounded_however_fast_the_writer_is);
    return check_done();
}
