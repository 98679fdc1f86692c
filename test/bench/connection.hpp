// SPDX-License-Identifier: MIT
#pragma once
// One connection to an agent as a load generator needs it: it knows where replies begin and end, looks at
// their numbers and keeps nothing else, so that thousands of them cost little and much of the time is the
// agent's.

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <sys/socket.h>

namespace sshtpm::bench {

// Message numbers (RFC 9987 section 8.1).
inline constexpr std::uint8_t request_identities = 11, identities_answer = 12, sign_request = 13,
                              sign_response = 14, lock = 22, unlock = 23, extension = 27;

/// The request to list, framed.
Bytes list_frame();
/// A request to sign as large as what ssh has signed at a login, framed. @param pub_file a public key's file.
Bytes sign_frame(const char* pub_file);

class Connection {
  public:
    /// Waits while the agent's queue of connections is full.
    explicit Connection(const char* path);

    int fd() const noexcept { return fd_.value(); }

    /// All of it; waits while there is no room.
    void send(ByteView bytes);
    /// As much as there is room for now.
    std::size_t send_some(ByteView bytes);

    /// One read: waits for something to come, or takes what is there.
    /// @param reply called with the number of each reply that is now whole.
    /// @returns false when the agent has closed the connection.
    template <class Reply>
    bool receive(const Reply& reply) {
        thread_local std::array<std::uint8_t, 65536> buffer;
        const auto got = ::recv(fd(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno != ECONNRESET)
            throw Error::from_errno(errno, "recv");
        if (got <= 0)
            return false;
        auto rest = std::span(buffer).first(static_cast<std::size_t>(got));
        while (!rest.empty())
            if (const auto number = take(rest))
                reply(*number);
        return true;
    }

    /// One request, or several, and as many replies. @returns the number of the last; nothing when the agent
    /// has closed the connection.
    std::optional<std::uint8_t> exchange(ByteView frames, std::size_t count = 1);

  private:
    /// Takes bytes up to the end of a reply. @returns the reply's number when it is whole.
    std::optional<std::uint8_t> take(std::span<std::uint8_t>& rest);

    UniqueFd fd_;
    std::array<std::uint8_t, 5> header_{}; ///< length and number
    std::size_t filled_ = 0;               ///< of the header
    std::size_t body_left_ = 0;            ///< after the header
};

} // namespace sshtpm::bench
