/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/crossvm.hpp - for C++17 and later: crossvm.h, and snapshots, queues, pipes of one type.
 *
 * Beside crossvm.h, of which every call works in C++ as it is. A typed handle is the C handle with
 * nothing added: `&handle` goes into every other call, and roles, progress and trust are those that
 * the C header states. It is opened by its own open(). No exceptions, no memory, no cost.
 *
 * T crosses as its bytes. What a peer wrote is judged by nobody but the caller: a T that has a bool
 * or an enumeration in it may come with a value that these cannot have, so prefer plain integers.
 * Padding crosses as well, with what the stack had there: leave none in T.
 */
#ifndef CROSSVM_CROSSVM_HPP
#define CROSSVM_CROSSVM_HPP

#include "crossvm.h"

#include <type_traits>

/* Always inlined: no linker picks one file's build of them for a file that was built otherwise. */
#define CROSSVM_I_MEMBER [[nodiscard]] __attribute__((always_inline))

namespace crossvm
{

template <class T> constexpr bool i_can_be_shared()
{
    static_assert(std::is_trivially_copyable_v<T>, "only trivially copyable types can be shared");
    static_assert(!std::is_pointer_v<T>, "a pointer means nothing to another program");
    return true;
}

template <class T> struct snapshot_writer : ::crossvm_snapshot_writer {
    static_assert(i_can_be_shared<T>());

    /* Statuses as crossvm_snapshot_writer_open. */
    CROSSVM_I_MEMBER int open(const ::crossvm_region &region, const ::crossvm_chunk &chunk)
    {
        return crossvm_snapshot_writer_open(this, &region, &chunk);
    }

    /* Statuses as crossvm_snapshot_writer_publish; INVALID a T does not fit into the chunk. */
    CROSSVM_I_MEMBER int publish(const T &state, uint64_t sampled_ns = 0, uint64_t published_ns = 0)
    {
        return crossvm_snapshot_writer_publish(this, &state, sizeof(T), sampled_ns, published_ns);
    }
};

template <class T> struct snapshot_reader : ::crossvm_snapshot_reader {
    static_assert(i_can_be_shared<T>());

    /* Statuses as crossvm_snapshot_reader_open. */
    CROSSVM_I_MEMBER int open(const ::crossvm_region &region, const ::crossvm_chunk &chunk)
    {
        return crossvm_snapshot_reader_open(this, &region, &chunk);
    }

    /* Statuses as crossvm_snapshot_reader_read, but MISMATCH the version is not as long as a T.
     * Unless 0 or 1, state is not to be used. */
    CROSSVM_I_MEMBER int read(T &state, ::crossvm_snapshot_info *info = nullptr)
    {
        ::crossvm_snapshot_info seen;
        int status = crossvm_snapshot_reader_read(this, &state, sizeof(T), &seen);
        if (info != nullptr && status >= 0) {
            *info = seen;
        }
        bool other = status == CROSSVM_NO_SPACE || (status >= 0 && seen.len != sizeof(T));
        return other ? static_cast<int>(CROSSVM_MISMATCH) : status;
    }
};

/* The queue that a handle is, or that a pipe has in it. */
template <class Queue, class Handle> CROSSVM_I_MEMBER constexpr Queue &i_queue(Handle &handle)
{
    if constexpr (std::is_same_v<Queue, Handle>) {
        return handle;
    } else {
        return handle.queue;
    }
}

template <class T, class Handle> struct i_tx : Handle {
    static_assert(i_can_be_shared<T>());

    /* Grants only elements as long as T. Statuses as crossvm_spsc_tx_open. */
    CROSSVM_I_MEMBER int open(const ::crossvm_region &region, const ::crossvm_chunk &part,
                              uint32_t seed)
    {
        return crossvm_spsc_tx_open(&own(), &region, &part, sizeof(T), seed);
    }

    /* Statuses as crossvm_spsc_tx_push. */
    CROSSVM_I_MEMBER int push(const T &elem)
    {
        return crossvm_i_spsc_tx_push(&own(), &elem, sizeof(T));
    }

    /* Statuses as crossvm_spsc_tx_push_n. */
    CROSSVM_I_MEMBER int push_n(const T *elems, uint32_t n)
    {
        return crossvm_i_spsc_tx_push_n(&own(), elems, n, sizeof(T));
    }

  private:
    CROSSVM_I_MEMBER ::crossvm_spsc_tx &own()
    {
        return i_queue<::crossvm_spsc_tx, Handle>(*this);
    }
};

template <class T, class Handle> struct i_rx : Handle {
    static_assert(i_can_be_shared<T>());

    /* Asks for n elements (the capacity) as long as T, and takes no others.
     * Statuses as crossvm_spsc_rx_open. */
    CROSSVM_I_MEMBER int open(const ::crossvm_region &region, const ::crossvm_chunk &part,
                              uint32_t n, uint32_t seed)
    {
        int status = crossvm_spsc_rx_open(&own(), &region, &part, n, sizeof(T), seed);
        own().only_elem_len = sizeof(T);
        return status;
    }

    /* Statuses as crossvm_spsc_rx_pop. */
    CROSSVM_I_MEMBER int pop(T &elem)
    {
        return crossvm_i_spsc_rx_pop(&own(), &elem, sizeof(T));
    }

    /* Statuses as crossvm_spsc_rx_pop_n. */
    CROSSVM_I_MEMBER int pop_n(T *elems, uint32_t n)
    {
        return crossvm_i_spsc_rx_pop_n(&own(), elems, n, sizeof(T));
    }

  private:
    CROSSVM_I_MEMBER ::crossvm_spsc_rx &own()
    {
        return i_queue<::crossvm_spsc_rx, Handle>(*this);
    }
};

template <class T> using spsc_tx = i_tx<T, ::crossvm_spsc_tx>;
template <class T> using spsc_rx = i_rx<T, ::crossvm_spsc_rx>;
template <class T> using pipe_tx = i_tx<T, ::crossvm_pipe_tx>;
template <class T> using pipe_rx = i_rx<T, ::crossvm_pipe_rx>;

} // namespace crossvm

#endif
