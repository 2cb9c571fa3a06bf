/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/ivshmem_v2.c - ivshmem devices, version 2, by the backend for the driver uio_ivshmem:
 * how devices are found, what is mapped where, what is refused; doorbells, one-shot interrupts,
 * states, deaths. Against a model (tests/support/ivshmem_v2.h): no such device is here.
 */
#include "../support/ivshmem_v2.h"

#include <crossvm/backend/ivshmem_v2.h>

#include "../support/region.h"

enum {
    LINK = 3,
    CAPACITY = 8,
    N_SHARED = 2, /* pages */
    N_OUTPUT = 16,
    N_ELEMENTS = 1000
};

static struct crossvm_ivshmem_v2 ends[V2_ENDS];
static struct crossvm_notify bells[V2_ENDS];

static unsigned n_fds(void)
{
    unsigned n = 0;
    DIR *folder = (opendir)("/proc/self/fd");
    REQUIRE(folder != NULL);
    while (readdir(folder) != NULL) {
        n++;
    }
    REQUIRE(closedir(folder) == 0);
    return n;
}

static const char *uio(unsigned i)
{
    static const char *const names[V2_ENDS] = {"uio0", "uio1", "uio2"};
    return names[i];
}

static void ends_open(void)
{
    for (unsigned i = 0; i < V2_ENDS; i++) {
        REQUIRE(crossvm_ivshmem_v2_open(&ends[i], uio(i)) == CROSSVM_OK);
        crossvm_notify_ivshmem_v2(&bells[i], &ends[i]);
    }
}

static void ends_close(void)
{
    for (unsigned i = 0; i < V2_ENDS; i++) {
        crossvm_ivshmem_v2_close(&ends[i]);
        crossvm_ivshmem_v2_close(&ends[i]);
    }
}

static int ring(unsigned from, uint32_t to, uint32_t vector)
{
    return crossvm_notify_signal(&bells[from], to, vector);
}

/* Whether an end was rung since its last wait. */
static bool is_rung(unsigned end)
{
    int status = crossvm_notify_wait(&bells[end], 0, 0);
    CHECK(status == CROSSVM_OK || status == CROSSVM_TIMEOUT);
    return status == CROSSVM_OK;
}

/* Whether the kernel would write there: it says so, and nothing faults. */
static bool is_writable(const struct crossvm_mapping *mapping, uint64_t off)
{
    int zeros = (open)("/dev/zero", O_RDONLY | O_CLOEXEC);
    REQUIRE(zeros >= 0);
    ssize_t len = (read)(zeros, (unsigned char *)mapping->base + off, 1);
    REQUIRE((close)(zeros) == 0);
    return len == 1;
}

/* ---- finding --------------------------------------------------------------------------------- */

static void devices_are_listed_without_being_opened(void)
{
    struct crossvm_ivshmem_v2_device devices[V2_ENDS];
    uint32_t total;
    bool seen[V2_ENDS] = {false, false, false};
    tree_put("/sys/class/uio/uio3/name", "crossvm_ivshmem.0\n");
    tree_put("/sys/class/uio/uio4/name", "uio_ivshmem[0000:00:0e.0");
    tree_put("/sys/class/uio/uio5/name", "uio_ivshmem[]\n");
    tree_put("/sys/class/uio/uio6/name", "uio_ivshmem[0123456789abcdef]\n");
    CHECK_EQ(crossvm_ivshmem_v2_list(devices, V2_ENDS, &total), CROSSVM_OK);
    CHECK_EQ(total, V2_ENDS);
    for (unsigned i = 0; i < V2_ENDS; i++) {
        char slot[16];
        unsigned number = (unsigned)(devices[i].uio[3] - '0');
        REQUIRE(number < V2_ENDS);
        seen[number] = true;
        (void)snprintf(slot, sizeof(slot), "0000:00:%02x.0", 14 + number);
        CHECK(strcmp(devices[i].uio, uio(number)) == 0);
        CHECK(strcmp(devices[i].slot, slot) == 0);
        CHECK_EQ(v2_model.ends[i].n_opened, 0);
    }
    CHECK(seen[0] && seen[1] && seen[2]);
    CHECK_EQ(crossvm_ivshmem_v2_list(devices, 1, &total), CROSSVM_OK);
    CHECK_EQ(total, V2_ENDS);
}

static void a_device_is_opened_by_its_slot_too(void)
{
    REQUIRE(crossvm_ivshmem_v2_open(&ends[1], "0000:00:0f.0") == CROSSVM_OK);
    CHECK_EQ(ends[1].id, 1);
    CHECK_EQ(ends[1].n_ids, V2_ENDS);
    CHECK_EQ(v2_model.ends[1].n_opened, 1);
    CHECK_EQ(v2_model.ends[0].n_opened, 0);
    crossvm_ivshmem_v2_close(&ends[1]);
}

static void check_refused(const char *which, int status)
{
    unsigned before = n_fds();
    CHECK_EQ(crossvm_ivshmem_v2_open(&ends[0], which), status);
    CHECK_EQ(n_fds(), before);
    CHECK(ends[0].file < 0);
    CHECK(ends[0].registers.base == NULL && ends[0].table.base == NULL);
    CHECK(ends[0].shared.base == NULL && ends[0].inputs.base == NULL);
    CHECK(ends[0].output.base == NULL);
}

static void what_is_no_such_device_is_refused(void)
{
    tree_put("/sys/class/uio/uio3/name", "crossvm_ivshmem.0\n");
    check_refused("uio3", CROSSVM_TYPE);
    check_refused("uio9", CROSSVM_NOT_FOUND);
    check_refused("0000:00:0d.0", CROSSVM_NOT_FOUND);
    check_refused("", CROSSVM_NOT_FOUND);
    v2_model.open_error = EACCES;
    errno = 0;
    check_refused("uio0", CROSSVM_SYSTEM);
    CHECK_EQ(errno, EACCES);
    v2_model.open_error = 0;
}

/* A driver for other devices under the same name, whose maps have other names. */
static void maps_by_other_names_are_refused(void)
{
    v2_say(0, "maps/map1/name", "ivshmem-shmem");
    check_refused("uio0", CROSSVM_TYPE);
    v2_say(0, "maps/map1/name", "state_table");
    v2_say(0, "maps/map0/name", "ivshmem-mmr");
    check_refused("uio0", CROSSVM_TYPE);
    CHECK_EQ(v2_model.ends[0].state, 0);
}

static void without_uio_there_is_nothing(void)
{
    struct crossvm_ivshmem_v2_device device;
    uint32_t total = 5;
    tree_remove("/sys/class/uio");
    CHECK_EQ(crossvm_ivshmem_v2_list(&device, 1, &total), CROSSVM_SYSTEM);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(total, 0);
    check_refused("0000:00:0e.0", CROSSVM_NOT_FOUND);
}

/* ---- what is judged -------------------------------------------------------------------------- */

static void check_registers_refused(uint32_t id, uint32_t n_ids)
{
    v2_set(v2_model.ends[0].registers, id);
    v2_set(v2_model.ends[0].registers + 4, n_ids);
    check_refused("uio0", CROSSVM_MISMATCH);
    v2_set(v2_model.ends[0].registers, 0);
    v2_set(v2_model.ends[0].registers + 4, V2_ENDS);
}

static void registers_are_judged(void)
{
    check_registers_refused(V2_ENDS, V2_ENDS);
    check_registers_refused(0xffffffff, V2_ENDS);
    check_registers_refused(0, 0);
    check_registers_refused(0, 1);
    check_registers_refused(0, V2_ENDS - 1);
    check_registers_refused(0, V2_ENDS + 1);
    check_registers_refused(0, 65537);
    check_registers_refused(0, 0xffffffff);
    CHECK_EQ(v2_model.ends[0].state, 0);
    CHECK(!v2_model.ends[0].armed);
}

static void check_length_refused(unsigned map, uint64_t len)
{
    v2_say_len(0, map, len);
    check_refused("uio0", CROSSVM_MISMATCH);
    v2_say_len(0, map, v2_model.ends[0].maps[map].len);
}

static void lengths_are_judged(void)
{
    for (unsigned map = 0; map < V2_MAPS; map++) {
        check_length_refused(map, 0);
        check_length_refused(map, v2_model.ends[0].maps[map].len - 1);
        check_length_refused(map, v2_model.ends[0].maps[map].len - 128);
    }
    check_length_refused(3, (V2_ENDS - 1) * N_OUTPUT * v2_model.page);
    check_length_refused(3, ((uint64_t)V2_ENDS * N_OUTPUT - 1) * v2_model.page);
    check_length_refused(4, (N_OUTPUT - 1) * v2_model.page);
    v2_say_len(0, 4, (N_OUTPUT + 1) * v2_model.page);
    check_refused("uio0", CROSSVM_SYSTEM); /* the driver maps no more than it has */
    v2_say_len(0, 4, (uint64_t)1 << 63);
    check_refused("uio0", CROSSVM_SYSTEM);
}

/* 65,536 states of 4 bytes take more than a page. */
static void a_table_too_short_for_its_peers_is_refused(void)
{
    uint32_t n = (uint32_t)(v2_model.page / 4) + 1;
    v2_set(v2_model.ends[0].registers + 4, n);
    check_refused("uio0", CROSSVM_MISMATCH);
    v2_set(v2_model.ends[0].registers + 4, n - 1);
    REQUIRE(crossvm_ivshmem_v2_open(&ends[0], "uio0") == CROSSVM_OK);
    CHECK_EQ(ends[0].n_ids, n - 1);
    crossvm_ivshmem_v2_close(&ends[0]);
}

/* Also where nothing else gives them away: no outputs, and a table that is long enough. */
static void numbers_of_peers_are_judged(void)
{
    check_registers_refused(0, 0);
    check_registers_refused(0, 1);
    check_registers_refused(0, 65537);
    v2_set(v2_model.ends[0].registers, 65535);
    v2_set(v2_model.ends[0].registers + 4, 65536);
    REQUIRE(crossvm_ivshmem_v2_open(&ends[0], "uio0") == CROSSVM_OK);
    CHECK_EQ(ends[0].id, 65535);
    crossvm_ivshmem_v2_close(&ends[0]);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Each end's output lies where all others read it, and nobody else can write it. */
static void outputs_are_where_they_belong(void)
{
    struct crossvm_mapping seen;
    ends_open();
    for (unsigned i = 0; i < V2_ENDS; i++) {
        unsigned char *own = (unsigned char *)ends[i].output.base;
        CHECK_EQ(ends[i].output.len, N_OUTPUT * v2_model.page);
        REQUIRE(is_writable(&ends[i].output, 64));
        own[0] = (unsigned char)(0x10 + i);
        own[ends[i].output.len - 1] = (unsigned char)(0x20 + i);
    }
    for (unsigned i = 0; i < V2_ENDS; i++) {
        for (unsigned peer = 0; peer < V2_ENDS; peer++) {
            REQUIRE(crossvm_ivshmem_v2_peer(&ends[i], peer, &seen) == CROSSVM_OK);
            CHECK_EQ(((unsigned char *)seen.base)[0], 0x10 + peer);
            CHECK_EQ(((unsigned char *)seen.base)[seen.len - 1], 0x20 + peer);
            CHECK_EQ(seen.len, N_OUTPUT * v2_model.page);
            CHECK_EQ(seen.access, CROSSVM_READ_ONLY);
            CHECK(!is_writable(&seen, 0) && !is_writable(&seen, seen.len - 1));
        }
        CHECK_EQ(ends[i].output.access, CROSSVM_READ_WRITE);
        CHECK(!is_writable(&ends[i].table, 0));
        CHECK_EQ(crossvm_ivshmem_v2_peer(&ends[i], V2_ENDS, &seen), CROSSVM_NOT_FOUND);
        CHECK_EQ(crossvm_ivshmem_v2_peer(&ends[i], 0xffffffff, &seen), CROSSVM_NOT_FOUND);
    }
    ends_close();
}

static void the_shared_section_is_every_ones(void)
{
    ends_open();
    for (unsigned i = 0; i < V2_ENDS; i++) {
        CHECK_EQ(ends[i].shared.len, N_SHARED * v2_model.page);
        REQUIRE(is_writable(&ends[i].shared, 64));
        CHECK_EQ(ends[i].shared.access, CROSSVM_READ_WRITE);
        ((unsigned char *)ends[i].shared.base)[i] = (unsigned char)(1 + i);
    }
    for (unsigned i = 0; i < V2_ENDS; i++) {
        CHECK(memcmp(ends[i].shared.base, "\1\2\3", V2_ENDS) == 0);
    }
    ends_close();
}

/* The maps behind a missing one have other numbers. */
static void without_a_shared_section_outputs_are_found_all_the_same(void)
{
    CHECK_EQ(v2_model.ends[0].n_maps, V2_MAPS - 1);
    outputs_are_where_they_belong();
    ends_open();
    CHECK(ends[0].shared.base == NULL);
    ends_close();
}

static void without_outputs_there_is_the_shared_section(void)
{
    struct crossvm_mapping seen;
    ends_open();
    CHECK(ends[0].output.base == NULL);
    CHECK_EQ(crossvm_ivshmem_v2_peer(&ends[0], 1, &seen), CROSSVM_NOT_FOUND);
    CHECK_EQ(ends[0].examination.access, CROSSVM_READ_WRITE);
    ends_close();
    the_shared_section_is_every_ones();
}

/* ---- doorbells ------------------------------------------------------------------------------- */

static void a_ring_reaches_its_target_alone(void)
{
    ends_open();
    CHECK(!is_rung(0) && !is_rung(1) && !is_rung(2));
    for (uint32_t to = 0; to < V2_ENDS; to++) {
        for (uint32_t vector = 0; vector < V2_VECTORS; vector++) {
            CHECK_EQ(ring(0, to, vector), CROSSVM_OK);
            for (unsigned i = 0; i < V2_ENDS; i++) {
                CHECK_EQ(is_rung(i), i == to);
            }
        }
    }
    CHECK_EQ(ring(0, 1, V2_VECTORS), CROSSVM_OK); /* which the device drops */
    CHECK(!is_rung(0) && !is_rung(1) && !is_rung(2));
    ends_close();
}

static void who_cannot_be_there_is_not_rung(void)
{
    ends_open();
    CHECK_EQ(ring(0, V2_ENDS, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(ring(0, 0x10001, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(ring(0, 1, 0x10000), CROSSVM_NOT_FOUND);
    CHECK(!is_rung(1));
    CHECK_EQ(crossvm_notify_wait(&bells[0], 1, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_fd(&bells[0], 1), CROSSVM_NOT_FOUND);
    ends_close();
}

/* An interrupt closes the door behind itself; each wait that was rung opens it again. */
static void every_wait_lets_the_next_interrupt_through(void)
{
    ends_open();
    for (unsigned i = 0; i < 5; i++) {
        CHECK(v2_model.ends[1].armed);
        CHECK_EQ(ring(0, 1, 0), CROSSVM_OK);
        CHECK_EQ(ring(2, 1, 0), CROSSVM_OK); /* lost, and no harm */
        CHECK(is_rung(1));
        CHECK(!is_rung(1));
        CHECK_EQ(v2_model.ends[1].n_lost, i + 1);
    }
    CHECK_EQ(v2_model.ends[1].n_events, 5);
    ends_close();
}

static void a_descriptor_polls_readable_until_the_wait(void)
{
    ends_open();
    struct pollfd poll_fd = {crossvm_notify_fd(&bells[1], 0), POLLIN, 0};
    CHECK_EQ(poll(&poll_fd, 1, 0), 0);
    CHECK_EQ(ring(0, 1, 0), CROSSVM_OK);
    v2_settle();
    CHECK_EQ(poll(&poll_fd, 1, 0), 1);
    CHECK(is_rung(1));
    CHECK_EQ(poll(&poll_fd, 1, 0), 0);
    ends_close();
}

static void a_device_that_is_gone_is_told(void)
{
    ends_open();
    v2_model.gone = true;
    CHECK_EQ(crossvm_notify_wait(&bells[1], 0, CROSSVM_NO_DEADLINE), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EIO);
    v2_model.gone = false;
    ends_close();
}

/* ---- states ---------------------------------------------------------------------------------- */

static void check_change(unsigned end, struct crossvm_ivshmem_v2_watch *watched, uint32_t before,
                         uint32_t now)
{
    struct crossvm_ivshmem_v2_change change;
    REQUIRE(crossvm_ivshmem_v2_step(&ends[end], watched, 1, &change) == CROSSVM_OK);
    CHECK_EQ(change.peer, watched->id);
    CHECK_EQ(change.before, before);
    CHECK_EQ(change.now, now);
    CHECK_EQ(change.died, now == 0);
    CHECK_EQ(crossvm_ivshmem_v2_step(&ends[end], watched, 1, &change), CROSSVM_EMPTY);
}

static void states_are_seen_by_all_and_ring(void)
{
    struct crossvm_ivshmem_v2_watch watched = {2, 0};
    uint32_t state = 5;
    ends_open();
    CHECK_EQ(crossvm_ivshmem_v2_state(&ends[0], 2, &state), CROSSVM_OK);
    CHECK_EQ(state, 0);
    crossvm_ivshmem_v2_set_state(&ends[2], 0x12345678);
    CHECK(is_rung(0) && is_rung(1) && !is_rung(2));
    CHECK_EQ(crossvm_ivshmem_v2_state(&ends[0], 2, &state), CROSSVM_OK);
    CHECK_EQ(state, 0x12345678);
    check_change(0, &watched, 0, 0x12345678);
    crossvm_ivshmem_v2_set_state(&ends[2], 0x12345678); /* no change */
    CHECK(!is_rung(0) && !is_rung(1));
    crossvm_ivshmem_v2_set_state(&ends[2], 7);
    check_change(0, &watched, 0x12345678, 7);
    CHECK_EQ(crossvm_ivshmem_v2_state(&ends[0], V2_ENDS, &state), CROSSVM_NOT_FOUND);
    ends_close();
}

/* Peers 1 and 2 have come, or died. */
static void check_told(struct crossvm_ivshmem_v2_watch watched[2], bool died)
{
    struct crossvm_ivshmem_v2_change change;
    unsigned seen = 0;
    for (unsigned i = 0; i < 2; i++) {
        REQUIRE(crossvm_ivshmem_v2_step(&ends[0], watched, 2, &change) == CROSSVM_OK);
        CHECK_EQ(change.died, died);
        CHECK_EQ(died ? change.before : change.now, change.peer + 3);
        seen |= 1u << change.peer;
    }
    CHECK_EQ(seen, 6);
    CHECK_EQ(crossvm_ivshmem_v2_step(&ends[0], watched, 2, &change), CROSSVM_EMPTY);
}

static void each_watched_peer_is_told_once(void)
{
    struct crossvm_ivshmem_v2_change change;
    struct crossvm_ivshmem_v2_watch watched[2] = {{1, 0}, {2, 0}};
    struct crossvm_ivshmem_v2_watch nobody = {V2_ENDS, 0};
    ends_open();
    crossvm_ivshmem_v2_set_state(&ends[1], 4);
    crossvm_ivshmem_v2_set_state(&ends[2], 5);
    check_told(watched, false);
    ends_close();
    ends_open();
    check_told(watched, true);
    CHECK_EQ(crossvm_ivshmem_v2_step(&ends[0], &nobody, 1, &change), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_ivshmem_v2_step(&ends[0], NULL, 0, &change), CROSSVM_EMPTY);
    ends_close();
}

static void an_end_that_closes_has_died_to_all(void)
{
    struct crossvm_ivshmem_v2_watch watched = {1, 0};
    ends_open();
    crossvm_ivshmem_v2_set_state(&ends[1], 9);
    CHECK(is_rung(0));
    check_change(0, &watched, 0, 9);
    crossvm_ivshmem_v2_close(&ends[1]);
    CHECK(is_rung(0) && is_rung(2));
    check_change(0, &watched, 9, 0);
    CHECK_EQ(ring(0, 1, 0), CROSSVM_OK); /* lost */
    REQUIRE(crossvm_ivshmem_v2_open(&ends[1], uio(1)) == CROSSVM_OK);
    CHECK(!is_rung(1)); /* what rang before it was there is not told */
    ends_close();
}

/* ---- two machines ---------------------------------------------------------------------------- */

/* One end with what it has in its output, and what it reads in the other's. */
struct machine {
    struct crossvm_region_owner owner;
    struct crossvm_chunk table[8];
    struct crossvm_region other;
    struct crossvm_peer life;
    struct crossvm_snapshot_writer state;
    struct crossvm_snapshot_reader seen;
    struct crossvm_spsc_tx tx;
    struct crossvm_spsc_rx rx;
};

static struct machine machines[2];

static void machine_format(unsigned i)
{
    static const char *const to[2] = {"to-1", "to-0"};
    const uint32_t self = 1 + i;
    const uint32_t other = 2 - i;
    const struct crossvm_chunk_decl chunks[4] = {
        {"life", CROSSVM_KIND_PEER, 0, 0, self, other, 0, LINK},
        {"state", CROSSVM_KIND_SNAPSHOT, 4, 64, self, other, 0, LINK},
        {to[i], CROSSVM_KIND_SPSC_TX, CAPACITY, 8, self, other, 0, LINK},
        {to[1 - i], CROSSVM_KIND_SPSC_RX, 0, 0, self, other, 0, LINK}};
    const struct crossvm_region_plan plan = TEST_PLAN(chunks, 4, 8, 0, 0, self);
    REQUIRE(crossvm_region_owner_format(&machines[i].owner, &ends[i].output, &plan,
                                        machines[i].table, 8) == CROSSVM_OK);
    struct crossvm_region *own = &machines[i].owner.region;
    struct crossvm_chunk chunk = test_find(own, "life", CROSSVM_KIND_PEER);
    REQUIRE(crossvm_peer_open(&machines[i].life, own, &chunk, 0) == CROSSVM_OK);
    chunk = test_find(own, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_writer_open(&machines[i].state, own, &chunk) == CROSSVM_OK);
    chunk = test_find(own, to[i], CROSSVM_KIND_SPSC_TX);
    REQUIRE(crossvm_spsc_tx_open(&machines[i].tx, own, &chunk, 8, 1) == CROSSVM_OK);
    chunk = test_find(own, to[1 - i], CROSSVM_KIND_SPSC_RX);
    REQUIRE(crossvm_spsc_rx_open(&machines[i].rx, own, &chunk, CAPACITY, 8, 1) == CROSSVM_OK);
}

static void machine_attach(unsigned i)
{
    struct crossvm_mapping mapping;
    struct crossvm_region *other = &machines[i].other;
    REQUIRE(crossvm_ivshmem_v2_peer(&ends[i], 1 - i, &mapping) == CROSSVM_OK);
    REQUIRE(crossvm_region_attach(other, &mapping, 1 + i) == CROSSVM_OK);
    struct crossvm_chunk chunk = test_find(other, "life", CROSSVM_KIND_PEER);
    REQUIRE(crossvm_peer_link(&machines[i].life, other, &chunk, 1) == CROSSVM_OK);
    chunk = test_find(other, "state", CROSSVM_KIND_SNAPSHOT);
    REQUIRE(crossvm_snapshot_reader_open(&machines[i].seen, other, &chunk) == CROSSVM_OK);
}

static int machine_link(unsigned i)
{
    struct crossvm_region *other = &machines[i].other;
    struct crossvm_chunk chunk = test_find(other, i == 0 ? "to-1" : "to-0", CROSSVM_KIND_SPSC_RX);
    int tx = crossvm_spsc_tx_link(&machines[i].tx, other, &chunk);
    chunk = test_find(other, i == 0 ? "to-0" : "to-1", CROSSVM_KIND_SPSC_TX);
    int rx = crossvm_spsc_rx_link(&machines[i].rx, other, &chunk);
    return tx == CROSSVM_OK ? rx : tx;
}

static void machines_meet(void)
{
    ends_open();
    memset(machines, 0, sizeof(machines));
    for (unsigned i = 0; i < 2; i++) {
        machine_format(i);
        crossvm_ivshmem_v2_set_state(&ends[i], 1);
    }
    machine_attach(0);
    machine_attach(1);
    bool up = false;
    for (unsigned i = 0; i < 4 && !up; i++) {
        int linked = machine_link(0);
        up = machine_link(1) == CROSSVM_OK && linked == CROSSVM_OK;
        up = crossvm_peer_step(&machines[0].life, 1 + i) == CROSSVM_PEER_UP && up;
        up = crossvm_peer_step(&machines[1].life, 1 + i) == CROSSVM_PEER_UP && up;
    }
    REQUIRE(up);
    (void)is_rung(0);
    (void)is_rung(1);
}

/* A state, and an element, each with a ring. */
static void send(unsigned from, uint64_t number)
{
    REQUIRE(crossvm_snapshot_writer_publish(&machines[from].state, &number, sizeof(number), 0, 0) ==
            CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_push(&machines[from].tx, &number) == CROSSVM_OK);
    REQUIRE(ring(from, 1 - from, 0) == CROSSVM_OK);
}

static void receive(unsigned at, uint64_t wanted)
{
    struct crossvm_snapshot_info info;
    uint64_t number = 0;
    REQUIRE(is_rung(at));
    REQUIRE(crossvm_spsc_rx_pop(&machines[at].rx, &number) == CROSSVM_OK);
    CHECK_EQ(number, wanted);
    REQUIRE(crossvm_snapshot_reader_read(&machines[at].seen, &number, sizeof(number), &info) == 1);
    CHECK_EQ(number, wanted);
}

static void a_queue_each_way_and_states(void)
{
    machines_meet();
    for (uint64_t i = 0; i < N_ELEMENTS; i++) {
        send(0, i);
        receive(1, i);
        send(1, ~i);
        receive(0, ~i);
    }
    ends_close();
}

/* What was sent before the death is there after it, and the death is known without waiting. */
static void a_death_is_confirmed_by_the_state(void)
{
    struct crossvm_ivshmem_v2_watch watched = {1, 0};
    machines_meet();
    check_change(0, &watched, 0, 1);
    send(1, 77);
    receive(0, 77);
    send(1, 78);
    crossvm_ivshmem_v2_close(&ends[1]);
    receive(0, 78);
    CHECK_EQ(crossvm_peer_step(&machines[0].life, 10), CROSSVM_PEER_UP); /* it has no way to know */
    check_change(0, &watched, 1, 0);
    CHECK_EQ(crossvm_peer_confirm(&machines[0].life, CROSSVM_PEER_CAUSE_BACKEND),
             CROSSVM_PEER_LOST);
    CHECK_EQ(crossvm_peer_step(&machines[0].life, 11), CROSSVM_PEER_LOST);
    ends_close();
}

static void with_devices(void (*function)(void), uint64_t n_shared, uint64_t n_output)
{
    v2_make(n_shared, n_output);
    function();
    v2_drop();
}

#define CASE_ON(function, n_shared, n_output)             \
    do {                                                  \
        printf("%s\n", #function);                        \
        fflush(stdout);                                   \
        with_devices((function), (n_shared), (n_output)); \
    } while (0)

int main(void)
{
    unsigned before = n_fds();
    CASE_ON(devices_are_listed_without_being_opened, N_SHARED, N_OUTPUT);
    CASE_ON(a_device_is_opened_by_its_slot_too, N_SHARED, N_OUTPUT);
    CASE_ON(what_is_no_such_device_is_refused, N_SHARED, N_OUTPUT);
    CASE_ON(maps_by_other_names_are_refused, N_SHARED, N_OUTPUT);
    CASE_ON(without_uio_there_is_nothing, N_SHARED, N_OUTPUT);
    CASE_ON(registers_are_judged, N_SHARED, N_OUTPUT);
    CASE_ON(lengths_are_judged, N_SHARED, N_OUTPUT);
    CASE_ON(a_table_too_short_for_its_peers_is_refused, N_SHARED, 0);
    v2_n_table = 65; /* of 4 KiB or more: room for more states than there can be */
    CASE_ON(numbers_of_peers_are_judged, N_SHARED, 0);
    v2_n_table = 1;
    CASE_ON(outputs_are_where_they_belong, N_SHARED, N_OUTPUT);
    CASE_ON(the_shared_section_is_every_ones, N_SHARED, N_OUTPUT);
    CASE_ON(without_a_shared_section_outputs_are_found_all_the_same, 0, N_OUTPUT);
    CASE_ON(without_outputs_there_is_the_shared_section, N_SHARED, 0);
    CASE_ON(a_ring_reaches_its_target_alone, N_SHARED, N_OUTPUT);
    CASE_ON(who_cannot_be_there_is_not_rung, N_SHARED, N_OUTPUT);
    CASE_ON(every_wait_lets_the_next_interrupt_through, N_SHARED, N_OUTPUT);
    CASE_ON(a_descriptor_polls_readable_until_the_wait, N_SHARED, N_OUTPUT);
    CASE_ON(a_device_that_is_gone_is_told, N_SHARED, N_OUTPUT);
    CASE_ON(states_are_seen_by_all_and_ring, N_SHARED, N_OUTPUT);
    CASE_ON(each_watched_peer_is_told_once, N_SHARED, N_OUTPUT);
    CASE_ON(an_end_that_closes_has_died_to_all, N_SHARED, N_OUTPUT);
    CASE_ON(a_queue_each_way_and_states, N_SHARED, N_OUTPUT);
    CASE_ON(a_death_is_confirmed_by_the_state, N_SHARED, N_OUTPUT);
    CHECK_EQ(n_fds(), before);
    return check_done();
}
