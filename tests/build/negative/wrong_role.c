/* SPDX-License-Identifier: Apache-2.0 */
/* expect gcc: incompatible pointer type */
/* expect clang: incompatible pointer types */
/* A producer's handle is of another type than a consumer's. */
#include <crossvm/crossvm.h>

extern int take(struct crossvm_spsc_rx *rx, struct crossvm_spsc_tx *tx, void *elem);

int take(struct crossvm_spsc_rx *rx, struct crossvm_spsc_tx *tx, void *elem)
{
    (void)rx;
    (void)tx;
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return crossvm_spsc_rx_pop(rx, elem);
#else
    return crossvm_spsc_rx_pop(tx, elem);
#endif
}
