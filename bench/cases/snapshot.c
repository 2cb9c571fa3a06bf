/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/cases/snapshot.c - this library's snapshot as it is built by default: payload is copied by
 * the assembly of copy.h.
 */
#define OWN_NAME "crossvm"
#include "../own_snapshot.h"
