/* SPDX-License-Identifier: Apache-2.0 */
/* expect gcc: invalid operands to binary - */
/* expect clang: are not pointers to compatible types */
/* A field is written from a variable of the field's own type, the sign included. */
#include <crossvm/crossvm.h>

struct config {
    uint32_t rate;
    uint16_t gain;
};

extern int set_rate(const struct crossvm_bytes_writer *writer, uint32_t *rate, int32_t *other);

int set_rate(const struct crossvm_bytes_writer *writer, uint32_t *rate, int32_t *other)
{
    (void)rate;
    (void)other;
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return CROSSVM_BYTES_WRITE_FIELD(writer, 0, struct config, rate, rate);
#else
    return CROSSVM_BYTES_WRITE_FIELD(writer, 0, struct config, rate, other);
#endif
}
