/* SPDX-License-Identifier: Apache-2.0 */
/* expect: incompatible-pointer-types */
/* A plain number passed for a shared word. */
#include <crossvm/crossvm.h>

uint32_t look(void);

uint32_t look(void)
{
#if defined(CROSSVM_NEGATIVE_CONTROL)
    struct crossvm_le32 word = {7};
#else
    uint32_t word = 7;
#endif
    return crossvm_load_relaxed(&word);
}
