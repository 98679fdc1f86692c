#pragma once
// Another agent behind this one (-A): what is known of it, and one client's connection to it. What it says is
// as hostile as what clients say.

#include "agent/bindings.hpp"
#include "agent/known_list.hpp"
#include "agent/turns.hpp"
#include "base/bytes.hpp"
#include "protocol/frame.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

namespace sshtpm::agent {

/// What all clients share of one agent behind this one.
class Upstream {
  public:
    using Clock = std::chrono::steady_clock;

    Upstream(const boost::asio::any_io_executor& loop, std::filesystem::path path)
        : path_(std::move(path)), quick_places_(loop, most_questions), patient_places_(loop, most_questions) {
    }

    const std::filesystem::path& path() const noexcept { return path_; }

    /// For those who wait a second at most, and for those who wait for a person. Agents that stand behind
    /// each other ask in circles: there is an end of that when all places are taken, and those who wait for
    /// one give up.
    const Turns& places(bool patient) const noexcept { return patient ? patient_places_ : quick_places_; }

    /// True while it is not to be asked: it did not answer in time, or with rubbish, not long ago.
    bool resting() const { return Clock::now() < rest_until_; }
    /// True from when it misbehaved until it answers: nobody is to wait long for it meanwhile.
    bool suspected() const noexcept { return suspected_; }
    /// True once each time that a suspected one has rested: then somebody is to find out how it is.
    bool due_for_probe();
    /// It has given an answer that makes sense: whoever asked it is to say so.
    void answered();
    /// Not there: that costs nothing, so it is asked again at once. Logged once until it answers.
    void absent(const std::string& reason);
    /// It hangs or talks rubbish: each time in a row it rests for longer, up to a minute.
    /// @param asked when the question was: those that many had at one time count once.
    void misbehaved(const std::string& reason, Clock::time_point asked);

    /// Whether the last list that anybody had of it has this key. A hint, to ask the right one first.
    bool listed(ByteView blob) const { return listed_.contains(blob); }
    /// Takes its list. @returns what of it others may be shown.
    std::vector<protocol::ListedKey> take_list(const std::vector<protocol::ListedKey>& keys);

  private:
    static constexpr std::size_t most_questions = 512;

    void log_once(const std::string& reason);

    std::filesystem::path path_;
    Turns quick_places_, patient_places_;
    Clock::time_point rest_until_{};
    std::chrono::milliseconds rest_{1000};
    Clock::time_point rests_since_{};
    bool suspected_ = false;
    bool logged_ = false;
    bool told_left_out_ = false; ///< that a key is left out of its lists
    KnownList listed_;
};

/// One client's connection, made when it is first needed and again when it has broken or was closed because
/// nobody used it: a shared one would make every forwarded client look local to the other agent.
class UpstreamLink {
  public:
    explicit UpstreamLink(std::shared_ptr<Upstream> upstream) : upstream_(std::move(upstream)) {}

    Upstream& upstream() const noexcept { return *upstream_; }
    const std::shared_ptr<Upstream>& shared_upstream() const noexcept { return upstream_; }
    /// A connection that is there may be good, while no other one can be made.
    bool connected() const { return connection_ && connection_->socket.is_open(); }
    /// A link with this one's connection, if it has one; the next message over this one makes another.
    UpstreamLink split();

    /// The reply to a message, which is sent as it is, behind the session-binds that the other agent has not
    /// had from this client yet. One that is resting is asked over a connection that is there alone, and not
    /// for long.
    /// @param message and bindings stay where they are until the reply is there.
    /// @returns nothing when there is no answer in time, or none that can be one.
    boost::asio::awaitable<std::optional<Bytes>> ask(ByteView message, const Bindings& bindings,
                                                     std::chrono::milliseconds limit);

    /// The same, of one that is resting, too.
    boost::asio::awaitable<std::optional<Bytes>> probe(ByteView message, const Bindings& bindings,
                                                       std::chrono::milliseconds limit);

  private:
    using Socket = boost::asio::local::stream_protocol::socket;
    using Clock = Upstream::Clock;

    /// A connection with its state; whoever takes it out and does not put it back closes it.
    struct Connection {
        explicit Connection(Socket&& connected) : socket(std::move(connected)), idle(socket.get_executor()) {}

        Socket socket;
        boost::asio::steady_timer idle; ///< set while nobody uses it
        bool in_use = true;
        protocol::FrameBuffer frames;
        std::size_t bindings_sent = 0;
        std::optional<Clock::time_point> asked; ///< when the last message had gone out

        /// Nothing has come that nobody asked for, nor the end.
        bool quiet();
    };

    boost::asio::awaitable<std::shared_ptr<Connection>> connect();
    std::shared_ptr<Connection> take();
    void put_back(std::shared_ptr<Connection> connection);
    boost::asio::awaitable<std::optional<Bytes>> try_ask(ByteView message, const Bindings& bindings,
                                                         bool patient);
    boost::asio::awaitable<Bytes> ask_on(Connection& connection, ByteView message, const Bindings& bindings);

    std::shared_ptr<Upstream> upstream_;
    std::shared_ptr<Connection> connection_;
};

} // namespace sshtpm::agent
