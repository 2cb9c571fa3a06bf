/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.h: attach beside a reformat, in every order in which the two can take turns: the reader
 * stops before its i-th shared access, the owner formats up to its j-th, the reader goes on up to
 * its k-th, the owner finishes. Whatever the order, an honest owner is never called corrupt, and
 * what was attached is one format or the other.
 */
#define CROSSVM_HOOKS
#include "support/region.h"

#include <pthread.h>
#include <semaphore.h>

enum {
    LAST_READER_STOP = 16,
    LAST_OWNER_STOP = 150
};

static sem_t owner_may_go;
static sem_t reader_may_go;
static bool owner_ended;
static int reader_stops[2];
static int owner_stop;

static CHECK_THREAD_LOCAL bool is_owner;
static CHECK_THREAD_LOCAL bool is_reader;
static CHECK_THREAD_LOCAL int n_accesses;

static void owner_turn(void)
{
    REQUIRE(sem_post(&owner_may_go) == 0);
    REQUIRE(sem_wait(&reader_may_go) == 0);
}

void crossvm_hook(enum crossvm_access access, const volatile void *addr, size_t len)
{
    (void)access;
    (void)addr;
    (void)len;
    int at = n_accesses++;
    if (is_owner && at == owner_stop) {
        REQUIRE(sem_post(&reader_may_go) == 0);
        REQUIRE(sem_wait(&owner_may_go) == 0);
    }
    if (is_reader && !owner_ended && (at == reader_stops[0] || at == reader_stops[1])) {
        owner_turn();
    }
}

static const struct crossvm_chunk_decl decls[] = {
    {"chunk", CROSSVM_KIND_BYTES, 0, 64, PARTY_A, CROSSVM_ANYONE, 0, 0},
};
static struct crossvm_region_plan plan = {decls, 1, 1, 128, 0, PARTY_A, {0}, 0, {0, 0, 0}};
static struct crossvm_mapping writable;
static struct crossvm_mapping read_only;

static void format(uint32_t capacity)
{
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[2];
    plan.capacity = capacity;
    CHECK_EQ(crossvm_region_owner_format(&owner, &writable, &plan, table, 2), CROSSVM_OK);
}

static void *reformats(void *unused)
{
    (void)unused;
    REQUIRE(sem_wait(&owner_may_go) == 0);
    is_owner = true;
    n_accesses = 0;
    format(2);
    owner_ended = true;
    REQUIRE(sem_post(&reader_may_go) == 0);
    return NULL;
}

/* One order of turns; says what the attach answered. */
static int attach_beside_reformat(struct crossvm_region *region)
{
    pthread_t thread;
    format(1);
    owner_ended = false;
    REQUIRE(sem_init(&owner_may_go, 0, 0) == 0 && sem_init(&reader_may_go, 0, 0) == 0);
    REQUIRE(pthread_create(&thread, NULL, reformats, NULL) == 0);
    n_accesses = 0;
    is_reader = true;
    int status = crossvm_region_attach(region, &read_only, PARTY_B);
    is_reader = false;
    /* The owner may still be in the middle, or not have begun. */
    while (!owner_ended) {
        owner_turn();
    }
    REQUIRE(pthread_join(thread, NULL) == 0);
    return status;
}

static void an_honest_owner_is_never_called_corrupt(void)
{
    unsigned long attached = 0;
    unsigned long refused = 0;
    for (int i = 0; i < LAST_READER_STOP; i++) {
        /* An odd step, so that the reader's second stop keeps changing. */
        int step = (int)(CHECK_SHORTER | 1u);
        for (int j = i % step; j < LAST_OWNER_STOP; j += step) {
            int k = i + 1 + j % LAST_READER_STOP;
            struct crossvm_region region;
            reader_stops[0] = i;
            reader_stops[1] = k;
            owner_stop = j;
            int status = attach_beside_reformat(&region);
            if (status == CROSSVM_OK) {
                attached++;
                CHECK(region.capacity == 1 || region.capacity == 2);
            } else {
                refused++;
                CHECK(status == CROSSVM_NOT_FORMATTED || status == CROSSVM_STALE);
            }
        }
    }
    printf("  %lu attached, %lu were told to try again\n", attached, refused);
    CHECK(attached != 0 && refused != 0);
}

int main(void)
{
    test_map(&writable, &read_only, 8192);
    CASE(an_honest_owner_is_never_called_corrupt);
    test_unmap(&writable, &read_only);
    return check_done();
}
