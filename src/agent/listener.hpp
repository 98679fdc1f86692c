#pragma once
// The agent's socket.

#include "agent/asio.hpp"
#include "agent/semaphore.hpp"
#include "base/unique_fd.hpp"
#include "os/unix_socket.hpp"

#include <filesystem>
#include <functional>

namespace sshtpm::agent {

/// A listening socket. The file that it has made has mode 0600, and is removed on destruction if it is still
/// the same.
class ListeningSocket {
  public:
    /// Makes the folder (0700) if it is not there. Replaces a socket where nobody listens any more.
    /// @throws Error(exists) when an agent listens there, or when the path is no socket: that is never
    /// removed.
    explicit ListeningSocket(std::filesystem::path path);
    /// A socket that somebody else has bound, and will remove (os::activated_socket).
    explicit ListeningSocket(UniqueFd passed);
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;
    ~ListeningSocket();

    /// Removes the file before its time.
    void remove() noexcept;

    const std::filesystem::path& path() const noexcept { return path_; }
    int fd() const noexcept { return fd_.value(); }

  private:
    std::filesystem::path path_;
    UniqueFd fd_;
    bool ours_ = false; ///< to remove
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

using NewClient = std::function<void(Socket, os::Peer, Permit)>;

/// Accepts until cancelled, and hands every client of our own user or root to `client`, with a permit
/// that is released when the client goes. While there is none, clients wait in the backlog.
asio::awaitable<void> accept_clients(UniqueFd listening, Semaphore permits, NewClient client);

} // namespace sshtpm::agent
