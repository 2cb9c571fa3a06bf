/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem without an operating system, against a model of configuration space and of a device's
 * registers, made from the PCI specification: registers keep only those bits that can be written.
 */
#include <crossvm/backend/ivshmem_bare.h>

#include "../check.h"

#include <string.h>

#define FUNCTIONS 16u
#define VECTORS   8u
#define LOW_BASE  0x80000000u
#define HIGH_BASE 0x4000000000ull

/* ---- the model ------------------------------------------------------------------------------ */

struct function {
    uint32_t slot;
    uint32_t words[64];
    uint32_t writable[64];
    uint32_t n_stores;
    uint32_t frozen; /* this register drops what is written, 0 = none */
    uint32_t fickle; /* bits of BAR2 that go away at the first write */
};

/* A device's registers, its table of vectors and its memory, as bytes of the bus. */
struct parts {
    struct crossvm_le32 registers[64];
    struct crossvm_le32 table[1024];
    unsigned char memory[4096 + CROSSVM_LINE];
};

static struct function functions[FUNCTIONS];
static uint32_t n_functions;
static bool answered_while_sized; /* a BAR was changed while the device answered there */
static bool mastered_unmasked;    /* bus mastering went on while a vector could be sent */
static struct parts parts;

static struct function *function_at(uint32_t at)
{
    for (uint32_t i = 0; i < n_functions; i++) {
        if (functions[i].slot == (at & ~0xfffu)) {
            return &functions[i];
        }
    }
    return NULL;
}

static uint32_t model_load(void *context, uint32_t at)
{
    const struct function *function = function_at(at);
    (void)context;
    CHECK_EQ(at % 4, 0);
    if (function == NULL) {
        return UINT32_MAX;
    }
    /* What lies behind looks like a place in BAR1, for whoever should not have read it. */
    return (at & 0xfff) < 0x100 ? function->words[(at & 0xff) / 4] : 1;
}

static bool all_masked(void)
{
    for (uint32_t i = 0; i < VECTORS; i++) {
        if ((crossvm_load_relaxed(&parts.table[4 * i + 3]) & 1) == 0) {
            return false;
        }
    }
    return true;
}

static void model_store(void *context, uint32_t at, uint32_t value)
{
    struct function *function = function_at(at);
    uint32_t reg = at & 0xfff;
    (void)context;
    REQUIRE(function != NULL && reg < 0x100 && at % 4 == 0);
    function->n_stores++;
    if (reg >= 0x10 && reg < 0x28 && (function->words[1] & 2) != 0) {
        answered_while_sized = true;
    }
    if (reg == 4 && (value & 4) != 0 && !all_masked()) {
        mastered_unmasked = true;
    }
    if (reg == function->frozen && reg != 0) {
        return;
    }
    if (reg == 0x18) {
        function->words[6] &= ~function->fickle;
    }
    uint32_t *word = &function->words[reg / 4];
    uint32_t writable = function->writable[reg / 4];
    *word = (*word & ~writable) | (value & writable);
    if (reg == 4) {
        *word &= ~(value & 0xf9000000u); /* errors: ones clear */
    }
}

static const struct crossvm_bare_config config = {model_load, model_store, NULL, 256};

static void forget_functions(void)
{
    memset(functions, 0, sizeof(functions));
    n_functions = 0;
    answered_while_sized = false;
    mastered_unmasked = false;
}

static struct function *add(uint32_t slot, uint32_t id)
{
    struct function *function = &functions[n_functions++];
    function->slot = slot;
    function->words[0] = id;
    function->words[1] = 0x80000000u; /* an error that nobody may clear by the way */
    function->writable[1] = 7;
    function->words[2] = 0x05000001u;
    return function;
}

/* A BAR of a length, at an address; wide ones take the next word, too. */
static void set_bar(struct function *function, uint32_t index, uint32_t bits, uint64_t len,
                    uint64_t address)
{
    uint64_t mask = ~(len - 1);
    function->words[4 + index] = (uint32_t)address | bits;
    function->writable[4 + index] = (uint32_t)mask & ~15u;
    if ((bits & 6) == 4) {
        function->words[5 + index] = (uint32_t)(address >> 32);
        function->writable[5 + index] = (uint32_t)(mask >> 32);
    }
}

/* A list of capabilities with MSI-X, of n vectors, behind one of another kind. */
static void set_msix(struct function *function, uint32_t n, uint32_t table, uint32_t pending)
{
    function->words[1] |= 0x100000;
    function->words[0x34 / 4] = 0x40;
    function->words[0x40 / 4] = 0x00008009;
    function->words[0x80 / 4] = 0x11 | (n - 1) << 16;
    function->writable[0x80 / 4] = 0xc0000000u;
    function->words[0x84 / 4] = table;
    function->words[0x88 / 4] = pending;
}

/* As QEMU has them; addresses are the caller's to set. */
static struct function *add_plain(uint32_t slot, uint64_t len)
{
    struct function *function = add(slot, 0x11101af4);
    set_bar(function, 0, 0, 256, 0);
    set_bar(function, 2, 12, len, 0);
    return function;
}

static struct function *add_doorbell(uint32_t slot, uint64_t len)
{
    struct function *function = add_plain(slot, len);
    set_bar(function, 1, 0, 4096, 0);
    set_msix(function, VECTORS, 0 | 1, 0x800 | 1);
    return function;
}

static uint32_t at(uint32_t device)
{
    return crossvm_bare_slot(0, device, 0);
}

/* The only device there is, after a scan. */
static struct crossvm_bare_device scan_one(void)
{
    struct crossvm_bare_device device;
    uint32_t total;
    CHECK_EQ(crossvm_bare_scan(&config, &device, 1, &total), CROSSVM_OK);
    REQUIRE(total == 1);
    return device;
}

/* ---- scanning ------------------------------------------------------------------------------- */

static void devices_are_listed_by_slot(void)
{
    struct crossvm_bare_device devices[8];
    uint32_t total;
    forget_functions();
    add_plain(crossvm_bare_slot(3, 31, 0), 4096); /* behind a bridge, which has numbers */
    add_plain(at(7), 1 << 20);
    add(at(1), 0x100e8086);
    add(at(4), 0x00011b36)->words[3] = 0x00810000;     /* a bridge of several functions */
    add_doorbell(crossvm_bare_slot(0, 4, 3), 1 << 16); /* beside it */
    add(at(5), 0x100e8086);                            /* one function, it says */
    add_plain(crossvm_bare_slot(0, 5, 2), 4096);       /* so nobody looks here */
    add_plain(crossvm_bare_slot(0, 6, 1), 4096);       /* and without a first one there is none */
    add_plain(crossvm_bare_slot(255, 31, 0), 1ull << 33);
    CHECK_EQ(crossvm_bare_scan(&config, devices, 8, &total), CROSSVM_OK);
    REQUIRE(total == 4);
    CHECK_EQ(devices[0].slot, crossvm_bare_slot(0, 4, 3));
    CHECK_EQ(devices[1].slot, at(7));
    CHECK_EQ(devices[2].slot, crossvm_bare_slot(3, 31, 0));
    CHECK_EQ(devices[3].slot, crossvm_bare_slot(255, 31, 0));
    CHECK_EQ(devices[0].n_vectors, VECTORS);
    CHECK_EQ(devices[0].msix_off, 0x80);
    CHECK_EQ(devices[1].n_vectors, 0);
    CHECK_EQ(devices[1].msix_off, 0);
    CHECK_EQ(devices[3].bars[2].len, 1ll << 33);
    CHECK(crossvm_bare_find(devices, total, at(7)) == &devices[1]);
    CHECK(crossvm_bare_find(devices, total, at(1)) == NULL);
}

static void what_has_no_room_is_counted_and_not_touched(void)
{
    struct crossvm_bare_device devices[2];
    uint32_t total;
    forget_functions();
    add_plain(at(2), 4096);
    add_plain(at(3), 4096);
    devices[1].slot = 77;
    CHECK_EQ(crossvm_bare_scan(&config, devices, 1, &total), CROSSVM_OK);
    CHECK_EQ(total, 2);
    CHECK_EQ(devices[1].slot, 77);
    CHECK(functions[0].n_stores != 0);
    CHECK_EQ(functions[1].n_stores, 0);
}

static void buses_are_as_many_as_there_are(void)
{
    struct crossvm_bare_config few = config;
    struct crossvm_bare_device device;
    uint32_t total = 9;
    forget_functions();
    add_plain(crossvm_bare_slot(1, 0, 0), 4096);
    few.n_buses = 1;
    CHECK_EQ(crossvm_bare_scan(&few, &device, 1, &total), CROSSVM_OK);
    CHECK_EQ(total, 0);
    few.n_buses = 0;
    CHECK_EQ(crossvm_bare_scan(&few, &device, 1, &total), CROSSVM_INVALID);
    few.n_buses = 257;
    CHECK_EQ(crossvm_bare_scan(&few, &device, 1, &total), CROSSVM_INVALID);
}

static void ecam_is_memory(void)
{
    static struct crossvm_le32 space[2][1024];
    struct crossvm_bare_config ecam;
    crossvm_bare_ecam(&ecam, space, 1);
    crossvm_store_relaxed(&space[1][3], 0x12345678);
    CHECK_EQ(ecam.load(ecam.context, crossvm_bare_slot(0, 0, 1) + 12), 0x12345678);
    ecam.store(ecam.context, crossvm_bare_slot(0, 0, 1) + 16, 0x9abcdef0u);
    CHECK_EQ(crossvm_load_relaxed(&space[1][4]), 0x9abcdef0u);
    CHECK_EQ(ecam.n_buses, 1);
    CHECK_EQ(crossvm_bare_slot(2, 3, 4), 2 << 20 | 3 << 15 | 4 << 12);
}

static void sizing_leaves_all_as_it_was(void)
{
    forget_functions();
    struct function *function = add_doorbell(at(4), 1ull << 34);
    set_bar(function, 0, 0, 256, 0xfebf1000u);
    set_bar(function, 1, 0, 4096, 0xfebf2000u);
    set_bar(function, 2, 12, 1ull << 34, 7ull << 34);
    function->words[1] |= 7;
    struct function before = *function;
    struct crossvm_bare_device device = scan_one();
    CHECK(memcmp(before.words, function->words, sizeof(before.words)) == 0);
    CHECK(function->n_stores > 0);
    CHECK(!answered_while_sized);
    CHECK_EQ(device.status, CROSSVM_OK);
    CHECK_EQ(device.bars[0].address, 0xfebf1000u);
    CHECK_EQ(device.bars[0].len, 256);
    CHECK(!device.bars[0].wide && !device.bars[0].prefetchable);
    CHECK_EQ(device.bars[1].address, 0xfebf2000u);
    CHECK_EQ(device.bars[1].len, 4096);
    CHECK_EQ(device.bars[2].address, 7ll << 34);
    CHECK_EQ(device.bars[2].len, 1ll << 34);
    CHECK(device.bars[2].wide && device.bars[2].prefetchable);
}

static void what_sizing_leaves_behind_is_no_address(void)
{
    forget_functions();
    struct function *function = add_plain(at(4), 1 << 20);
    set_bar(function, 0, 0, 256, 0xffffff00u);
    set_bar(function, 2, 12, 1 << 20, ~((1ull << 20) - 1));
    struct crossvm_bare_device device = scan_one();
    CHECK_EQ(device.status, CROSSVM_OK);
    CHECK_EQ(device.bars[0].address, 0);
    CHECK_EQ(device.bars[2].address, 0);
}

/* ---- impossible devices ---------------------------------------------------------------------- */

/* What spoils a device, and what it is judged to be then. */
static void spoil(uint32_t how, struct function *function)
{
    uint32_t *words = function->words;
    uint32_t *writable = function->writable;
    switch (how) {
    case 0: /* I/O */
        words[4] = 0xc001;
        break;
    case 1: /* "below 1 MiB", as PCI once had it */
        words[4] |= 2;
        break;
    case 2: /* reserved */
        words[6] |= 6;
        break;
    case 3: /* a length with a hole */
        writable[6] &= ~(1u << 24);
        break;
    case 4: /* the same in the upper word */
        writable[7] = 0xfffffffdu;
        break;
    case 5: /* bits below the length */
        words[6] |= 0x8000;
        break;
    case 6: /* nothing can be written, and something is there */
        words[5] = 0x10000;
        writable[5] = 0;
        break;
    case 7: /* no registers */
        words[4] = 0;
        writable[4] = 0;
        break;
    case 8: /* no memory */
        words[6] = 0;
        writable[6] = 0;
        break;
    case 9: /* BAR1 reaches into BAR2, so there is no memory */
        set_bar(function, 1, 4, 4096, 0);
        break;
    case 10: /* no end */
        words[0x80 / 4] = 0x00004009;
        break;
    case 11: /* of itself */
        words[0x40 / 4] = 0x00004009;
        break;
    case 12: /* into the header */
        words[0x40 / 4] = 0x00001009;
        break;
    case 13: /* MSI-X beyond the end */
        words[0x40 / 4] = 0x0000f809;
        words[0xf8 / 4] = 0x00070011;
        words[0xfc / 4] = 1;
        break;
    case 14: /* a table that is longer than its BAR */
        words[0x80 / 4] = 0x11 | 256u << 16;
        break;
    case 15: /* that begins at its end */
        words[0x84 / 4] = 0x1000 | 1;
        break;
    case 16: /* as far away as can be said */
        words[0x84 / 4] = 0xfffffff8u | 1;
        break;
    case 17: /* in the memory that others write */
        words[0x84 / 4] = 2;
        break;
    case 18: /* in a BAR that there is not */
        words[0x84 / 4] = 7;
        break;
    case 19: /* the pending ones beyond it */
        words[0x88 / 4] = 0x1000 | 1;
        break;
    case 20: /* nothing can be written, and no address is there */
        words[5] = 8;
        writable[5] = 0;
        break;
    default: /* no BAR1 at all */
        words[5] = 0;
        writable[5] = 0;
        break;
    }
}

#define SPOILS 22u

static void impossible_devices_are_refused_and_left_alone(void)
{
    for (uint32_t how = 0; how < SPOILS; how++) {
        struct crossvm_bare_window window = {LOW_BASE, 1u << 30};
        struct crossvm_bare_window none = {0, 0};
        struct crossvm_bare_machine machine;
        struct crossvm_bare bare;
        struct crossvm_bare_device devices[2];
        uint32_t total;
        memset(&machine, 0, sizeof(machine));
        forget_functions();
        spoil(how, add_doorbell(at(2), 1 << 20));
        add_plain(at(3), 1 << 20);
        struct function before = functions[0];
        CHECK_EQ(crossvm_bare_scan(&config, devices, 2, &total), CROSSVM_OK);
        REQUIRE(total == 2);
        if (devices[0].status != CROSSVM_CORRUPT) {
            printf("spoilt by %u\n", (unsigned)how);
        }
        CHECK_EQ(devices[0].status, CROSSVM_CORRUPT);
        CHECK_EQ(devices[1].status, CROSSVM_OK);
        CHECK_EQ(crossvm_bare_assign(&config, devices, 2, &devices[0], &window, &none),
                 CROSSVM_CORRUPT);
        CHECK_EQ(
            crossvm_bare_open(&bare, &config, &devices[0], &machine, CROSSVM_READ_WRITE, NULL, 0),
            CROSSVM_CORRUPT);
        CHECK(memcmp(before.words, functions[0].words, sizeof(before.words)) == 0);
        CHECK_EQ(crossvm_bare_assign(&config, devices, 2, &devices[1], &window, &none), CROSSVM_OK);
    }
}

/* Bits below the length that stand there until somebody writes. */
static void an_address_that_its_length_cannot_have_is_refused(void)
{
    forget_functions();
    struct function *function = add_plain(at(4), 1 << 20);
    function->words[6] |= 0x8000;
    function->fickle = 0x8000;
    CHECK_EQ(scan_one().status, CROSSVM_CORRUPT);
}

static void other_headers_and_revisions_are_refused_untouched(void)
{
    forget_functions();
    add_plain(at(4), 4096)->words[3] = 0x00010000;
    CHECK_EQ(scan_one().status, CROSSVM_TYPE);
    CHECK_EQ(functions[0].n_stores, 0);
    forget_functions();
    add_plain(at(4), 4096)->words[2] = 0x05000000;
    CHECK_EQ(scan_one().status, CROSSVM_UNSUPPORTED);
    CHECK_EQ(functions[0].n_stores, 0);
}

static void a_list_may_be_as_long_as_there_is_room(void)
{
    forget_functions();
    struct function *function = add_doorbell(at(4), 4096);
    for (uint32_t off = 0x40; off < 0xf0; off += 4) {
        function->words[off / 4] = 9 | (off + 4) << 8;
    }
    function->words[0xf0 / 4] = 0x11;
    function->words[0xf4 / 4] = 1;
    function->words[0xf8 / 4] = 0x10 | 1;
    CHECK_EQ(scan_one().status, CROSSVM_OK);
    CHECK_EQ(scan_one().msix_off, 0xf0);
    function->words[1] &= ~0x100000u; /* there is no list, whatever stands there */
    CHECK_EQ(scan_one().status, CROSSVM_OK);
    CHECK_EQ(scan_one().msix_off, 0);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static const struct crossvm_bare_window low = {LOW_BASE, 1 << 24};
static const struct crossvm_bare_window high = {HIGH_BASE, 1ull << 36};
static const struct crossvm_bare_window none = {0, 0};

static uint64_t address_of(const struct function *function, uint32_t index)
{
    uint32_t word = function->words[4 + index];
    uint64_t upper = (word & 6) == 4 ? function->words[5 + index] : 0;
    return upper << 32 | (word & ~15u);
}

static void addresses_are_given_and_kept(void)
{
    struct crossvm_bare_device devices[3];
    uint32_t total;
    forget_functions();
    struct function *bell = add_doorbell(at(2), 1 << 20);
    struct function *here = add_plain(at(3), 1 << 20); /* firmware has placed it in our window */
    struct function *plain = add_plain(at(4), 1ull << 33);
    set_bar(here, 0, 0, 256, LOW_BASE);
    set_bar(here, 2, 12, 1 << 20, HIGH_BASE);
    here->words[1] |= 2;
    CHECK_EQ(crossvm_bare_scan(&config, devices, 3, &total), CROSSVM_OK);
    uint32_t n_stores = here->n_stores;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(crossvm_bare_assign(&config, devices, 3, &devices[i], &low, &high), CROSSVM_OK);
    }
    CHECK_EQ(here->n_stores, n_stores);
    CHECK_EQ(address_of(bell, 0), LOW_BASE + 0x100);
    CHECK_EQ(address_of(bell, 1), LOW_BASE + 0x1000);
    CHECK_EQ(address_of(bell, 2), HIGH_BASE + (1 << 20));
    CHECK_EQ(address_of(plain, 0), LOW_BASE + 0x200);
    CHECK_EQ(address_of(plain, 2), HIGH_BASE + (1ull << 33));
    CHECK_EQ(devices[2].bars[2].address, HIGH_BASE + (1ull << 33));
    CHECK_EQ(bell->words[6] & 15, 12);
    n_stores = bell->n_stores;
    CHECK_EQ(crossvm_bare_assign(&config, devices, 3, &devices[0], &low, &high), CROSSVM_OK);
    CHECK_EQ(bell->n_stores, n_stores);
    CHECK(!answered_while_sized);
}

static void without_a_high_window_the_low_one_serves(void)
{
    forget_functions();
    struct function *function = add_plain(at(4), 1 << 20);
    struct crossvm_bare_device device = scan_one();
    CHECK_EQ(crossvm_bare_assign(&config, &device, 1, &device, &low, &none), CROSSVM_OK);
    CHECK_EQ(address_of(function, 2), LOW_BASE + (1 << 20));
    forget_functions();
    function = add_plain(at(4), 1 << 20);
    set_bar(function, 2, 4, 1 << 20, 0); /* wide, and not prefetchable */
    device = scan_one();
    CHECK_EQ(crossvm_bare_assign(&config, &device, 1, &device, &low, &high), CROSSVM_OK);
    CHECK_EQ(address_of(function, 2), LOW_BASE + (1 << 20));
}

/* Nothing is changed by a refusal, neither the device nor what is known of it. */
static void refuse(struct crossvm_bare_device *devices, uint32_t n, uint32_t i,
                   const struct crossvm_bare_window *lower,
                   const struct crossvm_bare_window *higher, int status)
{
    struct function before = functions[i];
    struct crossvm_bare_device known = devices[i];
    CHECK_EQ(crossvm_bare_assign(&config, devices, n, &devices[i], lower, higher), status);
    CHECK(memcmp(before.words, functions[i].words, sizeof(before.words)) == 0);
    for (uint32_t bar = 0; bar < CROSSVM_BARE_BARS; bar++) {
        CHECK_EQ(devices[i].bars[bar].address, known.bars[bar].address);
    }
}

static void windows_that_are_too_small_are_refused(void)
{
    const struct crossvm_bare_window short_of_one = {LOW_BASE, (2u << 20) - 1};
    const struct crossvm_bare_window exact = {LOW_BASE, 2u << 20};
    const struct crossvm_bare_window crooked = {LOW_BASE + 0x10, (2u << 20) - 0x10};
    const struct crossvm_bare_window last = {0xffe00000u, 2u << 20};
    forget_functions();
    add_doorbell(at(4), 1 << 20);
    struct crossvm_bare_device device = scan_one();
    refuse(&device, 1, 0, &none, &none, CROSSVM_NO_SPACE);
    refuse(&device, 1, 0, &none, &high, CROSSVM_NO_SPACE);
    refuse(&device, 1, 0, &short_of_one, &none, CROSSVM_NO_SPACE);
    CHECK_EQ(crossvm_bare_assign(&config, &device, 1, &device, &exact, &none), CROSSVM_OK);
    forget_functions();
    add_doorbell(at(4), 1 << 20);
    device = scan_one();
    CHECK_EQ(crossvm_bare_assign(&config, &device, 1, &device, &crooked, &none), CROSSVM_OK);
    CHECK_EQ(device.bars[0].address, LOW_BASE + 0x100);
    CHECK_EQ(device.bars[2].address, LOW_BASE + (1 << 20));
    /* The second half ends where sizing leaves a BAR, which would say nothing then. */
    forget_functions();
    struct function *function = add_plain(at(4), 1 << 20);
    set_bar(function, 2, 0, 1 << 20, 0);
    device = scan_one();
    refuse(&device, 1, 0, &last, &none, CROSSVM_NO_SPACE);
}

static void absurd_windows_are_refused(void)
{
    const struct crossvm_bare_window above = {LOW_BASE, 0x80000001u};
    const struct crossvm_bare_window far_away = {1ull << 32, 1 << 20};
    const struct crossvm_bare_window around = {HIGH_BASE, UINT64_MAX};
    forget_functions();
    add_plain(at(4), 1 << 20);
    struct crossvm_bare_device device = scan_one();
    refuse(&device, 1, 0, &above, &none, CROSSVM_INVALID);
    refuse(&device, 1, 0, &far_away, &none, CROSSVM_INVALID);
    refuse(&device, 1, 0, &low, &around, CROSSVM_INVALID);
}

static void a_length_beyond_all_windows_is_refused(void)
{
    forget_functions();
    add_plain(at(4), 1ull << 63);
    struct crossvm_bare_device device = scan_one();
    CHECK_EQ(device.status, CROSSVM_OK);
    const struct crossvm_bare_window whole = {0, UINT64_MAX};
    refuse(&device, 1, 0, &low, &high, CROSSVM_NO_SPACE);
    refuse(&device, 1, 0, &low, &whole, CROSSVM_NO_SPACE); /* but for its upper half */
}

static void who_is_behind_a_bridge_gets_no_address(void)
{
    forget_functions();
    struct function *function = add_plain(crossvm_bare_slot(1, 0, 0), 1 << 20);
    struct crossvm_bare_device device = scan_one();
    refuse(&device, 1, 0, &low, &high, CROSSVM_UNSUPPORTED);
    set_bar(function, 0, 0, 256, 0xc0000000u);
    set_bar(function, 2, 12, 1 << 20, HIGH_BASE);
    device = scan_one();
    CHECK_EQ(crossvm_bare_assign(&config, &device, 1, &device, &low, &high), CROSSVM_OK);
}

static void addresses_of_two_are_refused(void)
{
    struct crossvm_bare_device devices[2];
    uint32_t total;
    forget_functions();
    for (uint32_t i = 0; i < 2; i++) {
        struct function *function = add_plain(at(i + 2), 1 << 20);
        set_bar(function, 0, 0, 256, LOW_BASE + 256 * i);
        set_bar(function, 2, 12, 1 << 20, HIGH_BASE);
    }
    CHECK_EQ(crossvm_bare_scan(&config, devices, 2, &total), CROSSVM_OK);
    refuse(devices, 2, 0, &low, &high, CROSSVM_EXISTS);
    refuse(devices, 2, 1, &low, &high, CROSSVM_EXISTS);
}

static void an_address_that_is_not_kept_is_refused(void)
{
    const uint32_t registers[] = {0x10, 0x14, 0x1c}; /* the lower half of BAR2 stays 0 anyhow */
    for (uint32_t i = 0; i < 3; i++) {
        forget_functions();
        struct function *function = add_doorbell(at(4), 1 << 20);
        struct crossvm_bare_device device = scan_one();
        function->frozen = registers[i];
        refuse(&device, 1, 0, &low, &high, CROSSVM_CORRUPT);
    }
}

/* Whatever stands where already: aligned, within a window, nobody else's. */
static void addresses_are_aligned_and_disjoint(void)
{
    uint64_t state = 1;
    for (unsigned round = 0; round < 300; round++) {
        struct crossvm_bare_device devices[FUNCTIONS];
        uint32_t total;
        forget_functions();
        for (uint32_t i = 0; i < FUNCTIONS; i++) {
            uint64_t len = 1ull << (12 + check_random(&state) % 9);
            struct function *function = add_doorbell(at(i), len);
            if (check_random(&state) % 3 == 0) {
                set_bar(function, 2, 12, len, HIGH_BASE + ((uint64_t)i << 20));
            }
            if (check_random(&state) % 3 == 0) {
                set_bar(function, 1, 0, 4096, LOW_BASE + (i << 13));
            }
        }
        CHECK_EQ(crossvm_bare_scan(&config, devices, FUNCTIONS, &total), CROSSVM_OK);
        for (uint32_t i = 0; i < total; i++) {
            CHECK_EQ(crossvm_bare_assign(&config, devices, total, &devices[i], &low, &high),
                     CROSSVM_OK);
        }
        for (uint32_t i = 0; i < 3 * total; i++) {
            const struct crossvm_bare_bar *bar = &devices[i / 3].bars[i % 3];
            CHECK_EQ(bar->address, address_of(&functions[i / 3], i % 3));
            CHECK_EQ(bar->address % bar->len, 0);
            const struct crossvm_bare_window *window = i % 3 == 2 ? &high : &low;
            CHECK(bar->address >= window->base &&
                  bar->address + bar->len <= window->base + window->len);
            for (uint32_t j = 0; j < i; j++) {
                const struct crossvm_bare_bar *other = &devices[j / 3].bars[j % 3];
                CHECK(bar->address + bar->len <= other->address ||
                      other->address + other->len <= bar->address);
            }
        }
    }
}

/* ---- in use --------------------------------------------------------------------------------- */

static uint64_t clock_ns;
static bool masked;
static unsigned n_rests;
static unsigned
    ring_at_rest;           /* an interrupt comes as the core falls asleep: vector + 1, 0 = none */
static unsigned no_map;     /* this part cannot be mapped: 1 registers, 2 vectors, 3 memory */
static unsigned off_memory; /* where the memory is */
static struct crossvm_bare bare;
static struct crossvm_bare_vector vectors[VECTORS];

static void *model_map(void *context, uint64_t address, uint64_t len, bool registers)
{
    (void)context;
    (void)len;
    CHECK_EQ(registers, address < HIGH_BASE);
    if (!registers) {
        unsigned char *base = parts.memory;
        base += CROSSVM_LINE - (uintptr_t)base % CROSSVM_LINE;
        return no_map == 3 ? NULL : base + off_memory;
    }
    if (address % 4096 == 0 && len == 4096) {
        return no_map == 2 ? NULL : parts.table;
    }
    return no_map == 1 ? NULL : parts.registers;
}

static uint64_t model_now(void *context)
{
    (void)context;
    return clock_ns++;
}

static void model_mask(void *context)
{
    (void)context;
    CHECK(!masked);
    masked = true;
}

static void model_unmask(void *context)
{
    (void)context;
    CHECK(masked);
    masked = false;
}

static void model_rest(void *context, uint64_t until_ns)
{
    (void)context;
    CHECK(masked);
    masked = false;
    n_rests++;
    CHECK(until_ns > clock_ns);
    clock_ns += 10;
    if (ring_at_rest != 0) {
        crossvm_bare_interrupt(&bare, ring_at_rest - 1);
    }
}

static const struct crossvm_bare_machine machine = {
    model_map, model_now, model_mask, model_unmask, model_rest, NULL, CROSSVM_WRITE_BACK,
};

static struct crossvm_bare_device placed_device(bool doorbell)
{
    forget_functions();
    memset(&parts, 0, sizeof(parts));
    masked = false;
    n_rests = 0;
    ring_at_rest = 0;
    no_map = 0;
    off_memory = 0;
    crossvm_store_relaxed(&parts.registers[2], 5);
    (void)(doorbell ? add_doorbell(at(4), 4096) : add_plain(at(4), 4096));
    struct crossvm_bare_device device = scan_one();
    CHECK_EQ(crossvm_bare_assign(&config, &device, 1, &device, &low, &high), CROSSVM_OK);
    return device;
}

static int open_device(const struct crossvm_bare_device *device, uint32_t n_own)
{
    return crossvm_bare_open(&bare, &config, device, &machine, CROSSVM_READ_WRITE, vectors, n_own);
}

static void a_doorbell_device_is_opened_and_closed(void)
{
    struct crossvm_bare_device device = placed_device(true);
    uint32_t before = functions[0].words[1];
    vectors[1].n_heard = 3;
    REQUIRE(open_device(&device, 2) == CROSSVM_OK);
    CHECK_EQ(bare.id, 5);
    CHECK_EQ(bare.mapping.len, 4096);
    CHECK_EQ(bare.mapping.access, CROSSVM_READ_WRITE);
    CHECK_EQ(bare.mapping.memory, CROSSVM_WRITE_BACK);
    CHECK_EQ((uintptr_t)bare.mapping.base % CROSSVM_LINE, 0);
    CHECK_EQ(vectors[1].n_heard, 0);
    CHECK_EQ(functions[0].words[1], before | 6);
    CHECK_EQ(functions[0].words[0x80 / 4] & 0xc0000000u, 0x80000000u);
    CHECK(all_masked());
    CHECK(!mastered_unmasked);
    crossvm_bare_close(&bare);
    CHECK_EQ(functions[0].words[1], before);
    CHECK_EQ(functions[0].words[0x80 / 4] & 0xc0000000u, 0);
    CHECK(bare.mapping.base == NULL);
    uint32_t n_stores = functions[0].n_stores;
    crossvm_bare_close(&bare);
    CHECK_EQ(functions[0].n_stores, n_stores);
}

/* A program before this one left the device as it was. */
static void what_was_left_running_is_masked_first(void)
{
    struct crossvm_bare_device device = placed_device(true);
    functions[0].words[0x80 / 4] |= 0x80000000u;
    REQUIRE(open_device(&device, 0) == CROSSVM_OK);
    CHECK(all_masked());
    CHECK_EQ(functions[0].words[1] & 7, 2); /* nobody listens: it need not send */
    CHECK_EQ(functions[0].words[0x80 / 4] & 0x80000000u, 0);
}

static void a_plain_device_has_memory_alone(void)
{
    struct crossvm_notify notify;
    struct crossvm_bare_device device = placed_device(false);
    CHECK_EQ(open_device(&device, 1), CROSSVM_NOT_FOUND);
    REQUIRE(open_device(&device, 0) == CROSSVM_OK);
    CHECK_EQ(functions[0].words[1] & 7, 2);
    crossvm_notify_bare(&notify, &bare);
    CHECK_EQ(crossvm_notify_signal(&notify, 0, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, CROSSVM_NO_DEADLINE), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_load_relaxed(&parts.registers[3]), 0);
    CHECK_EQ(crossvm_bare_route(&bare, 0, 0xfee00000u, 1), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_bare_mask(&bare, 0, true), CROSSVM_NOT_FOUND);
}

static void refuse_to_open(const struct crossvm_bare_device *device, uint32_t n_own, int status)
{
    struct function before = functions[0];
    CHECK_EQ(open_device(device, n_own), status);
    CHECK(memcmp(before.words, functions[0].words, sizeof(before.words)) == 0);
    CHECK(bare.registers == NULL);
}

static void what_cannot_be_opened_is_left_alone(void)
{
    struct crossvm_bare_device device = placed_device(true);
    refuse_to_open(&device, VECTORS + 1, CROSSVM_NOT_FOUND);
    for (no_map = 1; no_map <= 3; no_map++) {
        refuse_to_open(&device, 1, CROSSVM_NO_SPACE);
    }
    off_memory = 64;
    refuse_to_open(&device, 1, CROSSVM_MISALIGNED);
    off_memory = 0;
    crossvm_store_relaxed(&parts.registers[2], UINT32_MAX);
    refuse_to_open(&device, 1, CROSSVM_NOT_YET);
    crossvm_store_relaxed(&parts.registers[2], 0x10000);
    refuse_to_open(&device, 1, CROSSVM_CORRUPT);
    crossvm_store_relaxed(&parts.registers[2], 0xffff);
    struct crossvm_bare_device nowhere = device;
    nowhere.bars[1].address = 0;
    refuse_to_open(&nowhere, 1, CROSSVM_INVALID);
    struct crossvm_bare_machine strange = machine;
    strange.memory = 3;
    CHECK_EQ(crossvm_bare_open(&bare, &config, &device, &strange, CROSSVM_READ_ONLY, vectors, 1),
             CROSSVM_INVALID);
    CHECK_EQ(open_device(&device, VECTORS), CROSSVM_OK);
    CHECK_EQ(bare.id, 0xffff);
}

static void without_a_map_addresses_are_pointers(void)
{
    struct crossvm_bare_device device = placed_device(true);
    struct crossvm_bare_machine bare_machine = machine;
    bare_machine.map = NULL;
    device.bars[2].address = (uint64_t)UINTPTR_MAX - 0xfff + 1;
    if (UINTPTR_MAX < UINT64_MAX) {
        CHECK_EQ(crossvm_bare_open(&bare, &config, &device, &bare_machine, CROSSVM_READ_ONLY,
                                   vectors, 1),
                 CROSSVM_NO_SPACE);
        device.bars[2].len = 1ull << 33;
        CHECK_EQ(crossvm_bare_open(&bare, &config, &device, &bare_machine, CROSSVM_READ_ONLY,
                                   vectors, 1),
                 CROSSVM_TOO_LARGE);
    }
    const unsigned char *memory = (const unsigned char *)model_map(NULL, HIGH_BASE, 4096, false);
    device.bars[0].address = (uintptr_t)parts.registers;
    device.bars[1].address = (uintptr_t)parts.table;
    device.bars[2].address = (uintptr_t)memory;
    device.bars[2].len = 2048;
    CHECK_EQ(
        crossvm_bare_open(&bare, &config, &device, &bare_machine, CROSSVM_READ_ONLY, vectors, 1),
        CROSSVM_OK);
    CHECK(bare.mapping.base == memory);
    CHECK_EQ(bare.mapping.access, CROSSVM_READ_ONLY);
}

static uint32_t entry(uint32_t vector, uint32_t word)
{
    return crossvm_load_relaxed(&parts.table[4 * vector + word]);
}

static void vectors_are_tied_to_interrupts(void)
{
    struct crossvm_bare_device device = placed_device(true);
    REQUIRE(open_device(&device, 3) == CROSSVM_OK);
    CHECK_EQ(crossvm_bare_route(&bare, 2, 0x1fee01000ull, 0x42), CROSSVM_OK);
    CHECK_EQ(entry(2, 0), 0xfee01000u);
    CHECK_EQ(entry(2, 1), 1);
    CHECK_EQ(entry(2, 2), 0x42);
    CHECK_EQ(entry(2, 3), 0);
    CHECK_EQ(entry(1, 3), 1);
    CHECK_EQ(crossvm_bare_mask(&bare, 2, true), CROSSVM_OK);
    CHECK_EQ(entry(2, 3), 1);
    CHECK_EQ(crossvm_bare_mask(&bare, 2, false), CROSSVM_OK);
    CHECK_EQ(entry(2, 3), 0);
    CHECK_EQ(crossvm_bare_route(&bare, 1, 0xfee01002u, 0x42), CROSSVM_INVALID);
    CHECK_EQ(entry(1, 3), 1);
    CHECK_EQ(crossvm_bare_route(&bare, 3, 0xfee01000u, 0x42), CROSSVM_NOT_FOUND);
    CHECK_EQ(entry(3, 0), 0);
    CHECK_EQ(crossvm_bare_mask(&bare, 3, false), CROSSVM_NOT_FOUND);
    CHECK_EQ(entry(3, 3), 1);
}

static void a_ring_is_one_write(void)
{
    struct crossvm_notify notify;
    struct crossvm_bare_device device = placed_device(true);
    REQUIRE(open_device(&device, 1) == CROSSVM_OK);
    crossvm_notify_bare(&notify, &bare);
    CHECK_EQ(crossvm_notify_signal(&notify, 0x1234, 7), CROSSVM_OK);
    CHECK_EQ(crossvm_load_relaxed(&parts.registers[3]), 0x12340007);
    CHECK_EQ(crossvm_notify_signal(&notify, 0x10000, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_signal(&notify, 0, 0x10000), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_load_relaxed(&parts.registers[3]), 0x12340007);
    CHECK_EQ(crossvm_notify_fd(&notify, 0), CROSSVM_UNSUPPORTED);
}

static void a_wait_hears_its_own_vector(void)
{
    struct crossvm_notify notify;
    struct crossvm_bare_device device = placed_device(true);
    REQUIRE(open_device(&device, 2) == CROSSVM_OK);
    crossvm_notify_bare(&notify, &bare);
    crossvm_bare_interrupt(&bare, 1);
    crossvm_bare_interrupt(&bare, 1);
    crossvm_store_relaxed(&vectors[2].n_rung, 0);
    crossvm_bare_interrupt(&bare, 2); /* not its own */
    CHECK_EQ(crossvm_load_relaxed(&vectors[2].n_rung), 0);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, 0), CROSSVM_TIMEOUT);
    CHECK_EQ(crossvm_notify_wait(&notify, 1, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(crossvm_notify_wait(&notify, 1, 0), CROSSVM_TIMEOUT); /* two rings, one wait */
    CHECK_EQ(n_rests, 0);
    CHECK_EQ(crossvm_notify_wait(&notify, 2, 0), CROSSVM_NOT_FOUND);
    CHECK_EQ(crossvm_notify_wait(&notify, 0, crossvm_notify_now(&notify) + 1000), CROSSVM_TIMEOUT);
    CHECK(n_rests > 10); /* each ended early */
    CHECK(!masked);
}

static void a_wait_sleeps_and_is_woken(void)
{
    struct crossvm_notify notify;
    struct crossvm_bare_device device = placed_device(true);
    REQUIRE(open_device(&device, 2) == CROSSVM_OK);
    crossvm_notify_bare(&notify, &bare);
    ring_at_rest = 2;
    CHECK_EQ(crossvm_notify_wait(&notify, 1, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(n_rests, 1);
    CHECK(!masked);
    ring_at_rest = 1; /* another one's ring ends no wait */
    CHECK_EQ(crossvm_notify_wait(&notify, 1, crossvm_notify_now(&notify) + 100), CROSSVM_TIMEOUT);
    /* A storm: it rests, deaf, and then hears what is left over. */
    ring_at_rest = 2;
    n_rests = 0;
    CHECK_EQ(crossvm_notify_wait_again(&notify, 1, CROSSVM_NO_DEADLINE, CROSSVM_NOTIFY_VAIN),
             CROSSVM_OK);
    CHECK(n_rests > 1000);
    CHECK(!masked);
}

static unsigned n_asked;

/* Rings while the wait looks at the clock for the third time. */
static uint64_t ringing_now(void *context)
{
    if (++n_asked == 3) {
        crossvm_bare_interrupt(&bare, 0);
    }
    return model_now(context);
}

static void a_machine_without_rest_polls(void)
{
    static const struct crossvm_bare_machine small = {
        model_map, ringing_now, NULL, NULL, NULL, NULL, CROSSVM_WRITE_BACK};
    struct crossvm_notify notify;
    struct crossvm_bare_device device = placed_device(true);
    REQUIRE(crossvm_bare_open(&bare, &config, &device, &small, CROSSVM_READ_WRITE, vectors, 1) ==
            CROSSVM_OK);
    crossvm_notify_bare(&notify, &bare);
    n_asked = 0;
    CHECK_EQ(crossvm_notify_wait(&notify, 0, CROSSVM_NO_DEADLINE), CROSSVM_OK);
    CHECK_EQ(n_asked, 3);
}

int main(void)
{
    CASE(devices_are_listed_by_slot);
    CASE(what_has_no_room_is_counted_and_not_touched);
    CASE(buses_are_as_many_as_there_are);
    CASE(ecam_is_memory);
    CASE(sizing_leaves_all_as_it_was);
    CASE(what_sizing_leaves_behind_is_no_address);
    CASE(impossible_devices_are_refused_and_left_alone);
    CASE(an_address_that_its_length_cannot_have_is_refused);
    CASE(other_headers_and_revisions_are_refused_untouched);
    CASE(a_list_may_be_as_long_as_there_is_room);
    CASE(addresses_are_given_and_kept);
    CASE(without_a_high_window_the_low_one_serves);
    CASE(windows_that_are_too_small_are_refused);
    CASE(absurd_windows_are_refused);
    CASE(a_length_beyond_all_windows_is_refused);
    CASE(who_is_behind_a_bridge_gets_no_address);
    CASE(addresses_of_two_are_refused);
    CASE(an_address_that_is_not_kept_is_refused);
    CASE(addresses_are_aligned_and_disjoint);
    CASE(a_doorbell_device_is_opened_and_closed);
    CASE(what_was_left_running_is_masked_first);
    CASE(a_plain_device_has_memory_alone);
    CASE(what_cannot_be_opened_is_left_alone);
    CASE(without_a_map_addresses_are_pointers);
    CASE(vectors_are_tied_to_interrupts);
    CASE(a_ring_is_one_write);
    CASE(a_wait_hears_its_own_vector);
    CASE(a_wait_sleeps_and_is_woken);
    CASE(a_machine_without_rest_polls);
    return check_done();
}
