/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/system/doorbell.h - the doorbells of one machine or process by any of the backends, and a
 * common way to end. Programs of the system tests include it first.
 */
#ifndef DOORBELL_H
#define DOORBELL_H

#include <crossvm/backend/ivshmem_client.h>
#include <crossvm/backend/ivshmem_uio.h>
#include <crossvm/backend/ivshmem_vfio.h>
#include <crossvm/crossvm.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_VECTORS 8u
#define SECOND_NS 1000000000ull
#define LIMIT_NS  (120 * SECOND_NS) /* guards against hanging */

/* A backend of either kind, behind one notify. */
struct doorbell {
    struct crossvm_notify notify;
    struct crossvm_ivshmem_vfio vfio;
    struct crossvm_ivshmem_uio uio;
    struct crossvm_ivshmem_client client;
    struct crossvm_eventfd_route routes[4 * N_VECTORS];
    int own[N_VECTORS];
    uint32_t id;
};

__attribute__((format(printf, 1, 2))) static inline _Noreturn void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("failed: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

/* A status that must be no failure. */
static inline int must(int status, const char *what)
{
    if (status < 0) {
        give_up("%s: %s%s%s", what, crossvm_status_name(status),
                status == CROSSVM_SYSTEM ? ": " : "",
                status == CROSSVM_SYSTEM ? strerror(errno) : "");
    }
    return status;
}

static inline void say_examination(const struct crossvm_examination *examination)
{
    char text[CROSSVM_EXAMINATION_LEN];
    crossvm_examination_text(examination, text, sizeof(text));
    printf("memory: %s\n", text);
}

/* backend: vfio or uio with a slot, client with the path of the server's socket. */
static inline void doorbell_open(struct doorbell *bell, const char *backend, const char *where)
{
    memset(bell, 0, sizeof(*bell));
    if (strcmp(backend, "vfio") == 0) {
        must(crossvm_ivshmem_vfio_open(&bell->vfio, where, CROSSVM_READ_ONLY, bell->own, N_VECTORS),
             where);
        crossvm_notify_ivshmem_vfio(&bell->notify, &bell->vfio);
        bell->id = bell->vfio.id;
        say_examination(&bell->vfio.examination);
    } else if (strcmp(backend, "uio") == 0) {
        must(crossvm_ivshmem_uio_open(&bell->uio, where, CROSSVM_READ_ONLY, bell->own, N_VECTORS),
             where);
        crossvm_notify_ivshmem_uio(&bell->notify, &bell->uio);
        bell->id = bell->uio.id;
        say_examination(&bell->uio.examination);
    } else if (strcmp(backend, "client") == 0) {
        const struct crossvm_ivshmem_client_config config = {
            where, CROSSVM_READ_ONLY, bell->own, N_VECTORS, bell->routes, 4 * N_VECTORS};
        must(crossvm_ivshmem_client_open(&bell->client, &config, crossvm_posix_now() + LIMIT_NS),
             where);
        crossvm_notify_eventfd(&bell->notify, &bell->client.bells);
        bell->id = bell->client.id;
    } else {
        fprintf(stderr, "%s: expected vfio, uio or client\n", backend);
        exit(2);
    }
    printf("id %u\n", (unsigned)bell->id);
}

/* A host process learns who is there; a guest's device needs no such thing. */
static inline void doorbell_learn(struct doorbell *bell)
{
    struct crossvm_ivshmem_change change;
    if (bell->client.own != NULL) {
        while (crossvm_ivshmem_client_step(&bell->client, &change) == CROSSVM_OK) {
        }
    }
}

#endif
