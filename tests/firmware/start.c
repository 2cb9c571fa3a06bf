/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/firmware/start.c - says that a unit has passed, in words: an emulator's exit status alone
 * also is 0 when a program goes astray. Linked with --wrap=main in front of a unit of tests/unit.
 */
#include <stdio.h>

/* The unit's own main, by the name that the linker gives it. */
int __real_main(void);
int __wrap_main(void);

int __wrap_main(void)
{
    int status = __real_main();
    if (status == 0) {
        printf("passed on firmware: %s\n", CROSSVM_UNIT);
    }
    return status;
}
