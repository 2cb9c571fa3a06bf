/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/cross/golden.c - makes the golden images of this format: two regions in the middle of
 * their work, as this architecture writes them.
 *
 *   golden DIRECTORY NAME       writes DIRECTORY/NAME-a.img and DIRECTORY/NAME-b.img
 *
 * What stands in them is what tests/unit/golden.c expects: A has published versions 1 to 7, pushed
 * elements 1 to 11, of which B has taken 4 and released them; B has published nothing, and pushed
 * as many as there is room for.
 */
#include "../support/sample.h"

enum {
    IMAGE_MAX = 16384
};

static _Alignas(128) unsigned char memory[2][IMAGE_MAX];
static struct crossvm_mapping mappings[2];
static struct sample_side sides[2];

static void make(unsigned which)
{
    struct sample_side *side = &sides[which];
    uint64_t len;
    side->party = which == 0 ? SAMPLE_A : SAMPLE_B;
    sample_plan_make(&side->plan, side->party);
    REQUIRE(crossvm_region_plan_len(&side->plan.plan, &len) == CROSSVM_OK);
    REQUIRE(len <= IMAGE_MAX);
    mappings[which].base = memory[which];
    mappings[which].len = len;
    mappings[which].access = CROSSVM_READ_WRITE;
    mappings[which].memory = CROSSVM_WRITE_BACK;
    REQUIRE(crossvm_region_owner_format(&side->own, &mappings[which], &side->plan.plan, side->table,
                                        SAMPLE_TABLE_LEN) == CROSSVM_OK);
}

static void open_all(unsigned which)
{
    struct crossvm_mapping peer = mappings[1 - which];
    peer.access = CROSSVM_READ_ONLY;
    REQUIRE(crossvm_region_attach(&sides[which].peer, &peer, sides[which].party) == CROSSVM_OK);
    sample_open_own(&sides[which], 1);
    sample_open_peer(&sides[which]);
    sample_write_notes(&sides[which]);
}

static void work(struct sample_side *a, struct sample_side *b)
{
    for (unsigned step = 0; step < 3; step++) {
        (void)sample_link_step(a);
        (void)sample_link_step(b);
    }
    for (uint32_t version = 1; version <= 7; version++) {
        sample_publish(a, version);
    }
    for (uint32_t number = 1; number <= 11; number++) {
        CHECK_EQ(sample_push(a, number), CROSSVM_OK);
        if (number <= 4) {
            CHECK_EQ(sample_pop(b, number), CROSSVM_OK);
        }
    }
    crossvm_spsc_rx_flush(&b->rx);
    for (uint32_t number = 1; number <= SAMPLE_CAPACITY; number++) {
        CHECK_EQ(sample_push(b, number), CROSSVM_OK);
    }
    CHECK_EQ(sample_push(b, SAMPLE_CAPACITY + 1), CROSSVM_FULL);
}

static void save(const char *directory, const char *name, unsigned which)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s-%c.img", directory, name, "ab"[which]);
    FILE *file = fopen(path, "wb");
    REQUIRE(file != NULL);
    size_t len = (size_t)mappings[which].len;
    REQUIRE(fwrite(mappings[which].base, 1, len, file) == len);
    REQUIRE(fclose(file) == 0);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: golden DIRECTORY NAME\n");
        return 2;
    }
    make(0);
    make(1);
    open_all(0);
    open_all(1);
    work(&sides[0], &sides[1]);
    if (check_done() != 0) {
        return 1;
    }
    save(argv[1], argv[2], 0);
    save(argv[1], argv[2], 1);
    return 0;
}
