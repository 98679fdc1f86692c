#pragma once
// Going to the background as ssh-agent does: the child goes on, and the parent prints its pid for the shell
// or runs the command that the child serves. If the parent could do neither, the child ends too.

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
    /// @returns nothing if it is ready; else its exit status, never 0 (128 plus the number of a signal). Its
    ///     message is on stderr.
    std::optional<int> wait_until_ready();

    /// Lets a child that is ready go on. @throws Error(io) if it has ended
    void let_live();

    /// Makes a child that is ready end instead, and waits for its end.
    void let_end() noexcept;

  private:
    pid_t child_;
    UniqueFd socket_; ///< to the child, which ends if this is closed
};

/// The child's side: a session of its own, in "/", with stdin and stdout on /dev/null.
class BackgroundChild {
  public:
    BackgroundChild(UniqueFd socket, UniqueFd parent) noexcept;

    /// Tells the parent that this process is ready, puts /dev/null in the place of stderr unless that is to
    /// be kept, and waits for let_live. Call it once.
    /// @throws Error(io) if the parent ends without let_live
    void ready(bool keep_stderr = false);

    /// Readable when the parent, or the command that it runs, has ended.
    int parent_pidfd() const noexcept { return parent_.value(); }

  private:
    UniqueFd socket_; ///< to the parent
    UniqueFd parent_;
};

/// Forks a process that has one thread. The current folder of the child is "/", so make paths absolute
/// before. The descriptors that this opens are close-on-exec.
/// @throws Error(io), in the parent and in the child
std::variant<BackgroundParent, BackgroundChild> fork_to_background();

/// Runs a command in place of this program (execvp(3)), after undo_harden_before_exec.
/// @param changes to the environment, as in os::environment_with
/// @throws Error(not_found | permission | io) if it cannot be run
[[noreturn]] void become_command(const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& changes);

} // namespace sshtpm::os
