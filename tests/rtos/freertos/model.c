/* SPDX-License-Identifier: Apache-2.0 */
/* tests/rtos/freertos/model.c - the kernel of model.h. */
#include "model.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct model model;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const uint64_t hz = STAND_IN_TICK_RATE;

static void make_condition(void)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&given, &attributes);
}

static uint64_t ticks_now(void)
{
    struct timespec now;
    if (model.by_hand) {
        return model.ticks;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000u;
}

static struct timespec at(uint64_t ticks)
{
    struct timespec time;
    time.tv_sec = (time_t)(ticks / hz);
    time.tv_nsec = (long)(ticks % hz * 1000000000u / hz);
    return time;
}

void vTaskSetTimeOutState(TimeOut_t *const pxTimeOut)
{
    uint64_t ticks = ticks_now();
    unsigned half = 4 * (unsigned)sizeof(TickType_t);
    pxTimeOut->xOverflowCount = (BaseType_t)(ticks >> half >> half);
    pxTimeOut->xTimeOnEntering = (TickType_t)ticks;
}

void vTaskDelay(const TickType_t xTicksToDelay)
{
    if (model.by_hand) {
        model.ticks += xTicksToDelay;
        return;
    }
    struct timespec until = at(ticks_now() + xTicksToDelay);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

SemaphoreHandle_t xSemaphoreCreateBinaryStatic(StaticSemaphore_t *pxSemaphoreBuffer)
{
    pxSemaphoreBuffer->uxMessagesWaiting = 0;
    return pxSemaphoreBuffer;
}

BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t xSemaphore,
                                 BaseType_t *pxHigherPriorityTaskWoken)
{
    (void)pthread_once(&once, make_condition);
    (void)pthread_mutex_lock(&lock);
    BaseType_t was = xSemaphore->uxMessagesWaiting == 0 ? pdTRUE : pdFALSE;
    xSemaphore->uxMessagesWaiting = 1;
    *pxHigherPriorityTaskWoken = pdTRUE;
    (void)pthread_cond_broadcast(&given);
    (void)pthread_mutex_unlock(&lock);
    return was;
}

/* By hand nothing happens while one sleeps, but what the test has prepared. */
static BaseType_t take_by_hand(SemaphoreHandle_t semaphore, TickType_t ticks)
{
    model.n_takes++;
    model.n_forever += ticks == portMAX_DELAY ? 1u : 0u;
    if (semaphore->uxMessagesWaiting == 0 && ticks != 0 && model.during != NULL) {
        void (*during)(void) = model.during;
        if (model.after != 0) {
            model.after--;
        } else {
            model.during = NULL;
            during();
        }
    }
    if (semaphore->uxMessagesWaiting != 0) {
        semaphore->uxMessagesWaiting = 0;
        return pdTRUE;
    }
    model.ticks += ticks;
    return pdFALSE;
}

BaseType_t xSemaphoreTake(SemaphoreHandle_t xSemaphore, TickType_t xTicksToWait)
{
    struct timespec until = at(ticks_now() + xTicksToWait);
    int error = 0;
    if (model.by_hand) {
        return take_by_hand(xSemaphore, xTicksToWait);
    }
    (void)pthread_once(&once, make_condition);
    (void)pthread_mutex_lock(&lock);
    while (xSemaphore->uxMessagesWaiting == 0 && error == 0) {
        error = xTicksToWait == portMAX_DELAY ? pthread_cond_wait(&given, &lock)
                                              : pthread_cond_timedwait(&given, &lock, &until);
    }
    BaseType_t taken = xSemaphore->uxMessagesWaiting != 0 ? pdTRUE : pdFALSE;
    xSemaphore->uxMessagesWaiting = 0;
    (void)pthread_mutex_unlock(&lock);
    return taken;
}
