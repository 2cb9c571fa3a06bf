/* SPDX-License-Identifier: Apache-2.0 */
/* expect: incompatible-pointer-types */
/* The handle of a writer where that of a reader is expected. */
#include <crossvm/crossvm.h>

#if defined(CROSSVM_NEGATIVE_CONTROL)
#define HANDLE crossvm_snapshot_reader
#else
#define HANDLE crossvm_snapshot_writer
#endif

int look(struct HANDLE *snapshot, void *state, size_t len);

int look(struct HANDLE *snapshot, void *state, size_t len)
{
    return crossvm_snapshot_reader_read(snapshot, state, len, NULL);
}
