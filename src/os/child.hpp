#pragma once
// A child program whose answer is read from a pipe; never through a shell.

#include "base/unique_fd.hpp"

#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

namespace sshtpm::os {

/// A running child. Destroying it kills it, unless `wait` has returned, and reaps it.
class Child {
  public:
    enum class Group {
        shared, ///< it may use the terminal as this process may
        own,    ///< killed with all of its group: it may be a shell that has started another program
    };

    /// Starts `arguments[0]` (searched in PATH when it has no slash) with stdin from /dev/null, stdout into
    /// a pipe, stderr as given and all signals at their defaults. The changes to its environment are those of
    /// os::environment_with.
    /// @throws Error(not_found | permission | io) when it cannot be started.
    Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment_changes,
          int errors = STDERR_FILENO, Group group = Group::shared);
    Child(Child&&) = delete;
    ~Child();

    /// The reading end of its stdout.
    int output() const noexcept { return output_.value(); }
    /// Becomes readable when the child has ended.
    int pidfd() const noexcept { return pidfd_.value(); }
    /// What `wait` returns when the system does not tell how the child has ended.
    static constexpr int lost_status = -1;
    /// Waits for the end. @returns its exit status, or 128 + the number of the signal that ended it.
    int wait() noexcept;

  private:
    void end() noexcept;

    pid_t pid_ = -1;
    Group group_;
    UniqueFd pidfd_;
    UniqueFd output_;
};

} // namespace sshtpm::os
