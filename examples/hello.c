/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - a writer publishes a state; a reader sees it in memory that it cannot write. */
#include <crossvm/backend/memfd.h>
#include <crossvm/crossvm.h>
#include <err.h>
#define MUST(call) ((call) < 0 ? err(1, "%s", #call) : (void)0)

int main(void)
{
    struct crossvm_chunk_decl decl = {"engine", CROSSVM_KIND_SNAPSHOT, 4, sizeof(int), 1, 2, 0, 0};
    struct crossvm_region_plan plan = {.chunks = &decl, .n_chunks = 1, .owner = 1};
    struct crossvm_memfd memory;
    struct crossvm_chunk chunk;
    int sockets[2], rpm;
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets));
    if (fork() == 0) { /* The writer, party 1: makes the memory and hands it over read-only. */
        struct crossvm_region_owner owner;
        struct crossvm_snapshot_writer out;
        MUST(crossvm_memfd_create(&memory, "hello", 65536));
        MUST(crossvm_region_owner_format(&owner, &memory.mapping, &plan, &chunk, 1));
        MUST(crossvm_snapshot_writer_open(&out, &owner.region, &chunk));
        MUST(crossvm_memfd_send(sockets[1], &memory.fd, 1));
        for (rpm = 1000; rpm <= 1900; rpm += 100, usleep(50000))
            MUST(crossvm_snapshot_writer_publish(&out, &rpm, sizeof(rpm), crossvm_posix_now(), 0));
        return 0;
    }
    struct crossvm_region region; /* The reader, party 2: looks every 3 ms until the writer ends. */
    struct crossvm_snapshot_reader in;
    struct crossvm_snapshot_info info;
    MUST(close(sockets[1]));
    MUST(crossvm_memfd_receive(sockets[0], &memory.fd, 1));
    MUST(crossvm_memfd_open(&memory, memory.fd));
    MUST(crossvm_region_attach(&region, &memory.mapping, 2));
    MUST(crossvm_region_find(&region, "engine", CROSSVM_KIND_SNAPSHOT, 0, &chunk));
    MUST(crossvm_snapshot_reader_open(&in, &region, &chunk));
    for (; recv(sockets[0], &rpm, 1, MSG_DONTWAIT) != 0; usleep(3000))
        if (crossvm_snapshot_reader_read(&in, &rpm, sizeof(rpm), &info) == 1)
            printf("version %2d: %4d rpm, %.2f ms old\n", (int)info.version, rpm,
                   (double)(crossvm_posix_now() - info.sampled_ns) / 1e6);
}
