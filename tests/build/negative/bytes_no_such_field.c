/* SPDX-License-Identifier: Apache-2.0 */
/* expect gcc: has no member named */
/* expect clang: no member named */
/* A field is one of the type's. */
#include <crossvm/crossvm.h>

struct config {
    uint32_t rate;
};

extern int get(const struct crossvm_bytes_reader *reader, uint32_t *rate);

int get(const struct crossvm_bytes_reader *reader, uint32_t *rate)
{
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return CROSSVM_BYTES_READ_FIELD(reader, 0, struct config, rate, rate);
#else
    return CROSSVM_BYTES_READ_FIELD(reader, 0, struct config, speed, rate);
#endif
}
