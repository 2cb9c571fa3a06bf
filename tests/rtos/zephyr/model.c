/* SPDX-License-Identifier: Apache-2.0 */
/* tests/rtos/zephyr/model.c - the guests of model.h. */
#include "model.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct model model;

static _Alignas(65536) unsigned char memory[MODEL_MEMORY];
static _Alignas(65536) unsigned char sections[MODEL_GUESTS + 1][MODEL_SECTION];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t raised;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool ordered; /* a barrier stood there, and no ring since */
static unsigned n_rings;

/* ---- the clock ----------------------------------------------------------------------------- */

static const int64_t hz = CONFIG_SYS_CLOCK_TICKS_PER_SEC;

int64_t k_uptime_ticks(void)
{
    struct timespec now;
    if (model.by_hand) {
        return model.ticks;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * hz + now.tv_nsec * hz / 1000000000;
}

uint64_t k_cycle_get_64(void)
{
    return (uint64_t)k_uptime_ticks() * 1000;
}

uint32_t k_cycle_get_32(void)
{
    return (uint32_t)k_cycle_get_64();
}

unsigned int sys_clock_hw_cycles_per_sec(void)
{
    return (unsigned)hz * 1000;
}

static struct timespec at(int64_t ticks)
{
    struct timespec time;
    time.tv_sec = (time_t)(ticks / hz);
    time.tv_nsec = (long)(ticks % hz * 1000000000 / hz + 1);
    return time;
}

int32_t k_sleep(k_timeout_t timeout)
{
    if (model.by_hand) {
        model.ticks += (int64_t)timeout.ticks;
        model.slept += (int64_t)timeout.ticks;
        return 0;
    }
    struct timespec until = at(k_uptime_ticks() + (int64_t)timeout.ticks);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    return 0;
}

/* ---- signals ------------------------------------------------------------------------------- */

static void make_condition(void)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&raised, &attributes);
}

void k_poll_signal_init(struct k_poll_signal *sig)
{
    sig->signaled = 0;
    sig->result = 0;
}

void k_poll_signal_reset(struct k_poll_signal *sig)
{
    (void)pthread_mutex_lock(&lock);
    sig->signaled = 0;
    (void)pthread_mutex_unlock(&lock);
}

int k_poll_signal_raise(struct k_poll_signal *sig, int result)
{
    (void)pthread_once(&once, make_condition);
    (void)pthread_mutex_lock(&lock);
    sig->signaled = 1;
    sig->result = result;
    (void)pthread_cond_broadcast(&raised);
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

void k_poll_event_init(struct k_poll_event *event, uint32_t type, int mode, void *obj)
{
    event->type = type;
    event->mode = mode;
    event->obj = obj;
}

/* By hand nothing happens while one sleeps, but what the test has prepared. */
static int poll_by_hand(const struct k_poll_signal *sig, k_timeout_t timeout)
{
    bool forever = timeout.ticks == K_TICKS_FOREVER;
    if (sig->signaled == 0 && timeout.ticks != 0 && model.during != NULL) {
        void (*during)(void) = model.during;
        if (model.after != 0) {
            model.after--;
        } else {
            model.during = NULL;
            during();
        }
    }
    if (sig->signaled != 0) {
        return 0;
    }
    if (forever) {
        printf("a poll without an end, and nobody rings\n");
        return -EIO;
    }
    model.ticks += (int64_t)timeout.ticks;
    model.slept += (int64_t)timeout.ticks;
    return -EAGAIN;
}

static int poll_for_real(const struct k_poll_signal *sig, k_timeout_t timeout)
{
    struct timespec until = at(k_uptime_ticks() + (int64_t)timeout.ticks);
    int error = 0;
    (void)pthread_once(&once, make_condition);
    (void)pthread_mutex_lock(&lock);
    while (sig->signaled == 0 && error == 0) {
        error = timeout.ticks == K_TICKS_FOREVER ? pthread_cond_wait(&raised, &lock)
                                                 : pthread_cond_timedwait(&raised, &lock, &until);
    }
    int answer = sig->signaled != 0 ? 0 : -EAGAIN;
    (void)pthread_mutex_unlock(&lock);
    return answer;
}

int k_poll(struct k_poll_event *events, int num_events, k_timeout_t timeout)
{
    const struct k_poll_signal *sig = (const struct k_poll_signal *)events[0].obj;
    if (num_events != 1 || events[0].type != K_POLL_TYPE_SIGNAL ||
        events[0].mode != K_POLL_MODE_NOTIFY_ONLY) {
        return -EINVAL;
    }
    if (!model.by_hand) {
        return poll_for_real(sig, timeout);
    }
    model.n_polls++;
    model.n_forever += timeout.ticks == K_TICKS_FOREVER ? 1u : 0u;
    return model.poll_answer != 0 ? model.poll_answer : poll_by_hand(sig, timeout);
}

/* ---- devices ------------------------------------------------------------------------------- */

static struct model_guest *guest_of(const struct device *dev)
{
    return (struct model_guest *)dev->data;
}

bool device_is_ready(const struct device *dev)
{
    return guest_of(dev)->ready;
}

static void interrupt(struct model_guest *guest, uint16_t vector)
{
    bool hears = !guest->v2 || guest->enabled;
    if (hears && vector < guest->n_vectors && guest->signals[vector] != NULL) {
        (void)k_poll_signal_raise(guest->signals[vector], (int)vector);
    }
}

size_t ivshmem_get_mem(const struct device *dev, uintptr_t *memmap)
{
    /* On ivshmem-v2 what begins there is the table of states. */
    *memmap = guest_of(dev)->v2 ? (uintptr_t)model.states : (uintptr_t)memory;
    return guest_of(dev)->v2 ? sizeof(model.states) : sizeof(memory);
}

uint32_t ivshmem_get_id(const struct device *dev)
{
    const struct model_guest *guest = guest_of(dev);
    return guest->n_vectors == 0 && !guest->v2 ? 0 : guest->id;
}

uint16_t ivshmem_get_vectors(const struct device *dev)
{
    return guest_of(dev)->n_vectors;
}

int ivshmem_int_peer(const struct device *dev, uint32_t peer_id, uint16_t vector)
{
    struct model_guest *guest = guest_of(dev);
    if (guest->int_peer_answer != 0) {
        return guest->int_peer_answer;
    }
    if (vector >= guest->n_vectors || (guest->v2 && peer_id >= MODEL_GUESTS)) {
        return -EINVAL;
    }
    uint32_t word = peer_id << 16 | vector;
    (void)pthread_mutex_lock(&lock);
    guest->n_rung++;
    guest->n_unordered += ordered ? 0u : 1u;
    bool lost = model.lose != 0 && ++n_rings % model.lose == 0;
    (void)pthread_mutex_unlock(&lock);
    ordered = false;
    for (unsigned i = 0; i < MODEL_GUESTS && !lost; i++) {
        if (model.guests[i].id == word >> 16) {
            interrupt(&model.guests[i], (uint16_t)(word & 0xffffu));
        }
    }
    return 0;
}

int ivshmem_register_handler(const struct device *dev, struct k_poll_signal *signal,
                             uint16_t vector)
{
    struct model_guest *guest = guest_of(dev);
    if (guest->register_answer != 0) {
        return guest->register_answer;
    }
    if (vector >= guest->n_vectors) {
        return -EINVAL;
    }
    guest->signals[vector] = signal;
    if (guest->rings_at_once) {
        interrupt(guest, vector);
    }
    return 0;
}

void model_barrier(void)
{
    ordered = true;
}

/* ---- ivshmem-v2 ---------------------------------------------------------------------------- */

#if defined(CONFIG_IVSHMEM_V2)
size_t ivshmem_get_rw_mem_section(const struct device *dev, uintptr_t *memmap)
{
    if (!guest_of(dev)->v2) {
        return 0;
    }
    *memmap = (uintptr_t)sections[MODEL_GUESTS];
    return MODEL_SECTION;
}

size_t ivshmem_get_output_mem_section(const struct device *dev, uint32_t peer_id, uintptr_t *memmap)
{
    if (!guest_of(dev)->v2 || peer_id >= MODEL_GUESTS) {
        return 0;
    }
    *memmap = (uintptr_t)sections[peer_id];
    return MODEL_SECTION;
}

uint32_t ivshmem_get_state(const struct device *dev, uint32_t peer_id)
{
    return guest_of(dev)->v2 && peer_id < MODEL_GUESTS ? model.states[peer_id] : 0;
}

/* Who sees a state change: every other peer, by its vector 0. */
static void change(uint32_t guest, uint32_t state)
{
    bool other = model.states[guest] != state;
    model.states[guest] = state;
    for (uint32_t i = 0; i < MODEL_GUESTS && other; i++) {
        if (i != guest) {
            interrupt(&model.guests[i], 0);
        }
    }
}

int ivshmem_set_state(const struct device *dev, uint32_t state)
{
    if (!guest_of(dev)->v2) {
        return -ENOSYS;
    }
    change(guest_of(dev)->id, state);
    return 0;
}

uint32_t ivshmem_get_max_peers(const struct device *dev)
{
    return guest_of(dev)->v2 ? MODEL_GUESTS : 0;
}

int ivshmem_enable_interrupts(const struct device *dev, bool enable)
{
    if (!guest_of(dev)->v2) {
        return -ENOSYS;
    }
    guest_of(dev)->enabled = enable;
    return 0;
}

void model_reset(uint32_t guest)
{
    change(guest, 0);
}
#endif

void model_start(uint16_t n_vectors, bool v2)
{
    static const char *const names[MODEL_GUESTS] = {"ivshmem0", "ivshmem1", "ivshmem2"};
    memset(&model, 0, sizeof(model));
    memset(memory, 0, sizeof(memory));
    memset(sections, 0, sizeof(sections));
    n_rings = 0;
    for (uint32_t i = 0; i < MODEL_GUESTS; i++) {
        model.guests[i].device.name = names[i];
        model.guests[i].device.data = &model.guests[i];
        model.guests[i].ready = true;
        model.guests[i].v2 = v2;
        model.guests[i].id = i;
        model.guests[i].n_vectors = n_vectors;
    }
}
