/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for errno.h of QNX: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_QNX_ERRNO_H
#define STAND_IN_QNX_ERRNO_H

extern int errno;

#define ETIMEDOUT 260

#endif
