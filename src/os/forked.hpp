// SPDX-License-Identifier: MIT
#pragma once
// Copies of this process: for work that may never end, such as a call of a driver, and for work that this
// process itself may not do, or that comes after its end.

#include "base/unique_fd.hpp"

#include <functional>
#include <sys/types.h>

namespace sshtpm::os {

/// A forked copy of this process that runs `work` and ends. The destructor kills it and does not wait: a
/// process in a call of a driver ends only with that call, which can take minutes. It ends with this process
/// too.
class ForkedChild {
  public:
    /// Forks this process, which must have one thread. In the copy, the standard descriptors are /dev/null,
    /// so that no program that reads our output waits for a copy that cannot end.
    /// @param work gets a descriptor for its results, whose other end is pipe(); what it throws is lost
    /// @throws Error(io)
    explicit ForkedChild(const std::function<void(int results)>& work);
    ForkedChild(ForkedChild&&) = delete;
    ~ForkedChild();

    /// At its end when the work has ended.
    int pipe() const noexcept { return pipe_.value(); }

  private:
    pid_t pid_ = -1;
    UniqueFd pipe_;
};

/// A forked copy of this process that serves it over a socket pair (SOCK_SEQPACKET) and has none of its other
/// descriptors but the standard ones. When this process ends, however that happens, the socket is at its end,
/// and the companion ends too. It ignores the signals that end or stop this process, because a terminal and
/// systemd send them to both.
class Companion {
  public:
    /// Forks this process, which must have one thread.
    /// @param name for ps(1), at most 15 bytes
    /// @param serve gets the companion's end of the socket pair; the companion ends when it returns or throws
    /// @throws Error(io)
    Companion(const char* name, const std::function<void(UniqueFd socket)>& serve);
    Companion(Companion&&) = delete;
    /// Closes the socket and waits until the companion has ended, for a second at most; then kills it if it
    /// may.
    ~Companion();

    /// This process's end.
    int socket() const noexcept { return socket_.value(); }

  private:
    pid_t pid_ = -1;
    UniqueFd socket_;
};

} // namespace sshtpm::os
