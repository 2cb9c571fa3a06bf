/* SPDX-License-Identifier: Apache-2.0 */
/* expect gcc: incompatible pointer type */
/* expect clang: incompatible pointer types */
/* A reader's handle does not write. */
#include <crossvm/crossvm.h>

extern int put(const struct crossvm_bytes_writer *writer, const struct crossvm_bytes_reader *reader,
               const void *src);

int put(const struct crossvm_bytes_writer *writer, const struct crossvm_bytes_reader *reader,
        const void *src)
{
    (void)writer;
    (void)reader;
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return crossvm_bytes_writer_write(writer, 0, src, 4);
#else
    return crossvm_bytes_writer_write(reader, 0, src, 4);
#endif
}
