/* SPDX-License-Identifier: Apache-2.0 */
/* expect: incompatible type */
/* A number assigned to a shared word without a store. */
#include <crossvm/crossvm.h>

void set(struct crossvm_le32 *word, uint32_t value);

void set(struct crossvm_le32 *word, uint32_t value)
{
#if defined(CROSSVM_NEGATIVE_CONTROL)
    crossvm_store_relaxed(word, value);
#else
    *word = value;
#endif
}
