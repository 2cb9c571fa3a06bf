/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for semphr.h of FreeRTOS: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_FREERTOS_SEMPHR_H
#define STAND_IN_FREERTOS_SEMPHR_H

#include <FreeRTOS.h>

typedef struct QueueDefinition *SemaphoreHandle_t;

BaseType_t xSemaphoreTake(SemaphoreHandle_t xSemaphore, TickType_t xTicksToWait);
BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t xSemaphore,
                                 BaseType_t *pxHigherPriorityTaskWoken);

#endif
