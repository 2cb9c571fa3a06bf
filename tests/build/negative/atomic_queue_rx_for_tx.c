/* SPDX-License-Identifier: Apache-2.0 */
/* expect: incompatible-pointer-types */
/* The handle of a consumer where that of a producer is expected. */
#include <crossvm/crossvm.h>

#if defined(CROSSVM_NEGATIVE_CONTROL)
#define HANDLE crossvm_spsc_tx
#else
#define HANDLE crossvm_spsc_rx
#endif

int give(struct HANDLE *queue, const void *element);

int give(struct HANDLE *queue, const void *element)
{
    return crossvm_spsc_tx_push(queue, element);
}
