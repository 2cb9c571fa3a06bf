/* SPDX-License-Identifier: Apache-2.0 */
/* expect gcc: discards */
/* expect clang: discards qualifiers */
/* What is read into can be written. */
#include <crossvm/crossvm.h>

struct config {
    uint32_t rate;
};

extern int get_rate(const struct crossvm_bytes_reader *reader, uint32_t *rate,
                    const uint32_t *constant);

int get_rate(const struct crossvm_bytes_reader *reader, uint32_t *rate, const uint32_t *constant)
{
    (void)rate;
    (void)constant;
#if defined(CROSSVM_NEGATIVE_CONTROL)
    return CROSSVM_BYTES_READ_FIELD(reader, 0, struct config, rate, rate);
#else
    return CROSSVM_BYTES_READ_FIELD(reader, 0, struct config, rate, constant);
#endif
}
