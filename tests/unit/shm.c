/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/shm.c - named memory: created once and for its owner alone, refused when others could
 * write it, kept when its processes end, and gone when its name is taken away.
 */
#include <crossvm/backend/shm.h>

#include "../support/queue.h"

#include <sys/resource.h>
#include <sys/statvfs.h>

enum {
    LEN = 3 * 4096
};

static char name[64];

/* Where the system keeps named memory: the tests look at it from outside. */
static const char *path_of_name(void)
{
    static char path[96];
    (void)snprintf(path, sizeof(path), "/dev/shm%s", name);
    return path;
}

static void another_name(void)
{
    static unsigned n;
    n++;
    (void)snprintf(name, sizeof(name), "/crossvm-test-shm-%ld-%u", (long)getpid(), n);
    (void)shm_unlink(name);
}

static void create(struct crossvm_mapping *mapping)
{
    REQUIRE(crossvm_shm_create(mapping, name, LEN) == CROSSVM_OK);
}

static void drop(struct crossvm_mapping *mapping)
{
    crossvm_shm_close(mapping);
    CHECK_EQ(crossvm_shm_unlink(name), CROSSVM_OK);
}

static void check_cannot_open(enum crossvm_mapping_access access, int status)
{
    struct crossvm_mapping mapping;
    unsigned n_fds = test_n_fds();
    CHECK_EQ(crossvm_shm_open(&mapping, name, access), status);
    CHECK(mapping.base == NULL);
    CHECK_EQ(test_n_fds(), n_fds);
    crossvm_shm_close(&mapping);
}

/* ---- creating -------------------------------------------------------------------------------- */

static void new_memory_is_zero_and_writable(void)
{
    struct crossvm_mapping mapping;
    unsigned n_fds = test_n_fds();
    another_name();
    create(&mapping);
    CHECK_EQ(mapping.len, LEN);
    CHECK_EQ(mapping.access, CROSSVM_READ_WRITE);
    CHECK_EQ(mapping.memory, CROSSVM_WRITE_BACK);
    unsigned char *bytes = (unsigned char *)mapping.base;
    for (size_t i = 0; i < LEN; i++) {
        CHECK_EQ(bytes[i], 0);
        bytes[i] = (unsigned char)i;
    }
    /* No descriptor stays open: the mapping holds the memory. */
    CHECK_EQ(test_n_fds(), n_fds);
    drop(&mapping);
    crossvm_shm_close(&mapping);
}

static void a_name_is_created_once(void)
{
    struct crossvm_mapping mapping;
    struct crossvm_mapping second;
    another_name();
    create(&mapping);
    memset(mapping.base, 0x77, LEN);
    CHECK_EQ(crossvm_shm_create(&second, name, 2 * LEN), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EEXIST);
    CHECK(second.base == NULL);
    /* Nothing happened to what was there. */
    struct stat stat_now;
    CHECK_EQ(stat(path_of_name(), &stat_now), 0);
    CHECK_EQ(stat_now.st_size, LEN);
    CHECK_EQ(((unsigned char *)mapping.base)[LEN - 1], 0x77);
    drop(&mapping);
}

static void it_belongs_to_its_owner_alone_whatever_the_umask(void)
{
    static const mode_t umasks[] = {0, 022, 027, 077};
    for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
        struct crossvm_mapping mapping;
        struct stat stat_now;
        another_name();
        mode_t before = umask(umasks[i]);
        create(&mapping);
        (void)umask(before);
        CHECK_EQ(stat(path_of_name(), &stat_now), 0);
        CHECK_EQ(stat_now.st_mode & 07777, 0600);
        CHECK_EQ(stat_now.st_uid, geteuid());
        CHECK(S_ISREG(stat_now.st_mode));
        drop(&mapping);
    }
}

static void check_cannot_create(uint64_t len, int error)
{
    struct crossvm_mapping mapping;
    unsigned n_fds = test_n_fds();
    another_name();
    errno = 0;
    CHECK_EQ(crossvm_shm_create(&mapping, name, len), CROSSVM_SYSTEM);
    CHECK_EQ(errno, error);
    CHECK(mapping.base == NULL);
    CHECK_EQ(test_n_fds(), n_fds);
    CHECK_EQ(access(path_of_name(), F_OK), -1);
    crossvm_shm_close(&mapping);
}

static void an_absurd_length_leaves_nothing_behind(void)
{
    check_cannot_create(0, EFBIG);
    check_cannot_create(UINT64_MAX, EFBIG);
    check_cannot_create(UINT64_C(1) << 63, EFBIG);
}

/* More than the file system has, which it says before it takes a page. */
static void more_than_there_is_leaves_nothing_behind(void)
{
    struct statvfs fs;
    REQUIRE(statvfs("/dev/shm", &fs) == 0);
    if (fs.f_blocks == 0) {
        printf("  no limit on named memory here\n");
        return;
    }
    uint64_t len = ((uint64_t)fs.f_blocks + 1) * fs.f_frsize;
    check_cannot_create(len, len > SIZE_MAX / 2 ? EFBIG : ENOSPC);
    pid_t child = test_fork();
    if (child == 0) {
        const struct rlimit limit = {4096, 4096};
        REQUIRE(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        check_cannot_create(LEN, EFBIG);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
}

static void a_wrong_name_is_the_systems_refusal(void)
{
    static const char *const wrong[] = {"", "/", "/a/b", "/crossvm-test-no-such-directory/x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct crossvm_mapping mapping;
        CHECK_EQ(crossvm_shm_create(&mapping, wrong[i], LEN), CROSSVM_SYSTEM);
        CHECK(mapping.base == NULL);
        CHECK_EQ(crossvm_shm_open(&mapping, wrong[i], CROSSVM_READ_ONLY), CROSSVM_SYSTEM);
        CHECK(mapping.base == NULL);
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static void both_ways_of_opening_see_the_same_bytes(void)
{
    struct crossvm_mapping mapping;
    struct crossvm_mapping reader;
    struct crossvm_mapping writer;
    another_name();
    create(&mapping);
    REQUIRE(crossvm_shm_open(&reader, name, CROSSVM_READ_ONLY) == CROSSVM_OK);
    REQUIRE(crossvm_shm_open(&writer, name, CROSSVM_READ_WRITE) == CROSSVM_OK);
    CHECK_EQ(reader.len, LEN);
    CHECK_EQ(writer.len, LEN);
    CHECK_EQ(reader.access, CROSSVM_READ_ONLY);
    CHECK_EQ(writer.access, CROSSVM_READ_WRITE);
    *(volatile unsigned char *)writer.base = 9;
    CHECK_EQ(*(volatile unsigned char *)reader.base, 9);
    CHECK_EQ(*(volatile unsigned char *)mapping.base, 9);
    /* The read-only mapping is one, also for the processor. */
    CHECK_EQ(mprotect(reader.base, LEN, PROT_READ | PROT_WRITE), -1);
    crossvm_shm_close(&reader);
    crossvm_shm_close(&writer);
    drop(&mapping);
}

static void a_name_that_is_not_there_is_not_made(void)
{
    another_name();
    check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_SYSTEM);
    CHECK_EQ(errno, ENOENT);
    check_cannot_open(CROSSVM_READ_WRITE, CROSSVM_SYSTEM);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(access(path_of_name(), F_OK), -1);
    CHECK_EQ(crossvm_shm_unlink(name), CROSSVM_SYSTEM);
    CHECK_EQ(errno, ENOENT);
}

static void memory_that_others_may_access_is_refused(void)
{
    static const mode_t wide[] = {0601, 0602, 0604, 0610, 0620, 0640, 0644, 0660, 0666, 0777};
    struct crossvm_mapping mapping;
    another_name();
    create(&mapping);
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        CHECK_EQ(chmod(path_of_name(), wide[i]), 0);
        check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_ROLE);
        check_cannot_open(CROSSVM_READ_WRITE, CROSSVM_ROLE);
    }
    CHECK_EQ(chmod(path_of_name(), 0600), 0);
    struct crossvm_mapping again;
    CHECK_EQ(crossvm_shm_open(&again, name, CROSSVM_READ_WRITE), CROSSVM_OK);
    crossvm_shm_close(&again);
    drop(&mapping);
}

static void memory_of_another_user_is_refused(void)
{
    struct crossvm_mapping mapping;
    if (geteuid() != 0) {
        printf("  not the superuser: cannot give memory away\n");
        return;
    }
    another_name();
    create(&mapping);
    CHECK_EQ(chown(path_of_name(), 65534, (gid_t)-1), 0);
    check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_ROLE);
    check_cannot_open(CROSSVM_READ_WRITE, CROSSVM_ROLE);
    CHECK_EQ(chown(path_of_name(), 0, (gid_t)-1), 0);
    /* And the other way round the system itself refuses. */
    pid_t child = test_fork();
    if (child == 0) {
        REQUIRE(setgid(65534) == 0 && setuid(65534) == 0);
        check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_SYSTEM);
        CHECK_EQ(errno, EACCES);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
    drop(&mapping);
}

/* Its creator stands between making the name and giving it a length. */
static void memory_without_a_length_is_not_there_yet(void)
{
    another_name();
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    REQUIRE(fd >= 0);
    check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_NOT_YET);
    check_cannot_open(CROSSVM_READ_WRITE, CROSSVM_NOT_YET);
    REQUIRE(close(fd) == 0 && shm_unlink(name) == 0);
}

/* Anybody may put anything under a name: no call may block, or take it for memory. */
static void what_is_no_memory_is_refused(void)
{
    another_name();
    REQUIRE(symlink("/etc/passwd", path_of_name()) == 0);
    check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_SYSTEM);
    REQUIRE(unlink(path_of_name()) == 0);
    REQUIRE(mkdir(path_of_name(), 0700) == 0);
    struct crossvm_mapping mapping;
    CHECK(crossvm_shm_open(&mapping, name, CROSSVM_READ_ONLY) < 0);
    CHECK(mapping.base == NULL);
    REQUIRE(rmdir(path_of_name()) == 0);

    REQUIRE(mkfifo(path_of_name(), 0600) == 0);
    pid_t child = test_fork();
    if (child == 0) {
        (void)alarm(10); /* an open that waits for a writer hangs here */
        CHECK(crossvm_shm_open(&mapping, name, CROSSVM_READ_ONLY) < 0);
        CHECK(crossvm_shm_open(&mapping, name, CROSSVM_READ_WRITE) < 0);
        test_child_done();
    }
    CHECK_EQ(test_wait(child), 0);
    REQUIRE(unlink(path_of_name()) == 0);
}

/* ---- living on ------------------------------------------------------------------------------- */

static const struct crossvm_chunk_decl chunks[] = {
    {"state", CROSSVM_KIND_SNAPSHOT, 4, 64, PARTY_A, CROSSVM_ANYONE, 0, 0},
};
static const struct crossvm_region_plan plan = {chunks, 1, 0, 0, 0, PARTY_A, {5}, 0, {0, 0, 0}};

static void publish(struct crossvm_region_owner *owner, uint64_t *version)
{
    struct crossvm_snapshot_writer writer;
    char payload[64];
    struct crossvm_chunk chunk = test_find(&owner->region, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&writer, &owner->region, &chunk) == CROSSVM_OK);
    memset(payload, (int)(writer.version + 1), sizeof(payload));
    CHECK_EQ(crossvm_snapshot_writer_publish(&writer, payload, sizeof(payload), 0, 0), CROSSVM_OK);
    *version = crossvm_snapshot_writer_version(&writer);
}

/* One life of a writer: makes the region or takes it over, publishes once, and just ends. */
static void writer_life(uint32_t life)
{
    struct crossvm_mapping mapping;
    static struct crossvm_region_owner owner;
    static struct crossvm_chunk table[2];
    uint64_t len;
    uint64_t version;
    REQUIRE(crossvm_region_plan_len(&plan, &len) == CROSSVM_OK);
    if (life == 1) {
        REQUIRE(crossvm_shm_create(&mapping, name, len) == CROSSVM_OK);
        REQUIRE(crossvm_region_owner_format(&owner, &mapping, &plan, table, 2) == CROSSVM_OK);
    } else {
        REQUIRE(crossvm_shm_open(&mapping, name, CROSSVM_READ_WRITE) == CROSSVM_OK);
        REQUIRE(crossvm_region_owner_adopt(&owner, &mapping, &plan, table, 2) == CROSSVM_OK);
    }
    publish(&owner, &version);
    CHECK_EQ(version, life);
}

static void contents_outlive_the_processes(void)
{
    struct crossvm_mapping mapping;
    struct crossvm_region region;
    struct crossvm_snapshot_reader reader;
    struct crossvm_snapshot_info info = {0, 0, 0, 0, 0};
    unsigned char payload[64];
    another_name();
    for (uint32_t life = 1; life <= 5; life++) {
        pid_t child = test_fork();
        if (child == 0) {
            writer_life(life);
            test_child_done();
        }
        REQUIRE(test_wait(child) == 0);
        /* Nobody has it mapped now. */
        REQUIRE(crossvm_shm_open(&mapping, name, CROSSVM_READ_ONLY) == CROSSVM_OK);
        REQUIRE(crossvm_region_attach(&region, &mapping, PARTY_B) == CROSSVM_OK);
        struct crossvm_chunk chunk = test_find(&region, "state", CROSSVM_KIND_SNAPSHOT);
        REQUIRE(crossvm_snapshot_reader_open(&reader, &region, &chunk) == CROSSVM_OK);
        CHECK_EQ(crossvm_snapshot_reader_read(&reader, payload, sizeof(payload), &info), 1);
        CHECK_EQ(info.version, life);
        CHECK_EQ(payload[63], life);
        crossvm_shm_close(&mapping);
    }
    CHECK_EQ(crossvm_shm_unlink(name), CROSSVM_OK);
}

static void a_name_that_was_taken_away_is_free_and_the_memory_stays_mapped(void)
{
    struct crossvm_mapping old;
    struct crossvm_mapping new_one;
    another_name();
    create(&old);
    memset(old.base, 1, LEN);
    CHECK_EQ(crossvm_shm_unlink(name), CROSSVM_OK);
    check_cannot_open(CROSSVM_READ_ONLY, CROSSVM_SYSTEM);
    create(&new_one);
    CHECK_EQ(((unsigned char *)new_one.base)[0], 0);
    CHECK_EQ(((unsigned char *)old.base)[LEN - 1], 1);
    crossvm_shm_close(&old);
    CHECK(old.base == NULL);
    CHECK_EQ(old.len, 0);
    crossvm_shm_close(&old);
    drop(&new_one);
}

int main(void)
{
    test_guard();
    if (access("/dev/shm", W_OK) != 0) {
        SKIP("no named memory under /dev/shm");
    }
    CASE(new_memory_is_zero_and_writable);
    CASE(a_name_is_created_once);
    CASE(it_belongs_to_its_owner_alone_whatever_the_umask);
    CASE(an_absurd_length_leaves_nothing_behind);
    CASE(more_than_there_is_leaves_nothing_behind);
    CASE(a_wrong_name_is_the_systems_refusal);
    CASE(both_ways_of_opening_see_the_same_bytes);
    CASE(a_name_that_is_not_there_is_not_made);
    CASE(memory_that_others_may_access_is_refused);
    CASE(memory_of_another_user_is_refused);
    CASE(memory_without_a_length_is_not_there_yet);
    CASE(what_is_no_memory_is_refused);
    CASE(contents_outlive_the_processes);
    CASE(a_name_that_was_taken_away_is_free_and_the_memory_stays_mapped);
    return check_done();
}
