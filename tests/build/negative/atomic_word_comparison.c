/* SPDX-License-Identifier: Apache-2.0 */
/* expect: invalid operands to binary */
/* A comparison with a shared word that was not loaded. */
#include <crossvm/crossvm.h>

#if defined(CROSSVM_NEGATIVE_CONTROL)
#define VALUE(word) crossvm_load_relaxed(word)
#else
#define VALUE(word) (*(word))
#endif

bool is_stale(const struct crossvm_slots *slots);

bool is_stale(const struct crossvm_slots *slots)
{
    return VALUE(&slots->control->epoch) != slots->epoch;
}
