/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for task.h of FreeRTOS: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_FREERTOS_TASK_H
#define STAND_IN_FREERTOS_TASK_H

#include <FreeRTOS.h>

typedef struct xTIME_OUT {
    BaseType_t xOverflowCount;
    TickType_t xTimeOnEntering;
} TimeOut_t;

void vTaskSetTimeOutState(TimeOut_t *const pxTimeOut);

#endif
