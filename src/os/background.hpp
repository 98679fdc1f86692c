// SPDX-License-Identifier: MIT
#pragma once
// Goes to the background as ssh-agent does: the child goes on, and the parent prints the child's pid for the
// shell or runs the command that uses the child. If the parent can do neither, the child ends too.

#include "base/unique_fd.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

namespace sshtpm::os {

/// The parent's side of fork_to_background.
class BackgroundParent {
  public:
    BackgroundParent(pid_t child, UniqueFd socket) noexcept;

    pid_t child() const noexcept { return child_; }

    /// Waits until the child is ready or has ended.
    /// @returns nothing if it is ready; else its exit status, never 0 (128 plus the number of a signal). The
    ///     child has then printed an error.
    std::optional<int> wait_until_ready();

    /// Lets a child that is ready go on. @throws Error(io) if it has ended
    void let_live();

    /// Makes a child that is ready end instead, and waits for its end.
    void let_end() noexcept;

  private:
    pid_t child_;
    UniqueFd socket_; ///< the child ends if this is closed
};

/// The child's side: a session of its own, in "/", with stdin and stdout on /dev/null.
class BackgroundChild {
  public:
    BackgroundChild(UniqueFd socket, UniqueFd parent) noexcept;

    /// Tells the parent that this process is ready, replaces stderr by /dev/null unless `keep_stderr`, and
    /// waits for let_live. Call it once.
    /// @throws Error(io) if the parent ends without let_live
    void ready(bool keep_stderr = false);

    /// Readable when the parent, or the command that it runs, has ended.
    int parent_pidfd() const noexcept { return parent_.value(); }

  private:
    UniqueFd socket_; ///< to the parent
    UniqueFd parent_;
};

/// Forks this process, which must have one thread. The current folder of the child is "/", so make paths
/// absolute first. The descriptors that this function opens are close-on-exec.
/// @throws Error(io), in the parent and in the child
std::variant<BackgroundParent, BackgroundChild> fork_to_background();

/// Runs a command in place of this program (execvp(3)), after undo_harden_before_exec.
/// @param changes to the environment, as in os::environment_with
/// @throws Error(not_found | permission | io) if it cannot be run
[[noreturn]] void become_command(const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& changes);

} // namespace sshtpm::os
