/* SPDX-License-Identifier: Apache-2.0 */
/*
 * examples/kernel/crossvm_chardev.h - what read() of /dev/crossvm-snapshot gives: this, and then
 * `len` bytes of payload. For programs and for the module.
 */
#ifndef CROSSVM_CHARDEV_H
#define CROSSVM_CHARDEV_H

#include <linux/types.h>

struct crossvm_chardev_record {
    __u64 version;      /* 1 for the first one that was published; it only grows */
    __u64 sampled_ns;   /* when the state was taken, by the producer's clock, 0 = not given */
    __u64 published_ns; /* when it was published, by the same clock, 0 = not given */
    __u64 missed;   /* versions between the last one read through this file and this one; first 0 */
    __u32 len;      /* bytes of payload */
    __u32 reserved; /* 0 */
};

#endif
