/* SPDX-License-Identifier: Apache-2.0 */
/* expect: discards */
/* A store into what the peer writes. */
#include <crossvm/crossvm.h>

#if defined(CROSSVM_NEGATIVE_CONTROL)
#define OWN
#else
#define OWN const
#endif

void set(OWN struct crossvm_spsc_tx_shm *part);

void set(OWN struct crossvm_spsc_tx_shm *part)
{
    crossvm_store_relaxed(&part->grant, 1);
}
