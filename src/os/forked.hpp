// SPDX-License-Identifier: MIT
#pragma once
// Runs work that may never end, such as a call of a driver, in a copy of this process.

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

} // namespace sshtpm::os
