/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - memory and doorbells of machines and of host processes beside them. */
#include "place.h"

#include <string.h>

/* What stands behind a prefix; NULL if it is another one. */
static const char *behind(const char *where, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(where, prefix, len) == 0 ? where + len : NULL;
}

/* ---- memory ------------------------------------------------------------------------------- */

static int open_file(struct place *place, const char *path, enum crossvm_mapping_access access)
{
    struct stat stat;
    int fd = open(path, (access == CROSSVM_READ_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        return CROSSVM_SYSTEM;
    }
    int prot = access == CROSSVM_READ_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    void *base = mmap(NULL, (size_t)stat.st_size, prot, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (base == MAP_FAILED) {
        return CROSSVM_SYSTEM;
    }
    place->mapping.base = base;
    place->mapping.len = (uint64_t)stat.st_size;
    place->mapping.access = (uint32_t)access;
    return crossvm_mapping_examine(&place->mapping, CROSSVM_WRITE_BACK, &place->examination);
}

int place_open(struct place *place, const char *where, enum crossvm_mapping_access access)
{
    struct crossvm_ivshmem_pci pci;
    const char *slot = behind(where, "pci:");
    const char *path = behind(where, "file:");
    memset(place, 0, sizeof(*place));
    if (path != NULL) {
        return open_file(place, path, access);
    }
    if (slot == NULL) {
        return CROSSVM_INVALID;
    }
    int status = crossvm_ivshmem_pci_open(&pci, slot, access);
    place->mapping = pci.mapping;
    place->examination = pci.examination;
    return status;
}

void place_close(struct place *place)
{
    if (place->mapping.base != NULL) {
        (void)munmap(place->mapping.base, (size_t)place->mapping.len);
        place->mapping.base = NULL;
    }
}

/* ---- doorbells ---------------------------------------------------------------------------- */

static void hang_vfio(struct place_bell *bell, struct crossvm_notify *notify)
{
    crossvm_notify_ivshmem_vfio(notify, &bell->vfio);
}

static void hang_uio(struct place_bell *bell, struct crossvm_notify *notify)
{
    crossvm_notify_ivshmem_uio(notify, &bell->uio);
}

static void hang_client(struct place_bell *bell, struct crossvm_notify *notify)
{
    crossvm_notify_eventfd(notify, &bell->client.bells);
}

static uint64_t now(void *context)
{
    (void)context;
    return crossvm_posix_now();
}

/* The other threads of this machine want the processor, too. */
static void relax(void *context)
{
    const struct timespec moment = {0, 50000};
    (void)context;
    (void)nanosleep(&moment, NULL);
}

static void hang_none(struct place_bell *bell, struct crossvm_notify *notify)
{
    crossvm_notify_polling(notify, &bell->polling);
}

static int open_server(struct place_bell *bell, const char *path, uint32_t n)
{
    const struct crossvm_ivshmem_client_config config = {path, CROSSVM_READ_ONLY, bell->own,
                                                         n,    bell->routes,      PLACE_ROUTES};
    bell->hang = hang_client;
    int status = crossvm_ivshmem_client_open(&bell->client, &config,
                                             crossvm_posix_now() + 10000ull * DEMO_MS);
    bell->id = bell->client.id;
    return status;
}

int place_bell_open(struct place_bell *bell, const char *where, uint32_t n)
{
    const char *vfio = behind(where, "vfio:");
    const char *uio = behind(where, "uio:");
    const char *server = behind(where, "server:");
    int status = CROSSVM_INVALID;
    memset(bell, 0, sizeof(*bell));
    if (vfio != NULL) {
        bell->hang = hang_vfio;
        status = crossvm_ivshmem_vfio_open(&bell->vfio, vfio, CROSSVM_READ_ONLY, bell->own, n);
        bell->id = bell->vfio.id;
    } else if (uio != NULL) {
        bell->hang = hang_uio;
        status = crossvm_ivshmem_uio_open(&bell->uio, uio, CROSSVM_READ_ONLY, bell->own, n);
        bell->id = bell->uio.id;
    } else if (server != NULL) {
        status = open_server(bell, server, n);
    } else if (strcmp(where, "none") == 0) {
        bell->is_none = true;
        bell->polling.now = now;
        bell->polling.relax = relax;
        bell->hang = hang_none;
        status = CROSSVM_OK;
    }
    if (status != CROSSVM_OK) {
        bell->hang = NULL;
    }
    return status;
}

void place_bell_close(struct place_bell *bell)
{
    if (bell->hang == hang_vfio) {
        crossvm_ivshmem_vfio_close(&bell->vfio);
    } else if (bell->hang == hang_uio) {
        crossvm_ivshmem_uio_close(&bell->uio);
    } else if (bell->hang == hang_client) {
        crossvm_ivshmem_client_close(&bell->client);
    }
    bell->hang = NULL;
}

/* A device does not say who is there; a server does. */
bool place_bell_reaches(struct place_bell *bell, uint32_t peer)
{
    struct crossvm_ivshmem_change change;
    uint32_t n_vectors = 0;
    if (bell->hang != hang_client) {
        return true;
    }
    while (crossvm_ivshmem_client_step(&bell->client, &change) == CROSSVM_OK) {
    }
    for (uint32_t i = 0; i < bell->client.bells.n_routes; i++) {
        n_vectors += bell->client.bells.routes[i].peer == peer;
    }
    return n_vectors >= N_BELLS;
}
