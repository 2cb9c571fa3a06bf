/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for task.h of FreeRTOS: the declarations that this project uses, as the system
 * documents them. */
#ifndef STAND_IN_FREERTOS_TASK_H
#define STAND_IN_FREERTOS_TASK_H

#include <FreeRTOS.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xTIME_OUT {
    BaseType_t xOverflowCount;
    TickType_t xTimeOnEntering;
} TimeOut_t;

void vTaskSetTimeOutState(TimeOut_t *const pxTimeOut);
void vTaskDelay(const TickType_t xTicksToDelay);

#ifdef __cplusplus
}
#endif

#endif
