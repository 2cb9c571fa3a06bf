/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the two functions that a compiler may call for the library's headers. Firmware that
 * has a C library has them.
 */
#include <stddef.h>

void *memcpy(void *dst, const void *src, size_t len);
void *memset(void *dst, int value, size_t len);

/* Compilers know loops that copy, and would call this very function for them: not with this. */
#define NO_IDIOM() __asm__ volatile("" ::: "memory")

void *memcpy(void *dst, const void *src, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;
    for (size_t i = 0; i < len; i++) {
        to[i] = from[i];
        NO_IDIOM();
    }
    return dst;
}

void *memset(void *dst, int value, size_t len)
{
    unsigned char *to = (unsigned char *)dst;
    for (size_t i = 0; i < len; i++) {
        to[i] = (unsigned char)value;
        NO_IDIOM();
    }
    return dst;
}
