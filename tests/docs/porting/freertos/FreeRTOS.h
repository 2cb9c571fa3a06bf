/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for FreeRTOS.h of FreeRTOS, with a tick of 32 bits: the declarations that
 * docs/PORTING.md uses, as the system documents them. For compiling only. */
#ifndef STAND_IN_FREERTOS_FREERTOS_H
#define STAND_IN_FREERTOS_FREERTOS_H

#include <stddef.h>
#include <stdint.h>

typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef uint32_t TickType_t;

#define pdFALSE               ((BaseType_t)0)
#define pdTRUE                ((BaseType_t)1)
#define portMAX_DELAY         ((TickType_t)0xffffffffu)
#define configTICK_RATE_HZ    ((TickType_t)1000)
#define portYIELD_FROM_ISR(x) ((void)(x))

#endif
