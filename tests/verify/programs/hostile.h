/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that stores anything into one or two of the words that it may write. Its stores are
 * relaxed: the other side may see those to two words in any order. Everything that the other side
 * does is watched.
 *
 *   RACED, ALSO  the words, as fields of the peer's part
 *   FEW          by fewer values
 *   MORE         one more value for each
 *   CALL, THEN   the other side's two calls, by the names that HOSTILE_CALL gives
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "watch.h"

#define HOSTILE_CALL(name) static __attribute__((__unused__)) void call_##name(void)
#define HOSTILE_DO_2(name) call_##name()
#define HOSTILE_DO(name)   HOSTILE_DO_2(name)

/* Values that are wrong for most words and right for some, and at last what was there at first.
 * own: the other side's index. */
static inline void hostile_stores(struct crossvm_le32 *word, uint32_t own, uint32_t capacity)
{
    uint32_t honest = crossvm_load_relaxed(word);
    crossvm_store_relaxed(word, own - 1);
    crossvm_store_relaxed(word, capacity + 1);
#if !defined(FEW)
    crossvm_store_relaxed(word, 0);
    crossvm_store_relaxed(word, 0x7fffffffu);
    crossvm_store_relaxed(word, 1);
#endif
    crossvm_store_relaxed(word, 0xffffffffu);
#if defined(MORE)
    crossvm_store_relaxed(word, MORE);
#endif
    crossvm_store_relaxed(word, honest);
}

#endif
