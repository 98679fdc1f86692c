#pragma once
// Upstream agents (-A): other agents whose keys this one shows too. Their answers are as hostile as clients'
// requests.

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

/// What all clients share of one upstream agent. One that did not answer in time, or answered with garbage,
/// is left out for a second, and for twice as long each time that a probe fails, up to a minute.
class Upstream {
  public:
    Upstream(const asio::any_io_executor& loop, std::filesystem::path path);

    const std::filesystem::path& path() const noexcept { return path_; }
    /// For each request. Agents that are upstream of each other ask in circles; such a circle ends when all
    /// permits are out, and those that wait for one give up.
    /// @param patient for a request that may wait for a person: those must not keep lists waiting.
    const Semaphore& permits(bool patient) const noexcept { return patient ? patient_ : quick_; }

    bool is_left_out() const noexcept { return left_out_; }
    /// Wakes `probe` when it has been left out for long enough.
    void want_probe();
    /// It has answered a new connection with a list.
    void answered();
    /// It has answered another request: the next list shows whether it is well.
    void readmit() noexcept { left_out_ = false; }
    /// It is not there. That costs nobody time, so it is asked again by the next request.
    void absent(const std::string& reason);
    /// No answer in time, or garbage.
    void failed(const std::string& reason);

    /// Whether its last list had this key.
    bool lists(ByteView blob) const;
    /// Takes its list. @returns the keys in it that clients may be shown: one that OpenSSH's programs cannot
    /// read would cost them the whole list.
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
    std::chrono::milliseconds back_off_{0}; ///< how long it was left out last; 0 once it is well
    Clock::time_point retry_at_{};
    asio::experimental::channel<void(ErrorCode)> probe_wanted_; ///< drops messages while `probe` is at work
    bool logged_ = false;                                       ///< that something is wrong with it
    bool unreadable_logged_ = false;                            ///< that one of its keys is left out
    std::unordered_map<std::string, bool> last_list_;           ///< blobs; whether clients may be shown them
};

/// Asks an upstream agent that was left out for a list, over a connection of its own, so that no client waits
/// for one that hangs. Until cancelled.
asio::awaitable<void> probe(std::shared_ptr<Upstream> upstream);

/// One client's connection to an upstream agent. A shared one would make every forwarded client look local
/// there. Made when it is first needed, and again when it was closed.
class UpstreamConnection {
  public:
    explicit UpstreamConnection(std::shared_ptr<Upstream> upstream) : upstream_(std::move(upstream)) {}

    Upstream& upstream() const noexcept { return *upstream_; }

    // Messages and binds stay where they are until the answer is there.

    /// The answer to a message, which is sent as it is, after the session-binds that the upstream has not had
    /// over this connection. Nothing when none comes in time.
    asio::awaitable<std::optional<Bytes>> ask(ByteView message, std::span<const Bytes> binds,
                                              std::chrono::milliseconds limit);

    /// Its keys; the views look into `answer`.
    struct List {
        Bytes answer;
        std::vector<protocol::ListedKey> keys;
    };
    /// Nothing when it is left out, or does not answer within a second. One that is left out is asked if a
    /// connection is open: perhaps it has no place for new ones.
    asio::awaitable<std::optional<List>> list(std::span<const Bytes> binds);
    /// The same, also when it is left out.
    asio::awaitable<std::optional<List>> ask_for_list(std::span<const Bytes> binds,
                                                      std::chrono::milliseconds limit);

  private:
    struct Open;

    asio::awaitable<std::shared_ptr<Open>> connect();
    std::shared_ptr<Open> take();
    void put_back(std::shared_ptr<Open> open);
    asio::awaitable<std::optional<Bytes>> exchange(ByteView message, std::span<const Bytes> binds,
                                                   bool patient);

    std::shared_ptr<Upstream> upstream_;
    std::shared_ptr<Open> open_; ///< while nobody uses it
};

/// All upstream agents, as one client sees them.
class Upstreams {
  public:
    explicit Upstreams(std::span<const std::shared_ptr<Upstream>> upstreams);

    bool empty() const noexcept { return connections_.empty(); }

    /// A session-bind of the client that was accepted; the upstreams are told.
    void bound(const protocol::SessionBind& bind);
    /// One that was refused: the upstreams are to distrust this client too.
    void bind_refused();

    /// The list of these keys and, behind them, the upstreams' other keys, framed. Takes a second at most.
    /// @param own called when the upstreams have answered: this agent's keys as they are then.
    asio::awaitable<Bytes> list(std::function<std::vector<KeyEntryPtr>()> own);

    /// The first answer that is not SSH_AGENT_FAILURE, without its frame; upstreams that list the key are
    /// asked first. Waits for a person that an upstream asks.
    /// @param blob of the key; empty for none. It and the message stay until the answer is there.
    asio::awaitable<std::optional<Bytes>> first_answer(ByteView message, ByteView blob);

    /// Tells all of them to remove their keys, those that are left out too. Takes a second at most.
    asio::awaitable<void> remove_all(ByteView message);

  private:
    std::vector<UpstreamConnection> connections_; ///< in the order of -A
    std::vector<Bytes> binds_;                    ///< messages
    bool refused_ = false;
};

} // namespace sshtpm::agent
