/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/snapshot_strict.c - this library's snapshot with CROSSVM_STRICT_C11: payload is
 * copied by relaxed atomic words, free of races under C11.
 */
#define CROSSVM_STRICT_C11
#define OWN_NAME "crossvm-strict"
#include "../own_snapshot.h"
