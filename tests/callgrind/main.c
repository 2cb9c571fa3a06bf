/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every operation that is linked in, or the one that is named, under callgrind: one dump for
 * each, and a line that says how many calls it holds.
 */
#include <valgrind/callgrind.h>

#include <string.h>

#include "../check.h"
#include "subject.h"

#define MAX_OPERATIONS 200u

static const struct operation *operations[MAX_OPERATIONS];
static unsigned n_operations;

void operation_add(const struct operation *operation)
{
    REQUIRE(n_operations < MAX_OPERATIONS);
    operations[n_operations] = operation;
    n_operations++;
}

static void measure(const struct operation *operation)
{
    static struct subject subject;
    memset(&subject, 0, sizeof(subject));
    operation->prepare(&subject);
    for (unsigned i = 0; i < operation->n; i++) {
        operation->before(&subject);
        check_equal(__FILE__, __LINE__, operation->name, operation->call(&subject),
                    operation->want);
    }
    CALLGRIND_DUMP_STATS_AT(operation->name);
    printf("%s %u\n", operation->name, operation->n);
}

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < n_operations; i++) {
        if (argc < 2 || strcmp(argv[1], operations[i]->name) == 0) {
            measure(operations[i]);
        }
    }
    return check_done();
}
