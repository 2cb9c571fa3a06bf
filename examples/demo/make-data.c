/* SPDX-License-Identifier: Apache-2.0 */
/* make-data.c - writes a file of pseudo-random data: the same bytes for the same seed. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* George Marsaglia's xorshift with shifts 13, 7, 17. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int write_data(FILE *file, unsigned long mib, uint64_t seed)
{
    static uint64_t block[1024 * 1024 / sizeof(uint64_t)];
    const size_t n = sizeof(block) / sizeof(block[0]);
    uint64_t state = seed * 2 + 1; /* never 0 */
    for (unsigned long i = 0; i < mib; i++) {
        for (size_t k = 0; k < n; k++) {
            block[k] = next_random(&state);
        }
        if (fwrite(block, sizeof(block), 1, file) != 1) {
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: make-data FILE MIB SEED\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "wb");
    int failed = file == NULL ||
                 write_data(file, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10)) != 0;
    if (file != NULL && fclose(file) != 0) {
        failed = 1;
    }
    if (failed) {
        fprintf(stderr, "make-data: %s: %s\n", argv[1], strerror(errno));
    }
    return failed ? 2 : 0;
}
