/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/backend/owners.hpp - for C++17 and later: what a backend gives out, released at its end.
 *
 * Layer 6. Roles: as memfd.h, shm.h and eventfd.h state. Owners move and do not copy; empty ones
 * may be opened, and opening releases what was held. No exceptions: calls answer statuses.
 *
 * An owner has to outlive every region and handle made from its memory. Moving it leaves the memory
 * where it is. A copy of the C struct within owns nothing: leave its descriptor and mapping alone.
 * Names of shared memory stay until crossvm_shm_unlink; chunks and queues end with nobody, and need
 * no owner.
 */
#ifndef CROSSVM_BACKEND_OWNERS_HPP
#define CROSSVM_BACKEND_OWNERS_HPP

#include "memfd.h"
#include "shm.h"

#include <utility>

namespace crossvm
{

/* A descriptor: of crossvm_eventfd_create, a socket, one that was received. A negative one, such as
 * a status in its place, is empty. */
class descriptor
{
  public:
    explicit descriptor(int fd = -1) noexcept : fd_(fd)
    {
    }
    descriptor(descriptor &&other) noexcept : fd_(other.release())
    {
    }
    descriptor &operator=(descriptor other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~descriptor()
    {
        if (fd_ >= 0) {
            crossvm_i_posix_close(fd_);
        }
    }
    int get() const noexcept
    {
        return fd_;
    }
    /* Hands it over: from now on the caller closes it. */
    [[nodiscard]] int release() noexcept
    {
        return std::exchange(fd_, -1);
    }

  private:
    int fd_;
};

/* crossvm_memfd that is closed at its end: members fd and mapping. */
struct memfd : ::crossvm_memfd {
    memfd() noexcept : ::crossvm_memfd{-1, {}}
    {
    }
    memfd(memfd &&other) noexcept : memfd()
    {
        std::swap(raw(), other.raw());
    }
    memfd &operator=(memfd other) noexcept
    {
        std::swap(raw(), other.raw());
        return *this;
    }
    ~memfd()
    {
        crossvm_memfd_close(this);
    }
    /* Statuses as crossvm_memfd_create. */
    [[nodiscard]] int create(const char *name, uint64_t n_bytes) noexcept
    {
        crossvm_memfd_close(this);
        return crossvm_memfd_create(this, name, n_bytes);
    }
    /* Statuses as crossvm_memfd_open. */
    [[nodiscard]] int open(descriptor received) noexcept
    {
        crossvm_memfd_close(this);
        return crossvm_memfd_open(this, received.release());
    }

  private:
    ::crossvm_memfd &raw() noexcept
    {
        return *this;
    }
};

/* A mapping of named memory that is unmapped at its end. */
struct shm : ::crossvm_mapping {
    shm() noexcept : ::crossvm_mapping{}
    {
    }
    shm(shm &&other) noexcept : shm()
    {
        std::swap(raw(), other.raw());
    }
    shm &operator=(shm other) noexcept
    {
        std::swap(raw(), other.raw());
        return *this;
    }
    ~shm()
    {
        crossvm_shm_close(this);
    }
    /* Statuses as crossvm_shm_create. */
    [[nodiscard]] int create(const char *name, uint64_t n_bytes) noexcept
    {
        crossvm_shm_close(this);
        return crossvm_shm_create(this, name, n_bytes);
    }
    /* Statuses as crossvm_shm_open. */
    [[nodiscard]] int open(const char *name, ::crossvm_mapping_access rights) noexcept
    {
        crossvm_shm_close(this);
        return crossvm_shm_open(this, name, rights);
    }

  private:
    ::crossvm_mapping &raw() noexcept
    {
        return *this;
    }
};

} // namespace crossvm

#endif
