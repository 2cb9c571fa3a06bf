/* SPDX-License-Identifier: Apache-2.0 */
/* expect: incompatible-pointer-types */
/* The handle of a reader where that of a writer is expected. */
#include <crossvm/crossvm.h>

#if defined(CROSSVM_NEGATIVE_CONTROL)
#define HANDLE crossvm_snapshot_writer
#else
#define HANDLE crossvm_snapshot_reader
#endif

int publish(struct HANDLE *snapshot, const void *state, uint32_t len);

int publish(struct HANDLE *snapshot, const void *state, uint32_t len)
{
    return crossvm_snapshot_writer_publish(snapshot, state, len, 0, 0);
}
