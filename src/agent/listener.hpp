// SPDX-License-Identifier: MIT
#pragma once
// The agent's socket.

#include "agent/asio.hpp"
#include "agent/semaphore.hpp"
#include "base/unique_fd.hpp"
#include "os/unix_socket.hpp"

#include <filesystem>
#include <functional>

namespace sshtpm::agent {

/// A listening socket. The destructor removes its file (mode 0600), if this object has made it and it is
/// still the same. In the agent's sandbox, Confinement has it removed before.
class ListeningSocket {
  public:
    /// Makes the folder (0700) if it is missing. Replaces a socket on which nobody listens.
    /// @param sweep remove the sockets that killed agents of commands have left in the folder
    ///     (os::command_socket)
    /// @throws Error(exists) if an agent listens there, or if the path is not a socket, which is never
    ///     removed
    explicit ListeningSocket(std::filesystem::path path, bool sweep = true);
    /// A socket that another process has bound, and removes later (os::activated_socket).
    explicit ListeningSocket(UniqueFd passed);
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;
    ~ListeningSocket();

    /// Removes the file now, not only on destruction.
    void remove() noexcept;

    /// False for a socket that was passed, or is removed.
    bool has_own_file() const noexcept { return ours_; }

    const std::filesystem::path& path() const noexcept { return path_; }
    int fd() const noexcept { return fd_.value(); }

  private:
    std::filesystem::path path_;
    UniqueFd fd_;
    bool ours_ = false; ///< this object has made the file, and has not removed it
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

using NewClient = std::function<void(Socket, os::Peer, Permit)>;

/// Accepts clients until cancelled. Passes each client of this user or root to `client`, with a permit that
/// is released when the client goes. Without a free permit, clients wait in the backlog.
asio::awaitable<void> accept_clients(UniqueFd listening, Semaphore permits, NewClient client);

/// Closes the connections that wait to be accepted. @param listening non-blocking
void turn_away_clients(int listening) noexcept;

} // namespace sshtpm::agent
