/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/version.h - which library this is, and which bytes it speaks.
 *
 * Layer 0. No roles, no shared bytes.
 *
 * The library version says what the source offers. The format version says what the bytes in
 * shared memory mean: two programs built from different library versions work together when
 * their format majors are equal. Major 0 is the draft: it may still change (docs/FORMAT.md).
 */
#ifndef CROSSVM_VERSION_H
#define CROSSVM_VERSION_H

#define CROSSVM_VERSION_MAJOR  0       /* the library's */
#define CROSSVM_VERSION_MINOR  1       /* the library's */
#define CROSSVM_VERSION_PATCH  0       /* the library's */
#define CROSSVM_VERSION_STRING "0.1.0" /* all three */

#define CROSSVM_FORMAT_MAJOR 0u /* another one refuses attach */
#define CROSSVM_FORMAT_MINOR 1u /* informative: feature bits govern meaning */

#endif
