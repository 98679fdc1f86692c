#pragma once
// Going to the background as ssh-agent does: the child carries on, and its parent tells the shell about it or
// becomes the command that the child is for. A child that nobody was told of ends.

#include "base/unique_fd.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

namespace sshtpm::os {

/// What fork_to_background leaves in the process that called it.
class BackgroundParent {
  public:
    BackgroundParent(pid_t child, UniqueFd socket) noexcept;

    pid_t child() const noexcept { return child_; }

    /// Waits until the child says that it is ready, or ends before that; its error text has gone to stderr
    /// then. @returns its exit status in that case, never 0 (128 and the number for a signal); nothing when
    /// it is ready.
    std::optional<int> wait_until_ready();

    /// Lets a child that is ready carry on: somebody knows of it now. @throws Error(io) when it has ended.
    void let_live();

    /// Has a child that is ready end instead, and waits until it has.
    void let_end() noexcept;

  private:
    pid_t child_;
    UniqueFd socket_; ///< to the child; closed, it has the child end
};

/// What it leaves in the child: a session of its own, in "/", with stdin and stdout on /dev/null and stderr
/// as it was.
class BackgroundChild {
  public:
    BackgroundChild(UniqueFd socket, UniqueFd parent) noexcept;

    /// Says so to the parent, lets go of stderr (/dev/null from here on) unless it is to be kept, and waits
    /// for let_live. Once only.
    /// @throws Error(io) when the parent ends without it: nobody knows of this process then.
    void ready(bool keep_stderr = false);

    /// Becomes readable when the parent, or the command that it has become, has ended.
    int parent_pidfd() const noexcept { return parent_.value(); }

  private:
    UniqueFd socket_; ///< to the parent
    UniqueFd parent_;
};

/// Forks; to be called while the process has one thread. In the child the current folder is "/": paths are
/// made absolute before. All descriptors that this makes are close-on-exec.
/// @throws Error(io), in the parent as in the child.
std::variant<BackgroundParent, BackgroundChild> fork_to_background();

/// Becomes a command, searched in PATH when it has no slash. `changes` to the environment are those of
/// os::environment_with. What harden_process changed for this process alone is changed back.
/// @throws Error(not_found | permission | io) when it cannot be run.
[[noreturn]] void become_command(const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& changes);

} // namespace sshtpm::os
