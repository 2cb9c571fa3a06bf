/* SPDX-License-Identifier: Apache-2.0 */
/* expect: warn_unused_result */
/* The answer of a call that can fail has to be looked at. */
#include <crossvm/crossvm.h>

extern int attach(struct crossvm_region *region, const struct crossvm_mapping *mapping);

int attach(struct crossvm_region *region, const struct crossvm_mapping *mapping)
{
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return crossvm_region_attach(region, mapping, 1);
#else
    crossvm_region_attach(region, mapping, 1);
    return 0;
#endif
}
