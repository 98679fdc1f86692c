// SPDX-License-Identifier: MIT
#pragma once
// Many connections at once that are held: idle, with a frame begun, or in a queue before a full agent.

#include "bench/connection.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace sshtpm::bench {

class Crowd {
  public:
    using Seconds = std::chrono::duration<double>;

    explicit Crowd(std::string path);

    std::size_t size() const noexcept { return clients_.size(); }

    /// Connects more clients, each of which sends this.
    void join(std::size_t count, ByteView first_bytes);
    /// All of them leave.
    void leave() { clients_.clear(); }

    /// True when the agent has taken everything that was sent to it.
    bool all_read() const;

    /// Waits until the agent has closed all connections, or for `limit`.
    /// @returns how long it took until the last of those closed.
    Seconds wait_until_closed(Seconds limit);
    /// Waits for replies until none has come for `quiet`.
    void wait_for_replies(Seconds quiet);
    /// The number of clients with at least one reply.
    std::size_t served() const;
    std::size_t closed() const;
    /// One of those served leaves. @returns how long it took until another one was; nothing after `limit`.
    std::optional<Seconds> leave_for_the_next(Seconds limit);

  private:
    struct Client {
        Connection connection;
        bool served = false, closed = false;
    };

    /// Waits for one round of events, for `limit` at most; false when there were none.
    bool wait_once(Seconds limit);

    std::string path_;
    UniqueFd events_;
    std::vector<Client> clients_;
};

} // namespace sshtpm::bench
