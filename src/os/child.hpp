// SPDX-License-Identifier: MIT
#pragma once
// A child program, started without a shell, whose output comes through a pipe.

#include "base/unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

namespace sshtpm::os {

/// Opens a descriptor that is readable when the process has ended (pidfd_open(2); glibc has it from 2.36 on).
/// @returns an empty one, with errno set, on failure
UniqueFd open_pidfd(pid_t pid);

/// Waits until a child has ended. If a signal of ending_signals() comes, the child gets SIGTERM, and time to
/// switch the echo of the terminal on again; this process gets its signal after that.
/// @param pidfd of a child that is not reaped
void wait_or_end(int pidfd);

/// A running child. The destructor kills it, unless `wait` has returned, and reaps it.
class Child {
  public:
    enum class Group {
        shared, ///< the child may read from the terminal if this process may
        own,    ///< its group is killed with it: it may be a shell script that has started another program
    };

    /// Starts `arguments[0]` as execvp(3) does, with stdin from /dev/null, stdout into a pipe and all signals
    /// at their defaults.
    /// @param environment_changes as in os::environment_with
    /// @param errors the descriptor for its stderr
    /// @param input the descriptor for its stdin, instead of /dev/null
    /// @throws Error(not_found | permission | io) if it cannot be started
    Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment_changes,
          int errors = STDERR_FILENO, Group group = Group::shared, int input = -1);
    Child(Child&&) = delete;
    ~Child();

    /// The reading end of its stdout.
    int output() const noexcept { return output_.value(); }
    /// Readable when the child has ended.
    int pidfd() const noexcept { return pidfd_.value(); }
    /// The result of `wait` if the system does not report the exit status.
    static constexpr int lost_status = -1;
    /// @returns its exit status, or 128 plus the number of the signal that ended it
    int wait() noexcept;

  private:
    void end() noexcept;

    pid_t pid_ = -1;
    Group group_;
    UniqueFd pidfd_;
    UniqueFd output_;
};

struct ProgramOutput {
    int status = 0;             ///< as of Child::wait
    std::string output, errors; ///< from stdout and stderr
};

/// Runs a program to its end.
/// @param most the number of bytes that it may print to stdout, and to stderr
/// @param input the content of its stdin
/// @returns nothing if it runs longer than `limit`
/// @throws Error as Child; Error(malformed) if it prints more
std::optional<ProgramOutput> output_of(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& environment_changes,
                                       std::chrono::milliseconds limit, std::size_t most,
                                       Child::Group group = Child::Group::shared,
                                       std::string_view input = {});

} // namespace sshtpm::os
