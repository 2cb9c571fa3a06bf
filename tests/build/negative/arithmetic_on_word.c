/* SPDX-License-Identifier: Apache-2.0 */
/* expect: invalid operands to binary */
/* A shared word has to be loaded before anything is computed with it. */
#include <crossvm/crossvm.h>

extern uint32_t fill(const struct crossvm_spsc_tx_shm *tx, uint32_t head);

uint32_t fill(const struct crossvm_spsc_tx_shm *tx, uint32_t head)
{
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return crossvm_load_relaxed(&tx->line.index) - head;
#else
    return tx->line.index - head;
#endif
}
