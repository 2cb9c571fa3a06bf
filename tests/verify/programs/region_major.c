/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.c with another format major than 0, which the reader copies: it is never the 0 of a header
 * that is being cleared. (A header's first two lines lose their word 1 before all else, because an
 * epoch may lie there; word 1 of the first one is the format major.)
 */
#include <crossvm/version.h>

#undef CROSSVM_FORMAT_MAJOR
#define CROSSVM_FORMAT_MAJOR 1u
#define MAJOR
#include "region.c"
