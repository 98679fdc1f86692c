// SPDX-License-Identifier: MIT
#pragma once
// Upstream agents (-A): this agent shows the keys of other agents too. Their answers are hostile input, like
// clients' requests.

#include "agent/key_entry.hpp"
#include "agent/semaphore.hpp"
#include "base/bytes.hpp"
#include "protocol/permission.hpp"
#include "protocol/reply.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace sshtpm::agent {

/// The state of one upstream agent, shared by all clients. After no answer in time, or an invalid one, the
/// agent is left out for a second, and twice as long after each failed probe, up to a minute (back-off).
class Upstream {
  public:
    Upstream(const asio::any_io_executor& loop, std::filesystem::path path);

    const std::filesystem::path& path() const noexcept { return path_; }
    /// Each request needs a permit. Agents that are upstream of each other forward a request in circles; this
    /// ends when all permits are in use and the requests that wait for one give up.
    /// @param patient for a request that may wait for a person; it has other permits, so that lists do not
    ///     wait for it
    const Semaphore& permits(bool patient) const noexcept { return patient ? patient_ : quick_; }

    bool is_left_out() const noexcept { return left_out_; }
    /// Wakes `probe` if the back-off is over.
    void want_probe();
    /// Call it after an answer with a list over a new connection.
    void answered();
    /// Call it after another answer: the next list will show whether the agent is well.
    void readmit() noexcept { left_out_ = false; }
    /// Call it if no agent that may be used listens at the socket. That costs no time, so the next request
    /// tries again.
    void absent(const std::string& reason);
    /// Call it after no answer in time, or an invalid one.
    void failed(const std::string& reason);

    /// True if its last list had this key.
    bool lists(ByteView blob) const;
    /// Stores its list. @returns the keys for clients, without those that OpenSSH's programs cannot read,
    /// because a single one would cost them the whole list
    std::vector<protocol::ListedKey> take_list(std::vector<protocol::ListedKey> keys);

  private:
    using Clock = std::chrono::steady_clock;

    friend asio::awaitable<void> probe(std::shared_ptr<Upstream> upstream);

    bool is_resting() const { return Clock::now() < retry_at_; }
    void log_once(const std::string& reason);
    bool is_readable(ByteView blob);

    std::filesystem::path path_;
    Semaphore quick_, patient_;
    bool left_out_ = false;
    std::chrono::milliseconds back_off_{0}; ///< duration of the last back-off; 0 if the agent is well
    Clock::time_point retry_at_{};
    asio::experimental::channel<void(ErrorCode)> probe_wanted_; ///< drops messages while `probe` is at work
    bool logged_ = false;                                       ///< an error of the agent has been logged
    bool unreadable_logged_ = false;                            ///< a key that was left out has been logged
    std::unordered_map<std::string, bool> last_list_;           ///< by blob: true if clients may see the key
};

/// Asks an upstream agent in back-off for a list, over a separate connection, so that no client waits for an
/// agent that hangs. Runs until cancelled.
asio::awaitable<void> probe(std::shared_ptr<Upstream> upstream);

/// The outcome of a request to remove keys, at one or at all upstream agents.
enum class Removal {
    none,        ///< there was no such key
    done,        ///< there is none any more
    unconfirmed, ///< an agent still has the key, or gave no usable answer
};

/// One client's connection to an upstream agent. A shared connection would make every forwarded client look
/// local there. Opened for the first request, and again after it was closed.
class UpstreamConnection {
  public:
    explicit UpstreamConnection(std::shared_ptr<Upstream> upstream) : upstream_(std::move(upstream)) {}

    Upstream& upstream() const noexcept { return *upstream_; }

    // Messages and binds must stay valid until the answer is there.

    /// Sends the session-binds that the upstream agent has not had over this connection, then the message,
    /// unchanged.
    /// @returns the answer; nothing if none comes in time
    asio::awaitable<std::optional<Bytes>> ask(ByteView message, std::span<const Bytes> binds,
                                              std::chrono::milliseconds limit);

    /// Its keys; the views point into `answer`.
    struct List {
        Bytes answer;
        std::vector<protocol::ListedKey> keys;
    };
    /// @returns nothing if the agent is in back-off, or does not answer within a second. An agent in back-off
    ///     is still asked over an open connection, because it may have no place for new ones.
    asio::awaitable<std::optional<List>> list(std::span<const Bytes> binds);
    /// Like `list`, but also asks an agent in back-off.
    asio::awaitable<std::optional<List>> ask_for_list(std::span<const Bytes> binds,
                                                      std::chrono::milliseconds limit);
    /// Tells the agent, also in back-off, to remove keys, and asks for a list to see that `blob` has gone,
    /// even if there was no answer. A missing agent has no key.
    /// @param blob of the key; empty if the message does not name one
    asio::awaitable<Removal> remove(ByteView message, ByteView blob, std::span<const Bytes> binds);

  private:
    struct Open;

    asio::awaitable<std::shared_ptr<Open>> connect();
    std::shared_ptr<Open> take();
    void put_back(std::shared_ptr<Open> open);
    asio::awaitable<std::optional<Bytes>> exchange(ByteView message, std::span<const Bytes> binds,
                                                   bool patient);
    asio::awaitable<void> run_out(std::chrono::milliseconds limit);

    std::shared_ptr<Upstream> upstream_;
    std::shared_ptr<Open> open_; ///< null while it is in use
};

/// One client's connections to all upstream agents.
class Upstreams {
  public:
    explicit Upstreams(std::span<const std::shared_ptr<Upstream>> upstreams);

    bool empty() const noexcept { return connections_.empty(); }

    /// Records an accepted session-bind of the client, for the upstream agents.
    void bound(const protocol::SessionBind& bind);
    /// Records a refused session-bind, so that the upstream agents do not trust this client either.
    void bind_refused();

    /// The list of this agent's keys, followed by the upstream agents' other keys (in the order of
    /// protocol::identities_reply), framed. Takes a second at most.
    /// @param own returns this agent's keys; called after the upstream agents have answered
    asio::awaitable<Bytes> list(std::function<std::vector<KeyEntryPtr>()> own);

    /// @returns the first answer that is no failure, without its frame; an SSH_AGENT_EXTENSION_FAILURE if
    ///     there is none. Asks first the upstream agents that list the key, and waits for a person whom an
    ///     agent asks.
    /// @param blob of the key; empty for none. It and the message must stay valid until the answer is there.
    asio::awaitable<std::optional<Bytes>> first_answer(ByteView message, ByteView blob);

    /// Tells all upstream agents, also those in back-off, to remove keys; goes on if the client hangs up.
    /// Takes two seconds at most.
    /// @param blob of the key; empty if the message does not name one
    /// @returns the worst outcome
    asio::awaitable<Removal> remove(ByteView message, ByteView blob);

  private:
    std::vector<UpstreamConnection> connections_; ///< in the order of the options -A
    std::vector<Bytes> binds_;                    ///< messages
    bool refused_ = false;
};

} // namespace sshtpm::agent
