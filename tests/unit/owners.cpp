/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/owners.cpp - owners of memory and descriptors: each thing is released once, at its
 * owner's end or when the owner takes another one, and moving releases nothing.
 */
#include <crossvm/backend/eventfd.h>
#include <crossvm/backend/owners.hpp>

#include "../support/queue.h"

#include <sys/socket.h>

#include <type_traits>
#include <utility>

namespace
{

using crossvm::descriptor;
using crossvm::memfd;
using crossvm::shm;

template <class Owner> constexpr bool moves_only()
{
    return !std::is_copy_constructible_v<Owner> && !std::is_copy_assignable_v<Owner> &&
           std::is_nothrow_move_constructible_v<Owner> && std::is_nothrow_move_assignable_v<Owner>;
}

static_assert(moves_only<descriptor>() && moves_only<memfd>() && moves_only<shm>());
static_assert(sizeof(descriptor) == sizeof(int) && sizeof(memfd) == sizeof(crossvm_memfd) &&
              sizeof(shm) == sizeof(crossvm_mapping));

const uint64_t one_page = 4096;

bool is_mapped(const void *base)
{
    return msync(const_cast<void *>(base), one_page, MS_ASYNC) == 0;
}

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Many moves of an owner into a new place, back, and onto itself, leave what it has alone. */
template <class Owner> void move_about(Owner &owner)
{
    Owner other(std::move(owner));
    Owner third;
    third = std::move(other);
    Owner &same = third;
    third = std::move(same);
    owner = std::move(third);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

void a_descriptor_is_closed_once()
{
    unsigned n_fds = test_n_fds();
    int fd;
    {
        descriptor bell(crossvm_eventfd_create());
        fd = bell.get();
        CHECK(fd >= 0 && is_open(fd));
        move_about(bell);
        CHECK_EQ(bell.get(), fd);
        CHECK(is_open(fd));
        bell = descriptor(crossvm_eventfd_create());
        CHECK(!is_open(fd));
        CHECK_EQ(test_n_fds(), n_fds + 1);
        fd = bell.release();
        CHECK_EQ(bell.get(), -1);
    }
    CHECK(is_open(fd));
    REQUIRE(close(fd) == 0);
    CHECK_EQ(test_n_fds(), n_fds);
}

/* A program without standard input gets 0 like any other number. */
void descriptor_0_is_a_descriptor()
{
    REQUIRE(dup2(STDOUT_FILENO, 0) == 0);
    {
        descriptor zero(0);
        move_about(zero);
        CHECK(is_open(0));
    }
    CHECK(!is_open(0));
}

/* A status in a descriptor's place is nothing to close. */
void a_status_is_an_empty_descriptor()
{
    descriptor failed(CROSSVM_SYSTEM);
    CHECK_EQ(failed.get(), CROSSVM_SYSTEM);
    errno = 0;
    failed = descriptor();
    CHECK_EQ(failed.get(), -1);
    CHECK_EQ(errno, 0);
}

/* ---- memfd ----------------------------------------------------------------------------------- */

void memory_is_released_at_the_end()
{
    unsigned n_fds = test_n_fds();
    const void *first;
    const void *second;
    {
        memfd memory;
        CHECK(memory.fd == -1 && memory.mapping.base == nullptr);
        REQUIRE(memory.create("owners", one_page) == CROSSVM_OK);
        first = memory.mapping.base;
        CHECK(is_mapped(first));
        CHECK_EQ(test_n_fds(), n_fds + 1);
        move_about(memory);
        CHECK(memory.mapping.base == first && memory.fd >= 0 && is_mapped(first));
        CHECK_EQ(memory.mapping.len, one_page);

        /* Kept while the next one is made, which takes its place. */
        memfd next;
        REQUIRE(next.create("owners", one_page) == CROSSVM_OK);
        second = next.mapping.base;
        memory = std::move(next);
        CHECK(next.fd == -1 && next.mapping.base == nullptr);
        CHECK(!is_mapped(first) && is_mapped(second));
        CHECK_EQ(test_n_fds(), n_fds + 1);
    }
    CHECK(!is_mapped(second));
    CHECK_EQ(test_n_fds(), n_fds);
}

void opening_releases_what_was_held()
{
    unsigned n_fds = test_n_fds();
    memfd memory;
    REQUIRE(memory.create("owners", 16 * one_page) == CROSSVM_OK);
    REQUIRE(memory.create("owners", one_page) == CROSSVM_OK);
    CHECK_EQ(memory.mapping.len, one_page);
    CHECK_EQ(test_n_fds(), n_fds + 1);
    CHECK_EQ(memory.create("owners", 0), CROSSVM_SYSTEM);
    CHECK_EQ(errno, EFBIG);
    CHECK(memory.fd == -1 && memory.mapping.base == nullptr);
    CHECK_EQ(test_n_fds(), n_fds);
}

/* What was received belongs to the memory, or to nobody. */
void received_memory_takes_its_descriptor()
{
    unsigned n_fds = test_n_fds();
    memfd ours;
    memfd theirs;
    int sockets[2];
    int fd;
    REQUIRE(ours.create("owners", one_page) == CROSSVM_OK);
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0);
    descriptor out(sockets[0]);
    descriptor in(sockets[1]);
    REQUIRE(crossvm_memfd_send(out.get(), &ours.fd, 1) == CROSSVM_OK);
    REQUIRE(crossvm_memfd_receive(in.get(), &fd, 1) == CROSSVM_OK);
    CHECK_EQ(theirs.open(descriptor(fd)), CROSSVM_OK);
    CHECK_EQ(theirs.fd, fd);
    CHECK(is_open(fd));
    CHECK(theirs.mapping.access == CROSSVM_READ_ONLY);
    *static_cast<unsigned char *>(ours.mapping.base) = 77;
    CHECK_EQ(*static_cast<const unsigned char *>(theirs.mapping.base), 77);

    CHECK_EQ(theirs.open(std::move(out)), CROSSVM_SYSTEM); /* a socket is no memory */
    CHECK_EQ(out.get(), -1);
    CHECK(!is_open(fd) && !is_open(sockets[0]));
    CHECK(theirs.fd == -1 && theirs.mapping.base == nullptr);
    in = descriptor();
    ours = memfd();
    CHECK_EQ(test_n_fds(), n_fds);
}

/* ---- named memory ---------------------------------------------------------------------------- */

void named_memory_is_unmapped_and_stays()
{
    char name[64];
    (void)snprintf(name, sizeof(name), "/crossvm-test-owners-%ld", static_cast<long>(getpid()));
    (void)shm_unlink(name);
    unsigned n_fds = test_n_fds();
    const void *first;
    const void *second;
    {
        shm memory;
        CHECK(memory.base == nullptr);
        CHECK_EQ(memory.open(name, CROSSVM_READ_ONLY), CROSSVM_SYSTEM);
        CHECK_EQ(errno, ENOENT);
        REQUIRE(memory.create(name, one_page) == CROSSVM_OK);
        first = memory.base;
        *static_cast<unsigned char *>(memory.base) = 77;
        move_about(memory);
        CHECK(memory.base == first && is_mapped(first));
        CHECK_EQ(memory.len, one_page);

        shm again;
        REQUIRE(again.open(name, CROSSVM_READ_ONLY) == CROSSVM_OK);
        second = again.base;
        memory = std::move(again);
        CHECK(!is_mapped(first) && is_mapped(second));
        CHECK_EQ(*static_cast<const unsigned char *>(memory.base), 77);
        CHECK_EQ(memory.create(name, one_page), CROSSVM_SYSTEM);
        CHECK_EQ(errno, EEXIST);
        CHECK(memory.base == nullptr && !is_mapped(second));
        REQUIRE(memory.open(name, CROSSVM_READ_WRITE) == CROSSVM_OK);
        second = memory.base;
    }
    CHECK(!is_mapped(second));
    CHECK_EQ(test_n_fds(), n_fds);
    CHECK_EQ(crossvm_shm_unlink(name), CROSSVM_OK);
}

} // namespace

int main()
{
    CASE(a_descriptor_is_closed_once);
    CASE(descriptor_0_is_a_descriptor);
    CASE(a_status_is_an_empty_descriptor);
    CASE(memory_is_released_at_the_end);
    CASE(opening_releases_what_was_held);
    CASE(received_memory_takes_its_descriptor);
    CASE(named_memory_is_unmapped_and_stays);
    return check_done();
}
