#pragma once
// The agent's socket.

#include "base/unique_fd.hpp"

#include <filesystem>
#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace sshtpm::agent {

/// A bound and listening socket file, mode 0600, removed on destruction if it is still the same file.
class ListeningSocket {
  public:
    /// Makes the folder (0700) if it is not there. Replaces a socket where nobody listens any more.
    /// @throws Error(exists) when an agent listens there, or when the path is no socket: that is never
    /// removed.
    explicit ListeningSocket(std::filesystem::path path);
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
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

/// Accepts until cancelled, and hands every client of our own user or root to `client`. Without free
/// descriptors it waits and tries again.
boost::asio::awaitable<void>
accept_clients(UniqueFd listening, std::function<void(boost::asio::local::stream_protocol::socket)> client);

} // namespace sshtpm::agent
