/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for FreeRTOS.h of FreeRTOS: the declarations that this project uses, as the system
 * documents them (what are macros there are functions here). tests/rtos/freertos/model.c is what
 * they do on a host. */
#ifndef STAND_IN_FREERTOS_FREERTOS_H
#define STAND_IN_FREERTOS_FREERTOS_H

#include <stddef.h>
#include <stdint.h>

typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef uint32_t StackType_t;

/* A tick of 32 bits, or what the test says. */
#if !defined(STAND_IN_TICK_BITS) || STAND_IN_TICK_BITS == 32
typedef uint32_t TickType_t;
#define portMAX_DELAY ((TickType_t)0xffffffffu)
#elif STAND_IN_TICK_BITS == 16
typedef uint16_t TickType_t;
#define portMAX_DELAY ((TickType_t)0xffffu)
#else
typedef uint64_t TickType_t;
#define portMAX_DELAY ((TickType_t)0xffffffffffffffffu)
#endif
#if !defined(STAND_IN_TICK_RATE)
#define STAND_IN_TICK_RATE 1000
#endif
#define configTICK_RATE_HZ ((TickType_t)STAND_IN_TICK_RATE)

#define pdFALSE               ((BaseType_t)0)
#define pdTRUE                ((BaseType_t)1)
#define portYIELD_FROM_ISR(x) ((void)(x))

#endif
