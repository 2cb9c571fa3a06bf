/* SPDX-License-Identifier: Apache-2.0 */
/* test_package.c - the package's headers are found, and they compute. */
#include <crossvm/crossvm.h>

#include <stdio.h>

int main(void)
{
    printf("crossvm %s\n", CROSSVM_VERSION_STRING);
    return crossvm_crc32c(0, "123456789", 9) == 0xe3069283u ? 0 : 1;
}
