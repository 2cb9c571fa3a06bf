/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for semphr.h of FreeRTOS: the declarations that this project uses, as the system
 * documents them. */
#ifndef STAND_IN_FREERTOS_SEMPHR_H
#define STAND_IN_FREERTOS_SEMPHR_H

#include <FreeRTOS.h>

#ifdef __cplusplus
extern "C" {
#endif

struct QueueDefinition {
    UBaseType_t uxMessagesWaiting;
};
typedef struct QueueDefinition *SemaphoreHandle_t;
typedef struct QueueDefinition StaticSemaphore_t;

SemaphoreHandle_t xSemaphoreCreateBinaryStatic(StaticSemaphore_t *pxSemaphoreBuffer);
BaseType_t xSemaphoreTake(SemaphoreHandle_t xSemaphore, TickType_t xTicksToWait);
BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t xSemaphore,
                                 BaseType_t *pxHigherPriorityTaskWoken);

#ifdef __cplusplus
}
#endif

#endif
