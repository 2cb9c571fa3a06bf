/* SPDX-License-Identifier: Apache-2.0 */
/* expect gcc: invalid operands to binary - */
/* expect clang: are not pointers to compatible types */
/* A field is read into a variable of the field's own type. */
#include <crossvm/crossvm.h>

struct config {
    uint32_t rate;
    uint16_t gain;
};

extern int read_gain(const struct crossvm_bytes_reader *reader, uint16_t *gain, uint32_t *wide);

int read_gain(const struct crossvm_bytes_reader *reader, uint16_t *gain, uint32_t *wide)
{
    (void)gain;
    (void)wide;
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return CROSSVM_BYTES_READ_FIELD(reader, 0, struct config, gain, gain);
#else
    return CROSSVM_BYTES_READ_FIELD(reader, 0, struct config, gain, wide);
#endif
}
